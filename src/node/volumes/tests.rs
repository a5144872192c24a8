//! The directories of pods, made as a driver makes them.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::contents::FileContent;
use super::*;

struct World {
    base: tempfile::TempDir,
    config: NodeConfig,
    dir: PodDir,
    pod: Pod,
}

impl World {
    /// A pod with these volumes; each container is `(name, its fields)`.
    fn new(volumes: Value, containers: &[(&str, Value)]) -> World {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("data/pods")).unwrap();
        fs::create_dir_all(root.join("host")).unwrap();
        let containers: Vec<Value> = containers
            .iter()
            .map(|(name, fields)| {
                let mut container = fields.clone();
                container["name"] = json!(name);
                container
            })
            .collect();
        let text =
            json!({"metadata": {"name": "p"}, "spec": {"volumes": volumes, "containers": containers}}).to_string();
        let pod = serde_json::from_str(&text.replace("HOST", &root.join("host").display().to_string())).unwrap();
        let config = NodeConfig {
            name: "n".to_owned(),
            max_pods: 1,
            default_memory_bytes: 1,
            default_scratch_bytes: 1000,
            host_paths: vec![root.join("host")],
            network: Vec::new(),
            pods_dir: root.join("data/pods"),
        };
        let dir = PodDir::new(&config.pods_dir, "u-1").unwrap();
        World { base, config, dir, pod }
    }

    fn set_up(&self, files: &[(&str, &[(&str, &str)])]) -> Result<(), VolumeError> {
        let file = |bytes: &str| FileContent { bytes: bytes.as_bytes().to_vec(), mode: 0o640 };
        let volume = |files: &[(&str, &str)]| files.iter().map(|(k, v)| ((*k).to_owned(), file(v))).collect();
        let contents = files.iter().map(|(name, files)| ((*name).to_owned(), Ok(volume(files)))).collect();
        self.dir.set_up(&self.pod, &Contents(contents), &self.config)
    }

    fn mounts(&self, index: usize) -> Result<Vec<Mount>, VolumeError> {
        let container = &self.pod.spec.as_ref().unwrap().containers[index];
        let env = [("NAME".to_owned(), "p-0".to_owned())];
        self.dir.mounts(&self.pod, container, &env, &self.config).map(|(mounts, _)| mounts)
    }

    fn host(&self) -> PathBuf {
        self.base.path().join("host")
    }
}

fn shown(mounts: &[Mount]) -> Vec<(&str, bool)> {
    mounts.iter().map(|m| (m.guest.as_str(), m.writable)).collect()
}

fn mount(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path})
}

#[test]
fn containers_share_volumes_and_have_roots_of_their_own() {
    let mounts = json!({"volumeMounts": [mount("e", "/state"), mount("c", "/etc/c")]});
    let volumes = json!([{"name": "e", "emptyDir": {}}, {"name": "c", "configMap": {"name": "c"}}]);
    let world = World::new(volumes, &[("a", mounts.clone()), ("b", mounts)]);
    world.set_up(&[("c", &[("k", "v"), ("d/k", "w")])]).unwrap();
    let (a, b) = (world.mounts(0).unwrap(), world.mounts(1).unwrap());
    assert_eq!(shown(&a), [("/", true), ("/state", true), ("/etc/c", false)]);
    assert_eq!(a[1..], b[1..]);
    assert_ne!(a[0].host, b[0].host);
    assert_eq!(fs::read_to_string(a[0].host.join("etc/hostname")).unwrap(), "p\n");
    assert!(a[0].host.join("etc/c").is_dir(), "a mount point is seen");
    assert_eq!(fs::read_to_string(a[2].host.join("d/k")).unwrap(), "w");
    assert_eq!(fs::metadata(a[2].host.join("k")).unwrap().permissions().mode() & 0o777, 0o640);
    fs::write(a[1].host.join("kept"), b"x").unwrap();
    fs::write(a[0].host.join("tmp/gone"), b"x").unwrap();
    let again = world.mounts(0).unwrap();
    assert!(again[1].host.join("kept").exists() && !again[0].host.join("tmp/gone").exists());
    drop(world.dir);
    assert_eq!(fs::read_dir(&world.config.pods_dir).unwrap().count(), 0);
}

#[test]
fn files_change_beside_those_that_a_container_reads_and_go_when_nobody_does() {
    let mounts = json!({"volumeMounts": [mount("c", "/c")]});
    let volumes = json!([{"name": "c", "configMap": {"name": "c"}}]);
    let world = World::new(volumes, &[("a", mounts.clone()), ("b", mounts)]);
    let version = |index| world.mounts(index).unwrap().swap_remove(1).host;
    world.set_up(&[("c", &[("k", "1")])]).unwrap();
    let first = version(0);
    world.set_up(&[("c", &[("k", "1")])]).unwrap();
    assert_eq!(version(1), first, "what is the same is not written again");
    world.set_up(&[("c", &[("k", "2")])]).unwrap();
    let second = version(0);
    assert_eq!(fs::read_to_string(second.join("k")).unwrap(), "2");
    assert_eq!(fs::read_to_string(first.join("k")).unwrap(), "1", "b may be reading it");
    assert_eq!(version(1), second);
    assert!(!first.exists());
    // Gone from the cluster: what was there is still good.
    let gone = Contents([("c".to_owned(), Err(ConfigError("configmap \"c\" not found".to_owned())))].into());
    world.dir.set_up(&world.pod, &gone, &world.config).unwrap();
    assert_eq!(version(0), second);
}

#[test]
fn a_volume_that_cannot_be_set_up_says_why() {
    let world = World::new(json!([{"name": "c", "configMap": {"name": "c"}}]), &[("a", json!({}))]);
    let gone = Contents([("c".to_owned(), Err(ConfigError("configmap \"c\" not found".to_owned())))].into());
    let told = world.dir.set_up(&world.pod, &gone, &world.config);
    let message = "MountVolume.SetUp failed for volume \"c\" : configmap \"c\" not found";
    assert_eq!(told, Err(VolumeError::Awaits(message.to_owned())));

    let world = World::new(json!([{"name": "h", "hostPath": {"path": "/etc"}}]), &[("a", json!({}))]);
    match world.set_up(&[]) {
        Err(VolumeError::SetUp(told)) => assert!(told.contains("--allow-host-path"), "{told}"),
        other => panic!("{other:?}"),
    }
    // A file cannot be a directory, too.
    let world = World::new(json!([{"name": "p", "projected": {}}]), &[("a", json!({}))]);
    assert!(matches!(world.set_up(&[("p", &[("a", "1"), ("a/b", "2")])]), Err(VolumeError::SetUp(_))));
}

#[test]
fn sub_paths_name_directories_and_files_and_are_expanded() {
    let sub = |name: &str, path: &str, field: &str, sub: &str, read_only: bool| json!({"name": name, "mountPath": path, field: sub, "readOnly": read_only});
    let mounts = json!({"volumeMounts": [
        sub("c", "/conf/one", "subPath", "k", false),
        sub("e", "/own", "subPathExpr", "pods/$(NAME)", false),
        sub("h", "/read", "subPath", "file", true),
        sub("h", "/write", "subPath", "file", false),
        sub("h", "/etc/hostname", "subPath", "file", true),
    ]});
    let volumes = json!([{"name": "c", "configMap": {"name": "c"}}, {"name": "e", "emptyDir": {}},
        {"name": "h", "hostPath": {"path": "HOST"}}]);
    let world = World::new(volumes, &[("a", mounts)]);
    fs::write(world.host().join("file"), "host").unwrap();
    world.set_up(&[("c", &[("k", "v")])]).unwrap();
    let mounts = world.mounts(0).unwrap();
    assert_eq!(shown(&mounts), [("/", true), ("/own", true)]);
    assert!(mounts[1].host.ends_with("empty/e/pods/p-0") && mounts[1].host.is_dir());
    let root = &mounts[0].host;
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    assert_eq!((read("conf/one"), read("read"), read("etc/hostname")), ("v".into(), "host".into(), "host".into()));
    fs::write(root.join("write"), "new").unwrap();
    assert_eq!(fs::read_to_string(world.host().join("file")).unwrap(), "new", "a second name of the same file");
    assert_eq!(read("read"), "host");
}

#[test]
fn what_cannot_be_mounted_is_refused_with_the_reason() {
    let cases = [
        (json!([{"name": "e", "mountPath": "/x", "subPathExpr": "$(NONE)"}]), "missing value for \"NONE\""),
        (json!([{"name": "e", "mountPath": "/x", "subPathExpr": "/$(NAME)"}]), "must not be an absolute path"),
        (json!([{"name": "e", "mountPath": "/x", "subPathExpr": "../$(NAME)"}]), "must not contain '..'"),
        (json!([{"name": "h", "mountPath": "/x", "subPath": "link"}]), "symbolic link"),
        (json!([{"name": "h", "mountPath": "/x", "subPath": "link/below"}]), "volumeMounts \"h\""),
        (json!([{"name": "h", "mountPath": "/x", "subPath": "socket"}]), "neither a directory nor a file"),
        (json!([mount("e", "/x"), {"name": "h", "mountPath": "/x/f", "subPath": "file"}]), "within another mount"),
        (json!([{"name": "h", "mountPath": "/x", "subPath": "large", "readOnly": true}]), "may have 1000"),
    ];
    for (mounts, expected) in cases {
        let volumes = json!([{"name": "e", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "HOST"}}]);
        let world = World::new(volumes, &[("a", json!({"volumeMounts": mounts}))]);
        symlink("/", world.host().join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(world.host().join("socket")).unwrap();
        fs::write(world.host().join("file"), "x").unwrap();
        fs::write(world.host().join("large"), [0; 1001]).unwrap();
        world.set_up(&[]).unwrap();
        match world.mounts(0) {
            Err(VolumeError::Config(told) | VolumeError::Create(told)) => assert!(told.contains(expected), "{told}"),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[test]
fn a_read_only_root_is_read_only_and_takes_no_writable_file() {
    let context = json!({"readOnlyRootFilesystem": true});
    let volumes = json!([{"name": "h", "hostPath": {"path": "HOST/f", "type": "FileOrCreate"}}]);
    let writes = json!({"securityContext": context, "volumeMounts": [mount("h", "/f")]});
    let world = World::new(volumes, &[("a", json!({"securityContext": context})), ("b", writes)]);
    world.set_up(&[]).unwrap();
    assert_eq!(shown(&world.mounts(0).unwrap()), [("/", false)]);
    assert!(matches!(world.mounts(1), Err(VolumeError::Create(told)) if told.contains("read-only")));
}

#[test]
fn what_a_guest_left_behind_leads_nowhere() {
    let sub = json!({"name": "e", "mountPath": "/sub", "subPath": "a"});
    let mounts = json!({"volumeMounts": [mount("e", "/e"), sub]});
    let world = World::new(json!([{"name": "e", "emptyDir": {}}]), &[("a", mounts)]);
    world.set_up(&[]).unwrap();
    let mounts = world.mounts(0).unwrap();
    // As a guest with two mounts of one volume can: the directory behind the second becomes a link.
    fs::remove_dir(&mounts[2].host).unwrap();
    symlink(world.host(), &mounts[2].host).unwrap();
    assert!(world.mounts(0).is_err());
    assert_eq!(fs::read_dir(world.host()).unwrap().count(), 0);
}

#[test]
fn each_empty_dir_and_each_root_has_a_limit() {
    let volumes = json!([{"name": "e", "emptyDir": {}}, {"name": "s", "emptyDir": {"sizeLimit": "2k"}},
        {"name": "z", "emptyDir": {"sizeLimit": "0"}}, {"name": "h", "hostPath": {"path": "HOST"}}]);
    let limited = json!({"resources": {"limits": {"ephemeral-storage": "3k"}}});
    let world = World::new(volumes, &[("a", json!({})), ("b", limited)]);
    world.set_up(&[]).unwrap();
    let container = &world.pod.spec.as_ref().unwrap().containers[0];
    let (mounts, disk) = world.dir.mounts(&world.pod, container, &[], &world.config).unwrap();
    let shown: Vec<_> = disk.areas().iter().map(|area| (area.name.as_str(), area.limit_bytes)).collect();
    assert_eq!(shown, [("e", 1000), ("s", 2000), ("z", 1000), ("container a", 1000), ("container b", 3000)]);
    assert!(disk.areas().iter().any(|area| area.host == mounts[0].host));
}

#[test]
fn a_pod_without_files_makes_no_directory_and_a_strange_uid_is_refused() {
    let world = World::new(json!([]), &[("a", json!({}))]);
    world.set_up(&[]).unwrap();
    assert_eq!(fs::read_dir(&world.config.pods_dir).unwrap().count(), 0);
    assert!(PodDir::new(&world.config.pods_dir, "../x").is_err());
}
