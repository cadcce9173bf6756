-- The second factor of a user: what their authenticator app counts from, sealed under the master key. NULL: none.
ALTER TABLE users ADD COLUMN totp_seed BLOB;
-- The last step whose code was used: no code is good twice.
ALTER TABLE users ADD COLUMN totp_last_step INTEGER NOT NULL DEFAULT 0;

CREATE TABLE recovery_codes (
    code_hash BLOB    NOT NULL PRIMARY KEY, -- SHA-256
    user_id   BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    used_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX recovery_codes_user ON recovery_codes (user_id);

-- Somebody whose password was right, and whose second factor is awaited.
CREATE TABLE half_sign_ins (
    token_hash BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of the cookie
    user_id    BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    tries      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX half_sign_ins_user ON half_sign_ins (user_id);
CREATE INDEX half_sign_ins_expiry ON half_sign_ins (expires_at);
