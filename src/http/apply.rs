//! Server-side apply: PATCH with `application/apply-patch+yaml`. What it does to an object is told in
//! [`crate::api::managed`]; here it is read, tried until nobody is in its way, and answered. An object that is not there
//! is created.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::Api;
use super::error::Refusal;
use super::request::{Payload, Target, Validation};
use super::resource::{Made, TRIES, Write, Writing, Written, answer, commit_new, modify, place_in_namespace, settled};
use crate::api::admission::{self, Stamp};
use crate::api::decode::{self, Decoded, Parsed};
use crate::api::managed::{self, Author, Config, Part};
use crate::api::{ApiError, Kind, Object, Served};

pub const MEDIA: &str = "application/apply-patch+yaml";
const OPTIONS: &str = "PatchOptions";

pub async fn apply(request: Writing, part: Part) -> Result<Response, Refusal> {
    let Writing { api, target, params, manager, form, payload } = request;
    let dry_run = params.dry_run(OPTIONS)?;
    let validation = params.validation(OPTIONS)?;
    let manager = manager.applier(OPTIONS)?;
    let (config, mut warnings) = read(&target, &payload, validation)?;
    check_names(&config, &target)?;
    let write = Write { target: &target, part, dry_run, manager: &manager };
    let result = try_all(&api, &write, &config, params.flag("force"));
    let (code, mut written) = settled(&api, result).await?;
    warnings.append(&mut written.warnings);
    answer(&api, code, Written { warnings, ..written }, form).await
}

/// The configuration, in the words in which the kind is stored, and warnings. What is unknown is refused whatever the client
/// says of validation, as in Kubernetes: a field without a type cannot be merged, nor owned by anybody.
fn read(target: &Target, payload: &Payload, validation: Validation) -> Result<(Config, Vec<String>), Refusal> {
    let mut parsed = parse(&payload.bytes)?;
    let duplicates = std::mem::take(&mut parsed.duplicates);
    if target.served != Served::Stored(target.kind) {
        let unknown = target.served.decode(parsed.clone())?.unknown;
        known(target, &unknown)?;
        parsed.value = target.served.stored_words(parsed.value);
    }
    let (config, unknown) = managed::read_config(target.kind, parsed)?;
    known(target, &unknown)?;
    let complaints = Decoded { object: (), unknown: duplicates, dropped: Vec::new() };
    let ((), warnings) = validation.choose(complaints, target.served.info())?;
    Ok((config, warnings))
}

/// Worded as by structured-merge-diff (`typed/helpers.go`) and apimachinery (`managedfields/internal/structuredmerge.go`).
fn known(target: &Target, unknown: &[String]) -> Result<(), Refusal> {
    if unknown.is_empty() {
        return Ok(());
    }
    let field = |complaint: &String| {
        let path = complaint.trim_start_matches("unknown field \"").trim_end_matches('"');
        format!(".{path}: field not declared in schema")
    };
    let faults: Vec<String> = unknown.iter().map(field).collect();
    let all = if faults.len() == 1 { faults.concat() } else { format!("errors:\n  {}", faults.join("\n  ")) };
    let info = target.served.info();
    let name = match &target.namespace {
        Some(namespace) => format!("{namespace}/{}", target.name),
        None => format!("/{}", target.name),
    };
    let of = format!("{name}; {}, Kind={}", info.api_version(), info.kind);
    Err(Refusal::bad(format!("failed to create typed patch object ({of}): {all}")))
}

/// YAML, of which JSON is nearly a part; kubectl sends JSON.
fn parse(bytes: &[u8]) -> Result<Parsed, Refusal> {
    if bytes.trim_ascii_start().first() == Some(&b'{')
        && let Ok(parsed) = decode::json::parse(bytes)
    {
        return Ok(parsed);
    }
    decode::yaml::single(bytes).map_err(|e| Refusal::bad(format!("error decoding YAML: {e}")))
}

fn check_names(config: &Config, target: &Target) -> Result<(), Refusal> {
    match config.meta("name") {
        Some(name) if name != target.name => Err(Refusal::bad(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        ))),
        _ => Ok(()),
    }
}

/// Changes the object, or creates it, whichever is possible when nobody else is faster.
fn try_all(api: &Api, write: &Write<'_>, config: &Config, force: bool) -> Result<(StatusCode, Written), Refusal> {
    for _ in 0..TRIES {
        let changed = modify(api, write, |old, by| {
            let mut applied = managed::apply(Some(old), config, by, force)?;
            let mut object = decoded(config.kind, std::mem::take(&mut applied.value))?;
            place_in_namespace(&mut object, write.target)?;
            Ok(Made { object, warnings: Vec::new(), applied: Some(applied) })
        });
        match changed {
            Err(Refusal::Api(ApiError::NotFound(..))) if write.part == Part::Object => {}
            other => return other.map(|written| (StatusCode::OK, written)),
        }
        match create(api, write, config) {
            Err(Refusal::Api(ApiError::AlreadyExists(..))) => {}
            other => return other.map(|written| (StatusCode::CREATED, written)),
        }
    }
    Err(ApiError::stale(config.kind, write.target.key()).into())
}

fn create(api: &Api, write: &Write<'_>, config: &Config) -> Result<Written, Refusal> {
    let (kind, key) = (config.kind, write.target.key());
    for (field, what) in [("uid", "uid mismatch: "), ("resourceVersion", "resourceVersion mismatch: ")] {
        if let Some(asked) = config.meta(field) {
            let detail =
                format!("{what}the provided object specified {field} {asked}, and no existing object was found");
            return Err(ApiError::Conflict { kind, key, detail }.into());
        }
    }
    if config.meta("name").is_none() {
        return Err(Refusal::bad(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            key.name
        )));
    }
    let by = Author { manager: write.manager, part: write.part, now: api.clock.now() };
    let mut applied = managed::apply(None, config, by, false)?;
    let mut object = decoded(kind, std::mem::take(&mut applied.value))?;
    place_in_namespace(&mut object, write.target)?;
    write.target.served.check_new(&object)?;
    let stamp = Stamp { now: by.now, uid: api.ids.uid(), suffix: &api.ids.suffix() };
    let mut new = admission::create(object, &stamp)?;
    applied.settle(None, &mut new, by);
    commit_new(api, new, write.dry_run)
}

/// The merged object; what is unknown in it has been told of when the body was read.
fn decoded(kind: Kind, value: Value) -> Result<Object, Refusal> {
    Ok(decode::value_body(kind, Parsed::from(value))?.object)
}
