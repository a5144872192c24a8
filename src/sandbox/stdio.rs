//! Where a guest's output goes: each write is handed to a [`Sink`] as it comes, in order, with no buffer in between.
//!
//! Never: a task or a channel per write. The stream that wasmtime-wasi makes of an `AsyncWrite` has both, and is a
//! hundred times slower at the 64-byte writes that chatty programs make.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// How many bytes a guest may write before it lets others run: 256 KiB are about a millisecond of 64-byte writes. One
/// `fd_write` of a large buffer is a single call of the guest that no epoch interrupts, so it is interrupted here.
const BYTES_PER_TURN: usize = 256 << 10;

/// How many bytes one write may bring. wasmtime-wasi cuts preview-1 writes to 4 KiB on its own.
const MAX_WRITE: usize = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Is told of a run while it goes on: that it begins, and what the guest writes. It must not block or panic, and it bounds its own memory: the guest may write without
/// end, as fast as memory allows.
pub trait Sink: Send + Sync + 'static {
    fn write(&self, stream: Stream, bytes: &[u8]);

    /// The instance is made, and its first instruction comes next.
    fn begins(&self) {}
}

/// One of the two output streams of a guest.
#[derive(Clone)]
pub(super) struct Output {
    sink: Arc<dyn Sink>,
    stream: Stream,
    /// Bytes since the guest last let others run.
    turn: usize,
}

impl Output {
    pub(super) fn new(sink: Arc<dyn Sink>, stream: Stream) -> Output {
        Output { sink, stream, turn: 0 }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.sink.write(self.stream, &bytes);
        self.turn += bytes.len();
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_WRITE)
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        if self.turn >= BYTES_PER_TURN {
            self.turn = 0;
            tokio::task::yield_now().await;
        }
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.sink.write(self.stream, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
