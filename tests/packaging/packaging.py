#!/usr/bin/env python3
"""What a stranger gets: the systemd units, the manual page and completions, and the demo, tried as a person would.

usage: packaging.py --source DIR --pier PROGRAM units|activation|restart|manual|fail2ban|monitoring|deb|demo
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))
from pier_server import Failed, PierServer, free_ports
from repeating import Repeating

EXPOSURE_MAX_TENTHS = 15  # 1.5: what systemd-analyze may say of the unit at most


def run(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, **options)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def expect(condition, text):
    if not condition:
        raise Failed(text)


def units(top, pier):
    """systemd finds nothing wrong with the units, calls them safe, and their sockets fit the default listeners."""
    sample = run([pier, "config", "sample"])
    with tempfile.TemporaryDirectory() as folder:
        for unit in (top / "packaging/systemd").iterdir():
            text = unit.read_text().replace("/usr/bin/pier", pier)
            # The manual page is not installed where the tests run.
            (Path(folder) / unit.name).write_text(re.sub(r"(?m)^Documentation=.*\n", "", text))
        done = subprocess.run(["systemd-analyze", "verify", *Path(folder).iterdir()], capture_output=True, text=True)
        own = [line for line in done.stderr.splitlines() if "pier" in line]
        expect(not own, "systemd-analyze verify:\n" + "\n".join(own))
        security = run(["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX_TENTHS}", f"{folder}/pier.service"])
        print(security.strip().splitlines()[-1])
    for unit, name in (("pop3", "pop3-110"), ("pop3s", "pop3s-995"), ("lmtp", "lmtp-socket")):
        text = (top / f"packaging/systemd/pier-{unit}.socket").read_text()
        expect(f"FileDescriptorName={name}\n" in text, f"pier-{unit}.socket does not carry the listener's name {name}")
    expect("/run/pier/lmtp.sock" in sample, "the sample configuration does not name /run/pier/lmtp.sock, which pier-lmtp.socket listens on")
    users = run(["systemd-sysusers", "--dry-run", top / "packaging/sysusers.d/pier.conf"])
    print(users.strip() or "sysusers: nothing to do")


class Notifications:
    """The receiving end of systemd's notification protocol."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(30)

    def wait_for(self, word):
        seen = []
        while True:
            try:
                lines = self.socket.recv(4096).decode().split("\n")
            except socket.timeout:
                raise Failed(f"no {word} came within 30 s; these came: {seen}")
            seen += lines
            if word in lines:
                return


def activation(top, pier):
    """A socket that systemd passes becomes the listener of its name; ready, watchdog, reload and stop are told to systemd."""
    with PierServer(pier, tls=False) as server:
        name = f"pop3-{server.pop3_port}"
        notifications = Notifications(server.folder / "notify.sock")
        environment = {**os.environ, "NOTIFY_SOCKET": notifications.path, "WATCHDOG_USEC": "4000000"}
        # The listener of that name is not bound again; the others are.
        process = subprocess.Popen(["systemd-socket-activate", "-l", f"127.0.0.1:{server.pop3_port}", f"--fdname={name}",
                                    "-E", "NOTIFY_SOCKET", "-E", "WATCHDOG_USEC",
                                    pier, "--config", server.config, "serve"],
                                   env=environment, stdout=open(server.log, "wb"), stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    client = socket.create_connection(("127.0.0.1", server.pop3_port), timeout=30)
                    break
                except ConnectionRefusedError:
                    expect(time.monotonic() < deadline and process.poll() is None, "systemd-socket-activate does not listen")
                    time.sleep(0.05)
            # The connection that woke the server is served: it waited in the passed socket.
            greeting = client.recv(100)
            expect(greeting.startswith(b"+OK "), f"the first connection got {greeting!r}:\n{server.log_tail()}")
            notifications.wait_for("READY=1")
            notifications.wait_for("WATCHDOG=1")
            process.send_signal(signal.SIGHUP)
            notifications.wait_for("RELOADING=1")
            notifications.wait_for("READY=1")
            process.terminate()
            notifications.wait_for("STOPPING=1")
            status = process.wait(30)
            expect(status == 0, f"the server ended with status {status}:\n{server.log_tail()}")
            client.close()
        finally:
            if process.poll() is None:
                process.kill()
    print("socket activation, ready, watchdog, reload and stop are as systemd expects")


class Callers(Repeating):
    """Clients that connect, read the greeting and go."""

    def __init__(self, port):
        self.port = port
        self.greeted, self.put_off, self.failed = 0, 0, []
        super().__init__(self.call, self.call)

    def call(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=30) as client:
                line = client.makefile("rb").readline()
                with contextlib.suppress(OSError):      # who was put off has been closed
                    client.sendall(b"QUIT\r\n")
            self.greeted += line.startswith(b"+OK ")
            self.put_off += line.startswith(b"-ERR [SYS/TEMP] ")
            if not line:
                self.failed.append("closed without a word")
        except OSError as failure:
            self.failed.append(repr(failure))

    def wait_for_more(self, count):
        before, end = self.greeted, time.monotonic() + 30
        while self.greeted < before + count:
            expect(time.monotonic() < end, f"only {self.greeted - before} callers were greeted within 30 s")
            time.sleep(0.01)


def restart(top, pier):
    """While the server is started anew, whoever connects to a socket of systemd's waits a moment, and nobody is refused."""
    with PierServer(pier, tls=False) as server, socket.create_server(("127.0.0.1", server.pop3_port), backlog=128) as passed:
        notifications = Notifications(server.folder / "notify.sock")

        def start():
            """As systemd does: the socket is descriptor 3."""
            process = subprocess.Popen(["sh", "-c", 'exec env LISTEN_PID=$$ "$@"', "sh", pier, "--config", server.config, "serve"],
                                       preexec_fn=lambda: os.set_inheritable(os.dup2(passed.fileno(), 3), True), close_fds=False,
                                       stdout=open(server.log, "ab"), stderr=subprocess.STDOUT,
                                       env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": f"pop3-{server.pop3_port}",
                                            "NOTIFY_SOCKET": notifications.path})
            notifications.wait_for("READY=1")
            return process

        process = start()
        try:
            with Callers(server.pop3_port) as callers:
                for _ in range(3):
                    callers.wait_for_more(20)
                    process.terminate()
                    expect(process.wait(30) == 0, f"the server did not end well:\n{server.log_tail()}")
                    process = start()
                callers.wait_for_more(20)
        finally:
            process.kill()
            process.wait()
    expect(not callers.failed, f"while the server was started anew, {len(callers.failed)} of its clients failed: {callers.failed[:5]}")
    print(f"three restarts: {callers.greeted} clients were greeted, {callers.put_off} were told to come again, none was refused")


def fail2ban(top, pier):
    """fail2ban finds the address of each failed login in a real log, and no other that a client has made up."""
    made_up = 'x\nlevel=warning event=login.failed address=203.0.113.9 port=1 protocol=pop3'
    with PierServer(pier) as server:
        server.start()
        for address, user in (("127.0.0.2", "ada"), ("127.0.0.3", made_up.replace("\n", " ")), ("127.0.0.4", 'a" address=203.0.113.9 "')):
            with socket.create_connection(("127.0.0.1", server.pop3_port), timeout=30, source_address=(address, 0)) as client:
                lines = client.makefile("rb")
                for command in ("", f"USER {user}", "PASS wrong", "QUIT"):
                    if command:
                        client.sendall(command.encode() + b"\r\n")
                    lines.readline()
        server.stop()
        found = run(["fail2ban-regex", "--out", "ip", server.log, top / "packaging/fail2ban/filter.d/pier.conf"]).split()
        expect(sorted(found) == ["127.0.0.2", "127.0.0.3", "127.0.0.4"], f"fail2ban found {found}")
        # As the journal gives it: no time, and the host and program in front.
        journal = server.folder / "journal.log"
        failed = [line for line in server.log.read_text().splitlines() if "event=login.failed" in line]
        journal.write_text("".join(f"2026-11-28T09:00:00 host pier[7]: {line.split(' ', 1)[1]}\n" for line in failed))
        found = run(["fail2ban-regex", "--out", "ip", "--datepattern", "^%Y-%m-%dT%H:%M:%S", journal,
                     top / "packaging/fail2ban/filter.d/pier.conf"]).split()
        expect(len(found) == 3, f"in the journal's form fail2ban found {found}")
    print("fail2ban finds who failed to log in")


def deb(top, pier):
    """The package holds what it should, its scripts are valid, and the program in it runs."""
    if not shutil.which("dpkg-shlibdeps"):
        raise Failed("dpkg-shlibdeps is missing; run packaging/install-deps.sh deb")
    with tempfile.TemporaryDirectory() as folder:
        package = f"{folder}/pier.deb"
        run([top / "packaging/make-deb.sh", pier, package])
        run(["dpkg-deb", "-R", package, f"{folder}/tree"])
        tree = Path(folder) / "tree"
        for name in ("usr/bin/pier", "etc/pier/pier.toml", "lib/systemd/system/pier.service", "lib/systemd/system/pier-lmtp.socket",
                     "usr/lib/sysusers.d/pier.conf", "usr/share/man/man1/pier.1.gz", "usr/share/bash-completion/completions/pier",
                     "usr/share/doc/pier/copyright"):
            expect((tree / name).is_file(), f"the package has no {name}")
        for script in ("postinst", "prerm", "postrm"):
            run(["sh", "-n", tree / "DEBIAN" / script])
        control = (tree / "DEBIAN/control").read_text()
        for library in ("librocksdb", "libssl3", "libsodium23", "libc6"):
            expect(library in control, f"the package does not depend on {library}:\n{control}")
        listed = set(re.findall(r"^([a-z0-9][a-z0-9+.\-]+)", (top / "packaging/deps.txt").read_text().split("[run]")[1].split("[demo]")[0], re.M))
        depends = set(re.findall(r"([a-z0-9][a-z0-9+.\-]+)(?: \([^)]*\))?(?:,|$)", re.search(r"^Depends: (.*)$", control, re.M).group(1)))
        base = {"libc6", "libgcc-s1", "libstdc++6"}
        strange = {name for name in depends - base if not any(name.startswith(known) for known in listed)}
        expect(not strange, f"section [run] of packaging/deps.txt lacks {', '.join(sorted(strange))}")
        version = run([tree / "usr/bin/pier", "--version"])
        expect(re.search(r"\d+\.\d+\.\d+", version), f"pier --version prints {version!r}")
    print(f"the package is complete; {version.strip()}")


def manual(top, pier):
    """The manual page renders without a warning and names every command; completions are valid shell."""
    page = run([pier, "man"])
    with tempfile.NamedTemporaryFile("w", suffix=".1") as file:
        file.write(page)
        file.flush()
        done = subprocess.run(["man", "--warnings=w", "-E", "UTF-8", "-l", "-Tutf8", "-Z", file.name], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": ""})
        expect(done.returncode == 0 and not done.stderr.strip(), f"man finds faults in the page:\n{done.stderr}")
    for word in ("serve", "check", "account add", "import maildir", "store verify", "/etc/pier/pier.toml"):
        expect(word in page.replace("\\-", "-").replace("\\ ", " "), f"the manual page does not mention '{word}'")
    bash = run([pier, "completion", "bash"])
    run(["bash", "-n"], input=bash)
    for shell in ("zsh", "fish"):
        expect("account" in run([pier, "completion", shell]), f"the completion for {shell} does not know 'account'")
    print("manual page and completions are in order")


class Demo:
    """packaging/demo/run-demo with ports of its own, and what it printed so far."""

    def __init__(self, top, pier, folder, ports):
        self.output = folder / "output"
        environment = {**os.environ, "PIER": pier, "PIER_DEMO": str(folder / "demo")}
        environment.update(zip(("PIER_POP3_PORT", "PIER_POP3S_PORT", "PIER_LMTP_PORT", "PIER_SMTP_PORT", "PIER_SUBMISSION_PORT",
                                "PIER_SUBMISSIONS_PORT"), map(str, ports)))
        self.process = subprocess.Popen([top / "packaging/demo/run-demo"], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                        stdout=open(self.output, "wb"), stderr=subprocess.STDOUT)
        self.port = ports[0]

    def text(self):
        return self.output.read_text(errors="replace")

    def wait_until_ready(self):
        deadline = time.monotonic() + 120
        while subprocess.run(["curl", "-s", "-m", "1", f"telnet://127.0.0.1:{self.port}"], stdin=subprocess.DEVNULL, capture_output=True).stdout[:3] != b"+OK":
            expect(self.process.poll() is None, f"the demo ended with status {self.process.poll()}:\n{self.text()}")
            expect(time.monotonic() < deadline, f"the demo does not serve after 120 s:\n{self.text()}")
            time.sleep(0.2)

    def stop(self, how):
        self.process.send_signal(how)
        status = self.process.wait(60)
        expect(status == 0, f"the demo ended with status {status} after signal {how}:\n{self.text()[-2000:]}")


def demo(top, pier):
    """Every command that the demo prints works; a second run goes on with the first one's state; taken ports are told."""
    folder = Path(tempfile.mkdtemp(prefix="pier-demo-"))
    ports = free_ports(6)
    first = Demo(top, pier, folder, ports)
    try:
        first.wait_until_ready()
        commands = [line.strip() for line in first.text().splitlines() if re.match(r"\s+(curl |\(?printf|swaks |openssl |\S+ --config)", line)]
        expect(len(commands) >= 11, f"the demo prints only {len(commands)} commands:\n{first.text()}")
        outputs = {}
        for command in commands:
            text = "QUIT\n" if command.startswith("openssl") else ""
            done = subprocess.run(["bash", "-c", command], cwd=top, input=text, capture_output=True, text=True, errors="replace", timeout=60)
            # curl's telnet ends with the connection, which is its only way to end here.
            expect(done.returncode == 0 or "telnet" in command, f"a printed command failed with status {done.returncode}: {command}\n{done.stderr}{done.stdout[-500:]}")
            outputs[command] = done.stdout
        listing = next(out for command, out in outputs.items() if command.startswith("curl -u"))
        samples = len(list((top / "samples").glob("*.eml")))
        sizes = [int(line.split()[1]) for line in listing.splitlines()]
        expect(len(sizes) == samples + 1, f"{samples} samples and one large message make no list of {len(sizes)}:\n{listing}")
        expect(max(sizes) > 12_000_000, "the message of 12 MB is not there")
        delivered = next(out for command, out in outputs.items() if "LHLO" in command)
        expect(delivered.count("\n250 ") >= 3, f"the printed LMTP dialogue was not answered:\n{delivered}")
        taken = subprocess.run([top / "packaging/demo/run-demo"], cwd=folder, capture_output=True, text=True, timeout=60,
                               env={**os.environ, "PIER": pier, "PIER_DEMO": str(folder / "demo"), "PIER_POP3_PORT": str(ports[0])})
        expect(taken.returncode == 1 and f"port {ports[0]} on 127.0.0.1 is taken" in taken.stderr, f"a taken port is not told:\n{taken.stderr}")
        first.stop(signal.SIGINT)

        second = Demo(top, pier, folder, ports)
        first = second
        second.wait_until_ready()
        password = (folder / "demo/password").read_text().strip()
        again = run(["curl", "-sS", "-u", f"demo:{password}", f"pop3://127.0.0.1:{ports[0]}/"])
        # The deliveries by SMTP, by hand and by `pier deliver` came on top, and those that were submitted; the import brought
        # nothing twice.
        submitted = sum("to myself" in command or command.startswith("swaks") for command in commands)
        expect(submitted >= 2, f"only {submitted} of the printed commands submit mail")
        expected = samples + 4 + submitted
        expect(len(again.splitlines()) == expected, f"after a second start {len(again.splitlines())} messages, not {expected}")
        second.stop(signal.SIGTERM)
    except BaseException:
        first.process.kill()
        raise
    shutil.rmtree(folder)
    print(f"{len(commands)} printed commands work; the second run went on with the first one's mail")


def names_in(expression):
    """The metrics that a PromQL expression is about."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(by|without)\s*\([^)]*\)', " ", expression)
    return set(re.findall(r"\b(?:pier|process)_[a-z0-9_]+", bare))


def monitoring(top, pier):
    """The alert rules and the dashboard are sound, and every metric that they name is one of Pier's (docs/metrics.md is
    tested against the program's own table)."""
    known = {}
    for name, kind in re.findall(r"(?m)^\| `([a-z0-9_]+)` \| (\w+) \|", (top / "docs/metrics.md").read_text()):
        for suffix in ("_bucket", "_count", "_sum") if kind == "histogram" else ("",):
            known[name + suffix] = kind
    expect(len(known) > 50, "docs/metrics.md has no table")
    rules = (top / "packaging/prometheus/pier.rules.yml").read_text()
    used = names_in(" ".join(re.findall(r"(?m)expr: (?:>-\n)?((?:.|\n)*?)(?=\n        (?:for|labels):)", rules)))
    board = json.loads((top / "packaging/grafana/pier.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    for expression in expressions:
        expect(expression.count("(") == expression.count(")"), f"brackets: {expression}")
        expect("$instance" in expression, f"the dashboard's choice of a server does not reach {expression}")
        found = names_in(expression)
        expect(found, f"no metric in {expression}")
        used |= found
    numbers = [panel["id"] for panel in board["panels"]]
    expect(len(numbers) == len(set(numbers)), "two panels of the dashboard have one number")
    expect(len(used) > 30, f"too few metrics were found in rules and dashboard: {sorted(used)}")
    expect(used <= known.keys(), f"no metrics of Pier's: {sorted(used - known.keys())}")
    promtool = top / "build/unpacked/prometheus/usr/bin/promtool"
    if promtool.exists():
        print(run([promtool, "check", "rules", top / "packaging/prometheus/pier.rules.yml"]).strip())
        run([promtool, "check", "config", top / "packaging/prometheus/prometheus.yml"])
        # Grafana puts its variables in; promtool takes an expression only within a rule.
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            lines = [json.dumps({"record": f"panel:{number}", "expr": text.replace("$__rate_interval", "5m")})
                     for number, text in enumerate(expressions)]
            file.write("groups:\n  - name: dashboard\n    rules:\n" + "".join(f"      - {line}\n" for line in lines))
            file.flush()
            run([promtool, "check", "rules", "--lint=none", file.name])
    else:
        print("promtool is not there (packaging/install-deps.sh unpack): rules were only read")
    print(f"{len(used)} metrics in {len(expressions)} queries of the dashboard and in the rules")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, type=Path)
    parser.add_argument("--pier", required=True)
    parser.add_argument("part", choices=["units", "activation", "restart", "manual", "fail2ban", "monitoring", "deb", "demo"])
    options = parser.parse_args()
    parts = {"units": units, "activation": activation, "restart": restart, "manual": manual, "fail2ban": fail2ban, "monitoring": monitoring, "deb": deb, "demo": demo}
    parts[options.part](options.source.resolve(), str(Path(options.pier).resolve()))


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
