//! Removes what nothing refers to any more: bytes, records of manifests, compiled code.
//!
//! ```text
//!   names ─────────────► manifest ──► config
//!     │                      └──────► module ◄──── a pod that has not ended (imageID, image@digest)
//!     └───────────────────────────────►  ▲  ◄───── a Job that has not (image@digest)
//!   kept by digest ────► manifest ───────┘
//! ```
//!
//! What none of these reach goes once it is old enough, so that an upload in several steps is not cut short: what a client
//! has sent before it says what for. Compiled code goes with the module's bytes. Nothing is removed while an import is
//! between its bytes and its name: both hold one lock.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use tokio_util::sync::CancellationToken;

use super::Modules;
use super::blobs::BlobError;
use super::digest::Digest;
use super::manifests::{Manifest, Manifests};
use super::reference::Reference;
use super::uses::{images, is_open};
use crate::api::module::Module;
use crate::api::pod::facts;
use crate::api::{Kind, Object};
use crate::clock::Clock;
use crate::store::{Change, CommitError, Visibility};

/// How often it is looked for, beside at the start and when a name was deleted.
const EVERY: Duration = Duration::from_secs(600);

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    pub blobs: usize,
    pub bytes: u64,
    pub manifests: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("the process is about to end")]
    GivenUp,
}

/// What the objects in the store refer to.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// Repository and manifest.
    named: HashSet<(String, Digest)>,
    /// Modules, and what pods and Jobs name by digest: modules or manifests.
    digests: HashSet<Digest>,
}

impl Roots {
    pub(super) fn of<'a>(objects: impl Iterator<Item = &'a Object>) -> Roots {
        let mut roots = Roots::default();
        for object in objects {
            match object {
                Object::Module(module) => roots.module(module),
                Object::Pod(pod) if !facts::is_finished(pod) => roots.pod(pod),
                Object::Job(job) if is_open(job) => roots.job(job),
                _ => {}
            }
        }
        roots
    }

    fn module(&mut self, module: &Module) {
        let Some(spec) = &module.spec else { return };
        let digest = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        self.digests.extend(digest(&spec.digest));
        self.named.extend(digest(&spec.manifest).map(|manifest| (spec.name.clone(), manifest)));
    }

    fn pod(&mut self, pod: &Pod) {
        self.images(images(pod.spec.as_ref()));
        self.digests.extend(facts::container_statuses(pod).filter_map(|s| s.image_id.parse::<Digest>().ok()));
    }

    fn job(&mut self, job: &Job) {
        self.images(images(job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref())));
    }

    fn images<'a>(&mut self, images: impl Iterator<Item = &'a str>) {
        self.digests.extend(images.filter_map(|image| image.parse::<Reference>().ok()?.digest));
    }
}

/// The records that nothing refers to and that are from before `oldest`.
fn useless_manifests(all: &Manifests, roots: &Roots, oldest: Timestamp) -> Vec<(Digest, String)> {
    let is_root = |(digest, repository): &(Digest, String), manifest: &Manifest| {
        manifest.is_kept
            || manifest.pushed > oldest
            || roots.digests.contains(digest)
            || roots.named.contains(&(repository.clone(), *digest))
    };
    let mut reached: HashSet<&(Digest, String)> = HashSet::new();
    let mut waiting: Vec<_> = all.iter().filter(|(id, manifest)| is_root(id, manifest)).map(|(id, _)| id).collect();
    let by_id: HashMap<&(Digest, String), &Manifest> = all.iter().collect();
    while let Some(id) = waiting.pop() {
        if !reached.insert(id) {
            continue;
        }
        // An index refers to manifests of its own repository.
        let inner = by_id.get(id).into_iter().flat_map(|manifest| &manifest.refers_to);
        waiting.extend(inner.filter_map(|digest| all.get_key_value(&(*digest, id.1.clone())).map(|(id, _)| id)));
    }
    all.keys().filter(|id| !reached.contains(id)).cloned().collect()
}

/// The blobs that nothing refers to and that are from before `oldest`. `manifests` are those that stay.
fn useless_blobs(
    all: &[(Digest, u64, Timestamp)],
    roots: &Roots,
    manifests: &Manifests,
    held: &HashSet<Digest>,
    oldest: Timestamp,
) -> Vec<(Digest, u64)> {
    let mut used: HashSet<Digest> = roots.digests.union(held).copied().collect();
    used.extend(roots.named.iter().map(|(_, digest)| *digest));
    for ((digest, _), manifest) in manifests {
        used.insert(*digest);
        used.extend(manifest.module);
        used.extend(&manifest.refers_to);
    }
    let is_useless = |(digest, _, since): &&(Digest, u64, Timestamp)| *since <= oldest && !used.contains(digest);
    all.iter().filter(is_useless).map(|(digest, size, _)| (*digest, *size)).collect()
}

impl Modules {
    /// Whether a pod or a Job that is not over runs it or names it. It goes through all of them, for a deletion, which is rare.
    pub(super) fn is_run(&self, digest: Digest) -> bool {
        let objects = [Kind::Pod, Kind::Job].map(|kind| self.index.store().list(kind, None).objects);
        Roots::of(objects.iter().flatten()).digests.contains(&digest)
    }

    /// Removes what nothing has referred to for `after`.
    pub async fn collect(&self, after: Duration, now: Timestamp) -> Result<Collected, CollectError> {
        let _alone = self.importing.lock().await;
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.collect_alone(after, now)).await.map_err(|_| CollectError::GivenUp)?
    }

    fn collect_alone(&self, after: Duration, now: Timestamp) -> Result<Collected, CollectError> {
        let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
        let oldest = now.saturating_sub(after).unwrap_or(Timestamp::MIN);
        // Before what refers to it is looked at: what comes to be referred to meanwhile is found there, and is young.
        let blobs = self.blobs.list_with_times()?;
        let store = self.index.store();
        let objects = [Kind::Module, Kind::Pod, Kind::Job].map(|kind| store.list(kind, None).objects);
        let roots = Roots::of(objects.iter().flatten());
        let (manifests, gone) = self.index.drop_manifests(|all| useless_manifests(all, &roots, oldest))?;
        let mut collected = Collected { manifests: gone, ..Collected::default() };
        for (digest, size) in useless_blobs(&blobs, &roots, &manifests, &self.programs.held(), oldest) {
            if self.blobs.remove(digest)? {
                collected.blobs += 1;
                collected.bytes += size;
                self.programs.forget(digest);
            }
        }
        // Code of modules that are gone otherwise, such as by hand.
        for digest in self.programs.on_disk() {
            if self.blobs.size(digest)?.is_none() {
                self.programs.forget(digest);
            }
        }
        Ok(collected)
    }

    /// Collects at the start, every ten minutes, and after each deletion of a name, until `stop`.
    pub async fn collect_loop(self, after: Duration, clock: Clock, stop: CancellationToken) {
        let store = self.index.store().clone();
        let mut names = store.watch(Kind::Module, store.revision(), Visibility::Committed);
        loop {
            match self.collect(after, clock.now()).await {
                Ok(Collected { blobs: 0, manifests: 0, .. }) => {}
                Ok(Collected { blobs, bytes, .. }) => {
                    tracing::info!(blobs, bytes, "removed what no module needs any more")
                }
                Err(error) => tracing::warn!(%error, "what no module needs any more stays on disk"),
            }
            let due = clock.sleep(EVERY);
            let deleted = async {
                loop {
                    match names.next().await {
                        Ok(events) if events.iter().any(|event| event.change == Change::Deleted) => return,
                        Ok(_) => {}
                        // Behind what is remembered: one of what was missed may have been a deletion.
                        Err(_) => {
                            names = store.watch(Kind::Module, store.revision(), Visibility::Committed);
                            return;
                        }
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = due => {}
                () = deleted => {}
            }
        }
    }
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
