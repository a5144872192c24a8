//! What users do: they make Jobs, edit them, delete them and their pods, and cordon the node; all of it as the API's
//! handlers do, by admission and one commit. CronJobs are in [`crate::cron_actions`].

use k8s_openapi::api::batch::v1::Job;
use kiln::api::deletion::{self, Deletion, Options, Propagation};
use kiln::api::{ApiError, Key, Kind, Object, admission, meta};
use kiln::store::{CommitError, Precondition, Tx};

use serde_json::json;

use crate::cron_actions;
use crate::namespaces;
use crate::rng::Rng;
use crate::shapes;
use crate::world::World;

/// So few that they are often used again.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Versions of objects that users have read and not yet written.
#[derive(Default)]
pub struct Held(Vec<Object>);

impl Held {
    /// After a crash a revision may be given out again, to another version: nobody was told of the first.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

#[derive(Clone, Copy)]
enum Action {
    CreateJob,
    EditJob,
    DeleteJob,
    DeletePod,
    MakeOwned,
    MakeFree,
    Hold,
    LetGo,
    ReadForLater,
    WriteWhatWasRead,
    Cordon,
    CronJob,
    Namespace,
}

const ACTIONS: &[(usize, Action)] = &[
    (30, Action::CreateJob),
    (20, Action::EditJob),
    (17, Action::DeleteJob),
    (12, Action::DeletePod),
    (5, Action::MakeOwned),
    (5, Action::MakeFree),
    (4, Action::Hold),
    (8, Action::LetGo),
    (10, Action::ReadForLater),
    (10, Action::WriteWhatWasRead),
    (2, Action::Cordon),
    (30, Action::CronJob),
    (12, Action::Namespace),
];

/// Does one thing; says what.
pub fn act(world: &mut World) -> String {
    match *world.rng.weighted(ACTIONS) {
        Action::CreateJob => create_job(world),
        Action::EditJob => edit_job(world),
        Action::DeleteJob => delete_job(world),
        Action::DeletePod => delete_pod(world),
        Action::MakeOwned => make_owned(world),
        Action::MakeFree => make_free(world),
        Action::Hold => hold(world),
        Action::LetGo => let_go(world).unwrap_or_else(|| "holds nothing".to_owned()),
        Action::ReadForLater => read(world),
        Action::WriteWhatWasRead => write(world),
        Action::Cordon => {
            let cordoned = world.rng.percent(40);
            cordon(world, cordoned)
        }
        Action::CronJob if world.has_cron_jobs => cron_actions::act(world),
        Action::CronJob => create_job(world),
        Action::Namespace => namespaces::act(world),
    }
}

pub fn any(world: &mut World, kind: Kind) -> Option<Object> {
    let objects = world.store().list(kind, Some("default")).objects;
    (!objects.is_empty()).then(|| world.rng.pick(&objects).clone())
}

pub fn create_job(world: &mut World) -> String {
    let taken = |name: &str| world.store().get(Kind::Job, &Key::new("default", name)).is_some();
    let free: Vec<&str> = NAMES.into_iter().filter(|name| !taken(name)).collect();
    let name = *world.rng.pick(if free.is_empty() { &NAMES } else { &free });
    let value = shapes::job(&mut world.rng, name);
    let job = Object::deserialize(Kind::Job, value.clone()).expect("a shape is a Job");
    let stamp = admission::Stamp { now: world.clock.now(), uid: world.ids.uid(), suffix: "" };
    let job = admission::create(job, &stamp).unwrap_or_else(|fault| panic!("{value} is refused: {fault:?}"));
    let exists = world.store().get(Kind::Job, &job.key()).is_some();
    match world.store().commit(Tx::new().create(job)) {
        Ok(_) if !exists => format!("creates Job {name}: {} {}", value["spec"], value["metadata"]["annotations"]),
        Err(CommitError::AlreadyExists(..)) if exists => format!("cannot create Job {name} again"),
        other => panic!("creating Job {name}, which exists: {exists}: {other:?}"),
    }
}

fn edit_job(world: &mut World) -> String {
    let Some(old) = any(world, Kind::Job) else { return "has no Job to edit".to_owned() };
    let (new, what) = edited(&mut world.rng, &old);
    match admission::update(&old, new, world.clock.now()) {
        Ok(new) => {
            world.store().commit(Tx::new().update(new)).expect("it was just read");
            format!("edits Job {}: {what}", old.key())
        }
        // Some Jobs do not take some edits.
        Err(ApiError::Invalid { .. }) => format!("may not edit Job {}: {what}", old.key()),
        Err(fault) => panic!("editing Job {}: {what}: {fault:?}", old.key()),
    }
}

fn edited(rng: &mut Rng, old: &Object) -> (Object, String) {
    let mut job = Job::clone(old.as_job().expect("it is a Job"));
    let spec = job.spec.get_or_insert_default();
    let what = match rng.below(8) {
        0 => {
            spec.parallelism = Some(if rng.percent(10) { 0 } else { rng.between(1, 5) as i32 });
            format!("parallelism {:?}", spec.parallelism)
        }
        1 => {
            spec.backoff_limit = Some(rng.between(0, 5) as i32);
            format!("backoffLimit {:?}", spec.backoff_limit)
        }
        2 => {
            spec.active_deadline_seconds = rng.percent(70).then(|| rng.between(1, 900));
            format!("activeDeadlineSeconds {:?}", spec.active_deadline_seconds)
        }
        3 => {
            meta::set_annotation(&mut job.metadata, "sim/edited", rng.next().to_string());
            "an annotation".to_owned()
        }
        4 => {
            spec.suspend = Some(spec.suspend != Some(true));
            format!("suspend {:?}", spec.suspend)
        }
        5 | 6 => {
            let scope = *rng.pick(&["rerun-failed", "rerun-all"]);
            let value = format!("{scope}:{}", rng.below(3));
            meta::set_annotation(&mut job.metadata, "kiln.dev/rerun", value.clone());
            value
        }
        _ => {
            let size = rng.between(0, 6) as i32;
            (spec.parallelism, spec.completions) = (Some(size), Some(size));
            format!("size {size}")
        }
    };
    (job.into(), what)
}

fn delete_job(world: &mut World) -> String {
    let Some(job) = any(world, Kind::Job) else { return "has no Job to delete".to_owned() };
    let choices = [Propagation::Background, Propagation::Foreground, Propagation::Orphan];
    let given = world.rng.percent(80).then(|| *world.rng.pick(&choices));
    let propagation = given.unwrap_or_else(|| deletion::default_propagation(&job));
    delete(world, &job, &Options { grace: None, propagation: Some(propagation) });
    format!("deletes Job {}: {propagation:?}", job.key())
}

fn delete_pod(world: &mut World) -> String {
    let kind = *world.rng.pick(&[Kind::Pod, Kind::Pod, Kind::Pod, Kind::ConfigMap]);
    let Some(pod) = any(world, kind) else { return "has nothing to delete".to_owned() };
    let grace = *world.rng.pick(&[None, None, Some(0), Some(1)]);
    let propagation = Some(deletion::default_propagation(&pod));
    delete(world, &pod, &Options { grace, propagation });
    format!("deletes {kind:?} {}, grace {grace:?}", pod.key())
}

/// A ConfigMap that goes with one Job or two.
fn make_owned(world: &mut World) -> String {
    let mut owners = Vec::new();
    for _ in 0..world.rng.between(1, 2) {
        let Some(job) = any(world, Kind::Job) else { return "has no Job to make something for".to_owned() };
        if !owners.contains(&job) {
            owners.push(job);
        }
    }
    let references: Vec<_> = owners
        .iter()
        .map(|job| {
            json!({"apiVersion": "batch/v1", "kind": "Job", "name": job.key().name, "uid": job.uid(),
                "blockOwnerDeletion": world.rng.percent(60)})
        })
        .collect();
    let name = world.ids.suffix();
    let value = json!({"metadata": {"name": name, "namespace": "default", "ownerReferences": references}});
    let map = Object::deserialize(Kind::ConfigMap, value).expect("it is a ConfigMap");
    let stamp = admission::Stamp { now: world.clock.now(), uid: world.ids.uid(), suffix: "" };
    let map = admission::create(map, &stamp).expect("it is legal");
    world.store().commit(Tx::new().create(map)).expect("the name is new");
    format!("makes ConfigMap {name} for {:?}", owners.iter().map(|o| o.key().name).collect::<Vec<_>>())
}

/// A pod of nobody's that a Job will take for its own: it has the label that the Job's selector demands, and no other.
fn make_free(world: &mut World) -> String {
    let Some(job) = any(world, Kind::Job) else { return "has no Job to make a pod for".to_owned() };
    let name = format!("free-{}", world.ids.suffix());
    let value = json!({"metadata": {"name": name, "namespace": "default",
            "labels": {"batch.kubernetes.io/controller-uid": job.uid()}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "guest"}]}});
    let pod = Object::deserialize(Kind::Pod, value).expect("it is a pod");
    let stamp = admission::Stamp { now: world.clock.now(), uid: world.ids.uid(), suffix: "" };
    let pod = admission::create(pod, &stamp).expect("it is legal");
    world.store().commit(Tx::new().create(pod)).expect("the name is new");
    format!("makes Pod {name} for Job {}", job.key())
}

/// A finalizer of a user's own.
const HOLD: &str = "sim.example/hold";

fn hold(world: &mut World) -> String {
    let kind = *world.rng.pick(&[Kind::Job, Kind::Pod, Kind::ConfigMap, Kind::CronJob]);
    let Some(old) = any(world, kind) else { return "has nothing to hold".to_owned() };
    let mut new = old.clone();
    if !meta::has_finalizer(old.meta(), HOLD) {
        new.meta_mut().finalizers.get_or_insert_default().push(HOLD.to_owned());
    }
    match admission::update(&old, new, world.clock.now()) {
        Ok(new) => {
            world.store().commit(Tx::new().update(new)).expect("it was just read");
            format!("holds {kind:?} {}", old.key())
        }
        Err(ApiError::Invalid { .. }) => format!("may not hold {kind:?} {}", old.key()),
        Err(fault) => panic!("holding {kind:?} {}: {fault:?}", old.key()),
    }
}

/// Takes such a finalizer off something; nothing has one if this says nothing.
pub fn let_go(world: &mut World) -> Option<String> {
    let kinds = [Kind::Job, Kind::Pod, Kind::ConfigMap, Kind::CronJob];
    let all = kinds.iter().flat_map(|kind| world.store().list(*kind, None).objects);
    let held: Vec<Object> = all.filter(|o| meta::has_finalizer(o.meta(), HOLD)).collect();
    let old = world.rng.pick(held.first().map(|_| &held[..])?).clone();
    let mut new = old.clone();
    meta::remove_finalizer(new.meta_mut(), HOLD);
    let new = admission::update(&old, new, world.clock.now()).expect("a finalizer may always go");
    world.store().commit(Tx::new().update(new)).expect("it was just read");
    Some(format!("lets {:?} {} go", old.kind(), old.key()))
}

pub fn delete(world: &mut World, object: &Object, options: &Options) {
    let tx = match deletion::delete(object, options, world.clock.now()) {
        Deletion::Unchanged => return,
        Deletion::Mark(marked) => Tx::new().update(marked),
        Deletion::Remove => {
            let condition = Precondition { uid: Some(object.uid().to_owned()), revision: Some(object.revision()) };
            Tx::new().delete(object.kind(), object.key(), condition)
        }
    };
    world.store().commit(tx).expect("it was just read");
}

fn read(world: &mut World) -> String {
    let kind = *world.rng.pick(&[Kind::Job, Kind::Pod, Kind::CronJob]);
    let Some(object) = any(world, kind) else { return "has nothing to read".to_owned() };
    let what = format!("reads {kind:?} {}", object.key());
    world.held.0.push(object);
    what
}

/// Writes a version that was read a while ago: refused if there has been another since, and taken if not.
fn write(world: &mut World) -> String {
    if world.held.0.is_empty() {
        return "has nothing to write".to_owned();
    }
    let at = world.rng.below(world.held.0.len());
    let mut object = world.held.0.swap_remove(at);
    let (kind, key, uid, revision) = (object.kind(), object.key(), object.uid().to_owned(), object.revision());
    meta::set_annotation(object.meta_mut(), "sim/late", world.rng.next().to_string());
    let stored = world.store().get(kind, &key).map(|o| (o.uid().to_owned(), o.revision()));
    let written = world.store().commit(Tx::new().update(object));
    match (&written, &stored) {
        (Ok(_), Some((u, r))) if *u == uid && *r == revision => format!("writes {kind:?} {key}"),
        (Err(CommitError::Stale(..)), Some((u, r))) if *u == uid && *r != revision => {
            format!("comes too late with {kind:?} {key}")
        }
        (Err(CommitError::Replaced { .. }), Some((u, _))) if *u != uid => format!("means another {kind:?} {key}"),
        (Err(CommitError::NotFound(..)), None) => format!("comes after the end of {kind:?} {key}"),
        _ => panic!("a write of {kind:?} {key}, uid {uid}, at {revision}, over {stored:?}: {written:?}"),
    }
}

pub fn cordon(world: &mut World, cordoned: bool) -> String {
    let node = world.store().get(Kind::Node, &Key::new("", crate::node::NAME));
    let Some(Object::Node(node)) = node else { panic!("there is a node") };
    let mut node = k8s_openapi::api::core::v1::Node::clone(&node);
    node.spec.get_or_insert_default().unschedulable = Some(cordoned);
    world.store().commit(Tx::new().update(node)).expect("it was just read");
    (if cordoned { "cordons the node" } else { "uncordons the node" }).to_owned()
}
