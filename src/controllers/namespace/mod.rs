//! Namespaces that are being deleted: what is in them goes first (kubernetes `pkg/controller/namespace`).
//!
//! ```text
//! Terminating ──► CronJobs and Jobs go, so that nothing makes pods ──► pods, each with its grace period
//!             ──► once no pod is left: all else ──► last the Events ──► nothing is left: `kubernetes` leaves
//!                 spec.finalizers, and the store lets the namespace go with that write
//! ```
//!
//! - What waits (a pod for its end, an object for a finalizer of somebody's) is said in the namespace's conditions.
//! - What is in a namespace that is not there goes in the same way: something may have been written by a part of this
//!   process at the moment in which the namespace went.
//! - Each look deletes a bounded number of objects, and finds them without going over those that are only waited for.
//!
//! Never: touches anything in a namespace that is there to stay. A crash loses nothing: what is to be done follows from
//! what is there.

mod conditions;
mod contents;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;

use crate::api::{Kind, Object, meta, namespace};
use crate::control::{Controller, Effect, Plan, Queue, Seen};
use crate::store::Change;
use contents::Contents;

/// Objects that one look deletes, so that its transaction stays small.
const AT_ONCE: usize = 500;
/// How often the conditions of a namespace that waits are brought up to date.
const TELL_EVERY_SECONDS: i64 = 5;

#[derive(Default)]
pub struct NamespaceController {
    namespaces: HashMap<String, Arc<Namespace>>,
    /// What is in each, also in one that is not there.
    contents: HashMap<String, Contents>,
}

impl Controller for NamespaceController {
    /// The name of a namespace.
    type Key = String;
    const NAME: &'static str = "namespace-controller";

    fn watches(&self) -> &'static [Kind] {
        // Namespaces come first, so that a view being built takes nothing for left over.
        debug_assert_eq!(Kind::ALL.first(), Some(&Kind::Namespace));
        Kind::ALL
    }

    fn reset(&mut self) {
        *self = NamespaceController::default();
    }

    fn observe(&mut self, seen: &Seen<'_>, queue: &mut Queue<String>, _now: Timestamp) {
        if let Object::Namespace(namespace) = seen.object {
            return self.observe_namespace(namespace, seen.change == Change::Deleted, queue);
        }
        let Some(name) = seen.object.meta().namespace.as_deref().filter(|_| seen.object.kind().info().namespaced)
        else {
            return;
        };
        let wakes = match self.contents.get_mut(name) {
            Some(contents) => contents.see(seen.object, seen.change),
            None if seen.change == Change::Deleted => return,
            None => self.contents.entry(name.to_owned()).or_default().see(seen.object, seen.change),
        };
        if wakes && self.is_ending(name) {
            queue.add_now(name.to_owned());
        }
        if self.contents.get(name).is_some_and(Contents::is_empty) {
            self.contents.remove(name);
        }
    }

    fn reconcile(&mut self, name: &String, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        if !self.is_ending(name) {
            return plan;
        }
        if let Some(contents) = self.contents.get(name) {
            plan.effects = contents.next(AT_ONCE, now);
            if !plan.effects.is_empty() {
                plan.look_again(now);
                return plan;
            }
        }
        let Some(namespace) = self.namespaces.get(name) else { return plan };
        match self.contents.get(name) {
            None => plan.effects.extend(released(namespace)),
            Some(contents) => {
                plan.effects.extend(conditions::told(namespace, &contents.remaining(), now));
                plan.look_again(meta::add_seconds(now, TELL_EVERY_SECONDS));
            }
        }
        plan
    }
}

impl NamespaceController {
    fn observe_namespace(&mut self, namespace: &Arc<Namespace>, is_gone: bool, queue: &mut Queue<String>) {
        let Some(name) = namespace.metadata.name.clone() else { return };
        if is_gone {
            self.namespaces.remove(&name);
            if self.contents.contains_key(&name) {
                queue.add_now(name);
            }
            return;
        }
        let before = self.namespaces.insert(name.clone(), namespace.clone());
        let was_ending = before.is_some_and(|before| meta::is_deleting(&before.metadata));
        if meta::is_deleting(&namespace.metadata) && !was_ending {
            queue.add_now(name);
        }
    }

    /// Whether nothing is to stay in it.
    fn is_ending(&self, name: &str) -> bool {
        self.namespaces.get(name).is_none_or(|namespace| meta::is_deleting(&namespace.metadata))
    }
}

/// The write by which an empty namespace goes, unless somebody else still holds it.
fn released(namespace: &Arc<Namespace>) -> Option<Effect> {
    let mut released = Namespace::clone(namespace);
    namespace::release(&mut released);
    (released != **namespace).then(|| Effect::Update(released.into()))
}

#[cfg(test)]
mod tests;
