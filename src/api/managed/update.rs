//! Ownership after a create, a replacement or a patch (structured-merge-diff `merge/update.go`, `Update`; apimachinery
//! `fieldmanager.go`, `managedfieldsupdater.go` and `skipnonapplied.go`).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Value, json};

use super::entries::{self, Managers, Operation, Owned};
use super::schema::Type;
use super::walk::{Comparison, compare};
use super::{Author, Part, of_part, without_system_fields};
use crate::api::error::ApiError;
use crate::api::kind::{Kind, Object};
use crate::api::meta;

/// Gives the new object `stored` its entries: its creator owns what it sent and what that was defaulted to, but nothing
/// that the server generated. `defaulted` is what it sent, with defaults.
pub fn created(stored: &mut Object, defaulted: &Object, by: Author<'_>) -> Result<(), ApiError> {
    let kind = stored.kind();
    let asked = defaulted.meta().managed_fields.as_deref();
    let mut managers = asked.and_then(|entries| Managers::read(entries).ok()).unwrap_or_default();
    let change = compare(&blank(kind), &without_entries(defaulted), Type::of(kind));
    take(&mut managers, kind, change, by);
    managers.cap_updates();
    set_entries(stored, &managers, asked.is_some())
}

/// Gives `new`, which is to replace `old`, its entries. `asked` is what the client wrote as `managedFields`: nothing,
/// entries to go on from, or `[]` or `[{}]` to forget all. What cannot be read counts as nothing.
pub fn updated(
    old: &Object,
    new: &mut Object,
    asked: Option<&[ManagedFieldsEntry]>,
    by: Author<'_>,
) -> Result<(), ApiError> {
    let kind = old.kind();
    let live = old.meta().managed_fields.as_deref().unwrap_or_default();
    let asked = asked.filter(|asked| by.part == Part::Object && *asked != live);
    if asked.is_some_and(is_reset) {
        new.meta_mut().managed_fields = None;
        return Ok(());
    }
    let asked = asked.and_then(|entries| Managers::read(entries).ok()).filter(|managers| !managers.0.is_empty());
    let is_asked = asked.is_some();
    let mut managers = match asked {
        Some(managers) => managers,
        // Nothing is told of this object, and nothing will be before it is applied.
        None if live.is_empty() => return Ok(()),
        None => Managers::read(live).unwrap_or_default(),
    };
    let change = compare(&without_entries(old), &without_entries(new), Type::of(kind));
    if change.is_empty() && !is_asked {
        return Ok(());
    }
    take(&mut managers, kind, change, by);
    managers.cap_updates();
    set_entries(new, &managers, is_asked)
}

/// All that an object has, as an update by `by`.
pub(super) fn as_update(object: &Value, kind: Kind, by: Author<'_>) -> Managers {
    let mut managers = Managers::default();
    take(&mut managers, kind, compare(&blank(kind), object, Type::of(kind)), by);
    managers
}

fn set_entries(object: &mut Object, managers: &Managers, check: bool) -> Result<(), ApiError> {
    let entries = managers.write();
    if check {
        let mut faults = Vec::new();
        entries::validate(entries.as_deref().unwrap_or_default(), &mut faults);
        ApiError::check(object.kind(), object.meta().name.as_deref().unwrap_or_default(), faults)?;
    }
    object.meta_mut().managed_fields = entries;
    Ok(())
}

/// Takes what `change` did from the others, for `by`.
fn take(managers: &mut Managers, kind: Kind, change: Comparison, by: Author<'_>) {
    let change = change.map(|set| of_part(set, kind, by.part));
    let set = change.set();
    lose(managers, kind, &change);
    let gained = without_system_fields(&set);
    if gained.is_empty() {
        return;
    }
    let owned = managers.0.entry(by.identity(kind, Operation::Update)).or_insert_with(|| Owned {
        fields: Default::default(),
        api_version: kind.info().api_version(),
        time: None,
    });
    owned.fields.unite(gained);
    owned.time = Some(meta::time(by.now));
}

/// Nobody owns what another one set or removed, or a field of a version that is not served.
pub(super) fn lose(managers: &mut Managers, kind: Kind, change: &Comparison) {
    let (version, set) = (kind.info().api_version(), change.set());
    managers.0.retain(|_, owned| {
        owned.fields = owned.fields.difference(&set).difference(&change.removed);
        owned.api_version == version && !owned.fields.is_empty()
    });
}

/// The object without its entries, which are about the rest of it.
pub(super) fn without_entries(object: &Object) -> Value {
    let mut value = object.to_value();
    if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
        metadata.shift_remove("managedFields");
    }
    value
}

fn is_reset(asked: &[ManagedFieldsEntry]) -> bool {
    match asked {
        [] => true,
        [one] => *one == ManagedFieldsEntry::default(),
        _ => false,
    }
}

/// An object of which nothing is known yet. What is here is always there, so that nobody owns it by making the object:
/// the fields that Go writes even if they are empty.
fn blank(kind: Kind) -> Value {
    let template = || json!({"metadata": {}, "spec": {"containers": []}});
    match kind {
        Kind::CronJob => json!({"metadata": {}, "spec": {"schedule": "", "jobTemplate": {"metadata": {}, "spec":
            {"template": template()}}}, "status": {}}),
        Kind::Job => json!({"metadata": {}, "spec": {"template": template()}, "status": {}}),
        Kind::Pod => json!({"metadata": {}, "spec": {"containers": []}, "status": {}}),
        Kind::Namespace | Kind::Node => json!({"metadata": {}, "spec": {}, "status": {}}),
        Kind::Lease => json!({"metadata": {}, "spec": {}}),
        Kind::Event => json!({"metadata": {}, "involvedObject": {}, "source": {}}),
        Kind::ConfigMap | Kind::Module | Kind::Secret | Kind::ServiceAccount => json!({"metadata": {}}),
    }
}
