"""The process ends at the worst moment: killed anywhere, at a system call, while it migrates, or told to stop."""

import os
import signal
import sqlite3
import subprocess
import threading
import time

from support import (
    ENV, FIXTURES, GONE, KEYRACK, Book, Server, Writers, again, ask, chance, check, data_dir, fault, is_whole, keyrack, main, must,
    needs, scratch, tamper, wrong,
)


@fault("kill -9 at a random moment, under load", "nothing acknowledged is lost, nothing is there by half, a repeated request is answered the same", 200, 6)
def at_random(rounds):
    book, slowest, replayed = Book(), 0, 0
    with data_dir() as data:
        for _ in range(rounds):
            with Server(data) as server:
                slowest = max(slowest, server.took)
                writers = Writers(server.port, book)
                time.sleep(chance.uniform(0.05, 0.9))
                server.kill()
                writers.stop()
            check(data, book)
            with Server(data) as server:
                replayed += again(server.port, book)
                server.kill()
        owed = check(data, book)
    return f"{rounds} kills, {owed} acknowledged, 0 lost; {replayed} had been done before the answer was cut off; slowest start {slowest:.1f} s"


# At which calls a commit can be cut in two.
CALLS = ["fsync,fdatasync", "pwrite64", "ftruncate"]


@fault("kill -9 at a chosen system call (fdatasync, pwrite64, ftruncate)", "the same", 60, 4)
def at_a_call(rounds):
    book, hit = Book(), {}
    with data_dir() as data:
        for round_ in range(rounds):
            call = CALLS[round_ % 2] if round_ % 8 else CALLS[2]
            when = chance.randrange(1, 30) if call != "ftruncate" else 1
            inject = f"{call}:signal=KILL:when={when}"
            server = None
            try:
                server = Server(data)
                trace = tamper(server.pid, inject)
                writers = Writers(server.port, book)
                if call == "ftruncate":
                    # It happens at the end, when the log is folded into the database.
                    time.sleep(0.3)
                    os.kill(server.pid, signal.SIGTERM)
                try:
                    server.process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    wrong(f"the {when}th {call} did not come")
                hit[call] = hit.get(call, 0) + (server.process.returncode != 0)
                writers.stop()
                trace.wait(timeout=10)
            finally:
                if server:
                    server.kill()
            check(data, book)
            with Server(data) as server:
                again(server.port, book)
                server.kill()
        owed = check(data, book)
    told = ", ".join(f"{count} at {call}" for call, count in sorted(hit.items()))
    return f"{rounds} kills ({told}), {owed} acknowledged, 0 lost"


@fault("kill -9 during a migration, at a random moment and at every write", "the old schema or the new, never between; the next start finishes it", 80, 8)
def migrating(rounds):
    needs("strace")
    seen, newest = {}, None
    fixtures = sorted(FIXTURES.glob("schema_*.sql"))
    for round_ in range(rounds):
        fixture = fixtures[round_ % max(1, len(fixtures) - 1)]
        old = int(fixture.stem.rsplit("_", 1)[1])
        data = scratch / f"migrating{round_}"
        data.mkdir(mode=0o700)
        path = data / "keyrack.db"
        db = sqlite3.connect(path)
        db.executescript(fixture.read_text())
        before = db.execute("SELECT count(*) FROM api_keys").fetchone()[0]
        db.close()
        path.chmod(0o600)
        migrate = [KEYRACK, "--data", str(data), "--quiet", "migrate"]
        if round_ % 2:
            process = subprocess.Popen(migrate, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0, 0.15))
            process.kill()
            process.wait()
        else:
            call = chance.choice(CALLS[:2])
            inject = f"{call}:signal=KILL:when={chance.randrange(1, 300 if call == 'pwrite64' else 12)}"
            trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={inject}"]
            subprocess.run([*trace, *migrate], env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        db = sqlite3.connect(path)
        found = db.execute("PRAGMA user_version").fetchone()[0]
        must(db.execute("PRAGMA integrity_check").fetchone()[0] == "ok", "the file is damaged")
        must(db.execute("SELECT count(*) FROM api_keys").fetchone()[0] == before, "a key is gone")
        db.close()
        keyrack(data, "migrate")
        db = sqlite3.connect(path)
        now = db.execute("PRAGMA user_version").fetchone()[0]
        must(db.execute("SELECT count(*) FROM api_keys").fetchone()[0] == before, "a key is gone")
        db.close()
        must(newest in (None, now), f"schema {now} after the migration")
        newest = now
        must(found in (old, newest), f"schema {found} between {old} and {newest}")
        which = "the old" if found == old else "the new"
        seen[which] = seen.get(which, 0) + 1
        keyrack(data, "audit", "verify")
    told = ", ".join(f"{count} times {which}" for which, count in sorted(seen.items()))
    return f"{rounds} kills from {min(rounds, len(fixtures) - 1)} schemas: {told}; every one finished at the next start"


@fault("SIGTERM under load", "what is under way is answered, the exit code is 0, one file is left", 30, 2)
def told_to_stop(rounds):
    book, longest, reset = Book(), 0, []
    with data_dir() as data:
        for _ in range(rounds):
            with Server(data) as server:
                cut = []

                def keep_asking():
                    while True:
                        try:
                            book.write(server.port)
                        except ConnectionRefusedError:
                            return
                        except ConnectionResetError:
                            # Stood in the queue of the socket when the port was closed: nobody had read of it.
                            reset.append(server.port)
                            return
                        except GONE as err:
                            cut.append(repr(err))
                            return

                asking = [threading.Thread(target=keep_asking) for _ in range(8)]
                for thread in asking:
                    thread.start()
                time.sleep(chance.uniform(0.1, 0.6))
                began = time.monotonic()
                code = server.stop()
                longest = max(longest, time.monotonic() - began)
                for thread in asking:
                    thread.join()
            must(code == 0, f"exit code {code}")
            must(not cut, f"{len(cut)} requests were cut off: {cut[:2]}")
            left = sorted(path.name for path in data.iterdir() if path.name.startswith("keyrack.db"))
            must(left == ["keyrack.db"], f"{left} were left")
        owed = check(data, book)
        made = is_whole(data / "keyrack.db")
    must(not book.refused, f"some were refused: {book.refused}")
    must(len(made) == owed, f"{len(made) - owed} changes were made and not answered")
    return f"{rounds} stops, {owed} changes, each answered and kept; {len(reset)} connections were reset unread; longest stop {longest:.1f} s"


if __name__ == "__main__":
    main()
