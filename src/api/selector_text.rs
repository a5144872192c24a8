//! The text grammar of label selectors, as the API server parses it (apimachinery `labels/selector.go`): the same texts
//! are accepted, the same errors are told.

use std::collections::BTreeSet;

use crate::api::field::{FieldError, Path};
use crate::api::names;
use crate::api::selector::{Op, Requirement};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    End,
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Above,
    Below,
    NotEquals,
    Open,
    In,
    NotIn,
    Word(&'a str),
    Bad(&'a str),
}

/// The requirements in the order of the text.
pub fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { tokens: scan(text), at: 0 };
    let mut requirements = Vec::new();
    loop {
        match parser.peek_value() {
            Token::Word(_) | Token::Not => {
                let requirement = parser.requirement().map_err(|e| format!("unable to parse requirement: {e}"))?;
                requirements.push(requirement);
            }
            Token::End => return Ok(requirements),
            other => return Err(format!("found '{}', expected: !, identifier, or 'end of string'", other.text())),
        }
        match parser.next_value() {
            Token::End => return Ok(requirements),
            Token::Comma => match parser.peek_value() {
                Token::Word(_) | Token::Not => {}
                other => return Err(format!("found '{}', expected: identifier after ','", other.text())),
            },
            other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
        }
    }
}

fn scan(text: &str) -> Vec<Token<'_>> {
    let special = |c: char| "=!(),><".contains(c);
    let space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let mut rest = text.split('\0').next().unwrap_or_default();
    let mut tokens = Vec::new();
    loop {
        rest = rest.trim_start_matches(space);
        let Some(first) = rest.chars().next() else { break };
        let (token, length) = if special(first) {
            let symbols = &rest[..rest.find(|c| !special(c)).unwrap_or(rest.len())];
            symbol(symbols)
        } else {
            let length = rest.find(|c| special(c) || space(c)).unwrap_or(rest.len());
            let word = &rest[..length];
            let token = match word {
                "in" => Token::In,
                "notin" => Token::NotIn,
                word => Token::Word(word),
            };
            (token, length)
        };
        tokens.push(token);
        rest = &rest[length..];
    }
    tokens.push(Token::End);
    tokens
}

/// The longest operator at the start of `symbols`, which is not empty.
fn symbol(symbols: &str) -> (Token<'_>, usize) {
    if symbols.starts_with("==") {
        return (Token::DoubleEquals, 2);
    }
    if symbols.starts_with("!=") {
        return (Token::NotEquals, 2);
    }
    match symbols.as_bytes().first() {
        Some(b'=') => (Token::Equals, 1),
        Some(b'!') => (Token::Not, 1),
        Some(b'(') => (Token::Open, 1),
        Some(b')') => (Token::Close, 1),
        Some(b',') => (Token::Comma, 1),
        Some(b'>') => (Token::Above, 1),
        Some(b'<') => (Token::Below, 1),
        _ => (Token::Bad(symbols), symbols.len()),
    }
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Token::End => "",
            Token::Close => ")",
            Token::Comma => ",",
            Token::Not => "!",
            Token::DoubleEquals => "==",
            Token::Equals => "=",
            Token::Above => ">",
            Token::Below => "<",
            Token::NotEquals => "!=",
            Token::Open => "(",
            Token::In => "in",
            Token::NotIn => "notin",
            Token::Word(text) | Token::Bad(text) => text,
        }
    }
}

struct Parser<'a> {
    /// Ends with [`Token::End`].
    tokens: Vec<Token<'a>>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.at).copied().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at += 1;
        token
    }

    /// Where a key or value stands, `in` and `notin` are words.
    fn peek_value(&self) -> Token<'a> {
        match self.peek() {
            Token::In => Token::Word("in"),
            Token::NotIn => Token::Word("notin"),
            token => token,
        }
    }

    fn next_value(&mut self) -> Token<'a> {
        let token = self.peek_value();
        self.at += 1;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut token = self.next_value();
        let negated = token == Token::Not;
        if negated {
            token = self.next_value();
        }
        let Token::Word(key) = token else {
            return Err(format!("found '{}', expected: identifier", token.text()));
        };
        let faults = names::qualified_name(key);
        if !faults.is_empty() {
            return Err(FieldError::invalid(&Path::root("<nil>"), key, faults.join("; ")).to_string());
        }
        let bare = matches!(self.peek_value(), Token::End | Token::Comma);
        let op = match (negated, bare) {
            (true, _) => Op::Absent,
            (false, true) => Op::Exists,
            (false, false) => self.operation(key)?,
        };
        Ok(Requirement { key: key.to_owned(), op })
    }

    fn operation(&mut self, key: &str) -> Result<Op, String> {
        match self.next() {
            Token::In => self.values(key).map(Op::In),
            Token::NotIn => self.values(key).map(Op::NotIn),
            Token::Equals | Token::DoubleEquals => self.value(key).map(Op::Equals),
            Token::NotEquals => self.value(key).map(Op::NotEquals),
            Token::Above => self.bound(key).map(Op::Above),
            Token::Below => self.bound(key).map(Op::Below),
            other => Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.text())),
        }
    }

    fn value(&mut self, key: &str) -> Result<String, String> {
        if matches!(self.peek_value(), Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.next_value() {
            Token::Word(value) => {
                check_value(key, 0, value)?;
                Ok(value.to_owned())
            }
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }

    fn bound(&mut self, key: &str) -> Result<i64, String> {
        let value = self.value(key)?;
        value.parse().map_err(|_| {
            let path = Path::root("values").index(0);
            FieldError::invalid(&path, value, "for 'Gt', 'Lt' operators, the value must be an integer").to_string()
        })
    }

    /// `(a,b)`; an empty place between commas or parentheses is the empty value.
    fn values(&mut self, key: &str) -> Result<BTreeSet<String>, String> {
        let open = self.next_value();
        if open != Token::Open {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        let mut values = BTreeSet::new();
        loop {
            let token = self.peek_value();
            match token {
                Token::Word(value) => {
                    self.at += 1;
                    values.insert(value.to_owned());
                }
                Token::Comma | Token::Close => {
                    values.insert(String::new());
                }
                other => return Err(format!("found '{}', expected: ',', ')' or identifier", other.text())),
            }
            match self.next_value() {
                Token::Comma => {}
                Token::Close => break,
                other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
            }
        }
        for (i, value) in values.iter().enumerate() {
            check_value(key, i, value)?;
        }
        Ok(values)
    }
}

fn check_value(key: &str, i: usize, value: &str) -> Result<(), String> {
    let faults = names::label_value(value);
    match faults.is_empty() {
        true => Ok(()),
        false => {
            let path = Path::root("values").index(i).key(key);
            Err(FieldError::invalid(&path, value, faults.join("; ")).to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::api::selector::Selector;
    use proptest::prelude::*;

    #[test]
    fn the_canonical_text_is_sorted_by_key() {
        let table = [
            ("", ""),
            ("  ", ""),
            ("b=2, a=1", "a=1,b=2"),
            ("a==1", "a=1"),
            ("a in (z, y,y)", "a in (y,z)"),
            ("x in (foo,,baz),y,z notin ()", "x in (,baz,foo),y,z notin ()"),
            ("in in (in)", "in in (in)"),
            ("notin", "notin"),
            ("a=", "a="),
            ("! a", "!a"),
            ("n > 5", "n>5"),
            ("a=in", "a=in"),
        ];
        for (text, want) in table {
            let parsed = Selector::parse(text).unwrap();
            assert_eq!(parsed.to_string(), want, "{text:?}");
            assert_eq!(Selector::parse(want).unwrap(), parsed, "{want:?} means the same");
        }
    }

    #[test]
    fn faults_are_told_as_the_api_server_tells_them() {
        let table = [
            ("a=1,", "found '', expected: identifier after ','"),
            (",a", "found ',', expected: !, identifier, or 'end of string'"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("a=(", "unable to parse requirement: found '(', expected: identifier"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            ("!a=b", "found '=', expected: ',' or 'end of string'"),
            (
                "a=b_",
                "unable to parse requirement: values[0][a]: Invalid value: \"b_\": a valid label must be an empty \
                 string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                 alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
                 '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ),
            (
                "a>x",
                "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value \
                 must be an integer",
            ),
        ];
        for (text, want) in table {
            assert_eq!(Selector::parse(text).unwrap_err().to_string(), want, "{text:?}");
        }
        let key = Selector::parse("a/b/c").unwrap_err().to_string();
        assert!(key.starts_with("unable to parse requirement: <nil>: Invalid value: \"a/b/c\": "), "{key}");
    }

    proptest! {
        #[test]
        fn no_text_makes_parsing_panic(text in any::<String>(), near in "[a-c!=<>(), \\n]{0,30}|(a|in|notin|[(),=! ]){0,12}") {
            let _ = Selector::parse(&text);
            if let Ok(selector) = Selector::parse(&near) {
                prop_assert_eq!(Selector::parse(&selector.to_string()).unwrap(), selector);
            }
        }
    }
}
