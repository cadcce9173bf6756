// What every page says to a browser besides its words: policies, cookies, caching, errors. No browser is needed to see it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startServer } from "./support/server.js";
import { admin } from "./support/steps.js";

let server;
before(async () => {
  server = await startServer(undefined, { KEYRACK_SERVER_TRUSTED_PROXIES: "127.0.0.0/8" });
});
after(() => server?.stop());

const html = { Accept: "text/html" };
const get = (path, headers = {}) => fetch(server.url + path, { redirect: "manual", headers: { ...html, ...headers } });
const post = (path, fields, headers = {}) =>
  fetch(server.url + path, {
    method: "POST",
    redirect: "manual",
    headers: { ...html, "Sec-Fetch-Site": "same-origin", ...headers },
    body: new URLSearchParams(fields),
  });
const token = (page) => page.match(/name="csrf" value="([^"]+)"/)[1];
const cookies = (response) => response.headers.getSetCookie();
const pairs = (list) => list.map((one) => one.split(";")[0]).filter((one) => !one.endsWith("=")).join("; ");

test("every answer carries the policies, errors too", async () => {
  for (const [path, status] of [
    ["/setup", 200],
    ["/docs", 200],
    ["/setup/0000-0000-0000", 404],
    ["/no-such-page", 404],
    ["/sign-out", 405],
    ["/admin", 303],
  ]) {
    const answer = await get(path);
    assert.equal(answer.status, status, path);
    const policy = answer.headers.get("content-security-policy");
    assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'/, path);
    assert.match(policy, /frame-ancestors 'none'.*require-trusted-types-for 'script'; trusted-types keyrack/, path);
    assert.ok(!policy.includes("unsafe"), path);
    assert.equal(answer.headers.get("x-frame-options"), "DENY", path);
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff", path);
    assert.equal(answer.headers.get("referrer-policy"), "same-origin", path);
    assert.equal(answer.headers.get("cross-origin-opener-policy"), "same-origin", path);
    assert.equal(answer.headers.get("cache-control"), "no-store", path);
    assert.match(answer.headers.get("x-request-id"), /^req_/, path);
    const body = await answer.text();
    assert.ok(!/ style="| on\w+="|<style|<script(?! src=)/.test(body), `${path}: nothing inline`);
    if (status >= 400 && !path.startsWith("/setup")) assert.ok(body.includes(answer.headers.get("x-request-id")), `${path} shows its request id`);
  }
  assert.equal((await get("/sign-out")).headers.get("allow"), "POST");
});

test("assets are kept for good, and are there under every name that a page uses", async () => {
  const page = await (await get("/setup")).text();
  const urls = [...page.matchAll(/(?:href|src)="(\/static\/[^"]+)"/g)].map((match) => match[1]);
  assert.equal(urls.length, 3);
  for (const url of urls) {
    const answer = await get(url, { "Accept-Encoding": "gzip" });
    assert.equal(answer.status, 200, url);
    assert.equal(answer.headers.get("cache-control"), "public, max-age=31536000, immutable", url);
    assert.equal(answer.headers.get("content-encoding"), "gzip", url);
    assert.equal((await get(url, { "If-None-Match": answer.headers.get("etag") })).status, 304, url);
  }
  assert.equal((await get("/static/../Cargo.toml")).status, 404);
  assert.equal((await get("/static/css/none.css")).status, 404);
});

test("cookies are bound to the host over HTTPS, and plainly named without", async () => {
  const over = { "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7" };
  const secure = await get("/setup", over);
  const [before] = cookies(secure);
  assert.match(before, /^__Host-before=[\w-]{43}; HttpOnly; SameSite=Lax; Secure; Path=\/$/);
  assert.match(secure.headers.get("strict-transport-security"), /max-age=63072000/);
  const plain = await get("/setup");
  assert.match(cookies(plain)[0], /^before=[\w-]{43}; HttpOnly; SameSite=Lax; Path=\/$/);
  assert.equal(plain.headers.get("strict-transport-security"), null);
  const exposed = await get("/setup", { "X-Forwarded-For": "203.0.113.7" });
  assert.equal(exposed.status, 403);
  assert.match(await exposed.text(), /HTTPS/);
});

test("a form is taken from a page of ours alone, with the token of its session", async () => {
  const page = await get(`/setup/${server.code}`);
  const before = pairs(cookies(page));
  const fields = { csrf: token(await page.text()), email: admin.email, password: admin.password, time_zone: "Europe/Berlin" };
  const send = (headers, change = {}) => post(`/setup/${server.code}`, { ...fields, ...change }, { Cookie: before, ...headers });
  assert.equal((await send({ "Sec-Fetch-Site": "cross-site" })).status, 403);
  assert.equal((await send({}, { csrf: "" })).status, 403);
  const stale = await send({ Cookie: "before=another" });
  assert.equal(stale.status, 200);
  assert.match(await stale.text(), /Your session was renewed\. Submit again/);
  const json = await fetch(`${server.url}/setup/${server.code}`, {
    method: "POST",
    headers: { ...html, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json" },
    body: "{}",
  });
  assert.equal(json.status, 415);
  assert.equal((await send({}, { email: "x".repeat(70_000) })).status, 413);

  const made = await send({});
  assert.equal(made.status, 303);
  const session = cookies(made).find((one) => one.startsWith("sid="));
  assert.match(session, /^sid=[\w-]{43}; HttpOnly; SameSite=Lax; Path=\/$/);
  assert.equal((await get("/admin", { Cookie: pairs([session]) })).status, 200);
});

test("a session ends with signing out, and signing in makes another", async () => {
  const signIn = async () => {
    const page = await get("/sign-in");
    const before = pairs(cookies(page));
    return post("/sign-in", { csrf: token(await page.text()), ...admin, next: "//evil.example/" }, { Cookie: before });
  };
  const first = await signIn();
  assert.equal(first.status, 303);
  assert.equal(first.headers.get("location"), "/", "never to another site");
  const [one, two] = [pairs(cookies(first)), pairs(cookies(await signIn()))];
  assert.notEqual(one, two);
  const page = await (await get("/settings", { Cookie: one })).text();
  assert.equal((await post("/sign-out", { csrf: token(page) }, { Cookie: one })).status, 303);
  assert.match((await get("/settings", { Cookie: one })).headers.get("location"), /^\/sign-in\?next=%2Fsettings$/);
  assert.equal((await get("/settings", { Cookie: two })).status, 200);
  const outside = await post("/settings/look", { csrf: token(page), theme: "dark" }, { Cookie: one });
  assert.ok([303, 403].includes(outside.status));
});

test("the page that shows a secret is neither kept nor compressed", async () => {
  const page = await get("/sign-in");
  const signedIn = await post("/sign-in", { csrf: token(await page.text()), ...admin }, { Cookie: pairs(cookies(page)) });
  const Cookie = pairs(cookies(signedIn));
  const form = await (await get("/settings/api-keys/new", { Cookie })).text();
  const nonce = form.match(/name="nonce" value="([^"]+)"/)[1];
  const fields = { csrf: token(form), nonce, name: "once", preset: "read", expires: "90d" };
  const shown = await post("/settings/api-keys", fields, { Cookie, "Accept-Encoding": "gzip, br" });
  assert.equal(shown.status, 200);
  assert.equal(shown.headers.get("cache-control"), "no-store");
  assert.ok([null, "identity"].includes(shown.headers.get("content-encoding")));
  assert.match(await shown.text(), /kr_[0-9A-Za-z]{49}/);
  const again = await post("/settings/api-keys", fields, { Cookie });
  assert.ok(!/kr_[0-9A-Za-z]{49}/.test(await again.text()));
  const [x, y] = await Promise.all([1, 2].map(() => post("/settings/api-keys", { ...fields, nonce: "double-click" }, { Cookie })));
  const secrets = [await x.text(), await y.text()].filter((text) => /kr_[0-9A-Za-z]{49}/.test(text));
  assert.equal(secrets.length, 1, "of two at once, one makes a key");
  const list = await (await get("/settings/api-keys", { Cookie })).text();
  assert.equal(list.match(/>once</g).length, 2);
});

test("what people typed is shown as text, wherever it is shown", async () => {
  const page = await get("/sign-in");
  const signedIn = await post("/sign-in", { csrf: token(await page.text()), ...admin }, { Cookie: pairs(cookies(page)) });
  const Cookie = pairs(cookies(signedIn));
  const evil = `<img src=x onerror=alert(1)>"'`;
  const form = await (await get("/admin/users/new", { Cookie })).text();
  const added = await post("/admin/users", { csrf: token(form), name: evil, email: "x@example.com", password: admin.password, role: "member" }, { Cookie });
  assert.equal(added.status, 303);
  for (const path of [added.headers.get("location"), "/admin/users", `/admin/users?q=${encodeURIComponent(evil)}`, `${added.headers.get("location")}/delete`, `/admin/keys?q=${encodeURIComponent(evil)}`]) {
    const answer = await get(path, { Cookie });
    assert.equal(answer.status, 200, path);
    assert.ok(!(await answer.text()).includes("<img"), path);
  }
});

test("guessing passwords is slow, and says how long to wait", async () => {
  const page = await get("/sign-in");
  const [Cookie, csrf] = [pairs(cookies(page)), token(await page.text())];
  const guess = () => post("/sign-in", { csrf, email: "grace@example.com", password: "not it" }, { Cookie });
  for (let n = 0; n < 5; n++) assert.equal((await guess()).status, 400);
  const refused = await guess();
  assert.equal(refused.status, 429);
  const wait = refused.headers.get("retry-after");
  const body = await refused.text();
  assert.ok(body.includes(`Try again in ${wait} seconds`), wait);
  assert.ok(body.includes(`value="grace@example.com"`), "the address is kept");
});

test("no address of a page makes the server stumble", async () => {
  const page = await get("/sign-in");
  const signedIn = await post("/sign-in", { csrf: token(await page.text()), ...admin }, { Cookie: pairs(cookies(page)) });
  const Cookie = pairs(cookies(signedIn));
  for (const path of [
    "/admin/users?limit=abc",
    "/admin/users?limit=-1",
    "/admin/users?limit=1000000000",
    "/admin/users?from=99999999999999999999",
    "/admin/users?after=nonsense",
    "/admin/users?after=user_00000000000000000000000000&before=user_00000000000000000000000000",
    "/admin/users?q=%00%ff",
    `/admin/users?q=${"x".repeat(5000)}`,
    "/admin/users?sort=password_hash",
    "/admin/keys?status=nonsense",
    "/admin/keys?q=%25_",
    "/admin/users/123",
    "/admin/users/%00",
    "/admin/users/user_zzzzzzzzzzzzzzzzzzzzzzzzzz",
    "/admin/keys/key_01k9xq3v8ee8w9a4h5r2c6d7e8/rotate",
    "/settings/api-keys/..%2f..%2fadmin",
    "/setup/%F0%9F%94%91",
    "/docs/errors/<script>",
    "/static/%2e%2e/%2e%2e/Cargo.toml",
    "/sign-in?next=%0d%0aSet-Cookie:x",
  ]) {
    const answer = await get(path, { Cookie });
    assert.ok(answer.status < 500, `${path}: ${answer.status}`);
    assert.ok([200, 303, 400, 404].includes(answer.status), `${path}: ${answer.status}`);
  }
  const form = await (await get("/admin/users/new", { Cookie })).text();
  for (const body of ["csrf=%ff%fe&name=%00", `csrf=${token(form)}&name=%ff&email=a%00@b&role=root`, `csrf=${token(form)}`, "a".repeat(60_000), "&&&==="]) {
    const headers = { ...html, Cookie, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded" };
    const answer = await fetch(`${server.url}/admin/users`, { method: "POST", redirect: "manual", headers, body });
    assert.ok(answer.status < 500 && answer.status >= 200, `${body.slice(0, 40)}: ${answer.status}`);
    assert.notEqual(answer.status, 303);
  }
});
