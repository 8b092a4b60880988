"""What the tests of `pier doctor` share: a server that is asked, and what its answer must hold.

A fault is provoked, and the answer must name its code; beside it only what the test itself expects, and what this machine
really has (a clock that nobody sets). Notes do not count."""
import contextlib
import ctypes
import json
import os
import poplib
import subprocess

from pier_server import Failed, PierServer

PASSWORD = "correct horse battery"
OUTSIDE = "192.0.2.7"       # nobody's: documentation (RFC 5737)


def clock_is_set():
    """Whether the kernel says so: a container mostly has nobody who sets it."""
    asked = ctypes.create_string_buffer(1024)
    return ctypes.CDLL(None).ntp_adjtime(asked) not in (-1, 5)


MACHINE = set() if clock_is_set() else {"clock_unsynchronised"}


def totp(secret, now):
    """RFC 6238 with SHA-1, as authenticator apps do it."""
    import base64
    import hashlib
    import hmac
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, int(now // 30).to_bytes(8, "big"), hashlib.sha1)
    at = digest[-1] & 15
    return f"{(int.from_bytes(digest[at:at + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


class Doctor:
    named = set()       # the codes that were provoked and found, of all doctors
    faults = 0

    def __init__(self, server, as_user=None):
        self.server, self.as_user = server, as_user

    def ask(self, *words, input=b"", as_user=None):
        """The exit status and the answer."""
        options = {"user": as_user, "group": as_user, "extra_groups": []} if as_user else {}
        done = subprocess.run([self.server.pier, "--config", str(self.server.config), "doctor", *map(str, words), "--json"], input=input,
                              capture_output=True, timeout=120, **options)
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError:
            raise Failed(f"pier doctor {' '.join(map(str, words))} has no answer: {done.stdout.decode()}{done.stderr.decode()}")

    def expect(self, what, code, *words, beside=(), **options):
        """The fault is named, and nothing that has nothing to do with it."""
        status, answer = self.ask(*words, **options)
        if "findings" not in answer:
            raise Failed(f"{what}: {answer}")
        findings = [one for one in answer["findings"] if one["severity"] != "note"]
        found = [one["code"] for one in findings]
        if code not in found:
            raise Failed(f"{what}: {code} is not named, but {json.dumps(findings, indent=1)}")
        others = set(found) - {code} - set(beside) - MACHINE
        if others:
            raise Failed(f"{what}: {sorted(others)} have nothing to do with it: {json.dumps(findings, indent=1)}")
        for one in findings:
            if not (one["cause"] and one["step"]):
                raise Failed(f"{what}: a finding without cause or step: {one}")
        if status != 1:
            raise Failed(f"{what}: exit status {status} with findings")
        Doctor.named.add(code)
        Doctor.faults += 1
        print(f"ok: {what}: {code}", flush=True)
        return answer

    def expect_nothing(self, what, *words, **options):
        status, answer = self.ask(*words, **options)
        codes = {one["code"] for one in answer["findings"] if one["severity"] != "note"}
        if codes - MACHINE or status != (1 if codes else 0):
            raise Failed(f"{what}: status {status}, {json.dumps(answer, indent=1)}")
        print(f"ok: {what}: nothing", flush=True)
        return answer

    def login(self, what, code, user, *words, source=OUTSIDE, password=None, beside=()):
        """`code` empty: it succeeds."""
        given = ["--password-file", "-"] if password else []
        words = ["login", user, "--from", source, *given, *words]
        input = (password or "").encode() + b"\n"
        if code:
            return self.expect(what, code, *words, beside=beside, input=input)
        answer = self.expect_nothing(what, *words, input=input)
        if not answer["succeeds"]:
            raise Failed(f"{what}: {answer}")
        return answer


@contextlib.contextmanager
def running(pier, accounts=("ada",), domain="pier.example", **settings):
    """A server with accounts, started."""
    with PierServer(pier, **settings) as server:
        if domain:
            server.cli("domain", "add", domain)
        for account in accounts:
            server.add_account(account, PASSWORD)
        server.start()
        yield server


def log_in(server, user, password, port=None):
    """A POP3 session that stays; None: refused."""
    client = poplib.POP3("127.0.0.1", port or server.pop3_port, timeout=60)
    client.user(user)
    try:
        client.pass_(password)
    except poplib.error_proto:
        client.close()
        return None
    return client


def change_config(server, *replacements, append=""):
    """Each replacement must hit."""
    text = server.config.read_text()
    for old, new in replacements:
        if old not in text:
            raise Failed(f"the configuration has no {old!r}")
        text = text.replace(old, new)
    server.config.write_text(text + append)


def need_root(why):
    if os.geteuid() == 0:
        return True
    print(f"SKIPPED, which needs root: {why}", flush=True)
    return False
