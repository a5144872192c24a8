//! A namespace goes with all that is in it.

use serde_json::json;

use super::harness::{Server, job, wait_for};

/// Something of every sort in the namespace `work`, and a Job that runs for long.
fn furnished() -> Server {
    let server = Server::start();
    server.push_example("sleep");
    let file = server.dir.path().join("all.yaml");
    let cron = "apiVersion: batch/v1\nkind: CronJob\nmetadata:\n  name: c\nspec:\n  schedule: '* * * * *'\n  \
                jobTemplate:\n    spec:\n      template:\n        spec:\n          restartPolicy: Never\n          \
                containers:\n          - name: c\n            image: sleep\n            command: [sleep, '60']\n";
    let text = [
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: work\n".to_owned(),
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\n  namespace: work\n".to_owned(),
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  namespace: work\n".to_owned(),
        job("long", "sleep", &["sleep", "300"], "  parallelism: 3\n  completions: 3")
            .replace("name: long", "name: long\n  namespace: work"),
        cron.replace("  name: c\nspec", "  name: c\n  namespace: work\nspec"),
    ];
    std::fs::write(&file, text.join("---\n")).unwrap();
    server.kubectl_ok(&["apply", "-f", &file.display().to_string()]);
    wait_for("three running pods", || {
        let pods = server.get("/api/v1/namespaces/work/pods?fieldSelector=status.phase%3DRunning");
        if pods["items"].as_array().unwrap().len() == 3 { Ok(()) } else { Err(pods) }
    });
    server
}

/// Every object of a namespaced kind that is in `work`.
fn contents(server: &Server) -> Vec<String> {
    let kinds = server.kubectl_ok(&["api-resources", "--namespaced", "--verbs=list,delete", "-o", "name"]);
    let kinds: Vec<&str> = kinds.lines().collect();
    assert!(kinds.contains(&"configmaps") && kinds.contains(&"jobs.batch"), "{kinds:?}");
    let found = server.kubectl_ok(&["get", &kinds.join(","), "-n", "work", "-o", "name", "--ignore-not-found"]);
    found.lines().map(str::to_owned).collect()
}

#[test]
fn kubectl_deletes_a_namespace_with_all_that_is_in_it() {
    let server = furnished();
    let file = server.dir.path().join("map.yaml");
    std::fs::write(&file, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\n").unwrap();
    let map = file.display().to_string();
    server.kubectl_ok(&["create", "-f", &map]);
    assert!(contents(&server).len() > 8, "{:?}", contents(&server));

    let deleted = server.kubectl_ok(&["delete", "namespace", "work", "--timeout=60s"]);
    assert_eq!(deleted, "namespace \"work\" deleted\n");
    let gone = server.kubectl(&["get", "namespace", "work"]);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("namespaces \"work\" not found"));
    wait_for("nothing left of it", || {
        let left = contents(&server);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    server.kubectl_ok(&["get", "configmap", "m"]);

    // A namespace of the same name is a new one.
    let refused = server.kubectl(&["create", "-n", "work", "-f", &map]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("namespaces \"work\" not found"));
    let namespace = json!({"metadata": {"name": "work"}}).to_string();
    assert_eq!(server.send("POST", "/api/v1/namespaces", "application/json", namespace.as_bytes()).0, 201);
    server.kubectl_ok(&["create", "-n", "work", "-f", &map]);
    // The service account is every namespace's own.
    let own = |found: &String| found != "serviceaccount/default";
    assert_eq!(contents(&server).into_iter().filter(own).collect::<Vec<_>>(), ["configmap/m"]);
    for permanent in ["default", "kube-system", "kube-public"] {
        let refused = server.kubectl(&["delete", "namespace", permanent]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("Forbidden") && said.contains("this namespace may not be deleted"), "{said}");
    }
}

#[test]
fn a_namespace_that_waits_says_for_what_and_goes_on_after_a_crash() {
    let server = furnished();
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/held"]}}).to_string();
    let maps = "/api/v1/namespaces/work/configmaps";
    assert_eq!(server.send("POST", maps, "application/json", held.as_bytes()).0, 201);
    server.kubectl_ok(&["delete", "namespace", "work", "--wait=false"]);
    assert!(server.kubectl_ok(&["get", "namespace", "work"]).contains("Terminating"));
    let late = server.kubectl(&["run", "late", "--image=sleep", "--restart=Never", "-n", "work"]);
    let said = String::from_utf8_lossy(&late.stderr).into_owned();
    assert!(said.contains("unable to create new content in namespace work because it is being terminated"), "{said}");

    let server = Server::start_in(server.kill());
    let only = "Some content in the namespace has finalizers remaining: example.com/held in 1 resource instances";
    wait_for("what the namespace waits for", || {
        let namespace = server.get("/api/v1/namespaces/work");
        let conditions = namespace["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let content = "Some resources are remaining: configmaps. has 1 resource instances, events.";
        let says = |text: &str| conditions.iter().any(|c| c["message"].as_str().is_some_and(|m| m.starts_with(text)));
        if says(only) && says(content) { Ok(()) } else { Err(namespace) }
    });
    let release = json!({"metadata": {"finalizers": null}}).to_string();
    let path = format!("{maps}/held");
    assert_eq!(server.send("PATCH", &path, "application/merge-patch+json", release.as_bytes()).0, 200);
    wait_for("the namespace to go", || match server.send("GET", "/api/v1/namespaces/work", "application/json", b"") {
        (404, _) => Ok(()),
        (_, namespace) => Err(namespace),
    });
    assert_eq!(contents(&server), [] as [&str; 0]);
}
