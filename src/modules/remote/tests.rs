//! Pulls from a registry that behaves, and from one that does not.

use std::time::Duration;

use serde_json::json;

use super::super::testing::{LIBRARY, Opened, PROGRAM, another_program};
use super::testing::{Auth, Odd, Registry, digest, manifest};
use super::*;

/// A server that may ask a registry, and has little patience.
struct Puller {
    opened: Opened,
    registries: Registries,
}

impl Puller {
    fn of(registry: &Registry) -> Puller {
        let patience =
            Patience { answer: Duration::from_secs(2), stall: Duration::from_millis(300), bytes_per_second: 1 << 20 };
        Puller::with(registry, Clock::real(), patience)
    }

    fn with(registry: &Registry, clock: Clock, patience: Patience) -> Puller {
        let opened = Opened::new();
        let allowed = [registry.host.parse().unwrap()].into();
        Puller { registries: Registries::new(opened.modules.clone(), clock, allowed, patience), opened }
    }

    async fn pull(&self, image: &str) -> Answer {
        self.registries.pull(&image.parse().unwrap(), Vec::new()).await
    }

    async fn refused(&self, image: &str) -> String {
        self.pull(image).await.unwrap_err().to_string()
    }

    fn means(&self, image: &str) -> Option<Digest> {
        self.opened.modules.index().resolve(&image.parse().unwrap())
    }
}

fn basic(password: &str) -> Credentials {
    Credentials::Basic { username: "tester".to_owned(), password: password.to_owned() }
}

#[test]
fn only_listed_hosts_are_allowed_and_never_a_bare_name() {
    let registry = Registry::start();
    let puller = Puller::of(&registry);
    let allows = |image: &str| puller.registries.allows(&image.parse().unwrap());
    assert!(allows(&registry.image("tools/pi:1")));
    for image in ["pi", "tools/pi", "ghcr.io/pi", "127.0.0.1/pi", "127.0.0.1:1/pi"] {
        assert!(!allows(image), "{image}");
    }
}

#[tokio::test]
async fn a_module_is_pulled_by_tag_by_digest_and_out_of_an_index() {
    let registry = Registry::start();
    let puller = Puller::of(&registry);
    let of = registry.put_module("tools/pi", "1", PROGRAM);
    let image = registry.image("tools/pi:1");
    let pulled = puller.pull(&image).await.unwrap();
    assert_eq!((pulled.digest, pulled.size), (Digest::of(PROGRAM), PROGRAM.len() as u64));
    assert_eq!(puller.means(&image), Some(Digest::of(PROGRAM)));
    // What is here is not fetched again.
    let layer = digest(PROGRAM);
    assert_eq!(registry.count(&layer), 1);
    let pulled = puller.pull(&registry.image(&format!("tools/pi@{of}"))).await.unwrap();
    assert_eq!((pulled.digest, registry.count(&layer)), (Digest::of(PROGRAM), 1));

    let (wasm, other) = (another_program(1), another_program(2));
    let one = registry.put_blob("multi", &wasm);
    let entry = |digest: &str, architecture: &str| {
        json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1,
            "platform": {"os": "wasip1", "architecture": architecture}})
    };
    let for_wasm = registry.put_manifest("multi", "a", &manifest(&one, wasm.len()));
    let for_amd64 = registry.put_manifest("multi", "b", &manifest(&digest(&other), other.len()));
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry(&for_amd64, "amd64"), entry(&for_wasm, "wasm")]});
    let of_index = registry.put_manifest("multi", "latest", &index);
    let pulled = puller.pull(&registry.image("multi")).await.unwrap();
    assert_eq!(pulled.digest, Digest::of(&wasm));
    // Each digest by which it was asked for is known from then on.
    let by_digest = registry.image(&format!("multi@{of_index}"));
    puller.pull(&by_digest).await.unwrap();
    for image in [by_digest, registry.image(&format!("tools/pi@{of}"))] {
        assert!(puller.means(&image).is_some(), "{image}");
    }
}

#[tokio::test]
async fn what_cannot_be_used_says_why_and_leaves_nothing() {
    let registry = Registry::start();
    let puller = Puller::of(&registry);
    registry.put_module("lib", "latest", LIBRARY);
    let tar = json!({"schemaVersion": 2, "layers": [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(b"x"), "size": 1}]});
    registry.put_manifest("image", "latest", &tar);
    registry.put_manifest("huge", "latest", &manifest(&digest(b"x"), 1 << 40));
    registry.put_manifest("gone", "latest", &manifest(&digest(b"x"), 1));
    let large = json!({"schemaVersion": 2, "x": "x".repeat(4 << 20)});
    registry.put_manifest("large", "latest", &large);
    for (name, path, odd) in [
        ("text", "manifests/latest", Odd::Says(200, "hello".to_owned())),
        ("fails", "manifests/latest", Odd::Says(503, "overloaded\nstill".to_owned())),
        ("refuses", "manifests/latest", Odd::Says(403, r#"{"errors":[{"code":"DENIED","message":"no"}]}"#.to_owned())),
    ] {
        registry.misbehaves(&format!("/v2/{name}/{path}"), odd);
    }
    for (name, part) in [
        ("lib", "it exports no `_start`"),
        ("image", "a container image"),
        ("huge", "the module has 1099511627776 bytes"),
        ("gone", "it is not here"),
        ("none", "it is not here"),
        ("large", "the manifest has 41943"),
        ("text", "not JSON"),
        ("fails", "503: overloaded still"),
        ("refuses", "DENIED"),
    ] {
        let said = puller.refused(&registry.image(name)).await;
        assert!(said.to_lowercase().contains(&part.to_lowercase()), "{name}: {said}");
    }
    assert_eq!(puller.opened.files(), (0, 0));
    let nowhere = Registry::start();
    let unplugged = Puller::of(&nowhere);
    let said = unplugged.refused("127.0.0.1:1/x").await;
    assert!(said.contains("refused"), "{said}");
}

#[tokio::test]
async fn a_layer_that_does_not_come_as_announced_leaves_nothing() {
    let registry = Registry::start();
    let puller = Puller::of(&registry);
    let size = PROGRAM.len();
    for (name, odd, part) in [
        ("wrong", Odd::Says(200, "x".repeat(size)), "digest"),
        ("long", Odd::Says(200, "x".repeat(size + 1)), "another size"),
        ("short", Odd::Says(200, "x".repeat(size - 1)), "another size"),
        ("endless", Odd::Endless, "another size"),
        ("breaks", Odd::Breaks(size as u64, PROGRAM[..9].to_vec()), "broke off after 9 bytes"),
        ("stalls", Odd::Stalls(PROGRAM[..9].to_vec()), "9 bytes"),
        ("hangs", Odd::Hangs, "timed out"),
        ("lost", Odd::Says(404, String::new()), "404"),
    ] {
        registry.put_module(name, "latest", PROGRAM);
        registry.misbehaves(&format!("/v2/{name}/blobs/{}", digest(PROGRAM)), odd);
        let said = puller.refused(&registry.image(name)).await;
        assert!(said.contains(part), "{name}: {said}");
        assert_eq!(puller.means(&registry.image(name)), None, "{name}");
    }
    puller.opened.settle(0).await;
    let elsewhere = format!("http://{}/v2/there/blobs/{}", registry.host, registry.put_blob("there", PROGRAM));
    registry.put_module("moved", "latest", PROGRAM);
    registry.misbehaves(&format!("/v2/moved/blobs/{}", digest(PROGRAM)), Odd::SendsTo(elsewhere));
    assert_eq!(puller.pull(&registry.image("moved")).await.unwrap().digest, Digest::of(PROGRAM));
}

#[tokio::test]
async fn a_manifest_that_does_not_come_or_does_not_end_is_given_up() {
    let registry = Registry::start();
    let puller = Puller::of(&registry);
    for (name, odd) in [("hangs", Odd::Hangs), ("stalls", Odd::Stalls(b"{".to_vec()))] {
        registry.misbehaves(&format!("/v2/{name}/manifests/latest"), odd);
        let said = puller.refused(&registry.image(name)).await;
        assert!(said.contains("asking for the manifest") || said.contains("timed out"), "{name}: {said}");
    }
    registry.behaves();
    registry.put_module("hangs", "latest", PROGRAM);
    assert_eq!(Puller::of(&registry).pull(&registry.image("hangs")).await.unwrap().digest, Digest::of(PROGRAM));
}

#[tokio::test]
async fn credentials_are_shown_in_the_way_that_the_registry_asks_for() {
    for auth in [Auth::Basic, Auth::Bearer] {
        let registry = Registry::start_with(auth);
        let puller = Puller::of(&registry);
        registry.put_module("secret", "latest", PROGRAM);
        let reference: Reference = registry.image("secret").parse().unwrap();
        let said = puller.pull(&registry.image("secret")).await.unwrap_err().to_string();
        assert!(said.contains("imagePullSecrets") || said.contains("who are you?"), "{auth:?}: {said}");
        let wrong = puller.registries.pull(&reference, vec![basic("wrong")]).await.unwrap_err().to_string();
        assert!(!wrong.contains("wrong"), "{auth:?}: {wrong}");
        // One of several is right; and who has it is not told what others were.
        let several = vec![basic("wrong"), basic("s3cret")];
        let pulled = puller.registries.pull(&reference, several).await.unwrap();
        assert_eq!(pulled.digest, Digest::of(PROGRAM), "{auth:?}");
    }
}

#[tokio::test]
async fn pulls_of_the_same_are_one_and_the_answer_is_remembered_for_a_moment() {
    let registry = Registry::start();
    let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
    let puller = Puller::with(&registry, clock.clone(), Patience::default());
    registry.put_module("pi", "latest", PROGRAM);
    registry.misbehaves("/v2/pi/manifests/latest", Odd::Waits(Duration::from_millis(100)));
    let image = registry.image("pi");
    let asked = || registry.count("/v2/pi/manifests/latest");
    for pulled in futures::future::join_all((0..100).map(|_| puller.pull(&image))).await {
        assert_eq!(pulled.unwrap().digest, Digest::of(PROGRAM));
    }
    puller.pull(&image).await.unwrap();
    assert_eq!(asked(), 1);
    // The tag moves, and is seen to have moved a little later.
    let other = another_program(1);
    registry.put_module("pi", "latest", &other);
    assert_eq!(puller.pull(&image).await.unwrap().digest, Digest::of(PROGRAM));
    clock.advance(REMEMBERED);
    assert_eq!(puller.pull(&image).await.unwrap().digest, Digest::of(&other));
    assert_eq!((asked(), puller.means(&image)), (2, Some(Digest::of(&other))));
    // A failure is remembered, too; others who ask are answered meanwhile.
    let none = registry.image("none");
    for _ in 0..3 {
        puller.pull(&none).await.unwrap_err();
    }
    assert_eq!(registry.count("/v2/none/manifests/latest"), 1);
    puller.registries.pull(&none.parse().unwrap(), vec![basic("x")]).await.unwrap_err();
    assert_eq!(registry.count("/v2/none/manifests/latest"), 2, "other credentials are another question");
}
