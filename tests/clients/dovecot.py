"""Debian's Dovecot as the server that mail is moved from: POP3, IMAP and LMTP with a folder, ports and accounts of its own; as a
child, never as a service."""
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from pier_server import Failed, free_ports, make_certificates

DOVECOT = "/usr/sbin/dovecot"
START_SECONDS = 30
CONFIG = """\
base_dir = @FOLDER@/run
state_dir = @FOLDER@/state
instance_name = pier-migrate
listen = 127.0.0.1
protocols = pop3 imap lmtp
first_valid_uid = @UID@
last_valid_uid = @UID@
log_path = @FOLDER@/dovecot.log
ssl = yes
ssl_cert = <@FOLDER@/tls/server.pem
ssl_key = <@FOLDER@/tls/server.key
auth_mechanisms = plain login
auth_master_user_separator = *
mail_location = @LOCATION@
@SETTINGS@
passdb {
  driver = passwd-file
  master = yes
  args = scheme=PLAIN username_format=%u @FOLDER@/masters
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u @FOLDER@/users
}
userdb {
  driver = static
  args = uid=@UID@ gid=@GID@ home=@FOLDER@/mail/%n allow_all_users=yes
}
namespace inbox {
  inbox = yes
  separator = /
}
service pop3-login {
  inet_listener pop3 {
    port = @POP3@
  }
  inet_listener pop3s {
    port = @POP3S@
    ssl = yes
  }
}
service imap-login {
  inet_listener imap {
    port = @IMAP@
  }
  inet_listener imaps {
    port = @IMAPS@
    ssl = yes
  }
}
service lmtp {
  inet_listener lmtp {
    port = @LMTP@
  }
}
"""


class Dovecot:
    """`location`: mail_location. `users` and `masters`: {name: password}."""

    def __init__(self, location, users, masters, settings=""):
        if os.getuid() != 0 or not Path(DOVECOT).exists():
            raise Failed(f"needs root and {DOVECOT} (packaging/install-deps.sh test)")
        self.folder = Path(tempfile.mkdtemp(prefix="pier-dovecot-"))
        self.folder.chmod(0o755)
        make_certificates(self.folder / "tls")
        self.ca = self.folder / "tls/ca.pem"
        owner = pwd.getpwnam("dovecot")
        (self.folder / "mail").mkdir()
        os.chown(self.folder / "mail", owner.pw_uid, owner.pw_gid)
        self.pop3_port, self.pop3s_port, self.imap_port, self.imaps_port, self.lmtp_port = free_ports(5)
        text = CONFIG
        for name, value in {"FOLDER": self.folder, "UID": owner.pw_uid, "GID": owner.pw_gid, "LOCATION": location, "SETTINGS": settings,
                            "POP3": self.pop3_port, "POP3S": self.pop3s_port, "IMAP": self.imap_port, "IMAPS": self.imaps_port,
                            "LMTP": self.lmtp_port}.items():
            text = text.replace(f"@{name}@", str(value))
        (self.folder / "dovecot.conf").write_text(text)
        for file, passwords in (("users", users), ("masters", masters)):
            (self.folder / file).write_text("".join(f"{user}:{{PLAIN}}{password}\n" for user, password in passwords.items()))

    def maildir(self, user):
        return self.folder / "mail" / user.split("@")[0] / "Maildir"

    def __enter__(self):
        self.process = subprocess.Popen([DOVECOT, "-F", "-c", self.folder / "dovecot.conf"], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        for port in (self.pop3_port, self.imap_port, self.lmtp_port):
            while not self.greets(port):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Failed(f"dovecot did not start; its log is in {self.folder / 'dovecot.log'}")
                time.sleep(0.1)
        return self

    @staticmethod
    def greets(port):
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as peer:
                return peer.recv(1) != b""
        except OSError:
            return False

    def __exit__(self, kind, *_):
        self.process.terminate()
        self.process.wait()
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            print(f"dovecot's folder stays for a look: {self.folder}", flush=True)
