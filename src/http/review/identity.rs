//! Who asks. kiln has no users: there is whoever holds the server's token, or, where there is no token, whoever reaches the
//! server. Their names are those that Kubernetes has for the like.

use k8s_openapi::api::authentication::v1::{
    SelfSubjectReview, SelfSubjectReviewStatus, TokenReview, TokenReviewStatus, UserInfo,
};

use super::{Asked, Review, info};
use crate::api::kind::KindInfo;
use crate::http::error::Refusal;
use crate::http::guard::Access;

/// Whoever holds the token.
const HOLDER: &str = "kiln:token";
const HOLDERS: &str = "system:authenticated";

/// Anybody, where there is no token.
const ANYBODY: &str = "system:anonymous";
const ANYBODIES: &str = "system:unauthenticated";

/// The name of those who are let in, and their group.
pub(super) fn names(access: &Access) -> (&'static str, &'static str) {
    if access.token.is_some() { (HOLDER, HOLDERS) } else { (ANYBODY, ANYBODIES) }
}

/// Those who are let in. A request that got here is from one of them.
fn user(access: &Access) -> UserInfo {
    let (name, group) = names(access);
    UserInfo { username: Some(name.to_owned()), groups: Some(vec![group.to_owned()]), ..UserInfo::default() }
}

impl Review for SelfSubjectReview {
    const INFO: &'static KindInfo = &info::<SelfSubjectReview>("selfsubjectreviews", "selfsubjectreview", false);

    fn answer(&mut self, asked: &Asked<'_>) -> Result<(), Refusal> {
        self.status = Some(SelfSubjectReviewStatus { user_info: Some(user(asked.access)) });
        Ok(())
    }
}

/// Whether a token is the server's. It is not made for an audience, so the answer names none.
impl Review for TokenReview {
    const INFO: &'static KindInfo = &info::<TokenReview>("tokenreviews", "tokenreview", false);

    fn answer(&mut self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if self.spec.token.is_empty() {
            return Err(Refusal::bad("token is required for TokenReview in authentication"));
        }
        let status = if asked.access.is_token(&self.spec.token) {
            TokenReviewStatus { authenticated: Some(true), user: Some(user(asked.access)), ..Default::default() }
        } else {
            TokenReviewStatus { authenticated: Some(false), ..Default::default() }
        };
        self.status = Some(status);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_the_holder_of_the_token_or_anybody() {
        let who = |token: Option<&str>| {
            let access = Access { token: token.map(str::to_owned), ..Access::default() };
            let mut review = SelfSubjectReview::default();
            review.answer(&Asked { access: &access, namespace: None }).unwrap();
            let user = review.status.unwrap().user_info.unwrap();
            (user.username.unwrap(), user.groups.unwrap())
        };
        assert_eq!(who(None), ("system:anonymous".to_owned(), vec!["system:unauthenticated".to_owned()]));
        assert_eq!(who(Some("x")), ("kiln:token".to_owned(), vec!["system:authenticated".to_owned()]));
    }

    #[test]
    fn a_token_is_the_servers_or_none() {
        let valid = |servers: Option<&str>, asked: &str| {
            let access = Access { token: servers.map(str::to_owned), ..Access::default() };
            let mut review = TokenReview::default();
            review.spec.token = asked.to_owned();
            review.answer(&Asked { access: &access, namespace: None }).map(|()| {
                let status = review.status.unwrap();
                assert_eq!(status.user.is_some(), status.authenticated == Some(true));
                status.authenticated.unwrap()
            })
        };
        assert_eq!(valid(Some("s3cret"), "s3cret"), Ok(true));
        assert_eq!(valid(Some("s3cret"), "other"), Ok(false));
        assert_eq!(valid(None, "s3cret"), Ok(false));
        assert!(valid(Some("s3cret"), "").is_err());
    }
}
