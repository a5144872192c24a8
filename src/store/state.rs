//! What is in memory: the objects of each kind in order, the latest events of each kind, the revision counter.
//! No I/O and no waiting: every function here runs under the store's lock.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::Listing;
use super::disk::{Batch, Loaded};
use super::tx::{CommitError, Committed, Op, Precondition, Tx};
use super::watch::{Change, Event, Expired};
use crate::api::{Key, Kind, Object, deletion};

pub struct State {
    revision: u64,
    kinds: Vec<KindState>,
    /// Events kept per kind.
    ring: usize,
}

struct KindState {
    objects: BTreeMap<Key, Object>,
    /// The number of objects in each namespace that has any.
    counts: HashMap<String, usize>,
    events: VecDeque<Arc<Event>>,
    /// The newest revision that the ring no longer covers: a watch can start from here or later.
    floor: u64,
}

impl KindState {
    fn put(&mut self, key: Key, object: Object) -> Option<Object> {
        if let Some(known) = self.objects.get_mut(&key) {
            return Some(std::mem::replace(known, object));
        }
        match self.counts.get_mut(&key.namespace) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(key.namespace.clone(), 1)),
        }
        self.objects.insert(key, object)
    }

    fn take(&mut self, key: &Key) -> Option<Object> {
        let taken = self.objects.remove(key)?;
        if let Some(count) = self.counts.get_mut(&key.namespace) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&key.namespace);
            }
        }
        Some(taken)
    }
}

impl State {
    pub fn new(loaded: Loaded, ring: usize) -> State {
        let revision = loaded.revision;
        let mut kinds: Vec<KindState> = Kind::ALL
            .iter()
            .map(|_| KindState {
                objects: BTreeMap::new(),
                counts: HashMap::new(),
                events: VecDeque::new(),
                floor: revision,
            })
            .collect();
        for object in loaded.objects {
            kinds[object.kind() as usize].put(object.key(), object);
        }
        State { revision, kinds, ring }
    }

    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.kinds[kind as usize].objects.len()
    }

    pub fn get(&self, kind: Kind, key: &Key) -> Option<&Object> {
        self.kinds[kind as usize].objects.get(key)
    }

    pub fn count_in(&self, kind: Kind, namespace: Option<&str>) -> usize {
        let kind = &self.kinds[kind as usize];
        match namespace {
            Some(namespace) => kind.counts.get(namespace).copied().unwrap_or(0),
            None => kind.objects.len(),
        }
    }

    pub fn list(&self, kind: Kind, namespace: Option<&str>, after: Bound<&Key>, limit: usize) -> Listing {
        let first = match (namespace, after) {
            (Some(ns), Bound::Unbounded) => Bound::Included(Key::new(ns, "")),
            (_, after) => after.cloned(),
        };
        let objects = self.kinds[kind as usize]
            .objects
            .range((first, Bound::Unbounded))
            .take_while(|(key, _)| namespace.is_none_or(|ns| key.namespace == ns))
            .take(limit)
            .map(|(_, object)| object.clone())
            .collect();
        Listing { objects, revision: self.revision }
    }

    /// The events of `kind` after `cursor`, up to and including revision `until`, at most `limit`.
    pub fn events(&self, kind: Kind, cursor: u64, until: u64, limit: usize) -> Result<Vec<Arc<Event>>, Expired> {
        let kind = &self.kinds[kind as usize];
        if cursor < kind.floor {
            return Err(Expired { asked: cursor, oldest: kind.floor });
        }
        let first = kind.events.partition_point(|e| e.revision <= cursor);
        Ok(kind.events.range(first..).take_while(|e| e.revision <= until).take(limit).cloned().collect())
    }

    /// Whether all of `tx` can be committed.
    pub fn check(&self, tx: &Tx) -> Result<(), CommitError> {
        let mut written = HashSet::with_capacity(tx.ops.len());
        for op in &tx.ops {
            let id = match op {
                Op::Create(object) | Op::Update(object) => (object.kind(), object.key()),
                Op::Delete(kind, key, _) => (*kind, key.clone()),
            };
            if let Some((kind, key)) = written.replace(id) {
                // The second write of an object is based on a version that the first replaces.
                return Err(match op {
                    Op::Create(_) => CommitError::AlreadyExists(kind, key),
                    _ => CommitError::Stale(kind, key),
                });
            }
            match op {
                Op::Create(object) => {
                    let (kind, key) = (object.kind(), object.key());
                    if self.get(kind, &key).is_some() {
                        return Err(CommitError::AlreadyExists(kind, key));
                    }
                }
                Op::Update(object) => {
                    let meta = object.meta();
                    let condition = Precondition {
                        uid: meta.uid.clone(),
                        revision: meta.resource_version.is_some().then(|| object.revision()),
                    };
                    self.check_stored(object.kind(), &object.key(), &condition)?;
                }
                Op::Delete(kind, key, condition) => self.check_stored(*kind, key, condition)?,
            }
        }
        Ok(())
    }

    fn check_stored(&self, kind: Kind, key: &Key, condition: &Precondition) -> Result<(), CommitError> {
        let stored = self.get(kind, key).ok_or_else(|| CommitError::NotFound(kind, key.clone()))?;
        if let Some(uid) = &condition.uid
            && uid != stored.uid()
        {
            let (expected, found) = (uid.clone(), stored.uid().to_owned());
            return Err(CommitError::Replaced { kind, key: key.clone(), expected, found });
        }
        match condition.revision {
            Some(revision) if revision != stored.revision() => Err(CommitError::Stale(kind, key.clone())),
            _ => Ok(()),
        }
    }

    /// Applies a checked `tx`. Returns what was committed and the kinds that have new events.
    pub fn apply(&mut self, tx: Tx, batch: &mut Batch<'_>) -> (Committed, Vec<Kind>) {
        let mut objects = Vec::with_capacity(tx.ops.len());
        let mut touched = Vec::new();
        for op in tx.ops {
            let (kind, key, new, last) = match op {
                Op::Create(object) => (object.kind(), object.key(), Some(object), None),
                Op::Update(object) if deletion::is_over(&object) => (object.kind(), object.key(), None, Some(object)),
                Op::Update(object) => (object.kind(), object.key(), Some(object), None),
                Op::Delete(kind, key, _) => (kind, key, None, None),
            };
            let state = &mut self.kinds[kind as usize];
            let old = state.objects.get(&key);
            let new = match (new, old) {
                (Some(mut new), Some(old)) => {
                    // A write that changes nothing keeps its revision and makes no event.
                    if new.meta().resource_version != old.meta().resource_version {
                        new.meta_mut().resource_version = old.meta().resource_version.clone();
                    }
                    if new == *old {
                        objects.push(new);
                        continue;
                    }
                    Some(new)
                }
                (new, _) => new,
            };
            self.revision += 1;
            let revision = self.revision;
            let (change, object, old) = match new {
                Some(mut object) => {
                    object.meta_mut().resource_version = Some(revision.to_string());
                    let old = state.put(key.clone(), object.clone());
                    let change = if old.is_some() { Change::Modified } else { Change::Added };
                    batch.put(kind, key, object.clone());
                    (change, object, old)
                }
                None => {
                    let Some(old) = state.take(&key) else { continue };
                    // What the update said of it is its last state.
                    let mut object = last.unwrap_or_else(|| old.clone());
                    object.meta_mut().resource_version = Some(revision.to_string());
                    batch.remove(kind, key);
                    (Change::Deleted, object, Some(old))
                }
            };
            state.events.push_back(Arc::new(Event { revision, change, object: object.clone(), old }));
            if state.events.len() > self.ring
                && let Some(dropped) = state.events.pop_front()
            {
                state.floor = dropped.revision;
            }
            if !touched.contains(&kind) {
                touched.push(kind);
            }
            objects.push(object);
        }
        if touched.is_empty() && !tx.sides.is_empty() {
            // Side records alone take a revision too, so that their durability can be awaited.
            self.revision += 1;
        }
        for side in tx.sides {
            batch.side(side);
        }
        (Committed { revision: self.revision, objects }, touched)
    }
}
