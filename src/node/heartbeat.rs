//! How the cluster knows that the node lives, and how it is doing.
//!
//! Every [`EVERY`] the node renews its lease, which is one small write, and looks at the machine. The Node object is
//! written only if something but its times has changed, and in any case every [`STATUS_AT_LEAST_EVERY`]. A Node or
//! lease that somebody deleted is there again with the next beat. (kubernetes `pkg/kubelet/kubelet_node_status.go`, with
//! the kubelet's intervals.)
//!
//! A condition that keeps pods off puts a taint on the node. In a cluster a controller does that
//! (`pkg/controller/nodelifecycle`); the node itself comes to the same end without one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, Unit};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Node, NodeCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference};

use super::cluster::{Cluster, ReportError};
use super::describe::TIME_ZONE;
use super::load::Load;
use super::vitals::{Machine, Vitals};
use super::{NodeConfig, describe};
use crate::api::lease::NODE_LEASES;
use crate::api::{Object, meta, node};
use crate::clock::Clock;
use crate::control::Note;

/// A quarter of the lease.
pub const EVERY: Duration = Duration::from_secs(10);
const LEASE_SECONDS: i32 = 40;
const STATUS_AT_LEAST_EVERY: Duration = Duration::from_secs(300);
/// Against others who write the same object at the same time; the next beat tries again.
const TRIES: usize = 5;

/// The conditions that keep new pods off: the value that does, and the key of the taint that says so.
const TAINTS: [(&str, &str, &str); 4] = [
    ("Ready", "False", "node.kubernetes.io/not-ready"),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
];

pub struct Heartbeat<C> {
    cluster: C,
    clock: Clock,
    machine: Machine,
    node: String,
    max_pods: u32,
    pods_dir: PathBuf,
    load: Arc<Load>,
}

impl<C: Cluster> Heartbeat<C> {
    pub fn new(cluster: C, clock: Clock, config: &NodeConfig, load: Arc<Load>) -> Heartbeat<C> {
        let (node, max_pods, pods_dir) = (config.name.clone(), config.max_pods, config.pods_dir.clone());
        Heartbeat { cluster, clock, machine: Machine::read(), node, max_pods, pods_dir, load }
    }

    /// Beats until it is dropped; the first time after one interval.
    pub async fn run(&self) {
        loop {
            self.clock.sleep(EVERY).await;
            self.beat().await;
        }
    }

    /// Brings the Node object up to date and renews its lease.
    pub async fn beat(&self) {
        let (dir, load, clock) = (self.pods_dir.clone(), self.load.clone(), self.clock.clone());
        let read = tokio::task::spawn_blocking(move || {
            load.mark(&clock);
            Vitals::read(&dir)
        })
        .await;
        // It fails only where the process ends.
        let Ok(vitals) = read else { return };
        if let Err(error) = self.beat_with(&vitals).await {
            tracing::error!(%error, "the node could not say that it is alive");
        }
    }

    async fn beat_with(&self, vitals: &Vitals) -> Result<(), ReportError> {
        let (cluster, name) = (&self.cluster, &self.node);
        for _ in 0..TRIES {
            let stored = cluster.node(name).await;
            let observed = describe::node(name, &self.machine, vitals, self.max_pods, stored.as_deref());
            let now = self.clock.now();
            let node = match (next_node(stored.as_deref(), observed, now), stored) {
                (None, Some(stored)) => stored,
                (None, None) => return Ok(()),
                (Some(next), stored) => match cluster.write_node(next).await {
                    Ok(written) => {
                        self.tell(stored.as_deref(), &written);
                        written
                    }
                    Err(ReportError::Stale) => continue,
                    Err(error) => return Err(error),
                },
            };
            let lease = next_lease(cluster.lease(name).await.as_deref(), &node, now);
            match cluster.write_lease(lease).await {
                Err(ReportError::Stale) => {}
                written => return written,
            }
        }
        Ok(())
    }

    /// An event for each condition that has changed.
    fn tell(&self, before: Option<&Node>, now: &Arc<Node>) {
        let Some(before) = before else { return };
        let object = Object::Node(now.clone());
        for (type_, ..) in TAINTS {
            let status = |node: &Node| condition(node, type_).map(|c| c.status.clone());
            if status(before) == status(now) {
                continue;
            }
            let reason = match (type_, status(now).as_deref()) {
                ("Ready", Some("True")) => "NodeReady",
                ("Ready", _) => "NodeNotReady",
                ("MemoryPressure", Some("True")) => "NodeHasInsufficientMemory",
                ("MemoryPressure", _) => "NodeHasSufficientMemory",
                ("DiskPressure", Some("True")) => "NodeHasDiskPressure",
                ("DiskPressure", _) => "NodeHasNoDiskPressure",
                _ => continue,
            };
            let message = format!("Node {} status is now: {reason}", self.node);
            self.cluster.note(Note::normal(&object, reason, message));
        }
    }
}

fn condition<'a>(node: &'a Node, type_: &str) -> Option<&'a NodeCondition> {
    node.status.as_ref()?.conditions.iter().flatten().find(|c| c.type_ == type_)
}

/// What is to be written, or `None` if what is stored will do. What others put into the object stays.
fn next_node(stored: Option<&Node>, observed: Node, now: Timestamp) -> Option<Node> {
    let mut next = stored.cloned().unwrap_or_else(|| Node { status: None, ..observed.clone() });
    next.metadata.labels.get_or_insert_default().extend(observed.metadata.labels.unwrap_or_default());
    match observed.metadata.annotations {
        Some(mine) => next.metadata.annotations.get_or_insert_default().extend(mine),
        None => drop(next.metadata.annotations.as_mut().and_then(|all| all.remove(TIME_ZONE))),
    }
    if next.spec.is_none() {
        next.spec = observed.spec;
    }
    let seen = observed.status.unwrap_or_default();
    let status = next.status.get_or_insert_default();
    status.capacity = seen.capacity;
    status.allocatable = seen.allocatable;
    status.addresses = seen.addresses;
    status.daemon_endpoints = seen.daemon_endpoints;
    status.node_info = seen.node_info;
    let old = status.conditions.take().unwrap_or_default();
    let mut mine = seen.conditions.unwrap_or_default();
    for condition in &mut mine {
        let before = old.iter().find(|c| c.type_ == condition.type_);
        condition.last_heartbeat_time = before.and_then(|c| c.last_heartbeat_time.clone());
        let unchanged = before.filter(|c| c.status == condition.status);
        let since = unchanged.and_then(|c| c.last_transition_time.clone());
        condition.last_transition_time = since.or_else(|| Some(meta::time(now)));
    }
    let beaten = mine.iter().filter_map(|c| c.last_heartbeat_time.as_ref()).map(|t| t.0).min();
    let ours: Vec<String> = mine.iter().map(|c| c.type_.clone()).collect();
    mine.extend(old.into_iter().filter(|c| !ours.contains(&c.type_)));
    status.conditions = Some(mine);
    taint(&mut next, now);
    // The clock may have been set back.
    let age = beaten.map_or(Duration::MAX, |at| now.duration_since(at).unsigned_abs());
    if stored == Some(&next) && age < STATUS_AT_LEAST_EVERY {
        return None;
    }
    let conditions = next.status.iter_mut().flat_map(|s| s.conditions.iter_mut().flatten());
    for condition in conditions.filter(|c| ours.contains(&c.type_)) {
        condition.last_heartbeat_time = Some(meta::time(now));
    }
    Some(next)
}

/// Gives the node the taints of its conditions, and leaves those of others as they are.
fn taint(next: &mut Node, now: Timestamp) {
    for (type_, keeps_off, key) in TAINTS {
        let wanted = condition(next, type_).is_some_and(|c| c.status == keeps_off);
        let is_it = |taint: &Taint| taint.key == key && taint.effect == node::NO_SCHEDULE;
        let there = next.spec.iter().flat_map(|s| s.taints.iter().flatten()).any(is_it);
        if wanted == there {
            continue;
        }
        let taints = next.spec.get_or_insert_default().taints.get_or_insert_default();
        if wanted {
            let effect = node::NO_SCHEDULE.to_owned();
            taints.push(Taint { key: key.to_owned(), effect, value: None, time_added: Some(meta::time(now)) });
        } else {
            taints.retain(|taint| !is_it(taint));
        }
        if let Some(spec) = &mut next.spec
            && spec.taints.as_ref().is_some_and(Vec::is_empty)
        {
            spec.taints = None;
        }
    }
}

/// The node's lease, renewed.
fn next_lease(stored: Option<&Lease>, node: &Node, now: Timestamp) -> Lease {
    let name = node.metadata.name.clone().unwrap_or_default();
    let mut lease = stored.cloned().unwrap_or_default();
    lease.metadata.name = Some(name.clone());
    lease.metadata.namespace = Some(NODE_LEASES.to_owned());
    lease.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: name.clone(),
        uid: node.metadata.uid.clone().unwrap_or_default(),
        ..OwnerReference::default()
    }]);
    // To the microsecond, as its JSON says it.
    let now = now.round(Unit::Microsecond).unwrap_or(now);
    let spec: &mut LeaseSpec = lease.spec.get_or_insert_default();
    spec.holder_identity = Some(name);
    spec.lease_duration_seconds = Some(LEASE_SECONDS);
    spec.renew_time = Some(MicroTime(now));
    lease
}

#[cfg(test)]
#[path = "heartbeat_test.rs"]
mod tests;
