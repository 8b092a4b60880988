#!/usr/bin/env python3
"""Can a stranger tell by the clock which names exist? Wrong passwords for a known name and for unknown ones, in an order drawn by
lot, over one connection on loopback; Welch's t-test on the times that the answers take. |t| of 4.5 or more fails: chance alone
does that once in a hundred thousand runs.

usage: timing.py --pier PROGRAM [--tries N] [--ways pass,plain,scram] [--seed SEED]     (Ctrl-C: with what there is)

Times are compared twice: all of them, and those below the 90th percentile of both kinds together. What lies above it is the machine
doing something else; it adds much noise, would hide a small difference, and the limit is the same for both kinds.
"""
import argparse
import base64
import os
import random
import statistics
import sys
import time

from peer import Peer, err
from target import PASSWORD, PierTarget

T_MAX = 4.5
TRIES = 10_000          # of both kinds together
CROP_PERCENTILE = 90
TRIES_PER_CONNECTION = 300
KNOWN = "ada"           # unknown names have as many letters
SETTINGS = "[pop3]\nfailed_logins_max = 1000\nbad_commands_max = 1000\nlogin_timeout = \"1h\"\n"


def wrong_password(dice):
    return f"wrong {dice.randrange(10**12):012}"


def try_pass(peer, user, dice):
    peer.ask(f"USER {user}")
    return f"PASS {wrong_password(dice)}".encode()


def try_plain(peer, user, dice):
    peer.ask("CAPA")
    peer.multiline()
    return b"AUTH PLAIN " + base64.b64encode(f"\0{user}\0{wrong_password(dice)}".encode())


def try_scram(peer, user, dice):
    peer.ask("CAPA")
    peer.multiline()
    return b"AUTH SCRAM-SHA-256 " + base64.b64encode(f"n,,n={user},r={dice.randrange(10**18):018}".encode())


WAYS = {"pass": (try_pass, "PASS with a wrong password"), "plain": (try_plain, "AUTH PLAIN with a wrong password"),
        "scram": (try_scram, "AUTH SCRAM-SHA-256: the first challenge")}


def measure(target, way, tries, dice):
    """{kind: [microseconds]}; what there is so far if it is interrupted."""
    prepare, _ = WAYS[way]
    times = {"known": [], "unknown": []}
    kinds = list(times) * (tries // 2)
    dice.shuffle(kinds)
    try:
        for at in range(0, len(kinds), TRIES_PER_CONNECTION):
            with Peer(target.loopback_pop3) as peer:
                for kind in kinds[at:at + TRIES_PER_CONNECTION]:
                    user = KNOWN if kind == "known" else "".join(dice.choices("qwxyz", k=len(KNOWN)))
                    times[kind].append(time_of(peer, way, prepare(peer, user, dice)))
    except KeyboardInterrupt:
        print("interrupted; with what there is:")
    return times


def time_of(peer, way, command):
    """Microseconds until `command` is answered."""
    began = time.perf_counter_ns()
    answer = peer.ask(command)
    took = (time.perf_counter_ns() - began) / 1000
    right = answer.startswith(b"+ ") if way == "scram" else err(answer)
    if not right:
        sys.exit(f"timing: {answer}")
    if way == "scram":
        peer.ask("*")
    return took


def welch_t(a, b):
    spread = statistics.variance(a) / len(a) + statistics.variance(b) / len(b)
    return (statistics.fmean(a) - statistics.fmean(b)) / spread ** 0.5


def tell(way, times):
    """Prints the figures; gives the larger |t|."""
    print(f"{WAYS[way][1]}")
    limit = statistics.quantiles(times["known"] + times["unknown"], n=100)[CROP_PERCENTILE - 1]
    worst = 0.0
    for name, bound in (("all", float("inf")), (f"below {limit:,.0f} µs", limit)):
        kept = {kind: [t for t in some if t <= bound] for kind, some in times.items()}
        t = welch_t(kept["known"], kept["unknown"])
        worst = max(worst, abs(t))
        for kind, some in kept.items():
            print(f"  {name:16} {kind:8} {len(some):6} tries, mean {statistics.fmean(some):10.2f} µs, median {statistics.median(some):10.2f} µs, "
                  f"deviation {statistics.stdev(some):9.2f} µs")
        print(f"  {name:16} t = {t:+.2f}", flush=True)
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument("--tries", type=int, default=TRIES)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    worst = {}
    with PierTarget(options.pier, SETTINGS) as target:
        with target.session(KNOWN, PASSWORD):
            pass
        for way in options.ways.split(","):
            worst[way] = tell(way, measure(target, way, options.tries, random.Random(options.seed)))
    told = [way for way, t in worst.items() if t >= T_MAX]
    print(f"|t| at most {max(worst.values()):.2f}: " + (f"names can be told by {', '.join(told)}" if told else f"below {T_MAX}, names cannot be told"))
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
