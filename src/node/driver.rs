//! Drives one pod from its arrival to its end: one task per pod, one inbox, one terminal report.
//!
//! ```text
//! taken on ─► prepare (image, env, volumes; waits for what is missing) ─► a slot ─► run ─► restart or finish
//!     │                                                                            │
//!     └── was already running when an earlier kiln ended: reported as interrupted  └── deadline, told to stop, deleted
//! ```

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container as ContainerSpec, Pod};
use serde_json::json;
use tokio::sync::watch;

use super::cluster::{Cluster, ConfigFeed, ReportError};
use super::machine::{Container, CrashLoop, Ended, Next, RestartPolicy, State, Stop};
use super::prepare::{Awaits, Prepared, try_prepare};
use super::volumes::PodDir;
use super::{Shared, status};
use crate::api::pod::facts;
use crate::api::quantity::Quantity;
use crate::api::{Object, meta, well_known};
use crate::control::Note;
use crate::logs::{LogId, LogWriter, Stream};
use crate::sandbox::{self, Cancel, Deadline, Disk, Limits, Network, Outcome, Run, Sink};
use crate::store::Tx;

/// Drives the pod to its end and reports it, whatever happens on the way.
pub async fn drive<C: Cluster>(node: Arc<Shared<C>>, pod: Arc<Pod>, inbox: watch::Receiver<Arc<Pod>>) {
    let driver = Driver::new(node.clone(), pod.clone(), inbox);
    let driven = std::panic::AssertUnwindSafe(driver.run()).catch_unwind().await;
    if driven.is_err() {
        // A defect of kiln, not of the guest. Its end is told all the same.
        let message = "kiln failed while driving this pod; its log says more";
        tracing::error!(pod = pod.metadata.name, "{message}");
        let now = node.clock.now();
        let ended = Ended {
            exit_code: 128,
            reason: "ContainerCannotRun",
            message: Some(message.to_owned()),
            started: now,
            finished: now,
        };
        let container = Container { state: State::Ended(ended), last: None, restarts: 0 };
        let publish = |pod: &mut Pod| {
            let view = status::View {
                container: &container,
                policy: RestartPolicy::Never,
                stopped: None,
                image_id: "",
                started: now,
            };
            status::publish(pod, &view, now);
        };
        let _ = node.cluster.report(&pod, &publish, Tx::new()).await;
    }
}

/// Between tries to prepare a container that could not be, as the kubelet waits between its own.
const TRY_AGAIN: Duration = Duration::from_secs(10);

struct Driver<C: Cluster> {
    node: Arc<Shared<C>>,
    pod: Arc<Pod>,
    inbox: watch::Receiver<Arc<Pod>>,
    policy: RestartPolicy,
    container: Container,
    image_id: String,
    started: Timestamp,
    deadline: Deadline,
    used: Used,
    /// The status last published said this of the waiting container.
    published_waiting: Option<(&'static str, Option<String>)>,
}

/// What all runs of the container used together.
#[derive(Default)]
struct Used {
    fuel: u64,
    peak_memory_bytes: u64,
    cpu_micros: u64,
    wall_micros: u64,
}

impl<C: Cluster> Driver<C> {
    fn new(node: Arc<Shared<C>>, pod: Arc<Pod>, inbox: watch::Receiver<Arc<Pod>>) -> Driver<C> {
        let on_failure = pod.spec.as_ref().and_then(|s| s.restart_policy.as_deref()) == Some("OnFailure");
        let known = pod.status.as_ref().and_then(|s| s.start_time.as_ref()).map(|t| t.0);
        let started = known.unwrap_or_else(|| node.clock.now());
        let mut driver = Driver {
            policy: if on_failure { RestartPolicy::OnFailure } else { RestartPolicy::Never },
            container: Container {
                state: State::Waiting { reason: "ContainerCreating", message: None },
                last: None,
                restarts: 0,
            },
            image_id: String::new(),
            started,
            deadline: Deadline::none(),
            used: Used::default(),
            published_waiting: None,
            node,
            pod,
            inbox,
        };
        driver.set_deadline();
        driver
    }

    async fn run(mut self) {
        if was_running(&self.pod) {
            let now = self.node.clock.now();
            let publish = |pod: &mut Pod| status::publish_interrupted(pod, now);
            self.told(self.node.cluster.report(&self.pod, &publish, Tx::new()).await);
            return;
        }
        let mut crash_loop = CrashLoop::default();
        let mut is_restart = false;
        let Ok(dir) = PodDir::new(&self.node.config.pods_dir, self.pod.metadata.uid.as_deref().unwrap_or_default())
        else {
            return self.finish_unstarted(Stop::Told("InvalidUid".to_owned())).await;
        };
        loop {
            let prepared = match self.prepare(&dir).await {
                Ok(prepared) => prepared,
                Err(stop) => return self.finish_unstarted(stop).await,
            };
            let permit = {
                let slots = self.node.slots.clone();
                tokio::select! {
                    permit = slots.acquire_owned() => permit,
                    stop = self.stopped() => return self.finish_unstarted(stop).await,
                }
            };
            // The semaphore is never closed.
            let Ok(permit) = permit else { return };
            if std::mem::replace(&mut is_restart, true) {
                self.container.restarts += 1;
            }
            let (ended, stop, log) = self.run_once(prepared).await;
            drop(permit);
            let next = match stop {
                Some(_) => Next::Finish,
                None => crash_loop.after(self.policy, &ended),
            };
            self.container.state = State::Ended(ended.clone());
            let Next::Restart { at } = next else {
                if dir.is_made() {
                    // A guest may have left many files. Not `block_in_place`, which hands this thread's whole queue to
                    // another: measured, pods that end at the same instant then wait 5 ms for each other.
                    let _ = tokio::task::spawn_blocking(move || drop(dir)).await;
                }
                return self.finish(stop, log).await;
            };
            self.wait_for_restart(at, ended, log).await;
            if let Err(stop) = self.sleep_until(at).await {
                return self.finish_unstarted(stop).await;
            }
        }
    }

    // ---- what is needed before a run ----

    /// Waits for image, configuration and volumes. Fails with what stopped the pod meanwhile.
    async fn prepare(&mut self, dir: &PodDir) -> Result<Prepared, Stop> {
        loop {
            // Listen first, then look.
            let mut modules = self.node.modules.index().changed();
            let mut configs = self.node.cluster.configs();
            if let Some(stop) = self.stop_now() {
                return Err(stop);
            }
            let nothing = ContainerSpec::default();
            let spec = self.pod.spec.as_ref().and_then(|s| s.containers.first()).unwrap_or(&nothing);
            let missing = match try_prepare(&self.node, &self.pod, spec, dir).await {
                Ok(prepared) => {
                    self.image_id = prepared.digest.to_string();
                    return Ok(prepared);
                }
                Err(missing) => missing,
            };
            self.wait(missing.reason, Some(missing.message)).await;
            let clock = self.node.clock.clone();
            tokio::select! {
                stop = self.stopped() => return Err(stop),
                _ = modules.changed(), if matches!(missing.awaits, Awaits::Module) => {}
                () = configs.changed(), if matches!(missing.awaits, Awaits::Config) => {}
                // What failed for want of a resource of the machine may work later.
                () = clock.sleep(TRY_AGAIN), if !matches!(missing.awaits, Awaits::Config) => {}
            }
        }
    }

    // ---- one run ----

    async fn run_once(&mut self, prepared: Prepared) -> (Ended, Option<Stop>, LogWriter) {
        let since = self.node.clock.now();
        self.container.state = State::Running { since };
        // Opened before the pod is seen to run: whoever follows it from then on finds its log.
        let log = Arc::new(self.node.logs.open(self.log_id()));
        self.publish(None, Tx::new()).await;
        self.note_started();
        let cancel = Cancel::new();
        let run = Run {
            argv: prepared.argv,
            env: prepared.env,
            mounts: prepared.mounts,
            disk: Disk::unlimited(),
            network: Network::none(),
            sink: Arc::new(ToLog(log.clone())),
            limits: self.limits(),
            deadline: self.deadline.clone(),
            cancel: cancel.clone(),
        };
        let node = self.node.clone();
        let running = node.sandbox.run(&prepared.program, run);
        let mut running = std::pin::pin!(running);
        let (ending, stop) = tokio::select! {
            biased;
            ending = &mut running => (ending, None),
            // The sandbox itself watches the deadline.
            stop = self.told_to_stop() => {
                cancel.cancel();
                ((&mut running).await, Some(stop))
            }
        };
        let finished = self.node.clock.now();
        self.used.add(&ending.usage);
        let stop = match ending.outcome {
            Outcome::DeadlineExceeded => Some(Stop::Deadline),
            _ => stop,
        };
        let ended = status::ended(&ending.outcome, since, finished);
        // The run and its sink are gone, so this is the last handle.
        let log = Arc::into_inner(log).unwrap_or_else(|| self.node.logs.open(self.log_id()));
        (ended, stop, log)
    }

    fn log_id(&self) -> LogId {
        let container = self.pod.spec.iter().flat_map(|s| &s.containers).next();
        LogId {
            pod_uid: self.pod.metadata.uid.clone().unwrap_or_default(),
            container: container.map(|c| c.name.clone()).unwrap_or_default(),
            restart: self.container.restarts,
        }
    }

    fn limits(&self) -> Limits {
        let container = self.pod.spec.iter().flat_map(|s| &s.containers).next();
        let limits = container.and_then(|c| c.resources.as_ref()?.limits.as_ref());
        let get = |name: &str| limits.and_then(|l| l.get(name)).and_then(|q| Quantity::parse(&q.0).ok());
        Limits {
            memory_bytes: get("memory").map_or(self.node.config.default_memory_bytes, Quantity::value_u64),
            table_elements: self.node.sandbox.config().max_table_elements,
            fuel: get(well_known::RESOURCE_FUEL).map(Quantity::value_u64),
        }
    }

    // ---- what stops a pod from outside ----

    fn set_deadline(&mut self) {
        let of_job = meta::annotation(&self.pod.metadata, well_known::ANNOTATION_DEADLINE).and_then(meta::parse_micros);
        let own = self.pod.spec.as_ref().and_then(|s| s.active_deadline_seconds);
        let own = own.map(|seconds| meta::add_seconds(self.started, seconds));
        let earliest = of_job.into_iter().chain(own).min();
        self.deadline.set(earliest.map(|at| self.node.clock.instant_of(at)));
    }

    /// Why the pod must not go on, as far as is known now.
    fn stop_now(&mut self) -> Option<Stop> {
        let latest = self.inbox.borrow_and_update().clone();
        if !Arc::ptr_eq(&latest, &self.pod) {
            self.pod = latest;
            self.set_deadline();
        }
        if meta::is_deleting(&self.pod.metadata) {
            return Some(Stop::Deleted);
        }
        if let Some(reason) = meta::annotation(&self.pod.metadata, well_known::ANNOTATION_STOP) {
            return Some(Stop::Told(reason.to_owned()));
        }
        self.deadline.has_passed(self.node.clock.instant()).then_some(Stop::Deadline)
    }

    /// Waits until somebody other than the clock stops the pod.
    async fn told_to_stop(&mut self) -> Stop {
        loop {
            match self.stop_now() {
                Some(Stop::Deadline) | None => {}
                Some(stop) => return stop,
            }
            if self.inbox.changed().await.is_err() {
                return Stop::Deleted;
            }
        }
    }

    /// Waits until the pod is stopped, by its deadline too.
    async fn stopped(&mut self) -> Stop {
        loop {
            if let Some(stop) = self.stop_now() {
                return stop;
            }
            let left = self.deadline.get().map(|at| at.saturating_duration_since(self.node.clock.instant()));
            let clock = self.node.clock.clone();
            tokio::select! {
                changed = self.inbox.changed() => if changed.is_err() { return Stop::Deleted },
                () = async { clock.sleep(left.unwrap_or_default()).await }, if left.is_some() => {}
            }
        }
    }

    async fn sleep_until(&mut self, at: Timestamp) -> Result<(), Stop> {
        let clock = self.node.clock.clone();
        let left = clock.instant_of(at).saturating_duration_since(clock.instant());
        tokio::select! {
            () = clock.sleep(left) => Ok(()),
            stop = self.stopped() => Err(stop),
        }
    }

    // ---- reports ----

    async fn publish(&self, stopped: Option<&Stop>, log: Tx) -> Option<u64> {
        let now = self.node.clock.now();
        let usage = matches!(self.container.state, State::Ended(_)).then(|| self.used.annotation(now));
        let publish = |pod: &mut Pod| {
            let view = status::View {
                container: &self.container,
                policy: self.policy,
                stopped,
                image_id: &self.image_id,
                started: self.started,
            };
            status::publish(pod, &view, now);
            if let Some(usage) = &usage {
                meta::set_annotation(&mut pod.metadata, well_known::ANNOTATION_USAGE, usage.clone());
            }
        };
        self.told(self.node.cluster.report(&self.pod, &publish, log).await)
    }

    fn told(&self, report: Result<u64, ReportError>) -> Option<u64> {
        match report {
            Ok(revision) => Some(revision),
            // It was removed by force; there is nobody left to tell.
            Err(ReportError::Gone) => None,
            Err(error) => {
                tracing::error!(pod = self.pod.metadata.name, %error, "a pod's status is lost");
                None
            }
        }
    }

    async fn wait(&mut self, reason: &'static str, message: Option<String>) {
        let waiting = Some((reason, message.clone()));
        if self.published_waiting != waiting {
            let pod = Object::Pod(self.pod.clone());
            self.node.cluster.note(Note::warning(&pod, "Failed", message.clone().unwrap_or_default()));
            self.container.state = State::Waiting { reason, message };
            self.publish(None, Tx::new()).await;
            self.published_waiting = waiting;
        }
    }

    async fn wait_for_restart(&mut self, at: Timestamp, ended: Ended, log: LogWriter) {
        let seconds = at.duration_since(ended.finished).as_secs();
        self.container.last = Some(ended);
        let meta = &self.pod.metadata;
        let (name, namespace) =
            (meta.name.as_deref().unwrap_or_default(), meta.namespace.as_deref().unwrap_or_default());
        let (container, uid) = (self.log_id().container, meta.uid.as_deref().unwrap_or_default());
        let what = format!("restarting failed container={container} pod={name}_{namespace}({uid})");
        let message = format!("back-off {seconds}s {what}");
        if seconds > 0 {
            let note = format!("Back-off restarting failed container {container} in pod {name}_{namespace}({uid})");
            self.node.cluster.note(Note::warning(&Object::Pod(self.pod.clone()), "BackOff", note));
        }
        self.container.state = State::Waiting { reason: "CrashLoopBackOff", message: Some(message) };
        self.published_waiting = None;
        let revision = self.publish(None, log.finish()).await;
        log.committed(revision.unwrap_or_default());
    }

    fn note_started(&self) {
        let pod = Object::Pod(self.pod.clone());
        let container = self.log_id().container;
        let path = format!("spec.containers{{{container}}}");
        for (reason, message) in [
            ("Created", format!("Created container: {container}")),
            ("Started", format!("Started container {container}")),
        ] {
            self.node.cluster.note(Note::normal(&pod, reason, message).at(path.clone()));
        }
    }

    /// The end of a pod whose container is not running.
    async fn finish_unstarted(mut self, stop: Stop) {
        if !matches!(self.container.state, State::Ended(_)) {
            let now = self.node.clock.now();
            let reason = if stop == Stop::Deadline { "DeadlineExceeded" } else { "Error" };
            let message = Some("stopped before it was started".to_owned());
            self.container.state = State::Ended(Ended { exit_code: 137, reason, message, started: now, finished: now });
        }
        self.publish_end(Some(&stop), Tx::new()).await;
    }

    async fn finish(self, stop: Option<Stop>, log: LogWriter) {
        let revision = self.publish_end(stop.as_ref(), log.finish()).await;
        log.committed(revision.unwrap_or_default());
    }

    async fn publish_end(&self, stop: Option<&Stop>, log: Tx) -> Option<u64> {
        if let Some(stop) = stop {
            let pod = Object::Pod(self.pod.clone());
            let container = self.log_id().container;
            self.node.cluster.note(match stop {
                Stop::Deadline => Note::normal(
                    &pod,
                    "DeadlineExceeded",
                    "Pod was active on the node longer than the specified deadline",
                ),
                Stop::Told(_) | Stop::Deleted => {
                    Note::normal(&pod, "Killing", format!("Stopping container {container}"))
                }
            });
        }
        self.publish(stop, log).await
    }
}

/// Whether an earlier kiln had started it: what became of it is not known. A pod that was still waiting for its first
/// start goes on.
fn was_running(pod: &Pod) -> bool {
    let containers = pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten());
    let mut started = containers.map(|c| {
        let now = c.state.as_ref();
        now.is_some_and(|s| s.running.is_some() || s.terminated.is_some())
            || c.last_state.as_ref().is_some_and(|s| s.terminated.is_some())
    });
    !facts::is_finished(pod) && started.any(|started| started)
}

impl Used {
    fn add(&mut self, usage: &sandbox::Usage) {
        let micros = |d: std::time::Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        self.fuel = self.fuel.saturating_add(usage.fuel);
        self.peak_memory_bytes = self.peak_memory_bytes.max(usage.peak_memory_bytes);
        self.cpu_micros = self.cpu_micros.saturating_add(micros(usage.cpu));
        self.wall_micros = self.wall_micros.saturating_add(micros(usage.wall));
    }

    fn annotation(&self, finished: Timestamp) -> String {
        json!({
            "fuel": self.fuel,
            "peakMemoryBytes": self.peak_memory_bytes,
            "cpuMicros": self.cpu_micros,
            "wallMicros": self.wall_micros,
            "finished": meta::format_micros(finished),
        })
        .to_string()
    }
}

/// A guest's output, on its way into its log.
struct ToLog(Arc<LogWriter>);

impl Sink for ToLog {
    fn write(&self, stream: sandbox::Stream, bytes: &[u8]) {
        let stream = match stream {
            sandbox::Stream::Stdout => Stream::Stdout,
            sandbox::Stream::Stderr => Stream::Stderr,
        };
        self.0.write(stream, bytes);
    }
}
