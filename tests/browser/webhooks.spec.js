// Webhooks: add one, see what was sent and what was answered, send it again, pause it, give it another secret. With
// scripts and without.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { openPage, startBrowser } from "./support/browser.js";
import { startServer } from "./support/server.js";
import { addWebhook, confirmation, setUp, storeWebhook } from "./support/steps.js";

let browser;
before(async () => { browser = await startBrowser(); });
after(() => browser.close());

// Remembers what comes and answers as it is told to.
async function startReceiver() {
  const receiver = { status: 204, body: "", taken: [] };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    receiver.taken.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
    response.writeHead(receiver.status, { "content-type": "text/html" }).end(receiver.body);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  receiver.url = `http://127.0.0.1:${server.address().port}/hook`;
  receiver.stop = () => server.close();
  receiver.until = async (count) => {
    for (let n = 0; receiver.taken.length < count; n += 1) {
      assert.ok(n < 500, `only ${receiver.taken.length} of ${count} came`);
      await new Promise((done) => setTimeout(done, 20));
    }
  };
  return receiver;
}

function isSigned({ headers, body }, secret) {
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const mac = createHmac("sha256", key).update(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`);
  return headers["webhook-signature"].split(" ").includes(`v1,${mac.digest("base64")}`);
}

for (const javaScriptEnabled of [true, false]) {
  describe(javaScriptEnabled ? "with scripts" : "without scripts", () => {
    let server, receiver, page, watch, context, secret, webhook;
    before(async () => {
      receiver = await startReceiver();
      server = await startServer(undefined, { KEYRACK_WEBHOOKS_ALLOW_PRIVATE_TARGETS: "true" });
      ({ page, watch, context } = await openPage(browser, server, { javaScriptEnabled }));
      await setUp(page, server);
    });
    after(async () => {
      await context?.close();
      await server?.stop();
      receiver?.stop();
    });

    async function addUser(name) {
      await page.goto("/admin/users/new");
      await page.getByLabel("Name", { exact: true }).fill(name);
      await page.getByLabel("Email address").fill(`${name.toLowerCase()}@example.com`);
      await page.getByRole("radio", { name: "With a password that you choose" }).check();
      await page.getByLabel("Password", { exact: true }).fill("nanoseconds of copper wire");
      await page.getByRole("button", { name: "Add user" }).click();
      await page.getByRole("heading", { level: 1, name }).waitFor();
    }

    test("what is wrong with a new one is told at its field, and what was chosen is kept", async () => {
      await page.goto("/admin/webhooks");
      await page.getByRole("link", { name: "Add webhook" }).click();
      await page.getByLabel("URL", { exact: true }).fill("example.com/hook");
      await page.locator("[value='user.deleted']").check();
      await page.getByRole("button", { name: "Add webhook" }).click();
      await page.getByText("Enter a URL, for example https://example.com/hooks/keyrack.").first().waitFor();
      assert.equal(await page.getByLabel("URL", { exact: true }).inputValue(), "example.com/hook");
      assert.ok(await page.locator("[value='user.deleted']").isChecked());
      watch.check();
    });

    test("its secret is shown once, and what happens is told", async () => {
      secret = await addWebhook(page, receiver.url);
      assert.match(secret, /^whsec_/);
      webhook = await storeWebhook(page);
      assert.ok(!(await page.content()).includes(secret));
      await addUser("Grace");
      await receiver.until(1);
      assert.ok(isSigned(receiver.taken[0], secret));
      await page.goto(webhook.href);
      await page.getByRole("row", { name: /user\.created.*204.*1 of 8.*Delivered/ }).waitFor();
      watch.check();
    });

    test("a test event that fails shows both sides, as text", async () => {
      receiver.status = 500;
      receiver.body = "<img src=x onerror=alert(1)> out of order";
      await page.goto(webhook.href);
      await page.getByRole("button", { name: "Send test event" }).click();
      await page.getByRole("heading", { level: 1, name: "webhook.test" }).waitFor();
      assert.match(await page.getByRole("region", { name: "Request" }).textContent(), /webhook-signature: v1,/);
      const response = await page.getByRole("region", { name: "Response" }).textContent();
      assert.match(response, /HTTP\/1\.1 500\s+content-type: text\/html\s+<img src=x onerror=alert\(1\)> out of order/);
      assert.equal(await page.locator("main img").count(), 0);
      await page.getByText("Copy as cURL").click();
      assert.match(await page.locator("#curl").textContent(), /^curl -i 'http/);
      watch.check();
    });

    test("what failed is sent again, with the same id", async () => {
      receiver.status = 204;
      const failed = receiver.taken.at(-1).headers["webhook-id"];
      const count = receiver.taken.length;
      await page.getByRole("button", { name: "Replay" }).click();
      await page.getByRole("heading", { name: "Waiting to be sent again" }).waitFor();
      await receiver.until(count + 1);
      assert.equal(receiver.taken.at(-1).headers["webhook-id"], failed);
      await page.goto(webhook.href);
      await page.getByRole("link", { name: "Failed", exact: true }).click();
      await page.getByText("None of these.").waitFor();
      watch.check();
    });

    test("of all that failed since a time, a test is not sent again", async () => {
      receiver.status = 500;
      await page.goto(webhook.href);
      await page.getByRole("button", { name: "Send test event" }).click();
      await page.getByRole("heading", { level: 1, name: "webhook.test" }).waitFor();
      receiver.status = 204;
      await page.goto(webhook.href);
      await page.getByRole("link", { name: "Replay all failed since…" }).click();
      await page.getByRole("button", { name: "Replay all failed" }).click();
      await page.getByRole("heading", { name: "Nothing to send again" }).waitFor();
      watch.check();
    });

    test("while it is paused what happens waits", async () => {
      await page.goto(webhook.href);
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByRole("heading", { name: "Paused", exact: true }).waitFor();
      const count = receiver.taken.length;
      await addUser("Edith");
      await page.goto(webhook.href);
      await page.getByRole("row", { name: /user\.created.*Pending/ }).waitFor();
      assert.equal(receiver.taken.length, count);
      await page.getByRole("button", { name: "Resume" }).click();
      await receiver.until(count + 1);
      watch.check();
    });

    test("while its secret rotates both sign", async () => {
      await page.goto(webhook.href);
      await page.getByRole("link", { name: "Rotate secret" }).click();
      await page.getByRole("button", { name: "Rotate secret" }).click();
      const newer = await page.getByLabel("Signing secret").inputValue();
      await storeWebhook(page);
      const count = receiver.taken.length;
      await page.getByRole("button", { name: "Send test event" }).click();
      await receiver.until(count + 1);
      const told = receiver.taken.at(-1);
      assert.ok(newer !== secret && isSigned(told, secret) && isSigned(told, newer));
      watch.check();
    });

    test("it is edited and deleted", async () => {
      await page.goto(webhook.href);
      await page.getByRole("link", { name: "Edit", exact: true }).click();
      await page.locator("[value='user.created']").uncheck();
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByRole("heading", { name: "Deliveries" }).waitFor();
      assert.ok(!(await page.locator("dl").textContent()).includes("user.created"));
      const form = await confirmation(page, "Delete", "Delete webhook");
      await form.getByRole("button", { name: "Delete webhook" }).click();
      await page.getByRole("heading", { name: "Webhook deleted" }).waitFor();
      watch.check();
    });
  });
}
