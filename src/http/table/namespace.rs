//! `kubectl get namespaces` (`printNamespace`).

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::column::{AGE, Column, NAME};
use super::{age_of, name_of};

pub(super) const COLUMNS: &[Column] = &[NAME, Column::text("Status", "The status of the namespace"), AGE];

pub(super) fn cells(namespace: &Namespace, now: Timestamp) -> Vec<Value> {
    let phase = namespace.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default();
    vec![name_of(&namespace.metadata), phase.into(), age_of(&namespace.metadata, now)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{cells_of, now};

    #[test]
    fn a_namespace_shows_its_phase() {
        let value = json!({"metadata": {"name": "a", "creationTimestamp": now(-60)}, "status": {"phase": "Active"}});
        assert_eq!(cells_of(super::super::Kind::Namespace, value), json!(["a", "Active", "60s"]));
    }
}
