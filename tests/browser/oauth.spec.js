// OAuth in Chromium: a client is registered, tried and allowed; the way back passes the content security policy; framing,
// other sites' forms and stale ones do not.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { openPage, startBrowser } from "./support/browser.js";
import { callApi, startServer } from "./support/server.js";
import { admin, confirmation, setUp } from "./support/steps.js";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());

// A program on another origin: it notes what it is sent, and frames or posts to whatever it is told.
async function startApp() {
  const seen = [];
  let html = "<h1>Back at the app</h1>";
  const http = createServer((request, answer) => {
    if (request.url.startsWith("/cb")) seen.push(new URL(request.url, "http://app").searchParams);
    answer.setHeader("Content-Type", "text/html");
    answer.end(html);
  });
  await new Promise((done) => http.listen(0, "127.0.0.1", done));
  // Another host than the server's, so that it is another site.
  const url = `http://localhost:${http.address().port}`;
  return { url, seen, show: (text) => (html = text), stop: () => http.close() };
}

for (const javaScriptEnabled of [true, false]) {
  describe(`a client, ${javaScriptEnabled ? "with" : "without"} scripts`, () => {
    let server, app, page, context, id, secret;
    const verifier = randomBytes(32).toString("base64url");
    const link = (more = {}) =>
      `${server.url}/oauth/authorize?${new URLSearchParams({
        client_id: id,
        redirect_uri: `${app.url}/cb`,
        response_type: "code",
        scope: "read write",
        state: "a state & more",
        code_challenge: createHash("sha256").update(verifier).digest("base64url"),
        code_challenge_method: "S256",
        ...more,
      })}`;

    before(async () => {
      [server, app] = await Promise.all([startServer(), startApp()]);
      ({ page, context } = await openPage(browser, server, { javaScriptEnabled }));
      await setUp(page, server);
    });
    after(async () => {
      await context?.close();
      app?.stop();
      await server?.stop();
    });

    async function token(fields) {
      const body = JSON.stringify({ client_id: id, client_secret: secret, ...fields });
      return fetch(`${server.url}/oauth/token`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    }

    test("is registered, and its secret shown once", async () => {
      await page.goto("/admin/clients");
      await page.getByRole("link", { name: "Register a client" }).click();
      await page.getByLabel("Name", { exact: true }).fill("Reporting Tool");
      await page.getByLabel("Redirect URIs").fill("http://app.example.com/cb");
      await page.locator("[id='scope-users:write']").check();
      await page.getByRole("button", { name: "Register client" }).click();
      if (await page.getByText("Confirm that it is you").count()) {
        await page.getByLabel("Password", { exact: true }).fill(admin.password);
        await page.locator("main button.primary").click();
      }
      await page.getByRole("link", { name: "Use https" }).waitFor();
      await page.getByLabel("Redirect URIs").fill(`${app.url}/cb`);
      await page.getByRole("button", { name: "Register client" }).click();
      secret = await page.getByLabel("Client secret").inputValue();
      id = await page.getByLabel("Client id").inputValue();
      assert.match(secret, /^krs_[0-9A-Za-z]{49}$/);
      await page.getByRole("link", { name: "I have stored the secret" }).click();
      await page.getByText("Nobody has allowed it anything yet.").waitFor();
    });

    test("is tried from the dashboard", async () => {
      await page.getByRole("link", { name: "Try the flow" }).click();
      await page.getByRole("button", { name: "Try the flow" }).click();
      await page.getByRole("button", { name: "Allow access" }).click();
      await page.getByRole("heading", { name: "The flow works" }).waitFor();
      await page.getByText("The tokens of this try were revoked").waitFor();
    });

    test("is allowed by a user who has to sign in first, and gets tokens that work", async () => {
      await context.clearCookies();
      await page.goto(link());
      await page.getByLabel("Email address").fill(admin.email);
      await page.getByLabel("Password", { exact: true }).fill(admin.password);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("heading", { name: "Reporting Tool wants access to your account" }).waitFor();
      await page.getByText("Write", { exact: true }).waitFor();
      await page.getByRole("button", { name: "Allow access" }).click();
      await page.getByRole("heading", { name: "Back at the app" }).waitFor();
      const answer = app.seen.at(-1);
      assert.equal(answer.get("state"), "a state & more");
      assert.equal(answer.get("iss"), server.url);
      const fields = { grant_type: "authorization_code", code: answer.get("code"), redirect_uri: `${app.url}/cb` };
      const issued = await token({ ...fields, code_verifier: verifier });
      assert.equal(issued.status, 200);
      const tokens = await issued.json();
      assert.equal((await callApi(server, tokens.access_token)).status, 200);
      assert.equal((await token({ grant_type: "refresh_token", refresh_token: tokens.refresh_token })).status, 200);
    });

    test("is not asked for again, after signing in either", async () => {
      const before = app.seen.length;
      await page.goto(link());
      await page.getByRole("heading", { name: "Back at the app" }).waitFor();
      await context.clearCookies();
      await page.goto(link());
      await page.getByLabel("Email address").fill(admin.email);
      await page.getByLabel("Password", { exact: true }).fill(admin.password);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("heading", { name: "Back at the app" }).waitFor();
      assert.equal(app.seen.length, before + 2);
    });

    test("is told when the user cancels", async () => {
      await page.goto("/settings/connected-apps");
      const form = await confirmation(page, "Revoke the access of Reporting Tool", "Revoke access");
      await form.getByRole("button", { name: "Revoke access" }).click();
      await page.getByText("You have not connected any apps.").waitFor();
      await page.goto(link());
      await page.getByRole("button", { name: "Cancel" }).click();
      await page.getByRole("heading", { name: "Back at the app" }).waitFor();
      assert.equal(app.seen.at(-1).get("error"), "access_denied");
    });

    test("cannot frame the consent", async () => {
      app.show(`<iframe src="${link().replaceAll("&", "&amp;")}"></iframe>`);
      await page.goto(`${app.url}/frame`);
      const frame = page.frames().find((one) => one !== page.mainFrame());
      assert.equal(await frame.getByRole("button", { name: "Allow access" }).count(), 0);
      app.show("<h1>Back at the app</h1>");
    });

    test("cannot send the user's answer from its own page", async () => {
      const request = new URL(link()).search.slice(1).replaceAll("&", "&amp;");
      app.show(
        `<form method="post" action="${server.url}/oauth/authorize"><input name="csrf" value="x"><input name="request" value="${request}">` +
          `<button name="decision" value="allow">Win</button></form>`,
      );
      const before = app.seen.length;
      await page.goto(`${app.url}/post`);
      await page.getByRole("button", { name: "Win" }).click();
      await page.waitForLoadState();
      assert.equal(await page.getByRole("heading", { name: "Back at the app" }).count(), 0);
      assert.equal(app.seen.length, before);
      app.show("<h1>Back at the app</h1>");
    });

    test("with a wrong address leads nowhere", async () => {
      await page.goto(link({ redirect_uri: `${app.url}/other` }));
      await page.getByRole("heading", { name: "This link does not lead on" }).waitFor();
      await page.getByText(`${app.url}/other`, { exact: true }).waitFor();
      await page.getByText(`${app.url}/cb`, { exact: true }).waitFor();
    });

    test("lets the user take another account", async () => {
      await page.goto(link());
      await page.getByRole("button", { name: "Use another account" }).click();
      await page.getByLabel("Email address").fill(admin.email);
      await page.getByLabel("Password", { exact: true }).fill(admin.password);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("button", { name: "Allow access" }).waitFor();
    });
  });
}
