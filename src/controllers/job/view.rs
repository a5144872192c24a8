//! What the Job controller knows: each Job, those of its pods that still matter ([`Tracked`]), and the pods without an
//! owner that a Job could take.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::iter;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use super::tracked::{Owner, Tracked};
use crate::api::selector::Selector;
use crate::api::{Key, Object, meta, well_known};
use crate::control::Seen;
use crate::store::Change;

#[derive(Default)]
pub struct View {
    jobs: HashMap<Key, Entry>,
    /// By namespace: the pods that nobody owns, and the Jobs whose selector somebody wrote.
    free: HashMap<String, Free>,
}

#[derive(Default)]
struct Free {
    pods: BTreeMap<String, Arc<Pod>>,
    jobs: BTreeSet<String>,
}

/// A Job by name. The pods of an earlier Job of that name may still be there, under its uid.
#[derive(Default)]
pub struct Entry {
    pub job: Option<Arc<Job>>,
    selector: Option<Selector>,
    pub pods: BTreeMap<String, Tracked>,
    /// Pods that match its selector and that nobody owns.
    pub adoptable: BTreeMap<String, Arc<Pod>>,
}

/// The Job that a pod belongs to: where it stands, and its uid.
fn owner(pod: &Pod) -> Option<(Key, String)> {
    let owner = meta::controller_of(&pod.metadata).filter(|o| o.kind == "Job")?;
    Some((Key::new(pod.metadata.namespace.clone().unwrap_or_default(), owner.name.clone()), owner.uid.clone()))
}

fn job_by_label(pod: &Pod) -> Option<&str> {
    meta::label(&pod.metadata, well_known::LABEL_JOB_NAME)
}

fn is_manual(job: &Job) -> bool {
    job.spec.as_ref().and_then(|spec| spec.manual_selector) == Some(true)
}

impl View {
    pub fn entry(&self, key: &Key) -> Option<&Entry> {
        self.jobs.get(key)
    }

    /// Takes in a change; tells the Jobs that it concerns.
    pub fn observe(&mut self, seen: &Seen<'_>, now: Timestamp, mut concerns: impl FnMut(Key)) {
        match seen.object {
            Object::Job(job) => concerns(self.observe_job(job, seen.change == Change::Deleted, now)),
            Object::Pod(pod) => {
                let old = seen.old.and_then(Object::as_pod).map(Arc::as_ref);
                // A pod that changed hands concerns the Job that lost it.
                if let Some(Object::Pod(old)) = seen.old
                    && let Some((key, uid)) = owner(old)
                    && owner(pod) != Some((key.clone(), uid.clone()))
                {
                    self.forget(&key, &uid, pod);
                    concerns(key);
                }
                if meta::controller_of(&pod.metadata).is_none() {
                    self.observe_free(pod, old, seen.change, concerns);
                } else {
                    self.forget_free(pod, old);
                    let is_new = seen.old.is_none();
                    if let Some(key) = self.observe_owned(pod, seen.change == Change::Deleted, is_new, now) {
                        concerns(key);
                    }
                }
            }
            _ => {}
        }
    }

    fn observe_job(&mut self, job: &Arc<Job>, is_deleted: bool, now: Timestamp) -> Key {
        let key = Object::Job(job.clone()).key();
        let entry = self.jobs.entry(key.clone()).or_default();
        let same = |known: &Arc<Job>| known.metadata.uid == job.metadata.uid;
        let is_known = entry.job.as_ref().is_some_and(same);
        entry.job = (!is_deleted).then(|| job.clone());
        if is_deleted {
            (entry.selector, entry.adoptable) = (None, BTreeMap::new());
            if let Some(free) = self.free.get_mut(&key.namespace) {
                free.jobs.remove(&key.name);
            }
            self.drop_free(&key.namespace);
            self.forget_if_empty(&key);
        } else if !is_known {
            self.meet(job, &key, now);
        }
        key
    }

    /// A Job that was not known: its pods are looked at again, and those that it might take are looked for.
    fn meet(&mut self, job: &Arc<Job>, key: &Key, now: Timestamp) {
        let Some(entry) = self.jobs.get_mut(key) else { return };
        let selector = job.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        // A selector that cannot be read matches nothing; admission lets none in.
        entry.selector = selector.map(|s| Selector::compile(Some(s)).unwrap_or_else(|_| Selector::nothing()));
        let pods = job.metadata.uid.as_ref().and_then(|uid| entry.pods.get(uid));
        let pods: Vec<_> = pods.into_iter().flat_map(Tracked::all).cloned().collect();
        for pod in pods {
            self.observe_owned(&pod, false, false, now);
        }
        let free = self.free.entry(key.namespace.clone()).or_default();
        match is_manual(job) {
            true => free.jobs.insert(key.name.clone()),
            false => free.jobs.remove(&key.name),
        };
        let Some(entry) = self.jobs.get_mut(key) else { return };
        let wanted = free.pods.iter().filter(|(_, pod)| entry.wants(pod));
        entry.adoptable = wanted.map(|(name, pod)| (name.clone(), pod.clone())).collect();
        self.drop_free(&key.namespace);
    }

    fn observe_owned(&mut self, pod: &Arc<Pod>, is_deleted: bool, is_new: bool, now: Timestamp) -> Option<Key> {
        let (key, uid) = owner(pod)?;
        if is_deleted {
            self.forget(&key, &uid, pod);
            return Some(key);
        }
        let entry = self.jobs.entry(key.clone()).or_default();
        let job = entry.job.as_ref().filter(|job| job.metadata.uid.as_deref() == Some(uid.as_str()));
        let is_stray = job.is_some() && entry.selector.as_ref().is_some_and(|s| !s.matches_meta(&pod.metadata));
        let spec = job.and_then(|job| job.spec.as_ref());
        entry.pods.entry(uid).or_default().observe(pod, Owner { spec, is_stray }, is_new, now);
        self.forget_if_empty(&key);
        Some(key)
    }

    /// A pod that nobody owns concerns the Job by whose uid it is labelled, and those whose selector somebody wrote.
    /// Also the Job by whose uid it was labelled before.
    fn observe_free(&mut self, pod: &Arc<Pod>, old: Option<&Pod>, change: Change, mut concerns: impl FnMut(Key)) {
        let (namespace, name) = (pod.metadata.namespace.clone().unwrap_or_default(), pod.metadata.name.clone());
        let name = name.unwrap_or_default();
        let free = self.free.entry(namespace.clone()).or_default();
        if change == Change::Deleted {
            free.pods.remove(&name);
        } else {
            free.pods.insert(name.clone(), pod.clone());
        }
        let labelled = iter::once(pod.as_ref()).chain(old).filter_map(job_by_label);
        let jobs: BTreeSet<&str> = free.jobs.iter().map(String::as_str).chain(labelled).collect();
        for job in jobs {
            let key = Key::new(namespace.clone(), job);
            let Some(entry) = self.jobs.get_mut(&key) else { continue };
            let was_wanted = entry.adoptable.remove(&name).is_some();
            if change != Change::Deleted && entry.wants(pod) {
                entry.adoptable.insert(name.clone(), pod.clone());
                concerns(key);
            } else if was_wanted {
                concerns(key);
            }
        }
        self.drop_free(&namespace);
    }

    fn forget_free(&mut self, pod: &Pod, old: Option<&Pod>) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let Some(free) = self.free.get_mut(namespace) else { return };
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        if free.pods.remove(name).is_none() {
            return;
        }
        let labelled = iter::once(pod).chain(old).filter_map(job_by_label);
        for job in free.jobs.iter().map(String::as_str).chain(labelled) {
            if let Some(entry) = self.jobs.get_mut(&Key::new(namespace, job)) {
                entry.adoptable.remove(name);
            }
        }
        let namespace = namespace.to_owned();
        self.drop_free(&namespace);
    }

    fn drop_free(&mut self, namespace: &str) {
        if self.free.get(namespace).is_some_and(|free| free.pods.is_empty() && free.jobs.is_empty()) {
            self.free.remove(namespace);
        }
    }

    fn forget(&mut self, key: &Key, uid: &str, pod: &Pod) {
        if let Some(tracked) = self.jobs.get_mut(key).and_then(|entry| entry.pods.get_mut(uid)) {
            tracked.forget(pod.metadata.name.as_deref().unwrap_or_default());
        }
        self.forget_if_empty(key);
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
    /// Whether the Job would take a pod that nobody owns.
    fn wants(&self, pod: &Pod) -> bool {
        self.job.as_ref().is_some_and(|job| !meta::is_deleting(&job.metadata))
            && !meta::is_deleting(&pod.metadata)
            && self.selector.as_ref().is_some_and(|s| s.matches_meta(&pod.metadata))
    }

    /// The pods whose Job is gone: they only wait for their release.
    pub fn orphans(&self) -> impl Iterator<Item = &Arc<Pod>> {
        let uid = self.job.as_ref().and_then(|job| job.metadata.uid.as_deref());
        self.pods.iter().filter(move |(owner, _)| Some(owner.as_str()) != uid).flat_map(|(_, tracked)| tracked.all())
    }
}
