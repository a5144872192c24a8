//! `kubectl apply --server-side`, and the way there from client-side apply.

use std::process::Output;

use serde_json::{Value, json};

use super::harness::{Server, job};

struct Manifest<'a> {
    server: &'a Server,
    path: String,
}

impl Manifest<'_> {
    fn of(server: &Server) -> Manifest<'_> {
        Manifest { server, path: server.dir.path().join("m.yaml").display().to_string() }
    }

    fn write(&self, text: &str) -> &Self {
        std::fs::write(&self.path, text).unwrap();
        self
    }

    /// A suspended Job, so that nothing but the test changes it; `spec` is more lines of its spec.
    fn job(&self, spec: &str) -> &Self {
        self.write(&job("j", "pi", &["pi"], format!("  suspend: true\n{spec}").trim_end()))
    }

    fn map(&self, data: &[(&str, &str)]) -> &Self {
        let data: String = data.iter().map(|(key, value)| format!("  {key}: \"{value}\"\n")).collect();
        self.write(&format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\ndata:\n{data}"))
    }

    fn run(&self, verb: &str, more: &[&str]) -> Output {
        self.server.kubectl(&[&[verb, "--server-side", "-f", self.path.as_str()], more].concat())
    }

    /// What a successful `kubectl apply --server-side` says.
    fn apply(&self, more: &[&str]) -> String {
        let output = self.run("apply", more);
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    }

    fn refused(&self, more: &[&str]) -> String {
        let output = self.run("apply", more);
        assert!(!output.status.success(), "{}", said(&output));
        said(&output)
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Manager, operation and FieldsV1 of each entry.
fn entries(object: &Value) -> Vec<(String, String, Value)> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    entries.iter().map(|e| (text(e, "manager"), text(e, "operation"), e["fieldsV1"].clone())).collect()
}

fn names(object: &Value) -> Vec<String> {
    entries(object).into_iter().map(|(manager, operation, _)| format!("{manager} {operation}")).collect()
}

const MAP: &str = "/api/v1/namespaces/default/configmaps/m";

#[test]
fn a_manifest_is_applied_changed_and_what_it_leaves_out_goes() {
    let server = Server::start();
    let manifest = Manifest::of(&server);
    manifest.map(&[("x", "1"), ("w", "1")]);
    assert_eq!(manifest.apply(&[]), "configmap/m serverside-applied\n");
    let made = server.get(MAP);
    let fields = json!({"f:data": {"f:x": {}, "f:w": {}}});
    assert_eq!(entries(&made), [("kubectl".to_owned(), "Apply".to_owned(), fields)]);
    assert_eq!(manifest.apply(&[]), "configmap/m serverside-applied\n");
    assert_eq!(server.get(MAP), made, "nothing changed, not even the version");

    manifest.map(&[("x", "2")]).apply(&[]);
    assert_eq!(server.get(MAP)["data"], json!({"x": "2"}));
    manifest.map(&[("x", "2"), ("z", "1")]).apply(&["--field-manager", "other"]);
    manifest.map(&[("w", "1")]).apply(&[]);
    assert_eq!(server.get(MAP)["data"], json!({"x": "2", "w": "1", "z": "1"}), "the other one still owns x");
    let yaml = server.kubectl_ok(&["get", "configmap", "m", "-o", "yaml", "--show-managed-fields"]);
    for line in ["  managedFields:", "    manager: other", "    operation: Apply", "        f:z: {}"] {
        assert!(yaml.lines().any(|l| l == line), "{line:?} in\n{yaml}");
    }
    let hidden = server.kubectl_ok(&["get", "configmap", "m", "-o", "yaml"]);
    assert!(!hidden.contains("managedFields"), "{hidden}");

    manifest.map(&[("x", "3"), ("w", "1")]);
    let diff = manifest.run("diff", &["--field-manager", "other", "--force-conflicts"]);
    assert_eq!(diff.status.code(), Some(1), "{}", said(&diff));
    for line in ["-  x: \"2\"", "+  x: \"3\"", "-  z: \"1\""] {
        assert!(said(&diff).lines().any(|l| l == line), "{line:?} in\n{}", said(&diff));
    }
    assert_eq!(server.get(MAP)["data"]["x"], "2", "a diff changes nothing");
}

#[test]
fn a_conflict_is_explained_and_can_be_forced() {
    let server = Server::start();
    let manifest = Manifest::of(&server);
    manifest.job("  backoffLimit: 3");
    server.kubectl_ok(&["create", "-f", &manifest.path]);
    assert_eq!(names(&server.job("j")), ["kubectl-create Update"]);
    let text = manifest.job("  backoffLimit: 4").refused(&[]);
    let first = "Apply failed with 1 conflict: conflict with \"kubectl-create\" using batch/v1: .spec.backoffLimit";
    assert!(text.contains(first), "{text}");
    assert!(text.contains("Please review the fields above--they currently have other managers."), "{text}");
    assert!(text.contains("--force-conflicts"), "{text}");
    assert_eq!(server.job("j")["spec"]["backoffLimit"], 3);

    assert_eq!(manifest.apply(&["--force-conflicts"]), "job.batch/j serverside-applied\n");
    let forced = server.job("j");
    assert_eq!(forced["spec"]["backoffLimit"], 4);
    assert_eq!(names(&forced), ["kubectl Apply", "kubectl-create Update"]);
    assert_eq!(entries(&forced)[1].2["f:spec"].get("f:backoffLimit"), None, "it is the applier's now");
    let text = manifest.job("  backoffLimit: 5").refused(&["--field-manager", "second"]);
    assert!(text.contains("conflict with \"kubectl\": .spec.backoffLimit"), "{text}");
    let text = manifest.job("  backoffLimit: 5\n  parallelism: 7").refused(&["--field-manager", "second"]);
    let expected = "Apply failed with 2 conflicts: conflicts with \"kubectl\":\n- .spec.backoffLimit\n\
                    conflicts with \"kubectl-create\" using batch/v1:\n- .spec.parallelism";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn the_rules_of_a_job_hold_for_what_is_applied() {
    let server = Server::start();
    let manifest = Manifest::of(&server);
    assert_eq!(manifest.job("").apply(&[]), "job.batch/j serverside-applied\n");
    let made = server.job("j");
    assert_eq!((&made["spec"]["backoffLimit"], &made["spec"]["completions"]), (&json!(6), &json!(1)), "defaults");
    let fields = &entries(&made)[0].2;
    assert_eq!(fields["f:spec"].get("f:backoffLimit"), None, "a default has no owner");
    assert!(fields["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"]["f:image"].is_object());
    let text = manifest.job("  completions: 5").refused(&[]);
    assert!(text.contains("The Job \"j\" is invalid"), "{text}");
    assert!(text.contains("spec.completions: Invalid value: 5: field is immutable"), "{text}");
    let text = manifest.job("  nope: 5").refused(&[]);
    assert!(text.contains(".spec.nope: field not declared in schema"), "{text}");
    manifest.job("  parallelism: 3").apply(&[]);
    assert_eq!(server.job("j")["spec"]["parallelism"], 3);
    manifest.job("").apply(&[]);
    assert_eq!(server.job("j")["spec"]["parallelism"], 1, "without an owner it is the default again");
}

#[test]
fn a_job_that_was_applied_on_the_client_side_goes_over() {
    let server = Server::start();
    let manifest = Manifest::of(&server);
    manifest.job("  backoffLimit: 3\n  ttlSecondsAfterFinished: 100");
    server.kubectl_ok(&["apply", "-f", &manifest.path]);
    assert_eq!(names(&server.job("j")), ["kubectl-client-side-apply Update"]);
    // What client-side apply wrote is no conflict, though it has another manager.
    assert_eq!(manifest.job("  backoffLimit: 4").apply(&[]), "job.batch/j serverside-applied\n");
    let over = server.job("j");
    assert_eq!(over["spec"]["backoffLimit"], 4);
    assert_eq!(over["spec"].get("ttlSecondsAfterFinished"), None, "kubectl applies once more, as the owner of all");
    let managers = names(&over);
    assert!(!managers.iter().any(|m| m.starts_with("kubectl-client-side-apply")), "{managers:?}");
    assert!(managers.contains(&"kubectl Apply".to_owned()), "{managers:?}");
    manifest.job("").apply(&[]);
    let spec = &server.job("j")["spec"];
    assert_eq!(spec["backoffLimit"], 6, "the default again");
    assert_eq!(spec["selector"], over["spec"]["selector"], "what was generated is not the applier's to lose");
    let settled = server.job("j");
    manifest.apply(&[]);
    assert_eq!(server.job("j"), settled);
}
