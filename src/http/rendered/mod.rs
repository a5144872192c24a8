//! The bytes of recent events, made once for all who are to be sent the same: whole [`pieces`] for watchers of one subject,
//! and single [`lines`] where watchers of different subjects see the same event in the same form.

mod lines;
mod pieces;

use std::sync::Arc;

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

pub use lines::LineKey;
use lines::Lines;
use pieces::Pieces;
pub use pieces::{Found, Piece, Subject, Watcher};

#[derive(Debug, Default)]
pub struct Rendered {
    lines: Lines,
    pieces: Arc<Pieces>,
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

    /// One more watcher of this subject.
    pub fn watcher(&self, subject: Subject) -> Watcher {
        self.pieces.watcher(subject)
    }

    /// The line of `key`, made by `make` if nobody has.
    pub fn line(&self, key: LineKey, make: impl FnOnce() -> Vec<u8>) -> Bytes {
        if let Some(line) = self.lines.find(&key) {
            self.shared.inc();
            return line;
        }
        // Two who come at once both make it: that costs less than one that waits for the other.
        let line = Bytes::from(make());
        self.made.inc();
        self.lines.keep(key, line.clone());
        line
    }

    /// Counts events that were sent as a piece that another had made.
    pub fn count_shared(&self, events: u64) {
        self.shared.inc_by(events);
    }
}
