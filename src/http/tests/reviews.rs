//! Questions about access, as kubectl and dashboards ask them.

use k8s_pb::api::authorization::v1 as authorization;

use super::protobuf::{PROTOBUF, sealed};
use super::*;
use crate::http::{Access, guarded};

const WHO: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const CAN_I: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

fn can_i(verb: &str, group: &str, resource: &str) -> Value {
    json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec":
        {"resourceAttributes": {"namespace": "default", "verb": verb, "group": group, "resource": resource}}})
}

#[tokio::test]
async fn one_learns_what_one_may_do() {
    let f = Fixture::new();
    let yes = f.post(CAN_I, &can_i("create", "batch", "jobs")).await;
    assert_eq!((yes.code.as_u16(), &yes.json()["status"]["allowed"]), (201, &json!(true)));
    assert_eq!(yes.json()["spec"], can_i("create", "batch", "jobs")["spec"], "the question comes back with the answer");
    let no = f.post(CAN_I, &can_i("create", "apps", "deployments")).await.json();
    assert_eq!(
        (&no["status"]["allowed"], &no["status"]["reason"]),
        (&json!(false), &json!("kiln does not serve deployments.apps"))
    );

    let attributes = authorization::ResourceAttributes {
        namespace: Some(String::new()),
        verb: Some("list".to_owned()),
        resource: Some("pods".to_owned()),
        ..Default::default()
    };
    let spec =
        authorization::SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let asked = authorization::SelfSubjectAccessReview { spec: Some(spec), ..Default::default() };
    let body = sealed("authorization.k8s.io/v1", "SelfSubjectAccessReview", &asked);
    let yes = f.ask("POST", CAN_I, PROTOBUF, body).await;
    assert_eq!((yes.code.as_u16(), &yes.json()["status"]["allowed"]), (201, &json!(true)), "{}", yes.text);

    let rules =
        f.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", &json!({"spec": {"namespace": "x"}})).await;
    let rules = rules.json();
    assert_eq!(rules["status"]["incomplete"], false);
    let rules = rules["status"]["resourceRules"].as_array().unwrap();
    assert!(
        rules.iter().any(|r| r["apiGroups"] == json!(["batch"]) && r["resources"] == json!(["cronjobs", "jobs"])
            || r["resources"] == json!(["jobs", "cronjobs"])),
        "{rules:?}"
    );
}

#[tokio::test]
async fn one_learns_who_one_is() {
    let f = Fixture::new();
    let anybody = f.post(WHO, &json!({})).await.json();
    assert_eq!(
        anybody["status"]["userInfo"],
        json!({"username": "system:anonymous", "groups": ["system:unauthenticated"]})
    );

    let router = guarded(f.router.clone(), Access { token: Some("s3cret".to_owned()), loopback: false });
    let ask = |path: &str, body: Value, token: &str| {
        let request = Request::post(path).header("authorization", format!("Bearer {token}"));
        router.clone().oneshot(request.body(Body::from(body.to_string())).unwrap())
    };
    let body = async |response: axum::response::Response| -> Value {
        serde_json::from_slice(&axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
    };
    let holder = body(ask(WHO, json!({}), "s3cret").await.unwrap()).await;
    assert_eq!(holder["status"]["userInfo"], json!({"username": "kiln:token", "groups": ["system:authenticated"]}));
    assert_eq!(ask(WHO, json!({}), "wrong").await.unwrap().status(), 401);
    let tokens = "/apis/authentication.k8s.io/v1/tokenreviews";
    for (token, valid) in [("s3cret", true), ("other", false)] {
        let review = body(ask(tokens, json!({"spec": {"token": token}}), "s3cret").await.unwrap()).await;
        assert_eq!(review["status"]["authenticated"], valid, "{review}");
    }
}

#[tokio::test]
async fn a_question_that_is_none_is_refused() {
    let f = Fixture::new();
    let nothing = f.post(CAN_I, &json!({"spec": {}})).await;
    assert_eq!(nothing.refusal(), (422, "Invalid".to_owned()));
    let status = nothing.json();
    assert_eq!(status["details"]["kind"], "SelfSubjectAccessReview");
    assert_eq!(status["details"]["group"], "authorization.k8s.io");
    assert_eq!(status["details"]["causes"][0]["field"], "spec.resourceAttributes");
    let named = json!({"metadata": {"name": "x"}, "spec": {"nonResourceAttributes": {"path": "/api", "verb": "get"}}});
    assert_eq!(f.post(CAN_I, &named).await.refusal().0, 422);
    let unknown = json!({"spec": {"nope": 1, "nonResourceAttributes": {"path": "/api", "verb": "get"}}});
    let strict = f.post(&format!("{CAN_I}?fieldValidation=Strict"), &unknown).await;
    assert!(strict.message().contains("strict decoding error: unknown field \"spec.nope\""), "{}", strict.text);
    assert_eq!(f.post(CAN_I, &unknown).await.warnings(), ["299 - \"unknown field \\\"spec.nope\\\"\""]);
    let other = f.post(CAN_I, &json!({"apiVersion": "v1", "kind": "Pod", "spec": {}})).await;
    assert_eq!(other.refusal(), (400, "BadRequest".to_owned()));
    assert_eq!(f.get(CAN_I).await.refusal(), (405, "MethodNotAllowed".to_owned()));
    let local = "/apis/authorization.k8s.io/v1/namespaces/n/localsubjectaccessreviews";
    let elsewhere = json!({"spec": {"user": "system:anonymous", "resourceAttributes":
        {"namespace": "m", "verb": "get", "resource": "pods"}}});
    assert_eq!(
        f.post(local, &elsewhere).await.json()["details"]["causes"][0]["field"],
        "spec.resourceAttributes.namespace"
    );
    let here = json!({"spec": {"user": "system:anonymous", "resourceAttributes":
        {"namespace": "n", "verb": "get", "resource": "pods"}}});
    assert_eq!(f.post(local, &here).await.json()["status"]["allowed"], true);
}

/// `auth can-i` for a path is answered as the path itself is.
#[tokio::test]
async fn the_paths_that_one_may_ask_are_there() {
    let f = Fixture::new();
    for path in [
        "/api",
        "/api/v1",
        "/apis",
        "/apis/batch/v1",
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
        "/nope",
    ] {
        let question = json!({"spec": {"nonResourceAttributes": {"path": path, "verb": "get"}}});
        let allowed = f.post(CAN_I, &question).await.json()["status"]["allowed"].clone();
        assert_eq!(allowed, f.get(path).await.code.as_u16() != 404, "{path}");
    }
}

#[tokio::test]
async fn reviews_are_discovered() {
    let f = Fixture::new();
    let list = f.get("/apis/authorization.k8s.io/v1").await.json();
    let expected = json!({"name": "localsubjectaccessreviews", "singularName": "localsubjectaccessreview", "namespaced": true,
        "kind": "LocalSubjectAccessReview", "verbs": ["create"]});
    assert!(list["resources"].as_array().unwrap().contains(&expected), "{list}");
    let groups = f.get("/apis").await.json();
    let names: Vec<&str> = groups["groups"].as_array().unwrap().iter().map(|g| g["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"authentication.k8s.io") && names.contains(&"authorization.k8s.io"), "{names:?}");
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let aggregated = f.get_as("/apis", accept).await.json();
    let group =
        aggregated["items"].as_array().unwrap().iter().find(|i| i["metadata"]["name"] == "authentication.k8s.io");
    let resources = &group.unwrap()["versions"][0]["resources"];
    assert_eq!(
        resources[0],
        json!({"resource": "selfsubjectreviews", "scope": "Cluster", "verbs": ["create"],
        "singularResource": "selfsubjectreview",
        "responseKind": {"group": "authentication.k8s.io", "version": "v1", "kind": "SelfSubjectReview"}})
    );
}

#[tokio::test]
async fn a_service_account_has_no_token_to_give() {
    let f = Fixture::new();
    let path = "/api/v1/namespaces/default/serviceaccounts";
    let created = f.post(path, &json!({"metadata": {"name": "a"}})).await;
    assert_eq!(created.code, 201, "{}", created.text);
    let refused = f.post(&format!("{path}/a/token"), &json!({})).await;
    assert_eq!(refused.refusal(), (501, "NotImplemented".to_owned()));
    assert!(refused.message().contains("no tokens for service accounts"), "{}", refused.message());
}
