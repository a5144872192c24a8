//! What is written into a Job's status: counters, conditions, and the words for each end (kubernetes
//! `pkg/controller/job/job_controller.go`).

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus};

use crate::api::{meta, well_known};

/// Why a Job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    CompletionsReached,
    BackoffLimitExceeded,
    DeadlineExceeded,
}

impl Cause {
    pub fn is_success(&self) -> bool {
        matches!(self, Cause::CompletionsReached)
    }

    pub fn reason(&self) -> &'static str {
        match self {
            Cause::CompletionsReached => "CompletionsReached",
            Cause::BackoffLimitExceeded => "BackoffLimitExceeded",
            Cause::DeadlineExceeded => "DeadlineExceeded",
        }
    }

    pub fn message(&self) -> &'static str {
        match self {
            Cause::CompletionsReached => "Reached expected number of succeeded pods",
            Cause::BackoffLimitExceeded => "Job has reached the specified backoff limit",
            Cause::DeadlineExceeded => "Job was active longer than specified deadline",
        }
    }

    /// The condition that says what is coming, while pods are still active.
    fn interim(&self) -> &'static str {
        if self.is_success() { well_known::COND_SUCCESS_CRITERIA_MET } else { well_known::COND_FAILURE_TARGET }
    }

    /// The condition that ends the Job.
    fn terminal(&self) -> &'static str {
        if self.is_success() { well_known::COND_COMPLETE } else { well_known::COND_FAILED }
    }
}

fn is_true(status: &JobStatus, type_: &str) -> bool {
    status.conditions.iter().flatten().any(|c| c.type_ == type_ && c.status == "True")
}

/// Complete or Failed: the Job is never touched again.
pub fn is_finished(job: &Job) -> bool {
    job.status.as_ref().is_some_and(|s| is_true(s, well_known::COND_COMPLETE) || is_true(s, well_known::COND_FAILED))
}

/// The cause that was already decided on, by the interim condition that records it.
pub fn decided(status: &JobStatus) -> Option<Cause> {
    if is_true(status, well_known::COND_SUCCESS_CRITERIA_MET) {
        return Some(Cause::CompletionsReached);
    }
    let is_target = |c: &&JobCondition| c.type_ == well_known::COND_FAILURE_TARGET && c.status == "True";
    let target = status.conditions.iter().flatten().find(is_target)?;
    match target.reason.as_deref() {
        Some("DeadlineExceeded") => Some(Cause::DeadlineExceeded),
        _ => Some(Cause::BackoffLimitExceeded),
    }
}

/// Records that the Job is about to end.
pub fn set_interim(status: &mut JobStatus, cause: &Cause, now: Timestamp) {
    add(status, cause.interim(), cause, now);
}

/// Records that the Job has ended.
pub fn set_terminal(status: &mut JobStatus, cause: &Cause, now: Timestamp) {
    add(status, cause.terminal(), cause, now);
    if cause.is_success() {
        status.completion_time = Some(meta::time(now));
    }
}

fn add(status: &mut JobStatus, type_: &str, cause: &Cause, now: Timestamp) {
    if is_true(status, type_) {
        return;
    }
    status.conditions.get_or_insert_default().push(JobCondition {
        type_: type_.to_owned(),
        status: "True".to_owned(),
        reason: Some(cause.reason().to_owned()),
        message: Some(cause.message().to_owned()),
        last_probe_time: Some(meta::time(now)),
        last_transition_time: Some(meta::time(now)),
    });
}

/// A counter that Kubernetes leaves out when it is zero.
pub fn unless_zero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}
