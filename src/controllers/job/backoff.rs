//! When failed pods may be replaced: 10 s after the first failure, then 20 s, 40 s … up to ten minutes, measured from
//! the last failure; a success ends the series (kubernetes `pkg/controller/job/backoff_utils.go`).
//!
//! The series is computed from the pods themselves, in whatever order they are seen, so that it goes on after a
//! restart; upstream begins anew there.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use crate::api::meta;
use crate::api::pod::facts;

const BASE_SECONDS: i64 = 10;
const MOST_SECONDS: i64 = 600;
/// Beyond this the delay is at its maximum, so older failures need not be remembered: 10 s · 2⁶ > 600 s.
const REMEMBERED: usize = 8;

/// The failures since the last success, in order of time.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Backoff {
    last_success: Option<Timestamp>,
    failures: Vec<Timestamp>,
}

impl Backoff {
    /// Takes in a finished pod, once, in any order. `now` is when it is seen.
    pub fn observe(&mut self, pod: &Pod, now: Timestamp) {
        if facts::is_disrupted(pod) || !facts::is_finished(pod) {
            return;
        }
        // A time in the status is cut to the second: the pod finished within the second that follows it.
        let finished = meta::add_seconds(facts::finished_at(pod), 1).min(now);
        if facts::has_succeeded(pod) {
            self.last_success = self.last_success.max(Some(finished));
            self.failures.retain(|at| *at > finished);
        } else if self.last_success.is_none_or(|success| finished > success) {
            let place = self.failures.partition_point(|at| *at < finished);
            self.failures.insert(place, finished);
            if self.failures.len() > REMEMBERED {
                self.failures.remove(0);
            }
        }
    }

    /// When the next pod may be created; `None` if at once.
    pub fn until(&self) -> Option<Timestamp> {
        let last = self.failures.last()?;
        let doublings = u32::try_from(self.failures.len() - 1).unwrap_or(u32::MAX).min(16);
        let seconds = (BASE_SECONDS << doublings).min(MOST_SECONDS);
        Some(last.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::pod::facts::test::finished_pod;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn after(pods: &[(i64, bool)]) -> Option<i64> {
        let mut backoff = Backoff::default();
        for &(second, succeeded) in pods {
            backoff.observe(&finished_pod(at(second), succeeded), at(second));
        }
        backoff.until().map(|t| t.as_second())
    }

    #[test]
    fn the_delay_doubles_with_each_failure_up_to_ten_minutes() {
        let cases: &[(usize, i64)] = &[(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 320), (7, 600), (30, 600)];
        for &(failures, delay) in cases {
            let pods: Vec<_> = (0..failures as i64).map(|i| (1000 + i, false)).collect();
            assert_eq!(after(&pods), Some(1000 + failures as i64 - 1 + delay), "{failures} failures");
        }
        assert_eq!(after(&[]), None);
    }

    #[test]
    fn a_success_ends_the_series_and_later_failures_begin_a_new_one() {
        assert_eq!(after(&[(1, false), (2, false), (3, true)]), None);
        assert_eq!(after(&[(1, false), (3, true), (5, false)]), Some(15));
    }

    #[test]
    fn the_order_in_which_pods_are_seen_does_not_matter() {
        assert_eq!(after(&[(5, false), (3, true), (1, false)]), after(&[(1, false), (3, true), (5, false)]));
    }

    #[test]
    fn the_delay_never_starts_before_the_pod_had_finished() {
        let mut backoff = Backoff::default();
        let seen: Timestamp = "1970-01-01T00:00:07.9Z".parse().unwrap();
        backoff.observe(&finished_pod(at(7), false), seen);
        assert_eq!(backoff.until(), Some(seen.saturating_add(SignedDuration::from_secs(10)).unwrap()));
    }
}
