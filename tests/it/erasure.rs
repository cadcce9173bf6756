//! What is left of a person who was deleted, where, and for how long: docs/OPERATIONS.md, "Erasing a person".

use std::collections::BTreeSet;
use std::path::Path;

use keyrack::config::Config;
use keyrack::crypto::SecretHash;
use keyrack::crypto::secret::random_token;
use keyrack::model::audit_event::Head;
use keyrack::model::email::Email;
use keyrack::model::ids::SessionId;
use keyrack::model::name::Name;
use keyrack::model::scope::Scope::UsersRead;
use keyrack::model::session::Session;
use keyrack::model::user::{Role, User};
use keyrack::{services, store};
use rusqlite::types::ValueRef;
use serde_json::json;

use crate::support::{DAY, TestServer};

const NAME: &str = "Grace Brewster Hopper";
const EMAIL: &str = "grace.hopper@example.com";
const DEVICE: &str = "Graces-Telephone/1.0";
const ADDRESS: &str = "203.0.113.77";

/// The tables in which any value has any of these words.
fn tables_with(database: &Path, words: &[&str]) -> BTreeSet<String> {
    let conn = rusqlite::Connection::open(database).expect("opens");
    let mut tables = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").expect("sql");
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).expect("runs").collect::<Result<_, _>>().expect("names");
    let has_any = |table: &String| {
        let mut all = conn.prepare(&format!("SELECT * FROM \"{table}\"")).expect("sql");
        let columns = all.column_count();
        let mut rows = all.query([]).expect("runs");
        while let Some(row) = rows.next().expect("a row") {
            let found = (0..columns).any(|column| match row.get_ref(column).expect("a value") {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    let text = String::from_utf8_lossy(bytes);
                    words.iter().any(|word| text.contains(word))
                }
                _ => false,
            });
            if found {
                return true;
            }
        }
        false
    };
    tables.into_iter().filter(has_any).collect()
}

/// The files of the data directory whose bytes have this word, rows that are gone among them.
fn files_with(server: &TestServer, word: &str) -> Vec<String> {
    let path = server.data().join("keyrack.db");
    let conn = rusqlite::Connection::open(&path).expect("opens");
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("nothing is left in the log");
    let files = ["keyrack.db", "keyrack.db-wal"].map(|name| (name, std::fs::read(server.data().join(name)).unwrap_or_default()));
    let has = |bytes: &[u8]| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    files.into_iter().filter(|(_, bytes)| has(bytes)).map(|(name, _)| name.to_owned()).collect()
}

/// Somebody with everything that a person can have here, whom a request has come from.
async fn grace(server: &TestServer) -> User {
    let account = server.account("Navy").await;
    let grace = server.user_with(account, Role::Member, |new| {
        new.name = Name::parse(NAME).expect("a name");
        new.email = Email::parse(EMAIL).expect("an address");
    });
    let grace = grace.await;
    server.webhook_of(&grace).await;
    let key = server.key_of(&grace, &[UsersRead]).await;
    key.header("X-Forwarded-For", ADDRESS).header("X-Forwarded-Proto", "https").get("/v1/users/me").await.expect(200);
    let now = server.clock.now();
    let session = Session {
        id: SessionId::new(),
        user_id: grace.id,
        created_at: now,
        last_seen_at: now,
        expires_at: now.saturating_add(DAY),
        elevated_until: now,
        ip: None,
        user_agent: DEVICE.into(),
    };
    let hash = SecretHash::of(&random_token());
    server.app.store.write(move |tx| store::sessions::insert(tx, hash, &session)).await.expect("a session");
    server.flush().await;
    grace
}

fn behind_a_proxy(config: &mut Config) {
    config.server.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
}

fn set(tables: &[&str]) -> BTreeSet<String> {
    tables.iter().map(|&table| table.to_owned()).collect()
}

#[tokio::test]
async fn of_a_deleted_user_the_audit_log_alone_keeps_name_and_address_for_good() {
    let server = TestServer::with(behind_a_proxy).await;
    let database = server.data().join("keyrack.db");
    let grace = grace(&server).await;
    let admin = server.admin().await;
    let order = admin.header("Idempotency-Key", "order-1");
    order.patch(&format!("/v1/users/{}", grace.id), json!({ "role": "member" })).await.expect(200);
    assert!(tables_with(&database, &[NAME, EMAIL]).is_superset(&set(&["audit_events", "users"])));

    admin.delete(&format!("/v1/users/{}", grace.id)).await.expect(204);
    server.flush().await;
    let at_once = tables_with(&database, &[NAME, EMAIL]);
    assert!(at_once.is_subset(&set(&["audit_events", "idempotency_keys", "webhook_events"])), "{at_once:?}");
    assert_eq!(tables_with(&database, &[ADDRESS, DEVICE]), set(&["logged_requests"]));

    server.advance(DAY * 31);
    services::maintenance::sweep(&server.app).await.expect("swept");
    assert_eq!(tables_with(&database, &[NAME, EMAIL]), set(&["audit_events"]), "after a month");
    assert_eq!(tables_with(&database, &[ADDRESS, DEVICE]), set(&[]));
    let whole = services::audit::verify(&server.app, Head::START).await.expect("read");
    assert!(whole.broken.is_none(), "the chain holds");
}

#[tokio::test]
async fn what_is_deleted_is_gone_from_the_file_too() {
    let server = TestServer::start().await;
    let grace = grace(&server).await;
    assert_eq!(files_with(&server, DEVICE), ["keyrack.db"], "it is looked for in the right place");
    server.admin().await.delete(&format!("/v1/users/{}", grace.id)).await.expect(204);
    assert_eq!(files_with(&server, DEVICE), [""; 0]);
}
