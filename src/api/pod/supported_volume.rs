//! Which volumes this version of kiln honours; see `supported.rs`.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, ConfigMapVolumeSource, DownwardAPIProjection, DownwardAPIVolumeFile, DownwardAPIVolumeSource,
    EmptyDirVolumeSource, HostPathVolumeSource, KeyToPath, ProjectedVolumeSource, SecretProjection, SecretVolumeSource,
    Volume, VolumeProjection,
};

use crate::api::field::{FieldError, Path};
use crate::api::unsupported::{Refusals, refusal};

const OWNER: &str = "a module has no user; the files that it is given are its own";

pub fn check_volume(volume: &Volume, path: &Path, faults: &mut Vec<FieldError>) {
    let Volume {
        aws_elastic_block_store,
        azure_disk,
        azure_file,
        cephfs,
        cinder,
        config_map,
        csi,
        downward_api,
        empty_dir,
        ephemeral,
        fc,
        flex_volume,
        flocker,
        gce_persistent_disk,
        git_repo,
        glusterfs,
        host_path,
        image,
        iscsi,
        name: _,
        nfs,
        persistent_volume_claim,
        photon_persistent_disk,
        portworx_volume,
        projected,
        quobyte,
        rbd,
        scale_io,
        secret,
        storageos,
        vsphere_volume,
    } = volume;
    let honoured = [
        ("emptyDir", empty_dir.is_some()),
        ("hostPath", host_path.is_some()),
        ("configMap", config_map.is_some()),
        ("secret", secret.is_some()),
        ("downwardAPI", downward_api.is_some()),
        ("projected", projected.is_some()),
    ];
    let refused = [
        ("awsElasticBlockStore", aws_elastic_block_store.is_some()),
        ("azureDisk", azure_disk.is_some()),
        ("azureFile", azure_file.is_some()),
        ("cephfs", cephfs.is_some()),
        ("cinder", cinder.is_some()),
        ("csi", csi.is_some()),
        ("ephemeral", ephemeral.is_some()),
        ("fc", fc.is_some()),
        ("flexVolume", flex_volume.is_some()),
        ("flocker", flocker.is_some()),
        ("gcePersistentDisk", gce_persistent_disk.is_some()),
        ("gitRepo", git_repo.is_some()),
        ("glusterfs", glusterfs.is_some()),
        ("image", image.is_some()),
        ("iscsi", iscsi.is_some()),
        ("nfs", nfs.is_some()),
        ("persistentVolumeClaim", persistent_volume_claim.is_some()),
        ("photonPersistentDisk", photon_persistent_disk.is_some()),
        ("portworxVolume", portworx_volume.is_some()),
        ("quobyte", quobyte.is_some()),
        ("rbd", rbd.is_some()),
        ("scaleIO", scale_io.is_some()),
        ("storageos", storageos.is_some()),
        ("vsphereVolume", vsphere_volume.is_some()),
    ];
    let sources = honoured.iter().chain(&refused).filter(|(_, set)| *set).map(|(field, _)| *field);
    for field in sources.skip(1) {
        faults.push(FieldError::forbidden(&path.child(field), "may not specify more than 1 volume type"));
    }
    for (field, _) in refused.into_iter().filter(|(_, set)| *set) {
        let why = "the volumes of a module are emptyDir, configMap, secret, downwardAPI, projected and hostPath";
        faults.push(refusal(&path.child(field), why));
    }
    if let Some(source) = empty_dir {
        check_empty_dir(source, &path.child("emptyDir"), faults);
    }
    if let Some(ConfigMapVolumeSource { default_mode: _, default_user, items, name: _, optional: _ }) = config_map {
        check_files(*default_user, items.as_deref(), &path.child("configMap"), faults);
    }
    if let Some(SecretVolumeSource { default_mode: _, default_user, items, optional: _, secret_name: _ }) = secret {
        check_files(*default_user, items.as_deref(), &path.child("secret"), faults);
    }
    if let Some(DownwardAPIVolumeSource { default_mode: _, default_user, items }) = downward_api {
        let path = path.child("downwardAPI");
        Refusals::of(&path, faults).refuse(default_user.is_some(), "defaultUser", OWNER);
        check_downward(items.as_deref(), &path, faults);
    }
    if let Some(ProjectedVolumeSource { default_mode: _, default_user, sources }) = projected {
        let path = path.child("projected");
        Refusals::of(&path, faults).refuse(default_user.is_some(), "defaultUser", OWNER);
        for (i, source) in sources.iter().flatten().enumerate() {
            check_projection(source, &path.child("sources").index(i), faults);
        }
    }
    if let Some(source) = host_path {
        check_host_path(source, &path.child("hostPath"), faults);
    }
}

fn check_projection(source: &VolumeProjection, path: &Path, faults: &mut Vec<FieldError>) {
    let VolumeProjection {
        cluster_trust_bundle,
        config_map,
        downward_api,
        pod_certificate,
        secret,
        service_account_token,
    } = source;
    let mut no = Refusals::of(path, faults);
    let identity = "a module has no identity towards the API, nor certificates; put what it needs into a Secret";
    no.refuse(cluster_trust_bundle.is_some(), "clusterTrustBundle", identity);
    no.refuse(pod_certificate.is_some(), "podCertificate", identity);
    no.refuse(service_account_token.is_some(), "serviceAccountToken", identity);
    if let Some(ConfigMapProjection { items, name: _, optional: _ }) = config_map {
        check_files(None, items.as_deref(), &path.child("configMap"), faults);
    }
    if let Some(SecretProjection { items, name: _, optional: _ }) = secret {
        check_files(None, items.as_deref(), &path.child("secret"), faults);
    }
    if let Some(DownwardAPIProjection { items }) = downward_api {
        check_downward(items.as_deref(), &path.child("downwardAPI"), faults);
    }
}

fn check_downward(items: Option<&[DownwardAPIVolumeFile]>, path: &Path, faults: &mut Vec<FieldError>) {
    for (i, item) in items.unwrap_or_default().iter().enumerate() {
        let DownwardAPIVolumeFile { field_ref: _, mode: _, path: _, resource_field_ref: _, user } = item;
        Refusals::of(&path.child("items").index(i), faults).refuse(user.is_some(), "user", OWNER);
    }
}

/// Whether the path is allowed depends on the node, which says so when it takes the pod on.
fn check_host_path(source: &HostPathVolumeSource, path: &Path, faults: &mut Vec<FieldError>) {
    let HostPathVolumeSource { path: host, type_ } = source;
    let mut no = Refusals::of(path, faults);
    no.refuse(!host.is_empty() && !host.starts_with('/'), "path", "the path must be absolute");
    let special = matches!(type_.as_deref(), Some("Socket" | "CharDevice" | "BlockDevice"));
    no.refuse(special, "type", "a module can use directories and files, but no sockets and devices of the host");
}

fn check_empty_dir(source: &EmptyDirVolumeSource, path: &Path, faults: &mut Vec<FieldError>) {
    let EmptyDirVolumeSource { medium, mode, size_limit: _ } = source;
    let mut no = Refusals::of(path, faults);
    no.text(medium, &["Memory"], "medium", "a medium is the node's own or Memory");
    no.refuse(mode.is_some(), "mode", OWNER);
}

fn check_files(user: Option<i64>, items: Option<&[KeyToPath]>, path: &Path, faults: &mut Vec<FieldError>) {
    Refusals::of(path, faults).refuse(user.is_some(), "defaultUser", OWNER);
    for (i, KeyToPath { key: _, mode: _, path: _, user }) in items.unwrap_or_default().iter().enumerate() {
        Refusals::of(&path.child("items").index(i), faults).refuse(user.is_some(), "user", OWNER);
    }
}
