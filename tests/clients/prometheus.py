#!/usr/bin/env python3
"""A real Prometheus scrapes a running Pier, and its queries give what the server did.

usage: prometheus.py --pier PROGRAM --unpacked DIR

--unpacked: where packaging/install-deps.sh unpacks packages. Exit 77: Prometheus is not there.
"""
import argparse
import json
import poplib
import smtplib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from pier_server import Failed, PierServer, TOP, free_ports

SCRAPED_SECONDS = 60
PASSWORD = "correct horse"


def expect(condition, text):
    if not condition:
        raise Failed(text)


def fetch(url, accept=None):
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


class Prometheus:
    """On a free port, with a folder of its own; nothing of it stays."""

    def __init__(self, program, target):
        self.folder = tempfile.TemporaryDirectory(prefix="pier-prometheus-")
        self.port, = free_ports(1)
        folder = Path(self.folder.name)
        text = (TOP / "packaging/prometheus/prometheus.yml").read_text()
        expect("127.0.0.1:9110" in text, "packaging/prometheus/prometheus.yml does not name Pier's usual port")
        text = text.replace("127.0.0.1:9110", target).replace("scrape_interval: 15s", "scrape_interval: 1s")
        (folder / "prometheus.yml").write_text(text)
        (folder / "pier.rules.yml").write_text((TOP / "packaging/prometheus/pier.rules.yml").read_text())
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen([program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                                         f"--web.listen-address=127.0.0.1:{self.port}"], stdout=self.log, stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()
        self.folder.cleanup()

    def ask(self, path, **parameters):
        return json.loads(fetch(f"http://127.0.0.1:{self.port}/api/v1/{path}?" + urllib.parse.urlencode(parameters))[1])["data"]

    def value(self, query):
        """The sum of what a query gives; None: nothing."""
        found = self.ask("query", query=f"sum({query})")["result"]
        return float(found[0]["value"][1]) if found else None

    def wait_for(self, query, wanted):
        end = time.monotonic() + SCRAPED_SECONDS
        got = None
        while time.monotonic() < end:
            try:
                got = self.value(query)
                if got == wanted:
                    return
            except (OSError, urllib.error.URLError):
                pass  # it is still starting
            expect(self.process.poll() is None, f"Prometheus has ended: {Path(self.folder.name, 'log').read_text()[-2000:]}")
            time.sleep(0.2)
        raise Failed(f"{query} is {got} and not {wanted}; its targets: {self.ask('targets')}")


def use(server):
    """Two mails come in and one is fetched; one login fails."""
    with smtplib.SMTP("127.0.0.1", server.smtp_port) as smtp:
        for number in range(2):
            smtp.sendmail("grace@example.org", ["zebedee@pier.example"], f"Subject: {number}\r\n\r\nHello.\r\n")
        refused = smtp.docmd("MAIL", "FROM:<grace@example.org>")[0] == 250 and smtp.docmd("RCPT", "TO:<nobody.at.all@pier.example>")[0]
        expect(refused == 550, f"mail for nobody got {refused}")
    client = poplib.POP3("127.0.0.1", server.pop3_port, timeout=30)
    client.user("zebedee")
    client.pass_(PASSWORD)
    client.retr(1)
    client.quit()
    client = poplib.POP3("127.0.0.1", server.pop3_port, timeout=30)
    client.user("zebedee")
    try:
        client.pass_("wrong")
        raise Failed("a wrong password was taken")
    except poplib.error_proto:
        client.quit()


WANTED = {
    'up{job="pier"}': 1,
    "pier_build_info": 1,
    "pier_store_failed": 0,
    'pier_logins_total{protocol="pop3",mechanism="password",outcome="success"}': 1,
    'pier_logins_total{protocol="pop3",mechanism="password",outcome="credentials"}': 1,
    'pier_command_seconds_count{protocol="pop3",command="RETR"}': 1,
    'pier_command_seconds_count{protocol="pop3",command="PASS"}': 2,
    'pier_command_seconds_count{protocol="smtp",command="DATA"}': 2,
    'pier_first_octet_seconds_count{protocol="pop3"}': 1,
    'pier_deliveries_total{protocol="smtp",reply="2xx"}': 2,
    'pier_recipients_total{protocol="smtp",reply="5xx"}': 1,
    "pier_pop3_retrieved_total": 1,
    'pier_sessions{protocol="pop3"}': 0,
    'pier_connections_accepted_total{listener=~"pop3-.*"}': 2,
    "pier_guard_blocked": 0,
}


def check_page(server, url, promtool):
    """Both formats, `pier metrics`, and what promtool finds."""
    kind, open_metrics = fetch(url, "application/openmetrics-text; version=1.0.0")
    expect(kind.startswith("application/openmetrics-text") and open_metrics.endswith("# EOF\n"), f"no OpenMetrics: {kind}")
    kind, plain = fetch(url)
    expect(kind.startswith("text/plain; version=0.0.4"), f"no text for Prometheus: {kind}")
    done = subprocess.run([promtool, "check", "metrics"], input=plain, capture_output=True, text=True)
    expect(done.returncode == 0, f"promtool: {done.stdout}{done.stderr}")
    local = server.cli("metrics")
    local = local if isinstance(local, str) else local.decode()
    expect("pier_build_info" in local, "pier metrics prints no page")
    for secret in ("zebedee", "grace", "nobody.at.all"):
        expect(secret not in open_metrics, f"the page names {secret}")


def check_others_are_refused(url):
    for path, method, status in (("/", "GET", 404), ("/metrics", "POST", 405)):
        try:
            urllib.request.urlopen(urllib.request.Request(url.replace("/metrics", path), method=method), timeout=20)
            raise Failed(f"{method} {path} was answered")
        except urllib.error.HTTPError as answer:
            expect(answer.code == status, f"{method} {path}: {answer.code}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument("--unpacked", required=True, type=Path)
    options = parser.parse_args()
    programs = options.unpacked / "prometheus/usr/bin"
    if not (programs / "prometheus").exists():
        print("Prometheus is not there: packaging/install-deps.sh unpack")
        return 77
    port, = free_ports(1)
    with PierServer(options.pier, settings=f'[[listener]]\nprotocol = "metrics"\nport = {port}\n') as server:
        server.cli("domain", "add", "pier.example")
        server.add_account("zebedee", PASSWORD)
        server.start()
        url = f"http://127.0.0.1:{port}/metrics"
        use(server)
        check_others_are_refused(url)
        with Prometheus(programs / "prometheus", f"127.0.0.1:{port}") as prometheus:
            for query, wanted in WANTED.items():
                prometheus.wait_for(query, wanted)
            expect(prometheus.value("pier_store_sync_seconds_count") >= 2, "no sync was measured")
            expect(prometheus.value('process_resident_memory_bytes{job="pier"}') > 1 << 20, "the process has no memory")
            expect(prometheus.value('process_open_fds{job="pier"}') > 5, "the process has no descriptors")
            groups = prometheus.ask("rules")["groups"]
            bad = [rule for group in groups for rule in group["rules"] if rule["health"] == "err"]
            expect(groups and not bad, f"rules that cannot be evaluated: {bad}")
            firing = [alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"] if alert["state"] == "firing"]
            expect(not firing, f"alerts on a healthy server: {firing}")
        check_page(server, url, programs / "promtool")
    print(f"{len(WANTED)} queries gave what the server did")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
