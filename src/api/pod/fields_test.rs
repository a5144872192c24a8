//! docs/fields.md against Kubernetes' own schemas and against what admission does: every field has its row, and a field is
//! refused if, and only if, its row says so.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{defaults, validate_pod};

const DOCUMENT: &str = include_str!("../../../docs/fields.md");

/// Section, the schema's name, and where a pod has such an object.
const SECTIONS: [(&str, &str); 7] = [
    ("PodSpec", "/spec"),
    ("Container", "/spec/containers/0"),
    ("EnvVarSource", "/spec/containers/0/env/0/valueFrom"),
    ("VolumeMount", "/spec/containers/0/volumeMounts/0"),
    ("Volume", "/spec/volumes/0"),
    ("PodSecurityContext", "/spec/securityContext"),
    ("SecurityContext", "/spec/containers/0/securityContext"),
];

fn schemas() -> Map<String, Value> {
    let mut generator = SchemaGenerator::new(SchemaSettings::draft07());
    generator.subschema_for::<PodSpec>();
    generator.take_definitions(true).into_iter().collect()
}

/// The rows of a section: field to status.
fn rows(section: &str) -> BTreeMap<&'static str, &'static str> {
    let from = DOCUMENT.split(&format!("\n## {section}\n")).nth(1).unwrap();
    let lines = from.split("\n## ").next().unwrap().lines();
    lines
        .filter_map(|line| {
            let (field, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
            Some((field, rest.split(" |").next()?))
        })
        .collect()
}

/// A value of the schema that says something, with no more than it must have.
fn sample(schema: &Value, all: &Map<String, Value>) -> Value {
    let nested = schema["allOf"][0].as_object().or_else(|| schema["anyOf"][0].as_object());
    let reference = schema["$ref"].as_str().or_else(|| nested?.get("$ref")?.as_str());
    if let Some(name) = reference.and_then(|r| r.rsplit('/').next()) {
        return match name.rsplit('.').next() {
            Some("Quantity") => json!("1"),
            Some("IntOrString") => json!(1),
            _ => sample(&all[name], all),
        };
    }
    let type_ = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or("object");
    match type_ {
        "string" => json!("/x"),
        "integer" | "number" => json!(1),
        "boolean" => json!(true),
        "array" => json!([sample(&schema["items"], all)]),
        _ if schema["additionalProperties"].is_object() => {
            json!({"x": sample(&schema["additionalProperties"], all)})
        }
        _ => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            required.map(|field| (field.to_owned(), sample(&schema["properties"][field], all))).collect()
        }
    }
}

fn pod() -> Value {
    json!({"metadata": {"name": "p"}, "spec": {"restartPolicy": "Never", "securityContext": {}, "volumes": [{"name": "v"}],
        "containers": [{"name": "c", "image": "i", "env": [{"name": "A", "valueFrom": {}}], "securityContext": {},
            "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}})
}

fn refusals(pod: Value) -> Vec<String> {
    let mut pod: Pod = serde_json::from_value(pod.clone()).unwrap_or_else(|error| panic!("{error}: {pod}"));
    defaults::default_bare_pod(pod.spec.as_mut().unwrap());
    let mut faults = Vec::new();
    validate_pod(&pod, &mut faults);
    faults.iter().map(ToString::to_string).filter(|fault| fault.contains("not supported by this version")).collect()
}

#[test]
fn every_field_has_its_row_and_is_refused_if_the_row_says_so() {
    let all = schemas();
    let mut faults = Vec::new();
    for (section, place) in SECTIONS {
        let schema = &all[&format!("io.k8s.api.core.v1.{section}")];
        let rows = rows(section);
        let fields = schema["properties"].as_object().unwrap();
        faults.extend(
            rows.keys().filter(|row| !fields.contains_key(**row)).map(|row| format!("{section}.{row}: no field")),
        );
        for (field, schema) in fields {
            let status = rows.get(field.as_str()).copied().unwrap_or_default();
            let mut pod = pod();
            let target = pod.pointer_mut(place).unwrap();
            if section == "EnvVarSource" || !matches!(status, "honoured") || !target[field].is_array() {
                target[field] = sample(schema, &all);
            }
            let told = refusals(pod);
            let told_of =
                told.iter().any(|fault| fault.split(": ").next().unwrap_or_default().contains(field.as_str()));
            match status {
                "honoured" | "no effect" if told.is_empty() => {}
                "refused" if told_of => {}
                "partly" => {}
                _ => faults.push(format!("{section}.{field} is documented as {status:?}; refusals: {told:?}")),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
