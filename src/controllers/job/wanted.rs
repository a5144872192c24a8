//! How many pods of a Job there should be: the three kinds of Job (kubernetes `pkg/controller/job/job_controller.go`,
//! `manageJob`).

use k8s_openapi::api::batch::v1::JobSpec;

/// What the decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    pub active: i32,
    pub succeeded: i32,
    /// Indexes that have failed for good.
    pub failed_indexes: i32,
}

/// The number of pods that should be active.
///
/// - Fixed count (`completions` is set; a single Job is 1 of 1): what is still missing, at most `parallelism`. Of an Indexed
///   Job no index is tried again that has failed for good.
/// - Work queue (`completions` is absent): `parallelism` until one pod has succeeded; from then on none is created, and
///   those that run are left to finish.
pub fn wanted_active(spec: &JobSpec, counts: Counts) -> i32 {
    let parallelism = spec.parallelism.unwrap_or(1).max(0);
    match spec.completions {
        Some(completions) => {
            completions.saturating_sub(counts.succeeded).saturating_sub(counts.failed_indexes).clamp(0, parallelism)
        }
        None if counts.succeeded > 0 => counts.active.min(parallelism),
        None => parallelism,
    }
}

/// Whether the Job has done its work.
pub fn is_complete(spec: &JobSpec, counts: Counts) -> bool {
    match spec.completions {
        Some(completions) => counts.succeeded >= completions,
        None => counts.succeeded > 0 && counts.active == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(completions: Option<i32>, parallelism: i32, active: i32, succeeded: i32) -> (i32, bool) {
        let spec = JobSpec { completions, parallelism: Some(parallelism), ..JobSpec::default() };
        let counts = Counts { active, succeeded, failed_indexes: 0 };
        (wanted_active(&spec, counts), is_complete(&spec, counts))
    }

    #[test]
    fn a_fixed_count_job_wants_what_is_missing_up_to_its_parallelism() {
        assert_eq!(wanted(Some(5), 2, 0, 0), (2, false));
        assert_eq!(wanted(Some(5), 2, 1, 4), (1, false));
        assert_eq!(wanted(Some(5), 2, 0, 5), (0, true));
        assert_eq!(wanted(Some(5), 2, 1, 6), (0, true));
        assert_eq!(wanted(Some(0), 1, 0, 0), (0, true));
        assert_eq!(wanted(Some(5), 0, 2, 1), (0, false));
    }

    #[test]
    fn a_work_queue_job_creates_nothing_after_the_first_success() {
        assert_eq!(wanted(None, 3, 0, 0), (3, false));
        assert_eq!(wanted(None, 3, 2, 1), (2, false));
        assert_eq!(wanted(None, 1, 2, 1), (1, false));
        assert_eq!(wanted(None, 3, 0, 1), (0, true));
    }
}
