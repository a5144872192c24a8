//! Opens directories of the host without following symbolic links. Guests can make links in directories that others of
//! their pod use, or that a pod after them will use; a path that was looked at before is not what it was.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, openat};

const STEP: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::PATH);

/// Opens `path`, which must have no symbolic link and no `..` in it.
pub fn open_without_links(path: &Path) -> io::Result<OwnedFd> {
    let start = if path.is_absolute() { "/" } else { "." };
    let mut here = openat(CWD, start, STEP, Mode::empty())?;
    for step in path.components() {
        match step {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => here = openat(&here, name, STEP, Mode::empty())?,
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is not plain"));
            }
        }
    }
    Ok(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_anywhere_in_the_path_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("a/b")).unwrap();
        std::os::unix::fs::symlink("a", base.join("link")).unwrap();
        for (path, opens) in [("a/b", true), ("link/b", false), ("link", false), ("a/../a", false), ("none", false)] {
            assert_eq!(open_without_links(&base.join(path)).is_ok(), opens, "{path}");
        }
    }
}
