"""The clock of the machine jumps while the server runs, and over a restart."""

import json
import sqlite3
import time
from pathlib import Path

from support import ENV, Book, Impossible, Server, Writers, check, data_dir, fault, keyrack, main, must

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
HOUR, YEAR = 3600, 365 * 86_400


class Clock:
    """The wall clock of the servers that have `env`, so many seconds beside the real one. The monotonic one is real."""

    def __init__(self, data):
        if not LIBRARIES:
            raise Impossible("there is no libfaketime")
        self.file = data.parent / "clock"
        self.env = {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }
        self.set(0)

    def set(self, seconds):
        self.file.write_text(f"{seconds:+d}\n")


def left(server, key):
    answer = server.ask("GET", "/v1/key", headers={"Authorization": f"Bearer {key}"})
    return answer.status, int(answer.headers.get("X-RateLimit-Remaining", -1))


@fault("the clock jumps back an hour, forward a year, and back again", "limits count on, expiry follows the clock (one that was set back is believed), the audit chain is in order, nothing stops", 4, 1)
def jumps(rounds):
    book = Book()
    for _ in range(rounds):
        with data_dir() as data:
            clock = Clock(data)
            with Server(data, env=clock.env) as server:
                made = server.ask("POST", "/v1/keys", {"name": "short", "expires_in": "30m", "windows": [{"limit": 100, "seconds": 3600}]}).json()
                key = made["secret"]
                _, used = left(server, key)
                writers = Writers(server.port, book, count=2)
                for jump in [-HOUR, 0, HOUR, -HOUR, YEAR, 0]:
                    clock.set(jump)
                    time.sleep(0.7)
                    must(book.write(server.port), f"it does not write {jump:+d} s from the time: {book.refused}")
                    status, remaining = left(server, key)
                    if jump in (HOUR, YEAR):
                        must(status == 401, f"{jump:+d} s: a key that had expired answers {status}")
                        continue
                    must(status == 200, f"{jump:+d} s: {status}")
                    must(remaining == used - 1, f"{jump:+d} s: the window of the key says {remaining} after {used}")
                    used = remaining
                writers.stop()
                clock.set(-HOUR)
                must(server.stop() == 0, "it did not stop well")
            must("panicked" not in server.said(), server.said()[-500:])
            # And over a restart: an hour behind what the database has seen.
            with Server(data, env=clock.env) as server:
                must(left(server, key) == (200, used - 1), f"after a restart: {left(server, key)} after {used}")
                must(book.write(server.port), "it does not write")
                doctor = keyrack(data, "doctor", env={**ENV, **clock.env}, fails=True)
                told = next(check for check in json.loads(doctor.stdout)["checks"] if check["name"] == "clock")
                must(told["state"] != "ok", "doctor does not see a clock that was set back")
                server.stop()
            check_all(data, book)
            book = Book()
    return f"{rounds} times six jumps under load and a restart; a key of 30 minutes and its window of an hour looked at after each"


def check_all(data, book):
    # A year on, what is kept for a time only was swept away.
    check(data, book, swept=True)
    db = sqlite3.connect(data / "keyrack.db")
    rows = db.execute("SELECT count(*), max(seq) FROM audit_events").fetchone()
    db.close()
    must(rows[0] == rows[1], "the audit log has gaps")


if __name__ == "__main__":
    main()
