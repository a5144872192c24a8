//! What of a JobSpec this version of kiln honours; the rest is refused. To honour another field, delete its line here:
//! Kubernetes' own validation of it runs already. The struct is taken apart completely, so that a field which a new
//! version of Kubernetes adds stops the build.

use k8s_openapi::api::batch::v1::JobSpec;

use crate::api::field::{FieldError, Path};
use crate::api::job::defaults::INDEXED;
use crate::api::unsupported::Refusals;

const INDEXES: &str = "only NonIndexed Jobs run; make one Job per index, or let pods take their work from a queue";

pub fn check_spec(spec: &JobSpec, path: &Path, faults: &mut Vec<FieldError>) {
    let JobSpec {
        active_deadline_seconds: _,
        backoff_limit: _,
        backoff_limit_per_index,
        completion_mode,
        completions: _,
        managed_by,
        manual_selector,
        max_failed_indexes,
        parallelism: _,
        pod_failure_policy,
        pod_replacement_policy,
        scheduling,
        selector: _,
        success_policy,
        suspend,
        template: _,
        ttl_seconds_after_finished: _,
    } = spec;
    let mut no = Refusals::of(path, faults);
    no.refuse(completion_mode.as_deref() == Some(INDEXED), "completionMode", INDEXES);
    no.refuse(backoff_limit_per_index.is_some(), "backoffLimitPerIndex", INDEXES);
    no.refuse(max_failed_indexes.is_some(), "maxFailedIndexes", INDEXES);
    no.refuse(success_policy.is_some(), "successPolicy", INDEXES);
    no.refuse(pod_failure_policy.is_some(), "podFailurePolicy", "every failure counts against backoffLimit");
    let replace = "a pod is replaced as soon as it is being deleted or has failed";
    no.refuse(pod_replacement_policy.as_deref() == Some("Failed"), "podReplacementPolicy", replace);
    no.flag(*suspend, "suspend", "create the Job when it may start");
    no.text(managed_by, &["kubernetes.io/job-controller"], "managedBy", "kiln manages every Job itself");
    no.flag(*manual_selector, "manualSelector", "leave it and the selector out; kiln generates one");
    no.refuse(scheduling.is_some(), "scheduling", "pods are placed one by one");
}
