//! `kubectl get serviceaccounts` (`printServiceAccount`).

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::column::{AGE, Column, NAME};
use super::{age_of, name_of};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::text(
        "Secrets",
        "Secrets is a list of the secrets in the same namespace that pods running using this ServiceAccount may use. \
         More info: https://kubernetes.io/docs/concepts/configuration/secret",
    ),
    AGE,
];

pub(super) fn cells(account: &ServiceAccount, now: Timestamp) -> Vec<Value> {
    let secrets = account.secrets.as_ref().map_or(0, Vec::len);
    vec![name_of(&account.metadata), secrets.into(), age_of(&account.metadata, now)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::cells_of;

    #[test]
    fn an_account_shows_how_many_secrets_it_has() {
        let value = json!({"metadata": {"name": "a"}, "secrets": [{"name": "s"}]});
        assert_eq!(cells_of(super::super::Kind::ServiceAccount, value), json!(["a", 1, "<unknown>"]));
    }
}
