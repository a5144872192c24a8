//! Files named by what they hold: `<directory>/blobs/sha256/<hex>`.
//!
//! A file appears under its name complete and on disk, or not at all: it is written under another name, hashed on the
//! way, synced, and renamed. The same bytes are one file. What is read is hashed again, so that a disk that lies is
//! found out here and not in a guest.
//!
//! All calls block on the disk: use them from a thread that may.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{AtFlags, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::digest::Digest;

/// The blobs under one directory.
#[derive(Clone, Debug)]
pub struct Blobs {
    blobs: PathBuf,
    unfinished: PathBuf,
    /// Whether the directory is gone with the process: then nothing waits for the disk.
    is_temporary: bool,
}

/// What can go wrong with a blob.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("larger than the {limit} bytes allowed")]
    TooLarge { limit: u64 },
    #[error("there is no module {0}")]
    NotFound(Digest),
    #[error("the bytes have the digest {found}, and {expected} was announced")]
    Mismatch { expected: Digest, found: Digest },
    #[error("the file {} is damaged: it holds other bytes than its name says; push the module again", .0.display())]
    Damaged(PathBuf),
    #[error("no space left on the disk of {}", .0.display())]
    Full(PathBuf),
    #[error("cannot {what} {}: {cause}", path.display())]
    Io { what: &'static str, path: PathBuf, cause: io::Error },
}

impl BlobError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BlobError {
        move |cause| match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BlobError::Full(path.to_owned()),
            _ => BlobError::Io { what, path: path.to_owned(), cause },
        }
    }
}

impl Blobs {
    /// Opens `directory`, makes what is not there, and removes what a crash left unfinished.
    pub fn open(directory: &Path) -> Result<Blobs, BlobError> {
        let root = directory.join("blobs");
        let (blobs, unfinished) = (root.join("sha256"), root.join("unfinished"));
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(BlobError::io("clear", &unfinished)(error));
            }
            _ => {}
        }
        for path in [&blobs, &unfinished] {
            fs::create_dir_all(path).map_err(BlobError::io("make", path))?;
        }
        Ok(Blobs { blobs, unfinished, is_temporary: false })
    }

    /// For a directory that is removed when this process ends: blobs need not outlive it.
    pub fn temporary(self, is_temporary: bool) -> Blobs {
        Blobs { is_temporary, ..self }
    }

    /// Where the blob is, or would be.
    pub fn path(&self, digest: Digest) -> PathBuf {
        self.blobs.join(digest.hex())
    }

    /// The size of the blob in bytes, if it is there.
    pub fn size(&self, digest: Digest) -> Result<Option<u64>, BlobError> {
        let path = self.path(digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::io("look at", &path)(error)),
        }
    }

    /// Starts a blob of at most `limit` bytes. Nothing of it stays if the writer is dropped before it has finished.
    pub fn writer(&self, limit: u64) -> Result<BlobWriter, BlobError> {
        let file = NamedTempFile::new_in(&self.unfinished).map_err(BlobError::io("write in", &self.unfinished))?;
        Ok(BlobWriter { blobs: self.clone(), file, hash: Sha256::new(), size: 0, limit })
    }

    /// Writes a blob in one go.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let mut writer = self.writer(bytes.len() as u64)?;
        writer.write(bytes)?;
        writer.finish(None)
    }

    /// Writes a blob in one go, unless it is there and whole; then it counts as new again.
    pub fn keep(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let digest = Digest::of(bytes);
        match self.read(digest) {
            Ok(_) if self.touch(digest)? => Ok(digest),
            _ => self.put(bytes),
        }
    }

    /// Lets a blob count as new, so that it is not collected before somebody has had the time to refer to it. Whether it is
    /// there.
    pub fn touch(&self, digest: Digest) -> Result<bool, BlobError> {
        let path = self.path(digest);
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        match rustix::fs::utimensat(rustix::fs::CWD, &path, &times, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(BlobError::io("touch", &path)(error.into())),
        }
    }

    /// Reads a blob and checks its digest.
    pub fn read(&self, digest: Digest) -> Result<Vec<u8>, BlobError> {
        let path = self.path(digest);
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BlobError::NotFound(digest),
            _ => BlobError::io("read", &path)(error),
        })?;
        if Digest::of(&bytes) == digest { Ok(bytes) } else { Err(BlobError::Damaged(path)) }
    }

    /// All blobs and their sizes, in order of their digests. Files of other names are not ours, and left out.
    pub fn list(&self) -> Result<Vec<(Digest, u64)>, BlobError> {
        let mut blobs = Vec::new();
        for entry in fs::read_dir(&self.blobs).map_err(BlobError::io("list", &self.blobs))? {
            let entry = entry.map_err(BlobError::io("list", &self.blobs))?;
            let Some(digest) = entry.file_name().to_str().and_then(Digest::from_hex) else { continue };
            // Removed since it was listed: then it is not there.
            if let Some(size) = self.size(digest)? {
                blobs.push((digest, size));
            }
        }
        blobs.sort();
        Ok(blobs)
    }

    /// As [`Blobs::list`], each with when it was written or last touched.
    pub fn list_with_times(&self) -> Result<Vec<(Digest, u64, Timestamp)>, BlobError> {
        let mut blobs = Vec::new();
        for (digest, size) in self.list()? {
            let path = self.path(digest);
            match fs::metadata(&path).and_then(|metadata| metadata.modified()) {
                // A time that cannot be told is long ago.
                Ok(time) => blobs.push((digest, size, Timestamp::try_from(time).unwrap_or(Timestamp::MIN))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(BlobError::io("look at", &path)(error)),
            }
        }
        Ok(blobs)
    }

    /// Makes the names of blobs durable.
    fn sync_names(&self) -> Result<(), BlobError> {
        if self.is_temporary {
            return Ok(());
        }
        File::open(&self.blobs).and_then(|names| names.sync_all()).map_err(BlobError::io("sync", &self.blobs))
    }

    /// Removes a blob; whether it was there.
    pub fn remove(&self, digest: Digest) -> Result<bool, BlobError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Ok(()) => self.sync_names().map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(BlobError::io("remove", &path)(error)),
        }
    }
}

/// A blob on its way to the disk.
pub struct BlobWriter {
    blobs: Blobs,
    /// Removed when dropped, unless it was renamed before.
    file: NamedTempFile,
    hash: Sha256,
    size: u64,
    limit: u64,
}

impl BlobWriter {
    /// Appends; refuses what goes beyond the limit before it is written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let size = self.size.saturating_add(bytes.len() as u64);
        if size > self.limit {
            return Err(BlobError::TooLarge { limit: self.limit });
        }
        self.file.write_all(bytes).map_err(BlobError::io("write", self.file.path()))?;
        self.hash.update(bytes);
        self.size = size;
        Ok(())
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest of the bytes so far.
    pub fn digest(&self) -> Digest {
        Digest::from_hash(self.hash.clone())
    }

    /// Makes the blob appear under its digest, on disk when this returns; refuses bytes other than those `expected`.
    /// A blob that is there already is replaced by these same bytes, which mends it if it was damaged.
    pub fn finish(self, expected: Option<Digest>) -> Result<Digest, BlobError> {
        let found = Digest::from_hash(self.hash);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(BlobError::Mismatch { expected, found });
        }
        let path = self.blobs.path(found);
        if !self.blobs.is_temporary {
            self.file.as_file().sync_all().map_err(BlobError::io("sync", self.file.path()))?;
        }
        // A crash before the rename leaves an unfinished file, which the next start removes; after it, the blob.
        self.file.persist(&path).map_err(|error| BlobError::io("name", &path)(error.error))?;
        self.blobs.sync_names()?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs() -> (tempfile::TempDir, Blobs) {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(directory.path()).unwrap();
        (directory, blobs)
    }

    fn unfinished(blobs: &Blobs) -> usize {
        fs::read_dir(&blobs.unfinished).unwrap().count()
    }

    #[test]
    fn what_is_written_in_pieces_is_read_whole_and_survives_a_restart() {
        let (directory, blobs) = blobs();
        let mut writer = blobs.writer(100).unwrap();
        writer.write(b"hello ").unwrap();
        writer.write(b"world").unwrap();
        let digest = writer.finish(Some(Digest::of(b"hello world"))).unwrap();
        let blobs = Blobs::open(directory.path()).unwrap();
        assert_eq!(blobs.read(digest).unwrap(), b"hello world");
        assert_eq!(blobs.size(digest).unwrap(), Some(11));
        assert_eq!(blobs.list().unwrap(), [(digest, 11)]);
    }

    #[test]
    fn the_same_bytes_are_one_file_and_other_bytes_another() {
        let (_directory, blobs) = blobs();
        assert_eq!(blobs.put(b"a").unwrap(), blobs.put(b"a").unwrap());
        blobs.put(b"b").unwrap();
        assert_eq!(blobs.list().unwrap().len(), 2);
        assert_eq!(unfinished(&blobs), 0);
    }

    #[test]
    fn a_blob_up_to_the_limit_is_taken_and_a_byte_more_is_not() {
        let (_directory, blobs) = blobs();
        let mut writer = blobs.writer(3).unwrap();
        writer.write(b"abc").unwrap();
        assert!(matches!(writer.write(b"d"), Err(BlobError::TooLarge { limit: 3 })));
        drop(writer);
        let mut writer = blobs.writer(3).unwrap();
        assert!(matches!(writer.write(b"abcd"), Err(BlobError::TooLarge { limit: 3 })));
        let mut writer = blobs.writer(3).unwrap();
        writer.write(b"abc").unwrap();
        writer.finish(None).unwrap();
    }

    #[test]
    fn an_unfinished_or_refused_blob_leaves_nothing() {
        let (directory, blobs) = blobs();
        let mut writer = blobs.writer(100).unwrap();
        writer.write(b"half").unwrap();
        assert_eq!(unfinished(&blobs), 1);
        drop(writer);
        let mut writer = blobs.writer(100).unwrap();
        writer.write(b"other").unwrap();
        let refused = writer.finish(Some(Digest::of(b"announced")));
        assert!(matches!(refused, Err(BlobError::Mismatch { .. })), "{refused:?}");
        assert_eq!((unfinished(&blobs), blobs.list().unwrap().len()), (0, 0));
        // Killed in the middle: the next start clears it away.
        fs::write(blobs.unfinished.join("left"), "x").unwrap();
        assert_eq!(unfinished(&Blobs::open(directory.path()).unwrap()), 0);
    }

    #[test]
    fn a_damaged_blob_is_never_read_and_writing_it_again_mends_it() {
        let (_directory, blobs) = blobs();
        let digest = blobs.put(b"good").unwrap();
        fs::write(blobs.path(digest), "bad").unwrap();
        assert!(matches!(blobs.read(digest), Err(BlobError::Damaged(_))));
        blobs.put(b"good").unwrap();
        assert_eq!(blobs.read(digest).unwrap(), b"good");
    }

    #[test]
    fn a_removed_blob_is_gone_and_removing_it_again_says_so() {
        let (_directory, blobs) = blobs();
        let digest = blobs.put(b"x").unwrap();
        assert!(blobs.remove(digest).unwrap());
        assert!(!blobs.remove(digest).unwrap());
        assert!(matches!(blobs.read(digest), Err(BlobError::NotFound(missing)) if missing == digest));
        assert_eq!(blobs.size(digest).unwrap(), None);
    }

    #[test]
    fn a_full_disk_is_an_error_that_says_so() {
        let full = BlobError::io("write", Path::new("/data"))(io::ErrorKind::StorageFull.into());
        assert_eq!(full.to_string(), "no space left on the disk of /data");
    }

    #[test]
    fn files_of_other_names_are_left_alone() {
        let (_directory, blobs) = blobs();
        fs::write(blobs.blobs.join("README"), "x").unwrap();
        assert_eq!(blobs.list().unwrap(), []);
    }
}
