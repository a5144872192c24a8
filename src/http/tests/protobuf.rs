//! Requests in protobuf, as kubectl sends what it makes itself. The answers are JSON.

use k8s_pb::api::core::v1 as core;
use k8s_pb::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_pb::apimachinery::pkg::runtime::{TypeMeta, Unknown};
use prost::Message;

use super::*;

pub(super) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

pub(super) fn sealed(api_version: &str, kind: &str, object: &impl Message) -> Vec<u8> {
    let type_meta = TypeMeta { api_version: Some(api_version.to_owned()), kind: Some(kind.to_owned()) };
    let unknown = Unknown { type_meta: Some(type_meta), raw: Some(object.encode_to_vec()), ..Unknown::default() };
    [b"k8s\0".as_slice(), &unknown.encode_to_vec()].concat()
}

fn map(name: &str) -> core::ConfigMap {
    core::ConfigMap {
        metadata: Some(meta::ObjectMeta { name: Some(name.to_owned()), ..Default::default() }),
        data: [("a".to_owned(), String::new())].into(),
        binary_data: [("b".to_owned(), vec![0, 255])].into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_object_is_created_and_answered_as_json() {
    let f = Fixture::new();
    let body = sealed("v1", "ConfigMap", &map("m"));
    let request = Request::post(format!("{MAPS}?fieldManager=kubectl-create&fieldValidation=Strict"))
        .header("content-type", PROTOBUF)
        .header("accept", "application/vnd.kubernetes.protobuf,application/json")
        .body(Body::from(body.clone()))
        .unwrap();
    let created = f.send(request).await;
    assert_eq!((created.code.as_u16(), &created.headers["content-type"]), (201, &"application/json".parse().unwrap()));
    let object = created.json();
    assert_eq!((&object["data"], &object["binaryData"]), (&json!({"a": ""}), &json!({"b": "AP8="})));
    assert_eq!(object["metadata"]["namespace"], "default");

    assert_eq!(f.ask("POST", MAPS, PROTOBUF, body.clone()).await.refusal(), (409, "AlreadyExists".to_owned()));
    let only = Request::post(MAPS).header("content-type", PROTOBUF).header("accept", PROTOBUF).body(Body::from(body));
    assert_eq!(f.send(only.unwrap()).await.refusal(), (406, "NotAcceptable".to_owned()));
    let changed = core::ConfigMap { data: [("c".to_owned(), "d".to_owned())].into(), ..map("m") };
    let put = f.ask("PUT", &format!("{MAPS}/m"), PROTOBUF, sealed("v1", "ConfigMap", &changed)).await;
    assert_eq!(put.json()["data"], json!({"c": "d"}));
}

#[tokio::test]
async fn what_is_no_protobuf_or_no_such_object_is_refused() {
    let f = Fixture::new();
    let whole = sealed("v1", "ConfigMap", &map("m"));
    let cases: [(&[u8], &str); 4] = [
        (b"", "k8s"),
        (b"{}", "k8s"),
        (&whole[..whole.len() - 1], "the body ends in the middle of a value"),
        (&sealed("v1", "Secret", &core::Secret::default()), "no kind \"Secret\""),
    ];
    for (body, why) in cases {
        let refused = f.ask("POST", MAPS, PROTOBUF, body.to_vec()).await;
        assert_eq!(refused.refusal(), (400, "BadRequest".to_owned()));
        assert!(refused.message().contains(why), "{why:?} in {}", refused.message());
    }
    let unnamed = f.ask("POST", MAPS, PROTOBUF, sealed("v1", "ConfigMap", &core::ConfigMap::default())).await;
    assert_eq!(unnamed.refusal(), (422, "Invalid".to_owned()));
}

#[tokio::test]
async fn a_field_of_the_future_is_dropped_and_told() {
    let f = Fixture::new();
    // ConfigMap has four fields.
    let mut raw = map("m").encode_to_vec();
    prost::encoding::string::encode(40, &"new".to_owned(), &mut raw);
    let body = {
        let unknown = Unknown { raw: Some(raw), ..Unknown::default() };
        [b"k8s\0".as_slice(), &unknown.encode_to_vec()].concat()
    };
    let post = async |query: &str| f.ask("POST", &format!("{MAPS}?{query}"), PROTOBUF, body.clone()).await;
    for query in ["fieldValidation=Strict&dryRun=All", "fieldValidation=Warn&dryRun=All", "dryRun=All"] {
        let made = post(query).await;
        let warning = "299 - \"unknown field with the protobuf number 40\"";
        assert_eq!((made.code, made.warnings()), (StatusCode::CREATED, vec![warning]), "{query}");
    }
    assert!(post("fieldValidation=Ignore").await.warnings().is_empty());
}

#[tokio::test]
async fn options_of_a_deletion_are_read_from_protobuf() {
    let f = Fixture::new();
    let made = f.map("m", json!({})).await;
    let options = |uid: &str, dry_run: &[&str]| meta::DeleteOptions {
        preconditions: Some(meta::Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        dry_run: dry_run.iter().map(|text| (*text).to_owned()).collect(),
        ..Default::default()
    };
    let path = format!("{MAPS}/m");
    let delete =
        |options: meta::DeleteOptions| f.ask("DELETE", &path, PROTOBUF, sealed("v1", "DeleteOptions", &options));
    assert_eq!(delete(options("other", &[])).await.refusal(), (409, "Conflict".to_owned()));
    let uid = made["metadata"]["uid"].as_str().unwrap();
    assert_eq!(delete(options(uid, &["All"])).await.code, 200);
    assert!(f.stored(Kind::ConfigMap, "m").is_some(), "a dry run deletes nothing");
    assert_eq!(delete(options(uid, &[])).await.code, 200);
    assert_eq!(f.stored(Kind::ConfigMap, "m"), None);
    let wrong = f.ask("DELETE", &path, PROTOBUF, sealed("v1", "Pod", &core::Pod::default())).await;
    assert_eq!(wrong.refusal().0, 400);
    assert!(wrong.message().contains("must be DeleteOptions, found \"Pod\""), "{}", wrong.message());
}
