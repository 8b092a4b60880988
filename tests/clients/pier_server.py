"""A Pier server of its own for a test: `pier serve` in a temporary folder, on free loopback ports.

    with PierServer(pier) as server:        # made, not started
        server.cli("account", "add", ...)   # works on the store while no server runs, over its socket while one does
        server.start(); ...; server.stop()

Ready is what the server itself says (systemd's notification protocol), so nothing here sleeps.
"""
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SAMPLES = TOP / "samples"
READY_SECONDS = 30
STOP_SECONDS = 40


class Failed(Exception):
    """What went wrong, for a person."""


def canonical(message):
    """The form in which Pier keeps and sends a message: bare LF becomes CRLF, a lone CR stays, the last line ends with CRLF."""
    message = re.sub(rb"(?<!\r)\n", b"\r\n", message)
    if message and not message.endswith(b"\r\n"):
        message += b"\r\n"
    return message


def free_ports(count):
    """Ports that nobody listens on, from below the range that the kernel gives to outgoing connections."""
    ports = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def make_certificates(folder):
    """ca.pem, server.pem and server.key for localhost."""
    subprocess.run([TOP / "packaging/demo/make-certificates", folder], check=True)


class PierServer:
    def __init__(self, pier, tls=True, settings="", listener="", tls_keys="", pop3="", submission=""):
        """`settings`: more sections of the configuration. `listener`, `tls_keys`, `pop3`, `submission`: more keys of each TCP listener,
        of [tls], of the listeners for POP3, of those for submission."""
        self.pier = str(Path(pier).resolve())
        self.folder = Path(tempfile.mkdtemp(prefix="pier-test-"))
        # Postfix and Exim run as users of their own and must reach the socket.
        self.folder.chmod(0o755)
        self.pop3_port, self.pop3s_port, self.lmtp_port, self.smtp_port, self.submission_port, self.submissions_port = free_ports(6)
        self.lmtp_socket = self.folder / "lmtp.sock"
        self.ca = self.folder / "tls/ca.pem"
        self.config = self.folder / "pier.toml"
        self.log = self.folder / "pier.log"
        self.process = None
        self.environment = {}   # of the server, beside this process's own
        if tls:
            make_certificates(self.folder / "tls")
        self.config.write_text(self._config(tls, settings, listener, tls_keys, pop3, submission))

    def _config(self, tls, settings, listener, tls_keys, pop3, submission):
        listeners = [("pop3", f'address = "127.0.0.1"\nport = {self.pop3_port}\n{listener}\n{pop3}'),
                     ("lmtp", f'address = "127.0.0.1"\nport = {self.lmtp_port}\n{listener}'),
                     ("smtp", f'address = "127.0.0.1"\nport = {self.smtp_port}\n{listener}'),
                     ("submission", f'address = "127.0.0.1"\nport = {self.submission_port}\n{listener}\n{submission}'),
                     ("lmtp", f'path = "{self.lmtp_socket}"')]
        if tls:
            listeners.append(("pop3s", f'address = "127.0.0.1"\nport = {self.pop3s_port}\n{listener}\n{pop3}'))
            listeners.append(("submissions", f'address = "127.0.0.1"\nport = {self.submissions_port}\n{listener}\n{submission}'))
        text = f'[server]\nhostname = "localhost"\ndata_folder = "{self.folder}/data"\nuser = ""\nshutdown_grace = "5s"\n'
        if tls:
            text += f'[tls]\ncertificate = "{self.folder}/tls/server.pem"\nkey = "{self.folder}/tls/server.key"\n{tls_keys}\n'
        for protocol, where in listeners:
            text += f'[[listener]]\nprotocol = "{protocol}"\n{where}\n'
        return text + f'[admin]\nsocket = "{self.folder}/admin.sock"\n' + settings

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if self.process:
                if kind is None:
                    self.stop()
                else:
                    self.process.kill()
                    self.process.wait()
        finally:
            if kind is None:
                shutil.rmtree(self.folder, ignore_errors=True)
            else:
                print(f"the server's folder stays for a look: {self.folder}; the end of its log:\n{self.log_tail()}", flush=True)

    def log_tail(self, lines=15):
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def start(self):
        """Starts and waits until the server says that it is ready; gives the seconds it took."""
        notify_path = str(self.folder / "notify.sock")
        if os.path.exists(notify_path):
            os.unlink(notify_path)
        began = time.monotonic()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(notify_path)
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen([self.pier, "--config", str(self.config), "serve"], stdout=log, stderr=log,
                                                stdin=subprocess.DEVNULL,
                                                env={**os.environ, **self.environment, "NOTIFY_SOCKET": notify_path})
            notify.settimeout(0.2)
            while time.monotonic() < began + READY_SECONDS:
                try:
                    if b"READY=1" in notify.recv(4096).split(b"\n"):
                        return time.monotonic() - began
                except socket.timeout:
                    if self.process.poll() is not None:
                        raise Failed(f"pier serve ended with status {self.process.returncode} before it was ready:\n{self.log_tail()}")
        raise Failed(f"pier serve was not ready after {READY_SECONDS} s:\n{self.log_tail()}")

    def start_and_kill(self, seconds):
        """Starts, and kills `seconds` later, ready or not."""
        with open(self.log, "ab") as log:
            process = subprocess.Popen([self.pier, "--config", str(self.config), "serve"], stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL, env={**os.environ, **self.environment})
        time.sleep(seconds)
        if process.poll() is not None:
            raise Failed(f"pier serve ended with status {process.returncode} while it was starting:\n{self.log_tail()}")
        process.kill()
        process.wait()

    def take_process(self):
        """The process, which must still be alive: a server that ends by itself is a failure whatever the clients saw."""
        process, self.process = self.process, None
        if process.poll() is not None:
            raise Failed(f"pier serve ended by itself with status {process.returncode}:\n{self.log_tail()}")
        return process

    def stop(self):
        """SIGTERM, and a clean end."""
        process = self.take_process()
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed(f"pier serve did not end within {STOP_SECONDS} s of SIGTERM:\n{self.log_tail()}")
        if status != 0:
            raise Failed(f"pier serve ended with status {status} after SIGTERM:\n{self.log_tail()}")

    def kill(self):
        """SIGKILL: what a crash looks like."""
        process = self.take_process()
        process.kill()
        process.wait()

    def cli(self, *words, input=b"", check=True):
        """Runs a command of the program; gives what it printed."""
        done = subprocess.run([self.pier, "--config", str(self.config), *map(str, words)], input=input, capture_output=True, timeout=300)
        if check and done.returncode != 0:
            raise Failed(f"pier {' '.join(map(str, words))} ended with status {done.returncode}:\n{done.stderr.decode(errors='replace')}{done.stdout.decode(errors='replace')}")
        return done.stdout

    def add_account(self, name, password, *options):
        secret = self.folder / "password"
        secret.write_text(password + "\n")
        self.cli("account", "add", name, "--password-file", secret, *options)
        secret.unlink()
