//! `kiln kubeconfig` gives what clients that need one can use.

use std::process::{Command, Output};

use crate::harness::{KILN, Server};

fn kiln(args: &[&str]) -> Output {
    Command::new(KILN).arg("kubeconfig").args(args).output().unwrap()
}

#[test]
fn kubectl_finds_the_server_by_it() {
    let server = Server::start();
    let output = kiln(&["--server", &server.url, "--namespace", "kube-system", "--name", "here"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let file = server.dir.path().join("kubeconfig");
    std::fs::write(&file, &output.stdout).unwrap();
    let kubectl = |args: &[&str]| {
        let done = server.kubectl_command().arg("--kubeconfig").arg(&file).args(args).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    assert_eq!(kubectl(&["config", "current-context"]).trim(), "here");
    assert_eq!(kubectl(&["config", "view", "--minify", "-o", "jsonpath={..namespace}"]).trim(), "kube-system");
    assert!(kubectl(&["get", "nodes", "-o", "name"]).starts_with("node/"));
}

#[test]
fn a_token_is_named_by_its_whole_path_and_its_trouble_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "0123456789abcdef").unwrap();
    let token = token.to_str().unwrap();
    let output = kiln(&["--server", "http://127.0.0.1:1", "--token-file", token]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("tokenFile: {token}")), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("plain HTTP"), "{output:?}");
    assert!(kiln(&["--server", "https://kiln.example", "--token-file", token]).stderr.is_empty());
}

#[test]
fn a_token_is_copied_for_clients_that_read_no_file_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "0123456789abcdef\n").unwrap();
    let path = file.to_str().unwrap();
    let output = kiln(&["--server", "https://kiln.example", "--token-file", path, "--embed-token"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("token: 0123456789abcdef\n") && !text.contains("tokenFile"), "{text}");
    std::fs::write(&file, "two\nlines").unwrap();
    for args in [&["--token-file", path, "--embed-token"][..], &["--embed-token"]] {
        let output = kiln(args);
        assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn plain_http_is_said_to_be_meant() {
    let plain = "insecure-skip-tls-verify: true";
    let of = |server: &str| String::from_utf8(kiln(&["--server", server]).stdout).unwrap();
    assert!(of("http://127.0.0.1:1").contains(plain));
    assert!(!of("https://kiln.example").contains(plain), "there a certificate is to be checked");
}

#[test]
fn what_is_no_address_and_no_file_is_refused() {
    for (args, word) in [
        (["--server", "127.0.0.1:8080"], "http://127.0.0.1:8080"),
        (["--server", "ftp://host"], "http://127.0.0.1:8080"),
        (["--token-file", "/no/such/file"], "/no/such/file"),
    ] {
        let output = kiln(&args);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains(word), "{output:?}");
    }
}
