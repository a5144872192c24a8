//! Time zones by their IANA names, from the database that is built into the program: the same on every machine, and
//! there where the machine has none. `spec.timeZone` is checked with it, and the controller computes with it.

use std::sync::LazyLock;

use k8s_openapi::jiff::tz::{TimeZone, TimeZoneDatabase};

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The zone of exactly this name; capitals count, as they do in the files of a Linux machine.
pub fn named(name: &str) -> Option<TimeZone> {
    let zone = DATABASE.get(name).ok()?;
    // jiff's name for "none is known" is no zone.
    (zone.iana_name() == Some(name) && zone != TimeZone::unknown()).then_some(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_by_their_exact_names() {
        for name in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+12", "EST5EDT", "GMT0"] {
            assert!(named(name).is_some(), "{name}");
        }
        for name in ["", "utc", "europe/berlin", "Europe/Nowhere", "Etc/Unknown", "Local", "CET-1", "../UTC", "+01:00"]
        {
            assert!(named(name).is_none(), "{name}");
        }
    }
}
