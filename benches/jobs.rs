//! The figures that README quotes, through the real server with its state on disk: `make bench`.
//!
//! - pods per second of a Job of 20,000 pods that end at once, 256 at a time;
//! - the time per pod at 100, 1,000, 10,000 and 100,000 completions, of plain and of Indexed Jobs: it must not grow with the
//!   Job;
//! - the time from POST to the guest's first instruction on an idle server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test that unwraps says by its line what failed; it lives in real time and reports to its terminal"
)]

#[path = "../tests/it/harness.rs"]
#[allow(dead_code, reason = "the benchmark needs a part of the harness")]
mod harness;

use std::io::Read;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use harness::{Server, guest, job};

const PARALLELISM: u32 = 256;

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    // Pods stay, so that the larger Jobs are not also the ones that are tidied up after.
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--terminated-pod-gc-threshold", "0"]);
    server.push("ok", &guest("exit0"));
    server.push("clock", &wat::parse_str(CLOCK).expect("the guest is well-formed"));
    latency(&server);
    println!("completions         mode   seconds    pods/s    us/pod");
    let sizes: &[u32] = if quick { &[1_000] } else { &[100, 1_000, 10_000, 20_000, 100_000] };
    for &completions in sizes {
        for mode in ["NonIndexed", "Indexed"] {
            let took = throughput(&server, completions, mode);
            let (seconds, n) = (took.as_secs_f64(), f64::from(completions));
            println!("{completions:>11} {mode:>12} {seconds:>9.2} {:>9.0} {:>9.1}", n / seconds, seconds * 1e6 / n);
        }
    }
}

/// From the POST of a Job to its completion, as a client that asks sees it.
fn throughput(server: &Server, completions: u32, mode: &str) -> Duration {
    let name = format!("many-{completions}-{}", mode.to_lowercase());
    let spec = format!("  completions: {completions}\n  completionMode: {mode}\n  parallelism: {PARALLELISM}");
    let begun = Instant::now();
    server.create(&job(&name, "ok", &["ok"], &spec));
    loop {
        let status = &server.job(&name)["status"];
        if status.get("completionTime").is_some() {
            assert_eq!(status["succeeded"], completions);
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(600), "{status}");
        std::thread::park_timeout(Duration::from_millis(if completions < 1_000 { 1 } else { 20 }));
    }
}

/// Writes the eight bytes of the wall clock, as its first instruction reads it, in nanoseconds.
const CLOCK: &str = r#"(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 16)))
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 8))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

fn latency(server: &Server) {
    let mut millis: Vec<f64> = (0..21)
        .map(|n| {
            let name = format!("clock-{n}");
            let manifest = job(&name, "clock", &["clock"], "");
            let posted = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
            server.create(&manifest);
            server.wait_for_end(&name);
            let pod = server.pods(&name)[0]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let url = format!("{}/api/v1/namespaces/default/pods/{pod}/log", server.url);
            let mut bytes = Vec::new();
            let mut answer = ureq::get(&url).call().expect("the log of a finished pod");
            answer.body_mut().as_reader().read_to_end(&mut bytes).expect("eight bytes");
            let first = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
            (f64::from(u32::try_from(u128::from(first) - posted).expect("within seconds"))) / 1e6
        })
        .collect();
    millis.sort_by(f64::total_cmp);
    println!("POST to first instruction, ms: median {:.2}, least {:.2}, most {:.2}", millis[10], millis[0], millis[20]);
}
