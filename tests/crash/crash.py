#!/usr/bin/env python3
"""Kills a real `pier serve` with SIGKILL at random moments, again and again, while mail is delivered over LMTP and fetched
and removed over POP3; after each restart every promise that a client was given must hold (ledger.py).

usage: crash.py --pier PROGRAM [--kills N | --seconds S] [--seed SEED]

Some kills hit a server that is just starting; now and then the index is taken away before the restart, or the stop is a
clean one. At the end the store is verified and rebuilt offline, and everything is checked once more.
"""
import argparse
import random
import shutil
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))
from ledger import Broken, Ledger
from mail_protocols import Lmtp, Lost, Pop3, Refused
from pier_server import Failed, PierServer

ACCOUNTS = ["ada", "grace", "tom"]
DOMAIN = "crash.example"
PASSWORD = "correct horse battery"
DELIVERERS = 4
DRAINERS = 2
# Small segments and a short memory for removed mail, so that the cleaner works all the time.
SETTINGS = '[store]\nsegment_size_max = "2 MiB"\npurge_after = "2s"\n[pop3]\nidle_timeout = "10m"\n'


class Load:
    """The clients of one life of the server: they work until it is killed, then their threads end."""

    def __init__(self, server, ledger, dice):
        self.server, self.ledger = server, ledger
        self.stopping = False
        self.problems = []
        jobs = [self.deliver] * DELIVERERS + [self.drain] * DRAINERS
        self.threads = [threading.Thread(target=self.run, args=(job, random.Random(dice.random()))) for job in jobs]
        for thread in self.threads:
            thread.start()

    def run(self, job, dice):
        try:
            while not self.stopping:
                job(dice)
        except Lost:
            pass
        except Exception as problem:    # a refusal or a broken promise: told by the main thread
            if not (self.stopping and isinstance(problem, Refused)):
                self.problems.append(problem)

    def join(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        if self.problems:
            raise self.problems[0]

    def deliver(self, dice):
        lmtp = Lmtp(self.server.lmtp_port)
        for _ in range(dice.randrange(1, 20)):
            accounts = dice.sample(ACCOUNTS, dice.choice([1, 1, 1, 2, 3]))
            number, message = self.ledger.new_message()

            def before_end():
                for account in accounts:
                    self.ledger.set_state(account, number, "sent")

            for account, taken in zip(accounts, lmtp.deliver([f"{a}@{DOMAIN}" for a in accounts], message, dice.random() < 0.3, before_end)):
                if taken:
                    self.ledger.delivered(account, number)
                elif not self.stopping:
                    raise Refused(f"LMTP refused message {number} for {account}")
            if self.stopping:
                break
        lmtp.close()

    def drain(self, dice):
        account = dice.choice(ACCOUNTS)
        gone_before = self.ledger.gone_now(account)
        pop = Pop3(self.server.pop3_port, account, PASSWORD)
        listing = pop.listing()
        # Fetch what is new, and some of the rest; an old UIDL must still be what it was.
        unknown = [entry for entry in listing if self.ledger.number_of(account, entry[1]) is None]
        known = [entry for entry in listing if self.ledger.number_of(account, entry[1]) is not None]
        fetched = {}
        chosen = {number: (uidl, octets) for number, uidl, octets in unknown[:200] + dice.sample(known, min(len(known), 5))}
        for number, message in pop.fetch(chosen):
            uidl, octets = chosen[number]
            fetched[number] = self.ledger.seen(account, uidl, octets, message)
        for number, uidl, _ in listing:
            message = self.ledger.number_of(account, uidl)
            if message in gone_before:
                raise Broken(f"{account}: message {message} was removed before this session began and is in its listing")
        # Most of it goes, so that the maildrops stay small enough to be checked whole.
        leaving = [(n, self.ledger.number_of(account, uidl)) for n, uidl, _ in listing if dice.random() < 0.7]
        leaving = [(n, message) for n, message in leaving if message is not None]
        pop.send(b"".join(b"DELE %d\r\n" % n for n, _ in leaving))
        for n, _ in leaving:
            pop.reply(f"DELE {n}")
        end = dice.random()
        if end < 0.2:
            pop.close()     # no QUIT: nothing may be removed
            return
        if end < 0.3:
            pop.command("RSET")
            leaving = []
        for _, message in leaving:
            self.ledger.set_state(account, message, "leaving")
        pop.command("QUIT")
        self.ledger.removed(account, [message for _, message in leaving])
        pop.close()


def check_everything(server, ledger):
    """No client is at work: every maildrop is read whole and compared with what was promised."""
    messages = 0
    for account in ACCOUNTS:
        pop = Pop3(server.pop3_port, account, PASSWORD)
        listing = {number: (uidl, octets) for number, uidl, octets in pop.listing()}
        present = [ledger.seen(account, *listing[number], message) for number, message in pop.fetch(listing)]
        pop.command("QUIT")
        ledger.settle(account, present)
        messages += len(present)
    return messages


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    kills_wanted = options.kills if options.kills or options.seconds else 200
    print(f"seed {seed} (the moment of each kill also depends on the machine)", flush=True)
    dice = random.Random(seed)
    ledger = Ledger(seed)
    counts = {"kills": 0, "kills while starting": 0, "clean stops": 0, "index taken away": 0}
    slowest_start = 0.0
    began = told = time.monotonic()

    with PierServer(options.pier, tls=False, settings=SETTINGS) as server:
        server.cli("domain", "add", DOMAIN)
        for account in ACCOUNTS:
            server.add_account(account, PASSWORD)

        def enough():
            if kills_wanted and counts["kills"] >= kills_wanted:
                return True
            return bool(options.seconds) and time.monotonic() - began > options.seconds

        while not enough():
            if dice.random() < 0.1:
                server.start_and_kill(dice.uniform(0.0, 0.15))
                counts["kills"] += 1
                counts["kills while starting"] += 1
            slowest_start = max(slowest_start, server.start())
            messages = check_everything(server, ledger)
            load = Load(server, ledger, dice)
            time.sleep(dice.uniform(0.0, 0.6))  # the moment of the kill
            if dice.random() < 0.04:
                load.stopping = True
                server.stop()
                counts["clean stops"] += 1
            else:
                load.stopping = True
                server.kill()
                counts["kills"] += 1
            load.join()
            if dice.random() < 0.03:
                shutil.rmtree(server.folder / "data/index")
                counts["index taken away"] += 1
            if time.monotonic() - told > 20:
                told = time.monotonic()
                print(f"{counts['kills']} kills, {ledger.next_number} messages sent, {messages} in the maildrops", flush=True)

        server.start()
        check_everything(server, ledger)
        server.stop()
        server.cli("store", "verify")
        server.cli("store", "rebuild")
        server.start()
        messages = check_everything(server, ledger)
        server.stop()

    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    print(f"{ledger.next_number} messages sent, {ledger.told['250']} deliveries acknowledged, {ledger.told['+OK']} sessions with removals "
          f"acknowledged, {messages} messages left; slowest start {slowest_start:.2f} s; {time.monotonic() - began:.0f} s in all")
    print("nothing acknowledged was lost, nothing removed came back, every UIDL and octet stayed")


if __name__ == "__main__":
    try:
        main()
    except (Broken, Failed, Refused, Lost) as problem:
        sys.exit(f"FAILED {type(problem).__name__}: {problem}")
