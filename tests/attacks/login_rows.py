"""Rows 17 to 21: names, passwords, and who is let in as whom."""
import base64
import json
import threading

from peer import Scram, err, ok, shown
from table import NotRun, Unsafe, expect, row
from target import DOMAIN, MESSAGES, PASSWORD, Memory

AUTH_ROUNDS = 1000
AUTH_GROWTH_MAX = 4 << 20
LOGINS_EACH = 40        # of two users at once


def encoded(user, password, authzid=""):
    return base64.b64encode(f"{authzid}\0{user}\0{password}".encode("utf-8", "surrogateescape"))


@row(17, "bad base64, oversized responses, *, NULs, within AUTH", "-ERR, and the connection stays of use")
def bent_auth(target):
    bent = (b"*", b"====", b"!!!!", b"AGE", b"=AAA", base64.b64encode(b"\0" * 100), base64.b64encode(b"no nul at all"), base64.b64encode(b"\0a"),
            b"A" * 65536, base64.b64encode(b"\0ada\0" + b"x" * 20000), b"")
    for response in bent:
        with target.stranger() as peer:
            answer = peer.ask(b"AUTH PLAIN")
            expect(answer is not None and answer.startswith(b"+"), f"AUTH PLAIN: {shown(answer)}")
            answer = peer.ask(response)
            expect(answer is None or err(answer), f"{response[:20]!r}: {shown(answer)}")
            if answer is not None and len(response) < 10000:
                answer = peer.log_in_plain(target.user, target.password)
                expect(ok(answer), f"after {response[:20]!r} the right login gets {shown(answer)}")
    return f"{len(bent)} bent responses: -ERR; then the right one is let in"


@row(17, f"{AUTH_ROUNDS:,} connections that end within AUTH", "nobody else is touched, no leak")
def gone_within_auth(target):
    with target.session() as other:
        for _ in range(50):
            with target.clear() as peer:
                peer.send(b"AUTH PLAIN\r\n")
        memory = Memory(target, AUTH_GROWTH_MAX)
        port = target.loopback_pop3 if target.pier else target.pop3
        for number in range(AUTH_ROUNDS):
            with type(other)(port) as peer:
                peer.send((b"AUTH PLAIN\r\n", b"AUTH PLAIN\r\nAGFk", b"AUTH SCRAM-SHA-256 biwsbj1hZGEscj0xMjM0NTY3OA==\r\n")[number % 3])
        expect(ok(other.ask("NOOP")), "another session has been broken")
        target.session().close()
        return memory.judge()


NAMES = ("../x", "../../../../etc/passwd", "%u", "%n%n%n%s", "'", "' OR '1'='1", '"; DROP TABLE users; --', "*)(uid=*", "*", '""@x', "x@", "@", "a b",
         "$(id)", "`id`", "|id", "-h", "/", "con", "\udcff\udcfe", "ad\udcc3", "\N{LATIN SMALL LETTER A WITH RING ABOVE}" * 30,
         "a\N{RIGHT-TO-LEFT OVERRIDE}da", "\x1b[2J")

OF_THE_SERVER = {"data", "tls", "pier.toml", "pier.log", "lmtp.sock", "admin.sock", "notify.sock"}


@row(18, "names such as ../x %u ' *)( \"\"@x, invalid UTF-8", "treated as data: an unknown name like any other")
def names_as_data(target):
    with target.stranger() as peer:
        usual = peer.log_in("nobody-of-that-name", "wrong")
    for name in NAMES:
        with target.stranger() as peer:
            octets = name.encode("utf-8", "surrogateescape")
            answer = peer.ask(b"USER " + octets)
            if ok(answer):
                answer = peer.ask("PASS wrong")
            expect(err(answer), f"USER {name!r}: {shown(answer)}")
            expect(answer == usual or not answer.startswith(b"-ERR [AUTH]"), f"USER {name!r}: {shown(answer)}; an unknown name gets {shown(usual)}")
        with target.stranger() as peer:
            answer = peer.ask(b"AUTH PLAIN " + encoded(name, "wrong"))
            expect(err(answer), f"AUTH PLAIN as {name!r}: {shown(answer)}")
    if target.pier:
        outside = {path.name for path in target.server.folder.iterdir()} - OF_THE_SERVER
        expect(not outside, f"files have come into being: {outside}")
    return f"{len(NAMES)} names, by USER and AUTH: {shown(usual)}"


@row(18, "names and passwords of 64 KiB", "-ERR or closed")
def long_names(target):
    for command in (b"USER " + b"u" * 65536, b"PASS " + b"p" * 65536, b"AUTH PLAIN " + encoded("u" * 65536, "p"), b"A" * 65536):
        with target.stranger() as peer:
            answer = peer.ask(command)
            expect(answer is None or err(answer), f"{command[:12]!r}…: {shown(answer)}")
    target.session().close()
    return "all refused, the server lives"


def checks(target):
    """How many passwords the server has checked at full cost."""
    return json.loads(target.server.cli("status", "--json"))["auth"]["checked"]


def scram_face(target, user):
    """What SCRAM shows of a user to whoever asks: iterations, octets of salt, whether the salt stays, the answer to a wrong proof."""
    seen = []
    for _ in range(2):
        with target.stranger() as peer:
            challenge = peer.ask(Scram(user, "wrong").first())
            expect(challenge is not None and challenge.startswith(b"+ "), f"SCRAM as {user}: {shown(challenge)}")
            seen.append(dict(part.split(b"=", 1) for part in base64.b64decode(challenge[2:]).split(b",")))
    with target.stranger() as peer:
        answer = Scram(user, "wrong").log_in(peer)
    return [seen[0][b"i"], len(seen[0][b"s"]), "the salt stays" if seen[0][b"s"] == seen[1][b"s"] else "the salt changes", answer]


@row(19, "is this name known here? by the text of the answer", "the same text for known and unknown names")
def known_names_by_text(target):
    texts = {}
    for user in (target.user, "nobody-of-that-name"):
        with target.stranger() as peer:
            texts[user] = [peer.ask(f"USER {user}"), peer.ask("PASS wrong")]
        with target.stranger() as peer:
            texts[user] += [peer.log_in_plain(user, "wrong")]
        if target.can_scram():
            texts[user] += scram_face(target, user)
    known, unknown = texts.values()
    for a, b in zip(known, unknown):
        expect(a == b, f"known: {a}, unknown: {b}")
    expect(err(known[1]), f"PASS: {shown(known[1])}")
    return f"both: {shown(known[1])}" + ("; SCRAM's challenges are alike" if target.can_scram() else "")


@row(19, "is this name known here? by the work that the server does", "one full check for each (by time: timing.py)", needs_pier=True)
def known_names_by_cost(target):
    target.server.cli("account", "disable", "tom", "--reason", "away")
    texts, costs = {}, {}
    for user in (target.user, "nobody-of-that-name", "nobody@" + DOMAIN, "tom", "../x", "a b"):
        for how in ("log_in", "log_in_plain"):
            before = checks(target)
            with target.stranger() as peer:
                texts[user, how] = getattr(peer, how)(user, "wrong " + how)
            costs[user, how] = checks(target) - before
    target.server.cli("account", "enable", "tom")
    expect(set(costs.values()) == {1}, f"passwords checked for each login: {costs}")
    expect(len(set(texts.values())) == 1, f"answers: {texts}")
    return f"known, unknown, disabled, impossible: one check each; {shown(next(iter(texts.values())))}"


@row(20, "a SASL exchange replayed, bent, or bound to another channel", "refused")
def replayed_scram(target):
    if not target.can_scram():
        raise NotRun("the server offers no SCRAM-SHA-256")
    recorded = Scram(target.user, target.password)
    with target.tls() as peer:
        challenge = peer.ask(recorded.first())
        final = recorded.final(challenge)
        answer = peer.ask(final)
        expect(answer.startswith(b"+ ") and ok(peer.ask("")), f"the right exchange was refused: {shown(answer)}")
    with target.tls() as peer:
        second = peer.ask(recorded.first())
        expect(second != challenge, "the server's nonce is the same a second time")
        answer = peer.ask(final)
        expect(not ok(answer) and not (answer or b"").startswith(b"+ "), f"the recorded proof is taken again: {shown(answer)}")
    seen = [shown(answer)]
    bent = {"another header than was sent": Scram(target.user, target.password, b"n,,", b"y,,"),
            "a binding out of nowhere": Scram(target.user, target.password, b"n,,", b"p=tls-exporter,," + b"x" * 32),
            "binding demanded where none is offered": Scram(target.user, target.password, b"p=tls-exporter,,", b"p=tls-exporter,," + b"x" * 32),
            "another authorization identity": Scram(target.user, target.password, b"n,a=grace,")}
    for what, scram in bent.items():
        with target.tls() as peer:
            answer = scram.log_in(peer)
            expect(not ok(answer), f"{what}: {shown(answer)}")
    with target.tls() as peer:
        answer = peer.ask(b"AUTH PLAIN " + encoded(target.user, target.password, "grace"))
        expect(not ok(answer), f"PLAIN with another authorization identity: {shown(answer)}")
    return f"replay: {seen[0]}; {len(bent) + 1} bent exchanges refused"


def passes(target, user, password):
    """Whether each way in takes the password."""
    ways = {}
    for how in ("log_in", "log_in_plain"):
        with target.tls() as peer:
            ways[how] = ok(getattr(peer, how)(user, password))
    with target.tls() as peer:
        ways["SCRAM"] = ok(Scram(user, password).log_in(peer))
    return ways


def set_password(target, user, password):
    secret = target.server.folder / "password"
    secret.write_text(password + "\n")
    target.server.cli("account", "passwd", user, "--password-file", secret)
    secret.unlink()


@row(21, "the password is changed, the account disabled, while it is remembered", "the new truth at once", needs_pier=True)
def remembered_password(target):
    old, new = PASSWORD, "another battery staple"

    def all_ways(password, expected, when):
        ways = passes(target, "tom", password)
        expect(set(ways.values()) == {expected}, f"{when}: {ways}")

    all_ways(old, True, "at first")
    all_ways(old, True, "remembered")
    under_way = Scram("tom", old)
    with target.tls() as peer:
        challenge = peer.ask(under_way.first())
        set_password(target, "tom", new)
        answer = peer.ask(under_way.final(challenge))
        expect(not ok(answer) and not answer.startswith(b"+ ") or not ok(peer.ask("")), "a SCRAM exchange that had begun gets in with the old password")
    all_ways(old, False, "the old password after the change")
    all_ways(new, True, "the new password")
    target.server.cli("account", "disable", "tom")
    all_ways(new, False, "disabled")
    target.server.cli("account", "enable", "tom")
    all_ways(new, True, "enabled again")
    target.server.cli("account", "remove", "tom", "--yes")
    all_ways(new, False, "removed")
    target.server.add_account("tom", old)
    all_ways(new, False, "made anew, by the password of the one before")
    all_ways(old, True, "made anew")
    return "changed, disabled, enabled, removed, made anew: each counts at once, by PASS, PLAIN and SCRAM"


@row(21, "two users with the same password at once", "never somebody else's mail", needs_pier=True)
def two_users_at_once(target):
    with target.session("grace") as peer:
        for number in range(1, 1 + int(peer.ask("STAT").split()[1])):
            peer.ask(f"DELE {number}")
        peer.ask("QUIT")
    recipient, target.recipient = target.recipient, f"grace@{DOMAIN}"
    target.deliver([b"Subject: for grace alone\r\n\r\nhers\r\n"])
    target.recipient = recipient
    target.deliver(MESSAGES[:1])
    problems = []

    def log_in(user):
        try:
            for number in range(LOGINS_EACH):
                with target.tls() as peer:
                    answer = (peer.log_in, peer.log_in_plain)[number % 2](user, PASSWORD)
                    expect(ok(answer), f"{user}: {shown(answer)}")
                    hers = b"for grace alone" in (peer.ask_many("RETR 1") or b"")
                    expect(hers == (user == "grace"), f"{user} reads {'grace' if hers else 'ada'}'s mail")
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=log_in, args=(user,)) for user in ("ada", "grace") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise Unsafe(str(problems[0]))
    return f"{LOGINS_EACH * len(threads)} logins: each sees its own"
