//! What kubectl asks for and kiln does not have: each is refused at once, in words that say why, and harms nothing. And
//! what kubectl does by itself. Which command each test shows is in [`super::compatibility`].

use super::harness::{Server, guest, job, wait_for};

/// A server with the Job `one`; answers the name of its pod, which runs until it is stopped.
fn server() -> (Server, String) {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--node-name", "n1"]);
    server.push("loop", &guest("loop"));
    server.create(&job("one", "loop", &["loop"], ""));
    let pod = wait_for("the pod to run", || {
        let pods = server.pods("one");
        match pods.first().filter(|pod| pod["status"]["phase"] == "Running") {
            Some(pod) => Ok(pod["metadata"]["name"].as_str().unwrap().to_owned()),
            None => Err(pods),
        }
    });
    (server, pod)
}

fn assert_refused(server: &Server, cases: &[(&[&str], &str)]) {
    for (args, part) in cases {
        let said = server.kubectl_fails(args);
        assert!(said.contains(part), "kubectl {args:?}: {part:?} in\n{said}");
    }
}

#[test]
fn nothing_gets_into_a_running_guest() {
    let (server, pod) = server();
    let local = server.file("file", "x");
    let there = format!("{pod}:/tmp/file");
    let no_shell = "a pod here is a WASI module, one program without a shell: there is nothing to";
    assert_refused(
        &server,
        &[
            (&["exec", &pod, "--", "ls"], no_shell),
            (&["exec", "job/one", "--", "ls"], no_shell),
            (&["attach", &pod], no_shell),
            (&["cp", &local, &there], no_shell),
            (&["port-forward", &pod, "8080:80"], "there is no port to forward"),
            (&["debug", &pod, "--image=loop"], "no container can be added"),
        ],
    );
    assert_eq!(server.job("one")["status"]["ready"], 1, "the pod runs on");
}

#[test]
fn what_jobs_do_not_have_is_refused() {
    let (server, _) = server();
    assert_refused(
        &server,
        &[
            (&["scale", "job/one", "--replicas=2"], "the server could not find the requested resource"),
            (&["autoscale", "job/one", "--max=2"], "could not find scale subresource"),
            (&["expose", "job/one", "--port=80"], "cannot expose a Job.batch"),
            (&["rollout", "status", "job/one"], "no status viewer has been implemented for Job.batch"),
            (&["rollout", "history", "job/one"], "no history viewer has been implemented for \"Job.batch\""),
            (&["rollout", "restart", "job/one"], "restarting is not supported"),
            (&["rollout", "pause", "job/one"], "pausing is not supported"),
            (&["rollout", "resume", "job/one"], "resuming is not supported"),
            (&["rollout", "undo", "job/one"], "no rollbacker has been implemented for \"Job.batch\""),
        ],
    );
}

#[test]
fn kinds_that_are_not_served_are_refused() {
    let server = Server::start();
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {}\n";
    let file = server.file("deployment.yaml", deployment);
    let role =
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r, namespace: default}\nrules: []\n";
    let role = server.file("role.yaml", role);
    assert_refused(
        &server,
        &[
            (&["apply", "-f", &file], "no matches for kind \"Deployment\" in version \"apps/v1\""),
            (&["create", "deployment", "d", "--image=x"], "the server could not find the requested resource"),
            (&["create", "ingress", "i", "--rule=a/b=c:80"], "the server could not find the requested resource"),
            (&["create", "quota", "q"], "the server could not find the requested resource"),
            (&["create", "priorityclass", "p", "--value=1"], "the server could not find the requested resource"),
            (
                &["create", "poddisruptionbudget", "p", "--selector=a=b", "--min-available=1"],
                "the server could not find the requested resource",
            ),
            (
                &["create", "role", "r", "--verb=get", "--resource=pods"],
                "the server could not find the requested resource",
            ),
            (
                &["create", "rolebinding", "r", "--role=a", "--user=b"],
                "the server could not find the requested resource",
            ),
            (
                &["create", "clusterrole", "r", "--verb=get", "--resource=pods"],
                "the server could not find the requested resource",
            ),
            (
                &["create", "clusterrolebinding", "r", "--clusterrole=a", "--user=b"],
                "the server could not find the requested resource",
            ),
            (&["set", "selector", "service", "s", "a=b"], "services \"s\" not found"),
            (
                &["set", "subject", "rolebinding", "r", "--user=b"],
                "the server doesn't have a resource type \"rolebinding\"",
            ),
            (
                &["certificate", "approve", "c"],
                "the server doesn't have a resource type \"certificatesigningrequests\"",
            ),
            (
                &["create", "service", "clusterip", "s", "--tcp=80"],
                "whose pods have no port that a Service could lead to",
            ),
            (&["get", "services", "--watch"], "there are no Services to write or follow"),
            (&["get", "service", "kubernetes"], "services \"kubernetes\" not found"),
            (&["cluster-info", "dump"], "the server could not find the requested resource"),
            (&["debug", "node/n1", "--image=x"], "not found"),
            (&["auth", "reconcile", "-f", &role], "the server could not find the requested resource"),
        ],
    );
}

#[test]
fn kubectl_proxies_the_api() {
    let server = Server::start();
    let mut proxy = server.kubectl_follow(&["proxy", "--port=0"]);
    let line = proxy.until("the address of the proxy", |line| line.starts_with("Starting to serve on "));
    let address = line.trim_start_matches("Starting to serve on ");
    let answer =
        ureq::get(format!("http://{address}/apis/batch/v1/jobs")).call().unwrap().body_mut().read_to_string().unwrap();
    let list: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(list["kind"], "JobList");
}

#[test]
fn a_kubeconfig_leads_to_the_server() {
    let server = Server::start();
    let file = server.dir.path().join("kubeconfig").display().to_string();
    let config = |args: &[&str]| server.kubectl_ok(&[&["config", "--kubeconfig", &file], args].concat());
    config(&["set-cluster", "kiln", "--server", &server.url]);
    config(&["set-context", "kiln", "--cluster=kiln", "--namespace=kube-system"]);
    config(&["use-context", "kiln"]);
    assert_eq!(config(&["current-context"]), "kiln\n");
    // Without --server: what the file says holds.
    let ask = |args: &[&str]| server.kubectl_command().arg("--kubeconfig").arg(&file).args(args).output().unwrap();
    let jobs = ask(&["get", "jobs"]);
    assert_eq!(String::from_utf8_lossy(&jobs.stderr), "No resources found in kube-system namespace.\n");
}

#[test]
fn some_commands_need_no_server() {
    let server = Server::start();
    let offline = |args: &[&str]| server.kubectl_ok(&[&["--server", "http://127.0.0.1:1"], args].concat());
    assert!(offline(&["completion", "bash"]).contains("__start_kubectl"));
    assert!(offline(&["options"]).contains("--request-timeout"));
    assert!(offline(&["kuberc", "view"]).is_ascii());
    let plugins = server.kubectl(&["plugin", "list"]);
    assert!(String::from_utf8_lossy(&plugins.stderr).contains("unable to find any kubectl plugins"), "{plugins:?}");
    let manifest = offline(&["create", "job", "j", "--image=hello", "--dry-run=client", "-o", "yaml", "--", "hello"]);
    // What the command would have sent works as a manifest.
    assert_eq!(server.kubectl_given(&["apply", "-f", "-"], &manifest), "job.batch/j created\n");
}
