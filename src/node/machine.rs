//! The life of a pod, as plain data and plain decisions.
//!
//! ```text
//!  Waiting ──start──► Running ──exit 0──────────────────► Ended: Succeeded
//!  (image, env,          │
//!   volumes, a slot)     ├─exit ≠ 0, Never──────────────► Ended: Failed
//!     ▲                  └─exit ≠ 0, OnFailure─┐
//!     └──── after a back-off, restarts + 1 ────┘ (CrashLoopBackOff; the pod counts as running)
//!
//!  any ──deadline, told to stop, deleted──► Ended: Failed, unless its container had ended with 0
//! ```
//!
//! A terminal phase is published once, after everything of the pod has stopped, and never changes
//! (kubernetes `pkg/kubelet/kubelet_pods.go`, `getPhase`).

use jiff::Timestamp;

use crate::api::{meta, well_known};

/// How one run of a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub exit_code: i32,
    pub reason: &'static str,
    pub message: Option<String>,
    pub started: Timestamp,
    pub finished: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Waiting { reason: &'static str, message: Option<String> },
    Running { since: Timestamp },
    Ended(Ended),
}

/// A container and its earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub state: State,
    pub last: Option<Ended>,
    pub restarts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    Never,
    OnFailure,
}

/// Why a pod is stopped from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its own `activeDeadlineSeconds`, or that of its Job.
    Deadline,
    /// Its Job has failed, for this reason.
    Told(String),
    Deleted,
}

impl Stop {
    /// `status.reason` and `status.message` of the pod.
    pub fn words(&self) -> Option<(String, String)> {
        match self {
            Stop::Deadline => Some((
                "DeadlineExceeded".to_owned(),
                "Pod was active on the node longer than the specified deadline".to_owned(),
            )),
            Stop::Told(reason) => Some((reason.clone(), "Pod was stopped because its Job has failed".to_owned())),
            Stop::Deleted => None,
        }
    }
}

/// What to do after a run of the container has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The pod is over.
    Finish,
    Restart {
        at: Timestamp,
    },
}

const FIRST_BACKOFF_SECONDS: i64 = 10;
const MOST_BACKOFF_SECONDS: i64 = 300;
/// A run this long ends the series of back-offs.
const LONG_RUN_SECONDS: i64 = 600;

/// The delays between restarts: none before the first, then 10 s doubling to 300 s, from the end of the last run
/// (kubernetes `pkg/kubelet/kuberuntime`, `doBackOff`).
#[derive(Clone, Copy, Debug, Default)]
pub struct CrashLoop {
    next_seconds: i64,
}

impl CrashLoop {
    pub fn after(&mut self, policy: RestartPolicy, ended: &Ended) -> Next {
        if policy == RestartPolicy::Never || ended.exit_code == 0 {
            return Next::Finish;
        }
        if ended.finished.duration_since(ended.started).as_secs() > LONG_RUN_SECONDS {
            self.next_seconds = 0;
        }
        let at = meta::add_seconds(ended.finished, self.next_seconds);
        self.next_seconds = (self.next_seconds * 2).clamp(FIRST_BACKOFF_SECONDS, MOST_BACKOFF_SECONDS);
        Next::Restart { at }
    }
}

/// The pod's phase. `stopped` once it was stopped from outside and its container no longer runs.
pub fn phase(container: &Container, policy: RestartPolicy, stopped: Option<&Stop>) -> &'static str {
    match (&container.state, stopped) {
        (State::Ended(ended), Some(Stop::Deleted) | None) if ended.exit_code == 0 => well_known::PHASE_SUCCEEDED,
        (State::Running { .. }, _) => well_known::PHASE_RUNNING,
        (_, Some(_)) => well_known::PHASE_FAILED,
        (State::Ended(_), None) if policy == RestartPolicy::Never => well_known::PHASE_FAILED,
        (State::Ended(_), None) => well_known::PHASE_RUNNING,
        (State::Waiting { .. }, None) if container.last.is_some() => well_known::PHASE_RUNNING,
        (State::Waiting { .. }, None) => well_known::PHASE_PENDING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ended(exit_code: i32, started: i64, finished: i64) -> Ended {
        Ended { exit_code, reason: "Error", message: None, started: at(started), finished: at(finished) }
    }

    #[test]
    fn the_first_restart_is_immediate_and_later_ones_back_off() {
        let mut crash_loop = CrashLoop::default();
        let delays: Vec<i64> = (0..8)
            .map(|_| match crash_loop.after(RestartPolicy::OnFailure, &ended(1, 0, 100)) {
                Next::Restart { at } => at.as_second() - 100,
                Next::Finish => panic!(),
            })
            .collect();
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
        let long = crash_loop.after(RestartPolicy::OnFailure, &ended(1, 0, 601));
        assert_eq!(long, Next::Restart { at: at(601) });
        assert_eq!(crash_loop.after(RestartPolicy::OnFailure, &ended(0, 0, 1)), Next::Finish);
        assert_eq!(CrashLoop::default().after(RestartPolicy::Never, &ended(1, 0, 1)), Next::Finish);
    }

    #[test]
    fn the_phase_follows_the_container_and_what_stopped_it() {
        let waiting = || State::Waiting { reason: "ContainerCreating", message: None };
        let running = || State::Running { since: at(0) };
        let (ok, bad) = (|| State::Ended(ended(0, 0, 1)), || State::Ended(ended(1, 0, 1)));
        use RestartPolicy::{Never, OnFailure};
        let cases = [
            (waiting(), None, Never, None, "Pending"),
            (waiting(), Some(ended(1, 0, 1)), OnFailure, None, "Running"),
            (running(), None, Never, None, "Running"),
            (running(), None, Never, Some(Stop::Deleted), "Running"),
            (ok(), None, Never, None, "Succeeded"),
            (bad(), None, Never, None, "Failed"),
            (bad(), None, OnFailure, None, "Running"),
            (bad(), None, OnFailure, Some(Stop::Deleted), "Failed"),
            (ok(), None, OnFailure, Some(Stop::Deleted), "Succeeded"),
            (ok(), None, Never, Some(Stop::Deadline), "Failed"),
            (waiting(), None, Never, Some(Stop::Told("X".to_owned())), "Failed"),
        ];
        for (state, last, policy, stopped, expected) in cases {
            let container = Container { state, last, restarts: 0 };
            assert_eq!(phase(&container, policy, stopped.as_ref()), expected, "{container:?} {policy:?} {stopped:?}");
        }
    }
}
