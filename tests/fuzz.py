#!/usr/bin/env python3
"""Runs fuzzers, and says at the end what each did.

usage: tests/fuzz.py SECONDS [NAME...]     each for SECONDS, JOBS at a time (2); no NAME: all, after building them
       tests/fuzz.py --keep [NAME...]      adds to fuzz/corpus/NAME what reaches more, of what earlier runs found

Each starts from fuzz/corpus/NAME and what earlier runs found (build/fuzz-corpus/NAME), with fuzz/NAME.dict. An input
that breaks something is left in build/fuzz-found/ and its path printed: add it to fuzz/corpus/NAME with the fix. What a
fuzzer wrote is in build/fuzz-log/NAME. FUZZ_SEED is where chance begins (0: elsewhere in each run). Ctrl-C ends the run
early, with the table. Exit: 0 nothing was found, 1 something was, 2 a fuzzer is not built.
"""
import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
FOUND, LOGS, PROGRAMS = TOP / "build/fuzz-found", TOP / "build/fuzz-log", TOP / "build/fuzz/fuzz"
INPUT_OCTETS_MAX = 8192
INPUT_SECONDS_MAX = 30  # by the clock: a busy machine is no fault
MEMORY_MIB_MAX = 2048
KEPT_OCTETS_MAX = 2048  # larger inputs are not kept: what they reach, smaller ones reach
LOG_LINES_SHOWN = 60

INTERRUPTED = 72  # libFuzzer's exit code after SIGINT

printing = threading.Lock()
stopping = threading.Event()


def say(*lines):
    with printing:
        print(*lines, sep="\n", flush=True)


def corpora(name):
    """The corpus that grows, then the kept one."""
    found, kept = TOP / "build/fuzz-corpus" / name, TOP / "fuzz/corpus" / name
    for folder in (FOUND, LOGS, found, kept):
        folder.mkdir(parents=True, exist_ok=True)
    return found, kept


def last(pattern, text):
    """The number that stood behind `pattern` last; 0 if it never did."""
    numbers = re.findall(pattern + r"\s*(\d+)", text)
    return int(numbers[-1]) if numbers else 0


def fuzz(name, seconds):
    """One fuzzer for so long; what it did, as one row of the table. None if the run is to end."""
    if stopping.is_set():
        return None
    found, kept = corpora(name)
    dictionary = TOP / "fuzz" / f"{name}.dict"
    words = [PROGRAMS / f"fuzz_{name}", f"-max_total_time={seconds}", f"-timeout={INPUT_SECONDS_MAX}",
             f"-rss_limit_mb={MEMORY_MIB_MAX}", f"-max_len={INPUT_OCTETS_MAX}",
             f"-seed={os.environ.get('FUZZ_SEED', '0')}", "-print_final_stats=1", "-print_funcs=0",
             f"-artifact_prefix={FOUND}/{name}-"]
    if dictionary.exists():
        words.append(f"-dict={dictionary}")
    say(f"fuzz_{name} for {seconds} s")
    before = set(FOUND.glob(f"{name}-*"))
    log = LOGS / name
    with log.open("wb") as out:
        process = subprocess.Popen([*words, found, kept], stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    text = log.read_text(errors="replace")
    crashes = sorted(set(FOUND.glob(f"{name}-*")) - before)
    failed = process.returncode != 0 and not (stopping.is_set() and process.returncode == INTERRUPTED)
    if failed:
        say(f"fuzz_{name} ended with {process.returncode}; the end of {log}:", *text.splitlines()[-LOG_LINES_SHOWN:],
            *(f"found: {crash}" for crash in crashes))
    return {"target": name, "executions": last(r"stat::number_of_executed_units:", text), "edges": last(r"cov:", text),
            "new inputs": last(r"stat::new_units_added:", text), "CPU s": round(usage.ru_utime + usage.ru_stime),
            "found": len(crashes), "failed": failed}


def table(rows):
    columns = ["target", "executions", "edges", "new inputs", "CPU s", "found"]
    lines = [columns] + [[str(row[column]) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return ["  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))])
            for line in lines]


def keep(name):
    """Adds to the kept corpus the fewest inputs that reach all that was reached."""
    found, kept = corpora(name)
    small = [path for path in found.iterdir() if path.stat().st_size <= KEPT_OCTETS_MAX]
    before = len(list(kept.iterdir()))
    chosen = TOP / "build/fuzz-small" / name
    chosen.mkdir(parents=True, exist_ok=True)
    for path in chosen.iterdir():
        path.unlink()
    for path in small:
        (chosen / path.name).hardlink_to(path)
    subprocess.run([PROGRAMS / f"fuzz_{name}", "-set_cover_merge=1", "-use_counters=0", kept, chosen], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    say(f"{name}: {before} inputs were kept, {len(list(kept.iterdir()))} are now")


def main():
    words = sys.argv[1:]
    if not words or not (words[0] == "--keep" or words[0].isdigit()):
        sys.exit(__doc__)
    names = words[1:] or sorted(path.stem for path in (TOP / "fuzz").glob("*.cc"))
    if not words[1:]:
        subprocess.run([TOP / "packaging/build.sh", "fuzz", "fuzz/all"], check=True)
    missing = [name for name in names if not (PROGRAMS / f"fuzz_{name}").exists()]
    if missing:
        say(f"fuzz: there is no fuzzer {', '.join(missing)} in {PROGRAMS}; build it: packaging/build.sh fuzz fuzz/all")
        sys.exit(2)
    with ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        if words[0] == "--keep":
            list(pool.map(keep, names))
            return
        signal.signal(signal.SIGINT, lambda *_: stopping.set())  # the fuzzers get it too, and say what they did
        rows = [row for row in pool.map(lambda name: fuzz(name, int(words[0])), names) if row]
    say("", *table(rows), f"CPU hours: {sum(row['CPU s'] for row in rows) / 3600:.2f}")
    sys.exit(1 if any(row["failed"] for row in rows) else 0)


if __name__ == "__main__":
    main()
