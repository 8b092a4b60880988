#!/usr/bin/env python3
"""What watching costs: the CPU time of the watching threads of a real server, in percent of one core.

usage: watch_cost.py --pier PROGRAM [--ports 20] [--interval SECONDS] [--seconds N] [--thorough]

Several Piers listen on loopback with TLS (POP3 with STLS and with TLS, SMTP and submission with STARTTLS, submissions, LMTP); one more watches
--ports of their ports every --interval. Its threads named pier-watch are read in /proc for --seconds after the first thorough looks are over.
An --interval of 60 is what a small site may have, 30 the default. The watched servers' own work is not counted. With --thorough each look is
a thorough one, and what one costs is printed: once a day it is made in place of a usual one.
"""
import argparse
import json
import os
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests/clients"))
from pier_server import Failed, PierServer  # noqa: E402

WAIT_SECONDS = 600


def threads_cpu_seconds(pid, done):
    """Of the threads that watch; `done` keeps those that have ended (look-ups of names)."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            if (task / "comm").read_text().strip() == "pier-watch":
                done[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
        except OSError:
            pass
    return sum(done.values())


def ports_of(server):
    return ((server.pop3s_port, "pop3", "implicit"), (server.pop3_port, "pop3", "starttls"), (server.smtp_port, "smtp", "starttls"),
            (server.submission_port, "submission", "starttls"), (server.submissions_port, "submission", "implicit"),
            (server.lmtp_port, "lmtp", "none"))


def configuration(targets, count, interval, thorough):
    text = f'[watch]\nown = false\ninterval = "{interval}s"\nthorough_interval = "{interval if thorough else 86400}s"\n'
    ports = [(port, server.ca) for server in targets for port in ports_of(server)]
    if len(ports) < count:
        raise Failed(f"there are only {len(ports)} ports to watch")
    for (port, protocol, tls), authorities in ports[:count]:
        text += (f'[[watch.target]]\nhost = "127.0.0.1"\nport = {port}\nprotocol = "{protocol}"\ntls = "{tls}"\nname = "localhost"\n'
                 f'ca_file = "{authorities}"\n')
    return text


def looks_of(server):
    states = json.loads(server.cli("watch", "--json", check=False))["targets"]
    return [one["looks"] for one in states], [one["target"] for one in states if one["looks"] and not one["up"]]


def measure(arguments):
    targets = [PierServer(arguments.pier) for _ in range((arguments.ports + 5) // 6)]
    with PierServer(arguments.pier) as watching:
        try:
            for server in targets:
                server.start()
            watching.config.write_text(watching.config.read_text() + configuration(targets, arguments.ports, arguments.interval, arguments.thorough))
            watching.start()
            end = time.monotonic() + WAIT_SECONDS
            while min(looks_of(watching)[0]) < 1:
                if time.monotonic() > end:
                    raise Failed("the first looks were not over in time")
                time.sleep(1)
            cpu = {}
            before, began, looks = threads_cpu_seconds(watching.process.pid, cpu), time.monotonic(), sum(looks_of(watching)[0])
            time.sleep(arguments.seconds)
            used, took = threads_cpu_seconds(watching.process.pid, cpu) - before, time.monotonic() - began
            after, down = looks_of(watching)
            if down:
                raise Failed(f"not well: {down}")
            made = sum(after) - looks
            watching.stop()
        finally:
            for server in targets:
                if server.process:
                    server.stop()
                server.__exit__(None, None, None)
    return {"ports": arguments.ports, "interval_s": arguments.interval, "seconds": round(took, 1), "looks": made, "cpu_s": round(used, 4),
            "cpu_percent_of_a_core": round(100 * used / took, 3), "cpu_ms_a_look": round(1000 * used / max(made, 1), 2), "thorough": arguments.thorough,
            "cores": os.cpu_count()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True, type=Path)
    parser.add_argument("--ports", type=int, default=20)
    parser.add_argument("--interval", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--thorough", action="store_true")
    arguments = parser.parse_args()
    arguments.pier = arguments.pier.resolve()
    try:
        print(json.dumps(measure(arguments), indent=1))
    except Failed as failed:
        sys.exit(f"watch_cost: FAILED: {failed}")


if __name__ == "__main__":
    main()
