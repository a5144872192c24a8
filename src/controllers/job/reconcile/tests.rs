use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::JobCondition;
use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition, PodSpec, PodTemplateSpec};
use proptest::prelude::*;

use super::*;
use crate::api::Kind;
use crate::api::pod::facts::test::finished_pod;
use crate::control::Seen;
use crate::controllers::job::view::View;
use crate::store::Change;

/// A Job and its pods, as the store would hold them; plans are applied whole.
struct World {
    job: Job,
    pods: BTreeMap<String, Pod>,
    view: View,
    now: Timestamp,
    ids: Ids,
    notes: Vec<(&'static str, String)>,
}

impl World {
    fn new(spec: JobSpec) -> World {
        let mut job = Job { spec: Some(spec), ..Job::default() };
        job.metadata.name = Some("j".to_owned());
        job.metadata.namespace = Some("default".to_owned());
        job.metadata.uid = Some("job".to_owned());
        let now = Timestamp::from_second(1_000_000).unwrap();
        let mut world =
            World { job, pods: BTreeMap::new(), view: View::default(), now, ids: Ids::seeded(1), notes: vec![] };
        world.tell_job();
        world
    }

    fn tell_job(&mut self) {
        let object = Object::from(self.job.clone());
        self.view.observe(&Seen { change: Change::Modified, object: &object, old: Some(&object) }, self.now);
    }

    fn tell_pod(&mut self, pod: &Pod, change: Change) {
        let object = Object::from(pod.clone());
        self.view.observe(&Seen { change, object: &object, old: Some(&object) }, self.now);
    }

    fn set_pod(&mut self, pod: Pod) {
        self.tell_pod(&pod, Change::Modified);
        self.pods.insert(pod.metadata.name.clone().unwrap(), pod);
    }

    fn remove_pod(&mut self, name: &str) {
        if let Some(pod) = self.pods.remove(name) {
            self.tell_pod(&pod, Change::Deleted);
        }
    }

    fn plan(&self) -> Plan {
        reconcile(self.view.entry(&crate::api::Key::new("default", "j")).unwrap(), self.now, &self.ids)
    }

    fn apply(&mut self, plan: Plan) {
        for effect in plan.effects {
            match effect {
                Effect::Create(object) | Effect::Update(object) if object.kind() == Kind::Pod => {
                    let pod = Pod::clone(object.as_pod().unwrap());
                    let gone = meta::is_deleting(&pod.metadata)
                        && pod.metadata.finalizers.is_none()
                        && pod.metadata.deletion_grace_period_seconds.unwrap_or(0) == 0;
                    let name = pod.metadata.name.clone().unwrap();
                    self.set_pod(pod);
                    if gone {
                        self.remove_pod(&name);
                    }
                }
                Effect::Update(object) => {
                    self.job = Job::clone(object.as_job().unwrap());
                    self.tell_job();
                }
                Effect::Remove { key, .. } => self.remove_pod(&key.name),
                Effect::Create(object) => panic!("created {object:?}"),
            }
        }
        self.notes.extend(plan.notes.into_iter().map(|n| (n.reason, n.message)));
    }

    /// Looks until there is nothing more to do now.
    fn settle(&mut self) -> Option<Timestamp> {
        for _ in 0..100 {
            let plan = self.plan();
            let again = plan.again;
            if plan.effects.is_empty() && again.is_none_or(|at| at > self.now) {
                return again;
            }
            self.apply(plan);
        }
        panic!("does not settle: {:?}", self.status());
    }

    fn pass(&mut self, seconds: i64) {
        self.now = meta::add_seconds(self.now, seconds);
    }

    /// The names of the pods that are neither finished nor being deleted.
    fn active(&self) -> Vec<String> {
        let active = |p: &&Pod| !facts::is_finished(p) && !meta::is_deleting(&p.metadata);
        self.pods.values().filter(active).map(|p| p.metadata.name.clone().unwrap()).collect()
    }

    fn place(&mut self, name: &str) {
        let mut pod = self.pods[name].clone();
        pod.spec.as_mut().unwrap().node_name = Some("n".to_owned());
        self.set_pod(pod);
    }

    /// Each pod used one unit of everything.
    fn finish(&mut self, name: &str, succeeded: bool) {
        let mut pod = self.pods[name].clone();
        pod.status = finished_pod(self.now, succeeded).status;
        let used = r#"{"fuel":1,"peakMemoryBytes":1,"cpuMicros":1,"wallMicros":1}"#;
        meta::set_annotation(&mut pod.metadata, well_known::ANNOTATION_USAGE, used);
        self.set_pod(pod);
    }

    /// The pods whose use is in the Job's sum, and the fuel in it.
    fn used(&self) -> (u64, u64) {
        let text = meta::annotation(&self.job.metadata, well_known::ANNOTATION_USAGE).unwrap_or("{}");
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        (value["pods"].as_u64().unwrap_or(0), value["fuel"].as_u64().unwrap_or(0))
    }

    fn interrupt(&mut self, name: &str) {
        let mut pod = self.pods[name].clone();
        pod.status = finished_pod(self.now, false).status;
        pod.status.as_mut().unwrap().conditions = Some(vec![PodCondition {
            type_: well_known::COND_DISRUPTION_TARGET.to_owned(),
            status: "True".to_owned(),
            reason: Some(well_known::REASON_NODE_RESTARTED.to_owned()),
            ..PodCondition::default()
        }]);
        self.set_pod(pod);
    }

    fn status(&self) -> &JobStatus {
        self.job.status.as_ref().unwrap()
    }

    /// active, succeeded, failed.
    fn numbers(&self) -> (i32, i32, i32) {
        let s = self.status();
        (s.active.unwrap_or(0), s.succeeded.unwrap_or(0), s.failed.unwrap_or(0))
    }

    fn conditions(&self) -> Vec<(&str, &str)> {
        self.status()
            .conditions
            .iter()
            .flatten()
            .map(|c: &JobCondition| (c.type_.as_str(), c.reason.as_deref().unwrap_or_default()))
            .collect()
    }
}

fn spec(completions: Option<i32>, parallelism: i32, backoff_limit: i32) -> JobSpec {
    JobSpec { completions, parallelism: Some(parallelism), backoff_limit: Some(backoff_limit), ..JobSpec::default() }
}

fn on_failure(backoff_limit: i32) -> JobSpec {
    let pod = PodSpec { restart_policy: Some("OnFailure".to_owned()), ..PodSpec::default() };
    let template = PodTemplateSpec { spec: Some(pod), ..PodTemplateSpec::default() };
    JobSpec { template, ..spec(Some(1), 1, backoff_limit) }
}

#[test]
fn a_fixed_count_job_runs_to_completion() {
    let mut w = World::new(spec(Some(5), 2, 4));
    let mut finished = 0;
    while finished < 5 {
        w.settle();
        let active = w.active();
        assert!(active.len() <= 2 && !active.is_empty());
        assert_eq!(w.numbers(), (active.len() as i32, finished, 0));
        w.finish(&active[0], true);
        finished += 1;
    }
    w.settle();
    assert_eq!(w.numbers(), (0, 5, 0));
    let reached = "CompletionsReached";
    assert_eq!(w.conditions(), [("SuccessCriteriaMet", reached), ("Complete", reached)]);
    assert!(w.status().completion_time.is_some());
    assert_eq!(w.notes.last().unwrap().0, "Completed");
    assert!(w.pods.values().all(|p| p.metadata.finalizers.is_none()), "counted pods are released");
}

#[test]
fn no_completions_complete_at_once() {
    let mut w = World::new(spec(Some(0), 1, 6));
    w.settle();
    assert_eq!((w.numbers(), w.pods.len()), ((0, 0, 0), 0));
    assert_eq!(w.status().succeeded, None);
    assert_eq!(w.status().start_time, w.status().completion_time);
}

#[test]
fn a_work_queue_job_creates_no_pod_after_the_first_success() {
    let mut w = World::new(spec(None, 3, 6));
    w.settle();
    let active = w.active();
    w.finish(&active[0], true);
    w.settle();
    assert_eq!((w.active().len(), w.pods.len()), (2, 3));
    w.finish(&active[1], false);
    w.finish(&active[2], false);
    w.pass(1000);
    w.settle();
    assert_eq!((w.numbers(), w.pods.len()), ((0, 1, 2), 3));
    assert_eq!(w.conditions()[1].0, "Complete");
}

#[test]
fn a_failing_job_backs_off_and_then_fails() {
    let mut w = World::new(spec(Some(1), 1, 1));
    w.settle();
    w.finish(&w.active()[0].clone(), false);
    let due = w.settle().expect("waits for the back-off");
    assert_eq!(due.duration_since(w.now).as_secs(), 10);
    assert_eq!(w.numbers(), (0, 0, 1));
    w.pass(9);
    w.settle();
    assert!(w.active().is_empty());
    w.pass(1);
    w.settle();
    w.finish(&w.active()[0].clone(), false);
    w.settle();
    assert_eq!((w.numbers(), w.pods.len()), ((0, 0, 2), 2));
    let exceeded = "BackoffLimitExceeded";
    assert_eq!(w.conditions(), [("FailureTarget", exceeded), ("Failed", exceeded)]);
    assert!(w.status().completion_time.is_none());
    assert_eq!(w.notes.last().unwrap().0, exceeded);
}

#[test]
fn on_failure_restarts_count_against_the_limit() {
    for (limit, restarts, fails) in [(0, 0, false), (0, 1, true), (2, 1, false), (2, 2, true), (6, 5, false)] {
        let mut w = World::new(on_failure(limit));
        w.settle();
        let name = w.active()[0].clone();
        w.place(&name);
        let mut pod = w.pods[&name].clone();
        let container = ContainerStatus { restart_count: restarts, ..ContainerStatus::default() };
        pod.status.as_mut().unwrap().container_statuses = Some(vec![container]);
        w.set_pod(pod);
        w.settle();
        assert_eq!(!w.conditions().is_empty(), fails, "limit {limit}, restarts {restarts}");
        let stopped = meta::annotation(&w.pods[&name].metadata, well_known::ANNOTATION_STOP);
        assert_eq!(stopped, fails.then_some("BackoffLimitExceeded"), "its node is told to stop it");
    }
}

#[test]
fn a_deadline_ends_a_job_once_its_nodes_have_stopped_its_pods() {
    let mut w = World::new(JobSpec { active_deadline_seconds: Some(5), ..spec(Some(2), 2, 6) });
    let due = w.settle().unwrap();
    assert_eq!(due.duration_since(w.now).as_secs(), 5);
    let active = w.active();
    w.place(&active[0]);
    w.pass(5);
    w.settle();
    assert_eq!(w.conditions(), [("FailureTarget", "DeadlineExceeded")], "one pod still runs");
    assert_eq!(w.numbers(), (1, 0, 1), "the one that no node had is gone");
    w.finish(&active[0], false);
    w.settle();
    assert_eq!(w.numbers(), (0, 0, 2));
    assert_eq!(w.conditions()[1], ("Failed", "DeadlineExceeded"));
    assert_eq!((w.status().ready, w.status().terminating), (Some(0), Some(0)));
}

#[test]
fn a_deadline_that_is_moved_reaches_the_pods_that_run() {
    let mut w = World::new(JobSpec { active_deadline_seconds: Some(5), ..spec(Some(1), 1, 6) });
    w.settle();
    w.job.spec.as_mut().unwrap().active_deadline_seconds = Some(60);
    w.tell_job();
    w.settle();
    let told = meta::annotation(&w.pods[&w.active()[0]].metadata, well_known::ANNOTATION_DEADLINE).unwrap();
    assert_eq!(meta::parse_micros(told), Some(meta::add_seconds(w.now, 60)));
}

#[test]
fn a_pod_that_loses_its_owner_is_no_longer_counted_as_active() {
    let mut w = World::new(spec(Some(2), 2, 6));
    w.settle();
    let name = w.active()[0].clone();
    let old = Object::from(w.pods[&name].clone());
    let mut orphan = w.pods[&name].clone();
    orphan.metadata.owner_references = None;
    let object = Object::from(orphan.clone());
    let key = w.view.observe(&Seen { change: Change::Modified, object: &object, old: Some(&old) }, w.now);
    w.pods.insert(name, orphan);
    assert_eq!(key, Some(crate::api::Key::new("default", "j")), "the Job that lost it looks again");
    w.settle();
    assert_eq!((w.numbers(), w.pods.len()), ((2, 0, 0), 3));
}

#[test]
fn failure_wins_over_a_success_seen_in_the_same_look() {
    let mut w = World::new(JobSpec { active_deadline_seconds: Some(5), ..spec(Some(1), 1, 6) });
    w.settle();
    w.finish(&w.active()[0].clone(), true);
    w.pass(5);
    w.settle();
    assert_eq!(w.conditions()[1], ("Failed", "DeadlineExceeded"));
}

#[test]
fn an_interrupted_pod_is_replaced_at_once_and_not_charged() {
    let mut w = World::new(spec(Some(1), 1, 0));
    w.settle();
    w.interrupt(&w.active()[0].clone());
    w.settle();
    assert_eq!((w.numbers(), w.pods.len()), ((1, 0, 0), 2));
}

#[test]
fn fewer_wanted_pods_are_deleted_and_not_counted() {
    let mut w = World::new(spec(Some(9), 3, 6));
    w.settle();
    w.place(&w.active()[0].clone());
    w.job.spec.as_mut().unwrap().parallelism = Some(1);
    w.tell_job();
    w.settle();
    assert_eq!(w.numbers(), (1, 0, 0));
    assert!(facts::node(&w.pods[&w.active()[0]]).is_some(), "the pod that has a node is kept");
}

#[test]
fn a_pod_that_somebody_deletes_counts_as_failed_and_is_replaced() {
    let mut w = World::new(spec(Some(1), 1, 6));
    w.settle();
    let name = w.active()[0].clone();
    w.place(&name);
    let Deletion::Mark(marked) = deletion::delete(&w.pods[&name].clone().into(), &Default::default(), w.now) else {
        panic!()
    };
    w.set_pod(Pod::clone(marked.as_pod().unwrap()));
    let again = w.settle();
    assert_eq!((w.numbers().2, w.status().terminating), (1, Some(1)));
    w.finish(&name, false);
    w.remove_pod(&name);
    w.now = again.unwrap_or(w.now);
    w.settle();
    assert_eq!(w.numbers(), (1, 0, 1));
}

#[test]
fn the_pods_of_a_job_that_is_gone_are_released() {
    let mut w = World::new(spec(Some(3), 3, 6));
    w.settle();
    let object = Object::from(w.job.clone());
    w.view.observe(&Seen { change: Change::Deleted, object: &object, old: None }, w.now);
    let plan = w.plan();
    assert_eq!(plan.effects.len(), 3);
    w.apply(plan);
    assert!(w.pods.values().all(|p| p.metadata.finalizers.is_none()));
}

#[test]
fn many_pods_are_created_and_counted_in_bounded_steps() {
    let mut w = World::new(spec(Some(1200), 1200, 6));
    let plan = w.plan();
    assert_eq!(plan.effects.len(), AT_ONCE + 1, "pods, and the status");
    w.apply(plan);
    w.settle();
    for name in w.active() {
        w.finish(&name, true);
    }
    let plan = w.plan();
    assert_eq!(plan.effects.len(), AT_ONCE + 1);
    w.apply(plan);
    assert_eq!(w.numbers().1, AT_ONCE as i32);
    w.settle();
    assert_eq!((w.numbers(), w.pods.len()), ((0, 1200, 0), 1200));
}

#[test]
fn what_pods_used_is_summed_once_however_often_a_decision_is_made_anew() {
    let mut w = World::new(spec(Some(1200), 1200, 6));
    meta::set_annotation(&mut w.job.metadata, well_known::ANNOTATION_USAGE, r#"{"pods":7,"fuel":7}"#);
    w.tell_job();
    w.settle();
    assert_eq!(w.used(), (0, 0), "that of a Job from which this one was copied is not its own");
    let active = w.active();
    w.interrupt(&active[0]);
    for (i, name) in active.iter().enumerate().skip(1) {
        w.finish(name, i % 400 > 0);
    }
    // A refused decision leaves nothing.
    let (first, again) = (w.plan(), w.plan());
    assert_eq!(first, again);
    w.apply(again);
    assert_eq!(w.used().0 as usize, AT_ONCE - 1, "the one that was interrupted says nothing");
    w.settle();
    assert_eq!(w.used(), (1199, 1199));
}

#[derive(Clone, Debug)]
enum Happening {
    Succeed(usize),
    Fail(usize),
    Interrupt(usize),
    Place(usize),
    Parallelism(i32),
    Pass(i64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => any::<usize>().prop_map(Happening::Succeed),
        3 => any::<usize>().prop_map(Happening::Fail),
        1 => any::<usize>().prop_map(Happening::Interrupt),
        2 => any::<usize>().prop_map(Happening::Place),
        1 => (0..4).prop_map(Happening::Parallelism),
        2 => (0i64..700).prop_map(Happening::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens to the pods: never more active pods than allowed, each pod counted once, a terminal condition
    /// never changes, and a settled Job has nothing to do.
    #[test]
    fn a_job_keeps_its_books(
        completions in proptest::option::of(0i32..6), parallelism in 0i32..4, limit in 0i32..4,
        deadline in proptest::option::of(1i64..3000),
        happenings in proptest::collection::vec(happening(), 0..40),
    ) {
        let mut w = World::new(JobSpec { active_deadline_seconds: deadline, ..spec(completions, parallelism, limit) });
        let (mut succeeded, mut failed, mut allowed) = (0, 0, parallelism);
        w.settle();
        for happening in happenings {
            let ended = status::is_finished(&w.job).then(|| w.job.clone());
            let active = w.active();
            let pick = |i: usize| active.get(i % active.len().max(1)).cloned();
            match happening {
                Happening::Succeed(i) => if let Some(name) = pick(i) { w.place(&name); w.finish(&name, true); succeeded += 1; },
                Happening::Fail(i) => if let Some(name) = pick(i) { w.place(&name); w.finish(&name, false); failed += 1; },
                Happening::Interrupt(i) => if let Some(name) = pick(i) { w.interrupt(&name); },
                Happening::Place(i) => if let Some(name) = pick(i) { w.place(&name); },
                Happening::Parallelism(p) => {
                    w.job.spec.as_mut().unwrap().parallelism = Some(p);
                    w.tell_job();
                    allowed = p;
                }
                Happening::Pass(seconds) => w.pass(seconds),
            }
            w.settle();
            if let Some(ended) = ended {
                prop_assert_eq!(&ended.status, &w.job.status);
            }
            let ending = !w.conditions().is_empty();
            let (active, counted, lost) = w.numbers();
            prop_assert_eq!(active as usize, w.active().len());
            prop_assert!(ending || active <= allowed);
            // Pods that no node had when the Job failed were never seen to fail, and count all the same.
            prop_assert!(counted == succeeded && (lost == failed || ending && lost >= failed), "{:?} {} {}", w.numbers(), succeeded, failed);
            prop_assert_eq!(w.used(), ((succeeded + failed) as u64, (succeeded + failed) as u64));
            prop_assert!(w.plan().effects.is_empty());
        }
    }
}
