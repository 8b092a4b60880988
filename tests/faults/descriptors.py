"""The server's file descriptors are used up: by clients that connect without end, and by a limit that is lowered to what it has open."""
import os
import resource
import socket
import time

from dialogue import ACCOUNTS, Dialogue, Lmtp, Pop3, new_ledger, prepare, read_everything
from ledger import Broken
from mail_protocols import Lost
from shim import FaultyServer

SETTINGS = '[store]\nspool_memory_max = "64 KiB"\nsegment_size_max = "1 MiB"\n'
CLIENTS = 300
LIMIT = 200


def lowest_free(server):
    """Descriptors are given out from the lowest on: with this as the limit there are none."""
    taken = {int(name) for name in os.listdir(f"/proc/{server.process.pid}/fd")}
    return next(number for number in range(len(taken) + 1) if number not in taken)


def wait_until_settled(server):
    """Connections that their clients have closed are closed by the server a moment later, and files that nobody uses."""
    before, since = None, time.monotonic()
    while time.monotonic() < since + 1:
        now = sorted(os.listdir(f"/proc/{server.process.pid}/fd"))
        if now != before:
            before, since = now, time.monotonic()
        time.sleep(0.05)


def set_limit(server, soft):
    _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (hard if soft is None else soft, hard))


def connect(server, count):
    """Gives the sockets, and how many were greeted with +OK."""
    sockets, greeted = [], 0
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", server.pop3_port), timeout=5)
        sockets.append(one)
    for one in sockets:
        try:
            greeted += one.recv(200).startswith(b"+OK")
        except OSError:
            pass
    return sockets, greeted


def deliver(lmtp, ledger, count):
    """On a session that is there already: new segments and spool files are needed for it. Gives the codes."""
    before = dict(lmtp.dialogue.answers)
    for _ in range(count):
        lmtp.deliver(ACCOUNTS, ledger.new_message()[0])
    return {code: n - before.get(code, 0) for code, n in lmtp.dialogue.answers.items() if n != before.get(code, 0)}


def greeted_again(server):
    """After the limit is gone the listeners wake within a second or two."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        sockets, greeted = connect(server, 1)
        for one in sockets:
            one.close()
        if greeted:
            return
    raise Broken(f"there are descriptors again, but nobody is greeted:\n{server.log_tail()}")


def run(options):
    with FaultyServer(options.pier, options.shim, settings=SETTINGS) as server:
        ledger = new_ledger(options.seed)
        prepare(server, ledger)
        dialogue = Dialogue(server, ledger)
        lmtp = Lmtp(dialogue, server.lmtp_port)
        pop = Pop3(dialogue, "ada", "USER", "plain")
        pop.list_all()
        server.new_log()

        # Clients take all there are but what is kept for the store.
        set_limit(server, LIMIT)
        sockets, greeted = connect(server, CLIENTS)
        told = deliver(lmtp, ledger, 40)
        if set(told) != {"250", "354"}:
            raise Broken(f"while clients hold all descriptors deliveries are answered {told}:\n{server.log_tail()}")
        if pop.retrieve(1) is None:
            raise Broken("a session of before cannot read any more")
        log = server.new_log()
        if log.count("event=descriptors.short") != 1 or not 0 < greeted < LIMIT:
            raise Broken(f"{greeted} of {CLIENTS} clients were greeted; the log:\n{server.log_tail()}")
        for one in sockets:
            one.close()
        set_limit(server, None)
        greeted_again(server)

        # Not one can be opened: whoever needs one is refused, and nothing fails for good.
        wait_until_settled(server)
        server.new_log()
        set_limit(server, lowest_free(server))
        waiting = [socket.create_connection(("127.0.0.1", server.pop3_port), timeout=5) for _ in range(20)]
        refused = deliver(lmtp, ledger, 40)
        if not set(refused) <= {"250", "354", "451"}:
            raise Broken(f"without a descriptor deliveries are answered {refused}")
        pop.retrieve(1)
        time.sleep(2.5)     # the listeners try again every second, and must not say so every time
        log = server.new_log()
        if server.process.poll() is not None or "event=store.failed" in log:
            raise Broken(f"the server is gone or its store has failed for want of a descriptor:\n{server.log_tail()}")
        failures = log.count("event=accept.failed")
        if not 1 <= failures <= 4:
            raise Broken(f"the log says {failures} times that nobody can be accepted, not once for a listener's thread")
        set_limit(server, None)
        greeted_again(server)
        for one in waiting:
            one.close()
        again = deliver(lmtp, ledger, 10)
        if set(again) != {"250", "354"}:
            raise Broken(f"there are descriptors again, but deliveries are answered {again}")
        lmtp.end()
        try:
            pop.quit()
        except Lost:
            pass
        read_everything(server, ledger)
        server.stop()
        server.cli("store", "verify")
    print(f"{CLIENTS} clients under a limit of {LIMIT}: {greeted} were greeted, the others told to come later, deliveries went on ({told}); "
          f"without a single descriptor: {refused}; both are over without a restart, nothing lost")
