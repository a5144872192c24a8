//! The auditor's own books, kept from what the store tells its watchers, and the rules that hold for every object. The
//! rules of Jobs are in [`crate::rules`], those of CronJobs in [`crate::cron`].

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kiln::api::pod::facts;
use kiln::api::{Key, Kind, Object, meta, well_known};
use kiln::store::{Change, Event, Store, Visibility, Watch};

use crate::cron::{self, CronBooks};
use crate::namespaces;
use crate::rules;

pub const JOB_CONTROLLER: &str = "job-controller";
const GARBAGE_COLLECTOR: &str = "garbage-collector-controller";
const SCHEDULER: &str = "default-scheduler";

/// Who has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Controller(&'static str),
    /// This controller, and a user between its decision and its commit.
    Several(&'static str),
    Node,
    User,
    Recorder,
}

impl By {
    pub fn is(self, controller: &str) -> bool {
        matches!(self, By::Controller(name) | By::Several(name) if name == controller)
    }
}

/// What is known of the world at one revision.
#[derive(Clone, Default)]
pub struct Books {
    pub objects: BTreeMap<(Kind, Key), Object>,
    pub revision: u64,
    /// By uid, those that exist.
    pub jobs: BTreeMap<String, JobBook>,
    pub cron_jobs: CronBooks,
    /// Uids of pods that were released, which happens once.
    released: BTreeSet<String>,
}

/// What is known of a Job beside what it says itself.
#[derive(Clone, Default)]
pub struct JobBook {
    pub job: Arc<Job>,
    /// The pods that it owns, by name.
    pub pods: BTreeMap<String, Arc<Pod>>,
    /// Pods that were counted.
    pub succeeded: i32,
    pub failed: i32,
    /// Pods that said what they used, of those counted.
    pub used: i64,
    pub last_success: Option<Timestamp>,
    /// When the present attempt began, if it is not the first.
    pub began: Option<Timestamp>,
    pub completed_indexes: BTreeSet<i32>,
    /// Counted failures of each index; of one that must not be tried again, more than any limit.
    pub failures_of_index: BTreeMap<i32, i32>,
}

/// A pod that lost the tracking finalizer: as it was, and as it is.
pub struct Release {
    pub before: Arc<Pod>,
    pub after: Arc<Pod>,
}

/// What one step did to one Job.
#[derive(Default)]
pub struct Done {
    /// The Job before the step.
    pub before: Option<Arc<Job>>,
    pub is_written: bool,
    pub created: Vec<Arc<Pod>>,
    pub released: Vec<Release>,
}

impl JobBook {
    pub fn active(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.values().filter(|p| !facts::is_finished(p) && !meta::is_deleting(&p.metadata))
    }

    pub fn terminating(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.values().filter(|p| !facts::is_finished(p) && meta::is_deleting(&p.metadata))
    }
}

pub fn is_tracked(pod: &Pod) -> bool {
    meta::has_finalizer(&pod.metadata, well_known::FINALIZER_JOB_TRACKING)
}

/// The uid of the Job whose selector matches the pod.
fn wanted_by(pod: &Pod) -> Option<&str> {
    meta::label(&pod.metadata, well_known::LABEL_CONTROLLER_UID)
}

fn owner(pod: &Pod) -> Option<String> {
    meta::controller_of(&pod.metadata).filter(|o| o.kind == "Job").map(|o| o.uid.clone())
}

impl Books {
    fn apply(&mut self, events: &[Arc<Event>], by: By, now: Timestamp) {
        let mut done: BTreeMap<String, Done> = BTreeMap::new();
        let mut of_cron_jobs: BTreeMap<String, cron::Done> = BTreeMap::new();
        for event in events {
            let before = self.take(event, by, &mut done);
            self.cron_jobs.take(event, before.as_ref(), by, &mut of_cron_jobs);
        }
        self.cron_jobs.check(&of_cron_jobs, by, now);
        if by.is(SCHEDULER) {
            self.check_capacity();
        }
        for (uid, done) in &done {
            if let Some(book) = self.jobs.get_mut(uid) {
                rules::check(book, done, by, now);
            }
        }
    }

    /// Answers what was there before.
    fn take(&mut self, event: &Event, by: By, done: &mut BTreeMap<String, Done>) -> Option<Object> {
        let (object, id) = (&event.object, (event.object.kind(), event.object.key()));
        assert!(event.revision > self.revision, "revision {} comes after {}", event.revision, self.revision);
        assert_eq!(object.revision(), event.revision, "{id:?}");
        self.revision = event.revision;
        let before = match event.change {
            Change::Deleted => {
                let mut held = object.meta().finalizers.iter().flatten();
                assert!(held.all(|f| may_take(by, f)), "{id:?} was removed under its finalizers by {by:?}");
                self.objects.remove(&id)
            }
            _ => self.objects.insert(id.clone(), object.clone()),
        };
        assert_eq!(before.is_some(), event.change != Change::Added, "{id:?}: {:?}", event.change);
        assert!(before == event.old, "{id:?} was not what the event says it was");
        if let Some(before) = &before {
            assert_eq!(before.uid(), object.uid(), "{id:?} became another without having been deleted");
            let ends = (meta::is_deleting(before.meta()), meta::is_deleting(object.meta()));
            assert_ne!(ends, (true, false), "{id:?}: a deletion was taken back");
        }
        if by == By::Controller(GARBAGE_COLLECTOR)
            && let Some(before) = &before
            && !meta::is_deleting(before.meta())
            && (event.change == Change::Deleted || meta::is_deleting(object.meta()))
        {
            assert!(!self.is_kept(before), "{id:?} was collected, and an owner is there");
        }
        namespaces::check(self, event, before.as_ref(), by);
        match object {
            Object::Job(job) => self.take_job(event, job, before.as_ref(), done),
            Object::Pod(pod) => {
                let before = before.as_ref().and_then(Object::as_pod);
                check_pod(pod, before, event.change, by);
                self.check_adoption(pod, before, by);
                self.take_pod(event, pod, before, by, done);
            }
            _ => {}
        }
        before
    }

    fn take_job(&mut self, event: &Event, job: &Arc<Job>, before: Option<&Object>, done: &mut BTreeMap<String, Done>) {
        let uid = job.metadata.uid.clone().unwrap_or_default();
        let entry = done.entry(uid.clone()).or_default();
        entry.is_written = true;
        if entry.before.is_none() {
            entry.before = before.and_then(Object::as_job).cloned();
        }
        match event.change {
            Change::Deleted => drop(self.jobs.remove(&uid)),
            _ => self.jobs.entry(uid).or_default().job = job.clone(),
        }
    }

    fn take_pod(
        &mut self,
        event: &Event,
        pod: &Arc<Pod>,
        before: Option<&Arc<Pod>>,
        by: By,
        done: &mut BTreeMap<String, Done>,
    ) {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let (had, has) = (before.and_then(|p| owner(p)), owner(pod));
        let goes = event.change == Change::Deleted || !is_tracked(pod);
        let is_released = goes && before.is_some_and(|p| is_tracked(p));
        if is_released {
            assert!(by.is(JOB_CONTROLLER) || by.is(GARBAGE_COLLECTOR), "a pod was released by {by:?}");
            let first = self.released.insert(pod.metadata.uid.clone().unwrap_or_default());
            assert!(first, "pod {} was released twice", event.object.key());
        }
        let Some(uid) = had.clone().or(has.clone()) else { return };
        if let Some(book) = self.jobs.get_mut(&uid) {
            match event.change != Change::Deleted && has.as_ref() == Some(&uid) {
                true => book.pods.insert(name, pod.clone()),
                false => book.pods.remove(&name),
            };
            if facts::has_succeeded(pod) {
                book.last_success = book.last_success.max(Some(facts::finished_at(pod)));
            }
            let entry = done.entry(uid).or_default();
            if entry.before.is_none() && !entry.is_written {
                entry.before = Some(book.job.clone());
            }
            match before {
                None => entry.created.push(pod.clone()),
                Some(before) if is_released => {
                    entry.released.push(Release { before: before.clone(), after: pod.clone() });
                }
                Some(_) => {}
            }
        }
    }

    /// A pod that nobody owned is taken by the Job whose selector matches it.
    fn check_adoption(&self, pod: &Pod, before: Option<&Arc<Pod>>, by: By) {
        let (Some(before), Some(uid)) = (before, owner(pod)) else { return };
        if owner(before).is_some() {
            return;
        }
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let book = self.jobs.get(&uid).unwrap_or_else(|| panic!("pod {name} was taken by a Job that is gone"));
        assert!(by.is(JOB_CONTROLLER), "pod {name} was taken by {by:?}");
        assert_eq!(wanted_by(pod), Some(&*uid), "pod {name} was taken by a Job that does not match it");
        assert!(is_tracked(pod), "pod {name} was taken, and its end will not be counted");
        let is_late = self.released.contains(pod.metadata.uid.as_deref().unwrap_or_default());
        assert!(!is_late, "pod {name} was taken again after its end was counted");
        let leaving = meta::is_deleting(&before.metadata) || meta::is_deleting(&book.job.metadata);
        assert!(!leaving && !rules::is_finished(&book.job), "pod {name} was taken too late");
    }

    /// Whether an owner of the object is there, and does not wait for what it owns to go first.
    fn is_kept(&self, object: &Object) -> bool {
        let waits = |owner: &Object| {
            meta::is_deleting(owner.meta()) && meta::has_finalizer(owner.meta(), well_known::FINALIZER_FOREGROUND)
        };
        let owned_by = |owner: &Object| {
            object.meta().owner_references.iter().flatten().any(|reference| reference.uid == owner.uid())
        };
        self.objects.values().any(|owner| owned_by(owner) && !waits(owner))
    }

    /// A node has given away no more than it has.
    fn check_capacity(&self) {
        for object in self.objects.values() {
            let Object::Node(node) = object else { continue };
            let name = object.key().name;
            let pods = self.objects.values().filter_map(Object::as_pod);
            let placed = pods.filter(|p| facts::node(p) == Some(&name) && !facts::is_finished(p));
            let taken: usize = placed.map(|p| p.spec.as_ref().map_or(0, |s| s.containers.len())).sum();
            let has = node.status.as_ref().and_then(|s| s.allocatable.as_ref()?.get("pods")?.0.parse().ok());
            assert!(taken <= has.unwrap_or(0), "node {name} has {has:?} places and gave away {taken}");
        }
    }
}

/// Whether a finalizer may go in the write that removes its object: the controller's own, and those that stand for a way
/// of deletion when a user chooses another.
fn may_take(by: By, finalizer: &str) -> bool {
    match finalizer {
        well_known::FINALIZER_JOB_TRACKING => by.is(JOB_CONTROLLER),
        well_known::FINALIZER_ORPHAN | well_known::FINALIZER_FOREGROUND => by == By::User,
        _ => false,
    }
}

/// Rules of every pod.
fn check_pod(pod: &Pod, before: Option<&Arc<Pod>>, change: Change, by: By) {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let Some(before) = before else {
        let expected = owner(pod).is_none() || by.is(JOB_CONTROLLER);
        assert!(expected, "pod {name} of a Job was made by {by:?}");
        return;
    };
    if facts::is_finished(before) {
        assert_eq!(before.status, pod.status, "pod {name} was over, and its status changed");
    } else if facts::is_finished(pod) {
        assert_eq!(by, By::Node, "pod {name} was ended by another than its node");
    }
    if let Some(node) = facts::node(before) {
        assert_eq!(Some(node), facts::node(pod), "pod {name} was placed twice");
    }
    let is_adopted = owner(before).is_none() && owner(pod).is_some();
    assert!(is_tracked(before) || is_adopted || !is_tracked(pod), "pod {name} is tracked again");
    let loses_owner = owner(before).is_some() && owner(pod).is_none();
    assert!(!loses_owner || by.is(GARBAGE_COLLECTOR) || change == Change::Deleted, "pod {name} lost its owner");
}

pub struct Auditor {
    pub books: Books,
    /// Whether the hash is of whole objects.
    pub in_full: bool,
    watches: Vec<Watch>,
    hash: DefaultHasher,
}

impl Auditor {
    /// Of a store that holds nothing yet.
    pub fn new(store: &Store) -> Auditor {
        let watches = watches(store);
        Auditor { books: Books::default(), in_full: false, watches, hash: DefaultHasher::new() }
    }

    /// Takes in what one step did.
    pub fn look(&mut self, store: &Store, by: By, now: Timestamp) {
        let mut events = Vec::new();
        for watch in &mut self.watches {
            loop {
                match watch.try_next() {
                    Ok(more) if more.is_empty() => break,
                    Ok(more) => events.extend(more),
                    Err(_) => {
                        // Many Events may be written at once; nothing is booked of them.
                        assert_eq!(watch.kind(), Kind::Event, "a step wrote more than the ring holds");
                        let listing = store.list(Kind::Event, None);
                        self.books.objects.retain(|(kind, _), _| *kind != Kind::Event);
                        let all = listing.objects.into_iter().map(|o| ((Kind::Event, o.key()), o));
                        self.books.objects.extend(all);
                        *watch = store.watch(Kind::Event, listing.revision, Visibility::Committed);
                    }
                }
            }
        }
        events.sort_by_key(|event| event.revision);
        for event in &events {
            self.hash(event);
        }
        self.books.apply(&events, by, now);
        self.books.revision = store.revision();
    }

    fn hash(&mut self, event: &Event) {
        self.hash.write_u64(event.revision);
        self.hash.write(format!("{:?} {:?} {}", event.change, event.object.kind(), event.object.key()).as_bytes());
        if self.in_full {
            self.hash.write(&event.object.to_json());
        }
    }

    pub fn history(&self) -> u64 {
        self.hash.finish()
    }

    /// Holds on to the store no longer, so that it can end.
    pub fn looks_away(&mut self) {
        self.watches.clear();
    }

    /// After a crash: the store holds what the books say, no more and no less.
    pub fn meets_again(&mut self, store: &Store) {
        assert_eq!(store.revision(), self.books.revision, "the revision after a start");
        for &kind in Kind::ALL {
            let stored = store.list(kind, None).objects;
            let known = || self.books.objects.iter().filter(|((k, _), _)| *k == kind).map(|(_, object)| object);
            assert_eq!(stored.len(), known().count(), "{kind:?} after a start");
            for (stored, known) in stored.iter().zip(known()) {
                assert_eq!(stored, known, "after a start");
            }
        }
        self.watches = watches(store);
    }

    /// Whether the pod has failed, and keeps the count of its index until the Job, which rests, goes on.
    fn waits_for_its_index(&self, pod: &Pod) -> bool {
        let book = owner(pod).and_then(|uid| self.books.jobs.get(&uid));
        let spec = book.filter(|book| !rules::is_finished(&book.job)).and_then(|book| book.job.spec.as_ref());
        is_tracked(pod) && spec.is_some_and(|spec| spec.backoff_limit_per_index.is_some())
    }

    /// What holds once nothing is left to wait for.
    pub fn at_rest(&self, now: Timestamp) {
        for ((kind, key), object) in &self.books.objects {
            let held = object.as_pod().is_some_and(|pod| self.waits_for_its_index(pod));
            assert!(held || !meta::is_deleting(object.meta()), "{kind:?} {key} is being deleted for ever");
            let owned = object.meta().owner_references.iter().flatten().next().is_some();
            assert!(!owned || self.books.is_kept(object), "{kind:?} {key} has no owner left and is never collected");
            match object {
                Object::Event(_) => panic!("Event {key} is never removed"),
                Object::Pod(pod) => {
                    assert!(held || facts::is_finished(pod), "pod {key} never ends: {:?}", pod.status);
                    let owner = owner(pod).map(|uid| self.books.jobs.get(&uid).expect("garbage is collected"));
                    let by = wanted_by(pod).and_then(|uid| self.books.jobs.get(uid));
                    let is_wanted = by.is_some_and(|book| !rules::is_finished(&book.job));
                    assert!(owner.is_some() || !is_wanted, "pod {key} is never taken by the Job that it matches");
                    let waits = owner.is_some_and(|book| !rules::is_finished(&book.job));
                    assert!(!is_tracked(pod) || waits, "pod {key} is never released");
                }
                _ => {}
            }
        }
        for book in self.books.jobs.values() {
            rules::at_rest(book, now);
        }
        self.books.cron_jobs.at_rest();
        namespaces::at_rest(&self.books);
    }
}

fn watches(store: &Store) -> Vec<Watch> {
    Kind::ALL.iter().map(|kind| store.watch(*kind, store.revision(), Visibility::Committed)).collect()
}
