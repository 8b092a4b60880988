#!/usr/bin/env python3
"""Puts each load on each server with pier_load, in turns, and prints what it costs. `make bench` calls this; README.md says how to
read it.

usage: run.py --load PROGRAM [--pier PROGRAM] [--limit PROGRAM] [--servers NAME,...] [--only LOAD,...] [--seconds N] [--rounds N]
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fresh
import results
from pier_load import Wrong, number, run_load
from servers import DOMAIN, TOP, Dovecot, Failed, Limit, Pier, use_rsa_certificate

USERS = 32                  # more connections than users share maildrops
SESSION_MESSAGES = 20       # in a maildrop of the session load
RETR_MESSAGES = 100         # realistic sizes, in a maildrop of the retr load
DRAIN_MESSAGES = 200        # of SMALL_OCTETS, in a maildrop of the drain load
SMALL_OCTETS = 10_000
LOADS = ["poll", "session", "retr", "small", "drain", "deliver"]
RSA_LOADS = ["rsa"]         # want servers with another certificate
FRESH_LOADS = ["idle", "held", "bigbox", "startup"]     # want servers that have done nothing yet
ALL_LOADS = LOADS + RSA_LOADS + FRESH_LOADS


class Bench:
    """The servers under load; keeps what pier_load reports."""

    def __init__(self, servers, users_file, options):
        self.servers = servers
        self.users_file = users_file
        self.options = options
        self.rows = []

    def run(self, server, kind, port, *words):
        return run_load(self.options.load, server, kind, port, "--users", self.users_file, *words)

    def fill(self, server, count, octets):
        """`count` messages into each maildrop."""
        self.run(server, "deliver", server.lmtp_port, "--connections", USERS, "--count", count, "--message-octets", octets)

    def fill_all(self, count, octets):
        for server in self.servers:
            self.fill(server, count, octets)

    def empty_all(self):
        for server in self.servers:
            self.run(server, "drain", server.pop3_port, "--connections", USERS, "--pipeline", 50)

    def measure(self, name, kind, tls, connections, *words, before=None, port_of=None):
        """A row: every server, in turns, for some rounds. tls: none, starttls, implicit, or resumed."""
        mode = "implicit" if tls == "resumed" else tls
        words = [*words, "--tls", mode, "--connections", connections]
        if tls == "resumed":
            words.append("--resume")
        if kind != "drain":
            words += ["--seconds", self.options.seconds]
        rounds = {server.name: [] for server in self.servers}
        for turn in range(self.options.rounds):
            first = turn % len(self.servers)    # nobody always runs behind the same neighbour
            for server in self.servers[first:] + self.servers[:first]:
                if before:
                    before(server)
                port = port_of(server) if port_of else server.pop3s_port if mode == "implicit" else server.pop3_port
                syncs = server.syncs() if kind == "deliver" else None
                result = self.run(server, kind, port, *words)
                if syncs:
                    syncs = [after - earlier for after, earlier in zip(server.syncs(), syncs)]
                    result["messages_per_sync"] = result["operations"] / max(1, syncs[0])
                check(server, tls, result)
                rounds[server.name].append(result)
        self.rows.append({"load": name, "tls": tls, "connections": connections,
                          "servers": {server: median(results) for server, results in rounds.items()}, "rounds": rounds})
        print_row(self.rows[-1])

    def connections(self, *usual):
        return self.options.connections or usual

    # The loads, in an order in which each finds the maildrops as it needs them and the next one is not disturbed.

    def poll(self):
        for tls in ("none", "implicit", "resumed"):
            for connections in self.connections(32):
                self.measure("poll", "poll", tls, connections)

    def session(self):
        self.fill_all(SESSION_MESSAGES, 1000)
        for connections in self.connections(1, 32, 256):
            self.measure("session", "session", "none", connections)
        for tls in ("implicit", "resumed"):
            for connections in self.connections(32):
                self.measure("session", "session", tls, connections)
        self.empty_all()

    def retr(self):
        self.fill_all(RETR_MESSAGES, "realistic")
        for connections in self.connections(1, 32, 256):
            self.measure("retr", "retr", "none", connections)
        for connections in self.connections(1, 32):
            self.measure("retr", "retr", "implicit", connections)
        self.empty_all()

    def small(self):
        self.fill_all(RETR_MESSAGES, SMALL_OCTETS)
        for tls in ("none", "implicit"):
            for connections in self.connections(32):
                self.measure("retr 10 KB", "retr", tls, connections)
                self.measure("retr 10 KB by 8", "retr", tls, connections, "--pipeline", 8)
        self.empty_all()

    def rsa(self):
        self.fill_all(SESSION_MESSAGES, 1000)
        for tls in ("implicit", "resumed"):
            for connections in self.connections(32):
                self.measure("session, RSA", "session", tls, connections)

    def drain(self):
        for tls in ("none", "implicit"):
            self.measure("drain", "drain", tls, USERS, before=lambda server: self.fill(server, DRAIN_MESSAGES, SMALL_OCTETS))
        # What a drain removed must be gone: this load refuses maildrops that are not empty.
        for server in self.servers:
            self.run(server, "poll", server.pop3_port, "--connections", USERS, "--count", 1)

    def deliver(self):
        for connections in (1, 16, 64):
            self.measure("deliver", "deliver", "none", connections, "--message-octets", SMALL_OCTETS, port_of=lambda server: server.lmtp_port)


def check(server, tls, result):
    """What pier_load cannot know to be wrong."""
    if result["operations"] == 0:
        raise Wrong(f"{server.name}: no operation was done: {result}")
    if result["load"] in ("retr", "drain") and result["bodies_verified"] != result["operations"]:
        raise Wrong(f"{server.name}: only {result['bodies_verified']} of {result['operations']} messages stated a checksum: {result}")
    if tls == "resumed":
        if result["handshakes_full"] > result["connections"] and server.shares_tickets:
            raise Wrong(f"{server.name}: {result['handshakes_full']} full handshakes in a run that resumes TLS sessions: {result}")
    elif result.get("handshakes_resumed", 0) != 0:
        raise Wrong(f"{server.name}: TLS sessions were resumed in a run that does not: {result}")


def median(results):
    """Of each number by itself."""
    merged = {}
    for key, value in results[0].items():
        if isinstance(value, dict):
            merged[key] = median([result[key] for result in results])
        elif isinstance(value, (int, float)):
            merged[key] = statistics.median(result[key] for result in results)
        else:
            merged[key] = value
    return merged


COLUMNS = [("load", 17), ("TLS", 9), ("conn", 4), ("server", 9), ("ops/s", 9), ("MB/s", 7), ("p50 µs", 8), ("p99 µs", 9), ("p99.9 µs", 9),
           ("µs/op", 8), ("µs/MB", 7), ("× limit", 8), ("client µs", 9)]


def line(cells):
    return " ".join(f"{cell:<{width}}" if n in (0, 1, 3) else f"{cell:>{width}}" for n, (cell, (_, width)) in enumerate(zip(cells, COLUMNS)))


def print_row(row):
    limit = row["servers"].get("limit", {}).get("server_cpu_us_per_operation")
    for name, found in row["servers"].items():
        latency, speed, cost = found["latency_us"], found["message_octets_per_s"], found["server_cpu_us_per_operation"]
        extra = f"  {found['messages_per_sync']:.1f} messages a sync" if "messages_per_sync" in found else ""
        print(line([row["load"], row["tls"], str(row["connections"]), name, number(found["operations_per_s"]), number(speed / 1e6) if speed else "",
                    number(latency["p50"]), number(latency["p99"]), number(latency["p99.9"]), number(cost),
                    number(found.get("server_cpu_us_per_megabyte")), f"{cost / limit:.2f}" if limit else "",
                    number(found["own_cpu_us_per_operation"])]) + extra, flush=True)


def machine():
    models = [text.split(":", 1)[1].strip() for text in Path("/proc/cpuinfo").read_text().splitlines() if text.startswith("model name")]
    return {"cpu": models[0] if models else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release().split("-")[0],
            "load_average_before": os.getloadavg()[0]}


def make_servers(options):
    servers = []
    for name in options.servers:
        if name == "limit":
            servers.append(Limit(options.limit))
        elif name == "pier":
            servers.append(Pier(options.pier))
        else:
            servers += [Dovecot(storage) for storage in options.dovecot.split(",")]
    return servers


class Running:
    """Servers that know the users of the file; started, and stopped in the end."""

    def __init__(self, servers, passwords, prepare=lambda server: None):
        self.servers = servers
        self.passwords = passwords
        self.prepare = prepare

    def __enter__(self):
        try:
            for server in self.servers:
                server.add_users(self.passwords)
                self.prepare(server)
                server.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self.servers

    def __exit__(self, kind, value, trace):
        for server in self.servers:
            if kind is None:
                server.stop()
            else:
                server.abandon()


def measure(options):
    passwords = [(f"user{n:02}@{DOMAIN}", f"load-{n:02}-Xo4uyei8") for n in range(1, USERS + 1)]
    report = {"machine": machine(), "options": {"seconds": options.seconds, "rounds": options.rounds}, "about": {}, "rows": []}
    with tempfile.NamedTemporaryFile("w", suffix=".users") as users:
        users.write("".join(f"{name} {password}\n" for name, password in passwords))
        users.flush()
        for names, prepare in ((LOADS, lambda server: None), (RSA_LOADS, use_rsa_certificate)):
            names = [name for name in names if name in options.only]
            if names:
                with Running(make_servers(options), passwords, prepare) as servers:
                    report["about"] = {server.name: server.about() for server in servers}
                    print(json.dumps({"machine": report["machine"], **report["about"]}, ensure_ascii=False))
                    print(line([name for name, _ in COLUMNS]), flush=True)
                    bench = Bench(servers, users.name, options)
                    for name in names:
                        getattr(bench, name)()
                    report["rows"] += bench.rows
        for name in FRESH_LOADS:
            if name in options.only:
                for row in getattr(fresh, name)(options, lambda: Running(make_servers(options), passwords), users.name):
                    report["rows"].append(row)
                    print(results.row_text(row), flush=True)
    return report


def options_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", required=True, type=Path, help="pier_load")
    parser.add_argument("--pier", type=Path, help="the program; without it, Pier is left out")
    parser.add_argument("--limit", type=Path, help="pier_limit; without it, the limit is left out")
    parser.add_argument("--dovecot", help="some of maildir,sdbox,mdbox: one Dovecot for each; without it, Dovecot is left out")
    parser.add_argument("--servers", help="some of limit,pier,dovecot (all that are given)")
    parser.add_argument("--seconds", type=float, default=1, help="of each run (1)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each server for each row; what counts is their median (3)")
    parser.add_argument("--connections", help="for poll, session and retr, as in 1,32,256")
    parser.add_argument("--only", help=f"some of {','.join(ALL_LOADS)} (all but startup)")
    parser.add_argument("--large", action="store_true", help="startup as well, which delivers a million messages first")
    parser.add_argument("--out", type=Path, default=TOP / "build/bench-results.json", help="numbers for programs")
    parser.add_argument("--results", type=Path, help="a page for people, and plots beside it")
    options = parser.parse_args()
    known = [name for name in ("limit", "pier", "dovecot") if getattr(options, name)]
    options.servers = options.servers.split(",") if options.servers else known
    for name in options.servers:
        if name not in known:
            parser.error(f"the server {name} is not given; see --{name}")
    options.connections = [int(word) for word in options.connections.split(",")] if options.connections else None
    options.only = options.only.split(",") if options.only else [name for name in ALL_LOADS if name != "startup" or options.large]
    for name in options.only:
        if name not in ALL_LOADS:
            parser.error(f"no load {name}; there are: {' '.join(ALL_LOADS)}")
    return options


def main():
    options = options_of()
    began = time.monotonic()
    report = measure(options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(f"{time.monotonic() - began:.0f} s; all octet counts and checksums were right; numbers for programs: {options.out}")
    if options.results:
        results.write(report, options.results)
        subprocess.run([Path(__file__).with_name("plots.py"), options.out, options.results.parent / "plots"], check=True)
        print(f"for people: {options.results}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Wrong, Failed) as wrong:
        sys.exit(f"bench: stopped: {wrong}")
