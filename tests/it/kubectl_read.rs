//! What an unmodified kubectl asks and shows: discovery, `get` in all its forms, `describe`, `explain`, `events`, `logs`
//! and `wait`. Which command each test shows is in [`super::compatibility`].

use super::harness::{Follow, Server, guest, job, wait_for};

/// A server with the Jobs `one` (Complete, labelled `app=first`) and `two` (running, labelled `app=second`), and the Job `far` in
/// the namespace `other`.
fn server() -> Server {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--node-name", "n1"]);
    server.push("hello", &guest("hello"));
    server.push("loop", &guest("loop"));
    let labelled =
        |text: String, labels: &str| text.replace("metadata:\n", &format!("metadata:\n  labels: {labels}\n"));
    server.create(&labelled(job("one", "hello", &["hello"], "  completions: 2"), "{app: first}"));
    server.create(&labelled(job("two", "loop", &["loop"], ""), "{app: second}"));
    let namespace = r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}"#;
    assert_eq!(server.send("POST", "/api/v1/namespaces", "application/json", namespace.as_bytes()).0, 201);
    let far = job("far", "hello", &["hello"], "");
    let jobs = "/apis/batch/v1/namespaces/other/jobs";
    assert_eq!(server.send("POST", jobs, "application/yaml", far.as_bytes()).0, 201);
    server.wait_for_end("one");
    wait_for("the pod of two to run", || {
        let status = server.job("two")["status"].clone();
        if status["ready"] == 1 { Ok(()) } else { Err(status) }
    });
    server
}

fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().filter(|line| !line.is_empty()).map(|line| line.split_whitespace().collect()).collect()
}

/// The first words of all lines but the heading.
fn names(table: &str) -> Vec<&str> {
    rows(table).iter().skip(1).map(|row| row[0]).collect()
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
}

#[test]
fn what_the_server_is_and_serves() {
    let server = Server::start();
    let version = server.kubectl_ok(&["version"]);
    assert_says(&version, &["Client Version: v1.37", "Server Version: v1.37.0+kiln"]);

    let versions = server.kubectl_ok(&["api-versions"]);
    for version in ["batch/v1", "coordination.k8s.io/v1", "v1"] {
        assert!(versions.lines().any(|line| line == version), "{version} in\n{versions}");
    }

    let info = server.kubectl_ok(&["cluster-info"]);
    assert!(info.contains("control plane") && info.contains(&server.url), "{info}");
    // It asks for Services, of which there are none.
    let none = server.kubectl(&["get", "svc", "-A"]);
    assert_eq!(String::from_utf8_lossy(&none.stderr), "No resources found\n");
    assert_eq!(server.kubectl_ok(&["get", "services", "-o", "jsonpath={.items}"]), "[]");
    assert_eq!(server.kubectl_ok(&["auth", "can-i", "list", "services"]), "yes\n");

    let resources = server.kubectl_ok(&["api-resources"]);
    let row = |name: &str| {
        let found = rows(&resources).into_iter().find(|row| row[0] == name);
        found
            .unwrap_or_else(|| panic!("{name} in\n{resources}"))
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(row("cronjobs"), ["cronjobs", "cj", "batch/v1", "true", "CronJob"]);
    assert_eq!(row("jobs"), ["jobs", "batch/v1", "true", "Job"]);
    assert_eq!(row("nodes"), ["nodes", "no", "v1", "false", "Node"]);
    let batch = server.kubectl_ok(&["api-resources", "--api-group=batch", "-o", "name"]);
    assert_eq!(batch, "cronjobs.batch\njobs.batch\n");
    let wide = server.kubectl_ok(&["api-resources", "--namespaced=false", "-o", "wide"]);
    assert!(wide.contains("nodes") && !wide.contains("cronjobs") && wide.contains("create,delete"), "{wide}");

    for check in ["/livez", "/readyz", "/healthz"] {
        assert_eq!(server.kubectl_ok(&["get", "--raw", check]), "ok");
    }
}

#[test]
fn get_shows_tables_of_what_is_chosen() {
    let server = server();
    let table = |args: &[&str]| server.kubectl_ok(&[&["get"], args].concat());
    assert_eq!(names(&table(&["jobs"])), ["one", "two"]);
    assert_eq!(rows(&table(&["job", "two"]))[1][..3], ["two", "Running", "0/1"]);
    assert_eq!(names(&table(&["job/one", "job/two"])), ["one", "two"]);
    let all = table(&["jobs", "-A"]);
    assert_eq!(rows(&all)[0][0], "NAMESPACE");
    assert_eq!(names(&all), ["default", "default", "other"]);
    assert_eq!(names(&table(&["jobs", "-n", "other"])), ["far"]);
    let wide = table(&["jobs", "-o", "wide"]);
    assert_eq!(rows(&wide)[0][5..], ["CONTAINERS", "IMAGES", "SELECTOR"]);
    assert_says(&wide, &["hello", "batch.kubernetes.io/controller-uid="]);

    assert_eq!(names(&table(&["jobs", "-l", "app=first"])), ["one"]);
    assert_eq!(names(&table(&["jobs", "-l", "app in (first,second),app!=first"])), ["two"]);
    assert_eq!(names(&table(&["jobs", "--field-selector", "status.successful=2"])), ["one"]);
    assert_eq!(names(&table(&["pods", "--field-selector", "status.phase=Running"])).len(), 1);
    let refused = server.kubectl_fails(&["get", "jobs", "--field-selector", "spec.x=1"]);
    assert_says(&refused, &["field label \"spec.x\" not supported for batchv1.Job"]);

    assert_eq!(names(&table(&["jobs", "--sort-by=.metadata.creationTimestamp"])), ["one", "two"]);
    let by_success = table(&["jobs", "--sort-by=.status.succeeded", "--no-headers"]);
    assert_eq!(rows(&by_success).iter().map(|row| row[0]).collect::<Vec<_>>(), ["two", "one"]);
    assert_eq!(names(&table(&["jobs", "--chunk-size=1"])), ["one", "two"], "in two pages");
    assert_says(&table(&["jobs", "--show-labels"]), &["LABELS", "app=first", "app=second"]);
    assert_eq!(rows(&table(&["jobs", "-L", "app"]))[1].last(), Some(&"first"));
    assert_says(&table(&["all"]), &["job.batch/one", "pod/one-", "pod/two-"]);
    assert_says(&table(&["jobs,pods", "--show-kind"]), &["job.batch/one", "pod/one-"]);
    assert_eq!(names(&table(&["jobs", "--server-print=false"])), ["one", "two"]);

    assert_eq!(table(&["job", "nope", "--ignore-not-found"]), "");
    let missing = server.kubectl_fails(&["get", "job", "nope"]);
    assert_eq!(missing, "Error from server (NotFound): jobs.batch \"nope\" not found\n");
    let unknown = server.kubectl_fails(&["get", "deployments"]);
    assert_eq!(unknown, "error: the server doesn't have a resource type \"deployments\"\n");
    // An empty list is no error, and neither is one of a namespace that is not there.
    let none = server.kubectl(&["get", "jobs", "-n", "nowhere"]);
    assert!(none.status.success(), "{none:?}");
    assert_eq!(String::from_utf8_lossy(&none.stderr), "No resources found in nowhere namespace.\n");
}

#[test]
fn get_prints_objects_in_every_format() {
    let server = server();
    let get = |args: &[&str]| server.kubectl_ok(&[&["get"], args].concat());
    let one: serde_json::Value = serde_json::from_str(&get(&["job", "one", "-o", "json"])).unwrap();
    assert_eq!(
        (&one["kind"], &one["apiVersion"], &one["status"]["succeeded"]),
        (&"Job".into(), &"batch/v1".into(), &2.into())
    );
    let list: serde_json::Value = serde_json::from_str(&get(&["jobs", "-o", "json"])).unwrap();
    assert_eq!((&list["kind"], list["items"].as_array().map(Vec::len)), (&"List".into(), Some(2)));
    assert_says(&get(&["job", "one", "-o", "yaml"]), &["apiVersion: batch/v1\n", "  succeeded: 2\n"]);
    assert_eq!(get(&["jobs", "-o", "name"]), "job.batch/one\njob.batch/two\n");
    assert_eq!(get(&["jobs", "-o", "jsonpath={.items[*].metadata.name}"]), "one two");
    assert_eq!(get(&["job", "one", "-o", "go-template={{.status.succeeded}}"]), "2");
    let columns = get(&["jobs", "-o", "custom-columns=N:.metadata.name,S:.status.succeeded"]);
    assert_eq!(rows(&columns), [vec!["N", "S"], vec!["one", "2"], vec!["two", "<none>"]]);
    assert_says(&get(&["job", "one", "--subresource=status", "-o", "yaml"]), &["  succeeded: 2\n"]);
    let file = server.file("one.yaml", &job("one", "hello", &["hello"], ""));
    assert_eq!(get(&["-f", &file, "-o", "name"]), "job.batch/one\n");
    let raw: serde_json::Value = serde_json::from_str(&get(&["--raw", "/apis/batch/v1/jobs"])).unwrap();
    assert_eq!(raw["items"].as_array().map(Vec::len), Some(3));
    // The managers of fields are shown only to who asks.
    assert!(!get(&["job", "one", "-o", "yaml"]).contains("managedFields"));
}

#[test]
fn a_watch_prints_a_line_per_change() {
    let server = server();
    let first = |mut watch: Follow, name: &str| {
        watch.until(&format!("the row of {name}"), |line| line.starts_with(name));
        watch
    };
    let mut list = first(server.kubectl_follow(&["get", "jobs", "-w"]), "two");
    let mut single = first(server.kubectl_follow(&["get", "job", "two", "-w", "--output-watch-events"]), "ADDED");
    let mut only = server.kubectl_follow(&["get", "jobs", "--watch-only", "--no-headers"]);
    // kubectl does not say when its watch has begun; what is changed again and again shows it.
    wait_for("the watch that begins with nothing", || {
        server.kubectl_ok(&[
            "annotate",
            "job",
            "one",
            "--overwrite",
            &format!("at={}", server.job("one")["metadata"]["resourceVersion"]),
        ]);
        let line = only.try_line();
        line.filter(|line| line.starts_with("one")).ok_or("no line")
    });
    server.kubectl_ok(&["patch", "job", "two", "-p", r#"{"spec":{"suspend":true}}"#]);
    list.until("the suspended Job", |line| line.starts_with("two") && line.contains("Suspended"));
    single.until("the suspended Job", |line| line.starts_with("MODIFIED") && line.contains("Suspended"));
    server.kubectl_ok(&["delete", "job", "two"]);
    single.until("the end of the Job", |line| line.starts_with("DELETED"));
    server.create(&job("three", "hello", &["hello"], ""));
    list.until("the new Job", |line| line.starts_with("three"));
    list.until("its end", |line| line.starts_with("three") && line.contains("Complete") && line.contains("1/1"));
    only.until("its end", |line| line.starts_with("three") && line.contains("Complete"));
    let headings = list.seen.iter().filter(|line| line.starts_with("NAME")).count();
    assert_eq!(headings, 1, "{:#?}", list.seen);
}

#[test]
fn describe_knows_every_kind() {
    let server = server();
    let objects = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {key: value}\n---\n\
                   apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: abc}\n";
    server.kubectl_ok(&["apply", "-f", &server.file("objects.yaml", objects)]);
    let describe = |args: &[&str]| server.kubectl_ok(&[&["describe"], args].concat());
    assert_says(&describe(&["configmap", "m"]), &["Name:         m", "key:\n----\nvalue"]);
    assert_says(&describe(&["secret", "s"]), &["Type:  Opaque", "password:  3 bytes"]);
    assert_says(&describe(&["serviceaccount", "default", "-n", "kube-system"]), &["Name:                default"]);
    assert_says(&describe(&["namespace", "other"]), &["Name:         other", "Status:       Active"]);
    assert_says(&describe(&["node", "n1"]), &["Ready", "KubeletReady", "Non-terminated Pods:          (1 in total)"]);
    assert_says(&describe(&["lease", "n1", "-n", "kube-node-lease"]), &["Holder Identity:", "n1"]);
    let pods = describe(&["pods", "-l", "job-name=one"]);
    assert_eq!(pods.matches("Controlled By:  Job/one").count(), 2, "{pods}");
    assert_says(&pods, &["Image:         hello", "Exit Code:    0", "Scheduled", "QoS Class:"]);
    let described = wait_for("the events of the pod", || {
        let text = describe(&["pods", "-l", "job-name=two"]);
        if text.contains("Started") { Ok(text) } else { Err(text) }
    });
    assert_says(&described, &["Status:           Running", "Events:"]);
    assert_says(
        &describe(&["job", "two", "--show-events=false"]),
        &["Parallelism:", "1 Active (1 Ready) / 0 Succeeded"],
    );
    assert_says(&server.kubectl_fails(&["describe", "job", "nope"]), &["jobs.batch \"nope\" not found"]);
}

#[test]
fn explain_knows_every_field_of_every_kind() {
    let server = Server::start();
    for kind in [
        "configmaps",
        "cronjobs",
        "events",
        "jobs",
        "leases",
        "namespaces",
        "nodes",
        "pods",
        "secrets",
        "serviceaccounts",
    ] {
        let text = server.kubectl_ok(&["explain", kind]);
        assert_says(&text, &["KIND:", "DESCRIPTION:", "metadata\t<ObjectMeta>"]);
    }
    let field = server.kubectl_ok(&["explain", "job.spec.podFailurePolicy.rules.onExitCodes.operator"]);
    assert_says(&field, &["GROUP:      batch", "FIELD: operator <string>", "NotIn"]);
    assert_says(
        &server.kubectl_ok(&["explain", "pod", "--recursive"]),
        &["containers\t<[]Container> -required-", "emptyDir"],
    );
    // From OpenAPI v2, of which kubectl reads protobuf only.
    let older = server.kubectl_ok(&["explain", "job.spec.template.spec.containers", "--output=plaintext-openapiv2"]);
    assert_says(&older, &["VERSION:  batch/v1", "RESOURCE: containers <[]Object>", "   name\t<string> -required-"]);
    let unknown = server.kubectl_fails(&["explain", "job.spec.nope"]);
    assert_says(&unknown, &["field \"nope\" does not exist"]);
}

#[test]
fn events_are_listed_chosen_and_followed() {
    let server = server();
    let shown = wait_for("the events of the Job", || {
        let text = server.kubectl_ok(&["events", "--for", "job/one"]);
        if text.contains("Job completed") { Ok(text) } else { Err(text) }
    });
    assert!(shown.contains("SuccessfulCreate") && !shown.contains("job/two"), "{shown}");
    assert_says(&server.kubectl_ok(&["get", "events"]), &["LAST SEEN", "job/one", "job/two"]);
    assert_says(&server.kubectl_ok(&["events", "-A", "--types=Normal"]), &["NAMESPACE", "other", "Job/far"]);
    assert_eq!(rows(&server.kubectl_ok(&["events", "-n", "other", "--types=Warning"])).len(), 0);
    let chosen = server.kubectl_ok(&["get", "events", "--field-selector", "reason=Completed", "-A"]);
    assert_eq!(names(&chosen), ["default", "other"], "{chosen}");
    let mut watch = server.kubectl_follow(&["events", "--watch"]);
    watch.until("an event that was there", |line| line.contains("Job/one"));
    server.create(&job("three", "hello", &["hello"], ""));
    watch.until("a new event", |line| line.contains("Job/three") && line.contains("Completed"));
}

#[test]
fn logs_are_read_in_every_way() {
    let server = server();
    let several = "apiVersion: v1\nkind: Pod\nmetadata: {name: several}\nspec:\n  restartPolicy: Never\n  containers:\n  \
                   - {name: a, image: hello, command: [hello]}\n  - {name: b, image: hello, command: [hello]}\n";
    server.kubectl_ok(&["apply", "-f", &server.file("several.yaml", several)]);
    server.kubectl_ok(&["wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/several", "--timeout=60s"]);
    let logs = |args: &[&str]| server.kubectl_ok(&[&["logs"], args].concat());
    assert_eq!(logs(&["several", "-c", "b"]), "hello\nworld\n");
    let default = server.kubectl(&["logs", "several"]);
    assert_eq!(String::from_utf8_lossy(&default.stdout), "hello\nworld\n");
    assert_says(&String::from_utf8_lossy(&default.stderr), &["Defaulted container \"a\" out of: a, b"]);
    let all = logs(&["several", "--all-containers", "--prefix"]);
    assert_says(&all, &["[pod/several/a] hello", "[pod/several/b] world"]);
    assert_eq!(logs(&["several", "-c", "a", "--tail=1"]), "world\n");
    assert_eq!(logs(&["several", "-c", "a", "--limit-bytes=4"]), "hell");
    assert_eq!(logs(&["several", "-c", "a", "--since=1h"]), "hello\nworld\n");
    let since = "--since-time=2099-01-01T00:00:00Z";
    assert_eq!(logs(&["several", "-c", "a", since]), "");
    let stamped = logs(&["several", "-c", "a", "--timestamps"]);
    assert!(stamped.lines().all(|line| line.starts_with("20") && line.contains("Z ")), "{stamped}");
    let of_job = server.kubectl(&["logs", "job/one"]);
    assert_says(&String::from_utf8_lossy(&of_job.stderr), &["Found 2 pods, using pod/one-"]);
    assert_eq!(logs(&["-l", "job-name=one"]), "hello\nworld\nhello\nworld\n");
    assert_eq!(logs(&["job/one", "--all-pods", "--prefix"]).matches("/c] hello").count(), 2);

    server.push_example("exit-code");
    let again = several.replace("several", "again").replace("Never", "OnFailure").replace("hello", "exit-code");
    let again = again.replace("[exit-code]", "[exit-code, '3']");
    server.kubectl_ok(&["apply", "-f", &server.file("again.yaml", &again)]);
    let before = wait_for("a second run", || {
        let output = server.kubectl(&["logs", "again", "-c", "a", "--previous"]);
        if output.status.success() { Ok(output.stdout) } else { Err(output) }
    });
    assert_eq!(String::from_utf8_lossy(&before), "ending with exit code 3\n");
    let previous = server.kubectl_fails(&["logs", "several", "-c", "a", "--previous"]);
    assert_says(&previous, &["previous terminated container \"a\" in pod \"several\" not found"]);
    let no_such = server.kubectl_fails(&["logs", "several", "-c", "x"]);
    assert_says(&no_such, &["container x is not valid for pod several"]);
    let waiting = job("waits", "nowhere", &["x"], "");
    server.create(&waiting);
    let said = wait_for("the pod that waits for its image", || {
        let output = server.kubectl(&["logs", "job/waits"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if said.contains("is waiting to start") { Ok(said) } else { Err(said) }
    });
    assert_says(&said, &["Error from server (BadRequest): container \"c\" in pod \"waits-", "image can't be pulled"]);
}

#[test]
fn wait_waits_for_conditions_values_creation_and_deletion() {
    let server = server();
    let wait = |args: &[&str]| server.kubectl_ok(&[&["wait", "--timeout=60s"], args].concat());
    assert_eq!(wait(&["--for=condition=complete", "job/one"]), "job.batch/one condition met\n");
    let value = "--for=jsonpath={.status.active}=1";
    assert_eq!(wait(&[value, "job/two"]), "job.batch/two condition met\n");
    assert_eq!(
        wait(&["--for=jsonpath={.status.succeeded}", "job", "-l", "app=first"]),
        "job.batch/one condition met\n"
    );

    let mut creation = server.kubectl_follow(&["wait", "--for=create", "job/later", "--timeout=60s"]);
    let mut end = server.kubectl_follow(&["wait", "--for=condition=failed", "job/two", "--timeout=60s"]);
    server.create(&job("later", "loop", &["loop"], ""));
    creation.until("the creation", |line| line == "job.batch/later condition met");
    server.kubectl_ok(&["patch", "job", "two", "-p", r#"{"spec":{"activeDeadlineSeconds":1}}"#]);
    end.until("the failure", |line| line == "job.batch/two condition met");
    // It ends with the line of what it has seen go, or without one if that had gone before it looked.
    server.kubectl_ok(&["patch", "job", "later", "--type=merge", "-p", r#"{"metadata":{"finalizers":["test/held"]}}"#]);
    server.kubectl_ok(&["delete", "job", "later", "--wait=false"]);
    let held = server.kubectl_fails(&["wait", "--for=delete", "job/later", "--timeout=1s"]);
    assert_says(&held, &["timed out waiting for the condition on jobs/later"]);
    let deletion = server.kubectl_follow(&["wait", "--for=delete", "job/later", "--timeout=60s"]);
    server.kubectl_ok(&["patch", "job", "later", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
    let told = deletion.rest();
    assert!(told.is_empty() || told == ["job.batch/later condition met"], "{told:?}");
    assert_eq!(wait(&["--for=delete", "job/later"]), "", "gone already");

    let late = server.kubectl_fails(&["wait", "--for=condition=complete", "job/two", "--timeout=1s"]);
    assert_says(&late, &["timed out waiting for the condition on jobs/two"]);
}
