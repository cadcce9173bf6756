#!/usr/bin/env python3
"""What each kind of request costs beside a bare actix handler with bodies like its own: `run.py KEYRACK BARE OUT`. Rounds of
wrk in turn, answers checked before they are counted; medians, ratios and CPU time of each."""
import json, shutil, sys, tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import harness
from harness import Keyrack, Row, Server, fetch

KEYRACK, BARE, OUT = harness.arguments(3, "KEYRACK BARE OUT")[:3]
PIPELINED = 'init = function() local one = wrk.format(); sixteen = one:rep(16) end\nrequest = function() return sixteen end\n'


def fill(keyrack):
    """The secrets of a key that may do everything, and of one that has had all its requests."""
    secret = keyrack.begin()
    keyrack.run("tier", "set", "Shut", "--window", "1/1h")
    keyrack.run("account", "add", "Limited", "--tier", "Shut")
    keyrack.run("user", "add", "--email", "limited@example.com", "--name", "Limited", "--account", "Limited")
    for n in range(30):
        keyrack.run("user", "add", "--email", f"u{n}@example.com", "--name", f"User {n}")
    return secret, keyrack.run("key", "create", "shut", "--owner", "limited@example.com")["secret"]


def check(ours, secret, shut):
    """Every answer is what it should be. Those that bare gives, too, each by the name that it knows it by."""
    status, me = fetch(f"{ours.url}/v1/users/me", secret)
    assert status == 200 and json.loads(me)["email"] == harness.EMAIL, (status, me)
    assert [fetch(f"{ours.url}/v1/users/me", shut)[0] for _ in range(2)] == [200, 429]
    assert fetch(f"{ours.url}/v1/users/me", secret[:-1] + "?")[0] == 401
    listed = fetch(f"{ours.url}/v1/users?limit=20", secret)[1]
    assert len(json.loads(listed)) == 20
    verdict = fetch(f"{ours.url}/v1/keys/verify", secret, "POST", json.dumps({"key": secret}))[1]
    assert json.loads(verdict)["valid"]
    assert fetch(f"{ours.url}/v1/forward-auth", secret) == (200, "")
    return {"me": me, "verify": verdict, "list": listed}


def check_bare(bare, secret, bodies):
    """It answers with the same bodies."""
    for path, method, body in [("/v1/users/me", "GET", bodies["me"]), ("/v1/keys/verify", "POST", bodies["verify"]),
                               ("/v1/forward-auth", "GET", ""), ("/v1/users?limit=20", "GET", bodies["list"])]:
        assert fetch(bare.url + path, secret, method, "{}" if method == "POST" else None) == (200, body), path


def main():
    directory = Path(tempfile.mkdtemp(prefix="keyrack-bench."))
    keyrack = Keyrack(KEYRACK, directory / "data")
    secret, shut = fill(keyrack)
    script = harness.posted(directory, "create", '{"name":"bench"}')
    question = harness.posted(directory, "verify", json.dumps({"key": secret}))
    pipelined = harness.lua(directory, "pipelined", PIPELINED)
    try:
        with ExitStack() as servers:
            ours = servers.enter_context(keyrack.serve(9191))
            bodies = check(ours, secret, shut)
            for name, body in bodies.items():
                (directory / name).write_text(body)
            bare = servers.enter_context(Server("bare", [BARE, 9190, directory], 9190))
            check_bare(bare, secret, bodies)
            rows = [
                Row("bare handler", bare, secret=secret),
                Row("GET /v1/users/me", ours, secret=secret, base="bare handler"),
                Row("429, over the limit", ours, secret=shut, refused=True, base="bare handler"),
                Row("401, no such key", ours, secret=secret[:-1] + "?", refused=True, base="bare handler"),
                Row("bare, bodies of a check", bare, "/v1/keys/verify", secret, script=question),
                Row("POST /v1/keys/verify", ours, "/v1/keys/verify", secret, script=question, base="bare, bodies of a check"),
                Row("bare, no body", bare, "/v1/forward-auth", secret),
                Row("GET /v1/forward-auth", ours, "/v1/forward-auth", secret, base="bare, no body"),
                Row("bare, a page of 20", bare, "/v1/users?limit=20", secret),
                Row("GET /v1/users?limit=20", ours, "/v1/users?limit=20", secret, base="bare, a page of 20"),
            ]
            told = harness.in_turn(rows)
            single = harness.in_turn([
                Row("bare, one connection", bare, secret=secret, connections=1),
                Row("one connection", ours, secret=secret, connections=1, base="bare, one connection"),
                Row("bare, 16 in one go", bare, secret=secret, script=pipelined),
                Row("16 in one go", ours, secret=secret, script=pipelined, base="bare, 16 in one go"),
            ], length=harness.seconds(2 / 3))
            # Last, since it makes the database grow.
            told |= single | harness.in_turn([Row("POST /v1/keys", ours, "/v1/keys", secret, script=script, base="bare handler")])
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    harness.show(told)
    beside = lambda name, what="rate": told[name][what] / told[told[name]["base"]][what]
    me = told["GET /v1/users/me"]
    harness.save(OUT, "requests", {
        "me": beside("GET /v1/users/me"), "me.cpu": beside("GET /v1/users/me", "cpu"), "pipelined": beside("16 in one go"),
        "forward-auth": beside("GET /v1/forward-auth"), "verify": beside("POST /v1/keys/verify"), "list": beside("GET /v1/users?limit=20"),
        "p50.one": beside("one connection", "p50"), "p99.many": beside("GET /v1/users/me", "p99"),
        "refused.429": told["429, over the limit"]["rate"] / me["rate"], "refused.401": told["401, no such key"]["rate"] / me["rate"],
        "create.p99": told["POST /v1/keys"]["p99"],
    }, told)


main()
