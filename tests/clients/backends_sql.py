#!/usr/bin/env python3
"""Accounts in a real PostgreSQL: logins, deliveries, hostile names, outages, many at once; and what becomes of a database that
holds what it should not.

usage: backends_sql.py --pier PROGRAM --unpacked FOLDER

PostgreSQL is Debian's, unpacked under FOLDER by packaging/install-deps.sh unpack; it is started by this test as another user
than root.
"""
import argparse
import sys
import tempfile
from pathlib import Path

from backend_checks import ACCOUNTS, LONG_S, OUTAGE, RIGHT, SETTINGS, SHORT_S, WRONG, Checks
from directory_servers import Postgres
from pier_server import Failed, PierServer

QUERY = "SELECT password, account AS name, quota, disabled, disabled_text FROM users WHERE name = %u"


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def data():
    rows = [(name, "{PLAIN}" + password, "NULL", "NULL", "NULL", "NULL") for name, password in ACCOUNTS.items()]
    rows += [("bob", "{PLAIN}builder", "NULL", "NULL", "true", "'the bill of May'"), ("two", "{PLAIN}x", "NULL", "NULL", "NULL", "NULL"),
             ("two", "{PLAIN}y", "NULL", "NULL", "NULL", "NULL"), ("lovelace", "{PLAIN}correct horse", "'ada'", "NULL", "NULL", "NULL"),
             ("small", "{PLAIN}small", "NULL", "100", "false", "NULL"), ("broken", "{PLAIN}x", "NULL", "-1", "NULL", "NULL"),
             # Of "another secret"; without a scheme it is default_scheme's.
             ("crypted", "$6$rounds=5000$abcdefgh$Tpmzgx1wAQ9l384WmpWwBUdY4es52zq1voRMGJsJ162pqEgN0/2ZneFI5UJZMm31K9K0Lj.H6dkGXkYiwrRff1", "NULL", "NULL", "NULL", "NULL"),
             ("cut", "{SSHA}short", "NULL", "NULL", "NULL", "NULL")]
    lines = ["CREATE TABLE users (name text, password text, account text, quota bigint, disabled boolean, disabled_text text);"]
    lines += [f"INSERT INTO users VALUES ({quoted(name)}, {quoted(password)}, {', '.join(rest)});" for name, password, *rest in rows]
    return "\n".join(lines + ["INSERT INTO users (name) VALUES ('nopass');"])


def backend(postgres, secret, query=QUERY, timeout_s=LONG_S):
    return f"""
[[backend]]
name = "database"
kind = "sql"
names = "any"
connection = "host=127.0.0.1 port={postgres.port} dbname=postgres user=pier"
password_file = "{secret}"
password_query = "{query}"
timeout = "{timeout_s}s"
connect_timeout = "{timeout_s}s"
threads = 4
cache_time = 0
cache_unknown_time = 0
"""


def columns(checks):
    """What the columns say of somebody."""
    checks.expect_login("lovelace", "correct horse", RIGHT)
    if b"lovelace" in checks.server.cli("account", "list"):
        checks.fail("lovelace has an account of his own, though the column name says ada")
    checks.expect_login("small", "small", RIGHT)
    checks.expect_delivery("small", 452)   # its quota is 100 octets
    checks.expect_login("broken", "x", OUTAGE)
    checks.expect_logged("column quota is no number of octets")
    checks.expect_login("crypted", "another secret", RIGHT)
    checks.expect_login("crypted", "another", WRONG)
    checks.expect_login("cut", "x", OUTAGE)
    checks.expect_logged("the bill of May")


def wrong_queries(options, postgres, secret):
    """A query that the database does not take is an outage, with its words in the log."""
    for query, said in (("SELECT password FROM nowhere WHERE name = %u", "nowhere"),
                        ("SELECT name FROM users WHERE name = %u", "no column password"),
                        ("DELETE FROM users WHERE name = %u AND false", "it must be a SELECT"),
                        ("SELECT pg_sleep(60), '' AS password WHERE 'ada' = %u", "does not answer in time")):
        with PierServer(options.pier, tls=False, settings=SETTINGS + backend(postgres, secret, query, SHORT_S)) as server:
            server.start()
            checks = Checks(server)
            checks.expect_login("ada", ACCOUNTS["ada"], OUTAGE)
            checks.expect_logged(said)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument("--unpacked", required=True, type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pier-sql-") as folder:
        Path(folder).chmod(0o755)   # PostgreSQL is another user
        with Postgres(options.unpacked.resolve(), Path(folder) / "postgres") as postgres:
            postgres.load(data())
            postgres.start()
            secret = Path(folder) / "secret"
            secret.write_text(postgres.password + "\n")
            with PierServer(options.pier, tls=False, settings=SETTINGS + backend(postgres, secret)) as server:
                server.cli("domain", "add", "pier.example")
                server.start()
                checks = Checks(server)
                checks.deliveries()
                checks.logins()
                columns(checks)
                checks.hostile_names()
                checks.many_at_once()
                checks.outage(postgres)
                checks.no_secrets(postgres.password)
            with PierServer(options.pier, tls=False, settings=SETTINGS + backend(postgres, secret, timeout_s=SHORT_S)) as server:
                server.start()
                Checks(server).hanging(postgres)
            wrong_queries(options, postgres, secret)
    print(f"{checks.done} answers were right")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED {failure}")
