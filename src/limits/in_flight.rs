//! How many requests are worked on at once. More wait their turn, in order of arrival and not for long.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::model::{AppError, Result};

#[derive(Debug)]
pub struct InFlight {
    turns: Semaphore,
    max_concurrent: usize,
    max_queued: usize,
    queue_timeout: Duration,
    arriving: AtomicUsize,
    queued: AtomicUsize,
    refused: AtomicUsize,
}

/// A turn. Dropping it lets the next one in.
#[derive(Debug)]
#[must_use]
pub struct Slot<'a> {
    _turn: SemaphorePermit<'a>,
}

impl InFlight {
    pub fn new(max_concurrent: usize, max_queued: usize, queue_timeout: Duration) -> Self {
        Self {
            turns: Semaphore::new(max_concurrent),
            max_concurrent,
            max_queued,
            queue_timeout,
            arriving: AtomicUsize::new(0),
            queued: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        }
    }

    /// Waits for a turn. A caller that goes away, dropping the future, leaves the queue.
    pub async fn enter(&self) -> Result<Slot<'_>> {
        // Turns that become free go to those who wait, so this overtakes nobody.
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(Slot { _turn: turn });
        }
        let place = Place::take(self).ok_or_else(|| self.busy())?;
        let turn = tokio::time::timeout(self.queue_timeout, self.turns.acquire()).await;
        drop(place);
        match turn {
            Ok(turn) => Ok(Slot { _turn: turn.expect("the semaphore is never closed") }),
            Err(_) => Err(self.busy()),
        }
    }

    /// A request whose body is on its way, until this is dropped. It takes no turn yet.
    pub fn arriving(&self) -> Place<'_> {
        self.arriving.fetch_add(1, Relaxed);
        Place(&self.arriving)
    }

    /// Requests whose body is on its way.
    pub fn arriving_count(&self) -> usize {
        self.arriving.load(Relaxed)
    }

    /// Requests being worked on.
    pub fn running(&self) -> usize {
        self.max_concurrent - self.turns.available_permits()
    }

    /// Requests waiting for a turn.
    pub fn queued(&self) -> usize {
        self.queued.load(Relaxed)
    }

    /// Requests that found no turn, since the start.
    pub fn refused(&self) -> usize {
        self.refused.load(Relaxed)
    }

    // Those refused together are told different times, so that they do not come back together.
    fn busy(&self) -> AppError {
        let n = self.refused.fetch_add(1, Relaxed);
        AppError::Busy { retry_after: Duration::from_secs(5 + n as u64 % 5) }
    }
}

/// A place in the queue, or among those that arrive.
#[derive(Debug)]
#[must_use]
pub struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(in_flight: &'a InFlight) -> Option<Self> {
        let room = |queued| (queued < in_flight.max_queued).then_some(queued + 1);
        in_flight.queued.fetch_update(Relaxed, Relaxed, room).ok().map(|_| Self(&in_flight.queued))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    const WAIT: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn a_free_turn_is_had_without_waiting() {
        let in_flight = InFlight::new(2, 0, WAIT);
        let first = in_flight.enter().now_or_never().expect("at once").expect("a turn");
        let second = in_flight.enter().now_or_never().expect("at once").expect("a turn");
        assert_eq!((in_flight.running(), in_flight.queued()), (2, 0));
        drop((first, second));
        assert_eq!(in_flight.running(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_let_in_in_order() {
        let in_flight = InFlight::new(1, 10, WAIT);
        let running = in_flight.enter().await.expect("a turn");
        let (mut first, mut second) = (pin!(in_flight.enter()), pin!(in_flight.enter()));
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        assert_eq!(in_flight.queued(), 2);
        drop(running);
        assert!(in_flight.turns.try_acquire().is_err(), "a newcomer cannot overtake");
        assert!((&mut second).now_or_never().is_none());
        let turn = first.await.expect("a turn");
        assert_eq!((in_flight.running(), in_flight.queued()), (1, 1));
        drop(turn);
        assert!(second.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_at_once() {
        let in_flight = InFlight::new(1, 1, WAIT);
        let _running = in_flight.enter().await.expect("a turn");
        let mut waiting = pin!(in_flight.enter());
        assert!((&mut waiting).now_or_never().is_none());
        let refused = in_flight.enter().now_or_never().expect("at once");
        assert!(matches!(refused, Err(AppError::Busy { retry_after }) if retry_after == Duration::from_secs(5)));
        assert_eq!((in_flight.queued(), in_flight.refused()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_waited_its_time_is_refused() {
        let in_flight = InFlight::new(1, 1, WAIT);
        let _running = in_flight.enter().await.expect("a turn");
        let began = tokio::time::Instant::now();
        assert!(matches!(in_flight.enter().await, Err(AppError::Busy { .. })));
        assert_eq!(began.elapsed(), WAIT);
        assert_eq!(in_flight.queued(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_goes_away_leaves_the_queue() {
        let in_flight = InFlight::new(1, 1, WAIT);
        let running = in_flight.enter().await.expect("a turn");
        let mut gone = Box::pin(in_flight.enter());
        assert!((&mut gone).now_or_never().is_none());
        drop(gone);
        assert_eq!(in_flight.queued(), 0);
        drop(running);
        assert!(in_flight.enter().now_or_never().is_some_and(|turn| turn.is_ok()), "nobody's turn was lost");
    }
}
