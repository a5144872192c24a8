//! What can be committed at once, and why it can be refused.

use bytes::Bytes;

use crate::api::{ApiError, Key, Kind, Object};

/// A set of writes that is committed whole or not at all. An object may appear in it once.
#[derive(Debug, Default, Clone)]
pub struct Tx {
    pub(super) ops: Vec<Op>,
    pub(super) sides: Vec<Side>,
}

#[derive(Debug, Clone)]
pub enum Op {
    /// Refused if the key is taken.
    Create(Object),
    /// Replaces the stored version. Refused if the uid differs, or if the object carries a `resourceVersion` that is
    /// not the stored one. Equal to the stored version: nothing is written.
    Update(Object),
    Delete(Kind, Key, Precondition),
}

/// What must be true of the stored object; `None` is no condition.
#[derive(Debug, Default, Clone)]
pub struct Precondition {
    pub uid: Option<String>,
    pub revision: Option<u64>,
}

#[derive(Debug, Clone)]
pub(super) enum Side {
    Put(Vec<u8>, Bytes),
    DeletePrefix(Vec<u8>),
}

impl Tx {
    pub fn new() -> Tx {
        Tx::default()
    }

    pub fn create(mut self, object: impl Into<Object>) -> Tx {
        self.ops.push(Op::Create(object.into()));
        self
    }

    pub fn update(mut self, object: impl Into<Object>) -> Tx {
        self.ops.push(Op::Update(object.into()));
        self
    }

    pub fn delete(mut self, kind: Kind, key: Key, precondition: Precondition) -> Tx {
        self.ops.push(Op::Delete(kind, key, precondition));
        self
    }

    pub fn push(&mut self, op: Op) {
        self.ops.push(op);
    }

    pub fn put_side(&mut self, key: Vec<u8>, value: Bytes) {
        self.sides.push(Side::Put(key, value));
    }

    /// Deletes every side record whose key begins with `prefix`, those put earlier in this transaction included.
    pub fn delete_sides(&mut self, prefix: Vec<u8>) {
        self.sides.push(Side::DeletePrefix(prefix));
    }

    /// Adds all that `other` does, after what this does.
    pub fn append(&mut self, other: Tx) {
        self.ops.extend(other.ops);
        self.sides.extend(other.sides);
    }

    pub fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.sides.is_empty()
    }

    /// The number of objects written.
    pub fn len(&self) -> usize {
        self.ops.len()
    }
}

/// What a commit did.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The newest revision after the commit; [`super::Store::durable`] takes it.
    pub revision: u64,
    /// The objects as stored, in the order of the operations; for a deleted one its last state.
    pub objects: Vec<Object>,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CommitError {
    #[error("{0:?} {1} already exists")]
    AlreadyExists(Kind, Key),
    #[error("{0:?} {1} does not exist")]
    NotFound(Kind, Key),
    /// The stored version is not the one that the write was based on.
    #[error("{0:?} {1} has changed in the meantime")]
    Stale(Kind, Key),
    /// The stored object has another uid: deleted and created anew in the meantime.
    #[error("{kind:?} {key}: uid {expected} expected, {found} found")]
    Replaced { kind: Kind, key: Key, expected: String, found: String },
    #[error("the store is read-only: {0}")]
    ReadOnly(String),
}

impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> ApiError {
        match error {
            CommitError::AlreadyExists(kind, key) => ApiError::AlreadyExists(kind, key),
            CommitError::NotFound(kind, key) => ApiError::NotFound(kind, key),
            CommitError::Stale(kind, key) => ApiError::stale(kind, key),
            CommitError::Replaced { kind, key, expected, found } => ApiError::Conflict {
                kind,
                key,
                detail: format!("Precondition failed: UID in precondition: {expected}, UID in object meta: {found}"),
            },
            CommitError::ReadOnly(detail) => ApiError::Unavailable(detail),
        }
    }
}
