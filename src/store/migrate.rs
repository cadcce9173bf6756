//! Bringing a database to this program's schema: every step in one transaction, and never past what the program knows.

use rusqlite::{Connection, TransactionBehavior};

use super::backups::BackupError;
use super::settings;
use crate::model::AppError;
use crate::model::clock::Clock;

/// Append only: a step that was released is never changed.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_imported_keys.sql"),
    include_str!("migrations/0003_usage.sql"),
    include_str!("migrations/0004_services_and_notices.sql"),
    include_str!("migrations/0005_sessions.sql"),
    include_str!("migrations/0006_key_lists.sql"),
    include_str!("migrations/0007_audit.sql"),
    include_str!("migrations/0008_people.sql"),
    include_str!("migrations/0009_user_imports.sql"),
    include_str!("migrations/0010_second_factors.sql"),
    include_str!("migrations/0011_webhooks.sql"),
    include_str!("migrations/0012_oauth.sql"),
    include_str!("migrations/0013_lists.sql"),
    include_str!("migrations/0014_language.sql"),
    include_str!("migrations/0015_no_statistics.sql"),
];

pub const SCHEMA: usize = STEPS.len();
/// The setting that remembers which version brought the database to its schema.
const WRITTEN_BY: &str = "schema.written_by";

#[derive(Debug, PartialEq, Eq)]
pub struct Migrated {
    pub from: usize,
    pub to: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("the data was written by a newer Keyrack (schema {found}); this one knows schema {SCHEMA}")]
    Newer { found: usize, version: Option<String> },
    #[error("the backup before the migration could not be made, so nothing was migrated")]
    NoBackup(#[source] Box<BackupError>),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Takes the write lock before it reads the version, so that a server and a command that start together do not both
/// build the schema. `keep` is called with the schema of an existing database before it is changed, and may refuse.
pub fn migrate(conn: &mut Connection, keep: impl FnOnce(usize) -> Result<(), BackupError>) -> Result<Migrated, MigrateError> {
    let found = version(conn)?;
    if found == SCHEMA {
        return Ok(Migrated { from: found, to: SCHEMA });
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&tx)?;
    if found > SCHEMA {
        let version = settings::find(&tx, WRITTEN_BY).ok().flatten();
        return Err(MigrateError::Newer { found, version });
    }
    if found > 0 && found < SCHEMA {
        keep(found).map_err(|err| MigrateError::NoBackup(Box::new(err)))?;
    }
    for step in &STEPS[found..] {
        tx.execute_batch(step)?;
    }
    settings::set(&tx, WRITTEN_BY, env!("CARGO_PKG_VERSION"), Clock::real().now())?;
    tx.pragma_update(None, "user_version", SCHEMA as i64)?;
    tx.commit()?;
    Ok(Migrated { from: found, to: SCHEMA })
}

fn version(conn: &Connection) -> Result<usize, rusqlite::Error> {
    conn.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).map(|version| version.max(0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_database_gets_every_step_and_an_old_one_none_twice() {
        let mut conn = Connection::open_in_memory().expect("a database");
        assert_eq!(migrate(&mut conn, |_| Ok(())).expect("migrates"), Migrated { from: 0, to: SCHEMA });
        assert_eq!(migrate(&mut conn, |_| Ok(())).expect("stays"), Migrated { from: SCHEMA, to: SCHEMA });
    }

    #[test]
    fn a_newer_database_is_refused_and_left_alone() {
        let mut conn = Connection::open_in_memory().expect("a database");
        conn.pragma_update(None, "user_version", 999).expect("set");
        let refused = migrate(&mut conn, |_| Ok(())).expect_err("newer");
        assert!(refused.to_string().contains("schema 999"), "{refused}");
        assert_eq!(version(&conn).expect("a version"), 999);
    }

    #[test]
    fn every_table_is_strict() {
        let mut conn = Connection::open_in_memory().expect("a database");
        migrate(&mut conn, |_| Ok(())).expect("migrates");
        let mut loose = conn.prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%'").expect("sql");
        let names: Vec<String> = loose.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("a row")).collect();
        assert!(names.is_empty(), "{names:?}");
    }
}
