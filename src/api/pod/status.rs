//! What a pod's status must satisfy when a client writes it (`ValidatePodStatusUpdate` in
//! `pkg/apis/core/validation/validation.go`, about 1.36). Kubernetes trusts its kubelets: phases and times are theirs to
//! tell. It holds them to what others rely on: a container that is over for good stays over, the class of service stays,
//! and addresses and conditions can be read.

use std::collections::HashSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodIP, PodSpec, PodStatus};

use crate::api::field::{FieldError, Path};
use crate::api::names;
use crate::api::validate_meta::{IMMUTABLE, json, non_negative};

/// Their types are not names that somebody chose.
const OWN_CONDITIONS: [&str; 3] = ["PodScheduled", "Ready", "Initialized"];

/// The status to store for a write of `new`: what an old client leaves out or contradicts is set right.
pub fn complete(new: &mut PodStatus, old: Option<&PodStatus>) {
    if new.qos_class.as_deref().unwrap_or_default().is_empty() {
        new.qos_class = old.and_then(|old| old.qos_class.clone());
    }
    let first = new.pod_ips.as_ref().and_then(|ips| ips.first()).map(|ip| ip.ip.clone());
    match new.pod_ip.as_deref().filter(|ip| !ip.is_empty()) {
        // The older field of the two decides.
        Some(ip) if first.as_deref() != Some(ip) => new.pod_ips = Some(vec![PodIP { ip: ip.to_owned() }]),
        Some(_) => {}
        None => new.pod_ip = first,
    }
}

/// The spec that counts is that of `old`: a write of the status does not change it.
pub fn validate_status(new: &Pod, old: &Pod, faults: &mut Vec<FieldError>) {
    let path = Path::root("status");
    let (status, before) = (new.status.clone().unwrap_or_default(), old.status.clone().unwrap_or_default());
    let spec = old.spec.clone().unwrap_or_default();
    validate_conditions(&status, &path.child("conditions"), faults);
    validate_nominated(&status, &before, &spec, &path.child("nominatedNodeName"), faults);
    if let Some(generation) = status.observed_generation.filter(|generation| *generation < 0) {
        let at = path.child("observedGeneration");
        faults.push(FieldError::invalid(&at, generation, "must be a non-negative integer"));
    }
    let class = |status: &PodStatus| status.qos_class.clone().unwrap_or_default();
    if class(&status) != class(&before) {
        faults.push(FieldError::invalid(&path.child("qosClass"), class(&status), IMMUTABLE));
    }
    let lists = [
        ("containerStatuses", &status.container_statuses, &before.container_statuses),
        ("initContainerStatuses", &status.init_container_statuses, &before.init_container_statuses),
    ];
    for (field, new, old) in lists {
        validate_transitions(new, old, &spec, &path.child(field), faults);
    }
    for (i, claim) in status.resource_claim_statuses.iter().flatten().enumerate() {
        // No pod here has a claim.
        let at = path.child("resourceClaimStatuses").index(i).child("name");
        let detail = "must match the name of an entry in `spec.resourceClaims`";
        faults.push(FieldError::invalid(&at, claim.name.as_str(), detail));
    }
    let texts = |ips: &Option<Vec<PodIP>>| ips.iter().flatten().map(|ip| ip.ip.clone()).collect::<Vec<_>>();
    let (ips, kept) = (texts(&status.pod_ips), texts(&before.pod_ips));
    validate_ips(&ips, &kept, json(&status.pod_ips), &path.child("podIPs"), faults);
    validate_host_ips(&status, &before, &path.child("hostIPs"), faults);
    for (field, new, _) in lists {
        validate_users(new, &path.child(field), faults);
    }
}

fn validate_conditions(status: &PodStatus, path: &Path, faults: &mut Vec<FieldError>) {
    for (i, condition) in status.conditions.iter().flatten().enumerate() {
        if let Some(generation) = condition.observed_generation.filter(|generation| *generation < 0) {
            let at = path.index(i).child("observedGeneration");
            faults.push(FieldError::invalid(&at, generation, "must be a non-negative integer"));
        }
        if !OWN_CONDITIONS.contains(&condition.type_.as_str()) {
            // Kubernetes writes the field so.
            let at = path.index(i).child("Type");
            names::report(&at, &condition.type_, names::qualified_name(&condition.type_), faults);
        }
    }
}

/// The node that a scheduler hopes to place the pod on.
fn validate_nominated(new: &PodStatus, old: &PodStatus, spec: &PodSpec, path: &Path, faults: &mut Vec<FieldError>) {
    let name = new.nominated_node_name.as_deref().unwrap_or_default();
    if name.is_empty() || name == old.nominated_node_name.as_deref().unwrap_or_default() {
        return;
    }
    names::report(path, name, names::dns1123_subdomain(name), faults);
    if spec.node_name.as_deref().is_some_and(|node| !node.is_empty()) {
        faults.push(FieldError::forbidden(path, "may not be set on pods that are already bound to a node"));
    }
}

/// The exit code of a container that is over.
fn ended(status: &ContainerStatus) -> Option<i32> {
    Some(status.state.as_ref()?.terminated.as_ref()?.exit_code)
}

/// A container that its pod will not start again does not come back.
fn validate_transitions(
    new: &Option<Vec<ContainerStatus>>,
    old: &Option<Vec<ContainerStatus>>,
    spec: &PodSpec,
    path: &Path,
    faults: &mut Vec<FieldError>,
) {
    for (i, status) in new.iter().flatten().enumerate() {
        // Kubernetes does not ask this, but here the sum of them can end a Job.
        non_negative(Some(status.restart_count), &path.index(i).child("restartCount"), faults);
    }
    for (i, before) in old.iter().flatten().enumerate() {
        let Some(code) = ended(before) else { continue };
        let starts_again = match spec.restart_policy.as_deref() {
            Some("Never") => false,
            Some("OnFailure") => code != 0,
            _ => true,
        };
        let is_back = |status: &ContainerStatus| status.name == before.name && ended(status).is_none();
        if !starts_again && new.iter().flatten().any(is_back) {
            let at = path.index(i).child("state");
            faults.push(FieldError::forbidden(&at, "may not be transitioned to non-terminated state"));
        }
    }
}

fn validate_host_ips(new: &PodStatus, old: &PodStatus, path: &Path, faults: &mut Vec<FieldError>) {
    let texts =
        |status: &PodStatus| -> Vec<String> { status.host_ips.iter().flatten().map(|ip| ip.ip.clone()).collect() };
    let ips = texts(new);
    let Some(first) = ips.first() else { return };
    if new.host_ip.as_deref().unwrap_or_default() != first {
        let at = path.index(0).child("ip");
        faults.push(FieldError::invalid(&at, first.as_str(), "must be equal to `hostIP`"));
    }
    validate_ips(&ips, &texts(old), json(&new.host_ips), path, faults);
}

/// Each is an address, unless it stood there before; two are one of each family.
fn validate_ips(ips: &[String], kept: &[String], value: serde_json::Value, path: &Path, faults: &mut Vec<FieldError>) {
    for (i, ip) in ips.iter().enumerate().filter(|(_, ip)| !kept.contains(ip)) {
        if let Err(detail) = parse_ip(ip) {
            faults.push(FieldError::invalid(&path.index(i), ip.as_str(), detail));
        }
    }
    let families: HashSet<bool> =
        ips.iter().filter_map(|ip| ip.parse::<IpAddr>().ok()).map(|ip| ip.is_ipv4()).collect();
    if ips.len() > 1 && (families.len() != 2 || ips.len() > 2) {
        faults.push(FieldError::invalid(path, value, "may specify no more than one IP for each IP family"));
    }
}

fn parse_ip(text: &str) -> Result<(), &'static str> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_some() => Err("must not be an IPv4-mapped IPv6 address"),
        Ok(_) => Ok(()),
        Err(_) if without_leading_zeros(text).parse::<std::net::Ipv4Addr>().is_ok() => Err("must not have leading 0s"),
        Err(_) => Err("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    }
}

fn without_leading_zeros(text: &str) -> String {
    let part = |part: &str| match part.trim_start_matches('0') {
        "" if !part.is_empty() => "0".to_owned(),
        rest => rest.to_owned(),
    };
    text.split('.').map(part).collect::<Vec<_>>().join(".")
}

fn validate_users(statuses: &Option<Vec<ContainerStatus>>, path: &Path, faults: &mut Vec<FieldError>) {
    for (i, status) in statuses.iter().flatten().enumerate() {
        let Some(user) = status.user.as_ref().and_then(|user| user.linux.as_ref()) else { continue };
        let path = path.index(i).child("user").child("linux");
        let mut ids = vec![(path.child("uid"), user.uid), (path.child("gid"), user.gid)];
        let groups = user.supplemental_groups.iter().flatten().enumerate();
        ids.extend(groups.map(|(g, gid)| (path.child("supplementalGroups").index(g), *gid)));
        for (at, id) in ids.iter().filter(|(_, id)| !(0..=i64::from(i32::MAX)).contains(id)) {
            faults.push(FieldError::invalid(at, *id, format!("must be between 0 and {}, inclusive", i32::MAX)));
        }
    }
}

#[cfg(test)]
#[path = "status_test.rs"]
mod tests;
