//! What a ServiceAccount must satisfy, and the one that every namespace has. kiln keeps service accounts for the tools that
//! make and name them: modules have no access to the API, so an account has no token, and a pod's is a name only.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::field::{FieldError, Path};
use crate::api::unsupported::refusal;

/// The account of pods that name none (`plugin/pkg/admission/serviceaccount`).
pub const DEFAULT: &str = "default";

/// The default account of a namespace.
pub fn default_of(namespace: &str) -> ServiceAccount {
    let metadata =
        ObjectMeta { name: Some(DEFAULT.to_owned()), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() };
    ServiceAccount { metadata, ..ServiceAccount::default() }
}

pub fn validate_service_account(account: &ServiceAccount, faults: &mut Vec<FieldError>) {
    let ServiceAccount {
        metadata: _,
        // Whether or not, nothing is mounted: a module has no access to the API.
        automount_service_account_token: _,
        image_pull_secrets,
        // Tokens of old, and what pods may mount if an annotation says so: a list that is kept.
        secrets: _,
    } = account;
    // Kubernetes hands them to the pods of the account when they are created.
    if image_pull_secrets.as_ref().is_some_and(|secrets| !secrets.is_empty()) {
        let why = "pods do not get the secrets of their account; give them imagePullSecrets of their own";
        faults.push(refusal(&Path::root("imagePullSecrets"), why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn an_account_is_kept_and_promises_no_credentials() {
        let faults = |value: Value| {
            let mut faults = Vec::new();
            validate_service_account(&serde_json::from_value(value).unwrap(), &mut faults);
            faults.iter().map(|f| f.field.clone()).collect::<Vec<_>>()
        };
        let kept = json!({"metadata": {}, "secrets": [{"name": "s"}], "automountServiceAccountToken": true});
        assert_eq!(faults(kept), [] as [&str; 0]);
        assert_eq!(faults(json!({"metadata": {}, "imagePullSecrets": [{"name": "s"}]})), ["imagePullSecrets"]);
    }
}
