//! Programs by the digest of their module: in memory, on disk ([`super::compiled`]), or compiled.
//!
//! One module is compiled at a time, in a process of its own ([`super::compiler`]), for which one thread waits: a large
//! module takes both cores for thirty seconds. A load that needs no compilation does not wait for it. A module on which the
//! compiler has met its limits is not tried again while this process lives.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;

use futures::FutureExt;
use futures::future::Shared;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::sync::oneshot;

use super::blobs::BlobError;
use super::compiled::{Compiled, Files};
use super::digest::Digest;
use crate::sandbox::{LoadError, Program, Refusal};

/// Programs kept in memory. Each is a few kilobytes and a mapped file, of which the kernel may drop what is not used.
const KEPT: usize = 256;

/// Hopeless modules that are remembered; beyond that all are forgotten, and may be tried once more.
const HOPELESS: usize = 1_024;

/// Why there is no program for a digest. Cheap to clone, because all who waited are told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProgramError {
    #[error(transparent)]
    Refused(Refusal),
    #[error(transparent)]
    Blob(Arc<BlobError>),
    #[error("compiled code of {0} cannot be loaded: {1}")]
    Load(Digest, Arc<LoadError>),
    #[error("the compilation of {0} was given up: the compiler failed, or this process is about to end")]
    GivenUp(Digest),
    #[error("{0} was not compiled: {1}")]
    NotCompiled(Digest, String),
}

type Answer = Result<Arc<Program>, ProgramError>;

/// The programs of one sandbox. Cheap to clone.
#[derive(Clone)]
pub struct Programs {
    shared: Arc<SharedState>,
    /// Jobs for the compiling thread, which ends with the last sender.
    jobs: mpsc::Sender<Job>,
    loads: Loads,
}

/// From where programs came.
#[derive(Clone, Debug)]
struct Loads {
    all: Family<[(&'static str, &'static str); 1], Counter>,
    /// The one that every start of a container counts.
    memory: Counter,
}

impl Loads {
    fn new() -> Loads {
        let all = Family::<[(&str, &str); 1], Counter>::default();
        Loads { memory: all.get_or_create_owned(&[("from", "memory")]), all }
    }

    fn count(&self, from: &'static str) {
        self.all.get_or_create(&[("from", from)]).inc();
    }
}

struct SharedState {
    files: Files,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: HashMap<Digest, Kept>,
    /// Loads under way, by digest: who comes later waits for the same answer.
    under_way: HashMap<Digest, Shared<oneshot::Receiver<Answer>>>,
    /// Modules on which the compiler met its limits, and what was said of them.
    hopeless: HashMap<Digest, Refusal>,
    /// Counts uses, to tell which program was not used for longest.
    uses: u64,
}

struct Kept {
    program: Arc<Program>,
    last_use: u64,
}

struct Job {
    digest: Digest,
    answer: oneshot::Sender<Answer>,
}

impl Programs {
    /// Starts the thread that compiles what is not in `files`.
    pub(super) fn new(files: Files) -> Result<Programs, BlobError> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let compiler = files.clone();
        thread::Builder::new()
            .name("kiln-compile".to_owned())
            .spawn(move || {
                for Job { digest, answer } in inbox {
                    // A compiler that panics at a module must not take the next one down with it.
                    let compiled = catch_unwind(AssertUnwindSafe(|| compiler.compile(digest)));
                    // Whoever asked may have gone; the result is on disk for the next.
                    let _ = answer.send(compiled.unwrap_or(Err(ProgramError::GivenUp(digest))).map(Arc::new));
                }
            })
            .map_err(BlobError::io("start a thread for", files.directory()))?;
        Ok(Programs { shared: Arc::new(SharedState { files, state: Mutex::default() }), jobs, loads: Loads::new() })
    }

    /// The program of a module. It needs a tokio runtime; the work is done on other threads.
    pub async fn get(&self, digest: Digest) -> Answer {
        let load = {
            let mut state = self.shared.state.lock();
            if let Some(program) = state.kept(digest) {
                self.loads.memory.inc();
                return Ok(program);
            }
            if let Some(refusal) = state.hopeless.get(&digest) {
                self.loads.count("nowhere");
                return Err(ProgramError::Refused(refusal.clone()));
            }
            state.under_way.entry(digest).or_insert_with(|| self.start(digest)).clone()
        };
        load.await.unwrap_or(Err(ProgramError::GivenUp(digest)))
    }

    /// What was noted when the module was compiled, if its code is here.
    pub async fn compiled(&self, digest: Digest) -> Option<Compiled> {
        let files = self.shared.files.clone();
        tokio::task::spawn_blocking(move || files.read_seal(digest)).await.ok()?.map(|seal| seal.compiled)
    }

    /// How many modules were compiled, or refused, since the start.
    pub fn compilations(&self) -> u64 {
        self.shared.files.compilations()
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        let help = "Programs asked for, by where they were found; nowhere: refused, or given up";
        registry.register("kiln_module_loads", help, self.loads.all.clone());
    }

    /// Forgets a program: in memory, and its code on disk. Runs under way keep theirs.
    pub fn forget(&self, digest: Digest) {
        self.shared.state.lock().kept.remove(&digest);
        self.shared.files.remove(digest);
    }

    /// The programs that somebody runs, or is about to.
    pub(super) fn held(&self) -> HashSet<Digest> {
        let state = self.shared.state.lock();
        let held = state.kept.iter().filter(|(_, kept)| Arc::strong_count(&kept.program) > 1);
        held.map(|(digest, _)| *digest).chain(state.under_way.keys().copied()).collect()
    }

    /// The modules of which there is compiled code. Reads a directory.
    pub(super) fn on_disk(&self) -> Vec<Digest> {
        self.shared.files.list()
    }

    /// Starts to load, apart from whoever asks: it goes on when they lose interest.
    fn start(&self, digest: Digest) -> Shared<oneshot::Receiver<Answer>> {
        let (sender, receiver) = oneshot::channel();
        let this = self.clone();
        tokio::spawn(async move {
            let answer = this.load(digest).await;
            let mut state = this.shared.state.lock();
            state.under_way.remove(&digest);
            match &answer {
                Ok(program) => state.keep(digest, program.clone()),
                Err(ProgramError::Refused(refusal)) if refusal.is_hopeless() => state.give_up(digest, refusal.clone()),
                Err(_) => {}
            }
            drop(state);
            let _ = sender.send(answer);
        });
        receiver.shared()
    }

    async fn load(&self, digest: Digest) -> Answer {
        let files = self.shared.files.clone();
        let cached = tokio::task::spawn_blocking(move || files.load(digest)).await;
        if let Ok(Some(program)) = cached {
            self.loads.count("disk");
            return Ok(Arc::new(program));
        }
        let (answer, compiled) = oneshot::channel();
        let answer = match self.jobs.send(Job { digest, answer }) {
            Ok(()) => compiled.await.unwrap_or(Err(ProgramError::GivenUp(digest))),
            Err(_) => Err(ProgramError::GivenUp(digest)),
        };
        self.loads.count(if answer.is_ok() { "compiler" } else { "nowhere" });
        answer
    }
}

impl State {
    fn kept(&mut self, digest: Digest) -> Option<Arc<Program>> {
        self.uses += 1;
        let kept = self.kept.get_mut(&digest)?;
        kept.last_use = self.uses;
        Some(kept.program.clone())
    }

    fn give_up(&mut self, digest: Digest, refusal: Refusal) {
        if self.hopeless.len() >= HOPELESS {
            self.hopeless.clear();
        }
        self.hopeless.insert(digest, refusal);
    }

    /// Keeps a program, in place of the one that was not used for longest if there are too many.
    fn keep(&mut self, digest: Digest, program: Arc<Program>) {
        if self.kept.len() >= KEPT && !self.kept.contains_key(&digest) {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.last_use).map(|(digest, _)| *digest);
            oldest.and_then(|oldest| self.kept.remove(&oldest));
        }
        self.uses += 1;
        self.kept.insert(digest, Kept { program, last_use: self.uses });
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
