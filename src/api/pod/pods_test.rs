//! Pods of several containers and their volumes: what is accepted, and in which words what is not is refused.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{defaults, validate_pod};

/// The faults of a pod whose spec has these fields.
fn faults(fields: Value) -> Vec<String> {
    let mut spec = json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "i"}]});
    for (field, value) in fields.as_object().unwrap() {
        spec[field] = value.clone();
    }
    of(json!({"metadata": {"name": "p"}, "spec": spec}))
}

fn of(pod: Value) -> Vec<String> {
    let mut pod: Pod = serde_json::from_value(pod).unwrap();
    defaults::default_bare_pod(pod.spec.as_mut().unwrap());
    let mut faults = Vec::new();
    validate_pod(&pod, &mut faults);
    faults.iter().map(ToString::to_string).collect()
}

fn container(fields: Value) -> Vec<String> {
    let mut container = fields;
    container["name"] = json!("a");
    container["image"] = json!("i");
    faults(json!({"containers": [container], "volumes": [{"name": "v"}]}))
}

fn volume(source: Value) -> Vec<String> {
    let mut volume = source;
    volume["name"] = json!("v");
    faults(json!({"volumes": [volume]}))
}

fn said(found: &[String], expected: &str) {
    match expected {
        "" => assert_eq!(found, [""; 0]),
        expected => assert!(found.iter().any(|fault| fault.contains(expected)), "{expected}: {found:?}"),
    }
}

#[test]
fn containers_and_init_containers_have_names_of_one_set() {
    let named = |name: &str| json!({"name": name, "image": "i"});
    let sidecar = json!({"name": "s", "image": "i", "restartPolicy": "Always"});
    let cases = [
        (json!({"containers": [named("a"), named("b")], "initContainers": [named("c")]}), ""),
        (json!({"initContainers": [named("a")]}), "spec.initContainers[0].name: Duplicate value: \"a\""),
        (json!({"containers": [named("b"), named("b")]}), "spec.containers[1].name: Duplicate value: \"b\""),
        (json!({"initContainers": [{"name": "b"}]}), "spec.initContainers[0].image: Required value"),
        (json!({"initContainers": [sidecar]}), "spec.initContainers[0].restartPolicy: Forbidden"),
        (json!({"containers": []}), "spec.containers: Required value"),
    ];
    for (fields, expected) in cases {
        said(&faults(fields), expected);
    }
}

#[test]
fn fields_of_containers() {
    let resource = |name: &str, divisor: &str| json!({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": name, "divisor": divisor}}}]});
    let mounted = |field: &str, path: &str| json!({"volumeMounts": [{"name": "v", "mountPath": "/v", field: path}]});
    let cases = [
        (json!({"terminationMessagePath": "/x", "terminationMessagePolicy": "FallbackToLogsOnError"}), ""),
        (json!({"terminationMessagePath": "x"}), "terminationMessagePath: Invalid value: \"x\""),
        (json!({"terminationMessagePath": "/a/../x"}), "must be an absolute path without '..'"),
        (json!({"securityContext": {"readOnlyRootFilesystem": true}}), ""),
        (json!({"resources": {"limits": {"ephemeral-storage": "1Gi"}, "requests": {"ephemeral-storage": "1Mi"}}}), ""),
        (json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}}]}), ""),
        (resource("limits.cpu", "1m"), ""),
        (resource("requests.memory", "1Mi"), ""),
        (resource("limits.ephemeral-storage", "0"), ""),
        (resource("limits.cpu", "2"), "only divisor's values 1m, 1 are supported with the cpu resource"),
        (resource("limits.memory", "1m"), "are supported with the memory resource"),
        (resource("limits.gpu", "1"), "resourceFieldRef.resource: Unsupported value: \"limits.gpu\""),
        (mounted("subPath", "a/b"), ""),
        (mounted("subPathExpr", "$(A)/b"), ""),
        (mounted("subPathExpr", "../b"), "must not contain '..'"),
        (mounted("subPathExpr", "/b"), "must be a relative path"),
        (
            json!({"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "a", "subPathExpr": "b"}]}),
            "subPathExpr and subPath are mutually exclusive",
        ),
        (json!({"volumeMounts": [{"name": "v", "mountPath": "/"}]}), "cannot take the place of /"),
    ];
    for (fields, expected) in cases {
        said(&container(fields), expected);
    }
}

#[test]
fn sources_of_volumes() {
    let host = |path: &str, type_: &str| json!({"hostPath": {"path": path, "type": type_}});
    let down = |item: Value| json!({"downwardAPI": {"items": [item]}});
    let labels = json!({"fieldPath": "metadata.labels"});
    let limit = json!({"containerName": "a", "resource": "limits.cpu"});
    let item = |path: &str| json!([{"key": "k", "path": path}]);
    let projected = |sources: Value| json!({"projected": {"sources": sources}});
    let cases = [
        (json!({"emptyDir": {"sizeLimit": "1Gi", "medium": "Memory"}}), ""),
        (json!({"emptyDir": {"sizeLimit": "-1"}}), "SizeLimit field must be a valid resource quantity"),
        (host("/data", ""), ""),
        (host("/data", "DirectoryOrCreate"), ""),
        (host("", ""), "hostPath.path: Required value"),
        (host("/a/../b", ""), "must not contain '..'"),
        (host("a", ""), "the path must be absolute"),
        (host("/a", "Pipe"), "hostPath.type: Unsupported value: \"Pipe\""),
        (host("/a", "Socket"), "no sockets and devices of the host"),
        (host("/a", "CharDevice"), "no sockets and devices of the host"),
        (host("/a", "BlockDevice"), "no sockets and devices of the host"),
        (down(json!({"path": "l", "fieldRef": labels})), ""),
        (down(json!({"path": "l", "resourceFieldRef": limit})), ""),
        (down(json!({"path": "l", "resourceFieldRef": {"resource": "limits.cpu"}})), "containerName: Required value"),
        (down(json!({"path": "l"})), "one of fieldRef and resourceFieldRef is required"),
        (down(json!({"path": "l", "fieldRef": labels, "resourceFieldRef": limit})), "simultaneously"),
        (down(json!({"path": "l", "fieldRef": {"fieldPath": "status.podIP"}})), "fieldPath: Unsupported value"),
        (down(json!({"path": "../l", "fieldRef": labels})), "must not contain '..'"),
        (down(json!({"path": "", "fieldRef": labels})), "path: Required value"),
        (projected(json!([{"configMap": {"name": "c"}}, {"secret": {"name": "s", "items": item("k")}}])), ""),
        (
            projected(
                json!([{"configMap": {"name": "c", "items": item("k")}}, {"secret": {"name": "s", "items": item("k")}}]),
            ),
            "conflicting duplicate paths",
        ),
        (projected(json!([{"configMap": {"name": "c"}, "secret": {"name": "s"}}])), "more than 1 volume type"),
        (projected(json!([{"configMap": {"name": ""}}])), "configMap.name: Required value"),
        (projected(json!([{"serviceAccountToken": {"path": "t"}}])), "serviceAccountToken: Forbidden"),
        (json!({"emptyDir": {}, "hostPath": {"path": "/a"}}), "may not specify more than 1 volume type"),
    ];
    for (source, expected) in cases {
        said(&volume(source), expected);
    }
}

#[test]
fn annotations_of_kiln_take_one_value_only() {
    let cases = [
        ("kiln.dev/network", "outbound", ""),
        ("kiln.dev/network", "all", "metadata.annotations[kiln.dev/network]: Invalid value: \"all\""),
        ("kiln.dev/on-delete", "wait", ""),
        ("kiln.dev/on-delete", "", "metadata.annotations[kiln.dev/on-delete]: Invalid value: \"\""),
    ];
    for (name, value, expected) in cases {
        let spec = json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "i"}]});
        said(&of(json!({"metadata": {"name": "p", "annotations": {name: value}}, "spec": spec})), expected);
    }
}

#[test]
fn what_a_client_leaves_out_is_shown_as_kubernetes_shows_it() {
    let mut spec = serde_json::from_value(json!({"containers": [], "initContainers": [
        {"name": "i", "resources": {"limits": {"cpu": "1"}}}],
        "volumes": [{"name": "h", "hostPath": {"path": "/a"}}, {"name": "p", "projected": {"sources": []}},
            {"name": "d", "downwardAPI": {"items": [{"path": "c", "resourceFieldRef":
                {"containerName": "i", "resource": "limits.cpu"}}]}}]}))
    .unwrap();
    defaults::default_bare_pod(&mut spec);
    let value = serde_json::to_value(&spec).unwrap();
    assert_eq!(value["initContainers"][0]["resources"]["requests"], json!({"cpu": "1"}));
    assert_eq!(value["volumes"][0]["hostPath"], json!({"path": "/a", "type": ""}));
    assert_eq!(value["volumes"][1]["projected"]["defaultMode"], 420);
    assert_eq!(value["volumes"][2]["downwardAPI"]["items"][0]["resourceFieldRef"]["divisor"], "0");
}
