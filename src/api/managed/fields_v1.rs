//! FieldsV1, the JSON of a set: an object per field, whose members stand for what is below it (structured-merge-diff
//! `fieldpath/serialize.go`). `"."` says that the field itself is a member; where nothing is below it, that goes without
//! saying.
//!
//! Clients may write it, so it is hostile: its depth is bounded where the body was decoded, and what is no set is
//! refused.

use serde_json::{Map, Value};

use super::set::{FieldSet, Node};
use super::step::{Step, Unread};

const SELF: &str = ".";

pub fn write(set: &FieldSet) -> Value {
    Value::Object(members(set, false))
}

fn members(set: &FieldSet, member: bool) -> Map<String, Value> {
    let mut all = Map::new();
    if member && !set.is_empty() {
        all.insert(SELF.to_owned(), Value::Object(Map::new()));
    }
    for (step, node) in set.nodes() {
        all.insert(step.text(), Value::Object(members(&node.below, node.member)));
    }
    all
}

/// The set that `value` stands for, or what is wrong with it.
pub fn read(value: &Value) -> Result<FieldSet, String> {
    read_node(value).map(|node| node.below)
}

fn read_node(value: &Value) -> Result<Node, String> {
    let Value::Object(members) = value else {
        return Err("fieldsV1 must hold objects only".to_owned());
    };
    let mut node = Node::default();
    for (key, value) in members {
        if key == SELF {
            node.member = true;
            continue;
        }
        match Step::parse(key) {
            Ok(step) => node.below.put(step, read_node(value)?),
            // Some later version may know what it is.
            Err(Unread::Unknown) => {}
            Err(Unread::Malformed(detail)) => return Err(detail),
        }
    }
    node.member |= node.below.is_empty();
    Ok(node)
}

#[cfg(test)]
mod tests {
    use super::super::set::tests::set;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_set_reads_as_kubernetes_writes_it() {
        let text = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {
            "f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:name": {}}}, "f:suspend": {}}});
        let set = read(&text).unwrap();
        let paths: Vec<String> = set.paths().iter().map(ToString::to_string).collect();
        let expected = [
            ".metadata.labels",
            ".metadata.labels.app",
            ".spec.containers[name=\"c\"]",
            ".spec.containers[name=\"c\"].image",
            ".spec.containers[name=\"c\"].name",
            ".spec.suspend",
        ];
        assert_eq!(paths, expected);
        assert_eq!(write(&set), text);
    }

    #[test]
    fn what_is_no_set_is_refused_and_unknown_steps_are_left_out() {
        for bad in [json!([]), json!({"f:a": 1}), json!({"a": {}}), json!({"k:{}x": {}}), json!({"f:a": {"v:": {}}})] {
            assert!(read(&bad).is_err(), "{bad}");
        }
        assert_eq!(read(&json!({"f:a": {}, "z:b": {"f:c": {}}})).unwrap(), FieldSet::of(&[&["a"]]));
        assert_eq!(read(&json!({})).unwrap(), FieldSet::default());
    }

    proptest! {
        #[test]
        fn a_set_survives_its_text(set in set()) {
            let text = serde_json::to_string(&write(&set)).unwrap();
            prop_assert_eq!(read(&serde_json::from_str(&text).unwrap()).unwrap(), set);
        }
    }
}
