"""What the clients of a crash test were told, and what must therefore be true after a restart.

A message's life, as one recipient's client sees it:

    sent      its last octet went out, no reply yet: it may be there or not, but at most once
    kept      250 was received, or it was seen after a restart: it must be there, octet for octet, with the same UIDL
    leaving   QUIT went out after its DELE, no reply yet: it may be there or not
    gone      QUIT was answered +OK, or it was seen to be absent: it must never be there again

All functions may be called from any thread.
"""
import random
import threading

HEADER = b"X-Crash-Id: "


class Broken(Exception):
    """A promise that was not kept."""


def make_message(number, seed):
    """The octets of message `number`: always the same; lengths from 100 octets to 100 KB, and now and then beyond what a
    spool keeps in memory; with lines that begin with dots."""
    dice = random.Random(f"{seed}/{number}")
    kind = dice.random()
    if kind < 0.01:
        octets = dice.randrange(1_000_000, 1_400_000)
    elif kind < 0.2:
        octets = dice.randrange(10_000, 100_000)
    else:
        octets = dice.randrange(100, 10_000)
    line = bytes(dice.choice(b"abcdefghijklmnopqrstuvwxyz .") for _ in range(70))
    lines = [HEADER + str(number).encode(), b"Subject: crash test", b""]
    used = 0
    while used < octets:
        cut = dice.randrange(70)
        text = (b"." if dice.random() < 0.1 else b"") + line[cut:] + line[:cut]
        lines.append(text)
        used += len(text) + 2
    return b"\r\n".join(lines) + b"\r\n"


class Ledger:
    def __init__(self, seed, make=make_message):
        self.seed = seed
        self.make = make
        self.lock = threading.Lock()
        self.next_number = 0
        self.states = {}    # (account, number): state
        self.uidls = {}     # (account, uidl): number, as first seen
        self.uidl_of = {}   # (account, number): uidl
        self.told = {"250": 0, "+OK": 0}

    def new_message(self):
        with self.lock:
            self.next_number += 1
            number = self.next_number
        return number, self.make(number, self.seed)

    def set_state(self, account, number, state):
        with self.lock:
            key = (account, number)
            if self.states.get(key) != "gone":
                self.states[key] = state

    def delivered(self, account, number):
        with self.lock:
            self.told["250"] += 1
            # A drainer may have fetched and removed it before its sender read the reply.
            if self.states.get((account, number)) == "sent":
                self.states[(account, number)] = "kept"

    def removed(self, account, numbers):
        with self.lock:
            self.told["+OK"] += 1
            for number in numbers:
                self.states[(account, number)] = "gone"

    def gone_now(self, account):
        with self.lock:
            return {number for (name, number), state in self.states.items() if name == account and state == "gone"}

    def number_of(self, account, uidl):
        with self.lock:
            return self.uidls.get((account, uidl))

    def seen(self, account, uidl, octets, message):
        """A message was fetched; gives its number. Raises if it is not exactly one that was sent to this account, or if its
        UIDL is not the one it had before."""
        start = message.find(HEADER)
        trace = message[:start] if start >= 0 else message
        if start < 0 or not trace.lower().startswith(b"return-path:") or b"\r\n\r\n" in trace:
            raise Broken(f"{account}: message with UIDL {uidl} is none of ours: {message[:200]!r}")
        number = int(message[start + len(HEADER):message.index(b"\r\n", start)])
        if message[start:] != self.make(number, self.seed):
            raise Broken(f"{account}: message {number} is not octet for octet what was sent ({len(message)} octets came)")
        if octets != len(message):
            raise Broken(f"{account}: message {number}: LIST says {octets} octets, RETR gave {len(message)}")
        with self.lock:
            if (account, number) not in self.states:
                raise Broken(f"{account}: message {number} was never sent to this account")
            known = self.uidl_of.setdefault((account, number), uidl)
            if known != uidl:
                raise Broken(f"{account}: message {number} has UIDL {uidl}, had {known}")
            other = self.uidls.setdefault((account, uidl), number)
            if other != number:
                raise Broken(f"{account}: UIDL {uidl} is message {number}, was message {other}")
        return number

    def settle(self, account, present):
        """After a restart, when no client is at work: `present` are the numbers in the maildrop, in order."""
        if len(set(present)) != len(present):
            twice = sorted(n for n in set(present) if present.count(n) > 1)
            raise Broken(f"{account}: messages are there twice: {twice[:10]}")
        here = set(present)
        with self.lock:
            for (name, number), state in list(self.states.items()):
                if name != account:
                    continue
                if state == "kept" and number not in here:
                    raise Broken(f"{account}: message {number} was acknowledged (or seen) and is lost")
                if state == "gone" and number in here:
                    raise Broken(f"{account}: message {number} was removed and is back")
                if state in ("sent", "leaving"):
                    self.states[(name, number)] = "kept" if number in here else "gone"
