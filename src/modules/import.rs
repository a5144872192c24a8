//! How a module gets in: its bytes to the disk, then a trial compilation, then the name.
//!
//! ```text
//!   bytes ──► unfinished file ──► blob ──► program ──► manifest ──► name ──► durable
//!                 │                 │         │
//!            cut off: gone          └─ refused: gone, unless it was there before
//! ```
//!
//! From the blob on, one import goes at a time, and to its end even if who asked has gone: so nothing is removed that
//! another import is about to name.

use std::io::{self, Read};

use jiff::Timestamp;

use super::artifact::{self, artifact};
use super::blobs::{BlobError, BlobWriter, Blobs};
use super::cache::ProgramError;
use super::compiled::Compiled;
use super::describe::Description;
use super::digest::Digest;
use super::index::{Named, PutError, digest_of};
use super::manifests::Manifest;
use super::reference::Reference;
use super::{MAX_MODULE, Modules};
use crate::api::meta;
use crate::api::module::{COMMAND, COMPONENT, ModuleStatus, PUSHED};
use crate::sandbox::Facts;
use crate::store::DiskFailed;

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
    Name(#[from] PutError),
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
        self.import_from(PUSHED, reference, bytes, now).await
    }

    /// As [`Modules::import`], of what came `from` somewhere: [`PUSHED`], or [`crate::api::module::PULLED`].
    pub async fn import_from(
        &self,
        from: &'static str,
        reference: &Reference,
        bytes: impl Read + Send + 'static,
        now: Timestamp,
    ) -> Result<Imported, ImportError> {
        let this = self.clone();
        let writer = tokio::task::spawn_blocking(move || this.receive(bytes)).await.map_err(given_up)??;
        let (this, reference) = (self.clone(), reference.clone());
        tokio::spawn(async move { this.accept(from, reference, writer, now).await }).await.map_err(given_up)?
    }

    pub(super) fn receive(&self, mut bytes: impl Read) -> Result<BlobWriter, ImportError> {
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

    async fn accept(
        &self,
        from: &'static str,
        reference: Reference,
        writer: BlobWriter,
        now: Timestamp,
    ) -> Result<Imported, ImportError> {
        let _one_at_a_time = self.importing.lock().await;
        let size = writer.size();
        let (blobs, expected) = (self.blobs.clone(), reference.digest);
        let finished = tokio::task::spawn_blocking(move || -> Result<(Digest, bool), BlobError> {
            let was_here = blobs.size(writer.digest())?.is_some();
            Ok((writer.finish(expected)?, was_here))
        });
        let (digest, was_here) = finished.await.map_err(given_up)??;
        let (facts, compiled) = match self.described(digest).await {
            Ok(known) => known,
            Err(error) => {
                if !was_here {
                    self.discard(digest).await;
                }
                return Err(error.into());
            }
        };
        let known = self.index.get(&reference);
        let means = known.as_deref().and_then(digest_of);
        let is_new = if reference.tag.is_some() { means != Some(digest) } else { !was_here };
        // A name of an earlier version says less of its module than is known by now.
        let is_told = known.is_some_and(|m| m.status.as_ref().is_some_and(|s| s.compile_seconds.is_some()));
        let revision = if is_new || !is_told {
            let blobs = self.blobs.clone();
            let make = move || named(&blobs, digest, size, &compiled.description, Some(compiled.seconds), from, now);
            let named = tokio::task::spawn_blocking(make).await.map_err(given_up)??;
            self.index.put(&reference, &named, now)?
        } else {
            // It may have been named a moment ago, and not be on disk yet.
            self.index.store().revision()
        };
        self.index.store().durable(revision).await?;
        Ok(Imported { digest, size, facts, is_new })
    }

    /// The program of a module that is here, and what was noted when it was compiled.
    pub(super) async fn described(&self, digest: Digest) -> Result<(Facts, Compiled), ProgramError> {
        let facts = self.program(digest).await?.facts();
        if let Some(compiled) = self.programs.compiled(digest).await {
            return Ok((facts, compiled));
        }
        // Compiled by an earlier version, which noted nothing.
        self.programs.forget(digest);
        let facts = self.program(digest).await?.facts();
        let compiled = self.programs.compiled(digest).await;
        Ok((facts, compiled.ok_or(ProgramError::GivenUp(digest))?))
    }

    /// Removes a blob that proved useless. If that fails it only takes space.
    pub(super) async fn discard(&self, digest: Digest) {
        let blobs = self.blobs.clone();
        match tokio::task::spawn_blocking(move || blobs.remove(digest)).await {
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => tracing::warn!(%digest, %error, "a refused module stays on disk"),
        }
    }
}

/// What a name is to mean whose module is known, with its manifest and config written to disk. Blocks on the disk.
pub(super) fn named(
    blobs: &Blobs,
    digest: Digest,
    size: u64,
    description: &Description,
    seconds: Option<f64>,
    from: &str,
    now: Timestamp,
) -> Result<Named, BlobError> {
    let artifact = artifact(digest, size, description);
    let config = blobs.keep(&artifact.config)?;
    let manifest = blobs.keep(&artifact.manifest)?;
    let record = Manifest {
        media_type: artifact::MANIFEST.to_owned(),
        size: artifact.manifest.len() as u64,
        module: Some(digest),
        refers_to: vec![config, digest],
        subject: None,
        is_kept: false,
        pushed: now,
    };
    let status = status(description, size, seconds, from, now);
    Ok(Named { digest: Some(digest), manifest, record, status })
}

/// What is told of a module.
pub fn status(description: &Description, size: u64, seconds: Option<f64>, from: &str, now: Timestamp) -> ModuleStatus {
    let Description { is_component, mut imports, exports, producers, left_out } = description.clone();
    if left_out > 0 {
        imports.push(format!("(and {left_out} more names)"));
    }
    ModuleStatus {
        kind: Some(if is_component { COMPONENT } else { COMMAND }.to_owned()),
        size: i64::try_from(size).ok(),
        pushed: Some(meta::time(now)),
        from: Some(from.to_owned()),
        compile_seconds: seconds.map(|seconds| format!("{seconds:.3}")),
        imports,
        exports,
        producers,
    }
}

/// A task of ours ended without a result: the runtime is shutting down, or the task has failed, which is reported there.
pub(super) fn given_up(_: tokio::task::JoinError) -> ImportError {
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
        let named = named(opened.modules.blobs(), digest, 8, &Description::default(), None, PUSHED, NOW).unwrap();
        opened.modules.index().put(&reference("lib"), &named, NOW).unwrap();
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
