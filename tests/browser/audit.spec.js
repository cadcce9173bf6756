// The audit log: read, narrowed, opened and taken away. With scripts and without.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { openPage, startBrowser } from "./support/browser.js";
import { startServer } from "./support/server.js";
import { admin, generateKey, setUp, store } from "./support/steps.js";

let browser;
before(async () => { browser = await startBrowser(); });
after(() => browser.close());

for (const javaScriptEnabled of [true, false]) {
  describe(javaScriptEnabled ? "with scripts" : "without scripts", () => {
    let server, page, watch, context;
    before(async () => {
      server = await startServer();
      ({ page, watch, context } = await openPage(browser, server, { javaScriptEnabled }));
      await setUp(page, server);
      await generateKey(page, { name: "billing-worker" });
      await store(page);
    });
    after(async () => {
      await context?.close();
      await server?.stop();
    });

    test("what happened is told in sentences, with what changed", async () => {
      await page.goto("/admin");
      await page.getByRole("link", { name: "Audit log" }).filter({ visible: true }).click();
      const row = page.getByRole("row", { name: /ada generated key billing-worker/ });
      await row.waitFor();
      await row.getByText("Changes", { exact: true }).click();
      await row.getByText("owner", { exact: true }).waitFor();
      await page.getByText("Verified", { exact: true }).waitFor();
      await page.getByRole("button", { name: "Check now" }).click();
      await page.getByText(/no event was changed, up to event \d+, the newest\./).waitFor();
      watch.check();
    });

    test("the filters are in the address, and nothing found says how far back it goes", async () => {
      await page.goto("/admin/audit");
      await page.getByLabel("Who").fill(admin.email);
      await page.getByLabel("What", { exact: true }).selectOption("Generated a key");
      await page.getByRole("button", { name: "Filter" }).click();
      await page.waitForURL(/who=ada%40example\.com&action=key\.created/);
      assert.equal(await page.locator("tbody tr .sentence-link").count(), 1);
      await page.getByLabel("What", { exact: true }).selectOption("Deleted a tier");
      await page.getByRole("button", { name: "Filter" }).click();
      await page.getByText(/No events match\. Earliest event kept: /).waitFor();
      await page.getByRole("link", { name: "Clear filters" }).first().click();
      await page.waitForURL(/\/admin\/audit$/);
      watch.check();
    });

    test("an event has its page, and its actor a list", async () => {
      await page.goto("/admin/audit?action=key.created");
      await page.locator(".sentence-link").click();
      await page.getByRole("heading", { level: 1, name: "ada generated key billing-worker" }).waitFor();
      await page.getByText("Hash before").waitFor();
      await page.getByRole("link", { name: "their events" }).click();
      await page.waitForURL(/who=user_/);
      watch.check();
    });

    test("the log is taken away as a file", async () => {
      await page.goto("/admin/audit?action=key.created");
      const coming = page.waitForEvent("download");
      await page.getByRole("link", { name: "CSV" }).click();
      const file = await coming;
      assert.match(file.suggestedFilename(), /^keyrack-audit-\d{4}-\d\d-\d\d\.csv$/);
      const lines = readFileSync(await file.path(), "utf8").trim().split("\r\n");
      assert.equal(lines.length, 2);
      assert.match(lines[1], /,key\.created,key,key_\w+,billing-worker,/);
      watch.check();
    });
  });
}
