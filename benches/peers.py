#!/usr/bin/env python3
"""Keyrack beside what others would take: `peers.py KEYRACK BARE OUT`. Each answers the same user to the holder of a key, counts
the requests of each key where it can, and knows 100 keys. One core for the server, one for wrk, rounds in turn. A peer
that cannot be installed or does not answer as it should is named with the reason."""
import hashlib, json, os, shutil, sys, tempfile
from pathlib import Path

import harness
from harness import Keyrack, Row, Server, fetch

KEYRACK, BARE, OUT = harness.arguments(3, "KEYRACK BARE OUT")[:3]
PEERS = harness.ROOT / "benches/load/peers"
FIRST_PORT = 9310
KEYS = 100
ABSENT = {"Rauthy": "in none of the registries of Debian, PyPI, npm and crates.io"}


def user(n):
    return {"id": f"user_01kagkgj3tfn4b5tpa0c2fm{n:03}", "name": "bench", "email": f"bench{n}@example.com", "account_id": "acct_01kagkgj3tfn4b5tpa0c2fm4zp",
            "role": "admin", "status": "active", "created_at": "2026-11-22T10:00:00Z", "updated_at": "2026-11-22T10:00:00Z"}


def write_keys(directory):
    """The same keys for everyone, each in the form that its configuration takes."""
    keys = [{"secret": "kr_" + hashlib.sha256(b"%d" % n).hexdigest()[:49], "user": user(n)} for n in range(KEYS)]
    for key in keys:
        key["hash"] = hashlib.sha256(key["secret"].encode()).hexdigest()
        key["json"] = json.dumps(key["user"], separators=(",", ":"))
    quoted = lambda text: text.replace("{", r"\\{").replace("}", r"\\}")
    (directory / "keys.json").write_text(json.dumps(keys))
    (directory / "users.map").write_text("".join(f"{key['hash']} {key['json']}\n" for key in keys))
    (directory / "users.nginx").write_text("".join(f"\"Bearer {key['secret']}\" '{key['json']}';\n" for key in keys))
    (directory / "users.caddy").write_text("".join(f"\"Bearer {key['secret']}\" `{quoted(key['json'])}`\n" for key in keys))
    return keys[KEYS // 2]


def configured(directory, name, port):
    text = (PEERS / name).read_text().replace("@DIR@", str(directory)).replace("@PORT@", str(port))
    path = directory / name
    path.write_text(text)
    return path


def need(program):
    found = shutil.which(program) or shutil.which(f"/usr/sbin/{program}")
    if not found:
        raise RuntimeError(f"{program} is not installed")
    return found


def node(directory, port, script, package, **env):
    if not (PEERS / "node_modules" / package).is_dir():
        raise RuntimeError(f"{package} is not installed")
    env = {"KEYS": f"{directory}/keys.json", "PORT": str(port), "NODE_ENV": "production", **env}
    return {"argv": [need("node"), PEERS / script], "env": env}


def python(directory, module, argv):
    if not (PEERS / "python" / module).is_dir():
        raise RuntimeError(f"{module} is not installed")
    env = {"KEYS": f"{directory}/keys.json", "PYTHONPATH": f"{PEERS}/python:{PEERS}", "DATABASE": f"{directory}/django.db", "PYTHONDONTWRITEBYTECODE": "1"}
    return {"argv": [sys.executable, *argv], "env": env}


def commands(directory):
    """How each is started on a port."""
    uvicorn = ["-m", "uvicorn", "fastapi_app:app", "--workers", "1", "--no-access-log", "--log-level", "critical", "--loop", "uvloop", "--http", "httptools"]
    gunicorn = ["-m", "gunicorn", "django_app:application", "--workers", "1", "--worker-class", "gthread", "--threads", "2", "--keep-alive", "60"]
    return {
        "haproxy": lambda port: {"argv": [need("haproxy"), "-f", configured(directory, "haproxy.cfg", port)]},
        "nginx": lambda port: {"argv": [need("nginx"), "-e", directory / "nginx.log", "-p", directory, "-c", configured(directory, "nginx.conf", port)]},
        "Caddy, no limiter": lambda port: {"argv": [need("caddy"), "run", "--adapter", "caddyfile", "--config", configured(directory, "Caddyfile", port)],
                                           "env": {"GOMAXPROCS": "1", "HOME": str(directory)}},
        "FastAPI": lambda port: python(directory, "fastapi", [*uvicorn, "--port", port]),
        "Express": lambda port: node(directory, port, "express.mjs", "express"),
        "better-auth, in memory": lambda port: node(directory, port, "better-auth.mjs", "better-auth", STORE="memory"),
        "better-auth, SQLite": lambda port: node(directory, port, "better-auth.mjs", "better-sqlite3", STORE="sqlite", DATABASE=f"{directory}/better-auth.db"),
        "Django REST framework": lambda port: python(directory, "rest_framework", [*gunicorn, "--bind", f"127.0.0.1:{port}", "--log-level", "critical"]),
    }


def answers_rightly(server, secret, email):
    status, body = fetch(f"{server.url}/v1/users/me", secret)
    if status != 200 or json.loads(body)["email"] != email:
        raise RuntimeError(f"answers {status} {body[:200]!r} to the right key")
    for wrong in [secret[:-1] + "?", None]:
        status, body = fetch(f"{server.url}/v1/users/me", wrong)
        if status != 401:
            raise RuntimeError(f"answers {status} {body[:200]!r} to {'a wrong key' if wrong else 'none'}")


def main():
    directory = Path(tempfile.mkdtemp(prefix="keyrack-peers."))
    # nginx works as another user.
    directory.chmod(0o755)
    key, absent, rows = write_keys(directory), dict(ABSENT), []
    keyrack = Keyrack(KEYRACK, directory / "data")
    secret = keyrack.begin()
    servers = []
    try:
        servers += [Server("bare", [BARE, FIRST_PORT], FIRST_PORT), keyrack.serve(FIRST_PORT + 1)]
        answers_rightly(servers[1], secret, harness.EMAIL)
        rows += [Row("bare actix handler", servers[0], secret=secret), Row("Keyrack", servers[1], secret=secret)]
        for n, (name, command) in enumerate(commands(directory).items()):
            try:
                port = FIRST_PORT + 2 + n
                server = Server(name, port=port, cwd=directory, **command(port))
                servers.append(server)
                answers_rightly(server, key["secret"], key["user"]["email"])
                row = Row(name, server, secret=key["secret"])
                row.load(1)
                rows.append(row)
            except Exception as err:
                absent[name] = str(err).strip().replace("\n", " ")[-300:]
                print(f"left out: {name}: {absent[name]}", file=sys.stderr)
        told = harness.in_turn(rows)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)
    harness.show(told, "bare actix handler")
    ours = told["Keyrack"]["rate"]
    beside = lambda name: ours / told[name]["rate"] if name in told else None
    figures = {
        "peer.haproxy": beside("haproxy"), "peer.nginx": beside("nginx"), "peer.caddy": beside("Caddy, no limiter"),
        "peer.express": beside("Express"), "peer.fastapi": beside("FastAPI"), "peer.better-auth.memory": beside("better-auth, in memory"),
        "peer.better-auth.database": beside("better-auth, SQLite"), "peer.drf": beside("Django REST framework"),
    }
    harness.save(OUT, "peers", figures, told, absent=absent)


main()
