"""An issuer of tokens for tests: a web server with TLS on loopback that gives out its public keys and says what tokens are
worth (RFC 7517, RFC 7662). Keys are made and used by the openssl program.

    with Issuer(folder) as issuer:          # folder: what make_certificates() of pier_server.py has made
        token = issuer.sign({"email": "ada@pier.example"})
"""
import base64
import http.server
import json
import ssl
import subprocess
import threading
import time
import urllib.parse

CLIENT_ID, CLIENT_SECRET = "mail server", "s3cret: with & signs"


def base64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


class Key:
    def __init__(self, folder, name):
        self.name, self.file = name, folder / f"{name}.key"
        subprocess.run(["openssl", "genrsa", "-out", self.file, "2048"], check=True, capture_output=True)

    def jwk(self):
        line = subprocess.run(["openssl", "rsa", "-in", self.file, "-noout", "-modulus"], check=True, capture_output=True).stdout
        modulus = bytes.fromhex(line.decode().strip().split("=")[1])
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.name, "n": base64url(modulus), "e": "AQAB"}

    def sign(self, text):
        return subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.file], input=text, check=True, capture_output=True).stdout


class Issuer:
    def __init__(self, folder):
        self.folder = folder
        self.keys = [Key(folder, "first")]
        self.active = {}        # what is said of a token; all others are not active
        self.asked = []         # paths, in the order of the requests
        self.faults = []        # requests that were not what they should be
        self.status = 200
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def reply(self, answer):
                issuer.asked.append(self.path)
                text = json.dumps(answer).encode()
                self.send_response(issuer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                self.reply({"keys": [key.jwk() for key in issuer.keys]} if self.path == "/jwks" else {})

            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                pair = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
                if [urllib.parse.unquote_plus(part) for part in pair.split(":")] != [CLIENT_ID, CLIENT_SECRET] or "token" not in form:
                    issuer.faults.append((self.path, pair, form))
                self.reply(issuer.active.get(form["token"][0], {"active": False}))

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def claims(self, **more):
        return {"iss": self.url, "aud": ["web", "mail"], "exp": int(time.time()) + 600, "scope": "openid mail", **more}

    def sign(self, claims, key=None, header=None):
        key = key or self.keys[-1]
        header = header or {"alg": "RS256", "typ": "JWT", "kid": key.name}
        text = base64url(json.dumps(header).encode()) + "." + base64url(json.dumps(claims).encode())
        return text + "." + base64url(key.sign(text.encode()))
