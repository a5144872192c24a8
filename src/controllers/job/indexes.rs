//! Sets of completion indexes, kept as ranges: a Job of 100,000 completions that succeed in order is one range, and
//! what a set costs follows the gaps in it, never the number of its indexes (`orderedIntervals` in kubernetes
//! `pkg/controller/job/indexed_job_utils.go`).
//!
//! An index is at least 0 and below some `completions`, so at most `i32::MAX - 1`; others are never in a set. Ranges
//! neither overlap nor touch, so that equal sets have equal ranges.

use std::collections::BTreeMap;
use std::fmt;

use crate::api::job::count_indexes;

const LAST_INDEX: i32 = i32::MAX - 1;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexSet {
    /// The last index of each range, by its first.
    ranges: BTreeMap<i32, i32>,
    count: i32,
}

impl IndexSet {
    /// What can be read from a status, such as `0,2-5`: a fragment that says nothing is left out, and so is what does
    /// not lie below `completions`. Fragments may come in any order.
    pub fn parse(text: &str, completions: i32) -> IndexSet {
        let mut set = IndexSet::default();
        for (first, last) in text.split(',').filter_map(parse_fragment) {
            set.insert_range(first, last.min(completions.saturating_sub(1)));
        }
        set
    }

    /// As [`IndexSet::parse`], but `None` unless the text is one that a Job may have in its success policy.
    pub fn parse_strict(text: &str, completions: i32) -> Option<IndexSet> {
        count_indexes(text, completions).ok().map(|_| IndexSet::parse(text, completions))
    }

    /// Whether the index was new.
    pub fn insert(&mut self, index: i32) -> bool {
        let before = self.count;
        self.insert_range(index, index);
        self.count > before
    }

    fn insert_range(&mut self, first: i32, last: i32) {
        let (mut first, mut last) = (first.max(0), last.min(LAST_INDEX));
        if first > last {
            return;
        }
        if let Some((start, end)) = self.range_before(first)
            && end >= first - 1
        {
            first = start;
        }
        while let Some((&start, &end)) = self.ranges.range(first..=last + 1).next() {
            self.ranges.remove(&start);
            self.count -= end - start + 1;
            last = last.max(end);
        }
        self.ranges.insert(first, last);
        self.count += last - first + 1; // Never above LAST_INDEX + 1: ranges do not overlap.
    }

    /// The last range that begins at or before this index.
    fn range_before(&self, index: i32) -> Option<(i32, i32)> {
        self.ranges.range(..=index).next_back().map(|(first, last)| (*first, *last))
    }

    pub fn contains(&self, index: i32) -> bool {
        self.range_before(index).is_some_and(|(_, last)| last >= index)
    }

    pub fn len(&self) -> i32 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many indexes are in both.
    pub fn intersection_len(&self, other: &IndexSet) -> i32 {
        let (few, many) = self.by_ranges(other);
        let mut count = 0;
        for (&first, &last) in &few.ranges {
            let from = many.range_before(first).map_or(first, |(start, _)| start);
            for (&start, &end) in many.ranges.range(from..=last) {
                count += (end.min(last) - start.max(first) + 1).max(0);
            }
        }
        count
    }

    pub fn contains_all(&self, other: &IndexSet) -> bool {
        let covers = |(first, last): (&i32, &i32)| self.range_before(*first).is_some_and(|(_, end)| end >= *last);
        other.ranges.iter().all(covers)
    }

    pub fn union(&self, other: &IndexSet) -> IndexSet {
        let (few, many) = self.by_ranges(other);
        let mut all = many.clone();
        for (&first, &last) in &few.ranges {
            all.insert_range(first, last);
        }
        all
    }

    /// Both sets, the one with fewer ranges first.
    fn by_ranges<'a>(&'a self, other: &'a IndexSet) -> (&'a IndexSet, &'a IndexSet) {
        if self.ranges.len() <= other.ranges.len() { (self, other) } else { (other, self) }
    }

    /// The indexes below `completions` that are not in the set, lowest first. A step over a range costs what a step to
    /// the next index costs.
    pub fn iter_missing(&self, completions: i32) -> impl Iterator<Item = i32> {
        let gap_starts = std::iter::once(0).chain(self.ranges.values().map(|last| last + 1));
        let gap_ends = self.ranges.keys().copied().chain([completions]);
        let gaps = gap_starts.zip(gap_ends).take_while(move |(start, _)| *start < completions);
        gaps.flat_map(move |(start, end)| start..end.min(completions))
    }
}

/// `3` or `2-5`. A number too large for an index stands for the largest one, which is never below `completions`.
fn parse_fragment(text: &str) -> Option<(i32, i32)> {
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(i32::MAX))
    };
    match text.split_once('-') {
        Some((first, last)) => Some((number(first)?, number(last)?)),
        None => number(text).map(|index| (index, index)),
    }
}

/// As in a status: ranges only from three indexes on.
impl fmt::Display for IndexSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, last)) in self.ranges.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            match last - first {
                0 => write!(f, "{first}")?,
                1 => write!(f, "{first},{last}")?,
                _ => write!(f, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl FromIterator<i32> for IndexSet {
    fn from_iter<I: IntoIterator<Item = i32>>(indexes: I) -> IndexSet {
        let mut set = IndexSet::default();
        for index in indexes {
            set.insert(index);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn ranges_are_written_from_three_indexes_on() {
        let cases: &[(&[i32], &str)] = &[
            (&[], ""),
            (&[7], "7"),
            (&[0, 1, 2], "0-2"),
            (&[0, 1], "0,1"),
            (&[0, 1, 3, 4, 5, 7], "0,1,3-5,7"),
            (&[7, 5, 3, 4, 1, 0, 1], "0,1,3-5,7"),
        ];
        for (indexes, text) in cases {
            let set: IndexSet = indexes.iter().copied().collect();
            assert_eq!(set.to_string(), *text, "{indexes:?}");
            assert_eq!(IndexSet::parse(text, 8), set, "{text}");
        }
    }

    #[test]
    fn what_a_status_says_is_read_as_far_as_it_makes_sense() {
        let cases = [
            ("0,2-5", "0,2-5"),
            ("2-5,0,4-7,1", "0-7"),
            ("8,10", "8"),
            ("8-12", "8,9"),
            ("12-14", ""),
            ("8-99999999999999999999", "8,9"),
            ("99999999999999999999,1", "1"),
            ("0,x,2", "0,2"),
            ("0,,2", "0,2"),
            ("0,-3,2", "0,2"),
            ("1-2-3,5", "5"),
            ("5-3,+7, 8,9", "9"),
            ("-", ""),
            ("é", ""),
        ];
        for (text, want) in cases {
            assert_eq!(IndexSet::parse(text, 10).to_string(), want, "{text}");
        }
        for completions in [0, -1, i32::MIN] {
            assert!(IndexSet::parse("0-5", completions).is_empty(), "{completions}");
        }
    }

    #[test]
    fn a_success_policy_is_read_whole_or_not_at_all() {
        for text in ["10", "0-10", "0,x", "1,0", "2,2", "3-3", "0,", "99999999999999999999"] {
            assert_eq!(IndexSet::parse_strict(text, 10), None, "{text}");
        }
        for text in ["", "0", "0,2-5", "0-9"] {
            assert_eq!(IndexSet::parse_strict(text, 10).unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_largest_job_is_one_range() {
        let mut all = IndexSet::parse("0-2147483647", i32::MAX);
        assert_eq!((all.len(), all.ranges.len()), (i32::MAX, 1));
        assert_eq!(all.iter_missing(i32::MAX).next(), None);
        assert_eq!(all.intersection_len(&all), i32::MAX);
        assert_eq!(all.union(&all), all);
        assert!(all.contains(LAST_INDEX) && !all.insert(LAST_INDEX));
    }

    #[test]
    fn what_is_no_index_is_never_in_a_set() {
        let mut set = IndexSet::default();
        for index in [-1, i32::MIN, i32::MAX] {
            assert!(!set.insert(index) && !set.contains(index), "{index}");
        }
        assert!(set.is_empty() && set.insert(LAST_INDEX) && set.len() == 1);
    }

    #[test]
    fn the_missing_are_found_from_the_lowest_on() {
        let missing = |text: &str, completions| -> Vec<i32> {
            IndexSet::parse(text, i32::MAX).iter_missing(completions).collect()
        };
        assert_eq!(missing("", 3), [0, 1, 2]);
        assert_eq!(missing("0,2-5,8", 10), [1, 6, 7, 9]);
        assert_eq!(missing("0,2-5,8", 4), [1]);
        assert_eq!(missing("5-7", 3), [0, 1, 2]);
        assert_eq!(missing("0-2", 3), [] as [i32; 0]);
        assert_eq!(missing("", -1), [] as [i32; 0]);
    }

    fn indexes() -> impl Strategy<Value = BTreeSet<i32>> {
        proptest::collection::btree_set(0i32..60, 0..50)
    }

    fn set(indexes: &BTreeSet<i32>) -> IndexSet {
        indexes.iter().copied().collect()
    }

    proptest! {
        /// In whatever order indexes come, the set is what a plain set is, and its ranges stay apart.
        #[test]
        fn a_set_of_ranges_is_a_set(steps in proptest::collection::vec(-2i32..60, 0..120), completions in 0i32..70) {
            let (mut ranges, mut plain) = (IndexSet::default(), BTreeSet::new());
            for index in steps {
                prop_assert_eq!(ranges.insert(index), index >= 0 && plain.insert(index));
                prop_assert_eq!(ranges.len() as usize, plain.len());
            }
            prop_assert!((-3..62).all(|i| ranges.contains(i) == plain.contains(&i)));
            prop_assert_eq!(ranges.is_empty(), plain.is_empty());
            let missing: Vec<i32> = (0..completions).filter(|i| !plain.contains(i)).collect();
            prop_assert_eq!(ranges.iter_missing(completions).collect::<Vec<_>>(), missing);
            let bounds: Vec<i32> = ranges.ranges.iter().flat_map(|(first, last)| [*first, *last + 1]).collect();
            prop_assert!(bounds.is_sorted_by(|a, b| a < b), "{:?}", ranges);
        }

        #[test]
        fn two_sets_compare_as_plain_sets_do(a in indexes(), b in indexes()) {
            let (x, y) = (set(&a), set(&b));
            prop_assert_eq!(x.union(&y), set(&a.union(&b).copied().collect()));
            let both: BTreeSet<i32> = a.intersection(&b).copied().collect();
            prop_assert_eq!(x.intersection_len(&y) as usize, both.len());
            prop_assert_eq!(x.contains_all(&y), a.is_superset(&b));
            prop_assert!(x.contains_all(&set(&both)) && x.union(&y).contains_all(&y));
        }

        #[test]
        fn what_is_written_is_read_back(indexes in indexes(), completions in 0i32..70) {
            let text = set(&indexes).to_string();
            prop_assert_eq!(IndexSet::parse_strict(&text, 60), Some(set(&indexes)));
            let below: BTreeSet<i32> = indexes.range(..completions).copied().collect();
            prop_assert_eq!(IndexSet::parse(&text, completions), set(&below));
        }

        #[test]
        fn no_text_makes_reading_panic(text in "[0-9,x-]{0,40}", completions in any::<i32>()) {
            let read = IndexSet::parse(&text, completions);
            prop_assert!(read.is_empty() || read.len() <= completions);
            if let Ok(count) = count_indexes(&text, completions) {
                prop_assert_eq!(read.len(), count);
            }
        }
    }
}
