//! Which node a pod goes to: the first that takes pods, has the labels it asks for and room; one without taints before
//! one that would rather not have it. Each node says one thing against a pod, the first in the order of kube-scheduler's
//! plugins, and all that it lacks. The words are kube-scheduler's, too (`pkg/scheduler/framework/plugins`, about 1.34).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Node, Pod, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::{node, quantity};

/// What a pod takes from a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// As many as it has containers that run at the same time. A node has an instance for each: pods that got some of
    /// theirs and wait for the rest would otherwise keep one another waiting.
    pub pods: i64,
    pub milli_cpu: i64,
    pub memory_bytes: i64,
    pub storage_bytes: i64,
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
    /// Of each resource, the sum of the containers' requests, or the largest of an init container if that is more: init
    /// containers run before, one at a time (`k8s.io/component-helpers/resource`, `PodRequests`).
    pub fn of(pod: &Pod) -> Demand {
        let containers = pod.spec.as_ref().map_or(0, |s| s.containers.len());
        let mut demand = Demand { pods: i64::try_from(containers.max(1)).unwrap_or(i64::MAX), ..Demand::default() };
        for container in pod.spec.iter().flat_map(|s| &s.containers) {
            demand.add(&Demand::of_container(container));
        }
        for container in pod.spec.iter().flat_map(|s| s.init_containers.iter().flatten()) {
            let init = Demand::of_container(container);
            demand.milli_cpu = demand.milli_cpu.max(init.milli_cpu);
            demand.memory_bytes = demand.memory_bytes.max(init.memory_bytes);
            demand.storage_bytes = demand.storage_bytes.max(init.storage_bytes);
        }
        demand
    }

    fn of_container(container: &Container) -> Demand {
        let requests = container.resources.as_ref().and_then(|r| r.requests.as_ref());
        Demand { pods: 0, ..Demand::of_resources(requests) }
    }

    /// A resource that is absent is none.
    fn of_resources(resources: Option<&BTreeMap<String, Quantity>>) -> Demand {
        let get = |name: &str| resources.and_then(|r| r.get(name));
        Demand {
            pods: get("pods").map_or(0, whole),
            milli_cpu: get("cpu").map_or(0, milli),
            memory_bytes: get("memory").map_or(0, whole),
            storage_bytes: get("ephemeral-storage").map_or(0, whole),
        }
    }

    pub fn add(&mut self, other: &Demand) {
        self.pods = self.pods.saturating_add(other.pods);
        self.milli_cpu = self.milli_cpu.saturating_add(other.milli_cpu);
        self.memory_bytes = self.memory_bytes.saturating_add(other.memory_bytes);
        self.storage_bytes = self.storage_bytes.saturating_add(other.storage_bytes);
    }

    pub fn subtract(&mut self, other: &Demand) {
        self.pods = self.pods.saturating_sub(other.pods);
        self.milli_cpu = self.milli_cpu.saturating_sub(other.milli_cpu);
        self.memory_bytes = self.memory_bytes.saturating_sub(other.memory_bytes);
        self.storage_bytes = self.storage_bytes.saturating_sub(other.storage_bytes);
    }
}

impl NodeView {
    pub fn new(node: Arc<Node>) -> NodeView {
        let capacity = Demand::of_resources(node.status.as_ref().and_then(|s| s.allocatable.as_ref()));
        NodeView { node, capacity, used: Demand::default() }
    }

    pub fn name(&self) -> &str {
        self.node.metadata.name.as_deref().unwrap_or_default()
    }

    /// Why the pod cannot go here; empty if it can.
    fn refusals(&self, pod: &Pod, demand: &Demand) -> Vec<String> {
        if self.node.spec.as_ref().and_then(|s| s.unschedulable) == Some(true) && !tolerated(pod, &cordon()) {
            return vec!["node(s) were unschedulable".to_owned()];
        }
        let keeps_off = |taint: &&Taint| matches!(taint.effect.as_str(), node::NO_SCHEDULE | node::NO_EXECUTE);
        if let Some(taint) = self.taints().filter(keeps_off).find(|taint| !tolerated(pod, taint)) {
            let value = taint.value.as_deref().unwrap_or_default();
            return vec![format!("node(s) had untolerated taint {{{}: {value}}}", taint.key)];
        }
        let labels = self.node.metadata.labels.as_ref();
        let selector = pod.spec.as_ref().and_then(|s| s.node_selector.as_ref());
        if selector.is_some_and(|wanted| wanted.iter().any(|(k, v)| labels.and_then(|l| l.get(k)) != Some(v))) {
            return vec!["node(s) didn't match Pod's node affinity/selector".to_owned()];
        }
        let (used, has) = (&self.used, &self.capacity);
        let resources = [
            ("Too many pods", demand.pods, used.pods, has.pods),
            ("Insufficient cpu", demand.milli_cpu, used.milli_cpu, has.milli_cpu),
            ("Insufficient memory", demand.memory_bytes, used.memory_bytes, has.memory_bytes),
            ("Insufficient ephemeral-storage", demand.storage_bytes, used.storage_bytes, has.storage_bytes),
        ];
        let lacks = |asked: i64, used: i64, has: i64| asked != 0 && used.saturating_add(asked) > has;
        let lacking = resources.iter().filter(|(_, asked, used, has)| lacks(*asked, *used, *has));
        lacking.map(|(words, ..)| (*words).to_owned()).collect()
    }

    fn taints(&self) -> impl Iterator<Item = &Taint> {
        self.node.spec.iter().flat_map(|s| s.taints.iter().flatten())
    }

    /// How many of its taints say that the pod had better go elsewhere.
    fn reluctance(&self, pod: &Pod) -> usize {
        self.taints().filter(|t| t.effect == node::PREFER_NO_SCHEDULE && !tolerated(pod, t)).count()
    }
}

/// A cordoned node counts as having this taint, so that a pod can tolerate it.
fn cordon() -> Taint {
    let key = "node.kubernetes.io/unschedulable".to_owned();
    Taint { key, effect: node::NO_SCHEDULE.to_owned(), ..Taint::default() }
}

fn tolerated(pod: &Pod, taint: &Taint) -> bool {
    let mut tolerations = pod.spec.iter().flat_map(|s| s.tolerations.iter().flatten());
    tolerations.any(|toleration| node::tolerates(toleration, taint))
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
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut best: Option<(usize, usize)> = None;
    for (i, view) in nodes.iter().enumerate() {
        let refusals = view.refusals(pod, demand);
        if refusals.is_empty() {
            let candidate = (view.reluctance(pod), i);
            best = Some(best.map_or(candidate, |best| best.min(candidate)));
            if candidate.0 == 0 {
                break;
            }
        }
        for reason in refusals {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    if let Some((_, i)) = best {
        return Ok(i);
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
        full.used = Demand { pods: 1, ..Demand::default() };
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
                Err("0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."),
            ),
            (
                pod(&[("cpu", "9"), ("ephemeral-storage", "1")], None),
                vec![small(), large()],
                Err("0/2 nodes are available: 2 Insufficient cpu, 2 Insufficient ephemeral-storage."),
            ),
            (pod(&[], None), vec![], Err("no nodes available to schedule pods")),
        ];
        for (pod, nodes, expected) in cases {
            let placed = place(&pod, &Demand::of(&pod), &nodes).map(|i| nodes[i].name().to_owned());
            assert_eq!(placed.as_deref().map_err(String::as_str), expected);
        }
    }

    #[test]
    fn a_pod_takes_the_sum_of_its_containers_or_its_largest_init_container() {
        let container = |requests: &[(&str, &str)]| Container {
            resources: Some(ResourceRequirements { requests: Some(quantities(requests)), ..Default::default() }),
            ..Container::default()
        };
        let spec = PodSpec {
            containers: vec![
                container(&[("cpu", "500m"), ("memory", "100")]),
                container(&[("cpu", "250m"), ("memory", "50"), ("ephemeral-storage", "7")]),
            ],
            init_containers: Some(vec![
                container(&[("cpu", "700m"), ("memory", "151"), ("ephemeral-storage", "6")]),
                container(&[("cpu", "600m")]),
            ]),
            ..PodSpec::default()
        };
        let demand = Demand::of(&Pod { spec: Some(spec), ..Pod::default() });
        assert_eq!(demand, Demand { pods: 2, milli_cpu: 750, memory_bytes: 151, storage_bytes: 7 });
    }

    #[test]
    fn containers_that_run_together_count_as_pods() {
        let mut view = node("n", &[("pods", "3")]);
        let one = pod(&[], None);
        let mut two = one.clone();
        let spec = two.spec.as_mut().unwrap();
        spec.containers.push(Container::default());
        spec.init_containers = Some(vec![Container::default(); 5]);
        view.used = Demand::of(&two);
        let full = "0/1 nodes are available: 1 Too many pods.";
        assert_eq!(place(&two, &Demand::of(&two), std::slice::from_ref(&view)), Err(full.to_owned()));
        assert_eq!(place(&one, &Demand::of(&one), std::slice::from_ref(&view)), Ok(0));
        view.used.add(&Demand::of(&one));
        assert_eq!(place(&one, &Demand::of(&one), &[view]), Err(full.to_owned()));
    }

    #[test]
    fn each_resource_is_given_out_up_to_its_last_unit() {
        let has = [("pods", "2"), ("cpu", "2"), ("memory", "2"), ("ephemeral-storage", "2")];
        for (resource, words) in [
            ("cpu", "Insufficient cpu"),
            ("memory", "Insufficient memory"),
            ("ephemeral-storage", "Insufficient ephemeral-storage"),
        ] {
            let mut view = node("n", &has);
            let pod = pod(&[(resource, "1")], None);
            view.used = Demand { pods: 0, ..Demand::of(&pod) };
            assert_eq!(place(&pod, &Demand::of(&pod), &[view.clone()]), Ok(0), "{resource}");
            view.used.add(&Demand { pods: 0, ..Demand::of(&pod) });
            let told = format!("0/1 nodes are available: 1 {words}.");
            assert_eq!(place(&pod, &Demand::of(&pod), &[view]), Err(told));
        }
    }

    #[test]
    fn taints_keep_pods_off_unless_they_are_tolerated() {
        let tainted = |name: &str, key: &str, value: &str, effect: &str| {
            let mut view = node(name, &[("pods", "9")]);
            let taint = Taint {
                key: key.to_owned(),
                value: (!value.is_empty()).then(|| value.to_owned()),
                effect: effect.to_owned(),
                ..Taint::default()
            };
            Arc::make_mut(&mut view.node).spec.get_or_insert_default().taints = Some(vec![taint]);
            view
        };
        let tolerant = |key: &str| {
            let mut pod = pod(&[], None);
            let toleration = serde_json::json!([{"key": key, "operator": "Exists"}]);
            pod.spec.as_mut().unwrap().tolerations = serde_json::from_value(toleration).unwrap();
            pod
        };
        let pressure = "node.kubernetes.io/disk-pressure";
        let placed = |pod: &Pod, nodes: &[NodeView]| place(pod, &Demand::of(pod), nodes);
        let plain = pod(&[], None);
        let full = [tainted("a", pressure, "", "NoSchedule")];
        let told = "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }.";
        assert_eq!(placed(&plain, &full), Err(told.to_owned()));
        assert_eq!(placed(&tolerant(pressure), &full), Ok(0));
        let told = "0/1 nodes are available: 1 node(s) had untolerated taint {k: v}.";
        assert_eq!(placed(&plain, &[tainted("a", "k", "v", "NoExecute")]), Err(told.to_owned()));
        let rather_not = tainted("a", "k", "v", "PreferNoSchedule");
        assert_eq!(placed(&plain, &[rather_not.clone(), node("b", &[("pods", "9")])]), Ok(1));
        assert_eq!(placed(&plain, std::slice::from_ref(&rather_not)), Ok(0));
        assert_eq!(placed(&tolerant("k"), &[rather_not, node("b", &[("pods", "9")])]), Ok(0));
        let mut cordoned = node("a", &[("pods", "9")]);
        Arc::make_mut(&mut cordoned.node).spec.get_or_insert_default().unschedulable = Some(true);
        let told = "0/1 nodes are available: 1 node(s) were unschedulable.";
        assert_eq!(placed(&plain, std::slice::from_ref(&cordoned)), Err(told.to_owned()));
        assert_eq!(placed(&tolerant("node.kubernetes.io/unschedulable"), &[cordoned]), Ok(0));
    }
}
