//! The key under which secrets are sealed: made once, kept beside the database, never replaced silently.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use keyrack::app::master_key::{MasterKeyError, MasterKeyFile};

use crate::support::TestServer;

async fn fault(server: &TestServer) -> MasterKeyError {
    server.app.load_master_key().await.expect_err("refused")
}

/// A server whose master key has been made and forgotten again by the process.
async fn with_a_key_of_old() -> (TestServer, std::path::PathBuf) {
    let server = TestServer::start().await;
    server.app.master_key().await.expect("made");
    let path = server.data().join("master.key");
    (server.restart().await, path)
}

#[tokio::test]
async fn it_is_made_when_first_needed_and_readable_by_its_owner_alone() {
    let server = TestServer::start().await;
    let path = server.data().join("master.key");
    assert!(!path.exists());
    let id = server.app.master_key().await.expect("made").id();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::read_dir(server.data())
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("master.key") })
            .count(),
        1,
        "the draft is gone"
    );
    assert_eq!(server.restart().await.app.master_key().await.expect("read").id(), id);
}

#[tokio::test]
async fn it_is_not_in_the_database() {
    let (server, path) = with_a_key_of_old().await;
    server.app.master_key().await.expect("read");
    let text = fs::read_to_string(path).unwrap();
    for name in ["keyrack.db", "keyrack.db-wal"] {
        let file = fs::read(server.data().join(name)).unwrap_or_default();
        assert!(!file.windows(64).any(|part| part == text.trim().as_bytes()), "{name}");
    }
}

#[tokio::test]
async fn a_missing_one_is_not_replaced() {
    let (server, path) = with_a_key_of_old().await;
    fs::remove_file(&path).unwrap();
    let fault = fault(&server).await;
    assert!(matches!(fault, MasterKeyError::Missing { .. }), "{fault}");
    assert!(!path.exists());
}

#[tokio::test]
async fn another_one_is_refused() {
    let (server, path) = with_a_key_of_old().await;
    fs::write(&path, "0".repeat(64)).unwrap();
    assert!(matches!(fault(&server).await, MasterKeyError::Other { .. }));
}

#[tokio::test]
async fn one_that_others_may_read_or_that_is_none_is_refused_with_what_to_do() {
    let (server, path) = with_a_key_of_old().await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(fault(&server).await.to_string().contains("chmod 600"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "garbage").unwrap();
    assert!(matches!(fault(&server).await, MasterKeyError::Unreadable(_)));
}

#[tokio::test]
async fn one_that_is_handed_over_is_read_through_a_link_and_never_made() {
    let (server, path) = with_a_key_of_old().await;
    let elsewhere = server.dir.path().join("handed-over");
    symlink(&path, &elsewhere).unwrap();
    let given = |path| MasterKeyFile::given(path);
    let server = server.restart_changed(|app| app.master_key = given(elsewhere)).await;
    server.app.master_key().await.expect("read");
    let nowhere = server.dir.path().join("nowhere");
    let server = server.restart_changed(|app| app.master_key = given(nowhere.clone())).await;
    assert!(matches!(fault(&server).await, MasterKeyError::Io { .. }));
    assert!(!nowhere.exists());
}

#[tokio::test]
async fn two_who_need_it_at_once_get_the_same() {
    let server = TestServer::start().await;
    let (one, two) = tokio::join!(server.app.master_key(), server.app.master_key());
    assert_eq!(one.expect("made").id(), two.expect("made").id());
}
