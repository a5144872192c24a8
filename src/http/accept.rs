//! The `Accept` header: what the client takes, the most wanted first (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header};

/// One thing that a client takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// In lower case, such as `application/json` or `*/*`.
    pub media: String,
    /// Without `q`, as they were written: `("as", "Table")`.
    pub params: Vec<(String, String)>,
}

impl Accepted {
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// All that a client takes; nothing if it says nothing. What it wants equally stays in its order.
pub fn all(headers: &HeaderMap) -> Vec<Accepted> {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
    let mut all: Vec<(f32, Accepted)> = values.flat_map(|value| value.split(',')).filter_map(accepted).collect();
    all.retain(|(q, _)| *q > 0.0);
    all.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    all.into_iter().map(|(_, accepted)| accepted).collect()
}

fn accepted(clause: &str) -> Option<(f32, Accepted)> {
    let mut parts = clause.split(';').map(str::trim);
    let media = parts.next().filter(|media| !media.is_empty())?.to_ascii_lowercase();
    let (mut q, mut params) = (1.0, Vec::new());
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match name.trim() {
            // What is no number is no wish either.
            "q" => q = value.trim().parse().ok().filter(|q: &f32| q.is_finite()).unwrap_or(1.0),
            name => params.push((name.to_owned(), value.trim().to_owned())),
        }
    }
    Some((q, Accepted { media, params }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn medias(accept: &str) -> Vec<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        all(&headers).into_iter().map(|a| a.media).collect()
    }

    #[test]
    fn what_is_wanted_most_comes_first() {
        assert_eq!(medias("text/html, Application/JSON;q=0.9, */*;q=0.8"), ["text/html", "application/json", "*/*"]);
        assert_eq!(medias("a/a;q=0.1,b/b,c/c;q=0.5,d/d"), ["b/b", "d/d", "c/c", "a/a"]);
        assert_eq!(medias("a/a;q=0, b/b;q=0.000, c/c;q=x, ,"), ["c/c"]);
        assert_eq!(medias(" "), [""; 0]);
        assert!(all(&HeaderMap::new()).is_empty());
    }

    #[test]
    fn parameters_stay_with_their_type() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, "application/json; as=Table;v=v1 ;q=1;g=meta.k8s.io".parse().unwrap());
        let all = all(&headers);
        assert_eq!((all[0].param("as"), all[0].param("v"), all[0].param("q")), (Some("Table"), Some("v1"), None));
    }
}
