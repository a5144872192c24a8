//! `kiln run`: no server, one command.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::harness::{KILN, example, example_module, guest, job};

/// `kiln run`, which keeps compiled code apart from that of whoever runs the tests.
fn command() -> Command {
    let mut command = Command::new(KILN);
    command.arg("run").env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
    command
}

fn run(manifest: &Path) -> Output {
    command().arg(manifest).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A directory with a manifest and modules beside it.
fn with(manifest: &str, modules: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("job.yaml"), manifest).unwrap();
    for (name, bytes) in modules {
        std::fs::write(dir.path().join(format!("{name}.wasm")), bytes).unwrap();
    }
    dir
}

#[test]
fn the_pi_job_prints_pi_five_times() {
    let output = run(&example("pi").join("job.yaml"));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines: Vec<(&str, &str)> = text.lines().map(|l| l.split_once(" | ").unwrap()).collect();
    assert_eq!(lines.len(), 5);
    for (pod, pi) in lines {
        assert!(pod.starts_with("pi-"), "{pod}");
        assert!(pi.len() == 2001 && pi.starts_with("3.14159") && pi.ends_with("4780275901"), "{pi}");
    }
    assert!(said(&output).contains("job default/pi: Complete, 5/5 succeeded"), "{}", said(&output));
}

#[test]
fn a_failed_job_is_exit_code_1_and_its_output_is_there() {
    let dir = with(&job("f", "exit", &["exit", "3"], "  backoffLimit: 0"), &[("exit", guest("exit-code"))]);
    let output = run(&dir.path().join("job.yaml"));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("BackoffLimitExceeded"), "{}", said(&output));
}

#[test]
fn config_maps_and_secrets_of_the_manifest_reach_the_guest() {
    let job = job("h", "hello", &["hello", "$(WHO)"], "").replace(
        "        command:",
        "        env:\n        - {name: WHO, valueFrom: {configMapKeyRef: {name: m, key: who}}}\n        \
         envFrom: [{secretRef: {name: s}}]\n        command:",
    );
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {who: Ada}\n";
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {GREETING: Ahoy}\n";
    let dir = with(&format!("{job}---\n{map}---\n{secret}"), &[("hello", example_module("hello"))]);
    let output = run(&dir.path().join("job.yaml"));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("Ada"), "{text}");
}

#[test]
fn a_wrong_manifest_is_exit_code_2_with_document_line_and_field() {
    let good = job("x", "pi", &["pi"], "");
    let cases = [
        (
            good.replace("spec:\n\n", "spec:\n  paralelism: 2\n"),
            "document 1, line 6: unknown field \"spec.paralelism\"",
        ),
        (good.replace("Never", "Always"), "spec.template.spec.restartPolicy: Required value"),
        (format!("{good}---\napiVersion: v1\nkind: Service\n"), "document 2"),
        ("a: [".to_owned(), "invalid YAML"),
    ];
    for (manifest, says) in cases {
        let dir = with(&manifest, &[]);
        let output = run(&dir.path().join("job.yaml"));
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(says), "{says:?} in {:?}", said(&output));
    }
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let manifest =
        job("f", "ok", &["ok"], "").replace("name: f\n", "name: f\n  annotations: {kiln.dev/on-delete: wait}\n");
    let dir = with(&manifest, &[("ok", guest("exit0"))]);
    let output = run(&dir.path().join("job.yaml"));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let warning = "Warning: metadata.annotations[kiln.dev/on-delete]: has no effect on a Job; set it on spec.template";
    assert!(said(&output).contains(warning), "{}", said(&output));
}

#[test]
fn a_missing_module_says_where_it_was_looked_for() {
    let dir = with(&job("x", "nothing", &["x"], ""), &[]);
    let output = run(&dir.path().join("job.yaml"));
    let text = said(&output);
    let file = dir.path().join("nothing.wasm").display().to_string();
    assert!(output.status.code() == Some(2) && text.contains(&file) && text.contains("kiln push"), "{text}");
}

#[test]
fn an_interrupt_stops_the_pods_and_is_exit_code_130() {
    let dir = with(&job("s", "sleep", &["sleep", "3600"], ""), &[("sleep", example_module("sleep"))]);
    let mut child = command().arg(dir.path().join("job.yaml")).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("sleeping"), "{line}");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
