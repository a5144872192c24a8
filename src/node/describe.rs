//! The Node object, as far as it follows from the machine: capacity, conditions and who it is. Plain functions, so that
//! every state of a machine can be tested; times and what others wrote into the object are for [`super::heartbeat`].
//!
//! Reasons and messages are the kubelet's (`pkg/kubelet/nodestatus/setters.go`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus, NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::vitals::{Machine, Vitals};

/// Checked against Cargo.lock by a test.
const RUNTIME: &str = "wasmtime://48.0.8";

/// By whose clock schedules run that name no zone, on the Node: the machine's, which clients cannot know otherwise.
pub const TIME_ZONE: &str = "kiln.dev/time-zone";

/// Bytes of memory that must be left to the machine: below it, no pod is taken on (the kubelet's default).
pub const MEMORY_RESERVE: u64 = 100 << 20;
/// Bytes of disk that must be free: kiln's own state is on the same disk, and a store that cannot write is read-only
/// until a restart. Of a small disk it is a tenth.
pub const DISK_RESERVE: u64 = 1 << 30;

/// The machine's host name as a node's name, if it can be one.
pub fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_lowercase();
    crate::api::names::dns1123_subdomain(&name).is_empty().then_some(name)
}

fn disk_reserve(vitals: &Vitals) -> u64 {
    DISK_RESERVE.min(vitals.disk_total / 10)
}

fn memory_reserve(vitals: &Vitals) -> u64 {
    MEMORY_RESERVE.min(vitals.memory_total / 10)
}

/// The node called `name`, without times. `before` is what it was, because pressure is over only once there is a tenth
/// more than what began it: a value that trembles does not make a node flap.
pub fn node(name: &str, machine: &Machine, vitals: &Vitals, max_pods: u32, before: Option<&Node>) -> Node {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let labels = [
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", std::env::consts::OS),
        ("kubernetes.io/arch", arch),
        ("kiln.dev/runtime", "wasmtime"),
    ];
    let mut node = Node::default();
    node.metadata.name = Some(name.to_owned());
    node.metadata.labels = Some(labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
    if !machine.time_zone.is_empty() {
        node.metadata.annotations = Some(BTreeMap::from([(TIME_ZONE.to_owned(), machine.time_zone.clone())]));
    }
    // Where nothing is said Kubernetes says so, and clients read through it: `api::plain`.
    node.spec = Some(NodeSpec::default());
    let address = |type_: &str, address: &str| NodeAddress { type_: type_.to_owned(), address: address.to_owned() };
    node.status = Some(NodeStatus {
        capacity: Some(resources(machine, vitals, max_pods, 0, 0)),
        allocatable: Some(resources(machine, vitals, max_pods, memory_reserve(vitals), disk_reserve(vitals))),
        addresses: Some(vec![address("InternalIP", "127.0.0.1"), address("Hostname", name)]),
        conditions: Some(conditions(vitals, before)),
        // Port 0: nobody answers in the kubelet's place.
        daemon_endpoints: Some(NodeDaemonEndpoints { kubelet_endpoint: Some(DaemonEndpoint { port: 0 }) }),
        node_info: Some(NodeSystemInfo {
            architecture: arch.to_owned(),
            operating_system: std::env::consts::OS.to_owned(),
            kernel_version: machine.kernel.clone(),
            machine_id: machine.machine_id.clone(),
            boot_id: machine.boot_id.clone(),
            system_uuid: machine.system_uuid.clone(),
            os_image: machine.os_image.clone(),
            kubelet_version: concat!("v1.37.0+kiln-", env!("CARGO_PKG_VERSION")).to_owned(),
            container_runtime_version: RUNTIME.to_owned(),
            ..NodeSystemInfo::default()
        }),
        ..NodeStatus::default()
    });
    node
}

fn resources(machine: &Machine, vitals: &Vitals, pods: u32, memory: u64, disk: u64) -> BTreeMap<String, Quantity> {
    let kib = |bytes: u64| format!("{}Ki", bytes / 1024);
    let resources = [
        ("cpu", machine.cpus.to_string()),
        ("memory", kib(vitals.memory_total.saturating_sub(memory))),
        ("ephemeral-storage", kib(vitals.disk_total.saturating_sub(disk))),
        ("pods", pods.to_string()),
    ];
    resources.into_iter().map(|(name, amount)| (name.to_owned(), Quantity(amount))).collect()
}

fn conditions(vitals: &Vitals, before: Option<&Node>) -> Vec<NodeCondition> {
    let was = |type_: &str| {
        let mut conditions = before.iter().flat_map(|n| n.status.iter().flat_map(|s| s.conditions.iter().flatten()));
        conditions.any(|c| c.type_ == type_ && c.status == "True")
    };
    let scarce = |type_: &str, left: u64, reserve: u64| {
        left < if was(type_) { reserve.saturating_add(reserve / 10) } else { reserve }
    };
    let memory = scarce("MemoryPressure", vitals.memory_available, memory_reserve(vitals));
    let disk = scarce("DiskPressure", vitals.disk_free, disk_reserve(vitals));
    vec![
        match memory {
            true => condition(
                "MemoryPressure",
                "True",
                "KubeletHasInsufficientMemory",
                "kubelet has insufficient memory available",
            ),
            false => condition(
                "MemoryPressure",
                "False",
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available",
            ),
        },
        match disk {
            true => condition("DiskPressure", "True", "KubeletHasDiskPressure", "kubelet has disk pressure"),
            false => condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        },
        // Pods are no processes, so they cannot use up their numbers.
        condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        match &vitals.fault {
            Some(fault) => condition("Ready", "False", "KubeletNotReady", fault),
            None => condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        },
    ]
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> NodeCondition {
    NodeCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_heartbeat_time: None,
        last_transition_time: None,
    }
}

#[cfg(test)]
pub mod test {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// A machine that lacks nothing.
    pub fn healthy() -> Vitals {
        Vitals {
            memory_total: 8 * GIB,
            memory_available: 4 * GIB,
            disk_total: 100 * GIB,
            disk_free: 50 * GIB,
            fault: None,
        }
    }

    fn true_conditions(vitals: &Vitals, before: Option<&Node>) -> Vec<String> {
        let conditions = conditions(vitals, before).into_iter();
        conditions.filter(|c| c.status == "True").map(|c| c.type_).collect()
    }

    #[test]
    fn the_node_offers_what_the_machine_has_less_what_kiln_needs() {
        let machine = Machine { cpus: 2, ..Machine::default() };
        let status = node("n", &machine, &healthy(), 7, None).status.unwrap();
        let shown = |of: Option<BTreeMap<String, Quantity>>| -> Vec<String> {
            of.unwrap().into_iter().map(|(name, amount)| format!("{name}={}", amount.0)).collect()
        };
        assert_eq!(shown(status.capacity), ["cpu=2", "ephemeral-storage=104857600Ki", "memory=8388608Ki", "pods=7"]);
        assert_eq!(shown(status.allocatable), ["cpu=2", "ephemeral-storage=103809024Ki", "memory=8286208Ki", "pods=7"]);
    }

    #[test]
    fn pressure_is_what_falls_below_the_reserve() {
        let cases: &[(Vitals, &[&str])] = &[
            (healthy(), &["Ready"]),
            (Vitals { disk_free: GIB, ..healthy() }, &["Ready"]),
            (Vitals { disk_free: GIB - 1, ..healthy() }, &["DiskPressure", "Ready"]),
            // A tenth of a small disk.
            (Vitals { disk_total: 1000, disk_free: 100, ..healthy() }, &["Ready"]),
            (Vitals { disk_total: 1000, disk_free: 99, ..healthy() }, &["DiskPressure", "Ready"]),
            (Vitals { memory_available: MEMORY_RESERVE, ..healthy() }, &["Ready"]),
            (Vitals { memory_available: MEMORY_RESERVE - 1, ..healthy() }, &["MemoryPressure", "Ready"]),
            (Vitals { fault: Some("f".to_owned()), ..healthy() }, &[]),
            // What could not be read is no alarm.
            (Vitals::default(), &["Ready"]),
        ];
        for (vitals, expected) in cases {
            assert_eq!(true_conditions(vitals, None), *expected, "{vitals:?}");
        }
    }

    #[test]
    fn pressure_ends_only_when_a_tenth_more_is_free() {
        let short = Vitals { disk_free: GIB - 1, ..healthy() };
        let before = node("n", &Machine::default(), &short, 1, None);
        for (free, pressure) in [(GIB + 1, true), (GIB + GIB / 10 - 1, true), (GIB + GIB / 10, false)] {
            let vitals = Vitals { disk_free: free, ..healthy() };
            let found = true_conditions(&vitals, Some(&before)).contains(&"DiskPressure".to_owned());
            assert_eq!(found, pressure, "{free}");
        }
    }

    #[test]
    fn the_runtime_is_the_one_that_is_linked() {
        let lock = include_str!("../../Cargo.lock");
        let linked = lock.lines().skip_while(|line| *line != "name = \"wasmtime\"").nth(1).unwrap();
        let version = linked.trim_start_matches("version = ").trim_matches('"');
        assert_eq!(RUNTIME, format!("wasmtime://{version}"));
    }
}
