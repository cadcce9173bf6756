-- Checks of keys for other services, by the service that asked: of everyone, of each account and each key.
CREATE TABLE service_counts (
    kind         TEXT    NOT NULL CHECK (kind IN ('everyone', 'account', 'key')),
    subject      BLOB    NOT NULL, -- the id of the account or the key, else empty
    span         INTEGER NOT NULL CHECK (span IN (3600, 86400)), -- seconds
    start        INTEGER NOT NULL,
    service      TEXT    NOT NULL, -- empty: it has no label
    accepted     INTEGER NOT NULL,
    refused      INTEGER NOT NULL,
    rate_limited INTEGER NOT NULL,
    PRIMARY KEY (kind, subject, span, start, service)
) STRICT, WITHOUT ROWID;
CREATE INDEX service_counts_start ON service_counts (span, start);

-- The networks that a key was used from; only the newest are kept.
CREATE TABLE key_networks (
    key_id        BLOB    NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    network       TEXT    NOT NULL, -- 203.0.113.0/24, 2001:db8:1::/48
    first_seen_at INTEGER NOT NULL,
    PRIMARY KEY (key_id, network)
) STRICT, WITHOUT ROWID;

-- What somebody should look at. One that stands goes on counting until it is dismissed.
CREATE TABLE notices (
    id           BLOB    NOT NULL PRIMARY KEY,
    kind         TEXT    NOT NULL CHECK (kind IN ('reported', 'new_network', 'woke', 'refused', 'rate_limited')),
    key_id       BLOB    REFERENCES api_keys (id) ON DELETE CASCADE, -- NULL: it concerns all requests
    detail       TEXT    NOT NULL,
    count        INTEGER NOT NULL,
    first_at     INTEGER NOT NULL,
    last_at      INTEGER NOT NULL,
    dismissed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX notices_of_key ON notices (key_id, kind) WHERE dismissed_at IS NULL AND key_id IS NOT NULL;
CREATE UNIQUE INDEX notices_of_all ON notices (kind) WHERE dismissed_at IS NULL AND key_id IS NULL;
CREATE INDEX notices_standing ON notices (last_at) WHERE dismissed_at IS NULL;
CREATE INDEX notices_kind ON notices (kind, last_at) WHERE key_id IS NULL;
CREATE INDEX notices_age ON notices (last_at) WHERE kind <> 'reported';
CREATE INDEX notices_key ON notices (key_id, last_at) WHERE key_id IS NOT NULL;
