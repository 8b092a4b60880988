"""Rows 9, 10 and 14 to 16: numbers, lines and streams that a parser may trip over."""
import threading
import time

from peer import err, ok, shown
from table import NotRun, Unsafe, expect, row
from target import MESSAGES, Memory

NOT_NUMBERS = ("0", "-1", "+1", "4294967296", "4294967297", "18446744073709551616", "18446744073709551617",
               "340282366920938463463374607431768211457", "1x", "1.0", "0x1", "1e0", "1 junk", "1\t", "\t1", "a", "\N{ARABIC-INDIC DIGIT ONE}", "9" * 200)
COMMANDS = ("RETR {}", "DELE {}", "LIST {}", "UIDL {}", "TOP {} 0")

LINE_OCTETS = 64 << 20
LINE_OCTETS_LONG = 1 << 30
LINE_GROWTH_MAX = 8 << 20
REFUSED_WITHIN_OCTETS = 4 << 20    # what may be in flight before the answer is there

PIPELINED = 10_000


def messages_of(target, peer):
    """How many the mailbox has; makes some where that is possible."""
    count = int(peer.ask("STAT").split()[1])
    if count < 2:
        raise NotRun("needs two messages in the mailbox")
    return count


def filled(target):
    """A session on a mailbox with at least two messages."""
    peer = target.session()
    if int(peer.ask("STAT").split()[1]) < 2 and target.lmtp:
        peer.ask("QUIT")
        target.deliver(MESSAGES)
        return target.session()
    return peer


@row(9, "message numbers 0, -1, 2^32, 2^64, with junk, deleted, 00001", "-ERR where it is no message; never another message")
def message_numbers(target):
    target.need_scratch()
    with filled(target) as peer:
        count = messages_of(target, peer)
        uidl = peer.ask("UIDL 1").split()[-1]
        tried = 0
        for number in (*NOT_NUMBERS, str(count + 1)):
            for command in COMMANDS:
                line = peer.ask(command.format(number))
                expect(err(line), f"{command.format(number)!r}: {shown(line)}")
                expect(ok(peer.ask("NOOP")), f"after {command.format(number)!r} NOOP is refused")
                tried += 1
        answer = peer.ask("UIDL 00001")
        expect(err(answer) or answer.split()[-1] == uidl, f"00001 is another message: {shown(answer)}")
        expect(ok(peer.ask("DELE 1")), "DELE 1 was refused")
        for command in COMMANDS:
            expect(err(line := peer.ask(command.format(1))), f"the deleted message answers {command.format(1)}: {shown(line)}")
        expect(ok(peer.ask("RSET")) and peer.ask("UIDL 1").split()[-1] == uidl, "RSET does not bring it back")
    return f"{tried} commands: -ERR, session in step; 00001: {shown(answer)}"


@row(10, "TOP 1 with 2^32, 2^64, 0, -1 lines", "the header and so many lines exactly, or -ERR")
def top_numbers(target):
    with filled(target) as peer:
        messages_of(target, peer)
        whole = peer.ask_many("RETR 1")
        header, body = whole.split(b"\r\n\r\n", 1) if b"\r\n\r\n" in whole else (whole, b"")
        lines = body.split(b"\r\n")[:-1] if body else []
        seen = []
        for count in (0, 2, len(lines), len(lines) + 1, 2**32, 2**32 + 1, 2**64, -1):
            answer = peer.ask_many(f"TOP 1 {count}")
            if answer is None:
                expect(not 0 <= count < 2**32, f"TOP 1 {count} was refused")
                seen.append(f"{count}: -ERR")
                continue
            expect(count >= 0, "TOP 1 -1 was answered")
            expected = header + b"\r\n\r\n" + b"".join(line + b"\r\n" for line in lines[:count])
            expect(answer == expected or answer.rstrip(b"\r\n") == expected.rstrip(b"\r\n") and not lines[:count],
                   f"TOP 1 {count}: {len(answer)} octets, {len(expected)} expected")
        expect(err(peer.ask("TOP 1")), "TOP without a count was answered")
    return "exact; " + ", ".join(seen)


def pour(target, connect, before, octets_in_all):
    """Sends `before` and then a line without end. How it was taken: (the first answer, octets sent until then)."""
    block = b"A" * (1 << 20)
    with connect() as peer:
        for command in before:
            peer.ask(command)
        answers = []
        reader = threading.Thread(target=lambda: answers.append(peer.rest(60)), daemon=True)
        memory = Memory(target, LINE_GROWTH_MAX)
        reader.start()
        sent = 0
        while sent < octets_in_all and reader.is_alive():
            if not peer.send(block):
                break
            sent += len(block)
            if sent % (8 << 20) == 0:
                memory.look()
        peer.socket.shutdown(2) if sent >= octets_in_all else None
        reader.join()
        octets = answers[0][0]
    grown = memory.judge()
    expect(octets.startswith(b"-ERR") or sent < REFUSED_WITHIN_OCTETS, f"{sent >> 20} MiB were taken without a word")
    return f"{shown(octets.split(b'%c' % 13)[0])} ({sent >> 20} MiB sent, {grown})"


@row(14, "a line without end: 64 MiB, in the long form 1 GiB", "refused at the limit, constant memory")
def endless_line(target):
    octets = LINE_OCTETS_LONG if target.long else LINE_OCTETS
    seen = ["in the clear " + pour(target, target.clear, [], octets), "in TLS " + pour(target, target.tls, [], octets),
            "in AUTH " + pour(target, target.tls, ["AUTH PLAIN"], octets), "logged in " + pour(target, target.session, [], octets)]
    return "; ".join(seen)


NONSENSE = (b"\0", b"NOOP\0", b"NO\0OP", b"\xff\xfe\xfd", b"NOOP\xc3\xa4", "NÖOP".encode(), b":", b"NOOP:", b"", b" ", b" NOOP", b"\r", b"NO\rOP", b"\x1b[2J",
            b"%n%s%x", b"A" * 200)


@row(15, "NUL, 8-bit, colons, empty lines and lone CRs", "-ERR, and the session goes on in step")
def nonsense_lines(target):
    for connect, sane in ((target.tls, "CAPA"), (target.session, "NOOP")):
        for line in NONSENSE:
            with connect() as peer:
                answer = peer.ask(line)
                expect(err(answer), f"{line!r}: {shown(answer)}")
                answer = peer.ask(sane)
                expect(ok(answer), f"after {line!r} {sane} gets {shown(answer)}")
                if sane == "CAPA":
                    peer.multiline()
                octets, _ = peer.rest(0.02)
                expect(not octets, f"{line!r} was answered more than once: {shown(octets)}")
    return f"{len(NONSENSE)} lines, before login and after: each one -ERR"


@row(16, "one octet in each packet", "answered as if it had come whole")
def one_octet_per_packet(target):
    with target.tls() as peer:
        for octet in f"CAPA\r\nUSER {target.user}\r\nPASS {target.password}\r\nNOOP\r\nQUIT\r\n".encode():
            peer.send(bytes([octet]))
        expect(ok(peer.line()) and peer.multiline() is not None, "CAPA was not answered")
        answers = [peer.line() for _ in range(4)]
    expect(all(map(ok, answers)), f"answers: {', '.join(map(shown, answers))}")
    return "CAPA, login, NOOP, QUIT: as usual"


@row(16, f"{PIPELINED:,} pipelined commands", "answers in order")
def pipelined_commands(target):
    with filled(target) as peer:
        messages_of(target, peer)
        commands = [b"NOOP", b"LIST 1", b"UIDL 1", b"LIST 2", b"NOSUCH", b"UIDL 2", b"LIST 0"]
        single = [peer.ask(command) for command in commands]
        sender = threading.Thread(target=peer.send, args=(b"".join(commands[i % len(commands)] + b"\r\n" for i in range(PIPELINED)),))
        began = time.monotonic()
        sender.start()
        for i in range(PIPELINED):
            answer = peer.line()
            if answer != single[i % len(commands)]:
                raise Unsafe(f"answer {i} is {shown(answer)}, alone it was {shown(single[i % len(commands)])}")
        sender.join()
        took = time.monotonic() - began
    return f"in order, {PIPELINED / took:,.0f} a second"


@row(16, f"{PIPELINED:,} pipelined RETRs, nothing read", "what waits is bounded")
def pipelined_retrievals(target):
    with filled(target) as peer:
        count = messages_of(target, peer)
        memory = Memory(target, LINE_GROWTH_MAX)
        peer.socket.settimeout(2)
        peer.send(b"".join(b"RETR %d\r\n" % (i % count + 1) for i in range(PIPELINED)))
        for _ in range(10):
            time.sleep(0.1)
            memory.look()
        with target.session() as other:
            expect(ok(other.ask("NOOP")), "another session is not served meanwhile")
        return memory.judge() + "; another session is served"
