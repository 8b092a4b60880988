#!/usr/bin/env python3
"""Tests the tools of the fault tests: a small program under pier_faults.cc, and the disk made from its journal.

usage: shim_test.py --shim LIBRARY
"""
import argparse
import errno
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from disk_model import Folder
from shim import Control

SHIM = ""
WRITES = """
import os, sys
folder = sys.argv[1]
kept = os.open(folder + "/kept", os.O_RDWR | os.O_CREAT)
os.pwrite(kept, b"a" * 10000, 0)
os.fdatasync(kept)
os.fsync(os.open(folder, os.O_RDONLY))
os.pwrite(kept, b"b" * 9000, 5000)
os.lseek(kept, 14000, 0)
os.writev(kept, [b"c" * 100, b"d" * 5000])
os.ftruncate(kept, 16000)
file = os.open(folder + "/new", os.O_RDWR | os.O_CREAT)
os.write(file, b"1")
os.write(file, b"2")
os.rename(folder + "/new", folder + "/renamed")
os.unlink(folder + "/old")
"""
FAILS = """
import os, sys
file = os.open(sys.argv[1] + "/f", os.O_RDWR | os.O_CREAT)
for n in range(3):
    try:
        print(os.write(file, b"12345678"))
    except OSError as failure:
        print(failure.errno)
"""


def run(script, folder, **environment):
    done = subprocess.run([sys.executable, "-c", script, folder], env={**os.environ, "LD_PRELOAD": SHIM, **environment},
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout.split()


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


class JournalTest(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.TemporaryDirectory()
        self.folder = Path(self.top.name) / "data"
        self.folder.mkdir()
        (self.folder / "old").write_bytes(b"old")
        self.disk = Folder(self.folder)
        run(WRITES, self.folder, PIER_FAULTS_JOURNAL=self.top.name + "/journal", PIER_FAULTS_ROOT=str(self.folder))
        self.disk.replay(self.top.name + "/journal")

    def tearDown(self):
        self.top.cleanup()

    def test_if_nothing_is_lost_the_disk_is_what_the_program_saw(self):
        seen = contents(self.folder)
        self.assertEqual(sorted(seen), ["kept", "renamed"])
        for file in self.disk.files.values():
            file.sync()
        self.disk.lose_power(2.0, random.Random(1))
        self.assertEqual(contents(self.folder), seen)

    def test_if_all_is_lost_the_disk_is_what_was_synced(self):
        self.disk.lose_power(0.0, random.Random(1))
        there = contents(self.folder)
        self.assertEqual(sorted(there), ["kept", "old"])
        self.assertEqual(there["kept"].rstrip(b"\0"), b"a" * 10000)

    def test_what_was_synced_is_never_lost(self):
        for seed in range(200):
            octets = self.disk.durable[str(self.folder / "kept")].after_power_loss(0.5, random.Random(seed))
            self.assertEqual(octets[:4096], b"a" * 4096)
            self.assertEqual(set(octets[4096:5000]), {ord("a")})
            self.assertLessEqual(set(octets[5000:10000]), {ord("a"), ord("b")})
            self.assertLessEqual(len(octets), 19100)


class FaultTest(unittest.TestCase):
    def fail(self, fault, at, for_good=False):
        with tempfile.TemporaryDirectory() as folder:
            control = Control(Path(folder) / "faults")
            control.arm(fault, at, for_good)
            answers = run(FAILS, folder, PIER_FAULTS=folder + "/faults")
            return [int(answer) for answer in answers], control.disarm()

    def test_the_nth_call_fails_and_no_other(self):
        _, (counted, hits, _) = self.fail("ENOSPC", 0)
        self.assertEqual(hits, 0)
        # The last calls are the writes to the file and, behind them, none that could find no space.
        answers, (_, hits, what) = self.fail("ENOSPC", counted - 1)
        self.assertEqual((answers, hits, what), ([8, errno.ENOSPC, 8], 1, "write"))
        answers, (_, hits, _) = self.fail("ENOSPC", counted - 1, for_good=True)
        self.assertEqual((answers, hits), ([8, errno.ENOSPC, errno.ENOSPC], 2))

    def test_a_short_write_writes_half(self):
        _, (counted, _, _) = self.fail("short", 0)
        answers, (_, hits, what) = self.fail("short", counted)
        self.assertEqual((answers, hits, what), ([8, 8, 4], 1, "write"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--shim", required=True)
    options, rest = parser.parse_known_args()
    SHIM = str(Path(options.shim).resolve())
    unittest.main(argv=[sys.argv[0], *rest])
