//! hostPath volumes: a path of the machine, if it is at or below a directory that the node allows.
//!
//! The user's path may have symbolic links of the machine's owner in it; they are resolved here, and the real place is
//! compared. From then on it is only reached from the allowed directory downwards and without following links, so that
//! a guest that changes something in between gains nothing (kubernetes `pkg/volume/hostpath/host_path.go`).

use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::HostPathVolumeSource;

use super::beneath::{self, Found};

/// Where a hostPath volume really is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The allowed directory.
    pub base: PathBuf,
    pub below: PathBuf,
    pub is_file: bool,
}

/// Finds the place and makes it if its type says so. `kiln` is where kiln's own state lies, which no volume may show.
/// Fails with a message for the user.
pub fn find(source: &HostPathVolumeSource, allowed: &[PathBuf], kiln: &Path) -> Result<Place, String> {
    let path = source.path.as_str();
    let real = resolve(Path::new(path)).map_err(|error| format!("hostPath {path} cannot be used: {error}"))?;
    // The innermost, where several fit: there is the least between it and the volume.
    let base = allowed.iter().filter(|dir| real.starts_with(dir)).max_by_key(|dir| dir.components().count());
    let Some(base) = base else {
        let leads = if real == Path::new(path) { String::new() } else { format!(" (really {})", real.display()) };
        return Err(format!(
            "hostPath {path}{leads} is not allowed on this node; start kiln with --allow-host-path DIR, where DIR is \
             this directory or one above it"
        ));
    };
    if real.starts_with(kiln) || kiln.starts_with(&real) {
        return Err(format!("hostPath {path} holds kiln's own data, which no pod may see"));
    }
    let below = real.strip_prefix(base).unwrap_or(Path::new("")).to_owned();
    let is_file = check(source.type_.as_deref().unwrap_or_default(), base, &below, path)?;
    Ok(Place { base: base.clone(), below, is_file })
}

/// Whether it is a file, and not a directory.
fn check(type_: &str, base: &Path, below: &Path, path: &str) -> Result<bool, String> {
    let io = |error: io::Error| format!("hostPath {path} cannot be used: {error}");
    let mut found = beneath::look(base, below).map_err(io)?;
    if found == Found::Nothing {
        match type_ {
            // With no type the kubelet leaves it to container runtimes, which make a directory.
            "" | "DirectoryOrCreate" => beneath::make(base, below).map_err(io)?,
            "FileOrCreate" => beneath::make_file(base, below).map_err(io)?,
            _ => {}
        }
        found = beneath::look(base, below).map_err(io)?;
    }
    let failed = |what: &str| Err(format!("hostPath type check failed: {path} is not a {what}"));
    match (type_, found) {
        ("Directory" | "DirectoryOrCreate", found) if found != Found::Directory => failed("directory"),
        ("File" | "FileOrCreate", found) if found != Found::File => failed("file"),
        (_, Found::Directory) => Ok(false),
        (_, Found::File) => Ok(true),
        _ => Err(format!("hostPath {path} is neither a directory nor a file, which is all that a module can use")),
    }
}

/// The path without links, as far as it exists.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut existing = path;
    let mut rest = Vec::new();
    loop {
        match existing.canonicalize() {
            Ok(mut real) => {
                real.extend(rest.iter().rev());
                return Ok(real);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => match (existing.parent(), existing.file_name()) {
                (Some(parent), Some(name)) => {
                    rest.push(name);
                    existing = parent;
                }
                _ => return Err(error),
            },
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    struct World {
        dir: tempfile::TempDir,
    }

    impl World {
        fn new() -> World {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir_all(dir.path().join("ok/sub")).unwrap();
            fs::create_dir_all(dir.path().join("secret")).unwrap();
            fs::create_dir_all(dir.path().join("ok/kiln/pods")).unwrap();
            fs::write(dir.path().join("ok/file"), "x").unwrap();
            World { dir }
        }

        fn find(&self, below: &str, type_: &str) -> Result<Place, String> {
            let root = self.dir.path().canonicalize().unwrap();
            let path = format!("{}/{below}", root.display());
            let source = HostPathVolumeSource { path, type_: Some(type_.to_owned()) };
            find(&source, &[root.join("ok"), root.join("ok/sub")], &root.join("ok/kiln"))
        }
    }

    #[test]
    fn only_what_is_below_an_allowed_directory_is_found() {
        let world = World::new();
        let root = world.dir.path();
        symlink(root.join("secret"), root.join("ok/away")).unwrap();
        symlink(root.join("ok/sub"), root.join("to-sub")).unwrap();
        symlink(root.join("nowhere"), root.join("ok/dangling")).unwrap();
        assert_eq!(world.find("ok/sub", "").unwrap().below, Path::new(""));
        assert_eq!(world.find("ok/new", "").unwrap().below, Path::new("new"));
        assert_eq!(world.find("to-sub/x", "").unwrap().below, Path::new("x"), "a link of the machine's owner");
        for outside in ["secret", "ok/away", "ok/away/new", "okay"] {
            let told = world.find(outside, "DirectoryOrCreate").unwrap_err();
            assert!(told.contains("--allow-host-path"), "{outside}: {told}");
        }
        assert!(world.find("ok/dangling/x", "DirectoryOrCreate").is_err());
        for own in ["ok", "ok/kiln", "ok/kiln/pods/u"] {
            assert!(world.find(own, "").unwrap_err().contains("kiln's own data"), "{own}");
        }
        assert_eq!(fs::read_dir(root.join("secret")).unwrap().count(), 0);
    }

    #[test]
    fn each_type_is_checked_or_made() {
        let world = World::new();
        let cases = [
            ("ok/sub", "Directory", Ok(false)),
            ("ok/file", "Directory", Err("is not a directory")),
            ("ok/none", "Directory", Err("is not a directory")),
            ("ok/file", "File", Ok(true)),
            ("ok/sub", "File", Err("is not a file")),
            ("ok/none", "File", Err("is not a file")),
            ("ok/file", "", Ok(true)),
            ("ok/made/deep", "", Ok(false)),
            ("ok/more/deep", "DirectoryOrCreate", Ok(false)),
            ("ok/file", "DirectoryOrCreate", Err("is not a directory")),
            ("ok/new", "FileOrCreate", Ok(true)),
            ("ok/missing/new", "FileOrCreate", Err("cannot be used")),
            ("ok/sub", "FileOrCreate", Err("is not a file")),
        ];
        for (path, type_, expected) in cases {
            match (world.find(path, type_), expected) {
                (Ok(place), Ok(is_file)) => assert_eq!(place.is_file, is_file, "{path} {type_}"),
                (Err(told), Err(part)) => assert!(told.contains(part), "{path} {type_}: {told}"),
                (found, _) => panic!("{path} {type_}: {found:?}"),
            }
        }
    }

    #[test]
    fn what_is_neither_file_nor_directory_is_of_no_use() {
        let world = World::new();
        let socket = world.dir.path().join("ok/socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(world.find("ok/socket", "").unwrap_err().contains("neither a directory nor a file"));
    }
}
