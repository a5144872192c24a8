//! A stream of bytes from where it is awaited to where it is written: pieces go through a short queue to a reader on a thread
//! that may block. A slow disk slows the sender down, and memory does not grow.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

/// Pieces, of some kilobytes each, that may wait for the disk.
const QUEUE: usize = 16;

/// A piece; `None` is the end, without which the stream is cut off.
pub type Piece = io::Result<Option<Bytes>>;

/// The two ends. A sender that is dropped without having sent an end is a broken connection.
pub fn pieces() -> (mpsc::Sender<Piece>, Received) {
    let (queue, received) = mpsc::channel(QUEUE);
    (queue, Received { queue: received, piece: Bytes::new() })
}

/// What was received so far, and waits for the rest.
pub struct Received {
    queue: mpsc::Receiver<Piece>,
    piece: Bytes,
}

impl Read for Received {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.queue.blocking_recv() {
                Some(Ok(Some(piece))) => self.piece = piece,
                Some(Ok(None)) => return Ok(0),
                Some(Err(error)) => return Err(error),
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        let n = into.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut into[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_read_to_the_end_that_was_sent_and_a_lost_sender_is_an_error() {
        let (queue, mut received) = pieces();
        for piece in [&b"ab"[..], b"", b"c"] {
            queue.blocking_send(Ok(Some(Bytes::from_static(piece)))).unwrap();
        }
        queue.blocking_send(Ok(None)).unwrap();
        let mut text = String::new();
        received.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        drop(queue);
        assert_eq!(received.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
