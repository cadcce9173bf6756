//! The page on which a user is asked, and where it leads.

use keyrack::model::redirect_uri::RedirectUri;

use crate::support::{Reply, TestServer, form, query_of};

fn pairs(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test]
async fn the_consent_says_who_asks_for_what_and_where_it_leads() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let fields = app.request(&[("scope", "users:read users:write")]);
    let page = server.authorize(&user, &pairs(&fields)).await.expect(200);
    for words in [
        "Reporting Tool wants access to your account",
        &user.email,
        "Use another account",
        "Made by Makers",
        "read users",
        "create, change and delete users",
        "see your password",
        "30 days without use",
        "You will be sent to <strong class=\"where\">https://app.example.com</strong>",
    ] {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    let policy = page.header("content-security-policy");
    assert!(policy.contains("form-action 'self' https://app.example.com;"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!((page.header("x-frame-options"), page.header("cache-control")), ("DENY", "no-store"));
    assert_eq!(page.header("cross-origin-opener-policy"), "", "a client that opened a window for it still sees it");
}

#[tokio::test]
async fn whoever_cancels_is_sent_back_with_that() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let sent = server.answer(&user, &pairs(&app.request(&[])), "cancel").await.expect(303);
    let query = query_of(&sent);
    assert_eq!(query[0], ("error".into(), "access_denied".into()));
    assert!(query.contains(&("state".into(), "af0ifjsldkj".into())));
}

#[tokio::test]
async fn a_scope_that_the_user_does_not_have_is_left_out_and_told() {
    let server = TestServer::start().await;
    let app = server
        .oauth_app_with(|new| new.scopes = keyrack::model::scope::ScopeSet::of(&[keyrack::model::scope::Scope::Admin]).into())
        .await;
    let user = server.member().await;
    let fields = app.request(&[("scope", "users:read admin")]);
    let page = server.authorize(&user, &pairs(&fields)).await.expect(200);
    assert!(page.text.contains("It also asked for admin, which your account does not have."), "{}", page.text);
    let tokens = server.tokens(&app, &user, "users:read admin").await;
    assert_eq!(tokens["scope"], "users:read");
}

/// A page for the person, and no redirect to anywhere.
#[track_caller]
fn goes_nowhere(reply: &Reply, what: &str) {
    assert_eq!((reply.status, reply.header("location")), (400, ""), "{what}: {}", reply.text);
    assert!(reply.header("content-type").starts_with("text/html"), "{what}");
    assert!(reply.text.contains("id=\"request-id\""), "{what}");
}

#[tokio::test]
async fn an_address_that_is_not_registered_is_never_redirected_to() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    for uri in [
        "https://app.example.com/callback/",
        "https://app.example.com/callback?x=1",
        "https://app.example.com/callback#x",
        "https://app.example.com/callback/../other",
        "https://app.example.com/%63allback",
        "https://app.example.com:443/callback",
        "https://APP.example.com/callback",
        "https://app.example.com.evil.example/callback",
        "https://app.example.com@evil.example/callback",
        "https://evil.example/https://app.example.com/callback",
        "http://app.example.com/callback",
        "//app.example.com/callback",
        "https:/app.example.com/callback",
        "https://app.example.com\\callback",
        "javascript:alert(1)",
        "https://app.example.com/callback\r\nSet-Cookie: x=y",
        "https://app.example.com/callback ",
        "\u{0}",
    ] {
        for signed_in in [true, false] {
            let fields = app.request(&[("redirect_uri", uri)]);
            let path = format!("/oauth/authorize?{}", form(&pairs(&fields)));
            let browser = if signed_in { server.browser(&user).await } else { server.anonymous().header("Accept", "text/html") };
            let reply = browser.get(&path).await;
            goes_nowhere(&reply, uri);
        }
    }
}

#[tokio::test]
async fn a_wrong_address_is_shown_beside_the_nearest_that_is_right() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let fields = app.request(&[("redirect_uri", "https://app.example.com/calback?<script>")]);
    let reply = server.authorize(&user, &pairs(&fields)).await;
    goes_nowhere(&reply, "misspelt");
    assert!(reply.text.contains("<code>https://app.example.com/calback?&#60;script&#62;</code>"), "{}", reply.text);
    assert!(reply.text.contains("<code>https://app.example.com/callback</code>"), "{}", reply.text);
    assert!(reply.text.contains("letter for letter"), "{}", reply.text);
}

#[tokio::test]
async fn a_client_that_does_not_exist_is_told_to_the_person() {
    let server = TestServer::start().await;
    let user = server.member().await;
    for id in ["", "nobody", "client_01h455vb4pex5vsknk084sn02q", "user_01h455vb4pex5vsknk084sn02q", "\u{0}", "é"] {
        let fields = [("client_id", id), ("redirect_uri", "https://evil.example/"), ("response_type", "code")];
        let told = server.authorize(&user, &fields).await;
        goes_nowhere(&told, id);
        assert!(told.text.contains("the client_id that it was registered with") && !told.text.contains("letter for letter"));
    }
    goes_nowhere(&server.browser(&user).await.get("/oauth/authorize").await, "nothing");
}

#[tokio::test]
async fn a_client_or_address_named_twice_leads_nowhere() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let query = form(&pairs(&app.request(&[])));
    for twice in [format!("client_id={}", app.id), format!("redirect_uri={}", app.redirect_uri)] {
        let reply = server.browser(&user).await.get(&format!("/oauth/authorize?{query}&{twice}")).await;
        goes_nowhere(&reply, &twice);
    }
}

#[tokio::test]
async fn state_comes_back_byte_for_byte() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    server.tokens(&app, &user, "users:read").await;
    let long = "x".repeat(2_048);
    for (sent, back) in [
        ("a%20b%2Bc%26d%3De", "a+b%2Bc%26d%3De"),
        ("%0d%0aSet-Cookie:%20x=y", "%0D%0ASet-Cookie%3A+x%3Dy"),
        ("%ff%fe%00", "%FF%FE%00"),
        ("%C3%A9", "%C3%A9"),
        (long.as_str(), long.as_str()),
    ] {
        let fields = app.request(&[("state", "")]);
        let path = format!("/oauth/authorize?{}", form(&pairs(&fields))).replace("&state=", &format!("&state={sent}"));
        let reply = server.browser(&user).await.get(&path).await.expect(302);
        assert!(reply.header("location").contains(&format!("&state={back}&iss=")), "{sent}: {}", reply.header("location"));
        assert!(reply.headers.get("set-cookie").is_none());
    }
}

#[tokio::test]
async fn on_this_machine_any_port_will_do() {
    let server = TestServer::start().await;
    let app = server
        .oauth_app_with(|new| new.redirect_uris = vec![RedirectUri::parse("http://127.0.0.1/cb").expect("an address")])
        .await;
    let user = server.member().await;
    let fields = app.request(&[("redirect_uri", "http://127.0.0.1:49152/cb")]);
    let sent = server.answer(&user, &pairs(&fields), "allow").await.expect(303);
    assert!(sent.header("location").starts_with("http://127.0.0.1:49152/cb?code=krc_"));
    let code = query_of(&sent)[0].1.clone();
    app.redeem(&code, &[("redirect_uri", "http://127.0.0.1:49152/cb")]).await.expect(200);
}

#[tokio::test]
async fn where_no_policy_can_name_the_address_a_page_leads_on() {
    let server = TestServer::start().await;
    let app =
        server.oauth_app_with(|new| new.redirect_uris = vec![RedirectUri::parse("http://[::1]/cb").expect("an address")]).await;
    let user = server.member().await;
    let page = server.answer(&user, &pairs(&app.request(&[])), "allow").await.expect(200);
    assert!(page.text.contains("href=\"http://[::1]/cb?code=krc_"), "{}", page.text);
}

#[tokio::test]
async fn after_a_form_of_ours_a_page_leads_on_since_browsers_do_not_follow_a_redirect() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    server.tokens(&app, &user, "users:read").await;
    let path = format!("/oauth/authorize?{}", form(&pairs(&app.request(&[]))));
    let browser = server.browser(&user).await.header("Sec-Fetch-Site", "same-origin");
    let page = browser.get(&path).await.expect(200);
    assert!(page.text.contains("http-equiv=\"refresh\" content=\"0;url=https://app.example.com/callback?code=krc_"));
}

#[tokio::test]
async fn a_client_with_one_address_need_not_name_it() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let fields = [("client_id", app.id.as_str()), ("response_type", "code")];
    let sent = server.answer(&user, &fields, "allow").await.expect(303);
    let code = query_of(&sent)[0].1.clone();
    app.post("/oauth/token", &[("grant_type", "authorization_code"), ("code", &code)]).await.expect(200);
}

#[tokio::test]
async fn a_stale_consent_is_shown_again_and_gives_nothing() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let page = server.authorize(&user, &pairs(&app.request(&[]))).await.expect(200);
    let fields = crate::support::consent_form(&page.text, "allow");
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // Another session of the same user.
    let other = server.browser(&user).await.header("Sec-Fetch-Site", "same-origin");
    let again = other.post_form("/oauth/authorize", &fields).await.expect(200);
    assert!(again.text.contains("Your session was renewed") && again.text.contains("Allow access"), "{}", again.text);
}

#[tokio::test]
async fn a_consent_that_no_page_of_ours_sent_is_refused() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let browser = server.browser(&user).await;
    let page = browser.get(&format!("/oauth/authorize?{}", form(&pairs(&app.request(&[]))))).await.expect(200);
    let fields = crate::support::consent_form(&page.text, "allow");
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for site in ["cross-site", "same-site", "none"] {
        browser.header("Sec-Fetch-Site", site).post_form("/oauth/authorize", &fields).await.expect(403);
    }
    browser.header("Sec-Fetch-Site", "same-origin").post_form("/oauth/authorize", &fields[1..]).await.expect(403);
    browser.header("Sec-Fetch-Site", "same-origin").post_form("/oauth/authorize", &fields).await.expect(303);
}
