//! The line of every node of a document: a tree in the shape of the value.

/// A node's line (of its key, in a map), and those of its children.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    line: usize,
    children: Children,
}

#[derive(Clone, Debug)]
enum Children {
    None,
    List(Vec<Lines>),
    Map(Vec<(String, Lines)>),
}

impl Lines {
    pub(super) fn leaf(line: usize) -> Lines {
        Lines { line, children: Children::None }
    }

    pub(super) fn list(line: usize, children: Vec<Lines>) -> Lines {
        Lines { line, children: Children::List(children) }
    }

    pub(super) fn map(line: usize, children: Vec<(String, Lines)>) -> Lines {
        Lines { line, children: Children::Map(children) }
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// The same node under a key or a dash that stands on another line.
    pub(super) fn at(self, line: usize) -> Lines {
        Lines { line, ..self }
    }

    /// The line of the deepest node on the way to `path`; None if the way has no first step.
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        let (mut node, mut rest, mut found) = (self, path, None);
        while let Some((child, after)) = node.step(rest) {
            (node, rest, found) = (child, after, Some(child.line));
        }
        found
    }

    /// The child that `path` begins with, and what of the path is left. A key may hold dots, so the longest that fits
    /// is taken.
    fn step<'a>(&'a self, path: &'a str) -> Option<(&'a Lines, &'a str)> {
        match &self.children {
            Children::None => None,
            Children::List(children) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                Some((children.get(index.parse::<usize>().ok()?)?, rest))
            }
            Children::Map(children) => {
                if path.is_empty() {
                    return None;
                }
                let fits = |key: &str| match path.strip_prefix('[').and_then(|p| p.strip_prefix(key)) {
                    Some(rest) => rest.strip_prefix(']'),
                    None => {
                        let rest = path.strip_prefix('.').unwrap_or(path).strip_prefix(key)?;
                        (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
                    }
                };
                children
                    .iter()
                    .filter_map(|(key, child)| fits(key).map(|rest| (child, rest)))
                    .min_by_key(|(_, rest)| rest.len())
            }
        }
    }
}
