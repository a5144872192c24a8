//! The world that a guest sees: its arguments, variables, directories and output, clocks and randomness; empty input;
//! the network that it is given. Nothing comes from the host's own environment.
//!
//! wasmtime-wasi offers WASI; this file replaces those of its preview-1 functions that do not suit guests nobody trusts.

use std::fmt::Display;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::Linker as ComponentLinker;
use wasmtime::{Caller, Engine, Extern, Linker, Result};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, I32Exit, Rng, WasiCtxBuilder, WasiCtxView, WasiView, p2, thread_rng};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::directory::open_without_links;
use super::disk::Disk;
use super::files::Files;
use super::files_component;
use super::files_core;
use super::http::Http;
use super::limits::GuestLimits;
use super::meter::Meter;
use super::network::Network;
use super::run::Budget;
use super::stdio::{Output, Sink, Stream};

/// The module name of WASI preview 1.
pub(super) const PREVIEW1: &str = "wasi_snapshot_preview1";

/// Random bytes made before others may run: about a tenth of a millisecond.
const RANDOM_CHUNK: usize = 64 << 10;

/// The largest random request of a component, whose answer is a buffer of the host's. Larger ones trap.
const MAX_RANDOM: u64 = 1 << 20;

/// `ENOTSOCK` of WASI preview 1.
const NOTSOCK: i32 = 57;

/// A directory of the host that the guest sees at a path of its own. It must be a directory of plain files: a guest
/// that opens a FIFO in it blocks a thread of the runtime's blocking pool until somebody writes. Symbolic links in the
/// path `host` are not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub host: PathBuf,
    pub guest: String,
    pub writable: bool,
}

impl Mount {
    pub fn new(host: impl Into<PathBuf>, guest: impl Into<String>, writable: bool) -> Mount {
        Mount { host: host.into(), guest: guest.into(), writable }
    }
}

/// What the store of one run holds.
pub(super) struct Guest {
    pub(super) wasi: WasiP1Ctx,
    pub(super) files: Files,
    http: WasiHttpCtx,
    requests: Http,
    /// Made on the first use: most guests never ask.
    random: Option<Box<dyn Rng + Send>>,
    pub(super) limits: GuestLimits,
    pub(super) budget: Budget,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.ctx()
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let table = self.wasi.ctx().table;
        WasiHttpCtxView { ctx: &mut self.http, table, hooks: &mut self.requests }
    }
}

/// What [`Guest::new`] needs of a run.
pub(super) struct World<'a> {
    pub(super) argv: &'a [String],
    pub(super) env: &'a [(String, String)],
    pub(super) mounts: &'a [Mount],
    pub(super) disk: Disk,
    pub(super) network: Network,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) max_handles: usize,
}

impl Guest {
    /// A guest that is given nothing, for a store in which nothing runs.
    pub(super) fn inert() -> Guest {
        Guest {
            wasi: WasiCtxBuilder::new().build_p1(),
            files: Files::new(Disk::unlimited(), &[]),
            http: WasiHttpCtx::new(),
            requests: Http::new(Network::none()),
            random: None,
            limits: GuestLimits::new(0, 0, 0, Meter::default()),
            budget: Budget::none(),
        }
    }

    /// Fails if a mount's directory cannot be opened; the error names it.
    pub(super) fn new(world: World<'_>, limits: GuestLimits, budget: Budget) -> Result<Guest, String> {
        let mut wasi = WasiCtxBuilder::new();
        wasi.args(world.argv)
            .envs(world.env)
            .stdout(Output::new(world.sink.clone(), Stream::Stdout))
            .stderr(Output::new(world.sink, Stream::Stderr))
            .allow_blocking_current_thread(false)
            .max_random_size(MAX_RANDOM);
        for mount in world.mounts {
            let permissions = if mount.writable { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
            let failed = |error: &dyn Display| format!("cannot open the directory of {}: {error}", mount.guest);
            let directory = open_without_links(&mount.host).map_err(|error| failed(&error))?;
            // The directory that was opened, and not whatever has its path by now.
            let host = format!("/proc/self/fd/{}", directory.as_raw_fd());
            wasi.preopened_dir(&host, &mount.guest, permissions).map_err(|error| failed(&error))?;
        }
        world.network.open(&mut wasi);
        let mut wasi = wasi.build_p1();
        wasi.ctx().table.set_max_capacity(world.max_handles);
        let files = Files::new(world.disk, world.mounts);
        let (http, requests) = (WasiHttpCtx::new(), Http::new(world.network));
        Ok(Guest { wasi, files, http, requests, random: None, limits, budget })
    }
}

pub(super) fn core_linker(engine: &Engine) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |guest: &mut Guest| &mut guest.wasi)?;
    linker.allow_shadowing(true);
    // wasmtime-wasi makes an error of every code from 126 on, among them the 127 and 137 that scripts look for. Codes
    // that do not fit a byte lose their upper bits, as the exit codes of Unix processes do.
    linker.func_wrap(PREVIEW1, "proc_exit", |code: i32| -> Result<()> { Err(I32Exit(code & 0xff).into()) })?;
    // wasmtime-wasi makes all bytes in one buffer of the host's, 64 MiB at most, without letting anyone else run.
    linker.func_wrap_async(PREVIEW1, "random_get", |caller, (buffer, len): (i32, i32)| {
        Box::new(random_get(caller, buffer.cast_unsigned() as usize, len.cast_unsigned() as usize))
    })?;
    // wasmtime-wasi logs a warning at each of these calls, as often as the guest likes. There are no sockets to call
    // them on.
    linker.func_wrap(PREVIEW1, "sock_accept", |_: i32, _: i32, _: i32| NOTSOCK)?;
    linker.func_wrap(PREVIEW1, "sock_recv", |_: i32, _: i32, _: i32, _: i32, _: i32, _: i32| NOTSOCK)?;
    linker.func_wrap(PREVIEW1, "sock_send", |_: i32, _: i32, _: i32, _: i32, _: i32| NOTSOCK)?;
    linker.func_wrap(PREVIEW1, "sock_shutdown", |_: i32, _: i32| NOTSOCK)?;
    if std::env::var_os("XX").is_none() {
        files_core::limit_files(&mut linker)?;
    }
    Ok(linker)
}

pub(super) fn component_linker(engine: &Engine) -> Result<ComponentLinker<Guest>> {
    let mut linker = ComponentLinker::new(engine);
    p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    files_component::limit_files(&mut linker)?;
    Ok(linker)
}

/// Fills `len` bytes of the guest's memory at `start`, a chunk at a time. Traps if they are not all in its memory, as
/// WASI's functions do for any bad pointer.
async fn random_get(mut caller: Caller<'_, Guest>, start: usize, len: usize) -> Result<i32> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(wasmtime::format_err!("missing required memory export"));
    };
    let end = start + len;
    for from in (start..end).step_by(RANDOM_CHUNK) {
        if from > start {
            tokio::task::yield_now().await;
        }
        let (bytes, guest) = memory.data_and_store_mut(&mut caller);
        let size = bytes.len();
        match bytes.get_mut(from..end.min(from + RANDOM_CHUNK)) {
            Some(chunk) if end <= size => guest.random.get_or_insert_with(thread_rng).fill_bytes(chunk),
            _ => wasmtime::bail!("random_get: pointer out of bounds: {len} bytes at {start}"),
        }
    }
    Ok(0)
}
