//! The paths and schemas of reviews: each has one operation.

use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenReview};
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{paths, schemas};
use crate::api::kind::KindInfo;
use crate::api::patch::schema::METADATA_ONLY;
use crate::http::review;

/// Adds the reviews of one group and version, if it has any.
pub(super) fn add(group: &str, version: &str, paths: &mut Map<String, Value>, schemas: &mut Map<String, Value>) {
    for info in review::of(group, version) {
        paths.insert(review::path(info), path_item(info));
    }
    if review::of(group, version).next().is_some() {
        add_schemas(group, version, schemas);
    }
}

/// `io.k8s.api.authorization.v1.SubjectAccessReview`
fn schema_name(info: &KindInfo) -> String {
    let group = info.group.split('.').next().unwrap_or_default();
    format!("io.k8s.api.{group}.{}.{}", info.version, info.kind)
}

fn path_item(info: &KindInfo) -> Value {
    let schema = json!({"$ref": format!("#/components/schemas/{}", schema_name(info))});
    let mut item = json!({"post": {
        "description": format!("create a {}", info.kind),
        "operationId": format!("create{}", info.kind),
        "parameters": paths::write_parameters(),
        "requestBody": paths::body(&paths::BODIES, &schema),
        "responses": {"201": {"description": "Created", "content": {"application/json": {"schema": schema}}}},
        "x-kubernetes-action": "post",
        "x-kubernetes-group-version-kind": {"group": info.group, "version": info.version, "kind": info.kind},
    }});
    if info.namespaced {
        item["parameters"] = json!([paths::path_parameter("namespace")]);
    }
    item
}

fn add_schemas(group: &str, version: &str, schemas: &mut Map<String, Value>) {
    let mut generator = SchemaSettings::openapi3().into_generator();
    generator.subschema_for::<SelfSubjectReview>();
    generator.subschema_for::<TokenReview>();
    generator.subschema_for::<LocalSubjectAccessReview>();
    generator.subschema_for::<SelfSubjectAccessReview>();
    generator.subschema_for::<SelfSubjectRulesReview>();
    generator.subschema_for::<SubjectAccessReview>();
    let mut all = generator.take_definitions(true);
    for info in review::of(group, version) {
        if let Some(Value::Object(schema)) = all.get_mut(&schema_name(info)) {
            schemas::mark(schema, info, "");
            schemas::relax(schema);
        }
        schemas::merge_rules(&mut all, &schema_name(info), &METADATA_ONLY);
    }
    // Those of the other group, which nothing here refers to.
    let package = format!("io.k8s.api.{}.", group.split('.').next().unwrap_or_default());
    all.retain(|name, _| !name.starts_with("io.k8s.api.") || name.starts_with(&package));
    schemas.extend(all);
    schemas.sort_keys();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_review_has_its_operation_and_its_schema() {
        for info in review::ALL {
            let document = super::super::document(&format!("apis/{}", info.api_version())).unwrap();
            let document: Value = serde_json::from_slice(&document.bytes).unwrap();
            let item = document["paths"][review::path(info)].as_object().unwrap();
            assert!(item["post"]["parameters"].as_array().unwrap().iter().any(|p| p["name"] == "fieldValidation"));
            let reference = item["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str();
            let name = reference.unwrap().strip_prefix("#/components/schemas/").unwrap();
            let schema = &document["components"]["schemas"][name];
            assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], info.kind);
            assert!(schema["properties"]["status"].is_object(), "{name}");
            let required = schema["required"].as_array();
            assert!(required.is_none_or(|fields| fields.iter().all(|field| field == "spec")), "{required:?}");
        }
    }
}
