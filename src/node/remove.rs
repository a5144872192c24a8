//! Removes a directory with all that a guest left in it, whatever that is.
//!
//! A guest can nest directories deeper than a thread's stack, a process's open files, or a path may go, so nothing here
//! recurses, keeps directories open, or lets a path grow: each directory that is found is first moved up, next to its
//! parent, and so is met again at the same small depth. Links are removed and never followed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Removes the directory `path`; that it is not there is no fault. Its parent must be a directory that no guest can write
/// to. Blocks on the disk, for as long as a guest had time to make entries.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.is_dir() => return fs::remove_file(path),
        Ok(_) => {}
    }
    let work = work_dir(path)?;
    fs::rename(path, work.join("0"))?;
    // Directories are numbered as they are found: those below `next` are gone, those from `found` on do not exist.
    let (mut next, mut found) = (0_u64, 1_u64);
    while next < found {
        empty(&work, next, &mut found)?;
        fs::remove_dir(work.join(next.to_string()))?;
        next += 1;
    }
    fs::remove_dir(&work)
}

/// Removes all that is in the directory `path`, in which no guest can write; also what a crash left half removed.
pub fn remove_contents(path: &Path) -> io::Result<()> {
    let entries: Vec<_> = fs::read_dir(path)?.collect::<io::Result<_>>()?;
    entries.iter().try_for_each(|entry| remove_tree(&entry.path()))
}

/// A new directory beside `path`. What a crash leaves of one goes with its parent.
fn work_dir(path: &Path) -> io::Result<PathBuf> {
    let mut n = 0_u32;
    loop {
        // No pod, volume or container has a name that begins with a dot.
        let work = path.with_file_name(format!(".removing-{n}"));
        match fs::create_dir(&work) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && n < u32::MAX => n += 1,
            Err(error) => return Err(error),
            Ok(()) => return Ok(work),
        }
    }
}

/// Empties one directory: its files go, its directories become numbered ones.
fn empty(work: &Path, number: u64, found: &mut u64) -> io::Result<()> {
    let dir = work.join(number.to_string());
    loop {
        let mut any = false;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            any = true;
            if entry.file_type()?.is_dir() {
                fs::rename(entry.path(), work.join(found.to_string()))?;
                *found += 1;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        // A file system may skip entries of a directory that changes while it is read.
        if !any {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_left_goes_and_what_its_links_lead_to_stays() {
        let base = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "x").unwrap();
        let tree = base.path().join("tree");
        for name in ["a/b/c", "a/0", "0/1", "empty"] {
            fs::create_dir_all(tree.join(name)).unwrap();
            fs::write(tree.join(name).join("file"), "x").unwrap();
        }
        std::os::unix::fs::symlink(outside.path(), tree.join("a/link")).unwrap();
        std::os::unix::fs::symlink("nowhere", tree.join("dangling")).unwrap();
        remove_tree(&tree).unwrap();
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
        assert!(outside.path().join("kept").exists());
        remove_tree(&tree).unwrap();
    }

    #[test]
    fn a_link_in_place_of_the_directory_is_not_followed() {
        let base = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), base.path().join("link")).unwrap();
        remove_tree(&base.path().join("link")).unwrap();
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
        assert!(outside.path().join("kept").exists());
    }

    #[test]
    fn no_depth_is_too_deep() {
        let base = tempfile::tempdir().unwrap();
        let tree = base.path().join("tree");
        fs::create_dir(&tree).unwrap();
        // Deeper than a path can say: each chain of directories is moved into the one before.
        let mut inner: Option<PathBuf> = None;
        for n in 0..30 {
            let top = base.path().join(format!("chain-{n}"));
            let bottom = top.join("d/".repeat(500));
            fs::create_dir_all(&bottom).unwrap();
            if let Some(inner) = inner.take() {
                fs::rename(inner, bottom.join("d")).unwrap();
            }
            inner = Some(top);
        }
        fs::rename(inner.unwrap(), tree.join("d")).unwrap();
        // Half removed by a process that was killed: the contents as they are then.
        fs::create_dir_all(base.path().join(".removing-0/7/x")).unwrap();
        remove_contents(base.path()).unwrap();
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }
}
