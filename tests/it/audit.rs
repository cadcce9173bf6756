//! The audit log: what it tells, to whom, and that nobody changes it unseen.

use std::collections::BTreeSet;

use keyrack::http::audit::{KNOWN, sentence};
use keyrack::model::audit_event::{ActorFilter, AuditEvent, AuditFilter, Broken, Head, How, Verified};
use keyrack::model::caller::Caller;
use keyrack::model::page::{Limit, Order, Start};
use keyrack::model::scope::Scope;
use keyrack::model::user::Role;
use keyrack::services;
use keyrack::store::Conn;
use serde_json::{Value, json};

use crate::sessions::{Browser, signed_in};
use crate::support::{DAY, HOUR, TestServer};

async fn events(server: &TestServer, filter: AuditFilter) -> Vec<AuditEvent> {
    let place = (Start::Offset(0), Order::OldestFirst, Limit::of(100));
    services::audit::list(&server.app, &Caller::command_line(), filter, place).await.expect("events").rows
}

async fn sentences(server: &TestServer, filter: AuditFilter) -> Vec<String> {
    events(server, filter).await.iter().map(|event| sentence(event, |at| at.to_string()).into()).collect()
}

/// The file itself, as somebody has it who may write to it.
fn open(server: &TestServer) -> Conn {
    Conn::open(server.data().join("keyrack.db")).expect("opens")
}

fn without_triggers(server: &TestServer) -> Conn {
    let conn = open(server);
    let triggers =
        "DROP TRIGGER audit_events_keep_rows; DROP TRIGGER audit_events_keep_words; DROP TRIGGER audit_events_keep_order;";
    conn.execute_batch(triggers).expect("drops");
    conn
}

async fn verified(server: &TestServer) -> Option<Broken> {
    services::audit::verify(&server.app, Head::START).await.expect("reads").broken
}

#[tokio::test]
async fn what_was_done_reads_as_sentences() {
    let server = TestServer::start().await;
    let (mut browser, admin) = signed_in(&server, Role::Admin).await;
    let key = server.key_of(&admin, &[Scope::Admin]).await;
    key.patch(&format!("/v1/keys/{}", key.key_id()), json!({ "name": "billing-worker" })).await.expect(200);
    key.post(&format!("/v1/keys/{}/rotate", key.key_id()), json!({ "overlap": "1h" })).await.expect(200);
    let fields = [("name", "Grace"), ("email", "grace@example.com"), ("role", "member"), ("password", "nanoseconds-of-wire")];
    let page = browser.get("/admin/users/new").await.text;
    browser.send_on(&page, &fields).await.expect(303);
    let of_key = AuditFilter { actor: Some(ActorFilter::Id(key.key_id().into())), ..AuditFilter::default() };
    assert_eq!(
        sentences(&server, of_key).await,
        [
            "Key billing-worker changed key billing-worker",
            "Key billing-worker rotated key billing-worker, old key ends 2026-11-22T11:00:00Z"
        ]
    );
    let of_admin = AuditFilter { actor: Some(ActorFilter::Id(admin.id.to_string())), ..AuditFilter::default() };
    assert_eq!(sentences(&server, of_admin).await, ["Ada Lovelace signed in", "Ada Lovelace added user Grace"]);
}

#[test]
fn every_action_of_the_source_has_words() {
    fn walk(dir: &std::path::Path, texts: &mut String) {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => walk(&path, texts),
                false if path.extension().is_some_and(|ending| ending == "rs") => {
                    texts.push_str(&std::fs::read_to_string(&path).expect("a text"));
                }
                false => {}
            }
        }
    }
    let mut source = String::new();
    for module in ["model", "services"] {
        walk(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module), &mut source);
    }
    // What is given to `Happening::new` and `note`, or chosen just before by `action`.
    let mut actions = BTreeSet::new();
    for (mark, end) in [("Happening::new(", ","), ("note(", ";"), ("action = match", ";"), ("fn action(", "\n    }\n")] {
        for (at, _) in source.match_indices(mark) {
            let piece = source[at..].split_once(end).map_or("", |(piece, _)| piece);
            let quoted = piece.split('"').skip(1).step_by(2);
            let is_action =
                |text: &&str| text.contains('.') && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'_');
            actions.extend(quoted.filter(is_action).map(str::to_owned));
        }
    }
    assert!(actions.len() > 18, "{actions:?}");
    for known in ["user.created", "key.rotated", "key.disabled", "account.suspended", "setting.changed", "session.elevated"] {
        assert!(actions.contains(known), "{known} is not found any more");
    }
    let without: Vec<_> = actions.iter().filter(|action| !KNOWN.iter().any(|(known, _)| known == action)).collect();
    assert!(without.is_empty(), "say in src/http/audit/words.rs what these are called: {without:?}");
}

#[tokio::test]
async fn an_action_that_nobody_gave_words_to_is_told_by_its_name() {
    let server = TestServer::start().await;
    let mut event = events(&server, AuditFilter::default()).await.remove(0);
    event.action = "parcel.sent_off".into();
    event.target.name = "orders".into();
    assert_eq!(sentence(&event, |at| at.to_string()).to_string(), "Keyrack sent off parcel orders");
}

#[tokio::test]
async fn changes_are_told_before_and_after_and_passwords_never() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let member = server.member().await;
    let body = json!({ "name": "Grace", "password": "nanoseconds-of-wire", "role": "admin" });
    admin.patch(&format!("/v1/users/{}", member.id), body).await.expect(200);
    admin.delete(&format!("/v1/users/{}", member.id)).await.expect(204);
    let of_member = AuditFilter { target: Some(member.id.to_string()), ..AuditFilter::default() };
    let events = events(&server, of_member).await;
    assert_eq!(
        events[1].diff,
        json!({
            "name": { "from": "Ada Lovelace", "to": "Grace" }, "role": { "from": "member", "to": "admin" }, "password": "changed",
        })
    );
    assert_eq!(events[2].diff["email"], json!({ "from": member.email, "to": null }));
    assert_eq!(events[2].target.name, "Grace");
}

#[tokio::test]
async fn the_log_is_narrowed_by_who_what_whom_and_when() {
    let server = TestServer::start().await;
    let (mut browser, admin) = signed_in(&server, Role::Admin).await;
    server.advance(HOUR / 2);
    let key = server.key_of(&admin, &[Scope::UsersRead]).await;
    let mut shows = async |query: &str| {
        let page = browser.get(&format!("/admin/audit?{query}")).await.expect(200).text;
        let main = page.split_once("<tbody>").map_or("", |(_, rest)| rest).to_owned();
        (main.contains("generated key <em"), main.contains(" signed in"))
    };
    assert_eq!(shows("").await, (true, true));
    assert_eq!(shows(&format!("who={}", admin.email)).await, (false, true));
    assert_eq!(shows("who=command-line").await, (true, false));
    assert_eq!(shows("who=nobody%40example.com").await, (false, false));
    assert_eq!(shows("action=key.created").await, (true, false));
    assert_eq!(shows(&format!("target={}", key.key_id())).await, (true, false));
    assert_eq!(shows(&format!("account={}", admin.account_id)).await, (true, true));
    assert_eq!(shows("since=2026-11-22&until=2026-11-22").await, (true, true));
    assert_eq!(shows("since=2026-11-23").await, (false, false));
    assert_eq!(shows("until=2026-11-21").await, (false, false));
    assert_eq!(shows("id=no-such-request").await, (false, false));
    let none = browser.get("/admin/audit?since=2026-11-23").await.text;
    assert!(none.contains("No events match. Earliest event kept: Sun 22 Nov 2026 10:00 UTC."), "{none}");
    let wrong = browser.get("/admin/audit?since=yesterday").await.text;
    assert!(wrong.contains("Enter a day, for example 2026-11-22."));
}

#[tokio::test]
async fn the_log_is_paged_without_a_gap() {
    let server = TestServer::start().await;
    let (mut browser, admin) = signed_in(&server, Role::Admin).await;
    for _ in 0..60 {
        server.key_of(&admin, &[]).await;
    }
    let rows = |page: &str| page.matches("class=\"sentence-link\"").count();
    let first = browser.get("/admin/audit?action=key.created").await.text;
    let older = first.split("href=\"/admin/audit?action=key.created&#38;after=").nth(1).expect("a next page");
    let older = older.split_once('"').expect("an end").0;
    let second = browser.get(&format!("/admin/audit?action=key.created&after={older}")).await.text;
    assert_eq!(rows(&first) + rows(&second), 61, "sixty, and the one of `signed_in`");
    assert!(second.contains("rel=\"prev\"") && !second.contains("rel=\"next\""));
}

#[tokio::test]
async fn an_event_has_a_page_with_all_that_is_known() {
    let server = TestServer::start().await;
    let (mut browser, admin) = signed_in(&server, Role::Admin).await;
    let event = events(&server, AuditFilter { action: Some("session.created".into()), ..AuditFilter::default() }).await.remove(0);
    let page = browser.get(&format!("/admin/audit/{}", event.id)).await.expect(200).text;
    for told in [event.hash.to_string(), event.prev_hash.to_string(), "127.0.0.1".into(), admin.id.to_string()] {
        assert!(page.contains(&told), "{told}");
    }
    browser.get("/admin/audit/evt_01h455vb4pex5vsknk084sn02q").await.expect(404);
}

#[tokio::test]
async fn the_export_has_every_event_that_the_filters_leave() {
    let server = TestServer::start().await;
    let (mut browser, admin) = signed_in(&server, Role::Admin).await;
    for _ in 0..150 {
        server.key_of(&admin, &[]).await;
    }
    let all = browser.get("/admin/audit/export?format=jsonl").await.expect(200);
    let lines: Vec<Value> = all.text.lines().map(|line| serde_json::from_str(line).expect("a value")).collect();
    let seqs: Vec<i64> = lines.iter().filter_map(|line| line["seq"].as_i64()).collect();
    assert!(seqs.len() > 150 && seqs.iter().zip(1..).all(|(&seq, n)| seq == n), "{seqs:?}");
    let csv = browser.get("/admin/audit/export?format=csv&action=key.created").await.expect(200);
    assert!(csv.header("content-disposition").starts_with("attachment; filename=\"keyrack-audit-2026-11-22.csv\""));
    assert_eq!(csv.text.lines().count(), 1 + 151);
}

#[tokio::test]
async fn a_member_and_a_stranger_see_nothing_of_it() {
    let server = TestServer::start().await;
    let (mut member, _) = signed_in(&server, Role::Member).await;
    for path in ["/admin/audit", "/admin/audit/export"] {
        member.get(path).await.expect(403);
        assert_eq!(Browser::new(&server).get(path).await.status, 303);
    }
}

// The chain.

#[tokio::test]
async fn the_database_itself_refuses_to_change_or_replace_an_event() {
    let server = TestServer::start().await;
    server.member().await;
    let conn = open(&server);
    for sql in [
        "UPDATE audit_events SET target_name = 'nobody' WHERE seq = 1",
        "DELETE FROM audit_events WHERE seq = 1",
        "INSERT OR REPLACE INTO audit_events SELECT * FROM audit_events WHERE seq = 1",
        "INSERT INTO audit_events SELECT seq + 9, x'00', at, actor_kind, actor_id, account_id, action, target_kind, target_id,
             target_name, diff, ip, request_id, prev_hash, hash FROM audit_events WHERE seq = 1",
        "INSERT OR REPLACE INTO audit_events SELECT (SELECT max(seq) + 1 FROM audit_events), id, at, actor_kind, actor_id, account_id,
             action, target_kind, target_id, target_name, diff, ip, request_id, prev_hash, hash FROM audit_events WHERE seq = 1",
    ] {
        let refused = conn.execute(sql, []).expect_err(sql).to_string();
        assert!(refused.contains("audit events are"), "{sql}: {refused}");
    }
    assert_eq!(verified(&server).await, None);
}

#[tokio::test]
async fn an_event_that_was_changed_is_found() {
    for column in ["target_name", "actor_id", "action", "diff", "ip", "request_id", "at", "account_id", "prev_hash", "hash"] {
        let server = TestServer::start().await;
        server.member().await;
        let value = match column {
            "at" => "at + 1",
            "account_id" => "zeroblob(16)",
            "prev_hash" | "hash" => "zeroblob(32)",
            _ => "'{}'",
        };
        let changed = format!("UPDATE audit_events SET {column} = {value} WHERE seq = 2");
        without_triggers(&server).execute(&changed, []).expect("changes");
        let broken = verified(&server).await.unwrap_or_else(|| panic!("{column} was changed unseen"));
        assert_eq!(broken.seq, 2, "{column}");
    }
}

#[tokio::test]
async fn an_event_that_was_taken_out_is_missed() {
    let server = TestServer::start().await;
    server.member().await;
    without_triggers(&server).execute("DELETE FROM audit_events WHERE seq = 2", []).expect("deletes");
    assert_eq!(verified(&server).await, Some(Broken { seq: 2, how: How::Missing }));
}

#[tokio::test]
async fn a_cut_or_rewritten_end_shows_against_a_head_that_was_kept() {
    let server = TestServer::start().await;
    server.member().await;
    let kept = services::audit::head(&server.app).await.expect("a head");
    let against = async || services::audit::verify_against(&server.app, kept).await.expect("reads").broken;
    server.member().await;
    assert_eq!(against().await, None);
    let conn = without_triggers(&server);
    conn.execute("DELETE FROM audit_events WHERE seq >= ?1", [kept.seq]).expect("deletes");
    assert_eq!(verified(&server).await, None, "the chain alone cannot tell");
    assert_eq!(against().await, Some(Broken { seq: kept.seq, how: How::Missing }));
    server.member().await;
    assert_eq!(against().await, Some(Broken { seq: kept.seq, how: How::Rewritten }));
}

#[tokio::test]
async fn the_page_says_how_far_the_chain_was_sound_and_goes_on_from_there() {
    let server = TestServer::start().await;
    let (mut browser, _) = signed_in(&server, Role::Admin).await;
    assert!(browser.get("/admin/audit").await.text.contains("Not verified yet"));
    let sound = services::audit::verify(&server.app, Head::START).await.expect("reads");
    *server.app.verified.lock() = Some(sound.clone());
    server.advance(HOUR / 2);
    let page = browser.get("/admin/audit").await.text;
    assert!(
        page.contains(&format!("Checked 30 min ago: no event was changed, up to event {}, the newest.", sound.head.seq)),
        "{page}"
    );
    let later = services::audit::verify(&server.app, sound.head).await.expect("reads");
    assert_eq!((later.head, later.broken.is_none()), (sound.head, true));
    without_triggers(&server).execute("UPDATE audit_events SET ip = '' WHERE ip <> ''", []).expect("changes");
    *server.app.verified.lock() = Some(services::audit::verify(&server.app, Head::START).await.expect("reads"));
    server.advance(DAY);
    let (mut later, _) = signed_in(&server, Role::Admin).await;
    assert!(later.get("/admin/audit").await.text.contains("was changed after it was written."));
}

#[tokio::test]
async fn the_page_says_how_far_the_log_was_checked_and_what_came_since() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    let verified = services::audit::verify(&server.app, Head::START).await.expect("reads");
    let last = verified.head.seq;
    *server.app.verified.lock() = Some(verified);
    let page = browser.get("/admin/audit").await.expect(200).text;
    assert!(page.contains(&format!("no event was changed, up to event {last}, the newest.")), "{page}");
    server.key_of(admin.user(), &[Scope::UsersRead]).await;
    let page = browser.get("/admin/audit").await.expect(200).text;
    assert!(page.contains(&format!("up to event {last}, the newest then. 1 event came since;")), "{page}");
    browser.submit("/admin/audit", "/admin/audit/check", &[]).await.expect(303);
    let page = browser.get("/admin/audit").await.expect(200).text;
    assert!(page.contains(&format!("no event was changed, up to event {}, the newest.", last + 1)), "{page}");
}

#[tokio::test]
async fn what_was_found_altered_is_not_taken_back_by_looking_at_what_came_later() {
    let server = TestServer::start().await;
    let browser = server.browser(server.admin().await.user()).await;
    let broken = Broken { seq: 1, how: How::Changed };
    let sound = services::audit::verify(&server.app, Head::START).await.expect("reads");
    *server.app.verified.lock() = Some(Verified { broken: Some(broken.clone()), ..sound });
    browser.submit("/admin/audit", "/admin/audit/check", &[]).await.expect(303);
    assert_eq!(server.app.verified.lock().as_ref().and_then(|last| last.broken.clone()), Some(broken));
}
