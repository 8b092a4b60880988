#!/usr/bin/env python3
"""Debian's pebble, a real ACME authority, gives a running Pier its certificates; sessions stay open while they change.

usage: acme.py --pier PROGRAM --unpacked FOLDER http|tls_alpn
"""
import argparse
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pier_server import Failed, PierServer, free_ports, make_certificates

NAMES = ["mail.example.test", "pop.example.test"]
USER, PASSWORD = "ada", "correct horse battery"
EAB_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
SECONDS = 180           # for anything that is waited for
SHORT_LIFE_SECONDS = 60  # of a certificate that is to be renewed in a test
NONCES_REFUSED_PERCENT = 30


def check(good, text):
    if not good:
        raise Failed(text)


def until(what, condition):
    """Waits for a process that goes its own way."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise Failed(f"not within {SECONDS} s: {what}")


class Pebble:
    """The authority and its DNS, which says of each name that it is here."""

    def __init__(self, program_folder, folder, http_port, tls_port, **config):
        self.programs = program_folder
        self.folder = folder
        self.port, self.management_port, self.dns_port, self.dns_management_port = free_ports(4)
        self.config = folder / "pebble.json"
        self.config.write_text(json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{self.management_port}",
            "certificate": str(folder / "authority/server.pem"), "privateKey": str(folder / "authority/server.key"),
            "httpPort": http_port, "tlsPort": tls_port, "ocspResponderURL": "", **config}}))
        make_certificates(folder / "authority")
        self.processes = []

    @property
    def ca(self):
        return self.folder / "authority/ca.pem"

    @property
    def directory(self):
        return f"https://localhost:{self.port}/dir"

    def __enter__(self):
        return self

    def start(self):
        log = open(self.folder / "pebble.log", "ab")
        environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": str(NONCES_REFUSED_PERCENT)}
        dns = [self.programs / "pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", f"127.0.0.1:{self.dns_port}",
               "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", f"127.0.0.1:{self.dns_management_port}"]
        authority = [self.programs / "pebble", "-config", self.config, "-dnsserver", f"127.0.0.1:{self.dns_port}"]
        for command in (dns, authority):
            self.processes.append(subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, env=environment))
        log.close()
        until("the authority's port", self.listens)

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(self, kind, *_):
        for process in self.processes:
            process.terminate()
            process.wait()
        if kind is not None:
            print("the end of pebble's log:\n" + "\n".join((self.folder / "pebble.log").read_text().splitlines()[-15:])
                  if self.processes else "pebble did not run", flush=True)

    def root(self):
        """The certificate that vouches for those it has given."""
        context = ssl.create_default_context(cafile=self.ca)
        connection = http.client.HTTPSConnection("localhost", self.management_port, context=context, timeout=10)
        connection.request("GET", "/roots/0")
        return connection.getresponse().read().decode()


class Session:
    """A POP3 session over TLS that stays open."""

    def __init__(self, port, context, name):
        self.tls = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=30), server_hostname=name)
        self.file = self.tls.makefile("rwb")
        check(self.file.readline().startswith(b"+OK"), "no greeting")

    def say(self, line):
        self.file.write(line.encode() + b"\r\n")
        self.file.flush()
        answer = self.file.readline()
        check(answer.startswith(b"+OK"), f"{line.split()[0]}: {answer}")

    def log_in(self):
        self.say(f"USER {USER}")
        self.say(f"PASS {PASSWORD}")
        return self


def blind():
    """A client that looks at no certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def shown_to(port, context, name):
    """The certificate that a client gets (DER)."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        with context.wrap_socket(plain, server_hostname=name) as tls:
            return tls.getpeercert(binary_form=True)


def http_status(port, text):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        plain.sendall(text.encode())
        answer = b""
        while piece := plain.recv(4096):
            answer += piece
    return int(answer.split()[1])


def make_server(pier, pebble, challenge, listener, pop3s_port, more=""):
    names = ", ".join(f'"{name}"' for name in NAMES)
    server = PierServer(pier, tls=False, settings=f"""
[acme]
domains = [{names}]
directory = "{pebble.directory}"
terms_agreed = true
contact = "postmaster@example.test"
challenge = "{challenge}"
ca_file = "{pebble.ca}"
{more}
[[listener]]
protocol = "pop3s"
address = "127.0.0.1"
port = {pop3s_port}
{listener}
""")
    server.add_account(USER, PASSWORD)
    return server


def status(server):
    return json.loads(server.cli("acme", "status", "--json"))


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def worker(server):
    """The process that speaks with the authority: a child of its supervisor, a child of the server."""
    return until("the process", lambda: [child for supervisor in children(server.process.pid) for child in children(supervisor)])[0]


def events(server, name):
    return server.log.read_text(errors="replace").count(f"event={name} ")


def by_http(pier, programs, folder):
    http_port, pop3s_port = free_ports(2)
    key_file = folder / "eab.key"
    key_file.write_text(EAB_KEY + "\n")
    with Pebble(programs, folder, http_port, 1, externalAccountBindingRequired=True, externalAccountMACKeys={"kid-1": EAB_KEY}) as pebble, \
            make_server(pier, pebble, "http-01", f'[[listener]]\nprotocol = "acme-http"\naddress = "127.0.0.1"\nport = {http_port}\n', pop3s_port,
                        f'eab_kid = "kid-1"\neab_key_file = "{key_file}"\n') as server:
        server.start()
        print("the authority is down: a self-signed certificate stands in, and it is said", flush=True)
        until("a failed attempt", lambda: events(server, "acme.failed"))
        stand_in = shown_to(pop3s_port, blind(), NAMES[0])
        check(status(server)["self_signed"] and events(server, "tls.self_signed") == 1, "the self-signed certificate is not told of")
        old = Session(pop3s_port, blind(), NAMES[0]).log_in()

        print("the authority is up: it asks, and gives", flush=True)
        pebble.start()
        until("a certificate", lambda: not status(server)["self_signed"])
        context = ssl.create_default_context(cadata=pebble.root())
        first = {name: shown_to(pop3s_port, context, name) for name in NAMES}
        check(first[NAMES[0]] == first[NAMES[1]] != stand_in, "not one certificate for both names")
        old.say("NOOP")
        told = status(server)
        check(not told["self_signed"] and told["failures"] == 0 and told["answered"] >= len(NAMES) and told["days_left"] > 0, told)
        check(json.loads(server.cli("status", "--json"))["tls"]["days_left"] == told["days_left"], "two counts of days")
        for name in ("account.pem", "certificate.pem", "challenges.json", "status.json"):
            mode = (server.folder / "data/acme" / name).stat().st_mode & 0o7777
            check(mode == 0o600, f"{name} has mode {mode:o}")

        print("nobody else is told anything", flush=True)
        wanted = {"GET /.well-known/acme-challenge/none HTTP/1.1\r\nHost: x\r\n\r\n": 404, "GET / HTTP/1.1\r\nHost: x\r\n\r\n": 404,
                  "POST /.well-known/acme-challenge/none HTTP/1.1\r\nHost: x\r\n\r\n": 404, "GET /../../etc/passwd HTTP/1.0\r\n\r\n": 404,
                  "nonsense\r\n\r\n": 400, "GET /" + "x" * 5000: 400}
        for text, code in wanted.items():
            check(http_status(http_port, text) == code, f"{text[:40]!r} is not answered with {code}")

        print("renewed on demand, and taken up by a new server as it is", flush=True)
        account = (server.folder / "data/acme/account.pem").read_bytes()
        server.cli("acme", "renew")
        second = until("another certificate", lambda: (got := shown_to(pop3s_port, context, NAMES[0])) != first[NAMES[0]] and got)
        old.say("NOOP")
        check((server.folder / "data/acme/account.pem").read_bytes() == account, "the account's key was made anew")

        print("the process that asks is confined, and made anew when it dies", flush=True)
        state = Path(f"/proc/{worker(server)}/status").read_text()
        check("Seccomp:\t2" in state and "NoNewPrivs:\t1" in state and "CapEff:\t0000000000000000" in state, state)
        os.kill(worker(server), signal.SIGKILL)
        until("its death in the log", lambda: events(server, "acme.process.died"))
        worker(server)
        server.cli("acme", "renew")
        first[NAMES[0]] = second
        second = until("another certificate", lambda: (got := shown_to(pop3s_port, context, NAMES[0])) != first[NAMES[0]] and got)
        old.say("QUIT")
        server.stop()
        server.start()
        check(shown_to(pop3s_port, context, NAMES[0]) == second, "the certificate is gone after a restart")
        check(events(server, "acme.certificate") == 3, "a good certificate was asked for again")
    refused_binding(pier, programs, folder)


def refused_binding(pier, programs, folder):
    print("an authority that wants an account it knows: its words are told", flush=True)
    http_port, pop3s_port = free_ports(2)
    key_file = folder / "wrong.key"
    key_file.write_text("d3Jvbmc\n")
    with Pebble(programs, folder, http_port, 1, externalAccountBindingRequired=True, externalAccountMACKeys={"kid-1": EAB_KEY}) as pebble, \
            make_server(pier, pebble, "http-01", f'[[listener]]\nprotocol = "acme-http"\naddress = "127.0.0.1"\nport = {http_port}\n', pop3s_port,
                        f'eab_kid = "kid-1"\neab_key_file = "{key_file}"\n') as server:
        pebble.start()
        server.start()
        failure = until("a refusal", lambda: status(server)["failure"].startswith("the authority says") and status(server)["failure"])
        check("urn:ietf:params:acme:error:" in failure, failure)
        check(failure in server.log.read_text().replace('\\"', '"'), "the log lacks the authority's words")


def by_tls_alpn(pier, programs, folder):
    acme_port, pop3s_port = free_ports(2)
    with Pebble(programs, folder, 1, acme_port, certificateValidityPeriod=SHORT_LIFE_SECONDS) as pebble, \
            make_server(pier, pebble, "tls-alpn-01", f'[[listener]]\nprotocol = "acme"\naddress = "127.0.0.1"\nport = {acme_port}\n', pop3s_port) as server:
        pebble.start()
        server.start()
        print("asked by handshake, on a listener of its own", flush=True)
        until("a certificate", lambda: not status(server)["self_signed"])
        context = ssl.create_default_context(cadata=pebble.root())
        first = shown_to(pop3s_port, context, NAMES[1])
        open_session = Session(pop3s_port, context, NAMES[0]).log_in()

        print("a client that asks for the protocol without a challenge is refused", flush=True)
        for port in (acme_port, pop3s_port):
            other = blind()
            other.set_alpn_protocols(["acme-tls/1"])
            try:
                shown_to(port, other, NAMES[0])
            except ssl.SSLError as error:
                check("no application protocol" in str(error).lower().replace("_", " "), error)
            else:
                raise Failed("acme-tls/1 is taken though nobody has asked for a challenge")

        print("renewed when two thirds of its life are over, while a session is open", flush=True)
        until("a renewal", lambda: shown_to(pop3s_port, blind(), NAMES[1]) != first)
        check(shown_to(pop3s_port, context, NAMES[1]) != first, "the certificate is none of the authority's")
        open_session.say("NOOP")
        check(events(server, "acme.failed") == 0, "an attempt failed, though only nonces were refused")

    print("asked by handshake on the port of POP3", flush=True)
    (pop3s_port,) = free_ports(1)
    with Pebble(programs, folder, 1, pop3s_port) as pebble, make_server(pier, pebble, "tls-alpn-01", "", pop3s_port) as server:
        pebble.start()
        server.start()
        until("a certificate", lambda: not status(server)["self_signed"])
        Session(pop3s_port, ssl.create_default_context(cadata=pebble.root()), NAMES[0]).log_in().say("QUIT")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pier", required=True)
    parser.add_argument("--unpacked", required=True, type=Path)
    parser.add_argument("part", choices=["http", "tls_alpn"])
    arguments = parser.parse_args()
    programs = arguments.unpacked / "pebble/usr/bin"
    if not (programs / "pebble").exists():
        sys.exit(f"acme: no pebble under {programs}; run packaging/install-deps.sh unpack")
    with tempfile.TemporaryDirectory(prefix="pier-acme-") as folder:
        try:
            {"http": by_http, "tls_alpn": by_tls_alpn}[arguments.part](arguments.pier, programs, Path(folder))
        except Failed as failed:
            sys.exit(f"acme: FAILED: {failed}")
    print("acme: all well")


if __name__ == "__main__":
    main()
