#!/usr/bin/env python3
"""pier history: what was changed of a server's set-up, by whom, with the server running and without one.

usage: changes.py --pier PROGRAM
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time

from doctor_case import change_config
from pier_server import Failed, PierServer, make_certificates

TOKEN = "T0KEN-of-the-hook"


def history(server, *words):
    answer = json.loads(server.cli("history", "--json", *words))
    if answer["unreadable"]:
        raise Failed(f"lines that are none: {answer}")
    return answer["changes"]


def last(server, what, by, **expected):
    """The latest change of that kind; {key: (before, after)}."""
    changes = history(server, "--what", what)
    if not changes:
        raise Failed(f"nothing is recorded of {what}")
    change = changes[-1]
    for name, value in {"by": by, **expected}.items():
        if change.get(name) != value:
            raise Failed(f"{what}: {name} is {change.get(name)}, not {value}: {change}")
    return {one["key"]: (one.get("before"), one.get("after")) for one in change.get("differences", [])}


def expect(what, found, wanted):
    if found != wanted:
        raise Failed(f"{what}: {found}, not {wanted}")
    print(f"  {what}", flush=True)


def eventually(what, look, seconds=60):
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.5)


def configuration(server):
    for what in ("configuration", "certificate", "listeners"):
        expect(f"the first start notes what it knows of {what}", last(server, what, "start", user=os.getuid(), process=server.process.pid), {})
    change_config(server, append=f'[pop3]\nlogin_delay = "7s"\n[[alerts.channel]]\nkind = "webhook"\nurl = "http://127.0.0.1:9/{TOKEN}"\n')
    server.cli("reload")
    found = last(server, "configuration", "reload", user=os.getuid())
    expect("a reload records what the file says", found["pop3.login_delay"], ('"0s"', '"7s"'))
    expect("but no secret", found["alerts.channel[webhook].url"], (None, "(secret)"))
    count = len(history(server))
    server.cli("reload")
    expect("a reload of the same records nothing", len(history(server)), count)
    change_config(server, (TOKEN, TOKEN[::-1]))
    server.process.send_signal(signal.SIGHUP)
    eventually("a SIGHUP is a reload", lambda: len(history(server)) == count + 1)
    expect("by who sent the signal", last(server, "configuration", "reload", user=os.getuid(), process=os.getpid()),
           {"alerts.channel[webhook].url": ("(secret)", "(another secret)")})
    shown = server.cli("history", "--what", "configuration").decode()
    if '  - pop3.login_delay = "0s"\n  + pop3.login_delay = "7s"\n' not in shown:
        raise Failed(f"what people are shown: {shown}")
    port = server.pop3_port
    server.stop()
    change_config(server, (f"port = {port}\n", "port = 0\n"))
    server.start()
    found = last(server, "listeners", "start")
    expect("another port is another listener", any(before == f"127.0.0.1:{port}" for before, after in found.values()), True)
    for file in (server.folder / "data/changes").iterdir():
        text = file.read_text()
        if TOKEN in text or TOKEN[::-1] in text:
            raise Failed(f"a secret is in {file}")
        expect(f"{file.name} is nobody else's", file.stat().st_mode & 0o777, 0o600)


def certificate(server):
    fresh = server.folder / "fresh"
    make_certificates(fresh)
    for name in ("server.key", "server.pem"):
        os.replace(fresh / name, server.folder / "tls" / name)
    eventually("the files are looked at", lambda: history(server, "--what", "certificate")[-1]["by"] == "the files were replaced")
    found = last(server, "certificate", "the files were replaced", user=None)
    expect("another certificate", any(key.endswith(" sha-256") and before != after for key, (before, after) in found.items()), True)


def accounts(server):
    server.add_account("ada", "first secret")
    expect("a new account", last(server, "account", "account.add", subject="ada")["password"], (None, "ARGON2ID"))
    server.cli("account", "change", "ada", "--master", "on")
    expect("a right", last(server, "account", "account.change", user=os.getuid()), {"master": ("no", "yes")})
    if os.getuid() == 0:
        done = subprocess.run([server.pier, "--config", server.config, "account", "disable", "ada"], env={**os.environ, "SUDO_USER": "bob\x1b[2J"},
                              capture_output=True, timeout=60)
        if done.returncode != 0:
            raise Failed(f"pier account disable: {done.stderr}")
        last(server, "account", "account.disable", user=0)
        who = history(server)[-1]["for"]
        expect("behind sudo", "bob" in who and "\x1b" not in who, True)
    before = len(history(server))
    server.stop()
    server.cli("account", "remove", "ada", "--yes")
    expect("without a server", last(server, "account", "account.remove", subject="ada")["master"], ("yes", None))
    expect("once", len(history(server)), before + 1)
    server.start()
    expect("and with it again", len(history(server, "ada")) >= 3, True)


def full_disk(server):
    """What cannot be recorded is done all the same, and told in the log."""
    server.stop()
    shutil.rmtree(server.folder / "data/changes")
    (server.folder / "data/changes").write_text("in the way")
    server.start()
    server.add_account("eva", "a secret")
    if "changes.failed" not in server.log.read_text():
        raise Failed(f"the log says nothing:\n{server.log_tail()}")
    if b"eva" not in server.cli("account", "list"):
        raise Failed("the account is not there")
    print("  a record that cannot be written", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pier", required=True)
    pier = parser.parse_args().pier
    try:
        with PierServer(pier) as server:
            server.start()
            for part in (configuration, certificate, accounts, full_disk):
                print(part.__name__, flush=True)
                part(server)
    except Failed as failed:
        print(f"FAILED: {failed}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
