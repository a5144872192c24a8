//! Every namespace has a service account named `default` (kubernetes `pkg/controller/serviceaccount`): one that is missing is
//! made, in a new namespace and wherever it was deleted.
//!
//! Never: touches an account that is there; makes one in a namespace that is gone or being deleted. For that the plan writes
//! the namespace too, as it was seen: an unchanged object costs nothing, and one that has changed refuses the plan.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::api::{Kind, Object, admission, meta, service_account};
use crate::control::{Controller, Effect, Plan, Queue, Seen};
use crate::ids::Ids;
use crate::store::Change;

pub struct ServiceAccounts {
    ids: Ids,
    namespaces: HashMap<String, Known>,
}

/// What is known of a name of a namespace; nothing is kept of one with neither.
#[derive(Debug, Default)]
struct Known {
    /// The namespace, if it exists and is to stay.
    active: Option<Object>,
    has_default: bool,
}

impl ServiceAccounts {
    pub fn new(ids: Ids) -> ServiceAccounts {
        ServiceAccounts { ids, namespaces: HashMap::new() }
    }

    fn note(&mut self, name: &str, queue: &mut Queue<String>, change: impl FnOnce(&mut Known)) {
        let mut known = self.namespaces.remove(name).unwrap_or_default();
        change(&mut known);
        if known.active.is_some() && !known.has_default {
            queue.add_now(name.to_owned());
        }
        if known.active.is_some() || known.has_default {
            self.namespaces.insert(name.to_owned(), known);
        }
    }
}

impl Controller for ServiceAccounts {
    /// A namespace.
    type Key = String;
    const NAME: &'static str = "serviceaccount-controller";

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Namespace, Kind::ServiceAccount]
    }

    fn reset(&mut self) {
        self.namespaces.clear();
    }

    fn observe(&mut self, seen: &Seen<'_>, queue: &mut Queue<String>, _now: Timestamp) {
        let (exists, key) = (seen.change != Change::Deleted, seen.object.key());
        match seen.object {
            Object::Namespace(namespace) => {
                let active = exists && !meta::is_deleting(&namespace.metadata);
                self.note(&key.name, queue, |known| known.active = active.then(|| seen.object.clone()));
            }
            Object::ServiceAccount(_) if key.name == service_account::DEFAULT => {
                self.note(&key.namespace, queue, |known| known.has_default = exists);
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, name: &String, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let missing = self.namespaces.get(name).filter(|known| !known.has_default);
        if let Some(namespace) = missing.and_then(|known| known.active.clone()) {
            let stamp = admission::Stamp { now, uid: self.ids.uid(), suffix: &self.ids.suffix() };
            match admission::create(service_account::default_of(name).into(), &stamp) {
                Ok(account) => plan.effects = vec![Effect::Update(namespace), Effect::Create(account)],
                Err(error) => tracing::error!(namespace = name, %error, "no default service account"),
            }
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn see(accounts: &mut ServiceAccounts, queue: &mut Queue<String>, change: Change, kind: Kind, value: Value) {
        let object = Object::deserialize(kind, value).unwrap();
        accounts.observe(&Seen { change, object: &object, old: None }, queue, at(0));
    }

    #[test]
    fn a_missing_default_account_is_made_unless_the_namespace_goes() {
        let (mut accounts, mut queue) = (ServiceAccounts::new(Ids::seeded(1)), Queue::default());
        let account = |name: &str| json!({"metadata": {"name": name, "namespace": "n"}});
        let namespace = |more: Value| json!({"metadata": more});
        see(&mut accounts, &mut queue, Change::Added, Kind::Namespace, namespace(json!({"name": "n"})));
        see(&mut accounts, &mut queue, Change::Added, Kind::ServiceAccount, account("other"));
        let key = queue.pop_due(at(0)).unwrap();
        let plan = accounts.reconcile(&key, at(5));
        let [Effect::Update(_), Effect::Create(made)] = &plan.effects[..] else { panic!("{plan:?}") };
        assert_eq!((made.kind(), made.key()), (Kind::ServiceAccount, crate::api::Key::new("n", "default")));
        assert!(!made.uid().is_empty() && made.meta().creation_timestamp.is_some());

        see(&mut accounts, &mut queue, Change::Added, Kind::ServiceAccount, account("default"));
        assert_eq!((queue.pop_due(at(9)), accounts.reconcile(&key, at(9))), (None, Plan::default()));
        see(&mut accounts, &mut queue, Change::Deleted, Kind::ServiceAccount, account("default"));
        assert_eq!(queue.pop_due(at(9)), Some(key.clone()), "it comes again");

        let going = namespace(json!({"name": "n", "deletionTimestamp": "2026-01-01T00:00:00Z"}));
        see(&mut accounts, &mut queue, Change::Modified, Kind::Namespace, going.clone());
        assert_eq!((queue.pop_due(at(9)), accounts.reconcile(&key, at(9))), (None, Plan::default()));
        see(&mut accounts, &mut queue, Change::Deleted, Kind::Namespace, going);
        assert!(accounts.namespaces.is_empty());
    }
}
