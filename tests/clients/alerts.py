#!/usr/bin/env python3
"""A running Pier tells when something that it watches goes down, and when it is back: by every kind of channel, once, also over a kill.

usage: alerts.py --pier PROGRAM PART...     PART: channels, vitals, promise
"""
import argparse
import hmac
import json
import poplib
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pier_server import Failed, PierServer, free_ports
from smtp_sink import SmtpSink

ADA, PASSWORD, SECRET = "ada@example.org", "correct horse battery", "a secret of the hook's"
PATIENT = 'slow_warning = "1h"\nslow_critical = "1h"\nlatency_factor = 0\n'
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


class WebReceiver:
    """Takes POSTs on a loopback port, and remembers (path, header, body)."""

    def __enter__(self):
        posts = self.posts = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posts.append((self.path, dict(self.headers), body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def of(self, path):
        return [(header, json.loads(body), body) for where, header, body in self.posts if where == path]


def signed(header, body):
    expected = "sha256=" + hmac.new(SECRET.encode(), header["X-Pier-Timestamp"].encode() + b"." + body, "sha256").hexdigest()
    return hmac.compare_digest(expected, header["X-Pier-Signature"]) and abs(int(header["X-Pier-Timestamp"]) - time.time()) < 300


def listed(server):
    return json.loads(server.cli("alert", "list", "--json", check=False))


def ill(server):
    return {one["key"]: one for one in listed(server)["alerts"] if one["state"] == "ill"}


class Channels:
    """One of each kind, and what each has heard: a list of (change, key)."""

    def __init__(self, server, web, sink):
        self.server, self.web, self.sink = server, web, sink
        self.told = server.folder / "told"
        script = server.folder / "tell"
        # Its standard input is the JSON of the webhook.
        script.write_text(f'#!/bin/sh\n{{ cat; echo; }} >> "{self.told}"\n')
        script.chmod(0o755)
        secret = server.folder / "hook.secret"
        secret.write_text(SECRET + "\n")
        self.text = (
            f'[[alerts.channel]]\nname = "hook"\nkind = "webhook"\nurl = "http://127.0.0.1:{web.port}/hook"\nsecret_file = "{secret}"\n'
            f'[[alerts.channel]]\nkind = "alertmanager"\nurl = "http://127.0.0.1:{web.port}/api/v2/alerts"\n'
            f'[[alerts.channel]]\nkind = "command"\ncommand = "{script}"\n'
            f'[[alerts.channel]]\nkind = "journal"\n'
            f'[[alerts.channel]]\nkind = "mail"\nto = ["admin@elsewhere.example"]\nthrough = "127.0.0.1:{sink.port}"\n'
            f'[[alerts.channel]]\nname = "own"\nkind = "mail"\nto = ["{ADA}"]\n')

    @staticmethod
    def changes(notice):
        return [(one["change"], one["key"]) for one in notice["alerts"]]

    def of_hook(self):
        return [change for _, notice, _ in self.web.of("/hook") for change in self.changes(notice)]

    def of_command(self):
        lines = self.told.read_text().splitlines() if self.told.exists() else []
        return [change for line in lines if line for change in self.changes(json.loads(line))]

    def of_alertmanager(self):
        """(what is over, key): its alerts have no changes."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
        return [(one["endsAt"] < now, one["labels"]["key"]) for _, alerts, _ in self.web.of("/api/v2/alerts") for one in alerts]

    def of_mail(self, word, target):
        return [one for one in self.sink.messages if f"\n{word}: {target}".encode() in one.octets]

    def of_own_mail(self):
        return json.loads(self.server.cli("account", "messages", ADA, "--json"))


def channels(pier):
    with PierServer(pier) as server, PierServer(pier) as other, WebReceiver() as web, SmtpSink() as sink:
        heard = Channels(server, web, sink)
        server.cli("domain", "add", "example.org")
        server.add_account(ADA, PASSWORD)
        server.config.write_text(
            server.config.read_text() + f'[watch]\nown = false\ninterval = "2s"\nsecond_look = "1s"\nthorough_interval = "0s"\n{PATIENT}'
            f'[[watch.target]]\nhost = "127.0.0.1"\nport = {other.pop3s_port}\nprotocol = "pop3"\ntls = "implicit"\nname = "localhost"\n'
            f'ca_file = "{other.ca}"\n[alerts]\ndisk_free_warning = 0\ndisk_free_critical = 0\n' + heard.text)
        other.start()
        server.start()
        target = f"127.0.0.1:{other.pop3s_port}"
        key = f"port.{target}.reachable"
        eventually("it is looked at", lambda: all(one["looks"] > 1 and one["up"] for one in json.loads(
            server.cli("watch", "--json", check=False))["targets"]))
        check(not [one for one in ill(server) if one.startswith("port.")], "nothing is wrong with it yet", listed(server))
        is_tried(server, heard)
        tests = len(heard.of_own_mail()["messages"])

        other.stop()
        eventually("the outage is told by the webhook", lambda: ("raised", key) in heard.of_hook())
        eventually("and by the command", lambda: ("raised", key) in heard.of_command())
        eventually("and to Alertmanager", lambda: (False, key) in heard.of_alertmanager())
        eventually("and by mail through another server", lambda: heard.of_mail("raised", target))
        eventually("and by mail of its own", lambda: len(heard.of_own_mail()["messages"]) > tests)
        eventually("and in the log", lambda: re.search(rf"event=alert .*{re.escape(key)}", server.log.read_text()))
        for header, _, body in web.of("/hook"):
            check(signed(header, body), "the signature", header)
        check(ill(server)[key]["severity"] == "critical", "pier alert list", listed(server))
        check("CRITICAL" in str(heard.of_mail("raised", target)[0].octets), "the mail's subject", str(heard.of_mail("raised", target)[0].octets))
        page = server.cli("metrics").decode()
        check('pier_alerts{severity="critical"} 1' in page, "the metrics", page)
        eventually("the metrics count what was sent", lambda: re.search(
            r'pier_alert_notices_total\{kind="webhook",outcome="sent"\} [1-9]', server.cli("metrics").decode()))
        print("  an outage is told by a webhook, a command, Alertmanager, mail through a server, own mail and the log", flush=True)

        server.cli("alert", "ack", key, "--by", "grace", "--for", "1h")
        check(ill(server)[key]["acknowledged"]["by"] == "grace", "the acknowledgement", listed(server))
        eventually("it is on disk", lambda: "grace" in (server.folder / "data/alerts.json").read_text())
        raised = heard.of_hook().count(("raised", key))
        server.kill()
        server.start()
        eventually("it is looked at again", lambda: all(one["looks"] > 2 for one in json.loads(
            server.cli("watch", "--json", check=False))["targets"]))
        check(ill(server)[key]["acknowledged"]["by"] == "grace", "the acknowledgement behind a kill", listed(server))
        check(heard.of_hook().count(("raised", key)) == raised, "it was told again behind a kill", heard.of_hook())
        print("  acknowledged; a kill and a start tell nothing again", flush=True)

        other.start()
        eventually("its end is told by the webhook", lambda: ("resolved", key) in heard.of_hook())
        eventually("and by the command", lambda: ("resolved", key) in heard.of_command())
        eventually("and to Alertmanager", lambda: (True, key) in heard.of_alertmanager())
        eventually("and by mail", lambda: heard.of_mail("resolved", target))
        check(key not in ill(server), "pier alert list", listed(server))
        text = server.log.read_text() + server.cli("alert", "list", check=False).decode()
        check(SECRET not in text and PASSWORD not in text, "a secret is shown", text)
        print("  it comes back: told everywhere", flush=True)


def is_tried(server, heard):
    tried = json.loads(server.cli("alert", "test", "--json"))["tried"]
    check(len(tried) == 6 and all(one["error"] is None for one in tried), "pier alert test", tried)
    check(heard.web.of("/hook") and heard.sink.messages, "what pier alert test has sent")
    answer = server.cli("alert", "test", "hook").decode()
    check("hook" in answer and "command" not in answer, "pier alert test of one", answer)
    missing = json.loads(server.cli("alert", "test", "nobody", "--json", check=False) or "{}")
    check("tried" not in missing, "pier alert test of a channel that is not there", missing)
    print("  pier alert test: six channels have taken it", flush=True)


def promise(pier):
    """With the times that nobody has set: an outage is found within a minute, and told within five seconds after it."""
    with PierServer(pier) as server, PierServer(pier) as other, WebReceiver() as web:
        server.config.write_text(
            server.config.read_text() + f'[watch]\nown = false\n{PATIENT}'
            f'[[watch.target]]\nhost = "127.0.0.1"\nport = {other.pop3_port}\nname = "localhost"\nprotocol = "pop3"\nca_file = "{other.ca}"\n'
            '[alerts]\ndisk_free_warning = 0\ndisk_free_critical = 0\n'
            f'[[alerts.channel]]\nkind = "webhook"\nurl = "http://127.0.0.1:{web.port}/hook"\n')
        other.start()
        server.start()
        eventually("it is looked at", lambda: all(one["looks"] > 0 and one["up"] for one in json.loads(
            server.cli("watch", "--json", check=False))["targets"]))
        other.kill()
        down = time.monotonic()
        key = ("raised", f"port.127.0.0.1:{other.pop3_port}.reachable")
        eventually("it is told", lambda: key in [change for _, notice, _ in web.of("/hook") for change in Channels.changes(notice)], 65)
        print(f"  an outage is told {time.monotonic() - down:.0f} s after it began; 65 s are promised", flush=True)


def vitals(pier):
    """What no port shows: guessing. A port that nobody has connects nowhere, so its channel fails."""
    with PierServer(pier, settings='[guard]\nenabled = false\n') as server:
        server.cli("domain", "add", "example.org")
        server.add_account(ADA, PASSWORD)
        server.config.write_text(
            server.config.read_text() + '[watch]\nown = false\n[alerts]\nlogin_failures_per_minute = 3\ndisk_free_warning = 100\ndisk_free_critical = 0\n'
            f'[[alerts.channel]]\nname = "dead"\nkind = "webhook"\nurl = "http://127.0.0.1:{free_ports(1)[0]}/"\n')
        server.start()
        eventually("the disk is not empty enough", lambda: "disk.free" in ill(server))
        fails(server)
        eventually("guessing is told", lambda: "guard.guessing" in ill(server))
        channel = eventually("the channel that fails is shown", lambda: [
            one for one in listed(server)["channels"] if one["last_error"]])[0]
        check(channel["channel"] == "dead" and channel["sent"] == 0, "pier alert list", channel)
        check(b"disk.free" in server.cli("alert", "list", check=False), "the table")
        print("  the disk and guessing are told, and that a channel fails is shown", flush=True)


def fails(server):
    for _ in range(5):
        client = poplib.POP3("127.0.0.1", server.pop3_port)
        client.user(ADA)
        try:
            client.pass_("wrong")
        except poplib.error_proto:
            pass
        client.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pier", required=True)
    parser.add_argument("parts", nargs="+", choices=["channels", "vitals", "promise"])
    arguments = parser.parse_args()
    for part in arguments.parts:
        print(part, flush=True)
        {"channels": channels, "vitals": vitals, "promise": promise}[part](arguments.pier)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        sys.exit(1)
