//! The lines of recent events as watchers are sent them, so that watchers of one kind in one form have each event put into
//! bytes once, whatever they select.
//!
//! A line is decided by the event's revision (of which there is one per object and change), by what the watcher sees of it
//! (added, modified, deleted) and by the form; a row of a Table also by the second, because it tells an age. Lines beyond
//! a fixed number of bytes are forgotten, the oldest first: whoever is so far behind makes them anew.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::http::form::Form;
use crate::store::Change;

/// Bytes of lines kept. Watchers that keep up are within milliseconds of each other; a busy node makes some ten megabytes
/// of lines a second in each form.
const KEPT: usize = 8 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LineKey {
    pub revision: u64,
    pub change: Change,
    pub form: Form,
    /// Of the age that a Table tells; 0 in other forms.
    pub second: i64,
}

#[derive(Debug, Default)]
pub struct Lines(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_key: HashMap<LineKey, Bytes>,
    order: VecDeque<LineKey>,
    bytes: usize,
}

impl Lines {
    pub fn find(&self, key: &LineKey) -> Option<Bytes> {
        self.0.lock().by_key.get(key).cloned()
    }

    pub fn keep(&self, key: LineKey, line: Bytes) {
        let mut kept = self.0.lock();
        kept.bytes += line.len();
        if let Some(other) = kept.by_key.insert(key, line) {
            kept.bytes -= other.len();
        } else {
            kept.order.push_back(key);
        }
        while kept.bytes > KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.bytes -= kept.by_key.remove(&oldest).map_or(0, |line| line.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(revision: u64) -> LineKey {
        LineKey { revision, change: Change::Added, form: Form::Object, second: 0 }
    }

    #[test]
    fn a_line_is_of_one_event_in_one_form() {
        let lines = Lines::default();
        lines.keep(key(1), Bytes::from_static(b"one"));
        assert_eq!(lines.find(&key(1)).as_deref(), Some(&b"one"[..]));
        for other in [
            key(2),
            LineKey { change: Change::Deleted, ..key(1) },
            LineKey { form: Form::Metadata, ..key(1) },
            LineKey { second: 7, ..key(1) },
        ] {
            assert_eq!(lines.find(&other), None);
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_newest_stay() {
        let lines = Lines::default();
        for revision in 0..100 {
            lines.keep(key(revision), vec![0; KEPT / 10].into());
        }
        let kept = lines.0.lock();
        assert_eq!((kept.by_key.len(), kept.order.len(), kept.bytes), (10, 10, 10 * (KEPT / 10)));
        assert!(kept.by_key.contains_key(&key(99)) && !kept.by_key.contains_key(&key(89)));
    }
}
