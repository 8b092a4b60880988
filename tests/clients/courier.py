"""Debian's Courier as the server that mail is moved from: courierpop3d and imapd, unpacked and never installed. They expect somebody in
front of them who has checked the password (Courier's couriertcpd and authdaemond); here that is this file, which then hands them the
connection. One account, loopback, no TLS."""
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from pier_server import Failed, free_ports

PACKAGES = ["courier-pop", "courier-imap", "courier-base", "courier-authlib", "libcourier-unicode4", "libgamin0"]
SECONDS = 60


class Courier:
    def __init__(self, unpacked, user, password):
        roots = [unpacked / package for package in PACKAGES]
        for root in roots:
            if not root.exists():
                raise Failed(f"{root} is not there (packaging/install-deps.sh unpack)")
        self.pop3d = self.find(roots, "usr/lib/courier/courier/courierpop3d")
        self.imapd = self.find(roots, "usr/bin/imapd")
        self.libraries = ":".join(str(root / folder) for root in roots
                                  for folder in ("usr/lib", "usr/lib/x86_64-linux-gnu", "usr/lib/courier-authlib"))
        self.user, self.password = user, password
        self.folder = Path(tempfile.mkdtemp(prefix="pier-courier-"))
        self.maildir = self.folder / "Maildir"
        for part in ("cur", "new", "tmp"):
            (self.maildir / part).mkdir(parents=True)
        self.pop3_port, self.imap_port = free_ports(2)
        self.delivered = 0

    @staticmethod
    def find(roots, name):
        for root in roots:
            if (root / name).exists():
                return root / name
        raise Failed(f"no {name} among Courier's packages")

    def deliver(self, *messages):
        """As maildrop would: a file in tmp, then in new."""
        for octets in messages:
            self.delivered += 1
            name = f"{int(time.time())}.M{self.delivered:06}P{os.getpid()}.host"
            (self.maildir / "tmp" / name).write_bytes(octets.replace(b"\r\n", b"\n"))
            (self.maildir / "tmp" / name).rename(self.maildir / "new" / name)

    def __enter__(self):
        self.ending = False
        self.sockets = []
        for port, serve in ((self.pop3_port, self.pop3), (self.imap_port, self.imap)):
            listener = socket.create_server(("127.0.0.1", port))
            self.sockets.append(listener)
            threading.Thread(target=self.accept, args=(listener, serve), daemon=True).start()
        return self

    def __exit__(self, kind, *_):
        self.ending = True
        for listener in self.sockets:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def accept(self, listener, serve):
        while not self.ending:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.one_session, args=(peer, serve), daemon=True).start()

    @staticmethod
    def one_session(peer, serve):
        with peer:
            peer.settimeout(SECONDS)
            try:
                serve(peer)
            except OSError:
                pass

    @staticmethod
    def read_line(peer):
        """One octet at a time: what is behind the line belongs to Courier."""
        line = b""
        while not line.endswith(b"\n"):
            octet = peer.recv(1)
            if not octet:
                raise OSError("the client is gone")
            line += octet
        return line.strip().decode()

    def hand_over(self, peer, program, **environment):
        peer.setblocking(True)
        subprocess.run([program, "Maildir"], cwd=self.folder, stdin=peer, stdout=peer, stderr=subprocess.DEVNULL, timeout=SECONDS,
                       check=False, env={"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": self.libraries, "AUTHENTICATED": self.user,
                                         "TCPREMOTEIP": "127.0.0.1", "TCPREMOTEPORT": "1", **environment})

    def pop3(self, peer):
        peer.sendall(b"+OK Hello there.\r\n")
        user = None
        while True:
            word, _, rest = self.read_line(peer).partition(" ")
            if word.upper() == "USER":
                user = rest
                peer.sendall(b"+OK Password required.\r\n")
            elif word.upper() == "PASS" and (user, rest) == (self.user, self.password):
                return self.hand_over(peer, self.pop3d)
            elif word.upper() == "CAPA":
                peer.sendall(b"+OK Here's what I can do:\r\nTOP\r\nUSER\r\nPIPELINING\r\nUIDL\r\n.\r\n")
            elif word.upper() == "QUIT":
                return peer.sendall(b"+OK\r\n")
            else:
                peer.sendall(b"-ERR Invalid command.\r\n")

    def imap(self, peer):
        peer.sendall(b"* OK Courier-IMAP ready.\r\n")
        while True:
            tag, _, rest = self.read_line(peer).partition(" ")
            word, _, rest = rest.partition(" ")
            if word.upper() == "LOGIN" and [part.strip('"') for part in rest.split(" ", 1)] == [self.user, self.password]:
                return self.hand_over(peer, self.imapd, IMAPLOGINTAG=tag, IMAP_CAPABILITY="IMAP4rev1 UIDPLUS", PROTOCOL="IMAP")
            if word.upper() == "CAPABILITY":
                peer.sendall(f"* CAPABILITY IMAP4rev1 UIDPLUS\r\n{tag} OK done\r\n".encode())
            elif word.upper() == "LOGOUT":
                return peer.sendall(f"* BYE\r\n{tag} OK done\r\n".encode())
            else:
                peer.sendall(f"{tag} NO not before the login\r\n".encode())
