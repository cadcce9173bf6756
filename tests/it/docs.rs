//! The documentation: every page is there, leads somewhere, and says what is so.

use std::collections::BTreeSet;

use keyrack::http::api::operations::{OAUTH, OPERATIONS};
use keyrack::model::api_key::Expiry;
use keyrack::model::dialect::DialectName;
use keyrack::model::scope::Scope::{KeysRead, KeysWrite, UsersRead};
use serde_json::Value;

use crate::support::{Client, MINUTE, Raw, TestServer};

/// The paths that a text links to, without what stands behind `#`.
fn links(markdown: &str, base: &str) -> BTreeSet<String> {
    let targets = markdown.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let ours = targets.filter_map(|target| target.strip_prefix(base).or(target.starts_with('/').then_some(target)));
    ours.map(|target| target.split('#').next().unwrap_or_default().to_owned()).filter(|path| !path.is_empty()).collect()
}

async fn listed(server: &TestServer) -> BTreeSet<String> {
    let text = server.anonymous().get("/llms.txt").await.expect(200).text;
    links(&text, &format!("http://{}", server.addr))
}

async fn in_dialect(name: DialectName) -> TestServer {
    TestServer::with(|config| config.api.dialect = name).await
}

#[tokio::test]
async fn every_page_that_llms_txt_lists_is_there_for_people_and_as_markdown() {
    for &name in DialectName::ALL {
        let server = in_dialect(name).await;
        let client = server.anonymous();
        let pages = listed(&server).await;
        assert!(pages.len() > 35, "{pages:?}");
        for path in pages.iter().filter(|path| path.ends_with(".md")) {
            let page = client.get(path).await.expect(200);
            assert!(page.header("content-type").starts_with("text/markdown"), "{path}");
            assert!(page.text.starts_with("# "), "{path}: {}", page.text);
            let html = client.get(path.trim_end_matches(".md").trim_end_matches("/index")).await.expect(200);
            assert!(html.text.contains("class=\"prose\""), "{path}");
        }
    }
}

#[tokio::test]
async fn no_link_of_the_documentation_is_dead() {
    for &name in DialectName::ALL {
        let server = in_dialect(name).await;
        let (client, base) = (server.anonymous(), format!("http://{}", server.addr));
        let mut led_to = BTreeSet::new();
        for path in listed(&server).await.iter().filter(|path| path.ends_with(".md")) {
            let text = client.get(path).await.expect(200).text;
            led_to.extend(links(&text, &base).into_iter().map(|target| (target, path.clone())));
        }
        let mut tried = BTreeSet::new();
        for (target, from) in led_to {
            if tried.insert(target.clone()) {
                assert_eq!(client.get(&target).await.status, 200, "{from} leads to {target}");
            }
        }
    }
}

#[tokio::test]
async fn no_place_for_a_fact_is_left_open() {
    let server = TestServer::start().await;
    for path in listed(&server).await.iter().filter(|path| path.ends_with(".md")) {
        let text = server.anonymous().get(path).await.expect(200).text;
        for name in [
            "first_request",
            "rotate_example",
            "verify_example",
            "list_example",
            "scopes",
            "pattern",
            "limit_headers",
            "limit_words",
            "anonymous",
            "queue_seconds",
            "listing",
            "token_example",
            "import_example",
            "base",
            "version_words",
        ] {
            assert!(!text.contains(&format!("{{{name}}}")), "{path} does not know {name}");
        }
    }
}

#[tokio::test]
async fn the_openapi_document_has_every_operation_and_this_server() {
    let server = TestServer::start().await;
    let document = server.anonymous().get("/openapi.json").await.expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], format!("http://{}", server.addr));
    for operation in OPERATIONS.iter().chain(OAUTH) {
        let verb = if operation.method == "ANY" { "get".into() } else { operation.method.to_ascii_lowercase() };
        assert!(document["paths"][operation.path][&verb].is_object(), "{}", operation.id);
    }
    let mut names = BTreeSet::new();
    for (path, verbs) in document["paths"].as_object().expect("paths") {
        for (verb, operation) in verbs.as_object().expect("verbs") {
            assert!(names.insert(operation["operationId"].as_str().expect("a name").to_owned()), "{verb} {path}");
        }
    }
}

#[tokio::test]
async fn everything_that_the_openapi_document_refers_to_is_in_it() {
    for &name in DialectName::ALL {
        let server = in_dialect(name).await;
        let document = server.anonymous().header("User-Agent", "test").get("/openapi.json").await.expect(200).json();
        let mut targets = Vec::new();
        collect(&document, &mut targets);
        assert!(targets.len() > 50);
        for target in targets {
            assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target} in {}", name.as_str());
        }
    }
}

fn collect(value: &Value, targets: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            targets.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| collect(value, targets));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, targets)),
        _ => {}
    }
}

#[tokio::test]
async fn the_examples_of_the_openapi_document_fit_their_schemas() {
    let server = TestServer::start().await;
    let document = server.anonymous().get("/openapi.json").await.expect(200).json();
    let fits = |schema: &Value, example: &Value, place: String| {
        let whole = serde_json::json!({ "allOf": [schema], "components": document["components"] });
        let validator = jsonschema::draft202012::new(&whole).expect("a schema");
        let wrong: Vec<String> = validator.iter_errors(example).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{place}: {wrong:?}\n{example}");
    };
    for (path, verbs) in document["paths"].as_object().expect("paths") {
        for (verb, operation) in verbs.as_object().expect("verbs") {
            let body = &operation["requestBody"]["content"]["application/json"];
            if body.is_object() {
                fits(&body["schema"], &body["example"], format!("{verb} {path}"));
            }
            for (status, response) in operation["responses"].as_object().expect("responses") {
                let json = &response["content"]["application/json"];
                if json["example"].is_object() || json["example"].is_array() {
                    fits(&json["schema"], &json["example"], format!("{verb} {path} {status}"));
                }
                for (code, example) in json["examples"].as_object().into_iter().flatten() {
                    fits(&json["schema"], &example["value"], format!("{verb} {path} {status} {code}"));
                }
            }
        }
    }
}

async fn found(client: &Client, q: &str) -> String {
    client.get(&format!("/docs/search?q={q}")).await.expect(200).text
}

#[tokio::test]
async fn the_search_finds_a_code_a_path_and_a_word_and_says_when_there_is_nothing() {
    let server = TestServer::start().await;
    let client = server.anonymous();
    assert!(found(&client, "idempotency_key_reused").await.contains("href=\"/docs/errors/idempotency_key_reused\""));
    assert!(found(&client, "%2Fv1%2Fkeys%2Fverify").await.contains("href=\"/docs/api/verify_api_key\""));
    assert!(found(&client, "overlap").await.contains("href=\"/docs/rotation\""));
    assert!(found(&client, "zzzz").await.contains("No page has all these words"));
    assert!(
        found(&client, "%3Cscript%3E").await.contains("&lt;script&gt;")
            || !found(&client, "%3Cscript%3Ealert").await.contains("<script>alert")
    );
}

#[tokio::test]
async fn the_address_of_samples_is_the_public_one() {
    let server = TestServer::with(|config| {
        config.server.public_url = Some(keyrack::config::PublicUrl::parse("https://keys.example.com").expect("a URL"));
    })
    .await;
    let page = server.anonymous().get("/docs/api/create_user.md").await.expect(200).text;
    assert!(page.contains("curl -i -X POST https://keys.example.com/v1/users"), "{page}");
}

#[test]
fn every_test_that_the_documents_name_is_there() {
    for document in ["docs/SECURITY.md", "docs/RELIABILITY.md"] {
        let text = std::fs::read_to_string(document).expect("a document");
        let words = text.split('`').skip(1).step_by(2);
        for name in words.filter(|word| word.starts_with("tests/") || word.starts_with("src/")) {
            let (file, test) = name.split_once("::").unwrap_or((name, ""));
            let source = std::fs::read_to_string(file).unwrap_or_else(|_| panic!("{document} names {file}"));
            assert!(test.is_empty() || source.contains(&format!("fn {test}(")), "{document} names {name}");
        }
        let targets = std::fs::read_to_string("Makefile").expect("a file");
        for target in text.split("`make ").skip(1).filter_map(|rest| rest.split(['`', ' ']).next()) {
            assert!(targets.contains(&format!("\n{target}:")), "{document} names make {target}");
        }
    }
}

#[test]
fn every_threat_has_a_test() {
    let text = include_str!("../../docs/SECURITY.md");
    for number in 1..=40 {
        let row = text.lines().find(|line| line.starts_with(&format!("| {number} |"))).unwrap_or_else(|| panic!("row {number}"));
        assert!(row.contains("`tests/") || row.contains("`src/") || row.contains("`deny.toml`"), "row {number}: {row}");
    }
}

#[tokio::test]
async fn there_is_a_guide_for_each_thing_that_concerns_several_operations() {
    let server = TestServer::start().await;
    let listed = listed(&server).await;
    for guide in [
        "authentication",
        "rate-limits",
        "errors",
        "pagination",
        "idempotency",
        "oauth",
        "webhooks",
        "rotation",
        "gateways",
        "migration",
        "checking-keys",
        "versioning",
    ] {
        let path = format!("/docs/{guide}.md");
        assert!(listed.contains(&path) || guide == "errors", "llms.txt lacks {path}");
        assert!(server.anonymous().get(&path).await.expect(200).text.len() > 400, "{path}");
    }
}

/// The tests are the witnesses: a page about a code that none of them has met would be about nothing.
#[test]
fn every_code_that_has_a_page_is_met_by_a_test() {
    fn texts(dir: &std::path::Path, all: &mut String) {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                texts(&path, all);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                *all += &std::fs::read_to_string(path).expect("a text");
            }
        }
    }
    let mut tests = String::new();
    texts(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it")), &mut tests);
    // Said to people on pages, which show words and no codes.
    const ON_PAGES: &[&str] = &["admin_required", "too_many_attempts"];
    let codes = keyrack::http::docs::codes().filter(|code| !ON_PAGES.contains(code));
    let unmet: Vec<&str> = codes.filter(|code| !tests.contains(&format!("\"{code}\""))).collect();
    assert!(unmet.is_empty(), "no test meets {unmet:?}");
}

/// A browser of somebody signed in.
async fn reader(server: &TestServer) -> Client {
    let member = server.member().await;
    server.browser(&member).await.header("Accept", "text/html")
}

#[tokio::test]
async fn an_operation_is_tried_from_its_page_with_the_key_that_is_typed() {
    let server = TestServer::start().await;
    let (browser, key) = (reader(&server).await, server.key(&[UsersRead]).await);
    let page = "/docs/api/show_user";
    let id = key.user().id.to_string();
    let shown = browser.submit(page, page, &[("key", key.secret()), ("p-id", &id)]).await.expect(200);
    assert!(shown.text.contains("<h3>200 OK</h3>"), "{}", shown.text);
    assert!(
        shown.text.contains(&key.user().email.to_string()) && shown.text.contains("x-ratelimit-remaining: 999"),
        "{}",
        shown.text
    );
    // What was typed stays, but for the key: that is nowhere on the page.
    assert!(shown.text.contains(&format!("value=\"{id}\"")) && !shown.text.contains(key.secret()), "{}", shown.text);
    assert_eq!(shown.header("cache-control"), "no-store");
    assert_eq!(key.get("/v1/users").await.expect(200).number("x-ratelimit-remaining"), 998, "it counted");
}

#[tokio::test]
async fn the_hints_of_the_form_are_plain_text() {
    let server = TestServer::start().await;
    let shown = reader(&server).await.get("/docs/api/list_users").await.expect(200).text;
    let hints: Vec<&str> = shown.split("-hint\">").skip(1).filter_map(|rest| rest.split("</p>").next()).collect();
    assert!(hints.len() > 2 && hints.iter().all(|hint| !hint.contains('`')), "{hints:?}");
}

#[tokio::test]
async fn a_tried_request_is_refused_as_a_programs_would_be() {
    let server = TestServer::start().await;
    let (browser, key) = (reader(&server).await, server.key(&[UsersRead]).await);
    let page = "/docs/api/create_user";
    let fields = [("key", key.secret()), ("p-body", r#"{"name":"Ada"}"#)];
    let shown = browser.submit(page, page, &fields).await.expect(200).text;
    assert!(shown.contains("403 Forbidden") && shown.contains("insufficient_scope"), "{shown}");
    let shown = browser.submit(page, page, &[("p-body", "{")]).await.expect(200).text;
    assert!(shown.contains("401 Unauthorized") && shown.contains("missing_api_key"), "{shown}");
    assert!(shown.contains(&format!("http://{}/docs/errors/missing_api_key", server.addr)), "{shown}");
    let shown = browser.submit(page, page, &[("key", "a\u{1}b"), ("p-body", "{}")]).await.expect(200).text;
    assert!(shown.contains("This is no API key") && !shown.contains("<h3>"), "{shown}");
    let list = "/docs/api/list_users";
    let shown = browser.submit(list, list, &[("key", key.secret()), ("p-limit", "0")]).await.expect(200).text;
    assert!(shown.contains("400 Bad Request") && shown.contains("GET /v1/users?limit=0"), "{shown}");
}

#[tokio::test]
async fn a_tried_request_is_judged_when_it_is_made_however_long_its_form_was_on_the_way() {
    let server = TestServer::start().await;
    let member = server.member().await;
    let cookie = server.browser_cookie(&member).await;
    let key = server.key_of_with(&member, &[UsersRead], |new| new.expiry = Expiry::In(MINUTE)).await;
    let page = "/docs/api/list_users";
    let token = server.anonymous().header("Cookie", &cookie).header("Accept", "text/html").get(page).await.expect(200).token();
    let form = crate::support::form(&[("csrf", &token), ("key", key.secret())]);
    let head = format!(
        "POST {page} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nAccept: text/html\r\nSec-Fetch-Site: same-origin\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        server.addr,
        form.len()
    );
    let mut late = Raw::sent(server.addr, head).await;
    assert_eq!(late.reply_to_head().await.expect("an answer").status, 100);
    server.advance(2 * MINUTE);
    late.send(form).await;
    let shown = late.reply().await.expect("an answer").expect(200).text;
    assert!(shown.contains("<h3>401 Unauthorized</h3>") && shown.contains("expired_api_key"), "{shown}");
}

#[tokio::test]
async fn a_tried_path_leads_nowhere_but_to_its_operation() {
    let server = TestServer::start().await;
    let (browser, key) = (reader(&server).await, server.key(&[UsersRead]).await);
    let page = "/docs/api/show_user";
    for id in ["../keys", "@evil.example", "//evil.example/", "x?limit=1", "", "http://127.0.0.1:22/"] {
        let shown = browser.submit(page, page, &[("key", key.secret()), ("p-id", id)]).await.expect(200).text;
        assert!(shown.contains("<h3>404 Not Found</h3>"), "{id}: {shown}");
    }
}

#[tokio::test]
async fn nothing_is_tried_without_a_session_nor_by_a_form_of_another_page_nor_by_a_stale_one() {
    let server = TestServer::start().await;
    let key = server.key(&[KeysRead, KeysWrite]).await;
    let page = "/docs/api/create_api_key";
    let fields = [("key", key.secret()), ("p-body", r#"{"name":"tried"}"#)];
    let stranger = server.anonymous().header("Accept", "text/html").header("Sec-Fetch-Site", "same-origin");
    let refused = stranger.post_form(page, &fields).await.expect(303);
    assert!(refused.header("location").starts_with("/sign-in"), "{}", refused.header("location"));
    assert!(stranger.get(page).await.expect(200).text.contains("/sign-in?next=/docs/api/create_api_key"));
    let browser = reader(&server).await;
    browser.header("Sec-Fetch-Site", "cross-site").post_form(page, &fields).await.expect(403);
    let stale = [&fields[..], &[("csrf", "AAAA")]].concat();
    let again = browser.header("Sec-Fetch-Site", "same-origin").post_form(page, &stale).await.expect(200).text;
    assert!(again.contains("Your session was renewed") && again.contains("&#34;tried&#34;"), "{again}");
    assert!(!key.get("/v1/keys").await.expect(200).text.contains("tried"));
}
