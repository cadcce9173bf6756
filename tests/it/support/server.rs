//! One real server on a temporary directory and a free port, with a clock that stands still until it is moved.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use keyrack::app::App;
use keyrack::config::Config;
use keyrack::crypto::SecretHash;
use keyrack::crypto::secret::random_token;
use keyrack::model::account::{AccountChanges, NewAccount, Reason};
use keyrack::model::api_key::NewApiKey;
use keyrack::model::caller::Caller;
use keyrack::model::clock::{Clock, Timestamp};
use keyrack::model::email::Email;
use keyrack::model::ids::{AccountId, DeliveryId, SessionId, UserId, WebhookId};
use keyrack::model::name::Name;
use keyrack::model::page::{Limit, Order, Start};
use keyrack::model::revision::IfMatch;
use keyrack::model::scope::{Scope, ScopeSet};
use keyrack::model::session::{ELEVATED, Session};
use keyrack::model::target::Target;
use keyrack::model::tier::{Window, Windows};
use keyrack::model::user::{NewUser, Role, User, UserChanges, UserStatus};
use keyrack::model::webhook::{EventTypes, NewWebhook};
use keyrack::services;
use keyrack::services::idempotency::Keep;
use keyrack::store;

use super::Client;
use super::secrets::{Watch, note};

pub struct TestServer {
    /// Dropped while the files are still there.
    _watch: Watch,
    pub app: Arc<App>,
    pub clock: Clock,
    pub addr: SocketAddr,
    /// Where plain HTTP is spoken beside TLS.
    pub plain: Option<SocketAddr>,
    pub dir: Arc<tempfile::TempDir>,
    config: Config,
    handle: ServerHandle,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.server.workers = 1;
        configure(&mut config);
        let dir = Arc::new(tempfile::tempdir().expect("a directory"));
        let clock = Clock::set_to(Timestamp::parse("2026-11-22T10:00:00Z").expect("a time"));
        Self::on(dir, config, clock).await
    }

    async fn on(dir: Arc<tempfile::TempDir>, config: Config, clock: Clock) -> Self {
        Self::on_with(dir, config, clock, |_| {}).await
    }

    /// With settings that stand outside the database, each with its place.
    pub async fn with_fixed(fixed: &[(&str, &str)]) -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("a directory"));
        let fixed = fixed.iter().map(|&(name, place)| (name.to_owned(), place.to_owned())).collect();
        Self::on_with(dir, Config::default(), Clock::real(), |app| app.fixed = fixed).await
    }

    /// With what is no setting changed before it starts.
    pub async fn changed(configure: impl FnOnce(&mut Config), change: impl FnOnce(&mut App)) -> Self {
        let mut config = Config::default();
        config.server.workers = 1;
        configure(&mut config);
        let dir = Arc::new(tempfile::tempdir().expect("a directory"));
        let clock = Clock::set_to(Timestamp::parse("2026-11-22T10:00:00Z").expect("a time"));
        Self::on_with(dir, config, clock, change).await
    }

    async fn on_with(dir: Arc<tempfile::TempDir>, config: Config, clock: Clock, change: impl FnOnce(&mut App)) -> Self {
        let watch = Watch::over(&dir.path().join("data"));
        let mut app = App::open(&dir.path().join("data"), config.clone(), clock.clone()).expect("opens");
        // No test asks the network who somebody is.
        app.outbound.resolve = Box::new(|_, _| Box::pin(async { Ok(Vec::new()) }));
        change(&mut app);
        let app = Arc::new(app);
        services::setup::seed(&app).await.expect("seeds");
        services::maintenance::restore_windows(&app).await.expect("restores");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let plain = config.server.http_listen.map(|addr| TcpListener::bind(addr).expect("a port"));
        let plain_addr = plain.as_ref().map(|plain| plain.local_addr().expect("an address"));
        services::certificates::start(&app).expect("a certificate");
        let server = keyrack::http::server(app.clone(), listener, plain).expect("a server");
        let handle = server.handle();
        // A runtime of its own: the test's ends with the test's first panic, and would take the server along.
        std::thread::spawn(move || actix_web::rt::System::new().block_on(server));
        Self { _watch: watch, app, clock, addr, plain: plain_addr, dir, config, handle }
    }

    /// Stops as SIGTERM does and starts again on the same data.
    pub async fn restart(self) -> Self {
        self.restart_with(|_| {}).await
    }

    /// The same with another configuration.
    pub async fn restart_with(mut self, configure: impl FnOnce(&mut Config)) -> Self {
        configure(&mut self.config);
        self.handle.stop(true).await;
        self.flush().await;
        self.start_again().await
    }

    /// The same with something changed that is no setting.
    pub async fn restart_changed(self, change: impl FnOnce(&mut App)) -> Self {
        self.handle.stop(true).await;
        let (dir, config, clock) = (self.dir.clone(), self.config.clone(), self.clock.clone());
        drop(self);
        Self::on_with(dir, config, clock, change).await
    }

    /// Stops as a loss of power does, with nothing written on the way out, and starts again on the same data.
    pub async fn crash(self) -> Self {
        self.handle.stop(false).await;
        self.start_again().await
    }

    async fn start_again(self) -> Self {
        let (dir, config, clock) = (self.dir.clone(), self.config.clone(), self.clock.clone());
        drop(self);
        Self::on(dir, config, clock).await
    }

    /// What happens by itself every five seconds.
    pub async fn flush(&self) {
        services::maintenance::flush(&self.app).await.expect("flushes");
    }

    /// Sends what is due to webhooks, as the worker beside a server does.
    pub async fn deliver(&self) {
        services::webhooks::worker::Worker::new(self.app.clone()).drain().await.expect("sends");
    }

    /// Keeps every change waiting until what it gives is dropped.
    pub fn hold_writer(&self) -> Held {
        let (held, dropped) = std::sync::mpsc::channel();
        let app = self.app.clone();
        tokio::spawn(async move {
            let until_dropped = app.store.write(move |_| {
                dropped.recv().expect_err("nothing is ever sent");
                Ok(())
            });
            until_dropped.await
        });
        Held(held)
    }

    pub fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    pub fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    /// Somebody without a credential.
    pub fn anonymous(&self) -> Client {
        Client::new(self.addr, None).checked(&self.app)
    }

    /// The same, where plain HTTP is spoken beside TLS.
    pub fn anonymous_plain(&self) -> Client {
        Client::new(self.plain.expect("a server with http_listen"), None)
    }

    pub fn with_secret(&self, secret: &str) -> Client {
        note(&self.data(), secret);
        Client::new(self.addr, Some(secret)).checked(&self.app)
    }

    /// A key of a new member in an account of its own.
    pub async fn key(&self, scopes: &[Scope]) -> Client {
        let user = self.member().await;
        self.key_of(&user, scopes).await
    }

    /// The same with more said of the key.
    pub async fn key_with(&self, scopes: &[Scope], more: impl FnOnce(&mut NewApiKey)) -> Client {
        let user = self.member().await;
        self.key_of_with(&user, scopes, more).await
    }

    /// A key of a new member in an account that has these windows, each as limit and seconds.
    pub async fn key_within(&self, scopes: &[Scope], windows: &[(u64, u32)]) -> Client {
        let key = self.key(scopes).await;
        self.set_windows(&key, windows).await;
        key
    }

    /// A key that may do everything.
    pub async fn admin(&self) -> Client {
        let account = self.account("Operators").await;
        let user = self.user_in(account, Role::Admin).await;
        self.key_of(&user, &[Scope::Admin]).await
    }

    /// A new member in an account of their own.
    pub async fn member(&self) -> User {
        let account = self.account("Team").await;
        self.user_in(account, Role::Member).await
    }

    /// Another member of the same account.
    pub async fn colleague_of(&self, user: &User) -> User {
        self.user_in(user.account_id, Role::Member).await
    }

    /// Gives the account of a key windows of its own.
    pub async fn set_windows(&self, key: &Client, windows: &[(u64, u32)]) {
        let (windows, reason) = (Some(Some(windows_of(windows))), Reason::parse("trusted sender").ok());
        self.change_account(key, AccountChanges { windows, reason, ..Default::default() }).await;
    }

    pub async fn set_tier(&self, key: &Client, tier: &str) {
        self.change_account(key, AccountChanges { tier: Some(Some(tier.into())), ..Default::default() }).await;
    }

    /// Changes the account of a key.
    pub async fn change_account(&self, key: &Client, changes: AccountChanges) {
        let account = key.user().account_id;
        services::accounts::update(&self.app, &Caller::command_line(), account, changes).await.expect("changes");
    }

    pub async fn set_status(&self, user: &User, status: UserStatus) {
        let changes = UserChanges { status: Some(status), ..Default::default() };
        let operator = Caller::command_line();
        services::users::update(&self.app, &operator, user.id, changes, IfMatch::ANY).await.expect("changes");
    }

    /// A browser in which this user is signed in.
    pub async fn browser(&self, user: &User) -> Client {
        let cookie = self.browser_cookie(user).await;
        self.anonymous().header("Cookie", &cookie).header("Accept", "text/html")
    }

    /// The cookie of a session of this user.
    pub async fn browser_cookie(&self, user: &User) -> String {
        format!("sid={}", self.session_token(user).await)
    }

    /// What the cookie of a new session holds.
    pub async fn session_token(&self, user: &User) -> String {
        let (token, now) = (random_token(), self.clock.now());
        let session = Session {
            id: SessionId::new(),
            user_id: user.id,
            created_at: now,
            last_seen_at: now,
            expires_at: now.saturating_add(super::DAY),
            elevated_until: now.saturating_add(ELEVATED),
            ip: None,
            user_agent: "test".into(),
        };
        note(&self.data(), &token);
        let hash = SecretHash::of(&token);
        self.app.store.write(move |tx| store::sessions::insert(tx, hash, &session)).await.expect("a session");
        token.to_string()
    }

    /// A webhook of this user's account, and an event on its way to it.
    pub async fn webhook_of(&self, user: &User) -> (WebhookId, DeliveryId) {
        let operator = Caller::command_line();
        let new = NewWebhook {
            url: Target::parse("https://hooks.example.com/", false).expect("a target"),
            events: EventTypes::parse(["user.created"]).expect("events"),
            account_id: Some(user.account_id),
        };
        let made = services::webhooks::create(&self.app, &operator, new, None, Keep::nothing()).await;
        let id = made.expect("a webhook").0.id;
        self.user_in(user.account_id, Role::Member).await;
        let first = (Start::Offset(0), Order::OldestFirst, Limit::of(1));
        let sent = services::webhooks::deliveries::list(&self.app, &operator, id, None, first).await.expect("a list");
        (id, sent.rows[0].id)
    }

    /// A new account; its name is made unique.
    pub async fn account(&self, name: &str) -> AccountId {
        let name = Name::parse(&format!("{name} {}", AccountId::new())).expect("a name");
        let new = NewAccount { name, tier: None };
        services::accounts::create(&self.app, &Caller::command_line(), new).await.expect("an account").id
    }

    /// A new user, without a password: hashing one takes longer than most tests.
    pub async fn user_in(&self, account: AccountId, role: Role) -> User {
        self.user_with(account, role, |_| {}).await
    }

    /// The same with more said of the user.
    pub async fn user_with(&self, account: AccountId, role: Role, more: impl FnOnce(&mut NewUser)) -> User {
        let mut new = NewUser {
            name: Name::parse("Ada Lovelace").expect("a name"),
            email: Email::parse(&format!("{}@example.com", UserId::new())).expect("an address"),
            password: None,
            account_id: Some(account),
            role,
            time_zone: None,
        };
        more(&mut new);
        services::users::create(&self.app, &Caller::command_line(), new, Keep::nothing()).await.expect("a user")
    }

    pub async fn key_of(&self, user: &User, scopes: &[Scope]) -> Client {
        self.key_of_with(user, scopes, |_| {}).await
    }

    pub async fn key_of_with(&self, user: &User, scopes: &[Scope], more: impl FnOnce(&mut NewApiKey)) -> Client {
        let mut new = NewApiKey {
            name: Name::parse("test").expect("a name"),
            user_id: Some(user.id),
            scopes: ScopeSet::of(scopes).into(),
            expiry: Default::default(),
            ip_allow: Default::default(),
            windows: Default::default(),
            metadata: Default::default(),
        };
        more(&mut new);
        let made = services::api_keys::create(&self.app, &Caller::command_line(), new, Keep::nothing()).await;
        let (key, secret) = made.expect("a key");
        let mut client = self.with_secret(secret.expose());
        client.key_id = Some(key.id.to_string());
        client.user = Some(user.clone());
        client
    }
}

/// While it is there, no change is committed.
#[must_use]
pub struct Held(#[allow(dead_code)] std::sync::mpsc::Sender<()>);

/// Windows, each as limit and seconds.
pub fn windows_of(windows: &[(u64, u32)]) -> Windows {
    Windows::new(windows.iter().map(|&(limit, seconds)| Window::new(limit, seconds)).collect()).expect("windows")
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}
