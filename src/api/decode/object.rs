//! A value to a typed object: unknown fields are collected, and a wrong type is refused in words about the field.
//!
//! `serde_ignored` sees each field that the type does not have, `serde_path_to_error` where decoding stopped. The
//! messages of the derived decoders ("invalid type: string "x", expected i32") are rewritten here and nowhere else.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;
use serde_path_to_error::{Segment, Track};

use super::nulls::Lenient;
use super::path::{Step, describe, render, shorten};
use super::{DecodeError, Decoded, MAX_COMPLAINTS, Parsed};
use crate::api::kind::{Kind, KindInfo, Object};

/// Objects and lists in one document. An empty one is two bytes of JSON and may be a kilobyte of a type, so the length of a
/// body alone does not bound what it takes up.
const MAX_NESTED: usize = 100_000;

/// Decodes `parsed` as `kind`. Its `apiVersion` and `kind` must be that kind's where they are present.
pub fn decode(kind: Kind, parsed: Parsed) -> Result<Decoded, DecodeError> {
    check_kind(kind.info(), &parsed.value)?;
    check_size(&parsed.value)?;
    let Parsed { value, duplicates, dropped } = parsed;
    let mut unknown = Unknown::default();
    let object = track(&value, &mut unknown, |from| Object::deserialize(kind, from))?;
    Ok(Decoded { object, unknown: unknown.with(duplicates), dropped })
}

/// Decodes `parsed` as any type, such as `DeleteOptions`; its `apiVersion` and `kind` are not looked at.
pub fn decode_as<'de, T: Deserialize<'de>>(parsed: &'de Parsed) -> Result<Decoded<T>, DecodeError> {
    check_size(&parsed.value)?;
    let mut unknown = Unknown::default();
    let object = track(&parsed.value, &mut unknown, |from| T::deserialize(from))?;
    Ok(Decoded { object, unknown: unknown.with(parsed.duplicates.clone()), dropped: parsed.dropped.clone() })
}

fn check_size(value: &Value) -> Result<(), DecodeError> {
    let mut left = MAX_NESTED;
    let mut waiting = vec![value];
    while let Some(value) = waiting.pop() {
        let room = match value {
            Value::Array(list) => {
                waiting.extend(list.iter().filter(|value| value.is_array() || value.is_object()));
                left.checked_sub(1)
            }
            Value::Object(fields) => {
                waiting.extend(fields.values().filter(|value| value.is_array() || value.is_object()));
                left.checked_sub(1)
            }
            _ => Some(left),
        };
        let Some(room) = room.filter(|room| waiting.len() <= *room) else {
            let message = format!("more than {MAX_NESTED} objects and lists: divide it into several");
            return Err(DecodeError::Field { path: String::new(), message });
        };
        left = room;
    }
    Ok(())
}

/// The kind that a manifest says it is.
pub fn kind_of(value: &Value) -> Result<Kind, DecodeError> {
    if !value.is_object() {
        let message = format!("must be an object with apiVersion and kind, found {}", describe(value));
        return Err(DecodeError::Field { path: String::new(), message });
    }
    let api_version = type_field(value, "apiVersion")?.unwrap_or_default();
    let kind = type_field(value, "kind")?.unwrap_or_default();
    for (field, text) in [("apiVersion", api_version), ("kind", kind)] {
        if text.is_empty() {
            return Err(DecodeError::Field { path: field.to_owned(), message: "Required value".to_owned() });
        }
    }
    Kind::from_gvk(api_version, kind)
        .ok_or_else(|| DecodeError::NotRegistered { api_version: shorten(api_version), kind: shorten(kind) })
}

/// Whether a value that says its `apiVersion` and `kind` may be of the expected one.
pub(super) fn check_kind(info: &KindInfo, value: &Value) -> Result<(), DecodeError> {
    let wanted = info.api_version();
    let api_version = type_field(value, "apiVersion")?.unwrap_or(&wanted);
    let kind = type_field(value, "kind")?.unwrap_or(info.kind);
    if api_version != wanted {
        return Err(DecodeError::Version { found: shorten(api_version), expected: wanted });
    }
    if kind != info.kind {
        return Err(DecodeError::NotRegistered { api_version: wanted, kind: shorten(kind) });
    }
    Ok(())
}

/// `apiVersion` or `kind`, if present.
fn type_field<'a>(value: &'a Value, field: &str) -> Result<Option<&'a str>, DecodeError> {
    match value.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => {
            let message = format!("must be a string, found {}", describe(other));
            Err(DecodeError::Field { path: field.to_owned(), message })
        }
    }
}

/// The deserializer that [`track`] hands out: it notes paths, then unknown fields, then reads the value.
type Tracking<'v, 't, 'b, 'u> =
    serde_ignored::Deserializer<'b, 'b, serde_path_to_error::Deserializer<'t, 't, Lenient<'v>>, IgnoredField<'u>>;
type IgnoredField<'u> = Box<dyn FnMut(serde_ignored::Path<'_>) + 'u>;

fn track<'v, T>(
    value: &'v Value,
    unknown: &mut Unknown,
    read: impl FnOnce(Tracking<'v, '_, '_, '_>) -> Result<T, serde_json::Error>,
) -> Result<T, DecodeError> {
    let mut at = Track::new();
    let result = {
        let mut ignored: IgnoredField<'_> = Box::new(|path| unknown.note(&path));
        let from = serde_path_to_error::Deserializer::new(Lenient(value), &mut at);
        read(serde_ignored::Deserializer::new(from, &mut ignored))
    };
    result.map_err(|error| {
        let path = at.path();
        let steps = path.iter().filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key)),
            Segment::Enum { variant } => Some(Step::Key(variant)),
            Segment::Unknown => None,
        });
        DecodeError::Field { path: render(steps), message: reword(&error.to_string()) }
    })
}

/// The unknown fields of one document, each once, at most [`MAX_COMPLAINTS`] together with the duplicate ones.
#[derive(Default)]
struct Unknown {
    found: Vec<String>,
    seen: HashSet<String>,
}

impl Unknown {
    fn note(&mut self, path: &serde_ignored::Path<'_>) {
        if self.found.len() >= MAX_COMPLAINTS {
            return;
        }
        let full = render(steps(path));
        if self.seen.insert(full.clone()) {
            self.found.push(format!("unknown field \"{full}\""));
        }
    }

    fn with(self, duplicates: Vec<String>) -> Vec<String> {
        let mut all = self.found;
        all.extend(duplicates);
        all.truncate(MAX_COMPLAINTS);
        all
    }
}

/// The steps of a path from the root, without those that stand for an Option or a newtype.
fn steps<'a>(mut path: &'a serde_ignored::Path<'a>) -> Vec<Step<'a>> {
    use serde_ignored::Path;
    let mut steps = Vec::new();
    loop {
        path = match path {
            Path::Root => break,
            Path::Seq { parent, index } => {
                steps.push(Step::Index(*index));
                parent
            }
            Path::Map { parent, key } => {
                steps.push(Step::Key(key));
                parent
            }
            Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => parent,
        };
    }
    steps.reverse();
    steps
}

/// A decoder's message in the words of a user: `must be a 32-bit integer, found string "x"`.
fn reword(message: &str) -> String {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    // The found value is quoted text of the user, so the last "expected" is the decoder's.
    let Some((found, expected)) = rest.and_then(|rest| rest.rsplit_once(", expected ")) else {
        return clip(message);
    };
    format!("must be {}, found {}", expectation(expected), finding(found))
}

/// What a decoder expected: the names of Rust types in words, the names of Kubernetes types as they are.
fn expectation(expected: &str) -> String {
    let words = match expected {
        "i8" | "i16" | "i32" | "a 32-bit integer" => "a 32-bit integer",
        "i64" => "a 64-bit integer",
        "u8" | "u16" | "u32" | "u64" => "an integer that is not negative",
        "f32" | "f64" => "a number",
        "a boolean" => "a boolean (true or false)",
        "a string" | "a borrowed string" | "string" => "a string",
        "a sequence" => "a list",
        "a map" | "map" => "an object",
        "IntOrString" => "an integer or a string",
        "Quantity" => "a quantity, such as 500m or 1Gi",
        "Time" | "MicroTime" => "a time, such as 2026-01-02T03:04:05Z",
        _ => "",
    };
    if words.is_empty() { format!("an object ({expected})") } else { words.to_owned() }
}

/// What a decoder found, as `serde::de::Unexpected` writes it.
fn finding(found: &str) -> String {
    let bare = |text: &str| text.trim_matches('`').to_owned();
    match found {
        "sequence" => "a list".to_owned(),
        "map" => "an object".to_owned(),
        "null" | "unit value" | "Option value" => "null".to_owned(),
        _ if found.starts_with("integer ") => format!("number {}", bare(&found["integer ".len()..])),
        _ if found.starts_with("floating point ") => format!("number {}", bare(&found["floating point ".len()..])),
        _ if found.starts_with("boolean ") => format!("boolean {}", bare(&found["boolean ".len()..])),
        _ => clip(found),
    }
}

/// Cuts a message that quotes too much of the input.
fn clip(message: &str) -> String {
    const MOST: usize = 200;
    match message.char_indices().nth(MOST) {
        None => message.to_owned(),
        Some((cut, _)) => format!("{}…", &message[..cut]),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;
    use serde_json::json;

    use super::*;

    fn fault(kind: Kind, value: Value) -> String {
        decode(kind, value.into()).unwrap_err().to_string()
    }

    #[test]
    fn unknown_fields_are_reported_by_path_without_the_marks_of_options() {
        let value =
            json!({"spec": {"foo": 1, "template": {"spec": {"containers": [{"name": "a"}, {"bar": {"x": 1}}]}}}});
        let decoded = decode(Kind::Job, value.into()).unwrap();
        let fields = [r#"unknown field "spec.foo""#, r#"unknown field "spec.template.spec.containers[1].bar""#];
        assert_eq!(decoded.unknown, fields);
    }

    #[test]
    fn free_form_maps_have_no_unknown_fields() {
        let value = json!({"metadata": {"labels": {"any.thing/at-all": "x"}, "managedFields": [{"fieldsV1": {"f:x": {}}}]},
            "data": {"key": "value"}});
        assert_eq!(decode(Kind::ConfigMap, value.into()).unwrap().unknown, Vec::<String>::new());
    }

    #[test]
    fn a_body_of_little_but_brackets_is_refused() {
        let containers = |n: usize| json!({"spec": {"template": {"spec": {"containers": vec![json!({}); n]}}}});
        assert!(fault(Kind::Job, containers(MAX_NESTED)).contains("objects and lists"));
        let deep = (0..300).fold(json!([]), |inner, _| json!([inner, vec![json!({}); 500]]));
        assert!(fault(Kind::ConfigMap, json!({"data": deep})).contains("objects and lists"));
        // The root, three maps and the list count, too.
        assert!(decode(Kind::Job, containers(MAX_NESTED - 5).into()).is_ok());
        let many: serde_json::Map<String, Value> = (0..MAX_NESTED * 2).map(|n| (n.to_string(), json!(""))).collect();
        assert!(decode(Kind::ConfigMap, json!({ "data": many }).into()).is_ok(), "texts are as long as they are");
    }

    #[test]
    fn nulls_mean_absent() {
        let value =
            json!({"metadata": {"name": "a", "creationTimestamp": null}, "spec": {"template": null}, "status": null});
        let decoded = decode(Kind::Job, value.into()).unwrap();
        assert_eq!(decoded.unknown, Vec::<String>::new());
        assert_eq!(decoded.object.meta().name.as_deref(), Some("a"));
    }

    #[test]
    fn wrong_types_are_told_in_words_of_the_field() {
        let cases = [
            (json!({"spec": {"completions": "x"}}), r#"spec.completions: must be a 32-bit integer, found string "x""#),
            (json!({"spec": {"completions": 1.5}}), "spec.completions: must be a 32-bit integer, found number 1.5"),
            (
                json!({"spec": {"completions": 5_000_000_000_i64}}),
                "spec.completions: must be a 32-bit integer, found number 5000000000",
            ),
            (
                json!({"spec": {"suspend": "no"}}),
                r#"spec.suspend: must be a boolean (true or false), found string "no""#,
            ),
            (json!({"spec": {"template": 7}}), "spec.template: must be an object (PodTemplateSpec), found number 7"),
            (
                json!({"metadata": {"labels": {"a/b": true}}}),
                "metadata.labels.a/b: must be a string, found boolean true",
            ),
            (json!({"metadata": {"labels": []}}), "metadata.labels: must be an object, found a list"),
            (
                json!({"spec": {"template": {"spec": {"containers": [{}, {"args": {"x": 1}}]}}}}),
                "spec.template.spec.containers[1].args: must be a list, found an object",
            ),
            (
                json!({"spec": {"template": {"spec": {"containers": [{"image": "x, expected y", "args": [1]}]}}}}),
                "spec.template.spec.containers[0].args[0]: must be a string, found number 1",
            ),
        ];
        for (value, message) in cases {
            assert_eq!(fault(Kind::Job, value), message);
        }
        let message = fault(Kind::Job, json!({"metadata": {"creationTimestamp": "yesterday"}}));
        assert!(message.starts_with("metadata.creationTimestamp: "), "{message}");
        let message = fault(Kind::Secret, json!({"data": {"k": "not base64!"}}));
        assert!(message.starts_with("data.k: Invalid "), "{message}");
    }

    #[test]
    fn a_message_quotes_little_of_a_large_value() {
        assert!(fault(Kind::Job, json!({"spec": {"completions": "x".repeat(1 << 20)}})).len() < 400);
        let deep = json!({"spec": {"completions": {"a".repeat(1 << 20): 1}}});
        assert!(fault(Kind::Job, deep).len() < 400);
    }

    #[test]
    fn unknown_fields_are_bounded() {
        let many: serde_json::Map<String, Value> = (0..5000).map(|i| (format!("k{i}"), Value::Null)).collect();
        assert_eq!(decode(Kind::Pod, Value::Object(many).into()).unwrap().unknown.len(), MAX_COMPLAINTS);
    }

    #[test]
    fn a_manifest_names_its_kind() {
        assert_eq!(kind_of(&json!({"apiVersion": "batch/v1", "kind": "Job"})), Ok(Kind::Job));
        let fault = |value| kind_of(&value).unwrap_err().to_string();
        assert_eq!(fault(json!({"apiVersion": "v1"})), "kind: Required value");
        assert_eq!(fault(json!({"kind": "Job"})), "apiVersion: Required value");
        assert_eq!(
            fault(json!({"apiVersion": "apps/v1", "kind": "Deployment"})),
            r#"no kind "Deployment" is registered for version "apps/v1""#
        );
        assert_eq!(fault(json!("x")), r#"must be an object with apiVersion and kind, found string "x""#);
    }

    #[test]
    fn any_type_can_be_decoded_strictly() {
        let parsed = Parsed::from(json!({"propagationPolicy": "Background", "nope": 1}));
        let decoded: Decoded<DeleteOptions> = decode_as(&parsed).unwrap();
        assert_eq!(decoded.object.propagation_policy.as_deref(), Some("Background"));
        assert_eq!(decoded.unknown, [r#"unknown field "nope""#]);
    }
}
