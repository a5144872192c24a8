//! Reads Rust text far enough to say which modules it imports and which words it uses. Not a parser: it knows comments,
//! literals, `mod` blocks, `use` trees and what stands under `#[cfg(test)]`, and nothing of macros.

/// A word or a sign of the code proper: comments, literals and tests are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Word(String),
    /// `::`
    Separator,
    Sign(char),
}

#[derive(Clone, Debug)]
pub struct Placed {
    pub token: Token,
    pub line: usize,
}

/// A path into the crate, from its root: `["store", "Change"]`; the last may be `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub path: Vec<String>,
    pub line: usize,
}

/// The code of a file without what only tests see.
pub fn code(text: &str) -> Vec<Placed> {
    without_tests(&tokens(text))
}

/// Whether the code uses the word, e.g. `unsafe`, or the name of a crate before `::`.
pub fn uses(code: &[Placed], word: &str, as_crate: bool) -> Option<usize> {
    let at = code.iter().enumerate().find(|(i, placed)| {
        is_word(placed, word) && (!as_crate || code.get(i + 1).is_some_and(|next| next.token == Token::Separator))
    });
    at.map(|(_, placed)| placed.line)
}

/// What the code of `module` (`["controllers", "job"]`) takes from its crate, by `crate::`, `kiln::` or `super::`.
pub fn imports(module: &[&str], code: &[Placed]) -> Vec<Import> {
    let mut scope: Vec<String> = module.iter().map(|part| (*part).to_owned()).collect();
    // The brace depths at which inline modules opened.
    let (mut opened, mut depth) = (Vec::new(), 0usize);
    let mut found = Vec::new();
    let mut i = 0;
    while let Some(placed) = code.get(i) {
        match &placed.token {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => {
                depth = depth.saturating_sub(1);
                if opened.last() == Some(&depth) {
                    opened.pop();
                    scope.pop();
                }
            }
            Token::Word(word) if word == "mod" => {
                if let (Some(Token::Word(name)), Some(Token::Sign('{'))) = (token(code, i + 1), token(code, i + 2)) {
                    scope.push(name.clone());
                    opened.push(depth);
                }
            }
            Token::Word(word) if starts_path(word) && !follows_separator(code, i) => {
                let mut paths = Vec::new();
                i = tree(code, i, Vec::new(), &mut paths);
                let resolved = paths.iter().map(|path| resolve(&scope, path)).filter(|path| !path.is_empty());
                found.extend(resolved.map(|path| Import { path, line: placed.line }));
                continue;
            }
            _ => {}
        }
        i += 1;
    }
    found
}

fn starts_path(word: &str) -> bool {
    matches!(word, "crate" | "super" | "self" | "kiln")
}

fn follows_separator(code: &[Placed], i: usize) -> bool {
    i > 0 && token(code, i - 1) == Some(&Token::Separator)
}

fn token(code: &[Placed], i: usize) -> Option<&Token> {
    code.get(i).map(|placed| &placed.token)
}

fn is_word(placed: &Placed, word: &str) -> bool {
    matches!(&placed.token, Token::Word(w) if w == word)
}

/// Collects the paths of a `use` tree, or the one path of an expression, and returns where it ends.
fn tree(code: &[Placed], mut i: usize, mut prefix: Vec<String>, paths: &mut Vec<Vec<String>>) -> usize {
    loop {
        match token(code, i) {
            Some(Token::Word(word)) => {
                prefix.push(word.clone());
                if token(code, i + 1) != Some(&Token::Separator) {
                    paths.push(prefix);
                    return i + 1;
                }
                i += 2;
            }
            Some(Token::Sign('*')) => {
                prefix.push("*".to_owned());
                paths.push(prefix);
                return i + 1;
            }
            Some(Token::Sign('{')) => {
                i += 1;
                loop {
                    match token(code, i) {
                        None => return i,
                        Some(Token::Sign('}')) => return i + 1,
                        Some(Token::Sign(',')) => i += 1,
                        // `as name` renames what was just read.
                        Some(Token::Word(word)) if word == "as" => i += 2,
                        Some(Token::Separator) => i += 1,
                        Some(_) => i = tree(code, i, prefix.clone(), paths),
                    }
                }
            }
            // The `<` of a turbofish, or the end.
            _ => {
                paths.push(prefix);
                return i + 1;
            }
        }
    }
}

/// The path from the root; empty for the root itself and for what is not of this crate.
fn resolve(scope: &[String], path: &[String]) -> Vec<String> {
    let mut at = scope.to_vec();
    for part in path {
        match part.as_str() {
            "crate" | "kiln" => at.clear(),
            "super" => drop(at.pop()),
            "self" => {}
            _ => at.push(part.clone()),
        }
    }
    at
}

/// Drops `#[cfg(test)]` with the item that follows it, and everything if the file itself is under it.
fn without_tests(all: &[Placed]) -> Vec<Placed> {
    let spelled = |at: usize, text: &[&str]| {
        text.iter().enumerate().all(|(i, want)| match token(all, at + i) {
            Some(Token::Word(word)) => word == want,
            Some(Token::Sign(sign)) => want.len() == 1 && want.starts_with(*sign),
            _ => false,
        })
    };
    if spelled(0, &["#", "!", "[", "cfg", "(", "test", ")", "]"]) {
        return Vec::new();
    }
    let mut kept = Vec::new();
    let mut i = 0;
    while i < all.len() {
        if spelled(i, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            i = end_of_item(all, i + 7);
        } else {
            kept.push(all[i].clone());
            i += 1;
        }
    }
    kept
}

/// Behind the item at `i`: its `;`, or the `}` of its body; or before the `}` of what it is in.
fn end_of_item(all: &[Placed], mut i: usize) -> usize {
    let mut depth = 0usize;
    while let Some(token) = token(all, i) {
        match token {
            Token::Sign('{' | '(' | '[') => depth += 1,
            Token::Sign('}' | ')' | ']') if depth == 0 => return i,
            Token::Sign(closing @ ('}' | ')' | ']')) => {
                depth -= 1;
                if depth == 0 && *closing == '}' {
                    return i + 1;
                }
            }
            Token::Sign(';') if depth == 0 => return i + 1,
            _ => {}
        }
        i += 1;
    }
    i
}

fn tokens(text: &str) -> Vec<Placed> {
    let chars: Vec<char> = text.chars().collect();
    let (mut found, mut i, mut line) = (Vec::new(), 0, 1);
    while i < chars.len() {
        let start = i;
        let mut token = None;
        match chars[i] {
            '/' if chars.get(i + 1) == Some(&'/') => i = end_of_line(&chars, i),
            '/' if chars.get(i + 1) == Some(&'*') => i = end_of_block(&chars, i),
            '"' => i = end_of_text(&chars, i),
            '\'' => i = end_of_char(&chars, i),
            ':' if chars.get(i + 1) == Some(&':') => {
                token = Some(Token::Separator);
                i += 2;
            }
            c if is_of_word(c) => {
                i = word_end(&chars, i);
                let word: String = chars[start..i].iter().collect();
                match end_of_raw(&chars, i) {
                    Some(end) if matches!(word.as_str(), "r" | "br" | "cr") => i = end,
                    _ => token = Some(Token::Word(word)),
                }
            }
            c if c.is_whitespace() => i += 1,
            c => {
                token = Some(Token::Sign(c));
                i += 1;
            }
        }
        found.extend(token.map(|token| Placed { token, line }));
        line += chars[start..i].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word_end(chars: &[char], i: usize) -> usize {
    i + chars[i..].iter().take_while(|c| is_of_word(**c)).count()
}

fn end_of_line(chars: &[char], i: usize) -> usize {
    i + chars[i..].iter().take_while(|c| **c != '\n').count()
}

fn end_of_block(chars: &[char], mut i: usize) -> usize {
    let mut depth = 0;
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => {
                (depth, i) = (depth - 1, i + 2);
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    i
}

fn end_of_text(chars: &[char], mut i: usize) -> usize {
    i += 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

/// A raw string whose hashes and quote begin at `i`, behind its `r`.
fn end_of_raw(chars: &[char], i: usize) -> Option<usize> {
    let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
    if chars.get(i + hashes) != Some(&'"') {
        return None;
    }
    let closes =
        |at: usize| chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    let end = (i + hashes + 1..chars.len()).find(|at| closes(*at));
    Some(end.map_or(chars.len(), |at| at + 1 + hashes))
}

/// A character literal as a whole, of a lifetime only the quote.
fn end_of_char(chars: &[char], i: usize) -> usize {
    match (chars.get(i + 1), chars.get(i + 2)) {
        (Some('\\'), _) => {
            let rest = chars.get(i + 3..).unwrap_or_default();
            (i + 4 + rest.iter().take_while(|c| **c != '\'').count()).min(chars.len())
        }
        (_, Some('\'')) => i + 3,
        _ => i + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_found_however_they_are_written() {
        // Module, code, and what it takes from the crate.
        let cases: &[(&str, &str, &[&str])] = &[
            ("node", "use crate::store::Store;", &["store::Store"]),
            (
                "node",
                "use crate::{api::{Key, meta::{self, time as t}}, clock};",
                &["api::Key", "api::meta", "api::meta::time", "clock"],
            ),
            ("node", "use {crate::api, crate::ids::Ids};", &["api", "ids::Ids"]),
            ("node", "fn f() { crate::http::serve::<u8>(crate::logs::HEAD) }", &["http::serve", "logs::HEAD"]),
            ("node", "pub use crate::store::*;", &["store::*"]),
            ("node", "fn f() -> Result<crate::store::Tx, ()> {}", &["store::Tx"]),
            ("node", "macro_rules! m { () => { $crate::api::x() } }", &["api::x"]),
            ("main", "fn main() { kiln::cli::main() }", &["cli::main"]),
            // `super` counts from the module.
            ("node::driver", "use super::super::http::Server; use super::machine;", &["http::Server", "node::machine"]),
            ("node", "use super::{http, store::{Tx}};", &["http", "store::Tx"]),
            ("node::driver", "use super::{super::http::X, status};", &["http::X", "node::status"]),
            (
                "node",
                "mod inner { use super::super::http; use super::a; } use super::api;",
                &["http", "node::a", "api"],
            ),
            ("clock", "use super::*;", &["*"]),
            // What is no import.
            ("node", "pub(crate) fn f() {} pub(super) fn g(&self) { self.x.crate_name }", &["node", "node"]),
            ("node", "// crate::http\n/* crate::http /* crate::http */ crate::http */", &[]),
            ("node", r####"const A: &str = "crate::http \" crate::http"; const B: &str = r#"" crate::http"#;"####, &[]),
            ("node", r"const A: [char; 3] = ['\'', '\u{1F}', '/']; fn f<'a>(x: &'a u8) {}", &[]),
            ("node", "use other::crate_like::super_x;", &[]),
            // What only tests see.
            ("node", "#[cfg(test)] use crate::http; use crate::api;", &["api"]),
            ("node", "#[cfg(test)]\n#[allow(x)]\nmod tests { fn f() { crate::http::x() } }\nuse crate::api;", &["api"]),
            ("node", "struct A { #[cfg(test)] b: crate::http::B } use crate::api;", &["api"]),
            ("node", "#![cfg(test)] use crate::http;", &[]),
        ];
        for (module, text, want) in cases {
            let module: Vec<&str> = module.split("::").collect();
            let got: Vec<String> = imports(&module, &code(text)).iter().map(|i| i.path.join("::")).collect();
            let (got, own): (Vec<_>, Vec<_>) = got.into_iter().partition(|path| path != module[0]);
            let want: Vec<_> = want.iter().filter(|path| **path != module[0]).collect();
            assert_eq!(got.iter().collect::<Vec<_>>(), want, "in `{text}`; its own module: {own:?}");
        }
    }

    #[test]
    fn a_word_is_found_in_code_only_and_with_its_line() {
        let text = code("// unsafe\n\"unsafe\";\nlet sled = 1;\nunsafe { sled::open() }");
        assert_eq!(uses(&text, "unsafe", false), Some(4));
        assert_eq!(uses(&text, "sled", true), Some(4));
        assert_eq!(uses(&text, "sled", false), Some(3));
        assert_eq!(uses(&text, "fjall", true), None);
    }
}
