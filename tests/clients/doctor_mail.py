"""Mail that does not arrive: names, recipients, the filter, the queue, the store; and the DNS of it all."""
import json
import smtplib
import subprocess
import sys
import time

from dns_server import DnsServer, Zone
from doctor_case import PASSWORD, Doctor, change_config, running
from pier_server import Failed, make_certificates
from smtp_sink import SmtpSink

DOMAIN, HOST = "pier.example", "mail.pier.example"
SECONDS = 60


def send(server, recipient, sender=f"ada@{DOMAIN}", check=True):
    with smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=SECONDS) as smtp:
        smtp.ehlo("client.example")
        try:
            smtp.sendmail(sender, [recipient], f"Subject: hello\r\nFrom: {sender}\r\n\r\nhello\r\n")
        except smtplib.SMTPException:
            if check:
                raise


def wait_for(server, what, found):
    end = time.monotonic() + SECONDS
    while not found():
        if time.monotonic() > end:
            raise Failed(f"not in {SECONDS} s: {what}\n{server.log_tail()}")
        time.sleep(0.1)


def zone_of(server, *left_out, **changed):
    """What `pier domain records` says, as a zone; without the records whose lines have one of `left_out` in them."""
    text = server.cli("domain", "records", DOMAIN).decode()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(";") and not any(word in line for word in left_out)]
    for old, new in changed.get("replace", ()):
        lines = [line.replace(old, new) for line in lines]
    absolute = [f"{line.split(' ', 1)[0]} {line.split(' ', 1)[1]}" for line in lines]
    return "\n".join(absolute + [f"{HOST}. 60 IN A 127.0.0.1" if not any("ADDRESS" == word for word in left_out) else ""])


def with_dns(unpacked):
    """A server for mail.pier.example whose DNS is the test's own, right in everything at first."""
    def run(pier, tests):
        with running(pier) as server:
            server.stop()
            subprocess.run(["rm", "-r", server.folder / "tls"], check=True)
            make_certificates_for(server, HOST)
            server.cli("domain", "dkim", DOMAIN)
            change_config(server, ('hostname = "localhost"', f'hostname = "{HOST}"'))
            with DnsServer(unpacked, server.folder / "dns", {DOMAIN: Zone(zone_of(server))}) as dns:
                change_config(server, append=f'[queue]\ndns_servers = ["{dns.address}"]\n')
                server.start()
                tests(server, dns)
    return run


def make_certificates_for(server, name):
    from pier_server import TOP
    subprocess.run([TOP / "packaging/demo/make-certificates", server.folder / "tls", name, "127.0.0.1"], check=True)


def names(pier, unpacked):
    def tests(server, dns):
        doctor = Doctor(server)
        ask = ("not-arriving",)
        doctor.expect_nothing("everything, on a server that is well", "--ca-file", server.ca)
        doctor.expect_nothing("an address whose mail arrives", *ask, f"ada@{DOMAIN}")

        def expect(what, code, zone, beside=()):
            dns.replace({DOMAIN: Zone(zone)})
            doctor.expect(what, code, *ask, beside=beside)

        expect("a domain without MX", "domain_no_mx", zone_of(server, " MX "))
        expect("a domain whose MX is another", "domain_mx_elsewhere",
               zone_of(server, " MX ") + f"\n{DOMAIN}. 60 IN MX 10 other.example.")
        expect("a domain without SPF", "domain_no_spf", zone_of(server, "v=spf1 mx"))
        expect("a domain without its DKIM key", "domain_no_dkim", zone_of(server, "_domainkey"))
        expect("a DKIM key that is another", "domain_dkim_differs", zone_of(server, replace=[("v=DKIM1; k=rsa; p=MII", "v=DKIM1; k=rsa; p=MIJ")]))
        expect("a host without an address", "host_no_address", zone_of(server, "ADDRESS", f"{HOST}. 3600 IN A"))
        dns.stop()
        doctor.expect("a DNS server that does not answer", "dns_unanswered", *ask)
        dns.start()

    with_dns(unpacked)(pier, tests)


def recipients(pier, unpacked):
    def tests(server, dns):
        doctor = Doctor(server)
        doctor.expect("a domain of somebody else", "domain_not_served", "not-arriving", "ada@elsewhere.example")
        doctor.expect("nobody's address", "recipient_unknown", "not-arriving", f"nobody@{DOMAIN}")
        server.cli("alias", "add", f"old@{DOMAIN}", "ada")
        doctor.expect_nothing("an alias", "not-arriving", f"old@{DOMAIN}")
        send(server, f"ada@{DOMAIN}")
        server.cli("account", "change", "ada", "--quota", "100")
        doctor.expect("a full mailbox", "account_full", "not-arriving", f"ada@{DOMAIN}")
        doctor.expect("the same, by the account", "account_full", "authentication", "ada")
        server.cli("account", "change", "ada", "--quota", "none")
        # Of the message on the disk one octet changes.
        for segment in (server.folder / "data").rglob("*"):
            octets = segment.read_bytes() if segment.is_file() else b""
            if (at := octets.find(b"\r\n\r\nhello\r\n")) >= 0:
                with open(segment, "r+b") as file:
                    file.seek(at + 5)
                    file.write(b"X")
        doctor.expect("a damaged message", "store_damaged", "not-arriving", f"ada@{DOMAIN}")

    with_dns(unpacked)(pier, tests)
    with running(pier, accounts=(), domain="", settings="[queue]\nenabled = false\n") as server:
        Doctor(server).expect("a server without a domain", "no_domain", "not-arriving")


def queue(pier, unpacked):
    def tests(server, dns):
        doctor = Doctor(server)
        with SmtpSink() as sink:
            sink.answer = lambda verb, *_: "451 4.3.0 not now" if verb == "RCPT" else None
            server.stop()
            change_config(server, ("[queue]\n", f"[queue]\nsmtp_port = {sink.port}\n"))
            dns.replace({DOMAIN: Zone(zone_of(server)), "far.example": Zone("@ MX 10 mx\nmx A 127.0.0.1")})
            server.start()
            server.cli("alias", "add", f"far@{DOMAIN}", "bob@far.example")
            send(server, f"far@{DOMAIN}")

            def waiting():
                return json.loads(server.cli("queue", "list", "--json"))["messages"]

            wait_for(server, "the first try", lambda: any(one["reply"] for one in waiting()))
            answer = doctor.expect("a destination that refuses", "queue_stuck", "not-arriving")
            if "451 4.3.0 not now" not in json.dumps(answer):
                raise Failed(f"what the destination has said is not told: {answer}")
            server.cli("queue", "hold", waiting()[0]["id"])
            doctor.expect("a message that is held", "queue_held", "not-arriving")
            server.cli("queue", "drop", waiting()[0]["id"])
            doctor.expect_nothing("the queue is empty", "not-arriving")
        secret = server.folder / "smarthost"
        secret.write_text("wrong\n")
        secret.chmod(0o600)
        with SmtpSink(extensions=["AUTH PLAIN"], tls=(server.folder / "tls/server.pem", server.folder / "tls/server.key")) as sink:
            sink.answer = lambda verb, *_: "535 5.7.8 wrong password" if verb == "AUTH" else None
            server.stop()
            change_config(server, ("[queue]\n", f'[queue]\nsmarthost = "{HOST}:{sink.port}"\nsmarthost_user = "pier"\nsmarthost_password_file = "{secret}"\n'
                                                f'ca_file = "{server.ca}"\n'))
            server.start()
            send(server, f"far@{DOMAIN}")
            wait_for(server, "the try at the smarthost", lambda: any(one["reply"] for one in waiting()))
            doctor.expect("a smarthost that does not take the login", "smarthost_login_refused", "not-arriving", beside={"log_errors"})

    with_dns(unpacked)(pier, tests)


def filters(pier, unpacked):
    def tests(server, dns):
        server.stop()
        change_config(server, append='[filter]\nrspamd = "127.0.0.1:1"\n')
        server.start()
        Doctor(server).expect("a filter that is down", "filter_down", "not-arriving")

    with_dns(unpacked)(pier, tests)


PARTS = {"names": names, "recipients": recipients, "queue": queue, "filters": filters}
