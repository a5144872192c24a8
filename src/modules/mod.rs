//! The modules that kiln holds: their bytes by digest, and the programs made of them.
//!
//! A module is a file named by the SHA-256 of its bytes ([`blobs`]); machine code made of it is another, and can always
//! be made again ([`cache`]). Names and tags ([`mod@reference`]) are objects of kind `Module` in the store, and resolved to
//! digests by the [`index`]; a module gets in by an [`import`], which may be the end of a pull from another registry
//! ([`remote`]). Beside each stands what clients of registries are shown of it ([`mod@artifact`], [`manifests`]).
//!
//! Never: bytes under a digest that is not theirs; compiled code that was not checked since it was read from disk; a
//! compilation in a process that serves.

pub mod artifact;
pub mod blobs;
pub mod cache;
pub mod collect;
pub mod compiled;
pub mod compiler;
pub mod delete;
pub mod describe;
pub mod digest;
pub mod import;
pub mod index;
pub mod layout;
pub mod manifests;
mod migrate;
pub mod pieces;
pub mod publish;
pub mod reference;
pub mod remote;
#[cfg(test)]
pub(crate) mod testing;
pub mod uploads;
pub mod uses;
mod withdraw;

use std::path::Path;
use std::sync::Arc;

use prometheus_client::registry::Registry;

pub use blobs::{BlobError, BlobWriter, Blobs};
pub use cache::{ProgramError, Programs};
pub use compiled::{Compiled, Sharing};
pub use compiler::{CompileIn, CompileLimits, Order, compile_here};
pub use delete::{DeleteError, Deleted};
pub use describe::Description;
pub use digest::Digest;
pub use import::{ImportError, Imported};
pub use index::{Index, Named, OpenError, PutError, digest_of};
pub use manifests::Manifest;
pub use publish::{PublishError, Published};
pub use reference::{Reference, ReferenceError};
pub use remote::{Credentials, NotAHost, Patience, PullError, Pulled, Registries, RegistryHost};
pub use uploads::{UploadError, Uploads};
pub use uses::Uses;
pub use withdraw::WithdrawError;

use compiled::Files;

use crate::ids::Ids;
use crate::sandbox::{Program, Sandbox};
use crate::store::Store;

/// Bytes of a module, at most. The largest program tried has 69 MB; compiling takes ten times the size in memory.
pub const MAX_MODULE: u64 = 256 << 20;

/// The modules under one directory. Cheap to clone.
#[derive(Clone)]
pub struct Modules {
    blobs: Blobs,
    programs: Programs,
    index: Index,
    /// Held from the moment a blob appears until it is named or gone again, and while what nobody needs is removed.
    importing: Arc<tokio::sync::Mutex<()>>,
}

impl Modules {
    /// Opens the modules in `directory`, which is made if it is not there, and their names in `store`. Blocks on the disk, briefly.
    pub fn open(
        directory: &Path,
        sandbox: Sandbox,
        compile: CompileIn,
        store: Store,
        ids: Ids,
    ) -> Result<Modules, OpenError> {
        Modules::open_with_code(directory, None, sandbox, compile, store, ids)
    }

    /// As [`Modules::open`], with compiled code in the root `shared`, which other processes of this user use too. If it cannot
    /// be used, that is told, and the code is kept in `directory`.
    pub fn open_with_code(
        directory: &Path,
        shared: Option<&Path>,
        sandbox: Sandbox,
        compile: CompileIn,
        store: Store,
        ids: Ids,
    ) -> Result<Modules, OpenError> {
        let blobs = Blobs::open(directory)?.temporary(store.is_temporary());
        let files = |root: &Path, sharing| Files::open(root, sharing, blobs.clone(), sandbox.clone(), compile.clone());
        let shared = shared.and_then(|root| {
            let opened = files(root, Sharing::Shared);
            opened.inspect_err(|error| tracing::warn!(%error, "modules are compiled anew each time")).ok()
        });
        let files = shared.map_or_else(|| files(&directory.join("compiled"), Sharing::Own), Ok)?;
        let programs = Programs::new(files)?;
        let index = Index::open(store, blobs.clone(), ids)?;
        Ok(Modules { blobs, programs, index, importing: Arc::default() })
    }

    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        self.programs.register_metrics(registry);
    }

    /// The module as a program that can start: from memory, else from the cache on disk, else compiled, which takes
    /// seconds for a large one. Who asks for the same one meanwhile waits for the same result.
    pub async fn program(&self, digest: Digest) -> Result<Arc<Program>, ProgramError> {
        self.programs.get(digest).await
    }
}
