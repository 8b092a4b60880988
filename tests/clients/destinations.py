#!/usr/bin/env python3
"""Pier forwards the nasty corpus to real mail servers, which it finds by MX and knows by DANE, and what then stands in their maildirs is
compared octet for octet.

usage: destinations.py --pier PROGRAM --unpacked FOLDER DESTINATION...        DESTINATION: postfix, exim

The servers are Debian's, unpacked under FOLDER by packaging/install-deps.sh unpack, each with a configuration, folders and a port of its
own. Postfix's master must start as root: without root this starts itself again through sudo.
"""
import argparse
import os
import pwd
import shutil
import smtplib
import subprocess
import sys
import time
from pathlib import Path

from dns_server import DnsServer, Zone, tlsa_data
from mail_corpus import corpus
from pier_server import Failed, PierServer, canonical, free_ports
from postfix import Postfix
from senders import LONE_CR, compare, exim_environment, stuffed

DOMAIN, ELSEWHERE = "pier.example", "sink.example"
SENDER = f"ada@{DOMAIN}"
PASSWORD = "correct horse battery"
SECONDS = 180


def settings(dns, port):
    return f'[queue]\ndns_servers = ["{dns.address}"]\nsmtp_port = {port}\nretry_first = "1s"\nretry_max = "2s"\n'


def zone(port, tls):
    records = f"@ MX 10 mx\nmx A 127.0.0.1\n_{port}._tcp.mx TLSA {tlsa_data((tls / 'server.pem').read_text())}\n"
    return Zone(records, signed=True)


class PostfixDestination(Postfix):
    name = "postfix"
    # What Postfix itself changes in a message: {reason: names}.
    changes = {
        "writes X-Mailbox-Line: in front of a first line that begins with 'From '": [
            "mbox-from-first.eml", "python-msg_25.eml", "python-msg_43.eml"],
        "adds an empty line before a line that ends the header and is no field": ["python-msg_35.eml"],
    }

    def __init__(self, unpacked, folder, tls):
        owner = pwd.getpwnam("mail")
        super().__init__(unpacked, folder, f"""
myhostname = mx.sink.example
mydestination =
local_header_rewrite_clients =
virtual_mailbox_domains = {ELSEWHERE}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:inbox/
virtual_minimum_uid = 1
virtual_uid_maps = static:{owner.pw_uid}
virtual_gid_maps = static:{owner.pw_gid}
virtual_mailbox_limit = 0
enable_original_recipient = no
message_size_limit = 0
smtputf8_enable = yes
hopcount_limit = 1000
header_size_limit = 1000000
message_drop_headers =
disable_mime_input_processing = yes
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_cert_file = {tls}/server.pem
smtpd_tls_key_file = {tls}/server.key
smtpd_tls_loglevel = 1
""", services="virtual    unix - n n - -  virtual\n")
        (folder / "mail").mkdir()
        os.chown(folder / "mail", owner.pw_uid, owner.pw_gid)
        self.maildir = folder / "mail/inbox"

    def saw_tls(self):
        return "TLS connection established" in self.log()


class EximDestination:
    name = "exim"
    changes = {
        "adds an empty line after a header that ends without one": [
            "headers-only.eml", "headers-only-no-newline.eml", "python-msg_19.eml", "python-msg_35.eml"],
        "completes addresses without a domain": ["python-msg_05.eml", "python-msg_15.eml"],
    }

    def __init__(self, unpacked, folder, tls):
        self.folder = folder
        folder.mkdir()
        self.port, = free_ports(1)
        self.process = None
        # It starts itself again as another user, who may not enter the folders above the unpacked one.
        self.program = folder / "exim4"
        shutil.copy(unpacked / "exim4-daemon-light/usr/sbin/exim4", self.program)
        (folder / "spool").mkdir()
        (folder / "mail").mkdir()
        self.maildir = folder / "mail/inbox"
        self.environment = exim_environment(folder)
        for name in ("server.pem", "server.key"):
            shutil.copy(tls / name, folder / name)
            (folder / name).chmod(0o644)
        self.config = folder / "exim.conf"
        self.config.write_text(f"""
primary_hostname = mx.sink.example
exim_path = {self.program}
exim_user = mail
exim_group = mail
spool_directory = {folder}/spool
log_file_path = {folder}/log-%s
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
# Pier brings many over one connection; all are to be delivered at once.
smtp_accept_queue_per_connection = 0
never_users =
keep_environment = LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
check_spool_space = 0
check_log_space = 0
check_spool_inodes = 0
check_log_inodes = 0
message_size_limit = 0
received_headers_max = 1000
return_path_remove = false
delivery_date_remove = false
envelope_to_remove = false
header_maxsize = 4M
header_line_maxsize = 1M
smtputf8_advertise_hosts = *
tls_advertise_hosts = *
tls_certificate = {folder}/server.pem
tls_privatekey = {folder}/server.key
log_selector = +tls_cipher
acl_smtp_rcpt = take_all
begin acl
take_all:
  accept
    control = suppress_local_fixups
begin routers
here:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = {self.maildir}
  create_directory
  mode_fail_narrower = false
  user = mail
  group = mail
begin retry
* * F,1h,1m
""")
        self.config.chmod(0o644)

    def start(self):
        shutil.chown(self.folder / "spool", "mail", "mail")
        shutil.chown(self.folder / "mail", "mail", "mail")
        self.folder.chmod(0o777)
        self.process = subprocess.Popen([self.program, "-C", self.config, "-bdf"], env=self.environment, stdin=subprocess.DEVNULL,
                                        stdout=open(self.folder / "output", "wb"), stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 20
        while True:
            try:
                with smtplib.SMTP("127.0.0.1", self.port, timeout=5):
                    return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Failed(f"exim does not listen on port {self.port} (status {self.process.poll()}):\n{self.log()}")
                time.sleep(0.05)

    def log(self):
        return "\n".join(path.read_text(errors="replace") for path in (self.folder / "output", *self.folder.glob("log-*")) if path.exists())

    def saw_tls(self):
        return " X=TLS" in self.log()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def bring(server, message):
    with smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=60) as smtp:
        smtp.ehlo("client.example.net")
        smtp.mail(SENDER, ["BODY=8BITMIME"])
        smtp.rcpt(f"out@{DOMAIN}")
        smtp.docmd("DATA")
        smtp.send(stuffed(message))
        code, text = smtp.getreply()
        if code != 250:
            raise Failed(f"pier did not take the message: {code} {text.decode()}")


def arrived(destination):
    folder = destination.maildir / "new"
    return [path for path in folder.iterdir()] if folder.exists() else []


def check(destination, server):
    # A CR that stands alone is refused when it comes over SMTP.
    messages = {name: octets for name, octets in corpus().items() if not LONE_CR.search(canonical(octets))}
    for octets in messages.values():
        bring(server, canonical(octets))
    deadline = time.monotonic() + SECONDS
    while len(arrived(destination)) < len(messages):
        if time.monotonic() > deadline:
            raise Failed(f"{destination.name}: only {len(arrived(destination))} of {len(messages)} messages came in {SECONDS} s:\n"
                         f"{server.cli('queue', 'list').decode()}\nthe end of its log:\n{destination.log()[-3000:]}")
        time.sleep(0.2)     # another program delivers in its own time
    compare(destination, f"out@{DOMAIN}", messages, [canonical(path.read_bytes()) for path in arrived(destination)])
    if not destination.saw_tls():
        raise Failed(f"{destination.name}: nothing came over TLS:\n{destination.log()[-3000:]}")
    deliveries = [line for line in server.log.read_text().splitlines() if "event=queue.delivered" in line]
    if len(deliveries) != len(messages) or any("dane" not in line for line in deliveries):
        raise Failed(f"{destination.name}: not all went to a server that DANE has verified:\n" + "\n".join(deliveries[:5]))
    deadline = time.monotonic() + SECONDS
    while server.cli("--json", "queue", "list").count(b'"id"'):
        if time.monotonic() > deadline:
            raise Failed(f"the queue is not empty: {server.cli('queue', 'list').decode()}")
        time.sleep(0.2)
    print(f"{destination.name}: all over TLS that DANE has verified, and the queue is empty", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument("--unpacked", required=True, type=Path)
    parser.add_argument("destinations", nargs="+", choices=["postfix", "exim"])
    options = parser.parse_args()
    if os.getuid() != 0:
        os.execvp("sudo", ["sudo", "-n", sys.executable, *sys.argv])
    kinds = {"postfix": PostfixDestination, "exim": EximDestination}
    for name in options.destinations:
        with PierServer(options.pier, settings="[smtp]\nhops_max = 1000\n") as server:    # one has passed many servers
            destination = kinds[name](options.unpacked.resolve(), server.folder / name, server.folder / "tls")
            server.cli("domain", "add", DOMAIN)
            server.add_account("ada", PASSWORD)
            server.cli("alias", "add", f"out@{DOMAIN}", f"someone@{ELSEWHERE}")
            destination.start()
            try:
                with DnsServer(options.unpacked, server.folder / "dns", {ELSEWHERE: zone(destination.port, server.folder / "tls")}) as dns:
                    server.config.write_text(server.config.read_text() + settings(dns, destination.port))
                    server.start()
                    check(destination, server)
                    server.stop()
            finally:
                destination.stop()


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
