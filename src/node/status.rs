//! What is published of a pod: the table from how a run ended to a container's terminated state, and the whole status.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, HostIP,
    Pod, PodCondition, PodIP, PodStatus,
};

use super::machine::{Container, Ended, Machine, State, Stop};
use crate::api::{meta, well_known};
use crate::sandbox::Outcome;

/// Where kiln's pods live on the network: nowhere, so they show the address of their host.
pub(super) const HOST_IP: &str = "127.0.0.1";

/// Exit codes of endings that are not the program's own, as a shell or a container runtime would give them.
pub(super) const KILLED: i32 = 137; // 128 + SIGKILL
const ABORTED: i32 = 134; // 128 + SIGABRT
const CANNOT_START: i32 = 128;

/// How the areas of disk that are no volumes are named: this, and the name of their container.
pub const ROOT_OF: &str = "container ";

/// From an outcome to exit code, reason and message: the one table.
fn row(outcome: &Outcome) -> (i32, &'static str, Option<String>) {
    match outcome {
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
    }
}

/// Whether an ending is a failure, and what the node has to say of it.
pub fn tells(outcome: &Outcome) -> (bool, Option<String>) {
    let (exit_code, _, message) = row(outcome);
    (exit_code != 0, message)
}

/// The terminated state of a run. `message` is what is shown of it: see [`super::termination`].
pub fn ended(outcome: &Outcome, message: Option<String>, started: Timestamp, finished: Timestamp) -> Ended {
    let (exit_code, reason, _) = row(outcome);
    Ended { exit_code, reason, message, started, finished }
}

/// The kubelet's words for a pod that wrote more than it may. `area` is the name of a volume, or [`ROOT_OF`] and the name
/// of the container whose own directories they are.
pub fn evicted(area: &str, limit_bytes: u64) -> String {
    let units = [(1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki"), (1, "")];
    let (unit, suffix) = units.into_iter().find(|(unit, _)| limit_bytes.is_multiple_of(*unit)).unwrap_or((1, ""));
    let limit = format!("{}{suffix}", limit_bytes / unit);
    match area.strip_prefix(ROOT_OF) {
        Some(container) => format!("Container {container} exceeded its local ephemeral storage limit \"{limit}\". "),
        None => format!("Usage of EmptyDir volume \"{area}\" exceeds the limit \"{limit}\". "),
    }
}

/// All that a pod's status shows.
#[derive(Clone, Debug)]
pub struct View<'a> {
    pub machine: &'a Machine,
    /// When the node took the pod on.
    pub started: Timestamp,
}

/// Writes `view` into the pod's status. Conditions that are not the node's own stay as they are.
pub fn publish(pod: &mut Pod, view: &View<'_>, now: Timestamp) {
    let machine = view.machine;
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let phase = machine.phase();
    let status = pod.status.get_or_insert_default();
    status.phase = Some(phase.to_owned());
    if machine.is_over()
        && let Some((reason, message)) = machine.stop().and_then(Stop::words)
    {
        (status.reason, status.message) = (Some(reason), Some(message));
    }
    status.start_time.get_or_insert_with(|| meta::time(view.started));
    status.host_ip = Some(HOST_IP.to_owned());
    status.host_ips = Some(vec![HostIP { ip: HOST_IP.to_owned() }]);
    status.pod_ip = Some(HOST_IP.to_owned());
    status.pod_ips = Some(vec![PodIP { ip: HOST_IP.to_owned() }]);
    set_conditions(status, machine, now);
    let init = |c: &Container| container_status(c, &uid, c.has_succeeded());
    let inits: Vec<_> = machine.inits().iter().map(init).collect();
    status.init_container_statuses = (!inits.is_empty()).then_some(inits);
    let mut main: Vec<_> = machine.main().iter().map(|c| container_status(c, &uid, c.is_running())).collect();
    main.sort_by(|a, b| a.name.cmp(&b.name));
    status.container_statuses = Some(main);
    if machine.is_over() {
        release(pod);
    }
}

/// Nothing of the pod runs any more: its deletion waits for the node no longer.
pub(super) fn release(pod: &mut Pod) {
    if pod.metadata.deletion_timestamp.is_some() {
        pod.metadata.deletion_grace_period_seconds = Some(0);
    }
}

fn container_status(container: &Container, uid: &str, ready: bool) -> ContainerStatus {
    // The run that `state` speaks of; while another is awaited, the newest was the last.
    let newest = container.restarts();
    let last = if container.is_waiting() { newest } else { newest.saturating_sub(1) };
    let id = |run| format!("kiln://{uid}/{}/{run}", container.name);
    ContainerStatus {
        state: Some(match &container.state {
            State::Waiting { reason, message } => ContainerState {
                waiting: Some(ContainerStateWaiting { reason: Some((*reason).to_owned()), message: message.clone() }),
                ..ContainerState::default()
            },
            State::Running { since } => ContainerState {
                running: Some(ContainerStateRunning { started_at: Some(meta::time(*since)) }),
                ..ContainerState::default()
            },
            State::Ended(ended) => terminated(ended, id(newest)),
        }),
        last_state: Some(container.last.as_ref().map(|ended| terminated(ended, id(last))).unwrap_or_default()),
        name: container.name.clone(),
        image: container.image.clone(),
        image_id: container.image_id.clone(),
        ready,
        started: Some(container.is_running()),
        restart_count: i32::try_from(newest).unwrap_or(i32::MAX),
        container_id: (!container.is_waiting()).then(|| id(newest)),
        ..ContainerStatus::default()
    }
}

fn terminated(ended: &Ended, container_id: String) -> ContainerState {
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            exit_code: ended.exit_code,
            reason: Some(ended.reason.to_owned()),
            message: ended.message.clone(),
            started_at: Some(meta::time(ended.started)),
            finished_at: Some(meta::time(ended.finished)),
            container_id: Some(container_id),
            signal: None,
        }),
        ..ContainerState::default()
    }
}

/// Why a condition is not True: its reason, and a message.
type Problem = (&'static str, Option<String>);

/// The node's own conditions, in the kubelet's order, after those of others and before PodScheduled.
fn set_conditions(status: &mut PodStatus, machine: &Machine, now: Timestamp) {
    let open = |all: &[Container], done: fn(&Container) -> bool| {
        let names: Vec<_> = all.iter().filter(|c| !done(c)).map(|c| c.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("[{}]", names.join(" ")))
    };
    let unready: Option<Problem> = match machine.phase() {
        well_known::PHASE_SUCCEEDED => Some(("PodCompleted", None)),
        well_known::PHASE_FAILED => Some(("PodFailed", None)),
        _ => open(machine.main(), Container::is_running)
            .map(|names| ("ContainersNotReady", Some(format!("containers with unready status: {names}")))),
    };
    let uninitialized: Option<Problem> = open(machine.inits(), Container::has_succeeded)
        .map(|names| ("ContainersNotInitialized", Some(format!("containers with incomplete status: {names}"))));
    // Kubernetes says that a pod is ready to start containers while its sandbox is there: until it is over.
    let no_sandbox: Option<Problem> = machine.is_over().then_some(("", None));
    let old = status.conditions.take().unwrap_or_default();
    let own = |type_: &str, problem: Option<&Problem>| {
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
        own("Initialized", uninitialized.as_ref()),
        own("Ready", unready.as_ref()),
        own("ContainersReady", unready.as_ref()),
    ];
    let is_mine = |c: &PodCondition| mine.iter().any(|m| m.type_ == c.type_);
    let (scheduled, others): (Vec<_>, Vec<_>) =
        old.iter().filter(|c| !is_mine(c)).cloned().partition(|c| c.type_ == "PodScheduled");
    status.conditions = Some(others.into_iter().chain(mine).chain(scheduled).collect());
}

#[cfg(test)]
mod tests {
    use super::super::machine::{Named, RestartPolicy};
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
            let ended = ended(&outcome, None, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
            assert_eq!((ended.exit_code, ended.reason), (exit_code, reason), "{outcome:?}");
        }
    }

    #[test]
    fn a_pod_that_wrote_too_much_says_where_and_how_much_it_may() {
        assert_eq!(evicted("v", 10 << 20), "Usage of EmptyDir volume \"v\" exceeds the limit \"10Mi\". ");
        assert_eq!(evicted("container c", 1500), "Container c exceeded its local ephemeral storage limit \"1500\". ");
    }

    fn machine(policy: RestartPolicy) -> Machine {
        Machine::new([], [Named { name: "b", image: "pi" }, Named { name: "a", image: "e" }], policy)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
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
        let mut machine = machine(RestartPolicy::Never);
        machine.starts(0, at(5));
        machine.starts(1, at(5));
        for second in [5, 9] {
            publish(&mut pod, &View { machine: &machine, started: at(second) }, at(second));
            let ready = facts::condition(&pod, "Ready").unwrap();
            assert_eq!(ready.last_transition_time.as_ref().unwrap().0, at(5));
        }
        for index in 0..2 {
            machine.ends(index, ended(&Outcome::Exited { code: 0 }, None, at(5), at(10)));
        }
        publish(&mut pod, &View { machine: &machine, started: at(5) }, at(11));
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
    fn containers_are_shown_by_name_with_their_runs() {
        let mut pod = Pod::default();
        pod.metadata.uid = Some("u".to_owned());
        let mut machine = machine(RestartPolicy::OnFailure);
        for _ in 0..2 {
            machine.starts(0, at(1));
            machine.ends(0, ended(&Outcome::Exited { code: 3 }, None, at(1), at(2)));
        }
        publish(&mut pod, &View { machine: &machine, started: at(0) }, at(3));
        let status = pod.status.clone().unwrap();
        let shown: Vec<_> =
            status.container_statuses.iter().flatten().map(|c| (c.name.as_str(), c.restart_count)).collect();
        assert_eq!(shown, [("a", 0), ("b", 1)]);
        let b = &status.container_statuses.as_ref().unwrap()[1];
        assert_eq!(b.container_id.as_deref(), Some("kiln://u/b/1"));
        let id = |s: &Option<ContainerState>| s.as_ref()?.terminated.as_ref()?.container_id.clone();
        assert_eq!(
            (id(&b.state), id(&b.last_state)),
            (Some("kiln://u/b/1".to_owned()), Some("kiln://u/b/0".to_owned()))
        );
        machine.waits(0, "CrashLoopBackOff", None);
        publish(&mut pod, &View { machine: &machine, started: at(0) }, at(3));
        let status = pod.status.unwrap();
        let b = &status.container_statuses.as_ref().unwrap()[1];
        assert_eq!((b.container_id.clone(), id(&b.last_state)), (None, Some("kiln://u/b/1".to_owned())));
        let ready = status.conditions.iter().flatten().find(|c| c.type_ == "Ready").unwrap();
        assert_eq!(ready.message.as_deref(), Some("containers with unready status: [b a]"));
    }

    #[test]
    fn init_containers_are_ready_when_they_have_succeeded() {
        let mut pod = Pod::default();
        let mut machine =
            Machine::new([Named { name: "i", image: "x" }], [Named { name: "c", image: "x" }], RestartPolicy::Never);
        publish(&mut pod, &View { machine: &machine, started: at(0) }, at(0));
        let initialized = facts::condition(&pod, "Initialized").unwrap();
        assert_eq!(initialized.message.as_deref(), Some("containers with incomplete status: [i]"));
        machine.starts(0, at(1));
        machine.ends(0, ended(&Outcome::Exited { code: 0 }, None, at(1), at(2)));
        publish(&mut pod, &View { machine: &machine, started: at(0) }, at(2));
        assert_eq!(facts::condition(&pod, "Initialized").unwrap().status, "True");
        assert!(pod.status.unwrap().init_container_statuses.unwrap()[0].ready);
    }
}
