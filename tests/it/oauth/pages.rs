//! The dashboard's pages of clients, and each user's own of what they allowed.

use keyrack::model::user::Role;

use crate::support::{Client, Reply, TestServer, query_of};

fn hidden(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    page.rsplit_once(&start).and_then(|(_, rest)| rest.split('"').next()).unwrap_or_else(|| panic!("{name}: {page}")).to_owned()
}

/// Fills in the form of a page and sends it.
async fn fill(browser: &Client, page: &str, to: &str, fields: &[(&str, &str)]) -> Reply {
    let form = browser.get(page).await.expect(200).text;
    let (csrf, mut all) = (hidden(&form, "csrf"), Vec::new());
    all.push(("csrf", csrf.as_str()));
    let nonce = if form.contains("name=\"nonce\"") { hidden(&form, "nonce") } else { String::new() };
    all.push(("nonce", &nonce));
    all.extend(fields);
    browser.header("Sec-Fetch-Site", "same-origin").post_form(to, &all).await
}

const NEW: &[(&str, &str)] = &[
    ("name", "Reports"),
    ("kind", "confidential"),
    ("redirect_uris", "https://app.example.com/cb\r\n\r\n http://127.0.0.1/cb \r\nhttps://app.example.com/cb"),
    ("scope", "users:read"),
];

async fn admin(server: &TestServer) -> Client {
    let user = server.user_in(server.account("Operators").await, Role::Admin).await;
    server.browser(&user).await
}

#[tokio::test]
async fn a_client_is_registered_and_its_secret_shown_once() {
    let server = TestServer::start().await;
    let browser = admin(&server).await;
    let form = browser.get("/admin/clients/new").await.expect(200).text;
    let mut fields = vec![("csrf", hidden(&form, "csrf")), ("nonce", hidden(&form, "nonce"))];
    fields.extend(NEW.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let browser = browser.header("Sec-Fetch-Site", "same-origin");
    let shown = browser.post_form("/admin/clients", &fields).await.expect(200);
    assert_eq!(shown.header("cache-control"), "no-store");
    let secret = shown.text.split("krs_").nth(1).expect("a secret")[..49].to_owned();
    let again = browser.post_form("/admin/clients", &fields).await.expect(200);
    assert!(again.text.contains("This form was sent before") && !again.text.contains(&secret), "{}", again.text);
    let list = browser.get("/admin/clients").await.expect(200).text;
    assert_eq!(list.matches("/admin/clients/client_").count(), 1);
    assert!(list.contains("https://app.example.com/cb") && list.contains("and 1 more"), "{list}");
}

#[tokio::test]
async fn what_is_wrong_with_a_client_is_told_and_what_was_typed_stays() {
    let server = TestServer::start().await;
    let browser = admin(&server).await;
    let fields = [("name", ""), ("kind", "confidential"), ("redirect_uris", "http://app.example.com/cb\nnonsense")];
    let page = fill(&browser, "/admin/clients/new", "/admin/clients", &fields).await.expect(400).text;
    for words in [
        "Enter a name.",
        "Use https.",
        "`nonsense`: write it in full",
        "Choose at least one scope",
        "http://app.example.com/cb\nnonsense</textarea>",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[tokio::test]
async fn an_administrator_tries_the_flow_and_keeps_no_token() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    let user = server.user_in(server.account("Operators").await, Role::Admin).await;
    let browser = server.browser(&user).await;
    let base = format!("/admin/clients/{}", app.id);
    let begun = fill(&browser, &format!("{base}/try"), &format!("{base}/try"), &[]).await.expect(303);
    let (cookie, query) = (begun.header("set-cookie").split(';').next().expect("a cookie").to_owned(), query_of(&begun));
    let fields: Vec<(&str, &str)> = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let sent = server.answer(&user, &fields, "allow").await.expect(303);
    let path = sent.header("location").split_once("/admin").map(|(_, path)| format!("/admin{path}")).expect("our own page");
    // Of another browser, in which nothing was begun.
    browser.get(&path).await.expect(303);
    let session = server.browser_cookie(&user).await;
    let tried =
        server.anonymous().header("Accept", "text/html").header("Cookie", &format!("{session}; {cookie}")).get(&path).await;
    let page = tried.expect(200).text;
    assert!(page.contains("The flow works") && page.contains("The tokens of this try were revoked"), "{page}");
    let code = query_of(&sent)[0].1.clone();
    assert!(!page.contains(&code), "no secret on the page");
}

#[tokio::test]
async fn a_try_leads_nobody_but_administrators_to_the_dashboard() {
    let server = TestServer::start().await;
    let (app, member) = (server.oauth_app().await, server.member().await);
    let uri = format!("http://{}/admin/clients/{}/tried", server.addr, app.id);
    let fields = [("client_id", app.id.as_str()), ("redirect_uri", &uri), ("response_type", "code")];
    let refused = server.authorize(&member, &fields).await.expect(400);
    assert_eq!(refused.header("location"), "");
}

#[tokio::test]
async fn users_see_and_revoke_what_they_allowed() {
    let server = TestServer::start().await;
    let (app, user, other) = (server.oauth_app().await, server.member().await, server.member().await);
    let browser = server.browser(&user).await;
    assert!(browser.get("/settings/connected-apps").await.expect(200).text.contains("You have not connected any apps."));
    let tokens = server.tokens(&app, &user, "users:read").await;
    server.bearing(&tokens).get("/v1/users").await.expect(200);
    server.flush().await;
    let page = browser.get("/settings/connected-apps").await.expect(200).text;
    assert!(page.contains("Reporting Tool") && page.contains("from 127.0.0.1"), "{page}");
    let path = page.split("href=\"/settings/connected-apps/").nth(1).and_then(|rest| rest.split('"').next()).expect("a link");
    let path = format!("/settings/connected-apps/{path}");
    server.browser(&other).await.get(&path).await.expect(404);
    fill(&browser, &path, &path, &[]).await.expect(303);
    server.bearing(&tokens).get("/v1/users").await.expect(401);
}

#[tokio::test]
async fn whoever_wants_another_account_comes_back_to_the_consent() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let browser = server.browser(&user).await;
    let fields = app.request(&[]);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let next = format!("/oauth/authorize?{}", crate::support::form(&fields));
    let out = fill(&browser, &next, "/sign-out", &[("next", &next)]).await.expect(303);
    assert_eq!(out.header("location"), format!("/sign-in?{}", crate::support::form(&[("next", &next)])));
    let evil = server.browser(&user).await;
    let out = fill(&evil, &next, "/sign-out", &[("next", "//evil.example")]).await.expect(303);
    assert_eq!(out.header("location"), "/sign-in");
}

#[tokio::test]
async fn a_client_made_on_the_command_line_is_owned_and_not_registered_by_an_administrator() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    let browser = admin(&server).await;
    let page = browser.get(&format!("/admin/clients/{}", app.id)).await.expect(200).text;
    assert!(page.contains("Confidential client, owned by ") && !page.contains("registered by"), "{page}");
}

#[tokio::test]
async fn clients_are_found_by_the_beginning_of_their_name_or_their_id() {
    let server = TestServer::start().await;
    let named = async |name| {
        let name = keyrack::model::name::Name::parse(name).expect("a name");
        server.oauth_app_with(|new| new.name = name).await.id
    };
    let (reports, mobile) = (named("Reports").await, named("Mobile").await);
    let browser = admin(&server).await;
    for q in ["rep", &reports] {
        let page = browser.get(&format!("/admin/clients?q={q}")).await.expect(200).text;
        assert!(page.contains(&format!("/admin/clients/{reports}")) && !page.contains(&mobile), "{q}: {page}");
    }
    let page = browser.get("/admin/clients?q=ports").await.expect(200).text;
    assert!(page.contains("No clients match <em>ports</em>.") && page.contains("Clear the search"), "{page}");
}
