//! How SQLite finds the rows of every statement: a snapshot, so that a new table scan shows in review.

use std::cell::RefCell;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use keyrack::crypto::SecretHash;
use keyrack::model::account::NewAccount;
use keyrack::model::api_key::{KeyStatus, LastUse};
use keyrack::model::audit_event::{ActorFilter, AuditFilter, Happening, Head};
use keyrack::model::caller::Caller;
use keyrack::model::clock::Timestamp;
use keyrack::model::dialect::default_tiers;
use keyrack::model::email::Email;
use keyrack::model::ids::{AuditEventId, SessionId};
use keyrack::model::key_view::{KeySort, KeySought, KeyView};
use keyrack::model::name::Name;
use keyrack::model::network::Network;
use keyrack::model::notice::NoticeKind;
use keyrack::model::page::{Limit, Order, Start};
use keyrack::model::request::{LoggedRequest, RequestFilter};
use keyrack::model::scope::ScopeSet;
use keyrack::model::service::{Checks, ServiceName, ServiceRow};
use keyrack::model::session::Session;
use keyrack::model::usage::{Outcome, Span, Subject, Tally, UsageRow};
use keyrack::model::user::{Role, UserStatus};
use keyrack::store::key_views::Whose;
use keyrack::store::rate_windows::SavedWindow;
use keyrack::store::{self, Conn};
use rusqlite::trace::{TraceEvent, TraceEventCodes};

thread_local! {
    /// What ran since it was last taken: as it was written, and with its values.
    static RAN: RefCell<Vec<(String, String)>> = const { RefCell::new(Vec::new()) };
}

fn note(event: TraceEvent) {
    if let TraceEvent::Stmt(statement, text) = event
        && !text.starts_with("--")
    {
        let sql = statement.sql().split_whitespace().collect::<Vec<_>>().join(" ");
        let run = (without_columns(&sql), statement.expanded_sql().unwrap_or_default());
        RAN.with_borrow_mut(|ran| ran.push(run));
    }
}

/// Which columns are read is no matter of the plan, and changes more often.
fn without_columns(sql: &str) -> String {
    let sql = sql.split_once(" RETURNING ").map_or(sql, |(before, _)| before);
    match (sql.strip_prefix("SELECT "), sql.find(" FROM ")) {
        (Some(_), Some(from)) => format!("SELECT …{}", &sql[from..]),
        _ => sql.to_owned(),
    }
}

/// The statements that each function ran, with their plans.
struct Plans<'a> {
    conn: &'a Conn,
    text: String,
}

impl Plans<'_> {
    fn of(&mut self, function: &str) {
        let ran = RAN.take();
        writeln!(self.text, "{function}").expect("writes");
        for (sql, with_values) in ran {
            let mut explained = self.conn.prepare(&format!("EXPLAIN QUERY PLAN {with_values}")).expect("a statement");
            let steps = explained.query_map([], |row| row.get::<_, String>(3)).expect("steps");
            let steps: Vec<String> = steps.map(|step| step.expect("a step")).collect();
            writeln!(self.text, "    {sql}").expect("writes");
            for step in steps {
                writeln!(self.text, "        {step}").expect("writes");
            }
        }
        RAN.take();
    }
}

/// Runs a function of the store and notes its statements under its name.
macro_rules! plan {
    ($plans:ident, $module:ident::$function:ident($($argument:expr),* $(,)?)) => {
        plan!($plans, "", $module::$function($($argument),*))
    };
    ($plans:ident, $words:literal, $module:ident::$function:ident($($argument:expr),* $(,)?)) => {{
        RAN.take();
        let outcome = store::$module::$function($($argument),*).expect("runs");
        $plans.of(&format!("{}::{} {}", stringify!($module), stringify!($function), $words));
        outcome
    }};
}

fn explain() -> String {
    let dir = tempfile::tempdir().expect("a directory");
    drop(store::Store::open(dir.path()).expect("opens"));
    let mut conn = Conn::open(dir.path().join("keyrack.db")).expect("opens");
    conn.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note));
    let tx = conn.transaction().expect("begins");
    let mut plans = Plans { conn: &tx, text: String::new() };

    let now = Timestamp::parse("2026-11-22T10:00:00Z").expect("a time");
    let later = now.saturating_add(Duration::from_secs(60));
    let name = |text: &str| Name::parse(text).expect("a name");
    let email = Email::parse("ada@example.com").expect("an address");
    let hash = |text: &str| SecretHash::of(text);
    let (oldest, newest) = (Order::OldestFirst, Order::NewestFirst);
    let limit = Limit::of(20);

    let [free, ..] = default_tiers();
    plan!(plans, tiers::set(&tx, &free, now));
    plan!(plans, tiers::find(&tx, "Free"));
    plan!(plans, tiers::list(&tx));

    let account = plan!(plans, accounts::insert(&tx, &NewAccount { name: name("Team"), tier: Some("Free".into()) }, now));
    plan!(plans, accounts::find(&tx, account.id));
    plan!(plans, accounts::find_by_name(&tx, "Team"));
    plan!(plans, accounts::list(&tx, Some(account.id), 20));
    plan!(plans, accounts::update(&tx, &account, now));

    let insert = store::users::Insert {
        account_id: account.id,
        name: &name("Ada"),
        email: &email,
        password_hash: Some("old"),
        role: Role::Admin,
        time_zone: "UTC",
    };
    let user = plan!(plans, users::insert(&tx, &insert, now));
    plan!(plans, users::find(&tx, user.id));
    plan!(plans, users::find_by_email(&tx, &email));
    plan!(plans, users::find_to_sign_in(&tx, &email));
    plan!(plans, users::first_admin(&tx));
    plan!(plans, users::has_other_admin(&tx, user.id));
    plan!(plans, users::update(&tx, user.id, &store::users::Update::default(), now));
    plan!(plans, users::password_hash(&tx, user.id));
    plan!(plans, users::set_look(&tx, user.id, &Default::default()));
    plan!(plans, users::rehash(&tx, user.id, "old", "new"));
    let all = store::users::Filter::default;
    let mine = || store::users::Filter { account: Some(account.id), ..all() };
    let q = || Some("ada".to_owned());
    plan!(plans, "of all accounts", users::list(&tx, &all(), (Start::Offset(0), oldest, limit)));
    plan!(plans, "of one account", users::list(&tx, &mine(), (Start::Offset(40), oldest, limit)));
    plan!(plans, "after a row", users::list(&tx, &mine(), (Start::After(user.id), oldest, limit)));
    plan!(plans, "before a row, newest first", users::list(&tx, &mine(), (Start::Before(user.id), newest, limit)));
    plan!(
        plans,
        "by email",
        users::list(&tx, &store::users::Filter { email: Some(email.clone()), ..mine() }, (Start::Offset(0), oldest, limit))
    );
    plan!(plans, "by q of all", users::list(&tx, &store::users::Filter { q: q(), ..all() }, (Start::Offset(0), oldest, limit)));
    plan!(plans, "by q", users::list(&tx, &store::users::Filter { q: q(), ..mine() }, (Start::Offset(0), oldest, limit)));
    let filter = store::users::Filter { created_after: Some(now), created_before: Some(later), ..mine() };
    plan!(plans, "by time", users::list(&tx, &filter, (Start::Offset(0), oldest, limit)));
    let filter = store::users::Filter { status: Some(UserStatus::Active), role: Some(Role::Member), ..all() };
    plan!(plans, "by status and role", users::list(&tx, &filter, (Start::Offset(0), oldest, limit)));

    let insert = store::api_keys::Insert {
        user_id: user.id,
        account_id: account.id,
        name: &name("CI"),
        scopes: ScopeSet::EMPTY,
        expires_at: Some(later),
        ip_allow: &Default::default(),
        windows: &Default::default(),
        metadata: &Default::default(),
        hash: hash("first"),
        hint: "kr_…abcd",
        strip_prefix: None,
    };
    let key = plan!(plans, api_keys::insert(&tx, &insert, now));
    plan!(plans, api_keys::find(&tx, key.id));
    plan!(plans, api_keys::count_used_since(&tx, now));
    plan!(plans, api_keys::find_presented(&tx, hash("first")));
    plan!(plans, api_keys::find_presented_of(&tx, key.id));
    plan!(plans, api_keys::has_secret(&tx, hash("first")));
    plan!(plans, api_keys::strip_prefixes(&tx));
    plan!(plans, api_keys::update(&tx, &key, now));
    plan!(plans, "with an overlap", api_keys::rotate(&tx, &key, (hash("second"), "kr_…efgh"), Some(later), now));
    plan!(plans, "without", api_keys::rotate(&tx, &key, (hash("third"), "kr_…ijkl"), None, now));
    plan!(plans, "later", api_keys::end_old_secret(&tx, key.id, Some(later), now));
    plan!(plans, "now", api_keys::end_old_secret(&tx, key.id, None, now));
    let last = LastUse { at: now, ip: None, user_agent: "test".into() };
    plan!(plans, api_keys::note_uses(&tx, &[store::api_keys::Use { key_id: key.id, secret: hash("third"), last }]));
    plan!(plans, api_keys::sweep(&tx, now));
    plan!(plans, api_keys::list_expiring(&tx, now, later, 5));
    plan!(plans, api_keys::list_unused(&tx, now, now, 5));
    plan!(plans, api_keys::count_active_users(&tx, now));
    let all = store::api_keys::Filter::default;
    let mine = || store::api_keys::Filter { account: Some(account.id), ..all() };
    plan!(plans, "of all accounts", api_keys::list(&tx, &all(), (Start::Offset(0), oldest, limit), now));
    plan!(plans, "of one account", api_keys::list(&tx, &mine(), (Start::After(key.id), oldest, limit), now));
    plan!(
        plans,
        "of one user",
        api_keys::list(&tx, &store::api_keys::Filter { user: Some(user.id), ..mine() }, (Start::Offset(0), newest, limit), now)
    );
    plan!(
        plans,
        "by q",
        api_keys::list(&tx, &store::api_keys::Filter { q: q(), ..mine() }, (Start::Offset(0), oldest, limit), now)
    );
    for &status in KeyStatus::ALL {
        let filter = store::api_keys::Filter { status: Some(status), ..mine() };
        plan!(plans, "by status", api_keys::list(&tx, &filter, (Start::Offset(0), oldest, limit), now));
    }
    plan!(plans, "of a user", key_views::list_used(&tx, Whose::User(user.id), now, 20));
    plan!(plans, "of an account", key_views::list_used(&tx, Whose::Account(account.id), now, 20));
    plan!(plans, found::users(&tx, "ada", 5));
    plan!(plans, found::accounts(&tx, "te", 5));
    plan!(plans, accounts::count_of_tier(&tx, "Free"));
    plan!(plans, accounts::reach_of_tier(&tx, "Free"));
    plan!(plans, accounts::ids_within_tier(&tx, "Free", 20));
    plan!(plans, accounts::list_of_tier(&tx, "Free", 20));
    plan!(plans, accounts::move_tier(&tx, "Free", None, 20, now));
    plan!(plans, api_keys::mark_ended(&tx, now));
    let page = (Start::After(key.id), limit);
    for &view in KeyView::ALL {
        plan!(plans, "of everyone", key_views::list(&tx, None, (view, KeySort::Newest), page, now));
    }
    plan!(plans, "by name", key_views::list(&tx, None, (KeyView::All, KeySort::Name), page, now));
    plan!(plans, "by name, from the end", key_views::list(&tx, None, (KeyView::All, KeySort::NameBackwards), page, now));
    plan!(plans, "of one user", key_views::list(&tx, Some(user.id), (KeyView::Unused, KeySort::Newest), page, now));
    for sought in ["key_01h455vb4pex5vsknk084sn02q", "kr_…abcd", "ada@", "ci"] {
        plan!(plans, "sought", key_views::search(&tx, None, &KeySought::parse(sought), page));
    }

    let session = Session {
        id: SessionId::new(),
        user_id: user.id,
        created_at: now,
        last_seen_at: now,
        expires_at: later,
        elevated_until: later,
        ip: None,
        user_agent: "test".into(),
    };
    plan!(plans, sessions::insert(&tx, hash("cookie"), &session));
    plan!(plans, sessions::find(&tx, hash("cookie")));
    plan!(plans, sessions::list_of(&tx, user.id, now, now));
    plan!(plans, sessions::elevate(&tx, hash("cookie"), later));
    plan!(plans, sessions::renew(&tx, hash("cookie"), hash("another")));
    plan!(plans, sessions::touch(&tx, hash("cookie"), now));
    plan!(plans, sessions::delete(&tx, hash("cookie")));
    plan!(plans, sessions::delete_of(&tx, user.id, session.id));
    plan!(plans, "but one", sessions::delete_all_of(&tx, user.id, Some(hash("another"))));
    plan!(plans, "each", sessions::delete_all_of(&tx, user.id, None));
    plan!(plans, sessions::sweep(&tx, now, now));

    plan!(plans, setup::insert_link(&tx, hash("code"), now, later));
    plan!(plans, setup::link_ends_at(&tx, hash("code")));
    plan!(plans, setup::use_link(&tx, hash("code"), now));
    plan!(plans, setup::remember_form(&tx, hash("nonce"), "key", later));
    plan!(plans, setup::made_by_form(&tx, hash("nonce")));
    plan!(plans, setup::sweep(&tx, now));

    let request =
        store::idempotency_keys::Request { owner: "user".into(), route: "POST /v1/users".into(), key: "order-1".into() };
    let answer =
        store::idempotency_keys::Answer { request_hash: [0; 32], status: 201, location: None, etag: None, body: "{}".into() };
    plan!(plans, idempotency_keys::insert(&tx, &request, &answer, now, later));
    plan!(plans, idempotency_keys::find(&tx, &request, now));
    plan!(plans, idempotency_keys::sweep(&tx, now));

    let window = SavedWindow { subject: account.id.to_string(), seconds: 60, used: 1, ends_at: later };
    plan!(plans, rate_windows::save(&tx, &[window]));
    plan!(plans, rate_windows::list(&tx, now));
    plan!(plans, rate_windows::sweep(&tx, now));

    for subject in [Subject::Everyone, Subject::Key(key.id)] {
        let mut tally = Tally::default();
        tally.count(Outcome::Success, None);
        let row = UsageRow { subject, span: Span::Hour, start: now, route: String::new(), tally };
        plan!(plans, usage::add(&tx, &[row]));
        plan!(plans, usage::series(&tx, subject, Span::Hour, now));
        plan!(plans, usage::routes(&tx, subject, Span::Hour, now, 5));
    }
    plan!(plans, usage::top_keys(&tx, Span::Hour, now, 5));
    plan!(plans, usage::requests_of(&tx, &[key.id], Span::Hour, now));
    plan!(plans, usage::has_any(&tx));
    plan!(plans, usage::sweep(&tx, now));

    let service = ServiceName::parse("billing").expect("a label");
    let row = ServiceRow { subject: Subject::Key(key.id), span: Span::Hour, start: now, service, checks: Checks::default() };
    plan!(plans, service_counts::add(&tx, &[row]));
    plan!(plans, service_counts::most(&tx, Subject::Key(key.id), Span::Hour, now, 5));
    plan!(plans, service_counts::sweep(&tx, now));

    plan!(plans, key_networks::insert(&tx, key.id, Network::of([203, 0, 113, 7].into()), now));
    plan!(plans, key_networks::list(&tx, key.id));

    for key_id in [Some(key.id), None] {
        let event = store::notices::Event { kind: NoticeKind::Woke, key_id, detail: String::new(), count: 1 };
        plan!(plans, notices::note(&tx, &event, now));
    }
    plan!(plans, notices::last_of_all(&tx, NoticeKind::Woke));
    plan!(plans, notices::list_standing(&tx, 20));
    let [notice, ..] = &plan!(plans, notices::list_of_key(&tx, key.id, 5))[..] else { panic!("no notice") };
    plan!(plans, notices::dismiss(&tx, notice.id, now));
    plan!(plans, notices::sweep(&tx, now));

    let request = LoggedRequest {
        seq: 0,
        at: now,
        request_id: "req".into(),
        method: "GET".into(),
        path: "/v1/key".into(),
        route: "/v1/key".into(),
        status: 404,
        duration_us: 1,
        error: None,
        key_id: Some(key.id),
        account_id: None,
        ip: [127, 0, 0, 1].into(),
        user_agent: String::new(),
        request_bytes: None,
        response_bytes: None,
        limit: None,
    };
    plan!(plans, logged_requests::insert(&tx, &[request.into()]));
    let any = RequestFilter::default;
    plan!(plans, "of all", logged_requests::list(&tx, &any(), Start::After(9), limit));
    let failed = RequestFilter { outcome: Some(Outcome::ServerError), ..any() };
    plan!(plans, "by outcome", logged_requests::list(&tx, &failed, Start::Offset(0), limit));
    let of_key = RequestFilter { key_id: Some(key.id), ..any() };
    plan!(plans, "by key", logged_requests::list(&tx, &of_key, Start::Before(9), limit));
    let by_path = RequestFilter { path: Some("/v1".into()), ..any() };
    plan!(plans, "by path", logged_requests::list(&tx, &by_path, Start::Offset(0), limit));
    plan!(plans, logged_requests::find(&tx, "req"));
    plan!(plans, logged_requests::oldest(&tx));
    plan!(plans, logged_requests::sweep(&tx, 100, now));

    plan!(plans, settings::set(&tx, "api.dialect", "native", now));
    plan!(plans, settings::find(&tx, "api.dialect"));
    plan!(plans, settings::list(&tx));

    let happening = Happening::new("user.created", "user", user.id, "Ada");
    plan!(plans, audit_events::append(&tx, &Caller::system(), now, Some(account.id), &happening));
    plan!(plans, audit_events::is_empty(&tx));
    plan!(plans, audit_events::head(&tx));
    let any = AuditFilter::default;
    let newest_of = |filter: AuditFilter| (filter, (Start::After(9), newest, limit));
    for (words, (filter, place)) in [
        ("of all", newest_of(any())),
        ("by actor", newest_of(AuditFilter { actor: Some(ActorFilter::Id(user.id.to_string())), ..any() })),
        ("by the command line", newest_of(AuditFilter { actor: Some(ActorFilter::CommandLine), ..any() })),
        ("by action", newest_of(AuditFilter { action: Some("user.created".into()), ..any() })),
        ("by target", newest_of(AuditFilter { target: Some(user.id.to_string()), ..any() })),
        ("by account", newest_of(AuditFilter { account: Some(account.id), ..any() })),
        ("by request", newest_of(AuditFilter { request_id: Some("req".into()), ..any() })),
        ("by id", newest_of(AuditFilter { id: Some(AuditEventId::new()), ..any() })),
        ("by time", newest_of(AuditFilter { since: Some(now), before: Some(later), ..any() })),
    ] {
        RAN.take();
        store::audit_events::list(&tx, &filter, place).expect("runs");
        plans.of(&format!("audit_events::list {words}"));
    }
    plan!(plans, "oldest first", audit_events::list(&tx, &any(), (Start::Before(9), oldest, limit)));
    plan!(plans, audit_events::find(&tx, AuditEventId::new()));
    plan!(plans, audit_events::earliest(&tx));
    plan!(plans, audit_events::hash_at(&tx, 1));
    plan!(plans, audit_events::verify(&tx, Head::START, 100));

    plan!(plans, users::delete(&tx, user.id));
    plan!(plans, "when no account has it", tiers::delete(&tx, "Nobody's"));
    plans.text
}

#[test]
fn every_statement_finds_its_rows_as_it_did() {
    insta::assert_snapshot!(explain());
}

#[test]
fn nothing_scans_a_table_that_grows_with_the_customers() {
    const GROWING: &[&str] =
        &["users", "k", "api_keys", "s", "key_secrets", "old", "sessions", "idempotency_keys", "audit_events", "form_nonces"];
    /// Sessions and forms are swept whole every ten minutes, and are few. Of the history the first or the last row alone is read.
    /// The keys in use are counted once, for the person who is about to switch the dialect for all of them.
    const KNOWN: &[&str] = &[
        "sessions::sweep",
        "setup::sweep",
        "audit_events::append",
        "audit_events::head",
        "audit_events::earliest",
        "api_keys::count_used_since",
    ];
    let plans = explain();
    let mut function = "";
    for line in plans.lines() {
        if !line.starts_with(' ') {
            function = line.trim();
        }
        let scans = GROWING.iter().any(|table| line.trim() == format!("SCAN {table}"));
        assert!(!scans || KNOWN.contains(&function), "{function}: {line}");
    }
}

#[test]
fn every_function_of_the_store_is_explained() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let here = include_str!("store_plans.rs");
    for entry in std::fs::read_dir(dir).expect("the store") {
        let path = entry.expect("an entry").path();
        let module = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if !path.is_file() || ["mod", "migrate", "lists", "actors", "backups"].contains(&module.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a text");
        let functions = text.lines().filter_map(|line| line.strip_prefix("pub fn ")?.split_once('('));
        for (function, arguments) in functions {
            let takes_rows =
                ["conn: &Connection", "tx: &Transaction"].iter().any(|door| arguments.starts_with(door)) || arguments.is_empty();
            let called = here.contains(&format!("{module}::{function}(&tx"));
            assert!(called || !takes_rows, "explain {module}::{function} in store_plans.rs");
        }
    }
}
