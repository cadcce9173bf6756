-- Files of users that somebody is looking at before they are imported; each is taken once, or ends.
CREATE TABLE user_imports (
    code       TEXT    NOT NULL PRIMARY KEY,
    text       TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
