//! What an unmodified kubectl changes: `create -f`, `apply`, `patch`, `label`, `edit`, `replace`, `set`, `run`, `diff`,
//! `cordon` and `delete`. Which command each test shows is in [`super::compatibility`].

use std::process::Output;

use super::harness::{Server, guest, job, wait_for};

const CRON_JOB: &str = "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: tick}\nspec:\n  schedule: \"0 0 1 1 *\"\n  jobTemplate:\n    \
                        spec:\n      template:\n        spec:\n          restartPolicy: Never\n          containers:\n          \
                        - {name: c, image: hello, command: [hello]}\n";

/// A server with the Job `one`, whose pod runs until it is stopped.
fn server() -> Server {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--node-name", "n1"]);
    server.push("loop", &guest("loop"));
    server.push("hello", &guest("hello"));
    server.create(&job("one", "loop", &["loop"], ""));
    server
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
}

/// A `kubectl` that opens an editor; what the editor does with the file `$1` is a line of shell.
fn edit(server: &Server, args: &[&str], script: &str) -> Output {
    let editor = server.file("editor.sh", &format!("#!/bin/sh\n{script}\n"));
    let mut command = server.kubectl_command();
    command.args(["--server", &server.url]).args(args).env("KUBE_EDITOR", format!("sh {editor}")).output().unwrap()
}

/// What stands at a JSON pointer in a Job.
fn field(server: &Server, job: &str, pointer: &str) -> serde_json::Value {
    server.job(job).pointer(pointer).cloned().unwrap_or_default()
}

#[test]
fn create_takes_manifests_of_every_form() {
    let server = server();
    let create = |args: &[&str]| server.kubectl_ok(&[&["create"], args].concat());
    let yaml = server.file("a.yaml", &job("a", "hello", &["hello"], ""));
    assert_eq!(create(&["-f", &yaml]), "job.batch/a created\n");
    let again = server.kubectl_fails(&["create", "-f", &yaml]);
    assert_says(&again, &["Error from server (AlreadyExists)", "jobs.batch \"a\" already exists"]);
    let generated = job("x", "hello", &["hello"], "").replace("name: x", "generateName: gen-");
    let name = server.kubectl_given(&["create", "-f", "-", "-o", "name"], &generated);
    assert!(name.starts_with("job.batch/gen-") && name.trim_end().len() == "job.batch/gen-".len() + 5, "{name}");
    let several = [job("b", "hello", &["hello"], ""), job("c", "hello", &["hello"], "")].join("---\n");
    assert_eq!(create(&["-f", &server.file("several.yaml", &several)]), "job.batch/b created\njob.batch/c created\n");
    let json = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "b"}}"#;
    assert_eq!(create(&["-f", &server.file("m.json", json)]), "configmap/m created\n");

    let dry = server.file("dry.yaml", &job("dry", "hello", &["hello"], ""));
    assert_eq!(create(&["-f", &dry, "--dry-run=server"]), "job.batch/dry created (server dry run)\n");
    assert_says(&server.kubectl_fails(&["get", "job", "dry"]), &["not found"]);

    let wrong = server.file("wrong.yaml", &job("wrong", "hello", &["hello"], "  completion: 2"));
    let strict = server.kubectl_fails(&["create", "-f", &wrong]);
    assert_says(&strict, &["strict decoding error: unknown field \"spec.completion\""]);
    let warned = server.kubectl(&["create", "-f", &wrong, "--validate=warn"]);
    let told = String::from_utf8_lossy(&warned.stderr).into_owned();
    assert!(warned.status.success() && told.contains("Warning: unknown field \"spec.completion\""), "{told}");
    server.kubectl_ok(&["delete", "-f", &wrong]);
    let ignored = server.kubectl(&["create", "-f", &wrong, "--validate=ignore"]);
    assert!(ignored.status.success() && ignored.stderr.is_empty(), "{ignored:?}");
}

#[test]
fn apply_takes_folders_streams_and_kustomizations() {
    let server = server();
    let folder = server.dir.path().join("folder/inner");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.yaml"), job("a", "hello", &["hello"], "")).unwrap();
    std::fs::write(folder.join("b.yaml"), job("b", "hello", &["hello"], "")).unwrap();
    let kustomization = "namePrefix: k-\ncommonAnnotations: {made: by-kustomize}\nresources: [a.yaml]\nconfigMapGenerator:\n\
                         - {name: m, literals: [key=value]}\n";
    std::fs::write(folder.join("kustomization.yaml"), kustomization).unwrap();
    let inner = folder.display().to_string();

    let built = server.kubectl_ok(&["kustomize", &inner]);
    assert_says(&built, &["name: k-a\n", "made: by-kustomize"]);
    let applied = server.kubectl_ok(&["apply", "-k", &inner]);
    assert_says(&applied, &["configmap/k-m-", "job.batch/k-a created"]);
    assert_says(&server.kubectl_ok(&["delete", "-k", &inner]), &["job.batch \"k-a\" deleted"]);

    std::fs::remove_file(folder.join("kustomization.yaml")).unwrap();
    let folder = server.dir.path().join("folder").display().to_string();
    assert_eq!(server.kubectl_ok(&["apply", "-R", "-f", &folder]), "job.batch/a created\njob.batch/b created\n");
    let stream = job("c", "hello", &["hello"], "");
    assert_eq!(server.kubectl_given(&["apply", "-f", "-"], &stream), "job.batch/c created\n");
    let changed = job("c", "hello", &["hello"], "  suspend: true");
    let dry = server.kubectl_given(&["apply", "-f", "-", "--dry-run=server"], &changed);
    assert_eq!(dry, "job.batch/c configured (server dry run)\n");
    assert_eq!(field(&server, "c", "/spec/suspend"), false);

    let last = server.kubectl_ok(&["apply", "view-last-applied", "job/c"]);
    assert_says(&last, &["kind: Job", "image: hello"]);
    let file = server.file("c.yaml", &stream.replace("metadata:\n", "metadata:\n  labels: {set: last}\n"));
    server.kubectl_ok(&["apply", "set-last-applied", "-f", &file]);
    assert_says(&server.kubectl_ok(&["apply", "view-last-applied", "job/c"]), &["set: last"]);
    let edited = edit(&server, &["apply", "edit-last-applied", "job/c"], "sed -i 's/set: last/set: edited/' \"$1\"");
    assert!(edited.status.success(), "{edited:?}");
    assert_says(&server.kubectl_ok(&["apply", "view-last-applied", "job/c"]), &["set: edited"]);
}

#[test]
fn apply_prunes_what_is_no_longer_in_the_manifest() {
    let server = server();
    let set = |names: &[&str]| {
        let one = |name: &&str| {
            job(name, "hello", &["hello"], "").replace("metadata:\n", "metadata:\n  labels: {set: mine}\n")
        };
        names.iter().map(one).collect::<Vec<_>>().join("---\n")
    };
    let prune = ["apply", "-f", "-", "--prune", "-l", "set=mine", "--prune-allowlist=batch/v1/Job"];
    server.kubectl_given(&prune, &set(&["a", "b"]));
    let told = server.kubectl_given(&prune, &set(&["a"]));
    assert_eq!(told, "job.batch/a unchanged\njob.batch/b pruned\n");
    assert_eq!(server.kubectl_ok(&["get", "jobs", "-o", "name"]), "job.batch/a\njob.batch/one\n");
}

#[test]
fn patch_takes_its_three_kinds_and_status() {
    let server = server();
    let patch = |args: &[&str]| server.kubectl_ok(&[&["patch", "job", "one"], args].concat());
    assert_eq!(patch(&["-p", r#"{"spec":{"parallelism":2}}"#]), "job.batch/one patched\n");
    assert_eq!(patch(&["-p", r#"{"spec":{"parallelism":2}}"#]), "job.batch/one patched (no change)\n");
    patch(&["--type=merge", "-p", r#"{"metadata":{"labels":{"a":"b","c":"d"}}}"#]);
    patch(&[
        "--type=json",
        "-p",
        r#"[{"op":"remove","path":"/metadata/labels/a"},{"op":"add","path":"/spec/suspend","value":true}]"#,
    ]);
    assert_eq!(field(&server, "one", "/spec/parallelism"), 2);
    assert_eq!(field(&server, "one", "/spec/suspend"), true);
    assert_eq!(
        (field(&server, "one", "/metadata/labels/a"), field(&server, "one", "/metadata/labels/c")),
        (serde_json::Value::Null, "d".into())
    );
    let file = server.file("patch.yaml", "spec: {backoffLimit: 3}\n");
    patch(&["--patch-file", &file]);
    assert_eq!(field(&server, "one", "/spec/backoffLimit"), 3);
    let dry =
        patch(&["--dry-run=server", "-p", r#"{"spec":{"backoffLimit":9}}"#, "-o", "jsonpath={.spec.backoffLimit}"]);
    assert_eq!((dry.as_str(), field(&server, "one", "/spec/backoffLimit")), ("9", 3.into()));

    let condition =
        r#"{"status":{"conditions":[{"type":"Seen","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}"#;
    server.kubectl_ok(&["patch", "node", "n1", "--subresource=status", "-p", condition]);
    assert_says(&server.kubectl_ok(&["get", "node", "n1", "-o", "jsonpath={.status.conditions[*].type}"]), &["Seen"]);

    let test = r#"[{"op":"test","path":"/spec/backoffLimit","value":4}]"#;
    let failed = server.kubectl_fails(&["patch", "job", "one", "--type=json", "-p", test]);
    assert_says(&failed, &["the patch does not apply"]);
    let invalid = server.kubectl_fails(&["patch", "job", "one", "-p", r#"{"spec":{"parallelism":-1}}"#]);
    assert_says(&invalid, &["The Job \"one\" is invalid: spec.parallelism: Invalid value: -1"]);
}

#[test]
fn label_and_annotate_set_change_and_remove() {
    let server = server();
    server.create(&job("two", "hello", &["hello"], ""));
    assert_eq!(server.kubectl_ok(&["label", "job", "one", "a=b"]), "job.batch/one labeled\n");
    let taken = server.kubectl_fails(&["label", "job", "one", "a=c"]);
    assert_says(&taken, &["'a' already has a value (b), and --overwrite is false"]);
    server.kubectl_ok(&["label", "job", "one", "a=c", "--overwrite"]);
    assert_says(&server.kubectl_ok(&["label", "--list", "job", "one"]), &["a=c"]);
    assert_says(&server.kubectl_ok(&["label", "jobs", "--all", "all=yes"]), &["one labeled", "two labeled"]);
    assert_eq!(server.kubectl_ok(&["label", "jobs", "-l", "a=c", "chosen=yes"]), "job.batch/one labeled\n");
    assert_eq!(server.kubectl_ok(&["label", "job", "one", "a-"]), "job.batch/one unlabeled\n");
    let labels = field(&server, "one", "/metadata/labels");
    assert_eq!((labels.get("a"), &labels["all"], &labels["chosen"]), (None, &"yes".into(), &"yes".into()));
    let invalid = server.kubectl_fails(&["label", "job", "one", "a=not valid"]);
    assert_says(&invalid, &["a valid label must be"]);

    assert_eq!(
        server.kubectl_ok(&["annotate", "job", "one", "note=any text, with = signs"]),
        "job.batch/one annotated\n"
    );
    assert_eq!(field(&server, "one", "/metadata/annotations/note"), "any text, with = signs");
    assert_eq!(server.kubectl_ok(&["annotate", "job", "one", "note-"]), "job.batch/one annotated\n");
    assert_eq!(field(&server, "one", "/metadata/annotations/note"), serde_json::Value::Null);
    let stale = server.kubectl_fails(&["annotate", "job", "one", "a=b", "--resource-version=1"]);
    assert_says(&stale, &["the object has been modified"]);
}

#[test]
fn edit_and_replace_write_the_whole_object() {
    let server = server();
    let edit = |script| edit(&server, &["edit", "job", "one"], script);
    let edited = edit("sed -i 's/backoffLimit: 6/backoffLimit: 2/' \"$1\"");
    assert_eq!(String::from_utf8_lossy(&edited.stdout), "job.batch/one edited\n", "{edited:?}");
    assert_eq!(field(&server, "one", "/spec/backoffLimit"), 2);
    let unchanged = edit("true");
    assert_says(&String::from_utf8_lossy(&unchanged.stderr), &["Edit cancelled, no changes made."]);
    // kubectl opens the editor again, with what was wrong, until the file is left as it is.
    let wrong = edit(
        "if grep -q '^# .*backoffLimit' \"$1\"; then true; else sed -i 's/backoffLimit: 2/backoffLimit: -2/' \"$1\"; fi",
    );
    assert!(!wrong.status.success() && field(&server, "one", "/spec/backoffLimit") == 2, "{wrong:?}");

    let mut object = server.job("one");
    object["spec"]["backoffLimit"] = 4.into();
    let file = server.file("one.json", &object.to_string());
    assert_eq!(server.kubectl_ok(&["replace", "-f", &file]), "job.batch/one replaced\n");
    assert_eq!(field(&server, "one", "/spec/backoffLimit"), 4);
    let stale = server.kubectl_fails(&["replace", "-f", &file]);
    assert_says(
        &stale,
        &[
            "Error from server (Conflict)",
            "Operation cannot be fulfilled on jobs.batch \"one\": the object has been modified",
        ],
    );
    let uid = object["metadata"]["uid"].clone();
    let fresh = server.file("fresh.yaml", &job("one", "hello", &["hello"], ""));
    let forced = server.kubectl_ok(&["replace", "--force", "-f", &fresh]);
    assert_says(&forced, &["job.batch \"one\" deleted", "job.batch/one replaced"]);
    assert_ne!(field(&server, "one", "/metadata/uid"), uid);
    let absent = server.file("absent.yaml", &job("absent", "hello", &["hello"], ""));
    assert_says(&server.kubectl_fails(&["replace", "-f", &absent]), &["jobs.batch \"absent\" not found"]);
}

#[test]
fn set_changes_the_template_of_a_cron_job_and_not_of_a_job() {
    let server = server();
    server.kubectl_given(&["apply", "-f", "-"], CRON_JOB);
    let immutable = server.kubectl_fails(&["set", "image", "job/one", "c=hello"]);
    assert_says(&immutable, &["spec.template: Invalid value", "field is immutable"]);
    assert_eq!(server.kubectl_ok(&["set", "image", "cronjob/tick", "c=other"]), "cronjob.batch/tick image updated\n");
    assert_eq!(server.kubectl_ok(&["set", "env", "cronjob/tick", "A=b"]), "cronjob.batch/tick env updated\n");
    server.kubectl_ok(&["set", "resources", "cronjob/tick", "--limits=memory=1Mi"]);
    let container = server.kubectl_ok(&[
        "get",
        "cj",
        "tick",
        "-o",
        "jsonpath={.spec.jobTemplate.spec.template.spec.containers[0]}",
    ]);
    let container: serde_json::Value = serde_json::from_str(&container).unwrap();
    assert_eq!(
        (&container["image"], &container["env"][0]["value"], &container["resources"]["limits"]["memory"]),
        (&"other".into(), &"b".into(), &"1Mi".into())
    );
    assert_says(&server.kubectl_ok(&["set", "env", "cronjob/tick", "--list"]), &["A=b"]);
    let account = server.kubectl_ok(&["set", "serviceaccount", "cronjob/tick", "robot"]);
    assert_eq!(account, "cronjob.batch/tick serviceaccount updated\n");
}

#[test]
fn run_starts_a_pod() {
    let server = server();
    let run = |args: &[&str]| server.kubectl_ok(&[&["run"], args].concat());
    assert_eq!(run(&["p", "--image=hello", "--restart=Never", "--labels=a=b", "--env=A=b"]), "pod/p created\n");
    server.kubectl_ok(&["wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/p", "--timeout=60s"]);
    assert_eq!(server.kubectl_ok(&["logs", "p"]), "hello\nworld\n");
    server.push("print-args", &guest("print-args"));
    run(&["args", "--image=print-args", "--restart=OnFailure", "--command", "--", "print-args", "x"]);
    let command = server.kubectl_ok(&["get", "pod", "args", "-o", "jsonpath={.spec.containers[0].command}"]);
    assert_eq!(command, r#"["print-args","x"]"#);
    let dry = run(&["d", "--image=hello", "--restart=Never", "--dry-run=server", "-o", "name"]);
    assert_eq!(dry, "pod/d\n");
    // kubectl's own default.
    let always = server.kubectl_fails(&["run", "q", "--image=hello"]);
    assert_says(&always, &["spec.restartPolicy", "Always"]);
}

#[test]
fn diff_shows_what_an_apply_would_change() {
    let server = server();
    let manifest = job("d", "hello", &["hello"], "");
    server.kubectl_given(&["apply", "-f", "-"], &manifest);
    let same = server.file("same.yaml", &manifest);
    assert_eq!(server.kubectl_ok(&["diff", "-f", &same]), "");
    let other = server.file("other.yaml", &job("d", "hello", &["hello"], "  backoffLimit: 1"));
    let output = server.kubectl(&["diff", "-f", &other]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_says(&text, &["-  backoffLimit: 6", "+  backoffLimit: 1"]);
    assert_eq!(field(&server, "d", "/spec/backoffLimit"), 6);
}

#[test]
fn a_cordoned_node_takes_no_pods() {
    let server = server();
    assert_eq!(server.kubectl_ok(&["cordon", "n1"]), "node/n1 cordoned\n");
    assert_says(&server.kubectl_ok(&["get", "nodes"]), &["Ready,SchedulingDisabled"]);
    server.create(&job("waits", "hello", &["hello"], ""));
    wait_for("the pod to say why it waits", || {
        let pods = server.pods("waits");
        let said = pods.first().map(|pod| pod["status"]["conditions"].to_string()).unwrap_or_default();
        if said.contains("unschedulable") { Ok(()) } else { Err(said) }
    });
    assert_eq!(server.kubectl_ok(&["uncordon", "n1"]), "node/n1 uncordoned\n");
    assert_eq!(server.wait_for_end("waits").1.0, "Complete");
}

#[test]
fn a_drained_node_evicts_its_pods() {
    let server = server();
    wait_for("the pod to run", || {
        let status = server.job("one")["status"].clone();
        if status["ready"] == 1 { Ok(()) } else { Err(status) }
    });
    let before = server.pods("one")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let told = server.kubectl_ok(&["drain", "n1", "--timeout=60s"]);
    assert_says(&told, &[&format!("pod/{before} evicted"), "node/n1 drained"]);
    let after = wait_for("the pod in its place", || {
        let pods = server.pods("one");
        pods.iter().find(|pod| pod["metadata"]["name"] != *before).cloned().ok_or(pods)
    });
    assert_eq!(after["status"]["phase"], "Pending", "it waits until the node takes pods again");
    server.kubectl_ok(&["uncordon", "n1"]);
    wait_for("the pod to run", || {
        let status = server.job("one")["status"].clone();
        if status["ready"] == 1 { Ok(()) } else { Err(status) }
    });
}

#[test]
fn delete_takes_names_files_selectors_and_all() {
    let server = server();
    let make = |name: &str, label: &str| {
        server.create(
            &job(name, "hello", &["hello"], "")
                .replace("metadata:\n", &format!("metadata:\n  labels: {{a: {label}}}\n")),
        );
    };
    for (name, label) in [("a", "p"), ("b", "p"), ("c", "q"), ("d", "q"), ("e", "r"), ("f", "r")] {
        make(name, label);
    }
    let delete = |args: &[&str]| server.kubectl_ok(&[&["delete"], args].concat());
    assert_eq!(
        delete(&["job", "a", "--dry-run=server"]),
        "job.batch \"a\" deleted from default namespace (server dry run)\n"
    );
    assert_eq!(field(&server, "a", "/metadata/deletionTimestamp"), serde_json::Value::Null);
    let two = delete(&["jobs", "-l", "a=p"]);
    assert_says(&two, &["job.batch \"a\" deleted", "job.batch \"b\" deleted"]);
    assert_says(&delete(&["job/c", "job/d"]), &["\"c\" deleted", "\"d\" deleted"]);
    delete(&["job", "e", "--now"]);
    delete(&["-f", &server.file("f.yaml", &job("f", "hello", &["hello"], "")), "--wait=false"]);
    assert_eq!(delete(&["job", "nope", "--ignore-not-found"]), "");
    assert_says(&server.kubectl_fails(&["delete", "job", "nope"]), &["jobs.batch \"nope\" not found"]);

    let pod = wait_for("the pod of one", || {
        let pods = server.pods("one");
        match pods.first().filter(|pod| pod["status"]["phase"] == "Running") {
            Some(pod) => Ok(pod["metadata"]["name"].as_str().unwrap().to_owned()),
            None => Err(pods),
        }
    });
    let forced = server.kubectl(&["delete", "pod", &pod, "--force", "--grace-period=0"]);
    assert!(forced.status.success(), "{forced:?}");
    assert_says(&String::from_utf8_lossy(&forced.stdout), &[&format!("pod \"{pod}\" force deleted")]);
    assert_says(&delete(&["jobs", "--all"]), &["job.batch \"one\" deleted"]);
    assert_eq!(server.kubectl_ok(&["get", "jobs", "-o", "name"]), "");
}
