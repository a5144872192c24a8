//! Namespaces: the one that everything else is in, and one that users make, fill and delete with all that is in it. The
//! auditor's part: what the namespace controller deletes is in a namespace that is going or gone, a namespace goes when
//! nothing is in it, a service account is made where something is to stay, and at rest neither is anything left of the one
//! nor is the other missing.

use kiln::api::deletion::Options;
use kiln::api::{Key, Kind, Object, admission, meta, service_account};
use kiln::store::{Change, Event, Tx};
use serde_json::{Value, json};

use crate::actions::delete;
use crate::books::{Books, By};
use crate::shapes;
use crate::world::World;

pub const CONTROLLER: &str = "namespace-controller";
pub const ACCOUNTS: &str = "serviceaccount-controller";
const TEAM: &str = "team";

pub fn make(world: &mut World, name: &str) -> String {
    create(world, Kind::Namespace, json!({"metadata": {"name": name}}));
    format!("makes namespace {name}")
}

/// Makes the second namespace, puts something into it, or deletes it.
pub fn act(world: &mut World) -> String {
    let Some(namespace) = world.store().get(Kind::Namespace, &Key::new("", TEAM)) else {
        return make(world, TEAM);
    };
    if meta::is_deleting(namespace.meta()) {
        return format!("sees {TEAM} go");
    }
    if world.rng.percent(25) {
        delete(world, &namespace, &Options::default());
        return format!("deletes namespace {TEAM}");
    }
    let name = world.ids.suffix();
    match world.rng.below(3) {
        0 => {
            create(world, Kind::ConfigMap, json!({"metadata": {"name": name, "namespace": TEAM}}));
            format!("makes ConfigMap {TEAM}/{name}")
        }
        1 => {
            let spec = json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "guest"}]});
            create(world, Kind::Pod, json!({"metadata": {"name": name, "namespace": TEAM}, "spec": spec}));
            format!("makes Pod {TEAM}/{name}")
        }
        _ => {
            let mut job = shapes::job(&mut world.rng, &name);
            job["metadata"]["namespace"] = TEAM.into();
            create(world, Kind::Job, job);
            format!("makes Job {TEAM}/{name}")
        }
    }
}

fn create(world: &mut World, kind: Kind, value: Value) {
    let object = Object::deserialize(kind, value).expect("it is one");
    let stamp = admission::Stamp { now: world.clock.now(), uid: world.ids.uid(), suffix: "" };
    let object = admission::create(object, &stamp).expect("it is legal");
    world.store().commit(Tx::new().create(object)).expect("the name is new");
}

fn is_active(books: &Books, name: &str) -> bool {
    let namespace = books.objects.get(&(Kind::Namespace, Key::new("", name)));
    namespace.is_some_and(|namespace| !meta::is_deleting(namespace.meta()))
}

/// `before` is what the object was. The namespace itself is on the books as it is after all writes up to this one.
pub fn check(books: &Books, event: &Event, before: Option<&Object>, by: By) {
    let (object, kind) = (&event.object, event.object.kind());
    let key = object.key();
    let begins = !before.is_some_and(|b| meta::is_deleting(b.meta()))
        && (event.change == Change::Deleted || meta::is_deleting(object.meta()));
    if by == By::Controller(CONTROLLER) && begins {
        assert!(kind.info().namespaced, "{kind:?} {key} was deleted by the namespace controller");
        assert!(!is_active(books, &key.namespace), "{kind:?} {key} was deleted, and its namespace is to stay");
    }
    if kind == Kind::Namespace && event.change == Change::Deleted {
        let left = books.objects.keys().find(|(kind, of)| kind.info().namespaced && of.namespace == key.name);
        assert!(left.is_none(), "namespace {key} is gone, and {left:?} is in it");
    }
    if kind == Kind::ServiceAccount && event.change == Change::Added {
        assert!(by.is(ACCOUNTS), "{key} was made by {by:?}");
        assert!(is_active(books, &key.namespace), "{key} was made, and its namespace is not to stay");
    }
}

pub fn at_rest(books: &Books) {
    for (kind, key) in books.objects.keys().filter(|(kind, _)| kind.info().namespaced) {
        assert!(is_active(books, &key.namespace), "{kind:?} {key} is left in a namespace that is gone");
    }
    for (_, namespace) in books.objects.keys().filter(|(kind, _)| *kind == Kind::Namespace) {
        let account = (Kind::ServiceAccount, Key::new(namespace.name.as_str(), service_account::DEFAULT));
        assert!(books.objects.contains_key(&account), "namespace {namespace} has no service account");
    }
}
