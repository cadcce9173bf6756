//! Backups: taken while others write, checked, sealed, thinned out, and put back.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use keyrack::app::App;
use keyrack::config::{Config, Schedule, SecretText};
use keyrack::model::caller::Caller;
use keyrack::model::scope::Scope::{UsersRead, UsersWrite};
use keyrack::model::user::Role;
use keyrack::services::backups::{self, Backup, BackupError, quietly};
use parking_lot::Mutex;
use serde_json::json;

use crate::support::{Client, DAY, HOUR, TestServer, until};

async fn create(server: &TestServer, target: Option<PathBuf>) -> Result<Backup, BackupError> {
    backups::create(&server.app, &Caller::command_line(), target, None, quietly()).await
}

fn read(database: &Path, sql: &str) -> Vec<String> {
    let conn = rusqlite::Connection::open(database).expect("opens");
    let mut rows = conn.prepare(sql).expect("sql");
    let rows = rows.query_map([], |row| row.get(0)).expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

/// Writes through the API without a pause; what was acknowledged is noted in order.
fn write_on(
    key: &Client,
    who: usize,
    acknowledged: &Arc<Mutex<Vec<String>>>,
    stop: &Arc<AtomicBool>,
) -> tokio::task::JoinHandle<()> {
    let (key, acknowledged, stop) = (key.clone(), acknowledged.clone(), stop.clone());
    tokio::spawn(async move {
        for n in 0.. {
            let name = format!("writer {who} key {n}");
            let reply = key.post("/v1/keys", json!({ "name": name })).await;
            assert_eq!(reply.status, 201, "{}", reply.text);
            acknowledged.lock().push(name);
            if stop.load(SeqCst) {
                break;
            }
        }
    })
}

#[tokio::test]
async fn a_backup_under_writes_holds_all_that_was_acknowledged_before_it_and_nothing_out_of_order() {
    use keyrack::model::scope::Scope::KeysWrite;
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead, UsersWrite, KeysWrite]).await;
    server.set_windows(&key, &[(1_000_000, 3_600)]).await;
    let (acknowledged, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let writers: Vec<_> = (0..4).map(|who| write_on(&key, who, &acknowledged, &stop)).collect();
    let far = |n: usize| {
        let acknowledged = acknowledged.clone();
        move || acknowledged.lock().len() >= n
    };
    let mut found = Vec::new();
    for round in 1..=5 {
        until("some were acknowledged", far(round * 40)).await;
        let before: BTreeSet<String> = acknowledged.lock().iter().cloned().collect();
        let target = server.dir.path().join(format!("copy-{round}.db"));
        let made = create(&server, Some(target)).await.expect("a backup");
        found.push((before, made));
    }
    let last = acknowledged.lock().len();
    until("they went on", far(last + 20)).await;
    stop.store(true, SeqCst);
    for writer in writers {
        writer.await.expect("no fault");
    }
    let database = server.data().join("keyrack.db");
    for (n, (before, made)) in found.into_iter().enumerate() {
        let dir = server.dir.path().join(format!("restored-{n}"));
        backups::restore(&made.path, None, &dir).expect("restores");
        let restored: BTreeSet<String> =
            read(&dir.join("keyrack.db"), "SELECT name FROM api_keys WHERE name <> 'test'").into_iter().collect();
        assert!(before.is_subset(&restored), "acknowledged before it, and not in it: {:?}", before.difference(&restored));
        // The audit log orders what was committed: the copy is its beginning, and holds the keys of that and no others.
        let seq = made.manifest.audit.seq;
        let hash = format!("SELECT lower(hex(hash)) FROM audit_events WHERE seq = {seq}");
        assert_eq!(read(&database, &hash), std::slice::from_ref(&made.manifest.audit.hash));
        assert_eq!(read(&dir.join("keyrack.db"), &hash), [made.manifest.audit.hash]);
        let up_to = format!(
            "SELECT target_name FROM audit_events WHERE action = 'key.created' AND target_name <> 'test' AND seq <= {seq}"
        );
        assert_eq!(restored, read(&database, &up_to).into_iter().collect());
    }
}

#[tokio::test]
async fn a_restored_server_answers_as_the_old_one_did() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    let made = create(&server, None).await.expect("a backup");
    let dir = server.dir.path().join("restored");
    backups::restore(&made.path, None, &dir).expect("restores");
    let app = App::open(&dir, Config::default(), server.clock.clone()).expect("opens");
    let found = keyrack::services::credentials::authenticate(&app, key.secret(), server.clock.both()).expect("known");
    assert_eq!(found.key().expect("a key").id.to_string(), key.key_id());
}

#[tokio::test]
async fn a_backup_is_private_whole_and_alone() {
    let server = TestServer::start().await;
    let made = create(&server, None).await.expect("a backup");
    let dir = server.data().join("backups");
    let mode = |path: &Path| fs::metadata(path).expect("a file").mode() & 0o777;
    assert_eq!((mode(&dir), mode(&made.path), mode(&backups::manifest_path(&made.path))), (0o700, 0o600, 0o600));
    let verified = backups::verify(&made.path, None, &dir).expect("whole");
    assert_eq!(verified.manifest.as_ref(), Some(&made.manifest));
    let mut names: Vec<_> = fs::read_dir(&dir).expect("read").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["keyrack-20261122T100000Z.db", "keyrack-20261122T100000Z.db.json"], "nothing is left beside it");
}

#[tokio::test]
async fn a_backup_overwrites_nothing() {
    let server = TestServer::start().await;
    let target = server.dir.path().join("letters.db");
    fs::write(&target, "letters").expect("written");
    assert!(matches!(create(&server, Some(target.clone())).await, Err(BackupError::Exists(_))));
    assert_eq!(fs::read_to_string(target).expect("read"), "letters");
}

#[tokio::test]
async fn every_damage_is_found_and_nothing_is_restored_of_it() {
    let server = TestServer::start().await;
    server.key(&[UsersRead]).await;
    let made = create(&server, None).await.expect("a backup");
    let good = fs::read(&made.path).expect("read");
    let into = server.dir.path().join("restored");
    let refused = |what: &str| {
        let found = backups::verify(&made.path, None, server.dir.path());
        assert!(matches!(found, Err(BackupError::Damaged { .. })), "{what}: {found:?}");
        assert!(backups::restore(&made.path, None, &into).is_err(), "{what}");
        assert!(!into.join("keyrack.db").exists() && !into.join("keyrack.db.restoring").exists(), "{what}");
    };
    let mut flipped = good.clone();
    let middle = good.len() / 2;
    flipped[middle] ^= 0x40;
    fs::write(&made.path, &flipped).expect("written");
    refused("one bit is another");
    fs::write(&made.path, &good[..middle]).expect("written");
    refused("cut off");
    fs::write(&made.path, "somebody's letters").expect("written");
    refused("another file");
    // Without its manifest it is checked against itself.
    fs::remove_file(backups::manifest_path(&made.path)).expect("removed");
    refused("another file, without a manifest");
    fs::write(&made.path, &good[..middle]).expect("written");
    refused("cut off, without a manifest");
    fs::write(&made.path, &good).expect("written");
    assert_eq!(backups::verify(&made.path, None, server.dir.path()).expect("whole").manifest, None);
    let conn = rusqlite::Connection::open(&made.path).expect("opens");
    conn.execute_batch("DROP TRIGGER audit_events_keep_words; UPDATE audit_events SET target_name = 'Eve' WHERE seq = 2")
        .expect("edits");
    drop(conn);
    refused("history was changed");
}

#[tokio::test]
async fn a_directory_with_data_is_no_place_to_restore_into() {
    let server = TestServer::start().await;
    let made = create(&server, None).await.expect("a backup");
    assert!(matches!(backups::restore(&made.path, None, &server.data()), Err(BackupError::InUse(_))));
    let only_a_log = server.dir.path().join("log");
    fs::create_dir(&only_a_log).expect("made");
    fs::write(only_a_log.join("keyrack.db-wal"), "x").expect("written");
    assert!(matches!(backups::restore(&made.path, None, &only_a_log), Err(BackupError::InUse(_))));
}

#[tokio::test]
async fn a_sealed_backup_opens_with_its_passphrase_alone() {
    let server = TestServer::with(|config| config.backup.passphrase = Some(SecretText::new("correct horse battery"))).await;
    let key = server.key(&[UsersRead]).await;
    let made = create(&server, None).await.expect("a backup");
    assert!(made.manifest.sealed && made.name().ends_with(".db.sealed"));
    let bytes = fs::read(&made.path).expect("read");
    let email = key.user().email.as_bytes();
    assert!(!bytes.windows(email.len()).any(|window| window == email));
    let into = server.dir.path().join("restored");
    assert!(matches!(backups::restore(&made.path, None, &into), Err(BackupError::Sealed(_))));
    assert!(matches!(backups::restore(&made.path, Some("correct house"), &into), Err(BackupError::WrongPassphrase { .. })));
    backups::restore(&made.path, Some("correct horse battery"), &into).expect("restores");
    assert_eq!(read(&into.join("keyrack.db"), "SELECT email FROM users"), [key.user().email.as_str()]);
    let left: Vec<_> = fs::read_dir(&into).expect("read").map(|entry| entry.expect("an entry").file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("opened")), "{left:?}");
}

#[tokio::test]
async fn the_schedule_makes_them_and_keeps_as_many_as_it_is_told() {
    let server = TestServer::with(|config| {
        config.backup.keep = 2;
        config.backup.schedule = Schedule::Every(DAY);
    })
    .await;
    let due = async || backups::make_if_due(&server.app).await.expect("no fault").is_some();
    assert!(due().await && !due().await);
    server.advance(DAY - HOUR);
    assert!(!due().await);
    for _ in 0..3 {
        server.advance(DAY);
        assert!(due().await);
    }
    let names: Vec<String> =
        backups::list(&server.app, &Caller::system()).await.expect("a list").iter().map(Backup::name).collect();
    assert_eq!(names, ["keyrack-20261126T090000Z.db", "keyrack-20261125T090000Z.db"]);
    assert_eq!(fs::read_dir(server.data().join("backups")).expect("read").count(), 4, "and their manifests");
}

#[tokio::test]
async fn a_backup_that_the_schedule_could_not_make_is_told_until_it_can() {
    let server = TestServer::start().await;
    let told = async || {
        // What the public was told is remembered for ten seconds.
        *server.app.told.lock() = None;
        server.anonymous().get("/status").await.expect(200).json()["components"]["backups"].clone()
    };
    let dir = server.data().join("backups");
    fs::write(&dir, "in the way").expect("written");
    backups::make_if_due(&server.app).await.expect_err("no place for it");
    let trouble = backups::trouble(&server.app).await.expect("known").expect("trouble");
    assert!(trouble.contains(dir.to_str().expect("a path")) && trouble.contains("Not a directory"), "{trouble}");
    assert!(!trouble.contains("Something went wrong"), "{trouble}");
    assert_eq!(told().await, "failing");
    let account = server.account("Operators").await;
    let admin = server.browser(&server.user_in(account, Role::Admin).await).await;
    for path in ["/admin", "/admin/settings/backup"] {
        let page = admin.get(path).await.expect(200).text;
        assert!(page.contains("Backups cannot be made") && page.contains("Not a directory"), "{page}");
    }
    fs::remove_file(&dir).expect("removed");
    assert!(backups::make_if_due(&server.app).await.expect("made").is_some());
    assert_eq!((backups::trouble(&server.app).await.expect("known"), told().await), (None, "recent".into()));
}

#[tokio::test]
async fn how_old_the_newest_is_counts_from_wherever_it_was_put() {
    use keyrack::model::health::Age;
    let server = TestServer::start().await;
    assert_eq!(backups::age(&server.app).await.expect("known"), Age::None);
    create(&server, Some(server.dir.path().join("elsewhere.db"))).await.expect("a backup");
    server.advance(HOUR);
    assert_eq!(backups::age(&server.app).await.expect("known"), Age::Fresh(HOUR));
    server.advance(12 * DAY);
    assert_eq!(backups::age(&server.app).await.expect("known"), Age::Old(12 * DAY + HOUR));
}

#[tokio::test]
async fn a_stopping_server_waits_for_no_backup() {
    let server = TestServer::start().await;
    server.app.draining.store(true, SeqCst);
    assert!(matches!(create(&server, None).await, Err(BackupError::Stopped)));
    assert_eq!(fs::read_dir(server.data().join("backups")).expect("read").count(), 0, "nothing half done is left");
}
