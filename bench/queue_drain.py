#!/usr/bin/env python3
"""A long queue: how much memory it takes, and how fast it is sent when the other server is back. `make bench` calls this; README.md says how
to read it.

usage: queue_drain.py --pier PROGRAM --unpacked FOLDER [--messages N] [--out FILE]

Postfix's smtp-source brings messages of 10 KB for an address that is forwarded; the other server, Postfix's smtp-sink, does not run yet, so they
wait. Then it is started, the queue is told to try again, and the memory and CPU time of the server are looked at until nothing is left.
"""
import argparse
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

from pier_load import number
from servers import DOMAIN, filesystem_of
from smtp import MESSAGE_OCTETS, TOP, cpu_seconds, source_environment

sys.path.insert(0, str(TOP / "tests/clients"))
from pier_server import Failed, PierServer, free_ports  # noqa: E402

CONNECTIONS = 32
ELSEWHERE = "someone@sink.example"
LOOK_SECONDS = 0.5
STALLED_SECONDS = 60


def settings(port, messages):
    return (f'[queue]\nsmarthost = "127.0.0.1:{port}"\nsmarthost_tls = "none"\nmessages_max = {messages + 1000}\n'
            'retry_first = "1h"\n')


def memory_mib(pid):
    """What is the process's own: the proportional set size, without pages of files."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return int(fields["Pss_Anon"].split()[0]) / 1024


def queued(server):
    return json.loads(server.cli("--json", "status"))["queue"]["messages"]


def wait_until_it_listens(port):
    end = time.monotonic() + STALLED_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > end:
            raise Failed(f"smtp-sink does not listen on port {port}")
        time.sleep(0.05)


def drain(server, sink_port, sink_command, environment, messages):
    pid = server.process.pid
    before, most = memory_mib(pid), 0.0
    sink = subprocess.Popen(sink_command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_it_listens(sink_port)
        server.cli("queue", "flush")
        began, cpu = time.monotonic(), cpu_seconds(pid)
        left, moved = messages, began
        while left > 0:
            time.sleep(LOOK_SECONDS)
            most = max(most, memory_mib(pid))
            now = queued(server)
            if now < left:
                left, moved = now, time.monotonic()
            if time.monotonic() - moved > STALLED_SECONDS:
                raise Failed(f"{left} messages are left, and none went in {STALLED_SECONDS} s:\n{server.log_tail()}")
        seconds, cpu = time.monotonic() - began, cpu_seconds(pid) - cpu
    finally:
        sink.terminate()
        sink.wait()
    return {"memory_mib_before": before, "memory_mib_most": most, "memory_mib_after": memory_mib(pid), "messages_per_s": messages / seconds,
            "cpu_us_per_message": cpu / messages * 1e6}


def measure(options):
    programs = options.unpacked.resolve() / "postfix/usr/sbin"
    environment = source_environment(programs / "smtp-source")
    sink_port, = free_ports(1)
    with PierServer(options.pier, settings=settings(sink_port, options.messages)) as server:
        server.cli("domain", "add", DOMAIN)
        server.cli("alias", "add", f"out@{DOMAIN}", ELSEWHERE)
        server.start()
        empty = memory_mib(server.process.pid)
        subprocess.run([programs / "smtp-source", "-d", "-s", str(CONNECTIONS), "-m", str(options.messages), "-l", str(MESSAGE_OCTETS), "-f",
                        f"bench@{DOMAIN}", "-t", f"out@{DOMAIN}", f"127.0.0.1:{server.smtp_port}"], env=environment, check=True)
        if queued(server) != options.messages:
            raise Failed(f"{queued(server)} messages are in the queue, not {options.messages}")
        found = drain(server, sink_port, [programs / "smtp-sink", "-u", "nobody", f"127.0.0.1:{sink_port}", "256"], environment, options.messages)
        found = {"messages": options.messages, "folder_on": filesystem_of(server.folder), "memory_mib_empty": empty, **found}
        server.stop()
    print(f"{number(options.messages)} messages of {MESSAGE_OCTETS} octets in the queue: memory {empty:.0f} MiB without them, "
          f"{found['memory_mib_before']:.0f} MiB with them, at most {found['memory_mib_most']:.0f} MiB while they went; "
          f"{number(found['messages_per_s'])} messages/s, {number(found['cpu_us_per_message'])} µs CPU each")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True, type=Path)
    parser.add_argument("--unpacked", required=True, type=Path, help="where packaging/install-deps.sh unpack has put Postfix")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=TOP / "build/bench-queue.json", help="numbers for programs")
    options = parser.parse_args()
    report = measure(options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"bench: stopped: {failure}")
