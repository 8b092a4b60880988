#!/usr/bin/env python3
"""Says how much of each parser's source the kept corpora of its fuzzers reach.

usage: tests/fuzz_coverage.py [--found] [--missed] [NAME...]

Builds the fuzzers with coverage counters (build/fuzz-coverage), runs each once over fuzz/corpus/NAME, with --found also
over what runs on this machine found (build/fuzz-corpus/NAME), and prints the lines reached of the files that the fuzzer
is for, as a table in Markdown; with --missed also the lines that were not.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BUILD = TOP / "build/fuzz-coverage"

# What each fuzzer is for, below src/.
PARSERS = {
    "addresses": ["smtp/path.cc", "auth/name.cc", "base/utf8.cc"],
    "config": ["main/config_file.cc", "main/config_rules.cc", "main/config_text.cc", "main/quantity.cc", "main/suggestion.cc"],
    "index_form": ["store/log/index_form.cc", "store/log/octets.h"],
    "smtp_client": ["smtp/client.cc", "smtp/reply_reader.cc"],
    "dns_answer": ["dns/answer.cc"],
    "mta_sts": ["queue/mta_sts.cc"],
    "filtered_mail": ["delivery/incoming_header.cc", "delivery/srs.cc", "filter/rspamd.cc"],
    "header": ["wire/header.cc", "wire/address_list.cc"],
    "ports": ["watch/listening.cc", "watch/firewall.cc", "watch/drift.cc"],
    "probe_dialogues": ["watch/pop3_dialogue.cc", "watch/imap_dialogue.cc", "watch/smtp_dialogue.cc"],
    "tokens": ["auth/jwt.cc", "auth/jwk.cc", "auth/token_claims.cc", "auth/introspection.cc"],
    "smtp_session": ["smtp/session.cc", "smtp/commands.cc", "smtp/reply.cc", "smtp/hops.cc"],
    "mailbox_files": ["migrate/mbox.cc", "migrate/eml.cc", "migrate/dates.cc", "migrate/file.cc"],
    "management": ["admin/protocol.cc", "admin/api.cc", "admin/params.cc", "admin/methods.cc", "auth/directory.cc",
                   "auth/directory_accounts.cc", "auth/directory_addresses.cc"],
    "pop3_session": ["pop3/session.cc", "pop3/commands.cc", "pop3/conversation.cc", "pop3/login.cc", "pop3/transaction.cc",
                     "pop3/capabilities.cc"],
    "sasl": ["wire/sasl.cc", "wire/scram.cc"],
    "proxy_header": ["net/proxy_header.cc"],
    "segment_reader": ["store/log/segment.cc", "store/log/record.cc", "store/log/checksum.cc"],
    "stored_account": ["auth/password.cc", "auth/record.cc"],
    "stored_envelope": ["queue/entry.cc", "queue/notice.cc"],
    "tls_records": ["net/tls_records.cc"],
    "migrate_dialogues": ["migrate/pop3_client.cc", "migrate/imap_client.cc", "migrate/imap_response.cc"],
    "uid_lists": ["migrate/uid_lists.cc", "migrate/maildir.cc"],
    "wire_text": ["wire/crlf.cc", "wire/dots.cc", "wire/dots.h", "wire/top.cc", "wire/line_buffer.cc", "wire/base64.cc"],
}


def run(*words, **options):
    return subprocess.run([str(word) for word in words], check=True, text=True, **options)


def profile_of(name, found):
    """Runs a fuzzer over its corpus; the counters, merged."""
    raw, merged = BUILD / f"{name}.profraw", BUILD / f"{name}.profdata"
    folders = [folder for folder in (TOP / "fuzz/corpus" / name, TOP / "build/fuzz-corpus" / name if found else None)
               if folder and folder.exists()]
    run(BUILD / "fuzz" / f"fuzz_{name}", "-runs=0", *folders, env={**os.environ, "LLVM_PROFILE_FILE": str(raw)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run("llvm-profdata-14", "merge", "-sparse", "-o", merged, raw)
    raw.unlink()
    return merged


def files_of(name, profile):
    """Each source, its lines with code, and how many of them were reached."""
    done = run("llvm-cov-14", "export", "-summary-only", f"-instr-profile={profile}", BUILD / "fuzz" / f"fuzz_{name}",
               capture_output=True)
    known = {os.path.normpath(file["filename"]): file for file in json.loads(done.stdout)["data"][0]["files"]}
    for source in PARSERS[name]:
        file = next((file for path, file in known.items() if path.endswith(f"/src/{source}")), None)
        if not file:
            sys.exit(f"fuzz_coverage: fuzz_{name} has nothing of src/{source}; correct PARSERS")
        yield source, file["summary"]["lines"]["count"], file["summary"]["lines"]["covered"]


def show_missed(name, profile):
    done = run("llvm-cov-14", "show", f"-instr-profile={profile}", BUILD / "fuzz" / f"fuzz_{name}", capture_output=True)
    asked_for = False
    for line in done.stdout.splitlines():
        parts = line.split("|", 2)
        if line.startswith("/") and line.endswith(":"):
            source = os.path.normpath(line[:-1]).rpartition("/src/")[2]
            asked_for = source in PARSERS[name]
            if asked_for:
                print(line)
        elif asked_for and len(parts) == 3 and parts[1].strip() == "0":
            print(line)


def main():
    words = sys.argv[1:]
    names = [word for word in words if not word.startswith("--")] or sorted(PARSERS)
    targets = sorted(path.stem for path in (TOP / "fuzz").glob("*.cc"))
    unknown = sorted(set(targets) ^ set(PARSERS) | set(names) - set(PARSERS))
    if unknown:
        sys.exit(f"fuzz_coverage: {', '.join(unknown)}: name each fuzzer of fuzz/ in PARSERS, and no other")
    run(TOP / "packaging/build.sh", "fuzz-coverage", *(f"fuzz_{name}" for name in names), stdout=sys.stderr)
    print("| target | source | lines | reached |", "| --- | --- | ---: | ---: |", sep="\n")
    for name in names:
        profile = profile_of(name, "--found" in words)
        for source, lines, reached in files_of(name, profile):
            print(f"| {name} | {source} | {lines} | {100 * reached // lines} % |", flush=True)
        if "--missed" in words:
            show_missed(name, profile)


if __name__ == "__main__":
    main()
