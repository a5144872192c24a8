//! The token `continue` of a list in pages: what the client hands back to have the next one.
//!
//! It is in hexadecimal, because it is nobody else's business, and says nothing that its bearer could not ask for anyway:
//! one that was made up shows another place of the same list, or is refused.

use crate::api::Key;

/// Where the next page goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContinueToken {
    /// What all pages show; `None`: what is there when the next one is asked for.
    pub revision: Option<u64>,
    /// How many objects come after, if that is known.
    pub left: Option<usize>,
    /// The last key of the page before.
    pub after: Key,
}

impl ContinueToken {
    pub fn text(&self) -> String {
        let number = |n: Option<String>| n.unwrap_or_default();
        let (revision, left) = (number(self.revision.map(|n| n.to_string())), number(self.left.map(|n| n.to_string())));
        let text = format!("{revision}/{left}/{}/{}", self.after.namespace, self.after.name);
        text.bytes().map(|b| format!("{b:02x}")).collect()
    }

    /// `None`: this is not one that [`ContinueToken::text`] makes.
    pub fn parse(text: &str) -> Option<ContinueToken> {
        /// Nothing is `None`, and rubbish an error.
        fn number<T: std::str::FromStr>(text: &str) -> Result<Option<T>, T::Err> {
            if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
        }
        let digits = text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        let text = String::from_utf8(digits.collect::<Option<Vec<u8>>>()?).ok()?;
        let mut parts = text.splitn(4, '/');
        let (revision, left) = (number(parts.next()?).ok()?, number(parts.next()?).ok()?);
        Some(ContinueToken { revision, left, after: Key::new(parts.next()?, parts.next()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rubbish_is_refused() {
        for rubbish in ["x", "zz", "ff", "é", "2f", "782f2f612f62", "2f782f612f62"] {
            assert_eq!(ContinueToken::parse(rubbish), None, "{rubbish}");
        }
    }

    proptest! {
        #[test]
        fn a_token_survives_its_text(revision: Option<u64>, left: Option<usize>, namespace in "[a-z0-9-]{0,63}", name in "[a-z0-9.-]{0,253}") {
            let token = ContinueToken { revision, left, after: Key::new(&namespace, &name) };
            prop_assert_eq!(ContinueToken::parse(&token.text()), Some(token));
        }

        #[test]
        fn no_text_is_taken_for_more_than_it_says(text in ".{0,80}") {
            if let Some(token) = ContinueToken::parse(&text) {
                prop_assert_eq!(ContinueToken::parse(&token.text()), Some(token));
            }
        }
    }
}
