// A key leaks, is reported by somebody, and the administrator sees it, looks, and puts the notice away.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { findings, openPage, shoot, sidewaysPixels, startBrowser } from "./support/browser.js";
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
      ({ page, watch, context } = await openPage(browser, server, { javaScriptEnabled, viewport: { width: 1280, height: 900 } }));
      await setUp(page, server);
      key = await generateKey(page, { name: "billing-worker" });
      await store(page);
    });
    after(async () => {
      await context?.close();
      await server?.stop();
    });

    test("a gateway's questions are shown by its service", async () => {
      assert.equal((await callApi(server, key.secret, "/v1/forward-auth?service=shop")).status, 200);
      assert.equal((await callApi(server, key.secret, "/v1/forward-auth")).status, 200);
      await new Promise((done) => setTimeout(done, 6_000));
      await page.goto("/admin");
      const services = page.getByRole("table", { name: /Keys checked for other services/ });
      await services.getByRole("row", { name: /shop 1 0 0/ }).waitFor();
      await services.getByRole("row", { name: /Without a label 1 0 0/ }).waitFor();
      await page.getByRole("link", { name: "billing-worker" }).first().click();
      await page.getByRole("heading", { name: "Checked for other services, last 24 hours" }).waitFor();
      await shoot(page, `services-${javaScriptEnabled}`);
      watch.check();
    });

    test("a reported key is told of on the overview and on its page, until the notice is dismissed", async () => {
      const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ key: key.secret }) };
      assert.equal((await fetch(`${server.url}/v1/keys/report`, options)).status, 204);
      assert.equal((await callApi(server, key.secret)).status, 401);
      await page.goto("/admin");
      const notice = page.getByRole("listitem").filter({ hasText: "was reported as leaked from 127.0.0.1, and revoked" });
      await notice.waitFor();
      if (javaScriptEnabled) {
        assert.deepEqual(await findings(page), []);
        for (const [colorScheme, width] of [["light", 1280], ["dark", 1280], ["light", 360], ["dark", 360]]) {
          await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
          await page.setViewportSize({ width, height: 900 });
          assert.ok((await sidewaysPixels(page)) <= 0);
          await shoot(page, `notices-${colorScheme}-${width}`);
        }
        await page.setViewportSize({ width: 1280, height: 900 });
      }
      await notice.getByRole("link", { name: "billing-worker" }).click();
      await page.getByRole("heading", { name: /Reported as leaked/ }).waitFor();
      if (javaScriptEnabled) assert.deepEqual(await findings(page), []);
      await shoot(page, `reported-${javaScriptEnabled}`);
      await page.goto("/admin");
      await notice.getByRole("button", { name: /^Dismiss/ }).click();
      await page.waitForURL((url) => url.pathname === "/admin");
      assert.equal(await page.getByRole("heading", { name: "Notices" }).count(), 0);
      watch.check();
    });
  });
}
