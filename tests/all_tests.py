#!/usr/bin/env python3
"""Joins the tests of several build folders into one ctest run.

usage: all_tests.py --into DIR --fuzz-seconds N NAME=BUILD-FOLDER[:REGEX]...

Asks each build folder's ctest for its tests, takes those whose name matches REGEX, and writes them with NAME. in front
into DIR/CTestTestfile.cmake. A fuzz build has no tests of its own: each of its programs fuzz_* becomes one.
"""
import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

# What takes longest starts first (ctest's COST), so that two jobs end at about the same time.
COST_BY_LABEL = {"crash": 1000, "faults": 500, "fuzz": 10, "clients": 20}


def quoted(text):
    """A CMake bracket argument: nothing inside is special."""
    return f"[==[{text}]==]"


def properties_of(test):
    for entry in test.get("properties", []):
        name, value = entry["name"], entry["value"]
        if name == "RESOURCE_LOCK":
            value = ";".join(value)
        if name in ("TIMEOUT", "WORKING_DIRECTORY", "RESOURCE_LOCK", "SKIP_RETURN_CODE"):
            yield name, str(value)
        elif name in ("LABELS", "ENVIRONMENT"):
            yield name, ";".join(value)


def prefix_of(build):
    """GCC 12's thread sanitizer cannot place its memory when the kernel randomises more than 28 bits of addresses."""
    bits = Path("/proc/sys/vm/mmap_rnd_bits")
    if build == "tsan" and bits.exists() and int(bits.read_text()) > 28:
        return ["setarch", "--addr-no-randomize"]
    return []


def tests_of(folder, pattern):
    done = subprocess.run(["ctest", "--test-dir", folder, "--show-only=json-v1"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"all_tests: no tests in {folder}: {done.stderr.strip()}")
    for test in json.loads(done.stdout)["tests"]:
        if re.search(pattern, test["name"]):
            if "command" not in test:
                sys.exit(f"all_tests: {test['name']} of {folder} is not built")
            yield test["name"], test["command"], dict(properties_of(test))


def fuzzers_of(folder, seconds):
    script = str(Path(__file__).with_name("fuzz.py").resolve())
    for program in sorted((Path(folder) / "fuzz").glob("fuzz_*")):
        if program.is_file() and program.suffix == "":
            name = program.name[len("fuzz_"):]
            yield name, [script, str(seconds), name], {"LABELS": "fuzz", "TIMEOUT": str(seconds + 120)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", required=True, type=Path)
    parser.add_argument("--fuzz-seconds", type=int, default=20)
    parser.add_argument("builds", nargs="+")
    options = parser.parse_args()
    lines = []
    for build in options.builds:
        name, place = build.split("=", 1)
        folder, _, pattern = place.partition(":")
        tests = list(fuzzers_of(folder, options.fuzz_seconds) if name == "fuzz" else tests_of(folder, pattern))
        if not tests:
            sys.exit(f"all_tests: {folder} has no test that matches {pattern!r}")
        for test, command, properties in tests:
            full = f"{name}.{test}"
            properties["LABELS"] = ";".join(filter(None, [name, properties.get("LABELS")]))
            cost = max((COST_BY_LABEL.get(label, 0) for label in properties["LABELS"].split(";")), default=0)
            lines.append(f"add_test({quoted(full)} {' '.join(quoted(word) for word in prefix_of(name) + command)})")
            settings = " ".join(f"{key} {quoted(value)}" for key, value in properties.items())
            lines.append(f"set_tests_properties({quoted(full)} PROPERTIES COST {cost} {settings})")
    options.into.mkdir(parents=True, exist_ok=True)
    (options.into / "CTestTestfile.cmake").write_text("\n".join(lines) + "\n")
    print(f"{len(lines) // 2} tests")


if __name__ == "__main__":
    main()
