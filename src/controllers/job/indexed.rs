//! Indexed Jobs: which index a pod has, and with `backoffLimitPerIndex` whether a pod that failed is tried again
//! (kubernetes `pkg/controller/job/indexed_job_utils.go`).

use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::Pod;

use super::failure_policy::{Verdict, verdict};
use crate::api::job::defaults::INDEXED;
use crate::api::pod::facts;
use crate::api::{meta, well_known};

pub fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some(INDEXED)
}

/// Whether each index has a limit of its own.
pub fn has_limit_per_index(spec: &JobSpec) -> bool {
    is_indexed(spec) && spec.backoff_limit_per_index.is_some()
}

/// The index of a pod, if it has one.
pub fn index_of(pod: &Pod) -> Option<i32> {
    let text = meta::annotation(&pod.metadata, well_known::ANNOTATION_COMPLETION_INDEX)?;
    text.parse().ok().filter(|index| *index >= 0)
}

/// Whether the end of the pod is the Job's to count: one of no index, or of an index beyond the last, does none of its
/// work.
pub fn belongs(spec: &JobSpec, pod: &Pod) -> bool {
    !is_indexed(spec) || index_of(pod).is_some_and(|index| index < spec.completions.unwrap_or(0))
}

/// How often the pods of an index have failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tries {
    /// Failures that count.
    pub failed: i32,
    /// Those that a rule of the failure policy ignores.
    pub ignored: i32,
}

impl Tries {
    /// What stands on a pod: the failures before it.
    pub fn before(pod: &Pod) -> Tries {
        let number = |name: &str| meta::annotation(&pod.metadata, name).and_then(|text| text.parse().ok());
        let not_negative = |number: Option<i32>| number.unwrap_or(0).max(0);
        Tries {
            failed: not_negative(number(well_known::ANNOTATION_INDEX_FAILURES)),
            ignored: not_negative(number(well_known::ANNOTATION_INDEX_IGNORED_FAILURES)),
        }
    }

    pub fn total(self) -> u32 {
        u32::try_from(self.failed.saturating_add(self.ignored)).unwrap_or(0)
    }
}

/// What follows from the failure of a pod whose index is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The failures of the index, this one included.
    pub tries: Tries,
    /// Whether this failure counts.
    pub is_charged: bool,
    /// Whether the next try waits for its delay.
    pub is_delayed: bool,
}

/// Whether a pod counts as failed. One that is being deleted does, unless only pods that have failed are replaced; one
/// that no node has will never end by itself.
pub fn has_failed(spec: &JobSpec, pod: &Pod) -> bool {
    if facts::is_finished(pod) {
        return !facts::has_succeeded(pod);
    }
    meta::is_deleting(&pod.metadata) && (!only_failed_are_replaced(spec) || facts::node(pod).is_none())
}

/// Whether pods that are being deleted still have their place.
pub fn only_failed_are_replaced(spec: &JobSpec) -> bool {
    spec.pod_failure_policy.is_some() || spec.pod_replacement_policy.as_deref() == Some("Failed")
}

/// How the index of a failed pod goes on; `None` if the pod has not failed, or its index is not tried again.
pub fn retry(spec: &JobSpec, pod: &Pod) -> Option<Retry> {
    let limit = spec.backoff_limit_per_index.filter(|_| has_limit_per_index(spec))?;
    let index = index_of(pod)?;
    if !has_failed(spec, pod) || index >= spec.completions.unwrap_or(0) {
        return None;
    }
    let before = Tries::before(pod);
    match verdict(spec.pod_failure_policy.as_ref(), pod) {
        Some(Verdict::FailIndex | Verdict::FailJob(_)) => None,
        Some(Verdict::Ignore) => {
            let tries = Tries { ignored: before.ignored.saturating_add(1), ..before };
            Some(Retry { tries, is_charged: false, is_delayed: true })
        }
        None if facts::is_fate_unknown(pod) => None,
        None if facts::is_disrupted(pod) => Some(Retry { tries: before, is_charged: false, is_delayed: false }),
        Some(Verdict::Count) | None => (before.failed < limit).then(|| Retry {
            tries: Tries { failed: before.failed.saturating_add(1), ..before },
            is_charged: true,
            is_delayed: true,
        }),
    }
}
