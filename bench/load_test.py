#!/usr/bin/env python3
"""Does pier_load notice when a server lies? The small servers in this file are honest, or wrong in one way; pier_load must
measure the honest ones, and stop with the right words at every wrong one.

usage: load_test.py PIER_LOAD
"""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading

NO_ANSWER = "no answer in time"
USER, PASSWORD = "ada@bench.example", "secret"
PLAIN = b"Subject: no checksum\r\n\r\nOne.\r\n..two\r\n.\r.\r\n"     # a dot, two dots, a dot before a lone CR


def stuffed(message):
    return re.sub(rb"(?m)^\.", b"..", message.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")


def unstuffed(octets):
    return re.sub(rb"(?<![^\n])\.(?=.)", b"", octets)


class LyingServer:
    """Serves one maildrop to any number of connections; `lie` changes what one place says."""

    def __init__(self, messages, lie=None, piece_octets=997):
        self.messages = messages
        self.piece_octets = piece_octets    # what is sent at once, so that nothing depends on where reads end
        self.lie = lie or (lambda place, octets: octets)
        self.delivered = []
        self.peers = set()
        self.now, self.most = 0, 0          # connections
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, peer = self.listener.accept()
                self.peers.add(peer[0])
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            with connection, connection.makefile("rb") as lines:
                self.talk(connection, lines)
        except OSError:
            pass    # pier_load stops in the middle of things; that is what is tested
        with self.lock:
            self.now -= 1

    def talk(self, connection, lines):
        def say(place, octets):
            octets = self.lie(place, octets)
            for begin in range(0, len(octets), self.piece_octets):
                connection.sendall(octets[begin:begin + self.piece_octets])

        messages = list(self.messages)
        say("greeting", b"+OK pop3\r\n")
        for line in lines:
            verb, _, argument = line.rstrip(b"\r\n").decode().partition(" ")
            if verb in ("USER", "PASS", "DELE", "NOOP"):
                say(verb, b"+OK\r\n")
            elif verb == "STAT":
                say("STAT", b"+OK %d %d\r\n" % (len(messages), sum(map(len, messages))))
            elif verb == "LIST":
                say("LIST", b"+OK\r\n" + b"".join(b"%d %d\r\n" % (n, len(m)) for n, m in enumerate(messages, 1)) + b".\r\n")
            elif verb == "UIDL":
                say("UIDL", b"+OK\r\n" + b"".join(b"%d uid-%d\r\n" % (n, n) for n, _ in enumerate(messages, 1)) + b".\r\n")
            elif verb == "RETR":
                say("RETR", b"+OK\r\n" + stuffed(messages[int(argument) - 1]) + b".\r\n")
            elif verb == "QUIT":
                say("QUIT", b"+OK\r\n")
                return


class LmtpServer(LyingServer):
    """Takes mail, and keeps it."""

    def talk(self, connection, lines):
        connection.sendall(b"220 lmtp\r\n")
        for line in lines:
            verb = line.split()[0].upper()
            if verb == b"LHLO":
                connection.sendall(b"250-me\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            elif verb == b"DATA":
                connection.sendall(b"354 go on\r\n")
                data = list(iter(lines.readline, b".\r\n"))
                self.delivered.append(unstuffed(b"".join(data)))
                connection.sendall(self.lie("250", b"250 ok\r\n"))
            else:
                connection.sendall(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                if verb == b"QUIT":
                    return


def pier_load(program, load, server, *options):
    return subprocess.run([program, load, "--port", str(server.port), "--user", USER, "--password", PASSWORD,
                           *map(str, options)], capture_output=True, text=True, timeout=60)


failures = []


def expect(what, condition, done):
    if not condition:
        failures.append(what)
        print(f"FAILED {what}: status {done.returncode}\n{done.stdout}{done.stderr}")


def made_messages(program):
    """Messages as pier_load makes them."""
    server = LmtpServer([])
    sizes = (512, 513, 590, 4096, 70_001)
    for octets in sizes:
        done = pier_load(program, "deliver", server, "--count", 1, "--message-octets", octets, "--seed", octets)
        expect(f"deliver {octets} octets", done.returncode == 0 and len(server.delivered[-1]) == octets, done)
    assert any(re.search(rb"(?m)^\.", message) for message in server.delivered), "no line begins with a dot: stuffing is not tested"
    return server.delivered


def realistic_sizes(program):
    for count in (20, 100):
        server = LmtpServer([])
        done = pier_load(program, "deliver", server, "--count", count, "--message-octets", "realistic")
        sizes = sorted(map(len, server.delivered))
        median, mean = sizes[len(sizes) // 2], sum(sizes) / len(sizes)
        expect(f"realistic sizes of {count}: median {median}, mean {mean:.0f}",
               len(sizes) == count and 8_000 < median < 13_000 and 73_000 < mean < 77_000, done)


def at(place, change):
    return lambda where, octets: change(octets) if where == place else octets


def within_body(octets):
    """One octet of the last line but the terminator's is another one."""
    return octets[:-8] + (b"Z" if octets[-8:-7] != b"Z" else b"Y") + octets[-7:]


class EveryOther:
    """Changes every second answer of a place: two sessions, or two fetches, that do not agree."""

    def __init__(self, place, change):
        self.place, self.change, self.seen = place, change, 0

    def __call__(self, place, octets):
        self.seen += place == self.place
        return self.change(octets) if place == self.place and self.seen % 2 == 0 else octets


def lies(program, made):
    last_line = re.compile(rb"x?[^\n]*\r\n\.\r\n$")
    cases = [
        ("STAT one more message", "session", at("STAT", lambda o: o.replace(b"+OK 5", b"+OK 6")), "5 lines, but STAT said 6 messages"),
        ("UIDL one line less", "session", at("UIDL", lambda o: o.replace(b"5 uid-5\r\n", b"")), "4 lines, but STAT said 5 messages"),
        ("UIDL skips a number", "session", at("UIDL", lambda o: o.replace(b"3 uid", b"4 uid")), "line 3 is of message 4"),
        ("UIDL changes", "session", EveryOther("UIDL", lambda o: o.replace(b"uid-2", b"uid-9")), "other unique-ids than an earlier session saw"),
        ("STAT changes", "session", EveryOther("STAT", lambda o: o.replace(b"\r\n", b"1\r\n")), "but an earlier session saw"),
        ("not empty", "poll", None, "holds 5 messages"),
        ("LIST another size", "retr", at("LIST", lambda o: o.replace(b"1 512", b"1 511")), "but STAT said"),
        ("an octet less", "retr", at("RETR", lambda o: o[:-6] + o[-5:]), "but 511 came"),
        ("an octet more", "retr", at("RETR", lambda o: o[:-5] + b"x" + o[-5:]), "but 513 came"),
        ("a line less", "retr", at("RETR", lambda o: last_line.sub(b".\r\n", o)), "came before the terminator"),
        ("another octet", "retr", at("RETR", within_body), "with checksum"),
        ("unstuffed dots", "retr", at("RETR", lambda o: o.replace(b"\r\n..", b"\r\n.")), "came before the terminator|answers"),
        ("LF for CRLF in the terminator", "retr", at("RETR", lambda o: o[:-2] + b"\n"), NO_ANSWER),
        ("bare LF before the terminator", "retr", at("RETR", lambda o: o[:-5] + b"\n.\r\n"), NO_ANSWER),
        ("no terminator", "retr", at("RETR", lambda o: o[:-3]), NO_ANSWER),
        ("-ERR", "retr", at("RETR", lambda o: b"-ERR [SYS/TEMP] disk\r\n"), r'answers "-ERR \[SYS/TEMP\] disk"'),
        ("PASS refused", "session", at("PASS", lambda o: b"-ERR [AUTH] no\r\n"), r'PASS: the server answers "-ERR \[AUTH\] no"'),
        ("DELE refused", "drain", at("DELE", lambda o: b"-ERR no\r\n"), 'DELE: the server answers "-ERR no"'),
        ("QUIT refused", "drain", at("QUIT", lambda o: b"-ERR not removed\r\n"), 'QUIT: the server answers "-ERR not removed"'),
        ("QUIT and more", "session", at("QUIT", lambda o: o + b"+OK\r\n"), "says more behind its answer"),
        ("bigbox, a line less", "bigbox", at("UIDL", lambda o: o.replace(b"5 uid-5\r\n", b"")), "4 lines, but STAT said 5 messages"),
        ("bigbox, a listing without its end", "bigbox", at("UIDL", lambda o: o[:-3]), NO_ANSWER),
        ("an idle connection is said to be over", "idle", at("NOOP", lambda o: b"-ERR [SYS/TEMP] idle for too long\r\n"), 'NOOP: the server answers "-ERR'),
        ("an idle connection gets more than it asks for", "idle", at("PASS", lambda o: o + b"+OK\r\n"), "more than it was asked"),
        ("a line without CR", "session", at("STAT", lambda o: o.replace(b"\r", b"")), "a line ends without CR"),
    ]
    for what, load, lie, words in cases:
        waits = ["--timeout-seconds", 0.5] if words == NO_ANSWER else []
        for connections in (1, 3) if load != "drain" and not waits else (1,):
            done = pier_load(program, load, LyingServer(made, lie), "--count", 2 * len(made), "--connections", connections, *waits)
            expect(f"{what}, {connections} connections", done.returncode == 1 and re.search(words, done.stderr) and not done.stdout, done)
    done = pier_load(program, "retr", LyingServer([PLAIN], EveryOther("RETR", lambda o: o.replace(b"One", b"Two"))), "--count", 3)
    expect("a message without checksum changes", done.returncode == 1 and "another message than at an earlier RETR" in done.stderr, done)
    done = pier_load(program, "deliver", LmtpServer([], at("250", lambda o: b"452 full\r\n")), "--count", 3)
    expect("452 at the end of DATA", done.returncode == 1 and 'end of DATA: the server answers "452 full"' in done.stderr, done)


def honest(program, made):
    for load, messages, count, operations in (("session", made, 4, 12), ("poll", [], 4, 12), ("bigbox", made, 4, 12), ("retr", made, 11, 33),
                                               ("retr", made[:3], 7, 21),
                                               ("retr", [PLAIN], 3, 9)):
        for pipeline, piece_octets in ((1, 997), (4, 1 << 20), (4, 3), (1, 1)):
            if piece_octets < 10 and sum(map(len, messages)) > 10_000:
                continue
            done = pier_load(program, load, LyingServer(messages, None, piece_octets), "--count", count, "--connections", 3,
                             "--pipeline", pipeline)
            result = json.loads(done.stdout or "{}")
            expect(f"honest {load}", done.returncode == 0 and result["operations"] == operations, done)
            if load == "retr":
                octets = 3 * sum(len(messages[n % len(messages)]) for n in range(count))
                verified = 0 if messages == [PLAIN] else operations
                expect("octets and checksums", result["message_octets"] == octets and result["bodies_verified"] == verified, done)
    for pipeline in (1, 2, 5, 9):
        done = pier_load(program, "drain", LyingServer(made), "--pipeline", pipeline)
        expect(f"honest drain, {pipeline} at a time", done.returncode == 0 and json.loads(done.stdout)["operations"] == len(made), done)


def idle(program, made):
    """Held until standard input ends; a connection that does not last is found then, whatever the others do."""
    for lie, status, words in ((None, 0, ""), (EveryOther("NOOP", lambda octets: b""), 1, "no answer in time|closed")):
        server = LyingServer(made, lie)
        command = [program, "idle", "--port", str(server.port), "--user", USER, "--password", PASSWORD, "--connections", "70", "--hold",
                   "--from", "127.0.0.2,127.0.0.3", "--server-pid", str(os.getpid()), "--timeout-seconds", "1"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as held:
            first = held.stdout.readline()
            out, err = held.communicate()
        done = subprocess.CompletedProcess(command, held.returncode, out, err)
        expect(f"idle, status {status}", first == "holding\n" and held.returncode == status and re.search(words, err), done)
        expect("all were there at once, from two addresses", server.most == 70 and server.peers == {"127.0.0.2", "127.0.0.3"}, done)
        if status == 0:
            result = json.loads(out)
            expect("idle: memory", result["operations"] == 70 and result["server_pss_octets"] > 1e6, done)


def cpu_time(program, made):
    # The child of a process does the work, and the process itself only waits.
    with subprocess.Popen(["bash", "-c", "while :; do :; done & echo $!; wait"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as parent:
        child = int(parent.stdout.readline())
        done = pier_load(program, "session", LyingServer(made), "--seconds", 1, "--server-pid", parent.pid)
        os.kill(child, signal.SIGKILL)
    result = json.loads(done.stdout or "{}")
    spent = result["operations"] * result["server_cpu_us_per_operation"] / 1e6
    # On a machine that has other work to do, the child gets less than a whole core.
    expect(f"CPU time of a child process: {spent:.2f} of {result['seconds']} s", 0.05 < spent < 1.05 * result["seconds"] + 0.02, done)
    done = pier_load(program, "session", LyingServer(made), "--seconds", 1, "--server-pid", child)
    expect("a server that has ended", done.returncode == 1 and f"no process {child}" in done.stderr, done)


def main():
    program = sys.argv[1]
    made = made_messages(program)
    realistic_sizes(program)
    honest(program, made)
    idle(program, made)
    cpu_time(program, made)
    lies(program, made)
    print(f"load_test: {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
