//! What of the pod's volumes one container sees, and where. A guest is given directories; a single file is put into its
//! root, as a copy if it may only read it, else by a second name (a hard link).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, VolumeMount};

use super::VolumeError;
use super::beneath::{self, Found};
use super::root;
use crate::node::env::{ConfigError, expand_strictly};
use crate::sandbox::Mount;

/// A volume that is set up: a directory that no guest can exchange, and the way from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub base: PathBuf,
    pub below: PathBuf,
    /// What a ConfigMap or the like holds is read-only, as in Kubernetes.
    pub writable: bool,
}

/// One entry of `volumeMounts`, looked at.
pub struct Wanted {
    pub guest: PathBuf,
    source: Source,
    is_file: bool,
}

/// Finds what each entry leads to, and makes directories that a subPath names and that are not there.
pub fn wanted(
    container: &Container,
    env: &[(String, String)],
    source: impl Fn(&str) -> Option<Source>,
) -> Result<Vec<Wanted>, VolumeError> {
    let mut all = Vec::new();
    for entry in container.volume_mounts.iter().flatten() {
        // Validation has seen to it that there is one.
        let Some(mut source) = source(&entry.name) else { continue };
        source.writable &= entry.read_only != Some(true);
        let sub = sub_path(entry, env)?;
        source.below.push(&sub);
        let failed = |detail: &dyn std::fmt::Display| {
            VolumeError::Create(format!("volumeMounts \"{}\": {}: {detail}", entry.name, source.below.display()))
        };
        let found = beneath::look(&source.base, &source.below).map_err(|error| failed(&error))?;
        let is_file = match found {
            Found::Directory => false,
            Found::File => true,
            Found::Nothing => {
                beneath::make(&source.base, &source.below).map_err(|error| failed(&error))?;
                false
            }
            Found::Link => return Err(failed(&"a subPath must not lead over a symbolic link")),
            _ => return Err(failed(&"neither a directory nor a file, which is all that a module can use")),
        };
        let guest = root::normal(&entry.mount_path).map_err(|error| failed(&error))?;
        all.push(Wanted { guest, source, is_file });
    }
    Ok(all)
}

fn sub_path(entry: &VolumeMount, env: &[(String, String)]) -> Result<PathBuf, VolumeError> {
    let written = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let path = match (written(&entry.sub_path), written(&entry.sub_path_expr)) {
        (Some(path), _) => path,
        (None, Some(expression)) => {
            let config = |ConfigError(message)| VolumeError::Config(message);
            let path = expand_strictly(&expression, env).map_err(config)?;
            if path.starts_with('/') {
                let message = format!("error SubPath `{path}` must not be an absolute path");
                return Err(VolumeError::Config(message));
            }
            path
        }
        (None, None) => return Ok(PathBuf::new()),
    };
    // Steps that lead nowhere are of no meaning.
    let normal = root::normal(&path)
        .map_err(|error| VolumeError::Config(format!("unable to provision SubPath `{path}`: {error}")))?;
    Ok(normal.strip_prefix("/").unwrap_or(&normal).to_owned())
}

/// The directories among them, in a form for [`root::make`].
pub fn directories(wanted: &[Wanted]) -> Vec<PathBuf> {
    wanted.iter().filter(|w| !w.is_file).map(|w| w.guest.clone()).collect()
}

/// Puts single files into the root and answers the mounts. A copy has at most `most_bytes`.
pub fn place(wanted: Vec<Wanted>, root: Mount, most_bytes: u64) -> Result<Vec<Mount>, VolumeError> {
    let directories = directories(&wanted);
    let mut mounts = vec![root];
    for Wanted { guest, source, is_file } in wanted {
        if is_file {
            let failed = |detail: &dyn std::fmt::Display| {
                VolumeError::Create(format!("the file {} cannot be mounted: {detail}", guest.display()))
            };
            if let Some(outer) = root::outer(&guest, &directories) {
                return Err(failed(&format!("a single file cannot lie within another mount, {}", outer.display())));
            }
            if source.writable && !mounts[0].writable {
                return Err(failed(&"it is writable, and the root is read-only; mount its directory"));
            }
            put(&source, &root::below(&mounts[0].host, &guest), most_bytes).map_err(|error| failed(&error))?;
            continue;
        }
        let guest = guest.to_string_lossy().into_owned();
        mounts.push(Mount { host: source.base.join(&source.below), guest, writable: source.writable });
    }
    Ok(mounts)
}

fn put(source: &Source, target: &Path, most_bytes: u64) -> io::Result<()> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    if source.writable {
        return beneath::link_file(&source.base, &source.below, target).map_err(|error| match error.kind() {
            io::ErrorKind::CrossesDevices => io::Error::other(
                "a writable file must be on the file system of kiln's data directory; mount its directory, or read-only",
            ),
            _ => error,
        });
    }
    let mut from = beneath::open_file(&source.base, &source.below)?;
    let size = from.metadata()?.len();
    if size > most_bytes {
        return Err(io::Error::other(format!("it has {size} bytes, and the container may have {most_bytes}")));
    }
    // Whatever is there was made for this root: a file of its own, such as /etc/hostname.
    match fs::remove_file(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut to = fs::File::create_new(target)?;
    io::copy(&mut io::Read::take(&mut from, most_bytes), &mut to)?;
    to.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o444))
}
