"""An SMTP server of a test's own, in threads of the test: it takes what it is sent and remembers it, or answers as it is told.

    with SmtpSink() as sink:            # on a free loopback port
        sink.answer = lambda verb, argument, connection: "451 4.3.0 not now" if verb == "RCPT" else None
        ...
        sink.messages                   # [Message(sender, recipients, octets, tls)], in the order in which they were acknowledged
"""
import socket
import ssl
import threading
from dataclasses import dataclass, field


@dataclass
class Message:
    sender: str                 # what MAIL FROM: was given, with its parameters
    recipients: list            # the same of RCPT TO:, those that were accepted
    octets: bytes               # without stuffing
    tls: str = ""               # the protocol's version
    login: str = ""             # the argument of AUTH
    hello: str = ""


@dataclass
class Conversation:
    """One connection: what it has said so far."""
    sink: object
    socket: socket.socket
    buffer: bytes = b""
    sender: str = ""
    recipients: list = field(default_factory=list)
    login: str = ""
    hello: str = ""

    def line(self):
        while b"\r\n" not in self.buffer:
            block = self.socket.recv(1 << 16)
            if not block:
                return None
            self.buffer += block
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("utf-8", "replace")

    def data(self):
        octets = bytearray(b"\r\n" + self.buffer)
        searched = 0
        while (end := octets.find(b"\r\n.\r\n", searched)) < 0:
            searched = max(0, len(octets) - 4)
            block = self.socket.recv(1 << 18)
            if not block:
                return None
            octets += block
        self.buffer = bytes(octets[end + 5:])
        return bytes(octets[:end + 2]).replace(b"\r\n..", b"\r\n.")[2:]

    def say(self, text):
        self.socket.sendall(text.encode() + b"\r\n")

    def tls_version(self):
        return self.socket.version() if isinstance(self.socket, ssl.SSLSocket) else ""

    def run(self):
        if not self.obey("CONNECT", "", "220 sink.example ESMTP"):
            return
        while (line := self.line()) is not None:
            verb, _, argument = line.partition(" ")
            if not self.command(verb.upper(), argument):
                return

    def obey(self, verb, argument, usual):
        """Says what the test wants said, else what is usual; False if the connection is over."""
        answer = self.sink.answer(verb, argument, self)
        if answer == "":        # to hang up without a word
            return False
        self.say(answer or usual)
        return not (answer or "").startswith("421") and verb != "QUIT"

    def command(self, verb, argument):
        if verb == "EHLO":
            self.hello = argument
            lines = ["sink.example", "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", *self.sink.extensions]
            if self.sink.tls and not self.tls_version():
                lines.append("STARTTLS")
            return self.obey(verb, argument, "\r\n".join(f"250{'-' if n + 1 < len(lines) else ' '}{text}" for n, text in enumerate(lines)))
        if verb == "STARTTLS" and self.sink.tls:
            if not self.obey(verb, argument, "220 2.0.0 begin"):
                return False
            self.socket = self.sink.tls.wrap_socket(self.socket, server_side=True)
            return True
        if verb == "AUTH":
            self.login = argument
            return self.obey(verb, argument, "235 2.7.0 welcome")
        if verb == "MAIL":
            self.sender, self.recipients = argument, []
            return self.obey(verb, argument, "250 2.1.0 ok")
        if verb == "RCPT":
            answer = self.sink.answer(verb, argument, self)
            if not answer:
                self.recipients.append(argument)
            self.say(answer or "250 2.1.5 ok")
            return True
        if verb == "DATA":
            return self.take_message()
        return self.obey(verb, argument, "221 2.0.0 bye" if verb == "QUIT" else "250 2.0.0 ok")

    def take_message(self):
        if not self.recipients:
            self.say("554 5.5.1 no recipient")
            return True
        answer = self.sink.answer("DATA", "", self)
        if answer:
            self.say(answer)
            return True
        self.say("354 go on")
        octets = self.data()
        if octets is None:
            return False
        answer = self.sink.answer("END", octets, self)
        if not answer:
            message = Message(self.sender, self.recipients, octets, self.tls_version(), self.login, self.hello)
            with self.sink.lock:
                self.sink.messages.append(message)
        return self.obey_end(answer)

    def obey_end(self, answer):
        if answer == "":
            return False
        self.say(answer or "250 2.0.0 kept")
        return True


class SmtpSink:
    def __init__(self, port=0, tls=None, extensions=(), address="127.0.0.1"):
        """`tls`: (certificate file, key file), for STARTTLS. `extensions`: more lines of the answer to EHLO."""
        self.answer = lambda verb, argument, conversation: None
        self.extensions = extensions
        self.tls = None
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*tls)
        self.lock = threading.Lock()
        self.messages = []
        self.connections = 0
        self.listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:     # closed
                return
            self.connections += 1
            threading.Thread(target=self.converse, args=(connection,), daemon=True).start()

    def converse(self, connection):
        conversation = Conversation(self, connection)
        try:
            conversation.run()
        except OSError:         # the client is gone, or its TLS is none
            pass
        finally:
            conversation.socket.close()
