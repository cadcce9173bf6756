#!/usr/bin/env python3
"""Fills a new data directory with many users, keys, accounts and events: `fill.py DIR [USERS] [KEYS]`, a million each by
default. The rows are made up, with the same seed each time. The audit log's hashes are, too, so it does not verify."""
import os, random, sqlite3, sys, time

DIR = sys.argv[1]
USERS = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
KEYS = int(sys.argv[3]) if len(sys.argv) > 3 else USERS
DAY = 86_400_000
NOW = int(time.time() * 1000)
SINCE = NOW - 730 * DAY

FIRST = "ada grace alan edsger barbara donald frances ken dennis margaret john jean kathleen marlyn betty ruth adele shafi".split()
LAST = "lovelace hopper turing dijkstra liskov knuth allen thompson ritchie hamilton backus sammet booth wescoff holberton".split()
WORDS = "billing staging reports mobile backup ci deploy export partner search sync webhook worker portal import edge".split()
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

made = random.Random(7)


def uuid7(at):
    return at.to_bytes(6, "big") + bytes([0x70 | made.getrandbits(4), made.getrandbits(8), 0x80 | made.getrandbits(6)]) + made.randbytes(7)


def typeid(prefix, blob):
    number = int.from_bytes(blob, "big")
    return prefix + "_" + "".join(ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def at(n, of):
    return SINCE + (NOW - SINCE) * n // of


def insert(conn, table, columns, rows):
    began = time.time()
    places = ", ".join("?" * len(columns.split(",")))
    conn.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)
    print(f"{table}: {time.time() - began:.0f} s", file=sys.stderr)


def main():
    began = time.time()
    conn = sqlite3.connect(os.path.join(DIR, "keyrack.db"), isolation_level=None)
    conn.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; PRAGMA foreign_keys = OFF")
    conn.execute("BEGIN")
    tiers = [None, None, "free", "pro", "enterprise"]
    count = max(USERS // 20, 1)
    accounts = [uuid7(at(n, count)) for n in range(count)]

    def account_rows():
        for n, id in enumerate(accounts):
            own = n % 200 == 7
            yield (id, f"Team {n:06}", f"team {n:06}", tiers[n % 5], '[{"limit":100000,"seconds":3600}]' if own else None,
                   "suspended" if n % 500 == 9 else "active", at(n, count), at(n, count))

    insert(conn, "accounts", "id, name, name_folded, tier, windows, status, created_at, updated_at", account_rows())

    # One account in five users' lives is a very large one.
    users = []

    def user_rows():
        for n in range(USERS):
            when = at(n, USERS)
            id, account = uuid7(when), accounts[0] if n % 5 == 0 else accounts[made.randrange(count)]
            users.append((id, account))
            first, last = FIRST[made.randrange(len(FIRST))], LAST[made.randrange(len(LAST))]
            name, email = f"{first} {last} {n}", f"{first}.{last}{n}@example{n % 50}.com"
            yield (id, account, name.title(), name, email, email, "admin" if n % 1000 == 1 else "member",
                   "disabled" if n % 100 == 3 else "active", "UTC", when, when)

    insert(conn, "users", "id, account_id, name, name_folded, email, email_canonical, role, status, time_zone, created_at, updated_at",
           user_rows())
    insert(conn, "password_links", "user_id, kind, code_hash, created_at, expires_at",
           ((id, "invitation", made.randbytes(32), NOW, NOW + 7 * DAY) for id, _ in users[::500]))

    keys = []

    def key_rows():
        for n in range(KEYS):
            when = at(n, KEYS)
            id, (user, account) = uuid7(when), users[made.randrange(len(users))]
            keys.append(id)
            name = f"{WORDS[made.randrange(len(WORDS))]} {n}"
            kind = n % 100
            expires = None if kind < 40 else (when + 30 * DAY if kind < 50 else NOW + made.randrange(1, 300) * DAY)
            revoked = when + DAY if kind in (97, 98) else None
            used = None if kind % 3 == 0 else NOW - made.randrange(90 * DAY)
            yield (id, user, account, name, name, "users:read", 0 if kind == 96 else 1, revoked, expires, "[]", "[]", "{}",
                   f"kr_…{n % 10000:04}", when, when, used, 1 if revoked or (expires and expires < NOW) else 0)

    insert(conn, "api_keys", "id, user_id, account_id, name, name_folded, scopes, enabled, revoked_at, expires_at, ip_allow, windows, "
           "metadata, hint, created_at, updated_at, last_used_at, ended", key_rows())
    insert(conn, "key_secrets", "hash, key_id, hint, created_at",
           sorted((made.randbytes(32), id, f"kr_…{n % 10000:04}", NOW) for n, id in enumerate(keys)))

    seq = conn.execute("SELECT coalesce(max(seq), 0) FROM audit_events").fetchone()[0]

    def event_rows():
        for n in range(USERS):
            id, account = users[made.randrange(len(users))]
            actor = typeid("user", users[made.randrange(100)][0])
            when = at(n, USERS)
            yield (seq + 1 + n, uuid7(when), when, "user", actor, account, "user.updated", "user", typeid("user", id), "Somebody",
                   '{"name":{"from":"A","to":"B"}}', "203.0.113.7", f"req_{n}", made.randbytes(32), made.randbytes(32))

    insert(conn, "audit_events", "seq, id, at, actor_kind, actor_id, account_id, action, target_kind, target_id, target_name, diff, ip, "
           "request_id, prev_hash, hash", event_rows())

    def request_rows():
        for n in range(10_000):
            status, outcome = [(200, "2xx"), (200, "2xx"), (404, "4xx"), (429, "429")][n % 4]
            yield (n + 1, NOW - (10_000 - n) * 1000, f"bench-{n}", "GET", "/v1/users", "/v1/users", status, outcome, 900, keys[n % len(keys)],
                   accounts[0], "203.0.113.7", "bench")

    insert(conn, "logged_requests", "seq, at, request_id, method, path, route, status, outcome, duration_us, key_id, account_id, ip, user_agent",
           request_rows())
    conn.execute("COMMIT")
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    size = os.path.getsize(os.path.join(DIR, "keyrack.db")) / 1e9
    print(f"{USERS:,} users, {KEYS:,} keys: {size:.1f} GB in {time.time() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
