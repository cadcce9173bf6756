//! Whether refusals come far more often than they usually do.

use std::collections::VecDeque;

use crate::model::clock::Timestamp;

/// Fewer than so many refusals in [`Spikes::LATELY`] minutes are no spike.
const LEAST: u64 = 100;
/// A spike has so many times what is usual.
const TIMES: u64 = 5;

/// Refusals by minute, over the last hour.
#[derive(Debug, Default)]
pub struct Spikes {
    minutes: VecDeque<(i64, u64)>,
}

impl Spikes {
    const LATELY: i64 = 5;
    const BEFORE: i64 = 60;

    /// Counts these refusals; the number of the last minutes, if that is far more than the hour before lets expect.
    pub fn note(&mut self, refusals: u64, now: Timestamp) -> Option<u64> {
        let minute = now.seconds().div_euclid(60);
        match self.minutes.back_mut() {
            Some((last, count)) if *last == minute => *count += refusals,
            _ => self.minutes.push_back((minute, refusals)),
        }
        while self.minutes.front().is_some_and(|(at, _)| *at <= minute - Self::LATELY - Self::BEFORE || *at > minute) {
            self.minutes.pop_front();
        }
        let sum = |lately: bool| -> u64 {
            self.minutes.iter().filter(|(at, _)| (*at > minute - Self::LATELY) == lately).map(|(_, count)| count).sum()
        };
        let usual = sum(false) * Self::LATELY as u64 / Self::BEFORE as u64;
        let lately = sum(true);
        (refusals > 0 && lately >= LEAST && lately >= TIMES * usual).then_some(lately)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000)
    }

    #[test]
    fn many_refusals_at_once_are_a_spike_and_as_many_as_always_are_none() {
        let mut spikes = Spikes::default();
        assert_eq!(spikes.note(LEAST - 1, at(1_000)), None);
        assert_eq!(spikes.note(1, at(1_001)), Some(LEAST));
        let mut usual = Spikes::default();
        let told: Vec<_> = (0..120).filter_map(|minute| usual.note(40, at(minute)).map(|_| minute)).collect();
        assert!(told.iter().all(|&minute| minute < 20), "200 in five minutes are usual here: {told:?}");
        assert!(usual.note(2_000, at(120)).is_some());
        assert!(usual.minutes.len() <= 66);
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_nothing_of_the_future() {
        let mut spikes = Spikes::default();
        spikes.note(1_000, at(5_000));
        assert_eq!(spikes.note(1, at(1_000)), None);
    }
}
