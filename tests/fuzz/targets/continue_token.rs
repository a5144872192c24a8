//! Tokens with which a client asks for the next page: what is taken for one says the same when it is written again.

#![no_main]

use kiln::http::ContinueToken;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(token) = ContinueToken::parse(text) {
        assert_eq!(ContinueToken::parse(&token.text()), Some(token));
    }
});
