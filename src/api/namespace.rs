//! Namespaces: what they begin with and how they end (`pkg/registry/core/namespace/strategy.go`, about 1.34).
//!
//! ```text
//! Active ──DELETE──► Terminating ──the namespace controller has emptied it──► gone
//! ```
//!
//! - Terminating: `deletionTimestamp` and the phase say so, nothing new is created in it.
//! - `spec.finalizers` holds `kubernetes` for as long as there may be something in it. A namespace is gone once it is
//!   being deleted and neither `spec.finalizers` nor `metadata.finalizers` holds anything.

use k8s_openapi::api::core::v1::{Namespace, NamespaceStatus};

use crate::api::field::{FieldError, Path};
use crate::api::meta;
use crate::api::names;
use crate::api::well_known::LABEL_NAMESPACE_NAME;

/// What the namespace controller takes away.
pub const FINALIZER: &str = "kubernetes";
pub const ACTIVE: &str = "Active";
pub const TERMINATING: &str = "Terminating";

/// Without these nothing works, so they stay. Kubernetes lets go of the one for the leases of nodes and makes it anew within a
/// minute; here the node would seem lost until then.
pub const PERMANENT: &[&str] = &["default", "kube-node-lease", "kube-public", "kube-system"];

/// A new one.
pub fn prepare(namespace: &mut Namespace) {
    label(namespace);
    hold(namespace);
    namespace.status = Some(NamespaceStatus { phase: Some(ACTIVE.to_owned()), conditions: None });
}

/// A namespace can be selected by its name.
pub fn label(namespace: &mut Namespace) {
    if let Some(name) = namespace.metadata.name.clone().filter(|name| !name.is_empty()) {
        namespace.metadata.labels.get_or_insert_default().insert(LABEL_NAMESPACE_NAME.to_owned(), name);
    }
}

fn hold(namespace: &mut Namespace) {
    let finalizers = namespace.spec.get_or_insert_default().finalizers.get_or_insert_default();
    if !finalizers.iter().any(|f| f == FINALIZER) {
        finalizers.push(FINALIZER.to_owned());
    }
}

/// The first deletion of it. What is in it goes before it, also if it is of a time before there was the finalizer.
pub fn begin_deletion(namespace: &mut Namespace) {
    hold(namespace);
    namespace.status.get_or_insert_default().phase = Some(TERMINATING.to_owned());
}

/// Whether something is still to be done before it may go.
pub fn is_held(namespace: &Namespace) -> bool {
    namespace.spec.as_ref().and_then(|s| s.finalizers.as_ref()).is_some_and(|f| !f.is_empty())
}

/// It is empty: the controller's part is done.
pub fn release(namespace: &mut Namespace) {
    if let Some(finalizers) = namespace.spec.as_mut().and_then(|s| s.finalizers.as_mut()) {
        finalizers.retain(|f| f != FINALIZER);
    }
}

pub fn validate_finalizers(namespace: &Namespace, faults: &mut Vec<FieldError>) {
    let path = Path::root("spec").child("finalizers");
    for (i, finalizer) in namespace.spec.iter().flat_map(|s| s.finalizers.iter().flatten()).enumerate() {
        let path = path.index(i);
        names::report(&path, finalizer, names::qualified_name(finalizer), faults);
        if finalizer != FINALIZER && !finalizer.contains('/') {
            faults.push(FieldError::invalid(
                &path,
                finalizer.as_str(),
                "name is neither a standard finalizer name nor is it fully qualified",
            ));
        }
    }
}

/// The phase follows from the deletion.
pub fn validate_status(namespace: &Namespace, faults: &mut Vec<FieldError>) {
    let phase = namespace.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default();
    let (allowed, detail) = match meta::is_deleting(&namespace.metadata) {
        false => (ACTIVE, "may only be 'Active' if `deletionTimestamp` is empty"),
        true => (TERMINATING, "may only be 'Terminating' if `deletionTimestamp` is not empty"),
    };
    if phase != allowed {
        faults.push(FieldError::invalid(&Path::root("status").child("Phase"), phase, detail));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn namespace(value: Value) -> Namespace {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_namespace_begins_active_and_is_held_until_it_is_empty() {
        let mut ns = namespace(json!({"metadata": {"name": "a"}, "spec": {"finalizers": ["x.y/z"]}}));
        prepare(&mut ns);
        assert_eq!(ns.spec.as_ref().unwrap().finalizers.as_deref().unwrap(), ["x.y/z", "kubernetes"]);
        assert_eq!(ns.status.as_ref().unwrap().phase.as_deref(), Some("Active"));
        assert_eq!(meta::label(&ns.metadata, LABEL_NAMESPACE_NAME), Some("a"));
        release(&mut ns);
        assert!(is_held(&ns), "by another");
        let mut old = namespace(json!({"metadata": {"name": "a"}}));
        begin_deletion(&mut old);
        assert!(is_held(&old) && old.status.as_ref().unwrap().phase.as_deref() == Some("Terminating"));
        release(&mut old);
        assert!(!is_held(&old));
    }

    #[test]
    fn finalizers_have_names_of_somebody_and_the_phase_tells_the_truth() {
        let mut faults = Vec::new();
        let finalizers = json!(["kubernetes", "a/b", "plain", "?"]);
        validate_finalizers(&namespace(json!({"metadata": {}, "spec": {"finalizers": finalizers}})), &mut faults);
        let fields: Vec<&str> = faults.iter().map(|f| f.field.as_str()).collect();
        assert_eq!(fields, ["spec.finalizers[2]", "spec.finalizers[3]", "spec.finalizers[3]"]);

        let at = "2026-01-01T00:00:00Z";
        for (deleted, phase, fits) in [
            (json!(null), "Active", true),
            (json!(null), "Terminating", false),
            (json!(at), "Active", false),
            (json!(at), "Terminating", true),
        ] {
            let mut faults = Vec::new();
            let ns = json!({"metadata": {"deletionTimestamp": deleted}, "status": {"phase": phase}});
            validate_status(&namespace(ns), &mut faults);
            assert_eq!(faults.is_empty(), fits, "{deleted} {phase}");
        }
    }
}
