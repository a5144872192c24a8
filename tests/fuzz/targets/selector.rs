//! Label and field selectors as text, and what they say of an object.

#![no_main]

use std::collections::BTreeMap;

use kiln::api::field_selector::{self, FieldSelector};
use kiln::api::selector::Selector;
use kiln::api::{Kind, Object};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(selector) = Selector::parse(text) {
        let _ = selector.matches(&BTreeMap::from([("a".to_owned(), "b".to_owned())]));
    }
    let _ = field_selector::parse(text);
    let job = Object::deserialize(Kind::Job, kiln_fuzz::job()).expect("it is a Job");
    if let Ok(selector) = FieldSelector::compile(Kind::Job, text) {
        let _ = selector.matches(&job);
    }
});
