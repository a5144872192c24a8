//! What may be done: everything that is served, by everybody who is let in, and nothing else.

use std::collections::BTreeMap;

use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, NonResourceAttributes, NonResourceRule, ResourceAttributes, ResourceRule,
    SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview, SubjectAccessReviewSpec,
    SubjectAccessReviewStatus, SubjectRulesReviewStatus,
};

use super::identity::names;
use super::{Asked, Review, VERBS, info};
use crate::api::Served;
use crate::api::field::{FieldError, Path};
use crate::api::kind::KindInfo;
use crate::http::discovery;
use crate::http::error::Refusal;
use crate::http::guard::Access;

/// What is served beside resources. A path that ends in `*` stands for all that begin so.
const PATHS: &[(&str, &[&str])] = &[
    ("/api", &["get"]),
    ("/api/*", &["get"]),
    ("/apis", &["get"]),
    ("/apis/*", &["get"]),
    ("/healthz", &["get"]),
    ("/healthz/*", &["get"]),
    ("/livez", &["get"]),
    ("/livez/*", &["get"]),
    ("/metrics", &["get"]),
    ("/modules", &["get"]),
    ("/modules/*", &["delete", "get", "put"]),
    ("/openapi/v2", &["get"]),
    ("/openapi/v3", &["get"]),
    ("/openapi/v3/*", &["get"]),
    ("/readyz", &["get"]),
    ("/readyz/*", &["get"]),
    ("/version", &["get"]),
];

/// A resource or a part of one, and what can be done with it.
struct Row {
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    /// Empty for the resource itself.
    subresource: &'static str,
    verbs: &'static [&'static str],
}

fn rows() -> impl Iterator<Item = Row> {
    let one = |info: &KindInfo, subresource, verbs| Row {
        group: info.group,
        version: info.version,
        resource: info.plural,
        subresource,
        verbs,
    };
    let kinds = Served::all().flat_map(move |served| {
        let (kind, info) = (served.kind(), served.info());
        let parts = discovery::subresources(kind).into_iter().map(move |sub| one(info, sub.name, sub.verbs));
        std::iter::once(one(info, "", discovery::verbs(kind))).chain(parts)
    });
    let beside = discovery::BESIDE_KINDS.iter().map(move |(info, verbs)| one(info, "", verbs));
    kinds.chain(beside).chain(super::ALL.iter().map(move |info| one(info, "", VERBS)))
}

/// `*` asks for everything, which is allowed if something is there: nobody is kept from any of it.
fn matches(asked: Option<&str>, found: &str) -> bool {
    let asked = asked.unwrap_or_default();
    asked == "*" || asked == found
}

/// Whether it can be done; if not, why.
fn resource(asked: &ResourceAttributes) -> Result<(), String> {
    let ResourceAttributes { group, resource, subresource, verb, version, .. } = asked;
    let any_version = version.as_deref().unwrap_or_default().is_empty();
    let mut verbs: Option<&[&str]> = None;
    for row in rows() {
        let is_it = matches(group.as_deref(), row.group)
            && (any_version || matches(version.as_deref(), row.version))
            && matches(resource.as_deref(), row.resource)
            && matches(subresource.as_deref(), row.subresource);
        if is_it && row.verbs.iter().any(|known| matches(verb.as_deref(), known)) {
            return Ok(());
        }
        if is_it {
            verbs = Some(row.verbs);
        }
    }
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let mut name = text(resource);
    for (separator, part) in [("/", text(subresource)), (".", text(group))] {
        if !part.is_empty() {
            name = format!("{name}{separator}{part}");
        }
    }
    Err(match verbs {
        Some(verbs) => format!("all that kiln can do with {name} is {}", verbs.join(", ")),
        None => format!("kiln does not serve {name}"),
    })
}

fn path(asked: &NonResourceAttributes) -> Result<(), String> {
    let (path, verb) = (asked.path.as_deref().unwrap_or_default(), asked.verb.as_deref());
    let is_it = |known: &str| match known.strip_suffix('*') {
        _ if path == "*" => true,
        Some(prefix) => path.starts_with(prefix),
        None => path == known,
    };
    let mut there = PATHS.iter().filter(|(known, _)| is_it(known)).peekable();
    if there.peek().is_none() {
        return Err(format!("kiln does not serve {path}"));
    }
    match there.any(|(_, verbs)| verbs.iter().any(|known| matches(verb, known))) {
        true => Ok(()),
        false => Err(format!("kiln does not {} {path}", verb.unwrap_or_default())),
    }
}

fn decide(of: Option<&ResourceAttributes>, or: Option<&NonResourceAttributes>) -> SubjectAccessReviewStatus {
    let decided = match (of, or) {
        (Some(attributes), _) => resource(attributes),
        (None, Some(attributes)) => path(attributes),
        // Validation has refused it.
        (None, None) => Err("nothing is asked for".to_owned()),
    };
    let reason = match &decided {
        Ok(()) => "whoever is let in may do everything that kiln serves",
        Err(reason) => reason,
    };
    status(decided.is_ok(), reason)
}

fn status(allowed: bool, reason: &str) -> SubjectAccessReviewStatus {
    SubjectAccessReviewStatus { allowed, reason: Some(reason.to_owned()), ..SubjectAccessReviewStatus::default() }
}

/// Exactly one of the two, in the words of Kubernetes.
fn one_of(of: Option<&ResourceAttributes>, or: Option<&NonResourceAttributes>) -> Option<FieldError> {
    let spec = Path::root("spec");
    match (of, or) {
        (Some(_), Some(_)) => {
            let detail = "cannot be specified in combination with resourceAttributes";
            Some(FieldError::forbidden(&spec.child("nonResourceAttributes"), detail))
        }
        (None, None) => {
            let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            Some(FieldError::required(&spec.child("resourceAttributes"), detail))
        }
        _ => None,
    }
}

impl Review for SelfSubjectAccessReview {
    const INFO: &'static KindInfo =
        &info::<SelfSubjectAccessReview>("selfsubjectaccessreviews", "selfsubjectaccessreview", false);

    fn faults(&self, _: &Asked<'_>) -> Vec<FieldError> {
        one_of(self.spec.resource_attributes.as_ref(), self.spec.non_resource_attributes.as_ref()).into_iter().collect()
    }

    fn answer(&mut self, _: &Asked<'_>) -> Result<(), Refusal> {
        let spec = &self.spec;
        self.status = Some(decide(spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref()));
        Ok(())
    }
}

/// Somebody else may do what we may if it is one of those who are let in; others there are none.
fn decide_for(spec: &SubjectAccessReviewSpec, access: &Access) -> SubjectAccessReviewStatus {
    let (name, group) = names(access);
    let user = spec.user.as_deref().unwrap_or_default();
    let in_group = spec.groups.iter().flatten().any(|g| g == group);
    match user {
        _ if user == name || (user.is_empty() && in_group) => {
            decide(spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref())
        }
        "" => status(false, &format!("kiln knows no such group, only {group}")),
        _ => status(false, &format!("kiln knows no user {user:?}, only {name}")),
    }
}

fn subject_faults(spec: &SubjectAccessReviewSpec) -> Vec<FieldError> {
    let mut faults: Vec<FieldError> =
        one_of(spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref()).into_iter().collect();
    let nobody = spec.user.as_deref().unwrap_or_default().is_empty() && spec.groups.iter().flatten().next().is_none();
    if nobody {
        let path = Path::root("spec").child("user");
        faults.push(FieldError::invalid(&path, "", "at least one of user or group must be specified"));
    }
    faults
}

impl Review for SubjectAccessReview {
    const INFO: &'static KindInfo = &info::<SubjectAccessReview>("subjectaccessreviews", "subjectaccessreview", false);

    fn faults(&self, _: &Asked<'_>) -> Vec<FieldError> {
        subject_faults(&self.spec)
    }

    fn answer(&mut self, asked: &Asked<'_>) -> Result<(), Refusal> {
        self.status = Some(decide_for(&self.spec, asked.access));
        Ok(())
    }
}

impl Review for LocalSubjectAccessReview {
    const INFO: &'static KindInfo =
        &info::<LocalSubjectAccessReview>("localsubjectaccessreviews", "localsubjectaccessreview", true);

    fn faults(&self, asked: &Asked<'_>) -> Vec<FieldError> {
        let mut faults = subject_faults(&self.spec);
        let spec = Path::root("spec");
        if self.spec.non_resource_attributes.is_some() {
            let path = spec.child("nonResourceAttributes");
            faults.push(FieldError::forbidden(&path, "disallowed on this kind of request"));
        }
        let named = self.spec.resource_attributes.as_ref().map(|a| a.namespace.as_deref().unwrap_or_default());
        if let Some(other) = named.filter(|name| asked.namespace != Some(*name)) {
            let path = spec.child("resourceAttributes").child("namespace");
            faults.push(FieldError::invalid(&path, other, "must match metadata.namespace"));
        }
        faults
    }

    fn answer(&mut self, asked: &Asked<'_>) -> Result<(), Refusal> {
        self.status = Some(decide_for(&self.spec, asked.access));
        Ok(())
    }
}

impl Review for SelfSubjectRulesReview {
    const INFO: &'static KindInfo =
        &info::<SelfSubjectRulesReview>("selfsubjectrulesreviews", "selfsubjectrulesreview", false);

    fn answer(&mut self, _: &Asked<'_>) -> Result<(), Refusal> {
        if self.spec.namespace.as_deref().unwrap_or_default().is_empty() {
            return Err(Refusal::bad("no namespace on request"));
        }
        self.status = Some(SubjectRulesReviewStatus {
            resource_rules: resource_rules(),
            non_resource_rules: path_rules(),
            ..SubjectRulesReviewStatus::default()
        });
        Ok(())
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// What is served, with all of a group that takes the same verbs in one rule.
fn resource_rules() -> Vec<ResourceRule> {
    let mut rules: BTreeMap<(&str, &[&str]), Vec<String>> = BTreeMap::new();
    for Row { group, resource, subresource, verbs, .. } in rows() {
        let name = if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
        rules.entry((group, verbs)).or_default().push(name);
    }
    let rule = |((group, verbs), resources): ((&str, &[&str]), _)| ResourceRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(resources),
        verbs: owned(verbs),
        resource_names: None,
    };
    rules.into_iter().map(rule).collect()
}

fn path_rules() -> Vec<NonResourceRule> {
    let mut rules: BTreeMap<&[&str], Vec<String>> = BTreeMap::new();
    for (path, verbs) in PATHS {
        rules.entry(verbs).or_default().push((*path).to_owned());
    }
    let rule = |(verbs, paths): (&[&str], _)| NonResourceRule { non_resource_urls: Some(paths), verbs: owned(verbs) };
    rules.into_iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn attributes(verb: &str, resource: &str, subresource: &str, group: &str) -> ResourceAttributes {
        let text = |text: &str| Some(text.to_owned());
        ResourceAttributes {
            verb: text(verb),
            resource: text(resource),
            subresource: text(subresource),
            group: text(group),
            ..ResourceAttributes::default()
        }
    }

    #[test]
    fn what_is_served_may_be_done_and_nothing_else() {
        let allowed = [
            ("create", "jobs", "", "batch"),
            ("watch", "pods", "", ""),
            ("get", "pods", "log", ""),
            ("create", "pods", "eviction", ""),
            ("create", "bindings", "", ""),
            ("deletecollection", "jobs", "", "batch"),
            ("list", "events", "", "events.k8s.io"),
            ("patch", "cronjobs", "status", "batch"),
            ("create", "selfsubjectaccessreviews", "", "authorization.k8s.io"),
            ("*", "*", "", "*"),
            ("*", "jobs", "", "batch"),
        ];
        for (verb, of, sub, group) in allowed {
            assert_eq!(resource(&attributes(verb, of, sub, group)), Ok(()), "{verb} {of}/{sub}.{group}");
        }
        let cases = [
            (("create", "deployments", "", "apps"), "kiln does not serve deployments.apps"),
            (("get", "jobs", "", ""), "kiln does not serve jobs"),
            (
                ("deletecollection", "namespaces", "", ""),
                "all that kiln can do with namespaces is create, delete, get, list, patch, update, watch",
            ),
            (("create", "pods", "exec", ""), "kiln does not serve pods/exec"),
            (("escalate", "pods", "log", ""), "all that kiln can do with pods/log is get"),
            (
                ("list", "tokenreviews", "", "authentication.k8s.io"),
                "all that kiln can do with tokenreviews.authentication.k8s.io is create",
            ),
        ];
        for ((verb, of, sub, group), why) in cases {
            assert_eq!(resource(&attributes(verb, of, sub, group)), Err(why.to_owned()));
        }
        let version = |version: &str| {
            let version = Some(version.to_owned());
            resource(&ResourceAttributes { version, ..attributes("get", "jobs", "", "batch") })
        };
        assert!(version("v1").is_ok() && version("*").is_ok() && version("v2alpha1").is_err());
    }

    #[test]
    fn paths_are_served_or_not() {
        let ask = |verb: &str, path_: &str| {
            path(&NonResourceAttributes { verb: Some(verb.to_owned()), path: Some(path_.to_owned()) })
        };
        for (verb, path) in [("get", "/version"), ("get", "/apis/batch/v1"), ("put", "/modules/pi"), ("*", "*")] {
            assert_eq!(ask(verb, path), Ok(()), "{verb} {path}");
        }
        assert_eq!(ask("get", "/logs"), Err("kiln does not serve /logs".to_owned()));
        assert_eq!(ask("delete", "/modules"), Err("kiln does not delete /modules".to_owned()));
    }

    /// What each question that has no answer is refused for.
    #[test]
    fn a_question_must_be_one() {
        let access = Access::default();
        let asked = Asked { access: &access, namespace: Some("n") };
        let fields = |faults: Vec<FieldError>| faults.into_iter().map(|f| f.field).collect::<Vec<_>>();
        let itself =
            |spec: Value| -> SelfSubjectAccessReview { serde_json::from_value(json!({"spec": spec})).unwrap() };
        assert_eq!(fields(itself(json!({})).faults(&asked)), ["spec.resourceAttributes"]);
        let both = json!({"resourceAttributes": {}, "nonResourceAttributes": {}});
        assert_eq!(fields(itself(both).faults(&asked)), ["spec.nonResourceAttributes"]);
        assert!(itself(json!({"nonResourceAttributes": {}})).faults(&asked).is_empty());
        let local =
            |spec: Value| -> LocalSubjectAccessReview { serde_json::from_value(json!({"spec": spec})).unwrap() };
        let elsewhere = json!({"resourceAttributes": {"namespace": "m"}});
        assert_eq!(fields(local(elsewhere).faults(&asked)), ["spec.user", "spec.resourceAttributes.namespace"]);
        assert!(local(json!({"user": "u", "resourceAttributes": {"namespace": "n"}})).faults(&asked).is_empty());
        let path = json!({"groups": ["g"], "nonResourceAttributes": {}});
        assert_eq!(fields(local(path).faults(&asked)), ["spec.nonResourceAttributes"]);
        assert!(SelfSubjectRulesReview::default().answer(&asked).is_err());
    }

    #[test]
    fn only_those_who_are_let_in_may_do_anything() {
        let allowed = |token: bool, subject: Value| {
            let access = Access { token: token.then(|| "t".to_owned()), ..Access::default() };
            let mut spec = json!({"resourceAttributes": {"verb": "get", "resource": "pods"}});
            spec.as_object_mut().unwrap().extend(subject.as_object().unwrap().clone());
            let status = decide_for(&serde_json::from_value(spec).unwrap(), &access);
            (status.allowed, status.reason.unwrap())
        };
        assert!(allowed(true, json!({"user": "kiln:token"})).0);
        assert!(allowed(true, json!({"groups": ["system:authenticated"]})).0);
        assert!(allowed(false, json!({"user": "system:anonymous", "groups": ["x"]})).0);
        let alice = allowed(true, json!({"user": "alice", "groups": ["system:authenticated"]}));
        assert_eq!(alice, (false, "kiln knows no user \"alice\", only kiln:token".to_owned()));
        assert!(!allowed(true, json!({"user": "system:anonymous"})).0);
        assert!(!allowed(true, json!({"groups": ["admins"]})).0);
    }

    #[test]
    fn the_rules_list_what_a_single_question_allows() {
        for rule in resource_rules() {
            let group = rule.api_groups.unwrap().concat();
            for name in rule.resources.unwrap() {
                let (of, sub) = name.split_once('/').unwrap_or((&name, ""));
                for verb in &rule.verbs {
                    assert_eq!(resource(&attributes(verb, of, sub, &group)), Ok(()));
                }
            }
        }
        let paths: usize = path_rules().into_iter().map(|rule| rule.non_resource_urls.unwrap().len()).sum();
        assert_eq!(paths, PATHS.len());
    }
}
