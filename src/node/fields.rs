//! What a pod can be told about itself: its fields and the resources of its containers, as text, for environment
//! variables and for files (kubernetes `pkg/fieldpath/fieldpath.go`, `pkg/api/v1/resource/helpers.go`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use super::cluster::Cluster;
use super::env::ConfigError;
use crate::api::pod::subscript;
use crate::api::quantity::Quantity;

/// A field of the pod, by the paths that validation lets through; one that the pod has not is empty.
pub fn field_value(pod: &Pod, path: &str) -> String {
    let (meta, spec) = (&pod.metadata, pod.spec.as_ref());
    if let Some((map, key)) = subscript(path) {
        let map = match map {
            "metadata.labels" => &meta.labels,
            _ => &meta.annotations,
        };
        return map.as_ref().and_then(|m| m.get(key)).cloned().unwrap_or_default();
    }
    let value = match path {
        "metadata.name" => meta.name.clone(),
        "metadata.namespace" => meta.namespace.clone(),
        "metadata.uid" => meta.uid.clone(),
        "metadata.labels" => meta.labels.as_ref().map(lines),
        "metadata.annotations" => meta.annotations.as_ref().map(lines),
        "spec.nodeName" => spec.and_then(|s| s.node_name.clone()),
        "spec.serviceAccountName" => spec.and_then(|s| s.service_account_name.clone()),
        // The plural is a list of one.
        "status.hostIP" | "status.hostIPs" | "status.podIP" | "status.podIPs" => Some("127.0.0.1".to_owned()),
        _ => None,
    };
    value.unwrap_or_default()
}

/// One line `key="value"` per entry, by the order of the keys.
fn lines(map: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = map.iter().map(|(key, value)| format!("{key}={}", quoted(value))).collect();
    lines.join("\n")
}

/// As Go's `%q` writes it.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        let short = match c {
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{b}' => "\\v",
            '\\' => "\\\\",
            '"' => "\\\"",
            _ => "",
        };
        let invisible =
            c.is_control() || (c.is_whitespace() && c != ' ') || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}');
        // Writing to a String does not fail.
        let _ = match (short, invisible, u32::from(c)) {
            ("", false, _) => out.write_char(c),
            ("", true, code @ ..0x80) => write!(out, "\\x{code:02x}"),
            ("", true, code @ ..0x1_0000) => write!(out, "\\u{code:04x}"),
            ("", true, code) => write!(out, "\\U{code:08x}"),
            (short, ..) => out.write_str(short),
        };
    }
    out.push('"');
    out
}

/// A limit or request of the container that the selector names, else of `own`, in units of its divisor, rounded up. A
/// limit that is not set is what the node can allocate; a request that is not set is 0.
pub async fn resource_value<C: Cluster>(
    cluster: &C,
    pod: &Pod,
    own: Option<&Container>,
    selector: &ResourceFieldSelector,
) -> Result<String, ConfigError> {
    let container = match selector.container_name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => {
            let spec = pod.spec.iter();
            let mut all = spec.flat_map(|s| s.containers.iter().chain(s.init_containers.iter().flatten()));
            let found = all.find(|c| c.name == name);
            Some(found.ok_or_else(|| ConfigError(format!("container {name} not found")))?)
        }
        None => own,
    };
    let (kind, name) = selector.resource.split_once('.').unwrap_or_default();
    let resources = container.and_then(|c| c.resources.as_ref());
    let of = |map: Option<&BTreeMap<String, Text>>| {
        map.and_then(|m| m.get(name)).and_then(|text| Quantity::parse(&text.0).ok())
    };
    let amount = match kind {
        "limits" => match of(resources.and_then(|r| r.limits.as_ref())).filter(|q| !q.is_zero()) {
            Some(limit) => Some(limit),
            None => {
                let node = pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).unwrap_or_default();
                let node = cluster.node(node).await;
                of(node.as_ref().and_then(|n| n.status.as_ref()?.allocatable.as_ref()))
            }
        },
        _ => of(resources.and_then(|r| r.requests.as_ref())),
    };
    let divisor = selector.divisor.as_ref().and_then(|d| Quantity::parse(&d.0).ok());
    Ok(divided(name, amount.unwrap_or(Quantity::ZERO), divisor.unwrap_or(Quantity::ZERO)).to_string())
}

fn divided(name: &str, amount: Quantity, divisor: Quantity) -> i128 {
    let (amount, divisor) = match name {
        "cpu" if divisor.is_zero() => (amount.as_milli_ceil(), 1000),
        "cpu" => (amount.as_milli_ceil(), divisor.as_milli_ceil()),
        _ if divisor.is_zero() => (amount.value_ceil(), 1),
        _ => (amount.value_ceil(), divisor.value_ceil()),
    };
    let divisor = divisor.max(1);
    amount.div_euclid(divisor) + i128::from(amount.rem_euclid(divisor) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn maps_become_sorted_lines_with_go_quotes() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "labels": {"b": "2", "a": "x\"y"},
            "annotations": {"k": "line\nnext\t\u{1}\u{7f}\u{85}é"}}}))
        .unwrap();
        assert_eq!(field_value(&pod, "metadata.labels"), "a=\"x\\\"y\"\nb=\"2\"");
        assert_eq!(field_value(&pod, "metadata.annotations"), "k=\"line\\nnext\\t\\x01\\x7f\\u0085é\"");
        assert_eq!(field_value(&pod, "metadata.labels['a']"), "x\"y");
        assert_eq!(field_value(&pod, "metadata.labels['none']"), "");
        assert_eq!(field_value(&pod, "status.podIPs"), "127.0.0.1");
    }

    #[test]
    fn amounts_are_divided_and_rounded_up() {
        let cases = [
            ("cpu", "1500m", "0", 2),
            ("cpu", "1500m", "1m", 1500),
            ("cpu", "0", "1", 0),
            ("memory", "1Gi", "1Mi", 1024),
            ("memory", "1", "1Mi", 1),
            ("memory", "10k", "0", 10_000),
            ("ephemeral-storage", "2G", "1Gi", 2),
        ];
        for (name, amount, divisor, expected) in cases {
            let parse = |text| Quantity::parse(text).unwrap();
            assert_eq!(divided(name, parse(amount), parse(divisor)), expected, "{name} {amount} {divisor}");
        }
    }
}
