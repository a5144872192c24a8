//! Who uses a module, so that it is not deleted under them: pods that have not ended, and Jobs that have not.
//!
//! An image uses a name and tag if it resolves by them. An image with a digest resolves by that, whatever name stands before
//! it, and so uses a name only if it is the last of that digest.

use std::collections::HashSet;
use std::fmt;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use super::digest::Digest;
use super::reference::Reference;
use crate::api::module::Module;
use crate::api::pod::facts;
use crate::api::{Kind, meta, well_known};
use crate::store::Store;

/// Users that a message names.
const NAMED: usize = 3;

/// What is lost with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub name: String,
    pub tag: String,
    /// Those of the module and of its manifest that no other name means.
    pub digests: Vec<Digest>,
}

/// Those who use a module. `Display` names some of them: `Job default/pi, Pod default/x and 2 more`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    named: Vec<String>,
    more: usize,
}

impl Uses {
    fn add(&mut self, kind: &str, namespace: Option<&str>, name: Option<&str>) {
        if self.named.len() < NAMED {
            self.named.push(format!("{kind} {}/{}", namespace.unwrap_or_default(), name.unwrap_or_default()));
        } else {
            self.more += 1;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }
}

impl fmt::Display for Uses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named.join(", "))?;
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
    }
}

/// Who uses a module, of all that is in the store. It goes through all pods and Jobs, for a deletion, which is rare.
pub fn of(store: &Store, module: &Module) -> Uses {
    let modules = store.list(Kind::Module, None).objects;
    let target = target(module, modules.iter().filter_map(|object| object.as_module()).map(AsRef::as_ref));
    let (jobs, pods) = (store.list(Kind::Job, None).objects, store.list(Kind::Pod, None).objects);
    uses(
        &target,
        jobs.iter().filter_map(|object| object.as_job()).map(AsRef::as_ref),
        pods.iter().filter_map(|object| object.as_pod()).map(AsRef::as_ref),
    )
}

fn target<'a>(module: &Module, all: impl Iterator<Item = &'a Module> + Clone) -> Target {
    let spec = module.spec.clone().unwrap_or_default();
    let others = all.filter(|other| other.metadata.name != module.metadata.name).filter_map(|m| m.spec.as_ref());
    let is_last = |digest: &&String| {
        !others
            .clone()
            .any(|other| [&other.digest, &other.manifest].into_iter().flatten().any(|known| known == *digest))
    };
    let digests = [&spec.digest, &spec.manifest].into_iter().flatten().filter(is_last);
    Target { digests: digests.filter_map(|digest| digest.parse().ok()).collect(), name: spec.name, tag: spec.tag }
}

fn uses<'a>(target: &Target, jobs: impl Iterator<Item = &'a Job>, pods: impl Iterator<Item = &'a Pod>) -> Uses {
    let mut uses = Uses::default();
    let mut counted = HashSet::new();
    for job in jobs.filter(|job| is_open(job)) {
        let template = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        if images(template).any(|image| is_used_by(target, image)) {
            let meta = &job.metadata;
            uses.add("Job", meta.namespace.as_deref(), meta.name.as_deref());
            counted.extend(meta.uid.as_deref());
        }
    }
    for pod in pods.filter(|pod| !facts::is_finished(pod)) {
        // The Job stands for its pods.
        let is_counted = meta::controller_of(&pod.metadata).is_some_and(|owner| counted.contains(owner.uid.as_str()));
        if !is_counted && images(pod.spec.as_ref()).any(|image| is_used_by(target, image)) {
            uses.add("Pod", pod.metadata.namespace.as_deref(), pod.metadata.name.as_deref());
        }
    }
    uses
}

fn is_used_by(target: &Target, image: &str) -> bool {
    match image.parse::<Reference>() {
        Ok(Reference { digest: Some(digest), .. }) => target.digests.contains(&digest),
        Ok(Reference { name, tag, .. }) => name == target.name && tag.as_deref() == Some(&target.tag),
        // Such a pod waits for ever, and uses nothing.
        Err(_) => false,
    }
}

/// The images of all containers, in no order that matters.
pub(super) fn images(spec: Option<&PodSpec>) -> impl Iterator<Item = &str> {
    let containers = spec.into_iter().flat_map(|s| s.init_containers.iter().flatten().chain(&s.containers));
    containers.filter_map(|container| container.image.as_deref())
}

/// Whether the Job may make pods, now or later.
pub(super) fn is_open(job: &Job) -> bool {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ends = conditions.filter(|c| [well_known::COND_COMPLETE, well_known::COND_FAILED].contains(&&*c.type_));
    !meta::is_deleting(&job.metadata) && !ends.any(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn module(name: &str, tag: &str, digest: Digest) -> Module {
        let object = crate::api::module::object_name(name, tag);
        serde_json::from_value(json!({"metadata": {"name": object}, "spec": {"name": name, "tag": tag,
            "digest": digest.to_string(), "manifest": Digest::of(digest.to_string().as_bytes()).to_string()}}))
        .unwrap()
    }

    fn spec(image: &str) -> Value {
        json!({"containers": [{"name": "a", "image": "other"}], "initContainers": [{"name": "c", "image": image}]})
    }

    fn job(name: &str, image: &str, ended: Option<&str>) -> Job {
        let conditions = ended.map(|type_| json!([{"type": type_, "status": "True"}]));
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "ns", "uid": name},
            "spec": {"template": {"spec": spec(image)}}, "status": {"conditions": conditions}}))
        .unwrap()
    }

    fn pod(name: &str, image: &str, phase: &str, job: Option<&str>) -> Pod {
        let owner = job
            .map(|uid| json!([{"apiVersion": "batch/v1", "kind": "Job", "name": uid, "uid": uid, "controller": true}]));
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "ns", "ownerReferences": owner},
            "spec": spec(image), "status": {"phase": phase}}))
        .unwrap()
    }

    fn found(target: &Target, jobs: &[Job], pods: &[Pod]) -> String {
        uses(target, jobs.iter(), pods.iter()).to_string()
    }

    #[test]
    fn what_is_open_or_alive_uses_and_what_has_ended_does_not() {
        let one = module("pi", "latest", Digest::of(b"1"));
        let target = target(&one, [&one].into_iter());
        let jobs = [
            job("open", "pi:latest", None),
            job("suspended", "pi", Some("Suspended")),
            job("done", "pi", Some("Complete")),
            job("failed", "pi", Some("Failed")),
            job("another", "pi:1", None),
            job("malformed", "P!", None),
        ];
        assert_eq!(found(&target, &jobs, &[]), "Job ns/open, Job ns/suspended");
        let pods = [
            pod("of-open", "pi", "Running", Some("open")),
            pod("of-done", "pi", "Running", Some("done")),
            pod("alone", "pi", "Pending", None),
            pod("over", "pi", "Succeeded", None),
        ];
        assert_eq!(found(&target, &jobs, &pods), "Job ns/open, Job ns/suspended, Pod ns/of-done and 1 more");
        assert!(uses(&target, [].into_iter(), [].into_iter()).is_empty());
    }

    #[test]
    fn an_image_with_a_digest_uses_the_last_name_of_it() {
        let (one, two) = (module("pi", "latest", Digest::of(b"1")), module("pi", "1.0", Digest::of(b"1")));
        let manifest = one.spec.clone().unwrap().manifest.unwrap();
        let pods = [
            pod("by-digest", &format!("pi@{}", Digest::of(b"1")), "Running", None),
            pod("by-manifest", &format!("x:latest@{manifest}"), "Running", None),
            pod("by-another", &format!("pi@{}", Digest::of(b"2")), "Running", None),
        ];
        let both = target(&one, [&one, &two].into_iter());
        assert_eq!(found(&both, &[], &pods), "");
        let last = target(&one, [&one].into_iter());
        assert_eq!(found(&last, &[], &pods), "Pod ns/by-digest, Pod ns/by-manifest");
    }
}
