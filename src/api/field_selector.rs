//! Field selectors: `status.phase=Running,metadata.name!=a`. Each kind has a fixed set of fields; another is refused.
//!
//! Grammar: apimachinery `fields/selector.go` (`\`, `,` and `=` in a value are escaped by `\`). The fields and the
//! texts of their refusal: `pkg/apis/{core,batch}/v1/conversion.go` and the strategies under `pkg/registry`, about 1.34.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Event, Pod};

use crate::api::error::ApiError;
use crate::api::kind::{Kind, Object};
use crate::api::served::Served;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldOp {
    Equals,
    NotEquals,
}

/// One term of the text, unescaped.
pub type Term = (String, FieldOp, String);

/// A selector whose fields are known to exist for its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

/// Splits the text into terms; empty terms are skipped.
pub fn parse(text: &str) -> Result<Vec<Term>, String> {
    let mut terms = Vec::new();
    for term in split(text) {
        if term.is_empty() {
            continue;
        }
        let found = term
            .char_indices()
            .find_map(|(i, _)| ["!=", "==", "="].into_iter().find(|op| term[i..].starts_with(op)).map(|op| (i, op)));
        let Some((i, op)) = found else {
            return Err(format!("invalid selector: '{text}'; can't understand '{term}'"));
        };
        let kind = if op == "!=" { FieldOp::NotEquals } else { FieldOp::Equals };
        terms.push((term[..i].to_owned(), kind, unescape(&term[i + op.len()..])?));
    }
    Ok(terms)
}

/// Cuts at commas that are not escaped.
fn split(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn unescape(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(next @ ('\\' | ',' | '=')) => plain.push(next),
                next => {
                    let next = next.map(String::from).unwrap_or_default();
                    return Err(format!("invalid field selector: invalid escape sequence: \\{next}"));
                }
            },
            ',' | '=' => return Err(format!("invalid field selector: unescaped character in value: {c}")),
            c => plain.push(c),
        }
    }
    Ok(plain)
}

impl FieldSelector {
    pub fn everything() -> FieldSelector {
        FieldSelector { terms: Vec::new() }
    }

    /// Parses the text of a `fieldSelector` query parameter on a list of `kind`.
    pub fn compile(kind: Kind, text: &str) -> Result<FieldSelector, ApiError> {
        FieldSelector::compile_as(Served::Stored(kind), text)
    }

    /// Of what has no fields to select by but its name and namespace, whatever it is.
    pub fn of_metadata(text: &str) -> Result<FieldSelector, ApiError> {
        // Has no others either.
        FieldSelector::compile(Kind::ConfigMap, text)
    }

    /// As [`FieldSelector::compile`], with the names that fields have in this view.
    pub fn compile_as(served: Served, text: &str) -> Result<FieldSelector, ApiError> {
        let kind = served.kind();
        let mut terms = parse(text).map_err(ApiError::BadRequest)?;
        for (path, _, _) in &mut terms {
            match served.stored_field(path).filter(|path| is_supported(kind, path)) {
                Some(stored) => *path = stored,
                None => return Err(ApiError::BadRequest(unsupported(kind, path))),
            }
        }
        Ok(FieldSelector { terms })
    }

    /// Whether `object`, of the kind that the selector was compiled for, is selected.
    pub fn matches(&self, object: &Object) -> bool {
        self.terms.iter().all(|(path, op, want)| {
            let equal = value_of(object, path).as_deref() == Some(want);
            equal == (*op == FieldOp::Equals)
        })
    }

    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// The one value that the field `path` must have, if the selector demands one: what an index can be asked for.
    pub fn exact(&self, path: &str) -> Option<&str> {
        self.terms.iter().find(|(p, op, _)| p == path && *op == FieldOp::Equals).map(|(_, _, value)| value.as_str())
    }
}

fn is_supported(kind: Kind, path: &str) -> bool {
    if path == "metadata.name" || (path == "metadata.namespace" && kind.info().namespaced) {
        return true;
    }
    let fields: &[&str] = match kind {
        Kind::Namespace => &["name", "status.phase"],
        Kind::Node => &["spec.unschedulable"],
        Kind::Pod => &[
            "spec.nodeName",
            "spec.host",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        Kind::ConfigMap | Kind::CronJob | Kind::Lease | Kind::ServiceAccount => &[],
        Kind::Secret => &["type"],
        Kind::Event => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        Kind::Job => &["status.successful"],
        Kind::Module => &["spec.name", "spec.tag", "spec.digest", "status.kind"],
    };
    fields.contains(&path)
}

fn unsupported(kind: Kind, path: &str) -> String {
    match kind {
        Kind::Job => format!("field label {path:?} not supported for batchv1.Job"),
        Kind::ConfigMap | Kind::CronJob | Kind::Lease => {
            format!("{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        }
        _ => format!("field label not supported: {path}"),
    }
}

/// The text of a supported field; a field that is not set is the empty text.
fn value_of<'a>(object: &'a Object, path: &str) -> Option<Cow<'a, str>> {
    let text = |value: &'a Option<String>| Some(Cow::Borrowed(value.as_deref().unwrap_or_default()));
    match path {
        "metadata.name" => return text(&object.meta().name),
        "metadata.namespace" => return text(&object.meta().namespace),
        _ => {}
    }
    match object {
        Object::Pod(pod) => pod_value(pod, path),
        Object::Event(event) => event_value(event, path),
        Object::Job(job) => {
            let succeeded = job.status.as_ref().and_then(|s| s.succeeded).unwrap_or(0);
            (path == "status.successful").then(|| Cow::Owned(succeeded.to_string()))
        }
        Object::Secret(secret) => (path == "type").then(|| text(&secret.type_))?,
        Object::Namespace(namespace) => match path {
            "name" => text(&namespace.metadata.name),
            "status.phase" => {
                Some(namespace.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default().into())
            }
            _ => None,
        },
        Object::Node(node) => {
            let unschedulable = node.spec.as_ref().and_then(|s| s.unschedulable).unwrap_or(false);
            (path == "spec.unschedulable").then(|| flag(unschedulable))
        }
        Object::Module(module) => {
            let (spec, status) = (module.spec.as_ref(), module.status.as_ref());
            let value = match path {
                "spec.name" => spec.map(|s| s.name.as_str()),
                "spec.tag" => spec.map(|s| s.tag.as_str()),
                "spec.digest" => spec.and_then(|s| s.digest.as_deref()),
                "status.kind" => status.and_then(|s| s.kind.as_deref()),
                _ => return None,
            };
            Some(value.unwrap_or_default().into())
        }
        Object::ConfigMap(_) | Object::CronJob(_) | Object::Lease(_) | Object::ServiceAccount(_) => None,
    }
}

fn pod_value<'a>(pod: &'a Pod, path: &str) -> Option<Cow<'a, str>> {
    let spec = pod.spec.as_ref();
    let status = pod.status.as_ref();
    let value = match path {
        "spec.nodeName" | "spec.host" => spec.and_then(|s| s.node_name.as_deref()),
        "spec.restartPolicy" => spec.and_then(|s| s.restart_policy.as_deref()),
        "spec.schedulerName" => spec.and_then(|s| s.scheduler_name.as_deref()),
        "spec.serviceAccountName" => spec.and_then(|s| s.service_account_name.as_deref()),
        "spec.hostNetwork" => return Some(flag(spec.and_then(|s| s.host_network).unwrap_or(false))),
        "status.phase" => status.and_then(|s| s.phase.as_deref()),
        "status.podIP" => status.and_then(|s| s.pod_ip.as_deref()),
        "status.podIPs" => {
            let addresses = status.and_then(|s| s.pod_ips.as_deref()).unwrap_or_default();
            return Some(addresses.iter().map(|a| a.ip.as_str()).collect::<Vec<_>>().join(",").into());
        }
        "status.nominatedNodeName" => status.and_then(|s| s.nominated_node_name.as_deref()),
        _ => return None,
    };
    Some(value.unwrap_or_default().into())
}

fn event_value<'a>(event: &'a Event, path: &str) -> Option<Cow<'a, str>> {
    let about = &event.involved_object;
    let value = match path {
        "involvedObject.kind" => &about.kind,
        "involvedObject.namespace" => &about.namespace,
        "involvedObject.name" => &about.name,
        "involvedObject.uid" => &about.uid,
        "involvedObject.apiVersion" => &about.api_version,
        "involvedObject.resourceVersion" => &about.resource_version,
        "involvedObject.fieldPath" => &about.field_path,
        "reason" => &event.reason,
        "reportingComponent" => &event.reporting_component,
        "source" => match event.source.as_ref().map(|s| &s.component) {
            Some(component @ Some(_)) => component,
            _ => &event.reporting_component,
        },
        "type" => &event.type_,
        _ => return None,
    };
    Some(value.as_deref().unwrap_or_default().into())
}

fn flag(value: bool) -> Cow<'static, str> {
    Cow::Borrowed(if value { "true" } else { "false" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn object(kind: Kind, value: serde_json::Value) -> Object {
        Object::deserialize(kind, value).unwrap()
    }

    #[test]
    fn fields_are_compared_as_text() {
        let pod = object(
            Kind::Pod,
            json!({"metadata": {"name": "a", "namespace": "b"}, "spec": {"containers": [], "nodeName": "n"},
                   "status": {"phase": "Running"}}),
        );
        let job = object(Kind::Job, json!({"metadata": {"name": "a"}, "status": {"succeeded": 2}}));
        let event = object(Kind::Event, json!({"metadata": {}, "involvedObject": {"kind": "Pod"}, "source": {}}));
        let table = [
            (&pod, "metadata.name=a,metadata.namespace==b", true),
            (&pod, "status.phase!=Running", false),
            (&pod, "status.phase!=Succeeded,status.phase!=Failed,spec.nodeName=n", true),
            (&pod, "spec.hostNetwork=false,status.podIP=", true),
            (&job, "status.successful=2", true),
            (&job, "status.successful!=2", false),
            (&event, "involvedObject.kind=Pod,involvedObject.name!=a", true),
            (&pod, "", true),
        ];
        for (object, text, want) in table {
            assert_eq!(FieldSelector::compile(object.kind(), text).unwrap().matches(object), want, "{text}");
        }
    }

    #[test]
    fn values_are_unescaped() {
        let terms = parse(r"a=b\,c\=d\\,e!=f,g==h").unwrap();
        let want = [("a", FieldOp::Equals, r"b,c=d\"), ("e", FieldOp::NotEquals, "f"), ("g", FieldOp::Equals, "h")];
        assert_eq!(terms, want.map(|(path, op, value)| (path.to_owned(), op, value.to_owned())));
    }

    #[test]
    fn faults_are_told_as_the_api_server_tells_them() {
        let table = [
            (Kind::Job, "spec.x=1", "field label \"spec.x\" not supported for batchv1.Job"),
            (Kind::Pod, "spec.x=1", "field label not supported: spec.x"),
            (Kind::Node, "metadata.namespace=a", "field label not supported: metadata.namespace"),
            (Kind::Pod, "abc", "invalid selector: 'abc'; can't understand 'abc'"),
            (Kind::Pod, "a!b", "invalid selector: 'a!b'; can't understand 'a!b'"),
            (Kind::Pod, "a=b=c", "invalid field selector: unescaped character in value: ="),
            (Kind::Pod, r"a=b\x", r"invalid field selector: invalid escape sequence: \x"),
            (
                Kind::ConfigMap,
                "data=x",
                "\"data\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
            ),
        ];
        for (kind, text, want) in table {
            assert_eq!(FieldSelector::compile(kind, text).unwrap_err().to_string(), want);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_parsing_panic(text in any::<String>(), near in r"[ab=!,\\é]{0,20}") {
            let _ = parse(&text);
            let _ = parse(&near);
        }
    }
}
