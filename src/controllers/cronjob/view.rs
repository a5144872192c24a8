//! What the CronJob controller knows: each CronJob, each Job by name, and which Jobs are whose. A Job wakes its CronJob
//! only when it comes, starts, ends or goes: what its pods do is not looked at.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{Key, Object, meta, well_known};
use crate::control::Seen;
use crate::store::Change;

#[derive(Default)]
pub struct View {
    cron_jobs: HashMap<Key, Entry>,
    jobs: HashMap<Key, Arc<Job>>,
    /// By the uid of their CronJob.
    children: HashMap<String, BTreeSet<Key>>,
}

pub struct Entry {
    pub cron_job: Arc<CronJob>,
    /// When its schedule or zone was last seen to change: the times before that were another schedule's.
    pub since: Option<Timestamp>,
}

/// How a Job has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Complete,
    Failed,
}

impl End {
    /// The condition that says so.
    pub fn condition(self) -> &'static str {
        match self {
            End::Complete => well_known::COND_COMPLETE,
            End::Failed => well_known::COND_FAILED,
        }
    }
}

pub fn end(job: &Job) -> Option<End> {
    let conditions = || job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is = |end: &End| conditions().any(|c| c.type_ == end.condition() && c.status == "True");
    [End::Complete, End::Failed].into_iter().find(is)
}

/// The CronJob that a Job belongs to: where it stands, and its uid.
fn owner(job: &Job) -> Option<(Key, &str)> {
    let owner = meta::controller_of(&job.metadata)
        .filter(|owner| owner.kind == "CronJob" && owner.api_version.starts_with("batch/"))?;
    let namespace = job.metadata.namespace.clone().unwrap_or_default();
    Some((Key::new(namespace, owner.name.clone()), owner.uid.as_str()))
}

/// What of a Job its CronJob looks at.
fn facts(job: &Job) -> (Option<End>, bool, Option<&Time>, Option<&Time>) {
    let status = job.status.as_ref();
    let (start, completion) =
        (status.and_then(|s| s.start_time.as_ref()), status.and_then(|s| s.completion_time.as_ref()));
    (end(job), meta::is_deleting(&job.metadata), start, completion)
}

impl View {
    pub fn entry(&self, key: &Key) -> Option<&Entry> {
        self.cron_jobs.get(key)
    }

    pub fn job(&self, key: &Key) -> Option<&Arc<Job>> {
        self.jobs.get(key)
    }

    /// The Jobs of the CronJob with this uid, by name.
    pub fn children(&self, uid: &str) -> impl Iterator<Item = &Arc<Job>> {
        self.children.get(uid).into_iter().flatten().filter_map(|key| self.jobs.get(key))
    }

    /// Takes in a change; answers the CronJobs that it concerns.
    pub fn observe(&mut self, seen: &Seen<'_>, now: Timestamp) -> Vec<Key> {
        let key = seen.object.key();
        let deleted = seen.change == Change::Deleted;
        match seen.object {
            Object::CronJob(_) if deleted => {
                self.cron_jobs.remove(&key);
                Vec::new()
            }
            Object::CronJob(cron_job) => {
                let since = self.cron_jobs.get(&key).and_then(|entry| entry.since_with(cron_job, now));
                self.cron_jobs.insert(key.clone(), Entry { cron_job: cron_job.clone(), since });
                vec![key]
            }
            Object::Job(job) => self.observe_job(key, (!deleted).then_some(job)),
            _ => Vec::new(),
        }
    }

    fn observe_job(&mut self, key: Key, new: Option<&Arc<Job>>) -> Vec<Key> {
        let old = match new {
            Some(job) => self.jobs.insert(key.clone(), job.clone()),
            None => self.jobs.remove(&key),
        };
        let (before, after) = (old.as_deref().and_then(owner), new.and_then(|job| owner(job)));
        if before == after && old.as_deref().map(facts) == new.map(|job| facts(job)) {
            return Vec::new();
        }
        if let Some((_, uid)) = &before
            && let Some(children) = self.children.get_mut(*uid)
        {
            children.remove(&key);
            if children.is_empty() {
                self.children.remove(*uid);
            }
        }
        if let Some((_, uid)) = &after {
            self.children.entry((*uid).to_owned()).or_default().insert(key);
        }
        [before, after].into_iter().flatten().map(|(key, _)| key).collect()
    }
}

impl Entry {
    /// From when the schedule counts after a change.
    fn since_with(&self, new: &CronJob, now: Timestamp) -> Option<Timestamp> {
        let (old, spec) = (&self.cron_job, &new.spec);
        if old.metadata.uid != new.metadata.uid {
            return None;
        }
        let same = old.spec.schedule == spec.schedule && old.spec.time_zone == spec.time_zone;
        if same { self.since } else { Some(meta::time(now).0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(name: &str, owner: Option<&str>, status: serde_json::Value) -> Object {
        let owners: Vec<_> = owner
            .iter()
            .map(
                |uid| json!({"apiVersion": "batch/v1", "kind": "CronJob", "name": "c", "uid": uid, "controller": true}),
            )
            .collect();
        let value = json!({"metadata": {"name": name, "namespace": "n", "ownerReferences": owners}, "status": status});
        Object::deserialize(crate::api::Kind::Job, value).unwrap()
    }

    fn see(view: &mut View, change: Change, object: &Object) -> Vec<Key> {
        view.observe(&Seen { change, object, old: None }, Timestamp::UNIX_EPOCH)
    }

    fn names(view: &View, uid: &str) -> Vec<String> {
        view.children(uid).map(|job| job.metadata.name.clone().unwrap()).collect()
    }

    #[test]
    fn a_job_wakes_its_cron_job_only_when_it_comes_starts_ends_or_goes() {
        let mut view = View::default();
        let wakes = [Key::new("n", "c")];
        let steps = [
            (Change::Added, json!({}), true),
            (Change::Modified, json!({"active": 1}), false),
            (Change::Modified, json!({"startTime": "2026-01-01T00:00:00Z", "active": 1}), true),
            (Change::Modified, json!({"startTime": "2026-01-01T00:00:00Z", "active": 1, "ready": 1}), false),
            (
                Change::Modified,
                json!({"startTime": "2026-01-01T00:00:00Z",
                "conditions": [{"type": "Failed", "status": "True"}]}),
                true,
            ),
            (Change::Deleted, json!({}), true),
        ];
        for (change, status, woken) in steps {
            let found = see(&mut view, change, &job("j", Some("u"), status.clone()));
            assert_eq!(!found.is_empty(), woken, "{status}");
            assert!(found.iter().all(|key| wakes.contains(key)));
        }
        assert!(view.children.is_empty() && view.jobs.is_empty());
    }

    #[test]
    fn a_job_that_changes_hands_concerns_both_and_one_of_nobody_none() {
        let mut view = View::default();
        assert!(see(&mut view, Change::Added, &job("j", None, json!({}))).is_empty());
        assert!(view.job(&Key::new("n", "j")).is_some());
        assert_eq!(see(&mut view, Change::Modified, &job("j", Some("u"), json!({}))).len(), 1);
        assert_eq!(see(&mut view, Change::Modified, &job("j", Some("v"), json!({}))).len(), 2);
        assert_eq!((names(&view, "u"), names(&view, "v")), (vec![], vec!["j".to_owned()]));
        assert_eq!(see(&mut view, Change::Modified, &job("j", None, json!({}))).len(), 1);
        assert_eq!(names(&view, "v"), [] as [String; 0]);
    }
}
