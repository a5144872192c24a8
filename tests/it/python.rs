//! Clients in Python, unmodified: the official client of Kubernetes (`tests/clients/python_client.py`), and schemathesis,
//! which asks what kiln's own OpenAPI documents allow and forbid (`tests/clients/fuzz.py`).

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::harness::{Server, job};

/// Random requests of each operation in `make test`. `make fuzz` asks for more, and before them for the edges of every
/// field: tens of thousands of requests for each write of a Job or a pod. schemathesis takes some milliseconds to think of
/// each (four fifths of all the time, measured; kiln a tenth of a millisecond to refuse it), so they are asked for in JSON
/// only.
const EXAMPLES: &str = "4";

pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// A program of the Python environment that `make tools` installs.
pub fn tool(name: &str) -> Command {
    let bundled = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tools/clients");
    let environment = std::env::var_os("KILN_PYTHON_CLIENTS").map_or(bundled, PathBuf::from);
    let program = environment.join("bin").join(name);
    assert!(program.exists(), "{} is not there: run `make tools`", program.display());
    let mut command = Command::new(program);
    // Nothing of the caller's: no kubeconfig, no proxy, no Python path.
    command.env_clear().env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUTF8", "1");
    command
}

pub fn assert_success(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{text}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn the_official_client_does_what_its_users_do() {
    let server = Server::start();
    server.push_example("hello");
    server.push_example("sleep");
    server.push("loop", &super::harness::example_module("infinite-loop"));
    let home = server.dir.path().display().to_string();
    let mut python = tool("python");
    let output = python.arg(script("python_client.py")).arg(&server.url).env("HOME", home).output().unwrap();
    println!("{}", assert_success(&output));
}

/// Whatever the documents allow, and much that they forbid, is answered in their terms: never with a fault of the server,
/// each refusal as a Status, and each success as the schema says. The server is the same for all, so that it holds more
/// and more; and it must still run Jobs at the end.
#[test]
fn no_request_that_the_documents_allow_or_forbid_makes_a_fault() {
    let server = Server::start();
    server.push_example("hello");
    let index = server.get("/openapi/v3");
    let paths: Vec<&String> = index["paths"].as_object().unwrap().keys().collect();
    assert!(paths.len() >= 3, "{paths:?}");
    let wanted = std::env::var("KILN_FUZZ_EXAMPLES").ok();
    let phases: &[&str] = if wanted.is_some() { &["coverage", "fuzzing"] } else { &["fuzzing"] };
    let examples = wanted.unwrap_or_else(|| EXAMPLES.to_owned());
    // The same questions each time, unless more are asked for.
    let seed = std::env::var("KILN_FUZZ_SEED").unwrap_or_else(|_| "1".to_owned());
    for (path, phase) in paths.iter().flat_map(|path| phases.iter().map(move |phase| (path, *phase))) {
        let mut schemathesis = tool("schemathesis");
        let location = format!("{}/openapi/v3/{path}", server.url);
        let checks = "no_fault_of_the_server,every_refusal_is_a_status,response_schema_conformance";
        let output = schemathesis
            .args(["run", &location, "--url", &server.url, "--phases", phase, "--checks", checks])
            .args(["--max-examples", &examples, "--seed", &seed, "--request-timeout", "30"])
            .args(["--continue-on-failure", "--no-shrink", "--warnings", "off", "--suppress-health-check", "all"])
            .env("SCHEMATHESIS_HOOKS", script("fuzz.py"))
            .env("HOME", server.dir.path())
            .envs((phase == "coverage").then_some(("KILN_FUZZ_ONLY_JSON", "1")))
            .current_dir(server.dir.path())
            .output()
            .unwrap();
        println!("{path}, {phase}: {}", assert_success(&output));
    }
    // It may have been deleted with all others.
    server.push_example("hello");
    server.create(&job("after", "hello", &["hello"], ""));
    assert_eq!(server.wait_for_end("after").1.0, "Complete");
}
