#!/usr/bin/env python3
"""What grows, and what a request costs then: `growth.py KEYRACK BARE OUT`. Users and keys from 1,000 to 1,000,000, connections from
1 to 1,024, and accounts that are active at once from 1 to 100,000. `SIZES` gives other numbers of keys."""
import hashlib, json, os, shutil, sqlite3, statistics, sys, tempfile, time, zlib
from pathlib import Path

import harness
from harness import Keyrack, Row, Server

SIZES = [int(size) for size in os.environ.get("SIZES", "1000 10000 100000 1000000").split()]
CONNECTIONS = [1, 8, 32, 128, 512, 1024]
ACTIVE = [1, 10, 100, 1000, 10_000, 100_000]
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Each request is that of the next key of a file, from anywhere in it.
ONE_AFTER_THE_OTHER = """
local keys, count, at = {}, 0, 0
init = function()
  for key in io.lines("%s") do
    count = count + 1
    keys[count] = key
    if count == %d then break end
  end
  math.randomseed(os.time())
  at = math.random(count)
end
request = function()
  at = at %% count + 1
  return "GET /v1/users/me HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nAuthorization: Bearer " .. keys[at] .. "\\r\\n\\r\\n"
end
"""


def secret(n):
    """The secret of the nth key, the same at every run."""
    text, digits = "kr_" + hashlib.sha256(b"key %d" % n).hexdigest()[:43], ""
    number = zlib.crc32(text.encode())
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return text + digits


def id_of(n):
    """In the order of creation, as real ids are."""
    return (0x0190_0000_0000_7000_8000_0000_0000_0000 + (n << 64)).to_bytes(16, "big")


def copy(db, table, own, rows):
    """Copies of the table's first row, with columns of their own."""
    given = own.split(", ")
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    values = ", ".join("?" if name in given else name for name in columns)
    order = [given.index(name) for name in columns if name in given]
    key = db.execute(f"SELECT {columns[0]} FROM {table}").fetchone()[0]
    insert = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} WHERE {columns[0]} = ?"
    db.executemany(insert, (tuple(row[at] for at in order) + (key,) for row in rows))


def fill(keyrack, size):
    """So many users with a key each, in accounts of ten or fewer. Returns the secret of an admin."""
    admin = keyrack.begin()
    accounts = min(size, max(size // 10, 100_000))
    db = sqlite3.connect(f"{keyrack.data}/keyrack.db", isolation_level=None)
    db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144; PRAGMA foreign_keys = OFF; BEGIN;")
    copy(db, "accounts", "id, name, name_folded", ((id_of(n), f"Team {n}", f"team {n}") for n in range(accounts)))
    copy(db, "users", "id, account_id, email, email_canonical, role",
         ((id_of(n), id_of(n % accounts), f"u{n}@example.com", f"u{n}@example.com", "member") for n in range(size)))
    copy(db, "api_keys", "id, user_id, account_id", ((id_of(n), id_of(n), id_of(n % accounts)) for n in range(size)))
    # In the order of their index: a million in no order would take minutes.
    hashes = sorted((hashlib.sha256(secret(n).encode()).digest(), id_of(n)) for n in range(size))
    copy(db, "key_secrets", "hash, key_id", hashes)
    for last in ["COMMIT", "ANALYZE", "PRAGMA journal_mode = WAL"]:
        db.execute(last)
    db.close()
    return admin


def prepared(keyrack_program, directory, size):
    """The directory of a size, filled where it is not there from before (`PREPARED=DIR`, `--fill`)."""
    directory.mkdir(parents=True, exist_ok=True)
    keyrack, note = Keyrack(keyrack_program, directory / str(size)), directory / f"{size}.secret"
    if not note.exists():
        # What was not finished.
        shutil.rmtree(keyrack.data, ignore_errors=True)
        note.write_text(fill(keyrack, size))
    return keyrack, note.read_text()


def active(count):
    return f"{count:,} account{'s' if count > 1 else ''} active"


def by_size(program, filled_in, directory):
    """Requests, lists and starts with so many users and keys."""
    filled = {size: prepared(program, filled_in, size) for size in SIZES}
    starts = {size: [] for size in SIZES}
    for _ in range(harness.ROUNDS + 1):
        for size, (keyrack, _) in filled.items():
            with keyrack.serve(9400) as server:
                starts[size].append(server.start_ms)
    # The first of each met a disk.
    starts = {size: statistics.median(times[1:]) for size, times in starts.items()}
    secrets = directory / "secrets"
    secrets.write_text("".join(f"{secret(n)}\n" for n in range(max(SIZES))))
    servers, rows, most = [], [], max(SIZES)
    try:
        for n, (keyrack, _) in enumerate(filled.values()):
            servers.append(keyrack.serve(9401 + n))
        harness.settle(servers)
        for server, (size, (_, admin)) in zip(servers, filled.items()):
            assert harness.answered(f"{server.url}/v1/users/me", secret(size - 1))["email"] == f"u{size - 1}@example.com"
            assert len(harness.answered(f"{server.url}/v1/users?limit=20", admin)) == 20
            rows += [Row(f"GET /v1/users/me, {size:,} keys", server, secret=secret(size // 2), base=f"GET /v1/users/me, {SIZES[0]:,} keys"),
                     Row(f"GET /v1/users?limit=20, {size:,} users", server, "/v1/users?limit=20", admin, base=f"GET /v1/users?limit=20, {SIZES[0]:,} users")]
        # Credentials are kept for five seconds, in which fewer than these are asked for.
        each = harness.lua(directory, "each", ONE_AFTER_THE_OTHER % (secrets, most))
        told = harness.in_turn(rows)
        # Not in turn: what a hundred thousand keys used is still being written when the next one is measured.
        actives = [count for count in ACTIVE if count <= most]
        script = lambda count: harness.lua(directory, f"active{count}", ONE_AFTER_THE_OTHER % (secrets, count))
        alone = [Row(active(count), servers[-1], base=active(1), script=script(count)) for count in actives]
        alone.append(Row("a cold key each time", servers[-1], base=active(1), script=each))
        for row in alone:
            harness.settle(servers, quiet=1.5)
            told |= harness.in_turn([row], warm=2)
    finally:
        for server in servers:
            server.stop()
    return told, starts, actives


def connections(count):
    return f"{count:,} connection{'s' if count > 1 else ''}"


def by_connections(program, bare, directory):
    keyrack = Keyrack(program, directory / "few")
    key = keyrack.begin()
    with Server("bare", [bare, 9408], 9408) as bare, keyrack.serve(9409) as ours:
        harness.answered(f"{ours.url}/v1/users/me", key)
        rows = []
        for count in CONNECTIONS:
            rows += [Row(f"bare, {connections(count)}", bare, secret=key, connections=count),
                     Row(connections(count), ours, secret=key, connections=count, base=f"bare, {connections(count)}")]
        return harness.in_turn(rows, length=harness.seconds(2 / 3))


def main():
    program, bare, out = harness.arguments(3, "KEYRACK BARE OUT | KEYRACK --fill DIR")[:3]
    if bare == "--fill":
        for size in SIZES:
            prepared(program, Path(out), size)
        return
    directory = Path(tempfile.mkdtemp(prefix="keyrack-growth."))
    try:
        told, starts, actives = by_size(program, Path(os.environ.get("PREPARED") or directory), directory)
        told |= by_connections(program, bare, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    harness.show(told)
    for size, ms in starts.items():
        print(f"start to first answer with {size:,} keys: {ms:.1f} ms")
    first, last = SIZES[0], SIZES[-1]
    cpu = lambda name: told[name]["cpu"]
    harness.save(out, "growth", {
        "grow.keys": cpu(f"GET /v1/users/me, {last:,} keys") / cpu(f"GET /v1/users/me, {first:,} keys"),
        "grow.list": cpu(f"GET /v1/users?limit=20, {last:,} users") / cpu(f"GET /v1/users?limit=20, {first:,} users"),
        "grow.accounts": cpu(active(actives[-1])) / cpu(active(1)),
        "grow.start": starts[last] - starts[first], "start.thousand": starts[first], "start.million": starts[last],
        "cold": told["a cold key each time"]["rate"] / told[active(1)]["rate"],
    }, told, curves={
        "users and keys, a known key": [[size, cpu(f"GET /v1/users/me, {size:,} keys")] for size in SIZES],
        "users and keys, a page of 20": [[size, cpu(f"GET /v1/users?limit=20, {size:,} users")] for size in SIZES],
        "accounts active at once": [[count, cpu(active(count))] for count in actives],
        "connections": [[count, cpu(connections(count))] for count in CONNECTIONS],
        "connections, bare": [[count, cpu(f"bare, {connections(count)}")] for count in CONNECTIONS],
        "start, ms": [[size, starts[size]] for size in SIZES],
    })


if __name__ == "__main__":
    main()
