//! The objects of a kind as they were at one revision: what the pages of one list all show, however long the client
//! takes between them. The store keeps only the present; the past is the present with the later events undone.
//!
//! A page costs what is read for it and what has changed since the first page, and not what lies before or behind it.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::request::Target;
use super::selection::Selection;
use crate::api::{Key, Object};
use crate::store::{Expired, Listing, Store, Visibility, Watch};

/// Objects read at a time while selected ones are looked for.
const CHUNK: usize = 1000;

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

/// A page of the selected objects.
#[derive(Debug)]
pub struct Page {
    pub objects: Vec<Object>,
    /// As of which all of them are shown.
    pub revision: u64,
    /// Whether there are more selected objects behind them.
    pub more: bool,
}

/// At most `limit` selected objects after the key `after`, as of `revision` or, without one, of now.
pub fn page(
    store: &Store,
    target: &Target,
    selection: &Selection,
    after: Option<&Key>,
    revision: Option<u64>,
    limit: usize,
) -> Result<Page, Expired> {
    if revision.is_none() && after.is_none() && selection.name().is_some() {
        let Listing { mut objects, revision } = now(store, target, selection);
        objects.retain(|object| selection.matches(object));
        let more = objects.len() > limit;
        objects.truncate(limit);
        return Ok(Page { objects, revision, more });
    }
    // One more than asked for tells whether there is another page.
    let wanted = limit.saturating_add(1);
    let chunk = if limit == usize::MAX || selection.has_no_selector() { wanted } else { wanted.max(CHUNK) };
    match collect(store, target, selection, after, revision, wanted, chunk) {
        // So much happens that what was read first is history already: all is read at once, so that nothing is undone.
        Err(_) if revision.is_none() => collect(store, target, selection, after, revision, wanted, usize::MAX),
        other => other,
    }
    .map(|(mut objects, revision)| {
        let more = objects.len() > limit;
        objects.truncate(limit);
        Page { objects, revision, more }
    })
}

fn collect(
    store: &Store,
    target: &Target,
    selection: &Selection,
    after: Option<&Key>,
    revision: Option<u64>,
    wanted: usize,
    chunk: usize,
) -> Result<(Vec<Object>, u64), Expired> {
    let mut reader = Reader::new(store, target, after, revision);
    let mut found = Vec::new();
    while found.len() < wanted && !reader.ended {
        let left = wanted - found.len();
        found.extend(reader.next(chunk)?.into_iter().filter(|object| selection.matches(object)).take(left));
    }
    Ok((found, reader.undo.map_or_else(|| store.revision(), |undo| undo.revision)))
}

/// Reads a kind in the order of its keys, piece by piece, all as of one revision.
struct Reader<'a> {
    store: &'a Store,
    target: &'a Target,
    after: Option<Key>,
    /// `None` until the first piece has said what revision is now.
    undo: Option<Undo<'a>>,
    ended: bool,
}

impl<'a> Reader<'a> {
    fn new(store: &'a Store, target: &'a Target, after: Option<&Key>, revision: Option<u64>) -> Reader<'a> {
        let undo = revision.map(|revision| Undo::from(store, target, revision, after));
        Reader { store, target, after: after.cloned(), undo, ended: false }
    }

    /// What comes next: what is made of at most `most` objects of the present.
    fn next(&mut self, most: usize) -> Result<Vec<Object>, Expired> {
        let first = self.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let present = self.store.list_page(self.target.kind, self.target.namespace.as_deref(), first.as_ref(), most);
        let last = if present.objects.len() == most { present.objects.last().map(Object::key) } else { None };
        let (store, target, after) = (self.store, self.target, self.after.as_ref());
        let undo = self.undo.get_or_insert_with(|| Undo::from(store, target, present.revision, after));
        undo.read_to(present.revision)?;
        let end = last.clone().map_or(Bound::Unbounded, Bound::Included);
        let objects = undo.apply(present.objects, (first, end));
        self.ended = last.is_none();
        self.after = last.or(self.after.take());
        Ok(objects)
    }
}

/// What every object that has changed since a revision was then.
struct Undo<'a> {
    revision: u64,
    watch: Watch,
    target: &'a Target,
    /// Where the reading began: what is before is of no interest.
    after: Option<Key>,
    before: BTreeMap<Key, Option<Object>>,
}

impl<'a> Undo<'a> {
    fn from(store: &Store, target: &'a Target, revision: u64, after: Option<&Key>) -> Undo<'a> {
        let watch = store.watch(target.kind, revision, Visibility::Committed);
        Undo { revision, watch, target, after: after.cloned(), before: BTreeMap::new() }
    }

    /// Takes in what has changed until `present`.
    fn read_to(&mut self, present: u64) -> Result<(), Expired> {
        loop {
            let events = self.watch.try_next_until(present)?;
            if events.is_empty() {
                return Ok(());
            }
            for event in events {
                let key = event.object.key();
                let concerns = self.target.namespace.as_ref().is_none_or(|ns| key.namespace == *ns)
                    && self.after.as_ref().is_none_or(|after| key > *after);
                if concerns {
                    // The first change is the one that says what was there before all of them.
                    self.before.entry(key).or_insert_with(|| event.old.clone());
                }
            }
        }
    }

    /// What the objects of a range were.
    fn apply(&self, present: Vec<Object>, range: (Bound<Key>, Bound<Key>)) -> Vec<Object> {
        let mut changes = self.before.range(range).peekable();
        if changes.peek().is_none() {
            return present;
        }
        let mut objects: BTreeMap<Key, Object> = present.into_iter().map(|o| (o.key(), o)).collect();
        for (key, object) in changes {
            match object {
                Some(object) => objects.insert(key.clone(), object.clone()),
                None => objects.remove(key),
            };
        }
        objects.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Kind, Served};
    use crate::http::request::Params;
    use crate::store::Tx;
    use serde_json::json;

    fn map(name: &str, value: &str) -> Object {
        let object = json!({"metadata": {"name": name, "namespace": "default"}, "data": {"v": value}});
        Object::deserialize(Kind::ConfigMap, object).unwrap()
    }

    /// Pages of every size, with a commit of random sort between any two, show what was there at the first.
    #[test]
    fn pages_of_any_size_show_the_moment_of_the_first() {
        let target = Target {
            kind: Kind::ConfigMap,
            served: Served::Stored(Kind::ConfigMap),
            namespace: Some("default".to_owned()),
            name: String::new(),
        };
        let selection = Selection::new(&target, &Params::default()).unwrap();
        for (limit, seed) in (1..9).flat_map(|limit| (0..6).map(move |seed| (limit, seed))) {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), 1000).unwrap();
            let mut dice = fastrand::Rng::with_seed(seed);
            let mut change = |step: usize| {
                let name = format!("m{:02}", dice.u8(0..20));
                let known = store.get(Kind::ConfigMap, &Key::new("default", name.as_str()));
                let tx = match (known, dice.bool()) {
                    (None, _) => Tx::new().create(map(&name, "new")),
                    (Some(_), true) => Tx::new().update(map(&name, &step.to_string())),
                    (Some(known), false) => Tx::new().delete(Kind::ConfigMap, known.key(), Default::default()),
                };
                store.commit(tx).unwrap();
            };
            (0..40).for_each(&mut change);
            let first = store.list(Kind::ConfigMap, Some("default"));
            let (mut seen, mut after, mut revision) = (Vec::new(), None, None);
            loop {
                let page = page(&store, &target, &selection, after.as_ref(), revision, limit).unwrap();
                assert_eq!(page.revision, first.revision);
                assert!(page.objects.len() == limit || !page.more);
                after = page.objects.last().map(Object::key);
                revision = Some(page.revision);
                seen.extend(page.objects);
                if !page.more {
                    break;
                }
                (0..5).for_each(&mut change);
            }
            assert_eq!(seen, first.objects, "limit {limit}, seed {seed}");
            store.close();
        }
    }
}
