//! The kind Module, as kubectl's users meet it.

use super::harness::{Server, example, guest};

/// A server with `pi`, `tools/pi:1.0` (the same bytes) and a component.
fn server() -> Server {
    let server = Server::start();
    server.push_example("pi");
    server.push("tools/pi:1.0", &super::harness::example_module("pi"));
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
