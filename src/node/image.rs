//! Brings the module of a container here, as [`super::pull`] decides: looks for it, asks a registry, tells what came of it.

use std::time::Instant;

use k8s_openapi::api::core::v1::{Container as ContainerSpec, Pod};
use parking_lot::Mutex;

use super::Shared;
use super::cluster::Cluster;
use super::credentials::Keyring;
use super::prepare::{Awaits, Missing};
use super::pull::{self, BackOffs, Decision, Policy, Situation, Source};
use crate::api::Object;
use crate::control::Note;
use crate::modules::{Digest, Reference};

/// The module of one container of a pod, where events say which (`spec.containers{c}`).
pub struct Wanted<'a> {
    pub pod: &'a Pod,
    pub spec: &'a ContainerSpec,
    pub place: &'a str,
    /// The module that the container has run already: a pod keeps it.
    pub ran: Option<Digest>,
    /// Of the pod.
    pub back_offs: &'a Mutex<BackOffs>,
}

/// The digest of the module that the container's image means, once it is here.
pub async fn find<C: Cluster>(node: &Shared<C>, wanted: &Wanted<'_>) -> Result<(Reference, Digest), Missing> {
    let image = wanted.spec.image.as_deref().unwrap_or_default();
    let reference: Reference = image.parse().map_err(|error| {
        let message = format!("Failed to apply default image tag \"{image}\": couldn't parse image reference: {error}");
        Missing::of_image(pull::INVALID, image, message, Awaits::Nothing)
    })?;
    if let Some(ran) = wanted.ran {
        return Ok((reference, ran));
    }
    let index = node.modules.index();
    let here = index.resolve(&reference);
    let is_known = || index.get(&reference).is_some() || reference.digest.is_some_and(|digest| index.has(digest));
    let is_artifact = here.is_none() && is_known();
    let allowed = node.registries.allows(&reference);
    let decision = {
        let back_offs = wanted.back_offs.lock();
        pull::decide(&Situation {
            image,
            policy: Policy::of(wanted.spec.image_pull_policy.as_deref()),
            source: match reference.host() {
                None => Source::Local,
                Some(_) if allowed => Source::Allowed,
                Some(host) => Source::NotAllowed(host),
            },
            is_here: here.is_some(),
            is_artifact,
            failure: back_offs.of(image),
            now: node.clock.instant(),
        })
    };
    match (decision, here) {
        (Decision::Use, Some(digest)) => {
            // Every pod of a local name would say so.
            if allowed {
                let message = format!("Container image \"{image}\" already present on machine");
                wanted.tell(node, "Pulled", message);
            }
            Ok((reference, digest))
        }
        (Decision::Wait { reason, message, until }, _) => {
            Err(Missing::of_image(reason, image, message, until.map_or(Awaits::Module, Awaits::Pull)))
        }
        (Decision::Pull | Decision::Use, _) => fetch(node, wanted, image, reference).await,
    }
}

async fn fetch<C: Cluster>(
    node: &Shared<C>,
    wanted: &Wanted<'_>,
    image: &str,
    reference: Reference,
) -> Result<(Reference, Digest), Missing> {
    wanted.tell(node, "Pulling", format!("Pulling image \"{image}\""));
    let pulled = match credentials(node, wanted.pod, &reference).await {
        Ok(credentials) => node.registries.pull(&reference, credentials).await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    match pulled {
        Ok(pulled) => {
            wanted.back_offs.lock().succeeded(image);
            wanted.tell(node, "Pulled", pull::pulled(image, &pulled));
            Ok((reference, pulled.digest))
        }
        Err(error) => {
            let now: Instant = node.clock.instant();
            let mut back_offs = wanted.back_offs.lock();
            back_offs.failed(image, error.clone(), now);
            let until = back_offs.of(image).map_or(now, pull::Failure::shown_until);
            Err(Missing::of_image(pull::FAILED, image, error, Awaits::Pull(until)))
        }
    }
}

/// What the pod's secrets have for the image. Secrets that are not there are told, and the pull goes on without them.
async fn credentials<C: Cluster>(
    node: &Shared<C>,
    pod: &Pod,
    reference: &Reference,
) -> Result<Vec<crate::modules::Credentials>, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let names = pod.spec.iter().flat_map(|spec| spec.image_pull_secrets.iter().flatten());
    let (mut keyring, mut absent) = (Keyring::default(), Vec::new());
    for name in names.map(|secret| secret.name.as_str()).filter(|name| !name.is_empty()) {
        match node.cluster.secret(namespace, name).await {
            Some(secret) => keyring.add(&secret)?,
            None => absent.push(name),
        }
    }
    if !absent.is_empty() {
        let message = format!(
            "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
            absent.join(", ")
        );
        let note = Note::warning(&Object::Pod(pod.clone().into()), "FailedToRetrieveImagePullSecret", message);
        node.cluster.note(note);
    }
    Ok(keyring.of(reference))
}

impl Wanted<'_> {
    fn tell<C: Cluster>(&self, node: &Shared<C>, reason: &'static str, message: String) {
        let pod = Object::Pod(self.pod.clone().into());
        node.cluster.note(Note::normal(&pod, reason, message).at(self.place));
    }
}
