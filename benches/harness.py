"""What the measuring programs share: a filled data directory, servers on one core, rounds of wrk from another, taken in turn,
and the files that the figures end in. Every target is a ratio within one run: absolute figures drift with the machine."""
import json, os, re, statistics, subprocess, sys, tempfile, time, urllib.error, urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS, SECONDS = int(os.environ.get("ROUNDS", 5)), float(os.environ.get("SECONDS_EACH", 3))
SERVER_CORE, CLIENT_CORE = "0", "1"
TICKS = os.sysconf("SC_CLK_TCK")
EMAIL, PASSWORD = "bench@example.com", "a well kept cabinet of keys"
PLENTY = ["--window", "1000000000/1h", "--window", "1000000000/1s"]
# One worker, nothing refused, and no line for each request.
ENV = {"KEYRACK_SERVER_WORKERS": "1", "KEYRACK_LOG_LEVEL": "warn", "KEYRACK_LIMITS_ANONYMOUS_PER_MINUTE": "1000000000"}
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")}


def seconds(times=1.0):
    """A round's length; wrk counts whole seconds."""
    return max(1, round(SECONDS * times))


class Keyrack:
    """A data directory and the program that works on it."""

    def __init__(self, program, data):
        self.program, self.data = os.path.abspath(program), str(data)

    def run(self, *args, stdin=None):
        command = [self.program, "--data", self.data, "--json", "--yes", *args]
        done = subprocess.run(command, capture_output=True, text=True, input=stdin, env=CLEAN)
        if done.returncode:
            raise RuntimeError(f"keyrack {' '.join(args)}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def begin(self):
        """An admin whose account is hardly limited, and the secret of a key that may do everything."""
        self.run("admin", "create", "--email", EMAIL, "--password-file", "-", stdin=PASSWORD)
        self.run("tier", "set", "Bench", *PLENTY)
        self.run("account", "set", "Default", "--tier", "Bench")
        return self.run("key", "create", "bench", "--scope", "admin")["secret"]

    def serve(self, port, scheme="http", **env):
        command = [self.program, "--data", self.data, "serve", "--listen", f"127.0.0.1:{port}"]
        return Server("keyrack", command, port, ready="/readyz", env={**ENV, **env}, scheme=scheme)


class Server:
    """A program on a core of its own, with whatever processes it starts."""

    def __init__(self, name, argv, port, ready="/v1/users/me", env=None, cwd=None, scheme="http", wait=30):
        self.name, self.port, self.url = name, port, f"{scheme}://127.0.0.1:{port}"
        self.log = tempfile.TemporaryFile("w+", prefix="bench.")
        argv = ["taskset", "-c", SERVER_CORE, *map(str, argv)]
        began = time.perf_counter()
        self.process = subprocess.Popen(argv, env={**CLEAN, **(env or {})}, cwd=cwd, stdout=self.log, stderr=self.log)
        self.pid = self.process.pid
        while True:
            try:
                fetch(self.url + ready)
                break
            except OSError:
                self.log.seek(0)
                if self.process.poll() is not None:
                    raise RuntimeError(f"{name} ended: {self.log.read()[-600:]}") from None
                if time.perf_counter() - began > wait:
                    self.stop()
                    raise RuntimeError(f"{name} does not answer: {self.log.read()[-600:]}") from None
                time.sleep(0.002)
        # To the first answer, of whatever kind.
        self.start_ms = (time.perf_counter() - began) * 1000

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def pids(self):
        """It and all that descend from it."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                except OSError:
                    pass
        found = [self.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def cpu(self):
        """User and system seconds."""
        total = 0
        for pid in self.pids():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                total += int(fields[11]) + int(fields[12])
            except OSError:
                pass
        return total / TICKS

    def pss(self):
        """Bytes of memory, shared ones by their share."""
        total = 0
        for pid in self.pids():
            found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
            total += int(found[1]) * 1024
        return total


def settle(servers, quiet=3, most=60):
    """Waits until none does anything of its own: after a start each looks its database over."""
    until, since, before = time.time() + most, time.time(), None
    while time.time() < until and time.time() - since < quiet:
        time.sleep(0.25)
        now = [server.cpu() for server in servers]
        if before is None or any(after - earlier > 0.011 for after, earlier in zip(now, before)):
            since = time.time()
        before = now


def fetch(url, secret=None, method="GET", body=None, headers=None):
    """Status and text of an answer, whatever it is."""
    headers = dict(headers or {}) | ({"Authorization": f"Bearer {secret}"} if secret else {})
    if body is not None:
        headers.setdefault("Content-Type", "application/json")
    request = urllib.request.Request(url, method=method, headers=headers, data=body.encode() if body else None)
    try:
        with urllib.request.urlopen(request, timeout=30, context=UNVERIFIED if url.startswith("https") else None) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()


def answered(url, secret):
    """What a request is answered, which must be well."""
    status, body = fetch(url, secret)
    if status != 200:
        raise RuntimeError(f"{url}: {status} {body[:300]}")
    return json.loads(body)


def unverified():
    import ssl
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


UNVERIFIED = unverified()


class Row:
    """A kind of request that is measured: its server, what is sent, and what must come back."""

    def __init__(self, name, server, path="/v1/users/me", secret=None, headers=None, script=None, connections=32, refused=False, base=None):
        self.name, self.server, self.url, self.base = name, server, server.url + path, base
        self.headers = dict(headers or {}) | ({"Authorization": f"Bearer {secret}"} if secret else {})
        self.script, self.connections, self.refused = script, connections, refused
        self.rounds = []

    def load(self, seconds, tries=3):
        """One round: requests a second, CPU µs of each, p50 and p99 in ms, and how many answers were not as expected."""
        argv = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{self.connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
        for name, value in self.headers.items():
            argv += ["-H", f"{name}: {value}"]
        if self.script:
            argv += ["-s", str(self.script)]
        before = self.server.cpu()
        out = subprocess.run(argv + [self.url], capture_output=True, text=True).stdout
        spent = self.server.cpu() - before
        count = int(re.search(r"(\d+) requests in", out)[1])
        if not count and tries > 1:
            return self.load(seconds + 1, tries - 1)
        if not count:
            raise RuntimeError(f"{self.name}: nothing was answered: {out}")
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        errors = int(bad[1]) if bad else 0
        if self.refused:
            errors = count - errors
        socket = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
        errors += sum(map(int, socket.groups())) if socket else 0
        return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), "cpu": spent / count * 1e6,
                "p50": latency(out, 50), "p99": latency(out, 99), "errors": errors}

    def figures(self):
        """Medians, the least and the greatest rate, and all errors."""
        told = {name: statistics.median(round[name] for round in self.rounds) for name in ["rate", "cpu", "p50", "p99"]}
        rates = [round["rate"] for round in self.rounds]
        return told | {"least": min(rates), "most": max(rates), "errors": sum(round["errors"] for round in self.rounds)}


def latency(out, percent):
    value, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s|m)", out).groups()
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]


def in_turn(rows, rounds=ROUNDS, length=None, warm=1):
    """Rounds A B C A B C, after one that is not counted; name -> medians."""
    length = length or seconds()
    for row in rows:
        if warm:
            row.load(warm)
    for _ in range(rounds):
        for row in rows:
            row.rounds.append(row.load(length))
    return {row.name: row.figures() | ({"base": row.base} if row.base else {}) for row in rows}


def lua(directory, name, text):
    path = Path(directory) / f"{name}.lua"
    path.write_text(text)
    return path


def posted(directory, name, body):
    return lua(directory, name, f'wrk.method = "POST"\nwrk.body = [[{body}]]\nwrk.headers["Content-Type"] = "application/json"\n')


def save(out, name, figures, rows=None, **more):
    """The figures by their names, which benches/document.py knows, and the rows that they come from."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    told = {"figures": {key: round(value, 4) for key, value in figures.items() if value is not None}, "rows": rows or {},
            "rounds": ROUNDS, "seconds": SECONDS, **more}
    (out / f"{name}.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def show(rows, base=None):
    """The rows as a table."""
    print(f"| {'what':30} | {'req/s':>26} | ratio | CPU µs | ratio | p50 ms | p99 ms | ratio | errors |")
    print(f"|{'-' * 32}|{'-' * 28}|------:|-------:|------:|-------:|-------:|------:|-------:|")
    for name, row in rows.items():
        beside = rows.get(row.get("base") or base) or row
        spread = f"{row['rate']:,.0f} ({row['least']:,.0f}-{row['most']:,.0f})"
        print(f"| {name:30} | {spread:>26} | {row['rate'] / beside['rate']:5.2f} | {row['cpu']:6.2f} | {row['cpu'] / max(beside['cpu'], 0.01):5.2f} "
              f"| {row['p50']:6.2f} | {row['p99']:6.2f} | {row['p99'] / max(beside['p99'], 0.001):5.2f} | {row['errors']:6} |", flush=True)
    print(flush=True)


def arguments(count, words):
    if len(sys.argv) <= count:
        sys.exit(f"usage: {Path(sys.argv[0]).name} {words}")
    return sys.argv[1:]
