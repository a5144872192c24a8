//! The objects of a kind as they were at an earlier revision: what the pages of one list all show, however long the
//! client takes between them. The store keeps only the present; the past is the present with the later events undone.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::request::Target;
use super::selection::Selection;
use crate::api::{Key, Object};
use crate::store::{Expired, Listing, Store, Visibility};

/// The present. Where the selection allows only one name, only that object is looked at.
pub fn now(store: &Store, target: &Target, selection: &Selection) -> Listing {
    let namespace = target.namespace.as_deref();
    match selection.name() {
        Some(name) if namespace.is_some() || !target.kind.info().namespaced => {
            // Read first, so that whoever watches from here misses no change of the object.
            let revision = store.revision();
            let object = store.get(target.kind, &Key::new(namespace.unwrap_or_default(), name));
            let revision = object.as_ref().map_or(revision, |o| o.revision().max(revision));
            Listing { objects: object.into_iter().collect(), revision }
        }
        _ => store.list(target.kind, namespace),
    }
}

/// What was there at `revision`, after the key `after`.
pub fn at(store: &Store, target: &Target, after: Option<&Key>, revision: u64) -> Result<Listing, Expired> {
    let namespace = target.namespace.as_deref();
    let present = store.list_page(target.kind, namespace, after.map_or(Bound::Unbounded, Bound::Excluded), usize::MAX);
    let before = undo(store, target, after, revision, present.revision)?;
    if before.is_empty() {
        return Ok(Listing { revision, ..present });
    }
    let mut objects: BTreeMap<Key, Object> = present.objects.into_iter().map(|o| (o.key(), o)).collect();
    for (key, object) in before {
        match object {
            Some(object) => objects.insert(key, object),
            None => objects.remove(&key),
        };
    }
    Ok(Listing { objects: objects.into_values().collect(), revision })
}

/// What every object that changed after `revision` and until `present` was before.
fn undo(
    store: &Store,
    target: &Target,
    after: Option<&Key>,
    revision: u64,
    present: u64,
) -> Result<BTreeMap<Key, Option<Object>>, Expired> {
    let mut before = BTreeMap::new();
    let mut watch = store.watch(target.kind, revision, Visibility::Committed);
    loop {
        let events = watch.try_next()?;
        if events.is_empty() {
            return Ok(before);
        }
        for event in events {
            if event.revision > present {
                return Ok(before);
            }
            let key = event.object.key();
            if target.namespace.as_ref().is_none_or(|ns| key.namespace == *ns) && after.is_none_or(|after| key > *after)
            {
                // The first change is the one that says what was there before all of them.
                before.entry(key).or_insert_with(|| event.old.clone());
            }
        }
    }
}
