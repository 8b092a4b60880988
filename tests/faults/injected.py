"""Every system call of a dialogue of 200 commands fails in turn: EIO, ENOSPC, EMFILE, ENOMEM, EINTR, fewer octets than asked for; once,
and for good until the dialogue is over. Then, without faults, every promise is checked, and the next dialogue comes."""
import collections
import time

from dialogue import COMMANDS, REFUSED, SETTINGS, Dialogue, new_ledger, prepare, read_everything
from ledger import Broken
from pier_server import Failed
from shim import FAULTS, FaultyServer

# EINTR without end is no fault of a system: the kernel gives it once.
ONCE_ONLY = {"EINTR"}


class Injection:
    def __init__(self, server, ledger):
        self.server, self.ledger = server, ledger
        self.hits = collections.Counter()
        self.ended = collections.Counter()      # on purpose, by the call that failed
        self.refused = self.unhurt = 0

    def restart(self):
        self.server.start()
        self.server.new_log()

    def once(self, fault, at, for_good):
        """One dialogue with one fault."""
        server = self.server
        server.control.arm(fault, at, for_good)
        dialogue = Dialogue(server, self.ledger)
        dialogue.run()
        _, hits, what = server.control.disarm()
        log = server.new_log()
        if hits:
            self.hits[f"{fault} {what}"] += hits
        if server.ended_on_purpose(log):
            self.ended[f"{fault} {what}"] += 1
            if fault == "EINTR" or fault == "short" or "socket" in what:
                raise Broken(f"the store has failed because of {fault} in {what}:\n{server.log_tail()}")
            self.restart()
        elif dialogue.refused != REFUSED or dialogue.lost:
            self.refused += 1
        else:
            self.unhurt += 1
        read_everything(server, self.ledger)

    def places(self, fault):
        """How many calls of a dialogue can have the fault. They are not always the same number: threads come and go."""
        self.server.control.arm(fault, 0)
        dialogue = Dialogue(self.server, self.ledger)
        dialogue.run()
        counted, _, _ = self.server.control.disarm()
        if dialogue.commands != COMMANDS or dialogue.refused != REFUSED or dialogue.lost:
            raise Broken(f"without faults the dialogue has {dialogue.commands} commands, {dialogue.refused} refused, {dialogue.lost} connections lost")
        read_everything(self.server, self.ledger)
        return counted


def all_cases(count_places):
    cases = []
    for fault in FAULTS:
        count = count_places(fault)
        print(f"{fault}: {count} calls can have it", flush=True)
        for at in range(1, count + 1):
            cases.append((fault, at, False))
            if fault not in ONCE_ONLY:
                cases.append((fault, at, True))
    return cases


def run_cases(options, cases, once):
    """`options.sample`: as many of them, evenly spread, from an offset that the seed gives; 0: all. Gives how many."""
    told = time.monotonic()
    step = max(1, len(cases) // options.sample) if options.sample else 1
    chosen = cases[options.seed % step::step]
    for done, (fault, at, for_good) in enumerate(chosen):
        try:
            once(fault, at, for_good)
        except (Broken, Failed) as problem:
            raise Broken(f"{fault} at call {at}{' and from there on' if for_good else ''}: {problem}")
        if time.monotonic() - told > 20:
            told = time.monotonic()
            print(f"{done + 1} of {len(chosen)}", flush=True)
    return len(chosen)


def run(options):
    with FaultyServer(options.pier, options.shim, settings=SETTINGS) as server:
        ledger = new_ledger(options.seed)
        prepare(server, ledger)
        injection = Injection(server, ledger)
        began = time.monotonic()
        cases = all_cases(injection.places)
        done = run_cases(options, cases, injection.once)
        injection.places("EIO")     # once more a dialogue without faults
        server.stop()
        server.cli("store", "verify")
    print(f"{done} of {len(cases)} cases in {time.monotonic() - began:.0f} s: {sum(injection.hits.values())} calls failed; {injection.unhurt} "
          f"dialogues did not notice, {injection.refused} had something refused or a connection ended, in {sum(injection.ended.values())} the store "
          f"stopped the server on purpose; {ledger.told['250']} deliveries and {ledger.told['+OK']} sessions with removals acknowledged, nothing lost")
    for what, count in sorted(injection.hits.items()):
        print(f"  {count:5} {what}" + (f" ({injection.ended[what]} stopped the server)" if injection.ended[what] else ""))


def run_start(options):
    """The same for a start of the server: it starts, or says why it cannot; the next start, without faults, has everything."""
    with FaultyServer(options.pier, options.shim, settings=SETTINGS) as server:
        ledger = new_ledger(options.seed)
        prepare(server, ledger)
        server.kill()
        refused = collections.Counter()

        def places(fault):
            server.control.arm(fault, 0)
            server.start()
            counted, _, _ = server.control.disarm()
            server.kill()
            return counted

        def once(fault, at, for_good):
            server.control.arm(fault, at, for_good)
            started = server.starts()
            _, _, what = server.control.disarm()
            if not started:
                refused[f"{fault} {what}"] += 1
                server.start()
            elif server.ended_on_purpose(server.new_log()):
                server.start()
            read_everything(server, ledger)
            server.kill()

        began = time.monotonic()
        cases = all_cases(places)
        done = run_cases(options, cases, once)
        server.start()
        Dialogue(server, ledger).run()
        read_everything(server, ledger)
        server.stop()
        server.cli("store", "verify")
    print(f"{done} of {len(cases)} cases in {time.monotonic() - began:.0f} s: {sum(refused.values())} starts were refused with a reason; nothing lost")
    for what, count in sorted(refused.items()):
        print(f"  {count:5} {what}")
