//! What this version of kiln honours of a Node's spec: `unschedulable`, which `kubectl cordon` sets, and `taints`, which
//! `kubectl taint` sets. Kiln writes its nodes itself.
//!
//! A taint keeps pods off that do not tolerate it; none is strong enough to end a pod that runs, `NoExecute` neither.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Node, NodeSpec, Taint, Toleration};

use crate::api::field::{FieldError, Path};
use crate::api::names;
use crate::api::unsupported::Refusals;

pub fn validate_node(node: &Node, faults: &mut Vec<FieldError>) {
    let Some(spec) = &node.spec else { return };
    let NodeSpec {
        config_source,
        external_id: _, // Deprecated; Kubernetes reads it no more either.
        pod_cidr,
        pod_cidrs,
        pod_preemption_policy,
        provider_id: _,
        taints,
        unschedulable: _,
    } = spec;
    let path = Path::root("spec");
    let mut no = Refusals::of(&path, faults);
    let network = "pods have no addresses of their own; one with kiln.dev/network uses those of the machine";
    no.refuse(config_source.is_some(), "configSource", "a node takes its settings from the command line");
    no.text(pod_cidr, &[], "podCIDR", network);
    no.list(pod_cidrs, "podCIDRs", network);
    no.refuse(pod_preemption_policy.is_some(), "podPreemptionPolicy", "pods do not preempt each other");
    validate_taints(taints.as_deref().unwrap_or_default(), &path.child("taints"), faults);
}

pub const NO_SCHEDULE: &str = "NoSchedule";
pub const PREFER_NO_SCHEDULE: &str = "PreferNoSchedule";
pub const NO_EXECUTE: &str = "NoExecute";

/// As `validateNodeTaints` (`pkg/apis/core/validation/validation.go`).
fn validate_taints(taints: &[Taint], path: &Path, faults: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for (i, taint) in taints.iter().enumerate() {
        let path = path.index(i);
        let Taint { effect, key, time_added: _, value } = taint;
        names::report(&path.child("key"), key, names::qualified_name(key), faults);
        let value = value.as_deref().unwrap_or_default();
        names::report(&path.child("value"), value, names::label_value(value), faults);
        let effects = [NO_SCHEDULE, PREFER_NO_SCHEDULE, NO_EXECUTE];
        match effect.as_str() {
            "" => faults.push(FieldError::required(&path.child("effect"), "")),
            effect if effects.contains(&effect) => {}
            other => faults.push(FieldError::not_supported(&path.child("effect"), other, &effects)),
        }
        if !seen.insert((key, effect)) {
            faults.push(FieldError::duplicate(&path, crate::api::validate_meta::json(taint)));
        }
    }
}

/// Whether a pod with this toleration does not mind this taint (`k8s.io/component-helpers`, `ToleratesTaint`).
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let Toleration { effect, key, operator, toleration_seconds: _, value } = toleration;
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    given(effect).is_none_or(|effect| effect == taint.effect)
        && given(key).is_none_or(|key| key == taint.key)
        && match operator.as_deref().unwrap_or_default() {
            "Exists" => true,
            _ => value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_can_be_cordoned_and_tainted() {
        let faults = |spec: serde_json::Value| {
            let node = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
            let mut faults = Vec::new();
            validate_node(&node, &mut faults);
            faults.into_iter().map(|f| f.field).collect::<Vec<_>>()
        };
        assert_eq!(faults(json!({"unschedulable": true, "providerID": "x", "taints": []})), [] as [&str; 0]);
        assert_eq!(faults(json!({"podCIDR": "10.0.0.0/24"})), ["spec.podCIDR"]);
        let taint = |key: &str, value: &str, effect: &str| json!({"key": key, "value": value, "effect": effect});
        let good = [taint("a", "", "NoSchedule"), taint("a", "", "NoExecute"), taint("b/c", "d", "PreferNoSchedule")];
        assert_eq!(faults(json!({"taints": good})), [] as [&str; 0]);
        let wrong = [taint("", "", "NoSchedule"), taint("a", "b c", "Never"), taint("b", "", ""), taint("b", "x", "")];
        let fields = [
            "spec.taints[0].key",
            "spec.taints[0].key",
            "spec.taints[1].value",
            "spec.taints[1].effect",
            "spec.taints[2].effect",
            "spec.taints[3].effect",
            "spec.taints[3]",
        ];
        assert_eq!(faults(json!({"taints": wrong})), fields);
    }

    #[test]
    fn a_toleration_covers_what_it_does_not_leave_out() {
        let taint = Taint {
            key: "k".to_owned(),
            value: Some("v".to_owned()),
            effect: NO_SCHEDULE.to_owned(),
            ..Taint::default()
        };
        for (toleration, tolerated) in [
            (json!({"operator": "Exists"}), true),
            (json!({"key": "k", "operator": "Exists"}), true),
            (json!({"key": "k", "operator": "Exists", "effect": "NoExecute"}), false),
            (json!({"key": "k", "value": "v"}), true),
            (json!({"key": "k", "value": "v", "operator": "Equal", "effect": "NoSchedule"}), true),
            (json!({"key": "k", "value": "w"}), false),
            (json!({"key": "k"}), false),
            (json!({"key": "l", "operator": "Exists"}), false),
        ] {
            let parsed: Toleration = serde_json::from_value(toleration.clone()).unwrap();
            assert_eq!(tolerates(&parsed, &taint), tolerated, "{toleration}");
        }
    }
}
