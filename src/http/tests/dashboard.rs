//! The files of the dashboard: headers, media types, what is not there, and that other clients are not in its way.

use axum::body::Body;
use axum::http::Request;

use super::Fixture;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

#[tokio::test]
async fn a_browser_gets_the_page_and_kubectl_what_it_got_before() {
    let f = Fixture::new();
    let page = f.get_as("/", BROWSER).await;
    assert_eq!(
        (page.code.as_u16(), &page.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    assert!(page.text.starts_with("<!doctype html>"));
    // A cache must not give the page to kubectl, or the refusal to a browser.
    assert_eq!(page.headers["vary"], "accept");
    for accept in ["*/*", "application/json", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"] {
        let other = f.get_as("/", accept).await;
        assert_eq!(other.refusal(), (404, "NotFound".to_owned()), "{accept}");
        assert_eq!(other.headers["vary"], "accept");
    }
    assert_eq!(f.get("/").await.code, 404);
    assert_eq!(f.ask("POST", "/", "application/json", "{}").await.refusal(), (405, "MethodNotAllowed".to_owned()));
}

#[tokio::test]
async fn every_file_that_the_page_names_is_there_with_its_type_and_the_policy() {
    let f = Fixture::new();
    let page = f.get_as("/", BROWSER).await;
    let mut names: Vec<&str> = page.text.split('"').filter(|part| part.starts_with("web/")).collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 4, "{names:?}");
    for name in names {
        let file = f.get(&format!("/{name}")).await;
        let expected = match name.rsplit_once('.').unwrap().1 {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            other => panic!("a page that names .{other}"),
        };
        assert_eq!((file.code.as_u16(), file.headers["content-type"].to_str().unwrap()), (200, expected), "{name}");
        for header in ["content-security-policy", "x-content-type-options", "referrer-policy", "cache-control"] {
            assert_eq!(file.headers[header], page.headers[header], "{name}");
        }
    }
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    for rule in
        ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"]
    {
        assert!(policy.split("; ").any(|part| part == rule), "{rule}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(
        (&page.headers["x-content-type-options"], &page.headers["cache-control"]),
        (&"nosniff".parse().unwrap(), &"no-cache".parse().unwrap())
    );
}

#[tokio::test]
async fn a_file_that_is_known_is_not_sent_again_and_head_sends_none() {
    let f = Fixture::new();
    let ask = async |method: &str, known: &str| {
        let request = Request::builder().method(method).uri("/web/app.js").header("if-none-match", known);
        f.send(request.body(Body::empty()).unwrap()).await
    };
    let file = ask("GET", "").await;
    let etag = file.headers["etag"].to_str().unwrap().to_owned();
    assert!(file.code == 200 && !file.text.is_empty() && etag.starts_with('"'));
    for known in [etag.clone(), format!("\"x\", {etag}"), format!("W/{etag}"), "*".to_owned()] {
        let again = ask("GET", &known).await;
        assert_eq!((again.code.as_u16(), again.text.as_str()), (304, ""), "{known}");
        assert_eq!(again.headers["etag"], etag.as_str());
        assert!(again.headers.contains_key("content-security-policy"));
    }
    assert_eq!(ask("GET", "\"x\"").await.code, 200);
    let head = ask("HEAD", "").await;
    assert_eq!((head.code.as_u16(), head.text.as_str(), &head.headers["etag"]), (200, "", &etag.parse().unwrap()));
    assert_eq!(head.headers["content-length"], file.text.len().to_string().as_str());
}

#[tokio::test]
async fn nothing_else_is_served_under_the_folder() {
    let f = Fixture::new();
    for path in [
        "/web",
        "/web/",
        "/web/views",
        "/web/no.js",
        "/web/../Cargo.toml",
        "/web/%2e%2e/Cargo.toml",
        "/web//app.js",
        "/web/app.js/",
        "/web/%2Fetc%2Fpasswd",
        "/web/app.js%00.css",
        "/index.html",
    ] {
        assert_eq!(f.get_as(path, BROWSER).await.refusal(), (404, "NotFound".to_owned()), "{path}");
    }
    assert_eq!(
        f.ask("PUT", "/web/app.js", "text/javascript", "x").await.refusal(),
        (405, "MethodNotAllowed".to_owned())
    );
}
