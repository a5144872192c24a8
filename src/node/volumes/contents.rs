//! What the volumes of a pod hold that the cluster knows: fetched before anything is written.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, Secret, Volume, VolumeProjection};

use super::files::{File, Files};
use crate::api::pod::defaults::FILE_MODE;
use crate::node::cluster::Cluster;
use crate::node::env::ConfigError;
use crate::node::fields::{self, Amounts};

/// The files of each volume that holds files when the pod begins.
#[derive(Debug, Default)]
pub struct Contents(pub BTreeMap<String, Files>);

/// Bytes that the volumes of one pod may hold together: a few dozen of the largest ConfigMaps.
const MOST_CONTENTS: usize = 64 << 20;

/// Fetches what all volumes of the pod hold: as in Kubernetes, a pod begins when all of them can be made.
pub async fn fetch<C: Cluster>(cluster: &C, pod: &Pod, node: &Amounts) -> Result<Contents, ConfigError> {
    let source = Source { cluster, pod, node };
    let mut all = BTreeMap::new();
    let mut bytes = 0_usize;
    for volume in pod.spec.iter().flat_map(|s| s.volumes.iter().flatten()) {
        let files = source
            .volume(volume)
            .await
            .map_err(|what| ConfigError(format!("MountVolume.SetUp failed for volume \"{}\" : {what}", volume.name)))?;
        let Some(files) = files else { continue };
        bytes = bytes.saturating_add(files.bytes());
        if bytes > MOST_CONTENTS {
            return Err(ConfigError(format!("the volumes of this pod hold more than {MOST_CONTENTS} bytes")));
        }
        all.insert(volume.name.clone(), files);
    }
    Ok(Contents(all))
}

struct Source<'a, C> {
    cluster: &'a C,
    pod: &'a Pod,
    node: &'a Amounts,
}

/// The keys of a ConfigMap or Secret.
type Keys = BTreeMap<String, Vec<u8>>;

impl<C: Cluster> Source<'_, C> {
    /// `None` for a volume that begins empty or lies elsewhere.
    async fn volume(&self, volume: &Volume) -> Result<Option<Files>, String> {
        let mut files = Files::default();
        if let Some(source) = &volume.config_map {
            let mode = source.default_mode.unwrap_or(FILE_MODE);
            let keys = self.config_map(&source.name, source.optional).await?;
            choose(&mut files, keys, source.items.as_deref(), source.optional, mode)
                .map_err(|key| format!("configmap references non-existent config key: {key}"))?;
        } else if let Some(source) = &volume.secret {
            let mode = source.default_mode.unwrap_or(FILE_MODE);
            let keys = self.secret(source.secret_name.as_deref().unwrap_or_default(), source.optional).await?;
            choose(&mut files, keys, source.items.as_deref(), source.optional, mode)
                .map_err(|key| format!("references non-existent secret key: {key}"))?;
        } else if let Some(source) = &volume.downward_api {
            let mode = source.default_mode.unwrap_or(FILE_MODE);
            self.downward(&mut files, source.items.as_deref().unwrap_or_default(), mode)?;
        } else if let Some(source) = &volume.projected {
            let mode = source.default_mode.unwrap_or(FILE_MODE);
            for projection in source.sources.iter().flatten() {
                self.projection(&mut files, projection, mode).await?;
            }
        } else {
            return Ok(None);
        }
        Ok(Some(files))
    }

    async fn projection(&self, files: &mut Files, projection: &VolumeProjection, mode: i32) -> Result<(), String> {
        if let Some(source) = &projection.config_map {
            let keys = self.config_map(&source.name, source.optional).await?;
            choose(files, keys, source.items.as_deref(), source.optional, mode)
                .map_err(|key| format!("configmap references non-existent config key: {key}"))?;
        }
        if let Some(source) = &projection.secret {
            let keys = self.secret(&source.name, source.optional).await?;
            choose(files, keys, source.items.as_deref(), source.optional, mode)
                .map_err(|key| format!("references non-existent secret key: {key}"))?;
        }
        if let Some(source) = &projection.downward_api {
            self.downward(files, source.items.as_deref().unwrap_or_default(), mode)?;
        }
        Ok(())
    }

    fn downward(&self, files: &mut Files, items: &[DownwardAPIVolumeFile], mode: i32) -> Result<(), String> {
        for item in items {
            let text = if let Some(field) = &item.field_ref {
                fields::value(self.pod, &field.field_path)
            } else if let Some(resource) = &item.resource_field_ref {
                fields::resource(self.pod, None, resource, self.node)?
            } else {
                continue;
            };
            let file = File { bytes: text.into_bytes(), mode: item.mode.unwrap_or(mode) };
            files.0.insert(item.path.clone(), file);
        }
        Ok(())
    }

    fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }

    async fn config_map(&self, name: &str, optional: Option<bool>) -> Result<Keys, String> {
        let found = self.cluster.config_map(self.namespace(), name).await;
        let keys = |map: &ConfigMap| {
            let text = map.data.iter().flatten().map(|(k, v)| (k.clone(), v.clone().into_bytes()));
            text.chain(map.binary_data.iter().flatten().map(raw)).collect()
        };
        match found {
            Some(map) => Ok(keys(&map)),
            None if optional == Some(true) => Ok(Keys::new()),
            None => Err(format!("configmap \"{name}\" not found")),
        }
    }

    async fn secret(&self, name: &str, optional: Option<bool>) -> Result<Keys, String> {
        let found = self.cluster.secret(self.namespace(), name).await;
        let keys = |secret: &Secret| secret.data.iter().flatten().map(raw).collect();
        match found {
            Some(secret) => Ok(keys(&secret)),
            None if optional == Some(true) => Ok(Keys::new()),
            None => Err(format!("secret \"{name}\" not found")),
        }
    }
}

fn raw((key, value): (&String, &ByteString)) -> (String, Vec<u8>) {
    (key.clone(), value.0.clone())
}

/// All keys under their own names, or those of `items` under the paths given there. Fails with the missing key.
fn choose(
    files: &mut Files,
    keys: Keys,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    mode: i32,
) -> Result<(), String> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        files.0.extend(keys.into_iter().map(|(name, bytes)| (name, File { bytes, mode })));
        return Ok(());
    };
    for item in items {
        match keys.get(&item.key) {
            Some(bytes) => {
                let file = File { bytes: bytes.clone(), mode: item.mode.unwrap_or(mode) };
                files.0.insert(item.path.clone(), file);
            }
            None if optional == Some(true) => {}
            None => return Err(item.key.clone()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_choose_keys_and_a_missing_one_is_named() {
        let all: Keys = [("a".to_owned(), vec![1]), ("b".to_owned(), vec![2])].into();
        let item = |key: &str| KeyToPath {
            key: key.to_owned(),
            path: format!("d/{key}"),
            mode: Some(0o400),
            ..KeyToPath::default()
        };
        let chosen = |items: &[KeyToPath], optional| {
            let mut files = Files::default();
            choose(&mut files, all.clone(), Some(items), optional, 0o644).map(|()| files.0)
        };
        let file = |byte, mode| File { bytes: vec![byte], mode };
        assert_eq!(chosen(&[item("a")], None).unwrap(), [("d/a".to_owned(), file(1, 0o400))].into());
        assert_eq!(chosen(&[item("z")], None).unwrap_err(), "z");
        assert!(chosen(&[item("z")], Some(true)).unwrap().is_empty());
        let all = [("a".to_owned(), file(1, 0o644)), ("b".to_owned(), file(2, 0o644))];
        assert_eq!(chosen(&[], None).unwrap(), all.into(), "no items are all keys");
        let twice = [item("a"), KeyToPath { path: "e".to_owned(), ..item("a") }];
        assert_eq!(chosen(&twice, None).unwrap().len(), 2);
    }
}
