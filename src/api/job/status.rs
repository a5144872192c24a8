//! What a Job's status must satisfy when a client writes it (`validateJobStatus` and `ValidateJobStatusUpdate` in
//! `pkg/apis/batch/validation`, with the options of `pkg/registry/batch/job/strategy.go`, about 1.36).
//!
//! An end is told once and whole: Complete follows SuccessCriteriaMet and has its time, Failed follows FailureTarget, none
//! of them is taken back, and nothing runs afterwards. Counts are not negative and do not shrink. Most rules are asked only
//! of what the write changes: a Job that breaks one already, for instance because its spec was scaled down a moment ago,
//! must not keep its controller from writing something else.

use std::collections::HashSet;

use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};

use crate::api::field::{Fault, FieldError, Path};
use crate::api::job::annotations;
use crate::api::job::success_policy::{count_indexes, parse_interval};
use crate::api::validate_meta::{json, non_negative, semantically_equal};
use crate::api::well_known::{
    COND_COMPLETE, COND_FAILED, COND_FAILURE_TARGET, COND_SUCCESS_CRITERIA_MET, COND_SUSPENDED,
};

/// The spec that counts is that of `old`: a write of the status does not change it.
pub fn validate_status(new: &Job, old: &Job, faults: &mut Vec<FieldError>) {
    // A write of the status may change annotations too.
    annotations::validate(&new.metadata, &Path::root("metadata"), faults);
    let (status, before) = (new.status.clone().unwrap_or_default(), old.status.clone().unwrap_or_default());
    let spec = old.spec.clone().unwrap_or_default();
    let mut write = Write { path: Path::root("status"), spec: &spec, new: &status, old: &before, faults };
    write.counters();
    write.uncounted();
    write.ends();
    write.finished();
    write.indexes();
    write.pods();
    write.successes();
    write.what_stays();
}

struct Write<'a> {
    path: Path,
    spec: &'a JobSpec,
    new: &'a JobStatus,
    old: &'a JobStatus,
    faults: &'a mut Vec<FieldError>,
}

fn is_true(status: &JobStatus, condition: &str) -> bool {
    status.conditions.iter().flatten().any(|c| c.type_ == condition && c.status == "True")
}

fn is_finished(status: &JobStatus) -> bool {
    is_true(status, COND_COMPLETE) || is_true(status, COND_FAILED)
}

/// Pods that have ended and are not counted yet.
fn uncounted(status: &JobStatus) -> usize {
    let lists = status.uncounted_terminated_pods.iter().flat_map(|pods| [&pods.succeeded, &pods.failed]);
    lists.map(|uids| uids.as_ref().map_or(0, Vec::len)).sum()
}

impl Write<'_> {
    fn is(&self, condition: &str) -> bool {
        is_true(self.new, condition)
    }

    /// Whether the write gives or takes one of these conditions.
    fn changes(&self, conditions: &[&str]) -> bool {
        conditions.iter().any(|condition| is_true(self.new, condition) != is_true(self.old, condition))
    }

    fn finished_changes(&self) -> bool {
        is_finished(self.new) != is_finished(self.old)
    }

    fn start_changes(&self) -> bool {
        self.new.start_time != self.old.start_time
    }

    fn completion_changes(&self) -> bool {
        self.new.completion_time != self.old.completion_time
    }

    /// Kubernetes leaves the value out of faults in conditions.
    fn wrong_conditions(&mut self, detail: &str) {
        let field = self.path.child("conditions").to_string();
        self.faults.push(FieldError { fault: Fault::Invalid, field, message: format!("Invalid value: {detail}") });
    }

    fn invalid(&mut self, field: &str, value: impl Into<serde_json::Value>, detail: impl std::fmt::Display) {
        self.faults.push(FieldError::invalid(&self.path.child(field), value, detail));
    }

    fn required(&mut self, field: &str, detail: &str) {
        self.faults.push(FieldError::required(&self.path.child(field), detail));
    }

    fn counters(&mut self) {
        let status = self.new;
        let counters = [
            ("active", status.active),
            ("succeeded", status.succeeded),
            ("failed", status.failed),
            ("ready", status.ready),
            ("terminating", status.terminating),
        ];
        for (field, value) in counters {
            non_negative(value, &self.path.child(field), self.faults);
        }
    }

    /// Each pod stands in one of the two lists, once.
    fn uncounted(&mut self) {
        let Some(pods) = &self.new.uncounted_terminated_pods else { return };
        let path = self.path.child("uncountedTerminatedPods");
        let mut seen = HashSet::new();
        for (field, uids) in [("succeeded", &pods.succeeded), ("failed", &pods.failed)] {
            for (i, uid) in uids.iter().flatten().enumerate() {
                let at = path.child(field).index(i);
                if uid.is_empty() {
                    self.faults.push(FieldError::invalid(&at, uid.as_str(), "must not be empty"));
                } else if !seen.insert(uid) {
                    self.faults.push(FieldError::duplicate(&at, uid.as_str()));
                }
            }
        }
    }

    /// Complete and Failed, what must have been announced before them, and the time of the former.
    fn ends(&mut self) {
        let (complete, failed) = (self.is(COND_COMPLETE), self.is(COND_FAILED));
        let target = self.is(COND_FAILURE_TARGET);
        if complete && failed && self.changes(&[COND_COMPLETE, COND_FAILED]) {
            self.wrong_conditions("cannot set Complete=True and Failed=true conditions");
        }
        if complete && target && self.changes(&[COND_COMPLETE, COND_FAILURE_TARGET]) {
            self.wrong_conditions("cannot set Complete=True and FailureTarget=true conditions");
        }
        let (start, completion) = (&self.new.start_time, &self.new.completion_time);
        if self.changes(&[COND_COMPLETE]) || self.completion_changes() {
            match completion {
                Some(time) if !complete => {
                    let detail = "cannot set completionTime when there is no Complete=True condition";
                    self.invalid("completionTime", json(time), detail);
                }
                None if complete => self.required("completionTime", "completionTime is required for Complete jobs"),
                _ => {}
            }
        }
        if let (Some(start), Some(completion)) = (start, completion)
            && completion.0 < start.0
            && (self.start_changes() || self.completion_changes())
        {
            self.invalid("completionTime", json(completion), "completionTime cannot be set before startTime");
        }
        if failed && !target && self.changes(&[COND_FAILED, COND_FAILURE_TARGET]) {
            self.wrong_conditions("cannot set Failed=True condition without the FailureTarget=true condition");
        }
        if complete && !self.is(COND_SUCCESS_CRITERIA_MET) && self.changes(&[COND_COMPLETE, COND_SUCCESS_CRITERIA_MET])
        {
            self.wrong_conditions("cannot set Complete=True condition without the SuccessCriteriaMet=true condition");
        }
    }

    /// A Job that is over has begun, and nothing of it runs or waits to be counted.
    fn finished(&mut self) {
        if !is_finished(self.new) {
            return;
        }
        let (status, before) = (self.new, self.old);
        let ends_now = self.finished_changes();
        let active = status.active.unwrap_or(0);
        if active > 0 && (ends_now || active != before.active.unwrap_or(0)) {
            self.invalid("active", active, "active>0 is invalid for finished job");
        }
        if status.start_time.is_none() && (ends_now || self.start_changes()) {
            self.required("startTime", "startTime is required for finished job");
        }
        let lists = &status.uncounted_terminated_pods;
        let lists_change = !semantically_equal(lists, &before.uncounted_terminated_pods);
        if uncounted(status) > 0 && (ends_now || lists_change) {
            let detail = "uncountedTerminatedPods needs to be empty for finished job";
            self.invalid("uncountedTerminatedPods", json(lists), detail);
        }
    }

    fn indexes(&mut self) {
        let (status, before, spec) = (self.new, self.old, self.spec);
        let completed = status.completed_indexes.as_deref().unwrap_or_default();
        let failed = status.failed_indexes.as_deref();
        let completed_change = completed != before.completed_indexes.as_deref().unwrap_or_default();
        let failed_change = failed != before.failed_indexes.as_deref();
        if completed_change
            && let Some(completions) = spec.completions
            && let Err(error) = count_indexes(completed, completions)
        {
            self.invalid("completedIndexes", completed, format!("error parsing completedIndexes: {error}"));
        }
        if failed_change
            && spec.backoff_limit_per_index.is_some()
            && let (Some(completions), Some(failed)) = (spec.completions, failed)
            && let Err(error) = count_indexes(failed, completions)
        {
            self.invalid("failedIndexes", failed, format!("error parsing failedIndexes: {error}"));
        }
        if completed_change && !completed.is_empty() && !is_indexed(spec) {
            let detail = "cannot set non-empty completedIndexes when non-indexed completion mode";
            self.invalid("completedIndexes", completed, detail);
        }
        let Some(failed) = failed else { return };
        if failed_change && spec.backoff_limit_per_index.is_none() {
            let detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
            self.invalid("failedIndexes", failed, detail);
        }
        if (completed_change || failed_change)
            && let Some(completions) = spec.completions
            && let Some(index) = common(completed, failed, completions)
        {
            let detail = format!("failedIndexes and completedIndexes overlap at index: {index}");
            self.invalid("failedIndexes", failed, detail);
        }
    }

    fn pods(&mut self) {
        let (status, before) = (self.new, self.old);
        let count = |count: Option<i32>| count.unwrap_or(0);
        let terminating = count(status.terminating);
        let terminating_change = status.terminating != before.terminating;
        if is_finished(status) && terminating > 0 && (self.finished_changes() || terminating_change) {
            self.invalid("terminating", terminating, "terminating>0 is invalid for finished job");
        }
        let change = status.ready != before.ready || count(status.active) != count(before.active);
        if let Some(ready) = status.ready.filter(|ready| *ready > count(status.active) && change) {
            self.invalid("ready", ready, "cannot set more ready pods than active");
        }
    }

    fn successes(&mut self) {
        let met = self.is(COND_SUCCESS_CRITERIA_MET);
        if met && self.is(COND_FAILED) {
            self.wrong_conditions("cannot set SuccessCriteriaMet=True and Failed=true conditions");
        }
        if met && self.is(COND_FAILURE_TARGET) {
            self.wrong_conditions("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
        }
        if self.spec.success_policy.is_some() && !met && self.is(COND_COMPLETE) {
            let detail = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
            self.wrong_conditions(detail);
        }
    }

    fn what_stays(&mut self) {
        let (status, before) = (self.new, self.old);
        for ended in [COND_FAILED, COND_COMPLETE, COND_FAILURE_TARGET] {
            if is_true(before, ended) && !self.is(ended) {
                self.wrong_conditions(&format!("cannot disable the terminal {ended}=True condition"));
            }
        }
        let (failed, succeeded) = (status.failed.unwrap_or(0), status.succeeded.unwrap_or(0));
        if failed < before.failed.unwrap_or(0) {
            self.invalid("failed", failed, "cannot decrease the failed counter");
        }
        // One that may be scaled down forgets the indexes that it loses.
        let shrinks = is_indexed(self.spec) && self.spec.completions == self.spec.parallelism;
        if succeeded < before.succeeded.unwrap_or(0) && !shrinks {
            self.invalid("succeeded", succeeded, "cannot decrease the succeeded counter");
        }
        if let (Some(time), Some(earlier)) = (&status.completion_time, &before.completion_time)
            && time != earlier
        {
            self.invalid("completionTime", json(time), "completionTime cannot be mutated");
        }
        // A Job that goes on after it was suspended begins anew.
        let resumes = is_true(before, COND_SUSPENDED) && !self.is(COND_SUSPENDED);
        let suspended = self.spec.suspend == Some(true);
        if before.start_time.is_some() && self.start_changes() && !suspended && !resumes {
            self.required("startTime", "startTime cannot be removed for unsuspended job");
        }
        let (met, was_met) = (self.is(COND_SUCCESS_CRITERIA_MET), is_true(before, COND_SUCCESS_CRITERIA_MET));
        if was_met && !met {
            self.wrong_conditions("cannot disable the SuccessCriteriaMet=True condition");
        }
        if is_true(before, COND_COMPLETE) && !was_met && met {
            let detail = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
            self.wrong_conditions(detail);
        }
    }
}

fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

/// The first index that both texts list. Fragments that cannot be read are told elsewhere.
fn common(completed: &str, failed: &str, completions: i32) -> Option<i32> {
    let read = |text: &str| -> Vec<(i32, i32)> {
        text.split(',').filter_map(|interval| parse_interval(interval, completions).ok()).collect()
    };
    let (completed, failed) = (read(completed), read(failed));
    let (mut completed, mut failed) = (completed.iter().peekable(), failed.iter().peekable());
    while let (Some((a, b)), Some((c, d))) = (completed.peek(), failed.peek()) {
        if a <= d && c <= b {
            return Some(*a.max(c));
        }
        if a <= c {
            completed.next()
        } else {
            failed.next()
        };
    }
    None
}

#[cfg(test)]
#[path = "status_test.rs"]
mod tests;
