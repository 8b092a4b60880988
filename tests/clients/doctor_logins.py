"""Logins that fail, each for another reason, and what `pier doctor login` says of them."""
import json
import time
from contextlib import closing

from doctor_case import OUTSIDE, PASSWORD, Doctor, change_config, log_in, running, totp
from pier_server import Failed


def app_password(server, account, name, *options):
    answer = json.loads(server.cli("account", "app-password", "add", account, name, *options, "--json"))
    return answer["password"]


def accounts(pier):
    """What the account itself says."""
    with running(pier, ("ada", "eve", "grace", "joan", "mary", "rosa")) as server:
        doctor = Doctor(server)
        doctor.login("a login that is well", "", "ada", password=PASSWORD)
        doctor.login("the same by its address", "", "ada@pier.example", password=PASSWORD)
        doctor.login("without the password", "", "ada")
        doctor.login("a name that is nobody's", "account_unknown", "nobody")
        doctor.login("a wrong password", "wrong_password", "ada", password="guess")
        for number in range(11):     # more than the guard takes from one address
            doctor.ask("login", "ada", "--from", OUTSIDE, "--password-file", "-", input=b"guess %d\n" % number)
        doctor.login("nothing was counted", "", "ada", password=PASSWORD)
        explained = json.loads(server.cli("guard", "explain", OUTSIDE, "--account", "ada", "--json"))
        log = server.log.read_text()
        if explained["failures"] or explained["login_failures"] or "login." in log or "guess" in log or PASSWORD in log:
            raise Failed(f"an examination has left traces: {explained}\n{log}")

        server.cli("account", "disable", "eve", "--reason", "the bill is open")
        answer = doctor.login("a disabled account", "account_disabled", "eve", password=PASSWORD)
        if "the bill is open" not in json.dumps(answer):
            raise Failed(f"the administrator's words are missing: {answer}")
        server.cli("account", "protocols", "grace", "submission")
        doctor.login("an account for another protocol", "account_protocol_denied", "grace", password=PASSWORD)
        doctor.login("its own protocol", "", "grace", "--protocol", "submission", password=PASSWORD)
        server.cli("account", "allow", "joan", "10.0.0.0/8")
        doctor.login("an account for another network", "account_address_denied", "joan", password=PASSWORD)
        doctor.login("its own network", "", "joan", source="10.1.2.3", password=PASSWORD)
        server.cli("account", "change", "mary", "--app-passwords-only", "on")
        doctor.login("an own password where app passwords are wanted", "app_password_needed", "mary", password=PASSWORD)
        secret = json.loads(server.cli("account", "second-factor", "start", "rosa", "--json"))["secret"]
        server.cli("account", "second-factor", "confirm", "rosa", totp(secret, time.time()))
        doctor.login("a second factor", "app_password_needed", "rosa", password=PASSWORD)
        doctor.login("the same, no password given", "app_password_needed", "rosa")
        doctor.login("an app password", "", "rosa", password=app_password(server, "rosa", "phone"))
        doctor.login("an app password for another protocol", "app_password_protocol", "rosa",
                     password=app_password(server, "rosa", "sender", "--for", "submission"))
        doctor.login("an app password for another network", "app_password_network", "rosa",
                     password=app_password(server, "rosa", "office", "--from", "10.0.0.0/8"))
        doctor.login("one who is no master in another's account", "master_refused", "eve*ada", password=PASSWORD)
        server.cli("account", "change", "ada", "--master", "on")
        doctor.login("a master user", "", "eve*ada", password=PASSWORD)
        doctor.expect("an account that is asked about by its symptom", "account_disabled", "authentication", "eve")
        doctor.expect("the same, one that is not there", "account_unknown", "authentication", "nobody")
        doctor.expect_nothing("the same, one that is well", "authentication", "ada")


def ways(pier):
    """Listeners, TLS, the guard."""
    with running(pier, pop3='allow = ["127.0.0.1", "192.0.2.0/24"]') as server:
        doctor = Doctor(server)
        doctor.login("an address that the listener denies", "address_denied", "ada", source="198.51.100.1")
        doctor.expect("the same by its symptom", "address_denied", "refused", "198.51.100.1", "--ca-file", server.ca)
        doctor.login("a password in clear", "clear_login_refused", "ada", "--clear")
        doctor.login("in clear from this machine", "", "ada", "--clear", source="127.0.0.1")
        names = json.loads(server.cli("status", "--json"))["listeners"]
        implicit = next(name for name in names if name.startswith("pop3s"))
        doctor.login("a client without TLS where TLS begins at once", "tls_needed", "ada", "--clear", "--listener", implicit)
        doctor.login("a listener that is not there", "no_listener", "ada", "--listener", "nowhere")
        server.cli("guard", "block", "192.0.2.0/28", "--reason", "scans")
        doctor.login("a blocked address", "guard_blocks", "ada", beside=())
        doctor.expect("the same by its symptom", "guard_blocks", "refused", OUTSIDE, "--ca-file", server.ca)
        server.cli("guard", "unblock", "192.0.2.0/28")
        doctor.login("no longer blocked", "", "ada")
        for number in range(4):
            if log_in(server, "ada", f"guess {number}"):
                raise Failed("a wrong password was taken")
        doctor.login("wrong passwords that cost a delay", "guard_delays", "ada", source="127.0.0.1")
    with running(pier, tls=False) as server:
        Doctor(server).login("TLS where there is none", "tls_not_offered", "ada", "--tls")


def sessions(pier):
    """Those who were there before."""
    limits = "[limits]\nsessions_per_account_max = 1\n"
    with running(pier, ("ada", "eve"), settings=limits) as server:
        doctor = Doctor(server)
        with closing(log_in(server, "ada", PASSWORD)):
            doctor.login("an account with all its sessions", "account_sessions_full", "ada")
        server.cli("account", "change", "eve", "--exclusive", "on")
    with running(pier, settings='[pop3]\nexclusive = true\n') as server:
        doctor = Doctor(server)
        with closing(log_in(server, "ada", PASSWORD)):
            answer = doctor.login("a maildrop that is locked", "maildrop_locked", "ada")
            if "127.0.0.1:" not in json.dumps(answer):
                raise Failed(f"who holds it is not told: {answer}")
    with running(pier, settings='[pop3]\nlogin_delay = "600s"\n') as server:
        log_in(server, "ada", PASSWORD).quit()
        Doctor(server).login("a login too soon after another", "login_delay", "ada")
    with running(pier) as server:
        server.cli("drain", "--notice", "0s", "--wait", "1s", check=False)
        doctor = Doctor(server)
        doctor.login("a server that drains", "draining", "ada")
        doctor.expect("the same by its symptom", "draining", "refused", "--ca-file", server.ca)
        server.cli("drain", "--end")
        doctor.expect_nothing("it no longer does", "refused", "--ca-file", server.ca)


def back_ends(pier):
    """Accounts that are kept elsewhere."""
    settings = '[[backend]]\nname = "old"\nkind = "passwd-file"\nfile = "FILE"\n'
    with running(pier, settings=settings) as server:
        server.stop()
        passwd = server.folder / "passwd"
        change_config(server, ('file = "FILE"', f'file = "{passwd}"'))
        passwd.write_text(f"bob:{{PLAIN}}{PASSWORD}\ncarl:{{PLAIN}}{PASSWORD}::::::nologin=y\n")
        server.start()
        doctor = Doctor(server)
        doctor.login("a user of a back end", "", "bob", password=PASSWORD)
        doctor.login("a wrong password of one", "wrong_password", "bob", password="guess")
        doctor.login("whom the back end does not let in", "backend_denies", "carl", password=PASSWORD)
        doctor.login("whom no back end knows", "account_unknown", "nobody")
        passwd.unlink()
        server.cli("reload")    # forgets what was said
        doctor.login("a back end that is down", "backend_down", "eva", password=PASSWORD, beside=())
        doctor.expect("the same afterwards", "backend_down", "authentication", beside=("config_warning", "log_errors"))


PARTS = {"accounts": accounts, "ways": ways, "sessions": sessions, "back_ends": back_ends}
