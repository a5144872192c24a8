//! What is in one namespace, and what of it goes next.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::api::deletion::{self, Deletion, Options, Propagation};
use crate::api::{Kind, Object, meta};
use crate::control::Effect;
use crate::store::Change;

/// Deleted in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// Makes Jobs.
    CronJobs,
    /// Make pods.
    Jobs,
    Pods,
    /// Pods may be using it until they have ended.
    Rest,
    /// Tell of all the others.
    Events,
}

fn turn(kind: Kind) -> Turn {
    match kind {
        Kind::CronJob => Turn::CronJobs,
        Kind::Job => Turn::Jobs,
        Kind::Pod => Turn::Pods,
        Kind::Event => Turn::Events,
        _ => Turn::Rest,
    }
}

#[derive(Default)]
pub struct Contents(BTreeMap<(Turn, Kind), Held>);

/// The objects of one kind by name. None of the kinds is ever empty.
#[derive(Default)]
struct Held {
    /// Those whose deletion has not begun.
    live: BTreeMap<String, Object>,
    /// Those that wait for something before they go.
    ending: BTreeMap<String, Object>,
}

/// What is left of one kind.
pub struct Remaining {
    pub kind: Kind,
    pub count: usize,
    /// How many objects wait for each finalizer.
    pub finalizers: BTreeMap<String, usize>,
}

impl Contents {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a change in; true if it can be somebody's turn for it.
    pub fn see(&mut self, object: &Object, change: Change) -> bool {
        let place = (turn(object.kind()), object.kind());
        let Some(name) = object.meta().name.as_deref() else { return false };
        if change == Change::Deleted {
            let Some(held) = self.0.get_mut(&place) else { return false };
            held.live.remove(name);
            held.ending.remove(name);
            let was_last = held.live.is_empty() && held.ending.is_empty();
            if was_last {
                self.0.remove(&place);
            }
            return was_last;
        }
        let held = self.0.entry(place).or_default();
        if meta::is_deleting(object.meta()) {
            held.live.remove(name);
            put(&mut held.ending, name, object);
            return false;
        }
        put(&mut held.live, name, object);
        true
    }

    /// The deletion of at most `limit` of those whose turn it is; nothing while the next wait for others to be gone.
    pub fn next(&self, limit: usize, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        for ((turn, _), held) in &self.0 {
            if *turn == Turn::Events && self.0.len() > 1 {
                break;
            }
            let room = limit - effects.len();
            effects.extend(held.live.values().take(room).filter_map(|object| delete(object, now)));
            if effects.len() >= limit || *turn == Turn::Pods {
                break;
            }
        }
        effects
    }

    /// All that is left.
    pub fn remaining(&self) -> Vec<Remaining> {
        let of = |(&(_, kind), held): (&(Turn, Kind), &Held)| {
            let mut finalizers = BTreeMap::new();
            for finalizer in held.ending.values().flat_map(|o| o.meta().finalizers.iter().flatten()) {
                *finalizers.entry(finalizer.clone()).or_default() += 1;
            }
            Remaining { kind, count: held.live.len() + held.ending.len(), finalizers }
        };
        self.0.iter().map(of).collect()
    }
}

/// Most changes are of objects that are known, and need no new name.
fn put(objects: &mut BTreeMap<String, Object>, name: &str, object: &Object) {
    match objects.get_mut(name) {
        Some(known) => known.clone_from(object),
        None => drop(objects.insert(name.to_owned(), object.clone())),
    }
}

/// As it is known: somebody may just have changed it, and then it is looked at again.
fn delete(object: &Object, now: Timestamp) -> Option<Effect> {
    let options = Options { grace: None, propagation: Some(Propagation::Background) };
    match deletion::delete(object, &options, now) {
        Deletion::Remove => Some(Effect::Update(deletion::over(object, now))),
        Deletion::Mark(marked) => Some(Effect::Update(marked)),
        Deletion::Unchanged => None,
    }
}
