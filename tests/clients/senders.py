#!/usr/bin/env python3
"""Real mail servers deliver the nasty corpus to a real Pier over LMTP, on TCP and on a Unix socket, and over SMTP with
STARTTLS, and what POP3 gives back is compared octet for octet.

usage: senders.py --pier PROGRAM --unpacked FOLDER SENDER...        SENDER: postfix, exim

The servers are Debian's, unpacked under FOLDER by packaging/install-deps.sh unpack and run from there, each with a
configuration, a queue and ports of its own. Postfix's master must start as root: without root this starts itself again
through sudo.
"""
import argparse
import os
import poplib
import pwd
import re
import shutil
import smtplib
import subprocess
import sys
import time
from pathlib import Path

from mail_corpus import corpus
from pier_server import Failed, PierServer, canonical
from postfix import Postfix

PASSWORD = "correct horse battery"
SECONDS = 180
TCP_DOMAIN, UNIX_DOMAIN, SMTP_DOMAIN = "tcp.pier.example", "unix.pier.example", "smtp.pier.example"
SENDER = "outside@example.net"
LONE_CR = re.compile(rb"\r(?!\n)")


class PostfixSender(Postfix):
    name = "postfix"
    speaks_smtp = True
    # What Postfix itself changes in a message on its way: {reason: names}.
    changes = {
        "turns a lone CR into a space": [
            "all-octets.eml", "cr-at-end.eml", "cr-cr-lf.eml", "cr-lone.eml", "dot-after-lone-cr.eml", "lf-cr.eml", "utf16-attachment-raw.eml"],
        "writes X-Mailbox-Line: in front of a first line that begins with 'From '": [
            "mbox-from-first.eml", "python-msg_25.eml", "python-msg_43.eml"],
        "adds an empty line before a line that ends the header and is no field": ["python-msg_35.eml"],
    }

    def __init__(self, unpacked, folder, server):
        super().__init__(unpacked, folder, f"""
myhostname = mx.example.net
mydestination =
# No field is added to a message that lacks it.
local_header_rewrite_clients =
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
relay_domains = {TCP_DOMAIN}, {UNIX_DOMAIN}, {SMTP_DOMAIN}
transport_maps = inline:{{ {TCP_DOMAIN}=lmtp:inet:[127.0.0.1]:{server.lmtp_port}, {UNIX_DOMAIN}=lmtp:unix:{server.lmtp_socket}, {SMTP_DOMAIN}=smtp:[127.0.0.1]:{server.smtp_port} }}
smtputf8_enable = yes
message_size_limit = 0
hopcount_limit = 1000
header_size_limit = 1000000
# Nothing of the message is to be changed: the comparison is octet for octet.
message_drop_headers =
disable_mime_input_processing = yes
disable_mime_output_conversion = yes
lmtp_line_length_limit = 0
smtp_line_length_limit = 0
smtp_tls_security_level = encrypt
""")

    def submit(self, recipients, message):
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as smtp:
            smtp.ehlo("client.example.net")
            smtp.mail(SENDER, ["BODY=8BITMIME"])
            for recipient in recipients:
                smtp.rcpt(recipient)
            smtp.docmd("DATA")
            smtp.send(stuffed(message))
            code, text = smtp.getreply()
            if code != 250:
                raise Failed(f"postfix did not take the message: {code} {text.decode()}")


def exim_environment(folder):
    """The program insists on its package's user by name; nss_wrapper gives that name to a user of the base system."""
    mail = pwd.getpwnam("mail")
    passwd = Path("/etc/passwd").read_text() + f"\nDebian-exim:x:{mail.pw_uid}:{mail.pw_gid}::/:/bin/false\n"
    (folder / "passwd").write_text(passwd)
    (folder / "group").write_text(Path("/etc/group").read_text() + f"\nDebian-exim:x:{mail.pw_gid}:\n")
    return {"PATH": os.environ["PATH"], "LD_PRELOAD": "libnss_wrapper.so", "NSS_WRAPPER_PASSWD": f"{folder}/passwd",
            "NSS_WRAPPER_GROUP": f"{folder}/group"}


class Exim:
    name = "exim"
    speaks_smtp = False     # it takes the corpus over LMTP only
    changes = {
        "turns a lone CR into a line end": [
            "all-octets.eml", "cr-at-end.eml", "cr-cr-lf.eml", "cr-lone.eml", "dot-after-lone-cr.eml", "lf-cr.eml", "utf16-attachment-raw.eml"],
        "adds an empty line after a header that ends without one": [
            "headers-only.eml", "headers-only-no-newline.eml", "python-msg_19.eml", "python-msg_35.eml"],
        "does not double a dot within the header on a Unix socket": ["dots-in-headers.eml"],
        "completes addresses without a domain": ["python-msg_05.eml", "python-msg_15.eml"],
    }

    def __init__(self, unpacked, folder, server):
        self.folder = folder
        folder.mkdir()
        # It starts itself again as another user, who may not enter the folders above the unpacked one.
        self.program = folder / "exim4"
        shutil.copy(unpacked / "exim4-daemon-light/usr/sbin/exim4", self.program)
        (folder / "spool").mkdir()
        self.config = folder / "exim.conf"
        self.environment = exim_environment(folder)
        user = pwd.getpwuid(os.getuid()).pw_name
        self.config.write_text(f"""
primary_hostname = mx.example.net
exim_path = {self.program}
exim_user = mail
exim_group = mail
spool_directory = {folder}/spool
log_file_path = {folder}/log-%s
never_users =
trusted_users = {user} : mail
domainlist here = {TCP_DOMAIN} : {UNIX_DOMAIN} : {SMTP_DOMAIN}
allow_utf8_domains = true
keep_environment = LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
check_spool_space = 0
check_log_space = 0
check_spool_inodes = 0
check_log_inodes = 0
bounce_return_body = true
message_size_limit = 0
received_headers_max = 1000
# Nothing of the message is to be changed: the comparison is octet for octet.
return_path_remove = false
delivery_date_remove = false
envelope_to_remove = false
acl_smtp_rcpt = take_all
header_maxsize = 4M
header_line_maxsize = 1M
begin acl
take_all:
  accept
    control = suppress_local_fixups
begin routers
tcp:
  driver = manualroute
  domains = {TCP_DOMAIN}
  transport = lmtp_tcp
  route_list = * 127.0.0.1
  self = send
smtp:
  driver = manualroute
  domains = {SMTP_DOMAIN}
  transport = smtp_tcp
  route_list = * 127.0.0.1
  self = send
unix:
  driver = accept
  domains = {UNIX_DOMAIN}
  transport = lmtp_unix
begin transports
lmtp_tcp:
  driver = smtp
  protocol = lmtp
  port = {server.lmtp_port}
  allow_localhost
  hosts_try_chunking = *
  message_linelength_limit = 1G
smtp_tcp:
  driver = smtp
  port = {server.smtp_port}
  allow_localhost
  hosts_require_tls = *
  tls_verify_hosts = :
  tls_try_verify_hosts = :
  hosts_try_chunking = *
  message_linelength_limit = 1G
lmtp_unix:
  driver = lmtp
  socket = {server.lmtp_socket}
  batch_max = 50
  user = mail
begin retry
* * F,1h,1m
""")
        self.config.chmod(0o644)

    def start(self):
        shutil.chown(self.folder / "spool", "mail", "mail")
        self.folder.chmod(0o777)

    def log(self):
        return "\n".join(path.read_text(errors="replace") for path in self.folder.glob("log-*"))

    def submit(self, recipients, message):
        # -bS takes BSMTP on standard input: the dialogue, so that dots and line ends are the SMTP ones.
        script = f"EHLO client.example.net\r\nMAIL FROM:<{SENDER}>\r\n".encode()
        script += b"".join(f"RCPT TO:<{recipient}>\r\n".encode() for recipient in recipients)
        script += b"DATA\r\n" + stuffed(message) + b"QUIT\r\n"
        done = subprocess.run([self.program, "-C", self.config, "-odi", "-bs"], input=script, env=self.environment, capture_output=True, timeout=120)
        if b"\r\n250 OK id=" not in done.stdout.replace(b"\n", b"\r\n").replace(b"\r\r", b"\r"):
            raise Failed(f"exim did not take the message: {done.stdout.decode(errors='replace')[-500:]} {done.stderr.decode(errors='replace')[-500:]}")

    def stop(self):
        pass


def stuffed(message):
    return (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def fetch(server, account):
    poplib._MAXLINE = 1 << 20
    pop = poplib.POP3("127.0.0.1", server.pop3_port, timeout=60)
    pop.user(account)
    pop.pass_(PASSWORD)
    messages = [b"".join(line + b"\r\n" for line in pop.retr(n)[1]) for n in range(1, pop.stat()[0] + 1)]
    pop.quit()
    return messages


def wait_for(server, account, count, sender):
    deadline = time.monotonic() + SECONDS
    while True:
        pop = poplib.POP3("127.0.0.1", server.pop3_port, timeout=60)
        pop.user(account)
        pop.pass_(PASSWORD)
        have = pop.stat()[0]
        pop.quit()
        if have >= count:
            return
        if time.monotonic() > deadline:
            raise Failed(f"{sender.name}: only {have} of {count} messages for {account} arrived in {SECONDS} s; the end of its log:\n{sender.log()[-3000:]}")
        # Another program's queue runs in its own time; there is nothing to be told by.
        time.sleep(0.2)


def is_trace(octets):
    """Only trace fields, and folded lines of them; an empty line may follow, which a sender puts between its own field
    and a message that begins with no header."""
    lines = octets.removesuffix(b"\r\n\r\n").removesuffix(b"\r\n").split(b"\r\n")
    return all(line[:1] in (b" ", b"\t") or line.split(b":")[0].lower() in (b"return-path", b"received", b"delivered-to", b"envelope-to") for line in lines)


def compare(sender, account, messages, received):
    """Each received message is trace fields and then exactly what was sent."""
    missing = []
    rest = list(received)
    # Longest first, because the octets of one message may be the end of another.
    for name, octets in sorted(messages.items(), key=lambda item: -len(item[1])):
        form = canonical(octets)
        match = next((m for m in rest if m.endswith(form) and is_trace(m[:len(m) - len(form)])), None)
        if match is None:
            missing.append(name)
        else:
            rest.remove(match)
    surprising = sorted(n for n in missing if not any(n in names for names in sender.changes.values()))
    if surprising:
        keep = sender.folder / "strange"
        keep.mkdir(exist_ok=True)
        for number, message in enumerate(rest):
            (keep / f"got-{number}").write_bytes(message)
        raise Failed(f"{sender.name} to {account}: not octet for octet: {', '.join(surprising)}; what came is in {keep}")
    print(f"{sender.name} to {account}: {len(messages) - len(missing)} messages exact" +
          (f", {len(missing)} changed by {sender.name} as known ({', '.join(sorted(missing))})" if missing else ""), flush=True)


def check(sender, server):
    messages = corpus()
    ways = [("ada", TCP_DOMAIN), ("grace", UNIX_DOMAIN)]
    if sender.speaks_smtp:
        ways.append(("olga", SMTP_DOMAIN))
    for account, domain in ways:
        # A CR that stands alone is refused over SMTP, if the sender has left it as it was.
        chosen = {name: octets for name, octets in messages.items() if domain != SMTP_DOMAIN or not LONE_CR.search(canonical(octets))}
        for octets in chosen.values():
            sender.submit([f"{account}@{domain}"], canonical(octets))
        wait_for(server, account, len(chosen), sender)
        compare(sender, account, chosen, fetch(server, account))
    # One transaction with good recipients, one that Pier does not know and one over its quota: each gets its own answer.
    sender.submit([f"tom@{TCP_DOMAIN}", f"nobody@{TCP_DOMAIN}", f"full@{TCP_DOMAIN}", f"jean@{TCP_DOMAIN}"],
                  b"Subject: four recipients\r\n\r\n" + b"one line\r\n" * 500)
    wait_for(server, "tom", 1, sender)
    wait_for(server, "jean", 1, sender)
    if fetch(server, "full"):
        raise Failed(f"{sender.name}: an account over its quota got the message")
    log = sender.log()
    for sign in ("5.1.1", "4.2.2"):
        if sign not in log:
            raise Failed(f"{sender.name}: no {sign} in the sender's log:\n{log[-3000:]}")
    if sender.speaks_smtp and "tls=TLSv1.3" not in "".join(line for line in server.log.read_text().splitlines() if "event=smtp.end" in line):
        raise Failed(f"{sender.name}: no mail came over SMTP with TLS")
    print(f"{sender.name}: per-recipient answers arrived", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument("--unpacked", required=True, type=Path)
    parser.add_argument("senders", nargs="+", choices=["postfix", "exim"])
    options = parser.parse_args()
    if os.getuid() != 0:
        os.execvp("sudo", ["sudo", "-n", sys.executable, *sys.argv])
    for name in options.senders:
        with PierServer(options.pier, settings="[smtp]\nhops_max = 1000\n") as server:   # one has passed many servers
            for domain in (TCP_DOMAIN, UNIX_DOMAIN, SMTP_DOMAIN):
                server.cli("domain", "add", domain)
            for account in ("ada", "grace", "olga", "tom", "jean"):
                server.add_account(account, PASSWORD)
            server.add_account("full", PASSWORD, "--quota", "1000")
            server.start()
            # The senders run as users of their own.
            server.lmtp_socket.chmod(0o666)
            sender = {"postfix": PostfixSender, "exim": Exim}[name](options.unpacked.resolve(), server.folder / name, server)
            sender.start()
            try:
                check(sender, server)
            finally:
                sender.stop()


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
