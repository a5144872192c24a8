//! `kubectl get cronjobs` (`printCronJob`).

use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::column::{AGE, Column, NAME, NONE, or_none};
use super::job::{CONTAINERS, IMAGES, SELECTOR, images, names, selector};
use super::{age_of, name_of};
use crate::api::age;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Schedule", "The schedule in Cron format, see https://en.wikipedia.org/wiki/Cron."),
    Column::text(
        "Timezone",
        "The time zone name for the given schedule, see https://en.wikipedia.org/wiki/List_of_tz_database_time_zones. If \
         not specified, this will default to the time zone of the kube-controller-manager process.",
    ),
    Column::text(
        "Suspend",
        "This flag tells the controller to suspend subsequent executions, it does not apply to already started \
         executions. Defaults to false.",
    ),
    Column { type_: "integer", ..Column::text("Active", "A list of pointers to currently running jobs.") },
    Column::text("Last Schedule", "Information when was the last time the job was successfully scheduled."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn cells(cron_job: &CronJob, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&cron_job.spec, cron_job.status.as_ref());
    let template = spec.job_template.spec.as_ref();
    let pod = template.and_then(|t| t.template.spec.as_ref());
    let suspend = match spec.suspend {
        None => "<unset>",
        Some(true) => "True",
        Some(false) => "False",
    };
    let last = status.and_then(|s| s.last_schedule_time.as_ref());
    vec![
        name_of(&cron_job.metadata),
        spec.schedule.as_str().into(),
        or_none(spec.time_zone.as_deref()).into(),
        suspend.into(),
        status.and_then(|s| s.active.as_ref()).map_or(0, Vec::len).into(),
        last.map_or_else(|| NONE.to_owned(), |last| age::since(Some(last.0), now)).into(),
        age_of(&cron_job.metadata, now),
        names(pod).into(),
        images(pod).into(),
        selector(template.and_then(|t| t.selector.as_ref())).into(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{cells_of, now};
    use crate::api::Kind;

    #[test]
    fn a_cron_job_shows_all_its_columns() {
        let pod = json!({"spec": {"containers": [{"name": "m", "image": "pi"}, {"name": "n", "image": "e:1"}]}});
        let value = json!({
            "metadata": {"name": "backup", "creationTimestamp": now(-86400 * 3)},
            "spec": {"schedule": "*/5 * * * *", "timeZone": "Europe/Berlin", "suspend": true,
                "jobTemplate": {"spec": {"template": pod}}},
            "status": {"active": [{"name": "a"}, {"name": "b"}], "lastScheduleTime": now(-130)},
        });
        let want =
            json!(["backup", "*/5 * * * *", "Europe/Berlin", "True", 2, "2m10s", "3d", "m,n", "pi,e:1", "<none>"]);
        assert_eq!(cells_of(Kind::CronJob, value), want);
    }

    #[test]
    fn what_is_not_there_is_none() {
        let value = json!({"metadata": {"name": "a"}, "spec": {"schedule": "@daily", "suspend": false}});
        let want = json!(["a", "@daily", "<none>", "False", 0, "<none>", "<unknown>", "", "", "<none>"]);
        assert_eq!(cells_of(Kind::CronJob, value), want);
    }
}
