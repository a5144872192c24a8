//! Removes a directory and all that is in it, whatever a guest has made of it.
//!
//! Why not `std::fs::remove_dir_all`: it holds a handle and a stack frame per level, and a guest can nest directories
//! deeper than a process may have files open. This holds one directory at a time and goes up by `..`. Never: follows a
//! symbolic link; goes above the directory it was given.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;

const OPEN: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes `path`, whether it is a directory, a file or a link; it need not exist. Blocks on the disk.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match rustix::fs::unlinkat(CWD, path, AtFlags::empty()) {
        // What Linux and POSIX answer for a directory.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(Errno::NOENT) => return Ok(()),
        removed => return Ok(removed?),
    }
    let mut here = rustix::fs::openat(CWD, path, OPEN, Mode::empty())?;
    let mut above: Vec<(u64, u64)> = Vec::new();
    loop {
        match empty_until_full(&here)? {
            Some(below) => {
                above.push(identity(&rustix::fs::fstat(&here)?));
                here = below;
            }
            None => {
                let Some(expected) = above.pop() else { break };
                here = rustix::fs::openat(&here, c"..", OPEN, Mode::empty())?;
                if identity(&rustix::fs::fstat(&here)?) != expected {
                    return Err(io::Error::other("a directory was moved while it was removed"));
                }
            }
        }
    }
    match rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        removed => Ok(removed?),
    }
}

/// Removes the entries of `directory` until it meets a directory that is not empty, and opens that one.
fn empty_until_full(directory: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    loop {
        let mut removed = 0_usize;
        rustix::fs::seek(directory, rustix::fs::SeekFrom::Start(0))?;
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut entries = RawDir::new(directory, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
                Err(Errno::ISDIR | Errno::PERM) => {}
                Err(Errno::NOENT) => continue,
                gone => {
                    gone?;
                    removed += 1;
                    continue;
                }
            }
            match rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => {
                    return Ok(Some(rustix::fs::openat(directory, name, OPEN, Mode::empty())?));
                }
                Err(Errno::NOENT) => {}
                gone => {
                    gone?;
                    removed += 1;
                }
            }
        }
        // A file system may skip entries while others are removed: only a pass that met none is the last.
        if removed == 0 {
            return Ok(None);
        }
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn trees_files_links_and_nothing_are_removed_and_what_links_lead_to_stays() {
        let base = tempfile::tempdir().unwrap();
        let (tree, outside) = (base.path().join("tree"), base.path().join("outside"));
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        fs::write(tree.join("a/file"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("a/b/out")).unwrap();
        for i in 0..1_000 {
            fs::write(tree.join(format!("a/b/c/{i}")), "").unwrap();
            fs::create_dir_all(tree.join(format!("d{i}/e"))).unwrap();
        }
        remove_tree(&tree).unwrap();
        remove_tree(&tree).unwrap();
        std::os::unix::fs::symlink(&outside, &tree).unwrap();
        remove_tree(&tree).unwrap();
        fs::write(&tree, "").unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && outside.join("kept").exists());
    }

    #[test]
    fn ten_thousand_levels_are_removed() {
        let base = tempfile::tempdir().unwrap();
        let tree = base.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut here = rustix::fs::open(&tree, OPEN, Mode::empty()).unwrap();
        for _ in 0..10_000 {
            rustix::fs::mkdirat(&here, c"level", Mode::RWXU).unwrap();
            here = rustix::fs::openat(&here, c"level", OPEN, Mode::empty()).unwrap();
        }
        drop(here);
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }
}
