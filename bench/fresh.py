"""The loads that want servers of their own, which have done nothing yet: idle, held, bigbox, startup.

Each is called with the command line's options, a function that makes running servers (to be used as a context) and the users' file,
and gives rows {load, tls, connections, servers: {name: numbers}}.
"""
import statistics
import tempfile
import time
from pathlib import Path

from pier_load import Holding, Wrong, run_load
from servers import DOMAIN, answers

IDLE_CONNECTIONS = 10_000
HELD_CONNECTIONS = 15_000       # and the active ones: a process here may open 20,000 files
ACTIVE_CONNECTIONS = 100
IDLE_FROM = "127.0.0.2,127.0.0.3"
BIG_USER, BIG_PASSWORD = f"big@{DOMAIN}", "load-big-Xo4uyei8"
BIG_MESSAGES = 100_000
BIG_MESSAGE_OCTETS = 600
FILLERS = 50
STARTUP_MESSAGES = 1_000_000
STARTUP_MESSAGES_LATE = 10_000      # more, just before each end: what a start may have to read again
STARTUP_MESSAGE_OCTETS = 512
STARTS = 3


def warm(options, server, users_file):
    """Each user has logged in once."""
    run_load(options.load, server, "session", server.pop3_port, "--users", users_file, "--connections", 32, "--count", 1)


def idle(options, running, users_file):
    """Memory of logged-in connections that wait."""
    for tls in ("none", "implicit"):
        found = {}
        with running() as servers:
            for server in servers:
                if server.name == "sdbox":
                    continue    # a connection takes what it takes with mdbox
                warm(options, server, users_file)
                port = server.pop3_port if tls == "none" else server.pop3s_port
                found[server.name] = run_load(options.load, server, "idle", port, "--tls", tls, "--users", users_file, "--connections",
                                              IDLE_CONNECTIONS, "--from", IDLE_FROM, "--timeout-seconds", 120)
        yield {"load": "idle", "tls": tls, "connections": IDLE_CONNECTIONS, "servers": found}


def held(options, running, users_file):
    """Do active connections notice many idle ones? Rounds with and without them take turns."""
    with running() as servers:
        for server in servers:
            if server.name != "pier":
                continue
            run_load(options.load, server, "deliver", server.lmtp_port, "--users", users_file, "--connections", 32, "--count", 20,
                     "--message-octets", "realistic")
            warm(options, server, users_file)
            found = {load: {"alone": [], "beside": []} for load in ("session", "retr")}

            def active(which):
                for load, runs in found.items():
                    runs[which].append(run_load(options.load, server, load, server.pop3_port, "--users", users_file, "--connections",
                                                ACTIVE_CONNECTIONS, "--seconds", options.seconds)["latency_us"]["p99"])

            for _ in range(options.rounds):
                active("alone")
                with Holding(options.load, server, server.pop3_port, "--users", users_file, "--connections", HELD_CONNECTIONS, "--from", IDLE_FROM):
                    active("beside")
            for load, runs in found.items():
                yield {"load": f"{load} beside {HELD_CONNECTIONS:,} idle", "tls": "none", "connections": ACTIVE_CONNECTIONS,
                       "servers": {"pier": {"p99_us_alone": statistics.median(runs["alone"]), "p99_us": statistics.median(runs["beside"])}}}


def message(number):
    head = b"From: Load <load@bench.example>\r\nTo: <%s>\r\nSubject: message %d\r\n\r\n" % (BIG_USER.encode(), number)
    line = b"A line of a message of which there are very many in one mailbox.\r\n"
    return head + line * ((BIG_MESSAGE_OCTETS - len(head)) // len(line))


def bigbox(options, running, users_file):
    """A maildrop of 100,000: the first open after a start, and the next ones."""
    found = {"first": {}, "again": {}}
    with running() as servers, tempfile.NamedTemporaryFile("w", suffix=".users") as users:
        users.write(f"{BIG_USER} {BIG_PASSWORD}\n")
        users.flush()
        for server in servers:
            if server.name == "sdbox":
                continue
            server.add_users([(BIG_USER, BIG_PASSWORD)])
            if server.name == "mdbox":
                server.restart()    # it has read its users
                server.import_mail(BIG_USER, map(message, range(BIG_MESSAGES)))
            else:
                run_load(options.load, server, "deliver", server.lmtp_port, "--users", users.name, "--connections", FILLERS, "--count",
                         BIG_MESSAGES // FILLERS, "--message-octets", BIG_MESSAGE_OCTETS)
            firsts, agains = [], []
            for _ in range(STARTS):
                server.restart()
                before = pss_octets(server.pid)
                words = ["--users", users.name, "--login", server.first_login, "--timeout-seconds", 120]
                firsts.append(run_load(options.load, server, "bigbox", server.pop3_port, *words, "--count", 1))
                agains.append(run_load(options.load, server, "bigbox", server.pop3_port, *words, "--count", 10))
                # Of Pier the cached list of the mailbox, of others what the process has grown by.
                held = server.listing_octets() if server.name == "pier" else pss_octets(server.pid) - before
                agains[-1]["memory_octets_per_message"] = held / BIG_MESSAGES
            # Of the limit, which is not started again, only the first of all is a first one.
            found["first"][server.name] = firsts[0] if server.name == "limit" else middle(firsts)
            found["again"][server.name] = middle(agains)
    for which, numbers in found.items():
        yield {"load": f"bigbox, {which}", "tls": "none", "connections": 1, "servers": numbers}


def middle(runs):
    """The run with the median CPU time."""
    return sorted(runs, key=lambda run: run["server_cpu_us_per_operation"])[len(runs) // 2]


def pss_octets(pid):
    """Of the process tree."""
    octets = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            octets += int(line.split()[1]) * 1024
    children = [child for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
    return octets + sum(map(pss_octets, children))


def startup(options, running, users_file):
    """From exec to the greeting, with a million messages in the store: after an orderly stop, and after SIGKILL."""
    with running() as servers:
        for server in servers:
            if server.name != "pier":
                continue
            def deliver(count):
                run_load(options.load, server, "deliver", server.lmtp_port, "--users", users_file, "--connections", FILLERS, "--count",
                         count // FILLERS, "--message-octets", STARTUP_MESSAGE_OCTETS)

            deliver(STARTUP_MESSAGES)
            for end, how in ((server.server.stop, "an orderly stop"), (server.server.kill, "SIGKILL")):
                times = []
                for _ in range(STARTS):
                    deliver(STARTUP_MESSAGES_LATE)
                    end()
                    began = time.monotonic()
                    server.server.start()
                    if not answers(server.pop3_port):
                        raise Wrong("no greeting from a server that says that it is ready")
                    times.append(time.monotonic() - began)
                yield {"load": f"start after {how}, {STARTUP_MESSAGES:,} messages", "tls": "", "connections": 0,
                       "servers": {"pier": {"seconds": statistics.median(times)}}}
