#!/usr/bin/env python3
"""What counts by address lets loopback alone, so this comes from other addresses: in a network namespace of its own.

usage: outside.py --pier PROGRAM        (ctest skips it where a namespace may not be made: status 77)
"""
import argparse
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))
from peer import Peer
from pier_server import Failed, PierServer, free_ports

SKIPPED = 77
INSIDE = "--inside"
SERVER, SERVER6 = "10.77.0.1", "fd77::1"
CROWD = [f"10.77.1.{n}" for n in range(1, 6)]
STRANGER = "10.78.0.1"
NEIGHBOURS = ["fd77:0:0:1::1", "fd77:0:0:1::2"]     # of one /64
ELSEWHERE = "fd77:0:0:2::1"
RATE, AT_ONCE = 20, 8
GREETED, TURNED_AWAY = b"+OK", b"-ERR [SYS/TEMP]"
LIMITS = f"[limits]\nnew_connections_per_minute_max = {RATE}\nconnections_per_address_max = {AT_ONCE}\n"


def expect(condition, text):
    if not condition:
        raise Failed(text)


def make_network():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in [SERVER, *CROWD, STRANGER]:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    for address in [SERVER6, *NEIGHBOURS, ELSEWHERE]:
        subprocess.run(["ip", "address", "add", f"{address}/128", "dev", "lo", "nodad"], check=True)


class Outside:
    def __init__(self, pier):
        self.ports = free_ports(3)
        listeners = [f'protocol = "pop3"\naddress = "{SERVER}"\nport = {self.ports[0]}', f'protocol = "pop3"\naddress = "{SERVER6}"\nport = {self.ports[1]}',
                     f'protocol = "pop3"\naddress = "{SERVER}"\nport = {self.ports[2]}\nallow = ["10.77.0.0/16"]\ndeny = ["{CROWD[4]}"]']
        self.server = PierServer(pier, settings=LIMITS + "".join(f"[[listener]]\n{text}\n" for text in listeners))

    def first_line(self, source, port=0):
        """What a connection from `source` is told first, and the connection."""
        address = (SERVER6 if ":" in source else SERVER, self.ports[1] if ":" in source else self.ports[port])
        peer = Peer(address, source=source)
        return peer.greeting, peer

    def told(self, source, times, port=0):
        answers = []
        for _ in range(times):
            line, peer = self.first_line(source, port)
            peer.close()
            answers.append(line)
        return answers


def rate(outside):
    """New connections of one address a minute: a bucket that fills again."""
    began = time.monotonic()
    answers = outside.told(CROWD[0], RATE + 10)
    seconds = time.monotonic() - began
    let_in = [line for line in answers if line and line.startswith(GREETED)]
    turned_away = [line for line in answers if line and line.startswith(TURNED_AWAY)]
    expect(len(let_in) + len(turned_away) == len(answers), f"neither greeted nor told to come later: {answers}")
    expect(RATE <= len(let_in) <= RATE + 1 + seconds / 60 * RATE, f"{len(let_in)} of {len(answers)} were let in, the limit is {RATE} a minute")
    expect(outside.told(CROWD[1], 1)[0].startswith(GREETED), "another address is turned away for what the first one did")
    time.sleep(60 / RATE + 0.5)
    expect(outside.told(CROWD[0], 1)[0].startswith(GREETED), "the address is not let in again when its time has come")


def rate_of_a_network(outside):
    """IPv6: a /64 is one."""
    answers = [line for n in range(RATE) for line in outside.told(NEIGHBOURS[n % 2], 1)]
    expect(all(line.startswith(GREETED) for line in answers), f"turned away too early: {answers}")
    more = outside.told(NEIGHBOURS[0], 3) + outside.told(NEIGHBOURS[1], 3)
    expect(any(line.startswith(TURNED_AWAY) for line in more), f"two addresses of one /64 are counted apart: {more}")
    expect(outside.told(ELSEWHERE, 1)[0].startswith(GREETED), "another /64 is turned away")


def at_once(outside):
    """Connections of one address at the same time."""
    peers = [outside.first_line(CROWD[2]) for _ in range(AT_ONCE)]
    expect(all(line.startswith(GREETED) for line, _ in peers), "fewer were let in than the limit")
    expect(outside.told(CROWD[2], 1)[0].startswith(TURNED_AWAY), "one more than the limit was let in")
    expect(outside.told(CROWD[3], 1)[0].startswith(GREETED), "another address is turned away for what this one did")
    peers.pop()[1].close()
    for _ in range(50):     # the server learns of the end a little later
        if outside.told(CROWD[2], 1)[0].startswith(GREETED):
            break
        time.sleep(0.05)
    else:
        raise Failed("when one of them has ended no other one is let in")
    for _, peer in peers:
        peer.close()


def networks(outside):
    """allow and deny of a listener: no octet for whoever is not in."""
    for source, wanted in [(CROWD[3], True), (STRANGER, False), (CROWD[4], False)]:
        try:
            line = outside.told(source, 1, port=2)[0]
        except (ConnectionResetError, socket.timeout):
            line = None
        expect(bool(line) == wanted, f"{source} got {line}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        apart = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--net", "--map-root-user"]
        if subprocess.run([*apart, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
            print("a network namespace may not be made here")
            sys.exit(SKIPPED)
        os.execvp("unshare", [*apart, sys.executable, __file__, INSIDE, "--pier", options.pier])
    make_network()
    outside = Outside(options.pier)
    with outside.server as server:
        server.start()
        for check in [rate, rate_of_a_network, at_once, networks]:
            check(outside)
            print(f"passed {check.__name__}")
        limits = server.cli("--json", "status").decode()
        expect("new_connections_per_minute_max" in limits, "pier status does not tell the limit")
        server.stop()
        refused = [line for line in server.log.read_text().splitlines() if "event=connection.refused" in line]
        expect(any(f"peer={CROWD[0]}:" in line and "too many new connections" in line for line in refused), "the log does not name who was turned away")


if __name__ == "__main__":
    try:
        main()
    except Failed as problem:
        sys.exit(f"FAILED: {problem}")
