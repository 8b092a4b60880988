"""What is attacked: any POP3 server, by its ports and one account; or a Pier of our own, which can also be looked into."""
import itertools
import resource
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("clients", "crash")]
from mail_protocols import Lmtp  # noqa: E402
from peer import Peer, ok, tls_context  # noqa: E402
from pier_server import Failed, PierServer, canonical, free_ports, make_certificates  # noqa: E402
from table import NotRun, Unsafe  # noqa: E402

PASSWORD = "correct horse battery"
DOMAIN = "attacks.example"

# Messages that try the dots (row 11), then one for those who read slowly.
MESSAGES = [canonical(text) for text in (
    b"Subject: dots\n\n.\n..\n...\n.leading\nmiddle . dot\n..\n.\n",
    b"Subject: no line end at the end\n\nlast line",
    b"Subject: header alone\n",
    b"Subject: TOP\n\n" + b"".join(b"line %d\n" % n for n in range(1, 41)),
    b"Subject: 100 KB\n\n" + b"".join(b".%097d\n" % n for n in range(1000)),
)]
LARGE = canonical(b"Subject: 24 MB\n\n" + b"".join(b"%0999d\n" % n for n in range(24_000)))


def raise_descriptors():
    """As many sockets as the machine allows this program."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def resident_octets(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise Failed(f"process {pid} has no VmRSS: it has ended")


class Target:
    pier = None     # the PierServer, if it is one
    strangers = itertools.count()

    def __init__(self, host, pop3, pop3s, user, password, scratch=False, lmtp=None, recipient=None, pid=None, source=None, long=False):
        """`scratch`: mail in the mailbox may be removed. `lmtp`, `recipient`: mail for it may be delivered there. `pid`: the server's, to see its memory.
        `source`: the address of this machine to come from."""
        self.host, self.user, self.password = host, user, password
        self.pop3, self.pop3s = (host, pop3), (host, pop3s)
        self.scratch, self.lmtp, self.recipient, self.pid, self.source, self.long = scratch, lmtp, recipient, pid, source, long

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def clear(self, **options):
        return Peer(self.pop3, **{"source": self.source, **options})

    def tls(self, **options):
        return Peer(self.pop3s, tls=tls_context(), **{"source": self.source, **options})

    def stranger(self):
        """A TLS connection from an address that has not been here before, where the target is on this machine: what failed logins of other rows have
        cost is not to slow this one down."""
        if not self.host.startswith("127."):
            return self.tls()
        number = next(self.strangers)
        return self.tls(source=f"127.77.{number // 250 % 250}.{number % 250 + 1}")

    def session(self, user=None, password=None, **options):
        """Logged in, over TLS."""
        peer = self.tls(**options)
        answer = peer.log_in(user or self.user, password or self.password)
        if not ok(answer):
            peer.close()
            raise Unsafe(f"the right password was refused: {answer}")
        return peer

    def can_scram(self):
        with self.tls() as peer:
            capabilities = peer.ask_many("CAPA") or b""
        return any(b"SCRAM-SHA-256" in line.split() for line in capabilities.splitlines() if line.startswith(b"SASL"))

    def deliver(self, messages):
        if not self.lmtp:
            raise NotRun("needs mail of its own in the mailbox: --lmtp PORT --recipient ADDRESS")
        lmtp = Lmtp(self.lmtp)
        for message in messages:
            if lmtp.deliver([self.recipient], message, False, lambda: None) != [True]:
                raise Failed("LMTP refused a message")
        lmtp.close()

    def need_scratch(self):
        if not self.scratch:
            raise NotRun("marks or removes mail: --mailbox-is-scratch allows it")

    def memory_octets(self):
        """Of the server; None if it cannot be seen."""
        pid = self.pier.process.pid if self.pier else self.pid
        return resident_octets(pid) if pid else None


class PierTarget(Target):
    """A Pier of our own. Its POP3 port takes no password without TLS, not even here. What it says at the level debug is in log_text()."""

    def __init__(self, program, settings="", guard=False, long=False):
        (port,) = free_ports(1)
        settings = f'[log]\nlevel = "debug"\n{settings}'
        self.server = PierServer(program, settings=settings + f'[[listener]]\nname = "strict"\nprotocol = "pop3"\naddress = "127.0.0.1"\nport = {port}\n'
                                 'clear_login = "never"\n', submission='clear_login = "never"')
        self.has_guard = b"[guard]" in self.server.cli("config", "sample")
        if self.has_guard and not guard:
            with open(self.server.config, "a") as config:
                config.write('[guard]\nenabled = false\ndelay_max = "1s"\n')   # delays must be shorter than time limits
        super().__init__("127.0.0.1", port, self.server.pop3s_port, "ada", PASSWORD, True, self.server.lmtp_port, f"ada@{DOMAIN}", long=long)
        self.loopback_pop3 = ("127.0.0.1", self.server.pop3_port)   # takes passwords over loopback without TLS
        self.pier = self.server

    def __enter__(self):
        self.server.__enter__()
        try:
            self.server.cli("domain", "add", DOMAIN)
            for name in ("ada", "grace", "tom"):
                self.server.add_account(name, PASSWORD)
            self.server.start()
        except BaseException:
            self.server.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *what):
        self.server.__exit__(*what)

    def log_text(self):
        return self.server.log.read_bytes()

    def await_log(self, text, since=0, seconds=10):
        """True when `text` (octets) is in the log, behind octet `since`; False if it is not there after `seconds`."""
        end = time.monotonic() + seconds
        while text not in self.log_text()[since:]:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True


class Memory:
    """What a server holds before an attack and after it."""

    def __init__(self, target, allowed_octets):
        self.target, self.allowed_octets = target, allowed_octets
        self.before = target.memory_octets()
        self.most = self.before

    def look(self):
        if self.before is not None:
            self.most = max(self.most, self.target.memory_octets())

    def judge(self):
        """A text; Unsafe if it has grown beyond what is allowed."""
        self.look()
        if self.before is None:
            return "memory not seen (--pid)"
        grown = (self.most - self.before) / 2**20
        if self.most - self.before > self.allowed_octets:
            raise Unsafe(f"memory grew by {grown:.1f} MiB (allowed: {self.allowed_octets / 2**20:.0f})")
        return f"memory +{max(grown, 0):.1f} MiB"
