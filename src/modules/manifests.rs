//! Which OCI manifests each repository has: by them the bytes that a client of registries may ask for are known, and
//! those that nothing refers to any more.
//!
//! A repository is a module's name without its tag. The records are in memory, and in the store as side records:
//! `manifest 0 REPOSITORY 0 DIGEST`, of a small JSON. The manifest itself is a blob.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use crate::store::{DiskFailed, Store};

const SPACE: &[u8] = b"manifest\0";

/// Records read at once while they are loaded.
const PAGE: usize = 1_000;

/// What is known of a manifest in one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub media_type: String,
    /// Bytes of the manifest itself.
    pub size: u64,
    /// The module that it is of, if it is of one.
    pub module: Option<Digest>,
    /// All that it refers to: config, layers, other manifests.
    pub refers_to: Vec<Digest>,
    /// The manifest that it says something about: a signature, a list of parts. It need not be here.
    pub subject: Option<Digest>,
    /// Pushed by its digest: it stays until it is deleted by its digest. Others go with the last tag that means them.
    pub is_kept: bool,
    pub pushed: Timestamp,
}

/// By digest first, so that a digest is found without a repository.
pub(super) type Manifests = BTreeMap<(Digest, String), Manifest>;

/// What is stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    media_type: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<String>,
    refers_to: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default)]
    is_kept: bool,
    pushed: String,
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error(transparent)]
    Disk(#[from] DiskFailed),
    #[error("{key}: {detail}")]
    Record { key: String, detail: String },
}

/// Reads all records. Blocks on the disk.
pub(super) fn load(store: &Store) -> Result<Manifests, LoadError> {
    let mut all = BTreeMap::new();
    let mut from = SPACE.to_vec();
    loop {
        let page = store.side_records(SPACE, &from, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(all) };
        from = [last, &[0][..]].concat();
        for (key, value) in page {
            let (id, manifest) = decode(&key, &value)
                .map_err(|detail| LoadError::Record { key: String::from_utf8_lossy(&key).into_owned(), detail })?;
            all.insert(id, manifest);
        }
    }
}

/// Neither names nor digests have a zero byte in them.
pub(super) fn record_key(repository: &str, digest: Digest) -> Vec<u8> {
    [SPACE, repository.as_bytes(), &[0], digest.to_string().as_bytes()].concat()
}

pub(super) fn encode(manifest: &Manifest) -> Bytes {
    let Manifest { media_type, size, module, refers_to, subject, is_kept, pushed } = manifest;
    let record = Record {
        media_type: media_type.clone(),
        size: *size,
        module: module.map(|digest| digest.to_string()),
        refers_to: refers_to.iter().map(ToString::to_string).collect(),
        subject: subject.map(|digest| digest.to_string()),
        is_kept: *is_kept,
        pushed: pushed.to_string(),
    };
    // Texts and numbers are always JSON.
    serde_json::to_vec(&record).unwrap_or_default().into()
}

fn decode(key: &[u8], value: &[u8]) -> Result<((Digest, String), Manifest), String> {
    fn digest(text: &str) -> Result<Digest, String> {
        text.parse().map_err(|error: super::digest::DigestError| error.to_string())
    }
    let parts = key.strip_prefix(SPACE).and_then(|key| std::str::from_utf8(key).ok()?.split_once('\0'));
    let (repository, of) = parts.ok_or("the key is not a repository and a digest")?;
    let record: Record = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    let manifest = Manifest {
        media_type: record.media_type,
        size: record.size,
        module: record.module.as_deref().map(digest).transpose()?,
        refers_to: record.refers_to.iter().map(|text| digest(text)).collect::<Result<_, _>>()?,
        subject: record.subject.as_deref().map(digest).transpose()?,
        is_kept: record.is_kept,
        pushed: record.pushed.parse().map_err(|error: jiff::Error| error.to_string())?,
    };
    Ok(((digest(of)?, repository.to_owned()), manifest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Tx;

    #[test]
    fn records_survive_a_restart_more_of_them_than_a_page() {
        let directory = tempfile::tempdir().unwrap();
        let manifest = |n: usize| Manifest {
            media_type: "a/b".to_owned(),
            size: n as u64,
            module: n.is_multiple_of(2).then(|| Digest::of(b"m")),
            refers_to: vec![Digest::of(b"c"), Digest::of(b"m")],
            subject: n.is_multiple_of(5).then(|| Digest::of(b"s")),
            is_kept: n.is_multiple_of(3),
            pushed: Timestamp::from_second(n as i64).unwrap(),
        };
        let id = |n: usize| (Digest::of(&n.to_le_bytes()), format!("r/{}", n % 7));
        let all: Manifests = (0..PAGE + 3).map(|n| (id(n), manifest(n))).collect();
        {
            let store = Store::open(directory.path(), 16).unwrap();
            for ((digest, repository), manifest) in &all {
                let mut tx = Tx::new();
                tx.put_side(record_key(repository, *digest), encode(manifest));
                store.commit(tx).unwrap();
            }
            store.close();
        }
        let store = Store::open(directory.path(), 16).unwrap();
        assert_eq!(load(&store).unwrap(), all);
    }

    #[test]
    fn a_record_that_makes_no_sense_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), 16).unwrap();
        let mut tx = Tx::new();
        tx.put_side([SPACE, b"r\0sha256:x"].concat(), "{}".into());
        store.commit(tx).unwrap();
        store.close();
        drop(store);
        let store = Store::open(directory.path(), 16).unwrap();
        let error = load(&store).unwrap_err().to_string();
        assert!(error.contains("r\0sha256:x"), "{error}");
    }
}
