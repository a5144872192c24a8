//! The rules of the OCI distribution specification 1.1, one case per rule, named as the official conformance suite names
//! them (github.com/opencontainers/distribution-spec, `conformance/`): pull, push, content discovery, content management.
//! Behind them stand a few that the suite leaves out and clients rely on.

use std::io::Read;

use serde_json::{Value, json};

use super::harness::Server;
use super::other_registry::digest;

const REPO: &str = "conformance/repo";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const BYTES: &str = "application/octet-stream";

struct Answer {
    code: u16,
    headers: ureq::http::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    fn is(self, code: u16) -> Answer {
        assert_eq!(self.code, code, "{} {:?}", String::from_utf8_lossy(&self.body), self.headers);
        self
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    #[track_caller]
    fn refuses(self, code: u16, word: &str) -> Answer {
        let answer = self.is(code);
        let errors = answer.json();
        assert_eq!(errors["errors"][0]["code"], word, "{errors}");
        assert!(errors["errors"][0]["message"].as_str().is_some_and(|message| !message.is_empty()), "{errors}");
        answer
    }
}

struct Registry(Server);

impl Registry {
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true).build().into();
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.0.url) };
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = agent.run(request.body(body.to_vec()).unwrap()).unwrap();
        let mut bytes = Vec::new();
        answer.body_mut().as_reader().read_to_end(&mut bytes).unwrap();
        Answer { code: answer.status().as_u16(), headers: answer.headers().clone(), body: bytes }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", &format!("/v2/{REPO}/{path}"), &[], b"")
    }

    fn head(&self, path: &str) -> Answer {
        self.ask("HEAD", &format!("/v2/{REPO}/{path}"), &[], b"")
    }

    fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", &format!("/v2/{REPO}/{path}"), &[], b"")
    }

    fn post(&self, query: &str) -> Answer {
        self.ask("POST", &format!("/v2/{REPO}/blobs/uploads/{query}"), &[], b"")
    }

    /// Where a new upload goes.
    fn session(&self) -> String {
        let answer = self.post("").is(202);
        answer.header("location").to_owned()
    }

    fn chunk(&self, location: &str, range: &str, bytes: &[u8]) -> Answer {
        self.ask("PATCH", location, &[("Content-Type", BYTES), ("Content-Range", range)], bytes)
    }

    fn close(&self, location: &str, of: &[u8], rest: &[u8]) -> Answer {
        let sign = if location.contains('?') { '&' } else { '?' };
        self.ask("PUT", &format!("{location}{sign}digest={}", digest(of)), &[("Content-Type", BYTES)], rest)
    }

    fn push_blob(&self, bytes: &[u8]) {
        self.close(&self.session(), bytes, bytes).is(201);
    }

    fn put_manifest(&self, reference: &str, manifest: &Value) -> Answer {
        let media_type = manifest["mediaType"].as_str().unwrap_or(MANIFEST);
        let path = format!("/v2/{REPO}/manifests/{reference}");
        self.ask("PUT", &path, &[("Content-Type", media_type)], manifest.to_string().as_bytes())
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

/// An image as the suite has it: nothing that kiln could run.
fn image() -> Value {
    json!({"schemaVersion": 2, "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", b"{\"config\":1}"),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", b"layer")]})
}

fn with_image() -> Registry {
    let registry = Registry(Server::start());
    registry.push_blob(b"{\"config\":1}");
    registry.push_blob(b"layer");
    registry.put_manifest("tagtest0", &image()).is(201);
    registry
}

fn of(manifest: &Value) -> String {
    digest(manifest.to_string().as_bytes())
}

type Case = (&'static str, fn(&Registry));

fn run(registry: &Registry, cases: &[Case]) {
    for (name, case) in cases {
        println!("{name}");
        case(registry);
    }
}

#[test]
fn pull() {
    run(
        &with_image(),
        &[
            ("the API is there", |r| {
                let answer = r.ask("GET", "/v2/", &[], b"").is(200);
                assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
            }),
            ("HEAD request to nonexistent blob should result in 404 response", |r| {
                r.head(&format!("blobs/{}", digest(b"none"))).is(404);
            }),
            ("HEAD request to existing blob should yield 200", |r| {
                let answer = r.head(&format!("blobs/{}", digest(b"layer"))).is(200);
                assert_eq!(answer.header("docker-content-digest"), digest(b"layer"));
                assert_eq!((answer.header("content-length"), answer.body.len()), ("5", 0));
            }),
            ("GET nonexistent blob should result in 404 response", |r| {
                r.get(&format!("blobs/{}", digest(b"none"))).refuses(404, "BLOB_UNKNOWN");
            }),
            ("GET request to existing blob URL should yield 200", |r| {
                assert_eq!(r.get(&format!("blobs/{}", digest(b"layer"))).is(200).body, b"layer");
            }),
            ("GET of a part of a blob should yield 206, and of none 416", |r| {
                let path = format!("/v2/{REPO}/blobs/{}", digest(b"layer"));
                let part = r.ask("GET", &path, &[("Range", "bytes=1-3")], b"").is(206);
                assert_eq!((&*part.body, part.header("content-range")), (&b"aye"[..], "bytes 1-3/5"));
                let none = r.ask("GET", &path, &[("Range", "bytes=5-")], b"").is(416);
                assert_eq!(none.header("content-range"), "bytes */5");
            }),
            ("HEAD request to nonexistent manifest should return 404", |r| {
                r.head("manifests/.INVALID_MANIFEST_NAME").is(404);
                r.head("manifests/none").is(404);
            }),
            ("HEAD request to manifest path (digest and tag) should yield 200 response", |r| {
                for reference in [of(&image()), "tagtest0".to_owned()] {
                    let answer = r.head(&format!("manifests/{reference}")).is(200);
                    assert_eq!(answer.header("docker-content-digest"), of(&image()));
                    assert_eq!(answer.header("content-type"), MANIFEST);
                    assert_eq!(answer.header("content-length"), image().to_string().len().to_string());
                }
            }),
            ("GET nonexistent manifest should return 404", |r| {
                r.get("manifests/none").refuses(404, "MANIFEST_UNKNOWN");
                r.get("manifests/.INVALID_MANIFEST_NAME").refuses(404, "MANIFEST_UNKNOWN");
                r.ask("GET", "/v2/no/such/manifests/x", &[], b"").refuses(404, "NAME_UNKNOWN");
            }),
            ("GET request to manifest path (digest and tag) should yield 200 response", |r| {
                for reference in [of(&image()), "tagtest0".to_owned()] {
                    let answer = r.get(&format!("manifests/{reference}")).is(200);
                    assert_eq!(answer.body, image().to_string().as_bytes(), "byte for byte");
                }
            }),
            ("400 response body should contain OCI-conforming JSON message", |r| {
                r.put_manifest("sha256:totallywrong", &json!({"invalid": 1})).refuses(400, "DIGEST_INVALID");
                r.put_manifest("x", &json!({"invalid": 1})).refuses(400, "MANIFEST_INVALID");
                r.ask("GET", "/v2/Upper/tags/list", &[], b"").refuses(400, "NAME_INVALID");
            }),
        ],
    );
}

#[test]
fn push() {
    run(
        &with_image(),
        &[
            ("PATCH request with blob in body should yield 202, PUT with digest 201", |r| {
                let sent = r.ask("PATCH", &r.session(), &[("Content-Type", BYTES)], b"streamed").is(202);
                assert_eq!(sent.header("range"), "0-7");
                let done = r.close(sent.header("location"), b"streamed", b"").is(201);
                assert_eq!(r.ask("GET", done.header("location"), &[], b"").is(200).body, b"streamed");
            }),
            ("POST request with digest and blob should yield a 201", |r| {
                let path = format!("/v2/{REPO}/blobs/uploads/?digest={}", digest(b"at once"));
                let answer = r.ask("POST", &path, &[("Content-Type", BYTES)], b"at once").is(201);
                assert!(answer.header("location").ends_with(&digest(b"at once")));
                r.get(&format!("blobs/{}", digest(b"at once"))).is(200);
            }),
            ("POST request should yield a session ID, PUT upload of a blob a 201", |r| {
                let answer = r.close(&r.session(), b"two requests", b"two requests").is(201);
                assert_eq!(answer.header("docker-content-digest"), digest(b"two requests"));
                r.get(&format!("blobs/{}", digest(b"two requests"))).is(200);
            }),
            ("Out-of-order blob upload should return 416", |r| {
                let session = r.session();
                let answer = r.chunk(&session, "3-5", b"def").refuses(416, "BLOB_UPLOAD_INVALID");
                assert_eq!(answer.header("location"), session);
            }),
            ("Chunks in order should return 202, and the last one 201", |r| {
                let first = r.chunk(&r.session(), "0-2", b"abc").is(202);
                assert_eq!(first.header("range"), "0-2");
                let location = first.header("location").to_owned();
                let status = r.ask("GET", &location, &[], b"").is(204);
                assert_eq!((status.header("range"), status.header("location")), ("0-2", location.as_str()));
                r.chunk(&location, "0-2", b"abc").is(416);
                let last = format!("{location}?digest={}", digest(b"abcdef"));
                r.ask("PUT", &last, &[("Content-Type", BYTES), ("Content-Range", "3-5")], b"def").is(201);
                assert_eq!(r.get(&format!("blobs/{}", digest(b"abcdef"))).is(200).body, b"abcdef");
            }),
            ("a chunk of another length than it says is refused", |r| {
                r.chunk(&r.session(), "0-9", b"abc").refuses(400, "SIZE_INVALID");
                r.chunk(&r.session(), "x", b"abc").refuses(400, "BLOB_UPLOAD_INVALID");
            }),
            ("other bytes than announced are refused, and leave nothing", |r| {
                r.close(&r.session(), b"these", b"those").refuses(400, "DIGEST_INVALID");
                for bytes in [b"these", b"those"] {
                    r.head(&format!("blobs/{}", digest(bytes))).is(404);
                }
                let session = r.session();
                r.ask("PUT", &session, &[], b"x").refuses(400, "DIGEST_INVALID");
                r.ask("PUT", &format!("{session}?digest=sha256:x"), &[], b"x").refuses(400, "DIGEST_INVALID");
            }),
            ("a cancelled upload is gone", |r| {
                let session = r.session();
                r.ask("DELETE", &session, &[], b"").is(204);
                r.ask("GET", &session, &[], b"").refuses(404, "BLOB_UPLOAD_UNKNOWN");
                r.ask("PATCH", &session, &[], b"x").refuses(404, "BLOB_UPLOAD_UNKNOWN");
            }),
            ("POST request to mount another repository's blob should yield 201, or 202 if it is not there", |r| {
                let path = |bytes| format!("/v2/other/blobs/uploads/?mount={}&from={REPO}", digest(bytes));
                let mounted = r.ask("POST", &path(b"layer"), &[], b"").is(201);
                assert_eq!(r.ask("GET", mounted.header("location"), &[], b"").is(200).body, b"layer");
                r.ask("POST", &path(b"none"), &[], b"").is(202);
            }),
            ("PUT should accept a manifest upload", |r| {
                for n in 0..4 {
                    let answer = r.put_manifest(&format!("test{n}"), &image()).is(201);
                    assert!(answer.header("location").starts_with(&format!("/v2/{REPO}/manifests/")));
                    assert_eq!(answer.header("docker-content-digest"), of(&image()));
                }
                r.put_manifest(&of(&image()), &image()).is(201);
            }),
            ("Registry should accept a manifest upload with no layers", |r| {
                let empty = json!({"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": descriptor("application/vnd.oci.image.config.v1+json", b"{\"config\":1}"), "layers": []});
                r.put_manifest("emptylayer", &empty).is(201);
                r.get("manifests/emptylayer").is(200);
            }),
            ("a manifest of what is not there is refused", |r| {
                let mut absent = image();
                absent["layers"][0] = descriptor("a/b", b"none");
                r.put_manifest("absent", &absent).refuses(404, "MANIFEST_BLOB_UNKNOWN");
                r.put_manifest(&digest(b"x"), &image()).refuses(400, "DIGEST_INVALID");
            }),
            ("a manifest that is too large is refused", |r| {
                let large = json!({"schemaVersion": 2, "x": "x".repeat(5 << 20)}).to_string();
                // It is refused by its length, before a byte of it is sent.
                let headers = [("Content-Type", MANIFEST), ("Expect", "100-continue")];
                let path = format!("/v2/{REPO}/manifests/large");
                r.ask("PUT", &path, &headers, large.as_bytes()).refuses(413, "SIZE_INVALID");
            }),
            ("an image index of what is there is taken", |r| {
                let manifest = image().to_string();
                let index = json!({"schemaVersion": 2, "mediaType": INDEX,
                    "manifests": [descriptor(MANIFEST, manifest.as_bytes())]});
                r.put_manifest("index", &index).is(201);
                assert_eq!(r.get("manifests/index").is(200).header("content-type"), INDEX);
            }),
            ("what is not there for a method or a path says so", |r| {
                r.ask("POST", &format!("/v2/{REPO}/manifests/x"), &[], b"").refuses(405, "UNSUPPORTED");
                r.ask("GET", "/v2/x/y", &[], b"").refuses(404, "UNSUPPORTED");
            }),
        ],
    );
}

#[test]
fn content_discovery() {
    run(
        &with_image(),
        &[
            ("GET of the tags of an unknown repository should yield 404", |r| {
                r.ask("GET", "/v2/none/tags/list", &[], b"").refuses(404, "NAME_UNKNOWN");
            }),
            ("GET request to list tags should yield 200 response, in order", |r| {
                for tag in ["b", "a", "B", "c"] {
                    r.put_manifest(tag, &image()).is(201);
                }
                let tags = r.get("tags/list").is(200).json();
                assert_eq!(tags, json!({"name": REPO, "tags": ["B", "a", "b", "c", "tagtest0"]}));
            }),
            ("GET number of tags should be limitable by `n` query parameter", |r| {
                let page = r.get("tags/list?n=2").is(200);
                assert_eq!(page.json()["tags"], json!(["B", "a"]));
                assert_eq!(page.header("link"), format!("</v2/{REPO}/tags/list?n=2&last=a>; rel=\"next\""));
            }),
            ("GET start of tag is set by `last` query parameter", |r| {
                let page = r.get("tags/list?n=3&last=a").is(200);
                assert_eq!((page.json()["tags"].clone(), page.header("link")), (json!(["b", "c", "tagtest0"]), ""));
            }),
            ("GET request to nonexistent blob should result in empty 200 response", |r| {
                let answer = r.get(&format!("referrers/{}", digest(b"none"))).is(200);
                assert_eq!(answer.header("content-type"), INDEX);
                assert_eq!(answer.json()["manifests"], json!([]));
            }),
            ("GET request to existing manifest should yield its referrers, filtered if asked", |r| {
                r.push_blob(b"{}");
                let about = |artifact_type: &str, config: &str| {
                    json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": artifact_type,
                        "config": descriptor(config, b"{}"), "layers": [descriptor("a/b", b"layer")],
                        "subject": descriptor(MANIFEST, image().to_string().as_bytes()),
                        "annotations": {"of": artifact_type}})
                };
                let empty = "application/vnd.oci.empty.v1+json";
                for artifact_type in ["application/one", "application/two"] {
                    let manifest = about(artifact_type, empty);
                    let answer = r.put_manifest(&of(&manifest), &manifest).is(201);
                    assert_eq!(answer.header("oci-subject"), of(&image()));
                }
                let mut by_config = about("", "application/three");
                by_config.as_object_mut().unwrap().remove("artifactType");
                r.put_manifest("by-config", &by_config).is(201);
                let path = format!("referrers/{}", of(&image()));
                let all = r.get(&path).is(200).json();
                let types = |index: &Value| {
                    let list = index["manifests"].as_array().unwrap().iter();
                    let mut types: Vec<String> =
                        list.map(|m| m["artifactType"].as_str().unwrap_or_default().to_owned()).collect();
                    types.sort();
                    types
                };
                assert_eq!(types(&all), ["application/one", "application/three", "application/two"]);
                assert_eq!(all["manifests"][0]["annotations"]["of"], all["manifests"][0]["artifactType"]);
                let filtered = r.get(&format!("{path}?artifactType=application%2Ftwo")).is(200);
                assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
                assert_eq!(types(&filtered.json()), ["application/two"]);
                r.get("referrers/x").refuses(400, "DIGEST_INVALID");
            }),
            ("a manifest may say something about what is not there yet", |r| {
                let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/early",
                    "config": descriptor("a/b", b"{}"), "layers": [], "subject": descriptor(MANIFEST, b"later")});
                r.put_manifest("early", &manifest).is(201);
                let found = r.get(&format!("referrers/{}", digest(b"later"))).is(200).json();
                assert_eq!(found["manifests"][0]["digest"], of(&manifest));
            }),
        ],
    );
}

#[test]
fn content_management() {
    run(
        &with_image(),
        &[
            ("DELETE request to manifest tag should return 202, and only the tag is gone", |r| {
                r.put_manifest("two", &image()).is(201);
                r.delete("manifests/two").is(202);
                r.get("manifests/two").refuses(404, "MANIFEST_UNKNOWN");
                r.get("manifests/tagtest0").is(200);
                r.delete("manifests/two").refuses(404, "MANIFEST_UNKNOWN");
            }),
            ("DELETE of a blob that a manifest refers to is refused", |r| {
                r.delete(&format!("blobs/{}", digest(b"layer"))).refuses(405, "UNSUPPORTED");
            }),
            ("DELETE request to manifest (digest) should yield 202 response, and its tags are gone", |r| {
                r.delete(&format!("manifests/{}", of(&image()))).is(202);
                for reference in [of(&image()), "tagtest0".to_owned()] {
                    r.get(&format!("manifests/{reference}")).is(404);
                }
                r.delete(&format!("manifests/{}", of(&image()))).is(404);
            }),
            ("DELETE request to blob URL should yield 202 response, and then 404", |r| {
                for _ in 0..2 {
                    let path = format!("blobs/{}", digest(b"layer"));
                    let code = r.delete(&path).code;
                    assert!(matches!(code, 202 | 404), "{code}");
                    r.get(&path).refuses(404, "BLOB_UNKNOWN");
                }
            }),
        ],
    );
}

#[test]
fn a_module_is_checked_at_the_door_and_served_back() {
    let registry = Registry(Server::start());
    let wasm = super::harness::example_module("hello");
    registry.push_blob(&wasm);
    registry.push_blob(b"{}");
    registry.push_blob(b"\0asm\x01\0\0\0");
    let of_wasm = |bytes: &[u8]| {
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [descriptor("application/wasm", bytes)],
            "config": descriptor("application/vnd.wasm.config.v0+json", b"{}")})
    };
    let refused = registry.put_manifest("1", &of_wasm(b"\0asm\x01\0\0\0")).refuses(400, "MANIFEST_INVALID");
    assert!(String::from_utf8_lossy(&refused.body).contains("_start"));
    registry.put_manifest("1", &of_wasm(&wasm)).is(201);
    assert_eq!(registry.get(&format!("blobs/{}", digest(&wasm))).is(200).body, wasm);
    let module = registry.0.get("/apis/kiln.dev/v1/modules")["items"][0].clone();
    assert_eq!((&module["spec"]["name"], &module["spec"]["digest"]), (&json!(REPO), &json!(digest(&wasm))));
    // What came by another way is served as well.
    registry.0.push("conformance/repo:2", &wasm);
    let manifest = registry.get("manifests/2").is(200).json();
    assert_eq!(manifest["layers"][0]["digest"], digest(&wasm));
    let config = manifest["config"]["digest"].as_str().unwrap().to_owned();
    assert_eq!(registry.get(&format!("blobs/{config}")).is(200).json()["os"], "wasip1");
}
