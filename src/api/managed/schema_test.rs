//! The table against the types that kiln serves: a field that does not exist, or a map that was forgotten, is a fault.

use serde_json::Value;

use super::*;
use crate::http::openapi;

struct Document(Value);

impl Document {
    /// What a property refers to, directly or beside its description.
    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let reference = schema.get("$ref").or_else(|| schema.get("allOf")?.get(0)?.get("$ref")).and_then(Value::as_str);
        match reference {
            None => schema,
            Some(name) => {
                let name = name.strip_prefix("#/components/schemas/").unwrap();
                self.0["components"]["schemas"].get(name).unwrap_or_else(|| panic!("{name}"))
            }
        }
    }

    fn check(&self, schema: &Value, ty: Type, path: &str, seen: &mut usize) {
        *seen += 1;
        let schema = self.resolve(schema);
        let is_map = schema.get("additionalProperties").is_some();
        match ty {
            Type::Atomic => {}
            Type::Map => assert!(is_map, "{path} is no map"),
            Type::Set => assert_eq!(schema["type"], "array", "{path} is no list"),
            Type::Keyed { keys, item } => {
                assert_eq!(schema["type"], "array", "{path} is no list");
                let element = self.resolve(&schema["items"]);
                for (key, _) in keys {
                    assert!(element["properties"].get(key).is_some(), "{path}: its elements have no {key}");
                }
                self.check(&schema["items"], *item, &format!("{path}[]"), seen);
            }
            Type::Struct(fields) => {
                assert!(!is_map, "{path} is a map");
                let empty = serde_json::Map::new();
                let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
                for (field, _) in fields {
                    assert!(properties.contains_key(*field), "{path} has no {field}");
                }
                for (field, property) in properties {
                    self.check(property, ty.field(field), &format!("{path}.{field}"), seen);
                }
            }
        }
    }
}

#[test]
fn every_field_of_the_table_is_there_and_every_map_is_in_the_table() {
    for &kind in Kind::ALL {
        let info = kind.info();
        let path = if info.group.is_empty() { "api/v1".to_owned() } else { format!("apis/{}", info.api_version()) };
        let document = Document(serde_json::from_slice(&openapi::document(&path).unwrap().bytes).unwrap());
        let schemas = document.0["components"]["schemas"].as_object().unwrap();
        let is_kind = |schema: &&Value| {
            let gvk = &schema["x-kubernetes-group-version-kind"][0];
            gvk["kind"] == info.kind && gvk["group"] == info.group
        };
        let schema = schemas.values().find(is_kind).unwrap();
        let mut seen = 0;
        document.check(schema, Type::of(kind), info.kind, &mut seen);
        assert!(seen > 10, "{} of {}", seen, info.kind);
    }
}
