//! OpenAPI v2: `/openapi/v2`, one document for all groups and versions, in JSON and in protobuf.
//!
//! It says what the documents of v3 say, in the older dialect. Whoever reads it: kubectl before 1.27 for `explain` and to see
//! that the server knows `dryRun`, every kubectl for the items of a `List` and for `explain --output=plaintext-openapiv2`,
//! and tools that compute differences by it. Built once, when first asked for, and kept as bytes.

mod from_v3;
mod gnostic;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::{Document, document_from};

/// As the answer is named.
pub const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// As kubectl asks for it. It is no media type, because of its `@`, and kubectl takes no answer of that name.
const PROTOBUF_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// Whether an `Accept` header asks for protobuf.
pub fn wants_protobuf(accept: &str) -> bool {
    accept.split(',').any(|clause| [PROTOBUF, PROTOBUF_ASKED].contains(&clause.trim()))
}

static JSON: LazyLock<Document> = LazyLock::new(|| document_from("v2", super::bytes(&whole())));
static GNOSTIC: LazyLock<Document> = LazyLock::new(|| document_from("v2", gnostic::document(&whole())));

pub fn json() -> &'static Document {
    &JSON
}

/// The same as gnostic's message `openapi.v2.Document`.
pub fn protobuf() -> &'static Document {
    &GNOSTIC
}

fn whole() -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for (group, version) in super::discovery::group_versions() {
        let (more_paths, more_schemas) = super::parts_of(group, version);
        paths.extend(more_paths.into_iter().map(|(path, item)| (path, from_v3::path_item(&item))));
        schemas.extend(more_schemas.into_iter().map(|(name, schema)| (name, from_v3::schema(schema))));
    }
    paths.sort_keys();
    schemas.sort_keys();
    let info = json!({"title": super::TITLE, "version": super::version()});
    json!({"swagger": "2.0", "info": info, "paths": paths, "definitions": schemas})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_several_documents_have_are_the_same_in_all() {
        let mut seen: Map<String, Value> = Map::new();
        for (group, version) in super::super::discovery::group_versions() {
            for (name, schema) in super::super::parts_of(group, version).1 {
                assert_eq!(seen.entry(name.clone()).or_insert(schema.clone()), &schema, "{name} of {group}/{version}");
            }
        }
    }

    #[test]
    fn every_reference_leads_to_a_definition() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Array(list) => list.iter().for_each(|v| references(v, found)),
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str));
                    map.values().for_each(|v| references(v, found));
                }
                _ => {}
            }
        }
        let whole: Value = serde_json::from_slice(&json().bytes).unwrap();
        let mut found = Vec::new();
        references(&whole, &mut found);
        assert!(found.len() > 500, "{}", found.len());
        for reference in found {
            let name = reference.strip_prefix("#/definitions/").unwrap_or_else(|| panic!("{reference}"));
            assert!(whole["definitions"].get(name).is_some(), "{reference}");
        }
        for word in ["anyOf", "oneOf", "allOf", "requestBody", "components", "content"] {
            assert!(!whole.to_string().contains(&format!("\"{word}\":")), "{word} is not of this dialect");
        }
    }

    #[test]
    fn kubectl_finds_that_the_server_knows_dry_run() {
        let whole = whole();
        let patch = &whole["paths"]["/apis/batch/v1/namespaces/{namespace}/jobs/{name}"]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Job");
        let parameters = patch["parameters"].as_array().unwrap();
        let dry_run = parameters.iter().find(|p| p["name"] == "dryRun").unwrap();
        assert_eq!((&dry_run["in"], &dry_run["type"]), (&json!("query"), &json!("string")));
    }
}
