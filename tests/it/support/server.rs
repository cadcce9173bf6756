//! One real server on a temporary directory and a free port, with a clock that stands still until it is moved.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use keyrack::app::App;
use keyrack::config::Config;
use keyrack::model::account::NewAccount;
use keyrack::model::api_key::NewApiKey;
use keyrack::model::caller::Caller;
use keyrack::model::clock::{Clock, Timestamp};
use keyrack::model::email::Email;
use keyrack::model::ids::{AccountId, UserId};
use keyrack::model::name::Name;
use keyrack::model::scope::{Scope, ScopeSet};
use keyrack::model::user::{NewUser, Password, Role, User};
use keyrack::services;
use keyrack::services::idempotency::Keep;

use super::Client;

pub struct TestServer {
    pub app: Arc<App>,
    pub clock: Clock,
    pub addr: SocketAddr,
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
        let app = Arc::new(App::open(&dir.path().join("data"), config.clone(), clock.clone()).expect("opens"));
        services::setup::seed(&app).await.expect("seeds");
        services::maintenance::restore_windows(&app).await.expect("restores");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let server = keyrack::http::server(app.clone(), listener).expect("a server");
        let handle = server.handle();
        // A runtime of its own: the test's ends with the test's first panic, and would take the server along.
        std::thread::spawn(move || actix_web::rt::System::new().block_on(server));
        Self { app, clock, addr, dir, config, handle }
    }

    /// Stops as SIGTERM does and starts again on the same data.
    pub async fn restart(self) -> Self {
        self.handle.stop(true).await;
        services::maintenance::flush(&self.app).await.expect("flushes");
        let (dir, config, clock) = (self.dir.clone(), self.config.clone(), self.clock.clone());
        drop(self);
        Self::on(dir, config, clock).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    /// Somebody without a credential.
    pub fn anonymous(&self) -> Client {
        Client::new(self.addr, None)
    }

    pub fn with_secret(&self, secret: &str) -> Client {
        Client::new(self.addr, Some(secret))
    }

    /// A key of a new member in an account of its own.
    pub async fn key(&self, scopes: &[Scope]) -> Client {
        let account = self.account("Team").await;
        let user = self.user_in(account, Role::Member).await;
        self.key_of(&user, scopes).await
    }

    /// A key that may do everything.
    pub async fn admin(&self) -> Client {
        let account = self.account("Operators").await;
        let user = self.user_in(account, Role::Admin).await;
        self.key_of(&user, &[Scope::Admin]).await
    }

    /// A new account; its name is made unique.
    pub async fn account(&self, name: &str) -> AccountId {
        let name = Name::parse(&format!("{name} {}", AccountId::new())).expect("a name");
        let new = NewAccount { name, tier: None };
        services::accounts::create(&self.app, &Caller::command_line(), new).await.expect("an account").id
    }

    /// A new user, `securepassword123`.
    pub async fn user_in(&self, account: AccountId, role: Role) -> User {
        let new = NewUser {
            name: Name::parse("Ada Lovelace").expect("a name"),
            email: Email::parse(&format!("{}@example.com", UserId::new())).expect("an address"),
            password: Some(Password::typed("securepassword123")),
            account_id: Some(account),
            role,
            time_zone: None,
        };
        services::users::create(&self.app, &Caller::command_line(), new, Keep::nothing()).await.expect("a user")
    }

    pub async fn key_of(&self, user: &User, scopes: &[Scope]) -> Client {
        let new = NewApiKey {
            name: Name::parse("test").expect("a name"),
            user_id: Some(user.id),
            scopes: ScopeSet::of(scopes).into(),
            expiry: Default::default(),
            ip_allow: Default::default(),
            windows: Default::default(),
            metadata: Default::default(),
        };
        let made = services::api_keys::create(&self.app, &Caller::command_line(), new, Keep::nothing()).await;
        let (key, secret) = made.expect("a key");
        let mut client = self.with_secret(secret.expose());
        client.key_id = Some(key.id.to_string());
        client.user = Some(user.clone());
        client
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}
