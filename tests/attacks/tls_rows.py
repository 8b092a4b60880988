"""Rows 7 and 8: old TLS, weak ciphers, renegotiation, and a server that is asked for ten thousand names."""
import shutil
import socket
import ssl
import subprocess
import threading
import time

from client_hello import MODERN, OLD, SSL3, TLS10, TLS11, VERSION_NAMES, WEAK, answer_to, client_hello
from peer import Peer, tls_context
from table import NotRun, expect, row
from target import Memory

SNI_NAMES = 10_000
SNI_WARMING = 1000
SNI_GROWTH_MAX = 8 << 20
RENEGOTIATION_SECONDS = 20


@row(7, "SSL 3.0, TLS 1.0 and TLS 1.1", "refused")
def old_versions(target):
    for version in (SSL3, TLS10, TLS11):
        answer = answer_to(target.pop3s, client_hello(version, MODERN + OLD))
        expect(answer[0] in ("alert", "closed"), f"{VERSION_NAMES[version]}: {answer}")
    return "alert protocol_version" if answer == ("alert", 70) else str(answer)


@row(7, "RC4, 3DES, export keys, no encryption, no certificate; compression", "refused")
def weak_ciphers(target):
    for name, ciphers in WEAK.items():
        answer = answer_to(target.pop3s, client_hello(ciphers=ciphers))
        expect(answer[0] in ("alert", "closed"), f"{name}: {answer}")
    answer = answer_to(target.pop3s, client_hello(compressions=b"\1\0"))
    expect(answer[0] != "hello" or answer[3] == 0, f"compression was agreed on: {answer}")
    answer = answer_to(target.pop3s, client_hello())
    expect(answer[0] == "hello" and answer[2] in MODERN, f"a modern client is not served: {answer}")
    return f"{len(WEAK)} kinds refused; no compression; a modern client gets cipher 0x{answer[2]:04x}"


@row(7, "renegotiation asked for by the client", "refused")
def renegotiation(target):
    if not shutil.which("openssl"):
        raise NotRun("needs the program openssl")
    host, port = target.pop3s
    with subprocess.Popen(["openssl", "s_client", "-connect", f"{host}:{port}", "-tls1_2", "-crlf"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as client:
        watch = threading.Timer(RENEGOTIATION_SECONDS, client.kill)
        watch.start()
        seen = b""
        while b"+OK" not in seen and (line := client.stdout.readline()):
            seen += line
        # A line "R" of its own makes s_client renegotiate.
        client.stdin.write(b"R\n")
        client.stdin.flush()
        while b"RENEGOTIATING" not in seen and (line := client.stdout.readline()):
            seen += line
        time.sleep(0.5)
        try:
            client.stdin.write(b"CAPA\n")
            client.stdin.close()
        except OSError:
            pass
        after = client.stdout.read()
        watch.cancel()
    expect(b"RENEGOTIATING" in seen, f"s_client did not try: {seen[-200:]}")
    refused = b"no renegotiation" in after or b"handshake failure" in after or b"unexpected eof" in after
    expect(refused and b"+OK" not in after, f"it was carried out: {after[-200:]}")
    return "the client's library says: no renegotiation" if b"no renegotiation" in after else "the handshake fails, closed"


@row(8, f"{SNI_NAMES:,} distinct SNI names", "flat memory")
def many_names(target):
    def ask(number):
        with socket.create_connection(target.pop3s, timeout=20) as peer:
            peer.sendall(client_hello(name=f"host-{number}.{number * 7919 % 9973}.example"))
            return len(peer.recv(512))
    for number in range(SNI_WARMING):
        ask(number)
    memory = Memory(target, SNI_GROWTH_MAX)
    answered = sum(ask(SNI_WARMING + number) > 0 for number in range(SNI_NAMES))
    with Peer(target.pop3s, tls=tls_context(), name="whoever.example") as peer:
        expect(peer.greeting is not None and isinstance(peer.socket, ssl.SSLSocket), "no service afterwards")
    return f"{answered:,} answered; {memory.judge()}"
