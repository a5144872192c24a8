//! The kind Module, as kubectl's users meet it.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::harness::{Server, example, example_module, guest, job, wait_for};

/// A server with `pi`, `tools/pi:1.0` (the same bytes) and a component.
fn server() -> Server {
    let server = Server::start();
    server.push_example("pi");
    server.push("tools/pi:1.0", &example_module("pi"));
    server.push("component", &guest("component"));
    server
}

/// The name of the object of `tools/pi:1.0`.
const TOOLS_PI: &str = "tools-pi-1-0-489bc146";

#[test]
fn kubectl_lists_describes_and_explains_modules() {
    let server = server();
    let table = server.kubectl_ok(&["get", "modules"]);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "TAG", "DIGEST", "KIND", "SIZE", "AGE"]);
    assert_eq!((&rows[1][..2], rows[1][3]), (&["component", "latest"][..], "Component"));
    assert_eq!(&rows[2][..5], ["pi", "latest", "sha256:036f49c7c3fb", "Command", "72.1KiB"]);
    assert_eq!(&rows[3][..5], [TOOLS_PI, "1.0", "sha256:036f49c7c3fb", "Command", "72.1KiB"]);
    let wide = server.kubectl_ok(&["get", "mod", TOOLS_PI, "-o", "wide"]);
    assert!(wide.contains("IMAGE") && wide.contains("tools/pi:1.0"), "{wide}");
    let one = server.kubectl_ok(&["get", "modules", "--field-selector", "spec.name=tools/pi", "-o", "name"]);
    assert_eq!(one.trim(), format!("module.kiln.dev/{TOOLS_PI}"));

    let described = server.kubectl_ok(&["describe", "module", "pi"]);
    for part in ["Compile Seconds:", "Imports:", "wasi_snapshot_preview1 fd_write", "Exports:", "_start", "73852"] {
        assert!(described.contains(part), "{part}: {described}");
    }
    let described = server.kubectl_ok(&["describe", "module", "component"]);
    assert!(described.contains("wasi:cli/run@0.2"), "{described}");

    let explained = server.kubectl_ok(&["explain", "module.spec"]);
    assert!(explained.contains("digest\t<string>") && explained.contains("status.imageID"), "{explained}");
    let explained = server.kubectl_ok(&["explain", "modules.status.producers"]);
    assert!(explained.contains("<map[string][]string>") && explained.contains("compilers"), "{explained}");
    let resources = server.kubectl_ok(&["api-resources", "--api-group", "kiln.dev"]);
    assert!(resources.contains("modules") && resources.contains("mod "), "{resources}");
}

#[test]
fn a_client_may_label_a_module_and_write_nothing_else_of_it() {
    let server = server();
    let watch = &mut server.kubectl_follow(&["get", "modules", "--watch-only", "-o", "name"]);
    server.kubectl_ok(&["label", "module", "pi", "team=a"]);
    server.kubectl_ok(&["annotate", "module", "pi", "why=digits"]);
    watch.until("the labelled module", |line| line == "module.kiln.dev/pi");
    assert!(server.kubectl_ok(&["get", "modules", "-l", "team=a", "-o", "name"]).contains("module.kiln.dev/pi"));
    let applied = "apiVersion: kiln.dev/v1\nkind: Module\nmetadata: {name: pi, labels: {applied: 'yes'}}\n";
    server.kubectl_given(&["apply", "--server-side", "-f", "-"], applied);
    let labels = server.kubectl_ok(&["get", "module", "pi", "-o", "jsonpath={.metadata.labels}"]);
    assert_eq!(labels, r#"{"applied":"yes","team":"a"}"#);

    let file = server.file("module.yaml", &applied.replace("name: pi", "name: other"));
    for command in [&["create", "-f", &file][..], &["apply", "-f", &file], &["apply", "--server-side", "-f", &file]] {
        let said = server.kubectl_fails(command);
        assert!(said.contains("MethodNotAllowed") && said.contains("kiln push NAME[:TAG] FILE.wasm"), "{said}");
    }
    for change in [r#"{"spec":{"digest":"sha256:00"}}"#, r#"{"spec":null}"#, r#"{"status":{"size":1}}"#] {
        let said = server.kubectl_fails(&["patch", "module", "pi", "--type", "merge", "-p", change]);
        assert!(said.contains("Forbidden") && said.contains("kiln push NAME[:TAG] FILE.wasm"), "{said}");
    }
    // The tag moves, and the labels stay.
    server.push("pi", &guest("hello"));
    let moved = server.kubectl_ok(&["get", "module", "pi", "-o", "jsonpath={.metadata.labels.team} {.status.size}"]);
    assert_eq!(moved, format!("a {}", guest("hello").len()));
}

#[test]
fn names_are_objects_and_survive_a_restart() {
    let server = server();
    server.kubectl_ok(&["delete", "module", "pi"]);
    let dir = server.stop();
    let server = Server::start_in(dir);
    let names = server.kubectl_ok(&["get", "modules", "-o", "name"]);
    assert_eq!(
        names.lines().collect::<Vec<_>>(),
        ["module.kiln.dev/component", &format!("module.kiln.dev/{TOOLS_PI}")]
    );
    assert_eq!(server.send("GET", "/modules/pi", "", b"").0, 404);
    assert_eq!(server.get("/modules/tools/pi:1.0")["name"], "tools/pi");
    // What was deleted can be pushed again.
    let file = example("pi").join("pi.wasm");
    server.push("pi", &std::fs::read(file).unwrap());
    assert_eq!(server.get("/modules/pi")["digest"], server.get("/modules/tools/pi:1.0")["digest"]);
}

/// The digest that a name means.
fn digest(server: &Server, name: &str) -> String {
    server.get(&format!("/modules/{name}"))["digest"].as_str().unwrap().to_owned()
}

/// The files below a directory of the modules' store, by name.
fn files(server: &Server, below: &str) -> Vec<PathBuf> {
    let directory = server.dir.path().join("data/modules").join(below);
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Bytes and compiled code of a module.
fn has(server: &Server, digest: &str) -> (bool, bool) {
    let hex = digest.strip_prefix("sha256:").unwrap();
    let starts = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(hex));
    let code = files(server, "compiled")
        .iter()
        .any(|engine| std::fs::read_dir(engine).unwrap().any(|entry| starts(&entry.unwrap().path())));
    (files(server, "blobs/sha256").iter().any(|path| path.ends_with(hex)), code)
}

#[test]
fn a_module_that_is_used_is_deleted_by_force_only_and_its_bytes_follow() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--collect-after", "0"]);
    server.push_example("sleep");
    server.push("loop", &guest("loop"));
    server.push("loop:1", &guest("loop"));
    let sleep = digest(&server, "sleep");
    server.create(&job("sleeps", "sleep", &["sleep", "600"], ""));
    server.create(&job("waits", "loop", &[], "  suspend: true"));
    wait_for("the pod to run", || match server.pods("sleeps").first() {
        Some(pod) if pod["status"]["phase"] == "Running" => Ok(()),
        other => Err(other.cloned()),
    });
    let said = server.kubectl_fails(&["delete", "module", "sleep"]);
    assert!(said.contains("(Conflict)") && said.contains("used by Job default/sleeps"), "{said}");
    assert!(said.contains("kubectl delete --force"), "{said}");
    let (code, _) = server.send("DELETE", "/apis/kiln.dev/v1/modules", "", b"");
    assert_eq!(code, 409);
    let (code, status) = server.send("DELETE", "/modules/loop", "", b"");
    assert_eq!((code, status["reason"].as_str()), (409, Some("Conflict")), "{status}");
    let (code, _) = server.send("DELETE", "/apis/kiln.dev/v1/modules/sleep?dryRun=All", "", b"");
    assert_eq!(code, 409);

    // The pod alone uses it, too.
    server.kubectl_ok(&["delete", "job", "sleeps", "--cascade=orphan"]);
    let said = server.kubectl_fails(&["delete", "module", "sleep"]);
    assert!(said.contains("used by Pod default/sleeps-"), "{said}");
    server.kubectl_ok(&["delete", "module", "sleep", "--force"]);
    assert_eq!(server.send("GET", "/modules/sleep", "", b"").0, 404);
    // By now only the pod keeps its bytes; another push is a sign that the collection has been.
    server.kubectl_ok(&["delete", "job", "waits"]);
    server.kubectl_ok(&["delete", "module", "loop"]);
    server.kubectl_ok(&["delete", "modules", "--all"]);
    wait_for("the bytes of `loop` to go", || {
        let left = files(&server, "blobs/sha256").len();
        if left == 1 { Ok(()) } else { Err(left) }
    });
    assert_eq!(has(&server, &sleep), (true, true));
    server.kubectl_ok(&["delete", "pods", "--all", "--force"]);
    // A deletion is what makes it look again.
    server.push("again", &guest("hello"));
    server.kubectl_ok(&["delete", "module", "again"]);
    wait_for("all bytes to go", || {
        let left = (files(&server, "blobs/sha256"), has(&server, &sleep));
        if left == (Vec::new(), (false, false)) { Ok(()) } else { Err(left) }
    });
}

#[test]
fn a_running_pod_keeps_its_module_when_the_tag_moves() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--collect-after", "0"]);
    server.push_example("fail-once");
    let first = digest(&server, "fail-once");
    let mut manifest: Value =
        serde_yaml::from_slice(&std::fs::read(example("fail-once").join("job.yaml")).unwrap()).unwrap();
    manifest["metadata"]["name"] = json!("keeps");
    server.create(&manifest.to_string());
    let status = |what: &str, right: &dyn Fn(&Value) -> bool| {
        wait_for(what, || {
            let status = server.pods("keeps").first().map(|pod| pod["status"]["containerStatuses"][0].clone());
            status.clone().filter(|status| right(status)).ok_or(status)
        })
    };
    let failed = status("the first run to fail", &|s| s["lastState"]["terminated"]["exitCode"] == 1);
    assert_eq!(failed["imageID"], json!(first));
    // Between two runs of its container the tag moves, and what it meant has no name any more.
    server.push("fail-once", &guest("hello"));
    assert_ne!(digest(&server, "fail-once"), first);
    server.push("again", &guest("loop"));
    let again = digest(&server, "again");
    server.kubectl_ok(&["delete", "module", "again"]);
    wait_for("what nobody needs to go", || if has(&server, &again).0 { Err(()) } else { Ok(()) });
    let (kept, pods) = (has(&server, &first), server.pods("keeps"));
    // Looked at in this order: if the pod has not ended now, it had not when its bytes were looked for.
    let has_ended = pods[0]["status"]["phase"] == "Succeeded";
    assert!(has_ended || kept == (true, true), "{kept:?}");
    let (_, end) = server.wait_for_end("keeps");
    assert_eq!(end.0, "Complete");
    let ended = status("the second run", &|s| s["state"]["terminated"]["exitCode"] == 0);
    assert_eq!((&ended["imageID"], &ended["restartCount"]), (&json!(first), &json!(1)));
    let log = server.log(&server.pods("keeps")[0]);
    assert!(!log.contains("hello"), "{log}");
}
