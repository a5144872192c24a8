//! Which notes of one component become Events, and which add to one: client-go's EventCorrelator
//! (`tools/record/events_cache.go`), with its numbers.
//!
//! - **Combine**: the tenth different message about one object with one type and reason, and each after it, is folded
//!   into one Event whose message begins with `(combined from similar events): `, until ten minutes pass without any.
//! - **Count**: the same note again (combined ones are all the same) raises `count` of its Event.
//! - **Hold back**: an object gets 25 notes at once, then one in five minutes. What is held back is counted all the same,
//!   so the next one that passes says how often it has happened.
//!
//! Of each sort 4096 keys are remembered; what was used longest ago is forgotten, which at worst repeats an Event.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::Note;
use super::recent::Recent;
use super::recorder::type_text;
use crate::api::Key;

const COMBINE_AT: usize = 10;
const COMBINE_WINDOW: SignedDuration = SignedDuration::from_secs(600);
const OBJECT_BURST: f64 = 25.0;
const OBJECT_PER_SECOND: f64 = 1.0 / 300.0;
const MEMORY: usize = 4096;

/// What a note is about: kind, namespace, name, uid.
type Regarding = [Option<String>; 4];
/// Notes that differ in their message only: what they are about, type, reason.
type Group = (Regarding, &'static str, &'static str);
/// A group, and the field path and message within it; without them, the combined Event of the group.
pub type Identity = (Group, Option<(Option<String>, String)>);

/// A note that is to be written.
#[derive(Debug)]
pub struct Record {
    pub identity: Identity,
    pub note: Note,
    /// The Event that this note adds to.
    pub earlier: Option<Key>,
    pub count: i32,
    /// When it happened for the first time.
    pub first: Timestamp,
}

#[derive(Clone, Debug)]
struct Count {
    event: Option<Key>,
    count: i32,
    first: Timestamp,
}

pub struct Correlator {
    /// Different messages of late, and when there was one last.
    groups: Recent<Group, (BTreeSet<String>, Timestamp)>,
    counts: Recent<Identity, Count>,
    objects: Recent<Regarding, Bucket>,
}

impl Default for Correlator {
    fn default() -> Correlator {
        Correlator { groups: Recent::new(MEMORY), counts: Recent::new(MEMORY), objects: Recent::new(MEMORY) }
    }
}

impl Correlator {
    /// What to write for a note; nothing if it is held back.
    pub fn take(&mut self, mut note: Note, now: Timestamp) -> Option<Record> {
        let about = note.regarding.clone();
        let regarding = [about.kind, about.namespace, about.name, about.uid];
        let group = (regarding.clone(), type_text(note.kind), note.reason);
        let within = if self.combines(&group, &note.message, now) {
            note.message = format!("(combined from similar events): {}", note.message);
            None
        } else {
            Some((about.field_path, note.message.clone()))
        };
        let identity = (group, within);
        let count = self.counts.get_or(identity.clone(), || Count { event: None, count: 0, first: now });
        count.count = count.count.saturating_add(1);
        let Count { event: earlier, count, first } = count.clone();
        let bucket = self.objects.get_or(regarding, || Bucket::full(OBJECT_BURST, now));
        bucket.take(OBJECT_BURST, OBJECT_PER_SECOND, now).then_some(Record { identity, note, earlier, count, first })
    }

    fn combines(&mut self, group: &Group, message: &str, now: Timestamp) -> bool {
        let (messages, last) = self.groups.get_or(group.clone(), || (BTreeSet::new(), now));
        if now.duration_since(*last) > COMBINE_WINDOW {
            messages.clear();
        }
        *last = now;
        messages.insert(message.to_owned());
        let combines = messages.len() >= COMBINE_AT;
        if combines {
            // No more are remembered than it takes to combine the next.
            messages.pop_first();
        }
        combines
    }

    /// The note became this Event.
    pub fn written(&mut self, identity: Identity, key: Key) {
        // Counted a moment ago, so it is there.
        let first = Timestamp::UNIX_EPOCH;
        self.counts.get_or(identity, || Count { event: None, count: 1, first }).event = Some(key);
    }
}

/// A token bucket.
pub struct Bucket {
    tokens: f64,
    at: Timestamp,
}

impl Bucket {
    pub fn full(burst: f64, now: Timestamp) -> Bucket {
        Bucket { tokens: burst, at: now }
    }

    pub fn take(&mut self, burst: f64, per_second: f64, now: Timestamp) -> bool {
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
    use crate::control::NoteType;
    use k8s_openapi::api::core::v1::ObjectReference;

    const COMBINED: &str = "(combined from similar events): ";

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
        let first = correlator.take(note("u", "m"), at(0)).unwrap();
        assert_eq!((&first.earlier, first.count), (&None, 1));
        let key = Key::new("default", "e");
        correlator.written(first.identity, key.clone());
        for n in 1..5 {
            let again = correlator.take(note("u", "m"), at(n)).unwrap();
            assert_eq!(
                (again.earlier, again.count, again.first),
                (Some(key.clone()), i32::try_from(n + 1).unwrap(), at(0))
            );
        }
    }

    #[test]
    fn what_makes_notes_the_same_and_what_makes_them_similar() {
        let other = |change: fn(&mut Note)| {
            let mut note = note("u", "m");
            change(&mut note);
            note
        };
        // What differs, whether it is then counted as the same note, and whether it is then similar.
        let cases: [(&str, Note, bool, bool); 8] = [
            ("nothing", other(|_| {}), true, true),
            ("the message", other(|n| n.message.push('x')), false, true),
            ("the part of the object", other(|n| n.regarding.field_path = Some("spec".to_owned())), false, true),
            ("the reason", other(|n| n.reason = "Other"), false, false),
            ("the type", other(|n| n.kind = NoteType::Warning), false, false),
            ("the uid", other(|n| n.regarding.uid = Some("v".to_owned())), false, false),
            ("the name", other(|n| n.regarding.name = Some("x".to_owned())), false, false),
            ("the kind", other(|n| n.regarding.kind = Some("Pod".to_owned())), false, false),
        ];
        for (what, second, same, similar) in cases {
            let mut correlator = Correlator::default();
            let first = correlator.take(note("u", "m"), at(0)).unwrap().identity;
            let second = correlator.take(second, at(0)).unwrap();
            assert_eq!(second.count == 2, same, "{what}");
            assert_eq!(second.identity.0 == first.0, similar, "{what}");
        }
    }

    #[test]
    fn the_tenth_different_message_and_those_after_it_are_combined() {
        let mut correlator = Correlator::default();
        let mut message = |n: i32, second: i64| correlator.take(note("u", &format!("m{n}")), at(second)).unwrap();
        for n in 0..9 {
            assert_eq!((message(n, 0).note.message, message(n, 0).count), (format!("m{n}"), 2));
        }
        let tenth = message(9, 0);
        assert_eq!((tenth.note.message, tenth.count), (format!("{COMBINED}m9"), 1));
        // Ten minutes after the last one it is still late; a moment later it is a new beginning.
        let late = message(10, 600);
        assert_eq!((late.note.message, late.count), (format!("{COMBINED}m10"), 2));
        assert_eq!(message(11, 1201).note.message, "m11");
    }

    #[test]
    fn an_object_has_an_allowance_and_what_is_held_back_is_counted() {
        let mut correlator = Correlator::default();
        let taken = (0..100).filter_map(|_| correlator.take(note("u", "m"), at(0))).count();
        assert_eq!(taken, 25);
        assert!(correlator.take(note("other", "m"), at(0)).is_some(), "another object has its own");
        assert!(correlator.take(note("u", "m"), at(299)).is_none());
        let late = correlator.take(note("u", "m"), at(301)).expect("one more in five minutes");
        assert_eq!((late.count, late.first), (102, at(0)));
        assert!(correlator.take(note("u", "another"), at(302)).is_none(), "whatever it says");
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut bucket = Bucket::full(1.0, at(1000));
        assert!(bucket.take(1.0, 1.0, at(1000)) && !bucket.take(1.0, 1.0, at(0)));
        assert!(bucket.take(1.0, 1.0, at(1)));
    }
}
