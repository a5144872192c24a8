//! Finished Jobs are deleted when their time to live is over (kubernetes `pkg/controller/ttlafterfinished`).
//!
//! A Job that has `spec.ttlSecondsAfterFinished`, or kiln's annotation for the way in which it ended, is deleted that long
//! after the transition to Complete or Failed, with its pods (Foreground, as Kubernetes does it). What counts is the Job
//! as it is then: a time to live that is changed after the end moves the deletion, and one that is taken away ends it.
//!
//! Never: looks at Jobs that have not finished; touches one that is already being deleted.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

use crate::api::deletion::{self, Deletion, Options, Propagation};
use crate::api::job::annotations;
use crate::api::{Key, Kind, Object, meta, well_known};
use crate::control::{Controller, Effect, Plan, Queue, Seen};
use crate::store::Change;

#[derive(Default)]
pub struct TtlAfterFinished {
    /// The finished Jobs that have a time to live, and when it is over.
    due: HashMap<Key, (Object, Timestamp)>,
}

/// When the Job is to be deleted: the time to live counts from the end, so an end that lies in the future defers it.
/// An end that says no time, which only a client can have written, is never over.
pub fn due(job: &Job) -> Option<Timestamp> {
    if meta::is_deleting(&job.metadata) {
        return None;
    }
    let conditions = job.status.as_ref()?.conditions.iter().flatten();
    let (end, annotation) = conditions.filter(|c| c.status == "True").find_map(|c| match c.type_.as_str() {
        well_known::COND_COMPLETE => Some((c, well_known::ANNOTATION_TTL_SUCCEEDED)),
        well_known::COND_FAILED => Some((c, well_known::ANNOTATION_TTL_FAILED)),
        _ => None,
    })?;
    // Admission has refused what is not a number.
    let own = meta::annotation(&job.metadata, annotation).and_then(annotations::seconds);
    let ttl = own.or_else(|| job.spec.as_ref()?.ttl_seconds_after_finished.map(i64::from))?;
    Some(meta::add_seconds(end.last_transition_time.as_ref()?.0, ttl))
}

impl Controller for TtlAfterFinished {
    type Key = Key;
    const NAME: &'static str = "ttl-after-finished-controller";

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Job]
    }

    fn reset(&mut self) {
        self.due.clear();
    }

    fn observe(&mut self, seen: &Seen<'_>, queue: &mut Queue<Key>, _now: Timestamp) {
        let Object::Job(job) = seen.object else { return };
        let key = seen.object.key();
        match due(job).filter(|_| seen.change != Change::Deleted) {
            Some(at) => {
                self.due.insert(key.clone(), (seen.object.clone(), at));
                queue.add(key, at);
            }
            None => {
                self.due.remove(&key);
            }
        }
    }

    fn reconcile(&mut self, key: &Key, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        match self.due.get(key) {
            Some((job, at)) if *at <= now => {
                let options = Options { grace: None, propagation: Some(Propagation::Foreground) };
                match deletion::delete(job, &options, now) {
                    Deletion::Mark(marked) => plan.effects.push(Effect::Update(marked)),
                    Deletion::Remove => plan.effects.push(Effect::Update(deletion::over(job, now))),
                    Deletion::Unchanged => {}
                }
            }
            Some((_, at)) => plan.look_again(*at),
            None => {}
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A Job that ended at second 100, with `ttl` and annotations.
    fn job(end: &str, ttl: Option<i32>, annotations: Value) -> Job {
        let end = json!({"type": end, "status": "True", "lastTransitionTime": at(100).to_string()});
        let mut job: Job = serde_json::from_value(json!({
            "metadata": {"name": "j", "uid": "u", "resourceVersion": "7", "annotations": annotations},
            "status": {"conditions": [{"type": "Suspended", "status": "False"}, end]}}))
        .unwrap();
        job.spec.get_or_insert_default().ttl_seconds_after_finished = ttl;
        job
    }

    #[test]
    fn the_time_to_live_counts_from_the_end_and_an_annotation_wins_for_its_kind_of_end() {
        let (failed, succeeded) = (well_known::ANNOTATION_TTL_FAILED, well_known::ANNOTATION_TTL_SUCCEEDED);
        let cases = [
            ("Complete", None, json!({}), None),
            ("Complete", Some(0), json!({}), Some(100)),
            ("Failed", Some(60), json!({}), Some(160)),
            ("FailureTarget", Some(60), json!({}), None),
            ("SuccessCriteriaMet", Some(60), json!({}), None),
            ("Failed", None, json!({failed: "5"}), Some(105)),
            ("Failed", Some(60), json!({failed: "5"}), Some(105)),
            ("Failed", Some(60), json!({succeeded: "5"}), Some(160)),
            ("Failed", None, json!({succeeded: "5"}), None),
            ("Complete", Some(60), json!({succeeded: "5", failed: "7"}), Some(105)),
            ("Complete", Some(60), json!({failed: "7"}), Some(160)),
            ("Complete", Some(60), json!({succeeded: "0"}), Some(100)),
            ("Complete", Some(60), json!({succeeded: "soon"}), Some(160)),
            ("Complete", Some(i32::MAX), json!({}), Some(100 + i64::from(i32::MAX))),
        ];
        for (end, ttl, annotations, expected) in cases {
            let job = job(end, ttl, annotations.clone());
            assert_eq!(due(&job), expected.map(at), "{end} {ttl:?} {annotations}");
        }
        assert_eq!(due(&Job::default()), None);
    }

    #[test]
    fn a_job_that_has_not_ended_or_is_being_deleted_is_left_alone() {
        let mut running = job("Complete", Some(0), json!({}));
        for condition in running.status.iter_mut().flat_map(|s| s.conditions.iter_mut().flatten()) {
            condition.status = "False".to_owned();
        }
        assert_eq!(due(&running), None);
        let mut deleting = job("Complete", Some(0), json!({}));
        deleting.metadata.deletion_timestamp = Some(meta::time(at(1)));
        assert_eq!(due(&deleting), None);
        let mut timeless = job("Complete", Some(0), json!({}));
        for condition in timeless.status.iter_mut().flat_map(|s| s.conditions.iter_mut().flatten()) {
            condition.last_transition_time = None;
        }
        assert_eq!(due(&timeless), None);
    }

    fn see(ttl: &mut TtlAfterFinished, queue: &mut Queue<Key>, change: Change, job: Job) {
        ttl.observe(&Seen { change, object: &job.into(), old: None }, queue, at(0));
    }

    #[test]
    fn a_job_goes_in_the_foreground_when_its_time_is_over_and_not_before() {
        let (mut ttl, mut queue) = (TtlAfterFinished::default(), Queue::default());
        see(&mut ttl, &mut queue, Change::Added, job("Complete", Some(60), json!({})));
        assert_eq!(queue.pop_due(at(159)), None);
        let key = queue.pop_due(at(160)).unwrap();
        assert_eq!(ttl.reconcile(&key, at(159)), Plan { again: Some(at(160)), ..Plan::default() });
        let plan = ttl.reconcile(&key, at(160));
        let [Effect::Update(marked)] = &plan.effects[..] else { panic!("{plan:?}") };
        assert_eq!(marked.meta().finalizers.as_deref(), Some(&[well_known::FINALIZER_FOREGROUND.to_owned()][..]));
        assert_eq!(marked.meta().resource_version.as_deref(), Some("7"), "only the version that was looked at");
        let Object::Job(marked) = marked else { panic!() };
        see(&mut ttl, &mut queue, Change::Modified, Job::clone(marked));
        assert_eq!((ttl.reconcile(&key, at(161)), ttl.due.len()), (Plan::default(), 0));
    }

    #[test]
    fn changing_the_time_to_live_of_a_finished_job_moves_its_deletion() {
        let (mut ttl, mut queue) = (TtlAfterFinished::default(), Queue::default());
        see(&mut ttl, &mut queue, Change::Added, job("Failed", Some(60), json!({})));
        see(&mut ttl, &mut queue, Change::Modified, job("Failed", Some(90), json!({})));
        let key = queue.pop_due(at(160)).expect("due at its earlier time");
        assert_eq!(ttl.reconcile(&key, at(160)), Plan { again: Some(at(190)), ..Plan::default() });
        see(&mut ttl, &mut queue, Change::Modified, job("Failed", Some(10), json!({})));
        assert_eq!(queue.next_due(), Some(at(110)), "a shorter one is due earlier");
        see(&mut ttl, &mut queue, Change::Modified, job("Failed", None, json!({})));
        assert_eq!(ttl.reconcile(&key, at(1000)), Plan::default(), "and none, never");
    }

    #[test]
    fn only_finished_jobs_with_a_time_to_live_are_kept_in_mind() {
        let (mut ttl, mut queue) = (TtlAfterFinished::default(), Queue::default());
        see(&mut ttl, &mut queue, Change::Added, job("Complete", None, json!({})));
        see(&mut ttl, &mut queue, Change::Added, job("FailureTarget", Some(1), json!({})));
        see(&mut ttl, &mut queue, Change::Deleted, job("Complete", Some(1), json!({})));
        assert!(queue.is_empty() && ttl.due.is_empty());
    }
}
