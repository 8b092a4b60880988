#!/usr/bin/env python3
"""Kills a real `pier serve` with SIGKILL at random moments, again and again, while it takes mail that it forwards to another
server. The other server is this program's, which is never killed, so it knows what really arrived.

usage: queue_kills.py --pier PROGRAM [--kills N] [--seed SEED]

Whatever was acknowledged with 250 has arrived in the end, octet for octet, or its sender has got a bounce; a message arrives twice at
most once for each kill that hit it on its way; nothing arrives that nobody has sent.
"""
import argparse
import json
import random
import re
import sys
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))
from ledger import HEADER, Broken, make_message
from mail_protocols import Connection, Lost, Pop3, Refused
from pier_server import Failed, PierServer
from smtp_sink import SmtpSink

DOMAIN, ELSEWHERE = "crash.example", "sink.example"
PASSWORD = "correct horse battery"
SENDERS = 4
MESSAGES_PER_LIFE = 12       # of each sender: the other server, which is this program, shall keep up
STALLED_SECONDS = 60
NUMBER = re.compile(re.escape(HEADER) + rb"(\d+)\r\n")


def settings(port):
    return (f'[queue]\nsmarthost = "127.0.0.1:{port}"\nsmarthost_tls = "none"\nretry_first = "1s"\nretry_max = "2s"\n'
            '[store]\nsegment_size_max = "2 MiB"\npurge_after = "2s"\n')


class Smtp(Connection):
    def __init__(self, port):
        super().__init__(port)
        self.expect(b"220")
        self.send(b"EHLO crash.example.net\r\n")
        self.expect(b"250")

    def expect(self, code):
        while True:
            line = self.line()
            if line[3:4] != b"-":
                break
        if not line.startswith(code):
            raise Refused(line.decode())

    def bring(self, recipient, message):
        self.send(f"MAIL FROM:<ada@{DOMAIN}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode())
        for code in (b"250", b"250", b"354"):
            self.expect(code)
        self.send((b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n")
        self.expect(b"250")


class Senders:
    """The clients of one life of the server."""

    def __init__(self, run):
        self.run = run
        self.stopping = False
        self.problems = []
        self.threads = [threading.Thread(target=self.work) for _ in range(SENDERS)]
        for thread in self.threads:
            thread.start()

    def work(self):
        try:
            smtp = Smtp(self.run.server.smtp_port)
            for _ in range(MESSAGES_PER_LIFE):
                if self.stopping:
                    break
                number, wanted = self.run.new_message()
                smtp.bring(f"{wanted}@{DOMAIN}", make_message(number, self.run.seed))
                self.run.acknowledged[number] = wanted
        except Lost:
            pass
        except Exception as problem:
            if not self.stopping:
                self.problems.append(problem)

    def join(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        if self.problems:
            raise self.problems[0]


class Run:
    def __init__(self, server, sink, seed):
        self.server, self.sink, self.seed = server, sink, seed
        self.dice = random.Random(seed)
        self.lock = threading.Lock()
        self.sent = {}              # number: good, slow or bad
        self.acknowledged = {}      # the same, once 250 was said
        self.slow_seen = set()
        self.kills = 0
        sink.answer = self.answer

    def new_message(self):
        with self.lock:
            number = len(self.sent) + 1
            wanted = self.sent[number] = self.dice.choices(["good", "slow", "bad"], [8, 1, 1])[0]
        return number, wanted

    def answer(self, verb, argument, conversation):
        """The other server refuses some for good, and some the first time."""
        if verb == "RCPT" and f"bad@{ELSEWHERE}" in argument:
            return "550 5.1.1 nobody of that name"
        if verb == "END" and any(f"slow@{ELSEWHERE}" in recipient for recipient in conversation.recipients):
            number = number_of(argument)
            with self.lock:
                if number not in self.slow_seen:
                    self.slow_seen.add(number)
                    return "451 4.3.0 not now"
        return None

    def life(self):
        self.server.start()
        senders = Senders(self)
        time.sleep(self.dice.uniform(0.05, 0.8))    # the moment of the kill
        senders.stopping = True
        self.server.kill()
        self.kills += 1
        senders.join()

    def bounces(self):
        pop = Pop3(self.server.pop3_port, "ada", PASSWORD)
        numbers = Counter()
        for _, message in pop.fetch([number for number, _, _ in pop.listing()]):
            if b"\r\nContent-Type: multipart/report" not in message or b"5.1.1" not in message:
                raise Broken(f"a message that is no bounce: {message[:300]!r}")
            numbers[number_of(message)] += 1
        pop.command("QUIT")
        return numbers

    def wait_until_empty(self):
        least, moved = None, time.monotonic()
        while (left := json.loads(self.server.cli("--json", "status"))["queue"]["messages"]) > 0:
            if least is None or left < least:
                least, moved = left, time.monotonic()
            if time.monotonic() - moved > STALLED_SECONDS:
                raise Broken(f"{left} messages are in the queue, and none has gone in {STALLED_SECONDS} s: {self.server.cli('queue', 'list').decode()[:2000]}")
            time.sleep(0.2)

    def check(self):
        arrived = Counter()
        for message in self.sink.messages:
            number = number_of(message.octets)
            start = message.octets.index(HEADER)
            if number not in self.sent or message.octets[start:] != make_message(number, self.seed):
                raise Broken(f"message {number} is not octet for octet what was sent")
            arrived[number] += 1
        bounced = self.bounces()
        for number, wanted in self.acknowledged.items():
            if wanted == "bad" and not bounced[number]:
                raise Broken(f"message {number} was refused by the other server, and its sender was not told")
            if wanted != "bad" and not arrived[number]:
                raise Broken(f"message {number} ({wanted}) was acknowledged and never arrived")
        for number in bounced:
            if self.sent[number] != "bad":
                raise Broken(f"message {number} was bounced, and could be delivered")
        twice = sum(count - 1 for count in arrived.values()), sum(count - 1 for count in bounced.values())
        # Each connection has one message under way when the kill comes.
        if max(arrived.values(), default=0) > 3 or sum(twice) > self.kills * 8:
            raise Broken(f"{twice[0]} arrivals and {twice[1]} bounces too many, after {self.kills} kills")
        print(f"{self.kills} kills, {len(self.sent)} messages sent, {len(self.acknowledged)} acknowledged; {len(arrived)} arrived, {len(bounced)} "
              f"were returned; {twice[0]} arrived once more, {twice[1]} were returned once more, as a kill may have it")


def number_of(octets):
    found = NUMBER.search(octets)
    if not found:
        raise Broken(f"a message that is none of ours: {octets[:300]!r}")
    return int(found.group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed} (the moment of each kill also depends on the machine)", flush=True)
    with SmtpSink() as sink, PierServer(options.pier, tls=False, settings=settings(sink.port)) as server:
        server.cli("domain", "add", DOMAIN)
        server.add_account("ada", PASSWORD)
        for name in ("good", "slow", "bad"):
            server.cli("alias", "add", f"{name}@{DOMAIN}", f"{name}@{ELSEWHERE}")
        run = Run(server, sink, seed)
        for life in range(options.kills):
            run.life()
            if life % 20 == 19:
                print(f"{run.kills} kills, {len(run.acknowledged)} messages acknowledged, {len(sink.messages)} arrived", flush=True)
        server.start()
        run.wait_until_empty()
        run.check()
        server.stop()
    print("whatever was acknowledged arrived or was returned")


if __name__ == "__main__":
    try:
        main()
    except (Broken, Failed, Refused, Lost) as problem:
        sys.exit(f"FAILED {type(problem).__name__}: {problem}")
