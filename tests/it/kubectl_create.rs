//! What an unmodified kubectl makes itself and sends as protobuf: `create` without a manifest, `auth`, `drain`.

use std::process::Output;

use serde_json::json;

use super::harness::{Server, guest, wait_for};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// What a kubectl that fails says.
fn refused(server: &Server, args: &[&str]) -> String {
    let output = server.kubectl(args);
    assert!(!output.status.success(), "kubectl {args:?} did not fail: {}", said(&output));
    said(&output)
}

#[test]
fn a_job_of_one_line_runs() {
    let server = Server::start();
    server.push_example("pi");
    let create = ["create", "job", "digits", "--image=pi", "--", "pi", "20"];
    assert_eq!(
        server.kubectl_ok(&[&create[..3], &["--dry-run=server"], &create[3..]].concat()),
        "job.batch/digits created (server dry run)\n"
    );
    assert_eq!(server.get(JOBS)["items"], json!([]), "a dry run stores nothing");
    assert_eq!(server.kubectl_ok(&create), "job.batch/digits created\n");
    server.kubectl_ok(&["wait", "--for=condition=complete", "job/digits", "--timeout=60s"]);
    assert_eq!(server.kubectl_ok(&["logs", "job/digits"]), "3.1415926535897932385\n");
    let job = server.job("digits");
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!((&container["name"], &container["command"]), (&json!("digits"), &json!(["pi", "20"])));
    assert!(refused(&server, &create).contains("jobs.batch \"digits\" already exists"));
}

#[test]
fn a_cron_job_of_one_line_is_run_by_hand() {
    let server = Server::start();
    server.push("ok", &guest("exit0"));
    let yearly = ["create", "cronjob", "yearly", "--image=ok", "--schedule=0 0 1 1 *", "--", "ok"];
    assert_eq!(server.kubectl_ok(&yearly), "cronjob.batch/yearly created\n");
    assert_eq!(server.kubectl_ok(&["create", "job", "now", "--from=cronjob/yearly"]), "job.batch/now created\n");
    server.kubectl_ok(&["wait", "--for=condition=complete", "job/now", "--timeout=60s"]);
    let job = server.job("now");
    assert_eq!(job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"], "manual");
    let cron_job = server.get("/apis/batch/v1/namespaces/default/cronjobs/yearly");
    assert_eq!(cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"], "OnFailure");
    let owner = &job["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["controller"]), (&json!("CronJob"), &json!(true)));
    assert_eq!(owner["uid"], cron_job["metadata"]["uid"]);
}

/// Every field of a pod template that kiln takes passes through kubectl's types and back.
#[test]
fn a_whole_template_survives_the_way_through_kubectl() {
    let server = Server::start();
    let template = "
        metadata: {labels: {a: b}}
        spec:
          restartPolicy: Never
          terminationGracePeriodSeconds: 0
          activeDeadlineSeconds: 30
          nodeSelector: {disk: ssd}
          tolerations: [{key: k, operator: Exists, effect: NoExecute, tolerationSeconds: 0}]
          containers:
          - name: c
            image: ok
            command: [ok]
            args: ['', x]
            env:
            - {name: A, value: ''}
            - {name: B, valueFrom: {configMapKeyRef: {name: m, key: k, optional: true}}}
            - {name: C, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
            resources: {limits: {memory: 64Mi, cpu: 500m}}
            volumeMounts: [{name: v, mountPath: /v, readOnly: true}]
          volumes:
          - {name: v, configMap: {name: m, defaultMode: 256, items: [{key: k, path: p}], optional: true}}
          - {name: w, emptyDir: {sizeLimit: 1Mi}}
          - {name: p, projected: {sources: [{downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}]}}
";
    let manifest = format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: c}}\nspec:\n  schedule: '0 0 1 1 *'\n  jobTemplate:\n    spec:\n      \
         parallelism: 0\n      completions: 3\n      completionMode: Indexed\n      backoffLimitPerIndex: 0\n      \
         podFailurePolicy: {{rules: [{{action: FailIndex, onExitCodes: {{operator: In, values: [1, 42]}}}}]}}\n      template:{template}"
    );
    let file = server.dir.path().join("cron-job.yaml");
    std::fs::write(&file, manifest).unwrap();
    server.kubectl_ok(&["apply", "-f", &file.display().to_string()]);
    server.kubectl_ok(&["create", "job", "j", "--from=cronjob/c"]);
    let cron_job = server.get("/apis/batch/v1/namespaces/default/cronjobs/c");
    let (mut wanted, mut found) = (cron_job["spec"]["jobTemplate"]["spec"].clone(), server.job("j")["spec"].clone());
    // What a Job gets that a template has not.
    found.as_object_mut().unwrap().remove("selector");
    for labels in [&mut wanted, &mut found].map(|spec| &mut spec["template"]["metadata"]["labels"]) {
        labels.as_object_mut().unwrap().retain(|name, _| name == "a");
    }
    assert_eq!(found["parallelism"], 0, "a zero that is meant");
    for spec in [&mut wanted, &mut found] {
        spec["template"]["metadata"].as_object_mut().unwrap().remove("creationTimestamp");
    }
    for (field, value) in wanted.as_object().unwrap() {
        assert_eq!(&found[field], value, "{field}");
    }
}

#[test]
fn configuration_of_one_line_is_kept_byte_for_byte() {
    let server = Server::start();
    let binary: Vec<u8> = (0..=255).collect();
    let file = server.dir.path().join("blob");
    std::fs::write(&file, &binary).unwrap();
    let from_file = format!("--from-file={}", file.display());
    let create = ["create", "configmap", "m", "--from-literal=a=b", "--from-literal=empty=", &from_file];
    assert_eq!(server.kubectl_ok(&create), "configmap/m created\n");
    let map = server.get("/api/v1/namespaces/default/configmaps/m");
    assert_eq!(map["data"], json!({"a": "b", "empty": ""}));
    let secret = ["create", "secret", "generic", "s", "--from-literal=password=p", &from_file];
    assert_eq!(server.kubectl_ok(&secret), "secret/s created\n");
    let secret = server.get("/api/v1/namespaces/default/secrets/s");
    assert_eq!((&secret["type"], &secret["data"]["password"]), (&json!("Opaque"), &json!("cA==")));
    assert_eq!(secret["data"]["blob"], map["binaryData"]["blob"]);
    let decoded =
        server.kubectl_ok(&["get", "secret", "s", "-o", "go-template={{printf \"%x\" (.data.blob | base64decode)}}"]);
    assert_eq!(decoded, binary.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
}

#[test]
fn a_namespace_of_one_line_has_its_default_account() {
    let server = Server::start();
    assert_eq!(server.kubectl_ok(&["create", "namespace", "team"]), "namespace/team created\n");
    let accounts = |namespace: &str| {
        wait_for("the default service account", || {
            let names = server.kubectl_ok(&["get", "serviceaccounts", "-n", namespace, "-o", "name"]);
            if names.contains("serviceaccount/default") { Ok(names) } else { Err(names) }
        })
    };
    for namespace in ["default", "kube-system", "team"] {
        accounts(namespace);
    }
    assert_eq!(server.kubectl_ok(&["create", "serviceaccount", "bot", "-n", "team"]), "serviceaccount/bot created\n");
    let table = server.kubectl_ok(&["get", "sa", "bot", "-n", "team"]);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "SECRETS", "AGE"]);
    assert_eq!(rows[1][..2], ["bot", "0"]);
    assert!(
        refused(&server, &["create", "token", "bot", "-n", "team"]).contains("kiln has no tokens for service accounts")
    );
    server.kubectl_ok(&["delete", "serviceaccount", "default", "-n", "team"]);
    assert_eq!(accounts("team"), "serviceaccount/bot\nserviceaccount/default\n", "it comes again");
}

#[test]
fn kubectl_is_told_what_it_may_do_and_as_whom() {
    let server = Server::start();
    assert_eq!(server.kubectl_ok(&["auth", "can-i", "create", "jobs"]), "yes\n");
    assert_eq!(server.kubectl_ok(&["auth", "can-i", "get", "pods", "--subresource=log"]), "yes\n");
    assert_eq!(server.kubectl_ok(&["auth", "can-i", "*", "*"]), "yes\n");
    assert_eq!(server.kubectl_ok(&["auth", "can-i", "get", "/version"]), "yes\n");
    let deployments = refused(&server, &["auth", "can-i", "create", "deployments.apps"]);
    assert!(deployments.contains("no - kiln does not serve deployments.apps"), "{deployments}");
    let exec = refused(&server, &["auth", "can-i", "create", "pods", "--subresource=exec"]);
    assert!(exec.contains("no - kiln does not serve pods/exec"), "{exec}");
    let list = server.kubectl_ok(&["auth", "can-i", "--list"]);
    let row =
        |start: &str| list.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start} in\n{list}"));
    assert!(row("jobs.batch ").contains("create") && row("pods/log ").contains("[get]"), "{list}");
    assert!(list.contains("[/version]"), "{list}");
    let who = server.kubectl_ok(&["auth", "whoami", "-o", "json"]);
    assert!(who.contains("\"username\": \"system:anonymous\""), "{who}");
}

#[test]
fn what_is_invalid_is_refused_field_by_field() {
    let server = Server::start();
    let job = refused(&server, &["create", "job", "Bad_Name", "--image=pi"]);
    for part in
        ["Job.batch \"Bad_Name\" is invalid", "metadata.name: Invalid value", "containers[0].name: Invalid value"]
    {
        assert!(job.contains(part), "{part:?} in {job}");
    }
    let cron_job = refused(&server, &["create", "cronjob", "c", "--image=pi", "--schedule=often"]);
    assert!(cron_job.contains("spec.schedule: Invalid value: \"often\""), "{cron_job}");
    let elsewhere = refused(&server, &["create", "configmap", "m", "-n", "nowhere"]);
    assert!(elsewhere.contains("namespaces \"nowhere\" not found"), "{elsewhere}");
}

#[test]
fn a_damaged_body_is_refused_and_harms_nothing() {
    let server = Server::start();
    // A Job without a name, with `completions` cut off.
    let (good, cut) =
        (b"k8s\0\x12\x06\x12\x04\x08\x01\x10\x02".to_vec(), b"k8s\0\x12\x05\x12\x03\x08\x01\x10".to_vec());
    let (code, answer) = server.send("POST", JOBS, PROTOBUF, &good);
    assert_eq!((code, &answer["reason"]), (422, &json!("Invalid")), "{answer}");
    for body in [cut, good[..good.len() - 1].to_vec(), b"k8s\0".to_vec(), vec![0xff; 1000]] {
        let (code, answer) = server.send("POST", JOBS, PROTOBUF, &body);
        assert_eq!((code, &answer["reason"]), (400, &json!("BadRequest")), "{answer}");
        assert!(answer["message"].as_str().unwrap().contains("invalid protobuf"), "{answer}");
    }
    assert_eq!(server.get(JOBS)["items"], json!([]));
}

/// By evictions, and by deletions with options: both are sent as protobuf.
#[test]
fn a_drained_node_has_no_pods() {
    let server = Server::start();
    server.push("loop", &guest("loop"));
    server.kubectl_ok(&["create", "job", "endless", "--image=loop", "--", "loop"]);
    let running = || {
        let pods = server.pods("endless");
        pods.into_iter().find(|pod| pod["status"]["phase"] == "Running").ok_or("no running pod")
    };
    let node = server.kubectl_ok(&["get", "nodes", "-o", "name"]);
    for how in [&["--grace-period=0"][..], &["--grace-period=0", "--disable-eviction"]] {
        let pod = wait_for("the pod to run", running);
        let drained = server.kubectl_ok(&[&["drain", node.trim(), "--timeout=60s"], how].concat());
        assert!(drained.contains(" drained"), "{drained}");
        let left = server.pods("endless");
        assert!(left.iter().all(|p| p["metadata"]["uid"] != pod["metadata"]["uid"]), "{left:#?}");
        assert!(running().is_err(), "nothing starts on a node that is cordoned");
        server.kubectl_ok(&["uncordon", node.trim()]);
    }
}

#[test]
fn draining_a_node_evicts_its_pods() {
    let server = Server::start();
    server.push("loop", &guest("loop"));
    server.kubectl_ok(&["create", "job", "endless", "--image=loop", "--", "loop"]);
    let pod = wait_for("the pod to run", || {
        let pods = server.pods("endless");
        pods.into_iter().find(|pod| pod["status"]["phase"] == "Running").ok_or("no running pod")
    });
    let held =
        json!({"metadata": {"finalizers": ["example.com/held", "batch.kubernetes.io/job-tracking"]}}).to_string();
    let path = format!("/api/v1/namespaces/default/pods/{}", pod["metadata"]["name"].as_str().unwrap());
    assert_eq!(server.send("PATCH", &path, "application/merge-patch+json", held.as_bytes()).0, 200);
    let node = server.kubectl_ok(&["get", "nodes", "-o", "name"]);
    // It waits until the pod is gone, which it is not.
    let drain = ["drain", node.trim(), "--ignore-daemonsets", "--force", "--timeout=2s", "-v=6"];
    let said = said(&server.kubectl(&drain));
    assert!(said.contains("/eviction") && said.contains("evicting pod default/endless-"), "{said}");
    let evicted = server.get(&path);
    let conditions = evicted["status"]["conditions"].as_array().unwrap();
    let disrupted =
        conditions.iter().find(|c| c["type"] == "DisruptionTarget").unwrap_or_else(|| panic!("{evicted:#}"));
    assert_eq!((&disrupted["status"], &disrupted["reason"]), (&json!("True"), &json!("EvictionByEvictionAPI")));
    assert!(evicted["metadata"]["deletionTimestamp"].is_string());
}
