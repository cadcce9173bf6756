"""Runs the published clients, and the samples of the documents, against a real server.

Each dialect's server is the binary itself on scratch data; `make test-clients` builds it and installs what is needed.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEYRACK = os.environ.get("KEYRACK", str(ROOT / "target/debug/keyrack"))
RESEND_RS = ROOT / "target/clients/debug/resend-client"
# Nothing of the caller's environment configures the server or the clients.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("KEYRACK_", "RESEND_"))}
PYTHON = {**CLEAN, "PYTHONPATH": str(HERE / "python"), "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def server(dialect):
    """A server on a free port; gives its URL, a function that makes a user with a key in an account with a window, and the command line."""
    with tempfile.TemporaryDirectory(prefix="keyrack-clients.") as data:
        env = {**CLEAN, "KEYRACK_API_DIALECT": dialect}

        def keyrack(*args, stdin=None):
            done = subprocess.run(
                [KEYRACK, "--data", data, "--quiet", "--yes", "--json", *args],
                env=env, input=stdin, text=True, stdout=subprocess.PIPE, check=True,
            )
            return json.loads(done.stdout) if done.stdout.strip() else None

        keyrack("admin", "create", "--email", "admin@example.com", "--password-file", "-", stdin="a long password")

        def key(name, window, *scopes):
            keyrack("tier", "set", name, "--window", window)
            keyrack("account", "add", name, "--tier", name)
            user = keyrack("user", "add", "--email", f"{name.lower()}@example.com", "--name", name, "--account", name)
            asked = [part for scope in scopes for part in ("--scope", scope)]
            return keyrack("key", "create", name, "--owner", user["id"], *asked)["secret"], user["id"]

        serve = [KEYRACK, "--data", data, "--json", "serve", "--listen", "127.0.0.1:0"]
        log = open(Path(data) / "log", "w+")
        process = subprocess.Popen(serve, env=env, text=True, stdout=subprocess.PIPE, stderr=log)
        try:
            started = ""
            while not started.rstrip().endswith("}"):
                line = process.stdout.readline()
                if not line:
                    log.seek(0)
                    raise SystemExit(f"the server did not start: {started}{log.read()}")
                started += line
            yield json.loads(started)["url"], key, keyrack
        finally:
            process.terminate()
            process.wait(timeout=30)
            process.stdout.close()
            log.close()


def passes(title, command, env, said=None):
    """Runs a program that must succeed and, where it is told, say this."""
    done = subprocess.run(command, cwd=HERE, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0 or (said is not None and said not in done.stdout):
        sys.exit(f"{title} failed ({done.returncode}):\n{done.stdout}")
    print(f"ok  {title}")
    return done.stdout


def append(path, text):
    with open(path, "a") as file:
        file.write(text)


def resend_clients():
    clients = [
        ("resend for Node", ["node", "resend.mjs"], CLEAN),
        ("resend for Python", [sys.executable, "resend_keys.py"], PYTHON),
        ("resend-rs", [str(RESEND_RS)], CLEAN),
    ]
    for title, command, env in clients:
        with server("resend") as (url, key, _):
            scopes = ("keys:read", "keys:write", "users:read", "users:write")
            keys = {"KEY": key("Team", "1000/1s", *scopes)[0], "LIMITED_KEY": key("Tight", "1/60s", "keys:read")[0]}
            passes(title, command, {**env, "BASE_URL": url, **keys})


def oauth_clients():
    sys.path.insert(0, str(HERE / "python"))
    from user_agent import user_agent

    redirect, email, password = "http://127.0.0.1:8998/callback", "reader@example.com", "a long password"
    with server("native") as (url, _, keyrack):
        keyrack("user", "add", "--email", email, "--name", "Reader", "--password-file", "-", stdin=password)
        client = keyrack("client", "create", "Tool", "--redirect-uri", redirect)
        public = keyrack("client", "create", "App", "--public", "--redirect-uri", redirect)
        with user_agent(url, email, password, redirect) as agent:
            env = {
                "BASE_URL": url,
                "USER_AGENT_URL": agent,
                "REDIRECT_URI": redirect,
                "CLIENT_ID": client["client_id"],
                "CLIENT_SECRET": client["client_secret"],
                "PUBLIC_ID": public["client_id"],
            }
            passes("OAuth: oauth4webapi and openid-client", ["node", "oauth.mjs"], {**CLEAN, **env})
            passes("OAuth: Authlib and requests-oauthlib", [sys.executable, "oauth_clients.py"], {**PYTHON, **env})


def samples():
    """The documents' own code, with nothing replaced but the host and the key."""
    with server("native") as (url, key, _), tempfile.TemporaryDirectory(prefix="keyrack-samples.") as scratch:
        secret, user = key("Reader", "1000/1s", "users:read")

        def sample(name, key=secret):
            text = (HERE / "samples" / name).read_text()
            text = text.replace("https://api.example.com", url).replace("INVALID_KEY", "kr_invalid").replace("YOUR_API_KEY", key)
            path = Path(scratch) / name
            path.write_text(text)
            return str(path)

        listed = '"email":"reader@example.com"'
        env = {**CLEAN, "API_KEY": secret, "NODE_PATH": str(HERE / "node_modules")}
        python = {**PYTHON, "API_KEY": secret}
        passes("sample: curl", ["sh", "-e", sample("list_users.sh")], env, listed)
        passes("sample: curl -X GET", ["sh", "-e", sample("list_users_with_get.sh")], env, listed)
        both = passes("sample: testing authentication", ["sh", sample("test_authentication.sh")], env, listed)
        assert '"error":"invalid_api_key"' in both, both
        passes("sample: JavaScript, fetch", ["node", sample("list_users.js")], env, "reader@example.com")
        passes("sample: Python, requests", [sys.executable, sample("list_users.py")], python, "reader@example.com")

        calls = f"""
            getUser("{user}").then((user) => console.log(user.email));
            getUser("123").catch((error) => console.log(error.response.status, error.response.data.error));
        """
        node = sample("get_user.cjs")
        append(node, calls)
        said = passes("sample: Node.js, axios", ["node", node], env, "reader@example.com")
        assert "404 not_found" in said, said
        node = sample("get_user.cjs")
        append(node, 'getUser("123").catch(() => {});')
        passes("sample: Node.js, a wrong key", ["node", node], {**env, "API_KEY": "kr_wrong"}, "Authentication failed")

        client = Path(sample("api_client.py"))
        code = client.read_text()
        client.write_text(code.replace("get_user('123')", f"get_user('{user}')"))
        passes("sample: Python, a session", [sys.executable, str(client)], python, "reader@example.com")
        client.write_text(code)
        done = subprocess.run([sys.executable, str(client)], env=python, text=True, capture_output=True)
        assert "404 Client Error" in done.stderr, done.stderr
        print("ok  sample: Python, an id that cannot exist")

        if shutil.which("go") is None:
            print("--  sample: Go is not installed")
            return
        go = sample("api_client.go")
        append(go, f"""
func main() {{
    user, err := NewAPIClient().GetUser("{user}")
    fmt.Println(user["email"], err)
    user, err = NewAPIClient().GetUser("123")
    fmt.Println(user["error"], err)
}}
""")
        env = {**env, "GOCACHE": str(Path(scratch) / "cache"), "GOFLAGS": "-mod=mod", "GO111MODULE": "off", "HOME": scratch}
        said = passes("sample: Go", ["go", "run", go], env, "reader@example.com <nil>")
        assert "not_found <nil>" in said, said


resend_clients()
oauth_clients()
samples()
