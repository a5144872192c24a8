//! What containers wrote: append while they run, read and follow from anywhere, kept with the pod.
//!
//! A log is a row of *chunks*, side records of the store, so ten thousand small logs are ten thousand records and not
//! files. The open chunk is written again as it grows, at most every [`FLUSH_EVERY`]; a full one never changes. The
//! last bytes of a log are put into the transaction that ends its container, so a terminal status is never visible
//! before its log is complete. Readers see only what is on disk, so nothing read is lost in a crash.
//!
//! A guest never waits for its log, and cannot make it grow without bound: the first [`HEAD`] bytes are kept and the
//! last [`TAIL`], with a line between that says how much was dropped, in each stream that has lost something. Of each container the current run's log is kept
//! and that of the run before, so a container that is restarted for ever fills no disk either.

mod lines;
mod read;
mod record;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use read::Query;
pub use record::Stream;
pub use write::LogWriter;

use crate::clock::Clock;
use crate::store::{DiskFailed, Store, Tx};
use write::Live;

/// Bytes kept from the beginning of a log.
pub const HEAD: usize = 4 << 20;
/// Bytes kept from its end, once the beginning is full.
pub const TAIL: usize = 256 << 10;
/// How long a written byte waits for company before it goes to disk: short for whoever follows, long for the disk.
const FLUSH_EVERY: Duration = Duration::from_millis(10);

/// Which log: a container's, of one of its runs.
/// Orders by pod first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    pub pod_uid: String,
    pub container: String,
    /// 0 for the first run, then the restart count.
    pub restart: u32,
}

impl LogId {
    /// The prefix of all its chunks' keys.
    fn prefix(&self) -> Vec<u8> {
        let mut key = pod_prefix(&self.pod_uid);
        key.extend_from_slice(self.container.as_bytes());
        key.push(0);
        key.extend_from_slice(&self.restart.to_be_bytes());
        key
    }

    fn chunk_key(&self, seq: u32) -> Vec<u8> {
        let mut key = self.prefix();
        key.extend_from_slice(&seq.to_be_bytes());
        key
    }
}

const SPACE: &[u8] = b"log\0";

fn pod_prefix(uid: &str) -> Vec<u8> {
    [SPACE, uid.as_bytes(), &[0]].concat()
}

/// A handle on all logs; clones share it.
#[derive(Clone)]
pub struct Logs(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    live: Mutex<BTreeMap<LogId, Arc<Live>>>,
    dirty: Mutex<Vec<Arc<Live>>>,
    dirtied: Notify,
}

impl Logs {
    pub fn new(store: Store, clock: Clock) -> Logs {
        let (live, dirty) = (Mutex::default(), Mutex::default());
        Logs(Arc::new(Inner { store, clock, live, dirty, dirtied: Notify::new() }))
    }

    /// A new log, to be written to by one run of a container. That of the run before the last is removed: nobody can ask
    /// for it any more.
    pub fn open(&self, id: LogId) -> LogWriter {
        if let Some(restart) = id.restart.checked_sub(2) {
            self.remove(LogId { restart, ..id.clone() }.prefix());
        }
        let live = Arc::new(Live::new(id.clone()));
        self.0.live.lock().insert(id, live.clone());
        LogWriter::new(self.clone(), live)
    }

    /// Reads a log, from its beginning or as `query` says, in pieces. With `query.follow` it ends when the log does.
    /// Whoever drops the receiver ends the reading.
    pub fn read(&self, id: LogId, query: Query) -> tokio::sync::mpsc::Receiver<Result<Bytes, DiskFailed>> {
        read::spawn(self.clone(), id, query)
    }

    fn remove(&self, prefix: Vec<u8>) {
        let mut tx = Tx::new();
        tx.delete_sides(prefix);
        if let Err(error) = self.0.store.commit(tx) {
            tracing::warn!(%error, "a log that nobody can read any more stays for now");
        }
    }

    /// Removes all logs of these pods. What is still being written is not kept.
    pub fn delete_all(&self, pod_uids: &[String]) {
        let mut tx = Tx::new();
        for uid in pod_uids {
            let first = LogId { pod_uid: uid.clone(), container: String::new(), restart: 0 };
            let live = self.0.live.lock();
            live.range(first..).take_while(|(id, _)| id.pod_uid == *uid).for_each(|(_, live)| live.stop());
            tx.delete_sides(pod_prefix(uid));
        }
        if !tx.is_empty()
            && let Err(error) = self.0.store.commit(tx)
        {
            // They are found again at the next start.
            tracing::warn!(%error, "logs of deleted pods stay for now");
        }
    }

    /// The uids of all pods that have logs. Reads the disk: never call it on a runtime thread.
    pub fn pods(&self) -> Result<Vec<String>, DiskFailed> {
        let mut uids = Vec::new();
        let mut from = SPACE.to_vec();
        while let Some((key, _)) = self.0.store.side_records(SPACE, &from, 1)?.pop() {
            let uid = key[SPACE.len()..].split(|b| *b == 0).next().unwrap_or_default();
            from = [SPACE, uid, &[1]].concat();
            uids.push(String::from_utf8_lossy(uid).into_owned());
        }
        Ok(uids)
    }

    /// Writes growing logs to the store until told to stop.
    pub async fn flush_loop(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.0.dirtied.notified() => {}
                () = stop.cancelled() => return,
            }
            self.0.clock.sleep(FLUSH_EVERY).await;
            let dirty = std::mem::take(&mut *self.0.dirty.lock());
            for live in dirty {
                live.flush(&self.0.store);
            }
        }
    }

    fn live(&self, id: &LogId) -> Option<Arc<Live>> {
        self.0.live.lock().get(id).cloned()
    }
}

#[cfg(test)]
mod tests;
