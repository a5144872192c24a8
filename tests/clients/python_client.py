"""The official Python client, unmodified, against a running kiln: python_client.py URL

Each function under @check is a use of the client that people have, from creating a Job to following its log. The client
turns every answer into its typed models and refuses what lacks a field that they require, so that each call is also a
check of the answer's shape. The examples hello and sleep must have been pushed, and infinite-loop as loop.
"""

import sys
import threading
import time

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException

CHECKS = []
NAMESPACE = "default"
SOON = 60


def check(function):
    CHECKS.append(function)
    return function


def job(name, image="hello", command=None, labels=None, **spec):
    container = client.V1Container(name="c", image=image, command=command or [image])
    pod = client.V1PodSpec(restart_policy="Never", containers=[container])
    template = client.V1PodTemplateSpec(spec=pod)
    metadata = client.V1ObjectMeta(name=name, labels=labels)
    return client.V1Job(metadata=metadata, spec=client.V1JobSpec(template=template, **spec))


def is_complete(found):
    return any(c.type == "Complete" and c.status == "True" for c in found.status.conditions or [])


def until(what, ask):
    """Asks until the answer is true; says what the last one was if it never is."""
    end = time.monotonic() + SOON
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < end, f"{what}: not within {SOON} s; last seen: {answer}"
        time.sleep(0.02)


def created(batch, body):
    return batch.create_namespaced_job(NAMESPACE, body)


def completed(batch, name):
    """Watches from now until the Job is complete."""
    for event in watch.Watch().stream(
        batch.list_namespaced_job, NAMESPACE, field_selector=f"metadata.name={name}", timeout_seconds=SOON
    ):
        if is_complete(event["object"]):
            return event["object"]
    raise AssertionError(f"{name} was not complete within {SOON} s")


def pod_of(core, name, phase):
    def ask():
        pods = core.list_namespaced_pod(NAMESPACE, label_selector=f"job-name={name}").items
        return next((pod for pod in pods if pod.status.phase == phase), None)

    return until(f"a {phase} pod of {name}", ask)


def refused(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ApiException as error:
        return error, client.ApiClient().deserialize(error.body, "V1Status", "application/json")
    raise AssertionError(f"{call.__name__} was not refused")


@check
def versions_and_discovery():
    version = client.VersionApi().get_code()
    assert (version.major, version.minor) == ("1", "37"), version
    assert [v.version for g in client.ApisApi().get_api_versions().groups if g.name == "batch" for v in g.versions] == ["v1"]
    resources = client.BatchV1Api().get_api_resources().resources
    assert {"jobs", "jobs/status", "cronjobs", "cronjobs/status"} <= {r.name for r in resources}
    assert "v1" in client.CoreApi().get_api_versions().versions


@check
def create_and_watch_until_complete():
    batch = client.BatchV1Api()
    body = job("watched", completions=3, parallelism=2)
    made = created(batch, body)
    assert made.metadata.uid and made.spec.backoff_limit == 6 and made.spec.completion_mode == "NonIndexed"
    watcher, last = watch.Watch(), 0
    for event in watcher.stream(
        batch.list_namespaced_job, NAMESPACE, resource_version=made.metadata.resource_version, timeout_seconds=SOON
    ):
        found = event["object"]
        assert event["type"] == "MODIFIED" and isinstance(found, client.V1Job), event
        assert int(found.metadata.resource_version) > last, "a watch goes forward"
        last = int(found.metadata.resource_version)
        if is_complete(found):
            watcher.stop()
    assert found.status.succeeded == 3, found.status
    assert found.status.completion_time >= found.status.start_time
    condition = found.status.conditions[-1]
    assert (condition.reason, condition.last_transition_time is None) == ("CompletionsReached", False), condition


@check
def read_and_follow_logs():
    batch, core = client.BatchV1Api(), client.CoreV1Api()
    created(batch, job("logged", command=["hello", "a", "b"]))
    completed(batch, "logged")
    pod = pod_of(core, "logged", "Succeeded").metadata.name
    assert core.read_namespaced_pod_log(pod, NAMESPACE) == "Hello, a!\nHello, b!\n"
    assert core.read_namespaced_pod_log(pod, NAMESPACE, tail_lines=1, container="c") == "Hello, b!\n"
    stamped = core.read_namespaced_pod_log(pod, NAMESPACE, timestamps=True)
    assert all(line[:2] == "20" for line in stamped.splitlines()), stamped

    created(batch, job("followed", image="sleep", command=["sleep", "1"]))
    pod = pod_of(core, "followed", "Running").metadata.name
    lines = list(watch.Watch().stream(core.read_namespaced_pod_log, pod, NAMESPACE))
    assert lines == ["sleeping for 1 s", "slept for 1 s"], lines


@check
def patch_in_three_ways():
    batch = client.BatchV1Api()
    created(batch, job("patched", image="loop", parallelism=1))
    strategic = batch.patch_namespaced_job("patched", NAMESPACE, {"spec": {"parallelism": 2}})
    assert strategic.spec.parallelism == 2
    # The client sends a list as a JSON patch.
    listed = batch.patch_namespaced_job("patched", NAMESPACE, [{"op": "add", "path": "/metadata/labels/a", "value": "b"}])
    assert listed.metadata.labels["a"] == "b"
    merged = batch.patch_namespaced_job(
        "patched", NAMESPACE, {"metadata": {"labels": {"a": None}}}, _content_type="application/merge-patch+json"
    )
    assert "a" not in merged.metadata.labels
    batch.patch_namespaced_job_status("patched", NAMESPACE, {"metadata": {"annotations": {"seen": "yes"}}})
    assert batch.read_namespaced_job_status("patched", NAMESPACE).metadata.annotations["seen"] == "yes"


@check
def replace_and_conflict():
    core = client.CoreV1Api()
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="replaced"), data={"a": "1"})
    first = core.create_namespaced_config_map(NAMESPACE, body)
    first.data["a"] = "2"
    second = core.replace_namespaced_config_map("replaced", NAMESPACE, first)
    assert second.data == {"a": "2"}
    error, status = refused(core.replace_namespaced_config_map, "replaced", NAMESPACE, first)
    assert (error.status, status.reason, status.details.kind) == (409, "Conflict", "configmaps"), error


@check
def lists_in_pages():
    core = client.CoreV1Api()
    for number in range(5):
        metadata = client.V1ObjectMeta(name=f"page-{number}", labels={"set": "pages"})
        core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=metadata))
    names, token, versions = [], None, set()
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, label_selector="set=pages", limit=2, _continue=token)
        assert len(page.items) <= 2
        names += [item.metadata.name for item in page.items]
        versions.add(page.metadata.resource_version)
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"page-{number}" for number in range(5)], names
    assert len(versions) == 1, "all pages show one moment"
    error, status = refused(core.list_namespaced_config_map, NAMESPACE, _continue="rubbish")
    assert (error.status, status.reason) == (400, "BadRequest"), error


@check
def selectors():
    batch, core = client.BatchV1Api(), client.CoreV1Api()
    created(batch, job("chosen", labels={"tier": "front"}, completions=2))
    completed(batch, "chosen")
    by_label = batch.list_job_for_all_namespaces(label_selector="tier in (front, back),tier!=back")
    assert [item.metadata.name for item in by_label.items] == ["chosen"]
    by_field = batch.list_namespaced_job(NAMESPACE, field_selector="status.successful=2,metadata.name!=other")
    assert [item.metadata.name for item in by_field.items] == ["chosen"]
    pods = core.list_pod_for_all_namespaces(field_selector="status.phase=Succeeded", label_selector="job-name=chosen")
    assert len(pods.items) == 2
    error, status = refused(batch.list_namespaced_job, NAMESPACE, field_selector="spec.nope=1")
    assert error.status == 400 and "field label not supported" in status.message or "not supported" in status.message, error


@check
def events_of_a_job():
    batch, core = client.BatchV1Api(), client.CoreV1Api()
    uid = created(batch, job("told")).metadata.uid
    completed(batch, "told")

    def ask():
        events = core.list_namespaced_event(NAMESPACE, field_selector=f"involvedObject.uid={uid}").items
        found = [(event.type, event.reason, event.count) for event in events]
        return found if ("Normal", "Completed", 1) in found else None

    assert ("Normal", "SuccessfulCreate", 1) in until("the event of its completion", ask)


@check
def delete_with_propagation():
    batch, core = client.BatchV1Api(), client.CoreV1Api()
    created(batch, job("gone", image="loop"))
    pod_of(core, "gone", "Running")
    body = client.V1DeleteOptions(propagation_policy="Foreground")
    batch.delete_namespaced_job("gone", NAMESPACE, body=body)
    until("the end of the Job", lambda: not batch.list_namespaced_job(NAMESPACE, field_selector="metadata.name=gone").items)
    assert core.list_namespaced_pod(NAMESPACE, label_selector="job-name=gone").items == []


@check
def watch_of_deletion():
    core = client.CoreV1Api()
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="doomed"))
    made = core.create_namespaced_config_map(NAMESPACE, body)
    threading.Thread(target=core.delete_namespaced_config_map, args=("doomed", NAMESPACE)).start()
    watcher = watch.Watch()
    for event in watcher.stream(
        core.list_config_map_for_all_namespaces,
        field_selector="metadata.name=doomed",
        resource_version=made.metadata.resource_version,
        timeout_seconds=SOON,
    ):
        assert event["type"] == "DELETED" and event["object"].metadata.uid == made.metadata.uid, event
        watcher.stop()
        return
    raise AssertionError("the deletion was not told")


@check
def a_watch_from_an_old_version_starts_again():
    core = client.CoreV1Api()
    # Of the distant past: either the history still has it, or the client is told 410 and begins anew by itself.
    for event in watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, resource_version="1", timeout_seconds=1):
        assert event["type"] in ("ADDED", "MODIFIED", "DELETED"), event


@check
def cron_jobs():
    batch = client.BatchV1Api()
    template = client.V1JobTemplateSpec(spec=job("x").spec)
    spec = client.V1CronJobSpec(schedule="@every 1s", job_template=template, concurrency_policy="Forbid")
    body = client.V1CronJob(metadata=client.V1ObjectMeta(name="tick"), spec=spec)
    made = batch.create_namespaced_cron_job(NAMESPACE, body)
    assert made.spec.suspend is False and made.spec.successful_jobs_history_limit == 3
    # Whoever makes a Job of it takes these without looking.
    assert made.spec.job_template.metadata.labels is None and made.spec.job_template.spec.template.metadata.labels is None
    for event in watch.Watch().stream(batch.list_namespaced_cron_job, NAMESPACE, timeout_seconds=SOON):
        if event["object"].status.last_successful_time:
            break
    else:
        raise AssertionError("no run within a minute")
    batch.patch_namespaced_cron_job("tick", NAMESPACE, {"spec": {"suspend": True}})
    owned = [j for j in batch.list_namespaced_job(NAMESPACE).items if j.metadata.name.startswith("tick-")]
    assert owned[0].metadata.owner_references[0].kind == "CronJob"
    batch.delete_namespaced_cron_job("tick", NAMESPACE, propagation_policy="Background")


@check
def other_kinds_deserialise():
    core = client.CoreV1Api()
    node = until("the node", lambda: core.list_node().items)[0]
    assert any(c.type == "Ready" and c.status == "True" for c in node.status.conditions), node.status
    assert core.read_node(node.metadata.name).status.node_info.kubelet_version
    # Scripts that ask which nodes take pods look no further.
    assert node.spec.unschedulable is None and node.status.daemon_endpoints.kubelet_endpoint.port == 0
    assert core.read_namespace("default").status.phase == "Active"
    secret = client.V1Secret(metadata=client.V1ObjectMeta(name="s"), string_data={"password": "abc"})
    assert core.create_namespaced_secret(NAMESPACE, secret).data == {"password": "YWJj"}
    leases = client.CoordinationV1Api().list_lease_for_all_namespaces().items
    assert leases and leases[0].spec.renew_time
    for pod in core.list_pod_for_all_namespaces().items:
        assert pod.status.phase and pod.spec.containers[0].image


@check
def errors_have_bodies():
    batch = client.BatchV1Api()
    error, status = refused(batch.read_namespaced_job, "nope", NAMESPACE)
    assert (error.status, status.reason, status.code) == (404, "NotFound", 404)
    assert status.message == 'jobs.batch "nope" not found' and status.details.name == "nope"
    created(batch, job("taken"))
    error, status = refused(batch.create_namespaced_job, NAMESPACE, job("taken"))
    assert (error.status, status.reason) == (409, "AlreadyExists"), error
    error, status = refused(batch.create_namespaced_job, NAMESPACE, job("bad", parallelism=-1, backoff_limit=-1))
    fields = {cause.field: cause.reason for cause in status.details.causes}
    assert (error.status, status.reason) == (422, "Invalid"), error
    assert fields == {"spec.parallelism": "FieldValueInvalid", "spec.backoffLimit": "FieldValueInvalid"}, fields
    error, _ = refused(batch.create_namespaced_job, "nowhere", job("x"))
    assert error.status == 404 and 'namespaces \\"nowhere\\" not found' in error.body, error.body
    dry = batch.create_namespaced_job(NAMESPACE, job("dry"), dry_run="All")
    assert dry.metadata.uid
    assert refused(batch.read_namespaced_job, "dry", NAMESPACE)[0].status == 404


@check
def the_dynamic_client():
    dynamic_client = dynamic.DynamicClient(client.ApiClient())
    jobs = dynamic_client.resources.get(api_version="batch/v1", kind="Job")
    body = client.ApiClient().sanitize_for_serialization(job("dynamic"))
    made = jobs.create(body={"apiVersion": "batch/v1", "kind": "Job", **body}, namespace=NAMESPACE)
    for event in jobs.watch(namespace=NAMESPACE, name="dynamic", timeout=SOON):
        if event["object"].status.succeeded == 1:
            break
    else:
        raise AssertionError("not complete in time")
    found = jobs.get(name="dynamic", namespace=NAMESPACE)
    assert found.metadata.uid == made.metadata.uid
    jobs.patch(
        body={"metadata": {"name": "dynamic", "labels": {"a": "b"}}},
        namespace=NAMESPACE,
        content_type="application/merge-patch+json",
    )
    assert [j.metadata.name for j in jobs.get(namespace=NAMESPACE, label_selector="a=b").items] == ["dynamic"]
    jobs.delete(name="dynamic", namespace=NAMESPACE, body={"propagationPolicy": "Background"})


@check
def what_pods_use():
    # Two groups have pods and nodes, and each kind is found without the group as it always was.
    dynamic_client = dynamic.DynamicClient(client.ApiClient())
    assert dynamic_client.resources.get(api_version="v1", kind="Pod").name == "pods"
    assert dynamic_client.resources.get(kind="Node").group_version == "v1"
    used = dynamic_client.resources.get(api_version="metrics.k8s.io/v1beta1", kind="PodMetrics")
    assert used.get(namespace=NAMESPACE).kind == "PodMetricsList"
    until("the node's figures", lambda: nodes_used()["items"])
    cpu, memory = (nodes_used()["items"][0]["usage"][of] for of in ("cpu", "memory"))
    assert utils.parse_quantity(cpu) >= 0 and utils.parse_quantity(memory) > 1 << 20, (cpu, memory)


def nodes_used():
    return client.CustomObjectsApi().list_cluster_custom_object("metrics.k8s.io", "v1beta1", "nodes")


@check
def create_from_a_manifest():
    manifest = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "from-manifest"}, "data": {"a": "b"}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "from-manifest"}},
        ],
    }
    utils.create_from_dict(client.ApiClient(), manifest)
    assert client.CoreV1Api().read_namespaced_config_map("from-manifest", NAMESPACE).data == {"a": "b"}


def main(url):
    configuration = client.Configuration()
    configuration.host = url
    client.Configuration.set_default(configuration)
    failed = []
    for function in CHECKS:
        start = time.monotonic()
        try:
            function()
            print(f"{function.__name__}: ok in {time.monotonic() - start:.2f} s", flush=True)
        except Exception as error:  # Each failure is told, not only the first.
            import traceback

            traceback.print_exc()
            failed.append(f"{function.__name__}: {type(error).__name__}")
    if failed:
        sys.exit("FAILED: " + "; ".join(failed))
    print(f"{len(CHECKS)} checks passed")


if __name__ == "__main__":
    main(sys.argv[1])
