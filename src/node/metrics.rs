//! What the node counts: pods and runs, how soon they begin, what they burn. Clones share the counts.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::sandbox::{Outcome, Usage};

#[derive(Clone, Debug)]
pub struct NodeMetrics {
    /// Pods that the node has taken on and that are not over.
    pub driven: Gauge,
    /// Those of which a container has begun.
    pub running: Gauge,
    pub start_seconds: Histogram,
    runs: Family<[(&'static str, &'static str); 1], Counter>,
    fuel: Counter,
    cpu_seconds: Counter<f64, AtomicU64>,
}

impl Default for NodeMetrics {
    fn default() -> NodeMetrics {
        NodeMetrics {
            driven: Gauge::default(),
            running: Gauge::default(),
            // From 0.1 ms to 13 s.
            start_seconds: Histogram::new(exponential_buckets(0.0001, 2.0, 18)),
            runs: Family::default(),
            fuel: Counter::default(),
            cpu_seconds: Counter::default(),
        }
    }
}

impl NodeMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register("kiln_pods_driven", "Pods that the node has and that are not over", self.driven.clone());
        registry.register("kiln_pods_running", "Pods of these of which a container has begun", self.running.clone());
        registry.register(
            "kiln_pod_start_seconds",
            "From the node seeing that a pod is bound to it to the first instruction of its first container",
            self.start_seconds.clone(),
        );
        registry.register("kiln_container_runs", "Runs of containers that have ended, by how", self.runs.clone());
        registry.register(
            "kiln_fuel",
            "Fuel burned by runs that have ended: about one per instruction",
            self.fuel.clone(),
        );
        registry.register(
            "kiln_guest_cpu_seconds",
            "Time in which runs that have ended were executed",
            self.cpu_seconds.clone(),
        );
    }

    pub fn ended(&self, outcome: &Outcome, usage: &Usage) {
        self.runs.get_or_create(&[("outcome", name(outcome))]).inc();
        self.fuel.inc_by(usage.fuel);
        self.cpu_seconds.inc_by(usage.cpu.as_secs_f64());
    }
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Exited { code: 0 } => "Completed",
        Outcome::Exited { .. } => "Error",
        Outcome::DeadlineExceeded => "DeadlineExceeded",
        Outcome::FuelExhausted { .. } => "FuelExhausted",
        Outcome::MemoryLimit { .. } => "MemoryLimit",
        Outcome::DiskLimit { .. } => "DiskLimit",
        Outcome::Trap { kind, .. } => kind.as_str(),
        Outcome::Cancelled => "Cancelled",
        Outcome::StartFailed { .. } => "StartFailed",
        Outcome::HostError { .. } => "HostError",
    }
}

/// One more, as long as it lives.
pub struct Counted(Gauge);

impl Counted {
    pub fn new(gauge: &Gauge) -> Counted {
        gauge.inc();
        Counted(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
