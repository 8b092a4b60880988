"""What every back end that asks a server must do, whatever it is: asked of a Pier that has nothing but this back end.

The accounts are the same everywhere: see ACCOUNTS."""
import base64
import concurrent.futures
import poplib
import smtplib
import socket
import time

from pier_server import Failed

RIGHT, WRONG, DISABLED, OUTAGE = "+OK", "-ERR [AUTH]", "-ERR [SYS/PERM]", "-ERR [SYS/TEMP]"
# Who logs in with what; bob is disabled; "two" is there twice; "nopass" has no password; lovelace's account is ada's.
ACCOUNTS = {"ada": "correct horse", "jörg": "größe", "grace": "hopper"}
# Names that would ask for something else if they were taken for a part of a query, a filter or a distinguished name.
HOSTILE = ["*", "a*", "ad%", "ada)(uid=*", ")(uid=*))(|(uid=*", "ada)(|(objectClass=*)", "\\2a", "ada\\29", "ada,ou=people,dc=example", "ada+cn=x",
           "' OR '1'='1", "'; DROP TABLE users; --", "ada'--", "\\' OR 1=1 --", "$1", "%u", "ädä", "ada\u200b", "ada\u0000"]
SECONDS = 60
# Of the back end: so long that a busy machine is no outage; and where an outage is what is waited for.
LONG_S, SHORT_S = 50, 8
# Many wrong passwords come from here, and none should wait for the ones before.
SETTINGS = "[guard]\nenabled = false\n"


class Checks:
    def __init__(self, server):
        self.server = server
        self.done = 0

    def fail(self, text):
        raise Failed(f"{text}\nthe server's log:\n{self.server.log_tail(25)}")

    def dialogue(self, *lines):
        """The last reply to lines of POP3, sent as they are."""
        with socket.create_connection(("127.0.0.1", self.server.pop3_port), SECONDS) as connection, connection.makefile("rb") as replies:
            reply = replies.readline()
            for line in lines:
                connection.sendall(line.encode() + b"\r\n")
                reply = replies.readline()
                if not reply.startswith(b"+"):
                    break
            if reply.startswith(b"+OK"):
                connection.sendall(b"QUIT\r\n")
                replies.read()
            return reply.decode(errors="replace").strip()

    def plain(self, user, password):
        """AUTH PLAIN (RFC 4616), which can carry any octet but NUL."""
        return self.dialogue("AUTH PLAIN " + base64.b64encode(b"\0".join([b"", user.encode(), password.encode()])).decode())

    def expect(self, what, reply, beginning):
        if not reply.startswith(beginning):
            self.fail(f"{what}: {reply!r}; it should begin with {beginning!r}")
        self.done += 1

    def expect_login(self, user, password, beginning):
        self.expect(f"login of {user!r} with {password!r}", self.plain(user, password), beginning)

    def expect_logged(self, text):
        end = time.monotonic() + SECONDS
        while text not in self.server.log.read_text(errors="replace"):
            if time.monotonic() > end:
                self.fail(f"the log says nothing of {text!r}")
            time.sleep(0.05)
        self.done += 1

    def deliver(self, user):
        """The code with which LMTP answers in the end."""
        with smtplib.LMTP("127.0.0.1", self.server.lmtp_port, timeout=SECONDS) as lmtp:
            lmtp.ehlo()
            lmtp.mail("outside@example.net")
            code, _ = lmtp.rcpt(f"{user}@pier.example")
            if code == 250:
                code, _ = lmtp.data(b"Subject: for you\r\n\r\nhello\r\n")
            return code

    def expect_delivery(self, user, code):
        if (got := self.deliver(user)) != code:
            self.fail(f"mail for {user}: {got}; it should be {code}")
        self.done += 1

    def logins(self):
        for user, password in ACCOUNTS.items():
            self.expect_login(user, password, RIGHT)
            self.expect_login(user, password + "x", WRONG)
        self.expect_login("nobody", "x", WRONG)
        self.expect_login("nopass", "x", WRONG)
        self.expect_login("bob", "builder", DISABLED)
        self.expect_login("bob", "wrong", WRONG)
        # One account, under whichever of his names he comes.
        self.expect_login("ada@pier.example", ACCOUNTS["ada"], RIGHT)
        if b"@pier.example" in (accounts := self.server.cli("account", "list")):
            self.fail(f"somebody has two accounts: {accounts.decode()}")
        # An empty password is sent to nobody: a directory would take it for nobody's, and be content.
        self.expect_login("ada", "", "-ERR")
        self.expect("an empty PASS", self.dialogue("USER ada", "PASS "), "-ERR")
        # Nobody can say which of the two is meant, so it is nobody's fault but the administrator's.
        for _ in range(5):
            self.expect_login("two", "x", OUTAGE)
        self.expect_logged("several")
        # And whoever asks for it keeps nobody else out.
        for user, password in ACCOUNTS.items():
            self.expect_login(user, password, RIGHT)

    def hostile_names(self):
        # Each costs an Argon2, so that names can't be told by the clock.
        def one(name):
            replies = [self.plain(name, ACCOUNTS["ada"])]
            if "\0" not in name:
                replies.append(self.dialogue(f"USER {name}", "PASS x"))
            return name, replies
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for name, replies in pool.map(one, HOSTILE):
                for reply in replies:
                    self.expect(f"login of {name!r}", reply, "-ERR")
                    if reply.startswith(OUTAGE):
                        self.fail(f"login of {name!r}: {reply}")
        self.expect_login("ada", ACCOUNTS["ada"], RIGHT)

    def deliveries(self):
        """Mail for somebody whom only the back end knows, before he has ever logged in; and what he then finds."""
        self.expect_delivery("grace", 250)
        self.expect_delivery("bob", 250)   # he may not log in, but his mail must not bounce
        self.expect_delivery("nobody", 550)
        self.expect_delivery("two", 451)
        client = poplib.POP3("localhost", self.server.pop3_port, timeout=SECONDS)
        client.user("grace")
        client.pass_(ACCOUNTS["grace"])
        if client.stat()[0] != 1 or b"Subject: for you" not in client.retr(1)[1]:
            self.fail("what was delivered to grace is not there")
        client.quit()
        self.done += 1

    def many_at_once(self, count=40):
        """More than there are threads, right and wrong ones mixed: everybody gets the answer to his own question."""
        def one(number):
            user = list(ACCOUNTS)[number % len(ACCOUNTS)]
            return number, self.plain(user, ACCOUNTS[user] + ("x" if number % 4 == 0 else ""))
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            for number, reply in pool.map(one, range(count)):
                self.expect(f"login {number} of many", reply, WRONG if number % 4 == 0 else RIGHT)

    def outage(self, directory):
        """It stops, and comes back: neither is noticed by anything but its own users, and Pier goes on."""
        directory.stop()
        for _ in range(3):
            self.expect_login("ada", ACCOUNTS["ada"], OUTAGE)
            self.expect_login("ada", "wrong", OUTAGE)
            self.expect_login("nobody", "x", OUTAGE)
        self.expect_delivery("somebody", 451)
        directory.start()
        self.until_back()
        for user, password in ACCOUNTS.items():
            self.expect_login(user, password + "x", WRONG)

    def hanging(self, directory):
        """It takes what it is asked, and says nothing. The back end's timeout is SHORT_S."""
        self.until_back()
        directory.pause()
        began = time.monotonic()
        self.expect_login("ada", ACCOUNTS["ada"], OUTAGE)
        waited = time.monotonic() - began
        directory.resume()
        if waited < SHORT_S / 2:
            self.fail(f"the server that hangs was given up after {waited:.1f} s, but {SHORT_S} s are allowed")
        self.until_back()

    def until_back(self):
        """Logs in until it works: the pauses between two tries to connect are a matter of the clock."""
        deadline = time.monotonic() + SECONDS
        while not (reply := self.plain("ada", ACCOUNTS["ada"])).startswith(RIGHT):
            if not reply.startswith(OUTAGE) or time.monotonic() > deadline:
                self.fail(f"the directory is back, but the login says: {reply}")
        self.done += 1

    def no_secrets(self, *secrets):
        log = self.server.log.read_text(errors="replace")
        for secret in (*secrets, *ACCOUNTS.values()):
            if secret in log:
                self.fail(f"the log holds the secret {secret!r}")
        self.done += 1
