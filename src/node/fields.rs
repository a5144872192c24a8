//! Fields of the pod and of its resources, as a container is told of them: in its environment and in files
//! (kubernetes `pkg/fieldpath` and `pkg/api/v1/resource`).

use std::collections::BTreeMap;
use std::fmt::Write;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;

use super::status::HOST_IP;
use crate::api::pod::subscript;
use crate::api::quantity::Quantity;

/// What the node offers, by the names of resources.
pub type Amounts = BTreeMap<String, Amount>;

/// A field of the pod, by the paths that validation lets through; one that the pod has not is empty.
pub fn value(pod: &Pod, path: &str) -> String {
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
        "status.hostIP" | "status.hostIPs" | "status.podIP" | "status.podIPs" => Some(HOST_IP.to_owned()),
        _ => None,
    };
    value.unwrap_or_default()
}

/// `key="value"` in lines, the value with Go's escapes.
fn lines(map: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = map.iter().map(|(key, value)| format!("{key}={}", quoted(value))).collect();
    lines.join("\n")
}

/// As Go's `%q` writes a text.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        // Writing to a string does not fail.
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            '\t' => write!(out, "\\t"),
            '\u{7}' => write!(out, "\\a"),
            '\u{8}' => write!(out, "\\b"),
            '\u{b}' => write!(out, "\\v"),
            '\u{c}' => write!(out, "\\f"),
            c if c < ' ' || c == '\u{7f}' => write!(out, "\\x{:02x}", u32::from(c)),
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c)),
            c => write!(out, "{c}"),
        };
    }
    out + "\""
}

/// An amount of a container's resources, in units of the divisor, rounded up. Without a limit it is what the node has.
pub fn resource(
    pod: &Pod,
    own: Option<&Container>,
    selector: &ResourceFieldSelector,
    node: &Amounts,
) -> Result<String, String> {
    let spec = pod.spec.as_ref();
    let all = || spec.iter().flat_map(|s| s.init_containers.iter().flatten().chain(&s.containers));
    let container = match selector.container_name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => all().find(|c| c.name == name).ok_or_else(|| format!("container {name} not found"))?,
        None => own.ok_or("containerName is missing")?,
    };
    let Some((list, name)) = selector.resource.split_once('.') else {
        return Err(format!("unsupported container resource: {}", selector.resource));
    };
    let resources = container.resources.as_ref();
    let set = |amounts: Option<&Amounts>| Quantity::parse(&amounts?.get(name)?.0).ok();
    let limit = set(resources.and_then(|r| r.limits.as_ref())).filter(|q| !q.is_zero());
    let amount = match list {
        "limits" => limit.or_else(|| set(Some(node))),
        _ => set(resources.and_then(|r| r.requests.as_ref())),
    };
    let milli = amount.map_or(0, Quantity::as_milli_ceil);
    let divisor = selector.divisor.as_ref().and_then(|d| Quantity::parse(&d.0).ok()).filter(|d| !d.is_zero());
    // A divisor of nothing is one.
    let divisor = divisor.map_or(1000, Quantity::as_milli_ceil).max(1);
    Ok((milli / divisor + i128::from(milli % divisor > 0)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Kind, Object};
    use serde_json::json;

    fn pod() -> Pod {
        let object = json!({"metadata": {"name": "p", "labels": {"b": "x\"\n\u{1}ü", "a": ""}}, "spec": {"containers": [
            {"name": "c", "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "100m"}}},
            {"name": "free"}]}});
        Pod::clone(Object::deserialize(Kind::Pod, object).unwrap().as_pod().unwrap())
    }

    #[test]
    fn a_field_is_its_value_and_a_map_is_its_lines() {
        let pod = pod();
        for (path, expected) in [
            ("metadata.name", "p"),
            ("metadata.labels['b']", "x\"\n\u{1}ü"),
            ("metadata.labels['none']", ""),
            ("metadata.labels", "a=\"\"\nb=\"x\\\"\\n\\x01ü\""),
            ("metadata.annotations", ""),
            ("status.podIPs", "127.0.0.1"),
        ] {
            assert_eq!(value(&pod, path), expected, "{path}");
        }
    }

    #[test]
    fn an_amount_is_divided_and_rounded_up() {
        let pod = pod();
        let node: Amounts = [("cpu", "8"), ("memory", "1Gi")].map(|(k, v)| (k.to_owned(), Amount(v.to_owned()))).into();
        let own = &pod.spec.as_ref().unwrap().containers[0];
        for (container, name, divisor, expected) in [
            ("", "limits.cpu", "0", "2"),
            ("", "limits.cpu", "1m", "1500"),
            ("c", "requests.cpu", "1", "1"),
            ("", "limits.memory", "1Mi", "64"),
            ("", "limits.memory", "0", "67108864"),
            ("", "limits.memory", "1G", "1"),
            ("", "requests.memory", "1", "0"),
            ("free", "limits.cpu", "1", "8"),
            ("free", "limits.memory", "1Mi", "1024"),
        ] {
            let selector =
                serde_json::from_value(json!({"containerName": container, "resource": name, "divisor": divisor}))
                    .unwrap();
            assert_eq!(resource(&pod, Some(own), &selector, &node).unwrap(), expected, "{container} {name} {divisor}");
        }
        let selector = serde_json::from_value(json!({"containerName": "none", "resource": "limits.cpu"})).unwrap();
        assert!(resource(&pod, None, &selector, &node).is_err());
    }
}
