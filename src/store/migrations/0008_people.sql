-- Links with which somebody sets their own password: an invitation, until they have one, or a new one in place of the
-- old. One for each user; it is gone once it was used.
CREATE TABLE password_links (
    user_id    BLOB    NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    kind       TEXT    NOT NULL CHECK (kind IN ('invitation', 'reset')),
    code_hash  BLOB    NOT NULL UNIQUE, -- SHA-256
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX password_links_kind ON password_links (kind, user_id);

-- Windows of an account's own come with a reason: who gave them, when, and why.
ALTER TABLE accounts ADD COLUMN windows_reason TEXT;
ALTER TABLE accounts ADD COLUMN windows_by TEXT;
ALTER TABLE accounts ADD COLUMN windows_at INTEGER;
ALTER TABLE accounts ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}'; -- JSON object

CREATE INDEX accounts_own_windows ON accounts (id) WHERE windows IS NOT NULL;
CREATE INDEX accounts_suspended ON accounts (id) WHERE status = 'suspended';
CREATE INDEX users_disabled ON users (id) WHERE status = 'disabled';
CREATE INDEX accounts_default ON accounts (id) WHERE windows IS NULL AND tier IS NULL;

INSERT INTO row_counts (noun, account_id, count) SELECT 'accounts', x'', count(*) FROM accounts;
CREATE TRIGGER accounts_counted AFTER INSERT ON accounts BEGIN
    INSERT INTO row_counts (noun, account_id, count) VALUES ('accounts', x'', 1)
    ON CONFLICT (noun, account_id) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER accounts_uncounted AFTER DELETE ON accounts BEGIN
    UPDATE row_counts SET count = count - 1 WHERE noun = 'accounts' AND account_id = x'';
END;
