//! `metadata.managedFields` as a map from managers to what they own, and back (apimachinery
//! `util/managedfields/internal/managedfields.go` and `capmanagers.go`).

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, Time};

use super::fields_v1;
use super::set::FieldSet;
use super::validate::validate_name;
use crate::api::field::{FieldError, Path};

const FIELDS_V1: &str = "FieldsV1";
/// Entries of updates that an object keeps; beyond them the oldest become one.
const MOST_UPDATERS: usize = 10;
/// The manager of those.
const OLD_UPDATES: &str = "ancient-changes";
const MOST_SUBRESOURCE: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Apply,
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        }
    }
}

/// Who owns fields. `Display` is how a conflict names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    pub manager: String,
    pub operation: Operation,
    /// Empty for an applier, which is the same whatever version it applies.
    pub api_version: String,
    /// Empty for the object itself.
    pub subresource: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.manager)?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {:?}", self.subresource)?;
        }
        match self.operation {
            Operation::Apply => Ok(()),
            Operation::Update => write!(f, " using {}", self.api_version),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Owned {
    pub fields: FieldSet,
    pub api_version: String,
    pub time: Option<Time>,
}

/// All managers of one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Managers(pub BTreeMap<Identity, Owned>);

impl Managers {
    /// What `entries` say, or why they say nothing.
    pub fn read(entries: &[ManagedFieldsEntry]) -> Result<Managers, String> {
        let mut managers = Managers::default();
        for (i, entry) in entries.iter().enumerate() {
            let (identity, owned) = read_entry(entry).map_err(|e| format!("managedFields[{i}]: {e}"))?;
            managers.0.insert(identity, owned);
        }
        Ok(managers)
    }

    /// In the order of Kubernetes: appliers first, then by time and name. `None` if there are none.
    pub fn write(&self) -> Option<Vec<ManagedFieldsEntry>> {
        let seconds = |owned: &Owned| owned.time.as_ref().map_or(0, |time| time.0.as_second());
        let mut all: Vec<(&Identity, &Owned)> = self.0.iter().collect();
        all.sort_by_key(|(who, owned)| (who.operation, seconds(owned), *who));
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let entry = |(who, owned): (&Identity, &Owned)| ManagedFieldsEntry {
            api_version: Some(owned.api_version.clone()),
            fields_type: Some(FIELDS_V1.to_owned()),
            fields_v1: Some(FieldsV1(fields_v1::write(&owned.fields))),
            manager: text(&who.manager),
            operation: Some(who.operation.name().to_owned()),
            subresource: text(&who.subresource),
            time: owned.time.clone(),
        };
        (!all.is_empty()).then(|| all.into_iter().map(entry).collect())
    }

    /// Makes one of the oldest updates, until there are few enough.
    pub fn cap_updates(&mut self) {
        let updates = self.0.iter().filter(|(who, _)| who.operation == Operation::Update);
        let seconds = |owned: &Owned| owned.time.as_ref().map_or(0, |time| time.0.as_second());
        let mut oldest: Vec<(i64, Identity)> = updates.map(|(who, owned)| (seconds(owned), who.clone())).collect();
        oldest.sort_unstable();
        let mut left = oldest.len();
        let mut first: Option<Identity> = None;
        for (_, who) in oldest {
            if left <= MOST_UPDATERS {
                return;
            }
            // The first one becomes the bucket when a second one joins it.
            let Some(bucket_of) = &first else {
                first = Some(who);
                continue;
            };
            let bucket = Identity { manager: OLD_UPDATES.to_owned(), subresource: String::new(), ..who.clone() };
            if !self.0.contains_key(&bucket)
                && let Some(owned) = self.0.remove(bucket_of)
            {
                self.0.insert(bucket.clone(), owned);
            }
            if who != bucket
                && let Some(owned) = self.0.remove(&who)
                && let Some(all) = self.0.get_mut(&bucket)
            {
                all.fields.unite(owned.fields);
                // The later of the two.
                all.time = owned.time;
                left -= 1;
            }
        }
    }
}

fn read_entry(entry: &ManagedFieldsEntry) -> Result<(Identity, Owned), String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let operation = match entry.operation.as_deref() {
        Some("Apply") => Operation::Apply,
        Some("Update") => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    let api_version = text(&entry.api_version);
    if api_version.is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match entry.fields_type.as_deref() {
        Some(FIELDS_V1) => {}
        None | Some("") => return Err("missing fieldsType".to_owned()),
        Some(_) => return Err(format!("fieldsType must be {FIELDS_V1}")),
    }
    let fields = match &entry.fields_v1 {
        None => FieldSet::default(),
        Some(FieldsV1(value)) => fields_v1::read(value)?,
    };
    let identity = Identity {
        manager: text(&entry.manager),
        operation,
        api_version: if operation == Operation::Apply { String::new() } else { api_version.clone() },
        subresource: text(&entry.subresource),
    };
    Ok((identity, Owned { fields, api_version, time: entry.time.clone() }))
}

/// What a client may not write (apimachinery `ValidateManagedFields`). Expects entries that can be read.
pub fn validate(entries: &[ManagedFieldsEntry], faults: &mut Vec<FieldError>) {
    for (i, entry) in entries.iter().enumerate() {
        let path = Path::root("metadata").child("managedFields").index(i);
        validate_name(entry.manager.as_deref().unwrap_or_default(), &path.child("manager"), faults);
        if entry.subresource.as_ref().is_some_and(|name| name.len() > MOST_SUBRESOURCE) {
            faults.push(FieldError::too_long(&path.child("subresource"), MOST_SUBRESOURCE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn entries(value: Value) -> Vec<ManagedFieldsEntry> {
        serde_json::from_value(value).unwrap()
    }

    fn entry(manager: &str, operation: &str, time: &str) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "batch/v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {format!("f:{manager}"): {}}}, "time": time})
    }

    #[test]
    fn entries_survive_and_stand_in_order() {
        let (a, b) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let all =
            json!([entry("z", "Apply", a), entry("a", "Apply", b), entry("y", "Update", a), entry("b", "Update", b)]);
        let mut shuffled = entries(all.clone());
        shuffled.reverse();
        let written = Managers::read(&shuffled).unwrap().write().unwrap();
        assert_eq!(serde_json::to_value(written).unwrap(), all);
        assert_eq!(Managers::default().write(), None);
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_told() {
        for (field, value) in [
            ("operation", json!("Delete")),
            ("operation", json!(null)),
            ("apiVersion", json!("")),
            ("fieldsType", json!(null)),
            ("fieldsType", json!("FieldsV2")),
            ("fieldsV1", json!({"x": {}})),
            ("fieldsV1", json!([])),
        ] {
            let mut bad = entry("m", "Update", "2026-01-01T00:00:00Z");
            bad[field] = value;
            assert!(Managers::read(&entries(json!([bad]))).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_bounded() {
        let mut bad = entry(&"m".repeat(129), "Update", "2026-01-01T00:00:00Z");
        bad["subresource"] = json!("s".repeat(257));
        let mut faults = Vec::new();
        validate(&entries(json!([entry("ok", "Apply", "2026-01-01T00:00:00Z"), bad])), &mut faults);
        let fields: Vec<&str> = faults.iter().map(|f| f.field.as_str()).collect();
        assert_eq!(fields, ["metadata.managedFields[1].manager", "metadata.managedFields[1].subresource"]);
    }

    #[test]
    fn the_oldest_updates_become_one() {
        let time = |i: usize| format!("2026-01-01T00:00:{i:02}Z");
        let mut all: Vec<Value> = (0..14).map(|i| entry(&format!("m{i}"), "Update", &time(i))).collect();
        all.push(entry("applier", "Apply", &time(0)));
        let mut managers = Managers::read(&entries(json!(all))).unwrap();
        managers.cap_updates();
        assert_eq!(managers.0.len(), MOST_UPDATERS + 1);
        let (_, old) = managers.0.iter().find(|(who, _)| who.manager == OLD_UPDATES).unwrap();
        let owned: Vec<String> = old.fields.paths().iter().map(ToString::to_string).collect();
        assert_eq!(owned, [".spec.m0", ".spec.m1", ".spec.m2", ".spec.m3", ".spec.m4"]);
        assert_eq!(old.time.as_ref().unwrap().0.to_string(), time(4));
        // One more finds the bucket there.
        let more = Managers::read(&entries(json!([entry("n", "Update", &time(20))]))).unwrap();
        managers.0.extend(more.0);
        managers.cap_updates();
        assert_eq!(managers.0.len(), MOST_UPDATERS + 1);
        let (_, old) = managers.0.iter().find(|(who, _)| who.manager == OLD_UPDATES).unwrap();
        assert_eq!(old.fields.paths().len(), 6);
    }
}
