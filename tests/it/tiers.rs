//! The pages of tiers: what they say, what a change does, and how one that is in use is deleted.

use keyrack::model::name::Name;
use keyrack::model::scope::Scope::UsersRead;
use keyrack::model::tier::Windows;
use keyrack::model::{AppError, caller::Caller};
use keyrack::services;

use crate::support::{Client, Reply, TestServer};

const FREE: &str = "/admin/tiers/Free/edit";

async fn admin() -> (TestServer, Client) {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    (server, browser)
}

async fn save(browser: &Client, path: &str, windows: &str, more: &[(&str, &str)]) -> Reply {
    let was = browser.get(path).await.expect(200).hidden("was");
    let fields = [&[("windows", windows), ("was", was.as_str())], more].concat();
    browser.submit(path, path, &fields).await
}

async fn windows_of(server: &TestServer, name: &str) -> Option<String> {
    let all = services::tiers::list(&server.app).await.expect("tiers");
    all.into_iter().find(|tier| tier.name == name).map(|tier| tier.windows.to_string())
}

#[actix_web::test]
async fn tiers_are_listed_in_words_with_the_default_and_what_is_at_the_same_time() {
    let (server, browser) = admin().await;
    let key = server.key(&[UsersRead]).await;
    server.set_tier(&key, "Pro").await;
    let page = browser.get("/admin/tiers").await.expect(200);
    assert_eq!(page.rows(), ["Enterprise", "Free", "Pro"]);
    for words in
        ["10,000 requests an hour, 200 a second", "native: 1,000 requests an hour, 50 a second", "At most 256 requests", "1,024"]
    {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    let pro = page.text.split(">Pro<").nth(1).expect("a row");
    assert!(pro.split("</tr>").next().expect("a row").contains(">1</td>"), "one account: {pro}");
}

#[actix_web::test]
async fn a_tier_is_added_once_and_nothing_zero_and_unlimited_are_three_things() {
    let (server, browser) = admin().await;
    let add = async |name: &str, windows: &str| {
        browser.submit("/admin/tiers/new", "/admin/tiers", &[("name", name), ("windows", windows)]).await
    };
    add("Gold", "5000/1h\r\n100/1s").await.expect(303);
    assert_eq!(windows_of(&server, "Gold").await.as_deref(), Some("100/1s, 5000/1h"));
    assert!(add("gold", "1/1s").await.expect(400).text.contains("There is a tier Gold already."));
    assert!(add("Empty", "").await.expect(400).text.contains("or the word unlimited for none"));
    assert!(add("Zero", "0/1h").await.expect(400).text.contains("Line 1: a window&#39;s limit must be from 1"));
    add("Open", "Unlimited").await.expect(303);
    let key = server.key(&[UsersRead]).await;
    server.set_tier(&key, "Open").await;
    let answer = key.get("/v1/key").await.expect(200);
    assert!(answer.headers.get("x-ratelimit-limit").is_none(), "nothing limits it");
}

#[actix_web::test]
async fn the_preview_is_what_clients_get() {
    let (server, browser) = admin().await;
    let page = save(&browser, FREE, "3/1m", &[("act", "preview")]).await.expect(200).text;
    assert_eq!(windows_of(&server, "Free").await.as_deref(), Some("50/1s, 1000/1h"), "nothing was saved");
    let key = server.key(&[UsersRead]).await;
    server.set_tier(&key, "Free").await;
    save(&browser, FREE, "3/1m", &[("lower", "yes")]).await.expect(303);
    for _ in 0..3 {
        key.get("/v1/users").await.expect(200);
    }
    let refused = key.get("/v1/users").await.expect(429);
    for name in
        ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit-policy", "ratelimit-reset", "retry-after"]
    {
        assert!(page.contains(&format!("{name}: {}\n", refused.header(name))), "{name}: {page}");
    }
    assert!(page.contains(&refused.message()), "{}", refused.message());
    for name in refused.headers.keys().filter(|name| name.as_str().contains("limit")) {
        assert!(page.contains(name.as_str()), "{name}");
    }
}

#[actix_web::test]
async fn a_preview_tells_who_would_have_been_limited_last_week() {
    let (server, browser) = admin().await;
    for requests in [2, 8] {
        let key = server.key(&[UsersRead]).await;
        server.set_tier(&key, "Free").await;
        for _ in 0..requests {
            key.get("/v1/users").await.expect(200);
        }
    }
    server.flush().await;
    let page = save(&browser, FREE, "5/1h", &[("act", "preview")]).await.expect(200).text;
    assert!(page.contains("limited 1 account with 1 key, of 2 accounts with 2 keys that have this tier."), "{page}");
    assert!(page.contains("counted by the hour, so this is an estimate"));
    let page = save(&browser, FREE, "1/1s", &[("act", "preview")]).await.expect(200).text;
    assert!(page.contains("limited 0 accounts with 0 keys") && page.contains("bursts within an hour are not seen"), "{page}");
}

#[actix_web::test]
async fn lowering_a_tier_in_use_asks_first_and_raising_does_not() {
    let (server, browser) = admin().await;
    save(&browser, FREE, "900/1h\n50/1s", &[]).await.expect(303);
    let key = server.key(&[UsersRead]).await;
    server.set_tier(&key, "Free").await;
    let asked = save(&browser, FREE, "10/1h", &[]).await.expect(200).text;
    assert!(asked.contains("1 account with 1 key have this tier"), "{asked}");
    assert_eq!(windows_of(&server, "Free").await.as_deref(), Some("50/1s, 900/1h"));
    save(&browser, FREE, "10/1h", &[("lower", "yes")]).await.expect(303);
    assert_eq!(windows_of(&server, "Free").await.as_deref(), Some("10/1h"));
    assert_eq!(key.get("/v1/key").await.header("x-ratelimit-limit"), "10", "it holds at once");
    save(&browser, FREE, "2000/1h", &[]).await.expect(303);
}

#[actix_web::test]
async fn whoever_saves_a_tier_second_is_told_what_it_is_now() {
    let (server, browser) = admin().await;
    let was = browser.get(FREE).await.expect(200).hidden("was");
    save(&browser, FREE, "1500/1h", &[]).await.expect(303);
    let told = browser.submit(FREE, FREE, &[("windows", "1200/1h"), ("was", &was)]).await.expect(409);
    assert!(told.text.contains("It is now: 1,500 requests an hour"), "{}", told.text);
    assert_eq!(windows_of(&server, "Free").await.as_deref(), Some("1500/1h"));
}

#[actix_web::test]
async fn a_tier_in_use_is_deleted_once_its_accounts_have_another() {
    let (server, browser) = admin().await;
    let (path, delete) = ("/admin/tiers/Free/delete", async |to: &[(&str, &str)]| {
        browser.submit("/admin/tiers/Free/delete", "/admin/tiers/Free/delete", to).await
    });
    let key = server.key(&[UsersRead]).await;
    server.set_tier(&key, "Free").await;
    let page = browser.get(path).await.expect(200).text;
    assert!(page.contains("One account has this one") && page.contains("<li>Team "), "{page}");
    assert_eq!(delete(&[]).await.status, 400);
    assert!(delete(&[("to", "")]).await.expect(400).text.contains("Choose what those accounts get instead."));
    assert!(windows_of(&server, "Free").await.is_some());
    delete(&[("to", "tier:Pro")]).await.expect(303);
    assert_eq!(windows_of(&server, "Free").await, None);
    assert_eq!(key.get("/v1/key").await.header("x-ratelimit-limit"), "10000", "what it was given instead holds at once");
    let gone = browser.submit("/admin/tiers/Enterprise/delete", "/admin/tiers/Enterprise/delete", &[]).await;
    assert_eq!(gone.status, 303, "one that nobody has goes at once");
}

#[actix_web::test]
async fn members_change_no_tier() {
    let server = TestServer::start().await;
    let user = server.member().await;
    let member = services::sessions::caller(&user, [127, 0, 0, 1].into(), "req".into());
    let windows = || Windows::parse_limits("unlimited").expect("none");
    let name = || Name::parse("Mine").expect("a name");
    let refused = services::tiers::create(&server.app, &member, name(), windows()).await;
    assert!(matches!(refused, Err(AppError::MissingScope(_))));
    let refused = services::tiers::reassign(&server.app, &member, "Free", None).await;
    assert!(matches!(refused, Err(AppError::MissingScope(_))));
    services::tiers::create(&server.app, &Caller::command_line(), name(), windows()).await.expect("an operator may");
}

#[actix_web::test]
async fn a_name_may_hold_what_an_address_may_not() {
    let (server, browser) = admin().await;
    let name = "50% off/\"A & B\"?";
    browser.submit("/admin/tiers/new", "/admin/tiers", &[("name", name), ("windows", "1/1s")]).await.expect(303);
    let page = browser.get("/admin/tiers").await.expect(200).text;
    let path =
        page.split("href=\"").filter_map(|rest| rest.split('"').next()).find(|href| href.contains("50%25")).expect("its link");
    assert_eq!(browser.get(path).await.expect(200).hidden("was"), "1/1s");
    assert_eq!(windows_of(&server, name).await.as_deref(), Some("1/1s"));
}
