//! How busy the machine is: CPU time and memory in use, by whatever uses it.
//!
//! Of the same machine as the Node's capacity, so that a share of it means something: of the processors on which this
//! process may run, or of its control group where that limits them. As the kubelet's figure of a node, it is not of pods
//! alone. The system only has a total of CPU time, so each heartbeat leaves a mark, and a reading is of the time since
//! the last mark that is old enough.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::vitals::{control_group_dir, memory, text};
use crate::clock::Clock;
use crate::sandbox::Reading;

/// What a reading is of at least, once there is a mark of that age: the time between two heartbeats.
const WINDOW: Duration = super::heartbeat::EVERY;

/// And before that.
const LEAST_WINDOW: Duration = Duration::from_secs(1);

/// Marks kept. Two would do if heartbeats were never late or early.
const KEPT: usize = 3;

/// `/proc` counts in hundredths of a second on every machine that kiln runs on (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// Of the machine on which this process runs.
#[derive(Debug, Default)]
pub struct Load(Mutex<VecDeque<(Instant, Duration)>>);

impl Load {
    /// Notes the CPU time until now. Reads the system: never call it on a runtime thread.
    pub fn mark(&self, clock: &Clock) {
        if let Some(used) = cpu_time() {
            let mut marks = self.0.lock();
            marks.push_front((clock.instant(), used));
            marks.truncate(KEPT);
        }
    }

    /// What is used now; `None` if nothing was noted for a second. Reads the system, too.
    pub fn read(&self, clock: &Clock) -> Option<Reading> {
        let used = cpu_time()?;
        let (window, cpu) = lately(self.0.lock().iter().copied(), clock.instant(), used)?;
        let (total, available) = memory();
        Some(Reading { cpu, window, memory_bytes: total.saturating_sub(available) })
    }
}

/// The time since the newest of the marks (they come the newest first) that is a window old, or else since the oldest;
/// and the CPU time within it, if it was `used` in all by now.
fn lately(
    marks: impl Iterator<Item = (Instant, Duration)> + Clone,
    now: Instant,
    used: Duration,
) -> Option<(Duration, Duration)> {
    let age = |at: Instant| now.saturating_duration_since(at);
    let (at, before) = marks.clone().find(|(at, _)| age(*at) >= WINDOW).or_else(|| marks.last())?;
    (age(at) >= LEAST_WINDOW).then(|| (age(at), used.saturating_sub(before)))
}

/// CPU time of all processes since the machine or the control group began; `None` if the system does not say.
fn cpu_time() -> Option<Duration> {
    let of_group = control_group_dir().and_then(|dir| of_group(&dir));
    of_group.or_else(|| of_processors(&text("/proc/stat"), &allowed(&text("/proc/self/status"))))
}

/// Of the control group, if it limits the processors (version 2).
fn of_group(dir: &Path) -> Option<Duration> {
    let limit = text(dir.join("cpu.max"));
    if limit.is_empty() || limit.starts_with("max") {
        return None;
    }
    usage_of(&text(dir.join("cpu.stat")))
}

fn usage_of(cpu_stat: &str) -> Option<Duration> {
    let micros = cpu_stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    Some(Duration::from_micros(micros.trim().parse().ok()?))
}

/// The processors of `Cpus_allowed_list`, as ranges; none if it is not said.
fn allowed(status: &str) -> Vec<(u32, u32)> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    list.trim().split(',').filter_map(range).collect()
}

/// The time that these processors were neither idle nor taken away by a hypervisor.
fn of_processors(proc_stat: &str, allowed: &[(u32, u32)]) -> Option<Duration> {
    let mut ticks: Option<u64> = None;
    for line in proc_stat.lines() {
        let mut words = line.split_ascii_whitespace();
        let number = words.next().and_then(|word| word.strip_prefix("cpu")).and_then(|n| n.parse::<u32>().ok());
        if !number.is_some_and(|n| allowed.iter().any(|(first, last)| (*first..=*last).contains(&n))) {
            continue;
        }
        // user, nice, system, idle, iowait, irq, softirq; what follows is stolen, or counted in the first two already.
        let fields: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        let busy = [0, 1, 2, 5, 6].iter().filter_map(|i| fields.get(*i)).fold(0, |sum: u64, n| sum.saturating_add(*n));
        ticks = Some(ticks.unwrap_or(0).saturating_add(busy));
    }
    let millis = ticks?.saturating_mul(u64::try_from(TICK.as_millis()).unwrap_or(u64::MAX));
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  900 900 900 900 900 900 900 900 900 900\n\
                        cpu0 1 2 4 1000 1000 8 16 1000 1000 1000\n\
                        cpu1 32 0 0 1000\n\
                        cpu2 64 0 0 1000 0 0 0\n\
                        intr 5 6 7\n";

    #[test]
    fn the_systems_words_are_understood() {
        for (status, millis) in [
            ("Name:\tkiln\nCpus_allowed_list:\t0-2\n", Some(1270)),
            ("Cpus_allowed_list:\t0,2-9\n", Some(950)),
            ("Cpus_allowed_list:\t1\n", Some(320)),
            ("Cpus_allowed_list:\t7\n", None),
            ("Cpus_allowed_list:\tx-y,\n", None),
            ("", None),
        ] {
            assert_eq!(of_processors(STAT, &allowed(status)), millis.map(Duration::from_millis), "{status}");
        }
        assert_eq!(usage_of("usage_usec 1500000\nuser_usec 1\n"), Some(Duration::from_millis(1500)));
        assert_eq!(usage_of("user_usec 1\n"), None);
    }

    #[test]
    fn a_group_counts_where_it_limits() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(of_group(dir.path()), None);
        std::fs::write(dir.path().join("cpu.stat"), "usage_usec 7\n").unwrap();
        for (limit, expected) in [("max 100000\n", None), ("50000 100000\n", Some(Duration::from_micros(7)))] {
            std::fs::write(dir.path().join("cpu.max"), limit).unwrap();
            assert_eq!(of_group(dir.path()), expected, "{limit}");
        }
    }

    #[test]
    fn a_reading_is_of_the_time_since_the_newest_mark_that_is_old_enough() {
        let seconds = Duration::from_secs;
        let start = Clock::real().instant();
        for (marks, now, expected) in [
            (&[][..], 30, None),
            (&[30][..], 30, None),
            (&[30], 33, Some((3, 3))),
            (&[30, 20, 10], 39, Some((19, 19))),
            (&[30, 20, 10], 40, Some((10, 10))),
            // The heart has missed beats.
            (&[30], 90, Some((60, 60))),
        ] {
            // One core is always busy.
            let marks = marks.iter().map(|at| (start + seconds(*at), seconds(100 + *at)));
            let found = lately(marks, start + seconds(now), seconds(100 + now));
            assert_eq!(found, expected.map(|(window, cpu)| (seconds(window), seconds(cpu))), "{now}");
        }
    }

    #[test]
    fn this_machine_can_be_read() {
        let (clock, load) = (Clock::manual("2026-01-01T00:00:00Z".parse().unwrap()), Load::default());
        load.mark(&clock);
        assert_eq!(load.read(&clock), None);
        clock.advance(LEAST_WINDOW);
        let reading = load.read(&clock).unwrap();
        assert_eq!(reading.window, LEAST_WINDOW);
        assert!(reading.memory_bytes > 1 << 20, "{reading:?}");
    }
}
