//! How much of something there may be at once, for all together. Nobody waits for it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counted in KiB.
#[derive(Debug)]
pub struct Budget(Arc<Semaphore>);

/// What one has of it, until this is dropped.
#[derive(Debug, Default)]
pub struct Share {
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Budget {
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / 1024)))
    }

    /// Adds to a share. False: there is not as much left.
    pub fn add(&self, share: &mut Share, bytes: usize) -> bool {
        let held = share.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = (share.bytes + bytes).div_ceil(1024).saturating_sub(held);
        let Ok(more) = self.0.clone().try_acquire_many_owned(u32::try_from(missing).unwrap_or(u32::MAX)) else { return false };
        share.bytes += bytes;
        match &mut share.permit {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_has_the_others_have_not() {
        let budget = Budget::new(10_240);
        let (mut one, mut other) = (Share::default(), Share::default());
        for _ in 0..80 {
            assert!(budget.add(&mut one, 100), "small pieces are not rounded up each");
        }
        assert!(!budget.add(&mut other, 3_000));
        assert!(budget.add(&mut other, 2_000));
        drop(one);
        assert!(budget.add(&mut other, 8_000));
    }
}
