//! The directories of a pod: a scratch root, and its volumes, made before it runs and removed with it.
//!
//! Everything here is made by kiln itself, of plain files and directories: no guest has touched it before, so no
//! symbolic link can lead out of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, KeyToPath, Pod, Volume};

use super::cluster::Cluster;
use super::env::ConfigError;
use crate::sandbox::Mount;

/// Files of a volume: path below its root, bytes.
type Files = BTreeMap<String, Vec<u8>>;

/// What the pod's volumes hold, fetched from the cluster before anything is written.
#[derive(Debug, Default)]
pub struct Contents(BTreeMap<String, Files>);

pub async fn contents<C: Cluster>(cluster: &C, pod: &Pod) -> Result<Contents, ConfigError> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut all = BTreeMap::new();
    for volume in pod.spec.iter().flat_map(|s| s.volumes.iter().flatten()) {
        all.insert(volume.name.clone(), files(cluster, namespace, volume).await?);
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
fn choose(mut all: Files, items: Option<&[KeyToPath]>, optional: Option<bool>) -> Result<Files, String> {
    let Some(items) = items.filter(|items| !items.is_empty()) else { return Ok(all) };
    let mut chosen = Files::new();
    for item in items {
        match all.remove(&item.key) {
            Some(bytes) => {
                chosen.insert(item.path.clone(), bytes);
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
    made: bool,
}

impl PodDir {
    /// `uid` becomes a file name; it was made by kiln, and one that is none is refused.
    pub fn new(base: &Path, uid: &str) -> io::Result<PodDir> {
        let plain = !uid.is_empty() && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match plain {
            true => Ok(PodDir { path: base.join(uid), made: false }),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "the pod's uid is not a file name")),
        }
    }

    /// Makes what `container` needs and answers its mounts. Blocks on the disk. Called again for a restart, it keeps
    /// what emptyDir volumes hold and makes the rest anew.
    pub fn prepare(&mut self, container: &Container, contents: &Contents, needs_root: bool) -> io::Result<Vec<Mount>> {
        let mounted = container.volume_mounts.as_deref().unwrap_or_default();
        if !needs_root && mounted.is_empty() {
            return Ok(Vec::new());
        }
        self.made = true;
        let root = self.path.join("root");
        remove_if_there(&root)?;
        fs::create_dir_all(root.join("tmp"))?;
        fs::create_dir_all(root.join("dev"))?;
        fs::write(root.join("dev/null"), b"")?;
        let mut mounts = vec![Mount { host: root, guest: "/".to_owned(), writable: true }];
        for mount in mounted {
            let Some(files) = contents.0.get(&mount.name) else { continue };
            let volume = self.path.join("volumes").join(&mount.name);
            fs::create_dir_all(&volume)?;
            for (path, bytes) in files {
                let file = volume.join(path);
                if let Some(parent) = file.parent() {
                    fs::create_dir_all(parent)?;
                }
                fs::write(file, bytes)?;
            }
            let host = match mount.sub_path.as_deref().filter(|p| !p.is_empty()) {
                Some(sub) => volume.join(sub),
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
            let writable = mount.read_only != Some(true) && files.is_empty();
            mounts.push(Mount { host, guest: mount.mount_path.clone(), writable });
        }
        Ok(mounts)
    }
}

impl Drop for PodDir {
    fn drop(&mut self) {
        if self.made
            && let Err(error) = remove_if_there(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a pod's directory could not be removed");
        }
    }
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
        let contents = Contents([("e".to_owned(), Files::new()), ("c".to_owned(), files)].into());
        let container =
            Container { volume_mounts: Some(vec![mount("e", "/state"), mount("c", "/etc/c")]), ..Container::default() };
        let mut dir = PodDir::new(base.path(), "u-1").unwrap();
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
    fn a_pod_without_files_makes_no_directory_and_a_strange_uid_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let mut dir = PodDir::new(base.path(), "u").unwrap();
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
        assert!(choose(all, Some(&[item("z")]), Some(true)).unwrap().is_empty());
    }
}
