//! What may change in the spec of an existing pod (`ValidatePodUpdate` in `pkg/apis/core/validation/validation.go`,
//! about 1.34). Of what Kubernetes allows, kiln refuses a new image: a running module keeps the digest it was started with.

use k8s_openapi::api::core::v1::{Container, PodSpec, Toleration};

use crate::api::field::{FieldError, Path};
use crate::api::unsupported::refusal;
use crate::api::validate_meta::semantically_equal;

const FIXED: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
                     `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
                     existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
                     previously negative)";

pub fn validate_update(new: &PodSpec, old: &PodSpec, path: &Path, faults: &mut Vec<FieldError>) {
    let (before, after) = (init_containers(old), init_containers(new));
    for (field, what, new, old) in [
        ("containers", "containers", new.containers.as_slice(), old.containers.as_slice()),
        ("initContainers", "init containers", after, before),
    ] {
        let path = path.child(field);
        if new.len() != old.len() {
            faults.push(FieldError::forbidden(&path, format!("pod updates may not add or remove {what}")));
            return;
        }
        for (i, (new, old)) in new.iter().zip(old).enumerate() {
            if new.image != old.image {
                let why = "a running module keeps the digest it was started with; delete the pod and create it anew";
                faults.push(refusal(&path.index(i).child("image"), why));
            }
        }
    }
    validate_deadline(new.active_deadline_seconds, old.active_deadline_seconds, path, faults);
    let tolerated = old.tolerations.as_deref().unwrap_or_default();
    validate_tolerations(new.tolerations.as_deref().unwrap_or_default(), tolerated, path, faults);

    let mut rest = new.clone();
    let of_rest = rest.init_containers.iter_mut().flatten().chain(&mut rest.containers);
    for (new, old) in of_rest.zip(before.iter().chain(&old.containers)) {
        if new.image != old.image {
            new.image.clone_from(&old.image);
            // Its default follows from the image, so it would be reported twice.
            new.image_pull_policy.clone_from(&old.image_pull_policy);
        }
    }
    rest.active_deadline_seconds = old.active_deadline_seconds;
    rest.tolerations.clone_from(&old.tolerations);
    if !semantically_equal(&rest, old) {
        faults.push(FieldError::forbidden(path, FIXED));
    }
}

fn init_containers(spec: &PodSpec) -> &[Container] {
    spec.init_containers.as_deref().unwrap_or_default()
}

/// A deadline may be set or brought forward, never put off or taken away.
fn validate_deadline(new: Option<i64>, old: Option<i64>, path: &Path, faults: &mut Vec<FieldError>) {
    let at = path.child("activeDeadlineSeconds");
    match (new, old) {
        (Some(new), Some(old)) if new > old => {
            faults.push(FieldError::invalid(&at, new, "must be less than or equal to previous value"));
        }
        (None, Some(_)) => {
            let detail = "must not update from a positive integer to nil value";
            faults.push(FieldError::invalid(&at, serde_json::Value::Null, detail));
        }
        _ => {}
    }
}

/// Every toleration of before is still there; only its time may differ.
fn validate_tolerations(new: &[Toleration], old: &[Toleration], path: &Path, faults: &mut Vec<FieldError>) {
    let timeless = |t: &Toleration| Toleration { toleration_seconds: None, ..t.clone() };
    let kept = old.iter().all(|old| new.iter().any(|new| semantically_equal(&timeless(new), &timeless(old))));
    if !kept {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        faults.push(FieldError::forbidden(&path.child("tolerations"), detail));
    }
}
