//! A log while its container runs.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::record::{self, OVERHEAD, Record, Stream};
use super::{HEAD, LogId, Logs, TAIL};
use crate::store::{Store, Tx};

/// A chunk of this size is closed. Small enough to be written again with each flush, large enough to be few.
const CHUNK: usize = 16 << 10;
/// Longer writes are cut into records of this size.
const RECORD: usize = 32 << 10;

/// How far a log is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// The commit that holds the newest chunk.
    pub revision: u64,
    /// Nothing will be added.
    pub done: bool,
}

pub struct Live {
    id: LogId,
    state: Mutex<State>,
    pub progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct State {
    /// Full chunks that are not committed yet.
    closed: Vec<(u32, Bytes)>,
    open: Vec<u8>,
    /// The number of the open chunk.
    seq: u32,
    /// The open chunk has bytes that are not committed.
    dirty: bool,
    /// It stands in the list of logs to flush.
    listed: bool,
    /// Bytes kept so far from the beginning, with what each record takes beside them.
    head: usize,
    /// The latest records, once the beginning is full.
    tail: VecDeque<Vec<u8>>,
    tail_bytes: usize,
    /// Bytes that were in neither, per stream: who reads only one is told of that one.
    dropped: Dropped,
    finished: bool,
}

#[derive(Clone, Copy, Default)]
struct Dropped {
    stdout: u64,
    stderr: u64,
}

impl Dropped {
    fn count(&mut self, record: &[u8]) {
        for Record { stream, bytes, .. } in record::records(record) {
            let of = match stream {
                Stream::Stdout => &mut self.stdout,
                Stream::Stderr => &mut self.stderr,
            };
            *of += bytes.len() as u64;
        }
    }

    /// Lines for the place where bytes are missing, each in the stream that has lost them.
    fn notes(self) -> impl Iterator<Item = (Stream, String)> {
        let each = [(Stream::Stdout, "stdout", self.stdout), (Stream::Stderr, "stderr", self.stderr)];
        each.into_iter().filter(|(.., bytes)| *bytes > 0).map(|(stream, name, bytes)| {
            let (first, last) = (HEAD >> 20, TAIL >> 10);
            let kept = format!("the first {first} MiB and the last {last} KiB of the log are kept");
            (stream, format!("\n[kiln: {bytes} bytes of {name} dropped here: {kept}]\n"))
        })
    }
}

impl State {
    fn write(&mut self, stream: Stream, at: jiff::Timestamp, bytes: &[u8]) {
        let size = bytes.len() + OVERHEAD;
        if self.head + size <= HEAD {
            self.head += size;
            record::append(&mut self.open, stream, at, bytes);
            self.dirty = true;
            if self.open.len() >= CHUNK {
                self.close();
            }
            return;
        }
        // From here on everything goes to the tail, so that the order is kept.
        self.head = HEAD;
        let mut entry = Vec::with_capacity(size);
        record::append(&mut entry, stream, at, bytes);
        self.tail_bytes += size;
        self.tail.push_back(entry);
        while self.tail_bytes > TAIL {
            let Some(oldest) = self.tail.pop_front() else { break };
            self.tail_bytes -= oldest.len();
            self.dropped.count(&oldest);
        }
    }

    fn close(&mut self) {
        let chunk = Bytes::from(std::mem::take(&mut self.open));
        self.closed.push((self.seq, chunk));
        self.seq += 1;
        self.dirty = false;
    }

    /// Moves what is not committed into `tx`.
    fn take(&mut self, id: &LogId, tx: &mut Tx) {
        for (seq, chunk) in self.closed.drain(..) {
            tx.put_side(id.chunk_key(seq), chunk);
        }
        if self.dirty {
            tx.put_side(id.chunk_key(self.seq), Bytes::copy_from_slice(&self.open));
            self.dirty = false;
        }
    }
}

impl Live {
    pub fn new(id: LogId) -> Live {
        Live { id, state: Mutex::default(), progress: watch::Sender::default() }
    }

    /// Takes no more, and forgets what is not committed.
    pub fn stop(&self) {
        let mut state = self.state.lock();
        *state = State { finished: true, ..State::default() };
    }

    /// Commits what was written so far. The lock is held over the commit, which waits for nothing, so that an older
    /// version of the open chunk cannot overtake a newer one.
    pub fn flush(&self, store: &Store) {
        let mut state = self.state.lock();
        state.listed = false;
        if state.finished {
            return;
        }
        let mut tx = Tx::new();
        state.take(&self.id, &mut tx);
        if tx.is_empty() {
            return;
        }
        match store.commit(tx) {
            Ok(committed) => self.progress.send_modify(|p| p.revision = committed.revision),
            Err(error) => tracing::error!(pod = self.id.pod_uid, %error, "log not written"),
        }
    }
}

/// The writing end of a log. [`LogWriter::finish`] ends it; a writer that is dropped unfinished leaves what was
/// flushed, and its followers are told that nothing more comes.
pub struct LogWriter {
    logs: Logs,
    live: Arc<Live>,
}

impl LogWriter {
    pub fn new(logs: Logs, live: Arc<Live>) -> LogWriter {
        LogWriter { logs, live }
    }

    /// Appends; never waits for the disk.
    pub fn write(&self, stream: Stream, bytes: &[u8]) {
        let at = self.logs.0.clock.now();
        let must_list = {
            let mut state = self.live.state.lock();
            if state.finished {
                return;
            }
            for piece in bytes.chunks(RECORD) {
                state.write(stream, at, piece);
            }
            let must_list = !state.listed && (state.dirty || !state.closed.is_empty());
            state.listed |= must_list;
            must_list
        };
        if must_list {
            self.logs.0.dirty.lock().push(self.live.clone());
            self.logs.0.dirtied.notify_one();
        }
    }

    /// The end of the log as writes to be committed with the status that ends the container. Nothing can be written
    /// afterwards. Call [`LogWriter::committed`] once it is.
    pub fn finish(&self) -> Tx {
        let mut state = self.live.state.lock();
        let mut tx = Tx::new();
        if !std::mem::replace(&mut state.finished, true) {
            for (stream, line) in state.dropped.notes() {
                record::append(&mut state.open, stream, self.logs.0.clock.now(), line.as_bytes());
                state.dirty = true;
            }
            for entry in std::mem::take(&mut state.tail) {
                state.open.extend_from_slice(&entry);
                state.dirty = true;
                if state.open.len() >= CHUNK {
                    state.close();
                }
            }
            state.take(&self.live.id, &mut tx);
        }
        tx
    }

    /// Tells followers that the end of the log is part of this commit.
    pub fn committed(&self, revision: u64) {
        self.live.progress.send_modify(|p| *p = Progress { revision: p.revision.max(revision), done: true });
    }

    /// Ends the log of a pod that is gone: nothing of it is kept.
    pub fn discard(&self) {
        self.live.stop();
        self.logs.remove(self.live.id.prefix());
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.live.progress.send_modify(|p| p.done = true);
        self.logs.0.live.lock().remove(&self.live.id);
    }
}
