//! What must hold after any sequence of events: of a key's secrets, of a list that changes while it is read, and of an audit
//! log that somebody changed.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use keyrack::model::api_key::{Expiry, Overlap};
use keyrack::model::audit_event::Head;
use keyrack::model::caller::Caller;
use keyrack::model::clock::Timestamp;
use keyrack::model::ids::ApiKeyId;
use keyrack::model::scope::Scope;
use keyrack::model::user::Role;
use keyrack::services::api_keys;
use keyrack::services::credentials;
use keyrack::services::forms::Formed;
use keyrack::store::{Conn, audit_events};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use rusqlite::types::Value;

use crate::support::{DAY, HOUR, MINUTE, TestServer};

/// A case costs a server's work: fewer of them than of a parser's.
fn cases(one_in: u32) -> TestRunner {
    let usual = Config::default();
    TestRunner::new(Config { cases: (usual.cases / one_in).max(1), failure_persistence: None, ..usual })
}

fn holds<S: Strategy>(runner: &mut TestRunner, strategy: &S, case: impl Fn(S::Value)) {
    let outcome = runner.run(strategy, |value| {
        case(value);
        Ok(())
    });
    outcome.unwrap_or_else(|failed| panic!("{failed}"));
}

fn server() -> (tokio::runtime::Runtime, TestServer) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(TestServer::start());
    (runtime, server)
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Rotate(Duration),
    /// Ends the older secret, or gives it longer.
    MoveEnd(Duration),
    Pass(Duration),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let spans = || proptest::sample::select(vec![Duration::ZERO, MINUTE, HOUR, DAY, 30 * DAY]);
    let event = prop_oneof![
        3 => spans().prop_map(Event::Rotate),
        2 => spans().prop_map(Event::MoveEnd),
        3 => spans().prop_map(|span| Event::Pass(span.min(20 * DAY))),
    ];
    proptest::collection::vec(event, 1..10)
}

/// A secret that was given out, and until when it works.
struct Given {
    secret: String,
    ends: Option<Timestamp>,
}

#[test]
fn of_a_keys_secrets_two_at_most_work_and_one_that_ended_never_does_again() {
    let (runtime, server) = server();
    let owner = runtime.block_on(server.member());
    holds(&mut cases(4), &(events(), proptest::option::of(1_u64..60)), |(events, days)| {
        runtime.block_on(async {
            let by = Caller::command_line();
            let expiry = days.map(|days| server.clock.now().saturating_add(u32::try_from(days).expect("days") * DAY));
            let key = server
                .key_of_with(&owner, &[Scope::UsersRead], |new| new.expiry = expiry.map_or(Expiry::Never, Expiry::At))
                .await;
            let id = ApiKeyId::parse(key.key_id()).expect("an id");
            let mut given = vec![Given { secret: key.secret().to_owned(), ends: expiry }];
            for event in &events {
                let now = server.clock.now();
                // Never past the key's own expiry.
                let sooner = |span: Duration| expiry.into_iter().chain([now.saturating_add(span)]).min();
                match *event {
                    Event::Pass(span) => server.advance(span),
                    Event::Rotate(span) => {
                        let overlap = Overlap::new(span).expect("30 days at most");
                        let nonce = keyrack::crypto::secret::random_token();
                        let made = api_keys::rotate_by_form(&server.app, &by, id, overlap, &nonce).await;
                        let is_over = expiry.is_some_and(|end| end <= now);
                        assert_eq!(made.is_err(), is_over, "a key that has expired is not rotated, and any other is");
                        let Ok(Formed::Made(_, secret)) = made else { continue };
                        // The one before the last ends, whatever time it had.
                        let count = given.len();
                        if let Some(oldest) = count.checked_sub(2) {
                            given[oldest].ends = Some(given[oldest].ends.map_or(now, |end| end.min(now)));
                        }
                        given[count - 1].ends = sooner(span);
                        given.push(Given { secret: secret.expose().to_owned(), ends: expiry });
                    }
                    Event::MoveEnd(span) => {
                        api_keys::end_rotation(&server.app, &by, id, Overlap::new(span).expect("30 days at most"))
                            .await
                            .expect("moves");
                        if let Some(older) = given.len().checked_sub(2).map(|at| &mut given[at])
                            && older.ends.is_none_or(|end| now < end)
                        {
                            older.ends = sooner(span);
                        }
                    }
                }
                let now = server.clock.now();
                let works = |one: &Given| credentials::authenticate(&server.app, &one.secret, (now, server.clock.tick())).is_ok();
                let should = |one: &Given| one.ends.is_none_or(|end| now < end);
                let (found, expected): (Vec<bool>, Vec<bool>) = given.iter().map(|one| (works(one), should(one))).unzip();
                assert_eq!(found, expected, "after {event:?} of {events:?}, {days:?} days");
                assert!(found.iter().filter(|works| **works).count() <= 2);
                let ended = given.len().saturating_sub(2);
                assert!(found[..ended].iter().all(|works| !works));
            }
        });
    });
}

#[derive(Clone, Debug)]
enum Meanwhile {
    Comes,
    Goes(Index),
    Nothing,
}

#[test]
fn a_list_that_changes_while_it_is_read_shows_each_who_stayed_once() {
    let (runtime, server) = server();
    let meanwhile = prop_oneof![Just(Meanwhile::Comes), any::<Index>().prop_map(Meanwhile::Goes), Just(Meanwhile::Nothing)];
    let steps = proptest::collection::vec(proptest::collection::vec(meanwhile, 0..3), 1..24);
    holds(&mut cases(8), &(1_usize..5, 0_usize..9, any::<bool>(), steps), |(size, people, newest_first, steps)| {
        runtime.block_on(async {
            let team = server.account("Team").await;
            let key = server.key_of(&server.user_in(team, Role::Member).await, &[Scope::UsersRead, Scope::UsersWrite]).await;
            server.set_windows(&key, &[(1_000_000, 1)]).await;
            let mut there = vec![key.user().id.to_string()];
            for _ in 0..people {
                there.push(server.user_in(team, Role::Member).await.id.to_string());
            }
            let mut steps = steps.into_iter().chain(std::iter::repeat_with(Vec::new));
            let sort = if newest_first { "-created_at" } else { "created_at" };
            // To the end, and back: `after` and `before`.
            let mut path = format!("/v1/users?sort={sort}&limit={size}");
            for rel in ["next", "prev"] {
                let before = there.clone();
                let mut seen = Vec::new();
                loop {
                    let page = key.get(&path).await.expect(200);
                    let rows = page.ids();
                    assert!(rows.len() <= size);
                    if rel == "next" {
                        seen.extend(rows.clone())
                    } else {
                        seen.splice(0..0, rows.clone()).for_each(drop)
                    }
                    for event in steps.next().expect("without an end") {
                        change(&server, &key, &mut there, event, || server.user_in(team, Role::Member)).await;
                    }
                    // A first page by offset begins the list; all others go by the rows that were shown.
                    match (page.link(rel), rows.last()) {
                        (None, _) | (_, None) => break,
                        (Some(_), Some(last)) if rel == "next" => {
                            path = format!("/v1/users?sort={sort}&limit={size}&after={last}")
                        }
                        (Some(link), _) => path = link,
                    }
                }
                let distinct: BTreeSet<&String> = seen.iter().collect();
                assert_eq!(distinct.len(), seen.len(), "{rel}: shown twice: {seen:?}");
                let missed: Vec<&String> = before.iter().filter(|id| there.contains(id) && !distinct.contains(id)).collect();
                assert!(missed.is_empty(), "{rel}: {missed:?} stayed and were not shown: {seen:?}");
                let mut sorted = seen.clone();
                sorted.sort_unstable();
                if newest_first {
                    sorted.reverse();
                }
                assert_eq!(seen, sorted, "{rel}: in the list's order");
                // The way back begins behind the last.
                let end = if newest_first { "user_00000000000000000000000000" } else { "user_7zzzzzzzzzzzzzzzzzzzzzzzzz" };
                path = format!("/v1/users?sort={sort}&limit={size}&before={end}");
            }
        });
    });
}

async fn change<F: Future<Output = keyrack::model::user::User>>(
    server: &TestServer,
    key: &crate::support::Client,
    there: &mut Vec<String>,
    event: Meanwhile,
    comes: impl FnOnce() -> F,
) {
    match event {
        Meanwhile::Nothing => {}
        Meanwhile::Comes => {
            server.advance(Duration::from_millis(1));
            there.push(comes().await.id.to_string());
        }
        // Who reads the list stays.
        Meanwhile::Goes(which) if there.len() > 1 => {
            let gone = there.remove(1 + which.index(there.len() - 1));
            key.delete(&format!("/v1/users/{gone}")).await.expect(204);
        }
        Meanwhile::Goes(_) => {}
    }
}

#[derive(Clone, Debug)]
enum Tampering {
    Edit {
        row: Index,
        column: Index,
        with: Vec<u8>,
        number: i64,
    },
    Delete(Index),
    Swap(Index, Index),
    /// Everything from here on.
    Truncate(Index),
}

fn tampering() -> impl Strategy<Value = Tampering> {
    let with = proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        6 => (any::<Index>(), any::<Index>(), with, any::<i64>())
            .prop_map(|(row, column, with, number)| Tampering::Edit { row, column, with, number }),
        1 => any::<Index>().prop_map(Tampering::Delete),
        2 => (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Tampering::Swap(one, other)),
        1 => any::<Index>().prop_map(Tampering::Truncate),
    ]
}

/// Another value of the same kind; what was there where none can be made.
fn other(was: &Value, with: &[u8], number: i64) -> Value {
    match was {
        Value::Integer(_) => Value::Integer(number),
        Value::Text(_) => Value::Text(with.iter().map(|&byte| char::from(byte)).collect()),
        Value::Blob(bytes) if with.len().is_multiple_of(2) => {
            let mut bytes = bytes.clone();
            let at = number.unsigned_abs() as usize % bytes.len().max(1);
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= with.first().copied().unwrap_or(1).max(1));
            Value::Blob(bytes)
        }
        Value::Blob(_) | Value::Null => Value::Blob(with.to_vec()),
        Value::Real(_) => was.clone(),
    }
}

/// Does it, in a transaction; whether anything is different now.
fn tamper(conn: &Conn, how: &Tampering, rows: i64, columns: &[String]) -> bool {
    let seq = |index: &Index| 1 + i64::try_from(index.index(usize::try_from(rows).expect("few"))).expect("few");
    match how {
        Tampering::Edit { row, column, with, number } => {
            let (seq, column) = (seq(row), column.get(columns));
            let was: Value = conn
                .query_row(&format!("SELECT {column} FROM audit_events WHERE seq = ?1"), [seq], |row| row.get(0))
                .expect("a value");
            let is = other(&was, with, *number);
            // What the table itself refuses is not written.
            is != was && conn.execute(&format!("UPDATE audit_events SET {column} = ?1 WHERE seq = ?2"), (is, seq)).is_ok()
        }
        Tampering::Delete(row) => conn.execute("DELETE FROM audit_events WHERE seq = ?1", [seq(row)]).expect("deletes") == 1,
        Tampering::Truncate(row) => conn.execute("DELETE FROM audit_events WHERE seq >= ?1", [seq(row)]).expect("cuts") > 0,
        Tampering::Swap(one, other) => {
            let (one, other) = (seq(one), seq(other));
            for (from, to) in [(one, -1), (other, one), (-1, other)] {
                conn.execute("UPDATE audit_events SET seq = ?2 WHERE seq = ?1", [from, to]).expect("moves");
            }
            one != other
        }
    }
}

#[test]
fn whatever_is_changed_in_the_audit_log_shows() {
    let (runtime, server) = server();
    runtime.block_on(async {
        for _ in 0..6 {
            let key = server.key(&[Scope::UsersRead]).await;
            key.get("/v1/users").await.expect(200);
        }
        server.admin().await.get("/v1/users").await.expect(200);
    });
    let mut conn = Conn::open(server.data().join("keyrack.db")).expect("opens");
    let kept = audit_events::head(&conn).expect("a head");
    assert!(kept.seq > 12, "{kept:?}");
    let names = "SELECT name FROM pragma_table_info('audit_events')";
    let columns: Vec<String> = conn
        .prepare(names)
        .expect("sql")
        .query_map([], |row| row.get(0))
        .expect("columns")
        .map(|name| name.expect("a name"))
        .collect();
    conn.execute_batch(
        "DROP TRIGGER audit_events_keep_rows; DROP TRIGGER audit_events_keep_words; DROP TRIGGER audit_events_keep_order",
    )
    .expect("drops");
    let is_sound = |conn: &Conn| {
        let (reached, broken) = audit_events::verify(conn, Head::START, 1_000).expect("reads");
        broken.is_none() && reached == kept
    };
    assert!(is_sound(&conn));
    let conn = std::cell::RefCell::new(&mut conn);
    holds(&mut cases(1), &tampering(), |how| {
        let mut conn = conn.borrow_mut();
        let tx = conn.transaction().expect("begins");
        let is_other = tamper(&tx, &how, kept.seq, &columns);
        assert_eq!(is_sound(&tx), !is_other, "{how:?}");
        tx.rollback().expect("goes back");
    });
}
