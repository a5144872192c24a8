//! What no compiler checks: who may import whom, how long a file may be, and that the documents name what the code has.
//! ARCHITECTURE.md explains the table of imports; a fault here says what to do about it.

#[path = "tidy/scan.rs"]
mod scan;

use std::fs;
use std::path::{Path, PathBuf};

use scan::{Import, Placed};

/// What a loop's logic may know of how loops run: the words of a decision, and not who carries it out.
const DECISIONS: &[&str] = &[
    "control::Controller",
    "control::Effect",
    "control::Note",
    "control::NoteType",
    "control::Plan",
    "control::Queue",
    "control::Seen",
];

/// Who may import whom, lowest first: a row may only name rows above it. `a::B` allows that one name.
const TABLE: &[(&str, &[&[&str]])] = &[
    ("clock", &[]),
    ("ids", &[]),
    ("api", &[]),
    ("sandbox", &[&["clock"]]),
    ("config", &[&["sandbox"]]),
    ("store", &[&["api", "clock"]]),
    ("logs", &[&["clock", "store"]]),
    ("modules", &[&["api", "clock", "ids", "sandbox", "store"]]),
    ("control", &[&["api", "clock", "ids", "store"]]),
    ("controllers", &[&["api", "ids", "store::Change"], DECISIONS]),
    ("scheduler", &[&["api", "store::Change"], DECISIONS]),
    (
        "node",
        &[
            &["api", "clock", "config", "ids", "logs", "modules", "sandbox", "store"],
            &["control::Note", "control::NoteType", "control::Recorder"],
        ],
    ),
    (
        "http",
        &[&["api", "clock", "config", "ids", "logs", "modules", "sandbox::ProgramKind", "sandbox::Reading", "store"]],
    ),
    (
        "app",
        &[
            &["api", "clock", "config", "control", "controllers", "http", "ids", "logs", "modules", "node"],
            &["sandbox", "scheduler", "store"],
        ],
    ),
    ("cli", &[&["api", "app", "clock", "config", "logs", "modules", "store"]]),
    ("main", &[&["cli"]]),
    // The list of modules: `pub mod` and no logic.
    ("lib", &[]),
];

const MOST_LINES: usize = 500;
const MOST_LINES_OF_TESTS: usize = 800;

struct Source {
    /// From the root of the project, with `/`.
    path: String,
    text: String,
    code: Vec<Placed>,
}

impl Source {
    fn is_test(&self) -> bool {
        let stem = self.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        stem == "tests"
            || stem.ends_with("_test")
            || stem.ends_with("_tests")
            || self.path.starts_with("tests/")
            || self.path.contains("/tests/")
    }

    fn is_of(&self, folder: &str) -> bool {
        self.path.starts_with(&format!("src/{folder}/"))
    }

    /// `["store", "disk"]`
    fn module(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.trim_end_matches("/mod").split('/').collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    let path = root().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| format!("{} cannot be read: {error}", path.display()))
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders {
        collect(&root().join(folder), &mut paths);
    }
    paths.sort();
    let source = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a source file is readable text");
        let path = path.strip_prefix(root()).expect("it was found under the root").to_string_lossy().replace('\\', "/");
        Source { path, code: scan::code(&text), text }
    };
    let found: Vec<Source> = paths.iter().map(source).collect();
    assert!(!found.is_empty(), "no source files under {folders:?} of {}", root().display());
    found
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{} to put right:\n  {}", faults.len(), faults.join("\n  "));
}

fn allowed(row: &[&[&str]]) -> Vec<String> {
    row.iter().flat_map(|names| names.iter()).map(|name| (*name).to_owned()).collect()
}

/// What is wrong with an import, in a file of `module`.
fn fault(module: &str, import: &Import) -> Option<String> {
    let Some((_, row)) = TABLE.iter().find(|(name, _)| *name == module) else {
        return Some(format!(
            "module `{module}` is new: give it a row in TABLE of tests/tidy.rs and in ARCHITECTURE.md"
        ));
    };
    let path = import.path.join("::");
    let target = import.path.first()?;
    let covers = |name: &String| path == *name || path.starts_with(&format!("{name}::"));
    let allowed = allowed(row);
    if target == module || allowed.iter().any(covers) {
        return None;
    }
    let may = if allowed.is_empty() { "nothing of ours".to_owned() } else { allowed.join(", ") };
    Some(format!(
        "`{module}` must not import `{path}`; it may import {may}. Pass what it needs as an argument, or move the code \
         to the layer that may"
    ))
}

#[test]
fn each_layer_imports_only_what_is_below_it() {
    let mut faults = Vec::new();
    for source in sources(&["src"]).iter().filter(|source| !source.is_test()) {
        let module = source.module();
        // The root of a crate is no module of its own.
        let scope = if matches!(module[..], ["main" | "lib"]) { &[] } else { &module[..] };
        let told = scan::imports(scope, &source.code)
            .into_iter()
            .filter_map(|import| Some(format!("{}:{}: {}", source.path, import.line, fault(module[0], &import)?)));
        faults.extend(told);
        if !TABLE.iter().any(|(name, _)| *name == module[0]) {
            faults.push(format!("{}: its module has no row in TABLE of tests/tidy.rs: add one", source.path));
        }
    }
    assert_none(&faults);
}

#[test]
fn the_table_of_imports_has_no_cycle() {
    for (i, (module, row)) in TABLE.iter().enumerate() {
        for name in allowed(row) {
            let target = name.split("::").next().unwrap_or_default();
            let above = TABLE[..i].iter().any(|(other, _)| *other == target);
            assert!(above, "the row of `{module}` allows `{name}`, which is not in a row above it");
        }
    }
}

#[test]
fn the_table_of_imports_tells_right_from_wrong() {
    // Module, import, and whether the table allows it.
    let cases = [
        ("sandbox", "clock::Clock", true),
        ("sandbox", "api::Kind", false),
        ("api", "clock::Clock", false),
        ("api", "api::meta", true),
        ("controllers", "store::Change", true),
        ("controllers", "store::Store", false),
        ("controllers", "store::ChangeLog", false),
        ("controllers", "store", false),
        ("controllers", "store::*", false),
        ("controllers", "control::Recorder", false),
        ("http", "node::Node", false),
        ("node", "http::Server", false),
        ("node", "control::Runner", false),
        ("cli", "http::Server", false),
        ("app", "node::Node", true),
        ("clock", "*", false),
        ("unheard_of", "clock::Clock", false),
    ];
    for (module, import, right) in cases {
        let import = Import { path: import.split("::").map(str::to_owned).collect(), line: 1 };
        let told = fault(module, &import);
        assert_eq!(told.is_none(), right, "`{module}` importing `{}`: {told:?}", import.path.join("::"));
    }
}

#[test]
fn architecture_shows_the_table_of_imports() {
    let document = read("ARCHITECTURE.md");
    let missing: Vec<String> = TABLE
        .iter()
        .filter(|(module, _)| *module != "lib")
        .map(|(module, row)| {
            let names: Vec<String> = allowed(row).iter().map(|name| format!("`{name}`")).collect();
            let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            format!("| `{module}` | {names} |")
        })
        .filter(|line| !document.contains(line.as_str()))
        .map(|line| format!("put this row into the table of imports in ARCHITECTURE.md: {line}"))
        .collect();
    assert_none(&missing);
}

#[test]
fn every_file_says_what_it_is() {
    let faults: Vec<String> = sources(&["src", "tests", "benches"])
        .iter()
        .filter(|source| !source.is_test() && !source.text.starts_with("//!"))
        .map(|source| format!("{}: begin it with a `//!` comment: what it is, and what it must never do", source.path))
        .collect();
    assert_none(&faults);
}

#[test]
fn no_file_outgrows_its_name() {
    let most = |source: &Source| if source.is_test() { MOST_LINES_OF_TESTS } else { MOST_LINES };
    let faults: Vec<String> = sources(&["src", "tests", "benches"])
        .iter()
        .map(|source| (source, source.text.lines().count()))
        .filter(|(source, lines)| *lines > most(source))
        .map(|(source, lines)| {
            format!("{}: {lines} lines, {} at most; split it by noun or by policy", source.path, most(source))
        })
        .collect();
    assert_none(&faults);
}

#[test]
fn sled_stays_in_the_store_and_unsafe_in_the_sandbox() {
    let mut faults = Vec::new();
    for source in sources(&["src"]) {
        if let Some(line) = scan::uses(&source.code, "sled", true).filter(|_| !source.is_of("store")) {
            faults.push(format!("{}:{line}: sled appears only under src/store; use store::Store", source.path));
        }
        // The compiler denies unsafe code where nothing allows it, and clippy an `allow` without a reason.
        let excused = source.is_of("sandbox") || source.path == "src/main.rs";
        for word in ["unsafe", "unsafe_code"] {
            if let Some(line) = scan::uses(&source.code, word, false).filter(|_| !excused) {
                let path = &source.path;
                faults.push(format!("{path}:{line}: `{word}` appears only under src/sandbox; find a safe way"));
            }
        }
    }
    assert_none(&faults);
}

/// The names in the sections of Cargo.toml that end in `dependencies`.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    // Depth of brackets, so that the lines of a list of features are not taken for names.
    let mut depth = 0i32;
    let mut names = Vec::new();
    for line in manifest.lines().map(|line| line.split('#').next().unwrap_or_default()) {
        if depth == 0 && line.starts_with('[') {
            inside = line.trim_end().ends_with("dependencies]");
            continue;
        }
        let name = line.split_once('=').map(|(name, _)| name.trim());
        names.extend(name.filter(|_| inside && depth == 0).map(str::to_owned));
        depth += line.chars().map(|c| i32::from("[{".contains(c)) - i32::from("]}".contains(c))).sum::<i32>();
    }
    names
}

#[test]
fn the_names_of_dependencies_are_read_from_the_manifest() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\na = \"1\"\n# b = \"2\"\nc-d = { version = \"1\", features = [\n  \
                    \"e\",\n] }\n[dev-dependencies]\nf = \"1\"\n[lib]\npath = \"g\"\n";
    assert_eq!(dependencies(manifest), ["a", "c-d", "f"]);
}

#[test]
fn architecture_says_what_each_dependency_is_for() {
    let document = read("ARCHITECTURE.md");
    let wanted = dependencies(&read("Cargo.toml"));
    let section = document.split("\n## Dependencies\n").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let entries = section.lines().filter_map(|line| line.strip_prefix("- `")?.split('`').next());
    let told: Vec<&str> = entries.collect();
    let mut faults: Vec<String> = Vec::new();
    for name in wanted.iter().filter(|name| !told.contains(&name.as_str())) {
        faults.push(format!("ARCHITECTURE.md, section Dependencies: add \"- `{name}`: what for, why this one\""));
    }
    for name in told.iter().filter(|name| !wanted.iter().any(|wanted| wanted == *name)) {
        faults.push(format!("ARCHITECTURE.md, section Dependencies: `{name}` is not in Cargo.toml; take its line out"));
    }
    assert_none(&faults);
}
