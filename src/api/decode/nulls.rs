//! A value as a typed object sees it: where text is expected, `null` is an empty one.
//!
//! Go's decoder leaves a `null` at the zero value, so that Kubernetes takes `data: {key: null}`, which is what `key:`
//! without a value means in YAML, for an empty text. An absent field is a matter of the types, which are optional; only
//! in maps and lists is there no other place for it. Numbers and objects in lists stay as strict as they are.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Value};

#[derive(Clone, Copy)]
pub(super) struct Lenient<'v>(pub &'v Value);

impl<'v> Lenient<'v> {
    fn text<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_borrowed_str(""),
            other => other.deserialize_str(visitor),
        }
    }
}

impl<'v> IntoDeserializer<'v, Error> for Lenient<'v> {
    type Deserializer = Lenient<'v>;

    fn into_deserializer(self) -> Lenient<'v> {
        self
    }
}

impl<'v> Deserializer<'v> for Lenient<'v> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(list) => {
                let mut items = SeqDeserializer::new(list.iter().map(Lenient));
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            Value::Object(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.as_str(), Lenient(value)));
                let mut fields = MapDeserializer::new(fields);
                let value = visitor.visit_map(&mut fields)?;
                fields.end()?;
                Ok(value)
            }
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text(visitor)
    }

    fn deserialize_option<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'v>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'v>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        <V: Visitor<'v>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple tuple_struct
        map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::Kind;
    use crate::api::decode::object::decode;

    #[test]
    fn a_null_in_a_map_or_list_of_texts_is_an_empty_one() {
        let value = json!({
            "metadata": {"name": "m", "labels": {"a": null}, "annotations": {"b": null}, "finalizers": null},
            "data": {"empty": null, "full": "x"},
        });
        let stored = |kind, value: serde_json::Value| -> serde_json::Value {
            let decoded = decode(kind, value.into()).unwrap();
            assert_eq!(decoded.unknown, Vec::<String>::new());
            serde_json::from_slice(&decoded.object.to_json()).unwrap()
        };
        let map = stored(Kind::ConfigMap, value);
        assert_eq!(map["data"], json!({"empty": "", "full": "x"}));
        assert_eq!(
            (&map["metadata"]["labels"], &map["metadata"]["annotations"]),
            (&json!({"a": ""}), &json!({"b": ""}))
        );
        assert_eq!(stored(Kind::Secret, json!({"data": {"k": null}}))["data"], json!({"k": ""}));
        let container = json!({"name": null, "image": "i", "args": ["a", null], "command": null});
        let job = stored(Kind::Job, json!({"spec": {"template": {"spec": {"containers": [container]}}}}));
        assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["args"], json!(["a", ""]));
    }

    #[test]
    fn elsewhere_a_null_is_as_wrong_as_it_was() {
        for wrong in [json!({"completions": [null]}), json!({"template": {"spec": {"containers": [null]}}})] {
            let fault = decode(Kind::Job, json!({ "spec": wrong }).into()).unwrap_err().to_string();
            assert!(fault.contains("found"), "{fault}");
        }
    }
}
