//! Events of the parser to trees. Pulls one event at a time, so that a fault stops the parser as well.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

use super::super::json::Duplicates;
use super::super::path::{Step, describe, push};
use super::super::{MAX_DEPTH, Parsed};
use super::lines::Lines;
use super::{MAX_EXPANDED, YamlError, scalar};

/// One document.
pub(super) struct Tree {
    pub(super) value: Value,
    pub(super) lines: Lines,
    /// `duplicate field "spec.foo"`
    pub(super) duplicates: Vec<String>,
    /// The line and the path of the first of them.
    pub(super) first_duplicate: Option<(usize, String)>,
}

impl Tree {
    pub(super) fn from_json(parsed: Parsed) -> Tree {
        let first_duplicate = parsed.duplicates.first().map(|d| {
            let path = d.trim_start_matches("duplicate field ").trim_matches('"');
            (1, path.to_owned())
        });
        Tree { value: parsed.value, lines: Lines::leaf(1), duplicates: parsed.duplicates, first_duplicate }
    }
}

/// A value as it is built, with what it costs to copy (bytes, about) and how deep it is.
#[derive(Clone)]
struct Node {
    value: Value,
    lines: Lines,
    cost: usize,
    height: usize,
}

/// The bytes of a value beside its text, about.
const NODE_COST: usize = 64;

impl Node {
    fn leaf(value: Value, line: usize) -> Node {
        let cost = NODE_COST + value.as_str().map_or(0, str::len);
        Node { value, lines: Lines::leaf(line), cost, height: 0 }
    }
}

pub(super) struct Builder<'i> {
    parser: Parser<'i, StrInput<'i>>,
    /// The parser sees the end of the text on the line after it.
    last_line: usize,
    /// The document that is being read; counts from 1.
    document: usize,
    /// By the parser's number of the anchor; of this document only.
    anchors: HashMap<usize, Node>,
    /// What anchors keep and aliases copied, of the whole text.
    expanded: usize,
    path: String,
    duplicates: Duplicates,
    first_duplicate: Option<(usize, String)>,
}

impl<'i> Builder<'i> {
    pub(super) fn new(text: &'i str) -> Builder<'i> {
        Builder {
            parser: Parser::new_from_str(text),
            last_line: text.lines().count().max(1),
            document: 1,
            anchors: HashMap::new(),
            expanded: 0,
            path: String::new(),
            duplicates: Duplicates::default(),
            first_duplicate: None,
        }
    }

    /// Every document of the text, empty ones (null) included.
    pub(super) fn all(mut self) -> Result<Vec<Tree>, YamlError> {
        let mut trees = Vec::new();
        loop {
            match self.next()? {
                (Event::StreamStart | Event::Nothing | Event::DocumentEnd, _) => {}
                (Event::DocumentStart(_), _) => {
                    self.document = trees.len() + 1;
                    self.anchors.clear();
                    let (event, span) = self.next()?;
                    let node = self.node(event, span, 0)?;
                    trees.push(Tree {
                        value: node.value,
                        lines: node.lines,
                        duplicates: std::mem::take(&mut self.duplicates).into_found(),
                        first_duplicate: self.first_duplicate.take(),
                    });
                }
                (Event::StreamEnd, _) => return Ok(trees),
                (_, span) => return Err(self.fault(span, "this does not belong to a document")),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'i>, Span), YamlError> {
        match self.parser.next_event() {
            Some(event) => event.map_err(|error: ScanError| YamlError {
                document: self.document,
                line: Some(error.marker().line().clamp(1, self.last_line)),
                message: error.info().to_owned(),
            }),
            None => Err(YamlError { document: self.document, line: None, message: "the text ends early".to_owned() }),
        }
    }

    fn fault(&self, span: Span, message: impl Into<String>) -> YamlError {
        YamlError { document: self.document, line: Some(line(span)), message: message.into() }
    }

    /// The node that begins with `event`, `depth` levels below the document.
    fn node(&mut self, event: Event<'i>, span: Span, depth: usize) -> Result<Node, YamlError> {
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar_value(&text, style, tag.as_deref()).map_err(|m| self.fault(span, m))?;
                (Node::leaf(value, line(span)), anchor)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(self.fault(span, "unknown anchor"));
                };
                let (cost, height) = (node.cost, node.height);
                self.check_depth(span, depth + height)?;
                self.expand(span, cost)?;
                let value = self.anchors.get(&anchor).map_or(Value::Null, |node| node.value.clone());
                return Ok(Node { value, lines: Lines::leaf(line(span)), cost, height });
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(span, tag.as_deref(), "seq")?;
                self.check_depth(span, depth + 1)?;
                (self.list(span, depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(span, tag.as_deref(), "map")?;
                self.check_depth(span, depth + 1)?;
                (self.map(span, depth)?, anchor)
            }
            _ => return Err(self.fault(span, "a value is missing")),
        };
        // The parser numbers anchors from 1.
        if anchor > 0 {
            self.expand(span, node.cost)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, start: Span, depth: usize) -> Result<Node, YamlError> {
        let (mut values, mut lines, mut cost, mut height) = (Vec::new(), Vec::new(), NODE_COST, 0);
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                let lines = Lines::list(line(start), lines);
                return Ok(Node { value: Value::Array(values), lines, cost, height: height + 1 });
            }
            let before = self.path.len();
            push(&mut self.path, &Step::Index(values.len()));
            let node = self.node(event, span, depth + 1)?;
            self.path.truncate(before);
            cost += node.cost;
            height = height.max(node.height);
            values.push(node.value);
            lines.push(node.lines);
        }
    }

    fn map(&mut self, start: Span, depth: usize) -> Result<Node, YamlError> {
        let (mut map, mut lines, mut cost, mut height) = (Map::new(), Vec::new(), NODE_COST, 0);
        let mut merges = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key_node = self.node(event, span, depth + 1)?;
            let key = key(key_node.value).map_err(|m| self.fault(span, m))?;
            let (event, value_span) = self.next()?;
            let before = self.path.len();
            push(&mut self.path, &Step::Key(&key));
            let node = self.node(event, value_span, depth + 1)?;
            self.path.truncate(before);
            cost += NODE_COST + key.len() + node.cost;
            height = height.max(node.height);
            if merge {
                merges.push((node.value, span));
                continue;
            }
            if map.contains_key(&key) {
                self.note_duplicate(&key, span);
            }
            lines.push((key.clone(), node.lines.at(line(span))));
            map.insert(key, node.value);
        }
        for (value, span) in merges {
            self.merge(&mut map, &mut lines, value, span)?;
        }
        let lines = Lines::map(line(start), lines);
        Ok(Node { value: Value::Object(map), lines, cost, height: height + 1 })
    }

    /// Adds the entries that `map` has not got of its own (<https://yaml.org/type/merge.html>). kubectl's library lets
    /// a `<<` that stands last win over the map's own entries; that is a fault of it, and not copied.
    fn merge(
        &self,
        map: &mut Map<String, Value>,
        lines: &mut Vec<(String, Lines)>,
        value: Value,
        span: Span,
    ) -> Result<(), YamlError> {
        let sources = match value {
            Value::Array(sources) => sources,
            one => vec![one],
        };
        for source in sources {
            let Value::Object(source) = source else {
                return Err(self.fault(span, "a merge key needs an object or a list of objects"));
            };
            for (key, value) in source {
                if !map.contains_key(&key) {
                    lines.push((key.clone(), Lines::leaf(line(span))));
                    map.insert(key, value);
                }
            }
        }
        Ok(())
    }

    fn note_duplicate(&mut self, key: &str, span: Span) {
        self.duplicates.note(&self.path, key);
        if self.first_duplicate.is_none() {
            let mut path = self.path.clone();
            push(&mut path, &Step::Key(key));
            self.first_duplicate = Some((line(span), path));
        }
    }

    fn check_depth(&self, span: Span, depth: usize) -> Result<(), YamlError> {
        if depth <= MAX_DEPTH {
            return Ok(());
        }
        Err(self.fault(span, format!("nested too deeply (at most {MAX_DEPTH} levels)")))
    }

    fn check_tag(&self, span: Span, tag: Option<&Tag>, allowed: &str) -> Result<(), YamlError> {
        match tag {
            Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == allowed) => {
                Err(self.fault(span, format!("the tag {tag} is not supported")))
            }
            _ => Ok(()),
        }
    }

    fn expand(&mut self, span: Span, cost: usize) -> Result<(), YamlError> {
        self.expanded = self.expanded.saturating_add(cost);
        if self.expanded <= MAX_EXPANDED {
            return Ok(());
        }
        Err(self.fault(span, format!("aliases expand to more than {} MiB", MAX_EXPANDED >> 20)))
    }
}

fn line(span: Span) -> usize {
    span.start.line().max(1)
}

fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() => scalar::tagged(&tag.suffix, text),
        // "!" alone says: not to be resolved.
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Ok(Value::String(text.to_owned())),
        Some(tag) => Err(format!("the tag {tag} is not supported")),
        None if style == ScalarStyle::Plain => scalar::plain(text),
        None => Ok(Value::String(text.to_owned())),
    }
}

/// A key as kubectl converts it: integers and booleans become their text.
fn key(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Bool(b) => Ok(b.to_string()),
        Value::Number(n) if !n.is_f64() => Ok(n.to_string()),
        other => Err(format!("a key must be a string, found {}", describe(&other))),
    }
}
