"""A server for the tests of clients: the binary itself on scratch data."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEYRACK = os.environ.get("KEYRACK", str(ROOT / "target/debug/keyrack"))
# Nothing of the caller's environment configures the server or the clients.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("KEYRACK_", "RESEND_"))}
PYTHON = {**CLEAN, "PYTHONPATH": str(HERE / "python"), "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def server(dialect, **settings):
    """A server on a free port; gives its URL, a function that makes a user with a key in an account with a window, and
    one that runs a command."""
    with tempfile.TemporaryDirectory(prefix="keyrack-clients.") as data:
        env = {**CLEAN, "KEYRACK_API_DIALECT": dialect, **settings}

        def keyrack(*args, stdin=None):
            done = subprocess.run(
                [KEYRACK, "--data", data, "--quiet", "--yes", "--json", *args],
                env=env, input=stdin, text=True, stdout=subprocess.PIPE, check=True,
            )
            return json.loads(done.stdout) if done.stdout.strip() else None

        keyrack("admin", "create", "--email", "admin@example.com", "--password-file", "-", stdin="a long password")

        def key(name, window, *scopes):
            keyrack("tier", "set", name, "--window", window)
            keyrack("account", "add", name, "--tier", name)
            user = keyrack("user", "add", "--email", f"{name.lower()}@example.com", "--name", name, "--account", name)
            asked = [part for scope in scopes for part in ("--scope", scope)]
            return keyrack("key", "create", name, "--owner", user["id"], *asked)["secret"], user["id"]

        serve = [KEYRACK, "--data", data, "--json", "serve", "--listen", "127.0.0.1:0"]
        log = open(Path(data) / "log", "w+")
        process = subprocess.Popen(serve, env=env, text=True, stdout=subprocess.PIPE, stderr=log)
        try:
            started = ""
            while not started.rstrip().endswith("}"):
                line = process.stdout.readline()
                if not line:
                    log.seek(0)
                    raise SystemExit(f"the server did not start: {started}{log.read()}")
                started += line
            yield json.loads(started)["url"], key, keyrack
        finally:
            process.terminate()
            process.wait(timeout=30)
            process.stdout.close()
            log.close()


def passes(title, command, env, said=None):
    """Runs a program that must succeed and, where it is told, say this."""
    done = subprocess.run(command, cwd=HERE, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0 or (said is not None and said not in done.stdout):
        sys.exit(f"{title} failed ({done.returncode}):\n{done.stdout}")
    print(f"ok  {title}")
    return done.stdout
