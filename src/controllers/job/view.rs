//! What the Job controller knows: each Job, and those of its pods that still matter. A pod that was counted (it is
//! finished and without the tracking finalizer) is forgotten, so the view of a Job is as large as the number of its
//! pods in flight, whatever its completions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use super::backoff::Backoff;
use crate::api::pod::facts;
use crate::api::{Key, Object, meta, well_known};
use crate::control::Seen;
use crate::store::Change;

#[derive(Default)]
pub struct View {
    jobs: HashMap<Key, Entry>,
}

/// A Job by name. The pods of an earlier Job of that name may still be there, under its uid.
#[derive(Default)]
pub struct Entry {
    pub job: Option<Arc<Job>>,
    pub pods: HashMap<String, Tracked>,
}

/// The pods of one Job that are not counted yet, by name.
#[derive(Debug, Default)]
pub struct Tracked {
    /// Neither finished nor being deleted.
    pub active: BTreeMap<String, Arc<Pod>>,
    /// Being deleted and not finished; without the tracking finalizer those that are counted, or not to be.
    pub terminating: BTreeMap<String, Arc<Pod>>,
    /// Finished, not counted.
    pub finished: BTreeMap<String, Arc<Pod>>,
    /// Active pods whose Ready condition is True.
    pub ready: i32,
    /// Container restarts of the active pods.
    pub restarts: i64,
    pub backoff: Backoff,
}

enum Class {
    Active,
    Terminating,
    Finished,
    Counted,
}

fn classify(pod: &Pod) -> Class {
    let tracked = meta::has_finalizer(&pod.metadata, well_known::FINALIZER_JOB_TRACKING);
    match (facts::is_finished(pod), meta::is_deleting(&pod.metadata)) {
        (true, _) if tracked => Class::Finished,
        (true, _) => Class::Counted,
        (false, true) => Class::Terminating,
        (false, false) => Class::Active,
    }
}

/// The Job that a pod belongs to: where it stands, and its uid.
fn owner(pod: &Pod) -> Option<(Key, String)> {
    let owner = meta::controller_of(&pod.metadata).filter(|o| o.kind == "Job")?;
    Some((Key::new(pod.metadata.namespace.clone().unwrap_or_default(), owner.name.clone()), owner.uid.clone()))
}

impl View {
    pub fn entry(&self, key: &Key) -> Option<&Entry> {
        self.jobs.get(key)
    }

    /// Takes in a change; answers the Job that it concerns. A pod that changed hands concerns the Job that lost it.
    pub fn observe(&mut self, seen: &Seen<'_>, now: Timestamp) -> Option<Key> {
        if let (Object::Pod(pod), Some(Object::Pod(old))) = (seen.object, seen.old)
            && let Some((key, uid)) = owner(old)
            && owner(pod) != Some((key.clone(), uid.clone()))
        {
            let tracked = self.jobs.get_mut(&key).and_then(|entry| entry.pods.get_mut(&uid));
            if let Some(tracked) = tracked {
                tracked.forget(pod.metadata.name.as_deref().unwrap_or_default());
            }
            self.forget_if_empty(&key);
            return self.observe(&Seen { old: None, ..*seen }, now).or(Some(key));
        }
        match seen.object {
            Object::Job(job) => {
                let key = seen.object.key();
                let entry = self.jobs.entry(key.clone()).or_default();
                entry.job = (seen.change != Change::Deleted).then(|| job.clone());
                self.forget_if_empty(&key);
                Some(key)
            }
            Object::Pod(pod) => self.observe_pod(pod, seen, now),
            _ => None,
        }
    }

    fn observe_pod(&mut self, pod: &Arc<Pod>, seen: &Seen<'_>, now: Timestamp) -> Option<Key> {
        let (key, uid) = owner(pod)?;
        let entry = self.jobs.entry(key.clone()).or_default();
        let tracked = entry.pods.entry(uid).or_default();
        let name = pod.metadata.name.clone().unwrap_or_default();
        let was_finished = tracked.forget(&name);
        if seen.change != Change::Deleted {
            match classify(pod) {
                Class::Active => {
                    tracked.ready += i32::from(facts::is_ready(pod));
                    tracked.restarts += facts::restarts(pod);
                    tracked.active.insert(name, pod.clone());
                }
                Class::Terminating => {
                    tracked.terminating.insert(name, pod.clone());
                }
                Class::Finished => {
                    if !was_finished {
                        tracked.backoff.observe(pod, now);
                    }
                    tracked.finished.insert(name, pod.clone());
                }
                // Only when the view is built: the back-off that was running before a restart goes on.
                Class::Counted if seen.old.is_none() => tracked.backoff.observe(pod, now),
                Class::Counted => {}
            }
        }
        if entry.job.is_none() {
            self.forget_if_empty(&key);
        }
        Some(key)
    }

    fn forget_if_empty(&mut self, key: &Key) {
        if let Some(entry) = self.jobs.get_mut(key)
            && entry.job.is_none()
        {
            entry.pods.retain(|_, tracked| !tracked.is_empty());
            if entry.pods.is_empty() {
                self.jobs.remove(key);
            }
        }
    }
}

impl Entry {
    /// The pods whose Job is gone: they only wait for their release.
    pub fn orphans(&self) -> impl Iterator<Item = &Arc<Pod>> {
        let uid = self.job.as_ref().and_then(|job| job.metadata.uid.as_deref());
        self.pods.iter().filter(move |(owner, _)| Some(owner.as_str()) != uid).flat_map(|(_, tracked)| tracked.all())
    }
}

impl Tracked {
    pub fn all(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.active.values().chain(self.terminating.values()).chain(self.finished.values())
    }

    pub fn is_empty(&self) -> bool {
        self.active.is_empty() && self.terminating.is_empty() && self.finished.is_empty()
    }

    /// Answers whether the pod had been seen as finished.
    fn forget(&mut self, name: &str) -> bool {
        if let Some(pod) = self.active.remove(name) {
            self.ready -= i32::from(facts::is_ready(&pod));
            self.restarts -= facts::restarts(&pod);
        }
        self.terminating.remove(name);
        self.finished.remove(name).is_some()
    }
}
