//! The stream through which a component writes to a file that lies in an area.
//!
//! Each write waits for its turn on the pod's disk and is done on a thread that may block; the turn ends with the write,
//! whether or not the guest asks for its result. Never: more than one write of a stream under way.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};

use super::disk::{Disk, DiskError, growth};

/// How many bytes one write may bring: as wasmtime-wasi's own streams.
const MAX_WRITE: usize = 64 << 10;

pub(super) struct FileOutput {
    disk: Disk,
    area: usize,
    file: Arc<File>,
    /// Where the next write goes; nothing for the end.
    at: Option<u64>,
    state: State,
}

enum State {
    Ready,
    Writing(AbortOnDropJoinHandle<Result<u64, WriteError>>),
    Failed(WriteError),
    Closed,
}

enum WriteError {
    Disk(DiskError),
    Io(io::Error),
}

impl FileOutput {
    pub(super) fn new(disk: Disk, area: usize, file: Arc<File>, at: Option<u64>) -> FileOutput {
        FileOutput { disk, area, file, at, state: State::Ready }
    }

    /// The error of the write before, told once.
    fn check(&mut self) -> StreamResult<()> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Failed(WriteError::Disk(error)) => Err(StreamError::Trap(error.into())),
            State::Failed(WriteError::Io(error)) => Err(StreamError::LastOperationFailed(error.into())),
            State::Closed => Err(StreamError::Closed),
            state => {
                self.state = state;
                Ok(())
            }
        }
    }
}

async fn write(disk: Disk, area: usize, file: Arc<File>, at: Option<u64>, bytes: Bytes) -> Result<u64, WriteError> {
    let len = bytes.len() as u64;
    let end = |size: u64| at.map_or(size.saturating_add(len), |at| size.max(at.saturating_add(len)));
    let turn = disk.grow(area, || growth(&file, end)).await.map_err(WriteError::Disk)?;
    let written = tokio::task::spawn_blocking(move || {
        // Nobody else changes the file's size in this turn.
        let at = match at {
            Some(at) => at,
            None => file.metadata()?.len(),
        };
        file.write_all_at(&bytes, at)?;
        drop(turn);
        Ok(len)
    });
    written.await.map_err(io::Error::other).flatten().map_err(WriteError::Io)
}

#[async_trait]
impl OutputStream for FileOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.check()?;
        let State::Ready = self.state else {
            return Err(StreamError::Trap(wasmtime::format_err!("write not permitted: check_write not called first")));
        };
        if bytes.is_empty() {
            return Ok(());
        }
        let (disk, file) = (self.disk.clone(), self.file.clone());
        self.state = State::Writing(spawn(write(disk, self.area, file, self.at, bytes)));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.check()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.check()?;
        match self.state {
            State::Ready => Ok(MAX_WRITE),
            _ => Ok(0),
        }
    }

    async fn cancel(&mut self) {
        // What was accepted is written before the stream is gone.
        self.ready().await;
        self.state = State::Closed;
    }
}

#[async_trait]
impl Pollable for FileOutput {
    async fn ready(&mut self) {
        if let State::Writing(task) = &mut self.state {
            self.state = match task.await {
                Ok(written) => {
                    self.at = self.at.map(|at| at.saturating_add(written));
                    State::Ready
                }
                Err(error) => State::Failed(error),
            };
        }
    }
}
