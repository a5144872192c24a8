//! Modules that a pod's image names on another registry: fetched, refused, waited for, and told of.

use serde_json::{Value, json};

use super::harness::{Server, example_module, guest, job, wait_for};
use super::other_registry::{Auth, Odd, Registry};

/// A server that may ask these.
fn server(registries: &[&Registry]) -> Server {
    let flags: Vec<&str> = registries.iter().flat_map(|r| ["--allow-registry", r.host.as_str()]).collect();
    Server::start_with(tempfile::tempdir().unwrap(), &flags)
}

fn policy(policy: &str) -> String {
    format!("        imagePullPolicy: {policy}\n")
}

/// Waits until the one pod of the Job waits for this reason; answers the message.
fn waits(server: &Server, job: &str, reason: &str) -> String {
    wait_for(&format!("{job} waits: {reason}"), || {
        let pods = server.pods(job);
        let waiting = pods.first().map(|pod| pod["status"]["containerStatuses"][0]["state"]["waiting"].clone());
        match waiting {
            Some(waiting) if waiting["reason"] == reason => Ok(waiting["message"].as_str().unwrap().to_owned()),
            other => Err(other),
        }
    })
}

/// What was told of the Job's pod: `TYPE REASON FIELD: MESSAGE`.
fn events(server: &Server, job: &str) -> Vec<String> {
    let pod = server.pods(job).remove(0);
    let events = server.get("/api/v1/namespaces/default/events");
    let about = |event: &&Value| event["involvedObject"]["uid"] == pod["metadata"]["uid"];
    let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let line = |event: &Value| {
        let place = event["involvedObject"]["fieldPath"].as_str().unwrap_or_default();
        format!("{} {} {place}: {}", text(event, "type"), text(event, "reason"), text(event, "message"))
    };
    events["items"].as_array().unwrap().iter().filter(about).map(line).collect()
}

fn told(server: &Server, job: &str, parts: &[&str]) {
    wait_for(&format!("events of {job}: {parts:?}"), || {
        let events = events(server, job);
        match parts.iter().all(|part| events.iter().any(|event| event.contains(part))) {
            true => Ok(()),
            false => Err(events),
        }
    });
}

#[test]
fn an_image_of_an_allowed_registry_is_fetched_once_and_run() {
    let registry = Registry::start();
    let wasm = example_module("hello");
    let of = registry.put_module("tools/hello", "1", &wasm);
    let server = server(&[&registry]);
    let image = registry.image("tools/hello:1");
    for (name, image) in [("first", image.clone()), ("second", image.clone())] {
        server.create(&job(name, &image, &["hello"], ""));
        assert_eq!(server.wait_for_end(name).1.0, "Complete", "{name}");
        assert!(server.log(&server.pods(name)[0]).contains("Hello"));
    }
    let by_digest = registry.image(&format!("tools/hello@{of}"));
    server.create(&job("third", &by_digest, &["hello"], ""));
    assert_eq!(server.wait_for_end("third").1.0, "Complete");
    let layer = super::other_registry::digest(&wasm);
    assert_eq!(registry.count(&layer), 1, "its bytes came once");
    assert_eq!(registry.count("/v2/tools/hello/manifests/1"), 1, "and what is here is not asked for");
    let status = server.pods("third")[0]["status"]["containerStatuses"][0].clone();
    assert_eq!(status["imageID"], json!(layer));
    told(
        &server,
        "first",
        &[
            &format!("Normal Pulling spec.containers{{c}}: Pulling image \"{image}\""),
            &format!("Normal Pulled spec.containers{{c}}: Successfully pulled image \"{image}\" in "),
            &format!("including waiting). Image size: {} bytes.", wasm.len()),
        ],
    );
    told(&server, "second", &[&format!("Container image \"{image}\" already present on machine")]);
}

#[test]
fn always_asks_what_the_tag_means_now() {
    let registry = Registry::start();
    let server = server(&[&registry]);
    registry.put_module("moves", "latest", &example_module("hello"));
    // Latest, so that Kubernetes' default is Always.
    server.create(&job("before", &registry.image("moves"), &["hello"], ""));
    assert_eq!(server.wait_for_end("before").1.0, "Complete");
    registry.put_module("moves", "latest", &guest("exit-code"));
    // Soon, and not at once: answers are remembered for some seconds.
    let mut tries = 0;
    wait_for("the tag is seen to have moved", || {
        tries += 1;
        let name = format!("after-{tries}");
        server.create(&job(&name, &registry.image("moves"), &["exit-code", "7"], "  backoffLimit: 0"));
        match server.wait_for_end(&name).1.0.as_str() {
            "Failed" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    // What is here is good enough for a pod that does not ask, and for one that cannot.
    registry.misbehaves("/v2/moves/manifests/latest", Odd::Says(500, "broken".to_owned()));
    let asked = registry.count("/v2/moves/manifests/latest");
    for kind in ["IfNotPresent", "Never"] {
        let name = kind.to_lowercase();
        let manifest = job(&name, &registry.image("moves"), &["exit-code", "0"], "") + &policy(kind);
        server.create(&manifest);
        assert_eq!(server.wait_for_end(&name).1.0, "Complete", "{kind}");
    }
    assert_eq!(registry.count("/v2/moves/manifests/latest"), asked);
}

#[test]
fn a_pod_says_why_its_image_is_not_there_and_runs_when_it_is() {
    let (registry, forbidden) = (Registry::start(), Registry::start());
    forbidden.put_module("x", "1", &example_module("hello"));
    let server = server(&[&registry]);
    let missing = registry.image("missing:1");
    server.create(&job("missing", &missing, &["hello"], ""));
    server.create(&job("forbidden", &forbidden.image("x:1"), &["hello"], ""));
    server.create(&(job("never", &registry.image("missing:1"), &["hello"], "") + &policy("Never")));
    server.create(&job("invalid", "UPPER", &["hello"], ""));
    server.create(&job("bare", "bare", &["hello"], ""));

    let said = waits(&server, "missing", "ErrImagePull");
    assert!(said.contains("it is not here"), "{said}");
    let said = waits(&server, "missing", "ImagePullBackOff");
    assert!(said.starts_with(&format!("Back-off pulling image \"{missing}\": ErrImagePull: the registry")), "{said}");
    let said = waits(&server, "forbidden", "ImagePullBackOff");
    assert!(said.contains(&format!("--allow-registry {}", forbidden.host)), "{said}");
    let said = waits(&server, "never", "ErrImageNeverPull");
    assert_eq!(said, format!("Container image \"{missing}\" is not present with pull policy of Never"));
    let said = waits(&server, "invalid", "InvalidImageName");
    assert!(said.contains("upper-case"), "{said}");
    let said = waits(&server, "bare", "ImagePullBackOff");
    assert!(said.contains("kiln push bare") && !said.contains("--allow-registry"), "{said}");
    let place = "spec.containers{c}";
    told(
        &server,
        "missing",
        &[
            &format!("Normal Pulling {place}: Pulling image"),
            &format!("Warning Failed {place}: Failed to pull image \"{missing}\": the registry says"),
            &format!("Warning Failed {place}: Error: ErrImagePull"),
            &format!("Warning BackOff {place}: Back-off pulling image \"{missing}\""),
            &format!("Warning Failed {place}: Error: ImagePullBackOff"),
        ],
    );
    told(&server, "never", &["ErrImageNeverPull", "Error: ErrImageNeverPull"]);
    told(&server, "invalid", &["InspectFailed", "Error: InvalidImageName"]);

    // After the first back-off it is looked for again; what comes by another way is found at once.
    registry.put_module("missing", "1", &example_module("hello"));
    server.push("bare", &example_module("hello"));
    server.push(&forbidden.image("x:1"), &example_module("hello"));
    for name in ["missing", "forbidden", "never", "bare"] {
        assert_eq!(server.wait_for_end(name).1.0, "Complete", "{name}");
    }
    assert_eq!(forbidden.count("1"), 0, "it was never asked");
}

#[test]
fn image_pull_secrets_open_the_registry_that_they_are_for() {
    for auth in [Auth::Basic, Auth::Bearer] {
        let registry = Registry::start_with(auth);
        registry.put_module("private", "1", &example_module("hello"));
        let server = server(&[&registry]);
        let server_flag = format!("--docker-server={}", registry.host);
        let user = ["--docker-username=tester", "--docker-password=s3cret"];
        server.kubectl_ok(&["create", "secret", "docker-registry", "right", &server_flag, user[0], user[1]]);
        server.kubectl_ok(&[
            "create",
            "secret",
            "docker-registry",
            "other",
            "--docker-server=ghcr.io",
            user[0],
            user[1],
        ]);
        let with = |name: &str, secret: &str| {
            job(name, &registry.image("private:1"), &["hello"], "")
                + &format!("      imagePullSecrets: [{{name: {secret}}}]\n")
        };
        server.create(&with("stranger", "other"));
        server.create(&with("forgetful", "forgotten"));
        let said = waits(&server, "stranger", "ErrImagePull");
        assert!(said.contains("imagePullSecrets") || said.contains("who are you?"), "{auth:?}: {said}");
        told(
            &server,
            "forgetful",
            &["Warning FailedToRetrieveImagePullSecret : Unable to retrieve some image pull \
                                       secrets (forgotten); attempting to pull the image may not succeed."],
        );
        server.create(&with("insider", "right"));
        assert_eq!(server.wait_for_end("insider").1.0, "Complete", "{auth:?}");
        // Now that it is here, who waits finds it, as in Kubernetes.
        assert_eq!(server.wait_for_end("stranger").1.0, "Complete", "{auth:?}");
        let log = server.kubectl_ok(&["get", "pods,events", "-o", "yaml"]);
        assert!(!log.contains("s3cret"), "a secret is shown");
    }
}
