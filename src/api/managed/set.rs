//! A set of fields, and what can be done with two of them (structured-merge-diff `fieldpath/set.go`).
//!
//! A field that has children can be a member without them, and they without it: to own a list's element is not to own
//! what is in it. Invariant: each node of the tree is a member, or has a member below it.

use std::collections::BTreeMap;
use std::fmt;

use super::schema::Type;
use super::step::Step;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet(BTreeMap<Step, Node>);

/// A step of a set, with what is below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub member: bool,
    pub below: FieldSet,
}

/// The path of a field. `Display` is `.spec.containers[name="a"].image`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(pub Vec<Step>);

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| write!(f, "{step}"))
    }
}

impl Node {
    pub const MEMBER: Node = Node { member: true, below: FieldSet(BTreeMap::new()) };

    fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl FieldSet {
    /// A set of paths of named fields.
    pub fn of(paths: &[&[&str]]) -> FieldSet {
        let mut set = FieldSet::default();
        for path in paths {
            set.insert(path.iter().map(|name| Step::field(name)));
        }
        set
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the field at `path`; the empty path is no field.
    pub fn insert(&mut self, path: impl IntoIterator<Item = Step>) {
        let mut path = path.into_iter();
        let Some(first) = path.next() else { return };
        let mut node = self.0.entry(first).or_default();
        for step in path {
            node = node.below.0.entry(step).or_default();
        }
        node.member = true;
    }

    /// Adds `node` at `step`; does nothing if it holds nothing.
    pub fn put(&mut self, step: Step, node: Node) {
        if node.is_empty() {
            return;
        }
        match self.0.get_mut(&step) {
            None => {
                self.0.insert(step, node);
            }
            Some(there) => {
                there.member |= node.member;
                there.below.unite(node.below);
            }
        }
    }

    /// The node at one step.
    pub fn at(&self, step: &Step) -> Option<&Node> {
        self.0.get(step)
    }

    pub fn nodes(&self) -> impl Iterator<Item = (&Step, &Node)> {
        self.0.iter()
    }

    pub fn unite(&mut self, other: FieldSet) {
        for (step, node) in other.0 {
            self.put(step, node);
        }
    }

    pub fn union(&self, other: &FieldSet) -> FieldSet {
        let mut all = self.clone();
        all.unite(other.clone());
        all
    }

    pub fn intersection(&self, other: &FieldSet) -> FieldSet {
        let mut both = FieldSet::default();
        for (step, a) in &self.0 {
            if let Some(b) = other.at(step) {
                let node = Node { member: a.member && b.member, below: a.below.intersection(&b.below) };
                both.put(step.clone(), node);
            }
        }
        both
    }

    /// The members that `other` has not. A member of `other` takes nothing below it away.
    pub fn difference(&self, other: &FieldSet) -> FieldSet {
        self.filtered(other, |a, b| Node { member: a.member && !b.member, below: a.below.difference(&b.below) })
    }

    /// The members that neither are in `other` nor below one of its members.
    pub fn outside(&self, other: &FieldSet) -> FieldSet {
        self.filtered(other, |a, b| match b.member {
            true => Node::default(),
            false => Node { member: a.member, below: a.below.outside(&b.below) },
        })
    }

    fn filtered(&self, other: &FieldSet, both: impl Fn(&Node, &Node) -> Node) -> FieldSet {
        let mut rest = FieldSet::default();
        for (step, a) in &self.0 {
            let node = match other.at(step) {
                None => a.clone(),
                Some(b) => both(a, b),
            };
            rest.put(step.clone(), node);
        }
        rest
    }

    /// With the named fields on the way to members as members too. A set of what was applied does not hold those: who
    /// applies `spec.template` does not own `spec`, but what is left of an object that lost all its fields must go.
    pub fn with_named(&self, ty: Type) -> FieldSet {
        let mut set = FieldSet::default();
        for (step, node) in &self.0 {
            let named = !node.below.is_empty() && matches!(step, Step::Field(_)) && ty.is_struct();
            let below = node.below.with_named(ty.at(step));
            set.put(step.clone(), Node { member: node.member || named, below });
        }
        set
    }

    pub fn has(&self, path: &FieldPath) -> bool {
        let Some((last, way)) = path.0.split_last() else { return false };
        let mut set = self;
        for step in way {
            match set.at(step) {
                Some(node) => set = &node.below,
                None => return false,
            }
        }
        set.at(last).is_some_and(|node| node.member)
    }

    /// The members, each before those below it.
    pub fn paths(&self) -> Vec<FieldPath> {
        let mut found = Vec::new();
        self.collect(&mut FieldPath::default(), &mut found);
        found
    }

    fn collect(&self, way: &mut FieldPath, found: &mut Vec<FieldPath>) {
        for (step, node) in &self.0 {
            way.0.push(step.clone());
            if node.member {
                found.push(way.clone());
            }
            node.below.collect(way, found);
            way.0.pop();
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    pub fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => "[a-c.:/\"]{0,2}".prop_map(Step::Field),
            1 => ("[a-c\"]", 0..3u8).prop_map(|(a, b)| Step::parse(
                &format!("k:{}", serde_json::json!({"x": a, "y": b}))).unwrap()),
            1 => "[a-c\\\\]".prop_map(|v| Step::parse(&format!("v:{}", serde_json::json!(v))).unwrap()),
            1 => (0..3u64).prop_map(Step::Index),
        ]
    }

    pub fn set() -> impl Strategy<Value = FieldSet> {
        let path = proptest::collection::vec(step(), 1..5);
        proptest::collection::vec(path, 0..12).prop_map(|paths| {
            let mut set = FieldSet::default();
            paths.into_iter().for_each(|path| set.insert(path));
            set
        })
    }

    fn has_no_empty_node(set: &FieldSet) -> bool {
        set.nodes().all(|(_, node)| !node.is_empty() && has_no_empty_node(&node.below))
    }

    proptest! {
        #[test]
        fn the_operations_are_those_of_sets_of_paths(a in set(), b in set()) {
            let (union, both, rest) = (a.union(&b), a.intersection(&b), a.difference(&b));
            for set in [&union, &both, &rest, &a.outside(&b)] {
                prop_assert!(has_no_empty_node(set));
            }
            for path in union.paths() {
                prop_assert!(a.has(&path) || b.has(&path));
                prop_assert_eq!(both.has(&path), a.has(&path) && b.has(&path));
                prop_assert_eq!(rest.has(&path), a.has(&path) && !b.has(&path));
                let below = (1..=path.0.len()).any(|n| b.has(&FieldPath(path.0[..n].to_vec())));
                prop_assert_eq!(a.outside(&b).has(&path), a.has(&path) && !below);
            }
            prop_assert_eq!(both.union(&rest), a);
        }
    }

    #[test]
    fn named_fields_on_the_way_are_added_and_keys_of_maps_are_not() {
        let set = FieldSet::of(&[&["spec", "template", "metadata", "labels", "a"]]);
        let named = set.with_named(Type::of(crate::api::Kind::Job));
        let paths: Vec<String> = named.paths().iter().map(ToString::to_string).collect();
        let expected = [".spec", ".spec.template", ".spec.template.metadata", ".spec.template.metadata.labels"];
        assert_eq!(paths[..4], expected);
        assert_eq!(paths.len(), 5);
    }
}
