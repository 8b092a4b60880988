"""What tests/clients/backends.py puts behind a server: a passwd-file; the system's PAM with users of its own."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

TIMEOUT_SECONDS = 2     # of the back ends


class Kind:
    """The real thing behind a back end named `name`. A context: what it has started ends with it."""
    name = ""
    needs_root = False
    finds_while_out = False     # users can be looked up though passwords cannot be checked

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pier-backend-"))
        self.folder.chmod(0o755)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def settings(self):
        """The section of the configuration."""
        return f'[[backend]]\nname = "{self.name}"\ntimeout = "{TIMEOUT_SECONDS}s"\n'

    def program(self, pier):
        """What is started as the server."""
        return pier

    def begin(self):
        """Before the server starts."""

    def put(self, user, password):
        """A user who is there from now on, or has another password."""
        raise NotImplementedError

    def remove(self, user):
        raise NotImplementedError

    def break_off(self):
        """Out of order, until mend()."""
        raise NotImplementedError

    def mend(self):
        raise NotImplementedError

    def own_rules(self):
        """Functions that take backends.Checks."""
        return ()


def hash_of(password):
    return subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password.encode(), capture_output=True,
                          check=True).stdout.decode().strip()


class PasswdFile(Kind):
    name = "file"

    def __init__(self):
        super().__init__()
        self.users = {"someone": "someone:{PLAIN}unused"}
        self.file = self.folder / "users"

    def settings(self):
        return super().settings() + f'kind = "passwd-file"\nfile = "{self.file}"\n'

    def begin(self):
        self.write()

    def write(self):
        new = self.folder / "new"
        new.write_text("# users of the test\n" + "".join(line + "\n" for line in self.users.values()))
        new.rename(self.file)

    def put(self, user, password, extra=""):
        self.users[user] = f"{user}:{hash_of(password)}:1000:1000::/home/{user}::{extra}"
        self.write()

    def remove(self, user):
        del self.users[user]
        self.write()

    def break_off(self):
        self.file.unlink()

    def mend(self):
        self.write()

    def own_rules(self):
        def extra_fields(checks):
            self.put("full", "bucket", "userdb_quota_rule=*:storage=1K")
            checks.expect("a login with a quota", checks.login("full", "bucket"), "+OK")
            checks.expect("its quota", checks.account("full")["quota_octets"], 1024)
            self.put("far", "away", "allow_nets=192.0.2.0/24")
            checks.expect("from another network", checks.login("far", "away"), "-ERR [AUTH]")
            self.put("shut", "out", "nologin")
            checks.expect("nologin", checks.login("shut", "out"), "-ERR [SYS/PERM]")
            self.put("open", "door", "nopassword=y")
            checks.expect("nopassword", checks.login("open", "door"), "-ERR [AUTH]")
        return (extra_fields,)


class Pam(Kind):
    """pam_unix with users and passwords of its own: in a mount namespace in which they stand in place of the system's."""
    name = "pam"
    needs_root = True
    finds_while_out = True
    MOUNTED = ("passwd", "shadow", "pam.d")

    def __init__(self):
        super().__init__()
        self.users = {}
        (self.folder / "pam.d").mkdir()

    def settings(self):
        return super().settings() + 'kind = "pam"\nkeep_root = true\nthreads = 2\n'

    def program(self, pier):
        wrapper = self.folder / "pier-with-users"
        mounts = " && ".join(f"mount --bind {self.folder}/{name} /etc/{name}" for name in self.MOUNTED)
        wrapper.write_text(f"#!/bin/sh\nexec unshare --mount sh -c '{mounts} && exec {pier} \"$@\"' sh \"$@\"\n")
        wrapper.chmod(0o755)
        return wrapper

    def begin(self):
        for name in ("passwd", "shadow"):
            (self.folder / name).write_text(Path("/etc", name).read_text())
        (self.folder / "pam.d/other").write_text("auth required pam_deny.so\naccount required pam_deny.so\n")
        self.mend()
        self.write()

    def write(self):
        # In place: the mounted file stays the same.
        passwd, shadow = Path("/etc/passwd").read_text(), Path("/etc/shadow").read_text()
        for number, (user, (password, expires)) in enumerate(self.users.items()):
            passwd += f"{user}:x:{20000 + number}:100::/nonexistent:/usr/sbin/nologin\n"
            shadow += f"{user}:{password}:19000:0:99999:7::{expires}:\n"
        (self.folder / "passwd").write_text(passwd)
        (self.folder / "shadow").write_text(shadow)

    def put(self, user, password, expires=""):
        self.users[user] = (hash_of(password), expires)
        self.write()

    def remove(self, user):
        del self.users[user]
        self.write()

    def service(self, *lines):
        (self.folder / "pam.d/pier").write_text("".join(line + "\n" for line in lines))

    def break_off(self):
        self.service("auth required pam_no_such_module.so", "account required pam_unix.so")

    def mend(self):
        self.service("auth required pam_unix.so", "account required pam_unix.so")

    def let_go(self):
        """Scripts that outlive the worker which has started them: until none waits for a writer any more."""
        while True:
            try:
                os.close(os.open(self.folder / "never", os.O_WRONLY | os.O_NONBLOCK))
            except OSError:
                return

    def own_rules(self):
        def expired(checks):
            self.put("late", "yesterday", expires=1)
            checks.expect("an account that has expired", checks.login("late", "yesterday"), "-ERR [SYS/PERM]")
            checks.expect("with a wrong password", checks.login("late", "today"), "-ERR [AUTH]")
            checks.expect("his mail", checks.recipient("late@pier.example"), "250")

        def system_users(checks):
            checks.expect("mail for daemon", checks.recipient("daemon@pier.example"), "550")
            checks.expect("a login as root", checks.login("root", "x"), "-ERR [AUTH]")

        def a_module_that_blocks(checks):
            script = self.folder / "block"
            script.write_text(f"#!/bin/sh\nread line <{self.folder}/never\n")
            script.chmod(0o755)
            subprocess.run(["mkfifo", self.folder / "never"], check=True)
            self.service(f"auth required pam_exec.so {script}", "account required pam_unix.so")
            checks.server.cli("account", "forget")
            checks.expect("a login that hangs", checks.login("ada", "pencil"), "-ERR [SYS/TEMP]")
            checks.expect("a built-in account meanwhile", checks.login("root-of-mail", "at-home"), "+OK")
            checks.expect("a second login that hangs", checks.login("ada", "pencil"), "-ERR [SYS/TEMP]")
            self.mend()
            # Every thread of the worker hangs: it ends by itself, and another one is made.
            while not checks.login("ada", "pencil").startswith(b"+OK"):
                pass
            self.let_go()
        return (expired, system_users, a_module_that_blocks)
