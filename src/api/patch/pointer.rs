//! JSON pointers (RFC 6901): `/spec/template/spec/containers/0`.

use serde_json::Value;

/// The steps of a pointer, unescaped; none for the whole document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer(pub(super) Vec<String>);

impl Pointer {
    pub(super) fn parse(text: &str) -> Result<Pointer, String> {
        if text.is_empty() {
            return Ok(Pointer(Vec::new()));
        }
        let Some(steps) = text.strip_prefix('/') else {
            return Err("must be empty or begin with \"/\"".to_owned());
        };
        steps.split('/').map(unescape).collect::<Result<_, _>>().map(Pointer)
    }

    /// The parent's steps and the last step; none for the whole document.
    pub(super) fn split_last(&self) -> Option<(&[String], &str)> {
        self.0.split_last().map(|(last, parents)| (parents, last.as_str()))
    }

    /// Whether `other` lies below this.
    pub(super) fn contains(&self, other: &Pointer) -> bool {
        other.0.len() > self.0.len() && other.0.starts_with(&self.0)
    }
}

/// `~1` is a slash and `~0` a tilde; any other use of a tilde is an error.
fn unescape(step: &str) -> Result<String, String> {
    let mut out = String::with_capacity(step.len());
    let mut rest = step.chars();
    while let Some(c) = rest.next() {
        out.push(match c {
            '~' => match rest.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err("\"~\" must be followed by 0 or 1".to_owned()),
            },
            other => other,
        });
    }
    Ok(out)
}

/// The value at the end of `steps`.
pub(super) fn get<'v>(document: &'v Value, steps: &[String]) -> Option<&'v Value> {
    steps.iter().try_fold(document, |value, step| match value {
        Value::Object(map) => map.get(step),
        Value::Array(list) => list.get(index(step)?),
        _ => None,
    })
}

pub(super) fn get_mut<'v>(document: &'v mut Value, steps: &[String]) -> Option<&'v mut Value> {
    steps.iter().try_fold(document, |value, step| match value {
        Value::Object(map) => map.get_mut(step),
        Value::Array(list) => list.get_mut(index(step)?),
        _ => None,
    })
}

/// The index that a step into a list is: digits without a leading zero.
pub(super) fn index(step: &str) -> Option<usize> {
    let plain = step.bytes().all(|b| b.is_ascii_digit()) && (step == "0" || !step.starts_with('0'));
    if plain { step.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc_are_found() {
        let document = json!({"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5,
            "k\"l": 6, " ": 7, "m~n": 8});
        let cases = [
            ("", document.clone()),
            ("/foo", json!(["bar", "baz"])),
            ("/foo/0", json!("bar")),
            ("/", json!(0)),
            ("/a~1b", json!(1)),
            ("/c%d", json!(2)),
            ("/i\\j", json!(5)),
            ("/ ", json!(7)),
            ("/m~0n", json!(8)),
        ];
        for (text, value) in cases {
            let pointer = Pointer::parse(text).unwrap();
            assert_eq!(get(&document, &pointer.0), Some(&value), "{text}");
            assert_eq!(get_mut(&mut document.clone(), &pointer.0), Some(&mut value.clone()), "{text}");
        }
        for text in ["/foo/00", "/foo/+1", "/foo/-", "/foo/2", "/foo/18446744073709551616", "/nope", "/foo/0/x"] {
            assert_eq!(get(&document, &Pointer::parse(text).unwrap().0), None, "{text}");
        }
        assert!(Pointer::parse("foo").is_err() && Pointer::parse("/~2").is_err() && Pointer::parse("/~").is_err());
    }
}
