//! Windows, decided and kept: what holds whatever the numbers.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use proptest::prelude::*;

use super::*;
use crate::model::clock::{Clock, Timestamp};

const FREE: &[Window] = &[Window::new(50, 1), Window::new(1_000, 3_600)];

fn clock() -> Clock {
    Clock::set_to(Timestamp::from_millis(1_700_000_000_000))
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_first_request_is_charged_to_every_window() {
    let (limits, clock) = (RateLimits::new(), clock());
    let account = limits.counters_of_account(AccountId::new());
    let decided = take(&account, FREE, None, 1, clock.tick());
    let left: Vec<_> = decided.windows().iter().map(|w| (w.limit, w.remaining, w.reset)).collect();
    assert_eq!(left, [(50, 49, seconds(1)), (1_000, 999, seconds(3_600))]);
}

#[test]
fn peeking_shows_unused_windows_whole_and_charges_nothing() {
    let (limits, clock) = (RateLimits::new(), clock());
    let account = limits.counters_of_account(AccountId::new());
    for _ in 0..3 {
        let decided = peek(&account, FREE, None, 1, clock.tick());
        assert_eq!(decided.longest().map(|w| (w.remaining, w.reset)), Some((1_000, seconds(3_600))));
    }
}

#[test]
fn a_window_refuses_past_its_limit_and_starts_anew_when_it_is_over() {
    let (limits, clock) = (RateLimits::new(), clock());
    let account = limits.counters_of_account(AccountId::new());
    for _ in 0..50 {
        assert!(take(&account, FREE, None, 1, clock.tick()).admitted());
        clock.advance(Duration::from_millis(10));
    }
    let refused = take(&account, FREE, None, 1, clock.tick());
    assert_eq!(refused.refused_by().map(|w| (w.limit, w.reset)), Some((50, Duration::from_millis(500))));
    assert_eq!(refused.retry_after(), Some(seconds(1)));
    assert_eq!(refused.longest().map(|w| w.remaining), Some(950), "a refused request is charged nowhere");

    clock.advance(Duration::from_millis(499));
    assert!(!take(&account, FREE, None, 1, clock.tick()).admitted());
    clock.advance(Duration::from_millis(1));
    assert!(take(&account, FREE, None, 1, clock.tick()).admitted());
}

#[test]
fn the_seconds_told_are_the_seconds_after_which_it_passes() {
    let (limits, clock) = (RateLimits::new(), clock());
    let account = limits.counters_of_account(AccountId::new());
    let windows = [Window::new(1, 60)];
    assert!(take(&account, &windows, None, 1, clock.tick()).admitted());
    clock.advance(Duration::from_millis(12_345));
    let wait = take(&account, &windows, None, 1, clock.tick()).retry_after().expect("refused");
    assert_eq!(wait, seconds(48));
    clock.advance(wait);
    assert!(take(&account, &windows, None, 1, clock.tick()).admitted());
}

#[test]
fn a_keys_own_windows_and_its_accounts_are_one_decision() {
    let (limits, clock) = (RateLimits::new(), clock());
    let account = limits.counters_of_account(AccountId::new());
    let (narrow, wide) = (limits.counters_of_key(ApiKeyId::new()), limits.counters_of_key(ApiKeyId::new()));
    let own: &[Window] = &[Window::new(2, 60)];
    for _ in 0..2 {
        assert!(take(&account, FREE, Some((&narrow, own)), 1, clock.tick()).admitted());
    }
    let refused = take(&account, FREE, Some((&narrow, own)), 1, clock.tick());
    assert_eq!(refused.windows().iter().map(|w| w.seconds).collect::<Vec<_>>(), [1, 60, 3_600], "shortest first");
    assert_eq!(refused.refused_by().map(|w| w.seconds), Some(60));

    let other = take(&account, FREE, Some((&wide, own)), 1, clock.tick());
    assert_eq!(other.longest().map(|w| w.remaining), Some(997), "the account was not charged for the refused one");
}

#[test]
fn a_cost_is_charged_whole_or_not_at_all() {
    let (limits, clock) = (RateLimits::new(), clock());
    let account = limits.counters_of_account(AccountId::new());
    let windows = [Window::new(10, 60)];
    assert!(take(&account, &windows, None, 7, clock.tick()).admitted());
    assert!(!take(&account, &windows, None, 4, clock.tick()).admitted());
    assert!(!take(&account, &windows, None, u64::MAX, clock.tick()).admitted());
    assert!(take(&account, &windows, None, 0, clock.tick()).admitted());
    let last = take(&account, &windows, None, 3, clock.tick());
    assert_eq!(last.tightest().map(|w| w.remaining), Some(0));
}

#[test]
fn changed_limits_keep_what_was_used() {
    let (limits, clock) = (RateLimits::new(), clock());
    let account = limits.counters_of_account(AccountId::new());
    for _ in 0..40 {
        take(&account, FREE, None, 1, clock.tick());
    }
    let pro = [Window::new(10_000, 3_600)];
    assert_eq!(take(&account, &pro, None, 1, clock.tick()).longest().map(|w| w.remaining), Some(9_959));
    let tiny = [Window::new(5, 3_600)];
    assert_eq!(take(&account, &tiny, None, 1, clock.tick()).refused_by().map(|w| w.remaining), Some(0));
    let back = take(&account, FREE, None, 1, clock.tick());
    assert_eq!(back.windows()[0].remaining, 9, "the short window was still running");
}

#[test]
fn five_hundred_at_once_against_fifty_pass_exactly_fifty() {
    let (limits, clock) = (RateLimits::new(), clock());
    let id = AccountId::new();
    let (start, passed) = (Barrier::new(500), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..500 {
            scope.spawn(|| {
                let (account, key) = (limits.counters_of_account(id), limits.counters_of_key(ApiKeyId::new()));
                start.wait();
                let own: &[Window] = &[Window::new(5, 60)];
                if take(&account, FREE, Some((&key, own)), 1, clock.tick()).admitted() {
                    passed.fetch_add(1, SeqCst);
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 50);
}

#[test]
fn a_restart_goes_on_where_it_stopped() {
    let (limits, clock) = (RateLimits::new(), clock());
    let (account, key) = (AccountId::new(), ApiKeyId::new());
    let own: &[Window] = &[Window::new(2, 60)];
    let (counters, of_key) = (limits.counters_of_account(account), limits.counters_of_key(key));
    assert!(take(&counters, FREE, Some((&of_key, own)), 2, clock.tick()).admitted());
    clock.advance(seconds(20));

    let mut rows = limits.snapshot(clock.tick());
    rows.sort_by_key(|row| row.seconds);
    let kept = |subject, seconds, ends_in| KeptWindow { subject, seconds, used: 2, ends_in: Duration::from_secs(ends_in) };
    assert_eq!(rows, [kept(Subject::Key(key), 60, 40), kept(Subject::Account(account), 3_600, 3_580)]);
    assert_eq!(limits.snapshot(clock.tick()), [], "only what changed since the last one");
    limits.not_saved(&rows[..1]);
    assert_eq!(limits.snapshot(clock.tick()), rows[..1]);

    let again = RateLimits::new();
    let later = Tick::from_nanos(5);
    again.restore(rows, later);
    let decided = peek(&again.counters_of_account(account), FREE, Some((&again.counters_of_key(key), own)), 1, later);
    assert_eq!(decided.refused_by().map(|w| (w.seconds, w.reset)), Some((60, seconds(40))));
    assert_eq!(decided.longest().map(|w| w.remaining), Some(998));
}

#[test]
fn a_subject_is_read_back_from_its_id() {
    for subject in [Subject::Account(AccountId::new()), Subject::Key(ApiKeyId::new())] {
        assert_eq!(Subject::parse(&subject.to_string()), Some(subject));
    }
    assert_eq!(Subject::parse("user_01h455vb4pex5vsknk084sn02q"), None);
}

#[test]
fn a_clock_set_back_makes_no_window_longer() {
    let limits = RateLimits::new();
    let subject = Subject::Account(AccountId::new());
    limits.restore([KeptWindow { subject, seconds: 60, used: 1, ends_in: seconds(86_400) }], Tick::from_nanos(0));
    let decided = peek(&limits.counters_of(subject), &[Window::new(1, 60)], None, 1, Tick::from_nanos(0));
    assert_eq!(decided.retry_after(), Some(seconds(60)));
}

#[test]
fn a_sweep_drops_what_is_over_and_unheld_alone() {
    let (limits, clock) = (RateLimits::new(), clock());
    let (idle, held, running) = (AccountId::new(), AccountId::new(), AccountId::new());
    let windows = [Window::new(9, 60)];
    take(&limits.counters_of_account(idle), &windows, None, 1, clock.tick());
    let holder = limits.counters_of_account(held);
    take(&holder, &windows, None, 1, clock.tick());
    clock.advance(seconds(61));
    take(&limits.counters_of_account(running), &windows, None, 1, clock.tick());

    assert_eq!(limits.sweep(clock.tick()), 0, "nothing goes before it is saved");
    limits.snapshot(clock.tick());
    assert_eq!(limits.sweep(clock.tick()), 1);
    assert!(Arc::ptr_eq(&holder, &limits.counters_of_account(held)));
    assert!(limits.counters.get(&Subject::Account(idle)).is_none());
    assert!(limits.counters.get(&Subject::Account(running)).is_some());
}

#[test]
fn sweeping_meanwhile_lets_nobody_count_twice() {
    let limits = RateLimits::new();
    let id = AccountId::new();
    let windows = [Window::new(1_000, 3_600)];
    let passed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let account = limits.counters_of_account(id);
                    if take(&account, &windows, None, 1, Tick::from_nanos(0)).admitted() {
                        passed.fetch_add(1, SeqCst);
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..2_000 {
                limits.sweep(Tick::from_nanos(0));
            }
        });
    });
    assert_eq!(passed.into_inner(), 1_000);
}

#[derive(Clone, Debug)]
struct Ask {
    after_ms: u64,
    with_key: bool,
    cost: u64,
    limits: usize,
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let ask = (0_u64..2_500, any::<bool>(), 0_u64..4, 0_usize..3).prop_map(|(after_ms, with_key, cost, limits)| Ask {
        after_ms,
        with_key,
        cost,
        limits,
    });
    proptest::collection::vec(ask, 1..120)
}

/// Every charge that was ever made, replayed for each question.
#[derive(Default)]
struct Log(Vec<(u64, u32, bool, u64)>);

impl Log {
    fn used(&self, of_key: bool, seconds: u32, now_ms: u64) -> u64 {
        let (mut start, mut used) = (None, 0);
        for &(at, _, _, cost) in self.0.iter().filter(|(_, s, k, _)| *s == seconds && *k == of_key) {
            match start {
                Some(start) if at < start + u64::from(seconds) * 1_000 => used += cost,
                _ => (start, used) = (Some(at), cost),
            }
        }
        start.filter(|start| now_ms < start + u64::from(seconds) * 1_000).map_or(0, |_| used)
    }
}

proptest! {
    #[test]
    fn decisions_are_those_of_a_slow_and_obvious_log(asks in asks()) {
        let sets: [&[Window]; 3] = [
            &[Window::new(3, 1), Window::new(8, 5)],
            &[Window::new(4, 1), Window::new(20, 60)],
            &[Window::new(6, 5)],
        ];
        let own: &[Window] = &[Window::new(2, 1), Window::new(7, 7)];
        let limits = RateLimits::new();
        let (account, key) = (limits.counters_of_account(AccountId::new()), limits.counters_of_key(ApiKeyId::new()));
        let (mut log, mut now_ms) = (Log::default(), 0);
        for ask in asks {
            now_ms += ask.after_ms;
            let windows = sets[ask.limits];
            let asked: Vec<(bool, Window)> = windows.iter().map(|&w| (false, w))
                .chain(own.iter().filter(|_| ask.with_key).map(|&w| (true, w))).collect();
            let fits = asked.iter().all(|(of_key, w)| log.used(*of_key, w.seconds, now_ms) + ask.cost <= w.limit);
            if fits && ask.cost > 0 {
                log.0.extend(asked.iter().map(|(of_key, w)| (now_ms, w.seconds, *of_key, ask.cost)));
            }
            let own = ask.with_key.then_some((&*key, own));
            let decided = take(&account, windows, own, ask.cost, Tick::from_nanos(now_ms * 1_000_000));
            prop_assert_eq!(decided.admitted(), fits);
            let mut left: Vec<_> = asked.iter()
                .map(|(of_key, w)| (w.seconds, w.limit, w.limit.saturating_sub(log.used(*of_key, w.seconds, now_ms))))
                .collect();
            left.sort_by_key(|(seconds, ..)| *seconds);
            let states: Vec<_> = decided.windows().iter().map(|w| (w.seconds, w.limit, w.remaining)).collect();
            prop_assert_eq!(states, left);
        }
    }
}
