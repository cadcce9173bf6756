"""Holds a real server against its whole OpenAPI document, with what schemathesis makes up: nothing may end in a 5xx, have a
status, a header or a body that the document does not tell, or be taken though the document forbids it.

Once with a key that may do everything, once with one that may only read. The first kind may end itself, by its id or with its
owner; then another is made for the next request, of an owner of its own, so that nothing is left untried.
`make test-schema` runs it long; `EXAMPLES` says how many requests each operation gets at most.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from harness import CLEAN, HERE, KEYRACK, server

EXAMPLES = os.environ.get("EXAMPLES", "40")
PHASES = os.environ.get("PHASES", "examples,coverage,fuzzing")
SCHEMATHESIS = str(HERE / "schemathesis/bin/schemathesis")
# Not `unsupported_method`: every verb is answered at `/v1/forward-auth`, and `/oauth/authorize` is a page with a form.
CHECKS = ",".join([
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "use_after_free",
])


def lint():
    with tempfile.TemporaryDirectory(prefix="keyrack-schema.") as scratch:
        printed = subprocess.run([KEYRACK, "--data", scratch, "openapi"], env=CLEAN, stdout=subprocess.PIPE, check=True).stdout
        (Path(scratch) / "openapi.json").write_bytes(printed)
        command = [str(HERE / "node_modules/.bin/redocly"), "lint", "openapi.json", "--config", str(HERE / "redocly.yaml"), "--format", "json"]
        done = subprocess.run(command, cwd=scratch, env={**CLEAN, "REDOCLY_TELEMETRY": "off"}, text=True, capture_output=True)
    found = json.loads(done.stdout)["problems"]
    if found:
        sys.exit("\n".join(f"redocly: {it['ruleId']}: {it['message']} at {it['location'][0].get('pointer')}" for it in found))
    print("ok  redocly lint")


class Keys:
    """A key that works, whatever became of the one before."""

    def __init__(self, url, keyrack, scopes):
        self.url, self.keyrack, self.asked = url, keyrack, [part for scope in scopes for part in ("--scope", scope)]
        self.made, self.lock = 0, threading.Lock()
        self.secret = self.new()

    def new(self):
        self.made += 1
        email = f"tester{self.made}@example.com"
        self.keyrack("user", "add", "--email", email, "--name", "Tester", "--account", "Default", "--role", "admin")
        return self.keyrack("key", "create", "tester", "--owner", email, *self.asked)["secret"]

    def works(self):
        request = urllib.request.Request(f"{self.url}/v1/key", headers={"Authorization": f"Bearer {self.secret}"})
        try:
            return urllib.request.urlopen(request, timeout=30).status == 200
        except urllib.error.HTTPError:
            return False

    def good(self):
        with self.lock:
            while not self.works():
                self.secret = self.new()
            return self.secret


@contextmanager
def given(keys):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = keys.good().encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    giver = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=giver.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{giver.server_port}"
    finally:
        giver.shutdown()


def run(name, scopes):
    # Without a credential that works a request counts against its address.
    with server("native", KEYRACK_LIMITS_ANONYMOUS_PER_MINUTE="1000000") as (url, _, keyrack):
        keyrack("tier", "set", "Wide", "--unlimited")
        keyrack("account", "set", "Default", "--tier", "Wide")
        keys = Keys(url, keyrack, scopes)
        began = time.monotonic()
        with given(keys) as key_url:
            done = subprocess.run(
                [
                    SCHEMATHESIS, "--config-file", str(HERE / "schemathesis.toml"), "run", f"{url}/openapi.json", "--checks", CHECKS, "--max-examples", EXAMPLES,
                    "--phases", PHASES, "--no-color", "--seed", "1", "--suppress-health-check", "all",
                    "--continue-on-failure", "--warnings", "off",
                ],
                env={**CLEAN, "KEY_URL": key_url, "SCHEMATHESIS_HOOKS": "schema_key", "PYTHONPATH": str(HERE)},
                text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
        if done.returncode != 0:
            sys.exit(done.stdout)
        made = next((line.strip() for line in done.stdout.splitlines() if "generated" in line), "")
        print(f"ok  schemathesis, {name}: {made}, {keys.made} keys used ({time.monotonic() - began:.0f} s)")


lint()
run("a key for everything", ["admin"])
run("a key that reads", ["read"])
