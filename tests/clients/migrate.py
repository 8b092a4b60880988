#!/usr/bin/env python3
"""Moves mail from real servers to a real Pier with `pier migrate`, while fetchmail and mpop keep their memories of UIDLs: after the move
they download not one message again, and then just the one that is new.

usage: migrate.py --pier PROGRAM --unpacked FOLDER SERVER...     SERVER: maildir, sdbox, mdbox (Dovecot), courier

Dovecot is Debian's; Courier is Debian's, unpacked under FOLDER by packaging/install-deps.sh unpack. Both keep everything in temporary
folders and listen on loopback only.
"""
import argparse
import imaplib
import json
import poplib
import smtplib
import shutil
import subprocess
import sys
from pathlib import Path

from clients import mda_script, read_delivered, run, secret_file
from courier import Courier
from dovecot import Dovecot
from pier_server import Failed, PierServer

ADA, BOB, PASSWORD = "ada@example.org", "bob@example.org", "correct horse battery"
MASTER, MASTER_PASSWORD = "master", "one key for all"
SECONDS = 120


def message(number, lines=3):
    body = "".join(f"line {line} of {number}\n.{line}\n" for line in range(lines))
    return f"From: <sender@example.net>\nTo: <{ADA}>\nSubject: message {number}\nMessage-ID: <{number}@example.net>\n\n{body}".replace("\n", "\r\n").encode()


def deliver(port, recipient, *messages):
    with smtplib.LMTP("127.0.0.1", port, timeout=SECONDS) as lmtp:
        for octets in messages:
            lmtp.sendmail("sender@example.net", [recipient], octets)


def pop3(port, user, password=PASSWORD):
    pop = poplib.POP3("127.0.0.1", port, timeout=SECONDS)
    pop.user(user)
    pop.pass_(password)
    return pop


def listing(port, user, password=PASSWORD):
    """[(UIDL, octets)] in the server's order."""
    pop = pop3(port, user, password)
    uidls = [line.split()[1].decode() for line in pop.uidl()[1]]
    sizes = [int(line.split()[1]) for line in pop.list()[1]]
    pop.quit()
    return list(zip(uidls, sizes, strict=True))


def contents(port, user):
    pop = pop3(port, user)
    messages = [b"\r\n".join(pop.retr(number)[1]) for number in range(1, len(pop.list()[1]) + 1)]
    pop.quit()
    return messages


class Client:
    """A POP3 client that leaves mail on the server and remembers what it has seen, by host and user, whatever the port."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.deliver = mda_script(folder)

    def fetch(self, port, user):
        """Fetches what it holds to be new; gives how many messages that were."""
        before = len(read_delivered(self.folder))
        self.poll(port, user)
        return len(read_delivered(self.folder)) - before


class Fetchmail(Client):
    def poll(self, port, user):
        rc = secret_file(self.folder / "fetchmailrc", f"""
            set invisible
            set no bouncemail
            poll localhost service {port} protocol pop3 uidl timeout {SECONDS}
                user '{user}' password '{PASSWORD}' is 'nobody' here keep sslproto '' mda '{self.deliver}'
        """)
        run(["fetchmail", "--nodetach", "--nosyslog", "-f", rc, "--pidfile", self.folder / "pid", "-i", self.folder / "ids"],
            self.folder, ok=(0, 1))  # 1: there was no mail


class Mpop(Client):
    def poll(self, port, user):
        rc = secret_file(self.folder / "mpoprc", f"""
account test
host localhost
port {port}
user {user}
password "{PASSWORD}"
tls off
auth user
keep on
received_header off
uidls_file {self.folder}/uidls
delivery mda {self.deliver}
""")
        run(["mpop", "-q", "-C", rc, "test"], self.folder)


def expect(what, got, wanted):
    if got != wanted:
        raise Failed(f"{what}: got {got!r}, wanted {wanted!r}")


class Move:
    """One account's move, from its first dry run to the switch."""

    def __init__(self, source, server, arguments):
        self.source = source
        self.server = server
        self.arguments = arguments
        self.user = source.user  # the same name on both sides
        self.clients = [Fetchmail(server.folder / "fetchmail"), Mpop(server.folder / "mpop")]
        self.password_file = secret_file(server.folder / "old-password", PASSWORD + "\n")

    def migrate(self, *options, status=0, arguments=None):
        words = [self.server.pier, "--config", self.server.config, "migrate",
                 *(arguments or [*self.arguments, "--to", self.user, "--password-file", self.password_file]), *options]
        done = subprocess.run([str(word) for word in words], capture_output=True, timeout=SECONDS, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != status:
            raise Failed(f"{' '.join(map(str, words))} ended with {done.returncode}, not {status}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def dry_run(self, status):
        """The signs and UIDLs of the INBOX, and the last line."""
        lines = self.migrate("--dry-run", status=status).splitlines()
        inbox = []
        for line in lines[1:-1] if lines[0] == "INBOX" else []:
            if line[1:2] != " ":
                break
            inbox.append(line.split("  ")[0])
        return inbox, lines[-1]

    def fetch_all(self, port, user, wanted):
        for client in self.clients:
            expect(f"{type(client).__name__} from port {port}", client.fetch(port, user), wanted)

    def compare(self):
        old, new = self.source.pop3_port, self.server.pop3_port
        expect("UIDLs and octets in their order", listing(new, self.user), listing(old, self.user))
        expect("octets of all messages", contents(new, self.user), contents(old, self.user))
        expect("flags", flags_here(self.server, self.user), flags_there(self.source, self.user))


def imap(source, user):
    session = imaplib.IMAP4("127.0.0.1", source.imap_port, timeout=SECONDS)
    session.login(user, PASSWORD)
    return session


def ok(answer):
    if answer[0] != "OK":
        raise Failed(f"the old server said {answer}")
    return answer[1]


def fill(source, folder):
    """Twelve messages, two of which go again, flags, and a folder with a date of its own."""
    source.deliver(*(message(number) for number in range(1, 12)), message(12, lines=3000))
    session = imap(source, source.user)
    ok(session.select("INBOX"))
    ok(session.store("2", "+FLAGS", r"(\Seen \Flagged)"))
    ok(session.store("4", "+FLAGS", r"(\Answered)"))
    ok(session.store("3,7", "+FLAGS", r"(\Deleted)"))
    ok(session.expunge())
    ok(session.create(folder))
    ok(session.append(folder, r"(\Seen)", '"01-Jan-2020 10:00:00 +0000"', message("kept")))
    session.logout()


def flags_here(server, user):
    return [entry["flags"] for entry in json.loads(server.cli("--json", "account", "messages", user))["messages"]]


def flags_there(source, user):
    session = imap(source, user)
    ok(session.select("INBOX", readonly=True))
    bits = {rb"\Seen": 1, rb"\Answered": 2, rb"\Flagged": 4}
    flags = [sum(bits.get(flag, 0) for flag in imaplib.ParseFlags(line)) for line in ok(session.fetch("1:*", "(FLAGS)"))]
    session.logout()
    return flags


def move(source, server, arguments):
    folder = source.folder_name
    fill(source, folder)
    moved = Move(source, server, arguments)
    user = source.user
    moved.fetch_all(source.pop3_port, user, 10)
    moved.fetch_all(source.pop3_port, user, 0)
    old = [uidl for uidl, octets in listing(source.pop3_port, user)]

    # The dry run shows every UIDL in its order and changes nothing.
    lines, last = moved.dry_run(status=1)
    expect("the first dry run", lines, [f"+ {uidl}" for uidl in old])
    expect("its end", "11 to be added" in last, True)
    expect("what a dry run changes", listing(server.pop3_port, user), [])

    # The first run, and that it may run again.
    text = moved.migrate()
    expect("the first run", ("11 added" in text, "nothing differs" in text), (True, True))
    moved.compare()
    lines, last = moved.dry_run(status=0)
    expect("the dry run behind it", lines, [f"= {uidl}" for uidl in old])
    text = moved.migrate()
    expect("the second run", ("0 added, 0 changed, 0 removed" in text, "nothing differs" in text), (True, True))
    expect("flags of the second and third", [flags & 6 for flags in flags_here(server, user)[1:3]], [4, 2])

    # Life goes on at the old server: new mail, a flag, something deleted.
    source.deliver(message(13))
    session = imap(source, user)
    ok(session.select("INBOX"))
    ok(session.store("1", "+FLAGS", r"(\Flagged)"))
    ok(session.store("5", "+FLAGS", r"(\Deleted)"))
    ok(session.expunge())
    session.logout()
    moved.fetch_all(source.pop3_port, user, 1)
    now = [uidl for uidl, octets in listing(source.pop3_port, user)]
    lines, last = moved.dry_run(status=1)
    wanted = [f"= {uidl}" for uidl in old]
    wanted[0], wanted[4] = f"~ {old[0]}", f"- {old[4]}"
    expect("what has changed", lines, [*wanted, f"+ {now[-1]}"])
    text = moved.migrate(status=1)
    expect("without --delete", ("1 added, 1 changed, 0 removed" in text, "1 gone at the source" in text), (True, True))
    text = moved.migrate("--delete")
    expect("with --delete", ("0 added, 0 changed, 1 removed" in text, "nothing differs" in text), (True, True))
    moved.compare()

    # The switch: the clients find the same UIDLs at another port of the same host.
    moved.fetch_all(server.pop3_port, user, 0)
    server.cli("deliver", user, input=message(14))
    moved.fetch_all(server.pop3_port, user, 1)
    # What somebody deletes here does not come back, and mail that came in here is left alone.
    pop = pop3(server.pop3_port, user)
    pop.dele(1)
    pop.quit()
    text = moved.migrate("--delete")
    expect("behind the switch", ("0 added, 0 changed, 0 removed" in text, "nothing differs" in text), (True, True))
    expect("messages here", len(listing(server.pop3_port, user)), len(now))
    return moved


def by_servers(source, kind):
    return [kind, "--from", f"imap://{source.user}@localhost:{source.imap_port}", "--uidl-from", f"pop3://localhost:{source.pop3_port}"]


def dovecot(pier, location, settings, more):
    with Dovecot(location, {ADA: PASSWORD, BOB: PASSWORD}, {MASTER: MASTER_PASSWORD}, settings) as source:
        source.user, source.folder_name = ADA, "Work/2026"
        source.deliver = lambda *messages: deliver(source.lmtp_port, ADA, *messages)
        with PierServer(pier) as server:
            server.cli("domain", "add", "example.org")
            for name in (ADA, BOB):
                server.add_account(name, PASSWORD)
            server.start()
            moved = move(source, server, [*by_servers(source, "dovecot"), "--ca-file", source.ca])
            more(source, server, moved)


def masters_and_lists(source, server, moved):
    """Many accounts by a master user and by a list; one that fails does not stop the rest."""
    deliver(source.lmtp_port, BOB, message("for bob"))
    servers = ["dovecot", "--from", f"imaps://localhost:{source.imaps_port}", "--uidl-from", f"pops://localhost:{source.pop3s_port}",
               "--ca-file", source.ca]
    master = secret_file(server.folder / "master", MASTER_PASSWORD + "\n")
    users = server.folder / "users"
    users.write_text(f"{ADA} nobody@example.org\n{BOB} {BOB}\n")
    text = moved.migrate(arguments=[*servers, "--master", MASTER, "--password-file", master, "--users", users], status=1)
    expect("a list of two", (f"{BOB}: 1 added" in text, "2 accounts: 1 the same, 0 differ, 1 failed" in text), (True, True))
    expect("bob's UIDLs", listing(server.pop3_port, BOB), listing(source.pop3_port, BOB))
    text = moved.migrate(arguments=[*servers, "--to", BOB, "--user", f"{BOB}*{MASTER}", "--password-file", master])
    expect("as OTHER*MASTER", "nothing differs" in text, True)
    secret_file(users, f"{BOB} {BOB} wrong\n{BOB} {BOB} {PASSWORD}\n")
    text = moved.migrate(arguments=[*servers, "--users", users], status=1)
    expect("a list with passwords", ("0 added" in text, "1 the same, 0 differ, 1 failed" in text), (True, True))
    # By POP3 alone, and with UIDLs made by Dovecot's format.
    text = moved.migrate("--dry-run", arguments=["pop3", "--from", f"pops://{BOB}@localhost:{source.pop3s_port}", "--ca-file", source.ca,
                                                 "--to", BOB, "--password-file", moved.password_file])
    expect("by POP3", "nothing differs" in text, True)
    text = moved.migrate("--dry-run", "--uidl-format", "dovecot",
                         arguments=["imap", "--from", f"imaps://{BOB}@localhost:{source.imaps_port}", "--ca-file", source.ca, "--to", BOB,
                                    "--password-file", moved.password_file])
    expect("by a format", "nothing differs" in text, True)
    # Nobody is trusted without being named.
    moved.migrate(arguments=["pop3", "--from", f"pops://{BOB}@localhost:{source.pop3s_port}", "--to", BOB,
                             "--password-file", moved.password_file], status=1)


def files(source, server, moved):
    """The same maildir from its files, into another account: the same UIDLs in the same order."""
    path = source.maildir(ADA)
    text = moved.migrate(arguments=["dovecot", path, "--to", BOB])
    expect("from files", "nothing differs" in text, True)
    expect("UIDLs from files", listing(server.pop3_port, BOB), listing(source.pop3_port, ADA))
    server.stop()
    # On the store itself Pier has no right to the files of others, also when root has started it.
    copy = server.folder / "copy"
    shutil.copytree(path, copy)
    text = moved.migrate(arguments=["dovecot", "--maildir", copy, "--to", BOB, "--delete"])
    expect("while no server runs", ("0 added, 0 changed, 0 removed" in text, "nothing differs" in text), (True, True))
    server.start()


def courier(pier, unpacked):
    with Courier(unpacked, "ada", PASSWORD) as source:
        source.user, source.folder_name = "ada", "INBOX.Work.2026"
        with PierServer(pier) as server:
            server.cli("domain", "add", "example.org")
            for name in ("ada", BOB):
                server.add_account(name, PASSWORD)
            server.start()
            moved = move(source, server, [*by_servers(source, "courier"), "--insecure"])
            text = moved.migrate(arguments=["courier", source.maildir, "--to", BOB])
            expect("from files", "nothing differs" in text, True)
            expect("UIDLs from files", listing(server.pop3_port, BOB), listing(source.pop3_port, "ada"))


SERVERS = {
    "maildir": lambda options: dovecot(options.pier, "maildir:~/Maildir", "pop3_save_uidl = yes\npop3_uidl_format = %v.%u", files),
    "sdbox": lambda options: dovecot(options.pier, "sdbox:~/sdbox", "", masters_and_lists),
    "mdbox": lambda options: dovecot(options.pier, "mdbox:~/mdbox", "pop3_uidl_format = %g", lambda *_: None),
    "courier": lambda options: courier(options.pier, options.unpacked),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument("--unpacked", type=Path, required=True)
    parser.add_argument("servers", nargs="+", choices=sorted(SERVERS))
    options = parser.parse_args()
    for name in options.servers:
        SERVERS[name](options)
        print(f"{name}: moved; nothing was downloaded again", flush=True)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
