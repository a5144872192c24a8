//! What a Job's status must satisfy when a client writes it (`validateJobStatus` in `pkg/apis/batch/validation`, about 1.34):
//! counters are not negative, and an end is told once.

use k8s_openapi::api::batch::v1::{Job, JobStatus};

use crate::api::field::{Fault, FieldError, Path};
use crate::api::job::annotations;
use crate::api::validate_meta::{json, non_negative};
use crate::api::well_known::{COND_COMPLETE, COND_FAILED, COND_FAILURE_TARGET, COND_SUCCESS_CRITERIA_MET};

pub fn validate_status(new: &Job, old: &Job, faults: &mut Vec<FieldError>) {
    // A write of the status may change annotations too.
    annotations::validate(&new.metadata, &Path::root("metadata"), faults);
    let path = Path::root("status");
    let status = new.status.clone().unwrap_or_default();
    let before = old.status.clone().unwrap_or_default();
    let counters = [
        ("active", status.active),
        ("succeeded", status.succeeded),
        ("failed", status.failed),
        ("ready", status.ready),
        ("terminating", status.terminating),
    ];
    for (field, value) in counters {
        non_negative(value, &path.child(field), faults);
    }
    let complete = is_true(&status, COND_COMPLETE);
    let failed = is_true(&status, COND_FAILED);
    let conditions = path.child("conditions");
    let mut wrong = |detail: &str| {
        // Kubernetes leaves the value out of these.
        let message = format!("Invalid value: {detail}");
        faults.push(FieldError { fault: Fault::Invalid, field: conditions.to_string(), message });
    };
    if complete && failed {
        wrong("cannot set Complete=True and Failed=true conditions");
    }
    if complete && is_true(&status, COND_FAILURE_TARGET) {
        wrong("cannot set Complete=True and FailureTarget=true conditions");
    }
    if failed && !is_true(&status, COND_FAILURE_TARGET) {
        wrong("cannot set Failed=True condition without the FailureTarget=true condition");
    }
    if complete && !is_true(&status, COND_SUCCESS_CRITERIA_MET) {
        wrong("cannot set Complete=True condition without the SuccessCriteriaMet=true condition");
    }
    for ended in [COND_FAILED, COND_COMPLETE, COND_FAILURE_TARGET] {
        if is_true(&before, ended) && !is_true(&status, ended) {
            wrong(&format!("cannot disable the terminal {ended}=True condition"));
        }
    }
    let completed = path.child("completionTime");
    match &status.completion_time {
        Some(time) if !complete => {
            let detail = "cannot set completionTime when there is no Complete=True condition";
            faults.push(FieldError::invalid(&completed, json(time), detail));
        }
        None if complete => {
            faults.push(FieldError::required(&completed, "completionTime is required for Complete jobs"));
        }
        _ => {}
    }
    if (complete || failed) && status.active.unwrap_or(0) > 0 {
        let active = status.active.unwrap_or(0);
        faults.push(FieldError::invalid(&path.child("active"), active, "active>0 is invalid for finished job"));
    }
    if (complete || failed) && status.start_time.is_none() {
        faults.push(FieldError::required(&path.child("startTime"), "startTime is required for finished job"));
    }
    for (field, new, old) in
        [("failed", status.failed, before.failed), ("succeeded", status.succeeded, before.succeeded)]
    {
        if new.unwrap_or(0) < old.unwrap_or(0) {
            let detail = format!("cannot decrease the {field} counter");
            faults.push(FieldError::invalid(&path.child(field), new.unwrap_or(0), detail));
        }
    }
}

fn is_true(status: &JobStatus, condition: &str) -> bool {
    status.conditions.iter().flatten().any(|c| c.type_ == condition && c.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn faults(new: Value, old: Value) -> Vec<String> {
        let [new, old] =
            [new, old].map(|s| serde_json::from_value::<Job>(json!({"metadata": {}, "status": s})).unwrap());
        let mut faults = Vec::new();
        validate_status(&new, &old, &mut faults);
        faults.iter().map(|f| f.field.clone()).collect()
    }

    #[test]
    fn an_end_is_complete_and_stays() {
        let condition = |names: &[&str]| -> Value {
            names.iter().map(|n| json!({"type": n, "status": "True"})).collect::<Vec<_>>().into()
        };
        let time = "2026-01-01T00:00:00Z";
        let done = json!({"conditions": condition(&["SuccessCriteriaMet", "Complete"]), "startTime": time,
            "completionTime": time, "succeeded": 1});
        assert_eq!(faults(done.clone(), json!({})), [] as [String; 0]);
        assert_eq!(faults(json!({"active": -1}), json!({})), ["status.active"]);
        assert_eq!(
            faults(json!({}), done),
            ["status.conditions", "status.succeeded"],
            "neither the end nor what was counted can be taken back"
        );
        let half = json!({"conditions": condition(&["Complete", "Failed"]), "active": 1});
        assert_eq!(faults(half, json!({})).len(), 6);
    }
}
