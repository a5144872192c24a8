//! Kubernetes' own demands on volumes (`ValidateVolumes` in `pkg/apis/core/validation/validation.go`, about 1.34), for the
//! sources that kiln honours. That a volume has one source only is checked over all sources in `supported_volume.rs`,
//! which knows their names.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, ProjectedVolumeSource, Volume};

use crate::api::field::{FieldError, Path};
use crate::api::names;
use crate::api::pod::validate_env::{FILE_FIELD_PATHS, validate_field, validate_resource_field};
use crate::api::quantity::Quantity;

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

const HOST_PATH_TYPES: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

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
    if let Some(source) = &volume.downward_api {
        let path = path.child("downwardAPI");
        validate_mode(source.default_mode, &path.child("defaultMode"), faults);
        validate_downward(source.items.as_deref(), &path, faults);
    }
    if let Some(source) = &volume.projected {
        validate_projected(source, &path.child("projected"), faults);
    }
    if let Some(source) = &volume.host_path {
        let path = path.child("hostPath");
        let at = path.child("path");
        match source.path.as_str() {
            "" => faults.push(FieldError::required(&at, "")),
            host if host.split('/').any(|part| part == "..") => {
                faults.push(FieldError::invalid(&at, host, "must not contain '..'"));
            }
            _ => {}
        }
        let type_ = source.type_.as_deref().unwrap_or_default();
        if !HOST_PATH_TYPES.contains(&type_) {
            faults.push(FieldError::not_supported(&path.child("type"), type_, &HOST_PATH_TYPES));
        }
    }
}

fn validate_projected(source: &ProjectedVolumeSource, path: &Path, faults: &mut Vec<FieldError>) {
    validate_mode(source.default_mode, &path.child("defaultMode"), faults);
    // Of whole ConfigMaps and Secrets nobody knows their files yet; there, the later source wins.
    let mut paths = BTreeSet::new();
    for (i, source) in source.sources.iter().flatten().enumerate() {
        let path = path.child("sources").index(i);
        let mut files: Vec<&str> = Vec::new();
        let mut kinds = 0;
        if let Some(source) = &source.config_map {
            kinds += 1;
            let path = path.child("configMap");
            if source.name.is_empty() {
                faults.push(FieldError::required(&path.child("name"), ""));
            }
            validate_files(None, source.items.as_deref(), &path, faults);
            files.extend(source.items.iter().flatten().map(|item| item.path.as_str()));
        }
        if let Some(source) = &source.secret {
            kinds += 1;
            let path = path.child("secret");
            if source.name.is_empty() {
                faults.push(FieldError::required(&path.child("name"), ""));
            }
            validate_files(None, source.items.as_deref(), &path, faults);
            files.extend(source.items.iter().flatten().map(|item| item.path.as_str()));
        }
        if let Some(source) = &source.downward_api {
            kinds += 1;
            validate_downward(source.items.as_deref(), &path.child("downwardAPI"), faults);
            files.extend(source.items.iter().flatten().map(|item| item.path.as_str()));
        }
        if kinds > 1 {
            faults.push(FieldError::forbidden(&path, "may not specify more than 1 volume type"));
        }
        for file in files {
            if !file.is_empty() && !paths.insert(file) {
                faults.push(FieldError::invalid(&path, file, "conflicting duplicate paths"));
            }
        }
    }
}

fn validate_downward(items: Option<&[DownwardAPIVolumeFile]>, path: &Path, faults: &mut Vec<FieldError>) {
    for (i, item) in items.unwrap_or_default().iter().enumerate() {
        let path = path.child("items").index(i);
        validate_file_path(&item.path, &path.child("path"), faults);
        match (&item.field_ref, &item.resource_field_ref) {
            (Some(_), Some(_)) => {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                faults.push(FieldError::invalid(&path, "resource", detail));
            }
            (Some(field), None) => validate_field(field, &FILE_FIELD_PATHS, &path.child("fieldRef"), faults),
            (None, Some(resource)) => {
                validate_resource_field(resource, true, &path.child("resourceFieldRef"), faults);
            }
            (None, None) => {
                let detail = "one of fieldRef and resourceFieldRef is required";
                faults.push(FieldError::required(&path.child("fieldRef"), detail));
            }
        }
        validate_mode(item.mode, &path.child("mode"), faults);
    }
}

fn validate_file_path(file: &str, at: &Path, faults: &mut Vec<FieldError>) {
    if file.is_empty() {
        faults.push(FieldError::required(at, ""));
    }
    local_path(file, at, faults);
    if file.starts_with("..") && !file.starts_with("../") && file != ".." {
        faults.push(FieldError::invalid(at, file, "must not start with '..'"));
    }
}

fn validate_files(mode: Option<i32>, items: Option<&[KeyToPath]>, path: &Path, faults: &mut Vec<FieldError>) {
    validate_mode(mode, &path.child("defaultMode"), faults);
    for (i, item) in items.unwrap_or_default().iter().enumerate() {
        let path = path.child("items").index(i);
        if item.key.is_empty() {
            faults.push(FieldError::required(&path.child("key"), ""));
        }
        validate_file_path(&item.path, &path.child("path"), faults);
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
