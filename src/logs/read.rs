//! Reading and following a log.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::lines::{Assembler, Line};
use super::record::{Stream, records};
use super::{LogId, Logs};
use crate::store::DiskFailed;

/// Which part of a log, and how it is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Go on until the log ends.
    pub follow: bool,
    /// Begin each line with its time (RFC 3339 with nanoseconds).
    pub timestamps: bool,
    /// Only what was written to this one.
    pub stream: Option<Stream>,
    /// Only lines from this time on.
    pub since: Option<Timestamp>,
    /// Begin with this many of the lines that are there now.
    pub tail_lines: Option<usize>,
    /// End after this many bytes.
    pub limit_bytes: Option<usize>,
}

/// Pieces that wait for the reader of the reader: it takes as long as it wants, and no memory.
const AHEAD: usize = 4;
/// Chunks read from disk at a time.
const CHUNKS: usize = 32;

pub fn spawn(logs: Logs, id: LogId, query: Query) -> mpsc::Receiver<Result<Bytes, DiskFailed>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let mut reader =
            Reader { logs, id, query, sender, assembler: Assembler::default(), seq: 0, offset: 0, sent: 0 };
        if let Err(Ended::Failed(error)) = reader.run().await {
            let _ = reader.sender.send(Err(error)).await;
        }
    });
    receiver
}

enum Ended {
    /// The limit is reached, or nobody listens any more.
    Early,
    Failed(DiskFailed),
}

struct Reader {
    logs: Logs,
    id: LogId,
    query: Query,
    sender: mpsc::Sender<Result<Bytes, DiskFailed>>,
    assembler: Assembler,
    /// The chunk and the byte in it where reading goes on.
    seq: u32,
    offset: usize,
    sent: usize,
}

impl Reader {
    async fn run(&mut self) -> Result<(), Ended> {
        let live = self.logs.live(&self.id);
        if let Some(live) = &live {
            live.flush(&self.logs.0.store);
        }
        let mut progress = live.map(|live| live.progress.subscribe());
        let mut first = true;
        loop {
            // Looked at before reading: what comes later is seen in the next round.
            let now = progress.as_mut().map(|p| *p.borrow_and_update());
            // A log that has ended may have its end still on the way to the disk.
            let revision = now.map_or_else(|| self.logs.0.store.revision(), |now| now.revision);
            self.logs.0.store.durable(revision).await.map_err(Ended::Failed)?;
            let ends = !self.query.follow || now.is_none_or(|now| now.done);
            self.read_on(first, ends).await?;
            first = false;
            let Some(progress) = progress.as_mut().filter(|_| !ends) else { return Ok(()) };
            tokio::select! {
                changed = progress.changed() => if changed.is_err() { return Ok(()) },
                () = self.sender.closed() => return Err(Ended::Early),
            }
        }
    }

    /// Reads to the present end of the log.
    async fn read_on(&mut self, first: bool, ends: bool) -> Result<(), Ended> {
        let mut last_lines = self.query.tail_lines.filter(|_| first).map(|n| (n, VecDeque::new()));
        loop {
            let chunks = self.chunks().await.map_err(Ended::Failed)?;
            let more = chunks.len() == CHUNKS;
            let mut lines = Vec::new();
            for (seq, chunk) in chunks {
                let from = if seq == self.seq { self.offset.min(chunk.len()) } else { 0 };
                let wanted = self.query.stream;
                records(&chunk[from..])
                    .filter(|record| wanted.is_none_or(|stream| record.stream == stream))
                    .for_each(|record| self.assembler.push(record, &mut lines));
                (self.seq, self.offset) = (seq, chunk.len());
            }
            if ends && !more {
                self.assembler.end(&mut lines);
            }
            if let Some(since) = self.query.since {
                lines.retain(|line| line.at >= since);
            }
            match &mut last_lines {
                Some((n, kept)) => {
                    kept.extend(lines);
                    while kept.len() > *n {
                        kept.pop_front();
                    }
                }
                None => self.send(lines).await?,
            }
            if !more {
                break;
            }
        }
        if let Some((_, kept)) = last_lines {
            self.send(kept.into()).await?;
        }
        Ok(())
    }

    async fn chunks(&self) -> Result<Vec<(u32, Bytes)>, DiskFailed> {
        let (store, id, seq) = (self.logs.0.store.clone(), self.id.clone(), self.seq);
        let read = tokio::task::spawn_blocking(move || store.side_records(&id.prefix(), &id.chunk_key(seq), CHUNKS));
        let found = read.await.map_err(|e| DiskFailed(e.to_string()))??;
        let number = |key: &[u8]| key.last_chunk::<4>().map_or(0, |b| u32::from_be_bytes(*b));
        Ok(found.into_iter().map(|(key, chunk)| (number(&key), chunk)).collect())
    }

    async fn send(&mut self, lines: Vec<Line>) -> Result<(), Ended> {
        let mut piece = BytesMut::new();
        for line in lines {
            if self.query.timestamps && line.begins {
                piece.put_slice(format!("{:.9} ", line.at).as_bytes());
            }
            piece.put_slice(&line.text);
        }
        let left = self.query.limit_bytes.map(|limit| limit - self.sent);
        if let Some(left) = left {
            piece.truncate(left);
        }
        self.sent += piece.len();
        if !piece.is_empty() {
            self.sender.send(Ok(piece.freeze())).await.map_err(|_| Ended::Early)?;
        }
        if self.query.limit_bytes == Some(self.sent) { Err(Ended::Early) } else { Ok(()) }
    }
}
