"""A backup is made while others write; what comes back from it is a whole moment of the past."""

import os
import shutil
import subprocess
import time

from support import (
    ENV, KEYRACK, Book, Server, Writers, chance, check, data_dir, fault, is_whole, keyrack, main, must, raw_id, scratch,
)


@fault("a backup made under load, and restored", "all that was acknowledged before it began is in it, in a whole; its file is private; a directory in use is refused", 30, 3)
def under_load(rounds):
    book, sizes = Book(), []
    with data_dir() as data, Server(data) as server:
        writers = Writers(server.port, book)
        for round_ in range(rounds):
            time.sleep(chance.uniform(0.1, 0.5))
            file = scratch / f"copy{round_}.db"
            began = time.time()
            keyrack(data, "backup", "create", str(file))
            ended = time.time()
            must(os.stat(file).st_mode & 0o777 == 0o600, f"its mode is {os.stat(file).st_mode & 0o777:o}")
            keyrack(data, "backup", "verify", str(file))
            refused = keyrack(data, "backup", "restore", str(file), fails=True)
            must(refused.returncode == 1, "it was restored over a directory in use")
            there = scratch / "restored"
            shutil.rmtree(there, ignore_errors=True)
            keyrack(there, "backup", "restore", str(file))
            check(there, book, before=began)
            made = set(is_whole(there / "keyrack.db").values())
            later = [id for id, at in list(book.acknowledged.values()) if at > ended + 5 and raw_id(id) in made]
            must(not later, "it holds what was made after it")
            sizes.append(len(made))
            file.unlink()
        writers.stop()
        server.stop()
        owed = check(data, book)
    return f"{rounds} backups of {min(sizes)} to {max(sizes)} changes, each restored and compared; {owed} acknowledged, 0 lost"


@fault("kill -9 while a backup is made", "no half backup is taken for one", 30, 3)
def killed(rounds):
    kept = 0
    with data_dir() as data:
        for round_ in range(rounds):
            file = scratch / f"killed{round_}.db"
            process = subprocess.Popen(
                [KEYRACK, "--data", str(data), "--quiet", "backup", "create", str(file)],
                env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            time.sleep(chance.uniform(0, 0.08))
            process.kill()
            process.wait()
            # Empty, it only keeps the name.
            if file.exists() and file.stat().st_size:
                keyrack(data, "backup", "verify", str(file))
                kept += 1
            keyrack(data, "backup", "create", str(scratch / f"next{round_}.db"))
    return f"{rounds} kills: {kept} times the backup was there, and whole; else there was none, or an empty file with its name; the next one was made each time"


if __name__ == "__main__":
    main()
