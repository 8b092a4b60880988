#!/usr/bin/env python3
"""Attacks a POP3 server in every way that docs/security.md lists, and says which answers were safe.

  attacks.py --pier PROGRAM                     a Pier of its own, every row
  attacks.py --host H --pop3 PORT --pop3s PORT --user U --password P
                                                any server: every row that can be seen from outside

Attack only what is yours: the rows open ten thousand connections, send wrong passwords, and may set off alarms.
"""
import argparse
import sys

import certificate_rows  # noqa: F401  (each of these adds its rows to the table)
import command_rows  # noqa: F401
import guard_rows  # noqa: F401
import load_rows  # noqa: F401
import log_rows  # noqa: F401
import login_rows  # noqa: F401
import maildrop_rows  # noqa: F401
import smtp_rows  # noqa: F401
import stls_rows  # noqa: F401
import tls_rows  # noqa: F401
import table
from target import Failed, PierTarget, Target, raise_descriptors


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    whom = parser.add_argument_group("whom to attack")
    whom.add_argument("--pier", metavar="PROGRAM", help="a Pier that is started for it, on loopback, in a temporary folder")
    whom.add_argument("--dovecot", action="store_true", help="Debian's Dovecot with its defaults, started for it in the same way (needs root)")
    whom.add_argument("--host")
    whom.add_argument("--pop3", metavar="PORT", type=int, default=110, help="with STLS (110)")
    whom.add_argument("--pop3s", metavar="PORT", type=int, default=995, help="TLS from the first octet (995)")
    whom.add_argument("--user")
    whom.add_argument("--password")
    more = parser.add_argument_group("what it may do and see")
    more.add_argument("--mailbox-is-scratch", action="store_true", help="mail in the user's mailbox may be removed")
    more.add_argument("--lmtp", metavar="PORT", type=int, help="on this machine: mail for --recipient may be delivered there")
    more.add_argument("--recipient", metavar="ADDRESS", help="whose mailbox is the user's")
    more.add_argument("--pid", type=int, help="the server's process on this machine, to watch its memory")
    more.add_argument("--source", metavar="ADDRESS", help="connect from this address of this machine")
    more.add_argument("--only", metavar="ROWS", help="numbers or tests, with commas between: 1,9,endless_line")
    more.add_argument("--except", dest="without", metavar="ROWS", help="all but these")
    more.add_argument("--long", action="store_true", help="the long forms: a line of 1 GiB")
    more.add_argument("--list", action="store_true", help="only lists the rows")
    options = parser.parse_args()
    targets = [bool(options.pier), options.dovecot, bool(options.host)]
    if not options.list and sum(targets) != 1:
        parser.error("say whom: --pier PROGRAM, or --host with --user and --password, or --dovecot")
    if options.host and not (options.user and options.password):
        parser.error("--host needs --user and --password of an account there")
    if bool(options.lmtp) != bool(options.recipient):
        parser.error("--lmtp and --recipient go together")
    try:
        rows = table.chosen(options.only.split(",") if options.only else [])
        without = {row.name for row in table.chosen(options.without.split(","))} if options.without else set()
    except KeyError as word:
        parser.error(f"no row is called {word}; --list shows all")
    return options, [row for row in rows if row.name not in without]


def target_of(options):
    if options.pier:
        return PierTarget(options.pier, long=options.long)
    if options.dovecot:
        from dovecot_server import DovecotTarget
        return DovecotTarget(long=options.long)
    return Target(options.host, options.pop3, options.pop3s, options.user, options.password, scratch=options.mailbox_is_scratch, lmtp=options.lmtp,
                  recipient=options.recipient, pid=options.pid, source=options.source, long=options.long)


def main():
    options, rows = parse()
    if options.list:
        for row in rows:
            print(f"{row.number:3} {row.name:28} {row.attack}{'  [--pier]' if row.needs_pier else ''}")
        return 0
    raise_descriptors()
    with target_of(options) as target:
        counts = table.run(rows, target, colours=sys.stdout.isatty())
    return 1 if counts["unsafe"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as problem:
        sys.exit(f"attacks: {problem}")
