//! Several managers and one object: tables of what each owns, and properties of random histories.

use k8s_openapi::jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::entries::Managers;
use super::fields_v1;
use super::schema::Type;
use super::walk::{Parts, compare, fields_of, parts};
use super::*;
use crate::api::admission;
use crate::api::decode;
use crate::api::error::ApiError;
use crate::api::kind::Object;

/// One object and the time, which moves by a second with each write.
struct World {
    kind: Kind,
    object: Option<Object>,
    second: i64,
}

impl World {
    fn new(kind: Kind) -> World {
        World { kind, object: None, second: 1_767_225_600 }
    }

    /// A world with one object that nobody told anything of.
    fn untold(kind: Kind, value: Value) -> World {
        let object = Object::deserialize(kind, value).unwrap();
        World { object: Some(object), ..World::new(kind) }
    }

    fn by<'a>(&mut self, manager: &'a str, part: Part) -> Author<'a> {
        self.second += 1;
        Author { manager, part, now: Timestamp::from_second(self.second).unwrap() }
    }

    fn config(&self, value: Value) -> Config {
        let mut value = value;
        value["apiVersion"] = self.kind.info().api_version().into();
        value["kind"] = self.kind.info().kind.into();
        read_config(self.kind, value.into()).unwrap().0
    }

    fn apply_to(&mut self, manager: &str, part: Part, value: Value, force: bool) -> Result<(), Vec<Conflict>> {
        let (config, by) = (self.config(value), self.by(manager, part));
        let mut applied = match apply(self.object.as_ref(), &config, by, force) {
            Err(ApiError::ApplyConflict(conflicts)) => return Err(conflicts),
            applied => applied.unwrap(),
        };
        let value = std::mem::take(&mut applied.value);
        let mut new = decode::value_body(self.kind, value.into()).unwrap().object;
        if let Some(old) = self.object.as_ref().filter(|_| part == Part::Status) {
            new = admission::update_status(old, new).unwrap();
        }
        applied.settle(self.object.as_ref(), &mut new, by);
        self.object = Some(new);
        Ok(())
    }

    fn apply(&mut self, manager: &str, value: Value) -> Result<(), Vec<Conflict>> {
        self.apply_to(manager, Part::Object, value, false)
    }

    fn force(&mut self, manager: &str, value: Value) {
        self.apply_to(manager, Part::Object, value, true).unwrap();
    }

    fn create(&mut self, manager: &str, value: Value) {
        let sent = Object::deserialize(self.kind, value).unwrap();
        let defaulted = admission::defaulted(&sent);
        let mut stored = defaulted.clone();
        let by = self.by(manager, Part::Object);
        created(&mut stored, &defaulted, by).unwrap();
        self.object = Some(stored);
    }

    /// A replacement; `managedFields` in it is what the client asks for.
    fn update(&mut self, manager: &str, value: Value) {
        let old = self.object.clone().unwrap();
        let mut new = Object::deserialize(self.kind, value).unwrap();
        let asked = new.meta().managed_fields.clone();
        new.meta_mut().managed_fields.clone_from(&old.meta().managed_fields);
        let by = self.by(manager, Part::Object);
        updated(&old, &mut new, asked.as_deref(), by).unwrap();
        self.object = Some(new);
    }

    fn value(&self) -> Value {
        update::without_entries(self.object.as_ref().unwrap())
    }

    fn managers(&self) -> Managers {
        let entries = self.object.as_ref().and_then(|o| o.meta().managed_fields.as_deref()).unwrap_or_default();
        Managers::read(entries).unwrap()
    }

    /// Each manager with its fields, as `"a" using v1: .data.x .data.y`.
    fn owners(&self) -> Vec<String> {
        let line = |(who, owned): (&Identity, &entries::Owned)| {
            let paths: Vec<String> = owned.fields.paths().iter().map(ToString::to_string).collect();
            format!("{who}: {}", paths.join(" "))
        };
        self.managers().0.iter().map(line).collect()
    }

    /// The time of a manager's entry, in seconds since the beginning of this world.
    fn time(&self, manager: &str) -> Option<i64> {
        let managers = self.managers();
        let (_, owned) = managers.0.iter().find(|(who, _)| who.manager == manager)?;
        Some(owned.time.as_ref()?.0.as_second() - 1_767_225_600)
    }
}

fn data(value: Value) -> Value {
    json!({"metadata": {"name": "m"}, "data": value})
}

#[test]
fn two_appliers_own_what_they_sent_and_a_shared_field_together() {
    let mut w = World::new(Kind::ConfigMap);
    w.apply("a", data(json!({"x": "1", "y": "1"}))).unwrap();
    w.apply("b", data(json!({"y": "1", "z": "1"}))).unwrap();
    assert_eq!(w.owners(), ["\"a\": .data.x .data.y", "\"b\": .data.y .data.z"]);
    // What one of two owners leaves out stays.
    w.apply("a", data(json!({"x": "1"}))).unwrap();
    assert_eq!(w.value()["data"], json!({"x": "1", "y": "1", "z": "1"}));
    w.apply("b", data(json!({"z": "1"}))).unwrap();
    assert_eq!(w.value()["data"], json!({"x": "1", "z": "1"}));
    assert_eq!(w.owners(), ["\"a\": .data.x", "\"b\": .data.z"]);
    w.apply("b", data(json!({}))).unwrap();
    assert_eq!((w.value()["data"].clone(), w.owners().len()), (json!({"x": "1"}), 2));
    w.apply("b", json!({"metadata": {"name": "m"}})).unwrap();
    assert_eq!(w.owners(), ["\"a\": .data.x"], "an entry without fields is gone");
}

#[test]
fn a_field_of_another_manager_is_a_conflict_until_it_is_forced() {
    let mut w = World::new(Kind::ConfigMap);
    w.create("c", data(json!({"x": "1"})));
    w.apply("a", data(json!({"y": "1"}))).unwrap();
    let before = w.object.clone();
    let conflicts = w.apply("b", data(json!({"x": "2", "y": "2", "z": "2"}))).unwrap_err();
    let told: Vec<(&str, &str)> = conflicts.iter().map(|c| (c.manager.as_str(), c.field.as_str())).collect();
    assert_eq!(told, [("\"a\"", ".data.y"), ("\"c\" using v1", ".data.x")]);
    assert_eq!(w.object, before);
    w.force("b", data(json!({"x": "2", "y": "2", "z": "2"})));
    assert_eq!(w.owners(), ["\"b\": .data.x .data.y .data.z", "\"c\" using v1: .data"]);
    assert_eq!(w.apply("a", data(json!({"y": "3"}))).unwrap_err().len(), 1);
    w.apply("a", data(json!({"y": "2"}))).unwrap();
}

#[test]
fn an_update_takes_what_it_changes_and_what_it_removes_is_nobodys() {
    let mut w = World::new(Kind::ConfigMap);
    w.apply("a", data(json!({"x": "1", "y": "1", "z": "1"}))).unwrap();
    w.update("u", data(json!({"x": "2", "y": "1", "w": "1"})));
    assert_eq!(w.owners(), ["\"a\": .data.y", "\"u\" using v1: .data.w .data.x"]);
    assert_eq!((w.time("a"), w.time("u")), (Some(1), Some(2)), "who loses a field keeps its time");
    w.update("u", data(json!({"x": "2", "y": "1", "w": "1"})));
    assert_eq!(w.time("u"), Some(2), "nothing changed");
    w.update("u", data(json!({"x": "3", "y": "1"})));
    assert_eq!((w.owners()[1].as_str(), w.time("u")), ("\"u\" using v1: .data.x", Some(4)));
    w.update("v", data(json!({})));
    assert_eq!(w.owners(), Vec::<String>::new());
}

#[test]
fn applying_the_same_again_changes_nothing_not_even_a_time() {
    let mut w = World::new(Kind::ConfigMap);
    w.apply("a", data(json!({"x": "1"}))).unwrap();
    w.apply("b", data(json!({"x": "1"}))).unwrap();
    assert_eq!((w.time("a"), w.time("b")), (Some(1), Some(2)));
    let before = w.object.clone();
    w.apply("b", data(json!({"x": "1"}))).unwrap();
    w.apply("a", data(json!({"x": "1"}))).unwrap();
    assert_eq!(w.object, before);
    w.force("b", data(json!({"x": "2"})));
    assert_eq!((w.owners(), w.time("b")), (vec!["\"b\": .data.x".to_owned()], Some(5)));
}

fn job() -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "labels": {"app": "x"}}, "spec": {
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "pi",
            "env": [{"name": "E", "value": "1"}], "resources": {"limits": {"cpu": "1"}}}]}}}})
}

#[test]
fn a_creator_owns_what_it_sent_and_the_defaults_as_in_kubernetes() {
    let mut w = World::new(Kind::Job);
    w.create("kubectl-create", job());
    let entries = serde_json::to_value(&w.object.as_ref().unwrap().meta().managed_fields).unwrap();
    let container = json!({".": {}, "f:env": {".": {}, "k:{\"name\":\"E\"}": {".": {}, "f:name": {}, "f:value": {}}},
        "f:image": {}, "f:imagePullPolicy": {}, "f:name": {}, "f:resources": {".": {}, "f:limits": {".": {}, "f:cpu": {}}},
        "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {}});
    let expected = json!([{"manager": "kubectl-create", "operation": "Update", "apiVersion": "batch/v1",
        "time": "2026-01-01T00:00:01Z", "fieldsType": "FieldsV1", "fieldsV1": {
        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
        "f:spec": {"f:backoffLimit": {}, "f:completionMode": {}, "f:completions": {}, "f:manualSelector": {},
            "f:parallelism": {}, "f:podReplacementPolicy": {}, "f:suspend": {}, "f:template": {"f:spec": {
            "f:containers": {"k:{\"name\":\"c\"}": container}, "f:dnsPolicy": {}, "f:restartPolicy": {},
            "f:schedulerName": {}, "f:securityContext": {}, "f:terminationGracePeriodSeconds": {}}}}}}]);
    assert_eq!(entries, expected);
}

#[test]
fn an_applier_owns_no_defaults() {
    let mut w = World::new(Kind::Job);
    w.apply("a", job()).unwrap();
    let entries = serde_json::to_value(&w.object.as_ref().unwrap().meta().managed_fields).unwrap();
    let container = json!({".": {}, "f:env": {"k:{\"name\":\"E\"}": {".": {}, "f:name": {}, "f:value": {}}},
        "f:image": {}, "f:name": {}, "f:resources": {"f:limits": {"f:cpu": {}}}});
    let fields = json!({"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {"f:template": {"f:spec": {
        "f:containers": {"k:{\"name\":\"c\"}": container}, "f:restartPolicy": {}}}}});
    assert_eq!(entries[0]["fieldsV1"], fields);
    assert_eq!((&entries[0]["operation"], entries.as_array().unwrap().len()), (&json!("Apply"), 1));
}

#[test]
fn what_nobody_told_of_belongs_to_before_first_apply() {
    let mut w = World::untold(
        Kind::ConfigMap,
        json!({"metadata": {"name": "m", "uid": "u", "resourceVersion": "5",
        "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"l": "1"}}, "data": {"x": "1"}}),
    );
    w.update("u", json!({"metadata": {"name": "m", "uid": "u", "labels": {"l": "1"}}, "data": {"x": "2"}}));
    assert_eq!(w.owners(), Vec::<String>::new(), "an update tells nothing of an object that is not told of");
    assert_eq!(w.apply("a", data(json!({"x": "3"}))).unwrap_err()[0].manager, "\"before-first-apply\" using v1");
    w.apply("a", data(json!({"x": "2"}))).unwrap();
    let before = "\"before-first-apply\" using v1: .metadata.labels .metadata.labels.l .data .data.x";
    let mut owners = w.owners();
    owners.sort();
    let mut expected = [
        "\"a\": .data.x".to_owned(),
        before.replace(
            ".metadata.labels .metadata.labels.l .data .data.x",
            ".data .data.x .metadata.labels .metadata.labels.l",
        ),
    ];
    expected.sort();
    assert_eq!(owners, expected);
}

#[test]
fn status_has_managers_of_its_own_and_is_no_part_of_the_object() {
    let mut w = World::new(Kind::Job);
    let mut with_status = job();
    with_status["status"] = json!({"active": 1});
    w.apply("a", with_status).unwrap();
    assert!(!w.owners()[0].contains("status"), "{:?}", w.owners());
    let status =
        |active: u8| json!({"metadata": {"name": "j"}, "spec": {"suspend": true}, "status": {"active": active}});
    w.apply_to("a", Part::Status, status(2), false).unwrap();
    assert_eq!(w.owners()[1], "\"a\" with subresource \"status\": .status.active");
    assert_eq!((&w.value()["status"]["active"], w.value()["spec"].get("suspend")), (&json!(2), None));
    let conflicts = w.apply_to("b", Part::Status, status(3), false).unwrap_err();
    assert_eq!(conflicts[0].manager, "\"a\" with subresource \"status\"");
    assert_eq!(conflicts[0].field, ".status.active");
}

#[test]
fn entries_can_be_set_and_reset_and_what_is_no_entry_changes_nothing() {
    let entry = |manager: &str, field: &str| {
        json!({"manager": manager, "operation": "Apply", "apiVersion": "v1",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {format!("f:{field}"): {}}}})
    };
    let with = |x: &str, entries: Value| json!({"metadata": {"name": "m", "managedFields": entries}, "data": {"x": x}});
    let mut w = World::new(Kind::ConfigMap);
    w.apply("a", data(json!({"x": "1"}))).unwrap();
    let before = w.object.clone();
    let mut bad = entry("b", "x");
    bad["operation"] = json!("Sing");
    w.update("u", with("1", json!([bad])));
    w.update("u", with("1", json!(null)));
    assert_eq!(w.object, before);
    w.update("u", with("1", json!([entry("b", "x")])));
    assert_eq!(w.owners(), ["\"b\": .data.x"]);
    w.update("u", with("2", json!([entry("b", "x"), entry("c", "y")])));
    assert_eq!(w.owners(), ["\"c\": .data.y", "\"u\" using v1: .data.x"], "what is asked for is where it goes on from");
    for reset in [json!([]), json!([{}])] {
        let mut w = World::new(Kind::ConfigMap);
        w.apply("a", data(json!({"x": "1"}))).unwrap();
        w.update("u", with("2", reset));
        assert_eq!(w.object.as_ref().unwrap().meta().managed_fields, None);
    }
    let mut other = entry("old", "x");
    other["apiVersion"] = json!("v1beta1");
    w.update("u", with("2", json!([other, entry("b", "x")])));
    assert_eq!(w.owners(), ["\"b\": .data.x"], "a version that is not served has no fields here");
}

#[test]
fn kubectl_may_apply_what_it_applied_on_the_client_side() {
    let note = |x: &str, y: &str| {
        let config =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"x": x, "y": y}});
        json!({last_applied::ANNOTATION: format!("{config}\n")})
    };
    let object = |annotations: Value| {
        json!({"metadata": {"name": "m", "annotations": annotations},
        "data": {"x": "1", "y": "1"}})
    };
    let mut w = World::new(Kind::ConfigMap);
    w.create("kubectl-client-side-apply", object(note("1", "1")));
    assert_eq!(w.apply("other", data(json!({"x": "2"}))).unwrap_err().len(), 1);
    w.apply("kubectl", data(json!({"x": "2"}))).unwrap();
    let text = w.value()["metadata"]["annotations"][last_applied::ANNOTATION].as_str().unwrap().to_owned();
    let expected =
        "{\"apiVersion\":\"v1\",\"data\":{\"x\":\"2\"},\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"m\"}}\n";
    assert_eq!(text, expected);
    // A field that somebody changed since is still theirs.
    let mut w = World::new(Kind::ConfigMap);
    w.create("kubectl-client-side-apply", object(note("1", "0")));
    let conflicts = w.apply("kubectl", data(json!({"x": "2", "y": "2"}))).unwrap_err();
    assert_eq!(conflicts.iter().map(|c| c.field.as_str()).collect::<Vec<_>>(), [".data.y"]);
}

#[test]
fn an_applied_body_is_read_as_it_would_be_stored() {
    let read = |value: Value| read_config(Kind::Job, value.into());
    let config = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"creationTimestamp": null}, "spec": {
        "nope": 1, "template": {"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": 1}}}]}}}});
    let (config, unknown) = read(config).unwrap();
    assert_eq!(unknown, ["unknown field \"spec.nope\""]);
    let expected = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {}, "spec": {"template": {"spec": {
        "containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}}]}}}});
    assert_eq!(config.value, expected);
    for (value, message) in [
        (json!({"kind": "Job"}), "invalid object type: , Kind=Job"),
        (json!({"apiVersion": "v1", "kind": "Pod"}), "invalid object type: v1, Kind=Pod"),
        (
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"managedFields": []}}),
            "metadata.managedFields must be nil",
        ),
    ] {
        assert_eq!(read(value).unwrap_err().to_string(), message);
    }
    assert!(read(json!([])).unwrap_err().to_string().contains("must be an object"));
    let twice = json!({"metadata": {"name": "j", "namespace": "n"}, "spec": {"template": {"spec": {"containers":
        [{"name": "c"}, {"name": "c"}]}}}});
    let mut w = World::new(Kind::Job);
    let (config, by) = (w.config(twice), w.by("a", Part::Object));
    assert_eq!(
        apply(None, &config, by, false).unwrap_err().to_string(),
        "failed to create typed patch object (n/j; batch/v1, Kind=Job): .spec.template.spec.containers: duplicate entries \
         for key [name=\"c\"]"
    );
}

/// Only the members of `set` and what leads to them.
fn extract(value: &Value, set: &FieldSet, ty: Type) -> Value {
    match parts(value, ty) {
        Parts::Whole => value.clone(),
        Parts::Fields(fields) => {
            let inner = |(name, value): (&String, &Value)| {
                let node = set.at(&Step::field(name))?;
                Some((name.clone(), extract(value, &node.below, ty.field(name))))
            };
            Value::Object(fields.iter().filter_map(inner).collect::<Map<_, _>>())
        }
        Parts::Elements(elements) => {
            let inner = |element: &Value| {
                let node = set.at(&ty.step_to(element)?)?;
                Some(extract(element, &node.below, ty.item()))
            };
            Value::Array(elements.iter().filter_map(inner).collect())
        }
    }
}

/// A part of a Pod; everything in it is optional, and nothing is an empty object.
fn pod_part() -> impl Strategy<Value = Value> {
    let text = || "[12]";
    let labels = proptest::collection::btree_map("[ab]", text(), 1..3);
    let env = proptest::collection::btree_map("[EF]", text(), 1..3)
        .prop_map(|env| env.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Vec<_>>());
    let ports = proptest::sample::subsequence(vec![80, 81], 1..3)
        .prop_map(|p| p.into_iter().map(|p| json!({"containerPort": p})).collect::<Vec<_>>());
    let container = (
        proptest::option::of(text()),
        proptest::option::of(proptest::collection::vec(text(), 0..3)),
        proptest::option::of(env),
        proptest::option::of(ports),
    );
    let containers = proptest::collection::btree_map("[cd]", container, 0..3).prop_shuffle_map();
    (
        proptest::option::of(labels.clone()),
        proptest::option::of(proptest::sample::subsequence(vec!["f/a", "f/b"], 1..3)),
        proptest::option::of(labels),
        proptest::option::of(text()),
        containers,
    )
        .prop_map(|(labels, finalizers, selector, node, containers)| {
            let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": []}});
            let mut put = |path: &str, value: Option<Value>| {
                let (parent, field) = path.rsplit_once('/').unwrap();
                if let Some(value) = value {
                    pod.pointer_mut(parent).unwrap()[field] = value;
                }
            };
            put("/metadata/labels", labels.map(|l| json!(l)));
            put("/metadata/finalizers", finalizers.map(|f| json!(f)));
            put("/spec/nodeSelector", selector.map(|s| json!(s)));
            put("/spec/nodeName", node.map(|n| json!(n)));
            let containers = containers.into_iter().map(|(name, (image, command, env, ports))| {
                let mut container = json!({"name": name});
                let fields = [
                    ("image", json!(image)),
                    ("command", json!(command)),
                    ("env", json!(env)),
                    ("ports", json!(ports)),
                ];
                for (field, value) in fields.into_iter().filter(|(_, value)| !value.is_null()) {
                    container[field] = value;
                }
                container
            });
            put("/spec/containers", Some(containers.collect()));
            pod
        })
}

trait ShuffleMap: Strategy + Sized {
    /// The entries of a map in any order.
    fn prop_shuffle_map<K: Clone + std::fmt::Debug, V: Clone + std::fmt::Debug>(
        self,
    ) -> impl Strategy<Value = Vec<(K, V)>> + Clone
    where
        Self: Strategy<Value = std::collections::BTreeMap<K, V>> + Clone,
    {
        self.prop_map(|map| map.into_iter().collect::<Vec<_>>()).prop_shuffle()
    }
}

impl<S: Strategy> ShuffleMap for S {}

#[derive(Clone, Debug)]
enum Write {
    Apply { manager: usize, force: bool, value: Value },
    Update { manager: usize, value: Value },
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        3 => (0..3usize, any::<bool>(), pod_part())
            .prop_map(|(manager, force, value)| Write::Apply { manager, force, value }),
        1 => (0..3usize, pod_part()).prop_map(|(manager, value)| Write::Update { manager, value }),
    ]
}

const NAMES: [&str; 3] = ["a", "b", "c"];

fn is_applier(who: &Identity, manager: &str) -> bool {
    (who.manager.as_str(), who.operation) == (manager, Operation::Apply)
}

/// What each manager but one owns.
fn others(managers: &Managers, manager: &str, operation: Operation) -> FieldSet {
    let mut all = FieldSet::default();
    for (who, owned) in &managers.0 {
        if (who.manager.as_str(), who.operation) != (manager, operation) {
            all.unite(owned.fields.clone());
        }
    }
    all
}

proptest! {
    #[test]
    fn whatever_they_do_each_owns_what_is_there_and_what_it_wrote(writes in proptest::collection::vec(write(), 1..7)) {
        let ty = Type::of(Kind::Pod);
        let mut w = World::new(Kind::Pod);
        for write in writes {
            let (before, managers) = (w.object.clone(), w.managers());
            let old = before.as_ref().map_or_else(|| json!({}), update::without_entries);
            match write {
                Write::Update { manager, value } if before.is_some() => w.update(NAMES[manager], value),
                Write::Update { manager, value } => w.create(NAMES[manager], value),
                Write::Apply { manager, force, value } => {
                    let manager = NAMES[manager];
                    let config = w.config(value.clone()).value;
                    let theirs = others(&managers, manager, Operation::Apply);
                    if let Err(conflicts) = w.apply_to(manager, Part::Object, value.clone(), force) {
                        prop_assert!(!conflicts.is_empty() && !force);
                        prop_assert_eq!(&w.object, &before);
                        continue;
                    }
                    let change = compare(&old, &w.value(), ty);
                    prop_assert!(force || theirs.intersection(&change.set()).is_empty(), "nothing is taken unasked");
                    // Nothing goes that another one owns, unless it is in an element that was the applier's alone.
                    let last = managers.0.iter().find(|(who, _)| is_applier(who, manager));
                    let last = last.map(|(_, owned)| owned.fields.clone()).unwrap_or_default();
                    // What is in such an element goes with it, an element that is another's, too.
                    let mut elements = FieldSet::default();
                    let mut outermost: Vec<Vec<Step>> = Vec::new();
                    let mut gone = last.intersection(&change.removed).paths();
                    gone.sort_by_key(|path| path.0.len());
                    for FieldPath(path) in gone {
                        let is_inside = outermost.iter().any(|outer| path.starts_with(outer));
                        if !is_inside && !matches!(path.last(), Some(Step::Field(_))) {
                            outermost.push(path.clone());
                            elements.insert(path);
                        }
                    }
                    prop_assert!(theirs.intersection(&elements).is_empty());
                    prop_assert!(theirs.intersection(&change.removed.outside(&elements)).is_empty());
                    let managers = w.managers();
                    let own = managers.0.iter().find(|(who, _)| is_applier(who, manager));
                    let own = own.map(|(_, owned)| owned.fields.clone()).unwrap_or_default();
                    prop_assert_eq!(&own, &without_system_fields(&fields_of(&config, ty)));
                    let extracted = extract(&w.value(), &own, ty);
                    prop_assert_eq!(&fields_of(&extracted, ty), &own);
                    prop_assert!(compare(&config, &extracted, ty).modified.is_empty(), "{} {}", config, extracted);
                    let settled = w.object.clone();
                    w.apply(manager, value).unwrap();
                    prop_assert_eq!(&w.object, &settled, "the same again");
                }
            }
            let managers = w.managers();
            let there = compare(&json!({}), &w.value(), ty).added;
            for (who, owned) in &managers.0 {
                prop_assert!(!owned.fields.is_empty());
                let stale = owned.fields.difference(&there);
                prop_assert!(stale.is_empty(), "{} owns what is not there: {:?} in {}", who, stale, w.value());
            }
            // Entries survive their text.
            let text = serde_json::to_string(&w.object.as_ref().unwrap().meta().managed_fields).unwrap();
            let entries: Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry> =
                serde_json::from_str::<Option<Vec<_>>>(&text).unwrap().unwrap_or_default();
            prop_assert_eq!(Managers::read(&entries).unwrap(), managers);
        }
    }

    #[test]
    fn all_that_an_update_wrote_is_its_own(old in pod_part(), new in pod_part()) {
        let ty = Type::of(Kind::Pod);
        let mut w = World::new(Kind::Pod);
        let mut old = old;
        // What has an owner is told of.
        old["metadata"]["annotations"] = json!({"a": "1"});
        w.apply("a", old).unwrap();
        let before = w.value();
        w.update("u", new);
        let change = compare(&before, &w.value(), ty);
        let managers = w.managers();
        let theirs = others(&managers, "u", Operation::Update);
        prop_assert!(theirs.intersection(&change.set()).is_empty());
        prop_assert!(theirs.intersection(&change.removed).is_empty());
        let all = theirs.union(&others(&managers, "a", Operation::Apply));
        let missing = without_system_fields(&change.set()).difference(&all);
        prop_assert!(missing.is_empty(), "{:?}", fields_v1::write(&missing));
    }
}
