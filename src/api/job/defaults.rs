//! The defaults of a Job and its generated selector (`pkg/apis/batch/v1/defaults.go` and
//! `pkg/registry/batch/job/strategy.go`, about 1.34).

use k8s_openapi::api::batch::v1::{Job, JobSpec};

use crate::api::pod::defaults::default_template;
use crate::api::well_known::{LABEL_CONTROLLER_UID, LABEL_CONTROLLER_UID_OLD, LABEL_JOB_NAME, LABEL_JOB_NAME_OLD};

pub const NON_INDEXED: &str = "NonIndexed";
pub const INDEXED: &str = "Indexed";
pub const BACKOFF_LIMIT: i32 = 6;

/// All defaults but that of the Job's labels, which waits for the generated ones: [`default_labels`].
pub fn default_spec(spec: &mut JobSpec) {
    if spec.completions.is_none() && spec.parallelism.is_none() {
        spec.completions = Some(1);
    }
    spec.parallelism.get_or_insert(1);
    // With limits per index the limit for the whole Job is as good as none.
    spec.backoff_limit.get_or_insert(if spec.backoff_limit_per_index.is_some() { i32::MAX } else { BACKOFF_LIMIT });
    spec.completion_mode.get_or_insert_with(|| NON_INDEXED.to_owned());
    spec.manual_selector.get_or_insert(false);
    spec.suspend.get_or_insert(false);
    let policies = spec.pod_failure_policy.iter_mut().flat_map(|policy| &mut policy.rules);
    for pattern in policies.flat_map(|rule| rule.on_pod_conditions.iter_mut().flatten()) {
        if pattern.status.as_deref().unwrap_or_default().is_empty() {
            pattern.status = Some("True".to_owned());
        }
    }
    let replace = if spec.pod_failure_policy.is_some() { "Failed" } else { "TerminatingOrFailed" };
    spec.pod_replacement_policy.get_or_insert_with(|| replace.to_owned());
    default_template(&mut spec.template);
}

/// A Job without any label has those of its template.
pub fn default_labels(job: &mut Job) {
    let labels = job.spec.as_ref().and_then(|s| s.template.metadata.as_ref()).and_then(|m| m.labels.as_ref());
    if job.metadata.labels.as_ref().is_none_or(|l| l.is_empty())
        && let Some(labels) = labels.filter(|l| !l.is_empty())
    {
        job.metadata.labels = Some(labels.clone());
    }
}

/// Gives the template the labels by which the Job finds its pods, and the Job the selector for them. What the user wrote
/// stays, so that validation can tell what is wrong with it. Expects name and uid.
pub fn generate_selector(job: &mut Job) {
    let name = job.metadata.name.clone().unwrap_or_default();
    let uid = job.metadata.uid.clone().unwrap_or_default();
    let spec = job.spec.get_or_insert_default();
    if spec.manual_selector == Some(true) {
        return;
    }
    let labels = spec.template.metadata.get_or_insert_default().labels.get_or_insert_default();
    let generated = [
        (LABEL_JOB_NAME_OLD, &name),
        (LABEL_JOB_NAME, &name),
        (LABEL_CONTROLLER_UID_OLD, &uid),
        (LABEL_CONTROLLER_UID, &uid),
    ];
    for (label, value) in generated {
        labels.entry(label.to_owned()).or_insert_with(|| value.clone());
    }
    let matched = spec.selector.get_or_insert_default().match_labels.get_or_insert_default();
    matched.entry(LABEL_CONTROLLER_UID.to_owned()).or_insert(uid);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn defaulted(spec: Value) -> JobSpec {
        let mut spec: JobSpec = serde_json::from_value(spec).unwrap();
        default_spec(&mut spec);
        spec
    }

    #[test]
    fn completions_default_to_one_only_if_parallelism_is_absent_too() {
        let table = [
            (json!({"template": {}}), (Some(1), Some(1))),
            (json!({"template": {}, "parallelism": 3}), (None, Some(3))),
            (json!({"template": {}, "completions": 3}), (Some(3), Some(1))),
            (json!({"template": {}, "parallelism": 1}), (None, Some(1))),
        ];
        for (spec, want) in table {
            let spec = defaulted(spec);
            assert_eq!((spec.completions, spec.parallelism), want);
        }
    }

    #[test]
    fn policies_change_other_defaults() {
        let plain = defaulted(json!({"template": {}}));
        assert_eq!(
            (plain.backoff_limit, plain.pod_replacement_policy.as_deref()),
            (Some(6), Some("TerminatingOrFailed"))
        );
        let spec = defaulted(json!({"template": {}, "backoffLimitPerIndex": 1, "podFailurePolicy":
            {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}}));
        assert_eq!((spec.backoff_limit, spec.pod_replacement_policy.as_deref()), (Some(i32::MAX), Some("Failed")));
        let rules = spec.pod_failure_policy.unwrap().rules;
        assert_eq!(rules[0].on_pod_conditions.as_ref().unwrap()[0].status.as_deref(), Some("True"));
    }

    #[test]
    fn the_selector_is_generated_and_foreign_labels_stay() {
        let mut job: Job = serde_json::from_value(json!({"metadata": {"name": "pi", "uid": "u"},
            "spec": {"template": {"metadata": {"labels": {"a": "b", "job-name": "mine"}}}}}))
        .unwrap();
        generate_selector(&mut job);
        default_labels(&mut job);
        let spec = serde_json::to_value(job.spec.as_ref().unwrap()).unwrap();
        assert_eq!(spec["selector"], json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}));
        let labels = json!({"a": "b", "batch.kubernetes.io/controller-uid": "u", "batch.kubernetes.io/job-name": "pi",
            "controller-uid": "u", "job-name": "mine"});
        assert_eq!(spec["template"]["metadata"]["labels"], labels);
        assert_eq!(serde_json::to_value(&job.metadata.labels).unwrap(), labels);
    }

    #[test]
    fn a_job_with_a_label_of_its_own_takes_none_and_a_manual_selector_is_left_alone() {
        let mut job: Job = serde_json::from_value(json!({"metadata": {"name": "pi", "uid": "u", "labels": {"x": "y"}},
            "spec": {"manualSelector": true, "template": {"metadata": {"labels": {"a": "b"}}}}}))
        .unwrap();
        let before = job.clone();
        generate_selector(&mut job);
        default_labels(&mut job);
        assert_eq!(job, before);
    }
}
