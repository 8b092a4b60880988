#!/usr/bin/env python3
"""The tidy test tested: a small tree that breaks every rule once, and one that breaks none."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TIDY = Path(__file__).with_name("tidy.py")

GOOD = {
    "CMakeLists.txt": "pier_floor(base LIBS fmt)\npier_floor(wire USES base LIBS x)\n",
    "src/base/a.h": "#pragma once\nint a();\n",
    "src/wire/b.h": '#pragma once\n// RFC 1939 §7.\n#include "base/a.h"\ninline int b() { return a(); }\n',
    "docs/rfc-index.md": "| RFC | title | where |\n| --- | --- | --- |\n| 1939 | POP3 | wire |\n",
    "packaging/deps.txt": "[build]  # x\ng++  # the compiler\n",
    ".clang-format": "BasedOnStyle: LLVM\n",
}


def tidy(files, *checks):
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        for name, text in {**GOOD, **files}.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (top / "build").mkdir()
        command = f"g++ -std=c++20 -I{top}/src -c x.cc"
        (top / "build/compile_commands.json").write_text(json.dumps([{"directory": folder, "command": command, "file": "x.cc"}]))
        done = subprocess.run([sys.executable, str(TIDY), "--source", folder, "--build", f"{folder}/build", *checks], capture_output=True, text=True)
        return done.returncode, done.stdout


class Tidy(unittest.TestCase):
    def refused(self, check, place, text, files):
        status, output = tidy(files, check)
        self.assertEqual(status, 1, output)
        self.assertRegex(output, rf"(?m)^{place}: .*{text}")
        self.assertIn("tidy: 1 problem\n", output)

    def test_a_good_tree_passes_every_check(self):
        status, output = tidy({}, "floors", "headers", "names", "words", "packages", "sizes")
        self.assertEqual((status, output), (0, "tidy: 0 problems\n"))

    def test_a_lower_floor_includes_no_higher_one(self):
        self.refused("floors", "src/base/c.h:1", "only lower floors", {"src/base/c.h": '#include "wire/b.h"\n'})

    def test_a_neighbour_is_refused(self):
        files = {"src/pop3/p.h": '#include "smtp/s.h"\n', "src/smtp/s.h": "\n"}
        self.refused("floors", "src/pop3/p.h:1", "only lower floors", files)

    def test_an_include_must_be_written_from_src(self):
        self.refused("floors", "src/wire/c.cc:1", "is no file under src", {"src/wire/c.cc": '#include "b.h"\n'})

    def test_an_unknown_folder_has_no_floor(self):
        self.refused("floors", "src/attic/c.h", "has no floor", {"src/attic/c.h": "\n"})

    def test_a_co_await_that_the_compiler_breaks_is_refused(self):
        self.refused("words", "src/wire/c.cc:1", "GCC 12", {"src/wire/c.cc": "if (a && !co_await b()) return;\n"})

    def test_a_loop_around_a_co_await_has_braces(self):
        self.refused("words", "src/wire/c.cc:2", "GCC 12", {"src/wire/c.cc": "while (more())\n    if (!co_await b()) co_return;\n"})

    def test_linking_upwards_is_refused(self):
        self.refused("floors", "CMakeLists.txt", "only lower floors", {"CMakeLists.txt": "pier_floor(base USES wire LIBS fmt)\n"})

    def test_a_header_that_needs_another_first_is_refused(self):
        self.refused("headers", "src/wire/c.h", "does not compile alone", {"src/wire/c.h": "#pragma once\ninline std::string s;\n"})

    def test_a_header_that_cannot_come_twice_is_refused(self):
        self.refused("headers", "src/wire/c.h", "not twice", {"src/wire/c.h": "struct S {};\n"})

    def test_files_without_an_idea_are_refused(self):
        self.refused("names", "src/wire/string_utils.h", "named after its idea", {"src/wire/string_utils.h": "\n"})

    def test_camel_case_files_are_refused(self):
        self.refused("names", "src/wire/LineBuffer.h", "snake_case", {"src/wire/LineBuffer.h": "\n"})

    def test_nothing_is_left_for_later(self):
        self.refused("words", "src/wire/c.cc:1", "left for later", {"src/wire/c.cc": "// " + "TODO: later\n"})

    def test_an_rfc_that_is_not_listed_is_refused(self):
        self.refused("words", "src/wire/c.cc:1", "not in docs/rfc-index", {"src/wire/c.cc": "// RFC 5321 §4\n"})

    def test_an_rfc_written_otherwise_is_refused(self):
        self.refused("words", "src/wire/c.cc:1", "write RFC references", {"src/wire/c.cc": "// RFC1939 says so\n"})

    def test_a_listed_rfc_that_nobody_names_is_refused(self):
        index = GOOD["docs/rfc-index.md"] + "| 9999 | nothing | nowhere |\n"
        self.refused("words", "docs/rfc-index.md", "no source names it", {"docs/rfc-index.md": index})

    def test_a_package_without_a_reason_is_refused(self):
        self.refused("packages", "packaging/deps.txt:2", "what it is for", {"packaging/deps.txt": "[build]  # x\ng++\n"})

    def test_a_script_that_installs_by_itself_is_refused(self):
        script = "#!/bin/sh\nsudo apt-get install -y " + "cowsay\n"
        self.refused("packages", "tests/x.sh:2", "cowsay", {"tests/x.sh": script})


if __name__ == "__main__":
    unittest.main()
