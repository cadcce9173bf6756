"""Runs real nginx and real Caddy, with the configurations that the documentation prints, before a real server: as gateways of
another service, and in front of Keyrack itself.

Everything listens on loopback. Between gateway and server stands a relay that counts bytes, so that a body which is
sent to the server, too, is seen. `make test-gateways` builds the server and installs what is needed.
"""

import hashlib
import http.client
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RECIPES = ROOT / "packaging/gateways"
KEYRACK = os.environ.get("KEYRACK", str(ROOT / "target/debug/keyrack"))
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")}
NAME = "keys.example.com"
IDENTITY = ["User-Id", "User-Email", "Account-Id", "Key-Id", "Scopes", "Tier"]


def fail(words):
    sys.exit(f"FAILED  {words}")


def check(what, got, wanted):
    if got != wanted:
        fail(f"{what}: {got!r}, not {wanted!r}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def process(command, env, log):
    with open(log, "wb") as out:
        started = subprocess.Popen(command, env=env, stdout=out, stderr=out)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(timeout=10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def wait_for(port, log):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    fail(f"nothing listens on {port}: {Path(log).read_text()}")


class Keyrack:
    """A server on scratch data, with keys in each state."""

    def __init__(self, stack, directory):
        self.data, self.env = str(directory / "data"), {**CLEAN, "KEYRACK_SERVER_TRUSTED_PROXIES": "127.0.0.1/32"}
        self.run("admin", "create", "--email", "admin@example.com", "--password-file", "-", stdin="a long password")
        self.admin = self.run("key", "create", "Operators", "--scope", "admin")["secret"]
        self.run("tier", "set", "Roomy", "--window", "100000/1h")
        self.port = free_port()
        serve = [KEYRACK, "--data", self.data, "serve", "--listen", f"127.0.0.1:{self.port}"]
        stack.enter_context(process(serve, self.env, directory / "keyrack.log"))
        wait_for(self.port, directory / "keyrack.log")

    def run(self, *args, stdin=None):
        command = [KEYRACK, "--data", self.data, "--quiet", "--yes", "--json", *args]
        done = subprocess.run(command, env=self.env, input=stdin, text=True, stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def key(self, name, *more, tier=None):
        self.run("account", "add", name, *(["--tier", tier] if tier else []))
        self.run("user", "add", "--email", f"{name.lower()}@example.com", "--name", name, "--account", name)
        return self.run("key", "create", name, "--owner", f"{name.lower()}@example.com", *more)

    def revoke(self, key):
        api = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        api.request("DELETE", f"/v1/keys/{key['id']}", headers={"Authorization": f"Bearer {self.admin}"})
        check("revoking", api.getresponse().status, 204)


class Application(http.server.ThreadingHTTPServer):
    """What stands behind the gateway. Remembers what reached it."""

    daemon_threads = True

    def __init__(self):
        self.seen = []
        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.read_body()
        self.server.seen.append((self.headers, len(body), hashlib.sha256(body).hexdigest()))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_POST = do_PUT = do_GET

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_):
        pass


class Relay:
    """Passes bytes on to the server, and counts those that come from the gateway."""

    def __init__(self, to):
        self.to, self.counted = to, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            gateway, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.to))
            threading.Thread(target=self.pump, args=(gateway, server, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, gateway, False), daemon=True).start()

    def pump(self, source, sink, counts):
        try:
            while data := source.recv(65536):
                self.counted += len(data) if counts else 0
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def recipe(name, changes):
    """The file as it is printed, with this machine's addresses in the place of the example's."""
    text = (RECIPES / name).read_text()
    for printed, here in changes:
        if text.count(printed) != 1:
            fail(f"{name} has {printed!r} {text.count(printed)} times, not once")
        text = text.replace(printed, here)
    return text


def nginx(directory, port, server, application):
    changes = [
        ("listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        ("    ssl_certificate /etc/ssl/certs/api.example.com.pem;\n", ""),
        ("    ssl_certificate_key /etc/ssl/private/api.example.com.key;\n", ""),
        ("server 127.0.0.1:8080;", f"server 127.0.0.1:{server};"),
        ("server 127.0.0.1:3000;", f"server 127.0.0.1:{application};"),
    ]
    (directory / "site.conf").write_text(recipe("nginx.conf", changes))
    temporary = "".join(f"    {kind}_temp_path {directory}/{kind};\n" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    main = (
        f"daemon off;\npid {directory}/nginx.pid;\nerror_log {directory}/error.log;\nworker_processes 1;\n"
        f"events {{}}\nhttp {{\n    access_log off;\n{temporary}    include {directory}/site.conf;\n}}\n"
    )
    (directory / "nginx.conf").write_text(main)
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    return [program, "-p", str(directory), "-e", str(directory / "error.log"), "-c", str(directory / "nginx.conf")], CLEAN


def caddy(directory, port, server, application):
    changes = [
        ("api.example.com {", f"http://127.0.0.1:{port} {{"),
        ("127.0.0.1:8080", f"127.0.0.1:{server}"),
        ("127.0.0.1:3000", f"127.0.0.1:{application}"),
    ]
    options = "{\n\tadmin off\n\tauto_https off\n}\n"
    (directory / "Caddyfile").write_text(options + recipe("Caddyfile", changes))
    homes = {name: str(directory) for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"]}
    return ["caddy", "run", "--config", str(directory / "Caddyfile"), "--adapter", "caddyfile"], {**CLEAN, **homes}


def printed(language):
    """What docs/OPERATIONS.md prints for a proxy in front of the whole server."""
    section = (ROOT / "docs/OPERATIONS.md").read_text().split("\n## Behind nginx, Caddy or Traefik\n")[1].split("\n## ")[0]
    return section.split(f"```{language}\n")[1].split("```")[0]


def nginx_before(directory, port, server):
    location = printed("nginx").replace("127.0.0.1:8080", f"127.0.0.1:{server}")
    site = f"listen 127.0.0.1:{port} ssl; ssl_certificate {directory}/cert.pem; ssl_certificate_key {directory}/key.pem;"
    temporary = "".join(f"    {kind}_temp_path {directory}/{kind};\n" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    (directory / "nginx.conf").write_text(
        f"daemon off;\npid {directory}/nginx.pid;\nerror_log {directory}/error.log;\nworker_processes 1;\n"
        f"events {{}}\nhttp {{\n    access_log off;\n{temporary}    server {{ {site}\n{location}}}\n}}\n"
    )
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    return [program, "-p", str(directory), "-e", str(directory / "error.log"), "-c", str(directory / "nginx.conf")], CLEAN


def caddy_before(directory, port, server):
    site = printed("caddy").replace("127.0.0.1:8080", f"127.0.0.1:{server}")
    here = f"{NAME}:{port} {{\n    bind 127.0.0.1\n    tls {directory}/cert.pem {directory}/key.pem"
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n"
    (directory / "Caddyfile").write_text(options + site.replace(f"{NAME} {{", here))
    homes = {name: str(directory) for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"]}
    return ["caddy", "run", "--config", str(directory / "Caddyfile"), "--adapter", "caddyfile"], {**CLEAN, **homes}


def stands_before(start):
    """The proxy in front of the whole server: who comes, and how, is known behind it, and cannot be forged."""
    name = start.__name__.split("_")[0]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keyrack-proxies.")))
        directory.chmod(0o755)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
            + ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
            + ["-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
            check=True,
            capture_output=True,
        )
        keyrack, port = Keyrack(stack, directory), free_port()
        command, env = start(directory, port, keyrack.port)
        stack.enter_context(process(command, env, directory / "proxy.log"))
        wait_for(port, directory / "proxy.log")

        def ask(path, secret=None):
            # From another address than the proxy's own.
            plain = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=("127.0.0.2", 0))
            connection = http.client.HTTPConnection(NAME)
            connection.sock = ssl.create_default_context(cafile=directory / "cert.pem").wrap_socket(plain, server_hostname=NAME)
            forged = {"X-Forwarded-For": "203.0.113.66", "X-Forwarded-Proto": "http", "Accept": "text/html"}
            connection.request("GET", path, headers=forged | ({"Authorization": f"Bearer {secret}"} if secret else {}))
            answer = connection.getresponse()
            answer.read()
            return answer

        for address, status in [("127.0.0.2", 200), ("127.0.0.1", 403), ("203.0.113.66", 403)]:
            key = keyrack.key(f"From {address}".replace(".", "-").replace(" ", "-"), "--ip-allow", f"{address}/32")
            check(f"{name}: a key for {address} alone", ask("/v1/key", key["secret"]).status, status)
        page = ask("/sign-in")
        check(f"{name}: a page", page.status, 200)
        check("it knows of HTTPS", page.headers["Strict-Transport-Security"] is not None, True)
        check("its cookies too", page.headers["Set-Cookie"].startswith("__Host-") and "; Secure" in page.headers["Set-Cookie"], True)
        print(f"ok  {name}: before the whole server, who comes and how is known, whatever they claim")


def passes_through(start):
    name = start.__name__
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keyrack-gateways.")))
        directory.chmod(0o755)
        keyrack, application = Keyrack(stack, directory), Application()
        relay, port = Relay(keyrack.port), free_port()
        command, env = start(directory, port, relay.port, application.port)
        stack.enter_context(process(command, env, directory / "gateway.log"))
        wait_for(port, directory / "gateway.log")

        def ask(secret, method="GET", body=None, connection=None, **headers):
            connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            if secret:
                headers["Authorization"] = f"Bearer {secret}"
            connection.request(method, "/things", body=body, headers={k.replace("__", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            answer.text = answer.read().decode()
            return answer

        roomy = keyrack.key("Roomy", tier="Roomy")
        plain = keyrack.key("Plain")
        forged = {f"X-Keyrack-{part}": "forged" for part in IDENTITY} | {f"X_Keyrack_{part.replace('-', '_')}": "forged" for part in IDENTITY}
        for key, tier in [(roomy, "Roomy"), (plain, None)]:
            answer = ask(key["secret"], **forged)
            check(f"{name} lets a good key in", (answer.status, answer.text), (200, "ok"))
            headers = application.seen[-1][0]
            told = {part: headers.get_all(f"X-Keyrack-{part}") for part in IDENTITY}
            check("the key's id", told["Key-Id"], [key["id"]])
            check("the user's id", told["User-Id"], [key["user_id"]])
            check("the account's id", told["Account-Id"], [key["account_id"]])
            check("the scopes", told["Scopes"], ["users:read"])
            check("the tier", [value for value in told["Tier"] or [] if value], [tier] if tier else [])
            check("what the client forged", [value for value in headers.values() if "forged" in value], [])
            check("the key itself, behind the gateway", headers.get("Authorization"), None)
            if start is nginx:
                check("the quota", answer.headers["X-RateLimit-Limit"], "100000" if tier else "1000")
        print(f"ok  {name}: 200 with the identity, and nothing forged")

        reached = len(application.seen)
        for secret in [None, "kr_nonsense"]:
            answer = ask(secret)
            check(f"{name} without a good key", answer.status, 401)
            if not (answer.headers["WWW-Authenticate"] or "").startswith("Bearer"):
                fail(f"{name}: a 401 without WWW-Authenticate: {answer.headers}")
        fenced = keyrack.key("Fenced", "--ip-allow", "203.0.113.0/24")
        answer = ask(fenced["secret"])
        check(f"{name} from a wrong address", (answer.status, answer.headers["Retry-After"]), (403, None))
        narrow = keyrack.key("Narrow", "--window", "1/1h")
        check("the one request", ask(narrow["secret"]).status, 200)
        answer = ask(narrow["secret"])
        check(f"{name} past the limit", answer.status, 429)
        if not 3590 <= int(answer.headers["Retry-After"] or 0) <= 3600:
            fail(f"{name}: Retry-After: {answer.headers['Retry-After']}")
        check("the body of a 429", json.loads(answer.text)["error"], "rate_limit_exceeded")
        check("what reached the application meanwhile", len(application.seen), reached + 1)
        print(f"ok  {name}: 401, 403 and 429 as such, with Retry-After")

        body, before = os.urandom(8 << 20), relay.counted
        check(f"{name}: an upload", ask(roomy["secret"], "POST", body).status, 200)
        check("the body", application.seen[-1][1:], (len(body), hashlib.sha256(body).hexdigest()))
        if relay.counted - before > 16384:
            fail(f"{name} sent {relay.counted - before} bytes to ask about an upload: its body, too")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            raw.sendall(f"POST /things HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 50000000\r\n\r\n".encode())
            check(f"{name}: an upload without a key, before its body", raw.recv(64).split(b" ")[1], b"401")
        print(f"ok  {name}: the body of an upload is read once, and not at all without a key")

        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        check("before the key is revoked", ask(plain["secret"], connection=connection).status, 200)
        opened = connection.sock
        keyrack.revoke(plain)
        check("the next request on the same connection", ask(plain["secret"], connection=connection).status, 401)
        check("that it is the same connection", connection.sock is opened, True)
        print(f"ok  {name}: a revoked key is refused by the next request of an open connection")


if __name__ == "__main__":
    for gateway in [nginx, caddy]:
        passes_through(gateway)
    for proxy in [nginx_before, caddy_before]:
        stands_before(proxy)
