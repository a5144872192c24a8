//! Which module a name and a tag mean. Tags move: a push under a name that is taken gives it another digest.
//!
//! The names are the objects of kind `Module` in the store, one for each name and tag, and this is a view of them that keeps
//! nothing of its own: so whoever deletes one, a client, its owner's end or the last finalizer, has taken the name away.
//! Only [`Index::put`] makes them and says what they mean; what clients may change is their metadata. A name is seen by
//! everyone in this process once it is put, and survives a crash once its revision is durable.
//!
//! With each name goes a record of the manifest by which the module is served to clients of registries
//! ([`super::manifests`]), in the same transaction.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::blobs::{BlobError, Blobs};
use super::digest::Digest;
use super::manifests::{self, Manifest, Manifests};
use super::migrate;
use super::reference::Reference;
use crate::api::module::{Module, ModuleSpec, ModuleStatus, object_name};
use crate::api::{Key, Kind, Object, meta};
use crate::ids::Ids;
use crate::store::{CommitError, DiskFailed, Store, Tx};

/// Tries of a write that others get in the way of: clients, who label the object.
const TRIES: usize = 16;

/// The names of modules. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Index(Arc<Inner>);

struct Inner {
    store: Store,
    blobs: Blobs,
    ids: Ids,
    manifests: RwLock<Manifests>,
    changes: watch::Sender<u64>,
}

/// What a name and a tag are to mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Of the module's bytes; `None` if the manifest is of something else.
    pub digest: Option<Digest>,
    /// Of the manifest's bytes.
    pub manifest: Digest,
    pub record: Manifest,
    pub status: ModuleStatus,
}

/// Why the modules of a directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Blobs(#[from] BlobError),
    #[error("cannot read the names of modules: {0}")]
    Names(#[from] DiskFailed),
    #[error("a record of a module makes no sense; it may be of another version of kiln: {0}")]
    Record(String),
    #[error("the names of an earlier version cannot be taken over: {0}")]
    Migrate(#[from] CommitError),
}

impl From<manifests::LoadError> for OpenError {
    fn from(error: manifests::LoadError) -> OpenError {
        match error {
            manifests::LoadError::Disk(error) => OpenError::Names(error),
            other => OpenError::Record(other.to_string()),
        }
    }
}

/// Why a name was not given a meaning.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PutError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("the Module {object} is of {name}:{tag}, and the name would be the same: choose another name or tag")]
    Taken { object: String, name: String, tag: String },
    #[error("the Module {0} is being deleted, and waits for its finalizers: push again once it is gone")]
    Deleting(String),
}

impl Index {
    /// Takes over the names of earlier versions, and loads the records of manifests. Blocks on the disk.
    pub fn open(store: Store, blobs: Blobs, ids: Ids) -> Result<Index, OpenError> {
        let manifests = RwLock::new(manifests::load(&store)?);
        let index = Index(Arc::new(Inner { store, blobs, ids, manifests, changes: watch::Sender::new(0) }));
        migrate::old_names(&index)?;
        Ok(index)
    }

    /// The module that an image field means, if it is here. A digest decides alone, whatever name stands before it; it is
    /// that of a module's bytes or of a manifest, and looked for on disk (one `stat`).
    pub fn resolve(&self, reference: &Reference) -> Option<Digest> {
        match reference.digest {
            Some(digest) => {
                let module = self.module_of(digest)?;
                self.has(module).then_some(module)
            }
            None => digest_of(&*self.get(reference)?),
        }
    }

    /// Whether there are bytes of this digest.
    pub fn has(&self, digest: Digest) -> bool {
        matches!(self.0.blobs.size(digest), Ok(Some(_)))
    }

    /// The module that a digest means in an image field; `None` if it is that of a manifest of something else.
    fn module_of(&self, digest: Digest) -> Option<Digest> {
        let manifests = self.0.manifests.read();
        match manifests.range((digest, String::new())..).next() {
            Some(((found, _), manifest)) if *found == digest => manifest.module,
            _ => Some(digest),
        }
    }

    /// The object of the name and tag, whatever digest stands behind them; nothing without a tag.
    pub fn get(&self, reference: &Reference) -> Option<Arc<Module>> {
        let tag = reference.tag.as_deref()?;
        let object = self.0.store.get(Kind::Module, &Key::new("", object_name(&reference.name, tag)))?;
        let module = object.as_module()?;
        is_of(module, &reference.name, tag).then(|| module.clone())
    }

    /// All names, in the order of their objects' names.
    pub fn list(&self) -> Vec<Arc<Module>> {
        let objects = self.0.store.list(Kind::Module, None).objects;
        objects.iter().filter_map(|object| object.as_module().cloned()).collect()
    }

    /// Lets the name and tag mean this from now on, and wakes who waits. A reference without a tag names nothing: what it
    /// is to mean is kept under its digest. Returns the revision with which it is on disk: see [`Store::durable`].
    pub fn put(&self, reference: &Reference, named: &Named, now: Timestamp) -> Result<u64, PutError> {
        let repository = reference.name.clone();
        let mut record = named.record.clone();
        record.is_kept |= reference.tag.is_none();
        for _ in 0..TRIES {
            // Under the lock, so that memory and disk agree on what was last.
            let mut manifests = self.0.manifests.write();
            let id = (named.manifest, repository.clone());
            record.is_kept |= manifests.get(&id).is_some_and(|known| known.is_kept);
            let mut tx = match &reference.tag {
                Some(tag) => self.tx_of(&repository, tag, named, now)?,
                None => Tx::new(),
            };
            tx.put_side(manifests::record_key(&repository, named.manifest), manifests::encode(&record));
            match self.0.store.commit(tx) {
                // Somebody else has changed or deleted the object: it is looked at again.
                Err(CommitError::Stale(..) | CommitError::AlreadyExists(..) | CommitError::NotFound(..)) => {}
                Err(CommitError::Replaced { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(committed) => {
                    manifests.insert(id, record);
                    drop(manifests);
                    self.0.changes.send_modify(|changes| *changes += 1);
                    return Ok(committed.revision);
                }
            }
        }
        let name = object_name(&repository, reference.tag.as_deref().unwrap_or_default());
        Err(CommitError::Stale(Kind::Module, Key::new("", name)).into())
    }

    fn tx_of(&self, name: &str, tag: &str, named: &Named, now: Timestamp) -> Result<Tx, PutError> {
        let object = object_name(name, tag);
        let spec = Some(ModuleSpec {
            name: name.to_owned(),
            tag: tag.to_owned(),
            digest: named.digest.map(|digest| digest.to_string()),
            manifest: Some(named.manifest.to_string()),
        });
        let status = Some(named.status.clone());
        let known = self.0.store.get(Kind::Module, &Key::new("", object.as_str()));
        let Some(known) = known.as_ref().and_then(Object::as_module) else {
            let metadata = ObjectMeta {
                name: Some(object),
                uid: Some(self.0.ids.uid()),
                creation_timestamp: Some(meta::time(now)),
                ..ObjectMeta::default()
            };
            return Ok(Tx::new().create(Module { metadata, spec, status }));
        };
        if !is_of(known, name, tag) {
            let of = known.spec.clone().unwrap_or_default();
            return Err(PutError::Taken { object, name: of.name, tag: of.tag });
        }
        if meta::is_deleting(&known.metadata) {
            return Err(PutError::Deleting(object));
        }
        Ok(Tx::new().update(Module { metadata: known.metadata.clone(), spec, status }))
    }

    /// Changes with each [`Index::put`]. Subscribe first, then resolve: then no change is missed.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// The record of a manifest in a repository.
    pub fn manifest(&self, repository: &str, digest: Digest) -> Option<Manifest> {
        self.0.manifests.read().get(&(digest, repository.to_owned())).cloned()
    }

    /// Whether there is such a repository: a tag or a manifest of that name.
    pub fn has_repository(&self, repository: &str) -> bool {
        self.0.manifests.read().keys().any(|(_, found)| found == repository) || self.tags(repository).next().is_some()
    }

    /// The objects of the tags of a repository, in no order that matters.
    pub fn tags(&self, repository: &str) -> impl Iterator<Item = Arc<Module>> {
        self.list().into_iter().filter(move |module| module.spec.as_ref().is_some_and(|spec| spec.name == repository))
    }

    /// The manifests of a repository that say something about this one, in the order of their digests.
    pub fn referrers(&self, repository: &str, subject: Digest) -> Vec<(Digest, Manifest)> {
        let manifests = self.0.manifests.read();
        let found = manifests.iter().filter(|((_, of), m)| of == repository && m.subject == Some(subject));
        found.map(|((digest, _), manifest)| (*digest, manifest.clone())).collect()
    }

    /// Whether any manifest refers to this blob, or is it.
    pub(super) fn refers_to(&self, digest: Digest) -> bool {
        let manifests = self.0.manifests.read();
        manifests.iter().any(|((of, _), m)| *of == digest || m.module == Some(digest) || m.refers_to.contains(&digest))
    }

    /// Forgets that what was pushed to the repository by its digest, of a module or of a manifest, is to be kept. Returns the
    /// revision of it; `None` if nothing was.
    pub(super) fn unkeep(&self, repository: &str, digest: Digest) -> Result<Option<u64>, CommitError> {
        let mut manifests = self.0.manifests.write();
        let is_meant = |(id, manifest): &(&(Digest, String), &mut Manifest)| {
            manifest.is_kept && id.1 == repository && (id.0 == digest || manifest.module == Some(digest))
        };
        let Some((id, manifest)) = manifests.iter_mut().find(is_meant) else { return Ok(None) };
        let changed = Manifest { is_kept: false, ..manifest.clone() };
        let mut tx = Tx::new();
        tx.put_side(manifests::record_key(repository, id.0), manifests::encode(&changed));
        let committed = self.0.store.commit(tx)?;
        *manifest = changed;
        Ok(Some(committed.revision))
    }

    /// Drops the records that `choose` chooses. Returns those that stay, and how many went.
    pub(super) fn drop_manifests(
        &self,
        choose: impl FnOnce(&Manifests) -> Vec<(Digest, String)>,
    ) -> Result<(Manifests, usize), CommitError> {
        let mut manifests = self.0.manifests.write();
        let chosen = choose(&manifests);
        if !chosen.is_empty() {
            let mut tx = Tx::new();
            chosen.iter().for_each(|(digest, repository)| tx.delete_sides(manifests::record_key(repository, *digest)));
            self.0.store.commit(tx)?;
            chosen.iter().for_each(|id| drop(manifests.remove(id)));
        }
        Ok((manifests.clone(), chosen.len()))
    }

    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(super) fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }
}

/// The digest of the module that the object means, if it is of one.
pub fn digest_of(module: &Module) -> Option<Digest> {
    module.spec.as_ref()?.digest.as_deref()?.parse().ok()
}

fn is_of(module: &Module, name: &str, tag: &str) -> bool {
    module.spec.as_ref().is_some_and(|spec| spec.name == name && spec.tag == tag)
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
