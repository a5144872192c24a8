//! Compiled code on disk.
//!
//! ```text
//!   <root>/<engine>/<digest>.cwasm     machine code, mapped into this process and run
//!   <root>/<engine>/<digest>.seal      the digest of that file, and what was noted of the module
//! ```
//!
//! `<engine>` differs between engines that cannot load each other's code. The code is checked against its digest each time
//! that it is loaded, and anything that does not fit, whether old, torn, or meddled with, is compiled again. Files are
//! replaced by renaming and never written in place, because programs are mapped from them.
//!
//! A root is one kiln's own, or shared by all that one user starts ([`Sharing`]): then others put files there and remove
//! them at any time, and who puts one there removes what was not used for long. It must belong to the user, who alone may
//! write there, because code is believed by the seal that lies beside it.

use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use jiff::{SignedDuration, Timestamp};
use rustix::fs::{AtFlags, Timespec, Timestamps, UTIME_NOW};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::blobs::{BlobError, Blobs};
use super::cache::ProgramError;
use super::compiler::{CompileError, CompileIn, Order, compile_in_child};
use super::describe::{Description, describe};
use super::digest::Digest;
use crate::sandbox::{Program, Sandbox};

/// Whose a root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// One process's at a time, which knows what is needed.
    Own,
    /// All kilns' that a user starts.
    Shared,
}

/// Of a shared root: what was not used for so long goes.
const UNUSED: SignedDuration = SignedDuration::from_hours(30 * 24);
/// And beyond so many bytes what was not used for longest. The largest program tried takes 250 MB.
const SHARED_BYTES: u64 = 1 << 30;

/// How files end: with machine code, and with its [`Seal`].
pub(super) const CODE: &str = "cwasm";
pub(super) const SEAL: &str = "seal";

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
pub(super) struct Seal {
    /// The digest of the code.
    pub code: String,
    #[serde(flatten)]
    pub compiled: Compiled,
}

/// The compiled code of one engine. Cheap to clone. All calls block on the disk.
#[derive(Clone)]
pub(super) struct Files {
    directory: PathBuf,
    sharing: Sharing,
    blobs: Blobs,
    sandbox: Sandbox,
    compile: CompileIn,
    compilations: Arc<AtomicU64>,
}

impl Files {
    /// Opens the code for this sandbox's engine below `root`, and removes what was left there.
    pub fn open(
        root: &Path,
        sharing: Sharing,
        blobs: Blobs,
        sandbox: Sandbox,
        compile: CompileIn,
    ) -> Result<Files, BlobError> {
        let directory = root.join(format!("{:016x}", sandbox.compatibility()));
        // Nobody else may put code here, and nobody else needs to read it.
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(BlobError::io("make", &directory))?;
        let files = Files { directory, sharing, blobs, sandbox, compile, compilations: Arc::default() };
        match sharing {
            Sharing::Own => files.clear_own(root)?,
            Sharing::Shared => {
                is_ours(root).and_then(|()| is_ours(&files.directory)).map_err(BlobError::io("use", root))?;
            }
        }
        Ok(files)
    }

    /// Removes the code of other engines, and what a crash left unfinished. What cannot be removed only takes space.
    fn clear_own(&self, root: &Path) -> Result<(), BlobError> {
        for entry in fs::read_dir(root).map_err(BlobError::io("list", root))?.flatten() {
            if entry.path() != self.directory {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        for entry in fs::read_dir(&self.directory).map_err(BlobError::io("list", &self.directory))?.flatten() {
            if entry.path().extension().is_none_or(|extension| extension != CODE && extension != SEAL) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// How many modules were compiled, or refused.
    pub fn compilations(&self) -> u64 {
        self.compilations.load(Relaxed)
    }

    /// The modules of which there is code that is ours to remove.
    pub fn list(&self) -> Vec<Digest> {
        if self.sharing == Sharing::Shared {
            return Vec::new();
        }
        let names = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        names.filter_map(|entry| Digest::from_hex(entry.path().file_stem()?.to_str()?)).collect()
    }

    fn code(&self, digest: Digest) -> PathBuf {
        self.directory.join(digest.hex()).with_extension(CODE)
    }

    fn seal(&self, digest: Digest) -> PathBuf {
        self.directory.join(digest.hex()).with_extension(SEAL)
    }

    /// From disk, if what is there is whole and fits this engine.
    pub fn load(&self, digest: Digest) -> Option<Program> {
        let seal = self.read_seal(digest)?;
        let code = fs::read(self.code(digest)).ok()?;
        if Digest::of(&code).to_string() != seal.code {
            tracing::warn!(%digest, "compiled code is damaged; compiling again");
            return None;
        }
        match self.sandbox.load_file(&self.code(digest)) {
            Ok(program) => {
                self.note_use(digest);
                Some(program)
            }
            Err(error) => {
                tracing::warn!(%digest, %error, "compiled code is of no use; compiling again");
                None
            }
        }
    }

    pub fn read_seal(&self, digest: Digest) -> Option<Seal> {
        let mut bytes = Vec::new();
        fs::File::open(self.seal(digest)).ok()?.take(MAX_SEAL).read_to_end(&mut bytes).ok()?;
        let seal = serde_json::from_slice(&bytes);
        if let Err(error) = &seal {
            tracing::warn!(%digest, %error, "the seal of compiled code is damaged; compiling again");
        }
        seal.ok()
    }

    pub fn compile(&self, digest: Digest) -> Result<Program, ProgramError> {
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
        if self.sharing == Sharing::Shared {
            trim(self.directory.parent().unwrap_or(&self.directory), self.sandbox.clock().now());
        }
        self.sandbox.load_file(&path).map_err(|error| ProgramError::Load(digest, Arc::new(error)))
    }

    /// Where nobody else says what is needed, the time of the last use does.
    fn note_use(&self, digest: Digest) {
        if self.sharing == Sharing::Shared {
            let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
            let times = Timestamps { last_access: now, last_modification: now };
            for path in [self.code(digest), self.seal(digest)] {
                // If that fails, it is compiled again some day.
                let _ = rustix::fs::utimensat(rustix::fs::CWD, path, &times, AtFlags::empty());
            }
        }
    }

    /// Files of mode 0600, complete or as before. Not synced: what a crash tears is seen by its seal and made again.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(&self.directory)?;
        file.write_all(bytes)?;
        file.persist(path)?;
        Ok(())
    }

    /// Removes the code of a module, unless others may use it.
    pub fn remove(&self, digest: Digest) {
        if self.sharing == Sharing::Shared {
            return;
        }
        // What is not there need not be removed; what cannot be is never used without its seal.
        let _ = fs::remove_file(self.seal(digest));
        let _ = fs::remove_file(self.code(digest));
    }
}

/// Fails unless the directory is this user's, and nobody else may write there.
fn is_ours(directory: &Path) -> io::Result<()> {
    let metadata = fs::metadata(directory)?;
    match metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0 {
        true => Ok(()),
        false => Err(io::Error::other("others may write there, and could put machine code there")),
    }
}

/// Removes from a shared root what was not used for long, code of other engines and unfinished files included. What cannot be
/// removed only takes space.
fn trim(root: &Path, now: Timestamp) {
    let mut files: Vec<(Timestamp, u64, PathBuf)> = Vec::new();
    for engine in fs::read_dir(root).into_iter().flatten().flatten() {
        for file in fs::read_dir(engine.path()).into_iter().flatten().flatten() {
            let Ok(metadata) = file.metadata() else { continue };
            let used = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
            files.push((used.unwrap_or(Timestamp::MIN), metadata.len(), file.path()));
        }
    }
    let sizes: Vec<_> = files.iter().map(|(used, size, _)| (*used, *size)).collect();
    for index in unused(&sizes, now) {
        let path = &files[index].2;
        let _ = fs::remove_file(path);
        // Without its code a seal is of no use.
        let _ = fs::remove_file(path.with_extension(SEAL));
    }
}

/// Which files go, of when they were last used and their sizes.
fn unused(files: &[(Timestamp, u64)], now: Timestamp) -> Vec<usize> {
    let mut by_use: Vec<usize> = (0..files.len()).collect();
    by_use.sort_by_key(|index| std::cmp::Reverse(files[*index].0));
    let mut bytes = 0_u64;
    let goes = |index: &usize| {
        let (used, size) = files[*index];
        bytes = bytes.saturating_add(size);
        bytes > SHARED_BYTES || now.duration_since(used) > UNUSED
    };
    by_use.into_iter().filter(goes).collect()
}

#[cfg(test)]
#[path = "compiled_tests.rs"]
mod tests;
