"""The wall clock is set back an hour, forward a year, and back again, while the server runs and while it does not."""
import re

from dialogue import ACCOUNTS, COMMANDS, Dialogue, Pop3, new_ledger, prepare, read_everything
from ledger import Broken
from shim import FaultyServer

HOUR, YEAR = 3600, 365 * 86400
SETTINGS = '[store]\nspool_memory_max = "64 KiB"\nsegment_size_max = "1 MiB"\npurge_after = "1h"\n'
# Seconds beside the true time, and whether the server is started anew there. (After a year its certificate has expired, and it does not start.)
MOVES = [(0, False), (-HOUR, False), (-HOUR, True), (0, False), (YEAR, False), (YEAR - HOUR, False), (0, True), (-HOUR, True)]


def expect_ascending(server, ledger):
    """A later message has the larger UIDL (its GUID), whatever the clock said."""
    for account in ACCOUNTS:
        pop = Pop3(Dialogue(server, ledger, messages=0), account, "USER", "plain")
        pop.list_all()
        uidls = [pop.uidls[number] for number in sorted(pop.uidls)]
        if uidls != sorted(set(uidls)):
            raise Broken(f"{account}: UIDLs are not unique and ascending: {uidls}")
        pop.close()


def run(options):
    with FaultyServer(options.pier, options.shim, settings=SETTINGS) as server:
        ledger = new_ledger(options.seed)
        prepare(server, ledger)
        for moved, (offset, restart) in enumerate(MOVES):
            if restart:
                server.stop()
            server.control.move_clock(offset)
            if restart:
                server.start()
            for _ in range(2):
                dialogue = Dialogue(server, ledger)
                dialogue.run()
                if dialogue.lost or dialogue.commands != COMMANDS or dialogue.answers["451"]:
                    raise Broken(f"with the clock at {offset} s: {dict(dialogue.answers)}, {dialogue.lost} connections lost:\n{server.log_tail()}")
                expect_ascending(server, ledger)
            read_everything(server, ledger, leave=2 + moved)
        times = sorted(re.findall(r"^time=(\S+)", server.new_log(), re.MULTILINE))
        if int(times[-1][:4]) - int(times[0][:4]) < 1:
            raise Broken(f"the server's clock did not move: its log goes from {times[0]} to {times[-1]}")
        server.stop()
        server.cli("store", "verify")
        server.cli("store", "rebuild")
        server.start()
        read_everything(server, ledger)
        server.stop()
    print(f"the clock was set {len(MOVES) - 1} times (an hour back, a year on, back again), {sum(restart for _, restart in MOVES)} times between "
          f"two starts; {ledger.told['250']} deliveries, every UIDL unique and ascending, nothing lost")
