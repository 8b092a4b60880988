"""The least of LMTP and POP3 that the crash test needs, over blocking sockets; pipelined where the protocol allows."""
import socket

SECONDS = 30


class Lost(Exception):
    """The connection ended, as it does when the server is killed."""


class Refused(Exception):
    """A reply that says no."""


class Connection:
    def __init__(self, port):
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        except OSError as failure:
            raise Lost(str(failure))
        self.buffer = b""

    def send(self, octets):
        try:
            self.socket.sendall(octets)
        except OSError as failure:
            raise Lost(str(failure))

    def line(self):
        while True:
            end = self.buffer.find(b"\r\n")
            if end >= 0:
                line, self.buffer = self.buffer[:end], self.buffer[end + 2:]
                return line
            self.buffer += self.receive()

    def receive(self):
        try:
            block = self.socket.recv(1 << 18)
        except OSError as failure:
            raise Lost(str(failure))
        if not block:
            raise Lost("end of stream")
        return block

    def multiline(self):
        """Everything up to the line of one dot; un-stuffed, with its last line end."""
        octets = bytearray(b"\r\n" + self.buffer)
        searched = 0
        while (end := octets.find(b"\r\n.\r\n", searched)) < 0:
            searched = max(0, len(octets) - 4)
            octets += self.receive()
        self.buffer = bytes(octets[end + 5:])
        return bytes(octets[:end + 2]).replace(b"\r\n.", b"\r\n")[2:]

    def close(self):
        self.socket.close()


class Lmtp(Connection):
    def __init__(self, port):
        super().__init__(port)
        self.reply()
        self.send(b"LHLO crash.example.net\r\n")
        self.reply()

    def reply(self):
        while True:
            line = self.line()
            if line[3:4] != b"-":
                return line

    def deliver(self, recipients, message, chunked, before_end):
        """Gives one boolean for each recipient. Calls before_end() when the last octet is about to go out."""
        self.send(b"MAIL FROM:<crash@example.net>\r\n" + b"".join(b"RCPT TO:<%s>\r\n" % name.encode() for name in recipients))
        for _ in range(1 + len(recipients)):
            line = self.reply()
            if not line.startswith(b"2"):
                raise Refused(line.decode())
        if chunked:
            half = len(message) // 2
            self.send(b"BDAT %d\r\n" % half + message[:half])
            if not self.reply().startswith(b"2"):
                raise Refused("BDAT")
            before_end()
            self.send(b"BDAT %d LAST\r\n" % (len(message) - half) + message[half:])
        else:
            self.send(b"DATA\r\n")
            line = self.reply()
            if not line.startswith(b"354"):
                raise Refused(line.decode())
            stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
            self.send(stuffed[:-2])
            before_end()
            self.send(b"\r\n.\r\n")
        return [self.reply().startswith(b"2") for _ in recipients]


class Pop3(Connection):
    def __init__(self, port, user, password):
        super().__init__(port)
        self.line()
        self.command(f"USER {user}")
        self.command(f"PASS {password}")

    def command(self, text):
        self.send(text.encode() + b"\r\n")
        return self.reply(text)

    def reply(self, what):
        line = self.line()
        if not line.startswith(b"+OK"):
            raise Refused(f"{what}: {line.decode(errors='replace')}")
        return line

    def listing(self):
        """[(number, uidl, octets)]"""
        self.send(b"UIDL\r\nLIST\r\n")
        self.reply("UIDL")
        uidls = [line.split(b" ") for line in self.multiline().split(b"\r\n") if line]
        self.reply("LIST")
        sizes = dict(line.split(b" ") for line in self.multiline().split(b"\r\n") if line)
        return [(int(number), uidl.decode(), int(sizes[number])) for number, uidl in uidls]

    def fetch(self, numbers):
        """Yields (number, message), asking for several ahead."""
        numbers = list(numbers)
        for at in range(0, len(numbers), 16):
            some = numbers[at:at + 16]
            self.send(b"".join(b"RETR %d\r\n" % number for number in some))
            for number in some:
                self.reply(f"RETR {number}")
                yield number, self.multiline()
