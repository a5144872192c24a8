//! What a controller decides: writes that are committed together, events to report, and when to look again.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;

use crate::api::{Key, Kind, Object};
use crate::store::{Op, Tx};

/// One write. Updates carry the `resourceVersion` that the decision was based on. So does a removal, which is an update to
/// an object that is over (`api::deletion::over`): a removal that did not would take what has changed since.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Create(Object),
    Update(Object),
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
    /// Nothing may be left out, not even a creation under a generated name that is taken.
    pub is_whole: bool,
    /// Look at the same key again at this time, whatever happens.
    pub again: Option<Timestamp>,
}

impl Plan {
    pub fn look_again(&mut self, at: Timestamp) {
        self.again = Some(self.again.map_or(at, |earlier| earlier.min(at)));
    }

    /// Drops the creation of the object at `key`; false if there is none, if nothing may be left out, or if its name was
    /// not generated: then what is there matters, and not only that a name is taken.
    pub fn gives_up_creating(&mut self, kind: Kind, key: &Key) -> bool {
        if self.is_whole {
            return false;
        }
        let before = self.effects.len();
        let generated = |o: &Object| o.meta().generate_name.is_some();
        let given_up = |o: &Object| o.kind() == kind && o.key() == *key && generated(o);
        self.effects.retain(|e| !matches!(e, Effect::Create(o) if given_up(o)));
        self.effects.len() < before
    }

    pub fn tx(&self) -> Tx {
        let mut tx = Tx::new();
        for effect in &self.effects {
            tx.push(match effect.clone() {
                Effect::Create(object) => Op::Create(object),
                Effect::Update(object) => Op::Update(object),
            });
        }
        tx
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::batch::v1::Job;

    #[test]
    fn only_a_generated_name_that_is_taken_is_given_up() {
        let named = |name: &str, generated: bool| {
            let mut job = Job::default();
            job.metadata.name = Some(name.to_owned());
            job.metadata.generate_name = generated.then(|| "j-".to_owned());
            Effect::Create(job.into())
        };
        let mut plan = Plan { effects: vec![named("j-1", true), named("j-2", false)], ..Plan::default() };
        assert!(!plan.gives_up_creating(Kind::Job, &Key::new("", "j-2")), "who chose the name must see what has it");
        assert!(!plan.gives_up_creating(Kind::Pod, &Key::new("", "j-1")));
        assert!(plan.gives_up_creating(Kind::Job, &Key::new("", "j-1")));
        assert_eq!(plan.effects, [named("j-2", false)]);
    }
}
