//! The data directory: who may read it, who may open it, and what is not in it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use keyrack::model::scope::Scope::{KeysRead, KeysWrite, UsersRead, UsersWrite};
use keyrack::store::{OpenError, ServerLock, Store};
use serde_json::json;

use crate::support::{SECOND, TestServer, until};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|err| panic!("{}: {err}", path.display())).permissions().mode() & 0o777
}

#[tokio::test]
async fn the_files_are_for_their_owner_alone_whatever_the_umask() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "umask 0; exec \"$0\" serve --listen 127.0.0.1:0 --data \"$1\""]);
    shell.arg(env!("CARGO_BIN_EXE_keyrack")).arg(&data).env_clear();
    let mut server = shell.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("starts");
    until("the database is there", || data.join("keyrack.db-shm").exists()).await;
    let modes = ["keyrack.db", "keyrack.db-wal", "keyrack.db-shm"].map(|file| mode(&data.join(file)));
    server.kill().expect("stops");
    server.wait().expect("ends");
    assert_eq!((mode(&data), modes), (0o700, [0o600; 3]));
}

#[test]
fn a_lock_file_is_for_its_owner_alone_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let _lock = ServerLock::take(&dir.path().join("data"), "1").expect("takes").expect("is free");
    assert_eq!(mode(&dir.path().join("data/keyrack.lock")), 0o600);
}

#[test]
fn a_database_that_others_may_read_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(Store::open(dir.path()).expect("opens"));
    let file = dir.path().join("keyrack.db");
    for wrong in [0o640, 0o604, 0o660, 0o666] {
        fs::set_permissions(&file, Permissions::from_mode(wrong)).expect("set");
        let refused = Store::open(dir.path()).err().expect("refused");
        assert!(matches!(refused, OpenError::ReadableByOthers { .. }));
        assert!(refused.to_string().ends_with(&format!("run: chmod 600 {}", file.display())), "{refused}");
    }
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("set");
    Store::open(dir.path()).expect("opens");
}

#[test]
fn a_database_that_is_a_link_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(Store::open(&dir.path().join("real")).expect("opens"));
    fs::create_dir(dir.path().join("data")).expect("made");
    for target in ["real/keyrack.db", "nowhere"] {
        let link = dir.path().join("data/keyrack.db");
        symlink(dir.path().join(target), &link).expect("linked");
        assert!(matches!(Store::open(&dir.path().join("data")), Err(OpenError::Link(_))), "{target}");
        fs::remove_file(link).expect("removed");
    }
    assert!(!dir.path().join("nowhere").exists(), "nothing was made through the link");
}

#[test]
fn a_second_server_is_told_who_has_the_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = ServerLock::take(dir.path(), "pid 17 on 127.0.0.1:8080").expect("takes").expect("is free");
    let refused = ServerLock::take(dir.path(), "pid 18").expect("looks").expect_err("is taken");
    assert_eq!(refused, "pid 17 on 127.0.0.1:8080");
    drop(first);
    assert!(ServerLock::take(dir.path(), "pid 18").expect("takes").is_ok());
}

#[test]
fn a_lock_that_leads_elsewhere_is_not_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, "of somebody else").expect("writes");
    symlink(&elsewhere, dir.path().join("keyrack.lock")).expect("links");
    assert!(matches!(ServerLock::take(dir.path(), "pid 17"), Err(OpenError::Link(_))));
    assert_eq!(fs::read_to_string(&elsewhere).expect("reads"), "of somebody else");
}

#[test]
fn a_database_of_a_newer_program_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(Store::open(dir.path()).expect("opens"));
    let newer = keyrack::store::migrate::SCHEMA + 1;
    let file = rusqlite::Connection::open(dir.path().join("keyrack.db")).expect("opens");
    file.pragma_update(None, "user_version", newer as i64).expect("set");
    let refused = Store::open(dir.path()).err().expect("refused").to_string();
    assert!(refused.contains(&format!("schema {newer}")), "{refused}");
    let found: i64 = file.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a version");
    assert_eq!(found, newer as i64);
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("keyrack.db");
    let text = "somebody's letters".repeat(500);
    fs::write(&file, &text).expect("written");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("set");
    assert!(Store::open(dir.path()).is_err());
    assert_eq!(fs::read_to_string(file).expect("read"), text);
}

#[tokio::test]
async fn no_secret_is_in_any_file() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead, UsersWrite, KeysRead, KeysWrite]).await;
    let mut secrets = vec![key.secret().to_owned(), "securepassword123".to_owned(), "another-password-456".to_owned()];
    let once = key.header("Idempotency-Key", "order-1");
    let made = once.post("/v1/keys", json!({ "name": "CI" })).await.expect(201);
    let rotate = format!("{}/rotate", made.header("location"));
    let rotated = once.post(&rotate, json!({})).await.expect(200);
    for reply in [made, rotated] {
        secrets.push(reply.json()["secret"].as_str().expect("a secret").to_owned());
    }
    let user = json!({ "name": "Charlie", "email": "charlie@example.com", "password": "securepassword123" });
    let user = once.post("/v1/users", user).await.expect(201);
    key.patch(user.header("location"), json!({ "password": "another-password-456" })).await.expect(200);
    server.with_secret(&secrets[3]).get("/v1/key").await.expect(200);
    server.flush().await;

    let link = keyrack::services::setup::new_link(&server.app).await.expect("no fault").expect("a link");
    secrets.push(link.code);
    let mut looked = 0;
    for entry in fs::read_dir(server.data()).expect("a directory") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("read");
        looked += bytes.len();
        for secret in &secrets {
            // Neither whole nor without its prefix and the four characters that its hint shows.
            let inner = secret.strip_prefix("kr_").map_or(secret.as_str(), |inner| &inner[..inner.len() - 6]);
            let found = bytes.windows(inner.len()).any(|window| window == inner.as_bytes());
            assert!(!found, "{secret} is in {}", path.display());
        }
    }
    assert!(looked > 50_000, "the write-ahead log was looked at too");
}

#[tokio::test]
async fn a_key_is_kept_as_the_sha_256_of_its_secret_and_a_password_as_argon2id() {
    use sha2::{Digest, Sha256};
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead, UsersWrite]).await;
    let user = json!({ "name": "Charlie", "email": "charlie@example.com", "password": "securepassword123" });
    key.post("/v1/users", user).await.expect(201);
    let file = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    let hash: Vec<u8> = file.query_row("SELECT hash FROM key_secrets", [], |row| row.get(0)).expect("a row");
    assert_eq!(hash, Sha256::digest(key.secret()).to_vec());
    let sql = "SELECT password_hash FROM users WHERE email = 'charlie@example.com'";
    let hash: String = file.query_row(sql, [], |row| row.get(0)).expect("a row");
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
}

#[tokio::test]
async fn a_full_disk_answers_507_and_reading_goes_on() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead, UsersWrite, KeysRead, KeysWrite]).await;
    let limit = async |sql: &'static str| {
        server.app.store.write(move |tx| Ok(tx.query_row(sql, [], |row| row.get::<_, i64>(0))?)).await.expect("set");
    };
    limit("PRAGMA max_page_count = 1").await;
    let mut last = None;
    for n in 0..400 {
        server.advance(SECOND);
        let body = json!({ "name": format!("CI {n}"), "metadata": { "x": "y".repeat(4_000) } });
        let reply = key.post("/v1/keys", body).await;
        let status = reply.status;
        last = Some(reply);
        if status != 201 {
            break;
        }
    }
    let refused = last.expect("an answer");
    assert_eq!((refused.status, refused.error().as_str()), (507, "storage_full"), "{}", refused.text);
    assert!(!refused.header("retry-after").is_empty());
    key.get("/v1/users").await.expect(200);
    key.get("/v1/keys").await.expect(200);
    limit("PRAGMA max_page_count = 1000000").await;
    key.post("/v1/keys", json!({ "name": "CI" })).await.expect(201);
}

#[tokio::test]
async fn a_database_locked_from_outside_answers_503_and_reading_goes_on() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead, KeysRead, KeysWrite]).await;
    let file = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    file.execute_batch("BEGIN IMMEDIATE").expect("locks");
    let refused = tokio::spawn({
        let key = key.clone();
        async move { key.post("/v1/keys", json!({ "name": "CI" })).await }
    });
    key.get("/v1/users").await.expect(200);
    let refused = refused.await.expect("an answer");
    assert_eq!((refused.status, refused.error().as_str()), (503, "service_unavailable"));
    assert_eq!(refused.header("retry-after"), "5");
    file.execute_batch("ROLLBACK").expect("unlocks");
    key.post("/v1/keys", json!({ "name": "CI" })).await.expect(201);
}

#[tokio::test]
async fn a_change_half_done_is_not_done() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead, UsersWrite, KeysRead, KeysWrite]).await;
    let file = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    file.execute_batch("ALTER TABLE audit_events RENAME TO away").expect("renames");
    let user = json!({ "name": "Charlie", "email": "charlie@example.com", "password": "securepassword123" });
    key.post("/v1/users", user.clone()).await.expect(500);
    key.post("/v1/keys", json!({ "name": "CI" })).await.expect(500);
    key.delete(&format!("/v1/keys/{}", key.key_id())).await.expect(500);
    file.execute_batch("ALTER TABLE away RENAME TO audit_events").expect("renames");
    assert_eq!(key.get("/v1/users").await.expect(200).header("x-total-count"), "1");
    assert_eq!(key.get("/v1/keys").await.expect(200).header("x-total-count"), "1");
    key.post("/v1/users", user).await.expect(201);
}

#[tokio::test]
async fn history_is_neither_changed_nor_deleted() {
    let server = TestServer::start().await;
    server.admin().await;
    let file = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    for sql in ["UPDATE audit_events SET action = 'nothing'", "DELETE FROM audit_events"] {
        assert!(file.execute(sql, []).expect_err("refused").to_string().contains("audit events are never"), "{sql}");
    }
}
