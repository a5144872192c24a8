//! Says in the schemas which lists a strategic merge patch merges, and by which key, as the server itself does. `kubectl
//! apply` computes its patch from this: without it, a list that the server has filled with defaults looks changed.

use serde_json::{Map, Value};

use super::schemas::PREFIX;
use crate::api::patch::schema::{Field, Schema};

/// Marks the lists of the type called `name` and of all types below it.
pub(super) fn publish(schemas: &mut Map<String, Value>, name: &str, merged: &'static Schema) {
    for (field, how) in merged.fields() {
        let property = schemas.get_mut(name).and_then(|s| s.get_mut("properties")?.get_mut(field)?.as_object_mut());
        let Some(property) = property else { continue };
        let (below, next) = match how {
            Field::Object(next) => (type_of(property), Some(next)),
            Field::Keyed { key, item } => {
                property.insert("x-kubernetes-patch-merge-key".to_owned(), key.into());
                property.insert("x-kubernetes-patch-strategy".to_owned(), "merge".into());
                (property.get("items").and_then(Value::as_object).and_then(type_of), Some(item))
            }
            Field::Set => {
                property.insert("x-kubernetes-patch-strategy".to_owned(), "merge".into());
                (None, None)
            }
        };
        if let (Some(below), Some(next)) = (below, next) {
            publish(schemas, &below, next);
        }
    }
}

/// The name of the type that a property refers to, by itself or beside a description.
fn type_of(property: &Map<String, Value>) -> Option<String> {
    let reference = property.get("$ref").or_else(|| property.get("allOf")?.get(0)?.get("$ref"))?;
    Some(reference.as_str()?.strip_prefix(PREFIX)?.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::http::openapi;

    #[test]
    fn the_lists_that_a_patch_merges_are_published_with_their_keys() {
        let document: Value = serde_json::from_slice(&openapi::document("apis/batch/v1").unwrap().bytes).unwrap();
        let property = |of: &str, name: &str| document["components"]["schemas"][of]["properties"][name].clone();
        for (of, name, key) in [
            ("io.k8s.api.core.v1.PodSpec", "containers", "name"),
            ("io.k8s.api.core.v1.PodSpec", "volumes", "name"),
            ("io.k8s.api.core.v1.Container", "env", "name"),
            ("io.k8s.api.core.v1.Container", "volumeMounts", "mountPath"),
            ("io.k8s.api.batch.v1.JobStatus", "conditions", "type"),
            ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "ownerReferences", "uid"),
        ] {
            let property = property(of, name);
            assert_eq!(property["x-kubernetes-patch-merge-key"], key, "{of} {name}");
            assert_eq!(property["x-kubernetes-patch-strategy"], "merge", "{of} {name}");
        }
        let finalizers = property("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "finalizers");
        assert_eq!(finalizers["x-kubernetes-patch-strategy"], "merge");
    }
}
