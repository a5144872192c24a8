//! What the pods of this node and its machine use now, for whoever asks.
//!
//! Nothing is done for it while nobody asks: each run keeps its own [`Meter`], a pod holds those of its runs, and the node
//! holds its pods anyway. Asking costs what runs at that moment, not what is stored.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;

use super::load::Load;
use super::{Driven, attempt};
use crate::clock::Clock;
use crate::sandbox::{Meter, Reading};

/// A container that has run for less is not told of: most pods are over by then, and of the rest it says little yet.
const LEAST_WINDOW: Duration = Duration::from_secs(1);

/// The runs of one pod that are under way, by the index of their container. Clones are of the same pod.
#[derive(Clone, Debug, Default)]
pub struct Meters(Arc<Mutex<Vec<(usize, Meter)>>>);

impl Meters {
    /// A run of the container begins, and is under way until what is answered with its meter is dropped. A container has
    /// one run at a time.
    pub fn begins(&self, index: usize) -> (Meter, Measured) {
        let meter = Meter::default();
        self.0.lock().push((index, meter.clone()));
        (meter, Measured { meters: self.clone(), index })
    }

    /// What each of them uses, with the name that its container has in the pod's spec.
    fn read(&self, pod: &Pod, clock: &Clock) -> Vec<(String, Reading)> {
        let mut runs = self.0.lock().clone();
        runs.sort_unstable_by_key(|(index, _)| *index);
        let read = |(index, meter): (usize, Meter)| {
            let reading = meter.read(clock).filter(|reading| reading.window >= LEAST_WINDOW)?;
            Some((attempt::spec(pod, index)?.name.clone(), reading))
        };
        runs.into_iter().filter_map(read).collect()
    }
}

/// A run that is under way.
pub struct Measured {
    meters: Meters,
    index: usize,
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.meters.0.lock().retain(|(index, _)| *index != self.index);
    }
}

/// What the containers of a pod use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodUse {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// By the names of those that run; at least one.
    pub containers: Vec<(String, Reading)>,
}

/// Answers what is used on a node. Cheap to clone.
#[derive(Clone)]
pub struct Measures {
    pub(super) driven: Arc<Mutex<HashMap<String, Driven>>>,
    pub(super) clock: Clock,
    pub(super) load: Arc<Load>,
    pub(super) node: Arc<str>,
}

impl Measures {
    /// Every pod of which a container has run for a second, in no order.
    pub fn pods(&self) -> Vec<PodUse> {
        // The handles first: the node waits for this lock when pods come and go.
        let pods: Vec<(Arc<Pod>, Meters)> = self.driven.lock().values().filter_map(Driven::running).collect();
        pods.iter().filter_map(|(pod, meters)| self.read(pod, meters)).collect()
    }

    /// The pod with this uid, if it is such a one.
    pub fn pod(&self, uid: &str) -> Option<PodUse> {
        let (pod, meters) = self.driven.lock().get(uid).and_then(Driven::running)?;
        self.read(&pod, &meters)
    }

    fn read(&self, pod: &Pod, meters: &Meters) -> Option<PodUse> {
        let containers = meters.read(pod, &self.clock);
        let text = |of: &Option<String>| of.clone().unwrap_or_default();
        let meta = &pod.metadata;
        (!containers.is_empty()).then(|| PodUse {
            namespace: text(&meta.namespace),
            name: text(&meta.name),
            uid: text(&meta.uid),
            containers,
        })
    }

    /// What is used of the machine, by all that runs on it; `None` of a node of another name, and in the first second.
    /// Reads the system: never call it on a runtime thread.
    pub fn node(&self, name: &str) -> Option<Reading> {
        (*self.node == *name).then(|| self.load.read(&self.clock)).flatten()
    }
}

impl Driven {
    /// The pod and its runs, if there are any.
    fn running(&self) -> Option<(Arc<Pod>, Meters)> {
        let runs = !self.meters.0.lock().is_empty();
        runs.then(|| (self.inbox.borrow().clone(), self.meters.clone()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_shows_the_containers_that_have_run_for_a_second() {
        let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec":
            {"initContainers": [{"name": "i"}], "containers": [{"name": "a"}, {"name": "b"}]}}))
        .unwrap();
        let meters = Meters::default();
        let names =
            |meters: &Meters| -> Vec<String> { meters.read(&pod, &clock).into_iter().map(|(name, _)| name).collect() };
        let begin = |index: usize| {
            let (meter, measured) = meters.begins(index);
            meter.begins_at(clock.instant());
            measured
        };
        let first = begin(2);
        clock.advance(Duration::from_millis(500));
        let _second = begin(1);
        // Waits for the sandbox: its run has not begun.
        let _waits = meters.begins(0);
        assert_eq!(names(&meters), [""; 0]);
        clock.advance(Duration::from_millis(500));
        assert_eq!(names(&meters), ["b"]);
        clock.advance(Duration::from_millis(500));
        assert_eq!(names(&meters), ["a", "b"]);
        // It is over, and begins anew.
        drop(first);
        let _again = begin(2);
        assert_eq!(names(&meters), ["a"]);
    }
}
