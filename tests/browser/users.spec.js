// The directory: add, find, page through, change, disable and delete people. With scripts and without.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
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
      await page.getByRole("radio", { name: "With a password that you choose" }).check();
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

      await page.getByRole("link", { name: "Name", exact: true }).click();
      await page.waitForURL(/sort=name/);
      assert.equal(await page.locator("tbody th").first().textContent(), "ada");
      await page.getByRole("link", { name: "Next" }).click();
      await page.getByRole("link", { name: "Previous" }).waitFor();
      assert.equal(await page.locator("tbody th").last().textContent(), "Person 26");
      await page.goto("/admin/users");
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
      await page.getByLabel("Status").selectOption("Disabled");
      await page.getByRole("button", { name: "Search" }).click();
      await page.getByText("person1, status disabled").waitFor();
      await page.getByLabel("Search").fill("nobody at all");
      await page.getByRole("button", { name: "Search" }).click();
      await page.getByText("No users match").waitFor();
      watch.check();
    });

    test("some are ticked and disabled, and whoever must stay is named", async () => {
      await page.goto("/admin/users?sort=name");
      await page.getByRole("button", { name: "Disable", exact: true }).click();
      await page.getByText("Nobody was chosen").waitFor();
      await page.goto("/admin/users?sort=name");
      for (const name of ["ada", "Person 00", "Person 01"]) await page.getByRole("checkbox", { name: `Choose ${name},` }).check();
      await page.getByRole("button", { name: "Disable", exact: true }).click();
      await page.getByRole("heading", { level: 1, name: "Disable 3 users" }).waitFor();
      await page.getByRole("button", { name: "Disable 3 users" }).click();
      await page.getByRole("heading", { level: 1, name: "1 of 3 not disabled" }).waitFor();
      await page.getByText("You are signed in as this user").waitFor();
      await page.goto("/admin/users?status=disabled");
      assert.equal(await page.locator("tbody tr").count(), 2);
      watch.check();
    });

    test("all that match are chosen in a second step, enabled, and exported", async () => {
      await page.goto("/admin/users?q=person&sort=name");
      await page.getByRole("link", { name: "Select all that match" }).click();
      await page.getByRole("heading", { level: 1, name: "27 users" }).waitFor();
      const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export CSV" }).click()]);
      assert.match(file.suggestedFilename(), /^keyrack-users-\d{4}-\d\d-\d\d\.csv$/);
      assert.equal((await readFile(await file.path(), "utf8")).trim().split("\n").length, 28);
      await page.getByRole("button", { name: "Enable…" }).click();
      await page.getByRole("button", { name: "Enable 27 users" }).click();
      await page.getByRole("heading", { name: "2 users enabled" }).waitFor();
      watch.check();
    });

    test("an invited user follows the link, chooses a password and is in", async () => {
      await page.goto("/admin/users/new");
      await page.getByLabel("Name", { exact: true }).fill("Katherine");
      await page.getByLabel("Email address").fill("katherine@example.com");
      await page.getByLabel("Account", { exact: true }).fill("Langley");
      await page.getByLabel("This is a new account").check();
      await page.getByRole("button", { name: "Add user" }).click();
      await page.getByRole("heading", { level: 1, name: "Pass this link on to Katherine" }).waitFor();
      const link = await page.getByLabel("Link for katherine@example.com").inputValue();
      await page.getByRole("link", { name: "Show Katherine" }).click();
      await page.getByText("Invited", { exact: true }).first().waitFor();
      const own = await openPage(browser, server, { javaScriptEnabled });
      await own.page.goto(new URL(link).pathname);
      await own.page.getByLabel("Password", { exact: true }).fill("short");
      await own.page.getByRole("button", { name: "Set password and sign in" }).click();
      await own.page.getByText("There is a problem").waitFor();
      await own.page.getByLabel("Your name").fill("Katherine Johnson");
      await own.page.getByLabel("Password", { exact: true }).fill("orbits by hand and pencil");
      await own.page.getByRole("button", { name: "Set password and sign in" }).click();
      await own.page.getByRole("navigation", { name: "Main" }).waitFor();
      await own.page.goto(new URL(link).pathname);
      await own.page.getByRole("heading", { name: "This link does nothing any more" }).waitFor();
      await page.goto("/admin/users?q=katherine");
      await page.getByRole("link", { name: "Katherine Johnson", exact: true }).click();
      await page.getByRole("link", { name: "Sessions" }).click();
      await page.getByRole("button", { name: /^Sign out: / }).click();
      await page.getByText("is signed in nowhere").waitFor();
      await page.getByRole("link", { name: "Activity" }).click();
      await page.getByText("invited user Katherine").waitFor();
      own.watch.check();
      await own.context.close();
      watch.check();
    });

    test("a link for a new password is given and withdrawn", async () => {
      await page.goto("/admin/users?q=katherine");
      await page.getByRole("link", { name: "Katherine Johnson", exact: true }).click();
      const give = await confirmation(page, "Give a link to set a new password", "Make link");
      await give.getByRole("button", { name: "Make link" }).click();
      await page.getByRole("heading", { name: "Link to set a new password" }).waitFor();
      const link = await page.getByLabel("Link for katherine@example.com").inputValue();
      await page.getByRole("link", { name: "Show Katherine Johnson" }).click();
      const take = await confirmation(page, "Withdraw the link", "Withdraw link");
      await take.getByRole("button", { name: "Withdraw link" }).click();
      await page.getByRole("link", { name: "Give a link to set a new password" }).waitFor();
      const own = await openPage(browser, server, { javaScriptEnabled });
      assert.equal((await own.page.goto(new URL(link).pathname)).status(), 404);
      await own.context.close();
      watch.check();
    });

    test("a file is looked at, its columns are chosen, and it is imported without its mistakes", async () => {
      await page.goto("/admin/users");
      await page.getByRole("link", { name: "Import" }).click();
      const buffer = Buffer.from("Login;Person;Team\nmary@example.com;Mary Jackson;Langley\nno-address;X;\ndorothy@example.com;Dorothy Vaughan;Computers\n");
      await page.getByLabel("File", { exact: true }).setInputFiles({ name: "people.csv", mimeType: "text/csv", buffer });
      await page.getByRole("button", { name: "Show what would come of it" }).click();
      await page.getByText("No column is the email address").first().waitFor();
      await page.getByLabel("Login").selectOption("Email");
      await page.getByLabel("Person").selectOption("Name");
      await page.getByRole("button", { name: "Show again" }).click();
      await page.getByText("There is no account Computers.").first().waitFor();
      await page.getByLabel("Make accounts that are named and missing").check();
      await page.getByRole("button", { name: "Show again" }).click();
      const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download rejected rows" }).click()]);
      assert.match(await readFile(await file.path(), "utf8"), /^line,problem,Login,Person,Team\n3,.*,no-address,X,\n$/);
      await page.getByRole("button", { name: "Import 2 users" }).click();
      await page.getByText("2 users imported").waitFor();
      await page.goto("/admin/users?account=Computers");
      assert.deepEqual(await page.locator("tbody th").allTextContents(), ["Dorothy Vaughan"]);
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

    test("the last administrator stays, and nobody is deleted who is enabled", async () => {
      await page.goto("/admin/users?q=ada");
      await page.getByRole("link", { name: "ada", exact: true }).click();
      const remove = await confirmation(page, "Delete", "Disable user");
      await remove.getByText("Only a disabled user is deleted.").waitFor();
      await remove.getByRole("button", { name: "Disable user" }).click();
      await page.getByText(/last administrator/).first().waitFor();
      watch.check();
    });
  });
}
