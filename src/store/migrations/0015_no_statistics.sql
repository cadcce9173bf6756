-- Statements are written so that they need no statistics of the tables. Those that were gathered of a table while it was small
-- led them through all of it when it had grown.
DROP TABLE IF EXISTS sqlite_stat1;
DROP TABLE IF EXISTS sqlite_stat4;
