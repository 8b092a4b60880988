"""One bit of a sealed segment is flipped: that message is refused with a clear error, all others are served, and `pier store verify`
reports it, while the server runs and while it does not."""
import random
import subprocess

from dialogue import ACCOUNTS, Dialogue, Lmtp, Pop3, new_ledger, prepare, read_everything
from ledger import HEADER, Broken
from shim import FaultyServer

SETTINGS = '[store]\nspool_memory_max = "64 KiB"\nsegment_size_max = "1 MiB"\n'
MESSAGES = 80


def flip(path, octet, bit):
    with open(path, "r+b") as file:
        file.seek(octet)
        old = file.read(1)[0]
        file.seek(octet)
        file.write(bytes([old ^ 1 << bit]))


def read_maildrop(server, ledger, account):
    """Gives the numbers that were read whole, and the answers to those that were not."""
    dialogue = Dialogue(server, ledger, messages=0)
    pop = Pop3(dialogue, account, "USER", "plain")
    pop.list_all()
    good, refused = [], []
    for number in sorted(pop.uidls):
        pop.ask(f"RETR {number}")
        line = pop.expect()
        if line.startswith("+OK"):
            good.append(ledger.seen(account, pop.uidls[number], int(pop.sizes[number]), pop.multiline()))
        else:
            refused.append(line)
    pop.quit()
    return good, refused


def verify(server):
    done = subprocess.run([server.pier, "--config", server.config, "store", "verify"], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def expect_damage(server, ledger, all_numbers, damaged, where):
    for account in ACCOUNTS:
        good, refused = read_maildrop(server, ledger, account)
        if sorted(good) != [number for number in all_numbers if number != damaged] or len(refused) != 1 or "damaged" not in refused[0]:
            raise Broken(f"{where}: {account} gets {len(good)} of {len(all_numbers)} messages, and {refused}")
    log = server.new_log()
    if "event=pop3.message.unreadable" not in log or "pier store verify" not in log:
        raise Broken(f"{where}: the log does not say that a message is damaged:\n{server.log_tail()}")
    status, text = verify(server)
    if status == 0 or "damaged" not in text and "checksum" not in text:
        raise Broken(f"{where}: pier store verify ends with {status} while the server runs: {text}")


def run(options):
    dice = random.Random(options.seed)
    rounds = min(options.runs, 50)
    with FaultyServer(options.pier, options.shim, settings=SETTINGS) as server:
        ledger = new_ledger(options.seed)
        prepare(server, ledger)
        dialogue = Dialogue(server, ledger, messages=MESSAGES)
        lmtp = Lmtp(dialogue, server.lmtp_port)
        for number in dialogue.numbers:
            lmtp.deliver(ACCOUNTS, number)
        lmtp.end()
        all_numbers, _ = read_maildrop(server, ledger, "ada")
        all_numbers.sort()
        segments = sorted((server.folder / "data/log").glob("*.seg"))[:-1]
        if len(segments) < 2:
            raise Broken("there are no sealed segments")
        for _ in range(rounds):
            segment = dice.choice(segments)
            octets = segment.read_bytes()
            places = {number: octets.find(HEADER + b"%d\r\n" % number) for number in all_numbers}
            damaged = dice.choice([number for number, at in places.items() if at >= 0])
            octet, bit = places[damaged] + dice.randrange(len(ledger.make(damaged, ledger.seed))), dice.randrange(8)
            flip(segment, octet, bit)   # under a running server that has verified the message a moment ago
            expect_damage(server, ledger, all_numbers, damaged, f"bit {bit} of octet {octet} of {segment.name}")
            server.stop()
            status, text = verify(server)
            if status == 0 or "damaged" not in text:
                raise Broken(f"pier store verify ends with {status} without the server: {text}")
            server.start()
            expect_damage(server, ledger, all_numbers, damaged, "after a restart")
            flip(segment, octet, bit)
            for account in ACCOUNTS:
                if sorted(read_maildrop(server, ledger, account)[0]) != all_numbers:
                    raise Broken("the bit is as it was, but the message is not served")
        read_everything(server, ledger)
        server.stop()
        server.cli("store", "verify")
    print(f"{rounds} bits flipped, each in one of {len(segments)} sealed segments: that message was refused, "
          f"the {len(all_numbers) - 1} others of each maildrop were served")
