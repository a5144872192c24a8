//! Files for components: those functions of `wasi:filesystem` that can make a directory larger, each in its turn.
//!
//! Every function here does what wasmtime-wasi's own does, after the guest's disk has agreed.

use wasmtime::component::{Linker, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynOutputStream, FsResult};

use super::file_output::FileOutput;
use super::files::Start;
use super::wasi::Guest;

/// What wasmtime-wasi calls the interfaces; components made for other versions of 0.2 find them too.
const PREOPENS: &str = "wasi:filesystem/preopens@0.2.12";
const TYPES: &str = "wasi:filesystem/types@0.2.12";

type Store<'a> = StoreContextMut<'a, Guest>;
type Answer<T> = Result<(Result<T, ErrorCode>,)>;
type This = Resource<Descriptor>;

fn answer<T>(result: FsResult<T>) -> Answer<T> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

/// Replaces those functions of `linker` that change directories.
pub(super) fn limit_files(linker: &mut Linker<Guest>) -> Result<()> {
    linker.allow_shadowing(true);
    let mut preopens = linker.instance(PREOPENS)?;
    preopens.func_wrap("get-directories", |mut store: Store<'_>, (): ()| {
        let guest = store.data_mut();
        let directories = guest.filesystem().get_directories()?;
        for (index, (descriptor, _)) in directories.iter().enumerate() {
            guest.files.mounted(index, descriptor.rep());
        }
        Ok((directories,))
    })?;

    let mut types = linker.instance(TYPES)?;
    types.func_wrap_async("[method]descriptor.write", |mut store: Store<'_>, (this, bytes, offset)| {
        Box::new(async move {
            let (this, bytes, offset): (This, Vec<u8>, u64) = (this, bytes, offset);
            let guest = store.data_mut();
            let len = bytes.len() as u64;
            let _turn = guest.files.turn_to_write(this.rep(), Start::At(offset), len).await?;
            answer(guest.filesystem().write(this, bytes, offset).await)
        })
    })?;
    types.func_wrap("[method]descriptor.write-via-stream", |mut store: Store<'_>, (this, offset)| {
        let (this, offset): (This, u64) = (this, offset);
        let guest = store.data_mut();
        let number = this.rep();
        let stream = guest.filesystem().write_via_stream(this, offset);
        answer(limited(guest, number, Some(offset), stream))
    })?;
    types.func_wrap("[method]descriptor.append-via-stream", |mut store: Store<'_>, (this,)| {
        let this: This = this;
        let guest = store.data_mut();
        let number = this.rep();
        let stream = guest.filesystem().append_via_stream(this);
        answer(limited(guest, number, None, stream))
    })?;
    types.func_wrap_async("[method]descriptor.set-size", |mut store: Store<'_>, (this, size)| {
        Box::new(async move {
            let (this, size): (This, u64) = (this, size);
            let guest = store.data_mut();
            let _turn = guest.files.turn_to_resize(this.rep(), size).await?;
            answer(guest.filesystem().set_size(this, size).await)
        })
    })?;
    types.func_wrap_async("[method]descriptor.create-directory-at", |mut store: Store<'_>, (this, path)| {
        Box::new(async move {
            let (this, path): (This, String) = (this, path);
            let guest = store.data_mut();
            let _turn = guest.files.turn_to_name(this.rep()).await?;
            answer(guest.filesystem().create_directory_at(this, path).await)
        })
    })?;
    types.func_wrap_async("[method]descriptor.symlink-at", |mut store: Store<'_>, (this, old, new)| {
        Box::new(async move {
            let (this, old, new): (This, String, String) = (this, old, new);
            let guest = store.data_mut();
            let _turn = guest.files.turn_to_name(this.rep()).await?;
            answer(guest.filesystem().symlink_at(this, old, new).await)
        })
    })?;
    types.func_wrap_async("[method]descriptor.link-at", |mut store: Store<'_>, (from, flags, old, to, new)| {
        Box::new(async move {
            let (from, flags, old): (This, PathFlags, String) = (from, flags, old);
            let (to, new): (This, String) = (to, new);
            let guest = store.data_mut();
            if guest.files.area(from.rep()) != guest.files.area(to.rep()) {
                return Ok((Err(ErrorCode::CrossDevice),));
            }
            let _turn = guest.files.turn_to_name(to.rep()).await?;
            answer(guest.filesystem().link_at(from, flags, old, to, new).await)
        })
    })?;
    types.func_wrap_async("[method]descriptor.rename-at", |mut store: Store<'_>, (from, old, to, new)| {
        Box::new(async move {
            let (from, old, to, new): (This, String, This, String) = (from, old, to, new);
            let guest = store.data_mut();
            if guest.files.area(from.rep()) != guest.files.area(to.rep()) {
                return Ok((Err(ErrorCode::CrossDevice),));
            }
            let _turn = guest.files.turn_to_rename().await;
            answer(guest.filesystem().rename_at(from, old, to, new).await)
        })
    })?;
    types.func_wrap_async("[method]descriptor.unlink-file-at", |mut store: Store<'_>, (this, path)| {
        Box::new(async move {
            let (this, path): (This, String) = (this, path);
            let guest = store.data_mut();
            let _turn = guest.files.turn_to_rename().await;
            answer(guest.filesystem().unlink_file_at(this, path).await)
        })
    })?;
    types.func_wrap_async("[method]descriptor.remove-directory-at", |mut store: Store<'_>, (this, path)| {
        Box::new(async move {
            let (this, path): (This, String) = (this, path);
            let guest = store.data_mut();
            let _turn = guest.files.turn_to_rename().await;
            answer(guest.filesystem().remove_directory_at(this, path).await)
        })
    })?;
    types.func_wrap_async("[method]descriptor.open-at", |mut store: Store<'_>, (this, at, path, how, flags)| {
        Box::new(async move {
            let (this, at, path): (This, PathFlags, String) = (this, at, path);
            open_at(store.data_mut(), this, at, path, how, flags).await
        })
    })?;
    Ok(())
}

async fn open_at(
    guest: &mut Guest,
    this: This,
    at: PathFlags,
    path: String,
    how: OpenFlags,
    flags: DescriptorFlags,
) -> Answer<This> {
    let area = guest.files.area(this.rep());
    let device = guest.files.devices.named(path.as_bytes());
    let turn = guest.files.turn_to_open(area, how.contains(OpenFlags::CREATE)).await?;
    let opened = guest.filesystem().open_at(this, at, path, how, flags).await;
    if let Ok(handle) = &opened {
        let Guest { wasi, files, .. } = guest;
        let mut descriptor = wasi.ctx().table.get_mut(handle).ok();
        let exchanged = match (device, &mut descriptor) {
            (Some(device), Some(descriptor)) => files.devices.exchange(device, descriptor),
            _ => false,
        };
        files.opened(turn, area.filter(|_| !exchanged), handle.rep(), descriptor.as_deref(), false);
    }
    answer(opened)
}

/// Puts a stream that asks for its turns in the place of one that does not.
fn limited(
    guest: &mut Guest,
    number: u32,
    at: Option<u64>,
    stream: FsResult<Resource<DynOutputStream>>,
) -> FsResult<Resource<DynOutputStream>> {
    let stream = stream?;
    let Some((area, file)) = guest.files.limited(number) else { return Ok(stream) };
    let limited: DynOutputStream = Box::new(FileOutput::new(guest.files.disk.clone(), area, file, at));
    *guest.wasi.ctx().table.get_mut(&stream)? = limited;
    Ok(stream)
}
