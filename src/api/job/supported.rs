//! What of a JobSpec this version of kiln honours; the rest is refused. To honour another field, delete its line here:
//! Kubernetes' own validation of it runs already. The struct is taken apart completely, so that a field which a new
//! version of Kubernetes adds stops the build.

use k8s_openapi::api::batch::v1::JobSpec;

use crate::api::field::{FieldError, Path};
use crate::api::unsupported::Refusals;

pub fn check_spec(spec: &JobSpec, path: &Path, faults: &mut Vec<FieldError>) {
    let JobSpec {
        active_deadline_seconds: _,
        backoff_limit: _,
        backoff_limit_per_index: _,
        completion_mode: _,
        completions: _,
        managed_by: _,
        manual_selector: _,
        max_failed_indexes: _,
        parallelism: _,
        pod_failure_policy: _,
        pod_replacement_policy: _,
        scheduling,
        selector: _,
        success_policy: _,
        suspend: _,
        template: _,
        ttl_seconds_after_finished: _,
    } = spec;
    let mut no = Refusals::of(path, faults);
    no.refuse(scheduling.is_some(), "scheduling", "pods are placed one by one");
}
