//! What `spec.podFailurePolicy` must satisfy (`validatePodFailurePolicy` in `pkg/apis/batch/validation`, about 1.34).

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::{
    JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule,
};

use crate::api::field::{Fault, FieldError, Path};
use crate::api::names;
use crate::api::validate_meta::json;

const MAX_RULES: usize = 20;
const MAX_PATTERNS: usize = 20;
const MAX_EXIT_CODES: usize = 255;

pub fn validate_pod_failure_policy(
    policy: &PodFailurePolicy,
    spec: &JobSpec,
    path: &Path,
    faults: &mut Vec<FieldError>,
) {
    let PodFailurePolicy { rules } = policy;
    let path = path.child("rules");
    if rules.len() > MAX_RULES {
        faults.push(FieldError::too_many(&path, rules.len(), MAX_RULES));
    }
    let pod = spec.template.spec.as_ref();
    let containers = pod.map(|p| p.containers.as_slice()).unwrap_or_default();
    let init = pod.and_then(|p| p.init_containers.as_deref()).unwrap_or_default();
    let names: BTreeSet<&str> = containers.iter().chain(init).map(|c| c.name.as_str()).collect();
    for (i, rule) in rules.iter().enumerate() {
        validate_rule(rule, spec.backoff_limit_per_index.is_some(), &names, &path.index(i), faults);
    }
}

fn validate_rule(
    rule: &PodFailurePolicyRule,
    limited_per_index: bool,
    containers: &BTreeSet<&str>,
    path: &Path,
    faults: &mut Vec<FieldError>,
) {
    let PodFailurePolicyRule { action, on_exit_codes, on_pod_conditions } = rule;
    let at = path.child("action");
    if action == "FailIndex" {
        if !limited_per_index {
            faults.push(FieldError::invalid(&at, "FailIndex", "requires the backoffLimitPerIndex to be set"));
        }
    } else {
        one_of(action, &["Count", "FailIndex", "FailJob", "Ignore"], &at, faults);
    }
    if let Some(codes) = on_exit_codes {
        validate_exit_codes(codes, containers, &path.child("onExitCodes"), faults);
    }
    let patterns = on_pod_conditions.as_deref().unwrap_or_default();
    validate_patterns(patterns, &path.child("onPodConditions"), faults);
    let detail = match (on_exit_codes.is_some(), !patterns.is_empty()) {
        (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return,
    };
    // Kubernetes leaves the value out of this one.
    let message = format!("Invalid value: {detail}");
    faults.push(FieldError { fault: Fault::Invalid, field: path.to_string(), message });
}

/// As `FieldError::not_supported`, but an empty text is told to be missing.
fn one_of(value: &str, supported: &[&str], path: &Path, faults: &mut Vec<FieldError>) {
    if value.is_empty() {
        let list = supported.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(" ");
        faults.push(FieldError::required(path, format!("valid values: [{list}]")));
    } else if !supported.contains(&value) {
        faults.push(FieldError::not_supported(path, value, supported));
    }
}

fn validate_exit_codes(
    requirement: &PodFailurePolicyOnExitCodesRequirement,
    containers: &BTreeSet<&str>,
    path: &Path,
    faults: &mut Vec<FieldError>,
) {
    let PodFailurePolicyOnExitCodesRequirement { container_name, operator, values } = requirement;
    one_of(operator, &["In", "NotIn"], &path.child("operator"), faults);
    if let Some(name) = container_name.as_deref().filter(|name| !containers.contains(name)) {
        let detail = "must be one of the container or initContainer names in the pod template";
        faults.push(FieldError::invalid(&path.child("containerName"), name, detail));
    }
    let path = path.child("values");
    if values.is_empty() {
        faults.push(FieldError::invalid(&path, json(values), "at least one value is required"));
    } else if values.len() > MAX_EXIT_CODES {
        faults.push(FieldError::too_many(&path, values.len(), MAX_EXIT_CODES));
    }
    let mut seen = BTreeSet::new();
    for (i, code) in values.iter().enumerate() {
        if operator == "In" && *code == 0 {
            faults.push(FieldError::invalid(&path.index(i), 0, "must not be 0 for the In operator"));
        }
        if !seen.insert(code) {
            faults.push(FieldError::duplicate(&path.index(i), *code));
        }
    }
    if !values.is_sorted() {
        faults.push(FieldError::invalid(&path, json(values), "must be ordered"));
    }
}

fn validate_patterns(patterns: &[PodFailurePolicyOnPodConditionsPattern], path: &Path, faults: &mut Vec<FieldError>) {
    if patterns.len() > MAX_PATTERNS {
        faults.push(FieldError::too_many(path, patterns.len(), MAX_PATTERNS));
    }
    for (i, PodFailurePolicyOnPodConditionsPattern { status, type_ }) in patterns.iter().enumerate() {
        let path = path.index(i);
        names::report(&path.child("type"), type_, names::qualified_name(type_), faults);
        one_of(status.as_deref().unwrap_or_default(), &["False", "True", "Unknown"], &path.child("status"), faults);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn faults(rule: Value) -> Vec<String> {
        let spec: JobSpec = serde_json::from_value(json!({"template": {"spec": {"containers": [{"name": "main"}]}},
            "podFailurePolicy": {"rules": [rule]}}))
        .unwrap();
        let mut faults = Vec::new();
        validate_pod_failure_policy(spec.pod_failure_policy.as_ref().unwrap(), &spec, &Path::root("p"), &mut faults);
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_rule_passes() {
        let rule = json!({"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [1, 137]}});
        assert_eq!(faults(rule), [] as [String; 0]);
        let rule = json!({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]});
        assert_eq!(faults(rule), [] as [String; 0]);
    }

    #[test]
    fn a_rule_has_an_action_and_exactly_one_condition() {
        assert_eq!(
            faults(json!({"action": ""})),
            [
                "p.rules[0].action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
                "p.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
            ]
        );
        let both = json!({"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [1]},
            "onPodConditions": [{"type": "A", "status": "True"}]});
        assert_eq!(
            faults(both),
            [
                "p.rules[0].action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set",
                "p.rules[0]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",
            ]
        );
    }

    #[test]
    fn exit_codes_are_ordered_distinct_and_not_zero() {
        let rule =
            json!({"action": "Count", "onExitCodes": {"containerName": "x", "operator": "In", "values": [2, 0, 2]}});
        assert_eq!(
            faults(rule),
            [
                "p.rules[0].onExitCodes.containerName: Invalid value: \"x\": must be one of the container or \
                 initContainer names in the pod template",
                "p.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
                "p.rules[0].onExitCodes.values[2]: Duplicate value: 2",
                "p.rules[0].onExitCodes.values: Invalid value: [2,0,2]: must be ordered",
            ]
        );
        let rule = json!({"action": "Count", "onExitCodes": {"operator": "Like", "values": []}});
        assert_eq!(
            faults(rule),
            [
                "p.rules[0].onExitCodes.operator: Unsupported value: \"Like\": supported values: \"In\", \"NotIn\"",
                "p.rules[0].onExitCodes.values: Invalid value: []: at least one value is required",
            ]
        );
    }
}
