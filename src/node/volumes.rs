//! The directories of a pod: a scratch root, and its volumes, made before it runs and removed with it.
//!
//! An emptyDir outlives a restart of its container, and what the guest left in it is not to be trusted: it may hold
//! symbolic links that lead anywhere. So kiln never follows a path into one; all else is made anew for each run, and
//! what comes from ConfigMaps and Secrets is always read-only.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::api::core::v1::{Container, KeyToPath, Pod, Volume};

use super::cluster::Cluster;
use super::env::ConfigError;
use crate::sandbox::Mount;

/// Files of a volume: path below its root, bytes.
type Files = BTreeMap<String, Vec<u8>>;

/// What the pod's volumes hold, fetched from the cluster before anything is written; `None` for an emptyDir.
#[derive(Debug, Default)]
pub struct Contents(BTreeMap<String, Option<Files>>);

/// Bytes that the volumes of one pod may hold together: a few dozen of the largest ConfigMaps.
const MOST_CONTENTS: usize = 64 << 20;

/// Fetches the volumes that `container` mounts.
pub async fn contents<C: Cluster>(cluster: &C, pod: &Pod, container: &Container) -> Result<Contents, ConfigError> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut all = BTreeMap::new();
    let mut bytes = 0_usize;
    for volume in pod.spec.iter().flat_map(|s| s.volumes.iter().flatten()) {
        if !container.volume_mounts.iter().flatten().any(|mount| mount.name == volume.name) {
            continue;
        }
        let files = match volume.empty_dir {
            Some(_) => None,
            None => Some(files(cluster, namespace, volume).await?),
        };
        bytes = files.iter().flatten().fold(bytes, |sum, (_, content)| sum.saturating_add(content.len()));
        if bytes > MOST_CONTENTS {
            return Err(ConfigError(format!("the volumes of this pod hold more than {MOST_CONTENTS} bytes")));
        }
        all.insert(volume.name.clone(), files);
    }
    Ok(Contents(all))
}

async fn files<C: Cluster>(cluster: &C, namespace: &str, volume: &Volume) -> Result<Files, ConfigError> {
    let failed =
        |what: String| ConfigError(format!("MountVolume.SetUp failed for volume \"{}\" : {what}", volume.name));
    if let Some(source) = &volume.config_map {
        let Some(map) = cluster.config_map(namespace, &source.name).await else {
            return match source.optional {
                Some(true) => Ok(Files::new()),
                _ => Err(failed(format!("configmap \"{}\" not found", source.name))),
            };
        };
        let text = map.data.iter().flatten().map(|(k, v)| (k.clone(), v.clone().into_bytes()));
        let binary = map.binary_data.iter().flatten().map(|(k, v)| (k.clone(), v.0.clone()));
        return choose(text.chain(binary).collect(), source.items.as_deref(), source.optional)
            .map_err(|key| failed(format!("configmap references non-existent config key: {key}")));
    }
    if let Some(source) = &volume.secret {
        let name = source.secret_name.as_deref().unwrap_or_default();
        let Some(secret) = cluster.secret(namespace, name).await else {
            return match source.optional {
                Some(true) => Ok(Files::new()),
                _ => Err(failed(format!("secret \"{name}\" not found"))),
            };
        };
        let all = secret.data.iter().flatten().map(|(k, v)| (k.clone(), v.0.clone())).collect();
        return choose(all, source.items.as_deref(), source.optional)
            .map_err(|key| failed(format!("references non-existent secret key: {key}")));
    }
    Ok(Files::new())
}

/// All keys under their own names, or those of `items` under the paths given there. Fails with the missing key.
fn choose(all: Files, items: Option<&[KeyToPath]>, optional: Option<bool>) -> Result<Files, String> {
    let Some(items) = items.filter(|items| !items.is_empty()) else { return Ok(all) };
    let mut chosen = Files::new();
    for item in items {
        match all.get(&item.key) {
            Some(bytes) => {
                chosen.insert(item.path.clone(), bytes.clone());
            }
            None if optional == Some(true) => {}
            None => return Err(item.key.clone()),
        }
    }
    Ok(chosen)
}

/// The directory of one pod on this machine; removed when dropped.
#[derive(Debug)]
pub struct PodDir {
    path: PathBuf,
    made: AtomicBool,
}

impl PodDir {
    /// `uid` becomes a file name; it was made by kiln, and one that is none is refused.
    pub fn new(base: &Path, uid: &str) -> io::Result<PodDir> {
        let plain = !uid.is_empty() && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match plain {
            true => Ok(PodDir { path: base.join(uid), made: AtomicBool::new(false) }),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "the pod's uid is not a file name")),
        }
    }

    /// Makes what `container` needs and answers its mounts. Blocks on the disk. Called again for a restart, it keeps
    /// what emptyDir volumes hold and makes the rest anew.
    pub fn prepare(&self, container: &Container, contents: &Contents, needs_root: bool) -> io::Result<Vec<Mount>> {
        let mounted = container.volume_mounts.as_deref().unwrap_or_default();
        if !needs_root && mounted.is_empty() {
            return Ok(Vec::new());
        }
        self.made.store(true, Ordering::Relaxed);
        let root = self.path.join("roots").join(&container.name);
        remove_if_there(&root)?;
        fs::create_dir_all(root.join("tmp"))?;
        fs::create_dir_all(root.join("dev"))?;
        fs::write(root.join("dev/null"), b"")?;
        let mut mounts = vec![Mount { host: root, guest: "/".to_owned(), writable: true }];
        for (name, files) in &contents.0 {
            let volume = self.path.join("volumes").join(name);
            if let Some(files) = files {
                remove_if_there(&volume)?;
                write_files(&volume, files)?;
            }
            fs::create_dir_all(&volume)?;
        }
        for mount in mounted {
            let Some(files) = contents.0.get(&mount.name) else { continue };
            let volume = self.path.join("volumes").join(&mount.name);
            let host = match mount.sub_path.as_deref().filter(|p| !p.is_empty()) {
                Some(sub) => without_links(&volume, Path::new(sub))?,
                None => volume,
            };
            if host.is_file() {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    format!("volumeMounts \"{}\": subPath names a file; only directories can be mounted", mount.name),
                ));
            }
            fs::create_dir_all(&host)?;
            // What a ConfigMap or Secret holds is read-only, as in Kubernetes.
            let writable = mount.read_only != Some(true) && files.is_none();
            mounts.push(Mount { host, guest: mount.mount_path.clone(), writable });
        }
        Ok(mounts)
    }

    /// Whether there is anything of it on disk.
    pub fn is_made(&self) -> bool {
        self.made.load(Ordering::Relaxed)
    }
}

impl Drop for PodDir {
    fn drop(&mut self) {
        if *self.made.get_mut()
            && let Err(error) = remove_if_there(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a pod's directory could not be removed");
        }
    }
}

fn write_files(volume: &Path, files: &Files) -> io::Result<()> {
    for (path, bytes) in files {
        let file = volume.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(file, bytes)?;
    }
    Ok(())
}

/// `base` and `below`, if no step of it is a symbolic link. No guest of the pod runs meanwhile, so what is seen holds.
fn without_links(base: &Path, below: &Path) -> io::Result<PathBuf> {
    let mut path = base.to_owned();
    for step in below.components() {
        path.push(step);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.file_type().is_symlink() => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "subPath leads over a symbolic link"));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(path)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::VolumeMount;

    fn mount(name: &str, path: &str) -> VolumeMount {
        VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
    }

    #[test]
    fn volumes_are_made_kept_over_a_restart_and_removed() {
        let base = tempfile::tempdir().unwrap();
        let files: Files = [("k".to_owned(), b"v".to_vec())].into();
        let contents = Contents([("e".to_owned(), None), ("c".to_owned(), Some(files))].into());
        let container =
            Container { volume_mounts: Some(vec![mount("e", "/state"), mount("c", "/etc/c")]), ..Container::default() };
        let dir = PodDir::new(base.path(), "u-1").unwrap();
        let mounts = dir.prepare(&container, &contents, false).unwrap();
        let shown: Vec<_> = mounts.iter().map(|m| (m.guest.as_str(), m.writable)).collect();
        assert_eq!(shown, [("/", true), ("/state", true), ("/etc/c", false)]);
        assert_eq!(fs::read(mounts[2].host.join("k")).unwrap(), b"v");
        fs::write(mounts[1].host.join("kept"), b"x").unwrap();
        let again = dir.prepare(&container, &contents, false).unwrap();
        assert!(again[1].host.join("kept").exists());
        drop(dir);
        assert!(!base.path().join("u-1").exists());
    }

    #[test]
    fn what_a_guest_left_behind_leads_nowhere() {
        let base = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let sub = VolumeMount { sub_path: Some("a".to_owned()), ..mount("e", "/sub") };
        let container =
            Container { volume_mounts: Some(vec![mount("e", "/e"), sub, mount("c", "/c")]), ..Container::default() };
        let dir = PodDir::new(base.path(), "u").unwrap();
        let empty = Contents([("e".to_owned(), None), ("c".to_owned(), Some(Files::new()))].into());
        let mounts = dir.prepare(&container, &empty, false).unwrap();
        assert!(!mounts[3].writable, "a ConfigMap that is empty now may be filled later");
        // As a guest with two mounts of one volume can: the directory behind the second becomes a link.
        fs::remove_dir(&mounts[2].host).unwrap();
        std::os::unix::fs::symlink(outside.path(), &mounts[2].host).unwrap();
        assert!(dir.prepare(&container, &empty, false).is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_pod_without_files_makes_no_directory_and_a_strange_uid_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let dir = PodDir::new(base.path(), "u").unwrap();
        assert!(dir.prepare(&Container::default(), &Contents::default(), false).unwrap().is_empty());
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
        assert!(PodDir::new(base.path(), "../x").is_err());
    }

    #[test]
    fn items_choose_keys_and_a_missing_one_is_named() {
        let all: Files = [("a".to_owned(), vec![1]), ("b".to_owned(), vec![2])].into();
        let item = |key: &str| KeyToPath { key: key.to_owned(), path: format!("d/{key}"), ..KeyToPath::default() };
        assert_eq!(choose(all.clone(), Some(&[item("a")]), None).unwrap(), [("d/a".to_owned(), vec![1])].into());
        assert_eq!(choose(all.clone(), Some(&[item("z")]), None).unwrap_err(), "z");
        assert!(choose(all.clone(), Some(&[item("z")]), Some(true)).unwrap().is_empty());
        let twice = [item("a"), KeyToPath { path: "e".to_owned(), ..item("a") }];
        assert_eq!(choose(all, Some(&twice), None).unwrap().len(), 2);
    }
}
