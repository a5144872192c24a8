//! Which node a pod goes to: the first that has room and the labels it asks for. The words are kube-scheduler's.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Node, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::quantity;

/// What a pod takes from a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    pub pods: i64,
    pub milli_cpu: i64,
    pub memory_bytes: i64,
}

/// What a node has, or has given away.
pub type Capacity = Demand;

#[derive(Clone, Debug)]
pub struct NodeView {
    pub node: Arc<Node>,
    pub capacity: Capacity,
    pub used: Demand,
}

impl Demand {
    /// The sum of the containers' requests.
    pub fn of(pod: &Pod) -> Demand {
        let containers = pod.spec.iter().flat_map(|s| &s.containers);
        let requested = |container: &Container, resource: &str| {
            container.resources.as_ref().and_then(|r| r.requests.as_ref()?.get(resource)).cloned()
        };
        let mut demand = Demand { pods: 1, ..Demand::default() };
        for container in containers {
            let milli_cpu = requested(container, "cpu").map_or(0, |q| milli(&q));
            let memory = requested(container, "memory").map_or(0, |q| whole(&q));
            demand.milli_cpu = demand.milli_cpu.saturating_add(milli_cpu);
            demand.memory_bytes = demand.memory_bytes.saturating_add(memory);
        }
        demand
    }

    pub fn add(&mut self, other: &Demand) {
        self.pods = self.pods.saturating_add(other.pods);
        self.milli_cpu = self.milli_cpu.saturating_add(other.milli_cpu);
        self.memory_bytes = self.memory_bytes.saturating_add(other.memory_bytes);
    }

    pub fn subtract(&mut self, other: &Demand) {
        self.pods = self.pods.saturating_sub(other.pods);
        self.milli_cpu = self.milli_cpu.saturating_sub(other.milli_cpu);
        self.memory_bytes = self.memory_bytes.saturating_sub(other.memory_bytes);
    }
}

impl Capacity {
    /// What the node's `status.allocatable` says; a resource that is absent is none.
    pub fn of_node(allocatable: Option<&BTreeMap<String, Quantity>>) -> Capacity {
        let get = |name: &str| allocatable.and_then(|a| a.get(name));
        Capacity {
            pods: get("pods").map_or(0, whole),
            milli_cpu: get("cpu").map_or(0, milli),
            memory_bytes: get("memory").map_or(0, whole),
        }
    }
}

impl NodeView {
    pub fn new(node: Arc<Node>) -> NodeView {
        let capacity = Capacity::of_node(node.status.as_ref().and_then(|s| s.allocatable.as_ref()));
        NodeView { node, capacity, used: Demand::default() }
    }

    pub fn name(&self) -> &str {
        self.node.metadata.name.as_deref().unwrap_or_default()
    }

    /// Why the pod cannot go here; empty if it can.
    fn refusals(&self, pod: &Pod, demand: &Demand) -> Vec<&'static str> {
        let mut refusals = Vec::new();
        let fits = |asked: i64, used: i64, has: i64| asked == 0 || used.saturating_add(asked) <= has;
        if self.node.spec.as_ref().and_then(|s| s.unschedulable) == Some(true) {
            refusals.push("node(s) were unschedulable");
        }
        let labels = self.node.metadata.labels.as_ref();
        let selector = pod.spec.as_ref().and_then(|s| s.node_selector.as_ref());
        if selector.is_some_and(|wanted| wanted.iter().any(|(k, v)| labels.and_then(|l| l.get(k)) != Some(v))) {
            refusals.push("node(s) didn't match Pod's node affinity/selector");
        }
        if !fits(demand.pods, self.used.pods, self.capacity.pods) {
            refusals.push("Too many pods");
        }
        if !fits(demand.milli_cpu, self.used.milli_cpu, self.capacity.milli_cpu) {
            refusals.push("Insufficient cpu");
        }
        if !fits(demand.memory_bytes, self.used.memory_bytes, self.capacity.memory_bytes) {
            refusals.push("Insufficient memory");
        }
        refusals
    }
}

fn milli(quantity: &Quantity) -> i64 {
    quantity::Quantity::parse(&quantity.0).map_or(0, |q| saturate(q.as_milli_ceil()))
}

fn whole(quantity: &Quantity) -> i64 {
    quantity::Quantity::parse(&quantity.0).map_or(0, |q| saturate(q.value_ceil()))
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// Which of `nodes` the pod goes to, or why to none.
pub fn place(pod: &Pod, demand: &Demand, nodes: &[NodeView]) -> Result<usize, String> {
    let mut reasons: BTreeMap<&'static str, usize> = BTreeMap::new();
    for (i, view) in nodes.iter().enumerate() {
        let refusals = view.refusals(pod, demand);
        if refusals.is_empty() {
            return Ok(i);
        }
        for reason in refusals {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    if nodes.is_empty() {
        return Err("no nodes available to schedule pods".to_owned());
    }
    let reasons: Vec<String> = reasons.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
    Err(format!("0/{} nodes are available: {}.", nodes.len(), reasons.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{NodeStatus, PodSpec, ResourceRequirements};

    fn quantities(of: &[(&str, &str)]) -> BTreeMap<String, Quantity> {
        of.iter().map(|(k, v)| ((*k).to_owned(), Quantity((*v).to_owned()))).collect()
    }

    fn node(name: &str, allocatable: &[(&str, &str)]) -> NodeView {
        let mut node = Node::default();
        node.metadata.name = Some(name.to_owned());
        node.metadata.labels = Some([("zone".to_owned(), name.to_owned())].into());
        node.status = Some(NodeStatus { allocatable: Some(quantities(allocatable)), ..NodeStatus::default() });
        NodeView::new(Arc::new(node))
    }

    fn pod(requests: &[(&str, &str)], zone: Option<&str>) -> Pod {
        let resources = ResourceRequirements { requests: Some(quantities(requests)), ..Default::default() };
        let container = Container { resources: Some(resources), ..Container::default() };
        let node_selector = zone.map(|z| [("zone".to_owned(), z.to_owned())].into());
        let spec = PodSpec { containers: vec![container], node_selector, ..PodSpec::default() };
        Pod { spec: Some(spec), ..Pod::default() }
    }

    #[test]
    fn a_pod_goes_where_it_fits_or_is_told_why_not() {
        let small = || node("small", &[("pods", "1"), ("cpu", "1"), ("memory", "1Gi")]);
        let large = || node("large", &[("pods", "10"), ("cpu", "4"), ("memory", "8Gi")]);
        let mut full = small();
        full.used = Demand { pods: 1, milli_cpu: 0, memory_bytes: 0 };
        type Case = (Pod, Vec<NodeView>, Result<&'static str, &'static str>);
        let cases: Vec<Case> = vec![
            (pod(&[], None), vec![small(), large()], Ok("small")),
            (pod(&[("cpu", "1500m")], None), vec![small(), large()], Ok("large")),
            (pod(&[], Some("large")), vec![small(), large()], Ok("large")),
            (pod(&[], None), vec![full.clone()], Err("0/1 nodes are available: 1 Too many pods.")),
            (pod(&[("memory", "2Gi")], None), vec![small()], Err("0/1 nodes are available: 1 Insufficient memory.")),
            (
                pod(&[("cpu", "9")], Some("mars")),
                vec![small(), large()],
                Err(
                    "0/2 nodes are available: 2 Insufficient cpu, 2 node(s) didn't match Pod's node affinity/selector.",
                ),
            ),
            (pod(&[], None), vec![], Err("no nodes available to schedule pods")),
        ];
        for (pod, nodes, expected) in cases {
            let placed = place(&pod, &Demand::of(&pod), &nodes).map(|i| nodes[i].name().to_owned());
            assert_eq!(placed.as_deref().map_err(String::as_str), expected);
        }
    }
}
