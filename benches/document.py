#!/usr/bin/env python3
"""Takes the figures of a run into docs/benchmarks.json, and writes the tables of docs/BENCHMARKS.md and the drawing from it:
`document.py [OUT]`. Without OUT both are made anew from the figures that are there. What was not measured this time stays
as it was, with its date."""
import json, os, platform, re, subprocess, sys, time
from pathlib import Path

import plot

DOCS = Path(__file__).resolve().parent.parent / "docs"
KEPT, DOCUMENT = DOCS / "benchmarks.json", DOCS / "BENCHMARKS.md"
PARTS = ["requests", "peers", "growth", "footprint", "work", "lists", "instructions"]
TABLES = [("requests", "Kinds of requests"), ("peers", "The same work, by others"), ("growth", "What grows"), ("work", "What waits for something"),
          ("footprint", "Memory and connections")]

AT_LEAST, AT_MOST = "at least", "at most"
# Number, what is measured, the figure's name, the aim, what would be very good, and the unit.
AIMS = [
    (1, "`GET /v1/users/me`, complete, beside a bare handler", "me", AT_LEAST, 0.80, 0.92, "×"),
    (2, "the same, beside haproxy", "peer.haproxy", AT_LEAST, 1.0, 1.15, "×"),
    (2, "beside nginx", "peer.nginx", AT_LEAST, 1.8, 2.3, "×"),
    (2, "beside Rauthy", "peer.rauthy", AT_LEAST, 5, 6, "×"),
    (3, "beside Express", "peer.express", AT_LEAST, 14, 18, "×"),
    (3, "beside FastAPI", "peer.fastapi", AT_LEAST, 14, 18, "×"),
    (3, "beside better-auth in memory", "peer.better-auth.memory", AT_LEAST, 25, 33, "×"),
    (3, "beside better-auth on SQLite", "peer.better-auth.database", AT_LEAST, 75, 100, "×"),
    (4, "sixteen requests in one go, beside bare", "pipelined", AT_LEAST, 0.40, 0.60, "×"),
    (5, "instructions of a request, beside bare", "instructions", AT_MOST, 1.6, 1.35, "×"),
    (6, "`GET /v1/forward-auth`, beside bare", "forward-auth", AT_LEAST, 0.80, 0.92, "×"),
    (7, "`POST /v1/keys/verify`, beside bare with the same bodies", "verify", AT_LEAST, 0.75, 0.90, "×"),
    (8, "p50 with one connection, beside bare", "p50.one", AT_MOST, 1.15, 1.03, "×"),
    (8, "p99 with 32 connections, beside bare", "p99.many", AT_MOST, 1.5, 1.15, "×"),
    (9, "a cold key, beside one that is known", "cold", AT_LEAST, 0.50, 0.70, "×"),
    (10, "`POST /v1/keys` with its audit event, beside raw single inserts", "create.single", AT_LEAST, 1.8, 3.5, "×"),
    (10, "beside raw inserts, 32 in a transaction", "create.grouped", AT_LEAST, 0.45, 0.8, "×"),
    (11, "p99 of `POST /v1/keys`, 32 connections", "create.p99", AT_MOST, 15, 5, "ms"),
    (12, "`POST /v1/users`, beside argon2id alone", "users.hash", AT_LEAST, 0.90, 0.97, "×"),
    (12, "signing in, beside argon2id alone", "sign-in.hash", AT_LEAST, 0.90, 0.97, "×"),
    (12, "p99 of `GET /v1/users/me` in a flood of sign-ins, beside quiet", "flood.p99", AT_MOST, 3, 1.5, "×"),
    (13, "a 429, beside a 200", "refused.429", AT_LEAST, 1.0, 1.1, "×"),
    (13, "a 401, beside a 200", "refused.401", AT_LEAST, 1.0, 1.1, "×"),
    (14, "CPU of a request with 1,000,000 keys and users, beside 1,000", "grow.keys", AT_MOST, 1.15, 1.05, "×"),
    (14, "CPU of a request with 100,000 active accounts, beside one", "grow.accounts", AT_MOST, 1.15, 1.05, "×"),
    (14, "CPU of a page of 20 of 1,000,000 users, beside 1,000", "grow.list", AT_MOST, 1.4, 1.2, "×"),
    (14, "start with 1,000,000 keys, over that with 1,000", "grow.start", AT_MOST, 20, 2, "ms"),
    (15, "`GET /v1/users?limit=20`, beside bare with the same body", "list", AT_LEAST, 0.4, 0.7, "×"),
    (16, "memory when idle, 1,000 users", "pss.idle", AT_MOST, 16, 6, "MiB"),
    (16, "memory under 64 connections", "pss.load", AT_MOST, 30, 10, "MiB"),
    (17, "the program", "binary", AT_MOST, 16, 8, "MB"),
    (17, "start to the first answer, 1,000 users", "start.thousand", AT_MOST, 40, 10, "ms"),
    (18, "p99 beside 10,000 idle connections, beside none", "idle.p99", AT_MOST, 2, 1.2, "×"),
    (18, "memory of an idle connection", "idle.bytes", AT_MOST, 10, 6, "KB"),
    (19, "TLS, kept alive, beside plain", "tls", AT_LEAST, 0.68, 0.75, "×"),
    (19, "in a dialect, beside native", "dialect", AT_LEAST, 0.97, 0.99, "×"),
    (19, "with the request log, beside without (usage, audit and metrics have no switch)", "log", AT_LEAST, 0.95, 0.99, "×"),
    (20, "p95 of the slowest list of the dashboard, 1,000,000 rows", "dashboard.p95", AT_MOST, 50, 10, "ms"),
    (20, "first visit of the dashboard, gzip", "page.first", AT_MOST, 45, 30, "KB"),
    (20, "the next page, gzip, the largest", "page.next", AT_MOST, 14, 8, "KB"),
]
# Told where the aim is missed.
WHY = {
    "me": "Of 39,400 instructions (bare: 18,600) 3,800 write the limits' headers, 3,900 find the key, 2,500 answer and 600 count; 7,600 are routes and layers, where it came from and its id (callgrind). 64 % of its CPU is the kernel's (perf).",
    "forward-auth": "The work of the first row, with six headers more in place of a body: its handler takes 5,200 instructions where that one's takes 2,500 (callgrind). Beside it bare sends no body, and is faster than in the first row.",
    "verify": "Of 56,500 instructions, where the first row takes 39,400, 7,800 find two keys (7,000 of them hashing), 3,800 write the limits' headers, 1,600 read the question, 1,200 write the limits into the body; actix looks for a request three times instead of twice, 4,700 more, in bare, too (callgrind).",
    "cold": "Five rows of five tables are read on the way, and fourteen are written afterwards: counts for key and account, windows, the last use (perf: a third of the CPU is the writer).",
    "refused.429": "As of a 200, two thirds of its CPU are the kernel's (perf); the rest counts it, tells the limits, and writes what is wrong, with a link, anew each time.",
    "refused.401": "As of a 200, two thirds of its CPU are the kernel's (perf). Of the rest 18 % write what is wrong, with a link, anew each time, and 9 the limits.",
    "peer.nginx": "The bare handler itself is 1.05 times as fast as nginx, which compares the keys themselves, answers text that lies ready, and tells nobody what is left of a limit. 64 % of the CPU here is the kernel's (perf).",
    "peer.haproxy": "62 % of the CPU here is the kernel's, as there (perf); haproxy answers text that lies ready, and tells nobody what is left of a limit.",
    "peer.fastapi": "The bare handler itself is 15.4 times as fast. FastAPI has everything in a dict of its one process here, on uvloop and httptools.",
    "list": "Half of the instructions are the statement and its rows, a third writes the JSON; it goes off the workers to a reader and back.",
    "instructions": "Callgrind knows no SHA instructions: 3,500 are the hash. Of the other 17,400 more than bare 3,800 write the limits' headers, 2,500 are the answer, 600 count it, and 7,600 are routes and layers, some of them in bare, too, where it came from and its id.",
    "p99.many": "A p99 of milliseconds is worth little here: something takes the core from bare, too, 60 to 80 times a second, and bare's own was 0.4 to 1.4 ms from run to run (involuntary switches).",
    "idle.p99": "As the p99 of 32 connections: alone it was 0.8 in this run and 3.8 in the one before.",
    "users.hash": "92 % of its CPU is hashing, 4 the writer with the user, its audit event and their indexes, 3 the request (perf).",
    "log": "Within what its rounds differ by (105 to 110 and 108 to 125 thousand).",
    "binary": "Of 16 MB of code 1.8 drop values, 1.2 are handlers with all that they call, 1.0 SQLite, 1.0 TLS and certificates, 0.7 pages, 0.6 the command line (symbols).",
    "flood.p99": "Hashing gives way (its threads have a lower priority), so what is left is the flood itself: most of it is refused, and each refusal is a page. Both loads come from one core, too.",
    "pipelined": "The same 20,800 instructions more than bare's as in the first row (callgrind): here next to nothing of the kernel's stands beside them.",
    "peer.better-auth.database": "Within what its own rounds differ by.",
    "create.single": "Of its CPU the writer takes 68 % (29 the kernel for the file and its flush, 25 SQLite, 15 memory), the request 29 % (perf). A key is three rows and their indexes, and an audit event with its hash; raw is one row of one table.",
    "create.grouped": "As above, and 32 at once wait for one flush, where raw never waits for a client.",
    "idle.bytes": "These are the buffers and futures of actix: the bare handler's take as much (below).",
    "pss.idle": "Of 22.3 MiB 14.4 are pages of the program file, which the kernel may drop, and 1.5 the heap; 5.9 are other memory, SQLite's caches and stacks (smaps).",
    "grow.accounts": "Each account here makes a request in five to ten seconds, so that nearly each costs what a cold key does, by design: what was used is written every five seconds, and nothing is trusted for longer.",
}


def machine():
    """Where it was measured."""
    told = lambda *command: subprocess.run(command, capture_output=True, text=True).stdout.strip()
    system = re.search(r'PRETTY_NAME="([^"]+)"', Path("/etc/os-release").read_text()) if Path("/etc/os-release").exists() else None
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else None
    try:
        compiler = " ".join(told("rustc", "--version").split()[:2])
    except OSError:
        compiler = ""
    parts = [f"{os.cpu_count()} cores of {model[1] if model else platform.machine()}", system[1] if system else platform.system(), compiler]
    return ", ".join(part for part in parts if part)


def take(out):
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for part in PARTS:
        source = Path(out) / f"{part}.json"
        if source.exists():
            measured = time.strftime("%Y-%m-%d %H:%M", time.gmtime(source.stat().st_mtime)) + " UTC"
            kept[part] = {"measured": measured, "machine": machine(), **json.loads(source.read_text())}
    failed = Path(out) / "failed"
    kept["failed"] = failed.read_text().split() if failed.exists() else []
    KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def aims(kept):
    figures = {name: value for part in PARTS for name, value in kept.get(part, {}).get("figures", {}).items()}
    absent = kept.get("peers", {}).get("absent", {})
    lines = ["| # | what | aim | measured | | why |", "|---:|---|---|---:|---|---|"]
    met, last = 0, None
    for at, what, name, side, aim, best, unit in AIMS:
        value = figures.get(name)
        number_of = at if at != last else ""
        last, why = at, ""
        if value is None:
            told, verdict = "–", "not measured"
            reasons = [reason for peer, reason in absent.items() if name.startswith("peer.") and name.split(".")[1] in peer.lower()]
            why = reasons[0] if reasons else ""
        else:
            holds = (lambda limit: value >= limit) if side == AT_LEAST else (lambda limit: value <= limit)
            told = f"{number(value)} {unit}"
            verdict = "**very good**" if holds(best) else "met" if holds(aim) else "missed"
            met += holds(aim)
            why = WHY.get(name, "") if not holds(aim) else ""
        lines.append(f"| {number_of} | {what} | {side} {aim:g}, best {best:g} {unit} | {told} | {verdict} | {why} |")
    measured = sum(figures.get(aim[2]) is not None for aim in AIMS)
    return [f"{met} of the {measured} aims that were measured are met.", "", *lines]


def table(part):
    rows = part["rows"]
    lines = ["| what | req/s (least–most) | ratio | CPU µs | ratio | p50 ms | p99 ms | errors |", "|---|---:|---:|---:|---:|---:|---:|---:|"]
    # The peers are all beside the first.
    first = next(iter(rows))
    for name, row in rows.items():
        base = rows[row.get("base", name if any("base" in row for row in rows.values()) else first)]
        ratio = lambda what: f"{row[what] / base[what]:.2f}" if base[what] and base is not row else ""
        lines.append(f"| {name} | {row['rate']:,.0f} ({row['least']:,.0f}–{row['most']:,.0f}) | {ratio('rate')} | {row['cpu']:,.1f} | {ratio('cpu')} "
                     f"| {row['p50']:.2f} | {row['p99']:.2f} | {row['errors']:,} |")
    return lines


def footprint(part):
    names = {"start.empty": "start to the first answer, new directory: {:.0f} ms", "cached.million": "memory for a million cached keys: {:.0f} MiB",
             "idle.count": "connections that were idle: {:,.0f}", "bare.idle.bytes": "memory of an idle connection of the bare handler: {:.1f} KB",
             "bare.pss": "memory of the bare handler when idle: {:.1f} MiB"}
    return [f"- {words.format(part['figures'][name])}" for name, words in names.items() if name in part["figures"]]


def pages(part):
    lines = ["| page | p50 ms | p95 ms | CPU p50 ms | CPU p95 ms | addresses |", "|---|---:|---:|---:|---:|---:|"]
    return lines + ["| {} | {:.1f} | {:.1f} | {:.1f} | {:.1f} | {} |".format(name, *row) for name, row in part["pages"].items()]


def written(kept):
    """What stands between the markers."""
    lines = ["![Rates beside a bare handler and beside other programs, and what a request costs when things grow](benchmarks.svg)", "", *aims(kept), ""]
    for name, title in TABLES:
        if not kept.get(name, {}).get("rows"):
            continue
        part = kept[name]
        lines += [f"### {title}", "", f"{part['measured']}, {part['machine']}; {part['rounds']} rounds of {part['seconds']:g} s.", "", *table(part), ""]
        if name == "footprint":
            lines += [*footprint(part), ""]
        if part.get("absent"):
            lines += ["Left out: " + "; ".join(f"{peer} ({reason.rstrip('.')})" for peer, reason in part["absent"].items()) + ".", ""]
    if kept.get("lists", {}).get("pages"):
        part = kept["lists"]
        lines += ["### Lists of the dashboard over a million rows", "", f"{part['measured']}, {part['machine']}; each page {part['rounds']} times or more.", "", *pages(part), ""]
    if kept.get("failed"):
        lines += [f"Ended before they had measured everything: {', '.join(kept['failed'])}.", ""]
    return "\n".join(lines)


def main():
    if len(sys.argv) > 1:
        take(sys.argv[1])
    kept = json.loads(KEPT.read_text())
    begin, end = "<!-- measured: begin -->", "<!-- measured: end -->"
    before, rest = DOCUMENT.read_text().split(begin)
    DOCUMENT.write_text(f"{before}{begin}\n\n{written(kept)}\n{end}{rest.split(end)[1]}")
    (DOCS / "benchmarks.svg").write_text(plot.draw(kept))


main()
