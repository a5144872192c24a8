//! Which module a name and a tag mean. Tags move: a push under a name that is taken gives it another digest.
//!
//! The names are in memory, and in the store as side records: `module 0 NAME 0 TAG`, of a small JSON. A name is seen
//! by everyone in this process once it is put, and survives a crash once its revision is durable.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::blobs::{BlobError, Blobs};
use super::digest::Digest;
use super::reference::Reference;
use crate::store::{CommitError, DiskFailed, Store, Tx};

const SPACE: &[u8] = b"module\0";

/// Records read at once while the names are loaded.
const PAGE: usize = 1_000;

/// The names of modules. Cheap to clone; clones share the names.
#[derive(Clone)]
pub struct Index(Arc<Inner>);

struct Inner {
    store: Store,
    blobs: Blobs,
    /// By name and tag.
    names: RwLock<BTreeMap<(String, String), Named>>,
    changes: watch::Sender<u64>,
}

/// What a name and a tag mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    pub pushed: Timestamp,
}

/// A row of [`Index::list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub tag: String,
    pub module: Named,
}

/// Why the modules of a directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Blobs(#[from] BlobError),
    #[error("cannot read the names of modules: {0}")]
    Names(#[from] DiskFailed),
    #[error("the record of the module name `{key}` makes no sense; it may be of another version of kiln: {detail}")]
    Record { key: String, detail: String },
}

/// What is stored.
#[derive(Serialize, Deserialize)]
struct Record {
    digest: String,
    size: u64,
    pushed: String,
}

impl Index {
    /// Loads the names. Blocks on the disk, briefly.
    pub fn open(store: Store, blobs: Blobs) -> Result<Index, OpenError> {
        let mut names = BTreeMap::new();
        let mut from = SPACE.to_vec();
        loop {
            let page = store.side_records(SPACE, &from, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            from = [last, &[0][..]].concat();
            for (key, value) in page {
                let (name, module) = decode(&key, &value)
                    .map_err(|detail| OpenError::Record { key: String::from_utf8_lossy(&key).into_owned(), detail })?;
                names.insert(name, module);
            }
        }
        let (names, changes) = (RwLock::new(names), watch::Sender::new(0));
        Ok(Index(Arc::new(Inner { store, blobs, names, changes })))
    }

    /// The module that an image field means, if it is here. A digest decides alone, whatever name stands before it; it
    /// is looked for on disk (one `stat`).
    pub fn resolve(&self, reference: &Reference) -> Option<Digest> {
        match reference.digest {
            Some(digest) => matches!(self.0.blobs.size(digest), Ok(Some(_))).then_some(digest),
            None => self.get(reference).map(|module| module.digest),
        }
    }

    /// Whether there are bytes of this digest.
    pub fn has(&self, digest: Digest) -> bool {
        matches!(self.0.blobs.size(digest), Ok(Some(_)))
    }

    /// What the name and tag mean, whatever digest stands behind them; nothing without a tag.
    pub fn get(&self, reference: &Reference) -> Option<Named> {
        self.0.names.read().get(&key(reference)?).copied()
    }

    /// All names, in order of name and tag.
    pub fn list(&self) -> Vec<Listed> {
        let names = self.0.names.read();
        let listed = |((name, tag), module): (&(String, String), &Named)| Listed {
            name: name.clone(),
            tag: tag.clone(),
            module: *module,
        };
        names.iter().map(listed).collect()
    }

    /// Lets the name and tag mean this module from now on, and wakes who waits. A reference without a tag names
    /// nothing, and only wakes. Returns the revision with which it is on disk: see [`Store::durable`].
    pub fn put(&self, reference: &Reference, digest: Digest, size: u64, now: Timestamp) -> Result<u64, CommitError> {
        let module = Named { digest, size, pushed: now };
        let revision = match key(reference) {
            Some(key) => {
                let mut tx = Tx::new();
                tx.put_side(record_key(&key), encode(&module));
                // Under the lock, so that the last to name is the last on disk.
                let mut names = self.0.names.write();
                let committed = self.0.store.commit(tx)?;
                names.insert(key, module);
                committed.revision
            }
            None => self.0.store.revision(),
        };
        self.0.changes.send_modify(|changes| *changes += 1);
        Ok(revision)
    }

    /// Changes with each [`Index::put`]. Subscribe first, then resolve: then no change is missed.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }
}

fn key(reference: &Reference) -> Option<(String, String)> {
    Some((reference.name.clone(), reference.tag.clone()?))
}

/// Neither names nor tags have a zero byte in them.
fn record_key((name, tag): &(String, String)) -> Vec<u8> {
    [SPACE, name.as_bytes(), &[0], tag.as_bytes()].concat()
}

fn encode(module: &Named) -> Bytes {
    let Named { digest, size, pushed } = module;
    let record = Record { digest: digest.to_string(), size: *size, pushed: pushed.to_string() };
    // Text and a number are always JSON.
    serde_json::to_vec(&record).unwrap_or_default().into()
}

fn decode(key: &[u8], value: &[u8]) -> Result<((String, String), Named), String> {
    let name = key.strip_prefix(SPACE).and_then(|key| std::str::from_utf8(key).ok()?.split_once('\0'));
    let (name, tag) = name.ok_or("the key is not a name and a tag")?;
    let record: Record = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    let digest = record.digest.parse().map_err(|error: super::digest::DigestError| error.to_string())?;
    let pushed = record.pushed.parse().map_err(|error: jiff::Error| error.to_string())?;
    Ok(((name.to_owned(), tag.to_owned()), Named { digest, size: record.size, pushed }))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Directory(tempfile::TempDir);

    impl Directory {
        fn new() -> Directory {
            Directory(tempfile::tempdir().unwrap())
        }

        fn open(&self) -> (Store, Blobs, Index) {
            let store = Store::open(&self.0.path().join("store"), 16).unwrap();
            let blobs = Blobs::open(self.0.path()).unwrap();
            let index = Index::open(store.clone(), blobs.clone()).unwrap();
            (store, blobs, index)
        }
    }

    fn reference(text: &str) -> Reference {
        text.parse().unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn names_survive_a_restart_and_the_last_to_name_wins() {
        let directory = Directory::new();
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        {
            let (store, _, index) = directory.open();
            index.put(&reference("pi"), one, 1, at(1)).unwrap();
            index.put(&reference("docker.io/library/x:1.29"), one, 1, at(2)).unwrap();
            let revision = index.put(&reference("pi:latest"), two, 1, at(3)).unwrap();
            store.durable(revision).await.unwrap();
            store.close();
        }
        let (_, _, index) = directory.open();
        assert_eq!(index.resolve(&reference("pi")), Some(two));
        assert_eq!(index.resolve(&reference("docker.io/library/x:1.29")), Some(one));
        let named = |name: &str, tag: &str, digest, second| Listed {
            name: name.to_owned(),
            tag: tag.to_owned(),
            module: Named { digest, size: 1, pushed: at(second) },
        };
        assert_eq!(index.list(), [named("docker.io/library/x", "1.29", one, 2), named("pi", "latest", two, 3)]);
    }

    #[test]
    fn a_reference_is_resolved_by_tag_or_by_digest_alone() {
        let directory = Directory::new();
        let (_, blobs, index) = directory.open();
        let digest = blobs.put(b"1").unwrap();
        let absent = Digest::of(b"absent");
        index.put(&reference("pi:a"), digest, 1, at(1)).unwrap();
        for (text, expected) in [
            ("pi:a".to_owned(), Some(digest)),
            ("pi".to_owned(), None),
            ("tools/pi:a".to_owned(), None),
            (format!("pi@{digest}"), Some(digest)),
            (format!("other:b@{digest}"), Some(digest)),
            (format!("pi:a@{absent}"), None),
        ] {
            assert_eq!(index.resolve(&reference(&text)), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn who_waits_for_a_name_is_woken() {
        let directory = Directory::new();
        let (_, _, index) = directory.open();
        let mut changed = index.changed();
        index.put(&reference("pi"), Digest::of(b"1"), 1, at(1)).unwrap();
        assert!(changed.has_changed().unwrap());
        changed.changed().await.unwrap();
        assert!(!changed.has_changed().unwrap());
    }

    #[test]
    fn more_names_than_a_page_are_all_loaded() {
        let directory = Directory::new();
        {
            let (store, _, index) = directory.open();
            for n in 0..PAGE + 3 {
                index.put(&reference(&format!("pi:{n}")), Digest::of(b"1"), 1, at(1)).unwrap();
            }
            store.close();
        }
        assert_eq!(directory.open().2.list().len(), PAGE + 3);
    }
}
