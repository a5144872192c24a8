//! Drives one pod from its arrival to its end: one task per pod, one inbox, one terminal report.
//!
//! ```text
//! taken on ─► for each container that is due: prepare (image, env, volumes) ─► a slot ─► run ─► due again, or ended
//!     │            └── something is missing: told, and tried again when it may be there
//!     │
//!     └── was already running when an earlier kiln ended: reported as interrupted
//!
//! deadline, told to stop, evicted, deleted: nothing is begun any more; what runs is stopped; then the end is told
//! ```
//!
//! [`super::machine`] decides which container is due and when the pod is over; [`super::attempt`] has the steps. Only this
//! task changes the machine and publishes it, so there is one order of events, and the terminal report comes last.

use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container as Spec, Pod};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::attempt::{self, Event, Owned, Ran, Start};
use super::cluster::{Cluster, ReportError};
use super::machine::{Machine, Stop};
use super::meters::Meters;
use super::metrics::Counted;
use super::prepare::{FAILED_MOUNT, Prepared};
use super::pull::BackOffs;
use super::termination::Teller;
use super::usage::{self, Used};
use super::volumes::PodDir;
use super::{Shared, interrupted, status};
use crate::api::pod::facts;
use crate::api::quantity::Quantity;
use crate::api::{Object, meta, well_known};
use crate::control::Note;
use crate::logs::{LogId, LogWriter};
use crate::sandbox::{Cancel, Deadline, Limits, Outcome, Run};
use crate::store::Tx;

/// Drives the pod to its end and reports it, whatever happens on the way.
pub async fn drive<C: Cluster>(node: Arc<Shared<C>>, pod: Arc<Pod>, inbox: watch::Receiver<Arc<Pod>>, meters: Meters) {
    let driver = Driver::new(node.clone(), pod.clone(), inbox, meters);
    let driven = std::panic::AssertUnwindSafe(driver.run()).catch_unwind().await;
    if driven.is_err() {
        // A defect of kiln, not of the guest. Its end is told all the same.
        let message = "kiln failed while driving this pod; its log says more";
        tracing::error!(pod = pod.metadata.name, "{message}");
        let now = node.clock.now();
        let mut machine = Machine::of(&pod);
        machine.stops(Stop::Rejected("UnexpectedError", message.to_owned()));
        machine.close(now);
        let publish = |pod: &mut Pod| status::publish(pod, &status::View { machine: &machine, started: now }, now);
        let _ = node.cluster.report(&pod, &publish, Tx::new()).await;
    }
}

/// Tells who follows the log that it is complete in the commit `revision`; a pod that is gone leaves none.
fn close(log: &LogWriter, revision: Option<u64>) {
    match revision {
        Some(revision) => log.committed(revision),
        None => log.discard(),
    }
}

struct Driver<C: Cluster> {
    node: Arc<Shared<C>>,
    pod: Arc<Pod>,
    inbox: watch::Receiver<Arc<Pod>>,
    machine: Machine,
    /// Steps under way; dropping them stops them.
    steps: FuturesUnordered<BoxFuture<'static, Event>>,
    started: Timestamp,
    deadline: Deadline,
    cancel: Cancel,
    /// The pod's object was removed, and nothing more is heard of it.
    is_gone: bool,
    /// When guests of a deleted pod that may run on must end.
    grace_ends: Option<Instant>,
    used: Vec<Used>,
    /// Of what runs, for whoever asks meanwhile.
    meters: Meters,
    /// Of images that could not be pulled.
    back_offs: Arc<Mutex<BackOffs>>,
    /// The log of the container whose end was the pod's.
    last_log: Option<Arc<LogWriter>>,
    /// When the node saw the pod; `None` once it has begun.
    arrived: Option<Instant>,
    /// Once it has begun.
    running: Option<Counted>,
    _driven: Counted,
}

impl<C: Cluster> Driver<C> {
    fn new(node: Arc<Shared<C>>, pod: Arc<Pod>, inbox: watch::Receiver<Arc<Pod>>, meters: Meters) -> Driver<C> {
        let known = pod.status.as_ref().and_then(|s| s.start_time.as_ref()).map(|t| t.0);
        let started = known.unwrap_or_else(|| node.clock.now());
        let machine = Machine::of(&pod);
        let mut driver = Driver {
            used: vec![Used::default(); machine.containers.len()],
            meters,
            back_offs: Arc::default(),
            machine,
            steps: FuturesUnordered::new(),
            started,
            deadline: Deadline::none(),
            cancel: Cancel::new(),
            is_gone: false,
            grace_ends: None,
            last_log: None,
            arrived: Some(node.clock.instant()),
            running: None,
            _driven: Counted::new(&node.metrics.driven),
            node,
            pod,
            inbox,
        };
        driver.set_deadline();
        driver
    }

    async fn run(mut self) {
        if interrupted::was_running(&self.pod) {
            let now = self.node.clock.now();
            let publish = |pod: &mut Pod| interrupted::publish(pod, now);
            let report = self.node.cluster.report(&self.pod, &publish, Tx::new()).await;
            self.told(report);
            return;
        }
        let uid = self.pod.metadata.uid.clone().unwrap_or_default();
        match PodDir::new(&self.node.config.pods_dir, &uid) {
            Ok(dir) => self.drive(Arc::new(dir)).await,
            Err(error) => drop(self.machine.stops(Stop::Rejected("UnexpectedAdmissionError", error.to_string()))),
        }
        self.finish().await;
    }

    /// Until the pod is over. Nothing of it is left then but its report.
    async fn drive(&mut self, dir: Arc<PodDir>) {
        self.look();
        loop {
            for (index, at) in self.machine.due() {
                self.begin(index, at, &dir).await;
            }
            if self.machine.is_over() {
                break;
            }
            let (clock, timer) = (self.node.clock.clone(), self.next_instant());
            tokio::select! {
                biased;
                Some(event) = self.steps.next() => self.on(event, &dir).await,
                changed = self.inbox.changed(), if !self.is_gone => match changed {
                    Ok(()) => self.look(),
                    Err(_) => self.gone(),
                },
                () = async { clock.sleep(timer.unwrap_or_else(|| clock.instant()).saturating_duration_since(clock.instant())).await },
                    if timer.is_some() => self.on_time(),
            }
        }
        self.steps.clear();
        if dir.is_made() {
            // A guest may have left many files. `block_in_place` would hand this thread's whole queue to another.
            let _ = tokio::task::spawn_blocking(move || drop(dir)).await;
        }
    }

    fn step(&self, step: impl Future<Output = Event> + Send + 'static) {
        self.steps.push(step.boxed());
    }

    /// A pod of one container is one task. Several compute at the same time, each in a task of its own.
    fn step_that_computes(&self, step: impl Future<Output = Event> + Send + 'static) {
        match self.machine.containers.len() {
            1 => self.step(step),
            _ => self.step(Owned::spawn(step)),
        }
    }

    async fn begin(&mut self, index: usize, at: Option<Timestamp>, dir: &Arc<PodDir>) {
        if let Some(at) = at.filter(|at| *at > self.node.clock.now()) {
            self.wait_for_restart(index, at).await;
        }
        self.step(self.prepare(index, at, dir));
    }

    fn prepare(
        &self,
        index: usize,
        at: Option<Timestamp>,
        dir: &Arc<PodDir>,
    ) -> impl Future<Output = Event> + Send + use<C> {
        let (node, pod, back_offs) = (self.node.clone(), self.pod.clone(), self.back_offs.clone());
        // The module that it has run, if it has.
        let ran = self.machine.containers.get(index).and_then(|container| container.image_id.parse().ok());
        attempt::prepare(node, pod, dir.clone(), back_offs, index, ran, at)
    }

    async fn on(&mut self, event: Event, dir: &Arc<PodDir>) {
        match event {
            Event::Missing { index, missing, again } => {
                if self.machine.waits(index, missing.reason, Some(missing.message.clone())) {
                    let pod = Object::Pod(self.pod.clone());
                    for (reason, message) in missing.warnings {
                        let note = Note::warning(&pod, reason, message);
                        let note = if reason == FAILED_MOUNT { note } else { self.note_at(index, note) };
                        self.node.cluster.note(note);
                    }
                    self.publish(Tx::new()).await;
                }
                let next = self.prepare(index, None, dir);
                self.step(again.then(|()| next));
            }
            Event::Prepared { index, prepared } => match self.node.slots.clone().try_acquire_owned() {
                Ok(permit) => self.start(index, prepared, permit).await,
                Err(_) => {
                    let most = self.node.config.max_pods;
                    let message = format!("all {most} slots of this node are taken; waiting for one to be free");
                    if self.machine.waits(index, "ContainerCreating", Some(message)) {
                        self.publish(Tx::new()).await;
                    }
                    self.step(attempt::slot(self.node.clone(), index, prepared));
                }
            },
            Event::Slot { index, prepared, permit } => self.start(index, prepared, permit).await,
            Event::Ended { index, ran } => self.ended(index, ran).await,
        }
    }

    // ---- one run ----

    async fn start(&mut self, index: usize, prepared: Prepared, permit: OwnedSemaphorePermit) {
        if self.machine.stop().is_some() {
            return;
        }
        let Some(spec) = attempt::spec(&self.pod, index) else { return };
        let teller = Teller::of(spec, self.machine.containers.len());
        let limits = self.limits(spec);
        let since = self.node.clock.now();
        if let Some(container) = self.machine.containers.get_mut(index) {
            container.image_id = prepared.digest.to_string();
        }
        self.machine.starts(index, since);
        // Opened before the pod is seen to run: whoever follows it from then on finds its log.
        let log = Arc::new(self.node.logs.open(self.log_id(index)));
        let revision = self.publish(Tx::new()).await;
        if facts::is_at_most_once(&self.pod) {
            self.begin_once(revision).await;
        }
        self.note_started(index);
        let Prepared { program, argv, env, mounts, disk, network, .. } = prepared;
        let (deadline, cancel) = (self.deadline.clone(), self.cancel.clone());
        self.running.get_or_insert_with(|| Counted::new(&self.node.metrics.running));
        let arrived = self.arrived.take();
        let (node, meters) = (self.node.clone(), self.meters.clone());
        let start = Start { node, index, since, arrived, program, teller, permit, meters };
        self.step_that_computes(attempt::run(start, log, move |sink, meter| Run {
            argv,
            env,
            mounts,
            disk,
            network,
            sink,
            limits,
            deadline,
            cancel,
            meter,
        }));
    }

    /// After a crash a pod is begun again unless the store says that it ran. So one that must not be begun twice waits
    /// until the store will say so, and does not run at all if it cannot.
    async fn begin_once(&mut self, revision: Option<u64>) {
        let is_kept = match revision {
            Some(revision) => self.node.cluster.keep(revision).await,
            None => false,
        };
        if !is_kept {
            let message = "the start could not be recorded, and the pod must not be started twice".to_owned();
            self.stop(Stop::Rejected("UnexpectedError", message));
        }
    }

    async fn ended(&mut self, index: usize, ran: Ran) {
        let Ran { ending, since, log, message } = ran;
        self.node.metrics.ended(&ending.outcome, &ending.usage);
        if let Some(used) = self.used.get_mut(index) {
            used.add_run(&ending.usage);
        }
        // When it was over, not when this task was told.
        let clock = &self.node.clock;
        let late = clock.instant().saturating_duration_since(ending.finished);
        let finished = clock.now().saturating_sub(late).unwrap_or(Timestamp::UNIX_EPOCH);
        let ended = status::ended(&ending.outcome, message, since, finished);
        // While it still counts as running: a pod that is over is not stopped any more.
        match &ending.outcome {
            Outcome::DeadlineExceeded => self.stop(Stop::Deadline),
            Outcome::DiskLimit { area, limit_bytes } => self.stop(Stop::Evicted(status::evicted(area, *limit_bytes))),
            _ => {}
        }
        self.machine.ends(index, ended);
        if self.machine.is_over() {
            self.last_log = Some(log);
        } else {
            let revision = self.publish(log.finish()).await;
            close(&log, revision);
        }
    }

    fn log_id(&self, index: usize) -> LogId {
        let container = self.machine.containers.get(index);
        LogId {
            pod_uid: self.pod.metadata.uid.clone().unwrap_or_default(),
            container: container.map(|c| c.name.clone()).unwrap_or_default(),
            restart: container.map_or(0, |c| c.restarts()),
        }
    }

    fn limits(&self, spec: &Spec) -> Limits {
        let limits = spec.resources.as_ref().and_then(|r| r.limits.as_ref());
        let get = |name: &str| limits.and_then(|l| l.get(name)).and_then(|q| Quantity::parse(&q.0).ok());
        Limits {
            memory_bytes: get("memory").map_or(self.node.config.default_memory_bytes, Quantity::value_u64),
            table_elements: self.node.sandbox.config().max_table_elements,
            fuel: get(well_known::RESOURCE_FUEL).map(Quantity::value_u64),
        }
    }

    // ---- what stops a pod ----

    fn set_deadline(&mut self) {
        let of_job = meta::annotation(&self.pod.metadata, well_known::ANNOTATION_DEADLINE).and_then(meta::parse_micros);
        let own = self.pod.spec.as_ref().and_then(|s| s.active_deadline_seconds);
        let own = own.map(|seconds| meta::add_seconds(self.started, seconds));
        let earliest = of_job.into_iter().chain(own).min();
        self.deadline.set(earliest.map(|at| self.node.clock.instant_of(at)));
    }

    /// Takes in the newest version of the pod.
    fn look(&mut self) {
        let latest = self.inbox.borrow_and_update().clone();
        if !Arc::ptr_eq(&latest, &self.pod) {
            self.pod = latest;
            self.set_deadline();
        }
        let meta = &self.pod.metadata;
        if let Some(at) = &meta.deletion_timestamp {
            let waits = meta::annotation(meta, well_known::ANNOTATION_ON_DELETE) == Some(well_known::ON_DELETE_WAIT);
            self.grace_ends = waits.then(|| self.node.clock.instant_of(at.0));
            self.stop(Stop::Deleted);
            self.on_time();
        } else if let Some(reason) = meta::annotation(meta, well_known::ANNOTATION_STOP) {
            self.stop(Stop::Told(reason.to_owned()));
        } else {
            self.on_time();
        }
    }

    /// The pod's object was removed: by force, or under another's feet.
    fn gone(&mut self) {
        self.is_gone = true;
        self.grace_ends = None;
        self.stop(Stop::Deleted);
        self.cancel.cancel();
    }

    fn stop(&mut self, stop: Stop) {
        // The sandbox itself watches the deadline.
        let at_once = match stop {
            Stop::Deadline => false,
            Stop::Deleted => self.grace_ends.is_none(),
            _ => true,
        };
        if self.machine.stops(stop) {
            self.note_stopped();
        }
        if at_once {
            self.cancel.cancel();
        }
    }

    /// The next moment at which something happens by itself. Of guests that run, the sandbox watches the deadline.
    fn next_instant(&self) -> Option<Instant> {
        match self.machine.is_running() {
            true => self.grace_ends.filter(|_| !self.cancel.is_cancelled()),
            false => self.deadline.get(),
        }
    }

    fn on_time(&mut self) {
        let now = self.node.clock.instant();
        if self.grace_ends.is_some_and(|at| at <= now) {
            self.cancel.cancel();
        }
        if self.deadline.has_passed(now) && !self.machine.is_running() {
            self.stop(Stop::Deadline);
        }
    }

    // ---- reports ----

    async fn publish(&mut self, log: Tx) -> Option<u64> {
        let now = self.node.clock.now();
        let usage = self.machine.is_over().then(|| {
            let names = self.machine.containers.iter().map(|c| c.name.as_str());
            let each: Vec<_> = names.zip(self.used.iter().copied()).collect();
            usage::annotation(&each, self.machine.finished().unwrap_or(now))
        });
        let (machine, started) = (&self.machine, self.started);
        let publish = |pod: &mut Pod| {
            status::publish(pod, &status::View { machine, started }, now);
            if let Some(usage) = &usage {
                meta::set_annotation(&mut pod.metadata, well_known::ANNOTATION_USAGE, usage.clone());
            }
        };
        let report = self.node.cluster.report(&self.pod, &publish, log).await;
        self.told(report)
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

    async fn finish(mut self) {
        self.machine.close(self.node.clock.now());
        let end = self.last_log.as_ref().map(|log| log.finish()).unwrap_or_default();
        let revision = self.publish(end).await;
        if let Some(log) = &self.last_log {
            close(log, revision);
        }
    }

    async fn wait_for_restart(&mut self, index: usize, at: Timestamp) {
        let seconds = at.duration_since(self.node.clock.now()).as_secs_f64().ceil();
        let meta = &self.pod.metadata;
        let (name, namespace) =
            (meta.name.as_deref().unwrap_or_default(), meta.namespace.as_deref().unwrap_or_default());
        let (container, uid) = (self.log_id(index).container, meta.uid.as_deref().unwrap_or_default());
        let what = format!("restarting failed container={container} pod={name}_{namespace}({uid})");
        let message = format!("back-off {seconds}s {what}");
        let note = format!("Back-off restarting failed container {container} in pod {name}_{namespace}({uid})");
        self.node.cluster.note(self.note_at(index, Note::warning(&Object::Pod(self.pod.clone()), "BackOff", note)));
        self.machine.waits(index, "CrashLoopBackOff", Some(message));
        self.publish(Tx::new()).await;
    }

    fn note_at(&self, index: usize, note: Note) -> Note {
        note.at(attempt::place(&self.pod, index))
    }

    fn note_started(&self, index: usize) {
        let pod = Object::Pod(self.pod.clone());
        let container = self.log_id(index).container;
        for (reason, message) in [
            ("Created", format!("Created container: {container}")),
            ("Started", format!("Started container {container}")),
        ] {
            self.node.cluster.note(self.note_at(index, Note::normal(&pod, reason, message)));
        }
    }

    fn note_stopped(&self) {
        let pod = Object::Pod(self.pod.clone());
        let Some(stop) = self.machine.stop() else { return };
        match (stop, stop.words()) {
            (Stop::Deadline, Some((_, message))) => {
                self.node.cluster.note(Note::normal(&pod, "DeadlineExceeded", message));
            }
            (Stop::Evicted(message), _) => self.node.cluster.note(Note::warning(&pod, "Evicted", message.clone())),
            _ => {}
        }
        for (index, container) in self.machine.containers.iter().enumerate().filter(|(_, c)| c.is_running()) {
            let note = Note::normal(&pod, "Killing", format!("Stopping container {}", container.name));
            self.node.cluster.note(self.note_at(index, note));
        }
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
