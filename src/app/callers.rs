//! What is remembered of credentials that passed, so that a request touches memory alone; and the notice of changes
//! after which that must be looked up again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use smallvec::SmallVec;

use crate::crypto::SecretHash;
use crate::limits::rate::Counters;
use crate::limits::{Decision, rate};
use crate::model::account::AccountStatus;
use crate::model::api_key::{ApiKey, KeyStatus, LastUse, Metadata};
use crate::model::clock::{Tick, Timestamp};
use crate::model::ids::{AccountId, ClientId, GrantId};
use crate::model::network::Network;
use crate::model::scope::ScopeSet;
use crate::model::service::ServiceName;
use crate::model::tier::{Window, Windows};
use crate::model::user::{User, UserStatus};

/// A credential as it was when it was looked up, whether or not it works: its state depends on the time.
#[derive(Debug)]
pub struct Credential {
    pub found: Found,
    pub usage: Usage,
    pub written: Written,
    /// The changes of the account.
    changes: Arc<AtomicU64>,
    born: LookUp,
    /// In the cache.
    weight: u64,
}

/// What surfaces answer about a credential, written once for as long as its entry is kept.
#[derive(Debug, Default)]
pub struct Written {
    /// The answer of `/v1/users/me`, and its ETag.
    pub me: OnceLock<(Bytes, Bytes)>,
    /// The key in the state it had when this was written: time goes on, and may change that.
    pub key: OnceLock<(KeyStatus, Box<str>)>,
    /// The fields in which a check tells whose key it is.
    pub whose: OnceLock<Box<str>>,
    /// What a gateway is told about who it is, each ready for a header.
    pub identity: OnceLock<Vec<Bytes>>,
}

/// What a look-up found; [`Callers::remember`] makes the entry of it.
#[derive(Debug)]
pub struct Found {
    pub secret: SecretHash,
    pub bearer: Bearer,
    /// Whose it is: the owner of a key, the user who allowed a token. Of a client's own token, whoever registered the
    /// client, for whom it does not act.
    pub user: User,
    pub account: AccountFacts,
    /// What the credential may do and its user still may.
    pub scopes: ScopeSet,
    pub account_windows: Windows,
    pub account_counters: Arc<Counters>,
}

/// What was presented.
#[derive(Debug)]
pub enum Bearer {
    Key(Box<BearerKey>),
    Token(BearerToken),
}

#[derive(Debug)]
pub struct BearerKey {
    pub key: ApiKey,
    /// What stands before the part of the secret that is hashed; empty but for imported keys.
    pub strip_prefix: String,
    /// The end of this secret, if it is the older one of a rotation.
    pub secret_expires_at: Option<Timestamp>,
    pub counters: Option<Arc<Counters>>,
    /// What checks that this key asks for are counted under.
    pub service: ServiceName,
}

/// An access token.
#[derive(Debug)]
pub struct BearerToken {
    pub grant_id: GrantId,
    pub client_id: ClientId,
    pub client_name: String,
    /// The client's own: it acts for no user.
    pub is_own: bool,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// What is told of the account behind a credential.
#[derive(Debug)]
pub struct AccountFacts {
    pub name: String,
    pub tier: Option<String>,
    pub status: AccountStatus,
    /// What the operators noted on it.
    pub metadata: Metadata,
}

/// Whether a credential works, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Good,
    Revoked,
    Disabled,
    OwnerDisabled,
    AccountSuspended,
    Expired,
    /// An access token, and its time is over.
    TokenExpired,
    /// The older secret of a rotation whose overlap is over.
    Replaced,
}

impl std::ops::Deref for Credential {
    type Target = Found;

    fn deref(&self) -> &Found {
        &self.found
    }
}

impl Found {
    /// Time goes on while an entry is kept, so this is asked anew for each request.
    pub fn state(&self, now: Timestamp) -> State {
        let over = |end: Option<Timestamp>| end.is_some_and(|end| end <= now);
        match &self.bearer {
            Bearer::Key(bearer) if bearer.key.revoked_at.is_some() => return State::Revoked,
            Bearer::Key(bearer) if !bearer.key.enabled => return State::Disabled,
            _ => {}
        }
        if self.user.status != UserStatus::Active {
            return State::OwnerDisabled;
        }
        if self.account.status != AccountStatus::Active {
            return State::AccountSuspended;
        }
        match &self.bearer {
            Bearer::Key(bearer) if over(bearer.key.expires_at) => State::Expired,
            Bearer::Key(bearer) if over(bearer.secret_expires_at) => State::Replaced,
            Bearer::Token(token) if over(Some(token.expires_at)) => State::TokenExpired,
            _ => State::Good,
        }
    }

    /// The key, if it is one.
    pub fn key(&self) -> Option<&ApiKey> {
        match &self.bearer {
            Bearer::Key(bearer) => Some(&bearer.key),
            Bearer::Token(_) => None,
        }
    }

    /// What checks that this credential asks for are counted under.
    pub fn service(&self) -> &ServiceName {
        match &self.bearer {
            Bearer::Key(bearer) => &bearer.service,
            Bearer::Token(_) => &ServiceName::NONE,
        }
    }

    /// The user for whom it acts.
    pub fn acts_for(&self) -> Option<&User> {
        match &self.bearer {
            Bearer::Token(token) if token.is_own => None,
            _ => Some(&self.user),
        }
    }

    /// What stands before the part of the secret that is hashed.
    pub fn strip_prefix(&self) -> &str {
        match &self.bearer {
            Bearer::Key(bearer) => &bearer.strip_prefix,
            Bearer::Token(_) => "",
        }
    }

    /// Whether it may be used from this address.
    pub fn allows_from(&self, ip: IpAddr) -> bool {
        self.key().is_none_or(|key| key.ip_allow.allows(ip))
    }

    /// Decides `cost` over the windows of the account and of the key in one step; charges all of them or none.
    pub fn take(&self, cost: u64, now: Tick) -> Decision {
        rate::take(&self.account_counters, self.account_windows.as_slice(), self.of_key(), cost, now)
    }

    /// What [`Found::take`] would decide; charges nothing.
    pub fn peek(&self, cost: u64, now: Tick) -> Decision {
        rate::peek(&self.account_counters, self.account_windows.as_slice(), self.of_key(), cost, now)
    }

    fn of_key(&self) -> Option<(&Counters, &[Window])> {
        let Bearer::Key(bearer) = &self.bearer else { return None };
        bearer.counters.as_deref().map(|counters| (counters, bearer.key.windows.as_slice()))
    }
}

/// The uses of a credential, until they are written.
#[derive(Debug, Default)]
pub struct Usage {
    waits: AtomicBool,
    /// Uses since the last batch that found `noted` locked.
    beside: AtomicU64,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    /// Uses since the last batch.
    count: u64,
    last: Option<LastUse>,
    /// From where it was used since the last batch, as far as it is told apart.
    networks: SmallVec<[Network; 2]>,
}

/// Networks of one credential that are told apart in one batch.
const MOST_NETWORKS: usize = 8;

impl Noted {
    fn note_network(&mut self, ip: IpAddr) {
        let network = Network::of(ip);
        if !self.networks.contains(&network) && self.networks.len() < MOST_NETWORKS {
            self.networks.push(network);
        }
    }
}

/// A credential's latest use, and from where it was used since the last batch.
#[derive(Debug)]
pub struct Used {
    pub credential: Arc<Credential>,
    pub count: u64,
    pub last: LastUse,
    pub networks: SmallVec<[Network; 2]>,
}

/// The cache (docs/decisions/0006-quick-cache.md). A change to an account, its users or its keys makes every older entry of
/// that account stale at once; the entries need not be found for that.
pub struct Callers {
    cache: Cache<SecretHash, Arc<Credential>, Weight, RandomState>,
    /// Counts changes. An entry is good while nothing that concerns it changed after its look-up began.
    changes: AtomicU64,
    /// The number of the latest change that concerned everyone.
    of_all: AtomicU64,
    /// The number of the latest change of each account.
    of_account: RwLock<HashMap<AccountId, Arc<AtomicU64>, RandomState>>,
    used: Mutex<Vec<Arc<Credential>>>,
    /// What may stand before the hashed part of imported keys, and the number of changes before that was looked up.
    strip_prefixes: RwLock<Option<(u64, Arc<[String]>)>>,
}

/// In the weight of entries: one is 3 to 4 KB with its counters, and more where a key has much metadata.
const CAPACITY: usize = 200_000;
const SHARDS: usize = 64;
/// The longest that a missed notice could matter.
const TRUSTED: Duration = Duration::from_secs(5);
/// An entry that is no longer trusted keeps its place for the next look-up; when none comes, the sweep takes it out.
const KEPT: Duration = Duration::from_secs(60);

/// Whose remembered credentials a change makes stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concerns {
    Nobody,
    Account(AccountId),
    Everyone,
}

/// When a look-up began, and how many changes there had been in all.
#[derive(Clone, Copy, Debug)]
pub struct LookUp {
    at: Tick,
    changes: u64,
}

impl Callers {
    pub fn new() -> Self {
        // Many shards, so that a sweep holds up few requests at a time.
        let mut options = OptionsBuilder::new();
        options.estimated_items_capacity(CAPACITY).weight_capacity(CAPACITY as u64).shards(SHARDS);
        let options = options.build().expect("both capacities are given");
        Self {
            cache: Cache::with_options(options, Weight, RandomState::default(), DefaultLifecycle::default()),
            changes: AtomicU64::new(0),
            of_all: AtomicU64::new(0),
            of_account: RwLock::default(),
            used: Mutex::default(),
            strip_prefixes: RwLock::default(),
        }
    }

    pub fn get(&self, secret: &SecretHash, now: Tick) -> Option<Arc<Credential>> {
        let credential = self.cache.get(secret)?;
        let changed = credential.changes.load(SeqCst).max(self.of_all.load(SeqCst));
        (changed <= credential.born.changes && now.since(credential.born.at) < TRUSTED).then_some(credential)
    }

    /// To be called before the database is read: what changes from here on makes the entry stale.
    pub fn look_up(&self, now: Tick) -> LookUp {
        LookUp { at: now, changes: self.changes.load(SeqCst) }
    }

    pub fn remember(&self, began: LookUp, found: Found) -> Arc<Credential> {
        let (secret, changes) = (found.secret, self.changes_of(found.user.account_id));
        let (usage, written) = Default::default();
        let weight = weight(&found);
        let credential = Arc::new(Credential { found, usage, written, changes, born: began, weight });
        self.cache.insert(secret, credential.clone());
        credential
    }

    /// None: to be looked up.
    pub fn strip_prefixes(&self) -> Option<Arc<[String]>> {
        let known = self.strip_prefixes.read();
        known.as_ref().filter(|(born, _)| self.of_all.load(SeqCst) <= *born).map(|(_, prefixes)| prefixes.clone())
    }

    pub fn remember_strip_prefixes(&self, began: LookUp, found: Arc<[String]>) -> Arc<[String]> {
        *self.strip_prefixes.write() = Some((began.changes, found.clone()));
        found
    }

    /// Something has changed, and the change is committed.
    pub fn forget(&self, concerns: Concerns) {
        if concerns == Concerns::Nobody {
            return;
        }
        let change = self.changes.fetch_add(1, SeqCst) + 1;
        match concerns {
            Concerns::Nobody => 0,
            Concerns::Account(account) => self.changes_of(account).fetch_max(change, SeqCst),
            Concerns::Everyone => self.of_all.fetch_max(change, SeqCst),
        };
    }

    fn changes_of(&self, account: AccountId) -> Arc<AtomicU64> {
        if let Some(changes) = self.of_account.read().get(&account) {
            return changes.clone();
        }
        let mut accounts = self.of_account.write();
        // Begins at the present number: a change while the account was not listed is not overlooked.
        let latest = || Arc::new(AtomicU64::new(self.changes.load(SeqCst)));
        accounts.entry(account).or_insert_with(latest).clone()
    }

    /// Notes a use; costs no look-up and no write.
    pub fn note_use(&self, credential: &Arc<Credential>, at: Timestamp, ip: Option<IpAddr>, user_agent: &str) {
        // Who finds it locked comes at the same moment as another: one of the two is as good as the latest.
        if let Some(mut noted) = credential.usage.noted.try_lock() {
            noted.count += 1;
            if let Some(ip) = ip {
                noted.note_network(ip);
            }
            match &mut noted.last {
                Some(last) if same(&last.user_agent, user_agent) => (last.at, last.ip) = (at, ip),
                slot => *slot = Some(LastUse { at, ip, user_agent: user_agent.chars().take(200).collect() }),
            }
        } else {
            credential.usage.beside.fetch_add(1, Relaxed);
        }
        if !credential.usage.waits.load(SeqCst) && !credential.usage.waits.swap(true, SeqCst) {
            self.used.lock().push(credential.clone());
        }
    }

    /// The uses noted since the last call.
    pub fn take_uses(&self) -> Vec<Used> {
        let used = std::mem::take(&mut *self.used.lock());
        let mut uses = Vec::with_capacity(used.len());
        for credential in used {
            credential.usage.waits.store(false, SeqCst);
            let mut noted = credential.usage.noted.lock();
            let Some(last) = noted.last.clone() else { continue };
            let networks = std::mem::take(&mut noted.networks);
            let count = std::mem::take(&mut noted.count) + credential.usage.beside.swap(0, Relaxed);
            drop(noted);
            uses.push(Used { credential, count, last, networks });
        }
        uses
    }

    /// Forgets the entries whose look-up is long ago.
    pub fn sweep(&self, now: Tick) {
        // Dropped when no lock is held.
        let over = RefCell::new(Vec::new());
        self.cache.retain(|_, credential| {
            let is_kept = now.since(credential.born.at) < KEPT;
            if !is_kept {
                over.borrow_mut().push(credential.clone());
            }
            is_kept
        });
    }

    /// Forgets the accounts that no entry needs.
    pub fn sweep_accounts(&self) {
        self.of_account.write().retain(|_, changes| Arc::strong_count(changes) > 1);
    }
}

/// Whether two texts are the same. Two of no length are, without comparing: an empty `String` points nowhere, and on processors
/// whose `memcmp` reads through a mask (AVX-512) nothing from there took 170 ns, more than a SHA-256 of a key.
pub fn same(a: &str, b: &str) -> bool {
    a.is_empty() && b.is_empty() || a == b
}

#[derive(Clone)]
struct Weight;

impl Weighter<SecretHash, Arc<Credential>> for Weight {
    fn weight(&self, _: &SecretHash, credential: &Arc<Credential>) -> u64 {
        credential.weight
    }
}

fn weight(found: &Found) -> u64 {
    let length = |metadata: &Metadata| if metadata.as_map().is_empty() { 0 } else { metadata.to_json().len() };
    let bytes = found.key().map_or(0, |key| length(&key.metadata)) + length(&found.account.metadata);
    1 + bytes as u64 / 512
}

impl Default for Callers {
    fn default() -> Self {
        Self::new()
    }
}
