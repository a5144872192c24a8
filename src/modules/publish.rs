//! How a manifest gets in that somebody else has written: pushed by a client of registries, or pulled with a module.
//!
//! ```text
//!   what it refers to, as blobs ──► manifest: read, checked ──► of a module: program ──► blob ──► record and name ──► durable
//!                                        │                          │
//!                                        └── refused ◄──────────────┘ with the reason: nothing was named
//! ```
//!
//! As with an import, one goes at a time from the moment that its blobs are looked for until they are named.

use std::io::Read;

use jiff::Timestamp;

use super::blobs::BlobError;
use super::cache::ProgramError;
use super::digest::{Digest, DigestError};
use super::import::{self, ImportError};
use super::index::{Named, PutError};
use super::layout::{self, Document, NoModule};
use super::manifests::Manifest;
use super::reference::Reference;
use super::{MAX_MODULE, Modules};
use crate::api::meta;
use crate::api::module::{ARTIFACT, ModuleStatus, PULLED};
use crate::store::DiskFailed;

/// A manifest that is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Of the manifest.
    pub digest: Digest,
    /// Of the module that it is of, if it is of one.
    pub module: Option<Digest>,
    /// The manifest that it says something about, which need not be here.
    pub subject: Option<Digest>,
}

/// Why a manifest did not get in.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It is no manifest.
    #[error(transparent)]
    Invalid(#[from] NoModule),
    #[error("{0}")]
    Contradiction(String),
    #[error(transparent)]
    Digest(#[from] DigestError),
    #[error("the bytes have the digest {found}, and {expected} was announced")]
    Mismatch { expected: Digest, found: Digest },
    /// It refers to what was not pushed before.
    #[error("the manifest refers to {0}, which is not here: push it first")]
    Absent(Digest),
    /// It is of a module that cannot run, for the reason told.
    #[error("the module cannot be run: {0}")]
    Refused(ProgramError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Name(#[from] PutError),
    #[error(transparent)]
    Disk(#[from] DiskFailed),
    #[error("it was given up, because this process is about to end")]
    GivenUp,
}

impl Modules {
    /// Takes in bytes as a blob of at most [`MAX_MODULE`], unless they have another digest than expected. Nothing refers to it
    /// yet: it is collected if nothing does for long.
    pub async fn ingest(&self, bytes: impl Read + Send + 'static, expected: Digest) -> Result<(), ImportError> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || -> Result<(), ImportError> {
            this.receive(bytes)?.finish(Some(expected))?;
            Ok(())
        });
        done.await.map_err(import::given_up)?
    }

    /// Removes a module that was taken in and then refused: nothing can refer to it.
    pub(super) async fn discard_refused(&self, digest: Digest) {
        let _one_at_a_time = self.importing.lock().await;
        self.discard(digest).await;
    }

    /// Takes in a manifest and lets `reference` mean it; on disk when this returns. A digest in the reference is what the
    /// manifest must have. `media_type` is what its sender calls it, if he does. What was [`PULLED`] may refer to what is not
    /// here: of an index one entry is pulled, and the rest stays where it is.
    pub async fn publish(
        &self,
        from: &'static str,
        reference: &Reference,
        bytes: Vec<u8>,
        media_type: Option<String>,
        now: Timestamp,
    ) -> Result<Published, PublishError> {
        let (this, reference) = (self.clone(), reference.clone());
        // To its end, even if who asked has gone.
        let task = tokio::spawn(async move { this.take_in(from, &reference, bytes, media_type, now).await });
        task.await.map_err(|_| PublishError::GivenUp)?
    }

    async fn take_in(
        &self,
        from: &'static str,
        reference: &Reference,
        bytes: Vec<u8>,
        media_type: Option<String>,
        now: Timestamp,
    ) -> Result<Published, PublishError> {
        let digest = Digest::of(&bytes);
        if let Some(expected) = reference.digest.filter(|expected| *expected != digest) {
            return Err(PublishError::Mismatch { expected, found: digest });
        }
        let document = Document::read(&bytes)?;
        let media_type = media_type_of(&document, media_type)?;
        let parts = parts(&document)?;
        let subject = document.subject.as_ref().map(|subject| subject.digest.parse()).transpose()?;
        let _one_at_a_time = self.importing.lock().await;
        if from != PULLED {
            let absent = parts.iter().find(|part| !self.index.has(**part));
            absent.map_or(Ok(()), |absent| Err(PublishError::Absent(*absent)))?;
        }
        let module = self.module_of(&document, &reference.name)?;
        let status = match module {
            Some(module) => {
                let (_, compiled) = self.described(module).await.map_err(PublishError::Refused)?;
                let size = self.blobs.size(module)?.unwrap_or_default();
                import::status(&compiled.description, size, Some(compiled.seconds), from, now)
            }
            None => ModuleStatus {
                kind: Some(ARTIFACT.to_owned()),
                size: i64::try_from(document.size()).ok(),
                pushed: Some(meta::time(now)),
                from: Some(from.to_owned()),
                ..ModuleStatus::default()
            },
        };
        let size = bytes.len() as u64;
        let blobs = self.blobs.clone();
        tokio::task::spawn_blocking(move || blobs.keep(&bytes)).await.map_err(|_| PublishError::GivenUp)??;
        let record = Manifest { media_type, size, module, refers_to: parts, subject, is_kept: false, pushed: now };
        let named = Named { digest: module, manifest: digest, record, status };
        let revision = self.index.put(reference, &named, now)?;
        self.index.store().durable(revision).await?;
        Ok(Published { digest, module, subject })
    }

    /// The module that a manifest is of; that of an index is the one of its entry for wasm, if that is of one.
    fn module_of(&self, document: &Document, repository: &str) -> Result<Option<Digest>, PublishError> {
        if document.is_index() {
            let entry = document.choose().ok();
            return Ok(entry.and_then(|entry| self.index.manifest(repository, entry)?.module));
        }
        match document.module() {
            Ok(layer) => match self.blobs.size(layer.digest)? {
                Some(size) if size == layer.size && size <= MAX_MODULE => Ok(Some(layer.digest)),
                Some(size) => Err(PublishError::Contradiction(format!(
                    "the manifest says that {} has {} bytes, and it has {size}",
                    layer.digest, layer.size
                ))),
                None => Err(PublishError::Absent(layer.digest)),
            },
            // Kept, and served to who asks for it; but nothing that could be run.
            Err(NoModule::Image(_) | NoModule::Layer(_) | NoModule::Layers(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The media type of a manifest, on which its sender and its text must agree.
fn media_type_of(document: &Document, said: Option<String>) -> Result<String, PublishError> {
    let said = said.map(|said| said.split(';').next().unwrap_or_default().trim().to_owned());
    // What some clients send when they do not say.
    let said = said.filter(|said| !matches!(said.as_str(), "" | "application/json" | "application/octet-stream"));
    match (&document.media_type, said) {
        (Some(media_type), Some(said)) if *media_type != said => Err(PublishError::Contradiction(format!(
            "the manifest says that it is {}, and its Content-Type {}",
            layout::short(media_type),
            layout::short(&said)
        ))),
        (Some(media_type), _) => Ok(media_type.clone()),
        (None, Some(said)) if layout::ACCEPTED.contains(&said.as_str()) => Ok(said),
        (None, Some(said)) => Err(NoModule::MediaType(layout::short(&said)).into()),
        (None, None) if document.is_index() => Ok(layout::INDEX.to_owned()),
        (None, None) => Ok(layout::MANIFEST.to_owned()),
    }
}

/// All that a manifest refers to, each once.
fn parts(document: &Document) -> Result<Vec<Digest>, PublishError> {
    let lists = [&document.layers, &document.manifests].into_iter().flatten().flatten();
    let mut parts = Vec::new();
    for descriptor in document.config.iter().chain(lists) {
        let digest = descriptor.digest.parse()?;
        if !parts.contains(&digest) {
            parts.push(digest);
        }
        if parts.len() > MOST_PARTS {
            return Err(PublishError::Contradiction(format!("a manifest may refer to {MOST_PARTS} things at most")));
        }
    }
    Ok(parts)
}

/// A manifest of 4 MiB could name tens of thousands, and each is looked for.
const MOST_PARTS: usize = 1_000;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::module::PUSHED;
    use crate::modules::testing::{LIBRARY, Opened, PROGRAM};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
        json!({"mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": bytes.len()})
    }

    fn manifest(media_type: &str, layer: &[u8]) -> Value {
        json!({"schemaVersion": 2, "mediaType": layout::MANIFEST,
            "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"), "layers": [descriptor(media_type, layer)]})
    }

    async fn publish(opened: &Opened, reference: &str, manifest: &Value) -> Result<Published, PublishError> {
        let bytes = manifest.to_string().into_bytes();
        opened.modules.publish(PUSHED, &reference.parse().unwrap(), bytes, None, NOW).await
    }

    async fn with(blobs: &[&[u8]]) -> Opened {
        let opened = Opened::new();
        for blob in blobs {
            opened.modules.ingest(std::io::Cursor::new(blob.to_vec()), Digest::of(blob)).await.unwrap();
        }
        opened
    }

    #[tokio::test]
    async fn a_module_is_named_and_an_artifact_is_kept() {
        let opened = with(&[b"{}", PROGRAM, b"text"]).await;
        let index = opened.modules.index();
        let of = manifest("application/wasm", PROGRAM);
        let published = publish(&opened, "tools/pi:1", &of).await.unwrap();
        assert_eq!(published.module, Some(Digest::of(PROGRAM)));
        assert_eq!(index.resolve(&"tools/pi:1".parse().unwrap()), published.module);
        let by_digest = format!("x@{}", published.digest);
        assert_eq!(index.resolve(&by_digest.parse().unwrap()), published.module);
        let text = publish(&opened, "notes", &manifest("text/plain", b"text")).await.unwrap();
        assert_eq!((text.module, index.resolve(&"notes".parse().unwrap())), (None, None));
        let object = index.get(&"notes".parse().unwrap()).unwrap();
        assert_eq!(object.status.as_ref().unwrap().kind.as_deref(), Some(ARTIFACT));
        // An index means what its entry for wasm does.
        let mut entry = descriptor(layout::MANIFEST, of.to_string().as_bytes());
        entry["platform"] = json!({"os": "wasip1", "architecture": "wasm"});
        let list = json!({"schemaVersion": 2, "mediaType": layout::INDEX, "manifests": [entry]});
        assert_eq!(publish(&opened, "tools/pi:2", &list).await.unwrap().module, Some(Digest::of(PROGRAM)));
        assert_eq!(index.resolve(&"tools/pi:2".parse().unwrap()), Some(Digest::of(PROGRAM)));
    }

    #[tokio::test]
    async fn what_is_wrong_is_refused_with_the_reason_and_names_nothing() {
        let opened = with(&[b"{}", PROGRAM, LIBRARY]).await;
        let mut lies = manifest("application/wasm", PROGRAM);
        lies["layers"][0]["size"] = json!(5);
        let mut other_type = manifest("application/wasm", PROGRAM);
        other_type["mediaType"] = json!("text/html");
        let mut no_digest = manifest("application/wasm", PROGRAM);
        no_digest["config"]["digest"] = json!("sha512:0");
        let many: Vec<Value> = (0..2_000_u32).map(|n| descriptor("a/b", &n.to_le_bytes())).collect();
        for (manifest, part) in [
            (manifest("application/wasm", LIBRARY), "it exports no `_start`"),
            (manifest("application/wasm", b"absent"), "is not here: push it first"),
            (lies, "says that sha256:"),
            (other_type, "no image manifest"),
            (no_digest, "only `sha256`"),
            (json!({"schemaVersion": 2, "layers": many}), "1000 things"),
            (json!({"schemaVersion": 1}), "version 1"),
            (json!([]), "not JSON as it should be"),
        ] {
            let error = publish(&opened, "x", &manifest).await.unwrap_err().to_string();
            assert!(error.contains(part), "{manifest}: {error}");
        }
        let wrong = format!("x@{}", Digest::of(b"wrong"));
        let error = publish(&opened, &wrong, &manifest("application/wasm", PROGRAM)).await.unwrap_err();
        assert!(matches!(error, PublishError::Mismatch { .. }), "{error}");
        let bytes = manifest("application/wasm", PROGRAM).to_string().into_bytes();
        let html = Some("text/html".to_owned());
        let error = opened.modules.publish(PUSHED, &"x".parse().unwrap(), bytes, html, NOW).await.unwrap_err();
        assert!(error.to_string().contains("its Content-Type text/html"), "{error}");
        assert!(opened.modules.index().list().is_empty());
    }
}
