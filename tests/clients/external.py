#!/usr/bin/env python3
"""Clients log in by a certificate of their own (EXTERNAL), in every version of TLS, in resumed sessions, and when it is
revoked or its authority is no longer trusted.

usage: external.py --pier PROGRAM
"""
import argparse
import base64
import poplib
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

from pier_server import Failed, PierServer, make_certificates

TIMEOUT = 60
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def openssl(*words, cwd):
    done = subprocess.run(["openssl", *map(str, words)], cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"openssl {words[0]}: {done.stderr}")


class Authority:
    """NAME.pem with its key, and the certificates that it gives out."""

    def __init__(self, folder, name):
        self.folder, self.name, self.pem = folder, name, folder / f"{name}.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem",
                "-days", "30", "-subj", f"/CN=authority {name}", "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign", cwd=folder)
        (folder / f"{name}.index").write_text("")
        (folder / f"{name}.cnf").write_text(f"[ca]\ndefault_ca = it\n[it]\ndatabase = {name}.index\ndefault_md = sha256\ndefault_crl_days = 30\n")

    def client(self, name, subject, alternative, usage="clientAuth", days=10):
        """The files of a certificate and its key."""
        pem, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", "request.csr", "-subj", subject, cwd=self.folder)
        (self.folder / "extensions").write_text((f"subjectAltName={alternative}\n" if alternative else "") + f"extendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n")
        openssl("x509", "-req", "-in", "request.csr", "-CA", self.pem, "-CAkey", f"{self.name}.key", "-CAcreateserial", "-days", days, "-out", pem,
                "-extfile", "extensions", cwd=self.folder)
        return pem, key

    def revocations(self, *revoked):
        """The list, as PEM."""
        for pem in revoked:
            openssl("ca", "-config", f"{self.name}.cnf", "-keyfile", f"{self.name}.key", "-cert", self.pem, "-revoke", pem, cwd=self.folder)
        openssl("ca", "-config", f"{self.name}.cnf", "-keyfile", f"{self.name}.key", "-cert", self.pem, "-gencrl", "-out", "list.crl", cwd=self.folder)
        return (self.folder / "list.crl").read_text()


class Client(poplib.POP3_SSL):
    """POP3 over TLS; `session`: one to resume; `host`: who is asked for by SNI."""

    def __init__(self, server, certificate=None, version=None, context=None, session=None, host="localhost"):
        self.tls = context or make_context(server, certificate, version)
        self.resume, self.name = session, host
        super().__init__("localhost", server.pop3s_port, context=self.tls, timeout=TIMEOUT)

    def _create_socket(self, timeout):
        plain = poplib.POP3._create_socket(self, timeout)
        return self.tls.wrap_socket(plain, server_hostname=self.name, session=self.resume)

    def mechanisms(self):
        return self.capa()["SASL"]

    def external(self, authzid=None):
        initial = "=" if authzid is None else base64.b64encode(authzid.encode()).decode()
        try:
            return self._shortcmd("AUTH EXTERNAL " + initial).decode()
        except poplib.error_proto as refused:
            return refused.args[0].decode()

    def password(self, user, password):
        self.user(user)
        return self.pass_(password).decode()


def make_context(server, certificate, version):
    context = ssl.create_default_context(cafile=server.ca)
    if version:
        context.minimum_version = context.maximum_version = version
    if certificate:
        context.load_cert_chain(*certificate)
    return context


class Checks:
    def __init__(self, server):
        self.server, self.done = server, 0

    def expect(self, what, seen, wanted):
        good = seen.startswith(wanted) if isinstance(wanted, str) and isinstance(seen, str) else seen == wanted
        if not good:
            raise Failed(f"{what}: {seen!r}, and not {wanted!r}; the end of the server's log:\n{self.server.log_tail(30)}")
        self.done += 1

    def login(self, what, certificate, wanted, authzid=None, **options):
        client = Client(self.server, certificate, **options)
        self.expect(f"{what}: EXTERNAL is offered", "EXTERNAL" in client.mechanisms(), True)
        self.expect(what, client.external(authzid), wanted)
        client.close()

    def is_no_certificate(self, what, certificate, **options):
        client = Client(self.server, certificate, **options)
        self.expect(f"{what}: EXTERNAL is offered", "EXTERNAL" in client.mechanisms(), False)
        self.expect(f"{what}: EXTERNAL", client.external(), "-ERR unknown SASL mechanism")
        self.expect(f"{what}: a password", client.password("bo", "a password of bo's"), "+OK")
        client.close()


def by_certificate(checks, authority, files):
    server, ada = checks.server, files["ada"]
    for version in VERSIONS:
        checks.login(f"{version.name}", ada, "+OK", version=version)
        checks.login(f"{version.name}, as herself", ada, "+OK", "ada@pier.example", version=version)
        checks.login(f"{version.name}, by her account's name", ada, "+OK", "ada", version=version)
        checks.login(f"{version.name}, as somebody else", ada, "-ERR [AUTH] Authentication failed", "bo", version=version)
        checks.login(f"{version.name}, a master as somebody else", files["root"], "-ERR [AUTH]", "ada", version=version)
        checks.login(f"{version.name}, of nobody here", files["eve"], "-ERR [AUTH] Authentication failed", version=version)
        checks.login(f"{version.name}, one of two addresses", files["two"], "+OK", "bo", version=version)
        checks.login(f"{version.name}, for another host", ada, "+OK", version=version, host="mail.pier.example")
        for name in ("none", "foreign", "server", "nameless"):
            checks.is_no_certificate(f"{version.name}, {name}", files[name], version=version)
    text = server.log.read_text()
    for name in ("unsuitable certificate purpose", "unable to get local issuer certificate", "no name of the kind"):
        checks.expect(f"the log says: {name}", name in text, True)
    for how in ([], ["--sasl-ir"]):
        command = ["curl", "-s", "--max-time", TIMEOUT, "--cacert", server.ca, "--cert", ada[0], "--key", ada[1], "--login-options", "AUTH=EXTERNAL",
                   "-u", "ada:", *how, f"pop3s://localhost:{server.pop3s_port}/"]
        checks.expect(f"curl {how}", subprocess.run([str(word) for word in command], capture_output=True).returncode, 0)
    client = poplib.POP3("localhost", server.pop3_port, timeout=TIMEOUT)
    checks.expect("not before STLS", "EXTERNAL" in client.capa()["SASL"], False)
    client.stls(make_context(server, ada, None))
    checks.expect("behind STLS", client._shortcmd("AUTH EXTERNAL =").decode(), "+OK")
    client.close()


def resumed(server, certificate, version):
    """A context, and a session of it that was once logged in."""
    context = make_context(server, certificate, version)
    first = Client(server, context=context)
    first.noop_reply = first.external()
    session = first.sock.session
    first.quit()
    return context, session


def resumed_sessions(checks, authority, files):
    for version in VERSIONS:
        context, session = resumed(checks.server, files["ada"], version)
        client = Client(checks.server, context=context, session=session)
        checks.expect(f"{version.name}: resumed", client.sock.session_reused, True)
        checks.expect(f"{version.name}: she is known again", client.external(), "+OK")
        client.close()
        for name in ("none", "foreign"):
            context, session = resumed(checks.server, files[name], version)
            client = Client(checks.server, context=context, session=session)
            checks.expect(f"{version.name}: resumed, {name}", client.sock.session_reused, True)
            checks.expect(f"{version.name}: still nobody, {name}", client.external(), "-ERR unknown SASL mechanism")
            client.close()


def revoked(checks, authority, files):
    """The list is in the file from the next reload on, and tickets from before are worth nothing."""
    held = {version: resumed(checks.server, files["ada"], version) for version in VERSIONS}
    with open(checks.server.client_ca, "a") as file:
        file.write(authority.revocations(files["ada"][0]))
    checks.server.cli("reload")
    for version, (context, session) in held.items():
        client = Client(checks.server, context=context, session=session)
        checks.expect(f"{version.name}: a ticket from before", client.sock.session_reused, False)
        checks.expect(f"{version.name}: revoked", client.external(), "-ERR unknown SASL mechanism")
        client.close()
        checks.is_no_certificate(f"{version.name}: revoked", files["ada"], version=version)
        checks.login(f"{version.name}: another", files["two"], "+OK", "bo", version=version)


def other_authority(checks, authority, files):
    checks.server.client_ca.write_text(authority.pem.read_text())
    checks.server.cli("reload")
    checks.login("the list is gone", files["ada"], "+OK")
    context, session = resumed(checks.server, files["ada"], None)
    checks.server.client_ca.write_text(files["other"].pem.read_text())
    checks.server.cli("reload")
    client = Client(checks.server, context=context, session=session)
    checks.expect("a ticket from before", client.sock.session_reused, False)
    checks.expect("an authority that is not trusted any more", client.external(), "-ERR unknown SASL mechanism")
    client.close()
    checks.login("the one that is now", files["foreign"], "+OK")
    checks.server.client_ca.write_text("no certificate\n")
    try:
        checks.server.cli("reload")
        raise Failed("the server took a file without authorities")
    except Failed as refused:
        checks.expect("the reload says why", "authorities of client certificates" in str(refused), True)
    checks.login("what was loaded before stays", files["foreign"], "+OK")


def run(pier, authority, files, keys, parts):
    with tempfile.TemporaryDirectory(prefix="pier-authorities-") as folder:
        return run_in(Path(folder), pier, authority, files, keys, parts)


def run_in(folder, pier, authority, files, keys, parts):
    client_ca = folder / "clients.pem"
    client_ca.write_text(authority.pem.read_text())
    second = folder / "second"
    subprocess.run([Path(__file__).resolve().parents[2] / "packaging/demo/make-certificates", second, "mail.pier.example"], check=True)
    more = f'[[certificate]]\nfile = "{second}/server.pem"\nkey = "{second}/server.key"\n[guard]\nenabled = false\n'
    with PierServer(pier, settings=more, tls_keys=f'client_ca = "{client_ca}"\n{keys}') as server:
        server.ca.write_text(server.ca.read_text() + (second / "ca.pem").read_text())
        server.client_ca = client_ca
        server.cli("check")
        server.cli("domain", "add", "pier.example")
        for name in ("ada", "bo", "root"):
            server.add_account(name, f"a password of {name}'s")
        server.cli("account", "change", "root", "--master", "on")
        server.start()
        checks = Checks(server)
        for part in parts:
            part(checks, authority, files)
    return checks.done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pier-clients-") as name:
        folder = Path(name)
        ours, other = Authority(folder, "ours"), Authority(folder, "other")
        mail = "email:{}@pier.example".format
        files = {"ada": ours.client("ada", "/CN=bo", mail("ada") + ",DNS:ada"), "root": ours.client("root", "/CN=root", mail("root")),
                 "eve": ours.client("eve", "/CN=eve", mail("eve")), "two": ours.client("two", "/CN=a/CN=b", mail("nobody") + "," + mail("bo")),
                 "nameless": ours.client("nameless", "/CN=ada", ""), "server": ours.client("as-server", "/CN=ada", mail("ada"), "serverAuth"),
                 "foreign": other.client("foreign", "/CN=ada", mail("ada")), "none": None, "other": other}
        done = run(options.pier, ours, files, "", [by_certificate, resumed_sessions, revoked, other_authority])

        def by_name(what, name, wanted):
            return lambda checks, *_: checks.login(what, files[name], "+OK", wanted)
        done += run(options.pier, ours, files, 'client_name = "cn"', [by_name("the common name", "ada", "bo"), by_name("the common name", "nameless", "ada"),
                                                                     lambda checks, *_: checks.is_no_certificate("two common names", files["two"])])
        done += run(options.pier, ours, files, 'client_name = "san-dns"', [by_name("the host name", "ada", "ada"),
                                                                          lambda checks, *_: checks.is_no_certificate("no host name", files["root"])])
    print(f"{done} checks of certificates")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
