//! One look at one Job: from what is known to what is to be done (kubernetes `pkg/controller/job/job_controller.go`,
//! `syncJob`, with the order of its checks).
//!
//! The cost is that of the pods that finished since the last look and of those created or deleted now, never that of
//! all pods of the Job.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::deadline::deadline;
use super::indexed::{has_limit_per_index, is_indexed};
use super::indexes::IndexSet;
use super::pods::{abandoned, adopted, is_tracked, released};
use super::status::{self, Cause};
use super::tracked::Tracked;
use super::usage::Usage;
use super::view::Entry;
use super::wanted::Counts;
use super::{rerun, suspend};
use crate::api::{meta, well_known};
use crate::control::{Effect, Plan};
use crate::ids::Ids;

/// Pods written by one decision, so that no commit grows without bound.
pub(super) const AT_ONCE: usize = 500;

/// The `spec.managedBy` of Jobs that this controller manages, as of those without.
const MANAGER: &str = "kubernetes.io/job-controller";

pub fn reconcile(entry: &Entry, now: Timestamp, ids: &Ids) -> Plan {
    let mut plan = Plan::default();
    release_all(entry.orphans(), &mut plan, now);
    let Some(job) = &entry.job else { return plan };
    let Some(spec) = &job.spec else { return plan };
    if spec.managed_by.as_deref().is_some_and(|manager| manager != MANAGER) {
        return plan;
    }
    let nothing = Tracked::default();
    let pods = job.metadata.uid.as_ref().and_then(|uid| entry.pods.get(uid)).unwrap_or(&nothing);
    if meta::is_deleting(&job.metadata) {
        release_all(pods.all(), &mut plan, now);
        return plan;
    }
    if status::is_finished(job) {
        release_all(pods.all(), &mut plan, now);
        if let Some(again) = rerun::again(job, now).filter(|_| plan.effects.is_empty()) {
            plan.effects.push(Effect::Update(again.into()));
        }
        return plan;
    }
    claim(entry, job, pods, &mut plan);
    match plan.effects.is_empty() {
        true => Sync::new(job, spec, pods, now, ids).run(&mut plan),
        false => plan.look_again(now),
    }
    plan
}

/// Takes the pods that match the selector and have no owner, and lets those go that match it no more.
fn claim(entry: &Entry, job: &Job, pods: &Tracked, plan: &mut Plan) {
    let taken = entry.adoptable.values().map(|pod| adopted(pod, job));
    let lost = pods.strays.values().map(|pod| abandoned(pod, job));
    let left = AT_ONCE.saturating_sub(plan.effects.len());
    plan.effects.extend(taken.chain(lost).take(left).map(Effect::Update));
}

/// Lets go of pods whose end nobody counts any more.
fn release_all<'a>(pods: impl Iterator<Item = &'a Arc<Pod>>, plan: &mut Plan, now: Timestamp) {
    for pod in pods.filter(|pod| is_tracked(pod)) {
        if plan.effects.len() >= AT_ONCE {
            plan.look_again(now);
            return;
        }
        plan.effects.push(Effect::Update(released(pod)));
    }
}

/// With a deadline the exact start counts, which `startTime` cannot hold.
pub(super) fn note_start(metadata: &mut ObjectMeta, spec: &JobSpec, now: Timestamp) {
    if spec.active_deadline_seconds.is_some() {
        meta::set_annotation(metadata, well_known::ANNOTATION_START_TIME, meta::format_micros(now));
    } else if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(well_known::ANNOTATION_START_TIME);
    }
}

pub(super) struct Sync<'a> {
    pub job: &'a Arc<Job>,
    pub spec: &'a JobSpec,
    pub pods: &'a Tracked,
    pub now: Timestamp,
    pub ids: &'a Ids,
    /// The Job as it will be written, with its status apart.
    pub next: Job,
    pub status: JobStatus,
    /// Of an Indexed Job: the indexes that have succeeded, and those that have failed for good.
    pub completed: IndexSet,
    pub failed_indexes: IndexSet,
    /// Indexes that this look has found to have succeeded or failed.
    pub decided: Vec<i32>,
    /// Indexes whose held pod this look has let go.
    pub settled: BTreeSet<i32>,
    /// What the Job's pods have used together.
    pub usage: Usage,
    /// A cause to fail that one pod gave.
    pub fatal: Option<Cause>,
    /// Active pods after what this decision creates and deletes.
    pub active: i32,
    /// Pods that finished and are left for the next look.
    pub uncounted: usize,
}

impl<'a> Sync<'a> {
    fn new(job: &'a Arc<Job>, spec: &'a JobSpec, pods: &'a Tracked, now: Timestamp, ids: &'a Ids) -> Sync<'a> {
        let mut next = Job::clone(job);
        let status = next.status.take().unwrap_or_default();
        let active = i32::try_from(pods.active.len()).unwrap_or(i32::MAX);
        let indexes = |text: &Option<String>| match (text, is_indexed(spec)) {
            (Some(text), true) => IndexSet::parse(text, spec.completions.unwrap_or(0)),
            _ => IndexSet::default(),
        };
        Sync {
            completed: indexes(&status.completed_indexes),
            failed_indexes: indexes(&status.failed_indexes),
            decided: Vec::new(),
            settled: BTreeSet::new(),
            usage: Usage::default(),
            fatal: None,
            uncounted: 0,
            job,
            spec,
            pods,
            now,
            ids,
            next,
            status,
            active,
        }
    }

    fn run(mut self, plan: &mut Plan) {
        self.start();
        self.usage = Usage::of_job(&self.next.metadata);
        let used_before = self.usage;
        self.count(plan);
        match self.cause() {
            Some(cause) => self.end(&cause, plan),
            None if suspend::is_asked_for(self.spec) => self.suspend(plan),
            None => self.manage(plan),
        }
        if self.uncounted > 0 {
            plan.look_again(self.now);
        }
        if self.usage != used_before {
            self.usage.write(&mut self.next.metadata);
        }
        self.write(plan);
    }

    fn start(&mut self) {
        if self.status.uncounted_terminated_pods.is_none()
            && let Some(annotations) = &mut self.next.metadata.annotations
        {
            // The first look. These are those of another Job, from which this one was copied.
            for name in [
                well_known::ANNOTATION_START_TIME,
                well_known::ANNOTATION_USAGE,
                well_known::ANNOTATION_ATTEMPTS,
                well_known::ANNOTATION_RERUN_SEEN,
            ] {
                annotations.remove(name);
            }
        }
        if self.status.start_time.is_none() && !suspend::is_asked_for(self.spec) {
            self.status.start_time = Some(meta::time(self.now));
            note_start(&mut self.next.metadata, self.spec, self.now);
        }
    }

    pub fn counts(&self) -> Counts {
        let succeeded = match is_indexed(self.spec) {
            true => self.completed.len(),
            false => self.status.succeeded.unwrap_or(0),
        };
        Counts { active: self.active, succeeded, failed_indexes: self.failed_indexes.len() }
    }

    /// When time is up, while it runs.
    pub fn deadline(&self) -> Option<Timestamp> {
        if suspend::is_asked_for(self.spec) {
            return None;
        }
        if self.job.status.as_ref().is_some_and(|s| s.start_time.is_some()) {
            return deadline(self.job);
        }
        let mut started = self.next.clone();
        started.status = Some(self.status.clone());
        deadline(&started)
    }

    fn write(mut self, plan: &mut Plan) {
        let terminating = i32::try_from(self.pods.terminating.len()).unwrap_or(i32::MAX);
        let ended = status::has_ended(&self.status);
        self.status.active = status::unless_zero(self.active);
        self.status.ready = Some(if ended { 0 } else { self.pods.ready.min(self.active) });
        self.status.terminating = Some(terminating);
        self.status.uncounted_terminated_pods = Some(UncountedTerminatedPods::default());
        if is_indexed(self.spec) {
            self.status.succeeded = status::unless_zero(self.completed.len());
            self.status.completed_indexes = (!self.completed.is_empty()).then(|| self.completed.to_string());
            self.status.failed_indexes = has_limit_per_index(self.spec).then(|| self.failed_indexes.to_string());
        }
        rerun::note_seen(&mut self.next.metadata);
        self.next.status = Some(self.status);
        if self.next != **self.job {
            plan.effects.push(Effect::Update(self.next.into()));
        }
    }
}

#[cfg(test)]
mod tests;
