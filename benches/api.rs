//! The figures of the HTTP API that docs/api.md quotes, through the real server with its state on disk: `make bench-api`.
//!
//! - a list of 10,000 pods, as JSON and as a Table: until its first and its last byte, and what the server's memory grows
//!   by meanwhile;
//! - 1,000 watchers of pods while a Job of 1,000 pods runs: how late each learns of a change, what they cost in computing
//!   and memory, and that one who reads nothing beside them harms nobody;
//! - how many small requests a second are answered.
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

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use harness::{Server, guest, job, wait_for};
use parking_lot::Mutex;
use serde_json::json;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let chosen = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let mut gross = 0;
    if chosen("list") {
        gross += list(if quick { 1_000 } else { 10_000 });
    }
    if chosen("watch") {
        gross += watch(if quick { 100 } else { 1_000 }, if quick { 100 } else { 1_000 });
    }
    if chosen("small") {
        gross += small(if quick { 500 } else { 5_000 });
    }
    std::process::exit(i32::from(gross > 0));
}

/// Prints a figure beside its target; 1 if it is missed tenfold.
fn told(what: &str, figure: f64, target: f64, unit: &str) -> u32 {
    let verdict = if figure <= target { "met" } else { "MISSED" };
    println!("{what}: {figure:.2} {unit}; target at most {target} {unit}: {verdict}");
    u32::from(figure > 10.0 * target)
}

/// Median, 99th percentile and largest.
fn spread(mut numbers: Vec<f64>) -> [f64; 3] {
    numbers.sort_by(f64::total_cmp);
    let n = numbers.len();
    [numbers[n / 2], numbers[(n * 99).div_ceil(100) - 1], numbers[n - 1]]
}

/// Mebibytes of memory that the server holds (`VmRSS`), or held at most since [`forget_peak`] (`VmHWM`).
fn memory(server: &Server, what: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let kib = status.lines().find_map(|l| l.strip_prefix(what)?.strip_prefix(':')?.trim().strip_suffix(" kB")).unwrap();
    kib.trim().parse::<f64>().unwrap() / 1024.0
}

fn forget_peak(server: &Server) {
    std::fs::write(format!("/proc/{}/clear_refs", server.child.id()), "5").unwrap();
}

/// Seconds of computing of the server so far.
fn cpu(server: &Server) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.child.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn metric(server: &Server, name: &str) -> f64 {
    let (_, text) = server.send("GET", "/metrics", "", b"");
    let text = text.as_str().unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok()).unwrap_or_default()
}

/// A server that keeps what has ended, with the guest `ok`.
fn server(more: &[&str]) -> Server {
    let args = [&["--terminated-pod-gc-threshold", "0"], more].concat();
    let server = Server::start_with(tempfile::tempdir().unwrap(), &args);
    server.push("ok", &guest("exit0"));
    server
}

fn run(server: &Server, name: &str, pods: usize) {
    let spec = format!("  completions: {pods}\n  parallelism: 64");
    server.create(&job(name, "ok", &["ok"], &spec));
    server.wait_for_end(name);
}

struct Listed {
    first: f64,
    last: f64,
    bytes: usize,
}

/// Reads an answer to its end, in milliseconds, without keeping it.
fn read(server: &Server, path: &str, headers: &str) -> Listed {
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    let begun = Instant::now();
    stream.write_all(request.as_bytes()).unwrap();
    let (mut piece, mut bytes, mut first) = (vec![0; 256 << 10], 0, None);
    loop {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            n => {
                if bytes == 0 {
                    assert!(piece.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&piece[..n.min(500)]));
                }
                bytes += n;
            }
        }
        first.get_or_insert_with(|| begun.elapsed());
    }
    let millis = |took: Duration| took.as_secs_f64() * 1e3;
    Listed { first: millis(first.unwrap()), last: millis(begun.elapsed()), bytes }
}

fn list(pods: usize) -> u32 {
    let server = server(&[]);
    run(&server, "many", pods);
    let mut gross = 0;
    let gzip = "Accept-Encoding: gzip\r\n";
    let table = format!("Accept: {TABLE}\r\n");
    for (what, headers) in [
        ("JSON", String::new()),
        ("Table", table.clone()),
        ("JSON, gzip", gzip.to_owned()),
        ("Table, gzip", format!("{table}{gzip}")),
    ] {
        read(&server, PODS, &headers);
        let before = memory(&server, "VmRSS");
        forget_peak(&server);
        let answers: Vec<Listed> = (0..9).map(|_| read(&server, PODS, &headers)).collect();
        let grown = memory(&server, "VmHWM") - before;
        let megabytes = answers[0].bytes as f64 / 1e6;
        let [first, ..] = spread(answers.iter().map(|a| a.first).collect());
        let [last, _, most] = spread(answers.iter().map(|a| a.last).collect());
        println!(
            "list of {pods} pods as {what}: {megabytes:.1} MB, first byte {first:.1} ms, whole {last:.0} ms, most {most:.0} ms"
        );
        if !what.ends_with("gzip") {
            gross += told(&format!("  the whole list as {what}"), last, 300.0, "ms");
        }
        gross += told("  the server's memory grows meanwhile by", grown, 8.0, "MiB");
    }
    // Many at once.
    let before = memory(&server, "VmRSS");
    forget_peak(&server);
    let begun = Instant::now();
    std::thread::scope(|scope| (0..16).for_each(|_| drop(scope.spawn(|| read(&server, PODS, "")))));
    let took = begun.elapsed().as_secs_f64();
    println!("16 such lists at once: all read after {took:.2} s");
    gross + told("  the server's memory grows meanwhile by", memory(&server, "VmHWM") - before, 64.0, "MiB")
}

/// What the watchers saw together.
#[derive(Default)]
struct Seen {
    /// Milliseconds from the sending of a change to its arrival.
    late: Mutex<Vec<f64>>,
    bytes: AtomicUsize,
    probes: AtomicUsize,
}

const MARK: &str = "probe-at-";

/// Reads a watch to its end; finds the marks, also where they lie across two pieces.
async fn follow(address: String, path: String, accept: &'static str, started: Instant, seen: Arc<Seen>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut held = Vec::with_capacity(128 << 10);
    loop {
        let from = held.len();
        match stream.read_buf(&mut held).await {
            Ok(n) if n > 0 => seen.bytes.fetch_add(n, Relaxed),
            _ => return,
        };
        let now = started.elapsed().as_nanos() as f64 / 1e6;
        let begin = from.saturating_sub(64);
        let mut at = begin;
        // Most pieces have none, which is known in a fraction of the time.
        let may_be = std::str::from_utf8(&held[begin..]).map_or(true, |text| text.contains(MARK));
        while let Some(found) = may_be.then(|| find(&held[at..], MARK.as_bytes())).flatten() {
            let digits = at + found + MARK.len();
            let Some(end) = held[digits..].iter().position(|b| !b.is_ascii_digit()) else { break };
            at = digits + end;
            // Of those that were looked at before, only what was not complete then.
            if at <= from {
                continue;
            }
            let sent: f64 = std::str::from_utf8(&held[digits..at]).unwrap().parse().unwrap();
            seen.late.lock().push(now - sent / 1e6);
            seen.probes.fetch_add(1, Relaxed);
        }
        let keep = held.len().min(64);
        held.drain(..held.len() - keep);
    }
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = within[from..].iter().position(|b| *b == what[0]) {
        if within[from + at..].starts_with(what) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

fn watch(watchers: usize, pods: usize) -> u32 {
    let mut gross = 0;
    for (what, accept) in [("Table", TABLE), ("JSON", "application/json")] {
        // In turns: who watches the same shares whole pieces; who selects in words of its own shares lines with others.
        for alike in [true, false, true, false] {
            gross += watch_as(what, accept, alike, watchers, pods);
        }
    }
    gross
}

fn watch_as(what: &str, accept: &'static str, alike: bool, watchers: usize, pods: usize) -> u32 {
    let server = server(&["--limit", "stall-seconds=600"]);
    let probe = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "none"}]}});
    let created = server.send("POST", PODS, "application/json", probe.to_string().as_bytes());
    assert_eq!(created.0, 201, "{}", created.1);
    // Without watchers, twice: the first pays for what is done once.
    run(&server, "warm", pods);
    let (before, begun) = (cpu(&server), Instant::now());
    run(&server, "alone", pods);
    let (alone, alone_took) = (cpu(&server) - before, begun.elapsed().as_secs_f64());
    for name in ["warm", "alone"] {
        let path = format!("/apis/batch/v1/namespaces/default/jobs/{name}?propagationPolicy=Foreground");
        server.send("DELETE", &path, "application/json", b"");
    }
    wait_for("the pods to go", || match server.get(PODS)["items"].as_array().unwrap().len() {
        1 => Ok(()),
        more => Err(more),
    });

    let address = server.url.trim_start_matches("http://").to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (seen, started) = (Arc::new(Seen::default()), Instant::now());
    let resident = memory(&server, "VmRSS");
    for n in 0..watchers {
        // Each of these selects all pods.
        let selector = if alike { String::new() } else { format!("&labelSelector=no!%3D{n}") };
        let path = format!("{PODS}?watch=true{selector}");
        runtime.spawn(follow(address.clone(), path, accept, started, seen.clone()));
    }
    let all = "apiserver_longrunning_requests{component=\"apiserver\",group=\"\",resource=\"pods\",scope=\"namespace\",\
               subresource=\"\",verb=\"WATCH\",version=\"v1\"}";
    wait_for("all to watch", || match metric(&server, all) {
        n if n == watchers as f64 => Ok(()),
        n => Err(n),
    });
    let each = (memory(&server, "VmRSS") - resident) * 1024.0 / watchers as f64;
    // One that reads nothing.
    let mut stuck = TcpStream::connect(&address).unwrap();
    stuck
        .write_all(format!("GET {PODS}?watch=true HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n").as_bytes())
        .unwrap();

    let sent = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    let change = |server: &Server| {
        let at = started.elapsed().as_nanos();
        let patch = json!({"metadata": {"annotations": {"probe": format!("probe-at-{at}")}}});
        let path = format!("{PODS}/probe");
        let (code, answer) = server.send("PATCH", &path, "application/merge-patch+json", patch.to_string().as_bytes());
        assert_eq!(code, 200, "{answer}");
        sent.fetch_add(1, Relaxed);
    };
    let arrived = |what: &str| {
        wait_for(what, || {
            let (seen, due) = (seen.probes.load(Relaxed), sent.load(Relaxed) * watchers);
            if seen == due { Ok(()) } else { Err((seen, due)) }
        });
        spread(std::mem::take(&mut *seen.late.lock()))
    };
    for _ in 0..20 {
        change(&server);
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let quiet = arrived("all changes to arrive");
    seen.bytes.store(0, Relaxed);
    forget_peak(&server);
    let (resident, before, begun) = (memory(&server, "VmRSS"), cpu(&server), Instant::now());
    let made = metric(&server, "kiln_watch_lines_made_total");
    let job_took = std::thread::scope(|scope| {
        let job = scope.spawn(|| {
            run(&server, "watched", pods);
            over.store(true, Relaxed);
            begun.elapsed().as_secs_f64()
        });
        while !over.load(Relaxed) {
            change(&server);
            std::thread::park_timeout(Duration::from_millis(100));
        }
        job.join().unwrap()
    });
    let busy = arrived("all changes to arrive");
    let took = begun.elapsed().as_secs_f64();
    let computing = cpu(&server) - before;
    let bytes = seen.bytes.load(Relaxed) as f64;
    let made = metric(&server, "kiln_watch_lines_made_total") - made;
    let words = if alike { "in the same words" } else { "each in words of its own" };
    println!("{watchers} watchers as {what}, {words}, one of them reads nothing beside; a Job of {pods} pods:");
    println!("  the Job takes {job_took:.2} s, {alone_took:.2} s without them; all is delivered after {took:.2} s");
    println!("  {:.2} GB sent, {made:.0} lines made, {computing:.2} s of computing, {alone:.2} s without", bytes / 1e9);
    println!("  from PATCH to a watcher, quiet: median {:.1} ms, p99 {:.1}, most {:.1}", quiet[0], quiet[1], quiet[2]);
    println!("  from PATCH to a watcher, busy: median {:.1} ms, p99 {:.1}, most {:.1}", busy[0], busy[1], busy[2]);
    println!("  the server's memory grows meanwhile by {:.0} MiB", memory(&server, "VmHWM") - resident);
    let gross = told("  memory of the server per watcher", each, 64.0, "KiB")
        + told("  a change reaches a watcher of a quiet server within, p99", quiet[1], 100.0, "ms")
        + told("  a change reaches a watcher of a busy server within, p99", busy[1], 1000.0, "ms");
    drop((stuck, runtime));
    gross
}

/// Small requests, one after another on each of four connections.
fn small(number: usize) -> u32 {
    let server = server(&[]);
    run(&server, "some", 10);
    let mut gross = 0;
    for path in ["/readyz", "/apis/batch/v1/namespaces/default/jobs/some"] {
        let begun = Instant::now();
        let late = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
                    let url = format!("{}{path}", server.url);
                    for _ in 0..number {
                        let begun = Instant::now();
                        agent.get(&url).call().unwrap().body_mut().as_reader().read_to_end(&mut Vec::new()).unwrap();
                        late.lock().push(begun.elapsed().as_secs_f64() * 1e3);
                    }
                });
            }
        });
        let per_second = 4.0 * number as f64 / begun.elapsed().as_secs_f64();
        let [median, p99, _] = spread(late.into_inner());
        println!("GET {path}: {per_second:.0} a second over 4 connections, median {median:.2} ms");
        gross += told("  99th percentile", p99, 10.0, "ms");
    }
    gross
}
