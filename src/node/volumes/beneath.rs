//! Files below a directory, reached step by step and never over a symbolic link: guests write in these directories,
//! also while kiln looks. What is opened here is what is used, or it is opened in the same way again.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, linkat, mkdirat, openat, statat};
use rustix::io::Errno;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const MODE: Mode = Mode::from_raw_mode(0o755);

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    Directory,
    File,
    Link,
    Socket,
    CharDevice,
    BlockDevice,
    Fifo,
}

/// Looks at `below` under `base`.
pub fn look(base: &Path, below: &Path) -> io::Result<Found> {
    let Some((parent, name)) = split(below) else { return Ok(Found::Directory) };
    let parent = match walk(base, parent, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        parent => parent?,
    };
    let stat = match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(Found::Nothing),
        stat => stat?,
    };
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Found::Directory,
        FileType::RegularFile => Found::File,
        FileType::Symlink => Found::Link,
        FileType::Socket => Found::Socket,
        FileType::CharacterDevice => Found::CharDevice,
        FileType::BlockDevice => Found::BlockDevice,
        _ => Found::Fifo,
    })
}

/// Makes the directory `below` under `base`, and what leads to it.
pub fn make(base: &Path, below: &Path) -> io::Result<()> {
    walk(base, below, true).map(|_| ())
}

/// Makes an empty file in a directory that exists.
pub fn make_file(base: &Path, below: &Path) -> io::Result<()> {
    let Some((parent, name)) = split(below) else { return Err(io::ErrorKind::IsADirectory.into()) };
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(walk(base, parent, false)?, name, flags, Mode::from_raw_mode(0o644))?;
    Ok(())
}

/// Opens the plain file `below` under `base` to be read.
pub fn open_file(base: &Path, below: &Path) -> io::Result<File> {
    let Some((parent, name)) = split(below) else { return Err(io::ErrorKind::IsADirectory.into()) };
    // NONBLOCK: whatever has taken the file's place, a FIFO holds up nobody.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(walk(base, parent, false)?, name, flags, Mode::empty())?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file")),
    }
}

/// Makes `target` another name of the plain file `below` under `base`.
pub fn link_file(base: &Path, below: &Path, target: &Path) -> io::Result<()> {
    let Some((parent, name)) = split(below) else { return Err(io::ErrorKind::IsADirectory.into()) };
    let parent = walk(base, parent, false)?;
    // A link in the file's place would itself get the new name; it is seen below and goes no further.
    linkat(&parent, name, CWD, target, AtFlags::empty())?;
    match target.symlink_metadata()?.is_file() {
        true => Ok(()),
        false => {
            std::fs::remove_file(target)?;
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file"))
        }
    }
}

fn split(below: &Path) -> Option<(&Path, &std::ffi::OsStr)> {
    Some((below.parent().unwrap_or(Path::new("")), below.file_name()?))
}

fn walk(base: &Path, below: &Path, make: bool) -> io::Result<OwnedFd> {
    let mut here = openat(CWD, base, DIRECTORY | OFlags::PATH, Mode::empty())?;
    for step in below.components() {
        let name = match step {
            Component::Normal(name) => name,
            Component::CurDir => continue,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leads out of its volume")),
        };
        here = match step_into(here.as_fd(), name) {
            Err(Errno::NOENT) if make => {
                match mkdirat(&here, name, MODE) {
                    Err(Errno::EXIST) => {}
                    made => made?,
                }
                step_into(here.as_fd(), name)?
            }
            next => next?,
        };
    }
    Ok(here)
}

fn step_into(here: BorrowedFd<'_>, name: &std::ffi::OsStr) -> Result<OwnedFd, Errno> {
    openat(here, name, DIRECTORY | OFlags::PATH, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_is_reached_over_a_link_or_upwards() {
        let dir = tempfile::tempdir().unwrap();
        let (base, outside) = (dir.path().join("base"), dir.path().join("outside"));
        fs::create_dir_all(base.join("d")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(base.join("d/f"), "x").unwrap();
        fs::write(outside.join("f"), "secret").unwrap();
        symlink(&outside, base.join("out")).unwrap();
        symlink(outside.join("f"), base.join("d/link")).unwrap();
        let found = |path: &str| look(&base, Path::new(path)).ok();
        assert_eq!(found(""), Some(Found::Directory));
        assert_eq!(found("d/f"), Some(Found::File));
        assert_eq!(found("d/none/x"), Some(Found::Nothing));
        assert_eq!(found("d/link"), Some(Found::Link));
        assert_eq!(found("out/f"), None);
        assert_eq!(found("../outside"), None);
        assert!(make(&base, Path::new("out/new")).is_err());
        assert!(make_file(&base, Path::new("out/new")).is_err());
        assert!(open_file(&base, Path::new("d/link")).is_err());
        assert!(open_file(&base, Path::new("d")).is_err());
        assert!(link_file(&base, Path::new("d/link"), &dir.path().join("l")).is_err());
        assert!(!dir.path().join("l").exists());
        make(&base, Path::new("d/e/f")).unwrap();
        assert_eq!(found("d/e/f"), Some(Found::Directory));
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }
}
