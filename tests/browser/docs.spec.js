// Trying an operation from its page in the documentation. With scripts and without.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { findings, openPage, shoot, sidewaysPixels, startBrowser } from "./support/browser.js";
import { startServer } from "./support/server.js";
import { generateKey, setUp, store } from "./support/steps.js";

let browser;
before(async () => { browser = await startBrowser(); });
after(() => browser.close());

for (const javaScriptEnabled of [true, false]) {
  describe(javaScriptEnabled ? "with scripts" : "without scripts", () => {
    let server, page, watch, context, secret;
    before(async () => {
      server = await startServer();
      ({ page, watch, context } = await openPage(browser, server, { javaScriptEnabled }));
      await setUp(page, server);
      ({ secret } = await generateKey(page, { name: "trier", preset: "Read only" }));
      await store(page);
    });
    after(async () => {
      await context?.close();
      await server?.stop();
    });

    test("a list is asked for with the key that is typed, and its answer is shown with the headers", async () => {
      await page.goto("/docs/api/list_users");
      await page.getByLabel("API key", { exact: true }).fill(secret);
      await page.getByLabel("limit", { exact: true }).fill("5");
      await page.getByRole("button", { name: "Send GET request" }).click();
      await page.getByRole("heading", { name: "200 OK" }).waitFor();
      const answer = page.locator("#try");
      assert.match(await answer.getByLabel("What was sent").textContent(), /GET \/v1\/users\?limit=5/);
      assert.match(await answer.getByLabel("Headers of the answer").textContent(), /x-ratelimit-remaining: 999/);
      assert.match(await answer.getByRole("region", { name: "Body of the answer" }).textContent(), /ada@example\.com/);
      assert.equal(await page.getByLabel("limit", { exact: true }).inputValue(), "5");
      assert.equal(await page.getByLabel("API key", { exact: true }).inputValue(), "");
      assert.ok(!(await page.content()).includes(secret));
      watch.check();
    });

    test("what the key may not do is refused, and what was typed stays", async () => {
      await page.goto("/docs/api/create_user");
      await page.getByLabel("API key", { exact: true }).fill(secret);
      await page.locator("#p-body").fill('{"name":"Grace"}');
      await page.getByRole("button", { name: "Send POST request" }).click();
      await page.getByRole("heading", { name: "403 Forbidden" }).waitFor();
      assert.equal(await page.locator("#p-body").inputValue(), '{"name":"Grace"}');
      watch.check();
    });
  });
}

test("on a phone no path and no scope of the tables is broken within itself", async () => {
  const server = await startServer();
  const { page, context } = await openPage(browser, server, { viewport: { width: 360, height: 800 } });
  await page.goto("/docs");
  const broken = await page.locator(".prose td code").evaluateAll((all) => all.filter((one) => one.getClientRects().length > one.textContent.split(" ").length).map((one) => one.textContent));
  assert.deepEqual(broken, []);
  assert.ok(await sidewaysPixels(page) <= 0);
  await context.close();
  await server.stop();
});

for (const [look, options] of Object.entries({
  "light-1280": { viewport: { width: 1280, height: 900 } },
  "dark-360": { viewport: { width: 360, height: 800 }, colorScheme: "dark" },
})) {
  test(`the form and an answer are accessible: ${look}`, async () => {
    const server = await startServer();
    const { page, context, watch } = await openPage(browser, server, options);
    await setUp(page, server);
    const { secret } = await generateKey(page, { name: "trier", preset: "Read only" });
    await store(page);
    await page.goto("/docs/api/update_user");
    assert.deepEqual(await findings(page), []);
    await page.getByLabel("API key", { exact: true }).fill(secret);
    await page.getByRole("button", { name: "Send PATCH request" }).click();
    await page.getByRole("heading", { name: "403 Forbidden" }).waitFor();
    assert.deepEqual(await findings(page), []);
    assert.ok(await sidewaysPixels(page) <= 0);
    await shoot(page, `docs-try-${look}`);
    watch.check();
    await context.close();
    await server.stop();
  });
}
