//! `kubectl get secrets` (`printSecret`). Values never appear.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::column::{AGE, Column, NAME};
use super::{age_of, name_of};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::text(
        "Type",
        "Used to facilitate programmatic handling of secret data. More info: \
         https://kubernetes.io/docs/concepts/configuration/secret/#secret-types",
    ),
    Column::text(
        "Data",
        "Data contains the secret data. Each key must consist of alphanumeric characters, '-', '_' or '.'. The \
         serialized form of the secret data is a base64 encoded string, representing the arbitrary (possibly \
         non-string) data value here. Described in https://tools.ietf.org/html/rfc4648#section-4",
    ),
    AGE,
];

pub(super) fn cells(secret: &Secret, now: Timestamp) -> Vec<Value> {
    vec![
        name_of(&secret.metadata),
        secret.type_.as_deref().unwrap_or_default().into(),
        secret.data.as_ref().map_or(0, |d| d.len()).into(),
        age_of(&secret.metadata, now),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::cells_of;

    #[test]
    fn a_secret_shows_its_type_and_how_much_it_holds() {
        let value = json!({"metadata": {"name": "a"}, "type": "Opaque", "data": {"x": "AA=="}});
        assert_eq!(cells_of(super::super::Kind::Secret, value), json!(["a", "Opaque", 1, "<unknown>"]));
    }
}
