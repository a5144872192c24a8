use serde_json::{Value, json};

use super::*;
use crate::api::deletion::{self, Deletion, Options};
use crate::api::{Key, Kind};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The controller beside the objects as a store would keep them.
#[derive(Default)]
struct World {
    controller: NamespaceController,
    queue: Queue<String>,
    objects: std::collections::BTreeMap<(Kind, Key), Object>,
    commits: Vec<Vec<String>>,
}

impl World {
    fn put(&mut self, kind: Kind, value: Value) {
        let object = Object::deserialize(kind, value).unwrap();
        self.write(object);
    }

    fn write(&mut self, object: Object) {
        let id = (object.kind(), object.key());
        let change = match deletion::is_over(&object) {
            true => Change::Deleted,
            false => Change::Modified,
        };
        match change {
            Change::Deleted => drop(self.objects.remove(&id)),
            _ => drop(self.objects.insert(id, object.clone())),
        }
        let seen = Seen { change, object: &object, old: None };
        self.controller.observe(&seen, &mut self.queue, at(100));
    }

    fn delete(&mut self, kind: Kind, namespace: &str, name: &str) {
        let object = self.objects[&(kind, Key::new(namespace, name))].clone();
        match deletion::delete(&object, &Options::default(), at(100)) {
            Deletion::Mark(marked) => self.write(marked),
            Deletion::Remove => self.write(deletion::over(&object, at(100))),
            Deletion::Unchanged => {}
        }
    }

    /// Looks until there is nothing to do at this time.
    fn settle(&mut self, second: i64) {
        for _ in 0..1000 {
            let Some(key) = self.queue.pop_due(at(second)) else { return };
            let plan = self.controller.reconcile(&key, at(second));
            assert!(plan.effects.len() <= AT_ONCE);
            let mut commit = Vec::new();
            for effect in plan.effects {
                let Effect::Update(object) = effect else { panic!("{effect:?}") };
                commit.push(format!("{} {}", object.kind().info().plural, object.key()));
                self.write(object);
            }
            if !commit.is_empty() {
                self.commits.push(commit);
            }
            if let Some(again) = plan.again {
                self.queue.add(key, again);
            }
        }
        panic!("it does not come to rest");
    }

    fn namespace(&self, name: &str) -> Option<Value> {
        self.objects.get(&(Kind::Namespace, Key::new("", name))).map(Object::to_value)
    }
}

fn world() -> World {
    let mut w = World::default();
    for name in ["a", "b"] {
        w.put(
            Kind::Namespace,
            json!({"metadata": {"name": name}, "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"}}),
        );
        let meta = |object: &str| json!({"name": object, "namespace": name});
        w.put(Kind::Event, json!({"metadata": meta("e"), "involvedObject": {}}));
        w.put(Kind::ConfigMap, json!({"metadata": meta("m")}));
        w.put(Kind::Pod, json!({"metadata": meta("waiting")}));
        w.put(Kind::Pod, json!({"metadata": meta("placed"), "spec": {"containers": [], "nodeName": "n"}}));
        w.put(Kind::Job, json!({"metadata": meta("j")}));
        w.put(Kind::CronJob, json!({"metadata": meta("c"), "spec": {"schedule": "", "jobTemplate": {}}}));
    }
    w
}

#[test]
fn the_contents_go_in_order_then_the_namespace_and_another_is_left_alone() {
    let mut w = world();
    w.settle(100);
    assert!(w.commits.is_empty(), "nothing is being deleted: {:?}", w.commits);
    w.delete(Kind::Namespace, "", "a");
    w.settle(100);
    let first = ["cronjobs a/c", "jobs a/j", "pods a/placed", "pods a/waiting"];
    assert_eq!(w.commits, [first.map(str::to_owned).to_vec(), vec!["namespaces a".to_owned()]]);
    let conditions = &w.namespace("a").unwrap()["status"]["conditions"];
    assert_eq!(conditions.as_array().unwrap().len(), 5);
    let remaining = "Some resources are remaining: configmaps. has 1 resource instances, events. has 1 resource \
                     instances, pods. has 1 resource instances";
    assert_eq!((&conditions[3]["status"], &conditions[3]["message"]), (&json!("True"), &json!(remaining)));
    assert_eq!(conditions[4]["reason"], "ContentHasNoFinalizers");

    // The pod ends.
    w.commits.clear();
    let placed = w.objects[&(Kind::Pod, Key::new("a", "placed"))].clone();
    w.write(deletion::over(&placed, at(100)));
    w.settle(100);
    assert_eq!(
        w.commits,
        [["configmaps a/m"], ["events a/e"], ["namespaces a"]].map(|c| c.map(str::to_owned).to_vec())
    );
    assert_eq!(w.namespace("a"), None);
    assert!(w.objects.keys().all(|(_, key)| key.namespace == "b" || key.name == "b"), "{:?}", w.objects.keys());
    assert_eq!(w.objects.len(), 7);
}

#[test]
fn an_object_that_somebody_holds_holds_the_namespace_and_is_told_of() {
    let mut w = World::default();
    w.put(Kind::Namespace, json!({"metadata": {"name": "a"}, "status": {"phase": "Active"}}));
    w.put(Kind::ConfigMap, json!({"metadata": {"name": "m", "namespace": "a", "finalizers": ["x.y/z"]}}));
    w.delete(Kind::Namespace, "", "a");
    w.settle(100);
    let told = "Some content in the namespace has finalizers remaining: x.y/z in 1 resource instances";
    assert_eq!(w.namespace("a").unwrap()["status"]["conditions"][4]["message"], told);
    let writes = w.commits.len();
    w.settle(200);
    assert_eq!(w.commits.len(), writes, "what is told already is not written again");

    let mut map = w.objects[&(Kind::ConfigMap, Key::new("a", "m"))].clone();
    map.meta_mut().finalizers = None;
    w.write(map);
    w.settle(200);
    assert!(w.objects.is_empty(), "{:?}", w.objects.keys());
}

#[test]
fn a_namespace_that_another_finalizer_holds_stays_empty() {
    let mut w = World::default();
    let finalizers = json!(["kubernetes", "x.y/z"]);
    w.put(Kind::Namespace, json!({"metadata": {"name": "a"}, "spec": {"finalizers": finalizers}}));
    w.delete(Kind::Namespace, "", "a");
    w.settle(100);
    assert_eq!(w.namespace("a").unwrap()["spec"]["finalizers"], json!(["x.y/z"]));
    w.put(Kind::ConfigMap, json!({"metadata": {"name": "late", "namespace": "a"}}));
    w.settle(100);
    assert_eq!(w.objects.len(), 1, "what comes late goes, too");
}

#[test]
fn what_is_in_a_namespace_that_is_not_there_goes() {
    let mut w = World::default();
    w.put(Kind::ConfigMap, json!({"metadata": {"name": "m", "namespace": "gone"}}));
    w.put(Kind::Node, json!({"metadata": {"name": "n"}}));
    w.settle(100);
    assert_eq!(w.commits, [["configmaps gone/m".to_owned()]]);
    assert!(w.controller.contents.is_empty());
}

#[test]
fn many_objects_go_in_bounded_steps_that_do_not_go_over_those_that_wait() {
    let mut w = World::default();
    w.put(Kind::Namespace, json!({"metadata": {"name": "a"}, "spec": {"finalizers": ["kubernetes"]}}));
    for n in 0..2 * AT_ONCE + 1 {
        let name = format!("p{n:05}");
        let spec = json!({"containers": [], "nodeName": "n"});
        w.put(Kind::Pod, json!({"metadata": {"name": name, "namespace": "a"}, "spec": spec}));
    }
    w.delete(Kind::Namespace, "", "a");
    w.settle(100);
    let sizes: Vec<usize> = w.commits.iter().map(Vec::len).collect();
    assert_eq!(sizes, [AT_ONCE, AT_ONCE, 1, 1]);
    // Each pod that ends is one change and no look, until the last.
    let pods: Vec<Object> = w.objects.values().filter(|o| o.kind() == Kind::Pod).cloned().collect();
    for (i, pod) in pods.iter().enumerate() {
        w.write(deletion::over(pod, at(100)));
        let is_due = w.queue.next_due().is_some_and(|due| due <= at(100));
        assert_eq!(is_due, i == pods.len() - 1);
    }
    w.settle(100);
    assert!(w.objects.is_empty());
}
