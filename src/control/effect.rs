//! What a controller decides: writes that are committed together, events to report, and when to look again.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;

use crate::api::{Key, Kind, Object};
use crate::store::{Op, Precondition, Tx};

/// One write. Updates carry the `resourceVersion` that the decision was based on.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Create(Object),
    Update(Object),
    /// Removes the object itself, whatever was written to it since. A graceful deletion is an update, and so is a removal
    /// that rests on what the object is like (`api::deletion::over`).
    Remove {
        kind: Kind,
        key: Key,
        uid: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteType {
    Normal,
    Warning,
}

/// Something worth an Event.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    pub regarding: ObjectReference,
    pub kind: NoteType,
    pub reason: &'static str,
    pub message: String,
}

impl Note {
    pub fn new(regarding: &Object, kind: NoteType, reason: &'static str, message: impl Into<String>) -> Note {
        Note { regarding: reference(regarding), kind, reason, message: message.into() }
    }

    pub fn normal(regarding: &Object, reason: &'static str, message: impl Into<String>) -> Note {
        Note::new(regarding, NoteType::Normal, reason, message)
    }

    pub fn warning(regarding: &Object, reason: &'static str, message: impl Into<String>) -> Note {
        Note::new(regarding, NoteType::Warning, reason, message)
    }

    /// Says which part of the object is meant, e.g. `spec.containers{pi}`.
    pub fn at(mut self, field_path: impl Into<String>) -> Note {
        self.regarding.field_path = Some(field_path.into());
        self
    }
}

fn reference(object: &Object) -> ObjectReference {
    let (info, meta) = (object.kind().info(), object.meta());
    ObjectReference {
        api_version: Some(info.api_version()),
        kind: Some(info.kind.to_owned()),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}

/// A decision. The effects are committed whole or not at all; if they are refused because something changed in the
/// meantime, the controller looks again and decides anew.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub effects: Vec<Effect>,
    pub notes: Vec<Note>,
    /// Look at the same key again at this time, whatever happens.
    pub again: Option<Timestamp>,
}

impl Plan {
    pub fn look_again(&mut self, at: Timestamp) {
        self.again = Some(self.again.map_or(at, |earlier| earlier.min(at)));
    }

    /// Drops the creation of the object at `key`; false if there is none.
    pub fn gives_up_creating(&mut self, kind: Kind, key: &Key) -> bool {
        let before = self.effects.len();
        self.effects.retain(|e| !matches!(e, Effect::Create(o) if o.kind() == kind && o.key() == *key));
        self.effects.len() < before
    }

    pub fn tx(&self) -> Tx {
        let mut tx = Tx::new();
        for effect in &self.effects {
            tx.push(match effect.clone() {
                Effect::Create(object) => Op::Create(object),
                Effect::Update(object) => Op::Update(object),
                Effect::Remove { kind, key, uid } => {
                    Op::Delete(kind, key, Precondition { uid: Some(uid), revision: None })
                }
            });
        }
        tx
    }
}
