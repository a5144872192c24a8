//! What a Job of a CronJob looks like. It passes admission like one that a client creates, so that nothing tells them
//! apart but their owner.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::api::cronjob::schedule::Schedule;
use crate::api::{ApiError, Kind, Object, admission, meta, well_known};
use crate::ids::Ids;

const MINUTE: i64 = 60;

/// The CronJob's name with the minute of the time, so that no time can have two Jobs. Kubernetes would give two times
/// within a minute one name, and so one Job: where they can be as close, the second stands in place of the minute.
pub fn name(cron_job: &CronJob, schedule: &Schedule, time: Timestamp) -> String {
    let number = match schedule {
        Schedule::Every(seconds) if *seconds < MINUTE => time.as_second(),
        _ => time.as_second() / MINUTE,
    };
    format!("{}-{number}", cron_job.metadata.name.as_deref().unwrap_or_default())
}

/// The Job of `time`, as it is stored. `zone` is that of the CronJob, if it names one.
pub fn new_job(
    cron_job: &CronJob,
    name: String,
    time: Timestamp,
    zone: Option<&TimeZone>,
    now: Timestamp,
    ids: &Ids,
) -> Result<Arc<Job>, ApiError> {
    let template = &cron_job.spec.job_template;
    let of_template = template.metadata.as_ref();
    let info = Kind::CronJob.info();
    let mut metadata = ObjectMeta {
        name: Some(name),
        namespace: cron_job.metadata.namespace.clone(),
        labels: of_template.and_then(|m| m.labels.clone()),
        annotations: of_template.and_then(|m| m.annotations.clone()),
        owner_references: Some(vec![OwnerReference {
            api_version: info.api_version(),
            kind: info.kind.to_owned(),
            name: cron_job.metadata.name.clone().unwrap_or_default(),
            uid: cron_job.metadata.uid.clone().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }]),
        ..ObjectMeta::default()
    };
    let local = time.to_zoned(zone.cloned().unwrap_or(TimeZone::UTC));
    meta::set_annotation(&mut metadata, well_known::ANNOTATION_SCHEDULED, rfc3339(&local));
    let job = Job { metadata, spec: template.spec.clone(), status: None };
    let stamp = admission::Stamp { now, uid: ids.uid(), suffix: &ids.suffix() };
    match admission::create(job.into(), &stamp)? {
        Object::Job(job) => Ok(job),
        other => Err(ApiError::Internal(format!("a Job became a {}", other.kind().info().kind))),
    }
}

/// As Go writes it: without an offset it ends in `Z`.
fn rfc3339(time: &Zoned) -> String {
    let offset = if time.offset().seconds() == 0 { "Z" } else { "%:z" };
    time.strftime(&format!("%Y-%m-%dT%H:%M:%S{offset}")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::cronjob::{grammar, zone};
    use serde_json::{Value, json};

    fn cron_job(template: Value) -> CronJob {
        let value = json!({"metadata": {"name": "tick", "namespace": "n", "uid": "cron"},
            "spec": {"schedule": "* * * * *", "jobTemplate": template}});
        serde_json::from_value(value).unwrap()
    }

    fn pod() -> Value {
        json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "pi"}]}})
    }

    fn made(template: Value, zone: Option<&TimeZone>) -> Result<Value, ApiError> {
        let (time, now) = ("2026-07-01T12:01:00Z".parse().unwrap(), "2026-07-01T12:01:02.5Z".parse().unwrap());
        let job = new_job(&cron_job(template), "tick-1".to_owned(), time, zone, now, &Ids::seeded(1))?;
        Ok(serde_json::to_value(&*job).unwrap())
    }

    #[test]
    fn the_name_tells_the_time() {
        let time = "2026-01-01T12:01:00Z".parse().unwrap();
        let name = |schedule: &str| name(&cron_job(json!({})), &grammar::parse(schedule).unwrap(), time);
        assert_eq!(name("* * * * *"), format!("tick-{}", 1_767_268_860 / 60));
        assert_eq!(name("@every 60s"), name("* * * * *"));
        assert_eq!(name("@every 59s"), "tick-1767268860");
    }

    #[test]
    fn a_job_has_what_its_template_says_what_a_client_would_get_and_its_time() {
        let job = made(
            json!({"metadata": {"name": "ignored", "labels": {"a": "b"}, "annotations": {"c": "d"}},
                "spec": {"backoffLimit": 2, "template": pod()}}),
            None,
        )
        .unwrap();
        let meta = &job["metadata"];
        assert_eq!((&meta["name"], &meta["namespace"]), (&json!("tick-1"), &json!("n")));
        assert_eq!(meta["creationTimestamp"], "2026-07-01T12:01:02Z");
        assert_eq!((meta["uid"].as_str().unwrap().len(), &meta["generation"]), (36, &json!(1)));
        assert_eq!(meta["labels"], json!({"a": "b"}));
        let scheduled = "batch.kubernetes.io/cronjob-scheduled-timestamp";
        assert_eq!(meta["annotations"], json!({"c": "d", scheduled: "2026-07-01T12:01:00Z"}));
        let owner = json!([{"apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "uid": "cron",
            "controller": true, "blockOwnerDeletion": true}]);
        assert_eq!(meta["ownerReferences"], owner);
        let spec = &job["spec"];
        assert_eq!((&spec["completions"], &spec["backoffLimit"], &job["status"]), (&json!(1), &json!(2), &json!({})));
        assert_eq!(spec["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"], meta["uid"]);
        assert_eq!(spec["template"]["metadata"]["labels"]["job-name"], "tick-1");
    }

    #[test]
    fn without_labels_of_its_own_a_job_has_those_of_its_pods() {
        let job = made(json!({"spec": {"template": pod()}}), None).unwrap();
        assert_eq!(job["metadata"]["labels"]["batch.kubernetes.io/job-name"], "tick-1");
    }

    #[test]
    fn the_time_is_told_in_the_zone_of_the_cron_job() {
        let annotation = |name: &str| {
            let job = made(json!({"spec": {"template": pod()}}), zone::named(name).as_ref()).unwrap();
            job["metadata"]["annotations"][well_known::ANNOTATION_SCHEDULED].clone()
        };
        assert_eq!(annotation("America/New_York"), "2026-07-01T08:01:00-04:00");
        assert_eq!(annotation("Asia/Kathmandu"), "2026-07-01T17:46:00+05:45");
        assert_eq!(annotation("Atlantic/Reykjavik"), "2026-07-01T12:01:00Z");
    }

    #[test]
    fn a_template_that_makes_no_legal_job_is_refused() {
        let labels = json!({"metadata": {"labels": {"a": "-"}}, "spec": {"template": pod()}});
        let refused = made(labels, None).unwrap_err().to_string();
        assert!(refused.starts_with("Job.batch \"tick-1\" is invalid: metadata.labels"), "{refused}");
    }
}
