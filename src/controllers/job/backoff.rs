//! When failed pods may be replaced: 10 s after the first failure, then 20 s, 40 s … up to ten minutes, measured from
//! the last failure; a success ends the series (kubernetes `pkg/controller/job/backoff_utils.go`). A Job may set other
//! numbers with the annotation `kiln.dev/backoff`.
//!
//! The series is computed from the pods themselves, in whatever order they are seen, so that it goes on after a
//! restart; upstream begins anew there.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use crate::api::job::backoff::Setting;
use crate::api::pod::facts;
use crate::api::{meta, well_known};

/// Failures whose time is remembered, for pods that are seen out of order; of older ones the number is.
const REMEMBERED: usize = 8;

/// When a pod ended, as [`ended_at`] has it, and the second that its status tells. Both, because of two pods that are
/// first seen at the same moment the one may have ended a second before the other.
type End = (Timestamp, Timestamp);

/// The failures since the last success, in order of time.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Backoff {
    last_success: Option<End>,
    failures: Vec<End>,
    /// How many there were before those.
    older: u32,
}

/// What a Job asks for. Admission has refused what cannot be read.
pub fn setting(job: &Job) -> Setting {
    let text = meta::annotation(&job.metadata, well_known::ANNOTATION_BACKOFF);
    text.and_then(|text| Setting::parse(text).ok()).unwrap_or_default()
}

/// When a pod ended. `now` is when that is seen. A time in the status is cut to the second: the pod ended within the
/// second that follows it.
pub fn ended_at(pod: &Pod, now: Timestamp) -> Timestamp {
    meta::add_seconds(facts::finished_at(pod), 1).min(now)
}

impl Backoff {
    /// Takes in a finished pod, once, in any order. `now` is when it is seen.
    pub fn observe(&mut self, pod: &Pod, now: Timestamp) {
        if facts::is_disrupted(pod) || !facts::is_finished(pod) {
            return;
        }
        let finished = (ended_at(pod, now), facts::finished_at(pod));
        if facts::has_succeeded(pod) {
            self.last_success = self.last_success.max(Some(finished));
            let before = self.failures.len();
            self.failures.retain(|at| *at > finished);
            if self.failures.len() < before || self.failures.is_empty() {
                self.older = 0;
            }
        } else if self.last_success.is_none_or(|success| finished > success) {
            let place = self.failures.partition_point(|at| *at < finished);
            self.failures.insert(place, finished);
            if self.failures.len() > REMEMBERED {
                self.failures.remove(0);
                self.older = self.older.saturating_add(1);
            }
        }
    }

    /// When the next pod may be created; `None` if at once. Failures before `since` were those of an earlier attempt.
    pub fn until(&self, setting: &Setting, since: Option<Timestamp>) -> Option<Timestamp> {
        let recent =
            self.failures.len() - since.map_or(0, |since| self.failures.partition_point(|(at, _)| *at < since));
        let older = if recent == self.failures.len() { self.older } else { 0 };
        let (last, _) = self.failures.last().filter(|_| recent > 0)?;
        let failures = u32::try_from(recent).unwrap_or(u32::MAX).saturating_add(older);
        Some(last.saturating_add(setting.delay(failures)).unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::pod::facts::test::finished_pod;
    use jiff::SignedDuration;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn after(pods: &[(i64, bool)]) -> Option<i64> {
        let mut backoff = Backoff::default();
        for &(second, succeeded) in pods {
            backoff.observe(&finished_pod(at(second), succeeded), at(second));
        }
        backoff.until(&Setting::default(), None).map(|t| t.as_second())
    }

    #[test]
    fn a_failure_a_second_after_a_success_counts_also_if_both_are_seen_at_once() {
        for seen in [false, true] {
            let mut backoff = Backoff::default();
            // In either order.
            for succeeded in [seen, !seen] {
                let end = if succeeded { 6 } else { 7 };
                backoff.observe(&finished_pod(at(end), succeeded), at(7));
            }
            assert_eq!(backoff.until(&Setting::default(), None), Some(at(17)));
        }
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
        assert_eq!(
            backoff.until(&Setting::default(), None),
            Some(seen.saturating_add(SignedDuration::from_secs(10)).unwrap())
        );
    }

    #[test]
    fn failures_of_an_earlier_attempt_delay_nothing() {
        let mut backoff = Backoff::default();
        for second in 1..=20 {
            backoff.observe(&finished_pod(at(second), false), at(second));
        }
        let until = |since: Option<i64>| backoff.until(&Setting::default(), since.map(at)).map(|t| t.as_second());
        assert_eq!(until(None), Some(620));
        assert_eq!(until(Some(19)), Some(40), "two since then");
        assert_eq!(until(Some(21)), None);
    }

    #[test]
    fn a_long_series_of_short_delays_is_counted_to_its_end() {
        let setting = Setting::parse("base=1s,factor=1.1,cap=1m").unwrap();
        let mut backoff = Backoff::default();
        for second in 0..30 {
            backoff.observe(&finished_pod(at(second), false), at(second));
        }
        assert_eq!(backoff.until(&setting, None), Some(at(29).saturating_add(setting.delay(30)).unwrap()));
        assert!(setting.delay(30) > setting.delay(8));
    }
}
