#!/usr/bin/env python3
"""Real clients log in with each mechanism that Pier offers, with the right password and with a wrong one, by TLS and
without it; a password with spaces, quotes and letters beyond ASCII.

usage: logins.py --pier PROGRAM
"""
import argparse
import base64
import hashlib
import hmac
import re
import ssl
import subprocess
import sys

from pier_server import Failed, PierServer

ACCOUNTS = {"ada": "correct horse battery", "grace@pier.example": "pässwörd \"with\" 100% of ' it\\all"}


def curl(server, user, password, mechanism, *options):
    """Over TLS; `mechanism` as curl's --login-options has it. Gives the exit status."""
    command = ["curl", "-s", "--max-time", "30", "--cacert", server.ca, "--login-options", f"AUTH={mechanism}", *options,
               "-u", f"{user}:{password}", f"pop3s://localhost:{server.pop3s_port}/"]
    return subprocess.run([str(word) for word in command], capture_output=True).returncode


def mpop(server, user, password, mechanism, tls):
    rc = server.folder / "mpoprc"
    rc.touch(0o600)
    rc.write_text(f"""
account test
host localhost
port {server.pop3_port}
user {user}
passwordeval "cat {server.folder}/secret"
auth {mechanism}
tls {'on' if tls else 'off'}
tls_starttls on
tls_trust_file {server.ca}
delivery mda true
uidls_file {server.folder}/uidls
""")
    (server.folder / "secret").write_text(password + "\n")
    return subprocess.run(["mpop", "-q", "-s", "-C", rc, "test"], capture_output=True).returncode


class BoundChannel:
    """TLS by `openssl s_client`, which tells what only both ends of the channel know."""

    def __init__(self, server, *options):
        command = ["openssl", "s_client", "-connect", f"localhost:{server.pop3s_port}", "-CAfile", server.ca, "-ign_eof",
                   "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32", *options]
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.exporter = b""
        self.greeting = self.line()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def line(self):
        """The next line that the server said; what s_client says itself begins otherwise."""
        for line in self.process.stdout:
            if found := re.match(rb"\s*Keying material: ([0-9A-F]+)", line):
                self.exporter = bytes.fromhex(found[1].decode())
            if re.match(rb"\+OK|\+ |-ERR|SASL ", line):
                return line.rstrip(b"\r\n")
        return b""

    def ask(self, text):
        self.process.stdin.write(text + b"\r\n")
        self.process.stdin.flush()
        return self.line()


def scram_plus(server, user, password, binding, wrong=b""):
    """SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), from their texts; gives the last reply. `wrong`: what somebody in the middle would make of the channel."""
    def b64(octets):
        return base64.b64encode(octets)

    with BoundChannel(server) as channel:
        mechanisms = channel.ask(b"CAPA")
        while not mechanisms.startswith(b"SASL "):
            mechanisms = channel.line()
        if b"SCRAM-SHA-256-PLUS" not in mechanisms.split():
            raise Failed(f"no SCRAM-SHA-256-PLUS: {mechanisms}")
        certificate = ssl.PEM_cert_to_DER_cert((server.folder / "tls/server.pem").read_text().split("-----END")[0] + "-----END CERTIFICATE-----\n")
        octets = {"tls-exporter": channel.exporter, "tls-server-end-point": hashlib.sha256(certificate).digest()}[binding] + wrong
        header, bare = f"p={binding},,".encode(), f"n={user.replace('=', '=3D').replace(',', '=2C')},r=fyko".encode()
        answer = channel.ask(b"AUTH SCRAM-SHA-256-PLUS " + b64(header + bare))
        if not answer.startswith(b"+ "):
            return answer
        server_first = base64.b64decode(answer[2:])
        parts = dict(part.split(b"=", 1) for part in server_first.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(parts[b"s"]), int(parts[b"i"]))
        without_proof = b"c=" + b64(header + octets) + b",r=" + parts[b"r"]
        said = b",".join([bare, server_first, without_proof])
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), said, "sha256")
        answer = channel.ask(b64(without_proof + b",p=" + b64(bytes(a ^ b for a, b in zip(client_key, signature)))))
        if not answer.startswith(b"+ "):
            return answer
        if base64.b64decode(answer[2:]) != b"v=" + b64(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), said, "sha256")):
            raise Failed(f"SCRAM-SHA-256-PLUS: the server does not know the password: {answer}")
        return channel.ask(b"")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    options = parser.parse_args()
    done = 0
    with PierServer(options.pier) as server:
        server.cli("domain", "add", "pier.example")
        for user, password in ACCOUNTS.items():
            server.add_account(user, password)
        server.start()

        def expect(what, status, good):
            nonlocal done
            if (status == 0) != good:
                raise Failed(f"{what}: exit status {status}; it should have {'succeeded' if good else 'been refused'}; the server's log:\n{server.log_tail()}")
            done += 1

        for user, password in ACCOUNTS.items():
            for secret, good in ((password, True), (password + "x", False)):
                for mechanism in ("PLAIN", "LOGIN"):
                    for how in ([], ["--sasl-ir"]):
                        expect(f"curl {mechanism} {how} as {user}", curl(server, user, secret, mechanism, *how), good)
                for mechanism in ("user", "plain", "login", "scram-sha-1", "scram-sha-256"):
                    for tls in (True, False):
                        expect(f"mpop {mechanism} tls={tls} as {user}", mpop(server, user, secret, mechanism, tls), good)
                for binding in ("tls-exporter", "tls-server-end-point"):
                    answer = scram_plus(server, user, secret, binding)
                    expect(f"SCRAM-SHA-256-PLUS by {binding} as {user}: {answer}", 0 if answer.startswith(b"+OK") else 1, good)
            answer = scram_plus(server, user, password, "tls-exporter", b"another")
            expect(f"SCRAM-SHA-256-PLUS in the middle of two channels: {answer}", 0 if answer.startswith(b"+OK") else 1, False)
    print(f"{done} logins ended as they should")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
