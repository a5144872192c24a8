//! What a path below `/v2/` names. The name of a repository may have any number of parts, so a path is read from its end.

use crate::modules::{Digest, Reference};

use super::error::{Code, Error};

/// A tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Tag(String),
    Digest(Digest),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `/v2/`: whether this is a registry.
    Base,
    Tags(String),
    Manifest(String, Named),
    Referrers(String, Digest),
    Blob(String, Digest),
    Uploads(String),
    Upload(String, String),
}

impl Target {
    /// Of a path after `/v2`, percent-decoded.
    pub fn of(path: &str) -> Result<Target, Error> {
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.is_empty() {
            return Ok(Target::Base);
        }
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            [name @ .., "tags", "list"] => Ok(Target::Tags(repository(name)?)),
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
                Ok(Target::Uploads(repository(name)?))
            }
            [name @ .., "blobs", "uploads", id] => Ok(Target::Upload(repository(name)?, (*id).to_owned())),
            [name @ .., "blobs", digest] => Ok(Target::Blob(repository(name)?, read_digest(digest)?)),
            [name @ .., "referrers", digest] => Ok(Target::Referrers(repository(name)?, read_digest(digest)?)),
            [name @ .., "manifests", reference] => {
                let name = repository(name)?;
                // No tag has a colon, and every digest has one.
                match reference.contains(':') {
                    true => Ok(Target::Manifest(name, Named::Digest(read_digest(reference)?))),
                    false => match format!("{name}:{reference}").parse::<Reference>() {
                        Ok(_) => Ok(Target::Manifest(name, Named::Tag((*reference).to_owned()))),
                        // As the specification has it for what cannot be there.
                        Err(error) => Err(Error::new(Code::ManifestUnknown, error.to_string())),
                    },
                }
            }
            _ => Err(Error::new(Code::Unsupported, "there is nothing under this path").with_status(404)),
        }
    }
}

pub fn read_digest(text: &str) -> Result<Digest, Error> {
    text.parse()
        .map_err(|error: crate::modules::digest::DigestError| Error::new(Code::DigestInvalid, error.to_string()))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/…)*`: a name of which no part is a host with a port.
pub fn repository(parts: &[&str]) -> Result<String, Error> {
    let name = parts.join("/");
    match name.parse::<Reference>() {
        Ok(reference) if reference.name == name && !name.contains(':') => {
            let has_upper_case = name.bytes().any(|byte| byte.is_ascii_uppercase());
            if !has_upper_case {
                return Ok(name);
            }
            Err(Error::new(Code::NameInvalid, "the name of a repository is lower case"))
        }
        Ok(_) => Err(Error::new(Code::NameInvalid, "this is not the name of a repository")),
        Err(error) => Err(Error::new(Code::NameInvalid, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_from_its_end() {
        let digest = Digest::of(b"x");
        let name = || "a/b".to_owned();
        for (path, target) in [
            ("", Target::Base),
            ("/", Target::Base),
            ("/a/b/tags/list", Target::Tags(name())),
            ("/a/b/manifests/1.0", Target::Manifest(name(), Named::Tag("1.0".to_owned()))),
            (&format!("/a/b/manifests/{digest}"), Target::Manifest(name(), Named::Digest(digest))),
            (&format!("/a/b/blobs/{digest}"), Target::Blob(name(), digest)),
            (&format!("/a/b/referrers/{digest}"), Target::Referrers(name(), digest)),
            ("/a/b/blobs/uploads/", Target::Uploads(name())),
            ("/a/b/blobs/uploads", Target::Uploads(name())),
            ("/a/b/blobs/uploads/id", Target::Upload(name(), "id".to_owned())),
            (
                "/manifests/manifests/manifests",
                Target::Manifest("manifests".to_owned(), Named::Tag("manifests".to_owned())),
            ),
            ("/ghcr.io/a/tags/list", Target::Tags("ghcr.io/a".to_owned())),
        ] {
            assert_eq!(Target::of(path).unwrap(), target, "{path}");
        }
    }

    #[test]
    fn what_names_nothing_is_refused_with_its_code() {
        for (path, code) in [
            ("/A/tags/list", Code::NameInvalid),
            ("/REG/a/tags/list", Code::NameInvalid),
            ("/tags/list", Code::NameInvalid),
            ("/a//b/tags/list", Code::NameInvalid),
            ("/../tags/list", Code::NameInvalid),
            ("/localhost:5000/a/tags/list", Code::NameInvalid),
            ("/a:1/tags/list", Code::NameInvalid),
            ("/a/blobs/x", Code::DigestInvalid),
            ("/a/blobs/sha512:0", Code::DigestInvalid),
            ("/a/manifests/sha256:x", Code::DigestInvalid),
            ("/a/manifests/-x", Code::ManifestUnknown),
            ("/a/manifests/", Code::ManifestUnknown),
            ("/a/b", Code::Unsupported),
            ("/_catalog", Code::Unsupported),
        ] {
            assert_eq!(Target::of(path).unwrap_err().code, code, "{path}");
        }
    }
}
