"""Gets certificates from a real ACME server (pebble, by the makers of Let's Encrypt), with both kinds of proof.

Everything listens on loopback. `make test-acme` builds the server and installs what is needed.
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
KEYRACK = os.environ.get("KEYRACK", str(ROOT / "target/debug/keyrack"))
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")}
DOMAIN = "keys.example.test"


def check(what, got, wanted):
    if got != wanted:
        sys.exit(f"FAILED  {what}: {got!r}, not {wanted!r}")
    print(f"ok      {what}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def process(command, env, log):
    with open(log, "ab") as out:
        started = subprocess.Popen(command, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(timeout=15)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def until(what, happened, log, seconds=60):
    end = time.monotonic() + seconds
    while True:
        found = happened()
        if found:
            return found
        if time.monotonic() > end:
            sys.exit(f"FAILED  waited in vain until {what}\n{Path(log).read_text()[-4000:]}")
        time.sleep(0.1)


def insecure():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Acme:
    """Pebble with a name server that leads every name to this machine."""

    def __init__(self, stack, dir):
        self.dir, self.http, self.tls = dir, free_port(), free_port()
        self.api, management, dns = free_port(), free_port(), free_port()
        self.management = f"https://localhost:{management}"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
            + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
            + ["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", dir / "key.pem", "-out", dir / "cert.pem"],
            check=True,
            capture_output=True,
        )
        config = {
            "listenAddress": f"127.0.0.1:{self.api}",
            "managementListenAddress": f"127.0.0.1:{management}",
            "certificate": str(dir / "cert.pem"),
            "privateKey": str(dir / "key.pem"),
            "httpPort": self.http,
            "tlsPort": self.tls,
            "certificateValidityPeriod": 60,
        }
        (dir / "pebble.json").write_text(json.dumps({"pebble": config}))
        self.log = dir / "pebble.log"
        names = ["pebble-challtestsrv", "-dns01", f"127.0.0.1:{dns}", "-defaultIPv6", "", "-http01", "", "-https01", ""]
        stack.enter_context(process(names + ["-tlsalpn01", "", "-management", f"127.0.0.1:{free_port()}"], CLEAN, dir / "dns.log"))
        env = {**CLEAN, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"}
        pebble = ["pebble", "-config", str(dir / "pebble.json"), "-dnsserver", f"127.0.0.1:{dns}"]
        stack.enter_context(process(pebble, env, self.log))
        until("pebble answers", self.root, self.log)

    def root(self):
        try:
            with urllib.request.urlopen(f"{self.management}/roots/0", context=insecure(), timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def orders(self):
        return self.log.read_text().count("Added order")


class Server:
    def __init__(self, acme, data, tls_port, http_port=None):
        self.acme, self.data, self.port, self.http_port = acme, data, tls_port, http_port
        self.log = data.with_suffix(".log")

    def env(self):
        settings = {
            "SERVER_LISTEN": f"127.0.0.1:{self.port}",
            "TLS_MODE": "acme",
            "TLS_ACME_DOMAINS": DOMAIN,
            "TLS_ACME_EMAIL": "ops@example.test",
            "TLS_ACME_DIRECTORY": f"https://localhost:{self.acme.api}/dir",
            "TLS_ACME_CA_FILE": str(self.acme.dir / "cert.pem"),
        }
        if self.http_port:
            settings["SERVER_HTTP_LISTEN"] = f"127.0.0.1:{self.http_port}"
        return CLEAN | {f"KEYRACK_{name}": value for name, value in settings.items()}

    def doctor(self):
        """What it finds of the certificate."""
        command = [KEYRACK, "doctor", "--json", "--data", str(self.data)]
        told = subprocess.run(command, env=self.env(), capture_output=True, text=True).stdout
        return next(found for found in json.loads(told)["checks"] if found["name"] == "certificate")

    @contextmanager
    def running(self):
        with process([KEYRACK, "serve", "--data", str(self.data)], self.env(), self.log) as self.process:
            until("the server listens", self.listens, self.log)
            yield self

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True
        except OSError:
            return False

    def certificate(self):
        """The serial number of what it shows, if that is one of the ACME server's for the domain."""
        context = ssl.create_default_context(cadata=self.acme.root())
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain:
                with context.wrap_socket(plain, server_hostname=DOMAIN) as stream:
                    return stream.getpeercert()["serialNumber"]
        except OSError:
            return None

    def shown(self):
        return until("a certificate is shown", self.certificate, self.log)

    def says(self, words):
        until(f"it says {words!r}", lambda: words in self.log.read_text(), self.log)


def main():
    with ExitStack() as stack:
        dir = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        acme = Acme(stack, dir)

        by_http = Server(acme, dir / "http", acme.tls, acme.http)
        with by_http.running():
            first = by_http.shown()
            check("a certificate by HTTP-01", bool(first), True)
            until("a new one is shown before it ends", lambda: by_http.certificate() not in (None, first), by_http.log, 120)
            check("it is renewed by itself", True, True)
        kept = [path.name for path in sorted((by_http.data / "tls").iterdir())]
        check("what is kept", kept, ["acme.json", "acme.pem"])
        check("for its eyes alone", {oct(p.stat().st_mode & 0o777) for p in (by_http.data / "tls").iterdir()}, {"0o600"})
        check("no order is left over", json.loads((by_http.data / "tls/acme.json").read_text())["progress"]["order"], None)
        asked = acme.orders()
        with by_http.running():
            by_http.shown()
        check("a restart orders nothing", acme.orders(), asked)

        by_tls = Server(acme, dir / "tls", acme.tls)
        with by_tls.running():
            check("a certificate by TLS-ALPN-01", bool(by_tls.shown()), True)

        # Where the name leads nobody speaks plain HTTP: that proof fails, and asked to try at once, the other is given.
        unreached = Server(acme, dir / "unreached", acme.tls, free_port())
        with unreached.running():
            unreached.says(f"could not reach http://{DOMAIN}/.well-known/")
            unreached.says("Port 80 of what the name leads to must reach this server.")
            state = json.loads((unreached.data / "tls/acme.json").read_text())
            check("a failure is kept", (state["failures"], state["try_again_at"] is not None), (1, True))
            doctor = unreached.doctor()
            check("doctor says so", (doctor["state"], f"could not reach http://{DOMAIN}/" in doctor["found"]), ("failed", True))
            unreached.process.send_signal(signal.SIGHUP)
            check("the other proof is tried at once on SIGHUP", bool(unreached.shown()), True)
            check("then doctor has no more to say than when it ends", DOMAIN in unreached.doctor()["found"], True)
    print("passed")


main()
