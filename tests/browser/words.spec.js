// The pages in other languages: nothing cut off where words are longer, the language chosen with and without scripts.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { findings, openPage, shoot, sidewaysPixels, startBrowser } from "./support/browser.js";
import { startServer } from "./support/server.js";
import { addWebhook, generateKey, setUp, store, storeWebhook } from "./support/steps.js";

let browser, server, storageState;
before(async () => {
  browser = await startBrowser();
  server = await startServer(undefined, { KEYRACK_WEBHOOKS_ALLOW_PRIVATE_TARGETS: "true" });
  const { page, context } = await openPage(browser, server);
  await setUp(page, server);
  await generateKey(page, { name: "Reporting" });
  await store(page);
  await addWebhook(page, `${server.url}/nowhere`);
  await storeWebhook(page);
  storageState = await context.storageState();
  await context.close();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const pages = [
  "/settings", "/settings/security", "/settings/api-keys", "/settings/api-keys/new", "/settings/usage", "/settings/connected-apps",
  "/admin", "/admin/keys", "/admin/users", "/admin/users/new", "/admin/users/import", "/admin/accounts", "/admin/accounts/new", "/admin/clients",
  "/admin/clients/new", "/admin/webhooks", "/admin/webhooks/new", "/admin/tiers", "/admin/tiers/new", "/admin/audit", "/admin/requests",
  "/admin/settings/api-conventions", "/admin/settings/security", "/admin/settings/network", "/admin/settings/backup", "/go", "/status", "/nothing",
];

// What is wider than its box and neither wraps, scrolls nor says so with an ellipsis.
const cutOff = (page) => page.evaluate(() => [...document.querySelectorAll("main *, .rail *")]
  .filter((one) => one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1)
  .filter((one) => { const style = getComputedStyle(one); return style.overflowX === "hidden" || style.overflowX === "clip"; })
  .filter((one) => getComputedStyle(one).textOverflow !== "ellipsis" && !one.closest(".quiet, .skip, svg, .chart"))
  .map((one) => one.outerHTML.slice(0, 160)));

for (const viewport of [{ width: 1280, height: 800 }, { width: 360, height: 740 }]) {
  test(`longer words fit at ${viewport.width} px`, async () => {
    const { page, context, watch } = await openPage(browser, server, { viewport, storageState, locale: "en-XA" });
    const wrong = [];
    for (const path of pages) {
      await page.goto(path);
      assert.equal(await page.locator("html").getAttribute("lang"), "en-XA", path);
      const wide = await sidewaysPixels(page);
      if (wide > 0) wrong.push(`${path} scrolls sideways by ${wide}`);
      for (const cut of await cutOff(page)) wrong.push(`${path} cuts off ${cut}`);
      await shoot(page, `words${path.replaceAll("/", "-")}-${viewport.width}`);
    }
    assert.deepEqual(wrong, []);
    watch.check();
    await context.close();
  });
}

test("German pages are as accessible as the English ones", async () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const viewport of [{ width: 1280, height: 800 }, { width: 360, height: 740 }]) {
      const { page, context, watch } = await openPage(browser, server, { viewport, colorScheme, storageState, locale: "de-DE" });
      for (const path of ["/admin", "/admin/keys", "/admin/users", "/settings", "/settings/security", "/admin/tiers"]) {
        await page.goto(path);
        assert.deepEqual(await findings(page), [], path);
        assert.ok((await sidewaysPixels(page)) <= 0, `${path} scrolls sideways at ${viewport.width}`);
        await shoot(page, `de${path.replaceAll("/", "-")}-${colorScheme}-${viewport.width}`);
      }
      watch.check();
      await context.close();
    }
  }
});

for (const javaScriptEnabled of [true, false]) {
  describe(javaScriptEnabled ? "with scripts" : "without scripts", () => {
    test("a language is chosen, goes with the user, and is given back to the browser", async () => {
      const { page, context, watch } = await openPage(browser, server, { javaScriptEnabled, storageState });
      await page.goto("/settings");
      await page.getByLabel("Language").selectOption("Deutsch");
      await page.getByRole("button", { name: "Save look" }).click();
      await page.getByRole("heading", { level: 1, name: "Einstellungen" }).waitFor();
      assert.equal(await page.locator("html").getAttribute("lang"), "de");
      await page.goto("/admin/keys");
      await page.getByRole("link", { name: "Protokoll" }).first().waitFor();

      const elsewhere = await openPage(browser, server, { javaScriptEnabled, storageState: { cookies: storageState.cookies.filter((one) => one.name !== "look"), origins: [] } });
      await elsewhere.page.goto("/settings");
      await elsewhere.page.getByRole("heading", { level: 1, name: "Einstellungen" }).waitFor();
      await elsewhere.context.close();

      await page.goto("/settings");
      await page.getByLabel("Sprache").selectOption("Wie der Browser");
      await page.getByRole("button", { name: "Aussehen speichern" }).click();
      await page.getByRole("heading", { level: 1, name: "Settings" }).waitFor();
      watch.check();
      await context.close();
    });
  });
}

test("what scripts say is in the language of the page", async () => {
  const { page, context, watch } = await openPage(browser, server, { storageState, locale: "de" });
  await page.goto("/admin/keys");
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Tastatur" }).getByText("Zu allem gehen").waitFor();
  await page.getByRole("button", { name: "Schließen" }).click();
  await page.keyboard.press("Control+k");
  const palette = page.getByRole("dialog", { name: "Gehe zu" });
  await palette.getByRole("searchbox").fill("protokoll");
  await palette.getByRole("link", { name: "Protokoll" }).waitFor();
  await page.keyboard.press("Escape");
  await page.goto("/settings/security");
  await page.getByRole("button", { name: "Neues Passwort zeigen" }).click();
  assert.equal(await page.getByRole("button", { name: "Neues Passwort zeigen" }).textContent(), "Verbergen");
  watch.check();
  await context.close();
});
