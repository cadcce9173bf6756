// The directory: add, find, page through, change, disable and delete people. With scripts and without.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openPage, startBrowser } from "./support/browser.js";
import { callApi, startServer } from "./support/server.js";
import { admin, confirmation, generateKey, setUp, signIn, store } from "./support/steps.js";

const grace = { name: "Grace Hopper", email: "grace@example.com", password: "nanoseconds of copper wire" };
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

    test("a user is added, and an address in use leads to who has it", async () => {
      await page.goto("/admin/users");
      await page.getByRole("link", { name: "Add user" }).click();
      await page.getByLabel("Name", { exact: true }).fill(grace.name);
      await page.getByLabel("Email address").fill(admin.email.toUpperCase());
      await page.getByLabel("Password", { exact: true }).fill(grace.password);
      await page.getByRole("button", { name: "Add user" }).click();
      await page.getByText("Email address is already in use.").first().waitFor();
      assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), grace.name);
      await page.getByRole("link", { name: "Show the user with this address" }).waitFor();
      await page.getByLabel("Email address").fill(grace.email);
      await page.getByLabel("Password", { exact: true }).fill(grace.password);
      await page.getByRole("button", { name: "Add user" }).click();
      await page.getByRole("heading", { level: 1, name: grace.name }).waitFor();
      watch.check();
    });

    test("the list is searched, sorted and paged, all of it in the address", async () => {
      const { secret } = await generateKey(page, { name: "filler", preset: "Full" });
      await store(page);
      const people = Array.from({ length: 27 }, (_, n) => String(n).padStart(2, "0"));
      for (const n of people) {
        const body = JSON.stringify({ name: `Person ${n}`, email: `person${n}@example.com`, password: "correct horse battery" });
        const answer = await callApi(server, secret, "/v1/users", { method: "POST", body, headers: { "Content-Type": "application/json" } });
        assert.equal(answer.status, 201);
      }
      await page.goto("/admin/users");
      assert.equal(await page.locator("tbody tr").count(), 25);
      const first = await page.locator("tbody th").first().textContent();
      assert.equal(first, "Person 26", "newest first");
      await page.getByRole("link", { name: "Next" }).click();
      await page.getByRole("link", { name: "Previous" }).waitFor();
      assert.equal(await page.locator("tbody tr").count(), 4);
      await page.getByRole("link", { name: "Previous" }).click();
      await page.getByRole("link", { name: "Next" }).waitFor();
      assert.equal(await page.locator("tbody th").first().textContent(), first);

      await page.getByRole("link", { name: "Created" }).click();
      await page.waitForURL(/sort=created_at/);
      assert.equal(await page.locator("th[aria-sort=ascending]").count(), 1);
      await page.getByRole("link", { name: "50", exact: true }).click();
      await page.waitForURL(/limit=50/);
      assert.match(page.url(), /sort=created_at/);
      assert.equal(await page.locator("tbody tr").count(), 29);

      await page.getByLabel("Search").fill("person1");
      await page.getByRole("button", { name: "Search" }).click();
      await page.waitForURL(/q=person1/);
      assert.equal(await page.locator("tbody tr").count(), 10);
      await page.getByLabel("Search").fill("nobody at all");
      await page.getByRole("button", { name: "Search" }).click();
      await page.getByText("No users match").waitFor();
      watch.check();
    });

    test("a user is changed", async () => {
      await page.goto("/admin/users?q=grace");
      await page.getByRole("link", { name: grace.name }).click();
      await page.getByRole("link", { name: "Edit" }).click();
      await page.getByLabel("Name", { exact: true }).fill("Grace Brewster Hopper");
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByRole("heading", { level: 1, name: "Grace Brewster Hopper" }).waitFor();
      watch.check();
    });

    test("a member reaches their own settings and nothing else", async () => {
      const member = await openPage(browser, server, { javaScriptEnabled });
      await signIn(member.page, grace);
      await member.page.getByRole("navigation", { name: "Main" }).waitFor();
      assert.equal(await member.page.getByRole("link", { name: "Users" }).count(), 0);
      for (const path of ["/admin", "/admin/users", "/admin/keys", "/admin/users/new"]) {
        assert.equal((await member.page.goto(path)).status(), 403, path);
      }
      await generateKey(member.page, { name: "of grace" });
      await store(member.page);
      await member.page.goto("/settings/api-keys");
      assert.deepEqual(await member.page.locator("tbody th").allTextContents(), ["of grace"]);
      member.watch.check();
      await member.context.close();
    });

    test("a disabled user is signed out, and a deleted one is gone", async () => {
      const member = await openPage(browser, server, { javaScriptEnabled });
      await signIn(member.page, grace);
      const { secret } = await generateKey(member.page, { name: "stops" });
      assert.equal((await callApi(server, secret)).status, 200);

      await page.goto("/admin/users?q=grace");
      await page.getByRole("link", { name: "Grace" }).click();
      const disable = await confirmation(page, "Disable", "Disable user");
      await disable.getByRole("button", { name: "Disable user" }).click();
      await page.getByText("Disabled", { exact: true }).first().waitFor();
      assert.equal((await callApi(server, secret)).status, 401);
      member.page.once("dialog", (dialog) => dialog.accept());
      await member.page.goto("/settings");
      await member.page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
      await member.context.close();

      const remove = await confirmation(page, "Delete", "Delete user");
      await remove.getByLabel("Type").fill("someone@example.com");
      await remove.getByRole("button", { name: "Delete user" }).click();
      await page.getByText("There is a problem").waitFor();
      await page.getByLabel("Type").fill(grace.email);
      await page.getByRole("button", { name: "Delete user" }).click();
      await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
      await page.goto("/admin/users?q=grace");
      await page.getByText("No users match").waitFor();
      watch.check();
    });

    test("the last administrator stays", async () => {
      await page.goto("/admin/users?q=ada");
      await page.getByRole("link", { name: "ada", exact: true }).click();
      const remove = await confirmation(page, "Delete", "Delete user");
      await remove.getByLabel("Type").fill(admin.email);
      await remove.getByRole("button", { name: "Delete user" }).click();
      await page.getByText(/last administrator/).first().waitFor();
      watch.check();
    });
  });
}
