//! Fields that are plain structs in Go: the API server always writes them, as `{}` if nothing was said, because Go's JSON
//! leaves out a struct only behind a pointer. Clients read through them without looking: Ansible takes the taints of
//! `node.spec`, and who makes a Job of a CronJob the labels of `jobTemplate.metadata`.
//!
//! What admission sets anyway, such as the status of a Job, and the states in a pod's status, are not repeated here.

use std::sync::Arc;

use k8s_openapi::api::core::v1::PodTemplateSpec;

use crate::api::kind::Object;

/// Makes those that are absent.
pub fn fill(object: &mut Object) {
    match object {
        Object::Job(job) => {
            if let Some(spec) = Arc::make_mut(job).spec.as_mut() {
                fill_template(&mut spec.template);
            }
        }
        Object::CronJob(cron_job) => {
            let template = &mut Arc::make_mut(cron_job).spec.job_template;
            template.metadata.get_or_insert_default();
            fill_template(&mut template.spec.get_or_insert_default().template);
        }
        Object::Node(node) => {
            let node = Arc::make_mut(node);
            node.spec.get_or_insert_default();
            node.status.get_or_insert_default();
        }
        Object::Lease(lease) => drop(Arc::make_mut(lease).spec.get_or_insert_default()),
        Object::Event(event) => drop(Arc::make_mut(event).source.get_or_insert_default()),
        Object::ConfigMap(_)
        | Object::Module(_)
        | Object::Namespace(_)
        | Object::Pod(_)
        | Object::Secret(_)
        | Object::ServiceAccount(_) => {}
    }
}

fn fill_template(template: &mut PodTemplateSpec) {
    template.metadata.get_or_insert_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::kind::Kind;
    use serde_json::json;

    #[test]
    fn what_go_would_write_is_there() {
        let pod = json!({"spec": {"containers": [{"name": "c", "image": "i"}]}});
        for (kind, body, there) in [
            (Kind::Job, json!({"spec": {"template": pod}}), &["/spec/template/metadata"][..]),
            (
                Kind::CronJob,
                json!({"spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": pod}}}}),
                &["/spec/jobTemplate/metadata", "/spec/jobTemplate/spec/template/metadata"],
            ),
            (Kind::Node, json!({}), &["/spec", "/status"]),
            (Kind::Lease, json!({}), &["/spec"]),
            (Kind::Event, json!({"involvedObject": {}}), &["/source"]),
        ] {
            let mut object = Object::deserialize(kind, body).unwrap();
            fill(&mut object);
            let written = object.to_value();
            for path in there {
                assert_eq!(written.pointer(path), Some(&json!({})), "{kind:?} {path}");
            }
            let mut again = object.clone();
            fill(&mut again);
            assert_eq!(again.to_value(), written);
        }
    }

    #[test]
    fn what_was_said_stays() {
        let body = json!({"metadata": {"name": "n"}, "spec": {"unschedulable": true}, "status": {"phase": "Running"}});
        let mut object = Object::deserialize(Kind::Node, body.clone()).unwrap();
        fill(&mut object);
        let written = object.to_value();
        assert_eq!((&written["spec"], &written["status"]), (&body["spec"], &body["status"]));
    }
}
