//! The text of `kiln.dev/rerun`.

/// How much of a finished Job runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The indexes that have not succeeded.
    Failed,
    All,
}

impl Scope {
    /// Reads `rerun-failed` or `rerun-all`, followed by nothing or by a colon and any text. Otherwise says what to write.
    pub fn parse(text: &str) -> Result<Scope, String> {
        match text.split_once(':').map_or(text, |(scope, _)| scope) {
            "rerun-failed" => Ok(Scope::Failed),
            "rerun-all" => Ok(Scope::All),
            _ => Err("must be rerun-failed or rerun-all, and may go on with a colon and any text, as in \
                      rerun-failed:2"
                .to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_may_be_followed_by_any_text() {
        for (text, scope) in [
            ("rerun-failed", Some(Scope::Failed)),
            ("rerun-failed:2", Some(Scope::Failed)),
            ("rerun-all:", Some(Scope::All)),
            ("rerun-all:a:b", Some(Scope::All)),
            ("rerun", None),
            ("", None),
            ("rerun-all 2", None),
        ] {
            assert_eq!(Scope::parse(text).ok(), scope, "{text}");
        }
    }
}
