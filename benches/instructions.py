#!/usr/bin/env python3
"""Instructions per request under callgrind, as a multiple of what the bare handler takes: a figure that does not drift with
the machine. With --check it fails where a path has become dearer than `instructions.json` lets; --write renews that file. `OUT=DIR` keeps the figures."""
import http.client, json, os, re, shutil, subprocess, sys, tempfile, time
from pathlib import Path

import harness

KEYRACK, BARE = sys.argv[1], sys.argv[2]
MODE = sys.argv[3] if len(sys.argv) > 3 else "--show"
KEPT = Path(__file__).with_name("instructions.json")
# What a start takes falls out: two runs, and their difference. The five-second batches weigh more where the machine
# is slow, hence the tolerance; the request log, fifty a second, would weigh far more.
WARM, REQUESTS, TOLERANCE = 100, 1000, 0.10
PASSWORD = "securepassword123"


def run(argv, port, env, expected, request, count):
    """The instructions of a server that starts, answers so many requests, and ends."""
    with tempfile.NamedTemporaryFile("w+", prefix="callgrind.") as log:
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log.name}", *argv]
        server = subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            connection = connect(port, request)
            for _ in range(count):
                answer = ask(connection, *request)
                if answer[0] != expected:
                    sys.exit(f"{request[0]}: {answer}")
        finally:
            server.terminate()
            server.wait()
        collected = re.search(r"Collected : (\d+)", log.read())
        return int(collected[1]) if collected else sys.exit(f"callgrind told nothing of {argv[0]}")


def connect(port, request):
    """A connection on which one request was answered: what is limited to one has had it."""
    for _ in range(1200):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            ask(connection, *request)
            return connection
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
    sys.exit(f"nothing answers at {port}")


def ask(connection, path, secret, method="GET", body=None):
    headers = {"Authorization": f"Bearer {secret}"} | ({"Content-Type": "application/json"} if body else {})
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def of_one(argv, port, env, expected, *request):
    few, many = (run(argv, port, env, expected, request, count) for count in (WARM, WARM + REQUESTS))
    return (many - few) / REQUESTS


def keyrack(data, *args, stdin=None):
    done = subprocess.run([KEYRACK, "--data", data, "--json", "--yes", *args], capture_output=True, text=True, input=stdin)
    if done.returncode:
        sys.exit(f"keyrack {' '.join(args)}: {done.stderr}")
    return json.loads(done.stdout) if done.stdout.strip() else None


def measure(directory):
    data = f"{directory}/data"
    keyrack(data, "admin", "create", "--email", "bench@example.com", "--password-file", "-", stdin=PASSWORD)
    keyrack(data, "tier", "set", "Bench", "--window", "1000000000/1h", "--window", "1000000000/1s")
    keyrack(data, "account", "set", "Default", "--tier", "Bench")
    secret = keyrack(data, "key", "create", "bench", "--scope", "admin")["secret"]
    keyrack(data, "tier", "set", "Shut", "--window", "1/1h")
    keyrack(data, "account", "add", "Limited", "--tier", "Shut")
    keyrack(data, "user", "add", "--email", "limited@example.com", "--name", "Limited", "--account", "Limited")
    shut = keyrack(data, "key", "create", "shut", "--owner", "limited@example.com")["secret"]

    figures = {"bare handler": of_one([BARE, "9290"], 9290, {}, 200, "/v1/users/me", secret)}
    env = {"KEYRACK_SERVER_WORKERS": "1", "KEYRACK_LOG_LEVEL": "warn", "KEYRACK_LOG_REQUEST_LOG_SAMPLE": "0",
           "KEYRACK_LIMITS_ANONYMOUS_PER_MINUTE": "1000000000"}
    ours = [KEYRACK, "--data", data, "serve", "--listen", "127.0.0.1:9291"]
    for name, expected, request in [
        ("GET /v1/users/me", 200, ("/v1/users/me", secret)),
        ("429, over the limit", 429, ("/v1/users/me", shut)),
        ("401, no such key", 401, ("/v1/users/me", secret[:-1] + "?")),
        ("GET /v1/forward-auth", 200, ("/v1/forward-auth", secret)),
        ("POST /v1/keys/verify", 200, ("/v1/keys/verify", secret, "POST", json.dumps({"key": secret}))),
    ]:
        figures[name] = of_one(ours, 9291, env, expected, *request)
    return figures


def main():
    if not shutil.which("valgrind"):
        print("Instructions are not counted: valgrind is not installed.")
        return
    with tempfile.TemporaryDirectory(prefix="keyrack-instructions.") as directory:
        figures = measure(directory)
    base = figures["bare handler"]
    ratios = {name: round(count / base, 2) for name, count in figures.items()}
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    dearer = []
    for name, count in figures.items():
        print(f"{name:24} {count:10,.0f}  {ratios[name]:6.2f}  kept {kept.get(name, 0):6.2f}")
        if name in kept and ratios[name] > kept[name] * (1 + TOLERANCE):
            dearer.append(name)
    if os.environ.get("OUT"):
        harness.save(os.environ["OUT"], "instructions", {"instructions": figures["GET /v1/users/me"] / base}, ratios=ratios, counts=figures)
    if MODE == "--write":
        KEPT.write_text(json.dumps(ratios, indent=2) + "\n")
    if MODE == "--check" and dearer:
        sys.exit(f"Dearer than {KEPT.name} lets: {', '.join(dearer)}")


if __name__ == "__main__":
    main()
