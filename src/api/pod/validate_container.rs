//! Kubernetes' own demands on a container (`validateContainerCommon`, `ValidateVolumeMounts` and
//! `ValidateContainerResourceRequirements` in `pkg/apis/core/validation/validation.go`, about 1.34).
//!
//! Stricter than Kubernetes in where a volume may be mounted: a sandbox has no current directory that a relative path
//! could be meant from and no shell to resolve `..`, so a mount path is absolute and plain.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, ResourceRequirements, VolumeMount};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use crate::api::field::{FieldError, Path};
use crate::api::names;
use crate::api::pod::validate::{one_of, unix_id, validate_seccomp};
use crate::api::pod::validate_env::{validate_env, validate_env_from};
use crate::api::pod::validate_volume::local_path;
use crate::api::quantity::Quantity;
use crate::api::validate_meta::NEGATIVE;

/// `volumes` are the names of the pod's volumes.
pub fn validate_container(container: &Container, volumes: &BTreeSet<&str>, path: &Path, faults: &mut Vec<FieldError>) {
    let name = path.child("name");
    match container.name.as_str() {
        "" => faults.push(FieldError::required(&name, "")),
        value => names::report(&name, value, names::dns1123_label(value), faults),
    }
    if container.image.as_deref().unwrap_or_default().is_empty() {
        faults.push(FieldError::required(&path.child("image"), ""));
    }
    let message = container.termination_message_path.as_deref().unwrap_or_default();
    if !message.starts_with('/') || message.split('/').any(|part| part == "..") {
        let at = path.child("terminationMessagePath");
        faults.push(FieldError::invalid(&at, message, "must be an absolute path without '..'"));
    }
    one_of(
        container.termination_message_policy.as_deref(),
        &["File", "FallbackToLogsOnError"],
        &path.child("terminationMessagePolicy"),
        faults,
    );
    validate_env(container.env.as_deref().unwrap_or_default(), &path.child("env"), faults);
    validate_env_from(container.env_from.as_deref().unwrap_or_default(), &path.child("envFrom"), faults);
    let mounts = container.volume_mounts.as_deref().unwrap_or_default();
    validate_mounts(mounts, volumes, &path.child("volumeMounts"), faults);
    one_of(
        container.image_pull_policy.as_deref(),
        &["Always", "IfNotPresent", "Never"],
        &path.child("imagePullPolicy"),
        faults,
    );
    if let Some(resources) = &container.resources {
        validate_resources(resources, &path.child("resources"), faults);
    }
    if let Some(context) = &container.security_context {
        let path = path.child("securityContext");
        unix_id(context.run_as_user, &path.child("runAsUser"), faults);
        unix_id(context.run_as_group, &path.child("runAsGroup"), faults);
        validate_seccomp(context.seccomp_profile.as_ref(), &path.child("seccompProfile"), faults);
    }
}

fn validate_mounts(mounts: &[VolumeMount], volumes: &BTreeSet<&str>, path: &Path, faults: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for (i, mount) in mounts.iter().enumerate() {
        let path = path.index(i);
        if mount.name.is_empty() {
            faults.push(FieldError::required(&path.child("name"), ""));
        } else if !volumes.contains(mount.name.as_str()) {
            faults.push(FieldError::not_found(&path.child("name"), mount.name.as_str()));
        }
        let at = path.child("mountPath");
        let target = mount.mount_path.as_str();
        let mut invalid = |detail| faults.push(FieldError::invalid(&at, target, detail));
        if target.is_empty() {
            faults.push(FieldError::required(&at, ""));
        } else if !target.starts_with('/') {
            invalid("must be an absolute path");
        } else if target.contains([':', '\0']) {
            invalid("must not contain ':' or NUL");
        } else if target.split('/').any(|part| matches!(part, "." | "..")) {
            invalid("must not contain '.' or '..'");
        } else {
            let plain: Vec<&str> = target.split('/').filter(|part| !part.is_empty()).collect();
            if !seen.insert(plain) {
                invalid("must be unique");
            }
        }
        if let Some(sub_path) = mount.sub_path.as_deref().filter(|p| !p.is_empty()) {
            local_path(sub_path, &path.child("subPath"), faults);
        }
        if let Some(expression) = mount.sub_path_expr.as_deref().filter(|p| !p.is_empty()) {
            let at = path.child("subPathExpr");
            if mount.sub_path.as_deref().is_some_and(|p| !p.is_empty()) {
                faults.push(FieldError::invalid(&at, expression, "subPathExpr and subPath are mutually exclusive"));
            }
            local_path(expression, &at, faults);
        }
    }
}

fn validate_resources(resources: &ResourceRequirements, path: &Path, faults: &mut Vec<FieldError>) {
    let limits = parse_all(resources.limits.as_ref(), &path.child("limits"), faults);
    let at = path.child("requests");
    let requests = parse_all(resources.requests.as_ref(), &at, faults);
    for (name, request) in requests {
        let limit = limits.get(name);
        // Only Kubernetes' own resources may be promised to more than have them.
        let overcommit = !name.contains('/');
        match limit {
            Some(limit) if !overcommit && request != *limit => {
                let detail = format!("must be equal to {name} limit of {limit}");
                faults.push(FieldError::invalid(&at, request.to_string(), detail));
            }
            Some(limit) if request > *limit => {
                let detail = format!("must be less than or equal to {name} limit of {limit}");
                faults.push(FieldError::invalid(&at, request.to_string(), detail));
            }
            None if !overcommit => {
                let detail = "Limit must be set for non overcommitable resources";
                faults.push(FieldError::required(&path.child("limits"), detail));
            }
            _ => {}
        }
    }
}

/// The amounts that can be compared; the others are reported.
fn parse_all<'a>(
    amounts: Option<&'a BTreeMap<String, Text>>,
    path: &Path,
    faults: &mut Vec<FieldError>,
) -> BTreeMap<&'a str, Quantity> {
    let mut parsed = BTreeMap::new();
    for (name, text) in amounts.into_iter().flatten() {
        let path = path.key(name);
        names::report(&path, name, names::qualified_name(name), faults);
        let standard =
            matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
        if !name.contains('/') && !standard {
            faults.push(FieldError::invalid(&path, name.as_str(), "must be a standard resource for containers"));
        }
        match Quantity::parse(&text.0) {
            Err(error) => faults.push(FieldError::invalid(&path, text.0.as_str(), error)),
            Ok(quantity) if quantity.is_negative() => {
                faults.push(FieldError::invalid(&path, quantity.to_string(), NEGATIVE));
            }
            Ok(quantity) if name.contains('/') && !quantity.is_integer() => {
                faults.push(FieldError::invalid(&path, quantity.to_string(), "must be an integer"));
            }
            Ok(quantity) => {
                parsed.insert(name.as_str(), quantity);
            }
        }
    }
    parsed
}
