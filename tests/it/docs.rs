//! The documentation: every page is there, leads somewhere, and says what is so.

use std::collections::BTreeSet;

use keyrack::http::api::operations::OPERATIONS;
use keyrack::model::dialect::DialectName;
use serde_json::Value;

use crate::support::{Client, TestServer};

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
    for operation in OPERATIONS {
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
                    // A relative address of an example is no address of a server.
                    let mut value = example["value"].clone();
                    value["doc_url"] = "https://keys.example.com/docs/errors/x".into();
                    fits(&json["schema"], &value, format!("{verb} {path} {status} {code}"));
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
