use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::JobCondition;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api::admission;
use crate::control::Seen;
use crate::store::Change;

const NOON: &str = "2026-01-01T12:00:30Z";

/// A CronJob and Jobs, as the store would hold them; plans are applied whole.
struct World {
    cron_job: CronJob,
    jobs: BTreeMap<String, Job>,
    view: View,
    now: Timestamp,
    ids: Ids,
}

impl World {
    /// A CronJob named `c`, created half a minute past noon.
    fn new(fields: Value) -> World {
        let mut spec = json!({"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec":
            {"restartPolicy": "Never", "containers": [{"name": "m", "image": "pi"}]}}}}});
        for (field, value) in fields.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let value = json!({"metadata": {"name": "c", "namespace": "n"}, "spec": spec});
        let mut cron_job: CronJob = serde_json::from_value(value).unwrap();
        let now: Timestamp = NOON.parse().unwrap();
        crate::api::cronjob::defaults::default_spec(&mut cron_job.spec);
        cron_job.metadata.uid = Some("cron".to_owned());
        cron_job.metadata.creation_timestamp = Some(meta::time(now));
        cron_job.status = Some(CronJobStatus::default());
        let mut world = World { cron_job, jobs: BTreeMap::new(), view: View::default(), now, ids: Ids::seeded(1) };
        world.tell();
        world
    }

    fn see(&mut self, change: Change, object: &Object) {
        self.view.observe(&Seen { change, object, old: None }, self.now);
    }

    fn tell(&mut self) {
        let object = Object::from(self.cron_job.clone());
        self.see(Change::Modified, &object);
    }

    fn edit(&mut self, change: impl FnOnce(&mut CronJob)) {
        change(&mut self.cron_job);
        self.tell();
    }

    fn set_job(&mut self, job: Job) {
        self.see(Change::Modified, &Object::from(job.clone()));
        self.jobs.insert(job.metadata.name.clone().unwrap(), job);
    }

    fn remove_job(&mut self, name: &str) {
        let job = self.jobs.remove(name).unwrap();
        self.see(Change::Deleted, &Object::from(job));
    }

    /// A Job with this name, of this CronJob (by uid) or of nobody.
    fn make_job(&mut self, name: &str, owner: Option<&str>) {
        let owners: Vec<Value> = owner
            .iter()
            .map(
                |uid| json!({"apiVersion": "batch/v1", "kind": "CronJob", "name": "c", "uid": uid, "controller": true}),
            )
            .collect();
        let meta = json!({"name": name, "namespace": "n", "uid": format!("uid-{name}"), "ownerReferences": owners});
        self.set_job(serde_json::from_value(json!({"metadata": meta, "status": {}})).unwrap());
    }

    fn end_job(&mut self, name: &str, how: &str) {
        let mut job = self.jobs[name].clone();
        let time = Some(meta::time(self.now));
        let status = job.status.get_or_insert_default();
        status.start_time = time.clone();
        status.completion_time = time.filter(|_| how == "Complete");
        let condition = JobCondition { type_: how.to_owned(), status: "True".to_owned(), ..JobCondition::default() };
        status.conditions = Some(vec![condition]);
        self.set_job(job);
    }

    /// One look, at `time` of that day; answers the events as `Reason: message`.
    fn look(&mut self, time: &str) -> Vec<String> {
        self.now = format!("2026-01-01T{time}Z").parse().unwrap();
        let plan = self.plan();
        let notes = plan.notes.iter().map(|note| format!("{}: {}", note.reason, note.message)).collect();
        self.apply(plan);
        notes
    }

    fn plan(&self) -> Plan {
        let entry = self.view.entry(&Key::new("n", "c")).unwrap();
        reconcile(&self.view, entry, &TimeZone::UTC, self.now, &self.ids)
    }

    fn apply(&mut self, plan: Plan) {
        for effect in plan.effects {
            match effect {
                Effect::Create(object) => {
                    let mut job = Job::clone(object.as_job().unwrap());
                    assert!(!self.jobs.contains_key(job.metadata.name.as_ref().unwrap()), "{job:?}");
                    job.metadata.resource_version = Some("7".to_owned());
                    self.set_job(job);
                }
                Effect::Update(object) => match object {
                    Object::CronJob(cron_job) => self.edit(|old| *old = CronJob::clone(&cron_job)),
                    object if meta::is_deleting(object.meta()) && object.meta().finalizers.is_none() => {
                        self.remove_job(&object.key().name);
                    }
                    object => self.set_job(Job::clone(object.as_job().unwrap())),
                },
            }
        }
    }

    fn names(&self) -> Vec<&str> {
        self.jobs.keys().map(String::as_str).collect()
    }

    fn status(&self) -> Value {
        serde_json::to_value(self.cron_job.status.as_ref().unwrap()).unwrap()
    }

    fn active(&self) -> Vec<String> {
        let active = self.cron_job.status.iter().flat_map(|s| s.active.iter().flatten());
        active.map(|job| job.name.clone().unwrap()).collect()
    }
}

/// The name of the Job of a minute after noon.
fn of(minute: i64) -> String {
    let noon: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    format!("c-{}", noon.as_second() / 60 + minute)
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_job_is_made_when_its_time_comes_and_once() {
    let mut world = World::new(json!({}));
    assert_eq!(world.look("12:00:59.999"), NOTHING);
    assert_eq!(world.plan().again, Some("2026-01-01T12:01:00Z".parse().unwrap()));
    assert_eq!(world.look("12:01:00"), [format!("SuccessfulCreate: Created job {}", of(1))]);
    assert_eq!(world.look("12:01:01"), NOTHING);
    assert_eq!(world.plan().again, Some("2026-01-01T12:02:00Z".parse().unwrap()));
    let name = of(1);
    let uid = world.jobs[&name].metadata.uid.clone().unwrap();
    assert_eq!(
        world.status(),
        json!({"active": [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "namespace": "n", "uid": uid}],
            "lastScheduleTime": "2026-01-01T12:01:00Z"})
    );
}

#[test]
fn a_job_that_ends_leaves_the_list_and_a_success_is_remembered() {
    let mut world = World::new(json!({}));
    world.look("12:01:00");
    world.end_job(&of(1), "Complete");
    assert_eq!(world.look("12:01:30"), [format!("SawCompletedJob: Saw completed job: {}, status: Complete", of(1))]);
    assert_eq!(
        world.status(),
        json!({"lastScheduleTime": "2026-01-01T12:01:00Z", "lastSuccessfulTime": "2026-01-01T12:01:00Z"})
    );
    world.look("12:02:00");
    world.end_job(&of(2), "Failed");
    assert_eq!(world.look("12:02:30"), [format!("SawCompletedJob: Saw completed job: {}, status: Failed", of(2))]);
    assert_eq!(world.status()["lastSuccessfulTime"], "2026-01-01T12:01:00Z");
}

#[test]
fn the_last_success_is_the_latest_even_of_jobs_made_by_hand() {
    let mut world = World::new(json!({}));
    world.make_job("by-hand", Some("cron"));
    let seen = world.look("12:00:40");
    assert_eq!(seen, ["UnexpectedJob: Saw a job that the controller did not create or forgot: by-hand"]);
    world.end_job("by-hand", "Complete");
    assert_eq!(world.look("12:00:50"), NOTHING);
    assert_eq!(world.status(), json!({"lastSuccessfulTime": "2026-01-01T12:00:40Z"}));
}

#[test]
fn a_listed_job_that_is_gone_is_missed() {
    let mut world = World::new(json!({}));
    world.look("12:01:00");
    world.remove_job(&of(1));
    assert_eq!(world.look("12:01:10"), [format!("MissingJob: Active job went missing: {}", of(1))]);
    assert_eq!(world.status(), json!({"lastScheduleTime": "2026-01-01T12:01:00Z"}));
}

#[test]
fn jobs_of_others_are_none_of_its_business() {
    let mut world = World::new(json!({}));
    world.make_job("other", Some("another-cron-job"));
    world.make_job("free", None);
    assert_eq!(world.look("12:00:40"), NOTHING);
}

#[test]
fn allow_lets_jobs_run_beside_each_other() {
    let mut world = World::new(json!({}));
    world.look("12:01:00");
    world.look("12:02:00");
    assert_eq!(world.active(), [of(1), of(2)]);
}

#[test]
fn forbid_waits_for_the_active_job_and_then_makes_up_for_it_at_once() {
    let mut world = World::new(json!({"concurrencyPolicy": "Forbid"}));
    world.look("12:01:00");
    let refused =
        "JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid";
    assert_eq!(world.look("12:02:00"), [refused]);
    assert_eq!(world.look("12:03:00"), [refused]);
    assert_eq!(world.status()["lastScheduleTime"], "2026-01-01T12:01:00Z");
    world.end_job(&of(1), "Failed");
    let seen = world.look("12:03:20");
    assert_eq!(seen[1..], [format!("SuccessfulCreate: Created job {}", of(3))], "the last of those missed: {seen:?}");
}

#[test]
fn replace_removes_the_active_jobs_for_the_new_one() {
    let mut world = World::new(json!({"concurrencyPolicy": "Replace"}));
    world.look("12:01:00");
    world.make_job("by-hand", Some("cron"));
    let seen = world.look("12:02:00");
    assert_eq!(
        seen[1..],
        [format!("SuccessfulDelete: Deleted job {}", of(1)), format!("SuccessfulCreate: Created job {}", of(2))]
    );
    assert_eq!(
        (world.active(), world.names()),
        (vec![of(2)], vec!["by-hand", &of(2)]),
        "only what is listed is replaced"
    );
    // One that waits for a finalizer is marked.
    let mut held = world.jobs[&of(2)].clone();
    held.metadata.finalizers = Some(vec!["a.b/c".to_owned()]);
    world.set_job(held);
    world.look("12:03:00");
    assert!(meta::is_deleting(&world.jobs[&of(2)].metadata));
    assert_eq!(world.active(), [of(3)]);
}

#[test]
fn nothing_is_started_while_suspended_and_the_last_time_when_it_ends() {
    let mut world = World::new(json!({"suspend": true, "successfulJobsHistoryLimit": 0}));
    assert_eq!(world.look("12:01:00"), NOTHING);
    assert_eq!(world.plan().again, None);
    world.make_job("done", Some("cron"));
    world.end_job("done", "Complete");
    assert_eq!(world.look("12:04:00"), ["SuccessfulDelete: Deleted job done"], "history is kept short nevertheless");
    world.edit(|cron_job| cron_job.spec.suspend = Some(false));
    assert_eq!(world.look("12:05:50"), [format!("SuccessfulCreate: Created job {}", of(5))]);
}

#[test]
fn a_time_that_came_too_long_ago_is_missed() {
    let mut world = World::new(json!({"startingDeadlineSeconds": 10}));
    assert_eq!(
        world.look("12:01:11"),
        ["MissSchedule: Missed scheduled time to start a job: Thu, 01 Jan 2026 12:01:00 +0000"]
    );
    assert_eq!(world.plan().again, Some("2026-01-01T12:02:00Z".parse().unwrap()));
    assert_eq!(world.look("12:02:10"), [format!("SuccessfulCreate: Created job {}", of(2))]);
}

#[test]
fn after_many_missed_times_it_warns_and_runs_the_last() {
    let mut world = World::new(json!({}));
    assert_eq!(
        world.look("13:41:00"),
        [
            "TooManyMissedTimes: too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check \
             clock skew"
                .to_owned(),
            format!("SuccessfulCreate: Created job {}", of(101))
        ]
    );
    assert_eq!(world.jobs.len(), 1);
}

#[test]
fn what_cannot_be_read_is_told_and_left_until_it_changes() {
    let mut world = World::new(json!({"schedule": "* * * * 7"}));
    let told = "UnparseableSchedule: unparseable schedule: \"* * * * 7\" : end of range (7) above maximum (6): 7";
    assert_eq!((world.look("12:01:00"), world.plan().again), (vec![told.to_owned()], None));
    let mut world = World::new(json!({"timeZone": "Old/Zone"}));
    let told = "UnknownTimeZone: invalid timeZone: \"Old/Zone\": unknown time zone Old/Zone";
    assert_eq!((world.look("12:01:00"), world.plan().again), (vec![told.to_owned()], None));
    let mut world = World::new(json!({"schedule": "0 0 31 2 *"}));
    let told = "InvalidSchedule: invalid schedule: 0 0 31 2 * : time difference between two schedules is less than 1 \
                second";
    assert_eq!((world.look("12:01:00"), world.plan().again), (vec![told.to_owned()], None));
}

#[test]
fn a_job_that_cannot_be_made_is_told_and_the_next_time_is_tried() {
    let mut world = World::new(json!({}));
    world.edit(|cron_job| {
        let labels = BTreeMap::from([("-".to_owned(), String::new())]);
        cron_job.spec.job_template.metadata.get_or_insert_default().labels = Some(labels);
    });
    let seen = world.look("12:01:00");
    assert!(seen.len() == 1 && seen[0].starts_with("FailedCreate: Error creating job: Job.batch"), "{seen:?}");
    assert_eq!((world.status(), world.plan().again), (json!({}), Some("2026-01-01T12:02:00Z".parse().unwrap())));
}

#[test]
fn while_it_is_being_deleted_it_starts_nothing() {
    let mut world = World::new(json!({}));
    world.edit(|cron_job| cron_job.metadata.deletion_timestamp = Some(meta::time(NOON.parse().unwrap())));
    assert_eq!((world.look("12:01:00"), world.plan().again), (vec![], None));
}

#[test]
fn a_job_of_ours_under_the_name_of_the_time_is_taken_over() {
    let mut world = World::new(json!({}));
    world.make_job(&of(1), Some("cron"));
    let seen = world.look("12:01:00");
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].starts_with("UnexpectedJob"), "{seen:?}");
    assert_eq!((world.active(), &world.status()["lastScheduleTime"]), (vec![of(1)], &json!("2026-01-01T12:01:00Z")));
    // One that has ended is only noted as run.
    world.make_job(&of(2), Some("cron"));
    world.end_job(&of(2), "Complete");
    assert_eq!(world.look("12:02:00"), NOTHING);
    assert_eq!((world.active(), &world.status()["lastScheduleTime"]), (vec![of(1)], &json!("2026-01-01T12:02:00Z")));
}

#[test]
fn a_job_of_somebody_else_under_the_name_is_in_the_way_of_this_time_only() {
    let mut world = World::new(json!({}));
    world.make_job(&of(1), None);
    assert_eq!(world.look("12:01:00"), NOTHING);
    assert_eq!(world.status(), json!({}));
    assert_eq!(world.look("12:02:00"), [format!("SuccessfulCreate: Created job {}", of(2))]);
}

#[test]
fn a_changed_schedule_counts_from_its_change() {
    let mut world = World::new(json!({"schedule": "0 * * * *"}));
    world.now = "2026-01-01T12:30:00Z".parse().unwrap();
    world.edit(|cron_job| cron_job.spec.schedule = "*/10 * * * *".to_owned());
    assert_eq!(world.look("12:30:00"), NOTHING, "12:10, 12:20 and 12:30 were no times of it");
    assert_eq!(world.plan().again, Some("2026-01-01T12:40:00Z".parse().unwrap()));
    assert_eq!(world.look("12:40:00").len(), 1);
    world.now = "2026-01-01T12:45:00Z".parse().unwrap();
    world.edit(|cron_job| cron_job.spec.time_zone = Some("Asia/Kolkata".to_owned()));
    assert_eq!(world.look("12:49:59"), NOTHING);
    assert_eq!(world.look("12:50:00").len(), 1);
}

#[test]
fn the_zone_of_the_cron_job_sets_its_times() {
    let mut world = World::new(json!({"schedule": "30 17 * * *", "timeZone": "Asia/Kolkata"}));
    assert_eq!(world.plan().again, Some("2026-01-02T12:00:00Z".parse().unwrap()));
    world.now = "2026-01-02T12:00:00Z".parse().unwrap();
    let plan = world.plan();
    let Some(Effect::Create(job)) = plan.effects.first() else { panic!("{plan:?}") };
    let scheduled = meta::annotation(job.meta(), crate::api::well_known::ANNOTATION_SCHEDULED);
    assert_eq!(scheduled, Some("2026-01-02T17:30:00+05:30"));
}

#[test]
fn times_within_a_minute_have_a_job_each() {
    let mut world = World::new(json!({"schedule": "@every 20s"}));
    for time in ["12:00:50", "12:01:10", "12:01:30"] {
        assert_eq!(world.look(time).len(), 1, "{time}");
    }
    assert_eq!(world.jobs.len(), 3);
}

#[test]
fn history_drops_the_oldest_beyond_each_limit() {
    let mut world = World::new(json!({"successfulJobsHistoryLimit": 2}));
    for minute in 1..=4 {
        world.look(&format!("12:0{minute}:00"));
        world.end_job(&of(minute), if minute == 3 { "Failed" } else { "Complete" });
    }
    let seen = world.look("12:04:10");
    assert!(seen.contains(&format!("SuccessfulDelete: Deleted job {}", of(1))), "{seen:?}");
    assert_eq!(world.names(), [of(2), of(3), of(4)]);
    assert_eq!(world.look("12:04:20"), NOTHING);
}

#[test]
fn a_made_job_is_what_admission_makes_of_it() {
    let mut world = World::new(json!({}));
    world.look("12:01:00");
    let made = world.jobs[&of(1)].clone();
    let uid = made.metadata.uid.clone().unwrap();
    let mut again = made.clone();
    again.metadata.resource_version = None;
    let stamp = admission::Stamp { now: world.now, uid, suffix: "" };
    let Object::Job(again) = admission::create(again.into(), &stamp).unwrap() else { panic!() };
    assert_eq!((&again.spec, &again.status, &again.metadata.labels), (&made.spec, &made.status, &made.metadata.labels));
}

#[derive(Clone, Debug)]
enum Step {
    Wait(i64),
    End(usize, bool),
    Remove(usize),
    ByHand,
    Suspend(bool),
    Policy(usize),
    Reschedule(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0i64..200).prop_map(Step::Wait),
        3 => (0usize..5, any::<bool>()).prop_map(|(i, well)| Step::End(i, well)),
        1 => (0usize..5).prop_map(Step::Remove),
        1 => Just(Step::ByHand),
        1 => any::<bool>().prop_map(Step::Suspend),
        1 => (0usize..3).prop_map(Step::Policy),
        1 => (0usize..4).prop_map(Step::Reschedule),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    /// Whatever happens: a look leaves nothing to do, no time is run twice, what is listed is there and goes on, history
    /// is within its limits, and no policy is broken.
    #[test]
    fn every_look_leaves_the_world_in_order(steps in steps(), deadline in proptest::option::of(0i64..100)) {
        let mut world = World::new(json!({"startingDeadlineSeconds": deadline}));
        let mut made = std::collections::BTreeSet::new();
        let mut hands = 0;
        for step in steps {
            let nth = |i: usize| world.jobs.keys().nth(i % world.jobs.len().max(1)).cloned();
            match step {
                Step::Wait(seconds) => world.now = meta::add_seconds(world.now, seconds),
                Step::End(i, well) => if let Some(name) = nth(i).filter(|name| end(&world.jobs[name]).is_none()) {
                    world.end_job(&name, if well { "Complete" } else { "Failed" });
                },
                Step::Remove(i) => if let Some(name) = nth(i) {
                    world.remove_job(&name);
                },
                Step::ByHand => {
                    hands += 1;
                    world.make_job(&format!("hand-{hands}"), Some("cron"));
                }
                Step::Suspend(suspend) => world.edit(|cron_job| cron_job.spec.suspend = Some(suspend)),
                Step::Policy(i) => world.edit(|cron_job| {
                    cron_job.spec.concurrency_policy = Some(["Allow", "Forbid", "Replace"][i].to_owned());
                }),
                Step::Reschedule(i) => world.edit(|cron_job| {
                    cron_job.spec.schedule = ["* * * * *", "*/5 * * * *", "@every 7s", "@every 90s"][i].to_owned();
                }),
            }
            let plan = world.plan();
            let created: Vec<String> = plan.effects.iter().filter_map(|effect| match effect {
                Effect::Create(object) => object.meta().name.clone(),
                _ => None,
            }).collect();
            prop_assert!(created.len() <= 1);
            if !created.is_empty() {
                prop_assert!(world.cron_job.spec.suspend != Some(true));
            }
            for name in created {
                prop_assert!(made.insert(name.clone()), "{name} a second time");
            }
            world.apply(plan);
            let spec = &world.cron_job.spec;
            for name in world.active() {
                prop_assert!(world.jobs.get(&name).is_some_and(|job| end(job).is_none()), "{name}");
            }
            if spec.concurrency_policy.as_deref() == Some("Replace") && !world.active().is_empty() {
                let last = world.status()["lastScheduleTime"].clone();
                prop_assert!(last.is_string());
            }
            for (how, limit) in [("Complete", 3), ("Failed", 1)] {
                let kept = world.jobs.values().filter(|job| end(job).is_some_and(|e| e.condition() == how)).count();
                prop_assert!(kept <= limit, "{kept} {how}");
            }
            let again = world.plan();
            prop_assert_eq!(&again.effects, &vec![]);
            prop_assert!(again.again.is_none_or(|at| at > world.now));
        }
    }
}
