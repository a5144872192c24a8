//! Settings as data: each with its unit, its default and the reason for it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

/// Where a `kubectl` without any configuration looks.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Pods at once. A sleeping pod takes some 30 KB, so memory allows more; but each slot is reserved address space, and
/// the default `vm.max_map_count` of Linux carries about 13,000 of them. A thousand start in five milliseconds.
pub const DEFAULT_MAX_PODS: u32 = 1000;
pub const MOST_PODS: u32 = 12_000;

/// Events kept per kind for watchers, in number: several seconds of a busy node, at most some 50 MB.
pub const EVENT_RING: usize = 16_384;

/// Memory of a container that sets no limit: enough for most programs, and little enough that a node survives many.
pub const DEFAULT_MEMORY_BYTES: u64 = 512 << 20;

/// Bytes that a pod may write to disk where it sets no limit: room for ordinary intermediate files, and a thousand pods
/// that fill it stay below what a disk holds.
pub const DEFAULT_SCRATCH_BYTES: u64 = 1 << 30;

/// Seconds of computing, on all cores together, that the compilation of one module may take. The largest program tried (a
/// 69 MB one) takes 64 on two idle cores, and was seen to take 200 on very busy ones.
pub const COMPILE_CPU_SECONDS: u64 = 400;

/// How many seconds by the clock a compilation gets for each of computing: a busy machine makes it slower, and others that
/// are to be compiled wait for it.
pub const COMPILE_PATIENCE: u64 = 4;

/// Bytes of memory that the compilation of one module may take. The same program takes 2.1 GiB, and
/// 2.8 of address space, on two cores; a machine with more compiles more functions at once.
pub const COMPILE_MEMORY_BYTES: u64 = 4 << 30;

/// Terminated pods that stay; beyond them the oldest are deleted. kube-controller-manager's own default.
pub const TERMINATED_PODS: u32 = 12_500;

/// What the parts of kiln are made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// State lives here: `store/`, `modules/`, `pods/`.
    pub data_dir: PathBuf,
    pub node_name: String,
    pub max_pods: u32,
    pub default_memory_bytes: u64,
    pub default_scratch_bytes: u64,
    /// Directories of this machine below which hostPath volumes may lie; none unless given.
    pub host_paths: Vec<PathBuf>,
    /// Addresses that pods which ask for the network may reach; none unless given.
    pub network: Vec<IpNet>,
    pub event_ring: usize,
    /// Whether finished Jobs are deleted when their time to live is over.
    pub expire_jobs: bool,
    /// Terminated pods beyond this number are deleted; `None`: none are.
    pub terminated_pods: Option<u32>,
    pub compile_cpu_seconds: u64,
    pub compile_memory_bytes: u64,
}

impl Config {
    pub fn new(data_dir: PathBuf) -> Config {
        Config {
            data_dir,
            node_name: "kiln".to_owned(),
            max_pods: DEFAULT_MAX_PODS,
            default_memory_bytes: DEFAULT_MEMORY_BYTES,
            default_scratch_bytes: DEFAULT_SCRATCH_BYTES,
            host_paths: Vec::new(),
            network: Vec::new(),
            event_ring: EVENT_RING,
            expire_jobs: true,
            terminated_pods: Some(TERMINATED_PODS),
            compile_cpu_seconds: COMPILE_CPU_SECONDS,
            compile_memory_bytes: COMPILE_MEMORY_BYTES,
        }
    }
}
