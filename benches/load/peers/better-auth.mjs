// better-auth with its API-key plugin, behind Node's own server: it checks the key, counts the request, finds the user.
// STORE=memory or sqlite.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { apiKey } from "@better-auth/api-key";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { getMigrations } from "better-auth/db/migration";

const wanted = JSON.parse(readFileSync(process.env.KEYS));
const secrets = wanted.map(({ secret }) => secret);
const inMemory = process.env.STORE === "memory";

async function database() {
  if (inMemory) return memoryAdapter({ user: [], session: [], account: [], verification: [], apikey: [] });
  const { default: Database } = await import("better-sqlite3");
  const db = new Database(process.env.DATABASE);
  db.pragma("journal_mode = WAL");
  return db;
}

const options = {
  baseURL: `http://127.0.0.1:${process.env.PORT}`,
  secret: "only for a measurement, never for people",
  database: await database(),
  logger: { disabled: true },
  telemetry: { enabled: false },
  plugins: [
    apiKey({
      defaultKeyLength: 32,
      customKeyGenerator: () => secrets.shift(),
      rateLimit: { enabled: true, timeWindow: 3_600_000, maxRequests: 1_000_000_000 },
    }),
  ],
};
if (!inMemory) await (await getMigrations(options)).runMigrations();
const auth = betterAuth(options);
const { internalAdapter } = await auth.$context;
for (const { user } of wanted) {
  const made = await internalAdapter.createUser({ name: user.name, email: user.email, emailVerified: true });
  await auth.api.createApiKey({ body: { userId: made.id, name: "bench" } });
}

createServer(async (req, res) => {
  const secret = /^Bearer (.+)$/.exec(req.headers.authorization ?? "")?.[1];
  const { valid, key } = secret ? await auth.api.verifyApiKey({ body: { key: secret } }) : { valid: false };
  const user = valid ? await internalAdapter.findUserById(key.referenceId) : null;
  res.writeHead(user ? 200 : 401, { "content-type": "application/json" });
  res.end(JSON.stringify(user ?? { error: "unauthorized" }));
}).listen(Number(process.env.PORT), "127.0.0.1");
