// Accounts: add, change, limits of their own with a reason, suspend and resume. With scripts and without.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openPage, startBrowser } from "./support/browser.js";
import { callApi, startServer } from "./support/server.js";
import { confirmation, generateKey, setUp, store } from "./support/steps.js";

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

    test("an account is added, and what was typed stays while it is wrong", async () => {
      await page.goto("/admin");
      await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Accounts" }).click();
      await page.getByRole("link", { name: "Add account" }).click();
      await page.getByLabel("Name", { exact: true }).fill("default");
      await page.getByLabel("Tier").selectOption({ index: 2 });
      await page.getByRole("button", { name: "Add account" }).click();
      await page.getByText("There is an account of this name already.").first().waitFor();
      assert.notEqual(await page.getByLabel("Tier").inputValue(), "");
      await page.getByLabel("Name", { exact: true }).fill("Acme");
      await page.getByRole("button", { name: "Add account" }).click();
      await page.getByRole("heading", { level: 1, name: "Acme" }).waitFor();
      watch.check();
    });

    test("its metadata is an object", async () => {
      await page.getByRole("link", { name: "Edit" }).click();
      await page.getByLabel("Metadata").fill("[1]");
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByText("Write a JSON object").first().waitFor();
      await page.getByLabel("Metadata").fill('{"plan": "gold"}');
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByText('"plan": "gold"').waitFor();
      watch.check();
    });

    test("limits of its own need a reason, and are taken away again", async () => {
      await page.getByRole("link", { name: "Give limits of its own" }).click();
      await page.getByLabel("Limits").fill("100000/1h\n7");
      await page.getByRole("button", { name: "Save own limits" }).click();
      await page.getByText(/Line 2: /).first().waitFor();
      await page.getByText("Say why this account has limits of its own.").first().waitFor();
      await page.getByLabel("Limits").fill("100000/1h\n700/1s");
      await page.getByLabel("Reason").fill("trusted sender");
      await page.getByRole("button", { name: "Save own limits" }).click();
      await page.getByText("trusted sender").waitFor();
      await page.getByText("100,000/hour").waitFor();
      const take = await confirmation(page, "Remove own limits", "Remove own limits");
      await take.getByRole("button", { name: "Remove own limits" }).click();
      await page.getByRole("link", { name: "Give limits of its own" }).waitFor();
      watch.check();
    });

    test("a suspended account stops its keys until it is resumed", async () => {
      const { secret } = await generateKey(page, { name: "stops" });
      await store(page);
      await page.goto("/admin/accounts?q=def");
      await page.getByRole("link", { name: "Default" }).click();
      const suspend = await confirmation(page, "Suspend", "Suspend account");
      await suspend.getByRole("button", { name: "Suspend account" }).click();
      await page.getByText("Suspended", { exact: true }).waitFor();
      assert.equal((await callApi(server, secret)).status, 401);
      await page.goto("/admin/accounts?status=suspended");
      assert.deepEqual(await page.locator("tbody th").allTextContents(), ["Default"]);
      await page.getByRole("link", { name: "Default" }).click();
      const resume = await confirmation(page, "Resume", "Resume account");
      await resume.getByRole("button", { name: "Resume account" }).click();
      await page.getByText("Active", { exact: true }).waitFor();
      assert.equal((await callApi(server, secret)).status, 200);
      watch.check();
    });
  });
}
