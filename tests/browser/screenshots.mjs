// The pictures of the README: `make screenshots`. Of a server with the demo's data.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { startBrowser } from "./support/browser.js";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const keyrack = process.env.KEYRACK_BIN ?? path.join(root, "target/debug/keyrack");
const base = "http://127.0.0.1:8199";
const out = path.join(root, "docs/images");
mkdirSync(out, { recursive: true });

const demo = spawn(path.join(root, "packaging/demo.sh"), [keyrack], {
  env: { ...process.env, LISTEN: "127.0.0.1:8199" },
  stdio: "ignore",
  detached: true,
});
try {
  await answers(`${base}/readyz`);
  // Some traffic, so that the keys have been used.
  await new Promise((done) => setTimeout(done, 9000));
  const browser = await startBrowser();
  await pictures(browser, "light", { keys: "/admin/keys", overview: "/admin" });
  await pictures(browser, "dark", { keys: "/admin/keys", overview: "/admin" });
  await browser.close();
} finally {
  process.kill(-demo.pid);
}

async function pictures(browser, colorScheme, pages) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto(`${base}/sign-in`);
  await page.getByLabel("Email address").fill("admin@example.com");
  await page.getByLabel("Password", { exact: true }).fill("keyrack-demo");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator(".rail").waitFor();
  for (const [name, at] of Object.entries(pages)) {
    await page.goto(base + at);
    await page.screenshot({ path: path.join(out, `${name}-${colorScheme}.png`) });
  }
  await page.goto(`${base}/admin/keys?status=rotating`);
  await page.locator("main table a").first().click();
  await page.screenshot({ path: path.join(out, `key-${colorScheme}.png`) });
  await context.close();
}

async function answers(url) {
  for (let tries = 0; tries < 600; tries++) {
    if (await fetch(url).then((answer) => answer.ok, () => false)) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`${url} does not answer`);
}
