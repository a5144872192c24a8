//! Discovery says what the routes do, and the routes do what discovery says.

use super::*;
use crate::http::discovery::{self, BINDINGS};

/// The resources of all groups as discovery lists them: path of the group and version, name, verbs.
async fn listed(f: &Fixture) -> Vec<(String, String, bool, Vec<String>)> {
    let mut paths = vec!["/api/v1".to_owned()];
    for group in f.get("/apis").await.json()["groups"].as_array().unwrap() {
        for version in group["versions"].as_array().unwrap() {
            paths.push(format!("/apis/{}", version["groupVersion"].as_str().unwrap()));
        }
    }
    let mut all = Vec::new();
    for path in paths {
        for resource in f.get(&path).await.json()["resources"].as_array().unwrap() {
            let verbs = resource["verbs"].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect();
            let name = resource["name"].as_str().unwrap().to_owned();
            all.push((path.clone(), name, resource["namespaced"] == true, verbs));
        }
    }
    all
}

/// Whether a method on a path is routed to something that is there: what it then says of an object that is not there
/// does not matter.
async fn is_served(f: &Fixture, method: &str, path: &str) -> bool {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let response = f.router.clone().oneshot(request.body(Body::from("{}")).unwrap()).await.unwrap();
    if response.status().is_success() {
        // Not the whole of it: a watch goes on.
        return true;
    }
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let status: Value = serde_json::from_slice(&bytes).unwrap();
    let message = status["message"].as_str().unwrap();
    let elsewhere = status["code"] == 404 && message == "the server could not find the requested resource";
    !elsewhere && status["code"] != 405 && status["code"] != 501
}

#[tokio::test]
async fn every_verb_that_is_listed_is_routed_and_no_other() {
    let f = Fixture::new();
    let resources = listed(&f).await;
    assert!(resources.iter().any(|(_, name, ..)| name == "pods/eviction"), "{resources:?}");
    for (group, name, namespaced, verbs) in &resources {
        let scope = if *namespaced { format!("{group}/namespaces/default") } else { group.clone() };
        let (resource, sub) = name.split_once('/').unwrap_or((name, ""));
        let collection = format!("{scope}/{resource}");
        let object = if sub.is_empty() { format!("{collection}/x") } else { format!("{collection}/x/{sub}") };
        let of_many = sub.is_empty();
        let create = if of_many { &collection } else { &object };
        let ways = [
            ("create", "POST", create.clone(), true),
            ("get", "GET", object.clone(), true),
            ("update", "PUT", object.clone(), true),
            ("patch", "PATCH", object.clone(), true),
            ("delete", "DELETE", object.clone(), of_many),
            ("list", "GET", collection.clone(), of_many),
            ("watch", "GET", format!("{collection}?watch=true"), of_many),
            // A dry run, so that the objects of the fixture stay.
            ("deletecollection", "DELETE", format!("{collection}?dryRun=All"), of_many),
        ];
        for (verb, method, path, can_be) in ways {
            if can_be {
                let is_listed = verbs.iter().any(|v| v == verb);
                assert_eq!(is_served(&f, method, &path).await, is_listed, "{verb}: {method} {path}");
            }
        }
        let known = ["create", "get", "update", "patch", "delete", "list", "watch", "deletecollection"];
        assert!(verbs.iter().all(|v| known.contains(&&**v)), "{name}: {verbs:?}");
    }
}

#[tokio::test]
async fn nothing_is_routed_that_is_not_listed() {
    let f = Fixture::new();
    let resources = listed(&f).await;
    let subs = [
        "attach",
        "binding",
        "ephemeralcontainers",
        "eviction",
        "exec",
        "finalize",
        "log",
        "portforward",
        "proxy",
        "resize",
        "scale",
        "status",
        "token",
    ];
    for &kind in Kind::ALL {
        let info = kind.info();
        let group = if info.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}", info.api_version()) };
        let scope = if info.namespaced { format!("{group}/namespaces/default") } else { group.clone() };
        for sub in subs {
            let name = format!("{}/{sub}", info.plural);
            let is_listed = resources.iter().any(|(g, n, ..)| *g == group && *n == name);
            for method in ["GET", "POST", "PUT", "PATCH"] {
                let path = format!("{scope}/{}/x/{sub}", info.plural);
                assert!(!is_served(&f, method, &path).await || is_listed, "{method} {path}");
            }
        }
    }
    assert!(resources.iter().any(|(_, name, ..)| name == BINDINGS.plural));
}

#[tokio::test]
async fn both_forms_of_discovery_say_the_same() {
    let f = Fixture::new();
    let mut aggregated = Vec::new();
    for path in ["/api", "/apis"] {
        let answer = f.get_as(path, discovery::AGGREGATED).await.json();
        for group in answer["items"].as_array().unwrap() {
            let name = group["metadata"]["name"].as_str().unwrap_or_default();
            for version in group["versions"].as_array().unwrap() {
                let version_name = version["version"].as_str().unwrap();
                let path = match name {
                    "" => format!("/api/{version_name}"),
                    name => format!("/apis/{name}/{version_name}"),
                };
                for resource in version["resources"].as_array().unwrap() {
                    let plural = resource["resource"].as_str().unwrap();
                    let kind = &resource["responseKind"]["kind"];
                    aggregated.push((path.clone(), plural.to_owned(), kind.clone(), resource["verbs"].clone()));
                    for sub in resource["subresources"].as_array().unwrap_or(&Vec::new()) {
                        let name = format!("{plural}/{}", sub["subresource"].as_str().unwrap());
                        let kind = &sub["responseKind"]["kind"];
                        aggregated.push((path.clone(), name, kind.clone(), sub["verbs"].clone()));
                    }
                }
            }
        }
    }
    let mut plain = Vec::new();
    for (path, ..) in listed(&f).await {
        if plain.iter().any(|(p, ..): &(String, String, Value, Value)| *p == path) {
            continue;
        }
        for resource in f.get(&path).await.json()["resources"].as_array().unwrap() {
            let name = resource["name"].as_str().unwrap().to_owned();
            plain.push((path.clone(), name, resource["kind"].clone(), resource["verbs"].clone()));
        }
    }
    let order = |(a, b, ..): &(String, String, Value, Value)| (a.clone(), b.clone());
    aggregated.sort_by_key(order);
    plain.sort_by_key(order);
    assert_eq!(aggregated, plain);
}

#[tokio::test]
async fn whoever_knows_the_aggregated_document_is_not_sent_it_again() {
    let f = Fixture::new();
    for path in ["/api", "/apis"] {
        let first = f.get_as(path, discovery::AGGREGATED).await;
        assert_eq!((first.code, &first.json()["kind"]), (StatusCode::OK, &json!("APIGroupDiscoveryList")));
        let etag = &first.headers["etag"];
        let again = Request::get(path).header("accept", discovery::AGGREGATED).header("if-none-match", etag);
        let again = f.send(again.body(Body::empty()).unwrap()).await;
        assert_eq!((again.code.as_u16(), again.text.as_str(), &again.headers["etag"]), (304, "", etag));
        // The older form is another document at the same path.
        let older = f.get(path).await;
        assert_eq!(
            (&first.headers["vary"], &older.headers["vary"]),
            (&"Accept".parse().unwrap(), &"Accept".parse().unwrap())
        );
        assert_ne!(older.json()["kind"], "APIGroupDiscoveryList");
    }
}
