// Resend's package for Node, unchanged but for its base URL, against a Keyrack: keys are made, listed, renamed and
// removed, and what goes wrong has the package's own error names.

import assert from "node:assert/strict";
import { Resend } from "resend";

const { BASE_URL: baseUrl, KEY, LIMITED_KEY } = process.env;
const resend = new Resend(KEY, { baseUrl });

const good = (answer) => {
  assert.equal(answer.error, null);
  return answer.data;
};
const bad = (answer) => {
  assert.equal(answer.data, null);
  return [answer.error.statusCode, answer.error.name];
};

const made = good(await resend.apiKeys.create({ name: "Production" }));
assert.deepEqual(Object.keys(made), ["id", "token"]);
assert.match(made.token, /^re_/);

// The new key works at once, and may do as much.
const listed = good(await new Resend(made.token, { baseUrl }).apiKeys.list());
assert.equal(listed.object, "list");
assert.equal(listed.has_more, false);
assert.equal(listed.data[0].id, made.id, "newest first");
assert.deepEqual(Object.keys(listed.data[0]), ["id", "name", "created_at", "last_used_at"]);
assert.ok(!Number.isNaN(Date.parse(listed.data[0].created_at)));

assert.deepEqual(good(await resend.apiKeys.update(made.id, { name: "Staging" })), { object: "api_key", id: made.id });
const second = good(await resend.apiKeys.create({ name: "Second", permission: "full_access" }));
const page = good(await resend.apiKeys.list({ limit: 1 }));
assert.deepEqual([page.has_more, page.data.length, page.data[0].id], [true, 1, second.id]);
const next = good(await resend.apiKeys.list({ limit: 1, after: second.id }));
assert.equal(next.data[0].name, "Staging");
const previous = good(await resend.apiKeys.list({ limit: 1, before: made.id }));
assert.deepEqual([previous.has_more, previous.data[0].id], [false, second.id]);

const sender = good(await resend.apiKeys.create({ name: "Sender", permission: "sending_access" }));
assert.deepEqual(bad(await new Resend(sender.token, { baseUrl }).apiKeys.list()), [401, "restricted_api_key"]);

assert.deepEqual(good(await resend.apiKeys.remove(made.id)), { object: "api_key", id: made.id, deleted: true });
assert.ok(good(await resend.apiKeys.list()).data.every((key) => key.id !== made.id));
assert.deepEqual(bad(await new Resend(made.token, { baseUrl }).apiKeys.list()), [403, "invalid_api_key"]);

// A reused idempotency key: the same request gets the first answer without its secret, another one is refused.
const once = { idempotencyKey: "create/1" };
const first = good(await resend.apiKeys.create({ name: "Once" }, once));
assert.deepEqual(good(await resend.apiKeys.create({ name: "Once" }, once)), { id: first.id, token: null });
assert.deepEqual(bad(await resend.apiKeys.create({ name: "Other" }, once)), [409, "invalid_idempotent_request"]);

assert.deepEqual(bad(await resend.apiKeys.create({})), [422, "missing_required_field"]);
assert.deepEqual(bad(await resend.apiKeys.create({ name: "x", permission: "some" })), [422, "invalid_access"]);
assert.deepEqual(bad(await resend.apiKeys.remove("123")), [404, "not_found"]);
assert.deepEqual(bad(await resend.get("/nowhere")), [404, "not_found"]);
assert.deepEqual(bad(await resend.put("/api-keys", {})), [405, "method_not_allowed"]);

// A blank key is what the package sends of a missing one: its constructor refuses none at all.
assert.deepEqual(bad(await new Resend(" ", { baseUrl }).apiKeys.list()), [401, "missing_api_key"]);
assert.deepEqual(bad(await new Resend("re_wrong", { baseUrl }).apiKeys.list()), [403, "invalid_api_key"]);

const limited = new Resend(LIMITED_KEY, { baseUrl });
good(await limited.apiKeys.list());
const refused = await limited.apiKeys.list();
assert.deepEqual(bad(refused), [429, "rate_limit_exceeded"]);
assert.equal(refused.headers["retry-after"], "60");
assert.equal(refused.headers["ratelimit-limit"], "1");
