-- Addresses that are told of events.
CREATE TABLE webhooks (
    id                 BLOB    NOT NULL PRIMARY KEY,
    account_id         BLOB    REFERENCES accounts (id), -- whose events; NULL: every account's
    url                TEXT    NOT NULL,
    events             TEXT    NOT NULL, -- names, separated by spaces
    status             TEXT    NOT NULL CHECK (status IN ('active', 'paused', 'disabled')),
    disabled_reason    TEXT,
    secret             BLOB    NOT NULL, -- sealed under the master key
    old_secret         BLOB,             -- signs too, until its end
    old_secret_ends_at INTEGER,
    failing_since      INTEGER,          -- the first failure since it last took an event
    failures           INTEGER NOT NULL DEFAULT 0, -- since then, one after the other
    hold_until         INTEGER NOT NULL DEFAULT 0, -- nothing is sent before
    due_at             INTEGER,          -- when there is next something to send
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    revision           INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX webhooks_account ON webhooks (account_id, id);
CREATE INDEX webhooks_due ON webhooks (due_at) WHERE status = 'active' AND failing_since IS NULL;
CREATE INDEX webhooks_due_failing ON webhooks (due_at) WHERE status = 'active' AND failing_since IS NOT NULL;
CREATE INDEX webhooks_in_need ON webhooks (failing_since) WHERE failing_since IS NOT NULL;

-- What happened, as it is sent: stored in the transaction of the change it tells of.
CREATE TABLE webhook_events (
    id         BLOB    NOT NULL PRIMARY KEY, -- the audit event's, where it is one
    type       TEXT    NOT NULL,
    body       TEXT    NOT NULL, -- JSON
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_events_age ON webhook_events (created_at);

-- One event on its way to one webhook.
CREATE TABLE webhook_deliveries (
    id              BLOB    NOT NULL PRIMARY KEY,
    webhook_id      BLOB    NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event_id        BLOB    NOT NULL REFERENCES webhook_events (id) ON DELETE CASCADE,
    status          TEXT    NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts        INTEGER NOT NULL DEFAULT 0, -- since it was stored or replayed
    next_attempt_at INTEGER,
    last_at         INTEGER,
    last_code       INTEGER,
    last_ms         INTEGER,
    last_error      TEXT,
    created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_deliveries_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_status ON webhook_deliveries (webhook_id, status, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_attempt_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event_id);

CREATE TABLE webhook_attempts (
    delivery_id  BLOB    NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    url          TEXT    NOT NULL,
    signature    TEXT    NOT NULL,
    code         INTEGER,
    ms           INTEGER NOT NULL,
    error        TEXT,
    content_type TEXT,
    excerpt      TEXT,
    PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

-- Windows of which it was told that they were exceeded, until they are over.
CREATE TABLE exceeded_windows (
    account_id BLOB    NOT NULL,
    seconds    INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    PRIMARY KEY (account_id, seconds)
) STRICT, WITHOUT ROWID;

-- The moment before its expiry at which it was last told that a key is about to end.
ALTER TABLE api_keys ADD COLUMN expiring_told INTEGER;
