//! A controller under observation: each decision is made twice from the same view and must be the same, and now and then
//! somebody else writes between the decision and its commit, so that the commit is refused.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::Pod;
use kiln::api::deletion::{self, Deletion, Options};
use kiln::api::{Key, Kind, Object, admission, meta, namespace, service_account, well_known};
use kiln::control::runner::Runner;
use kiln::control::{Controller, Effect, Plan, Queue, Seen};
use kiln::ids::Ids;
use kiln::store::{Precondition, Store, Tx};
use serde_json::json;

use crate::books::{JOB_CONTROLLER, is_tracked};
use crate::cron::CRON_JOB_CONTROLLER;
use crate::namespaces;

/// What somebody does to the objects of a decision before it is committed.
#[derive(Clone, Copy, Debug)]
pub enum Meddling {
    /// Writes an annotation, so that the version that the decision rests on is the last no more.
    Touch,
    Delete,
    /// Takes the name of a pod or a Job that is to be created.
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
    /// A Job is made, and its time is not noted.
    ForgetsTheTime,
    /// A Job is made, and is not listed.
    ForgetsToList,
    /// A Job is made for the time after the one that is due.
    IsEarly,
    /// Nothing is deleted.
    KeepsAll,
    /// A Job that goes on is deleted.
    DropsTooMuch,
    /// A field of the spec is as if it were not there.
    Overlooks(&'static str),
    /// Something in a namespace that goes is not deleted.
    LeavesSomething,
    /// A namespace is let go while there is something in it.
    LetsGoTooSoon,
    /// Something in a namespace that stays is deleted.
    Strays,
    /// No account is made.
    MakesNoAccount,
}

impl Sabotage {
    pub const OF_CRON_JOBS: &[Sabotage] = &[
        Sabotage::ForgetsTheTime,
        Sabotage::ForgetsToList,
        Sabotage::IsEarly,
        Sabotage::KeepsAll,
        Sabotage::DropsTooMuch,
        Sabotage::Overlooks("concurrencyPolicy"),
        Sabotage::Overlooks("suspend"),
        Sabotage::Overlooks("startingDeadlineSeconds"),
        Sabotage::Overlooks("timeZone"),
        Sabotage::Overlooks("successfulJobsHistoryLimit"),
    ];

    pub const OF_NAMESPACES: &[Sabotage] =
        &[Sabotage::LeavesSomething, Sabotage::LetsGoTooSoon, Sabotage::Strays, Sabotage::MakesNoAccount];
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

    /// What a bad controller sees of a CronJob.
    fn misread(&self, object: &Object) -> Option<Object> {
        let Some(Sabotage::Overlooks(field)) = self.shared.lock().unwrap().sabotage else { return None };
        let mut cron_job = CronJob::clone(object.as_cron_job()?);
        let mut spec = serde_json::to_value(&cron_job.spec).expect("it is JSON");
        spec.as_object_mut().expect("a spec is an object").remove(field);
        cron_job.spec = serde_json::from_value(spec).expect("it is a spec");
        Some(cron_job.into())
    }

    /// Likewise with a CronJob.
    fn spoil_schedule(&self, store: &Store, plan: &mut Plan, now: Timestamp) {
        let Some(sabotage) = self.shared.lock().unwrap().sabotage else { return };
        let starts = plan.effects.iter().any(|e| matches!(e, Effect::Create(_)));
        let mut more = None;
        for effect in &mut plan.effects {
            match (sabotage, effect) {
                (Sabotage::Overlooks(_), Effect::Update(Object::CronJob(cron_job))) => {
                    let stored = store.get(Kind::CronJob, &Object::CronJob(cron_job.clone()).key());
                    let spec = stored.as_ref().and_then(Object::as_cron_job).map(|stored| stored.spec.clone());
                    Arc::make_mut(cron_job).spec = spec.expect("it is there");
                }
                (Sabotage::ForgetsToList, Effect::Update(Object::CronJob(cron_job))) if starts => {
                    Arc::make_mut(cron_job).status.get_or_insert_default().active = None;
                }
                (Sabotage::IsEarly, Effect::Create(job)) => {
                    let (key, a_minute_later) = (job.key(), meta::add_seconds(now, 60));
                    let name = key.name.rsplit_once('-').map_or("", |(name, _)| name);
                    let minute = a_minute_later.as_second() / 60;
                    let time = Timestamp::from_second(minute * 60).expect("it is a time").to_string();
                    job.meta_mut().name = Some(format!("{name}-{minute}"));
                    meta::set_annotation(job.meta_mut(), well_known::ANNOTATION_SCHEDULED, time);
                }
                (Sabotage::DropsTooMuch, Effect::Update(Object::CronJob(cron_job))) => {
                    let active = cron_job.status.iter().flat_map(|s| s.active.iter().flatten());
                    let mut names = active.filter_map(|listed| listed.name.clone());
                    more = names.find_map(|name| store.get(Kind::Job, &Key::new("default", name)));
                }
                _ => {}
            }
        }
        plan.effects.retain(|effect| match (sabotage, effect) {
            (Sabotage::ForgetsTheTime, Effect::Update(Object::CronJob(_))) => !starts,
            (Sabotage::KeepsAll, Effect::Update(Object::Job(_))) => false,
            _ => true,
        });
        plan.effects.extend(more.map(|job| Effect::Update(deletion::over(&job, now))));
    }

    /// Likewise with what is in a namespace, or with its account.
    fn spoil_namespace(&self, store: &Store, plan: &mut Plan, now: Timestamp) {
        let Some(sabotage) = self.shared.lock().unwrap().sabotage else { return };
        let of = |effect: &Effect| match effect {
            Effect::Update(object) if object.kind() != Kind::Namespace => Some(object.key().namespace),
            _ => None,
        };
        match (sabotage, plan.effects.iter().find_map(of)) {
            (Sabotage::LeavesSomething, _) => {
                plan.effects.retain(|e| !matches!(e, Effect::Update(Object::ConfigMap(_))));
            }
            (Sabotage::LetsGoTooSoon, Some(name)) => {
                let namespace = store.get(Kind::Namespace, &Key::new("", name));
                if let Some(Object::Namespace(mut namespace)) = namespace {
                    namespace::release(Arc::make_mut(&mut namespace));
                    plan.effects.push(Effect::Update(namespace.into()));
                }
            }
            (Sabotage::Strays, Some(_)) => {
                let other = store.get(Kind::ServiceAccount, &Key::new("default", service_account::DEFAULT));
                plan.effects.extend(other.map(|account| Effect::Update(deletion::over(&account, now))));
            }
            (Sabotage::MakesNoAccount, _) => plan.effects.retain(|e| !matches!(e, Effect::Create(_))),
            _ => {}
        }
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
            (Effect::Create(object), Meddling::TakeName) if matches!(object.kind(), Kind::Pod | Kind::Job) => {
                return Some(Tx::new().create(self.squatter(object.kind(), object.key(), now)));
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

    /// A pod or a Job of nobody's, under a given name.
    fn squatter(&self, kind: Kind, key: Key, now: Timestamp) -> Object {
        let pod = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "squatter"}]});
        let spec = if kind == Kind::Job { json!({"template": {"spec": pod}}) } else { pod };
        let value = json!({"metadata": {"name": key.name, "namespace": key.namespace}, "spec": spec});
        let squatter = Object::deserialize(kind, value).expect("it is one of them");
        let stamp = admission::Stamp { now, uid: self.ids.uid(), suffix: "" };
        admission::create(squatter, &stamp).expect("it is legal")
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
        match self.desk.misread(seen.object) {
            Some(object) if C::NAME == CRON_JOB_CONTROLLER => {
                self.inner.observe(&Seen { object: &object, ..*seen }, queue, now);
            }
            _ => self.inner.observe(seen, queue, now),
        }
    }

    fn reconcile(&mut self, key: &C::Key, now: Timestamp) -> Plan {
        let mut plan = self.inner.reconcile(key, now);
        if self.is_pure {
            let again = self.inner.reconcile(key, now);
            assert_eq!(nameless(&plan), nameless(&again), "{} decides {key:?} in two ways", C::NAME);
        }
        match C::NAME {
            JOB_CONTROLLER => self.desk.spoil(&mut plan),
            CRON_JOB_CONTROLLER => self.desk.spoil_schedule(&self.store, &mut plan, now),
            namespaces::CONTROLLER | namespaces::ACCOUNTS => self.desk.spoil_namespace(&self.store, &mut plan, now),
            _ => {}
        }
        self.desk.meddle(&self.store, &plan, now);
        plan
    }
}

/// The plan without what is drawn at random.
fn nameless(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    let jobs: Vec<String> = plan.effects.iter().filter_map(new_job).collect();
    for effect in &mut plan.effects {
        let (Effect::Create(object) | Effect::Update(object)) = effect;
        for uid in &jobs {
            // It is also in labels, in the selector, and where its CronJob lists it.
            let text = String::from_utf8(object.to_json()).expect("JSON is text").replace(uid, "new");
            *object = Object::from_json(object.kind(), text.as_bytes()).expect("it is still one");
        }
    }
    for effect in &mut plan.effects {
        if let Effect::Create(object) = effect {
            let meta = object.meta_mut();
            meta.uid = None;
            if meta.generate_name.is_some() {
                meta.name = None;
            }
        }
    }
    for note in &mut plan.notes {
        if note.reason == "SuccessfulCreate" {
            note.message.clear();
        }
    }
    plan
}

/// The uid of the Job that it creates.
fn new_job(effect: &Effect) -> Option<String> {
    match effect {
        Effect::Create(Object::Job(job)) => job.metadata.uid.clone(),
        _ => None,
    }
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
