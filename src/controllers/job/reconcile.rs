//! One look at one Job: from what is known to what is to be done (kubernetes `pkg/controller/job/job_controller.go`,
//! `syncJob`, with the order of its checks).
//!
//! The cost is that of the pods that finished since the last look and of those created or deleted now, never that of
//! all pods of the Job.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;

use super::deadline::deadline;
use super::pods::{in_order_of_deletion, new_pod};
use super::status::{self, Cause};
use super::usage::Usage;
use super::view::{Entry, Tracked};
use super::wanted::{Counts, is_complete, wanted_active};
use crate::api::deletion::{self, Deletion};
use crate::api::pod::facts;
use crate::api::{Object, meta, well_known};
use crate::control::{Effect, Note, Plan};
use crate::ids::Ids;

/// Pods written by one decision, so that no commit grows without bound.
const AT_ONCE: usize = 500;

pub fn reconcile(entry: &Entry, now: Timestamp, ids: &Ids) -> Plan {
    let mut plan = Plan::default();
    release_all(entry.orphans(), &mut plan, now);
    let Some(job) = &entry.job else { return plan };
    let nothing = Tracked::default();
    let pods = job.metadata.uid.as_ref().and_then(|uid| entry.pods.get(uid)).unwrap_or(&nothing);
    if meta::is_deleting(&job.metadata) || status::is_finished(job) {
        release_all(pods.all(), &mut plan, now);
    } else if plan.effects.is_empty() {
        Sync::new(job, pods, now, ids).run(&mut plan);
    } else {
        plan.look_again(now);
    }
    plan
}

/// Lets go of pods whose end nobody counts any more.
fn release_all<'a>(pods: impl Iterator<Item = &'a Arc<Pod>>, plan: &mut Plan, now: Timestamp) {
    for pod in pods.filter(|pod| is_held(pod)) {
        if plan.effects.len() >= AT_ONCE {
            plan.look_again(now);
            return;
        }
        plan.effects.push(Effect::Update(released(pod)));
    }
}

fn is_held(pod: &Pod) -> bool {
    meta::has_finalizer(&pod.metadata, well_known::FINALIZER_JOB_TRACKING)
}

fn released(pod: &Arc<Pod>) -> Object {
    let mut object = Object::Pod(pod.clone());
    meta::remove_finalizer(object.meta_mut(), well_known::FINALIZER_JOB_TRACKING);
    object
}

/// Whether the pod has ended, or is gone with the write of it.
fn is_over(object: &Object) -> bool {
    let meta = object.meta();
    let goes = meta.finalizers.is_none() && meta.deletion_grace_period_seconds == Some(0);
    goes || object.as_pod().is_none_or(|pod| facts::is_finished(pod))
}

struct Sync<'a> {
    job: &'a Arc<Job>,
    pods: &'a Tracked,
    now: Timestamp,
    ids: &'a Ids,
    /// The Job as it will be written, with its status apart.
    next: Job,
    status: JobStatus,
    /// Active pods after what this decision creates and deletes.
    active: i32,
    /// Pods that finished and are left for the next look.
    uncounted: usize,
}

impl<'a> Sync<'a> {
    fn new(job: &'a Arc<Job>, pods: &'a Tracked, now: Timestamp, ids: &'a Ids) -> Sync<'a> {
        let mut next = Job::clone(job);
        let status = next.status.take().unwrap_or_default();
        let active = i32::try_from(pods.active.len()).unwrap_or(i32::MAX);
        Sync { job, pods, now, ids, next, status, active, uncounted: 0 }
    }

    fn run(mut self, plan: &mut Plan) {
        let Some(spec) = self.job.spec.as_ref() else { return };
        self.start(spec);
        self.count(plan);
        match self.cause(spec) {
            Some(cause) => self.end(&cause, plan),
            None => self.manage(spec, plan),
        }
        if self.uncounted > 0 {
            plan.look_again(self.now);
        }
        self.write(plan);
    }

    fn start(&mut self, spec: &JobSpec) {
        if self.status.start_time.is_none() {
            self.status.start_time = Some(meta::time(self.now));
            let exact = meta::format_micros(self.now);
            if let Some(annotations) = &mut self.next.metadata.annotations {
                // That of another Job, from which this one was copied.
                annotations.remove(well_known::ANNOTATION_USAGE);
            }
            if spec.active_deadline_seconds.is_some() {
                meta::set_annotation(&mut self.next.metadata, well_known::ANNOTATION_START_TIME, exact);
            } else if let Some(annotations) = &mut self.next.metadata.annotations {
                // That of another Job, from which this one was copied.
                annotations.remove(well_known::ANNOTATION_START_TIME);
            }
        }
    }

    /// Counts the pods that have finished, and those being deleted, which count as failed; each loses the finalizer
    /// with which it was waiting for this.
    fn count(&mut self, plan: &mut Plan) {
        let ended = self.pods.finished.values().chain(self.pods.terminating.values()).filter(|pod| is_held(pod));
        let mut usage = Usage::of_job(&self.next.metadata);
        let before = usage;
        let (mut succeeded, mut failed) = (self.status.succeeded.unwrap_or(0), self.status.failed.unwrap_or(0));
        for pod in ended {
            if plan.effects.len() >= AT_ONCE {
                self.uncounted += 1;
                continue;
            }
            if facts::has_succeeded(pod) {
                succeeded = succeeded.saturating_add(1);
            } else if !facts::is_disrupted(pod) {
                failed = failed.saturating_add(1);
            }
            if facts::is_finished(pod) {
                usage.add(&pod.metadata);
            }
            plan.effects.push(Effect::Update(released(pod)));
        }
        if usage != before {
            usage.write(&mut self.next.metadata);
        }
        self.status.succeeded = status::unless_zero(succeeded);
        self.status.failed = status::unless_zero(failed);
    }

    fn counts(&self) -> Counts {
        Counts { active: self.active, succeeded: self.status.succeeded.unwrap_or(0) }
    }

    /// Why the Job ends, if it does. Failure is looked for first.
    fn cause(&self, spec: &JobSpec) -> Option<Cause> {
        if let Some(decided) = status::decided(&self.status) {
            return Some(decided);
        }
        if self.exceeds_backoff_limit(spec) {
            return Some(Cause::BackoffLimitExceeded);
        }
        if self.deadline().is_some_and(|deadline| self.now >= deadline) {
            return Some(Cause::DeadlineExceeded);
        }
        // Whoever has not been counted may still fail the Job.
        (self.uncounted == 0 && is_complete(spec, self.counts())).then_some(Cause::CompletionsReached)
    }

    fn deadline(&self) -> Option<Timestamp> {
        if self.job.status.as_ref().is_some_and(|s| s.start_time.is_some()) {
            return deadline(self.job);
        }
        let mut started = self.next.clone();
        started.status = Some(self.status.clone());
        deadline(&started)
    }

    /// Never: more failed pods than the limit. OnFailure: also when the containers of pods that are still active
    /// have restarted as often as the limit says (at 0: at all).
    fn exceeds_backoff_limit(&self, spec: &JobSpec) -> bool {
        let limit = spec.backoff_limit.unwrap_or(6);
        let on_failure =
            spec.template.spec.as_ref().and_then(|s| s.restart_policy.as_deref()).is_some_and(|p| p == "OnFailure");
        self.status.failed.unwrap_or(0) > limit
            || on_failure && self.pods.restarts > 0 && self.pods.restarts >= i64::from(limit)
    }

    /// Stops what is still active, and ends the Job once nothing is.
    fn end(&mut self, cause: &Cause, plan: &mut Plan) {
        status::set_interim(&mut self.status, cause, self.now);
        for pod in self.pods.active.values() {
            if plan.effects.len() >= AT_ONCE {
                plan.look_again(self.now);
                break;
            }
            match (cause.is_success(), facts::node(pod)) {
                // A pod that no node has: there is nothing of it to keep.
                (false, None) => {
                    self.status.failed = Some(self.status.failed.unwrap_or(0).saturating_add(1));
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
            status::set_terminal(&mut self.status, cause, self.now);
            let job = Object::Job(self.job.clone());
            plan.notes.push(match cause.is_success() {
                true => Note::normal(&job, "Completed", "Job completed"),
                false => Note::warning(&job, cause.reason(), cause.message()),
            });
        }
    }

    /// Has the node stop the pod. At a deadline it already knows: the instant is on the pod.
    fn stop(&self, pod: &Arc<Pod>, cause: &Cause, plan: &mut Plan) {
        let known = meta::annotation(&pod.metadata, well_known::ANNOTATION_STOP).is_some()
            || *cause == Cause::DeadlineExceeded
                && meta::annotation(&pod.metadata, well_known::ANNOTATION_DEADLINE)
                    .and_then(meta::parse_micros)
                    .is_some_and(|at| at <= self.now);
        if !known {
            let mut object = Object::Pod(pod.clone());
            meta::set_annotation(object.meta_mut(), well_known::ANNOTATION_STOP, cause.reason());
            plan.effects.push(Effect::Update(object));
        }
    }

    /// Brings the number of active pods to what is wanted.
    fn manage(&mut self, spec: &JobSpec, plan: &mut Plan) {
        if let Some(deadline) = self.deadline() {
            plan.look_again(deadline);
            self.stamp(deadline, plan);
        }
        if self.uncounted > 0 {
            // What has succeeded is not known yet: a pod created now might be one too many.
            return;
        }
        if plan.effects.len() >= AT_ONCE {
            return;
        }
        let wanted = wanted_active(spec, self.counts());
        let missing = wanted - self.active;
        if missing < 0 {
            let surplus = usize::try_from(-missing).unwrap_or(0);
            for pod in in_order_of_deletion(self.pods.active.values()).into_iter().take(surplus.min(AT_ONCE)) {
                self.delete(pod, plan);
            }
            if surplus > AT_ONCE {
                plan.look_again(self.now);
            }
        } else if missing > 0 {
            match self.pods.backoff.until() {
                Some(at) if at > self.now => plan.look_again(at),
                _ => self.create(usize::try_from(missing).unwrap_or(0), plan),
            }
        }
    }

    /// Tells the nodes of a deadline that was moved while pods run. Only pods that know another are written.
    fn stamp(&self, deadline: Timestamp, plan: &mut Plan) {
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

    fn create(&mut self, missing: usize, plan: &mut Plan) {
        let deadline = self.deadline();
        let job = Object::Job(self.job.clone());
        let mut names = HashSet::new();
        for _ in 0..missing.min(AT_ONCE) {
            let pod = new_pod(self.job, deadline, self.now, self.ids);
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            if !names.insert(name.to_owned()) {
                // One of fourteen million, drawn twice: the next look draws again.
                plan.look_again(self.now);
                continue;
            }
            plan.notes.push(Note::normal(&job, "SuccessfulCreate", format!("Created pod: {name}")));
            plan.effects.push(Effect::Create(pod.into()));
            self.active += 1;
        }
        if missing > AT_ONCE {
            plan.look_again(self.now);
        }
    }

    /// Deletes a pod whose end is not to be counted, so it is released with the same write.
    fn delete(&mut self, pod: &Arc<Pod>, plan: &mut Plan) {
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

    fn write(mut self, plan: &mut Plan) {
        let finished = self
            .status
            .conditions
            .iter()
            .flatten()
            .any(|c| c.type_ == well_known::COND_COMPLETE || c.type_ == well_known::COND_FAILED);
        let terminating = i32::try_from(self.pods.terminating.len()).unwrap_or(i32::MAX);
        self.status.active = status::unless_zero(self.active);
        self.status.ready = Some(if finished { 0 } else { self.pods.ready.min(self.active) });
        self.status.terminating = Some(terminating);
        self.status.uncounted_terminated_pods = Some(UncountedTerminatedPods::default());
        self.next.status = Some(self.status);
        if self.next != **self.job {
            plan.effects.push(Effect::Update(self.next.into()));
        }
    }
}

#[cfg(test)]
mod tests;
