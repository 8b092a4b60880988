"""Rows 24 and 25: slow clients, idle clients, and a server that runs out of descriptors."""
import contextlib
import os
import socket
import threading
import time

from peer import Peer, Silent, err, ok, shown
from table import NotRun, Unsafe, expect, row
from target import LARGE, Lmtp, Memory, PierTarget, raise_descriptors

IDLE = 10_000
DESCRIPTORS_OF_OUR_OWN = 500
SLOW_GROWTH_MAX = 16 << 20
SHORT_SECONDS = 2
SHORT_LIMITS = f'[pop3]\nlogin_timeout = "{SHORT_SECONDS}s"\nidle_timeout = "{SHORT_SECONDS}s"\n'
FEW_DESCRIPTORS = 150
RECOVERY_SECONDS = 10


def recovered(target):
    """Whether somebody can log in, soon."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while time.monotonic() < deadline:
        try:
            target.session().close()
            return True
        except (OSError, Silent, Unsafe):
            time.sleep(0.1)
    return False


@row(24, f"{IDLE:,} connections that never log in", "a cap; others are served as before")
def idle_connections(target):
    count = min(IDLE, raise_descriptors() - DESCRIPTORS_OF_OUR_OWN)
    idle, refused = [], 0
    with contextlib.ExitStack() as stack, target.session() as served:
        for number in range(count):
            try:
                connection = stack.enter_context(socket.create_connection(target.pop3, timeout=10))
            except OSError:
                refused += 1
                continue
            idle.append(connection)
        expect(ok(served.ask("NOOP")) and ok(served.ask("LIST")) and served.multiline() is not None, "a session from before is not served any more")
        looked_at = idle[::97]
        closed = 0
        for connection in looked_at:
            connection.settimeout(5)
            closed += not connection.recv(512).startswith(b"+OK")
        try:
            with target.tls() as late:
                answer = late.log_in(target.user, target.password)
        except (OSError, Silent):
            answer = None
        if ok(answer):
            late = "a new login too"
        else:
            with target.clear() as one_more:
                expect(one_more.greeting is None or err(one_more.greeting), f"a new login is refused ({shown(answer)}), and a new connection is greeted: "
                       f"{shown(one_more.greeting)}")
                late = f"a new connection is told {shown(one_more.greeting)}"
    expect(recovered(target), "no login after they have left")
    return f"{len(idle):,} held ({closed} of {len(looked_at)} looked at were closed), {refused} not taken; a session from before is served, {late}"


@row(24, "more connections than limits.connections_max", "refused with a word; the others go on", needs_pier=True)
def over_the_cap(target):
    with PierTarget(target.server.pier, "[limits]\nconnections_max = 20\n") as capped, capped.session() as served, contextlib.ExitStack() as stack:
        greetings = [stack.enter_context(capped.clear()).greeting for _ in range(40)]
        let_in = sum(map(ok, greetings))
        expect(let_in < 20 and all(g is None or ok(g) or err(g) for g in greetings), f"greetings: {greetings}")
        expect(ok(served.ask("NOOP")), "a session from before is not served any more")
        stack.close()
        expect(recovered(capped), f"no login {RECOVERY_SECONDS} s after the idle ones left")
        expect(b"event=connection.refused" in capped.log_text(), "the log says nothing")
    return f"{let_in} let in, {40 - let_in} told {shown(greetings[-1])}"




@row(24, "a client that asks for large messages and reads nothing", "memory stays flat, others are served as before")
def slow_reader(target):
    if target.lmtp:
        target.deliver([LARGE])
    with contextlib.ExitStack() as stack:
        number = None
        with target.session() as peer:
            sizes = [line.split() for line in (peer.ask_many("LIST") or b"").splitlines()]
            if not sizes:
                raise NotRun("needs a message in the mailbox")
            number = max(sizes, key=lambda entry: int(entry[1]))[0].decode()
        memory = Memory(target, SLOW_GROWTH_MAX)
        try:
            slow = [stack.enter_context(target.session()) for _ in range(10)]
        except Exception as problem:
            raise NotRun(f"ten sessions at once are not to be had here: {problem}")
        for peer in slow:
            peer.send(f"RETR {number}\r\n".encode() * 3)
        time.sleep(0.5)
        memory.look()
        with target.session() as other:
            expect(ok(other.ask("NOOP")), "another session is not served")
        text = memory.judge()
    return f"10 sessions wait for their reader, {text}; another session is served"


@row(24, "slow in everything: handshake, one octet a second, silence, never reading", "each closed after its time limit", needs_pier=True)
def time_limits(target):
    seen = {}

    def until_closed(name, peer, trickle):
        began = time.monotonic()
        peer.socket.settimeout(0.4)
        while time.monotonic() < began + 10 * SHORT_SECONDS:
            if trickle and not peer.send(trickle):
                break
            try:
                if not peer.receive():
                    break
            except Silent:
                pass
        else:
            seen[name] = None
            return
        seen[name] = time.monotonic() - began

    def never_reads(server, peer):
        peer.send(b"RETR 1\r\n")
        began = time.monotonic()
        ended = server.await_log(b"end=timeout commands=3", seconds=10 * SHORT_SECONDS)
        seen["a reader that reads nothing"] = time.monotonic() - began if ended else None

    short = PierTarget(target.server.pier, SHORT_LIMITS)
    config = short.server.config.read_text()
    short.server.config.write_text(config.replace("[tls]\n", f'[tls]\nhandshake_timeout = "{SHORT_SECONDS}s"\n', 1))
    with short as server, contextlib.ExitStack() as stack:
        server.deliver([LARGE])
        reader = stack.enter_context(server.session())
        peers = {"nothing said": (server.clear(), b""),
                 "an octet at a time": (server.clear(), b"U"),
                 "no handshake": (Peer(server.pop3s, greeting=False), b""),
                 "half a ClientHello": (Peer(server.pop3s, greeting=False), b""),
                 "good commands, no login": (server.clear(), b"CAPA\r\n"),
                 "silent after login": (server.session(), b"")}
        peers["half a ClientHello"][0].send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        threads = [threading.Thread(target=until_closed, args=(name, stack.enter_context(peer), trickle)) for name, (peer, trickle) in peers.items()]
        threads.append(threading.Thread(target=never_reads, args=(server, reader)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    open_still = [name for name, took in seen.items() if took is None]
    expect(not open_still, f"still open after {10 * SHORT_SECONDS} s: {', '.join(open_still)}")
    return f"limits of {SHORT_SECONDS} s: {len(seen)} kinds closed, the last after {max(seen.values()):.1f} s"


def program_with(target, limits, stack):
    """The program under `limits` (words of the shell's ulimit): a script that becomes it."""
    script = target.server.folder / "pier-limited"
    script.write_text(f'#!/bin/sh\nulimit {limits} || exit 9\nexec "{target.server.pier}" "$@"\n')
    script.chmod(0o755)
    stack.callback(os.unlink, script)
    return script


@row(25, "all file descriptors used up", "accepting pauses, says so, and goes on by itself", needs_pier=True)
def no_descriptors(target):
    with contextlib.ExitStack() as stack:
        limited = program_with(target, f"-n {FEW_DESCRIPTORS}", stack)
        # Segments of one MiB: a delivery needs a new file now and then.
        server = stack.enter_context(PierTarget(limited, '[store]\nsegment_size_max = "1 MiB"\n'))
        lmtp = Lmtp(server.lmtp)
        session = stack.enter_context(server.session())
        idle = [stack.enter_context(socket.create_connection(server.pop3, timeout=5)) for _ in range(2 * FEW_DESCRIPTORS)]
        said = server.await_log(b"event=descriptors.short")
        expect(said, "the log does not say that descriptors are used up")
        expect(ok(session.ask("NOOP")), "a session from before is not served any more")
        taken = [lmtp.deliver([server.recipient], b"Subject: now\r\n\r\n" + b"x" * 70 * 10000 + b"\r\n", False, lambda: None)[0] for _ in range(4)]
        expect(b"event=store.failed" not in server.log_text(), "the store has failed, and the server ends")
        for connection in idle:
            connection.close()
        began = time.monotonic()
        expect(recovered(server), f"no login {RECOVERY_SECONDS} s after descriptors came free; the log: {server.server.log_tail(1)}")
        took = time.monotonic() - began
        with server.session() as peer:
            there = int(peer.ask("STAT").split()[1])
        expect(there >= sum(taken), f"{sum(taken)} deliveries were acknowledged meanwhile, {there} are there")
        lmtp.close()
    return f"said in the log; {sum(taken)} of 4 deliveries went in meanwhile; logins again after {took:.1f} s"
