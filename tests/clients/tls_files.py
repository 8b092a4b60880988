#!/usr/bin/env python3
"""What stands in files beside a certificate, with OpenSSL's programs: ticket keys that two Piers share, OCSP responses given
and fetched, and certificates that are replaced under a running server.

usage: tls_files.py --pier PROGRAM
"""
import argparse
import os
import shutil
import ssl
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone

from acme import Session, check, events, shown_to, until
from pier_server import Failed, PierServer, free_ports

USER, PASSWORD = "ada", "correct horse battery"
VERSIONS = ["-tls1_2", "-tls1_3"]


def openssl(*words, input=None, folder=None):
    done = subprocess.run(["openssl", *map(str, words)], input=input, capture_output=True, cwd=folder, timeout=60)
    if done.returncode != 0:
        raise Failed(f"openssl {words[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode(errors="replace")


def s_client(port, *options):
    """What OpenSSL's client says of a whole session: TLS 1.3's ticket comes behind the handshake."""
    return openssl("s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", "-crlf", "-ign_eof", *options, input=b"QUIT\n")


def is_resumed(text):
    check("New, " in text or "Reused, " in text, f"no handshake: {text[-400:]}")
    return "Reused, " in text


def tickets(pier):
    print("a session that was begun on one Pier is resumed on another", flush=True)
    with PierServer(pier) as one, PierServer(pier) as other:
        keys = one.folder / "ticket.keys"
        one.cli("tls", "ticket-keys", keys, "--rotate")
        for server in (one, other):
            text = server.config.read_text().replace("[tls]\n", f'[tls]\nticket_keys = "{keys}"\n')
            server.config.write_text(text)
            server.start()
        for version in VERSIONS:
            session = one.folder / f"session{version}"
            check(not is_resumed(s_client(one.pop3s_port, version, "-sess_out", session)), "a first session is resumed")
            check(is_resumed(s_client(other.pop3s_port, version, "-sess_in", session)), f"{version}: the other node does not resume")

        print("so also after the keys were rotated, without a reload; and no more when the key is gone", flush=True)
        for keep, resumed in ((1, True), (0, False)):
            before = [events(server, "tls.taken_up") for server in (one, other)]
            one.cli("tls", "ticket-keys", keys, "--rotate", "--keep", keep)
            until("the new keys", lambda: all(events(server, "tls.taken_up") > count for server, count in zip((one, other), before)))
            for version in VERSIONS:
                check(is_resumed(s_client(other.pop3s_port, version, "-sess_in", one.folder / f"session{version}")) == resumed,
                      f"{version}: resumed is not {resumed} with {keep} old keys")

        print("keys that others may read are refused, and the old ones stay", flush=True)
        session = one.folder / "session-late"
        s_client(one.pop3s_port, "-tls1_3", "-sess_out", session)
        keys.chmod(0o644)
        until("a refusal", lambda: events(other, "tls.reload.failed"))
        check("chmod 600" in other.log.read_text(), "the log does not say what to do")
        check(is_resumed(s_client(other.pop3s_port, "-tls1_3", "-sess_in", session)), "the old keys are gone")


class Authority:
    """An authority of our own with a responder, which is OpenSSL's."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir()
        (self.port,) = free_ports(1)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "90",
                "-subj", "/CN=Test authority", "-addext", "basicConstraints=critical,CA:TRUE", folder=folder)
        self.process = None

    def issue(self, serial):
        """server.pem (the chain) and server.key, with the responder's address in it."""
        extensions = self.folder / "extensions"
        extensions.write_text(f"subjectAltName=DNS:localhost\nauthorityInfoAccess=OCSP;URI:http://127.0.0.1:{self.port}/\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "server.key", "-out", "server.csr",
                "-subj", "/CN=localhost", folder=self.folder)
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", f"0x{serial}", "-days", "50", "-out", "leaf.pem",
                "-extfile", extensions, folder=self.folder)
        (self.folder / "server.pem").write_bytes((self.folder / "leaf.pem").read_bytes() + (self.folder / "ca.pem").read_bytes())
        end = (datetime.now(timezone.utc) + timedelta(days=50)).strftime("%y%m%d%H%M%SZ")
        with open(self.folder / "index.txt", "a") as index:
            index.write(f"V\t{end}\t\t{serial}\tunknown\t/CN=localhost\n")

    def response(self, name, *options):
        """An OCSP response for the certificate, in a file."""
        openssl("ocsp", "-issuer", "ca.pem", "-cert", "leaf.pem", "-reqout", "ask.der", folder=self.folder)
        openssl("ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key", "-reqin", "ask.der", "-respout", name, *options,
                folder=self.folder)

    def serve(self):
        self.process = subprocess.Popen(["openssl", "ocsp", "-port", str(self.port), "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem",
                                         "-rkey", "ca.key", "-ndays", "2", "-ignore_err"], cwd=self.folder, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()


def put(source, target):
    """In one step, as who replaces a file should."""
    shutil.copy(source, f"{target}.part")
    os.replace(f"{target}.part", target)


def stapled(server, version, ca):
    text = s_client(server.pop3s_port, version, "-status", "-CAfile", ca)
    check("Verify return code: 0 (ok)" in text, f"{version}: not verified")
    check(("OCSP Response Status: successful" in text) != ("OCSP response: no response sent" in text), f"{version}: {text[:300]}")
    return "Cert Status: good" in text


def ocsp(pier):
    with PierServer(pier) as server:
        authority = Authority(server.folder / "authority")
        authority.issue("1001")
        own, ca = server.folder / "tls", authority.folder / "ca.pem"
        for name in ("server.pem", "server.key"):
            put(authority.folder / name, own / name)
        given = server.folder / "ocsp.der"
        authority.response(given, "-ndays", "1")
        text = server.config.read_text()
        server.config.write_text(text.replace("[tls]\n", f'[tls]\nocsp = "{given}"\n'))
        server.start()
        print("a response that stands in a file is sent along", flush=True)
        for version in VERSIONS:
            check(stapled(server, version, ca), f"{version}: nothing is stapled")

        print("one that is not for the certificate is refused, loudly, and the one before stays", flush=True)
        (server.folder / "nonsense").write_text("nonsense")
        put(server.folder / "nonsense", given)
        until("a complaint", lambda: events(server, "tls.problem"))
        check("it is no OCSP response" in server.log.read_text(), "the log does not say why")
        check(all(stapled(server, version, ca) for version in VERSIONS), "the one before is gone")
        server.stop()

        print("without a file the responder is asked that the certificate names; while it is silent nothing is sent", flush=True)
        server.config.write_text(text)
        server.start()
        until("a failure", lambda: events(server, "ocsp.failed"))
        check(not any(stapled(server, version, ca) for version in VERSIONS), "something is stapled")
        server.stop()
        authority.serve()
        try:
            server.start()
            until("a response", lambda: events(server, "ocsp.fetched"))
            for version in VERSIONS:
                until(f"{version}: a staple", lambda: stapled(server, version, ca))

            print("what was fetched is there after a restart without the responder", flush=True)
            authority.stop()
            server.stop()
            server.start()
            check(all(stapled(server, version, ca) for version in VERSIONS), "nothing is stapled after a restart")
            check(events(server, "ocsp.fetched") == 1, "it was fetched again")
        finally:
            authority.stop()


def files(pier):
    with PierServer(pier) as server:
        server.add_account(USER, PASSWORD)
        server.start()
        context = ssl.create_default_context(cafile=server.ca)
        old = Session(server.pop3s_port, context, "localhost").log_in()
        first = shown_to(server.pop3s_port, context, "localhost")
        print("a broken certificate is refused, the old one stays", flush=True)
        (server.folder / "broken").write_text("-----BEGIN CERTIFICATE-----\nnonsense\n")
        put(server.folder / "broken", server.folder / "tls/server.pem")
        until("a refusal", lambda: events(server, "tls.reload.failed"))
        check(shown_to(server.pop3s_port, context, "localhost") == first, "the old certificate is gone")

        print("a new one is taken up without a reload, and no session ends", flush=True)
        authority = Authority(server.folder / "authority")
        authority.issue("2002")
        began = time.monotonic()
        for name in ("server.key", "server.pem"):
            put(authority.folder / name, server.folder / "tls" / name)
        context = ssl.create_default_context(cafile=authority.folder / "ca.pem")

        def is_new():
            try:
                return shown_to(server.pop3s_port, context, "localhost") != first
            except ssl.SSLCertVerificationError:
                return False
        until("the new certificate", is_new)
        print(f"  after {time.monotonic() - began:.0f} s", flush=True)
        old.say("NOOP")
        old.say("QUIT")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pier", required=True)
    arguments = parser.parse_args()
    try:
        for part in (tickets, ocsp, files):
            part(arguments.pier)
    except Failed as failed:
        sys.exit(f"tls_files: FAILED: {failed}")
    print("tls_files: all well")


if __name__ == "__main__":
    main()
