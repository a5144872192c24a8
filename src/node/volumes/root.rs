//! The scratch root of a container: what it sees at `/`. Made anew for each run, before its guest is there to see it.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::Container;

use crate::sandbox::DEVICES;

/// Makes the root in an empty place. `mounts` are the guest's paths of other directories, normal ones.
pub fn make(root: &Path, container: &Container, hostname: &str, mounts: &[PathBuf]) -> io::Result<()> {
    for dir in ["dev", "etc", "tmp"] {
        fs::create_dir_all(root.join(dir))?;
    }
    // The sandbox puts the host's devices in their place.
    for device in DEVICES {
        fs::write(root.join("dev").join(device), b"")?;
    }
    fs::write(root.join("etc/hostname"), format!("{hostname}\n"))?;
    // A module has no current directory; this is for those that go to where PWD leads.
    let working_dir = container.working_dir.as_deref().and_then(|dir| normal(dir).ok());
    for dir in mounts.iter().chain(&working_dir) {
        // A place within a mount is the mount's, and not made: nobody asked to write into a volume.
        if outer(dir, mounts).is_none() {
            fs::create_dir_all(below(root, dir))?;
        }
    }
    Ok(())
}

/// The mount within which `path` lies, and is not itself.
pub fn outer<'a>(path: &Path, mounts: &'a [PathBuf]) -> Option<&'a PathBuf> {
    mounts.iter().find(|mount| path != *mount && path.starts_with(mount))
}

/// Where a guest's absolute path is in its root.
pub fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// An absolute path, without what is of no meaning in it. A relative one begins at `/`.
pub fn normal(path: &str) -> io::Result<PathBuf> {
    let mut normal = PathBuf::from("/");
    for step in Path::new(path).components() {
        match step {
            Component::Normal(name) => normal.push(name),
            Component::RootDir | Component::CurDir => {}
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{path} must not contain '..'"))),
        }
    }
    Ok(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_shows_mount_points_and_the_working_directory_but_nothing_within_a_mount() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let container = Container { working_dir: Some("/work/here".to_owned()), ..Container::default() };
        make(root, &container, "p-0", &["/a".into(), "/a/b".into(), "/c/d".into()]).unwrap();
        assert_eq!(fs::read_to_string(root.join("etc/hostname")).unwrap(), "p-0\n");
        for (path, there) in
            [("tmp", true), ("dev/null", true), ("a", true), ("a/b", false), ("c/d", true), ("work/here", true)]
        {
            assert_eq!(root.join(path).exists(), there, "{path}");
        }
    }

    #[test]
    fn paths_are_made_plain() {
        for (path, expected) in [("/a//b/", "/a/b"), ("a/./b", "/a/b"), ("/", "/")] {
            assert_eq!(normal(path).unwrap(), Path::new(expected), "{path}");
        }
        assert!(normal("/a/../b").is_err());
    }
}
