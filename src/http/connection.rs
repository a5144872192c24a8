//! An open connection, as whoever holds it sees it. A request that becomes a WebSocket outlives the part of the server that
//! accepted its connection, and takes the connection's place among those allowed with it.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::server::Server;

/// Clones are of the same connection, which is open until the last of them is dropped.
#[derive(Clone)]
pub struct Connection(Arc<Open>);

struct Open {
    server: Arc<Server>,
    cut: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// `cut` is cancelled when the server waits no longer for those that are left.
    pub fn new(server: Arc<Server>, place: OwnedSemaphorePermit, cut: CancellationToken) -> Connection {
        server.requests.connections.inc();
        Connection(Arc::new(Open { server, cut, _place: place }))
    }

    /// Returns when the server waits no longer.
    pub async fn cut(&self) {
        self.0.cut.cancelled().await;
    }

    /// Counts an end that the server made, by its reason.
    pub fn count_cut(&self, reason: &'static str) {
        self.0.server.requests.cut(reason);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.server.requests.connections.dec();
    }
}
