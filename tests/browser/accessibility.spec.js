// Every page in both themes and at both widths: no finding of axe, no sideways scroll, within its weight.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { findings, openPage, shoot, sidewaysPixels, startBrowser } from "./support/browser.js";
import { callApi, endElevation, startServer } from "./support/server.js";
import { addWebhook, admin, confirmation, generateKey, setUp, shownSecret, signIn, store, storeWebhook } from "./support/steps.js";

const FIRST_VISIT_BYTES = 45 * 1024;
const NEXT_PAGE_BYTES = 14 * 1024;
const sizes = [{ width: 1280, height: 800 }, { width: 360, height: 740 }];

let browser, server, key, rotating, user, account, webhook, client, consent;
before(async () => {
  browser = await startBrowser();
  server = await startServer(undefined, { KEYRACK_WEBHOOKS_ALLOW_PRIVATE_TARGETS: "true" });
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function look(page, name) {
  const size = page.viewportSize();
  const theme = await page.evaluate(() => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
  assert.deepEqual(await findings(page), [], `${name}, ${theme}, ${size.width}`);
  assert.ok((await sidewaysPixels(page)) <= 0, `${name} scrolls sideways at ${size.width}`);
  await shoot(page, `${name}-${theme}-${size.width}`);
}

async function inEveryLook(options, visit) {
  for (const colorScheme of ["light", "dark"]) {
    for (const viewport of sizes) {
      const opened = await openPage(browser, server, { colorScheme, viewport, ...options });
      await visit(opened.page);
      opened.watch.check();
      await opened.context.close();
    }
  }
}

describe("pages", () => {
  let storageState;

  test("before there is an admin", async () => {
    await inEveryLook({}, async (page) => {
      await page.goto("/setup");
      await look(page, "setup-code");
      await page.goto(server.setupUrl);
      await look(page, "setup");
      await page.getByRole("button", { name: "Create admin" }).click();
      await page.getByText("There is a problem").waitFor();
      await look(page, "setup-wrong");
      await page.goto("/setup/0000-0000-0000");
      await look(page, "setup-expired");
    });
  });

  test("outside", async () => {
    const { page, context, watch } = await openPage(browser, server);
    await setUp(page, server);
    await page.goto("/settings/api-keys");
    await look(page, "keys-empty");
    key = await generateKey(page, { name: "billing-worker" });
    await store(page);
    await page.goto("/admin");
    await look(page, "overview-waiting");
    await page.goto("/admin/requests");
    await look(page, "requests-empty");
    await callApi(server, key.secret);
    await callApi(server, key.secret, "/v1/users/123", { headers: { "X-Request-Id": "seen-by-axe" } });
    rotating = await generateKey(page, { name: "staging-ci", preset: "Full" });
    await store(page);
    await page.goto(`${rotating.href}/rotate`);
    await page.getByRole("button", { name: "Rotate key" }).click();
    await shownSecret(page);
    await store(page);
    await callApi(server, rotating.secret);
    await page.goto("/admin/clients");
    await look(page, "clients-empty");
    await page.goto("/admin/clients/new");
    await page.getByLabel("Name", { exact: true }).fill("Reporting Tool");
    await page.getByRole("radio", { name: "In public" }).check();
    await page.getByLabel("Redirect URIs").fill("https://reports.example.net/callback");
    await page.getByRole("button", { name: "Register client" }).click();
    await page.getByText("Nobody has allowed it anything yet.").waitFor();
    client = new URL(page.url()).pathname;
    const asked = { redirect_uri: "https://reports.example.net/callback", response_type: "code", code_challenge_method: "S256" };
    const id = client.split("/").at(-1);
    consent = `/oauth/authorize?${new URLSearchParams({ client_id: id, code_challenge: "x".repeat(43), ...asked })}`;
    await page.goto("/admin/users/new");
    await page.getByLabel("Name", { exact: true }).fill("Grace Hopper");
    await page.getByLabel("Email address").fill("grace@example.com");
    await page.getByRole("radio", { name: "With a password that you choose" }).check();
    await page.getByLabel("Password", { exact: true }).fill("nanoseconds of copper wire");
    await page.getByRole("button", { name: "Add user" }).click();
    await page.getByRole("heading", { level: 1, name: "Grace Hopper" }).waitFor();
    user = new URL(page.url()).pathname;
    account = await page.getByRole("link", { name: "Default", exact: true }).getAttribute("href");
    await page.goto("/admin/webhooks");
    await look(page, "webhooks-empty");
    await addWebhook(page, "http://127.0.0.1:1999/hooks/keyrack");
    await look(page, "webhook-secret");
    webhook = await storeWebhook(page);
    await page.getByRole("button", { name: "Send test event" }).click();
    await page.getByRole("heading", { level: 1, name: "webhook.test" }).waitFor();
    webhook.delivery = new URL(page.url()).pathname;
    storageState = await context.storageState();
    watch.check();
    await context.close();

    await inEveryLook({}, async (page) => {
      for (const [name, path] of [
        ["sign-in", "/sign-in"],
        ["already-set-up", "/setup"],
        ["docs-outside", "/docs"],
        ["docs-error", "/docs/errors/invalid_api_key"],
        ["docs-guide", "/docs/authentication"],
        ["docs-operation", "/docs/api/create_api_key"],
        ["docs-list", "/docs/api/list_users"],
        ["docs-search", "/docs/search?q=limit"],
        ["docs-search-nothing", "/docs/search?q=zzzz"],
        ["not-found-outside", "/no-such-page"],
      ]) {
        await page.goto(path);
        await look(page, name);
      }
      await page.goto("/sign-in");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByText("There is a problem").waitFor();
      await look(page, "sign-in-wrong");
    });
  });

  test("inside", async () => {
    await inEveryLook({ storageState }, async (page) => {
      const all = key.href.replace("/settings/api-keys", "/admin/keys");
      for (const [name, path] of [
        ["overview", "/admin"],
        ["overview-hour", "/admin?range=1h"],
        ["overview-month", "/admin?range=30d"],
        ["requests", "/admin/requests"],
        ["requests-none-match", "/admin/requests?status=5xx"],
        ["request", "/admin/requests/seen-by-axe"],
        ["security-of-admins", "/admin/settings/security"],
        ["audit", "/admin/audit"],
        ["audit-none-match", "/admin/audit?action=tier.deleted"],
        ["clients-none-match", "/admin/clients?q=nobody"],
        ["audit-wrong", "/admin/audit?since=yesterday"],
        ["settings", "/settings"],
        ["security", "/settings/security"],
        ["keys-own", "/settings/api-keys"],
        ["keys", "/admin/keys"],
        ["keys-by-name", "/admin/keys?sort=name"],
        ["keys-expiring", "/admin/keys?status=expiring"],
        ["keys-none-match", "/admin/keys?q=nothing-like-it"],
        ["key-new", "/settings/api-keys/new"],
        ["key-new-for-others", "/admin/keys/new"],
        ["key", all],
        ["key-rotating", rotating.href],
        ["key-edit", `${all}/edit`],
        ["key-rotate", `${all}/rotate`],
        ["key-rotate-again", `${rotating.href}/rotate`],
        ["key-disable", `${all}/disable`],
        ["key-revoke", `${all}/revoke`],
        ["key-end-old", `${rotating.href}/end-old`],
        ["api-conventions", "/admin/settings/api-conventions"],
        ["api-conventions-switch", "/admin/settings/api-conventions/resend"],
        ["tiers", "/admin/tiers"],
        ["tier-new", "/admin/tiers/new"],
        ["tier-edit", "/admin/tiers/Free/edit"],
        ["tier-delete", "/admin/tiers/Pro/delete"],
        ["usage-own", "/settings/usage"],
        ["go", "/go"],
        ["go-none", "/go?q=zzz"],
        ["backup", "/admin/settings/backup"],
        ["network", "/admin/settings/network"],
        ["status", "/status"],
        ["users", "/admin/users"],
        ["users-none-match", "/admin/users?q=nobody"],
        ["user", user],
        ["users-by-name", "/admin/users?sort=name&role=member"],
        ["users-bulk", "/admin/users/bulk?all=yes"],
        ["users-bulk-disable", "/admin/users/bulk?all=yes&act=disable"],
        ["users-import", "/admin/users/import"],
        ["user-new", "/admin/users/new"],
        ["user-keys", `${user}/keys`],
        ["user-sessions", `${user}/sessions`],
        ["user-activity", `${user}/activity`],
        ["user-link", `${user}/link`],
        ["invitation-gone", "/invite/no-such-link"],
        ["accounts", "/admin/accounts"],
        ["accounts-none-match", "/admin/accounts?q=nobody"],
        ["account-new", "/admin/accounts/new"],
        ["account", account],
        ["account-edit", `${account}/edit`],
        ["account-limits", `${account}/limits`],
        ["account-suspend", `${account}/suspend`],
        ["user-edit", `${user}/edit`],
        ["user-disable", `${user}/disable`],
        ["user-delete", `${user}/delete`],
        ["webhooks", "/admin/webhooks"],
        ["webhook", webhook.href],
        ["webhook-new", "/admin/webhooks/new"],
        ["webhook-edit", `${webhook.href}/edit`],
        ["webhook-rotate", `${webhook.href}/rotate`],
        ["webhook-replay", `${webhook.href}/replay`],
        ["webhook-delete", `${webhook.href}/delete`],
        ["webhook-delivery", webhook.delivery],
        ["clients", "/admin/clients"],
        ["client", client],
        ["client-new", "/admin/clients/new"],
        ["client-edit", `${client}/edit`],
        ["client-rotate", `${client}/rotate`],
        ["client-delete", `${client}/delete`],
        ["client-try", `${client}/try`],
        ["connected-apps", "/settings/connected-apps"],
        ["consent", consent],
        ["consent-refused", consent.replace("example.net", "example.org")],
        ["docs", "/docs"],
        ["docs-error-inside", "/docs/errors/rate_limit_exceeded"],
        ["not-found", "/admin/no-such-page"],
        ["no-such-key", "/admin/keys/key_01k9xq3v8ee8w9a4h5r2c6d7e8"],
      ]) {
        await page.goto(path);
        await look(page, name);
      }
    });
  });

  test("forms with mistakes, the secret, dialogs and the menu", async () => {
    await inEveryLook({ storageState }, async (page) => {
      await page.goto("/settings/security");
      await page.getByRole("button", { name: "Set up", exact: true }).click();
      await page.getByRole("img", { name: /QR code/ }).waitFor();
      await look(page, "second-factor");
      await page.goto("/admin/audit?action=key.rotated");
      await page.getByText("Changes", { exact: true }).first().click();
      await look(page, "audit-changes");
      await page.locator(".sentence-link").first().click();
      await page.getByText("Hash before").waitFor();
      await look(page, "audit-event");
      await page.goto("/settings/api-keys/new");
      await page.getByLabel("Name", { exact: true }).fill("");
      await page.getByRole("radio", { name: "Custom scopes" }).check();
      await page.getByRole("button", { name: "Generate New Key" }).click();
      await page.getByText("There is a problem").waitFor();
      await look(page, "key-new-wrong");
      await page.goto("/admin/users/new");
      await page.getByRole("button", { name: "Add user" }).click();
      await page.getByText("There is a problem").waitFor();
      await look(page, "user-new-wrong");
      await page.goto("/admin/users/import");
      await page.getByRole("button", { name: "Show what would come of it" }).click();
      await page.getByText("There is a problem").waitFor();
      await look(page, "users-import-wrong");
      await page.getByLabel("Or paste its text").fill("email,name,team\nada@example.com,Ada,\nb@example.com,B,Nowhere\nnobody,C,\nc@example.com,C,\n");
      await page.getByRole("button", { name: "Show what would come of it" }).click();
      await page.getByRole("heading", { name: "What would come of it" }).waitFor();
      await look(page, "users-import-preview");
      await page.goto(`${account}/limits`);
      await page.getByRole("button", { name: "Save own limits" }).click();
      await page.getByText("There is a problem").waitFor();
      await look(page, "account-limits-wrong");
      await page.goto(`${user}/link`);
      await page.getByRole("button", { name: "Make link" }).click();
      const link = await page.getByLabel(/^Link for /).inputValue();
      await look(page, "user-link-shown");
      await page.goto(new URL(link).pathname);
      await look(page, "invitation");
      endElevation(server);
      await page.goto("/settings/security");
      await page.getByRole("button", { name: "Set up", exact: true }).click();
      await page.getByRole("heading", { name: "Confirm that it is you" }).waitFor();
      await look(page, "confirm-it-is-you");
      await page.getByLabel("Password", { exact: true }).fill(admin.password);
      await page.getByRole("button", { name: "Confirm and go on" }).click();
      await page.getByRole("img", { name: /QR code/ }).waitFor();
      await generateKey(page, { name: `seen at ${page.viewportSize().width}` });
      await look(page, "key-secret");
      for (const language of ["JavaScript", "Python", "Go", "Rust", "PowerShell"]) {
        await page.getByText(language, { exact: true }).click();
        assert.ok((await sidewaysPixels(page)) <= 0, language);
      }
      await look(page, "key-secret-powershell");
      await page.getByRole("button", { name: "Test this key" }).click();
      await page.getByText("200 OK").waitFor();
      await look(page, "key-secret-tested");
      await store(page);
      await confirmation(page, "Revoke", "Revoke key");
      await look(page, "key-revoke-dialog");
      await page.keyboard.press("Escape");
      await page.keyboard.press("Control+k");
      await page.getByRole("dialog", { name: "Go to" }).getByRole("link", { name: "Requests" }).waitFor();
      await look(page, "palette");
      await page.keyboard.press("Escape");
      if (page.viewportSize().width < 736) {
        await page.getByText("Menu", { exact: true }).click();
        await look(page, "menu");
      }
    });
  });
});

test("on a laptop's screen the menu and signing out are in sight, and on a lower one the menu scrolls", async () => {
  const { page, context } = await openPage(browser, server, { viewport: { width: 1366, height: 650 } });
  await signIn(page, admin);
  const bottom = async (name) => {
    const box = await page.locator(`.rail ${name}`).filter({ visible: true }).last().boundingBox();
    return box.y + box.height;
  };
  assert.ok((await bottom("nav a")) < (await bottom(".who button")) && (await bottom(".who button")) <= 650);
  await page.setViewportSize({ width: 1366, height: 480 });
  assert.ok((await bottom(".who button")) <= 480);
  const nav = page.getByRole("navigation", { name: "Main" });
  assert.ok(await nav.evaluate((it) => it.scrollHeight > it.clientHeight && getComputedStyle(it).overflowY === "auto"));
  await context.close();
});

test("long names fit at every width", async () => {
  const { page, context } = await openPage(browser, server);
  await signIn(page, admin);
  const long = await generateKey(page, { name: `name-that-nobody-shortened-${"x".repeat(70)}`, preset: "Full" });
  await callApi(server, long.secret);
  await store(page);
  await page.goto("/admin/users/new");
  await page.getByLabel("Name", { exact: true }).fill(`Wolfe${"schlegelstein".repeat(6)}`);
  await page.getByLabel("Email address").fill(`a.very.long.local.part.${"of.it.".repeat(6)}x@${"a-long-domain.".repeat(8)}example.com`);
  await page.getByRole("radio", { name: "With a password that you choose" }).check();
  await page.getByLabel("Password", { exact: true }).fill("correct horse battery");
  await page.getByRole("button", { name: "Add user" }).click();
  await page.locator("dl.facts").first().waitFor();
  const person = new URL(page.url()).pathname;
  for (const width of [320, 480, 737, 820, 1024, 1130]) {
    await page.setViewportSize({ width, height: 800 });
    for (const path of ["/admin", "/admin?range=7d", "/admin/requests", "/admin/audit", "/admin/keys", "/admin/users", "/settings/api-keys", long.href, `${long.href}/rotate`, `${long.href}/revoke`, person, `${person}/edit`, `${person}/delete`, `${person}/activity`, "/admin/users/bulk?all=yes", "/admin/accounts", account, "/docs"]) {
      await page.goto(path);
      await page.evaluate(() => { for (const one of document.querySelectorAll("main details")) one.open = true; });
      assert.ok((await sidewaysPixels(page)) <= 0, `${path} scrolls sideways at ${width}`);
    }
  }
  await context.close();
});

describe("weight", () => {
  async function bytesOf(page, visit) {
    const session = await page.context().newCDPSession(page);
    await session.send("Network.enable");
    let bytes = 0;
    session.on("Network.loadingFinished", (event) => { bytes += event.encodedDataLength; });
    await visit();
    await page.waitForLoadState("networkidle");
    await session.detach();
    return bytes;
  }

  test("a first visit and the pages after it are light", async () => {
    const { page, context } = await openPage(browser, server);
    const first = await bytesOf(page, () => page.goto("/sign-in"));
    assert.ok(first > 0 && first <= FIRST_VISIT_BYTES, `first visit: ${first} bytes`);
    await signIn(page, admin);
    for (const path of ["/admin", "/admin/requests", "/admin/audit", "/admin/keys", "/admin/users", "/settings/api-keys/new", "/docs"]) {
      const next = await bytesOf(page, () => page.goto(path));
      assert.ok(next <= NEXT_PAGE_BYTES, `${path}: ${next} bytes`);
    }
    await context.close();
  });

  test("each kind of file keeps to its share", async () => {
    const { page, context } = await openPage(browser, server);
    await signIn(page, admin);
    const session = await context.newCDPSession(page);
    await session.send("Network.enable");
    const [kinds, weights] = [new Map(), new Map()];
    session.on("Network.responseReceived", ({ requestId, type }) => kinds.set(requestId, type));
    session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
      const kind = kinds.get(requestId);
      weights.set(kind, Math.max(weights.get(kind) ?? 0, encodedDataLength));
    });
    await session.send("Network.setCacheDisabled", { cacheDisabled: true });
    for (const path of ["/admin", "/admin/keys?limit=100", "/admin/keys/new", "/admin/tiers/Free/edit", "/settings/usage", "/go"]) {
      await page.goto(path, { waitUntil: "networkidle" });
    }
    for (const [kind, most] of [["Document", 14], ["Stylesheet", 10], ["Script", 12]]) {
      const bytes = weights.get(kind);
      assert.ok(bytes > 0 && bytes <= most * 1024, `${kind}: ${bytes} bytes`);
    }
    await context.close();
  });

  test("nothing moves while a page loads", async () => {
    const { page, context } = await openPage(browser, server);
    await page.addInitScript(() => {
      window.shifted = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.shifted += entry.value;
      }).observe({ type: "layout-shift", buffered: true });
    });
    await signIn(page, admin);
    for (const path of ["/admin", "/admin/keys", "/admin/users/new", "/settings/api-keys/new", "/docs", "/settings", "/admin/tiers/Free/edit", "/settings/usage", "/go"]) {
      await page.goto(path, { waitUntil: "networkidle" });
      const shifted = await page.evaluate(() => window.shifted);
      // On a busy machine a long table is painted before its last rows came, and then settles by a few pixels.
      assert.ok(shifted < 0.01, `${path}: ${shifted}`);
    }
    await context.close();
  });

  test("the look that a person chose is there from the first paint", async () => {
    const { page, context } = await openPage(browser, server);
    await signIn(page, admin);
    await page.goto("/settings");
    await page.getByRole("radio", { name: "Dark" }).check();
    await page.getByRole("button", { name: "Save look" }).click();
    await page.waitForLoadState();
    assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(16, 21, 19)");
    await context.close();
  });
});
