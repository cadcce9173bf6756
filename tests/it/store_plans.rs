//! How SQLite finds the rows of every statement: a snapshot, so that a new table scan shows in review.

use std::cell::RefCell;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use keyrack::crypto::SecretHash;
use keyrack::model::account::{AccountStatus, NewAccount, Source};
use keyrack::model::api_key::{KeyStatus, LastUse};
use keyrack::model::audit_event::{ActorFilter, AuditFilter, Happening, Head};
use keyrack::model::caller::{Actor, Caller};
use keyrack::model::clock::Timestamp;
use keyrack::model::dialect::default_tiers;
use keyrack::model::email::Email;
use keyrack::model::grant::Granted;
use keyrack::model::ids::{AccountId, AuditEventId, SessionId, WebhookId};
use keyrack::model::key_view::{KeySort, KeySought, KeyView};
use keyrack::model::name::Name;
use keyrack::model::network::Network;
use keyrack::model::notice::NoticeKind;
use keyrack::model::oauth_client::ClientKind;
use keyrack::model::page::{Limit, Order, Start};
use keyrack::model::password_link::{LinkKind, Pending};
use keyrack::model::redirect_uri::RedirectUri;
use keyrack::model::request::{LoggedRequest, RequestFilter};
use keyrack::model::scope::ScopeSet;
use keyrack::model::service::{Checks, ServiceName, ServiceRow};
use keyrack::model::session::Session;
use keyrack::model::usage::{Outcome, Span, Subject, Tally, UsageRow};
use keyrack::model::user::{Role, UserStatus, UserText};
use keyrack::model::webhook::{Attempt, DeliveryStatus, EventId, EventType, EventTypes, Outcome as Told};
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
    plan!(plans, accounts::counts(&tx, account.id));
    plan!(plans, accounts::delete(&tx, AccountId::new()));
    let all = store::accounts::Filter::default;
    plan!(plans, "of all", accounts::list(&tx, &all(), (Start::After(account.id), newest, limit)));
    for limits in [Source::Tier("Free".into()), Source::Default, Source::Own] {
        let filter = store::accounts::Filter { limits: Some(limits), ..all() };
        plan!(plans, "by limits", accounts::list(&tx, &filter, (Start::Offset(0), newest, limit)));
    }
    let filter = store::accounts::Filter { status: Some(AccountStatus::Suspended), ..all() };
    plan!(plans, "suspended", accounts::list(&tx, &filter, (Start::Offset(0), newest, limit)));
    plan!(plans, "of all", accounts::list_by_name(&tx, &all(), (Start::After(account.id), oldest, limit)));
    let filter = store::accounts::Filter { q: Some("te".into()), ..all() };
    plan!(plans, "by q", accounts::list_by_name(&tx, &filter, (Start::Before(account.id), oldest, limit)));
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
    plan!(plans, users::has_password(&tx, user.id));
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

    for text in [UserText::Name, UserText::Email] {
        plan!(plans, "of all accounts", users::list_by(&tx, &all(), text, (Start::After(user.id), oldest, limit)));
        plan!(plans, "of one account", users::list_by(&tx, &mine(), text, (Start::After(user.id), newest, limit)));
        let filter = store::users::Filter { q: q(), status: Some(UserStatus::Disabled), ..all() };
        plan!(plans, "by q and status", users::list_by(&tx, &filter, text, (Start::Before(user.id), oldest, limit)));
        plan!(plans, "of all", users::search(&tx, &all(), "ada", text, (Start::After(user.id), oldest, limit)));
        plan!(plans, "of one account", users::search(&tx, &mine(), "ada", text, (Start::Before(user.id), newest, limit)));
    }
    let filter = store::users::Filter { status: Some(UserStatus::Disabled), ..mine() };
    plan!(plans, "disabled of one account", users::list(&tx, &filter, (Start::Offset(0), newest, limit)));
    let filter = store::users::Filter { role: Some(Role::Admin), ..mine() };
    plan!(plans, "admins of one account", users::list(&tx, &filter, (Start::Offset(0), newest, limit)));
    let filter = store::users::Filter { status: Some(UserStatus::Disabled), ..all() };
    plan!(plans, "disabled", users::list(&tx, &filter, (Start::Offset(0), newest, limit)));
    let filter = store::users::Filter { role: Some(Role::Admin), ..all() };
    plan!(plans, "admins", users::list(&tx, &filter, (Start::Offset(0), newest, limit)));
    let filter = store::users::Filter { invited: true, ..all() };
    plan!(plans, "invited", users::list(&tx, &filter, (Start::Offset(0), newest, limit)));

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
    let by_key = Caller { actor: Actor::Key(key.id), scopes: ScopeSet::EMPTY, ..Caller::command_line() };
    plan!(plans, actors::must_still_act(&tx, &by_key, now));
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
    let uses = [store::api_keys::Use { key_id: key.id, secret: hash("third"), count: 2, last }];
    plan!(plans, api_keys::note_uses(&tx, &uses));
    plan!(plans, api_keys::sweep(&tx, now));
    plan!(plans, api_keys::list_expiring(&tx, now, later, 5));
    plan!(plans, api_keys::list_unused(&tx, now, now, 5));
    plan!(plans, api_keys::count_active_users(&tx, now, 10));
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
    plan!(plans, found::clients(&tx, "re", 5));
    plan!(plans, found::webhooks(&tx, "hooks.", 5));
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
    plan!(plans, "of one user", key_views::list(&tx, Some(Whose::User(user.id)), (KeyView::Unused, KeySort::Newest), page, now));
    plan!(
        plans,
        "of one account",
        key_views::list(&tx, Some(Whose::Account(account.id)), (KeyView::All, KeySort::Newest), page, now)
    );
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
    plan!(plans, second_factors::set(&tx, user.id, b"sealed", 1));
    plan!(plans, second_factors::seed(&tx, user.id));
    plan!(plans, second_factors::use_step(&tx, user.id, 2));
    plan!(plans, second_factors::replace_codes(&tx, user.id, &[hash("code")]));
    plan!(plans, second_factors::use_code(&tx, user.id, hash("code"), now));
    plan!(plans, second_factors::codes_left(&tx, user.id));
    plan!(plans, second_factors::clear(&tx, user.id));
    plan!(plans, second_factors::begin(&tx, hash("half"), user.id, later));
    plan!(plans, second_factors::waiting(&tx, hash("half"), now, 5));
    plan!(plans, second_factors::try_once(&tx, hash("half"), now, 5));
    plan!(plans, second_factors::finish(&tx, hash("half")));
    plan!(plans, second_factors::end_all_of(&tx, user.id));
    plan!(plans, second_factors::sweep(&tx, now));
    plan!(plans, sessions::delete(&tx, hash("cookie")));
    plan!(plans, sessions::delete_of(&tx, user.id, session.id));
    plan!(plans, "but one", sessions::delete_all_of(&tx, user.id, Some(hash("another"))));
    plan!(plans, "each", sessions::delete_all_of(&tx, user.id, None));
    plan!(plans, sessions::sweep(&tx, now, now));

    let pending = Pending { kind: LinkKind::Invitation, created_at: now, expires_at: later };
    plan!(plans, password_links::set(&tx, user.id, hash("code"), &pending));
    plan!(plans, password_links::find(&tx, hash("code")));
    plan!(plans, password_links::find_of(&tx, user.id));
    plan!(plans, password_links::take(&tx, hash("code"), now));
    plan!(plans, password_links::delete_of(&tx, user.id));
    plan!(plans, password_links::sweep(&tx, now));

    plan!(plans, user_imports::insert(&tx, "code", "email", later));
    plan!(plans, user_imports::find(&tx, "code", now));
    plan!(plans, user_imports::take(&tx, "code", now));
    plan!(plans, user_imports::sweep(&tx, now));

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

    let uris = [RedirectUri::parse("https://app.example.com/cb").expect("an address")];
    let insert = store::oauth_clients::Insert {
        user_id: user.id,
        name: "Tool",
        kind: ClientKind::Confidential,
        redirect_uris: &uris,
        scopes: ScopeSet::default_for_keys(),
        secret: Some((hash("krs"), "krs_…1234")),
    };
    let client = plan!(plans, oauth_clients::insert(&tx, &insert, now));
    for q in [None, Some("rep"), Some(client.id.to_string().as_str())] {
        plan!(plans, oauth_clients::list(&tx, q, (Start::After(client.id), newest, limit)));
    }
    plan!(plans, oauth_clients::find(&tx, client.id));
    plan!(plans, oauth_clients::holder_of(&tx, hash("krs"), now));
    plan!(plans, oauth_clients::update(&tx, &client, now));
    plan!(plans, oauth_clients::rotate(&tx, client.id, (hash("krs2"), "krs_…5678"), Some(later), now));
    plan!(plans, oauth_clients::end_old_secret(&tx, client.id, now));
    plan!(plans, oauth_clients::sweep(&tx, now));
    let insert = |user_id| store::grants::Insert {
        client_id: client.id,
        user_id,
        account_id: account.id,
        scopes: ScopeSet::default_for_keys(),
    };
    let grant = plan!(plans, grants::insert(&tx, &insert(Some(user.id)), now));
    plan!(plans, "a client's own", grants::insert(&tx, &insert(None), now));
    let all = store::grants::Filter::default;
    plan!(plans, "of everyone", grants::list(&tx, all(), (Start::After(grant), oldest, limit)));
    let filter = store::grants::Filter { account: Some(account.id), ..all() };
    plan!(plans, "of an account", grants::list(&tx, filter, (Start::After(grant), oldest, limit)));
    let filter = store::grants::Filter { user: Some(user.id), ..all() };
    plan!(plans, "of a user", grants::list(&tx, filter, (Start::After(grant), newest, limit)));
    let filter = store::grants::Filter { client: Some(client.id), ..all() };
    plan!(plans, "of a client", grants::list(&tx, filter, (Start::After(grant), newest, limit)));
    plan!(plans, grants::find(&tx, grant));
    plan!(plans, grants::find_of(&tx, client.id, user.id));
    plan!(plans, grants::find_own(&tx, client.id));
    plan!(plans, grants::list_of_user(&tx, user.id));
    plan!(plans, grants::list_of_client(&tx, client.id));
    plan!(plans, grants::set_scopes(&tx, grant, ScopeSet::default_for_keys(), now));
    plan!(plans, grants::note_uses(&tx, &[(grant, now, None)]));
    let granted = Granted::all(ScopeSet::default_for_keys());
    let code = store::oauth_codes::Code {
        grant_id: grant,
        redirect_uri: "https://app.example.com/cb".into(),
        redirect_sent: true,
        challenge: None,
        granted: granted.clone(),
    };
    plan!(plans, oauth_codes::insert(&tx, hash("krc"), client.id, &code, now, later));
    plan!(plans, oauth_codes::exists(&tx, hash("krc")));
    plan!(plans, oauth_codes::redeem(&tx, hash("krc"), client.id, now));
    plan!(plans, oauth_codes::find_used(&tx, hash("krc"), client.id));
    plan!(plans, oauth_codes::sweep(&tx, now));
    let insert = store::oauth_tokens::Insert {
        hash: hash("krr"),
        kind: store::oauth_tokens::Kind::Refresh,
        grant_id: grant,
        family: hash("krc"),
        parent: None,
        granted: &granted,
        began_at: now,
        expires_at: later,
    };
    plan!(plans, oauth_tokens::insert(&tx, &insert, now));
    plan!(plans, oauth_tokens::find_presented(&tx, hash("kro")));
    plan!(plans, oauth_tokens::find(&tx, hash("krr")));
    plan!(plans, oauth_tokens::rotate(&tx, hash("krr"), now));
    plan!(plans, oauth_tokens::retry(&tx, hash("krr"), now, now));
    plan!(plans, oauth_tokens::delete(&tx, hash("krr")));
    plan!(plans, oauth_tokens::delete_family(&tx, hash("krc")));
    plan!(plans, oauth_tokens::sweep(&tx, now));
    plan!(plans, grants::delete(&tx, grant));
    plan!(plans, oauth_clients::delete(&tx, client.id));

    let happening = Happening::new("user.created", "user", user.id, "Ada");
    plan!(plans, audit_events::append(&tx, &Caller::system(), now, Some(account.id), &happening));
    plan!(plans, audit_events::is_empty(&tx));
    plan!(plans, audit_events::list_concerning(&tx, &user.id.to_string(), None, 50));
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

    let events = EventTypes::parse(["user.created"]).expect("events");
    let insert = store::webhooks::Insert {
        id: WebhookId::new(),
        account_id: Some(account.id),
        url: "https://example.com/",
        events,
        secret: &[],
    };
    let webhook = plan!(plans, webhooks::insert(&tx, &insert, now));
    plan!(plans, webhooks::find(&tx, webhook.id));
    plan!(plans, "of all", webhooks::list(&tx, None, (Start::Offset(0), oldest, limit)));
    plan!(plans, "of one account", webhooks::list(&tx, Some(account.id), (Start::After(webhook.id), oldest, limit)));
    plan!(plans, "of one account", webhooks::count(&tx, Some(account.id)));
    plan!(plans, "of every account", webhooks::count(&tx, None));
    plan!(plans, webhooks::list_failing(&tx, 5));
    plan!(plans, webhooks::count_failing(&tx));
    plan!(plans, webhooks::update(&tx, &webhook, now));
    plan!(plans, webhooks::secrets(&tx, webhook.id, now));
    plan!(plans, webhooks::rotate(&tx, webhook.id, &[], Some(later), now));
    plan!(plans, webhooks::sweep(&tx, now));
    plan!(plans, webhooks::listening(&tx, Some(account.id), EventType::UserCreated));
    plan!(plans, webhooks::has_any(&tx));
    let standing = plan!(plans, webhooks::standing(&tx, webhook.id)).expect("a webhook");
    plan!(plans, webhooks::set_standing(&tx, webhook.id, &standing));
    plan!(plans, webhooks::queue(&tx, webhook.id, now));
    plan!(plans, webhooks::requeue(&tx, webhook.id));
    for failing in [false, true] {
        plan!(plans, webhooks::list_due(&tx, failing, now, 10));
        plan!(plans, webhooks::next_due_at(&tx, failing, now));
    }
    plan!(plans, webhooks::tell_exceeded(&tx, account.id, 60, later, now));
    plan!(plans, webhooks::sweep_exceeded(&tx, now));
    let event =
        store::webhook_events::Event { id: EventId::new(), kind: EventType::UserCreated, account: Some(account.id), at: now };
    plan!(plans, webhook_events::store(&tx, &event, || serde_json::json!({})));
    let test = EventId::new();
    plan!(plans, webhook_events::insert(&tx, test, EventType::TEST, &serde_json::json!({}), now));
    plan!(plans, webhook_events::body(&tx, test));
    let delivery = plan!(plans, deliveries::insert(&tx, webhook.id, test, None, now));
    for status in [None, Some(DeliveryStatus::Failed)] {
        let filter = store::deliveries::Filter { webhook: webhook.id, status };
        plan!(plans, deliveries::list(&tx, &filter, (Start::After(delivery), newest, limit)));
    }
    plan!(plans, deliveries::find(&tx, delivery));
    plan!(plans, deliveries::attempts(&tx, delivery));
    plan!(plans, deliveries::next_of(&tx, webhook.id, now));
    let outcome = Told { at: now, response_code: None, response_time_ms: 1, error: None };
    let attempt = Attempt {
        number: 0,
        url: String::new(),
        signature: String::new(),
        outcome: outcome.clone(),
        content_type: None,
        excerpt: None,
    };
    plan!(plans, deliveries::insert_attempt(&tx, delivery, &attempt));
    plan!(plans, deliveries::settle(&tx, delivery, DeliveryStatus::Failed, None, &outcome));
    plan!(plans, deliveries::replay(&tx, delivery, now));
    plan!(plans, deliveries::replay_failed(&tx, webhook.id, now, now));
    plan!(plans, deliveries::counts(&tx, webhook.id));
    plan!(plans, deliveries::count_waiting(&tx));
    plan!(plans, deliveries::give_up(&tx, webhook.id));
    plan!(plans, webhook_events::sweep(&tx, later, 10));
    plan!(plans, webhooks::delete(&tx, webhook.id));
    plan!(plans, api_keys::list_to_tell(&tx, Duration::from_secs(1), now, 5));
    plan!(plans, api_keys::mark_told(&tx, &key, Duration::from_secs(1)));

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
    const GROWING: &[&str] = &[
        "users",
        "k",
        "api_keys",
        "s",
        "key_secrets",
        "old",
        "sessions",
        "idempotency_keys",
        "audit_events",
        "form_nonces",
        "webhook_events",
        "webhook_deliveries",
        "d",
        "e",
        "g",
        "oauth_grants",
        "oauth_codes",
        "x",
        "oauth_tokens",
        "next",
    ];
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
