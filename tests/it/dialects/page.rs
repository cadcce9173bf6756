//! Settings > API conventions, and the documentation of codes: what people see of a dialect.

use keyrack::http::api::dialect::examples;
use keyrack::model::dialect::DialectName::{self, Native, Resend, Usertour};
use keyrack::model::user::Role;
use reqwest::Method;

use super::{READ, named};
use crate::support::{Client, Reply, TestServer};

const PAGE: &str = "/admin/settings/api-conventions";

async fn browser(server: &TestServer) -> Client {
    let admin = server.user_in(server.account("Operators").await, Role::Admin).await;
    server.browser(&admin).await.header("Sec-Fetch-Site", "same-origin")
}

async fn switch(browser: &Client, to: DialectName) -> Reply {
    let path = format!("{PAGE}/{}", to.as_str());
    let page = browser.get(&path).await.expect(200).text;
    let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token").to_owned();
    let form = browser.header("Content-Type", "application/x-www-form-urlencoded");
    form.send(Method::POST, &path, Some(format!("csrf={token}"))).await
}

#[tokio::test]
async fn the_page_shows_every_dialect_and_the_answers_of_one() {
    let server = TestServer::start().await;
    let browser = browser(&server).await;
    let page = browser.get(PAGE).await.expect(200).text;
    for &dialect in DialectName::ALL {
        assert!(page.contains(&format!("value=\"{}\"", dialect.as_str())), "{}", dialect.as_str());
    }
    assert!(page.contains("rate_limit_exceeded") && page.contains("x-ratelimit-limit: 1000"));
    assert!(!page.contains("Switch to"), "what is on needs no switching");

    let page = browser.get(&format!("{PAGE}?dialect=resend")).await.expect(200).text;
    assert!(page.contains("statusCode") && page.contains("Switch to resend"));
    assert!(page.contains("ratelimit-policy: 5;w=1"));
    let page = browser.get(&format!("{PAGE}?dialect=usertour")).await.expect(200).text;
    assert!(page.contains("E1013") && page.contains("Business 3000/1m"));
    browser.get(&format!("{PAGE}/nonsense")).await.expect(404);
}

#[tokio::test]
async fn the_switch_says_whom_it_concerns_and_holds_at_once() {
    let server = TestServer::start().await;
    let (browser, key) = (browser(&server).await, named(&server.key(READ).await));
    key.get("/v1/users/me").await.expect(200);
    server.flush().await;
    let asked = browser.get(&format!("{PAGE}/resend")).await.expect(200).text;
    assert!(asked.contains("1 key was used in the last 24 hours"), "{asked}");
    key.get("/users/me").await.expect(404);

    let done = switch(&browser, Resend).await.expect(303);
    assert_eq!(done.header("location"), format!("{PAGE}?done=switched"));
    key.get("/users/me").await.expect(200);
    assert!(browser.get(done.header("location")).await.expect(200).text.contains("from now on"));
    switch(&browser, Native).await.expect(303);
    key.get("/users/me").await.expect(404);
}

#[tokio::test]
async fn what_is_set_outside_is_said_and_cannot_be_switched() {
    let server = TestServer::with_fixed(&[("api.dialect", "KEYRACK_API_DIALECT")]).await;
    let browser = browser(&server).await;
    let page = browser.get(&format!("{PAGE}?dialect=usertour")).await.expect(200).text;
    assert!(page.contains("Set by KEYRACK_API_DIALECT") && !page.contains("Switch to"));
    let refused = switch(&browser, Usertour).await.expect(400).text;
    assert!(refused.contains("which wins over the dashboard"));
    assert_eq!(server.app.dialect(), Native);
}

#[tokio::test]
async fn every_code_that_a_dialect_tells_has_its_page_in_that_dialect() {
    for &dialect in DialectName::ALL {
        let server = TestServer::with(|config| config.api.dialect = dialect).await;
        let stranger = server.anonymous();
        let docs = stranger.get("/docs").await.expect(200).text;
        for error in examples::each() {
            let code = examples::code(dialect, &error);
            let page = stranger.get(&format!("/docs/errors/{code}")).await.expect(200).text;
            assert!(page.contains("<h2 id=\"what-happened\">") && page.contains(code), "{code}");
            assert!(docs.contains(&format!("href=\"/docs/errors/{code}\"")), "{code} is not in the list");
        }
        // The limits as this dialect tells them: by the names that a real answer has.
        let key = server.key(&[]).await.header("User-Agent", "test");
        let answer = key.get("/v1/users/me").await.expect(200);
        for name in ["x-ratelimit-limit", "ratelimit-limit", "ratelimit-policy", "ratelimit-remaining"] {
            let told =
                docs.lines().any(|line| line.rsplit('>').next().is_some_and(|line| line.starts_with(&format!("{name}: "))));
            assert_eq!(told, !answer.header(name).is_empty(), "{dialect:?}: {name}");
        }
        assert_eq!(docs.contains("without <code>/v1</code>"), key.get("/users/me").await.status == 200, "{dialect:?}");
        // A code of another dialect still leads to its page: a link in an old log is no dead end.
        stranger.get("/docs/errors/invalid_api_key").await.expect(200);
        stranger.get("/docs/errors/nonsense").await.expect(404);
    }
}

#[tokio::test]
async fn the_page_of_a_code_shows_the_answer_as_the_dialect_has_it() {
    let server = TestServer::with(|config| config.api.dialect = Usertour).await;
    let page = server.anonymous().get("/docs/errors/E1000").await.expect(200).text;
    assert!(page.contains("Status 403") && page.contains("/docs/errors/E1000"), "{page}");
    assert!(page.contains("href=\"/docs/errors/E1010\""), "its relatives have the dialect's names");
}
