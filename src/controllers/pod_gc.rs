//! Terminated pods beyond a number are deleted, the oldest first (kubernetes `pkg/controller/podgc`, `gcTerminated`).
//!
//! Pods that have ended stay until their Job goes, so without a bound a node that is never tidied fills its memory and its
//! disk. The order is Kubernetes' own: evicted pods first, then by creation, then by name. Logs go with their pods, by the
//! hand of the node.
//!
//! Kubernetes' pod collector does more, of which nothing is left to do here. Pods that are bound to a node which no longer
//! exists: there is one node, and its name stays with the data directory. Pods that are deleted before they have a node:
//! nothing waits for a kubelet to confirm it, so they go at once ([`deletion`]).
//!
//! Never: deletes a pod whose end its Job has not counted (it carries the tracking finalizer), or that runs. Such a pod
//! that has ended does count towards the number. Costs what changes: no look goes over pods that are not to go.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::api::deletion::{self, Deletion, Options};
use crate::api::pod::facts;
use crate::api::{Key, Kind, Object, meta, well_known};
use crate::control::{Controller, Effect, Plan, Queue, Seen};
use crate::store::Change;

/// Pods that one look deletes, so that its transaction stays small.
const AT_ONCE: usize = 500;

pub struct PodGc {
    /// Terminated pods that may stay.
    threshold: usize,
    /// Those that may go, in the order in which they do.
    free: BTreeMap<Rank, Object>,
    /// Each terminated pod that is not being deleted: its rank if it may go, `None` if it is still to be counted.
    terminated: HashMap<Key, Option<Rank>>,
}

/// The lowest goes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// False sorts before true.
    not_evicted: bool,
    created: Timestamp,
    key: Key,
}

fn rank(pod: &Pod, key: Key) -> Rank {
    let reason = pod.status.as_ref().and_then(|s| s.reason.as_deref());
    let evicted = facts::phase(pod) == well_known::PHASE_FAILED && reason == Some("Evicted");
    let created = pod.metadata.creation_timestamp.as_ref().map_or(Timestamp::MIN, |t| t.0);
    Rank { not_evicted: !evicted, created, key }
}

impl PodGc {
    pub fn new(threshold: u32) -> PodGc {
        PodGc { threshold: threshold as usize, free: BTreeMap::new(), terminated: HashMap::new() }
    }

    fn excess(&self) -> usize {
        self.terminated.len().saturating_sub(self.threshold)
    }
}

impl Controller for PodGc {
    /// There is one thing to look after.
    type Key = ();
    const NAME: &'static str = "pod-garbage-collector";

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Pod]
    }

    fn reset(&mut self) {
        self.free.clear();
        self.terminated.clear();
    }

    fn observe(&mut self, seen: &Seen<'_>, queue: &mut Queue<()>, _now: Timestamp) {
        let Object::Pod(pod) = seen.object else { return };
        let was_finished = matches!(seen.old, Some(Object::Pod(old)) if facts::is_finished(old));
        if !facts::is_finished(pod) && !was_finished {
            // Most changes of pods; nothing is known of such a pod.
            return;
        }
        let stays = facts::is_finished(pod) && !meta::is_deleting(&pod.metadata) && seen.change != Change::Deleted;
        let key = seen.object.key();
        if let Some(Some(rank)) = self.terminated.remove(&key) {
            self.free.remove(&rank);
        }
        if !stays {
            return;
        }
        let uncounted = meta::has_finalizer(&pod.metadata, well_known::FINALIZER_JOB_TRACKING);
        let rank = (!uncounted).then(|| rank(pod, key.clone()));
        if let Some(rank) = &rank {
            self.free.insert(rank.clone(), seen.object.clone());
        }
        self.terminated.insert(key, rank);
        if self.excess() > 0 && !self.free.is_empty() {
            queue.add_now(());
        }
    }

    fn reconcile(&mut self, (): &(), now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let excess = self.excess();
        for pod in self.free.values().take(excess.min(AT_ONCE)) {
            match deletion::delete(pod, &Options { grace: Some(0), propagation: None }, now) {
                // Only as it is known.
                Deletion::Remove => plan.effects.push(Effect::Update(deletion::over(pod, now))),
                Deletion::Mark(marked) => plan.effects.push(Effect::Update(marked)),
                Deletion::Unchanged => {}
            }
        }
        if excess > AT_ONCE && self.free.len() > AT_ONCE {
            plan.look_again(now);
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::pod::facts::test::finished_pod;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn pod(name: &str, created: i64) -> Pod {
        let mut pod = finished_pod(at(created + 1), true);
        pod.metadata.name = Some(name.to_owned());
        pod.metadata.uid = Some(format!("uid-{name}"));
        pod.metadata.creation_timestamp = Some(meta::time(at(created)));
        pod
    }

    fn tracked(mut pod: Pod) -> Pod {
        pod.metadata.finalizers = Some(vec![well_known::FINALIZER_JOB_TRACKING.to_owned()]);
        pod
    }

    struct Fixture {
        gc: PodGc,
        queue: Queue<()>,
    }

    impl Fixture {
        fn new(threshold: u32) -> Fixture {
            Fixture { gc: PodGc::new(threshold), queue: Queue::default() }
        }

        fn see(&mut self, change: Change, pod: &Pod) {
            let object = pod.clone().into();
            self.gc.observe(&Seen { change, object: &object, old: None }, &mut self.queue, at(0));
        }

        /// Looks until there is nothing to do; the names of the pods that are deleted, as the store would delete them.
        fn deleted(&mut self) -> Vec<String> {
            let mut names = Vec::new();
            while self.queue.pop_due(at(0)).is_some() {
                let plan = self.gc.reconcile(&(), at(0));
                assert!(plan.effects.len() <= AT_ONCE);
                for effect in plan.effects {
                    let key = match effect {
                        Effect::Update(object) => object.key(),
                        Effect::Create(_) => panic!("it makes no pods"),
                    };
                    self.see(Change::Deleted, &pod(&key.name, 0));
                    names.push(key.name);
                }
                if plan.again.is_some() {
                    self.queue.add_now(());
                }
            }
            names
        }
    }

    #[test]
    fn as_many_as_the_threshold_stay_and_the_oldest_beyond_it_go() {
        let mut f = Fixture::new(2);
        f.see(Change::Added, &pod("new", 30));
        f.see(Change::Added, &pod("old", 10));
        assert_eq!(f.deleted(), [] as [&str; 0], "no more than may stay");
        f.see(Change::Added, &pod("b", 20));
        f.see(Change::Added, &pod("a", 20));
        assert_eq!(f.deleted(), ["old", "a"], "by creation, then by name");
        assert_eq!(f.gc.free.len(), 2);
    }

    #[test]
    fn evicted_pods_go_first() {
        let mut f = Fixture::new(1);
        let mut evicted = finished_pod(at(50), false);
        evicted.metadata = pod("evicted", 40).metadata;
        evicted.status.get_or_insert_default().reason = Some("Evicted".to_owned());
        f.see(Change::Added, &pod("old", 10));
        f.see(Change::Added, &evicted);
        assert_eq!(f.deleted(), ["evicted"]);
    }

    #[test]
    fn a_pod_that_its_job_has_not_counted_stays_until_it_has() {
        let mut f = Fixture::new(1);
        f.see(Change::Added, &tracked(pod("uncounted", 10)));
        f.see(Change::Added, &tracked(pod("uncounted-too", 20)));
        assert_eq!(f.deleted(), [] as [&str; 0]);
        f.see(Change::Added, &pod("counted", 30));
        assert_eq!(f.deleted(), ["counted"], "the others count towards the number");
        f.see(Change::Modified, &pod("uncounted", 10));
        f.see(Change::Modified, &pod("uncounted-too", 20));
        assert_eq!(f.deleted(), ["uncounted"]);
    }

    #[test]
    fn what_runs_or_is_being_deleted_is_neither_counted_nor_touched() {
        let mut f = Fixture::new(1);
        let mut running = pod("running", 1);
        running.status = None;
        let mut deleting = pod("deleting", 2);
        deleting.metadata.deletion_timestamp = Some(meta::time(at(3)));
        for pod in [&running, &deleting, &pod("ended", 3)] {
            f.see(Change::Added, pod);
        }
        assert_eq!(f.deleted(), [] as [&str; 0]);
        f.see(Change::Deleted, &pod("ended", 3));
        assert!(f.gc.terminated.is_empty() && f.gc.free.is_empty());
    }

    #[test]
    fn a_pod_with_another_finalizer_is_marked() {
        let mut f = Fixture::new(0);
        let mut held = pod("held", 1);
        held.metadata.finalizers = Some(vec!["acme.io/keep".to_owned()]);
        f.see(Change::Added, &held);
        let plan = f.gc.reconcile(&(), at(9));
        let [Effect::Update(marked)] = &plan.effects[..] else { panic!("{plan:?}") };
        assert!(meta::is_deleting(marked.meta()));
    }

    #[test]
    fn one_look_deletes_a_bounded_number() {
        let mut f = Fixture::new(10);
        for n in 0..2 * i64::try_from(AT_ONCE).unwrap() + 10 + 7 {
            f.see(Change::Added, &pod(&format!("p{n:05}"), n));
        }
        assert_eq!(f.gc.reconcile(&(), at(0)).effects.len(), AT_ONCE);
        let deleted = f.deleted();
        assert_eq!((deleted.len(), f.gc.free.len()), (2 * AT_ONCE + 7, 10));
        assert!(deleted.is_sorted());
    }
}
