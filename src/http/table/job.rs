//! `kubectl get jobs` (`printJob`).

use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::column::{AGE, Column, NAME, NONE};
use super::{age_of, name_of};
use crate::api::selector::Selector;
use crate::api::{age, meta, well_known};

pub(super) const CONTAINERS: Column = Column::wide("Containers", "Names of each container in the template.");
pub(super) const IMAGES: Column = Column::wide("Images", "Images referenced by each container in the template.");
pub(super) const SELECTOR: Column = Column::wide(
    "Selector",
    "A label query over pods that should match the pod count. Normally, the system sets this field for you. More \
     info: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
);

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Status", "Status of the job."),
    Column::text(
        "Completions",
        "The number of pods which reached phase Succeeded. The value increases monotonically for a given spec. \
         However, it may decrease in reaction to scale down of elastic indexed jobs.",
    ),
    Column::text("Duration", "Time required to complete the job."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn cells(job: &Job, now: Timestamp) -> Vec<Value> {
    let pod = job.spec.as_ref().and_then(|s| s.template.spec.as_ref());
    vec![
        name_of(&job.metadata),
        status(job).into(),
        completions(job).into(),
        duration(job.status.as_ref(), now).into(),
        age_of(&job.metadata, now),
        names(pod).into(),
        images(pod).into(),
        selector(job.spec.as_ref().and_then(|s| s.selector.as_ref())).into(),
    ]
}

/// The names of a pod's containers.
pub(super) fn names(pod: Option<&PodSpec>) -> String {
    let containers = pod.iter().flat_map(|p| &p.containers);
    containers.map(|c| c.name.as_str()).collect::<Vec<_>>().join(",")
}

/// Their images.
pub(super) fn images(pod: Option<&PodSpec>) -> String {
    let containers = pod.iter().flat_map(|p| &p.containers);
    containers.map(|c| c.image.as_deref().unwrap_or_default()).collect::<Vec<_>>().join(",")
}

fn status(job: &Job) -> &'static str {
    let is = |wanted: &str| {
        let mut conditions = job.status.iter().flat_map(|s| s.conditions.iter().flatten());
        conditions.any(|c| c.type_ == wanted && c.status == "True")
    };
    if is(well_known::COND_COMPLETE) {
        "Complete"
    } else if is(well_known::COND_FAILED) {
        "Failed"
    } else if meta::is_deleting(&job.metadata) {
        "Terminating"
    } else if is(well_known::COND_SUSPENDED) {
        "Suspended"
    } else if is(well_known::COND_FAILURE_TARGET) {
        "FailureTarget"
    } else if is(well_known::COND_SUCCESS_CRITERIA_MET) {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

/// `done/wanted`; a work queue wants one success of any of its workers.
fn completions(job: &Job) -> String {
    let succeeded = job.status.as_ref().and_then(|s| s.succeeded).unwrap_or(0);
    let spec = job.spec.as_ref();
    match (spec.and_then(|s| s.completions), spec.and_then(|s| s.parallelism).unwrap_or(0)) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, workers) if workers > 1 => format!("{succeeded}/1 of {workers}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

/// Until the completion, or until now: a failed Job has no completion time and keeps counting.
fn duration(status: Option<&JobStatus>, now: Timestamp) -> String {
    let Some(start) = status.and_then(|s| s.start_time.as_ref()) else {
        return String::new();
    };
    let end = status.and_then(|s| s.completion_time.as_ref()).map_or(now, |t| t.0);
    age::human(end.duration_since(start.0))
}

/// The selector in the form that `-l` takes (`FormatLabelSelector`).
pub(super) fn selector(selector: Option<&LabelSelector>) -> String {
    match Selector::compile(selector).map(|s| s.to_string()) {
        Ok(text) if text.is_empty() => NONE.to_owned(),
        Ok(text) => text,
        Err(_) => "<error>".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{cells_of, now};
    use crate::api::Kind;

    fn job_cells(value: Value) -> Value {
        cells_of(Kind::Job, value)
    }

    #[test]
    fn a_running_job_shows_all_its_columns() {
        let value = json!({
            "metadata": {"name": "pi", "creationTimestamp": now(-65)},
            "spec": {
                "completions": 5, "parallelism": 2,
                "selector": {"matchLabels": {"b": "x", "a": "y"}, "matchExpressions": [
                    {"key": "c", "operator": "In", "values": ["z", "k"]}, {"key": "aa", "operator": "DoesNotExist"}]},
                "template": {"spec": {"containers": [{"name": "m", "image": "pi"}, {"name": "n", "image": "e:1"}]}}},
            "status": {"startTime": now(-60), "succeeded": 2},
        });
        let expected = json!(["pi", "Running", "2/5", "60s", "65s", "m,n", "pi,e:1", "a=y,!aa,b=x,c in (k,z)"]);
        assert_eq!(job_cells(value), expected);
    }

    #[test]
    fn the_first_condition_of_the_order_is_the_status() {
        let cases = [
            (vec!["Complete", "SuccessCriteriaMet"], false, "Complete"),
            (vec!["FailureTarget", "Failed"], true, "Failed"),
            (vec!["Suspended"], true, "Terminating"),
            (vec!["Suspended"], false, "Suspended"),
            (vec!["FailureTarget"], false, "FailureTarget"),
            (vec!["SuccessCriteriaMet"], false, "SuccessCriteriaMet"),
            (vec![], false, "Running"),
        ];
        for (types, deleting, status) in cases {
            let conditions: Vec<Value> = types.iter().map(|t| json!({"type": t, "status": "True"})).collect();
            let metadata = if deleting { json!({"deletionTimestamp": now(0)}) } else { json!({}) };
            let value = json!({"metadata": metadata, "status": {"conditions": conditions}});
            assert_eq!(job_cells(value)[1], status, "{types:?}");
        }
        let not_true = json!({"status": {"conditions": [{"type": "Complete", "status": "False"}]}});
        assert_eq!(job_cells(not_true)[1], "Running");
    }

    #[test]
    fn completions_tell_a_work_queue_from_a_count() {
        let of = |spec: Value| job_cells(json!({"spec": spec, "status": {"succeeded": 1}}))[2].clone();
        assert_eq!(of(json!({"completions": 3, "parallelism": 9})), "1/3");
        assert_eq!(of(json!({"parallelism": 3})), "1/1 of 3");
        assert_eq!(of(json!({"parallelism": 1})), "1/1");
        assert_eq!(of(json!({})), "1/1");
    }

    #[test]
    fn the_duration_ends_with_the_job() {
        assert_eq!(job_cells(json!({}))[3], "");
        let done = json!({"status": {"startTime": now(-600), "completionTime": now(-590)}});
        assert_eq!(job_cells(done)[3], "10s");
    }

    #[test]
    fn an_empty_selector_is_none_and_a_wrong_one_an_error() {
        let of = |selector: Value| job_cells(json!({"spec": {"selector": selector}}))[7].clone();
        assert_eq!(of(json!(null)), "<none>");
        assert_eq!(of(json!({})), "<none>");
        assert_eq!(of(json!({"matchExpressions": [{"key": "a", "operator": "Near"}]})), "<error>");
        assert_eq!(of(json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]})), "a");
    }
}
