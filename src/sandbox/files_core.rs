//! Files for core modules: those functions of WASI preview 1 that can make a directory larger, each in its turn.
//!
//! Every function here does what wasmtime-wasi's own does, after the guest's disk has agreed.

use wasmtime::{AsContextMut, Caller, Extern, Linker, Result};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p1::types::Fd;
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as wasi, WasiSnapshotPreview1};
use wiggle::GuestMemory;

use super::disk::Turn;
use super::files::{Files, Start, next_handle};
use super::wasi::{Guest, PREVIEW1};

/// `EXDEV` of WASI preview 1: from one file system to another.
const XDEV: i32 = 75;

/// `EINVAL` of WASI preview 1.
const INVAL: i32 = 28;

/// Buffers that one call may name, as on Linux (`IOV_MAX`). wasmtime-wasi looks at each before the first that holds
/// something, and nothing interrupts it: eight million took 55 ms.
const MAX_BUFFERS: u32 = 1024;

fn too_many(buffers: i32) -> bool {
    buffers.cast_unsigned() > MAX_BUFFERS
}

/// Bits of `oflags` and `fdflags`.
const CREAT: i32 = 1;
const APPEND: i32 = 1;

/// The first number that a mount gets, after input, output and errors.
const FIRST_MOUNT: u32 = 3;

impl Guest {
    /// Tells the guest's descriptors which numbers its mounts get.
    pub(super) fn number_mounts(&mut self) {
        for (index, number) in (0..self.files.mounts()).zip(FIRST_MOUNT..) {
            self.files.mounted(index, number);
        }
    }
}

/// Replaces those functions of `linker` that change directories.
pub(super) fn limit_files(linker: &mut Linker<Guest>) -> Result<()> {
    linker.func_wrap_async(PREVIEW1, "fd_write", |mut caller: Caller<'_, Guest>, (fd, iovs, len, written)| {
        Box::new(async move {
            if too_many(len) {
                return Ok(INVAL);
            }
            let (mut memory, guest) = parts(&mut caller)?;
            let start = guest.position(&mut memory, fd);
            let _turn = turn_to_write(&guest.files, &memory, fd, start, iovs, len).await?;
            wasi::fd_write(&mut guest.wasi, &mut memory, fd, iovs, len, written).await
        })
    })?;
    linker.func_wrap_async(
        PREVIEW1,
        "fd_pwrite",
        |mut caller: Caller<'_, Guest>, (fd, iovs, len, offset, written)| {
            Box::new(async move {
                let offset: i64 = offset;
                if too_many(len) {
                    return Ok(INVAL);
                }
                let (mut memory, guest) = parts(&mut caller)?;
                let start = Some(Start::At(offset.cast_unsigned()));
                let _turn = turn_to_write(&guest.files, &memory, fd, start, iovs, len).await?;
                wasi::fd_pwrite(&mut guest.wasi, &mut memory, fd, iovs, len, offset, written).await
            })
        },
    )?;
    linker.func_wrap_async(PREVIEW1, "fd_read", |mut caller: Caller<'_, Guest>, (fd, iovs, len, read)| {
        Box::new(async move {
            if too_many(len) {
                return Ok(INVAL);
            }
            let (mut memory, guest) = parts(&mut caller)?;
            wasi::fd_read(&mut guest.wasi, &mut memory, fd, iovs, len, read).await
        })
    })?;
    linker.func_wrap_async(PREVIEW1, "fd_pread", |mut caller: Caller<'_, Guest>, (fd, iovs, len, offset, read)| {
        Box::new(async move {
            if too_many(len) {
                return Ok(INVAL);
            }
            let (mut memory, guest) = parts(&mut caller)?;
            wasi::fd_pread(&mut guest.wasi, &mut memory, fd, iovs, len, offset, read).await
        })
    })?;
    linker.func_wrap_async(PREVIEW1, "fd_filestat_set_size", |mut caller: Caller<'_, Guest>, (fd, size)| {
        Box::new(async move {
            let (fd, size): (i32, i64) = (fd, size);
            let (mut memory, guest) = parts(&mut caller)?;
            let _turn = guest.files.turn_to_resize(fd.cast_unsigned(), size.cast_unsigned()).await?;
            wasi::fd_filestat_set_size(&mut guest.wasi, &mut memory, fd, size).await
        })
    })?;
    linker.func_wrap_async(PREVIEW1, "fd_fdstat_set_flags", |mut caller: Caller<'_, Guest>, (fd, flags)| {
        Box::new(async move {
            let (fd, flags): (i32, i32) = (fd, flags);
            let (mut memory, guest) = parts(&mut caller)?;
            let errno = wasi::fd_fdstat_set_flags(&mut guest.wasi, &mut memory, fd, flags)?;
            if errno == 0 {
                guest.files.set_appends(fd.cast_unsigned(), flags & APPEND != 0);
            }
            Ok(errno)
        })
    })?;
    linker.func_wrap_async(PREVIEW1, "fd_renumber", |mut caller: Caller<'_, Guest>, (from, to)| {
        Box::new(async move {
            let (from, to): (i32, i32) = (from, to);
            let (mut memory, guest) = parts(&mut caller)?;
            let errno = wasi::fd_renumber(&mut guest.wasi, &mut memory, from, to).await?;
            if errno == 0 && from != to {
                guest.files.renumber(from.cast_unsigned(), to.cast_unsigned());
            }
            Ok(errno)
        })
    })?;
    linker.func_wrap_async(PREVIEW1, "path_open", |mut caller, arguments| {
        Box::new(async move { path_open(&mut caller, arguments).await })
    })?;
    linker.func_wrap_async(PREVIEW1, "path_create_directory", |mut caller: Caller<'_, Guest>, (fd, path, len)| {
        Box::new(async move {
            let fd: i32 = fd;
            let (mut memory, guest) = parts(&mut caller)?;
            let _turn = guest.files.turn_to_name(fd.cast_unsigned()).await?;
            wasi::path_create_directory(&mut guest.wasi, &mut memory, fd, path, len).await
        })
    })?;
    linker.func_wrap_async(
        PREVIEW1,
        "path_symlink",
        |mut caller: Caller<'_, Guest>, (old, old_len, fd, new, new_len)| {
            Box::new(async move {
                let fd: i32 = fd;
                let (mut memory, guest) = parts(&mut caller)?;
                let _turn = guest.files.turn_to_name(fd.cast_unsigned()).await?;
                wasi::path_symlink(&mut guest.wasi, &mut memory, old, old_len, fd, new, new_len).await
            })
        },
    )?;
    linker.func_wrap_async(
        PREVIEW1,
        "path_link",
        |mut caller: Caller<'_, Guest>, (from, flags, old, old_len, to, new, new_len)| {
            Box::new(async move {
                let (from, to): (i32, i32) = (from, to);
                let (mut memory, guest) = parts(&mut caller)?;
                if guest.files.area(from.cast_unsigned()) != guest.files.area(to.cast_unsigned()) {
                    return Ok(XDEV);
                }
                let _turn = guest.files.turn_to_name(to.cast_unsigned()).await?;
                wasi::path_link(&mut guest.wasi, &mut memory, from, flags, old, old_len, to, new, new_len).await
            })
        },
    )?;
    linker.func_wrap_async(
        PREVIEW1,
        "path_rename",
        |mut caller: Caller<'_, Guest>, (from, old, old_len, to, new, new_len)| {
            Box::new(async move {
                let (from, to): (i32, i32) = (from, to);
                let (mut memory, guest) = parts(&mut caller)?;
                if guest.files.area(from.cast_unsigned()) != guest.files.area(to.cast_unsigned()) {
                    return Ok(XDEV);
                }
                let _turn = guest.files.turn_to_rename().await;
                wasi::path_rename(&mut guest.wasi, &mut memory, from, old, old_len, to, new, new_len).await
            })
        },
    )?;
    linker.func_wrap_async(PREVIEW1, "path_unlink_file", |mut caller: Caller<'_, Guest>, (fd, path, len)| {
        Box::new(async move {
            let (mut memory, guest) = parts(&mut caller)?;
            let _turn = guest.files.turn_to_rename().await;
            wasi::path_unlink_file(&mut guest.wasi, &mut memory, fd, path, len).await
        })
    })?;
    linker.func_wrap_async(PREVIEW1, "path_remove_directory", |mut caller: Caller<'_, Guest>, (fd, path, len)| {
        Box::new(async move {
            let (mut memory, guest) = parts(&mut caller)?;
            // Who measures a directory must find the way back out of it.
            let _turn = guest.files.turn_to_rename().await;
            wasi::path_remove_directory(&mut guest.wasi, &mut memory, fd, path, len).await
        })
    })?;
    Ok(())
}

/// dirfd, dirflags, path, its length, oflags, rights, inherited rights, fdflags, where the answer goes.
type OpenArguments = (i32, i32, i32, i32, i32, i64, i64, i32, i32);

async fn path_open(caller: &mut Caller<'_, Guest>, arguments: OpenArguments) -> Result<i32> {
    let (dirfd, dirflags, path, len, oflags, rights, inherited, fdflags, answer) = arguments;
    let (mut memory, guest) = parts(caller)?;
    let area = guest.files.area(dirfd.cast_unsigned());
    let device = bytes_at(&memory, path, len).and_then(|path| guest.files.devices.named(path));
    if area.is_none() && device.is_none() {
        let errno = wasi::path_open(
            &mut guest.wasi,
            &mut memory,
            dirfd,
            dirflags,
            path,
            len,
            oflags,
            rights,
            inherited,
            fdflags,
            answer,
        )
        .await?;
        if errno == 0
            && !guest.files.are_unlimited()
            && let Some(fd) = number_at(&memory, answer)
        {
            guest.files.opened(None, None, fd, None, false);
        }
        return Ok(errno);
    }
    let turn = guest.files.turn_to_open(area, oflags & CREAT != 0).await?;
    // The mounts take their handles at the first call of any function; then the next handle is the file's.
    let _ = guest.wasi.fd_tell(&mut memory, Fd::from(0));
    let handle = next_handle(guest.wasi.ctx().table);
    let errno = wasi::path_open(
        &mut guest.wasi,
        &mut memory,
        dirfd,
        dirflags,
        path,
        len,
        oflags,
        rights,
        inherited,
        fdflags,
        answer,
    )
    .await?;
    if errno != 0 {
        return Ok(errno);
    }
    let Guest { wasi, files, .. } = guest;
    let mut descriptor =
        handle.and_then(|handle| wasi.ctx().table.get_any_mut(handle).ok()?.downcast_mut::<Descriptor>());
    let exchanged = match (device, &mut descriptor) {
        (Some(device), Some(descriptor)) => files.devices.exchange(device, descriptor),
        _ => false,
    };
    if let Some(fd) = number_at(&memory, answer) {
        let area = area.filter(|_| !exchanged);
        files.opened(turn, area, fd, descriptor.as_deref(), fdflags & APPEND != 0);
    }
    Ok(errno)
}

impl Guest {
    /// Where the next write through `fd` goes; nothing if it is no file.
    fn position(&mut self, memory: &mut GuestMemory<'_>, fd: i32) -> Option<Start> {
        self.files.area(fd.cast_unsigned())?;
        self.wasi.fd_tell(memory, Fd::from(fd.cast_unsigned())).ok().map(Start::At)
    }
}

/// A turn to write the first of `len` buffers.
async fn turn_to_write(
    files: &Files,
    memory: &GuestMemory<'_>,
    fd: i32,
    start: Option<Start>,
    iovs: i32,
    len: i32,
) -> Result<Option<Turn>> {
    let fd = fd.cast_unsigned();
    let Some(start) = start else { return Ok(None) };
    let start = if files.appends(fd) { Start::End } else { start };
    Ok(files.turn_to_write(fd, start, first_length(memory, iovs, len)).await?)
}

/// The guest's memory and what the store holds. Traps without a memory, as all of WASI does.
fn parts<'a>(caller: &'a mut Caller<'_, Guest>) -> Result<(GuestMemory<'a>, &'a mut Guest)> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(wasmtime::format_err!("missing required memory export"));
    };
    let fuel = caller.as_context_mut().hostcall_fuel();
    let (bytes, guest) = memory.data_and_store_mut(caller);
    guest.wasi.set_hostcall_fuel(fuel);
    Ok((GuestMemory::Unshared(bytes), guest))
}

fn bytes_at<'a>(memory: &'a GuestMemory<'_>, start: i32, len: i32) -> Option<&'a [u8]> {
    let GuestMemory::Unshared(bytes) = memory else { return None };
    let start = start.cast_unsigned() as usize;
    bytes.get(start..start.checked_add(len.cast_unsigned() as usize)?)
}

fn number_at(memory: &GuestMemory<'_>, start: i32) -> Option<u32> {
    bytes_at(memory, start, 4)?.try_into().ok().map(u32::from_le_bytes)
}

/// The length of the first of `count` buffers that is not empty: the one that a call writes. What lies outside the
/// memory is refused by the call itself.
fn first_length(memory: &GuestMemory<'_>, buffers: i32, count: i32) -> u64 {
    let Some(len) = count.checked_mul(8) else { return 0 };
    let Some(buffers) = bytes_at(memory, buffers, len) else { return 0 };
    let lengths = buffers.chunks_exact(8).filter_map(|buffer| buffer.last_chunk::<4>());
    lengths.map(|len| u32::from_le_bytes(*len)).find(|len| *len > 0).unwrap_or(0).into()
}
