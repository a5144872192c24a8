//! Who owns which field of an object (`metadata.managedFields`), and server-side apply, which needs to know.
//!
//! ## The model
//!
//! A [`FieldSet`] is a set of paths into an object. A path is made of [`Step`]s: names of fields, keys of map-like lists,
//! values of sets. How far an object is taken apart is told by its [`schema::Type`]: a label is owned by itself, a
//! selector as a whole, a container by its name. FieldsV1 is the JSON of such a set ([`fields_v1`]).
//!
//! A manager is a name and what it did: `Apply`, or `Update` (create, replace, patch) at a version; writes to `/status`
//! are a manager of their own. Each has one entry with the fields that it owns.
//!
//! | a client | its entry | those of others |
//! |---|---|---|
//! | creates | gains all fields that it sent or that were defaulted | |
//! | replaces or patches | gains what was changed or added | lose what was changed, added or removed |
//! | applies | holds exactly what it sent | keep what they have, or a conflict; with `force` they lose it |
//!
//! What an applier owned and does not send any more is removed from the object, unless another one owns it.
//!
//! ## Invariants, tested beside the code
//!
//! 1. A set survives its FieldsV1 text; what is no set is refused, never half read.
//! 2. Name, namespace, uid, versions, times of the server and `managedFields` itself are owned by nobody.
//! 3. No entry is empty. An entry's time moves only if its set or the object changed by it.
//! 4. After an apply the applier owns what it sent and nothing else, and the object has it; applied again, nothing
//!    changes, not even a time.
//! 5. An update by one manager leaves no other one owning a value that it did not write.
//!
//! ## What is different from Kubernetes
//!
//! - Writes inside this process (controllers, scheduler, node) leave the entries as they are and add none: they would cost
//!   more than the writes themselves. What they write has no owner. An object that they made has no entries until a
//!   client applies to it; then all that it has goes to `before-first-apply`, as in Kubernetes.
//! - An empty list that is applied is owned, like an empty object. What is emptied and still has an owner stays, empty.
//! - A null in an applied object says nothing. An empty `resources: {}` that only Go's encoding writes has no owner.
//! - Of a kind with two views ([`crate::api::Served`]) entries are in the words in which it is stored.
//!
//! Rules: sigs.k8s.io/structured-merge-diff v6 and apimachinery `pkg/util/managedfields`, read at about 1.35.

mod apply;
pub mod conflict;
mod entries;
mod fields_v1;
mod last_applied;
mod merge;
mod schema;
mod set;
mod step;
mod update;
mod validate;
mod walk;

#[cfg(test)]
mod tests;

pub use apply::{Applied, Config, apply, read_config};
pub use conflict::Conflict;
pub use set::{FieldPath, FieldSet};
pub use step::Step;
pub use update::{created, updated};
pub use validate::{from_user_agent, validate_name};

use k8s_openapi::jiff::Timestamp;

use crate::api::Kind;
use entries::{Identity, Operation};
use set::Node;

/// Which part of the object a write is about; what it says of other parts is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Object,
    Status,
    /// `spec.finalizers` of a namespace.
    Finalizers,
}

/// Who writes.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    pub manager: &'a str,
    pub part: Part,
    pub now: Timestamp,
}

impl Author<'_> {
    fn identity(&self, kind: Kind, operation: Operation) -> Identity {
        let api_version = match operation {
            Operation::Apply => String::new(),
            Operation::Update => kind.info().api_version(),
        };
        let subresource = match self.part {
            Part::Object => "",
            Part::Status => "status",
            Part::Finalizers => "finalize",
        };
        Identity { manager: self.manager.to_owned(), operation, api_version, subresource: subresource.to_owned() }
    }
}

/// What nobody owns (apimachinery `stripmeta.go`).
fn without_system_fields(set: &FieldSet) -> FieldSet {
    const SYSTEM: &[&[&str]] = &[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ];
    set.difference(&FieldSet::of(SYSTEM))
}

/// The fields of `set` that a write to `part` can change (the strategies' `GetResetFields`). A write to `/status` takes
/// labels and annotations along, as `admission::update_status` does.
fn of_part(set: FieldSet, kind: Kind, part: Part) -> FieldSet {
    match part {
        Part::Object | Part::Finalizers if kind.info().has_status => set.outside(&FieldSet::of(&[&["status"]])),
        Part::Object | Part::Finalizers => set,
        Part::Status => {
            let mut kept = FieldSet::default();
            let (metadata, status) = (Step::field("metadata"), Step::field("status"));
            if let Some(node) = set.at(&status) {
                kept.put(status, node.clone());
            }
            if let Some(node) = set.at(&metadata) {
                let mut below = FieldSet::default();
                for step in ["labels", "annotations"].map(Step::field) {
                    if let Some(node) = node.below.at(&step) {
                        below.put(step, node.clone());
                    }
                }
                kept.put(metadata, Node { member: false, below });
            }
            kept
        }
    }
}
