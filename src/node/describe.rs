//! The Node object: what this machine is and has.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeAddress, NodeCondition, NodeStatus, NodeSystemInfo};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::meta;

/// What the node offers; from the machine unless set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub cpus: usize,
    pub memory_bytes: u64,
    pub kernel: String,
    pub machine_id: String,
}

impl Machine {
    /// Reads this machine. What cannot be read is left empty, memory is then taken as 1 GiB.
    pub fn read() -> Machine {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let meminfo = file("/proc/meminfo");
        let total = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
        let kib: u64 = total.and_then(|t| t.parse().ok()).unwrap_or(1 << 20);
        Machine {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kib.saturating_mul(1024),
            kernel: file("/proc/sys/kernel/osrelease"),
            machine_id: file("/etc/machine-id"),
        }
    }
}

/// The machine's host name as a node's name, if it can be one.
pub fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_lowercase();
    crate::api::names::dns1123_subdomain(&name).is_empty().then_some(name)
}

pub fn node(name: &str, machine: &Machine, max_pods: u32, now: Timestamp) -> Node {
    let mut node = Node::default();
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
    node.metadata.name = Some(name.to_owned());
    node.metadata.labels = Some(labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
    let resources: BTreeMap<String, Quantity> = [
        ("cpu", machine.cpus.to_string()),
        ("memory", format!("{}Ki", machine.memory_bytes / 1024)),
        ("pods", max_pods.to_string()),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), Quantity(v)))
    .collect();
    let address = |type_: &str, address: &str| NodeAddress { type_: type_.to_owned(), address: address.to_owned() };
    node.status = Some(NodeStatus {
        capacity: Some(resources.clone()),
        allocatable: Some(resources),
        addresses: Some(vec![address("InternalIP", "127.0.0.1"), address("Hostname", name)]),
        conditions: Some(vec![
            condition(
                "MemoryPressure",
                "False",
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available",
                now,
            ),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure", now),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available", now),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status", now),
        ]),
        node_info: Some(NodeSystemInfo {
            architecture: arch.to_owned(),
            operating_system: std::env::consts::OS.to_owned(),
            kernel_version: machine.kernel.clone(),
            machine_id: machine.machine_id.clone(),
            os_image: "WASI".to_owned(),
            kubelet_version: concat!("v1.37.0+kiln-", env!("CARGO_PKG_VERSION")).to_owned(),
            container_runtime_version: "wasmtime://48".to_owned(),
            ..NodeSystemInfo::default()
        }),
        ..NodeStatus::default()
    });
    node
}

fn condition(type_: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> NodeCondition {
    NodeCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_heartbeat_time: Some(meta::time(now)),
        last_transition_time: Some(meta::time(now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_offers_what_the_machine_has() {
        let machine = Machine::read();
        assert!(machine.cpus > 0 && machine.memory_bytes > 0);
        let node = node("n", &machine, 7, Timestamp::UNIX_EPOCH);
        let status = node.status.unwrap();
        assert_eq!(status.allocatable.unwrap()["pods"].0, "7");
        assert!(status.conditions.unwrap().iter().any(|c| c.type_ == "Ready" && c.status == "True"));
    }
}
