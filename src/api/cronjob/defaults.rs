//! The defaults of a CronJob (`pkg/apis/batch/v1/defaults.go`, about 1.34). Those of a Job are not applied to its template:
//! they belong to the Jobs that are made of it, when they are made. Those of a pod are.

use k8s_openapi::api::batch::v1::{CronJobSpec, JobSpec};

use super::ALLOW;
use crate::api::job;

pub const SUCCESSFUL_HISTORY: i32 = 3;
pub const FAILED_HISTORY: i32 = 1;

pub fn default_spec(spec: &mut CronJobSpec) {
    if spec.concurrency_policy.as_deref().unwrap_or_default().is_empty() {
        spec.concurrency_policy = Some(ALLOW.to_owned());
    }
    spec.suspend.get_or_insert(false);
    spec.successful_jobs_history_limit.get_or_insert(SUCCESSFUL_HISTORY);
    spec.failed_jobs_history_limit.get_or_insert(FAILED_HISTORY);
    default_template(spec.job_template.spec.get_or_insert_default());
}

/// Of a Job's defaults those that stand below its spec: of the pod, and of the patterns in a failure policy.
fn default_template(spec: &mut JobSpec) {
    let mut defaulted = spec.clone();
    job::defaults::default_spec(&mut defaulted);
    spec.template = defaulted.template;
    spec.pod_failure_policy = defaulted.pod_failure_policy;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_template_gets_the_defaults_of_a_pod_and_not_those_of_a_job() {
        let mut spec: CronJobSpec = serde_json::from_value(json!({"schedule": "@daily", "concurrencyPolicy": "",
            "jobTemplate": {"spec": {
                "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "X"}]}]},
                "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}}}))
        .unwrap();
        default_spec(&mut spec);
        let spec = serde_json::to_value(&spec).unwrap();
        assert_eq!(
            (&spec["concurrencyPolicy"], &spec["suspend"], &spec["startingDeadlineSeconds"], &spec["timeZone"]),
            (&json!("Allow"), &json!(false), &json!(null), &json!(null))
        );
        assert_eq!((&spec["successfulJobsHistoryLimit"], &spec["failedJobsHistoryLimit"]), (&json!(3), &json!(1)));
        let job = &spec["jobTemplate"]["spec"];
        assert_eq!(job["template"]["spec"]["dnsPolicy"], "ClusterFirst");
        assert_eq!(job["template"]["spec"]["containers"][0]["imagePullPolicy"], "Always");
        assert_eq!(job["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["status"], "True");
        for field in ["parallelism", "completions", "backoffLimit", "completionMode", "suspend", "podReplacementPolicy"]
        {
            assert_eq!(job.get(field), None, "{field}");
        }
    }

    #[test]
    fn what_is_written_stays() {
        let mut spec: CronJobSpec = serde_json::from_value(json!({"schedule": "@daily", "concurrencyPolicy": "Forbid",
            "suspend": true, "successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 0,
            "jobTemplate": {"spec": {"template": {}}}}))
        .unwrap();
        default_spec(&mut spec);
        assert_eq!((spec.concurrency_policy.as_deref(), spec.suspend), (Some("Forbid"), Some(true)));
        assert_eq!((spec.successful_jobs_history_limit, spec.failed_jobs_history_limit), (Some(0), Some(0)));
    }
}
