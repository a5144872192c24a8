//! What a run uses while it runs, for whoever holds its [`Meter`].
//!
//! The run itself keeps two totals, where it comes by anyway: CPU time after each slice, memory when it grows. A total
//! does not say what is used *now*. For that there are marks: the CPU time at the begin of a slice, [`STEP`] apart, the last
//! few of them. A reading is of the time since a mark about [`WINDOW`] ago. So nobody has to ask twice, what one reader is told
//! does not depend on whether another has asked, nothing is done at fixed times, and a run that is over within a step
//! makes one mark, at its begin.
//!
//! Invariants:
//! - What is read is at most one core: the time of a mark is a moment at which its CPU time was exact, and the slice under way
//!   is not counted yet. A slice is a millisecond; a call of the host that is not interrupted may be longer, and is counted
//!   when it is over.
//! - Whatever is used later than [`STEP`] after a mark has a mark of its own before it. So a run that has slept for an hour
//!   makes no marks, and is known to have used nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::clock::Clock;

/// How far back a reading looks, or a step further: what metrics-server takes by default, and the kubelet about.
const WINDOW: Duration = Duration::from_secs(15);

/// The least time between two marks.
pub(super) const STEP: Duration = Duration::from_secs(5);

/// As many as are not older than a window, and the one before.
const KEPT: usize = 4;

/// Of one run. Clones are of the same one.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    cpu_nanos: AtomicU64,
    memory_bytes: AtomicU64,
    marks: Mutex<Marks>,
}

/// What a run uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Time spent on executing it within the window.
    pub cpu: Duration,
    /// The time until now that this is about.
    pub window: Duration,
    /// Bytes of memory that it holds now, counted as against its limit.
    pub memory_bytes: u64,
}

impl Meter {
    /// Reads what the run uses; `None` if it has not begun.
    pub fn read(&self, clock: &Clock) -> Option<Reading> {
        // Marks first and the clock last: so the CPU time lies between the two.
        let marks = *self.0.marks.lock();
        let cpu = self.0.cpu_nanos.load(Relaxed);
        let (window, cpu_nanos) = marks.lately(clock.instant(), cpu)?;
        let memory_bytes = self.0.memory_bytes.load(Relaxed);
        Some(Reading { cpu: Duration::from_nanos(cpu_nanos), window, memory_bytes })
    }

    /// As the sandbox begins a run.
    #[cfg(test)]
    pub fn begins_at(&self, at: Instant) {
        self.mark(at, Duration::ZERO);
    }

    /// At `at`, which is not within a slice, the run had used `cpu`. The first mark is the begin of the run.
    pub(super) fn mark(&self, at: Instant, cpu: Duration) {
        self.0.marks.lock().push(Mark { at, cpu_nanos: nanos(cpu) });
    }

    pub(super) fn set_cpu(&self, cpu: Duration) {
        self.0.cpu_nanos.store(nanos(cpu), Relaxed);
    }

    pub(super) fn set_memory(&self, bytes: u64) {
        self.0.memory_bytes.store(bytes, Relaxed);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    cpu_nanos: u64,
}

/// The last marks, the newest first.
#[derive(Clone, Copy, Debug, Default)]
struct Marks([Option<Mark>; KEPT]);

impl Marks {
    fn push(&mut self, mark: Mark) {
        self.0.rotate_right(1);
        self.0[0] = Some(mark);
    }

    /// The window that ends at `now`, and the nanoseconds of CPU time within it, if there were `cpu_nanos` in all.
    fn lately(&self, now: Instant, cpu_nanos: u64) -> Option<(Duration, u64)> {
        let mut later = None;
        for mark in self.0.iter().flatten() {
            let age = now.saturating_duration_since(mark.at);
            if age >= WINDOW + STEP {
                // What has been used since then was used after the next mark; if there is none, nothing was.
                let before = later.map_or(cpu_nanos, |next: Mark| next.cpu_nanos);
                return Some((WINDOW, cpu_nanos.saturating_sub(before)));
            }
            later = Some(*mark);
            if age >= WINDOW {
                break;
            }
        }
        // The first that is older than the window, or the begin of the run.
        later.map(|mark| (now.saturating_duration_since(mark.at), cpu_nanos.saturating_sub(mark.cpu_nanos)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Instants are only ever compared with each other.
    fn start() -> Instant {
        Clock::real().instant()
    }

    fn marks(all: &[(f64, u64)]) -> (Instant, Marks) {
        let (start, mut marks) = (start(), Marks::default());
        for &(at, cpu_nanos) in all {
            marks.push(Mark { at: start + Duration::from_secs_f64(at), cpu_nanos });
        }
        (start, marks)
    }

    #[test]
    fn a_reading_is_of_the_time_since_the_mark_about_a_window_ago() {
        // Marks in seconds and their CPU time; when it is asked and the CPU time then; the window and what was used in it.
        type Case<'a> = (&'a [(f64, u64)], f64, u64, Option<(f64, u64)>);
        let cases: &[Case<'_>] = &[
            (&[], 9.0, 9, None),
            // Since the begin, as long as that is all there is.
            (&[(0.0, 0)], 0.0, 0, Some((0.0, 0))),
            (&[(0.0, 0)], 3.0, 2, Some((3.0, 2))),
            (&[(0.0, 0), (5.0, 5), (10.0, 9)], 14.0, 11, Some((14.0, 11))),
            // Since the newest mark that is a window old.
            (&[(0.0, 0), (5.0, 5), (10.0, 9)], 15.0, 12, Some((15.0, 12))),
            (&[(0.0, 0), (5.0, 5), (10.0, 9), (15.0, 12)], 20.0, 15, Some((15.0, 10))),
            (&[(0.0, 0), (5.0, 5), (10.0, 9), (15.0, 12), (20.0, 14)], 24.9, 16, Some((19.9, 11))),
            // Asleep: what was used, was used within a step after the mark, and that is long ago.
            (&[(0.0, 0)], 19.9, 4, Some((19.9, 4))),
            (&[(0.0, 0)], 20.0, 4, Some((15.0, 0))),
            (&[(0.0, 0)], 3600.0, 4, Some((15.0, 0))),
            // Awake again: all since the last mark is of the window.
            (&[(0.0, 0), (3600.0, 4)], 3600.5, 7, Some((15.0, 3))),
            (&[(0.0, 0), (3600.0, 4), (3605.0, 8)], 3619.0, 9, Some((19.0, 5))),
            (&[(0.0, 0), (3600.0, 4), (3605.0, 8)], 3621.0, 9, Some((16.0, 1))),
            // A clock that went back, if there were one, and a total that is behind its mark.
            (&[(5.0, 7)], 4.0, 6, Some((0.0, 0))),
        ];
        for (all, now, cpu, expected) in cases {
            let (start, marks) = marks(all);
            let found = marks.lately(start + Duration::from_secs_f64(*now), *cpu);
            let expected = expected.map(|(window, cpu)| (Duration::from_secs_f64(window), cpu));
            let off = |a: Duration, b: Duration| a.abs_diff(b) > Duration::from_micros(1);
            let same = found.is_none() == expected.is_none()
                && found.zip(expected).is_none_or(|(f, e)| f.1 == e.1 && !off(f.0, e.0));
            assert!(same, "{all:?} at {now}: {found:?} for {expected:?}");
        }
    }

    proptest! {
        /// Slices and pauses as a run has them, and a reading after each: nothing that was used within the window is
        /// missing, and nothing from before it is counted but what a slice straddles.
        #[test]
        fn what_is_read_is_what_was_used_in_the_window(
            slices in proptest::collection::vec((0_u64..8 * SECOND, 0_u64..SECOND / 50), 1..200),
        ) {
            let (start, meter) = (start(), Meter::default());
            let at = |nanos: u64| start + Duration::from_nanos(nanos);
            meter.mark(start, Duration::ZERO);
            let (mut now, mut cpu, mut marked) = (0, 0, 0);
            let mut done: Vec<(u64, u64)> = Vec::new();
            for (pause, slice) in slices {
                let before = now + pause;
                now = before + slice;
                if now - marked >= nanos(STEP) {
                    meter.mark(at(before), Duration::from_nanos(cpu));
                    marked = before;
                }
                cpu += slice;
                meter.set_cpu(Duration::from_nanos(cpu));
                done.push((before, now));
                let marks = *meter.0.marks.lock();
                let (window, used) = marks.lately(at(now), cpu).unwrap();
                let from = now - nanos(window);
                let (mut least, mut most) = (0, 0);
                for &(begin, end) in &done {
                    least += if begin >= from { end - begin } else { 0 };
                    most += if end >= from { end - begin } else { 0 };
                }
                prop_assert!((least..=most).contains(&used), "{used} is not of {least}..={most}");
                prop_assert!(used <= nanos(window));
                prop_assert!(window <= WINDOW + STEP + Duration::from_millis(20));
                prop_assert!(window >= WINDOW - Duration::from_millis(80) || from == 0, "{window:?}");
            }
        }
    }

    #[test]
    fn clones_read_the_same_run() {
        let (clock, meter) = (Clock::manual("2026-01-01T00:00:00Z".parse().unwrap()), Meter::default());
        assert_eq!(meter.read(&clock), None);
        let seen = meter.clone();
        meter.mark(clock.instant(), Duration::ZERO);
        clock.advance(Duration::from_secs(2));
        meter.set_cpu(Duration::from_millis(1500));
        meter.set_memory(1 << 16);
        let expected =
            Reading { cpu: Duration::from_millis(1500), window: Duration::from_secs(2), memory_bytes: 1 << 16 };
        assert_eq!(seen.read(&clock), Some(expected));
    }
}
