"""What the scripts of this folder share: a server that can be hurt, clients that note what was acknowledged, and the
checker that looks whether all of it is there.

Each fault is a function with `@fault`; it gives back how often it tried and what it saw, or ends in `wrong(...)`.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
KEYRACK = os.environ.get("KEYRACK", str(ROOT / "target/debug/keyrack"))
FIXTURES = ROOT / "tests/fixtures"
SEED = int(os.environ.get("SEED", str(random.randrange(1_000_000))))
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")}
ENV = {**CLEAN, "KEYRACK_WEBHOOKS_ALLOW_PRIVATE_TARGETS": "true", "KEYRACK_ALLOW_VOLATILE": "1"}
PASSWORD = "a long password"
EMAIL = "admin@example.com"
# A start, with the database whole or after any fault, takes no longer than this, in seconds.
START = 10

chance = random.Random(SEED)
faults = []
scratch = Path(tempfile.mkdtemp(prefix="keyrack-faults."))


class Wrong(Exception):
    """Something that must hold did not."""


class Impossible(Exception):
    """This machine lacks what the fault is made with."""


def wrong(words):
    raise Wrong(words)


def must(held, words):
    if not held:
        wrong(words)


def fault(name, holds, rounds, short):
    """A row of the table: the fault, what must hold, how often it is tried, and how often in the short form."""

    def note(work):
        faults.append((name, holds, work, rounds, short))
        return work

    return note


def main():
    """Tries the faults of the script that calls; a row of Markdown for each."""
    parser = argparse.ArgumentParser(description="Seed: " + str(SEED))
    parser.add_argument("--short", action="store_true", help="a few tries of those that need no more than a user's rights")
    parser.add_argument("--rounds", type=int, help="tries of each")
    parser.add_argument("only", nargs="*", help="words of the faults' names")
    args = parser.parse_args()
    script = Path(sys.argv[0]).name
    failed = 0
    try:
        for name, holds, work, rounds, short in faults:
            if args.only and not any(word in name for word in args.only):
                continue
            tries = args.rounds or (short if args.short else rounds)
            if not tries:
                continue
            began = time.monotonic()
            try:
                done = work(tries)
            except Wrong as found:
                failed += 1
                done = f"**FAILED** (seed {SEED}): {found}"
            except Impossible as lacking:
                done = f"not tried: {lacking}"
            seconds = time.monotonic() - began
            print(f"| {name} | {holds} | {done} | {seconds:.0f} s | `python3 tests/faults/{script}` |", flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.exit(1 if failed else 0)


# The command line


def keyrack(data, *args, stdin=None, env=ENV, fails=False):
    command = [KEYRACK, "--data", str(data), "--quiet", "--yes", "--json", *args]
    done = subprocess.run(command, env=env, input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if fails:
        return done
    must(done.returncode == 0, f"keyrack {' '.join(args)}: {done.stderr.strip()}")
    return json.loads(done.stdout) if done.stdout.strip() else None


def prepared():
    """A data directory with an admin, a key that may do everything, wide limits, and a webhook that nobody answers."""
    data = scratch / "prepared"
    if not data.exists():
        keyrack(data, "admin", "create", "--email", EMAIL, "--password-file", "-", stdin=PASSWORD)
        keyrack(data, "tier", "set", "Wide", "--window", "1000000/1s")
        keyrack(data, "account", "set", "Default", "--tier", "Wide")
        key = keyrack(data, "key", "create", "writer", "--scope", "admin")
        (scratch / "secret").write_text(key["secret"])
        keyrack(data, "webhook", "add", "http://127.0.0.1:65000/", "--event", "key.created")
    return data


def secret():
    prepared()
    return (scratch / "secret").read_text()


@contextlib.contextmanager
def data_dir(inside=None):
    """A copy of the prepared directory, gone afterwards."""
    at = Path(tempfile.mkdtemp(prefix="data.", dir=inside or scratch)) / "data"
    shutil.copytree(prepared(), at)
    os.chmod(at, 0o700)
    os.sync()
    try:
        yield at
    finally:
        shutil.rmtree(at.parent, ignore_errors=True)


# The server


class Server:
    """The real binary on a free port. What it says goes to a file."""

    def __init__(self, data, wrap=(), env=None, args=()):
        self.log = tempfile.NamedTemporaryFile("w+", dir=scratch, suffix=".log", delete=False)
        serve = [*wrap, KEYRACK, "--data", str(data), "--json", "serve", "--listen", "127.0.0.1:0", *args]
        began = time.monotonic()
        self.process = subprocess.Popen(
            serve, env={**ENV, **(env or {})}, text=True, stdout=subprocess.PIPE, stderr=self.log, start_new_session=True
        )
        started = ""
        while not started.rstrip().endswith("}"):
            line = self.process.stdout.readline()
            if not line:
                self.process.wait()
                raise Wrong(f"the server did not start: {self.said()[-600:]}")
            started += line
        self.took = time.monotonic() - began
        told = json.loads(started)
        self.pid, self.url = told["pid"], told["url"]
        self.host, self.port = "127.0.0.1", int(told["listen"].rsplit(":", 1)[1])
        must(self.took < START, f"it took {self.took:.1f} s to start")

    def said(self):
        return Path(self.log.name).read_text(errors="replace")

    def kill(self):
        for pid in {self.pid, self.process.pid}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.wait()

    def stop(self, timeout=40):
        os.kill(self.pid, signal.SIGTERM)
        return self.wait(timeout)

    def wait(self, timeout=40):
        try:
            code = self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Wrong(f"it had not ended after {timeout} s") from None
        self.process.stdout.close()
        self.log.close()
        return code

    def is_running(self):
        return self.process.poll() is None

    def status(self, name):
        for line in open(f"/proc/{self.pid}/status"):
            if line.startswith(name + ":"):
                return int(line.split()[1])

    def ask(self, method, path, body=None, headers=None, timeout=20):
        return ask(self.port, method, path, body, headers, timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.is_running():
            self.kill()


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.text = response.status, response.headers, response.read().decode(errors="replace")

    def json(self):
        return json.loads(self.text)


def ask(port, method, path, body=None, headers=None, timeout=20):
    """One request on a connection of its own, with the key that may do everything."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    headers = {"Authorization": f"Bearer {secret()}", "Content-Type": "application/json", **(headers or {})}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def sign_in(port, email, password, via=None):
    """By the form, as a browser. Gives the status and the cookies of the session."""
    via = {"Authorization": "", **(via or {})}
    page = ask(port, "GET", "/sign-in", headers=via)
    cookie = page.headers["Set-Cookie"].split(";")[0]
    token = re.search(r'name="csrf" value="([^"]+)"', page.text)[1]
    form = urllib.parse.urlencode({"csrf": token, "email": email, "password": password})
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie, "Sec-Fetch-Site": "same-origin"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/sign-in", form, {**via, **kind})
        answer = connection.getresponse()
        given = [value.split(";")[0] for value in answer.headers.get_all("Set-Cookie") or []]
        return answer.status, "; ".join(given)
    finally:
        connection.close()


GONE = (OSError, http.client.HTTPException, ValueError)


# Clients that note what was acknowledged


class Book:
    """What was asked for, and what of it was acknowledged, and when."""

    def __init__(self):
        self.lock = threading.Lock()
        self.acknowledged = {}  # idempotency key -> (id of the key that was made, when)
        self.asked = {}  # idempotency key -> name
        self.refused = {}  # status -> how often
        self.number = 0

    def next(self):
        with self.lock:
            self.number += 1
            key = f"try-{self.number}-{uuid.uuid4()}"
            self.asked[key] = f"made {self.number}"
            return key, self.asked[key]

    def write(self, port, timeout=20):
        """Makes one key. True when that was acknowledged, False when it was refused; raises when the server is gone."""
        key, name = self.next()
        answer = ask(port, "POST", "/v1/keys", {"name": name}, {"Idempotency-Key": key}, timeout)
        with self.lock:
            if answer.status == 201:
                self.acknowledged[key] = (answer.json()["id"], time.time())
                return True
            self.refused[answer.status] = self.refused.get(answer.status, 0) + 1
            return False


class Writers:
    """Some who make keys as fast as they are answered, until they are told to stop or the server is gone."""

    def __init__(self, port, book, count=4):
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(port, book), daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, port, book):
        while not self.stopped.is_set():
            try:
                if not book.write(port):
                    time.sleep(0.02)
            except GONE:
                return

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


# The checker


ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def raw_id(text):
    """The bytes behind a TypeID."""
    number = 0
    for letter in text.rsplit("_", 1)[1]:
        number = number << 5 | ALPHABET.index(letter)
    return number.to_bytes(16, "big")


def is_whole(database, swept=False):
    """Raises unless the file is sound and each change has all of its parts, but for those that are swept away with time.
    Gives the ids of all keys by name."""
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
    try:
        sound = db.execute("PRAGMA integrity_check").fetchone()[0]
        must(sound == "ok", f"integrity_check: {sound}")
        must(not db.execute("PRAGMA foreign_key_check").fetchone(), "a foreign key leads nowhere")
        made = dict(db.execute("SELECT name, id FROM api_keys WHERE name LIKE 'made %'"))
        count = db.execute("SELECT count(*) FROM api_keys WHERE name LIKE 'made %'").fetchone()[0]
        must(count == len(made), "one change was made twice")
        for part, sql in {
            "secret": "SELECT k.name FROM api_keys k WHERE k.name LIKE 'made %' AND NOT EXISTS (SELECT 1 FROM key_secrets s WHERE s.key_id = k.id)",
            "idempotency key": "SELECT 1 WHERE (SELECT count(*) FROM idempotency_keys WHERE route LIKE '%/v1/keys') <> (SELECT count(*) FROM api_keys WHERE name LIKE 'made %')",
            "audit event": "SELECT 1 WHERE (SELECT count(*) FROM audit_events WHERE action = 'key.created' AND target_name LIKE 'made %') <> (SELECT count(*) FROM api_keys WHERE name LIKE 'made %')",
            "webhook event": "SELECT 1 WHERE (SELECT count(*) FROM webhook_events WHERE type = 'key.created') <> (SELECT count(*) FROM api_keys WHERE name LIKE 'made %')",
            "delivery": "SELECT 1 FROM webhook_events e WHERE NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.event_id = e.id)",
        }.items():
            if swept and part in ("idempotency key", "webhook event", "delivery"):
                continue
            must(not db.execute(sql).fetchone(), f"a change is there without its {part}")
        return made
    finally:
        db.close()


def check(data, book, before=None, swept=False):
    """Raises unless all that was acknowledged (before a moment) is in the database, whole, and the audit chain too."""
    made = is_whole(data / "keyrack.db", swept)
    ids = set(made.values())
    owed = [id for id, at in list(book.acknowledged.values()) if before is None or at < before]
    lost = [id for id in owed if raw_id(id) not in ids]
    must(not lost, f"{len(lost)} of {len(owed)} acknowledged changes are lost")
    verified = keyrack(data, "audit", "verify", fails=True)
    must(verified.returncode == 0, f"the audit chain is broken: {verified.stdout} {verified.stderr}")
    return len(owed)


def again(port, book, most=20):
    """Repeats what was not answered: what was done is answered as the first time, what was not is done, all of it once."""
    open_ = [(key, name) for key, name in book.asked.items() if key not in book.acknowledged][-most:]
    replayed = 0
    for key, name in open_:
        answer = ask(port, "POST", "/v1/keys", {"name": name}, {"Idempotency-Key": key})
        must(answer.status == 201, f"a repeated request was answered {answer.status}: {answer.text}")
        replayed += answer.headers.get("Idempotent-Replayed") == "true"
        book.acknowledged[key] = (answer.json()["id"], time.time())
    for key, (id, _) in list(book.acknowledged.items())[-3:]:
        answer = ask(port, "POST", "/v1/keys", {"name": book.asked[key]}, {"Idempotency-Key": key})
        must(answer.json()["id"] == id, "the same request made something else")
    return replayed


def tamper(pid, inject):
    """Has strace do something to system calls of a running process, as `CALL[,CALL]:WHAT`."""
    needs("strace")
    calls = inject.split(":")[0]
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid), "-e", f"trace={calls}", "-e", f"inject={inject}"]
    trace = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        held = []
        for thread in os.listdir(f"/proc/{pid}/task"):
            lines = open(f"/proc/{pid}/task/{thread}/status").read().splitlines()
            held += [int(line.split()[1]) for line in lines if line.startswith("TracerPid:")]
        if all(held):
            return trace
        time.sleep(0.01)
    wrong("strace does not hold the server")


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Impossible(f"there is no {program}")


def needs_root():
    if os.geteuid() != 0:
        raise Impossible("only root may do it")
