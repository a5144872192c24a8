//! What is used now: who is in the answer, by which words, and what cannot be asked.

use std::sync::Arc;

use super::*;
use crate::http::top::{Measures, PodUse};
use crate::sandbox::Reading;

const BASE: &str = "/apis/metrics.k8s.io/v1beta1";

/// A tenth of a core over ten seconds, and a page.
const LITTLE: Reading = Reading { cpu: Duration::from_secs(1), window: Duration::from_secs(10), memory_bytes: 65_536 };

/// Knows of some pods, by namespace, name and uid, and of the node `n`.
struct Known(Vec<[&'static str; 3]>);

impl Known {
    fn used([namespace, name, uid]: [&str; 3]) -> PodUse {
        PodUse { key: Key::new(namespace, name), uid: uid.to_owned(), containers: vec![("c".to_owned(), LITTLE)] }
    }
}

impl Measures for Known {
    fn pods(&self) -> Vec<PodUse> {
        self.0.iter().copied().map(Known::used).collect()
    }

    fn pod(&self, asked: &str) -> Option<PodUse> {
        self.0.iter().copied().find(|[_, _, uid]| *uid == asked).map(Known::used)
    }

    fn node(&self, name: &str) -> Option<Reading> {
        (name == "n").then_some(LITTLE)
    }
}

/// Stored pods, by namespace, name, uid and label `app`; and those of them that are known.
fn fixture(stored: &[[&str; 4]], known: &[[&'static str; 3]]) -> Fixture {
    let mut f = Fixture::new();
    for [namespace, name, uid, app] in stored {
        let pod = json!({"metadata": {"namespace": namespace, "name": name, "uid": uid, "labels": {"app": app}}});
        f.api.store.commit(Tx::new().create(Object::deserialize(Kind::Pod, pod).unwrap())).unwrap();
    }
    for name in ["n", "other"] {
        let node = json!({"metadata": {"name": name, "uid": name, "labels": {"of": name}}});
        f.api.store.commit(Tx::new().create(Object::deserialize(Kind::Node, node).unwrap())).unwrap();
    }
    f.api = f.api.measured_by(Arc::new(Known(known.to_vec())));
    f.router = router(f.api.clone());
    f
}

async fn names(f: &Fixture, path: &str) -> Vec<String> {
    let list = f.get(&format!("{BASE}{path}")).await.json();
    let name = |item: &Value| item["metadata"]["name"].as_str().unwrap().to_owned();
    list["items"].as_array().unwrap_or_else(|| panic!("{list}")).iter().map(name).collect()
}

#[tokio::test]
async fn a_list_has_the_known_pods_that_are_chosen() {
    let stored = [
        ["default", "b", "1", "x"],
        ["default", "a", "2", "y"],
        ["other", "c", "3", "x"],
        ["default", "ended", "4", "x"],
        ["default", "anew", "5", "x"],
    ];
    let known = [
        ["other", "c", "3"],
        ["default", "b", "1"],
        ["default", "a", "2"],
        // Gone since, or another by now.
        ["default", "gone", "9"],
        ["default", "anew", "8"],
    ];
    let f = fixture(&stored, &known);
    for (path, expected) in [
        ("/pods", &["a", "b", "c"][..]),
        ("/namespaces/default/pods", &["a", "b"]),
        ("/namespaces/nowhere/pods", &[]),
        ("/pods?labelSelector=app%3Dx", &["b", "c"]),
        ("/namespaces/default/pods?labelSelector=app%21%3Dx", &["a"]),
        ("/pods?fieldSelector=metadata.name%3Db", &["b"]),
        ("/pods?fieldSelector=metadata.namespace%21%3Ddefault", &["c"]),
        ("/nodes", &["n"]),
        ("/nodes?labelSelector=of%3Dother", &[]),
    ] {
        assert_eq!(names(&f, path).await, expected, "{path}");
    }
    let pod = f.get(&format!("{BASE}/namespaces/default/pods/b")).await.json();
    assert_eq!(pod["metadata"]["labels"], json!({"app": "x"}));
    assert_eq!(
        (&pod["kind"], &pod["timestamp"], &pod["window"], &pod["containers"]),
        (
            &json!("PodMetrics"),
            &json!("2026-01-02T03:04:05Z"),
            &json!("10s"),
            &json!([{"name": "c", "usage": {"cpu": "100m", "memory": "64Ki"}}])
        )
    );
    let node = f.get(&format!("{BASE}/nodes/n")).await.json();
    assert_eq!((&node["kind"], &node["usage"]["cpu"]), (&json!("NodeMetrics"), &json!("100m")));
    let table = f.get_as(&format!("{BASE}/pods"), TABLE).await.json();
    let cells: Vec<&str> =
        table["rows"].as_array().unwrap().iter().map(|row| row["cells"][0].as_str().unwrap()).collect();
    assert_eq!((&table["kind"], cells), (&json!("Table"), vec!["a", "b", "c"]));
    assert_eq!(table["rows"][2]["object"]["metadata"]["namespace"], "other");
}

#[tokio::test]
async fn what_is_not_known_is_not_found() {
    let f = fixture(&[["default", "ended", "4", "x"]], &[["default", "gone", "9"]]);
    for (path, message) in [
        ("/namespaces/default/pods/ended", "pods.metrics.k8s.io \"default/ended\" not found"),
        ("/namespaces/default/pods/gone", "pods \"gone\" not found"),
        ("/nodes/other", "nodes.metrics.k8s.io \"other\" not found"),
        ("/nodes/none", "nodes \"none\" not found"),
    ] {
        let answer = f.get(&format!("{BASE}{path}")).await;
        assert_eq!((answer.refusal().0, answer.message()), (404, message.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn it_cannot_be_written_watched_or_chosen_by_other_fields() {
    let f = fixture(&[["default", "a", "1", "x"]], &[["default", "a", "1"]]);
    let pods = format!("{BASE}/namespaces/default/pods");
    for (method, path) in [
        ("POST", pods.clone()),
        ("DELETE", pods.clone()),
        ("DELETE", format!("{pods}/a")),
        ("PUT", format!("{pods}/a")),
        ("PATCH", format!("{pods}/a")),
        ("DELETE", format!("{BASE}/nodes/n")),
        ("GET", format!("{pods}?watch=true")),
        ("GET", format!("{BASE}/pods?watch=1")),
        ("GET", format!("{BASE}/nodes?watch=true")),
    ] {
        let answer = f.ask(method, &path, "application/json", "{}").await;
        assert_eq!(answer.refusal(), (405, "MethodNotAllowed".to_owned()), "{method} {path}");
        assert!(answer.message().contains("neither written nor watched"), "{}", answer.message());
    }
    for (query, part) in [
        ("fieldSelector=status.phase%3DRunning", "\"status.phase\" is not a known field selector"),
        ("labelSelector=a%3D%3D%3Db", "="),
    ] {
        let answer = f.get(&format!("{pods}?{query}")).await;
        assert_eq!(answer.refusal().0, 400, "{query}");
        assert!(answer.message().contains(part), "{}", answer.message());
    }
    // The pod is another thing, and still there.
    assert_eq!(f.get("/api/v1/namespaces/default/pods/a").await.json()["kind"], "Pod");
}
