#!/usr/bin/env python3
"""pier ports: what is configured, what listens, what the firewall lets in, and what is reached; and the server's own look at its ports.

usage: ports.py --pier PROGRAM
"""
import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from doctor_case import change_config, need_root, running
from pier_server import Failed, PierServer, free_ports


def states(server, *before, words=()):
    """{port: state} of pier ports."""
    done = subprocess.run([*before, server.pier, "--config", str(server.config), "ports", "--json", *words], capture_output=True, text=True, timeout=120)
    if done.returncode not in (0, 1):
        raise Failed(f"pier ports: {done.stderr}")
    return {one["port"]: one for one in json.loads(done.stdout)["ports"]}


def expect(what, state, *codes):
    found = [one["code"] for one in state["differences"] if one["severity"] != "note"]
    if found != list(codes):
        raise Failed(f"{what}: {found}, not {list(codes)}\n{json.dumps(state, indent=1)}")
    print(f"  {what}: {', '.join(codes) or 'well'}", flush=True)


def listening(pier):
    with PierServer(pier) as server:
        expect("a server that does not run", states(server)[server.pop3_port], "not_listening")
        with socket.socket() as other:
            other.bind(("127.0.0.1", server.pop3_port))
            other.listen()
            state = states(server)[server.pop3_port]
            expect("another process has the port", state, "other_process")
            if state["listens"][0]["pid"] != os.getpid():
                raise Failed(f"whose it is is not told: {state}")
    with running(pier) as server:
        expect("a server that runs", states(server)[server.pop3_port])
        port = free_ports(1)[0]
        change_config(server, append=f'[[listener]]\nprotocol = "pop3"\naddress = "127.0.0.1"\nport = {port}\n')
        expect("a listener that was added after the start", states(server)[port], "not_listening")
        with socket.socket() as other:
            other.bind(("127.0.0.1", port))
            other.listen()
            expect("and another process has its port", states(server)[port], "other_process")


def reached(pier):
    """By the server's watch, and from here; the pop3s listener has an outer address too, the pop3 listener only one of IPv4."""
    with PierServer(pier) as server:
        change_config(server, (f'address = "127.0.0.1"\nport = {server.pop3s_port}', f'address = "*"\nport = {server.pop3s_port}'),
                      (f'address = "127.0.0.1"\nport = {server.pop3_port}', f'address = "0.0.0.0"\nport = {server.pop3_port}'),
                      append=f'[watch]\ninterval = "1s"\nca_file = "{server.ca}"\n')
        if any(state["outside"] for state in states(server).values()):
            raise Failed("without a server nobody has looked")
        server.start()
        look = eventually("the watch has looked", lambda: states(server)[server.pop3s_port]["outside"])
        if not look["reached"] or "the watch of this server" not in look["from"]:
            raise Failed(f"what the watch saw: {look}")
        print(f"  reached: {look['from']}", flush=True)
        seen = states(server, words=("--outside", "127.0.0.1"))
        expect("reached from here", seen[server.pop3s_port])
        if not seen[server.pop3s_port]["outside"]["reached"] or seen[server.lmtp_port]["outside"]:
            raise Failed(f"reached, and a listener on loopback is left out: {seen}")
        expect("an address at which nobody listens", states(server, words=("--outside", "::1"))[server.pop3_port], "not_reached")


def eventually(what, look, seconds=150):
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.5)
    return found


def own_look(pier):
    """The server looks once a minute, inside its sandbox."""
    with running(pier) as server, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", server.pop3_port))
        other.listen()
        expect("a port that is shared", states(server)[server.pop3_port], "shared_port")
        key = f"127.0.0.1:{server.pop3_port}.foreign"
        line = eventually("the server sees it", lambda: [line for line in server.log.read_text().splitlines()
                                                         if "event=listener.seen" in line])
        if len(line) != 1 or key not in line[0]:
            raise Failed(f"what the server saw: {line}")
        print(f"  the server's own look: {key}", flush=True)


def firewall(pier):
    if not need_root("a network namespace") or not shutil.which("nft", path=os.environ["PATH"] + ":/usr/sbin"):
        print("SKIPPED: a firewall; there is no nft here, or no right to it", flush=True)
        return
    with PierServer(pier) as server:
        port = server.pop3s_port
        change_config(server, (f'address = "127.0.0.1"\nport = {port}', f'address = "*"\nport = {port}'))
        rules = f"table inet t {{ chain input {{ type filter hook input priority 0; tcp dport {port} drop; }}; }}"
        script = f"nft '{rules}' && exec \"$@\""
        state = states(server, "unshare", "-n", "sh", "-c", script, "sh")[port]
        if state["firewall"]["verdict"] != "closed":
            raise Failed(f"a firewall that drops: {state}")
        print("  a firewall that drops: closed", flush=True)
        rules = (f"table inet t {{ set mail {{ type inet_service; elements = {{ {port} }}; }}; chain input {{ type filter hook input "
                 "priority 0; policy drop; tcp dport @mail accept; }; }")
        state = states(server, "unshare", "-n", "sh", "-c", f"nft '{rules}' && exec \"$@\"", "sh")[port]
        if state["firewall"]["verdict"] != "unknown" or "named set" not in state["firewall"]["text"]:
            raise Failed(f"a firewall that is not understood: {state}")
        print("  a firewall that lets in a named set: unknown", flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--pier", required=True)
    pier = str(Path(parser.parse_args().pier).resolve())
    try:
        listening(pier)
        reached(pier)
        own_look(pier)
        firewall(pier)
    except Failed as failure:
        sys.exit(f"FAILED: {failure}")


if __name__ == "__main__":
    main()
