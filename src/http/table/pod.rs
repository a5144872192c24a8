//! `kubectl get pods` (`printPod`): the status is what best explains the pod, from its containers up.

use k8s_openapi::api::core::v1::{Container, ContainerStateTerminated, ContainerStatus, Pod, PodCondition, PodStatus};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::column::{AGE, Column, NAME, NONE, or_none};
use super::{age_of, name_of};
use crate::api::{age, meta, well_known};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Ready", "The aggregate readiness state of this pod for accepting traffic."),
    Column::text("Status", "The aggregate status of the containers in this pod."),
    Column::text(
        "Restarts",
        "The number of times the containers in this pod have been restarted and when the last container in this pod \
         has restarted.",
    ),
    AGE,
    Column::wide(
        "IP",
        "podIP address allocated to the pod. Routable at least within the cluster. Empty if not yet allocated.",
    ),
    Column::wide(
        "Node",
        "NodeName indicates in which node this pod is scheduled. If empty, this pod is a candidate for scheduling by \
         the scheduler defined in schedulerName. Once this field is set, the kubelet for this node becomes responsible \
         for the lifecycle of this pod. This field should not be used to express a desire for the pod to be scheduled \
         on a specific node. https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#nodename",
    ),
    Column::wide(
        "Nominated Node",
        "nominatedNodeName is set only when this pod preempts other pods on the node, but it cannot be scheduled right \
         away as preemption victims receive their graceful termination periods.",
    ),
    Column::wide(
        "Readiness Gates",
        "If specified, all readiness gates will be evaluated for pod readiness. A pod is ready when all its containers \
         are ready AND all conditions specified in the readiness gates have status equal to \"True\" More info: \
         https://git.k8s.io/enhancements/keps/sig-network/580-pod-readiness-gates",
    ),
];

pub(super) fn cells(pod: &Pod, now: Timestamp) -> Vec<Value> {
    let summary = summarize(pod);
    let status = pod.status.as_ref();
    let ips = status.and_then(|s| s.pod_ips.as_ref());
    vec![
        name_of(&pod.metadata),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.into(),
        summary.restarts.text(now).into(),
        age_of(&pod.metadata, now),
        or_none(ips.and_then(|ips| ips.first()).map(|ip| ip.ip.as_str())).into(),
        or_none(pod.spec.as_ref().and_then(|s| s.node_name.as_deref())).into(),
        or_none(status.and_then(|s| s.nominated_node_name.as_deref())).into(),
        readiness_gates(pod).into(),
    ]
}

/// The conditions of a row: a finished pod is Completed, so that clients can hide it.
pub(super) fn row_conditions(pod: &Pod) -> Option<Value> {
    let (reason, message) = match pod.status.as_ref()?.phase.as_deref()? {
        well_known::PHASE_SUCCEEDED => ("Succeeded", "The pod has completed successfully."),
        well_known::PHASE_FAILED => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

/// Restarts, and when the last one was.
#[derive(Clone, Copy, Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, container: &ContainerStatus) {
        self.count += i64::from(container.restart_count);
        let ended =
            container.last_state.as_ref().and_then(|s| s.terminated.as_ref()).and_then(|t| t.finished_at.as_ref());
        self.last = self.last.max(ended.map(|t| t.0));
    }

    fn text(self, now: Timestamp) -> String {
        match self.last {
            Some(last) if self.count != 0 => format!("{} ({} ago)", self.count, age::since(Some(last), now)),
            _ => self.count.to_string(),
        }
    }
}

struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: Restarts,
}

fn summarize(pod: &Pod) -> Summary {
    let none = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&none);
    let phase = status.phase.as_deref().unwrap_or_default();
    let init: &[Container] = pod.spec.as_ref().and_then(|s| s.init_containers.as_deref()).unwrap_or_default();
    let sidecars = init.iter().filter(|c| is_sidecar(c)).count();
    let mut summary = Summary {
        ready: 0,
        total: pod.spec.as_ref().map_or(0, |s| s.containers.len()) + sidecars,
        reason: status.reason.as_deref().filter(|r| !r.is_empty()).unwrap_or(phase).to_owned(),
        restarts: Restarts::default(),
    };
    if conditions(status).any(|c| c.type_ == "PodScheduled" && c.reason.as_deref() == Some("SchedulingGated")) {
        summary.reason = "SchedulingGated".to_owned();
    }

    let sidecar_restarts = look_at_init(&mut summary, status, init);
    if let Some(restarts) = sidecar_restarts {
        summary.restarts = restarts;
        look_at_containers(&mut summary, status);
    }

    if meta::is_deleting(&pod.metadata) {
        if status.reason.as_deref() == Some("NodeLost") {
            summary.reason = "Unknown".to_owned();
        } else if phase != well_known::PHASE_SUCCEEDED && phase != well_known::PHASE_FAILED {
            summary.reason = "Terminating".to_owned();
        }
    }
    summary
}

/// Goes through the init containers up to the first that is not done, which then gives the status. Returns the
/// restarts of the sidecars if the pod is past its init containers.
fn look_at_init(summary: &mut Summary, status: &PodStatus, specs: &[Container]) -> Option<Restarts> {
    let mut sidecar_restarts = Restarts::default();
    let mut unfinished = None;
    for (i, container) in status.init_container_statuses.iter().flatten().enumerate() {
        summary.restarts.add(container);
        let sidecar = specs.iter().any(|c| c.name == container.name && is_sidecar(c));
        if sidecar {
            sidecar_restarts.add(container);
        }
        let terminated = container.state.as_ref().and_then(|s| s.terminated.as_ref());
        if terminated.is_some_and(|t| t.exit_code == 0) {
            continue;
        }
        if sidecar && container.started == Some(true) {
            summary.ready += usize::from(container.ready);
            continue;
        }
        unfinished = Some(match (terminated, waiting_reason(container)) {
            (Some(end), _) => format!("Init:{}", end_reason(end)),
            (None, Some(reason)) if reason != "PodInitializing" => format!("Init:{reason}"),
            _ => format!("Init:{i}/{}", specs.len()),
        });
        break;
    }
    let initialized = conditions(status).any(|c| c.type_ == "Initialized" && c.status == "True");
    let done = unfinished.is_none() || initialized;
    if let Some(reason) = unfinished {
        summary.reason = reason;
    }
    done.then_some(sidecar_restarts)
}

/// Goes through the containers from the last to the first, so that the first has the last word.
fn look_at_containers(summary: &mut Summary, status: &PodStatus) {
    let mut running = false;
    for container in status.container_statuses.iter().flatten().rev() {
        summary.restarts.add(container);
        let state = container.state.as_ref();
        if let Some(reason) = waiting_reason(container) {
            summary.reason = reason.to_owned();
        } else if let Some(end) = state.and_then(|s| s.terminated.as_ref()) {
            summary.reason = end_reason(end);
        } else if container.ready && state.is_some_and(|s| s.running.is_some()) {
            running = true;
            summary.ready += 1;
        }
    }
    if summary.reason == "Completed" && running {
        let ready = conditions(status).any(|c| c.type_ == "Ready" && c.status == "True");
        summary.reason = if ready { "Running" } else { "NotReady" }.to_owned();
    }
}

fn end_reason(end: &ContainerStateTerminated) -> String {
    match (end.reason.as_deref().unwrap_or_default(), end.signal.unwrap_or(0)) {
        ("", 0) => format!("ExitCode:{}", end.exit_code),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn waiting_reason(container: &ContainerStatus) -> Option<&str> {
    container.state.as_ref()?.waiting.as_ref()?.reason.as_deref().filter(|r| !r.is_empty())
}

/// An init container that runs beside the others from then on.
fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn conditions(status: &PodStatus) -> impl Iterator<Item = &PodCondition> {
    status.conditions.iter().flatten()
}

/// `met/all` of the pod's own readiness conditions.
fn readiness_gates(pod: &Pod) -> String {
    let gates = pod.spec.as_ref().and_then(|s| s.readiness_gates.as_deref()).unwrap_or_default();
    if gates.is_empty() {
        return NONE.to_owned();
    }
    let is_met = |wanted: &str| {
        let mut conditions = pod.status.iter().flat_map(conditions);
        conditions.find(|c| c.type_ == wanted).is_some_and(|c| c.status == "True")
    };
    format!("{}/{}", gates.iter().filter(|g| is_met(&g.condition_type)).count(), gates.len())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{cells_of, now};
    use crate::api::Kind;

    fn pod_cells(value: Value) -> Value {
        cells_of(Kind::Pod, value)
    }

    fn running(ready: bool) -> Value {
        json!({"name": "c", "ready": ready, "state": {"running": {}}})
    }

    fn ended(terminated: Value) -> Value {
        json!({"name": "c", "state": {"terminated": terminated}})
    }

    fn waiting(reason: &str) -> Value {
        json!({"name": "c", "state": {"waiting": {"reason": reason}}})
    }

    #[test]
    fn a_running_pod_shows_all_its_columns() {
        let value = json!({
            "metadata": {"name": "p", "creationTimestamp": now(-600)},
            "spec": {"nodeName": "n", "containers": [{"name": "c"}, {"name": "d"}],
                "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]},
            "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.7"}], "nominatedNodeName": "",
                "conditions": [{"type": "a", "status": "True"}, {"type": "b", "status": "False"}],
                "containerStatuses": [
                    {"name": "c", "ready": true, "restartCount": 2, "state": {"running": {}},
                        "lastState": {"terminated": {"exitCode": 1, "finishedAt": now(-150)}}},
                    {"name": "d", "ready": false, "restartCount": 1, "state": {"running": {}},
                        "lastState": {"terminated": {"exitCode": 1, "finishedAt": now(-120)}}}]},
        });
        let expected = json!(["p", "1/2", "Running", "3 (2m ago)", "10m", "10.0.0.7", "n", "<none>", "1/2"]);
        assert_eq!(pod_cells(value), expected);
    }

    #[test]
    fn the_status_of_a_pod_without_init_containers() {
        let spec = json!({"containers": [{"name": "c"}, {"name": "d"}]});
        let ready = json!([{"type": "Ready", "status": "True"}]);
        let cases = [
            (json!({"phase": "Pending"}), "Pending"),
            (json!({"phase": "Failed", "reason": "Evicted"}), "Evicted"),
            (
                json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
                "reason": "SchedulingGated"}]}),
                "SchedulingGated",
            ),
            (
                json!({"phase": "Pending", "containerStatuses": [waiting("ErrImagePull"), running(true)]}),
                "ErrImagePull",
            ),
            (
                json!({"phase": "Running", "containerStatuses": [running(true), waiting("CrashLoopBackOff")]}),
                "CrashLoopBackOff",
            ),
            (
                json!({"phase": "Failed", "containerStatuses": [ended(json!({"exitCode": 3})), ended(json!({"exitCode": 0, "reason": "Completed"}))]}),
                "ExitCode:3",
            ),
            (json!({"phase": "Failed", "containerStatuses": [ended(json!({"exitCode": 0, "signal": 9}))]}), "Signal:9"),
            (
                json!({"phase": "Failed", "reason": "DeadlineExceeded", "containerStatuses": [ended(json!({"exitCode": 1, "reason": "Error"}))]}),
                "Error",
            ),
            (
                json!({"phase": "Running", "conditions": ready, "containerStatuses": [ended(json!({"exitCode": 0, "reason": "Completed"})), running(true)]}),
                "Running",
            ),
            (
                json!({"phase": "Running", "containerStatuses": [ended(json!({"exitCode": 0, "reason": "Completed"})), running(true)]}),
                "NotReady",
            ),
            (
                json!({"phase": "Succeeded", "containerStatuses": [ended(json!({"exitCode": 0, "reason": "Completed"}))]}),
                "Completed",
            ),
        ];
        for (status, expected) in cases {
            let cells = pod_cells(json!({"spec": spec, "status": status}));
            assert_eq!(cells[2], expected, "{status}");
        }
    }

    #[test]
    fn the_first_unfinished_init_container_gives_the_status() {
        let spec = json!({"containers": [{"name": "c"}], "initContainers": [{"name": "a"}, {"name": "b"}]});
        let done = ended(json!({"exitCode": 0, "reason": "Completed"}));
        let main = json!([waiting("PodInitializing")]);
        let cases = [
            (json!([running(false), waiting("PodInitializing")]), "Init:0/2"),
            (json!([done, waiting("PodInitializing")]), "Init:1/2"),
            (json!([done, waiting("CrashLoopBackOff")]), "Init:CrashLoopBackOff"),
            (json!([done, ended(json!({"exitCode": 2, "reason": "Error"}))]), "Init:Error"),
            (json!([done, ended(json!({"exitCode": 2}))]), "Init:ExitCode:2"),
            (json!([done, ended(json!({"exitCode": 2, "signal": 15}))]), "Init:Signal:15"),
            (json!([done, done]), "PodInitializing"),
        ];
        for (init, expected) in cases {
            let status = json!({"phase": "Pending", "initContainerStatuses": init, "containerStatuses": main});
            assert_eq!(pod_cells(json!({"spec": spec, "status": status}))[2], expected, "{init}");
        }
        let status = json!({"phase": "Running", "conditions": [{"type": "Initialized", "status": "True"}],
            "initContainerStatuses": [running(false)], "containerStatuses": [waiting("X")]});
        assert_eq!(pod_cells(json!({"spec": spec, "status": status}))[2], "X");
    }

    #[test]
    fn restarts_of_init_containers_count_only_while_they_run() {
        let spec = json!({"containers": [{"name": "c"}], "initContainers": [{"name": "a"}, {"name": "s", "restartPolicy": "Always"}]});
        let init = json!({"name": "a", "restartCount": 4, "state": {"running": {}}});
        let early = json!({"phase": "Pending", "initContainerStatuses": [init]});
        let cells = pod_cells(json!({"spec": spec, "status": early}));
        assert_eq!((&cells[1], &cells[3]), (&json!("0/2"), &json!("4")));

        let init = json!([{"name": "a", "restartCount": 4, "state": {"terminated": {"exitCode": 0}}},
            {"name": "s", "restartCount": 1, "started": true, "ready": true, "state": {"running": {}}}]);
        let late = json!({"phase": "Running", "initContainerStatuses": init, "containerStatuses": [running(true)]});
        let cells = pod_cells(json!({"spec": spec, "status": late}));
        assert_eq!((&cells[1], &cells[2], &cells[3]), (&json!("2/2"), &json!("Running"), &json!("1")));
    }

    #[test]
    fn a_deleted_pod_is_terminating_unless_it_has_ended() {
        let of =
            |status: Value| pod_cells(json!({"metadata": {"deletionTimestamp": now(0)}, "status": status}))[2].clone();
        assert_eq!(of(json!({"phase": "Running"})), "Terminating");
        assert_eq!(of(json!({"phase": "Succeeded"})), "Succeeded");
        assert_eq!(of(json!({"phase": "Running", "reason": "NodeLost"})), "Unknown");
    }
}
