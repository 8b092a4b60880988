"""Debian's Dovecot for the suite: its own defaults, with a folder, ports and one account of its own; as a child, never as a service."""
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from target import DOMAIN, PASSWORD, Failed, Target, free_ports, make_certificates

DOVECOT = "/usr/sbin/dovecot"
START_SECONDS = 30
CONFIG = """\
base_dir = @FOLDER@/run
state_dir = @FOLDER@/state
instance_name = pier-attacks
listen = 127.0.0.1
protocols = pop3 lmtp
first_valid_uid = @UID@
last_valid_uid = @UID@
log_path = @FOLDER@/dovecot.log
ssl = yes
ssl_cert = <@FOLDER@/tls/server.pem
ssl_key = <@FOLDER@/tls/server.key
auth_mechanisms = plain login scram-sha-256
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u @FOLDER@/users
}
userdb {
  driver = static
  args = uid=@UID@ gid=@GID@ home=@FOLDER@/mail/%n allow_all_users=yes
}
mail_location = maildir:~/mail
service pop3-login {
  inet_listener pop3 {
    port = @POP3@
  }
  inet_listener pop3s {
    port = @POP3S@
    ssl = yes
  }
}
service lmtp {
  inet_listener lmtp {
    port = @LMTP@
  }
}
"""


class DovecotTarget(Target):
    """Clients come from 127.0.0.2: Dovecot takes passwords without TLS when both ends have the same address."""

    def __init__(self, long=False):
        if os.getuid() != 0 or not Path(DOVECOT).exists():
            raise Failed(f"needs root and {DOVECOT} (packaging/install-deps.sh bench)")
        self.folder = Path(tempfile.mkdtemp(prefix="pier-dovecot-"))
        self.folder.chmod(0o755)
        make_certificates(self.folder / "tls")
        owner = pwd.getpwnam("dovecot")
        (self.folder / "mail").mkdir()
        os.chown(self.folder / "mail", owner.pw_uid, owner.pw_gid)
        pop3, pop3s, lmtp = free_ports(3)
        text = CONFIG
        for name, value in {"FOLDER": self.folder, "UID": owner.pw_uid, "GID": owner.pw_gid, "POP3": pop3, "POP3S": pop3s, "LMTP": lmtp}.items():
            text = text.replace(f"@{name}@", str(value))
        (self.folder / "dovecot.conf").write_text(text)
        user = f"ada@{DOMAIN}"
        (self.folder / "users").write_text(f"{user}:{{PLAIN}}{PASSWORD}\n")
        super().__init__("127.0.0.1", pop3, pop3s, user, PASSWORD, scratch=True, lmtp=lmtp, recipient=user, source="127.0.0.2", long=long)

    def __enter__(self):
        self.process = subprocess.Popen([DOVECOT, "-F", "-c", self.folder / "dovecot.conf"], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with self.clear() as peer:
                    if peer.greeting:
                        return self
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                log = self.folder / "dovecot.log"
                raise Failed(f"dovecot did not start; its log is in {log}")
            time.sleep(0.1)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
