//! Which objects of a kind a list or watch is about: namespace, label selector, field selector.

use super::error::Refusal;
use super::request::{Params, Target};
use crate::api::Object;
use crate::api::field_selector::FieldSelector;
use crate::api::selector::Selector;
use crate::store::{Change, Event};

#[derive(Clone, Debug)]
pub struct Selection {
    namespace: Option<String>,
    labels: Selector,
    fields: FieldSelector,
}

impl Selection {
    pub fn new(target: &Target, params: &Params) -> Result<Selection, Refusal> {
        Ok(Selection {
            namespace: target.namespace.clone(),
            labels: Selector::parse(params.get("labelSelector").unwrap_or_default())?,
            fields: FieldSelector::compile_as(target.served, params.get("fieldSelector").unwrap_or_default())?,
        })
    }

    /// Whether every object of the namespace is selected.
    pub fn has_no_selector(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    /// The name of the one object that can be selected, if the selector gives it.
    pub fn name(&self) -> Option<&str> {
        self.fields.exact("metadata.name")
    }

    pub fn matches(&self, object: &Object) -> bool {
        let meta = object.meta();
        self.namespace.as_ref().is_none_or(|ns| meta.namespace.as_ref() == Some(ns))
            && self.labels.matches_meta(meta)
            && self.fields.matches(object)
    }

    /// What a change looks like to somebody who sees only the selected objects: an object that begins or ceases to
    /// match comes or goes (apiserver `storage/etcd3/watcher.go`, `transform`).
    pub fn sees(&self, event: &Event) -> Option<Change> {
        let before = event.old.as_ref().is_some_and(|old| self.matches(old));
        let after = event.change != Change::Deleted && self.matches(&event.object);
        match (before, after) {
            (false, false) => None,
            (false, true) => Some(Change::Added),
            (true, true) => Some(Change::Modified),
            (true, false) => Some(Change::Deleted),
        }
    }
}

/// The object that is shown of a change. A deletion shows the last state that matched, with the revision at which it went.
pub fn shown(change: Change, event: &Event) -> Object {
    match (change, &event.old) {
        (Change::Deleted, Some(old)) => {
            let mut gone = old.clone();
            gone.meta_mut().resource_version = Some(event.revision.to_string());
            gone
        }
        _ => event.object.clone(),
    }
}
