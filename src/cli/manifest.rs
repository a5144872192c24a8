//! Manifests for `kiln run`: files of YAML documents, read strictly. A refusal names the file, the document, the line
//! and the field.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Failure;
use crate::api::decode::yaml::{self, Document};
use crate::api::decode::{self, Parsed};
use crate::api::{ApiError, Kind, Object, admission};

/// An object of a manifest and where it stands.
#[derive(Debug)]
pub struct Item {
    pub object: Object,
    pub file: PathBuf,
    document: usize,
    line: usize,
}

impl Item {
    /// A refusal that the object met later, with its place.
    pub fn refuse(&self, error: &ApiError) -> Failure {
        Failure::usage(format!("{}: document {}, line {}: {error}", self.file.display(), self.document, self.line))
    }

    /// The directory in which the modules that it names are looked for.
    pub fn directory(&self) -> &Path {
        match self.file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }
}

/// What `kiln run` can do something with.
const KINDS: [Kind; 4] = [Kind::Job, Kind::ConfigMap, Kind::Secret, Kind::Namespace];

/// Reads all documents of all files (`-` is standard input) and checks each as the API server would.
pub fn read(files: &[PathBuf], now: Timestamp) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    for file in files {
        let text = if file.as_os_str() == "-" {
            std::io::read_to_string(std::io::stdin())
        } else {
            std::fs::read_to_string(file)
        };
        let text = text.map_err(|e| Failure::usage(format!("{}: {e}", file.display())))?;
        let documents = yaml::documents(&text).map_err(|e| Failure::usage(format!("{}: {e}", file.display())))?;
        for document in documents {
            items.push(item(file, document, now)?);
        }
    }
    if !items.iter().any(|item| item.object.kind() == Kind::Job) {
        let names: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
        return Err(Failure::usage(format!("{}: there is no Job in it", names.join(", "))));
    }
    // What Jobs need comes before them.
    items.sort_by_key(|item| match item.object.kind() {
        Kind::Namespace => 0,
        Kind::Job => 2,
        _ => 1,
    });
    Ok(items)
}

fn item(file: &Path, document: Document, now: Timestamp) -> Result<Item, Failure> {
    let at = |field: Option<&str>, message: String| {
        let line = field.and_then(|f| document.line_of(f)).unwrap_or(document.first_line);
        Failure::usage(format!("{}: document {}, line {line}: {message}", file.display(), document.index))
    };
    let text = |field: &str| document.value.get(field).and_then(|v| v.as_str());
    let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        return Err(at(
            None,
            "apiVersion and kind must be given, as in `apiVersion: batch/v1` and `kind: Job`".to_owned(),
        ));
    };
    let served = Kind::from_gvk(api_version, kind).filter(|kind| KINDS.contains(kind));
    let Some(kind) = served else {
        // It never ends, and this command waits for the end.
        let hint = if kind == "CronJob" { "; a CronJob needs a server: see kiln serve" } else { "" };
        let message = format!(
            "{kind} of {api_version} cannot be run: kiln run takes Job (batch/v1), ConfigMap, Secret and Namespace \
             (v1){hint}"
        );
        return Err(at(Some("kind"), message));
    };
    let decoded =
        decode::object::decode(kind, Parsed::from(document.value.clone())).map_err(|e| at(e.path(), e.to_string()))?;
    if let Some(complaint) = decoded.unknown.first() {
        // `unknown field "spec.foo"`: the path is what stands in quotes.
        let path = complaint.split('"').nth(1);
        return Err(at(path, decoded.unknown.join(", ")));
    }
    let mut object = decoded.object;
    if kind.info().namespaced && object.meta().namespace.as_deref().unwrap_or_default().is_empty() {
        object.meta_mut().namespace = Some("default".to_owned());
    }
    // Checked here, with the manifest at hand, and once more when it is created.
    let stamp = admission::Stamp { now, uid: "00000000-0000-4000-8000-000000000000".to_owned(), suffix: "xxxxx" };
    match admission::create(object.clone(), &stamp) {
        Ok(_) => {}
        Err(ApiError::Invalid { causes, .. }) => {
            let all: Vec<String> =
                causes.iter().map(|cause| at(Some(cause.field.as_str()), cause.to_string()).message).collect();
            return Err(Failure::usage(all.join("\n")));
        }
        Err(other) => return Err(at(None, other.to_string())),
    }
    if let Some((field, why)) = never_ends(&object) {
        let message =
            format!("{field}: {why}; kiln run waits for the end, and there is nobody to change it: see kiln serve");
        return Err(at(Some(field), message));
    }
    Ok(Item { object, file: file.to_owned(), document: document.index, line: document.first_line })
}

/// The field for which a Job would wait for ever, and what it says.
fn never_ends(object: &Object) -> Option<(&'static str, &'static str)> {
    let spec = object.as_job()?.spec.as_ref()?;
    if spec.suspend == Some(true) {
        return Some(("spec.suspend", "the Job is suspended"));
    }
    if spec.parallelism == Some(0) && spec.completions != Some(0) {
        return Some(("spec.parallelism", "the Job may have no pods"));
    }
    let manager = spec.managed_by.as_deref().filter(|manager| *manager != "kubernetes.io/job-controller");
    manager.map(|_| ("spec.managedBy", "the Job is left to another controller"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<Item>, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("job.yaml");
        std::fs::write(&file, text).unwrap();
        let shown = file.display().to_string();
        read(&[file], Timestamp::UNIX_EPOCH).map_err(|f| f.message.replace(&shown, "job.yaml"))
    }

    const JOB: &str = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec:\n  template:\n    spec:\n      \
                       restartPolicy: Never\n      containers:\n      - {name: c, image: pi}\n";

    #[test]
    fn what_jobs_need_comes_first() {
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n";
        let items = read_text(&format!("{JOB}---\n{map}")).unwrap();
        let kinds: Vec<_> = items.iter().map(|i| i.object.kind()).collect();
        assert_eq!(kinds, [Kind::ConfigMap, Kind::Job]);
    }

    #[test]
    fn a_refusal_names_document_line_and_field() {
        let cases = [
            ("spec:\n  x: 1\n", "apiVersion and kind must be given"),
            ("apiVersion: v1\nkind: Service\n", "document 1, line 2: Service of v1 cannot be run"),
            (
                &format!("{JOB}---\napiVersion: batch/v1\nkind: CronJob\n"),
                "document 2, line 12: CronJob of batch/v1 cannot be run: kiln run takes Job (batch/v1), ConfigMap, Secret \
                 and Namespace (v1); a CronJob needs a server: see kiln serve",
            ),
            (
                &JOB.replace("spec:\n  template", "spec:\n  paralelism: 2\n  template"),
                "line 5: unknown field \"spec.paralelism\"",
            ),
            (
                &JOB.replace("spec:\n  template", "spec:\n  suspend: true\n  template"),
                "line 5: spec.suspend: the Job is suspended; kiln run waits for the end",
            ),
            (
                &JOB.replace("spec:\n  template", "spec:\n  parallelism: 0\n  template"),
                "line 5: spec.parallelism: the Job may have no pods",
            ),
            (
                &JOB.replace("spec:\n  template", "spec:\n  managedBy: a.io/b\n  template"),
                "line 5: spec.managedBy: the Job is left to another controller",
            ),
            (&JOB.replace("Never", "Always"), "line 7: spec.template.spec.restartPolicy: Required value"),
            (
                &JOB.replace("spec:\n  template", "spec:\n  completions: -1\n  template"),
                "line 5: spec.completions: Invalid value: -1",
            ),
            (&JOB.replace("spec:\n  template", "spec:\n  completions: x\n  template"), "line 5: spec.completions"),
            ("apiVersion: [\n", "invalid YAML"),
            ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n", "there is no Job in it"),
        ];
        for (text, expected) in cases {
            let message = read_text(text).unwrap_err();
            assert!(message.contains(expected), "{message:?} should contain {expected:?}");
        }
    }
}
