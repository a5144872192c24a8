//! The modules that kiln holds: their bytes by digest, and the programs made of them.
//!
//! A module is a file named by the SHA-256 of its bytes ([`blobs`]); machine code made of it is another, and can always
//! be made again ([`cache`]). Names and tags ([`mod@reference`]) are resolved to digests elsewhere.
//!
//! Never: bytes under a digest that is not theirs; compiled code that was not checked since it was read from disk; a
//! compilation on a runtime that serves.

pub mod blobs;
pub mod cache;
pub mod digest;
pub mod reference;

use std::path::Path;
use std::sync::Arc;

pub use blobs::{BlobError, BlobWriter, Blobs};
pub use cache::{ProgramError, Programs};
pub use digest::Digest;
pub use reference::{Reference, ReferenceError};

use crate::sandbox::{Program, Sandbox};

/// The modules under one directory. Cheap to clone.
#[derive(Clone)]
pub struct Modules {
    blobs: Blobs,
    programs: Programs,
}

impl Modules {
    /// Opens the modules in `directory`, which is made if it is not there. Blocks on the disk, briefly.
    pub fn open(directory: &Path, sandbox: Sandbox) -> Result<Modules, BlobError> {
        let blobs = Blobs::open(directory)?;
        let programs = Programs::open(directory, blobs.clone(), sandbox)?;
        Ok(Modules { blobs, programs })
    }

    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// The module as a program that can start: from memory, else from the cache on disk, else compiled, which takes
    /// seconds for a large one. Who asks for the same one meanwhile waits for the same result.
    pub async fn program(&self, digest: Digest) -> Result<Arc<Program>, ProgramError> {
        self.programs.get(digest).await
    }
}
