//! Putting an applied configuration into an object, and taking fields out of it (structured-merge-diff
//! `typed/merge.go` and `typed/remove.go`).
//!
//! Merging removes nothing. Elements of keyed lists and sets stand in the order of the configuration where it names
//! them, and otherwise where they stood.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Map, Value};

use super::schema::Type;
use super::set::{FieldPath, FieldSet};
use super::step::Step;
use super::walk::{Parts, parts};

/// Two elements of an applied list have the same keys, so that nobody could say which of them is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    pub list: FieldPath,
    pub step: Step,
}

/// `live` with all that `config` says.
pub fn merge(live: &Value, config: &Value, ty: Type) -> Result<Value, Duplicate> {
    merge_at(Some(live), config, ty, &mut FieldPath::default())
}

fn merge_at(live: Option<&Value>, config: &Value, ty: Type, path: &mut FieldPath) -> Result<Value, Duplicate> {
    let live = live.map(|live| parts(live, ty));
    match parts(config, ty) {
        Parts::Whole => Ok(config.clone()),
        Parts::Fields(said) => match live {
            Some(Parts::Fields(before)) => merge_fields(before, said, ty, path),
            _ => merge_fields(&Map::new(), said, ty, path),
        },
        Parts::Elements(said) => match live {
            Some(Parts::Elements(before)) => merge_elements(before, said, ty, path),
            _ => merge_elements(&[], said, ty, path),
        },
    }
}

fn merge_fields(
    before: &Map<String, Value>,
    said: &Map<String, Value>,
    ty: Type,
    path: &mut FieldPath,
) -> Result<Value, Duplicate> {
    let mut merged = before.clone();
    for (name, config) in said {
        path.0.push(Step::field(name));
        let value = merge_at(before.get(name), config, ty.field(name), path)?;
        path.0.pop();
        merged.insert(name.clone(), value);
    }
    Ok(Value::Object(merged))
}

fn merge_elements(before: &[Value], said: &[Value], ty: Type, path: &mut FieldPath) -> Result<Value, Duplicate> {
    let mut places = HashMap::new();
    for (place, element) in before.iter().enumerate() {
        // An element that the object has twice is no element to merge with.
        let known = ty.step_to(element).map(|step| places.entry(step).or_insert((place, 0)));
        known.into_iter().for_each(|(_, times)| *times += 1);
    }
    let (mut wanted, mut merged) = (Vec::new(), HashMap::new());
    for element in said {
        let Some(step) = ty.step_to(element) else { continue };
        let live = places.get(&step).filter(|(_, times)| *times == 1).and_then(|(place, _)| before.get(*place));
        path.0.push(step.clone());
        let value = merge_at(live, element, ty.item(), path)?;
        path.0.pop();
        if merged.insert(step.clone(), value).is_some() {
            return Err(Duplicate { list: path.clone(), step });
        }
        wanted.push(step);
    }
    let stood: Vec<Option<Step>> = before.iter().map(|element| ty.step_to(element)).collect();
    let order = interleave(&stood, &wanted);
    let take = |place| match place {
        Place::Stood(i) => before.get(i).cloned(),
        Place::Wanted(i) => wanted.get(i).and_then(|step| merged.remove(step)),
    };
    Ok(Value::Array(order.into_iter().filter_map(take).collect()))
}

/// Where an element of the merged list comes from.
enum Place {
    Stood(usize),
    Wanted(usize),
}

/// The order of a merged list: that of `wanted`, with the elements that only `stood` has kept between the same
/// neighbours as far as that is possible.
fn interleave(stood: &[Option<Step>], wanted: &[Step]) -> Vec<Place> {
    let asked: HashSet<&Step> = wanted.iter().collect();
    let had: HashSet<&Step> = stood.iter().flatten().collect();
    let is_asked = |step: &Option<Step>| step.as_ref().is_some_and(|step| asked.contains(step));
    // The next element that both have, in the order of `wanted`.
    let mut shared: VecDeque<&Step> = wanted.iter().filter(|step| had.contains(step)).collect();
    let (mut order, mut taken) = (Vec::new(), HashSet::new());
    let (mut s, mut w) = (0, 0);
    while s < stood.len() || w < wanted.len() {
        if let (Some(here), Some(next)) = (stood.get(s), wanted.get(w)) {
            if here.as_ref() == Some(next) {
                order.push(Place::Wanted(w));
                taken.insert(next);
                shared.pop_front();
                (s, w) = (s + 1, w + 1);
                continue;
            }
            if is_asked(here) && shared.front().is_some_and(|step| here.as_ref() != Some(*step)) {
                // It comes when its turn in `wanted` has come.
                s += 1;
                continue;
            }
        }
        if let Some(here) = stood.get(s) {
            if !is_asked(here) {
                order.push(Place::Stood(s));
                s += 1;
                continue;
            }
            if here.as_ref().is_some_and(|step| taken.contains(step)) {
                s += 1;
            }
        }
        if let Some(next) = wanted.get(w) {
            order.push(Place::Wanted(w));
            taken.insert(next);
            w += 1;
            if shared.front() == Some(&next) {
                shared.pop_front();
            }
        }
    }
    order
}

/// `value` without the members of `fields`. An object or list that loses all it had, and is no member itself, stays.
pub fn remove(value: &Value, fields: &FieldSet, ty: Type) -> Value {
    match parts(value, ty) {
        Parts::Whole => value.clone(),
        Parts::Fields(members) => {
            let mut rest = Map::new();
            for (name, value) in members {
                if let Some(value) = remove_at(value, &Step::field(name), fields, ty.field(name)) {
                    rest.insert(name.clone(), value);
                }
            }
            Value::Object(rest)
        }
        Parts::Elements(elements) => {
            let keep = |element: &Value| match ty.step_to(element) {
                Some(step) => remove_at(element, &step, fields, ty.item()),
                None => Some(element.clone()),
            };
            elements.iter().filter_map(keep).collect()
        }
    }
}

fn remove_at(value: &Value, step: &Step, fields: &FieldSet, ty: Type) -> Option<Value> {
    match fields.at(step) {
        None => Some(value.clone()),
        Some(node) if node.member => None,
        Some(node) => Some(remove(value, &node.below, ty)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Kind;
    use serde_json::json;

    fn merged(live: Value, config: Value) -> Value {
        merge(&live, &config, Type::of(Kind::Pod)).unwrap()
    }

    fn env(names: &str) -> Value {
        let env: Vec<Value> = names.chars().map(|c| json!({"name": c.to_string()})).collect();
        json!({"spec": {"containers": [{"name": "c", "env": env}]}})
    }

    fn names(pod: &Value) -> String {
        let env = pod["spec"]["containers"][0]["env"].as_array().unwrap();
        env.iter().map(|e| e["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn what_is_said_is_merged_and_the_rest_stays() {
        let live = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"nodeSelector": {"x": "y"}, "containers": [
            {"name": "a", "image": "i", "command": ["x", "y"]}, {"name": "b"}]}});
        let config = json!({"metadata": {"labels": {"b": "2"}}, "spec": {"nodeSelector": {"z": "w"}, "containers": [
            {"name": "b", "image": "j"}, {"name": "a", "command": ["z"]}], "volumes": []}});
        let expected = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"nodeSelector": {"z": "w"},
            "containers": [{"name": "b", "image": "j"}, {"name": "a", "image": "i", "command": ["z"]}], "volumes": []}});
        assert_eq!(merged(live, config), expected);
    }

    #[test]
    fn elements_stand_as_the_configuration_has_them_and_the_others_where_they_were() {
        for (live, config, expected) in [
            ("", "ab", "ab"),
            ("ab", "", "ab"),
            ("ab", "ba", "ba"),
            ("abc", "b", "abc"),
            ("abc", "ca", "bca"),
            ("abc", "xb", "axbc"),
            ("abcd", "dxb", "acdxb"),
        ] {
            assert_eq!(names(&merged(env(live), env(config))), expected, "{live} and {config}");
        }
    }

    #[test]
    fn an_element_that_is_applied_twice_is_refused_and_one_that_is_there_twice_replaced() {
        let refused = merge(&json!({}), &env("aba"), Type::of(Kind::Pod)).unwrap_err();
        assert_eq!(refused.list.to_string(), ".spec.containers[name=\"c\"].env");
        assert_eq!(refused.step.to_string(), "[name=\"a\"]");
        assert_eq!(names(&merged(env("aba"), env("a"))), "ab");
    }

    #[test]
    fn members_are_taken_out_with_what_is_below_them() {
        let value = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"nodeName": "n", "containers": [
            {"name": "a", "image": "i"}, {"name": "b", "image": "j"}]}});
        let text = json!({"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:nodeName": {}, "f:containers": {
            "k:{\"name\":\"a\"}": {"f:image": {}}, "k:{\"name\":\"b\"}": {".": {}, "f:name": {}}}}});
        let set = super::super::fields_v1::read(&text).unwrap();
        let expected = json!({"metadata": {"labels": {}}, "spec": {"containers": [{"name": "a"}]}});
        assert_eq!(remove(&value, &set, Type::of(Kind::Pod)), expected);
    }
}
