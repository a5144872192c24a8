//! What is published of a pod: the table from how a run ended to a container's terminated state, and the whole status.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, HostIP,
    Pod, PodCondition, PodIP, PodStatus,
};

use super::machine::{Container, Ended, RestartPolicy, State, Stop, phase};
use crate::api::{meta, well_known};
use crate::sandbox::Outcome;

/// Where kiln's pods live on the network: nowhere, so they show the address of their host.
const HOST_IP: &str = "127.0.0.1";

/// Exit codes of endings that are not the program's own, as a shell or a container runtime would give them.
const KILLED: i32 = 137; // 128 + SIGKILL
const ABORTED: i32 = 134; // 128 + SIGABRT
const CANNOT_START: i32 = 128;

/// From an outcome to exit code, reason and message: the one table.
pub fn ended(outcome: &Outcome, started: Timestamp, finished: Timestamp) -> Ended {
    let (exit_code, reason, message) = match outcome {
        Outcome::Exited { code: 0 } => (0, "Completed", None),
        Outcome::Exited { code } => (i32::from(*code), "Error", None),
        Outcome::DeadlineExceeded => (KILLED, "DeadlineExceeded", Some("stopped at its deadline".to_owned())),
        Outcome::FuelExhausted { limit } => {
            (KILLED, "FuelExhausted", Some(format!("burned all of its {limit} units of fuel")))
        }
        Outcome::MemoryLimit { limit_bytes } => {
            (KILLED, "OOMKilled", Some(format!("needed more memory than its limit of {limit_bytes} bytes")))
        }
        Outcome::DiskLimit { area, limit_bytes } => {
            (KILLED, "Evicted", Some(format!("wrote more to {area} than its limit of {limit_bytes} bytes")))
        }
        Outcome::Trap { message, .. } => (ABORTED, "Error", Some(message.clone())),
        Outcome::Cancelled => (KILLED, "Error", Some("stopped".to_owned())),
        Outcome::StartFailed { reason } => (CANNOT_START, "StartError", Some(reason.clone())),
        Outcome::HostError { message } => (CANNOT_START, "ContainerCannotRun", Some(message.clone())),
    };
    Ended { exit_code, reason, message, started, finished }
}

/// All that a pod's status shows.
#[derive(Clone, Debug)]
pub struct View<'a> {
    pub container: &'a Container,
    pub policy: RestartPolicy,
    pub stopped: Option<&'a Stop>,
    /// The digest of the module, once it is known.
    pub image_id: &'a str,
    /// When the node took the pod on.
    pub started: Timestamp,
}

/// Writes `view` into the pod's status. Conditions that are not the node's own stay as they are.
pub fn publish(pod: &mut Pod, view: &View<'_>, now: Timestamp) {
    let container = pod.spec.as_ref().and_then(|s| s.containers.first());
    let (name, image) = container.map(|c| (c.name.clone(), c.image.clone().unwrap_or_default())).unwrap_or_default();
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let phase = phase(view.container, view.policy, view.stopped);
    let over = matches!(phase, well_known::PHASE_SUCCEEDED | well_known::PHASE_FAILED);
    let running = matches!(view.container.state, State::Running { .. });
    let status = pod.status.get_or_insert_default();
    status.phase = Some(phase.to_owned());
    if over && let Some((reason, message)) = view.stopped.and_then(Stop::words) {
        (status.reason, status.message) = (Some(reason), Some(message));
    }
    status.start_time.get_or_insert_with(|| meta::time(view.started));
    status.host_ip = Some(HOST_IP.to_owned());
    status.host_ips = Some(vec![HostIP { ip: HOST_IP.to_owned() }]);
    status.pod_ip = Some(HOST_IP.to_owned());
    status.pod_ips = Some(vec![PodIP { ip: HOST_IP.to_owned() }]);
    set_conditions(status, phase, running, &name, now);
    status.container_statuses = Some(vec![ContainerStatus {
        state: Some(state(&view.container.state, &uid, view.container.restarts)),
        last_state: Some(match &view.container.last {
            // While it waits, the restart that is to come has not been counted yet.
            Some(last) => match view.container.state {
                State::Waiting { .. } => terminated(last, &uid, view.container.restarts),
                _ => terminated(last, &uid, view.container.restarts.saturating_sub(1)),
            },
            None => ContainerState::default(),
        }),
        name,
        image,
        image_id: view.image_id.to_owned(),
        ready: running,
        started: Some(running),
        restart_count: i32::try_from(view.container.restarts).unwrap_or(i32::MAX),
        container_id: match view.container.state {
            State::Waiting { .. } => None,
            _ => Some(container_id(&uid, view.container.restarts)),
        },
        ..ContainerStatus::default()
    }]);
    if over && pod.metadata.deletion_timestamp.is_some() {
        // Nothing of it runs any more: its deletion waits for the node no longer.
        pod.metadata.deletion_grace_period_seconds = Some(0);
    }
}

fn container_id(uid: &str, restarts: u32) -> String {
    format!("kiln://{uid}/{restarts}")
}

fn state(state: &State, uid: &str, restarts: u32) -> ContainerState {
    match state {
        State::Waiting { reason, message } => ContainerState {
            waiting: Some(ContainerStateWaiting { reason: Some((*reason).to_owned()), message: message.clone() }),
            ..ContainerState::default()
        },
        State::Running { since } => ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(meta::time(*since)) }),
            ..ContainerState::default()
        },
        State::Ended(ended) => terminated(ended, uid, restarts),
    }
}

fn terminated(ended: &Ended, uid: &str, restarts: u32) -> ContainerState {
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            exit_code: ended.exit_code,
            reason: Some(ended.reason.to_owned()),
            message: ended.message.clone(),
            started_at: Some(meta::time(ended.started)),
            finished_at: Some(meta::time(ended.finished)),
            container_id: Some(container_id(uid, restarts)),
            signal: None,
        }),
        ..ContainerState::default()
    }
}

/// The node's own conditions, in the kubelet's order, after those of others and before PodScheduled.
fn set_conditions(status: &mut PodStatus, phase: &str, running: bool, name: &str, now: Timestamp) {
    let unready = match phase {
        well_known::PHASE_SUCCEEDED => Some(("PodCompleted", None)),
        well_known::PHASE_FAILED => Some(("PodFailed", None)),
        _ if running => None,
        _ => Some(("ContainersNotReady", Some(format!("containers with unready status: [{name}]")))),
    };
    // Kubernetes says that a pod is ready to start containers while its sandbox is there: until it is over.
    let no_sandbox = matches!(phase, well_known::PHASE_SUCCEEDED | well_known::PHASE_FAILED).then_some(("", None));
    let old = status.conditions.take().unwrap_or_default();
    let own = |type_: &str, problem: Option<&(&'static str, Option<String>)>| {
        let value = if problem.is_none() { "True" } else { "False" };
        let earlier = old.iter().find(|c| c.type_ == type_ && c.status == value);
        PodCondition {
            type_: type_.to_owned(),
            status: value.to_owned(),
            reason: problem.map(|(reason, _)| (*reason).to_owned()).filter(|reason| !reason.is_empty()),
            message: problem.and_then(|(_, message)| message.clone()),
            last_transition_time: earlier
                .and_then(|c| c.last_transition_time.clone())
                .or_else(|| Some(meta::time(now))),
            ..PodCondition::default()
        }
    };
    let mine = [
        own("PodReadyToStartContainers", no_sandbox.as_ref()),
        own("Initialized", None),
        own("Ready", unready.as_ref()),
        own("ContainersReady", unready.as_ref()),
    ];
    let is_mine = |c: &PodCondition| mine.iter().any(|m| m.type_ == c.type_);
    let (scheduled, others): (Vec<_>, Vec<_>) =
        old.iter().filter(|c| !is_mine(c)).cloned().partition(|c| c.type_ == "PodScheduled");
    status.conditions = Some(others.into_iter().chain(mine).chain(scheduled).collect());
}

/// Marks a pod that was running when this node's process ended: what became of it is not known, and it is not to be
/// charged for it.
pub fn publish_interrupted(pod: &mut Pod, now: Timestamp) {
    let restarts = pod
        .status
        .as_ref()
        .and_then(|s| s.container_statuses.as_ref()?.first())
        .map_or(0, |c| u32::try_from(c.restart_count).unwrap_or(0));
    let started = pod.status.as_ref().and_then(|s| s.start_time.as_ref()).map_or(now, |t| t.0);
    let image_id = pod
        .status
        .as_ref()
        .and_then(|s| s.container_statuses.as_ref()?.first())
        .map(|c| c.image_id.clone())
        .unwrap_or_default();
    let ended = Ended {
        exit_code: KILLED,
        reason: "ContainerStatusUnknown",
        message: Some("The container was running when kiln was stopped".to_owned()),
        started,
        finished: now,
    };
    let container = Container { state: State::Ended(ended), last: None, restarts };
    let view =
        View { container: &container, policy: RestartPolicy::Never, stopped: None, image_id: &image_id, started };
    publish(pod, &view, now);
    let status = pod.status.get_or_insert_default();
    status.reason = Some(well_known::REASON_NODE_RESTARTED.to_owned());
    status.message = Some("kiln was stopped or crashed while the pod was running".to_owned());
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|c| c.type_ != well_known::COND_DISRUPTION_TARGET);
    let disrupted = PodCondition {
        type_: well_known::COND_DISRUPTION_TARGET.to_owned(),
        status: "True".to_owned(),
        reason: Some(well_known::REASON_NODE_RESTARTED.to_owned()),
        message: Some("kiln was stopped or crashed while the pod was running".to_owned()),
        last_transition_time: Some(meta::time(now)),
        ..PodCondition::default()
    };
    conditions.insert(0, disrupted);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::pod::facts;
    use crate::sandbox::TrapKind;

    #[test]
    fn each_outcome_has_its_exit_code_and_reason() {
        let cases: Vec<(Outcome, i32, &str)> = vec![
            (Outcome::Exited { code: 0 }, 0, "Completed"),
            (Outcome::Exited { code: 3 }, 3, "Error"),
            (Outcome::Exited { code: 255 }, 255, "Error"),
            (Outcome::DeadlineExceeded, 137, "DeadlineExceeded"),
            (Outcome::FuelExhausted { limit: 5 }, 137, "FuelExhausted"),
            (Outcome::MemoryLimit { limit_bytes: 5 }, 137, "OOMKilled"),
            (Outcome::DiskLimit { area: "v".to_owned(), limit_bytes: 5 }, 137, "Evicted"),
            (Outcome::Trap { kind: TrapKind::Unreachable, message: "m".to_owned() }, 134, "Error"),
            (Outcome::Cancelled, 137, "Error"),
            (Outcome::StartFailed { reason: "r".to_owned() }, 128, "StartError"),
            (Outcome::HostError { message: "m".to_owned() }, 128, "ContainerCannotRun"),
        ];
        for (outcome, exit_code, reason) in cases {
            let ended = ended(&outcome, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
            assert_eq!((ended.exit_code, ended.reason), (exit_code, reason), "{outcome:?}");
        }
    }

    #[test]
    fn conditions_of_others_are_kept_and_transition_times_change_with_the_status_only() {
        let condition = |type_: &str| PodCondition {
            type_: type_.to_owned(),
            status: "True".to_owned(),
            last_transition_time: Some(meta::time(Timestamp::UNIX_EPOCH)),
            ..PodCondition::default()
        };
        let mut pod = Pod::default();
        pod.status.get_or_insert_default().conditions = Some(vec![condition("PodScheduled"), condition("Mine")]);
        let mut container =
            Container { state: State::Running { since: Timestamp::UNIX_EPOCH }, last: None, restarts: 0 };
        for (second, expected) in [(5, 5), (9, 5)] {
            let now = Timestamp::from_second(second).unwrap();
            let view =
                View { container: &container, policy: RestartPolicy::Never, stopped: None, image_id: "", started: now };
            publish(&mut pod, &view, now);
            let ready = facts::condition(&pod, "Ready").unwrap();
            assert_eq!(ready.last_transition_time.as_ref().unwrap().0.as_second(), expected);
        }
        container.state =
            State::Ended(ended(&Outcome::Exited { code: 0 }, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH));
        let now = Timestamp::from_second(11).unwrap();
        let view =
            View { container: &container, policy: RestartPolicy::Never, stopped: None, image_id: "", started: now };
        publish(&mut pod, &view, now);
        let types: Vec<_> =
            pod.status.as_ref().unwrap().conditions.iter().flatten().map(|c| c.type_.as_str()).collect();
        assert_eq!(
            types,
            ["Mine", "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
        );
        assert_eq!(facts::condition(&pod, "Ready").unwrap().reason.as_deref(), Some("PodCompleted"));
        assert_eq!(facts::phase(&pod), "Succeeded");
    }

    #[test]
    fn an_interrupted_pod_says_so() {
        let mut pod = Pod::default();
        publish_interrupted(&mut pod, Timestamp::UNIX_EPOCH);
        assert!(facts::is_disrupted(&pod));
    }
}
