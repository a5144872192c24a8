//! kiln as a registry: an unmodified client pushes and pulls, and a second kiln pulls from the first.

use serde_json::Value;

use super::harness::{Server, example_module, job, wait_for};
use super::python::{assert_success, script, tool};

const TOKEN: &str = "a-token-of-this-test";

/// As image names have it.
fn host(server: &Server) -> &str {
    server.url.strip_prefix("http://").unwrap()
}

fn oras(server: &Server, token: &str) {
    let module = server.dir.path().join("hello.wasm");
    std::fs::write(&module, example_module("hello")).unwrap();
    let mut python = tool("python");
    let run = python.arg(script("oras_client.py")).arg(host(server)).arg(token).arg(&module).arg(server.dir.path());
    let output = run.env("HOME", server.dir.path()).output().unwrap();
    println!("{}", assert_success(&output));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("it exports no `_start`"), "the refusal reaches the user: {said}");
}

/// What the one pod of the Job waits for.
fn waiting(server: &Server, job: &str) -> Result<Value, Value> {
    let pods = server.pods(job);
    let state = pods.first().map(|pod| pod["status"]["containerStatuses"][0]["state"].clone()).unwrap_or_default();
    match state["waiting"]["message"].as_str() {
        Some(_) => Ok(state["waiting"].clone()),
        None => Err(state),
    }
}

#[test]
fn what_oras_pushes_runs_as_a_job() {
    let server = Server::start();
    oras(&server, "");
    for image in ["tools/hello:1", "tools/chunks:1"] {
        let name = image.replace(['/', ':'], "-");
        server.create(&job(&name, image, &["hello"], ""));
        assert_eq!(server.wait_for_end(&name).1.0, "Complete", "{image}");
        assert!(server.log(&server.pods(&name)[0]).contains("Hello"));
    }
    server.create(&job("notes", "tools/notes:1", &["notes"], ""));
    let waiting = wait_for("the artifact is no program", || waiting(&server, "notes"));
    assert_eq!(waiting["reason"], "ImagePullBackOff");
    assert!(waiting["message"].as_str().unwrap().contains("an artifact without a WebAssembly module"), "{waiting}");
    let listed = server.kubectl_ok(&["get", "modules"]);
    assert!(listed.contains("tools-hello") && listed.contains("Artifact"), "{listed}");
}

/// Starts with a token, and asks nothing before it listens.
fn with_token() -> Server {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let file = file.display().to_string();
    Server::start_with(dir, &["--token-file", &file])
}

#[test]
fn oras_logs_in_with_the_token_as_password() {
    let server = with_token();
    oras(&server, TOKEN);
    let (code, answer) = server.send("GET", "/v2/", "application/json", b"");
    assert_eq!((code, &answer["errors"][0]["code"]), (401, &Value::from("UNAUTHORIZED")));
}

#[test]
fn a_second_kiln_pulls_from_the_first() {
    let first = with_token();
    let auth = [("Authorization", &*format!("Bearer {TOKEN}")), ("Content-Type", "application/wasm")];
    let (code, answer) = first.send_with("PUT", "/modules/tools/hello:1", &auth, &example_module("hello"));
    assert_eq!(code, 201, "{answer}");
    let (_, object) = first.send_with("GET", "/apis/kiln.dev/v1/modules", &auth, b"");
    let manifest = object["items"][0]["spec"]["manifest"].as_str().unwrap().to_owned();

    let second = Server::start_with(tempfile::tempdir().unwrap(), &["--allow-registry", host(&first)]);
    let by_tag = format!("{}/tools/hello:1", host(&first));
    second.create(&job("stranger", &by_tag, &["hello"], ""));
    let told = wait_for("a stranger is refused", || waiting(&second, "stranger"));
    assert!(told["message"].as_str().unwrap().contains("imagePullSecrets"), "{told}");
    let (host_flag, password) = (format!("--docker-server={}", host(&first)), format!("--docker-password={TOKEN}"));
    second.kubectl_ok(&["create", "secret", "docker-registry", "first", &host_flag, "--docker-username=me", &password]);
    let by_digest = format!("{}/tools/hello@{manifest}", host(&first));
    for (name, image) in [("by-tag", &by_tag), ("by-digest", &by_digest)] {
        let manifest = job(name, image, &["hello"], "") + "      imagePullSecrets: [{name: first}]\n";
        second.create(&manifest);
        assert_eq!(second.wait_for_end(name).1.0, "Complete", "{name}");
        assert!(second.log(&second.pods(name)[0]).contains("Hello"));
    }
    // It is there under the same manifest, and says from where it came.
    let pulled = second.get("/apis/kiln.dev/v1/modules")["items"][0].clone();
    assert_eq!((&pulled["spec"]["manifest"], &pulled["status"]["from"]), (&manifest.into(), &"registry".into()));
}
