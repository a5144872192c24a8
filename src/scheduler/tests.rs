use k8s_openapi::api::core::v1::NodeStatus;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::*;
use crate::api::well_known;

fn node(pods: u32) -> Object {
    let mut node = Node::default();
    node.metadata.name = Some("n".to_owned());
    let allocatable = [("pods".to_owned(), Quantity(pods.to_string()))].into();
    node.status = Some(NodeStatus { allocatable: Some(allocatable), ..NodeStatus::default() });
    node.into()
}

fn pod(name: &str) -> Object {
    let mut pod = Pod::default();
    pod.metadata.name = Some(name.to_owned());
    pod.metadata.uid = Some(format!("uid-{name}"));
    pod.spec = Some(Default::default());
    pod.into()
}

/// The scheduler with what it is told; effects are told back to it, as the runner does, unless refused.
struct Fixture {
    scheduler: Scheduler,
    queue: Queue<()>,
}

impl Fixture {
    fn new(objects: &[Object]) -> Fixture {
        let mut f = Fixture { scheduler: Scheduler::default(), queue: Queue::default() };
        objects.iter().for_each(|o| f.see(Change::Added, o));
        f
    }

    fn see(&mut self, change: Change, object: &Object) {
        self.scheduler.observe(&Seen { change, object, old: None }, &mut self.queue, Timestamp::UNIX_EPOCH);
    }

    fn decide(&mut self) -> Vec<Object> {
        let plan = self.scheduler.reconcile(&(), Timestamp::UNIX_EPOCH);
        plan.effects.into_iter().map(|e| if let Effect::Update(o) = e { o } else { panic!("{e:?}") }).collect()
    }

    fn commit(&mut self) -> Vec<Object> {
        let updated = self.decide();
        updated.iter().for_each(|o| self.see(Change::Modified, o));
        updated
    }
}

fn bound(objects: &[Object]) -> Vec<String> {
    let node = |o: &&Object| facts::node(o.as_pod().unwrap()).is_some();
    objects.iter().filter(node).map(|o| o.key().name).collect()
}

#[test]
fn pods_are_bound_in_order_and_wait_with_a_reason_when_the_node_is_full() {
    let mut f = Fixture::new(&[node(2), pod("a"), pod("b"), pod("c")]);
    let updated = f.commit();
    assert_eq!(bound(&updated), ["a", "b"]);
    let waiting = facts::condition(updated[2].as_pod().unwrap(), "PodScheduled").unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("Unschedulable"));
    assert_eq!(waiting.message.as_deref(), Some("0/1 nodes are available: 1 Too many pods."));
    assert!(f.commit().is_empty(), "nothing changed, nothing to do");
    let mut finished = Pod::clone(updated[0].as_pod().unwrap());
    finished.status.get_or_insert_default().phase = Some(well_known::PHASE_SUCCEEDED.to_owned());
    f.see(Change::Modified, &finished.into());
    assert!(!f.queue.is_empty(), "what is freed wakes the scheduler");
    assert_eq!(bound(&f.commit()), ["c"]);
}

#[test]
fn a_refused_decision_is_made_again() {
    let mut f = Fixture::new(&[node(2), pod("a"), pod("b")]);
    assert_eq!(bound(&f.decide()), ["a", "b"]);
    assert_eq!(bound(&f.commit()), ["a", "b"]);
    assert!(f.commit().is_empty());
}

#[test]
fn a_pod_that_was_turned_down_for_another_gets_its_place_if_that_one_goes() {
    let mut f = Fixture::new(&[node(1), pod("a"), pod("b")]);
    let mut taller = Pod::clone(pod("b").as_pod().unwrap());
    taller.spec.as_mut().unwrap().containers = vec![Default::default(); 2];
    f.see(Change::Modified, &taller.into());
    assert_eq!(f.decide().len(), 2, "one is bound, the other is told why it waits");
    f.see(Change::Deleted, &pod("a"));
    let told = f.commit();
    assert_eq!((bound(&told).len(), told.len()), (0, 1), "it is too large for what is free");
    // Now it knows why it waits.
    f.see(Change::Added, &pod("c"));
    f.see(Change::Modified, &node(2));
    assert_eq!(bound(&f.decide()), ["c"]);
    assert_eq!(bound(&f.decide()), ["c"], "in their order, while both are there");
    f.see(Change::Deleted, &pod("c"));
    assert_eq!(bound(&f.commit()), ["b"]);
    assert!(f.commit().is_empty());
}

#[test]
fn a_pod_is_told_why_it_waits_although_the_first_word_was_refused() {
    let mut f = Fixture::new(&[node(0), pod("a")]);
    assert_eq!(f.decide().len(), 1);
    assert_eq!(f.commit().len(), 1);
    assert!(f.commit().is_empty());
}

#[test]
fn a_pod_recreated_under_its_name_is_bound_once() {
    let mut f = Fixture::new(&[node(5), pod("a")]);
    f.see(Change::Deleted, &pod("a"));
    f.see(Change::Added, &pod("a"));
    assert_eq!(bound(&f.commit()), ["a"]);
    assert!(f.commit().is_empty());
}

#[test]
fn a_node_that_appears_takes_the_pods_that_waited() {
    let mut f = Fixture::new(&[pod("a")]);
    assert!(bound(&f.commit()).is_empty());
    f.see(Change::Added, &node(1));
    assert_eq!(bound(&f.commit()), ["a"]);
}

#[test]
fn pods_of_another_scheduler_are_left_alone() {
    let mut other = pod("a");
    if let Object::Pod(pod) = &mut other {
        Arc::make_mut(pod).spec.as_mut().unwrap().scheduler_name = Some("volcano".to_owned());
    }
    assert!(Fixture::new(&[node(1), other]).decide().is_empty());
}
