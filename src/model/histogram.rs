//! Values counted by how large they are, from many threads: what a scraper makes quantiles of.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Debug)]
pub struct Histogram {
    /// The upper ends of the steps; what is larger is in one step more.
    bounds: &'static [u64],
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What was counted up to now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    pub bounds: &'static [u64],
    pub counts: Vec<u64>,
    pub sum: u64,
}

impl Histogram {
    pub fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    pub fn count(&self, value: u64) {
        let step = self.bounds.iter().position(|&end| value <= end).unwrap_or(self.bounds.len());
        self.counts[step].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    pub fn read(&self) -> Counted {
        let counts = self.counts.iter().map(|count| count.load(Relaxed)).collect();
        Counted { bounds: self.bounds, counts, sum: self.sum.load(Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_in_the_first_step_that_holds_it() {
        let sizes = Histogram::new(&[1, 10]);
        for value in [0, 1, 2, 10, 11, 500] {
            sizes.count(value);
        }
        assert_eq!(sizes.read(), Counted { bounds: &[1, 10], counts: vec![2, 2, 2], sum: 524 });
    }
}
