//! `kubectl get configmaps` (`printConfigMap`).

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::column::{AGE, Column, NAME};
use super::{age_of, name_of};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::text(
        "Data",
        "Data contains the configuration data. Each key must consist of alphanumeric characters, '-', '_' or '.'. \
         Values with non-UTF-8 byte sequences must use the BinaryData field. The keys stored in Data must not overlap \
         with the keys in the BinaryData field, this is enforced during validation process.",
    ),
    AGE,
];

pub(super) fn cells(map: &ConfigMap, now: Timestamp) -> Vec<Value> {
    let entries = map.data.as_ref().map_or(0, |d| d.len()) + map.binary_data.as_ref().map_or(0, |d| d.len());
    vec![name_of(&map.metadata), entries.into(), age_of(&map.metadata, now)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::cells_of;

    #[test]
    fn text_and_binary_entries_are_counted_together() {
        let value = json!({"metadata": {"name": "a"}, "data": {"x": "1", "y": "2"}, "binaryData": {"z": "AA=="}});
        assert_eq!(cells_of(super::super::Kind::ConfigMap, value), json!(["a", 3, "<unknown>"]));
    }
}
