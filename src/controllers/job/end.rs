//! Why a Job ends, and how: its pods are stopped, and once none is left the Job has ended.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::deadline;
use super::indexed::{belongs, has_limit_per_index};
use super::pods::released;
use super::reconcile::{AT_ONCE, Sync};
use super::status::{self, Cause, Reason};
use super::success_policy;
use super::wanted::is_complete;
use crate::api::deletion::{self, Deletion};
use crate::api::pod::facts;
use crate::api::{Object, meta, well_known};
use crate::control::{Effect, Note, Plan};

/// Whether the pod has ended, or is gone with the write of it.
fn is_over(object: &Object) -> bool {
    let meta = object.meta();
    let goes = meta.finalizers.is_none() && meta.deletion_grace_period_seconds == Some(0);
    goes || object.as_pod().is_none_or(|pod| facts::is_finished(pod))
}

impl Sync<'_> {
    /// Why the Job ends, if it does. Failure is looked for first.
    pub fn cause(&mut self) -> Option<Cause> {
        if let Some(decided) = status::decided(&self.status) {
            return Some(decided);
        }
        if let Some(cause) = self.fatal.take() {
            return Some(cause);
        }
        if self.exceeds_backoff_limit() {
            return Some(match self.has_reached_deadline() {
                true => Cause::deadline_exceeded(),
                false => Cause::backoff_limit_exceeded(),
            });
        }
        if self.deadline().is_some_and(|deadline| self.now >= deadline) {
            return Some(Cause::deadline_exceeded());
        }
        if self.uncounted > 0 {
            // Whoever has not been counted may still fail the Job.
            return None;
        }
        if has_limit_per_index(self.spec) {
            let failed = self.failed_indexes.len();
            if self.spec.max_failed_indexes.is_some_and(|most| failed > most) {
                return Some(Cause::max_failed_indexes_exceeded());
            }
            let decided = failed.saturating_add(self.completed.len());
            if failed > 0 && decided >= self.spec.completions.unwrap_or(0) {
                return Some(Cause::failed_indexes());
            }
        }
        if let Some(policy) = &self.spec.success_policy
            && let Some(rule) = success_policy::matched(policy, &self.completed, self.spec.completions.unwrap_or(0))
        {
            return Some(Cause::success_policy(rule));
        }
        is_complete(self.spec, self.counts()).then(Cause::completions_reached)
    }

    /// Whether a pod was stopped at the Job's deadline: that is then why the Job fails, though this pod counts as a failure, too.
    fn has_reached_deadline(&self) -> bool {
        let Some(deadline) = self.deadline() else { return false };
        let held = self.pods.held.values().map(|held| &held.pod);
        self.pods.finished.values().chain(held).any(|pod| deadline::has_stopped(deadline, pod))
    }

    /// Never: more failed pods than the limit. OnFailure: also when the containers of pods that are still active
    /// have restarted as often as the limit says (at 0: at all).
    fn exceeds_backoff_limit(&self) -> bool {
        let limit = self.spec.backoff_limit.unwrap_or(6);
        let policy = self.spec.template.spec.as_ref().and_then(|s| s.restart_policy.as_deref());
        self.failures() > limit
            || policy == Some("OnFailure") && self.pods.restarts > 0 && self.pods.restarts >= i64::from(limit)
    }

    /// Stops what is still active, and ends the Job once nothing is.
    pub fn end(&mut self, cause: &Cause, plan: &mut Plan) {
        status::set_interim(&mut self.status, cause, self.now);
        self.count_all_held(plan);
        let pods = self.pods;
        for pod in pods.active.values() {
            if plan.effects.len() >= AT_ONCE {
                plan.look_again(self.now);
                break;
            }
            match (cause.reason.is_success(), facts::node(pod)) {
                // A pod that no node has: there is nothing of it to keep.
                (false, None) => {
                    if belongs(self.spec, pod) {
                        self.status.failed = Some(self.status.failed.unwrap_or(0).saturating_add(1));
                    }
                    self.delete(pod, plan);
                }
                // A pod that runs ends as Failed, with its log, by the hand of its node.
                (false, Some(_)) => self.stop(pod, cause, plan),
                (true, _) => self.delete(pod, plan),
            }
        }
        // A pod that is told to stop now is seen to have stopped in a later look.
        let stopping =
            plan.effects.iter().any(|e| matches!(e, Effect::Update(o) if meta::is_deleting(o.meta()) && !is_over(o)));
        if self.active == 0 && !stopping && self.pods.terminating.is_empty() && self.uncounted == 0 {
            let wants = meta::annotation(&self.job.metadata, well_known::ANNOTATION_FINISHED_CONDITION) == Some("true");
            status::set_terminal(&mut self.status, cause, wants, self.now);
            self.tell_end(cause, plan);
        }
    }

    fn tell_end(&self, cause: &Cause, plan: &mut Plan) {
        let job = Object::Job(self.job.clone());
        if !cause.reason.is_success() {
            plan.notes.push(Note::warning(&job, cause.reason.text(), cause.message.clone()));
            return;
        }
        if self.spec.completions.is_some_and(|completions| self.counts().succeeded > completions) {
            let message = "Too many succeeded pods running after completion count reached";
            plan.notes.push(Note::warning(&job, "TooManySucceededPods", message));
        }
        plan.notes.push(Note::normal(&job, "Completed", "Job completed"));
    }

    /// Has the node stop the pod. At a deadline it already knows: the instant is on the pod.
    fn stop(&self, pod: &Arc<Pod>, cause: &Cause, plan: &mut Plan) {
        let known = meta::annotation(&pod.metadata, well_known::ANNOTATION_STOP).is_some()
            || cause.reason == Reason::DeadlineExceeded
                && meta::annotation(&pod.metadata, well_known::ANNOTATION_DEADLINE)
                    .and_then(meta::parse_micros)
                    .is_some_and(|at| at <= self.now);
        if !known {
            let mut object = Object::Pod(pod.clone());
            meta::set_annotation(object.meta_mut(), well_known::ANNOTATION_STOP, cause.reason.text());
            plan.effects.push(Effect::Update(object));
        }
    }

    /// Tells the nodes of a deadline that was moved while pods run. Only pods that know another are written.
    pub fn stamp(&self, deadline: Timestamp, plan: &mut Plan) {
        let exact = meta::format_micros(deadline);
        let known = |pod: &Pod| meta::annotation(&pod.metadata, well_known::ANNOTATION_DEADLINE) == Some(&exact);
        for pod in self.pods.active.values().filter(|pod| !known(pod)) {
            if plan.effects.len() >= AT_ONCE {
                return plan.look_again(self.now);
            }
            let mut object = Object::Pod(pod.clone());
            meta::set_annotation(object.meta_mut(), well_known::ANNOTATION_DEADLINE, exact.clone());
            plan.effects.push(Effect::Update(object));
        }
    }

    /// Deletes a pod whose end is not to be counted, so it is released with the same write.
    pub fn delete(&mut self, pod: &Arc<Pod>, plan: &mut Plan) {
        let object = released(pod);
        let deleted = match deletion::delete(&object, &deletion::Options::default(), self.now) {
            Deletion::Mark(marked) => Effect::Update(marked),
            Deletion::Unchanged => Effect::Update(object.clone()),
            // Only as it is known: it may have been placed, or have ended, in the meantime.
            Deletion::Remove => Effect::Update(deletion::over(&object, self.now)),
        };
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let job = Object::Job(self.job.clone());
        plan.notes.push(Note::normal(&job, "SuccessfulDelete", format!("Deleted pod: {name}")));
        plan.effects.push(deleted);
        self.active -= 1;
    }
}
