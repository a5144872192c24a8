//! The defaults of pods and pod templates, and the canonical writing of what may be written in several ways
//! (`pkg/apis/core/v1/defaults.go` and `conversion.go`, about 1.34). Two entry points: what a template gets, and what a Pod
//! object gets on top when it is created from one; the second is on the path of every pod of every Job, so it touches
//! little.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, EmptyDirVolumeSource, EnvVar, ObjectFieldSelector, PodSpec, PodTemplateSpec,
    ResourceFieldSelector, Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use crate::api::quantity::Quantity;
use crate::api::well_known::RESOURCE_FUEL;

pub const TERMINATION_MESSAGE_PATH: &str = "/dev/termination-log";
pub const TERMINATION_MESSAGE_POLICY: &str = "File";
/// Permissions of a file from a ConfigMap or Secret: 0644.
pub const FILE_MODE: i32 = 0o644;
pub const GRACE_SECONDS: i64 = 30;

/// Defaults of a Job's template.
pub fn default_template(template: &mut PodTemplateSpec) {
    default_spec(template.spec.get_or_insert_default());
}

/// Defaults of a Pod that a client created.
pub fn default_bare_pod(spec: &mut PodSpec) {
    default_spec(spec);
    default_pod(spec);
}

/// What a Pod object gets beyond its template's defaults. Expects those to be applied.
pub fn default_pod(spec: &mut PodSpec) {
    spec.enable_service_links.get_or_insert(true);
    // What the ServiceAccount admission plugin does; the name is all that kiln keeps of it.
    if spec.service_account_name.is_none() {
        spec.service_account_name = Some("default".to_owned());
        spec.service_account = spec.service_account_name.clone();
    }
    let init = spec.init_containers.iter_mut().flatten();
    init.chain(&mut spec.containers).for_each(requests_from_limits);
}

/// A container with a limit and no request requests its limit. Fuel is left out: it is a budget to burn, not a capacity
/// of the node that could be reserved. So is what is no quantity, or its fault would be told twice.
fn requests_from_limits(container: &mut Container) {
    let Some(resources) = &mut container.resources else { return };
    for (name, limit) in resources.limits.iter().flatten() {
        let requested = resources.requests.as_ref().is_some_and(|r| r.contains_key(name));
        if !requested && name != RESOURCE_FUEL && Quantity::parse(&limit.0).is_ok() {
            resources.requests.get_or_insert_default().insert(name.clone(), limit.clone());
        }
    }
}

fn default_spec(spec: &mut PodSpec) {
    default_text(&mut spec.dns_policy, "ClusterFirst");
    default_text(&mut spec.restart_policy, "Always");
    default_text(&mut spec.scheduler_name, "default-scheduler");
    spec.termination_grace_period_seconds.get_or_insert(GRACE_SECONDS);
    spec.security_context.get_or_insert_default();
    default_service_account(spec);
    // In Go these are plain fields: false, zero or empty means absent.
    let flags = [&mut spec.host_network, &mut spec.host_pid, &mut spec.host_ipc];
    flags.into_iter().for_each(drop_false);
    let texts = [&mut spec.node_name, &mut spec.hostname, &mut spec.subdomain, &mut spec.priority_class_name];
    texts.into_iter().for_each(drop_empty);
    spec.volumes.iter_mut().flatten().for_each(default_volume);
    spec.containers.iter_mut().for_each(default_container);
    spec.init_containers.iter_mut().flatten().for_each(default_container);
}

/// `serviceAccount` is the old name of `serviceAccountName`; the server shows both.
fn default_service_account(spec: &mut PodSpec) {
    drop_empty(&mut spec.service_account_name);
    drop_empty(&mut spec.service_account);
    if spec.service_account_name.is_none() {
        spec.service_account_name = spec.service_account.take();
    }
    spec.service_account = spec.service_account_name.clone();
}

fn default_container(container: &mut Container) {
    if container.image_pull_policy.as_deref().unwrap_or_default().is_empty() {
        let policy = if is_latest(container.image.as_deref().unwrap_or_default()) { "Always" } else { "IfNotPresent" };
        container.image_pull_policy = Some(policy.to_owned());
    }
    default_text(&mut container.termination_message_path, TERMINATION_MESSAGE_PATH);
    default_text(&mut container.termination_message_policy, TERMINATION_MESSAGE_POLICY);
    let resources = container.resources.get_or_insert_default();
    canonical_quantities(&mut resources.limits);
    canonical_quantities(&mut resources.requests);
    container.env.iter_mut().flatten().for_each(default_env);
    let flags = [&mut container.stdin, &mut container.stdin_once, &mut container.tty];
    flags.into_iter().for_each(drop_false);
    drop_empty(&mut container.working_dir);
    for mount in container.volume_mounts.iter_mut().flatten() {
        drop_false(&mut mount.read_only);
        drop_empty(&mut mount.sub_path);
        drop_empty(&mut mount.sub_path_expr);
    }
}

fn default_env(var: &mut EnvVar) {
    drop_empty(&mut var.value);
    let Some(from) = &mut var.value_from else { return };
    default_field(&mut from.field_ref);
    default_resource(&mut from.resource_field_ref);
}

fn default_field(field: &mut Option<ObjectFieldSelector>) {
    if let Some(field) = field {
        default_text(&mut field.api_version, "v1");
    }
}

/// In Go the divisor is a plain field: it is always written, and 0 if it is absent.
fn default_resource(resource: &mut Option<ResourceFieldSelector>) {
    let Some(resource) = resource else { return };
    drop_empty(&mut resource.container_name);
    let divisor = resource.divisor.get_or_insert_with(|| Text("0".to_owned()));
    if let Ok(quantity) = Quantity::parse(&divisor.0) {
        divisor.0 = quantity.to_string();
    }
}

fn default_downward(items: &mut Option<Vec<DownwardAPIVolumeFile>>) {
    for item in items.iter_mut().flatten() {
        default_field(&mut item.field_ref);
        default_resource(&mut item.resource_field_ref);
    }
}

fn default_volume(volume: &mut Volume) {
    if *volume == (Volume { name: volume.name.clone(), ..Volume::default() }) {
        volume.empty_dir = Some(EmptyDirVolumeSource::default());
    }
    if let Some(source) = &mut volume.empty_dir {
        drop_empty(&mut source.medium);
        if let Some(limit) = &mut source.size_limit
            && let Ok(quantity) = Quantity::parse(&limit.0)
        {
            limit.0 = quantity.to_string();
        }
    }
    if let Some(source) = &mut volume.host_path {
        source.type_.get_or_insert_default();
    }
    if let Some(source) = &mut volume.downward_api {
        source.default_mode.get_or_insert(FILE_MODE);
        default_downward(&mut source.items);
    }
    if let Some(source) = &mut volume.projected {
        source.default_mode.get_or_insert(FILE_MODE);
        for source in source.sources.iter_mut().flatten() {
            if let Some(downward) = &mut source.downward_api {
                default_downward(&mut downward.items);
            }
        }
    }
    if let Some(source) = &mut volume.config_map {
        source.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(source) = &mut volume.secret {
        source.default_mode.get_or_insert(FILE_MODE);
    }
}

/// Whether the image reference has the tag `latest` or neither tag nor digest.
fn is_latest(image: &str) -> bool {
    let (name, has_digest) = match image.split_once('@') {
        Some((name, _)) => (name, true),
        None => (image, false),
    };
    let file = name.rsplit('/').next().unwrap_or(name);
    match file.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => !has_digest,
    }
}

/// The server shows `0.5` as `500m`; a text that is no quantity stays for validation to report.
fn canonical_quantities(quantities: &mut Option<BTreeMap<String, Text>>) {
    for text in quantities.iter_mut().flat_map(|map| map.values_mut()) {
        if let Ok(quantity) = Quantity::parse(&text.0) {
            text.0 = quantity.to_string();
        }
    }
}

fn default_text(field: &mut Option<String>, default: &str) {
    if field.as_deref().unwrap_or_default().is_empty() {
        *field = Some(default.to_owned());
    }
}

fn drop_empty(field: &mut Option<String>) {
    field.take_if(|text| text.is_empty());
}

fn drop_false(field: &mut Option<bool>) {
    field.take_if(|flag| !*flag);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(value: serde_json::Value) -> PodSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_template_gets_the_defaults_of_the_spec_only() {
        let mut template = PodTemplateSpec {
            metadata: None,
            spec: Some(spec(json!({
                "containers": [{"name": "a", "image": "pi", "resources": {"limits": {"cpu": "0.5"}},
                    "env": [{"name": "A", "value": ""}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}],
                "volumes": [{"name": "v"}, {"name": "c", "configMap": {"name": "c"}}],
                "serviceAccount": "old",
            }))),
        };
        default_template(&mut template);
        assert_eq!(
            serde_json::to_value(&template.spec).unwrap(),
            json!({
                "containers": [{"name": "a", "image": "pi", "imagePullPolicy": "Always",
                    "env": [{"name": "A"}, {"name": "B", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
                    "resources": {"limits": {"cpu": "500m"}},
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}],
                "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                "securityContext": {}, "serviceAccount": "old", "serviceAccountName": "old",
                "terminationGracePeriodSeconds": 30,
                "volumes": [{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"name": "c", "defaultMode": 420}}],
            })
        );
        let once = template.clone();
        default_template(&mut template);
        assert_eq!(template, once, "defaults are applied once");
    }

    #[test]
    fn a_pod_requests_its_limits_but_no_fuel() {
        let mut spec = spec(json!({"containers": [{"name": "a", "resources":
            {"limits": {"cpu": "1", "memory": "1Gi", "kiln.dev/fuel": "5"}, "requests": {"cpu": "100m"}}}]}));
        default_bare_pod(&mut spec);
        let resources = spec.containers[0].resources.as_ref().unwrap();
        assert_eq!(serde_json::to_value(resources.requests.as_ref()).unwrap(), json!({"cpu": "100m", "memory": "1Gi"}));
        assert_eq!(spec.enable_service_links, Some(true));
        assert_eq!(spec.service_account_name.as_deref(), Some("default"));
    }

    #[test]
    fn only_an_image_that_can_move_is_always_pulled() {
        let table = [
            ("pi", true),
            ("pi:latest", true),
            ("host:5000/pi", true),
            ("pi:1", false),
            ("host:5000/pi:1", false),
            ("pi@sha256:ab", false),
            ("pi:latest@sha256:ab", true),
            ("", true),
        ];
        for (image, latest) in table {
            assert_eq!(is_latest(image), latest, "{image}");
        }
    }
}
