//! Jobs, CronJobs and Nodes as metrics, by the names, labels and values of kube-state-metrics
//! (`internal/store/job.go`, `cronjob.go`, `node.go`). Read from the store when somebody asks: the cost is that of a list.
//!
//! Pods are counted per namespace and phase instead ([`super::pods`]): kube-state-metrics tells some forty lines of each
//! pod, and a hundred thousand pods are ordinary here.

use std::fmt;

use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::gauges::{Gauges, Rows, statuses, write};
use super::nodes;
use super::pods::Pods;
use super::registries::MetricRegistries;
use crate::api::{Kind, Object, cronjob};
use crate::store::Store;

pub struct ObjectMetrics {
    store: Store,
    /// For schedules that name no zone.
    zone: TimeZone,
}

impl fmt::Debug for ObjectMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectMetrics").finish_non_exhaustive()
    }
}

impl ObjectMetrics {
    /// Registers what is told of each object, and, with the parts, how many pods there are. Schedules that name no zone
    /// are in `zone`.
    pub fn register(store: Store, zone: TimeZone, registries: &mut MetricRegistries) {
        registries.parts.register_collector(Box::new(Pods::new(store.clone())));
        registries.objects.register_collector(Box::new(ObjectMetrics { store, zone }));
    }

    fn all<T>(&self, kind: Kind, one: fn(Object) -> Option<T>) -> Vec<T> {
        self.store.list(kind, None).objects.into_iter().filter_map(one).collect()
    }
}

impl Collector for ObjectMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let jobs = self.all(Kind::Job, |object| object.as_job().cloned());
        for gauges in JOBS {
            write(&mut encoder, gauges, &jobs, |job| identity("job_name", &job.metadata))?;
        }
        let zone = &self.zone;
        let scheduled = self.all(Kind::CronJob, |object| object.as_cron_job().cloned());
        let scheduled: Vec<_> =
            scheduled.into_iter().map(|c| Scheduled { next: next(&c, zone), cron_job: c }).collect();
        for gauges in CRON_JOBS {
            write(&mut encoder, gauges, &scheduled, |s| identity("cronjob", &s.cron_job.metadata))?;
        }
        let all = self.all(Kind::Node, |object| match object {
            Object::Node(node) => Some(node),
            _ => None,
        });
        nodes::encode(&mut encoder, &all)
    }
}

fn identity<'a>(name: &'static str, meta: &'a ObjectMeta) -> Vec<(&'static str, &'a str)> {
    vec![("namespace", meta.namespace.as_deref().unwrap_or_default()), (name, meta.name.as_deref().unwrap_or_default())]
}

pub fn seconds(time: Option<&Time>, row: &mut Rows<'_>) {
    if let Some(time) = time {
        row(&[], time.0.as_second() as f64);
    }
}

fn number(value: Option<i64>, row: &mut Rows<'_>) {
    if let Some(value) = value {
        row(&[], value as f64);
    }
}

/// The reasons that kube-state-metrics knows.
const FAILURES: [&str; 3] = ["BackoffLimitExceeded", "DeadlineExceeded", "Evicted"];

fn has_condition(job: &Job, type_: &str, row: &mut Rows<'_>) {
    let conditions = job.status.iter().flat_map(|s| s.conditions.iter().flatten());
    for condition in conditions.filter(|c| c.type_ == type_) {
        statuses(&condition.status, &mut |word, value| row(&[("condition", word)], value));
    }
}

type SharedJob = std::sync::Arc<Job>;

const JOBS: &[Gauges<SharedJob>] = &[
    Gauges { name: "kube_job_info", help: "Information about job.", rows: |_, row| row(&[], 1.0) },
    Gauges {
        name: "kube_job_created",
        help: "Unix creation timestamp",
        rows: |job, row| seconds(job.metadata.creation_timestamp.as_ref(), row),
    },
    Gauges {
        name: "kube_job_spec_parallelism",
        help: "The maximum desired number of pods the job should run at any given time.",
        rows: |job, row| number(job.spec.as_ref().and_then(|s| s.parallelism).map(i64::from), row),
    },
    Gauges {
        name: "kube_job_spec_completions",
        help: "The desired number of successfully finished pods the job should be run with.",
        rows: |job, row| number(job.spec.as_ref().and_then(|s| s.completions).map(i64::from), row),
    },
    Gauges {
        name: "kube_job_spec_active_deadline_seconds",
        help: "The duration in seconds relative to the startTime that the job may be active before the system tries to \
               terminate it.",
        rows: |job, row| number(job.spec.as_ref().and_then(|s| s.active_deadline_seconds), row),
    },
    Gauges {
        name: "kube_job_status_succeeded",
        help: "The number of pods which reached Phase Succeeded.",
        rows: |job, row| row(&[], job.status.as_ref().and_then(|s| s.succeeded).unwrap_or(0).into()),
    },
    Gauges {
        name: "kube_job_status_failed",
        help: "The number of pods which reached Phase Failed and the reason for failure.",
        rows: failed,
    },
    Gauges {
        name: "kube_job_status_active",
        help: "The number of actively running pods.",
        rows: |job, row| row(&[], job.status.as_ref().and_then(|s| s.active).unwrap_or(0).into()),
    },
    Gauges {
        name: "kube_job_status_ready",
        help: "The number of ready pods that belong to this Job.",
        rows: |job, row| row(&[], job.status.as_ref().and_then(|s| s.ready).unwrap_or(0).into()),
    },
    Gauges {
        name: "kube_job_complete",
        help: "The job has completed its execution.",
        rows: |job, row| has_condition(job, "Complete", row),
    },
    Gauges {
        name: "kube_job_failed",
        help: "The job has failed its execution.",
        rows: |job, row| has_condition(job, "Failed", row),
    },
    Gauges {
        name: "kube_job_status_start_time",
        help: "StartTime represents time when the job was acknowledged by the Job Manager.",
        rows: |job, row| seconds(job.status.as_ref().and_then(|s| s.start_time.as_ref()), row),
    },
    Gauges {
        name: "kube_job_status_completion_time",
        help: "CompletionTime represents time when the job was completed.",
        rows: |job, row| seconds(job.status.as_ref().and_then(|s| s.completion_time.as_ref()), row),
    },
    Gauges {
        name: "kube_job_status_suspended",
        help: "The number of pods which reached Phase Suspended.",
        rows: |job, row| {
            let conditions = job.status.iter().flat_map(|s| s.conditions.iter().flatten());
            for condition in conditions.filter(|c| c.type_ == "Suspended") {
                row(&[], u8::from(condition.status == "True").into());
            }
        },
    },
    Gauges { name: "kube_job_owner", help: "Information about the Job's owner.", rows: owners },
];

/// The count, by the reason of the Job's failure; 1 instead of the count beside a reason that is known, as there.
fn failed(job: &SharedJob, row: &mut Rows<'_>) {
    let Some(status) = job.status.as_ref().filter(|s| s.failed.unwrap_or(0) > 0) else { return row(&[], 0.0) };
    let conditions = status.conditions.iter().flatten().filter(|c| c.type_ == "Failed");
    let mut is_known = false;
    for condition in conditions {
        for reason in FAILURES {
            let is_this = condition.reason.as_deref() == Some(reason);
            is_known |= is_this;
            row(&[("reason", reason)], u8::from(is_this).into());
        }
    }
    if !is_known {
        row(&[("reason", "")], status.failed.unwrap_or(0).into());
    }
}

fn owners(job: &SharedJob, row: &mut Rows<'_>) {
    let owners = job.metadata.owner_references.as_deref().unwrap_or_default();
    if owners.is_empty() {
        row(&[("owner_kind", ""), ("owner_name", ""), ("owner_is_controller", "")], 1.0);
    }
    for owner in owners {
        let controls = if owner.controller == Some(true) { "true" } else { "false" };
        row(&[("owner_kind", &owner.kind), ("owner_name", &owner.name), ("owner_is_controller", controls)], 1.0);
    }
}

struct Scheduled {
    cron_job: std::sync::Arc<CronJob>,
    /// The time after the last, or after the creation.
    next: Option<jiff::Timestamp>,
}

fn next(cron_job: &CronJob, machine: &TimeZone) -> Option<jiff::Timestamp> {
    let spec = &cron_job.spec;
    if spec.suspend == Some(true) {
        return None;
    }
    let zone = match spec.time_zone.as_deref() {
        Some(name) => cronjob::zone::named(name)?,
        None => machine.clone(),
    };
    let last = cron_job.status.as_ref().and_then(|s| s.last_schedule_time.as_ref());
    let base = last.or(cron_job.metadata.creation_timestamp.as_ref())?.0;
    cronjob::grammar::parse(&spec.schedule).ok()?.next(base, &zone)
}

const CRON_JOBS: &[Gauges<Scheduled>] = &[
    Gauges {
        name: "kube_cronjob_info",
        help: "Info about cronjob.",
        rows: |s, row| {
            let spec = &s.cron_job.spec;
            let policy = spec.concurrency_policy.as_deref().unwrap_or_default();
            let zone = spec.time_zone.as_deref().unwrap_or("local");
            row(&[("schedule", &spec.schedule), ("concurrency_policy", policy), ("timezone", zone)], 1.0);
        },
    },
    Gauges {
        name: "kube_cronjob_created",
        help: "Unix creation timestamp",
        rows: |s, row| seconds(s.cron_job.metadata.creation_timestamp.as_ref(), row),
    },
    Gauges {
        name: "kube_cronjob_status_active",
        help: "Active holds pointers to currently running jobs.",
        rows: |s, row| {
            let active = s.cron_job.status.as_ref().and_then(|s| s.active.as_ref());
            row(&[], active.map_or(0, Vec::len) as f64);
        },
    },
    Gauges {
        name: "kube_cronjob_status_last_schedule_time",
        help: "LastScheduleTime keeps information of when was the last time the job was successfully scheduled.",
        rows: |s, row| seconds(s.cron_job.status.as_ref().and_then(|s| s.last_schedule_time.as_ref()), row),
    },
    Gauges {
        name: "kube_cronjob_status_last_successful_time",
        help: "LastSuccessfulTime keeps information of when was the last time the job was completed successfully.",
        rows: |s, row| seconds(s.cron_job.status.as_ref().and_then(|s| s.last_successful_time.as_ref()), row),
    },
    Gauges {
        name: "kube_cronjob_spec_suspend",
        help: "Suspend flag tells the controller to suspend subsequent executions.",
        rows: |s, row| {
            let suspend = s.cron_job.spec.suspend;
            number(suspend.map(i64::from), row);
        },
    },
    Gauges {
        name: "kube_cronjob_spec_starting_deadline_seconds",
        help: "Deadline in seconds for starting the job if it misses scheduled time for any reason.",
        rows: |s, row| number(s.cron_job.spec.starting_deadline_seconds, row),
    },
    Gauges {
        name: "kube_cronjob_next_schedule_time",
        help: "Next time the cronjob should be scheduled. The time after lastScheduleTime, or after the cron job's \
               creation time if it's never been scheduled. Use this to determine if the job is delayed.",
        rows: |s, row| number(s.next.map(|at| at.as_second()), row),
    },
    Gauges {
        name: "kube_cronjob_metadata_resource_version",
        help: "Resource version representing a specific version of the cronjob.",
        rows: |s, row| {
            let version = s.cron_job.metadata.resource_version.as_deref();
            number(version.and_then(|v| v.parse().ok()), row);
        },
    },
    Gauges {
        name: "kube_cronjob_spec_successful_job_history_limit",
        help: "Successful job history limit tells the controller how many completed jobs should be preserved.",
        rows: |s, row| {
            number(s.cron_job.spec.successful_jobs_history_limit.map(i64::from), row);
        },
    },
    Gauges {
        name: "kube_cronjob_spec_failed_job_history_limit",
        help: "Failed job history limit tells the controller how many failed jobs should be preserved.",
        rows: |s, row| number(s.cron_job.spec.failed_jobs_history_limit.map(i64::from), row),
    },
];
