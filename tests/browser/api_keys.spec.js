// A key's life: generated, shown once, rotated with both secrets at work, disabled, revoked. With scripts and without.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openPage, startBrowser } from "./support/browser.js";
import { callApi, startServer } from "./support/server.js";
import { confirmation, generateKey, setUp, shownSecret, store } from "./support/steps.js";

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

    test("a reload shows no secret and makes no second key", async () => {
      const { secret, href } = await generateKey(page, { name: "shown once" });
      page.once("dialog", (dialog) => dialog.accept());
      await page.reload();
      await page.getByRole("heading", { level: 1, name: "Already generated" }).waitFor();
      assert.ok(!(await page.content()).includes(secret));
      await page.goto("/settings/api-keys");
      assert.equal(await page.getByRole("link", { name: "shown once" }).count(), 1);
      assert.equal(await page.getByRole("link", { name: "shown once" }).getAttribute("href"), href);
      await page.goBack();
      watch.check();
    });

    test("what is missing is said at the field, and nothing typed is lost", async () => {
      await page.goto("/settings/api-keys/new");
      await page.getByLabel("Name", { exact: true }).fill("");
      await page.getByRole("radio", { name: "Custom scopes" }).check();
      await page.getByLabel("users:write").check();
      await page.getByLabel("Allowed addresses").fill("203.0.113.0/24\n10.0.0.300");
      await page.getByRole("button", { name: "Generate New Key" }).click();
      const summary = page.locator("[data-errors]");
      await summary.waitFor();
      if (javaScriptEnabled) assert.equal(await page.evaluate(() => document.activeElement.hasAttribute("data-errors")), true);
      assert.equal(await summary.getByRole("link").count(), 2);
      assert.match(await summary.textContent(), /10\.0\.0\.300/);
      assert.equal(await page.getByLabel("users:write").isChecked(), true);
      assert.match(await page.getByLabel("Allowed addresses").inputValue(), /10\.0\.0\.300/);
      await summary.getByRole("link").first().click();
      assert.match(page.url(), /#name$/);
      watch.check();
    });

    test("custom scopes, an end and an allow-list become facts of the key", async () => {
      await page.goto("/settings/api-keys/new");
      await page.getByLabel("Name", { exact: true }).fill("narrow");
      await page.getByRole("radio", { name: "Custom scopes" }).check();
      await page.getByLabel("keys:read").check();
      await page.getByLabel("Expires").selectOption({ value: "date" });
      await page.getByLabel("Last day").fill("2127-01-31");
      await page.getByLabel("Allowed addresses").fill("198.51.100.0/24");
      await page.getByRole("button", { name: "Generate New Key" }).click();
      const { secret } = await shownSecret(page);
      await page.getByRole("button", { name: "Test this key" }).click();
      await page.getByText(/403/).first().waitFor();
      await store(page);
      const facts = await page.locator("dl.facts").textContent();
      assert.match(facts, /users:read, keys:read/);
      assert.match(facts, /198\.51\.100\.0\/24/);
      assert.match(facts, /2127/);
      assert.equal((await callApi(server, secret)).status, 403);
      watch.check();
    });

    test("both secrets work while a key rotates, until the old one is ended", async () => {
      const { secret: old } = await generateKey(page, { name: "turning" });
      await store(page);
      await page.getByRole("link", { name: "Rotate" }).click();
      await page.getByRole("button", { name: "Rotate key" }).click();
      const { secret } = await shownSecret(page);
      assert.notEqual(secret, old);
      assert.equal((await callApi(server, old)).status, 200);
      assert.equal((await callApi(server, secret)).status, 200);
      await store(page);
      await page.getByText("Rotating").first().waitFor();
      const chips = await page.locator(".secrets .chip").allTextContents();
      assert.deepEqual(chips, [`kr_…${secret.slice(-4)}`, `kr_…${old.slice(-4)}`]);
      const ends = () => page.locator(".secrets li:last-child time").first().getAttribute("datetime");
      const before = Date.parse(await ends());
      await page.getByRole("button", { name: "Extend by 24 hours" }).click();
      await page.getByRole("heading", { name: "Facts" }).waitFor();
      assert.equal(Date.parse(await ends()) - before, 86_400_000);
      const form = await confirmation(page, "End old key now", "End old key");
      await form.getByRole("button", { name: "End old key" }).click();
      await page.getByText("Active", { exact: true }).waitFor();
      assert.equal((await callApi(server, old)).status, 401);
      assert.equal((await callApi(server, secret)).status, 200);
      watch.check();
    });

    test("a rotation without overlap stops the old secret at once", async () => {
      const { secret: old, href } = await generateKey(page, { name: "leaked" });
      await store(page);
      await page.goto(`${href}/rotate`);
      await page.getByRole("radio", { name: "Not at all" }).check();
      await page.getByRole("button", { name: "Rotate key" }).click();
      const { secret } = await shownSecret(page);
      assert.equal((await callApi(server, old)).status, 401);
      assert.equal((await callApi(server, secret)).status, 200);
      page.once("dialog", (dialog) => dialog.accept());
      await page.reload();
      await page.getByRole("heading", { level: 1, name: "Already" }).waitFor();
      assert.equal((await callApi(server, secret)).status, 200, "a reload rotates no second time");
      watch.check();
    });

    test("a disabled key comes back, a revoked one does not", async () => {
      const { secret } = await generateKey(page, { name: "going" });
      await store(page);
      const disable = await confirmation(page, "Disable", "Disable key");
      await disable.getByRole("button", { name: "Disable key" }).click();
      await page.getByText("Disabled", { exact: true }).first().waitFor();
      assert.equal((await callApi(server, secret)).status, 401);
      const enable = await confirmation(page, "Enable", "Enable key");
      await enable.getByRole("button", { name: "Enable key" }).click();
      await page.getByText("Active", { exact: true }).waitFor();
      assert.equal((await callApi(server, secret)).status, 200);

      const cancelled = await confirmation(page, "Revoke", "Revoke key");
      await cancelled.getByRole("link", { name: "Cancel" }).click();
      await page.getByText("Active", { exact: true }).waitFor();
      assert.equal((await callApi(server, secret)).status, 200);
      const revoke = await confirmation(page, "Revoke", "Revoke key");
      if (await revoke.getByLabel("Type the name").count()) await revoke.getByLabel("Type the name").fill("going");
      await revoke.getByRole("button", { name: "Revoke key" }).click();
      await page.getByText("Revoked", { exact: true }).first().waitFor();
      assert.equal((await callApi(server, secret)).status, 401);
      assert.equal(await page.getByRole("link", { name: "Rotate" }).count(), 0);
      watch.check();
    });

    test("all keys are listed for administrators, with filters, an order and a search in the address", async () => {
      const names = () => page.locator("tbody th").allTextContents();
      const shows = async (expected) => {
        await page.waitForFunction((wanted) => [...document.querySelectorAll("tbody th")].map((th) => th.textContent).join() === wanted, expected.join());
        assert.deepEqual(await names(), expected);
      };
      await page.goto("/admin/keys");
      await page.getByRole("link", { name: "Revoked", exact: true }).click();
      await page.waitForURL("**/admin/keys?status=revoked");
      await shows(["going"]);
      await page.getByRole("link", { name: "Expired", exact: true }).click();
      await page.getByText("No keys match status: expired. Clear filters").waitFor();
      await page.goBack();
      await shows(["going"]);
      await page.goto("/admin/keys");
      await page.getByRole("link", { name: "Name", exact: true }).click();
      await page.waitForURL("**/admin/keys?sort=name");
      assert.deepEqual(await names(), (await names()).toSorted());
      await page.getByLabel("Search").fill("turn");
      await page.getByRole("button", { name: "Search" }).click();
      await page.waitForURL("**/admin/keys?q=turn*");
      await shows(["turning"]);
      const { secret, href } = await generateKey(page, { name: "pasted" });
      await store(page);
      await page.goto("/admin/keys");
      await page.getByLabel("Search").fill(secret);
      await page.getByRole("button", { name: "Search" }).click();
      await page.getByRole("heading", { level: 1, name: "pasted" }).waitFor();
      assert.ok(!page.url().includes(secret) && page.url().endsWith(href.split("/").at(-1)));
      watch.check();
    });

    test("the menu of a row leads to what can be done with its key", async () => {
      await generateKey(page, { name: "of the menu" });
      await store(page);
      await page.goto("/admin/keys?q=of+the+menu");
      await page.locator("summary[aria-label='Actions for of the menu']").click();
      const form = await confirmation(page, "Disable", "Disable key");
      await form.getByRole("button", { name: "Disable key" }).click();
      await page.getByText("Disabled", { exact: true }).first().waitFor();
      watch.check();
    });

    test("a key is edited, and whoever saves second is told what changed", async () => {
      const { href } = await generateKey(page, { name: "before" });
      await store(page);
      await page.getByRole("link", { name: "Change own limits" }).click();
      assert.match(page.url(), /edit#windows$/);
      const other = await context.newPage();
      await other.goto(`${href}/edit`);
      await page.getByLabel("Name", { exact: true }).fill("after");
      await page.getByLabel("Limits of this key alone").fill("many");
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByText("Line 1: `many`").first().waitFor();
      assert.match(await page.title(), /^Error: /);
      await page.getByLabel("Limits of this key alone").fill("100/1m");
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByRole("heading", { level: 1, name: "after" }).waitFor();
      assert.match(await page.locator("dl.facts").textContent(), /100 requests a minute/);
      await other.getByLabel("Name", { exact: true }).fill("later");
      await other.getByRole("button", { name: "Save" }).click();
      await other.getByText("Name was before, and is after").waitFor();
      await other.getByRole("button", { name: "Save" }).click();
      await other.getByRole("heading", { level: 1, name: "later" }).waitFor();
      await other.close();
      watch.check();
    });
  });
}

describe("what scripts add", () => {
  let server, page, watch, context;
  before(async () => {
    server = await startServer();
    ({ page, watch, context } = await openPage(browser, server, { permissions: ["clipboard-read", "clipboard-write"] }));
    await setUp(page, server);
  });
  after(async () => {
    await context?.close();
    await server?.stop();
  });

  test("the key is copied, and leaving before that asks", async () => {
    const { secret } = await generateKey(page, { name: "copied" });
    const asked = page.waitForEvent("dialog");
    await page.locator("h1").click();
    const leaving = page.goto("/settings").catch(() => {});
    const dialog = await asked;
    assert.equal(dialog.type(), "beforeunload");
    await dialog.dismiss();
    await leaving;
    await page.getByRole("button", { name: "Copy key" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
    await page.goto("/settings");
    await page.getByRole("heading", { level: 1, name: "Settings" }).waitFor();
    watch.check();
  });

  test("the keyboard reaches search, pages and help", async () => {
    await page.goto("/admin/users");
    await page.locator("h1").click();
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement.id), "q");
    await page.locator("h1").click();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("g");
    await page.keyboard.press("k");
    await page.getByRole("heading", { level: 1, name: "API keys" }).waitFor();
    await page.keyboard.press("c");
    await page.getByRole("heading", { level: 1, name: "Generate New Key" }).waitFor();
    watch.check();
  });

  test("a confirmation is a dialog that gives the focus back", async () => {
    const { href } = await generateKey(page, { name: "asked" });
    await store(page);
    assert.ok(page.url().endsWith(href));
    await page.getByRole("link", { name: "Revoke" }).press("Enter");
    const dialog = page.getByRole("dialog", { name: "Revoke asked" });
    await dialog.waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Cancel");
    assert.match(page.url(), /revoke$/, "the dialog is the page that the link leads to");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), "Revoke");
    await page.waitForURL(`**${href}`);
    await page.getByRole("link", { name: "Revoke" }).press("Enter");
    await dialog.waitFor();
    await page.goBack();
    await dialog.waitFor({ state: "detached" });
    assert.ok(page.url().endsWith(href), "Back closes the dialog and stays on the page");
    watch.check();
  });
});
