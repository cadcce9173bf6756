//! What is remembered of credentials that passed, so that a request touches memory alone; and the notice of changes
//! after which that must be looked up again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::{Mutex, RwLock};

use crate::crypto::SecretHash;
use crate::limits::rate::Counters;
use crate::model::api_key::{IpAllow, LastUse};
use crate::model::clock::Timestamp;
use crate::model::ids::{AccountId, ApiKeyId};
use crate::model::scope::ScopeSet;
use crate::model::tier::Windows;
use crate::model::user::User;

/// A credential as it was when it was looked up.
#[derive(Debug)]
pub struct Credential {
    pub secret: SecretHash,
    pub key_id: ApiKeyId,
    pub user: User,
    /// What the key may do and its owner still may.
    pub scopes: ScopeSet,
    pub ip_allow: IpAllow,
    /// The key's end.
    pub expires_at: Option<Timestamp>,
    /// The end of this secret, if it is the older one of a rotation.
    pub secret_expires_at: Option<Timestamp>,
    pub account_windows: Windows,
    pub account_counters: Arc<Counters>,
    pub key_windows: Windows,
    pub key_counters: Option<Arc<Counters>>,
    pub usage: Usage,
    /// What a surface answers about the user, written once for as long as the entry is kept.
    pub own_user_body: OnceLock<String>,
    /// The changes of the account, and how many there were in all before the look-up.
    changes: Arc<AtomicU64>,
    born: u64,
}

/// The latest use of a credential, until it is written.
#[derive(Debug, Default)]
pub struct Usage {
    waits: AtomicBool,
    last: Mutex<Option<LastUse>>,
}

/// The cache. A change to an account, its users or its keys makes every older entry of that account stale at once; the
/// entries need not be found for that.
pub struct Callers {
    cache: Cache<SecretHash, Arc<Credential>>,
    /// Counts changes. An entry is good while nothing that concerns it changed after its look-up began.
    changes: AtomicU64,
    /// The number of the latest change that concerned everyone.
    of_all: AtomicU64,
    /// The number of the latest change of each account.
    of_account: RwLock<HashMap<AccountId, Arc<AtomicU64>>>,
    used: Mutex<Vec<Arc<Credential>>>,
}

/// An entry costs about 1 KB.
const CAPACITY: u64 = 200_000;
/// The longest that a missed notice could matter.
const TTL: Duration = Duration::from_secs(5);

/// Whose remembered credentials a change makes stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concerns {
    Nobody,
    Account(AccountId),
    Everyone,
}

/// The number of changes when a look-up began.
#[derive(Clone, Copy)]
pub struct LookUp(u64);

/// What a look-up found; [`Callers::remember`] makes the entry of it.
pub struct Found {
    pub secret: SecretHash,
    pub key_id: ApiKeyId,
    pub user: User,
    pub scopes: ScopeSet,
    pub ip_allow: IpAllow,
    pub expires_at: Option<Timestamp>,
    pub secret_expires_at: Option<Timestamp>,
    pub account_windows: Windows,
    pub account_counters: Arc<Counters>,
    pub key_windows: Windows,
    pub key_counters: Option<Arc<Counters>>,
}

impl Callers {
    pub fn new() -> Self {
        Self {
            cache: Cache::builder().max_capacity(CAPACITY).time_to_live(TTL).build(),
            changes: AtomicU64::new(0),
            of_all: AtomicU64::new(0),
            of_account: RwLock::default(),
            used: Mutex::default(),
        }
    }

    pub fn get(&self, secret: &SecretHash) -> Option<Arc<Credential>> {
        let credential = self.cache.get(secret)?;
        let changed = credential.changes.load(SeqCst).max(self.of_all.load(SeqCst));
        (changed <= credential.born).then_some(credential)
    }

    /// To be called before the database is read: what changes from here on makes the entry stale.
    pub fn look_up(&self) -> LookUp {
        LookUp(self.changes.load(SeqCst))
    }

    pub fn remember(&self, began: LookUp, found: Found) -> Arc<Credential> {
        let Found { secret, key_id, user, scopes, ip_allow, expires_at, secret_expires_at, .. } = found;
        let credential = Arc::new(Credential {
            changes: self.changes_of(user.account_id),
            born: began.0,
            secret,
            key_id,
            user,
            scopes,
            ip_allow,
            expires_at,
            secret_expires_at,
            account_windows: found.account_windows,
            account_counters: found.account_counters,
            key_windows: found.key_windows,
            key_counters: found.key_counters,
            usage: Usage::default(),
            own_user_body: OnceLock::new(),
        });
        self.cache.insert(secret, credential.clone());
        credential
    }

    /// Something has changed, and the change is committed.
    pub fn forget(&self, concerns: Concerns) {
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
        if let Some(mut last) = credential.usage.last.try_lock() {
            match &mut *last {
                Some(last) if last.user_agent == user_agent => (last.at, last.ip) = (at, ip),
                slot => *slot = Some(LastUse { at, ip, user_agent: user_agent.chars().take(200).collect() }),
            }
        }
        if !credential.usage.waits.load(SeqCst) && !credential.usage.waits.swap(true, SeqCst) {
            self.used.lock().push(credential.clone());
        }
    }

    /// The uses noted since the last call.
    pub fn take_uses(&self) -> Vec<(ApiKeyId, SecretHash, LastUse)> {
        let used = std::mem::take(&mut *self.used.lock());
        let mut uses = Vec::with_capacity(used.len());
        for credential in used {
            credential.usage.waits.store(false, SeqCst);
            if let Some(last) = credential.usage.last.lock().clone() {
                uses.push((credential.key_id, credential.secret, last));
            }
        }
        uses
    }

    /// Forgets the accounts that no entry needs.
    pub fn sweep(&self) {
        self.cache.run_pending_tasks();
        self.of_account.write().retain(|_, changes| Arc::strong_count(changes) > 1);
    }
}

impl Default for Callers {
    fn default() -> Self {
        Self::new()
    }
}
