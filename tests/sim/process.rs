//! The process that crashes: the store and all that lives in memory beside it. Its disk outlives it: as of the moment of
//! the crash, or as of an earlier moment that had been made durable, whatever was committed since.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use bytes::Bytes;
use kiln::clock::Clock;
use kiln::control::Recorder;
use kiln::controllers::cronjob::CronJobController;
use kiln::controllers::event_ttl::EventTtl;
use kiln::controllers::gc::GarbageCollector;
use kiln::controllers::job::JobController;
use kiln::controllers::namespace::NamespaceController;
use kiln::controllers::pod_gc::PodGc;
use kiln::controllers::service_account::ServiceAccounts;
use kiln::controllers::ttl::TtlAfterFinished;
use kiln::ids::Ids;
use kiln::node::local::Local;
use kiln::scheduler::Scheduler;
use kiln::store::{Store, Tx};
use tokio_util::sync::CancellationToken;

use crate::calendar;
use crate::checked::{Actor, Desk, Start};
use crate::follow::Follower;
use crate::node::FakeNode;
use kiln::api::Kind;

/// All controllers. One more is one more line.
fn controllers(start: &Start<'_>, ids: &Ids) -> Vec<Box<dyn Actor>> {
    vec![
        start.pure(JobController::new(ids.clone())),
        start.pure(CronJobController::new(ids.clone(), calendar::zone(None))),
        start.pure(GarbageCollector::default()),
        start.pure(NamespaceController::default()),
        start.pure(ServiceAccounts::new(ids.clone())),
        start.pure(EventTtl::default()),
        start.pure(TtlAfterFinished::default()),
        start.pure(PodGc::new(20)),
        start.impure(Scheduler::default()),
    ]
}

pub struct Process {
    pub store: Store,
    pub actors: Vec<Box<dyn Actor>>,
    pub node: FakeNode,
    pub followers: Vec<Follower>,
    /// Writes the notes of the others as Events.
    pub writer: Pin<Box<dyn Future<Output = ()>>>,
}

impl Process {
    pub fn start(dir: &Path, ring: usize, clock: &Clock, ids: &Ids, desk: &Desk) -> Process {
        let store = Store::open(dir, ring).unwrap_or_else(|error| panic!("the store does not open again: {error}"));
        let (recorder, writer) = Recorder::new();
        let start = Start { store: &store, recorder: &recorder, desk, now: clock.now() };
        let actors = controllers(&start, ids);
        let cluster = Local::new(store.clone(), recorder.clone(), clock.clone(), ids.clone());
        let followed = [Kind::Job, Kind::Pod, Kind::Event, Kind::CronJob];
        Process {
            actors,
            node: FakeNode::new(cluster, clock.clone()),
            followers: followed.iter().map(|kind| Follower::new(&store, *kind)).collect(),
            writer: Box::pin(writer.run(store.clone(), clock.clone(), ids.clone(), CancellationToken::new())),
            store,
        }
    }

    /// Lets all notes become Events.
    pub fn write_events(&mut self) {
        let _ = self.writer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }

    /// Waits until everything so far is on disk and the committer rests.
    pub fn settle_disk(&self) {
        // Commits that change nothing are queued without a revision of their own: this one comes after them.
        let mut tx = Tx::new();
        tx.put_side(b"sim".to_vec(), Bytes::new());
        let committed = self.store.commit(tx).expect("the store takes writes");
        wait(self.store.durable(committed.revision)).expect("the disk takes writes");
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Unpark>) {
        self.0.unpark();
    }
}

/// Waits for another thread's doing, without a runtime.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return outcome;
        }
        std::thread::park();
    }
}

/// The directories of one world.
pub struct Dirs {
    base: tempfile::TempDir,
    used: usize,
}

impl Dirs {
    pub fn new() -> Dirs {
        // In memory if the system has such a place: what a disk does to bytes is not what is tried here.
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Dirs { base: base.expect("there is room for a directory"), used: 0 }
    }

    pub fn fresh(&mut self) -> PathBuf {
        self.used += 1;
        self.base.path().join(self.used.to_string())
    }

    /// The same files in another place. Nobody writes to them meanwhile.
    pub fn copy(&mut self, from: &Path) -> PathBuf {
        let to = self.fresh();
        copy_tree(from, &to).expect("the store's files can be copied");
        to
    }
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_tree(&entry.path(), &to)?,
            false => drop(std::fs::copy(entry.path(), to)?),
        }
    }
    Ok(())
}

pub fn remove(dir: &Path) {
    // At the latest it goes with the world.
    let _ = std::fs::remove_dir_all(dir);
}
