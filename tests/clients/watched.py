#!/usr/bin/env python3
"""A running Pier watches: itself, without disturbing itself, and other servers that go down and come back; it keeps what it measures.

usage: watched.py --pier PROGRAM PART...     PART: own, outage, canary, wrong

Dovecot is Debian's and must start as root: without root this starts itself again through sudo.
"""
import argparse
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from dovecot import Dovecot
from pier_server import Failed, PierServer

ADA, PASSWORD = "ada@example.org", "correct horse battery"
# The machine that runs this may be slow; that is no finding here.
PATIENT = 'slow_warning = "1h"\nslow_critical = "1h"\n'
SECONDS = 60


def check(holds, what, shown=""):
    if not holds:
        raise Failed(f"{what}\n{shown if isinstance(shown, str) else json.dumps(shown, indent=1)}")


def eventually(what, look, seconds=SECONDS):
    """What `look` gives, as soon as that is true."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        check(time.monotonic() < deadline, f"not within {seconds} s: {what}")
        time.sleep(0.1)


def configure(server, text):
    server.config.write_text(server.config.read_text() + text)


def watched(server):
    """{target: state}; the command exits 1 where something is wrong."""
    answer = json.loads(server.cli("watch", "--json", check=False))
    check("targets" in answer, "pier watch --json", answer)
    return {one["target"]: one for one in answer["targets"]}


def codes(state):
    return sorted(one["code"] for one in state["findings"] if one["severity"] != "note")


def measured(server, *words):
    """{series: points}"""
    answer = json.loads(server.cli("probe", "--history", "--json", *words))
    return {one["series"]: one["points"] for one in answer["series"]}


class Silent:
    """A server that takes connections and says nothing."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.taken = []
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def accept(self):
        while True:
            try:
                self.taken.append(self.listener.accept()[0])
            except OSError:
                return

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


# ---- itself ----

def own_targets(server):
    return {f"127.0.0.1:{port}" for port in (server.pop3_port, server.pop3s_port, server.lmtp_port, server.smtp_port,
                                             server.submission_port, server.submissions_port)}


def own(pier):
    # Nobody is spared by the guard, and one strike would block: our own looks must not be counted.
    with PierServer(pier, settings='[guard]\nshared_networks = []\nscans_max = 1\n') as server:
        configure(server, f'[watch]\ninterval = "1s"\nca_file = "{server.ca}"\n{PATIENT}')
        server.start()
        states = eventually("all of its own listeners are well", lambda: (
            lambda seen: seen if seen and all(one["looks"] >= 3 for one in seen.values()) else None)(watched(server)))
        check(set(states) == own_targets(server), "what is watched", states)
        for target, state in states.items():
            check(state["up"] and codes(state) == [] and state["own"] and state["failed"] == 0, f"{target} is not well", state)
        log = server.log.read_text()
        check("pop3.end" not in log and "smtp.end" not in log and "tls.failed" not in log and "refused" not in log and
              "level=error" not in log, "the looks stand in the log", log)
        guard = json.loads(server.cli("status", "--json"))
        check(guard["guard"]["blocked"] == 0 and guard["watch"]["up"] == 6 and guard["watch"]["down"] == 0, "pier status", guard)
        page = server.cli("metrics").decode()
        check(f'pier_probe_up{{target="127.0.0.1:{server.pop3s_port}",what="pop3"}} 1' in page and "pier_guard_strikes_total 0" in page,
              "the metrics", page)
        table = server.cli("watch").decode()
        check(table.count(" well") == 6, "the table", table)
        print("  itself: six listeners, thoroughly and often, nothing in the log, no strike", flush=True)
        drains(server)
        series = measured(server)
        ups = [name for name in series if name.endswith(".up")]
        check(len(ups) == 6 and all(point["min"] == 1 for name in ups for point in series[name]), "what was measured: no outage", series)
        check("server.connections" in series and "server.disk_free_octets" in series, "the server's own figures", list(series))
        server.stop()
        after = measured(server)
        check(set(after) == set(series), "the history without a server", list(after))
        text = server.cli("probe", "--history", f"127.0.0.1:{server.pop3s_port}", "--since", "2h").decode()
        check("total_s" in text and "tls_s" in text and "█" in text and "100 %" in text, "the history as a table", text)
        check(b"nothing was measured of mail.example" in
              subprocess.run([server.pier, "--config", server.config, "probe", "--history", "mail.example"], capture_output=True).stderr,
              "a host that is not watched")
        print("  the history: while it runs, and from its files", flush=True)


def drains(server):
    began = time.monotonic()
    server.cli("drain", "--notice", "0s", "--wait", "10s")
    check(time.monotonic() - began < 8, "draining was delayed by our own looks")
    time.sleep(2.5)   # two intervals, in which nothing may be looked at
    states = watched(server)
    check(all(one["state"] == "paused" and one["failed"] == 0 for one in states.values()), "while draining", states)
    looks = {target: one["looks"] for target, one in states.items()}
    server.cli("drain", "--end")
    eventually("it looks again", lambda: all(one["looks"] > looks[target] for target, one in watched(server).items()))
    check("connection.refused" not in server.log.read_text(), "a look was refused while draining", server.log_tail())
    print("  draining: not delayed, not taken for an outage, and watched again afterwards", flush=True)


# ---- others ----

def target(port, protocol, tls, ca, more=""):
    return (f'[[watch.target]]\nhost = "127.0.0.1"\nport = {port}\nprotocol = "{protocol}"\ntls = "{tls}"\nname = "localhost"\n'
            f'ca_file = "{ca}"\n{more}')


def outage(pier):
    with PierServer(pier) as watching, PierServer(pier) as other, Silent() as silent:
        with Dovecot("maildir:~/Maildir", {ADA: PASSWORD}, {}) as dovecot:
            secret = watching.folder / "secret"
            secret.write_text(PASSWORD + "\n")
            login = f'account = "{ADA}"\npassword_file = "{secret}"\n'
            configure(watching, f'[watch]\nown = false\ninterval = "3s"\nsecond_look = "1s"\ntimeout = "60s"\n{PATIENT}'
                      + target(dovecot.pop3s_port, "pop3", "implicit", dovecot.ca, login)
                      + target(dovecot.imaps_port, "imap", "implicit", dovecot.ca, login)
                      + target(other.pop3_port, "pop3", "starttls", other.ca)
                      + target(other.smtp_port, "smtp", "starttls", other.ca)
                      + target(silent.port, "pop3", "none", other.ca))
            other.start()
            watching.start()
            pop3, imap, theirs, smtp = (f"127.0.0.1:{port}" for port in (dovecot.pop3s_port, dovecot.imaps_port, other.pop3_port, other.smtp_port))

            def well(*targets):
                seen = watched(watching)
                return seen if all(seen[one]["up"] and codes(seen[one]) == [] and seen[one]["looks"] > 1 for one in targets) else None

            states = eventually("all are well", lambda: well(pop3, imap, theirs, smtp))
            check("login" in states[pop3]["phases_ms"] and "login" in states[imap]["phases_ms"], "it logs in to Dovecot", states)
            check(states[f"127.0.0.1:{silent.port}"]["looks"] == 0, "a silent server was given up too soon", states)
            print("  Dovecot and Pier are well, while another server says nothing", flush=True)

            other.stop()
            began = time.monotonic()
            states = eventually("the outage is seen", lambda: (
                lambda seen: seen if all(codes(seen[one]) == ["unreachable"] and seen[one]["failed"] >= 2 for one in (theirs, smtp)) else None)(
                    watched(watching)))
            took = time.monotonic() - began
            check(took < 25, f"an outage was known only after {took:.1f} s, with an interval of 3 s and a second look after 1 s", states)
            check(well(pop3, imap), "the others are well", states)
            check(re.search(rf'event=watch.seen target={re.escape(theirs)}.* is=critical', watching.log.read_text()), "the log", watching.log_tail())
            check(watching.cli("watch", check=False).decode().count("CRITICAL") >= 2, "the table")
            other.start()
            eventually("it is back", lambda: well(theirs, smtp))
            ups = measured(watching, theirs)[f"probe.{theirs}.up"]
            check(min(point["min"] for point in ups) == 0 and ups[-1]["last"] == 1, "the history of the outage", ups)
            print(f"  Pier goes down (seen twice after {took:.1f} s) and comes back", flush=True)
        eventually("Dovecot has ended", lambda: codes(watched(watching)[imap]) == ["unreachable"])
        began = time.monotonic()
        watching.stop()
        check(time.monotonic() - began < 5, "a look at a silent server delays the end", watching.log_tail())
        check(PASSWORD not in watching.log.read_text(), "the password is in the log")
        print("  the server ends at once, with a look under way", flush=True)


# ---- canaries ----

def canary(pier):
    with PierServer(pier) as server:
        secret = server.folder / "secret"
        secret.write_text(PASSWORD + "\n")
        server.cli("domain", "add", "example.org")
        server.add_account(ADA, PASSWORD)
        configure(server, f'[watch]\nown = false\nsecond_look = "1s"\nca_file = "{server.ca}"\n{PATIENT}'
                  f'[[watch.target]]\nhost = "127.0.0.1"\nport = {server.pop3s_port}\nprotocol = "pop3"\ntls = "implicit"\nname = "localhost"\n'
                  f'[[watch.canary]]\nname = "own"\nsender = "127.0.0.1:{server.lmtp_port}"\nfetcher = "127.0.0.1:{server.pop3s_port}"\n'
                  f'from = "probe@elsewhere.example"\nto = "{ADA}"\naccount = "{ADA}"\npassword_file = "{secret}"\ninterval = "2s"\nwait = "5s"\n')
        server.start()
        state = eventually("three canaries have flown", lambda: (
            lambda one: one if one["looks"] >= 3 else None)(watched(server)["own"]))
        check(state["up"] and state["failed"] == 0 and codes(state) == [], "the canary", state)
        check(json.loads(server.cli("account", "show", ADA, "--json"))["messages"] <= 1, "canaries are left in the mailbox")
        server.cli("account", "disable", ADA)
        state = eventually("a canary is refused or lost", lambda: (
            lambda one: one if one["findings"] else None)(watched(server)["own"]))
        check(set(codes(state)) <= {"canary_lost", "canary_not_sent"} and not state["up"], "the canary of a disabled account", state)
        server.cli("account", "enable", ADA)
        eventually("canaries come again", lambda: watched(server)["own"]["up"])
        series = measured(server, "own")
        check({"canary.own.up", "canary.own.total_s", "canary.own.wait_s"} <= set(series), "the history", list(series))
        check('pier_probe_up{target="own",what="canary"} 1' in server.cli("metrics").decode(), "the metrics")
        print("  canaries fly, get lost when the account is disabled, and fly again", flush=True)


# ---- configurations that are refused ----

WRONG = [
    ('[watch]\nintervall = "1m"\n', 'did you mean "interval"?'),
    ('[watch.target]\nhost = "mail.example.org"\n', "write [[watch.target]] with two brackets"),
    ('[[watch.targets]]\nhost = "mail.example.org"\n', 'did you mean "target"?'),
    ('[[watch.target]]\nhost = "mail.example.org"\n', "which port of mail.example.org?"),
    ('[[watch.target]]\nhost = "mail.example.org:995"\n', "write its name or IP address alone"),
    ('[[watch.target]]\nhost = "mail.example.org"\nport = 4711\n', "say what it speaks"),
    ('[[watch.target]]\nhost = "mail.example.org"\nport = 995\naccount = "ada"\n', "belong together"),
    ('[[watch.target]]\nhost = "mail.example.org"\nport = 25\naccount = "ada"\npassword_file = "/dev/null"\n', "nobody logs in on"),
    ('[[watch.target]]\nhost = "mail.example.org"\nport = 995\n' * 2, "is watched twice"),
    ('[[watch.target]]\nhost = "mail.example.org"\nport = 995\naccount = "ada"\npassword_file = "/nonexistent"\n', "/nonexistent"),
    ('[[watch.canary]]\nsender = "mail.example.org:995"\nfetcher = "mail.example.org:25"\nfrom = "a@b"\nto = "c@d"\n', "takes no mail"),
    ('[[watch.canary]]\nsender = "mail.example.org:25"\nfetcher = "mail.example.org:995"\nfrom = "nobody"\nto = "c@d"\n', "watch.canary.from is an address"),
    ('[watch]\nca_file = "/dev/null"\n', "/dev/null"),
    ("".join(f'[[watch.target]]\nhost = "h{i}.example"\nport = 995\n' for i in range(51)), "at most 50"),
]


def wrong(pier):
    for text, message in WRONG:
        with PierServer(pier, tls=False) as server:
            configure(server, text)
            done = subprocess.run([server.pier, "--config", server.config, "check"], capture_output=True, text=True)
            check(done.returncode == 2 and message in done.stdout + done.stderr, f"pier check says nothing of {message!r}:\n{text[:200]}",
                  done.stdout + done.stderr)
    with PierServer(pier, tls=False) as server:
        done = subprocess.run([server.pier, "--config", server.config, "watch"], capture_output=True, text=True)
        check(done.returncode == 1 and "no server runs" in done.stderr, "pier watch without a server", done.stderr)
        done = subprocess.run([server.pier, "--config", server.config, "probe", "--history"], capture_output=True, text=True)
        check(done.returncode == 1 and "nothing was measured yet" in done.stderr, "a history that is not there", done.stderr)
    print(f"  {len(WRONG)} wrong configurations are refused, each with its reason", flush=True)


PARTS = {"own": own, "outage": outage, "canary": canary, "wrong": wrong}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--pier", required=True)
    parser.add_argument("part", nargs="+", choices=PARTS)
    arguments = parser.parse_args()
    if "outage" in arguments.part and os.getuid() != 0:
        os.execvp("sudo", ["sudo", "-n", sys.executable, *sys.argv])
    for part in arguments.part:
        print(part, flush=True)
        try:
            PARTS[part](str(Path(arguments.pier).resolve()))
        except Failed as failure:
            sys.exit(f"FAILED: {failure}")


if __name__ == "__main__":
    main()
