//! kube-rs, unmodified: `Api` with all its verbs, selectors, pages, logs, conditions and errors. What watches is in
//! [`super::kube_rs_watch`].

use std::future::Future;

use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Node, Pod, Secret};
use kube::api::{
    Api, DeleteParams, EvictParams, ListParams, LogParams, Patch, PatchParams, PostParams, Preconditions,
    ValidationDirective,
};
use kube::core::metadata::PartialObjectMeta;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, Config, Resource, ResourceExt};
use serde_json::json;

use super::harness::{SOON, Server, guest, job};

/// What comes of it within the time that anything may take here.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.unwrap_or_else(|_| panic!("{what}: not within {SOON:?}"))
}

pub fn client(url: &str) -> Client {
    Client::try_from(Config::new(url.parse().unwrap())).unwrap()
}

pub fn job_of(yaml: &str) -> Job {
    serde_yaml::from_str(yaml).unwrap()
}

fn config_map(name: &str, label: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": {"set": label}}, "data": {"a": "1"}})).unwrap()
}

fn names<K: Resource>(objects: impl IntoIterator<Item = K>) -> Vec<String> {
    objects.into_iter().map(|o| o.name_any()).collect()
}

/// The Status of a refusal.
fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> kube::core::Status {
    match result {
        Err(kube::Error::Api(status)) => *status,
        other => panic!("no refusal of the API: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_created_read_replaced_patched_and_deleted() {
    let server = Server::start();
    server.push("loop", &guest("loop"));
    let client = client(&server.url);
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    let made = jobs.create(&PostParams::default(), &job_of(&job("j", "loop", &["loop"], ""))).await.unwrap();
    assert!(made.uid().is_some() && made.resource_version().is_some());
    assert_eq!(made.spec.as_ref().unwrap().backoff_limit, Some(6));
    assert_eq!(jobs.get("j").await.unwrap().uid(), made.uid());
    assert!(jobs.get_opt("nope").await.unwrap().is_none());

    let params = PatchParams { field_manager: Some("test".to_owned()), ..PatchParams::default() };
    let merge = json!({"spec": {"parallelism": 2}, "metadata": {"labels": {"a": "b"}}});
    let patched = jobs.patch("j", &params, &Patch::Merge(&merge)).await.unwrap();
    assert_eq!((patched.spec.unwrap().parallelism, patched.metadata.labels.unwrap()["a"].as_str()), (Some(2), "b"));
    let strategic = json!({"metadata": {"labels": {"a": null, "c": "d"}}});
    let patched = jobs.patch("j", &params, &Patch::Strategic(&strategic)).await.unwrap();
    assert_eq!(patched.labels().get("a"), None);
    assert_eq!(patched.labels()["c"], "d");
    // kube has JSON patches behind a feature; the request is the same.
    let operations = json!([{"op": "replace", "path": "/spec/parallelism", "value": 3}]).to_string();
    let request = ureq::http::Request::patch("/apis/batch/v1/namespaces/default/jobs/j")
        .header("Content-Type", "application/json-patch+json")
        .body(operations.into_bytes())
        .unwrap();
    let patched: Job = client.request(request).await.unwrap();
    assert_eq!(patched.spec.unwrap().parallelism, Some(3));

    let status = json!({"metadata": {"annotations": {"seen": "yes"}}, "spec": {"parallelism": 9}});
    let patched = jobs.patch_status("j", &params, &Patch::Merge(&status)).await.unwrap();
    assert_eq!(patched.annotations()["seen"], "yes");
    let stored = jobs.get_status("j").await.unwrap();
    assert_eq!(stored.spec.as_ref().unwrap().parallelism, Some(3), "the status has no say in the spec");

    let mut changed = jobs.get("j").await.unwrap();
    changed.spec.as_mut().unwrap().backoff_limit = Some(1);
    let replaced = jobs.replace("j", &PostParams::default(), &changed).await.unwrap();
    assert_eq!(replaced.spec.unwrap().backoff_limit, Some(1));
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    changed.metadata.resource_version = None;
    changed.spec.as_mut().unwrap().backoff_limit = Some(7);
    assert_eq!(jobs.replace("j", &dry, &changed).await.unwrap().spec.unwrap().backoff_limit, Some(7));
    assert_eq!(jobs.get("j").await.unwrap().spec.unwrap().backoff_limit, Some(1));

    let partial: PartialObjectMeta<Job> = jobs.get_metadata("j").await.unwrap();
    assert_eq!(partial.labels()["c"], "d");

    let other = Preconditions { uid: Some("of another".to_owned()), ..Preconditions::default() };
    let conflict = refusal(jobs.delete("j", &DeleteParams::background().preconditions(other)).await);
    assert!(conflict.is_conflict(), "{conflict:?}");
    let uid = made.uid().unwrap();
    let deleted = jobs.delete("j", &DeleteParams::background()).await.unwrap();
    assert!(deleted.right().is_some_and(|status| status.is_success()), "gone with the answer");
    soon("the end of the Job", await_condition(jobs, "j", conditions::is_deleted(&uid))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_chosen_by_label_by_field_and_in_pages() {
    let server = Server::start();
    server.push("ok", &guest("exit0"));
    let client = client(&server.url);
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    for number in 0..5 {
        let label = if number % 2 == 0 { "even" } else { "odd" };
        maps.create(&PostParams::default(), &config_map(&format!("m{number}"), label)).await.unwrap();
    }
    let chosen = maps.list(&ListParams::default().labels("set in (even,odd),set!=odd")).await.unwrap();
    assert_eq!(names(chosen), ["m0", "m2", "m4"]);
    let chosen = maps.list(&ListParams::default().fields("metadata.name=m3")).await.unwrap();
    assert_eq!(names(chosen), ["m3"]);

    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let mut params = ListParams::default().limit(2);
        params.continue_token = token;
        let page = maps.list(&params).await.unwrap();
        assert!(page.items.len() <= 2);
        token = page.metadata.continue_.clone().filter(|t| !t.is_empty());
        seen.extend(names(page));
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["m0", "m1", "m2", "m3", "m4"]);
    let cached = maps.list(&ListParams::default().match_any()).await.unwrap();
    assert_eq!(cached.items.len(), 5);
    let metadata = maps.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(metadata.items.len(), 5);

    server.create(&job("j", "ok", &["ok"], ""));
    server.wait_for_end("j");
    let everywhere: Api<Job> = Api::all(client.clone());
    let done = everywhere.list(&ListParams::default().fields("status.successful=1")).await.unwrap();
    assert_eq!(names(done), ["j"]);
    let pods: Api<Pod> = Api::all(client.clone());
    let ended = pods.list(&ListParams::default().fields("status.phase=Succeeded").labels("job-name=j")).await.unwrap();
    assert_eq!(ended.items.len(), 1);
    // Whatever else is there deserialises too.
    assert_eq!(Api::<Node>::all(client.clone()).list(&ListParams::default()).await.unwrap().items.len(), 1);
    assert_eq!(Api::<CronJob>::all(client.clone()).list(&ListParams::default()).await.unwrap().items.len(), 0);
    assert_eq!(Api::<Secret>::all(client.clone()).list(&ListParams::default()).await.unwrap().items.len(), 0);
    assert!(!Api::<Event>::all(client).list(&ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_deleted_by_one_request_and_a_pod_is_evicted() {
    let server = Server::start();
    server.push("loop", &guest("loop"));
    let client = client(&server.url);
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    for (name, label) in [("a", "gone"), ("b", "kept"), ("c", "gone")] {
        maps.create(&PostParams::default(), &config_map(name, label)).await.unwrap();
    }
    let chosen = ListParams::default().labels("set=gone");
    let deleted = maps.delete_collection(&DeleteParams::default(), &chosen).await.unwrap();
    assert_eq!(names(deleted.left().expect("the list of what is gone")), ["a", "c"]);
    assert_eq!(names(maps.list(&ListParams::default()).await.unwrap()), ["b"]);

    server.create(&job("j", "loop", &["loop"], ""));
    let pods: Api<Pod> = Api::default_namespaced(client);
    let pod = soon("a pod", async {
        loop {
            if let Some(pod) = pods.list(&ListParams::default()).await.unwrap().items.pop() {
                break pod;
            }
        }
    })
    .await;
    let evicted = pods.evict(&pod.name_any(), &EvictParams::default()).await.unwrap();
    assert!(evicted.is_success(), "{evicted:?}");
    let uid = pod.uid().unwrap();
    soon("the pod goes", await_condition(pods, &pod.name_any(), conditions::is_deleted(&uid))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_applied_by_its_owners() {
    let server = Server::start();
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&server.url));
    let body = |value: &str| {
        let metadata = json!({"name": "m"});
        Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": value}}))
    };
    let made = maps.patch("m", &PatchParams::apply("one"), &body("1")).await.unwrap();
    assert_eq!(made.data.unwrap()["a"], "1");
    let conflict = refusal(maps.patch("m", &PatchParams::apply("two"), &body("2")).await);
    assert!(conflict.is_conflict() && conflict.message.contains("conflict with \"one\""), "{conflict:?}");
    let forced = maps.patch("m", &PatchParams::apply("two").force(), &body("2")).await.unwrap();
    assert_eq!(forced.data.unwrap()["a"], "2");
    let managers: Vec<_> = forced.metadata.managed_fields.unwrap().into_iter().filter_map(|f| f.manager).collect();
    assert!(managers.contains(&"two".to_owned()), "{managers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_awaited_and_its_log_read_and_followed() {
    let server = Server::start();
    server.push_example("sleep");
    server.push("hello", &guest("hello"));
    let client = client(&server.url);
    let (jobs, pods): (Api<Job>, Api<Pod>) =
        (Api::default_namespaced(client.clone()), Api::default_namespaced(client.clone()));
    jobs.create(&PostParams::default(), &job_of(&job("s", "sleep", &["sleep", "1"], ""))).await.unwrap();
    let of_job = ListParams::default().labels("job-name=s");
    let pod = soon("a pod", async {
        loop {
            if let Some(pod) = pods.list(&of_job).await.unwrap().items.pop() {
                break pod.name_any();
            }
        }
    })
    .await;
    soon("the pod runs", await_condition(pods.clone(), &pod, conditions::is_pod_running())).await.unwrap();
    let follow = LogParams { follow: true, ..LogParams::default() };
    let lines = pods.log_stream(&pod, &follow).await.unwrap().lines();
    let lines: Vec<String> = soon("the end of the log", lines.try_collect()).await.unwrap();
    assert_eq!(lines, ["sleeping for 1 s", "slept for 1 s"]);
    let done = soon("the end", await_condition(jobs.clone(), "s", conditions::is_job_completed())).await.unwrap();
    assert_eq!(done.unwrap().status.unwrap().succeeded, Some(1));

    jobs.create(&PostParams::default(), &job_of(&job("h", "hello", &["hello"], ""))).await.unwrap();
    soon("the end", await_condition(jobs, "h", conditions::is_job_completed())).await.unwrap();
    let pod = pods.list(&ListParams::default().labels("job-name=h")).await.unwrap().items.pop().unwrap().name_any();
    assert_eq!(pods.logs(&pod, &LogParams::default()).await.unwrap(), "hello\nworld\n");
    let last = LogParams { tail_lines: Some(1), timestamps: true, ..LogParams::default() };
    assert!(pods.logs(&pod, &last).await.unwrap().ends_with(" world\n"));
    let previous = refusal(pods.logs(&pod, &LogParams { previous: true, ..LogParams::default() }).await);
    assert_eq!((previous.code, previous.reason.as_str()), (400, "BadRequest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_arrive_with_reason_code_and_causes() {
    let server = Server::start();
    let client = client(&server.url);
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    let missing = refusal(jobs.get("nope").await);
    assert!(missing.is_not_found() && missing.code == 404, "{missing:?}");
    assert_eq!(missing.message, "jobs.batch \"nope\" not found");
    assert_eq!(missing.details.unwrap().name, "nope");

    let wanted = job_of(&job("j", "x", &["x"], "  suspend: true"));
    let mut made = jobs.create(&PostParams::default(), &wanted).await.unwrap();
    let taken = refusal(jobs.create(&PostParams::default(), &wanted).await);
    assert!(taken.is_already_exists() && taken.code == 409, "{taken:?}");
    made.metadata.resource_version = Some("1".to_owned());
    let stale = refusal(jobs.replace("j", &PostParams::default(), &made).await);
    assert!(stale.is_conflict() && stale.code == 409, "{stale:?}");

    let bad = job_of(&job("bad", "x", &["x"], "  parallelism: -1\n  completions: -2"));
    let invalid = refusal(jobs.create(&PostParams::default(), &bad).await);
    assert!(invalid.is_invalid() && invalid.code == 422, "{invalid:?}");
    let fields: Vec<String> = invalid.details.unwrap().causes.into_iter().map(|c| c.field).collect();
    assert_eq!(fields, ["spec.parallelism", "spec.completions"]);
    let strict = PatchParams { field_validation: Some(ValidationDirective::Strict), ..PatchParams::default() };
    let unknown = refusal(jobs.patch("j", &strict, &Patch::Merge(json!({"spec": {"nope": 1}}))).await);
    assert!(unknown.is_invalid() && unknown.message.contains("unknown field \"spec.nope\""), "{unknown:?}");

    let elsewhere: Api<Job> = Api::namespaced(client.clone(), "nowhere");
    let nowhere = refusal(elsewhere.create(&PostParams::default(), &wanted).await);
    assert_eq!((nowhere.code, nowhere.message.as_str()), (404, "namespaces \"nowhere\" not found"));
    let scale = refusal(jobs.get_scale("j").await);
    assert_eq!((scale.code, scale.reason.as_str()), (404, "NotFound"));
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_knows_every_kind() {
    let server = Server::start();
    let client = client(&server.url);
    let version = client.apiserver_version().await.unwrap();
    assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "37"));
    let discovery = kube::Discovery::new(client.clone()).run().await.unwrap();
    let kinds = |group: &str| -> Vec<String> {
        let group = discovery.get(group).unwrap();
        group.recommended_resources().into_iter().map(|(resource, _)| resource.kind).collect()
    };
    assert_eq!(kinds("batch"), ["CronJob", "Job"]);
    assert!(kinds("").contains(&"Pod".to_owned()));
    // Pods and nodes by name, and yet other kinds.
    assert_eq!(kinds("metrics.k8s.io"), ["NodeMetrics", "PodMetrics"]);
    let aggregated = client.list_api_groups_aggregated().await.unwrap();
    assert!(!aggregated.items.is_empty());
}
