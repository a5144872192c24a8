//! Jobs: their defaults, what Kubernetes demands of them, what may change, and what this version of kiln can honour.

pub mod annotations;
pub mod backoff;
pub mod defaults;
mod pod_failure_policy;
pub mod rerun;
mod status;
mod success_policy;
mod supported;
mod update;
mod validate;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::api::field::{FieldError, Path};

pub use status::validate_status;
pub use success_policy::count_indexes;
pub use validate::warnings;

/// All faults of a Job apart from what Kubernetes demands of its metadata. Expects defaults and the generated selector.
pub fn validate(job: &Job, faults: &mut Vec<FieldError>) {
    let path = Path::root("spec");
    annotations::validate(&job.metadata, &Path::root("metadata"), faults);
    validate::validate_generated_selector(job, faults);
    match &job.spec {
        Some(spec) => {
            validate::validate_spec(spec, &path, faults);
            supported::check_spec(spec, &path, faults);
        }
        None => faults.push(FieldError::required(&path, "")),
    }
    validate::validate_host_names(job, faults);
}

/// All faults of a change, apart from what Kubernetes demands of its metadata.
pub fn validate_update(new: &Job, old: &Job, faults: &mut Vec<FieldError>) {
    let path = Path::root("spec");
    let (Some(new_spec), Some(old_spec)) = (&new.spec, &old.spec) else {
        faults.push(FieldError::required(&path, ""));
        return;
    };
    annotations::validate(&new.metadata, &Path::root("metadata"), faults);
    validate::validate_spec(new_spec, &path, faults);
    supported::check_spec(new_spec, &path, faults);
    update::validate_update(new_spec, old_spec, old.status.as_ref(), &path, faults);
}

/// All faults of a Job's spec within the template of a CronJob. Its selector is generated with each Job, so none is
/// demanded here, and what the template says of one is for the CronJob to refuse.
pub(crate) fn validate_template_spec(spec: &JobSpec, path: &Path, faults: &mut Vec<FieldError>) {
    let generated = JobSpec { selector: Some(LabelSelector::default()), manual_selector: None, ..spec.clone() };
    validate::validate_spec(&generated, path, faults);
    supported::check_spec(&generated, path, faults);
}
