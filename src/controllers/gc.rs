//! Garbage: what happens to the objects that a deleted one owns (kubernetes `pkg/controller/garbagecollector`).
//!
//! - Background: once no owner of an object exists any more, the object is deleted.
//! - Foreground: an owner that waits with the finalizer `foregroundDeletion` has those dependents deleted first that
//!   block its deletion, and is released when none of them is left. One that another owner keeps only loses this one.
//! - Orphan: an owner that waits with the finalizer `orphan` is taken out of its dependents' owner references, then
//!   released.
//!
//! An owner of a kind that is not served may be anywhere: what names it stays, as in Kubernetes, where nobody can look it up.
//!
//! A key is the uid of an owner. Each look handles a bounded number of its dependents.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::api::deletion::{self, Deletion, Options, Propagation};
use crate::api::{Key, Kind, Object, meta, well_known};
use crate::control::{Controller, Effect, Plan, Queue, Seen};
use crate::store::Change;

const AT_ONCE: usize = 500;

#[derive(Default)]
pub struct GarbageCollector {
    /// Every object that owns something or might, by uid, as [`is_noted`] says; see [`GarbageCollector::owner`].
    alive: HashMap<String, Object>,
    /// The objects that name an owner, by the owner's uid.
    dependents: HashMap<String, Dependents>,
    by_key: HashMap<(Kind, Key), Object>,
}

#[derive(Default)]
struct Dependents {
    all: BTreeSet<(Kind, Key)>,
    /// Those that the owner's deletion in the foreground waits for.
    blocking: BTreeSet<(Kind, Key)>,
}

impl Controller for GarbageCollector {
    type Key = String;
    const NAME: &'static str = "garbage-collector-controller";

    fn watches(&self) -> &'static [Kind] {
        // Owners come before what they own, so that a view being built takes nothing for an orphan.
        &[
            Kind::Namespace,
            Kind::Node,
            Kind::CronJob,
            Kind::Job,
            Kind::Pod,
            Kind::ConfigMap,
            Kind::Secret,
            Kind::Lease,
            Kind::ServiceAccount,
            Kind::Module,
        ]
    }

    fn reset(&mut self) {
        *self = GarbageCollector::default();
    }

    fn observe(&mut self, seen: &Seen<'_>, queue: &mut Queue<String>, _now: Timestamp) {
        let object = seen.object;
        let id = (object.kind(), object.key());
        let old = self.by_key.remove(&id);
        if let Some(old) = &old {
            for owner in owners(old) {
                if let Some(dependents) = self.dependents.get_mut(owner) {
                    dependents.all.remove(&id);
                    // An owner that waited for the last of them.
                    let was_last = dependents.blocking.remove(&id) && dependents.blocking.is_empty();
                    if (was_last || dependents.all.is_empty()) && self.alive.contains_key(owner) {
                        queue.add_now(owner.to_owned());
                    }
                    if dependents.all.is_empty() {
                        self.dependents.remove(owner);
                    }
                }
            }
        }
        if seen.change == Change::Deleted {
            self.alive.remove(object.uid());
            if self.dependents.contains_key(object.uid()) {
                queue.add_now(object.uid().to_owned());
            }
            return;
        }
        if meta::is_deleting(object.meta()) {
            queue.add_now(object.uid().to_owned());
        }
        if is_noted(object) {
            self.alive.insert(object.uid().to_owned(), object.clone());
        } else {
            self.alive.remove(object.uid());
        }
        for owner in owners(object) {
            let dependents = self.dependents.entry(owner.to_owned()).or_default();
            dependents.all.insert(id.clone());
            if blocks(object, owner) {
                dependents.blocking.insert(id.clone());
            }
            // An owner that waits for what it owns to go does not yet know of one that comes only now.
            let is_new = old.as_ref().is_none_or(|old| !owners(old).any(|known| known == owner));
            if self.alive.get(owner).is_none_or(|owner| is_new && meta::is_deleting(owner.meta())) {
                queue.add_now(owner.to_owned());
            }
        }
        if owners(object).next().is_some() {
            self.by_key.insert(id, object.clone());
        }
    }

    fn reconcile(&mut self, uid: &String, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        match self.alive.get(uid) {
            None => self.collect(uid, &mut plan, now),
            Some(owner) if !meta::is_deleting(owner.meta()) => {}
            Some(owner) if meta::has_finalizer(owner.meta(), well_known::FINALIZER_ORPHAN) => {
                self.orphan(owner, &mut plan, now);
            }
            Some(owner) if meta::has_finalizer(owner.meta(), well_known::FINALIZER_FOREGROUND) => {
                self.foreground(owner, &mut plan, now);
            }
            Some(_) => {}
        }
        plan
    }
}

/// What an owner reference leads to.
#[derive(Clone, Copy)]
enum Owner<'a> {
    There(&'a Object),
    Gone,
    /// Of a kind that is not served: nobody can say.
    Unknown,
}

/// Whether an object is noted by its uid. There are many pods and they seldom own anything, so that those which something
/// owns are found by name when it matters, unless they wait for what they own.
fn is_noted(object: &Object) -> bool {
    let waits = [well_known::FINALIZER_ORPHAN, well_known::FINALIZER_FOREGROUND];
    match object.kind() {
        Kind::Event => false,
        Kind::Pod => references(object).next().is_none() || waits.iter().any(|f| meta::has_finalizer(object.meta(), f)),
        _ => true,
    }
}

fn references(object: &Object) -> impl Iterator<Item = &OwnerReference> {
    object.meta().owner_references.iter().flatten()
}

fn owners(object: &Object) -> impl Iterator<Item = &str> {
    references(object).map(|o| o.uid.as_str())
}

/// Whether the deletion of this owner in the foreground waits for the object.
fn blocks(object: &Object, owner: &str) -> bool {
    references(object).any(|o| o.uid == owner && o.block_owner_deletion == Some(true))
}

fn delete(object: &Object, propagation: Propagation, now: Timestamp) -> Option<Effect> {
    match deletion::delete(object, &Options { grace: None, propagation: Some(propagation) }, now) {
        // Only as it is known: somebody may just have given it another owner, or a finalizer.
        Deletion::Remove => Some(Effect::Update(deletion::over(object, now))),
        Deletion::Mark(marked) => Some(Effect::Update(marked)),
        Deletion::Unchanged => None,
    }
}

impl GarbageCollector {
    fn of(&self, uid: &str) -> impl Iterator<Item = &Object> {
        self.dependents.get(uid).into_iter().flat_map(|d| &d.all).filter_map(|id| self.by_key.get(id))
    }

    fn owner(&self, object: &Object, by: &OwnerReference) -> Owner<'_> {
        if let Some(owner) = self.alive.get(&by.uid) {
            return Owner::There(owner);
        }
        let named = |kind| self.by_key.get(&(kind, Key::new(object.key().namespace, by.name.as_str())));
        match Kind::from_gvk(&by.api_version, &by.kind) {
            Some(kind @ Kind::Pod) => named(kind).filter(|pod| pod.uid() == by.uid).map_or(Owner::Gone, Owner::There),
            Some(_) => Owner::Gone,
            None => Owner::Unknown,
        }
    }

    /// Whether the owner is there, and does not wait for what it owns to go first.
    fn keeps(&self, object: &Object, by: &OwnerReference) -> bool {
        let waits =
            |meta: &ObjectMeta| meta::is_deleting(meta) && meta::has_finalizer(meta, well_known::FINALIZER_FOREGROUND);
        match self.owner(object, by) {
            Owner::There(owner) => !waits(owner.meta()),
            Owner::Gone => false,
            Owner::Unknown => true,
        }
    }

    /// The owner is gone: its dependents go, unless another owner of theirs is there.
    fn collect(&self, uid: &str, plan: &mut Plan, now: Timestamp) {
        for object in self.of(uid) {
            if plan.effects.len() >= AT_ONCE {
                return plan.look_again(now);
            }
            let kept_by = |by: &&OwnerReference| !matches!(self.owner(object, by), Owner::Gone);
            let mut keep = references(object).filter(kept_by).map(|by| by.uid.as_str()).peekable();
            let is_kept = keep.peek().is_some();
            if keep.any(|owner| owner == uid) {
                continue;
            }
            if is_kept {
                plan.effects.push(Effect::Update(without_owner(object, uid)));
            } else if !meta::is_deleting(object.meta()) {
                plan.effects.extend(delete(object, Propagation::Background, now));
            }
        }
    }

    fn orphan(&self, owner: &Object, plan: &mut Plan, now: Timestamp) {
        for object in self.of(owner.uid()) {
            if plan.effects.len() >= AT_ONCE {
                return plan.look_again(now);
            }
            plan.effects.push(Effect::Update(without_owner(object, owner.uid())));
        }
        plan.effects.push(Effect::Update(without_finalizer(owner, well_known::FINALIZER_ORPHAN)));
    }

    fn foreground(&self, owner: &Object, plan: &mut Plan, now: Timestamp) {
        let mut blocked = false;
        for object in self.of(owner.uid()) {
            let goes_on = !meta::is_deleting(object.meta());
            if goes_on && plan.effects.len() >= AT_ONCE {
                return plan.look_again(now);
            }
            if goes_on && references(object).any(|by| by.uid != owner.uid() && self.keeps(object, by)) {
                plan.effects.push(Effect::Update(without_owner(object, owner.uid())));
                continue;
            }
            blocked |= blocks(object, owner.uid());
            if !goes_on {
                continue;
            }
            let has_dependents = self.dependents.contains_key(object.uid());
            let propagation = if has_dependents { Propagation::Foreground } else { Propagation::Background };
            plan.effects.extend(delete(object, propagation, now));
        }
        if !blocked {
            plan.effects.push(Effect::Update(without_finalizer(owner, well_known::FINALIZER_FOREGROUND)));
        }
    }
}

fn without_owner(object: &Object, uid: &str) -> Object {
    let mut object = object.clone();
    let meta = object.meta_mut();
    let managed = meta.owner_references.iter().flatten().any(|o| o.uid == uid && o.controller == Some(true));
    if managed {
        // Nobody counts its end any more.
        meta::remove_finalizer(meta, well_known::FINALIZER_JOB_TRACKING);
    }
    if let Some(owners) = &mut meta.owner_references {
        owners.retain(|o| o.uid != uid);
        if owners.is_empty() {
            meta.owner_references = None;
        }
    }
    object
}

fn without_finalizer(object: &Object, finalizer: &str) -> Object {
    let mut object = object.clone();
    meta::remove_finalizer(object.meta_mut(), finalizer);
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::batch::v1::Job;
    use k8s_openapi::api::core::v1::Pod;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn job(deleting_with: Option<&str>) -> Object {
        let mut job = Job::default();
        job.metadata.name = Some("j".to_owned());
        job.metadata.uid = Some("job-uid".to_owned());
        if let Some(finalizer) = deleting_with {
            job.metadata.finalizers = Some(vec![finalizer.to_owned()]);
            job.metadata.deletion_timestamp = Some(meta::time(at(1)));
        }
        job.into()
    }

    fn pod(name: &str, owners: &[&str]) -> Object {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.to_owned());
        pod.metadata.uid = Some(format!("uid-{name}"));
        let owner = |uid: &&str| OwnerReference {
            api_version: "batch/v1".to_owned(),
            kind: "Job".to_owned(),
            uid: (*uid).to_owned(),
            block_owner_deletion: Some(true),
            ..OwnerReference::default()
        };
        pod.metadata.owner_references = Some(owners.iter().map(owner).collect());
        pod.into()
    }

    /// At the time of [`Fixture::plan`].
    fn removal(object: &Object) -> Effect {
        Effect::Update(deletion::over(object, at(10)))
    }

    struct Fixture {
        gc: GarbageCollector,
        queue: Queue<String>,
    }

    impl Fixture {
        fn with(objects: &[Object]) -> Fixture {
            let mut f = Fixture { gc: GarbageCollector::default(), queue: Queue::default() };
            for object in objects {
                f.see(Change::Added, object);
            }
            f
        }

        fn see(&mut self, change: Change, object: &Object) {
            self.gc.observe(&Seen { change, object, old: None }, &mut self.queue, at(0));
        }

        fn plan(&mut self) -> Vec<Effect> {
            let mut effects = Vec::new();
            while let Some(uid) = self.queue.pop_due(at(10)) {
                effects.extend(self.gc.reconcile(&uid, at(10)).effects);
            }
            effects
        }
    }

    #[test]
    fn dependents_go_once_no_owner_is_left() {
        let mut f = Fixture::with(&[job(None), pod("a", &["job-uid"]), pod("b", &["job-uid"])]);
        assert!(f.plan().is_empty());
        f.see(Change::Deleted, &job(None));
        let removed = f.plan();
        assert_eq!(removed, [removal(&pod("a", &["job-uid"])), removal(&pod("b", &["job-uid"]))]);
    }

    #[test]
    fn the_jobs_of_a_cron_job_go_with_it_and_then_their_pods() {
        let mut owner = k8s_openapi::api::batch::v1::CronJob::default();
        owner.metadata.uid = Some("cron-uid".to_owned());
        let (owner, mut child) = (Object::from(owner), job(None));
        child.meta_mut().owner_references = pod("", &["cron-uid"]).meta().owner_references.clone();
        let mut f = Fixture::with(&[owner.clone(), child.clone(), pod("a", &["job-uid"])]);
        assert!(f.plan().is_empty());
        f.see(Change::Deleted, &owner);
        assert_eq!(f.plan(), [removal(&child)]);
        f.see(Change::Deleted, &child);
        assert_eq!(f.plan(), [removal(&pod("a", &["job-uid"]))]);
        let watched = f.gc.watches();
        let place = |kind: Kind| watched.iter().position(|k| *k == kind);
        assert!(place(Kind::CronJob) < place(Kind::Job), "owners are listed before what they own");
    }

    #[test]
    fn an_object_whose_owner_never_existed_goes_too_and_one_with_another_owner_stays() {
        let mut f = Fixture::with(&[job(None), pod("a", &["gone"]), pod("b", &["gone", "job-uid"])]);
        let effects = f.plan();
        assert!(effects.contains(&removal(&pod("a", &["gone"]))), "{effects:?}");
        assert!(effects.contains(&Effect::Update(without_owner(&pod("b", &["gone", "job-uid"]), "gone"))));
    }

    fn owned_by(api_version: &str, kind: &str, name: &str, uid: &str) -> Object {
        let mut map = k8s_openapi::api::core::v1::ConfigMap::default();
        map.metadata.name = Some("map".to_owned());
        map.metadata.uid = Some("map-uid".to_owned());
        let (api_version, kind, name, uid) = (api_version.into(), kind.into(), name.into(), uid.into());
        let owner = OwnerReference { api_version, kind, name, uid, ..OwnerReference::default() };
        map.metadata.owner_references = Some(vec![owner]);
        map.into()
    }

    #[test]
    fn what_a_pod_owns_stays_as_long_as_the_pod() {
        for owner in [pod("a", &[]), pod("a", &["job-uid"])] {
            let map = owned_by("v1", "Pod", "a", "uid-a");
            let mut f = Fixture::with(&[job(None), map.clone(), owner.clone()]);
            assert!(f.plan().is_empty(), "whichever comes first");
            f.see(Change::Modified, &map);
            assert!(f.plan().is_empty());
            f.see(Change::Deleted, &owner);
            assert_eq!(f.plan(), [removal(&map)]);
        }
        let stale = owned_by("v1", "Pod", "a", "uid of another that had its name");
        let mut f = Fixture::with(&[job(None), pod("a", &["job-uid"]), stale.clone()]);
        assert_eq!(f.plan(), [removal(&stale)]);
    }

    #[test]
    fn a_pod_that_is_deleted_as_the_last_waits_for_what_it_owns() {
        let map = owned_by("v1", "Pod", "a", "uid-a");
        let mut owner = pod("a", &["job-uid"]);
        owner.meta_mut().finalizers = Some(vec![well_known::FINALIZER_ORPHAN.to_owned()]);
        owner.meta_mut().deletion_timestamp = Some(meta::time(at(1)));
        let mut f = Fixture::with(&[job(None), owner.clone(), map.clone()]);
        let released = Effect::Update(without_finalizer(&owner, well_known::FINALIZER_ORPHAN));
        assert_eq!(f.plan(), [Effect::Update(without_owner(&map, "uid-a")), released]);
    }

    #[test]
    fn an_owner_of_a_kind_that_is_not_served_may_be_anywhere() {
        let map = owned_by("argoproj.io/v1alpha1", "Workflow", "w", "w-uid");
        assert!(Fixture::with(std::slice::from_ref(&map)).plan().is_empty());
        let gone = owned_by("v1", "ConfigMap", "w", "w-uid");
        assert_eq!(Fixture::with(std::slice::from_ref(&gone)).plan(), [removal(&gone)]);
        let mut both = map.clone();
        both.meta_mut().owner_references.as_mut().unwrap().extend(gone.meta().owner_references.clone().unwrap());
        both.meta_mut().owner_references.as_mut().unwrap()[1].uid = "gone".to_owned();
        let mut f = Fixture::with(std::slice::from_ref(&both));
        assert_eq!(f.plan(), [Effect::Update(without_owner(&both, "gone"))]);
    }

    #[test]
    fn orphaning_takes_the_owner_out_and_then_lets_it_go() {
        let mut f = Fixture::with(&[job(Some(well_known::FINALIZER_ORPHAN)), pod("a", &["job-uid"])]);
        let effects = f.plan();
        assert!(effects.contains(&Effect::Update(without_owner(&pod("a", &["job-uid"]), "job-uid"))), "{effects:?}");
        let released = without_finalizer(&job(Some(well_known::FINALIZER_ORPHAN)), well_known::FINALIZER_ORPHAN);
        assert!(effects.contains(&Effect::Update(released)));
    }

    #[test]
    fn foreground_deletion_waits_only_for_what_blocks_it() {
        let owner = job(Some(well_known::FINALIZER_FOREGROUND));
        let mut held = pod("b", &["job-uid"]);
        held.meta_mut().owner_references.as_mut().unwrap()[0].block_owner_deletion = None;
        held.meta_mut().deletion_timestamp = Some(meta::time(at(1)));
        held.meta_mut().finalizers = Some(vec!["a/b".to_owned()]);
        let mut f = Fixture::with(&[owner.clone(), pod("a", &["job-uid"]), held]);
        assert_eq!(f.plan(), [removal(&pod("a", &["job-uid"]))]);
        f.see(Change::Deleted, &pod("a", &["job-uid"]));
        let released = Effect::Update(without_finalizer(&owner, well_known::FINALIZER_FOREGROUND));
        assert_eq!(f.plan(), [released]);
    }

    #[test]
    fn foreground_deletion_takes_what_comes_while_it_waits() {
        let owner = job(Some(well_known::FINALIZER_FOREGROUND));
        let mut ending = pod("a", &["job-uid"]);
        ending.meta_mut().deletion_timestamp = Some(meta::time(at(1)));
        let mut f = Fixture::with(&[owner.clone(), ending]);
        assert!(f.plan().is_empty(), "it waits for the one that is ending");
        f.see(Change::Added, &pod("b", &["job-uid"]));
        assert_eq!(f.plan(), [removal(&pod("b", &["job-uid"]))]);
    }

    #[test]
    fn foreground_deletion_leaves_what_another_owner_keeps() {
        let owner = job(Some(well_known::FINALIZER_FOREGROUND));
        let mut other = job(None);
        other.meta_mut().name = Some("k".to_owned());
        other.meta_mut().uid = Some("other".to_owned());
        let shared = pod("a", &["job-uid", "other"]);
        let mut f = Fixture::with(&[owner.clone(), other, shared.clone()]);
        let kept = Effect::Update(without_owner(&shared, "job-uid"));
        let released = Effect::Update(without_finalizer(&owner, well_known::FINALIZER_FOREGROUND));
        assert_eq!(f.plan(), [kept, released]);
    }

    #[test]
    fn foreground_deletion_waits_for_the_last_dependent() {
        let owner = job(Some(well_known::FINALIZER_FOREGROUND));
        let mut f = Fixture::with(&[owner.clone(), pod("a", &["job-uid"])]);
        let effects = f.plan();
        assert_eq!(effects, [removal(&pod("a", &["job-uid"]))]);
        f.see(Change::Deleted, &pod("a", &["job-uid"]));
        let released = Effect::Update(without_finalizer(&owner, well_known::FINALIZER_FOREGROUND));
        assert_eq!(f.plan(), [released]);
    }
}
