//! What this server serves, as clients ask it before anything else: the lists under `/api` and `/apis`, and the
//! aggregated form (`apidiscovery.k8s.io/v2`) that kubectl prefers. All of it follows from the kind table.

use serde_json::{Value, json};

use super::{review, services, top};
use crate::api::kind::KindInfo;
use crate::api::{Kind, Served};

/// What can be done with every kind.
const VERBS: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];

/// And with those of which many can be deleted at once.
const VERBS_OF_MANY: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// And with those that come to be in another way.
const VERBS_OF_MADE: &[&str] = &["delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// What can be done with a kind. The routes, discovery and OpenAPI all follow it.
pub fn verbs(kind: Kind) -> &'static [&'static str] {
    match kind {
        // As in Kubernetes: each namespace is a decision of its own.
        Kind::Namespace => VERBS,
        Kind::Module => VERBS_OF_MADE,
        _ => VERBS_OF_MANY,
    }
}

/// The older way to POST a binding, with the name of the pod in its body only.
pub const BINDINGS: KindInfo = KindInfo {
    group: "",
    version: "v1",
    kind: "Binding",
    plural: "bindings",
    singular: "binding",
    short_names: &[],
    categories: &[],
    namespaced: true,
    has_status: false,
};
pub const BINDING_VERBS: &[&str] = &["create"];

/// Resources that are no kinds of the table, with their verbs.
pub const BESIDE_KINDS: &[(&KindInfo, &[&str])] = &[
    (&BINDINGS, BINDING_VERBS),
    (&services::INFO, services::VERBS),
    (&top::NODES, top::VERBS),
    (&top::PODS, top::VERBS),
];

/// What can be done with `/status`.
pub const STATUS_VERBS: &[&str] = &["get", "patch", "update"];

/// The media type of the aggregated documents; an answer without it is taken for the older form.
pub const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// A part of a resource with a path of its own, `/NAME/SUBRESOURCE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subresource {
    pub name: &'static str,
    pub verbs: &'static [&'static str],
    /// Group, version and kind of what it is written with, if that is not the resource's own kind.
    pub takes: Option<(&'static str, &'static str, &'static str)>,
}

/// The subresources of a kind, in the order of their names.
pub fn subresources(kind: Kind) -> Vec<Subresource> {
    let own = |name, verbs| Subresource { name, verbs, takes: None };
    let action = |name, takes| Subresource { name, verbs: &["create"], takes: Some(takes) };
    let mut all = match kind {
        Kind::Namespace => vec![own("finalize", &["update"])],
        Kind::Pod => vec![
            action("binding", ("", "v1", "Binding")),
            action("eviction", ("policy", "v1", "Eviction")),
            own("log", &["get"]),
        ],
        _ => Vec::new(),
    };
    if kind.info().has_status {
        all.push(own("status", STATUS_VERBS));
    }
    all
}

/// The served groups with their versions, the core group (`""`) first, each once.
pub fn group_versions() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<(&str, &str)> = Vec::new();
    for info in Served::all().map(Served::info) {
        if !all.contains(&(info.group, info.version)) {
            all.push((info.group, info.version));
        }
    }
    for info in review::ALL.iter().chain(BESIDE_KINDS.iter().map(|(info, _)| info)) {
        if !all.contains(&(info.group, info.version)) {
            all.push((info.group, info.version));
        }
    }
    // Stable, so that the versions of a group keep the order of the table.
    all.sort_by_key(|(group, _)| *group);
    all
}

/// `GET /api`
pub fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": versions_of(""), "serverAddressByClientCIDRs": []})
}

/// `GET /apis`
pub fn groups() -> Value {
    let groups: Vec<Value> = named_groups().into_iter().map(group_entry).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `GET /apis/GROUP`
pub fn group(name: &str) -> Option<Value> {
    let known = named_groups().into_iter().find(|g| *g == name)?;
    let mut group = json!({"kind": "APIGroup", "apiVersion": "v1"});
    merge(&mut group, group_entry(known));
    Some(group)
}

/// `GET /api/VERSION` (with the group `""`) and `GET /apis/GROUP/VERSION`
pub fn resources(group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for served in kinds_of(group, version) {
        let (kind, info) = (served.kind(), served.info());
        resources.push(with_names(
            json!({"name": info.plural, "singularName": info.singular, "namespaced": info.namespaced,
                "kind": info.kind, "verbs": verbs(kind)}),
            info,
        ));
        for sub in subresources(kind) {
            let mut entry = json!({"name": format!("{}/{}", info.plural, sub.name), "singularName": "",
                "namespaced": info.namespaced, "kind": info.kind, "verbs": sub.verbs});
            if let Some((group, version, kind)) = sub.takes {
                entry["kind"] = kind.into();
                if (group, version) != (info.group, info.version) {
                    merge(&mut entry, json!({"group": group, "version": version}));
                }
            }
            resources.push(entry);
        }
    }
    for info in review::of(group, version) {
        resources.push(json!({"name": info.plural, "singularName": info.singular, "namespaced": info.namespaced,
            "kind": info.kind, "verbs": review::VERBS}));
    }
    for (info, verbs) in BESIDE_KINDS.iter().filter(|(info, _)| (info.group, info.version) == (group, version)) {
        let entry = json!({"name": info.plural, "singularName": info.singular, "namespaced": info.namespaced,
            "kind": info.kind, "verbs": verbs});
        resources.push(with_names(entry, info));
    }
    if resources.is_empty() {
        return None;
    }
    let group_version = join(group, version);
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}))
}

/// `GET /api` in the aggregated form
pub fn aggregated_core() -> Value {
    aggregated(&[""])
}

/// `GET /apis` in the aggregated form
pub fn aggregated_groups() -> Value {
    aggregated(&named_groups())
}

fn aggregated(groups: &[&str]) -> Value {
    let items: Vec<Value> = groups
        .iter()
        .map(|&group| {
            let metadata = if group.is_empty() { json!({}) } else { json!({ "name": group }) };
            let versions: Vec<Value> = versions_of(group)
                .into_iter()
                .map(|version| {
                    let reviews = review::of(group, version).map(|info| aggregated_entry(info, review::VERBS));
                    let beside = BESIDE_KINDS.iter().filter(|(i, _)| (i.group, i.version) == (group, version));
                    let beside = beside.map(|(info, verbs)| with_names(aggregated_entry(info, verbs), info));
                    let kinds = kinds_of(group, version).map(aggregated_resource);
                    let resources: Vec<Value> = kinds.chain(reviews).chain(beside).collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_resource(served: Served) -> Value {
    let (kind, info) = (served.kind(), served.info());
    let subresources: Vec<Value> = subresources(kind)
        .into_iter()
        .map(|sub| {
            let (group, version, kind) = sub.takes.unwrap_or((info.group, info.version, info.kind));
            let response = json!({"group": group, "version": version, "kind": kind});
            json!({"subresource": sub.name, "responseKind": response, "verbs": sub.verbs})
        })
        .collect();
    let mut resource = aggregated_entry(info, verbs(kind));
    if !subresources.is_empty() {
        merge(&mut resource, json!({ "subresources": subresources }));
    }
    with_names(resource, info)
}

fn aggregated_entry(info: &KindInfo, verbs: &[&str]) -> Value {
    json!({
        "resource": info.plural,
        "responseKind": {"group": info.group, "version": info.version, "kind": info.kind},
        "scope": if info.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": info.singular,
        "verbs": verbs,
    })
}

/// Adds the short names and categories that a kind has.
fn with_names(mut resource: Value, info: &KindInfo) -> Value {
    if !info.short_names.is_empty() {
        merge(&mut resource, json!({"shortNames": info.short_names}));
    }
    if !info.categories.is_empty() {
        merge(&mut resource, json!({"categories": info.categories}));
    }
    resource
}

fn group_entry(name: &str) -> Value {
    let versions: Vec<Value> = versions_of(name)
        .into_iter()
        .map(|version| json!({"groupVersion": join(name, version), "version": version}))
        .collect();
    let preferred = versions.first().cloned();
    json!({"name": name, "versions": versions, "preferredVersion": preferred})
}

fn named_groups() -> Vec<&'static str> {
    let mut names: Vec<&str> = group_versions().into_iter().map(|(g, _)| g).filter(|g| !g.is_empty()).collect();
    names.dedup();
    names
}

fn versions_of(group: &str) -> Vec<&'static str> {
    group_versions().into_iter().filter(|(g, _)| *g == group).map(|(_, v)| v).collect()
}

/// The kinds of one group and version, in the order of their names.
pub(super) fn kinds_of(group: &str, version: &str) -> impl Iterator<Item = Served> {
    let is_there = |served: &Served| (served.info().group, served.info().version) == (group, version);
    let mut kinds: Vec<Served> = Served::all().filter(is_there).collect();
    kinds.sort_by_key(|served| served.info().plural);
    kinds.into_iter()
}

/// `v1` or `batch/v1`.
fn join(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIGroupList, APIResourceList, APIVersions};

    use super::*;

    #[test]
    fn the_older_lists_decode_as_their_types() {
        let versions: APIVersions = serde_json::from_value(core_versions()).unwrap();
        assert_eq!(versions.versions, ["v1"]);
        let groups: APIGroupList = serde_json::from_value(groups()).unwrap();
        assert!(groups.groups.iter().any(|g| g.name == "batch"));
        assert!(groups.groups.iter().all(|g| !g.name.is_empty()));
        let batch: APIGroup = serde_json::from_value(group("batch").unwrap()).unwrap();
        assert_eq!(batch.preferred_version.unwrap().group_version, "batch/v1");
        let list: APIResourceList = serde_json::from_value(resources("", "v1").unwrap()).unwrap();
        assert_eq!(list.group_version, "v1");
        assert_eq!((group("nope"), group(""), resources("batch", "v9")), (None, None, None));
    }

    #[test]
    fn every_kind_is_listed_with_its_names_and_subresources() {
        for &kind in Kind::ALL {
            let info = kind.info();
            let list = resources(info.group, info.version).unwrap();
            let named = |name: &str| {
                let entries = list["resources"].as_array().unwrap();
                entries.iter().find(|r| r["name"] == name).cloned().unwrap_or_default()
            };
            let entry = named(info.plural);
            assert_eq!((&entry["kind"], &entry["verbs"]), (&json!(info.kind), &json!(verbs(kind))));
            let short = (!info.short_names.is_empty()).then(|| json!(info.short_names));
            assert_eq!(entry.get("shortNames"), short.as_ref());
            assert_eq!(named(&format!("{}/status", info.plural)).is_null(), !info.has_status);
        }
        let pods = resources("", "v1").unwrap();
        let log = json!({"name": "pods/log", "singularName": "", "namespaced": true, "kind": "Pod", "verbs": ["get"]});
        // How `kubectl drain` finds out that it can evict.
        let eviction = json!({"name": "pods/eviction", "singularName": "", "namespaced": true, "kind": "Eviction",
            "group": "policy", "version": "v1", "verbs": ["create"]});
        let bindings = json!({"name": "bindings", "singularName": "binding", "namespaced": true, "kind": "Binding",
            "verbs": ["create"]});
        for entry in [log, eviction, bindings] {
            assert!(pods["resources"].as_array().unwrap().contains(&entry), "{entry}");
        }
    }

    #[test]
    fn the_aggregated_form_says_the_same() {
        let groups = aggregated_groups();
        assert_eq!(groups["apiVersion"], "apidiscovery.k8s.io/v2");
        let batch = groups["items"].as_array().unwrap().iter().find(|i| i["metadata"]["name"] == "batch").unwrap();
        let jobs = batch["versions"][0]["resources"].as_array().unwrap().iter().find(|r| r["resource"] == "jobs");
        let gvk = json!({"group": "batch", "version": "v1", "kind": "Job"});
        let expected = json!({"resource": "jobs", "responseKind": gvk, "scope": "Namespaced", "singularResource": "job",
            "verbs": verbs(Kind::Job), "categories": ["all"],
            "subresources": [{"subresource": "status", "responseKind": gvk, "verbs": STATUS_VERBS}]});
        assert_eq!(jobs, Some(&expected));

        let core = aggregated_core();
        assert_eq!(core["items"].as_array().unwrap().len(), 1);
        let nodes = core["items"][0]["versions"][0]["resources"].as_array().unwrap();
        assert!(nodes.iter().any(|r| r["resource"] == "nodes" && r["scope"] == "Cluster"));
    }
}
