"""The servers that can be put under load. Each is a class with the same few names, so that run.py knows no server:

    name                                what the tables call it
    start(), stop()                     in a temporary folder, on free loopback ports
    add_users([(name, password)])       before start(); each name is an address, and its maildrop is empty
    pid                                 of the process whose tree does the work
    pop3_port, pop3s_port, lmtp_port    POP3 with STLS, POP3 over TLS, LMTP
    syncs()                             (syncs, records made durable by them) since the start, or None
    about()                             {what a reader of the results should know of it: what}
"""
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/clients"))
from pier_server import Failed, PierServer, free_ports, make_certificates  # noqa: E402

DOMAIN = "bench.example"


class Limit:
    """pier_limit: the least that a server can do. It knows everybody, and forgets the mail when it stops."""
    name = "limit"

    def __init__(self, program):
        self.program = Path(program).resolve()
        self.folder = Path(tempfile.mkdtemp(prefix="pier-limit-"))
        make_certificates(self.folder / "tls")
        self.pop3_port, self.pop3s_port, self.lmtp_port = free_ports(3)
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "--pop3", str(self.pop3_port), "--pop3s", str(self.pop3s_port), "--lmtp", str(self.lmtp_port), "--file",
             self.folder / "mail", "--certificate", self.folder / "tls/server.pem", "--key", self.folder / "tls/server.key"],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        if self.process.stdout.readline() != b"ready\n":
            raise Failed("pier_limit did not start (its words are above)")

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    abandon = stop

    @property
    def pid(self):
        return self.process.pid

    def add_users(self, users):
        pass

    def syncs(self):
        return None

    def about(self):
        return {"folder_on": filesystem_of(self.folder)}


class Pier:
    """`pier serve` with nothing set but its folder, ports and certificate."""
    name = "pier"

    def __init__(self, program):
        self.server = PierServer(program)
        self.pop3_port, self.pop3s_port, self.lmtp_port = self.server.pop3_port, self.server.pop3s_port, self.server.lmtp_port

    def start(self):
        self.server.start()

    def stop(self):
        """Stops it and removes its folder."""
        self.server.__exit__(None, None, None)

    def abandon(self):
        """Kills it and leaves its folder, whose place is printed."""
        self.server.__exit__(*sys.exc_info())

    @property
    def pid(self):
        return self.server.process.pid

    def add_users(self, users):
        self.server.cli("domain", "add", DOMAIN)
        for name, password in users:
            self.server.add_account(name, password)

    def syncs(self):
        """(syncs, records made durable by them) since the start."""
        stats = json.loads(self.server.cli("--json", "store", "stats"))
        return stats["groups"], stats["group_records"]

    def about(self):
        version = self.server.cli("--version").decode().strip()
        return {"version": version, "folder_on": filesystem_of(self.server.folder)}


def filesystem_of(path):
    """The type of the file system that holds `path`: deliveries on a tmpfs are no measure of a disk."""
    best = ("", "?")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if (str(path) + "/").startswith(where.rstrip("/") + "/") and len(where) >= len(best[0]):
            best = (where, kind)
    return best[1]
