//! A small registry in the process of a test, that can misbehave. It stands alone, so that the tests of the whole program
//! (`tests/it`) have it, too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, header};
use futures::StreamExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// `tester:s3cret` in base64.
const BASIC: &str = "Basic dGVzdGVyOnMzY3JldA==";
const TOKEN: &str = "t0ken";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    #[default]
    Nobody,
    /// `tester` and `s3cret`.
    Basic,
    /// A token, for the same.
    Bearer,
}

/// What a path is answered, instead of what is there.
#[derive(Clone, Debug)]
pub enum Odd {
    Says(u16, String),
    /// The head promises so many bytes, and the connection breaks after these.
    Breaks(u64, Vec<u8>),
    /// Nothing, ever.
    Hangs,
    /// After the first bytes, nothing more.
    Stalls(Vec<u8>),
    SendsTo(String),
    /// Bytes without an end.
    Endless,
    Waits(Duration),
}

#[derive(Default)]
struct State {
    host: String,
    auth: Auth,
    /// By path.
    files: HashMap<String, (String, Bytes)>,
    odd: HashMap<String, Odd>,
    /// Methods and paths, in order.
    asked: Vec<String>,
}

/// Listens on loopback until its process ends.
pub struct Registry {
    pub host: String,
    state: Arc<Mutex<State>>,
}

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

impl Registry {
    pub fn start() -> Registry {
        Registry::start_with(Auth::Nobody)
    }

    pub fn start_with(auth: Auth) -> Registry {
        let state = Arc::new(Mutex::new(State { auth, ..State::default() }));
        let shared = state.clone();
        let (told, bound) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                let routes = Router::new().fallback(move |request| answer(shared.clone(), request));
                axum::serve(listener, routes).await.unwrap();
            });
        });
        let host = bound.recv().unwrap().to_string();
        state.lock().unwrap().host.clone_from(&host);
        Registry { host, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// `HOST/NAME`, as an image.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    pub fn put_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        let file = ("application/octet-stream".to_owned(), Bytes::copy_from_slice(bytes));
        self.state().files.insert(format!("/v2/{repository}/blobs/{digest}"), file);
        digest
    }

    /// Under a tag and its own digest; answers that.
    pub fn put_manifest(&self, repository: &str, tag: &str, manifest: &Value) -> String {
        let bytes = manifest.to_string();
        let media_type = manifest["mediaType"].as_str().unwrap_or(MANIFEST).to_owned();
        let digest = digest(bytes.as_bytes());
        for name in [tag, &digest] {
            let file = (media_type.clone(), Bytes::from(bytes.clone()));
            self.state().files.insert(format!("/v2/{repository}/manifests/{name}"), file);
        }
        digest
    }

    /// A module as artifact; answers the digest of its manifest.
    pub fn put_module(&self, repository: &str, tag: &str, wasm: &[u8]) -> String {
        let layer = self.put_blob(repository, wasm);
        self.put_manifest(repository, tag, &manifest(&layer, wasm.len()))
    }

    pub fn misbehaves(&self, path: &str, odd: Odd) {
        self.state().odd.insert(path.to_owned(), odd);
    }

    /// Takes it back.
    pub fn behaves(&self) {
        self.state().odd.clear();
    }

    /// How often a path that ends so was asked for.
    pub fn count(&self, end: &str) -> usize {
        self.state().asked.iter().filter(|path| path.ends_with(end)).count()
    }
}

pub fn manifest(layer: &str, size: usize) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": digest(b"{}"), "size": 2},
        "layers": [{"mediaType": "application/wasm", "digest": layer, "size": size}],
    })
}

fn says(code: u16, content_type: &str, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(code).header(header::CONTENT_TYPE, content_type).body(body.into()).unwrap()
}

async fn answer(state: Arc<Mutex<State>>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let (auth, host, file, odd) = {
        let mut state = state.lock().unwrap();
        state.asked.push(format!("{} {path}", request.method()));
        (state.auth, state.host.clone(), state.files.get(&path).cloned(), state.odd.get(&path).cloned())
    };
    if path == "/token" {
        return match shown.as_deref() {
            Some(BASIC) => says(200, "application/json", json!({ "token": TOKEN }).to_string()),
            _ => says(401, "application/json", "who are you?"),
        };
    }
    let (expected, challenge) = match auth {
        Auth::Nobody => (None, String::new()),
        Auth::Basic => (Some(BASIC.to_owned()), "Basic realm=\"test\"".to_owned()),
        Auth::Bearer => {
            (Some(format!("Bearer {TOKEN}")), format!("Bearer realm=\"http://{host}/token\",service=\"s\""))
        }
    };
    if expected.is_some() && expected != shown {
        let mut refusal = says(401, "application/json", r#"{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}"#);
        refusal.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.parse().unwrap());
        return refusal;
    }
    match odd {
        None => {}
        Some(Odd::Says(code, body)) => return says(code, "application/json", body),
        Some(Odd::Hangs) => std::future::pending().await,
        Some(Odd::Waits(duration)) => drop(tokio::time::timeout(duration, std::future::pending::<()>()).await),
        Some(Odd::SendsTo(place)) => {
            return Response::builder().status(307).header(header::LOCATION, place).body(Body::empty()).unwrap();
        }
        Some(Odd::Breaks(length, bytes)) => {
            let begin = futures::stream::iter([Ok(Bytes::from(bytes))]);
            // Once the beginning is on its way: what breaks before it is not seen at all.
            let end = futures::stream::once(async {
                let _ = tokio::time::timeout(Duration::from_millis(50), std::future::pending::<()>()).await;
                Err(std::io::Error::other("broken"))
            });
            let mut answer = says(200, "application/octet-stream", Body::from_stream(begin.chain(end)));
            answer.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            return answer;
        }
        Some(Odd::Stalls(bytes)) => {
            let begin = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
            return says(200, "application/octet-stream", Body::from_stream(begin.chain(futures::stream::pending())));
        }
        Some(Odd::Endless) => {
            let piece = Bytes::from(vec![b' '; 64 << 10]);
            let endless = futures::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()));
            return says(200, "application/octet-stream", Body::from_stream(endless));
        }
    }
    match file {
        _ if path == "/v2/" => says(200, "application/json", "{}"),
        Some((content_type, bytes)) => says(200, &content_type, bytes),
        None => {
            let code = if path.contains("/manifests/") { "MANIFEST_UNKNOWN" } else { "BLOB_UNKNOWN" };
            let body = json!({"errors": [{"code": code, "message": "it is not here"}]});
            says(404, "application/json", body.to_string())
        }
    }
}
