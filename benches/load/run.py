#!/usr/bin/env python3
"""Interleaved rounds of wrk against a bare actix handler and against Keyrack; medians, ratios and CPU time per request.

Every target is a ratio within one run: absolute figures drift with the machine. Answers are checked before they are
counted."""
import json, os, re, signal, statistics, subprocess, sys, tempfile, time, urllib.error, urllib.request

KEYRACK, BARE = sys.argv[1], sys.argv[2]
ROUNDS, SECONDS = int(os.environ.get("ROUNDS", 5)), int(os.environ.get("SECONDS_EACH", 3))
CONNECTIONS = 32
SERVER_CORE, CLIENT_CORE = "0", "1"
# Rows without a bare one of their own.
FIRST = ("POST /v1/keys",)
TICKS = os.sysconf("SC_CLK_TCK")


def keyrack(data, *args):
    done = subprocess.run([KEYRACK, "--data", data, "--json", "--yes", *args], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"keyrack {' '.join(args)}: {done.stderr}")
    return json.loads(done.stdout) if done.stdout.strip() else None


def start(argv, **env):
    return subprocess.Popen(["taskset", "-c", SERVER_CORE, *argv], env={**os.environ, **env},
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def fetch(url, secret=None, method="GET", body=None):
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, method=method, headers=headers, data=body and body.encode())
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()


def wait_for(url):
    for _ in range(200):
        try:
            return fetch(url)
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{url} does not answer")


def cpu(pid):
    """User and system seconds of a process."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def load(row, seconds):
    """One round: requests a second, CPU microseconds a request, p99 in ms, and how many answers were not as expected."""
    argv = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    for name, value in row["headers"].items():
        argv += ["-H", f"{name}: {value}"]
    if "script" in row:
        argv += ["-s", row["script"]]
    before = cpu(row["pid"])
    out = subprocess.run(argv + [row["url"]], capture_output=True, text=True).stdout
    spent = cpu(row["pid"]) - before
    count = int(re.search(r"(\d+) requests in", out)[1])
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    p99, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()
    p99 = float(p99) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
    errors = int(bad[1]) if bad else 0
    if row.get("refused"):
        errors = count - errors
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), spent / count * 1e6, p99, errors


def main():
    data = tempfile.mkdtemp(prefix="keyrack-bench-")
    password = os.path.join(data, "..", os.path.basename(data) + ".password")
    with open(password, "w") as file:
        file.write("securepassword123")
    keyrack(data, "admin", "create", "--email", "bench@example.com", "--password-file", password)
    keyrack(data, "tier", "set", "Bench", "--window", "1000000000/1h", "--window", "1000000000/1s")
    keyrack(data, "account", "set", "Default", "--tier", "Bench")
    secret = keyrack(data, "key", "create", "bench", "--scope", "admin")["secret"]
    limited = keyrack(data, "account", "add", "Limited")
    keyrack(data, "tier", "set", "Shut", "--window", "1/1h")
    keyrack(data, "account", "set", limited["id"], "--tier", "Shut")
    keyrack(data, "user", "add", "--email", "limited@example.com", "--name", "Limited", "--account", limited["id"])
    shut = keyrack(data, "key", "create", "shut", "--owner", "limited@example.com")["secret"]

    servers = [
        start([BARE, "9190"]),
        start([KEYRACK, "--data", data, "serve", "--listen", "127.0.0.1:9191"], KEYRACK_SERVER_WORKERS="1",
              KEYRACK_LOG_LEVEL="warn", KEYRACK_LIMITS_ANONYMOUS_PER_MINUTE="1000000000"),
    ]
    try:
        bare, ours = "http://127.0.0.1:9190", "http://127.0.0.1:9191"
        wait_for(f"{bare}/v1/users/me"), wait_for(f"{ours}/healthz")
        for n in range(30):
            fetch(f"{ours}/v1/users", secret, "POST", json.dumps({"name": f"User {n}", "email": f"u{n}@example.com", "password": "securepassword123"}))
        status, body = fetch(f"{ours}/v1/users/me", secret)
        assert status == 200 and json.loads(body)["email"] == "bench@example.com", (status, body)
        assert fetch(f"{ours}/v1/users/me", shut)[0] == 200 and fetch(f"{ours}/v1/users/me", shut)[0] == 429
        assert fetch(f"{ours}/v1/users/me", secret[:-1] + "?")[0] == 401
        assert len(json.loads(fetch(f"{ours}/v1/users?limit=20", secret)[1])) == 20

        script = os.path.join(data, "post.lua")
        with open(script, "w") as file:
            file.write('wrk.method = "POST"\nwrk.body = \'{"name":"bench"}\'\nwrk.headers["Content-Type"] = "application/json"\n')
        question = os.path.join(data, "verify.lua")
        with open(question, "w") as file:
            file.write(f'wrk.method = "POST"\nwrk.body = \'{{"key":"{secret}"}}\'\nwrk.headers["Content-Type"] = "application/json"\n')
        assert json.loads(fetch(f"{ours}/v1/keys/verify", secret, "POST", json.dumps({"key": secret}))[1])["valid"]
        assert fetch(f"{ours}/v1/forward-auth", secret) == (200, "")
        auth = lambda key: {"Authorization": f"Bearer {key}"}
        bare_row = lambda name, path, **more: {"name": name, "url": bare + path, "headers": auth(secret), "pid": servers[0].pid, **more}
        rows = [
            bare_row("bare handler", "/v1/users/me"),
            {"name": "GET /v1/users/me", "url": f"{ours}/v1/users/me", "headers": auth(secret)},
            {"name": "429, over the limit", "url": f"{ours}/v1/users/me", "headers": auth(shut), "refused": True},
            {"name": "401, no such key", "url": f"{ours}/v1/users/me", "headers": auth(secret[:-1] + "?"), "refused": True},
            bare_row("bare, bodies of a check", "/v1/keys/verify", script=question),
            {"name": "POST /v1/keys/verify", "url": f"{ours}/v1/keys/verify", "headers": auth(secret), "script": question},
            bare_row("bare, no body", "/v1/forward-auth"),
            {"name": "GET /v1/forward-auth", "url": f"{ours}/v1/forward-auth", "headers": auth(secret)},
            bare_row("bare, a page of 20", "/v1/users?limit=20"),
            {"name": "GET /v1/users?limit=20", "url": f"{ours}/v1/users?limit=20", "headers": auth(secret)},
            {"name": "POST /v1/keys", "url": f"{ours}/v1/keys", "headers": auth(secret), "script": script},
        ]
        for row in rows:
            row.setdefault("pid", servers[1].pid)
            load(row, 1)
        rounds = {row["name"]: [] for row in rows}
        for _ in range(ROUNDS):
            for row in rows:
                rounds[row["name"]].append(load(row, SECONDS))
        report(rounds)
    finally:
        for server in servers:
            server.send_signal(signal.SIGTERM)
            server.wait()


def report(rounds):
    median = lambda name, n: statistics.median(round[n] for round in rounds[name])
    print(f"{ROUNDS} rounds of {SECONDS} s in turn, wrk -t1 -c{CONNECTIONS}, one server core; medians (min-max); ratios to the bare row above\n")
    print(f"| {'what':24} | {'req/s':>24} | ratio | CPU µs | ratio | p99 ms | ratio | errors |")
    print(f"|{'-' * 26}|{'-' * 26}|------:|-------:|------:|-------:|------:|-------:|")
    for name, figures in rounds.items():
        # Each is measured beside the bare handler with bodies like its own.
        base = "bare handler" if name in FIRST else name if name.startswith("bare") else base
        beside = [median(base, n) for n in range(3)]
        rates = [figure[0] for figure in figures]
        rate, spent, p99 = (median(name, n) for n in range(3))
        spread = f"{rate:,.0f} ({min(rates):,.0f}-{max(rates):,.0f})"
        errors = sum(figure[3] for figure in figures)
        print(f"| {name:24} | {spread:>24} | {rate / beside[0]:5.2f} | {spent:6.2f} | {spent / beside[1]:5.2f} | {p99:6.2f} | {p99 / beside[2]:5.2f} | {errors:6} |")


main()
