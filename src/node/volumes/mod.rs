//! The directories of a pod: a scratch root for each container, and the volumes that they share; made before they are
//! needed, removed with the pod.
//!
//! [`contents`] fetches what ConfigMaps and the like hold, [`host_path`] finds directories of the machine, [`beneath`]
//! opens what lies below a directory in which guests write.
//!
//! Never:
//! - a path is followed into a directory in which a guest writes: it may have left links there that lead anywhere, and
//!   change them while we look. Each step is opened by itself, and what is mounted is what was opened;
//! - a file that a running container was given changes: what a ConfigMap holds by now is written anew, beside it, for
//!   containers that are started later;
//! - a directory of the machine is given away that was not allowed.

pub mod beneath;
pub mod contents;
mod files;
mod host_path;
mod mounts;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::api::core::v1::{Container, Pod};
use parking_lot::Mutex;

use super::NodeConfig;
use super::remove::remove_tree;
use super::status::ROOT_OF;
use crate::api::quantity::Quantity;
use crate::api::well_known::RESOURCE_EPHEMERAL_STORAGE;
use crate::sandbox::{Area, Disk};
use contents::Contents;
use files::Files;
pub use mounts::MountError;

/// The directory of one pod on this machine; removed when dropped.
#[derive(Debug)]
pub struct PodDir {
    path: PathBuf,
    made: AtomicBool,
    /// What was written for the volumes that hold files, newest last.
    written: Mutex<BTreeMap<String, Vec<Arc<Files>>>>,
    /// The limits of its directories, once it is known what they are.
    disk: Mutex<Option<Disk>>,
}

impl PodDir {
    /// `uid` becomes a file name; it was made by kiln, and one that is none is refused.
    pub fn new(base: &Path, uid: &str) -> io::Result<PodDir> {
        let plain = !uid.is_empty() && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match plain {
            true => Ok(PodDir {
                path: base.join(uid),
                made: AtomicBool::new(false),
                written: Mutex::default(),
                disk: Mutex::default(),
            }),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "the pod's uid is not a file name")),
        }
    }

    fn root(&self, container: &str) -> PathBuf {
        self.path.join("roots").join(container)
    }

    fn empty_dir(&self, volume: &str) -> PathBuf {
        self.path.join("empty").join(volume)
    }

    /// Writes what the pod's volumes hold and makes those that hold nothing yet. Blocks on the disk. Called again for
    /// another container or a restart, it keeps what is there.
    fn set_up(&self, pod: &Pod, contents: &Contents) -> io::Result<()> {
        let volumes = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
        for volume in volumes.filter(|v| v.empty_dir.is_some()) {
            fs::create_dir_all(self.empty_dir(&volume.name))?;
        }
        let mut written = self.written.lock();
        for (name, files) in &contents.0 {
            let versions = written.entry(name.clone()).or_default();
            if versions.last().is_none_or(|newest| **newest != *files) {
                files.write(&self.version(name, versions.len()))?;
                versions.push(Arc::new(files.clone()));
            }
        }
        Ok(())
    }

    /// Where the `n`-th writing of a volume lies.
    fn version(&self, volume: &str, n: usize) -> PathBuf {
        self.path.join("files").join(volume).join(n.to_string())
    }

    /// The newest writing of a volume that holds files.
    fn newest(&self, volume: &str) -> Option<PathBuf> {
        let versions = self.written.lock().get(volume).map_or(0, Vec::len);
        versions.checked_sub(1).map(|n| self.version(volume, n))
    }

    fn begin(&self) {
        self.made.store(true, Ordering::Relaxed);
    }

    /// What the guests of the pod may write: its emptyDir volumes, and each container's own directories. hostPath volumes
    /// are the machine's, and have no limit.
    pub fn disk(&self, pod: &Pod, config: &NodeConfig) -> Disk {
        let areas = || {
            let bytes = |text: Option<&str>| text.and_then(|text| Quantity::parse(text).ok()).map(Quantity::value_u64);
            let spec = pod.spec.as_ref();
            let empty = spec.iter().flat_map(|s| s.volumes.iter().flatten()).filter_map(|volume| {
                let limit = volume.empty_dir.as_ref()?.size_limit.as_ref().map(|q| q.0.as_str());
                // Zero is how Kubernetes writes that there is none.
                let limit = bytes(limit).filter(|limit| *limit > 0).unwrap_or(config.default_scratch_bytes);
                Some(Area { name: volume.name.clone(), host: self.empty_dir(&volume.name), limit_bytes: limit })
            });
            let containers = spec.iter().flat_map(|s| s.init_containers.iter().flatten().chain(&s.containers));
            let roots = containers.map(|container: &Container| {
                let limits = container.resources.as_ref().and_then(|r| r.limits.as_ref());
                let limit = limits.and_then(|l| l.get(RESOURCE_EPHEMERAL_STORAGE)).map(|q| q.0.as_str());
                Area {
                    name: format!("{ROOT_OF}{}", container.name),
                    host: self.root(&container.name),
                    limit_bytes: bytes(limit).unwrap_or(config.default_scratch_bytes),
                }
            });
            Disk::new(empty.chain(roots).collect())
        };
        self.disk.lock().get_or_insert_with(areas).clone()
    }
}

impl Drop for PodDir {
    fn drop(&mut self) {
        if *self.made.get_mut()
            && let Err(error) = remove_tree(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a pod's directory could not be removed");
        }
    }
}

#[cfg(test)]
mod tests;
