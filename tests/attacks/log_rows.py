"""Rows 26 and 28: what a client says about itself, and what the log makes of it."""
import base64
import re
import socket

from peer import Peer, Scram, err, shown
from table import expect, row

CLAIMED = "203.0.113.77"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + socket.inet_aton(CLAIMED) + socket.inet_aton("198.51.100.1") + b"\x30\x39\x00\x6e"


@row(26, "a PROXY header from whoever connects (v1 and v2)", "never taken for an address; no command, no ClientHello")
def proxy_header(target):
    before = len(target.log_text()) if target.pier else 0
    v1 = f"PROXY TCP4 {CLAIMED} 198.51.100.1 12345 110\r\n".encode()
    with target.clear() as peer:
        peer.send(v1)
        answer = peer.line()
        expect(err(answer) or answer is None, f"v1: {shown(answer)}")
        peer.send(f"USER {CLAIMED}\r\nQUIT\r\n".encode())
    with target.clear() as peer:
        peer.send(V2)
        octets, _ = peer.rest(1)
        expect(octets.startswith(b"-ERR") or not octets, f"v2: {shown(octets)}")
    for header in (v1, V2):
        with Peer(target.pop3s, greeting=False) as peer:
            peer.send(header + b"CAPA\r\n")
            octets, ended = peer.rest(10)
            expect(ended and b"+OK" not in octets, f"on the TLS port: {shown(octets)}")
    if not target.pier:
        return f"{shown(answer)}; TLS port: closed (the log is not seen)"
    with target.clear() as peer:
        peer.send(v1)
        peer.line()
    expect(target.await_log(b"event=pop3.end", before), "no line in the log")
    peers = set(re.findall(rb"\b(?:peer|address)=(\S+)", target.log_text()[before:]))
    expect(not any(CLAIMED.encode() in p for p in peers), f"the log believes it: {peers}")
    return f"{shown(answer)}; TLS port: closed; the log names the real address"


USUAL_LINE = rb"time=\d{4}-\d\d-\d\dT[0-9:.]+Z level=(debug|info|warning|error) event=[a-z0-9_.]+( |$)"
FORGED = "x\r\ntime=2030-01-01T00:00:00Z level=info event=pop3.login user=root peer=6.6.6.6:6"
FIELDS = (FORGED, "x\nlevel=error event=store.failed", 'x" level=error event="y', "x user=root peer=6.6.6.6:6",
          "x\x1b[2J\x1b]0;owned\x07", "x\x9b2J", "x\u2028y", "x\x00y", "x\\n", "%s%n{}{0}")


@row(28, "CR, LF, quotes and escapes in what is logged", "escaped: one line an event, none forged", needs_pier=True)
def log_injection(target):
    before = len(target.log_text())
    for number, field in enumerate(FIELDS):
        raw = field.encode("utf-8")
        with target.tls() as peer:
            peer.ask(b"AUTH PLAIN " + base64.b64encode(b"\0" + raw + b"\0wrong"))
        with target.tls() as peer:
            peer.ask(b"USER " + raw.split(b"\r")[0].split(b"\n")[0])
            peer.ask("PASS wrong")
        with target.tls() as peer:
            Scram(field, "wrong").log_in(peer)
        with Peer(("127.0.0.1", target.lmtp)) as peer:
            peer.ask(b"LHLO " + raw)
            peer.ask(b"MAIL FROM:<" + raw + b"@example.net>")
            peer.ask(b"RCPT TO:<" + raw + b"@attacks.example>")
        with target.tls() as peer:
            peer.ask(f"USER end-of-{number}")
            peer.ask("PASS wrong")
        expect(target.await_log(b"end-of-%d" % number, before), "the log is behind")
    new = target.log_text()[before:]
    lines = new.split(b"\n")[:-1]
    expect(lines, "nothing was logged")
    for line in lines:
        expect(re.match(USUAL_LINE, line), f"a line of another form: {line!r}")
        expect(not re.search(rb"[\x00-\x1f\x7f]|\xc2[\x80-\x9f]", line), f"a control character: {line!r}")
        expect(b"time=2030" not in line.split(b'"')[0], f"a forged line: {line!r}")
        outside = re.sub(rb'"(?:[^"\\]|\\.)*"', b'""', line)
        expect(outside.count(b"event=") == 1 and b"peer=6.6.6.6" not in outside and b"user=root" not in outside, f"a forged field: {line!r}")
    return f"{len(FIELDS)} fields in names, LHLO, MAIL, RCPT: {len(lines)} lines, each of the usual form"


@row(28, "passwords in the log, at its highest level", "never", needs_pier=True)
def secrets_in_log(target):
    server = target.server
    right, wrong = "hunter2-right-Xyzzy", "hunter2-wrong-Plugh"
    server.add_account("lou", right)
    secrets = []
    for password in (right, wrong):
        with target.tls() as peer:
            peer.log_in("lou", password)
        with target.tls() as peer:
            peer.ask(f"PASS {password}")
        with target.tls() as peer:
            peer.ask(f"PASSS {password}")
        with target.clear() as peer:
            peer.ask("USER lou")
            peer.ask(f"PASS {password}")
        plain = base64.b64encode(f"\0lou\0{password}".encode())
        for command in (b"AUTH PLAIN " + plain, b"AUTH PLAIN\r\n" + plain,
                        b"AUTH LOGIN\r\n" + base64.b64encode(b"lou") + b"\r\n" + base64.b64encode(password.encode()), b"AUTH PLAIN " + plain[:-3] + b"!", plain):
            with target.tls() as peer:
                peer.send(command + b"\r\nQUIT\r\n")
                peer.rest(0.3)
        with target.tls() as peer:
            scram = Scram("lou", password)
            challenge = peer.ask(scram.first())
            final = scram.final(challenge)
            peer.ask(final)
        secrets += [password.encode(), plain, base64.b64encode(password.encode()), final]
    with target.tls() as peer:
        peer.log_in("end-of-secrets", "x")
    expect(target.await_log(b"end-of-secrets"), "the log is behind")
    log = target.log_text() + server.cli("log", "tail")
    for secret in secrets:
        for piece in (secret, secret[4:-4]):
            expect(piece not in log, f"{piece!r} is in the log")
    server.cli("account", "remove", "lou", "--yes")
    return f"{len(secrets)} secrets in every form: none in {len(log.splitlines())} lines"
