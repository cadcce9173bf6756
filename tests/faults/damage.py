"""The files are damaged: a page, the header, the log, its index. What is damaged is told of; nothing is made anew in its place."""

import os
import shutil
import subprocess
import time

from support import ENV, Book, Server, Writers, Wrong, chance, check, data_dir, fault, keyrack, main, must, wrong

PAGE = 4096


def filled(data, changes=300):
    """A database with some changes in it, at rest, and a backup of it."""
    book = Book()
    with Server(data) as server:
        writers = Writers(server.port, book, count=8)
        while len(book.acknowledged) < changes:
            time.sleep(0.02)
        writers.stop()
        must(server.stop() == 0, "it did not stop well")
    keyrack(data, "backup", "create")
    return book


def restored(data, book):
    """Does what the server says of a damaged database; all that was acknowledged before the backup is there."""
    (data / "keyrack.db").write_bytes(b"nothing of use")
    words = keyrack(data, "serve", "--listen", "127.0.0.1:0", fails=True).stderr
    way = words.split("Stop the server, ", 1)[1].strip().replace(", then: ", " && ").replace(" backup restore", " --yes backup restore")
    done = subprocess.run(["sh", "-ec", way], env=ENV, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    must(done.returncode == 0, f"{way}: {done.stderr}")
    check(data, book)
    with Server(data) as server:
        must(book.write(server.port), "it does not write")
        server.stop()


def starts(data):
    """The server, or why it did not start."""
    try:
        return Server(data), ""
    except Wrong as refused:
        return None, str(refused)


@fault("a page of the database overwritten", "the server refuses to start, in words that name the way back; following them brings all back", 40, 3)
def page(rounds):
    told = {"refused to start": 0, "started, the damage is in the content of a row": 0, "started, the page was in no use": 0}
    with data_dir() as data:
        book = filled(data)
        whole = data.parent / "whole"
        shutil.copytree(data, whole)
        size = (data / "keyrack.db").stat().st_size
        for _ in range(rounds):
            shutil.rmtree(data)
            shutil.copytree(whole, data)
            os.chmod(data, 0o700)
            at = chance.randrange(1, size // PAGE)
            with open(data / "keyrack.db", "r+b") as file:
                file.seek(at * PAGE)
                file.write(os.urandom(PAGE))
            doctor = keyrack(data, "doctor", fails=True).returncode
            server, words = starts(data)
            if server is None:
                must("is damaged" in words and "backup restore" in words and "panicked" not in words, f"page {at}: {words}")
                must(doctor == 1, f"page {at}: doctor does not see it")
                told["refused to start"] += 1
                continue
            with server:
                answers = [server.ask("GET", path) for path in ["/v1/keys?limit=100", "/v1/users", "/v1/users/me"]]
                must("panicked" not in server.said(), f"page {at}: it panicked: {server.said()[-500:]}")
                if doctor == 0:
                    must(all(answer.status == 200 for answer in answers), f"page {at}: {[a.text for a in answers]}")
                server.kill()
            told["started, the damage is in the content of a row" if doctor else "started, the page was in no use"] += 1
        restored(data, book)
    return f"{rounds} pages: " + ", ".join(f"{count} times {what}" for what, count in told.items() if count)


@fault("the header of the database overwritten, the file cut off or emptied", "the server refuses to start in words that name the way back; nothing is made anew", 12, 4)
def header(rounds):
    with data_dir() as data:
        book = filled(data)
        whole = (data / "keyrack.db").read_bytes()
        for round_ in range(rounds):
            path = data / "keyrack.db"
            for rest in ["keyrack.db-wal", "keyrack.db-shm"]:
                (data / rest).unlink(missing_ok=True)
            harm = ["the magic words", "all of the header", "half of the file", "every byte"][round_ % 4]
            content = bytearray(whole)
            if harm == "the magic words":
                content[:16] = os.urandom(16)
            elif harm == "all of the header":
                content[:100] = os.urandom(100)
            elif harm == "half of the file":
                del content[len(content) // 2 // PAGE * PAGE :]
            else:
                content = bytearray()
            path.write_bytes(content)
            server, words = starts(data)
            if server:
                server.kill()
                wrong(f"it started with {harm} gone")
            must("restore" in words and "panicked" not in words, f"{harm}: {words}")
            must(path.read_bytes() == bytes(content), f"{harm}: the file was written to")
        restored(data, book)
    return f"{rounds} times refused, with the command that restores the newest backup"


def crashed(data):
    """A database whose log was not folded in yet, with the head of its audit log as it was told elsewhere."""
    book = Book()
    with Server(data) as server:
        for _ in range(40):
            must(book.write(server.port), "it does not write")
        server.kill()
    copy = data.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(data, copy)
    head = keyrack(copy, "audit", "verify")["head"]
    kept = f"{head['seq']}:{head['hash']}" if isinstance(head, dict) else head
    return book, kept


@fault("the log damaged in the middle, cut off, or gone", "it starts with a whole part of the past, and the head kept elsewhere shows what is missing", 15, 3)
def log(rounds):
    shown = 0
    for round_ in range(rounds):
        with data_dir() as data:
            _, head = crashed(data)
            wal = data / "keyrack.db-wal"
            size = wal.stat().st_size
            harm = round_ % 3
            if harm == 0:
                with open(wal, "r+b") as file:
                    file.seek(chance.randrange(32, size - 64))
                    file.write(os.urandom(64))
            elif harm == 1:
                os.truncate(wal, chance.randrange(size))
            else:
                wal.unlink()
            with Server(data) as server:
                must(server.ask("GET", "/v1/keys").status == 200, "it does not answer")
                server.stop()
            check(data, Book())
            verified = keyrack(data, "audit", "verify", "--head", head, fails=True)
            plain = keyrack(data, "audit", "verify", fails=True)
            must(plain.returncode == 0, "what is left is not a whole chain")
            made = len(keyrack(data, "key", "list")) - 1
            if made < 40:
                must(verified.returncode == 1, f"{40 - made} changes are gone, and the head kept elsewhere does not show it")
                shown += 1
    return f"{rounds} times, {shown} with changes gone (a log that is damaged cannot keep them), each shown by `keyrack audit verify --head`"


@fault("the index of the log (-shm) overwritten", "it is made anew, nothing is lost", 10, 2)
def index(rounds):
    for _ in range(rounds):
        with data_dir() as data:
            book, _ = crashed(data)
            with open(data / "keyrack.db-shm", "r+b") as file:
                file.write(os.urandom((data / "keyrack.db-shm").stat().st_size))
            with Server(data) as server:
                must(book.write(server.port), "it does not write")
                server.stop()
            check(data, book)
    return f"{rounds} times, 0 lost"


@fault("the master key gone, or another one", "the server refuses to start in words, and makes no new one", 2, 2)
def master_key(rounds):
    for round_ in range(rounds):
        with data_dir() as data:
            filled(data, 1)
            (data / "master.key").unlink()
            if round_ % 2:
                (data / "master.key").write_text("ab" * 32 + "\n")
                os.chmod(data / "master.key", 0o600)
            server, words = starts(data)
            if server:
                server.kill()
                wrong("it started")
            must("master key" in words and "panicked" not in words, words)
            must(round_ % 2 or not (data / "master.key").exists(), "it made a new one")
    return f"{rounds} times refused"


if __name__ == "__main__":
    main()
