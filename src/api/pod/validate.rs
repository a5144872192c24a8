//! Kubernetes' own demands on a PodSpec, for the fields that kiln honours (`ValidatePodSpec` in
//! `pkg/apis/core/validation/validation.go`, about 1.34). A field that is refused as a whole in `supported.rs` is not looked
//! into here. Stricter in one point: a negative grace period is refused, where Kubernetes warns and takes it as 1.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{PodSecurityContext, PodSpec, SeccompProfile, Toleration};

use crate::api::field::{FieldError, Path};
use crate::api::names;
use crate::api::pod::validate_container::validate_container;
use crate::api::pod::validate_volume::validate_volumes;
use crate::api::validate_meta::{non_negative, validate_labels};

pub fn validate_spec(spec: &PodSpec, path: &Path, faults: &mut Vec<FieldError>) {
    let volumes = spec.volumes.as_deref().unwrap_or_default();
    validate_volumes(volumes, &path.child("volumes"), faults);
    let volumes: BTreeSet<&str> = volumes.iter().map(|v| v.name.as_str()).collect();
    if spec.containers.is_empty() {
        faults.push(FieldError::required(&path.child("containers"), ""));
    }
    // The names of a pod's containers are one set, because logs and statuses go by them.
    let mut seen = BTreeSet::new();
    let init = spec.init_containers.as_deref().unwrap_or_default();
    for (field, containers) in [("containers", spec.containers.as_slice()), ("initContainers", init)] {
        for (i, container) in containers.iter().enumerate() {
            let path = path.child(field).index(i);
            validate_container(container, &volumes, &path, faults);
            if !container.name.is_empty() && !seen.insert(container.name.as_str()) {
                faults.push(FieldError::duplicate(&path.child("name"), container.name.as_str()));
            }
        }
    }
    one_of(spec.restart_policy.as_deref(), &["Always", "OnFailure", "Never"], &path.child("restartPolicy"), faults);
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    one_of(spec.dns_policy.as_deref(), &policies, &path.child("dnsPolicy"), faults);
    validate_labels(spec.node_selector.as_ref(), &path.child("nodeSelector"), faults);
    if let Some(context) = &spec.security_context {
        validate_security(context, &path.child("securityContext"), faults);
    }
    let subdomains = [("serviceAccountName", &spec.service_account_name), ("nodeName", &spec.node_name)];
    for (field, value) in subdomains {
        if let Some(value) = value.as_deref().filter(|v| !v.is_empty()) {
            names::report(&path.child(field), value, names::dns1123_subdomain(value), faults);
        }
    }
    if let Some(seconds) = spec.active_deadline_seconds
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let at = path.child("activeDeadlineSeconds");
        faults.push(FieldError::invalid(&at, seconds, "must be between 1 and 2147483647, inclusive"));
    }
    non_negative(spec.termination_grace_period_seconds, &path.child("terminationGracePeriodSeconds"), faults);
    if let Some(hostname) = spec.hostname.as_deref().filter(|h| !h.is_empty()) {
        names::report(&path.child("hostname"), hostname, names::dns1123_label(hostname), faults);
    }
    validate_tolerations(spec.tolerations.as_deref().unwrap_or_default(), &path.child("tolerations"), faults);
}

/// A required text out of a fixed set.
pub fn one_of(value: Option<&str>, supported: &[&str], path: &Path, faults: &mut Vec<FieldError>) {
    match value.unwrap_or_default() {
        "" => faults.push(FieldError::required(path, "")),
        value if supported.contains(&value) => {}
        value => faults.push(FieldError::not_supported(path, value, supported)),
    }
}

fn validate_security(context: &PodSecurityContext, path: &Path, faults: &mut Vec<FieldError>) {
    unix_id(context.fs_group, &path.child("fsGroup"), faults);
    unix_id(context.run_as_user, &path.child("runAsUser"), faults);
    unix_id(context.run_as_group, &path.child("runAsGroup"), faults);
    for (i, group) in context.supplemental_groups.iter().flatten().enumerate() {
        unix_id(Some(*group), &path.child("supplementalGroups").index(i), faults);
    }
    validate_seccomp(context.seccomp_profile.as_ref(), &path.child("seccompProfile"), faults);
}

pub fn unix_id(id: Option<i64>, path: &Path, faults: &mut Vec<FieldError>) {
    if let Some(id) = id
        && !(0..=i64::from(u32::MAX)).contains(&id)
    {
        faults.push(FieldError::invalid(path, id, "must be between 0 and 4294967295, inclusive"));
    }
}

pub fn validate_seccomp(profile: Option<&SeccompProfile>, path: &Path, faults: &mut Vec<FieldError>) {
    let Some(SeccompProfile { type_, localhost_profile }) = profile else { return };
    let at = path.child("localhostProfile");
    match (type_.as_str(), localhost_profile.as_deref()) {
        ("Localhost", None) => {
            faults.push(FieldError::required(&at, "must be set when seccomp type is Localhost"));
        }
        ("RuntimeDefault" | "Unconfined", Some(profile)) => {
            faults.push(FieldError::invalid(&at, profile, "can only be set when seccomp type is Localhost"));
        }
        ("Localhost" | "RuntimeDefault" | "Unconfined", _) => {}
        ("", _) => {
            faults.push(FieldError::required(&path.child("type"), "type is required when seccompProfile is set"))
        }
        (other, _) => faults.push(FieldError::not_supported(
            &path.child("type"),
            other,
            &["Localhost", "RuntimeDefault", "Unconfined"],
        )),
    }
}

pub fn validate_tolerations(tolerations: &[Toleration], path: &Path, faults: &mut Vec<FieldError>) {
    for (i, toleration) in tolerations.iter().enumerate() {
        let path = path.index(i);
        let Toleration { effect, key, operator, toleration_seconds, value } = toleration;
        let key = key.as_deref().unwrap_or_default();
        let operator = operator.as_deref().unwrap_or_default();
        let value = value.as_deref().unwrap_or_default();
        let effect = effect.as_deref().unwrap_or_default();
        let at = path.child("operator");
        if !key.is_empty() {
            names::report(&path.child("key"), key, names::qualified_name(key), faults);
        } else if operator != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            faults.push(FieldError::invalid(&at, operator, detail));
        }
        if toleration_seconds.is_some() && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            faults.push(FieldError::invalid(&path.child("effect"), effect, detail));
        }
        match operator {
            "" | "Equal" => {
                let messages = names::label_value(value);
                if !messages.is_empty() {
                    faults.push(FieldError::invalid(&at, value, messages.join(";")));
                }
            }
            "Exists" if !value.is_empty() => {
                let detail = "value must be empty when `operator` is 'Exists'";
                faults.push(FieldError::invalid(&at, crate::api::validate_meta::json(toleration), detail));
            }
            "Exists" => {}
            other => faults.push(FieldError::not_supported(&at, other, &["Equal", "Exists"])),
        }
        if !effect.is_empty() {
            let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
            one_of(Some(effect), &effects, &path.child("effect"), faults);
        }
    }
}
