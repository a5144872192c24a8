//! The store: ordered, atomic, watchable, durable memory of objects. All parts of kiln meet here and nowhere else.
//!
//! ```text
//!            commit(Tx)                        committer thread (disk.rs)
//!  caller ───────────────► state (RwLock) ───► batches ───► sled, fsync ───► durable revision
//!                             │  visible at once                                   │
//!                             ▼                                                    ▼
//!                   internal watchers (controllers, node)       answers to writes, external watchers
//! ```
//!
//! Invariants, held here and tested beside the code:
//!
//! 1. Revisions only grow; each committed object takes the next one, and it is the object's `resourceVersion`.
//! 2. A [`Tx`] is committed whole or refused whole, in memory and on disk.
//! 3. An object and its event are one commit: a watcher sees every event once and in order, or its stream ends.
//! 4. A stale `resourceVersion` is a [`CommitError::Stale`], never a merge.
//! 5. Commits reach the disk in order, many per flush: a crash loses a suffix, of which no durable wait has answered.
//! 6. After a failed flush the store refuses writes and says so; reads go on.
//! 7. What is committed runs ahead of the disk by no more than [`BACKLOG`] for long: whoever makes work out of work waits
//!    for [`Store::room`] first.
//! 8. An object that is being deleted and has nothing left to wait for (`api::deletion::is_over`: no finalizer, no grace
//!    period) is gone with the commit that made it so.
//!
//! Beside objects it keeps *side records*: opaque bytes under a key (logs, manifests of modules) that share the transaction
//! and its durability, but have no revision and no event.

mod blobs;
mod disk;
mod metrics;
mod record;
mod state;
mod tx;
mod watch;

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::watch as signal;

pub use disk::OpenError;
pub use tx::{CommitError, Committed, Op, Precondition, Tx};
pub use watch::{Change, Event, Expired, Visibility, Watch};

use crate::api::{Key, Kind, Object};
use disk::{Committer, Disk, Told};
use metrics::Metrics;
use state::State;

/// Revisions that may wait for the disk before controllers pause. A flush takes up a few thousand of them at most, so that
/// a disk which keeps up is never waited for; one which does not, holds this many objects in memory and no more.
const BACKLOG: u64 = if cfg!(test) { 64 } else { 16_384 };

/// How much is on disk, and whether the disk has failed.
#[derive(Clone, Debug, Default)]
struct Durability {
    revision: u64,
    failed: Option<String>,
}

/// The write did not reach the disk and never will: the store is read-only until a restart.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the store cannot write to its disk and is read-only: {0}")]
pub struct DiskFailed(pub String);

/// A handle on the store; clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    state: RwLock<State>,
    /// The newest visible revision of each kind.
    visible: Vec<signal::Sender<u64>>,
    durable: signal::Sender<Durability>,
    /// The newest revision of each kind that is on disk: a watcher of one kind is not woken for the others.
    durable_of: Arc<Vec<signal::Sender<u64>>>,
    committer: Committer,
    disk: Arc<Disk>,
    metrics: Metrics,
}

/// A list and the revision from which a watch continues it.
#[derive(Debug, Clone)]
pub struct Listing {
    pub objects: Vec<Object>,
    pub revision: u64,
}

impl Store {
    /// Opens the store in `dir`, creating it if absent. `ring` is the number of events kept per kind for watchers.
    pub fn open(dir: &Path, ring: usize) -> Result<Store, OpenError> {
        Store::open_as(dir, ring, false)
    }

    /// As [`Store::open`], for a directory that is removed when this process ends: what is called durable has been given to the
    /// file system, and nobody waits until it is on disk.
    pub fn open_temporary(dir: &Path, ring: usize) -> Result<Store, OpenError> {
        Store::open_as(dir, ring, true)
    }

    fn open_as(dir: &Path, ring: usize, is_temporary: bool) -> Result<Store, OpenError> {
        let (disk, loaded) = Disk::open(dir, is_temporary)?;
        let disk = Arc::new(disk);
        let revision = loaded.revision;
        let senders = || Kind::ALL.iter().map(|_| signal::Sender::new(revision)).collect::<Vec<_>>();
        let visible = senders();
        let durable_of = Arc::new(senders());
        let durable = signal::Sender::new(Durability { revision, failed: None });
        let metrics = Metrics::new();
        let told = Told { durable: durable.clone(), of_kinds: durable_of.clone(), metrics: metrics.clone() };
        let committer = Committer::start(disk.clone(), told)?;
        let state = RwLock::new(State::new(loaded, ring));
        Ok(Store { shared: Arc::new(Shared { state, visible, durable, durable_of, committer, disk, metrics }) })
    }

    pub fn is_temporary(&self) -> bool {
        self.shared.disk.is_temporary()
    }

    /// Commits `tx`: visible to everyone in this process when this returns, on disk after [`Store::durable`].
    pub fn commit(&self, tx: Tx) -> Result<Committed, CommitError> {
        let committed = self.commit_counted(tx);
        match &committed {
            Ok(_) => self.shared.metrics.commits.inc(),
            Err(error) => self.shared.metrics.refused(error),
        };
        committed
    }

    fn commit_counted(&self, tx: Tx) -> Result<Committed, CommitError> {
        let (committed, touched) = {
            let mut state = self.shared.state.write();
            if let Some(detail) = &self.shared.durable.borrow().failed {
                return Err(CommitError::ReadOnly(detail.clone()));
            }
            state.check(&tx)?;
            // The queue to the disk is filled under the same lock, so that its order is the order of revisions.
            let mut batch = self.shared.committer.begin();
            let (committed, touched) = state.apply(tx, &mut batch);
            batch.end(committed.revision);
            (committed, touched)
        };
        for kind in touched {
            self.shared.visible[kind as usize].send_replace(committed.revision);
        }
        Ok(committed)
    }

    /// Waits until everything up to `revision` is on disk.
    pub async fn durable(&self, revision: u64) -> Result<(), DiskFailed> {
        if self.shared.durable.borrow().revision >= revision {
            return Ok(());
        }
        let mut signal = self.shared.durable.subscribe();
        let reached = signal
            .wait_for(|d| d.revision >= revision || d.failed.is_some())
            .await
            .map_err(|_| DiskFailed("the committer has stopped".to_owned()))?;
        if reached.revision >= revision { Ok(()) } else { Err(DiskFailed(reached.failed.clone().unwrap_or_default())) }
    }

    /// Waits until the disk has nearly caught up. Answers at once after the disk has failed: a commit then says so.
    pub async fn room(&self) {
        let enough = self.revision().saturating_sub(BACKLOG);
        let _ = self.durable(enough).await;
    }

    /// Why the store refuses writes, if it does.
    pub fn failure(&self) -> Option<String> {
        self.shared.durable.borrow().failed.clone()
    }

    /// How long the oldest commit that is not on disk has waited for it.
    pub fn oldest_unflushed(&self) -> Option<Duration> {
        self.shared.committer.oldest_unflushed()
    }

    /// The newest committed revision, on disk or not.
    pub fn revision(&self) -> u64 {
        self.shared.state.read().revision()
    }

    pub fn get(&self, kind: Kind, key: &Key) -> Option<Object> {
        self.shared.state.read().get(kind, key).cloned()
    }

    /// All objects of `kind`, in `namespace` or everywhere, ordered by key.
    pub fn list(&self, kind: Kind, namespace: Option<&str>) -> Listing {
        self.shared.state.read().list(kind, namespace, Bound::Unbounded, usize::MAX)
    }

    /// The number of objects of `kind`, in `namespace` or everywhere, without going over them.
    pub fn count_in(&self, kind: Kind, namespace: Option<&str>) -> usize {
        self.shared.state.read().count_in(kind, namespace)
    }

    /// At most `limit` objects whose key is after `after`.
    pub fn list_page(&self, kind: Kind, namespace: Option<&str>, after: Bound<&Key>, limit: usize) -> Listing {
        self.shared.state.read().list(kind, namespace, after, limit)
    }

    /// Follows `kind` from just after `revision`.
    pub fn watch(&self, kind: Kind, revision: u64, visibility: Visibility) -> Watch {
        Watch::new(self.shared.clone(), kind, revision, visibility)
    }

    /// The objects of `kind` and a watch that continues exactly there.
    pub fn list_and_watch(&self, kind: Kind) -> (Listing, Watch) {
        let listing = self.list(kind, None);
        let watch = self.watch(kind, listing.revision, Visibility::Committed);
        (listing, watch)
    }

    /// The side records on disk whose key begins with `prefix` and is at or after `from`, at most `limit` of them.
    /// Reads the disk: never call it on a runtime thread.
    pub fn side_records(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Bytes)>, DiskFailed> {
        self.shared.disk.side_records(prefix, from, limit).map_err(|e| DiskFailed(e.to_string()))
    }

    /// Writes what is waiting and stops the committer. Further commits are refused.
    pub fn close(&self) {
        self.shared.committer.close();
    }
}

#[cfg(test)]
impl Store {
    /// Holds up the disk for as long as the answer lives.
    pub fn hold_disk(&self) -> impl Drop + '_ {
        self.shared.disk.held.lock()
    }
}

#[cfg(test)]
mod tests;
