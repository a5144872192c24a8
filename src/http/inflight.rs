//! How many requests may be under way at a time: of those that read, of those that write, and of those that take as long
//! as their client wants (apiserver `server/filters/maxinflight.go`). Whoever is one too many is told so at once and
//! comes back; nobody waits in line here.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::request_info::Class;
use crate::config::ServerLimits;

/// Clones share the places.
#[derive(Clone, Debug)]
pub struct InFlight {
    reads: Pool,
    writes: Pool,
    long: Pool,
}

#[derive(Clone, Debug)]
struct Pool {
    free: Arc<Semaphore>,
    size: usize,
}

impl Pool {
    fn new(size: u64) -> Pool {
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Pool { free: Arc::new(Semaphore::new(size)), size }
    }

    fn taken(&self) -> usize {
        self.size - self.free.available_permits()
    }
}

/// Held until the last byte of the answer is on its way.
#[derive(Debug)]
pub struct Place(#[allow(dead_code, reason = "it is given back when it is dropped")] Option<OwnedSemaphorePermit>);

impl InFlight {
    pub fn new(limits: &ServerLimits) -> InFlight {
        InFlight {
            reads: Pool::new(limits.requests_inflight),
            writes: Pool::new(limits.mutating_requests_inflight),
            long: Pool::new(limits.long_requests),
        }
    }

    /// A place for one more request; `None` if there is none.
    pub fn enter(&self, class: Class) -> Option<Place> {
        let pool = match class {
            Class::Exempt => return Some(Place(None)),
            Class::Read => &self.reads,
            Class::Write => &self.writes,
            Class::Long => &self.long,
        };
        pool.free.clone().try_acquire_owned().ok().map(|permit| Place(Some(permit)))
    }
}

impl Collector for InFlight {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests under way, but for watches, followed logs and uploads.";
        let name = "apiserver_current_inflight_requests";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (kind, pool) in [("readOnly", &self.reads), ("mutating", &self.writes)] {
            metric.encode_family(&[("request_kind", kind)])?.encode_gauge(&(pool.taken() as u64))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_own_places_and_health_needs_none() {
        let limits = ServerLimits { requests_inflight: 2, mutating_requests_inflight: 1, ..ServerLimits::default() };
        let inflight = InFlight::new(&limits);
        let first = inflight.enter(Class::Read);
        let second = inflight.enter(Class::Read);
        assert!(first.is_some() && second.is_some() && inflight.enter(Class::Read).is_none());
        let write = inflight.enter(Class::Write);
        assert!(write.is_some() && inflight.enter(Class::Write).is_none());
        let taken = || [&inflight.reads, &inflight.writes, &inflight.long].map(Pool::taken);
        assert_eq!(taken(), [2, 1, 0]);
        assert!(inflight.enter(Class::Exempt).is_some() && inflight.enter(Class::Long).is_some());
        drop((first, write));
        assert_eq!(taken(), [1, 0, 0]);
        assert!(inflight.enter(Class::Read).is_some() && inflight.enter(Class::Write).is_some());
    }
}
