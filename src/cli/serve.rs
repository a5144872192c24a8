//! `kiln serve`: the Kubernetes API on a port, until a signal.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::allow::AllowArgs;
use super::compile_module::CompileArgs;
use super::{Failure, exit};
use crate::app::{self, Access, App};
use crate::config::{self, Config};

#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Address and port; port 0 takes any free one. Other than loopback addresses need --token-file
    #[arg(long, default_value_t = config::DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// Where state is kept
    #[arg(long, value_name = "DIR", default_value = "kiln-data")]
    data_dir: PathBuf,
    /// A file whose one line is the bearer token that requests must carry
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The name of the node [default: the machine's host name]
    #[arg(long)]
    node_name: Option<String>,
    /// Pods at once
    #[arg(long, default_value_t = config::DEFAULT_MAX_PODS, value_parser = clap::value_parser!(u32).range(1..=i64::from(config::MOST_PODS)))]
    max_pods: u32,
    /// Terminated pods that stay; beyond them the oldest are deleted. 0 or less: all stay
    #[arg(long, value_name = "N", default_value_t = i64::from(config::TERMINATED_PODS), allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(..=i64::from(u32::MAX)))]
    terminated_pod_gc_threshold: i64,
    /// A limit of the HTTP server, such as `connections=100`; docs/api.md lists them
    #[arg(long = "limit", value_name = "NAME=N")]
    limits: Vec<String>,
    #[command(flatten)]
    allow: AllowArgs,
    #[command(flatten)]
    compile: CompileArgs,
    /// Seconds for which bytes stay that no module needs
    #[arg(long, value_name = "SECONDS", default_value_t = config::COLLECT_AFTER.as_secs(), value_parser = clap::value_parser!(u64).range(..=315_360_000))]
    collect_after: u64,
    /// How log lines look, on stderr
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// A token shorter than this can be guessed.
const SHORTEST_TOKEN: usize = 16;

pub fn run(args: ServeArgs) -> Result<u8, Failure> {
    super::start_logging("info", args.log_format == LogFormat::Json);
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    let loopback = args.listen.ip().is_loopback();
    if !loopback && token.is_none() {
        return Err(Failure::usage(format!(
            "{} can be reached from other machines: give a token with --token-file, or listen on 127.0.0.1",
            args.listen.ip()
        )));
    }
    let node_name = match args.node_name {
        Some(name) => check_name(name)?,
        None => app::default_node_name(),
    };
    let mut config = Config { node_name, max_pods: args.max_pods, ..Config::new(args.data_dir) };
    config.terminated_pods = u32::try_from(args.terminated_pod_gc_threshold).ok().filter(|n| *n > 0);
    for limit in &args.limits {
        config.server.set(limit).map_err(|e| Failure::usage(format!("--limit {e}")))?;
    }
    args.allow.apply(&mut config)?;
    args.compile.apply(&mut config);
    config.collect_after = Duration::from_secs(args.collect_after);
    allow_open_files();
    let runtime = super::runtime()?;
    let done = runtime.block_on(serve(args.listen, config, Access { token, loopback }));
    runtime.shutdown_background();
    done
}

async fn serve(listen: SocketAddr, config: Config, access: Access) -> Result<u8, Failure> {
    // Bound before anything is opened, so that a taken port harms nothing.
    let listener = TcpListener::bind(listen).await.map_err(|e| {
        Failure::failed(format!(
            "cannot listen on {listen}: {e}; is another kiln running? --listen chooses another port"
        ))
    })?;
    let bound = listener.local_addr().map_err(Failure::failed)?;
    let mut app = App::start(&config).await.map_err(Failure::failed)?;
    let stop = CancellationToken::new();
    let server = tokio::spawn(app.serve(listener, access, stop.clone()));
    tracing::info!(address = %bound, data_dir = %config.data_dir.display(), node = %config.node_name, "kiln serves the Kubernetes API");
    let (mut interrupt, mut terminate) = (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    let code = tokio::select! {
        _ = interrupt.recv() => exit::OK,
        _ = terminate.recv() => exit::OK,
        () = app.failed() => {
            tracing::error!("a part of kiln has ended by itself; stopping");
            exit::FAILED
        }
    };
    tracing::info!("stopping; a second signal ends it at once");
    let stopped = async {
        stop.cancel();
        let _ = server.await;
        app.stop().await;
    };
    tokio::select! {
        () = stopped => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(code)
}

/// Each connection is an open file, and the usual soft limit of 1024 is there for programs that cannot handle more.
fn allow_open_files() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

fn on(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Failure> {
    signal(kind).map_err(|e| Failure::failed(format!("cannot listen for signals: {e}")))
}

/// The token in a file: one line.
pub(super) fn read_token(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file).map_err(|e| Failure::usage(format!("{}: {e}", file.display())))?;
    let token = text.trim();
    if token.len() < SHORTEST_TOKEN || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Failure::usage(format!(
            "{}: a token is one line of at least {SHORTEST_TOKEN} printable characters without spaces",
            file.display()
        )));
    }
    Ok(token.to_owned())
}

fn check_name(name: String) -> Result<String, Failure> {
    match crate::api::names::dns1123_subdomain(&name).first() {
        None => Ok(name),
        Some(why) => Err(Failure::usage(format!("--node-name {name}: {why}"))),
    }
}
