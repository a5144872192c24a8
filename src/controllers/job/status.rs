//! What is written into a Job's status: counters, conditions, and the words for each end (kubernetes
//! `pkg/controller/job/job_controller.go`).

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus};

use crate::api::{meta, well_known};

/// Why a Job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    CompletionsReached,
    SuccessPolicy,
    BackoffLimitExceeded,
    DeadlineExceeded,
    PodFailurePolicy,
    MaxFailedIndexesExceeded,
    FailedIndexes,
    /// A pod was running when its node's process ended, and `kiln.dev/at-most-once` forbids to run its work again.
    FateUnknown,
    /// Somebody else decided: what they wrote into the condition stands.
    Foreign {
        is_success: bool,
    },
}

impl Reason {
    const KNOWN: [(Reason, &'static str); 8] = [
        (Reason::CompletionsReached, "CompletionsReached"),
        (Reason::SuccessPolicy, "SuccessPolicy"),
        (Reason::BackoffLimitExceeded, "BackoffLimitExceeded"),
        (Reason::DeadlineExceeded, "DeadlineExceeded"),
        (Reason::PodFailurePolicy, "PodFailurePolicy"),
        (Reason::MaxFailedIndexesExceeded, "MaxFailedIndexesExceeded"),
        (Reason::FailedIndexes, "FailedIndexes"),
        (Reason::FateUnknown, "FateUnknown"),
    ];

    pub fn is_success(self) -> bool {
        matches!(self, Reason::CompletionsReached | Reason::SuccessPolicy | Reason::Foreign { is_success: true })
    }

    /// As events name it.
    pub fn text(self) -> &'static str {
        let known = Reason::KNOWN.iter().find(|(reason, _)| *reason == self);
        known.map_or(if self.is_success() { "Completed" } else { "Failed" }, |(_, text)| text)
    }
}

/// An end, with the words that both of its conditions carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub reason: Reason,
    /// As the conditions name the reason.
    text: String,
    pub message: String,
}

impl Cause {
    pub fn new(reason: Reason, message: impl Into<String>) -> Cause {
        Cause { reason, text: reason.text().to_owned(), message: message.into() }
    }

    pub fn completions_reached() -> Cause {
        Cause::new(Reason::CompletionsReached, "Reached expected number of succeeded pods")
    }

    pub fn success_policy(rule: usize) -> Cause {
        Cause::new(Reason::SuccessPolicy, format!("Matched rules at index {rule}"))
    }

    pub fn backoff_limit_exceeded() -> Cause {
        Cause::new(Reason::BackoffLimitExceeded, "Job has reached the specified backoff limit")
    }

    pub fn deadline_exceeded() -> Cause {
        Cause::new(Reason::DeadlineExceeded, "Job was active longer than specified deadline")
    }

    pub fn max_failed_indexes_exceeded() -> Cause {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        Cause::new(Reason::MaxFailedIndexesExceeded, message)
    }

    pub fn failed_indexes() -> Cause {
        Cause::new(Reason::FailedIndexes, "Job has failed indexes")
    }

    /// The condition that says what is coming, while pods are still active.
    fn interim(&self) -> &'static str {
        match self.reason.is_success() {
            true => well_known::COND_SUCCESS_CRITERIA_MET,
            false => well_known::COND_FAILURE_TARGET,
        }
    }

    /// The condition that ends the Job.
    fn terminal(&self) -> &'static str {
        if self.reason.is_success() { well_known::COND_COMPLETE } else { well_known::COND_FAILED }
    }
}

pub fn is_true(status: &JobStatus, type_: &str) -> bool {
    condition(status, type_).is_some_and(|c| c.status == "True")
}

fn condition<'a>(status: &'a JobStatus, type_: &str) -> Option<&'a JobCondition> {
    status.conditions.iter().flatten().find(|c| c.type_ == type_)
}

/// Complete or Failed: the Job is never touched again.
pub fn is_finished(job: &Job) -> bool {
    job.status.as_ref().is_some_and(has_ended)
}

pub fn has_ended(status: &JobStatus) -> bool {
    is_true(status, well_known::COND_COMPLETE) || is_true(status, well_known::COND_FAILED)
}

/// The cause that was already decided on, by the interim condition that records it.
pub fn decided(status: &JobStatus) -> Option<Cause> {
    for (type_, is_success) in [(well_known::COND_SUCCESS_CRITERIA_MET, true), (well_known::COND_FAILURE_TARGET, false)]
    {
        let Some(found) = condition(status, type_).filter(|c| c.status == "True") else { continue };
        let text = found.reason.clone().unwrap_or_default();
        let known = Reason::KNOWN.iter().find(|(r, name)| *name == text && r.is_success() == is_success);
        let reason = known.map_or(Reason::Foreign { is_success }, |(reason, _)| *reason);
        return Some(Cause { reason, text, message: found.message.clone().unwrap_or_default() });
    }
    None
}

/// Records that the Job is about to end.
pub fn set_interim(status: &mut JobStatus, cause: &Cause, now: Timestamp) {
    add(status, cause.interim(), cause, now);
}

/// Records that the Job has ended; with [`well_known::COND_FINISHED`] if it asks for that.
pub fn set_terminal(status: &mut JobStatus, cause: &Cause, asks_for_finished: bool, now: Timestamp) {
    status.start_time.get_or_insert_with(|| meta::time(now));
    add(status, cause.terminal(), cause, now);
    if asks_for_finished {
        add(status, well_known::COND_FINISHED, cause, now);
    }
    if cause.reason.is_success() {
        status.completion_time = Some(meta::time(now));
    }
}

fn add(status: &mut JobStatus, type_: &str, cause: &Cause, now: Timestamp) {
    if !is_true(status, type_) {
        set(status, type_, true, &cause.text, &cause.message, now);
    }
}

/// Sets a condition, where it is in the list if it is there.
fn set(status: &mut JobStatus, type_: &str, value: bool, reason: &str, message: &str, now: Timestamp) {
    let new = JobCondition {
        type_: type_.to_owned(),
        status: if value { "True" } else { "False" }.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(meta::time(now)),
        last_transition_time: Some(meta::time(now)),
    };
    let conditions = status.conditions.get_or_insert_default();
    match conditions.iter_mut().find(|c| c.type_ == type_) {
        Some(old) => *old = new,
        None => conditions.push(new),
    }
}

/// Records whether the Job is suspended; answers whether that is news. One that never was says nothing.
pub fn set_suspended(status: &mut JobStatus, suspended: bool, now: Timestamp) -> bool {
    if is_true(status, well_known::COND_SUSPENDED) == suspended {
        return false;
    }
    let (reason, message) = if suspended { ("JobSuspended", "Job suspended") } else { ("JobResumed", "Job resumed") };
    set(status, well_known::COND_SUSPENDED, suspended, reason, message, now);
    true
}

/// A counter that Kubernetes leaves out when it is zero.
pub fn unless_zero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}
