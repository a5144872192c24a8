//! The negative corpus: for each limit a guest that breaks it and one that just obeys it, as Jobs of the real program.
//! Each ending has its own reason, exit code and message, and the server goes on as if nothing had been.
//!
//! One server and all Jobs at once: a guest that breaks a limit must not disturb another.

use std::path::Path;

use rustix::fs::{Mode, OFlags};
use serde_json::Value;

use super::harness::{Server, guest, job, wait_for};

/// A guest, the limits it has, and how its container must end.
struct Case {
    name: &'static str,
    guest: &'static str,
    argument: &'static str,
    given: Given,
    reason: &'static str,
    exit_code: i64,
    /// Words of the message, all of which must be there.
    message: &'static [&'static str],
}

#[derive(Clone, Copy)]
enum Given {
    Nothing,
    /// `activeDeadlineSeconds` of the Job.
    JobSeconds(u32),
    /// `activeDeadlineSeconds` of the pod.
    PodSeconds(u32),
    Memory(&'static str),
    Fuel(&'static str),
    /// `sizeLimit` of an emptyDir volume that it has.
    Volume(&'static str),
    /// `ephemeral-storage`: what it may write in all.
    Storage(&'static str),
}

use Given::{Fuel, JobSeconds, Memory, Nothing, PodSeconds, Storage, Volume};

const fn obeys(name: &'static str, guest: &'static str, argument: &'static str, given: Given) -> Case {
    Case { name, guest, argument, given, reason: "Completed", exit_code: 0, message: &[] }
}

const fn breaks(
    name: &'static str,
    guest: &'static str,
    argument: &'static str,
    given: Given,
    (reason, exit_code): (&'static str, i64),
    message: &'static [&'static str],
) -> Case {
    Case { name, guest, argument, given, reason, exit_code, message }
}

const LATE: (&str, i64) = ("DeadlineExceeded", 137);
const OOM: (&str, i64) = ("OOMKilled", 137);
const TRAP: (&str, i64) = ("Error", 134);
const FULL: (&str, i64) = ("Evicted", 137);

const CASES: &[Case] = &[
    // Wall clock: asleep, computing, inside long calls of the host, and before the first instruction of the program.
    obeys("job-time-in", "sleep", "300", JobSeconds(30)),
    breaks("job-time", "sleep", "60000", JobSeconds(1), LATE, &["deadline"]),
    obeys("pod-time-in", "sleep", "300", PodSeconds(30)),
    breaks("pod-time", "sleep", "60000", PodSeconds(1), LATE, &["deadline"]),
    breaks("time-loop", "loop", "", PodSeconds(1), LATE, &["deadline"]),
    breaks("time-component", "component-loop", "", PodSeconds(1), LATE, &["deadline"]),
    breaks("time-flood", "flood-large", "", PodSeconds(1), LATE, &["deadline"]),
    breaks("time-start", "start-loop", "", PodSeconds(1), LATE, &["deadline"]),
    // Fuel. `the_same_work_burns_the_same_fuel_each_time` has the exact bound.
    obeys("fuel-in", "n-turns", "1000000", Fuel("1G")),
    breaks("fuel", "n-turns", "1000000000", Fuel("1M"), ("FuelExhausted", 137), &["1000000 units"]),
    breaks("fuel-start", "start-loop", "", Fuel("1M"), ("FuelExhausted", 137), &["1000000 units"]),
    // Linear memory: 16 pages of 64 KiB are a mebibyte, and the guest has two from the start.
    obeys("memory-in", "n-pages", "14", Memory("1Mi")),
    breaks("memory", "n-pages", "15", Memory("1Mi"), OOM, &["1048576 bytes"]),
    breaks("memory-exit", "grow-exit", "", Memory("1Mi"), OOM, &["1048576 bytes"]),
    breaks("memory-cope", "grow-cope", "", Memory("1Mi"), ("Error", 3), &[]),
    breaks("memory-default", "n-pages", "10000", Nothing, OOM, &["536870912 bytes"]),
    obeys("memory-start-in", "print-args", "", Memory("192Ki")),
    breaks("memory-start", "print-args", "", Memory("191Ki"), ("StartError", 128), &["196608 bytes", "195584"]),
    // Tables.
    obeys("table-in", "n-entries", "99999", Nothing),
    breaks("table", "n-entries", "100000", Nothing, TRAP, &["unreachable"]),
    // The stack of calls.
    obeys("stack-in", "n-deep", "5000", Nothing),
    breaks("stack", "n-deep", "100000000", Nothing, TRAP, &["call stack exhausted", "deeper"]),
    // Files and timers held at once.
    obeys("files-in", "n-files", "1000", Nothing),
    breaks("files", "n-files", "1024", Nothing, TRAP, &["resource table"]),
    obeys("timers-in", "n-timers", "500", Nothing),
    breaks("timers", "n-timers", "2000", Nothing, TRAP, &["resource table"]),
    // What one call may make the host hold: 48 is ENOMEM.
    obeys("call-in", "n-mebibytes", "60", Nothing),
    breaks("call", "n-mebibytes", "65", Nothing, ("Error", 48), &[]),
    // How many buffers one call may name: 28 is EINVAL.
    obeys("buffers-in", "n-buffers", "1024", Nothing),
    breaks("buffers", "n-buffers", "1025", Nothing, ("Error", 28), &[]),
    breaks("buffers-many", "n-buffers", "8380000", Nothing, ("Error", 28), &[]),
    obeys("random-in", "random", "", Memory("1100Mi")),
    breaks("random", "random-oob", "", Nothing, TRAP, &["wasm backtrace"]),
    // Output: kept in part, and no fault. `a_flood_of_output_is_kept_in_part` looks at the log.
    obeys("output-in", "n-lines", "20000", Nothing),
    obeys("output", "n-lines", "1000000", Nothing),
    // Faults of the program.
    breaks("abort", "trap", "", Nothing, TRAP, &["unreachable", "guest::deep::down", "middle"]),
    breaks("pointer", "oob", "", Nothing, TRAP, &["out of bounds memory access", "wasm backtrace"]),
    breaks("pointer-of-call", "bad-pointer", "", Nothing, TRAP, &["wasm backtrace"]),
    breaks("divide", "divide", "", Nothing, TRAP, &["integer divide by zero"]),
    breaks("indirect", "indirect", "", Nothing, TRAP, &["uninitialized element"]),
    // Exit codes.
    obeys("exit-0", "exit-code", "0", Nothing),
    breaks("exit-1", "exit-code", "1", Nothing, ("Error", 1), &[]),
    breaks("exit-126", "exit-code", "126", Nothing, ("Error", 126), &[]),
    breaks("exit-127", "exit-code", "127", Nothing, ("Error", 127), &[]),
    breaks("exit-137", "exit-code", "137", Nothing, ("Error", 137), &[]),
    breaks("exit-255", "exit-code", "255", Nothing, ("Error", 255), &[]),
    breaks("exit-component", "component-fails", "", Nothing, ("Error", 1), &[]),
    // Disk. The guest's memory and its file are both of this size; 512 MiB of memory are enough for it.
    obeys("volume-in", "n-mebibytes", "3", Volume("4Mi")),
    breaks("volume", "n-mebibytes", "5", Volume("4Mi"), FULL, &[]),
    obeys("storage-in", "n-mebibytes", "3", Storage("4Mi")),
    breaks("storage", "n-mebibytes", "5", Storage("4Mi"), FULL, &[]),
    // Directories deeper than a host's stack, files or paths go: what a guest can make, kiln can remove.
    obeys("nested", "n-nested", "30000", Nothing),
    // What is not there.
    breaks("no-sockets", "socket", "", Nothing, ("Error", 57), &[]),
    breaks("no-way-out", "escape", "", Nothing, ("Error", 63), &[]),
    obeys("no-input", "stdin-read", "", Nothing),
];

impl Case {
    fn manifest(&self) -> String {
        let command: &[&str] = if self.argument.is_empty() { &[self.guest] } else { &[self.guest, self.argument] };
        let mut spec = "  backoffLimit: 0".to_owned();
        if let JobSeconds(seconds) = self.given {
            spec += &format!("\n  activeDeadlineSeconds: {seconds}");
        }
        let manifest = job(self.name, self.guest, command, &spec);
        let limit = |name: &str, value: &str| format!("        resources: {{limits: {{{name}: {value}}}}}\n");
        match self.given {
            Nothing | JobSeconds(_) => manifest,
            PodSeconds(seconds) => {
                manifest.replace("Never\n", &format!("Never\n      activeDeadlineSeconds: {seconds}\n"))
            }
            Memory(value) => manifest + &limit("memory", value),
            Fuel(value) => manifest + &limit("kiln.dev/fuel", value),
            Storage(value) => manifest + &limit("ephemeral-storage", value),
            Volume(value) => {
                manifest
                    + "        volumeMounts: [{name: v, mountPath: /v}]\n"
                    + &format!("      volumes: [{{name: v, emptyDir: {{sizeLimit: {value}}}}}]\n")
            }
        }
    }

    /// What is not as it should be.
    fn faults(&self, server: &Server) -> Vec<String> {
        let (_, end) = server.wait_for_end(self.name);
        let pods = server.pods(self.name);
        let [pod] = &pods[..] else { return vec![format!("{}: {} pods", self.name, pods.len())] };
        let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
        let mut faults = Vec::new();
        let mut expect = |what: &str, seen: &Value, expected: Value| {
            if *seen != expected {
                faults.push(format!("{}: {what} is {seen}, not {expected}: {}", self.name, pod["status"]));
            }
        };
        expect("reason", &ended["reason"], self.reason.into());
        expect("exit code", &ended["exitCode"], self.exit_code.into());
        let succeeded = self.exit_code == 0;
        expect("phase", &pod["status"]["phase"], if succeeded { "Succeeded" } else { "Failed" }.into());
        expect("the Job's end", &end.0.into(), if succeeded { "Complete" } else { "Failed" }.into());
        if [LATE, FULL].contains(&(self.reason, self.exit_code)) {
            expect("the pod's reason", &pod["status"]["reason"], self.reason.into());
        }
        match self.given {
            Volume(limit) if !succeeded => {
                let words = format!("Usage of EmptyDir volume \"v\" exceeds the limit \"{limit}\". ");
                expect("the pod's message", &pod["status"]["message"], words.into());
            }
            Storage(limit) if !succeeded => {
                let words = format!("Container c exceeded its local ephemeral storage limit \"{limit}\". ");
                expect("the pod's message", &pod["status"]["message"], words.into());
            }
            _ => {}
        }
        let message = ended["message"].as_str().unwrap_or_default();
        for words in self.message {
            expect(&format!("'{words}' in the message '{message}'"), &message.contains(words).into(), true.into());
        }
        faults
    }
}

#[test]
fn each_limit_is_kept_and_each_ending_is_told() {
    let server = Server::start();
    let mut guests: Vec<&str> = CASES.iter().map(|case| case.guest).collect();
    guests.sort_unstable();
    guests.dedup();
    for name in guests {
        server.push(name, &guest(name));
    }
    for case in CASES {
        server.create(&case.manifest());
    }
    let faults: Vec<String> = CASES.iter().flat_map(|case| case.faults(&server)).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));

    a_flood_of_output_is_kept_in_part(&server);
    // The server is none the worse for it.
    server.push_example("hello");
    server.create(&job("after", "hello", &["hello"], ""));
    assert_eq!(server.wait_for_end("after").1.0, "Complete");
    assert_eq!(server.send("GET", "/readyz", "text/plain", b"").0, 200);
}

/// 20,000 lines are kept whole; of a million, 61 MiB, the first 4 MiB and the last 256 KiB are, and a line says so.
fn a_flood_of_output_is_kept_in_part(server: &Server) {
    let log = |job: &str| String::from_utf8(server.log_bytes(&server.pods(job)[0])).unwrap();
    let whole = log("output-in");
    assert_eq!((whole.len(), whole.matches(" dropped here").count()), (20_000 * 64, 0));

    let part = log("output");
    let name = server.pods("output")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let url = format!("{}/api/v1/namespaces/default/pods/{name}/log?stream=", server.url);
    let of = |stream: &str| {
        let body = ureq::get(format!("{url}{stream}")).call().unwrap().into_body();
        body.into_with_config().limit(64 << 20).read_to_string().unwrap()
    };
    assert!(of("Stdout") == part && of("Stderr").is_empty(), "the line stands in the stream that has lost bytes");
    let (head, rest) = part.split_once("\n[kiln: ").unwrap();
    let (note, tail) = rest.split_once("]\n").unwrap();
    let dropped: usize = note.split(' ').next().unwrap().parse().unwrap();
    assert!(
        note.ends_with("bytes of stdout dropped here: the first 4 MiB and the last 256 KiB of the log are kept"),
        "{note}"
    );
    assert!(head.starts_with('A') && tail.contains("\nZ123"), "its first and its last line are there");
    // What each record takes beside its 64 bytes counts as well.
    assert!((2 << 20..=4 << 20).contains(&head.len()), "{}", head.len());
    assert!((128 << 10..=256 << 10).contains(&tail.len()), "{}", tail.len());
    assert_eq!(head.len() + dropped + tail.len(), 1_000_000 * 64);
}

/// The fuel that the pod of a Job used.
fn fuel(server: &Server, job: &str) -> Vec<u64> {
    assert_eq!(server.wait_for_end(job).1.0, "Complete", "{job}");
    let used = |pod: &Value| {
        let usage: Value = serde_json::from_str(pod["metadata"]["annotations"]["kiln.dev/usage"].as_str()?).ok()?;
        usage["fuel"].as_u64()
    };
    server.pods(job).iter().map(|pod| used(pod).unwrap()).collect()
}

#[test]
fn the_same_work_burns_the_same_fuel_each_time() {
    let server = Server::start();
    server.push("n-turns", &guest("n-turns"));
    server.push("loop", &guest("loop"));
    server.push_example("pi");
    // Twenty times each, four at once, while others keep all cores busy.
    server.create(&job("hogs", "loop", &["loop"], "  parallelism: 4\n  completions: 4"));
    let twenty = "  completions: 20\n  parallelism: 4";
    server.create(&job("turns", "n-turns", &["n-turns", "3000000"], twenty));
    server.create(&job("pi", "pi", &["pi", "500"], twenty));
    let price = fuel(&server, "turns");
    assert_eq!(price, vec![price[0]; 20]);
    let pi = fuel(&server, "pi");
    assert_eq!(pi, vec![pi[0]; 20]);
    println!("3,000,000 turns: {} fuel; 500 digits of pi: {}", price[0], pi[0]);
    let path = "/apis/batch/v1/namespaces/default/jobs/hogs?propagationPolicy=Background";
    assert_eq!(server.send("DELETE", path, "application/json", b"").0, 200);
    assert_eq!(fuel(&server, "turns"), price);

    // Its price is enough, and a little less is not: fuel is looked at once per turn of a loop and per call.
    let limited = |name: &str, fuel: u64| {
        let limits = format!("        resources: {{limits: {{kiln.dev/fuel: \"{fuel}\"}}}}\n");
        server.create(&(job(name, "n-turns", &["n-turns", "3000000"], "  backoffLimit: 0") + &limits));
        server.wait_for_end(name).1.0
    };
    assert_eq!(limited("enough", price[0]), "Complete");
    assert_eq!(limited("short", price[0] - 100), "Failed");
    let ended = &server.pods("short")[0]["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(ended["reason"], "FuelExhausted");
}

#[test]
fn no_more_pods_run_at_once_than_the_node_allows() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--max-pods", "2"]);
    server.push("sleep", &guest("sleep"));
    server.create(&job("many", "sleep", &["sleep", "400"], "  completions: 8\n  parallelism: 8"));
    let mut most = 0;
    let seen = wait_for("all of them to end", || {
        let pods = server.pods("many");
        let phases: Vec<_> = pods.iter().map(|pod| pod["status"]["phase"].as_str().unwrap_or("").to_owned()).collect();
        let count = |phase: &str| phases.iter().filter(|p| *p == phase).count();
        most = most.max(count("Running"));
        if count("Running") == 2 {
            assert!(count("Pending") + count("Succeeded") == phases.len() - 2, "{phases:?}");
        }
        if count("Succeeded") == 8 { Ok(most) } else { Err(phases) }
    });
    assert_eq!(seen, 2, "at most two ran at once, and two did");
}

/// Directories one in the other, as many as would overflow the stack of whoever removes them by recursion, in a pod that
/// is still there when kiln dies: the next start removes them, and the Job goes on. Made from outside, as the guest of
/// the case `nested` makes them, because it takes a guest a hundred times as long.
#[test]
fn what_a_guest_left_does_not_keep_kiln_from_starting() {
    let server = Server::start();
    server.push("sleep", &guest("sleep"));
    let volume = "        volumeMounts: [{name: v, mountPath: /v}]\n      volumes: [{name: v, emptyDir: {}}]\n";
    server.create(&(job("left", "sleep", &["sleep"], "  backoffLimit: 0") + volume));
    let running = |server: &Server, but: &str| {
        wait_for("a pod that runs", || {
            let pods = server.pods("left");
            let uid = |pod: &Value| pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
            let found = pods.iter().find(|pod| pod["status"]["phase"] == "Running" && uid(pod) != but).map(uid);
            found.ok_or(pods)
        })
    };
    let first = running(&server, "");
    let place = |server: &Server, uid: &str| server.dir.path().join("data/pods").join(uid);
    nest(&place(&server, &first).join("empty/v"), 30_000);
    let server = Server::start_in(server.kill());
    let second = running(&server, &first);
    assert!(!place(&server, &first).exists(), "the first pod's directories are gone");
    assert!(place(&server, &second).join("empty/v").exists(), "{second} has its own");
}

fn nest(top: &Path, levels: usize) {
    let directory = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut here = rustix::fs::open(top, directory, Mode::empty()).unwrap();
    for _ in 0..levels {
        rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
        here = rustix::fs::openat(&here, "d", directory, Mode::empty()).unwrap();
    }
}
