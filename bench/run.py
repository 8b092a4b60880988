#!/usr/bin/env python3
"""Starts a server, puts each load on it with pier_load, and prints a table. `make bench` calls this; README.md says how to read it.

usage: run.py --pier PROGRAM --load PROGRAM [--seconds N] [--only LOAD,...] [--out FILE]
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from servers import DOMAIN, TOP, Pier

CONNECTIONS = 32            # users as well: each connection has a maildrop of its own
SESSION_MESSAGES = 20       # in a maildrop of the session load
RETR_MESSAGES = 100         # realistic sizes, in a maildrop of the retr load
DRAIN_MESSAGES = 100        # of SMALL_OCTETS, in a maildrop of the drain load
DRAIN_MESSAGES_ALONE = 1000     # when there is only one connection
SMALL_OCTETS = 10_000
SEED = 20261121


class Wrong(Exception):
    """What went wrong, for a person."""


class Bench:
    """One server under load; keeps what pier_load reports."""

    def __init__(self, server, load_program, seconds, users_file):
        self.server = server
        self.load_program = load_program
        self.seconds = seconds
        self.users_file = users_file
        self.results = []

    def load(self, kind, port, *options, measured=True, **labels):
        """Runs pier_load. A run that is not measured only fills or empties maildrops."""
        command = [self.load_program, kind, "--port", port, "--users", self.users_file, "--server-pid", self.server.pid,
                   "--seed", SEED, *options]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode != 0:
            raise Wrong(f"{done.stderr.strip()}\nthe command was: {' '.join(map(str, command))}")
        result = {"server": self.server.name, **labels, **json.loads(done.stdout)}
        check(result)
        if measured:
            self.results.append(result)
            print(row(result), flush=True)
        return result

    def pop3(self, kind, tls, connections, *options, **labels):
        """tls: none, starttls, implicit, or resumed."""
        mode = "implicit" if tls == "resumed" else tls
        port = self.server.pop3s_port if mode == "implicit" else self.server.pop3_port
        words = ["--tls", mode, "--connections", connections, *options]
        if tls == "resumed":
            words.append("--resume")
        if kind != "drain":
            words += ["--seconds", self.seconds]
        return self.load(kind, port, *words, tls_label=tls, **labels)

    def fill(self, connections, count, octets):
        """`count` messages into the maildrop of each of the first `connections` users."""
        self.load("deliver", self.server.lmtp_port, "--connections", connections, "--count", count,
                  "--message-octets", octets, measured=False)

    def empty(self):
        self.load("drain", self.server.pop3_port, "--connections", CONNECTIONS, "--pipeline", 50, "--login", "scram", measured=False)

    # The loads, in an order in which each finds the maildrops as it needs them and the next one is not disturbed.

    def poll(self):
        for tls in ("none", "implicit", "resumed"):
            for connections in (1, CONNECTIONS):
                self.pop3("poll", tls, connections, "--login", "scram")

    def session(self):
        self.fill(CONNECTIONS, SESSION_MESSAGES, 1000)
        for connections in (1, CONNECTIONS):
            self.pop3("session", "none", connections, "--login", "pass")
        for tls in ("none", "implicit", "resumed", "starttls"):
            for connections in (1, CONNECTIONS):
                self.pop3("session", tls, connections, "--login", "scram")
        self.empty()

    def retr(self):
        self.fill(CONNECTIONS, RETR_MESSAGES, "realistic")
        for tls in ("none", "implicit"):
            for connections in (1, CONNECTIONS):
                self.pop3("retr", tls, connections, "--login", "scram")
        self.empty()

    def drain(self):
        for tls in ("none", "implicit"):
            for connections, count in ((1, DRAIN_MESSAGES_ALONE), (CONNECTIONS, DRAIN_MESSAGES)):
                self.fill(connections, count, SMALL_OCTETS)
                if connections > 1:
                    self.pop3("retr", tls, connections, "--login", "scram", "--pipeline", 8, variant="10 KB, pipelined by 8")
                self.pop3("drain", tls, connections, "--login", "scram")
        # What a drain removed must be gone: this load refuses maildrops that are not empty.
        self.load("poll", self.server.pop3_port, "--connections", CONNECTIONS, "--count", 1, "--login", "scram", measured=False)

    def deliver(self):
        for connections in (1, 16, 64):
            self.load("deliver", self.server.lmtp_port, "--connections", connections, "--seconds", self.seconds,
                      "--message-octets", SMALL_OCTETS, tls_label="none")


LOADS = ["poll", "session", "retr", "drain", "deliver"]


def check(result):
    """What pier_load cannot know to be wrong."""
    if result["operations"] == 0:
        raise Wrong(f"no operation was done: {result}")
    if result["load"] in ("retr", "drain") and result["bodies_verified"] != result["operations"]:
        raise Wrong(f"only {result['bodies_verified']} of {result['operations']} messages stated a checksum: {result}")
    if result.get("tls_label") == "resumed":
        if result["handshakes_full"] > result["connections"]:
            raise Wrong(f"{result['handshakes_full']} full handshakes in a run that resumes TLS sessions: {result}")
    elif result.get("handshakes_resumed", 0) != 0:
        raise Wrong(f"TLS sessions were resumed in a run that does not: {result}")


COLUMNS = [("load", 32), ("TLS", 9), ("conn", 5), ("ops/s", 9), ("MB/s", 7), ("p50 µs", 9), ("p99 µs", 9), ("p99.9 µs", 9),
           ("server µs/op", 13), ("µs/MB", 8), ("client µs/op", 13)]


def line(cells):
    return "".join(f"{cell:<{width}}" if n < 2 else f"{cell:>{width}}" for n, (cell, (_, width)) in enumerate(zip(cells, COLUMNS)))


def number(value):
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def row(result):
    what = result["load"]
    if what in ("session", "poll"):
        what += ", " + {"pass": "USER/PASS", "scram": "SCRAM"}[result["login"]]
    if "variant" in result:
        what = f"{what} {result['variant']}"
    latency = result["latency_us"]
    speed = result["message_octets_per_s"]
    return line([what, result["tls_label"], str(result["connections"]), number(result["operations_per_s"]), number(speed / 1e6) if speed else "",
                 number(latency["p50"]), number(latency["p99"]), number(latency["p99.9"]), number(result["server_cpu_us_per_operation"]),
                 number(result.get("server_cpu_us_per_megabyte")), number(result["own_cpu_us_per_operation"])])


def machine():
    models = [text.split(":", 1)[1].strip() for text in Path("/proc/cpuinfo").read_text().splitlines() if text.startswith("model name")]
    return {"cpu": models[0] if models else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(),
            "load_average_before": os.getloadavg()[0]}


def measure(options, names):
    passwords = [(f"user{n:02}@{DOMAIN}", f"load-{n:02}-Xo4uyei8") for n in range(1, CONNECTIONS + 1)]
    server = Pier(options.pier)
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".users") as users:
            users.write("".join(f"{name} {password}\n" for name, password in passwords))
            users.flush()
            server.add_users(passwords)
            server.start()
            about = {"machine": machine(), server.name: server.about()}
            print(json.dumps(about, ensure_ascii=False))
            print(line([name for name, _ in COLUMNS]), flush=True)
            bench = Bench(server, options.load.resolve(), options.seconds, users.name)
            for name in names:
                getattr(bench, name)()
    except BaseException:
        server.abandon()
        raise
    server.stop()
    return {**about, "results": bench.results}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True, type=Path)
    parser.add_argument("--load", required=True, type=Path, help="pier_load")
    parser.add_argument("--seconds", type=float, default=3, help="of each load (3)")
    parser.add_argument("--only", help=f"some of {','.join(LOADS)}")
    parser.add_argument("--out", type=Path, default=TOP / "build/bench-results.json")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else LOADS
    for name in names:
        if name not in LOADS:
            parser.error(f"no load {name}; there are: {' '.join(LOADS)}")
    began = time.monotonic()
    report = measure(options, names)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(f"{time.monotonic() - began:.0f} s; all octet counts and checksums were right; numbers for programs: {options.out}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Wrong as wrong:
        sys.exit(f"bench: stopped: {wrong}")
