//! A Job and its pods as the store would hold them, with plans applied whole: what the tests of the Job controller are
//! told in.

mod basics;
mod indexed;
mod ownership;
mod policies;
mod property;
mod suspend;

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::JobCondition;
use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition, PodSpec, PodTemplateSpec};

use super::*;
use crate::api::Kind;
use crate::api::Object;
use crate::api::deletion::{self, Deletion};
use crate::api::pod::facts;
use crate::api::pod::facts::test::finished_pod;
use crate::control::Seen;
use crate::controllers::job::indexed::{Tries, index_of};
use crate::controllers::job::view::View;
use crate::store::Change;

/// A Job and its pods, as the store would hold them; plans are applied whole.
pub struct World {
    job: Job,
    pods: BTreeMap<String, Pod>,
    view: View,
    now: Timestamp,
    ids: Ids,
    notes: Vec<(&'static str, String)>,
}

impl World {
    pub fn new(spec: JobSpec) -> World {
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

    pub fn tell_job(&mut self) {
        let object = Object::from(self.job.clone());
        self.view.observe(&Seen { change: Change::Modified, object: &object, old: Some(&object) }, self.now, |_| {});
    }

    pub fn tell_pod(&mut self, pod: &Pod, change: Change) {
        let object = Object::from(pod.clone());
        let old = self.pods.get(pod.metadata.name.as_deref().unwrap()).map(|old| Object::from(old.clone()));
        let old = old.unwrap_or_else(|| object.clone());
        self.view.observe(&Seen { change, object: &object, old: Some(&old) }, self.now, |_| {});
    }

    pub fn set_pod(&mut self, pod: Pod) {
        self.tell_pod(&pod, Change::Modified);
        self.pods.insert(pod.metadata.name.clone().unwrap(), pod);
    }

    pub fn remove_pod(&mut self, name: &str) {
        if let Some(pod) = self.pods.remove(name) {
            self.tell_pod(&pod, Change::Deleted);
        }
    }

    pub fn plan(&self) -> Plan {
        reconcile(self.view.entry(&crate::api::Key::new("default", "j")).unwrap(), self.now, &self.ids)
    }

    pub fn apply(&mut self, plan: Plan) {
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
                Effect::Create(object) => panic!("created {object:?}"),
            }
        }
        self.notes.extend(plan.notes.into_iter().map(|n| (n.reason, n.message)));
    }

    /// Looks until there is nothing more to do now.
    pub fn settle(&mut self) -> Option<Timestamp> {
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

    pub fn pass(&mut self, seconds: i64) {
        self.now = meta::add_seconds(self.now, seconds);
    }

    /// The names of the pods that are neither finished nor being deleted.
    pub fn active(&self) -> Vec<String> {
        let active = |p: &&Pod| !facts::is_finished(p) && !meta::is_deleting(&p.metadata);
        self.pods.values().filter(active).map(|p| p.metadata.name.clone().unwrap()).collect()
    }

    pub fn place(&mut self, name: &str) {
        let mut pod = self.pods[name].clone();
        pod.spec.as_mut().unwrap().node_name = Some("n".to_owned());
        self.set_pod(pod);
    }

    /// Each pod used one unit of everything.
    pub fn finish(&mut self, name: &str, succeeded: bool) {
        let mut pod = self.pods[name].clone();
        pod.status = finished_pod(self.now, succeeded).status;
        let used = r#"{"fuel":1,"peakMemoryBytes":1,"cpuMicros":1,"wallMicros":1}"#;
        meta::set_annotation(&mut pod.metadata, well_known::ANNOTATION_USAGE, used);
        self.set_pod(pod);
    }

    /// The pods whose use is in the Job's sum, and the fuel in it.
    pub fn used(&self) -> (u64, u64) {
        let text = meta::annotation(&self.job.metadata, well_known::ANNOTATION_USAGE).unwrap_or("{}");
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        (value["pods"].as_u64().unwrap_or(0), value["fuel"].as_u64().unwrap_or(0))
    }

    pub fn interrupt(&mut self, name: &str) {
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

    pub fn status(&self) -> &JobStatus {
        self.job.status.as_ref().unwrap()
    }

    /// active, succeeded, failed.
    pub fn numbers(&self) -> (i32, i32, i32) {
        let s = self.status();
        (s.active.unwrap_or(0), s.succeeded.unwrap_or(0), s.failed.unwrap_or(0))
    }

    pub fn conditions(&self) -> Vec<(&str, &str)> {
        self.status()
            .conditions
            .iter()
            .flatten()
            .map(|c: &JobCondition| (c.type_.as_str(), c.reason.as_deref().unwrap_or_default()))
            .collect()
    }
}

pub fn spec(completions: Option<i32>, parallelism: i32, backoff_limit: i32) -> JobSpec {
    JobSpec { completions, parallelism: Some(parallelism), backoff_limit: Some(backoff_limit), ..JobSpec::default() }
}

pub fn on_failure(backoff_limit: i32) -> JobSpec {
    let pod = PodSpec { restart_policy: Some("OnFailure".to_owned()), ..PodSpec::default() };
    let template = PodTemplateSpec { spec: Some(pod), ..PodTemplateSpec::default() };
    JobSpec { template, ..spec(Some(1), 1, backoff_limit) }
}

/// A Job from the JSON of its spec; its pods never restart.
pub fn world_of(spec: serde_json::Value) -> World {
    let mut spec = spec;
    spec["template"] =
        serde_json::json!({"metadata": {"labels": {"app": "a"}}, "spec": {"restartPolicy": "Never", "containers": []}});
    let mut spec: JobSpec = serde_json::from_value(spec).unwrap();
    crate::api::job::defaults::default_spec(&mut spec);
    World::new(spec)
}

impl World {
    fn change(&mut self, change: impl FnOnce(&mut JobSpec)) {
        change(self.job.spec.as_mut().unwrap());
        self.tell_job();
    }

    fn annotate(&mut self, name: &str, value: &str) {
        meta::set_annotation(&mut self.job.metadata, name, value);
        self.tell_job();
    }

    /// The active pods of an index.
    fn of_index(&self, index: i32) -> Vec<String> {
        let mut active = self.active();
        active.retain(|name| index_of(&self.pods[name]) == Some(index));
        active
    }

    fn active_indexes(&self) -> Vec<i32> {
        let mut indexes: Vec<_> = self.active().iter().filter_map(|name| index_of(&self.pods[name])).collect();
        indexes.sort();
        indexes
    }

    /// Ends the pods of an index with this exit code.
    fn exit(&mut self, index: i32, code: i32) {
        for name in self.of_index(index) {
            self.exit_pod(&name, code);
        }
    }

    fn exit_pod(&mut self, name: &str, code: i32) {
        self.place(name);
        self.finish(name, code == 0);
        let mut pod = self.pods[name].clone();
        let statuses = pod.status.as_mut().unwrap().container_statuses.as_mut().unwrap();
        statuses[0].name = "c".to_owned();
        statuses[0].state.as_mut().unwrap().terminated.as_mut().unwrap().exit_code = code;
        self.set_pod(pod);
    }

    /// Asks for the deletion of a pod that runs.
    fn delete_pod(&mut self, name: &str) {
        self.place(name);
        let object = self.pods[name].clone().into();
        let Deletion::Mark(marked) = deletion::delete(&object, &Default::default(), self.now) else { panic!() };
        self.set_pod(Pod::clone(marked.as_pod().unwrap()));
    }

    fn indexes(&self) -> (&str, Option<&str>) {
        let status = self.status();
        (status.completed_indexes.as_deref().unwrap_or_default(), status.failed_indexes.as_deref())
    }

    fn reasons(&self) -> Vec<&'static str> {
        self.notes.iter().map(|(reason, _)| *reason).collect()
    }
}
