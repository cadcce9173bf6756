//! What was decided for one request over all its windows: the one source of every rate-limit header and message.

use std::time::Duration;

use smallvec::SmallVec;

use crate::model::AppError;

/// One window as the request left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowState {
    pub limit: u64,
    pub seconds: u32,
    pub remaining: u64,
    /// Until the window is over; its whole length when it has not begun.
    pub reset: Duration,
    /// This window does not admit the request.
    pub refuses: bool,
}

impl WindowState {
    /// Whole seconds until the window is over, rounded up, so that waiting for them is enough.
    pub fn reset_seconds(&self) -> u64 {
        ceil_seconds(self.reset)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    // Accounts have two or three windows; more than four in all cost one allocation. It is moved about, so it is small.
    pub(super) windows: SmallVec<[WindowState; 4]>,
}

impl Decision {
    /// Whether every window admits the request.
    pub fn admitted(&self) -> bool {
        self.windows.iter().all(|window| !window.refuses)
    }

    /// Shortest first; none: nothing is limited.
    pub fn windows(&self) -> &[WindowState] {
        &self.windows
    }

    /// The longest window: the tier's quota.
    pub fn longest(&self) -> Option<&WindowState> {
        self.windows.iter().max_by_key(|window| (window.seconds, u64::MAX - window.remaining))
    }

    /// The window with the fewest requests left; of two, the one that stays so for longer.
    pub fn tightest(&self) -> Option<&WindowState> {
        self.windows.iter().min_by_key(|window| (window.remaining, u32::MAX - window.seconds))
    }

    /// The window that refused; where several did, the one that opens last.
    pub fn refused_by(&self) -> Option<&WindowState> {
        self.windows.iter().filter(|window| window.refuses).max_by_key(|window| (window.reset, window.seconds))
    }

    /// Whole seconds, one at least, until the request would pass; none when it passes.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refused_by().map(|window| Duration::from_secs(window.reset_seconds().max(1)))
    }

    /// `Err(RateLimited)` unless admitted.
    pub fn check(&self) -> Result<(), AppError> {
        self.retry_after().map_or(Ok(()), |retry_after| Err(AppError::RateLimited { retry_after }))
    }
}

fn ceil_seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(limit: u64, seconds: u32, remaining: u64, reset: f64, refuses: bool) -> WindowState {
        WindowState { limit, seconds, remaining, reset: Duration::from_secs_f64(reset), refuses }
    }

    fn decision(windows: &[WindowState]) -> Decision {
        Decision { windows: windows.into() }
    }

    #[test]
    fn the_quota_is_the_longest_window_and_the_tightest_has_the_fewest_left() {
        let decided = decision(&[window(50, 1, 49, 1.0, false), window(1000, 3600, 999, 3600.0, false)]);
        assert!(decided.admitted() && decided.check().is_ok());
        assert_eq!(decided.longest().map(|w| w.limit), Some(1000));
        assert_eq!(decided.tightest().map(|w| w.limit), Some(50));
        assert_eq!(decided.retry_after(), None);
    }

    #[test]
    fn of_several_that_refuse_the_one_that_opens_last_is_named() {
        let decided = decision(&[window(5, 1, 0, 0.4, true), window(10, 60, 0, 59.1, true), window(99, 3600, 7, 1.0, false)]);
        assert_eq!(decided.refused_by().map(|w| w.seconds), Some(60));
        assert_eq!(decided.retry_after(), Some(Duration::from_secs(60)));
        assert!(matches!(decided.check(), Err(AppError::RateLimited { retry_after }) if retry_after.as_secs() == 60));
    }

    #[test]
    fn a_wait_of_less_than_a_second_is_told_as_one() {
        assert_eq!(decision(&[window(5, 1, 0, 0.001, true)]).retry_after(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn without_windows_nothing_is_limited() {
        let decided = decision(&[]);
        assert!(decided.admitted());
        assert_eq!((decided.longest(), decided.tightest(), decided.retry_after()), (None, None, None));
    }
}
