//! What the volumes hold that are made of ConfigMaps, Secrets and the pod's own fields: fetched from the cluster before
//! anything is written.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Pod, Volume, VolumeProjection};
use sha2::{Digest, Sha256};

use super::super::cluster::Cluster;
use super::super::env::ConfigError;
use super::super::fields::{field_value, resource_value};
use crate::api::pod::defaults::FILE_MODE;

/// Bytes that the volumes of one pod may hold together: a few dozen of the largest ConfigMaps.
const MOST_BYTES: usize = 64 << 20;

/// Files of a volume, by their paths below its root.
pub type Files = BTreeMap<String, FileContent>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileContent {
    pub bytes: Vec<u8>,
    pub mode: u32,
}

/// Per volume what it holds, or why that cannot be said yet.
#[derive(Debug, Default)]
pub struct Contents(pub BTreeMap<String, Result<Files, ConfigError>>);

/// Fetches all volumes of the pod that consist of files.
pub async fn contents<C: Cluster>(cluster: &C, pod: &Pod) -> Contents {
    let mut all = BTreeMap::new();
    let mut bytes = 0_usize;
    for volume in pod.spec.iter().flat_map(|s| s.volumes.iter().flatten()) {
        if volume.empty_dir.is_some() || volume.host_path.is_some() {
            continue;
        }
        let mut files = files(cluster, pod, volume).await;
        bytes = files.iter().flatten().fold(bytes, |sum, (_, file)| sum.saturating_add(file.bytes.len()));
        if bytes > MOST_BYTES {
            files = Err(ConfigError(format!("the volumes of this pod hold more than {MOST_BYTES} bytes")));
        }
        all.insert(volume.name.clone(), files);
    }
    Contents(all)
}

/// Tells contents apart.
pub fn fingerprint(files: &Files) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (path, file) in files {
        for part in [path.as_bytes(), &file.mode.to_le_bytes(), &file.bytes] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().into()
}

async fn files<C: Cluster>(cluster: &C, pod: &Pod, volume: &Volume) -> Result<Files, ConfigError> {
    let mut files = Files::new();
    if let Some(source) = &volume.config_map {
        let from = Source { name: &source.name, items: source.items.as_deref(), optional: source.optional };
        from.config_map(cluster, pod, mode(source.default_mode), &mut files).await?;
    } else if let Some(source) = &volume.secret {
        let name = source.secret_name.as_deref().unwrap_or_default();
        let from = Source { name, items: source.items.as_deref(), optional: source.optional };
        from.secret(cluster, pod, mode(source.default_mode), &mut files).await?;
    } else if let Some(source) = &volume.downward_api {
        downward(cluster, pod, source.items.as_deref(), mode(source.default_mode), &mut files).await?;
    } else if let Some(source) = &volume.projected {
        for projection in source.sources.iter().flatten() {
            projected(cluster, pod, projection, mode(source.default_mode), &mut files).await?;
        }
    }
    Ok(files)
}

async fn projected<C: Cluster>(
    cluster: &C,
    pod: &Pod,
    projection: &VolumeProjection,
    mode: u32,
    files: &mut Files,
) -> Result<(), ConfigError> {
    if let Some(source) = &projection.config_map {
        let from = Source { name: &source.name, items: source.items.as_deref(), optional: source.optional };
        from.config_map(cluster, pod, mode, files).await?;
    }
    if let Some(source) = &projection.secret {
        let from = Source { name: &source.name, items: source.items.as_deref(), optional: source.optional };
        from.secret(cluster, pod, mode, files).await?;
    }
    if let Some(source) = &projection.downward_api {
        downward(cluster, pod, source.items.as_deref(), mode, files).await?;
    }
    Ok(())
}

fn mode(mode: Option<i32>) -> u32 {
    mode.unwrap_or(FILE_MODE).cast_unsigned()
}

/// A ConfigMap or Secret, and what of it is wanted.
struct Source<'a> {
    name: &'a str,
    items: Option<&'a [KeyToPath]>,
    optional: Option<bool>,
}

impl Source<'_> {
    async fn config_map<C: Cluster>(
        &self,
        cluster: &C,
        pod: &Pod,
        mode: u32,
        files: &mut Files,
    ) -> Result<(), ConfigError> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let Some(map) = cluster.config_map(namespace, self.name).await else {
            return self.missing("configmap");
        };
        let text = map.data.iter().flatten().map(|(k, v)| (k.as_str(), v.as_bytes()));
        let binary = map.binary_data.iter().flatten().map(|(k, v)| (k.as_str(), v.0.as_slice()));
        let chosen = self.choose(&text.chain(binary).collect(), mode, files);
        chosen.map_err(|key| ConfigError(format!("configmap references non-existent config key: {key}")))
    }

    async fn secret<C: Cluster>(
        &self,
        cluster: &C,
        pod: &Pod,
        mode: u32,
        files: &mut Files,
    ) -> Result<(), ConfigError> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let Some(secret) = cluster.secret(namespace, self.name).await else {
            return self.missing("secret");
        };
        let all = secret.data.iter().flatten().map(|(k, v)| (k.as_str(), v.0.as_slice())).collect();
        let chosen = self.choose(&all, mode, files);
        chosen.map_err(|key| ConfigError(format!("references non-existent secret key: {key}")))
    }

    fn missing(&self, kind: &str) -> Result<(), ConfigError> {
        match self.optional {
            Some(true) => Ok(()),
            _ => Err(ConfigError(format!("{kind} \"{}\" not found", self.name))),
        }
    }

    /// Adds all keys under their own names, or those of the items under the paths given there. Fails with the missing
    /// key.
    fn choose(&self, all: &BTreeMap<&str, &[u8]>, mode: u32, files: &mut Files) -> Result<(), String> {
        let Some(items) = self.items.filter(|items| !items.is_empty()) else {
            files.extend(all.iter().map(|(k, v)| ((*k).to_owned(), FileContent { bytes: v.to_vec(), mode })));
            return Ok(());
        };
        for item in items {
            match all.get(item.key.as_str()) {
                Some(bytes) => {
                    let mode = item.mode.map_or(mode, i32::cast_unsigned);
                    files.insert(item.path.clone(), FileContent { bytes: bytes.to_vec(), mode });
                }
                None if self.optional == Some(true) => {}
                None => return Err(item.key.clone()),
            }
        }
        Ok(())
    }
}

async fn downward<C: Cluster>(
    cluster: &C,
    pod: &Pod,
    items: Option<&[DownwardAPIVolumeFile]>,
    mode: u32,
    files: &mut Files,
) -> Result<(), ConfigError> {
    for item in items.unwrap_or_default() {
        let value = match (&item.field_ref, &item.resource_field_ref) {
            (Some(field), _) => field_value(pod, &field.field_path),
            (None, Some(resource)) => resource_value(cluster, pod, None, resource).await?,
            (None, None) => String::new(),
        };
        let mode = item.mode.map_or(mode, i32::cast_unsigned);
        files.insert(item.path.clone(), FileContent { bytes: value.into_bytes(), mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_choose_keys_and_a_missing_one_is_named() {
        let all: BTreeMap<&str, &[u8]> = [("a", &[1][..]), ("b", &[2][..])].into();
        let item = |key: &str| KeyToPath { key: key.to_owned(), path: format!("d/{key}"), ..KeyToPath::default() };
        let chosen = |items: &[KeyToPath], optional| {
            let mut files = Files::new();
            Source { name: "n", items: Some(items), optional }.choose(&all, 0o644, &mut files)?;
            Ok::<_, String>(files.into_iter().map(|(path, file)| (path, file.mode)).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&[item("a")], None).unwrap(), [("d/a".to_owned(), 0o644)]);
        assert_eq!(chosen(&[KeyToPath { mode: Some(0o400), ..item("a") }], None).unwrap(), [("d/a".to_owned(), 0o400)]);
        assert_eq!(chosen(&[item("z")], None).unwrap_err(), "z");
        assert!(chosen(&[item("z")], Some(true)).unwrap().is_empty());
        assert_eq!(chosen(&[item("a"), KeyToPath { path: "e".to_owned(), ..item("a") }], None).unwrap().len(), 2);
        assert_eq!(chosen(&[], None).unwrap().len(), 2);
    }

    #[test]
    fn the_fingerprint_tells_names_bytes_and_modes_apart() {
        let one = |path: &str, bytes: &[u8], mode| -> Files {
            [(path.to_owned(), FileContent { bytes: bytes.to_vec(), mode })].into()
        };
        let base = fingerprint(&one("a", b"x", 0o644));
        assert_eq!(base, fingerprint(&one("a", b"x", 0o644)));
        for other in [one("b", b"x", 0o644), one("a", b"y", 0o644), one("a", b"x", 0o600), Files::new()] {
            assert_ne!(base, fingerprint(&other));
        }
    }
}
