"""Debian's Dovecot for a test: with a configuration, folder and ports of its own; as a child, never as a service.

    with DovecotProcess(folder, settings, port):     # listens on 127.0.0.1:port
"""
import os
import socket
import subprocess
import time
from pathlib import Path

from pier_server import Failed

DOVECOT = "/usr/sbin/dovecot"
START_SECONDS = 30


class DovecotProcess:
    def __init__(self, folder, settings, port):
        if os.getuid() != 0 or not Path(DOVECOT).exists():
            raise Failed(f"needs root and {DOVECOT} (packaging/install-deps.sh test)")
        self.port = port
        self.log = folder / "dovecot.log"
        self.config = folder / "dovecot.conf"
        self.config.write_text(f"base_dir = {folder}/dovecot-run\nstate_dir = {folder}/dovecot-state\ninstance_name = {folder.name}\n"
                               f"listen = 127.0.0.1\nlog_path = {self.log}\n" + settings)
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen([DOVECOT, "-F", "-c", self.config], stdin=subprocess.DEVNULL)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                    return self
            except OSError:
                time.sleep(0.1)
        self.__exit__()
        raise Failed(f"Dovecot did not start:\n{self.log.read_text() if self.log.exists() else '(no log)'}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
