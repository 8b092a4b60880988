"""The server may have no more memory (RLIMIT_AS, set while it runs): it turns new sessions and logins away, and does not die."""
import resource
import socket
import threading
import time

from dialogue import ACCOUNTS, PASSWORD, SETTINGS, Dialogue, Lmtp, Pop3, new_ledger, prepare, read_everything
from ledger import Broken
from mail_protocols import Lost
from shim import FaultyServer

CLIENTS = 400
LOGINS = 6      # at the same time, each of which needs 19 MiB to check a password
ROOMS = [96, 70, 40, 8, 0]      # MiB that are left
SHORT = 64      # MiB: with less nobody new is taken (src/base/memory.h)
MIB = 1 << 20


def address_octets(server):
    with open(f"/proc/{server.process.pid}/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


def cap(server, octets):
    limit = resource.RLIM_INFINITY if octets is None else octets
    resource.prlimit(server.process.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def greetings(server, count):
    """Connects `count` clients. Gives the sockets and what each was told first."""
    sockets, told = [], []
    for _ in range(count):
        sockets.append(socket.create_connection(("127.0.0.1", server.pop3_port), timeout=10))
    for one in sockets:
        try:
            told.append(one.recv(200))
        except OSError:
            told.append(b"")
    return sockets, told


def make_it_look(server):
    """The server looks at its memory when somebody comes, a hundred times a second at most; who comes in that moment goes by
    what was found before."""
    time.sleep(0.05)
    for one in greetings(server, 1)[0]:
        one.close()


def log_in(one, name, answers):
    """On a connection that was greeted."""
    try:
        one.settimeout(30)
        one.sendall(f"USER {name}\r\nPASS {PASSWORD}\r\n".encode())
        file = one.makefile("rb")
        file.readline()
        answers.append(file.readline())
    except OSError:
        answers.append(b"")


def expect_alive(server, doing):
    if server.process.poll() is not None:
        raise Broken(f"{doing}: the server died with status {server.process.returncode}:\n{server.log_tail()}")


def run(options):
    with FaultyServer(options.pier, options.shim, settings=SETTINGS) as server:
        ledger = new_ledger(options.seed)
        prepare(server, ledger)
        for number in range(LOGINS * len(ROOMS)):
            server.add_account(f"new{number}", PASSWORD)
        dialogue = Dialogue(server, ledger)
        lmtps = [Lmtp(dialogue, server.lmtp_port) for _ in range(8)]
        pop = Pop3(dialogue, "ada", "USER", "plain")
        pop.list_all()
        results = {}
        for at, room in enumerate(ROOMS):
            waiting, _ = greetings(server, LOGINS)
            cap(server, address_octets(server) + room * MIB)
            make_it_look(server)
            sockets, told = greetings(server, CLIENTS)
            # Logins on sessions of before, whose passwords need memory; large messages at once; and reading.
            answers = []
            threads = [threading.Thread(target=log_in, args=(one, f"new{at * LOGINS + n}", answers)) for n, one in enumerate(waiting)]
            threads += [threading.Thread(target=deliver, args=(lmtp, ledger)) for lmtp in lmtps]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            try:
                pop.retrieve(1)
            except Lost:
                pop = None
            expect_alive(server, f"{room} MiB left")
            if bad := [line for line in answers if line and not line.startswith((b"+OK", b"-ERR [SYS/TEMP]"))]:
                raise Broken(f"{room} MiB left: a login with the right password is answered {bad[0]!r}")
            entered, greeted = (sum(line.startswith(b"+OK") for line in lines) for lines in (answers, told))
            if room < SHORT and (entered or greeted):
                raise Broken(f"{room} MiB left: {entered} logins and {greeted} sessions were taken")
            results[f"{room} MiB"] = f"{entered} of {LOGINS} logins, {greeted} of {CLIENTS} sessions"
            for one in sockets + waiting:
                one.close()
            cap(server, None)
            # The limit is gone: everybody is served again.
            make_it_look(server)
            waiting, told = greetings(server, 1)
            answers = []
            log_in(waiting[0], f"new{at * LOGINS}", answers)
            if not answers[0].startswith(b"+OK"):
                raise Broken(f"memory is there again, but nobody is let in: {told[0]!r}, {answers[0]!r}")
            waiting[0].close()
            lmtps = [lmtp if still_there(lmtp) else Lmtp(dialogue, server.lmtp_port) for lmtp in lmtps]
            if pop is None or not still_there(pop):
                pop = Pop3(dialogue, "ada", "USER", "plain")
                pop.list_all()
        log = server.new_log()
        if "event=memory.short" not in log or "event=memory.enough" not in log:
            raise Broken("the log does not say that memory was short, and that there is enough again")
        read_everything(server, ledger)
        dialogue = Dialogue(server, ledger)
        dialogue.run()
        if dialogue.lost or dialogue.answers["451"]:
            raise Broken(f"memory is there again, and still: {dict(dialogue.answers)}")
        read_everything(server, ledger)
        server.stop()
        server.cli("store", "verify")
    print(f"with so much memory left were taken: {results}; the server lived, nothing lost")


def deliver(lmtp, ledger):
    try:
        for _ in range(8):
            lmtp.deliver(ACCOUNTS, ledger.new_message()[0])
    except Lost:
        lmtp.close()


def still_there(talk):
    try:
        talk.ask("NOOP")
        talk.line()
        return True
    except Lost:
        return False
