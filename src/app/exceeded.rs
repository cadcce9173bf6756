//! Which accounts have met which of their limits, kept in memory until a batch tells of it. Only a refused request takes
//! the lock.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::limits::Decision;
use crate::model::clock::Timestamp;
use crate::model::ids::{AccountId, ApiKeyId};

/// More accounts than these meet no limit at once.
const MOST: usize = 10_000;
/// Windows shorter than this are told of as often.
const SHORTEST: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub struct Exceeded(Mutex<HashMap<(AccountId, u32), Exceeding>>);

/// A window that refused a request.
#[derive(Clone, Copy, Debug)]
pub struct Exceeding {
    pub account: AccountId,
    /// The key whose request was refused first.
    pub key: Option<ApiKeyId>,
    pub limit: u64,
    pub seconds: u32,
    pub at: Timestamp,
    pub resets_at: Timestamp,
    told: bool,
}

impl Exceeding {
    /// Until when this window is not told of again.
    pub fn quiet_until(&self) -> Timestamp {
        self.resets_at.max(self.at.saturating_add(SHORTEST))
    }
}

impl Exceeded {
    /// Notes the windows that refused a request.
    pub fn note(&self, account: AccountId, key: Option<ApiKeyId>, decision: &Decision, at: Timestamp) {
        let mut noted = self.0.lock();
        for window in decision.windows().iter().filter(|window| window.refuses) {
            let known = noted.get(&(account, window.seconds));
            if known.is_some_and(|known| known.quiet_until() > at) || (known.is_none() && noted.len() >= MOST) {
                continue;
            }
            let resets_at = at.saturating_add(window.reset);
            let (limit, seconds) = (window.limit, window.seconds);
            noted.insert((account, seconds), Exceeding { account, key, limit, seconds, at, resets_at, told: false });
        }
    }

    /// Those noted since the last call. What is over is forgotten.
    pub fn take(&self, now: Timestamp) -> Vec<Exceeding> {
        let mut noted = self.0.lock();
        let mut untold = Vec::new();
        noted.retain(|_, window| {
            if !window.told {
                untold.push(*window);
                window.told = true;
            }
            window.quiet_until() > now
        });
        untold
    }
}
