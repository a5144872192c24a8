//! One WebSocket, from its first message to its end: the states of [`super`].

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use bytes::Bytes;
use futures::{SinkExt, Stream, StreamExt};

use crate::clock::Clock;
use crate::http::base64;
use crate::http::observe::UnderWay;
use crate::http::serve::Stopping;

/// Without a message for so long a ping is sent: proxies close what is silent for a minute.
const PING_EVERY: Duration = Duration::from_secs(30);
/// For the client to answer a close.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// How bytes become messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A text per line, which keeps its line feed as at the API server.
    Lines,
    /// A binary message per piece.
    Binary,
    /// A text per piece.
    Base64,
}

impl Framing {
    /// A log begins with an empty message: it says that the log was found.
    fn first(self) -> Option<Message> {
        match self {
            Framing::Lines => None,
            Framing::Binary => Some(Message::Binary(Bytes::new())),
            Framing::Base64 => Some(Message::Text(Utf8Bytes::default())),
        }
    }

    fn messages(self, piece: Bytes) -> Vec<Message> {
        match self {
            Framing::Binary => vec![Message::Binary(piece)],
            Framing::Base64 => vec![Message::Text(base64::encode(&piece).into())],
            Framing::Lines => {
                let mut left = piece;
                let mut messages = Vec::new();
                while !left.is_empty() {
                    let end = left.iter().position(|b| *b == b'\n').map_or(left.len(), |at| at + 1);
                    let line = left.split_to(end);
                    // JSON is text; whatever else there could be is sent all the same.
                    messages.push(match Utf8Bytes::try_from(line.clone()) {
                        Ok(text) => Message::Text(text),
                        Err(_) => Message::Binary(line),
                    });
                }
                messages
            }
        }
    }
}

pub struct Link {
    pub socket: WebSocket,
    pub clock: Clock,
    pub framing: Framing,
    pub stopping: Stopping,
    pub under_way: Option<UnderWay>,
}

impl Link {
    /// Sends the pieces until they end, or the client does. Answers whether it was given up because it read nothing.
    pub async fn run<E: fmt::Display>(mut self, pieces: impl Stream<Item = Result<Bytes, E>> + Unpin) -> bool {
        match self.send_all(pieces).await {
            Ok(()) => false,
            Err(error) => {
                tracing::debug!(%error, "a WebSocket ended early");
                has_stalled(&error)
            }
        }
    }

    async fn send_all<E: fmt::Display>(
        &mut self,
        mut pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<(), axum::Error> {
        self.send(self.framing.first()).await?;
        loop {
            let clock = self.clock.clone();
            tokio::select! {
                heard = self.socket.recv() => match heard {
                    None => return Ok(()),
                    Some(Ok(Message::Close(_))) => return self.hear_end().await,
                    Some(heard) => drop(heard?),
                },
                piece = pieces.next() => match piece {
                    Some(Ok(piece)) => self.send(self.framing.messages(piece)).await?,
                    Some(Err(error)) => return self.close(close_code::ERROR, error.to_string()).await,
                    None if self.stopping.0.is_cancelled() => {
                        return self.close(close_code::AWAY, "the server stops".to_owned()).await;
                    }
                    None => return self.close(close_code::NORMAL, String::new()).await,
                },
                () = clock.sleep(PING_EVERY) => self.send([Message::Ping(Bytes::new())]).await?,
            }
        }
    }

    /// Waits until the client has taken them.
    async fn send(&mut self, messages: impl IntoIterator<Item = Message>) -> Result<(), axum::Error> {
        for message in messages {
            if let (Some(under_way), Message::Text(_) | Message::Binary(_)) = (&self.under_way, &message) {
                under_way.sent(length(&message));
            }
            self.socket.feed(message).await?;
        }
        self.socket.flush().await
    }

    async fn close(&mut self, code: u16, mut reason: String) -> Result<(), axum::Error> {
        // With the code at most 125 bytes.
        while reason.len() > 120 {
            reason.pop();
        }
        let frame = CloseFrame { code, reason: reason.into() };
        self.socket.send(Message::Close(Some(frame))).await?;
        self.hear_end().await
    }

    /// Hears the client out: a connection that is closed over unread bytes takes what was sent last with it.
    async fn hear_end(&mut self) -> Result<(), axum::Error> {
        let clock = self.clock.clone();
        let rest = async {
            // An error is an end as well.
            while let Some(Ok(_)) = self.socket.recv().await {}
        };
        tokio::select! {
            () = rest => {}
            () = clock.sleep(CLOSE_TIME) => {}
        }
        Ok(())
    }
}

fn length(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    }
}

/// Whether the error is that of [`crate::http::socket::stalled`].
fn has_stalled(error: &axum::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_a_text_per_line_and_a_log_a_message_per_piece() {
        let piece = Bytes::from_static(b"{\"a\":1}\n{\"b\":2}\n");
        let lines = Framing::Lines.messages(piece.clone());
        assert_eq!(lines, [Message::text("{\"a\":1}\n"), Message::text("{\"b\":2}\n")]);
        assert_eq!(Framing::Binary.messages(piece.clone()), [Message::binary(piece)]);
        assert_eq!(Framing::Base64.messages(Bytes::from_static(b"foob\xff")), [Message::text("Zm9vYv8=")]);
        assert_eq!(Framing::Lines.messages(Bytes::from_static(b"a\n\xff")).len(), 2, "nothing is lost");
    }

    #[test]
    fn an_end_by_impatience_is_known_under_what_wraps_it() {
        let stalled = axum::Error::new(crate::http::socket::stalled());
        assert!(has_stalled(&stalled) && has_stalled(&axum::Error::new(stalled)));
        assert!(!has_stalled(&axum::Error::new(io::Error::from(io::ErrorKind::BrokenPipe))));
    }
}
