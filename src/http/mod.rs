//! The Kubernetes API over HTTP, as an unmodified `kubectl` speaks it.
//!
//! A handler reads as decode, decide, commit, answer: deciding is in [`crate::api`], committing in [`crate::store`].
//! Every route is in `router.rs`, every HTTP code in `error.rs`.
//!
//! Invariant: nothing that is not on disk leaves the process. A write answers once its revision is durable, a read
//! once what it shows is, and watches follow the durable revision.

mod accept;
mod apply;
mod base64;
mod compress;
mod connection;
mod continue_token;
mod delete;
mod delete_collection;
pub mod discovery;
pub mod error;
mod field_manager;
mod form;
mod guard;
mod health;
mod inflight;
mod list;
mod metrics;
pub mod modules;
mod observe;
pub mod openapi;
mod pod_actions;
mod pod_log;
pub mod registry;
mod rendered;
mod request;
mod request_info;
mod resource;
mod review;
mod revision;
mod router;
mod selection;
mod serve;
mod server;
mod services;
mod snapshot;
mod socket;
pub mod table;
pub mod top;
mod unread;
mod watch;
mod web;
mod websocket;
mod yaml;

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::Semaphore;

pub use compress::compressed;
pub use continue_token::ContinueToken;
pub use guard::{Access, guarded};
pub use health::Check;
pub use metrics::{MetricRegistries, ObjectMetrics};
pub use observe::observed;
pub use router::router;
pub use serve::serve;
pub use server::Server;

use crate::clock::Clock;
use crate::ids::Ids;
use crate::logs::Logs;
use crate::store::Store;

/// What the handlers work on. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Api {
    pub store: Store,
    pub logs: Logs,
    pub clock: Clock,
    pub ids: Ids,
    pub server: Arc<Server>,
    /// Held for reading while an object is created in a namespace, for writing while the deletion of a namespace begins,
    /// so that nothing is created in one that is being deleted.
    namespaces: Arc<RwLock<()>>,
    measures: Arc<dyn top::Measures>,
    /// Threads for writes that take long.
    asides: Arc<Semaphore>,
}

/// Writes at once that may take long: as many as keep a small machine busy, beside which the others have their share.
const ASIDES: usize = 4;

impl Api {
    pub fn new(store: Store, logs: Logs, ids: Ids, server: Arc<Server>) -> Api {
        let clock = server.clock.clone();
        let (measures, asides) = (Arc::new(top::NoMeasures), Arc::new(Semaphore::new(ASIDES)));
        Api { store, logs, clock, ids, server, namespaces: Arc::default(), measures, asides }
    }
}

#[cfg(test)]
mod tests;
