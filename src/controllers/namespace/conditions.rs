//! What a namespace that is being deleted says of what it waits for (`deletion/status_condition_utils.go`).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};

use super::contents::Remaining;
use crate::api::meta;
use crate::control::Effect;

/// The conditions in order, each with the reason and the message of there being nothing to say. The first three are of
/// faults that cannot happen here; clients that print them all expect them.
const FINE: [(&str, &str, &str); 5] = [
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    (CONTENT_REMAINING, "ContentRemoved", "All content successfully removed"),
    (FINALIZERS_REMAINING, "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
];
const CONTENT_REMAINING: &str = "NamespaceContentRemaining";
const FINALIZERS_REMAINING: &str = "NamespaceFinalizersRemaining";

/// The write that tells what remains, if it is not told already.
pub fn told(namespace: &Arc<Namespace>, remaining: &[Remaining], now: Timestamp) -> Option<Effect> {
    let mut told = Namespace::clone(namespace);
    let conditions = told.status.get_or_insert_default().conditions.get_or_insert_default();
    let mut changed = false;
    for (type_, reason, message) in FINE {
        let trouble = match type_ {
            CONTENT_REMAINING => content(remaining).map(|text| ("SomeResourcesRemain", text)),
            FINALIZERS_REMAINING => finalizers(remaining).map(|text| ("SomeFinalizersRemain", text)),
            _ => None,
        };
        let status = if trouble.is_some() { "True" } else { "False" };
        let (reason, message) = trouble.unwrap_or_else(|| (reason, message.to_owned()));
        changed |= set(conditions, type_, status, reason, &message, now);
    }
    changed.then(|| Effect::Update(told.into()))
}

fn set(
    conditions: &mut Vec<NamespaceCondition>,
    type_: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> bool {
    let at = match conditions.iter().position(|c| c.type_ == type_) {
        Some(at) => at,
        None => {
            conditions.push(NamespaceCondition { type_: type_.to_owned(), ..NamespaceCondition::default() });
            conditions.len() - 1
        }
    };
    let condition = &mut conditions[at];
    let is_same = condition.reason.as_deref() == Some(reason) && condition.message.as_deref() == Some(message);
    if condition.status == status && is_same {
        return false;
    }
    if condition.status != status {
        condition.last_transition_time = Some(meta::time(now));
    }
    condition.status = status.to_owned();
    condition.reason = Some(reason.to_owned());
    condition.message = Some(message.to_owned());
    true
}

fn content(remaining: &[Remaining]) -> Option<String> {
    let one = |r: &Remaining| {
        let info = r.kind.info();
        format!("{}.{} has {} resource instances", info.plural, info.group, r.count)
    };
    let mut all: Vec<String> = remaining.iter().map(one).collect();
    all.sort_unstable();
    (!all.is_empty()).then(|| format!("Some resources are remaining: {}", all.join(", ")))
}

fn finalizers(remaining: &[Remaining]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (finalizer, count) in remaining.iter().flat_map(|r| &r.finalizers) {
        *counts.entry(finalizer).or_default() += count;
    }
    let all: Vec<String> = counts.iter().map(|(f, count)| format!("{f} in {count} resource instances")).collect();
    (!all.is_empty()).then(|| format!("Some content in the namespace has finalizers remaining: {}", all.join(", ")))
}
