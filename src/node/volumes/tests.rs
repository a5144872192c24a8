use std::os::unix::fs::{MetadataExt, symlink};

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::files::File;
use super::*;
use crate::api::{Kind, Object};
use crate::sandbox::Mount;

struct World {
    base: tempfile::TempDir,
    config: NodeConfig,
    contents: Contents,
}

impl World {
    fn new() -> World {
        let base = tempfile::tempdir().unwrap();
        let host = base.path().join("host");
        fs::create_dir(&host).unwrap();
        let config = NodeConfig {
            name: "n".to_owned(),
            max_pods: 1,
            default_memory_bytes: 1,
            default_scratch_bytes: 1 << 20,
            host_paths: vec![host.canonicalize().unwrap()],
            network: Vec::new(),
            pods_dir: base.path().join("pods"),
        };
        let mut world = World { base, config, contents: Contents::default() };
        world.hold("c", &[("k", "v"), ("d/deep", "w")]);
        world
    }

    /// What the ConfigMap behind a volume holds.
    fn hold(&mut self, volume: &str, files: &[(&str, &str)]) {
        let file = |text: &str| File { bytes: text.as_bytes().to_vec(), mode: 0o640 };
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect();
        self.contents.0.insert(volume.to_owned(), Files(files));
    }

    fn dir(&self) -> PodDir {
        PodDir::new(&self.config.pods_dir, "u-1").unwrap()
    }

    /// The mounts of the pod's container of this number.
    fn mounts(&self, dir: &PodDir, pod: &Pod, container: usize) -> Result<Vec<Mount>, MountError> {
        let container = &pod.spec.as_ref().unwrap().containers[container];
        let env = [("NAME".to_owned(), "n1".to_owned())];
        dir.mounts(pod, container, &self.contents, &env, &self.config, false)
    }
}

/// A pod with the volumes `e` (empty), `c` (files) and `h` (of the machine), and a container for each list of mounts.
fn pod(host: &Path, containers: &[Value]) -> Pod {
    let containers: Vec<Value> = containers
        .iter()
        .enumerate()
        .map(|(n, mounts)| json!({"name": format!("c{n}"), "volumeMounts": mounts}))
        .collect();
    let object = json!({"metadata": {"name": "p"}, "spec": {"containers": containers, "volumes": [
        {"name": "e", "emptyDir": {"sizeLimit": "64Ki"}}, {"name": "c", "configMap": {"name": "c"}},
        {"name": "h", "hostPath": {"path": host, "type": "DirectoryOrCreate"}}]}});
    Pod::clone(Object::deserialize(Kind::Pod, object).unwrap().as_pod().unwrap())
}

fn mount(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path})
}

fn shown(mounts: &[Mount]) -> Vec<(&str, bool)> {
    mounts.iter().map(|m| (m.guest.as_str(), m.writable)).collect()
}

#[test]
fn volumes_are_shared_kept_over_a_restart_and_removed() {
    let world = World::new();
    let host = world.base.path().join("host/new");
    let pod =
        pod(&host, &[json!([mount("e", "/state"), mount("c", "/etc/c"), mount("h", "/h")]), json!([mount("e", "/e")])]);
    let dir = world.dir();
    let mounts = world.mounts(&dir, &pod, 0).unwrap();
    assert_eq!(shown(&mounts), [("/", true), ("/state", true), ("/h", true), ("/etc/c", false)]);
    assert_eq!(fs::read(mounts[3].path().join("k")).unwrap(), b"v");
    assert_eq!(fs::metadata(mounts[3].path().join("d/deep")).unwrap().mode() & 0o777, 0o640);
    for point in ["state", "etc/c", "h", "tmp", "dev/null"] {
        assert!(mounts[0].host.join(point).exists(), "{point} is seen in /");
    }
    assert_eq!(fs::read_to_string(mounts[0].host.join("etc/hostname")).unwrap(), "p\n");
    fs::write(mounts[1].path().join("kept"), b"x").unwrap();
    fs::write(mounts[0].path().join("tmp/gone"), b"x").unwrap();
    fs::write(mounts[2].path().join("out"), b"x").unwrap();
    let again = world.mounts(&dir, &pod, 0).unwrap();
    assert!(again[1].path().join("kept").exists() && !again[0].path().join("tmp/gone").exists());
    let other = world.mounts(&dir, &pod, 1).unwrap();
    assert!(other[1].path().join("kept").exists(), "another container sees the same volume");
    assert_ne!(other[0].host, again[0].host, "and a root of its own");
    drop((mounts, again, other, dir));
    assert!(!world.base.path().join("pods/u-1").exists());
    assert!(host.join("out").exists(), "what is the machine's stays");
}

#[test]
fn files_do_not_change_under_a_container_that_has_them() {
    let mut world = World::new();
    let pod = pod(&world.base.path().join("host"), &[json!([mount("c", "/c")])]);
    let dir = world.dir();
    let first = world.mounts(&dir, &pod, 0).unwrap();
    let same = world.mounts(&dir, &pod, 0).unwrap();
    assert_eq!(first[1].host, same[1].host, "nothing has changed");
    world.hold("c", &[("k", "new")]);
    let second = world.mounts(&dir, &pod, 0).unwrap();
    assert_eq!(fs::read(first[1].path().join("k")).unwrap(), b"v");
    assert_eq!(fs::read(second[1].path().join("k")).unwrap(), b"new");
}

#[test]
fn a_part_of_a_volume_can_be_mounted_and_a_single_file_too() {
    let world = World::new();
    let host = world.base.path().join("host");
    fs::write(host.join("log"), "from the machine").unwrap();
    let sub = |name: &str, path: &str, sub: &str| json!({"name": name, "mountPath": path, "subPath": sub});
    let pod = pod(
        &host,
        &[
            json!([
                sub("c", "/etc/app.conf", "k"),
                sub("c", "/deep", "d"),
                {"name": "e", "mountPath": "/mine", "subPathExpr": "of-$(NAME)"},
                sub("h", "/var/log/app", "log"),
            ]),
            json!([{"name": "e", "mountPath": "/m", "subPathExpr": "$(NONE)"}]),
            json!([sub("c", "/none", "none")]),
            json!([mount("e", "/e"), sub("c", "/e/file", "k")]),
        ],
    );
    let dir = world.dir();
    let mounts = world.mounts(&dir, &pod, 0).unwrap();
    assert_eq!(shown(&mounts), [("/", true), ("/deep", false), ("/mine", true)]);
    let root = &mounts[0].host;
    assert_eq!(fs::read_to_string(root.join("etc/app.conf")).unwrap(), "v");
    assert!(mounts[1].path().join("deep").exists());
    fs::write(mounts[2].path().join("x"), "").unwrap();
    assert!(dir.empty_dir("e").join("of-n1/x").exists());
    fs::write(root.join("var/log/app"), "from the guest").unwrap();
    assert_eq!(fs::read_to_string(host.join("log")).unwrap(), "from the guest", "it is the same file");
    for (container, says) in [(1, "no variable NONE"), (2, "subPath none"), (3, "within another mount")] {
        let said = world.mounts(&dir, &pod, container).unwrap_err().to_string();
        assert!(said.contains(says) && said.contains("MountVolume.SetUp failed"), "{said}");
    }
}

#[test]
fn what_a_guest_left_behind_leads_nowhere() {
    let world = World::new();
    let outside = tempfile::tempdir().unwrap();
    let pod = pod(
        &world.base.path().join("host"),
        &[json!([mount("e", "/e"), {"name": "e", "mountPath": "/sub", "subPath": "a"}])],
    );
    let dir = world.dir();
    let mounts = world.mounts(&dir, &pod, 0).unwrap();
    // As a guest with two mounts of one volume can: the directory behind the second becomes a link.
    fs::remove_dir(&mounts[2].host).unwrap();
    symlink(outside.path(), &mounts[2].host).unwrap();
    assert!(fs::read_dir(mounts[2].path()).unwrap().next().is_none(), "who has it sees what it was");
    assert!(world.mounts(&dir, &pod, 0).is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn each_directory_that_guests_write_to_has_its_limit() {
    let world = World::new();
    let mut pod = pod(&world.base.path().join("host"), &[json!([]), json!([])]);
    let limits = json!({"limits": {"ephemeral-storage": "2Mi"}});
    pod.spec.as_mut().unwrap().containers[1].resources = serde_json::from_value(limits).unwrap();
    let disk = world.dir().disk(&pod, &world.config);
    let shown: Vec<_> = disk.areas().iter().map(|a| (a.name.as_str(), a.limit_bytes)).collect();
    assert_eq!(shown, [("e", 64 << 10), ("container c0", 1 << 20), ("container c1", 2 << 20)]);
}

#[test]
fn a_pod_without_files_makes_no_directory_and_a_strange_uid_is_refused() {
    let world = World::new();
    let pod = Pod { spec: Some(Default::default()), ..Pod::default() };
    let dir = world.dir();
    let none = dir.mounts(&pod, &Container::default(), &Contents::default(), &[], &world.config, false);
    assert!(none.unwrap().is_empty() && !world.config.pods_dir.exists());
    assert!(PodDir::new(&world.config.pods_dir, "../x").is_err());
}

#[test]
fn a_root_that_is_read_only_is() {
    let world = World::new();
    let mut pod = pod(&world.base.path().join("host"), &[json!([mount("e", "/e")])]);
    let container = &mut pod.spec.as_mut().unwrap().containers[0];
    container.security_context = serde_json::from_value(json!({"readOnlyRootFilesystem": true})).unwrap();
    let mounts = world.mounts(&world.dir(), &pod, 0).unwrap();
    assert_eq!(shown(&mounts), [("/", false), ("/e", true)]);
}
