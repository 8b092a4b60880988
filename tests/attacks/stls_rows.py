"""Rows 1 to 6: what is said before TLS, and who may say a password there."""
import base64
import ssl

from peer import Peer, Silent, err, ok, shown, tls_context
from table import Unsafe, expect, row

CLOSE_SECONDS = 10
BAD_COMMANDS_MAX = 30


def behind_stls(target, segment, inside):
    """Sends `segment`, which begins with STLS, in one write; does the handshake if the server wants one, says `inside` and gives what
    comes back there; or a text about how the server ended it before that."""
    with target.clear() as peer:
        peer.send(segment)
        answer = peer.line()
        if not ok(answer):
            octets, ended = peer.rest(CLOSE_SECONDS)
            expect(ended and not octets, f"STLS: {shown(answer)}, then {octets!r} and the connection stays open")
            return f"{shown(answer)}, closed"
        try:
            peer.start_tls()
        except (ssl.SSLError, OSError, Silent):
            return "+OK, then the handshake fails on the octets behind STLS"
        peer.send(inside)
        octets, _ = peer.rest(1.5)
        return octets


@row(1, "STLS and CAPA in one segment", "refused and closed, or forgotten; never answered inside TLS")
def command_behind_stls(target):
    seen = behind_stls(target, b"STLS\r\nCAPA\r\n", b"")
    if isinstance(seen, str):
        return seen
    expect(not seen, f"inside TLS came an answer to what was sent before it: {shown(seen)}")
    return "+OK; the octets behind STLS are forgotten"


@row(2, "half a command before TLS, the rest inside", "the half never joins what comes inside TLS")
def half_a_command_behind_stls(target):
    seen = behind_stls(target, b"STLS\r\nUSER ev", b"il\r\n")
    if isinstance(seen, str):
        return seen
    expect(not seen.startswith(b"+OK"), f"the halves were joined: {shown(seen)}")
    return f"+OK; the rest alone: {shown(seen)}"


@row(3, "USER before TLS, PASS inside", "USER is forgotten; PASS gets -ERR")
def user_before_stls(target):
    ports = [target.pop3] + ([target.loopback_pop3] if target.pier else [])
    seen = []
    for port in ports:
        with Peer(port) as peer:
            seen.append(f"USER {shown(peer.ask(f'USER {target.user}'))[:4].strip()}")
            expect(ok(peer.ask("STLS")), "STLS was refused")
            peer.start_tls()
            answer = peer.ask(f"PASS {target.password}")
            expect(err(answer), f"PASS inside TLS, with the right password: {shown(answer)}")
            seen.append(f"PASS inside: {shown(answer)}")
    return "; ".join(seen)


@row(4, "STLS within TLS, and after login", "-ERR")
def stls_again(target):
    with target.clear() as peer:
        expect(ok(peer.ask("STLS")), "STLS was refused")
        peer.start_tls()
        answers = [peer.ask("STLS")]
    with target.tls() as peer:
        answers.append(peer.ask("STLS"))
    with target.session() as peer:
        answers.append(peer.ask("STLS"))
        expect(ok(peer.ask("NOOP")), "the session is broken after STLS was refused")
    expect(all(map(err, answers)), f"answers: {', '.join(map(shown, answers))}")
    return f"{shown(answers[0])}; the session goes on"


def closes_without_echo(peer, secret, what):
    """Unsafe unless the connection ends within CLOSE_SECONDS and nothing of `secret` comes back."""
    octets, ended = peer.rest(CLOSE_SECONDS)
    expect(secret not in octets, f"{what}: what was sent comes back: {shown(octets)}")
    expect(ended, f"{what}: still open after {CLOSE_SECONDS} s")


@row(5, "clear text instead of a ClientHello", "closed within 10 s, nothing comes back")
def clear_text_to_tls(target):
    for octets in (b"CAPA echo-me\r\n", b"GET /echo-me HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\xff\xffecho-me",
                   b"\x80\x2e\x01\x00\x02echo-me" * 4):
        with Peer(target.pop3s, greeting=False) as peer:
            peer.send(octets)
            closes_without_echo(peer, b"echo-me", shown(octets))
    return "4 kinds of nonsense: closed"


@row(5, "HTTP to the POP3 port", "closed after a few bad commands, nothing comes back")
def http_to_pop3(target):
    with target.clear() as peer:
        peer.send(b"POST /echo-me HTTP/1.1\r\nHost: localhost\r\n" + b"X-Echo: echo-me\r\n" * BAD_COMMANDS_MAX + b"\r\nUSER echo-me\r\n")
        closes_without_echo(peer, b"echo-me", "HTTP")
    with target.tls() as peer:
        commands = 0
        while peer.ask("ECHO-ME") is not None:
            commands += 1
            expect(commands < BAD_COMMANDS_MAX, f"{commands} bad commands inside TLS and still open")
    return f"closed; inside TLS after {commands} bad commands"


@row(5, "TLS for another protocol (ALPN)", "the handshake is refused (RFC 7301 §3.2)")
def wrong_alpn(target):
    for name in ("http/1.1", "imap", "h2"):
        try:
            with Peer(target.pop3s, tls=tls_context(name)) as peer:
                raise Unsafe(f"a client of {name!r} gets in: {shown(peer.greeting)}")
        except (ssl.SSLError, OSError):
            pass
    with Peer(target.pop3s, tls=tls_context("imap", "pop3")) as peer:
        expect(peer.socket.selected_alpn_protocol() == "pop3", "pop3 beside others is not chosen")
    return "http/1.1, imap, h2: refused; pop3: chosen"


@row(6, "a password without TLS", "refused before the password is read; not offered")
def password_without_tls(target):
    secret = base64.b64encode(f"\0{target.user}\0{target.password}".encode())
    commands = {"USER": f"USER {target.user}", "PASS": f"PASS {target.password}", "AUTH PLAIN": "AUTH PLAIN", "AUTH PLAIN with the password": b"AUTH PLAIN " + secret,
                "AUTH LOGIN": "AUTH LOGIN"}
    answers = {}
    with target.clear() as peer:
        capabilities = (peer.ask_many("CAPA") or b"").splitlines()
        for name, command in commands.items():
            answers[name] = peer.ask(command)
            expect(err(answers[name]), f"{name}: {shown(answers[name])}")
    offered = [line.decode() for line in capabilities if line.split()[:1] in ([b"USER"], [b"SASL"])]
    plain = [line for line in offered if line == "USER" or "PLAIN" in line or "LOGIN" in line]
    expect(not plain, f"CAPA offers {', '.join(plain)}")
    return f"{', '.join(answers)}: {shown(answers['PASS'])}"


