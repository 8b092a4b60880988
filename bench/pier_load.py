"""Runs pier_load, and prints what it says."""
import json
import subprocess

SEED = 20261121


class Wrong(Exception):
    """What went wrong, for a person."""


def command_of(program, server, kind, port, *words):
    return [str(word) for word in (program.resolve(), kind, "--port", port, "--server-pid", server.pid, "--seed", SEED, *words)]


def run_load(program, server, kind, port, *words):
    """One run; what it reports."""
    command = command_of(program, server, kind, port, *words)
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Wrong(f"{server.name}: {done.stderr.strip()}\nthe command was: {' '.join(command)}")
    return json.loads(done.stdout)


class Holding:
    """Connections that are logged in and wait, as long as the block lasts; all of them must answer at its end."""

    def __init__(self, program, server, port, *words):
        self.server = server
        self.command = command_of(program, server, "idle", port, "--hold", *words)

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "holding\n":
            raise Wrong(f"{self.server.name}: {self.process.communicate()[1].strip()}\nthe command was: {' '.join(self.command)}")
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.process.kill()
        _, words = self.process.communicate()
        if kind is None and self.process.returncode != 0:
            raise Wrong(f"{self.server.name}: {words.strip()}\nthe command was: {' '.join(self.command)}")


def number(value):
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"
