//! Blobs on their way in by several requests, as the distribution specification has it: a session is opened, bytes are
//! appended to it, and then it is closed with the digest that they must have.
//!
//! ```text
//!   open ──► idle ──append──► busy ──end, or a broken connection──► idle, with what has come
//!             │ │               └─ appended to, closed or asked for meanwhile: refused
//!             │ └──close──► blob, if the digest is right; else gone
//!             └──cancelled, or nothing heard for long──► gone
//! ```
//!
//! Sessions live in memory: a restart ends them, and removes their files. Their number, size and age are limited.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::MAX_MODULE;
use super::blobs::{BlobError, BlobWriter, Blobs};
use super::digest::Digest;
use crate::clock::Clock;
use crate::ids::Ids;

/// Sessions at a time. Each may hold an open file of [`MAX_MODULE`] bytes.
const MOST: usize = 64;

/// How long nothing may be heard of a session before it is gone.
pub const ABANDONED: Duration = Duration::from_secs(600);

/// Why a session did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("there is no such upload: it was finished, cancelled, or left alone for {} minutes", ABANDONED.as_secs() / 60)]
    Unknown,
    #[error("another request is writing to this upload")]
    Busy,
    #[error("the upload has {has} bytes, so the next one is number {has}, and not {given}")]
    OutOfOrder { has: u64, given: u64 },
    #[error("there are {MOST} uploads under way already: try again later")]
    TooMany,
    /// The bytes did not all arrive; those that did are kept.
    #[error("the bytes did not arrive whole: {0}")]
    Source(io::Error),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("it was given up, because this process is about to end")]
    GivenUp,
}

/// All sessions. Cheap to clone.
#[derive(Clone)]
pub struct Uploads(Arc<Inner>);

struct Inner {
    blobs: Blobs,
    clock: Clock,
    ids: Ids,
    open: Mutex<HashMap<String, Session>>,
}

struct Session {
    repository: String,
    /// `None` while a request writes.
    writer: Option<BlobWriter>,
    heard: Instant,
}

impl Uploads {
    pub fn new(blobs: Blobs, clock: Clock, ids: Ids) -> Uploads {
        Uploads(Arc::new(Inner { blobs, clock, ids, open: Mutex::default() }))
    }

    /// Begins a session; its name cannot be guessed by who has not begun it.
    pub async fn open(&self, repository: &str) -> Result<String, UploadError> {
        if self.0.open.lock().len() >= MOST {
            return Err(UploadError::TooMany);
        }
        let blobs = self.0.blobs.clone();
        let writer = blocking(move || Ok(blobs.writer(MAX_MODULE)?)).await?;
        let (id, heard) = (self.0.ids.uid(), self.0.clock.instant());
        {
            let mut open = self.0.open.lock();
            if open.len() >= MOST {
                return Err(UploadError::TooMany);
            }
            open.insert(id.clone(), Session { repository: repository.to_owned(), writer: Some(writer), heard });
        }
        tokio::spawn(forget(Arc::downgrade(&self.0), id.clone(), self.0.clock.clone()));
        Ok(id)
    }

    /// Bytes that a session has.
    pub fn size(&self, repository: &str, id: &str) -> Result<u64, UploadError> {
        let mut open = self.0.open.lock();
        let session = open.get_mut(id).filter(|s| s.repository == repository).ok_or(UploadError::Unknown)?;
        session.heard = self.0.clock.instant();
        session.writer.as_ref().map(BlobWriter::size).ok_or(UploadError::Busy)
    }

    /// Appends all of `bytes`, which must begin at byte number `at` if that is given. Answers how many bytes the session has
    /// then; what came before an error stays.
    pub async fn append(
        &self,
        repository: &str,
        id: &str,
        at: Option<u64>,
        bytes: impl Read + Send + 'static,
    ) -> Result<u64, UploadError> {
        let writer = self.take(repository, id, at)?;
        // To its end, even if who asked has gone: so that the session is idle again.
        let (this, id) = (self.clone(), id.to_owned());
        let task = tokio::spawn(async move {
            let written = tokio::task::spawn_blocking(move || append(writer, bytes)).await;
            let (writer, result) = written.map_err(|_| UploadError::GivenUp)?;
            let size = writer.size();
            match result {
                // A blob that has become too large will not become smaller.
                Err(error @ UploadError::Blob(_)) => {
                    this.0.open.lock().remove(&id);
                    Err(error)
                }
                result => {
                    this.put_back(&id, writer);
                    result.map(|()| size)
                }
            }
        });
        task.await.map_err(|_| UploadError::GivenUp)?
    }

    /// Ends the session: its bytes are a blob now, if they have this digest. If they have not, they are gone.
    pub async fn close(&self, repository: &str, id: &str, digest: Digest) -> Result<(), UploadError> {
        let writer = self.take(repository, id, None)?;
        self.0.open.lock().remove(id);
        blocking(move || Ok(writer.finish(Some(digest)).map(drop)?)).await
    }

    pub fn cancel(&self, repository: &str, id: &str) -> Result<(), UploadError> {
        self.take(repository, id, None)?;
        self.0.open.lock().remove(id);
        Ok(())
    }

    fn take(&self, repository: &str, id: &str, at: Option<u64>) -> Result<BlobWriter, UploadError> {
        let mut open = self.0.open.lock();
        let session = open.get_mut(id).filter(|s| s.repository == repository).ok_or(UploadError::Unknown)?;
        session.heard = self.0.clock.instant();
        let has = session.writer.as_ref().ok_or(UploadError::Busy)?.size();
        if let Some(given) = at.filter(|given| *given != has) {
            return Err(UploadError::OutOfOrder { has, given });
        }
        session.writer.take().ok_or(UploadError::Busy)
    }

    fn put_back(&self, id: &str, writer: BlobWriter) {
        if let Some(session) = self.0.open.lock().get_mut(id) {
            session.writer = Some(writer);
            session.heard = self.0.clock.instant();
        }
    }
}

fn append(mut writer: BlobWriter, mut bytes: impl Read) -> (BlobWriter, Result<(), UploadError>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let result = match bytes.read(&mut buffer) {
            Ok(0) => Ok(()),
            Ok(n) => match writer.write(&buffer[..n]) {
                Ok(()) => continue,
                Err(error) => Err(error.into()),
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(UploadError::Source(error)),
        };
        return (writer, result);
    }
}

/// Ends a session of which nothing was heard for long.
async fn forget(uploads: Weak<Inner>, id: String, clock: Clock) {
    loop {
        let left = {
            let Some(this) = uploads.upgrade() else { return };
            let mut open = this.open.lock();
            let Some(session) = open.get(&id) else { return };
            let silent = clock.instant().saturating_duration_since(session.heard);
            // One that is written to has its own time; what is heard of that is its end.
            if session.writer.is_some() && silent >= ABANDONED {
                open.remove(&id);
                return;
            }
            ABANDONED.saturating_sub(silent).max(Duration::from_secs(1))
        };
        clock.sleep(left).await;
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UploadError> + Send + 'static,
) -> Result<T, UploadError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| UploadError::GivenUp)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::Opened;

    fn uploads(opened: &Opened, clock: &Clock) -> Uploads {
        Uploads::new(opened.modules.blobs().clone(), clock.clone(), Ids::seeded(1))
    }

    fn clock() -> Clock {
        Clock::manual(jiff::Timestamp::UNIX_EPOCH)
    }

    /// Some bytes, and then a broken connection.
    struct Broken(&'static [u8]);

    impl Read for Broken {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.0.read(into)? {
                0 => Err(io::ErrorKind::ConnectionReset.into()),
                n => Ok(n),
            }
        }
    }

    #[tokio::test]
    async fn a_blob_comes_in_pieces_also_after_a_broken_connection() {
        let opened = Opened::new();
        let uploads = uploads(&opened, &clock());
        let id = uploads.open("a").await.unwrap();
        assert_eq!(uploads.append("a", &id, Some(0), &b"hello "[..]).await.unwrap(), 6);
        let wrong = uploads.append("a", &id, Some(7), &b"x"[..]).await.unwrap_err();
        assert!(matches!(wrong, UploadError::OutOfOrder { has: 6, given: 7 }), "{wrong}");
        let broken = uploads.append("a", &id, None, Broken(b"wor")).await.unwrap_err();
        assert!(matches!(broken, UploadError::Source(_)), "{broken}");
        assert_eq!(uploads.size("a", &id).unwrap(), 9);
        assert!(matches!(uploads.size("other", &id), Err(UploadError::Unknown)), "a session is of its repository");
        uploads.append("a", &id, Some(9), &b"ld"[..]).await.unwrap();
        let digest = Digest::of(b"hello world");
        uploads.close("a", &id, digest).await.unwrap();
        assert_eq!(opened.modules.blobs().read(digest).unwrap(), b"hello world");
        assert!(matches!(uploads.close("a", &id, digest).await, Err(UploadError::Unknown)));
    }

    #[tokio::test]
    async fn what_has_another_digest_or_is_cancelled_is_gone() {
        let opened = Opened::new();
        let uploads = uploads(&opened, &clock());
        let id = uploads.open("a").await.unwrap();
        uploads.append("a", &id, None, &b"x"[..]).await.unwrap();
        let wrong = uploads.close("a", &id, Digest::of(b"y")).await.unwrap_err();
        assert!(matches!(wrong, UploadError::Blob(BlobError::Mismatch { .. })), "{wrong}");
        let id = uploads.open("a").await.unwrap();
        assert_eq!(opened.files(), (0, 1));
        uploads.cancel("a", &id).unwrap();
        assert!(matches!(uploads.size("a", &id), Err(UploadError::Unknown)));
        assert_eq!(opened.files(), (0, 0));
    }

    #[tokio::test]
    async fn sessions_are_limited_in_number_size_and_age() {
        let opened = Opened::new();
        let clock = clock();
        let uploads = uploads(&opened, &clock);
        let id = uploads.open("a").await.unwrap();
        let large = uploads.append("a", &id, None, io::repeat(0)).await.unwrap_err();
        assert!(matches!(large, UploadError::Blob(BlobError::TooLarge { .. })), "{large}");
        let mut ids = Vec::new();
        for _ in 0..MOST {
            ids.push(uploads.open("a").await.unwrap());
        }
        assert!(matches!(uploads.open("a").await, Err(UploadError::TooMany)));
        clock.advance(ABANDONED / 2);
        uploads.size("a", &ids[0]).unwrap();
        clock.advance(ABANDONED / 2);
        for _ in 0..1_000_000 {
            if opened.files() == (0, 1) {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(opened.files(), (0, 1), "all but the one of which was heard");
        uploads.size("a", &ids[0]).unwrap();
        uploads.open("a").await.unwrap();
    }
}
