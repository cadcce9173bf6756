-- Keys that another system made, brought in by their SHA-256. NULL: a secret of ours. Else what stands before the part
-- that was hashed; '' where all of it was.
ALTER TABLE key_secrets ADD COLUMN strip_prefix TEXT;
CREATE INDEX key_secrets_imported ON key_secrets (strip_prefix) WHERE strip_prefix IS NOT NULL;
