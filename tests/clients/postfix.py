"""Debian's Postfix, unpacked by packaging/install-deps.sh unpack, as a process of its own: a configuration, a queue and a port in a
folder that is the caller's. Its master must start as root.

    postfix = Postfix(unpacked, folder, "transport_maps = …")
    postfix.start(); …; postfix.stop()
"""
import grp
import os
import pwd
import socket
import subprocess
import time

from pier_server import Failed, free_ports

START_SECONDS, STOP_SECONDS = 20, 20

SERVICES = """
smtp_port  inet n - n - -  smtpd
cleanup    unix n - n - 0  cleanup
qmgr       unix n - n 300 1  qmgr
rewrite    unix - - n - -  trivial-rewrite
bounce     unix - - n - 0  bounce
defer      unix - - n - 0  bounce
trace      unix - - n - 0  bounce
flush      unix n - n 1000? 0  flush
proxymap   unix - - n - -  proxymap
error      unix - - n - -  error
retry      unix - - n - -  error
lmtp       unix - - n - -  lmtp
smtp       unix - - n - -  smtp
discard    unix - - n - -  discard
tlsmgr     unix - - n 1000? 1  tlsmgr
scache     unix - - n - 1  scache
anvil      unix - - n - 1  anvil
postlog    unix-dgram n - n - 1  postlogd
"""


class Postfix:
    def __init__(self, unpacked, folder, settings, services=""):
        """`settings`: lines of main.cf beside those below; `services`: the same of master.cf."""
        self.root = unpacked / "postfix"
        self.folder = folder
        self.process = None
        self.port, = free_ports(1)
        self.environment = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": f"{self.root}/usr/lib/postfix",
                            "MAIL_CONFIG": str(folder / "etc")}
        owner = pwd.getpwnam("mail")
        for name in ("etc", "data", "spool"):
            (folder / name).mkdir(parents=True)
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop", "pid", "private",
                     "public", "saved", "trace"):
            (folder / "spool" / name).mkdir()
            os.chown(folder / "spool" / name, owner.pw_uid, -1)
        os.chown(folder / "spool/pid", 0, -1)
        os.chown(folder / "data", owner.pw_uid, -1)
        folder.chmod(0o755)
        (folder / "etc/main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = {self.root}/usr/sbin
daemon_directory = {self.root}/usr/lib/postfix/sbin
shlib_directory = {self.root}/usr/lib/postfix
meta_directory = {folder}/etc
import_environment = MAIL_CONFIG LD_LIBRARY_PATH
export_environment = MAIL_CONFIG LD_LIBRARY_PATH
# Users of Debian's base system stand in for the package's own.
mail_owner = mail
setgid_group = {grp.getgrnam("news").gr_name}
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
{settings}
""")
        (folder / "etc/master.cf").write_text(SERVICES.replace("smtp_port", f"127.0.0.1:{self.port}") + services)

    def start(self):
        master = f"{self.root}/usr/lib/postfix/sbin/master"
        output = open(self.folder / "output", "wb")
        self.process = subprocess.Popen([master, "-c", str(self.folder / "etc"), "-d"], env=self.environment, stdout=output, stderr=output)
        deadline = time.monotonic() + START_SECONDS
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"postfix does not listen on port {self.port} (status {self.process.poll()}):\n{self.log()}")
            time.sleep(0.05)

    def log(self):
        return "\n".join((self.folder / name).read_text(errors="replace") for name in ("output", "log") if (self.folder / name).exists())

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(STOP_SECONDS)
