//! What a failed pod means by the Job's own rules (kubernetes `pkg/controller/job/pod_failure_policy.go`).

use k8s_openapi::api::batch::v1::{
    PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::{Pod, PodStatus};

/// What follows from the failure of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It counts towards the limits, as without any rule.
    Count,
    /// It counts towards no limit; the pod is replaced, after the usual delay.
    Ignore,
    /// Its index has failed, whatever retries are left.
    FailIndex,
    /// The Job has failed, with this message.
    FailJob(String),
}

/// The action of the first rule that matches, if one does. An action of a later Kubernetes does not match, as its field
/// demands. `pod` has failed; whether it has is not asked here.
pub fn verdict(policy: Option<&PodFailurePolicy>, pod: &Pod) -> Option<Verdict> {
    let rules = policy.map(|p| p.rules.as_slice()).unwrap_or_default();
    let decide = |(i, rule): (usize, &PodFailurePolicyRule)| {
        let what = matching(rule, pod)?;
        match rule.action.as_str() {
            "Count" => Some(Verdict::Count),
            "Ignore" => Some(Verdict::Ignore),
            "FailIndex" => Some(Verdict::FailIndex),
            "FailJob" => Some(Verdict::FailJob(format!("{what} matching FailJob rule at index {i}"))),
            _ => None,
        }
    };
    rules.iter().enumerate().find_map(decide)
}

/// What of the pod the rule matches, in words.
fn matching(rule: &PodFailurePolicyRule, pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    if let Some(requirement) = &rule.on_exit_codes {
        let (container, code) = failed_container(requirement, status)?;
        return Some(format!("Container {container} for pod {namespace}/{name} failed with exit code {code}"));
    }
    let type_ = condition(rule.on_pod_conditions.as_deref()?, status)?;
    Some(format!("Pod {namespace}/{name} has condition {type_}"))
}

/// Looks only at what containers are now: one that failed and was started again has not failed for good.
fn failed_container<'a>(
    requirement: &PodFailurePolicyOnExitCodesRequirement,
    status: &'a PodStatus,
) -> Option<(&'a str, i32)> {
    let PodFailurePolicyOnExitCodesRequirement { container_name, operator, values } = requirement;
    let containers = status.container_statuses.iter().flatten();
    let init_containers = status.init_container_statuses.iter().flatten();
    containers
        .chain(init_containers)
        .filter(|c| container_name.as_ref().is_none_or(|name| *name == c.name))
        .filter_map(|c| Some((c.name.as_str(), c.state.as_ref()?.terminated.as_ref()?.exit_code)))
        .find(|(_, code)| {
            *code != 0
                && match operator.as_str() {
                    "In" => values.contains(code),
                    "NotIn" => !values.contains(code),
                    _ => false,
                }
        })
}

fn condition<'a>(patterns: &[PodFailurePolicyOnPodConditionsPattern], status: &'a PodStatus) -> Option<&'a str> {
    let matches = |type_: &str, status: &str| {
        patterns.iter().any(|p| p.type_ == type_ && p.status.as_deref().unwrap_or("True") == status)
    };
    status.conditions.iter().flatten().find(|c| matches(&c.type_, &c.status)).map(|c| c.type_.as_str())
}

#[cfg(test)]
mod tests {
    use super::{Verdict, *};
    use serde_json::{Value, json};

    fn verdict(policy: Option<&PodFailurePolicy>, pod: &Pod) -> Verdict {
        super::verdict(policy, pod).unwrap_or(Verdict::Count)
    }

    /// `containers` and `init` by name and exit code; a container without one still runs.
    fn pod(containers: &[(&str, Option<i32>)], init: &[(&str, Option<i32>)], conditions: &[(&str, &str)]) -> Pod {
        let statuses = |list: &[(&str, Option<i32>)]| -> Vec<Value> {
            let state = |code: Option<i32>| match code {
                Some(code) => json!({"terminated": {"exitCode": code}}),
                None => json!({"running": {}}),
            };
            let status = |(name, code): &(&str, Option<i32>)| {
                json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 1,
                    "state": state(*code), "lastState": {"terminated": {"exitCode": 42}}})
            };
            list.iter().map(status).collect()
        };
        let conditions: Vec<Value> = conditions.iter().map(|(t, s)| json!({"type": t, "status": s})).collect();
        serde_json::from_value(json!({"metadata": {"namespace": "ns", "name": "p"}, "status": {"phase": "Failed",
            "containerStatuses": statuses(containers), "initContainerStatuses": statuses(init),
            "conditions": conditions}}))
        .unwrap()
    }

    fn judge(rules: Value, pod: &Pod) -> Verdict {
        let policy: PodFailurePolicy = serde_json::from_value(json!({"rules": rules})).unwrap();
        verdict(Some(&policy), pod)
    }

    fn exit_codes(operator: &str, values: &[i32]) -> Value {
        json!({"action": "FailJob", "onExitCodes": {"operator": operator, "values": values}})
    }

    fn message(container: &str, code: i32) -> Verdict {
        let text =
            format!("Container {container} for pod ns/p failed with exit code {code} matching FailJob rule at index 0");
        Verdict::FailJob(text)
    }

    #[test]
    fn exit_codes_are_those_of_containers_that_failed() {
        let both = pod(&[("a", Some(0)), ("b", Some(137))], &[], &[]);
        let zero = pod(&[("a", Some(0))], &[], &[]);
        let cases = [
            (exit_codes("In", &[1, 137]), &both, message("b", 137)),
            (exit_codes("In", &[1]), &both, Verdict::Count),
            (exit_codes("NotIn", &[1]), &both, message("b", 137)),
            (exit_codes("NotIn", &[1]), &zero, Verdict::Count),
            (exit_codes("NotIn", &[1, 137]), &both, Verdict::Count),
            (exit_codes("In", &[0]), &zero, Verdict::Count),
            (exit_codes("Like", &[137]), &both, Verdict::Count),
            // lastState is 42: an attempt that was followed by another.
            (exit_codes("In", &[42]), &both, Verdict::Count),
            (exit_codes("NotIn", &[1]), &pod(&[("a", None)], &[], &[]), Verdict::Count),
            (exit_codes("NotIn", &[1]), &Pod::default(), Verdict::Count),
        ];
        for (rule, pod, want) in cases {
            assert_eq!(judge(json!([rule]), pod), want, "{rule}");
        }
    }

    #[test]
    fn containers_are_looked_at_before_init_containers() {
        let pod = pod(&[("main", Some(2))], &[("init", Some(1))], &[]);
        assert_eq!(judge(json!([exit_codes("In", &[1, 2])]), &pod), message("main", 2));
        assert_eq!(judge(json!([exit_codes("In", &[1])]), &pod), message("init", 1));
    }

    #[test]
    fn a_rule_may_speak_of_one_container_only() {
        let pod = pod(&[("a", Some(1)), ("b", Some(2))], &[("init", Some(1))], &[]);
        let rule = |name: &str| {
            json!([{"action": "FailJob",
                "onExitCodes": {"containerName": name, "operator": "In", "values": [1]}}])
        };
        assert_eq!(judge(rule("a"), &pod), message("a", 1));
        assert_eq!(judge(rule("b"), &pod), Verdict::Count);
        assert_eq!(judge(rule("init"), &pod), message("init", 1));
        assert_eq!(judge(rule("other"), &pod), Verdict::Count);
    }

    #[test]
    fn conditions_match_by_type_and_status() {
        let pod = pod(&[], &[], &[("Ready", "False"), ("DisruptionTarget", "True"), ("Odd", "Unknown")]);
        let words =
            |type_: &str| Verdict::FailJob(format!("Pod ns/p has condition {type_} matching FailJob rule at index 0"));
        let cases = [
            (json!([{"type": "DisruptionTarget", "status": "True"}]), words("DisruptionTarget")),
            (json!([{"type": "DisruptionTarget"}]), words("DisruptionTarget")),
            (json!([{"type": "DisruptionTarget", "status": "False"}]), Verdict::Count),
            (json!([{"type": "Ready"}]), Verdict::Count),
            (json!([{"type": "Ready", "status": "False"}]), words("Ready")),
            (json!([{"type": "Other"}, {"type": "Odd", "status": "Unknown"}]), words("Odd")),
            (json!([]), Verdict::Count),
        ];
        for (patterns, want) in cases {
            assert_eq!(judge(json!([{"action": "FailJob", "onPodConditions": patterns}]), &pod), want, "{patterns}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let pod = pod(&[("a", Some(3))], &[], &[("DisruptionTarget", "True")]);
        let on_code =
            |action: &str, code: i32| json!({"action": action, "onExitCodes": {"operator": "In", "values": [code]}});
        let disrupted =
            json!({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]});
        let third = "Container a for pod ns/p failed with exit code 3 matching FailJob rule at index 2";
        let cases = [
            (json!([disrupted, on_code("FailJob", 3)]), Verdict::Ignore),
            (json!([on_code("FailIndex", 3), disrupted]), Verdict::FailIndex),
            (json!([on_code("Count", 3), on_code("FailJob", 3)]), Verdict::Count),
            (
                json!([on_code("Ignore", 1), on_code("Ignore", 2), on_code("FailJob", 3)]),
                Verdict::FailJob(third.into()),
            ),
            (json!([on_code("Explode", 3)]), Verdict::Count),
            (json!([on_code("Explode", 3), on_code("Ignore", 3)]), Verdict::Ignore),
            (json!([]), Verdict::Count),
        ];
        for (rules, want) in cases {
            assert_eq!(judge(rules.clone(), &pod), want, "{rules}");
        }
    }

    #[test]
    fn without_a_policy_each_failure_counts() {
        assert_eq!(verdict(None, &pod(&[("a", Some(1))], &[], &[])), Verdict::Count);
    }
}
