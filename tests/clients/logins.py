#!/usr/bin/env python3
"""Real clients log in with each mechanism that Pier offers, with the right password and with a wrong one, by TLS and
without it; a password with spaces, quotes and letters beyond ASCII.

usage: logins.py --pier PROGRAM
"""
import argparse
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
    print(f"{done} logins ended as they should")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
