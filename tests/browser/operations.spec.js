// Running it: a backup is made, checked and taken away; the network page finds nothing wrong. With scripts and without.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { openPage, startBrowser } from "./support/browser.js";
import { startServer } from "./support/server.js";
import { setUp } from "./support/steps.js";

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
    });
    after(async () => {
      await context?.close();
      await server?.stop();
    });

    test("a backup is made, found to be whole, and taken away", async () => {
      await page.goto("/settings");
      await page.getByRole("link", { name: "Backup" }).click();
      await page.getByText("None in this directory yet.").waitFor();
      await page.getByRole("button", { name: "Make a backup now" }).click();
      await page.getByRole("heading", { name: "Backup made" }).waitFor();
      await page.getByRole("button", { name: "Verify" }).click();
      await page.getByRole("heading", { name: "The backup is whole" }).waitFor();
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("button", { name: "Download" }).click(),
      ]);
      const file = readFileSync(await download.path());
      assert.match(download.suggestedFilename(), /^keyrack-\d{8}T\d{6}Z\.db$/);
      assert.equal(file.subarray(0, 15).toString(), "SQLite format 3");
      watch.check();
    });

    test("the overview knows of the backup, and the network page of this connection", async () => {
      await page.goto("/admin/settings/network");
      await page.getByText("Your address as Keyrack sees it", { exact: true }).waitFor();
      await page.getByText("no, and this machine needs none", { exact: true }).waitFor();
      const report = await page.locator("#report").innerText();
      assert.match(report, /^keyrack \d/);
      assert.match(report, /backup\.schedule = "1d"/);
      await page.goto("/status");
      await page.getByText("Everything works.").waitFor();
      watch.check();
    });
  });
}
