"""The attacker's end of a connection: sends what no client would, and says what comes back, how late, and how it ends.

    peer = Peer(("127.0.0.1", 110))         # source="127.0.0.2": from another address of this machine
    peer.greeting; peer.ask("USER x")       # the line that answers
    peer.start_tls(); peer.ask("CAPA"); peer.rest()

Lines are bytes without their line end; None is the end of the connection, however it came.
"""
import base64
import hashlib
import hmac
import os
import socket
import ssl
import time

SECONDS = 20        # for one answer; a server may answer failed logins late


class Silent(Exception):
    """Nothing came within the time."""


def tls_context(*alpn):
    """No certificate is checked: attackers do not mind."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class Peer:
    def __init__(self, address, tls=None, source=None, seconds=SECONDS, greeting=True, name="localhost"):
        """`tls`: a context, for TLS from the first octet. Fails with OSError when there is no connection, or no handshake."""
        self.socket = socket.create_connection(address, timeout=seconds, source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        try:
            if tls:
                self.start_tls(tls, name)
            self.greeting = self.line() if greeting else None
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def start_tls(self, context=None, name="localhost"):
        self.socket = (context or tls_context()).wrap_socket(self.socket, server_hostname=name)

    def send(self, octets):
        """False: the peer is gone."""
        try:
            self.socket.sendall(octets)
        except OSError:
            return False
        return True

    def receive(self):
        """Some octets; b"" at the end, also at a reset."""
        try:
            return self.socket.recv(1 << 18)
        except TimeoutError:
            raise Silent(f"no answer within {self.socket.gettimeout():.0f} s")
        except OSError:
            return b""

    def line(self):
        while (end := self.buffer.find(b"\n")) < 0:
            block = self.receive()
            if not block:
                return None
            self.buffer += block
        line, self.buffer = self.buffer[:end], self.buffer[end + 1:]
        return line.rstrip(b"\r")

    def ask(self, command):
        """`command`: a text or octets, without its line end. Gives the first line of the answer."""
        self.send((command.encode() if isinstance(command, str) else command) + b"\r\n")
        return self.line()

    def multiline(self):
        """What follows a +OK up to the line of one dot, un-stuffed, each line with its CRLF; None if the connection ends in it."""
        octets = bytearray(b"\r\n" + self.buffer)
        searched = 0
        while (end := octets.find(b"\r\n.\r\n", searched)) < 0:
            searched = max(0, len(octets) - 4)
            block = self.receive()
            if not block:
                return None
            octets += block
        self.buffer = bytes(octets[end + 5:])
        return bytes(octets[:end + 2]).replace(b"\r\n.", b"\r\n")[2:]

    def ask_many(self, command):
        """A command with an answer of many lines: those lines, or None if it was refused."""
        first = self.ask(command)
        if first is None or not first.startswith(b"+OK"):
            return None
        return self.multiline()

    def rest(self, seconds):
        """(octets, ended): all that comes within `seconds`, and whether the connection ended in that time."""
        octets, self.buffer = self.buffer, b""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                block = self.receive()
            except Silent:
                break
            if not block:
                return octets, True
            octets += block
        return octets, False

    def log_in(self, user, password):
        """By USER and PASS: the line that answers."""
        self.ask(f"USER {user}")
        return self.ask(f"PASS {password}")

    def log_in_plain(self, user, password):
        """By AUTH PLAIN: the line that answers."""
        return self.ask(b"AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()))


def ok(line):
    return line is not None and line.startswith(b"+OK")


def err(line):
    return line is not None and line.startswith(b"-ERR")


def shown(line):
    """A line as a person may see it."""
    if line is None:
        return "(connection closed)"
    text = line.decode("ascii", errors="backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)[:70]


class Scram:
    """A client of SCRAM-SHA-256 (RFC 5802, RFC 7677) whose messages can be bent."""

    def __init__(self, user, password, header=b"n,,", binding=None):
        """`header`: the GS2 header; `binding`: the header that the proof claims, if another."""
        self.password = password.encode()
        self.header, self.binding = header, header if binding is None else binding
        self.bare = b"n=" + user.encode().replace(b"=", b"=3D").replace(b",", b"=2C") + b",r=" + base64.b64encode(os.urandom(18))

    def first(self):
        return b"AUTH SCRAM-SHA-256 " + base64.b64encode(self.header + self.bare)

    def final(self, challenge_line):
        """`challenge_line`: "+ base64" of the server. Gives the line that answers it."""
        challenge = base64.b64decode(challenge_line[2:])
        parts = dict(part.split(b"=", 1) for part in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(parts[b"s"]), int(parts[b"i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = b"c=" + base64.b64encode(self.binding) + b",r=" + parts[b"r"]
        signed = self.bare + b"," + challenge + b"," + without_proof
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        return base64.b64encode(without_proof + b",p=" + base64.b64encode(proof))

    def log_in(self, peer):
        """The line that ends the exchange."""
        challenge = peer.ask(self.first())
        if challenge is None or not challenge.startswith(b"+ "):
            return challenge
        answer = peer.ask(self.final(challenge))
        return peer.ask("") if answer is not None and answer.startswith(b"+ ") else answer
