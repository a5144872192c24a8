//! Settings as data: each with its unit, its default and the reason for it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

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

/// How long bytes stay that no module needs any more, or none yet: an upload in several steps sends them before it says what
/// for, and is through in less.
pub const COLLECT_AFTER: Duration = Duration::from_secs(3600);

/// Terminated pods that stay; beyond them the oldest are deleted. kube-controller-manager's own default.
pub const TERMINATED_PODS: u32 = 12_500;

/// Bytes of a request body: what Kubernetes takes, and twice what fits one of its objects.
pub const MAX_BODY: usize = 3 << 20;

/// A limit of the HTTP server, as `kiln serve --limit NAME=N` sets it and docs/api.md lists it.
pub struct Limit {
    pub name: &'static str,
    pub default: u64,
    /// Below this the server could not do its work.
    pub least: u64,
    pub reason: &'static str,
    field: fn(&mut ServerLimits) -> &mut u64,
}

macro_rules! server_limits {
    ($($field:ident $name:literal = $default:literal, at least $least:literal: $reason:literal;)*) => {
        /// What one client, and all of them together, may take of the HTTP server.
        #[derive(Clone, Debug)]
        pub struct ServerLimits { $(#[doc = $reason] pub $field: u64),* }

        pub const SERVER_LIMITS: &[Limit] = &[$(Limit {
            name: $name,
            default: $default,
            least: $least,
            reason: $reason,
            field: |limits| &mut limits.$field,
        }),*];

        impl Default for ServerLimits {
            fn default() -> ServerLimits {
                ServerLimits { $($field: $default),* }
            }
        }
    };
}

server_limits! {
    connections "connections" = 4096, at least 1:
        "connections at a time, further ones wait to be accepted: each takes tens of kilobytes, and a watch is one";
    requests_inflight "requests-inflight" = 400, at least 1:
        "requests that only read, at a time, but for watches and followed logs: kube-apiserver's --max-requests-inflight";
    mutating_requests_inflight "mutating-requests-inflight" = 200, at least 1:
        "requests that write, at a time, but for uploads: kube-apiserver's --max-mutating-requests-inflight";
    long_requests "long-requests" = 3072, at least 1:
        "watches, followed logs and uploads at a time: three quarters of the connections, so that others find one";
    url_bytes "url-bytes" = 16384, at least 256:
        "bytes of path and query: selectors are long, and nothing that is asked for is longer";
    head_bytes "head-bytes" = 65536, at least 8192:
        "bytes of a request before its body: each connection may hold that much before it says what it wants";
    headers "headers" = 100, at least 16:
        "headers of a request: clients send ten";
    head_seconds "head-seconds" = 32, at least 1:
        "seconds for the head of a request, the first or the next, so also how long a connection may be idle: kube-apiserver's";
    body_seconds "body-seconds" = 30, at least 1:
        "seconds for the body of a request, of an upload without a byte: three megabytes take as long on a poor line";
    upload_bytes_per_second "upload-bytes-per-second" = 16384, at least 1:
        "bytes per second that an upload must bring on average, after its first seconds: less is a line that hangs";
    stall_seconds "stall-seconds" = 120, at least 1:
        "seconds in which a client reads nothing of what it is sent: what it does not read is held in memory for it";
}

impl ServerLimits {
    /// Sets a limit by `NAME=N`.
    pub fn set(&mut self, text: &str) -> Result<(), String> {
        let (name, number) = text.split_once('=').unwrap_or((text, ""));
        let Some(limit) = SERVER_LIMITS.iter().find(|limit| limit.name == name) else {
            let names: Vec<&str> = SERVER_LIMITS.iter().map(|limit| limit.name).collect();
            return Err(format!("there is no limit {name:?}: the limits are {}", names.join(", ")));
        };
        match number.parse() {
            Ok(number) if (limit.least..=u64::from(u32::MAX)).contains(&number) => {
                *(limit.field)(self) = number;
                Ok(())
            }
            _ => Err(format!("{name}: {number:?} is no whole number of at least {}", limit.least)),
        }
    }
}

/// What the parts of kiln are made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// State lives here: `store/`, `modules/`, `pods/`.
    pub data_dir: PathBuf,
    /// Whether `data_dir` is removed when this process ends, so that nothing in it need be synced.
    pub is_temporary: bool,
    pub node_name: String,
    pub max_pods: u32,
    pub default_memory_bytes: u64,
    pub default_scratch_bytes: u64,
    /// Directories of this machine below which hostPath volumes may lie; none unless given.
    pub host_paths: Vec<PathBuf>,
    /// Addresses that pods which ask for the network may reach; none unless given.
    pub network: Vec<IpNet>,
    /// Registries (`HOST[:PORT]`) that may be asked for modules which are not here; none unless given.
    pub registries: Vec<String>,
    pub event_ring: usize,
    /// Whether finished Jobs are deleted when their time to live is over.
    pub expire_jobs: bool,
    /// Terminated pods beyond this number are deleted; `None`: none are.
    pub terminated_pods: Option<u32>,
    pub compile_cpu_seconds: u64,
    pub compile_memory_bytes: u64,
    pub collect_after: Duration,
    /// Where compiled code is kept for all kilns that this user starts; `None`: in `data_dir`.
    pub shared_code: Option<PathBuf>,
    pub server: ServerLimits,
}

impl Config {
    pub fn new(data_dir: PathBuf) -> Config {
        Config {
            data_dir,
            is_temporary: false,
            node_name: "kiln".to_owned(),
            max_pods: DEFAULT_MAX_PODS,
            default_memory_bytes: DEFAULT_MEMORY_BYTES,
            default_scratch_bytes: DEFAULT_SCRATCH_BYTES,
            host_paths: Vec::new(),
            network: Vec::new(),
            registries: Vec::new(),
            event_ring: EVENT_RING,
            expire_jobs: true,
            terminated_pods: Some(TERMINATED_PODS),
            compile_cpu_seconds: COMPILE_CPU_SECONDS,
            compile_memory_bytes: COMPILE_MEMORY_BYTES,
            collect_after: COLLECT_AFTER,
            shared_code: None,
            server: ServerLimits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_set_by_its_name_and_anything_else_is_refused() {
        let mut limits = ServerLimits::default();
        for limit in SERVER_LIMITS {
            assert!(limit.default >= limit.least, "{}", limit.name);
            assert_eq!(limits.set(&format!("{}={}", limit.name, limit.least)), Ok(()));
            assert_eq!(*(limit.field)(&mut limits), limit.least);
        }
        for wrong in
            ["", "connections", "connections=", "connections=0", "connections=x", "connections=99999999999", "x=1"]
        {
            assert!(limits.set(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_document_lists_each_limit_with_its_default() {
        let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md")).unwrap();
        for limit in SERVER_LIMITS {
            let row = format!("| `{}` | {} |", limit.name, limit.default);
            assert!(document.contains(&row), "docs/api.md: add a row that begins with {row}");
        }
    }
}
