//! Server-side apply (structured-merge-diff `merge/update.go`, `Apply` and `prune`; apimachinery `structuredmerge.go`).
//!
//! ```text
//!  body ── read_config ──► Config ─┐
//!                                  ├─ apply ──► Applied.value ── decode, admission ──► object ── Applied::settle ──► commit
//!  stored object ──────────────────┘     └────► conflicts (409)
//! ```
//!
//! The merged value is decoded, defaulted and validated like any other write. Only then is it known whether anything
//! changed, which is what the times of the entries depend on: [`Applied::settle`].

use serde_json::{Map, Value};

use super::conflict::Conflict;
use super::entries::{Identity, Managers, Operation, Owned};
use super::merge::{Duplicate, merge, remove};
use super::schema::Type;
use super::set::FieldSet;
use super::update::{as_update, lose, without_entries};
use super::walk::{compare, fields_of};
use super::{Author, last_applied, of_part, without_system_fields};
use crate::api::decode::{self, Decoded, Parsed};
use crate::api::error::ApiError;
use crate::api::kind::{Kind, Object};
use crate::api::meta;

/// Who owns what an object had before anybody applied to it.
const BEFORE: &str = "before-first-apply";

/// An applied body: known fields only, without nulls, values as they are stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub kind: Kind,
    pub value: Value,
}

impl Config {
    /// A field of its metadata, if it is there and not empty.
    pub fn meta(&self, field: &str) -> Option<&str> {
        self.value.get("metadata")?.get(field)?.as_str().filter(|text| !text.is_empty())
    }
}

/// The configuration that `parsed` is, with the strict complaints about it: unknown and duplicate fields.
pub fn read_config(kind: Kind, parsed: Parsed) -> Result<(Config, Vec<String>), ApiError> {
    let text = |field: &str| parsed.value.get(field).and_then(Value::as_str).unwrap_or_default();
    let (api_version, name) = (text("apiVersion"), text("kind"));
    if parsed.value.is_object() && Kind::from_gvk(api_version, name) != Some(kind) {
        let (api_version, name) = (decode::path::shorten(api_version), decode::path::shorten(name));
        return Err(ApiError::BadRequest(format!("invalid object type: {api_version}, Kind={name}")));
    }
    if parsed.value.get("metadata").and_then(|m| m.get("managedFields")).is_some_and(|m| !m.is_null()) {
        return Err(ApiError::BadRequest("metadata.managedFields must be nil".to_owned()));
    }
    let said = parsed.value.clone();
    let Decoded { object, unknown, .. } = decode::value_body(kind, parsed)?;
    Ok((Config { kind, value: conform(said, &object.to_value()) }, unknown))
}

/// What is both said and known, as it is known.
fn conform(said: Value, known: &Value) -> Value {
    match (said, known) {
        (Value::Object(said), Value::Object(known)) => {
            let mut both = Map::new();
            for (name, value) in said {
                if let Some(known) = known.get(&name).filter(|_| !value.is_null()) {
                    both.insert(name, conform(value, known));
                }
            }
            Value::Object(both)
        }
        (Value::Array(said), Value::Array(known)) if said.len() == known.len() => {
            said.into_iter().zip(known).map(|(said, known)| conform(said, known)).collect()
        }
        (_, known) => known.clone(),
    }
}

/// What an apply comes to.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The object to decode, default, validate and store.
    pub value: Value,
    managers: Managers,
    applier: Identity,
}

/// Merges `config` into `live`. Without `force`, a field that it changes and another manager owns is a conflict.
pub fn apply(live: Option<&Object>, config: &Config, by: Author<'_>, force: bool) -> Result<Applied, ApiError> {
    let kind = config.kind;
    let live_value = live.map_or_else(|| Value::Object(Map::new()), without_entries);
    let mut managers = match live.map(|live| live.meta().managed_fields.as_deref().unwrap_or_default()) {
        None => Managers::default(),
        // Nothing was told of this object so far.
        Some([]) => as_update(&live_value, kind, Author { manager: BEFORE, ..by }),
        Some(entries) => Managers::read(entries).unwrap_or_default(),
    };
    let ty = Type::of(kind);
    let merged = merge(&live_value, &config.value, ty).map_err(|e| twice(config, &e))?;
    let applier = by.identity(kind, Operation::Apply);
    let said = of_part(fields_of(&config.value, ty), kind, by.part);
    let owned = Owned { fields: said, api_version: kind.info().api_version(), time: None };
    let last = managers.0.insert(applier.clone(), owned);
    let mut value = match &last {
        Some(last) if last.api_version == kind.info().api_version() => prune(merged, &managers, &last.fields, ty),
        _ => merged,
    };
    let change = compare(&live_value, &value, ty).map(|set| of_part(set, kind, by.part));
    if !force {
        let set = change.set();
        let mut allowed = FieldSet::default();
        if let Some(live) = live.filter(|_| by.manager == last_applied::KUBECTL) {
            allowed = last_applied::unchanged_since(live, &live_value, kind);
        }
        let conflicts = conflicts(&managers, &applier, &set.difference(&allowed));
        if !conflicts.is_empty() {
            return Err(ApiError::ApplyConflict(conflicts));
        }
    }
    let own = managers.0.remove(&applier);
    lose(&mut managers, kind, &change);
    if let Some(mut own) = own {
        own.fields = without_system_fields(&own.fields);
        own.time = last.and_then(|last| last.time);
        if !own.fields.is_empty() {
            managers.0.insert(applier.clone(), own);
        }
    }
    if by.manager == last_applied::KUBECTL {
        last_applied::renew(&mut value, &config.value);
    }
    Ok(Applied { value, managers, applier })
}

fn twice(config: &Config, duplicate: &Duplicate) -> ApiError {
    let info = config.kind.info();
    let (namespace, name) = (config.meta("namespace").unwrap_or_default(), config.meta("name").unwrap_or_default());
    ApiError::BadRequest(format!(
        "failed to create typed patch object ({namespace}/{name}; {}, Kind={}): {}: duplicate entries for key {}",
        info.api_version(),
        info.kind,
        duplicate.list,
        duplicate.step
    ))
}

/// The fields of `set` that another manager than the applier owns.
fn conflicts(managers: &Managers, applier: &Identity, set: &FieldSet) -> Vec<Conflict> {
    let others = managers.0.iter().filter(|(who, _)| *who != applier);
    let each = others.flat_map(|(who, owned)| {
        let manager = who.to_string();
        let paths = owned.fields.intersection(set).paths();
        paths.into_iter().map(move |path| Conflict { manager: manager.clone(), field: path.to_string() })
    });
    each.collect()
}

/// Takes out of `merged` what the applier owned (`last`) and nobody owns any more; `managers` holds what the applier
/// owns now. What others put below a field that it owned stays; an element of a list goes with all that is in it.
fn prune(merged: Value, managers: &Managers, last: &FieldSet, ty: Type) -> Value {
    let (all, last) = (fields_of(&merged, ty).with_named(ty), last.with_named(ty));
    let mut owned = FieldSet::default();
    managers.0.values().for_each(|manager| owned.unite(manager.fields.clone()));
    let kept = |value: &Value| fields_of(value, ty).with_named(ty);
    // All that was owned goes, then what somebody owns comes back, then what nobody ever owned.
    let without = remove(&merged, &last, ty);
    let gone = all.difference(&kept(&without).union(&owned.with_named(ty)));
    let without = remove(&merged, &gone, ty);
    let gone = all.difference(&kept(&without)).intersection(&last);
    remove(&merged, &gone, ty)
}

impl Applied {
    /// Gives `new`, which has been decoded from the value and admitted, its entries. `old` is what was there. If nothing
    /// changed, `new` is equal to `old`.
    pub fn settle(mut self, old: Option<&Object>, new: &mut Object, by: Author<'_>) {
        let before = old.and_then(|old| old.meta().managed_fields.clone());
        new.meta_mut().managed_fields.clone_from(&before);
        let is_same = old.is_some_and(|old| old == new);
        if let Some(owned) = self.managers.0.get_mut(&self.applier) {
            let known = Managers::read(before.as_deref().unwrap_or_default()).unwrap_or_default();
            let is_known = known.0.get(&self.applier).is_some_and(|before| before.fields == owned.fields);
            if !is_same || !is_known {
                owned.time = Some(meta::time(by.now));
            }
        }
        new.meta_mut().managed_fields = self.managers.write();
    }
}
