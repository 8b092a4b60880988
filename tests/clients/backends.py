#!/usr/bin/env python3
"""Accounts of back ends, each with the real thing behind it: the same rules for every kind, and a few of its own.

usage: backends.py --pier PROGRAM KIND          KIND: see kinds(); exit status 77: it needs root

A kind is a class with the methods of backend_kinds.Kind; another one needs nothing here but its line in kinds().
"""
import argparse
import base64
import json
import os
import poplib
import signal
import smtplib
import sys
import threading

from backend_kinds import Pam, PasswdFile
from pier_server import Failed, PierServer

MESSAGE = b"From: <sender@pier.example>\r\nTo: <reader@pier.example>\r\nSubject: to a back end's user\r\n\r\nhello\r\n"
DOMAIN = "pier.example"
TIMEOUT = 60


def kinds():
    return {"passwd_file": PasswdFile, "pam": Pam}


class Checks:
    """A running server with one back end, and what its clients see."""

    def __init__(self, server, kind):
        self.server, self.kind, self.done = server, kind, 0

    def expect(self, what, seen, wanted):
        seen = seen.decode(errors="replace") if isinstance(seen, bytes) else seen
        good = seen.startswith(wanted) if isinstance(wanted, str) and isinstance(seen, str) else seen == wanted
        if not good:
            raise Failed(f"{what}: {seen!r}, and not {wanted!r}; the end of the server's log:\n{self.server.log_tail(30)}")
        self.done += 1

    def login(self, user, password, mechanism="USER"):
        """The reply's line."""
        client = poplib.POP3("127.0.0.1", self.server.pop3_port, timeout=TIMEOUT)
        try:
            if mechanism == "USER":
                client.user(user)
                reply = client.pass_(password)
            else:
                reply = client._shortcmd("AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode())
            client.quit()
            return reply
        except poplib.error_proto as refused:
            client.close()
            return refused.args[0]

    def messages(self, user, password):
        client = poplib.POP3("127.0.0.1", self.server.pop3_port, timeout=TIMEOUT)
        client.user(user)
        client.pass_(password)
        count = client.stat()[0]
        texts = [b"\r\n".join(client.retr(i + 1)[1]) for i in range(count)]
        client.quit()
        return texts

    def recipient(self, address):
        """What RCPT is answered."""
        with smtplib.LMTP("127.0.0.1", self.server.lmtp_port) as client:
            client.ehlo()
            client.mail("sender@pier.example")
            code, text = client.rcpt(address)
            return f"{code} {text.decode()}"

    def deliver(self, address):
        with smtplib.LMTP("127.0.0.1", self.server.lmtp_port) as client:
            client.sendmail("sender@pier.example", [address], MESSAGE)

    def account(self, name):
        return json.loads(self.server.cli("account", "show", name, "--json"))

    def backend(self):
        return json.loads(self.server.cli("status", "--json"))["backends"][0]

    def wait_for_worker(self, but=0):
        """Its process, once there is one; asked over and over, as the server says it."""
        while True:
            state = self.backend()
            if state["worker"] == "ready" and state["pid"] not in (0, but):
                return state["pid"]


def logins_and_mail(checks):
    checks.kind.put("ada", "pencil")
    checks.kind.put("grace", "compiler")
    checks.expect("PASS", checks.login("ada", "pencil"), "+OK")
    checks.expect("AUTH PLAIN", checks.login("grace", "compiler", "PLAIN"), "+OK")
    checks.expect("with the server's domain", checks.login(f"ada@{DOMAIN}", "pencil"), "+OK")
    checks.expect("in capitals", checks.login("ADA", "pencil"), "+OK")
    checks.expect("a wrong password", checks.login("ada", "pencil "), "-ERR [AUTH]")
    checks.expect("an unknown user", checks.login("eve", "pencil"), "-ERR [AUTH]")
    checks.expect("an empty password", checks.login("ada", ""), "-ERR")
    checks.expect("its account", checks.account("ada")["backend"], checks.kind.name)
    checks.expect("its password is not kept", checks.account("ada")["password"], "")

    checks.kind.put("linus", "kernel")
    checks.deliver(f"linus@{DOMAIN}")       # who has never logged in
    checks.deliver(f"linus+lists@{DOMAIN}")
    texts = checks.messages("linus", "kernel")
    checks.expect("mail that came before the first login", len(texts), 2)
    checks.expect("its text", texts[0].endswith(b"hello"), True)
    checks.expect("an unknown recipient", checks.recipient(f"nobody@{DOMAIN}"), "550 5.1.1")
    checks.expect("another domain", checks.recipient("ada@elsewhere.example"), "550")


def the_built_in_come_first(checks):
    checks.kind.put("root-of-mail", "elsewhere")
    checks.expect("a built-in account", checks.login("root-of-mail", "at-home"), "+OK")
    checks.expect("by the other's password", checks.login("root-of-mail", "elsewhere"), "-ERR [AUTH]")
    checks.expect("a master for a user of the back end", checks.login("linus*root-of-mail", "at-home"), "+OK")
    checks.kind.put("newcomer", "x-y-z")
    checks.expect("a master for one who was never here", checks.login("newcomer*root-of-mail", "at-home"), "+OK")


def scram_is_not_offered(checks):
    client = poplib.POP3("127.0.0.1", checks.server.pop3_port, timeout=TIMEOUT)
    checks.expect("mechanisms", client.capa()["SASL"], ["PLAIN", "LOGIN"])
    client.close()


def what_is_remembered(checks):
    checks.kind.put("hedy", "frequency")
    checks.expect("the first login", checks.login("hedy", "frequency"), "+OK")
    before = checks.backend()["requests"]
    checks.expect("the second", checks.login("hedy", "frequency"), "+OK")
    checks.expect("requests for it", checks.backend()["requests"], before)
    checks.kind.put("hedy", "hopping")
    checks.expect("the new password", checks.login("hedy", "hopping"), "+OK")
    checks.expect("the old one after it", checks.login("hedy", "frequency"), "-ERR [AUTH]")
    checks.kind.remove("hedy")
    checks.expect("a user who is gone and remembered", checks.login("hedy", "hopping"), "+OK")
    checks.server.cli("account", "forget", "hedy")
    checks.expect("once forgotten", checks.login("hedy", "hopping"), "-ERR [AUTH]")
    checks.expect("his mail", checks.recipient(f"hedy@{DOMAIN}"), "550 5.1.1")
    checks.expect("his mailbox stays", checks.account("hedy")["backend"], checks.kind.name)


def an_outage(checks):
    checks.server.cli("account", "forget")
    checks.kind.break_off()
    checks.expect("a login while it is out", checks.login("ada", "pencil"), "-ERR [SYS/TEMP]")
    checks.expect("with a wrong password", checks.login("ada", "quill"), "-ERR [SYS/TEMP]")
    checks.expect("a built-in account", checks.login("root-of-mail", "at-home"), "+OK")
    checks.expect("mail for one whom it has told before", checks.recipient(f"ada@{DOMAIN}"), "250")
    if not checks.kind.finds_while_out:
        checks.expect("mail for one who was never here", checks.recipient(f"late@{DOMAIN}"), "451 4.4.3")
    checks.expect("outages", checks.backend()["outages"] >= 2, True)
    checks.kind.mend()
    checks.expect("a login after it", checks.login("ada", "pencil"), "+OK")


def a_worker_that_dies(checks):
    pid = checks.wait_for_worker()
    os.kill(pid, signal.SIGKILL)
    checks.wait_for_worker(but=pid)
    checks.server.cli("account", "forget")
    checks.expect("a login with the new worker", checks.login("ada", "pencil"), "+OK")
    checks.expect("how often it has died", checks.backend()["restarts"] >= 1, True)


def no_secrets_in_the_log(checks):
    text = checks.server.log.read_text(errors="replace")
    for secret in ("pencil", "compiler", "kernel", "frequency", "hopping", "elsewhere", "at-home"):
        checks.expect(f"'{secret}' in the log", secret in text.replace("elsewhere.example", ""), False)


RULES = (logins_and_mail, the_built_in_come_first, scram_is_not_offered, what_is_remembered, an_outage, a_worker_that_dies)


def run(pier, kind):
    with PierServer(pier, tls=False, settings=kind.settings()) as server:
        server.cli("domain", "add", DOMAIN)
        server.add_account("root-of-mail", "at-home")
        server.cli("account", "change", "root-of-mail", "--master", "on")
        kind.begin()
        server.cli("check")
        program, server.pier = server.pier, str(kind.program(server.pier))
        server.start()
        server.pier = program
        checks = Checks(server, kind)
        for rule in (*RULES, *kind.own_rules()):
            rule(checks)
        no_secrets_in_the_log(checks)
        workers = checks.wait_for_worker()
        server.stop()
        while os.path.exists(f"/proc/{workers}"):   # it ends with the server
            threading.Event().wait(0.01)
        return checks.done


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pier", required=True)
    parser.add_argument("kind", choices=kinds())
    options = parser.parse_args()
    with kinds()[options.kind]() as kind:
        if kind.needs_root and os.geteuid() != 0:
            print(f"skipped: {options.kind} needs root")
            return 77
        print(f"{options.kind}: {run(options.pier, kind)} answers as they should be")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
