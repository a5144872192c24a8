//! ConfigMaps and Secrets: defaults, validation, and what `immutable` means (`ValidateConfigMap`, `ValidateSecret` and
//! their updates in `pkg/apis/core/validation/validation.go`, about 1.34).

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use crate::api::field::{FieldError, Path};
use crate::api::names;
use crate::api::validate_meta::{IMMUTABLE, semantically_equal};

/// Bytes that the values of a ConfigMap or Secret may have together.
const MAX_SIZE: usize = 1 << 20;
const SET_IMMUTABLE: &str = "field is immutable when `immutable` is set";

pub fn validate_config_map(map: &ConfigMap, faults: &mut Vec<FieldError>) {
    let ConfigMap { binary_data, data, immutable: _, metadata: _ } = map;
    let mut size: usize = 0;
    let has = |key: &String, other: Option<bool>| (other == Some(true)).then(|| key.clone());
    let data_path = Path::root("data");
    for (key, value) in data.iter().flatten() {
        let path = data_path.key(key);
        names::report(&path, key, names::config_map_key(key), faults);
        if let Some(key) = has(key, binary_data.as_ref().map(|b| b.contains_key(key))) {
            faults.push(FieldError::invalid(&path, key, "duplicate of key present in binaryData"));
        }
        size = size.saturating_add(value.len());
    }
    let binary_path = Path::root("binaryData");
    for (key, value) in binary_data.iter().flatten() {
        let path = binary_path.key(key);
        names::report(&path, key, names::config_map_key(key), faults);
        if let Some(key) = has(key, data.as_ref().map(|d| d.contains_key(key))) {
            faults.push(FieldError::invalid(&path, key, "duplicate of key present in data"));
        }
        size = size.saturating_add(value.0.len());
    }
    if size > MAX_SIZE {
        // No single field is too long; this is how Kubernetes writes the path of the whole.
        faults.push(FieldError::too_long(&Path::root("[]"), MAX_SIZE));
    }
}

pub fn validate_config_map_update(new: &ConfigMap, old: &ConfigMap, faults: &mut Vec<FieldError>) {
    validate_config_map(new, faults);
    if old.immutable == Some(true) {
        frozen("immutable", new.immutable == Some(true), faults);
        frozen("data", semantically_equal(&new.data, &old.data), faults);
        frozen("binaryData", semantically_equal(&new.binary_data, &old.binary_data), faults);
    }
}

/// Folds `stringData`, which can only be written, into `data`, and gives the type its default.
pub fn default_secret(secret: &mut Secret) {
    if let Some(strings) = secret.string_data.take() {
        let data = secret.data.get_or_insert_default();
        data.extend(strings.into_iter().map(|(key, value)| (key, ByteString(value.into_bytes()))));
    }
    if secret.type_.as_deref().unwrap_or_default().is_empty() {
        secret.type_ = Some("Opaque".to_owned());
    }
}

/// Expects defaults.
pub fn validate_secret(secret: &Secret, faults: &mut Vec<FieldError>) {
    let Secret { data, immutable: _, metadata, string_data: _, type_ } = secret;
    let path = Path::root("data");
    let empty = BTreeMap::new();
    let data = data.as_ref().unwrap_or(&empty);
    let mut size: usize = 0;
    for (key, value) in data {
        names::report(&path.key(key), key, names::config_map_key(key), faults);
        size = size.saturating_add(value.0.len());
    }
    if size > MAX_SIZE {
        faults.push(FieldError::too_long(&path, MAX_SIZE));
    }
    let mut demand = |keys: &[&str]| {
        let missing = keys.iter().filter(|key| !data.contains_key(**key));
        faults.extend(missing.map(|key| FieldError::required(&path.key(key), "")));
    };
    match type_.as_deref().unwrap_or_default() {
        "kubernetes.io/service-account-token" => {
            let name = "kubernetes.io/service-account.name";
            if metadata.annotations.as_ref().and_then(|a| a.get(name)).is_none_or(|v| v.is_empty()) {
                let path = Path::root("metadata").child("annotations").key(name);
                faults.push(FieldError::required(&path, ""));
            }
        }
        "kubernetes.io/dockercfg" => validate_json(data, ".dockercfg", &path, faults),
        "kubernetes.io/dockerconfigjson" => validate_json(data, ".dockerconfigjson", &path, faults),
        // One of the two is enough.
        "kubernetes.io/basic-auth" if !["username", "password"].iter().any(|key| data.contains_key(*key)) => {
            demand(&["username", "password"]);
        }
        "kubernetes.io/ssh-auth" => demand(&["ssh-privatekey"]),
        "kubernetes.io/tls" => demand(&["tls.crt", "tls.key"]),
        _ => {}
    }
}

fn validate_json(data: &BTreeMap<String, ByteString>, key: &str, path: &Path, faults: &mut Vec<FieldError>) {
    let path = path.key(key);
    match data.get(key) {
        None => faults.push(FieldError::required(&path, "")),
        Some(bytes) => {
            if let Err(error) = serde_json::from_slice::<serde_json::Map<_, _>>(&bytes.0) {
                // The parser's message has a position and no content.
                faults.push(FieldError::invalid(&path, "<secret contents redacted>", error));
            }
        }
    }
}

pub fn validate_secret_update(new: &Secret, old: &Secret, faults: &mut Vec<FieldError>) {
    if new.type_ != old.type_ {
        let new = new.type_.as_deref().unwrap_or_default();
        faults.push(FieldError::invalid(&Path::root("type"), new, IMMUTABLE));
    }
    if old.immutable == Some(true) {
        frozen("immutable", new.immutable == Some(true), faults);
        frozen("data", semantically_equal(&new.data, &old.data), faults);
    }
    validate_secret(new, faults);
}

fn frozen(field: &str, same: bool, faults: &mut Vec<FieldError>) {
    if !same {
        faults.push(FieldError::forbidden(&Path::root(field), SET_IMMUTABLE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn texts(faults: Vec<FieldError>) -> Vec<String> {
        faults.iter().map(ToString::to_string).collect()
    }

    fn config_map(value: Value) -> ConfigMap {
        serde_json::from_value(value).unwrap()
    }

    fn secret(value: Value) -> Secret {
        let mut secret = serde_json::from_value(value).unwrap();
        default_secret(&mut secret);
        secret
    }

    #[test]
    fn keys_are_file_names_and_appear_once() {
        let mut faults = Vec::new();
        let map = json!({"metadata": {}, "data": {"a": "1", "b/c": ""}, "binaryData": {"a": "MQ=="}});
        validate_config_map(&config_map(map), &mut faults);
        let found = texts(faults);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], "data[a]: Invalid value: \"a\": duplicate of key present in binaryData");
        assert!(found[1].starts_with("data[b/c]: Invalid value: \"b/c\": a valid config key must"), "{}", found[1]);
    }

    #[test]
    fn the_whole_is_at_most_a_mebibyte() {
        let mut faults = Vec::new();
        let half = "x".repeat(600 << 10);
        validate_config_map(&config_map(json!({"metadata": {}, "data": {"a": half, "b": half}})), &mut faults);
        validate_secret(&secret(json!({"metadata": {}, "stringData": {"a": half, "b": half}})), &mut faults);
        assert_eq!(
            texts(faults),
            ["[]: Too long: may not be more than 1048576 bytes", "data: Too long: may not be more than 1048576 bytes"]
        );
    }

    #[test]
    fn string_data_overrides_data_and_is_not_kept() {
        let secret = secret(json!({"metadata": {}, "data": {"a": "MQ==", "b": "Mg=="}, "stringData": {"a": "9"}}));
        assert_eq!(
            serde_json::to_value(&secret).unwrap(),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "data": {"a": "OQ==", "b": "Mg=="},
                "type": "Opaque"})
        );
    }

    #[test]
    fn a_typed_secret_has_its_keys() {
        let table = [
            ("kubernetes.io/tls", vec!["data[tls.crt]", "data[tls.key]"]),
            ("kubernetes.io/ssh-auth", vec!["data[ssh-privatekey]"]),
            ("kubernetes.io/basic-auth", vec!["data[username]", "data[password]"]),
            ("kubernetes.io/dockerconfigjson", vec!["data[.dockerconfigjson]"]),
            ("kubernetes.io/service-account-token", vec!["metadata.annotations[kubernetes.io/service-account.name]"]),
            ("example.com/own", vec![]),
        ];
        for (kind, want) in table {
            let mut faults = Vec::new();
            validate_secret(&secret(json!({"metadata": {}, "type": kind})), &mut faults);
            assert_eq!(faults.iter().map(|f| f.field.as_str()).collect::<Vec<_>>(), want);
        }
        let mut faults = Vec::new();
        let bad = json!({"metadata": {}, "type": "kubernetes.io/dockercfg", "stringData": {".dockercfg": "hunter2"}});
        validate_secret(&secret(bad), &mut faults);
        assert!(faults[0].message.contains("<secret contents redacted>") && !faults[0].message.contains("hunter2"));
    }

    #[test]
    fn what_is_immutable_stays() {
        let old = json!({"metadata": {}, "data": {"a": "MQ=="}, "immutable": true});
        let new = json!({"metadata": {}, "data": {"a": "Mg=="}, "type": "x"});
        let mut faults = Vec::new();
        validate_secret_update(&secret(new.clone()), &secret(old.clone()), &mut faults);
        validate_config_map_update(&config_map(new), &config_map(old), &mut faults);
        assert_eq!(
            texts(faults),
            [
                "type: Invalid value: \"x\": field is immutable",
                "immutable: Forbidden: field is immutable when `immutable` is set",
                "data: Forbidden: field is immutable when `immutable` is set",
                "immutable: Forbidden: field is immutable when `immutable` is set",
                "data: Forbidden: field is immutable when `immutable` is set",
            ]
        );
    }
}
