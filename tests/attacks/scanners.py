#!/usr/bin/env python3
"""Scanners that others wrote look at a Pier: nmap (its scripts for TLS and POP3, pop3-brute), sslscan, testssl.sh and hydra, all from
Debian. Their reports are read, and each fact that is expected must be in them.

usage: scanners.py --pier PROGRAM [--full] [SCANNER...]     (no SCANNER: all of them)

--full: testssl.sh with everything it has, minutes; else what takes seconds.
"""
import argparse
import concurrent.futures
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

from target import PASSWORD, Failed, PierTarget

SECONDS = 500           # for one scanner, on a machine that has much else to do
FULL_SECONDS = 1800
TLS_VERSIONS = {"TLSv1.2", "TLSv1.3"}
GUESSES = 60            # the password is the last of them
# With a guard: delays that fit into a test.
GUARD = '[guard]\nenabled = true\ndelay_max = "1s"\n'


def run(*words, seconds=SECONDS, **options):
    command = [str(word) for word in words]
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=seconds, **options)
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]} did not end within {seconds} s")


def expect(condition, text):
    if not condition:
        raise Failed(text)


def check_suite(name):
    """A cipher suite's name as OpenSSL or IANA writes it: forward secret, AEAD, nothing weak."""
    forward_secret = "ECDHE" in name or re.match(r"TLS_(AES|CHACHA20)_|TLS_AKE_", name)
    sealed = "GCM" in name or re.search(r"CHACHA20.POLY1305", name)
    expect(forward_secret and sealed, f"the cipher suite {name} is offered")


def sslscan(target, _):
    said = []
    for port, words in ((target.pop3s[1], []), (target.pop3[1], ["--starttls-pop3"])):
        done = run("sslscan", "--no-colour", *words, "--xml=-", f"127.0.0.1:{port}")
        test = ElementTree.fromstring(done.stdout[done.stdout.index("<document"):]).find("ssltest")
        expect(test is not None, f"sslscan saw nothing:\n{done.stdout}")
        versions = {f"{p.get('type').upper()}v{p.get('version')}" for p in test.iter("protocol") if p.get("enabled") == "1"}
        expect(versions == TLS_VERSIONS, f"versions: {sorted(versions)}")
        suites = [(c.get("sslversion"), c.get("cipher")) for c in test.iter("cipher")]
        expect(len(suites) >= 6, f"too few ciphers to be true: {suites}")
        for _, name in suites:
            check_suite(name)
        expect(all(c.get("strength") in ("strong", "acceptable") for c in test.iter("cipher")), f"strengths: {[c.attrib for c in test.iter('cipher')]}")
        expect(all(h.get("vulnerable") == "0" for h in test.iter("heartbleed")), "heartbleed")
        renegotiation = test.find("renegotiation")
        expect(renegotiation.get("supported") == "0", f"renegotiation: {renegotiation.attrib}")
        compression = test.find("compression")
        expect(compression is None or compression.get("supported") == "0", "compression is offered")
        said.append(f"{len(suites)} ciphers")
    return f"TLS 1.2 and 1.3 alone; {' and '.join(said)} (TLS, STLS), all ECDHE with AEAD; no renegotiation, no compression, no heartbleed"


def nmap_scripts(target, scripts, *words):
    """{port: {script: its output}}"""
    # What a port is for, as the scripts see it, is what nmap-services says.
    data = target.server.folder / "nmap"
    data.mkdir(exist_ok=True)
    (data / "nmap-services").write_text(f"pop3 {target.pop3[1]}/tcp 0.5\npop3s {target.pop3s[1]}/tcp 0.5\npop3 {target.loopback_pop3[1]}/tcp 0.5\n")
    done = run("nmap", "-Pn", "-n", "-sT", "--datadir", data, "--script", scripts, *words, "-oX", "-", "127.0.0.1")
    expect(done.returncode == 0 and "<nmaprun" in done.stdout, f"nmap:\n{done.stderr}")
    root = ElementTree.fromstring(done.stdout[done.stdout.index("<nmaprun"):])
    return {int(port.get("portid")): {script.get("id"): script for script in port.iter("script")} for port in root.iter("port")}


def nmap(target, _):
    clear, tls = target.pop3[1], target.pop3s[1]
    ports = nmap_scripts(target, "pop3-capabilities,pop3-ntlm-info,ssl-enum-ciphers,ssl-cert,ssl-known-key,ssl-heartbleed,ssl-ccs-injection,ssl-poodle,sslv2,"
                         "sslv2-drown,ssl-dh-params,tls-alpn", "-p", f"{clear},{tls}")
    capabilities = ports[clear]["pop3-capabilities"].get("output")
    expect("STLS" in capabilities and "USER" not in capabilities and "SASL" not in capabilities, f"pop3-capabilities before TLS: {capabilities}")
    for port in (clear, tls):
        found = ports[port]
        ciphers = found.get("ssl-enum-ciphers")
        expect(ciphers is not None, f"ssl-enum-ciphers saw nothing on port {port}; there is {sorted(found)}")
        output = ciphers.get("output")
        versions = set(re.findall(r"^\s*(SSLv\d|TLSv1\.\d): *$", output, re.M))
        expect(versions == TLS_VERSIONS, f"ssl-enum-ciphers: {sorted(versions)}")
        for name in re.findall(r"^\s*(TLS_\S+)", output, re.M):
            check_suite(name)
        expect(re.search(r"least strength: A\b", output), f"ssl-enum-ciphers:\n{output}")
        expect(set(re.findall(r"compressors: *\n\s*(\S+)", output)) <= {"NULL"} and "warnings" not in output, f"ssl-enum-ciphers:\n{output}")
        expect("ssl-cert" in found and "commonName=localhost" in found["ssl-cert"].get("output"), f"ssl-cert on port {port}")
        # These say something only where there is a hole.
        for script in ("pop3-ntlm-info", "ssl-heartbleed", "ssl-poodle", "sslv2", "sslv2-drown", "ssl-dh-params", "ssl-known-key"):
            expect(script not in found, f"{script} on port {port}: {found[script].get('output') if script in found else ''}")
        ccs = found["ssl-ccs-injection"].get("output") if "ssl-ccs-injection" in found else ""
        expect("VULNERABLE" not in ccs, f"ssl-ccs-injection: {ccs}")
    return (f"{len(re.findall('TLS_', output))} ciphers of grade A; before TLS: {capabilities}; no NTLM, SSLv2, DROWN, POODLE, heartbleed, CCS injection, "
            "weak DH")


# What takes seconds: protocols, heartbleed, CCS injection, renegotiation, CRIME, POODLE. Ciphers are looked at by the others.
TESTSSL_QUICK = ("-p", "-H", "-I", "-R", "-C", "-O")
TESTSSL_FULL = ("-p", "-s", "-f", "-P", "-S", "-U")
# With a demo authority the chain is nobody's; these findings are about the certificate alone.
TESTSSL_OF_CERTIFICATE = ("cert_", "OCSP", "DNS_CAARecord", "cert")


def testssl(target, options):
    report = target.server.folder / "testssl.json"
    report.unlink(missing_ok=True)
    what = TESTSSL_FULL if options.full else TESTSSL_QUICK
    done = run("testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--jsonfile", report, *what, f"127.0.0.1:{target.pop3s[1]}",
               seconds=FULL_SECONDS if options.full else SECONDS)
    expect(report.exists(), f"testssl.sh:\n{done.stdout}{done.stderr}")
    findings = {entry["id"]: entry for entry in json.loads(report.read_text())}
    wanted = {"SSLv2": "not offered", "SSLv3": "not offered", "TLS1": "not offered", "TLS1_1": "not offered", "TLS1_2": "offered",
              "TLS1_3": "offered with final"}
    wanted.update((hole, "not vulnerable") for hole in ("heartbleed", "CCS", "secure_client_renego", "CRIME_TLS", "POODLE_SSL"))
    for name, text in wanted.items():
        found = findings.get(name, {}).get("finding", "(no finding)")
        expect(text in found, f"testssl.sh, {name}: {found}")
    bad = [f"{entry['id']}: {entry['finding']}" for entry in findings.values()
           if entry["severity"] in ("LOW", "MEDIUM", "HIGH", "CRITICAL") and not entry["id"].startswith(TESTSSL_OF_CERTIFICATE)]
    expect(not bad, "testssl.sh: " + "; ".join(bad))
    return f"{len(findings)} findings, none of them bad; {', '.join(wanted)}: as they should be"


def word_list(target):
    path = target.server.folder / "guesses"
    path.write_text("".join(f"guess number {n}\n" for n in range(GUESSES - 1)) + PASSWORD + "\n")
    return path


def hydra(target, _):
    """With a guard the password is in the list and is not found; without one it would be, so it is left out."""
    words = word_list(target)
    if not target.has_guard:
        words.write_text("".join(words.read_text().splitlines(keepends=True)[:-1]))
    said = []
    for port, ssl in ((target.pop3s[1], ["-S"]), (target.loopback_pop3[1], [])):
        done = run("hydra", "-l", "ada", "-P", words, "-t", "4", "-w", "20", "-I", "-s", port, *ssl, "127.0.0.1", "pop3", cwd=target.server.folder)
        text = done.stdout + done.stderr
        expect("starting" in text and not re.search(r"[1-9]\d* valid password|login: *ada +password:", text), f"hydra found it:\n{text}")
        said.append(re.sub(r"\s+", " ", (re.findall(r"\d+ of \d+ target[^\n]*|[^\n]*children[^\n]*", text) or ["no login"])[-1]))
    brute = nmap_scripts(target, "pop3-brute", "-p", str(target.loopback_pop3[1]), "--script-args",
                         f"userdb={users(target)},passdb={words},pop3loginmethod=SASL-PLAIN,unpwdb.passlimit={GUESSES}")
    output = brute[target.loopback_pop3[1]]["pop3-brute"].get("output") if "pop3-brute" in brute[target.loopback_pop3[1]] else "nothing"
    expect("Valid" not in output and PASSWORD not in output, f"pop3-brute found it: {output}")
    limits = target.log_text().count(b"login.failed")
    expect(limits > 0, "no failed login is in the log: the scanners have not got so far")
    with target.session("grace") as peer:
        expect(peer.ask("NOOP").startswith(b"+OK"), "another user is not served afterwards")
    where = "the password was in the list" if target.has_guard else "no guard in this Pier: the password was not in the list"
    return f"not found by hydra (TLS, clear) and pop3-brute; {limits} failed logins in the log; {where}; {said[0]}"


def users(target):
    path = target.server.folder / "users"
    path.write_text("ada\n")
    return path


SCANNERS = {function.__name__: function for function in (sslscan, nmap, testssl, hydra)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pier", required=True)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("scanners", nargs="*", metavar="SCANNER", help=" ".join(SCANNERS))
    options = parser.parse_args()
    chosen = options.scanners or list(SCANNERS)
    for name in chosen:
        if name not in SCANNERS:
            parser.error(f"no scanner is called {name}; there are: {' '.join(SCANNERS)}")
        if not shutil.which(name):
            sys.exit(f"scanners: {name} is not installed; run packaging/install-deps.sh test")
    problems = 0
    with PierTarget(options.pier, GUARD if guard_of(options.pier) else "", guard=True) as target, concurrent.futures.ThreadPoolExecutor() as pool:
        # hydra last: what it does may close others out.
        for together in ([name for name in chosen if name != "hydra"], [name for name in chosen if name == "hydra"]):
            for name, future in [(name, pool.submit(SCANNERS[name], target, options)) for name in together]:
                try:
                    print(f"{name}: {future.result()}", flush=True)
                except Failed as problem:
                    problems += 1
                    print(f"{name}: FAILED: {problem}", flush=True)
    return 1 if problems else 0


def guard_of(program):
    return "[guard]" in run(program, "config", "sample").stdout


if __name__ == "__main__":
    sys.exit(main())
