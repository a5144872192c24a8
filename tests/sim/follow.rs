//! A watcher that reads seldom: it must see each event once and in order, or be told that it is too late.

use std::collections::BTreeMap;

use kiln::api::{Key, Kind, Object};
use kiln::store::{Change, Event, Store, Visibility, Watch};

pub struct Follower {
    watch: Watch,
    seen: BTreeMap<Key, Object>,
}

fn listed(store: &Store, kind: Kind) -> BTreeMap<Key, Object> {
    store.list(kind, None).objects.into_iter().map(|o| (o.key(), o)).collect()
}

impl Follower {
    pub fn new(store: &Store, kind: Kind) -> Follower {
        let (listing, watch) = store.list_and_watch(kind);
        Follower { watch, seen: listing.objects.into_iter().map(|o| (o.key(), o)).collect() }
    }

    /// Reads all there is. Then it knows what the store holds.
    pub fn read(&mut self, store: &Store) -> &'static str {
        let mut told = "reads on";
        loop {
            let cursor = self.watch.cursor();
            match self.watch.try_next() {
                Ok(events) if events.is_empty() => break,
                Ok(events) => events.iter().fold(cursor, |last, event| self.take(last, event)),
                Err(expired) => {
                    assert!(expired.asked < expired.oldest, "{expired}");
                    *self = Follower::new(store, self.watch.kind());
                    told = "is too late and lists anew";
                    continue;
                }
            };
        }
        assert!(self.seen == listed(store, self.watch.kind()), "a watcher of {:?} missed something", self.watch.kind());
        told
    }

    fn take(&mut self, last: u64, event: &Event) -> u64 {
        let key = event.object.key();
        assert!(event.revision > last, "{} comes after {last}", event.revision);
        assert_eq!(event.object.revision(), event.revision);
        let before = self.seen.get(&key);
        assert_eq!(event.old.as_ref(), before, "what {key} was before");
        match event.change {
            Change::Added => assert!(before.is_none(), "{key} is added twice"),
            Change::Modified | Change::Deleted => assert!(before.is_some(), "{key} was never added"),
        }
        match event.change {
            Change::Deleted => self.seen.remove(&key),
            _ => self.seen.insert(key, event.object.clone()),
        };
        event.revision
    }
}

/// A client: it is told only what no crash can take back.
pub struct Client {
    kind: Kind,
    cursor: u64,
    seen: BTreeMap<Key, u64>,
}

impl Client {
    pub fn new(kind: Kind) -> Client {
        Client { kind, cursor: 0, seen: BTreeMap::new() }
    }

    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Takes in all that is durable; nothing is on its way to the disk.
    pub fn read(&mut self, store: &Store) {
        let mut watch = store.watch(self.kind, self.cursor, Visibility::Durable);
        loop {
            match watch.try_next() {
                Ok(events) if events.is_empty() => break,
                Ok(events) => {
                    for event in events {
                        let key = event.object.key();
                        match event.change {
                            Change::Deleted => self.seen.remove(&key),
                            _ => self.seen.insert(key, event.revision),
                        };
                    }
                }
                Err(_) => {
                    let listing = store.list(self.kind, None);
                    self.seen = listing.objects.iter().map(|o| (o.key(), o.revision())).collect();
                    watch = store.watch(self.kind, listing.revision, Visibility::Durable);
                }
            }
        }
        self.cursor = watch.cursor();
        let stored: BTreeMap<Key, u64> =
            store.list(self.kind, None).objects.iter().map(|o| (o.key(), o.revision())).collect();
        assert_eq!(self.seen, stored, "what a client knows of {:?}", self.kind);
    }
}
