"""The servers that can be put under load. Each is a class with the same few names, so that run.py knows no server:

    name                                what the tables call it
    start(), stop(), restart()          in a temporary folder, on free loopback ports; stop() removes the folder
    add_users([(name, password)])       before start(); each name is an address, and its maildrop is empty
    pid                                 of the process whose tree does the work
    pop3_port, pop3s_port, lmtp_port    POP3 with STLS, POP3 over TLS, LMTP
    folder                              its tls/server.pem and tls/server.key may be replaced before start()
    syncs()                             (syncs, records made durable by them) since the start, or None
    first_login                         pass or scram: which of them hashes no password on the server when it has just been started
    shares_tickets                      whether every connection that offers a TLS session must be resumed
    about()                             {what a reader of the results should know of it: what}
"""
import grp
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/clients"))
from pier_server import Failed, PierServer, free_ports, make_certificates  # noqa: E402

DOMAIN = "bench.example"
DOVECOT = "/usr/sbin/dovecot"
START_SECONDS = 30


def use_rsa_certificate(server):
    """In place of the usual one, which is ECDSA on P-256."""
    tls = server.folder / "tls"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tls / "server.key", "-out", tls / "server.pem", "-days", "30",
                    "-subj", "/CN=localhost"], check=True, capture_output=True)


class Limit:
    """pier_limit: the least that a server can do. It knows everybody, and forgets the mail when it stops."""
    name = "limit"
    first_login = "pass"
    shares_tickets = True

    def __init__(self, program):
        self.program = Path(program).resolve()
        self.folder = Path(tempfile.mkdtemp(prefix="pier-limit-"))
        make_certificates(self.folder / "tls")
        self.pop3_port, self.pop3s_port, self.lmtp_port = free_ports(3)
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "--pop3", str(self.pop3_port), "--pop3s", str(self.pop3s_port), "--lmtp", str(self.lmtp_port), "--file",
             self.folder / "mail", "--certificate", self.folder / "tls/server.pem", "--key", self.folder / "tls/server.key"],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        if self.process.stdout.readline() != b"ready\n":
            raise Failed("pier_limit did not start (its words are above)")

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    abandon = stop

    def restart(self):
        """Would forget the mail, so it does nothing."""

    @property
    def pid(self):
        return self.process.pid

    def add_users(self, users):
        pass

    def syncs(self):
        return None

    def about(self):
        return {"folder_on": filesystem_of(self.folder)}


class Pier:
    """`pier serve` with nothing set but its folder, ports, certificate, and as many connections as a process may have."""
    name = "pier"
    first_login = "scram"
    shares_tickets = True

    def __init__(self, program):
        self.server = PierServer(program, settings="[limits]\nconnections_max = 20000\n")
        self.has_domain = False
        self.pop3_port, self.pop3s_port, self.lmtp_port = self.server.pop3_port, self.server.pop3s_port, self.server.lmtp_port

    def start(self):
        self.server.start()

    def restart(self):
        self.server.stop()
        self.server.start()

    def stop(self):
        """Stops it and removes its folder."""
        self.server.__exit__(None, None, None)

    def abandon(self):
        """Kills it and leaves its folder, whose place is printed."""
        self.server.__exit__(*sys.exc_info())

    @property
    def pid(self):
        return self.server.process.pid

    @property
    def folder(self):
        return self.server.folder

    def add_users(self, users):
        if not self.has_domain:
            self.server.cli("domain", "add", DOMAIN)
            self.has_domain = True
        for name, password in users:
            self.server.add_account(name, password)

    def syncs(self):
        """(syncs, records made durable by them) since the start."""
        stats = json.loads(self.server.cli("--json", "store", "stats"))
        return stats["groups"], stats["group_records"]

    def listing_octets(self):
        """What the lists of mailboxes that it keeps take."""
        return json.loads(self.server.cli("status", "--json"))["limits"]["store.listing_cache_size"]["now"]

    def about(self):
        version = self.server.cli("--version").decode().strip()
        return {"version": version, "folder_on": filesystem_of(self.server.folder)}


class Dovecot:
    """Debian's Dovecot with a folder and configuration of its own, tuned for speed (dovecot.conf, README.md). Called after its
    mailbox format. All its processes are children of one."""
    first_login = "pass"        # it keeps the passwords plain here
    shares_tickets = False      # each of its login processes has keys of its own

    def __init__(self, storage):
        """storage: maildir, sdbox or mdbox."""
        self.storage = storage
        self.name = storage
        self.folder = Path(tempfile.mkdtemp(prefix="pier-dovecot-"))
        self.folder.chmod(0o755)
        make_certificates(self.folder / "tls")
        self.pop3_port, self.pop3s_port, self.lmtp_port = free_ports(3)
        self.process = None
        # Dovecot serves no mail as root.
        root = os.getuid() == 0
        self.owner = owner = pwd.getpwnam("dovecot") if root else pwd.getpwuid(os.getuid())
        mail = self.folder / "mail"
        mail.mkdir()
        os.chown(mail, owner.pw_uid, owner.pw_gid)
        values = {"FOLDER": self.folder, "POP3": self.pop3_port, "POP3S": self.pop3s_port, "LMTP": self.lmtp_port, "CORES": os.cpu_count(),
                  "UID": owner.pw_uid, "GID": owner.pw_gid, "STORAGE": storage, "INTERNAL_USER": owner.pw_name,
                  "LOGIN_USER": "dovenull" if root else owner.pw_name, "GROUP": grp.getgrgid(owner.pw_gid).gr_name}
        text = (Path(__file__).parent / "dovecot.conf").read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        self.config = self.folder / "dovecot.conf"
        self.config.write_text(text)

    def start(self):
        self.process = subprocess.Popen([DOVECOT, "-F", "-c", self.config], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.pop3_port) or not answers(self.lmtp_port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"dovecot did not start:\n{self.log_tail()}")
            time.sleep(0.05)

    def log_tail(self):
        log = self.folder / "dovecot.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else "(no log)"

    def halt(self):
        self.process.terminate()
        self.process.wait()
        self.process = None

    def restart(self):
        self.halt()
        self.start()

    def stop(self):
        if self.process:
            self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def abandon(self):
        if self.process:
            self.halt()
        print(f"Dovecot's folder stays for a look: {self.folder}; the end of its log:\n{self.log_tail()}", flush=True)

    @property
    def pid(self):
        return self.process.pid

    def import_mail(self, user, messages):
        """`messages` into the INBOX of `user`, by files: its LMTP would take minutes."""
        source = self.folder / "mail/source"
        for name in ("cur", "new", "tmp"):
            (source / name).mkdir(parents=True)
        for number, message in enumerate(messages):
            (source / f"cur/{1_700_000_000 + number}.M{number}P1.bench:2,").write_bytes(message.replace(b"\r\n", b"\n"))
        for path in (source, *source.rglob("*")):
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid)
        subprocess.run(["doveadm", "-c", self.config, "import", "-u", user, f"maildir:{source}", "", "all"], check=True)
        shutil.rmtree(source)

    def add_users(self, users):
        with open(self.folder / "users", "a") as file:
            file.write("".join(f"{name}:{{PLAIN}}{password}\n" for name, password in users))

    def syncs(self):
        return None

    def about(self):
        version = subprocess.run([DOVECOT, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        return {"version": version, "storage": self.storage, "folder_on": filesystem_of(self.folder)}


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return connection.recv(1) != b""
    except OSError:
        return False


def filesystem_of(path):
    """The type of the file system that holds `path`: deliveries on a tmpfs are no measure of a disk."""
    best = ("", "?")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if (str(path) + "/").startswith(where.rstrip("/") + "/") and len(where) >= len(best[0]):
            best = (where, kind)
    return best[1]
