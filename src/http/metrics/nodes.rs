//! Nodes as metrics, as kube-state-metrics tells them (`internal/store/node.go`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use prometheus_client::encoding::DescriptorEncoder;

use super::gauges::{Gauges, Rows, statuses, write};
use super::objects::seconds;
use crate::api::quantity::Quantity;

pub fn encode(encoder: &mut DescriptorEncoder<'_>, nodes: &[Arc<Node>]) -> fmt::Result {
    for gauges in NODES {
        write(encoder, gauges, nodes, |node| vec![("node", node.metadata.name.as_deref().unwrap_or_default())])?;
    }
    Ok(())
}

const NODES: &[Gauges<Arc<Node>>] = &[
    Gauges { name: "kube_node_info", help: "Information about a cluster node.", rows: info },
    Gauges {
        name: "kube_node_created",
        help: "Unix creation timestamp",
        rows: |node, row| seconds(node.metadata.creation_timestamp.as_ref(), row),
    },
    Gauges {
        name: "kube_node_spec_unschedulable",
        help: "Whether a node can schedule new pods.",
        rows: |node, row| {
            let closed = node.spec.as_ref().and_then(|s| s.unschedulable).unwrap_or(false);
            row(&[], u8::from(closed).into());
        },
    },
    Gauges {
        name: "kube_node_spec_taint",
        help: "The taint of a cluster node.",
        rows: |node, row| {
            for taint in node.spec.iter().flat_map(|s| s.taints.iter().flatten()) {
                let value = taint.value.as_deref().unwrap_or_default();
                row(&[("key", &taint.key), ("value", value), ("effect", &taint.effect)], 1.0);
            }
        },
    },
    Gauges {
        name: "kube_node_status_condition",
        help: "The condition of a cluster node.",
        rows: |node, row| {
            for condition in node.status.iter().flat_map(|s| s.conditions.iter().flatten()) {
                statuses(&condition.status, &mut |word, value| {
                    row(&[("condition", &condition.type_), ("status", word)], value);
                });
            }
        },
    },
    Gauges {
        name: "kube_node_status_capacity",
        help: "The capacity for different resources of a node.",
        rows: |node, row| resources(node.status.as_ref().and_then(|s| s.capacity.as_ref()), row),
    },
    Gauges {
        name: "kube_node_status_allocatable",
        help: "The allocatable for different resources of a node that are available for scheduling.",
        rows: |node, row| resources(node.status.as_ref().and_then(|s| s.allocatable.as_ref()), row),
    },
];

fn info(node: &Arc<Node>, row: &mut Rows<'_>) {
    let (spec, status) = (node.spec.as_ref(), node.status.as_ref());
    let told = status.and_then(|s| s.node_info.as_ref());
    let mut addresses = status.iter().flat_map(|s| s.addresses.iter().flatten());
    let address = addresses.rfind(|a| a.type_ == "InternalIP").map_or("", |a| a.address.as_str());
    let labels = [
        ("kernel_version", told.map_or("", |i| i.kernel_version.as_str())),
        ("os_image", told.map_or("", |i| i.os_image.as_str())),
        ("container_runtime_version", told.map_or("", |i| i.container_runtime_version.as_str())),
        ("kubelet_version", told.map_or("", |i| i.kubelet_version.as_str())),
        ("kubeproxy_version", told.map_or("", |i| i.kube_proxy_version.as_str())),
        ("provider_id", spec.and_then(|s| s.provider_id.as_deref()).unwrap_or_default()),
        ("pod_cidr", spec.and_then(|s| s.pod_cidr.as_deref()).unwrap_or_default()),
        ("internal_ip", address),
    ];
    row(&labels, 1.0);
}

fn resources(of: Option<&BTreeMap<String, Text>>, row: &mut Rows<'_>) {
    for (name, quantity) in of.into_iter().flatten() {
        let Ok(quantity) = Quantity::parse(&quantity.0) else { continue };
        let unit = match name.as_str() {
            "cpu" => "core",
            "memory" | "ephemeral-storage" | "storage" => "byte",
            _ => "integer",
        };
        // What is no letter, digit or underscore cannot stand in a label.
        let label: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        row(&[("resource", &label), ("unit", unit)], quantity.as_milli_ceil() as f64 / 1000.0);
    }
}
