//! The disk: sled behind one committer thread.
//!
//! Commits line up in *epochs*. Within an epoch the versions of one object fold into the last; an epoch is written as
//! one sled batch, flushed, and synced, and only then does the durable revision move past it. While the committer
//! writes one epoch the next one fills, so the number of flushes follows the disk and not the number of commits.
//!
//! What is known of sled 0.34.7 and dealt with here: each batch seals an I/O buffer, hence one batch per epoch;
//! `flush` is `sync_file_range`, which does not outlive a power cut, hence the `sync_data` on a descriptor of our own; files
//! beside its log are not synced at all, hence [`Blobs`]; a snapshot file that a crash left half-written makes `open`
//! fail, hence [`Disk::open`] removes those first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::watch as signal;

use super::blobs::Blobs;
use super::metrics::Metrics;
use super::record;
use super::tx::Side;
use super::{DiskFailed, Durability};
use crate::api::{Key, Kind, Object};
use crate::clock::Clock;

/// An epoch this large is closed, so that no batch and no flush grows without bound. Measured: up to 512 operations
/// per batch the cost per operation falls, beyond that it no longer does.
const EPOCH_WRITES: usize = 512;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot use {path} for the store: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} is in use by another kiln: stop it, or choose another --data-dir")]
    Locked { path: PathBuf },
    #[error(
        "the store in {path} is damaged: {detail}. Nothing was changed. Restore the directory from a copy, or move it \
         away to start with an empty one"
    )]
    Damaged { path: PathBuf, detail: String },
    #[error("{path} holds a store of format {found:?}, this kiln reads {expected:?}: use the kiln that wrote it")]
    Format { path: PathBuf, found: String, expected: String },
}

/// What was on disk at the start.
pub struct Loaded {
    pub objects: Vec<Object>,
    pub revision: u64,
}

pub struct Disk {
    db: sled::Db,
    /// Our own descriptor of sled's file, for `sync_data`.
    file: File,
    blobs: Mutex<Blobs>,
    /// Whether all this is gone with the process: then nothing waits for the disk.
    is_temporary: bool,
    /// Holds up the committer, to play a slow disk.
    #[cfg(test)]
    pub held: Mutex<()>,
}

impl Disk {
    pub fn open(dir: &Path, is_temporary: bool) -> Result<(Disk, Loaded), OpenError> {
        let io = |source| OpenError::Io { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(io)?;
        remove_half_snapshots(dir).map_err(io)?;
        let db = match open_once_free(dir) {
            // Snapshots only speed up the opening: without them sled reads its whole log.
            Err(OpenError::Damaged { .. }) if set_snapshots_aside(dir).map_err(io)? => open_sled(dir)?,
            other => other?,
        };
        let file = File::open(dir.join("db")).map_err(io)?;
        if !is_temporary {
            // What sled creates when it opens must be found after a power cut.
            file.sync_all().and_then(|()| File::open(dir)?.sync_all()).map_err(io)?;
        }
        let loaded = load(dir, &db)?;
        let mut blobs = Blobs::new(dir);
        // Those that an earlier process left are told to nobody again before they are on disk.
        blobs.sync().map_err(io)?;
        let disk = Disk {
            db,
            file,
            blobs: Mutex::new(blobs),
            is_temporary,
            #[cfg(test)]
            held: Mutex::default(),
        };
        Ok((disk, loaded))
    }

    pub fn is_temporary(&self) -> bool {
        self.is_temporary
    }

    fn write(&self, epoch: Epoch) -> Result<(), DiskFailed> {
        #[cfg(test)]
        let _held = self.held.lock();
        let failed = |e: &dyn std::fmt::Display| DiskFailed(e.to_string());
        let mut batch = sled::Batch::default();
        for ((kind, key), object) in &epoch.objects {
            let stored_under = record::object_key(*kind, key);
            match object {
                Some(object) => batch.insert(stored_under, record::seal(&object.to_json())),
                None => batch.remove(stored_under),
            }
        }
        let mut sides = epoch.sides;
        for prefix in &epoch.deleted_prefixes {
            for found in self.db.scan_prefix(record::side_key(prefix)).keys() {
                let key = found.map_err(|e| failed(&e))?;
                sides.entry(key[1..].to_vec()).or_insert(None);
            }
        }
        for (key, value) in sides {
            match value {
                Some(value) => batch.insert(record::side_key(&key), record::seal(&value)),
                None => batch.remove(record::side_key(&key)),
            }
        }
        batch.insert(record::REVISION_KEY, record::seal(&epoch.revision.to_be_bytes()));
        self.db.apply_batch(batch).map_err(|e| failed(&e))?;
        if self.is_temporary {
            return Ok(());
        }
        self.blobs.lock().sync().map_err(|e| failed(&e))?;
        self.db.flush().map_err(|e| failed(&e))?;
        self.file.sync_data().map_err(|e| failed(&e))
    }

    pub fn side_records(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Bytes)>, sled::Error> {
        let (prefix, from) = (record::side_key(prefix), record::side_key(from));
        let mut records = Vec::new();
        for found in self.db.range(from.max(prefix.clone())..).take(limit) {
            let (key, value) = found?;
            if !key.starts_with(&prefix) {
                break;
            }
            let payload = record::unseal(&value).ok_or_else(|| {
                sled::Error::Io(io::Error::new(io::ErrorKind::InvalidData, "a record fails its checksum"))
            })?;
            records.push((key[1..].to_vec(), Bytes::copy_from_slice(payload)));
        }
        Ok(records)
    }
}

/// A store that was closed a moment ago may still be held: by a process that is ending, or by sled's own threads.
const HELD_FOR: Duration = Duration::from_secs(3);

fn open_once_free(dir: &Path) -> Result<sled::Db, OpenError> {
    let pause = Duration::from_millis(20);
    for _ in 0..HELD_FOR.as_millis() / pause.as_millis() {
        match open_sled(dir) {
            Err(OpenError::Locked { .. }) => std::thread::park_timeout(pause),
            other => return other,
        }
    }
    open_sled(dir)
}

fn open_sled(dir: &Path) -> Result<sled::Db, OpenError> {
    // A side effect of a damaged file must not be a panic of ours.
    let opened = catch_unwind(|| sled::Config::new().path(dir).flush_every_ms(None).use_compression(false).open());
    let path = dir.to_owned();
    match opened {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(sled::Error::Io(e))) if e.to_string().contains("could not acquire lock") => {
            Err(OpenError::Locked { path })
        }
        Ok(Err(sled::Error::Io(source))) => Err(OpenError::Io { path, source }),
        Ok(Err(e)) => Err(OpenError::Damaged { path, detail: e.to_string() }),
        Err(_) => Err(OpenError::Damaged { path, detail: "sled panicked while opening it".to_owned() }),
    }
}

/// A snapshot is written as `snap.*.generating` and then renamed; one that still bears that name is half-written, and
/// sled 0.34.7 would read it as damage (spacejam/sled#1527).
fn remove_half_snapshots(dir: &Path) -> io::Result<()> {
    for path in snapshots(dir)? {
        if path.extension().is_some_and(|e| e == "generating") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Renames the snapshots so that sled does not see them; false if there were none.
fn set_snapshots_aside(dir: &Path) -> io::Result<bool> {
    let mut any = false;
    for path in snapshots(dir)? {
        if let Some(name) = path.file_name().and_then(|n| n.to_str()) {
            std::fs::rename(&path, dir.join(format!("aside.{name}")))?;
            any = true;
        }
    }
    Ok(any)
}

fn snapshots(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn load(dir: &Path, db: &sled::Db) -> Result<Loaded, OpenError> {
    // Reading, too, can trip over damage deep inside sled.
    let read = catch_unwind(AssertUnwindSafe(|| read_all(dir, db)));
    let detail = "sled panicked while reading it".to_owned();
    read.unwrap_or(Err(OpenError::Damaged { path: dir.to_owned(), detail }))
}

fn read_all(dir: &Path, db: &sled::Db) -> Result<Loaded, OpenError> {
    let path = || dir.to_owned();
    let damaged = |detail: String| OpenError::Damaged { path: path(), detail };
    let sled_error = |e: sled::Error| OpenError::Damaged { path: path(), detail: e.to_string() };
    match db.get(record::FORMAT_KEY).map_err(sled_error)? {
        Some(found) if found == record::FORMAT => {}
        Some(found) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            return Err(OpenError::Format { path: path(), found: text(&found), expected: text(record::FORMAT) });
        }
        None if db.is_empty() => {
            db.insert(record::FORMAT_KEY, record::FORMAT).and_then(|_| db.flush()).map_err(sled_error)?;
        }
        None => return Err(damaged("it has records but no format version".to_owned())),
    }
    let mut revision = match db.get(record::REVISION_KEY).map_err(sled_error)? {
        None => 0,
        Some(value) => record::unseal(&value)
            .and_then(|bytes| bytes.try_into().ok())
            .map(u64::from_be_bytes)
            .ok_or_else(|| damaged("the record of its revision fails its checksum".to_owned()))?,
    };
    let mut objects = Vec::new();
    for found in db.scan_prefix([record::OBJECT]) {
        let (key, value) = found.map_err(sled_error)?;
        let name = || String::from_utf8_lossy(&key[1..]).replace('\0', " ");
        let kind = record::kind_of(&key)
            .ok_or_else(|| damaged(format!("{} is of a kind that this kiln does not serve", name())))?;
        let payload =
            record::unseal(&value).ok_or_else(|| damaged(format!("the record of {} fails its checksum", name())))?;
        let object = Object::from_json(kind, payload)
            .map_err(|e| damaged(format!("the record of {} cannot be read: {e}", name())))?;
        revision = revision.max(object.revision());
        objects.push(object);
    }
    Ok(Loaded { objects, revision })
}

/// What is written at once.
#[derive(Default)]
struct Epoch {
    /// When each of its commits was made.
    begun: Vec<Instant>,
    objects: BTreeMap<(Kind, Key), Option<Object>>,
    sides: BTreeMap<Vec<u8>, Option<Bytes>>,
    deleted_prefixes: Vec<Vec<u8>>,
    revision: u64,
}

impl Epoch {
    fn writes(&self) -> usize {
        self.objects.len() + self.sides.len() + self.deleted_prefixes.len()
    }
}

#[derive(Default)]
struct Queue {
    epochs: VecDeque<Epoch>,
    /// When the oldest commit of the epoch that is being written was made.
    writing: Option<Instant>,
    closing: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    /// Only to say how long things take: nothing is decided by it.
    clock: Clock,
}

/// Who learns that an epoch is on disk.
pub struct Told {
    pub durable: signal::Sender<Durability>,
    pub of_kinds: Arc<Vec<signal::Sender<u64>>>,
    pub metrics: Metrics,
}

/// The one thread that writes.
pub struct Committer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    pub fn start(disk: Arc<Disk>, told: Told) -> Result<Committer, OpenError> {
        let shared = Arc::new(Shared { queue: Mutex::default(), filled: Condvar::new(), clock: Clock::real() });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new()
            .name("kiln-committer".to_owned())
            .spawn(move || run(&theirs, &disk, &told))
            .map_err(|source| OpenError::Io { path: PathBuf::from("the committer thread"), source })?;
        Ok(Committer { shared, thread: Mutex::new(Some(thread)) })
    }

    /// The place in the queue for one transaction. Held while the store's state is, so that both have one order.
    pub fn begin(&self) -> Batch<'_> {
        let mut queue = self.shared.queue.lock();
        if queue.epochs.back().is_none_or(|e| e.writes() >= EPOCH_WRITES) {
            queue.epochs.push_back(Epoch::default());
        }
        if let Some(epoch) = queue.epochs.back_mut() {
            epoch.begun.push(self.shared.clock.instant());
        }
        Batch { queue, filled: &self.shared.filled }
    }

    /// How long the oldest commit that is not on disk has waited.
    pub fn oldest_unflushed(&self) -> Option<Duration> {
        let queue = self.shared.queue.lock();
        let oldest = queue.writing.or_else(|| queue.epochs.front()?.begun.first().copied())?;
        Some(self.shared.clock.instant().saturating_duration_since(oldest))
    }

    /// Commits that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.shared.queue.lock().epochs.iter().map(|epoch| epoch.begun.len()).sum()
    }

    pub fn close(&self) {
        self.shared.queue.lock().closing = true;
        self.shared.filled.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            // It ends by itself; a panic in it has been reported as a failed disk.
            let _ = thread.join();
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.close();
    }
}

/// One transaction on its way into the current epoch.
pub struct Batch<'a> {
    queue: MutexGuard<'a, Queue>,
    filled: &'a Condvar,
}

impl Batch<'_> {
    fn epoch(&mut self) -> &mut Epoch {
        let queue = &mut self.queue.epochs;
        if queue.is_empty() {
            queue.push_back(Epoch::default());
        }
        let last = queue.len() - 1;
        &mut queue[last]
    }

    pub fn put(&mut self, kind: Kind, key: Key, object: Object) {
        self.epoch().objects.insert((kind, key), Some(object));
    }

    pub fn remove(&mut self, kind: Kind, key: Key) {
        self.epoch().objects.insert((kind, key), None);
    }

    pub fn side(&mut self, side: Side) {
        let epoch = self.epoch();
        match side {
            Side::Put(key, value) => {
                epoch.sides.insert(key, Some(value));
            }
            Side::DeletePrefix(prefix) => {
                let from = prefix.clone();
                for (_, value) in epoch.sides.range_mut(from..).take_while(|(key, _)| key.starts_with(&prefix)) {
                    *value = None;
                }
                epoch.deleted_prefixes.push(prefix);
            }
        }
    }

    pub fn end(mut self, revision: u64) {
        self.epoch().revision = revision;
        self.filled.notify_one();
    }
}

fn run(shared: &Shared, disk: &Disk, told: &Told) {
    loop {
        let mut epoch = {
            let mut queue = shared.queue.lock();
            loop {
                match queue.epochs.pop_front() {
                    Some(epoch) => {
                        queue.writing = epoch.begun.first().copied();
                        break epoch;
                    }
                    None if queue.closing => return,
                    None => shared.filled.wait(&mut queue),
                }
            }
        };
        let revision = epoch.revision;
        let begun = std::mem::take(&mut epoch.begun);
        let kinds: BTreeSet<Kind> = epoch.objects.keys().map(|(kind, _)| *kind).collect();
        let started = shared.clock.instant();
        let written = catch_unwind(AssertUnwindSafe(|| disk.write(epoch)))
            .unwrap_or_else(|_| Err(DiskFailed("sled panicked while writing".to_owned())));
        match written {
            Ok(()) => {
                told.durable.send_modify(|d| d.revision = d.revision.max(revision));
                // After that, so that whoever is woken for its kind finds it.
                for kind in kinds {
                    told.of_kinds[kind as usize].send_replace(revision);
                }
                shared.queue.lock().writing = None;
                told.metrics.flushed(started, shared.clock.instant(), &begun);
            }
            Err(DiskFailed(detail)) => {
                tracing::error!(%detail, "the store cannot write to its disk; it is read-only until a restart");
                told.durable.send_modify(|d| d.failed = Some(detail));
                return;
            }
        }
    }
}

#[cfg(test)]
impl Disk {
    /// Writes past the checksum, to play a damaged disk.
    pub fn insert_raw(&self, key: &[u8], value: &[u8]) {
        self.db.insert(key, value).unwrap();
        self.db.flush().unwrap();
    }

    pub fn synced_blobs(&self) -> usize {
        self.blobs.lock().synced()
    }
}
