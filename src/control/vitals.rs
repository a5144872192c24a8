//! How a loop is doing, for those who ask from outside: whether it still goes round, how much is before it, how often it
//! had to decide anew. Written by the loop, read by anybody, never waited for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

#[derive(Debug)]
pub struct Vitals {
    pub name: &'static str,
    /// Keys in the queue, due or not.
    pub(super) depth: AtomicUsize,
    pub(super) decisions: AtomicU64,
    /// Decisions whose ground had moved before they were committed.
    pub(super) stale: AtomicU64,
    waits_for_disk: AtomicBool,
    /// When it last went round; `None` until it has begun.
    beat: Mutex<Option<Instant>>,
}

impl Vitals {
    pub(super) fn new(name: &'static str) -> Vitals {
        Vitals {
            name,
            depth: AtomicUsize::new(0),
            decisions: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            waits_for_disk: AtomicBool::new(false),
            beat: Mutex::default(),
        }
    }

    pub(super) fn waits_for_disk(&self, waits: bool) {
        self.waits_for_disk.store(waits, Relaxed);
    }

    pub(super) fn beat(&self, now: Instant) {
        *self.beat.lock() = Some(now);
    }

    /// A loop goes round with each change, and every [`super::runner::RECHECK`] without one.
    pub fn check(&self, now: Instant, patience: Duration) -> Result<(), String> {
        let beat = *self.beat.lock();
        match beat.map(|beat| now.saturating_duration_since(beat)) {
            None => Err(format!("{} has not begun", self.name)),
            Some(age) if age > patience && !self.waits_for_disk.load(Relaxed) => {
                Err(format!("{} has not gone round for {} s", self.name, age.as_secs()))
            }
            Some(_) => Ok(()),
        }
    }
}

/// All loops, as metrics.
#[derive(Debug)]
pub struct LoopMetrics(pub Vec<Arc<Vitals>>);

impl Collector for LoopMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Keys that wait in the queue of a controller, those for later included.";
        let mut depth = encoder.encode_descriptor("kiln_controller_queue_depth", help, None, MetricType::Gauge)?;
        for vitals in &self.0 {
            let row = ConstGauge::new(vitals.depth.load(Relaxed) as u64);
            row.encode(depth.encode_family(&[("controller", vitals.name)])?)?;
        }
        type Count = fn(&Vitals) -> &AtomicU64;
        let decisions: Count = |vitals| &vitals.decisions;
        let stale: Count = |vitals| &vitals.stale;
        for (name, help, of) in [
            ("kiln_controller_decisions", "Keys that a controller has decided about.", decisions),
            ("kiln_controller_stale_decisions", "Decisions made anew because something had changed.", stale),
        ] {
            let mut counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for vitals in &self.0 {
                let row = ConstCounter::new(of(vitals).load(Relaxed));
                row.encode(counter.encode_family(&[("controller", vitals.name)])?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_loop_that_does_not_go_round_is_found_out() {
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let (vitals, patience) = (Vitals::new("x"), Duration::from_secs(60));
        assert_eq!(vitals.check(clock.instant(), patience), Err("x has not begun".to_owned()));
        vitals.beat(clock.instant());
        clock.advance(Duration::from_secs(60));
        assert_eq!(vitals.check(clock.instant(), patience), Ok(()));
        clock.advance(Duration::from_secs(1));
        assert_eq!(vitals.check(clock.instant(), patience), Err("x has not gone round for 61 s".to_owned()));
        vitals.waits_for_disk(true);
        assert_eq!(vitals.check(clock.instant(), patience), Ok(()));
        vitals.waits_for_disk(false);
        vitals.beat(clock.instant());
        assert_eq!(vitals.check(clock.instant(), patience), Ok(()));
    }
}
