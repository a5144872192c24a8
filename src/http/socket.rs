//! A connection that gives up on a client which reads nothing: what it does not take stands in memory for it, and in a
//! list the objects as they were. A client that reads slowly is waited for, and a write that need not wait costs nothing
//! here.
//!
//! A client that is gone without a word (its machine lost power, or a router forgot the connection) reads nothing either,
//! but a quiet watch writes nothing by which that would be seen. The kernel asks for us: see [`prepare`].

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::clock::Clock;

/// Until the kernel first asks a silent client whether it is there; between two questions; and how many it may leave
/// unanswered: after two minutes a client that is gone is known to be. Routers forget silent connections after minutes, too.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
const KEEPALIVE_TRIES: u32 = 4;
/// Milliseconds after which a client is gone that confirms nothing of what it is sent: without it some fifteen minutes.
const UNCONFIRMED_MS: u32 = 120_000;

/// Sets what is wanted of every accepted connection. A kernel that refuses some of it is no reason to refuse the client.
pub fn prepare(stream: &TcpStream) {
    // Events are small and are not to wait for each other.
    let _ = stream.set_nodelay(true);
    let set = sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)
        .and_then(|()| sockopt::set_tcp_keepintvl(stream, KEEPALIVE_EVERY))
        .and_then(|()| sockopt::set_tcp_keepcnt(stream, KEEPALIVE_TRIES))
        .and_then(|()| sockopt::set_tcp_user_timeout(stream, UNCONFIRMED_MS))
        .and_then(|()| sockopt::set_socket_keepalive(stream, true));
    if let Err(error) = set {
        tracing::debug!(%error, "a connection has no keepalive");
    }
}

pub struct Socket {
    stream: TcpStream,
    clock: Clock,
    patience: Duration,
    heard: Heard,
    /// While a write waits for the client.
    waits: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Whether the client has sent anything since it was last sent something: whether it is in the middle of a request, or
/// idle.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<AtomicBool>);

impl Heard {
    pub fn anything(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl Socket {
    pub fn new(stream: TcpStream, clock: Clock, patience: Duration) -> Socket {
        Socket { stream, clock, patience, heard: Heard::default(), waits: None }
    }

    pub fn heard(&self) -> Heard {
        self.heard.clone()
    }

    fn patiently(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.waits = None;
            self.heard.0.store(false, Relaxed);
            return written;
        }
        let (clock, patience) = (&self.clock, self.patience);
        let wait = self.waits.get_or_insert_with(|| {
            let clock = clock.clone();
            Box::pin(async move { clock.sleep(patience).await })
        });
        wait.as_mut().poll(context).map(|()| Err(stalled()))
    }
}

pub fn stalled() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client reads nothing of what it is sent")
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if into.filled().len() > before {
            self.heard.0.store(true, Relaxed);
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.patiently(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.patiently(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_client_that_is_gone_without_a_word_is_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert!(!sockopt::socket_keepalive(&accepted).unwrap());
        prepare(&accepted);
        assert!(sockopt::socket_keepalive(&accepted).unwrap() && sockopt::tcp_nodelay(&accepted).unwrap());
        let (idle, every) = (sockopt::tcp_keepidle(&accepted).unwrap(), sockopt::tcp_keepintvl(&accepted).unwrap());
        let most = idle + every * sockopt::tcp_keepcnt(&accepted).unwrap();
        assert_eq!(most, Duration::from_secs(120));
        assert_eq!(sockopt::tcp_user_timeout(&accepted).unwrap(), UNCONFIRMED_MS);
    }
}
