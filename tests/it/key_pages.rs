//! The pages of keys: which keys a view lists, what a search finds, and how a key is edited.

use std::collections::HashSet;

use keyrack::model::api_key::{ApiKeyChanges, Expiry};
use keyrack::model::caller::Caller;
use keyrack::model::ids::ApiKeyId;
use keyrack::model::name::Name;
use keyrack::model::revision::IfMatch;
use keyrack::model::scope::Scope::{UsersRead, UsersWrite};
use keyrack::model::user::User;
use keyrack::services;
use serde_json::json;

use crate::support::{Client, DAY, MINUTE, TestServer};

async fn key(server: &TestServer, owner: &User, name: &str, expiry: Expiry) -> Client {
    let with = |new: &mut keyrack::model::api_key::NewApiKey| {
        new.name = Name::parse(name).expect("a name");
        new.expiry = expiry;
    };
    server.key_of_with(owner, &[UsersRead], with).await
}

async fn change(server: &TestServer, key: &Client, changes: ApiKeyChanges) {
    let id = ApiKeyId::parse(key.key_id()).expect("an id");
    services::api_keys::update(&server.app, &Caller::command_line(), id, changes, IfMatch::ANY).await.expect("changes");
}

/// A server with one key in each state, 40 days after the first, and an administrator in a browser.
async fn one_of_each() -> (TestServer, Client, User) {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let owner = server.user_with(server.account("Team").await, keyrack::model::user::Role::Member, |new| {
        new.email = keyrack::model::email::Email::parse("grace@example.com").expect("an address");
    });
    let owner = owner.await;
    let manager = admin.clone();
    key(&server, &owner, "idle", Expiry::Never).await;
    key(&server, &owner, "ended", Expiry::In(30 * DAY)).await;
    server.advance(40 * DAY);
    services::maintenance::sweep(&server.app).await.expect("sweeps");
    key(&server, &owner, "fresh", Expiry::In(90 * DAY)).await;
    key(&server, &owner, "ending", Expiry::In(10 * DAY)).await;
    let rotating = key(&server, &owner, "rotating", Expiry::Never).await;
    manager.post(&format!("/v1/keys/{}/rotate", rotating.key_id()), json!({})).await.expect(200);
    let disabled = key(&server, &owner, "disabled", Expiry::In(90 * DAY)).await;
    change(&server, &disabled, ApiKeyChanges { enabled: Some(false), ..Default::default() }).await;
    let revoked = key(&server, &owner, "revoked", Expiry::In(90 * DAY)).await;
    manager.delete(&format!("/v1/keys/{}", revoked.key_id())).await.expect(204);
    // The administrator's own key is not to be among those that nobody used.
    server.flush().await;
    let browser = server.browser(admin.user()).await;
    (server, browser, owner)
}

#[actix_web::test]
async fn each_view_lists_its_keys_alone() {
    let (server, browser, owner) = one_of_each().await;
    let own = server.browser(&owner).await;
    for (view, names) in [
        ("active", &["test", "ending", "fresh", "idle"][..]),
        ("unused", &["idle"]),
        ("expiring", &["ending"]),
        ("no-expiry", &["rotating", "idle", "test"]),
        ("rotating", &["rotating"]),
        ("disabled", &["disabled"]),
        ("expired", &["ended"]),
        ("revoked", &["revoked"]),
    ] {
        let of_owner: HashSet<String> = names.iter().filter(|&&name| name != "test").map(|&name| name.to_owned()).collect();
        let shown = |browser: Client, base: &'static str| async move {
            let rows = browser.get(&format!("{base}?status={view}")).await.expect(200).rows();
            assert_eq!(rows.iter().collect::<HashSet<_>>().len(), rows.len(), "{view}: {rows:?}");
            rows.into_iter().collect::<HashSet<String>>()
        };
        let all = names.iter().map(|&name| name.to_owned()).collect::<HashSet<_>>();
        assert_eq!(shown(browser.clone(), "/admin/keys").await, all, "{view}");
        assert_eq!(shown(own.clone(), "/settings/api-keys").await, of_owner, "{view}");
    }
}

#[actix_web::test]
async fn a_key_that_has_just_ended_is_expired_before_anything_was_swept() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    let ends = key(&server, admin.user(), "ends", Expiry::In(10 * MINUTE)).await;
    server.advance(20 * MINUTE);
    assert_eq!(browser.get("/admin/keys?status=expired").await.rows(), ["ends"]);
    assert_eq!(browser.get("/admin/keys?status=active").await.rows(), ["test"]);
    services::maintenance::sweep(&server.app).await.expect("sweeps");
    change(&server, &ends, ApiKeyChanges { expiry: Some(Expiry::In(DAY)), ..Default::default() }).await;
    assert_eq!(browser.get("/admin/keys?status=active").await.rows(), ["ends", "test"]);
    assert!(browser.get("/admin/keys?status=expired").await.rows().is_empty());
}

#[actix_web::test]
async fn every_view_goes_on_where_its_page_ended_and_back_again() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    for n in 0..60 {
        // Some share their name and their end, so that the id must decide.
        key(&server, admin.user(), &format!("key {}", n / 3), Expiry::In((1 + n / 7) * DAY)).await;
    }
    for list in
        ["/admin/keys?", "/admin/keys?status=expiring", "/admin/keys?sort=name", "/admin/keys?sort=-name", "/admin/keys?q=key"]
    {
        let ids = |text: &str| -> Vec<String> {
            let heads = text.split("<th scope=\"row\"><a href=\"/admin/keys/").skip(1);
            heads.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
        };
        let mut pages: Vec<Vec<String>> = Vec::new();
        let mut at = list.to_owned();
        loop {
            let page = browser.get(&at).await.expect(200);
            pages.push(ids(&page.text));
            let Some(next) = link(&page.text, "next") else { break };
            at = next;
        }
        let all: HashSet<&String> = pages.iter().flatten().collect();
        let rows: usize = pages.iter().map(Vec::len).sum();
        assert_eq!((all.len(), pages.len()), (rows, 3), "{list}");
        assert!((60..=61).contains(&rows), "{list}: {rows}");
        let last = browser.get(&at).await.text;
        assert!(last.contains("<title>API keys, 51–"), "the title tells which page it is");
        let previous = browser.get(&link(&last, "prev").expect("a page before")).await.text;
        assert_eq!(ids(&previous), pages[1], "{list}");
    }
}

/// Where a page's link of this relation leads.
fn link(page: &str, rel: &str) -> Option<String> {
    let before = page.split_once(&format!("rel=\"{rel}\""))?.0;
    let href = before.rsplit_once("href=\"")?.1.split_once('"')?.0;
    Some(href.replace("&#38;", "&").replace("&amp;", "&"))
}

#[actix_web::test]
async fn a_search_finds_by_name_owner_id_and_hint() {
    let (_server, browser, owner) = one_of_each().await;
    let found = async |q: &str| browser.get(&format!("/admin/keys?q={q}")).await.expect(200);
    assert_eq!(found("END").await.rows(), ["ended", "ending"]);
    assert_eq!(found("grace@").await.rows().len(), 7, "all keys of {}", owner.email);
    let page = found("fresh").await;
    let id = page.text.split("/admin/keys/key_").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
    assert_eq!(found(&format!("key_{id}")).await.rows(), ["fresh"]);
    let chip = page.text.split("class=\"chip\">").nth(1).and_then(|rest| rest.split('<').next()).expect("a hint");
    assert!(found(&chip.replace('…', "...")).await.rows().contains(&"fresh".to_owned()));
    let nothing = found("nothing-like-it").await;
    assert!(nothing.text.contains("No keys match <em>nothing-like-it</em>"), "{}", nothing.text);
    let none = browser.get("/admin/keys?status=expired&q=").await;
    assert_eq!(none.rows(), ["ended"]);
}

#[actix_web::test]
async fn an_account_narrows_every_view_and_search_and_stays_in_their_addresses() {
    let (server, browser, owner) = one_of_each().await;
    let account = owner.account_id;
    let in_it = async |more: &str| browser.get(&format!("/admin/keys?account={account}{more}")).await.expect(200);
    let all = in_it("").await;
    assert_eq!(all.rows(), ["revoked", "disabled", "rotating", "ending", "fresh", "ended", "idle"]);
    assert!(all.text.contains(&format!("/admin/keys?account={account}&#38;status=expired")), "{}", all.text);
    assert_eq!(in_it("&status=no-expiry").await.rows(), ["rotating", "idle"]);
    assert!(in_it("&q=test").await.rows().is_empty(), "a key of another account");
    assert_eq!(in_it("&q=grace@").await.rows().len(), 7);
    assert_eq!(server.browser(&owner).await.get(&format!("/settings/api-keys?account={account}")).await.rows().len(), 7);
    let nowhere = browser.get("/admin/keys?account=nowhere").await.expect(200);
    assert!(nowhere.text.contains("No keys match <em>status: all, account: nowhere</em>"), "{}", nowhere.text);
}

#[actix_web::test]
async fn a_view_without_keys_says_so_and_leads_back() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let page = server.browser(admin.user()).await.get("/admin/keys?status=expired").await.expect(200);
    assert!(page.text.contains("No keys match <em>status: expired</em>. <a href=\"/admin/keys\""), "{}", page.text);
}

#[actix_web::test]
async fn a_secret_in_the_search_leaves_the_address_at_once() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    let secret = admin.secret().to_owned();
    let found = browser.get(&format!("/admin/keys?q={secret}")).await.expect(303);
    assert_eq!(found.header("location"), format!("/admin/keys/{}", admin.key_id()));
    let other = key(&server, &server.member().await, "gone", Expiry::Never).await;
    admin.delete(&format!("/v1/keys/{}", other.key_id())).await.expect(204);
    let revoked = browser.get(&format!("/admin/keys?q={}", other.secret())).await.expect(303);
    assert_eq!(revoked.header("location"), format!("/admin/keys/{}", other.key_id()), "one that works no longer, too");
    let (start, end) = secret.split_at(secret.len() - 1);
    let mistyped = format!("{start}{}", if end == "a" { "b" } else { "a" });
    let location = browser.get(&format!("/admin/keys?q={mistyped}")).await.expect(303).header("location").to_owned();
    assert_eq!(location, format!("/admin/keys?q=kr_%E2%80%A6{}", &mistyped[mistyped.len() - 4..]));
    // Of a key of somebody else a member learns nothing.
    let member = server.browser(&server.member().await).await;
    let location = member.get(&format!("/settings/api-keys?q={secret}")).await.expect(303).header("location").to_owned();
    assert!(location.starts_with("/settings/api-keys?q=kr_%E2%80%A6"), "{location}");
    assert!(member.get(&location).await.expect(200).rows().is_empty());
}

/// The form of a key as it was loaded, with some of its fields typed over.
async fn form_of(browser: &Client, path: &str, typed: &[(&'static str, &'static str)]) -> Vec<(String, String)> {
    let page = browser.get(path).await.expect(200);
    let mut fields = vec![
        ("revision".to_owned(), page.hidden("revision")),
        ("was".to_owned(), page.hidden("was")),
        ("name".to_owned(), "test".to_owned()),
        ("preset".to_owned(), "custom".to_owned()),
        ("scope".to_owned(), "users:read".to_owned()),
        ("expires".to_owned(), "keep".to_owned()),
    ];
    for &(name, value) in typed {
        match fields.iter_mut().find(|field| field.0 == name) {
            Some(field) => field.1 = value.into(),
            None => fields.push((name.into(), value.into())),
        }
    }
    fields
}

async fn save(browser: &Client, path: &str, fields: &[(String, String)]) -> crate::support::Reply {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.submit(path, path, &fields).await
}

#[actix_web::test]
async fn what_a_key_is_can_be_edited_and_holds_at_once() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    let user = server.key(&[UsersRead]).await;
    let path = format!("/admin/keys/{}/edit", user.key_id());
    let typed = [
        ("name", "billing"),
        ("scope", "users:write"),
        ("expires", "never"),
        ("ip_allow", "198.51.100.0/24"),
        ("windows", "10/1m\r\n500/1h"),
        ("metadata", "{\"team\": \"billing\"}"),
    ];
    let fields = form_of(&browser, &path, &typed).await;
    save(&browser, &path, &fields).await.expect(303);
    let key = admin.get(&format!("/v1/keys/{}", user.key_id())).await.expect(200).json();
    assert_eq!(key["name"], "billing");
    assert_eq!(key["scopes"], json!(["users:write"]));
    assert_eq!(key["ip_allow"], json!(["198.51.100.0/24"]));
    assert_eq!(key["windows"], json!([{ "limit": 10, "seconds": 60 }, { "limit": 500, "seconds": 3600 }]));
    assert_eq!(key["metadata"], json!({ "team": "billing" }));
    assert_eq!(user.get("/v1/users").await.status, 403, "from here it is not let in any more");
    let shown = browser.get(&format!("/admin/keys/{}", user.key_id())).await.expect(200).text;
    for fact in ["500 requests an hour, 10 a minute", "198.51.100.0/24", "team"] {
        assert!(shown.contains(fact), "{fact}");
    }
}

#[actix_web::test]
async fn what_cannot_be_read_is_said_at_its_field_and_stays_typed() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    let path = format!("/admin/keys/{}/edit", admin.key_id());
    let typed = [("name", ""), ("windows", "1000/1h\nmany"), ("metadata", "{\"team\"")];
    let fields = form_of(&browser, &path, &typed).await;
    let page = save(&browser, &path, &fields).await.expect(400).text;
    assert!(page.contains("<title>Error: Edit "), "{page}");
    for words in ["href=\"#name\"", "Line 2: `many`", "This stops being JSON at line 1, column 7", "{&#34;team&#34;"] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[actix_web::test]
async fn whoever_saves_second_is_told_what_the_first_one_changed() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    let user = server.key(&[UsersRead]).await;
    let path = format!("/admin/keys/{}/edit", user.key_id());
    let mut fields = form_of(&browser, &path, &[("name", "mine")]).await;
    let theirs = [("name", "theirs"), ("windows", "5/1s")];
    let first = form_of(&browser, &path, &theirs).await;
    save(&browser, &path, &first).await.expect(303);
    let told = save(&browser, &path, &fields).await.expect(409);
    assert!(told.text.contains("Name was <em>test</em>, and is <em>theirs</em>"), "{}", told.text);
    assert!(told.text.contains("Own limits was <em>none</em>, and is <em>5/1s</em>"), "{}", told.text);
    assert!(told.text.contains("value=\"mine\""), "what was typed is still there");
    let name = async || admin.get(&format!("/v1/keys/{}", user.key_id())).await.json()["name"].clone();
    assert_eq!(name().await, "theirs");
    fields[0].1 = told.hidden("revision");
    save(&browser, &path, &fields).await.expect(303);
    assert_eq!(name().await, "mine");
}

#[actix_web::test]
async fn raising_what_a_key_may_do_asks_who_one_is_and_lowering_does_not() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    let user = server.key(&[UsersRead, UsersWrite]).await;
    let path = format!("/admin/keys/{}/edit", user.key_id());
    server.advance(20 * MINUTE);
    let lower = form_of(&browser, &path, &[("scope", "users:read")]).await;
    save(&browser, &path, &lower).await.expect(303);
    let raise = form_of(&browser, &path, &[("scope", "users:write")]).await;
    let asked = save(&browser, &path, &raise).await.expect(200);
    assert!(asked.text.contains("Confirm that it is you"), "{}", asked.text);
    let key = admin.get(&format!("/v1/keys/{}", user.key_id())).await.expect(200).json();
    assert_eq!(key["scopes"], json!(["users:read"]));
}

#[actix_web::test]
async fn nobody_gives_a_key_more_than_they_have() {
    let server = TestServer::start().await;
    let user = server.member().await;
    let own = server.key_of(&user, &[UsersRead, UsersWrite]).await;
    let browser = server.browser(&user).await;
    let path = format!("/settings/api-keys/{}/edit", own.key_id());
    let fields = form_of(&browser, &path, &[("scope", "admin")]).await;
    let refused = save(&browser, &path, &fields).await;
    assert!([400, 403].contains(&refused.status), "{}", refused.text);
    assert!(refused.text.contains("There is a problem"));
    let key = own.get("/v1/key").await.expect(200).json();
    assert_eq!(key["scopes"], json!(["users:read", "users:write"]));
}

#[actix_web::test]
async fn a_revoked_key_is_not_edited() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let gone = server.key(&[UsersRead]).await;
    admin.delete(&format!("/v1/keys/{}", gone.key_id())).await.expect(204);
    let browser = server.browser(admin.user()).await;
    let page = browser.get(&format!("/admin/keys/{}/edit", gone.key_id())).await.expect(303);
    assert_eq!(page.header("location"), format!("/admin/keys/{}", gone.key_id()));
    let banner = browser.get(&format!("/admin/keys/{}?done=revoked", gone.key_id())).await.expect(200).text;
    assert!(banner.contains("No request was accepted since Sun 22 Nov 2026 10:00 UTC."), "{banner}");
}

#[actix_web::test]
async fn a_key_is_said_to_end_on_the_last_day_that_was_typed() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    let fields = [("name", "until May"), ("preset", "read"), ("expires", "date"), ("expires_on", "2027-05-01")];
    let nonce = browser.get("/settings/api-keys/new").await.hidden("nonce");
    let fields: Vec<_> = fields.into_iter().chain([("nonce", nonce.as_str())]).collect();
    let shown = browser.submit("/settings/api-keys/new", "/settings/api-keys", &fields).await.expect(200).text;
    let id = shown.split("/settings/api-keys/key_").nth(1).expect("a link")[..26].to_owned();
    for (path, said) in
        [("/admin/keys".to_owned(), ">1 May 2027<"), (format!("/admin/keys/key_{id}"), "Sat 1 May 2027 24:00 UTC")]
    {
        let page = browser.get(&path).await.expect(200).text;
        assert!(page.contains(said) && !page.contains("2 May 2027"), "{path}: {page}");
    }
    let key = admin.get(&format!("/v1/keys/key_{id}")).await.expect(200).json();
    assert_eq!(key["expires_at"], "2027-05-02T00:00:00Z", "programs are told the moment");
}
