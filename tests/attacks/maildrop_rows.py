"""Rows 11 to 13: what goes out is what came in, and what goes is what was asked for."""
from peer import err, ok, shown
from table import NotRun, expect, row
from target import MESSAGES

SIZES_MAX = 20      # messages of a foreign mailbox whose sizes are compared


@row(11, "lines that begin with a dot, no last line end, an empty body", "octet for octet, the size exact")
def dots(target):
    if target.lmtp:
        target.deliver(MESSAGES)
    with target.session() as peer:
        count = int(peer.ask("STAT").split()[1])
        if count == 0:
            raise NotRun("needs a message in the mailbox")
        numbers = range(max(1, count - max(SIZES_MAX, len(MESSAGES)) + 1), count + 1)
        found = []
        for number in numbers:
            octets = int(peer.ask(f"LIST {number}").split()[2])
            first = peer.ask(f"RETR {number}")
            message = peer.multiline()
            expect(message is not None and len(message) == octets, f"message {number}: LIST says {octets}, RETR brings {message and len(message)}")
            expect(ok(first), f"RETR {number}: {shown(first)}")
            found.append(message)
    if not target.lmtp:
        return f"the sizes of {len(found)} messages are exact (contents unknown: --lmtp)"
    # A server may put trace fields in front.
    for sent, came in zip(MESSAGES, found[-len(MESSAGES):]):
        expect(came.endswith(sent), f"{sent[:40]!r}: came as {came[-60:]!r}")
    return f"{len(MESSAGES)} messages octet for octet; {len(found)} sizes exact"


def uidls(target):
    with target.session() as peer:
        return peer.ask_many("UIDL")


@row(12, "the connection dropped before QUIT, or within it", "nothing is deleted")
def dropped_before_quit(target):
    target.need_scratch()
    if target.lmtp:
        target.deliver(MESSAGES[:2])
    before = uidls(target)
    if not before:
        raise NotRun("needs a message in the mailbox")
    ends = (b"", b"QU", b"QUIT", b"QUIT\r", b"DELE 1\r\nQUI", b"RETR 1\r\n", b"STAT\r\nNOOP\r\n")
    for end in ends:
        with target.session() as peer:
            expect(ok(peer.ask("DELE 1")), "DELE 1 was refused")
            peer.send(end)
        after = uidls(target)
        expect(after == before, f"dropped after {end!r}: {before.count(b'%c' % 10)} messages before, {after.count(b'%c' % 10)} after")
    return f"{len(ends)} ways to end: all there"


@row(13, "two sessions, one deletes", "the other's numbers and messages stay valid")
def two_sessions(target):
    target.need_scratch()
    if target.lmtp:
        target.deliver(MESSAGES[:3])
    with target.session() as reader:
        listing = reader.ask_many("LIST")
        count = len(listing.splitlines())
        if count < 2:
            raise NotRun("needs two messages in the mailbox")
        last = reader.ask_many(f"RETR {count}")
        with target.tls() as remover:
            answer = remover.log_in(target.user, target.password)
            if not ok(answer):
                return f"a second session is refused: {shown(answer)}"
            for number in (1, count):
                expect(ok(remover.ask(f"DELE {number}")), "DELE was refused")
            expect(ok(remover.ask("QUIT")), "QUIT was refused")
        expect(reader.ask_many("LIST") == listing, "the first session's numbers have changed")
        expect(reader.ask_many(f"RETR {count}") == last, f"message {count} cannot be read any more by who saw it first")
        expect(ok(reader.ask("DELE 2")), "DELE 2 was refused")
        end = reader.ask("QUIT")
    left = len(uidls(target).splitlines())
    expect(left == count - 3 if count > 2 else left == 0, f"{count} messages, 3 removed, {left} left (QUIT: {shown(end)})")
    return "the listing stays, the removed message is still read"


@row(13, "the same message removed twice, by two sessions", "gone once; both are told the truth")
def removed_twice(target):
    target.need_scratch()
    if target.lmtp:
        target.deliver(MESSAGES[:1])
    with target.session() as one, target.tls() as two:
        answer = two.log_in(target.user, target.password)
        if not ok(answer):
            return f"a second session is refused: {shown(answer)}"
        count = int(one.ask("STAT").split()[1])
        if count == 0:
            raise NotRun("needs a message in the mailbox")
        expect(ok(one.ask("DELE 1")) and ok(two.ask("DELE 1")), "DELE 1 was refused")
        ends = (one.ask("QUIT"), two.ask("QUIT"))
    left = len(uidls(target).splitlines())
    expect(left == count - 1, f"{count} messages, one removed twice, {left} left")
    expect(ok(ends[0]) and (ok(ends[1]) or err(ends[1])), f"QUIT: {', '.join(map(shown, ends))}")
    return f"QUIT: {', '.join(map(shown, ends))}"
