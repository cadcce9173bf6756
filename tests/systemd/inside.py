#!/usr/bin/python3
"""What an operator does with the service, one after the other, under a real systemd. Runs inside the container of run.sh."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

HERE = Path("/test")
LOG = (HERE / "log").open("w", buffering=1)
DATABASE = Path("/var/lib/keyrack/keyrack.db")


def say(words):
    print(words, file=LOG)


def sh(*command, ok=True):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if ok and done.returncode != 0:
        journal = subprocess.run(["journalctl", "-u", "keyrack", "-n", "30", "--no-pager"], capture_output=True, text=True).stdout
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}\n{journal}")
    return done


def show(name):
    return sh("systemctl", "show", "-p", name, "--value", "keyrack.service").stdout.strip()


def check(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, not {wanted!r}")
    say(f"ok      {what}")


def get(port, path="/healthz", tls=False, address="127.0.0.1"):
    """The status of an answer; a refused connection raises."""
    with socket.create_connection((address, port), timeout=30) as plain:
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            stream = context.wrap_socket(plain, server_hostname="localhost")
        else:
            stream = plain
        stream.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        first = stream.makefile("rb").readline().decode()
        return int(first.split(" ")[1]) if first else 0


def niceness_of(name):
    """Of each thread of the service that is called so (proc_pid_stat(5), field 19)."""
    threads = [task for task in Path(f"/proc/{show('MainPID')}/task").iterdir() if (task / "comm").read_text().strip() == name]
    return [int((task / "stat").read_text().rpartition(")")[2].split()[16]) for task in threads]


def until(what, happened, seconds=60):
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain until {what}")
        time.sleep(0.1)


class Load:
    """Clients that ask again and again on new connections, and count who was not answered."""

    def __init__(self, port, tls=False):
        self.port, self.tls, self.over, self.answered, self.faults = port, tls, False, 0, []
        self.threads = [threading.Thread(target=self.ask) for _ in range(4)]

    def ask(self):
        while not self.over:
            try:
                status = get(self.port, tls=self.tls)
                if status != 200:
                    self.faults.append(status)
                self.answered += 1
            except OSError as err:
                self.faults.append(repr(err))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        time.sleep(0.5)
        self.over = True
        for thread in self.threads:
            thread.join()


def restarts_lose_nobody(what, port, act, tls=False):
    with Load(port, tls) as load:
        act()
    check(f"{what}: nobody refused in {load.answered} requests", load.faults[:3], [])
    check(f"{what}: under load", load.answered > 5, True)


def installed_by_itself():
    install = lambda *more: sh("/test/keyrack", "install", "--yes", *more)
    install()
    check("the service runs", show("ActiveState"), "active")
    check("it said so itself", show("Type"), "notify")
    check("it answers", get(8080, "/readyz"), 200)
    check("it is nobody special", user_of(show("MainPID")), "keyrack")
    check("its data is its own", oct(DATABASE.parent.stat().st_mode & 0o777), "0o700")
    check("a second install has nothing to do", "Nothing to do." in install().stderr, True)

    logged = ["journalctl", "-u", "keyrack", "TARGET=access", "PATH=/readyz", "-o", "json", "-n", "1", "--no-pager"]
    until("the journal has the request", lambda: sh(*logged).stdout)
    entry = json.loads(sh(*logged).stdout)
    told = entry["STATUS"], entry["PRIORITY"], entry["REQUEST_ID"][:4], entry["MESSAGE"].startswith("method=GET path=/readyz")
    check("a request is fields of the journal", told, ("200", "6", "req_", True))
    limits = Path(f"/proc/{show('MainPID')}/limits").read_text().splitlines()
    core = next(line for line in limits if line.startswith("Max core file size")).split()[4:6]
    check("no core dump is ever written", core, ["0", "0"])
    check("hashing gives way to the API", set(niceness_of("passwords")), {10})

    exposure = sh("systemd-analyze", "security", "--no-pager", "keyrack.service").stdout.strip().splitlines()[-1]
    level = float(next(word for word in exposure.split() if word[0].isdigit()))
    check(f"systemd-analyze security says {level}", level <= 1.5, True)

    restarts_lose_nobody("three restarts", 8080, lambda: [sh("systemctl", "restart", "keyrack.service") for _ in range(3)])

    before = show("MainPID")
    os.kill(int(before), signal.SIGKILL)
    until("it runs again", lambda: show("ActiveState") == "active" and show("MainPID") not in ("0", before))
    check("a crash is followed by a start", get(8080, "/readyz"), 200)

    key = keyrack("key", "create", "ci", "--scope", "write", "--json", first=["admin", "create", "--email", "ada@example.com"])
    body = json.dumps({"name": "Grace", "email": "grace@example.com", "password": "nanoseconds of wire"}).encode()
    head = f"POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {json.loads(key)['secret']}\r\n"
    head += f"Content-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", 8080), timeout=30) as slow:
        slow.sendall(head.encode() + body[:10])
        time.sleep(0.5)
        sh("systemctl", "stop", "--no-block", "keyrack.service", "keyrack.socket")
        until("it says that it stops", lambda: show("ActiveState") == "deactivating")
        time.sleep(1)
        slow.sendall(body[10:])
        check("a stop waits for the request under way", slow.makefile("rb").readline().split(b" ")[1], b"201")
    until("it has stopped", lambda: show("ActiveState") == "inactive")
    check("and is no failure", (show("Result"), show("ExecMainStatus")), ("success", "0"))
    sh("systemctl", "start", "keyrack.service")

    began = time.monotonic()
    sh("systemctl", "stop", "keyrack.service")
    check("a stop without work is quick", time.monotonic() - began < 5, True)
    check("a stop is no failure", show("Result"), "success")
    sh("systemctl", "start", "keyrack.service")

    drop_in = Path("/run/systemd/system/keyrack.service.d/watchdog.conf")
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text("[Service]\nWatchdogSec=2s\n")
    sh("systemctl", "daemon-reload")
    sh("systemctl", "restart", "keyrack.service")
    time.sleep(5)
    before = show("MainPID")
    check("the watchdog leaves alone who answers it", show("NRestarts"), "0")
    os.kill(int(before), signal.SIGSTOP)
    until("the watchdog has it started again", lambda: show("MainPID") not in ("0", before))
    until("it answers", lambda: show("ActiveState") == "active")
    check("who does not answer it is started again", get(8080, "/readyz"), 200)
    drop_in.unlink()

    Path("/etc/keyrack/keyrack.toml").write_text('[tls]\nmode = "self-signed"\n')
    socket_drop_in = Path("/run/systemd/system/keyrack.socket.d/ports.conf")
    socket_drop_in.parent.mkdir(parents=True, exist_ok=True)
    socket_drop_in.write_text("[Socket]\nListenStream=\nListenStream=443\nListenStream=80\n")
    sh("systemctl", "daemon-reload")
    sh("systemctl", "stop", "keyrack.service", "keyrack.socket")
    sh("systemctl", "start", "keyrack.service")
    check("TLS on port 443 without any permission", get(443, "/readyz", tls=True), 200)
    check("plain HTTP on port 80 beside it", get(80, "/readyz"), 200)
    restarts_lose_nobody("a restart under TLS", 443, lambda: sh("systemctl", "restart", "keyrack.service"), tls=True)
    sh("systemctl", "reload", "keyrack.service")
    check("a reload is survived", get(443, "/readyz", tls=True), 200)
    socket_drop_in.unlink()

    sh("/test/keyrack", "uninstall", "--yes")
    check("the units are gone", sh("systemctl", "cat", "keyrack.service", ok=False).returncode != 0, True)
    check("the data is not", DATABASE.exists(), True)
    check("nor are the settings", Path("/etc/keyrack/keyrack.toml").exists(), True)


def keyrack(*command, first):
    """What a command prints that works on the service's data as its user; `first` makes the administrator."""
    base = ["runuser", "-u", "keyrack", "--", "/usr/local/bin/keyrack", "--data", str(DATABASE.parent)]
    subprocess.run(base + first + ["--password-file", "-"], input="securepassword123", text=True, check=True, capture_output=True)
    return sh(*base, *command).stdout


def user_of(pid):
    import pwd

    return pwd.getpwuid(os.stat(f"/proc/{pid}").st_uid).pw_name


def installed_as_a_package():
    if not (HERE / "keyrack.deb").exists():
        say("--      no package: make package makes it")
        return
    sh("dpkg", "-i", "/test/keyrack.deb")
    check("the package's service runs", show("ActiveState"), "active")
    check("it answers", get(8080, "/readyz"), 200)
    shares = ["man/man1/keyrack.1.gz", "bash-completion/completions/keyrack", "zsh/vendor-completions/_keyrack"]
    shares += ["fish/vendor_completions.d/keyrack.fish", "doc/keyrack/copyright", "doc/keyrack/changelog.gz"]
    check("manual, completions, licence", [path for path in shares if not Path("/usr/share", path).exists()], [])
    restarts_lose_nobody("an upgrade", 8080, lambda: sh("dpkg", "-i", "/test/keyrack.deb"))
    check("install stands back", sh("/test/keyrack", "install", "--yes", ok=False).returncode, 1)
    sh("dpkg", "--purge", "keyrack")
    check("the package is gone", sh("systemctl", "is-active", "keyrack.service", ok=False).returncode != 0, True)
    check("the data is not", DATABASE.exists(), True)


try:
    until("systemd listens", lambda: sh("systemctl", "list-units", ok=False).returncode == 0)
    installed_by_itself()
    Path("/etc/keyrack/keyrack.toml").unlink()
    installed_as_a_package()
    (HERE / "result").write_text("passed")
except BaseException:
    say("FAILED  " + traceback.format_exc())
    sys.exit(1)
