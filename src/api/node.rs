//! What this version of kiln honours of a Node's spec: `unschedulable`, which `kubectl cordon` sets. Kiln writes its nodes
//! itself.

use k8s_openapi::api::core::v1::{Node, NodeSpec};

use crate::api::field::{FieldError, Path};
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
    let network = "a WASI pod has no network";
    no.refuse(config_source.is_some(), "configSource", "a node takes its settings from the command line");
    no.text(pod_cidr, &[], "podCIDR", network);
    no.list(pod_cidrs, "podCIDRs", network);
    no.refuse(pod_preemption_policy.is_some(), "podPreemptionPolicy", "pods do not preempt each other");
    no.list(taints, "taints", "every pod tolerates every node; use kubectl cordon, or nodeSelector in the pods");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_can_be_cordoned_but_not_tainted() {
        let faults = |spec: serde_json::Value| {
            let node = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
            let mut faults = Vec::new();
            validate_node(&node, &mut faults);
            faults.into_iter().map(|f| f.field).collect::<Vec<_>>()
        };
        assert_eq!(faults(json!({"unschedulable": true, "providerID": "x", "taints": []})), [] as [&str; 0]);
        assert_eq!(faults(json!({"taints": [{"key": "a", "effect": "NoSchedule"}]})), ["spec.taints"]);
    }
}
