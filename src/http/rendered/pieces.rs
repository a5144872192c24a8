//! Pieces: events of one subject put together into bytes, shared by all who watch it.
//!
//! A subject is what a watch asks for, word for word: view, form, namespace, selectors. Who watches the same subject is sent
//! the same bytes, in pieces with the same bounds, so that a thousand watchers who keep up cost one to make them and a
//! thousand times handing them on.
//!
//! ```text
//! events of the kind   ──e──e─────e──e──e────────e──►
//! pieces               (after      end](after    end]     next: made by whoever needs it first
//! a watcher's place       ▲ told                          any place between `after` and the piece's first event will do
//! ```
//!
//! Invariants: a piece has all events after `after` and up to `end` that its subject sees, in order, and no others. So a
//! watcher that has been told everything up to a place before the first of them, and not before `after`, takes it whole and
//! is then at `end`. What is kept is bounded for all subjects together, the oldest goes first, and a subject that nobody
//! watches any more keeps nothing. A watcher that finds none makes its own, up to where the next one begins.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::api::Served;
use crate::http::form::Form;

/// Bytes of pieces kept: some tenths of a second of a busy node.
const KEPT: usize = 8 << 20;
/// What a piece takes beside its bytes, roughly.
const OVERHEAD: usize = 128;
/// Seconds that the ages in a Table may be old: they are told in seconds.
const FRESH: i64 = 1;

/// What a watch asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    pub served: Served,
    pub form: Form,
    /// `None`: all.
    pub namespace: Option<String>,
    /// The selectors as they were written.
    pub labels: String,
    pub fields: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub after: u64,
    pub end: u64,
    pub bytes: Bytes,
    /// How many events the bytes are of; none if the subject sees none of them.
    pub events: u64,
    /// When it was made, where that can be told from it.
    pub second: i64,
}

/// What there is at a watcher's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Piece(Piece),
    /// Nothing up to this revision, at which a piece begins.
    NoneUntil(u64),
}

#[derive(Debug, Default)]
pub struct Pieces(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    subjects: HashMap<Subject, Watched>,
    /// By subject and by the revision of the first event.
    pieces: BTreeMap<(u64, u64), Piece>,
    /// In the order in which they were made.
    order: VecDeque<(u64, u64)>,
    bytes: usize,
    last: u64,
}

#[derive(Debug)]
struct Watched {
    id: u64,
    watchers: usize,
}

/// One watcher of a subject, as long as it is held.
#[derive(Debug)]
pub struct Watcher {
    all: Arc<Pieces>,
    subject: Subject,
    id: u64,
}

impl Pieces {
    pub fn watcher(self: &Arc<Pieces>, subject: Subject) -> Watcher {
        let mut kept = self.0.lock();
        let next = kept.last + 1;
        let watched = kept.subjects.entry(subject.clone()).or_insert(Watched { id: next, watchers: 0 });
        watched.watchers += 1;
        let id = watched.id;
        kept.last = kept.last.max(id);
        Watcher { all: self.clone(), subject, id }
    }
}

impl Watcher {
    /// What there is for a watcher that was told everything up to `told`, in this second.
    pub fn find(&self, told: u64, second: i64) -> Found {
        let kept = self.all.0.lock();
        let next = kept.pieces.range((self.id, told.saturating_add(1))..=(self.id, u64::MAX)).next();
        match next {
            None => Found::NoneUntil(u64::MAX),
            Some((_, piece)) if piece.after > told => Found::NoneUntil(piece.after),
            // Made anew, with the same bounds.
            Some((_, piece)) if piece.second + FRESH < second => Found::NoneUntil(piece.end),
            Some((_, piece)) => Found::Piece(piece.clone()),
        }
    }

    /// Keeps a piece for the others, if there are any. `first` is the revision of the first event after `piece.after`.
    pub fn keep(&self, first: u64, piece: &Piece) {
        let mut kept = self.all.0.lock();
        if kept.subjects.get(&self.subject).is_none_or(|watched| watched.watchers < 2) {
            return;
        }
        kept.bytes += piece.bytes.len() + OVERHEAD;
        match kept.pieces.insert((self.id, first), piece.clone()) {
            Some(other) => kept.bytes -= other.bytes.len() + OVERHEAD,
            None => kept.order.push_back((self.id, first)),
        }
        while kept.bytes > KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.forget(oldest);
        }
    }
}

impl Kept {
    fn forget(&mut self, place: (u64, u64)) {
        if let Some(piece) = self.pieces.remove(&place) {
            self.bytes -= piece.bytes.len() + OVERHEAD;
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut kept = self.all.0.lock();
        let Some(watched) = kept.subjects.get_mut(&self.subject) else { return };
        watched.watchers -= 1;
        if watched.watchers > 0 {
            return;
        }
        kept.subjects.remove(&self.subject);
        let places: Vec<(u64, u64)> =
            kept.pieces.range((self.id, 0)..=(self.id, u64::MAX)).map(|(place, _)| *place).collect();
        if !places.is_empty() {
            places.into_iter().for_each(|place| kept.forget(place));
            kept.order.retain(|(id, _)| *id != self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Kind;
    use proptest::prelude::*;

    fn subject(labels: &str) -> Subject {
        let served = Served::Stored(Kind::Pod);
        Subject { served, form: Form::Object, namespace: None, labels: labels.to_owned(), fields: String::new() }
    }

    fn piece(after: u64, end: u64) -> Piece {
        Piece { after, end, bytes: Bytes::from(format!("{after}-{end}")), events: 1, second: 0 }
    }

    #[test]
    fn a_piece_is_for_those_whose_place_is_before_its_first_event() {
        let all = Arc::new(Pieces::default());
        let (one, _other) = (all.watcher(subject("")), all.watcher(subject("")));
        one.keep(12, &piece(10, 20));
        for told in [10, 11] {
            assert_eq!(one.find(told, 0), Found::Piece(piece(10, 20)));
        }
        assert_eq!(one.find(9, 0), Found::NoneUntil(10), "something may be missing before it");
        for told in [12, 20] {
            assert_eq!(one.find(told, 0), Found::NoneUntil(u64::MAX), "it has been told some of it");
        }
        // Who is in the middle goes on to where the next begins.
        one.keep(25, &piece(20, 30));
        assert_eq!(one.find(12, 0), Found::NoneUntil(20));
        assert_eq!(one.find(20, 0), Found::Piece(piece(20, 30)));
        assert_eq!(one.find(u64::MAX, 0), Found::NoneUntil(u64::MAX));
    }

    #[test]
    fn nobody_is_sent_what_another_asked_for() {
        let all = Arc::new(Pieces::default());
        let watchers: Vec<Watcher> = ["a", "a", "b", "b"].map(|labels| all.watcher(subject(labels))).into();
        watchers[0].keep(2, &piece(1, 2));
        assert_eq!(watchers[1].find(1, 0), Found::Piece(piece(1, 2)));
        assert_eq!(watchers[2].find(1, 0), Found::NoneUntil(u64::MAX));
    }

    #[test]
    fn ages_are_not_told_long_after() {
        let all = Arc::new(Pieces::default());
        let (one, _other) = (all.watcher(subject("")), all.watcher(subject("")));
        one.keep(2, &Piece { second: 100, ..piece(1, 5) });
        assert!(matches!(one.find(1, 101), Found::Piece(_)));
        assert_eq!(one.find(1, 102), Found::NoneUntil(5));
        let anew = Piece { second: 102, ..piece(1, 5) };
        one.keep(2, &anew);
        assert_eq!(one.find(1, 102), Found::Piece(anew));
        assert_eq!(all.0.lock().bytes, piece(1, 5).bytes.len() + OVERHEAD, "the older is forgotten");
    }

    #[test]
    fn what_is_kept_is_bounded_and_goes_with_those_who_want_it() {
        let all = Arc::new(Pieces::default());
        let alone = all.watcher(subject(""));
        alone.keep(2, &piece(1, 2));
        assert!(all.0.lock().pieces.is_empty(), "for nobody else");
        let (other, third) = (all.watcher(subject("")), all.watcher(subject("x")));
        for n in 0..100 {
            let bytes = Bytes::from(vec![0; KEPT / 10]);
            other.keep(n + 1, &Piece { bytes, ..piece(n, n + 1) });
        }
        {
            let kept = all.0.lock();
            assert_eq!((kept.pieces.len(), kept.order.len()), (9, 9));
            assert!(kept.bytes <= KEPT && kept.pieces.contains_key(&(other.id, 100)));
        }
        drop((alone, other));
        {
            let kept = all.0.lock();
            assert_eq!((kept.pieces.len(), kept.order.len(), kept.bytes, kept.subjects.len()), (0, 0, 0, 1));
        }
        drop(third);
        assert!(all.0.lock().subjects.is_empty());
    }

    proptest! {
        /// Watchers who begin anywhere and go on at any pace are told every event once and in order, however pieces lie.
        #[test]
        fn everybody_is_told_everything_once(
            revisions in proptest::collection::btree_set(1_u64..200, 0..60),
            steps in proptest::collection::vec((0_usize..5, 0_u64..220, 1_usize..6), 0..200),
        ) {
            let all = Arc::new(Pieces::default());
            let watchers: Vec<Watcher> = (0..5).map(|_| all.watcher(subject(""))).collect();
            let begun = [0, 0, 7, 90, 150];
            let mut told = begun;
            let mut heard: [Vec<u64>; 5] = Default::default();
            let steps = steps.into_iter().chain((0..5).flat_map(|n| (0..200).map(move |_| (n, 220, 3))));
            for (n, durable, most) in steps {
                match watchers[n].find(told[n], 0) {
                    Found::Piece(piece) => {
                        heard[n].extend(piece.bytes.iter().map(|b| u64::from(*b)));
                        told[n] = piece.end;
                    }
                    Found::NoneUntil(limit) => {
                        let until = limit.min(durable);
                        let there = revisions.iter().copied().filter(|r| (told[n] + 1..=until).contains(r));
                        let some: Vec<u64> = there.take(most).collect();
                        if let (Some(&first), Some(&end)) = (some.first(), some.last()) {
                            let bytes: Vec<u8> = some.iter().map(|r| *r as u8).collect();
                            heard[n].extend(some);
                            let piece = Piece { after: told[n], end, bytes: bytes.into(), events: 1, second: 0 };
                            watchers[n].keep(first, &piece);
                            told[n] = end;
                        } else {
                            told[n] = told[n].max(until);
                        }
                    }
                }
            }
            for n in 0..5 {
                let all: Vec<u64> = revisions.iter().copied().filter(|r| *r > begun[n]).collect();
                prop_assert_eq!(&heard[n], &all);
            }
        }
    }
}
