//! The forms in which an object or a list of them is sent, and which of them the client's `Accept` header asks for
//! (apiserver `endpoints/handlers/negotiation`).

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use k8s_openapi::jiff::Timestamp;

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
        let accept = parts.headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
        let accept: Vec<&str> = accept.collect();
        let form = Form::choose(&accept.join(","), params.get("includeObject"))?;
        Ok(form.of(parts.extensions.get::<Served>().copied()))
    }
}

impl Form {
    /// The first form in the list that can be served.
    fn choose(accept: &str, include: Option<&str>) -> Result<Form, Refusal> {
        if accept.trim().is_empty() {
            return Ok(Form::Object);
        }
        for clause in accept.split(',') {
            let mut parts = clause.split(';').map(str::trim);
            if !matches!(parts.next(), Some("application/json" | "application/*" | "*/*")) {
                continue;
            }
            let params: Vec<(&str, &str)> = parts.filter_map(|p| p.split_once('=')).collect();
            let param = |name| params.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
            let current = param("g") == Some("meta.k8s.io") && param("v") == Some("v1");
            match param("as") {
                None => return Ok(Form::Object),
                Some("Table") if current => return Ok(Form::Table(IncludeObject::parse(include)?)),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") if current => return Ok(Form::Metadata),
                Some(_) => {}
            }
        }
        Err(Refusal::NotAcceptable("application/json"))
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

    #[test]
    fn kubectl_gets_what_it_lists_first() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,\
                     application/json";
        assert_eq!(Form::choose(table, Some("None")), Ok(Form::Table(IncludeObject::None)));
        assert_eq!(Form::choose("application/vnd.kubernetes.protobuf,application/json", None), Ok(Form::Object));
        assert_eq!(
            Form::choose("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", None),
            Ok(Form::Metadata)
        );
        assert_eq!(Form::choose("", None), Ok(Form::Object));
        assert!(Form::choose("text/html", None).is_err());
    }
}
