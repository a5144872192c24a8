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
    /// The Jobs that are there, by uid.
    by_uid: HashMap<String, Key>,
    /// By namespace.
    free: HashMap<String, Free>,
}

/// The pods that nobody owns, and how a Job finds those it may take without looking at all of them: a selector that the
/// API made demands the label with the uid of its Job. Only Jobs whose selector does not are asked about every pod.
#[derive(Default)]
struct Free {
    pods: BTreeMap<String, Arc<Pod>>,
    /// Names of pods by the uid in their label.
    labelled: HashMap<String, BTreeSet<String>>,
    /// Jobs whose selector does not demand their uid.
    jobs: BTreeSet<String>,
}

impl Free {
    fn insert(&mut self, name: &str, pod: &Arc<Pod>) {
        self.remove(name);
        if let Some(uid) = uid_in_label(pod) {
            self.labelled.entry(uid.to_owned()).or_default().insert(name.to_owned());
        }
        self.pods.insert(name.to_owned(), pod.clone());
    }

    fn remove(&mut self, name: &str) -> Option<Arc<Pod>> {
        let pod = self.pods.remove(name)?;
        if let Some(uid) = uid_in_label(&pod)
            && let Some(names) = self.labelled.get_mut(uid)
        {
            names.remove(name);
            if names.is_empty() {
                self.labelled.remove(uid);
            }
        }
        Some(pod)
    }

    /// Those among which a Job finds its own: with the uid, if its selector demands that, or all.
    fn candidates(&self, uid: Option<&str>) -> Vec<(&String, &Arc<Pod>)> {
        match uid {
            Some(uid) => {
                self.labelled.get(uid).into_iter().flatten().filter_map(|name| self.pods.get_key_value(name)).collect()
            }
            None => self.pods.iter().collect(),
        }
    }
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

fn uid_in_label(pod: &Pod) -> Option<&str> {
    meta::label(&pod.metadata, well_known::LABEL_CONTROLLER_UID)
}

/// The uid of the Job, if its selector demands it.
fn demanded_uid(job: &Job) -> Option<&str> {
    let labels = job.spec.as_ref()?.selector.as_ref()?.match_labels.as_ref()?;
    let demanded = labels.get(well_known::LABEL_CONTROLLER_UID).map(String::as_str);
    demanded.filter(|uid| job.metadata.uid.as_deref() == Some(uid))
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
        if (is_deleted || !is_known)
            && let Some(uid) = entry.job.as_ref().and_then(|known| known.metadata.uid.as_ref())
        {
            self.by_uid.remove(uid);
        }
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
        if let Some(uid) = &job.metadata.uid {
            self.by_uid.insert(uid.clone(), key.clone());
        }
        let uid = demanded_uid(job);
        let free = self.free.entry(key.namespace.clone()).or_default();
        match uid {
            Some(_) => free.jobs.remove(&key.name),
            None => free.jobs.insert(key.name.clone()),
        };
        let Some(entry) = self.jobs.get_mut(key) else { return };
        let wanted = free.candidates(uid).into_iter().filter(|(_, pod)| entry.wants(pod));
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

    /// A pod that nobody owns concerns the Job by whose uid it is labelled or was before, and those whose selector does not
    /// ask for a uid.
    fn observe_free(&mut self, pod: &Arc<Pod>, old: Option<&Pod>, change: Change, mut concerns: impl FnMut(Key)) {
        let (namespace, name) = (pod.metadata.namespace.clone().unwrap_or_default(), pod.metadata.name.clone());
        let name = name.unwrap_or_default();
        let free = self.free.entry(namespace.clone()).or_default();
        if change == Change::Deleted {
            free.remove(&name);
        } else {
            free.insert(&name, pod);
        }
        let jobs: BTreeSet<&str> =
            free.jobs.iter().map(String::as_str).chain(labelled(&self.by_uid, &namespace, pod, old)).collect();
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
        if free.remove(name).is_none() {
            return;
        }
        for job in free.jobs.iter().map(String::as_str).chain(labelled(&self.by_uid, namespace, pod, old)) {
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

/// The Jobs of the namespace by whose uid the pod is labelled, or was.
fn labelled<'a>(by_uid: &'a HashMap<String, Key>, namespace: &str, pod: &Pod, old: Option<&Pod>) -> Vec<&'a str> {
    let uids = iter::once(pod).chain(old).filter_map(uid_in_label);
    let keys = uids.filter_map(|uid| by_uid.get(uid)).filter(|key| key.namespace == namespace);
    keys.map(|key| key.name.as_str()).collect()
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
