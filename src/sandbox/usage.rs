//! How many bytes are below a directory, whatever a guest has made of it: trees deeper than a path can be long, millions
//! of names, links.
//!
//! It holds one open directory at a time and goes up by `..`, so that depth costs neither handles nor stack; and it
//! remembers at most [`MOST_NAMES`] bytes of names that it has yet to look at, so that breadth costs no memory. Never:
//! follows a symbolic link; leaves the directory.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom, Stat};
use rustix::io::Errno;

use super::disk::{BLOCK, cost_of_size};

/// Bytes of names of subdirectories to remember, in one directory and in all that are being looked at.
const NAMES_AT_ONCE: usize = 8 << 10;
const MOST_NAMES: usize = 4 << 20;

/// A directory that is being looked at.
struct Level {
    device_and_inode: (u64, u64),
    /// Subdirectories found and not yet looked at.
    names: Vec<CString>,
    /// Where to read on once they are, if anything is left.
    rest: Option<u64>,
}

/// Bytes below `root`, each inode counted once, each name a block at least. Nothing that is missing is an error.
pub(super) fn of_directory(root: &Path, stopped: &AtomicBool) -> io::Result<u64> {
    let open = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut here = match rustix::fs::open(root, open, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(0),
        opened => opened?,
    };
    let stat = rustix::fs::fstat(&here)?;
    // The directory itself is not the guest's, but what its names have made it grow by is.
    let mut count = Count { bytes: cost_of_size(size_of(&stat)) - BLOCK, linked: HashSet::new(), names: 0 };
    let mut above: Vec<(u64, u64)> = Vec::new();
    let mut pending: Vec<Level> = vec![Level { device_and_inode: identity(&stat), names: Vec::new(), rest: Some(0) }];
    while let Some(level) = pending.last_mut() {
        if stopped.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
        if let Some(name) = level.names.pop() {
            count.names -= name.as_bytes().len();
            let below = match rustix::fs::openat(&here, &name, open, Mode::empty()) {
                // Gone meanwhile, or replaced.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                opened => opened?,
            };
            let identity = identity(&rustix::fs::fstat(&below)?);
            above.push(level.device_and_inode);
            pending.push(Level { device_and_inode: identity, names: Vec::new(), rest: Some(0) });
            here = below;
        } else if let Some(from) = level.rest {
            (level.names, level.rest) = count.entries(&here, from, stopped)?;
        } else {
            pending.pop();
            let Some(expected) = above.pop() else { break };
            here = up(&here, expected)?;
        }
    }
    Ok(count.bytes)
}

/// Bytes of those open files that no directory has a name for.
pub(super) fn of_nameless(open: &[Weak<File>]) -> u64 {
    let mut seen = HashSet::new();
    let mut bytes: u64 = 0;
    for file in open.iter().filter_map(Weak::upgrade) {
        if let Ok(found) = file.metadata()
            && found.nlink() == 0
            && seen.insert((found.dev(), found.ino()))
        {
            bytes = bytes.saturating_add(cost_of_size(found.len()));
        }
    }
    bytes
}

struct Count {
    bytes: u64,
    /// Files with several names that were counted.
    linked: HashSet<(u64, u64)>,
    /// Bytes of names remembered in all levels.
    names: usize,
}

impl Count {
    /// Counts the entries of `directory` from the place `from` on. Answers the subdirectories among them, and where to
    /// read on if those are enough for now.
    fn entries(
        &mut self,
        directory: &OwnedFd,
        from: u64,
        stopped: &AtomicBool,
    ) -> io::Result<(Vec<CString>, Option<u64>)> {
        let mut names = Vec::new();
        let most = if self.names < MOST_NAMES { NAMES_AT_ONCE } else { 1 };
        let mut bytes = 0;
        rustix::fs::seek(directory, SeekFrom::Start(from))?;
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut entries = RawDir::new(directory, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if !is_dots(name) && self.entry(directory, name)? {
                bytes += name.count_bytes();
                names.push(name.to_owned());
            }
            if bytes >= most {
                self.names += bytes;
                return Ok((names, Some(entry.next_entry_cookie())));
            }
            if stopped.load(Ordering::Relaxed) {
                return Err(io::Error::from(io::ErrorKind::Interrupted));
            }
        }
        self.names += bytes;
        Ok((names, None))
    }

    /// Counts one entry; answers whether it is a directory.
    fn entry(&mut self, directory: &OwnedFd, name: &CStr) -> io::Result<bool> {
        let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(false),
            found => found?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let counted = kind == FileType::RegularFile && links_of(&stat) > 1 && !self.linked.insert(identity(&stat));
        let cost = if counted { BLOCK } else { cost_of_size(size_of(&stat)) };
        self.bytes = self.bytes.saturating_add(cost);
        Ok(kind == FileType::Directory)
    }
}

/// The directory above, which must be the one we came from.
fn up(here: &OwnedFd, expected: (u64, u64)) -> io::Result<OwnedFd> {
    let open = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let above = rustix::fs::openat(here, c"..", open, Mode::empty())?;
    if identity(&rustix::fs::fstat(&above)?) != expected {
        return Err(io::Error::other("a directory was moved while it was measured"));
    }
    Ok(above)
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

#[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "the type differs between machines")]
fn links_of(stat: &Stat) -> u64 {
    stat.st_nlink as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn measured(root: &Path) -> u64 {
        of_directory(root, &AtomicBool::new(false)).unwrap()
    }

    #[test]
    fn each_name_costs_a_block_and_each_file_its_size_in_blocks() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(measured(root.path()), 0);
        fs::write(root.path().join("empty"), "").unwrap();
        assert_eq!(measured(root.path()), BLOCK);
        fs::write(root.path().join("full"), vec![0; 4096]).unwrap();
        fs::write(root.path().join("more"), vec![0; 4097]).unwrap();
        assert_eq!(measured(root.path()), 4 * BLOCK);
        fs::create_dir(root.path().join("dir")).unwrap();
        std::os::unix::fs::symlink("/", root.path().join("dir/link")).unwrap();
        assert_eq!(measured(root.path()), 6 * BLOCK);
        let sparse = fs::File::create(root.path().join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        assert_eq!(measured(root.path()), 6 * BLOCK + (1 << 40));
        assert_eq!(measured(&root.path().join("missing")), 0);
    }

    #[test]
    fn a_file_with_several_names_counts_once() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a"), vec![0; 1 << 20]).unwrap();
        fs::hard_link(root.path().join("a"), root.path().join("b")).unwrap();
        assert_eq!(measured(root.path()), (1 << 20) + BLOCK);
    }

    #[test]
    fn wide_trees_are_counted_whole() {
        let root = tempfile::tempdir().unwrap();
        for i in 0..2_000 {
            let directory = root.path().join(format!("directory-with-a-longer-name-{i}"));
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("file"), "x").unwrap();
        }
        let own = cost_of_size(fs::metadata(root.path()).unwrap().len()) - BLOCK;
        assert_eq!(measured(root.path()), 4_000 * BLOCK + own);
        // Also when no name may be remembered.
        let mut count = Count { bytes: 0, linked: HashSet::new(), names: MOST_NAMES };
        let directory = rustix::fs::open(root.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let (mut from, mut found) = (Some(0), 0);
        while let Some(place) = from {
            let (names, rest) = count.entries(&directory, place, &AtomicBool::new(false)).unwrap();
            assert!(names.len() <= 1);
            found += names.len();
            from = rest;
        }
        assert_eq!(found, 2_000);
    }

    #[test]
    fn files_without_a_name_count_while_they_are_open() {
        use std::sync::Arc;
        let root = tempfile::tempdir().unwrap();
        let file = Arc::new(fs::File::create(root.path().join("f")).unwrap());
        file.set_len(10_000).unwrap();
        let open = [Arc::downgrade(&file), Arc::downgrade(&file)];
        assert_eq!(of_nameless(&open), 0);
        fs::remove_file(root.path().join("f")).unwrap();
        assert_eq!(of_nameless(&open), 3 * BLOCK);
        drop(file);
        assert_eq!(of_nameless(&open), 0);
    }
}
