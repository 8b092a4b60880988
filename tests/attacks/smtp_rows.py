"""Rows 1, 2, 6 and 30 to 34 over SMTP: on the port of the world (25) and on that of the users (587)."""
import base64
import time

from peer import Peer, shown
from table import expect, row
from target import DOMAIN, PASSWORD, Memory

# What other servers have taken for the end of a message, which only CR LF . CR LF is.
NOT_ENDS = [b"\n.\n", b"\r.\r", b"\r.\n", b"\n.\r", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\n\0.\r\n"]
RELAYS = [b"<out@outside.example>", f"<out%outside.example@{DOMAIN}>".encode(), f"<outside.example!out@{DOMAIN}>".encode(),
          f'<"out@outside.example"@{DOMAIN}>'.encode(), f"<@{DOMAIN}:out@outside.example>".encode(), b"<out@[192.0.2.1]>",
          f'<"out%outside.example"@{DOMAIN}>'.encode(), f"<out%outside.example@@{DOMAIN}>".encode(), b"<outside.example!out>",
          f"<out@outside.example@{DOMAIN}>".encode(), f"<@outside.example@{DOMAIN}>".encode(), b"<out@localhost>"]


def ports(target):
    return {"25": ("127.0.0.1", target.pier.smtp_port), "587": ("127.0.0.1", target.pier.submission_port)}


def reply(peer, command=None):
    """The last line of the answer to it."""
    if command is not None:
        peer.send(command + b"\r\n")
    line = peer.line()
    while line is not None and line[3:4] == b"-":
        line = peer.line()
    return line or b""


def extensions(peer):
    peer.send(b"EHLO attacker.example\r\n")
    lines = [peer.line() or b""]
    while lines[-1][3:4] == b"-":
        lines.append(peer.line() or b"")
    return lines


def plain(user="ada", password=PASSWORD):
    return b"AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode())


def submitter(target):
    """Logged in, over TLS."""
    peer = Peer(("127.0.0.1", target.pier.submission_port))
    extensions(peer)
    expect(reply(peer, b"STARTTLS").startswith(b"220"), "STARTTLS was refused")
    peer.start_tls()
    extensions(peer)
    answer = reply(peer, plain())
    expect(answer.startswith(b"235"), f"the right password was refused: {shown(answer)}")
    return peer


def to_data(peer, sender=f"<ada@{DOMAIN}>".encode()):
    for command in (b"MAIL FROM:" + sender, f"RCPT TO:<ada@{DOMAIN}>".encode(), b"DATA"):
        answer = reply(peer, command)
        expect(answer[:1] in b"23", f"{shown(command)}: {shown(answer)}")


@row(1, "commands behind STARTTLS in one segment", "refused and closed; never answered inside TLS", needs_pier=True)
def command_behind_starttls(target):
    for port, address in ports(target).items():
        with Peer(address) as peer:
            extensions(peer)
            peer.send(b"STARTTLS\r\nEHLO injected.example\r\nMAIL FROM:<x@injected.example>\r\n")
            answer = reply(peer)
            octets, ended = peer.rest(10)
            expect(answer.startswith(b"503") and ended and not octets, f"port {port}: {shown(answer)}, then {octets!r}, ended: {ended}")
    return f"{shown(answer)}"


@row(2, "half a command behind STARTTLS", "the half never joins what comes inside TLS", needs_pier=True)
def half_a_command_behind_starttls(target):
    for port, address in ports(target).items():
        with Peer(address) as peer:
            extensions(peer)
            peer.send(b"STARTTLS\r\nMAI")
            answer = reply(peer)
            octets, ended = peer.rest(10)
            expect(answer.startswith(b"503") and ended and not octets, f"port {port}: {shown(answer)}, then {octets!r}, ended: {ended}")
    return f"{shown(answer)}"


@row(6, "AUTH without TLS, on 25 and 587", "not offered; refused before the password is read", needs_pier=True)
def auth_without_tls(target):
    seen = []
    for port, address in ports(target).items():
        with Peer(address) as peer:
            offered = extensions(peer)
            expect(not any(b"AUTH" in line for line in offered), f"port {port} offers AUTH without TLS: {offered}")
            for command in (plain(), b"AUTH LOGIN", b"AUTH SCRAM-SHA-256"):
                answer = reply(peer, command)
                expect(answer[:3] in (b"500", b"538"), f"port {port}, {shown(command)}: {shown(answer)}")
            seen.append(f"{port}: {shown(answer)}")
    with Peer(("127.0.0.1", target.pier.smtp_port)) as peer:
        extensions(peer)
        reply(peer, b"STARTTLS")
        peer.start_tls()
        expect(not any(b"AUTH" in line for line in extensions(peer)), "port 25 offers AUTH")
    return "; ".join(seen)


@row(30, "what is not CRLF . CRLF within a message", "does not end it; a bare CR or LF is refused", needs_pier=True)
def smuggling(target):
    for port in ("25", "587"):
        for end in NOT_ENDS:
            with (submitter(target) if port == "587" else Peer(ports(target)[port])) as peer:
                if port == "25":
                    extensions(peer)
                to_data(peer)
                peer.send(f"From: ada@{DOMAIN}\r\n\r\nHi".encode() + end + b"MAIL FROM:<smuggled@outside.example>\r\n")
                octets, _ = peer.rest(0.3)
                expect(not octets, f"port {port}: {end!r} was answered: {octets[:80]!r}")
                peer.socket.settimeout(20)
                answer = reply(peer, b"\r\n.")
                safe = answer.startswith(b"554") or (b"\0" in end and answer.startswith(b"250"))
                expect(safe, f"port {port}: a message with {end!r}: {shown(answer)}")
                answer = reply(peer, b"NOOP")
                expect(answer.startswith(b"250"), f"port {port}: behind it NOOP gets {shown(answer)}")
    return f"{len(NOT_ENDS)} sequences on each port end nothing; those with a bare CR or LF get 554"


@row(32, "relaying: %, !, quoted, routes, literals", "550; nothing leaves without a login", needs_pier=True)
def relays(target):
    with Peer(("127.0.0.1", target.pier.smtp_port)) as peer:
        extensions(peer)
        for sender in (b"<>", b"<x@outside.example>", f"<ada@{DOMAIN}>".encode()):
            expect(reply(peer, b"MAIL FROM:" + sender).startswith(b"250"), f"MAIL FROM:{shown(sender)} was refused")
            for relay in RELAYS:
                answer = reply(peer, b"RCPT TO:" + relay)
                expect(answer[:3] in (b"550", b"501", b"553", b"421"), f"RCPT TO:{shown(relay)}: {shown(answer)}")
                if answer.startswith(b"421"):
                    break
            reply(peer, b"RSET")
            if answer.startswith(b"421"):
                break
    with Peer(("127.0.0.1", target.pier.submission_port)) as peer:
        extensions(peer)
        for command in (b"MAIL FROM:<>", f"MAIL FROM:<ada@{DOMAIN}>".encode(), b"RCPT TO:<out@outside.example>", b"DATA"):
            answer = reply(peer, command)
            expect(answer[:3] in (b"530", b"503"), f"port 587, {shown(command)}: {shown(answer)}")
    with submitter(target) as peer:
        answer = reply(peer, f"MAIL FROM:<grace@{DOMAIN}>".encode())
        expect(answer.startswith(b"550"), f"ada sends as grace: {shown(answer)}")
        to_data(peer)
        answer = reply(peer, f"From: grace@{DOMAIN}\r\n\r\nHi\r\n.".encode())
        expect(answer.startswith(b"550"), f"ada's message from grace: {shown(answer)}")
    return f"{len(RELAYS)} forms: 550; without a login 530; as another: {shown(answer)}"


@row(33, "VRFY, EXPN", "252 for every name; 502", needs_pier=True)
def harvesting(target):
    for address in ports(target).values():
        with Peer(address) as peer:
            extensions(peer)
            answers = {reply(peer, b"VRFY " + name) for name in (b"ada", b"nobody", f"ada@{DOMAIN}".encode())}
            expect(len(answers) == 1 and min(answers).startswith(b"252"), f"VRFY tells names apart: {answers}")
            answer = reply(peer, b"EXPN ada")
            expect(answer.startswith(b"502"), f"EXPN: {shown(answer)}")
    return f"{shown(min(answers))}; {shown(answer)}"


@row(34, "10,000 fields or addresses, a header of 10 MB", "bounded, in a moment", needs_pier=True)
def much_header(target):
    memory = Memory(target, 64 << 20)
    own = f"From: ada@{DOMAIN}\r\n".encode()
    tries = {
        "10,000 fields": own + b"X-A: b\r\n" * 10_000,
        "10,000 addresses in From": b"From: " + b",\r\n ".join([f"ada@{DOMAIN}".encode()] * 10_000) + b"\r\n",
        "10 MB in one field": own + b"X-A: " + (b"x" * 900 + b"\r\n ") * 11_000 + b"x\r\n",
        "10 MB in From": b"From: " + (b"(x" * 400 + b"\r\n ") * 12_500 + b"x\r\n",
        "comments, 20,000 deep": b"From: " + b"(" * 20_000 + f"ada@{DOMAIN}\r\n".encode(),
    }
    slowest = 0
    with submitter(target) as peer:
        for name, header in tries.items():
            to_data(peer)
            began = time.monotonic()
            peer.send(header + b"\r\nHi\r\n")
            answer = reply(peer, b".")
            slowest = max(slowest, time.monotonic() - began)
            expect(answer.startswith(b"554"), f"{name}: {shown(answer)}")
            memory.look()
    expect(slowest < 10, f"one of them took {slowest:.1f} s")
    return f"554 for each, at most {1000 * slowest:.0f} ms with the octets' way; {memory.judge()}"
