//! What of a container this version of kiln honours; see `supported.rs`.

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Capabilities, Container, EnvVarSource, ResourceRequirements, SeccompProfile, SecurityContext,
    VolumeMount,
};

use crate::api::field::{FieldError, Path};
use crate::api::unsupported::{Refusals, refusal};
use crate::api::well_known::RESOURCE_FUEL;

pub fn check_container(container: &Container, path: &Path, faults: &mut Vec<FieldError>) {
    let Container {
        args: _,
        command: _,
        env,
        env_from: _,
        image: _,
        image_pull_policy: _,
        lifecycle,
        liveness_probe,
        name: _,
        ports,
        readiness_probe,
        resize_policy,
        resources,
        restart_policy,
        restart_policy_rules,
        security_context,
        startup_probe,
        stdin,
        stdin_once,
        termination_message_path: _,
        termination_message_policy: _,
        tty,
        volume_devices,
        volume_mounts,
        working_dir: _,
    } = container;
    let mut no = Refusals::of(path, faults);
    let probe = "no other program can enter the sandbox of a module to probe it; set activeDeadlineSeconds";
    no.refuse(lifecycle.is_some(), "lifecycle", "no other program can enter the sandbox of a module");
    no.refuse(liveness_probe.is_some(), "livenessProbe", probe);
    no.refuse(readiness_probe.is_some(), "readinessProbe", probe);
    no.refuse(startup_probe.is_some(), "startupProbe", probe);
    no.list(ports, "ports", "a WASI pod has no network of its own");
    no.list(resize_policy, "resizePolicy", "the limits of a running module are fixed");
    let restart = match restart_policy.as_deref() {
        Some("Always") => {
            "a container that runs beside the others (a sidecar) is not run; make it an ordinary container \
                           that ends by itself"
        }
        _ => "set the restartPolicy of the pod",
    };
    no.text(restart_policy, &[], "restartPolicy", restart);
    no.list(restart_policy_rules, "restartPolicyRules", "set the restartPolicy of the pod");
    let stdin_why = "a module's standard input is empty";
    no.flag(*stdin, "stdin", stdin_why);
    no.flag(*stdin_once, "stdinOnce", stdin_why);
    no.flag(*tty, "tty", "a module has no terminal");
    no.list(volume_devices, "volumeDevices", "a module reaches no devices");

    for (i, var) in env.iter().flatten().enumerate() {
        if let Some(source) = &var.value_from {
            check_env_source(source, &path.child("env").index(i).child("valueFrom"), faults);
        }
    }
    if let Some(resources) = resources {
        check_resources(resources, &path.child("resources"), faults);
    }
    if let Some(context) = security_context {
        check_security(context, &path.child("securityContext"), faults);
    }
    for (i, mount) in volume_mounts.iter().flatten().enumerate() {
        check_mount(mount, &path.child("volumeMounts").index(i), faults);
    }
}

fn check_env_source(source: &EnvVarSource, path: &Path, faults: &mut Vec<FieldError>) {
    let EnvVarSource { config_map_key_ref: _, field_ref: _, file_key_ref, resource_field_ref: _, secret_key_ref: _ } =
        source;
    let mut no = Refusals::of(path, faults);
    no.refuse(file_key_ref.is_some(), "fileKeyRef", "the module can read the file itself");
}

fn check_resources(resources: &ResourceRequirements, path: &Path, faults: &mut Vec<FieldError>) {
    let ResourceRequirements { claims, limits, requests } = resources;
    Refusals::of(path, faults).list(claims, "claims", "a module reaches no devices");
    let known = |name: &str| matches!(name, "cpu" | "memory" | "ephemeral-storage" | RESOURCE_FUEL);
    for (field, amounts) in [("limits", limits), ("requests", requests)] {
        let path = path.child(field);
        for name in amounts.iter().flat_map(|map| map.keys()) {
            if !known(name) {
                let why = "the resources of a module are cpu, memory, ephemeral-storage and kiln.dev/fuel";
                faults.push(refusal(&path.key(name), why));
            } else if name == RESOURCE_FUEL && field == "requests" {
                let why = "fuel is a budget to burn and not a capacity to reserve; set it under limits only";
                faults.push(refusal(&path.key(name), why));
            }
        }
    }
}

fn check_mount(mount: &VolumeMount, path: &Path, faults: &mut Vec<FieldError>) {
    let VolumeMount {
        bind_mount_options,
        mount_path,
        mount_propagation,
        name: _,
        read_only: _,
        recursive_read_only,
        sub_path: _,
        sub_path_expr: _,
    } = mount;
    let mut no = Refusals::of(path, faults);
    let mounts = "a module sees directories and no mounts of the host";
    no.list(bind_mount_options, "bindMountOptions", mounts);
    no.text(mount_propagation, &["None"], "mountPropagation", mounts);
    no.text(recursive_read_only, &["Disabled"], "recursiveReadOnly", mounts);
    let is_root = mount_path.starts_with('/') && mount_path.trim_matches('/').is_empty();
    no.refuse(is_root, "mountPath", "a volume cannot take the place of /; mount it below");
}

/// See `check_security` in `supported.rs` for what is accepted.
fn check_security(context: &SecurityContext, path: &Path, faults: &mut Vec<FieldError>) {
    let SecurityContext {
        allow_privilege_escalation,
        app_armor_profile,
        capabilities,
        privileged,
        proc_mount,
        read_only_root_filesystem: _,
        run_as_group: _,
        run_as_non_root: _,
        run_as_user,
        se_linux_options,
        seccomp_profile,
        windows_options,
    } = context;
    let mut no = Refusals::of(path, faults);
    let powers = "a module has no privileges on the host and can be given none";
    no.flag(*allow_privilege_escalation, "allowPrivilegeEscalation", powers);
    no.flag(*privileged, "privileged", powers);
    no.text(proc_mount, &["Default"], "procMount", "a module has no /proc");
    no.refuse(*run_as_user == Some(0), "runAsUser", "a module has no user and cannot be root");
    let kernel = "a module makes no system calls, so nothing on the host confines it further";
    no.refuse(se_linux_options.is_some(), "seLinuxOptions", kernel);
    no.refuse(windows_options.is_some(), "windowsOptions", "a module runs on WASI and sees no operating system");
    app_armor(app_armor_profile.as_ref(), &mut no);
    seccomp(seccomp_profile.as_ref(), &mut no);
    if let Some(Capabilities { add, drop: _ }) = capabilities {
        Refusals::of(&path.child("capabilities"), faults).list(add, "add", powers);
    }
}

pub fn seccomp(profile: Option<&SeccompProfile>, no: &mut Refusals) {
    let beyond = profile.is_some_and(|p| p.type_ != "RuntimeDefault");
    no.refuse(beyond, "seccompProfile", "a module makes no system calls; of the profiles only RuntimeDefault fits");
}

pub fn app_armor(profile: Option<&AppArmorProfile>, no: &mut Refusals) {
    let beyond = profile.is_some_and(|p| p.type_ != "RuntimeDefault");
    no.refuse(beyond, "appArmorProfile", "a module makes no system calls; of the profiles only RuntimeDefault fits");
}
