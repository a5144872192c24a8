//! Which Jobs of a CronJob go on: `status.active` against the Jobs that there are (`syncCronJob` in kubernetes
//! `pkg/controller/cronjob/cronjob_controllerv2.go`, its first part). The view is complete, so a Job that is not in it is
//! gone.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use k8s_openapi::api::core::v1::ObjectReference;

use super::view::{End, end};
use crate::api::{Kind, Object};
use crate::control::{Note, Plan};

/// How the status speaks of a Job.
pub fn reference(job: &Job) -> ObjectReference {
    let info = Kind::Job.info();
    ObjectReference {
        api_version: Some(info.api_version()),
        kind: Some(info.kind.to_owned()),
        name: job.metadata.name.clone(),
        namespace: job.metadata.namespace.clone(),
        uid: job.metadata.uid.clone(),
        // A Job that is only now being made has none yet.
        resource_version: job.metadata.resource_version.clone(),
        field_path: None,
    }
}

pub fn is_listed(status: &CronJobStatus, job: &Job) -> bool {
    status.active.iter().flatten().any(|listed| listed.uid == job.metadata.uid)
}

pub fn unlist(status: &mut CronJobStatus, uid: Option<&str>) {
    if let Some(active) = &mut status.active {
        active.retain(|listed| listed.uid.as_deref() != uid);
        if active.is_empty() {
            status.active = None;
        }
    }
}

/// Takes what has ended or gone out of the list, and notes the last success.
pub fn settle(cron_job: &Arc<CronJob>, children: &[&Arc<Job>], status: &mut CronJobStatus, plan: &mut Plan) {
    let about = Object::CronJob(cron_job.clone());
    for job in children {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let (listed, end) = (is_listed(status, job), end(job));
        match end {
            None if !listed => {
                let message = format!("Saw a job that the controller did not create or forgot: {name}");
                plan.notes.push(Note::warning(&about, "UnexpectedJob", message));
            }
            Some(end) if listed => {
                unlist(status, job.metadata.uid.as_deref());
                let message = format!("Saw completed job: {name}, status: {}", end.condition());
                plan.notes.push(Note::normal(&about, "SawCompletedJob", message));
            }
            _ => {}
        }
        let completion = job.status.as_ref().and_then(|s| s.completion_time.as_ref());
        if end == Some(End::Complete)
            && let Some(time) = completion
            && status.last_successful_time.as_ref().is_none_or(|last| last.0 < time.0)
        {
            status.last_successful_time = Some(time.clone());
        }
    }
    let is_child = |listed: &ObjectReference| children.iter().any(|job| job.metadata.uid == listed.uid);
    let missing: Vec<_> = status.active.iter().flatten().filter(|listed| !is_child(listed)).cloned().collect();
    for job in missing {
        let message = format!("Active job went missing: {}", job.name.as_deref().unwrap_or_default());
        plan.notes.push(Note::normal(&about, "MissingJob", message));
        unlist(status, job.uid.as_deref());
    }
}
