//! Reading and writing one object: GET, POST, PUT and PATCH, of the object and of its `/status`.

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use tokio::runtime::Handle;

use super::Api;
use super::apply;
use super::error::{Refusal, add_warnings, json_response};
use super::field_manager::FieldManager;
use super::form::Form;
use super::request::{Params, Payload, Target, Validation};
use super::revision;
use crate::api::admission::{self, Stamp};
use crate::api::decode::{self, Decoded, Parsed};
use crate::api::managed::{self, Applied, Author, Part};
use crate::api::patch::{json, merge, strategic};
use crate::api::{ApiError, FieldError, Key, Kind, Object, Path, meta};
use crate::store::{CommitError, Tx};

/// Tries of a generated name before its collision is the client's to solve, as in Kubernetes.
const NAMES: usize = 8;
/// Characters of a patch that a refusal repeats.
const SHOWN_OF_PATCH: usize = 1000;
/// Tries of a write that others get in the way of.
pub const TRIES: usize = 16;
/// Bytes of a body above which a request may take more than some milliseconds of computing.
const LONG: usize = 256 << 10;

/// A request that writes an object: which, how, by whom, in which form the answer, and what is sent.
pub struct Writing {
    pub api: Api,
    pub target: Target,
    pub params: Params,
    pub manager: FieldManager,
    pub form: Form,
    pub payload: Payload,
}

impl FromRequest<Api> for Writing {
    type Rejection = Refusal;

    async fn from_request(request: Request, api: &Api) -> Result<Writing, Refusal> {
        let (mut parts, body) = request.into_parts();
        let target = Target::from_request_parts(&mut parts, api).await?;
        let params = Params::from_request_parts(&mut parts, api).await?;
        let manager = FieldManager::from_request_parts(&mut parts, api).await?;
        let form = Form::from_request_parts(&mut parts, api).await?;
        // Last, so that nobody sends a body for nothing.
        let payload = Payload::from_request(Request::from_parts(parts, body), api).await?;
        Ok(Writing { api: api.clone(), target, params, manager, form, payload })
    }
}

impl Writing {
    /// A JSON patch of a few bytes may move large lists about, up to what `patch::json` allows: that is seconds.
    fn may_take_long(&self) -> bool {
        self.payload.bytes.len() > LONG || self.payload.media == JSON_PATCH
    }
}

/// Handles a request; one that may take long on a thread of its own, so that all others go on meanwhile. There are few such
/// threads, each taken until the work is done, also if its client has gone; who waits for one and goes costs nothing.
async fn aside<F>(request: Writing, handle: impl FnOnce(Writing) -> F) -> Result<Response, Refusal>
where
    F: Future<Output = Result<Response, Refusal>> + Send + 'static,
{
    if !request.may_take_long() {
        return handle(request).await;
    }
    let thread = request.api.asides.clone().acquire_owned().await;
    let thread = thread.map_err(|error| ApiError::Internal(error.to_string()))?;
    let (runtime, work) = (Handle::current(), handle(request));
    let worked = tokio::task::spawn_blocking(move || {
        let _thread = thread;
        runtime.block_on(work)
    });
    worked.await.map_err(|error| ApiError::Internal(error.to_string()))?
}

/// What the tries of one write have in common.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    pub target: &'a Target,
    pub part: Part,
    pub dry_run: bool,
    pub manager: &'a str,
}

/// What a write makes of the stored object.
#[derive(Debug)]
pub struct Made {
    pub object: Object,
    pub warnings: Vec<String>,
    /// How an apply came to it.
    pub applied: Option<Applied>,
}

/// What a write did.
#[derive(Debug)]
pub struct Written {
    pub object: Object,
    /// What must be on disk before the client hears of it.
    pub revision: u64,
    pub warnings: Vec<String>,
}

pub async fn get(State(api): State<Api>, target: Target, params: Params, form: Form) -> Result<Response, Refusal> {
    revision::check_get(&params, api.store.revision())?;
    let object = find(&api, target.kind, &target.key()).await?;
    Ok(json_response(StatusCode::OK, form.single(&object, api.clock.now(), true)))
}

/// The object, once what is known of it is on disk.
pub async fn find(api: &Api, kind: Kind, key: &Key) -> Result<Object, Refusal> {
    let found = api.store.get(kind, key).ok_or_else(|| ApiError::NotFound(kind, key.clone()).into());
    let object = settled(api, found).await?;
    api.store.durable(object.revision()).await?;
    Ok(object)
}

pub async fn create(request: Writing) -> Result<Response, Refusal> {
    aside(request, post).await
}

async fn post(request: Writing) -> Result<Response, Refusal> {
    let Writing { api, target, params, manager, form, payload } = request;
    let dry_run = params.dry_run("CreateOptions")?;
    let manager = manager.name("CreateOptions")?;
    let (mut object, mut warnings) = params.validation("CreateOptions")?.apply(payload.served(target.served)?)?;
    place_in_namespace(&mut object, &target)?;
    if object.revision() != 0 {
        return Err(Refusal::bad("resourceVersion should not be set on objects to be created"));
    }
    target.served.check_new(&object)?;
    let result = store_new(&api, &object, &manager, dry_run);
    let mut written = settled(&api, result).await?;
    warnings.append(&mut written.warnings);
    answer(&api, StatusCode::CREATED, Written { warnings, ..written }, form).await
}

fn store_new(api: &Api, object: &Object, manager: &str, dry_run: bool) -> Result<Written, Refusal> {
    let generated = object.meta().name.as_deref().unwrap_or_default().is_empty();
    let mut tries = if generated { NAMES } else { 1 };
    let defaulted = admission::defaulted(object);
    loop {
        tries -= 1;
        let stamp = Stamp { now: api.clock.now(), uid: api.ids.uid(), suffix: &api.ids.suffix() };
        let mut new = admission::create(object.clone(), &stamp)?;
        managed::created(&mut new, &defaulted, Author { manager, part: Part::Object, now: stamp.now })?;
        match commit_new(api, new, dry_run) {
            Err(Refusal::Api(ApiError::AlreadyExists(..))) if tries > 0 => {}
            done => return done,
        }
    }
}

/// Stores an object that is ready to be stored, if its namespace takes it.
pub fn commit_new(api: &Api, new: Object, dry_run: bool) -> Result<Written, Refusal> {
    let warnings = admission::warnings(&new);
    let (kind, key) = (new.kind(), new.key());
    let _kept = api.namespaces.read();
    check_namespace(api, kind, &key)?;
    match dry_run {
        true if api.store.get(kind, &key).is_some() => Err(ApiError::AlreadyExists(kind, key).into()),
        true => Ok(Written { object: new, revision: 0, warnings }),
        false => written(api.store.commit(Tx::new().create(new))?, warnings),
    }
}

/// A namespaced object needs a namespace that is to stay.
fn check_namespace(api: &Api, kind: Kind, key: &Key) -> Result<(), ApiError> {
    if !kind.info().namespaced {
        return Ok(());
    }
    let namespace = Key::new("", key.namespace.as_str());
    let Some(found) = api.store.get(Kind::Namespace, &namespace) else {
        return Err(ApiError::NotFound(Kind::Namespace, namespace));
    };
    match meta::is_deleting(found.meta()) {
        true => Err(ApiError::NamespaceTerminating(kind, key.clone())),
        false => Ok(()),
    }
}

/// The namespace of the URL holds; one in the body must be the same.
pub fn place_in_namespace(object: &mut Object, target: &Target) -> Result<(), Refusal> {
    let Some(namespace) = &target.namespace else { return Ok(()) };
    let meta = object.meta_mut();
    match meta.namespace.as_deref().filter(|ns| !ns.is_empty()) {
        Some(other) if other != namespace => Err(Refusal::bad(format!(
            "the namespace of the provided object does not match the namespace sent on the request: {other:?} and \
             {namespace:?}"
        ))),
        _ => {
            meta.namespace = Some(namespace.clone());
            Ok(())
        }
    }
}

pub async fn update(request: Writing) -> Result<Response, Refusal> {
    aside(request, |request| put(request, Part::Object)).await
}

pub async fn update_status(request: Writing) -> Result<Response, Refusal> {
    aside(request, |request| put(request, Part::Status)).await
}

/// PUT of a namespace's `/finalize`: what is no longer to be done before it goes.
pub async fn finalize(request: Writing) -> Result<Response, Refusal> {
    aside(request, |request| put(request, Part::Finalizers)).await
}

async fn put(request: Writing, part: Part) -> Result<Response, Refusal> {
    let Writing { api, target, params, manager, form, payload } = request;
    let dry_run = params.dry_run("UpdateOptions")?;
    let manager = manager.name("UpdateOptions")?;
    let (mut object, mut warnings) = params.validation("UpdateOptions")?.apply(payload.served(target.served)?)?;
    place_in_namespace(&mut object, &target)?;
    // One that does not say what it is about would replace whatever the URL names, by an empty body with nothing.
    let (name, sent) = (&target.name, object.meta().name.as_deref().unwrap_or_default());
    if sent.is_empty() {
        return Err(Refusal::bad(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )));
    }
    if sent != name {
        return Err(Refusal::bad(format!(
            "the name of the object ({sent}) does not match the name on the URL ({name})"
        )));
    }
    if part == Part::Object {
        check_unconditional(&api, &object)?;
    }
    let mut code = StatusCode::OK;
    let write = Write { target: &target, part, dry_run, manager: &manager };
    let mut result =
        modify(&api, &write, |_, _| Ok(Made { object: object.clone(), warnings: Vec::new(), applied: None }));
    let is_missing = matches!(&result, Err(Refusal::Api(ApiError::NotFound(kind, _))) if *kind == target.kind);
    if is_missing && part == Part::Object && creates_on_update(&object) {
        target.served.check_new(&object)?;
        result = store_new(&api, &object, &manager, dry_run);
        code = StatusCode::CREATED;
    }
    let mut written = settled(&api, result).await?;
    warnings.append(&mut written.warnings);
    answer(&api, code, Written { warnings, ..written }, form).await
}

/// Kinds of which a PUT of one that is not there creates it (`AllowCreateOnUpdate` of their strategies), unless it is
/// about one that was there.
fn creates_on_update(object: &Object) -> bool {
    matches!(object.kind(), Kind::Event | Kind::Lease) && object.revision() == 0 && object.uid().is_empty()
}

/// Whoever writes a Lease must know what it replaces (`AllowUnconditionalUpdate` of its strategy).
fn check_unconditional(api: &Api, object: &Object) -> Result<(), Refusal> {
    let (kind, key) = (object.kind(), object.key());
    if kind != Kind::Lease || object.revision() != 0 || api.store.get(kind, &key).is_none() {
        return Ok(());
    }
    let path = Path::root("metadata").child("resourceVersion");
    let causes = vec![FieldError::invalid(&path, 0, "must be specified for an update")];
    Err(ApiError::Invalid { kind, name: key.name, causes }.into())
}

pub async fn patch(request: Writing) -> Result<Response, Refusal> {
    aside(request, |request| apply_patch(request, Part::Object)).await
}

pub async fn patch_status(request: Writing) -> Result<Response, Refusal> {
    aside(request, |request| apply_patch(request, Part::Status)).await
}

async fn apply_patch(request: Writing, part: Part) -> Result<Response, Refusal> {
    if request.payload.media == apply::MEDIA {
        return apply::apply(request, part).await;
    }
    let Writing { api, target, params, manager, form, payload } = request;
    let dry_run = params.dry_run("PatchOptions")?;
    let validation = params.validation("PatchOptions")?;
    let manager = manager.name("PatchOptions")?;
    let patch = PatchKind::of(&payload.media)?;
    if params.get("force").is_some() {
        let cause = FieldError::forbidden(&Path::root("force"), "may not be specified for non-apply patch");
        return Err(Refusal::Options { kind: "PatchOptions", name: String::new(), causes: vec![cause] });
    }
    let Parsed { value: changes, duplicates, .. } =
        decode::json::parse(&payload.bytes).map_err(|e| Refusal::bad(e.to_string()))?;
    // Kubernetes takes what comes of the patch for the faulty value; what was sent is shorter and the client's own.
    let invalid = |detail: String| {
        let sent = decode::path::cut(&String::from_utf8_lossy(&payload.bytes), SHOWN_OF_PATCH);
        Refusal::PatchInvalid(FieldError::invalid(&Path::root("patch"), sent, detail))
    };
    let write = Write { target: &target, part, dry_run, manager: &manager };
    let result = modify(&api, &write, |old, _| {
        let patched = match patch {
            PatchKind::Json => json::apply(target.served.to_value(old), &changes),
            PatchKind::Merge => merge::apply(target.served.to_value(old), &changes),
            PatchKind::Strategic => strategic::apply(target.served.to_value(old), &changes, target.kind),
        }?;
        let decoded = target.served.decode(Parsed::from(patched)).map_err(|error| match error {
            ApiError::BadRequest(detail) => invalid(detail),
            other => other.into(),
        });
        let Decoded { object, mut unknown, .. } = decoded?;
        unknown.extend_from_slice(&duplicates);
        let warnings = match validation {
            Validation::Strict if !unknown.is_empty() => {
                return Err(invalid(format!("strict decoding error: {}", unknown.join(", "))));
            }
            Validation::Strict | Validation::Ignore => Vec::new(),
            Validation::Warn => unknown,
        };
        Ok(Made { object, warnings, applied: None })
    });
    let written = settled(&api, result).await?;
    answer(&api, StatusCode::OK, written, form).await
}

const JSON_PATCH: &str = "application/json-patch+json";

#[derive(Clone, Copy)]
enum PatchKind {
    Json,
    Merge,
    Strategic,
}

impl PatchKind {
    fn of(media: &str) -> Result<PatchKind, Refusal> {
        match media {
            JSON_PATCH => Ok(PatchKind::Json),
            "application/merge-patch+json" => Ok(PatchKind::Merge),
            "application/strategic-merge-patch+json" => Ok(PatchKind::Strategic),
            other => Err(Refusal::UnsupportedMediaType(format!(
                "{other:?} is no kind of patch; send application/strategic-merge-patch+json, \
                 application/merge-patch+json, application/json-patch+json or application/apply-patch+yaml"
            ))),
        }
    }
}

/// Writes what `make` makes of the stored object. A write that others got in the way of is made anew from what is
/// there then, unless its object says on which version it is based.
pub fn modify(
    api: &Api,
    write: &Write<'_>,
    make: impl Fn(&Object, Author<'_>) -> Result<Made, Refusal>,
) -> Result<Written, Refusal> {
    let (kind, key) = (write.target.kind, write.target.key());
    for _ in 0..TRIES {
        let old = api.store.get(kind, &key).ok_or_else(|| ApiError::NotFound(kind, key.clone()))?;
        let by = Author { manager: write.manager, part: write.part, now: api.clock.now() };
        let Made { object, mut warnings, applied } = make(&old, by)?;
        let based_on = object.meta().resource_version.as_deref().filter(|v| !v.is_empty());
        if based_on.is_some_and(|version| Some(version) != old.meta().resource_version.as_deref()) {
            return Err(ApiError::stale(kind, key).into());
        }
        if write.part == Part::Object {
            write.target.served.check_change(&old, &object)?;
        }
        let asked = object.meta().managed_fields.clone();
        let mut new = match write.part {
            Part::Object => admission::update(&old, object, by.now)?,
            Part::Status => admission::update_status(&old, object)?,
            Part::Finalizers => admission::finalize(&old, &object)?,
        };
        match applied {
            Some(applied) => applied.settle(Some(&old), &mut new, by),
            None => managed::updated(&old, &mut new, asked.as_deref(), by)?,
        }
        warnings.extend(admission::warnings(&new));
        if write.dry_run {
            return Ok(Written { object: new, revision: old.revision(), warnings });
        }
        match api.store.commit(Tx::new().update(new)) {
            Err(CommitError::Stale(..) | CommitError::Replaced { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(done) => return written(done, warnings),
        }
    }
    Err(ApiError::stale(kind, key).into())
}

fn written(mut done: crate::store::Committed, warnings: Vec<String>) -> Result<Written, Refusal> {
    let object = done.objects.pop().ok_or_else(|| ApiError::Internal("the commit wrote no object".to_owned()))?;
    Ok(Written { object, revision: done.revision, warnings })
}

/// A refusal that tells of what is stored waits, as an answer does, until that is on disk.
pub async fn settled<T>(api: &Api, result: Result<T, Refusal>) -> Result<T, Refusal> {
    let tells = matches!(
        result,
        Err(Refusal::Api(ApiError::NotFound(..) | ApiError::AlreadyExists(..) | ApiError::Conflict { .. }))
    );
    if tells {
        api.store.durable(api.store.revision()).await?;
    }
    result
}

/// The answer to a write, once it is on disk.
pub async fn answer(api: &Api, code: StatusCode, written: Written, form: Form) -> Result<Response, Refusal> {
    api.store.durable(written.revision).await?;
    let mut response = json_response(code, form.single(&written.object, api.clock.now(), true));
    add_warnings(response.headers_mut(), &written.warnings);
    Ok(response)
}
