//! Following a kind: every event once and in order, or the stream ends with [`Expired`] and the follower lists anew.
//! A watcher reads the ring at its own pace; nobody ever waits for it.

use std::sync::Arc;

use tokio::sync::watch as signal;

use super::{Durability, Shared};
use crate::api::{Kind, Object};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

/// One committed change of one object.
#[derive(Debug)]
pub struct Event {
    pub revision: u64,
    pub change: Change,
    /// The object after the change; for a deletion its last state, with the revision of the deletion.
    pub object: Object,
    /// The object before the change; `None` when it was added.
    pub old: Option<Object>,
}

/// The watcher is behind what the ring still holds, or asks for a time before the last restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct Expired {
    pub asked: u64,
    pub oldest: u64,
}

/// Which events a watcher may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// All committed ones: for parts of this process.
    Committed,
    /// Those on disk: for whoever could tell others what was then lost in a crash.
    Durable,
}

/// Events taken from the ring at a time, so that the lock is held briefly.
const CHUNK: usize = 512;

pub struct Watch {
    shared: Arc<Shared>,
    kind: Kind,
    cursor: u64,
    visible: Option<signal::Receiver<u64>>,
    durable: Option<Durable>,
}

/// What is on disk at all, and whether there is more of this kind.
struct Durable {
    all: signal::Receiver<Durability>,
    of_kind: signal::Receiver<u64>,
}

impl Watch {
    pub(super) fn new(shared: Arc<Shared>, kind: Kind, revision: u64, visibility: Visibility) -> Watch {
        let (visible, durable) = match visibility {
            Visibility::Committed => (Some(shared.visible[kind as usize].subscribe()), None),
            Visibility::Durable => {
                let of_kind = shared.durable_of[kind as usize].subscribe();
                (None, Some(Durable { all: shared.durable.subscribe(), of_kind }))
            }
        };
        Watch { shared, kind, cursor: revision, visible, durable }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// All events up to here have been delivered.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Goes on after this revision: what lies before it has been delivered in another way. Never goes back.
    pub fn skip_to(&mut self, revision: u64) {
        self.cursor = self.cursor.max(revision);
    }

    /// The next events without waiting; empty if there are none yet.
    pub fn try_next(&mut self) -> Result<Vec<Arc<Event>>, Expired> {
        self.try_next_until(u64::MAX)
    }

    /// As [`Watch::try_next`], but none after revision `until`: several watches read to one revision together see one
    /// state of the world.
    pub fn try_next_until(&mut self, until: u64) -> Result<Vec<Arc<Event>>, Expired> {
        let until = match &self.durable {
            Some(durable) => until.min(durable.all.borrow().revision),
            None => until,
        };
        let state = self.shared.state.read();
        let events = state.events(self.kind, self.cursor, until, CHUNK)?;
        self.cursor = match events.last() {
            Some(last) if events.len() == CHUNK => last.revision,
            // Nothing of this kind lies between here and there.
            _ => self.cursor.max(until.min(state.revision())),
        };
        Ok(events)
    }

    /// Waits for events; never returns an empty list.
    pub async fn next(&mut self) -> Result<Vec<Arc<Event>>, Expired> {
        loop {
            // Listen first, then look: what is committed in between is seen by one or the other.
            self.look();
            let events = self.try_next()?;
            if !events.is_empty() {
                return Ok(events);
            }
            self.changed().await;
        }
    }

    /// Waits until there may be something new since the last look. Safe to cancel.
    pub async fn changed(&mut self) {
        // The senders live as long as `shared`, which this watch holds.
        if let Some(signal) = &mut self.visible {
            let _ = signal.changed().await;
        } else if let Some(durable) = &mut self.durable {
            let _ = durable.of_kind.changed().await;
        }
    }

    /// Marks everything up to now as looked at, for [`Watch::changed`] followed by [`Watch::try_next`].
    pub fn look(&mut self) {
        if let Some(signal) = &mut self.visible {
            signal.borrow_and_update();
        }
        if let Some(durable) = &mut self.durable {
            durable.of_kind.borrow_and_update();
        }
    }
}
