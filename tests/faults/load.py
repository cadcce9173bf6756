"""More clients than there is room for: descriptors run out, clients are slow or idle, sign-ins flood a small machine."""

import contextlib
import http.client
import os
import resource
import socket
import threading
import time
from pathlib import Path

from support import (
    EMAIL, GONE, PASSWORD, Book, Impossible, Server, ask, chance, check, data_dir, fault, main, must, needs, needs_root,
    secret, sign_in,
)


def connect(port):
    return socket.create_connection(("127.0.0.1", port), 5)


class Probe:
    """Somebody who has a connection, and goes on asking over it, reading and writing."""

    def __init__(self, port, book=None, fresh=False):
        self.times, self.failed, self.port, self.book, self.fresh = [], [], port, book, fresh
        self.stopped = threading.Event()
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.connection.connect()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        headers = {"Authorization": f"Bearer {secret()}"}
        while not self.stopped.is_set():
            if self.fresh:
                self.connection.close()
            began = time.monotonic()
            try:
                self.connection.request("GET", "/v1/keys?limit=1", headers=headers)
                answer = self.connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.failed.append(answer.status)
            except GONE as err:
                self.failed.append(repr(err))
            self.times.append(time.monotonic() - began)
            self.stopped.wait(0.02)

    def stop(self):
        self.stopped.set()
        self.thread.join()
        self.connection.close()

    def p99(self):
        return sorted(self.times)[len(self.times) * 99 // 100] * 1000


@fault("descriptors run out (128 for the server, 400 who connect)", "who has a connection is served, reads and writes; when they go, everyone is; nothing is lost", 5, 1)
def descriptors(rounds):
    needs("prlimit")
    book, served = Book(), 0
    with data_dir() as data, Server(data, wrap=["prlimit", "--nofile=128:128"]) as server:
        for _ in range(rounds):
            probe = Probe(server.port)
            time.sleep(0.1)
            crowd = []
            for _ in range(400):
                with contextlib.suppress(OSError):
                    crowd.append(connect(server.port))
            time.sleep(1.5)
            keep = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            must(not probe.failed, f"who had a connection: {probe.failed[:3]}")
            probe.stop()
            served += len(probe.times)
            must(server.is_running(), "it stopped")
            for one in crowd:
                one.close()
            keep.close()
            began = time.monotonic()
            must(book.write(server.port), f"it does not write afterwards: {book.refused}")
            must(time.monotonic() - began < 16, "it did not recover")
        must("panicked" not in server.said(), server.said()[-300:])
        server.stop()
        check(data, book)
    return f"{rounds} times, {served} requests over the open connection answered meanwhile, all well afterwards"


def dribble(port, how, until):
    """One slow client; how long it was let go on, or None if it was never cut off."""
    began = time.monotonic()
    with contextlib.closing(connect(port)) as client:
        client.settimeout(1)
        if how == "headers":
            start, drop = b"GET /v1/keys HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n"
        elif how == "body":
            start, drop = b"POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\nAuthorization: Bearer " + secret().encode() + b"\r\n\r\n", b"{"
        elif how == "nothing":
            start, drop = b"", b""
        else:
            start, drop = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b""
        try:
            client.sendall(start)
            answered = False
            while time.monotonic() < until:
                client.sendall(drop)
                try:
                    got = client.recv(4096)
                    if not got:
                        return time.monotonic() - began
                    answered = True
                except TimeoutError:
                    pass
                if answered and how == "body":
                    return time.monotonic() - began
        except OSError:
            return time.monotonic() - began
    return None


@fault("slow clients: headers, bodies, nothing at all, idle after an answer (150 of each)", "each is cut off in time, others do not wait for them", 1, 0)
def slow(rounds):
    limits = {"headers": 8, "body": 14, "nothing": 8, "idle": 19}
    lasted = {}
    with data_dir() as data, Server(data) as server:
        probe = Probe(server.port, fresh=True)
        until = time.monotonic() + 25
        threads = []
        for how in limits:
            for _ in range(150 * rounds):
                note = lambda how=how: lasted.setdefault(how, []).append(dribble(server.port, how, until))
                threads.append(threading.Thread(target=note))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        probe.stop()
        must(not probe.failed, f"others: {probe.failed[:3]}")
        server.stop()
    for how, limit in limits.items():
        must(None not in lasted[how], f"{how}: {lasted[how].count(None)} were never cut off")
        must(max(lasted[how]) < limit, f"{how}: one lasted {max(lasted[how]):.0f} s")
    told = ", ".join(f"{how} {max(times):.0f} s" for how, times in lasted.items())
    return f"600 clients; the longest lasted: {told}. {len(probe.times)} requests of others meanwhile, p99 {probe.p99():.0f} ms"


@fault("9,000 idle connections", "others are served as before, each takes less than 16 kB, all are closed after 15 s", 1, 0)
def idle(rounds):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 10_000:
        raise Impossible(f"no more than {hard} descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with data_dir() as data, Server(data) as server:
        before = server.status("VmRSS")
        crowd = []
        for _ in range(9_000):
            one = connect(server.port)
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            crowd.append(one)
        grown = (server.status("VmRSS") - before) / 1024
        probe = Probe(server.port, fresh=True)
        time.sleep(3)
        probe.stop()
        must(not probe.failed, f"others: {probe.failed[:3]}")
        until = time.monotonic() + 25
        while len(os.listdir(f"/proc/{server.pid}/fd")) > 200 and time.monotonic() < until:
            time.sleep(0.5)
        open_ = len(os.listdir(f"/proc/{server.pid}/fd"))
        for one in crowd:
            one.close()
        must(grown < 9_000 * 16 / 1024, f"memory grew by {grown:.0f} MB")
        must(open_ < 200, f"{open_} descriptors are open after the keep-alive")
        server.stop()
    return f"memory grew by {grown:.0f} MB; {len(probe.times)} requests of others meanwhile, p99 {probe.p99():.0f} ms; {open_} descriptors left afterwards"


class Memory:
    """A group of processes that may use so much memory."""

    def __init__(self, bytes_):
        needs_root()
        self.group = Path(f"/sys/fs/cgroup/memory/keyrack-faults-{os.getpid()}")
        try:
            self.group.mkdir()
            (self.group / "memory.limit_in_bytes").write_text(str(bytes_))
        except OSError as err:
            raise Impossible(f"no memory limit can be set: {err}") from None

    def take(self, pid):
        (self.group / "cgroup.procs").write_text(str(pid))

    def most(self):
        return int((self.group / "memory.max_usage_in_bytes").read_text()) / 1e6

    def close(self):
        with contextlib.suppress(OSError):
            self.group.rmdir()


@fault("500 sign-ins at once from as many addresses, in 256 MB of memory", "the server lives, memory is bounded, the API answers meanwhile, a right password works afterwards", 3, 0)
def sign_in_flood(rounds):
    memory = Memory(256 << 20)
    env = {"KEYRACK_SERVER_TRUSTED_PROXIES": "127.0.0.1/32"}
    answers, worst = {}, []
    try:
        with data_dir() as data, Server(data, env=env) as server:
            memory.take(server.pid)

            def come(address, email, password):
                via = {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}
                return sign_in(server.port, email, password, via)[0]

            def flood(number):
                address = f"198.51.{number // 250}.{number % 250 + 1}"
                try:
                    status = come(address, f"user{number}@example.com", "wrong password")
                except GONE as err:
                    status = type(err).__name__
                answers[status] = answers.get(status, 0) + 1

            for _ in range(rounds):
                probe = Probe(server.port)
                crowd = [threading.Thread(target=flood, args=(number,)) for number in range(500)]
                for one in crowd:
                    one.start()
                for one in crowd:
                    one.join()
                probe.stop()
                worst.append(probe.p99())
                must(server.is_running(), "it was killed")
                must(not probe.failed, f"the API: {probe.failed[:3]}")
            status = come("203.0.113.9", EMAIL, PASSWORD)
            must(status == 303, f"a right password afterwards: {status}")
            most = memory.most()
            server.stop()
    finally:
        memory.close()
    must(set(answers) <= {400, 401, 422, 429, 503, 200}, f"{answers}")
    told = ", ".join(f"{count} × {status}" for status, count in sorted(answers.items(), key=str))
    return f"{500 * rounds} sign-ins ({told}); at most {most:.0f} MB; the API meanwhile p99 {max(worst):.0f} ms"


if __name__ == "__main__":
    main()
