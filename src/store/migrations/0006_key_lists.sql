-- Lists of keys by state. 1: revoked, or past its end when that was last looked at; so what works is found without
-- walking past all that ever ended.
ALTER TABLE api_keys ADD COLUMN ended INTEGER NOT NULL DEFAULT 0 CHECK (ended IN (0, 1));
UPDATE api_keys SET ended = 1 WHERE revoked_at IS NOT NULL;

DROP INDEX api_keys_expiry;
DROP INDEX api_keys_never_used;
CREATE INDEX api_keys_expiry ON api_keys (expires_at, id) WHERE expires_at IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX api_keys_ending ON api_keys (expires_at) WHERE expires_at IS NOT NULL AND ended = 0;
CREATE INDEX api_keys_working ON api_keys (id) WHERE ended = 0 AND enabled = 1;
CREATE INDEX api_keys_idle ON api_keys (coalesce(last_used_at, created_at), id) WHERE ended = 0 AND enabled = 1;
CREATE INDEX api_keys_no_expiry ON api_keys (id) WHERE expires_at IS NULL AND ended = 0;
CREATE INDEX api_keys_rotating ON api_keys (old_expires_at, id) WHERE old_expires_at IS NOT NULL AND ended = 0;
CREATE INDEX api_keys_disabled ON api_keys (id) WHERE enabled = 0 AND ended = 0;
CREATE INDEX api_keys_revoked ON api_keys (id) WHERE revoked_at IS NOT NULL;
CREATE INDEX api_keys_hint ON api_keys (hint);
CREATE INDEX api_keys_old_hint ON api_keys (old_hint) WHERE old_hint IS NOT NULL;
