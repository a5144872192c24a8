//! A controller under observation: each decision is made twice from the same view and must be the same, and now and then
//! somebody else writes between the decision and its commit, so that the commit is refused.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kiln::api::deletion::{self, Deletion, Options};
use kiln::api::{Key, Kind, Object, admission, meta};
use kiln::control::runner::Runner;
use kiln::control::{Controller, Effect, Plan, Queue, Seen};
use kiln::ids::Ids;
use kiln::store::{Precondition, Store, Tx};

use crate::books::{JOB_CONTROLLER, is_tracked};

/// What somebody does to the objects of a decision before it is committed.
#[derive(Clone, Copy, Debug)]
pub enum Meddling {
    /// Writes an annotation, so that the version that the decision rests on is the last no more.
    Touch,
    Delete,
    /// Takes the name of a pod that is to be created.
    TakeName,
}

/// A defect that a controller is given, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A success is counted twice.
    CountsTwice,
    /// A pod is let go without being counted.
    ForgetsToCount,
    /// One pod more is made than was decided.
    MakesOneMore,
    /// An end that was announced is taken back.
    ChangesItsMind,
}

/// Where the world and the controllers leave word for each other.
#[derive(Clone)]
pub struct Desk {
    shared: Arc<Mutex<Shared>>,
    ids: Ids,
}

#[derive(Default)]
struct Shared {
    wanted: Option<Meddling>,
    /// What was done, and the revision after it.
    done: Option<(Meddling, u64)>,
    sabotage: Option<Sabotage>,
}

impl Desk {
    pub fn new(ids: Ids) -> Desk {
        Desk { shared: Arc::default(), ids }
    }

    pub fn sabotage(&self, sabotage: Sabotage) {
        self.shared.lock().unwrap().sabotage = Some(sabotage);
    }

    /// What comes of a decision in the hands of a bad controller.
    fn spoil(&self, plan: &mut Plan) {
        let Some(sabotage) = self.shared.lock().unwrap().sabotage else { return };
        let mut more = Vec::new();
        let releases = plan.effects.iter().any(|e| matches!(e, Effect::Update(Object::Pod(p)) if !is_tracked(p)));
        for effect in &mut plan.effects {
            match (sabotage, effect) {
                (Sabotage::MakesOneMore, Effect::Create(Object::Pod(pod))) if more.is_empty() => {
                    let mut pod = Pod::clone(pod);
                    (pod.metadata.name, pod.metadata.uid) = (Some("one-more".to_owned()), Some(self.ids.uid()));
                    more.push(Effect::Create(pod.into()));
                }
                (Sabotage::CountsTwice, Effect::Update(Object::Job(job))) => {
                    let status = Arc::make_mut(job).status.get_or_insert_default();
                    status.succeeded = status.succeeded.map(|n| n + 1);
                }
                (Sabotage::ChangesItsMind, Effect::Update(Object::Job(job))) => {
                    let status = Arc::make_mut(job).status.get_or_insert_default();
                    status.conditions.iter_mut().flatten().take(1).for_each(|c| c.status = "False".to_owned());
                }
                _ => {}
            }
        }
        if sabotage == Sabotage::ForgetsToCount && releases {
            plan.effects.retain(|e| !matches!(e, Effect::Update(Object::Job(_))));
        }
        plan.effects.extend(more);
    }

    /// The next decision is to be meddled with.
    pub fn ask(&self, meddling: Option<Meddling>) {
        let mut shared = self.shared.lock().unwrap();
        (shared.wanted, shared.done) = (meddling, None);
    }

    /// Whether it was, and the revision that this made.
    pub fn take_done(&self) -> Option<(Meddling, u64)> {
        let mut shared = self.shared.lock().unwrap();
        shared.wanted = None;
        shared.done.take()
    }

    fn meddle(&self, store: &Store, plan: &Plan, now: Timestamp) {
        let mut shared = self.shared.lock().unwrap();
        let Some(meddling) = shared.wanted else { return };
        let tx = plan.effects.iter().find_map(|effect| self.against(store, effect, meddling, now));
        if let Some(tx) = tx.filter(|tx| !tx.is_empty()) {
            let committed = store.commit(tx).expect("nobody else writes");
            (shared.wanted, shared.done) = (None, Some((meddling, committed.revision)));
        }
    }

    fn against(&self, store: &Store, effect: &Effect, meddling: Meddling, now: Timestamp) -> Option<Tx> {
        let (kind, key) = match (effect, meddling) {
            (Effect::Create(object), Meddling::TakeName) if object.kind() == Kind::Pod => {
                return Some(Tx::new().create(self.squatter(object.key(), now)));
            }
            (_, Meddling::TakeName) | (Effect::Create(_), _) => return None,
            (Effect::Update(object), _) => (object.kind(), object.key()),
        };
        let mut stored = store.get(kind, &key)?;
        if let Meddling::Delete = meddling
            && kind == Kind::Pod
        {
            return match deletion::delete(&stored, &Options::default(), now) {
                Deletion::Remove => {
                    let condition = Precondition { uid: Some(stored.uid().to_owned()), revision: None };
                    Some(Tx::new().delete(kind, key, condition))
                }
                Deletion::Mark(marked) => Some(Tx::new().update(marked)),
                Deletion::Unchanged => None,
            };
        }
        meta::set_annotation(stored.meta_mut(), "sim/touched", self.ids.suffix());
        Some(Tx::new().update(stored))
    }

    /// A pod of nobody's, under a given name.
    fn squatter(&self, key: Key, now: Timestamp) -> Object {
        let value = serde_json::json!({"metadata": {"name": key.name, "namespace": key.namespace},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "squatter"}]}});
        let pod = Object::deserialize(Kind::Pod, value).expect("it is a pod");
        let stamp = admission::Stamp { now, uid: self.ids.uid(), suffix: "" };
        admission::create(pod, &stamp).expect("it is legal")
    }
}

pub struct Checked<C> {
    inner: C,
    /// Whether a decision leaves its view as it was. The scheduler's does not: it takes pods out of its line.
    is_pure: bool,
    store: Store,
    desk: Desk,
}

impl<C: Controller> Controller for Checked<C> {
    type Key = C::Key;
    const NAME: &'static str = C::NAME;

    fn watches(&self) -> &'static [Kind] {
        self.inner.watches()
    }

    fn reset(&mut self) {
        self.inner.reset();
    }

    fn observe(&mut self, seen: &Seen<'_>, queue: &mut Queue<C::Key>, now: Timestamp) {
        self.inner.observe(seen, queue, now);
    }

    fn reconcile(&mut self, key: &C::Key, now: Timestamp) -> Plan {
        let mut plan = self.inner.reconcile(key, now);
        if self.is_pure {
            let again = self.inner.reconcile(key, now);
            assert_eq!(nameless(&plan), nameless(&again), "{} decides {key:?} in two ways", C::NAME);
        }
        if C::NAME == JOB_CONTROLLER {
            self.desk.spoil(&mut plan);
        }
        self.desk.meddle(&self.store, &plan, now);
        plan
    }
}

/// The plan without what is drawn at random.
fn nameless(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for effect in &mut plan.effects {
        if let Effect::Create(object) = effect {
            let meta = object.meta_mut();
            (meta.name, meta.uid) = (None, None);
        }
    }
    for note in &mut plan.notes {
        if note.reason == "SuccessfulCreate" {
            note.message.clear();
        }
    }
    plan
}

/// A part of the program that takes its steps when it is told to.
pub trait Actor {
    fn name(&self) -> &'static str;
    /// False if there was nothing to do.
    fn step(&mut self, now: Timestamp) -> bool;
    fn next_due(&self) -> Option<Timestamp>;
}

impl<C: Controller> Actor for Runner<Checked<C>> {
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn step(&mut self, now: Timestamp) -> bool {
        Runner::step(self, now)
    }

    fn next_due(&self) -> Option<Timestamp> {
        Runner::next_due(self)
    }
}

/// What a controller is started with.
pub struct Start<'a> {
    pub store: &'a Store,
    pub recorder: &'a kiln::control::Recorder,
    pub desk: &'a Desk,
    pub now: Timestamp,
}

impl Start<'_> {
    /// A controller whose decisions leave its view alone.
    pub fn pure<C: Controller>(&self, inner: C) -> Box<dyn Actor> {
        self.start(inner, true)
    }

    pub fn impure<C: Controller>(&self, inner: C) -> Box<dyn Actor> {
        self.start(inner, false)
    }

    fn start<C: Controller>(&self, inner: C, is_pure: bool) -> Box<dyn Actor> {
        let checked = Checked { inner, is_pure, store: self.store.clone(), desk: self.desk.clone() };
        Box::new(Runner::new(checked, self.store.clone(), self.recorder.clone(), self.now))
    }
}
