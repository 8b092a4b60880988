#!/usr/bin/env python3
"""`pier doctor` is asked about faults that are provoked: each must be named rightly, and nothing beside it.

usage: doctor.py --pier PROGRAM --unpacked FOLDER logins|machine|mail [PART]
"""
import argparse
import sys

import doctor_logins
import doctor_machine
import doctor_mail
from doctor_case import Doctor

GROUPS = {"logins": doctor_logins.PARTS, "machine": doctor_machine.PARTS, "mail": doctor_mail.PARTS}
FAULTS_MIN = {"logins": 28, "machine": 20, "mail": 15}     # that are provoked, also where some are skipped


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument("--unpacked", required=True)
    parser.add_argument("group", choices=GROUPS)
    parser.add_argument("part", nargs="?")
    options = parser.parse_args()
    parts = GROUPS[options.group]
    for name, part in parts.items():
        if options.part in (None, name):
            print(f"-- {name}: {(part.__doc__ or '').strip()}", flush=True)
            part(options.pier, options.unpacked) if options.group == "mail" else part(options.pier)
    print(f"doctor {options.group}: {Doctor.faults} faults were provoked and named, by {len(Doctor.named)} codes: {', '.join(sorted(Doctor.named))}")
    if options.part is None and Doctor.faults < FAULTS_MIN[options.group]:
        print(f"only {Doctor.faults} faults were provoked, of at least {FAULTS_MIN[options.group]}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
