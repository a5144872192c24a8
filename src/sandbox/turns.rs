//! Who computes while there are more guests than cores.
//!
//! A runtime that takes up its tasks one after the other would have each wait for a slice of all others: behind fifty
//! guests that compute, a guest that only wants to print a line waits 25 ms for every step. So a guest that has
//! computed for long needs a *turn* for its next slice, of which there are as many as cores, given in order of arrival.
//! All others go ahead at once, and find at most one slice per core before them.
//!
//! How long is long is a [`Credit`]: spent by computing, earned by time. A new guest has all of it, so that short ones
//! never wait; one that mostly waits for something else keeps it.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

/// What a guest may compute before it stands in line: more than a short program needs in all.
const MOST: Duration = Duration::from_millis(5);
/// One that computes less than one part in this many of the time earns as much as it spends.
const SHARE: u32 = 10;

pub(super) struct Turns(Semaphore);

impl Turns {
    pub(super) fn new() -> Turns {
        Turns(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)))
    }

    /// Waits for a turn, if the guest needs one. Safe to cancel: whoever gives up has not been in line.
    pub(super) async fn take(&self, credit: &Credit) -> Option<SemaphorePermit<'_>> {
        if credit.left > Duration::ZERO {
            return None;
        }
        // The semaphore is never closed.
        let turn = self.0.acquire().await.ok();
        to_the_back().await;
        turn
    }
}

/// Lets all tasks go first that can run. Who is handed a turn would otherwise be run before all others, because tokio puts
/// a task that another wakes in front, and a guest at its deadline would wait for slices of guests that compute.
/// `tokio::task::yield_now` ends in front, too; a task that wakes itself does not.
async fn to_the_back() {
    let mut woken = false;
    poll_fn(|context| {
        if std::mem::replace(&mut woken, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Time that a guest may compute without a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Credit {
    left: Duration,
    at: Instant,
}

impl Credit {
    pub(super) fn new(now: Instant) -> Credit {
        Credit { left: MOST, at: now }
    }

    /// The guest has computed for `spent`, and it is `now`.
    pub(super) fn spend(&mut self, spent: Duration, now: Instant) {
        let earned = now.saturating_duration_since(self.at) / SHARE;
        self.left = self.left.saturating_add(earned).min(MOST).saturating_sub(spent);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn who_computes_stands_in_line_and_who_waits_does_not() {
        let ms = Duration::from_millis;
        let start = Clock::real().instant();
        let mut credit = Credit::new(start);
        for slice in 1..=4 {
            credit.spend(ms(1), start + ms(slice));
            assert!(credit.left > Duration::ZERO, "after {slice} ms");
        }
        for slice in 5..=7 {
            credit.spend(ms(1), start + ms(slice));
        }
        assert_eq!(credit.left, Duration::ZERO);
        // It sleeps for a second.
        credit.spend(ms(1), start + ms(1007));
        assert_eq!(credit.left, MOST - ms(1));
        // A twentieth of the time is less than it earns.
        for slice in 1..100 {
            credit.spend(ms(1), start + ms(1007 + 20 * slice));
            assert_eq!(credit.left, MOST - ms(1));
        }
    }

    #[tokio::test]
    async fn there_are_as_many_turns_as_cores_and_each_comes_back() {
        let turns = Turns(Semaphore::new(1));
        let now = Clock::real().instant();
        let (fresh, spent) = (Credit::new(now), Credit { left: Duration::ZERO, at: now });
        let held = turns.take(&spent).await;
        assert!(held.is_some() && turns.take(&fresh).await.is_none());
        let mut second = std::pin::pin!(turns.take(&spent));
        for _ in 0..5 {
            assert!(futures::poll!(&mut second).is_pending());
        }
        drop(held);
        assert!(second.await.is_some());
    }
}
