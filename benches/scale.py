#!/usr/bin/env python3
"""Whether a check costs more with 1,000,000 keys than with 1,000: the server's CPU time and the median answer of cached and
cold keys, on two servers in turn. Answers are checked before they are counted."""
import http.client, json, os, random, sqlite3, statistics, subprocess, sys, tempfile, time, zlib, hashlib
from pathlib import Path

KEYRACK = sys.argv[1]
SIZES = [int(size) for size in (sys.argv[2:] or ["1000", "1000000"])]
ROUNDS, REQUESTS = int(os.environ.get("ROUNDS", 5)), 800
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Looked-up credentials are kept for this long.
FORGOTTEN_AFTER = 5.5


def base62(number, length):
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits


def secret():
    text = "kr_" + base62(random.getrandbits(255), 43)
    return text + base62(zlib.crc32(text.encode()), 6)


def key_id(n):
    """In the order of creation, as real ids are."""
    return (0x0190_0000_0000_7000_8000_0000_0000_0000 + (n << 64)).to_bytes(16, "big")


class Server:
    def __init__(self, directory, size, port):
        self.size, self.port, self.data = size, port, f"{directory}/{size}"
        self.keyrack("admin", "create", "--email", "bench@example.com", "--password-file", "-", stdin="securepassword123")
        self.keyrack("tier", "set", "Bench", "--window", "1000000000/1h", "--window", "1000000000/1s")
        self.keyrack("account", "set", "Default", "--tier", "Bench")
        self.service = self.keyrack("key", "create", "service", "--scope", "admin")["secret"]
        self.fill()
        env = {**os.environ, "KEYRACK_SERVER_WORKERS": "1", "KEYRACK_LOG_LEVEL": "warn"}
        command = [KEYRACK, "--data", self.data, "serve", "--listen", f"127.0.0.1:{port}"]
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for _ in range(200):
            try:
                self.connection.connect()
                return
            except OSError:
                time.sleep(0.05)
        sys.exit("the server does not answer")

    def keyrack(self, *args, stdin=None):
        command = [KEYRACK, "--data", self.data, "--json", "--yes", *args]
        done = subprocess.run(command, capture_output=True, text=True, input=stdin)
        if done.returncode:
            sys.exit(f"keyrack {' '.join(args)}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def fill(self):
        """Copies of one key with ids and secrets of their own; some of the secrets are known."""
        self.known = [secret() for _ in range(min(self.size, REQUESTS))]
        db = sqlite3.connect(f"{self.data}/keyrack.db", isolation_level=None)
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144; BEGIN;")
        every = max(1, self.size // len(self.known))
        hashes = []
        for n in range(self.size):
            at, rest = divmod(n, every)
            is_known = rest == 0 and at < len(self.known)
            hashes.append((hashlib.sha256(self.known[at].encode()).digest() if is_known else random.randbytes(32), n))
        self.copy(db, "api_keys", "id", ((key_id(n),) for n in range(self.size)))
        # In the order of their index: a million in no order would take minutes.
        self.copy(db, "key_secrets", "hash, key_id", ((hash, key_id(n)) for hash, n in sorted(hashes)))
        for last in ["COMMIT", "ANALYZE", "PRAGMA journal_mode = WAL"]:
            db.execute(last)
        db.close()

    def copy(self, db, table, own, rows):
        """Copies of the table's first row, with columns of their own."""
        given = own.split(", ")
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        values = ", ".join("?" if name in given else name for name in columns)
        key = db.execute(f"SELECT {columns[0]} FROM {table}").fetchone()[0]
        copy = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} WHERE {columns[0]} = ?"
        db.executemany(copy, (row + (key,) for row in rows))

    def cpu(self):
        """Seconds of all threads."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def ask(self, secret, verify):
        if verify:
            body = json.dumps({"key": secret})
            headers = {"Authorization": f"Bearer {self.service}", "Content-Type": "application/json"}
            self.connection.request("POST", "/v1/keys/verify", body=body, headers=headers)
        else:
            self.connection.request("GET", "/v1/users/me", headers={"Authorization": f"Bearer {secret}"})
        answer = self.connection.getresponse()
        told = json.loads(answer.read())
        if answer.status != 200 or (verify and not told["valid"]):
            sys.exit(f"{answer.status}: {told}")

    def round(self, verify, cold):
        """CPU microseconds and median milliseconds of a request."""
        # One that stood idle has been closed.
        self.connection.close()
        secrets = self.known if cold else self.known[:1] * len(self.known)
        if not cold:
            self.ask(secrets[0], verify)
        times, before = [], self.cpu()
        for one in secrets:
            began = time.perf_counter()
            self.ask(one, verify)
            times.append(time.perf_counter() - began)
        return (self.cpu() - before) / len(secrets) * 1e6, statistics.median(times) * 1e3


def main():
    with tempfile.TemporaryDirectory(prefix="keyrack-scale.") as directory:
        servers = [Server(directory, size, 9491 + n) for n, size in enumerate(SIZES)]
        kinds = [(verify, cold) for verify in [False, True] for cold in [False, True]]
        figures = {(kind, server.size): [] for kind in kinds for server in servers}
        try:
            for _ in range(ROUNDS):
                for kind in kinds:
                    for server in servers:
                        if kind[1]:
                            time.sleep(FORGOTTEN_AFTER)
                        figures[kind, server.size].append(server.round(*kind))
        finally:
            for server in servers:
                server.process.terminate()
                server.process.wait()
    print(f"{ROUNDS} rounds of up to {REQUESTS} requests in turn, one connection; medians\n")
    print("| what                          | keys      | CPU µs | ratio | p50 ms | ratio |")
    print("|-------------------------------|----------:|-------:|------:|-------:|------:|")
    for verify, cold in kinds:
        base = None
        for server in servers:
            now = [statistics.median(figure[n] for figure in figures[(verify, cold), server.size]) for n in range(2)]
            base = base or now
            name = f"{'POST /v1/keys/verify' if verify else 'GET /v1/users/me'}, {'cold' if cold else 'cached'}"
            print(f"| {name:29} | {server.size:9,} | {now[0]:6.1f} | {now[0] / base[0]:5.2f} | {now[1]:6.3f} | {now[1] / base[1]:5.2f} |")


if __name__ == "__main__":
    main()
