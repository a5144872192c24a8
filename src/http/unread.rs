//! What a client is still sending when it has its answer.
//!
//! An answer may come before the body was read: the token is wrong, the body too long, the path none. A connection that is
//! closed on bytes that nobody read is reset, and a client that is busy writing then sees a broken pipe instead of the
//! answer. So what is on its way, or announced, is read and thrown away beside the answer, for a while.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{Request, StatusCode, header};
use bytes::Bytes;
use futures::StreamExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use parking_lot::Mutex;

use crate::clock::Clock;

/// For how long, and how much: what a client on the same machine or network sends in that time. More is not worth it.
const PATIENCE: Duration = Duration::from_secs(5);
const MOST: usize = 64 << 20;

/// The body of a request, in two hands: the handler's, and that of whoever reads what the handler has left.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<Incoming>>);

impl Body for Shared {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *self.0.lock()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().size_hint()
    }
}

/// The second hand; empty if there is nothing to be left.
#[derive(Debug)]
pub struct Rest(Option<Shared>);

/// Takes the body of a request in both hands.
pub fn shared(request: Request<Incoming>) -> (Request<Shared>, Rest) {
    // Whoever waits for a 100 sends nothing if it is refused.
    let may_be_left = !request.body().is_end_stream() && !request.headers().contains_key(header::EXPECT);
    let request = request.map(|body| Shared(Arc::new(Mutex::new(body))));
    let rest = Rest(may_be_left.then(|| request.body().clone()));
    (request, rest)
}

impl Rest {
    /// Reads what is left after this answer.
    pub fn read_after(self, answer: StatusCode, clock: &Clock) {
        // One was too slow already, the other begins something else.
        if matches!(answer, StatusCode::REQUEST_TIMEOUT | StatusCode::SWITCHING_PROTOCOLS) {
            return;
        }
        let Some(body) = self.0.filter(|body| !body.is_end_stream()) else { return };
        let clock = clock.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = throw_away(body) => {}
                () = clock.sleep(PATIENCE) => {}
            }
        });
    }
}

async fn throw_away(body: Shared) {
    let (mut pieces, mut left) = (axum::body::Body::new(body).into_data_stream(), MOST);
    while let Some(Ok(piece)) = pieces.next().await {
        left = left.saturating_sub(piece.len());
        if left == 0 {
            return;
        }
    }
}
