//! The figures of the node that docs/node.md quotes, through the real server with its state on disk:
//! `make bench-node`.
//!
//! - what a sleeping pod takes of the server's memory, of 10,000 at once, its objects included;
//! - how late deadlines are met while 50 pods compute;
//! - how long a pod of one line takes behind those 50;
//! - how much slower the API answers while a pod uses all of a core.
//!
//! Each figure is printed with its target. The program fails only where one is missed tenfold: machines are shared.

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

use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, Instant};

use harness::{Server, guest, job, wait_for};
use jiff::Timestamp;
use serde_json::Value;

const SLEEPERS: u32 = 10_000;
const COMPUTING: u32 = 50;

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let chosen = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let mut gross = 0;
    if chosen("sleepers") {
        gross += sleepers(if quick { SLEEPERS / 10 } else { SLEEPERS });
    }
    let server = Server::start();
    for name in ["loop", "hello", "exit0"] {
        server.push(name, &guest(name));
    }
    if chosen("api") {
        gross += api(&server, if quick { 100 } else { 1000 });
    }
    if chosen("deadlines") || chosen("short") {
        computing(&server, "crowd", COMPUTING);
        if chosen("deadlines") {
            gross += deadlines(&server, if quick { 3 } else { 12 });
        }
        if chosen("short") {
            gross += short(&server, if quick { 10 } else { 40 });
        }
    }
    drop(server);
    std::process::exit(i32::from(gross > 0));
}

/// Prints a figure beside its target; 1 if it is missed tenfold.
fn told(what: &str, figure: f64, target: f64, unit: &str) -> u32 {
    let verdict = if figure <= target { "met" } else { "MISSED" };
    println!("{what}: {figure:.2} {unit}; target at most {target} {unit}: {verdict}");
    u32::from(figure > 10.0 * target)
}

/// Prints how numbers are spread; answers their median, 99th percentile and largest.
fn spread(what: &str, mut numbers: Vec<f64>, unit: &str) -> [f64; 3] {
    numbers.sort_by(f64::total_cmp);
    let n = numbers.len();
    let [median, p99, most] = [numbers[n / 2], numbers[(n * 99).div_ceil(100) - 1], numbers[n - 1]];
    println!("{what}, {n} samples, {unit}: median {median:.2}, p99 {p99:.2}, most {most:.2}");
    [median, p99, most]
}

/// Bytes of memory that the server holds.
fn resident(server: &Server) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let kib = status.lines().find_map(|l| l.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")).unwrap();
    kib.trim().parse::<f64>().unwrap() * 1024.0
}

fn sleepers(number: u32) -> u32 {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--max-pods", "12000"]);
    server.push("sleep", &guest("sleep"));
    server.create(&job("first", "sleep", &["sleep", "1"], ""));
    server.wait_for_end("first");
    let before = resident(&server);
    let begun = Instant::now();
    server.create(&job("many", "sleep", &["sleep"], &format!("  completions: {number}\n  parallelism: {number}")));
    wait_for("all pods are running", || {
        let status = server.job("many")["status"].clone();
        if status["ready"] == number { Ok(()) } else { Err(status) }
    });
    let took = begun.elapsed().as_secs_f64();
    let each = (resident(&server) - before) / f64::from(number) / 1024.0;
    println!("{number} sleeping pods are all running after {took:.1} s");
    told("memory of the server per sleeping pod", each, 100.0, "KiB")
}

/// Has `number` pods compute until the server ends, and waits until they do.
fn computing(server: &Server, name: &str, number: u32) {
    server.create(&job(name, "loop", &["loop"], &format!("  completions: {number}\n  parallelism: {number}")));
    wait_for("all pods compute", || {
        let status = server.job(name)["status"].clone();
        if status["ready"] == number { Ok(()) } else { Err(status) }
    });
}

/// Rounds of five pods that compute until their Job's deadline: from the deadline to the instant at which the node saw
/// their end.
fn deadlines(server: &Server, rounds: usize) -> u32 {
    let mut late = Vec::new();
    for round in 0..rounds {
        let name = format!("deadline-{round}");
        let spec = "  completions: 5\n  parallelism: 5\n  activeDeadlineSeconds: 1";
        server.create(&job(&name, "loop", &["loop"], spec));
        server.wait_for_end(&name);
        for pod in server.pods(&name) {
            let annotation = |of: &str| pod["metadata"]["annotations"][of].as_str().map(str::to_owned);
            let used: Value = annotation("kiln.dev/usage").map_or(Value::Null, |u| serde_json::from_str(&u).unwrap());
            let Some(finished) = used["finished"].as_str() else {
                panic!("a pod that did not run: {}", pod["status"]);
            };
            let at = |text: &str| text.parse::<Timestamp>().unwrap();
            let deadline = annotation("kiln.dev/deadline").unwrap();
            late.push(at(finished).duration_since(at(&deadline)).as_secs_f64() * 1e3);
        }
    }
    let [_, _, most] = spread(&format!("deadlines met late beside {COMPUTING} computing pods"), late, "ms");
    told("the latest of them", most, 10.0, "ms")
}

/// From the POST of a pod to the news that it has succeeded.
fn short(server: &Server, number: usize) -> u32 {
    let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
    let base = format!("{}/api/v1/namespaces/default/pods", server.url);
    // One before, so that the module is compiled.
    let millis = (0..=number).map(|n| {
        let name = format!("line-{n}");
        let watch = format!("{base}?watch=true&fieldSelector=metadata.name%3D{name}");
        let mut watched = agent.get(&watch).call().unwrap();
        let pod = serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "hello"}]}});
        let begun = Instant::now();
        agent.post(&base).header("Content-Type", "application/json").send(pod.to_string()).unwrap();
        for line in BufReader::new(watched.body_mut().as_reader()).lines() {
            let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if event["object"]["status"]["phase"] == "Succeeded" {
                break;
            }
        }
        begun.elapsed().as_secs_f64() * 1e3
    });
    let millis: Vec<f64> = millis.skip(1).collect();
    let [median, _, most] = spread(&format!("POST to Succeeded of one line behind {COMPUTING} pods"), millis, "ms");
    told("the median of them", median, 200.0, "ms") + told("the slowest of them", most, 200.0, "ms")
}

/// How much slower `/readyz` and a list of pods are answered beside a pod that computes.
fn api(server: &Server, number: usize) -> u32 {
    server.create(&job("some", "exit0", &["exit0"], "  completions: 20\n  parallelism: 5"));
    server.wait_for_end("some");
    let ask = |path: &str| -> Vec<f64> {
        let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
        let url = format!("{}{path}", server.url);
        let once = || {
            let begun = Instant::now();
            agent.get(&url).call().unwrap().body_mut().as_reader().read_to_end(&mut Vec::new()).unwrap();
            begun.elapsed().as_secs_f64() * 1e3
        };
        (0..number).map(|_| once()).collect()
    };
    let paths = ["/readyz", "/api/v1/namespaces/default/pods"];
    // The first answers pay for connections and caches.
    paths.iter().for_each(|path| drop(ask(path)));
    let idle: Vec<[f64; 3]> = paths.iter().map(|path| spread(&format!("GET {path}, idle"), ask(path), "ms")).collect();
    computing(server, "one", 1);
    std::thread::park_timeout(Duration::from_millis(200));
    let mut gross = 0;
    for (path, idle) in paths.iter().zip(idle) {
        let [median, p99, _] = spread(&format!("GET {path}, beside a computing pod"), ask(path), "ms");
        println!("the 99th percentile is {:.2} times that of an idle node", p99 / idle[1]);
        gross += told(&format!("GET {path}: the median, against that of an idle node"), median / idle[0], 1.5, "times");
    }
    let gone = server.send("DELETE", "/apis/batch/v1/namespaces/default/jobs/one", "application/json", b"");
    assert_eq!(gone.0, 200, "{}", gone.1);
    gross
}
