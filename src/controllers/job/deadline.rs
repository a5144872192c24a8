//! `spec.activeDeadlineSeconds` of a Job: counted from `status.startTime` on the wall clock.
//!
//! `startTime` has whole seconds, which would take up to a second from a deadline of one. So a Job with a deadline also
//! carries the exact start in an annotation, and each of its pods the exact instant at which the node must stop it.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

use crate::api::{meta, well_known};

/// When the Job's time is up; `None` without a deadline, or before the Job has started.
pub fn deadline(job: &Job) -> Option<Timestamp> {
    let seconds = job.spec.as_ref()?.active_deadline_seconds?;
    let exact = meta::annotation(&job.metadata, well_known::ANNOTATION_START_TIME).and_then(meta::parse_micros);
    let whole = || job.status.as_ref()?.start_time.as_ref().map(|t| t.0);
    Some(meta::add_seconds(exact.or_else(whole)?, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::batch::v1::{JobSpec, JobStatus};

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
