//! YAML manifests, read as kubectl reads them, with the line of every field.
//!
//! One parser (saphyr-parser) gives values and lines, so that the two cannot disagree. What a plain scalar means is
//! what kubectl's library (sigs.k8s.io/yaml, goyaml.v2: YAML 1.1) makes of it, because a manifest must mean the same to
//! `kubectl apply` and to `kiln run`: see `scalar.rs`. Merge keys (`<<`) are applied.
//!
//! Manifests are hostile too: text is at most [`MAX_BYTES`], nesting at most [`MAX_DEPTH`](super::MAX_DEPTH), and what
//! aliases expand to at most [`MAX_EXPANDED`], counted before it is copied.

mod build;
mod lines;
mod scalar;

use serde_json::Value;

use super::{DecodeError, Parsed, json};
use build::{Builder, Tree};
use lines::Lines;

/// The largest text, in bytes: the API server's limit for a request body.
pub const MAX_BYTES: usize = 3 * 1024 * 1024;

/// What the anchors and aliases of one text may expand to, in bytes of memory (about).
pub const MAX_EXPANDED: usize = 16 * 1024 * 1024;

/// A text that is not YAML as Kubernetes takes it. `Display` names the document, if there may be several, and the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// Counts from 1.
    pub document: usize,
    /// Counts from 1; none for a fault of the whole text.
    pub line: Option<usize>,
    pub message: String,
}

impl std::fmt::Display for YamlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) if self.document > 1 => {
                write!(f, "invalid YAML in document {}, line {line}: {}", self.document, self.message)
            }
            Some(line) => write!(f, "invalid YAML at line {line}: {}", self.message),
            None => write!(f, "invalid YAML: {}", self.message),
        }
    }
}

impl std::error::Error for YamlError {}

/// One document of a manifest.
#[derive(Clone, Debug)]
pub struct Document {
    /// Counts from 1, empty documents included.
    pub index: usize,
    /// The line of its first node; counts from 1.
    pub first_line: usize,
    pub value: Value,
    lines: Lines,
}

impl Document {
    /// The line of the field at `path` (`spec.containers[0].name`, `metadata.labels[app]`), or of its nearest ancestor
    /// that the document has. None if it has not even the first step.
    pub fn line_of(&self, path: &str) -> Option<usize> {
        self.lines.find(path)
    }
}

/// Reads a manifest of any number of documents. Empty documents are left out; a duplicate key is an error.
pub fn documents(text: &str) -> Result<Vec<Document>, YamlError> {
    let mut documents = Vec::new();
    for (at, tree) in read(text)?.into_iter().enumerate() {
        let index = at + 1;
        if let Some((line, path)) = tree.first_duplicate {
            let message = format!("duplicate field \"{path}\"");
            return Err(YamlError { document: index, line: Some(line), message });
        }
        if !tree.value.is_null() {
            let (value, lines) = (tree.value, tree.lines);
            documents.push(Document { index, first_line: lines.line(), value, lines });
        }
    }
    Ok(documents)
}

/// Reads a request body, which must hold exactly one document that is not empty.
pub fn single(body: &[u8]) -> Result<Parsed, YamlError> {
    let whole = |message: String| YamlError { document: 1, line: None, message };
    let text = std::str::from_utf8(body).map_err(|e| whole(format!("not UTF-8: {e}")))?;
    let mut trees: Vec<Tree> = read(text)?.into_iter().filter(|tree| !tree.value.is_null()).collect();
    match (trees.len(), trees.pop()) {
        (1, Some(tree)) => Ok(Parsed { duplicates: tree.duplicates, ..Parsed::from(tree.value) }),
        (found, _) => Err(whole(format!("must hold one document, found {found}"))),
    }
}

fn read(text: &str) -> Result<Vec<Tree>, YamlError> {
    let refuse = |line, message: String| Err(YamlError { document: 1, line, message });
    if text.len() > MAX_BYTES {
        return refuse(None, format!("{} bytes are too many (at most {MAX_BYTES})", text.len()));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some((line, c)) = forbidden(text) {
        return refuse(Some(line), format!("the character {:?} is not allowed", c));
    }
    match Builder::new(text).all() {
        Ok(trees) => Ok(trees),
        // JSON is nearly YAML. What only JSON has, such as a surrogate pair of escapes, is read as kubectl reads it.
        Err(error) if text.trim_start().starts_with('{') => match json::parse(text.as_bytes()) {
            Ok(parsed) => Ok(vec![Tree::from_json(parsed)]),
            Err(DecodeError::Json { line, detail, .. }) if error.line.is_none() => refuse(Some(line), detail),
            Err(_) => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// The first character that YAML 1.2 (5.1) does not allow, and its line. Among them is NUL, which the parser would
/// take for the end of the text.
fn forbidden(text: &str) -> Option<(usize, char)> {
    let bad = |c: char| {
        (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')) || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    let at = text.find(bad)?;
    let line = text[..at].matches('\n').count() + 1;
    text[at..].chars().next().map(|c| (line, c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn one(text: &str) -> Value {
        let mut all = documents(text).unwrap();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0).value
    }

    fn fault(text: &str) -> String {
        documents(text).unwrap_err().to_string()
    }

    const MANIFEST: &str = "\
# two jobs
---
apiVersion: batch/v1
kind: Job
metadata:
  labels:
    app.kubernetes.io/name: pi
    app: x
spec:
  template:
    spec:
      containers:
      - name: a
        args: [x,
          y]
      - name: b
        image: pi
---
---
# nothing
---
kind: Job
";

    #[test]
    fn documents_keep_their_number_and_lines() {
        let documents = documents(MANIFEST).unwrap();
        let places: Vec<_> = documents.iter().map(|d| (d.index, d.first_line)).collect();
        assert_eq!(places, [(1, 3), (4, 22)]);
        let first = &documents[0];
        let cases = [
            ("kind", Some(4)),
            ("metadata.labels.app.kubernetes.io/name", Some(7)),
            ("metadata.labels[app.kubernetes.io/name]", Some(7)),
            ("metadata.labels[app]", Some(8)),
            ("metadata.labels.app", Some(8)),
            ("metadata.labels.nope", Some(6)),
            ("spec.template.spec.containers[0].args[1]", Some(15)),
            ("spec.template.spec.containers[1].image", Some(17)),
            ("spec.template.spec.containers[1].image.deeper", Some(17)),
            ("spec.template.spec.containers[1].nope", Some(16)),
            ("spec.template.spec.containers[7].image", Some(12)),
            ("spec.completions", Some(9)),
            ("speck", None),
            ("", None),
            ("[", None),
            ("..[[]]", None),
        ];
        for (path, line) in cases {
            assert_eq!(first.line_of(path), line, "{path}");
        }
    }

    #[test]
    fn faults_name_document_and_line() {
        assert_eq!(fault("a: 1\n---\nb: 1\nb: 2\n"), r#"invalid YAML in document 2, line 4: duplicate field "b""#);
        assert_eq!(fault("a:\n  b: 1\n  b: 2\n"), r#"invalid YAML at line 3: duplicate field "a.b""#);
        assert!(fault("a: [1\nb: 2").starts_with("invalid YAML at line "), "{}", fault("a: [1\nb: 2"));
        assert!(fault("a: 1\nb:\n\tc: 2").starts_with("invalid YAML at line 3: "), "{}", fault("a: 1\nb:\n\tc: 2"));
        assert!(
            fault("a: 1\n---\nb: [").starts_with("invalid YAML in document 2, line 3: "),
            "{}",
            fault("a: 1\n---\nb: [")
        );
        assert_eq!(fault("a: 1\nb: \u{0}x"), r"invalid YAML at line 2: the character '\0' is not allowed");
        assert_eq!(fault("a: *nope"), "invalid YAML at line 1: while parsing node, found unknown anchor");
        assert_eq!(fault("a: &a 1\n---\nb: *a"), "invalid YAML in document 2, line 3: unknown anchor");
    }

    #[test]
    fn keys_are_strings_or_become_them_as_in_kubectl() {
        assert_eq!(one("8080: x\ntrue: w\n\"5\": z"), json!({"8080": "x", "true": "w", "5": "z"}));
        assert_eq!(fault("? [a]\n: b"), "invalid YAML at line 1: a key must be a string, found a list");
        assert_eq!(fault("x:\n  ~: b"), "invalid YAML at line 2: a key must be a string, found null");
        assert_eq!(fault("1.5: b"), "invalid YAML at line 1: a key must be a string, found number 1.5");
        assert_eq!(fault("{a: 1, ? {b: 2}}"), "invalid YAML at line 1: a key must be a string, found an object");
    }

    #[test]
    fn anchors_aliases_and_merge_keys_are_applied() {
        let text = "base: &b {a: 1, b: 2}\nuse:\n  <<: *b\n  b: 3\nlist: &l [x]\nagain: [*l, *b]\n";
        let value = one(text);
        assert_eq!(value["use"], json!({"b": 3, "a": 1}));
        assert_eq!(value["again"], json!([["x"], {"a": 1, "b": 2}]));
        assert_eq!(one("a: {b: 3, <<: [{b: 1, c: 1}, {c: 2, d: 2}]}")["a"], json!({"b": 3, "c": 1, "d": 2}));
        assert_eq!(one("\"<<\": 1"), json!({"<<": 1}));
        assert_eq!(fault("a: {<<: 5}"), "invalid YAML at line 1: a merge key needs an object or a list of objects");
        assert!(fault("a: &a [*a]").contains("line 1: "), "{}", fault("a: &a [*a]"));
    }

    #[test]
    fn alias_bombs_are_refused_before_they_expand() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..40 {
            let before = vec![format!("*a{}", i - 1); 10].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{before}]\n"));
        }
        assert!(fault(&text).contains("aliases expand to more than"), "{}", fault(&text));

        let mut chain = String::from("a0: &a0 [x]\n");
        for i in 1..1000 {
            chain.push_str(&format!("a{i}: &a{i} [*a{}]\n", i - 1));
        }
        assert!(fault(&chain).contains("nested too deeply"), "{}", fault(&chain));

        let merges: String =
            (1..40).map(|i| format!("a{i}: &a{i} {{<<: [*a{0}, *a{0}], k{i}: [*a{0}, *a{0}]}}\n", i - 1)).collect();
        assert!(documents(&format!("a0: &a0 {{x: y}}\n{merges}")).is_err());
    }

    #[test]
    fn size_and_depth_are_bounded() {
        assert!(fault(&"a".repeat(MAX_BYTES + 1)).contains("too many"));
        for deep in ["[".repeat(1 << 20), "{a: ".repeat(1 << 18), "- ".repeat(1 << 20), "? ".repeat(1 << 20)] {
            assert!(documents(&deep).is_err());
        }
        let deepest = format!("{}1{}", "[".repeat(super::super::MAX_DEPTH), "]".repeat(super::super::MAX_DEPTH));
        assert!(documents(&deepest).is_ok());
    }

    #[test]
    fn json_is_a_manifest_too() {
        assert_eq!(
            one("{\n\t\"a\": [\"\\ud83d\\ude00\", 1e3],\n\t\"b\": \"\\/\"}\n"),
            json!({"a": ["😀", 1000.0], "b": "/"})
        );
        assert_eq!(one("\u{feff}{\"a\":1}"), json!({"a": 1}));
    }

    #[test]
    fn block_scalars_and_windows_line_ends_are_read() {
        assert_eq!(one("a: |\r\n  x\r\n  y\r\nb: >-\r\n  p\r\n  q\r\n"), json!({"a": "x\ny\n", "b": "p q"}));
    }

    #[test]
    fn a_text_without_documents_is_empty() {
        for text in ["", "\n\n", "# only a comment\n", "---\n", "---\n---\n", "~"] {
            assert_eq!(documents(text).unwrap().len(), 0, "{text:?}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            // The other library writes YAML 1.2, where these mean something else; see scalar.rs.
            "[ -~äß\n\t]{0,12}"
                .prop_filter("a word of YAML 1.1", |s| !s.contains('_')
                    && !matches!(scalar::plain(s), Ok(Value::Bool(_))))
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("[a-m./ -]{0,8}", inner), 0..5)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn what_another_library_writes_is_read_back(value in any_value()) {
            let text = serde_yaml::to_string(&json!({ "v": value })).unwrap();
            match documents(&text) {
                Ok(mut all) => prop_assert_eq!(all.remove(0).value, json!({ "v": value }), "{}", text),
                Err(error) => prop_assert!(false, "{error}\n{text}"),
            }
        }

        #[test]
        fn no_text_panics(text in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
            let text = text.concat();
            if let Ok(all) = documents(&text) {
                for document in all {
                    document.line_of("a.b[0].c[d]");
                }
            }
            let _ = single(text.as_bytes());
        }
    }

    const PIECES: &[&str] = &[
        "a",
        "b: ",
        ": ",
        ":",
        "- ",
        "-",
        "? ",
        "?",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\n",
        "\n  ",
        "\n    ",
        "\n ",
        " ",
        "\t",
        "\r",
        "&a ",
        "*a",
        "*a ",
        "!!str ",
        "!x ",
        "! ",
        "!<",
        ">",
        "|",
        "|2\n",
        ">-\n",
        "'",
        "\"",
        "\\",
        "\\x",
        "#",
        " # c\n",
        "---",
        "\n---\n",
        "...\n",
        "%YAML 1.2\n",
        "%TAG ! x\n",
        "<<: ",
        "~",
        "0x",
        "1",
        "-1e9",
        ".5",
        "ä",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "@",
        "`",
    ];
}
