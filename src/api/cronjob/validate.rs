//! Kubernetes' demands on a CronJob, in its order and words (`pkg/apis/batch/validation/validation.go`, about 1.34).
//! Everything about a CronJob may change.

use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, JobTemplateSpec};

use super::{ALLOW, FORBID, REPLACE, grammar, zone};
use crate::api::field::{FieldError, Path};
use crate::api::job;
use crate::api::names;
use crate::api::validate_meta::{json, non_negative};

/// The name of a Job is that of its CronJob, a dash and the ten digits of a time, and may have 63 characters.
const MAX_NAME: usize = 52;
/// Of one part of a zone's name.
const MAX_ZONE_PART: usize = 14;

/// All faults of a new CronJob apart from its metadata. Expects defaults.
pub fn validate(cron_job: &CronJob, faults: &mut Vec<FieldError>) {
    validate_spec(&cron_job.spec, None, faults);
    let name = cron_job.metadata.name.as_deref().unwrap_or_default();
    if name.len() > MAX_NAME {
        let detail = format!("must be no more than {MAX_NAME} characters");
        faults.push(FieldError::invalid(&Path::root("metadata").child("name"), name, detail));
    }
}

/// All faults of a change, apart from its metadata.
pub fn validate_update(new: &CronJob, old: &CronJob, faults: &mut Vec<FieldError>) {
    validate_spec(&new.spec, Some(&old.spec), faults);
}

fn validate_spec(spec: &CronJobSpec, old: Option<&CronJobSpec>, faults: &mut Vec<FieldError>) {
    let path = Path::root("spec");
    validate_schedule(&spec.schedule, &path.child("schedule"), faults);
    non_negative(spec.starting_deadline_seconds, &path.child("startingDeadlineSeconds"), faults);
    // A zone that is no longer known keeps no other field from being changed.
    if let Some(name) = spec.time_zone.as_deref().filter(|_| old.is_none_or(|old| old.time_zone != spec.time_zone)) {
        validate_time_zone(name, &path.child("timeZone"), faults);
    }
    let policies = [ALLOW, FORBID, REPLACE];
    let at = path.child("concurrencyPolicy");
    match spec.concurrency_policy.as_deref().unwrap_or_default() {
        "" => faults.push(FieldError::required(&at, "")),
        policy if !policies.contains(&policy) => faults.push(FieldError::not_supported(&at, policy, &policies)),
        _ => {}
    }
    validate_template(&spec.job_template, &path.child("jobTemplate").child("spec"), faults);
    non_negative(spec.successful_jobs_history_limit, &path.child("successfulJobsHistoryLimit"), faults);
    non_negative(spec.failed_jobs_history_limit, &path.child("failedJobsHistoryLimit"), faults);
}

fn validate_schedule(schedule: &str, path: &Path, faults: &mut Vec<FieldError>) {
    if schedule.is_empty() {
        faults.push(FieldError::required(path, ""));
        return;
    }
    if let Err(error) = grammar::parse(without_zone(schedule)) {
        faults.push(FieldError::invalid(path, schedule, error));
    }
    // Kubernetes tolerates it on an update of a CronJob that had it before it was refused; here there is none.
    if schedule.contains("TZ") {
        let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        faults.push(FieldError::invalid(path, schedule, detail));
    }
}

/// The schedule behind `TZ=… ` or `CRON_TZ=… `, so that what is refused about it is told once.
fn without_zone(schedule: &str) -> &str {
    let has_zone = schedule.starts_with("TZ=") || schedule.starts_with("CRON_TZ=");
    match schedule.split_once(' ').filter(|_| has_zone) {
        Some((_, rest)) => rest.trim(),
        None => schedule,
    }
}

fn validate_time_zone(name: &str, path: &Path, faults: &mut Vec<FieldError>) {
    if name.is_empty() {
        faults.push(FieldError::invalid(path, name, "timeZone must be nil or non-empty string"));
        return;
    }
    let unknown = format!("unknown time zone {name}");
    if !name.split('/').all(is_zone_part) {
        faults.push(FieldError::invalid(path, name, unknown));
        return;
    }
    if name.eq_ignore_ascii_case("local") {
        let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        faults.push(FieldError::invalid(path, name, detail));
    }
    // Go knows a zone of exactly this name: the machine's.
    if name != "Local" && zone::named(name).is_none() {
        faults.push(FieldError::invalid(path, name, unknown));
    }
}

fn is_zone_part(part: &str) -> bool {
    let right = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
    part != "."
        && part != ".."
        && !part.starts_with('-')
        && (1..=MAX_ZONE_PART).contains(&part.len())
        && part.bytes().all(right)
}

fn validate_template(template: &JobTemplateSpec, path: &Path, faults: &mut Vec<FieldError>) {
    // There after the defaults.
    let Some(spec) = &template.spec else { return };
    job::validate_template_spec(spec, path, faults);
    if let Some(selector) = &spec.selector {
        faults.push(FieldError::invalid(&path.child("selector"), json(selector), "`selector` will be auto-generated"));
    }
    if spec.manual_selector == Some(true) {
        faults.push(FieldError::not_supported(&path.child("manualSelector"), true, &["nil", "false"]));
    }
}

/// What a client is warned of in a CronJob that is accepted.
pub fn warnings(cron_job: &CronJob) -> Vec<String> {
    let faults = names::dns1123_label(cron_job.metadata.name.as_deref().unwrap_or_default());
    if faults.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is \
         recommended: [{}]",
        faults.join(" ")
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::cronjob::defaults::default_spec;
    use serde_json::{Value, json};

    fn cron_job(name: &str, fields: Value) -> CronJob {
        let mut spec = json!({"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec":
            {"restartPolicy": "Never", "containers": [{"name": "c", "image": "pi"}]}}}}});
        for (field, value) in fields.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let value = json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec});
        let mut cron_job: CronJob = serde_json::from_value(value).unwrap();
        default_spec(&mut cron_job.spec);
        cron_job
    }

    fn faults(fields: Value) -> Vec<String> {
        let mut faults = Vec::new();
        validate(&cron_job("a", fields), &mut faults);
        faults.iter().map(ToString::to_string).collect()
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn a_schedule_is_demanded_and_read() {
        for schedule in ["*/1 * * * ?", "* */1 * * ?", "@every 90s", "@hourly", "0 0 31 2 *"] {
            assert_eq!(faults(json!({"schedule": schedule})), NONE, "{schedule}");
        }
        assert_eq!(faults(json!({"schedule": ""})), ["spec.schedule: Required value"]);
        assert_eq!(
            faults(json!({"schedule": "* * * * 7"})),
            ["spec.schedule: Invalid value: \"* * * * 7\": end of range (7) above maximum (6): 7"]
        );
        let zone = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        for schedule in ["TZ=UTC * * * * *", "CRON_TZ=Europe/Berlin @daily"] {
            assert_eq!(
                faults(json!({"schedule": schedule})),
                [format!("spec.schedule: Invalid value: {schedule:?}: {zone}")]
            );
        }
        assert_eq!(faults(json!({"schedule": "TZ=UTC * * *"})).len(), 2);
    }

    #[test]
    fn a_time_zone_is_one_that_is_known() {
        let local = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        let unknown = |name: &str| format!("unknown time zone {name}");
        let table = [
            ("Europe/Berlin", vec![]),
            ("UTC", vec![]),
            ("Etc/GMT+5", vec![]),
            ("", vec!["timeZone must be nil or non-empty string".to_owned()]),
            ("Local", vec![local.to_owned()]),
            ("LOCAL", vec![local.to_owned(), unknown("LOCAL")]),
            ("Europe/Nowhere", vec![unknown("Europe/Nowhere")]),
            ("europe/berlin", vec![unknown("europe/berlin")]),
            ("../UTC", vec![unknown("../UTC")]),
            ("./UTC", vec![unknown("./UTC")]),
            ("/UTC", vec![unknown("/UTC")]),
            ("Europe//Berlin", vec![unknown("Europe//Berlin")]),
            ("-UTC", vec![unknown("-UTC")]),
            ("Europe/A23456789012345", vec![unknown("Europe/A23456789012345")]),
            ("UTC ", vec![unknown("UTC ")]),
        ];
        for (name, details) in table {
            let want: Vec<String> =
                details.iter().map(|detail| format!("spec.timeZone: Invalid value: {name:?}: {detail}")).collect();
            assert_eq!(faults(json!({"timeZone": name})), want);
        }
    }

    #[test]
    fn numbers_are_not_negative_and_the_policy_is_one_of_three() {
        let spec = json!({"startingDeadlineSeconds": -1, "successfulJobsHistoryLimit": -2, "failedJobsHistoryLimit": -3,
            "concurrencyPolicy": "Queue"});
        let negative = "must be greater than or equal to 0";
        assert_eq!(
            faults(spec),
            [
                format!("spec.startingDeadlineSeconds: Invalid value: -1: {negative}"),
                "spec.concurrencyPolicy: Unsupported value: \"Queue\": supported values: \"Allow\", \"Forbid\", \
                 \"Replace\""
                    .to_owned(),
                format!("spec.successfulJobsHistoryLimit: Invalid value: -2: {negative}"),
                format!("spec.failedJobsHistoryLimit: Invalid value: -3: {negative}"),
            ]
        );
        let spec = json!({"startingDeadlineSeconds": 0, "successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 0,
            "concurrencyPolicy": "Replace"});
        assert_eq!(faults(spec), NONE);
    }

    #[test]
    fn the_template_is_a_job_without_a_selector_of_its_own() {
        let pod = json!({"spec": {"restartPolicy": "Always", "containers": [{"name": "c", "image": "pi"}]}});
        let template = json!({"spec": {"selector": {"matchLabels": {"a": "b"}}, "manualSelector": true,
            "backoffLimit": -1, "template": pod}});
        assert_eq!(
            faults(json!({"jobTemplate": template})),
            [
                "spec.jobTemplate.spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
                "spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
                "spec.jobTemplate.spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: `selector` will be \
                 auto-generated",
                "spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"nil\", \"false\"",
            ]
        );
    }

    #[test]
    fn what_kiln_does_not_honour_in_a_job_it_refuses_in_a_template() {
        let pod = json!({"spec": {"restartPolicy": "Never", "hostNetwork": true,
            "containers": [{"name": "c", "image": "pi"}]}});
        let found = faults(json!({"jobTemplate": {"spec": {"template": pod}}}));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("spec.jobTemplate.spec.template.spec.hostNetwork: Forbidden"), "{found:?}");
    }

    #[test]
    fn the_name_leaves_room_for_a_time_but_only_when_it_is_new() {
        let of = |length: usize| cron_job(&"a".repeat(length), json!({}));
        let mut found = Vec::new();
        validate(&of(52), &mut found);
        validate_update(&of(53), &of(53), &mut found);
        assert!(found.is_empty(), "{found:?}");
        validate(&of(53), &mut found);
        let want = format!("metadata.name: Invalid value: \"{}\": must be no more than 52 characters", "a".repeat(53));
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [want]);
    }

    #[test]
    fn a_zone_that_was_known_once_hinders_no_other_change() {
        let [old, mut new] = [(); 2].map(|()| cron_job("a", json!({"timeZone": "Old/Zone"})));
        new.spec.suspend = Some(true);
        let mut found = Vec::new();
        validate_update(&new, &old, &mut found);
        assert!(found.is_empty(), "{found:?}");
        new.spec.time_zone = Some("Other/Zone".to_owned());
        validate_update(&new, &old, &mut found);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_name_with_dots_is_warned_of() {
        assert!(warnings(&cron_job("a-b", json!({}))).is_empty());
        let warned = warnings(&cron_job("a.b", json!({})));
        assert!(warned[0].starts_with("metadata.name: this is used in Pod names") && warned.len() == 1, "{warned:?}");
    }
}
