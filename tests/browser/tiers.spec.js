// Tiers, the limits of one's own account, and the page that leads anywhere. With scripts and without.

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

    test("a tier is added, looked at before it is saved, changed and deleted", async () => {
      await page.goto("/admin/tiers");
      await page.getByRole("link", { name: "Add tier" }).click();
      await page.getByLabel("Name", { exact: true }).fill("Gold");
      await page.getByLabel("Limits", { exact: true }).fill("lots");
      await page.getByRole("button", { name: "Add tier" }).click();
      await page.getByText("There is a problem").waitFor();
      assert.match(await page.title(), /^Error: /);
      await page.getByLabel("Limits", { exact: true }).fill("5000/1h\n100/1s");
      await page.getByRole("button", { name: "Show what it does" }).click();
      await page.getByText("5,000 requests an hour, 100 a second").waitFor();
      assert.match(await page.locator("pre").textContent(), /429 Too Many Requests[\s\S]*retry-after: 1\b[\s\S]*rate_limit_exceeded/);
      await page.getByRole("button", { name: "Add tier" }).click();
      await page.getByRole("link", { name: "Gold" }).click();
      await page.getByLabel("Limits", { exact: true }).fill("unlimited");
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByText("no limit").waitFor();
      await page.getByRole("link", { name: "Gold" }).click();
      const form = await confirmation(page, "Delete", "Delete tier");
      await form.getByRole("button", { name: "Delete tier" }).click();
      await page.getByRole("heading", { level: 1, name: "Tiers and limits" }).waitFor();
      assert.equal(await page.getByRole("link", { name: "Gold" }).count(), 0);
      watch.check();
    });

    test("one sees what is left of the limits of one's account", async () => {
      const { secret } = await generateKey(page, { name: "spender" });
      await store(page);
      await callApi(server, secret);
      await page.goto("/settings");
      await page.getByRole("navigation", { name: "Settings" }).getByRole("link", { name: "Usage" }).click();
      await page.getByRole("heading", { level: 1, name: "Usage" }).waitFor();
      assert.match(await page.locator("table").first().textContent(), /1,000\/hour\s*999 of 1,000/);
      watch.check();
    });

    test("the search leads to pages and things", async () => {
      await page.goto("/settings");
      if (javaScriptEnabled) {
        await page.keyboard.press("Control+k");
        const dialog = page.getByRole("dialog", { name: "Go to" });
        await dialog.getByRole("searchbox").fill("spen");
        await dialog.getByRole("link", { name: "spender" }).waitFor();
        await page.keyboard.press("Enter");
      } else {
        await page.getByRole("link", { name: "Search" }).first().click();
        await page.getByRole("searchbox").fill("spen");
        await page.getByRole("button", { name: "Go", exact: true }).click();
        await page.getByRole("link", { name: "spender" }).click();
      }
      await page.getByRole("heading", { level: 1, name: "spender" }).waitFor();
      watch.check();
    });

    test("it changes the theme and signs out", async () => {
      await page.goto("/go?q=theme");
      await page.getByRole("button", { name: "Theme: Dark" }).click();
      await page.getByRole("heading", { level: 1, name: "Settings" }).waitFor();
      assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
      await page.goto("/go?q=sign+out");
      await page.locator("[data-results]").getByRole("button", { name: "Sign out" }).click();
      await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
      watch.check();
    });
  });
}

describe("what scripts add", () => {
  let server, page, watch, context;
  before(async () => {
    server = await startServer();
    ({ page, watch, context } = await openPage(browser, server));
    await setUp(page, server);
  });
  after(async () => {
    await context?.close();
    await server?.stop();
  });

  test("the palette is walked through by keys, and gives the focus back", async () => {
    await page.goto("/admin");
    await page.keyboard.press("/");
    const dialog = page.getByRole("dialog", { name: "Go to" });
    await dialog.getByRole("link", { name: "Requests" }).waitFor();
    await page.keyboard.type("tiers");
    await dialog.getByRole("link", { name: "Tiers and limits" }).waitFor();
    await page.waitForFunction(() => document.querySelectorAll(".palette a").length === 1);
    await page.keyboard.press("ArrowDown");
    assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), "Tiers and limits");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Tiers and limits" }).waitFor();
    await page.keyboard.press("Control+k");
    await dialog.waitFor();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    watch.check();
  });

  test("a request's id that is pasted opens the request", async () => {
    await page.goto("/admin");
    await page.keyboard.press("Control+k");
    const dialog = page.getByRole("dialog", { name: "Go to" });
    await dialog.getByRole("searchbox").fill("req_01h455vb4pex5vsknk084sn02q");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/admin/requests/req_01h455vb4pex5vsknk084sn02q");
    watch.check();
  });

  test("single keys lead nowhere once they are switched off, and Ctrl K still does", async () => {
    await page.goto("/settings");
    await page.getByLabel("Single-key shortcuts").uncheck();
    await page.getByRole("button", { name: "Save look" }).click();
    await page.locator("html[data-shortcuts=off]").waitFor();
    await page.keyboard.press("?");
    await page.keyboard.press("g");
    await page.keyboard.press("k");
    assert.equal(await page.getByRole("dialog").count(), 0);
    assert.match(page.url(), /settings/);
    await page.keyboard.press("Control+k");
    await page.getByRole("dialog", { name: "Go to" }).waitFor();
    watch.check();
  });
});
