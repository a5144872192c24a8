//! Kubernetes' own demands on `env` and `envFrom` (`ValidateEnv` and `ValidateEnvFrom` in
//! `pkg/apis/core/validation/validation.go`, about 1.34).

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, EnvVarSource, ObjectFieldSelector, ResourceFieldSelector};

use crate::api::field::{FieldError, Path};
use crate::api::names;
use crate::api::quantity::Quantity;

/// What an environment variable can be filled from, besides `metadata.labels['k']` and `metadata.annotations['k']`.
const FIELD_PATHS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

const WHOLE_MAPS: [&str; 2] = ["metadata.labels", "metadata.annotations"];

/// What a file can be filled from, likewise.
pub const FILE_FIELD_PATHS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const CPU_UNITS: [&str; 2] = ["1m", "1"];
const BYTE_UNITS: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

pub fn validate_env(vars: &[EnvVar], path: &Path, faults: &mut Vec<FieldError>) {
    for (i, var) in vars.iter().enumerate() {
        let path = path.index(i);
        match var.name.as_str() {
            "" => faults.push(FieldError::required(&path.child("name"), "")),
            name => names::report(&path.child("name"), name, names::env_var_name(name), faults),
        }
        if let Some(source) = &var.value_from {
            let has_value = var.value.as_ref().is_some_and(|v| !v.is_empty());
            validate_source(source, has_value, &path.child("valueFrom"), faults);
        }
    }
}

fn validate_source(source: &EnvVarSource, has_value: bool, path: &Path, faults: &mut Vec<FieldError>) {
    let EnvVarSource { config_map_key_ref, field_ref, file_key_ref, resource_field_ref, secret_key_ref } = source;
    if let Some(field) = field_ref {
        validate_field(field, &FIELD_PATHS, &path.child("fieldRef"), faults);
    }
    if let Some(resource) = resource_field_ref {
        validate_resource_field(resource, false, &path.child("resourceFieldRef"), faults);
    }
    if let Some(key) = config_map_key_ref {
        validate_key(&key.name, &key.key, &path.child("configMapKeyRef"), faults);
    }
    if let Some(key) = secret_key_ref {
        validate_key(&key.name, &key.key, &path.child("secretKeyRef"), faults);
    }
    let sources = [
        config_map_key_ref.is_some(),
        field_ref.is_some(),
        file_key_ref.is_some(),
        resource_field_ref.is_some(),
        secret_key_ref.is_some(),
    ];
    match sources.into_iter().filter(|set| *set).count() {
        0 => faults.push(FieldError::invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
        )),
        _ if has_value => {
            faults.push(FieldError::invalid(path, "", "may not be specified when `value` is not empty"));
        }
        1 => {}
        _ => faults.push(FieldError::invalid(path, "", "may not have more than one field specified at a time")),
    }
}

fn validate_key(object: &str, key: &str, path: &Path, faults: &mut Vec<FieldError>) {
    names::report(&path.child("name"), object, names::dns1123_subdomain(object), faults);
    match key {
        "" => faults.push(FieldError::required(&path.child("key"), "")),
        key => names::report(&path.child("key"), key, names::config_map_key(key), faults),
    }
}

/// `supported` are the paths without subscript.
pub fn validate_field(field: &ObjectFieldSelector, supported: &[&str], path: &Path, faults: &mut Vec<FieldError>) {
    let version = field.api_version.as_deref().unwrap_or_default();
    let at = path.child("fieldPath");
    if version.is_empty() {
        faults.push(FieldError::required(&path.child("apiVersion"), ""));
    } else if field.field_path.is_empty() {
        faults.push(FieldError::required(&at, ""));
    } else if version != "v1" {
        let detail = format!("error converting fieldPath: unsupported pod version: {version}");
        faults.push(FieldError::invalid(&at, field.field_path.as_str(), detail));
    } else {
        match subscript(&field.field_path) {
            Some(("metadata.annotations", key)) => names::report(path, key, names::annotation_key(key), faults),
            Some(("metadata.labels", key)) => names::report(path, key, names::qualified_name(key), faults),
            Some((base, _)) => faults.push(FieldError::invalid(path, base, "does not support subscript")),
            None if supported.contains(&field.field_path.as_str()) => {}
            None if FIELD_PATHS.iter().chain(&WHOLE_MAPS).any(|known| *known == field.field_path) => {
                faults.push(FieldError::not_supported(&at, field.field_path.as_str(), supported));
            }
            None => {
                let detail = format!("error converting fieldPath: field label not supported: {}", field.field_path);
                faults.push(FieldError::invalid(&at, field.field_path.as_str(), detail));
            }
        }
    }
}

/// `in_volume`: there is no container that could be meant if none is named.
pub fn validate_resource_field(
    field: &ResourceFieldSelector,
    in_volume: bool,
    path: &Path,
    faults: &mut Vec<FieldError>,
) {
    let ResourceFieldSelector { container_name, divisor, resource } = field;
    if in_volume && container_name.as_deref().unwrap_or_default().is_empty() {
        faults.push(FieldError::required(&path.child("containerName"), ""));
    } else if resource.is_empty() {
        faults.push(FieldError::required(&path.child("resource"), ""));
    } else if !RESOURCES.contains(&resource.as_str()) {
        faults.push(FieldError::not_supported(&path.child("resource"), resource.as_str(), &RESOURCES));
    }
    let Some(divisor) = divisor.as_ref().map(|d| d.0.as_str()) else { return };
    let (what, units) = match resource.split_once('.') {
        Some((_, "cpu")) => ("cpu", &CPU_UNITS[..]),
        Some((_, "memory")) => ("memory", &BYTE_UNITS[..]),
        Some((_, "ephemeral-storage")) => ("local ephemeral storage", &BYTE_UNITS[..]),
        _ => return,
    };
    let unit = Quantity::parse(divisor).map(|quantity| quantity.to_string());
    if !unit.is_ok_and(|unit| unit == "0" || units.contains(&unit.as_str())) {
        let detail = format!("only divisor's values {} are supported with the {what} resource", units.join(", "));
        faults.push(FieldError::invalid(&path.child("divisor"), divisor, detail));
    }
}

/// The field path `metadata.labels['app']` as (`metadata.labels`, `app`); None for a path without subscript.
pub fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['").filter(|(base, _)| !base.is_empty())
}

pub fn validate_env_from(sources: &[EnvFromSource], path: &Path, faults: &mut Vec<FieldError>) {
    for (i, source) in sources.iter().enumerate() {
        let at = path.index(i);
        let EnvFromSource { config_map_ref, prefix, secret_ref } = source;
        if let Some(prefix) = prefix.as_deref().filter(|p| !p.is_empty()) {
            names::report(&at.child("prefix"), prefix, names::env_var_name(prefix), faults);
        }
        let named = [
            ("configMapRef", config_map_ref.as_ref().map(|r| r.name.as_str())),
            ("secretRef", secret_ref.as_ref().map(|r| r.name.as_str())),
        ];
        for (field, name) in named {
            let at = at.child(field).child("name");
            match name {
                None => {}
                Some("") => faults.push(FieldError::required(&at, "")),
                Some(name) => names::report(&at, name, names::dns1123_subdomain(name), faults),
            }
        }
        // Kubernetes reports these two on the list, not on the entry.
        match named.iter().filter(|(_, name)| name.is_some()).count() {
            0 => faults.push(FieldError::invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")),
            1 => {}
            _ => faults.push(FieldError::invalid(path, "", "may not have more than one field specified at a time")),
        }
    }
}
