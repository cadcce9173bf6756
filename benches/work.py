#!/usr/bin/env python3
"""What waits for something: the disk, a password hash, TLS, and what people see of it. `work.py KEYRACK BARE OUT`. Beside BARE lie the
examples `raw_inserts` and `argon2`, which tell what the disk and the hash alone allow."""
import gzip, http.client, json, os, re, shutil, statistics, subprocess, sys, tempfile, threading, urllib.parse
from pathlib import Path

import harness
from harness import EMAIL, PASSWORD, Keyrack, Row, fetch

NEW_USERS = """
local n, mark = 0, "%s"
init = function() math.randomseed(os.time()) mark = mark .. math.random(1000000000) end
request = function()
  n = n + 1
  local body = '{"name":"New","email":"n' .. mark .. '-' .. n .. '@example.com","password":"a well kept cabinet of keys"}'
  return wrk.format("POST", nil, nil, body)
end
wrk.headers["Content-Type"] = "application/json"
"""

SIGN_IN = """
local headers = {["Content-Type"] = "application/x-www-form-urlencoded", ["Sec-Fetch-Site"] = "same-origin", ["X-Forwarded-Proto"] = "https", ["Cookie"] = "%s"}
init = function() math.randomseed(os.time()) end
request = function()
  headers["X-Forwarded-For"] = "10." .. math.random(255) .. "." .. math.random(255) .. "." .. math.random(255)
  return wrk.format("POST", nil, headers, "%s")
end
"""


def alone(bare, name, *args):
    """What an example of the same build tells, on the server's core; nothing where it was not built."""
    program = Path(bare).resolve().with_name(name)
    if not program.exists():
        print(f"{program} is not there: what it tells is left out", file=sys.stderr)
        return None
    done = subprocess.run(["taskset", "-c", harness.SERVER_CORE, program, *map(str, args)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


class Browser:
    """Pages over one connection, compressed, with their cookies."""

    def __init__(self, port, **headers):
        self.connection, self.cookies = http.client.HTTPConnection("127.0.0.1", port, timeout=60), {}
        self.headers = {"Accept": "text/html", "Accept-Encoding": "gzip", "Sec-Fetch-Site": "same-origin", **headers}

    def send(self, path, form=None):
        """The status, the text, and how many bytes came."""
        headers = self.headers | ({"Cookie": self.cookie()} if self.cookies else {})
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request("POST" if form else "GET", path, urllib.parse.urlencode(form) if form else None, headers)
        answer = self.connection.getresponse()
        body = answer.read()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                cookie, _, value = value.split(";")[0].partition("=")
                self.cookies[cookie] = value
        size = len(body)
        return answer.status, (gzip.decompress(body) if answer.getheader("Content-Encoding") == "gzip" else body).decode(), size

    def cookie(self):
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def form(self):
        """What a sign-in sends, and with which cookies."""
        token = re.search(r'name="csrf" value="([^"]+)"', self.send("/sign-in")[1])[1]
        return {"csrf": token, "email": EMAIL, "password": PASSWORD}, self.cookie()


def creation(server, bare, secret, directory, told):
    """Keys against rows that nothing else is done for."""
    script, singles, groups = harness.posted(directory, "create", '{"name":"bench"}'), [], []
    row = Row("POST /v1/keys", server, "/v1/keys", secret, script=script)
    for n in range(harness.ROUNDS):
        row.rounds.append(row.load(harness.seconds()))
        (directory / f"raw{n}").mkdir()
        raw = alone(bare, "raw_inserts", directory / f"raw{n}", harness.seconds(0.5))
        if raw:
            singles.append(raw["single"]), groups.append(raw["grouped"])
    told[row.name] = row.figures()
    if not singles:
        return {}
    rate = told[row.name]["rate"]
    return {"create.single": rate / statistics.median(singles), "create.grouped": rate / statistics.median(groups),
            "raw.single": statistics.median(singles), "raw.grouped": statistics.median(groups)}


def sign_in(server, directory):
    """A script that signs in, each time anew. The form's token stays good for its cookie. Each comes from another address, through
    a proxy that is trusted: of one address only some tries are worked on at once."""
    form, cookie = Browser(server.port, **{"X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "https"}).form()
    return harness.lua(directory, "sign-in", SIGN_IN % (cookie, urllib.parse.urlencode(form)))


def passwords(server, bare, secret, directory, told):
    """New users and sign-ins against the hash alone, and what a flood of sign-ins does to others."""
    create = Row("POST /v1/users", server, "/v1/users", secret, script=harness.lua(directory, "users", NEW_USERS % os.getpid()), connections=8)
    script = sign_in(server, directory)
    enter = Row("POST /sign-in", server, "/sign-in", script=script, connections=8)
    hashes = []
    for _ in range(harness.ROUNDS):
        raw = alone(bare, "argon2", harness.seconds(0.7))
        hashes += [raw["rate"]] if raw else []
        for row in [create, enter]:
            row.rounds.append(row.load(harness.seconds()))
    told |= {row.name: row.figures() for row in [create, enter]}
    quiet, beside = Row("GET /v1/users/me, quiet", server, secret=secret), Row("GET /v1/users/me, sign-in flood", server, secret=secret, base="GET /v1/users/me, quiet")
    for _ in range(harness.ROUNDS):
        quiet.rounds.append(quiet.load(harness.seconds()))
        flood = threading.Thread(target=lambda: Row("flood", server, "/sign-in", script=script, connections=16).load(harness.seconds() + 1))
        flood.start()
        beside.rounds.append(beside.load(harness.seconds()))
        flood.join()
    told |= {row.name: row.figures() for row in [quiet, beside]}
    figures = {"flood.p99": told[beside.name]["p99"] / told[quiet.name]["p99"]}
    if hashes:
        allowed = statistics.median(hashes)
        figures |= {"users.hash": told[create.name]["rate"] / allowed, "sign-in.hash": told[enter.name]["rate"] / allowed, "hash.rate": allowed}
    return figures


def settings(keyrack, plain, secret, told):
    """The same with TLS, in a dialect, and without the request log, each on a server of its own."""
    with keyrack("tls").serve(9602, "https", KEYRACK_TLS_MODE="self-signed") as tls:
        with keyrack("dialect").serve(9603, KEYRACK_API_DIALECT="usertour") as spoken, keyrack("unlogged").serve(9604, KEYRACK_LOG_REQUEST_LOG_SAMPLE="0") as unlogged:
            servers = {"plain, native, all on": plain, "TLS, kept alive": tls, "dialect of Usertour": spoken, "request log off": unlogged}
            for name, server in servers.items():
                status, body = fetch(f"{server.url}/v1/users/me", secret)
                assert status == 200 and EMAIL in body, (name, status, body)
            harness.settle(list(servers.values()))
            told |= harness.in_turn([Row(name, server, secret=secret, base="plain, native, all on") for name, server in servers.items()])
    rate = lambda name: told[name]["rate"]
    base = "plain, native, all on"
    return {"tls": rate("TLS, kept alive") / rate(base), "dialect": rate("dialect of Usertour") / rate(base), "log": rate(base) / rate("request log off")}


def bytes_of_pages(server):
    """What comes over the line at the first visit of the dashboard, and for the next page: the heaviest of the usual ones."""
    browser = Browser(server.port)
    form, _ = browser.form()
    assert browser.send("/sign-in", form)[0] == 303
    status, page, first = browser.send("/admin")
    assert status == 200, status
    parts = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
    first += sum(browser.send(part)[2] for part in parts)
    following = {}
    for path in ["/admin/users", "/admin/accounts", "/admin/keys", "/admin/requests", "/admin/audit", "/admin"]:
        status, _, size = browser.send(path)
        if status == 200:
            following[path] = size
    return {"page.first": first / 1024, "page.next": max(following.values()) / 1024}


def main():
    program, bare, out = harness.arguments(3, "KEYRACK BARE OUT")[:3]
    directory = Path(tempfile.mkdtemp(prefix="keyrack-work."))
    keyrack, told, figures = Keyrack(program, directory / "data"), {}, {}

    def copied(name):
        """The same directory, for a server of its own."""
        return Keyrack(program, shutil.copytree(directory / "as-begun", directory / name))

    try:
        secret = keyrack.begin()
        for n in range(25):
            keyrack.run("user", "add", "--email", f"u{n}@example.com", "--name", f"User {n}")
        shutil.copytree(directory / "data", directory / "as-begun")
        with keyrack.serve(9601) as server:
            figures |= bytes_of_pages(server)
            figures |= settings(copied, server, secret, told)
            figures |= creation(server, bare, secret, directory, told)
        with copied("passwords").serve(9605, KEYRACK_SERVER_TRUSTED_PROXIES="127.0.0.1/32") as server:
            figures |= passwords(server, bare, secret, directory, told)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    harness.show(told)
    for name, value in figures.items():
        print(f"{name:16} {value:12,.2f}")
    harness.save(out, "work", figures, told)


main()
