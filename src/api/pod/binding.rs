//! Gives a pod a node (`registry/core/pod/storage/storage.go`, `setPodNodeAndMetadata`; `ValidatePodBinding`; about 1.34).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Binding, Pod, PodCondition};

use crate::api::field::{FieldError, Path};
use crate::api::meta;
use crate::api::pod::facts;

const SCHEDULED: &str = "PodScheduled";

pub fn validate(binding: &Binding, faults: &mut Vec<FieldError>) {
    let path = Path::root("target");
    let kind = binding.target.kind.as_deref().unwrap_or_default();
    if !matches!(kind, "" | "Node") {
        faults.push(FieldError::not_supported(&path.child("kind"), kind, &["Node", "<empty>"]));
    }
    if binding.target.name.as_deref().unwrap_or_default().is_empty() {
        faults.push(FieldError::required(&path.child("name"), ""));
    }
}

/// Why the pod cannot be given a node any more.
pub fn refusal(pod: &Pod) -> Option<String> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    if meta::is_deleting(&pod.metadata) {
        return Some(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    if let Some(node) = facts::node(pod) {
        return Some(format!("pod {name} is already assigned to node {node:?}"));
    }
    let is_gated =
        pod.spec.as_ref().is_some_and(|s| s.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()));
    is_gated.then(|| format!("pod {name} has non-empty .spec.schedulingGates"))
}

/// The pod on its node. The annotations and labels of a binding become the pod's.
pub fn bind(pod: &Pod, binding: &Binding, now: Timestamp) -> Pod {
    let mut bound = place(pod, binding.target.name.clone().unwrap_or_default(), now);
    let meta = &mut bound.metadata;
    for (key, value) in binding.metadata.annotations.iter().flatten() {
        meta.annotations.get_or_insert_default().insert(key.clone(), value.clone());
    }
    for (key, value) in binding.metadata.labels.iter().flatten() {
        meta.labels.get_or_insert_default().insert(key.clone(), value.clone());
    }
    bound
}

/// The pod with its node, and the condition that says that it has one.
pub fn place(pod: &Pod, node: String, now: Timestamp) -> Pod {
    let mut pod = pod.clone();
    pod.spec.get_or_insert_default().node_name = Some(node);
    let conditions = pod.status.get_or_insert_default().conditions.get_or_insert_default();
    conditions.retain(|c| c.type_ != SCHEDULED);
    conditions.push(PodCondition {
        type_: SCHEDULED.to_owned(),
        status: "True".to_owned(),
        last_transition_time: Some(meta::time(now)),
        ..PodCondition::default()
    });
    pod
}
