//! One's own security: the password, the sessions, and proving again who one is before what matters.

use keyrack::model::caller::Caller;
use keyrack::model::page::{Limit, Order, Start};
use keyrack::model::scope::Scope;
use keyrack::model::user::{Role, User, UserStatus};
use keyrack::services;

use crate::sessions::{Browser, PASSWORD, signed_in, with_password};
use crate::support::{MINUTE, SECOND, TestServer};

const OTHER: &str = "another-password-456";

async fn change(browser: &mut Browser, current: &str, new: &str) -> crate::support::Reply {
    let page = browser.get("/settings/security").await.expect(200);
    browser.send_on(&page.text, &[("current_password", current), ("new_password", new)]).await
}

/// The token of a page's forms.
fn token_of(page: &str) -> &str {
    page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token")
}

/// Somebody's second browser.
async fn elsewhere(server: &TestServer, user: &User) -> Browser {
    let mut browser = Browser::new(server);
    browser.sign_in(&user.email, PASSWORD).await.expect(303);
    browser
}

async fn users(server: &TestServer) -> Vec<User> {
    let place = (Start::Offset(0), Order::OldestFirst, Limit::of(100));
    services::users::list(&server.app, &Caller::command_line(), Default::default(), place).await.expect("users").rows
}

#[tokio::test]
async fn a_changed_password_ends_every_other_session_and_renews_this_one() {
    let server = TestServer::start().await;
    let (mut here, user) = signed_in(&server, Role::Member).await;
    let mut there = elsewhere(&server, &user).await;
    let before = here.cookies["sid"].clone();
    let changed = change(&mut here, PASSWORD, OTHER).await.expect(303);
    assert_eq!(changed.header("location"), "/settings/security?done=password");
    assert!(here.is_signed_in().await && !there.is_signed_in().await);
    assert_ne!(here.cookies["sid"], before);
    here.cookies.insert("sid".into(), before);
    assert!(!here.is_signed_in().await, "the cookie from before opens nothing");
    Browser::new(&server).sign_in(&user.email, PASSWORD).await.expect(400);
    Browser::new(&server).sign_in(&user.email, OTHER).await.expect(303);
}

#[tokio::test]
async fn a_password_is_changed_by_those_alone_who_know_it() {
    let server = TestServer::start().await;
    let (mut browser, user) = signed_in(&server, Role::Member).await;
    for (current, new, told) in [
        ("not-the-password", OTHER, "This is not your current password."),
        ("", OTHER, "Enter your current password."),
        (PASSWORD, "short", "at least 8 characters"),
        (PASSWORD, "password1234", "one of the first that are guessed"),
    ] {
        let refused = change(&mut browser, current, new).await.expect(400);
        assert!(refused.text.contains(told), "{told}: {}", refused.text);
    }
    Browser::new(&server).sign_in(&user.email, PASSWORD).await.expect(303);
}

#[tokio::test]
async fn the_current_password_is_guessed_five_times_a_minute() {
    let server = TestServer::start().await;
    let (mut browser, _) = signed_in(&server, Role::Member).await;
    for _ in 0..5 {
        change(&mut browser, "not-the-password", OTHER).await.expect(400);
    }
    let refused = change(&mut browser, PASSWORD, OTHER).await.expect(429);
    let wait = refused.number("retry-after");
    assert!(refused.text.contains(&format!("Try again in {wait} seconds.")));
    server.advance(MINUTE);
    change(&mut browser, PASSWORD, OTHER).await.expect(303);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one() {
    let server = TestServer::start().await;
    let (mut here, user) = signed_in(&server, Role::Member).await;
    let mut there = elsewhere(&server, &user).await;
    let page = here.get("/settings/security").await.expect(200).text;
    assert_eq!(page.matches("This session").count(), 1);
    let ends = page.split("action=\"/settings/security/sessions/").filter_map(|rest| rest.split_once("/end\"")).next();
    let id = ends.expect("a session to end").0;
    let path = format!("/settings/security/sessions/{id}/end");
    let token = token_of(&page);
    let (mut stranger, _) = signed_in(&server, Role::Admin).await;
    let theirs = stranger.get("/settings").await.text;
    let theirs = token_of(&theirs);
    stranger.send(reqwest::Method::POST, &path, Some(format!("csrf={theirs}"))).await.expect(404);
    assert!(there.is_signed_in().await);
    here.send(reqwest::Method::POST, &path, Some(format!("csrf={token}"))).await.expect(303);
    assert!(here.is_signed_in().await && !there.is_signed_in().await);
    here.send(reqwest::Method::POST, &path, Some(format!("csrf={token}"))).await.expect(404);
}

#[tokio::test]
async fn one_signs_out_everywhere_else_at_once() {
    let server = TestServer::start().await;
    let (mut here, user) = signed_in(&server, Role::Member).await;
    let (mut one, mut two) = (elsewhere(&server, &user).await, elsewhere(&server, &user).await);
    let page = here.get("/settings/security").await.text;
    let token = token_of(&page);
    let path = "/settings/security/sessions/end-others";
    here.send(reqwest::Method::POST, path, Some(format!("csrf={token}"))).await.expect(303);
    assert!(here.is_signed_in().await && !one.is_signed_in().await && !two.is_signed_in().await);
}

const GRACE: &[(&str, &str)] =
    &[("name", "Grace Hopper"), ("email", "grace@example.com"), ("role", "admin"), ("password", "nanoseconds-of-wire")];

#[tokio::test]
async fn for_a_quarter_of_an_hour_nobody_is_asked_again() {
    let server = TestServer::start().await;
    let (mut browser, _) = signed_in(&server, Role::Admin).await;
    assert!(browser.get("/settings").await.text.contains("Elevated until 10:15"));
    server.advance(15 * MINUTE - SECOND);
    let page = browser.get("/admin/users/new").await.text;
    let token = token_of(&page);
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("csrf", token).extend_pairs(GRACE);
    browser.send(reqwest::Method::POST, "/admin/users", Some(form.finish())).await.expect(303);
    server.advance(SECOND);
    assert!(!browser.get("/settings").await.text.contains("Elevated until"));
}

/// A member who may be deleted: they are disabled first.
async fn disabled(server: &TestServer) -> User {
    let member = with_password(server, Role::Member).await;
    server.set_status(&member, UserStatus::Disabled).await;
    users(server).await.into_iter().find(|user| user.id == member.id).expect("there")
}

#[tokio::test]
async fn later_one_is_asked_and_the_form_goes_on_with_nothing_lost() {
    let server = TestServer::start().await;
    let (mut browser, _) = signed_in(&server, Role::Admin).await;
    let victim = disabled(&server).await;
    server.advance(20 * MINUTE);
    let path = format!("/admin/users/{}/delete", victim.id);
    let asked = browser.submit(&path, &[("confirm", &victim.email)]).await.expect(200);
    assert!(asked.text.contains("Confirm that it is you") && users(&server).await.contains(&victim));
    let asked = browser.send_on(&asked.text, &[("again_password", "not-the-password")]).await.expect(400);
    assert!(asked.text.contains("This is not your password.") && users(&server).await.contains(&victim));
    browser.send_on(&asked.text, &[("again_password", PASSWORD)]).await.expect(303);
    assert!(!users(&server).await.contains(&victim));
    assert!(browser.get("/settings").await.text.contains("Elevated until 10:35"));
}

#[tokio::test]
async fn a_password_in_the_form_is_kept_nowhere_and_asked_for_again() {
    let server = TestServer::start().await;
    let (mut browser, admin) = signed_in(&server, Role::Admin).await;
    let member = with_password(&server, Role::Member).await;
    server.advance(20 * MINUTE);
    let path = format!("/admin/users/{}/edit", member.id);
    let fields =
        [("name", "Grace Hopper"), ("email", member.email.as_str()), ("role", "admin"), ("password", "nanoseconds-of-wire")];
    let asked = browser.submit(&path, &fields).await.expect(200);
    assert!(asked.text.contains("Grace Hopper") && !asked.text.contains("nanoseconds"));
    let form = browser.send_on(&asked.text, &[("again_password", PASSWORD)]).await.expect(400);
    assert!(form.text.contains("Enter the password once more") && form.text.contains("value=\"Grace Hopper\""));
    assert!(users(&server).await.contains(&member), "nothing is changed yet");
    browser.submit(&path, &fields).await.expect(303);
    let changed = users(&server).await.into_iter().find(|user| user.id == member.id).expect("there");
    assert_eq!((changed.name.as_str(), changed.role), ("Grace Hopper", Role::Admin));
    assert_ne!(admin.id, member.id);
}

#[tokio::test]
async fn guesses_at_the_page_that_asks_are_limited_too() {
    let server = TestServer::start().await;
    let (mut browser, _) = signed_in(&server, Role::Admin).await;
    let victim = disabled(&server).await;
    server.advance(20 * MINUTE);
    let path = format!("/admin/users/{}/delete", victim.id);
    let mut asked = browser.submit(&path, &[("confirm", &victim.email)]).await.expect(200);
    for _ in 0..5 {
        asked = browser.send_on(&asked.text, &[("again_password", "not-the-password")]).await.expect(400);
    }
    let refused = browser.send_on(&asked.text, &[("again_password", PASSWORD)]).await.expect(429);
    assert!((1..=60).contains(&refused.number("retry-after")));
    assert!(users(&server).await.contains(&victim));
}

#[tokio::test]
async fn a_key_for_everything_is_generated_and_rotated_by_someone_who_proved_who_they_are() {
    let server = TestServer::start().await;
    let (mut browser, admin) = signed_in(&server, Role::Admin).await;
    let key = server.key_of(&admin, &[Scope::Admin]).await;
    server.advance(20 * MINUTE);
    let fields = [("nonce", "n1"), ("name", "all"), ("preset", "custom"), ("scope", "admin"), ("expires", "never")];
    let page = browser.get("/settings/api-keys/new").await.text;
    let token = token_of(&page).to_owned();
    let send = |fields: &[(&str, &str)]| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        Some(form.append_pair("csrf", &token).extend_pairs(fields).finish())
    };
    let create = send(&fields);
    let asked = browser.send(reqwest::Method::POST, "/settings/api-keys", create).await.expect(200);
    assert!(asked.text.contains("Confirm that it is you"));
    let rotate = send(&[("nonce", "n2"), ("overlap", "0s")]);
    let path = format!("/settings/api-keys/{}/rotate", key.key_id());
    let asked_too = browser.send(reqwest::Method::POST, &path, rotate).await.expect(200);
    assert!(asked_too.text.contains("Confirm that it is you"));
    key.get("/v1/key").await.expect(200);
    let shown = browser.send_on(&asked.text, &[("again_password", PASSWORD)]).await.expect(200);
    assert!(shown.text.contains("Copy and securely store your key"));
    let reading = send(&[("nonce", "n3"), ("name", "reads"), ("preset", "read"), ("expires", "never")]);
    let shown = browser.send(reqwest::Method::POST, "/settings/api-keys", reading).await.expect(200);
    assert!(shown.text.contains("Copy and securely store your key"), "a lesser key asks for nothing");
}

#[tokio::test]
async fn the_look_goes_with_the_person() {
    let server = TestServer::start().await;
    let (mut here, user) = signed_in(&server, Role::Member).await;
    let page = here.get("/settings").await.text;
    let token = token_of(&page);
    let form = format!("csrf={token}&theme=dark");
    here.send(reqwest::Method::POST, "/settings/look", Some(form)).await.expect(303);
    let mut there = elsewhere(&server, &user).await;
    let page = there.get("/settings").await.text;
    assert!(page.contains("data-theme=\"dark\" data-shortcuts=\"off\""), "{page}");
    there.cookies.remove("sid");
    assert!(there.get("/sign-in").await.text.contains("data-theme=\"system\""), "another browser is told nothing before");
    assert!(here.cookies.contains_key("look"), "this one keeps its look when nobody is signed in");
}
