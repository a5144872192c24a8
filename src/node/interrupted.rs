//! Pods that were running when an earlier kiln ended: what became of them is not known.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodCondition};

use super::status::{KILLED, release};
use crate::api::pod::facts;
use crate::api::{meta, well_known};

const MESSAGE: &str = "kiln was stopped or crashed while the pod was running";

/// Whether an earlier kiln had started any of its containers. A pod that was still waiting for its first start goes on.
pub fn was_running(pod: &Pod) -> bool {
    let started = |c: &ContainerStatus| {
        c.state.as_ref().is_some_and(|s| s.running.is_some() || s.terminated.is_some())
            || c.last_state.as_ref().is_some_and(|s| s.terminated.is_some())
    };
    !facts::is_finished(pod) && facts::container_statuses(pod).any(started)
}

/// Marks such a pod as failed, with a condition that says that it is not to be charged for it.
pub fn publish(pod: &mut Pod, now: Timestamp) {
    let status = pod.status.get_or_insert_default();
    let started = status.start_time.clone().unwrap_or_else(|| meta::time(now));
    let all = status.init_container_statuses.iter_mut().chain(&mut status.container_statuses).flatten();
    for container in all {
        (container.ready, container.started) = (false, Some(false));
        let state = container.state.get_or_insert_default();
        if state.terminated.is_some() {
            continue;
        }
        let last = container.last_state.take().and_then(|s| s.terminated);
        let unknown = ContainerStateTerminated {
            exit_code: KILLED,
            reason: Some("ContainerStatusUnknown".to_owned()),
            message: Some("The container could not be located when the pod was terminated".to_owned()),
            started_at: state.running.as_ref().and_then(|r| r.started_at.clone()).or_else(|| Some(started.clone())),
            finished_at: Some(meta::time(now)),
            container_id: container.container_id.clone(),
            signal: None,
        };
        // One that waited to be started again ended as it did before.
        let ended = if state.running.is_some() { unknown } else { last.unwrap_or(unknown) };
        container.state = Some(ContainerState { terminated: Some(ended), ..ContainerState::default() });
    }
    status.phase = Some(well_known::PHASE_FAILED.to_owned());
    status.reason = Some(well_known::REASON_NODE_RESTARTED.to_owned());
    status.message = Some(MESSAGE.to_owned());
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|c| c.type_ != well_known::COND_DISRUPTION_TARGET);
    for condition in conditions.iter_mut() {
        let reason = match condition.type_.as_str() {
            "Ready" | "ContainersReady" => Some("PodFailed".to_owned()),
            "PodReadyToStartContainers" => None,
            _ => continue,
        };
        if condition.status != "False" {
            condition.last_transition_time = Some(meta::time(now));
        }
        (condition.status, condition.reason, condition.message) = ("False".to_owned(), reason, None);
    }
    let disrupted = PodCondition {
        type_: well_known::COND_DISRUPTION_TARGET.to_owned(),
        status: "True".to_owned(),
        reason: Some(well_known::REASON_NODE_RESTARTED.to_owned()),
        message: Some(MESSAGE.to_owned()),
        last_transition_time: Some(meta::time(now)),
        ..PodCondition::default()
    };
    conditions.insert(0, disrupted);
    release(pod);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Kind, Object};
    use serde_json::json;

    #[test]
    fn what_ran_is_unknown_and_what_had_ended_is_kept() {
        let status = |name: &str, state: serde_json::Value, last: serde_json::Value| json!({"name": name, "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": state, "lastState": last});
        let object = json!({"metadata": {"name": "p"}, "status": {"phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "initContainerStatuses": [status("i", json!({"terminated": {"exitCode": 0}}), json!({}))],
            "containerStatuses": [
                status("a", json!({"running": {}}), json!({})),
                status("b", json!({"waiting": {"reason": "CrashLoopBackOff"}}), json!({"terminated": {"exitCode": 3}})),
                status("c", json!({"waiting": {"reason": "ContainerCreating"}}), json!({}))]}});
        let pod = Object::deserialize(Kind::Pod, object).unwrap().as_pod().unwrap().clone();
        assert!(was_running(&pod));
        let mut pod = Pod::clone(&pod);
        publish(&mut pod, Timestamp::UNIX_EPOCH);
        assert!(facts::is_disrupted(&pod) && !facts::is_ready(&pod) && !was_running(&pod));
        let codes: Vec<_> = facts::container_statuses(&pod)
            .map(|c| c.state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code)
            .collect();
        assert_eq!(codes, [0, 137, 3, 137]);
    }

    #[test]
    fn a_pod_that_had_not_begun_goes_on() {
        assert!(!was_running(&Pod::default()));
    }
}
