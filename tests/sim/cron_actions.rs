//! What users do with CronJobs: they make, edit, suspend and delete them, start Jobs of them by hand, and take Jobs away
//! from them.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kiln::api::deletion::{self, Options, Propagation};
use kiln::api::{ApiError, Kind, Object, admission, meta};
use kiln::store::{CommitError, Tx};
use serde_json::{Value, json};

use crate::actions::{any, delete};
use crate::rng::Rng;
use crate::shapes;
use crate::world::World;

const NAMES: [&str; 2] = ["x", "y"];

const SCHEDULES: [&str; 16] = [
    "* * * * *",
    "* * * * *",
    "*/2 * * * *",
    "*/5 * * * *",
    "0-59/3 * ? * *",
    "10,20-40/7,50/3 * * * *",
    "* */3 * * *",
    "* * 1-30/2 * 1-5",
    "* * * 1,3-10 *",
    "@hourly",
    "@every 7s",
    "@every 20s",
    "@every 90s",
    "@every 5m",
    "*/30 1-3 * * *",
    "0 0 31 2 *",
];

/// Their clocks change near the moments at which worlds begin, or differ by parts of an hour.
const ZONES: [&str; 5] = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"];

#[derive(Clone, Copy)]
enum Action {
    Create,
    Edit,
    Delete,
    StartByHand,
    TakeAway,
}

const ACTIONS: &[(usize, Action)] =
    &[(30, Action::Create), (40, Action::Edit), (12, Action::Delete), (12, Action::StartByHand), (6, Action::TakeAway)];

pub fn act(world: &mut World) -> String {
    match *world.rng.weighted(ACTIONS) {
        Action::Create => create(world),
        Action::Edit => edit(world),
        Action::Delete => delete_one(world),
        Action::StartByHand => start_by_hand(world),
        Action::TakeAway => take_away(world),
    }
}

fn policy(rng: &mut Rng) -> &'static str {
    rng.pick::<&str>(&["Allow", "Forbid", "Replace"])
}

fn template(rng: &mut Rng) -> Value {
    let version = rng.below(1000).to_string();
    let job = shapes::job(rng, "");
    let mut annotations = job["metadata"]["annotations"].clone();
    annotations["sim/template"] = json!(version);
    json!({"metadata": {"labels": {"sim": version}, "annotations": annotations}, "spec": job["spec"]})
}

fn shape(rng: &mut Rng, name: &str) -> Value {
    let mut spec = json!({"schedule": rng.pick(&SCHEDULES), "concurrencyPolicy": policy(rng),
        "jobTemplate": template(rng)});
    if rng.percent(50) {
        spec["timeZone"] = json!(rng.pick(&ZONES));
    }
    if rng.percent(35) {
        spec["startingDeadlineSeconds"] = json!(rng.pick(&[0, 1, 10, 60, 600, 1_000_000]));
    }
    if rng.percent(10) {
        spec["suspend"] = json!(true);
    }
    for limit in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        if rng.percent(70) {
            spec[limit] = json!(rng.between(0, 3));
        }
    }
    json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

pub fn create(world: &mut World) -> String {
    let name = *world.rng.pick(&NAMES);
    let value = shape(&mut world.rng, name);
    let cron_job = Object::deserialize(Kind::CronJob, value.clone()).expect("a shape is a CronJob");
    let stamp = admission::Stamp { now: world.clock.now(), uid: world.ids.uid(), suffix: "" };
    let cron_job = admission::create(cron_job, &stamp).unwrap_or_else(|fault| panic!("{value} is refused: {fault:?}"));
    let exists = world.store().get(Kind::CronJob, &cron_job.key()).is_some();
    match world.store().commit(Tx::new().create(cron_job)) {
        Ok(_) if !exists => format!("creates CronJob {name}: {}", value["spec"]),
        Err(CommitError::AlreadyExists(..)) if exists => format!("cannot create CronJob {name} again"),
        other => panic!("creating CronJob {name}, which exists: {exists}: {other:?}"),
    }
}

fn edit(world: &mut World) -> String {
    let Some(old) = any(world, Kind::CronJob) else { return "has no CronJob to edit".to_owned() };
    let (new, what) = edited(&mut world.rng, &old);
    let new = admission::update(&old, new, world.clock.now()).unwrap_or_else(|fault| panic!("{what}: {fault:?}"));
    world.store().commit(Tx::new().update(new)).expect("it was just read");
    format!("edits CronJob {}: {what}", old.key())
}

fn edited(rng: &mut Rng, old: &Object) -> (Object, String) {
    let mut cron_job = CronJob::clone(old.as_cron_job().expect("it is a CronJob"));
    let spec = &mut cron_job.spec;
    let what = match rng.below(8) {
        0 | 1 => {
            spec.schedule = (*rng.pick(&SCHEDULES)).to_owned();
            format!("schedule {}", spec.schedule)
        }
        2 | 3 => {
            spec.suspend = Some(spec.suspend != Some(true));
            format!("suspend {:?}", spec.suspend)
        }
        4 => {
            spec.concurrency_policy = Some(policy(rng).to_owned());
            format!("concurrencyPolicy {:?}", spec.concurrency_policy)
        }
        5 => {
            spec.job_template = serde_json::from_value(template(rng)).expect("it is a template");
            "jobTemplate".to_owned()
        }
        6 => {
            spec.starting_deadline_seconds = rng.percent(60).then(|| rng.between(0, 90));
            spec.time_zone = rng.percent(60).then(|| (*rng.pick(&ZONES)).to_owned());
            format!("startingDeadlineSeconds {:?} timeZone {:?}", spec.starting_deadline_seconds, spec.time_zone)
        }
        _ => {
            spec.successful_jobs_history_limit = Some(rng.between(0, 3) as i32);
            spec.failed_jobs_history_limit = Some(rng.between(0, 3) as i32);
            format!("keeps {:?} and {:?}", spec.successful_jobs_history_limit, spec.failed_jobs_history_limit)
        }
    };
    (cron_job.into(), what)
}

fn delete_one(world: &mut World) -> String {
    let Some(cron_job) = any(world, Kind::CronJob) else { return "has no CronJob to delete".to_owned() };
    let choices = [Propagation::Background, Propagation::Foreground, Propagation::Orphan];
    let given = world.rng.percent(80).then(|| *world.rng.pick(&choices));
    let propagation = given.unwrap_or_else(|| deletion::default_propagation(&cron_job));
    delete(world, &cron_job, &Options { grace: None, propagation: Some(propagation) });
    format!("deletes CronJob {}: {propagation:?}", cron_job.key())
}

/// As `kubectl create job --from` does it. Sometimes under the very name that the schedule will want next.
fn start_by_hand(world: &mut World) -> String {
    let Some(cron_job) = any(world, Kind::CronJob) else { return "has no CronJob to start a Job of".to_owned() };
    let minute = world.clock.now().as_second().div_euclid(60) + 1;
    let name = match world.rng.percent(25) {
        true => format!("{}-{minute}", cron_job.key().name),
        false => format!("{}-by-hand-{}", cron_job.key().name, world.ids.suffix()),
    };
    let cron_job = cron_job.as_cron_job().expect("it is a CronJob").clone();
    let template = &cron_job.spec.job_template;
    let of_template = template.metadata.clone().unwrap_or_default();
    let owner = json!({"apiVersion": "batch/v1", "kind": "CronJob", "name": cron_job.metadata.name,
        "uid": cron_job.metadata.uid, "controller": true});
    let mut job = json!({"metadata": {"name": name, "namespace": "default", "labels": of_template.labels,
        "annotations": of_template.annotations, "ownerReferences": [owner]}, "spec": template.spec});
    job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"] = json!("manual");
    let job = Object::deserialize(Kind::Job, job).expect("it is a Job");
    let stamp = admission::Stamp { now: world.clock.now(), uid: world.ids.uid(), suffix: "" };
    let job = admission::create(job, &stamp).expect("it is legal");
    match world.store().commit(Tx::new().create(job)) {
        Ok(_) => format!("starts Job {name} by hand"),
        Err(CommitError::AlreadyExists(..)) => format!("cannot start Job {name} by hand, it is there"),
        Err(other) => panic!("starting Job {name}: {other}"),
    }
}

/// A Job that belongs to a CronJob belongs to nobody.
fn take_away(world: &mut World) -> String {
    let Some(old) = any(world, Kind::Job) else { return "has no Job to take away".to_owned() };
    if meta::controller_of(old.meta()).is_none() {
        return format!("leaves Job {} alone", old.key());
    }
    let mut job = Job::clone(old.as_job().expect("it is a Job"));
    job.metadata.owner_references = None;
    match admission::update(&old, job.into(), world.clock.now()) {
        Ok(new) => {
            world.store().commit(Tx::new().update(new)).expect("it was just read");
            format!("takes Job {} away from its CronJob", old.key())
        }
        Err(ApiError::Invalid { .. }) => format!("may not take Job {} away", old.key()),
        Err(fault) => panic!("taking Job {} away: {fault:?}", old.key()),
    }
}

/// No CronJob makes a Job any more: each is suspended or deleted. Says how.
pub fn end_all(world: &mut World) -> Vec<String> {
    let all = world.store().list(Kind::CronJob, Some("default")).objects;
    all.iter().map(|cron_job| end(world, cron_job)).collect()
}

fn end(world: &mut World, old: &Object) -> String {
    if world.rng.percent(50) {
        let propagation = Some(*world.rng.pick(&[Propagation::Background, Propagation::Foreground]));
        delete(world, old, &Options { grace: None, propagation });
        return format!("deletes CronJob {}: {propagation:?}", old.key());
    }
    let mut cron_job = CronJob::clone(old.as_cron_job().expect("it is a CronJob"));
    cron_job.spec.suspend = Some(true);
    let new = admission::update(old, cron_job.into(), world.clock.now()).expect("it is legal");
    world.store().commit(Tx::new().update(new)).expect("it was just read");
    format!("suspends CronJob {}", old.key())
}

/// When worlds begin: in one that is like any other, or soon before clocks change or a year ends.
pub fn beginning(rng: &mut Rng) -> Timestamp {
    let text = *rng.pick(&[
        "2026-01-01T00:00:00.25Z",
        "2026-06-10T10:00:00.25Z",
        "2026-03-29T00:40:00.25Z",
        "2026-10-25T00:20:00.25Z",
        "2026-11-01T05:30:00.25Z",
        "2026-04-04T14:40:00.25Z",
        "2026-12-31T23:40:00.25Z",
    ]);
    text.parse().expect("it is a time")
}
