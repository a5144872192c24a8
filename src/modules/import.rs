//! How a module gets in: its bytes to the disk, then a trial compilation, then the name.
//!
//! ```text
//!   bytes ──► unfinished file ──► blob ──► program ──► name ──► durable
//!                 │                 │         │
//!            cut off: gone          └─ refused: gone, unless it was there before
//! ```
//!
//! From the blob on, one import goes at a time, and to its end even if who asked has gone: so nothing is removed that
//! another import is about to name.

use std::io::{self, Read};

use jiff::Timestamp;

use super::blobs::{BlobError, BlobWriter};
use super::cache::ProgramError;
use super::digest::Digest;
use super::reference::Reference;
use super::{MAX_MODULE, Modules};
use crate::sandbox::Facts;
use crate::store::{CommitError, DiskFailed};

/// A module that is in.
#[derive(Clone, Debug)]
pub struct Imported {
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    pub facts: Facts,
    /// Whether the name means something else than before; without a tag, whether the bytes were not here before.
    pub is_new: bool,
}

/// Why a module did not get in.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The bytes did not arrive: a broken connection, or a file that cannot be read.
    #[error("the module did not arrive whole: {0}")]
    Source(io::Error),
    /// Too large, not of the digest announced, or the disk.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// Refused, with the reason in the words of who made it; or the compiler has failed.
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Disk(#[from] DiskFailed),
    #[error("the import was given up, because this process is about to end")]
    GivenUp,
}

impl Modules {
    /// Takes in a module of at most [`MAX_MODULE`] bytes and lets `reference` mean it; on disk when this returns.
    /// `bytes` is read to its end on a thread that may block.
    pub async fn import(
        &self,
        reference: &Reference,
        bytes: impl Read + Send + 'static,
        now: Timestamp,
    ) -> Result<Imported, ImportError> {
        let this = self.clone();
        let writer = tokio::task::spawn_blocking(move || this.receive(bytes)).await.map_err(given_up)??;
        let (this, reference) = (self.clone(), reference.clone());
        tokio::spawn(async move { this.accept(reference, writer, now).await }).await.map_err(given_up)?
    }

    fn receive(&self, mut bytes: impl Read) -> Result<BlobWriter, ImportError> {
        let mut writer = self.blobs.writer(MAX_MODULE)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            match bytes.read(&mut buffer) {
                Ok(0) => return Ok(writer),
                Ok(n) => writer.write(&buffer[..n])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ImportError::Source(error)),
            }
        }
    }

    async fn accept(&self, reference: Reference, writer: BlobWriter, now: Timestamp) -> Result<Imported, ImportError> {
        let _one_at_a_time = self.importing.lock().await;
        let size = writer.size();
        let (blobs, expected) = (self.blobs.clone(), reference.digest);
        let finished = tokio::task::spawn_blocking(move || -> Result<(Digest, bool), BlobError> {
            let was_here = blobs.size(writer.digest())?.is_some();
            Ok((writer.finish(expected)?, was_here))
        });
        let (digest, was_here) = finished.await.map_err(given_up)??;
        let facts = match self.program(digest).await {
            Ok(program) => program.facts(),
            Err(error) => {
                if !was_here {
                    self.discard(digest).await;
                }
                return Err(error.into());
            }
        };
        let means = self.index.get(&reference).map(|module| module.digest);
        let is_new = if reference.tag.is_some() { means != Some(digest) } else { !was_here };
        let revision = match is_new {
            true => self.index.put(&reference, digest, size, now)?,
            // It may have been named a moment ago, and not be on disk yet.
            false => self.index.store().revision(),
        };
        self.index.store().durable(revision).await?;
        Ok(Imported { digest, size, facts, is_new })
    }

    /// Removes a blob that proved useless. If that fails it only takes space.
    async fn discard(&self, digest: Digest) {
        let blobs = self.blobs.clone();
        match tokio::task::spawn_blocking(move || blobs.remove(digest)).await {
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => tracing::warn!(%digest, %error, "a refused module stays on disk"),
        }
    }
}

/// A task of ours ended without a result: the runtime is shutting down, or the task has failed, which is reported there.
fn given_up(_: tokio::task::JoinError) -> ImportError {
    ImportError::GivenUp
}
