//! JSON text to a value, with each duplicate key noted by its path.
//!
//! Not `serde_json::from_slice::<Value>`: that keeps the last of two equal keys in silence, and with the `raw_value`
//! feature it also reads a key of that feature's own as an instruction to parse a string as JSON once more.
//! The depth limit is `serde_json`'s own.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::path::{Step, push};
use super::{DecodeError, MAX_COMPLAINTS, Parsed};

/// Parses one JSON value; of equal keys in one object the last wins, and each is noted once in `duplicates`.
pub fn parse(bytes: &[u8]) -> Result<Parsed, DecodeError> {
    let mut duplicates = Duplicates::default();
    let mut from = serde_json::Deserializer::from_slice(bytes);
    let value = Seed { path: &mut String::new(), duplicates: &mut duplicates }
        .deserialize(&mut from)
        .and_then(|value| from.end().map(|()| value))
        .map_err(|error| syntax(&error))?;
    Ok(Parsed { duplicates: duplicates.found, ..Parsed::from(value) })
}

fn syntax(error: &serde_json::Error) -> DecodeError {
    let text = error.to_string();
    // serde_json ends its message with the position that this error states first.
    let detail = match text.rfind(" at line ") {
        Some(end) if error.line() > 0 => text[..end].to_owned(),
        _ => text,
    };
    let detail = match detail.as_str() {
        "recursion limit exceeded" => "nested too deeply (at most 127 levels)".to_owned(),
        _ => detail,
    };
    DecodeError::Json { line: error.line(), column: error.column(), detail }
}

/// The duplicate keys of one document, each once, at most [`MAX_COMPLAINTS`].
#[derive(Default)]
pub(super) struct Duplicates {
    found: Vec<String>,
    seen: HashSet<String>,
}

impl Duplicates {
    /// Notes that `key` came twice in the object at `path`.
    pub(super) fn note(&mut self, path: &str, key: &str) {
        if self.found.len() >= MAX_COMPLAINTS {
            return;
        }
        let mut full = path.to_owned();
        push(&mut full, &Step::Key(key));
        if self.seen.insert(full.clone()) {
            self.found.push(format!("duplicate field \"{full}\""));
        }
    }

    pub(super) fn into_found(self) -> Vec<String> {
        self.found
    }
}

/// Reads one value; `path` is where it stands, and is the same again afterwards.
struct Seed<'a> {
    path: &'a mut String,
    duplicates: &'a mut Duplicates,
}

impl Seed<'_> {
    /// A seed for the value one step further, and the length to cut `path` back to.
    fn within(&mut self, step: &Step<'_>) -> (usize, Seed<'_>) {
        let before = self.path.len();
        push(self.path, step);
        (before, Seed { path: self.path, duplicates: self.duplicates })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Value, E> {
        Number::from_f64(v).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut from: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let (before, seed) = self.within(&Step::Index(list.len()));
            let next = from.next_element_seed(seed)?;
            self.path.truncate(before);
            match next {
                Some(value) => list.push(value),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut from: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = from.next_key::<String>()? {
            if map.contains_key(&key) {
                self.duplicates.note(self.path, &key);
            }
            let (before, seed) = self.within(&Step::Key(&key));
            let value = from.next_value_seed(seed)?;
            self.path.truncate(before);
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fault(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn duplicate_keys_are_noted_by_path_and_the_last_wins() {
        let text = br#"{"a":[{"b":1,"b":2}],"a":[{"c":{"d":1,"d":2,"d":3}}]}"#;
        let parsed = parse(text).unwrap();
        assert_eq!(parsed.value, json!({"a": [{"c": {"d": 3}}]}));
        assert_eq!(
            parsed.duplicates,
            [r#"duplicate field "a[0].b""#, r#"duplicate field "a""#, r#"duplicate field "a[0].c.d""#]
        );
    }

    #[test]
    fn complaints_are_bounded() {
        let keys: Vec<String> = (0..1000).map(|i| format!(r#""k{i}":1,"k{i}":2"#)).collect();
        let parsed = parse(format!("{{{}}}", keys.join(",")).as_bytes()).unwrap();
        assert_eq!(parsed.duplicates.len(), MAX_COMPLAINTS);
    }

    #[test]
    fn syntax_errors_say_where() {
        assert_eq!(fault("{\n  \"a\": ]}"), "invalid JSON at line 2, column 8: expected value");
        assert_eq!(fault("{} x"), "invalid JSON at line 1, column 4: trailing characters");
        assert_eq!(fault(""), "invalid JSON at line 1, column 0: EOF while parsing a value");
        assert_eq!(fault("1e999"), "invalid JSON at line 1, column 5: number out of range");
    }

    #[test]
    fn deep_nesting_is_refused_without_recursing_into_it() {
        assert!(parse(format!("{}1{}", "[".repeat(127), "]".repeat(127)).as_bytes()).is_ok());
        assert!(fault(&"[".repeat(1_000_000)).contains("nested too deeply (at most 127 levels)"));
        assert!(fault(&"{\"a\":".repeat(1_000_000)).contains("nested too deeply"));
    }

    #[test]
    fn the_raw_value_key_of_serde_json_has_no_meaning() {
        let text = br#"{"$serde_json::private::RawValue":"{\"a\":1}"}"#;
        assert_eq!(parse(text).unwrap().value, json!({"$serde_json::private::RawValue": "{\"a\":1}"}));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((".*", inner), 0..6).prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_serde_json_writes_is_read_back(value in any_json()) {
            let parsed = parse(&serde_json::to_vec(&value).unwrap()).unwrap();
            prop_assert_eq!(parsed.value, value);
            prop_assert!(parsed.duplicates.is_empty());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&bytes);
        }
    }
}
