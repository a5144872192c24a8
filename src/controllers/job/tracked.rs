//! The pods of one Job that are not counted yet, sorted by what there is to do about them. A pod that was counted (it is
//! finished and without the tracking finalizer) is forgotten, so this is as large as the number of pods in flight.
//!
//! A failed pod of an index that will be tried again is *held*: it keeps its finalizer, and with it the record of how
//! often the index has failed, until its replacement takes that over in the same commit.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::Pod;

use super::backoff::{Backoff, ended_at};
use super::indexed::{self, Retry};
use crate::api::pod::facts;
use crate::api::{meta, well_known};

/// A failed pod whose index will be tried again.
#[derive(Clone, Debug)]
pub struct Held {
    pub pod: Arc<Pod>,
    pub retry: Retry,
    /// From when the delay counts.
    pub since: Timestamp,
}

#[derive(Debug, Default)]
pub struct Tracked {
    /// Neither finished nor being deleted.
    pub active: BTreeMap<String, Arc<Pod>>,
    /// Being deleted and not finished; without the tracking finalizer those that are counted, or not to be.
    pub terminating: BTreeMap<String, Arc<Pod>>,
    /// Finished, to be counted.
    pub finished: BTreeMap<String, Arc<Pod>>,
    /// By index. One that is still being deleted is also among the terminating.
    pub held: BTreeMap<i32, Held>,
    held_names: HashMap<String, i32>,
    /// How many of the held count as failed.
    pub held_failures: i32,
    /// Pods that the Job's selector does not match any more.
    pub strays: BTreeMap<String, Arc<Pod>>,
    /// Active pods whose Ready condition is True.
    pub ready: i32,
    /// Container restarts of the active pods.
    pub restarts: i64,
    pub backoff: Backoff,
    /// Of an Indexed Job: the names of active pods by index; of those without one under [`NO_INDEX`].
    pub indexes: BTreeMap<i32, BTreeSet<String>>,
    /// Indexes with more than one active pod.
    pub crowded: BTreeSet<i32>,
    /// Of an Indexed Job: how many pods of an index are being deleted.
    pub leaving: BTreeMap<i32, usize>,
}

/// Stands for the index of pods that have none.
pub const NO_INDEX: i32 = -1;

/// What the Job says of a pod that is taken in.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    pub spec: Option<&'a JobSpec>,
    /// Its selector does not match the pod.
    pub is_stray: bool,
}

impl Tracked {
    pub fn all(&self) -> impl Iterator<Item = &Arc<Pod>> {
        let held = self.held.values().map(|held| &held.pod).filter(|pod| !self.is_terminating(pod));
        let others = [&self.active, &self.terminating, &self.finished, &self.strays];
        others.into_iter().flat_map(BTreeMap::values).chain(held)
    }

    fn is_terminating(&self, pod: &Pod) -> bool {
        pod.metadata.name.as_ref().is_some_and(|name| self.terminating.contains_key(name))
    }

    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// Whether the pod, which may still be running its last, waits for its index to be tried again.
    pub fn is_held(&self, pod: &Pod) -> bool {
        pod.metadata.name.as_ref().is_some_and(|name| self.held_names.contains_key(name))
    }

    /// Takes a pod in as it is now. `is_new` says that nothing was known of it before, as when a view is built.
    pub fn observe(&mut self, pod: &Arc<Pod>, owner: Owner<'_>, is_new: bool, now: Timestamp) {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let was_over = self.forget(&name);
        let tracked = meta::has_finalizer(&pod.metadata, well_known::FINALIZER_JOB_TRACKING);
        let is_over = facts::is_finished(pod);
        // A pod that was counted is looked at when a view is built: the back-off of before a restart goes on.
        if is_over && !was_over && (tracked || is_new) {
            self.backoff.observe(pod, now);
        }
        let indexed = owner.spec.filter(|spec| indexed::is_indexed(spec));
        let retry = indexed.filter(|_| tracked).and_then(|spec| indexed::retry(spec, pod));
        let index = indexed.map(|_| indexed::index_of(pod).unwrap_or(NO_INDEX));
        if owner.is_stray {
            if tracked || !is_over {
                self.strays.insert(name, pod.clone());
            }
        } else if is_over {
            match retry.zip(index) {
                Some((retry, index)) => self.hold(index, Held { pod: pod.clone(), retry, since: ended_at(pod, now) }),
                None if tracked => drop(self.finished.insert(name, pod.clone())),
                None => {}
            }
        } else if meta::is_deleting(&pod.metadata) {
            if let Some((retry, index)) = retry.zip(index) {
                self.hold(index, Held { pod: pod.clone(), retry, since: now });
                if facts::node(pod).is_none() {
                    // It will never end by itself: it has.
                    return;
                }
            }
            if let Some(index) = index {
                *self.leaving.entry(index).or_default() += 1;
            }
            self.terminating.insert(name, pod.clone());
        } else {
            self.ready += i32::from(facts::is_ready(pod));
            self.restarts += facts::restarts(pod);
            if let Some(index) = index {
                let siblings = self.indexes.entry(index).or_default();
                siblings.insert(name.clone());
                if index != NO_INDEX && siblings.len() > 1 {
                    self.crowded.insert(index);
                }
            }
            self.active.insert(name, pod.clone());
        }
    }

    /// Of two failed pods of one index, as there are after one was created twice, the one that knows of more tries is
    /// held, and the other is counted now.
    fn hold(&mut self, index: i32, held: Held) {
        let other = self.let_go(index);
        let (kept, other) = match other {
            Some(other) if other.retry.tries > held.retry.tries => (other, Some(held)),
            other => (held, other),
        };
        if let Some(other) = other.filter(|other| !self.is_terminating(&other.pod)) {
            self.finished.insert(other.pod.metadata.name.clone().unwrap_or_default(), other.pod);
        }
        self.held_failures += i32::from(kept.retry.is_charged);
        self.held_names.insert(kept.pod.metadata.name.clone().unwrap_or_default(), index);
        self.held.insert(index, kept);
    }

    fn let_go(&mut self, index: i32) -> Option<Held> {
        let held = self.held.remove(&index)?;
        self.held_failures -= i32::from(held.retry.is_charged);
        self.held_names.remove(held.pod.metadata.name.as_deref().unwrap_or_default());
        Some(held)
    }

    /// Answers whether the pod had been seen as finished.
    pub fn forget(&mut self, name: &str) -> bool {
        if let Some(pod) = self.active.remove(name) {
            self.ready -= i32::from(facts::is_ready(&pod));
            self.restarts -= facts::restarts(&pod);
            let index = indexed::index_of(&pod).unwrap_or(NO_INDEX);
            if let Some(siblings) = self.indexes.get_mut(&index) {
                siblings.remove(name);
                if siblings.len() < 2 {
                    self.crowded.remove(&index);
                }
                if siblings.is_empty() {
                    self.indexes.remove(&index);
                }
            }
        }
        if let Some(pod) = self.terminating.remove(name) {
            let index = indexed::index_of(&pod).unwrap_or(NO_INDEX);
            if let Some(left) = self.leaving.get_mut(&index) {
                *left -= 1;
                if *left == 0 {
                    self.leaving.remove(&index);
                }
            }
        }
        let stray = self.strays.remove(name);
        let held = self.held_names.get(name).copied().and_then(|index| self.let_go(index));
        let was_over = |pod: Option<Arc<Pod>>| pod.is_some_and(|pod| facts::is_finished(&pod));
        self.finished.remove(name).is_some() || was_over(stray) || was_over(held.map(|held| held.pod))
    }
}
