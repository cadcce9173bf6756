"""Runs the published clients, and the samples of the documents, against a real server.

Each dialect's server is the binary itself on scratch data; `make test-clients` builds it and installs what is needed.
"""

import base64
import hashlib
import hmac
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from harness import CLEAN, HERE, PYTHON, ROOT, passes, server

RUST = ROOT / "target/clients/debug"


def append(path, text):
    with open(path, "a") as file:
        file.write(text)


def resend_clients():
    clients = [
        ("resend for Node", ["node", "resend.mjs"], CLEAN),
        ("resend for Python", [sys.executable, "resend_keys.py"], PYTHON),
        ("resend-rs", [str(RUST / "resend-client")], CLEAN),
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
            passes("OAuth: oauth2 for Rust", [str(RUST / "oauth")], {**CLEAN, **env})


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


def documented(language):
    """The one block of this language in the guide."""
    text = (ROOT / "docs/WEBHOOKS.md").read_text()
    [block] = re.findall(rf"^```{language}\n(.*?)^```$", text, re.S | re.M)
    return block


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def answer_to(port, message, body):
    """What a receiver answers to a message whose body is this."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body.encode(), {**message, "content-type": "application/json"})
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as refused:
        return refused.code


def signed(secret, body, at):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = base64.b64encode(hmac.new(key, f"evt_1.{at}.{body}".encode(), hashlib.sha256).digest()).decode()
    return {"webhook-id": "evt_1", "webhook-timestamp": str(at), "webhook-signature": f"v1,c3RhbGU= v1,{mac}"}


def receivers():
    """The guide's receivers, as they stand: each takes what the server sends, and refuses what was changed or is old."""
    assert documented("rust") == (HERE / "rust/src/bin/receiver.rs").read_text(), "the guide has another receiver in Rust"
    with tempfile.TemporaryDirectory(prefix="keyrack-receivers.") as scratch:
        def file(name, language):
            (Path(scratch) / name).write_text(documented(language))
            return str(Path(scratch) / name)

        # Its import is found beside the file.
        (Path(scratch) / "node_modules").symlink_to(HERE / "node_modules")
        go = {"GOCACHE": str(Path(scratch) / "cache"), "GO111MODULE": "off", "HOME": scratch}
        php = ["php", "-q", "-S", "127.0.0.1:{port}", file("receiver.php", "php")]
        commands = [
            ("JavaScript, standardwebhooks", ["node", file("receiver.mjs", "js")], {}),
            ("Python, standardwebhooks", [sys.executable, file("receiver.py", "python")], {"PYTHONPATH": PYTHON["PYTHONPATH"]}),
            ("Rust, standardwebhooks", [str(RUST / "receiver")], {}),
            ("Go", ["go", "run", file("receiver.go", "go")], go),
            ("PHP", php, {}),
        ]
        with server("native", KEYRACK_WEBHOOKS_ALLOW_PRIVATE_TARGETS="true") as (_, key, keyrack):
            for title, command, more in commands:
                if shutil.which(command[0]) is None:
                    print(f"--  receiver: {title}: {command[0]} is not installed")
                    continue
                port = free_port()
                secret = keyrack("webhook", "add", f"http://127.0.0.1:{port}/", "--event", "user.created")["secret"]
                env = {**CLEAN, **more, "KEYRACK_WEBHOOK_SECRET": secret, "PORT": str(port)}
                command = [word.format(port=port) for word in command]
                receiver = subprocess.Popen(
                    command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
                )
                try:
                    until = time.monotonic() + 60
                    while True:
                        with socket.socket() as door:
                            if door.connect_ex(("127.0.0.1", port)) == 0:
                                break
                        assert time.monotonic() < until and receiver.poll() is None, f"{title} did not start"
                        time.sleep(0.05)
                    name = f"told-{port}"
                    keyrack("user", "add", "--email", f"{name}@example.com", "--name", name)
                    said = receiver.stdout.readline()
                    assert said.startswith("user.created evt_"), (title, said)
                    body, now = '{"id":"evt_1","type":"user.created"}', int(time.time())
                    good = signed(secret, body, now)
                    assert answer_to(port, good, body) == 204, title
                    assert answer_to(port, good, body.replace("created", "deleted")) == 401, title
                    assert answer_to(port, {**good, "webhook-id": "evt_2"}, body) == 401, title
                    assert answer_to(port, signed(secret, body, now - 600), body) == 401, title
                    print(f"ok  receiver: {title}")
                finally:
                    os.killpg(receiver.pid, signal.SIGKILL)
                    receiver.wait()
                    receiver.stdout.close()


resend_clients()
oauth_clients()
samples()
receivers()
