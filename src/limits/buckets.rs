//! Attempts per address, or per any other thing that strangers can invent: a table of fixed size, so that a flood of
//! new addresses neither fills the memory nor pushes out anyone's count.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use smallvec::smallvec;

use super::decision::{Decision, WindowState};
use crate::model::clock::Tick;
use crate::model::tier::Window;

const SHARDS: usize = 64;

/// What attempts are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketKey(u128);

impl BucketKey {
    /// An IPv4 address, or the /64 of an IPv6 address: that much is one customer's.
    pub fn of_address(addr: IpAddr) -> Self {
        match addr.to_canonical() {
            IpAddr::V4(v4) => Self(v4.to_ipv6_mapped().to_bits()),
            IpAddr::V6(v6) => Self(v6.to_bits() >> 64 << 64),
        }
    }

    /// A name tried from an address: guessing one person's password from one place.
    pub fn of_user_at(name: &str, addr: IpAddr) -> Self {
        Self::of_parts(&[name.as_bytes(), &Self::of_address(addr).0.to_be_bytes()])
    }

    /// Anything else, such as an address and the email tried from it.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        Self(digest.iter().take(16).fold(0, |bits, &byte| bits << 8 | u128::from(byte)))
    }
}

/// At most `window.limit` attempts for each key in a window.
#[derive(Debug)]
pub struct Buckets {
    window: Window,
    per_shard: usize,
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
    /// Counts together all who found the table full of running windows.
    overflow: Mutex<Bucket>,
}

#[derive(Debug)]
struct Shard {
    buckets: HashMap<BucketKey, Bucket>,
    /// Before this moment no bucket here is over, so there is none to make room with.
    next_over: Tick,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    used: u64,
    ends: Tick,
}

impl Bucket {
    const UNUSED: Self = Self { used: 0, ends: Tick::from_nanos(0) };

    fn take(&mut self, window: Window, cost: u64, now: Tick, charge: bool) -> Decision {
        let length = std::time::Duration::from_secs(window.seconds.into());
        let mut after = if now < self.ends { *self } else { Self { used: 0, ends: now.plus(length) } };
        let refuses = after.used.saturating_add(cost) > window.limit;
        if charge && !refuses {
            after.used += cost;
            *self = after;
        }
        let state = WindowState {
            limit: window.limit,
            seconds: window.seconds,
            remaining: window.limit.saturating_sub(after.used),
            reset: after.ends.since(now).min(length),
            refuses,
        };
        Decision { windows: smallvec![state] }
    }
}

impl Buckets {
    /// Room for one IPv4 /16 that attacks with every address.
    pub const CAPACITY: usize = 65_536;

    pub fn new(window: Window) -> Self {
        Self::with_capacity(window, Self::CAPACITY)
    }

    pub fn with_capacity(window: Window, capacity: usize) -> Self {
        Self {
            window,
            per_shard: capacity.div_ceil(SHARDS).max(1),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect(),
            overflow: Mutex::new(Bucket::UNUSED),
        }
    }

    /// Counts one attempt, unless the bucket is full.
    pub fn take(&self, key: BucketKey, now: Tick) -> Decision {
        self.decide(key, 1, now, true)
    }

    /// What [`Buckets::take`] would say; counts nothing.
    pub fn peek(&self, key: BucketKey, now: Tick) -> Decision {
        self.decide(key, 1, now, false)
    }

    /// Takes back one attempt: it succeeded, and only failures count.
    pub fn refund(&self, key: BucketKey, now: Tick) {
        let mut shard = self.shard(key).lock();
        if let Some(bucket) = shard.buckets.get_mut(&key).filter(|bucket| now < bucket.ends) {
            bucket.used = bucket.used.saturating_sub(1);
        }
    }

    fn decide(&self, key: BucketKey, cost: u64, now: Tick, charge: bool) -> Decision {
        let mut shard = self.shard(key).lock();
        if let Some(bucket) = shard.buckets.get_mut(&key) {
            return bucket.take(self.window, cost, now, charge);
        }
        if shard.make_room(self.per_shard, now) {
            let mut fresh = Bucket::UNUSED;
            let decision = fresh.take(self.window, cost, now, charge);
            if charge && decision.admitted() {
                shard.buckets.insert(key, fresh);
            }
            return decision;
        }
        drop(shard);
        self.overflow.lock().take(self.window, cost, now, charge)
    }

    fn shard(&self, key: BucketKey) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }
}

impl Shard {
    fn new() -> Self {
        Self { buckets: HashMap::new(), next_over: Tick::from_nanos(0) }
    }

    /// Whether one more fits, once the buckets that are over are gone.
    fn make_room(&mut self, capacity: usize, now: Tick) -> bool {
        if self.buckets.len() >= capacity && self.next_over <= now {
            self.buckets.retain(|_, bucket| now < bucket.ends);
            self.next_over = self.buckets.values().map(|bucket| bucket.ends).min().unwrap_or(now);
        }
        self.buckets.len() < capacity
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PER_MINUTE: Window = Window::new(100, 60);

    fn key(addr: &str) -> BucketKey {
        BucketKey::of_address(addr.parse().expect("an address"))
    }

    fn at(seconds: u64) -> Tick {
        Tick::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn an_address_gets_its_hundred_a_minute() {
        let buckets = Buckets::new(PER_MINUTE);
        for n in 0..100 {
            let decided = buckets.take(key("203.0.113.7"), at(0));
            assert_eq!(decided.longest().map(|w| (w.limit, w.remaining)), Some((100, 99 - n)));
        }
        assert_eq!(buckets.take(key("203.0.113.7"), at(59)).retry_after(), Some(Duration::from_secs(1)));
        assert!(buckets.take(key("203.0.113.8"), at(59)).admitted());
        assert!(buckets.take(key("203.0.113.7"), at(60)).admitted());
    }

    #[test]
    fn one_network_is_one_address() {
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_ne!(BucketKey::of_parts(&[b"a", b"bc"]), BucketKey::of_parts(&[b"ab", b"c"]));
    }

    #[test]
    fn a_flood_of_fresh_addresses_resets_nobodys_count() {
        let buckets = Buckets::with_capacity(Window::new(3, 60), 256);
        for _ in 0..3 {
            assert!(buckets.take(key("203.0.113.7"), at(0)).admitted());
        }
        let flood = |n: u128| BucketKey(1 << 100 | n << 64);
        let passed = (0..20_000).filter(|&n| buckets.take(flood(n), at(1)).admitted()).count();
        assert!(passed <= 256 + 3, "{passed} passed: those that found room, and three together");
        assert!(!buckets.take(key("203.0.113.7"), at(2)).admitted());
        let held: usize = buckets.shards.iter().map(|shard| shard.lock().buckets.len()).sum();
        assert!(held <= 256);
        assert!(buckets.take(flood(9_999_999), at(61)).admitted(), "room again when the windows are over");
    }

    #[test]
    fn what_succeeded_is_taken_back() {
        let buckets = Buckets::new(Window::new(2, 60));
        let tried = BucketKey::of_parts(&[b"ada@example.com"]);
        for _ in 0..9 {
            assert!(buckets.take(tried, at(0)).admitted());
            buckets.refund(tried, at(0));
        }
        assert!(buckets.take(tried, at(0)).admitted());
        assert!(buckets.take(tried, at(0)).admitted());
        assert!(!buckets.peek(tried, at(0)).admitted());
    }
}
