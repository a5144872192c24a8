//! Events: short notes on what happened to an object, for people. They never hold up the work that they speak of: a
//! note is dropped when there are too many, as in client-go (`tools/record/events_cache.go`), whose numbers these are.
//!
//! - Notes of one component about one object are counted, combined and held back as [`super::correlator`] says.
//! - The node and the scheduler together get 50 a second, 100 at once (the kubelet's `eventRecordQPS`, `eventBurst`),
//!   so that tens of thousands of pods a second do not become as many Events.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::correlator::{Bucket, Correlator, Record};
use super::{Note, NoteType};
use crate::api::{Key, Kind, Object, meta};
use crate::clock::Clock;
use crate::ids::Ids;
use crate::store::{Store, Tx};

const POD_PARTS_BURST: f64 = 100.0;
const POD_PARTS_PER_SECOND: f64 = 50.0;
/// Notes waiting to be written; further ones are dropped.
const WAITING: usize = 1000;

/// Where notes are handed in. Never blocks.
#[derive(Clone)]
pub struct Recorder {
    notes: mpsc::Sender<(&'static str, Note)>,
    counts: Counts,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    written: Counter,
    dropped: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Counts {
    fn drop(&self, why: &'static str) {
        self.dropped.get_or_create(&[("reason", why)]).inc();
    }
}

impl Recorder {
    /// The recorder and the writer that must run for its notes to become Events.
    pub fn new() -> (Recorder, Writer) {
        let (sender, notes) = mpsc::channel(WAITING);
        let counts = Counts::default();
        let recorder = Recorder { notes: sender, counts: counts.clone() };
        (recorder, Writer { notes, gate: Gate::default(), counts })
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        let Counts { written, dropped } = self.counts.clone();
        registry.register("kiln_events_written", "Events created, or written again with a higher count", written);
        registry.register(
            "kiln_events_dropped",
            "Notes that became no Event: too many at once (queue), or more than one may say (rate)",
            dropped,
        );
    }

    pub fn record(&self, component: &'static str, note: Note) {
        // A full queue, or a writer that has stopped, costs only the note.
        if self.notes.try_send((component, note)).is_err() {
            self.counts.drop("queue");
        }
    }
}

pub struct Writer {
    notes: mpsc::Receiver<(&'static str, Note)>,
    gate: Gate,
    counts: Counts,
}

impl Writer {
    pub async fn run(mut self, store: Store, clock: Clock, ids: Ids, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                taken = self.notes.recv_many(&mut batch, 100) => if taken == 0 { return },
                () = stop.cancelled() => return,
            }
            let now = clock.now();
            for (component, note) in batch.drain(..) {
                self.write(component, note, &store, &ids, now);
            }
        }
    }

    fn write(&mut self, component: &'static str, note: Note, store: &Store, ids: &Ids, now: Timestamp) {
        let Some(record) = self.gate.take(component, note, now) else { return self.counts.drop("rate") };
        if let Some(mut event) = record.earlier.as_ref().and_then(|key| stored_event(store, key)) {
            event.count = Some(record.count);
            event.last_timestamp = Some(meta::time(now));
            event.message = Some(record.note.message.clone());
            if store.commit(Tx::new().update(event)).is_ok() {
                self.counts.written.inc();
                return;
            }
        }
        let event = new_event(component, &record, ids, now);
        let key = Object::from(event.clone()).key();
        let namespace = store.get(Kind::Namespace, &Key::new("", key.namespace.as_str()));
        if namespace.as_ref().is_some_and(|namespace| meta::is_deleting(namespace.meta())) {
            return;
        }
        // Nothing new comes to a namespace that is being emptied: the namespace is written, too, as it was found, which
        // costs nothing if it still is so, and refuses the Event otherwise.
        let tx = namespace.into_iter().fold(Tx::new(), Tx::update);
        match store.commit(tx.create(event)) {
            Ok(_) => {
                self.counts.written.inc();
                self.gate.of(component).written(record.identity, key);
            }
            Err(error) => tracing::debug!(%error, "event not written"),
        }
    }
}

/// What each component may say. Each has a memory of its own, as if it were a process of its own.
#[derive(Default)]
struct Gate {
    correlators: HashMap<&'static str, Correlator>,
    pod_parts: Option<Bucket>,
}

impl Gate {
    fn of(&mut self, component: &'static str) -> &mut Correlator {
        self.correlators.entry(component).or_default()
    }

    fn take(&mut self, component: &'static str, note: Note, now: Timestamp) -> Option<Record> {
        if matches!(component, "kubelet" | "default-scheduler") {
            let bucket = self.pod_parts.get_or_insert(Bucket::full(POD_PARTS_BURST, now));
            if !bucket.take(POD_PARTS_BURST, POD_PARTS_PER_SECOND, now) {
                return None;
            }
        }
        self.of(component).take(note, now)
    }
}

fn stored_event(store: &Store, key: &Key) -> Option<Event> {
    match store.get(Kind::Event, key)? {
        Object::Event(event) => Some((*event).clone()),
        _ => None,
    }
}

/// An Event that expired, or whose first notes were held back, begins with the count and the time of the first of them.
fn new_event(component: &str, record: &Record, ids: &Ids, now: Timestamp) -> Event {
    let note = &record.note;
    let regarding = &note.regarding;
    let name = format!("{}.{:016x}", regarding.name.as_deref().unwrap_or_default(), ids.bits());
    let namespace = regarding.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let mut event = Event {
        involved_object: regarding.clone(),
        type_: Some(type_text(note.kind).to_owned()),
        reason: Some(note.reason.to_owned()),
        message: Some(note.message.clone()),
        source: Some(EventSource { component: Some(component.to_owned()), host: None }),
        reporting_component: Some(component.to_owned()),
        count: Some(record.count),
        first_timestamp: Some(meta::time(record.first)),
        last_timestamp: Some(meta::time(now)),
        ..Event::default()
    };
    event.metadata.name = Some(name);
    event.metadata.namespace = Some(namespace);
    event.metadata.uid = Some(ids.uid());
    event.metadata.creation_timestamp = Some(meta::time(now));
    event
}

pub(super) fn type_text(kind: NoteType) -> &'static str {
    match kind {
        NoteType::Normal => "Normal",
        NoteType::Warning => "Warning",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ObjectReference;

    fn note(uid: &str, message: &str) -> Note {
        let regarding = ObjectReference {
            name: Some("j".to_owned()),
            namespace: Some("default".to_owned()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        };
        Note { regarding, kind: NoteType::Normal, reason: "Tested", message: message.to_owned() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn pods_share_the_allowance_of_their_node() {
        let mut gate = Gate::default();
        let taken = (0..1000).filter_map(|i| gate.take("kubelet", note(&format!("u{i}"), "m"), at(0))).count();
        assert_eq!(taken, 100);
        assert!(gate.take("kubelet", note("v", "m"), at(1)).is_some());
    }

    #[test]
    fn one_component_does_not_use_up_what_another_may_say_of_an_object() {
        let mut gate = Gate::default();
        for n in 0..30 {
            gate.take("a", note("u", &format!("m{n}")), at(0));
        }
        assert!(gate.take("a", note("u", "m"), at(0)).is_none());
        assert!(gate.take("b", note("u", "m"), at(0)).is_some());
    }

    fn events(store: &Store) -> Vec<Event> {
        let as_event = |object: &Object| match object {
            Object::Event(event) => Some((**event).clone()),
            _ => None,
        };
        store.list(Kind::Event, None).objects.iter().filter_map(as_event).collect()
    }

    #[test]
    fn a_namespace_that_is_being_emptied_takes_no_new_event() {
        let dir = tempfile::tempdir().unwrap();
        let (store, ids) = (Store::open(dir.path(), 16).unwrap(), Ids::random());
        let (_, mut writer) = Recorder::new();
        let mut namespace = k8s_openapi::api::core::v1::Namespace::default();
        namespace.metadata.name = Some("default".to_owned());
        namespace.metadata.finalizers = Some(vec!["a.b/c".to_owned()]);
        let stored = store.commit(Tx::new().create(namespace)).unwrap().objects.remove(0);
        writer.write("c", note("u", "before"), &store, &ids, at(10));
        let mut ending = stored.clone();
        ending.meta_mut().deletion_timestamp = Some(meta::time(at(11)));
        store.commit(Tx::new().update(ending)).unwrap();
        writer.write("c", note("u", "after"), &store, &ids, at(12));
        let messages: Vec<_> = events(&store).into_iter().filter_map(|event| event.message).collect();
        assert_eq!(messages, ["before"]);
        store.close();
    }

    #[test]
    fn an_event_counts_on_also_when_the_one_before_has_expired() {
        let dir = tempfile::tempdir().unwrap();
        let (store, ids) = (Store::open(dir.path(), 16).unwrap(), Ids::random());
        let (_, mut writer) = Recorder::new();
        for second in [10, 20, 30] {
            writer.write("c", note("u", "m"), &store, &ids, at(second));
        }
        let [first] = &events(&store)[..] else { panic!("{:?}", events(&store)) };
        let times = |event: &Event| [&event.first_timestamp, &event.last_timestamp].map(|t| t.as_ref().unwrap().0);
        assert_eq!((first.count, times(first)), (Some(3), [at(10), at(30)]));
        let key = Object::from(first.clone()).key();
        store.commit(Tx::new().delete(Kind::Event, key, crate::store::Precondition::default())).unwrap();
        writer.write("c", note("u", "m"), &store, &ids, at(40));
        let [again] = &events(&store)[..] else { panic!("{:?}", events(&store)) };
        assert_eq!((again.count, times(again)), (Some(4), [at(10), at(40)]));
        writer.write("c", note("u", "m"), &store, &ids, at(50));
        assert_eq!(events(&store)[0].count, Some(5), "and the new one is added to");
        store.close();
    }
}
