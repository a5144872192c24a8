//! The node without guests: the real feed of pods, state machine, status and reports, and dice instead of a sandbox. What
//! `node::driver` does in tasks is done here one step at a time, by whoever asks for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container as Spec, Pod};
use kiln::api::pod::facts;
use kiln::api::{meta, well_known};
use kiln::clock::Clock;
use kiln::node::cluster::{Cluster, News, PodFeed};
use kiln::node::local::{Local, LocalPods};
use kiln::node::machine::{Machine, Named, RestartPolicy, Stop};
use kiln::node::{interrupted, status};
use kiln::sandbox::{Outcome, TrapKind};
use kiln::store::Tx;

use crate::now_or_never;
use crate::rng::Rng;

pub const NAME: &str = "n";

pub struct FakeNode {
    cluster: Local,
    feed: LocalPods,
    clock: Clock,
    /// By uid.
    pods: BTreeMap<String, Driven>,
}

struct Driven {
    pod: Arc<Pod>,
    machine: Machine,
    started: Timestamp,
    was_running: bool,
    is_gone: bool,
    /// Its end was told; it is forgotten once it is seen to be over.
    is_told: bool,
    /// Containers to be started, and not before when.
    due: BTreeMap<usize, Timestamp>,
}

impl FakeNode {
    pub fn new(cluster: Local, clock: Clock) -> FakeNode {
        let feed = cluster.pods(NAME);
        FakeNode { cluster, feed, clock, pods: BTreeMap::new() }
    }

    /// Takes in what changed; false if nothing did.
    pub fn look(&mut self) -> bool {
        let Some(news) = now_or_never(self.feed.next()) else { return false };
        for item in news {
            match item {
                News::All(pods) => {
                    for driven in self.pods.values_mut() {
                        driven.is_gone |= !pods.iter().any(|p| p.metadata.uid == driven.pod.metadata.uid);
                    }
                    pods.iter().for_each(|pod| self.set(pod));
                }
                News::Set(pod) => self.set(&pod),
                News::Gone(pod) => {
                    if let Some(driven) = self.pods.get_mut(pod.metadata.uid.as_deref().unwrap_or_default()) {
                        driven.is_gone = true;
                    }
                }
            }
        }
        self.pods.retain(|_, driven| !(driven.is_gone && driven.is_told));
        true
    }

    fn set(&mut self, pod: &Arc<Pod>) {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        if facts::is_finished(pod) {
            self.pods.remove(&uid);
            return;
        }
        let now = self.clock.now();
        self.pods.entry(uid).and_modify(|driven| driven.pod = pod.clone()).or_insert_with(|| Driven {
            machine: machine_of(pod),
            started: pod.status.as_ref().and_then(|s| s.start_time.as_ref()).map_or(now, |t| t.0),
            was_running: interrupted::was_running(pod),
            is_gone: false,
            is_told: false,
            due: BTreeMap::new(),
            pod: pod.clone(),
        });
    }

    /// Takes one pod one step on; says which and how, or nothing if none can go on now. The `kinder`, the more guests
    /// succeed.
    pub fn step(&mut self, rng: &mut Rng, kinder: bool) -> Option<String> {
        let now = self.clock.now();
        let live: Vec<String> = self.pods.iter().filter(|(_, d)| !d.is_told).map(|(uid, _)| uid.clone()).collect();
        let first = rng.below(live.len());
        for i in 0..live.len() {
            let driven = self.pods.get_mut(&live[(first + i) % live.len()])?;
            if let Some(what) = driven.step(&self.cluster, rng, kinder, now) {
                let name = driven.pod.metadata.name.clone().unwrap_or_default();
                return Some(format!("pod {name}: {what}"));
            }
        }
        None
    }

    /// When something happens by itself.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let live = self.pods.values().filter(|d| !d.is_told);
        live.flat_map(|d| d.due.values().copied().chain(d.deadline())).filter(|at| *at > now).min()
    }
}

fn machine_of(pod: &Pod) -> Machine {
    fn named(spec: &Spec) -> Named<'_> {
        Named { name: &spec.name, image: spec.image.as_deref().unwrap_or_default() }
    }
    let spec = pod.spec.as_ref().expect("a pod has a spec");
    let on_failure = spec.restart_policy.as_deref() == Some("OnFailure");
    let policy = if on_failure { RestartPolicy::OnFailure } else { RestartPolicy::Never };
    let inits = spec.init_containers.iter().flatten().map(named);
    Machine::new(inits, spec.containers.iter().map(named), policy)
}

/// How a guest ends by itself.
fn ending(rng: &mut Rng, kinder: bool) -> Outcome {
    if rng.percent(if kinder { 85 } else { 60 }) {
        return Outcome::Exited { code: 0 };
    }
    match rng.below(10) {
        0 => Outcome::Trap { kind: TrapKind::Unreachable, message: "unreachable".to_owned() },
        1 => Outcome::MemoryLimit { limit_bytes: 1 << 20 },
        2 => Outcome::FuelExhausted { limit: 1000 },
        3 => Outcome::DiskLimit { area: "scratch".to_owned(), limit_bytes: 1 << 20 },
        _ => Outcome::Exited { code: rng.between(1, 4) as u8 },
    }
}

impl Driven {
    fn deadline(&self) -> Option<Timestamp> {
        let of_job = meta::annotation(&self.pod.metadata, well_known::ANNOTATION_DEADLINE).and_then(meta::parse_micros);
        let own = self.pod.spec.as_ref().and_then(|s| s.active_deadline_seconds);
        of_job.into_iter().chain(own.map(|seconds| meta::add_seconds(self.started, seconds))).min()
    }

    fn step(&mut self, cluster: &Local, rng: &mut Rng, kinder: bool, now: Timestamp) -> Option<String> {
        if self.was_running {
            self.is_told = true;
            let publish = |pod: &mut Pod| interrupted::publish(pod, now);
            let _ = now_or_never(cluster.report(&self.pod, &publish, Tx::new()));
            return Some("was interrupted".to_owned());
        }
        self.heed(now);
        for (index, at) in self.machine.due() {
            let at = at.unwrap_or(now);
            if at > now {
                self.machine.waits(index, "CrashLoopBackOff", None);
                self.publish(cluster, now);
            }
            self.due.insert(index, at);
        }
        if self.machine.is_over() {
            return Some(self.finish(cluster, now));
        }
        let running = |i: &usize| self.machine.containers[*i].is_running();
        let running: Vec<usize> = (0..self.machine.containers.len()).filter(running).collect();
        let ready: Vec<usize> = self.due.iter().filter(|(_, at)| **at <= now).map(|(i, _)| *i).collect();
        match (ready.as_slice(), running.as_slice()) {
            ([], []) => None,
            (ready, []) => Some(self.start(*rng.pick(ready), cluster, rng, kinder, now)),
            ([], running) => Some(self.end(*rng.pick(running), cluster, rng, kinder, now)),
            (ready, _) if rng.percent(60) => Some(self.start(*rng.pick(ready), cluster, rng, kinder, now)),
            (_, running) => Some(self.end(*rng.pick(running), cluster, rng, kinder, now)),
        }
    }

    /// What its object says of how long it may go on.
    fn heed(&mut self, now: Timestamp) {
        let meta = &self.pod.metadata;
        if self.is_gone || meta::is_deleting(meta) {
            self.machine.stops(Stop::Deleted);
        } else if let Some(reason) = meta::annotation(meta, well_known::ANNOTATION_STOP) {
            self.machine.stops(Stop::Told(reason.to_owned()));
        } else if self.deadline().is_some_and(|at| at <= now) && !self.machine.is_running() {
            self.machine.stops(Stop::Deadline);
        }
    }

    fn start(&mut self, index: usize, cluster: &Local, rng: &mut Rng, kinder: bool, now: Timestamp) -> String {
        if !kinder && rng.percent(8) {
            self.machine.waits(index, "ErrImagePull", Some("no such module".to_owned()));
            self.publish(cluster, now);
            return format!("container {index} has no module");
        }
        self.due.remove(&index);
        self.machine.starts(index, now);
        self.publish(cluster, now);
        format!("container {index} starts")
    }

    fn end(&mut self, index: usize, cluster: &Local, rng: &mut Rng, kinder: bool, now: Timestamp) -> String {
        let late = self.deadline().is_some_and(|at| at <= now);
        let outcome = match self.machine.stop() {
            // It may have ended in the moment in which it was told to.
            _ if rng.percent(15) => ending(rng, kinder),
            Some(Stop::Deadline) => Outcome::DeadlineExceeded,
            Some(_) => Outcome::Cancelled,
            None if late => Outcome::DeadlineExceeded,
            None => ending(rng, kinder),
        };
        match &outcome {
            Outcome::DeadlineExceeded => drop(self.machine.stops(Stop::Deadline)),
            Outcome::DiskLimit { .. } => drop(self.machine.stops(Stop::Evicted("it wrote too much".to_owned()))),
            _ => {}
        }
        let since = match self.machine.containers[index].state {
            kiln::node::machine::State::Running { since } => since,
            _ => now,
        };
        self.machine.ends(index, status::ended(&outcome, None, since, now));
        let what = format!("container {index} ends: {outcome:?}");
        if self.machine.is_over() {
            let end = self.finish(cluster, now);
            return format!("{what}; {end}");
        }
        self.publish(cluster, now);
        what
    }

    fn finish(&mut self, cluster: &Local, now: Timestamp) -> String {
        self.machine.close(now);
        self.is_told = true;
        self.publish(cluster, now);
        format!("is over, {}", self.machine.phase())
    }

    fn publish(&self, cluster: &Local, now: Timestamp) {
        let view = status::View { machine: &self.machine, started: self.started };
        let publish = |pod: &mut Pod| {
            status::publish(pod, &view, now);
            if self.machine.is_over() {
                let used = r#"{"fuel":1,"cpuMicros":1,"wallMicros":1,"peakMemoryBytes":1}"#;
                meta::set_annotation(&mut pod.metadata, well_known::ANNOTATION_USAGE, used);
            }
        };
        // A pod that is gone has nobody to tell of its end.
        let _ = now_or_never(cluster.report(&self.pod, &publish, Tx::new()));
    }
}
