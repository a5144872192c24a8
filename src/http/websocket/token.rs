//! The token of a WebSocket. A page in a browser cannot set headers on one, so Kubernetes takes the token out of the list
//! of subprotocols, too (apiserver `pkg/authentication/request/websocket/protocol.go`):
//!
//! ```text
//! Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.BASE64URL(TOKEN), base64.binary.k8s.io
//! ```
//!
//! The server answers with one of the others, so there must be one: a browser that offers protocols and gets none breaks
//! off. The token is taken out of the header before anybody else sees it.

use axum::http::header::{SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use axum::http::{HeaderMap, HeaderValue};

use crate::http::base64;

const PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// Whether a request wants to go on as a WebSocket.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    words(headers, &UPGRADE).any(|protocol| protocol.eq_ignore_ascii_case("websocket"))
}

/// The token that a WebSocket brings with it, or why what it brings is none.
pub fn find(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    if !is_wanted(headers) {
        return Ok(None);
    }
    let (tokens, others): (Vec<&str>, Vec<&str>) =
        words(headers, &SEC_WEBSOCKET_PROTOCOL).partition(|protocol| protocol.starts_with(PREFIX));
    let token = match tokens.as_slice() {
        [] => return Ok(None),
        [token] => &token[PREFIX.len()..],
        _ => return Err("multiple base64.bearer.authorization tokens specified"),
    };
    let bytes = base64::decode_url(token).ok_or("invalid base64.bearer.authorization token encoding")?;
    let token = String::from_utf8(bytes).map_err(|_| "invalid base64.bearer.authorization token")?;
    match others.is_empty() {
        true => Err("missing additional subprotocol: offer one beside the token, such as base64.binary.k8s.io"),
        false => Ok(Some(token)),
    }
}

/// Takes the token out of the protocols that are offered.
pub fn remove(headers: &mut HeaderMap) {
    if !words(headers, &SEC_WEBSOCKET_PROTOCOL).any(|protocol| protocol.starts_with(PREFIX)) {
        return;
    }
    let others: Vec<&str> = words(headers, &SEC_WEBSOCKET_PROTOCOL).filter(|p| !p.starts_with(PREFIX)).collect();
    match HeaderValue::from_str(&others.join(", ")) {
        Ok(left) if !left.is_empty() => headers.insert(SEC_WEBSOCKET_PROTOCOL, left),
        _ => headers.remove(SEC_WEBSOCKET_PROTOCOL),
    };
}

/// What a header lists, in any number of lines.
pub fn words<'a>(headers: &'a HeaderMap, name: &axum::http::HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `s3cret`
    const TOKEN: &str = "base64url.bearer.authorization.k8s.io.czNjcmV0";

    fn offering(protocols: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("upgrade", HeaderValue::from_static("WebSocket"));
        for protocol in protocols {
            headers.append("sec-websocket-protocol", protocol.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_token_is_one_of_several_protocols() {
        let both = format!("{TOKEN}, base64.binary.k8s.io");
        for protocols in [vec![both.as_str()], vec!["undefined", TOKEN], vec![TOKEN, "v4"]] {
            assert_eq!(find(&offering(&protocols)), Ok(Some("s3cret".to_owned())), "{protocols:?}");
        }
        assert_eq!(find(&offering(&["base64.binary.k8s.io"])), Ok(None));
        let mut plain = offering(&[&both]);
        plain.remove("upgrade");
        assert_eq!(find(&plain), Ok(None), "only of a WebSocket");
    }

    #[test]
    fn what_is_no_token_is_told() {
        let told = |protocols: &[&str]| find(&offering(protocols)).unwrap_err();
        assert!(told(&[TOKEN]).starts_with("missing additional subprotocol"));
        assert!(told(&[TOKEN, TOKEN, "x"]).starts_with("multiple"));
        assert!(told(&[&format!("{PREFIX}cz Njc"), "x"]).ends_with("encoding"));
        assert_eq!(told(&[&format!("{PREFIX}__8"), "x"]), "invalid base64.bearer.authorization token");
    }

    #[test]
    fn nobody_sees_it_afterwards() {
        let mut headers = offering(&[TOKEN, "a, b"]);
        remove(&mut headers);
        assert_eq!(headers.get_all("sec-websocket-protocol").iter().collect::<Vec<_>>(), ["a, b"]);
        let mut headers = offering(&[TOKEN]);
        remove(&mut headers);
        assert!(!headers.contains_key("sec-websocket-protocol"));
    }
}
