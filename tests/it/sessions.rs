//! Signing in, and how a session ends: by time, by its owner, and by whatever its user or account loses.

use std::collections::BTreeMap;

use keyrack::limits::BucketKey;
use keyrack::model::account::{AccountChanges, AccountStatus};
use keyrack::model::user::{Password, Role, User, UserStatus};
use keyrack::services;
use reqwest::Method;
use serde_json::json;

use crate::support::{Client, DAY, HOUR, MINUTE, Reply, SECOND, TestServer};

pub const PASSWORD: &str = "securepassword123";

/// A browser that keeps its cookies and sends the forms that it was shown.
pub struct Browser {
    pub client: Client,
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    pub fn new(server: &TestServer) -> Self {
        let client = server.anonymous().header("Accept", "text/html").header("Sec-Fetch-Site", "same-origin");
        Self { client, cookies: BTreeMap::new() }
    }

    pub async fn send(&mut self, method: Method, path: &str, form: Option<String>) -> Reply {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let client =
            self.client.header("Cookie", &cookies.join("; ")).header("Content-Type", "application/x-www-form-urlencoded");
        let reply = client.send(method, path, form).await;
        for set in reply.headers.get_all("set-cookie") {
            let (name, rest) = set.to_str().expect("visible characters").split_once('=').expect("a cookie");
            match rest.split(';').next().expect("a value") {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        reply
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        self.send(Method::GET, path, None).await
    }

    /// Fills in the form of a page and sends it to the page's own address.
    pub async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let page = self.get(path).await;
        let token = page.text.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("csrf", token.unwrap_or_else(|| panic!("{path} has a form: {} {}", page.status, page.text)));
        form.extend_pairs(fields);
        let action = path.split('?').next().expect("a path");
        self.send(Method::POST, action, Some(form.finish())).await
    }

    /// Sends the form that a page shows in `main`, with what it keeps and with these fields.
    pub async fn send_on(&mut self, page: &str, fields: &[(&str, &str)]) -> Reply {
        let main = page.split_once("<main").expect("a page").1;
        let form = main.split_once("<form method=\"post\" action=\"").unwrap_or_else(|| panic!("a form: {main}")).1;
        let form = form.split_once("</form>").expect("its end").0;
        let action = form.split_once('"').expect("an action").0;
        let mut sent = url::form_urlencoded::Serializer::new(String::new());
        for input in form.split("<input type=\"hidden\" name=\"").skip(1) {
            let (name, rest) = input.split_once("\" value=\"").expect("a name");
            sent.append_pair(name, rest.split_once('"').expect("a value").0);
        }
        sent.extend_pairs(fields);
        self.send(Method::POST, action, Some(sent.finish())).await
    }

    pub async fn sign_in(&mut self, email: &str, password: &str) -> Reply {
        self.submit("/sign-in", &[("email", email), ("password", password)]).await
    }

    pub async fn is_signed_in(&mut self) -> bool {
        self.get("/settings/api-keys").await.status == 200
    }
}

pub async fn with_password(server: &TestServer, role: Role) -> User {
    let account = server.account("Team").await;
    server.user_with(account, role, |new| new.password = Some(Password::typed(PASSWORD))).await
}

/// Somebody who has signed in by the form.
pub async fn signed_in(server: &TestServer, role: Role) -> (Browser, User) {
    let user = with_password(server, role).await;
    let mut browser = Browser::new(server);
    server.admin().await;
    assert_eq!(browser.sign_in(&user.email, PASSWORD).await.status, 303);
    assert!(browser.is_signed_in().await);
    (browser, user)
}

#[tokio::test]
async fn signing_in_gives_a_cookie_that_no_script_reads_and_no_other_site_sends() {
    let server = TestServer::start().await;
    let admin = with_password(&server, Role::Admin).await;
    let mut browser = Browser::new(&server);
    let reply = browser.sign_in(&admin.email.to_uppercase(), PASSWORD).await.expect(303);
    let cookies: Vec<&str> = reply.headers.get_all("set-cookie").iter().filter_map(|set| set.to_str().ok()).collect();
    let cookie = cookies.iter().find(|cookie| cookie.starts_with("sid=")).expect("a session");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("Domain"), "a browser would drop it on plain HTTP: {cookie}");
    browser.get("/admin").await.expect(200);
}

#[tokio::test]
async fn over_https_the_cookie_is_bound_to_host_and_https() {
    let server =
        TestServer::with(|config| config.server.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")]).await;
    let admin = with_password(&server, Role::Admin).await;
    let mut browser = Browser::new(&server);
    browser.client = browser.client.header("X-Forwarded-For", "203.0.113.7").header("X-Forwarded-Proto", "https");
    let reply = browser.sign_in(&admin.email, PASSWORD).await.expect(303);
    let cookies: Vec<&str> = reply.headers.get_all("set-cookie").iter().filter_map(|set| set.to_str().ok()).collect();
    assert!(cookies.iter().any(|cookie| cookie.starts_with("__Host-sid=") && cookie.contains("Secure")), "{cookies:?}");
    assert!(reply.header("strict-transport-security").starts_with("max-age="));
}

#[tokio::test]
async fn the_cookie_is_in_no_file() {
    let server = TestServer::start().await;
    let (browser, _) = signed_in(&server, Role::Admin).await;
    let token = browser.cookies["sid"].as_bytes();
    for entry in std::fs::read_dir(server.data()).expect("a directory") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("read");
        assert!(!bytes.windows(token.len()).any(|window| window == token));
    }
}

#[tokio::test]
async fn every_refusal_of_a_sign_in_reads_the_same() {
    let server = TestServer::start().await;
    let (known, disabled) = (with_password(&server, Role::Admin).await, with_password(&server, Role::Member).await);
    server.set_status(&disabled, UserStatus::Disabled).await;
    let without = server.member().await;
    let mut texts = Vec::new();
    for (email, password) in [
        (known.email.as_str(), "wrong-password"),
        ("nobody@example.com", PASSWORD),
        (&disabled.email, PASSWORD),
        (&without.email, ""),
        ("nonsense", PASSWORD),
    ] {
        let mut browser = Browser::new(&server);
        let reply = browser.sign_in(email, password).await;
        assert!(!browser.cookies.contains_key("sid"), "{email}");
        let told = reply.text.contains("The email address or the password is not right.");
        texts.push((reply.status, told));
    }
    assert_eq!(texts, [(400, true); 5]);
}

#[tokio::test]
async fn five_wrong_passwords_a_minute_for_one_person_and_others_still_get_in() {
    let server = TestServer::start().await;
    let (victim, other) = (with_password(&server, Role::Admin).await, with_password(&server, Role::Member).await);
    let mut browser = Browser::new(&server);
    for _ in 0..5 {
        browser.sign_in(&victim.email, "wrong-password").await.expect(400);
    }
    for password in ["wrong-password", PASSWORD] {
        let refused = browser.sign_in(&victim.email.to_uppercase(), password).await.expect(429);
        assert!((1..=60).contains(&refused.number("retry-after")));
    }
    Browser::new(&server).sign_in(&other.email, PASSWORD).await.expect(303);
    server.advance(MINUTE);
    browser.sign_in(&victim.email, PASSWORD).await.expect(303);
}

#[tokio::test]
async fn an_address_tries_thirty_passwords_a_minute_whoever_they_are_for() {
    let server = TestServer::start().await;
    with_password(&server, Role::Admin).await;
    let mut browser = Browser::new(&server);
    for n in 0..30 {
        browser.sign_in(&format!("user{n}@example.com"), PASSWORD).await.expect(400);
    }
    browser.sign_in("user30@example.com", PASSWORD).await.expect(429);
}

/// A browser at another address, as a trusted proxy tells of it.
fn at(server: &TestServer, n: u32) -> Browser {
    let mut browser = Browser::new(server);
    let address = std::net::Ipv4Addr::from_bits(0xCB00_7100 + n).to_string();
    browser.client = browser.client.header("X-Forwarded-For", &address).header("X-Forwarded-Proto", "http");
    browser
}

async fn behind_a_proxy() -> TestServer {
    let server = TestServer::with(|config| {
        config.server.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
        config.server.insecure_http = true;
    });
    let server = server.await;
    server.admin().await;
    server
}

/// A browser in which this person signed in, and out again.
async fn known(server: &TestServer, n: u32, user: &User) -> Browser {
    let mut browser = at(server, n);
    browser.sign_in(&user.email, PASSWORD).await.expect(303);
    browser.cookies.retain(|name, _| name == "device");
    assert_eq!(browser.cookies.len(), 1, "it keeps a note");
    browser
}

#[tokio::test]
async fn a_person_is_guessed_at_twenty_times_an_hour_from_wherever_and_still_gets_in_where_they_are_known() {
    let server = behind_a_proxy().await;
    let (victim, other) = (with_password(&server, Role::Admin).await, with_password(&server, Role::Member).await);
    let mut own = known(&server, 0, &victim).await;
    for n in 1..=20 {
        at(&server, n).sign_in(&victim.email, "wrong-password").await.expect(400);
    }
    for password in ["wrong-password", PASSWORD] {
        let refused = at(&server, 21).sign_in(&victim.email, password).await.expect(429);
        assert!((3_000..=3_600).contains(&refused.number("retry-after")));
    }
    own.sign_in(&victim.email, PASSWORD).await.expect(303);
    at(&server, 22).sign_in(&other.email, PASSWORD).await.expect(303);
    server.advance(HOUR);
    at(&server, 23).sign_in(&victim.email, PASSWORD).await.expect(303);
}

#[tokio::test]
async fn a_known_browser_guesses_five_times_a_minute_wherever_it_is() {
    let server = behind_a_proxy().await;
    let user = with_password(&server, Role::Member).await;
    let cookies = known(&server, 0, &user).await.cookies;
    for n in 1..=6 {
        let mut elsewhere = at(&server, n);
        elsewhere.cookies = cookies.clone();
        elsewhere.sign_in(&user.email, "wrong-password").await.expect(if n < 6 { 400 } else { 429 });
    }
}

#[tokio::test]
async fn a_note_of_another_person_or_that_is_old_or_altered_makes_nobody_known() {
    let server = behind_a_proxy().await;
    let (user, other) = (with_password(&server, Role::Member).await, with_password(&server, Role::Member).await);
    let (own, foreign) = (known(&server, 0, &user).await.cookies, known(&server, 1, &other).await.cookies);
    let guessed_at = async || {
        for n in 2..22 {
            at(&server, n).sign_in(&user.email, "wrong-password").await.expect(400);
        }
    };
    guessed_at().await;
    let mut altered = own["device"].clone();
    altered.replace_range(40..41, if altered.as_bytes()[40] == b'A' { "B" } else { "A" });
    for (n, note) in [(30, &foreign["device"]), (31, &altered), (32, &"nonsense".to_owned())] {
        let mut browser = at(&server, n);
        browser.cookies.insert("device".into(), note.clone());
        browser.sign_in(&user.email, PASSWORD).await.expect(429);
    }
    server.advance(180 * DAY);
    guessed_at().await;
    let mut old = at(&server, 33);
    old.cookies = own;
    old.sign_in(&user.email, PASSWORD).await.expect(429);
}

#[tokio::test]
async fn strangers_together_fail_six_hundred_times_a_minute_and_who_is_known_gets_in() {
    let server = behind_a_proxy().await;
    let user = with_password(&server, Role::Member).await;
    let mut own = known(&server, 0, &user).await;
    let (everyone, now) = (BucketKey::of_parts(&[]), server.clock.tick());
    // One that hammers on, and is refused, takes nothing from the others.
    for _ in 0..40 {
        at(&server, 1).sign_in("nobody@example.com", PASSWORD).await;
    }
    let left = server.app.guesses.of_everyone.peek(everyone, now).windows()[0].remaining;
    assert_eq!(left, 595);
    for _ in 0..left {
        assert!(server.app.guesses.of_everyone.take(everyone, now).admitted());
    }
    at(&server, 2).sign_in(&user.email, PASSWORD).await.expect(429);
    own.sign_in(&user.email, PASSWORD).await.expect(303);
    server.advance(MINUTE);
    at(&server, 2).sign_in(&user.email, PASSWORD).await.expect(303);
}

#[tokio::test]
async fn right_passwords_are_not_counted() {
    let server = TestServer::start().await;
    let admin = with_password(&server, Role::Admin).await;
    for _ in 0..8 {
        Browser::new(&server).sign_in(&admin.email, PASSWORD).await.expect(303);
    }
}

#[tokio::test]
async fn a_session_id_that_somebody_else_chose_is_not_taken_over() {
    let server = TestServer::start().await;
    let admin = with_password(&server, Role::Admin).await;
    let mut browser = Browser::new(&server);
    browser.cookies.insert("sid".into(), "chosen-by-somebody-else".into());
    browser.sign_in(&admin.email, PASSWORD).await.expect(303);
    assert_ne!(browser.cookies["sid"], "chosen-by-somebody-else");
    let first = browser.cookies["sid"].clone();
    let mut again = Browser::new(&server);
    again.sign_in(&admin.email, PASSWORD).await.expect(303);
    assert_ne!(again.cookies["sid"], first);
}

#[tokio::test]
async fn a_session_ends_an_hour_after_its_last_use() {
    let server = TestServer::start().await;
    let (mut browser, _) = signed_in(&server, Role::Member).await;
    for _ in 0..3 {
        server.advance(HOUR - SECOND);
        assert!(browser.is_signed_in().await);
    }
    server.advance(HOUR);
    assert!(!browser.is_signed_in().await);
}

#[tokio::test]
async fn a_session_ends_a_day_after_it_began_however_much_it_is_used() {
    let server = TestServer::start().await;
    let (mut browser, _) = signed_in(&server, Role::Member).await;
    for _ in 0..47 {
        server.advance(HOUR / 2);
        assert!(browser.is_signed_in().await);
    }
    server.advance(DAY - HOUR / 2 * 47);
    assert!(!browser.is_signed_in().await);
}

#[tokio::test]
async fn signing_out_ends_the_session_on_the_server() {
    let server = TestServer::start().await;
    let (mut browser, _) = signed_in(&server, Role::Member).await;
    let kept = browser.cookies.clone();
    let page = browser.get("/settings/api-keys").await.text;
    let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token").to_owned();
    browser.send(Method::POST, "/sign-out", Some(format!("csrf={token}"))).await.expect(303);
    assert!(!browser.cookies.contains_key("sid"));
    browser.cookies = kept;
    assert!(!browser.is_signed_in().await);
}

#[tokio::test]
async fn what_a_user_loses_ends_their_sessions_at_once() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for (what, body) in [
        ("a new password", Some(json!({ "password": "another-password-456" }))),
        ("being disabled", Some(json!({ "status": "disabled" }))),
        ("another role", Some(json!({ "role": "member" }))),
        ("being deleted", None),
    ] {
        let (mut browser, user) = signed_in(&server, Role::Admin).await;
        let path = format!("/v1/users/{}", user.id);
        match body {
            Some(body) => admin.patch(&path, body).await.expect(200),
            None => admin.delete(&path).await.expect(204),
        };
        assert!(!browser.is_signed_in().await, "{what}");
    }
}

#[tokio::test]
async fn a_change_that_takes_nothing_away_ends_no_session() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (mut browser, user) = signed_in(&server, Role::Member).await;
    admin.patch(&format!("/v1/users/{}", user.id), json!({ "name": "Augusta", "status": "active" })).await.expect(200);
    assert!(browser.is_signed_in().await);
}

#[tokio::test]
async fn a_suspended_account_lets_its_members_in_no_longer() {
    let server = TestServer::start().await;
    let (mut browser, user) = signed_in(&server, Role::Member).await;
    let key = server.key_of(&user, &[]).await;
    let status = |status| AccountChanges { status: Some(status), ..Default::default() };
    server.change_account(&key, status(AccountStatus::Suspended)).await;
    assert!(!browser.is_signed_in().await);
    assert_eq!(Browser::new(&server).sign_in(&user.email, PASSWORD).await.status, 400);
    server.change_account(&key, status(AccountStatus::Active)).await;
    Browser::new(&server).sign_in(&user.email, PASSWORD).await.expect(303);
}

#[tokio::test]
async fn after_signing_in_one_goes_on_to_a_page_of_ours_alone() {
    let server = TestServer::start().await;
    let admin = with_password(&server, Role::Admin).await;
    for (next, to) in [
        ("/admin/users?q=a", "/admin/users?q=a"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\r\nX-Evil: 1", "/"),
        ("\t//evil.example", "/"),
        ("/.//evil.example/..", "/.//evil.example/.."),
    ] {
        let mut browser = Browser::new(&server);
        let fields = [("email", admin.email.as_str()), ("password", PASSWORD), ("next", next)];
        let reply = browser.submit("/sign-in", &fields).await.expect(303);
        assert_eq!(reply.header("location"), to, "{next:?}");
        assert!(reply.headers.get("x-evil").is_none());
    }
}

// The first set-up.

async fn link(server: &TestServer) -> String {
    services::setup::new_link(&server.app).await.expect("no fault").expect("a link").code
}

const FIRST: &[(&str, &str)] = &[("email", "ada@example.com"), ("password", PASSWORD), ("time_zone", "Europe/Berlin")];

#[tokio::test]
async fn a_setup_link_makes_the_first_admin_once() {
    let server = TestServer::start().await;
    let path = format!("/setup/{}", link(&server).await);
    let mut browser = Browser::new(&server);
    browser.submit(&path, FIRST).await.expect(303);
    browser.get("/admin").await.expect(200);
    for mut later in [Browser::new(&server), browser] {
        assert_eq!(later.get(&path).await.status, 404);
    }
    assert!(services::setup::new_link(&server.app).await.expect("no fault").is_none());
}

#[tokio::test]
async fn of_two_who_use_a_setup_link_at_once_one_is_the_admin() {
    let server = TestServer::start().await;
    let path = format!("/setup/{}", link(&server).await);
    let (mut one, mut other) = (Browser::new(&server), Browser::new(&server));
    let mine: Vec<_> =
        FIRST.iter().map(|&(name, value)| (name, if name == "email" { "mallory@example.com" } else { value })).collect();
    let (one, other) = futures_util::future::join(one.submit(&path, FIRST), other.submit(&path, &mine)).await;
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 404], "{} {}", one.text, other.text);
}

#[tokio::test]
async fn a_setup_link_is_good_for_thirty_minutes_and_a_new_one_replaces_it() {
    let server = TestServer::start().await;
    let old = format!("/setup/{}", link(&server).await);
    server.advance(30 * MINUTE - SECOND);
    Browser::new(&server).get(&old).await.expect(200);
    server.advance(SECOND);
    assert_eq!(Browser::new(&server).get(&old).await.status, 404);
    let (first, second) = (link(&server).await, link(&server).await);
    assert_eq!(Browser::new(&server).get(&format!("/setup/{first}")).await.status, 404);
    Browser::new(&server).get(&format!("/setup/{}", second.to_lowercase())).await.expect(200);
}

#[tokio::test]
async fn setup_codes_are_tried_ten_times_a_minute() {
    let server = TestServer::start().await;
    let good = link(&server).await;
    for _ in 0..10 {
        assert_eq!(Browser::new(&server).get("/setup/0000-0000-0000").await.status, 404);
    }
    assert_eq!(Browser::new(&server).get(&format!("/setup/{good}")).await.status, 429);
    server.advance(MINUTE);
    Browser::new(&server).get(&format!("/setup/{good}")).await.expect(200);
}
