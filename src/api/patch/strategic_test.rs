use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A Job with this pod spec.
fn job(pod: Value) -> Value {
    json!({"spec": {"template": {"spec": pod}}})
}

fn patched(target: Value, patch: Value) -> Value {
    apply(target, &patch, Kind::Job).unwrap()
}

fn refused(target: Value, patch: Value) -> String {
    apply(target, &patch, Kind::Job).unwrap_err().to_string()
}

#[test]
fn kubectl_apply_changes_parallelism() {
    let last = "kubectl.kubernetes.io/last-applied-configuration";
    let target =
        json!({"metadata": {"annotations": {last: "old", "mine": "x"}}, "spec": {"parallelism": 1, "completions": 3}});
    let patch = json!({"metadata": {"annotations": {last: "new"}}, "spec": {"parallelism": 2, "completions": null}});
    let expected = json!({"metadata": {"annotations": {last: "new", "mine": "x"}}, "spec": {"parallelism": 2}});
    assert_eq!(patched(target, patch), expected);
}

#[test]
fn kubectl_apply_changes_adds_and_removes_environment_variables() {
    let target = job(json!({"containers": [
        {"name": "a", "image": "x", "env": [{"name": "ONE", "value": "1"}, {"name": "TWO", "value": "2"}, {"name": "SRV", "value": "s"}]},
        {"name": "b", "image": "y"}]}));
    let patch = job(json!({
        "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
        "containers": [{
            "$setElementOrder/env": [{"name": "NEW"}, {"name": "ONE"}],
            "env": [{"name": "NEW", "value": "n"}, {"name": "ONE", "value": "11"}, {"$patch": "delete", "name": "TWO"}],
            "name": "a"}]}));
    let expected = job(json!({"containers": [
        {"name": "a", "image": "x", "env": [{"name": "NEW", "value": "n"}, {"name": "ONE", "value": "11"}, {"name": "SRV", "value": "s"}]},
        {"name": "b", "image": "y"}]}));
    assert_eq!(patched(target, patch), expected);
}

#[test]
fn kubectl_set_image_touches_one_field() {
    let target =
        job(json!({"containers": [{"name": "a", "image": "x", "command": ["c"]}, {"name": "b", "image": "y"}]}));
    let patch = job(
        json!({"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}], "containers": [{"image": "z", "name": "b"}]}),
    );
    let expected =
        job(json!({"containers": [{"name": "a", "image": "x", "command": ["c"]}, {"name": "b", "image": "z"}]}));
    assert_eq!(patched(target, patch), expected);
}

#[test]
fn kubectl_apply_reorders_containers_and_keeps_what_others_added() {
    let target = job(json!({"containers": [{"name": "a"}, {"name": "injected"}, {"name": "b"}]}));
    let patch = job(json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}));
    let names: Vec<Value> = patched(target, patch)["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].clone())
        .collect();
    assert_eq!(names, ["injected", "b", "a"]);
}

#[test]
fn kubectl_apply_changes_the_source_of_a_volume() {
    let target = job(json!({"volumes": [{"name": "v", "configMap": {"name": "c"}}, {"name": "w", "emptyDir": {}}]}));
    let patch = job(json!({"$setElementOrder/volumes": [{"name": "v"}, {"name": "w"}],
        "volumes": [{"$retainKeys": ["emptyDir", "name"], "configMap": null, "emptyDir": {}, "name": "v"}]}));
    let expected = job(json!({"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}]}));
    assert_eq!(patched(target, patch), expected);
}

#[test]
fn lists_without_a_key_are_replaced() {
    let target =
        job(json!({"containers": [{"name": "a", "args": ["1", "2"]}], "tolerations": [{"key": "x"}, {"key": "y"}]}));
    let patch = job(json!({"containers": [{"name": "a", "args": ["3"]}], "tolerations": [{"key": "z"}]}));
    let expected = job(json!({"containers": [{"name": "a", "args": ["3"]}], "tolerations": [{"key": "z"}]}));
    assert_eq!(patched(target, patch), expected);
}

#[test]
fn keys_of_each_list_are_its_own() {
    let pod = |spec: Value| json!({ "spec": spec });
    let cases = [
        (
            json!({"ports": [{"containerPort": 80, "name": "a"}]}),
            json!({"ports": [{"containerPort": 80, "name": "b"}, {"containerPort": 81}]}),
            json!({"ports": [{"containerPort": 80, "name": "b"}, {"containerPort": 81}]}),
        ),
        (
            json!({"volumeMounts": [{"mountPath": "/a", "name": "x"}]}),
            json!({"volumeMounts": [{"mountPath": "/a", "readOnly": true}]}),
            json!({"volumeMounts": [{"mountPath": "/a", "name": "x", "readOnly": true}]}),
        ),
    ];
    for (before, change, after) in cases {
        let container = |fields: &Value| {
            let mut container = json!({"name": "c"});
            container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            pod(json!({ "containers": [container] }))
        };
        assert_eq!(apply(container(&before), &container(&change), Kind::Pod), Ok(container(&after)));
    }
    let target =
        json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "x"}, {"type": "Other"}]}});
    let patch = json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": null}]}});
    let expected = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other"}]}});
    for kind in [Kind::Job, Kind::Pod, Kind::Node, Kind::Namespace] {
        assert_eq!(apply(target.clone(), &patch, kind), Ok(expected.clone()));
    }
}

#[test]
fn finalizers_are_a_set() {
    let meta = |finalizers: Value| json!({"metadata": finalizers});
    let target = || meta(json!({"finalizers": ["a", "b"]}));
    assert_eq!(
        patched(target(), meta(json!({"finalizers": ["c", "a"]}))),
        meta(json!({"finalizers": ["c", "a", "b"]}))
    );
    let patch = meta(json!({"$deleteFromPrimitiveList/finalizers": ["a", "x"]}));
    assert_eq!(patched(target(), patch), meta(json!({"finalizers": ["b"]})));
    let patch = meta(
        json!({"$setElementOrder/finalizers": ["c", "b"], "finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"]}),
    );
    assert_eq!(patched(target(), patch), meta(json!({"finalizers": ["c", "b"]})));
}

#[test]
fn directives_replace_and_delete() {
    let target = || json!({"metadata": {"labels": {"a": "1"}}, "spec": {"template": {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}}});
    assert_eq!(
        patched(target(), json!({"metadata": {"labels": {"$patch": "replace", "b": "2"}}}))["metadata"],
        json!({"labels": {"b": "2"}})
    );
    assert_eq!(
        patched(target(), json!({"metadata": {"labels": {"$patch": "delete"}}}))["metadata"],
        json!({"labels": {}})
    );
    let containers = |list: Value| {
        patched(target(), job(json!({ "containers": list })))["spec"]["template"]["spec"]["containers"].clone()
    };
    assert_eq!(containers(json!([{"name": "z"}, {"$patch": "replace"}])), json!([{"name": "z"}]));
    assert_eq!(
        containers(json!([{"$patch": "delete", "name": "a"}, {"$patch": "delete", "name": "nope"}])),
        json!([{"name": "b"}])
    );
}

#[test]
fn what_is_new_carries_no_directives_and_no_nulls() {
    let patch = job(json!({"$setElementOrder/containers": [{"name": "a"}], "containers": [
        {"name": "a", "image": null, "$retainKeys": ["name"], "env": [{"name": "X", "value": null}, {"$patch": "delete", "name": "Y"}]}]}));
    assert_eq!(patched(json!({}), patch), job(json!({"containers": [{"name": "a", "env": [{"name": "X"}]}]})));
}

#[test]
fn a_patch_that_contradicts_itself_is_refused() {
    let two = || job(json!({"containers": [{"name": "a"}, {"name": "b"}]}));
    let cases = [
        (json!({"containers": [{"image": "x"}]}), "containers: an element does not contain declared merge key: name"),
        (json!({"containers": ["x"]}), "containers: an element must be an object, found string \"x\""),
        (
            json!({"containers": [{"$patch": "merge", "name": "a"}]}),
            "containers: $patch: merge is not possible in an element of a list",
        ),
        (
            json!({"containers": [{"$patch": "drop", "name": "a"}]}),
            "$patch must be replace, merge or delete, found string \"drop\"",
        ),
        (
            json!({"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "b"}]}),
            "the order of containers in the patch does not match its $setElementOrder/containers",
        ),
        (json!({"$setElementOrder/containers": {}}), "$setElementOrder/containers must be a list, found an object"),
        (
            json!({"$setElementOrder/tolerations": []}),
            "$setElementOrder/tolerations is not possible: the list is replaced, not merged",
        ),
        (
            json!({"$retainKeys": ["volumes"], "containers": []}),
            "$retainKeys must name every field that the patch sets, and lacks containers",
        ),
        (json!({"$deleteFromPrimitiveList/x": [{}]}), "x: an element must be a plain value, found an object"),
    ];
    for (patch, message) in cases {
        assert_eq!(refused(two(), job(patch)), message);
    }
    assert_eq!(refused(json!({}), json!([])), "a strategic merge patch must be an object");
    assert_eq!(
        refused(json!({"metadata": {"finalizers": ["a"]}}), json!({"metadata": {"finalizers": [[]]}})),
        "finalizers: an element must be a plain value, found a list"
    );
}

fn any_patch() -> impl Strategy<Value = Value> {
    const KEYS: &[&str] = &[
        "spec",
        "template",
        "metadata",
        "containers",
        "env",
        "name",
        "finalizers",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$deleteFromPrimitiveList/finalizers",
        "$setElementOrder/finalizers",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        prop::sample::select(&["a", "b", "delete", "replace"]).prop_map(Value::from),
        Just(json!(1)),
    ];
    leaf.prop_recursive(6, 64, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(KEYS), inner), 0..5)
                .prop_map(|m| Value::Object(m.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_patch_panics_and_no_directive_stays(target in any_patch(), patch in any_patch()) {
        let target = without(target);
        if let Ok(result) = apply(target, &patch, Kind::Job) {
            prop_assert!(!result.to_string().contains("\"$"), "{result}");
        }
    }

    #[test]
    fn an_empty_patch_changes_nothing(target in any_patch()) {
        let target = match without(target) { Value::Object(map) => Value::Object(map), _ => json!({}) };
        prop_assert_eq!(apply(target.clone(), &json!({}), Kind::Job), Ok(target));
    }
}

/// The value without directives, as objects are.
fn without(value: Value) -> Value {
    fresh(&value)
}
