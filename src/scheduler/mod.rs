//! The scheduler: gives each waiting pod a node.
//!
//! ```text
//! waiting ──fits──► bound (spec.nodeName, PodScheduled=True)
//!    │ ▲
//!    ▼ │ a pod elsewhere ended, a node changed
//! unschedulable (PodScheduled=False with the reason, event FailedScheduling)
//! ```
//!
//! [`place()`] decides for one pod; the loop here keeps what each node has given away, and binds many pods in one
//! commit. A pod that fits nowhere costs nothing until something is freed. Until a decision is seen to be committed, all of
//! it is open: where it gave a place away that then nobody took, another pod may have been turned down for it.

pub mod place;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition};

use crate::api::pod::{binding, facts};
use crate::api::{Key, Kind, Object, meta};
use crate::control::{Controller, Effect, Note, Plan, Queue, Seen};
use crate::store::Change;
use place::{Demand, NodeView, place};

/// Pods handled by one decision.
const AT_ONCE: usize = 256;
const SCHEDULER_NAME: &str = "default-scheduler";

#[derive(Default)]
pub struct Scheduler {
    nodes: BTreeMap<String, NodeView>,
    /// What each placed, unfinished pod takes, by uid.
    placed: HashMap<String, (String, Demand)>,
    waiting: HashMap<Key, Arc<Pod>>,
    /// The waiting pods in the order in which they are tried; one that is no longer waiting is skipped.
    line: VecDeque<Key>,
    /// Waiting pods that fitted nowhere when they were last tried, in the order in which they came.
    unschedulable: VecDeque<Key>,
    /// How many of them are to be tried again, because something was freed since.
    retry: usize,
    last: Decision,
}

/// What was decided last.
#[derive(Default)]
struct Decision {
    /// The uids of the pods that got a node.
    bound: Vec<String>,
    /// Those that were told why they wait.
    marked: Vec<(Key, String)>,
    /// Those that fitted nowhere, told or not: the last of the unschedulable.
    turned_down: usize,
}

impl Controller for Scheduler {
    type Key = ();
    const NAME: &'static str = "default-scheduler";

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Node, Kind::Pod]
    }

    fn reset(&mut self) {
        *self = Scheduler::default();
    }

    fn observe(&mut self, seen: &Seen<'_>, queue: &mut Queue<()>, _now: Timestamp) {
        let gone = seen.change == Change::Deleted;
        match seen.object {
            Object::Node(node) => self.observe_node(node, gone),
            Object::Pod(pod) => self.observe_pod(seen.object.key(), pod, gone),
            _ => {}
        }
        if !self.line.is_empty() || self.retry > 0 {
            queue.add_now(());
        }
    }

    fn reconcile(&mut self, _key: &(), now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        self.reopen(now);
        // Decided on a copy: what is given away here counts once it is committed and seen.
        let mut nodes: Vec<NodeView> = self.nodes.values().cloned().collect();
        let mut bound: Vec<Key> = Vec::new();
        for _ in 0..AT_ONCE {
            let Some(key) = self.line.pop_front().or_else(|| self.next_retry(&nodes)) else { break };
            if bound.contains(&key) {
                continue;
            }
            let Some(pod) = self.waiting.get(&key) else { continue };
            match schedule(pod, &mut nodes, now, &mut plan) {
                Placed::Bound => {
                    self.last.bound.extend(pod.metadata.uid.clone());
                    bound.push(key);
                }
                Placed::Nowhere(news) => {
                    self.last.marked.extend(news.map(|reason| (key.clone(), reason)));
                    self.last.turned_down += 1;
                    self.unschedulable.push_back(key);
                }
            }
        }
        // They stay in line until they are seen as bound: the commit may be refused.
        for key in bound.into_iter().rev() {
            self.line.push_front(key);
        }
        if !self.line.is_empty() || self.retry > 0 && has_room(&nodes) {
            plan.look_again(now);
        }
        plan
    }
}

enum Placed {
    Bound,
    /// With the reason, if the pod does not tell it yet.
    Nowhere(Option<String>),
}

fn schedule(pod: &Arc<Pod>, nodes: &mut [NodeView], now: Timestamp, plan: &mut Plan) -> Placed {
    let demand = Demand::of(pod);
    let object = Object::Pod(pod.clone());
    match place(pod, &demand, nodes) {
        Ok(chosen) => {
            nodes[chosen].used.add(&demand);
            let node = nodes[chosen].name().to_owned();
            let message = format!("Successfully assigned {} to {node}", object.key());
            plan.notes.push(Note::normal(&object, "Scheduled", message));
            plan.effects.push(Effect::Update(binding::place(pod, node, now).into()));
            Placed::Bound
        }
        Err(reason) => {
            let Some(marked) = marked_unschedulable(pod, &reason, now) else { return Placed::Nowhere(None) };
            plan.notes.push(Note::warning(&object, "FailedScheduling", reason.clone()));
            plan.effects.push(Effect::Update(marked.into()));
            Placed::Nowhere(Some(reason))
        }
    }
}

impl Scheduler {
    fn observe_node(&mut self, node: &Arc<Node>, gone: bool) {
        let name = node.metadata.name.clone().unwrap_or_default();
        self.nodes.remove(&name);
        if !gone {
            let mut view = NodeView::new(node.clone());
            self.placed.values().filter(|(on, _)| *on == name).for_each(|(_, demand)| view.used.add(demand));
            self.nodes.insert(name, view);
        }
        self.retry = self.unschedulable.len();
    }

    fn observe_pod(&mut self, key: Key, pod: &Arc<Pod>, gone: bool) {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let live = !gone && !facts::is_finished(pod);
        match (facts::node(pod), live) {
            (Some(node), true) => {
                self.waiting.remove(&key);
                if !self.placed.contains_key(uid) {
                    let demand = Demand::of(pod);
                    if let Some(view) = self.nodes.get_mut(node) {
                        view.used.add(&demand);
                    }
                    self.placed.insert(uid.to_owned(), (node.to_owned(), demand));
                }
            }
            (None, true) if is_ours(pod) && !meta::is_deleting(&pod.metadata) => {
                if self.waiting.insert(key.clone(), pod.clone()).is_none() {
                    self.line.push_back(key);
                }
            }
            _ => {
                self.waiting.remove(&key);
                if let Some((node, demand)) = self.placed.remove(uid) {
                    if let Some(view) = self.nodes.get_mut(&node) {
                        view.used.subtract(&demand);
                    }
                    self.retry = self.unschedulable.len();
                }
            }
        }
    }

    /// Puts back in line what the last decision turned down, if it was refused.
    fn reopen(&mut self, now: Timestamp) {
        let Decision { bound, marked, turned_down } = std::mem::take(&mut self.last);
        let is_unmarked = |(key, reason): &(Key, String)| {
            self.waiting.get(key).is_some_and(|pod| marked_unschedulable(pod, reason, now).is_some())
        };
        let is_refused = bound.iter().any(|uid| !self.placed.contains_key(uid)) || marked.iter().any(is_unmarked);
        if !is_refused {
            return;
        }
        // Behind those that got a node, which stand in line still.
        let behind = bound.len().min(self.line.len());
        let again = self.unschedulable.split_off(self.unschedulable.len().saturating_sub(turned_down));
        for key in again.into_iter().rev() {
            self.line.insert(behind, key);
        }
        self.retry = self.retry.min(self.unschedulable.len());
    }

    /// The next pod that did not fit before, if something was freed since and there is room for any.
    fn next_retry(&mut self, nodes: &[NodeView]) -> Option<Key> {
        if self.retry == 0 || !has_room(nodes) {
            return None;
        }
        self.retry -= 1;
        self.unschedulable.pop_front()
    }
}

/// Whether a node takes any more pods at all: once it does not, there is no use in trying one after the other.
fn has_room(nodes: &[NodeView]) -> bool {
    nodes.iter().any(|n| n.used.pods < n.capacity.pods)
}

fn is_ours(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|s| s.scheduler_name.as_deref()).is_none_or(|name| name == SCHEDULER_NAME)
}

/// The pod with the reason why it waits, or `None` if it already says so.
fn marked_unschedulable(pod: &Arc<Pod>, reason: &str, now: Timestamp) -> Option<Pod> {
    let known = facts::condition(pod, "PodScheduled")
        .is_some_and(|c| c.status == "False" && c.message.as_deref() == Some(reason));
    if known {
        return None;
    }
    let mut pod = Pod::clone(pod);
    let conditions = pod.status.get_or_insert_default().conditions.get_or_insert_default();
    conditions.retain(|c| c.type_ != "PodScheduled");
    conditions.push(PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("Unschedulable".to_owned()),
        message: Some(reason.to_owned()),
        last_transition_time: Some(meta::time(now)),
        ..PodCondition::default()
    });
    Some(pod)
}

#[cfg(test)]
mod tests;
