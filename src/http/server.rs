//! What all requests share beside the state that they are about: limits, places, metrics, questions of health.

use std::sync::Arc;

use prometheus_client::registry::Registry;

use super::health::Check;
use super::inflight::InFlight;
use super::metrics::Requests;
use super::rendered::Rendered;
use crate::clock::Clock;
use crate::config::ServerLimits;

pub struct Server {
    pub limits: ServerLimits,
    pub clock: Clock,
    pub(super) inflight: InFlight,
    pub(super) requests: Requests,
    pub(super) rendered: Rendered,
    pub(super) registry: Registry,
    pub(super) checks: Vec<Check>,
}

impl Server {
    /// `registry` has the metrics of the other parts already; `checks` are asked after those that the server knows itself.
    pub fn new(limits: ServerLimits, clock: Clock, mut registry: Registry, checks: Vec<Check>) -> Arc<Server> {
        let inflight = InFlight::new(&limits);
        registry.register_collector(Box::new(inflight.clone()));
        let requests = Requests::register(&mut registry);
        let rendered = Rendered::register(&mut registry);
        Arc::new(Server { limits, clock, inflight, requests, rendered, registry, checks })
    }
}
