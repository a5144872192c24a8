//! Which field of which message is what in JSON: `fields.txt`, read once.
//!
//! A line that begins at the margin names a message, as `batch/v1.JobSpec`; the lines below it are its fields in the order
//! of their numbers: number, name in JSON, type. Types: `bool`, `int32`, `int64`, `string`, `bytes`, those with a form
//! of their own in JSON ([`Type`]), or the name of a message; before it `[]`, `map ` (the key is a string), or `*` where
//! the Go type is a pointer. The name `.` marks a message whose fields are the parent's in JSON.

use std::collections::HashMap;
use std::sync::LazyLock;

const TEXT: &str = include_str!("fields.txt");

static TABLE: LazyLock<Table> = LazyLock::new(|| read(TEXT).expect("a test reads this same table"));

/// A message's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageId(usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int32,
    Int64,
    String,
    Bytes,
    /// Seconds and nanoseconds; in JSON RFC 3339 to the second, and with microseconds.
    Time,
    MicroTime,
    /// A text; in JSON bare.
    Quantity,
    /// In JSON whichever of the two it is.
    IntOrString,
    /// Bytes that are JSON themselves.
    FieldsV1,
    /// A list of texts; in JSON bare.
    Strings,
    Message(MessageId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Never left out on the wire, so its zero is the same as nothing.
    Value(Type),
    /// Left out if it is nil, so its zero is a value.
    Pointer(Type),
    List(Type),
    /// By texts.
    Map(Type),
    /// A message whose fields stand in the parent.
    Inline(MessageId),
}

#[derive(Debug)]
pub(super) struct Field {
    pub number: u32,
    /// Empty for [`Shape::Inline`].
    pub name: &'static str,
    pub shape: Shape,
}

#[derive(Debug)]
struct Table {
    by_name: HashMap<&'static str, MessageId>,
    /// By [`MessageId`]; each sorted by number.
    messages: Vec<Vec<Field>>,
}

/// The message with this name, such as `meta/v1.DeleteOptions`.
pub(super) fn message(name: &str) -> Option<MessageId> {
    TABLE.by_name.get(name).copied()
}

impl MessageId {
    pub(super) fn fields(self) -> &'static [Field] {
        &TABLE.messages[self.0]
    }

    pub(super) fn field(self, number: u32) -> Option<&'static Field> {
        let fields = self.fields();
        fields.binary_search_by_key(&number, |field| field.number).ok().map(|at| &fields[at])
    }
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

fn read(text: &'static str) -> Result<Table, String> {
    let names = lines(text).filter(|line| !line.starts_with(' '));
    let by_name: HashMap<&str, MessageId> = names.enumerate().map(|(at, name)| (name, MessageId(at))).collect();
    let mut messages: Vec<Vec<Field>> = Vec::with_capacity(by_name.len());
    for line in lines(text) {
        let Some(line) = line.strip_prefix(' ') else {
            messages.push(Vec::new());
            continue;
        };
        let field = field(line, &by_name).ok_or_else(|| format!("not understood: {line}"))?;
        let fields = messages.last_mut().ok_or("a field before the first message")?;
        if fields.last().is_some_and(|before| before.number >= field.number) {
            return Err(format!("not in order: {line}"));
        }
        fields.push(field);
    }
    if messages.len() != by_name.len() {
        return Err("two messages of one name".to_owned());
    }
    Ok(Table { by_name, messages })
}

/// `6 template core/v1.PodTemplateSpec`
fn field(line: &'static str, messages: &HashMap<&str, MessageId>) -> Option<Field> {
    let mut words = line.splitn(3, ' ');
    let (number, name, of) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    if name == "." {
        return Some(Field { number, name: "", shape: Shape::Inline(*messages.get(of)?) });
    }
    let shape = if let Some(of) = of.strip_prefix("[]") {
        Shape::List(type_of(of, messages)?)
    } else if let Some(of) = of.strip_prefix("map ") {
        Shape::Map(type_of(of, messages)?)
    } else if let Some(of) = of.strip_prefix('*') {
        Shape::Pointer(type_of(of, messages)?)
    } else {
        Shape::Value(type_of(of, messages)?)
    };
    Some(Field { number, name, shape })
}

fn type_of(name: &str, messages: &HashMap<&str, MessageId>) -> Option<Type> {
    Some(match name {
        "bool" => Type::Bool,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "Time" => Type::Time,
        "MicroTime" => Type::MicroTime,
        "Quantity" => Type::Quantity,
        "IntOrString" => Type::IntOrString,
        "FieldsV1" => Type::FieldsV1,
        "Strings" => Type::Strings,
        name => Type::Message(*messages.get(name)?),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use k8s_openapi::api::{authentication, authorization, batch, coordination, core};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;
    use schemars::generate::SchemaSettings;
    use schemars::{JsonSchema, SchemaGenerator};
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_table_is_read() {
        let spec = message("batch/v1.JobSpec").unwrap();
        assert_eq!(spec.field(1).unwrap().shape, Shape::Pointer(Type::Int32));
        let template = spec.field(6).unwrap();
        let of = Type::Message(message("core/v1.PodTemplateSpec").unwrap());
        assert_eq!((template.name, template.shape), ("template", Shape::Value(of)));
        assert!(spec.field(99).is_none() && message("batch/v1.Nope").is_none());
        let source = Shape::Inline(message("core/v1.VolumeSource").unwrap());
        assert_eq!(message("core/v1.Volume").unwrap().field(2).unwrap().shape, source);
    }

    #[test]
    fn a_table_with_a_fault_is_refused() {
        for text in [" 1 a string", "A\n 1 a nope", "A\n x a string", "A\n 2 a bool\n 1 b bool", "A\nA", "A\n 1 a"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    /// `JobSpec of batch/v1` by the name of its schema, `io.k8s.api.batch.v1.JobSpec`.
    fn named_by_schema(schema: &str) -> Option<MessageId> {
        let (package, name) = schema.rsplit_once('.')?;
        let mut parts = package.rsplitn(3, '.');
        let (version, group) = (parts.next()?, parts.next()?);
        message(&format!("{group}/{version}.{name}"))
    }

    fn names(message: MessageId, into: &mut BTreeMap<&'static str, Shape>) {
        for field in message.fields() {
            match field.shape {
                Shape::Inline(inner) => names(inner, into),
                shape => assert_eq!(into.insert(field.name, shape), None, "{}", field.name),
            }
        }
    }

    /// What a property's schema says of its shape, as far as it does.
    fn fits(schema: &Value, shape: Shape) -> bool {
        let list = |of: &Value| of["type"] == "array";
        let map = |of: &Value| of["type"] == "object" && of.get("additionalProperties").is_some();
        match shape {
            Shape::List(of) => list(schema) && fits(&schema["items"], Shape::Value(of)),
            Shape::Map(of) => map(schema) && fits(&schema["additionalProperties"], Shape::Value(of)),
            Shape::Value(of) | Shape::Pointer(of) => match of {
                Type::Bool => schema["type"] == "boolean",
                Type::Int32 => schema["type"] == "integer" && schema["format"] == "int32",
                Type::Int64 => schema["type"] == "integer" && schema["format"] == "int64",
                Type::String => schema["type"] == "string" && schema.get("format").is_none(),
                Type::Bytes => schema["type"] == "string" && schema["format"] == "byte",
                Type::Strings => list(schema),
                _ => refers(schema).is_some_and(|name| match of {
                    Type::Time => name.ends_with(".Time"),
                    Type::MicroTime => name.ends_with(".MicroTime"),
                    Type::Quantity => name.ends_with(".Quantity"),
                    Type::IntOrString => name.ends_with(".IntOrString"),
                    Type::FieldsV1 => name.ends_with(".FieldsV1"),
                    of => named_by_schema(name).map(Type::Message) == Some(of),
                }),
            },
            Shape::Inline(_) => false,
        }
    }

    fn refers(schema: &Value) -> Option<&str> {
        let reference = schema.get("$ref").or_else(|| schema.get("allOf")?.get(0)?.get("$ref"))?;
        reference.as_str()?.strip_prefix("#/components/schemas/")
    }

    /// The published schemas are made of the same declarations by other hands.
    #[test]
    fn the_table_says_what_the_schemas_of_all_kinds_say() {
        let mut generator = SchemaSettings::openapi3().into_generator();
        fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
            generator.subschema_for::<T>();
        }
        add::<core::v1::Namespace>(&mut generator);
        add::<core::v1::Node>(&mut generator);
        add::<core::v1::Pod>(&mut generator);
        add::<core::v1::ConfigMap>(&mut generator);
        add::<core::v1::Secret>(&mut generator);
        add::<core::v1::Event>(&mut generator);
        add::<core::v1::ServiceAccount>(&mut generator);
        add::<core::v1::Binding>(&mut generator);
        add::<batch::v1::Job>(&mut generator);
        add::<batch::v1::CronJob>(&mut generator);
        add::<coordination::v1::Lease>(&mut generator);
        add::<k8s_openapi::api::events::v1::Event>(&mut generator);
        add::<k8s_openapi::api::policy::v1::Eviction>(&mut generator);
        add::<DeleteOptions>(&mut generator);
        add::<authentication::v1::TokenRequest>(&mut generator);
        add::<authentication::v1::TokenReview>(&mut generator);
        add::<authentication::v1::SelfSubjectReview>(&mut generator);
        add::<authorization::v1::SelfSubjectAccessReview>(&mut generator);
        add::<authorization::v1::SelfSubjectRulesReview>(&mut generator);
        add::<authorization::v1::SubjectAccessReview>(&mut generator);
        add::<authorization::v1::LocalSubjectAccessReview>(&mut generator);
        let schemas = generator.take_definitions(true);
        let (mut compared, mut wrong) = (BTreeSet::new(), Vec::new());
        for (name, schema) in &schemas {
            let Some(message) = named_by_schema(name) else { continue };
            compared.insert(message.0);
            let mut ours = BTreeMap::new();
            names(message, &mut ours);
            for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
                match ours.remove(property.as_str()) {
                    Some(shape) if fits(schema, shape) => {}
                    // What the envelope says.
                    None if matches!(property.as_str(), "apiVersion" | "kind") => {}
                    other => wrong.push(format!("{name}.{property}: {other:?} and {schema}")),
                }
            }
            wrong.extend(ours.into_keys().map(|more| format!("{name} has no {more}")));
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        let inline: Vec<MessageId> = (0..TABLE.messages.len())
            .flat_map(|at| MessageId(at).fields())
            .filter_map(|field| if let Shape::Inline(inner) = field.shape { Some(inner) } else { None })
            .collect();
        let unseen = TABLE.by_name.iter().filter(|(_, id)| !compared.contains(&id.0) && !inline.contains(id));
        assert_eq!(unseen.map(|(name, _)| *name).collect::<Vec<_>>(), [] as [&str; 0]);
    }
}
