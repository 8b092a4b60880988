"""Rows 22, 23 and 27: guessing, locking an owner out, and addresses that have no business here. The guard's rows run on a Pier that has
`pier guard`; each takes addresses of its own from 127.0.0.0/8, which all lead here."""
import itertools
import json
import subprocess
import threading
import time

from peer import Peer, Silent, err, ok, shown, tls_context
from table import NotRun, expect, row
from target import PASSWORD, PierTarget, free_ports

GUESSES_MAX = 40
PAIR_MAX, ADDRESS_MAX, ACCOUNT_MAX = 6, 10, 20
LEAKED_MAX = 1      # counts fall slowly, so one failure more may be needed
DELAY_SECONDS = 1
SETTINGS = (f"[guard]\nenabled = true\ndelay_after = 3\ndelay_max = \"{DELAY_SECONDS}s\"\npair_failures_max = {PAIR_MAX}\naddress_failures_max = {ADDRESS_MAX}\n"
            f"account_failures_max = {ACCOUNT_MAX}\nblock_time = \"10m\"\n")
TOO_MANY = b"-ERR [SYS/TEMP] Too many failed logins"
guesses = itertools.count()


def guarded(target, more=""):
    """A Pier of its own with a guard that is quick to act."""
    known = subprocess.run([target.server.pier, "guard", "--help"], capture_output=True).returncode == 0
    if not (known and target.has_guard):
        raise NotRun("this Pier has no `pier guard`")
    return PierTarget(target.server.pier, SETTINGS + more, guard=True)


def guess(server, source, user, password=None):
    """The answer to a wrong password, never the same one twice; None if the connection is closed before it."""
    try:
        with server.tls(source=source) as peer:
            began = time.monotonic()
            answer = peer.log_in(user, password or f"guess {next(guesses)}")
            server.answer_seconds = time.monotonic() - began
            return answer
    except OSError:
        return None


def checks(server):
    return json.loads(server.server.cli("status", "--json"))["auth"]["checked"]


@row(22, "guessing on one connection", "closed, or slower and slower")
def guessing_on_a_connection(target):
    with target.tls() as peer:
        for number in range(GUESSES_MAX):
            began = time.monotonic()
            try:
                answer = peer.log_in("nobody-of-that-name", f"guess {number}")
            except Silent:
                return f"no answer any more at guess {number + 1}"
            if answer is None or peer.rest(0.05)[1]:
                return f"closed at guess {number + 1}"
            expect(err(answer), f"guess {number + 1}: {shown(answer)}")
            if time.monotonic() - began > 10:
                return f"guess {number + 1} is answered after {time.monotonic() - began:.0f} s"
    expect(False, f"{GUESSES_MAX} guesses and nothing happens")


@row(22, "one address guesses many names", "delays, then the address is closed out before TLS; it survives a restart", needs_pier=True)
def guessing_from_an_address(target):
    with guarded(target) as server:
        times = []
        while (answer := guess(server, "127.0.0.2", f"name-{len(times)}")) is not None:
            expect(err(answer), f"guess {len(times) + 1}: {shown(answer)}")
            times.append(server.answer_seconds)
            expect(len(times) <= ADDRESS_MAX + LEAKED_MAX, f"{len(times)} guesses, and the address is still let in")
        expect(min(times[4:]) >= DELAY_SECONDS, f"no delay: {[round(t, 2) for t in times]}")
        expect(guess(server, "127.0.0.2", "ada", PASSWORD) is None, "still let in")
        with Peer(server.pop3s, source="127.0.0.2", greeting=False) as peer:
            octets, ended = peer.rest(5)
        expect(ended and not octets, f"not closed at once: {octets!r}")
        expect(ok(guess(server, "127.0.0.5", "ada", PASSWORD)), "another address is closed out as well")
        expect(b"127.0.0.2" in server.server.cli("guard", "list", "--json"), "`pier guard list` does not show it")
        server.server.stop()
        server.server.start()
        expect(guess(server, "127.0.0.2", "ada", PASSWORD) is None, "a restart lets it in again")
        server.server.cli("guard", "unblock", "127.0.0.2")
        expect(ok(guess(server, "127.0.0.2", "ada", PASSWORD)), "unblocked, and not let in")
    return f"delays from guess 5 on, closed out after {len(times)}, also after a restart; `pier guard unblock` lets it in"


@row(22, "guessing in parallel", f"no more than {PAIR_MAX} passwords are checked", needs_pier=True)
def guessing_in_parallel(target):
    with guarded(target) as server:
        before = checks(server)
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(guess(server, "127.0.0.1", "ada"))) for _ in range(5 * PAIR_MAX)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        checked = checks(server) - before
        expect(not any(map(ok, answers)), "a wrong password was taken")
        expect(checked <= PAIR_MAX + LEAKED_MAX, f"{checked} passwords were checked")
        answer = guess(server, "127.0.0.1", "ada", PASSWORD)
        expect(answer is not None and answer.startswith(TOO_MANY), f"afterwards the right password gets {shown(answer)}")
    return f"{len(threads)} at once: {checked} checked; then {shown(answer)}"


@row(22, "a client with an old password, again and again", "the same wrong password counts once", needs_pier=True)
def same_wrong_password(target):
    with guarded(target) as server:
        for _ in range(3 * PAIR_MAX):
            answer = guess(server, "127.0.0.6", "ada", "the old password")
            expect(err(answer) and not answer.startswith(TOO_MANY), f"{shown(answer)}")
        expect(ok(answer := guess(server, "127.0.0.6", "ada", PASSWORD)), f"the right one gets {shown(answer)}")
    return f"{3 * PAIR_MAX} times the same: not counted as guessing"


@row(23, "an account is guessed from many addresses, to lock its owner out",
     "strangers are refused; the owner enters from where he was before", needs_pier=True)
def owner_locked_out(target):
    with guarded(target) as server:
        expect(ok(guess(server, "127.0.2.1", "ada", PASSWORD)), "the owner cannot log in")
        for number in range(ACCOUNT_MAX + LEAKED_MAX):
            guess(server, f"127.0.1.{number + 1}", "ada")
        stranger = guess(server, "127.0.1.200", "ada", PASSWORD)
        expect(stranger is not None and stranger.startswith(TOO_MANY), f"an address never seen: {shown(stranger)}")
        owner = guess(server, "127.0.2.1", "ada", PASSWORD)
        expect(ok(owner), f"the owner gets {shown(owner)}")
        expect(ok(guess(server, "127.0.1.201", "grace", PASSWORD)), "another account suffers")
    return f"after {ACCOUNT_MAX} failures a stranger gets {shown(stranger)}; the owner enters"


@row(27, "an address that the listener does not allow", "closed before TLS, logged", needs_pier=True)
def address_not_allowed(target):
    (port,) = free_ports(1)
    listener = (f'[[listener]]\nname = "walled"\nprotocol = "pop3s"\naddress = "127.0.0.1"\nport = {port}\n'
                'allow = ["127.0.3.0/24"]\ndeny = ["127.0.3.9"]\n')
    with guarded(target, listener) as server:
        walled = ("127.0.0.1", port)
        with Peer(walled, tls=tls_context(), source="127.0.3.1") as peer:
            expect(ok(peer.log_in("ada", PASSWORD)), "an allowed address cannot log in")
        for source in ("127.0.3.9", "127.0.4.1"):
            before = len(server.log_text())
            with Peer(walled, source=source, greeting=False) as peer:
                octets, ended = peer.rest(5)
            expect(ended and not octets, f"{source}: {octets!r}")
            expect(server.await_log(source.encode(), before), f"{source}: not logged")
    return "denied, and not in the list: closed before TLS and logged; allowed: let in"


@row(27, "an address that the account does not allow", "refused like a wrong password", needs_pier=True)
def address_not_of_the_account(target):
    with guarded(target) as server:
        server.server.cli("account", "allow", "grace", "127.0.5.0/24")
        expect(ok(guess(server, "127.0.5.1", "grace", PASSWORD)), "an allowed address cannot log in")
        answer = guess(server, "127.0.6.1", "grace", PASSWORD)
        expect(err(answer), f"from elsewhere: {shown(answer)}")
        expect(ok(guess(server, "127.0.6.1", "ada", PASSWORD)), "another account suffers")
    return f"from elsewhere: {shown(answer)}"
