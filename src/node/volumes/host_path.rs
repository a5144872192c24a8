//! hostPath volumes: directories and files of the machine, below those that the operator allowed.
//!
//! A path is resolved, links and all, and must then lie below an allowed directory. From there it is opened step by step
//! without following links, so that nobody who writes there can lead it elsewhere between the two.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::HostPathVolumeSource;

use super::beneath::{self, Found};

/// What a hostPath volume is: where it really is, and opened.
#[derive(Debug)]
pub struct Resolved {
    pub path: PathBuf,
    pub found: Found,
}

/// Finds it, and makes it where its type says so. The texts are the kubelet's where it has one
/// (`pkg/volume/hostpath`, `checkTypeInternal`).
pub fn resolve(source: &HostPathVolumeSource, allowed: &[PathBuf]) -> Result<Resolved, String> {
    let path = Path::new(&source.path);
    let kind = source.type_.as_deref().unwrap_or_default();
    let shown = path.display();
    let failed = |what: &str| format!("hostPath type check failed: {shown} is not {what}");
    let io = |error: io::Error| format!("hostPath {shown}: {error}");
    let (makes_directory, makes_file) = (matches!(kind, "" | "DirectoryOrCreate"), kind == "FileOrCreate");
    // The part that is there is resolved; what is to be made comes below it.
    let (real, missing) = match fs::canonicalize(path) {
        Ok(real) => (real, PathBuf::new()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match kind {
            "Directory" => return Err(failed("a directory")),
            "File" => return Err(failed("a file")),
            _ => existing(path).map_err(io)?,
        },
        Err(error) => return Err(io(error)),
    };
    let base = allowed.iter().find(|base| real.starts_with(base)).ok_or_else(|| match allowed {
        [] => format!("hostPath {shown}: no directory of this node may be mounted; --allow-host-path allows one"),
        _ => format!("hostPath {shown}: not below a directory that was given with --allow-host-path"),
    })?;
    let whole = if missing.as_os_str().is_empty() { real.clone() } else { real.join(&missing) };
    let below = whole.strip_prefix(base).unwrap_or(Path::new(""));
    if makes_file && !missing.as_os_str().is_empty() {
        make_file(base, below).map_err(io)?;
    }
    let found = beneath::find(base, below, makes_directory).map_err(io)?;
    match (&found, kind) {
        (Found::File(_), "Directory" | "DirectoryOrCreate") => Err(failed("a directory")),
        (Found::Directory(_), "File" | "FileOrCreate") => Err(failed("a file")),
        _ => Ok(Resolved { path: whole, found }),
    }
}

/// The deepest part of `path` that exists, resolved, and the rest.
fn existing(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    for ancestor in path.ancestors().skip(1) {
        match fs::canonicalize(ancestor) {
            Ok(real) => return Ok((real, path.strip_prefix(ancestor).unwrap_or(path).to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Makes an empty file; its directory must be there.
fn make_file(base: &Path, below: &Path) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags, openat};
    let (Some(parent), Some(name)) = (below.parent(), below.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let Found::Directory(parent) = beneath::find(base, parent, false)? else {
        return Err(io::ErrorKind::NotADirectory.into());
    };
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    openat(&parent, name, flags, Mode::from_raw_mode(0o644))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn source(path: &Path, kind: &str) -> HostPathVolumeSource {
        HostPathVolumeSource { path: path.display().to_string(), type_: Some(kind.to_owned()) }
    }

    #[test]
    fn each_type_finds_or_makes_what_it_says() {
        let base = tempfile::tempdir().unwrap();
        let allowed = [base.path().canonicalize().unwrap()];
        fs::write(base.path().join("file"), "x").unwrap();
        fs::create_dir(base.path().join("dir")).unwrap();
        // Path, type, whether it is found as a directory, or part of the refusal.
        let cases = [
            ("dir", "", Ok(true)),
            ("dir", "Directory", Ok(true)),
            ("dir", "DirectoryOrCreate", Ok(true)),
            ("dir", "File", Err("is not a file")),
            ("dir", "FileOrCreate", Err("is not a file")),
            ("file", "", Ok(false)),
            ("file", "File", Ok(false)),
            ("file", "FileOrCreate", Ok(false)),
            ("file", "Directory", Err("is not a directory")),
            ("file", "DirectoryOrCreate", Err("is not a directory")),
            ("none", "Directory", Err("is not a directory")),
            ("none", "File", Err("is not a file")),
            ("no/dir", "FileOrCreate", Err("No such file")),
            ("new/er", "DirectoryOrCreate", Ok(true)),
            ("any", "", Ok(true)),
            ("newfile", "FileOrCreate", Ok(false)),
        ];
        for (path, kind, expected) in cases {
            match (resolve(&source(&base.path().join(path), kind), &allowed), expected) {
                (Ok(found), Ok(directory)) => {
                    assert_eq!(matches!(found.found, Found::Directory(_)), directory, "{path} {kind}");
                }
                (Err(said), Err(part)) => assert!(said.contains(part), "{path} {kind}: {said}"),
                (got, _) => panic!("{path} {kind}: {got:?}"),
            }
        }
    }

    #[test]
    fn what_lies_elsewhere_is_refused_however_it_is_reached() {
        let (base, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let allowed = [base.path().canonicalize().unwrap()];
        symlink(outside.path(), base.path().join("link")).unwrap();
        for path in [outside.path().join("x"), base.path().join("link"), base.path().join("link/new"), "/etc".into()] {
            let said = resolve(&source(&path, "DirectoryOrCreate"), &allowed).unwrap_err();
            assert!(said.contains("--allow-host-path"), "{said}");
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "and nothing was made there");
        let said = resolve(&source(base.path(), ""), &[]).unwrap_err();
        assert!(said.contains("--allow-host-path"), "{said}");
        // A link that stays below is one.
        fs::create_dir(base.path().join("d")).unwrap();
        symlink("d", base.path().join("inside")).unwrap();
        assert!(resolve(&source(&base.path().join("inside"), "Directory"), &allowed).is_ok());
    }
}
