//! Kubernetes' own demands on volumes (`ValidateVolumes` in `pkg/apis/core/validation/validation.go`, about 1.34), for the
//! sources that kiln honours. That a volume has one source only is checked over all sources in `supported_volume.rs`,
//! which knows their names.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{KeyToPath, Volume};

use crate::api::field::{FieldError, Path};
use crate::api::names;
use crate::api::quantity::Quantity;

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

pub fn validate_volumes(volumes: &[Volume], path: &Path, faults: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for (i, volume) in volumes.iter().enumerate() {
        let path = path.index(i);
        let at = path.child("name");
        match volume.name.as_str() {
            "" => faults.push(FieldError::required(&at, "")),
            name => names::report(&at, name, names::dns1123_label(name), faults),
        }
        if !volume.name.is_empty() && !seen.insert(volume.name.as_str()) {
            faults.push(FieldError::duplicate(&at, volume.name.as_str()));
        }
        validate_source(volume, &path, faults);
    }
}

fn validate_source(volume: &Volume, path: &Path, faults: &mut Vec<FieldError>) {
    if let Some(limit) = volume.empty_dir.as_ref().and_then(|e| e.size_limit.as_ref())
        && !Quantity::parse(&limit.0).is_ok_and(|q| !q.is_negative())
    {
        let at = path.child("emptyDir").child("sizeLimit");
        faults.push(FieldError::forbidden(&at, "SizeLimit field must be a valid resource quantity"));
    }
    if let Some(source) = &volume.config_map {
        let path = path.child("configMap");
        if source.name.is_empty() {
            faults.push(FieldError::required(&path.child("name"), ""));
        }
        validate_files(source.default_mode, source.items.as_deref(), &path, faults);
    }
    if let Some(source) = &volume.secret {
        let path = path.child("secret");
        if source.secret_name.as_deref().unwrap_or_default().is_empty() {
            faults.push(FieldError::required(&path.child("secretName"), ""));
        }
        validate_files(source.default_mode, source.items.as_deref(), &path, faults);
    }
}

fn validate_files(mode: Option<i32>, items: Option<&[KeyToPath]>, path: &Path, faults: &mut Vec<FieldError>) {
    validate_mode(mode, &path.child("defaultMode"), faults);
    for (i, item) in items.unwrap_or_default().iter().enumerate() {
        let path = path.child("items").index(i);
        if item.key.is_empty() {
            faults.push(FieldError::required(&path.child("key"), ""));
        }
        let at = path.child("path");
        if item.path.is_empty() {
            faults.push(FieldError::required(&at, ""));
        }
        local_path(&item.path, &at, faults);
        if item.path.starts_with("..") && !item.path.starts_with("../") && item.path != ".." {
            faults.push(FieldError::invalid(&at, item.path.as_str(), "must not start with '..'"));
        }
        validate_mode(item.mode, &path.child("mode"), faults);
    }
}

fn validate_mode(mode: Option<i32>, path: &Path, faults: &mut Vec<FieldError>) {
    if let Some(mode) = mode
        && !(0..=0o777).contains(&mode)
    {
        faults.push(FieldError::invalid(path, mode, MODE));
    }
}

/// A path that stays below where it starts.
pub fn local_path(value: &str, path: &Path, faults: &mut Vec<FieldError>) {
    if value.starts_with('/') {
        faults.push(FieldError::invalid(path, value, "must be a relative path"));
    }
    if value.split('/').any(|part| part == "..") {
        faults.push(FieldError::invalid(path, value, "must not contain '..'"));
    }
    if value.contains('\0') {
        faults.push(FieldError::invalid(path, value, "must not contain NUL"));
    }
}
