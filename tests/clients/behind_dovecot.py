#!/usr/bin/env python3
"""A real Dovecot as a proxy in front of Pier: by XCLIENT it says who its clients are, and they count as what they are.

usage: behind_dovecot.py --pier PROGRAM
"""
import argparse
import os
import sys

from dovecot_process import DovecotProcess
from front_ends import PASSWORD, USER, expect, fetch, logins
from pier_server import Failed, PierServer, free_ports

CLIENT, STRANGER, GUESSER = "127.0.0.31", "127.0.0.32", "127.0.0.33"
BETWEEN = ["starttls=any-cert", ""]    # Pier on this machine takes passwords from a TLS client without TLS in between
GUESSES = 4
GUARD = f"[guard]\npair_failures_max = {GUESSES}\ndelay_max = \"0s\"\n"
SKIPPED = 77                            # for ctest
LOGIN_DENIED = 67                       # curl's status
PROXY = """\
protocols = pop3
ssl = yes
ssl_cert = <@FOLDER@/tls/server.pem
ssl_key = <@FOLDER@/tls/server.key
auth_mechanisms = plain login
passdb {
  driver = static
  args = proxy=y host=localhost hostip=127.0.0.1 port=@TO@ nopassword=y @TLS@
}
service pop3-login {
  inet_listener pop3 {
    port = 0
  }
  inet_listener pop3s {
    port = @PORT@
    ssl = yes
  }
}
"""


def settings(pier, port, between):
    text = PROXY
    for name, value in {"FOLDER": pier.folder, "TO": pier.pop3_port, "TLS": between, "PORT": port}.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def check(pier, port):
    expect(fetch(pier.ca, port, CLIENT) == 0, "a login through Dovecot failed")
    expect([address for address, _ in logins(pier)] == [CLIENT], f"the log does not name the client: {logins(pier)}")
    pier.cli("account", "deny", USER, STRANGER)
    expect(fetch(pier.ca, port, STRANGER) == LOGIN_DENIED, "an address from which the account may not log in")
    expect(fetch(pier.ca, port, CLIENT) == 0, "another client of the same proxy")
    pier.cli("account", "deny", USER, "none")
    expect(fetch(pier.ca, port, STRANGER) == 0, "the address when it is allowed again")
    for number in range(GUESSES):
        expect(fetch(pier.ca, port, GUESSER, f"guess {number}") == LOGIN_DENIED, "a wrong password was taken")
    expect(fetch(pier.ca, port, GUESSER) == LOGIN_DENIED, "who guessed is not held by the guard")
    expect(fetch(pier.ca, port, CLIENT) == 0, "somebody else is held because of another client's guesses")
    blocked = pier.cli("guard", "list").decode()
    expect(GUESSER in blocked and CLIENT not in blocked and "127.0.0.1 " not in blocked, f"the guard holds the wrong ones:\n{blocked}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    options = parser.parse_args()
    if os.getuid() != 0:
        print("Dovecot needs root")
        sys.exit(SKIPPED)
    for between in BETWEEN:
        with PierServer(options.pier, settings=GUARD, listener='xclient = ["127.0.0.1"]\n') as pier:
            pier.add_account(USER, PASSWORD)
            pier.start()
            port, = free_ports(1)
            with DovecotProcess(pier.folder, settings(pier, port, between), port):
                check(pier, port)
    print(f"behind Dovecot, with TLS in between and without: clients are known, refused and held by their own addresses")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
