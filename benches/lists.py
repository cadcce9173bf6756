#!/usr/bin/env python3
"""How long the lists of the dashboard take over many rows: `lists.py KEYRACK [USERS] [KEYS]`. Every page is asked for many
times, over one connection on this machine; the slowest of twenty is what counts (p95). Ends with 1 when one is over 50 ms.
Beside it stands the processor time that the server spent, which other work on the machine does not change (Linux alone).
`DATA=DIR` uses rows that are there already, `--fill` only puts them there, `OUT=DIR` keeps the figures."""
import glob, http.client, os, re, shutil, signal, sqlite3, statistics, subprocess, sys, tempfile, time, urllib.parse

import harness

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "data"))
KEYRACK = os.path.abspath(sys.argv[1])
SIZES = [size for size in sys.argv[2:4] if size.isdigit()] or ["1000000", "1000000"]
ROUNDS = int(os.environ.get("ROUNDS", 40))
MOST_MS = 50.0
EMAIL, PASSWORD = "bench@example.com", "a well kept cabinet of keys"


def keyrack(data, *args, feed=None):
    subprocess.run([KEYRACK, "--data", data, "--yes", "-q", *args], input=feed, text=True, check=True, stdout=subprocess.DEVNULL)


def spent(server):
    """The processor time of all threads, in milliseconds."""
    total = 0
    for task in glob.glob(f"/proc/{server.pid}/task/*/schedstat"):
        try:
            with open(task) as counts:
                total += int(counts.read().split()[0])
        except OSError:
            pass
    return total / 1e6


def p95(values):
    return sorted(values)[int(len(values) * 0.95)]


class Browser:
    def __init__(self, port):
        self.conn, self.cookies = http.client.HTTPConnection("127.0.0.1", port), {}

    def send(self, method, path, form=None):
        headers = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin", "Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        body = urllib.parse.urlencode(form) if form else None
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.conn.request(method, path, body, headers)
        answer = self.conn.getresponse()
        text = answer.read().decode()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                cookie, _, value = value.split(";")[0].partition("=")
                self.cookies[cookie] = value
        return answer.status, text

    def sign_in(self):
        token = re.search(r'name="csrf" value="([^"]+)"', self.send("GET", "/sign-in")[1])[1]
        status, _ = self.send("POST", "/sign-in", {"csrf": token, "email": EMAIL, "password": PASSWORD})
        assert status == 303, status


def pages(data):
    """Each list with its addresses, asked for in turn; what is sought differs from one time to the next."""
    from fill import typeid
    conn = sqlite3.connect(f"file:{data}/keyrack.db?mode=ro", uri=True)
    some = lambda sql: [row[0] for row in conn.execute(sql)]
    users = some("SELECT id FROM users WHERE rowid % (SELECT max(rowid) / 20 FROM users) = 5")
    keys = some("SELECT id FROM api_keys WHERE rowid % (SELECT max(rowid) / 20 FROM api_keys) = 5")
    accounts = some("SELECT id FROM accounts WHERE rowid % (SELECT max(rowid) / 20 FROM accounts) = 5")
    large = typeid("acct", some("SELECT id FROM accounts ORDER BY rowid LIMIT 1 OFFSET 1")[0])
    small = typeid("acct", accounts[7])
    ids = [typeid("user", id) for id in users]
    names = some("SELECT name FROM users WHERE rowid % (SELECT max(rowid) / 20 FROM users) = 5")
    actor = some("SELECT actor_id FROM audit_events WHERE actor_id <> '' AND actor_kind = 'user' LIMIT 1")[0]
    u, a, k = "/admin/users", "/admin/accounts", "/admin/keys"
    few = ["ada", "grace hopper", "margaret.ham", "zz", "a", "edsger dijkstra 99", "shafi"]
    return {
        "users": [u, f"{u}?limit=100"],
        "users, deep": [f"{u}?after={id}" for id in ids] + [f"{u}?before={id}" for id in ids],
        "users by name": [f"{u}?sort=name", f"{u}?sort=-name"] + [f"{u}?sort=name&after={id}" for id in ids],
        "users by email": [f"{u}?sort=-email"] + [f"{u}?sort=email&before={id}" for id in ids],
        "users, search": [f"{u}?q={urllib.parse.quote(q)}" for q in few],
        "users, search for one": [f"{u}?q={urllib.parse.quote(name)}" for name in names] + [f"{u}?q={id}" for id in ids],
        "users, search by name": [f"{u}?q={urllib.parse.quote(q)}&sort=name" for q in few],
        "users, admins": [f"{u}?role=admin", f"{u}?role=admin&sort=name"],
        "users, members": [f"{u}?role=member", f"{u}?role=member&sort=email"],
        "users, disabled": [f"{u}?status=disabled", f"{u}?status=disabled&sort=name", f"{u}?status=disabled&q=ada"],
        "users, invited": [f"{u}?status=invited", f"{u}?status=invited&sort=email"],
        "users of a large account": [f"{u}?account={large}", f"{u}?account={large}&sort=name", f"{u}?account={large}&q=ada",
                                     f"{u}?account={large}&status=disabled", f"{u}?account={large}&role=admin"],
        "users of a small account": [f"{u}?account={small}", f"{u}?account={small}&sort=name", f"{u}?account={small}&q=a"],
        "user": [f"{u}/{id}" for id in ids],
        "user, keys": [f"{u}/{id}/keys" for id in ids],
        "user, activity": [f"{u}/{id}/activity" for id in ids] + [f"{u}/{actor}/activity"],
        "accounts": [a, f"{a}?sort=name", f"{a}?sort=-name&limit=100"],
        "accounts, deep": [f"{a}?after={typeid('acct', id)}" for id in accounts] + [f"{a}?sort=name&after={typeid('acct', id)}" for id in accounts],
        "accounts, search": [f"{a}?q=team", f"{a}?q=team+0123", f"{a}?q=default", f"{a}?q=zz"],
        "accounts by limits": [f"{a}?limits=own", f"{a}?limits=default", f"{a}?limits=tier%3APro", f"{a}?limits=tier%3APro&sort=name"],
        "accounts, suspended": [f"{a}?status=suspended", f"{a}?status=active&sort=name"],
        "account": [f"{a}/{typeid('acct', id)}" for id in accounts] + [f"{a}/{large}"],
        "keys": [k, f"{k}?limit=100"],
        "keys, deep": [f"{k}?after={typeid('key', id)}" for id in keys],
        "keys by name": [f"{k}?sort=name", f"{k}?sort=-name"],
        "keys, views": [f"{k}?status={view}" for view in
                        ["active", "unused", "expiring", "no-expiry", "no_expiry", "rotating", "disabled", "expired", "revoked"]],
        "keys, search": [f"{k}?q={q}" for q in ["billing", "staging+1", "ada", "ada@example.com", "grace.hopper", "kr_%E2%80%A60042", "zz"]],
        "requests": ["/admin/requests", "/admin/requests?status=429", "/admin/requests?path=/v1"],
        "overview": ["/admin", "/admin?range=30d"],
    }


def fill(data):
    """Under another name until it is whole."""
    rising = f"{data}.filling"
    shutil.rmtree(rising, ignore_errors=True)
    keyrack(rising, "admin", "create", "--email", EMAIL, "--password-file", "-", feed=PASSWORD)
    subprocess.run([sys.executable, os.path.join(os.path.dirname(__file__), "data/fill.py"), rising, *SIZES], check=True)
    os.rename(rising, data)


def main():
    data = os.environ.get("DATA") or os.path.join(tempfile.mkdtemp(prefix="keyrack-lists-"), "data")
    if not os.path.exists(f"{data}/keyrack.db"):
        fill(data)
    if "--fill" in sys.argv:
        return
    asked = pages(data)
    server = subprocess.Popen([KEYRACK, "--data", data, "serve", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        port = None
        while port is None:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", server.stdout.readline())
            port = found and int(found[1])
        browser = Browser(port)
        browser.sign_in()
        slow, told = [], {}
        print(f"| page | p50 ms | p95 ms | CPU p50 ms | CPU p95 ms | addresses |\n|---|---:|---:|---:|---:|---:|")
        for name, paths in asked.items():
            for path in paths:
                browser.send("GET", path)
            took, cpu = [], []
            for n in range(max(ROUNDS, 3 * len(paths))):
                path = paths[n % len(paths)]
                before, began = spent(server), time.perf_counter()
                status, text = browser.send("GET", path)
                took.append(((time.perf_counter() - began) * 1000, path))
                cpu.append(spent(server) - before)
                assert status in (200, 303), f"{path}: {status}"
            times = [t for t, _ in took]
            told[name] = [statistics.median(times), p95(times), statistics.median(cpu), p95(cpu), len(paths)]
            print("| {} | {:.1f} | {:.1f} | {:.1f} | {:.1f} | {} |".format(name, *told[name]), flush=True)
            if p95(times) > MOST_MS:
                slow.append((name, sorted(set((round(t), p) for t, p in took if t > MOST_MS), reverse=True)[:3]))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    for name, times in slow:
        print(f"over {MOST_MS:.0f} ms: {name}: {times}", file=sys.stderr)
    if os.environ.get("OUT"):
        harness.save(os.environ["OUT"], "lists", {"dashboard.p95": max(row[1] for row in told.values())}, pages=told)
    sys.exit(bool(slow) and not os.environ.get("OUT"))


if __name__ == "__main__":
    main()
