//! Questions that are asked of a pod.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};

use crate::api::{meta, well_known};

pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
}

/// Succeeded or Failed: nothing of it will run again.
pub fn is_finished(pod: &Pod) -> bool {
    matches!(phase(pod), well_known::PHASE_SUCCEEDED | well_known::PHASE_FAILED)
}

pub fn has_succeeded(pod: &Pod) -> bool {
    phase(pod) == well_known::PHASE_SUCCEEDED
}

/// The node that it was placed on.
pub fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

pub fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.iter().flatten().find(|c| c.type_ == type_)
}

pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|c| c.status == "True")
}

/// Whether kiln itself cut the pod off: it ended through no fault of its own, and is not charged to its Job.
pub fn is_disrupted(pod: &Pod) -> bool {
    was_cut_off(pod) && !is_at_most_once(pod)
}

/// Whether kiln itself cut the pod off, and its work must not be done again.
pub fn is_fate_unknown(pod: &Pod) -> bool {
    was_cut_off(pod) && is_at_most_once(pod)
}

/// Whether nothing of it may be started twice, not even if kiln cannot know whether it was.
pub fn is_at_most_once(pod: &Pod) -> bool {
    meta::annotation(&pod.metadata, well_known::ANNOTATION_AT_MOST_ONCE) == Some("true")
}

fn was_cut_off(pod: &Pod) -> bool {
    phase(pod) == well_known::PHASE_FAILED
        && condition(pod, well_known::COND_DISRUPTION_TARGET)
            .is_some_and(|c| c.status == "True" && c.reason.as_deref() == Some(well_known::REASON_NODE_RESTARTED))
}

/// What is known of its containers, init containers first.
pub fn container_statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.iter();
    status.flat_map(|s| s.init_container_statuses.iter().chain(&s.container_statuses)).flatten()
}

/// Restarts of all its containers.
pub fn restarts(pod: &Pod) -> i64 {
    container_statuses(pod).map(|c| i64::from(c.restart_count)).sum()
}

/// When a finished pod finished, to the second (kubernetes `pkg/controller/job/backoff_utils.go`, `getFinishedTime`):
/// its last container's end, or that of an init container that failed, so that no other ran; else when it stopped being ready; else its deletion less the grace; else its creation.
pub fn finished_at(pod: &Pod) -> Timestamp {
    let terminated = |c: &ContainerStatus| c.state.as_ref()?.terminated.clone();
    let init = pod.status.iter().flat_map(|s| s.init_container_statuses.iter().flatten());
    if let Some(failed) = init.filter_map(terminated).find(|t| t.exit_code != 0)
        && let Some(at) = failed.finished_at
    {
        return at.0;
    }
    let containers = pod.status.as_ref().and_then(|s| s.container_statuses.as_ref());
    let ends = containers.map(|all| {
        let end = |c: &ContainerStatus| Some(terminated(c)?.finished_at?.0);
        all.iter().map(end).collect::<Option<Vec<_>>>()
    });
    if let Some(last) = ends.flatten().and_then(|ends| ends.into_iter().max()) {
        return last;
    }
    if let Some(at) =
        condition(pod, "Ready").filter(|c| c.status == "False").and_then(|c| c.last_transition_time.as_ref())
    {
        return at.0;
    }
    let meta = &pod.metadata;
    if let Some(at) = &meta.deletion_timestamp {
        let grace = SignedDuration::from_secs(meta.deletion_grace_period_seconds.unwrap_or(0));
        return at.0.saturating_sub(grace).unwrap_or(at.0);
    }
    meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0)
}

/// Pods in the states that tests need.
#[cfg(test)]
pub mod test {
    use super::*;
    use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, PodStatus};

    pub fn finished_pod(at: Timestamp, succeeded: bool) -> Pod {
        let exit_code = i32::from(!succeeded);
        let terminated = ContainerStateTerminated {
            exit_code,
            finished_at: Some(meta::time(at)),
            ..ContainerStateTerminated::default()
        };
        let container = ContainerStatus {
            state: Some(ContainerState { terminated: Some(terminated), ..ContainerState::default() }),
            ..ContainerStatus::default()
        };
        let phase = if succeeded { well_known::PHASE_SUCCEEDED } else { well_known::PHASE_FAILED };
        let status = PodStatus {
            phase: Some(phase.to_owned()),
            container_statuses: Some(vec![container]),
            ..PodStatus::default()
        };
        Pod { status: Some(status), ..Pod::default() }
    }
}
