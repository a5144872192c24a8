//! `kiln kubeconfig` gives what clients that need one can use.

use std::process::{Command, Output};

use crate::harness::{KILN, Server};
use crate::python::{assert_success, tool};

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
fn a_token_is_copied_or_named_by_its_whole_path_and_its_trouble_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "0123456789abcdef\n").unwrap();
    let path = file.to_str().unwrap();
    let copied = kiln(&["--server", "https://kiln.example", "--token-file", path]);
    let text = String::from_utf8(copied.stdout).unwrap();
    assert!(text.contains("token: 0123456789abcdef\n") && !text.contains("tokenFile"), "{text}");
    assert!(copied.stderr.is_empty());
    let linked = kiln(&["--server", "http://127.0.0.1:1", "--token-file", path, "--link-token"]);
    let text = String::from_utf8(linked.stdout).unwrap();
    assert!(text.contains(&format!("tokenFile: {path}\n")) && !text.contains("0123456789abcdef"), "{text}");
    assert!(String::from_utf8_lossy(&linked.stderr).contains("plain HTTP"));
    std::fs::write(&file, "two\nlines").unwrap();
    for args in [&["--token-file", path][..], &["--link-token"]] {
        let output = kiln(args);
        assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn the_python_client_is_let_in_by_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    let token = token.display().to_string();
    let server = Server::start_with(dir, &["--token-file", &token]);
    let config = kiln(&["--server", &server.url, "--token-file", &token]);
    let file = server.file("kubeconfig", &String::from_utf8(config.stdout).unwrap());
    let script = "import sys\nfrom kubernetes import client, config\nconfig.load_kube_config(sys.argv[1])\n\
                  print(client.AuthenticationV1Api().create_self_subject_review({}).status.user_info.username)";
    let output = tool("python").args(["-c", script, &file]).env("HOME", server.dir.path()).output().unwrap();
    assert_eq!(assert_success(&output).trim(), "kiln:token");
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
