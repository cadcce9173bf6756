// One's own security: the password, the sessions, and being asked again before what matters. With scripts and without.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openPage, startBrowser } from "./support/browser.js";
import { endElevation, startServer } from "./support/server.js";
import { admin, setUp, shownSecret, signIn, store } from "./support/steps.js";

const other = { ...admin, password: "another cabinet of keys" };
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

    test("what matters asks again who one is, and the form goes on with nothing lost", async () => {
      await page.getByText(/^Elevated until \d\d:\d\d$/).filter({ visible: true }).waitFor();
      endElevation(server);
      await page.goto("/settings/api-keys/new");
      await page.getByLabel("Name", { exact: true }).fill("for everything");
      await page.getByRole("radio", { name: "Custom scopes" }).check();
      await page.getByRole("checkbox", { name: "admin" }).check();
      await page.getByLabel("Allowed addresses (optional)").fill("127.0.0.0/8\n203.0.113.0/24");
      await page.getByRole("button", { name: "Generate New Key" }).click();
      await page.getByRole("heading", { level: 1, name: "Confirm that it is you" }).waitFor();
      await page.getByLabel("Password", { exact: true }).fill("not the password");
      await page.getByRole("button", { name: "Confirm and go on" }).click();
      await page.getByText("This is not your password.").first().waitFor();
      await page.getByLabel("Password", { exact: true }).fill(admin.password);
      await page.getByRole("button", { name: "Confirm and go on" }).click();
      await store(page, await shownSecret(page));
      const facts = await page.locator("dl.facts").first().textContent();
      for (const kept of ["admin", "127.0.0.0/8", "203.0.113.0/24"]) assert.match(facts, new RegExp(kept));
      watch.check();
    });

    test("another device is seen and signed out", async () => {
      const elsewhere = await openPage(browser, server, { javaScriptEnabled });
      await signIn(elsewhere.page, admin);
      await page.goto("/settings");
      await page.getByRole("link", { name: "Security", exact: true }).click();
      await page.getByText("This session").waitFor();
      assert.equal(await page.locator("tbody tr").count(), 2);
      await page.getByRole("button", { name: /^Sign out Chrome on Linux/ }).click();
      await page.getByText("Signed out", { exact: true }).waitFor();
      assert.equal(await page.locator("tbody tr").count(), 1);
      await elsewhere.page.goto("/settings");
      await elsewhere.page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
      await elsewhere.context.close();
      watch.check();
    });

    test("the password is changed", async () => {
      await page.goto("/settings/security");
      await page.getByLabel("Current password", { exact: true }).fill("not the password");
      await page.getByLabel("New password", { exact: true }).fill(other.password);
      await page.getByRole("button", { name: "Change password" }).click();
      await page.getByText("This is not your current password.").first().waitFor();
      await page.getByLabel("Current password", { exact: true }).fill(admin.password);
      await page.getByLabel("New password", { exact: true }).fill(other.password);
      await page.getByRole("button", { name: "Change password" }).click();
      await page.getByText("Password changed").waitFor();
      const again = await openPage(browser, server, { javaScriptEnabled });
      await signIn(again.page, other);
      await again.context.close();
      watch.check();
    });

    test("the look is the person's, wherever they sign in", async () => {
      await page.goto("/settings");
      await page.getByRole("radio", { name: "Dark" }).check();
      await page.getByRole("button", { name: "Save look" }).click();
      await page.getByText("Saved").waitFor();
      const again = await openPage(browser, server, { javaScriptEnabled });
      await signIn(again.page, other);
      assert.equal(await again.page.locator("html").getAttribute("data-theme"), "dark");
      await again.context.close();
      watch.check();
    });
  });
}
