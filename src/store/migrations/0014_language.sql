-- The language of the pages that a user chose; empty: as the browser asks.
ALTER TABLE users ADD COLUMN language TEXT NOT NULL DEFAULT '';
