"""PostgreSQL and slapd for a test, each with a folder, ports and data of its own: Debian's programs, unpacked by
packaging/install-deps.sh unpack and run from there.

    with Postgres(unpacked, folder) as postgres:
        postgres.load("CREATE TABLE …")         # while it is stopped
        postgres.start(); …; postgres.stop()
"""
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from pier_server import Failed, free_ports

READY_SECONDS = 60
STOP_SECONDS = 30


class DirectoryServer:
    """A process that is started and stopped several times; its log is in its folder."""

    def __init__(self, folder):
        self.folder = folder
        self.log = folder / "server.log"
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process:
            self.resume()   # a child that stands still would outlive the others
            self.stop()
        if kind is not None and self.log.exists():
            print(f"the end of {self.log}:\n" + "\n".join(self.log.read_text(errors="replace").splitlines()[-15:]), flush=True)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(), cwd=self.folder)
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{type(self).__name__} does not start:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)   # no longer than it takes to be ready

    def stop(self):
        process, self.process = self.process, None
        process.send_signal(self.end_signal)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed(f"{type(self).__name__} did not end within {STOP_SECONDS} s")

    def pause(self):
        """It takes connections, and answers nothing: what a hanging server looks like."""
        for pid in self.pids():
            os.kill(pid, signal.SIGSTOP)
            # Its threads stop one after the other, and one may still answer.
            while any(stat.read_text().rpartition(")")[2].split()[0] != "T" for stat in Path(f"/proc/{pid}/task").glob("*/stat")):
                time.sleep(0.01)

    def resume(self):
        for pid in self.pids() if self.process.poll() is None else []:
            os.kill(pid, signal.SIGCONT)

    def pids(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def environment(self):
        return dict(os.environ)

    def run(self, command, text=""):
        done = subprocess.run([str(word) for word in command], input=text.encode(), capture_output=True, env=self.environment(), cwd=self.folder, timeout=300)
        if done.returncode != 0:
            raise Failed(f"{command[0]} ended with status {done.returncode}:\n{(done.stdout + done.stderr).decode(errors='replace')[-2000:]}")
        return done.stdout + done.stderr


class Postgres(DirectoryServer):
    """Its user "pier" has the password PASSWORD over TCP; tables belong in the database "postgres"."""
    end_signal = signal.SIGINT   # fast: sessions are ended
    password = "between the data base and us"

    def __init__(self, unpacked, folder):
        folder.mkdir()
        super().__init__(folder)
        (self.port,) = free_ports(1)
        # It refuses to be root, and who it then is may not enter the folders above the unpacked one.
        installed = unpacked / "postgresql-15/usr"
        self.program = folder / "usr/lib/postgresql/15/bin"
        for part in ("lib/postgresql/15/bin", "lib/postgresql/15/lib", "share/postgresql/15"):
            shutil.copytree(installed / part, folder / "usr" / part, ignore=shutil.ignore_patterns("bitcode", "man", "llvmjit*"))
        (folder / "owner").write_text(self.password + "\n")
        self.as_user = []
        if os.geteuid() == 0:
            self.as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
            subprocess.run(["chown", "-R", "nobody:nogroup", folder], check=True)
        self.run([*self.as_user, self.program / "initdb", "-D", folder / "data", "--username=pier", "--auth=scram-sha-256",
                  f"--pwfile={folder}/owner", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"])

    def environment(self):
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def command(self):
        return [*map(str, self.as_user), str(self.program / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), "-h", "127.0.0.1",
                "-k", str(self.folder), "-c", "fsync=off", "-c", "max_connections=20"]

    def start(self):
        self.log.unlink(missing_ok=True)
        super().start()

    def is_ready(self):
        return b"database system is ready to accept connections" in self.log.read_bytes()

    def load(self, sql):
        """Statements, each on a line of its own."""
        said = self.run([*self.as_user, self.program / "postgres", "--single", "-D", self.folder / "data", "postgres"], sql + "\n")
        if b"ERROR" in said:
            raise Failed(f"PostgreSQL does not take the test's data:\n{said.decode(errors='replace')}")


class Slapd(DirectoryServer):
    """A directory dc=example, whose rootdn is cn=admin,dc=example; ldap:// with StartTLS, ldaps:// and ldapi://."""
    end_signal = signal.SIGTERM
    password = "between the directory and us"

    def __init__(self, unpacked, folder, certificates, rules="", suffix="dc=example"):
        """`certificates`: the folder of make_certificates(). `rules`: more lines of slapd.conf."""
        folder.mkdir()
        super().__init__(folder)
        self.root = unpacked / "slapd"
        self.port, self.tls_port = free_ports(2)
        self.socket = folder / "ldapi"
        self.suffix = suffix
        (folder / "data").mkdir()
        schema = "\n".join(f"include {self.root}/etc/ldap/schema/{name}.schema" for name in ("core", "cosine", "inetorgperson"))
        (folder / "slapd.conf").write_text(f"""{schema}
pidfile {folder}/slapd.pid
modulepath {self.root}/usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile {certificates}/ca.pem
TLSCertificateFile {certificates}/server.pem
TLSCertificateKeyFile {certificates}/server.key
{rules}
""")

    def environment(self):
        libraries = next((self.root / "usr/lib").glob("*/libslapi-*")).parent   # its folder is named after the machine
        return {**os.environ, "LD_LIBRARY_PATH": str(libraries), "LDAPNOINIT": "1"}

    def urls(self):
        # By number: libldap compares a certificate for localhost with the machine's own name.
        return [f"ldap://127.0.0.1:{self.port}", f"ldaps://127.0.0.1:{self.tls_port}", f"ldapi://{str(self.socket).replace('/', '%2F')}"]

    def other_name(self):
        """The same server where its certificate does not fit."""
        return f"ldap://127.0.0.2:{self.port}"

    def slapd(self, *words):
        return [str(self.root / "usr/sbin/slapd"), *words, "-f", str(self.folder / "slapd.conf")]

    def command(self):
        return [*self.slapd("-d", "0"), "-h", " ".join([*self.urls(), self.other_name()])]

    def is_ready(self):
        for port in (self.port, self.tls_port):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) != 0:
                    return False
        return self.socket.exists()

    def load(self, ldif):
        self.run([*self.slapd("-T", "add")], ldif)
