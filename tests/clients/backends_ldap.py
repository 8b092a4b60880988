#!/usr/bin/env python3
"""Accounts in a real slapd: logins by bind and by search, over StartTLS, ldaps:// and a Unix socket, deliveries, hostile names,
outages, certificates that do not fit, many at once.

usage: backends_ldap.py --pier PROGRAM --unpacked FOLDER

slapd is Debian's, unpacked under FOLDER by packaging/install-deps.sh unpack and started by this test.
"""
import argparse
import base64
import hashlib
import sys
import tempfile
from pathlib import Path

from backend_checks import ACCOUNTS, LONG_S, OUTAGE, RIGHT, SETTINGS, SHORT_S, WRONG, Checks
from directory_servers import Slapd
from pier_server import Failed, PierServer, free_ports, make_certificates

PEOPLE = "ou=people,dc=example"


def rules(folder, password):
    # Whoever searches may read all but passwords; only the administrator of the directory reads those. Logins by mail.
    return f"""
database mdb
suffix "dc=example"
rootdn "cn=admin,dc=example"
rootpw "{password}"
directory {folder}/data
index uid eq
access to attrs=userPassword by anonymous auth
access to * by * read
"""


def entry(rdn, kinds, **attributes):
    """LDIF, every value as base64, so that nothing has to be escaped."""
    lines = [f"dn:: {base64.b64encode(rdn.encode()).decode()}", *(f"objectClass: {kind}" for kind in kinds)]
    for name, values in attributes.items():
        lines += [f"{name}:: {base64.b64encode(value.encode()).decode()}" for value in ([values] if isinstance(values, str) else values)]
    return "\n".join(lines) + "\n\n"


def person(uid, passwords, rdn=None, **more):
    passwords = {"userPassword": passwords} if passwords else {}
    return entry(f"{rdn or 'uid=' + uid},{PEOPLE}", ["inetOrgPerson"], cn=uid, sn=uid, uid=uid, **passwords, **more)


def ssha(password):
    return "{SSHA}" + base64.b64encode(hashlib.sha1(password.encode() + b"salt").digest() + b"salt").decode()


def data():
    text = entry("dc=example", ["dcObject", "organization"], o="example") + entry(PEOPLE, ["organizationalUnit"], ou="people")
    text += person("ada", ["an older one", ssha(ACCOUNTS["ada"])])
    text += "".join(person(uid, ACCOUNTS[uid]) for uid in ("jörg", "grace"))
    text += person("bob", "builder", employeeType="TRUE") + person("nopass", None)
    text += "".join(person("two", "x", rdn=f"cn=two{number}") for number in range(3))
    text += person("lovelace", "correct horse", displayName="ada") + person("small", "small", employeeNumber="100")
    return text + person("broken", "x", employeeNumber="much")


def backend(**keys):
    keys = {"name": "directory", "kind": "ldap", "names": "local", "base": PEOPLE, "filter": "(&(objectClass=inetOrgPerson)(uid=%n))", "timeout": f"{LONG_S}s",
            "connect_timeout": f"{LONG_S}s", "cache_time": 0, "cache_unknown_time": 0, "name_attribute": "displayName", "quota_attribute": "employeeNumber",
            "disabled_attribute": "employeeType", **keys}
    return "[[backend]]\n" + "".join(f"{key} = {value}\n" if isinstance(value, int) else f'{key} = "{value}"\n' for key, value in keys.items() if value != "")


class Test:
    def __init__(self, options, folder):
        self.pier = options.pier
        self.folder = folder
        self.done = 0
        for name in ("tls", "others"):
            make_certificates(folder / name)
        self.slapd = Slapd(options.unpacked.resolve(), folder / "slapd", folder / "tls", rules(folder / "slapd", Slapd.password))
        self.slapd.load(data())
        self.secret = folder / "secret"
        self.secret.write_text(self.slapd.password + "\n")
        self.ldap, self.ldaps, self.ldapi = self.slapd.urls()
        self.ca = str(folder / "tls/ca.pem")
        self.as_admin = {"bind_dn": "cn=admin,dc=example", "bind_password_file": str(self.secret)}

    def with_pier(self, what, **keys):
        """Checks `what` of a Pier with that back end."""
        with PierServer(self.pier, tls=False, settings=SETTINGS + backend(**keys)) as server:
            server.cli("domain", "add", "pier.example")
            server.start()
            checks = Checks(server)
            what(checks)
            checks.no_secrets(self.slapd.password)
            self.done += checks.done
        print(f"{checks.done} answers were right with {keys}", flush=True)

    def all_of_it(self, checks):
        checks.deliveries()
        checks.logins()
        checks.expect_login("ada", "an older one", RIGHT)   # userPassword has several values
        checks.expect_login("lovelace", "correct horse", RIGHT)
        if b"lovelace" in checks.server.cli("account", "list"):
            checks.fail("lovelace has an account of his own, though his displayName says ada")
        checks.expect_login("small", "small", RIGHT)
        checks.expect_delivery("small", 452)   # its quota is 100 octets
        checks.expect_login("broken", "x", OUTAGE)
        checks.expect_logged("attribute employeeNumber of uid=broken")
        checks.hostile_names()
        checks.many_at_once()
        checks.outage(self.slapd)

    def some_of_it(self, checks):
        checks.logins()
        checks.hostile_names()
        checks.expect_delivery("grace", 250)
        checks.expect_delivery("nobody", 550)

    def made_names(self, checks):
        """user_dn: nobody is found but by his own name, whatever it holds. There can't be two."""
        for user, password in ACCOUNTS.items():
            checks.expect_login(user, password, RIGHT)
            checks.expect_login(user, password + "x", WRONG)
        checks.expect_login("nobody", "x", WRONG)
        checks.hostile_names()
        checks.expect_delivery("grace", 250)
        checks.expect_delivery("nobody", 550)

    def refused(self, said):
        """Nothing but outages, and why in the log."""
        def check(checks):
            checks.expect_login("ada", ACCOUNTS["ada"], OUTAGE)
            checks.expect_login("nobody", "x", OUTAGE)
            checks.expect_delivery("nobody", 451)
            checks.expect_logged(said)
        return check

    def run(self):
        self.slapd.start()
        self.with_pier(self.all_of_it, url=self.ldap, ca_file=self.ca)
        self.with_pier(self.all_of_it, url=self.ldap, ca_file=self.ca, check="search", default_scheme="PLAIN", **self.as_admin)
        for check in ("bind", "search"):
            self.with_pier(lambda checks: checks.hanging(self.slapd), url=self.ldap, ca_file=self.ca, check=check, default_scheme="PLAIN",
                           timeout=f"{SHORT_S}s", connect_timeout=f"{SHORT_S}s", **self.as_admin)
        self.with_pier(self.some_of_it, url=self.ldaps, tls="ldaps", ca_file=self.ca, **self.as_admin)
        self.with_pier(self.some_of_it, url=self.ldapi, tls="none")
        self.with_pier(self.made_names, url=self.ldap, ca_file=self.ca, base="", filter="", user_dn=f"uid=%n,{PEOPLE}")
        (closed,) = free_ports(1)
        self.with_pier(self.some_of_it, url=f"ldap://127.0.0.1:{closed} {self.ldap}", ca_file=self.ca)

        others = str(self.folder / "others/ca.pem")
        self.with_pier(self.refused("TLS handshake"), url=self.ldap, ca_file=others)
        self.with_pier(self.refused("TLS handshake"), url=self.ldaps, tls="ldaps", ca_file=others)
        self.with_pier(self.refused("for the name in the URL"), url=self.slapd.other_name(), ca_file=self.ca)
        self.with_pier(self.refused("absent.pem a PEM file"), url=self.ldap, ca_file=str(self.folder / "absent.pem"))
        wrong = self.folder / "wrong"
        wrong.write_text("not this one\n")
        self.with_pier(self.refused("bind as bind_dn"), url=self.ldap, ca_file=self.ca, bind_dn="cn=admin,dc=example", bind_password_file=str(wrong))
        # A base that is not there is no reason to return everybody's mail.
        self.with_pier(self.refused("No such object"), url=self.ldap, ca_file=self.ca, base="ou=nowhere,dc=example")
        self.slapd.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument("--unpacked", required=True, type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pier-ldap-") as folder:
        test = Test(options, Path(folder))
        with test.slapd:
            test.run()
    print(f"{test.done} answers were right in all")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
