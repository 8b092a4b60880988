#!/usr/bin/env python3
"""Faults of the system under a real `pier serve`: whatever is acknowledged stays, nothing crashes, and it goes on when the fault is over.

usage: faults.py --pier PROGRAM --shim LIBRARY [--seed SEED] [--sample N] [--runs N] PART...
"""
import argparse
import importlib
import random
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "clients"), str(HERE.parent / "crash")]
from ledger import Broken
from mail_protocols import Lost, Refused
from pier_server import Failed

# Each is a function of a module.
PARTS = {
    "errno": ("injected", "run", "each system call of a dialogue fails in turn; --sample N takes N of them"),
    "start": ("injected", "run_start", "each system call of a start fails in turn; --sample N takes N of them"),
    "power": ("power", "run", "the power fails under load, --runs N times"),
    "index": ("power", "run_index", "the power fails when the index has been written out several times"),
    "space": ("space", "run", "the disk is full, and has space again"),
    "descriptors": ("descriptors", "run", "file descriptors are used up"),
    "clock": ("clock", "run", "the wall clock is set back and forward"),
    "memory": ("memory", "run", "the server may have no more memory"),
    "flipped": ("flipped", "run", "one bit of a sealed segment is flipped, --runs N times"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="\n".join(f"  {name:9} {text}" for name, (_, _, text) in PARTS.items()))
    parser.add_argument("--pier", required=True)
    parser.add_argument("--shim", required=True, help="the library pier_faults of the same build")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("parts", nargs="+", choices=PARTS, metavar="PART")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {options.seed}", flush=True)
    for part in options.parts:
        module, function, _ = PARTS[part]
        getattr(importlib.import_module(module), function)(options)


if __name__ == "__main__":
    try:
        main()
    except (Broken, Failed, Refused, Lost) as problem:
        sys.exit(f"FAILED {type(problem).__name__}: {problem}")
