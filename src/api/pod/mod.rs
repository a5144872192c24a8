//! Pods and pod templates: their defaults, what Kubernetes demands of them, and what this version of kiln can honour.

pub mod binding;
pub mod defaults;
pub mod eviction;
pub mod facts;
#[cfg(test)]
mod fields_test;
#[cfg(test)]
mod pods_test;
pub mod qos;
pub mod status;
mod supported;
mod supported_container;
mod supported_volume;
pub mod update;
mod validate;
mod validate_container;
mod validate_env;
mod validate_volume;

use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};

use crate::api::field::{FieldError, Path};
use crate::api::validate_meta::{validate_annotations, validate_labels};

pub use validate_env::subscript;

/// All faults of a pod's spec: Kubernetes' own, then what kiln cannot honour. Expects defaults to be applied.
pub fn validate_pod(pod: &Pod, faults: &mut Vec<FieldError>) {
    supported::check_annotations(&pod.metadata, &Path::root("metadata"), faults);
    let path = Path::root("spec");
    match &pod.spec {
        Some(spec) => {
            validate::validate_spec(spec, &path, faults);
            supported::check_spec(spec, &path, faults);
            supported::check_bare_pod(spec, &path, faults);
        }
        None => faults.push(FieldError::required(&path.child("containers"), "")),
    }
}

/// As [`validate_pod`], for the template of a Job.
pub fn validate_template(template: &PodTemplateSpec, path: &Path, faults: &mut Vec<FieldError>) {
    let meta = path.child("metadata");
    if let Some(m) = &template.metadata {
        validate_labels(m.labels.as_ref(), &meta.child("labels"), faults);
        validate_annotations(m.annotations.as_ref(), &meta.child("annotations"), faults);
        supported::check_annotations(m, &meta, faults);
    }
    let path = path.child("spec");
    match &template.spec {
        Some(spec) => {
            validate::validate_spec(spec, &path, faults);
            supported::check_spec(spec, &path, faults);
        }
        None => faults.push(FieldError::required(&path.child("containers"), "")),
    }
}
