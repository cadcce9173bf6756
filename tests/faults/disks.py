"""The disk fails: power is cut, it is full, it is read-only, a flush ends in an error, it is slow, somebody else holds it."""

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from support import (
    EMAIL, PASSWORD, Book, Impossible, Server, Writers, again, chance, check, data_dir, fault, is_whole, keyrack, main, must, needs,
    needs_root, raw_id, scratch, sign_in, tamper, wrong,
)


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Impossible(f"{' '.join(command[:3])}: {done.stdout.strip()[-200:]}")


class Disk:
    """A file system of its own in a file."""

    def __init__(self, kind, size="400M"):
        needs_root()
        needs(f"mkfs.{kind}", "xfs_io", "mount")
        self.dir = Path(tempfile.mkdtemp(prefix="disk.", dir=scratch))
        self.image, self.at = self.dir / "image", self.dir / "at"
        self.at.mkdir()
        run("truncate", "-s", size, str(self.image))
        run(f"mkfs.{kind}", *(["-qF"] if kind == "ext4" else ["-qf"]), str(self.image))
        self.mount()

    def mount(self):
        run("mount", "-o", "loop", str(self.image), str(self.at))

    def cut(self):
        """As a cut of the power: what was not flushed is not there, the file system's own log least of all."""
        run("xfs_io", "-x", "-c", "shutdown", str(self.at))

    def unmount(self):
        for _ in range(50):
            if subprocess.run(["umount", str(self.at)], stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.1)
        wrong("the file system is still in use")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", str(self.at)], stderr=subprocess.DEVNULL)


def powercut(kind, rounds):
    book = Book()
    with Disk(kind) as disk, data_dir(inside=disk.at) as data:
        for _ in range(rounds):
            with Server(data) as server:
                writers = Writers(server.port, book)
                time.sleep(chance.uniform(0.2, 0.9))
                disk.cut()
                server.kill()
                writers.stop()
            disk.unmount()
            disk.mount()
            with Server(data) as server:
                check(data, book)
                again(server.port, book)
                server.kill()
        owed = check(data, book)
    return f"{rounds} cuts, {owed} acknowledged, 0 lost"


CUT = "what was acknowledged is there, whole; the audit chain holds"


@fault("power cut, simulated: an ext4 in a file is shut down without flushing its log, under load", CUT, 25, 0)
def powercut_ext4(rounds):
    return powercut("ext4", rounds)


@fault("power cut, simulated: the same on xfs", CUT, 25, 0)
def powercut_xfs(rounds):
    return powercut("xfs", rounds)


def unescaped(text):
    """The bytes that strace writes as \\x2f\\x74."""
    return bytes.fromhex(text.replace("\\x", ""))


class Recording:
    """Every write to the database and its log, in order, as strace saw it; and what the files were before."""

    LINE = re.compile(r"^(\d+) +(\d+\.\d+) (.*)$")
    CALL = re.compile(r'^(\w+)\(\d+<([^>]*)>(?:, "([^"]*)", \d+, (\d+)|, (\d+))?\) += (\d+)$')
    UNLINK = re.compile(r'^unlink\("([^"]*)"\) += 0$')

    def __init__(self, trace, names):
        self.events, self.begun = [], {}
        for line in open(trace):
            thread, at, text = self.LINE.match(line).groups()
            if text.endswith("<unfinished ...>"):
                self.begun[thread] = text.removesuffix("<unfinished ...>").rstrip()
                continue
            if text.startswith("<... "):
                text = self.begun.pop(thread) + text.split("resumed>", 1)[1]
            self.note(float(at), text, names)

    def note(self, at, text, names):
        unlink, call = self.UNLINK.match(text), self.CALL.match(text)
        name = Path(unescaped(unlink[1] if unlink else call[2] if call else "").decode()).name
        if name not in names:
            return
        if unlink:
            self.events.append((at, "unlink", name, None))
        elif call[1] == "pwrite64":
            data = unescaped(call[3])
            must(len(data) == int(call[6]), "a write was recorded in part")
            self.events.append((at, "write", name, (int(call[4]), data)))
        elif call[1] == "ftruncate":
            self.events.append((at, "truncate", name, int(call[5])))
        else:
            self.events.append((at, "flush", name, None))

    def leave(self, at, files):
        """What a disk may hold when the power goes before event `at`: all that was flushed, and of the rest any part,
        even half a write."""
        pending = {name: [] for name in files}
        files = {name: bytearray(content) for name, content in files.items()}

        def apply(name, what, detail):
            file = files[name]
            if what == "truncate":
                del file[detail:]
                file.extend(bytes(detail - len(file)))
            else:
                offset, data = detail
                file.extend(bytes(max(0, offset + len(data) - len(file))))
                file[offset : offset + len(data)] = data

        for _, what, name, detail in self.events[:at]:
            if what == "unlink":
                pending[name], files[name] = [], bytearray()
            elif what == "flush":
                for done in pending[name]:
                    apply(name, *done)
                pending[name] = []
            else:
                pending[name].append((what, detail))
        for name, waiting in pending.items():
            luck = chance.choice([0.0, 0.3, 0.7, 1.0])
            for what, detail in waiting:
                if what == "truncate":
                    if chance.random() < luck:
                        apply(name, what, detail)
                    continue
                offset, data = detail
                # Sectors reach the disk whole, in any order.
                for sector in range(0, len(data), 512):
                    if chance.random() < luck:
                        apply(name, "write", (offset + sector, data[sector : sector + 512]))
        return files


@fault("power cut, replayed: a recorded run stops at any write; of what was not flushed any 512-byte sectors are there", CUT, 400, 12)
def replayed(rounds):
    needs("strace")
    book = Book()
    names = ["keyrack.db", "keyrack.db-wal"]
    with data_dir() as data:
        # Small, so that the log is folded into the database many times in the recording.
        with Server(data) as server:
            server.stop()
        before = {name: (data / name).read_bytes() if (data / name).exists() else b"" for name in names}
        trace = scratch / "trace"
        calls = "pwrite64,fsync,fdatasync,ftruncate,unlink"
        wrap = ["strace", "-f", "-qq", "-y", "-xx", "-s", "70000", "-ttt", "-e", f"trace={calls}", "-o", str(trace)]
        with Server(data, wrap=wrap) as server:
            writers = Writers(server.port, book, count=3)
            time.sleep(14 if rounds > 50 else 3)
            writers.stop()
            must(server.stop() == 0, "the recording did not end well")
        check(data, book)
        recording = Recording(trace, names)
        must(len(recording.events) > 100, f"{len(recording.events)} events were recorded")
        key_file = data / "master.key"
        folded = sum(1 for _, what, name, _ in recording.events if what == "write" and name == "keyrack.db")
        owed = 0
        for _ in range(rounds):
            at = chance.randrange(1, len(recording.events))
            left = recording.leave(at, before)
            then = scratch / "then"
            shutil.rmtree(then, ignore_errors=True)
            then.mkdir(mode=0o700)
            for name, content in left.items():
                if content or name == "keyrack.db":
                    (then / name).write_bytes(content)
                    (then / name).chmod(0o600)
            if key_file.exists():
                shutil.copy(key_file, then)
            # What was answered before this event began was flushed before it.
            owed += check(then, book, before=recording.events[at][0])
    return (
        f"{rounds} cuts of a run of {len(recording.events)} writes and flushes ({folded} writes into the database itself), "
        f"{len(book.acknowledged)} acknowledged in it, {owed / rounds:.0f} of them before the cut on average, 0 lost"
    )


@fault("disk full, and space again", "507, nothing acknowledged is lost, reads and pages go on, the overview tells of it; writes again without a restart", 5, 1)
def full(rounds):
    needs_root()
    book, refused, reads = Book(), 0, 0
    at = Path(tempfile.mkdtemp(prefix="full.", dir=scratch))
    run("mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(at))
    try:
        with data_dir(inside=at) as data, Server(data) as server:
            status, cookie = sign_in(server.port, EMAIL, PASSWORD)
            must(status == 303, f"signing in: {status}")
            for _ in range(rounds):
                writers = Writers(server.port, book, count=2)
                ballast = at / "ballast"
                free = os.statvfs(at)
                left = chance.choice([0, 4096, 40_000])
                with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
                    for _ in range((free.f_bavail * free.f_bsize - left) // 4096):
                        file.write(bytes(4096))
                until = time.monotonic() + 20
                while book.refused.get(507, 0) <= refused and time.monotonic() < until:
                    time.sleep(0.05)
                writers.stop()
                must(book.refused.get(507, 0) > refused, f"a full disk was not told of: {book.refused}")
                answer = server.ask("POST", "/v1/keys", {"name": "refused"})
                must(answer.status == 507 and answer.json()["error"] == "storage_full", answer.text)
                for path in ["/v1/keys", "/v1/users", "/v1/users/me", "/healthz"]:
                    read = server.ask("GET", path)
                    must(read.status == 200, f"{path}: {read.status} {read.text}")
                    reads += 1
                must(server.ask("GET", "/readyz").status == 503, "readiness does not tell of it")
                overview = server.ask("GET", "/admin", headers={"Authorization": "", "Cookie": cookie})
                told = re.search(r"The disk is nearly full.{0,200}has \d+ \w+ left", overview.text, re.S)
                must(overview.status == 200 and told, f"the overview does not tell of it: {overview.status}")
                must(server.is_running(), "the server stopped")
                ballast.unlink()
                must(book.write(server.port), f"with space again it refused still: {book.refused}")
                refused = book.refused[507]
            only = {507, 503}
            must(set(book.refused) <= only, f"other answers: {book.refused}")
            server.stop()
            owed = check(data, book)
    finally:
        subprocess.run(["umount", "-l", str(at)])
    return f"{rounds} times full, {refused} writes refused with 507, {reads} reads answered, {owed} acknowledged, 0 lost, no restart"


@fault("the file system turns read-only while the server runs, and is so at a start", "what was acknowledged before is kept; it ends with an error that says what to do; at a start it refuses in words", 5, 0)
def read_only(rounds):
    book, codes, window = Book(), [], 0
    with Disk("ext4") as disk, data_dir(inside=disk.at) as data:
        for _ in range(rounds):
            with Server(data) as server:
                writers = Writers(server.port, book)
                time.sleep(chance.uniform(0.2, 0.5))
                # As the kernel does itself after an error of the disk. Until it has, its own flush may go well and keep
                # nothing: what was acknowledged in that moment is counted, and told.
                began = time.time()
                run("mount", "-o", "remount,abort", str(disk.at))
                code = server.wait()
                writers.stop()
                codes.append(code)
                must(code == 1 and "the disk failed a write" in server.said(), f"exit {code}: {server.said()[-300:]}")
            disk.unmount()
            disk.mount()
            check(data, book, before=began)
            ids = set(is_whole(data / "keyrack.db").values())
            lost = [key for key, (id, _) in book.acknowledged.items() if raw_id(id) not in ids]
            window += len(lost)
            for key in lost:
                del book.acknowledged[key], book.asked[key]
        disk.unmount()
        run("mount", "-o", "loop,ro", str(disk.image), str(disk.at))
        done = keyrack(data, "serve", "--listen", "127.0.0.1:0", fails=True)
        must(done.returncode == 1 and "ead-only" in done.stderr and "panicked" not in done.stderr, f"{done.returncode}: {done.stderr}")
        disk.unmount()
        disk.mount()
        owed = check(data, book)
    return f"{rounds} times, {owed + window} acknowledged, 0 lost of those before the file system failed, {window} of those while it did; exit code 1 each time"


@fault("an error of a flush (EIO at the n-th fsync, and at every one after)", "nothing of that commit is acknowledged, the process ends for a clean start, nothing is lost", 30, 3)
def eio(rounds):
    return failing(rounds, "fsync,fdatasync:error=EIO:when={}+", lambda: chance.randrange(1, 40))


@fault("an error of a write (EIO at the n-th pwrite64, once)", "the same", 20, 0)
def eio_write(rounds):
    return failing(rounds, "pwrite64:error=EIO:when={}", lambda: chance.randrange(1, 80))


def failing(rounds, inject, when):
    book, ended = Book(), 0
    with data_dir() as data:
        for _ in range(rounds):
            with Server(data) as server:
                rule = inject.format(when())
                trace = tamper(server.pid, rule)
                writers = Writers(server.port, book)
                code = server.wait()
                writers.stop()
                trace.wait(timeout=10)
                must(code == 1 and "the disk failed a write" in server.said(), f"exit {code}: {server.said()[-500:]}")
                ended += 1
            check(data, book)
            with Server(data) as server:
                again(server.port, book)
                server.stop()
        owed = check(data, book)
    return f"{rounds} errors, {ended} clean ends with exit code 1, {owed} acknowledged, 0 lost"


@fault("the disk takes 300 ms for a flush", "writes wait and share commits, reads do not wait", 1, 0)
def slow(rounds):
    book, times = Book(), []
    with data_dir() as data, Server(data) as server:
        trace = tamper(server.pid, "fsync,fdatasync:delay_enter=300000")
        writers = Writers(server.port, book, count=16)
        began = time.monotonic()
        while time.monotonic() < began + 6:
            at = time.monotonic()
            must(server.ask("GET", "/v1/keys?limit=1").status == 200, "a read failed")
            times.append(time.monotonic() - at)
        writers.stop()
        trace.terminate()
        trace.wait()
        server.stop()
        owed = check(data, book)
    p99 = sorted(times)[len(times) * 99 // 100]
    must(p99 < 0.25, f"reads waited: p99 {p99:.3f} s")
    must(owed > 16 * 6, f"no commit was shared: {owed} in 6 s")
    return f"{owed} changes in 6 s by 16 writers (a commit takes 0.3 s), {len(times)} reads meanwhile, p99 {p99 * 1000:.0f} ms"


@fault("another process holds the database's lock for 8 s", "503 with Retry-After after 5 s, however many wait already; reads go on; writes again when it lets go; a second server is refused", 3, 1)
def locked(rounds):
    book, waits = Book(), []
    with data_dir() as data, Server(data) as server:
        for _ in range(rounds):
            must(book.write(server.port), "it does not write")
            other = sqlite3.connect(data / "keyrack.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            refused = []

            def come(later):
                time.sleep(later)
                began = time.monotonic()
                answer = server.ask("POST", "/v1/keys", {"name": "refused"})
                refused.append((time.monotonic() - began, answer))

            crowd = [threading.Thread(target=come, args=(later,)) for later in (0, 0, 0.5, 2.5, 2.9)]
            for one in crowd:
                one.start()
            for one in crowd:
                one.join()
            for wait, answer in refused:
                waits.append(wait)
                must(answer.status == 503 and answer.headers.get("Retry-After"), f"{answer.status} {answer.text}")
                must(4.5 < wait < 6.5, f"it answered after {wait:.1f} s")
            must(len(refused) == len(crowd), "somebody was not answered")
            must(server.ask("GET", "/v1/keys").status == 200, "a read failed")
            other.execute("ROLLBACK")
            other.close()
            must(book.write(server.port), "it does not write again")
        second = keyrack(data, "serve", "--listen", "127.0.0.1:0", fails=True)
        must(second.returncode == 1 and "is used by Keyrack" in second.stderr, second.stderr)
        server.stop()
        owed = check(data, book)
    return f"{rounds} times, {len(waits)} changes answered 503 after {min(waits):.1f} to {max(waits):.1f} s, {owed} acknowledged, 0 lost; the second server exits 1"


if __name__ == "__main__":
    main()
