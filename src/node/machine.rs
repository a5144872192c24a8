//! The life of a pod, as plain data and plain decisions.
//!
//! ```text
//!  a container:  Waiting ──start──► Running ──exit 0──────────────► Ended
//!                (image, env,          ├─exit ≠ 0, Never──────────► Ended
//!                 volumes, a slot)     └─exit ≠ 0, OnFailure──────► Ended, and started again after a back-off
//!                                                                   (Waiting: CrashLoopBackOff)
//!
//!  a pod:        init containers, one after the other, each until it has succeeded
//!                ─► all other containers, at the same time
//!                ─► over: all have succeeded; or one has failed that is not started again; or it was stopped
//!
//!  any ──deadline, told to stop, evicted, deleted──► nothing is started any more; over once nothing runs
//! ```
//!
//! Invariants, held by the tests below:
//! - a pod that is over stays over, and its phase never changes again;
//! - it is over only when none of its containers runs;
//! - no container is started while an init container before it has not succeeded, nor after the pod was stopped;
//! - a container is never started twice at once.
//!
//! Rules from kubernetes `pkg/kubelet/kubelet_pods.go` (`getPhase`) and `pkg/kubelet/kuberuntime` (`computePodActions`,
//! `doBackOff`).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container as Spec, Pod};

use super::crash_loop::CrashLoop;
use crate::api::well_known;

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
    pub name: String,
    pub image: String,
    /// The digest of the module, once it is known.
    pub image_id: String,
    pub state: State,
    pub last: Option<Ended>,
    /// How often it was started.
    pub starts: u32,
    crash_loop: CrashLoop,
    /// Somebody prepares, runs or waits to start it.
    begun: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    Never,
    OnFailure,
}

/// Why a pod is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its own `activeDeadlineSeconds`, or that of its Job.
    Deadline,
    /// Its Job has failed, for this reason.
    Told(String),
    /// It took more of the node than it may; the message says what.
    Evicted(String),
    /// The node cannot take it on at all: reason and message.
    Rejected(&'static str, String),
    Deleted,
}

impl Stop {
    /// `status.reason` and `status.message` of the pod.
    pub fn words(&self) -> Option<(String, String)> {
        let (reason, message) = match self {
            Stop::Deadline => ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline"),
            Stop::Told(reason) => (reason.as_str(), "Pod was stopped because its Job has failed"),
            Stop::Evicted(message) => ("Evicted", message.as_str()),
            Stop::Rejected(reason, message) => (*reason, message.as_str()),
            Stop::Deleted => return None,
        };
        Some((reason.to_owned(), message.to_owned()))
    }
}

/// The name and image of a container, as the pod's spec has them.
pub struct Named<'a> {
    pub name: &'a str,
    pub image: &'a str,
}

/// A pod on its node. Containers are known by their index: the init containers first, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub containers: Vec<Container>,
    inits: usize,
    policy: RestartPolicy,
    stop: Option<Stop>,
}

/// A container to be started: which, and not before when.
pub type Due = (usize, Option<Timestamp>);

impl Machine {
    /// Of a pod of which nothing runs yet.
    pub fn of(pod: &Pod) -> Machine {
        fn named(spec: &Spec) -> Named<'_> {
            Named { name: &spec.name, image: spec.image.as_deref().unwrap_or_default() }
        }
        let spec = pod.spec.as_ref();
        let on_failure = spec.and_then(|s| s.restart_policy.as_deref()) == Some("OnFailure");
        let inits = spec.iter().flat_map(|s| s.init_containers.iter().flatten()).map(named);
        let main = spec.iter().flat_map(|s| &s.containers).map(named);
        Machine::new(inits, main, if on_failure { RestartPolicy::OnFailure } else { RestartPolicy::Never })
    }

    pub fn new<'a>(
        inits: impl IntoIterator<Item = Named<'a>>,
        main: impl IntoIterator<Item = Named<'a>>,
        policy: RestartPolicy,
    ) -> Machine {
        let mut containers: Vec<Container> =
            inits.into_iter().map(|named| Container::new(named, "PodInitializing")).collect();
        let inits = containers.len();
        let reason = if inits > 0 { "PodInitializing" } else { "ContainerCreating" };
        containers.extend(main.into_iter().map(|named| Container::new(named, reason)));
        Machine { containers, inits, policy, stop: None }
    }

    pub fn inits(&self) -> &[Container] {
        &self.containers[..self.inits]
    }

    /// The containers that are no init containers.
    pub fn main(&self) -> &[Container] {
        &self.containers[self.inits..]
    }

    pub fn is_init(&self, index: usize) -> bool {
        index < self.inits
    }

    pub fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    pub fn is_running(&self) -> bool {
        self.containers.iter().any(Container::is_running)
    }

    pub fn is_initialized(&self) -> bool {
        self.inits().iter().all(Container::has_succeeded)
    }

    // ---- what happens ----

    /// The container waits for something that is missing. Answers whether that is news.
    pub fn waits(&mut self, index: usize, reason: &'static str, message: Option<String>) -> bool {
        let Some(container) = self.containers.get_mut(index) else { return false };
        let state = State::Waiting { reason, message };
        let news = container.state != state;
        if news && let State::Ended(ended) = std::mem::replace(&mut container.state, state) {
            container.last = Some(ended);
        }
        news
    }

    pub fn starts(&mut self, index: usize, now: Timestamp) {
        let Some(container) = self.containers.get_mut(index) else { return };
        if let State::Ended(ended) = std::mem::replace(&mut container.state, State::Running { since: now }) {
            container.last = Some(ended);
        }
        container.starts = container.starts.saturating_add(1);
    }

    pub fn ends(&mut self, index: usize, ended: Ended) {
        let Some(container) = self.containers.get_mut(index) else { return };
        container.state = State::Ended(ended);
        container.begun = false;
    }

    /// The pod must not go on. The first reason counts. Answers whether this is it.
    pub fn stops(&mut self, stop: Stop) -> bool {
        let first = self.stop.is_none() && !self.is_over();
        if first {
            self.stop = Some(stop);
        }
        first
    }

    /// Once the pod is over: what never ran, or waited to run again, is told to have been stopped.
    pub fn close(&mut self, now: Timestamp) {
        let Some(stop) = &self.stop else { return };
        let reason = match stop {
            Stop::Deadline => "DeadlineExceeded",
            Stop::Told(_) | Stop::Evicted(_) | Stop::Rejected(..) | Stop::Deleted => "Error",
        };
        for container in &mut self.containers {
            if !container.is_waiting() {
                continue;
            }
            container.state = match container.last.take() {
                Some(last) => State::Ended(last),
                None => State::Ended(Ended {
                    exit_code: 137,
                    reason,
                    message: Some("stopped before it was started".to_owned()),
                    started: now,
                    finished: now,
                }),
            };
        }
    }

    // ---- what to do ----

    /// The containers to be started, each told once.
    pub fn due(&mut self) -> Vec<Due> {
        if self.stop.is_some() || self.is_over() {
            return Vec::new();
        }
        let policy = self.policy;
        match self.containers[..self.inits].iter_mut().find(|c| !c.has_succeeded()) {
            Some(init) => init.due(policy).map(|at| (self.first_open_init(), at)).into_iter().collect(),
            None => {
                let inits = self.inits;
                let main = self.containers[inits..].iter_mut().enumerate();
                main.filter_map(|(i, c)| Some((inits + i, c.due(policy)?))).collect()
            }
        }
    }

    fn first_open_init(&self) -> usize {
        self.inits().iter().position(|c| !c.has_succeeded()).unwrap_or(self.inits)
    }

    /// Nothing of it runs, and nothing will be started.
    pub fn is_over(&self) -> bool {
        if self.is_running() {
            return false;
        }
        let failed = |c: &Container| self.policy == RestartPolicy::Never && c.has_failed();
        self.stop.is_some()
            || self.inits().iter().any(failed)
            || self.main().iter().all(|c| c.has_succeeded() || failed(c))
    }

    /// When the last of its containers ended, of those that have.
    pub fn finished(&self) -> Option<Timestamp> {
        let ends = self.containers.iter().filter_map(|c| match &c.state {
            State::Ended(ended) => Some(ended.finished),
            _ => None,
        });
        ends.max()
    }

    pub fn phase(&self) -> &'static str {
        if self.is_over() {
            let succeeded = self.main().iter().all(Container::has_succeeded);
            return match &self.stop {
                None | Some(Stop::Deleted) if succeeded => well_known::PHASE_SUCCEEDED,
                _ => well_known::PHASE_FAILED,
            };
        }
        let never_ran = |c: &Container| c.is_waiting() && c.last.is_none();
        match !self.is_initialized() || self.main().iter().any(never_ran) {
            true => well_known::PHASE_PENDING,
            false => well_known::PHASE_RUNNING,
        }
    }
}

impl Container {
    fn new(named: Named<'_>, reason: &'static str) -> Container {
        Container {
            name: named.name.to_owned(),
            image: named.image.to_owned(),
            image_id: String::new(),
            state: State::Waiting { reason, message: None },
            last: None,
            starts: 0,
            crash_loop: CrashLoop::default(),
            begun: false,
        }
    }

    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    pub fn has_succeeded(&self) -> bool {
        matches!(&self.state, State::Ended(ended) if ended.exit_code == 0)
    }

    fn has_failed(&self) -> bool {
        matches!(&self.state, State::Ended(ended) if ended.exit_code != 0)
    }

    pub fn restarts(&self) -> u32 {
        self.starts.saturating_sub(1)
    }

    /// Whether it is to be started, and not before when; told once per start.
    fn due(&mut self, policy: RestartPolicy) -> Option<Option<Timestamp>> {
        if self.begun {
            return None;
        }
        let at = match &self.state {
            State::Running { .. } => return None,
            State::Waiting { .. } => None,
            State::Ended(ended) if ended.exit_code == 0 || policy == RestartPolicy::Never => return None,
            State::Ended(ended) => Some(self.crash_loop.after(ended.started, ended.finished)),
        };
        self.begun = true;
        Some(at)
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
