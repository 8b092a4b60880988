"""rspamd looks at what comes in over SMTP: its verdicts become replies, fields and mailboxes, and what becomes of mail
while it is down is as the configuration says. Debian's rspamd, unpacked by packaging/install-deps.sh, on loopback.

    spam.py --pier build/release/pier --unpacked build/unpacked
"""
import argparse
import os
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

from dns_server import DnsServer, Zone
from pier_server import Failed, PierServer, free_ports

PASSWORD = "correct horse battery"
SECONDS = 60
# rspamd knows these by heart (enable_test_patterns).
GTUBE = "{}JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


class Rspamd:
    def __init__(self, unpacked, folder, keys, dns):
        self.root = (unpacked / "rspamd").resolve()
        if not (self.root / "usr/bin/rspamd").exists():
            raise Failed(f"there is no rspamd under {self.root}; run packaging/install-deps.sh unpack")
        self.folder = folder
        self.port, = free_ports(1)
        self.process = None
        folder.mkdir()
        # A copy that a user without rights may read, wherever the sources are; also a short list of top-level domains: compiling
        # the long one takes minutes.
        shutil.copytree(self.root / "usr/share/rspamd", folder / "share")
        (folder / "tld").write_text("org\nnet\ncom\nexample\n")
        (folder / "run").mkdir()
        self.write_configuration(keys, dns)
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", "nobody", folder], check=True)

    def write_configuration(self, keys, dns):
        share = self.folder / "share"
        (self.folder / "rspamd.conf").write_text(f"""
lua = "{share}/rules/rspamd.lua"
modules {{ path = "{share}/plugins/milter_headers.lua"; path = "{share}/plugins/dkim_signing.lua"; }}
options {{
  pidfile = "{self.folder}/run/rspamd.pid"; filters = "dkim"; enable_test_patterns = true; url_tld = "{self.folder}/tld";
  control_socket = "{self.folder}/run/control.sock mode=0600"; cache_file = "{self.folder}/run/symbols.cache";
  rrd = ""; history_file = ""; tempdir = "{self.folder}/run"; local_addrs = [];
  dns {{ nameserver = ["{dns.address}:1"]; timeout = 5s; retransmits = 1; }}
}}
logging {{ type = "console"; level = "info"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{self.port}"; count = 1; }}
actions {{ reject = 15; add_header = 6; greylist = 4; }}
# The test is on the machine itself, which rspamd trusts otherwise.
milter_headers {{ use = ["authentication-results"]; skip_local = false; }}
dkim {{ check_local = true; }}
dkim_signing {{ path = "{keys}/$domain.$selector.key"; selector = "pier"; allow_username_mismatch = true; }}
""")

    def start(self):
        library = self.root / "usr/lib/x86_64-linux-gnu"
        share = self.folder / "share"
        places = {"DBDIR": self.folder / "run", "RUNDIR": self.folder / "run", "CONFDIR": self.root / "etc/rspamd", "SHAREDIR": share,
                  "LUALIBDIR": share / "lualib", "PLUGINSDIR": share / "plugins", "RULESDIR": share / "rules"}
        user = {"user": "nobody", "extra_groups": []} if os.getuid() == 0 else {}
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.root / "usr/bin/rspamd", "-f", "-c", self.folder / "rspamd.conf"] +
                [f"--var={name}={place}" for name, place in places.items()],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
                env={**os.environ, "LD_LIBRARY_PATH": f"{library}:{self.root}/usr/lib/rspamd"}, **user)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Failed(f"rspamd ended with status {self.process.returncode}:\n{(self.folder / 'log').read_text()[-3000:]}")
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as ask:
                    ask.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
                    if b"pong" in ask.recv(4096):
                        return
            except OSError:
                pass
            time.sleep(0.2)   # it says nowhere that it is ready
        raise Failed(f"rspamd did not answer within {SECONDS} s:\n{(self.folder / 'log').read_text()[-3000:]}")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=SECONDS)
            self.process = None


def send(server, body, fields="", recipient="ada@example.org"):
    """The reply to the message."""
    message = (f"From: Eve <eve@example.com>\r\nTo: <{recipient}>\r\nSubject: x\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
               f"Message-ID: <1@example.com>\r\n{fields}\r\n{body}\r\n")
    with smtplib.SMTP("127.0.0.1", server.smtp_port, local_hostname="client.example", timeout=SECONDS) as client:
        client.ehlo()
        client.mail("eve@example.com")
        code, text = client.rcpt(recipient)
        if code != 250:
            raise Failed(f"RCPT: {code} {text}")
        return client.data(message)


def mail_of(server, account="ada"):
    import poplib
    client = poplib.POP3("127.0.0.1", server.pop3_port, timeout=SECONDS)
    client.user(account)
    client.pass_(PASSWORD)
    messages = []
    for number in range(1, client.stat()[0] + 1):
        messages.append(b"\r\n".join(client.retr(number)[1]).decode())
        client.dele(number)
    client.quit()
    return messages


def expect(what, good, seen):
    if not good:
        raise Failed(f"{what}: {seen}")
    print(f"fine: {what}", flush=True)


def check_verdicts(server):
    reply = send(server, "Hello", "Authentication-Results: localhost; spf=pass\r\nX-Spam: No\r\n")
    expect("plain mail is taken", reply[0] == 250, reply)
    message, = mail_of(server)
    head = message.split("\r\n\r\n")[0]
    expect("it has results of ours", head.count("Authentication-Results: localhost") == 1 and "dkim=none" in head, head)
    expect("a claim in our name is gone", "spf=pass" not in head and "X-Spam" not in head, head)
    expect("they stand above Received", head.index("Authentication-Results") < head.index("Received:"), head)

    reply = send(server, GTUBE.format("X"))
    expect("spam is refused", reply[0] == 554 and reply[1].startswith(b"5.7.1"), reply)
    expect("nothing of it is kept", mail_of(server) == [], "a message")

    reply = send(server, GTUBE.format("Y"))
    expect("what may be spam is taken", reply[0] == 250, reply)
    message, = mail_of(server)
    expect("and marked", "\r\nX-Spam: Yes\r\n" in message and "X-Spam-Status: Yes, score=" in message, message)


def check_signature(server):
    """What a user submits is signed with the key that pier has made, and the record that pier has printed is what it is verified with."""
    with smtplib.SMTP_SSL("localhost", server.submissions_port, timeout=SECONDS, context=ssl.create_default_context(cafile=str(server.ca))) as client:
        client.login("ada", PASSWORD)
        client.sendmail("ada@example.org", ["ada@example.org"], "From: Ada <ada@example.org>\r\nTo: ada@example.org\r\nSubject: signed\r\n"
                        "Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <2@example.org>\r\n\r\nHello\r\n")
    signed, = mail_of(server)
    head = signed.split("\r\n\r\n")[0]
    signature = "".join(head.partition("DKIM-Signature:")[2].split())
    expect("what a user submits is signed", "d=example.org" in signature and "s=pier" in signature, head)
    for what, message, verdict in (("its signature is right", signed, "dkim=pass"), ("a change is noticed", signed.replace("Hello", "Hullo"), "dkim=fail")):
        with smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=SECONDS) as client:
            client.sendmail("ada@example.org", ["ada@example.org"], message)
        arrived, = mail_of(server)
        expect(what, verdict in arrived.partition("Authentication-Results: localhost")[2].split("\r\n\r\n")[0], arrived)


def check_down(server, refuses):
    reply = send(server, "Hello")
    if refuses:
        expect("while it is down mail is refused for now", reply[0] == 451 and reply[1].startswith(b"4.7.1"), reply)
    else:
        expect("while it is down mail is taken", reply[0] == 250, reply)
        message, = mail_of(server)
        expect("and says so", "X-Spam-Status: unchecked" in message, message)
    log = server.log.read_text()
    expect("the log is loud", "level=error event=filter.down" in log, log[-2000:])


def settings(rspamd, more=""):
    return f'[filter]\nrspamd = "127.0.0.1:{rspamd.port}"\n{more}'


def prepare(server):
    server.cli("domain", "add", "example.org")
    server.add_account("ada", PASSWORD)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument("--unpacked", required=True, type=Path)
    options = parser.parse_args()
    with PierServer(options.pier) as keeper:   # its folder holds rspamd's, and it goes with it
        keeper.cli("domain", "add", "example.org")
        record = keeper.cli("domain", "dkim", "example.org").decode().partition(" IN TXT ")[2]
        keys = keeper.folder / "keys"
        keys.mkdir()
        shutil.copyfile(keeper.folder / "data/dkim/example.org.pier.key", keys / "example.org.pier.key")    # readable for rspamd's user
        dns = DnsServer(options.unpacked, keeper.folder / "dns", {"example.org": Zone(f"pier._domainkey TXT {record}\n")})
        rspamd = Rspamd(options.unpacked, keeper.folder / "rspamd", keys, dns)
        dns.start()
        try:
            rspamd.start()
            with PierServer(options.pier, settings=settings(rspamd)) as server:
                prepare(server)
                server.start()
                check_verdicts(server)
                check_signature(server)
                rspamd.stop()
                check_down(server, refuses=False)
                rspamd.start()
                expect("once it is back it is asked again", send(server, GTUBE.format("X"))[0] == 554, "taken")
            with PierServer(options.pier, settings=settings(rspamd, 'when_down = "refuse"\njunk = true\n')) as server:
                prepare(server)
                server.start()
                expect("what may be spam goes to Junk", send(server, GTUBE.format("Y"))[0] == 250 and mail_of(server) == [], "INBOX")
                shown = server.cli("account", "show", "ada", "--json").decode()
                expect("which was made for it", '"Junk"' in shown, shown)
                rspamd.stop()
                check_down(server, refuses=True)
        finally:
            rspamd.stop()
            dns.stop()


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
