//! A connection that gives up on a client which reads nothing: what it does not take stands in memory for it, and in a
//! list the objects as they were. A client that reads slowly is waited for, and a write that need not wait costs nothing
//! here.
//!
//! A client that is told its answer while it still sends a body that nobody wants is read to its end before the connection
//! is closed, within bounds: a kernel that closes with bytes unread resets the connection, and the answer with it.
//!
//! A client that is gone without a word (its machine lost power, or a router forgot the connection) reads nothing either,
//! but a quiet watch writes nothing by which that would be seen. The kernel asks for us: see [`prepare`].

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
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

/// For how long, and how many bytes, a client may go on sending after the last answer. A body is at most a fifth of it.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 16 << 20;

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

pub struct Socket {
    stream: TcpStream,
    clock: Clock,
    patience: Duration,
    heard: Heard,
    /// While a write waits for the client.
    waits: Option<Wait>,
    /// Since the end of what is sent to the client, if it has sent something since.
    lingers: Option<(Wait, usize)>,
    ended: bool,
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
        Socket { stream, clock, patience, heard: Heard::default(), waits: None, lingers: None, ended: false }
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

    /// Reads what the client has sent and is still sending, and forgets it.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 16 << 10];
        loop {
            let mut piece = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut piece) {
                Poll::Ready(Ok(())) if !piece.filled().is_empty() => {
                    let clock = &self.clock;
                    let (_, left) = self.lingers.get_or_insert_with(|| {
                        let clock = clock.clone();
                        (Box::pin(async move { clock.sleep(LINGER).await }), LINGER_BYTES)
                    });
                    let Some(rest) = left.checked_sub(piece.filled().len()) else { return Poll::Ready(()) };
                    *left = rest;
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    // A client that has sent nothing is not waited for.
                    let Some((until, _)) = &mut self.lingers else { return Poll::Ready(()) };
                    return until.as_mut().poll(context);
                }
            }
        }
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
        if !self.ended {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.ended = true;
        }
        self.poll_linger(context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_client_in_the_middle_of_sending_is_heard_out_within_bounds() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for (sent, is_heard_out) in [(0, true), (LINGER_BYTES / 2, true), (LINGER_BYTES * 4, false)] {
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut incoming, mut outgoing) = client.into_split();
            let (accepted, _) = listener.accept().await.unwrap();
            let mut socket = Socket::new(accepted, Clock::manual("2026-01-02T03:04:05Z".parse().unwrap()), LINGER);
            outgoing.write_all(b"x").await.unwrap();
            socket.stream.readable().await.unwrap();
            let sends = tokio::spawn(async move { outgoing.write_all(&vec![0; sent]).await });
            socket.write_all(b"answer").await.unwrap();
            socket.shutdown().await.unwrap();
            drop(socket);
            assert_eq!(sends.await.unwrap().is_ok(), is_heard_out, "{sent}");
            if is_heard_out {
                let mut answer = Vec::new();
                incoming.read_to_end(&mut answer).await.unwrap();
                assert_eq!(answer, b"answer", "{sent}");
            }
        }
    }

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
