// One's own security: the password, the sessions, and being asked again before what matters. With scripts and without.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
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

// What an authenticator app shows: RFC 6238.
function codeOf(secret, step = Math.floor(Date.now() / 30_000)) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret.replaceAll(" ", "")].map((c) => alphabet.indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac("sha1", key).update(counter).digest();
  const at = mac[19] & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

for (const javaScriptEnabled of [true, false]) {
  describe(`a second factor ${javaScriptEnabled ? "with scripts" : "without scripts"}`, () => {
    let server, page, watch, context, secret, recovery;
    before(async () => {
      server = await startServer();
      ({ page, watch, context } = await openPage(browser, server, { javaScriptEnabled }));
      await setUp(page, server);
    });
    after(async () => {
      await context?.close();
      await server?.stop();
    });

    test("is required of administrators, and set up before anything else", async () => {
      await page.goto("/admin/settings/security");
      await page.getByText("Without a second factor: 1 of 1.").waitFor();
      await page.getByRole("radio", { name: /^Required/ }).check();
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByText("Set a second factor up first").waitFor();
      await page.goto("/admin/users");
      await page.getByText("Set a second factor up first").waitFor();
      await page.getByRole("button", { name: "Set up", exact: true }).click();
      await page.getByRole("img", { name: /QR code/ }).waitFor();
      secret = await page.locator("#seed").textContent();
      await page.getByLabel("Code that the app shows").fill("000000");
      await page.getByRole("button", { name: "Turn on" }).click();
      await page.getByText("This code is not right").first().waitFor();
      assert.equal(await page.locator("#seed").textContent(), secret);
      await page.getByLabel("Code that the app shows").fill(codeOf(secret));
      await page.getByRole("button", { name: "Turn on" }).click();
      await page.getByRole("heading", { level: 1, name: "Recovery codes" }).waitFor();
      recovery = (await page.locator("#codes").textContent()).trim().split("\n");
      assert.equal(recovery.length, 10);
      const coming = page.waitForEvent("download");
      await page.getByRole("button", { name: "Download" }).click();
      assert.equal((await coming).suggestedFilename(), "keyrack-recovery-codes.txt");
      await page.getByRole("link", { name: "I have stored them" }).click();
      await page.getByText("10 recovery codes are left").waitFor();
      await page.getByRole("button", { name: "Remove" }).click();
      await page.getByText(/so the last one stays/).first().waitFor();
      await page.goto("/admin/users");
      await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
      watch.check();
    });

    test("is asked for at the sign-in, and a recovery code stands in for it", async () => {
      const again = await openPage(browser, server, { javaScriptEnabled });
      await again.page.goto("/sign-in?next=/admin/users");
      await again.page.getByLabel("Email address").fill(admin.email);
      await again.page.getByLabel("Password", { exact: true }).fill(admin.password);
      await again.page.getByRole("button", { name: "Sign in" }).click();
      await again.page.getByRole("heading", { level: 1, name: "Second factor" }).waitFor();
      await again.page.getByLabel("Code").fill(codeOf(secret, Math.floor(Date.now() / 30_000) + 1));
      await again.page.getByRole("button", { name: "Sign in" }).click();
      await again.page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
      await again.context.close();

      const other = await openPage(browser, server, { javaScriptEnabled });
      await other.page.goto("/sign-in");
      await other.page.getByLabel("Email address").fill(admin.email);
      await other.page.getByLabel("Password", { exact: true }).fill(admin.password);
      await other.page.getByRole("button", { name: "Sign in" }).click();
      await other.page.getByRole("link", { name: "Use a recovery code" }).click();
      await other.page.getByLabel("Recovery code").fill(recovery[0]);
      await other.page.getByRole("button", { name: "Sign in" }).click();
      await other.page.locator(".rail").waitFor();
      await other.page.goto("/settings/security");
      await other.page.getByText("9 recovery codes are left").waitFor();
      other.watch.check();
      await other.context.close();
    });
  });
}
