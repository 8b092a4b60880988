"""Ports, certificates and the machine: what keeps a server from starting or from being reached."""
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from doctor_case import Doctor, change_config, need_root, running
from pier_server import Failed, PierServer, free_ports
from probe import Authority

NOBODY = 65534


@contextlib.contextmanager
def port_server(talk):
    """`talk` is called with each connection."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(20)

        def serve():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def stopped(pier):
    """A server that does not run, and why it would not."""
    with PierServer(pier) as server:
        doctor = Doctor(server)
        doctor.expect("a server that does not run", "server_down", "refused", "--ca-file", server.ca)
        doctor.expect("the same, everything", "server_down", "no-answer", "--ca-file", server.ca)
        with socket.socket() as other:
            other.bind(("127.0.0.1", server.pop3_port))
            other.listen()
            answer = doctor.expect("a port that another has", "port_taken", "refused", beside={"server_down"})
            taken = next(one for one in answer["findings"] if one["code"] == "port_taken")
            if f"process {os.getpid()}" not in taken["evidence"]:
                raise Failed(f"who has the port is not told: {taken}")
        good = server.config.read_text()
        change_config(server, (f'address = "127.0.0.1"\nport = {server.pop3_port}', f'address = "198.51.100.9"\nport = {server.pop3_port}'))
        doctor.expect("an address that is not here", "address_not_here", "refused", beside={"server_down"})
        server.config.write_text(good.replace("data_folder", "data_fodler"))
        doctor.expect("a key that is not known", "config_error", "security", beside={"server_down", "data_folder_unusable"})
        server.config.write_text(good)
        if need_root("ports below 1024 and no right to them"):
            change_config(server, (f"port = {server.pop3_port}", "port = 110"))
            doctor.expect("a port that only root may open", "port_needs_rights", "refused", as_user=NOBODY,
                          beside={"server_down", "config_warning", "config_error"})


def serving(pier):
    """A server that runs, and what is between it and its clients."""
    with running(pier) as server:
        doctor = Doctor(server)
        for symptom in ("refused", "no-answer", "security", "authentication"):
            doctor.expect_nothing(f"a server that is well: {symptom}", symptom, "--ca-file", server.ca)
        doctor.expect("an authority that nobody knows", "certificate_untrusted", "security")
        if need_root("the management socket of another user"):
            doctor.expect("a management socket of another user", "management_closed", "authentication", as_user=NOBODY,
                          beside={"config_warning", "config_error"})
        port = free_ports(1)[0]
        good = server.config.read_text()
        change_config(server, append=f'[[listener]]\nprotocol = "pop3"\naddress = "127.0.0.1"\nport = {port}\n')
        doctor.expect("a listener that was added after the start", "listener_missing", "refused", "--ca-file", server.ca)
        server.config.write_text(good)
        doctor.expect("a port where nobody listens", "listener_unreachable", "refused", f"127.0.0.1:{port}", "--protocol", "pop3")
        limit = subprocess.run(["prlimit", "--pid", str(server.process.pid), "--nofile", "--noheadings", "--output", "SOFT"], check=True, capture_output=True, text=True)
        subprocess.run(["prlimit", "--pid", str(server.process.pid), "--nofile=3000:"], check=True)
        doctor.expect("a low limit of descriptors", "descriptors_low", "security", "--ca-file", server.ca)
        subprocess.run(["prlimit", "--pid", str(server.process.pid), f"--nofile={limit.stdout.strip()}:"], check=True)
        newest = max((path for path in (server.folder / "data").rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime)
        os.utime(newest, (time.time() + 7200, time.time() + 7200))
        doctor.expect("a clock that is behind", "clock_behind", "security", "--ca-file", server.ca)
        os.utime(newest)
        doctor.expect_nothing("all is well again", "security", "--ca-file", server.ca)


def answers(pier):
    """Servers that answer badly, or not."""
    def late(connection):
        time.sleep(3.5)
        with contextlib.suppress(OSError):
            connection.sendall(b"+OK late\r\n")
            while line := connection.recv(1000):
                connection.sendall(b"+OK\r\n" if b"QUIT" in line else b"-ERR no\r\n")
        connection.close()

    def hasty(connection):
        connection.sendall(b"+OK and gone\r\n")
        connection.close()

    with running(pier) as server, port_server(lambda _: time.sleep(30)) as port, port_server(late) as slow_port, port_server(hasty) as hasty_port:
        doctor = Doctor(server)
        doctor.expect("a server that says nothing", "listener_silent", "no-answer", f"127.0.0.1:{port}", "--protocol", "pop3")
        doctor.expect("a server that greets late", "slow_phase", "no-answer", f"127.0.0.1:{slow_port}", "--protocol", "pop3")
        doctor.expect("a server that hangs up", "listener_broken", "no-answer", f"127.0.0.1:{hasty_port}", "--protocol", "pop3")
    with running(pier, settings="[limits]\nconnections_max = 10\n") as server:
        connections = []
        for _ in range(10):
            connections.append(socket.create_connection(("127.0.0.1", server.pop3_port)))
            connections[-1].recv(100)
        Doctor(server).expect("a server with all its connections", "connections_full", "refused", "--ca-file", server.ca, beside={"listener_tls_fails"})
        Doctor(server).login("a login where all connections are taken", "connections_full", "ada", beside=("listener_tls_fails",))
        for connection in connections:
            connection.close()


def certificates(pier):
    """Files that are wrong."""
    with PierServer(pier) as server:
        doctor = Doctor(server)
        authority = Authority(server.folder / "authority")
        folder = server.folder / "authority"
        pem, key = server.folder / "tls/server.pem", server.folder / "tls/server.key"

        def put(name, key_of=None):
            shutil.copy(folder / f"{name}.pem", pem)
            shutil.copy(folder / f"{key_of or name}.key", key)
            key.chmod(0o600)

        def expect(what, code):
            doctor.expect(what, code, "security", beside={"server_down"})

        authority.issue("good")
        authority.issue("expired", dates=("-startdate", "20200101000000Z", "-enddate", "20210101000000Z"))
        authority.issue("late", dates=("-startdate", "20400101000000Z", "-enddate", "20410101000000Z"))
        authority.issue("other", names="DNS:other.example")
        authority.issue("soon", dates=("-days", "5"))
        for name, code in (("expired", "certificate_expired"), ("late", "certificate_not_yet_valid"), ("other", "certificate_wrong_name"),
                           ("soon", "certificate_ends_soon")):
            put(name)
            expect(f"a certificate that is {name}", code)
        put("good", key_of="other")
        expect("a key of another certificate", "certificate_key_mismatch")
        put("good")
        key.chmod(0o644)
        expect("a key that everybody may read", "key_open")
        key.unlink()
        expect("a key that is not there", "key_unreadable")
        pem.write_text("nothing\n")
        expect("a certificate that is none", "certificate_unreadable")
        put("good")
        server.start()
        doctor.expect_nothing("a good one", "security", "--ca-file", authority.ca)
        put("expired")
        server.cli("reload", check=False)
        doctor.expect("one that the running server did not take up", "certificate_not_taken_up", "security", "--ca-file", authority.ca,
                      beside={"certificate_expired"})


def disks(pier):
    """A data folder that cannot be used, and a disk without room; these mount file systems for this process alone."""
    with PierServer(pier) as server:
        if not need_root("file systems of the test's own"):
            return
        data = server.folder / "data"
        data.mkdir(mode=0o700)
        change_config(server, ('user = ""', 'user = "nobody"'))
        Doctor(server).expect("a data folder of another user", "data_folder_unusable", "security", beside={"server_down", "config_warning", "config_error"})
        change_config(server, ('user = "nobody"', 'user = ""'))
        for what, code, options in (("a disk that is full", "disk_full", "size=32m"), ("a file system without inodes", "inodes_short", "size=200m,nr_inodes=40")):
            inside(server, ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(data)], what, code)


def inside(server, mount, what, code):
    """In a mount namespace: `unshare` and the rest of it, in a process of its own."""
    script = ("import os, subprocess, sys\n"
              "from doctor_case import Doctor\n"
              "class Server: pass\n"
              f"server = Server(); server.pier = {server.pier!r}; server.config = {str(server.config)!r}\n"
              f"subprocess.run({mount!r}, check=True)\n"
              "if 'nr_inodes' in " + repr(mount[4]) + ":\n"
              f"    [open(f'{server.folder}/data/{{n}}', 'w').close() for n in range(39)]\n"
              f"Doctor(server).expect({what!r}, {code!r}, 'not-arriving', beside={{'server_down', 'dns_unanswered', 'host_no_address', 'slow_dns'}})\n")
    done = subprocess.run(["unshare", "-m", sys.executable, "-c", script], cwd=Path(__file__).parent, timeout=120)
    if done.returncode != 0:
        raise Failed(f"{what}: see above")
    Doctor.named.add(code)
    Doctor.faults += 1


def firewall(pier):
    """nftables' rules, in a network namespace of this test's own."""
    if not need_root("a network namespace") or not shutil.which("nft", path=os.environ["PATH"] + ":/usr/sbin"):
        print("SKIPPED: nft rules; there is no nft here, or no right to it", flush=True)
        return
    with PierServer(pier) as server:
        rules = ("table inet filter { chain input { type filter hook input priority 0; policy accept; "
                 f"tcp dport {server.pop3s_port} drop; }}\n}}\n")
        script = ("import subprocess\n"
                  "from doctor_case import Doctor\n"
                  "class Server: pass\n"
                  f"server = Server(); server.pier = {server.pier!r}; server.config = {str(server.config)!r}\n"
                  "subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)\n"
                  f"subprocess.run(['nft', {rules!r}], check=True)\n"
                  "Doctor(server).expect('a firewall that drops', 'firewall_drops', 'refused', beside={'server_down'})\n")
        done = subprocess.run(["unshare", "-n", sys.executable, "-c", script], cwd=Path(__file__).parent, timeout=120,
                              env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
        if done.returncode != 0:
            raise Failed("a firewall that drops: see above")
        Doctor.named.add("firewall_drops")
        Doctor.faults += 1


PARTS = {"stopped": stopped, "serving": serving, "answers": answers, "certificates": certificates, "disks": disks, "firewall": firewall}
