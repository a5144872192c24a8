//! The lines of recent events as watchers are sent them, so that a thousand watchers of one kind in one form have each
//! event put into bytes once and not a thousand times.
//!
//! A line is decided by the event's revision (of which there is one per object and change), by what the watcher sees of it
//! (added, modified, deleted) and by the form; a row of a Table also by the second, because it tells an age. Lines beyond
//! a fixed number of bytes are forgotten, the oldest first: whoever is so far behind makes them anew.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::form::Form;
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
struct Lines {
    by_key: HashMap<LineKey, Bytes>,
    order: VecDeque<LineKey>,
    bytes: usize,
}

#[derive(Debug, Default)]
pub struct Rendered {
    lines: Mutex<Lines>,
    made: Counter,
    shared: Counter,
}

impl Rendered {
    pub fn register(registry: &mut Registry) -> Rendered {
        let rendered = Rendered::default();
        let (made, shared) = (rendered.made.clone(), rendered.shared.clone());
        registry.register("kiln_watch_lines_made", "Events put into bytes for watchers", made);
        registry.register("kiln_watch_lines_shared", "Events sent to watchers in bytes that another had made", shared);
        rendered
    }

    /// The line of `key`, made by `make` if nobody has.
    pub fn line(&self, key: LineKey, make: impl FnOnce() -> Vec<u8>) -> Bytes {
        if let Some(line) = self.lines.lock().by_key.get(&key) {
            self.shared.inc();
            return line.clone();
        }
        // Two who come at once both make it: that costs less than one that waits for the other.
        let line = Bytes::from(make());
        self.made.inc();
        self.lines.lock().keep(key, line.clone());
        line
    }
}

impl Lines {
    fn keep(&mut self, key: LineKey, line: Bytes) {
        self.bytes += line.len();
        if let Some(other) = self.by_key.insert(key, line) {
            self.bytes -= other.len();
        } else {
            self.order.push_back(key);
        }
        while self.bytes > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.by_key.remove(&oldest).map_or(0, |line| line.len());
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
    fn a_line_is_made_once_for_all_who_want_it_in_one_form() {
        let rendered = Rendered::default();
        let line = |key| rendered.line(key, || format!("{key:?}").into_bytes());
        assert_eq!(line(key(1)), line(key(1)));
        assert_eq!((rendered.made.get(), rendered.shared.get()), (1, 1));
        for other in [
            key(2),
            LineKey { change: Change::Deleted, ..key(1) },
            LineKey { form: Form::Metadata, ..key(1) },
            LineKey { second: 7, ..key(1) },
        ] {
            assert_ne!(line(other), line(key(1)));
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_newest_stay() {
        let rendered = Rendered::default();
        for revision in 0..100 {
            rendered.line(key(revision), || vec![0; KEPT / 10]);
        }
        let lines = rendered.lines.lock();
        assert_eq!((lines.by_key.len(), lines.order.len(), lines.bytes), (10, 10, 10 * (KEPT / 10)));
        assert!(lines.by_key.contains_key(&key(99)) && !lines.by_key.contains_key(&key(89)));
    }
}
