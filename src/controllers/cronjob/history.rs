//! Which finished Jobs of a CronJob are dropped: the oldest beyond what its limits keep (`cleanupFinishedJobs` in
//! kubernetes `pkg/controller/cronjob/cronjob_controllerv2.go`).

use std::sync::Arc;

use k8s_openapi::api::batch::v1::{CronJobSpec, Job};

use super::view::{End, end};

/// The Jobs to drop, oldest first, those that succeeded before those that failed.
pub fn surplus<'a>(spec: &CronJobSpec, children: &[&'a Arc<Job>]) -> Vec<&'a Arc<Job>> {
    let kept = [(End::Complete, spec.successful_jobs_history_limit), (End::Failed, spec.failed_jobs_history_limit)];
    let mut surplus = Vec::new();
    for (how, limit) in kept {
        let Some(limit) = limit else { continue };
        let mut ended: Vec<&Arc<Job>> = children.iter().copied().filter(|job| end(job) == Some(how)).collect();
        ended.sort_by_key(|job| {
            let start = job.status.as_ref().and_then(|s| s.start_time.as_ref()).map(|t| t.0);
            // One that never started comes last.
            (start.is_none(), start, job.metadata.name.clone())
        });
        let drop = ended.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        surplus.extend(ended.into_iter().take(drop));
    }
    surplus
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(name: &str, start: Option<u8>, end: &str) -> Arc<Job> {
        let start = start.map(|hour| format!("2026-01-01T{hour:02}:00:00Z"));
        let value = json!({"metadata": {"name": name}, "status": {"startTime": start,
            "conditions": [{"type": end, "status": "True"}]}});
        Arc::new(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn the_oldest_beyond_each_limit_go() {
        let jobs = [
            job("e", Some(5), "Complete"),
            job("b", Some(1), "Complete"),
            job("a", Some(1), "Complete"),
            job("z", None, "Failed"),
            job("f", Some(9), "Failed"),
            job("g", Some(2), "Suspended"),
        ];
        let children: Vec<&Arc<Job>> = jobs.iter().collect();
        let dropped = |complete: Option<i32>, failed: Option<i32>| {
            let spec = CronJobSpec {
                successful_jobs_history_limit: complete,
                failed_jobs_history_limit: failed,
                ..CronJobSpec::default()
            };
            let names = surplus(&spec, &children).into_iter().map(|job| job.metadata.name.clone().unwrap());
            names.collect::<Vec<_>>().join("")
        };
        assert_eq!(dropped(Some(3), Some(2)), "");
        assert_eq!(dropped(Some(1), Some(1)), "abf");
        assert_eq!(dropped(Some(0), Some(0)), "abefz");
        assert_eq!(dropped(None, Some(0)), "fz");
        assert_eq!(dropped(None, None), "");
    }
}
