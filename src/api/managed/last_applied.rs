//! What client-side `kubectl apply` notes of what it applied, for those who go over to server-side apply (apimachinery
//! `util/managedfields/internal/lastappliedmanager.go` and `lastappliedupdater.go`). All of it is for the manager
//! `kubectl` only.
//!
//! What client-side apply wrote belongs to the manager `kubectl-client-side-apply`, so that the first server-side apply
//! with another value would be a conflict with oneself. It is none for the fields that the note speaks of and that are
//! still as it says. As long as the note is there it is kept up to date, so that there is a way back.

use serde_json::Value;

use super::schema::Type;
use super::set::FieldSet;
use super::walk::{compare, fields_of};
use crate::api::decode;
use crate::api::kind::{Kind, Object};
use crate::api::meta;
use crate::api::validate_meta::MAX_ANNOTATIONS;

pub const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The manager that kubectl is by default.
pub const KUBECTL: &str = "kubectl";

/// The fields that the note on `live` speaks of and that are still as it says.
pub fn unchanged_since(live: &Object, live_value: &Value, kind: Kind) -> FieldSet {
    let note = meta::annotation(live.meta(), ANNOTATION).unwrap_or_default();
    let Ok(parsed) = decode::json::parse(note.as_bytes()) else { return FieldSet::default() };
    if parsed.value.get("apiVersion").and_then(Value::as_str) != Some(&kind.info().api_version()) {
        return FieldSet::default();
    }
    let ty = Type::of(kind);
    let change = compare(&parsed.value, live_value, ty);
    fields_of(&parsed.value, ty).difference(&change.set()).difference(&change.removed)
}

/// Brings the note of `merged` up to date with `config`, if it has one.
pub fn renew(merged: &mut Value, config: &Value) {
    let Some(annotations) = merged.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) else { return };
    if annotations.get(ANNOTATION).and_then(Value::as_str).is_none_or(str::is_empty) {
        return;
    }
    let mut config = config.clone();
    if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.shift_remove(ANNOTATION);
    }
    // As Go writes it: members in order, and the end of a line.
    config.sort_all_objects();
    annotations.insert(ANNOTATION.to_owned(), Value::String(format!("{config}\n")));
    let size: usize = annotations.iter().map(|(k, v)| k.len() + v.as_str().map_or(0, str::len)).sum();
    if size > MAX_ANNOTATIONS {
        annotations.shift_remove(ANNOTATION);
    }
}
