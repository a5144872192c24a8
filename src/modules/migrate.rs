//! The names of earlier versions: side records `module 0 NAME 0 TAG`, of a small JSON. Once, at the first start of a version
//! that keeps them as objects, each becomes one, and the records go, in one transaction.

use jiff::Timestamp;
use serde::Deserialize;

use super::describe::describe;
use super::digest::Digest;
use super::import;
use super::index::{Index, Named, OpenError};
use super::reference::Reference;
use crate::api::module::PUSHED;
use crate::store::Tx;

const SPACE: &[u8] = b"module\0";

/// Records read at once.
const PAGE: usize = 1_000;

/// What was stored.
#[derive(Deserialize)]
struct Record {
    digest: String,
    pushed: String,
}

/// Does it, if there are any. A name whose module is not on disk, or is damaged there, is dropped and told of: its pods could
/// not start before either.
pub(super) fn old_names(index: &Index) -> Result<(), OpenError> {
    let mut any = false;
    let mut from = SPACE.to_vec();
    loop {
        let page = index.store().side_records(SPACE, &from, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        any = true;
        from = [last, &[0][..]].concat();
        for (key, value) in page {
            let fault = |detail| OpenError::Record(format!("{}: {detail}", String::from_utf8_lossy(&key)));
            let (reference, digest, pushed) = decode(&key, &value).map_err(fault)?;
            match named(index, digest, pushed) {
                Ok(named) => drop(index.put(&reference, &named, pushed).map_err(|error| fault(error.to_string()))?),
                Err(error) => tracing::warn!(%reference, %error, "a name is dropped, because its module is lost"),
            }
        }
    }
    if any {
        let mut tx = Tx::new();
        tx.delete_sides(SPACE.to_vec());
        index.store().commit(tx)?;
    }
    Ok(())
}

fn named(index: &Index, digest: Digest, pushed: Timestamp) -> Result<Named, OpenError> {
    // The one time that a module is read in a process that serves, before it does; it was checked when it was pushed.
    let wasm = index.blobs().read(digest)?;
    let (description, size) = (describe(&wasm), wasm.len() as u64);
    drop(wasm);
    Ok(import::named(index.blobs(), digest, size, &description, None, PUSHED, pushed)?)
}

fn decode(key: &[u8], value: &[u8]) -> Result<(Reference, Digest, Timestamp), String> {
    let name = key.strip_prefix(SPACE).and_then(|key| std::str::from_utf8(key).ok()?.split_once('\0'));
    let (name, tag) = name.ok_or("the key is not a name and a tag")?;
    let record: Record = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    let digest = record.digest.parse().map_err(|error: super::digest::DigestError| error.to_string())?;
    let pushed = record.pushed.parse().map_err(|error: jiff::Error| error.to_string())?;
    Ok((Reference { name: name.to_owned(), tag: Some(tag.to_owned()), digest: None }, digest, pushed))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ids::Ids;
    use crate::modules::Blobs;
    use crate::modules::index::digest_of;
    use crate::modules::testing::PROGRAM;
    use crate::store::Store;

    fn record(name: &str, tag: &str, digest: Digest) -> (Vec<u8>, Bytes) {
        let key = [SPACE, name.as_bytes(), &[0], tag.as_bytes()].concat();
        let value = format!("{{\"digest\":\"{digest}\",\"size\":1,\"pushed\":\"2026-01-02T03:04:05Z\"}}");
        (key, value.into())
    }

    #[test]
    fn old_names_become_objects_once() {
        let directory = tempfile::tempdir().unwrap();
        let open = || {
            let store = Store::open(&directory.path().join("store"), 16).unwrap();
            let blobs = Blobs::open(directory.path()).unwrap();
            (store, blobs)
        };
        {
            let (store, blobs) = open();
            let digest = blobs.put(PROGRAM).unwrap();
            let mut tx = Tx::new();
            for (key, value) in [
                record("pi", "latest", digest),
                record("docker.io/library/x", "1.29", digest),
                record("lost", "latest", Digest::of(b"lost")),
            ] {
                tx.put_side(key, value);
            }
            store.commit(tx).unwrap();
            store.close();
        }
        for _ in 0..2 {
            let (store, blobs) = open();
            let index = Index::open(store.clone(), blobs, Ids::seeded(1)).unwrap();
            let all = index.list();
            let names: Vec<_> = all.iter().map(|m| m.spec.clone().unwrap().name).collect();
            assert_eq!(names, ["docker.io/library/x", "pi"]);
            for module in &all {
                assert_eq!(digest_of(module), Some(Digest::of(PROGRAM)));
                let status = module.status.as_ref().unwrap();
                assert_eq!((status.kind.as_deref(), &status.exports), (Some("Command"), &vec!["_start".to_owned()]));
                assert_eq!(status.pushed.as_ref().unwrap().0.to_string(), "2026-01-02T03:04:05Z");
                assert_eq!(module.metadata.creation_timestamp, status.pushed);
            }
            assert_eq!(index.resolve(&"docker.io/library/x:1.29".parse().unwrap()), Some(Digest::of(PROGRAM)));
            store.close();
        }
        let (store, _) = open();
        assert_eq!(store.side_records(SPACE, SPACE, 10).unwrap(), []);
    }

    #[test]
    fn a_record_that_makes_no_sense_stops_the_start_and_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store"), 16).unwrap();
        let mut tx = Tx::new();
        tx.put_side([SPACE, b"pi\0latest"].concat(), "{}".into());
        store.commit(tx).unwrap();
        store.close();
        drop(store);
        let store = Store::open(&directory.path().join("store"), 16).unwrap();
        let blobs = Blobs::open(directory.path()).unwrap();
        let error = Index::open(store, blobs, Ids::seeded(1)).map(drop).unwrap_err().to_string();
        assert!(error.contains("pi\0latest"), "{error}");
    }
}
