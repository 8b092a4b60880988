"""A Pier server whose system calls can be made to fail while it runs: pier_faults.cc, loaded in front of the C library."""
import errno
import mmap
import re
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "clients"), str(HERE.parent / "crash")]
from ledger import Broken
from pier_server import Failed, PierServer

SHORT = -1
FAULTS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "EMFILE": errno.EMFILE, "ENOMEM": errno.ENOMEM, "EINTR": errno.EINTR, "short": SHORT}
# The order is that of Call in pier_faults.cc.
CALLS = ["none", "open", "read", "write", "sync", "truncate", "allocate", "rename", "unlink", "stat", "map", "accept", "receive", "send",
         "send_file", "epoll_ctl", "epoll_wait"]
END_SECONDS = 20


class Control:
    """The memory that is shared with the server: `Control` of pier_faults.cc."""

    def __init__(self, path):
        path.write_bytes(bytes(4096))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 4096)

    def arm(self, fault, at, for_good=False):
        """From now on the `at`-th call that can have `fault` gets it (0: they are counted alone)."""
        struct.pack_into("<7I", self.memory, 4, at, int(for_good), 0, 0, 0, 0, 0)
        struct.pack_into("<i", self.memory, 0, FAULTS[fault])

    def disarm(self):
        """Gives how many calls were counted, how many failed, and what the first of them was."""
        struct.pack_into("<i", self.memory, 0, 0)
        counted, hits, call, socket = struct.unpack_from("<4I", self.memory, 12)
        return counted, hits, f"{CALLS[call]}{' of a socket' if socket else ''}"

    def move_clock(self, seconds):
        struct.pack_into("<q", self.memory, 32, seconds)


class FaultyServer(PierServer):
    def __init__(self, pier, shim, **options):
        super().__init__(pier, **options)
        self.control = Control(self.folder / "faults")
        self.environment = {"LD_PRELOAD": str(Path(shim).resolve()), "PIER_FAULTS": str(self.folder / "faults")}
        self.log_read = 0

    def new_log(self):
        """What the log has got since the last call."""
        if not self.log.exists():
            return ""
        with open(self.log, "rb") as log:
            log.seek(self.log_read)
            text = log.read().decode(errors="replace")
        self.log_read += len(text.encode())
        if "event=session.bug" in text:
            raise Broken("an exception ended a session:\n" + "\n".join(line for line in text.splitlines() if "session.bug" in line))
        return text

    def ended_on_purpose(self, log):
        """Whether the store has failed, so that the server ends. It must do so with status 1 and say why: anything else is a crash."""
        if "event=store.failed" not in log and self.process.poll() is None:
            return False
        try:
            status = self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            raise Broken("the store has failed, but the server does not end")
        log += self.new_log()
        self.process = None
        if status != 1 or not re.search(r"event=store\.failed .*reason=.*hint=", log):
            raise Broken(f"the server ended with status {status} and without saying that the store failed:\n{self.log_tail()}")
        return True

    def starts(self):
        """True if it did. If it did not it must have said why, and ended with a status of its own: anything else is a crash."""
        try:
            self.start()
            return True
        except Failed as failed:
            status, log = self.process.poll(), self.new_log()
            if status is None and re.search(r'event=notify\.failed state="?READY=1', log):
                return True     # it is ready, but could not tell
            self.process = None
            if status not in (1, 2) or not re.search(r"event=start\.failed .*reason=|^pier: .*;", log, re.MULTILINE):
                raise Broken(str(failed))
            return False
