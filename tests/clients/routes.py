#!/usr/bin/env python3
"""Where mail goes that leaves Pier, and what its senders are told: a real server, a DNS of the test's own with signed zones (unbound), mail
servers and a web server that are this test's.

usage: routes.py --pier PROGRAM --unpacked FOLDER
"""
import argparse
import http.server
import poplib
import smtplib
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

from dns_server import DnsServer, Zone, tlsa_data
from pier_server import Failed, PierServer, free_ports
from smtp_sink import SmtpSink

DOMAIN = "pier.example"
SENDER = f"ada@{DOMAIN}"
PASSWORD = "correct horse battery"
SECONDS = 60


def make_certificate(folder, ca, names):
    """server.pem and server.key for those names, of the authority in `ca`."""
    folder.mkdir()
    key, request, certificate = folder / "server.key", folder / "request.pem", folder / "server.pem"
    extensions = folder / "extensions"
    extensions.write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names))
    for command in (["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={names[0]}"],
                    ["x509", "-req", "-in", request, "-CA", ca / "ca.pem", "-CAkey", ca / "ca.key", "-CAcreateserial", "-days", "3", "-extfile", extensions,
                     "-out", certificate]):
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
    return certificate, key


def make_authority(folder):
    folder.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "ca.key", "-out", folder / "ca.pem",
                    "-days", "3", "-subj", "/CN=an authority of the test"], check=True, capture_output=True)
    return folder


class PolicyServer:
    """Serves MTA-STS policies (RFC 8461 §3.3): by host name."""

    def __init__(self, certificate, key, policies):
        outer = self
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                host = self.headers["Host"].split(":")[0]
                outer.asked.append(host)
                policy = policies.get(host)
                if self.path != "/.well-known/mta-sts.txt" or policy is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(policy)))
                self.end_headers()
                self.wfile.write(policy.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def policy(mode, *hosts):
    return f"version: STSv1\r\nmode: {mode}\r\n" + "".join(f"mx: {host}\r\n" for host in hosts) + "max_age: 86400\r\n"


class Routes:
    def __init__(self, server, sink):
        self.server, self.sink = server, sink
        self.recipients = {}        # by subject

    def send(self, recipient, *others, options=()):
        """By an alias that leads there, and to others, with options of MAIL. Gives the subject."""
        number = len(self.recipients) + 1
        subject = f"message {number}"
        alias = f"to{number}@{DOMAIN}"
        self.recipients[subject] = recipient
        self.server.cli("alias", "add", alias, recipient, *others)
        with smtplib.SMTP("127.0.0.1", self.server.smtp_port, timeout=SECONDS) as smtp:
            if "REQUIRETLS" in options:     # which is there only inside TLS
                smtp.starttls()
            smtp.sendmail(SENDER, [alias], f"Subject: {subject}\r\nFrom: {SENDER}\r\n\r\nhello\r\n", options)
        return subject

    def wait(self, what, found):
        end = time.monotonic() + SECONDS
        while not (result := found()):
            if time.monotonic() > end:
                raise Failed(f"not in {SECONDS} s: {what}\n{self.server.cli('queue', 'list').decode()}")
            time.sleep(0.1)
        return result

    def arrived(self, subject):
        return next((m for m in self.sink.messages if f"Subject: {subject}\r\n".encode() in m.octets), None)

    def expect_arrival(self, subject, tls):
        self.wait(f"{subject} arrives", lambda: self.arrived(subject))
        if b"return-path:" in self.arrived(subject).octets.lower():
            raise Failed(f"{subject} went with a Return-Path, which is the last server's to write")
        lines = self.wait(f"{subject} is told as delivered", lambda: self.events("queue.delivered", subject))
        if tls not in lines[-1]:
            raise Failed(f"{subject} went, but not with {tls}: {lines[-1]}")

    def events(self, event, subject):
        wanted = f" recipient={self.recipients[subject]} "
        return [line for line in self.server.log.read_text().splitlines() if f"event={event} " in line and wanted in line]

    def bounce(self, subject):
        pop = poplib.POP3("127.0.0.1", self.server.pop3_port, timeout=SECONDS)
        pop.user("ada")
        pop.pass_(PASSWORD)
        texts = [b"\r\n".join(pop.retr(n)[1]).decode() for n in range(1, pop.stat()[0] + 1)]
        pop.quit()
        return next((text for text in texts if f"Subject: {subject}\r\n" in text), None)

    def expect_bounce(self, subject, status):
        text = self.wait(f"{subject} is returned", lambda: self.bounce(subject))
        if f"Status: {status}" not in text or "Content-Type: multipart/report" not in text.replace("\r\n ", " ").replace("\r\n\t", " "):
            raise Failed(f"{subject} was not returned with {status}:\n{text}")

    def expect_wait(self, recipient, code):
        """It is kept, and why."""
        self.wait(f"{recipient} waits with {code}", lambda: code.encode() in self.server.cli("queue", "list", "--recipient", recipient))


def check(routes):
    plain = routes.send("ada@plain.test")
    routes.expect_arrival(plain, "tls=")
    second = routes.send("ada@second.test")         # its best host does not answer
    routes.expect_arrival(second, "tls=")
    no_mx = routes.send("ada@mx.plain.test")        # a host without MX is its own
    routes.expect_arrival(no_mx, "tls=")
    signed = routes.send("ada@signed.test")
    routes.expect_arrival(signed, "dane")
    kept = routes.send("ada@plain.test", "grace")   # and for somebody here
    routes.expect_arrival(kept, "tls=")
    sts = routes.send("ada@sts.test")
    routes.expect_arrival(sts, "sts")
    anchored = routes.send("ada@anchored.test")     # DANE-TA: the authority's key, which stands in the chain
    routes.expect_arrival(anchored, "dane")
    print("delivered: by the best host, by the second one, without MX, with DANE (the server's key, an authority's key), with MTA-STS", flush=True)

    # RFC 8689: only where the host is vouched for, its certificate is right, and it promises the same.
    for recipient, tls in (("tls@sts.test", "sts"), ("tls@signed.test", "dane")):
        safe = routes.send(recipient, options=["REQUIRETLS"])
        routes.expect_arrival(safe, tls)
        if "REQUIRETLS" not in routes.arrived(safe).sender:
            raise Failed(f"the next server was not told of REQUIRETLS: {routes.arrived(safe).sender}")
    routes.expect_bounce(routes.send("tls@plain.test", options=["REQUIRETLS"]), "5.7.30")
    print("REQUIRETLS: passed on with DANE and with MTA-STS, returned where nobody vouches for the host", flush=True)

    routes.expect_bounce(routes.send("ada@null.test"), "5.1.10")
    routes.expect_bounce(routes.send("ada@nobody-has-this.test"), "5.1.2")
    routes.expect_bounce(routes.send("refused@plain.test"), "5.1.1")
    print("returned: no mail taken there (null MX), no such domain, no such user", flush=True)

    for recipient, code in (("ada@wrong-key.test", "4.7."), ("ada@wrong-anchor.test", "4.7."), ("ada@sts-other-host.test", "4.7."), ("ada@bogus.test", "4.4.3"), ("ada@down.test", "4.4.1")):
        subject = routes.send(recipient)
        routes.expect_wait(recipient, code)
        if routes.arrived(subject):
            raise Failed(f"mail for {recipient} was sent all the same")
    print("kept: a key and an authority that DANE does not name, a host that the policy does not name, signatures that are wrong, a host that is down", flush=True)

    try:
        with smtplib.SMTP("127.0.0.1", routes.server.smtp_port, timeout=SECONDS) as smtp:
            smtp.sendmail(SENDER, ["ada@plain.test"], "Subject: relay\r\n\r\n")
        raise Failed("mail for somebody elsewhere was taken from a stranger")
    except smtplib.SMTPRecipientsRefused:
        pass
    waiting = routes.server.cli("--json", "queue", "list")
    routes.server.stop()
    routes.server.start()
    if routes.server.cli("--json", "queue", "list").count(b'"id"') != waiting.count(b'"id"'):
        raise Failed("a restart has changed what is in the queue")
    print("a restart keeps what waits; nothing is relayed for strangers", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument("--unpacked", required=True, type=Path)
    options = parser.parse_args()
    with PierServer(options.pier) as server:
        authority = make_authority(server.folder / "authority")
        known = make_certificate(server.folder / "known", authority, ["mx.signed.test", "mx.sts.test", "mx.plain.test", "mx.anchored.test", "mx.wrong-anchor.test"])
        chain = server.folder / "chain.pem"
        chain.write_text(known[0].read_text() + (authority / "ca.pem").read_text())
        web = make_certificate(server.folder / "web", authority, ["mta-sts.sts.test", "mta-sts.sts-other-host.test"])
        other = make_certificate(server.folder / "other", authority, ["mx.wrong-key.test"])
        policies = {"mta-sts.sts.test": policy("enforce", "mx.sts.test"), "mta-sts.sts-other-host.test": policy("enforce", "elsewhere.example")}
        with SmtpSink(tls=(chain, known[1]), extensions=("REQUIRETLS",)) as sink, PolicyServer(*web, policies) as web_server:
            tlsa, wrong = tlsa_data(known[0].read_text()), tlsa_data(other[0].read_text())
            host = "@ MX 10 mx\nmx A 127.0.0.1\n"
            sts = host + "_mta-sts TXT \"v=STSv1; id=1;\"\nmta-sts A 127.0.0.1\n"
            zones = {
                "plain.test": Zone(host),
                "second.test": Zone("@ MX 10 first\n@ MX 20 mx\nfirst A 127.0.0.2\nmx A 127.0.0.1\n"),
                "signed.test": Zone(host + f"_{sink.port}._tcp.mx TLSA {tlsa}\n", signed=True),
                "wrong-key.test": Zone(host + f"_{sink.port}._tcp.mx TLSA {wrong}\n", signed=True),
                "anchored.test": Zone(host + f"_{sink.port}._tcp.mx TLSA {tlsa_data((authority / 'ca.pem').read_text(), usage=2)}\n", signed=True),
                "wrong-anchor.test": Zone(host + f"_{sink.port}._tcp.mx TLSA {tlsa_data(other[0].read_text(), usage=2)}\n", signed=True),
                "sts.test": Zone(sts), "sts-other-host.test": Zone(sts),
                "null.test": Zone("@ MX 0 .\n"),
                "bogus.test": Zone(host, bogus=True),
                "down.test": Zone("@ MX 10 mx\nmx A 127.0.0.3\n"),
            }
            sink.answer = lambda verb, argument, _: "550 5.1.1 nobody of that name" if verb == "RCPT" and "refused@" in argument else None
            with DnsServer(options.unpacked, server.folder / "dns", zones) as dns:
                server.config.write_text(server.config.read_text() + f"""
[queue]
dns_servers = ["{dns.address}"]
ca_file = "{authority}/ca.pem"
smtp_port = {sink.port}
https_port = {web_server.port}
retry_first = "1s"
retry_max = "2s"
""")
                server.cli("domain", "add", DOMAIN)
                server.add_account("ada", PASSWORD)
                server.add_account("grace", PASSWORD)
                server.start()
                check(Routes(server, sink))
                server.stop()


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
