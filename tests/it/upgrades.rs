//! Databases as older versions left them: each is brought to the newest schema in one step, with everything in it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyrack::app::App;
use keyrack::config::Config;
use keyrack::model::audit_event::Head;
use keyrack::model::clock::Clock;
use keyrack::store::migrate::SCHEMA;
use keyrack::store::{Store, audit_events, backups};
use rusqlite::Connection;

use crate::support::binary::Keyrack;

/// What tests/fixtures/schemas.py prints: the secret of a key in each of them.
const SECRET: &str = "kr_OnlyInTestsOfUpgrades00000000000000000000000N21xk";

fn fixture(schema: usize) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/schema_{schema:04}.sql"))
}

/// Lays a database of that schema into a data directory.
fn lay(schema: usize, dir: &Path) -> PathBuf {
    fs::create_dir_all(dir).expect("made");
    fs::set_permissions(dir, Permissions::from_mode(0o700)).expect("set");
    let path = dir.join("keyrack.db");
    let sql = fs::read_to_string(fixture(schema)).expect("a fixture");
    Connection::open(&path).expect("opens").execute_batch(&sql).expect("sql");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("set");
    path
}

fn rows(path: &Path) -> Vec<(String, i64)> {
    let conn = Connection::open(path).expect("opens");
    let mut tables = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").expect("sql");
    let names: Vec<String> = tables.query_map([], |row| row.get(0)).expect("rows").map(|name| name.expect("a name")).collect();
    let count =
        |name: &String| conn.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get(0)).expect("a count");
    names.iter().map(|name| (name.clone(), count(name))).collect()
}

fn version(path: &Path) -> i64 {
    let conn = Connection::open(path).expect("opens");
    conn.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a version")
}

#[test]
fn there_is_a_database_of_every_schema_before_this_one() {
    for schema in 1..SCHEMA {
        assert!(fixture(schema).exists(), "run tests/fixtures/schemas.py: there is no {}", fixture(schema).display());
    }
}

#[tokio::test]
async fn every_older_database_becomes_the_newest_and_keeps_what_is_in_it() {
    for schema in (1..=SCHEMA).filter(|&schema| fixture(schema).exists()) {
        let root = tempfile::tempdir().expect("a directory");
        let dir = root.path().join("data");
        let path = lay(schema, &dir);
        let before = rows(&path);
        let app = App::open(&dir, Config::default(), Clock::real()).unwrap_or_else(|err| panic!("schema {schema}: {err}"));
        assert_eq!((app.store.migrated.from, app.store.migrated.to), (schema, SCHEMA));
        let after = rows(&path);
        // Settings tell which version wrote last; row_counts counts what later schemas count, too.
        for (table, count) in before.iter().filter(|(table, _)| !["settings", "row_counts"].contains(&table.as_str())) {
            let now = after.iter().find(|(name, _)| name == table).map(|(_, count)| count);
            assert_eq!(now, Some(count), "schema {schema}: {table}");
        }
        let found = keyrack::services::credentials::authenticate(&app, SECRET, app.clock.both()).expect("the key still works");
        assert_eq!(
            (found.key().expect("a key").name.as_str(), found.user.email.as_str()),
            ("key 0", "ada@example.com"),
            "schema {schema}"
        );
        let whole = app.store.read(|conn| {
            Ok((audit_events::verify(conn, Head::START, u32::MAX)?.1, conn.prepare("PRAGMA foreign_key_check")?.exists([])?))
        });
        assert_eq!(whole.await.expect("reads"), (None, false), "schema {schema}");
        let kept = backups::list(&dir.join("backups")).expect("a list");
        let expected = if schema < SCHEMA { vec![(format!("pre-{}.db", env!("CARGO_PKG_VERSION")), schema)] } else { vec![] };
        assert_eq!(kept.iter().map(|backup| (backup.name(), backup.manifest.schema)).collect::<Vec<_>>(), expected);
        for backup in kept {
            assert_eq!(version(&backup.path), schema as i64);
            backups::verify(&backup.path, None, &dir).expect("whole");
        }
    }
}

#[test]
fn nothing_is_migrated_where_the_backup_before_it_cannot_be_made() {
    let root = tempfile::tempdir().expect("a directory");
    let path = lay(1, root.path());
    fs::write(root.path().join("backups"), "a file").expect("written");
    let refused = Store::open(root.path()).err().expect("refused").to_string();
    assert!(refused.contains("nothing was migrated"), "{refused}");
    assert_eq!(version(&path), 1);
}

#[test]
fn a_migration_that_is_killed_leaves_the_old_or_the_new() {
    let mut seen = [0, 0];
    for round in 0..24 {
        let keyrack = Keyrack::new();
        let path = lay(1, &keyrack.data());
        let mut child = keyrack.command(&["migrate"]).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(round));
        child.kill().expect("killed");
        child.wait().expect("it ends");
        let found = version(&path);
        assert!(found == 1 || found == SCHEMA as i64, "schema {found} after {round} ms");
        seen[usize::from(found != 1)] += 1;
        keyrack.run(&["migrate"]).ok();
        assert_eq!(version(&path), SCHEMA as i64);
        assert_eq!(keyrack.json(&["user", "list"]).as_array().map(Vec::len), Some(2));
    }
    assert!(seen[0] > 0, "{seen:?}");
}

#[test]
fn a_newer_database_names_its_version_and_the_way_back() {
    let keyrack = Keyrack::with_admin();
    let old = keyrack.data().join("backups/pre-1.4.0.db");
    fs::create_dir(keyrack.data().join("backups")).expect("made");
    keyrack.run(&["backup", "create", old.to_str().expect("a name")]).ok();
    let conn = Connection::open(keyrack.data().join("keyrack.db")).expect("opens");
    conn.execute_batch("UPDATE settings SET value = '1.4.0' WHERE name = 'schema.written_by'; PRAGMA user_version = 999")
        .expect("set");
    drop(conn);
    let words = format!("was written by Keyrack 1.4.0 (schema 999); this is {} (schema {SCHEMA}).", env!("CARGO_PKG_VERSION"));
    let refused = keyrack.run(&["serve"]);
    refused.fails(1, &words);
    refused.fails(1, &format!("Upgrade Keyrack, or restore the backup made before the upgrade: {}", old.display()));
}

#[tokio::test]
async fn statistics_of_small_tables_are_neither_kept_nor_gathered() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().join("data");
    let path = lay(14, &dir);
    Connection::open(&path).expect("opens").execute_batch("ANALYZE").expect("sql");
    let gathered = |path: &Path| rows(path).iter().any(|(table, _)| table.starts_with("sqlite_stat"));
    assert!(gathered(&path));
    let app = App::open(&dir, Config::default(), Clock::real()).expect("opens");
    assert!(!gathered(&path));
    app.store.read(|conn| keyrack::store::settings::find(conn, "api.dialect")).await.expect("reads");
    drop(app);
    assert!(!gathered(&path), "and none are when it stops");
}
