//! JSON merge patch (RFC 7386): objects are merged, null removes, everything else (lists too) replaces.

use serde_json::{Map, Value};

use super::PatchError;

/// Merges `patch` into `target`. Unlike the RFC, a patch that is not an object is refused: no Kubernetes object is
/// anything else.
pub fn apply(target: Value, patch: &Value) -> Result<Value, PatchError> {
    match patch {
        Value::Object(_) => Ok(merge(target, patch)),
        _ => Err(PatchError::Malformed("a merge patch must be an object".to_owned())),
    }
}

/// The depth of both is bounded where they were read.
fn merge(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut merged = match target {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    for (key, change) in patch {
        if change.is_null() {
            merged.remove(key);
        } else {
            let before = merged.get_mut(key).map_or(Value::Null, Value::take);
            merged.insert(key.clone(), merge(before, change));
        }
    }
    Value::Object(merged)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (target, patch, expected) in cases {
            assert_eq!(apply(target, &patch), Ok(expected), "{patch}");
        }
        for patch in [json!(["c"]), json!(null), json!("bar")] {
            assert!(matches!(apply(json!({"a": "foo"}), &patch), Err(PatchError::Malformed(_))));
        }
    }

    #[test]
    fn kubectl_label_removes_with_null() {
        let pod = json!({"metadata": {"labels": {"a": "1", "b": "2"}}});
        let patch = json!({"metadata": {"labels": {"a": null, "c": "3"}}});
        assert_eq!(apply(pod, &patch), Ok(json!({"metadata": {"labels": {"b": "2", "c": "3"}}})));
    }
}
