//! What must hold of a CronJob after every step, by books of its own. The rules share no code with the controller.
//!
//! - A Job is made for a time that the schedule has, the last one that has come, not for one that has had its Job, not later
//!   than `startingDeadlineSeconds` allows; its name, its annotation and `lastScheduleTime` tell that time, in one write
//!   with it. None is made while the CronJob is suspended or being deleted.
//! - `status.active` lists the Jobs that the schedule made and that have not ended: whenever the controller writes, all of
//!   them and no others.
//! - Under `Forbid` a Job is made only if that list is empty; under `Replace` all on it are deleted in the same write. No
//!   other unfinished Job is deleted, and of the finished ones the oldest beyond the limit.
//! - `lastScheduleTime` and `lastSuccessfulTime` only grow.
//! - Once nobody moves, what was due has its Job, unless `Forbid` waits or somebody took the name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use kiln::api::{Key, Object, meta};
use kiln::store::{Change, Event};
use serde_json::Value;

use crate::books::By;
use crate::calendar;
use crate::rules;

pub const CRON_JOB_CONTROLLER: &str = "cronjob-controller";

const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

#[derive(Clone, Default)]
pub struct CronBooks {
    /// By uid, those that exist.
    books: BTreeMap<String, CronBook>,
    /// Names that were taken by Jobs that no schedule made.
    by_hand: BTreeSet<Key>,
}

#[derive(Clone)]
struct CronBook {
    cron_job: Arc<CronJob>,
    /// The Jobs that it owns, by uid.
    jobs: BTreeMap<String, Arc<Job>>,
    /// Uids of those that `status.active` has to list.
    listed: BTreeSet<String>,
    /// The times that have had their Job.
    times: BTreeSet<Timestamp>,
    /// When Jobs of it were completed.
    completions: BTreeSet<Timestamp>,
    /// Its schedule was changed since the last Job: from when its times count is the controller's to know.
    is_edited: bool,
}

/// What one step did to one CronJob.
#[derive(Default)]
pub struct Done {
    before: Option<Arc<CronJob>>,
    is_written: bool,
    created: Vec<Arc<Job>>,
    /// As they were before they went, or began to go.
    removed: Vec<Arc<Job>>,
    was_listed: BTreeSet<String>,
}

fn owner(job: &Job) -> Option<String> {
    meta::controller_of(&job.metadata).filter(|owner| owner.kind == "CronJob").map(|owner| owner.uid.clone())
}

fn uid(job: &Job) -> String {
    job.metadata.uid.clone().unwrap_or_default()
}

fn name(cron_job: &CronJob) -> &str {
    cron_job.metadata.name.as_deref().unwrap_or_default()
}

fn status(cron_job: &CronJob) -> CronJobStatus {
    cron_job.status.clone().unwrap_or_default()
}

fn last(cron_job: &CronJob) -> Option<Timestamp> {
    status(cron_job).last_schedule_time.map(|time| time.0)
}

/// Before that no time counts.
fn base(cron_job: &CronJob) -> Timestamp {
    let created = cron_job.metadata.creation_timestamp.as_ref().expect("it was created").0;
    last(cron_job).unwrap_or(created)
}

fn active(cron_job: &CronJob) -> BTreeSet<String> {
    status(cron_job).active.into_iter().flatten().filter_map(|listed| listed.uid).collect()
}

fn policy(cron_job: &CronJob) -> &str {
    cron_job.spec.concurrency_policy.as_deref().unwrap_or_default()
}

/// The name of the Job of a time.
fn job_name(cron_job: &CronJob, time: Timestamp) -> String {
    let is_dense = calendar::read(&cron_job.spec.schedule).is_dense();
    let number = if is_dense { time.as_second() } else { time.as_second().div_euclid(60) };
    format!("{}-{number}", name(cron_job))
}

impl CronBooks {
    /// Whether there is one that may make a Job yet.
    pub fn is_empty(&self) -> bool {
        self.books.is_empty()
    }

    pub fn take(&mut self, event: &Event, before: Option<&Object>, by: By, done: &mut BTreeMap<String, Done>) {
        match &event.object {
            Object::CronJob(cron_job) => {
                self.take_cron_job(event, cron_job, before.and_then(Object::as_cron_job), done);
            }
            Object::Job(job) => self.take_job(event, job, before.and_then(Object::as_job), by, done),
            _ => {}
        }
    }

    fn take_cron_job(
        &mut self,
        event: &Event,
        cron_job: &Arc<CronJob>,
        before: Option<&Arc<CronJob>>,
        done: &mut BTreeMap<String, Done>,
    ) {
        let uid = cron_job.metadata.uid.clone().unwrap_or_default();
        if event.change == Change::Deleted {
            self.books.remove(&uid);
            return;
        }
        let book = self.books.entry(uid.clone()).or_insert_with(|| CronBook {
            cron_job: cron_job.clone(),
            jobs: BTreeMap::new(),
            listed: BTreeSet::new(),
            times: BTreeSet::new(),
            completions: BTreeSet::new(),
            is_edited: false,
        });
        book.cron_job = cron_job.clone();
        let entry = book.entry(&uid, done);
        entry.is_written = true;
        if let Some(before) = before {
            entry.before.get_or_insert_with(|| before.clone());
            let (was, is) = (&before.spec, &cron_job.spec);
            book.is_edited |= (&was.schedule, &was.time_zone) != (&is.schedule, &is.time_zone);
        }
    }

    fn take_job(
        &mut self,
        event: &Event,
        job: &Arc<Job>,
        before: Option<&Arc<Job>>,
        by: By,
        done: &mut BTreeMap<String, Done>,
    ) {
        let is_gone = event.change == Change::Deleted;
        let (had, has) = (before.and_then(|job| owner(job)), owner(job).filter(|_| !is_gone));
        let by_schedule = by.is(CRON_JOB_CONTROLLER);
        if before.is_none() && !(by_schedule && has.is_some()) {
            assert!(has.is_none() || by == By::User, "a Job of a CronJob was made by {by:?}");
            self.by_hand.insert(event.object.key());
        }
        if let Some(book) = had.as_ref().and_then(|uid| self.books.get_mut(uid)) {
            let entry = book.entry(had.as_deref().unwrap_or_default(), done);
            let was = before.expect("it had an owner");
            let ends = is_gone || !meta::is_deleting(&was.metadata) && meta::is_deleting(&job.metadata);
            if ends {
                entry.removed.push(was.clone());
            }
            if is_gone || has != had || by_schedule && ends {
                book.listed.remove(&uid(job));
            }
            if is_gone || has != had {
                book.jobs.remove(&uid(job));
            }
        }
        let Some(owner) = has else { return };
        let Some(book) = self.books.get_mut(&owner) else {
            assert!(before.is_some() || !by_schedule, "Job {} was made for a CronJob that is gone", event.object.key());
            return;
        };
        let entry = book.entry(&owner, done);
        if before.is_none() && by_schedule {
            entry.created.push(job.clone());
            book.listed.insert(uid(job));
        }
        if rules::is_finished(job) {
            book.listed.remove(&uid(job));
            book.completions.extend(job.status.as_ref().and_then(|s| s.completion_time.as_ref()).map(|time| time.0));
        } else if before.is_some_and(|job| rules::is_finished(job)) && active(&book.cron_job).contains(&uid(job)) {
            // It runs again, and its CronJob has not seen that it had ended.
            book.listed.insert(uid(job));
        }
        book.jobs.insert(uid(job), job.clone());
    }

    pub fn check(&mut self, done: &BTreeMap<String, Done>, by: By, now: Timestamp) {
        for (uid, done) in done {
            if let Some(book) = self.books.get_mut(uid) {
                book.check(done, by, &self.by_hand, now);
            }
        }
    }

    /// What was due by now has its Job. Nobody has anything to do; edits from before `seen` have been seen by everybody.
    pub fn on_time(&self, seen: Timestamp, now: Timestamp) {
        for book in self.books.values() {
            book.on_time(&self.by_hand, seen, now);
        }
    }

    pub fn at_rest(&self) {
        for book in self.books.values() {
            let name = name(&book.cron_job);
            assert_eq!(book.cron_job.spec.suspend, Some(true), "CronJob {name} never rests");
            book.is_settled();
        }
    }
}

impl CronBook {
    fn entry<'a>(&self, uid: &str, done: &'a mut BTreeMap<String, Done>) -> &'a mut Done {
        done.entry(uid.to_owned()).or_insert_with(|| Done { was_listed: self.listed.clone(), ..Done::default() })
    }

    fn check(&mut self, done: &Done, by: By, by_hand: &BTreeSet<Key>, now: Timestamp) {
        let cron_job = self.cron_job.clone();
        let name = name(&cron_job);
        let before = done.before.as_ref().unwrap_or(&cron_job);
        let (was, is) = (status(before), status(&cron_job));
        if !by.is(CRON_JOB_CONTROLLER) {
            assert_eq!(was, is, "the status of CronJob {name} was changed by {by:?}");
            return;
        }
        assert!(is.last_schedule_time >= was.last_schedule_time, "CronJob {name}: lastScheduleTime goes back");
        assert!(last(&cron_job).is_none_or(|at| at <= now), "CronJob {name}: lastScheduleTime lies in the future");
        assert!(is.last_successful_time >= was.last_successful_time, "CronJob {name}: lastSuccessfulTime goes back");
        if let Some(success) = &is.last_successful_time {
            assert!(self.completions.contains(&success.0), "CronJob {name}: nothing succeeded at {}", success.0);
        }
        assert!(done.created.len() <= 1, "CronJob {name} made two Jobs at once");
        match done.created.first() {
            Some(job) => self.check_start(before, job, done, now),
            None if last(before) != last(&cron_job) => self.check_take_over(done),
            None => {}
        }
        for job in &done.removed {
            match end(job) {
                Some(end) => self.check_trimmed(job, end, done),
                None => self.check_replaced(job, done, by_hand),
            }
        }
        if was != is {
            if policy(&cron_job) == "Replace" {
                // One that somebody else deletes already is not deleted again, and counts for nothing.
                let listed = active(&cron_job);
                let jobs = &self.jobs;
                self.listed.retain(|uid| listed.contains(uid) || !meta::is_deleting(&jobs[uid].metadata));
            }
            assert_eq!(active(&cron_job), self.listed, "CronJob {name}: Jobs that it lists as active");
        }
    }

    fn check_start(&mut self, before: &CronJob, job: &Job, done: &Done, now: Timestamp) {
        let cron_job = &self.cron_job;
        let (name, spec) = (name(cron_job), &cron_job.spec);
        let told = meta::annotation(&job.metadata, SCHEDULED).expect("a Job tells its time");
        let time: Timestamp = told.parse().expect("it is a time");
        let zone = calendar::zone(spec.time_zone.as_deref());
        let own = spec.time_zone.as_ref().map_or(jiff::tz::TimeZone::UTC, |_| zone.clone());
        let local = time.to_zoned(own).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string().replace("+00:00", "Z");
        assert_eq!(told, local, "CronJob {name}: the time in its zone");
        assert!(!meta::is_deleting(&cron_job.metadata), "CronJob {name} made a Job, and is being deleted");
        assert!(spec.suspend != Some(true), "CronJob {name} made a Job, and is suspended");
        let schedule = calendar::read(&spec.schedule);
        assert!(schedule.has(time, &zone), "CronJob {name} made a Job for {time}, which {:?} has not", spec.schedule);
        assert!(base(before) < time && time <= now, "CronJob {name}: {time} is not due at {now}");
        if let calendar::Schedule::Every(seconds) = schedule
            && !self.is_edited
        {
            let passed = time.as_second() - base(before).as_second();
            assert_eq!(passed % seconds, 0, "CronJob {name} made a Job {passed} s after the last");
        }
        let later = schedule.latest(time, now, &zone);
        assert_eq!(later, None, "CronJob {name} made a Job for {time}, which was not the last");
        let late = spec.starting_deadline_seconds.is_some_and(|most| meta::add_seconds(time, most) < now);
        assert!(!late, "CronJob {name} made the Job of {time} too late, at {now}");
        assert!(self.times.insert(time), "CronJob {name} made a second Job for {time}");
        assert_eq!(job.metadata.name, Some(job_name(cron_job, time)), "CronJob {name}: the name of a Job");
        assert_eq!(last(cron_job), Some(time), "CronJob {name}: lastScheduleTime");
        let listed = status(cron_job).active.into_iter().flatten().find(|listed| listed.uid == job.metadata.uid);
        assert_eq!(listed.and_then(|l| l.name), job.metadata.name, "CronJob {name} lists its new Job");
        check_template(cron_job, job);
        match policy(cron_job) {
            "Forbid" => assert_eq!(done.was_listed, BTreeSet::new(), "CronJob {name} made a Job beside others"),
            "Replace" => {
                let goes = |uid: &String| self.jobs.get(uid).is_none_or(|job| meta::is_deleting(&job.metadata));
                assert!(done.was_listed.iter().all(goes), "CronJob {name} made a Job, and another goes on");
                self.listed = BTreeSet::from([uid(job)]);
            }
            _ => {}
        }
        self.is_edited = false;
    }

    /// A time got no Job, because it had one, which may be over and dropped in the same write.
    fn check_take_over(&mut self, done: &Done) {
        let time = last(&self.cron_job).expect("it does not go back");
        let wanted = Some(job_name(&self.cron_job, time));
        let found = self.jobs.values().chain(&done.removed).find(|job| job.metadata.name == wanted);
        let job = found.unwrap_or_else(|| panic!("CronJob {} made no Job for {time}", name(&self.cron_job)));
        if !rules::is_finished(job) {
            self.listed.insert(uid(job));
        }
        self.times.insert(time);
        self.is_edited = false;
    }

    fn check_replaced(&self, job: &Job, done: &Done, by_hand: &BTreeSet<Key>) {
        let (cron_job, told) = (&self.cron_job, (name(&self.cron_job), job.metadata.name.as_deref()));
        assert_eq!(policy(cron_job), "Replace", "{told:?} was deleted before its end");
        assert!(done.was_listed.contains(&uid(job)), "{told:?} was replaced, and nobody made it by the schedule");
        let prefix = format!("{}-", name(cron_job));
        let is_taken = by_hand.iter().any(|key| key.name.starts_with(&prefix));
        assert!(done.created.len() == 1 || is_taken, "{told:?} was replaced by none");
        assert!(cron_job.spec.suspend != Some(true), "{told:?} was replaced, and its CronJob is suspended");
        assert!(!meta::is_deleting(&cron_job.metadata), "{told:?} was replaced, and its CronJob is deleted");
    }

    fn limit(&self, end: &str) -> usize {
        let spec = &self.cron_job.spec;
        let limit = if end == "Complete" { spec.successful_jobs_history_limit } else { spec.failed_jobs_history_limit };
        usize::try_from(limit.expect("it has a default")).expect("it is not negative")
    }

    /// The oldest of those that ended alike, beyond the limit.
    fn check_trimmed(&self, job: &Job, how: &str, done: &Done) {
        let age = |job: &Job| {
            let start = job.status.as_ref().and_then(|s| s.start_time.as_ref()).map(|time| time.0);
            (start.is_none(), start, job.metadata.name.clone())
        };
        let all: BTreeMap<String, &Arc<Job>> =
            self.jobs.values().chain(&done.removed).filter(|job| end(job) == Some(how)).map(|j| (uid(j), j)).collect();
        let older = all.values().filter(|other| age(other) < age(job)).count();
        let (most, limit) = (all.len(), self.limit(how));
        let told = (name(&self.cron_job), job.metadata.name.as_deref());
        assert!(older + limit < most, "{told:?} was dropped: {older} of {most} are older, and {limit} are kept");
    }

    /// Nobody has anything to do.
    fn is_settled(&self) {
        let (cron_job, name) = (&self.cron_job, name(&self.cron_job));
        for how in ["Complete", "Failed"] {
            let going = |job: &&Arc<Job>| meta::is_deleting(&job.metadata);
            let ended = self.jobs.values().filter(|job| end(job) == Some(how) && !going(job)).count();
            let limit = self.limit(how);
            assert!(ended <= limit, "CronJob {name} keeps {ended} Jobs that are {how}, and may keep {limit}");
        }
        assert_eq!(active(cron_job), self.listed, "CronJob {name}: Jobs that it lists as active, once all is quiet");
        let complete = self.jobs.values().filter(|job| end(job) == Some("Complete"));
        let success = complete.filter_map(|job| Some(job.status.as_ref()?.completion_time.as_ref()?.0)).max();
        let told = status(cron_job).last_successful_time.map(|time| time.0);
        assert!(told >= success, "CronJob {name} knows of a success at {told:?}, and there was one at {success:?}");
    }

    fn on_time(&self, by_hand: &BTreeSet<Key>, seen: Timestamp, now: Timestamp) {
        self.is_settled();
        let (cron_job, spec) = (&self.cron_job, &self.cron_job.spec);
        let schedule = calendar::read(&spec.schedule);
        let is_unknown = self.is_edited && matches!(schedule, calendar::Schedule::Every(_));
        if spec.suspend == Some(true) || meta::is_deleting(&cron_job.metadata) || is_unknown {
            return;
        }
        let since = if self.is_edited { base(cron_job).max(seen) } else { base(cron_job) };
        let zone = calendar::zone(spec.time_zone.as_deref());
        let Some(due) = schedule.latest(since, now, &zone) else { return };
        let too_late = spec.starting_deadline_seconds.is_some_and(|most| meta::add_seconds(due, most) < now);
        let waits = policy(cron_job) == "Forbid" && !self.listed.is_empty();
        let namespace = cron_job.metadata.namespace.clone().unwrap_or_default();
        let is_taken = by_hand.contains(&Key::new(namespace, job_name(cron_job, due)));
        let name = name(cron_job);
        assert!(too_late || waits || is_taken, "CronJob {name} made no Job for {due}, and it is {now}");
    }
}

/// How a Job has ended.
fn end(job: &Job) -> Option<&'static str> {
    let is = |end: &&str| {
        let mut conditions = job.status.iter().flat_map(|s| s.conditions.iter().flatten());
        conditions.any(|c| c.type_ == *end && c.status == "True")
    };
    ["Complete", "Failed"].into_iter().find(is)
}

/// The Job is what its template says, and more only where that says nothing.
fn check_template(cron_job: &CronJob, job: &Job) {
    let template = &cron_job.spec.job_template;
    let value = |part: Result<Value, _>| part.expect("it is JSON");
    let (wanted, made) = (value(serde_json::to_value(&template.spec)), value(serde_json::to_value(&job.spec)));
    assert!(is_within(&wanted, &made), "CronJob {}: of {wanted} became {made}", name(cron_job));
    let of_template = template.metadata.clone().unwrap_or_default();
    let has = |all: &Option<BTreeMap<String, String>>, some: &Option<BTreeMap<String, String>>| {
        some.iter().flatten().all(|(key, value)| all.as_ref().is_some_and(|all| all.get(key) == Some(value)))
    };
    let labelled = has(&job.metadata.labels, &of_template.labels);
    assert!(labelled && has(&job.metadata.annotations, &of_template.annotations), "CronJob {}", name(cron_job));
}

fn is_within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|found| is_within(value, found)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(a, b)| is_within(a, b))
        }
        _ => part == whole,
    }
}
