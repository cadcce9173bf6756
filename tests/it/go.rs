//! The page that leads anywhere, and what an account sees of its own usage.

use keyrack::model::scope::Scope::UsersRead;

use crate::support::{Client, MINUTE, Reply, TestServer};

/// The words of what a page of results offers.
fn offers(page: &Reply) -> Vec<String> {
    let results = page.text.split_once("data-results").expect("results").1.split_once("</main>").expect("an end").0;
    let links = results.split("<a href=\"").skip(1).filter_map(|rest| rest.split_once('>')?.1.split('<').next());
    links.map(|words| words.trim().to_owned()).collect()
}

async fn go(browser: &Client, q: &str) -> Reply {
    let q: String = url::form_urlencoded::byte_serialize(q.as_bytes()).collect();
    browser.get(&format!("/go?q={q}")).await
}

#[actix_web::test]
async fn it_leads_to_pages_keys_users_and_accounts_by_their_beginning() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    server.key(&[UsersRead]).await;
    assert!(offers(&go(&browser, "").await.expect(200)).contains(&"Requests".to_owned()));
    assert_eq!(offers(&go(&browser, "gen key").await), ["Generate New Key", "Generate a key for someone else"]);
    let found = offers(&go(&browser, "te").await);
    assert!(found.contains(&"test".to_owned()), "a key by its name: {found:?}");
    assert!(found.iter().any(|words| words.starts_with("Team ")), "an account by its name: {found:?}");
    assert_eq!(offers(&go(&browser, "ada l").await), ["Ada Lovelace", "Ada Lovelace"], "users by their name");
    let by_email = offers(&go(&browser, &admin.user().email).await);
    assert_eq!(by_email, ["test", "Ada Lovelace"], "a key by its owner, and the user");
    let themes = go(&browser, "theme").await.expect(200).text;
    assert_eq!(themes.matches("action=\"/settings/look\"").count(), 3);
    assert!(go(&browser, "sign").await.text.matches("action=\"/sign-out\"").count() > 1, "besides the one of the rail");
    assert!(go(&browser, "zzz").await.expect(200).text.contains("Nothing begins with <em>zzz</em>"));
}

#[actix_web::test]
async fn every_page_that_it_leads_to_is_there() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    let page = go(&browser, "").await.expect(200);
    let results = page.text.split_once("data-results").expect("results").1;
    let paths: Vec<&str> = results.split("<a href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths {
        assert_eq!(browser.get(path).await.status, 200, "{path}");
    }
}

#[actix_web::test]
async fn what_names_one_thing_whole_opens_it() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    let user = admin.user();
    let request = "req_01h455vb4pex5vsknk084sn02q";
    for (q, path) in [
        (admin.key_id(), format!("/admin/keys/{}", admin.key_id())),
        (admin.secret(), format!("/admin/keys/{}", admin.key_id())),
        (&user.id.to_string(), format!("/admin/users/{}", user.id)),
        (&user.account_id.to_string(), format!("/admin/accounts/{}", user.account_id)),
        ("client_01h455vb4pex5vsknk084sn02q", "/admin/clients/client_01h455vb4pex5vsknk084sn02q".into()),
        ("wh_01h455vb4pex5vsknk084sn02q", "/admin/webhooks/wh_01h455vb4pex5vsknk084sn02q".into()),
        ("evt_01h455vb4pex5vsknk084sn02q", "/admin/audit/evt_01h455vb4pex5vsknk084sn02q".into()),
        (request, format!("/admin/requests/{request}")),
    ] {
        assert_eq!(go(&browser, q).await.expect(303).header("location"), path);
    }
    let pasted = browser.get(&format!("/admin/keys?q={request}")).await.expect(303);
    assert_eq!(pasted.header("location"), format!("/admin/requests/{request}"), "in the search of keys, too");
    for (q, path) in
        [(request, format!("/admin/requests/{request}")), (admin.secret(), format!("/admin/keys/{}", admin.key_id()))]
    {
        let pasted = browser.get(&format!("/admin/users?q={q}")).await.expect(303);
        assert_eq!(pasted.header("location"), path, "and in the search of users");
    }
}

#[actix_web::test]
async fn members_find_only_what_is_theirs() {
    let server = TestServer::start().await;
    let user = server.member().await;
    let own = server.key_of(&user, &[UsersRead]).await;
    let stranger = server.key(&[UsersRead]).await;
    let browser = server.browser(&user).await;
    let found = go(&browser, "te").await.expect(200);
    assert_eq!(offers(&found), ["test"]);
    assert!(found.text.contains(own.key_id()) && !found.text.contains(stranger.key_id()));
    assert!(!found.text.contains("/admin/"), "{}", found.text);
    assert!(offers(&go(&browser, "ada").await).is_empty(), "no users");
    for q in [stranger.user().id.to_string(), "req_01h455vb4pex5vsknk084sn02q".to_owned()] {
        assert_eq!(go(&browser, &q).await.status, 200, "{q}: no page of administrators");
    }
    let location = go(&browser, stranger.secret()).await.expect(303).header("location").to_owned();
    assert!(!location.contains(stranger.key_id()) && !location.contains(stranger.secret()), "{location}");
}

#[actix_web::test]
async fn one_sees_what_is_left_of_ones_limits_and_who_used_them() {
    let server = TestServer::start().await;
    let user = server.member().await;
    let own = server.key_of(&user, &[UsersRead]).await;
    let colleague = server.colleague_of(&user).await;
    let others = server.key_of_with(&colleague, &[UsersRead], |new| {
        new.name = keyrack::model::name::Name::parse("of a colleague").expect("a name");
    });
    let others = others.await;
    server.set_windows(&own, &[(10, 60), (100, 3600)]).await;
    for key in [&own, &own, &others] {
        key.get("/v1/users").await.expect(200);
    }
    server.flush().await;
    let browser = server.browser(&user).await;
    let page = browser.get("/settings/usage").await.expect(200);
    for words in ["100/hour", "97 of 100", "10/minute", "7 of 10", "In 60 min", "In 60 s"] {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    assert!(page.text.contains("3 requests: 3 2xx"), "the account's, over all its keys: {}", page.text);
    assert!(page.text.contains(own.key_id()) && !page.text.contains("of a colleague"), "keys: one's own alone");
    server.advance(MINUTE);
    assert!(browser.get("/settings/usage").await.text.contains("Begins with the next request"));

    let admin = server.admin().await;
    let operator = server.browser(admin.user()).await;
    let seen = operator.get(&format!("/admin/accounts/{}/usage", user.account_id)).await.expect(200).text;
    assert!(seen.contains("97 of 100") && seen.contains("of a colleague"), "{seen}");
    operator.get("/admin/accounts/acct_01h455vb4pex5vsknk084sn02q/usage").await.expect(404);
}
