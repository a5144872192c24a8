//! `kiln.dev/rerun`: a new value on a Job that has finished runs it again. `rerun-failed` runs the indexes of an Indexed
//! Job that have not succeeded, `rerun-all` all of its work; each may be followed by a colon and any text, so that the
//! same can be asked for again. Values that were there before the Job had finished ask for nothing.
//!
//! The record of the earlier attempt is kept in the annotation `kiln.dev/attempts`, and its pods stay.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobStatus, UncountedTerminatedPods};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::indexed::{has_limit_per_index, is_indexed};
use super::reconcile::note_start;
use crate::api::job::rerun::Scope;
use crate::api::{meta, well_known};

/// Attempts that are remembered.
const MOST: usize = 20;
/// Bytes of an index list that are remembered; annotations have a limit together.
const MOST_BYTES: usize = 1024;

/// How an attempt ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Attempt {
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    /// When the next one was begun.
    rerun_time: String,
    /// `Complete` or `Failed`.
    condition: String,
    reason: String,
    message: String,
    succeeded: i32,
    failed: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_indexes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_indexes: Option<String>,
}

/// The finished Job as it begins again, if it is asked for.
pub fn again(job: &Job, now: Timestamp) -> Option<Job> {
    let value = meta::annotation(&job.metadata, well_known::ANNOTATION_RERUN)?;
    if meta::annotation(&job.metadata, well_known::ANNOTATION_RERUN_SEEN) == Some(value) {
        return None;
    }
    let scope = Scope::parse(value).ok()?;
    let spec = job.spec.as_ref()?;
    let status = job.status.as_ref()?;
    let mut attempts = attempts(job);
    attempts.push(attempt(status, now));
    let dropped = attempts.len().saturating_sub(MOST);
    attempts.drain(..dropped);
    let mut next = job.clone();
    let text = serde_json::to_string(&attempts).expect("text and numbers serialise without error");
    meta::set_annotation(&mut next.metadata, well_known::ANNOTATION_ATTEMPTS, text);
    note_seen(&mut next.metadata);
    note_start(&mut next.metadata, spec, now);
    let keeps = scope == Scope::Failed && is_indexed(spec);
    next.status = Some(JobStatus {
        completed_indexes: status.completed_indexes.clone().filter(|_| keeps),
        succeeded: status.succeeded.filter(|_| keeps),
        failed_indexes: has_limit_per_index(spec).then(String::new),
        start_time: Some(meta::time(now)),
        uncounted_terminated_pods: Some(UncountedTerminatedPods::default()),
        ..JobStatus::default()
    });
    Some(next)
}

fn attempt(status: &JobStatus, now: Timestamp) -> Attempt {
    let ends = [well_known::COND_COMPLETE, well_known::COND_FAILED];
    let end = status.conditions.iter().flatten().find(|c| ends.contains(&c.type_.as_str()) && c.status == "True");
    let short = |text: &Option<String>| {
        let text = text.as_ref().filter(|text| !text.is_empty())?;
        Some(match text.get(..MOST_BYTES) {
            Some(start) if start.len() < text.len() => format!("{start}…"),
            _ => text.clone(),
        })
    };
    Attempt {
        start_time: status.start_time.as_ref().map(|time| time.0.to_string()),
        rerun_time: meta::format_micros(now),
        condition: end.map(|c| c.type_.clone()).unwrap_or_default(),
        reason: end.and_then(|c| c.reason.clone()).unwrap_or_default(),
        message: end.and_then(|c| c.message.clone()).unwrap_or_default(),
        succeeded: status.succeeded.unwrap_or(0),
        failed: status.failed.unwrap_or(0),
        completed_indexes: short(&status.completed_indexes),
        failed_indexes: short(&status.failed_indexes),
    }
}

/// What is remembered; nothing if somebody wrote something else there.
fn attempts(job: &Job) -> Vec<Attempt> {
    let text = meta::annotation(&job.metadata, well_known::ANNOTATION_ATTEMPTS);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// When the present attempt began, if there was one before.
pub fn began(job: &Job) -> Option<Timestamp> {
    meta::parse_micros(&attempts(job).last()?.rerun_time)
}

/// Remembers what was asked for, so that it is not done (again).
pub fn note_seen(metadata: &mut ObjectMeta) {
    match meta::annotation(metadata, well_known::ANNOTATION_RERUN).map(str::to_owned) {
        Some(value) => meta::set_annotation(metadata, well_known::ANNOTATION_RERUN_SEEN, value),
        None => {
            if let Some(annotations) = &mut metadata.annotations {
                annotations.remove(well_known::ANNOTATION_RERUN_SEEN);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn finished(mode: &str) -> Job {
        serde_json::from_value(json!({
            "metadata": {"name": "j", "annotations": {"kiln.dev/rerun": "rerun-failed:1"}},
            "spec": {"completionMode": mode, "completions": 5, "backoffLimitPerIndex": 0, "template": {}},
            "status": {"succeeded": 3, "failed": 2, "completedIndexes": "0-2", "failedIndexes": "3,4",
                "startTime": "2026-01-01T00:00:00Z",
                "conditions": [{"type": "FailureTarget", "status": "True", "reason": "FailedIndexes"},
                    {"type": "Failed", "status": "True", "reason": "FailedIndexes", "message": "Job has failed indexes"}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_new_value_runs_the_failed_indexes_and_the_record_is_kept() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let job = again(&finished("Indexed"), now).unwrap();
        let status = job.status.clone().unwrap();
        assert_eq!((status.succeeded, status.failed, status.start_time.map(|t| t.0)), (Some(3), None, Some(now)));
        assert_eq!((status.completed_indexes.as_deref(), status.failed_indexes.as_deref()), (Some("0-2"), Some("")));
        assert_eq!((status.conditions, status.completion_time), (None, None));
        assert_eq!(began(&job), Some(now));
        let kept = &attempts(&job)[0];
        assert_eq!((kept.condition.as_str(), kept.reason.as_str(), kept.failed), ("Failed", "FailedIndexes", 2));
        assert_eq!(kept.failed_indexes.as_deref(), Some("3,4"));
        let mut same = finished("Indexed");
        same.metadata = job.metadata.clone();
        assert_eq!(again(&same, now), None, "done once");
        meta::set_annotation(&mut same.metadata, well_known::ANNOTATION_RERUN, "rerun-all");
        let all = again(&same, now).unwrap();
        assert_eq!((all.status.as_ref().unwrap().completed_indexes.as_ref(), attempts(&all).len()), (None, 2));
    }

    #[test]
    fn the_record_is_bounded() {
        let mut job = finished("Indexed");
        job.status.as_mut().unwrap().completed_indexes = Some("1,".repeat(100_000));
        for token in 0..50 {
            meta::set_annotation(&mut job.metadata, well_known::ANNOTATION_RERUN, format!("rerun-all:{token}"));
            let next = again(&job, Timestamp::UNIX_EPOCH).unwrap();
            job.metadata = next.metadata;
        }
        assert_eq!(attempts(&job).len(), MOST);
        assert!(meta::annotation(&job.metadata, well_known::ANNOTATION_ATTEMPTS).unwrap().len() < 40_000);
    }
}
