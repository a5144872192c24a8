//! The two ways to end a run from outside: a deadline, which may move while the guest runs, and a cancel token.
//! Both are cheap to clone; the clone that the owner keeps acts on the run that holds the other.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// When a run must end. Clones share the value.
#[derive(Clone, Debug)]
pub struct Deadline(Arc<watch::Sender<Option<Instant>>>);

impl Deadline {
    pub fn none() -> Deadline {
        Deadline(Arc::new(watch::Sender::new(None)))
    }

    pub fn at(instant: Instant) -> Deadline {
        Deadline(Arc::new(watch::Sender::new(Some(instant))))
    }

    /// Moves the deadline, also of a run under way: sooner, later, or (with `None`) away.
    pub fn set(&self, instant: Option<Instant>) {
        self.0.send_if_modified(|current| std::mem::replace(current, instant) != instant);
    }

    pub fn get(&self) -> Option<Instant> {
        *self.0.borrow()
    }

    /// Whether the deadline is at or before `now`.
    pub fn has_passed(&self, now: Instant) -> bool {
        self.get().is_some_and(|deadline| deadline <= now)
    }

    /// Resolves once the deadline has passed. Until then it takes part in no work: one timer, and one more for
    /// each time that the deadline moves.
    pub(super) async fn passed(&self, clock: &Clock) {
        let mut moves = self.0.subscribe();
        loop {
            let deadline = *moves.borrow_and_update();
            let moved = moves.changed();
            // `changed` cannot fail: `self` holds the sender.
            match deadline {
                None => drop(moved.await),
                Some(instant) => {
                    let left = instant.saturating_duration_since(clock.instant());
                    if left.is_zero() {
                        return;
                    }
                    tokio::select! {
                        () = clock.sleep(left) => {}
                        _ = moved => {}
                    }
                }
            }
        }
    }
}

/// Ends a run at its next breath: at once if the guest waits, within a tick if it computes. Clones share the state;
/// a cancelled token stays cancelled.
#[derive(Clone, Debug, Default)]
pub struct Cancel(CancellationToken);

impl Cancel {
    pub fn new() -> Cancel {
        Cancel::default()
    }

    pub fn cancel(&self) {
        self.0.cancel();
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    pub(super) async fn cancelled(&self) {
        self.0.cancelled().await;
    }
}
