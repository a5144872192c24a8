//! `kubectl get nodes` (`printNode`).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::column::{AGE, Column, NAME, NONE, or_none};
use super::{age_of, name_of};

const ADDRESSES: &str = "List of addresses reachable to the node. Queried from cloud provider, if available. More \
    info: https://kubernetes.io/docs/reference/node/node-status/#addresses";

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Status", "The status of the node"),
    Column::text("Roles", "The roles of the node"),
    AGE,
    Column::text("Version", "Kubelet Version reported by the node."),
    Column::wide("Internal-IP", ADDRESSES),
    Column::wide("External-IP", ADDRESSES),
    Column::wide("OS-Image", "OS Image reported by the node from /etc/os-release (e.g. Debian GNU/Linux 7 (wheezy))."),
    Column::wide("Kernel-Version", "Kernel Version reported by the node from 'uname -r' (e.g. 3.16.0-0.bpo.4-amd64)."),
    Column::wide(
        "Container-Runtime",
        "ContainerRuntime Version reported by the node through runtime remote API (e.g. containerd://1.4.2).",
    ),
];

pub(super) fn cells(node: &Node, now: Timestamp) -> Vec<Value> {
    let info = node.status.as_ref().and_then(|s| s.node_info.as_ref());
    let known = |text: Option<&String>| {
        Value::from(text.map(String::as_str).filter(|t| !t.is_empty()).unwrap_or(crate::api::age::UNKNOWN))
    };
    vec![
        name_of(&node.metadata),
        status(node).into(),
        roles(node).into(),
        age_of(&node.metadata, now),
        info.map_or("", |i| &i.kubelet_version).into(),
        address(node, "InternalIP").into(),
        address(node, "ExternalIP").into(),
        known(info.map(|i| &i.os_image)),
        known(info.map(|i| &i.kernel_version)),
        known(info.map(|i| &i.container_runtime_version)),
    ]
}

fn status(node: &Node) -> String {
    let mut conditions = node.status.iter().flat_map(|s| s.conditions.iter().flatten());
    // The last of equal types counts, as in a map.
    let ready = conditions.rfind(|c| c.type_ == "Ready");
    let mut status = match ready.map(|c| c.status.as_str()) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node.spec.as_ref().and_then(|s| s.unschedulable) == Some(true) {
        status.push_str(",SchedulingDisabled");
    }
    status
}

/// From the labels `node-role.kubernetes.io/ROLE` and `kubernetes.io/role=ROLE`, in order.
fn roles(node: &Node) -> String {
    let roles: BTreeSet<&str> = node
        .metadata
        .labels
        .iter()
        .flatten()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if key == "kubernetes.io/role" => Some(value.as_str()),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    if roles.is_empty() { NONE.to_owned() } else { roles.into_iter().collect::<Vec<_>>().join(",") }
}

fn address<'a>(node: &'a Node, type_: &str) -> &'a str {
    let mut addresses = node.status.iter().flat_map(|s| s.addresses.iter().flatten());
    or_none(addresses.find(|a| a.type_ == type_).map(|a| a.address.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{cells_of, now};
    use crate::api::Kind;

    #[test]
    fn a_node_shows_roles_versions_and_addresses() {
        let value = json!({
            "metadata": {"name": "n", "creationTimestamp": now(-7200), "labels": {
                "node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "",
                "kubernetes.io/role": "extra"}},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "Hostname", "address": "h"}, {"type": "InternalIP", "address": "10.0.0.1"}],
                "nodeInfo": {"kubeletVersion": "v1.37.1", "osImage": "linux", "containerRuntimeVersion": "kiln://1"}},
        });
        let expected = json!([
            "n",
            "Ready",
            "control-plane,extra,worker",
            "120m",
            "v1.37.1",
            "10.0.0.1",
            "<none>",
            "linux",
            "<unknown>",
            "kiln://1"
        ]);
        assert_eq!(cells_of(Kind::Node, value), expected);
    }

    #[test]
    fn the_status_of_a_node() {
        let status = |value: Value| cells_of(Kind::Node, value)[1].clone();
        let ready = |status: &str| json!({"conditions": [{"type": "Ready", "status": status}]});
        assert_eq!(status(json!({})), "Unknown");
        assert_eq!(status(json!({"status": ready("False")})), "NotReady");
        assert_eq!(status(json!({"status": ready("Unknown")})), "NotReady");
        assert_eq!(
            status(json!({"status": ready("True"), "spec": {"unschedulable": true}})),
            "Ready,SchedulingDisabled"
        );
    }
}
