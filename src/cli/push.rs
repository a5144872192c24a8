//! `kiln push NAME[:TAG] FILE`: gives a module to a running server.
//!
//! What can be said about the file is said before anything is sent.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use ureq::http::{Response, StatusCode, Uri};
use ureq::{Agent, Body, SendBody};

use crate::modules::{MAX_MODULE, Reference, ReferenceError};

/// For the connection to be there. There is none for the answer: the server compiles first.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read.
const MAX_ANSWER: u64 = 1 << 20;

/// Upload a WebAssembly module to a running kiln server
#[derive(Args, Clone, Debug)]
pub struct PushArgs {
    /// What manifests call it in their `image` fields; the tag is `latest` unless given
    #[arg(value_name = "NAME[:TAG]")]
    pub name: String,
    /// The module: a `.wasm` file made for WASI
    pub file: PathBuf,
    /// The server's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub server: String,
    /// A file that holds the token to show to the server
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// Why nothing was pushed, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error("`{name}` is not a name for a module: {cause}")]
    Name { name: String, cause: ReferenceError },
    #[error("cannot read {}: {cause}", path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("{} is a directory; give the `.wasm` file itself", .0.display())]
    Directory(PathBuf),
    #[error("{} is not a WebAssembly module: {looks_like}", path.display())]
    NotWasm { path: PathBuf, looks_like: &'static str },
    #[error("{} has {size} bytes, and a module may have at most {MAX_MODULE}", path.display())]
    TooLarge { path: PathBuf, size: u64 },
    #[error("`{0}` is not the address of a server: it looks like `http://127.0.0.1:8080`")]
    Server(String),
    #[error(
        "the address {0} asks for TLS, which `kiln push` does not speak: use `http://`, through a tunnel if need be"
    )]
    Tls(String),
    #[error("the token in {} is empty or has characters that a token cannot have", .0.display())]
    Token(PathBuf),
    #[error("there is no server at {0}: start one with `kiln serve`, or give its address with `--server`")]
    NoServer(String),
    #[error("the server at {server} could not be reached, or broke off: {cause}")]
    Connection { server: String, cause: ureq::Error },
    #[error("the server wants a token: give the file that holds it with `--token-file`")]
    Unauthorized,
    #[error("the server refused the module: {0}")]
    Refused(String),
    #[error("what answers at {server} is not kiln, or is another version of it (it said {code})")]
    NotKiln { server: String, code: StatusCode },
}

/// Checks the file, uploads it, and says so on stderr.
pub fn run(args: PushArgs) -> Result<(), PushError> {
    let name = args.name.clone();
    let reference = args.name.parse::<Reference>().map_err(|cause| PushError::Name { name, cause })?;
    let server = args.server.trim_end_matches('/').to_owned();
    check_server(&server)?;
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    let (file, size) = open_module(&args.file)?;

    let bar = progress_bar(size);
    let answer = send(&server, &reference, token.as_deref(), size, Upload { file, bar: bar.clone() });
    bar.finish_and_clear();
    let pushed = read_answer(&server, answer?)?;
    eprintln!("pushed {reference} {} ({} bytes)", pushed.digest, pushed.size);
    Ok(())
}

fn check_server(server: &str) -> Result<(), PushError> {
    let uri: Option<Uri> = server.parse().ok();
    match uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.host()?))) {
        Some(("http", _)) => Ok(()),
        Some(("https", _)) => Err(PushError::Tls(server.to_owned())),
        _ => Err(PushError::Server(server.to_owned())),
    }
}

fn read_token(path: &Path) -> Result<String, PushError> {
    let read = std::fs::read_to_string(path).map_err(|cause| PushError::File { path: path.to_owned(), cause })?;
    let token = read.trim();
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token { Ok(token.to_owned()) } else { Err(PushError::Token(path.to_owned())) }
}

/// The file at its beginning, and its size, once it begins like a module.
fn open_module(path: &Path) -> Result<(File, u64), PushError> {
    use std::io::Seek;
    let failed = |cause| PushError::File { path: path.to_owned(), cause };
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(PushError::Directory(path.to_owned()));
    }
    let mut start = Vec::new();
    (&mut file).take(512).read_to_end(&mut start).map_err(failed)?;
    if !start.starts_with(b"\0asm") {
        return Err(PushError::NotWasm { path: path.to_owned(), looks_like: looks_like(&start) });
    }
    file.rewind().map_err(failed)?;
    match metadata.len() {
        size if size > MAX_MODULE => Err(PushError::TooLarge { path: path.to_owned(), size }),
        size => Ok((file, size)),
    }
}

/// What else people give by mistake. The server knows more of them.
fn looks_like(start: &[u8]) -> &'static str {
    match start {
        [] => "the file is empty",
        [0x7f, b'E', b'L', b'F', ..] => "it looks like a program for Linux; build it for `wasm32-wasip1`",
        [0x1f, 0x8b, ..] | [b'P', b'K', 3, 4, ..] => "it looks like an archive; unpack it first",
        _ if start.trim_ascii_start().starts_with(b"(") => {
            "it looks like WebAssembly text; make a binary of it first (`wat2wasm`, or `wasm-tools parse`)"
        }
        _ if start.is_ascii() && !start.contains(&0) => "it looks like text",
        _ => "it does not start with the bytes of a module (00 61 73 6d)",
    }
}

/// Drawn on stderr, if that is a terminal.
fn progress_bar(size: u64) -> ProgressBar {
    let bar = ProgressBar::new(size);
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec}");
    // The template is ours and has no fault; without it the bar has its usual look.
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_message("uploading")
}

/// The file, which shows how far it has been read.
struct Upload {
    file: File,
    bar: ProgressBar,
}

impl Read for Upload {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(into)?;
        self.bar.inc(n as u64);
        if Some(self.bar.position()) == self.bar.length() {
            self.bar.set_message("the server compiles it");
        }
        Ok(n)
    }
}

fn send(
    server: &str,
    reference: &Reference,
    token: Option<&str>,
    size: u64,
    upload: Upload,
) -> Result<Response<Body>, PushError> {
    let mut config = Agent::config_builder().http_status_as_error(false).timeout_connect(Some(CONNECT_TIMEOUT));
    let host = server.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    if host == "localhost" || host.starts_with("127.") || host == "[::1]" {
        // A proxy has another machine of that name.
        config = config.proxy(None);
    }
    let agent: Agent = config.build().into();
    // The only characters of a reference that an address does not take as they are.
    let path = reference.to_string().replace('[', "%5B").replace(']', "%5D");
    let mut request = agent
        .put(format!("{server}/modules/{path}"))
        .header("content-type", "application/wasm")
        .header("content-length", size)
        // So that a server that will not have it says so before it is sent.
        .header("expect", "100-continue");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let server = server.to_owned();
    request.send(SendBody::from_owned_reader(upload)).map_err(|cause| match &cause {
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => PushError::NoServer(server),
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => PushError::NoServer(server),
        _ => PushError::Connection { server, cause },
    })
}

/// What the server says of a module that it has.
#[derive(Deserialize)]
struct Pushed {
    digest: String,
    size: u64,
}

/// What it says otherwise.
#[derive(Deserialize)]
struct Status {
    message: String,
}

fn read_answer(server: &str, answer: Response<Body>) -> Result<Pushed, PushError> {
    let (parts, body) = answer.into_parts();
    let mut text = Vec::new();
    body.into_reader()
        .take(MAX_ANSWER)
        .read_to_end(&mut text)
        .map_err(|cause| PushError::Connection { server: server.to_owned(), cause: cause.into() })?;
    let not_kiln = |_| PushError::NotKiln { server: server.to_owned(), code: parts.status };
    match parts.status {
        code if code.is_success() => serde_json::from_slice(&text).map_err(not_kiln),
        StatusCode::UNAUTHORIZED => Err(PushError::Unauthorized),
        _ => {
            let status: Status = serde_json::from_slice(&text).map_err(not_kiln)?;
            Err(PushError::Refused(status.message))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use prometheus_client::registry::Registry;

    use super::*;
    use crate::clock::Clock;
    use crate::modules::Digest;
    use crate::modules::testing::{LIBRARY, Opened, PROGRAM};

    fn args(name: &str, file: &Path, server: &str) -> PushArgs {
        PushArgs { name: name.to_owned(), file: file.to_owned(), server: server.to_owned(), token_file: None }
    }

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    async fn serve(routes: axum::Router) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        address
    }

    async fn push(args: PushArgs) -> Result<(), PushError> {
        tokio::task::spawn_blocking(move || run(args)).await.unwrap()
    }

    #[tokio::test]
    async fn a_module_is_pushed_and_a_refusal_is_told() {
        let opened = Opened::new();
        let limits = crate::config::ServerLimits::default();
        let server = crate::http::Server::new(limits, Clock::real(), Registry::default(), Vec::new());
        let routes = crate::http::modules::routes(opened.modules.clone(), server);
        let server = format!("http://{}/", serve(routes).await);
        let large = [PROGRAM, &[0, 0x84, 0x80, 0x40, 1, b'n'], &vec![0; (1 << 20) + 2]].concat();
        for (name, bytes) in [("pi", PROGRAM), ("[::1]:5000/tools/pi:1.0", PROGRAM), ("large", &large)] {
            push(args(name, file(bytes).path(), &server)).await.unwrap();
            assert_eq!(opened.modules.index().resolve(&name.parse().unwrap()), Some(Digest::of(bytes)), "{name}");
        }
        let refused = push(args("lib", file(LIBRARY).path(), &server)).await.unwrap_err().to_string();
        assert!(refused.starts_with("the server refused the module: the module is a library"), "{refused}");
    }

    #[tokio::test]
    async fn a_server_that_wants_a_token_gets_it_or_says_so() {
        use axum::http::{HeaderMap, StatusCode};
        let answer = |headers: HeaderMap| async move {
            let is_known = headers.get("authorization").is_some_and(|token| token == "Bearer secret");
            if is_known { (StatusCode::CREATED, "not JSON") } else { (StatusCode::UNAUTHORIZED, "") }
        };
        let server = format!("http://{}", serve(axum::Router::new().fallback(answer)).await);
        let (module, token) = (file(PROGRAM), file(b"secret\n"));
        let without = args("pi", module.path(), &server);
        assert!(matches!(push(without.clone()).await, Err(PushError::Unauthorized)));
        let with = PushArgs { token_file: Some(token.path().to_owned()), ..without };
        assert!(matches!(push(with).await, Err(PushError::NotKiln { code: StatusCode::CREATED, .. })));
    }

    #[test]
    fn what_is_wrong_is_said_before_anything_is_sent() {
        let directory = tempfile::tempdir().unwrap();
        let (module, text, elf) = (file(PROGRAM), file(b"hello"), file(b"\x7fELF..."));
        let nowhere = "http://127.0.0.1:1";
        let absent = directory.path().join("pi.wasm");
        for (args, part) in [
            (args("Pi", module.path(), nowhere), "`Pi` is not a name for a module"),
            (args("pi", &absent, nowhere), "No such file"),
            (args("pi", directory.path(), nowhere), "is a directory"),
            (args("pi", text.path(), nowhere), "it looks like text"),
            (args("pi", elf.path(), nowhere), "a program for Linux"),
            (args("pi", module.path(), "https://kiln.example"), "asks for TLS"),
            (args("pi", module.path(), "127.0.0.1:8080"), "is not the address of a server"),
            (args("pi", module.path(), nowhere), "start one with `kiln serve`"),
        ] {
            let message = run(args).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
