//! What all requests share. Made once, at start.

pub mod callers;
pub mod certificate;
pub mod exceeded;
mod live;
pub mod master_key;
pub mod metrics;
pub mod outbound;
pub mod request_log;
pub mod spikes;
pub mod usage;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::config::Config;
use crate::crypto::secret::has_form;
use crate::crypto::{Passwords, Prefix};
use crate::limits::{Buckets, Budget, InFlight, RateLimits};
use crate::model::Result;
use crate::model::audit_event::Verified;
use crate::model::caller::Caller;
use crate::model::clock::{Clock, Tick, Timestamp};
use crate::model::dialect::DialectName;
use crate::model::health::Told;
use crate::model::tier::Window;
use crate::store::{self, idempotency_keys};
use crate::store::{OpenError, Store, Tx};
use crate::tls::Certificates;
use callers::{Callers, Concerns};
use exceeded::Exceeded;
pub use live::Live;
use master_key::MasterKeyFile;
use metrics::Metrics;
use outbound::Outbound;
use request_log::RequestLog;
use spikes::Spikes;
use usage::Usage;

pub struct App {
    pub store: Store,
    pub clock: Clock,
    pub config: Config,
    /// Settings given outside the database, with where: the dashboard cannot change those.
    pub fixed: BTreeMap<String, String>,
    pub live: Arc<Live>,
    pub passwords: Passwords,
    /// What TLS handshakes are answered with.
    pub certificates: Arc<Certificates>,
    pub master_key: MasterKeyFile,
    /// Held while a backup is made: one at a time.
    pub backing_up: tokio::sync::Mutex<()>,
    /// What valid credentials have used of their windows.
    pub rates: RateLimits,
    /// What requests without a valid credential have used, by address.
    pub anonymous: Buckets,
    /// Peers whose forwarding headers were ignored, so that the log names each of them once an hour.
    pub ignored_proxies: Buckets,
    pub guesses: Guesses,
    pub in_flight: InFlight,
    /// How far the audit log was last found sound; none until it was looked at.
    pub verified: Mutex<Option<Verified>>,
    /// What files that are imported take of the memory.
    pub imports: Budget,
    pub callers: Arc<Callers>,
    /// How many requests there were, until a batch writes it.
    pub usage: Usage,
    pub request_log: RequestLog,
    pub metrics: Metrics,
    pub started_at: Timestamp,
    /// When the database was last asked whether it takes a write, and its answer.
    pub probed: tokio::sync::Mutex<Option<(Tick, bool)>>,
    /// How the server was when the public was told last.
    pub told: Mutex<Option<Told>>,
    /// Limits that accounts have met, until a batch tells of them.
    pub exceeded: Exceeded,
    /// How this program calls others.
    pub outbound: Outbound,
    /// There may be something for webhooks to send.
    pub to_send: Notify,
    /// Refusals of the last hour: without a valid credential, and for a limit.
    pub spikes: Mutex<(Spikes, Spikes)>,
    /// The server is stopping: no new work should be sent to it.
    pub draining: Arc<AtomicBool>,
    /// Requests with an `Idempotency-Key` that are being worked on.
    pub in_progress: Mutex<HashSet<idempotency_keys::Request>>,
}

/// Two of the largest files at once. What is read of a file takes about twice its size.
const IMPORTS: usize = 64 << 20;

/// How often a person may fail, so that guessing is slow.
pub struct Guesses {
    /// Of one person, from one address or by one browser that is known.
    pub of_user_at: Buckets,
    /// From one address.
    pub of_address: Buckets,
    /// Of one person, by strangers wherever they are.
    pub of_user: Buckets,
    /// By all strangers together: fewer in an hour than `of_user` has room for, so that nobody can fill it up.
    pub of_everyone: Buckets,
    /// Codes of setup links, by address of the client.
    pub of_setup: Buckets,
}

impl App {
    pub fn open(dir: &Path, config: Config, clock: Clock) -> Result<Self, OpenError> {
        Ok(Self::new(Store::open(dir)?, config, clock))
    }

    /// On a store that is open already, since part of the configuration may come from there.
    pub fn new(store: Store, config: Config, clock: Clock) -> Self {
        let limits = &config.limits;
        Self {
            anonymous: Buckets::new(Window::new(limits.anonymous_per_minute, 60)),
            ignored_proxies: Buckets::with_capacity(Window::new(1, 3_600), 256),
            guesses: Guesses {
                of_user_at: Buckets::new(Window::new(5, 60)),
                of_address: Buckets::new(Window::new(30, 60)),
                of_user: Buckets::new(Window::new(20, 3_600)),
                of_everyone: Buckets::with_capacity(Window::new(600, 60), 1),
                of_setup: Buckets::new(Window::new(10, 60)),
            },
            in_flight: InFlight::new(limits.max_concurrent, limits.max_queued, limits.queue_timeout),
            imports: Budget::new(IMPORTS),
            rates: RateLimits::new(),
            passwords: Passwords::new(std::thread::available_parallelism().map_or(2, usize::from)),
            callers: Arc::default(),
            certificates: Arc::default(),
            usage: Usage::default(),
            metrics: Metrics::default(),
            started_at: clock.now(),
            probed: tokio::sync::Mutex::default(),
            told: Mutex::default(),
            request_log: RequestLog::new(config.log.request_log_sample),
            backing_up: tokio::sync::Mutex::default(),
            draining: Arc::default(),
            exceeded: Exceeded::default(),
            outbound: Outbound::new(config.webhooks.allow_private_targets),
            to_send: Notify::new(),
            spikes: Mutex::default(),
            in_progress: Mutex::default(),
            verified: Mutex::default(),
            fixed: BTreeMap::new(),
            live: Arc::new(Live::new(&config)),
            master_key: MasterKeyFile::beside(store.path()),
            store,
            clock,
            config,
        }
    }

    /// The dialect that is on. A request looks once, on arrival.
    pub fn dialect(&self) -> DialectName {
        self.live.dialect()
    }

    /// A change that somebody asks for: made only if they still may when its turn comes, and followed by forgetting, from
    /// the moment it is committed, whatever is remembered of those it concerns.
    pub async fn change<T: Send + 'static>(
        &self,
        caller: &Caller,
        work: impl FnOnce(&Tx) -> Result<T> + Send + 'static,
        concerns: impl FnOnce(&T) -> Concerns + Send + 'static,
    ) -> Result<T> {
        let (callers, by, now) = (self.callers.clone(), caller.clone(), self.clock.now());
        let work = move |tx: &Tx| {
            store::actors::must_still_act(tx, &by, now)?;
            work(tx)
        };
        let changed = self.store.write_then(work, move |changed| callers.forget(concerns(changed))).await;
        self.to_send.notify_one();
        changed
    }

    /// What the secret of a new key begins with.
    pub fn key_prefix(&self) -> Prefix {
        let dialects = || Prefix::parse(self.dialect().key_prefix()).expect("a dialect's prefix is well formed");
        self.config.api.key_prefix.clone().unwrap_or_else(dialects)
    }

    /// Whether a text looks like a secret that this program made: one of the prefixes, and then as many characters.
    pub fn has_own_form(&self, text: &str) -> bool {
        let dialects = DialectName::ALL.iter().map(|name| name.key_prefix());
        let configured = self.config.api.key_prefix.iter().map(Prefix::as_str);
        dialects.chain(configured).chain(Prefix::RESERVED.iter().copied()).any(|prefix| has_form(text, prefix))
    }

    /// How long an idempotency key is remembered.
    pub const IDEMPOTENCY: Duration = Duration::from_secs(24 * 60 * 60);
}
