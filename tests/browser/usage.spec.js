// What an operator keeps open: the overview from its first request on, the request log, and the log as it grows.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openPage, startBrowser } from "./support/browser.js";
import { callApi, startServer } from "./support/server.js";
import { generateKey, setUp, store } from "./support/steps.js";

let browser;
before(async () => { browser = await startBrowser(); });
after(() => browser.close());

for (const javaScriptEnabled of [true, false]) {
  describe(javaScriptEnabled ? "with scripts" : "without scripts", () => {
    let server, page, watch, context, key;
    before(async () => {
      server = await startServer();
      ({ page, watch, context } = await openPage(browser, server, { javaScriptEnabled }));
      await setUp(page, server);
      key = await generateKey(page, { name: "billing-worker" });
      await store(page);
    });
    after(async () => {
      await context?.close();
      await server?.stop();
    });

    test("the overview waits, and goes on by itself when the first request has come", async () => {
      await page.goto("/admin");
      await page.getByRole("heading", { name: "Waiting for your first request…" }).waitFor();
      assert.equal((await callApi(server, key.secret)).status, 200);
      await page.getByRole("heading", { name: "Requests, last 24 hours" }).waitFor({ timeout: 20_000 });
      await page.getByText("1 request: 1 2xx.").waitFor();
      await page.locator("svg rect.c2").nth(1).waitFor();
      await page.getByText("Show as table").click();
      await page.getByRole("cell", { name: "1", exact: true }).first().waitFor();
      await page.getByRole("link", { name: "Last 7 days" }).click();
      await page.getByRole("heading", { name: "Requests, last 7 days" }).waitFor();
      assert.ok(page.url().endsWith("?range=7d"));
      await page.getByRole("link", { name: "billing-worker" }).click();
      await page.getByRole("heading", { name: "Top paths" }).waitFor();
      await page.getByText("GET /v1/users/me", { exact: true }).waitFor();
      watch.check();
    });

    test("a request is found by its status, and shown", async () => {
      await callApi(server, key.secret, "/v1/users/123?secret=hidden", { headers: { "X-Request-Id": "lost-one" } });
      await new Promise((done) => setTimeout(done, 6_000));
      await page.getByRole("link", { name: "Latest requests of this key" }).click();
      await page.getByLabel("Status", { exact: true }).selectOption("4xx");
      await page.getByRole("button", { name: "Filter" }).click();
      assert.match(page.url(), /status=4xx&.*key=key_/);
      await page.getByRole("link", { name: "GET /v1/users/123" }).click();
      await page.getByRole("heading", { level: 1, name: "GET /v1/users/123" }).waitFor();
      await page.getByRole("link", { name: "not_found" }).waitFor();
      assert.ok(!(await page.content()).includes("secret=hidden"));
      await page.goto("/admin/requests");
      assert.equal(await page.getByRole("row").count(), 3);
      await page.getByRole("link", { name: "Newer" }).click();
      await page.getByText("Nothing newer yet.").waitFor();
      await callApi(server, key.secret);
      await new Promise((done) => setTimeout(done, 6_000));
      await page.getByRole("link", { name: "Look again" }).click();
      assert.equal(await page.getByRole("row").count(), 2);
      watch.check();
    });

    if (!javaScriptEnabled) {
      test("nothing that needs a script is shown", async () => {
        await page.goto("/admin/requests");
        assert.equal(await page.getByRole("button", { name: "Live" }).count(), 0);
      });
      return;
    }

    test("the live tail grows, pauses, goes on, and keeps 500 rows", async () => {
      await page.goto("/admin/requests");
      const rows = page.locator("[data-log] tbody tr");
      const before = await rows.count();
      await page.getByRole("button", { name: "Live" }).click();
      await page.getByRole("button", { name: "Pause" }).waitFor();
      await page.waitForResponse((answer) => answer.url().includes("/live")).catch(() => {});
      await callApi(server, key.secret, "/v1/users/me?x=1", { headers: { "X-Request-Id": "first-live" } });
      await page.locator('[data-log] a[href="/admin/requests/first-live"]').waitFor();
      assert.equal(await rows.count(), before + 1);
      assert.equal(await rows.first().getByRole("link", { name: "billing-worker" }).count(), 1);

      await page.getByRole("button", { name: "Pause" }).click();
      await callApi(server, key.secret);
      await page.getByText("1 hidden.").waitFor();
      assert.equal(await rows.count(), before + 1);
      await page.getByRole("button", { name: "Go on" }).click();
      assert.equal(await rows.count(), before + 2);

      await page.evaluate(() => {
        const body = document.querySelector("[data-log] tbody");
        while (body.rows.length < 500) body.append(body.rows[0].cloneNode(true));
      });
      await callApi(server, key.secret, "/v1/users/me", { headers: { "X-Request-Id": "over-the-cap" } });
      await page.locator('[data-log] a[href="/admin/requests/over-the-cap"]').waitFor();
      assert.equal(await rows.count(), 500);
      await page.locator('[data-log] a[href="/admin/requests/over-the-cap"]').click();
      await page.getByRole("heading", { level: 1, name: "GET /v1/users/me" }).waitFor();
      watch.check();
    });
  });
}
