//! `spec.activeDeadlineSeconds` of a Job: counted from `status.startTime` on the wall clock.
//!
//! `startTime` has whole seconds, which would take up to a second from a deadline of one. So a Job with a deadline also
//! carries the exact start in an annotation, and each of its pods the exact instant at which the node must stop it.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use crate::api::{meta, well_known};

/// The reason of a pod that its node stopped at a deadline.
const STOPPED: &str = "DeadlineExceeded";

/// When the Job's time is up; `None` without a deadline, or before the Job has started.
pub fn deadline(job: &Job) -> Option<Timestamp> {
    let seconds = job.spec.as_ref()?.active_deadline_seconds?;
    let exact = meta::annotation(&job.metadata, well_known::ANNOTATION_START_TIME).and_then(meta::parse_micros);
    let whole = || job.status.as_ref()?.start_time.as_ref().map(|t| t.0);
    Some(meta::add_seconds(exact.or_else(whole)?, seconds))
}

/// Whether the node has stopped the pod at this deadline of its Job, and not at one of the pod's own. The node may tell of it
/// a moment before the controller looks at the time.
pub fn has_stopped(deadline: Timestamp, pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let is_stopped = status.is_some_and(|status| status.reason.as_deref() == Some(STOPPED));
    let known = meta::annotation(&pod.metadata, well_known::ANNOTATION_DEADLINE).and_then(meta::parse_micros);
    let started = status.and_then(|status| status.start_time.as_ref()).map(|time| time.0);
    let own = pod.spec.as_ref().and_then(|spec| spec.active_deadline_seconds);
    let is_own = started.zip(own).is_some_and(|(started, own)| meta::add_seconds(started, own) < deadline);
    is_stopped && !is_own && known == Some(deadline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::batch::v1::{JobSpec, JobStatus};
    use serde_json::json;

    #[test]
    fn a_pod_is_known_by_its_reason_and_the_deadline_that_it_knew() {
        let deadline: Timestamp = "2026-01-01T00:00:10.5Z".parse().unwrap();
        let exact = meta::format_micros(deadline);
        for (reason, known, own, expected) in [
            ("DeadlineExceeded", exact.as_str(), None, true),
            ("DeadlineExceeded", &exact, Some(11), true),
            ("DeadlineExceeded", &exact, Some(5), false),
            ("DeadlineExceeded", "2026-01-01T00:00:09.500000Z", None, false),
            ("Error", &exact, None, false),
        ] {
            let pod = json!({"metadata": {"annotations": {"kiln.dev/deadline": known}},
                "spec": {"containers": [], "activeDeadlineSeconds": own},
                "status": {"reason": reason, "startTime": "2026-01-01T00:00:00Z"}});
            assert_eq!(
                has_stopped(deadline, &serde_json::from_value(pod).unwrap()),
                expected,
                "{reason} {known} {own:?}"
            );
        }
    }

    #[test]
    fn the_exact_start_counts_where_it_is_known() {
        let mut job =
            Job { spec: Some(JobSpec { active_deadline_seconds: Some(1), ..JobSpec::default() }), ..Job::default() };
        assert_eq!(deadline(&job), None);
        let start: Timestamp = "2026-01-01T00:00:00.75Z".parse().unwrap();
        job.status = Some(JobStatus { start_time: Some(meta::time(start)), ..JobStatus::default() });
        assert_eq!(deadline(&job).unwrap().to_string(), "2026-01-01T00:00:01Z");
        meta::set_annotation(&mut job.metadata, well_known::ANNOTATION_START_TIME, meta::format_micros(start));
        assert_eq!(deadline(&job).unwrap().to_string(), "2026-01-01T00:00:01.75Z");
    }
}
