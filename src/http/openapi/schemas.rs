//! The schemas of the served kinds and of all they are made of, in the dialect of OpenAPI 3.0.
//!
//! schemars' own settings for it do most: `$ref` into `#/components/schemas/`, and `allOf` around a `$ref` that has a
//! description. What is left is what k8s-openapi says in the dialect of CRDs (`x-kubernetes-int-or-string`) and what it
//! does not say (`x-kubernetes-group-version-kind`, the lists).

use k8s_openapi::Resource;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Node, Pod, Secret, ServiceAccount};
use k8s_openapi::api::events;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ListMeta, Patch, Status};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::api::kind::KindInfo;
use crate::api::module::Module;
use crate::api::patch::schema as merge;
use crate::api::{Kind, Served};

const PREFIX: &str = "#/components/schemas/";

/// A reference to the schema of a type.
fn reference<T: JsonSchema>() -> Value {
    json!({"$ref": format!("{PREFIX}{}", T::schema_name())})
}

/// References to a kind, to its list, and to the types that every kind's operations use.
pub(super) fn object(served: Served) -> Value {
    json!({"$ref": format!("{PREFIX}{}", name(served))})
}

pub(super) fn list(served: Served) -> Value {
    json!({"$ref": format!("{PREFIX}{}List", name(served))})
}

pub(super) fn delete_options() -> Value {
    reference::<DeleteOptions>()
}

pub(super) fn patch() -> Value {
    reference::<Patch>()
}

pub(super) fn status() -> Value {
    reference::<Status>()
}

/// Calls a generic function for the type in which a kind is served.
macro_rules! with_type {
    ($kind:expr, $call:ident($($argument:expr),*)) => {
        match $kind {
            Served::Stored(Kind::Namespace) => $call::<Namespace>($($argument),*),
            Served::Stored(Kind::Node) => $call::<Node>($($argument),*),
            Served::Stored(Kind::Pod) => $call::<Pod>($($argument),*),
            Served::Stored(Kind::ConfigMap) => $call::<ConfigMap>($($argument),*),
            Served::Stored(Kind::Secret) => $call::<Secret>($($argument),*),
            Served::Stored(Kind::Event) => $call::<Event>($($argument),*),
            Served::Stored(Kind::CronJob) => $call::<CronJob>($($argument),*),
            Served::Stored(Kind::Job) => $call::<Job>($($argument),*),
            Served::Stored(Kind::Lease) => $call::<Lease>($($argument),*),
            Served::Stored(Kind::Module) => $call::<Module>($($argument),*),
            Served::Stored(Kind::ServiceAccount) => $call::<ServiceAccount>($($argument),*),
            Served::EventsV1 => $call::<events::v1::Event>($($argument),*),
        }
    };
}

/// The name of a kind's schema, `io.k8s.api.batch.v1.Job`.
fn name(served: Served) -> String {
    fn name_of<T: Resource + JsonSchema>() -> String {
        T::schema_name().into_owned()
    }
    with_type!(served, name_of())
}

/// Every schema that the documents of these kinds need, by name.
pub(super) fn of(kinds: &[Served]) -> Map<String, Value> {
    fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
        generator.subschema_for::<T>();
    }
    let mut generator = SchemaSettings::openapi3().into_generator();
    for &kind in kinds {
        with_type!(kind, add(&mut generator));
    }
    add::<DeleteOptions>(&mut generator);
    add::<ListMeta>(&mut generator);
    add::<Patch>(&mut generator);
    add::<Status>(&mut generator);
    let mut schemas = generator.take_definitions(true);
    for &kind in kinds {
        if let Some(Value::Object(schema)) = schemas.get_mut(&name(kind)) {
            mark(schema, kind.info(), "");
            // k8s-openapi requires the metadata of every object, the API server only that of the core
            // group's events.
            if kind != Served::Stored(Kind::Event) {
                relax(schema);
            }
        }
        let mut list = list_schema(kind);
        mark(&mut list, kind.info(), "List");
        schemas.insert(format!("{}List", name(kind)), Value::Object(list));
    }
    spell_out_unions(&mut schemas);
    join_lines(&mut schemas);
    for &kind in kinds {
        merge_rules(&mut schemas, &name(kind), merge::of(kind.kind()));
    }
    schemas.sort_keys();
    schemas
}

fn list_schema(kind: Served) -> Map<String, Value> {
    let word = |description: &str| json!({"description": description, "type": "string"});
    let schema = json!({
        "description": format!("{}List is a collection of {}.", kind.info().kind, kind.info().plural),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": word("APIVersion defines the versioned schema of this representation of an object."),
            "items": {"description": "The objects of the list.", "type": "array", "items": object(kind)},
            "kind": word("Kind is a string value representing the REST resource this object represents."),
            "metadata": {"description": "Standard list metadata.", "allOf": [reference::<ListMeta>()]},
        },
    });
    schema.as_object().cloned().unwrap_or_default()
}

/// Says which group, version and kind a schema is of: how clients find it.
pub(super) fn mark(schema: &mut Map<String, Value>, info: &KindInfo, suffix: &str) {
    let gvk = json!([{"group": info.group, "version": info.version, "kind": format!("{}{suffix}", info.kind)}]);
    schema.insert("x-kubernetes-group-version-kind".to_owned(), gvk);
}

/// Does not require the metadata.
pub(super) fn relax(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|field| field != "metadata");
        if required.is_empty() {
            schema.remove("required");
        }
    }
}

/// Says which lists are merged, and by which key: a client that computes a strategic merge patch needs it to see that
/// the defaults in a list are no difference.
pub(super) fn merge_rules(schemas: &mut Map<String, Value>, name: &str, rules: &merge::Schema) {
    for (field, rule) in rules.fields() {
        let Some(property) = schemas.get_mut(name).and_then(|s| s.get_mut("properties")?.get_mut(field)) else {
            continue;
        };
        if let merge::Field::Keyed { key, .. } = rule {
            property["x-kubernetes-patch-merge-key"] = json!(key);
        }
        if !matches!(rule, merge::Field::Object(_)) {
            // What a volume keeps of its old source when the source changes: nothing.
            let strategy = if field == "volumes" { "merge,retainKeys" } else { "merge" };
            property["x-kubernetes-patch-strategy"] = json!(strategy);
        }
        let (inner, below) = match rule {
            merge::Field::Object(below) => (Some(&*property), below),
            merge::Field::Keyed { item, .. } => (property.get("items"), item),
            merge::Field::Set => continue,
        };
        let target = inner.and_then(referenced).map(str::to_owned);
        if let Some(target) = target {
            merge_rules(schemas, &target, below);
        }
    }
}

/// The schema that a property refers to, directly or in an `allOf` beside its description.
fn referenced(schema: &Value) -> Option<&str> {
    let reference = schema.get("$ref").or_else(|| schema.get("allOf")?.get(0)?.get("$ref"))?;
    reference.as_str()?.strip_prefix(PREFIX)
}

/// The descriptions of kiln's own types are comments, broken into lines as code is.
pub(super) fn join_lines(schemas: &mut Map<String, Value>) {
    fn join(value: &mut Value) {
        match value {
            Value::Object(fields) => fields.iter_mut().for_each(|(field, value)| match (field.as_str(), value) {
                ("description", Value::String(text)) => *text = text.replace('\n', " "),
                (_, value) => join(value),
            }),
            Value::Array(values) => values.iter_mut().for_each(join),
            _ => {}
        }
    }
    schemas.iter_mut().filter(|(name, _)| name.starts_with("dev.kiln.")).for_each(|(_, schema)| join(schema));
}

/// Spells out the types that are a number or a string, as the API server publishes them.
fn spell_out_unions(schemas: &mut Map<String, Value>) {
    let unions = [
        (Quantity::schema_name(), json!({"oneOf": [{"type": "string"}, {"type": "number"}]})),
        (
            IntOrString::schema_name(),
            json!({"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"}),
        ),
    ];
    for (name, union) in unions {
        if let (Some(Value::Object(schema)), Value::Object(union)) = (schemas.get_mut(&*name), union) {
            schema.remove("x-kubernetes-int-or-string");
            schema.extend(union);
        }
    }
}
