"""The table of attacks: each row is a function that attacks a target and gives what was seen.

    @row(14, "a line without end", "refused at the limit, constant memory")
    def endless_line(target):
        ...
        return "what was seen"              # the safe answer was given

A row that sees anything but the safe answer raises Unsafe; one that cannot be tried on this target raises NotRun. Numbers are
those of docs/security.md; a row may have several functions.
"""
import textwrap
import time
from dataclasses import dataclass
from typing import Callable


class Unsafe(Exception):
    """The attack works, or the answer cannot be called safe: what was seen."""


class NotRun(Exception):
    """Why this row cannot be tried on this target."""


@dataclass
class Row:
    number: int
    name: str
    attack: str
    safe: str
    run: Callable
    needs_pier: bool


ROWS = []


def row(number, attack, safe, needs_pier=False):
    """`needs_pier`: it looks at, or changes, more than a client can."""
    def add(function):
        ROWS.append(Row(number, function.__name__, attack, safe, function, needs_pier))
        return function
    return add


def expect(condition, seen):
    if not condition:
        raise Unsafe(seen)


def chosen(only):
    """The rows whose number or name is in `only` (texts); all of them if it is empty. Fails with KeyError on what is none of them."""
    known = {str(r.number) for r in ROWS} | {r.name for r in ROWS}
    for word in only:
        if word not in known:
            raise KeyError(word)
    return sorted((r for r in ROWS if not only or str(r.number) in only or r.name in only), key=lambda r: r.number)


WORDS = {"safe": "safe", "unsafe": "NOT SAFE", "not run": "not run"}
COLOURS = {"safe": "32", "unsafe": "1;31", "not run": "33"}
WIDTHS = (3, 27, 42, 38, 9)


def print_line(cells, colour=None):
    columns = [textwrap.wrap(str(cell), width) or [""] for cell, width in zip(cells, WIDTHS)]
    rest = textwrap.wrap(cells[-1], 68) or [""]
    for i in range(max(map(len, [*columns, rest]))):
        parts = [(column[i] if i < len(column) else "").ljust(width) for column, width in zip(columns, WIDTHS)]
        if colour and i == 0:
            parts[-1] = f"\x1b[{colour}m{parts[-1]}\x1b[0m"
        print(" ".join([*parts, rest[i] if i < len(rest) else ""]).rstrip(), flush=True)


def run(rows, target, colours):
    """Runs and prints each. Gives how many were safe, not safe, not run."""
    print_line(("row", "test", "attack", "safe answer", "result", "what was seen"))
    print_line(tuple("-" * width for width in WIDTHS) + ("-" * 68,))
    counts = {"safe": 0, "unsafe": 0, "not run": 0}
    for one in rows:
        began = time.monotonic()
        try:
            if one.needs_pier and target.pier is None:
                raise NotRun("needs a Pier that this program has started (--pier)")
            result, seen = "safe", one.run(target)
        except NotRun as why:
            result, seen = "not run", str(why)
        except Unsafe as problem:
            result, seen = "unsafe", str(problem)
        except Exception as problem:    # the attack could not be carried through: that is no safe answer
            result, seen = "unsafe", f"the attack broke off: {type(problem).__name__}: {problem}"
        took = time.monotonic() - began
        counts[result] += 1
        seen += f" ({took:.1f} s)" if took >= 1 else ""
        print_line((one.number, one.name, one.attack, one.safe, WORDS[result], seen), COLOURS[result] if colours else None)
    print(f"\n{counts['safe']} safe, {counts['unsafe']} not safe, {counts['not run']} not run")
    return counts
