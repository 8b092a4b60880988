"""The power fails again and again under load: what was not synced is lost, in part or whole, last pages are torn, new names and renames are
lost, in the log and in the index (RocksDB's files) alike; after each restart every promise must hold."""
import json
import random
import time

import crash
from disk_model import CREATE, WRITE, Folder
from ledger import Broken, Ledger
from mail_protocols import Lmtp
from shim import FaultyServer

KEEP = [0.0, 0.0, 0.3, 0.7, 0.9, 1.0]   # the chance of what was not synced to be on the disk all the same


class PowerServer(FaultyServer):
    """Notes every change of its data folder."""

    def __init__(self, options, settings=crash.SETTINGS):
        super().__init__(options.pier, options.shim, tls=False, settings=settings)
        self.data, self.journal = self.folder / "data", self.folder / "journal"
        self.environment |= {"PIER_FAULTS_ROOT": str(self.data), "PIER_FAULTS_JOURNAL": str(self.journal)}
        self.disk = None

    def note_disk(self):
        """Before a start: all that is there is durable."""
        self.journal.unlink(missing_ok=True)
        self.disk = Folder(self.data)

    def lose_power(self, dice):
        """After a kill."""
        self.disk.replay(self.journal)
        keep = dice.choice(KEEP)
        self.disk.lose_power(keep, dice)
        return keep


def run(options):
    dice = random.Random(options.seed)
    ledger = Ledger(options.seed)
    began = told = time.monotonic()
    starting = 0
    with PowerServer(options) as server:
        server.cli("domain", "add", crash.DOMAIN)
        for account in crash.ACCOUNTS:
            server.add_account(account, crash.PASSWORD)
        for done in range(options.runs):
            server.note_disk()
            if dice.random() < 0.1:
                server.start_and_kill(dice.uniform(0.0, 0.2))
                starting += 1
            else:
                server.start()
                crash.check_everything(server, ledger)
                load = crash.Load(server, ledger, dice)
                time.sleep(dice.uniform(0.0, 0.5))  # the moment of the cut
                load.stopping = True
                server.kill()
                load.join()
            server.lose_power(dice)
            expect_no_damage(server)
            if time.monotonic() - told > 20:
                told = time.monotonic()
                print(f"{done + 1} cuts, {ledger.next_number} messages sent", flush=True)
        server.note_disk()
        server.start()
        messages = crash.check_everything(server, ledger)
        expect_no_damage(server)
        server.stop()
        server.cli("store", "verify")
        server.cli("store", "rebuild")
        server.start()
        crash.check_everything(server, ledger)
        server.stop()
    print(f"{options.runs} times the power failed, {starting} times while the server was starting; {ledger.next_number} messages sent, "
          f"{ledger.told['250']} deliveries and {ledger.told['+OK']} sessions with removals acknowledged, {messages} messages left; "
          f"nothing acknowledged was lost; {time.monotonic() - began:.0f} s")


def expect_no_damage(server):
    """What was durable is whole: the server must not find damage in it."""
    for line in server.new_log().splitlines():
        if "event=store.damaged" in line or "event=store.segment.damaged" in line:
            raise Broken(f"after the power failed: {line}")


class IndexFiles(Folder):
    """Watches what becomes of RocksDB's files."""

    def __init__(self, root):
        super().__init__(root)
        self.tables = 0
        self.logs = {}      # inode: path

    def step(self, op, name, inode, offset, data):
        super().step(op, name, inode, offset, data)
        if op == CREATE and "/index/" in name:
            self.tables += name.endswith(".sst")
            self.logs.pop(inode, None)
            if name.endswith(".log"):
                self.logs[inode] = name
        elif op == WRITE and inode in self.logs:
            raise Broken(f"{self.logs[inode]} is written to: RocksDB does not notice a hole that a power failure leaves in it")


def run_index(options):
    """So many deliveries that RocksDB writes them out several times. Then the power fails: what it had not written out is replayed from the
    log, no more and no less."""
    recipients, messages = 100, 800
    # The cleaner stays away: it writes the index out too.
    with PowerServer(options, "[store]\ncleaner = false\n") as server:
        server.cli("domain", "add", crash.DOMAIN)
        server.start()
        for number in range(recipients):
            server.add_account(f"a{number}", crash.PASSWORD)
        server.stop()
        server.journal.unlink(missing_ok=True)
        server.disk = IndexFiles(server.data)
        server.start()
        lmtp = Lmtp(server.lmtp_port)
        names = [f"a{number}@{crash.DOMAIN}" for number in range(recipients)]
        taken = 0
        for _ in range(messages):
            taken += sum(lmtp.deliver(names, b"Subject: x\r\n\r\nx\r\n", False, lambda: None))
        server.kill()
        server.disk.replay(server.journal)
        tables = server.disk.tables
        if tables < 2:
            raise Broken(f"{taken} deliveries did not make RocksDB write two tables: they are too few for this test")
        server.disk.lose_power(0.0, random.Random(options.seed))
        server.note_disk()
        server.start()
        there = sum(account["messages"] for account in json.loads(server.cli("--json", "account", "list"))["accounts"])
        if there != taken:
            raise Broken(f"{taken} deliveries were acknowledged, {there} messages are there")
        server.stop()
    print(f"{taken} deliveries made RocksDB write {tables} tables; then the power failed, and {there} messages are there")
