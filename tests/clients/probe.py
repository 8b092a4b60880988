#!/usr/bin/env python3
"""`pier probe` looks at real mail servers, set up well and set up badly on purpose: each finding that is expected is there, and no other
that is more than a note.

usage: probe.py --pier PROGRAM --unpacked FOLDER PART...     PART: pier, dovecot, certificates, courier, postfix, exim,
                                                              injection, canary

Dovecot is Debian's; Courier, Postfix and Exim are Debian's, unpacked under FOLDER by packaging/install-deps.sh unpack. All listen on
loopback only, and the probes come from another loopback address, so that no server takes them for its own machine (--stranger). Postfix's
master and Dovecot must start as root: without root this starts itself again through sudo.
"""
import argparse
import json
import os
import random
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from courier import Courier
from destinations import EximDestination
from dovecot import Dovecot
from pier_server import Failed, PierServer, free_ports
from postfix import Postfix

ADA, PASSWORD = "ada@example.org", "correct horse battery"
STRANGER = ["--source", "127.0.0.9", "--stranger"]
# The machine that runs this may be slow; that is no finding here.
PATIENT = ["--timeout", "60s", "--slow-warning", "1h", "--slow-critical", "2h"]
SECONDS = 600


class Prober:
    """Runs `pier probe`; `ca`: whose certificates are trusted."""

    def __init__(self, pier, folder):
        self.pier = pier
        self.secret = Path(folder) / "secret"
        self.secret.write_text(PASSWORD + "\n")

    def run(self, *words):
        patient = [] if "--timeout" in words else PATIENT
        return subprocess.run([self.pier, "probe", *patient, *map(str, words)], capture_output=True, text=True, timeout=SECONDS,
                              stdin=subprocess.DEVNULL)

    def json(self, *words):
        done = self.run("--json", *words)
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise Failed(f"pier probe {' '.join(map(str, words))}: no JSON: {done.stdout[:300]} {done.stderr[:300]}")

    def one(self, port, protocol, tls, ca, *words, login=True, near=False):
        """The probe of one port."""
        more = ["--user", ADA, "--password-file", self.secret] if login else []
        answer = self.json(f"127.0.0.1:{port}", "--protocol", protocol, "--tls", tls, *(["--ca-file", ca] if ca else []),
                           *([] if near else STRANGER), *more, *words)
        if "probes" not in answer:
            raise Failed(f"{protocol} on port {port}: {answer}")
        return answer["probes"][0]


def codes(found, *severities):
    return sorted(one["code"] for one in found["findings"] if one["severity"] in severities)


def expect(what, found, critical=(), warning=(), notes=()):
    """Exactly these findings; of notes at least these."""
    wrong = []
    for severity, wanted in (("critical", critical), ("warning", warning)):
        if codes(found, severity) != sorted(wanted):
            wrong.append(f"{severity}: {codes(found, severity)}, not {sorted(wanted)}")
    if not set(notes) <= set(codes(found, "note")):
        wrong.append(f"notes: {codes(found, 'note')}, not all of {list(notes)}")
    if wrong:
        raise Failed(f"{what}: {'; '.join(wrong)}\n{json.dumps(found, indent=1)}")
    print(f"  {what}: {', '.join((*critical, *warning)) or 'all well'}{'; note: ' + ', '.join(notes) if notes else ''}", flush=True)


def check(holds, what, shown=""):
    if not holds:
        raise Failed(f"{what}\n{shown if isinstance(shown, str) else json.dumps(shown, indent=1)}")


def phases(found):
    return [phase["phase"] for phase in found["phases"]]


# ---- certificates ----

class Authority:
    """ca.pem, and certificates for localhost that have one fault each."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "index.txt").write_text("")
        (folder / "ca.cnf").write_text("[ca]\ndefault_ca=own\n[own]\ndir=.\nnew_certs_dir=.\ndatabase=index.txt\nrand_serial=yes\n"
                                       "policy=any\ndefault_md=sha256\ncopy_extensions=copy\nunique_subject=no\n[any]\ncommonName=supplied\n")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
                     "-days", "90", "-subj", "/CN=Test authority", "-addext", "basicConstraints=critical,CA:TRUE",
                     "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.ca = folder / "ca.pem"

    def openssl(self, *words):
        done = subprocess.run(["openssl", *words], cwd=self.folder, capture_output=True, text=True)
        check(done.returncode == 0, f"openssl {words[0]} failed", done.stderr)

    def issue(self, name, names="DNS:localhost,IP:127.0.0.1", key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), dates=("-days", "60"),
              digest="sha256"):
        self.openssl("req", "-newkey", *key, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=localhost",
                     "-addext", f"subjectAltName={names}", "-addext", "extendedKeyUsage=serverAuth")
        self.openssl("ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-notext", "-md", digest, *dates,
                     "-in", f"{name}.csr", "-out", f"{name}.pem")
        return self.settings(name)

    def self_signed(self, name):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
                     "-out", f"{name}.pem", "-days", "60", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        return self.settings(name)

    def settings(self, name):
        return f"ssl_cert = <{self.folder}/{name}.pem\nssl_key = <{self.folder}/{name}.key\n"


def certificates(prober, folder, unpacked):
    authority = Authority(folder / "authority")
    old, late = ("-startdate", "20200101000000Z", "-enddate", "20210101000000Z"), ("-startdate", "20400101000000Z", "-enddate", "20410101000000Z")
    cases = [
        ("an expired certificate", authority.issue("expired", dates=old), ["certificate_expired"], []),
        ("one that is not valid yet", authority.issue("late", dates=late), ["certificate_not_yet_valid"], []),
        ("one for another name", authority.issue("other", names="DNS:other.example"), ["certificate_wrong_name"], []),
        ("a self-signed one", authority.self_signed("own"), ["certificate_self_signed"], []),
        ("one that expires in 20 days", authority.issue("soon", dates=("-days", "20")), [], ["certificate_expires"]),
        ("one that expires in 5 days", authority.issue("now", dates=("-days", "5")), ["certificate_expires"], []),
        ("a weak key and signature", authority.issue("weak", key=("rsa:1024",), digest="sha1"), [], ["weak_key", "weak_signature"]),
        ("a good one", authority.issue("good"), [], []),
    ]
    for what, settings, critical, warning in cases:
        # OpenSSL's own default refuses to serve the weak one.
        level = "ssl_cipher_list = DEFAULT:!kRSA:@SECLEVEL=0\n" if "weak" in what else ""
        with Dovecot("maildir:~/Maildir", {ADA: PASSWORD}, {}, settings=settings + level) as server:
            distrusted = any(code != "certificate_expires" for code in critical)
            held = ["login_not_tried"] if distrusted else []
            for protocol, port in (("pop3", server.pop3s_port), ("imap", server.imaps_port)):
                found = prober.one(port, protocol, "implicit", authority.ca, "--quick")
                expect(f"{what}, {protocol}", found, critical, warning + held)
                check(found["seen"]["logged_in"] == (not distrusted), f"{what}: logged in: {found['seen']['logged_in']}", found)
            if what == "a self-signed one":
                found = prober.one(server.pop3s_port, "pop3", "implicit", authority.ca, "--quick", "--insecure")
                check(found["seen"]["logged_in"], "--insecure does not log in", found)
            if what == "a good one":
                found = prober.one(server.pop3s_port, "pop3", "implicit", None, "--quick", login=False)
                expect("an authority that nobody knows", found, ["chain_incomplete"])


# ---- servers ----

def dovecot(prober, folder, unpacked):
    def ports(server):
        return (("pop3", "starttls", server.pop3_port), ("pop3", "implicit", server.pop3s_port), ("imap", "starttls", server.imap_port),
                ("imap", "implicit", server.imaps_port))

    print("Dovecot as it should be", flush=True)
    with Dovecot("maildir:~/Maildir", {ADA: PASSWORD}, {}) as server:
        for protocol, tls, port in ports(server):
            found = prober.one(port, protocol, tls, server.ca)
            expect(f"{protocol}, {tls}", found)
            seen, limits = found["seen"], found["limits"]
            check(seen["logged_in"] and seen["messages"] == 0 and seen["ended_well"], "no login", found)
            check(limits["tls_1_0"] is False and limits["tls_1_1"] is False and limits["without_encryption"] == "" and
                  limits["anonymous"] == "" and limits["wrong_alpn"] == "ignored", "what TLS takes", limits)
            check(limits["injected_command"] == (False if tls == "starttls" else None), "the injected command", limits)
            wanted = ["resolve", "connect", "tls", "greeting", "capabilities"] if tls == "implicit" else \
                ["resolve", "connect", "greeting", "capabilities", *(["clear_user"] if protocol == "pop3" else []), "starttls", "tls", "capabilities_tls"]
            login = ["login", *(["capabilities_login"] if protocol == "imap" else [])]
            check(phases(found) == [*wanted, *login, "status", "quit"], "the phases", found)
        # On its own machine Dovecot takes passwords in clear, which is no fault.
        found = prober.one(server.pop3_port, "pop3", "starttls", server.ca, "--quick", near=True)
        expect("pop3 from its own machine", found, notes=["clear_login"])
        found = prober.one(server.pop3s_port, "pop3", "starttls", server.ca, "--quick", "--timeout", "5s", login=False)
        expect("STLS where TLS is expected", found, ["greeting_failed"])
        found = prober.one(server.pop3_port, "pop3", "implicit", server.ca, "--quick", login=False)
        expect("TLS where STLS is expected", found, ["tls_not_spoken"])
        found = prober.one(server.imap_port, "pop3", "starttls", server.ca, "--quick", login=False)
        expect("IMAP where POP3 is expected", found, ["greeting_failed"])
        prober.secret.write_text("wrong\n")
        expect("a wrong password", prober.one(server.imaps_port, "imap", "implicit", server.ca, "--quick"), ["login_refused"])
        prober.secret.write_text(PASSWORD + "\n")
        nagios(prober, server)
    found = prober.one(server.pop3_port, "pop3", "starttls", None, "--quick", login=False)
    expect("nobody listens", found, ["unreachable"])

    print("Dovecot that takes old TLS, no encryption, and passwords in clear", flush=True)
    bad = ("disable_plaintext_auth = no\nssl_min_protocol = TLSv1\nssl_cipher_list = ALL:COMPLEMENTOFALL:@SECLEVEL=0\n"
           "login_greeting = Dovecot 2.3.19 ready.\n")
    with Dovecot("maildir:~/Maildir", {ADA: PASSWORD}, {}, settings=bad) as server:
        for protocol, tls, port in ports(server):
            clear = ["clear_login"] if tls == "starttls" else []
            found = prober.one(port, protocol, tls, server.ca)
            expect(f"{protocol}, {tls}", found, clear + ["weak_cipher"], ["old_tls"], notes=["version_told"])

    print("Dovecot without TLS", flush=True)
    with Dovecot("maildir:~/Maildir", {ADA: PASSWORD}, {}, settings="ssl = no\ndisable_plaintext_auth = no\n") as server:
        for protocol, port in (("pop3", server.pop3_port), ("imap", server.imap_port)):
            found = prober.one(port, protocol, "starttls", None)
            expect(protocol, found, ["no_tls", "clear_login"], ["login_not_tried"])
            found = prober.one(port, protocol, "none", None)
            expect(f"{protocol}, --tls none", found, ["no_tls", "clear_login"])
            check(found["seen"]["logged_in"], "no login in clear although it was asked for", found)


def nagios(prober, server):
    good = ["--protocol", "pop3", "--tls", "implicit", "--ca-file", server.ca, "--nagios", "--quick", f"127.0.0.1:{server.pop3s_port}"]
    done = prober.run(*good)
    check(done.returncode == 0 and re.fullmatch(r"MAIL OK - [^|\n]+ \|( '[^'=]+'=[0-9.]+s?;[0-9.:]*;[0-9.:]*(;0)?)+\n", done.stdout),
          "--nagios", done.stdout + done.stderr)
    done = prober.run(*good, "--days-warning", "100")
    check(done.returncode == 1 and done.stdout.startswith("MAIL WARNING - "), "--nagios, warning", done.stdout)
    done = prober.run(*good, "--days-critical", "100", "--days-warning", "100")
    check(done.returncode == 2 and done.stdout.startswith("MAIL CRITICAL - "), "--nagios, critical", done.stdout)
    done = prober.run(*good, "--user", ADA)
    check(done.returncode == 3 and done.stdout.startswith("MAIL UNKNOWN - "), "--nagios, unknown", done.stdout)
    done = prober.run(*good[:-3], f"127.0.0.1:{server.pop3s_port}", "--quick")
    check(done.returncode == 0 and "certificate" in done.stdout and "all" in done.stdout, "the table", done.stdout)
    print("  --nagios tells OK, WARNING, CRITICAL and UNKNOWN", flush=True)


class TlsFront:
    """TLS in front of a server that has none, as stunnel is."""

    def __init__(self, port, folder):
        self.target = port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "good.pem", folder / "good.key")
        self.port, = free_ports(1)

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(peer,), daemon=True).start()

    def one(self, peer):
        try:
            with self.context.wrap_socket(peer, server_side=True) as outside, socket.create_connection(("127.0.0.1", self.target)) as inside:
                back = threading.Thread(target=self.copy, args=(inside, outside), daemon=True)
                back.start()
                self.copy(outside, inside)
                back.join(SECONDS)
        except OSError:
            pass

    @staticmethod
    def copy(source, target):
        try:
            while octets := source.recv(65536):
                target.sendall(octets)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def courier(prober, folder, unpacked):
    authority = Authority(folder / "authority")
    authority.issue("good")
    with Courier(unpacked, ADA, PASSWORD) as server:
        server.deliver(b"Subject: one\n\nfirst\n", b"Subject: two\n\nsecond\n")
        print("Courier without TLS", flush=True)
        expect("pop3", prober.one(server.pop3_port, "pop3", "starttls", None, login=False), ["no_tls", "clear_login"])
        expect("imap", prober.one(server.imap_port, "imap", "starttls", None, login=False), ["no_tls", "clear_login"])
        print("Courier behind TLS", flush=True)
        for protocol, port in (("pop3", server.pop3_port), ("imap", server.imap_port)):
            with TlsFront(port, authority.folder) as front:
                found = prober.one(front.port, protocol, "implicit", authority.ca)
                expect(protocol, found)
                seen = found["seen"]
                check(seen["logged_in"] and seen["messages"] == 2 and seen["retrieved_octets"], "the mail was not read", found)


def postfix_settings(folder, tls, more):
    return f"""
myhostname = localhost
mydestination =
smtpd_peername_lookup = no
smtpd_tls_cert_file = {tls}/server.pem
smtpd_tls_key_file = {tls}/server.key
virtual_mailbox_domains = example.org
virtual_mailbox_maps = static:x
{more}
"""


def postfix(prober, folder, unpacked):
    with Dovecot("maildir:~/Maildir", {ADA: PASSWORD}, {}, settings=sasl_listener()) as users:
        well = f"""
smtpd_tls_security_level = may
mynetworks = 127.0.0.1/32
disable_vrfy_command = yes
smtpd_tls_auth_only = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{SASL_PORT[0]}
"""
        submission = "127.0.0.1:{0} inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only={1} -o smtpd_tls_security_level={2} " \
            "-o smtpd_tls_mandatory_protocols=>=TLSv1.2 -o smtpd_tls_mandatory_exclude_ciphers=aNULL\n"
        port, = free_ports(1)
        tls = users.folder / "tls"
        print("Postfix as it should be", flush=True)
        run_postfix(unpacked, folder / "good", postfix_settings(folder, tls, well), submission.format(port, "yes", "encrypt"), lambda server: (
            expect("smtp", prober.one(server.port, "smtp", "starttls", users.ca, login=False), notes=["old_tls", "weak_cipher"]),
            expect("submission", logged_in(prober.one(port, "submission", "starttls", users.ca)))))
        print("Postfix that is open, knows everybody by name, and takes passwords in clear", flush=True)
        bad = well.replace("127.0.0.1/32", "0.0.0.0/0").replace("disable_vrfy_command = yes", "")
        run_postfix(unpacked, folder / "open", postfix_settings(folder, tls, bad + "smtpd_banner = localhost ESMTP Postfix 3.7.11\n"),
                    submission.format(port, "no", "may"), lambda server: (
            expect("smtp", prober.one(server.port, "smtp", "starttls", users.ca, login=False), ["open_relay"], notes=["version_told"]),
            expect("smtp from its own machine", prober.one(server.port, "smtp", "starttls", users.ca, "--quick", login=False, near=True),
                   notes=["open_relay"]),
            expect("submission", logged_in(prober.one(port, "submission", "starttls", users.ca)), ["open_relay", "clear_login"],
                   ["old_tls", "weak_cipher"])))
        print("Postfix without TLS", flush=True)
        run_postfix(unpacked, folder / "clear", postfix_settings(folder, tls, well.replace("= may", "= none")), "", lambda server:
                    expect("smtp", prober.one(server.port, "smtp", "starttls", None, login=False), warning=["no_tls"]))


SASL_PORT = []


def sasl_listener():
    """Dovecot as the one whom Postfix asks about passwords."""
    SASL_PORT[:] = free_ports(1)
    return f"service auth {{\n  inet_listener {{\n    address = 127.0.0.1\n    port = {SASL_PORT[0]}\n  }}\n}}\n"


def logged_in(found):
    check(found["seen"]["logged_in"], "no login", found)
    return found


def run_postfix(unpacked, folder, settings, services, look):
    server = Postfix(unpacked, folder, settings, services)
    server.start()
    try:
        look(server)
    except Failed as failed:
        raise Failed(f"{failed}\nthe end of Postfix's log:\n{server.log()[-2000:]}")
    finally:
        server.stop()


def exim(prober, folder, unpacked):
    authority = Authority(folder / "authority")
    authority.issue("server")
    shutil.copy(authority.folder / "server.pem", folder / "server.pem")
    shutil.copy(authority.folder / "server.key", folder / "server.key")
    good = "tls_require_ciphers = NORMAL:-VERS-TLS1.0:-VERS-TLS1.1\n"
    old = "tls_require_ciphers = NORMAL:+VERS-TLS1.0:+VERS-TLS1.1:+SHA1:%VERIFY_ALLOW_SIGN_WITH_SHA1\n"
    for what, settings, relays in (("as it should be", good, False), ("that is open and takes old TLS", old, True)):
        print(f"Exim {what}", flush=True)
        server = EximDestination(unpacked, folder / what.replace(" ", "-"), folder)
        text = server.config.read_text().replace("acl_smtp_rcpt = take_all\n", settings + "acl_smtp_rcpt = take_all\n")
        if not relays:
            text = text.replace("  accept\n    control", "  deny\n    domains = ! sink.example\n  accept\n    control")
        server.config.write_text(text)
        server.start()
        try:
            found = prober.one(server.port, "smtp", "starttls", authority.ca, login=False)
            expect("smtp", found, ["open_relay"] if relays else [], notes=["version_told", "old_tls"] if relays else ["version_told"])
            check(("old_tls" in codes(found, "note")) == relays, "old TLS", found)
            check(found["limits"]["injected_command"] is False, "the injected command", found)
        except Failed as failed:
            raise Failed(f"{failed}\nthe end of Exim's log:\n{server.log()[-2000:]}")
        finally:
            server.stop()


# ---- the hole that no server of Debian has any more ----

class Injectable:
    """A server that keeps what came in clear behind STARTTLS, and answers it inside TLS (CVE-2011-0411)."""
    GREETING = {"pop3": "+OK hi", "imap": "* OK hi", "smtp": "220 hi"}

    def __init__(self, protocol, authority):
        self.protocol = protocol
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(authority.folder / "good.pem", authority.folder / "good.key")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    def answer(self, words, secure):
        """What is said to a command."""
        tag = words.pop(0) if self.protocol == "imap" else ""
        verb = words[0].upper() if words else ""
        offer = [] if secure else [{"pop3": "STLS"}.get(self.protocol, "STARTTLS")]
        if self.protocol == "pop3":
            return ["+OK", "TOP", "UIDL", "PIPELINING", *offer, *(["USER"] if secure else []), "."] if verb == "CAPA" else \
                ["-ERR"] if verb == "USER" else ["+OK"]
        if self.protocol == "imap":
            return [*([" ".join(["* CAPABILITY IMAP4rev1 IDLE UIDPLUS", *(offer and [*offer, "LOGINDISABLED"])])] if verb == "CAPABILITY" else []),
                    f"{tag} OK done"]
        return ["250-hi", "250-PIPELINING", "250-SIZE", *("250-" + word for word in offer), "250 8BITMIME"] if verb == "EHLO" else \
            ["221 bye"] if verb == "QUIT" else ["220 go"] if verb == "STARTTLS" else ["550 no"] if verb in ("MAIL", "RCPT", "VRFY") else ["250 ok"]

    def talk(self, peer):
        waiting, secure = b"", False
        try:
            peer.sendall(self.GREETING[self.protocol].encode() + b"\r\n")
            while True:
                while b"\r\n" not in waiting:
                    octets = peer.recv(4096)
                    if not octets:
                        return
                    waiting += octets
                line, _, waiting = waiting.partition(b"\r\n")
                words = line.decode().split()
                peer.sendall("".join(text + "\r\n" for text in self.answer(list(words), secure)).encode())
                if words[-1].upper() in ("STLS", "STARTTLS"):
                    peer, secure = self.context.wrap_socket(peer, server_side=True), True     # and `waiting` is still there
                if words[-1].upper() in ("QUIT", "LOGOUT"):
                    return
        except OSError:
            pass
        finally:
            peer.close()


def injection(prober, folder, unpacked):
    authority = Authority(folder / "authority")
    authority.issue("good")
    for protocol in ("pop3", "imap", "smtp"):
        with Injectable(protocol, authority) as server:
            found = prober.one(server.port, protocol, "starttls", authority.ca, login=False)
            expect(protocol, found, ["command_injection"])


# ---- the canary ----

def fly(prober, ca, sender, fetcher, *words):
    answer = prober.json(*sender, *fetcher, "--quick", "--ca-file", ca, *STRANGER, "--user", ADA, "--password-file", prober.secret,
                         "--canary-from", "probe@example.net", "--canary-to", ADA, *words)
    check(len(answer.get("canaries", [])) == 1, "no canary flew", answer)
    return answer["canaries"][0]


def canary(prober, folder, unpacked):
    # The command takes one --protocol for all its targets: ports that say by their number what they speak are not to be had here.
    with Dovecot("maildir:~/Maildir", {ADA: PASSWORD}, {}) as users, Numbered() as host:
        host.forward(24, users.lmtp_port)
        host.forward(995, users.pop3s_port)
        maildir = users.maildir(ADA)
        lmtp, pop3s = [f"{host.address}:24"], [f"{host.address}:995", "--name", "localhost"]
        flown = fly(prober, users.ca, lmtp, pop3s)
        expect("by LMTP", flown)
        check(flown["came"] and flown["unchanged"] and flown["deleted"], "the canary", flown)
        names = phases(flown)
        check({"send", "send.message", "wait", "fetch", "fetch.delete"} <= set(names), "the phases", flown)
        check(not list(maildir.glob("*/*:2,*")) and not list((maildir / "new").iterdir()), "something is left in the maildir")
        again = fly(prober, users.ca, lmtp, pop3s)
        expect("by LMTP again", again)

        tls = users.folder / "tls"
        settings = f"smtpd_tls_security_level = may\nvirtual_transport = lmtp:inet:127.0.0.1:{users.lmtp_port}\n"

        def through(server):
            host.forward(25, server.port)
            flown = fly(prober, users.ca, [f"{host.address}:25"], pop3s)
            expect("through Postfix", flown)
            check(flown["unchanged"] and flown["deleted"], "the canary", flown)
            check(not list((maildir / "new").iterdir()), "something is left in the maildir")
        run_postfix(unpacked, folder / "good", postfix_settings(folder, tls, settings), "", through)

        def into_nothing(server):
            host.forward(25, server.port)
            flown = fly(prober, users.ca, [f"{host.address}:25"], pop3s, "--canary-wait", "4s")
            expect("that is lost", flown, ["canary_lost"])
        run_postfix(unpacked, folder / "lost", postfix_settings(folder, tls, "smtpd_tls_security_level = may\nvirtual_transport = discard:\n"), "",
                    into_nothing)

        def refused(server):
            host.forward(25, server.port)
            flown = fly(prober, users.ca, [f"{host.address}:25"], pop3s)
            expect("that is refused", flown, ["canary_not_sent"])
            check("5.1.0" in json.dumps(flown["findings"]) or "reject" in json.dumps(flown["findings"]).lower(), "the server's words", flown)
        run_postfix(unpacked, folder / "no", postfix_settings(folder, tls, "smtpd_tls_security_level = may\nsmtpd_sender_restrictions = reject\n"), "",
                    refused)


class Numbered:
    """A loopback address whose low ports lead to a server's: the usual numbers say what is spoken. Needs root."""
    def __enter__(self):
        self.address = f"127.0.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
        self.listeners = {}
        return self

    def forward(self, port, target):
        self.close(port)
        listener = socket.create_server((self.address, port))
        self.listeners[port] = listener
        threading.Thread(target=self.accept, args=(listener, target), daemon=True).start()

    def close(self, port):
        if listener := self.listeners.pop(port, None):
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def __exit__(self, *_):
        for port in list(self.listeners):
            self.close(port)

    @staticmethod
    def accept(listener, target):
        while True:
            try:
                peer, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", target))
            except OSError:
                return
            for one, other in ((peer, server), (server, peer)):
                threading.Thread(target=TlsFront.copy, args=(one, other), daemon=True).start()


# ---- Pier itself ----

def pier(prober, folder, unpacked):
    with PierServer(prober.pier, pop3='clear_login = "never"', submission='clear_login = "never"') as server:
        server.cli("domain", "add", ADA.split("@")[1])
        server.add_account(ADA, PASSWORD)
        server.start()
        for protocol, tls, port in (("pop3", "starttls", server.pop3_port), ("pop3", "implicit", server.pop3s_port)):
            found = prober.one(port, protocol, tls, server.ca)
            expect(f"{protocol}, {tls}", found)
            check(found["seen"]["logged_in"], "no login", found)
        expect("smtp", prober.one(server.smtp_port, "smtp", "starttls", server.ca, login=False))
        expect("lmtp", prober.one(server.lmtp_port, "lmtp", "none", server.ca, login=False))
        # Without a host: what the configuration says.
        answer = json.loads(server.cli("--json", "probe", "--quick", "--ca-file", server.ca, *PATIENT))
        ports = sorted(int(one["target"].rsplit(":", 1)[1]) for one in answer["probes"])
        check(ports == sorted([server.pop3_port, server.pop3s_port, server.lmtp_port, server.smtp_port, server.submission_port, server.submissions_port]),
              "the own listeners", answer)
        for one in answer["probes"]:
            expect(f"own listener {one['target']}", one)
        with Numbered() as host:
            host.forward(24, server.lmtp_port)
            host.forward(995, server.pop3s_port)
            flown = fly(prober, server.ca, [f"{host.address}:24"], [f"{host.address}:995", "--name", "localhost"])
            expect("the canary", flown)
        server.stop()


PARTS = {"pier": pier, "dovecot": dovecot, "certificates": certificates, "courier": courier, "postfix": postfix, "exim": exim, "injection": injection, "canary": canary}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True, type=Path)
    parser.add_argument("--unpacked", required=True, type=Path)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    arguments = parser.parse_args()
    if os.getuid() != 0:
        os.execvp("sudo", ["sudo", "-n", sys.executable, *sys.argv])
    for part in arguments.parts:
        folder = Path(tempfile.mkdtemp(prefix="pier-probe-"))
        folder.chmod(0o755)     # Postfix and Exim run as users of their own
        try:
            PARTS[part](Prober(arguments.pier.resolve(), folder), folder, arguments.unpacked.resolve())
        except Failed as failed:
            sys.exit(f"probe {part}: FAILED: {failed}\nthe folder stays for a look: {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        print(f"probe {part}: all well", flush=True)


if __name__ == "__main__":
    main()
