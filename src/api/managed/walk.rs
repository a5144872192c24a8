//! Which fields a value has, and which of them differ between two values (structured-merge-diff `typed/tofieldset.go`
//! and `typed/compare.go`).
//!
//! The depth of all values is bounded where they were read.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::schema::Type;
use super::set::{FieldSet, Node};
use super::step::Step;

/// A value with its fields or elements apart.
pub enum Parts<'a> {
    Whole,
    Fields(&'a Map<String, Value>),
    Elements(&'a [Value]),
}

pub fn parts(value: &Value, ty: Type) -> Parts<'_> {
    match (ty, value) {
        (Type::Struct(_) | Type::Map, Value::Object(fields)) => Parts::Fields(fields),
        (Type::Keyed { .. } | Type::Set, Value::Array(elements)) => Parts::Elements(elements),
        _ => Parts::Whole,
    }
}

/// The fields that an applied value speaks of: its leaves, the keys of its maps and the elements of its lists, but not
/// the objects and lists around them, unless those are empty.
pub fn fields_of(value: &Value, ty: Type) -> FieldSet {
    let mut set = FieldSet::default();
    match parts(value, ty) {
        Parts::Whole => {}
        Parts::Fields(fields) => {
            for (name, value) in fields {
                let (step, inner) = (Step::field(name), ty.field(name));
                let below = fields_of(value, inner);
                let leaf = match parts(value, inner) {
                    Parts::Whole => true,
                    Parts::Fields(fields) => fields.is_empty(),
                    Parts::Elements(elements) => elements.is_empty(),
                };
                set.put(step, Node { member: leaf || !ty.is_struct(), below });
            }
        }
        Parts::Elements(elements) => {
            for (step, same) in by_step(elements, ty) {
                // Elements that cannot be told apart are owned together.
                let below = match same.as_slice() {
                    [one] => fields_of(one, ty.item()),
                    _ => FieldSet::default(),
                };
                set.put(step, Node { member: true, below });
            }
        }
    }
    set
}

fn by_step(elements: &[Value], ty: Type) -> BTreeMap<Step, Vec<&Value>> {
    let mut found: BTreeMap<Step, Vec<&Value>> = BTreeMap::new();
    for element in elements {
        if let Some(step) = ty.step_to(element) {
            found.entry(step).or_default().push(element);
        }
    }
    found
}

/// What a change did. A field is in one of the sets at most, except for elements that could not be told apart before or
/// cannot be now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    pub removed: FieldSet,
    pub modified: FieldSet,
    pub added: FieldSet,
}

impl Comparison {
    /// What has another value than before, or had none.
    pub fn set(&self) -> FieldSet {
        self.modified.union(&self.added)
    }

    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.modified.is_empty() && self.added.is_empty()
    }

    /// Only what `keep` makes of each set.
    pub fn map(self, keep: impl Fn(FieldSet) -> FieldSet) -> Comparison {
        Comparison { removed: keep(self.removed), modified: keep(self.modified), added: keep(self.added) }
    }

    fn put(&mut self, step: &Step, change: Change) {
        let Change { at, below } = change;
        let node = |here: Mark, below| Node { member: at == Some(here), below };
        self.removed.put(step.clone(), node(Mark::Removed, below.removed));
        self.modified.put(step.clone(), node(Mark::Modified, below.modified));
        self.added.put(step.clone(), node(Mark::Added, below.added));
    }

    fn mark(&mut self, step: &Step, mark: Mark) {
        self.put(step, Change { at: Some(mark), below: Comparison::default() });
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Removed,
    Modified,
    Added,
}

/// What happened to one field, and below it.
#[derive(Default)]
struct Change {
    at: Option<Mark>,
    below: Comparison,
}

pub fn compare(old: &Value, new: &Value, ty: Type) -> Comparison {
    change(Some(old), Some(new), ty).below
}

fn change(old: Option<&Value>, new: Option<&Value>, ty: Type) -> Change {
    if old == new {
        return Change::default();
    }
    let mut below = Comparison::default();
    let inner = match (Inside::of(old, ty), Inside::of(new, ty)) {
        (Inside::Fields(a), Inside::Fields(b)) => compare_fields(a, b, ty, &mut below),
        (Inside::Fields(a), Inside::Nothing) => compare_fields(a, &Map::new(), ty, &mut below),
        (Inside::Nothing, Inside::Fields(b)) => compare_fields(&Map::new(), b, ty, &mut below),
        (Inside::Elements(a), Inside::Elements(b)) => compare_elements(a, b, ty, &mut below),
        (Inside::Elements(a), Inside::Nothing) => compare_elements(a, &[], ty, &mut below),
        (Inside::Nothing, Inside::Elements(b)) => compare_elements(&[], b, ty, &mut below),
        _ => false,
    };
    let at = match (old, new) {
        (None, _) => Some(Mark::Added),
        (_, None) => Some(Mark::Removed),
        // What changed is inside.
        _ if inner => None,
        _ => Some(Mark::Modified),
    };
    Change { at, below }
}

/// The inside of a value that may be absent. An object or list with nothing in it is a leaf.
enum Inside<'a> {
    Nothing,
    Whole,
    Fields(&'a Map<String, Value>),
    Elements(&'a [Value]),
}

impl<'a> Inside<'a> {
    fn of(value: Option<&'a Value>, ty: Type) -> Inside<'a> {
        let Some(value) = value.filter(|value| !value.is_null()) else { return Inside::Nothing };
        match parts(value, ty) {
            Parts::Whole => Inside::Whole,
            Parts::Fields(fields) if fields.is_empty() => Inside::Nothing,
            Parts::Fields(fields) => Inside::Fields(fields),
            Parts::Elements([]) => Inside::Nothing,
            Parts::Elements(elements) => Inside::Elements(elements),
        }
    }
}

fn compare_fields(old: &Map<String, Value>, new: &Map<String, Value>, ty: Type, below: &mut Comparison) -> bool {
    for (name, before) in old {
        let after = new.get(name);
        if after != Some(before) {
            below.put(&Step::field(name), change(Some(before), after, ty.field(name)));
        }
    }
    for (name, after) in new {
        if !old.contains_key(name) {
            below.put(&Step::field(name), change(None, Some(after), ty.field(name)));
        }
    }
    true
}

fn compare_elements(old: &[Value], new: &[Value], ty: Type, below: &mut Comparison) -> bool {
    let (old, new) = (by_step(old, ty), by_step(new, ty));
    for step in old.keys().chain(new.keys().filter(|step| !old.contains_key(step))) {
        let before = old.get(step).map_or(&[][..], Vec::as_slice);
        let after = new.get(step).map_or(&[][..], Vec::as_slice);
        match (before, after) {
            ([] | [_], [] | [_]) => {
                below.put(step, change(before.first().copied(), after.first().copied(), ty.item()));
            }
            // Elements that cannot be told apart are compared together.
            ([_, _, ..], [_, _, ..]) => {
                if before != after {
                    below.mark(step, Mark::Modified);
                }
            }
            ([_, _, ..], _) => {
                if let Some(one) = after.first() {
                    below.put(step, change(None, Some(one), ty.item()));
                }
                below.mark(step, Mark::Removed);
            }
            (_, [_, _, ..]) => {
                if let Some(one) = before.first() {
                    below.put(step, change(Some(one), None, ty.item()));
                }
                below.mark(step, Mark::Added);
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Kind;
    use serde_json::json;

    fn texts(set: &FieldSet) -> Vec<String> {
        set.paths().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_applied_is_its_leaves_keys_and_elements() {
        let value = json!({"metadata": {"labels": {"a": "b"}, "finalizers": ["f/x"]}, "spec": {"suspend": true,
            "selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"securityContext": {}, "volumes": [],
            "containers": [{"name": "c", "command": ["x"], "ports": [{"containerPort": 80}],
                "resources": {"limits": {"cpu": "1"}}, "env": [{"name": "E"}, {"name": "E", "value": "2"}]}]}}}});
        let expected = [
            ".metadata.finalizers[=\"f/x\"]",
            ".metadata.labels.a",
            ".spec.selector",
            ".spec.suspend",
            ".spec.template.spec.containers[name=\"c\"]",
            ".spec.template.spec.containers[name=\"c\"].command",
            ".spec.template.spec.containers[name=\"c\"].env[name=\"E\"]",
            ".spec.template.spec.containers[name=\"c\"].name",
            ".spec.template.spec.containers[name=\"c\"].ports[containerPort=80,protocol=\"TCP\"]",
            ".spec.template.spec.containers[name=\"c\"].ports[containerPort=80,protocol=\"TCP\"].containerPort",
            ".spec.template.spec.containers[name=\"c\"].resources.limits.cpu",
            ".spec.template.spec.securityContext",
            ".spec.template.spec.volumes",
        ];
        assert_eq!(texts(&fields_of(&value, Type::of(Kind::Job))), expected);
    }

    /// The paths of a comparison of two ConfigMaps' or Jobs' parts.
    fn compared(kind: Kind, old: Value, new: Value) -> [Vec<String>; 3] {
        let Comparison { removed, modified, added } = compare(&old, &new, Type::of(kind));
        [texts(&removed), texts(&modified), texts(&added)]
    }

    #[test]
    fn a_change_is_told_by_what_it_removed_modified_and_added() {
        let none = || Vec::<String>::new();
        let cases = [
            // A map that appears is added with what is in it; one that was there is not touched.
            (json!({}), json!({"data": {"a": "1"}}), [none(), none(), vec![".data".into(), ".data.a".into()]]),
            (json!({"data": {"a": "1"}}), json!({"data": {"a": "2"}}), [none(), vec![".data.a".into()], none()]),
            (
                json!({"data": {"a": "1", "b": "2"}}),
                json!({"data": {"b": "2", "c": "3"}}),
                [vec![".data.a".into()], none(), vec![".data.c".into()]],
            ),
            (json!({"data": {"a": "1"}}), json!({}), [vec![".data".into(), ".data.a".into()], none(), none()]),
            (json!({"data": null}), json!({"data": {"a": "1"}}), [none(), none(), vec![".data.a".into()]]),
            (json!({"data": {}}), json!({"data": {}}), [none(), none(), none()]),
            (json!({}), json!({"data": {}}), [none(), none(), vec![".data".into()]]),
            // The order of a set is nothing to it.
            (
                json!({"metadata": {"finalizers": ["a", "b"]}}),
                json!({"metadata": {"finalizers": ["b", "a"]}}),
                [none(), none(), none()],
            ),
        ];
        for (old, new, expected) in cases {
            assert_eq!(compared(Kind::ConfigMap, old.clone(), new.clone()), expected, "{old} {new}");
        }
    }

    #[test]
    fn elements_are_compared_by_their_keys_and_atomic_values_whole() {
        let job = |containers: Value, selector: &str| json!({"spec": {"selector": {"matchLabels": {"a": selector}}, "template": {"spec": {"containers": containers}}}});
        let [removed, modified, added] = compared(
            Kind::Job,
            job(json!([{"name": "a", "image": "1"}, {"name": "b"}]), "x"),
            job(json!([{"name": "c", "command": []}, {"name": "a", "image": "2"}]), "y"),
        );
        let at = |path: &str| format!(".spec.template.spec.containers{path}");
        assert_eq!(removed, [at("[name=\"b\"]"), at("[name=\"b\"].name")]);
        assert_eq!(modified, [".spec.selector".to_owned(), at("[name=\"a\"].image")]);
        assert_eq!(added, [at("[name=\"c\"]"), at("[name=\"c\"].command"), at("[name=\"c\"].name")]);
    }

    #[test]
    fn elements_with_the_same_key_are_compared_together() {
        let env = |env: Value| json!({"spec": {"containers": [{"name": "c", "env": env}]}});
        let (one, two) = (json!([{"name": "E", "value": "1"}]), json!([{"name": "E"}, {"name": "E", "value": "2"}]));
        let at = |path: &str| format!(".spec.containers[name=\"c\"].env[name=\"E\"]{path}");
        let [removed, modified, added] = compared(Kind::Pod, env(one.clone()), env(two.clone()));
        assert_eq!((removed, modified), (vec![at(""), at(".name"), at(".value")], vec![]));
        assert_eq!(added, [at("")]);
        let [removed, modified, added] = compared(Kind::Pod, env(two.clone()), env(one));
        assert_eq!((removed, modified), (vec![at("")], vec![]));
        assert_eq!(added, [at(""), at(".name"), at(".value")]);
        assert_eq!(compared(Kind::Pod, env(two.clone()), env(two)), [vec![], vec![], Vec::<String>::new()]);
    }
}
