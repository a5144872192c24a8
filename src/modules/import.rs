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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::FutureExt;

    use super::*;
    use crate::modules::testing::{LIBRARY, Opened, PROGRAM, another_program};
    use crate::sandbox::{ProgramKind, Refusal};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn reference(text: &str) -> Reference {
        text.parse().unwrap()
    }

    /// Gives what is sent; then its end is an error.
    struct Pieces(mpsc::Receiver<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let piece = self.0.recv().map_err(|_| io::Error::from(io::ErrorKind::ConnectionReset))?;
            into[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    #[tokio::test]
    async fn a_module_gets_in_and_its_name_means_it_until_it_means_another() {
        let opened = Opened::new();
        let modules = &opened.modules;
        let first = modules.import(&reference("pi"), PROGRAM, NOW).await.unwrap();
        assert_eq!((first.digest, first.size, first.is_new), (Digest::of(PROGRAM), PROGRAM.len() as u64, true));
        assert_eq!(first.facts.kind, ProgramKind::Core);
        assert!(!modules.import(&reference("pi:latest"), PROGRAM, NOW).await.unwrap().is_new);
        assert!(modules.import(&reference("pi:1"), PROGRAM, NOW).await.unwrap().is_new);
        let other = modules.import(&reference("pi"), io::Cursor::new(another_program(1)), NOW).await.unwrap();
        assert!(other.is_new);
        let index = modules.index();
        assert_eq!(index.resolve(&reference("pi")), Some(other.digest));
        assert_eq!(index.resolve(&reference("pi:1")), Some(first.digest));
        assert_eq!(opened.files(), (2, 0));
    }

    #[tokio::test]
    async fn a_refused_module_leaves_nothing() {
        let opened = Opened::new();
        let imports = (0..4).map(|n| {
            let name = reference(&format!("lib{n}"));
            let modules = opened.modules.clone();
            async move { modules.import(&name, LIBRARY, NOW).await }
        });
        for refused in futures::future::join_all(imports).await {
            let refused = refused.unwrap_err();
            assert!(matches!(refused, ImportError::Program(ProgramError::Refused(Refusal::Library))), "{refused}");
        }
        let text = opened.modules.import(&reference("text"), &b"hello"[..], NOW).await.unwrap_err();
        assert_eq!(text.to_string(), "not a WebAssembly module: it looks like text");
        assert_eq!(opened.modules.index().list(), []);
        assert_eq!(opened.files(), (0, 0));
    }

    #[tokio::test]
    async fn a_refused_module_that_was_here_before_stays() {
        let opened = Opened::new();
        let digest = opened.modules.blobs().put(LIBRARY).unwrap();
        opened.modules.index().put(&reference("lib"), digest, 8, NOW).unwrap();
        opened.modules.import(&reference("lib:2"), LIBRARY, NOW).await.unwrap_err();
        assert_eq!(opened.modules.index().resolve(&reference("lib")), Some(digest));
        assert_eq!(opened.files(), (1, 0));
    }

    #[tokio::test]
    async fn other_bytes_than_announced_are_refused_and_without_a_tag_there_is_no_name() {
        let opened = Opened::new();
        let announced = reference(&format!("pi@{}", Digest::of(PROGRAM)));
        let refused = opened.modules.import(&announced, io::Cursor::new(another_program(1)), NOW).await.unwrap_err();
        assert!(matches!(refused, ImportError::Blob(BlobError::Mismatch { .. })), "{refused}");
        assert_eq!(opened.files(), (0, 0));
        for is_new in [true, false] {
            assert_eq!(opened.modules.import(&announced, PROGRAM, NOW).await.unwrap().is_new, is_new);
        }
        assert_eq!(opened.modules.index().resolve(&announced), Some(Digest::of(PROGRAM)));
        assert_eq!(opened.modules.index().list(), []);
    }

    #[tokio::test]
    async fn what_does_not_arrive_whole_leaves_nothing_and_the_name_as_it_was() {
        let opened = Opened::new();
        let before = opened.modules.import(&reference("pi"), PROGRAM, NOW).await.unwrap();
        let (send, pieces) = mpsc::channel();
        send.send(LIBRARY).unwrap();
        drop(send);
        let cut_off = opened.modules.import(&reference("pi"), Pieces(pieces), NOW).await.unwrap_err();
        assert!(matches!(cut_off, ImportError::Source(_)), "{cut_off}");
        assert_eq!(opened.files(), (1, 0));
        // Nor if who asked has lost interest in the middle.
        let (send, pieces) = mpsc::channel();
        send.send(LIBRARY).unwrap();
        assert!(opened.modules.import(&reference("pi"), Pieces(pieces), NOW).now_or_never().is_none());
        drop(send);
        opened.settle(1).await;
        assert_eq!(opened.modules.index().resolve(&reference("pi")), Some(before.digest));
    }

    #[tokio::test]
    async fn a_module_beyond_the_limit_is_refused_and_leaves_nothing() {
        let opened = Opened::new();
        let endless = io::repeat(0);
        let refused = opened.modules.import(&reference("pi"), endless, NOW).await.unwrap_err();
        assert!(matches!(refused, ImportError::Blob(BlobError::TooLarge { limit: MAX_MODULE })), "{refused}");
        assert_eq!(opened.files(), (0, 0));
    }
}
