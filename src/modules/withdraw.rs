//! What clients of registries take away: a manifest with all tags that mean it, a blob.

use jiff::Timestamp;

use super::Modules;
use super::blobs::BlobError;
use super::delete::DeleteError;
use super::digest::Digest;
use super::reference::Reference;

/// Why a blob stays.
#[derive(Debug, thiserror::Error)]
pub enum WithdrawError {
    #[error(
        "a manifest, or a pod or a Job that is not over, needs {0}: delete that first, and the blob goes by itself some time \
         after"
    )]
    Used(Digest),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("it was given up, because this process is about to end")]
    GivenUp,
}

impl Modules {
    /// Deletes a manifest from a repository, with the tags that mean it. Refused, unless by force, if one of these is in use;
    /// others are gone then.
    pub async fn withdraw(
        &self,
        repository: &str,
        digest: Digest,
        force: bool,
        now: Timestamp,
    ) -> Result<(), DeleteError> {
        let reference = |tag: Option<String>, digest| Reference { name: repository.to_owned(), tag, digest };
        if self.index.manifest(repository, digest).is_none() {
            return Err(DeleteError::NotFound(reference(None, Some(digest))));
        }
        let text = digest.to_string();
        for module in self.index.tags(repository) {
            let spec = module.spec.as_ref().filter(|spec| spec.manifest.as_deref() == Some(&text));
            let Some(spec) = spec else { continue };
            match self.delete(&reference(Some(spec.tag.clone()), None), force, now).await {
                // Somebody else was faster.
                Ok(_) | Err(DeleteError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        // An object that waits for its finalizers still means it.
        if !self.index.tags(repository).any(|m| m.spec.as_ref().is_some_and(|s| s.manifest.as_deref() == Some(&text))) {
            self.index.drop_manifests(|_| vec![(digest, repository.to_owned())])?;
        }
        self.index.store().durable(self.index.store().revision()).await?;
        Ok(())
    }

    /// Removes a blob to which nothing refers and that nobody runs; whether it was there.
    pub async fn delete_blob(&self, digest: Digest) -> Result<bool, WithdrawError> {
        // Nobody names it meanwhile.
        let _one_at_a_time = self.importing.lock().await;
        if self.index.refers_to(digest) || self.is_run(digest) {
            return Err(WithdrawError::Used(digest));
        }
        let blobs = self.blobs.clone();
        let removed = tokio::task::spawn_blocking(move || blobs.remove(digest)).await;
        Ok(removed.map_err(|_| WithdrawError::GivenUp)??)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{Key, Kind, Object};
    use crate::modules::testing::{Opened, PROGRAM};
    use crate::store::{Precondition, Tx};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn manifest_of(opened: &Opened, reference: &str) -> Option<Digest> {
        let module = opened.modules.index().get(&reference.parse().unwrap())?;
        module.spec.as_ref()?.manifest.as_ref()?.parse().ok()
    }

    #[tokio::test]
    async fn a_manifest_goes_with_its_tags_and_then_its_blobs_can() {
        let opened = Opened::new();
        let modules = &opened.modules;
        for name in ["a:1", "a:2", "b:1"] {
            modules.import(&name.parse().unwrap(), PROGRAM, NOW).await.unwrap();
        }
        let manifest = manifest_of(&opened, "a:1").unwrap();
        let wasm = Digest::of(PROGRAM);
        assert!(matches!(modules.delete_blob(wasm).await, Err(WithdrawError::Used(_))));
        modules.withdraw("a", manifest, false, NOW).await.unwrap();
        assert_eq!((manifest_of(&opened, "a:1"), manifest_of(&opened, "a:2")), (None, None));
        assert_eq!(manifest_of(&opened, "b:1"), Some(manifest), "another repository has it still");
        assert!(matches!(modules.withdraw("a", manifest, false, NOW).await, Err(DeleteError::NotFound(_))));
        assert!(matches!(modules.delete_blob(wasm).await, Err(WithdrawError::Used(_))));
        modules.withdraw("b", manifest, false, NOW).await.unwrap();
        let pod = |phase: &str| {
            let pod = json!({"metadata": {"name": phase.to_lowercase(), "namespace": "ns", "uid": phase}, "status": {"phase": phase,
                "containerStatuses": [{"name": "c", "image": "a:1", "imageID": wasm.to_string(), "ready": true, "restartCount": 0}]}});
            Tx::new().create(Object::deserialize(Kind::Pod, pod).unwrap())
        };
        let store = modules.index().store();
        store.commit(pod("Failed")).unwrap();
        store.commit(pod("Running")).unwrap();
        assert!(matches!(modules.delete_blob(wasm).await, Err(WithdrawError::Used(_))), "a pod may start it again");
        let running = Key::new("ns", "running");
        store.commit(Tx::new().delete(Kind::Pod, running, Precondition::default())).unwrap();
        assert!(modules.delete_blob(wasm).await.unwrap());
        assert!(!modules.delete_blob(wasm).await.unwrap());
    }

    #[tokio::test]
    async fn a_manifest_in_use_stays_unless_by_force() {
        let opened = Opened::new();
        let modules = &opened.modules;
        modules.import(&"pi".parse().unwrap(), PROGRAM, NOW).await.unwrap();
        let manifest = manifest_of(&opened, "pi").unwrap();
        let pod = json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u"},
            "spec": {"containers": [{"name": "c", "image": "pi"}]}, "status": {"phase": "Running"}});
        let pod = Object::deserialize(Kind::Pod, pod).unwrap();
        modules.index().store().commit(Tx::new().create(pod)).unwrap();
        let used = modules.withdraw("pi", manifest, false, NOW).await.unwrap_err();
        assert!(matches!(used, DeleteError::Used { .. }), "{used}");
        assert!(modules.index().manifest("pi", manifest).is_some());
        modules.withdraw("pi", manifest, true, NOW).await.unwrap();
        assert!(modules.index().manifest("pi", manifest).is_none());
    }
}
