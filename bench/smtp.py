#!/usr/bin/env python3
"""Mail that comes by SMTP: Pier and Postfix side by side, under Postfix's own smtp-source. `make bench` calls this; README.md says
how to read it.

usage: smtp.py --pier PROGRAM --unpacked FOLDER [--rounds N] [--messages N] [--out FILE]

Messages of 10 KB, on 1, 16 and 64 connections that bring one after another; 250 means that it is on disk. Postfix does no more than take
them: each is put on hold, so nothing is delivered. Pier's are in a maildrop when it says 250. What counts is the CPU time of the server's
processes for each message, of rounds that take turns. Postfix's master must start as root: without root this starts itself again through sudo.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from pier_load import number
from servers import DOMAIN, Pier, filesystem_of

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/clients"))
from pier_server import Failed  # noqa: E402
from postfix import Postfix  # noqa: E402

CONNECTIONS = (1, 16, 64)
MESSAGE_OCTETS = 10_000
RECIPIENT = f"user@{DOMAIN}"
TIMES_CHEAPER = 3           # the bar: Postfix's CPU time for a message, by Pier's
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class HoldingPostfix(Postfix):
    """It accepts, makes durable, and does nothing more."""
    name = "postfix"

    def __init__(self, unpacked, folder):
        super().__init__(unpacked, folder, f"""
myhostname = mx.bench.example
mydestination =
relay_domains = {DOMAIN}
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_data_restrictions = check_client_access static:HOLD
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_process_limit = 200
""")

    @property
    def pid(self):
        return self.process.pid

    def about(self):
        version = subprocess.run([f"{self.root}/usr/sbin/postconf", "-c", self.folder / "etc", "-h", "mail_version"], env=self.environment,
                                 capture_output=True, text=True, check=True)
        return {"version": version.stdout.strip(), "folder_on": filesystem_of(self.folder)}

    def messages(self):
        """That are on hold."""
        return sum(len(files) for _, _, files in os.walk(self.folder / "spool/hold"))


class ReceivingPier(Pier):
    @property
    def port(self):
        return self.server.smtp_port

    def messages(self):
        return json.loads(self.server.cli("--json", "store", "stats"))["messages"]


def cpu_seconds(pid):
    """User and system time of the process, its descendants, and those of them that have ended and been waited for."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:     # it has ended
            continue
        stats[int(path.parent.name)] = int(fields[1]), sum(int(ticks) for ticks in fields[11:15])
    tree = {pid}
    while True:
        more = {child for child, (parent, _) in stats.items() if parent in tree} - tree
        if not more:
            return sum(stats[member][1] for member in tree if member in stats) / CLOCK_TICKS
        tree |= more


def bring(source, server, connections, messages):
    """One run: what a message cost the server, and how many came in a second."""
    before, cpu_before, began = server.messages(), cpu_seconds(server.pid), time.monotonic()
    done = subprocess.run([source, "-d", "-s", str(connections), "-m", str(messages), "-l", str(MESSAGE_OCTETS), "-f", "bench@sender.example",
                           "-t", RECIPIENT, f"127.0.0.1:{server.port}"], env=source_environment(source), capture_output=True, text=True)
    seconds, cpu = time.monotonic() - began, cpu_seconds(server.pid) - cpu_before
    if done.returncode != 0:
        raise Failed(f"{server.name}: smtp-source failed: {done.stderr.strip() or done.stdout.strip()}")
    came = server.messages() - before
    if came != messages:
        raise Failed(f"{server.name}: {came} of {messages} messages are there")
    return {"cpu_us_per_message": cpu / messages * 1e6, "messages_per_s": messages / seconds}


def source_environment(source):
    return {**os.environ, "LD_LIBRARY_PATH": str(source.parents[1] / "lib/postfix")}


def measure(options):
    unpacked = options.unpacked.resolve()
    source = unpacked / "postfix/usr/sbin/smtp-source"
    pier = ReceivingPier(options.pier)
    pier.add_users([(RECIPIENT, "load-smtp-Xo4uyei8")])
    postfix = HoldingPostfix(unpacked, pier.folder / "postfix")
    servers = [pier, postfix]
    rows = []
    try:
        for server in servers:
            server.start()
        about = {server.name: server.about() for server in servers}
        print(json.dumps(about))
        print(f"{'connections':>11} {'server':<8} {'µs CPU':>8} {'messages/s':>10}  × Postfix")
        for connections in CONNECTIONS:
            rounds = {server.name: [] for server in servers}
            for turn in range(options.rounds):
                for server in servers[turn % 2:] + servers[:turn % 2]:
                    rounds[server.name].append(bring(source, server, connections, options.messages))
            found = {name: {key: statistics.median(result[key] for result in results) for key in results[0]} for name, results in rounds.items()}
            times = found["postfix"]["cpu_us_per_message"] / found["pier"]["cpu_us_per_message"]
            rows.append({"connections": connections, "servers": found, "rounds": rounds, "times_cheaper": times})
            for name, values in found.items():
                print(f"{connections:>11} {name:<8} {number(values['cpu_us_per_message']):>8} {number(values['messages_per_s']):>10}" +
                      (f"  {times:.1f} times cheaper (bar: {TIMES_CHEAPER})" if name == "pier" else ""), flush=True)
    except BaseException:
        print(f"the end of Postfix's log:\n{postfix.log()[-2000:]}", flush=True)
        postfix.stop()
        pier.abandon()
        raise
    postfix.stop()
    pier.stop()
    return {"about": about, "messages": options.messages, "rows": rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True, type=Path)
    parser.add_argument("--unpacked", required=True, type=Path, help="where packaging/install-deps.sh unpack has put Postfix")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each server for each row; what counts is their median (3)")
    parser.add_argument("--messages", type=int, default=2000, help="of each run (2000)")
    parser.add_argument("--out", type=Path, default=TOP / "build/bench-smtp.json", help="numbers for programs")
    options = parser.parse_args()
    if os.getuid() != 0:
        os.execvp("sudo", ["sudo", "-n", sys.executable, *sys.argv])
    report = measure(options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"bench: stopped: {failure}")
