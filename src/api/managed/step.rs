//! One step of a field's path, its text in FieldsV1 and its text for people (structured-merge-diff
//! `fieldpath/element.go` and `serialize-pe.go`).
//!
//! | step | in FieldsV1 | in messages |
//! |---|---|---|
//! | a field of an object, or a key of a map | `f:image` | `.image` |
//! | the element of a list with these keys | `k:{"name":"a"}` | `[name="a"]` |
//! | the element of a set | `v:"a"` | `[="a"]` |
//! | the element at a place, which nothing writes any more | `i:0` | `[0]` |

use std::fmt;

use serde_json::{Map, Value};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    Field(String),
    /// Name and value, by name.
    Keys(Vec<(String, Scalar)>),
    Item(Scalar),
    Index(u64),
}

/// A string, number, boolean or null, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scalar(String);

impl Scalar {
    /// `None` for lists and objects, which identify nothing.
    pub fn of(value: &Value) -> Option<Scalar> {
        (!value.is_array() && !value.is_object()).then(|| Scalar(value.to_string()))
    }

    #[cfg(test)]
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap()
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Of a kind that a later version may know: to be left out.
    Unknown,
    Malformed(String),
}

impl Step {
    pub fn field(name: &str) -> Step {
        Step::Field(name.to_owned())
    }

    /// The text of the step in FieldsV1.
    pub fn text(&self) -> String {
        match self {
            Step::Field(name) => format!("f:{name}"),
            Step::Keys(keys) => {
                let mut text = "k:{".to_owned();
                for (i, (name, value)) in keys.iter().enumerate() {
                    let comma = if i > 0 { "," } else { "" };
                    text += &format!("{comma}{}:{value}", Value::from(name.as_str()));
                }
                text + "}"
            }
            Step::Item(value) => format!("v:{value}"),
            Step::Index(index) => format!("i:{index}"),
        }
    }

    pub fn parse(text: &str) -> Result<Step, Unread> {
        let malformed = |detail: &str| Unread::Malformed(format!("{detail}: {:?}", cut(text)));
        let Some((kind, rest)) = text.split_once(':').filter(|(kind, _)| kind.len() == 1) else {
            return Err(malformed("a key must be one letter, a colon and what it names"));
        };
        match kind {
            "f" => Ok(Step::field(rest)),
            "v" => {
                let value: Value = serde_json::from_str(rest).map_err(|_| malformed("the value is not JSON"))?;
                Scalar::of(&value).map(Step::Item).ok_or_else(|| malformed("the value is neither string nor number"))
            }
            "k" => {
                let keys: Map<String, Value> =
                    serde_json::from_str(rest).map_err(|_| malformed("the keys are no JSON object"))?;
                let read = |(name, value): (String, Value)| Scalar::of(&value).map(|value| (name, value));
                let keys: Option<Vec<(String, Scalar)>> = keys.into_iter().map(read).collect();
                let mut keys = keys.ok_or_else(|| malformed("a key is neither string nor number"))?;
                keys.sort_unstable();
                Ok(Step::Keys(keys))
            }
            "i" => rest.parse().map(Step::Index).map_err(|_| malformed("the index is no number")),
            _ => Err(Unread::Unknown),
        }
    }
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(64).map_or(text, |(end, _)| &text[..end])
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Field(name) => write!(f, ".{name}"),
            Step::Keys(keys) => {
                f.write_str("[")?;
                for (i, (name, value)) in keys.iter().enumerate() {
                    let comma = if i > 0 { "," } else { "" };
                    write!(f, "{comma}{name}={value}")?;
                }
                f.write_str("]")
            }
            Step::Item(value) => write!(f, "[={value}]"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_written_and_read_as_in_kubernetes() {
        for (text, shown) in [
            ("f:image", ".image"),
            ("f:", "."),
            ("f:a/b:c", ".a/b:c"),
            (r#"k:{"containerPort":80,"protocol":"TCP"}"#, r#"[containerPort=80,protocol="TCP"]"#),
            (r#"v:"a \" b""#, r#"[="a \" b"]"#),
            ("v:7", "[=7]"),
            ("i:3", "[3]"),
        ] {
            let step = Step::parse(text).unwrap();
            assert_eq!((step.text().as_str(), step.to_string().as_str()), (text, shown));
        }
        let sorted = Step::parse(r#"k:{"b":1,"a":true}"#).unwrap();
        assert_eq!(sorted.text(), r#"k:{"a":true,"b":1}"#);
    }

    #[test]
    fn what_is_no_step_is_refused_and_what_is_unknown_told_apart() {
        for text in ["", "f", "fx", "ff:a", "k:[]", "k:{", r#"k:{"a":[]}"#, "v:{}", "v:", "i:x", "i:-1", "ä"] {
            assert!(matches!(Step::parse(text), Err(Unread::Malformed(_))), "{text:?}");
        }
        assert_eq!(Step::parse("z:new"), Err(Unread::Unknown));
        let Err(Unread::Malformed(detail)) = Step::parse(&"ä".repeat(10_000)) else { panic!() };
        assert!(detail.len() < 300);
    }
}
