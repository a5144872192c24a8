//! OpenAPI v3: `/openapi/v3` and one document per group and version; and v2, made of them (`v2`).
//!
//! kubectl reads it before each `create` and `apply`, to learn that the server checks fields itself (the
//! `fieldValidation` parameter of PATCH), and `kubectl explain` prints its descriptions. Schemas are those of
//! k8s-openapi's types, brought to the shape in which the API server publishes them (`schemas.rs`); paths follow from
//! the kind table (`paths.rs`). Built once, when first asked for, and kept as bytes.

mod paths;
mod reviews;
mod schemas;
mod top;
pub mod v2;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::discovery;

/// A published document, ready to send.
#[derive(Debug)]
pub struct Document {
    /// `api/v1` or `apis/batch/v1`: its path below `/openapi/v3/`.
    pub path: String,
    /// JSON.
    pub bytes: Vec<u8>,
    /// Of the bytes, in hexadecimal: the `hash` parameter of its URL, and its ETag.
    pub hash: String,
}

struct Published {
    index: Vec<u8>,
    documents: Vec<Document>,
}

static PUBLISHED: LazyLock<Published> = LazyLock::new(|| {
    let documents: Vec<Document> = discovery::group_versions().into_iter().map(|(g, v)| document_of(g, v)).collect();
    let paths: Map<String, Value> = documents
        .iter()
        .map(|d| {
            let url = format!("/openapi/v3/{}?hash={}", d.path, d.hash);
            (d.path.clone(), json!({ "serverRelativeURL": url }))
        })
        .collect();
    Published { index: bytes(&json!({ "paths": paths })), documents }
});

/// `GET /openapi/v3`: where each document is. The hash in its URL changes with its content, so that it may be cached
/// for good.
pub fn index() -> &'static [u8] {
    &PUBLISHED.index
}

/// `GET /openapi/v3/PATH`, with a path such as `apis/batch/v1`
pub fn document(path: &str) -> Option<&'static Document> {
    PUBLISHED.documents.iter().find(|d| d.path == path)
}

const TITLE: &str = "Kubernetes";

fn version() -> String {
    format!("v{}", env!("CARGO_PKG_VERSION"))
}

fn document_of(group: &str, version: &str) -> Document {
    let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
    let (paths, schemas) = parts_of(group, version);
    let bytes = bytes(&json!({
        "openapi": "3.0.0",
        "info": {"title": TITLE, "version": self::version()},
        "paths": paths,
        "components": {"schemas": schemas},
    }));
    document_from(&path, bytes)
}

fn document_from(path: &str, bytes: Vec<u8>) -> Document {
    Document { path: path.to_owned(), hash: hash(&bytes), bytes }
}

/// The path items of a group and version, and the schemas that they need.
fn parts_of(group: &str, version: &str) -> (Map<String, Value>, Map<String, Value>) {
    let kinds: Vec<_> = discovery::kinds_of(group, version).collect();
    let mut all_paths = Map::new();
    for &served in &kinds {
        all_paths.extend(paths::of(served));
    }
    let mut all_schemas = schemas::of(&kinds);
    reviews::add(group, version, &mut all_paths, &mut all_schemas);
    top::add(group, version, &mut all_paths, &mut all_schemas);
    (all_paths, all_schemas)
}

/// By which a document is known to a client that has it.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02X}")).collect()
}

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a Value has string keys only")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str) -> Value {
        serde_json::from_slice(&document(path).unwrap().bytes).unwrap()
    }

    /// Every value that stands under `key`, anywhere.
    fn all_of<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
        match value {
            Value::Array(list) => list.iter().for_each(|v| all_of(v, key, found)),
            Value::Object(map) => {
                found.extend(map.get(key));
                map.values().for_each(|v| all_of(v, key, found));
            }
            _ => {}
        }
    }

    #[test]
    fn the_index_leads_to_every_document() {
        let index: Value = serde_json::from_slice(index()).unwrap();
        let paths = index["paths"].as_object().unwrap();
        assert!(paths.contains_key("api/v1") && paths.contains_key("apis/batch/v1"));
        for (path, entry) in paths {
            let hash = &document(path).unwrap().hash;
            assert_eq!(entry["serverRelativeURL"], format!("/openapi/v3/{path}?hash={hash}"));
        }
        assert!(document("apis/nope/v1").is_none());
    }

    #[test]
    fn every_reference_leads_to_a_schema_of_the_same_document() {
        for path in ["api/v1", "apis/batch/v1", "apis/kiln.dev/v1", "apis/metrics.k8s.io/v1beta1"] {
            let document = parsed(path);
            let schemas = document["components"]["schemas"].as_object().unwrap();
            let mut references = Vec::new();
            all_of(&document, "$ref", &mut references);
            assert!(references.len() > 9);
            for reference in references {
                let name = reference.as_str().unwrap().strip_prefix("#/components/schemas/");
                assert!(name.is_some_and(|n| schemas.contains_key(n)), "{reference}");
            }
        }
    }

    #[test]
    fn nothing_is_left_of_json_schema_that_openapi_3_0_does_not_have() {
        for path in ["api/v1", "apis/batch/v1", "apis/kiln.dev/v1", "apis/metrics.k8s.io/v1beta1"] {
            let document = parsed(path);
            for schema in document["components"]["schemas"].as_object().unwrap().values() {
                for key in ["$defs", "$schema", "const", "prefixItems", "x-kubernetes-int-or-string"] {
                    let mut found = Vec::new();
                    all_of(schema, key, &mut found);
                    assert!(found.is_empty(), "{key} in {schema}");
                }
                let mut types = Vec::new();
                all_of(schema, "type", &mut types);
                // A field named "type" is a schema and so an object.
                assert!(types.iter().all(|t| t.is_string() || t.is_object()));
            }
        }
    }

    #[test]
    fn kubectl_finds_that_the_server_validates_fields() {
        let document = parsed("apis/batch/v1");
        let patch = &document["paths"]["/apis/batch/v1/namespaces/{namespace}/jobs/{name}"]["patch"];
        let gvk = json!({"group": "batch", "version": "v1", "kind": "Job"});
        assert_eq!(patch["x-kubernetes-group-version-kind"], gvk);
        assert_eq!(patch["x-kubernetes-action"], "patch");
        let parameters = patch["parameters"].as_array().unwrap();
        assert!(parameters.iter().any(|p| p["name"] == "fieldValidation" && p["in"] == "query"));
    }

    #[test]
    fn kinds_and_their_lists_are_marked() {
        let schemas = &parsed("apis/batch/v1")["components"]["schemas"];
        for kind in ["Job", "JobList"] {
            let schema = &schemas[format!("io.k8s.api.batch.v1.{kind}")];
            let gvk = json!([{"group": "batch", "version": "v1", "kind": kind}]);
            assert_eq!(schema["x-kubernetes-group-version-kind"], gvk);
        }
        assert_eq!(schemas["io.k8s.api.batch.v1.Job"].get("required"), None);
        let spec = &schemas["io.k8s.api.batch.v1.Job"]["properties"]["spec"];
        assert_eq!(spec["allOf"][0]["$ref"], "#/components/schemas/io.k8s.api.batch.v1.JobSpec");
        assert!(spec["description"].as_str().unwrap().starts_with("Specification of the desired behavior"));
    }

    #[test]
    fn our_own_kind_is_described_and_cannot_be_created() {
        let document = parsed("apis/kiln.dev/v1");
        let schemas = &document["components"]["schemas"];
        let module = &schemas["dev.kiln.v1.Module"];
        assert_eq!(module["x-kubernetes-group-version-kind"][0]["kind"], "Module");
        assert_eq!(module.get("required"), None);
        let mut descriptions = Vec::new();
        for name in ["Module", "ModuleSpec", "ModuleStatus"] {
            let schema = &schemas[format!("dev.kiln.v1.{name}")];
            let described = schema["properties"].as_object().unwrap();
            assert!(described.values().all(|field| field["description"].is_string()), "{schema}");
            all_of(schema, "description", &mut descriptions);
            let mut nullable = Vec::new();
            all_of(schema, "nullable", &mut nullable);
            all_of(schema, "default", &mut nullable);
            assert!(nullable.is_empty(), "{schema}");
        }
        assert!(!descriptions.iter().any(|text| text.as_str().unwrap().contains('\n')));
        let all = &document["paths"]["/apis/kiln.dev/v1/modules"];
        assert_eq!(all.as_object().unwrap().keys().collect::<Vec<_>>(), ["get", "delete"]);
    }

    #[test]
    fn paths_hold_what_discovery_promises() {
        let core = parsed("api/v1");
        let operations = |path: &str| {
            let item = core["paths"][path].as_object().unwrap_or_else(|| panic!("{path}"));
            let mut methods: Vec<&str> = item.keys().map(String::as_str).filter(|k| *k != "parameters").collect();
            methods.sort_unstable();
            methods
        };
        assert_eq!(operations("/api/v1/pods"), ["get"]);
        assert_eq!(operations("/api/v1/namespaces/{namespace}/pods"), ["delete", "get", "post"]);
        assert_eq!(operations("/api/v1/namespaces/{namespace}/pods/{name}"), ["delete", "get", "patch", "put"]);
        assert_eq!(operations("/api/v1/namespaces/{namespace}/pods/{name}/status"), ["get", "patch", "put"]);
        assert_eq!(operations("/api/v1/namespaces/{namespace}/pods/{name}/log"), ["get"]);
        assert_eq!(operations("/api/v1/namespaces/{namespace}/pods/{name}/eviction"), ["post"]);
        assert_eq!(operations("/api/v1/namespaces/{name}/finalize"), ["put"]);
        assert_eq!(operations("/api/v1/namespaces"), ["get", "post"]);
        assert_eq!(operations("/api/v1/nodes"), ["delete", "get", "post"]);
        assert_eq!(operations("/api/v1/nodes/{name}"), ["delete", "get", "patch", "put"]);
        assert_eq!(core["paths"].get("/api/v1/namespaces/{namespace}/configmaps/{name}/status"), None);
    }
}
