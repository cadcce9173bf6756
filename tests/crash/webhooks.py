"""Kills the server under load, again and again: for every change that was acknowledged, its event must be delivered.

A receiver takes messages, and refuses some; a writer makes keys and notes those that were acknowledged. After so many
rounds of `kill -9` the server is left alone until all is sent. What is delivered twice must have the same id.
"""

import base64
import hashlib
import hmac
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
KEYRACK = os.environ.get("KEYRACK", str(ROOT / "target/debug/keyrack"))
ROUNDS = int(os.environ.get("ROUNDS", "50"))
# One message in so many is refused, never twice (it would come again after five minutes), and no more than this in all:
# each holds those behind it for five seconds.
REFUSED = 100
MOST_REFUSED = ROUNDS
# How long the last server has for what is left, in seconds.
PATIENCE = 120 + 10 * ROUNDS
SEED = int(os.environ.get("SEED", str(random.randrange(1_000_000))))
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")}
ENV = {**CLEAN, "KEYRACK_WEBHOOKS_ALLOW_PRIVATE_TARGETS": "true"}

chance = random.Random(SEED)
lock = threading.Lock()
taken = {}  # key id -> the ids of the messages that told of it
refused = set()
wrong = []
secret = None


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        message, at = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        digest = hmac.new(secret, f"{message}.{at}.".encode() + body, hashlib.sha256).digest()
        event = json.loads(body)
        with lock:
            signed = self.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
            if not signed or event["id"] != message:
                wrong.append(f"{message} is not signed as it should be")
            refuse = len(refused) < MOST_REFUSED and message not in refused and chance.randrange(REFUSED) == 0
            if refuse:
                refused.add(message)
            else:
                taken.setdefault(event["data"]["id"], []).append(message)
        self.send_response(500 if refuse else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


def keyrack(data, *args, stdin=None):
    command = [KEYRACK, "--data", data, "--quiet", "--yes", "--json", *args]
    done = subprocess.run(command, env=ENV, input=stdin, text=True, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout) if done.stdout.strip() else None


def start(data):
    serve = [KEYRACK, "--data", data, "--json", "serve", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(serve, env=ENV, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    started = ""
    while not started.rstrip().endswith("}"):
        line = process.stdout.readline()
        if not line:
            sys.exit(f"the server did not start (seed {SEED}): {started}")
        started += line
    return process, json.loads(started)["url"]


def write(url, key, acknowledged, stop):
    while not stop.is_set():
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/v1/keys", b'{"name":"made"}', headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                made = json.load(answer)["id"]
        except urllib.error.HTTPError as refused:
            with lock:
                wrong.append(f"a change was refused with {refused.code}")
            return
        except (urllib.error.URLError, OSError, ValueError):
            return  # killed: what was not acknowledged is promised to nobody
        with lock:
            acknowledged.append(made)


def main():
    global secret
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    hook = f"http://127.0.0.1:{receiver.server_port}/hook"
    acknowledged = []
    with tempfile.TemporaryDirectory(prefix="keyrack-crash.") as data:
        keyrack(data, "admin", "create", "--email", "admin@example.com", "--password-file", "-", stdin="a long password")
        keyrack(data, "tier", "set", "Wide", "--window", "1000000/1s")
        keyrack(data, "account", "set", "Default", "--tier", "Wide")
        key = keyrack(data, "key", "create", "writer", "--scope", "keys:write", "--scope", "users:read")["secret"]
        added = keyrack(data, "webhook", "add", hook, "--event", "key.created")
        secret = base64.b64decode(added["secret"].removeprefix("whsec_"))
        for round_ in range(ROUNDS):
            process, url = start(data)
            stop = threading.Event()
            writers = [threading.Thread(target=write, args=(url, key, acknowledged, stop)) for _ in range(4)]
            for writer in writers:
                writer.start()
            time.sleep(chance.uniform(0.05, 0.9))
            process.kill()
            process.wait()
            process.stdout.close()
            stop.set()
            for writer in writers:
                writer.join()
        process, _ = start(data)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with lock:
                missing = set(acknowledged) - set(taken)
            if not missing:
                break
            time.sleep(0.2)
        process.terminate()
        process.wait(timeout=40)
        process.stdout.close()
    with lock:
        twice = [key for key, messages in taken.items() if len(set(messages)) > 1]
        again = sum(len(messages) - 1 for messages in taken.values())
    faults = wrong + [f"{len(missing)} of {len(acknowledged)} were never delivered"] * bool(missing)
    faults += ["nothing was acknowledged at all"] * (not acknowledged)
    faults += [f"{len(twice)} were delivered under several ids"] * bool(twice)
    if faults:
        sys.exit(f"seed {SEED}: " + "; ".join(faults[:5]))
    print(f"ok  {ROUNDS} kills, {len(acknowledged)} acknowledged changes, each delivered; {again} again, with the same id")


main()
