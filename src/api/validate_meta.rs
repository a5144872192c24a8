//! What every object's metadata must satisfy, on creation and on change (apimachinery `api/validation/objectmeta.go` and
//! `apis/meta/v1/validation`, about 1.34).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::api::field::{FieldError, Path};
use crate::api::kind::Kind;
use crate::api::names;
use crate::api::well_known::{FINALIZER_FOREGROUND, FINALIZER_ORPHAN};

/// Bytes that all keys and values of an object's annotations may have together.
pub const MAX_ANNOTATIONS: usize = 256 << 10;

pub const IMMUTABLE: &str = "field is immutable";
pub const NEGATIVE: &str = "must be greater than or equal to 0";

/// For a new object whose name is already generated.
pub fn validate_create(kind: Kind, meta: &ObjectMeta, path: &Path, faults: &mut Vec<FieldError>) {
    let rule = if kind == Kind::Namespace { names::dns1123_label } else { names::dns1123_subdomain };
    if let Some(base) = meta.generate_name.as_deref().filter(|base| !base.is_empty()) {
        names::report(&path.child("generateName"), base, rule(&names::mask_trailing_dash(base)), faults);
    }
    match meta.name.as_deref().unwrap_or_default() {
        "" => faults.push(FieldError::required(&path.child("name"), "name or generateName is required")),
        name => names::report(&path.child("name"), name, rule(name), faults),
    }
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let at = path.child("namespace");
    match (kind.info().namespaced, namespace.is_empty()) {
        (true, true) => faults.push(FieldError::required(&at, "")),
        (true, false) => names::report(&at, namespace, names::dns1123_label(namespace), faults),
        (false, true) => {}
        (false, false) => faults.push(FieldError::forbidden(&at, "not allowed on this type")),
    }
    validate_common(meta, path, faults);
}

/// For a change. The fields that belong to the server are expected to be restored from `old` where a client left them
/// out; what still differs is refused.
pub fn validate_update(new: &ObjectMeta, old: &ObjectMeta, path: &Path, faults: &mut Vec<FieldError>) {
    if old.deletion_timestamp.is_some() {
        let before = old.finalizers.as_deref().unwrap_or_default();
        let mut added: Vec<&String> = new.finalizers.iter().flatten().filter(|f| !before.contains(f)).collect();
        added.sort();
        added.dedup();
        if !added.is_empty() {
            let list = added.iter().map(|f| format!("{f:?}")).collect::<Vec<_>>().join(", ");
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{list}}}"
            );
            faults.push(FieldError::forbidden(&path.child("finalizers"), detail));
        }
    }
    let mut same = |field: &str, new: serde_json::Value, equal: bool| {
        if !equal {
            faults.push(FieldError::invalid(&path.child(field), new, IMMUTABLE));
        }
    };
    let text = |value: &Option<String>| value.as_deref().unwrap_or_default().to_owned();
    same("name", text(&new.name).into(), text(&new.name) == text(&old.name));
    same("namespace", text(&new.namespace).into(), text(&new.namespace) == text(&old.namespace));
    same("uid", text(&new.uid).into(), text(&new.uid) == text(&old.uid));
    let created = new.creation_timestamp.as_ref().map(|t| t.0.to_string());
    same("creationTimestamp", created.into(), new.creation_timestamp == old.creation_timestamp);
    let deleted = new.deletion_timestamp.as_ref().map(|t| t.0.to_string());
    same("deletionTimestamp", deleted.into(), new.deletion_timestamp == old.deletion_timestamp);
    let grace = new.deletion_grace_period_seconds;
    same("deletionGracePeriodSeconds", grace.into(), grace == old.deletion_grace_period_seconds);
    validate_common(new, path, faults);
}

fn validate_common(meta: &ObjectMeta, path: &Path, faults: &mut Vec<FieldError>) {
    validate_labels(meta.labels.as_ref(), &path.child("labels"), faults);
    validate_annotations(meta.annotations.as_ref(), &path.child("annotations"), faults);
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    validate_owners(owners, &path.child("ownerReferences"), faults);
    validate_finalizers(meta.finalizers.as_deref().unwrap_or_default(), &path.child("finalizers"), faults);
}

pub fn validate_labels(labels: Option<&BTreeMap<String, String>>, path: &Path, faults: &mut Vec<FieldError>) {
    for (key, value) in labels.into_iter().flatten() {
        names::report(path, key, names::qualified_name(key), faults);
        names::report(path, value, names::label_value(value), faults);
    }
}

pub fn validate_annotations(annotations: Option<&BTreeMap<String, String>>, path: &Path, faults: &mut Vec<FieldError>) {
    let mut size: usize = 0;
    for (key, value) in annotations.into_iter().flatten() {
        names::report(path, key, names::annotation_key(key), faults);
        size += key.len() + value.len();
    }
    if size > MAX_ANNOTATIONS {
        faults.push(FieldError::too_long(path, MAX_ANNOTATIONS));
    }
}

fn validate_owners(owners: &[OwnerReference], path: &Path, faults: &mut Vec<FieldError>) {
    let mut controller: Option<&OwnerReference> = None;
    for owner in owners {
        // `group/version`, or only the version for the core group; more than one slash is no version at all.
        let version = match owner.api_version.matches('/').count() {
            0 => owner.api_version.as_str(),
            1 => owner.api_version.split_once('/').map_or("", |(_, version)| version),
            _ => "",
        };
        if version.is_empty() {
            let at = path.child("apiVersion");
            faults.push(FieldError::invalid(&at, owner.api_version.as_str(), "version must not be empty"));
        }
        for (field, value) in [("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)] {
            if value.is_empty() {
                faults.push(FieldError::invalid(&path.child(field), "", "must not be empty"));
            }
        }
        if owner.api_version == "v1" && owner.kind == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            faults.push(FieldError::invalid(path, json(owner), detail));
        }
        if owner.controller == Some(true) {
            match controller {
                None => controller = Some(owner),
                Some(first) => {
                    let detail = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {}/{} \
                         and {}/{}",
                        first.kind, first.name, owner.kind, owner.name
                    );
                    faults.push(FieldError::invalid(path, json(&owners), detail));
                }
            }
        }
    }
}

fn validate_finalizers(finalizers: &[String], path: &Path, faults: &mut Vec<FieldError>) {
    for finalizer in finalizers {
        names::report(path, finalizer, names::qualified_name(finalizer), faults);
    }
    let has = |name: &str| finalizers.iter().any(|f| f == name);
    if has(FINALIZER_ORPHAN) && has(FINALIZER_FOREGROUND) {
        let detail = format!("finalizer {FINALIZER_ORPHAN} and {FINALIZER_FOREGROUND} cannot be both set");
        faults.push(FieldError::invalid(path, finalizers.to_vec(), detail));
    }
}

/// A value as a message shows it.
pub fn json(value: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// Faults if `value` is there and negative.
pub fn non_negative(value: Option<impl Into<i64>>, path: &Path, faults: &mut Vec<FieldError>) {
    if let Some(value) = value.map(Into::into)
        && value < 0
    {
        faults.push(FieldError::invalid(path, value, NEGATIVE));
    }
}

/// Equality as the API server sees it: an absent value, an empty list and an empty map are the same. An empty text is a
/// value, because in a map of labels or data it is one; defaults drop it from the fields where it means absent.
pub fn semantically_equal<T: PartialEq + serde::Serialize>(a: &T, b: &T) -> bool {
    a == b || prune(json(a)) == prune(json(b))
}

fn prune(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(prune).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(k, v)| (k, prune(v))).filter(|(_, v)| !empty(v)).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn meta(value: serde_json::Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    fn on_create(kind: Kind, value: serde_json::Value) -> Vec<String> {
        let mut faults = Vec::new();
        validate_create(kind, &meta(value), &Path::root("metadata"), &mut faults);
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_and_a_namespace_are_demanded() {
        assert_eq!(
            on_create(Kind::Job, json!({})),
            ["metadata.name: Required value: name or generateName is required", "metadata.namespace: Required value"]
        );
        assert_eq!(
            on_create(Kind::Node, json!({"name": "n", "namespace": "a"})),
            ["metadata.namespace: Forbidden: not allowed on this type"]
        );
        assert_eq!(
            on_create(Kind::Namespace, json!({"name": "a.b"})),
            ["metadata.name: Invalid value: \"a.b\": must not contain dots"]
        );
        assert!(on_create(Kind::Job, json!({"name": "a-x", "generateName": "a-", "namespace": "b"})).is_empty());
    }

    #[test]
    fn owners_are_complete_and_only_one_controls() {
        let owner =
            |name: &str| json!({"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": "u", "controller": true});
        let found = on_create(
            Kind::Pod,
            json!({"name": "a", "namespace": "b", "ownerReferences": [owner("x"), owner("y"),
                {"apiVersion": "a/", "kind": "", "name": "", "uid": ""}]}),
        );
        assert_eq!(found.len(), 5, "{found:?}");
        assert!(found[0].contains("in references for Job/x and Job/y"), "{}", found[0]);
        assert_eq!(found[1], "metadata.ownerReferences.apiVersion: Invalid value: \"a/\": version must not be empty");
    }

    #[test]
    fn labels_annotations_and_finalizers_are_checked() {
        let found = on_create(
            Kind::Pod,
            json!({"name": "a", "namespace": "b", "labels": {"-": "-"}, "annotations": {"UP.io/a": "x".repeat(300_000)},
                "finalizers": ["orphan", "foregroundDeletion", "!"]}),
        );
        assert_eq!(found.len(), 5, "{found:?}");
        assert_eq!(found[2], "metadata.annotations: Too long: may not be more than 262144 bytes");
        assert!(found[4].ends_with("finalizer orphan and foregroundDeletion cannot be both set"), "{}", found[4]);
    }

    #[test]
    fn identity_cannot_change_and_a_deletion_takes_no_new_finalizer() {
        let old = meta(json!({"name": "a", "namespace": "b", "uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z"}));
        let mut new = old.clone();
        new.name = Some("c".to_owned());
        new.uid = Some("v".to_owned());
        new.finalizers = Some(vec!["x.io/b".to_owned(), "x.io/a".to_owned()]);
        let mut faults = Vec::new();
        validate_update(&new, &old, &Path::root("metadata"), &mut faults);
        let found: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new \
              finalizers []string{\"x.io/a\", \"x.io/b\"}",
                "metadata.name: Invalid value: \"c\": field is immutable",
                "metadata.uid: Invalid value: \"v\": field is immutable",
            ]
        );
    }

    #[test]
    fn absent_and_empty_are_the_same() {
        let a = meta(json!({"name": "a", "labels": {}, "finalizers": []}));
        assert!(semantically_equal(&a, &meta(json!({"name": "a"}))));
        assert!(!semantically_equal(&a, &meta(json!({"name": "b"}))));
        assert!(!semantically_equal(&a, &meta(json!({"name": "a", "labels": {"k": ""}}))), "a label may be empty");
    }
}
