//! Who may see and send what of the pages: generated from the router itself, so that no page is forgotten.

use std::collections::BTreeSet;

use keyrack::model::scope::Scope;
use keyrack::model::user::Role;
use reqwest::Method;
use serde_json::Value;

use crate::support::{Client, Reply, TestServer, routes};

/// What needs no session. This list may only shrink.
const OPEN: &[(&str, &str)] = &[
    ("GET", "/"),
    ("GET", "/.well-known/{path:.*}"),
    ("GET", "/docs"),
    ("GET", "/docs/search"),
    ("GET", "/docs/{path:.+}"),
    ("GET", "/invite/{code}"),
    ("GET", "/llms.txt"),
    ("GET", "/openapi.json"),
    // Tells whoever comes with a wrong link what is wrong with it; leads to sign-in with a right one.
    ("GET", "/oauth/authorize"),
    ("GET", "/setup"),
    ("GET", "/setup/{code}"),
    ("GET", "/sign-in"),
    ("GET", "/static/{path:.*}"),
    ("GET", "/status"),
    ("POST", "/invite/{code}"),
    ("POST", "/setup"),
    ("POST", "/setup/{code}"),
    ("POST", "/sign-in"),
    ("GET", "/sign-in/code"),
    ("POST", "/sign-in/code"),
];

/// The verb and path of every page.
async fn pages(server: &TestServer) -> BTreeSet<(String, String)> {
    let mut pages = routes(&server.app).await;
    pages.retain(|(_, path)| !crate::access::is_of_the_api(path));
    assert!(pages.len() > 20, "{pages:?}");
    pages
}

fn is_open(verb: &str, path: &str) -> bool {
    OPEN.contains(&(verb, path))
}

/// A form with nothing in it but what is named; its browser says that a page of ours sent it.
async fn send(browser: &Client, verb: &str, path: &str, form: &str) -> Reply {
    let method: Method = verb.parse().expect("a method");
    let body = (verb != "GET").then(|| form.to_owned());
    browser.header("Content-Type", "application/x-www-form-urlencoded").send(method, path, body).await
}

fn of_ours(browser: &Client) -> Client {
    browser.header("Sec-Fetch-Site", "same-origin")
}

/// All that could be changed by a form, as an administrator sees it.
async fn everything(admin: &Client) -> (Value, Value) {
    let list = async |path: &str| {
        let mut rows = admin.get(path).await.expect(200).json();
        for row in rows.as_array_mut().expect("rows") {
            row.as_object_mut().expect("a row").remove("last_used_at");
        }
        rows
    };
    (list("/v1/users?limit=100").await, list("/v1/keys?limit=100").await)
}

/// The id in `everything` that a path is about: of a user, their account, or a key.
fn id_for(path: &str, everything: &(Value, Value)) -> String {
    let id = match path {
        path if path.contains("users") => &everything.0[0]["id"],
        path if path.contains("accounts") => &everything.0[0]["account_id"],
        _ => &everything.1[0]["id"],
    };
    id.as_str().expect("an id").to_owned()
}

/// A user, an account and a key of somebody else, to be named in paths.
async fn named(server: &TestServer, path: &str) -> String {
    let other = server.key(&[Scope::UsersRead]).await;
    let id = match path {
        path if path.contains("users") => other.user().id.to_string(),
        path if path.contains("accounts") => other.user().account_id.to_string(),
        _ => other.key_id().to_owned(),
    };
    path.replace("{id}", &id)
        .replace("{dialect}", "plain")
        .replace("{name}", "Free")
        .replace("{code}", "7Q4K-M2XD-9FWP")
        .replace("{path:.*}", "css/nothing.css")
}

#[actix_web::test]
async fn what_is_open_to_anyone_is_still_there() {
    let server = TestServer::start().await;
    let pages = pages(&server).await;
    for (verb, path) in OPEN {
        assert!(pages.contains(&((*verb).to_owned(), (*path).to_owned())), "{verb} {path} is gone: take it off the list");
    }
}

#[actix_web::test]
async fn without_a_session_every_page_leads_to_sign_in_and_no_form_is_taken() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = of_ours(&server.anonymous().header("Accept", "text/html"));
    for (verb, path) in pages(&server).await.iter().filter(|(verb, path)| !is_open(verb, path)) {
        let url = named(&server, path).await;
        let before = everything(&admin).await;
        let reply = send(&browser, verb, &url, "csrf=x").await;
        if verb == "GET" {
            assert_eq!(reply.status, 303, "{verb} {path}: {}", reply.text);
        }
        let is_sign_in = reply.status == 303 && reply.header("location").starts_with("/sign-in");
        assert!(is_sign_in || reply.status == 403, "{verb} {path}: {} {}", reply.status, reply.header("location"));
        assert_eq!(everything(&admin).await, before, "{verb} {path}");
        server.advance(crate::support::SECOND);
    }
}

#[actix_web::test]
async fn a_key_opens_no_page_and_a_cookie_no_api() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    assert_eq!(admin.header("Accept", "text/html").get("/admin").await.status, 303);
    let browser = server.browser(admin.user()).await;
    browser.get("/admin").await.expect(200);
    assert_eq!(browser.get("/v1/users").await.expect(401).error(), "missing_api_key");
}

#[actix_web::test]
async fn a_form_that_no_page_of_ours_sent_is_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    let before = everything(&admin).await;
    for (verb, path) in pages(&server).await.iter().filter(|(verb, _)| verb != "GET") {
        let url = path.replace("{id}", &id_for(path, &before));
        let url = url.replace("{dialect}", "plain").replace("{name}", "Free").replace("{code}", "7Q4K-M2XD-9FWP");
        let origin = |origin: &str| browser.header("Origin", origin);
        let site = |site: &str| browser.header("Sec-Fetch-Site", site);
        for (from, browser) in [
            ("nowhere", browser.clone()),
            ("another site", site("cross-site")),
            ("a sister", site("same-site")),
            ("the address bar", site("none")),
            ("another origin", origin("https://evil.example")),
            ("no origin", origin("null")),
            ("ours, without a token", of_ours(&browser)),
        ] {
            let reply = send(&browser, verb, &url, "name=x&email=x%40example.com").await;
            assert_eq!(reply.status, 403, "{verb} {path} from {from}: {}", reply.text);
        }
        let json = of_ours(&browser).header("Content-Type", "text/plain").send(Method::POST, &url, Some("csrf=x".into())).await;
        assert!([403, 415].contains(&json.status), "{verb} {path}: {}", json.status);
        assert_eq!(everything(&admin).await, before, "{verb} {path}");
        server.advance(crate::support::SECOND);
    }
}

#[actix_web::test]
async fn a_form_with_the_token_of_another_session_does_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = of_ours(&server.browser(admin.user()).await);
    let other = server.browser(&server.user_in(admin.user().account_id, Role::Admin).await).await;
    let page = other.get("/admin/users/new").await.expect(200).text;
    let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token").to_owned();
    let before = everything(&admin).await;
    for (verb, path) in pages(&server).await.iter().filter(|(verb, path)| verb != "GET" && path != "/sign-out") {
        let url = path
            .replace("{id}", &id_for(path, &before))
            .replace("{dialect}", "plain")
            .replace("{name}", "Free")
            .replace("{code}", "7Q4K-M2XD-9FWP");
        let reply =
            send(&browser, verb, &url, &format!("csrf={token}&name=x&email=x%40example.com&password=securepassword123")).await;
        assert!(reply.status < 500, "{verb} {path}: {}", reply.text);
        assert_eq!(everything(&admin).await, before, "{verb} {path}: {}", reply.status);
        server.advance(crate::support::SECOND);
    }
}

#[actix_web::test]
async fn a_member_sees_and_sends_nothing_of_the_administrators() {
    let server = TestServer::start().await;
    let (admin, member) = (server.admin().await, server.member().await);
    // There are more pages than a tier's hour has requests.
    server.set_windows(&admin, &[(1_000_000, 3_600)]).await;
    let own = server.browser(&member).await;
    let page = own.get("/settings/api-keys/new").await.expect(200).text;
    let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token").to_owned();
    let form = format!("csrf={token}&name=Mallory&email=mallory%40example.com&password=securepassword123&role=admin");
    for (verb, path) in pages(&server).await.iter().filter(|(_, path)| path.starts_with("/admin")) {
        let url = named(&server, path).await;
        // The router reads escaped letters as letters: whoever decides by the path must do so too.
        for url in [
            url.clone(),
            url.replacen("/admin", "/%61dmin", 1),
            url.replacen("/admin", "/a%64min", 1),
            url.replacen("/admin", "//admin", 1),
        ] {
            let before = everything(&admin).await;
            let reply = send(&of_ours(&own), verb, &url, &form).await;
            assert!([403, 404].contains(&reply.status), "{verb} {url}: {} {}", reply.status, reply.header("location"));
            assert_eq!(everything(&admin).await, before, "{verb} {url}");
            server.advance(crate::support::SECOND);
        }
    }
}

#[actix_web::test]
async fn a_members_own_pages_show_no_key_of_anybody_else() {
    let server = TestServer::start().await;
    let (admin, member) = (server.admin().await, server.member().await);
    let own = of_ours(&server.browser(&member).await);
    let page = own.get("/settings/api-keys/new").await.expect(200).text;
    let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token").to_owned();
    let colleague = server.key_of(&server.colleague_of(&member).await, &[Scope::UsersRead]).await;
    let stranger = server.key(&[Scope::UsersRead]).await;
    let before = everything(&admin).await;
    for (verb, path) in pages(&server).await.iter().filter(|(_, path)| path.starts_with("/settings") && path.contains("{id}")) {
        for key in [&colleague, &stranger] {
            let reply =
                send(&own, verb, &path.replace("{id}", key.key_id()), &format!("csrf={token}&overlap=0s&expires_in=1d")).await;
            assert_eq!(reply.status, 404, "{verb} {path}: {}", reply.text);
            let missing =
                send(&own, verb, &path.replace("{id}", "key_01h455vb4pex5vsknk084sn02q"), &format!("csrf={token}")).await;
            assert_eq!(missing.status, 404, "{verb} {path}");
        }
    }
    assert_eq!(everything(&admin).await, before);
}

#[actix_web::test]
async fn every_page_is_sent_with_what_keeps_a_browser_safe() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    // Files of the operator have headers of their own, and where there is none a program gets the API's answer. The live
    // tail is no page either, and never ends.
    let is_no_page = |path: &str| ["/static", "/.well-known", "/admin/requests/live"].iter().any(|no| path.starts_with(no));
    for (_, path) in pages(&server).await.iter().filter(|(verb, path)| verb == "GET" && !is_no_page(path)) {
        let url = named(&server, path).await;
        let (without, page) = (server.anonymous().header("Accept", "text/html").get(&url).await, browser.get(&url).await);
        for reply in [without, page, browser.get(&format!("{url}/nothing")).await] {
            assert!(reply.status < 500, "{url}: {}", reply.text);
            let policy = reply.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{url}: {policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{url}");
            for (name, value) in
                [("x-frame-options", "DENY"), ("x-content-type-options", "nosniff"), ("referrer-policy", "same-origin")]
            {
                assert_eq!(reply.header(name), value, "{url}: {name}");
            }
            assert!(!reply.header("x-request-id").is_empty() && reply.headers.get("cache-control").is_some(), "{url}");
        }
    }
}

#[actix_web::test]
async fn a_verb_that_a_page_lacks_is_405_with_those_it_has_and_words() {
    let server = TestServer::start().await;
    let pages = pages(&server).await;
    for (_, path) in pages.iter().filter(|(verb, _)| verb == "GET") {
        let url = named(&server, path).await;
        let refused = server.anonymous().send(Method::DELETE, &url, None).await;
        let posts = pages.contains(&("POST".to_owned(), path.clone()));
        let expected = if posts { "GET, HEAD, POST" } else { "GET, HEAD" };
        assert_eq!((refused.status, refused.header("allow")), (405, expected), "{path}");
        assert!(!refused.text.is_empty(), "{path}");
    }
    assert_eq!(server.anonymous().get("/sign-out").await.expect(405).header("allow"), "POST");
}

#[actix_web::test]
async fn a_list_takes_any_number_for_the_first_row_of_its_page() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    for path in ["/admin/users", "/admin/keys", "/admin/accounts"] {
        for from in ["0", "18446744073709551615"] {
            browser.get(&format!("{path}?from={from}")).await.expect(200);
        }
    }
}

#[actix_web::test]
async fn every_error_code_has_its_page() {
    let server = TestServer::start().await;
    let source = include_str!("../../src/model/error.rs");
    let code = source.split_once("pub fn code(&self)").expect("the codes").1;
    let codes = code.split_once("\n    }\n").expect("the end").0;
    let codes: Vec<&str> = codes.lines().filter_map(|line| line.split("=> \"").nth(1)?.split('"').next()).collect();
    assert!(codes.len() > 20, "{codes:?}");
    for code in codes {
        let page = server.anonymous().get(&format!("/docs/errors/{code}")).await;
        assert_eq!(page.status, 200, "{code}");
        assert!(page.text.contains(code), "{code}");
    }
    assert_eq!(server.anonymous().get("/docs/errors/nonsense").await.status, 404);
}
