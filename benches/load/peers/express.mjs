// Express with its usual limiter: the key by its SHA-256 in a map of users.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import express from "express";
import { rateLimit } from "express-rate-limit";

const users = new Map(JSON.parse(readFileSync(process.env.KEYS)).map(({ hash, user }) => [hash, user]));
const app = express().disable("x-powered-by");

app.use((req, res, next) => {
  const secret = /^Bearer (.+)$/.exec(req.headers.authorization ?? "")?.[1];
  req.key = secret && createHash("sha256").update(secret).digest("hex");
  req.user = users.get(req.key);
  if (!req.user) return res.status(401).json({ error: "unauthorized" });
  next();
});
app.use(rateLimit({ windowMs: 3_600_000, limit: 1_000_000_000, standardHeaders: "draft-8", legacyHeaders: false, keyGenerator: (req) => req.key }));
app.get("/v1/users/me", (req, res) => res.json(req.user));
app.listen(Number(process.env.PORT), "127.0.0.1");
