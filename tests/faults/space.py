"""The disk is full, and has space again: LMTP is told 452, reading and removing go on, and deliveries are taken again without a restart.
The disk is a file system in memory that only this test sees; where it may not be mounted the part says so and does nothing."""
import os
import subprocess
import sys
from pathlib import Path

from dialogue import ACCOUNTS, SETTINGS, Dialogue, Lmtp, Lost, new_ledger, prepare, read_everything
from ledger import Broken
from pier_server import PierServer

LARGE = 1 << 30
RESERVE = 16 << 20      # what the server leaves for removing (LogStoreOptions::reserve_octets)
INSIDE = "PIER_FAULTS_SPACE"


def run(options):
    if os.environ.get(INSIDE) == "1":
        return run_inside(options)
    namespace = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
    if subprocess.run([*namespace, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True).returncode != 0:
        print("SKIPPED space: no file system may be mounted here, not even in a namespace of its own")
        return None
    words = [sys.executable, str(Path(__file__).with_name("faults.py")), "--pier", options.pier, "--shim", options.shim, "--seed",
             str(options.seed), "--runs", str(options.runs), "space"]
    if subprocess.run([*namespace, *words], env={**os.environ, INSIDE: "1"}).returncode != 0:
        raise Broken("see above")
    return None


class Disk:
    """A file system whose size is what the test says."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={LARGE},mode=700", "tmpfs", folder], check=True)

    def leave(self, octets):
        """So much is free from now on."""
        status = os.statvfs(self.folder)
        size = (status.f_blocks - status.f_bfree) * status.f_frsize + octets
        subprocess.run(["mount", "-o", f"remount,size={size}", self.folder], check=True)


def deliver_until_refused(server, ledger):
    """Gives how many were taken."""
    dialogue = Dialogue(server, ledger)
    lmtp = Lmtp(dialogue, server.lmtp_port)
    taken = 0
    while not dialogue.answers["452"]:
        number, _ = ledger.new_message()
        lmtp.deliver(ACCOUNTS, number)
        taken += 1
        if dialogue.answers["451"] or taken > 2000:
            raise Broken(f"a full disk is answered {dict(dialogue.answers)}, not 452:\n{server.log_tail()}")
    lmtp.end()
    return taken


def run_inside(options):
    rounds, told = min(options.runs, 20), {}
    with PierServer(options.pier, settings=SETTINGS) as server:
        disk = Disk(server.folder / "data")
        ledger = new_ledger(options.seed)
        prepare(server, ledger)
        process = server.process
        for at in range(rounds):
            disk.leave(RESERVE + (4 << 20))
            taken = deliver_until_refused(server, ledger)
            # Nearly full: the reserve is for removing. Then full to the last octet.
            for leave in (RESERVE // 2, 64 << 10, 0):
                disk.leave(leave)
                dialogue = Dialogue(server, ledger)
                dialogue.run()
                if dialogue.lost or not dialogue.answers["452"]:
                    raise Broken(f"with {leave} octets free: {dict(dialogue.answers)}, {dialogue.lost} connections lost:\n{server.log_tail()}")
                told = {code: told.get(code, 0) + count for code, count in dialogue.answers.items()} | {
                    code: count for code, count in told.items() if code not in dialogue.answers}
                if leave:
                    read_everything(server, ledger)
            disk.leave(LARGE)
            dialogue = Dialogue(server, ledger)
            dialogue.run()
            if dialogue.lost or dialogue.answers["452"] or dialogue.answers["451"]:
                raise Broken(f"there is space again, and still: {dict(dialogue.answers)}:\n{server.log_tail()}")
            read_everything(server, ledger)
            print(f"round {at + 1}: {taken} messages until the disk was nearly full", flush=True)
        if server.process is not process or process.poll() is not None:
            raise Broken("the server was not to be started again")
        server.kill()
        server.start()
        read_everything(server, ledger)
        server.stop()
        server.cli("store", "verify")
        subprocess.run(["umount", server.folder / "data"], check=True)
    print(f"{rounds} times the disk was full and had space again; while it was full: {told}; nothing lost, no restart")
