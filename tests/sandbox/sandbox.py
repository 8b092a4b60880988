#!/usr/bin/env python3
"""The sandbox of a real `pier serve`, the systemd unit's list of system calls, and how the program is built.

usage: sandbox.py --source DIR --pier PROGRAM server|dropped|unit|off|binary

server   what the kernel says of every thread, and that all works under load: deliveries, POP3 over TLS, a renewed
         certificate, a rotated log, management, a clean stop
dropped  the same after the start as root and the change to another user
unit     the same under the unit's list of system calls and its one capability
off      with server.sandbox = false all works, and log and status say so
binary   position-independent, read-only tables, guarded stacks
"""
import argparse
import ctypes
import json
import os
import poplib
import pwd
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "clients"), str(TESTS / "crash")]
from mail_protocols import Lmtp
from pier_server import Failed, PierServer, make_certificates

PASSWORD = "correct horse battery"
USER = "nobody"
NO_CAPABILITY = "0000000000000000"
MESSAGES = 40
SMALL_DISK_OCTETS = 60 << 20  # below four reserves of 16 MiB
SKIPPED = 77  # for ctest
UNDER_UNIT = "--under-unit"  # how this script starts itself in front of the server
SETTINGS = '[store]\nsegment_size_max = "1 MiB"\npurge_after = "0s"\n'


def expect(condition, text):
    if not condition:
        raise Failed(text)


def wait_until(what, condition):
    deadline = time.monotonic() + 30
    while not condition():
        expect(time.monotonic() < deadline, f"{what}: not within 30 s")
        time.sleep(0.05)


def check_process(server, bounding):
    """What the kernel says of the server and of each of its threads; `bounding` empty: who is not root keeps that set."""
    pid = server.process.pid
    threads = list(Path(f"/proc/{pid}/task").iterdir())
    expect(len(threads) > 8, f"only {len(threads)} threads: this looks at the wrong process")
    for thread in threads:
        status = dict(line.split(":\t", 1) for line in (thread / "status").read_text().splitlines())
        name = f"thread {thread.name} ({status['Name']})"
        expect(status["NoNewPrivs"] == "1", f"{name} may get new privileges")
        expect(status["Seccomp"] == "2", f"{name} has no list of system calls")
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            expect(status[kind] == NO_CAPABILITY, f"{name} has {kind} {status[kind]}")
        expect(status["CapBnd"] == (bounding or status["CapBnd"]), f"{name} has CapBnd {status['CapBnd']}")
    limits = Path(f"/proc/{pid}/limits").read_text()
    expect(re.search(r"Max core file size +0 +0 ", limits), f"core dumps are on:\n{limits}")
    # A process that may not be dumped belongs to root under /proc, whoever it runs as.
    expect(Path(f"/proc/{pid}/environ").stat().st_uid == 0, "another process of the same user may read its memory")
    said = server.status()["sandbox"]
    expect(said["seccomp"] is True, f"pier status says {said}")
    expect(said["landlock"] >= 1, f"pier status says {said}: this kernel has no Landlock, or it is switched off")
    return len(threads), said["landlock"]


class Server(PierServer):
    """A server with its log in a file, and everything that it needs in folders of its own."""

    def __init__(self, pier, prefix=(), user=""):
        self.prefix = list(map(str, prefix))
        super().__init__(pier, settings=SETTINGS)
        (self.folder / "log").mkdir()
        self.own_log = self.folder / "log/events"
        text = self.config.read_text().replace('user = ""', f'user = "{user}"') + f'[log]\nfile = "{self.own_log}"\n'
        # Certificates as certbot keeps them: a link into an archive.
        (self.folder / "tls/archive").mkdir()
        (self.folder / "run").mkdir()
        for name in ("server.pem", "server.key"):
            (self.folder / "tls" / name).rename(self.folder / "tls/archive" / f"1-{name}")
            (self.folder / "tls" / name).symlink_to(f"archive/1-{name}")
        self.lmtp_socket = self.folder / "run/lmtp.sock"
        for name in ("admin.sock", "lmtp.sock"):
            text = text.replace(f"{self.folder}/{name}", f"{self.folder}/run/{name}")
        self.config.unlink()
        self.config = self.folder / "etc/pier.toml"
        self.config.parent.mkdir()
        self.config.write_text(text)
        program, self.pier = self.pier, str(self.folder / "pier")
        # What starts the server stands before it; the commands run without.
        Path(self.pier).write_text("#!/bin/sh\n" + f'case "$*" in *" serve") exec {" ".join(self.prefix)} {program} "$@";; esac\nexec {program} "$@"\n')
        Path(self.pier).chmod(0o755)

    def start(self):
        # Whoever the server is, it may write to the socket on which it says that it is ready.
        before = os.umask(0)
        try:
            return super().start()
        finally:
            os.umask(before)

    def status(self):
        return json.loads(self.cli("--json", "status"))

    def give_to(self, user):
        who = pwd.getpwnam(user)
        for folder, _, files in os.walk(self.folder):
            for name in [folder, *(os.path.join(folder, file) for file in files)]:
                os.chown(name, who.pw_uid, who.pw_gid, follow_symlinks=False)

    def log_text(self):
        return self.own_log.read_text() + self.log.read_text(errors="replace")


def deliver(server, count):
    lmtp = Lmtp(server.lmtp_port)
    for number in range(count):
        message = b"Subject: %d\r\n\r\n" % number + (b"x" * 70 + b"\r\n") * (2000 if number % 10 == 0 else 1)
        taken = lmtp.deliver(["ada@sandbox.example"], message, False, lambda: None)
        expect(taken == [True], f"delivery {number} was refused")
    lmtp.close()


def fetch_all(server, remove, ca):
    """POP3 over TLS, and STLS: every message, and with `remove` they are removed."""
    context = ssl.create_default_context(cafile=str(ca))
    client = poplib.POP3_SSL("localhost", server.pop3s_port, timeout=60, context=context)
    client.user("ada")
    client.pass_(PASSWORD)
    count, _ = client.stat()
    for number in range(1, count + 1):
        client.retr(number)
        if remove:
            client.dele(number)
    client.quit()
    plain = poplib.POP3("localhost", server.pop3_port, timeout=60)
    plain.stls(context)
    plain.user("ada")
    plain.pass_(PASSWORD)
    left, _ = plain.stat()
    plain.quit()
    expect(not remove or left < count, f"{count} messages were removed and {left} are there")
    return count


def renew_certificate(server, user):
    """A new authority, certificate and key in the archive; the links are turned by rename, as certbot does."""
    fresh = server.folder / "fresh"
    make_certificates(fresh)
    for name in ("server.pem", "server.key"):
        target = server.folder / "tls/archive" / f"2-{name}"
        (fresh / name).rename(target)
        if user:
            shutil.chown(target, user)
        link = server.folder / "tls" / f"next-{name}"
        link.symlink_to(f"archive/2-{name}")
        link.rename(server.folder / "tls" / name)
    return fresh / "ca.pem"


def works(server, bounding=NO_CAPABILITY, user="", prepare=lambda: None, small_disk=False):
    """Load on a confined server from start to stop, and another start that makes the index anew."""
    server.cli("domain", "add", "sandbox.example")
    server.add_account("ada", PASSWORD)
    server.cli("alias", "add", "ada@sandbox.example", "ada")
    prepare()
    server.start()
    threads, landlock = check_process(server, bounding)
    problems = []

    def load():
        try:
            deliver(server, MESSAGES)
        except Exception as problem:
            problems.append(problem)

    workers = [threading.Thread(target=load) for _ in range(3)]
    for worker in workers:
        worker.start()
    server.add_account("grace", PASSWORD)
    server.cli("deliver", "grace", input=b"Subject: by hand\n\nHello.\n")
    server.cli("import", "eml", "grace", *sorted((TESTS.parent / "samples").glob("*.eml"))[:10])
    for _ in range(3):
        fetch_all(server, False, server.ca)
    for worker in workers:
        worker.join()
    expect(not problems, f"under load: {problems[:1]}")
    expect(fetch_all(server, True, server.ca) == 3 * MESSAGES, "not every delivered message was there")

    # The certificate is replaced and the log rotated: both are taken up.
    ca = renew_certificate(server, user)
    server.own_log.rename(server.folder / "log/events.1")
    server.cli("reload")
    fetch_all(server, False, ca)
    expect(server.own_log.exists() and "event=reloaded" in server.own_log.read_text(), "the rotated log was not opened anew")
    # A file elsewhere is out of reach, and the answer says so; the old certificate stays.
    elsewhere = server.folder / "elsewhere"
    shutil.copytree(server.folder / "tls/archive", elsewhere)
    if user:
        shutil.chown(elsewhere / "2-server.pem", user)
    before = server.config.read_text()
    server.config.write_text(before.replace(f"{server.folder}/tls/server.pem", f"{elsewhere}/2-server.pem"))
    refused = subprocess.run([server.pier, "--config", str(server.config), "reload"], capture_output=True, text=True)
    server.config.write_text(before)
    expect(refused.returncode != 0 and "restart Pier" in refused.stderr, f"a certificate elsewhere was taken, or not explained: {refused}")
    fetch_all(server, False, ca)
    if small_disk:
        wait_until("the cleaner removes a segment", lambda: json.loads(server.cli("--json", "store", "stats"))["cleaned_segments"] > 0)
    check_process(server, bounding)
    server.stop()
    expect(not (server.folder / "run/lmtp.sock").exists(), "the stopped server left its socket")
    shutil.rmtree(server.folder / "data/index")
    server.start()
    check_process(server, bounding)
    server.stop()
    bad = [line for line in server.log_text().splitlines()
           if re.search(r"level=error|not permitted|not implemented|Permission denied", line) and "tls.reload.failed" not in line]
    expect(not bad, "the server's log tells of refused calls or files:\n" + "\n".join(bad[:5]))
    expect("event=sandbox " in server.log_text(), "the log does not tell of the sandbox")
    print(f"{threads} threads confined (Landlock {landlock}); {3 * MESSAGES} deliveries, TLS, renewal, rotation, cleaning, stop and rebuilding work")


def server(top, pier):
    with Server(pier) as started:
        works(started, bounding=NO_CAPABILITY if os.geteuid() == 0 else "")


def only_root():
    if os.geteuid() != 0:
        print("this needs root")
        sys.exit(SKIPPED)


def dropped(top, pier):
    only_root()
    with Server(pier, user=USER) as started:
        # The log is opened before the change of the user, and again after it.
        started.own_log.touch()
        # On a disk that is short of space the cleaner comes every two seconds.
        data = started.folder / "data"
        data.mkdir(mode=0o700)
        small = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_OCTETS},mode=700", "tmpfs", data], capture_output=True)
        shutil.chown(data, USER)
        try:
            works(started, user=USER, prepare=lambda: started.give_to(USER), small_disk=small.returncode == 0)
        finally:
            if small.returncode == 0:
                subprocess.run(["umount", "--lazy", data], check=True)
        print("with the cleaner" if small.returncode == 0 else f"without the cleaner: {small.stderr.decode().strip()}")


def unit_settings(top):
    settings = {}
    for line in (top / "packaging/systemd/pier.service").read_text().splitlines():
        key, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            settings.setdefault(key, []).append(value)
    return settings


def calls_of(words):
    """The names that a list of systemd's stands for; @groups are asked of systemd-analyze."""
    names = set()
    for word in words:
        if not word.startswith("@"):
            names.add(word)
            continue
        done = subprocess.run(["systemd-analyze", "syscall-filter", word], capture_output=True, text=True)
        expect(done.returncode == 0, f"systemd knows no {word}: {done.stderr}")
        names |= calls_of(line.strip() for line in done.stdout.splitlines()[1:] if line.strip() and not line.strip().startswith("#"))
    return names


def allowed_by_unit(top):
    """As systemd reads SystemCallFilter=: what is listed later adds to or takes from what came before."""
    allowed = set()
    for value in unit_settings(top)["SystemCallFilter"]:
        if value.startswith("~"):
            allowed -= calls_of(value[1:].split())
        else:
            allowed |= calls_of(value.split())
    return allowed


def restrict_like_unit(names):
    """seccomp through libseccomp, as systemd does: EPERM for what is not in the list."""
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_init.argtypes = [ctypes.c_uint32]
    lib.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    allow, eperm = 0x7FFF0000, 0x00050000 | 1
    context = lib.seccomp_init(eperm)
    for name in names:
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            expect(lib.seccomp_rule_add(context, allow, number, 0) == 0, f"no rule can be made for {name}")
    expect(lib.seccomp_load(context) == 0, "the unit's list of calls cannot be loaded")


def under_unit(calls, words):
    """Becomes `words` with the rights that the unit gives; `calls`: their names, with commas between."""
    who = pwd.getpwnam(USER)
    # systemd changes the user before it restricts calls; setpriv does so behind us.
    restrict_like_unit(set(calls.split(",")) | {"setuid", "setresuid", "setgid", "setresgid", "setgroups"})
    os.execvp("setpriv", ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups", "--bounding-set=-all,+net_bind_service",
                          "--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service", "--no-new-privs", *words])


def unit(top, pier):
    only_root()
    expect(unit_settings(top)["CapabilityBoundingSet"] == ["CAP_NET_BIND_SERVICE"], "this test gives the one capability that the unit had when it was written")
    prefix = [sys.executable, __file__, UNDER_UNIT, ",".join(sorted(allowed_by_unit(top)))]
    with Server(pier, prefix=prefix) as started:
        works(started, bounding="0000000000000400", user=USER, prepare=lambda: started.give_to(USER))


def off(top, pier):
    with Server(pier) as started:
        started.config.write_text(started.config.read_text().replace("[server]\n", "[server]\nsandbox = false\n"))
        started.cli("domain", "add", "sandbox.example")
        started.add_account("ada", PASSWORD)
        started.cli("alias", "add", "ada@sandbox.example", "ada")
        started.start()
        for thread in Path(f"/proc/{started.process.pid}/task").iterdir():
            expect("\nSeccomp:\t0\n" in (thread / "status").read_text(), f"thread {thread.name} has a list of system calls")
        expect(started.status()["sandbox"] == {"landlock": 0, "seccomp": False}, f"pier status says {started.status()['sandbox']}")
        expect("event=sandbox.off" in started.log_text() and "server.sandbox = false" in started.log_text(), "the log does not say that the sandbox is off")
        deliver(started, MESSAGES)
        expect(fetch_all(started, True, started.ca) == MESSAGES, "not every delivered message was there")
        started.stop()
    print("not confined, and said so")


def binary(top, pier):
    def readelf(*options):
        return subprocess.run(["readelf", "--wide", *options, pier], capture_output=True, text=True, check=True).stdout

    expect(re.search(r"Type: +DYN", readelf("--file-header")), "the program is not position-independent")
    segments = readelf("--program-headers")
    stack = re.search(r"GNU_STACK.*?(R\S*) +0x", segments).group(1)
    expect(stack == "RW", f"the stack is {stack}")
    expect("GNU_RELRO" in segments, "the tables of addresses stay writable (no GNU_RELRO)")
    expect(not re.search(r"LOAD.* RWE ", segments), "a segment is both writable and executable")
    dynamic = readelf("--dynamic")
    expect("BIND_NOW" in dynamic or re.search(r"FLAGS.*\bNOW\b", dynamic), "symbols are bound while running (no BIND_NOW)")
    expect(not re.search(r"R(UN)?PATH", dynamic), "the program looks for libraries in folders of its own")
    symbols = readelf("--dyn-syms")
    expect("__stack_chk_fail" in symbols, "stacks are not guarded")
    fortified = sorted(set(re.findall(r"\b(__\w+_chk)\b", symbols)))
    expect(fortified, "no function of the C library is fortified")
    notes = readelf("--notes")
    cet = re.search(r"x86 feature: (.*)", notes)
    code = subprocess.run(["objdump", "--disassemble", "--no-show-raw-insn", pier], capture_output=True, text=True, check=True).stdout if os.uname().machine == "x86_64" else "endbr64"
    expect("endbr64" in code, "indirect branches are not marked (-fcf-protection)")
    print(f"position-independent, full RELRO, guarded stack, {code.count('endbr64')} marked branch targets, fortified: {', '.join(fortified)}; CET note: {cet.group(1) if cet else 'none, the C library has none'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, type=Path)
    parser.add_argument("--pier", required=True)
    parser.add_argument("part", choices=["server", "dropped", "unit", "off", "binary"])
    options = parser.parse_args()
    top, pier = options.source.resolve(), str(Path(options.pier).resolve())
    {"server": server, "dropped": dropped, "unit": unit, "off": off, "binary": binary}[options.part](top, pier)


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == [UNDER_UNIT]:
            under_unit(sys.argv[2], sys.argv[3:])
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
