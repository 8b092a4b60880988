#!/usr/bin/env python3
"""Real clients log in by tokens of an issuer of the test's own: by its keys, and by asking it.

usage: oauth.py --pier PROGRAM
"""
import argparse
import base64
import json
import poplib
import ssl
import subprocess
import sys
import time

from pier_server import Failed, PierServer
from token_issuer import CLIENT_ID, CLIENT_SECRET, Issuer, Key

TIMEOUT = 60
PATIENCE_SECONDS = 60


class Checks:
    def __init__(self, server, issuer):
        self.server, self.issuer, self.done, self.shown = server, issuer, 0, []

    def expect(self, what, seen, wanted):
        seen = seen.decode(errors="replace") if isinstance(seen, bytes) else seen
        good = seen.startswith(wanted) if isinstance(wanted, str) and isinstance(seen, str) else seen == wanted
        if not good:
            raise Failed(f"{what}: {seen!r}, and not {wanted!r}; the end of the server's log:\n{self.server.log_tail(30)}")
        self.done += 1

    def good(self, user="ada@pier.example", **more):
        token = self.issuer.sign(self.issuer.claims(email=user, **more))
        self.shown.append(token)
        return token

    def curl(self, user, token, mechanism, *options):
        self.shown.append(token)
        command = ["curl", "-s", "--max-time", TIMEOUT, "--cacert", self.server.ca, "--login-options", f"AUTH={mechanism}", *options,
                   "--oauth2-bearer", token, "-u", f"{user}:", f"pop3s://localhost:{self.server.pop3s_port}/"]
        return subprocess.run([str(word) for word in command], capture_output=True).returncode

    def mpop(self, user, token, mechanism):
        self.shown.append(token)
        rc = self.server.folder / "mpoprc"
        rc.touch(0o600)
        (self.server.folder / "token").write_text(token + "\n")
        rc.write_text(f"""
account test
host localhost
port {self.server.pop3s_port}
user {user}
passwordeval "cat {self.server.folder}/token"
auth {mechanism}
tls on
tls_starttls off
tls_trust_file {self.server.ca}
delivery mda true
uidls_file {self.server.folder}/uidls
""")
        return subprocess.run(["mpop", "-q", "-s", "-C", rc, "test"], capture_output=True).returncode

    def connect(self):
        return poplib.POP3_SSL("localhost", self.server.pop3s_port, context=ssl.create_default_context(cafile=self.server.ca), timeout=TIMEOUT)

    def ask(self, *lines):
        """What a session of these lines is answered last."""
        client = self.connect()
        try:
            for line in lines:
                client._putcmd(line)
                reply = client._getline()[0]
            return reply
        finally:
            client.close()

    def oauthbearer(self, token, authzid=""):
        """The last reply; an error's challenge is answered as RFC 7628 §3.2.3 wants it."""
        self.shown.append(token)
        message = f"n,{'a=' + authzid if authzid else ''},\1host=localhost\1port=995\1auth=Bearer {token}\1\1"
        first = "AUTH OAUTHBEARER " + base64.b64encode(message.encode()).decode()
        reply = self.ask(first)
        return self.ask(first, "AQ==") if reply.startswith(b"+ ") else reply

    def until(self, what, ask, wanted):
        """Asked over and over, as the issuer is not asked again at once after a failure."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not (seen := ask()).startswith(wanted):
            if time.monotonic() > end:
                self.expect(what, seen, wanted)
        self.done += 1

    def log_is_silent(self):
        text = self.server.log.read_text(errors="replace")
        for token in self.shown:
            for part in token.split("."):
                if len(part) > 20 and part in text and part != self.shown[0].split(".")[0]:
                    raise Failed("a token, or a part of it, is in the server's log")
        self.done += 1


def clients_log_in(checks):
    long = checks.good(groups="g" * 8000)
    assert len(long) > 10000
    for token in (checks.good(), long):
        for mechanism in ("OAUTHBEARER", "XOAUTH2"):
            for how in ([], ["--sasl-ir"]):
                checks.expect(f"curl {mechanism} {how}", checks.curl("ada@pier.example", token, mechanism, *how), 0)
        for mechanism in ("oauthbearer", "xoauth2"):
            # What mpop can say is bounded by itself.
            if token is not long:
                checks.expect(f"mpop {mechanism}", checks.mpop("ada@pier.example", token, mechanism), 0)
    checks.expect("by the account's own name", checks.oauthbearer(checks.good(), "ada"), "+OK")
    checks.expect("without a name", checks.oauthbearer(checks.good()), "+OK")


def bad_tokens_are_refused(checks):
    issuer, claims = checks.issuer, checks.issuer.claims(email="ada@pier.example")
    bad = {"expired": issuer.sign({**claims, "exp": int(time.time()) - 3600}),
           "of another issuer": issuer.sign({**claims, "iss": "https://elsewhere.example"}),
           "for another audience": issuer.sign({**claims, "aud": "web"}),
           "without the scope": issuer.sign({**claims, "scope": "openid"}),
           "of nobody here": issuer.sign({**claims, "email": "eve@pier.example"}),
           "with an address that was not verified": issuer.sign({**claims, "email_verified": False}),
           "signed by somebody else": issuer.sign(claims, Key(checks.server.folder, "forged"), {"alg": "RS256", "kid": "first"}),
           "not signed": issuer.sign(claims, header={"alg": "none"}),
           "of another kind": "opaque"}
    for what, token in bad.items():
        for mechanism in ("OAUTHBEARER", "XOAUTH2"):
            if checks.curl("ada@pier.example", token, mechanism) == 0:
                raise Failed(f"curl logged in by {mechanism} with a token that is {what}")
            checks.done += 1
        checks.expect(what, checks.oauthbearer(token), "-ERR [AUTH] Authentication failed")
    checks.expect("as somebody else", checks.oauthbearer(checks.good(), "bo"), "-ERR [AUTH] Authentication failed")
    checks.expect("a master as somebody else", checks.oauthbearer(checks.good("root@pier.example"), "ada"), "-ERR [AUTH]")
    checks.expect("a master as himself", checks.oauthbearer(checks.good("root@pier.example"), "root"), "+OK")
    checks.expect("disabled", checks.oauthbearer(checks.good("gone@pier.example")), "-ERR [SYS/PERM] This account is disabled")
    checks.expect("from a network that is not the account's", checks.oauthbearer(checks.good("far@pier.example")), "-ERR [AUTH]")
    checks.expect("app passwords only", checks.oauthbearer(checks.good("apps@pier.example")), "+OK")
    log = checks.server.log.read_text()
    for reason in ("the token has expired", "the token is for another audience", "the token's signature is wrong", "the token's algorithm is not taken"):
        checks.expect(f"the log says: {reason}", reason in log, True)
    # RFC 7628 §3.2.2, and the mechanism's own end when the client does not answer as it should.
    message = base64.b64encode(b"n,,\1auth=Bearer bad\1\1").decode()
    challenge = json.loads(base64.b64decode(checks.ask("AUTH OAUTHBEARER " + message)[2:]))
    checks.expect("the error", challenge, {"status": "invalid_token", "scope": "mail", "openid-configuration": f"{checks.issuer.url}/.well-known/openid-configuration"})


def keys_change(checks):
    old = checks.good()
    checks.issuer.keys.append(Key(checks.issuer.folder, "second"))
    checks.expect("a new key", checks.oauthbearer(checks.good()), "+OK")
    checks.expect("the old one beside it", checks.oauthbearer(old), "+OK")
    del checks.issuer.keys[0]
    checks.until("the old one, taken back", lambda: checks.oauthbearer(old), b"-ERR [AUTH]")


def an_outage_is_no_refusal(checks, token):
    checks.server.stop()
    checks.issuer.status = 503
    checks.server.start()
    checks.expect("the issuer is away", checks.oauthbearer(token), "-ERR [SYS/TEMP]")
    checks.expect("and still", checks.oauthbearer(token), "-ERR [SYS/TEMP]")
    checks.issuer.status = 200
    checks.until("it is back", lambda: checks.oauthbearer(token), b"+OK")
    checks.expect("the log says so", "token.issuer.outage" in checks.server.log.read_text(), True)


def settings(issuer, server_folder, *lines):
    common = [f'issuer = "{issuer.url}"', 'audience = "mail imap"', 'scope = "mail"', f'ca_file = "{issuer.folder}/ca.pem"',
              f'openid_configuration = "{issuer.url}/.well-known/openid-configuration"']
    return "[guard]\nenabled = false\n[oauth]\n" + "\n".join([*common, *lines]) + "\n"


def run(pier, issuer, lines, parts):
    with PierServer(pier) as server:
        server.config.write_text(server.config.read_text() + settings(issuer, server.folder, *lines))
        (server.folder / "secret").write_text(CLIENT_SECRET + "\n")
        server.cli("check")
        server.cli("domain", "add", "pier.example")
        for name in ("ada", "bo", "root", "gone", "far", "apps"):
            server.add_account(name, "a password of its own")
        server.cli("account", "change", "root", "--master", "on")
        server.cli("account", "disable", "gone")
        server.cli("account", "allow", "far", "192.0.2.0/24")
        server.cli("account", "change", "apps", "--app-passwords-only", "on")
        server.start()
        checks = Checks(server, issuer)
        for part in parts:
            part(checks)
        checks.log_is_silent()
    return checks.done


def by_asking(checks):
    issuer = checks.issuer
    issuer.active = {"tok_ada_0123456789abcdef": {"active": True, "username": "ada", "scope": "mail", "exp": int(time.time()) + 600},
                     "tok_eve_0123456789abcdef": {"active": True, "username": "eve", "scope": "mail"},
                     "tok_web_0123456789abcdef": {"active": True, "username": "ada", "scope": "web"}}
    before = len(issuer.asked)
    for mechanism in ("OAUTHBEARER", "XOAUTH2"):
        checks.expect(f"curl {mechanism}", checks.curl("ada", "tok_ada_0123456789abcdef", mechanism), 0)
    checks.expect("the issuer was asked once", issuer.asked[before:], ["/introspect"])
    for token in ("tok_eve_0123456789abcdef", "tok_web_0123456789abcdef", "tok_off_0123456789abcdef+/=="):
        checks.expect(token, checks.oauthbearer(token), "-ERR [AUTH] Authentication failed")
    checks.expect("requests that were wrong", issuer.faults, [])
    state = json.loads(checks.server.cli("status", "--json"))["oauth"]
    checks.expect("what the status tells", (state["worker"], state["outages"], state["waiting"], state["kept"]), ("ready", 0, 0, 4))
    an_outage_is_no_refusal(checks, "tok_ada_0123456789abcdef")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    options = parser.parse_args()
    with PierServer(options.pier) as files, Issuer(files.folder / "tls") as issuer:
        done = run(options.pier, issuer, [f'jwks_url = "{issuer.url}/jwks"', 'cache_time = "0s"'],
                   [clients_log_in, bad_tokens_are_refused, keys_change, lambda checks: an_outage_is_no_refusal(checks, checks.good())])
        jwks = files.folder / "jwks.json"
        jwks.write_text(json.dumps({"keys": [key.jwk() for key in issuer.keys]}))
        done += run(options.pier, issuer, [f'jwks_file = "{jwks}"'], [lambda checks: checks.expect("keys in a file", checks.oauthbearer(checks.good()), "+OK")])
        secret = files.folder / "secret"
        secret.write_text(CLIENT_SECRET + "\n")
        done += run(options.pier, issuer, [f'introspection_url = "{issuer.url}/introspect"', f'client_id = "{CLIENT_ID}"', f'client_secret_file = "{secret}"'], [by_asking])
    print(f"{done} checks of tokens")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
