//! A document of OpenAPI v2 as gnostic's protobuf messages (`openapiv2/OpenAPIv2.proto` of github.com/google/gnostic), from
//! its JSON. The messages stand here as tables, of what our own document uses of them; a test holds that this is all of it.

use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::{Map, Value};

/// A message: its fields by their names in JSON, and the field in which everything named `x-…` goes.
struct Message {
    fields: &'static [(&'static str, u32, Form)],
    extensions: Option<u32>,
}

/// How a value of JSON is written.
enum Form {
    Text,
    Bool,
    /// Each item of a list by itself.
    Each(&'static Form),
    Message(&'static Message),
    /// In this field of a message that has no other.
    In(u32, &'static Form),
    /// A map: in this field of a message, once for each entry, a message with the key in field 1 and the value in field 2.
    Named(u32, &'static Form),
    /// A parameter: which message it is depends on where the parameter stands.
    Parameter,
}

static DOCUMENT: Message = Message {
    fields: &[
        ("swagger", 1, Form::Text),
        ("info", 2, Form::Message(&INFO)),
        ("paths", 8, Form::Named(2, &Form::Message(&PATH_ITEM))),
        ("definitions", 9, Form::Named(1, &Form::Message(&SCHEMA))),
    ],
    extensions: Some(16),
};

static INFO: Message = Message { fields: &[("title", 1, Form::Text), ("version", 2, Form::Text)], extensions: Some(7) };

static PATH_ITEM: Message = Message {
    fields: &[
        ("get", 2, Form::Message(&OPERATION)),
        ("put", 3, Form::Message(&OPERATION)),
        ("post", 4, Form::Message(&OPERATION)),
        ("delete", 5, Form::Message(&OPERATION)),
        ("patch", 8, Form::Message(&OPERATION)),
        ("parameters", 9, Form::Each(&Form::Parameter)),
    ],
    extensions: Some(10),
};

static OPERATION: Message = Message {
    fields: &[
        ("description", 3, Form::Text),
        ("operationId", 5, Form::Text),
        ("produces", 6, Form::Each(&Form::Text)),
        ("consumes", 7, Form::Each(&Form::Text)),
        ("parameters", 8, Form::Each(&Form::Parameter)),
        ("responses", 9, Form::Named(1, &Form::In(1, &Form::Message(&RESPONSE)))),
    ],
    extensions: Some(13),
};

static RESPONSE: Message = Message {
    fields: &[("description", 1, Form::Text), ("schema", 2, Form::In(1, &Form::Message(&SCHEMA)))],
    extensions: Some(5),
};

static BODY_PARAMETER: Message = Message {
    fields: &[
        ("description", 1, Form::Text),
        ("name", 2, Form::Text),
        ("in", 3, Form::Text),
        ("required", 4, Form::Bool),
        ("schema", 5, Form::Message(&SCHEMA)),
    ],
    extensions: Some(6),
};

static QUERY_PARAMETER: Message = Message {
    fields: &[
        ("required", 1, Form::Bool),
        ("in", 2, Form::Text),
        ("description", 3, Form::Text),
        ("name", 4, Form::Text),
        ("type", 6, Form::Text),
        ("uniqueItems", 20, Form::Bool),
    ],
    extensions: Some(23),
};

static PATH_PARAMETER: Message = Message {
    fields: &[
        ("required", 1, Form::Bool),
        ("in", 2, Form::Text),
        ("description", 3, Form::Text),
        ("name", 4, Form::Text),
        ("type", 5, Form::Text),
        ("uniqueItems", 19, Form::Bool),
    ],
    extensions: Some(22),
};

static SCHEMA: Message = Message {
    fields: &[
        ("$ref", 1, Form::Text),
        ("format", 2, Form::Text),
        ("description", 4, Form::Text),
        ("required", 19, Form::Each(&Form::Text)),
        ("additionalProperties", 21, Form::In(1, &Form::Message(&SCHEMA))),
        ("type", 22, Form::In(1, &Form::Text)),
        ("items", 23, Form::In(1, &Form::Message(&SCHEMA))),
        ("properties", 25, Form::Named(1, &Form::Message(&SCHEMA))),
    ],
    extensions: Some(31),
};

/// `Any`, which has the value as YAML; and JSON is YAML.
const ANY_YAML: u32 = 2;
/// Of `ParametersItem`, `Parameter` and `NonBodyParameter`.
const PARAMETER: u32 = 1;
const BODY: u32 = 1;
const NOT_BODY: u32 = 2;
const QUERY: u32 = 3;
const PATH: u32 = 4;

pub fn document(json: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, &DOCUMENT, json);
    out
}

fn message(out: &mut Vec<u8>, message: &Message, json: &Value) {
    let nothing = Map::new();
    let object = json.as_object().unwrap_or(&nothing);
    for (name, number, form) in message.fields {
        if let Some(value) = object.get(*name) {
            field(out, *number, form, value);
        }
    }
    let Some(number) = message.extensions else { return };
    for (name, value) in object.iter().filter(|(name, _)| name.starts_with("x-")) {
        nested(out, number, |named| {
            bytes(named, 1, name.as_bytes());
            nested(named, 2, |any| bytes(any, ANY_YAML, value.to_string().as_bytes()));
        });
    }
}

fn field(out: &mut Vec<u8>, number: u32, form: &Form, json: &Value) {
    match form {
        Form::Text => bytes(out, number, json.as_str().unwrap_or_default().as_bytes()),
        Form::Bool => {
            encode_key(number, WireType::Varint, out);
            encode_varint(u64::from(json.as_bool().unwrap_or_default()), out);
        }
        Form::Each(form) => json.as_array().into_iter().flatten().for_each(|item| field(out, number, form, item)),
        Form::Message(inner) => nested(out, number, |out| message(out, inner, json)),
        Form::In(inner, form) => nested(out, number, |out| field(out, *inner, form, json)),
        Form::Named(inner, form) => nested(out, number, |out| {
            for (name, value) in json.as_object().into_iter().flatten() {
                nested(out, *inner, |named| {
                    bytes(named, 1, name.as_bytes());
                    field(named, 2, form, value);
                });
            }
        }),
        Form::Parameter => nested(out, number, |item| nested(item, PARAMETER, |out| parameter(out, json))),
    }
}

fn parameter(out: &mut Vec<u8>, json: &Value) {
    let not_body = |out: &mut Vec<u8>, number, form| {
        nested(out, NOT_BODY, |out| nested(out, number, |out| message(out, form, json)));
    };
    match json["in"].as_str() {
        Some("body") => nested(out, BODY, |out| message(out, &BODY_PARAMETER, json)),
        Some("path") => not_body(out, PATH, &PATH_PARAMETER),
        _ => not_body(out, QUERY, &QUERY_PARAMETER),
    }
}

fn nested(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    bytes(out, number, &inner);
}

fn bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::bytes::Buf;
    use prost::encoding::{decode_key, decode_varint};
    use serde_json::json;

    /// Reads a message back by the same tables, into JSON.
    fn read(message: &Message, mut bytes: &[u8]) -> Map<String, Value> {
        let mut out = Map::new();
        while bytes.has_remaining() {
            let (number, value) = next(&mut bytes);
            if message.extensions == Some(number) {
                let (name, any) = named(&value);
                let (yaml, text) = next(&mut &any[..]);
                assert_eq!(yaml, ANY_YAML);
                out.insert(name, serde_json::from_slice(&text).unwrap());
                continue;
            }
            let (name, _, form) = message.fields.iter().find(|field| field.1 == number).unwrap();
            let read = value_of(form, &value);
            match (form, out.get_mut(*name)) {
                (Form::Each(_), Some(Value::Array(list))) => list.push(read),
                (Form::Each(_), _) => drop(out.insert((*name).to_owned(), json!([read]))),
                _ => drop(out.insert((*name).to_owned(), read)),
            }
        }
        out
    }

    fn value_of(form: &Form, bytes: &[u8]) -> Value {
        match form {
            Form::Text => json!(std::str::from_utf8(bytes).unwrap()),
            Form::Bool => json!(bytes == [1]),
            Form::Each(form) => value_of(form, bytes),
            Form::Message(message) => Value::Object(read(message, bytes)),
            Form::In(inner, form) => {
                let (number, value) = next(&mut &bytes[..]);
                assert_eq!(number, *inner);
                value_of(form, &value)
            }
            Form::Named(inner, form) => {
                let (mut bytes, mut all) = (bytes, Map::new());
                while bytes.has_remaining() {
                    let (number, entry) = next(&mut bytes);
                    assert_eq!(number, *inner);
                    let (name, value) = named(&entry);
                    all.insert(name, value_of(form, &value));
                }
                Value::Object(all)
            }
            Form::Parameter => {
                let (_, parameter) = next(&mut &bytes[..]);
                let (place, inner) = next(&mut &parameter[..]);
                if place == BODY {
                    return Value::Object(read(&BODY_PARAMETER, &inner));
                }
                let (place, inner) = next(&mut &inner[..]);
                Value::Object(read(if place == PATH { &PATH_PARAMETER } else { &QUERY_PARAMETER }, &inner))
            }
        }
    }

    fn next(bytes: &mut &[u8]) -> (u32, Vec<u8>) {
        let (number, wire) = decode_key(bytes).unwrap();
        let value = decode_varint(bytes).unwrap();
        match wire {
            WireType::Varint => (number, vec![u8::try_from(value).unwrap()]),
            _ => (number, bytes.copy_to_bytes(usize::try_from(value).unwrap()).to_vec()),
        }
    }

    fn named(mut entry: &[u8]) -> (String, Vec<u8>) {
        let ((1, name), (2, value)) = (next(&mut entry), next(&mut entry)) else { panic!("no entry of a map") };
        (String::from_utf8(name).unwrap(), value)
    }

    /// Lists that are empty are not written at all.
    fn without_empty_lists(mut value: Value) -> Value {
        match &mut value {
            Value::Array(list) => list.iter_mut().for_each(|v| *v = without_empty_lists(v.take())),
            Value::Object(map) => {
                map.retain(|_, v| !v.as_array().is_some_and(Vec::is_empty));
                map.values_mut().for_each(|v| *v = without_empty_lists(v.take()));
            }
            _ => {}
        }
        value
    }

    #[test]
    fn nothing_of_the_document_is_lost() {
        let whole = super::super::whole();
        let read = Value::Object(read(&DOCUMENT, &document(&whole)));
        // By parts, so that a difference can be read.
        for part in ["paths", "definitions"] {
            for (name, expected) in whole[part].as_object().unwrap() {
                assert_eq!(read[part][name], without_empty_lists(expected.clone()), "{name}");
            }
        }
        assert_eq!(read, without_empty_lists(whole));
    }

    #[test]
    fn bytes_are_as_the_encoding_has_it() {
        let json = json!({"swagger": "2.0", "definitions": {"a": {"type": "string", "x-k": [1]}}});
        let swagger: &[u8] = b"\x0a\x032.0";
        // Definitions, in it an entry, in it its name and its schema.
        let head = b"\x4a\x21\x0a\x1f\x0a\x01a\x12\x1a";
        let type_ = b"\xb2\x01\x08\x0a\x06string";
        let extension = b"\xfa\x01\x0c\x0a\x03x-k\x12\x05\x12\x03[1]";
        assert_eq!(document(&json), [swagger, head, type_, extension].concat());
    }
}
