//! The paths of a kind with their operations, as far as clients look at them: which group, version and kind an
//! operation is of, what it does, and which query parameters it takes.

use serde_json::{Map, Value, json};

use super::schemas;
use crate::api::decode::protobuf;
use crate::api::{Kind, Served};
use crate::http::discovery::{Subresource, subresources, verbs};

/// The forms that the body of a request may have, patches apart.
pub(super) const BODIES: [&str; 3] = ["application/json", "application/yaml", protobuf::MEDIA_TYPE];

/// What one operation needs to know of its resource.
struct Target {
    served: Served,
    /// `BatchV1NamespacedJob`
    id: String,
}

/// The path items of a kind, by path.
pub(super) fn of(served: Served) -> Map<String, Value> {
    let (kind, info) = (served.kind(), served.info());
    let root = match info.group {
        "" => format!("/api/{}", info.version),
        group => format!("/apis/{group}/{}", info.version),
    };
    let group = if info.group.is_empty() { "core" } else { info.group.split('.').next().unwrap_or_default() };
    let prefix = format!("{}{}", capital(group), capital(info.version));
    let namespaced = if info.namespaced { "Namespaced" } else { "" };
    let target = Target { served, id: format!("{prefix}{namespaced}{}", info.kind) };

    let mut paths = Map::new();
    let (collection, scope) = match info.namespaced {
        false => (format!("{root}/{}", info.plural), vec![]),
        true => {
            let everywhere = Target { served, id: format!("{prefix}{}ForAllNamespaces", info.kind) };
            let item = item(vec![], verb(kind, "list").map(|()| ("get", list(&everywhere))));
            paths.insert(format!("{root}/{}", info.plural), item);
            (format!("{root}/namespaces/{{namespace}}/{}", info.plural), vec![path_parameter("namespace")])
        }
    };
    let whole = verb(kind, "list").map(|()| ("get", list(&target)));
    let whole = whole.into_iter().chain(verb(kind, "create").map(|()| ("post", create(&target))));
    let whole = whole.chain(verb(kind, "deletecollection").map(|()| ("delete", delete(&target, true))));
    paths.insert(collection.clone(), item(scope.clone(), whole));

    let scope: Vec<Value> = scope.into_iter().chain([path_parameter("name")]).collect();
    let one = verb(kind, "get").map(|()| ("get", read(&target, "")));
    let one = one.into_iter().chain(verb(kind, "update").map(|()| ("put", replace(&target, ""))));
    let one = one.chain(verb(kind, "patch").map(|()| ("patch", patch(&target, ""))));
    let one = one.chain(verb(kind, "delete").map(|()| ("delete", delete(&target, false))));
    paths.insert(format!("{collection}/{{name}}"), item(scope.clone(), one));

    for sub in subresources(kind) {
        paths.insert(format!("{collection}/{{name}}/{}", sub.name), subresource(&target, sub, scope.clone()));
    }
    paths
}

fn verb(kind: Kind, name: &str) -> Option<()> {
    verbs(kind).contains(&name).then_some(())
}

fn subresource(target: &Target, sub: Subresource, scope: Vec<Value>) -> Value {
    let operations = sub.verbs.iter().filter_map(|verb| {
        Some(match (*verb, sub.name) {
            ("get", "log") => ("get", log(target)),
            ("get", _) => ("get", read(target, sub.name)),
            ("update", _) => ("put", replace(target, sub.name)),
            ("patch", _) => ("patch", patch(target, sub.name)),
            ("create", _) => ("post", act(target, &sub)),
            _ => return None,
        })
    });
    item(scope, operations)
}

fn item(parameters: Vec<Value>, operations: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let mut item: Map<String, Value> = operations.into_iter().map(|(method, op)| (method.to_owned(), op)).collect();
    if !parameters.is_empty() {
        item.insert("parameters".to_owned(), Value::Array(parameters));
    }
    Value::Object(item)
}

fn list(target: &Target) -> Value {
    let parameters = [
        text("labelSelector", "Which objects, by their labels."),
        text("fieldSelector", "Which objects, by some of their fields."),
        boolean("watch", "Stream the changes instead of the list."),
        boolean("allowWatchBookmarks", "Send BOOKMARK events in a watch."),
        boolean("sendInitialEvents", "Begin a watch with an ADDED event for each object, and a bookmark."),
        text("resourceVersion", "The version to list at, or to watch from."),
        text("resourceVersionMatch", "How resourceVersion applies to a list."),
        integer("limit", "The most objects in one answer."),
        text("continue", "Where the list goes on: metadata.continue of the answer before."),
        integer("timeoutSeconds", "How long a watch lasts."),
    ];
    operation(target, "list", "list", "", &parameters, None, &[("200", schemas::list(target.served))])
}

fn create(target: &Target) -> Value {
    let (body, object) = (schemas::object(target.served), schemas::object(target.served));
    operation(target, "create", "post", "", &write_parameters(), Some(body), &[("201", object)])
}

/// A POST below an object, of another kind.
fn act(target: &Target, sub: &Subresource) -> Value {
    let mut action =
        operation(target, "create", "post", sub.name, &write_parameters(), None, &[("201", schemas::status())]);
    if let Some((group, version, kind)) = sub.takes {
        action["x-kubernetes-group-version-kind"] = json!({"group": group, "version": version, "kind": kind});
    }
    action
}

fn read(target: &Target, sub: &str) -> Value {
    operation(target, "read", "get", sub, &[], None, &[("200", schemas::object(target.served))])
}

fn replace(target: &Target, sub: &str) -> Value {
    let (body, object) = (schemas::object(target.served), schemas::object(target.served));
    operation(target, "replace", "put", sub, &write_parameters(), Some(body), &[("200", object)])
}

fn patch(target: &Target, sub: &str) -> Value {
    let object = schemas::object(target.served);
    let mut parameters = write_parameters();
    parameters.push(boolean("force", "Take over fields that another manager owns (apply patches only)."));
    let mut patch = operation(target, "patch", "patch", sub, &parameters, None, &[("200", object)]);
    let types = [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    ];
    patch["requestBody"] = body(&types, &schemas::patch());
    patch
}

fn delete(target: &Target, collection: bool) -> Value {
    let parameters = [
        dry_run(),
        integer("gracePeriodSeconds", "How long the object may take to end; 0 means at once."),
        text("propagationPolicy", "What becomes of dependents: Orphan, Background or Foreground."),
    ];
    let (name, action) = if collection { ("deleteCollection", "deletecollection") } else { ("delete", "delete") };
    // What is gone is told by a Status; what is still to end, or shown as it last was, by the object itself.
    let answer = [("200", json!({"anyOf": [schemas::status(), schemas::object(target.served)]}))];
    operation(target, name, action, "", &parameters, Some(schemas::delete_options()), &answer)
}

fn log(target: &Target) -> Value {
    let parameters = [
        text("container", "Which container; may be left out if there is one."),
        boolean("follow", "Stream the log until the container ends."),
        boolean("previous", "The log of the container before its last restart."),
        boolean("timestamps", "Begin each line with the time it was written."),
        integer("sinceSeconds", "Only what was written in the last so many seconds."),
        integer("tailLines", "Only the last so many lines."),
        integer("limitBytes", "At most so many bytes."),
    ];
    let mut log = operation(target, "read", "get", "log", &parameters, None, &[]);
    log["responses"] = json!({"200": {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}});
    log
}

fn operation(
    target: &Target,
    name: &str,
    action: &str,
    sub: &str,
    parameters: &[Value],
    request: Option<Value>,
    answers: &[(&str, Value)],
) -> Value {
    let info = target.served.info();
    let responses: Map<String, Value> = answers
        .iter()
        .map(|(code, schema)| {
            let response = json!({"description": "OK", "content": {"application/json": {"schema": schema}}});
            ((*code).to_owned(), response)
        })
        .collect();
    let what = if sub.is_empty() { String::new() } else { format!("{sub} of the specified ") };
    let mut operation = json!({
        "description": format!("{name} {what}{}", info.kind),
        "operationId": format!("{name}{}{}", target.id, capital(sub)),
        "parameters": parameters,
        "responses": responses,
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": info.group, "version": info.version, "kind": info.kind},
    });
    if let Some(schema) = request {
        operation["requestBody"] = body(&BODIES, &schema);
    }
    operation
}

pub(super) fn body(types: &[&str], schema: &Value) -> Value {
    let content: Map<String, Value> = types.iter().map(|t| ((*t).to_owned(), json!({ "schema": schema }))).collect();
    json!({ "content": content })
}

pub(super) fn write_parameters() -> Vec<Value> {
    vec![
        dry_run(),
        text("fieldManager", "The name of who makes the change."),
        text(
            "fieldValidation",
            "What to do with unknown and duplicate fields: Ignore them, Warn of them (the default), or refuse the \
             request (Strict).",
        ),
    ]
}

fn dry_run() -> Value {
    text("dryRun", "All: check everything, and change nothing.")
}

pub(super) fn text(name: &str, description: &str) -> Value {
    query(name, description, "string")
}

fn boolean(name: &str, description: &str) -> Value {
    query(name, description, "boolean")
}

fn integer(name: &str, description: &str) -> Value {
    query(name, description, "integer")
}

fn query(name: &str, description: &str, type_: &str) -> Value {
    json!({"name": name, "in": "query", "description": description,
        "schema": {"type": type_, "uniqueItems": true}})
}

pub(super) fn path_parameter(name: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}})
}

/// `v1` to `V1`.
fn capital(word: &str) -> String {
    let mut rest = word.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}
