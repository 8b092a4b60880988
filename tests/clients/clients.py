#!/usr/bin/env python3
"""Real POP3 clients fetch the nasty corpus from a real server, over plain, STLS and TLS, and what they got is compared
with the canonical form of what went in, octet for octet.

usage: clients.py --pier PROGRAM CLIENT...

Each client changes something of its own accord. What it does is undone, or the messages that it cannot take unharmed are
named, at the client's function below, with the reason; everything else must be exact. A message that a client changes
must still arrive.
"""
import argparse
import os
import poplib
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

from mail_corpus import corpus, imported, write_corpus
from pier_server import Failed, PierServer

USER, PASSWORD = "ada", "correct horse battery"
HERE = Path(__file__).resolve().parent
SECONDS = 300


def run(command, folder, **options):
    """Runs a client; `ok` are exit statuses that mean success."""
    ok = options.pop("ok", (0,))
    environment = {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    done = subprocess.run([str(word) for word in command], cwd=folder, env=environment, capture_output=True, timeout=SECONDS, **options)
    if done.returncode not in ok:
        raise Failed(f"{command[0]} ended with status {done.returncode}:\n{done.stderr.decode(errors='replace')[-2000:]}{done.stdout.decode(errors='replace')[-2000:]}")
    return done.stdout


def port_of(server, mode):
    return server.pop3s_port if mode == "tls" else server.pop3_port


def secret_file(path, text):
    path.touch(0o600)
    path.write_text(text)
    return path


def read_numbered(folder, count):
    """Files 1 to `count`."""
    return [(folder / str(n)).read_bytes() for n in range(1, count + 1)]


# Each function fetches all `count` messages and gives them as octets, with CRLF line ends, in any order.

def curl(server, mode, folder, count):
    scheme = "pop3s" if mode == "tls" else "pop3"
    tls = {"plain": [], "stls": ["--ssl-reqd", "--cacert", server.ca], "tls": ["--cacert", server.ca]}[mode]
    run(["curl", "-sS", "-u", f"{USER}:{PASSWORD}", *tls, f"{scheme}://localhost:{port_of(server, mode)}/[1-{count}]", "-o", folder / "#1"], folder)
    return read_numbered(folder, count)


def poplib_client(server, mode, folder, count):
    # poplib refuses lines of more than 2,048 octets; the limit is a variable of the module.
    poplib._MAXLINE = 1 << 20
    context = ssl.create_default_context(cafile=str(server.ca)) if mode != "plain" else None
    if mode == "tls":
        pop = poplib.POP3_SSL("localhost", server.pop3s_port, context=context, timeout=SECONDS)
    else:
        pop = poplib.POP3("localhost", server.pop3_port, timeout=SECONDS)
    if mode == "stls":
        pop.stls(context)
    pop.user(USER)
    pop.pass_(PASSWORD)
    fetched = []
    for number in range(1, count + 1):
        lines = pop.retr(number)[1]
        fetched.append(b"".join(line + b"\r\n" for line in lines))
    pop.quit()
    return fetched


def net_pop3(server, mode, folder, count):
    # Net::Cmd turns CRLF into LF, but only without TLS; undone by turning LF back.
    run(["/usr/bin/perl", HERE / "net_pop3.pl", mode, port_of(server, mode), USER, PASSWORD, server.ca, folder], folder)
    fetched = read_numbered(folder, count)
    return [message.replace(b"\n", b"\r\n") for message in fetched] if mode == "plain" else fetched


def mda_script(folder):
    """A delivery program that writes each message, as it comes on standard input, to a file of its own."""
    (folder / "mail").mkdir()
    script = folder / "deliver"
    script.write_text(f'#!/bin/sh\nexec cat >"$(mktemp {folder}/mail/XXXXXXXX)"\n')
    script.chmod(0o700)
    return script


def read_delivered(folder):
    # Delivery programs get LF line ends.
    return [path.read_bytes().replace(b"\n", b"\r\n") for path in (folder / "mail").iterdir()]


def fetchmail(server, mode, folder, count):
    proto = {"plain": "sslproto ''", "stls": "sslproto 'TLS1.2+'", "tls": "ssl"}[mode]
    trust = "" if mode == "plain" else f"sslcertck sslcertfile '{server.ca}' sslcommonname 'localhost'"
    rc = secret_file(folder / "fetchmailrc", f"""
        set invisible
        set no bouncemail
        poll localhost service {port_of(server, mode)} protocol pop3 timeout {SECONDS} bad-header accept
            user '{USER}' password '{PASSWORD}' is 'nobody' here keep fetchall no rewrite no stripcr no mimedecode pass8bits
            {proto} {trust} mda '{mda_script(folder)}'
    """)
    run(["fetchmail", "--nodetach", "--nosyslog", "-f", rc, "--pidfile", folder / "pid", "-i", folder / "ids"], folder)
    return [path.read_bytes() for path in (folder / "mail").iterdir()]


def mpop(server, mode, folder, count):
    # Without TLS mpop sends a password only when told to.
    tls = {"plain": "tls off\nauth user", "stls": f"tls on\ntls_starttls on\ntls_trust_file {server.ca}",
           "tls": f"tls on\ntls_starttls off\ntls_trust_file {server.ca}"}[mode]
    rc = secret_file(folder / "mpoprc", f"""
account test
host localhost
port {port_of(server, mode)}
user {USER}
password "{PASSWORD}"
{tls}
keep on
received_header off
uidls_file {folder}/uidls
delivery mda {mda_script(folder)}
""")
    run(["mpop", "-q", "-C", rc, "test"], folder)
    return read_delivered(folder)


def getmail(server, mode, folder, count):
    kind = "SimplePOP3SSLRetriever" if mode == "tls" else "SimplePOP3Retriever"
    tls = f"ca_certs = {server.ca}\n" if mode == "tls" else ""
    secret_file(folder / "getmailrc", f"""[retriever]
type = {kind}
server = localhost
port = {port_of(server, mode)}
username = {USER}
password = {PASSWORD}
{tls}timeout = {SECONDS}
[destination]
type = MDA_external
path = {mda_script(folder)}
allow_root_commands = true
[options]
read_all = true
delete = false
received = false
delivered_to = false
verbose = 0
""")
    run(["getmail", "--getmaildir", folder, "--rcfile", "getmailrc"], folder)
    return read_delivered(folder)


def getmail_form(message):
    """getmail parses every message with Python's email package and writes it anew. What it makes of the octets that went
    in must equal what it made of those it fetched."""
    from getmailcore.message import Message
    return Message(fromlines=message.split(b"\r\n")).flatten(False, False).replace(b"\n", b"\r\n")


class Client:
    def __init__(self, fetch, modes=("plain", "stls", "tls"), form=lambda message: message, changes=None):
        self.fetch = fetch
        self.modes = modes
        self.form = form                # what this client makes of a message, always
        self.changes = changes or {}    # messages that it changes of its own accord: {reason: names}

    def changes_message(self, name):
        return any(name in names for names in self.changes.values())


CLIENTS = {
    "curl": Client(curl),
    "poplib": Client(poplib_client),
    "net_pop3": Client(net_pop3),
    "fetchmail": Client(fetchmail, changes={
        "puts a header of its own in front of a message without one": [
            "only-crlf.eml", "only-lf.eml", "body-only.eml", "crlf-10000.eml"],
        "adds an empty line after a header that ends without one": [
            "headers-only.eml", "headers-only-no-newline.eml", "only-dot.eml", "only-dot-crlf.eml", "python-msg_35.eml"],
        "does not undo dot-stuffing within the header": ["dots-in-headers.eml"],
        "breaks lines that are longer than its buffer": ["line-100000.eml"],
    }),
    "mpop": Client(mpop),
    # getmail 6 has no STLS.
    "getmail": Client(getmail, modes=("plain", "tls"), form=getmail_form),
}


def compare(name, mode, client, messages, fetched):
    """Raises unless what was fetched is what went in: as many, each exact, but for those the client changes."""
    if len(fetched) != len(messages):
        raise Failed(f"{name} over {mode}: {len(messages)} messages went in, {len(fetched)} came out")
    wanted = {}
    for sent, octets in messages.items():
        wanted.setdefault(client.form(imported(octets)), []).append(sent)
    strange = []
    for message in fetched:
        if wanted.get(message):
            wanted[message].pop()
        else:
            strange.append(message)
    missing = sorted(n for names in wanted.values() for n in names)
    surprising = [n for n in missing if not client.changes_message(n)]
    if surprising:
        keep = Path(tempfile.mkdtemp(prefix="pier-strange-"))
        for number, message in enumerate(strange):
            (keep / f"got-{number}").write_bytes(message)
        for n in missing:
            (keep / f"sent-{n}").write_bytes(client.form(imported(messages[n])))
        raise Failed(f"{name} over {mode}: not octet for octet: {', '.join(surprising)}; what was sent and got is in {keep}")
    print(f"{name} over {mode}: {len(messages) - len(missing)} messages exact" +
          (f", {len(missing)} changed by the client as known ({', '.join(missing)})" if missing else ""), flush=True)


def main(server_class=PierServer):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument("clients", nargs="+", choices=sorted(CLIENTS))
    options = parser.parse_args()
    messages = corpus()
    failures = 0
    with server_class(options.pier) as server:
        write_corpus(server.folder / "corpus", messages)
        server.add_account(USER, PASSWORD)
        server.cli("import", "eml", USER, server.folder / "corpus")
        server.start()
        for name in options.clients:
            for mode in CLIENTS[name].modes:
                folder = server.folder / f"{name}-{mode}"
                folder.mkdir()
                try:
                    fetched = CLIENTS[name].fetch(server, mode, folder, len(messages))
                    compare(name, mode, CLIENTS[name], messages, fetched)
                except Failed as failure:
                    print(f"FAILED {failure}", flush=True)
                    failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
