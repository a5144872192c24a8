//! What one container sees of its pod's directories.
//!
//! A guest is given directories, each at a path of its own. A single file, mounted by `subPath` or from the machine, is
//! put into the scratch root at its path: a copy if the guest may only read it, otherwise the same file by another name.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod, Volume, VolumeMount};
use rustix::fs::{AtFlags, CWD, linkat};

use super::beneath::{self, Found};
use super::contents::Contents;
use super::{PodDir, host_path};
use crate::node::NodeConfig;
use crate::node::env;
use crate::sandbox::{DEVICES, Mount, Opened};

/// A single file from the machine that a guest only reads is copied up to this size.
const MOST_COPIED: u64 = 64 << 20;

/// Why a container cannot be given what it mounts.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    #[error("MountVolume.SetUp failed for volume \"{0}\" : {1}")]
    Volume(String, String),
    #[error("the pod's directories cannot be made: {0}")]
    Io(#[from] io::Error),
}

impl PodDir {
    /// Makes what `container` needs and answers its mounts. Blocks on the disk. The scratch root is made anew for each
    /// run; `needs_root` says whether a guest without mounts can make use of one.
    pub fn mounts(
        &self,
        pod: &Pod,
        container: &Container,
        contents: &Contents,
        environment: &[(String, String)],
        config: &NodeConfig,
        needs_root: bool,
    ) -> Result<Vec<Mount>, MountError> {
        let mounted = container.volume_mounts.as_deref().unwrap_or_default();
        let has_volumes = pod.spec.as_ref().is_some_and(|s| s.volumes.as_ref().is_some_and(|v| !v.is_empty()));
        if !needs_root && mounted.is_empty() && !has_volumes {
            return Ok(Vec::new());
        }
        self.begin();
        self.set_up(pod, contents)?;
        let root = self.make_root(pod, container)?;
        let read_only_root =
            container.security_context.as_ref().and_then(|c| c.read_only_root_filesystem) == Some(true);
        let mut mounts = vec![Mount::new(&root, "/", !read_only_root)];
        // The outer ones first, so that what lies within another mount is known as such.
        let mut mounted: Vec<&VolumeMount> = mounted.iter().collect();
        mounted.sort_by_key(|mount| Path::new(&mount.mount_path).components().count());
        let volumes = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
        for mount in mounted {
            let Some(volume) = volumes.clone().find(|v| v.name == mount.name) else { continue };
            let failed = |what: String| MountError::Volume(volume.name.clone(), what);
            let sub = sub_path(mount, environment).map_err(failed)?;
            let Place { host, found, writable } = self.place(volume, &sub, config).map_err(failed)?;
            let writable = writable && mount.read_only != Some(true);
            let guest = Path::new(&mount.mount_path);
            let in_root = !mounts.iter().skip(1).any(|outer| guest.starts_with(&outer.guest));
            match found {
                Found::Directory(directory) => {
                    if in_root {
                        fs::create_dir_all(in_directory(&root, guest))?;
                    }
                    let opened = Some(Opened::new(directory));
                    mounts.push(Mount { host, guest: mount.mount_path.clone(), writable, opened });
                }
                Found::File(file) if in_root => {
                    let to = in_directory(&root, guest);
                    if let Some(parent) = to.parent() {
                        fs::create_dir_all(parent)?;
                    }
                    put(&file, &to, writable).map_err(failed)?;
                }
                Found::File(_) => {
                    return Err(failed(format!(
                        "{} is a single file within another mount; mount the directory that it is in",
                        mount.mount_path
                    )));
                }
            }
        }
        Ok(mounts)
    }

    /// A fresh scratch root, with what programs expect to be there.
    fn make_root(&self, pod: &Pod, container: &Container) -> io::Result<PathBuf> {
        let root = self.root(&container.name);
        super::remove_tree(&root)?;
        for directory in ["tmp", "dev", "etc"] {
            fs::create_dir_all(root.join(directory))?;
        }
        // The sandbox gives these their meaning.
        for device in DEVICES {
            fs::write(root.join("dev").join(device), b"")?;
        }
        fs::write(root.join("etc/hostname"), env::hostname(pod) + "\n")?;
        if let Some(dir) = container.working_dir.as_deref() {
            fs::create_dir_all(in_directory(&root, Path::new(dir)))?;
        }
        Ok(root)
    }

    /// The part `sub` of a volume: where it is, what it is, and whether it may be written to.
    fn place(&self, volume: &Volume, sub: &Path, config: &NodeConfig) -> Result<Place, String> {
        let io = |error: io::Error| match sub.as_os_str().is_empty() {
            true => error.to_string(),
            false => format!("subPath {}: {error}", sub.display()),
        };
        if let Some(source) = &volume.host_path {
            let resolved = host_path::resolve(source, &config.host_paths)?;
            let host = resolved.path.join(sub);
            return Ok(match (resolved.found, sub.as_os_str().is_empty()) {
                (found, true) => Place { host, found, writable: true },
                (Found::Directory(directory), false) => {
                    // What is open is what was checked, whoever has moved it since.
                    let base = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
                    Place { host, found: beneath::find(&base, sub, true).map_err(io)?, writable: true }
                }
                (Found::File(_), false) => return Err(format!("subPath {}: the volume is a file", sub.display())),
            });
        }
        match self.newest(&volume.name) {
            // What a ConfigMap or Secret holds is read-only, as in Kubernetes.
            Some(base) => {
                let found = beneath::find(&base, sub, false).map_err(io)?;
                Ok(Place { host: base.join(sub), found, writable: false })
            }
            None => {
                let base = self.empty_dir(&volume.name);
                let found = beneath::find(&base, sub, true).map_err(io)?;
                Ok(Place { host: base.join(sub), found, writable: true })
            }
        }
    }
}

struct Place {
    host: PathBuf,
    found: Found,
    writable: bool,
}

/// `subPath`, or `subPathExpr` with its variables; below the volume in either case.
fn sub_path(mount: &VolumeMount, environment: &[(String, String)]) -> Result<PathBuf, String> {
    let text = match mount.sub_path_expr.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => env::expand_known(text, environment)
            .map_err(|name| format!("subPathExpr {text}: there is no variable {name} in the environment"))?,
        None => mount.sub_path.clone().unwrap_or_default(),
    };
    let path = PathBuf::from(&text);
    let stays = path.components().all(|step| matches!(step, Component::Normal(_) | Component::CurDir));
    if stays { Ok(path) } else { Err(format!("subPath {text}: must stay below its volume")) }
}

/// `guest`, an absolute path, below `root`.
fn in_directory(root: &Path, guest: &Path) -> PathBuf {
    let steps = guest.components().filter_map(|step| match step {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    root.join(steps.collect::<PathBuf>())
}

/// Puts one file where a guest expects it.
fn put(file: &File, to: &Path, writable: bool) -> Result<(), String> {
    if writable {
        let from = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        return linkat(CWD, &from, CWD, to, AtFlags::SYMLINK_FOLLOW).map_err(|error| {
            format!(
                "a single file can be written only if it lies on the file system of kiln's data directory ({error}); \
                 mount its directory, or set readOnly"
            )
        });
    }
    let io = |error: io::Error| error.to_string();
    let size = file.metadata().map_err(io)?.len();
    if size > MOST_COPIED {
        return Err(format!("a single file of {size} bytes is too large to be copied; mount its directory"));
    }
    let mut copy = File::create_new(to).map_err(io)?;
    io::copy(&mut &*file, &mut copy).map(drop).map_err(io)
}
