//! Programs by the digest of their module: in memory, on disk, or compiled.
//!
//! ```text
//!   <directory>/compiled/<engine>/<digest>.cwasm     machine code, mapped into this process and run
//!   <directory>/compiled/<engine>/<digest>.seal      the digest of that file, and what was noted of the module
//! ```
//!
//! `<engine>` differs between engines that cannot load each other's code; at the start the others are removed. The code is
//! checked against its digest each time that it is loaded, and anything that does not fit, whether old, torn, or
//! meddled with, is compiled again. Files are replaced by renaming and never written in place, because programs are
//! mapped from them.
//!
//! One module is compiled at a time, in a process of its own ([`super::compiler`]), for which one thread waits: a large
//! module takes both cores for thirty seconds. A load that needs no compilation does not wait for it. A module on which the
//! compiler has met its limits is not tried again while this process lives.

use std::collections::{HashMap, HashSet};
use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;

use futures::FutureExt;
use futures::future::Shared;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::sync::oneshot;

use super::blobs::{BlobError, Blobs};
use super::compiler::{CompileError, CompileIn, Order, compile_in_child};
use super::describe::{Description, describe};
use super::digest::Digest;
use crate::sandbox::{LoadError, Program, Refusal, Sandbox};

/// Programs kept in memory. Each is a few kilobytes and a mapped file, of which the kernel may drop what is not used.
const KEPT: usize = 256;

/// Hopeless modules that are remembered; beyond that all are forgotten, and may be tried once more.
const HOPELESS: usize = 1_024;

/// How files end: with machine code, and with its [`Seal`].
const CODE: &str = "cwasm";
const SEAL: &str = "seal";

/// Bytes of a seal, at most.
const MAX_SEAL: u64 = 128 << 10;

/// What was noted when a module was compiled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compiled {
    /// How long it took.
    pub seconds: f64,
    pub description: Description,
}

/// What stands beside machine code, as JSON.
#[derive(Serialize, Deserialize)]
struct Seal {
    /// The digest of the code.
    code: String,
    #[serde(flatten)]
    compiled: Compiled,
}

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
    /// Opens the cache in `directory`, and removes the code of other engines.
    pub fn open(directory: &Path, blobs: Blobs, sandbox: Sandbox, compile: CompileIn) -> Result<Programs, BlobError> {
        let compiled = directory.join("compiled");
        let engine = format!("{:016x}", sandbox.compatibility());
        let own = compiled.join(&engine);
        // Nobody else may put code here, and nobody else needs to read it.
        DirBuilder::new().recursive(true).mode(0o700).create(&own).map_err(BlobError::io("make", &own))?;
        // What cannot be removed only takes space.
        for entry in fs::read_dir(&compiled).map_err(BlobError::io("list", &compiled))?.flatten() {
            if entry.file_name() != *engine {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        // Left unfinished by a crash.
        for entry in fs::read_dir(&own).map_err(BlobError::io("list", &own))?.flatten() {
            if entry.path().extension().is_none_or(|extension| extension != CODE && extension != SEAL) {
                let _ = fs::remove_file(entry.path());
            }
        }
        let files = Files { directory: own, blobs, sandbox, compile, compilations: Arc::default() };
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
            .map_err(BlobError::io("start a thread for", directory))?;
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
        self.shared.files.compilations.load(Relaxed)
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
        let names = fs::read_dir(&self.shared.files.directory).into_iter().flatten().flatten();
        names.filter_map(|entry| Digest::from_hex(entry.path().file_stem()?.to_str()?)).collect()
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

/// The cache on disk. Its calls block.
#[derive(Clone)]
struct Files {
    directory: PathBuf,
    blobs: Blobs,
    sandbox: Sandbox,
    compile: CompileIn,
    compilations: Arc<AtomicU64>,
}

impl Files {
    fn code(&self, digest: Digest) -> PathBuf {
        self.directory.join(digest.hex()).with_extension(CODE)
    }

    fn seal(&self, digest: Digest) -> PathBuf {
        self.directory.join(digest.hex()).with_extension(SEAL)
    }

    /// From disk, if what is there is whole and fits this engine.
    fn load(&self, digest: Digest) -> Option<Program> {
        let seal = self.read_seal(digest)?;
        let code = fs::read(self.code(digest)).ok()?;
        if Digest::of(&code).to_string() != seal.code {
            tracing::warn!(%digest, "compiled code is damaged; compiling again");
            return None;
        }
        match self.sandbox.load_file(&self.code(digest)) {
            Ok(program) => Some(program),
            Err(error) => {
                tracing::warn!(%digest, %error, "compiled code is of no use; compiling again");
                None
            }
        }
    }

    fn read_seal(&self, digest: Digest) -> Option<Seal> {
        let mut bytes = Vec::new();
        fs::File::open(self.seal(digest)).ok()?.take(MAX_SEAL).read_to_end(&mut bytes).ok()?;
        let seal = serde_json::from_slice(&bytes);
        if let Err(error) = &seal {
            tracing::warn!(%digest, %error, "the seal of compiled code is damaged; compiling again");
        }
        seal.ok()
    }

    fn compile(&self, digest: Digest) -> Result<Program, ProgramError> {
        let begun = self.sandbox.clock().instant();
        let blob = |error| ProgramError::Blob(Arc::new(error));
        self.compilations.fetch_add(1, Relaxed);
        let path = self.code(digest);
        let write = |error: io::Error| blob(BlobError::io("write", &path)(error));
        let unfinished = NamedTempFile::new_in(&self.directory).map_err(write)?;
        let (sealed, description) = match &self.compile {
            CompileIn::ThisProcess => {
                let wasm = self.blobs.read(digest).map_err(blob)?;
                let code = self.sandbox.compile(&wasm).map_err(ProgramError::Refused)?;
                unfinished.as_file().write_all(&code).map_err(write)?;
                (Digest::of(&code), describe(&wasm))
            }
            CompileIn::Child { program, limits } => {
                let config = self.sandbox.config();
                let order = Order {
                    module: self.blobs.path(digest),
                    digest,
                    output: unfinished.path().to_owned(),
                    max_memory_bytes: config.max_memory_bytes,
                    max_table_elements: config.max_table_elements,
                    stack_bytes: config.stack_bytes,
                };
                match compile_in_child(program, limits, &order) {
                    Ok(told) => told,
                    Err(CompileError::Refused(refusal)) => return Err(ProgramError::Refused(refusal)),
                    Err(CompileError::BadFile) => {
                        // Says what is wrong with it; if nothing is by now, another try is due.
                        self.blobs.read(digest).map_err(blob)?;
                        return Err(ProgramError::GivenUp(digest));
                    }
                    Err(CompileError::Failed(how)) => return Err(ProgramError::NotCompiled(digest, how)),
                }
            }
        };
        // The seal last: a crash in between leaves code whose seal is missing or of other code.
        unfinished.persist(&path).map_err(|error| write(error.error))?;
        let seal = self.seal(digest);
        let seconds = self.sandbox.clock().instant().saturating_duration_since(begun).as_secs_f64();
        let noted = Seal { code: sealed.to_string(), compiled: Compiled { seconds, description } };
        // Texts and a finite number are always JSON.
        self.replace(&seal, &serde_json::to_vec(&noted).unwrap_or_default())
            .map_err(|error| blob(BlobError::io("write", &seal)(error)))?;
        self.sandbox.load_file(&path).map_err(|error| ProgramError::Load(digest, Arc::new(error)))
    }

    /// Files of mode 0600, complete or as before. Not synced: what a crash tears is seen by its seal and made again.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(&self.directory)?;
        file.write_all(bytes)?;
        file.persist(path)?;
        Ok(())
    }

    fn remove(&self, digest: Digest) {
        // What is not there need not be removed; what cannot be is never used without its seal.
        let _ = fs::remove_file(self.seal(digest));
        let _ = fs::remove_file(self.code(digest));
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
