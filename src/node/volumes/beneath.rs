//! Opens what lies below a directory in which guests write, without following a link on the way: each step is opened
//! by itself, and what was opened cannot be exchanged any more.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
use rustix::io::Errno;

const STEP: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// What was found.
#[derive(Debug)]
pub enum Found {
    Directory(OwnedFd),
    File(File),
}

/// Opens `below` in `base`. With `create`, directories that are not there are made.
pub fn find(base: &Path, below: &Path, create: bool) -> io::Result<Found> {
    let mut at = open(base, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut steps = below.components().filter(|step| *step != Component::CurDir).peekable();
    while let Some(step) = steps.next() {
        let Component::Normal(name) = step else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leads out of its directory"));
        };
        at = match openat(&at, name, STEP, Mode::empty()) {
            Err(Errno::NOENT) if create => {
                match mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                openat(&at, name, STEP | OFlags::DIRECTORY, Mode::empty())?
            }
            Err(Errno::LOOP) => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leads over a symbolic link"));
            }
            opened => opened?,
        };
        let file = File::from(at);
        let kind = file.metadata()?;
        if !kind.is_dir() {
            return match steps.peek() {
                None if kind.is_file() => Ok(Found::File(file)),
                None => Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a directory nor a plain file")),
                Some(_) => Err(Errno::NOTDIR.into()),
            };
        }
        at = file.into();
    }
    Ok(Found::Directory(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn directories_and_files_are_found_and_links_are_not_followed() {
        let base = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let find = |below: &str, create| find(base.path(), Path::new(below), create);
        assert_eq!(find("a/b", false).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(matches!(find("a/b", true), Ok(Found::Directory(_))));
        assert!(base.path().join("a/b").is_dir());
        std::fs::write(base.path().join("a/f"), "x").unwrap();
        assert!(matches!(find("a/f", false), Ok(Found::File(_))));
        assert!(find("a/f/g", true).is_err());
        symlink(outside.path(), base.path().join("a/link")).unwrap();
        for path in ["a/link", "a/link/x", "../x", "/etc"] {
            assert!(find(path, true).is_err(), "{path}");
        }
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
        rustix::fs::mkfifoat(rustix::fs::CWD, base.path().join("fifo"), Mode::from_raw_mode(0o600)).unwrap();
        assert!(find("fifo", false).unwrap_err().to_string().contains("plain file"), "and it does not wait");
    }
}
