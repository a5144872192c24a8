//! The directories of a pod: its volumes, which its containers share, and a scratch root for each container. Made before
//! its containers run and removed with it.
//!
//! ```text
//! PODS_DIR/UID/empty/VOLUME      an emptyDir; outlives restarts of containers
//!             /files/VOLUME/0    what a ConfigMap or the like held at first, /1 what it held later, ...
//!             /roots/CONTAINER   what a container sees at /
//! ```
//!
//! - Files of a ConfigMap or the like are never rewritten: a guest may be reading them. What changed is written beside,
//!   and containers that start later see it.
//! - What a guest left in a directory is not to be trusted: it may hold symbolic links that lead anywhere. So no path
//!   in a volume is followed over a link ([`beneath`]), and roots are made anew for each run.

mod beneath;
mod contents;
mod host_path;
mod mount;
mod root;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod};
use parking_lot::Mutex;

use super::NodeConfig;
use super::env::{ConfigError, hostname};
use super::remove::remove_tree;
use crate::api::quantity::Quantity;
use crate::sandbox::{Area, Disk, Mount};
use contents::{Files, fingerprint};
use mount::Source;

pub use contents::{Contents, contents};

/// Why a container cannot have its directories yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeError {
    /// A volume cannot be set up before a ConfigMap or Secret is there.
    Awaits(String),
    /// A volume cannot be set up on this machine as it is.
    SetUp(String),
    /// The container asks for something that its configuration does not hold.
    Config(String),
    /// The machine does not give it.
    Create(String),
}

/// The directory of one pod on this machine; removed when dropped.
#[derive(Debug)]
pub struct PodDir {
    base: PathBuf,
    uid: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Where it is, without links, once it is made.
    path: Option<PathBuf>,
    disk: Option<Disk>,
    volumes: BTreeMap<String, Source>,
    written: BTreeMap<String, Written>,
    /// Per container the directories of files that it was last given.
    given: BTreeMap<String, BTreeSet<PathBuf>>,
}

/// The version of a volume's files that is the latest.
#[derive(Debug)]
struct Written {
    fingerprint: [u8; 32],
    version: u64,
}

impl PodDir {
    /// `uid` becomes a file name; it was made by kiln, and one that is none is refused.
    pub fn new(base: &Path, uid: &str) -> io::Result<PodDir> {
        let plain = !uid.is_empty() && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match plain {
            true => Ok(PodDir { base: base.to_owned(), uid: uid.to_owned(), state: Mutex::default() }),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "the pod's uid is not a file name")),
        }
    }

    /// Sets up all volumes of the pod, as the kubelet does before its first container; later it brings up to date what
    /// later containers see. Blocks on the disk.
    pub fn set_up(&self, pod: &Pod, contents: &Contents, config: &NodeConfig) -> Result<(), VolumeError> {
        let mut state = self.state.lock();
        for volume in pod.spec.iter().flat_map(|s| s.volumes.iter().flatten()) {
            let name = volume.name.as_str();
            let tell = |what: &dyn Display| format!("MountVolume.SetUp failed for volume \"{name}\" : {what}");
            let failed = |what: &dyn Display| VolumeError::SetUp(tell(what));
            if let Some(source) = &volume.host_path {
                let own = config.pods_dir.canonicalize().unwrap_or_else(|_| config.pods_dir.clone());
                let own = own.parent().unwrap_or(&own);
                let place = host_path::find(source, &config.host_paths, own).map_err(|what| failed(&what))?;
                let source = Source { base: place.base, below: place.below, writable: true };
                state.volumes.insert(name.to_owned(), source);
                continue;
            }
            let path = self.make(&mut state).map_err(|error| failed(&error))?;
            if volume.empty_dir.is_some() {
                let base = path.join("empty").join(name);
                fs::create_dir_all(&base).map_err(|error| failed(&error))?;
                state.volumes.insert(name.to_owned(), Source { base, below: PathBuf::new(), writable: true });
                continue;
            }
            match contents.0.get(name) {
                Some(Ok(files)) => state.keep(&path, name, files).map_err(|error| failed(&error))?,
                // What was there once is still good, as for the kubelet.
                _ if state.volumes.contains_key(name) => {}
                Some(Err(ConfigError(what))) => return Err(VolumeError::Awaits(tell(what))),
                None => return Err(failed(&"its contents were not fetched")),
            }
        }
        Ok(())
    }

    /// Makes the root of a container that does not run, and answers its mounts. Blocks on the disk. After [`set_up`].
    ///
    /// [`set_up`]: PodDir::set_up
    pub fn mounts(
        &self,
        pod: &Pod,
        container: &Container,
        env: &[(String, String)],
        config: &NodeConfig,
    ) -> Result<(Vec<Mount>, Disk), VolumeError> {
        let failed = |error: io::Error| VolumeError::Create(format!("the pod's directories cannot be made: {error}"));
        let mut state = self.state.lock();
        let path = self.make(&mut state).map_err(failed)?;
        let wanted = mount::wanted(container, env, |name| state.volumes.get(name).cloned())?;
        let host = path.join("roots").join(&container.name);
        remove_tree(&host).map_err(failed)?;
        root::make(&host, container, &hostname(pod), &mount::directories(&wanted)).map_err(failed)?;
        let context = container.security_context.as_ref();
        let writable = context.and_then(|c| c.read_only_root_filesystem) != Some(true);
        let root = Mount { host, guest: "/".to_owned(), writable };
        let mounts = mount::place(wanted, root, root_limit(container, config.default_scratch_bytes))?;
        state.give(&path, container, &mounts);
        let disk = state.disk.get_or_insert_with(|| Disk::new(areas(&path, pod, config.default_scratch_bytes)));
        Ok((mounts, disk.clone()))
    }

    /// Whether there is anything of it on disk.
    pub fn is_made(&self) -> bool {
        self.state.lock().path.is_some()
    }

    fn make(&self, state: &mut State) -> io::Result<PathBuf> {
        if let Some(path) = &state.path {
            return Ok(path.clone());
        }
        let path = self.base.join(&self.uid);
        fs::create_dir_all(&path)?;
        let path = path.canonicalize()?;
        state.path = Some(path.clone());
        Ok(path)
    }
}

impl Drop for PodDir {
    fn drop(&mut self) {
        if let Some(path) = &self.state.get_mut().path
            && let Err(error) = remove_tree(path)
        {
            tracing::warn!(path = %path.display(), %error, "a pod's directory could not be removed");
        }
    }
}

impl State {
    /// Writes the files of a volume, unless the latest version has them.
    fn keep(&mut self, path: &Path, name: &str, files: &Files) -> io::Result<()> {
        let fingerprint = fingerprint(files);
        let version = match self.written.get(name) {
            Some(written) if written.fingerprint == fingerprint => return Ok(()),
            Some(written) => written.version + 1,
            None => 0,
        };
        let base = path.join("files").join(name).join(version.to_string());
        // From an attempt that failed half-way.
        remove_tree(&base)?;
        write_files(&base, files)?;
        self.written.insert(name.to_owned(), Written { fingerprint, version });
        self.volumes.insert(name.to_owned(), Source { base, below: PathBuf::new(), writable: false });
        Ok(())
    }

    /// Remembers what the container was given, and removes versions of files that no container was given and none will
    /// be.
    fn give(&mut self, path: &Path, container: &Container, mounts: &[Mount]) {
        let files = path.join("files");
        let version = |host: &Path| {
            let mut steps = host.strip_prefix(&files).ok()?.components();
            Some(files.join(steps.next()?).join(steps.next()?))
        };
        let given = mounts.iter().filter_map(|mount| version(&mount.host)).collect();
        let before = self.given.insert(container.name.clone(), given).unwrap_or_default();
        for old in before {
            let used = self.given.values().any(|given| given.contains(&old))
                || self.volumes.values().any(|source| source.base == old);
            if !used && let Err(error) = remove_tree(&old) {
                tracing::warn!(path = %old.display(), %error, "old files of a volume could not be removed");
            }
        }
    }
}

fn write_files(base: &Path, files: &Files) -> io::Result<()> {
    fs::create_dir_all(base)?;
    for (path, file) in files {
        let target = base.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&target, &file.bytes)?;
        // The owner is kiln, which reads for the guest.
        fs::set_permissions(&target, fs::Permissions::from_mode(file.mode | 0o400))?;
    }
    Ok(())
}

/// What the pod may write where: each emptyDir and each root has a limit of its own.
fn areas(path: &Path, pod: &Pod, default_bytes: u64) -> Vec<Area> {
    let mut areas = Vec::new();
    let Some(spec) = &pod.spec else { return areas };
    for volume in spec.volumes.iter().flatten() {
        let Some(source) = &volume.empty_dir else { continue };
        let limit = source.size_limit.as_ref().and_then(|text| Quantity::parse(&text.0).ok());
        // A limit of 0 is none, for the kubelet too.
        let limit_bytes = limit.filter(|limit| !limit.is_zero()).map_or(default_bytes, Quantity::value_u64);
        areas.push(Area { name: volume.name.clone(), host: path.join("empty").join(&volume.name), limit_bytes });
    }
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        areas.push(Area {
            name: format!("container {}", container.name),
            host: path.join("roots").join(&container.name),
            limit_bytes: root_limit(container, default_bytes),
        });
    }
    areas
}

fn root_limit(container: &Container, default_bytes: u64) -> u64 {
    let limits = container.resources.as_ref().and_then(|r| r.limits.as_ref());
    let limit = limits.and_then(|l| l.get("ephemeral-storage")).and_then(|text| Quantity::parse(&text.0).ok());
    limit.map_or(default_bytes, Quantity::value_u64)
}
