//! The paths and schemas of the resource metrics API, which can be read only.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{paths, schemas};
use crate::api::kind::KindInfo;
use crate::api::patch::schema::METADATA_ONLY;
use crate::http::top::{NODES, PODS};

/// Adds the two kinds, if they are of this group and version.
pub(super) fn add(group: &str, version: &str, all_paths: &mut Map<String, Value>, all: &mut Map<String, Value>) {
    if (group, version) != (PODS.group, PODS.version) {
        return;
    }
    for info in [&NODES, &PODS] {
        add_paths(info, all_paths);
    }
    let mut generator = SchemaSettings::openapi3().into_generator();
    generator.subschema_for::<ListMeta>();
    generator.subschema_for::<ObjectMeta>();
    all.extend(generator.take_definitions(true));
    schemas::join_lines(all);
    add_schemas(all);
    for info in [&NODES, &PODS] {
        schemas::merge_rules(all, &name(info.kind), &METADATA_ONLY);
    }
    all.sort_keys();
}

/// `io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics`
fn name(kind: &str) -> String {
    format!("io.k8s.metrics.pkg.apis.metrics.{}.{kind}", PODS.version)
}

fn reference(kind: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{}", name(kind))})
}

fn reference_to<T: JsonSchema>() -> Value {
    json!({"$ref": format!("#/components/schemas/{}", T::schema_name())})
}

fn add_paths(info: &KindInfo, paths: &mut Map<String, Value>) {
    let root = format!("/apis/{}", info.api_version());
    let id = |scope: &str| format!("MetricsV1beta1{scope}{}", info.kind);
    let (collection, scope) = match info.namespaced {
        false => (format!("{root}/{}", info.plural), vec![]),
        true => {
            let everywhere = operation(info, "list", &format!("{}ForAllNamespaces", id("")));
            paths.insert(format!("{root}/{}", info.plural), json!({ "get": everywhere }));
            (format!("{root}/namespaces/{{namespace}}/{}", info.plural), vec![paths::path_parameter("namespace")])
        }
    };
    let id = id(if info.namespaced { "Namespaced" } else { "" });
    let of_one: Vec<Value> = scope.iter().cloned().chain([paths::path_parameter("name")]).collect();
    let mut whole = json!({ "get": operation(info, "list", &id) });
    if !scope.is_empty() {
        whole["parameters"] = scope.into();
    }
    paths.insert(collection.clone(), whole);
    let one = json!({"get": operation(info, "read", &id), "parameters": of_one});
    paths.insert(format!("{collection}/{{name}}"), one);
}

fn operation(info: &KindInfo, verb: &str, id: &str) -> Value {
    let (schema, parameters) = match verb {
        "list" => {
            let parameters = [
                paths::text("labelSelector", "Which of them, by the labels of the pod or node."),
                paths::text("fieldSelector", "Which of them, by metadata.name or metadata.namespace."),
            ];
            (reference(&format!("{}List", info.kind)), parameters.to_vec())
        }
        _ => (reference(info.kind), vec![]),
    };
    json!({
        "description": format!("{verb} {}", info.kind),
        "operationId": format!("{verb}{id}"),
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}},
        "x-kubernetes-action": if verb == "list" { "list" } else { "get" },
        "x-kubernetes-group-version-kind": {"group": info.group, "version": info.version, "kind": info.kind},
    })
}

fn add_schemas(all: &mut Map<String, Value>) {
    let quantities = json!({
        "description": "What is used: cpu in cores, on average over the window; memory in bytes, now.",
        "type": "object",
        "additionalProperties": {"type": "string"},
    });
    let containers = json!({
        "description": "The containers that have run for a second and run now.",
        "type": "array",
        "items": reference("ContainerMetrics"),
    });
    let container = json!({
        "description": "ContainerMetrics says what a container uses.",
        "type": "object",
        "required": ["name", "usage"],
        "properties": {
            "name": {"description": "The name of the container in the pod's spec.", "type": "string"},
            "usage": quantities,
        },
    });
    all.insert(name("ContainerMetrics"), container);
    for (info, field, schema) in [(&NODES, "usage", &quantities), (&PODS, "containers", &containers)] {
        let of = info.kind.trim_end_matches("Metrics").to_lowercase();
        let mut properties = typed();
        properties.insert(
            "metadata".to_owned(),
            json!({"description": format!("Name, namespace and labels of the {of}."), "allOf": [reference_to::<ObjectMeta>()]}),
        );
        properties.insert(
            "timestamp".to_owned(),
            json!({"description": "When it was measured.", "type": "string", "format": "date-time"}),
        );
        properties.insert(
            "window".to_owned(),
            json!({"description": "The time until then that cpu is of, such as 15.2s.", "type": "string"}),
        );
        properties.insert(field.to_owned(), schema.clone());
        let description = format!("{} says what a {of} uses now.", info.kind);
        insert(all, info, "", &description, properties, &["timestamp", "window", field]);

        let mut properties = typed();
        properties.insert(
            "metadata".to_owned(),
            json!({"description": "Standard list metadata.", "allOf": [reference_to::<ListMeta>()]}),
        );
        properties.insert(
            "items".to_owned(),
            json!({"description": "The items of the list.", "type": "array", "items": reference(info.kind)}),
        );
        let description = format!("{0}List is a list of {0}.", info.kind);
        insert(all, info, "List", &description, properties, &["items"]);
    }
}

fn typed() -> Map<String, Value> {
    let word = |description: &str| json!({"description": description, "type": "string"});
    let mut properties = Map::new();
    let version = "APIVersion defines the versioned schema of this representation of an object.";
    properties.insert("apiVersion".to_owned(), word(version));
    let kind = "Kind is a string value representing the REST resource this object represents.";
    properties.insert("kind".to_owned(), word(kind));
    properties
}

fn insert(
    all: &mut Map<String, Value>,
    info: &KindInfo,
    suffix: &str,
    description: &str,
    properties: Map<String, Value>,
    required: &[&str],
) {
    let schema = json!({"description": description, "type": "object", "required": required, "properties": properties});
    let mut schema = schema.as_object().cloned().unwrap_or_default();
    schemas::mark(&mut schema, info, suffix);
    all.insert(name(&format!("{}{suffix}", info.kind)), schema.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_can_be_read_and_nothing_else() {
        let document = super::super::document("apis/metrics.k8s.io/v1beta1").unwrap();
        let document: Value = serde_json::from_slice(&document.bytes).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let root = "/apis/metrics.k8s.io/v1beta1";
        let expected = [
            format!("{root}/nodes"),
            format!("{root}/nodes/{{name}}"),
            format!("{root}/pods"),
            format!("{root}/namespaces/{{namespace}}/pods"),
            format!("{root}/namespaces/{{namespace}}/pods/{{name}}"),
        ];
        assert_eq!(paths.keys().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        let mut ids = Vec::new();
        for (path, item) in paths {
            let methods: Vec<&String> = item.as_object().unwrap().keys().filter(|key| *key != "parameters").collect();
            assert_eq!(methods, ["get"], "{path}");
            let named = item["parameters"].as_array().map_or(0, Vec::len);
            assert_eq!(named, path.matches('{').count(), "{path}");
            ids.push(item["get"]["operationId"].as_str().unwrap());
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), expected.len());
        let schemas = &document["components"]["schemas"];
        for kind in ["PodMetrics", "NodeMetrics", "PodMetricsList", "NodeMetricsList"] {
            let gvk = json!([{"group": "metrics.k8s.io", "version": "v1beta1", "kind": kind}]);
            assert_eq!(schemas[name(kind)]["x-kubernetes-group-version-kind"], gvk);
        }
    }
}
