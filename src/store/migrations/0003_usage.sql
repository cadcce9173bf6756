-- Requests, counted by minute, hour and day: of everyone, of those without a valid key, of each account and each key;
-- of all routes together (an empty route), and for hours and days of each. The times of those that were let in are
-- counted in steps, l0 (up to 0.1 ms) to l19 (more than 5 s); src/model/usage.rs has the steps between.
CREATE TABLE usage_counts (
    kind          TEXT    NOT NULL CHECK (kind IN ('everyone', 'no_key', 'account', 'key')),
    subject       BLOB    NOT NULL, -- the id of the account or the key, else empty
    span          INTEGER NOT NULL CHECK (span IN (60, 3600, 86400)), -- seconds
    route         TEXT    NOT NULL,
    start         INTEGER NOT NULL,
    success       INTEGER NOT NULL,
    client_errors INTEGER NOT NULL,
    rate_limited  INTEGER NOT NULL,
    server_errors INTEGER NOT NULL,
    l0 INTEGER NOT NULL, l1 INTEGER NOT NULL, l2 INTEGER NOT NULL, l3 INTEGER NOT NULL, l4 INTEGER NOT NULL,
    l5 INTEGER NOT NULL, l6 INTEGER NOT NULL, l7 INTEGER NOT NULL, l8 INTEGER NOT NULL, l9 INTEGER NOT NULL,
    l10 INTEGER NOT NULL, l11 INTEGER NOT NULL, l12 INTEGER NOT NULL, l13 INTEGER NOT NULL, l14 INTEGER NOT NULL,
    l15 INTEGER NOT NULL, l16 INTEGER NOT NULL, l17 INTEGER NOT NULL, l18 INTEGER NOT NULL, l19 INTEGER NOT NULL,
    PRIMARY KEY (kind, subject, span, route, start)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_counts_start ON usage_counts (span, start, kind);
CREATE INDEX usage_counts_keys ON usage_counts (span, start) WHERE kind = 'key' AND route = '';

-- The newest requests, sampled. Never the Authorization header, never a query.
CREATE TABLE logged_requests (
    seq             INTEGER NOT NULL PRIMARY KEY,
    at              INTEGER NOT NULL,
    request_id      TEXT    NOT NULL,
    method          TEXT    NOT NULL,
    path            TEXT    NOT NULL,
    route           TEXT    NOT NULL,
    status          INTEGER NOT NULL,
    outcome         TEXT    NOT NULL CHECK (outcome IN ('2xx', '4xx', '429', '5xx')),
    duration_us     INTEGER NOT NULL,
    error           TEXT,
    key_id          BLOB,
    account_id      BLOB,
    ip              TEXT    NOT NULL,
    user_agent      TEXT    NOT NULL,
    request_bytes   INTEGER,
    response_bytes  INTEGER,
    limit_count     INTEGER,
    limit_remaining INTEGER,
    limit_seconds   INTEGER
) STRICT;
CREATE INDEX logged_requests_id ON logged_requests (request_id, seq);
CREATE INDEX logged_requests_key ON logged_requests (key_id, seq) WHERE key_id IS NOT NULL;
CREATE INDEX logged_requests_outcome ON logged_requests (outcome, seq);

-- Which keys are in use, and which have not been for long.
CREATE INDEX api_keys_last_use ON api_keys (last_used_at, user_id) WHERE last_used_at IS NOT NULL;
CREATE INDEX api_keys_never_used ON api_keys (created_at) WHERE last_used_at IS NULL AND revoked_at IS NULL;
