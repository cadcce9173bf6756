#!/usr/bin/env python3
"""What Keyrack takes when it does nothing, and what it takes for more: `footprint.py KEYRACK BARE OUT`. Memory is the proportional
set size of the process; the directory with 1,000 users comes from `growth.py --fill` (`PREPARED=DIR`) or is filled here."""
import os, resource, shutil, socket, statistics, subprocess, sys, tempfile, threading, time
from pathlib import Path

import growth, harness
from harness import Keyrack, Row, Server

IDLE = int(os.environ.get("IDLE", 10_000))
MIB = 1 << 20


def memory(program, directory, told):
    """Idle, under 64 connections, and for cached keys and idle connections."""
    keyrack, admin = growth.prepared(program, directory, 1000)
    with keyrack.serve(9501) as server:
        harness.settle([server])
        idle = server.pss()
        row, under = Row("64 connections", server, secret=growth.secret(7), connections=64), []
        watch = threading.Thread(target=lambda: [time.sleep(0.3) or under.append(server.pss()) for _ in range(max(3, harness.seconds() * 2))])
        watch.start()
        row.rounds.append(row.load(harness.seconds() + 1))
        watch.join()
        told[row.name] = row.figures()
    return {"pss.idle": idle / MIB, "pss.load": max(under) / MIB}


def connections(program, directory, told):
    """Connections that were used once and are kept: what each takes, and what they do to others."""
    keyrack, _ = growth.prepared(program, directory, 1000)
    count = min(IDLE, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
    with keyrack.serve(9502) as server:
        quiet = Row("alone", server, secret=growth.secret(5))
        quiet.rounds = [quiet.load(harness.seconds()) for _ in range(3)]
        harness.settle([server])
        before, kept = server.pss(), []
        try:
            began = time.time()
            for _ in range(count):
                kept.append(used_once(9502))
            took = time.time() - began
            each = (server.pss() - before) / count
            busy = Row(f"beside {count:,} idle connections", server, secret=growth.secret(5), base="alone")
            # They are closed after fifteen seconds without a request.
            busy.rounds = [busy.load(max(1, min(harness.seconds(), int(13 - took) // 2))) for _ in range(2)]
            still = sum(is_open(one) for one in kept)
        finally:
            for one in kept:
                one.close()
    if still < count * 0.99:
        print(f"only {still:,} of {count:,} connections were still open", file=sys.stderr)
    told |= {row.name: row.figures() for row in [quiet, busy]}
    return {"idle.bytes": each / 1024, "idle.p99": told[busy.name]["p99"] / told["alone"]["p99"], "idle.count": still}


def used_once(port):
    """A connection over which one request was answered."""
    request = f"GET /v1/users/me HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {growth.secret(3)}\r\n\r\n"
    one = socket.create_connection(("127.0.0.1", port), timeout=20)
    one.sendall(request.encode())
    if not one.recv(4096).startswith(b"HTTP/1.1 200"):
        raise RuntimeError("a connection was not answered")
    return one


def of_bare(bare):
    """What an idle connection of the bare handler takes, and the handler itself."""
    with Server("bare", [bare, 9505], 9505) as server:
        before, kept = server.pss(), []
        try:
            for _ in range(2000):
                kept.append(used_once(9505))
            each = (server.pss() - before) / len(kept)
        finally:
            for one in kept:
                one.close()
    return {"bare.idle.bytes": each / 1024, "bare.pss": before / MIB}


def is_open(one):
    one.setblocking(False)
    try:
        return one.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def cached_keys(program, directory, scratch):
    """Memory for a million cached keys, from a hundred thousand that are asked for within the time they are kept."""
    size = next((size for size in (100_000, 10_000) if (directory / f"{size}.secret").exists()), 10_000)
    keyrack, _ = growth.prepared(program, directory, size)
    secrets = scratch / "secrets"
    secrets.write_text("".join(f"{growth.secret(n)}\n" for n in range(size)))
    with keyrack.serve(9503) as server:
        warm = Row("warm", server, secret=growth.secret(0))
        warm.load(1)
        harness.settle([server])
        before = server.pss()
        Row("all", server, script=harness.lua(scratch, "cached", growth.ONE_AFTER_THE_OTHER % (secrets, size))).load(4)
        return {"cached.million": (server.pss() - before) / size * 1_000_000 / MIB}


def start(program):
    """To the first answer of a directory that is not there yet."""
    times = []
    for _ in range(5):
        directory = tempfile.mkdtemp(prefix="keyrack-start.")
        try:
            with Keyrack(program, Path(directory) / "data").serve(9504) as server:
                times.append(server.start_ms)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    return {"start.empty": statistics.median(times)}


def main():
    program, bare, out = harness.arguments(3, "KEYRACK BARE OUT")[:3]
    scratch = Path(tempfile.mkdtemp(prefix="keyrack-footprint."))
    directory = Path(os.environ.get("PREPARED") or scratch)
    figures, told = {"binary": os.path.getsize(program) / 1e6}, {}
    try:
        figures |= start(program) | memory(program, directory, told) | connections(program, directory, told) | cached_keys(program, directory, scratch) | of_bare(bare)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    harness.show(told)
    for name, value in figures.items():
        print(f"{name:16} {value:12,.2f}")
    sections = subprocess.run(["size", "-A", program], capture_output=True, text=True).stdout if shutil.which("size") else ""
    harness.save(out, "footprint", figures, told, sections=[line.split()[:2] for line in sections.splitlines()[2:] if len(line.split()) == 3])


main()
