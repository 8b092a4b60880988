#!/usr/bin/env python3
"""Real mail programs submit mail to a real Pier, with STARTTLS and with TLS from the first octet, and what POP3 gives back
is compared octet for octet behind the fields that Pier puts in front.

usage: submission.py --pier PROGRAM CLIENT...        CLIENT: smtplib, curl, swaks, msmtp

Each client sends messages with nasty bodies to several people, a large one, and then does what must be refused: a wrong
password, no TLS, another's From.
"""
import argparse
import poplib
import re
import smtplib
import ssl
import subprocess
import sys
import time
from pathlib import Path

from mail_corpus import corpus
from pier_server import Failed, PierServer, canonical
from senders import is_trace, stuffed

PASSWORD = "correct horse battery"
DOMAIN = "pier.example"
LONE_CR = re.compile(rb"\r(?!\n)")
SECONDS = 120


def message(number, body, sender=f"ada@{DOMAIN}", more=""):
    return (f"From: Ada <{sender}>\r\nTo: bob@{DOMAIN}\r\nSubject: number {number}\r\nDate: Sun, 29 Nov 2026 12:00:00 +0000\r\n"
            f"Message-ID: <{number}@{DOMAIN}>\r\n{more}\r\n").encode() + body


def messages(lines_max=None):
    """Every message of the corpus as a body, but for lone CRs, which nobody may send; `lines_max`: what a client can hold."""
    out, number = [], 0
    for octets in corpus().values():
        body = canonical(octets)
        if LONE_CR.search(body) or (lines_max and any(len(line) > lines_max for line in body.split(b"\r\n"))):
            continue
        number += 1
        out.append(message(number, body))
    return out


def run(command, ok=(0,), **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, timeout=SECONDS, **options)
    if done.returncode not in ok:
        raise Failed(f"{command[0]} ended with status {done.returncode}:\n{done.stderr.decode(errors='replace')[-2000:]}"
                     f"{done.stdout.decode(errors='replace')[-2000:]}")
    return done


class Smtplib:
    lines_max = None
    mechanisms = ("PLAIN", "LOGIN")
    exact = True

    def __init__(self, server, folder):
        self.server = server
        self.context = ssl.create_default_context(cafile=str(server.ca))

    def connect(self, tls):
        if tls == "tls":
            return smtplib.SMTP_SSL("localhost", self.server.submissions_port, timeout=60, context=self.context)
        smtp = smtplib.SMTP("localhost", self.server.submission_port, timeout=60)
        if tls == "starttls":
            smtp.starttls(context=self.context)
        return smtp

    def send(self, tls, mechanism, password, sender, recipients, octets, options=()):
        """The server's last reply."""
        try:
            with self.connect(tls) as smtp:
                smtp.ehlo()
                if not smtp.has_extn("auth"):
                    return "AUTH is not offered"
                smtp.user, smtp.password = "ada", password
                smtp.auth(mechanism, getattr(smtp, f"auth_{mechanism.lower()}"))
                smtp.sendmail(sender, recipients, octets, options)
                return "250"
        except smtplib.SMTPRecipientsRefused as refused:
            return str(next(iter(refused.recipients.values())))
        except smtplib.SMTPResponseException as refused:
            return f"{refused.smtp_code} {refused.smtp_error.decode()}"


class Curl:
    lines_max = None
    mechanisms = ("PLAIN", "LOGIN")
    exact = True

    def __init__(self, server, folder):
        self.server, self.folder = server, folder

    def send(self, tls, mechanism, password, sender, recipients, octets, options=()):
        (self.folder / "message").write_bytes(octets)
        url = {"tls": f"smtps://localhost:{self.server.submissions_port}",
               "starttls": f"smtp://localhost:{self.server.submission_port}", "none": f"smtp://localhost:{self.server.submission_port}"}[tls]
        command = ["curl", "-sS", "-v", "--cacert", self.server.ca, "-u", f"ada:{password}", "--login-options", f"AUTH={mechanism}",
                   f"{url}/client.example", "--mail-from", sender, "-T", self.folder / "message"]
        for recipient in recipients:
            command += ["--mail-rcpt", recipient]
        if tls == "starttls":
            command.append("--ssl-reqd")
        done = subprocess.run([str(word) for word in command], capture_output=True, timeout=SECONDS)
        if done.returncode == 0:
            return "250"
        replies = re.findall(rb"^< ([45].*?)\r?$", done.stderr, re.M)
        # Then it tries without.
        if not re.search(rb"^< 250[- ]AUTH ", done.stderr, re.M):
            return "AUTH is not offered"
        return replies[0].decode() if replies else done.stderr.decode(errors="replace")


class Swaks:
    lines_max = None
    mechanisms = ("PLAIN", "LOGIN")
    exact = True

    def __init__(self, server, folder):
        self.server, self.folder = server, folder

    def send(self, tls, mechanism, password, sender, recipients, octets, options=()):
        (self.folder / "message").write_bytes(stuffed(octets))
        port = self.server.submissions_port if tls == "tls" else self.server.submission_port
        command = ["swaks", "--server", f"localhost:{port}", "--auth", mechanism, "--auth-user", "ada", "--auth-password", password,
                   "--from", sender, "--to", ",".join(recipients), "--helo", "client.example", "--data", f"@{self.folder}/message", "--no-data-fixup",
                   "--timeout", "60s", *{"tls": ["--tlsc"], "starttls": ["--tls"], "none": []}[tls]]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS)
        if done.returncode == 0:
            return "250"
        # swaks: 28 is "no AUTH that both know".
        if done.returncode == 28 and b"AUTH" not in done.stdout:
            return "AUTH is not offered"
        # The first: a dot of its own behind the message is no command.
        replies = re.findall(rb"^<[~*]\*? +([45]\d\d .*?)\r?$", done.stdout, re.M)
        return replies[0].decode() if replies else done.stdout.decode(errors="replace")[-1000:]


class Msmtp:
    # It gives up a line of more octets than its own buffer.
    lines_max = 400
    mechanisms = ("plain", "login", "scram-sha-256", "scram-sha-1")
    exact = True

    def __init__(self, server, folder):
        self.server, self.folder = server, folder

    def send(self, tls, mechanism, password, sender, recipients, octets, options=()):
        port = self.server.submissions_port if tls == "tls" else self.server.submission_port
        config = self.folder / "msmtprc"
        config.touch(0o600)
        config.write_text(f"account default\nhost localhost\nport {port}\ndomain client.example\nauth {mechanism}\nuser ada\n"
                          f"password \"{password}\"\nfrom {sender}\ntls {'off' if tls == 'none' else 'on'}\n"
                          f"tls_starttls {'on' if tls == 'starttls' else 'off'}\ntls_trust_file {self.server.ca}\n"
                          "set_from_header off\nset_date_header off\nset_msgid_header off\n")
        done = subprocess.run(["msmtp", "-C", str(config), "--", *recipients], input=octets.replace(b"\r\n", b"\n"), capture_output=True, timeout=SECONDS)
        if done.returncode == 0:
            return "250"
        text = done.stderr.decode(errors="replace")
        if "does not support authentication" in text or "authentication method" in text.lower():
            return "AUTH is not offered"
        reply = re.search(r"server message: ([245]\d\d .*)", text)
        return reply.group(1) if reply else text


CLIENTS = {"smtplib": Smtplib, "curl": Curl, "swaks": Swaks, "msmtp": Msmtp}


def fetch(server, account):
    """Whole messages; poplib's lines have a limit that is too small."""
    poplib._MAXLINE = 1 << 20
    pop = poplib.POP3("127.0.0.1", server.pop3_port, timeout=60)
    pop.user(account)
    pop.pass_(PASSWORD)
    got = [b"".join(line + b"\r\n" for line in pop.retr(n)[1]) for n in range(1, pop.stat()[0] + 1)]
    pop.quit()
    return got


def expect(condition, text):
    if not condition:
        raise Failed(text)


def compare(name, account, sent, got):
    expect(len(got) == len(sent), f"{name}: {account} has {len(got)} messages, not {len(sent)}")
    for octets, arrived in zip(sent, got):
        expect(arrived.endswith(octets) and is_trace(arrived[:-len(octets)]),
               f"{name}: a message is not what was sent:\nsent: {octets[:2000]!r}\ngot:  {arrived[:2000]!r}")
        expect(re.search(rb"\tby localhost \(Pier\) with ESMTPSA id ", arrived), f"{name}: no ESMTPSA in Received: {arrived[:500]!r}")


def report_of_success(client, server):
    """RFC 3461 §5.2.3: of a mailbox here, too."""
    with client.connect("tls") as smtp:
        smtp.ehlo()
        smtp.login("ada", PASSWORD)
        smtp.sendmail(f"ada@{DOMAIN}", [f"bob@{DOMAIN}"], message(3, b"Hi\r\n"), ["ENVID=QQ314159", "RET=HDRS"], ["NOTIFY=SUCCESS"])
    expected = (b"Original-Envelope-Id: QQ314159\r\n", b"Final-Recipient: rfc822; bob@" + DOMAIN.encode() + b"\r\nAction: delivered\r\nStatus: 2.0.0\r\n")
    end = time.monotonic() + 30
    while not any(all(line in one for line in expected) for one in fetch(server, "ada")):
        expect(time.monotonic() < end, f"there is no report of success; the last message of ada's is {fetch(server, 'ada')[-1]!r}")
        time.sleep(0.2)


def play(name, server, folder):
    folder.mkdir()
    client = CLIENTS[name](server, folder)
    ada, bob = f"ada@{DOMAIN}", f"bob@{DOMAIN}"
    sent = messages(client.lines_max)
    sent.append(message("large", (b"x" * 70 + b"\r\n") * 100_000))
    sent.append(message("8-bit", "Grüße\r\n..\r\n.\r\n".encode()))
    ways = [(tls, mechanism) for tls in ("starttls", "tls") for mechanism in client.mechanisms]
    for index, octets in enumerate(sent):
        tls, mechanism = ways[index % len(ways)]
        reply = client.send(tls, mechanism, PASSWORD, ada, [bob, ada], octets)
        expect(reply == "250", f"{name}, {mechanism}, {tls}: message {index} was refused: {reply}")
    for account in ("ada", "bob"):
        compare(name, account, sent, fetch(server, account))

    def refused(why, pattern, *arguments):
        reply = client.send(*arguments)
        expect(re.search(pattern, reply), f"{name}: {why}: {reply!r}")
    small, mechanism = message(1, b"Hi\r\n"), client.mechanisms[0]
    refused("a wrong password", r"^535[- ]5\.7\.8", "starttls", mechanism, "wrong", ada, [bob], small)
    refused("no TLS", r"AUTH is not offered", "none", mechanism, PASSWORD, ada, [bob], small)
    refused("another's envelope", r"^550[- ]5\.7\.1", "tls", mechanism, PASSWORD, bob, [bob], small)
    refused("another's From", r"^550[- ]5\.7\.1 From names", "tls", mechanism, PASSWORD, ada, [bob], message(1, b"Hi\r\n", bob))
    refused("nobody", r"550[-, b'\"]+5\.1\.1", "tls", mechanism, PASSWORD, ada, [f"nobody@{DOMAIN}"], small)
    refused("an 8-bit header", r"^554[- ]5\.6\.0", "tls", mechanism, PASSWORD, ada, [bob], message(1, b"Hi\r\n", more="Comments: ä\r\n"))
    if name == "smtplib":
        reply = client.send("tls", "PLAIN", PASSWORD, ada, [bob], message(2, b"Hi\r\n", more="Comments: ä\r\n"), ["SMTPUTF8", "BODY=8BITMIME"])
        expect(reply == "250", f"{name}: SMTPUTF8 was refused: {reply}")
        expect(b" with UTF8SMTPSA id " in fetch(server, "bob")[-1], f"{name}: no UTF8SMTPSA")
        reply = client.send("tls", "PLAIN", PASSWORD, ada, [bob], f"From: {ada}\r\n\r\nHi\r\n".encode())
        expect(reply == "250" and re.search(rb"\nDate: .*\r\nMessage-ID: <.*@localhost>\r\nFrom: ", fetch(server, "bob")[-1]),
               f"{name}: Date and Message-ID were not added: {reply} {fetch(server, 'bob')[-1]!r}")
        sent += [b"", b""]
        report_of_success(client, server)
        sent.append(b"")
    expect(len(fetch(server, "bob")) == len(sent), f"{name}: something that was refused has arrived")
    print(f"{name}: {len(sent)} messages, exact, by {', '.join(f'{m} over {t}' for t, m in ways)}; what must be refused was", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument("clients", nargs="+", choices=list(CLIENTS))
    options = parser.parse_args()
    for name in options.clients:
        with PierServer(options.pier, submission='clear_login = "never"') as server:
            server.cli("domain", "add", DOMAIN)
            for account in ("ada", "bob"):
                server.add_account(account, PASSWORD)
            server.start()
            play(name, server, server.folder / name)
            server.stop()


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
