//! Requests per window, counted for accounts and for single keys. A window starts with its first request, lasts its
//! seconds, and starts anew with the next request after that.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::decision::{Decision, WindowState};
use crate::model::clock::Tick;
use crate::model::ids::{AccountId, ApiKeyId};
use crate::model::tier::Window;

/// Windows of at least this length are kept over a restart.
pub const KEPT_FROM_SECONDS: u32 = 60;

/// What requests are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    Account(AccountId),
    Key(ApiKeyId),
}

impl Subject {
    /// The subject with this id.
    pub fn parse(id: &str) -> Option<Self> {
        AccountId::parse(id).map(Self::Account).or_else(|| ApiKeyId::parse(id).map(Self::Key))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => id.fmt(f),
            Self::Key(id) => id.fmt(f),
        }
    }
}

/// The counters of one subject. Whoever caches a credential holds them too, so that a request needs no look-up.
#[derive(Debug)]
pub struct Counters {
    subject: Subject,
    counts: Mutex<Counts>,
    unsaved: Arc<Mutex<Vec<Subject>>>,
}

#[derive(Debug, Default)]
struct Counts {
    /// One entry for each length of window. One whose length no limit names any more stays until it is over, so that
    /// changing the limits there and back is no refill.
    running: Vec<Count>,
    /// Waits in the list of what the next snapshot takes.
    is_unsaved: bool,
    /// Swept: out of the map, and never to be counted in again.
    retired: bool,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    seconds: u32,
    used: u64,
    ends: Tick,
}

impl Counts {
    fn look(&self, windows: &[Window], cost: u64, now: Tick, states: &mut SmallVec<[WindowState; 4]>) {
        for window in windows {
            let count = self.running.iter().find(|count| count.seconds == window.seconds && now < count.ends);
            let used = count.map_or(0, |count| count.used);
            let whole = length(window.seconds);
            states.push(WindowState {
                limit: window.limit,
                seconds: window.seconds,
                remaining: window.limit.saturating_sub(used),
                // Another thread may have begun the window a moment after `now`.
                reset: count.map_or(whole, |count| count.ends.since(now).min(whole)),
                refuses: used.saturating_add(cost) > window.limit,
            });
        }
    }

    fn charge(&mut self, cost: u64, now: Tick, states: &mut [WindowState]) {
        for state in states {
            state.remaining -= cost;
            match self.running.iter_mut().find(|count| count.seconds == state.seconds) {
                Some(count) if now < count.ends => count.used += cost,
                Some(count) => (count.used, count.ends) = (cost, now.plus(length(state.seconds))),
                None => {
                    self.running.retain(|count| now < count.ends);
                    self.running.push(Count { seconds: state.seconds, used: cost, ends: now.plus(length(state.seconds)) });
                }
            }
        }
    }

    fn are_over(&self, now: Tick) -> bool {
        self.running.iter().all(|count| count.ends <= now)
    }
}

impl Counters {
    fn mark_unsaved(&self, counts: &mut Counts) {
        if !counts.is_unsaved {
            counts.is_unsaved = true;
            self.unsaved.lock().push(self.subject);
        }
    }
}

/// Decides one request over the windows of its account and of its key as one step, and charges all of them or none.
pub fn take(account: &Counters, windows: &[Window], key: Option<(&Counters, &[Window])>, cost: u64, now: Tick) -> Decision {
    decide(account, windows, key, cost, now, true)
}

/// What [`take`] would decide; charges nothing.
pub fn peek(account: &Counters, windows: &[Window], key: Option<(&Counters, &[Window])>, cost: u64, now: Tick) -> Decision {
    decide(account, windows, key, cost, now, false)
}

fn decide(
    account: &Counters,
    windows: &[Window],
    key: Option<(&Counters, &[Window])>,
    cost: u64,
    now: Tick,
    charge: bool,
) -> Decision {
    // The account's lock before the key's, everywhere: two requests can then not wait for each other.
    let mut counts = account.counts.lock();
    let mut of_key = key.map(|(counters, windows)| (counters, counters.counts.lock(), windows));

    let mut states = SmallVec::new();
    counts.look(windows, cost, now, &mut states);
    if let Some((_, counts, windows)) = &of_key {
        counts.look(windows, cost, now, &mut states);
    }
    if charge && cost > 0 && states.iter().all(|state| !state.refuses) {
        let (accounts, keys) = states.split_at_mut(windows.len());
        counts.charge(cost, now, accounts);
        if accounts.iter().any(is_kept) {
            account.mark_unsaved(&mut counts);
        }
        if let Some((counters, counts, _)) = &mut of_key {
            counts.charge(cost, now, keys);
            if keys.iter().any(is_kept) {
                counters.mark_unsaved(counts);
            }
        }
    }
    if of_key.is_some() {
        states.sort_by_key(|state| state.seconds);
    }
    Decision { windows: states }
}

/// The counters of all accounts and keys that were used of late. Clones share them.
#[derive(Clone, Debug)]
pub struct RateLimits {
    // Neither a capacity nor an idle limit: an entry evicted would forgive its owner. `sweep` drops what is over.
    counters: Cache<Subject, Arc<Counters>>,
    unsaved: Arc<Mutex<Vec<Subject>>>,
}

/// A running window as it is kept over a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptWindow {
    pub subject: Subject,
    pub seconds: u32,
    pub used: u64,
    pub ends_in: Duration,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self::new()
    }
}

impl RateLimits {
    pub fn new() -> Self {
        Self { counters: Cache::builder().build(), unsaved: Arc::default() }
    }

    pub fn counters_of_account(&self, id: AccountId) -> Arc<Counters> {
        self.counters_of(Subject::Account(id))
    }

    pub fn counters_of_key(&self, id: ApiKeyId) -> Arc<Counters> {
        self.counters_of(Subject::Key(id))
    }

    fn counters_of(&self, subject: Subject) -> Arc<Counters> {
        loop {
            let counters = self
                .counters
                .get_with(subject, || Arc::new(Counters { subject, counts: Mutex::default(), unsaved: self.unsaved.clone() }));
            // Found just before a sweep took them out: those would count beside the ones that replace them.
            if !counters.counts.lock().retired {
                return counters;
            }
        }
    }

    /// The windows of 60 s or more that changed since the last snapshot. Once they are stored they need not be stored
    /// again; if storing them failed, hand them to [`RateLimits::not_saved`].
    pub fn snapshot(&self, now: Tick) -> Vec<KeptWindow> {
        let changed = std::mem::take(&mut *self.unsaved.lock());
        let mut kept = Vec::new();
        for subject in changed {
            let Some(counters) = self.counters.get(&subject) else { continue };
            let mut counts = counters.counts.lock();
            counts.is_unsaved = false;
            let running = counts.running.iter().filter(|count| count.seconds >= KEPT_FROM_SECONDS && now < count.ends);
            kept.extend(running.map(|count| KeptWindow {
                subject,
                seconds: count.seconds,
                used: count.used,
                ends_in: count.ends.since(now),
            }));
        }
        kept
    }

    /// These rows of a snapshot could not be stored: the next one takes them again.
    pub fn not_saved(&self, rows: &[KeptWindow]) {
        for row in rows {
            if let Some(counters) = self.counters.get(&row.subject) {
                counters.mark_unsaved(&mut counters.counts.lock());
            }
        }
    }

    /// Goes on counting where an earlier process stopped. No window lasts longer than its length, however far the
    /// wall clock, from which `ends_in` comes, was set back in between.
    pub fn restore(&self, rows: impl IntoIterator<Item = KeptWindow>, now: Tick) {
        for row in rows {
            let counters = self.counters_of(row.subject);
            let mut counts = counters.counts.lock();
            if row.ends_in.is_zero() || counts.running.iter().any(|count| count.seconds == row.seconds) {
                continue;
            }
            let ends = now.plus(row.ends_in.min(length(row.seconds)));
            counts.running.push(Count { seconds: row.seconds, used: row.used, ends });
        }
    }

    /// Drops the counters whose windows are all over and that no cached credential holds. Gives how many there were.
    pub fn sweep(&self, now: Tick) -> usize {
        let mut dropped = 0;
        for (subject, counters) in &self.counters {
            let mut counts = counters.counts.lock();
            // Two hold it: the map and this loop. Who finds it in the map from here on waits for the lock, and then
            // sees that it is retired.
            if Arc::strong_count(&counters) == 2 && counts.are_over(now) && !counts.is_unsaved && !counts.retired {
                counts.retired = true;
                self.counters.invalidate(&*subject);
                dropped += 1;
            }
        }
        dropped
    }
}

fn is_kept(state: &WindowState) -> bool {
    state.seconds >= KEPT_FROM_SECONDS
}

fn length(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

#[cfg(test)]
mod tests;
