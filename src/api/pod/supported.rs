//! What of a PodSpec this version of kiln honours; the rest is refused. To honour another field, delete its line here.
//! Every struct is taken apart completely, so that a field which a new version of Kubernetes adds stops the build.

use k8s_openapi::api::core::v1::{Affinity, PodSecurityContext, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::field::{FieldError, Path};
use crate::api::meta;
use crate::api::pod::supported_container::{app_armor, check_container, seccomp};
use crate::api::pod::supported_volume::check_volume;
use crate::api::unsupported::{Refusals, refusal};
use crate::api::well_known::{ANNOTATION_NETWORK, ANNOTATION_ON_DELETE, NETWORK_OUTBOUND, ON_DELETE_WAIT};

const NO_NETWORK: &str = "a WASI pod has no network of its own";
const NO_PROCESSES: &str = "a WASI pod has no processes, only its module";

pub fn check_spec(spec: &PodSpec, path: &Path, faults: &mut Vec<FieldError>) {
    let PodSpec {
        active_deadline_seconds: _,
        affinity,
        automount_service_account_token: _, // True or not, nothing is mounted: there is no API access for modules.
        containers,
        dns_config,
        dns_policy,
        enable_service_links: _, // There are no Services to link.
        ephemeral_containers,
        eviction_responders,
        host_aliases,
        host_ipc,
        host_network,
        host_pid,
        host_users: _, // A module has no user, in whichever user namespace.
        hostname: _,
        hostname_override,
        image_pull_secrets: _,
        init_containers,
        node_name: _,
        node_selector: _,
        os,
        overhead,
        preemption_policy,
        priority,
        priority_class_name,
        readiness_gates,
        resource_claims,
        resources,
        restart_policy: _,
        runtime_class_name,
        scheduler_name,
        scheduling_gates,
        scheduling_group,
        security_context,
        service_account: _,
        service_account_name: _, // Kept as a name only.
        set_hostname_as_fqdn,
        share_process_namespace,
        subdomain,
        termination_grace_period_seconds: _,
        tolerations: _,
        topology_spread_constraints,
        volumes,
    } = spec;

    let mut no = Refusals::of(path, faults);
    let place = "pods are placed by nodeSelector, nodeName and tolerations only";
    let drawn = affinity.as_ref().is_some_and(|a| *a != Affinity::default());
    no.refuse(drawn, "affinity", place);
    no.list(topology_spread_constraints, "topologySpreadConstraints", place);
    no.list(ephemeral_containers, "ephemeralContainers", "no other program can enter the sandbox of a module");
    no.list(
        eviction_responders,
        "evictionResponders",
        "an eviction is a deletion here, of which nobody is asked first",
    );
    no.refuse(dns_config.is_some(), "dnsConfig", NO_NETWORK);
    no.refuse(
        dns_policy.as_deref() == Some("None"),
        "dnsPolicy",
        "a WASI pod has no network of its own; leave dnsPolicy out",
    );
    no.list(host_aliases, "hostAliases", NO_NETWORK);
    no.flag(*host_network, "hostNetwork", NO_NETWORK);
    no.flag(*host_pid, "hostPID", NO_PROCESSES);
    no.flag(*host_ipc, "hostIPC", NO_PROCESSES);
    no.flag(*share_process_namespace, "shareProcessNamespace", NO_PROCESSES);
    no.text(hostname_override, &[], "hostnameOverride", "use hostname");
    no.text(subdomain, &[], "subdomain", "a WASI pod has no network of its own, and so no DNS name");
    no.flag(*set_hostname_as_fqdn, "setHostnameAsFQDN", "a WASI pod has no network of its own, and so no DNS name");
    no.refuse(os.is_some(), "os", "a module runs on WASI and sees no operating system");
    let overhead = overhead.as_ref().is_some_and(|o| !o.is_empty());
    no.refuse(overhead, "overhead", "a sandbox has no overhead to account for");
    no.text(runtime_class_name, &[], "runtimeClassName", "every pod runs in the one sandbox that kiln has");
    let priority_why = "pods have no priorities and do not preempt each other";
    no.text(preemption_policy, &["PreemptLowerPriority"], "preemptionPolicy", priority_why);
    no.refuse(priority.is_some_and(|p| p != 0), "priority", priority_why);
    no.text(priority_class_name, &[], "priorityClassName", priority_why);
    no.list(readiness_gates, "readinessGates", "pods run to completion and serve nothing that could be ready");
    no.list(resource_claims, "resourceClaims", "a module reaches no devices");
    no.refuse(resources.is_some(), "resources", "set the resources of the container");
    no.text(scheduler_name, &["default-scheduler"], "schedulerName", "kiln has one scheduler, default-scheduler");
    no.list(scheduling_gates, "schedulingGates", "create the pod when it may start");
    no.refuse(scheduling_group.is_some(), "schedulingGroup", "pods are placed one by one");

    if let Some(context) = security_context {
        check_security(context, &path.child("securityContext"), faults);
    }
    let init = init_containers.as_deref().unwrap_or_default();
    for (field, containers) in [("initContainers", init), ("containers", containers.as_slice())] {
        for (i, container) in containers.iter().enumerate() {
            check_container(container, &path.child(field).index(i), faults);
        }
    }
    for (i, volume) in volumes.iter().flatten().enumerate() {
        check_volume(volume, &path.child("volumes").index(i), faults);
    }
}

/// Of kiln's own annotations, those that users write take these values only: another would promise what does not
/// happen.
pub fn check_annotations(metadata: &ObjectMeta, path: &Path, faults: &mut Vec<FieldError>) {
    for (name, value, meaning) in [
        (ANNOTATION_NETWORK, NETWORK_OUTBOUND, "opens the network, to the addresses that the node allows"),
        (ANNOTATION_ON_DELETE, ON_DELETE_WAIT, "lets a pod that is deleted run on to the end of its grace period"),
    ] {
        if let Some(given) = meta::annotation(metadata, name).filter(|given| *given != value) {
            let detail = format!("must be \"{value}\", which {meaning}, or absent");
            faults.push(FieldError::invalid(&path.child("annotations").key(name), given, detail));
        }
    }
}

/// A pod without a Job: nothing would ever end one that is always restarted.
pub fn check_bare_pod(spec: &PodSpec, path: &Path, faults: &mut Vec<FieldError>) {
    if spec.restart_policy.as_deref() == Some("Always") {
        let why =
            "pods run to completion; set restartPolicy to Never or OnFailure (Always is what an absent one means)";
        faults.push(refusal(&path.child("restartPolicy"), why));
    }
}

/// A setting that asks for no more isolation than every sandbox gives anyway is accepted; one that asks for power, or for
/// something on the host, is refused.
fn check_security(context: &PodSecurityContext, path: &Path, faults: &mut Vec<FieldError>) {
    let PodSecurityContext {
        app_armor_profile,
        fs_group: _, // A module has no group; the files that it is given are its own, whoever owns them.
        fs_group_change_policy: _,
        run_as_group: _,
        run_as_non_root: _, // A module has no user and so is never root.
        run_as_user,
        se_linux_change_policy,
        se_linux_options,
        seccomp_profile,
        supplemental_groups: _,
        supplemental_groups_policy: _,
        sysctls,
        windows_options,
    } = context;
    let mut no = Refusals::of(path, faults);
    let kernel = "a module makes no system calls, so nothing on the host confines it further";
    no.refuse(*run_as_user == Some(0), "runAsUser", "a module has no user and cannot be root");
    no.text(se_linux_change_policy, &[], "seLinuxChangePolicy", kernel);
    no.refuse(se_linux_options.is_some(), "seLinuxOptions", kernel);
    no.list(sysctls, "sysctls", "a module reaches no kernel parameters");
    no.refuse(windows_options.is_some(), "windowsOptions", "a module runs on WASI and sees no operating system");
    app_armor(app_armor_profile.as_ref(), &mut no);
    seccomp(seccomp_profile.as_ref(), &mut no);
}
