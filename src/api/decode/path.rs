//! Where a decoder stands, as Kubernetes writes it (`spec.containers[0].name`), and how a value is named to a user.

use std::fmt::Write;

use serde_json::Value;

/// The text of a user that one message may quote, in characters.
const MAX_QUOTE: usize = 64;

/// One step from a value into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Writes the steps as `a.b[0].c`.
pub fn render<'a>(steps: impl IntoIterator<Item = Step<'a>>) -> String {
    let mut path = String::new();
    for step in steps {
        push(&mut path, &step);
    }
    path
}

/// Appends one step to a path.
pub fn push(path: &mut String, step: &Step<'_>) {
    match step {
        Step::Key(key) => {
            if !path.is_empty() {
                path.push('.');
            }
            if key.len() <= MAX_QUOTE {
                path.push_str(key);
            } else {
                path.push_str(&shorten(key));
            }
        }
        Step::Index(index) => {
            // Writing to a String cannot fail.
            let _ = write!(path, "[{index}]");
        }
    }
}

/// `text`, cut if it is long, so that a message stays a message.
pub fn shorten(text: &str) -> String {
    cut(text, MAX_QUOTE)
}

/// `text`, cut after `most` characters.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((cut, _)) => format!("{}…", &text[..cut]),
    }
}

/// A value as a message names it: `string "x"`, `number 5`, `a list`.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => format!("boolean {b}"),
        Value::Number(n) => format!("number {n}"),
        Value::String(s) => format!("string {:?}", shorten(s)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_in_kubernetes() {
        let steps = [Step::Key("spec"), Step::Key("containers"), Step::Index(0), Step::Key("name")];
        assert_eq!(render(steps), "spec.containers[0].name");
        assert_eq!(render([Step::Index(2)]), "[2]");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shorten("short"), "short");
        let long = shorten(&"ä".repeat(1000));
        assert_eq!(long.chars().count(), MAX_QUOTE + 1);
    }
}
