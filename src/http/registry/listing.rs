//! Lists: the tags of a repository, and the manifests that say something about another one.

use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::error::{Code, Error};
use super::{Registry, manifests, with_header};
use crate::http::request::Params;
use crate::modules::layout::{Document, INDEX};
use crate::modules::{Digest, Manifest};

/// Tags in one answer, at most; also if more are asked for.
const MOST_TAGS: usize = 1_000;

/// Bytes of manifests that are read for one answer, at most: each is read for its type and annotations.
const MOST_BYTES: u64 = 16 << 20;

/// In the order of ASCII, from after `last`, `n` of them; a link leads to the rest.
pub fn tags(registry: &Registry, name: &str, params: &Params) -> Result<Response, Error> {
    let index = registry.modules.index();
    if !index.has_repository(name) {
        return Err(Error::new(Code::NameUnknown, "there is no such repository"));
    }
    let n = match params.get("n").map(str::parse::<usize>) {
        None => MOST_TAGS,
        Some(Ok(n)) => n.min(MOST_TAGS),
        Some(Err(_)) => return Err(Error::new(Code::Unsupported, "n is not a number").with_status(400)),
    };
    let all = index.tags(name).filter_map(|module| Some(module.spec.as_ref()?.tag.clone())).collect();
    let (tags, next) = page(all, params.get("last"), n);
    let body = json!({"name": name, "tags": tags}).to_string();
    let response = super::json(StatusCode::OK, body);
    Ok(match next {
        // Neither names nor tags have a character that a URL would have to hide.
        Some(last) => {
            with_header(response, header::LINK, &format!("</v2/{name}/tags/list?n={n}&last={last}>; rel=\"next\""))
        }
        None => response,
    })
}

/// A page, and after what the next one begins, if there is one.
fn page(mut all: Vec<String>, last: Option<&str>, n: usize) -> (Vec<String>, Option<String>) {
    all.sort_unstable();
    let begin = last.map_or(0, |last| all.partition_point(|tag| tag.as_str() <= last));
    let left = all.len() - begin;
    let page: Vec<String> = all.into_iter().skip(begin).take(n).collect();
    let next = page.last().filter(|_| left > n).cloned();
    (page, next)
}

/// An index of all manifests whose subject this is, also if it is not here itself.
pub async fn referrers(registry: &Registry, name: &str, subject: Digest, params: &Params) -> Result<Response, Error> {
    let wanted = params.get("artifactType");
    let (mut descriptors, mut read) = (Vec::new(), 0);
    for (digest, record) in registry.modules.index().referrers(name, subject) {
        read += record.size;
        if read > MOST_BYTES {
            tracing::warn!(repository = name, %subject, "too many referrers for one answer; the rest is left out");
            break;
        }
        let Ok(document) = Document::read(&manifests::read(registry, digest).await?) else { continue };
        let descriptor = descriptor(digest, &record, &document);
        if wanted.is_none_or(|wanted| descriptor["artifactType"] == wanted) {
            descriptors.push(descriptor);
        }
    }
    let body = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": descriptors}).to_string();
    let response = with_header(super::json(StatusCode::OK, body), header::CONTENT_TYPE, INDEX);
    let applied = axum::http::HeaderName::from_static("oci-filters-applied");
    Ok(if wanted.is_some() { with_header(response, applied, "artifactType") } else { response })
}

/// The type of an artifact is what its manifest says, else that of its config.
fn descriptor(digest: Digest, record: &Manifest, document: &Document) -> Value {
    let mut descriptor = json!({"mediaType": record.media_type, "digest": digest.to_string(), "size": record.size});
    let config = document.config.as_ref().map(|config| config.media_type.clone());
    let artifact_type = document.artifact_type.clone().or(config);
    if let Some(artifact_type) = artifact_type.filter(|artifact_type| !artifact_type.is_empty()) {
        descriptor["artifactType"] = artifact_type.into();
    }
    if let Some(annotations) = &document.annotations {
        descriptor["annotations"] = Value::Object(annotations.clone());
    }
    descriptor
}

#[cfg(test)]
mod tests {
    #[test]
    fn tags_come_page_by_page_in_order() {
        let all = || ["b", "a", "B", "c", "1"].map(str::to_owned).to_vec();
        let page = |last, n| {
            let (tags, next) = super::page(all(), last, n);
            (tags.concat(), next.unwrap_or_default())
        };
        let expect = |tags: &str, next: &str| (tags.to_owned(), next.to_owned());
        assert_eq!(page(None, 10), expect("1Babc", ""));
        assert_eq!(page(None, 5), expect("1Babc", ""));
        assert_eq!(page(None, 2), expect("1B", "B"));
        assert_eq!(page(Some("B"), 2), expect("ab", "b"));
        assert_eq!(page(Some("b"), 2), expect("c", ""));
        assert_eq!(page(Some("aa"), 1), expect("b", "b"), "also after what is not there");
        assert_eq!(page(Some("z"), 2), expect("", ""));
        assert_eq!(page(None, 0), expect("", ""));
    }
}
