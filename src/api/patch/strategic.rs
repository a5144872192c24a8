//! Strategic merge patch: what `kubectl apply`, `edit` and `patch` send by default (apimachinery
//! `util/strategicpatch/patch.go`, `StrategicMergeMapPatch`).
//!
//! Objects are merged as in a merge patch. Lists are replaced, unless their field has a merge key (`schema.rs`): then
//! elements with the same key are merged. Directives in the patch say what plain JSON cannot:
//!
//! | directive | where | meaning |
//! |---|---|---|
//! | `$patch: replace` | object, or an element of a keyed list | take the patch instead of merging |
//! | `$patch: delete` | element of a keyed list | remove the element with this key |
//! | `$deleteFromPrimitiveList/F` | beside list F | remove these values |
//! | `$setElementOrder/F` | beside list F | the order of the elements |
//! | `$retainKeys` | object | remove all fields but these |

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::PatchError;
use super::order::{arrange, identity, places};
use super::schema::{self, Field, Schema};
use crate::api::Kind;
use crate::api::decode::path::{describe, shorten};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

/// Merges `patch` into `target`, an object of `kind`.
pub fn apply(target: Value, patch: &Value, kind: Kind) -> Result<Value, PatchError> {
    let Value::Object(patch) = patch else {
        return Err(PatchError::Malformed("a strategic merge patch must be an object".to_owned()));
    };
    let target = match target {
        Value::Object(target) => target,
        _ => Map::new(),
    };
    // The depth of both is bounded where they were read.
    merge_object(target, patch, schema::of(kind)).map(Value::Object)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(patch: &Map<String, Value>) -> Result<Directive, PatchError> {
    match patch.get(PATCH) {
        None => Ok(Directive::Merge),
        Some(Value::String(word)) if word == "merge" => Ok(Directive::Merge),
        Some(Value::String(word)) if word == "replace" => Ok(Directive::Replace),
        Some(Value::String(word)) if word == "delete" => Ok(Directive::Delete),
        Some(other) => {
            Err(PatchError::Malformed(format!("$patch must be replace, merge or delete, found {}", describe(other))))
        }
    }
}

fn is_directive(key: &str) -> bool {
    key == PATCH || key == RETAIN_KEYS || key.starts_with(DELETE_FROM) || key.starts_with(SET_ORDER)
}

fn merge_object(
    mut target: Map<String, Value>,
    patch: &Map<String, Value>,
    schema: &Schema,
) -> Result<Map<String, Value>, PatchError> {
    match directive(patch)? {
        Directive::Merge => {}
        Directive::Replace => return Ok(without_directives(patch)),
        Directive::Delete => return Ok(Map::new()),
    }
    retain_keys(&mut target, patch)?;
    let mut ordered = HashSet::new();
    for (key, order) in patch {
        if let Some(field) = key.strip_prefix(SET_ORDER) {
            set_order(&mut target, patch, field, order, schema)?;
            ordered.insert(field);
        }
    }
    for (key, change) in patch {
        if let Some(field) = key.strip_prefix(DELETE_FROM) {
            delete_from(&mut target, field, change)?;
        } else if !is_directive(key) && !ordered.contains(key.as_str()) {
            merge_field(&mut target, key, change, schema)?;
        }
    }
    Ok(target)
}

fn merge_field(target: &mut Map<String, Value>, key: &str, change: &Value, schema: &Schema) -> Result<(), PatchError> {
    let merged = match (target.get_mut(key).map(Value::take), change) {
        (_, Value::Null) => {
            target.remove(key);
            return Ok(());
        }
        (Some(Value::Object(before)), Value::Object(change)) => {
            Value::Object(merge_object(before, change, schema.object(key))?)
        }
        (Some(Value::Array(before)), Value::Array(change)) => {
            Value::Array(merge_list(before, change, key, schema.field(key))?)
        }
        (_, change) => fresh(change),
    };
    target.insert(key.to_owned(), merged);
    Ok(())
}

fn merge_list(before: Vec<Value>, patch: &[Value], name: &str, field: Option<Field>) -> Result<Vec<Value>, PatchError> {
    match field {
        Some(Field::Keyed { key, item }) => merge_keyed(before, patch, name, key, item),
        Some(Field::Set) => merge_set(before, patch, name),
        Some(Field::Object(_)) | None => Ok(fresh_list(patch)),
    }
}

fn merge_keyed(
    mut before: Vec<Value>,
    patch: &[Value],
    name: &str,
    key: &str,
    item: &Schema,
) -> Result<Vec<Value>, PatchError> {
    let (mut changes, mut deleted, mut replace) = (Vec::new(), HashSet::new(), false);
    for element in patch {
        let object = element_of(element, name)?;
        match object.get(PATCH) {
            None => changes.push((key_of(element, name, key)?, object, element)),
            Some(_) => match directive(object)? {
                Directive::Delete => {
                    deleted.insert(key_of(element, name, key)?);
                }
                Directive::Replace => replace = true,
                Directive::Merge => {
                    let message = format!("{name}: $patch: merge is not possible in an element of a list");
                    return Err(PatchError::Malformed(message));
                }
            },
        }
    }
    if replace {
        return Ok(changes.into_iter().map(|(_, object, _)| Value::Object(without_directives(object))).collect());
    }
    for element in &before {
        element_of(element, name)?;
    }
    before.retain(|element| identity(element, Some(key)).is_none_or(|identity| !deleted.contains(&identity)));
    let server = places(&before, Some(key));
    let wanted: Vec<Value> = changes.iter().map(|(_, _, element)| (*element).clone()).collect();
    let mut known = server.clone();
    for (identity, change, _) in changes {
        match known.get(&identity).and_then(|place| before.get_mut(*place)) {
            Some(place) => {
                if let Value::Object(object) = place.take() {
                    *place = Value::Object(merge_object(object, change, item)?);
                }
            }
            None => {
                known.insert(identity, before.len());
                before.push(Value::Object(without_directives(change)));
            }
        }
    }
    Ok(arrange(before, Some(key), &places(&wanted, Some(key)), &server))
}

fn merge_set(before: Vec<Value>, patch: &[Value], name: &str) -> Result<Vec<Value>, PatchError> {
    plain_only(patch, name)?;
    let server = places(&before, None);
    let mut seen = HashSet::new();
    let all = before.into_iter().chain(patch.iter().cloned());
    let merged = all.filter(|element| seen.insert(element.to_string())).collect();
    Ok(arrange(merged, None, &places(patch, None), &server))
}

/// `$deleteFromPrimitiveList/FIELD`
fn delete_from(target: &mut Map<String, Value>, field: &str, values: &Value) -> Result<(), PatchError> {
    let values = list_of(values, DELETE_FROM, field)?;
    plain_only(values, field)?;
    let values: HashSet<String> = values.iter().map(Value::to_string).collect();
    if let Some(Value::Array(list)) = target.get_mut(field) {
        list.retain(|element| !values.contains(&element.to_string()));
    }
    Ok(())
}

/// `$setElementOrder/FIELD`: merges the patch's list, if it has one, and puts the result in order.
fn set_order(
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    field: &str,
    order: &Value,
    schema: &Schema,
) -> Result<(), PatchError> {
    let order = list_of(order, SET_ORDER, field)?;
    let key = match schema.field(field) {
        Some(Field::Keyed { key, .. }) => Some(key),
        Some(Field::Set) => None,
        _ => {
            let message = format!("{SET_ORDER}{field} is not possible: the list is replaced, not merged");
            return Err(PatchError::Malformed(message));
        }
    };
    let server = match target.get(field) {
        Some(Value::Array(list)) => places(list, key),
        _ => Default::default(),
    };
    let wanted = match key {
        Some(key) => order.iter().map(|o| key_of(o, field, key)).collect::<Result<Vec<_>, _>>()?,
        None => order.iter().map(Value::to_string).collect(),
    };
    let change = patch.get(field);
    if let Some(Value::Array(change)) = change {
        check_order(change, &wanted, field, key)?;
    }
    if let Some(change) = change {
        merge_field(target, field, change, schema)?;
    }
    if let Some(Value::Array(merged)) = target.get_mut(field) {
        *merged = arrange(std::mem::take(merged), key, &places(order, key), &server);
    }
    Ok(())
}

/// The elements that a patch adds or changes must stand in its own order list, and in that order.
fn check_order(change: &[Value], wanted: &[String], field: &str, key: Option<&str>) -> Result<(), PatchError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let mut rest = wanted.iter();
    for element in change.iter().filter(|e| e.get(PATCH).is_none()) {
        let identity = identity(element, key).unwrap_or_default();
        if !rest.any(|w| *w == identity) {
            let message = format!("the order of {field} in the patch does not match its {SET_ORDER}{field}");
            return Err(PatchError::Malformed(message));
        }
    }
    Ok(())
}

/// `$retainKeys`: the fields that stay. The patch may set no others.
fn retain_keys(target: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), PatchError> {
    let Some(retain) = patch.get(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(retain) = retain else {
        return Err(PatchError::Malformed(format!("{RETAIN_KEYS} must be a list, found {}", describe(retain))));
    };
    let retain: HashSet<&str> = retain.iter().filter_map(Value::as_str).collect();
    for (key, change) in patch {
        if !change.is_null() && !is_directive(key) && !retain.contains(key.as_str()) {
            let message =
                format!("{RETAIN_KEYS} must name every field that the patch sets, and lacks {}", shorten(key));
            return Err(PatchError::Malformed(message));
        }
    }
    target.retain(|key, _| retain.contains(key.as_str()));
    Ok(())
}

/// A value that stands in no relation to the target: without directives, and without the nulls that would remove.
fn fresh(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(without_directives(map)),
        Value::Array(list) => Value::Array(fresh_list(list)),
        plain => plain.clone(),
    }
}

fn fresh_list(list: &[Value]) -> Vec<Value> {
    let is_instruction = |element: &Value| match element.get(PATCH).and_then(Value::as_str) {
        Some("delete") => true,
        Some(_) => element.as_object().is_some_and(|map| map.len() == 1),
        None => false,
    };
    list.iter().filter(|element| !is_instruction(element)).map(fresh).collect()
}

fn without_directives(map: &Map<String, Value>) -> Map<String, Value> {
    let kept = map.iter().filter(|(key, value)| !is_directive(key) && !value.is_null());
    kept.map(|(key, value)| (key.clone(), fresh(value))).collect()
}

fn element_of<'v>(element: &'v Value, name: &str) -> Result<&'v Map<String, Value>, PatchError> {
    element.as_object().ok_or_else(|| {
        PatchError::Malformed(format!("{name}: an element must be an object, found {}", describe(element)))
    })
}

fn key_of(element: &Value, name: &str, key: &str) -> Result<String, PatchError> {
    identity(element, Some(key))
        .ok_or_else(|| PatchError::Malformed(format!("{name}: an element does not contain declared merge key: {key}")))
}

fn plain_only(list: &[Value], name: &str) -> Result<(), PatchError> {
    match list.iter().find(|v| v.is_object() || v.is_array()) {
        Some(other) => {
            Err(PatchError::Malformed(format!("{name}: an element must be a plain value, found {}", describe(other))))
        }
        None => Ok(()),
    }
}

fn list_of<'v>(value: &'v Value, directive: &str, field: &str) -> Result<&'v [Value], PatchError> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| {
        PatchError::Malformed(format!("{directive}{} must be a list, found {}", shorten(field), describe(value)))
    })
}

#[cfg(test)]
#[path = "strategic_test.rs"]
mod tests;
