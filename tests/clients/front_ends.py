#!/usr/bin/env python3
"""A real HAProxy in front of two Piers: clients are known by their own addresses, and none sees an error when a node goes.

usage: front_ends.py --pier PROGRAM
"""
import argparse
import poplib
import re
import subprocess
import sys
import time

from pier_server import Failed, PierServer, free_ports
from repeating import Repeating

USER, PASSWORD = "ada", "correct horse battery"
CLIENTS = ["127.0.0.21", "127.0.0.22", "127.0.0.23", "127.0.0.24"]
PROXY = "127.0.0.9"     # from where HAProxy comes
CHECK_MS = 200
FETCHES = 20


class HaProxy:
    """Three front ends: TCP with version 1 and with version 2, and TLS that ends there."""

    def __init__(self, nodes, folder):
        self.v1, self.v2, self.ends_tls = free_ports(3)
        pem = folder / "haproxy.pem"
        pem.write_bytes((folder / "tls/server.pem").read_bytes() + (folder / "tls/server.key").read_bytes())
        self.config = folder / "haproxy.cfg"
        self.config.write_text(f"""
global
    log stderr format raw local0 notice
defaults
    mode tcp
    log global
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    retries 5
    option redispatch
    default-server inter {CHECK_MS}ms fall 1 rise 1
""" + self.front_end("v1", f"127.0.0.1:{self.v1}", nodes, "pop3s_port", "send-proxy")
            + self.front_end("v2", f"127.0.0.1:{self.v2}", nodes, "pop3s_port", "send-proxy-v2")
            + self.front_end("tls", f"127.0.0.1:{self.ends_tls} ssl crt {pem}", nodes, "pop3_port", "send-proxy-v2-ssl-cn"))
        self.process = None

    @staticmethod
    def front_end(name, bind, nodes, port, send):
        text = f"""
listen {name}
    bind {bind}
    source {PROXY}
    option tcp-check
    tcp-check expect string +OK
"""
        for number, node in enumerate(nodes):
            text += f"    server node{number} 127.0.0.1:{getattr(node, port)} check port {node.pop3_port} check-send-proxy no-check-ssl {send}\n"
        return text

    def __enter__(self):
        self.process = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", self.config], stderr=subprocess.PIPE)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        text = self.process.communicate()[1].decode()
        if "ALERT" in text and "config" in text:
            raise Failed(f"HAProxy: {text}")


def fetch(ca, port, client, password=PASSWORD):
    """The exit status of curl from that address; 0: it has logged in and listed."""
    command = ["curl", "-s", "--max-time", "20", "--cacert", ca, "--interface", client, "-u", f"{USER}:{password}", f"pop3s://localhost:{port}/"]
    return subprocess.run([str(word) for word in command], capture_output=True).returncode


def logins(node):
    """[(client's address, what the log says of TLS)]"""
    return re.findall(r"event=pop3\.login user=ada peer=([0-9.]+):\d+ .*?tls=\"?([^ \"]*)", node.log.read_text())


def wait_until_reached(ca, port):
    for _ in range(100):
        if fetch(ca, port, CLIENTS[0]) == 0:
            return
        time.sleep(0.1)
    raise Failed(f"nothing answers behind HAProxy's port {port}")


class Fetching(Repeating):
    """Clients that fetch through a port; `failed` counts what went wrong."""

    def __init__(self, ca, port):
        self.ca, self.port = ca, port
        self.done = self.failed = 0
        super().__init__(*(lambda client=client: self.fetch_once(client) for client in CLIENTS[:2]))

    def fetch_once(self, client):
        status = fetch(self.ca, self.port, client)
        self.done += 1
        self.failed += status != 0


def renew(ca, port, node):
    """The node is drained, stopped and started again, and no client sees it: neither a new one nor one that is there."""
    with Fetching(ca, port) as fetching, PatientClient(node) as there:
        drained = subprocess.Popen([node.pier, "--config", node.config, "drain", "--notice", "2s", "--wait", "20s"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(3)
        before, count = fetching.done, len(logins(node))
        wait_for(lambda: fetching.done >= before + 4, "fetches go on while a node drains")
        expect(len(logins(node)) == count, "the draining node was still given clients")
        expect(drained.poll() is None, "the node is said to be drained while a session is there")
        there.quit()
        expect(drained.wait(30) == 0, "pier drain does not succeed although all sessions have ended")
        node.stop()
        node.start()
        wait_for(lambda: logins(node)[count:], "the node is given clients again")
    expect(fetching.failed == 0, f"{fetching.failed} of {fetching.done} fetches failed while a node was renewed")
    return fetching.done


class PatientClient:
    """A session on a node that goes on until quit()."""

    def __init__(self, node):
        self.pop = poplib.POP3("127.0.0.1", node.pop3_port, timeout=20)

    def __enter__(self):
        self.pop.user(USER)
        self.pop.pass_(PASSWORD)
        return self

    def quit(self):
        self.pop.stat()
        self.pop.quit()

    def __exit__(self, *_):
        self.pop.close()


def wait_for(condition, text):
    end = time.monotonic() + 30
    while not condition():
        expect(time.monotonic() < end, f"not within 30 seconds: {text}")
        time.sleep(0.1)


def expect(condition, text):
    if not condition:
        raise Failed(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    options = parser.parse_args()
    nodes = [PierServer(options.pier, listener=f'proxies = ["{PROXY}"]\n') for _ in range(2)]
    with nodes[0], nodes[1]:
        for node in nodes:
            node.add_account(USER, PASSWORD)
            (node.folder / "tls/ca.pem").write_bytes((nodes[0].folder / "tls/ca.pem").read_bytes())
            for name in ("server.pem", "server.key"):
                (node.folder / "tls" / name).write_bytes((nodes[0].folder / "tls" / name).read_bytes())
            node.start()
        ca = nodes[0].ca
        with HaProxy(nodes, nodes[0].folder) as proxy:
            for port, tls in [(proxy.v1, "TLSv1.3/"), (proxy.v2, "TLSv1.3/"), (proxy.ends_tls, "TLSv1.3")]:
                wait_until_reached(ca, port)
                before = [len(logins(node)) for node in nodes]
                for number in range(FETCHES):
                    client = CLIENTS[number % len(CLIENTS)]
                    expect(fetch(ca, port, client) == 0, f"a fetch through port {port} failed")
                new = [login for node, count in zip(nodes, before) for login in logins(node)[count:]]
                expect({address for address, _ in new} == set(CLIENTS), f"the log does not name the clients: {new}")
                expect(all(said.startswith(tls) for _, said in new), f"what the log says of TLS: {new}")
                expect(all(said.endswith("+proxy") == (port == proxy.ends_tls) for _, said in new), f"where TLS ends: {new}")
                expect(all(len(logins(node)) > count for node, count in zip(nodes, before)), "one node got nothing")
            renewed = renew(ca, proxy.v2, nodes[1])
            nodes[1].stop()
            failed = sum(fetch(ca, proxy.v2, CLIENTS[number % len(CLIENTS)]) != 0 for number in range(FETCHES))
            expect(failed == 0, f"{failed} of {FETCHES} fetches failed when one node had stopped")
        for node in nodes:
            expect("event=proxy.failed" not in node.log.read_text(), "a health check was taken for a proxy that does not speak")
    print(f"{4 * FETCHES} fetches through HAProxy: versions 1 and 2, TLS here and there, with one node stopped; and {renewed} while one was renewed")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
