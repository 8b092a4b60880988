"""A dialogue of 200 commands with a server that may fail at any of them: LMTP over TCP and a Unix socket, POP3 without TLS, with STLS
and with TLS from the first octet. What the clients are told goes into a ledger (tests/crash/ledger.py)."""
import base64
import collections
import socket
import ssl

from ledger import HEADER, Broken, Ledger
from mail_protocols import Connection, Lost

COMMANDS = 200
REFUSED = 6         # of them, although nothing fails
ACCOUNTS = ["ada", "grace", "tom"]
DOMAIN = "faults.example"
PASSWORD = "correct horse battery"
RESIDENTS = 2       # messages that stay in each maildrop from one dialogue to the next
SECONDS = 12        # nothing may take longer: whoever waits on the server's idle timeouts has been forgotten
SETTINGS = '[store]\nspool_memory_max = "64 KiB"\n'
# Of a message, by its number: short ones, one that is sent by sendfile, one that goes through a spool's file.
SIZES = [300, 2_000, 20_000, 50_000, 200_000, 700, 90_000, 1_200]
_LINES = [b".dot", b"", b"..two", b"x" * 70, b"." * 5, b"abc def ghi jkl mno pqr stu vwx yz", b"7" * 76]


def make_message(number, seed):
    octets = SIZES[number % len(SIZES)]
    lines = [line for line in _LINES if number % 2 or not line.startswith(b".")]
    block = b"\r\n".join(b"%s %d" % (line, number) for line in lines) + b"\r\n"
    return HEADER + b"%d\r\nSubject: %s\r\n\r\n" % (number, str(seed).encode()) + (block * (octets // len(block) + 1))


def new_ledger(seed):
    return Ledger(seed, make_message)


class Talk(Connection):
    """A connection that counts its commands."""

    def __init__(self, dialogue, where):
        self.dialogue = dialogue
        self.buffer = b""
        try:
            if isinstance(where, int):
                self.socket = socket.create_connection(("127.0.0.1", where), timeout=SECONDS)
            else:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.settimeout(SECONDS)
                self.socket.connect(str(where))
        except OSError as failure:
            raise Lost(str(failure))

    def receive(self):
        try:
            return super().receive()
        except Lost as lost:
            if "timed out" in str(lost):
                raise Broken(f"no answer within {SECONDS} s to {self.last}")
            raise

    last = "the connection"

    def ask(self, *commands):
        """Sends them at once."""
        self.dialogue.commands += len(commands)
        self.last = commands[-1][:60]
        self.send(b"".join(command.encode() + b"\r\n" for command in commands))


class Lmtp(Talk):
    def __init__(self, dialogue, where):
        super().__init__(dialogue, where)
        self.expect("220", "421")
        self.ask("LHLO faults.example.net")
        self.expect("250", "421")

    def expect(self, *codes):
        """The reply; Lost at 421, behind which the server closes."""
        while True:
            line = self.line().decode(errors="replace")
            if line[3:4] != "-":
                break
        self.dialogue.answers[line[:3]] += 1
        if line[:3] == "421":
            raise Lost(line)
        if line[:3] not in codes:
            raise Broken(f"LMTP: {line!r} to {self.last}, not {codes}")
        return line[:3]

    def deliver(self, accounts, number, chunks=0):
        ledger = self.dialogue.ledger
        message = ledger.make(number, ledger.seed)
        self.ask("MAIL FROM:<a@faults.example.net>", *[f"RCPT TO:<{name}@{DOMAIN}>" for name in accounts])
        good = self.expect("250", "451", "452") == "250"
        taken = [name for name in accounts if self.expect("250", "451", "452", "503") == "250"]
        if not good or not taken:
            self.ask("RSET")
            self.expect("250")
            return
        for name in taken:
            ledger.set_state(name, number, "sent")
        if chunks:
            part = len(message) // chunks
            for at in range(chunks):
                last = at == chunks - 1
                octets = message[at * part:] if last else message[at * part:(at + 1) * part]
                self.ask(f"BDAT {len(octets)}{' LAST' if last else ''}")
                self.send(octets)
                if not last and self.expect("250", "451", "452") != "250":
                    self.ask("RSET")
                    self.expect("250")
                    return
        else:
            self.ask("DATA")
            if self.expect("354", "451", "452") != "354":
                return
            self.send((b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n")
        for name in taken:
            if self.expect("250", "451", "452") == "250":
                ledger.delivered(name, number)
            else:
                self.dialogue.refused += 1

    def end(self):
        self.ask("QUIT")
        self.expect("221")
        self.close()


class Pop3(Talk):
    """One session; `how`: USER, PLAIN or LOGIN, and plain, stls or tls."""

    def __init__(self, dialogue, account, how, tls):
        server = dialogue.server
        super().__init__(dialogue, server.pop3s_port if tls == "tls" else server.pop3_port)
        self.account, self.leaving = account, set()
        self.uidls, self.sizes = {}, {}
        if tls == "tls":
            self.wrap()
        self.expect()
        if tls == "stls":
            if not self.good("STLS"):
                raise Lost("STLS refused")
            self.wrap()
        self.good("CAPA", lines=True)
        if how == "USER":
            entered = self.good(f"USER {account}") and self.good(f"PASS {PASSWORD}")
        elif how == "PLAIN":
            entered = self.good("AUTH PLAIN " + base64.b64encode(f"\0{account}\0{PASSWORD}".encode()).decode())
        else:
            self.ask("AUTH LOGIN")
            self.line()
            self.send(base64.b64encode(account.encode()) + b"\r\n")
            self.line()
            self.send(base64.b64encode(PASSWORD.encode()) + b"\r\n")
            entered = self.expect().startswith("+OK")
        if not entered:
            raise Lost("not logged in")

    def wrap(self):
        try:
            self.socket = self.dialogue.tls.wrap_socket(self.socket, server_hostname="localhost")
        except OSError as failure:
            if isinstance(failure, TimeoutError):
                raise Broken(f"no TLS handshake within {SECONDS} s")
            raise Lost(str(failure))

    def expect(self):
        line = self.line().decode(errors="replace")
        if not line.startswith(("+OK", "-ERR")):
            raise Broken(f"POP3: {line!r} to {self.last}")
        self.dialogue.answers[" ".join(line.split(" ")[:2]) if line.startswith("-ERR [") else line.split(" ")[0]] += 1
        # The credentials are right: whatever fails must not be taken for a wrong password.
        if line.startswith("-ERR") and self.last.startswith(("PASS", "AUTH")) and "[SYS/" not in line:
            raise Broken(f"POP3: {line!r} to a right password")
        return line

    def good(self, command, lines=False):
        """True, or the lines, if it was answered +OK."""
        self.ask(command)
        line = self.expect()
        if not line.startswith("+OK"):
            self.dialogue.refused += 1
            return None
        return self.multiline() if lines else line

    def list_all(self):
        for command, into in (("UIDL", self.uidls), ("LIST", self.sizes)):
            listing = self.good(command, lines=True)
            for line in (listing or b"").decode().split("\r\n"):
                if line:
                    number, value = line.split(" ")
                    into[int(number)] = value
        self.good("STAT")

    def retrieve(self, number):
        message = self.good(f"RETR {number}", lines=True)
        if message is not None and number in self.uidls and number in self.sizes:
            return self.dialogue.ledger.seen(self.account, self.uidls[number], int(self.sizes[number]), message)
        return None

    def top(self, number, count):
        part = self.good(f"TOP {number} {count}", lines=True)
        if part is not None and b"\r\n\r\n" not in part:
            raise Broken(f"TOP {number} {count} gave half a header")

    def delete(self, number):
        """Only what is known by its UIDL: the ledger must be told which it is."""
        if number not in self.uidls:
            self.good("NOOP")
            return
        if self.good(f"DELE {number}"):
            self.leaving.add(number)

    def reset(self):
        if self.good("RSET"):
            self.leaving.clear()

    def quit(self):
        ledger = self.dialogue.ledger
        known = {ledger.number_of(self.account, self.uidls[number]) for number in self.leaving}
        if None in known:   # never fetched: nobody knows which message it is
            return self.close()
        for message in known:
            ledger.set_state(self.account, message, "leaving")
        answer = self.good("QUIT")
        if answer and known:
            ledger.removed(self.account, known)
        self.close()


class Dialogue:
    def __init__(self, server, ledger, messages=len(SIZES)):
        self.server, self.ledger = server, ledger
        self.commands = self.refused = self.lost = 0
        self.answers = collections.Counter()    # replies by their code
        self.tls = ssl.create_default_context(cafile=str(server.ca))
        self.numbers = [ledger.new_message()[0] for _ in range(messages)]

    def run(self):
        """All scenes; one whose connection ends is left, the next begins anew."""
        scenes = [self.deliver_by_tcp, self.deliver_by_path]
        for at, account in enumerate(ACCOUNTS):
            scenes.append(lambda account=account, at=at: self.read_and_remove(account, ["plain", "stls", "tls"][at], ["USER", "LOGIN", "PLAIN"][at]))
        scenes.append(self.deliver_small)
        for at, account in enumerate(ACCOUNTS):
            scenes.append(lambda account=account, at=at: self.poll(account, ["tls", "plain", "stls"][at], ["PLAIN", "USER", "LOGIN"][at]))
        scenes.append(self.go_away)
        for scene in scenes:
            try:
                scene()
            except Lost:
                self.lost += 1

    def deliver_by_tcp(self):
        lmtp = Lmtp(self, self.server.lmtp_port)
        n = self.numbers
        lmtp.deliver(["ada"], n[0])
        lmtp.deliver(ACCOUNTS, n[1])
        lmtp.deliver(["grace"], n[2], chunks=2)
        lmtp.deliver(["tom", "ada"], n[4])
        lmtp.ask("NOOP", "VRFY ada", "MAIL FROM:<>", f"RCPT TO:<nobody@{DOMAIN}>", "RSET")
        lmtp.expect("250")
        lmtp.expect("252")
        lmtp.expect("250")
        lmtp.expect("550", "451")
        lmtp.expect("250")
        lmtp.end()

    def deliver_by_path(self):
        lmtp = Lmtp(self, self.server.lmtp_socket)
        n = self.numbers
        lmtp.deliver(ACCOUNTS, n[3], chunks=1)
        lmtp.deliver(["grace"], n[6], chunks=4)
        lmtp.end()

    def read_and_remove(self, account, tls, how):
        pop = Pop3(self, account, how, tls)
        pop.list_all()
        for number in range(1, 6):
            pop.good(f"LIST {number}")
            pop.good(f"UIDL {number}")
            pop.retrieve(number)
            pop.top(number, number)
        pop.good("NOOP")
        pop.delete(4)
        pop.retrieve(4)     # refused, it is marked
        pop.reset()
        pop.delete(3)
        pop.delete(4)
        pop.good("XTND")    # refused, there is no such command
        pop.quit()

    def deliver_small(self):
        lmtp = Lmtp(self, self.server.lmtp_port)
        lmtp.deliver(["tom"], self.numbers[5])
        lmtp.deliver(ACCOUNTS, self.numbers[7])
        lmtp.end()

    def poll(self, account, tls, how):
        pop = Pop3(self, account, how, tls)
        pop.list_all()
        for number in range(1, 5):
            pop.retrieve(number)
        pop.delete(3)
        pop.quit()

    def go_away(self):
        """No QUIT: nothing is removed. As many commands as are left of the two hundred."""
        pop = Pop3(self, "ada", "USER", "plain")
        pop.list_all()
        pop.retrieve(1)
        pop.delete(1)
        pop.reset()
        while self.commands < COMMANDS - 1:
            pop.good(["STAT", "NOOP", "LIST 1", "TOP 1 0"][self.commands % 4], lines=self.commands % 4 == 3)
        pop.good("DELE 1")
        pop.close()


def read_everything(server, ledger, leave=RESIDENTS):
    """Without faults: every maildrop is read whole and compared with the ledger; then it is emptied but for the first `leave`. Gives
    how many messages there were."""
    count = 0
    for account in ACCOUNTS:
        counting = Dialogue(server, ledger, messages=0)
        try:
            pop = Pop3(counting, account, "USER", "plain")
            pop.list_all()
            present = [pop.retrieve(number) for number in sorted(pop.uidls)]
            if counting.refused:
                raise Broken(f"{account}: the server refuses something although nothing fails any more:\n{server.log_tail()}")
            ledger.settle(account, present)
            for number in range(leave + 1, len(present) + 1):
                pop.delete(number)
            pop.quit()
        except Lost as lost:
            raise Broken(f"the server does not serve {account} although nothing fails any more: {lost}")
        if counting.refused:
            raise Broken(f"{account}: the server does not remove although nothing fails any more:\n{server.log_tail()}")
        count += len(present)
    return count


def prepare(server, ledger):
    """Starts the server, with accounts and the residents of each."""
    server.cli("domain", "add", DOMAIN)
    for account in ACCOUNTS:
        server.add_account(account, PASSWORD)
    server.start()
    dialogue = Dialogue(server, ledger)
    lmtp = Lmtp(dialogue, server.lmtp_port)
    for number in dialogue.numbers[:RESIDENTS]:
        lmtp.deliver(ACCOUNTS, number)
    lmtp.end()
