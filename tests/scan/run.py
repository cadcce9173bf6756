"""Scanners of others against a running server, a few minutes each. Reports go to target/scan; what they must not find fails."""

import contextlib
import http.client
import http.cookiejar
import json
import os
import random
import re
import ssl
import statistics
import string
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
KEYRACK = os.environ.get("KEYRACK", str(ROOT / "target/debug/keyrack"))
REPORTS = ROOT / "target/scan"
PYTHON = REPORTS / "python"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")}
ENV = {**CLEAN, "KEYRACK_ALLOW_VOLATILE": "1"}
BOUND = int(os.environ.get("SECONDS_EACH", "240"))


def keyrack(data, *args, stdin=None):
    done = subprocess.run([KEYRACK, "--data", data, "--quiet", "--json", *args], env=ENV, input=stdin, text=True, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout) if done.stdout.strip() else None


@contextlib.contextmanager
def server(tls=False, env=()):
    """A server with somebody in it; gives its address and a key that may do everything."""
    with tempfile.TemporaryDirectory(prefix="keyrack-scan.") as data:
        keyrack(data, "admin", "create", "--email", "admin@example.com", "--password-file", "-", stdin="a long password")
        keyrack(data, "tier", "set", "Wide", "--window", "1000000/1s")
        keyrack(data, "account", "set", "Default", "--tier", "Wide")
        secret = keyrack(data, "key", "create", "scanner", "--scope", "admin")["secret"]
        env = {**ENV, **dict(env), **({"KEYRACK_TLS_MODE": "self-signed"} if tls else {})}
        with open(REPORTS / "server.log", "a") as log:
            process = subprocess.Popen(
                [KEYRACK, "--data", data, "--json", "serve", "--listen", "127.0.0.1:0"], env=env, text=True, stdout=subprocess.PIPE, stderr=log
            )
            started = ""
            while not started.rstrip().endswith("}"):
                line = process.stdout.readline()
                if not line:
                    sys.exit(f"the server did not start: {started}")
                started += line
            told = json.loads(started)
            yield ("https" if tls else "http") + "://" + told["listen"], secret
            if process.poll() is not None:
                sys.exit("the server ended under the scan")
            process.terminate()
            process.wait(timeout=40)
            process.stdout.close()


def run(name, command, seconds=BOUND):
    """Runs a scanner, no longer than that; gives what it said."""
    path = REPORTS / f"{name}.txt"
    with open(path, "w") as out:
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(list(map(str, command)), stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=seconds)
    return path.read_text(errors="replace")


def sslyze():
    with server(tls=True) as (url, _):
        report = REPORTS / "sslyze.json"
        looks = ["sslv2", "sslv3", "tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3", "heartbleed", "openssl_ccs", "compression", "reneg", "robot", "certinfo"]
        looks = [f"--{look}" for look in looks]
        run("sslyze", [PYTHON / "sslyze/bin/sslyze", "--mozilla_config=disable", *looks, f"--json_out={report}", url.removeprefix("https://")])
    found = json.loads(report.read_text())["server_scan_results"][0]["scan_result"]
    accepted = {name: len((found[f"{name}_cipher_suites"]["result"] or {}).get("accepted_cipher_suites", [])) for name in
                ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3"]}
    old = {name: count for name, count in accepted.items() if name < "tls_1_2" and count}
    flaws = [
        *(f"{name} is spoken" for name in old),
        *(["heartbleed"] if found["heartbleed"]["result"]["is_vulnerable_to_heartbleed"] else []),
        *(["ccs injection"] if found["openssl_ccs_injection"]["result"]["is_vulnerable_to_ccs_injection"] else []),
        *(["compression"] if found["tls_compression"]["result"]["supports_compression"] else []),
        *(["renegotiation by the client"] if found["session_renegotiation"]["result"]["is_vulnerable_to_client_renegotiation_dos"] else []),
    ]
    return flaws, f"TLS 1.2 with {accepted['tls_1_2']} suites, 1.3 with {accepted['tls_1_3']}, nothing older"


def signed_in(url):
    """The cookie of an administrator's session."""
    jar = http.cookiejar.CookieJar()
    tls = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
    browser = urllib.request.build_opener(tls, urllib.request.HTTPCookieProcessor(jar))
    page = browser.open(f"{url}/sign-in").read().decode()
    form = {"csrf": re.search(r'name="csrf" value="([^"]+)"', page)[1], "email": "admin@example.com", "password": "a long password"}
    browser.open(urllib.request.Request(f"{url}/sign-in", urllib.parse.urlencode(form).encode(), {"Sec-Fetch-Site": "same-origin"}))
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)


# Headers that browsers have taken no notice of for years.
OLD = ["X-XSS-Protection is not set"]


def wapiti():
    with server(tls=True) as (url, _):
        report = REPORTS / "wapiti.json"
        report.unlink(missing_ok=True)
        starts = [f"{url}{path}" for path in ["/admin", "/admin/users", "/admin/keys", "/settings/api-keys", "/docs", "/status"]]
        cookie = signed_in(url)
        # What ends the session itself, changes its holder, or asks them for more than a password, is left out.
        command = [PYTHON / "wapiti3/bin/wapiti", "-u", f"{url}/", "--verify-ssl", "0", "--flush-session", "-f", "json", "-o", report, "--scope", "folder", "-d", "3",
                   "-x", f"{url}/sign-out*", "-x", f"{url}/settings/security*", "-x", f"{url}/admin/settings/security*", "-x", f"{url}/admin/users/user_*/*", "-H", f"Cookie: {cookie}", "-H", "Sec-Fetch-Site: same-origin", "--max-links-per-page", "30",
                   "--max-scan-time", BOUND // 3, "--max-attack-time", BOUND // 12, "-v", "1", "--no-bugreport",
                   "-m", "sql,xss,permanentxss,crlf,redirect,file,exec,csp,http_headers,cookieflags,backup,htaccess,methods"]
        for start in starts:
            command += ["-s", start]
        said = run("wapiti", command, 3 * BOUND)
        tls = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
        last = urllib.request.build_opener(tls).open(urllib.request.Request(f"{url}/admin", headers={"Cookie": cookie}))
        if not last.geturl().endswith("/admin"):
            sys.exit("wapiti lost its session")
    found = json.loads(report.read_text())
    flaws = [
        f"{kind}: {flaw['info'].strip()} ({flaw['path']})"
        for kind, list_ in {**found["vulnerabilities"], **found["anomalies"]}.items()
        for flaw in list_
        if flaw["info"].strip() not in OLD
    ]
    pages = set(re.findall(r"GET https?://[^/]+(/[^ ?]*)", said))
    forms = len(set(re.findall(r"POST https?://[^/]+(/[^ ?]*)", said)))
    inside = len([page for page in pages if page.startswith("/admin")])
    if inside < 20:
        flaws.append(f"it found {inside} pages below /admin alone")
    return flaws, f"{len(pages)} pages as an administrator, {inside} of them below /admin, and {forms} forms, over TLS"


def timing():
    """Whether the time of a refusal tells how much of a key was right."""
    env = {"KEYRACK_LIMITS_ANONYMOUS_PER_MINUTE": "1000000000"}
    with server(env=env) as (url, secret):
        host = url.removeprefix("http://")
        body = secret.removeprefix("kr_")[:43]
        other = lambda at: with_checksum("kr_" + body[:at] + ("0" if body[at] != "0" else "1") + body[at + 1 :])
        wrong = [other(0), other(42), with_checksum("kr_" + "".join(random.choices(ALPHABET, k=43)))]
        line = http.client.HTTPConnection(host)

        def refused(key):
            began = time.perf_counter_ns()
            line.request("GET", "/v1/users", headers={"Authorization": f"Bearer {key}"})
            answer = line.getresponse()
            answer.read()
            assert answer.status == 401, answer.status
            return time.perf_counter_ns() - began

        keys = interleaved(wrong, refused, 4000)
    pairs = {"first and last character": (0, 1), "last character and all": (1, 2), "first character and all": (0, 2)}
    told = {name: welch(keys[one], keys[two]) for name, (one, two) in pairs.items()}
    flaws = [f"{name}: t = {t:.1f}" for name, t in told.items() if abs(t) > 4.5]
    return flaws, "a key wrong in its first character, in its last and in all, 4000 of each in turns: Welch's t at most " + f"{max(map(abs, told.values())):.1f}"


ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase


def with_checksum(text):
    rest, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits = ALPHABET[digit] + digits
    return text + digits


def interleaved(kinds, measure, count):
    """Samples of each kind, in an order of chance within each turn."""
    samples = [[] for _ in kinds]
    for _ in range(count):
        for kind in random.sample(range(len(kinds)), len(kinds)):
            samples[kind].append(measure(kinds[kind]))
    return samples


def welch(one, two):
    """Welch's t, without the slowest tenth, which is the machine's."""
    one, two = (sorted(samples)[: len(samples) * 9 // 10] for samples in (one, two))
    spread = statistics.variance(one) / len(one) + statistics.variance(two) / len(two)
    return (statistics.mean(one) - statistics.mean(two)) / spread**0.5


def sqlmap():
    said = ""
    with server() as (url, secret):
        for path in ["/v1/users?q=a*&limit=5", "/v1/users?email=a*", "/v1/users?sort=created_at*", "/v1/keys?status=active*", "/v1/users?after=a*", "/docs/search?q=a*"]:
            said += run("sqlmap", ["sqlmap", "-u", url + path, "--batch", "--dbms=SQLite", "--level=2", "--risk=2", "--flush-session", "--technique=BEUST", "--time-sec=2",
                                   "-H", f"Authorization: Bearer {secret}", "--ignore-code=400,404"], BOUND // 2)
    (REPORTS / "sqlmap.txt").write_text(said)
    return re.findall(r"is vulnerable|Type: .*", said), f"{len(re.findall('testing ', said))} kinds of probe over 6 parameters"


def slowhttptest():
    left = []
    with server() as (url, _):
        for kind, name in [("-H", "headers"), ("-B", "body"), ("-X", "reading")]:
            path = "/healthz" if kind != "-B" else "/v1/keys/report"
            said = run(f"slowhttptest{kind}", ["slowhttptest", "-c", "400", kind, "-i", "2", "-r", "200", "-u", url + path, "-p", "3", "-l", "25"], 60)
            left += [f"{name}: the service was not available"] if "service available:   NO" in re.sub(r"\x1b\[[0-9;]*m", "", said) else []
        time.sleep(1)
    return left, "400 slow clients of each kind, the service was available throughout"


def main():
    REPORTS.mkdir(parents=True, exist_ok=True)
    only, failed = sys.argv[1:], False
    print("| scanner | looked at | found |\n|---|---|---|", flush=True)
    for scan in [sslyze, wapiti, sqlmap, slowhttptest, timing]:
        if only and scan.__name__ not in only:
            continue
        flaws, looked_at = scan()
        failed |= bool(flaws)
        print(f"| {scan.__name__} | {looked_at} | {'; '.join(flaws) or 'nothing'} |", flush=True)
    sys.exit(1 if failed else 0)


main()
