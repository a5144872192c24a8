//! `kiln kubeconfig`: a kubeconfig for clients that will not do without one, such as k9s, Headlamp and client libraries.
//!
//! kubectl itself needs none on the server's own machine: without any, it looks at 127.0.0.1:8080.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use ureq::http::Uri;

use super::{Failure, exit, serve};

/// Print a kubeconfig for a kiln server
#[derive(Args, Clone, Debug)]
pub struct KubeconfigArgs {
    /// The server's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// A file that holds the token to show to the server; the token is copied
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Name the file instead, for clients in Go and Rust only, which read the token from it
    #[arg(long, requires = "token_file")]
    link_token: bool,
    /// What cluster, user and context are called
    #[arg(long, default_value = "kiln")]
    name: String,
    /// The namespace that clients start in
    #[arg(long, short, default_value = "default")]
    namespace: String,
}

pub fn run(args: &KubeconfigArgs) -> Result<u8, Failure> {
    let token_file = args.token_file.as_deref().map(absolute).transpose()?;
    let uri = server(&args.server)?;
    if token_file.is_some() && uri.scheme_str() == Some("http") {
        eprintln!(
            "kiln: kubectl and other clients written in Go send no token of a kubeconfig over plain HTTP: give it with \
             --token, or put a proxy with TLS in front of the server"
        );
    }
    let user = match &token_file {
        Some(file) if args.link_token => json!({"tokenFile": file}),
        // Of a file the clients for Python take the end of the line as part of the token, and others read none.
        Some(file) => json!({"token": serve::read_token(file)?}),
        None => json!({}),
    };
    let text = serde_yaml::to_string(&document(args, &uri, user)).map_err(Failure::failed)?;
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::failed)?;
    Ok(exit::OK)
}

fn server(text: &str) -> Result<Uri, Failure> {
    let parsed: Option<Uri> = text.parse().ok();
    parsed.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()).ok_or_else(|| {
        Failure::usage(format!("--server {text}: not the address of a server; it looks like http://127.0.0.1:8080"))
    })
}

/// Clients would take a relative path as beside the kubeconfig.
fn absolute(file: &Path) -> Result<PathBuf, Failure> {
    file.canonicalize().map_err(|e| Failure::usage(format!("--token-file {}: {e}", file.display())))
}

fn document(args: &KubeconfigArgs, uri: &Uri, user: Value) -> Value {
    let name = &args.name;
    let mut cluster = json!({"server": args.server.trim_end_matches('/')});
    if uri.scheme_str() == Some("http") {
        // There is no certificate to check, and the official client for JavaScript speaks plain HTTP only if told so.
        cluster["insecure-skip-tls-verify"] = json!(true);
    }
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": args.namespace}}],
        "current-context": name,
    })
}
