#!/usr/bin/env python3
"""The house rules as a test.

usage: tidy.py --source DIR --build DIR CHECK...     (no CHECK: all of them)

Each check prints what is wrong as file:line: text, and what to do; the exit status is 1 if anything is.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

# The floors of docs/architecture.md. A file may include its own folder and lower floors, never a neighbour.
FLOORS = {
    "base": 0,
    "wire": 1,
    "pop3": 2, "smtp": 2, "net": 2, "dns": 2,
    "store": 3,
    "auth": 4, "queue": 4,
    "delivery": 5, "filter": 5, "migrate": 5, "maildrop": 5, "admin": 5, "backends": 5, "acme": 5, "watch": 5,
    "serve": 6,
    "main": 7,
}
BAD_FILE_NAMES = re.compile(r"(^|[_\-.])(utils?|helpers?|misc|common|stuff)([_\-.]|$)", re.I)
LINES_PER_FILE = 600
LINES_PER_FUNCTION = 70

problems = []


def problem(place, text):
    problems.append(f"{place}: {text}")


def sources(top, *folders, suffixes=(".h", ".cc")):
    for folder in folders:
        for path in sorted((top / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file():
                yield path


def check_floors(top, build):
    """#include lines obey the table above, and so does the linking in CMakeLists.txt."""
    for path in sources(top, "src"):
        relative = path.relative_to(top / "src")
        floor = relative.parts[0]
        if floor not in FLOORS:
            problem(path.relative_to(top), f"folder '{floor}' has no floor; give it one in tests/tidy/tidy.py and docs/architecture.md")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if not match:
                continue
            place = f"{path.relative_to(top)}:{number}"
            included = match.group(1)
            other = included.split("/")[0]
            if not (top / "src" / included).is_file():
                problem(place, f'"{included}" is no file under src/; write "floor/file.h", and <…> for what is not ours')
            elif other != floor and FLOORS.get(other, 99) >= FLOORS[floor]:
                problem(place, f"{floor}/ (floor {FLOORS[floor]}) includes {other}/ (floor {FLOORS.get(other, '?')}): only lower floors are allowed")
    cmake = (top / "CMakeLists.txt").read_text()
    for floor, rest in re.findall(r"pier_floor\((\w+)([^)]*)\)", cmake):
        uses = re.search(r"USES([^)]*?)(LIBS|$)", rest, re.S)
        for other in uses.group(1).split() if uses else []:
            if FLOORS.get(other, 99) >= FLOORS.get(floor, -1):
                problem("CMakeLists.txt", f"pier_floor({floor} USES {other}): only lower floors are allowed")


def project_headers(top, path, seen):
    """Every header of ours that `path` includes, itself included."""
    if path in seen or not path.is_file():
        return
    seen.add(path)
    for included in re.findall(r'^\s*#\s*include\s*"([^"]+)"', path.read_text(), re.M):
        project_headers(top, top / "src" / included, seen)


def compile_flags(build):
    """Compiler and flags that every header is tried with: all -I, -D and -std of the build, once each."""
    database = build / "compile_commands.json"
    if not database.is_file():
        sys.exit(f"tidy: {database} is missing; configure first: cmake --preset release")
    compiler, flags = None, []
    for entry in json.loads(database.read_text()):
        words = shlex.split(entry["command"])
        while os.path.basename(words[0]) == "ccache":
            words.pop(0)
        compiler = compiler or words[0]
        i = 1
        while i < len(words):
            word = words[i]
            pair = [word, words[i + 1]] if word in ("-isystem", "-I", "-D", "-include") else [word]
            if word.startswith(("-I", "-D", "-isystem", "-std=", "-W")) and not word.startswith("-Wl,"):
                if pair not in flags:
                    flags.append(pair)
            i += len(pair)
    return [compiler], [word for pair in flags for word in pair]


def check_headers(top, build):
    """Each header compiles alone. What passed is stamped, so that only changed headers (or their includes) run again."""
    compiler, flags = compile_flags(build)
    version = subprocess.run([*compiler, "--version"], capture_output=True, text=True).stdout
    stamps = build / "tidy-headers"
    stamps.mkdir(exist_ok=True)

    def compile_alone(header):
        seen = set()
        project_headers(top, header, seen)
        digest = hashlib.sha256((version + " ".join(flags)).encode())
        for path in sorted(seen):
            digest.update(path.read_bytes())
        stamp = stamps / digest.hexdigest()
        if stamp.exists():
            return
        name = header.relative_to(top / "src")
        code = f'#include "{name}"\n#include "{name}"\n'
        done = subprocess.run([*compiler, *flags, "-fsyntax-only", "-x", "c++", "-"], input=code, text=True, capture_output=True)
        if done.returncode == 0:
            stamp.touch()
        else:
            first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:300])
            problem(header.relative_to(top), f"does not compile alone, or not twice: {first.strip()}")

    headers = list(sources(top, "src", suffixes=(".h",)))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_alone, headers))


def tracked_files(top):
    done = subprocess.run(["git", "-C", str(top), "ls-files", "-z"], capture_output=True, text=True)
    if done.returncode == 0 and done.stdout:
        return [Path(name) for name in done.stdout.split("\0") if name]
    skip = {"build", "demo", ".git", ".cache"}
    return [path.relative_to(top) for path in top.rglob("*") if path.is_file() and path.relative_to(top).parts[0] not in skip]


def check_names(top, build):
    """A file is named after its idea; snake_case in the code."""
    for path in tracked_files(top):
        if BAD_FILE_NAMES.search(path.name):
            problem(path, "a file is named after its idea, never utils, helpers, misc or common")
        if path.parts[0] in ("src", "tests", "fuzz", "bench") and path.suffix in (".h", ".cc") and not re.fullmatch(r"[a-z0-9_]+\.(h|cc)", path.name):
            problem(path, "source files are named in snake_case, .h and .cc")


def check_words(top, build):
    """Nothing is left for later, RFC references have one form and are in docs/rfc-index.md, a miscompiled form is avoided."""
    index = (top / "docs" / "rfc-index.md").read_text()
    listed = set(re.findall(r"^\|\s*(?:RFC )?(\d+)\s*\|", index, re.M))
    used = set()
    for path in sources(top, "src", "tests", "fuzz", suffixes=(".h", ".cc")):
        relative = path.relative_to(top)
        before = ""
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            place = f"{relative}:{number}"
            if "co_await" in line and re.match(r"\s*(while|for) \(.*\)$", before):
                problem(place, "put braces around a loop's co_await: GCC 12 miscompiles it without")
            before = line
            if relative.parts[0] == "src" and re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
                problem(place, "nothing is left for later in src/: do it, or open an issue")
            if re.search(r"\bRFC-?(?!822\.)\d|\bRFC  |\brfc ?(?!822[;\-\" ])\d{3,}|§ ", line) and relative.parts[0] == "src" and "http" not in line:
                problem(place, "write RFC references as 'RFC 1939 §7'")
            if re.search(r"(&&|\|\|) *!? *\(?co_await\b|\bco_await\b[^;{]*(&&|\|\|)", line):
                problem(place, "no co_await beside && or ||: GCC 12 may miscompile it; name the value first")
            for group in re.findall(r"\bRFC (\d{3,5}(?:(?:, | and |/)\d{3,5})*)", line):
                for rfc in re.findall(r"\d+", group):
                    used.add(rfc)
                    if rfc not in listed:
                        problem(place, f"RFC {rfc} is not in docs/rfc-index.md; add its line there")
    for rfc in sorted(listed - used):
        problem("docs/rfc-index.md", f"RFC {rfc} is listed and no source names it; name it where it is implemented or take the line out")


def packages_in_deps(top):
    names = {}
    section = None
    for number, line in enumerate((top / "packaging/deps.txt").read_text().splitlines(), 1):
        head = re.match(r"\[(\w+)\]", line)
        if head:
            section = head.group(1)
        elif line.strip() and not line.startswith("#"):
            entry = re.match(r"([a-z0-9][a-z0-9+.\-]+)\s+# \S", line)
            if not entry:
                problem(f"packaging/deps.txt:{number}", "write 'package  # what it is for'")
            else:
                names.setdefault(entry.group(1), []).append(section)
    return names


def check_packages(top, build):
    """packaging/deps.txt is the only list of packages: well-formed, and no script installs anything by itself."""
    listed = packages_in_deps(top)
    for name, where in listed.items():
        if len(set(where)) != len(where):
            problem("packaging/deps.txt", f"{name} stands twice in one section")
    for path in tracked_files(top):
        if path.suffix in (".md", ".eml") or path.name in ("tidy.py", "install-deps.sh") or path.parts[0] in ("samples", "fuzz"):
            continue
        try:
            text = (top / path).read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            match = re.search(r"\bapt(?:-get)?\b[^#|;&]*?\binstall\b([^#|;&]*)", line)
            if not match or line.lstrip().startswith("#"):
                continue
            for word in match.group(1).split():
                word = word.strip("\"'")
                if re.fullmatch(r"[a-z0-9][a-z0-9+.\-]+", word) and word not in listed:
                    problem(f"{path}:{number}", f"installs '{word}', which packaging/deps.txt does not list")


def check_format(top, build):
    """clang-format would change nothing."""
    tool = next((name for name in ("clang-format-14", "clang-format") if subprocess.run(["which", name], capture_output=True).returncode == 0), None)
    if not tool:
        problem("clang-format-14", "is not installed; run packaging/install-deps.sh test")
        return
    files = [str(path.relative_to(top)) for path in sources(top, "src", "tests", "fuzz", "bench")]
    done = subprocess.run([tool, "--dry-run", "--Werror", *files], cwd=top, capture_output=True, text=True)
    wrong = sorted({line.split(":")[0] for line in done.stderr.splitlines() if "[-Wclang-format-violations]" in line})
    for path in wrong:
        problem(path, "is not in the project's form; run: make format")


def check_sizes(top, build):
    """Only a note: files and functions that have grown long."""
    for path in sources(top, "src"):
        lines = path.read_text().splitlines()
        if len(lines) > LINES_PER_FILE:
            print(f"note: {path.relative_to(top)} has {len(lines)} lines (more than {LINES_PER_FILE})")
        start = None
        for number, line in enumerate(lines, 1):
            if re.match(r"[A-Za-z].*\)\s*(const|noexcept|override|\s)*\{$", line) or (start is None and line == "{"):
                start = number
            elif line.startswith("}") and start:
                if number - start > LINES_PER_FUNCTION:
                    print(f"note: {path.relative_to(top)}:{start}: a function of {number - start} lines (more than {LINES_PER_FUNCTION})")
                start = None


CHECKS = {name[len("check_"):]: function for name, function in list(globals().items()) if name.startswith("check_")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, type=Path)
    parser.add_argument("--build", type=Path)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=" ".join(CHECKS))
    options = parser.parse_args()
    unknown = [name for name in options.checks if name not in CHECKS]
    if unknown:
        parser.error(f"unknown check {unknown[0]}; there are: {' '.join(CHECKS)}")
    for name in options.checks or CHECKS:
        CHECKS[name](options.source.resolve(), options.build.resolve() if options.build else None)
    for line in sorted(problems):
        print(line)
    print(f"tidy: {len(problems)} problem{'' if len(problems) == 1 else 's'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
