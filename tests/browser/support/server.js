// The real program on a data directory of its own, on a port that it chooses itself.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const program = resolve(process.env.KEYRACK_BIN ?? new URL("../../../target/debug/keyrack", import.meta.url).pathname);

export async function startServer(args = ["--listen", "127.0.0.1:0"], env = {}) {
  const data = await mkdtemp(join(tmpdir(), "keyrack-browser-"));
  const child = spawn(program, ["serve", "--data", data, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let output = "";
  const found = new Promise((done, fail) => {
    const late = setTimeout(() => fail(new Error(`no address within 20 s:\n${output}`)), 20_000);
    const read = (chunk) => {
      output += chunk;
      const link = output.match(/(https?:\/\/\S+?)\/setup\/([0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4})/);
      if (link) {
        clearTimeout(late);
        done({ url: link[1], code: link[2] });
      }
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    child.once("error", fail);
    child.once("exit", (status) => fail(new Error(`ended with ${status}:\n${output}`)));
  });
  found.catch(() => {});
  const { url, code } = await found;
  return {
    url,
    code,
    data,
    program,
    setupUrl: `${url}/setup/${code}`,
    output: () => output,
    async stop() {
      if (child.exitCode === null) {
        const ended = once(child, "exit");
        child.kill("SIGTERM");
        const late = setTimeout(() => child.kill("SIGKILL"), 5_000);
        await ended;
        clearTimeout(late);
      }
      await rm(data, { recursive: true, force: true });
    },
  };
}

// As if a quarter of an hour had passed since anyone proved who they are. Python has SQLite on every machine.
export function endElevation(server) {
  const words = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('UPDATE sessions SET elevated_until = 0'); db.commit()";
  execFileSync("python3", ["-c", words, join(server.data, "keyrack.db")]);
}

// What a program gets that presents `secret`.
export async function callApi(server, secret, path = "/v1/users/me", options = {}) {
  const headers = { Authorization: `Bearer ${secret}`, "User-Agent": "browser-tests/1", ...options.headers };
  return fetch(server.url + path, { ...options, headers });
}
