-- Ids are UUIDv7 as 16 bytes, times milliseconds since 1970 in UTC. No boolean type, no database clock, no
-- autoincrement, no collation: the same text must mean the same on another engine.

CREATE TABLE tiers (
    name        TEXT    NOT NULL,
    name_folded TEXT    NOT NULL PRIMARY KEY,
    windows     TEXT    NOT NULL, -- JSON: [{"limit":1000,"seconds":3600}]
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE accounts (
    id          BLOB    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    name_folded TEXT    NOT NULL,
    tier        TEXT    REFERENCES tiers (name_folded), -- NULL: the dialect's default windows
    windows     TEXT,                                   -- JSON; wins over the tier's
    status      TEXT    NOT NULL CHECK (status IN ('active', 'suspended')),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    revision    INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE UNIQUE INDEX accounts_name ON accounts (name_folded);
CREATE INDEX accounts_tier ON accounts (tier) WHERE tier IS NOT NULL;

CREATE TABLE users (
    id              BLOB    NOT NULL PRIMARY KEY,
    account_id      BLOB    NOT NULL REFERENCES accounts (id),
    name            TEXT    NOT NULL,
    name_folded     TEXT    NOT NULL,
    email           TEXT    NOT NULL, -- as typed
    email_canonical TEXT    NOT NULL, -- as compared
    password_hash   TEXT,             -- PHC string; NULL: cannot sign in
    role            TEXT    NOT NULL CHECK (role IN ('admin', 'member')),
    status          TEXT    NOT NULL CHECK (status IN ('active', 'disabled')),
    time_zone       TEXT    NOT NULL, -- IANA name, for the dashboard
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    revision        INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE UNIQUE INDEX users_email ON users (email_canonical);
CREATE INDEX users_account ON users (account_id, id);
CREATE INDEX users_name ON users (name_folded, id);
CREATE INDEX users_admins ON users (role, status) WHERE role = 'admin';

CREATE TABLE api_keys (
    id               BLOB    NOT NULL PRIMARY KEY,
    user_id          BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    account_id       BLOB    NOT NULL REFERENCES accounts (id),
    name             TEXT    NOT NULL,
    name_folded      TEXT    NOT NULL,
    scopes           TEXT    NOT NULL, -- names, separated by spaces
    enabled          INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    revoked_at       INTEGER,
    expires_at       INTEGER,
    ip_allow         TEXT    NOT NULL, -- JSON: ["203.0.113.0/24"]; []: every address
    windows          TEXT    NOT NULL, -- JSON; counted for this key alone
    metadata         TEXT    NOT NULL, -- JSON object
    hint             TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    last_used_at     INTEGER,
    last_used_ip     TEXT,
    last_used_agent  TEXT,
    -- The older secret of a rotation, for lists; the secret itself is in key_secrets.
    old_hint         TEXT,
    old_expires_at   INTEGER,
    revision         INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX api_keys_account ON api_keys (account_id, id);
CREATE INDEX api_keys_user ON api_keys (user_id, id);
CREATE INDEX api_keys_name ON api_keys (name_folded, id);
CREATE INDEX api_keys_expiry ON api_keys (expires_at) WHERE expires_at IS NOT NULL;

-- The credentials of a key: the active one, and during a rotation the older one until it ends.
CREATE TABLE key_secrets (
    hash            BLOB    NOT NULL PRIMARY KEY, -- SHA-256
    key_id          BLOB    NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    hint            TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER, -- NULL: the active secret
    last_used_at    INTEGER,
    last_used_ip    TEXT,
    last_used_agent TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX key_secrets_key ON key_secrets (key_id);
CREATE INDEX key_secrets_expiry ON key_secrets (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE sessions (
    token_hash   BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of the cookie
    id           BLOB    NOT NULL UNIQUE,
    user_id      BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    ip           TEXT,
    user_agent   TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE setup_links (
    code_hash  BLOB    NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;

-- The answer that a request with an Idempotency-Key got, stored in the transaction of its effect.
CREATE TABLE idempotency_keys (
    owner        TEXT    NOT NULL, -- the user behind the credential, else the key
    route        TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    request_hash BLOB    NOT NULL,
    status       INTEGER NOT NULL,
    location     TEXT,
    etag         TEXT,
    body         TEXT    NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (owner, route, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

-- A form that shows a secret is answered once; the nonce remembers what it made.
CREATE TABLE form_nonces (
    nonce_hash BLOB    NOT NULL PRIMARY KEY,
    made       TEXT    NOT NULL, -- the id of what the form made
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Windows that are under way, so that a restart hands out no fresh ones.
CREATE TABLE rate_windows (
    subject TEXT    NOT NULL, -- an account's or a key's id
    seconds INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    PRIMARY KEY (subject, seconds)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
    name       TEXT    NOT NULL PRIMARY KEY,
    value      TEXT    NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How many rows a list has, kept by the triggers below; the empty blob counts all accounts together.
CREATE TABLE row_counts (
    noun       TEXT    NOT NULL,
    account_id BLOB    NOT NULL,
    count      INTEGER NOT NULL,
    PRIMARY KEY (noun, account_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER users_counted AFTER INSERT ON users BEGIN
    INSERT INTO row_counts (noun, account_id, count) VALUES ('users', x'', 1), ('users', new.account_id, 1)
    ON CONFLICT (noun, account_id) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER users_uncounted AFTER DELETE ON users BEGIN
    UPDATE row_counts SET count = count - 1 WHERE noun = 'users' AND account_id IN (x'', old.account_id);
END;
CREATE TRIGGER api_keys_counted AFTER INSERT ON api_keys BEGIN
    INSERT INTO row_counts (noun, account_id, count) VALUES ('api_keys', x'', 1), ('api_keys', new.account_id, 1)
    ON CONFLICT (noun, account_id) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER api_keys_uncounted AFTER DELETE ON api_keys BEGIN
    UPDATE row_counts SET count = count - 1 WHERE noun = 'api_keys' AND account_id IN (x'', old.account_id);
END;

-- Append only; each row's hash covers the row before it.
CREATE TABLE audit_events (
    seq         INTEGER NOT NULL PRIMARY KEY,
    id          BLOB    NOT NULL UNIQUE,
    at          INTEGER NOT NULL,
    actor_kind  TEXT    NOT NULL, -- user, key, command_line, system
    actor_id    TEXT    NOT NULL,
    account_id  BLOB,             -- the account that the target belongs to
    action      TEXT    NOT NULL,
    target_kind TEXT    NOT NULL,
    target_id   TEXT    NOT NULL,
    target_name TEXT    NOT NULL,
    diff        TEXT    NOT NULL, -- JSON
    ip          TEXT    NOT NULL,
    request_id  TEXT    NOT NULL,
    prev_hash   BLOB    NOT NULL,
    hash        BLOB    NOT NULL
) STRICT;
CREATE INDEX audit_events_target ON audit_events (target_id, seq);
CREATE TRIGGER audit_events_keep_rows BEFORE DELETE ON audit_events BEGIN
    SELECT RAISE(ABORT, 'audit events are never deleted');
END;
CREATE TRIGGER audit_events_keep_words BEFORE UPDATE ON audit_events BEGIN
    SELECT RAISE(ABORT, 'audit events are never changed');
END;
