//! Patches of each kind, server-side apply among them, on a Job that has a bit of everything.

#![no_main]

use kiln::api::managed::{self, Author, Part};
use kiln::api::patch::{json, merge, strategic};
use kiln::api::{Kind, Object, decode};
use kiln::clock::Clock;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let Ok(patch) = decode::json::parse(body) else { return };
    let target = kiln_fuzz::job();
    if choice % 4 == 3 {
        let old = Object::deserialize(Kind::Job, target).expect("it is a Job");
        let by = Author { manager: "fuzz", part: Part::Object, now: Clock::real().now() };
        if let Ok((config, _)) = managed::read_config(Kind::Job, patch)
            && let Ok(applied) = managed::apply(Some(&old), &config, by, true)
            && let Ok(decoded) = decode::value_body(Kind::Job, applied.value.into())
        {
            kiln_fuzz::admit(decoded.object);
        }
        return;
    }
    let patched = match choice % 4 {
        0 => json::apply(target, &patch.value),
        1 => merge::apply(target, &patch.value),
        _ => strategic::apply(target, &patch.value, Kind::Job),
    };
    if let Ok(value) = patched
        && let Ok(decoded) = decode::value_body(Kind::Job, value.into())
    {
        kiln_fuzz::admit(decoded.object);
    }
});
