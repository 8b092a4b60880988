#!/usr/bin/env python3
"""A DNS of a test's own, on loopback: unbound with the zones that it is given, some of them signed. It is what a mail
server's resolver would be: it verifies DNSSEC and sets AD. Outside its zones there is no name.

    with DnsServer(unpacked, folder, {"example.org": Zone(records, signed=True)}) as dns:
        ... dns.address ...                     # "127.0.0.1:5353"

`records` are lines of a zone file below "$ORIGIN example.org." ("@ MX 10 mx", "mx A 127.0.0.1",
"_25._tcp.mx TLSA 3 1 1 …"). unbound is Debian's, unpacked by packaging/install-deps.sh unpack; ldnsutils signs.

usage: dns_server.py --unpacked FOLDER     starts one and asks it: a test of itself
"""
import argparse
import hashlib
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 30
TYPES = {"A": 1, "CNAME": 5, "MX": 15, "TXT": 16, "AAAA": 28, "TLSA": 52}
NO_ERROR, SERVFAIL, NO_SUCH_NAME = 0, 2, 3


class DnsFailed(Exception):
    pass


@dataclass
class Zone:
    records: str = ""
    signed: bool = False
    bogus: bool = False     # signed, but not by the key that the resolver trusts: SERVFAIL to everything


def tlsa_data(certificates_pem, usage=3):
    """"3 1 1 …" of the first certificate: SHA-256 of its key."""
    key = subprocess.run(["openssl", "x509", "-noout", "-pubkey"], input=certificates_pem.encode(), capture_output=True, check=True).stdout
    spki = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, capture_output=True, check=True).stdout
    return f"{usage} 1 1 {hashlib.sha256(spki).hexdigest()}"


def free_udp_and_tcp_port():
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            udp.bind(("127.0.0.1", 0))
            try:
                tcp.bind(udp.getsockname())
            except OSError:
                continue
            return udp.getsockname()[1]


@dataclass
class DnsAnswer:
    code: int
    authentic: bool
    answers: int


class DnsServer:
    def __init__(self, unpacked, folder, zones):
        self.program = Path(unpacked).resolve() / "unbound/usr/sbin/unbound"
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.zones = zones
        self.port = free_udp_and_tcp_port()
        self.address = f"127.0.0.1:{self.port}"
        self.log = self.folder / "unbound.log"
        self.process = None
        self.serial = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stop()
        if kind is not None and self.log.exists():
            print(f"the end of {self.log}:\n" + "\n".join(self.log.read_text(errors="replace").splitlines()[-15:]), flush=True)

    def replace(self, zones):
        """Other zones from now on; nothing is remembered."""
        self.stop()
        self.zones = zones
        self.start()

    def start(self):
        if not self.program.exists():
            raise DnsFailed(f"{self.program} is not there; run packaging/install-deps.sh unpack")
        config = self.folder / "unbound.conf"
        config.write_text(self.configuration())
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.program, "-d", "-c", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise DnsFailed(f"unbound does not start:\n{self.log.read_text(errors='replace')[-2000:]}")
            try:
                self.ask("nobody.invalid", "A", seconds=0.5)
                return
            except OSError:
                time.sleep(0.05)   # no longer than it takes to be ready

    def stop(self):
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def configuration(self):
        lines = [
            "server:", f"    interface: 127.0.0.1@{self.port}", '    chroot: ""', '    username: ""', f'    directory: "{self.folder}"',
            '    pidfile: ""', '    logfile: ""', "    use-syslog: no", "    do-daemonize: no", "    num-threads: 1", "    do-ip6: no",
            '    module-config: "validator iterator"', "    access-control: 127.0.0.0/8 allow", "    do-not-query-localhost: no",
            "    val-log-level: 1",
            # Nothing outside the zones is there, and nobody outside this machine is asked.
            '    local-zone: "." static',
        ]
        zones = []
        for name, zone in self.zones.items():
            lines.append(f'    local-zone: "{name}." transparent')
            file, anchors = self.zone_files(name, zone)
            lines += [f'    trust-anchor: "{anchor}"' for anchor in anchors]
            zones += ["auth-zone:", f'    name: "{name}."', f'    zonefile: "{file}"', "    for-upstream: yes", "    for-downstream: no",
                      "    fallback-enabled: no"]
        return "\n".join(lines + ["remote-control:", "    control-enable: no"] + zones) + "\n"

    def zone_files(self, name, zone):
        """The zone's file, signed if it is to be, and whom to trust for it."""
        self.serial += 1
        file = self.folder / f"{name}.{self.serial}.zone"
        file.write_text(f"$ORIGIN {name}.\n$TTL 60\n@ SOA ns root {self.serial} 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n{zone.records}\n")
        if not (zone.signed or zone.bogus):
            return file, []
        key = self.make_key(name)
        self.run("ldns-signzone", "-n", file, key)
        trusted = self.make_key(name) if zone.bogus else key
        return f"{file}.signed", [" ".join((self.folder / f"{trusted}.key").read_text().split(";")[0].split())]

    def make_key(self, name):
        return self.run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", f"{name}.").strip()

    def run(self, *command):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=self.folder, timeout=60)
        if done.returncode != 0:
            raise DnsFailed(f"{command[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def ask(self, name, kind, seconds=10):
        """One question with AD set, as a mail server asks. OSError: no answer."""
        question = b"".join(bytes([len(label)]) + label for label in name.encode().split(b".")) + b"\0"
        packet = os.urandom(2) + struct.pack(">HHHHH", 0x0120, 1, 0, 0, 0) + question + struct.pack(">HH", TYPES[kind], 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(seconds)
            udp.connect(("127.0.0.1", self.port))
            udp.send(packet)
            answer = udp.recv(65535)
        flags, answers = struct.unpack(">2xH2xH", answer[:8])
        return DnsAnswer(flags & 0xF, bool(flags & 0x20), answers)


def check(what, got, expected):
    if got != expected:
        raise DnsFailed(f"{what}: {got}, not {expected}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unpacked", required=True, type=Path)
    arguments = parser.parse_args()
    records = "@ MX 10 mx\nmx A 127.0.0.1\n_25._tcp.mx TLSA 3 1 1 " + "ab" * 32
    zones = {
        "signed.example": Zone(records, signed=True),
        "plain.example": Zone(records),
        "bogus.example": Zone(records, bogus=True),
        "null.example": Zone("@ MX 0 ."),
    }
    with tempfile.TemporaryDirectory(prefix="pier-test-dns-") as folder, DnsServer(arguments.unpacked, folder, zones) as dns:
        for kind, name in [("MX", "signed.example"), ("A", "mx.signed.example"), ("TLSA", "_25._tcp.mx.signed.example")]:
            answer = dns.ask(name, kind)
            check(f"{kind} of {name}", (answer.code, answer.authentic, answer.answers >= 1), (NO_ERROR, True, True))
        check("what a signed zone does not have", dns.ask("none.signed.example", "A").code, NO_SUCH_NAME)
        check("and that is vouched for", dns.ask("none.signed.example", "A").authentic, True)
        check("a record that it does not have", dns.ask("signed.example", "TXT"), DnsAnswer(NO_ERROR, True, 0))
        check("a zone without signatures", dns.ask("plain.example", "MX"), DnsAnswer(NO_ERROR, False, 1))
        check("a zone with wrong signatures", dns.ask("bogus.example", "MX").code, SERVFAIL)
        check("a null MX", dns.ask("null.example", "MX"), DnsAnswer(NO_ERROR, False, 1))
        check("a name outside", dns.ask("www.example.com", "A").code, NO_SUCH_NAME)
        dns.replace({"plain.example": Zone("@ MX 1 other\n@ MX 2 mx")})
        check("other zones", dns.ask("plain.example", "MX").answers, 2)
    print("dns_server: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
