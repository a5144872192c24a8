//! One look at one CronJob: from what is known to what is to be done (kubernetes
//! `pkg/controller/cronjob/cronjob_controllerv2.go`, with the order of its steps).

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};

use super::active::{is_listed, reference, settle, unlist};
use super::due::{self, Times};
use super::history;
use super::new_job::{name, new_job};
use super::view::{Entry, View, end};
use crate::api::cronjob::schedule::Schedule;
use crate::api::cronjob::{FORBID, REPLACE, grammar, zone};
use crate::api::deletion::{self, Deletion, Options, Propagation};
use crate::api::{Key, Object, meta};
use crate::control::{Effect, Note, NoteType, Plan};
use crate::ids::Ids;

/// Jobs dropped by one decision, so that no commit grows without bound.
const AT_ONCE: usize = 500;

/// `local` is the zone of schedules that name none.
pub fn reconcile(view: &View, entry: &Entry, local: &TimeZone, now: Timestamp, ids: &Ids) -> Plan {
    let cron_job = &entry.cron_job;
    let children: Vec<&Arc<Job>> = view.children(cron_job.metadata.uid.as_deref().unwrap_or_default()).collect();
    let status = cron_job.status.clone().unwrap_or_default();
    let mut look = Look { view, entry, cron_job, now, ids, status, plan: Plan::default() };
    settle(cron_job, &children, &mut look.status, &mut look.plan);
    look.schedule(local);
    look.trim(&children);
    look.write()
}

struct Look<'a> {
    view: &'a View,
    entry: &'a Entry,
    cron_job: &'a Arc<CronJob>,
    now: Timestamp,
    ids: &'a Ids,
    /// As it will be written.
    status: CronJobStatus,
    plan: Plan,
}

impl Look<'_> {
    fn note(&mut self, kind: NoteType, reason: &'static str, message: impl Into<String>) {
        let about = Object::CronJob(self.cron_job.clone());
        self.plan.notes.push(Note::new(&about, kind, reason, message));
    }

    /// Starts what is due, if nothing is against it.
    fn schedule(&mut self, local: &TimeZone) {
        let spec = &self.cron_job.spec;
        if meta::is_deleting(&self.cron_job.metadata) {
            return;
        }
        let own = spec.time_zone.as_deref().map(|name| (name, zone::named(name)));
        if let Some((name, None)) = own {
            let message = format!("invalid timeZone: {name:?}: unknown time zone {name}");
            return self.note(NoteType::Warning, "UnknownTimeZone", message);
        }
        if spec.suspend == Some(true) {
            return;
        }
        let schedule = match grammar::parse(&spec.schedule) {
            Ok(schedule) => schedule,
            Err(error) => {
                let message = format!("unparseable schedule: {:?} : {error}", spec.schedule);
                return self.note(NoteType::Warning, "UnparseableSchedule", message);
            }
        };
        let own = own.and_then(|(_, zone)| zone);
        let zone = own.as_ref().unwrap_or(local);
        let Some(times) = due::times(&schedule, zone, self.base(), spec.starting_deadline_seconds, self.now) else {
            let message = format!(
                "invalid schedule: {} : time difference between two schedules is less than 1 second",
                spec.schedule
            );
            return self.note(NoteType::Warning, "InvalidSchedule", message);
        };
        if let Some(next) = times.next {
            self.plan.look_again(next);
        }
        if let Some(time) = self.startable(&times) {
            self.start(&schedule, time, own.as_ref());
        }
    }

    /// From where times count: the last one that was run, or the beginning.
    fn base(&self) -> Timestamp {
        let created = self.cron_job.metadata.creation_timestamp.as_ref();
        let last = self.status.last_schedule_time.as_ref().or(created).map_or(self.now, |time| time.0);
        self.entry.since.map_or(last, |since| since.max(last))
    }

    /// The time that is due, unless it is too late for it.
    fn startable(&mut self, times: &Times) -> Option<Timestamp> {
        let due = times.due?;
        if times.many_missed {
            let message =
                "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            self.note(NoteType::Warning, "TooManyMissedTimes", message);
        }
        if times.too_late {
            let missed = due.strftime("%a, %d %b %Y %H:%M:%S +0000");
            self.note(NoteType::Warning, "MissSchedule", format!("Missed scheduled time to start a job: {missed}"));
            return None;
        }
        Some(due)
    }

    fn start(&mut self, schedule: &Schedule, time: Timestamp, zone: Option<&TimeZone>) {
        let name = name(self.cron_job, schedule, time);
        if self.status.active.iter().flatten().any(|listed| listed.name.as_ref() == Some(&name)) {
            return;
        }
        let policy = self.cron_job.spec.concurrency_policy.as_deref().unwrap_or_default();
        if policy == FORBID && self.status.active.as_ref().is_some_and(|active| !active.is_empty()) {
            let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
            return self.note(NoteType::Normal, "JobAlreadyActive", message);
        }
        if policy == REPLACE {
            self.stop_active();
        }
        let key = Key::new(self.cron_job.metadata.namespace.clone().unwrap_or_default(), name.clone());
        match self.view.job(&key) {
            Some(taken) => self.take_over(taken, time),
            None => match new_job(self.cron_job, name, time, zone, self.now, self.ids) {
                Ok(job) => self.create(&job, time),
                // The next time is tried anew, and so is this one when anything changes.
                Err(error) => self.note(NoteType::Warning, "FailedCreate", format!("Error creating job: {error}")),
            },
        }
    }

    fn create(&mut self, job: &Arc<Job>, time: Timestamp) {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        self.note(NoteType::Normal, "SuccessfulCreate", format!("Created job {name}"));
        self.plan.effects.push(Effect::Create(Object::Job(job.clone())));
        self.status.active.get_or_insert_default().push(reference(job));
        self.status.last_schedule_time = Some(meta::time(time));
    }

    /// A Job of the name of this time is there already. One of ours was made for it; another one is in the way, and the
    /// next time will have another name.
    fn take_over(&mut self, job: &Arc<Job>, time: Timestamp) {
        let owner = meta::controller_of(&job.metadata).map(|owner| owner.uid.as_str());
        if owner != self.cron_job.metadata.uid.as_deref() || is_listed(&self.status, job) {
            return;
        }
        if end(job).is_none() {
            self.status.active.get_or_insert_default().push(reference(job));
        }
        self.status.last_schedule_time = Some(meta::time(time));
    }

    fn stop_active(&mut self) {
        let uid = self.cron_job.metadata.uid.as_deref().unwrap_or_default();
        let listed: Vec<&Arc<Job>> = self.view.children(uid).filter(|job| is_listed(&self.status, job)).collect();
        for job in listed {
            self.delete(job);
        }
    }

    /// Drops finished Jobs beyond the limits.
    fn trim(&mut self, children: &[&Arc<Job>]) {
        for job in history::surplus(&self.cron_job.spec, children) {
            if self.plan.effects.len() >= AT_ONCE {
                return self.plan.look_again(self.now);
            }
            self.delete(job);
        }
    }

    fn delete(&mut self, job: &Arc<Job>) {
        let object = Object::Job(job.clone());
        let options = Options { grace: None, propagation: Some(Propagation::Background) };
        self.plan.effects.push(match deletion::delete(&object, &options, self.now) {
            Deletion::Remove => Effect::Update(deletion::over(&object, self.now)),
            Deletion::Mark(marked) => Effect::Update(marked),
            // It is on its way, and waits for somebody's finalizer.
            Deletion::Unchanged => return unlist(&mut self.status, job.metadata.uid.as_deref()),
        });
        unlist(&mut self.status, job.metadata.uid.as_deref());
        let name = job.metadata.name.as_deref().unwrap_or_default();
        self.note(NoteType::Normal, "SuccessfulDelete", format!("Deleted job {name}"));
    }

    fn write(mut self) -> Plan {
        if self.cron_job.status.as_ref() != Some(&self.status) {
            let mut next = CronJob::clone(self.cron_job);
            next.status = Some(self.status);
            self.plan.effects.push(Effect::Update(next.into()));
        }
        self.plan
    }
}

#[cfg(test)]
mod tests;
