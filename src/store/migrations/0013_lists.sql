-- Lists and searches that an account, a name or an address narrows.
CREATE INDEX users_disabled_of_account ON users (account_id, id) WHERE status = 'disabled';
CREATE INDEX users_admins_of_account ON users (account_id, id) WHERE role = 'admin';
CREATE INDEX oauth_clients_name ON oauth_clients (name_folded, id);
CREATE INDEX webhooks_url ON webhooks (url, id);

-- How often each of a key's secrets was presented since the key was last rotated.
ALTER TABLE key_secrets ADD COLUMN requests INTEGER NOT NULL DEFAULT 0;
