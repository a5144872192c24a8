//! Kubernetes' own demands on a Job, in its order and words (`pkg/apis/batch/validation/validation.go`, about 1.34). They hold
//! also for what this version of kiln refuses (`supported.rs`), so that a refusal can be lifted by deleting its line.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};

use crate::api::field::{FieldError, Path};
use crate::api::job::defaults::{INDEXED, NON_INDEXED};
use crate::api::job::pod_failure_policy::validate_pod_failure_policy;
use crate::api::job::success_policy::validate_success_policy;
use crate::api::meta;
use crate::api::names;
use crate::api::pod::validate_template;
use crate::api::selector::{self, Selector};
use crate::api::validate_meta::{json, non_negative};
use crate::api::well_known::{
    ANNOTATION_NETWORK, ANNOTATION_ON_DELETE, LABEL_CONTROLLER_UID, LABEL_CONTROLLER_UID_OLD, LABEL_JOB_NAME,
    LABEL_JOB_NAME_OLD,
};

const MAX_INDEXED_PARALLELISM: i32 = 100_000;
const MAX_FAILED_INDEXES: i32 = 100_000;
/// Above so many completions, limits per index need bounds that keep the status small.
const MANY_COMPLETIONS: i32 = 100_000;
const MANY_PARALLELISM: i32 = 10_000;
const MANY_FAILED_INDEXES: i32 = 10_000;
const MAX_MANAGED_BY: usize = 63;

/// The selector and labels that kiln generates must not have been written differently by the user.
pub fn validate_generated_selector(job: &Job, faults: &mut Vec<FieldError>) {
    let Some(spec) = &job.spec else { return };
    let Some(selector) = spec.selector.as_ref().filter(|_| spec.manual_selector != Some(true)) else { return };
    let uid = job.metadata.uid.as_deref().unwrap_or_default();
    let name = job.metadata.name.as_deref().unwrap_or_default();
    if uid.is_empty() {
        faults.push(FieldError::required(&Path::root("metadata").child("uid"), ""));
    }
    let at = Path::root("spec").child("template").child("metadata").child("labels");
    let generated = [
        (LABEL_CONTROLLER_UID_OLD, uid),
        (LABEL_JOB_NAME_OLD, name),
        (LABEL_CONTROLLER_UID, uid),
        (LABEL_JOB_NAME, name),
    ];
    let labels = spec.template.metadata.as_ref().and_then(|m| m.labels.as_ref());
    for (label, want) in generated {
        let detail = format!("must be '{want}'");
        match labels.and_then(|l| l.get(label)) {
            None => faults.push(FieldError::required(&at.key(label), detail)),
            Some(value) if value != want => faults.push(FieldError::invalid(&at.key(label), json(&labels), detail)),
            Some(_) => {}
        }
    }
    let expected = generated.map(|(label, value)| (label.to_owned(), value.to_owned()));
    if Selector::compile(Some(selector)).is_ok_and(|s| !s.matches(&BTreeMap::from(expected))) {
        let at = Path::root("spec").child("selector");
        faults.push(FieldError::invalid(&at, json(selector), "`selector` not auto-generated"));
    }
}

/// The pods of an Indexed Job are named after their index, which must still make a host name.
pub fn validate_host_names(job: &Job, faults: &mut Vec<FieldError>) {
    let Some(spec) = job.spec.as_ref().filter(|s| s.completion_mode.as_deref() == Some(INDEXED)) else { return };
    let Some(completions) = spec.completions.filter(|c| *c > 0) else { return };
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let longest = format!("{name}-{}", completions - 1);
    if !names::dns1123_label(&longest).is_empty() {
        let detail = format!("will not able to create pod with invalid DNS label: {longest}");
        faults.push(FieldError::invalid(&Path::root("metadata").child("name"), name, detail));
    }
}

pub fn validate_spec(spec: &JobSpec, path: &Path, faults: &mut Vec<FieldError>) {
    validate_numbers(spec, path, faults);
    if let Some(manager) = &spec.managed_by {
        validate_managed_by(manager, &path.child("managedBy"), faults);
    }
    validate_completion_mode(spec, path, faults);
    if let Some(policy) = &spec.pod_failure_policy {
        validate_pod_failure_policy(policy, spec, &path.child("podFailurePolicy"), faults);
    }
    if let Some(policy) = &spec.success_policy {
        let at = path.child("successPolicy");
        match spec.completion_mode.as_deref() == Some(INDEXED) {
            true => validate_success_policy(policy, spec.completions, &at, faults),
            false => faults.push(FieldError::invalid(&at, json(policy), "requires indexed completion mode")),
        }
    }
    if let Some(policy) = spec.pod_replacement_policy.as_deref() {
        let all: &[&str] =
            if spec.pod_failure_policy.is_some() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
        if !all.contains(&policy) {
            faults.push(FieldError::not_supported(&path.child("podReplacementPolicy"), policy, all));
        }
    }
    let template = path.child("template");
    validate_template(&spec.template, &template, faults);
    validate_restart_policy(spec, &template.child("spec").child("restartPolicy"), faults);
    validate_selector(spec, path, faults);
}

fn validate_numbers(spec: &JobSpec, path: &Path, faults: &mut Vec<FieldError>) {
    non_negative(spec.parallelism, &path.child("parallelism"), faults);
    non_negative(spec.completions, &path.child("completions"), faults);
    non_negative(spec.active_deadline_seconds, &path.child("activeDeadlineSeconds"), faults);
    non_negative(spec.backoff_limit, &path.child("backoffLimit"), faults);
    non_negative(spec.ttl_seconds_after_finished, &path.child("ttlSecondsAfterFinished"), faults);
    non_negative(spec.backoff_limit_per_index, &path.child("backoffLimitPerIndex"), faults);
    non_negative(spec.max_failed_indexes, &path.child("maxFailedIndexes"), faults);
    if spec.max_failed_indexes.is_some() && spec.backoff_limit_per_index.is_none() {
        let at = path.child("backoffLimitPerIndex");
        faults.push(FieldError::required(&at, "when maxFailedIndexes is specified"));
    }
}

/// `domain/path` (`IsDomainPrefixedPath`).
fn validate_managed_by(manager: &str, path: &Path, faults: &mut Vec<FieldError>) {
    match manager.split_once('/') {
        _ if manager.is_empty() => faults.push(FieldError::required(path, "")),
        Some((host, rest)) if !host.is_empty() && !rest.is_empty() => {
            names::report(path, host, names::dns1123_subdomain(host), faults);
            if !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b)) {
                let detail = r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')";
                faults.push(FieldError::invalid(path, rest, detail));
            }
        }
        _ => {
            let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            faults.push(FieldError::invalid(path, manager, detail));
        }
    }
    if manager.len() > MAX_MANAGED_BY {
        faults.push(FieldError::too_long(path, MAX_MANAGED_BY));
    }
}

fn validate_completion_mode(spec: &JobSpec, path: &Path, faults: &mut Vec<FieldError>) {
    match spec.completion_mode.as_deref() {
        None | Some(NON_INDEXED) => {
            let fields =
                [("backoffLimitPerIndex", spec.backoff_limit_per_index), ("maxFailedIndexes", spec.max_failed_indexes)];
            for (field, value) in fields {
                if let Some(value) = value {
                    faults.push(FieldError::invalid(&path.child(field), value, "requires indexed completion mode"));
                }
            }
        }
        Some(INDEXED) => validate_indexed(spec, path, faults),
        Some(other) => {
            faults.push(FieldError::not_supported(&path.child("completionMode"), other, &[NON_INDEXED, INDEXED]));
        }
    }
}

fn validate_indexed(spec: &JobSpec, path: &Path, faults: &mut Vec<FieldError>) {
    if spec.completions.is_none() {
        let detail = format!("when completion mode is {INDEXED}");
        faults.push(FieldError::required(&path.child("completions"), detail));
    }
    let when = format!(" when completion mode is {INDEXED}");
    at_most(spec.parallelism, MAX_INDEXED_PARALLELISM, &when, &path.child("parallelism"), faults);
    let at = path.child("maxFailedIndexes");
    let failed = spec.max_failed_indexes;
    if let (Some(failed), Some(completions)) = (failed, spec.completions)
        && failed > completions
    {
        faults.push(FieldError::invalid(&at, failed, "must be less than or equal to completions"));
    }
    at_most(failed, MAX_FAILED_INDEXES, "", &at, faults);
    if spec.completions.is_some_and(|c| c > MANY_COMPLETIONS) && spec.backoff_limit_per_index.is_some() {
        if failed.is_none() {
            let detail = format!("must be specified when completions is above {MANY_COMPLETIONS}");
            faults.push(FieldError::required(&at, detail));
        }
        let when = format!(" when completions are above {MANY_COMPLETIONS} and used with backoff limit per index");
        at_most(spec.parallelism, MANY_PARALLELISM, &when, &path.child("parallelism"), faults);
        at_most(failed, MANY_FAILED_INDEXES, &when, &at, faults);
    }
}

fn at_most(value: Option<i32>, most: i32, when: &str, path: &Path, faults: &mut Vec<FieldError>) {
    if let Some(value) = value.filter(|v| *v > most) {
        faults.push(FieldError::invalid(path, value, format!("must be less than or equal to {most}{when}")));
    }
}

/// A pod that is always restarted could not complete a Job. An absent policy was defaulted to Always.
fn validate_restart_policy(spec: &JobSpec, path: &Path, faults: &mut Vec<FieldError>) {
    let policy = spec.template.spec.as_ref().and_then(|s| s.restart_policy.as_deref()).unwrap_or_default();
    match policy {
        "" | "Always" => faults.push(FieldError::required(path, "valid values: \"OnFailure\", \"Never\"")),
        "OnFailure" if spec.pod_failure_policy.is_some() => {
            let detail = "only \"Never\" is supported when podFailurePolicy is specified";
            faults.push(FieldError::invalid(path, policy, detail));
        }
        "OnFailure" | "Never" => {}
        other => faults.push(FieldError::not_supported(path, other, &["OnFailure", "Never"])),
    }
}

fn validate_selector(spec: &JobSpec, path: &Path, faults: &mut Vec<FieldError>) {
    match &spec.selector {
        None => faults.push(FieldError::required(&path.child("selector"), "")),
        Some(selector) => selector::validate(selector, &path.child("selector"), faults),
    }
    let labels = spec.template.metadata.as_ref().and_then(|m| m.labels.clone()).unwrap_or_default();
    if Selector::compile(spec.selector.as_ref()).is_ok_and(|s| !s.matches(&labels)) {
        let at = path.child("template").child("metadata").child("labels");
        faults.push(FieldError::invalid(&at, json(&labels), "`selector` does not match template `labels`"));
    }
}

/// What a client is warned of in a Job that is accepted.
pub fn warnings(job: &Job) -> Vec<String> {
    let mut warnings = Vec::new();
    let faults = names::dns1123_label(job.metadata.name.as_deref().unwrap_or_default());
    if !faults.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS \
             label is recommended: [{}]",
            faults.join(" ")
        ));
    }
    // Whoever writes them means the pods, which have the annotations of the template only.
    for name in [ANNOTATION_NETWORK, ANNOTATION_ON_DELETE] {
        if meta::annotation(&job.metadata, name).is_some() {
            warnings.push(format!(
                "metadata.annotations[{name}]: has no effect on a Job; set it on spec.template.metadata.annotations"
            ));
        }
    }
    let wide = |spec: &JobSpec| {
        spec.completion_mode.as_deref() == Some(INDEXED)
            && spec.completions.is_some_and(|c| c > MANY_COMPLETIONS)
            && spec.parallelism.is_some_and(|p| p > MANY_PARALLELISM)
    };
    if job.spec.as_ref().is_some_and(wide) {
        warnings.push(
            "spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, \
             Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
                .to_owned(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The faults of a spec apart from its template and selector.
    fn faults(spec: Value) -> Vec<String> {
        let mut value = json!({"selector": {}, "template": {"spec": {"restartPolicy": "Never", "containers": []}}});
        for (field, leaf) in spec.as_object().unwrap() {
            value[field] = leaf.clone();
        }
        let mut faults = Vec::new();
        validate_spec(&serde_json::from_value(value).unwrap(), &Path::root("spec"), &mut faults);
        let texts = faults.iter().map(ToString::to_string);
        texts.filter(|f| f.contains("restartPolicy") || !f.starts_with("spec.template.spec")).collect()
    }

    #[test]
    fn indexed_jobs_are_bounded() {
        let table = [
            (json!({}), vec!["spec.completions: Required value: when completion mode is Indexed"]),
            (
                json!({"completions": 5, "parallelism": 100_001, "backoffLimitPerIndex": 1, "maxFailedIndexes": 6}),
                vec![
                    "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode \
                     is Indexed",
                    "spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions",
                ],
            ),
            (
                json!({"completions": 100_001, "parallelism": 10_001, "backoffLimitPerIndex": 1}),
                vec![
                    "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
                    "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are \
                     above 100000 and used with backoff limit per index",
                ],
            ),
            (json!({"completions": 100_001, "parallelism": 100_000}), vec![]),
        ];
        for (mut spec, want) in table {
            spec["completionMode"] = json!("Indexed");
            assert_eq!(faults(spec), want);
        }
        assert_eq!(
            faults(json!({"completionMode": "Ranked"})),
            ["spec.completionMode: Unsupported value: \"Ranked\": supported values: \"NonIndexed\", \"Indexed\""]
        );
        assert_eq!(
            faults(json!({"backoffLimitPerIndex": 1})),
            ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"]
        );
    }

    #[test]
    fn a_failure_policy_binds_other_fields() {
        let spec = json!({"podFailurePolicy": {"rules": []}, "podReplacementPolicy": "TerminatingOrFailed",
            "template": {"spec": {"restartPolicy": "OnFailure", "containers": []}}});
        assert_eq!(
            faults(spec),
            [
                "spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\"",
                "spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" is supported when \
                 podFailurePolicy is specified",
            ]
        );
    }

    #[test]
    fn a_manager_is_a_path_under_a_domain() {
        let long = format!("acme.io/{}", "a".repeat(60));
        let table = [
            ("acme.io/a", 0),
            ("kubernetes.io/job-controller", 0),
            ("", 1),
            ("acme.io", 1),
            ("/a", 1),
            ("A/b", 1),
            ("acme.io/a b", 1),
            (long.as_str(), 1),
        ];
        for (manager, want) in table {
            assert_eq!(faults(json!({"managedBy": manager})).len(), want, "{manager}");
        }
    }
}
