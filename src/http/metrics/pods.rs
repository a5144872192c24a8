//! `kiln_pods`: how many pods there are, per namespace and phase.
//!
//! Counted when somebody asks, from what has changed since they asked last; all pods are looked at only the first time,
//! and when more has changed than the history of events still holds. Nobody pays who does not ask.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::gauges::{Gauges, write};
use crate::api::pod::facts;
use crate::api::{Kind, Object};
use crate::store::{Change, Event, Store, Visibility, Watch};

pub struct Pods {
    store: Store,
    known: Mutex<Option<Known>>,
}

struct Known {
    watch: Watch,
    counts: BTreeMap<(String, String), i64>,
}

impl Pods {
    pub fn new(store: Store) -> Pods {
        Pods { store, known: Mutex::default() }
    }

    fn count(&self) -> BTreeMap<(String, String), i64> {
        let mut known = self.known.lock();
        let caught_up = known.as_mut().is_some_and(|known| known.catch_up());
        if !caught_up {
            let listing = self.store.list(Kind::Pod, None);
            let watch = self.store.watch(Kind::Pod, listing.revision, Visibility::Committed);
            let mut counts = BTreeMap::new();
            for object in &listing.objects {
                add(&mut counts, object, 1);
            }
            *known = Some(Known { watch, counts });
        }
        known.as_mut().map(Known::told).unwrap_or_default()
    }
}

impl fmt::Debug for Pods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pods").finish_non_exhaustive()
    }
}

impl Collector for Pods {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts: Vec<((String, String), i64)> = self.count().into_iter().collect();
        write(&mut encoder, &PODS, &counts, |((namespace, phase), _)| vec![("namespace", namespace), ("phase", phase)])
    }
}

impl Known {
    /// Takes in what has changed; false if that is not known any more.
    fn catch_up(&mut self) -> bool {
        loop {
            match self.watch.try_next() {
                Err(_) => return false,
                Ok(events) if events.is_empty() => return true,
                Ok(events) => events.iter().for_each(|event| self.take(event)),
            }
        }
    }

    /// A phase that no pod of a namespace has any more is told as 0, because a series that ends looks like one that was not
    /// read; a namespace without pods is forgotten.
    fn told(&mut self) -> BTreeMap<(String, String), i64> {
        let used: BTreeSet<String> =
            self.counts.iter().filter(|(_, n)| **n != 0).map(|((namespace, _), _)| namespace.clone()).collect();
        self.counts.retain(|(namespace, _), _| used.contains(namespace));
        self.counts.clone()
    }

    fn take(&mut self, event: &Event) {
        if let Some(old) = &event.old {
            add(&mut self.counts, old, -1);
        }
        if event.change != Change::Deleted {
            add(&mut self.counts, &event.object, 1);
        }
    }
}

fn add(counts: &mut BTreeMap<(String, String), i64>, pod: &Object, by: i64) {
    let Some(pod) = pod.as_pod() else { return };
    let phase = Some(facts::phase(pod)).filter(|phase| !phase.is_empty()).unwrap_or("Unknown");
    let count = counts.entry((pod.metadata.namespace.clone().unwrap_or_default(), phase.to_owned())).or_default();
    *count += by;
}

const PODS: Gauges<((String, String), i64)> =
    Gauges { name: "kiln_pods", help: "Pods by namespace and phase.", rows: |(_, count), row| row(&[], *count as f64) };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Precondition, Tx};
    use serde_json::json;

    fn pod(name: &str, phase: &str) -> Object {
        let json = json!({"metadata": {"name": name, "namespace": "a", "uid": name}, "status": {"phase": phase}});
        Object::deserialize(Kind::Pod, json).unwrap()
    }

    #[test]
    fn counts_follow_the_pods_also_past_the_history() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 4).unwrap();
        let pods = Pods::new(store.clone());
        let count = |phase: &str| pods.count().get(&("a".to_owned(), phase.to_owned())).copied();
        assert_eq!(count("Pending"), None);
        store.commit(Tx::new().create(pod("p", "Pending")).create(pod("q", ""))).unwrap();
        assert_eq!((count("Pending"), count("Unknown")), (Some(1), Some(1)));
        store.commit(Tx::new().update(pod("p", "Running"))).unwrap();
        assert_eq!((count("Pending"), count("Running")), (Some(0), Some(1)));
        // More changes than the ring holds.
        for n in 0..10 {
            store.commit(Tx::new().create(pod(&format!("n{n}"), "Running"))).unwrap();
        }
        assert_eq!((count("Pending"), count("Running")), (None, Some(11)));
        store.commit(Tx::new().delete(Kind::Pod, pod("p", "").key(), Precondition::default())).unwrap();
        assert_eq!(count("Running"), Some(10));
        store.close();
    }
}
