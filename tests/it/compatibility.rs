//! `docs/compatibility.md` says which client can do what, and by which test that is known. It is written from the rows
//! of [`rows`], one per command: `make docs` rewrites it, and a test holds it against them. Other tests hold that the
//! test of each row is there, and that no command of kubectl is left out.

mod rows;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::harness::Server;
use rows::SECTIONS;

/// What kubectl, a client library or a dashboard does, and the test that shows how it ends.
pub struct Row {
    /// `kubectl` is left out where it goes without saying.
    pub command: &'static str,
    pub verdict: Verdict,
    /// `module::test` under `tests/it`, or `file.py::function` or `file.mjs::function` under `tests/clients`.
    pub test: &'static str,
}

pub enum Verdict {
    Works,
    /// It works, and something about it is worth knowing.
    Noting(&'static str),
    /// It fails, in words that say why; here is why.
    Refused(&'static str),
    /// It asks no server.
    Local,
}

pub struct Section {
    pub title: &'static str,
    pub text: &'static str,
    pub rows: &'static [Row],
}

pub const fn works(command: &'static str, test: &'static str) -> Row {
    Row { command, verdict: Verdict::Works, test }
}

pub const fn noting(command: &'static str, note: &'static str, test: &'static str) -> Row {
    Row { command, verdict: Verdict::Noting(note), test }
}

pub const fn refused(command: &'static str, why: &'static str, test: &'static str) -> Row {
    Row { command, verdict: Verdict::Refused(why), test }
}

pub const fn local(command: &'static str, test: &'static str) -> Row {
    Row { command, verdict: Verdict::Local, test }
}

/// The commands of kubectl that have commands of their own.
const GROUPS: &[&str] = &["apply", "auth", "create", "rollout", "set"];

const FILE: &str = "docs/compatibility.md";

const HEAD: &str = "# Which clients work

Each line of the tables is shown by a test that drives the unmodified client against the real program; `make test` runs them all. This
page is written from those tests (`make docs`), so do not edit it.
";

/// What no test repeats.
const BY_HAND: &str = "
## Tried by hand

In November 2026, without a test that would repeat it:

- **kubectl 1.27 to 1.33**: sixty common commands, all of which do the same as those of 1.37. With **1.20** all but what asks for
  versions that Kubernetes has given up (`create cronjob`).
- **Ansible** (`kubernetes.core`): `k8s` with present, apply, server-side apply, wait, patch and absent, `k8s_info`, `k8s_log`,
  `k8s_taint`, `k8s_drain`. `k8s_exec` is refused.
- **Airflow** (`KubernetesPodOperator`, `KubernetesJobOperator`, deferrable too), **Prefect** (`KubernetesJob`), **Dagster**
  (`k8s_job_op`), **Luigi** (`KubernetesJobTask`): their Jobs and pods run, with an image that is a module here.
- **kopf**: an operator with handlers, timers, daemons and finalizers.
- **kr8s**, **kubernetes_asyncio**, **lightkube**, **pykube-ng**: create, watch, wait, patch, logs, delete.
- **Snakemake**'s executor submits its Job and sees it end, but that runs `sh -c snakemake`, which no module does.
";

fn document() -> String {
    let mut text = HEAD.to_owned();
    for section in SECTIONS {
        let _ =
            write!(text, "\n## {}\n\n{}\n\n| | works | | shown by |\n|---|---|---|---|\n", section.title, section.text);
        for row in section.rows {
            let (works, note) = match row.verdict {
                Verdict::Works => ("yes", ""),
                Verdict::Noting(note) => ("yes", note),
                Verdict::Refused(why) => ("no", why),
                Verdict::Local => ("yes", "asks no server"),
            };
            let command = row.command.replace('|', "\\|");
            let _ = writeln!(text, "| `{command}` | {works} | {note} | `{}` |", row.test);
        }
    }
    text + BY_HAND
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_document_says_what_the_tests_show() {
    let path = root().join(FILE);
    let wanted = document();
    if std::env::var_os("KILN_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = wanted.lines().zip(written.lines()).find(|(a, b)| a != b);
    assert!(written == wanted, "{FILE} is not what the rows say: run `make docs`. First difference: {differing:#?}");
}

/// The file of a test, and what its definition may look like there.
fn definition(test: &str) -> (PathBuf, Vec<String>) {
    let (place, name) = test.rsplit_once("::").unwrap_or_else(|| panic!("{test}: no module"));
    if place.ends_with(".py") {
        return (root().join("tests/clients").join(place), vec![format!("@check\ndef {name}(")]);
    }
    if place.ends_with(".mjs") {
        let definitions = ["check", "alone"].map(|how| format!("{how}(async function {name}("));
        return (root().join("tests/clients").join(place), definitions.to_vec());
    }
    let file = root().join("tests/it").join(place.replace("::", "/")).with_extension("rs");
    let awaited = format!("#[tokio::test(flavor = \"multi_thread\")]\nasync fn {name}()");
    (file, vec![format!("#[test]\nfn {name}()"), awaited])
}

#[test]
fn the_test_of_each_row_is_there_and_speaks_of_its_command() {
    let mut faults = Vec::new();
    let is_kubectl = |section: &Section| section.title.starts_with("kubectl");
    for (section, row) in SECTIONS.iter().flat_map(|section| section.rows.iter().map(move |row| (section, row))) {
        let (file, definitions) = definition(row.test);
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if !definitions.iter().any(|definition| text.contains(definition)) {
            faults.push(format!("{}: no {definitions:?} in {}", row.command, file.display()));
            continue;
        }
        if !is_kubectl(section) {
            continue;
        }
        // The command's own word, that of its group, and its flags.
        let is_of_group = |word: &str| GROUPS.contains(&word);
        let grouped = row.command.split_whitespace().next().is_some_and(is_of_group);
        let is_word = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        let words = row.command.split_whitespace().enumerate();
        let telling = words.filter(|(i, word)| match i {
            0 => true,
            1 if grouped && is_word(word) => true,
            _ => word.starts_with('-'),
        });
        let telling = telling.map(|(_, word)| word.split(['=', ',']).next().unwrap_or(word));
        let missing: Vec<&str> = telling.filter(|word| !text.contains(&format!("\"{word}"))).collect();
        if !missing.is_empty() {
            faults.push(format!("{}: {missing:?} is nowhere in {}", row.command, file.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_command_of_kubectl_is_left_out() {
    let server = Server::start();
    // The lines of a command in a help text: two blanks, its name, and what it is for.
    let commands = |help: &str| -> BTreeSet<String> {
        let lines = help
            .lines()
            .filter(|line| line.starts_with("  ") && line.chars().nth(2).is_some_and(|c| c.is_ascii_lowercase()));
        let words = lines.filter_map(|line| Some((line.split_whitespace().next()?, line)));
        words.filter(|(name, line)| line[2 + name.len()..].starts_with("  ")).map(|(name, _)| name.to_owned()).collect()
    };
    let shown = |command: &str| {
        let starts = |row: &Row| row.command == command || row.command.starts_with(&format!("{command} "));
        rows::PENDING.contains(&command) || SECTIONS.iter().flat_map(|s| s.rows).any(starts)
    };
    let all = commands(&server.kubectl_ok(&["--help"]));
    assert!(all.len() > 40 && all.contains("apply"), "the help text is not read as it should be: {all:?}");
    let mut missing: Vec<String> = all.iter().filter(|command| !shown(command)).cloned().collect();
    for &group in GROUPS {
        if rows::PENDING.contains(&group) {
            continue;
        }
        let inner = commands(&server.kubectl_ok(&[group, "--help"]));
        assert!(!inner.is_empty(), "{group} has commands of its own");
        missing.extend(inner.iter().map(|name| format!("{group} {name}")).filter(|command| !shown(command)));
    }
    assert!(missing.is_empty(), "tests/it/compatibility/rows.rs has no row for {missing:?}");
}

#[test]
fn what_is_pending_has_no_row_yet() {
    let has_row = |pending: &str| {
        SECTIONS
            .iter()
            .flat_map(|s| s.rows)
            .any(|row| row.command.starts_with(pending) && !row.command.contains("--dry-run=client"))
    };
    let done: Vec<&&str> = rows::PENDING.iter().filter(|pending| has_row(pending)).collect();
    assert!(done.is_empty(), "{done:?} have rows: take them out of PENDING");
}
