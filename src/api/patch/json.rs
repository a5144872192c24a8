//! JSON patch (RFC 6902), with the limits and the two liberties of the API server's library (evanphx/json-patch v4):
//! `test` for null holds for a missing field, and `replace` sets a field of an object that was not there.
//!
//! What one patch may cost is bounded: operations, what `copy` adds, the nesting of the result, and the elements of
//! lists that are moved to make room.

use serde_json::{Map, Value};

use super::PatchError;
use super::pointer::{self, Pointer};
use crate::api::decode::MAX_DEPTH;
use crate::api::decode::path::shorten;

/// As in apiserver `endpoints/handlers/patch.go` (`maxJSONPatchOperations`).
pub const MAX_OPERATIONS: usize = 10_000;

/// What all `copy` operations may add, in bytes of JSON (about): the size limit of a request, as in the API server.
const MAX_COPIED: usize = 3 * 1024 * 1024;

/// List elements moved and values visited over one patch; a second or so of work.
const MAX_WORK: usize = 100_000_000;

/// Applies the operations in order. All of them apply, or the first that does not is the error.
pub fn apply(mut target: Value, patch: &Value) -> Result<Value, PatchError> {
    let Value::Array(operations) = patch else {
        return Err(PatchError::Malformed("a JSON patch must be a list of operations".to_owned()));
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    // Checked as a whole before anything is applied, so that what is malformed is told first.
    let operations: Vec<Operation<'_>> =
        operations.iter().enumerate().map(|(i, op)| Operation::parse(i, op)).collect::<Result<_, _>>()?;
    let mut budget = Budget { copied: 0, work: 0 };
    for operation in &operations {
        operation.apply(&mut target, &mut budget)?;
    }
    Ok(target)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Add,
    Remove,
    Replace,
    Move,
    Copy,
    Test,
}

struct Operation<'p> {
    /// Counts from 0, for messages.
    number: usize,
    verb: Verb,
    text: &'p str,
    path: Pointer,
    from: Pointer,
    value: &'p Value,
}

struct Budget {
    copied: usize,
    work: usize,
}

impl<'p> Operation<'p> {
    fn parse(number: usize, operation: &'p Value) -> Result<Operation<'p>, PatchError> {
        let malformed = |what: String| PatchError::Malformed(format!("operation {number}: {what}"));
        let Value::Object(fields) = operation else {
            return Err(malformed("must be an object".to_owned()));
        };
        let text = |name: &str| match fields.get(name) {
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(_) => Err(malformed(format!("\"{name}\" must be a string"))),
            None => Err(malformed(format!("\"{name}\" is missing"))),
        };
        let pointer =
            |name: &str| Pointer::parse(text(name)?).map_err(|detail| malformed(format!("\"{name}\" {detail}")));
        let verb = match text("op")? {
            "add" => Verb::Add,
            "remove" => Verb::Remove,
            "replace" => Verb::Replace,
            "move" => Verb::Move,
            "copy" => Verb::Copy,
            "test" => Verb::Test,
            other => return Err(malformed(format!("unknown \"op\" {:?}", shorten(other)))),
        };
        let from = if matches!(verb, Verb::Move | Verb::Copy) { pointer("from")? } else { Pointer(Vec::new()) };
        let value = match fields.get("value") {
            Some(value) => value,
            None if matches!(verb, Verb::Add | Verb::Replace | Verb::Test) => {
                return Err(malformed("\"value\" is missing".to_owned()));
            }
            None => &Value::Null,
        };
        Ok(Operation { number, verb, text: text("path")?, path: pointer("path")?, from, value })
    }

    fn apply(&self, target: &mut Value, budget: &mut Budget) -> Result<(), PatchError> {
        match self.verb {
            Verb::Add => self.add(target, self.value.clone(), budget),
            Verb::Remove => self.remove(target, &self.path, budget).map(drop),
            Verb::Replace => self.replace(target, budget),
            Verb::Move if self.from == self.path => {
                pointer::get(target, &self.from.0).map(drop).ok_or_else(|| self.fails("\"from\" does not exist"))
            }
            Verb::Move if self.from.contains(&self.path) => Err(self.fails("a value cannot be moved into itself")),
            Verb::Move => {
                let value = self.remove(target, &self.from, budget)?;
                self.add(target, value, budget)
            }
            Verb::Copy => {
                let value = pointer::get(target, &self.from.0).ok_or_else(|| self.fails("\"from\" does not exist"))?;
                budget.copied = budget.copied.saturating_add(size(value, MAX_COPIED));
                if budget.copied > MAX_COPIED {
                    let message = format!("the copy operations add more than {MAX_COPIED} bytes");
                    return Err(PatchError::TooLarge(message));
                }
                let value = value.clone();
                self.add(target, value, budget)
            }
            Verb::Test => match pointer::get(target, &self.path.0) {
                Some(found) if same(found, self.value) => Ok(()),
                None if self.value.is_null() => Ok(()),
                _ => Err(self.fails("the value is another")),
            },
        }
    }

    fn add(&self, target: &mut Value, value: Value, budget: &mut Budget) -> Result<(), PatchError> {
        self.check_depth(&value, budget)?;
        let Some((parents, last)) = self.path.split_last() else {
            *target = value;
            return Ok(());
        };
        match pointer::get_mut(target, parents) {
            Some(Value::Object(map)) => {
                map.insert(last.to_owned(), value);
                Ok(())
            }
            Some(Value::Array(list)) => {
                let at = if last == "-" { Some(list.len()) } else { pointer::index(last) };
                match at.filter(|at| *at <= list.len()) {
                    Some(at) => {
                        budget.spend(list.len() - at)?;
                        list.insert(at, value);
                        Ok(())
                    }
                    None => Err(self.fails("the index is outside of the list")),
                }
            }
            Some(_) => Err(self.fails("the parent is neither an object nor a list")),
            None => Err(self.fails("the parent does not exist")),
        }
    }

    fn replace(&self, target: &mut Value, budget: &mut Budget) -> Result<(), PatchError> {
        match self.path.split_last().map(|(parents, _)| pointer::get(target, parents)) {
            // Here the API server sets a field whether it was there or not.
            None | Some(Some(Value::Object(_))) => self.add(target, self.value.clone(), budget),
            Some(_) => {
                self.check_depth(self.value, budget)?;
                let place =
                    pointer::get_mut(target, &self.path.0).ok_or_else(|| self.fails("there is no such field"))?;
                *place = self.value.clone();
                Ok(())
            }
        }
    }

    fn remove(&self, target: &mut Value, path: &Pointer, budget: &mut Budget) -> Result<Value, PatchError> {
        let Some((parents, last)) = path.split_last() else {
            return Err(self.fails("the whole document cannot be removed"));
        };
        let removed = match pointer::get_mut(target, parents) {
            Some(Value::Object(map)) => map.remove(last),
            Some(Value::Array(list)) => match pointer::index(last).filter(|at| *at < list.len()) {
                Some(at) => {
                    budget.spend(list.len() - at)?;
                    Some(list.remove(at))
                }
                None => None,
            },
            _ => None,
        };
        removed.ok_or_else(|| self.fails("there is no such field"))
    }

    /// Refuses what would nest more deeply than any document that can be read.
    fn check_depth(&self, value: &Value, budget: &mut Budget) -> Result<(), PatchError> {
        if self.path.0.len() + height(value, budget)? > MAX_DEPTH {
            return Err(self.fails(&format!("nested too deeply (at most {MAX_DEPTH} levels)")));
        }
        Ok(())
    }

    fn fails(&self, why: &str) -> PatchError {
        let verb = format!("{:?}", self.verb).to_lowercase();
        let path = if self.text.is_empty() { "the whole document".to_owned() } else { shorten(self.text) };
        PatchError::DoesNotApply(format!("operation {}: {verb} {path} does not apply: {why}", self.number))
    }
}

impl Budget {
    fn spend(&mut self, work: usize) -> Result<(), PatchError> {
        self.work = self.work.saturating_add(work);
        if self.work > MAX_WORK {
            return Err(PatchError::TooLarge("the patch takes too much work".to_owned()));
        }
        Ok(())
    }
}

/// How deep a value is: 0 for one without children. No value here is deeper than [`MAX_DEPTH`].
fn height(value: &Value, budget: &mut Budget) -> Result<usize, PatchError> {
    budget.spend(1)?;
    let mut highest = 0;
    match value {
        Value::Array(list) => {
            for child in list {
                highest = highest.max(height(child, budget)?);
            }
        }
        Value::Object(map) => {
            for child in map.values() {
                highest = highest.max(height(child, budget)?);
            }
        }
        _ => return Ok(0),
    }
    Ok(highest + 1)
}

/// The bytes of a value's JSON, about; counted no further than `most`.
fn size(value: &Value, most: usize) -> usize {
    let (text, children): (usize, &mut dyn Iterator<Item = &Value>) = match value {
        Value::Null | Value::Bool(_) => return 4,
        Value::Number(_) => return 8,
        Value::String(text) => return text.len() + 2,
        Value::Array(list) => (2 + list.len(), &mut list.iter()),
        Value::Object(map) => (2 + keys_size(map), &mut map.values()),
    };
    let mut total = text;
    for child in children {
        if total > most {
            break;
        }
        total += size(child, most - total.min(most));
    }
    total
}

fn keys_size(map: &Map<String, Value>) -> usize {
    map.keys().map(|key| key.len() + 4).sum()
}

/// Equality as the RFC defines it: numbers by value, objects without regard to order.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || (a.is_f64() != b.is_f64() && a.as_f64() == b.as_f64()),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        let cases = [
            (
                json!({"foo": "bar"}),
                json!([{"op": "add", "path": "/baz", "value": "qux"}]),
                json!({"baz": "qux", "foo": "bar"}),
            ),
            (
                json!({"foo": ["bar", "baz"]}),
                json!([{"op": "add", "path": "/foo/1", "value": "qux"}]),
                json!({"foo": ["bar", "qux", "baz"]}),
            ),
            (json!({"baz": "qux", "foo": "bar"}), json!([{"op": "remove", "path": "/baz"}]), json!({"foo": "bar"})),
            (
                json!({"foo": ["bar", "qux", "baz"]}),
                json!([{"op": "remove", "path": "/foo/1"}]),
                json!({"foo": ["bar", "baz"]}),
            ),
            (json!({"baz": "qux"}), json!([{"op": "replace", "path": "/baz", "value": "boo"}]), json!({"baz": "boo"})),
            (
                json!({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}),
                json!([{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]),
                json!({"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
            ),
            (
                json!({"foo": ["all", "grass", "cows", "eat"]}),
                json!([{"op": "move", "from": "/foo/1", "path": "/foo/3"}]),
                json!({"foo": ["all", "cows", "eat", "grass"]}),
            ),
            (
                json!({"baz": "qux", "foo": ["a", 2, "c"]}),
                json!([{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2.0}]),
                json!({"baz": "qux", "foo": ["a", 2, "c"]}),
            ),
            (
                json!({"foo": "bar"}),
                json!([{"op": "add", "path": "/child", "value": {"grandchild": {}}}]),
                json!({"foo": "bar", "child": {"grandchild": {}}}),
            ),
            (
                json!({"foo": ["bar"]}),
                json!([{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}]),
                json!({"foo": ["bar", ["abc", "def"]]}),
            ),
            (
                json!({"/": 9, "~1": 10}),
                json!([{"op": "test", "path": "/~01", "value": 10}]),
                json!({"/": 9, "~1": 10}),
            ),
            (json!({"a": [1]}), json!([{"op": "copy", "from": "/a", "path": "/b"}]), json!({"a": [1], "b": [1]})),
            (
                json!({"a": 1}),
                json!([{"op": "replace", "path": "", "value": {"b": [2]}}, {"op": "replace", "path": "/c", "value": 3},
                    {"op": "replace", "path": "/b/0", "value": 4}]),
                json!({"b": [4], "c": 3}),
            ),
            (
                json!({"a": 1}),
                json!([{"op": "test", "path": "/nope", "value": null}, {"op": "move", "from": "/a", "path": "/a"}]),
                json!({"a": 1}),
            ),
        ];
        for (target, patch, expected) in cases {
            assert_eq!(apply(target, &patch), Ok(expected), "{patch}");
        }
    }

    #[test]
    fn what_does_not_apply_says_which_operation_and_why() {
        let target = json!({"a": [1, 2], "s": "x"});
        let cases = [
            (json!({"op": "remove", "path": "/nope"}), "remove /nope does not apply: there is no such field"),
            (
                json!({"op": "replace", "path": "/nope/x", "value": 1}),
                "replace /nope/x does not apply: there is no such field",
            ),
            (
                json!({"op": "replace", "path": "/a/2", "value": 1}),
                "replace /a/2 does not apply: there is no such field",
            ),
            (json!({"op": "add", "path": "/n/o", "value": 1}), "add /n/o does not apply: the parent does not exist"),
            (
                json!({"op": "add", "path": "/s/o", "value": 1}),
                "add /s/o does not apply: the parent is neither an object nor a list",
            ),
            (
                json!({"op": "add", "path": "/a/3", "value": 1}),
                "add /a/3 does not apply: the index is outside of the list",
            ),
            (
                json!({"op": "add", "path": "/a/01", "value": 1}),
                "add /a/01 does not apply: the index is outside of the list",
            ),
            (json!({"op": "remove", "path": "/a/-"}), "remove /a/- does not apply: there is no such field"),
            (
                json!({"op": "remove", "path": ""}),
                "remove the whole document does not apply: the whole document cannot be removed",
            ),
            (json!({"op": "test", "path": "/s", "value": "y"}), "test /s does not apply: the value is another"),
            (
                json!({"op": "move", "from": "/a", "path": "/a/0"}),
                "move /a/0 does not apply: a value cannot be moved into itself",
            ),
            (json!({"op": "copy", "from": "/n", "path": "/m"}), "copy /m does not apply: \"from\" does not exist"),
        ];
        for (operation, message) in cases {
            let message = format!("operation 0: {message}");
            assert_eq!(apply(target.clone(), &json!([operation])), Err(PatchError::DoesNotApply(message)));
        }
    }

    #[test]
    fn what_is_not_a_patch_is_told_before_anything_applies() {
        let cases = [
            (json!({}), "a JSON patch must be a list of operations"),
            (json!([1]), "operation 0: must be an object"),
            (json!([{"op": "remove", "path": "/nope"}, {"path": "/a"}]), "operation 1: \"op\" is missing"),
            (json!([{"op": "put", "path": "/a"}]), "operation 0: unknown \"op\" \"put\""),
            (json!([{"op": "add", "path": "/a"}]), "operation 0: \"value\" is missing"),
            (json!([{"op": "move", "path": "/a"}]), "operation 0: \"from\" is missing"),
            (json!([{"op": "remove", "path": 1}]), "operation 0: \"path\" must be a string"),
            (json!([{"op": "remove", "path": "a"}]), "operation 0: \"path\" must be empty or begin with \"/\""),
        ];
        for (patch, message) in cases {
            assert_eq!(apply(json!({}), &patch), Err(PatchError::Malformed(message.to_owned())));
        }
    }

    #[test]
    fn operations_copies_depth_and_work_are_bounded() {
        let many: Vec<Value> = (0..=MAX_OPERATIONS).map(|_| json!({"op": "test", "path": "", "value": {}})).collect();
        assert!(matches!(apply(json!({}), &json!(many)), Err(PatchError::TooLarge(_))));

        let doubling: Vec<Value> =
            (0..64).map(|i| json!({"op": "copy", "from": "", "path": format!("/k{i}")})).collect();
        assert!(matches!(apply(json!({"a": "xxxxxxxx"}), &json!(doubling)), Err(PatchError::TooLarge(_))));

        let deeper: Vec<Value> = (1..200).map(|i| json!({"op": "add", "path": "/a".repeat(i), "value": {}})).collect();
        assert!(matches!(apply(json!({}), &json!(deeper)), Err(PatchError::DoesNotApply(_))));
        let wrapping: Vec<Value> = (0..5000)
            .flat_map(|_| {
                [
                    json!({"op": "copy", "from": "/a", "path": "/b"}),
                    json!({"op": "add", "path": "/a", "value": {}}),
                    json!({"op": "move", "from": "/b", "path": "/a/b"}),
                ]
            })
            .take(9999)
            .collect();
        assert!(apply(json!({"a": {}}), &json!(wrapping)).is_err());

        let list = vec![Value::Null; 500_000];
        let front: Vec<Value> = (0..1000).map(|_| json!({"op": "add", "path": "/l/0", "value": null})).collect();
        assert!(matches!(apply(json!({ "l": list }), &json!(front)), Err(PatchError::TooLarge(_))));
    }

    proptest! {
        #[test]
        fn no_patch_panics(operations in prop::collection::vec((0..6usize, 0..9usize, 0..9usize), 0..12)) {
            const VERBS: [&str; 6] = ["add", "remove", "replace", "move", "copy", "test"];
            const PATHS: [&str; 9] = ["", "/", "/a", "/a/0", "/a/-", "/a/1/b", "/a/1/b/c", "/s", "/a/99"];
            let patch: Vec<Value> = operations
                .into_iter()
                .map(|(verb, path, from)| json!({"op": VERBS[verb], "path": PATHS[path], "from": PATHS[from], "value": [1]}))
                .collect();
            let _ = apply(json!({"a": [1, {"b": {}}], "s": "x"}), &json!(patch));
        }
    }
}
