//! Events: short notes on what happened to an object, for people. They never hold up the work that they speak of: a
//! note is dropped when there are too many, as in client-go (`tools/record/events_cache.go`), whose numbers these are.
//!
//! - The same note again raises `count` of its Event.
//! - After ten different messages for the same object and reason within ten minutes, further ones are folded into one
//!   Event whose message begins with `(combined from similar events): `.
//! - An object gets 25 notes per component at once, then one in five minutes.
//! - The node and the scheduler together get 50 a second, 100 at once (the kubelet's `eventRecordQPS`, `eventBurst`),
//!   so that tens of thousands of pods a second do not become as many Events.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Note, NoteType};
use crate::api::{Key, Kind, Object, meta};
use crate::clock::Clock;
use crate::ids::Ids;
use crate::store::{Store, Tx};

const COMBINE_AFTER: usize = 10;
const COMBINE_WINDOW_SECONDS: i64 = 600;
const OBJECT_BURST: f64 = 25.0;
const OBJECT_PER_SECOND: f64 = 1.0 / 300.0;
const POD_PARTS_BURST: f64 = 100.0;
const POD_PARTS_PER_SECOND: f64 = 50.0;
/// Remembered keys of each sort; beyond that all is forgotten, which at worst repeats an Event.
const MEMORY: usize = 4096;
/// Notes waiting to be written; further ones are dropped.
const WAITING: usize = 1000;

/// Where notes are handed in. Never blocks.
#[derive(Clone)]
pub struct Recorder(mpsc::Sender<(&'static str, Note)>);

impl Recorder {
    /// The recorder and the writer that must run for its notes to become Events.
    pub fn new() -> (Recorder, Writer) {
        let (sender, notes) = mpsc::channel(WAITING);
        (Recorder(sender), Writer { notes, correlator: Correlator::default() })
    }

    pub fn record(&self, component: &'static str, note: Note) {
        // A full queue, or a writer that has stopped, costs only the note.
        let _ = self.0.try_send((component, note));
    }
}

pub struct Writer {
    notes: mpsc::Receiver<(&'static str, Note)>,
    correlator: Correlator,
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
        let Some(record) = self.correlator.take(component, note, now) else { return };
        if let Some(mut event) = record.earlier.as_ref().and_then(|key| stored_event(store, key)) {
            event.count = Some(record.count);
            event.last_timestamp = Some(meta::time(now));
            event.message = Some(record.note.message.clone());
            if store.commit(Tx::new().update(event)).is_ok() {
                return;
            }
        }
        let event = new_event(component, &record.note, ids, now);
        let key = Object::from(event.clone()).key();
        match store.commit(Tx::new().create(event)) {
            Ok(_) => self.correlator.written(record.identity, key),
            Err(error) => tracing::debug!(%error, "event not written"),
        }
    }
}

fn stored_event(store: &Store, key: &Key) -> Option<Event> {
    match store.get(Kind::Event, key)? {
        Object::Event(event) => Some((*event).clone()),
        _ => None,
    }
}

fn new_event(component: &str, note: &Note, ids: &Ids, now: Timestamp) -> Event {
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
        count: Some(1),
        first_timestamp: Some(meta::time(now)),
        last_timestamp: Some(meta::time(now)),
        ..Event::default()
    };
    event.metadata.name = Some(name);
    event.metadata.namespace = Some(namespace);
    event.metadata.uid = Some(ids.uid());
    event.metadata.creation_timestamp = Some(meta::time(now));
    event
}

fn type_text(kind: NoteType) -> &'static str {
    match kind {
        NoteType::Normal => "Normal",
        NoteType::Warning => "Warning",
    }
}

/// What makes two notes the same but for their message.
type Group = (&'static str, String, &'static str, &'static str, Option<String>);
/// A group and a message; without one, the combined Event of the group.
type Identity = (Group, Option<String>);

struct Record {
    identity: Identity,
    note: Note,
    /// The Event that this note adds to.
    earlier: Option<Key>,
    count: i32,
}

/// Which notes become Events, and which add to one.
#[derive(Default)]
struct Correlator {
    groups: HashMap<Group, (BTreeSet<String>, Timestamp)>,
    counts: HashMap<Identity, (Option<Key>, i32)>,
    objects: HashMap<(&'static str, String), Bucket>,
    pod_parts: Option<Bucket>,
}

impl Correlator {
    fn take(&mut self, component: &'static str, mut note: Note, now: Timestamp) -> Option<Record> {
        if matches!(component, "kubelet" | "default-scheduler") {
            let bucket = self.pod_parts.get_or_insert(Bucket::full(POD_PARTS_BURST, now));
            if !bucket.take(POD_PARTS_BURST, POD_PARTS_PER_SECOND, now) {
                return None;
            }
        }
        let regarding = &note.regarding;
        let object = regarding.uid.clone().unwrap_or_default();
        let group: Group = (component, object.clone(), type_text(note.kind), note.reason, regarding.field_path.clone());
        if self.groups.len() >= MEMORY {
            self.groups.clear();
        }
        let (messages, last) = self.groups.entry(group.clone()).or_insert((BTreeSet::new(), now));
        if now.duration_since(*last).as_secs() > COMBINE_WINDOW_SECONDS {
            messages.clear();
        }
        *last = now;
        messages.insert(note.message.clone());
        let combined = messages.len() > COMBINE_AFTER;
        if combined {
            messages.pop_first();
            note.message = format!("(combined from similar events): {}", note.message);
        }
        if self.objects.len() >= MEMORY {
            self.objects.clear();
        }
        let bucket = self.objects.entry((component, object)).or_insert(Bucket::full(OBJECT_BURST, now));
        if !bucket.take(OBJECT_BURST, OBJECT_PER_SECOND, now) {
            return None;
        }
        let identity = (group, (!combined).then(|| note.message.clone()));
        if self.counts.len() >= MEMORY {
            self.counts.clear();
        }
        let (earlier, count) = self.counts.entry(identity.clone()).or_insert((None, 0));
        *count = count.saturating_add(1);
        Some(Record { identity, note, earlier: earlier.clone(), count: *count })
    }

    fn written(&mut self, identity: Identity, key: Key) {
        self.counts.insert(identity, (Some(key), 1));
    }
}

/// A token bucket.
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

impl Bucket {
    fn full(burst: f64, now: Timestamp) -> Bucket {
        Bucket { tokens: burst, at: now }
    }

    fn take(&mut self, burst: f64, per_second: f64, now: Timestamp) -> bool {
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + passed * per_second).min(burst);
        self.at = now;
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ObjectReference;

    fn note(uid: &str, message: &str) -> Note {
        let regarding = ObjectReference { uid: Some(uid.to_owned()), ..ObjectReference::default() };
        Note { regarding, kind: NoteType::Normal, reason: "Tested", message: message.to_owned() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_same_note_again_raises_the_count() {
        let mut correlator = Correlator::default();
        let first = correlator.take("c", note("u", "m"), at(0)).unwrap();
        correlator.written(first.identity, Key::new("default", "e"));
        let second = correlator.take("c", note("u", "m"), at(1)).unwrap();
        assert_eq!((second.earlier, second.count), (Some(Key::new("default", "e")), 2));
    }

    #[test]
    fn many_similar_notes_become_one_and_then_none() {
        let mut correlator = Correlator::default();
        let taken: Vec<_> = (0..100).filter_map(|i| correlator.take("c", note("u", &format!("m{i}")), at(0))).collect();
        assert_eq!(taken.len(), 25);
        assert!(taken[..10].iter().all(|r| r.note.message.starts_with('m')));
        assert!(taken[10..].iter().all(|r| r.note.message.starts_with("(combined from similar events): m")));
        assert_eq!(taken[24].count, 15);
        assert!(correlator.take("c", note("other", "m"), at(0)).is_some(), "another object has its own allowance");
        assert!(correlator.take("c", note("u", "late"), at(301)).is_some(), "one more in five minutes");
    }

    #[test]
    fn pods_share_the_allowance_of_their_node() {
        let mut correlator = Correlator::default();
        let taken = (0..1000).filter_map(|i| correlator.take("kubelet", note(&format!("u{i}"), "m"), at(0))).count();
        assert_eq!(taken, 100);
        assert!(correlator.take("kubelet", note("v", "m"), at(1)).is_some());
    }
}
