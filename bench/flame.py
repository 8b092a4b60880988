#!/usr/bin/env python3
"""A flame graph as one SVG file: where the CPU time goes, as stacks of functions, as wide as the time spent in them.

usage: perf script | flame.py [--title TEXT] > flame.svg
       flame.py --folded < stacks.txt > flame.svg          lines of "main;serve;send 123"

perf record -F 499 --call-graph dwarf -p PID -- sleep 5 makes what perf script reads (--call-graph fp is lighter, where all is compiled with
-fno-omit-frame-pointer). Pointing at a box shows its whole name and share.
"""
import argparse
import re
import sys
from html import escape

WIDTH, BOX_HEIGHT, MARGIN, TITLE_HEIGHT = 1200, 17, 10, 34
LETTER_WIDTH = 6.6
KERNEL = "_[k]"         # behind the name of a function of the kernel, as in other tools for folded stacks
SHARE_MIN = 0.0008      # narrower boxes are left out


def perf_stacks(lines):
    """Stacks from `perf script`, root first, as (names, count)."""
    command, names = None, []
    for line in lines:
        if not line.strip():
            if command is not None:
                yield [command, *reversed(names)], 1
            command, names = None, []
        elif not line[0].isspace():
            command = line.split()[0]
        else:
            frame = re.match(r"\s+[0-9a-f]+ (.+) \(([^)]*)\)$", line.rstrip())
            if frame:
                name = short(frame.group(1))
                if frame.group(2).startswith("[kernel"):
                    names.append(name + KERNEL)
                elif not name.startswith("std::"):      # what only passes calls on
                    names.append(name.removeprefix("pier::"))
    if command is not None:
        yield [command, *reversed(names)], 1


def folded_stacks(lines):
    for line in lines:
        names, _, count = line.rstrip().rpartition(" ")
        if names:
            yield names.split(";"), int(count)


def short(name):
    """Without offset, arguments, template arguments and what a coroutine's frame function is called by GCC."""
    name = re.sub(r"\+0x[0-9a-f]+$", "", name)
    name = re.sub(r"\s*\[clone [^\]]*\]", "", name)
    if name.startswith("operator") or "[" in name:
        return name
    while True:
        less = re.sub(r"<[^<>]*>|\([^()]*\)", "", name)
        if less == name:
            break
        name = less
    return re.sub(r"( const)$", "", name).replace("::::", "::").split(" ")[-1] or name


class Box:
    def __init__(self):
        self.count = 0
        self.children = {}

    def add(self, names, count):
        box = self
        box.count += count
        for name in names:
            box = box.children.setdefault(name, Box())
            box.count += count

    def depth(self, count_min):
        return 1 + max((child.depth(count_min) for child in self.children.values() if child.count >= count_min), default=0)


def colour(name):
    """The kernel's functions are grey-blue, OpenSSL's green, all else orange; neighbours differ a little."""
    shade = sum(map(ord, name)) % 40
    if name.endswith(KERNEL):
        return f"rgb({130 + shade},{150 + shade},{185 + shade // 2})"
    if re.match(r"(SSL_|ssl|tls|EVP_|aes|gcm|x25519|ecp_|CRYPTO_|BN_|bn_|sha|HMAC|evp_|rsa|ossl)", name, re.I):
        return f"rgb({110 + shade},{170 + shade},{110 + shade})"
    return f"rgb({215 + shade},{130 + shade},{60 + shade})"


def draw(root, title):
    count_min = root.count * SHARE_MIN
    height = TITLE_HEIGHT + root.depth(count_min) * BOX_HEIGHT + MARGIN
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="{MARGIN}" y="20" font-family="sans-serif" font-size="14">{escape(title)}</text>']
    per_count = (WIDTH - 2 * MARGIN) / root.count

    def box(name, node, x, level):
        width = node.count * per_count
        y = height - MARGIN - (level + 1) * BOX_HEIGHT
        letters = int((width - 4) / LETTER_WIDTH)
        fill, name = colour(name), name.removesuffix(KERNEL)
        text = name if len(name) <= letters else name[:letters - 1] + "…" if letters > 3 else ""
        out.append(f'<g><title>{escape(name)}: {100 * node.count / root.count:.1f} %</title><rect x="{x:.1f}" y="{y}" width="{max(width - 0.4, 0.3):.1f}" '
                   f'height="{BOX_HEIGHT - 1}" rx="1" fill="{fill}"/>'
                   + (f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(text)}</text>' if text else "") + "</g>")
        for child_name, child in sorted(node.children.items()):
            if child.count >= count_min:
                box(child_name, child, x, level + 1)
            x += child.count * per_count

    box("all", root, MARGIN, 0)
    return "\n".join([*out, "</svg>"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folded", action="store_true")
    parser.add_argument("--title", default="CPU time")
    options = parser.parse_args()
    root = Box()
    for names, count in (folded_stacks if options.folded else perf_stacks)(sys.stdin):
        root.add(names, count)
    if root.count == 0:
        sys.exit("flame: no stacks came in; see --help")
    sys.setrecursionlimit(5000)
    print(draw(root, f"{options.title} ({root.count:,} samples)"))


if __name__ == "__main__":
    main()
