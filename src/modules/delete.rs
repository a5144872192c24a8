//! Takes a name away: refused while somebody uses it, unless by force. What it meant is collected later, if no other name
//! means it ([`super::collect`]).

use jiff::Timestamp;

use super::Modules;
use super::digest::Digest;
use super::index::digest_of;
use super::reference::Reference;
use super::uses::{self, Uses};
use crate::api::deletion::{self, Deletion, Options};
use crate::api::{Kind, Object};
use crate::store::{CommitError, DiskFailed, Precondition, Tx};

/// Tries of a write that others get in the way of.
const TRIES: usize = 16;

/// What was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// Of the module that the name meant.
    pub digest: Option<Digest>,
    /// Else its object waits for finalizers.
    pub is_gone: bool,
}

/// Why a name stays.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    #[error("there is no module {0}")]
    NotFound(Reference),
    #[error("{0} has a tag and a digest: give one of them, for what is to be deleted")]
    Ambiguous(Reference),
    #[error("{reference} is used by {uses}: {REMEDY}, or delete it by force: `?force=true`")]
    Used { reference: Reference, uses: Uses },
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Disk(#[from] DiskFailed),
}

/// What to do about a module that is in use.
pub const REMEDY: &str = "wait until they have ended, or delete them";

impl Modules {
    /// Deletes the name and tag; on disk when this returns. With a digest and no tag, what was pushed by that digest.
    pub async fn delete(&self, reference: &Reference, force: bool, now: Timestamp) -> Result<Deleted, DeleteError> {
        let (deleted, revision) = match (&reference.tag, reference.digest) {
            (Some(_), Some(_)) => return Err(DeleteError::Ambiguous(reference.clone())),
            (None, digest) => {
                let digest = digest.ok_or_else(|| DeleteError::NotFound(reference.clone()))?;
                let revision = self.index.unkeep(&reference.name, digest)?;
                let revision = revision.ok_or_else(|| DeleteError::NotFound(reference.clone()))?;
                (Deleted { digest: Some(digest), is_gone: true }, revision)
            }
            (Some(_), None) => self.delete_name(reference, force, now)?,
        };
        self.index.store().durable(revision).await?;
        Ok(deleted)
    }

    fn delete_name(&self, reference: &Reference, force: bool, now: Timestamp) -> Result<(Deleted, u64), DeleteError> {
        let store = self.index.store();
        let mut tries = TRIES;
        loop {
            let module = self.index.get(reference).ok_or_else(|| DeleteError::NotFound(reference.clone()))?;
            let uses = uses::of(store, &module);
            if !force && !uses.is_empty() {
                return Err(DeleteError::Used { reference: reference.clone(), uses });
            }
            let digest = digest_of(&module);
            let object = Object::Module(module);
            let (tx, is_gone) = match deletion::delete(&object, &Options::default(), now) {
                Deletion::Remove => {
                    let exactly =
                        Precondition { uid: Some(object.uid().to_owned()), revision: Some(object.revision()) };
                    (Tx::new().delete(Kind::Module, object.key(), exactly), true)
                }
                Deletion::Mark(marked) => (Tx::new().update(marked), false),
                Deletion::Unchanged => return Ok((Deleted { digest, is_gone: false }, object.revision())),
            };
            tries -= 1;
            match store.commit(tx) {
                Err(CommitError::Stale(..) | CommitError::Replaced { .. } | CommitError::NotFound(..)) if tries > 0 => {
                }
                Err(error) => return Err(error.into()),
                Ok(done) => return Ok((Deleted { digest, is_gone }, done.revision)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::testing::{Opened, PROGRAM};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn reference(text: &str) -> Reference {
        text.parse().unwrap()
    }

    fn running(opened: &Opened, image: &str) {
        let pod = json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u"},
            "spec": {"containers": [{"name": "c", "image": image}]}, "status": {"phase": "Running"}});
        let pod = Object::deserialize(Kind::Pod, pod).unwrap();
        opened.modules.index().store().commit(Tx::new().create(pod)).unwrap();
    }

    #[tokio::test]
    async fn a_name_that_is_used_stays_unless_by_force() {
        let opened = Opened::new();
        let modules = &opened.modules;
        modules.import(&reference("pi"), PROGRAM, NOW).await.unwrap();
        modules.import(&reference("pi:2"), PROGRAM, NOW).await.unwrap();
        running(&opened, "pi");
        let used = modules.delete(&reference("pi"), false, NOW).await.unwrap_err();
        assert_eq!(
            used.to_string(),
            "pi:latest is used by Pod ns/p: wait until they have ended, or delete them, or delete it by force: \
             `?force=true`"
        );
        let deleted = Deleted { digest: Some(Digest::of(PROGRAM)), is_gone: true };
        assert_eq!(modules.delete(&reference("pi:2"), false, NOW).await.unwrap(), deleted);
        assert_eq!(modules.delete(&reference("pi"), true, NOW).await.unwrap(), deleted);
        assert!(modules.index().list().is_empty());
        let absent = modules.delete(&reference("pi"), true, NOW).await.unwrap_err();
        assert!(matches!(absent, DeleteError::NotFound(_)), "{absent}");
    }

    #[tokio::test]
    async fn a_name_with_a_finalizer_waits_for_it() {
        let opened = Opened::new();
        let modules = &opened.modules;
        modules.import(&reference("pi"), PROGRAM, NOW).await.unwrap();
        let mut held = Object::Module(modules.index().get(&reference("pi")).unwrap());
        held.meta_mut().finalizers = Some(vec!["a/b".to_owned()]);
        modules.index().store().commit(Tx::new().update(held)).unwrap();
        for _ in 0..2 {
            assert!(!modules.delete(&reference("pi"), false, NOW).await.unwrap().is_gone);
        }
        assert!(modules.index().get(&reference("pi")).unwrap().metadata.deletion_timestamp.is_some());
    }

    #[tokio::test]
    async fn what_was_pushed_by_its_digest_is_deleted_by_it() {
        let opened = Opened::new();
        let modules = &opened.modules;
        let by_digest = reference(&format!("pi@{}", Digest::of(PROGRAM)));
        modules.import(&by_digest, PROGRAM, NOW).await.unwrap();
        let both = modules.delete(&Reference { tag: Some("x".to_owned()), ..by_digest.clone() }, false, NOW).await;
        assert!(matches!(both, Err(DeleteError::Ambiguous(_))));
        assert!(modules.delete(&by_digest, false, NOW).await.unwrap().is_gone);
        assert!(matches!(modules.delete(&by_digest, false, NOW).await, Err(DeleteError::NotFound(_))));
    }
}
