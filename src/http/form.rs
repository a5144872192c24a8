//! The forms in which an object or a list of them is sent, and which of them the client's `Accept` header asks for
//! (apiserver `endpoints/handlers/negotiation`).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use k8s_openapi::jiff::Timestamp;

use super::accept::{self, Accepted};
use super::error::Refusal;
use super::request::Params;
use super::table::{self, IncludeObject, ListMeta};
use crate::api::{Kind, Object, Served};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// The object itself.
    Object,
    /// An Event as `events.k8s.io/v1` shows it.
    EventsV1,
    /// Rows and columns, as `kubectl get` prints them.
    Table(IncludeObject),
    /// Only its metadata.
    Metadata,
}

impl<S: Send + Sync> FromRequestParts<S> for Form {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Form, Refusal> {
        let params = Params::from_request_parts(parts, state).await?;
        let form = Form::choose(&accept::all(&parts.headers), params.get("includeObject"))?;
        Ok(form.of(parts.extensions.get::<Served>().copied()))
    }
}

impl Form {
    /// The first form in the list that can be served.
    fn choose(accept: &[Accepted], include: Option<&str>) -> Result<Form, Refusal> {
        if accept.is_empty() {
            return Ok(Form::Object);
        }
        for accepted in accept {
            if !matches!(accepted.media.as_str(), "application/json" | "application/*" | "*/*") {
                continue;
            }
            let current = accepted.param("g") == Some("meta.k8s.io") && accepted.param("v") == Some("v1");
            match accepted.param("as") {
                None => return Ok(Form::Object),
                Some("Table") if current => return Ok(Form::Table(IncludeObject::parse(include)?)),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") if current => return Ok(Form::Metadata),
                Some(_) => {}
            }
        }
        Err(Refusal::NotAcceptable("application/json, application/yaml (for all but watches)"))
    }

    /// The same of objects that are shown in this view.
    fn of(self, served: Option<Served>) -> Form {
        match (self, served) {
            (Form::Object, Some(Served::EventsV1)) => Form::EventsV1,
            (Form::Table(IncludeObject::Object), Some(Served::EventsV1)) => Form::Table(IncludeObject::EventsV1),
            (form, _) => form,
        }
    }

    /// `kind` and `apiVersion` of an object in this form; for a Table, those of the object that a row is of.
    pub fn kind_and_version(self, kind: Kind) -> (&'static str, String) {
        match self {
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
            Form::EventsV1 => (Served::EventsV1.info().kind, Served::EventsV1.info().api_version()),
            Form::Object | Form::Table(_) => (kind.info().kind, kind.info().api_version()),
        }
    }

    /// A list up to its first item.
    pub fn head(self, kind: Kind, meta: &ListMeta) -> Vec<u8> {
        if let Form::Table(_) = self {
            return table::head(kind, meta, true);
        }
        let (item, version) = self.kind_and_version(kind);
        let mut out = format!(r#"{{"kind":"{item}List","apiVersion":"{version}","metadata":"#).into_bytes();
        push(&mut out, meta);
        out.extend_from_slice(br#","items":["#);
        out
    }

    /// An item of a list; items are separated by a comma.
    pub fn item(self, object: &Object, now: Timestamp) -> Vec<u8> {
        match self {
            Form::Object => object.to_json(),
            Form::EventsV1 => Served::EventsV1.to_json(object),
            Form::Table(include) => table::row(object, include, now),
            Form::Metadata => metadata(object),
        }
    }

    /// What follows the last item.
    pub fn tail(self) -> &'static [u8] {
        match self {
            Form::Table(_) => table::TAIL,
            Form::Object | Form::EventsV1 | Form::Metadata => b"]}",
        }
    }

    /// One object that is not part of a list. Of a row of Tables only the first need carry the columns.
    pub fn single(self, object: &Object, now: Timestamp, with_columns: bool) -> Vec<u8> {
        match self {
            Form::Object => object.to_json(),
            Form::EventsV1 => Served::EventsV1.to_json(object),
            Form::Table(include) => table::single(object, include, now, with_columns),
            Form::Metadata => metadata(object),
        }
    }
}

fn metadata(object: &Object) -> Vec<u8> {
    let mut out = br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#.to_vec();
    push(&mut out, object.meta());
    out.push(b'}');
    out
}

fn push(out: &mut Vec<u8>, value: &impl serde::Serialize) {
    serde_json::to_writer(out, value).expect("metadata has string keys only, and a Vec takes every byte");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(accept: &str, include: Option<&str>) -> Result<Form, Refusal> {
        let mut headers = axum::http::HeaderMap::new();
        headers.insert(axum::http::header::ACCEPT, accept.parse().unwrap());
        Form::choose(&accept::all(&headers), include)
    }

    #[test]
    fn kubectl_gets_what_it_lists_first() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,\
                     application/json";
        assert_eq!(choose(table, Some("None")), Ok(Form::Table(IncludeObject::None)));
        assert_eq!(choose("application/vnd.kubernetes.protobuf,application/json", None), Ok(Form::Object));
        assert_eq!(
            choose("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", None),
            Ok(Form::Metadata)
        );
        assert_eq!(choose("", None), Ok(Form::Object));
        assert!(choose("text/html", None).is_err());
    }

    #[test]
    fn what_is_wanted_most_wins_in_whatever_case() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        assert_eq!(choose(&format!("{table};q=0.1,Application/JSON;q=0.9"), None), Ok(Form::Object));
        assert_eq!(choose(&format!("{table};q=0,*/*"), None), Ok(Form::Object));
    }
}
