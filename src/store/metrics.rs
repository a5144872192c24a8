//! What the store tells of itself: how long a commit waits for the disk, what is refused, how much there is.

use std::fmt;
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::{CommitError, Store};
use crate::api::Kind;

/// Clones share what they count.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub commits: Counter,
    refused: Family<[(&'static str, &'static str); 1], Counter>,
    commit_seconds: Histogram,
    flush_seconds: Histogram,
}

impl Metrics {
    pub fn new() -> Metrics {
        // From 0.2 ms to 6.6 s.
        let seconds = || Histogram::new(exponential_buckets(0.0002, 2.0, 16));
        Metrics {
            commits: Counter::default(),
            refused: Family::default(),
            commit_seconds: seconds(),
            flush_seconds: seconds(),
        }
    }

    pub fn refused(&self, error: &CommitError) -> u64 {
        let reason = match error {
            CommitError::AlreadyExists(..) => "exists",
            CommitError::NotFound(..) => "missing",
            CommitError::Stale(..) => "stale",
            CommitError::Replaced { .. } => "replaced",
            CommitError::ReadOnly(_) => "read-only",
        };
        self.refused.get_or_create(&[("reason", reason)]).inc()
    }

    /// An epoch that was written between two instants, and when its commits were made.
    pub fn flushed(&self, started: Instant, done: Instant, begun: &[Instant]) {
        self.flush_seconds.observe(done.saturating_duration_since(started).as_secs_f64());
        for begun in begun {
            self.commit_seconds.observe(done.saturating_duration_since(*begun).as_secs_f64());
        }
    }
}

impl Store {
    pub fn register_metrics(&self, registry: &mut Registry) {
        let metrics = &self.shared.metrics;
        registry.register("kiln_store_commits", "Transactions committed", metrics.commits.clone());
        registry.register("kiln_store_commits_refused", "Transactions refused, by why", metrics.refused.clone());
        let help = "From a commit in memory to its being on disk";
        registry.register("kiln_commit_seconds", help, metrics.commit_seconds.clone());
        let help = "Writing and syncing one batch of commits";
        registry.register("kiln_flush_seconds", help, metrics.flush_seconds.clone());
        registry.register_collector(Box::new(Present(self.clone())));
    }
}

/// What is read when somebody asks.
struct Present(Store);

impl fmt::Debug for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Present")
    }
}

impl Collector for Present {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let shared = &self.0.shared;
        let (revision, counts) = {
            let state = shared.state.read();
            (state.revision(), Kind::ALL.iter().map(|&kind| (kind, state.count(kind))).collect::<Vec<_>>())
        };
        let durability = shared.durable.borrow().clone();
        gauge(&mut encoder, "kiln_store_revision", "The newest revision.", revision)?;
        let help = "The newest revision that is on disk.";
        gauge(&mut encoder, "kiln_store_durable_revision", help, durability.revision)?;
        let writable = u64::from(durability.failed.is_none());
        gauge(&mut encoder, "kiln_store_writable", "0 once the disk has failed.", writable)?;
        let waiting = shared.committer.waiting() as u64;
        gauge(&mut encoder, "kiln_store_waiting_commits", "Commits that wait for their turn to be written.", waiting)?;
        let age = shared.committer.oldest_unflushed().unwrap_or_default().as_secs_f64();
        let help = "How long the oldest commit that is not on disk has waited.";
        gauge(&mut encoder, "kiln_store_oldest_unflushed_seconds", help, age)?;
        let help = "Objects by resource.";
        let mut objects = encoder.encode_descriptor("kiln_store_objects", help, None, MetricType::Gauge)?;
        for (kind, count) in counts {
            objects.encode_family(&[("resource", kind.info().plural)])?.encode_gauge(&(count as u64))?;
        }
        Ok(())
    }
}

fn gauge<N>(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: N) -> fmt::Result
where
    N: EncodeGaugeValue + Clone,
{
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}
