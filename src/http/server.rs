//! What all requests share beside the state that they are about: limits, places, metrics, questions of health.

use std::sync::Arc;

use super::health::Check;
use super::inflight::InFlight;
use super::metrics::{MetricRegistries, Requests};
use super::rendered::Rendered;
use crate::clock::Clock;
use crate::config::ServerLimits;

pub struct Server {
    pub limits: ServerLimits,
    pub clock: Clock,
    pub(super) inflight: InFlight,
    pub(super) requests: Requests,
    pub(super) rendered: Rendered,
    pub(super) registries: MetricRegistries,
    pub(super) checks: Vec<Check>,
}

impl Server {
    /// `registries` have the metrics of the other parts already; `checks` are asked after those that the server knows itself.
    pub fn new(
        limits: ServerLimits,
        clock: Clock,
        registries: impl Into<MetricRegistries>,
        checks: Vec<Check>,
    ) -> Arc<Server> {
        let mut registries = registries.into();
        let registry = &mut registries.parts;
        let inflight = InFlight::new(&limits);
        registry.register_collector(Box::new(inflight.clone()));
        let requests = Requests::register(registry);
        let rendered = Rendered::register(registry);
        Arc::new(Server { limits, clock, inflight, requests, rendered, registries, checks })
    }
}
