-- OAuth 2.0: programs that act for users who allow it, or on their own behalf. Secrets, codes and tokens are kept as
-- SHA-256 alone.
CREATE TABLE oauth_clients (
    id             BLOB    NOT NULL PRIMARY KEY,
    user_id        BLOB    REFERENCES users (id) ON DELETE SET NULL, -- who registered it
    name           TEXT    NOT NULL,
    name_folded    TEXT    NOT NULL,
    kind           TEXT    NOT NULL CHECK (kind IN ('confidential', 'public')),
    redirect_uris  TEXT    NOT NULL, -- JSON
    scopes         TEXT    NOT NULL, -- the most it may ask for
    hint           TEXT    NOT NULL, -- of the active secret; '' for a public client
    old_hint       TEXT,
    old_expires_at INTEGER,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    revision       INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX oauth_clients_user ON oauth_clients (user_id) WHERE user_id IS NOT NULL;

CREATE TABLE client_secrets (
    hash       BLOB    NOT NULL PRIMARY KEY,
    client_id  BLOB    NOT NULL REFERENCES oauth_clients (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER -- NULL: the active secret
) STRICT, WITHOUT ROWID;
CREATE INDEX client_secrets_client ON client_secrets (client_id);
CREATE INDEX client_secrets_expiry ON client_secrets (expires_at) WHERE expires_at IS NOT NULL;

-- What a user allowed a client; without a user, the client's own access. One of each.
CREATE TABLE oauth_grants (
    id           BLOB    NOT NULL PRIMARY KEY,
    client_id    BLOB    NOT NULL REFERENCES oauth_clients (id) ON DELETE CASCADE,
    user_id      BLOB    REFERENCES users (id) ON DELETE CASCADE,
    account_id   BLOB    NOT NULL REFERENCES accounts (id),
    scopes       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    last_used_ip TEXT
) STRICT;
CREATE UNIQUE INDEX oauth_grants_of_user ON oauth_grants (client_id, user_id) WHERE user_id IS NOT NULL;
CREATE UNIQUE INDEX oauth_grants_own ON oauth_grants (client_id) WHERE user_id IS NULL;
CREATE INDEX oauth_grants_client ON oauth_grants (client_id, id);
CREATE INDEX oauth_grants_user ON oauth_grants (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX oauth_grants_account ON oauth_grants (account_id, id);

CREATE TABLE oauth_codes (
    hash          BLOB    NOT NULL PRIMARY KEY,
    grant_id      BLOB    NOT NULL REFERENCES oauth_grants (id) ON DELETE CASCADE,
    client_id     BLOB    NOT NULL,
    redirect_uri  TEXT    NOT NULL,
    redirect_sent INTEGER NOT NULL CHECK (redirect_sent IN (0, 1)), -- then the client must repeat it
    challenge     TEXT,             -- PKCE, S256
    words         TEXT    NOT NULL, -- the scopes as they were asked for
    scopes        TEXT    NOT NULL, -- and what that meant
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    used_at       INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_codes_grant ON oauth_codes (grant_id);
CREATE INDEX oauth_codes_expiry ON oauth_codes (expires_at);

CREATE TABLE oauth_tokens (
    hash       BLOB    NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL CHECK (kind IN ('access', 'refresh')),
    grant_id   BLOB    NOT NULL REFERENCES oauth_grants (id) ON DELETE CASCADE,
    family     BLOB    NOT NULL, -- all that one code gave, and what that was refreshed to: the code's hash
    parent     BLOB,             -- the refresh token that this one was given for
    words      TEXT    NOT NULL,
    scopes     TEXT    NOT NULL,
    began_at   INTEGER NOT NULL, -- of the family
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,          -- refresh tokens: another was given for it
    retried_at INTEGER           -- and once more, since the answer was lost
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_tokens_grant ON oauth_tokens (grant_id);
CREATE INDEX oauth_tokens_family ON oauth_tokens (family);
CREATE INDEX oauth_tokens_parent ON oauth_tokens (parent) WHERE parent IS NOT NULL;
CREATE INDEX oauth_tokens_expiry ON oauth_tokens (expires_at);
