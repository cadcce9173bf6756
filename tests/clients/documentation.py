"""Runs every sample of every page below /docs in its language, against a real server.

Each language gets a server of its own and reads the pages from there. Nothing of a sample is changed but the words in
capitals (YOUR_API_KEY, USER_ID, …), which become real ones. What a sample prints is compared with the answer that its page
shows: the status, and the shape of the body. `make test-docs` builds what is needed.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from harness import CLEAN, HERE, PYTHON, ROOT, server

LANGUAGES = ["curl", "javascript", "python", "go", "rust"]
# Programs that receive rather than send, and settings of gateways: `make test-clients` and `make test-gateways` run those.
ELSEWHERE = {"webhooks", "gateways"}
REDIRECT, PERSON, PASSWORD = "https://app.example.com/callback", "ada@example.com", "a long password"


class Sample:
    def __init__(self, page, n, code, status, answer):
        self.page, self.n, self.code, self.status, self.answer = page, n, code, status, answer

    def __str__(self):
        return f"{self.page} ({self.n})"


class World:
    """A server, and whatever a sample may ask for on it."""

    def __init__(self, url, keyrack):
        self.url, self.keyrack = url, keyrack
        keyrack("tier", "set", "Wide", "--unlimited")
        keyrack("account", "set", "Default", "--tier", "Wide")
        keyrack("user", "add", "--email", PERSON, "--name", "Ada", "--password-file", "-", stdin=PASSWORD)
        self.key = keyrack("key", "create", "samples", "--scope", "admin")["secret"]
        self.client = keyrack("client", "create", "Samples", "--redirect-uri", REDIRECT)
        self.count = 0

    def call(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode() if body is not None else None, headers, method=method)
        return json.loads(urllib.request.urlopen(request, timeout=10).read() or "null")

    def new(self, word):
        """What stands for a word in capitals: something of its own for each sample."""
        self.count += 1
        n = self.count
        if word == "YOUR_API_KEY":
            return self.key
        if word == "USER_ID":
            return self.call("POST", "/v1/users", {"name": f"N {n}", "email": f"n{n}@example.com", "password": PASSWORD})["id"]
        if word in ("KEY_ID", "KEY_TO_CHECK", "LEAKED_KEY"):
            key = self.call("POST", "/v1/keys", {"name": f"n{n}"})
            return key["id" if word == "KEY_ID" else "secret"]
        if word == "WEBHOOK_ID":
            return self.call("POST", "/v1/webhooks", {"url": RECEIVER, "events": ["user.created"]})["id"]
        if word == "DELIVERY_ID":
            hook = self.new("WEBHOOK_ID")
            self.new("USER_ID")
            until = time.monotonic() + 20
            while time.monotonic() < until:
                sent = self.call("GET", f"/v1/webhooks/{hook}/deliveries")
                if sent and sent[0]["status"] == "delivered":
                    return sent[0]["id"]
                time.sleep(0.05)
            raise SystemExit("no message was delivered")
        if word == "CLIENT_ID":
            return self.client["client_id"]
        if word == "CLIENT_SECRET":
            return self.client["client_secret"]
        if word == "GRANT_ID":
            # A client's own access is a grant, too.
            other = self.keyrack("client", "create", f"n{n}", "--redirect-uri", REDIRECT)
            self.token(other, grant_type="client_credentials")
            return self.call("GET", f"/oauth/grants?client_id={other['client_id']}")[0]["id"]
        if word in ("ACCESS_TOKEN", "REFRESH_TOKEN"):
            given = self.token(self.client, grant_type="authorization_code", code=self.code(), redirect_uri=REDIRECT, code_verifier=VERIFIER)
            return given[word.lower()]
        if word == "CODE_VERIFIER":
            return VERIFIER
        if word == "CODE":
            return self.code()
        raise SystemExit(f"nothing is known to stand for {word}")

    def token(self, client, **asked):
        body = {"client_id": client["client_id"], "client_secret": client["client_secret"], **asked}
        request = urllib.request.Request(f"{self.url}/oauth/token", json.dumps(body).encode(), {"Content-Type": "application/json"})
        return json.loads(urllib.request.urlopen(request, timeout=10).read())

    def code(self):
        sys.path.insert(0, str(HERE / "python"))
        from user_agent import user_agent

        link = f"{self.url}/oauth/authorize?" + urllib.parse.urlencode({
            "response_type": "code", "client_id": self.client["client_id"], "redirect_uri": REDIRECT, "scope": "users:read",
            "code_challenge": CHALLENGE, "code_challenge_method": "S256",
        })
        with user_agent(self.url, PERSON, PASSWORD, REDIRECT) as agent:
            back = urllib.request.urlopen(f"{agent}/?" + urllib.parse.urlencode({"link": link}), timeout=10).read().decode()
        return urllib.parse.parse_qs(urllib.parse.urlsplit(back).query)["code"][0]

    def filled(self, code):
        values = {}

        def stands_for(match):
            word = match.group()
            values.setdefault(word, None)
            if values[word] is None:
                values[word] = self.new(word)
            return values[word]

        return re.sub(WORDS, stands_for, code)


# RFC 7636, appendix B.
VERIFIER, CHALLENGE = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
WORDS = r"\b(?:YOUR_API_KEY|KEY_TO_CHECK|LEAKED_KEY|(?:USER|KEY|WEBHOOK|DELIVERY|GRANT|CLIENT)_ID|CLIENT_SECRET|(?:ACCESS|REFRESH)_TOKEN|CODE_VERIFIER|CODE)\b"


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def fetch(url):
    return urllib.request.urlopen(url, timeout=30).read().decode()


def samples(base, language):
    """Those of all pages, each once: what an operation's page shows stands in guides, too."""
    pages = re.findall(rf"\]\({re.escape(base)}(/docs/[^)]*\.md)\)", fetch(f"{base}/llms.txt"))
    # The operations first: they make what some of the guides' samples need.
    pages.sort(key=lambda page: not page.startswith("/docs/api/"))
    found = {}
    for page in pages:
        name = page.removeprefix("/docs/").removesuffix(".md")
        text = fetch(base + page)
        blocks = re.findall(r"^```([^\n]*)\n(.*?)^```$", text, re.S | re.M)
        shown = [(info.split()[1], body) for info, body in blocks if re.fullmatch(r"json 2\d\d", info)]
        # Without one the answer has no body.
        empty = re.search(r"^Status (2\d\d) has no body", text, re.M)
        status, answer = (int(shown[0][0]), json.loads(shown[0][1])) if shown else (int(empty.group(1)) if empty else 200, None)
        ours = [body for info, body in blocks if info == language]
        for n, code in enumerate(ours, 1):
            if name not in ELSEWHERE:
                found.setdefault(code, Sample(name, n, code, status, answer))
    return list(found.values())


def run(command, env, cwd):
    done = subprocess.run(command, cwd=cwd, env=env, text=True, capture_output=True, timeout=120)
    if done.returncode != 0:
        raise AssertionError(f"ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def by_file(ending, command):
    """A program for each sample."""

    def prints(world, all_samples, scratch):
        def one(numbered):
            n, sample = numbered
            path = Path(scratch) / f"sample{n}.{ending}"
            path.write_text(world.filled(sample.code))
            try:
                return run([*command, str(path)], {**PYTHON, "HOME": scratch}, scratch)
            except AssertionError as failed:
                return failed

        # In their order, since some need what others made; but a page's samples never wait for another language's.
        return [one(numbered) for numbered in enumerate(all_samples)]

    return prints


def in_go(world, all_samples, scratch):
    """A package for each, in one module with one program that calls them."""
    root = Path(scratch)
    (root / "go.mod").write_text("module samples\n\ngo 1.19\n")
    for n, sample in enumerate(all_samples):
        (root / f"s{n}").mkdir()
        code = world.filled(sample.code)
        code = code.replace("package main", f"package s{n}", 1).replace("func main()", "func Main()", 1)
        (root / f"s{n}/sample.go").write_text(code)
    names = range(len(all_samples))
    imports = "".join(f'\t"samples/s{n}"\n' for n in names)
    calls = ", ".join(f"s{n}.Main" for n in names)
    main = f'package main\n\nimport (\n\t"os"\n\t"strconv"\n{imports})\n\nfunc main() {{\n'
    main += f"\tn, _ := strconv.Atoi(os.Args[1])\n\t[]func(){{{calls}}}[n]()\n}}\n"
    (root / "main.go").write_text(main)
    env = {**CLEAN, "HOME": scratch, "GOCACHE": str(ROOT / "target/clients/go"), "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    run(["go", "vet", "./..."], env, scratch)
    run(["go", "build", "-o", "all", "."], env, scratch)
    return each_of(root / "all", all_samples, scratch)


def in_rust(world, all_samples, scratch):
    """A module for each, in one program."""
    modules = []
    for n, sample in enumerate(all_samples):
        modules.append(f"mod s{n} {{\n{world.filled(sample.code)}\npub fn run() -> Result<(), Box<dyn std::error::Error>> {{ main() }}\n}}\n")
    calls = ", ".join(f"s{n}::run" for n in range(len(all_samples)))
    main = "fn main() -> Result<(), Box<dyn std::error::Error>> {\n    let n: usize = std::env::args().nth(1).unwrap().parse()?;\n"
    main += f"    let all: &[fn() -> Result<(), Box<dyn std::error::Error>>] = &[{calls}];\n    all[n]()\n}}\n"
    (Path(scratch) / "all.rs").write_text("".join(modules) + main)
    env = {**os.environ, "SAMPLES": scratch}
    manifest, target = HERE / "rust/Cargo.toml", ROOT / "target/clients"
    cargo = os.environ.get("CARGO", "cargo")
    run([cargo, "build", "--quiet", "--locked", "--manifest-path", str(manifest), "--target-dir", str(target), "--bin", "samples", "--features", "samples"], env, str(ROOT))
    return each_of(target / "debug/samples", all_samples, scratch)


def each_of(program, all_samples, scratch):
    def one(n):
        try:
            return run([str(program), str(n)], CLEAN, scratch)
        except AssertionError as failed:
            return failed

    return [one(n) for n in range(len(all_samples))]


PRINTS = {
    "curl": by_file("sh", ["sh", "-e"]),
    "javascript": by_file("mjs", ["node"]),
    "python": by_file("py", [sys.executable]),
    "go": in_go,
    "rust": in_rust,
}
NEEDS = {"curl": "curl", "javascript": "node", "python": "python3", "go": "go", "rust": "cargo"}


def of_curl(printed):
    """With `-i` the head comes first; without it there is the body alone."""
    if not printed.startswith("HTTP/"):
        return None, json.loads(printed) if printed.strip() else ""
    head, _, body = printed.replace("\r\n", "\n").partition("\n\n")
    return int(head.split()[1]), body_of(body)


def of_line(printed):
    """`200 OK {…}`, as Go and Rust print it."""
    matched = re.match(r"(\d{3})(?: [A-Z][A-Za-z -]*)?(?= |$)", printed.rstrip("\n"))
    return int(matched.group(1)), body_of(printed[matched.end():])


def of_python(printed):
    status, _, rest = printed.partition(" ")
    try:
        return int(status), ast.literal_eval(rest.strip()) if rest.strip() else ""
    except (SyntaxError, ValueError):
        return int(status), rest


def of_javascript(printed):
    """What `console.log` shows of a value is an expression; `[Object]` is something deeper."""
    status, _, rest = printed.strip().partition(" ")
    if not rest.strip().startswith(("{", "[")):
        return int(status), rest
    read = "const v = eval('(' + require('fs').readFileSync(0, 'utf8') + ')'); console.log(JSON.stringify(v))"
    done = subprocess.run(["node", "-e", read], input=rest, text=True, capture_output=True, check=True)
    return int(status), json.loads(done.stdout)


def body_of(text):
    text = text.strip()
    return json.loads(text) if text.startswith(("{", "[")) else text


READS = {"curl": of_curl, "javascript": of_javascript, "python": of_python, "go": of_line, "rust": of_line}
# What differs from answer to answer: an example has other notes, other windows.
FREE = {"metadata", "windows", "headers", "log"}


def differs(shown, printed, place="it"):
    """Where a printed answer has another shape than the one shown; None where it has the same."""
    if shown is None or printed is None or printed == [None]:
        return None
    if isinstance(shown, dict) and isinstance(printed, dict):
        if shown.keys() != printed.keys():
            return f"{place} has {sorted(printed)} and not {sorted(shown)}"
        return next(filter(None, (differs(shown[k], printed[k], f"{place}.{k}") for k in shown if k not in FREE)), None)
    if isinstance(shown, list) and isinstance(printed, list):
        return differs(shown[0], printed[0], f"{place}[0]") if shown and printed else None
    same = type(shown) is type(printed)
    return None if same else f"{place} is {printed!r} and not like {shown!r}"


def wrong(language, sample, printed):
    if isinstance(printed, AssertionError):
        return str(printed)
    status, body = READS[language](printed)
    if status is not None and status != sample.status:
        return f"answered {status} and not {sample.status}: {printed}"
    if status is None and isinstance(body, dict) and "error" in body:
        return printed
    if sample.answer is None:
        return None if status != 204 or body == "" else f"204 with a body: {printed}"
    if status is None and sample.page in ("oauth",):
        return None if "access_token" in body else printed
    different = differs(sample.answer, body)
    return different and f"{different}: {printed}"


def check(language):
    began = time.monotonic()
    if shutil.which(NEEDS[language]) is None:
        return [f"--  {language}: {NEEDS[language]} is not installed"], []
    with server("native", KEYRACK_WEBHOOKS_ALLOW_PRIVATE_TARGETS="true") as (url, _, keyrack), tempfile.TemporaryDirectory(prefix="keyrack-docs.") as scratch:
        world = World(url, keyrack)
        all_samples = samples(url, language)
        printed = PRINTS[language](world, all_samples, scratch)
    failed = [f"{language}: {sample}: {why}" for sample, text in zip(all_samples, printed) if (why := wrong(language, sample, text))]
    took = time.monotonic() - began
    return [f"ok  {language}: {len(all_samples) - len(failed)} of {len(all_samples)} samples ({took:.0f} s)"], failed


receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
RECEIVER = f"http://127.0.0.1:{receiver.server_port}/"

asked = sys.argv[1:] or LANGUAGES
with ThreadPoolExecutor(2) as pool:
    results = list(pool.map(check, asked))
print("--  powershell: no published package for this system") if shutil.which("pwsh") is None else None
for lines, _ in results:
    print(*lines, sep="\n")
failures = [failure for _, failed in results for failure in failed]
if failures:
    sys.exit("\n\n".join(failures))
