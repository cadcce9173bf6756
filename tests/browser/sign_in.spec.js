// From the setup link to the first 200, as a newcomer goes, with scripts and without.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { findings, openPage, startBrowser } from "./support/browser.js";
import { callApi, startServer } from "./support/server.js";
import { admin, setUp, shownSecret, signIn, store } from "./support/steps.js";

const run = promisify(execFile);
let browser;
before(async () => { browser = await startBrowser(); });
after(() => browser.close());

for (const javaScriptEnabled of [true, false]) {
  describe(javaScriptEnabled ? "with scripts" : "without scripts", () => {
    let server, page, watch, context;
    before(async () => {
      server = await startServer();
      ({ page, watch, context } = await openPage(browser, server, { javaScriptEnabled }));
    });
    after(async () => {
      await context?.close();
      await server?.stop();
    });

    test("a new machine leads to the first key that works", async () => {
      await page.goto("/");
      assert.match(page.url(), /\/setup$/, "an empty server shows where to begin");
      await page.getByLabel("Setup code").fill("0000 0000 0000");
      await page.getByRole("button", { name: "Continue" }).click();
      await page.getByText("There is a problem").waitFor();
      await page.getByLabel("Setup code").fill(server.code.toLowerCase().replaceAll("-", ""));
      await page.getByRole("button", { name: "Continue" }).click();

      await page.getByLabel("Email address").fill(admin.email);
      await page.getByLabel("Password", { exact: true }).fill("short");
      await page.getByRole("button", { name: "Create admin" }).click();
      await page.getByText("There is a problem").waitFor();
      assert.match(await page.title(), /^Error: /);
      assert.equal(await page.getByLabel("Email address").inputValue(), admin.email, "what was typed is kept");
      await page.getByLabel("Password", { exact: true }).fill(admin.password);
      await page.getByRole("button", { name: "Create admin" }).click();

      await page.getByRole("heading", { level: 1, name: "Generate New Key" }).waitFor();
      assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "My first key");
      await page.getByRole("button", { name: "Generate New Key" }).click();
      const { secret } = await shownSecret(page);
      assert.match(secret, /^kr_[0-9A-Za-z]{49}$/);

      // The line that the page shows, run as it stands.
      const line = await page.locator("#sample-curl").textContent();
      const { stdout } = await run("bash", ["-c", line.replace("curl ", "curl --silent --show-error ")]);
      assert.match(stdout, /^HTTP\/1\.1 200 OK/);
      assert.match(stdout, /x-ratelimit-remaining: \d+/i);
      assert.match(stdout, new RegExp(admin.email));

      await page.getByRole("button", { name: "Test this key" }).click();
      await page.getByText("200 OK. The key works").waitFor();
      assert.equal(await page.getByLabel("Secret key").inputValue(), secret, "the test does not lose the secret");

      const downloading = page.waitForEvent("download");
      await page.getByRole("button", { name: "Download .env" }).click();
      const file = await downloading;
      assert.equal(file.suggestedFilename(), "keyrack.env");
      const { readFile } = await import("node:fs/promises");
      const text = await readFile(await file.path(), "utf8");
      assert.ok(text.includes(`KEYRACK_API_KEY=${secret}\n`) && text.includes(`KEYRACK_URL=${server.url}\n`), text);

      await store(page);
      assert.ok(!(await page.content()).includes(secret), "shown once");
      watch.check();
    });

    test("the seed's path is three clicks: Settings, API Keys, Generate New Key", async () => {
      await page.goto("/");
      await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Settings" }).click();
      await page.getByRole("navigation", { name: "Settings" }).getByRole("link", { name: "API Keys" }).click();
      await page.getByRole("main").getByRole("link", { name: "Generate New Key" }).click();
      await page.getByRole("heading", { level: 1, name: "Generate New Key" }).waitFor();
      watch.check();
    });

    test("settings tell one's own from everyone's", async () => {
      await page.goto("/settings");
      const tabs = page.getByRole("navigation", { name: "Settings" });
      const words = (name) => tabs.getByRole("list", { name, exact: true }).getByRole("link").allTextContents();
      assert.deepEqual(await words("Yours"), ["Profile", "Security", "API Keys", "Usage", "Connected apps"]);
      assert.deepEqual(await words("Everyone’s"), ["API conventions", "Administrators", "Network", "Backup"]);
      for (const name of await words("Everyone’s")) {
        await tabs.getByRole("link", { name }).click();
        await page.getByRole("heading", { level: 1, name }).waitFor();
        assert.equal(await page.getByText("yours alone").count(), 0, name);
      }
      watch.check();
    });

    test("the setup link works once", async () => {
      await page.goto(server.setupUrl);
      await page.getByRole("heading", { name: "already set up" }).waitFor();
      await page.goto("/setup");
      await page.getByRole("heading", { name: "already set up" }).waitFor();
    });

    test("signing out ends the session, and signing in leads back to the page asked for", async () => {
      await page.goto("/admin");
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.goto("/admin/users?q=ada");
      await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
      await page.getByLabel("Email address").fill(admin.email);
      await page.getByLabel("Password", { exact: true }).fill("not the password");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByText("There is a problem").waitFor();
      assert.equal(await page.getByLabel("Email address").inputValue(), admin.email);
      await page.getByLabel("Password", { exact: true }).fill(admin.password);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
      assert.match(page.url(), /\/admin\/users\?q=ada$/);
      watch.check();
    });
  });
}

test("a stale session shows the filled form again", async () => {
  const server = await startServer();
  const { page, context, watch } = await openPage(browser, server);
  try {
    await setUp(page, server);
    await page.getByLabel("Name", { exact: true }).fill("typed before");
    // Someone signs out and in again in another tab.
    const other = await context.newPage();
    await other.goto("/settings");
    await other.getByRole("button", { name: "Sign out" }).click();
    await signIn(other);
    await page.getByRole("button", { name: "Generate New Key" }).click();
    await page.getByText("Your session was renewed. Submit again").waitFor();
    assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "typed before");
    await page.getByRole("button", { name: "Generate New Key" }).click();
    await shownSecret(page);
    watch.check();
  } finally {
    await context.close();
    await server.stop();
  }
});

test("a form that another site sends is refused", async () => {
  const server = await startServer();
  const { page, context } = await openPage(browser, server);
  try {
    await setUp(page, server);
    const csrf = await page.locator("input[name=csrf]").first().inputValue();
    const cookie = (await context.cookies()).map((one) => `${one.name}=${one.value}`).join("; ");
    const send = (headers, token = csrf) =>
      fetch(`${server.url}/settings/look`, {
        method: "POST",
        redirect: "manual",
        headers: { Cookie: cookie, "Content-Type": "application/x-www-form-urlencoded", ...headers },
        body: new URLSearchParams({ csrf: token, theme: "dark" }),
      });
    assert.equal((await send({ "Sec-Fetch-Site": "same-origin" })).status, 303);
    assert.equal((await send({ "Sec-Fetch-Site": "cross-site" })).status, 403);
    assert.equal((await send({ "Sec-Fetch-Site": "same-site" })).status, 403);
    assert.equal((await send({ Origin: "https://evil.example" })).status, 403);
    assert.equal((await send({ Origin: "null" })).status, 403);
    assert.equal((await send({ Origin: server.url })).status, 303);
    assert.equal((await send({})).status, 403, "neither header");
    assert.equal((await send({ "Sec-Fetch-Site": "same-origin" }, "")).status, 403, "no token");
  } finally {
    await context.close();
    await server.stop();
  }
});

test("on plain HTTP in a network the pages say so, and copying still works", async (t) => {
  const { networkInterfaces } = await import("node:os");
  const address = Object.values(networkInterfaces()).flat().find((one) => one.family === "IPv4" && !one.internal)?.address;
  if (!address) return t.skip("this machine has only a loopback address");
  const server = await startServer(["--listen", `${address}:0`, "--insecure-http"]);
  const { page, context, watch } = await openPage(browser, server);
  try {
    await setUp(page, server);
    assert.equal(await page.evaluate(() => window.isSecureContext), false);
    await page.getByText("This page is not encrypted").waitFor();
    assert.deepEqual(await findings(page), []);
    await page.getByRole("button", { name: "Generate New Key" }).click();
    const { secret } = await shownSecret(page);
    await page.getByRole("button", { name: "Copy key" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    await store(page);
    await page.goto("/settings/api-keys/new");
    await page.getByLabel("Name", { exact: true }).fill("");
    await page.getByLabel("Name", { exact: true }).press("Control+v");
    assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), secret);
    assert.equal((await callApi(server, secret)).status, 200);
    watch.check();
  } finally {
    await context.close();
    await server.stop();
  }
});
