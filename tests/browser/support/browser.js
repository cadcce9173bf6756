// Chromium with eyes open: whatever a page does that it must not makes its test fail.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const executablePath = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => path && existsSync(path));

export async function startBrowser() {
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

// A page of a fresh profile. `watch.check()` fails when the page broke its content security policy, threw, asked
// another host for something, or got a 5xx.
export async function openPage(browser, server, options = {}) {
  const still = { reducedMotion: "reduce" }; // nothing is looked at half-way through fading in
  const context = await browser.newContext({ baseURL: server.url, viewport: { width: 1280, height: 800 }, ...still, ...options });
  context.setDefaultTimeout(10_000);
  const faults = [];
  const page = await context.newPage();
  page.on("pageerror", (error) => faults.push(`threw: ${error.message}`));
  page.on("console", (message) => {
    if (/content security policy|trusted ?types|refused to/i.test(message.text())) faults.push(message.text());
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(server.url) && !url.startsWith("data:") && !url.startsWith("blob:")) faults.push(`asked ${url}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 500) faults.push(`${response.status()} from ${response.url()}`);
  });
  const watch = { check: () => assert.deepEqual(faults, []) };
  return { context, page, watch };
}

export async function findings(page) {
  await page.evaluate(axeSource);
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return result.violations.map((one) => `${one.id}: ${one.nodes.map((node) => `${node.html.slice(0, 160)} ${node.failureSummary}`).join(" | ")}`);
}

export async function sidewaysPixels(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
}

// With SHOTS=1 each looked-at page is kept as a picture in `shots/`.
export async function shoot(page, name) {
  if (!process.env.SHOTS) return;
  const folder = new URL("../shots/", import.meta.url).pathname;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: `${folder}${name}.png`, fullPage: true });
}
