//! Who computes while there are more guests than cores.
//!
//! A runtime that takes up its tasks one after the other would have each wait for a slice of all others: behind fifty
//! guests that compute, a guest that only wants to print a line waits 25 ms for every step. So a guest that has
//! computed for long needs a *turn* for its next slice, of which there are as many as cores, given in order of arrival.
//! All others go ahead at once, and find at most one slice per core before them.
//!
//! How long is long is a [`Credit`]: spent by computing, earned by waiting for something else than a core, which
//! [`Wakes`] tells apart. A new guest has all of it, so that short ones never wait; one that mostly waits keeps it.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::task::AtomicWaker;
use tokio::sync::{Semaphore, SemaphorePermit};

/// What a guest may compute before it stands in line: more than a short program needs in all.
const MOST: Duration = Duration::from_millis(5);
/// One that waits for this many times as long as it computes earns as much as it spends.
const SHARE: u32 = 10;

pub(super) struct Turns(Semaphore);

impl Turns {
    pub(super) fn new() -> Turns {
        Turns(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)))
    }

    /// Waits for a turn, if the guest needs one. Safe to cancel: whoever gives up has not been in line.
    pub(super) async fn take(&self, credit: Credit) -> Option<SemaphorePermit<'_>> {
        if credit.0 > Duration::ZERO {
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
pub(super) struct Credit(Duration);

impl Credit {
    pub(super) fn new() -> Credit {
        Credit(MOST)
    }

    /// The guest has computed for this long.
    pub(super) fn spend(&mut self, computed: Duration) {
        self.0 = self.0.saturating_sub(computed);
    }

    /// The guest could not have computed for this long.
    pub(super) fn earn(&mut self, waited: Duration) {
        self.0 = self.0.saturating_add(waited / SHARE).min(MOST);
    }
}

/// Tells whether a guest that gave way could go on at once, because it was interrupted, or waits for something. In a
/// crowd each computes for a small part of the time: what it waits for then must not be taken for leisure.
pub(super) struct Wakes {
    shared: Arc<Shared>,
    waker: Waker,
}

#[derive(Default)]
struct Shared {
    woken: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, SeqCst);
        self.task.wake();
    }
}

impl Wakes {
    pub(super) fn new() -> Wakes {
        let shared = Arc::<Shared>::default();
        Wakes { waker: Waker::from(shared.clone()), shared }
    }

    /// Polls, and answers also whether there was a wake meanwhile.
    pub(super) fn poll<T>(
        &self,
        context: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> (Poll<T>, bool) {
        self.shared.task.register(context.waker());
        self.shared.woken.store(false, SeqCst);
        let poll = poll(&mut Context::from_waker(&self.waker));
        (poll, self.shared.woken.load(SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn who_computes_stands_in_line_and_who_waits_does_not() {
        let mut credit = Credit::new();
        for slice in 1..=4 {
            credit.spend(MS);
            assert!(credit.0 > Duration::ZERO, "after {slice} ms");
        }
        credit.spend(3 * MS);
        assert_eq!(credit.0, Duration::ZERO);
        credit.earn(10 * MS);
        assert_eq!(credit.0, MS);
        credit.earn(Duration::from_secs(1));
        assert_eq!(credit.0, MOST);
        // It computes for less than a tenth of the time.
        for _ in 1..100 {
            credit.spend(MS);
            credit.earn(19 * MS);
            assert_eq!(credit.0, MOST);
        }
    }

    #[tokio::test]
    async fn there_are_as_many_turns_as_cores_and_each_comes_back() {
        let turns = Turns(Semaphore::new(1));
        let (fresh, spent) = (Credit::new(), Credit(Duration::ZERO));
        let held = turns.take(spent).await;
        assert!(held.is_some() && turns.take(fresh).await.is_none());
        let mut second = std::pin::pin!(turns.take(spent));
        for _ in 0..5 {
            assert!(futures::poll!(&mut second).is_pending());
        }
        drop(held);
        assert!(second.await.is_some());
    }

    #[tokio::test]
    async fn an_interruption_is_told_from_waiting() {
        let wakes = Wakes::new();
        let mut kept = None;
        let first = poll_fn(|context| {
            let interrupted = wakes.poll(context, |c| {
                c.waker().wake_by_ref();
                Poll::<()>::Pending
            });
            let waits = wakes.poll(context, |c| {
                kept = Some(c.waker().clone());
                Poll::<()>::Pending
            });
            Poll::Ready([interrupted, waits])
        });
        assert_eq!(first.await, [(Poll::Pending, true), (Poll::Pending, false)]);

        // A wake that comes later reaches the task.
        let task = futures::task::noop_waker();
        let counted = Arc::new(Shared::default());
        let waker = Waker::from(counted.clone());
        let _ = wakes.poll(&Context::from_waker(&task), |_| Poll::<()>::Pending);
        let _ = wakes.poll(&Context::from_waker(&waker), |_| Poll::<()>::Pending);
        kept.unwrap().wake();
        assert!(counted.woken.load(SeqCst));
    }
}
