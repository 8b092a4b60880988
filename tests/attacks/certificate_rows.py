"""Row 29: the certificate is replaced, by good ones and by bad ones, while clients come and go."""
import hashlib
import shutil
import subprocess
import threading
import time

from peer import Peer, tls_context
from table import expect, row
from target import Failed

CLIENTS = 3
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost")


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def self_signed(folder, name, start=None, end=None):
    """name.pem and name.key in `folder`, good from `start` to `end` ("20200101000000Z"), or for a month."""
    folder.mkdir(exist_ok=True)
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    if not start:
        openssl("req", "-x509", *NEW_KEY, "-keyout", key, "-out", certificate, "-days", "30")
        return certificate, key
    # Only `openssl ca` sets both times.
    request, config = folder / f"{name}.csr", folder / f"{name}.cnf"
    (folder / f"{name}.db").write_text("")
    config.write_text(f"[ca]\ndefault_ca = it\n[it]\ndatabase = {folder}/{name}.db\nnew_certs_dir = {folder}\nrand_serial = yes\n"
                      "default_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n")
    openssl("req", "-new", *NEW_KEY, "-keyout", key, "-out", request)
    openssl("ca", "-batch", "-config", config, "-selfsign", "-keyfile", key, "-in", request, "-out", certificate, "-startdate", start, "-enddate", end,
            "-notext")
    return certificate, key


def fingerprint(target):
    with Peer(target.pop3s, tls=tls_context()) as peer:
        return hashlib.sha256(peer.socket.getpeercert(binary_form=True)).hexdigest()


@row(29, "certificate replaced under load: good, broken, foreign key, expired, not yet valid, gone",
     "a good one is taken up; a bad one refused, the old kept, said loudly", needs_pier=True)
def replaced_certificates(target):
    server = target.server
    used = server.folder / "tls"
    made = server.folder / "more-tls"
    first = fingerprint(target)
    problems, handshakes, stopping = [], [0], threading.Event()

    def come_and_go():
        while not stopping.is_set():
            try:
                with Peer(target.pop3s, tls=tls_context()) as peer:
                    expect(peer.ask("CAPA") is not None, "no answer")
                handshakes[0] += 1
            except Exception as problem:
                problems.append(problem)

    def put(certificate, key):
        # As an administrator's tool does: a new file takes the place of the old one.
        for source, name in ((certificate, "server.pem"), (key, "server.key")):
            shutil.copy(source, used / "new")
            (used / "new").replace(used / name)

    def refused(what, event=b"event=tls.reload.failed"):
        before = len(target.log_text())
        try:
            server.cli("reload")
        except Failed as failure:
            text = str(failure)
        else:
            expect(False, f"{what}: `pier reload` takes it")
        expect(fingerprint(target) == current, f"{what}: the old certificate is not kept")
        expect(target.await_log(event, before), f"{what}: nothing loud in the log")
        line = next(line for line in target.log_text()[before:].splitlines() if event in line)
        expect(b"level=error" in line, f"{what}: {line.decode()}")
        return text

    good = self_signed(made, "good")
    expired = self_signed(made, "expired", "20200101000000Z", "20210101000000Z")
    not_yet = self_signed(made, "not-yet", "20400101000000Z", "20410101000000Z")
    broken = made / "broken.pem"
    broken.write_bytes(good[0].read_bytes()[:200])
    threads = [threading.Thread(target=come_and_go) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        put(*good)
        server.cli("reload")
        current = fingerprint(target)
        expect(current != first, "a good certificate was not taken up")
        texts = {}
        for what, files in {"broken": (broken, good[1]), "foreign key": (good[0], expired[1]), "expired": expired, "not yet valid": not_yet}.items():
            put(*files)
            texts[what] = refused(what)
        (used / "server.pem").unlink()
        refused("gone", b"level=error")
        expect("expired" in texts["expired"], texts["expired"])
        expect("not yet valid" in texts["not yet valid"], texts["not yet valid"])
        put(*self_signed(made, "better"))
        server.cli("reload")
        expect(fingerprint(target) != current, "after the bad ones a good certificate is not taken up")
        time.sleep(0.2)
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    expect(not problems, f"{len(problems)} clients failed meanwhile: {problems[:1]}")
    return f"two good ones taken up, five bad ones refused; {handshakes[0]} handshakes meanwhile, none failed"
