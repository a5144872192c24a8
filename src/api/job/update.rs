//! What may change in the spec of an existing Job (`ValidateJobSpecUpdate` in `pkg/apis/batch/validation`, about 1.34):
//! parallelism, limits, deadlines and suspension at any time; the template only where a suspended Job may be placed
//! differently; nothing else.

use k8s_openapi::api::batch::v1::{JobSpec, JobStatus};
use k8s_openapi::api::core::v1::{Affinity, PodSpec, PodTemplateSpec};

use crate::api::field::{FieldError, Path};
use crate::api::job::defaults::INDEXED;
use crate::api::validate_meta::{IMMUTABLE, json, semantically_equal};
use crate::api::well_known::COND_SUSPENDED;

pub fn validate_update(
    new: &JobSpec,
    old: &JobSpec,
    status: Option<&JobStatus>,
    path: &Path,
    faults: &mut Vec<FieldError>,
) {
    validate_completions(new, old, &path.child("completions"), faults);
    immutable(&new.selector, &old.selector, &path.child("selector"), faults);
    let template = path.child("template");
    match may_be_placed_anew(old, status) {
        true => immutable(&new.template, &placed_as(&old.template, &new.template), &template, faults),
        false => immutable(&new.template, &old.template, &template, faults),
    }
    immutable(&new.completion_mode, &old.completion_mode, &path.child("completionMode"), faults);
    immutable(&new.pod_failure_policy, &old.pod_failure_policy, &path.child("podFailurePolicy"), faults);
    immutable(&new.backoff_limit_per_index, &old.backoff_limit_per_index, &path.child("backoffLimitPerIndex"), faults);
    immutable(&new.managed_by, &old.managed_by, &path.child("managedBy"), faults);
    immutable(&new.success_policy, &old.success_policy, &path.child("successPolicy"), faults);
}

fn immutable<T: PartialEq + serde::Serialize>(new: &T, old: &T, path: &Path, faults: &mut Vec<FieldError>) {
    if !semantically_equal(new, old) {
        faults.push(FieldError::invalid(path, json(new), IMMUTABLE));
    }
}

/// An Indexed Job may grow and shrink, if it runs all its indexes at once.
fn validate_completions(new: &JobSpec, old: &JobSpec, path: &Path, faults: &mut Vec<FieldError>) {
    if new.completion_mode.as_deref() != Some(INDEXED) {
        immutable(&new.completions, &old.completions, path, faults);
    } else if new.completions != old.completions
        && let Some(completions) = new.completions
        && new.parallelism != Some(completions)
    {
        let detail = "can only be modified in tandem with spec.parallelism";
        faults.push(FieldError::invalid(path, completions, detail));
    }
}

/// Whether the Job is suspended and none of its pods can still follow the template of before.
fn may_be_placed_anew(old: &JobSpec, status: Option<&JobStatus>) -> bool {
    let never_started = status.is_none_or(|s| s.start_time.is_none());
    let stopped = status.is_some_and(|s| {
        let suspended = |c: &k8s_openapi::api::batch::v1::JobCondition| c.type_ == COND_SUSPENDED && c.status == "True";
        s.active.unwrap_or(0) == 0 && s.conditions.iter().flatten().any(suspended)
    });
    old.suspend == Some(true) && (never_started || stopped)
}

/// `old` with what may change taken from `new`: where its pods are placed, what they are labelled with, and what they
/// may use.
fn placed_as(old: &PodTemplateSpec, new: &PodTemplateSpec) -> PodTemplateSpec {
    let mut allowed = old.clone();
    let meta = allowed.metadata.get_or_insert_default();
    meta.labels = new.metadata.as_ref().and_then(|m| m.labels.clone());
    meta.annotations = new.metadata.as_ref().and_then(|m| m.annotations.clone());
    if let (Some(allowed), Some(new)) = (&mut allowed.spec, &new.spec) {
        place_spec_as(allowed, new);
    }
    allowed
}

fn place_spec_as(allowed: &mut PodSpec, new: &PodSpec) {
    allowed.node_selector.clone_from(&new.node_selector);
    allowed.tolerations.clone_from(&new.tolerations);
    allowed.scheduling_gates.clone_from(&new.scheduling_gates);
    // Only the nodeAffinity within; an affinity that held nothing else may go or come as a whole.
    let node_affinity = new.affinity.as_ref().and_then(|a| a.node_affinity.clone());
    let affinity = Affinity { node_affinity, ..allowed.affinity.take().unwrap_or_default() };
    allowed.affinity = (new.affinity.is_some() || affinity != Affinity::default()).then_some(affinity);
    for (allowed, new) in allowed.containers.iter_mut().zip(&new.containers) {
        allowed.resources.clone_from(&new.resources);
    }
    for (allowed, new) in allowed.init_containers.iter_mut().flatten().zip(new.init_containers.iter().flatten()) {
        allowed.resources.clone_from(&new.resources);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The fields at fault when `spec` is changed by `change`.
    fn changed(spec: Value, status: Value, change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut after = spec.clone();
        change(&mut after);
        let [new, old] = [after, spec].map(|spec| serde_json::from_value::<JobSpec>(spec).unwrap());
        let status: JobStatus = serde_json::from_value(status).unwrap();
        let mut faults = Vec::new();
        validate_update(&new, &old, Some(&status), &Path::root("spec"), &mut faults);
        faults.iter().map(|f| format!("{}: {}", f.field, f.message.rsplit(": ").next().unwrap())).collect()
    }

    fn spec() -> Value {
        json!({"completions": 2, "parallelism": 1, "backoffLimit": 1, "completionMode": "NonIndexed",
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}}})
    }

    #[test]
    fn limits_may_change_and_the_rest_may_not() {
        let free = |spec: &mut Value| {
            spec["parallelism"] = json!(5);
            spec["backoffLimit"] = json!(9);
            spec["activeDeadlineSeconds"] = json!(9);
            spec["ttlSecondsAfterFinished"] = json!(9);
            spec["suspend"] = json!(true);
            spec["podReplacementPolicy"] = json!("Failed");
        };
        assert_eq!(changed(spec(), json!({}), free), [] as [String; 0]);
        let fixed = |spec: &mut Value| {
            spec["completions"] = json!(3);
            spec["selector"] = json!({"matchLabels": {"a": "b"}});
            spec["template"]["spec"]["containers"][0]["image"] = json!("y");
            spec["completionMode"] = json!(null);
            spec["managedBy"] = json!("a/b");
        };
        assert_eq!(
            changed(spec(), json!({}), fixed),
            [
                "spec.completions: field is immutable",
                "spec.selector: field is immutable",
                "spec.template: field is immutable",
                "spec.completionMode: field is immutable",
                "spec.managedBy: field is immutable"
            ]
        );
    }

    #[test]
    fn an_indexed_job_changes_completions_in_tandem() {
        let mut indexed = spec();
        indexed["completionMode"] = json!("Indexed");
        let alone = |spec: &mut Value| spec["completions"] = json!(3);
        assert_eq!(
            changed(indexed.clone(), json!({}), alone),
            ["spec.completions: can only be modified in tandem with spec.parallelism"]
        );
        let both = |spec: &mut Value| {
            spec["completions"] = json!(3);
            spec["parallelism"] = json!(3);
        };
        assert_eq!(changed(indexed, json!({}), both), [] as [String; 0]);
    }

    #[test]
    fn the_template_of_a_suspended_job_may_be_placed_anew() {
        let mut suspended = spec();
        suspended["suspend"] = json!(true);
        let place = |spec: &mut Value| {
            spec["template"]["metadata"]["labels"]["c"] = json!("d");
            spec["template"]["spec"]["nodeSelector"] = json!({"zone": "a"});
            spec["template"]["spec"]["affinity"] = json!({"nodeAffinity": {}});
            spec["template"]["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "1"}});
        };
        let started = json!({"startTime": "2026-01-01T00:00:00Z", "active": 1});
        let stopped = json!({"startTime": "2026-01-01T00:00:00Z",
            "conditions": [{"type": "Suspended", "status": "True"}]});
        assert_eq!(changed(suspended.clone(), json!({}), place), [] as [String; 0]);
        assert_eq!(changed(suspended.clone(), stopped, place), [] as [String; 0]);
        assert_eq!(changed(suspended.clone(), started, place), ["spec.template: field is immutable"]);
        assert_eq!(changed(spec(), json!({}), place), ["spec.template: field is immutable"]);
        let other = |spec: &mut Value| {
            spec["template"]["spec"]["affinity"] = json!({"podAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}})
        };
        assert_eq!(changed(suspended, json!({}), other), ["spec.template: field is immutable"]);
    }
}
