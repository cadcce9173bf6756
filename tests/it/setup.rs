//! The first minutes, over HTTP: what the form of the setup link does at once.

use std::net::{IpAddr, Ipv4Addr};

use keyrack::config::PublicUrl;
use keyrack::http::audit::sentence;
use keyrack::model::audit_event::AuditFilter;
use keyrack::model::caller::Caller;
use keyrack::model::email::Email;
use keyrack::model::page::{Limit, Order, Start};
use keyrack::model::user::{Password, Role};
use keyrack::services;
use keyrack::services::sessions::NewSession;
use keyrack::services::setup::{self, CodeState, Finished, FirstAdmin};

use crate::sessions::Browser;
use crate::support::TestServer;

fn browser() -> NewSession {
    NewSession {
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        user_agent: "test".into(),
        note: String::new(),
        request_id: "req_test".into(),
    }
}

fn first(public_url: Option<&str>) -> FirstAdmin {
    FirstAdmin {
        email: Email::parse("ada@example.com").expect("an address"),
        name: None,
        password: Password::typed("a well kept cabinet of keys"),
        time_zone: Some("Europe/Berlin".into()),
        public_url: public_url.map(|url| PublicUrl::parse(url).expect("a URL")),
    }
}

#[tokio::test]
async fn the_public_url_of_the_form_holds_at_once_and_after_a_restart() {
    let server = TestServer::start().await;
    let link = setup::new_link(&server.app).await.expect("works").expect("a link");
    let finished = setup::finish(&server.app, &link.code, first(Some("https://keys.example.com")), browser()).await;
    assert!(matches!(finished, Ok(Finished::SignedIn(..))));
    let error = server.anonymous().get("/v1/users").await.expect(401).json();
    assert_eq!(error["doc_url"], "https://keys.example.com/docs/errors/missing_api_key");
    let stored = services::settings::stored(&server.app.store).expect("settings");
    assert!(stored.contains(&("server.public_url".into(), "https://keys.example.com".into())), "{stored:?}");
}

#[tokio::test]
async fn the_first_admin_is_named_after_the_address_and_lives_in_the_default_account() {
    let server = TestServer::start().await;
    let link = setup::new_link(&server.app).await.expect("works").expect("a link");
    let finished = setup::finish(&server.app, &link.code, first(None), browser()).await.expect("works");
    let Finished::SignedIn(signed_in) = finished else { panic!("the link was good") };
    let user = services::users::find(&server.app, &Caller::command_line(), signed_in.session.user_id).await.expect("a user");
    assert_eq!((user.name.as_str(), user.role, user.time_zone.as_str()), ("ada", Role::Admin, "Europe/Berlin"));
}

#[tokio::test]
async fn a_link_works_once_and_of_two_at_the_same_time_one_wins() {
    let server = TestServer::start().await;
    let link = setup::new_link(&server.app).await.expect("works").expect("a link");
    let (one, two) = tokio::join!(
        setup::finish(&server.app, &link.code, first(None), browser()),
        setup::finish(&server.app, &link.code, first(None), browser()),
    );
    let (one, two) = (one.expect("works"), two.expect("works"));
    assert!(matches!(
        (one, two),
        (Finished::SignedIn(..), Finished::Gone(CodeState::Done)) | (Finished::Gone(CodeState::Done), Finished::SignedIn(..))
    ));
    assert_eq!(setup::look_at(&server.app, &link.code, browser().ip).await.expect("a state"), CodeState::Done);
    assert!(setup::new_link(&server.app).await.expect("works").is_none(), "there is an admin");
}

#[tokio::test]
async fn an_address_that_a_user_has_already_brings_the_form_back() {
    let server = TestServer::start().await;
    let link = setup::new_link(&server.app).await.expect("works").expect("a link");
    let user = server.member().await;
    let form = |email| {
        [("email", email), ("password", "a well kept cabinet of keys"), ("time_zone", "Europe/Berlin"), ("public_url", "")]
    };
    let (mut browser, path) = (Browser::new(&server), format!("/setup/{}", link.code));
    let refused = browser.submit(&path, &form(&user.email)).await.expect(400).text;
    assert!(refused.contains("Email address is already in use."), "{refused}");
    assert!(refused.contains(&user.email) && refused.contains("Europe/Berlin"), "what was typed is still there: {refused}");
    assert_eq!(browser.submit(&path, &form("ada@example.com")).await.expect(303).header("location"), "/settings/api-keys/new");
    assert!(browser.get(&path).await.expect(404).text.contains("already set up"));
}

#[tokio::test]
async fn a_link_ends_after_half_an_hour_and_gives_way_to_a_newer_one() {
    let server = TestServer::start().await;
    let old = setup::new_link(&server.app).await.expect("works").expect("a link");
    let new = setup::new_link(&server.app).await.expect("works").expect("a link");
    let state = async |code: &str| setup::look_at(&server.app, code, browser().ip).await.expect("a state");
    assert_eq!(state(&old.code).await, CodeState::Unknown);
    assert_eq!(state(&new.code.to_lowercase().replace('-', "")).await, CodeState::Good);
    server.advance(setup::LINK_LIFE);
    assert_eq!(state(&new.code).await, CodeState::Expired(new.expires_at));
}

#[tokio::test]
async fn guessing_codes_is_limited_for_each_address() {
    let server = TestServer::start().await;
    setup::new_link(&server.app).await.expect("works").expect("a link");
    let guess = async |ip: [u8; 4]| setup::look_at(&server.app, "0000-0000-0000", IpAddr::from(ip)).await;
    for _ in 0..10 {
        assert_eq!(guess([203, 0, 113, 7]).await.expect("a try"), CodeState::Unknown);
    }
    assert!(guess([203, 0, 113, 7]).await.is_err());
    assert!(guess([203, 0, 113, 8]).await.is_ok());
}

#[tokio::test]
async fn whoever_sets_the_server_up_is_in_the_audit_log_with_their_address_and_request() {
    let server = TestServer::start().await;
    let link = setup::new_link(&server.app).await.expect("works").expect("a link");
    let finished = setup::finish(&server.app, &link.code, first(None), browser()).await.expect("works");
    let Finished::SignedIn(signed_in) = finished else { panic!("the link was good") };
    let id = signed_in.session.user_id.to_string();
    let filter = AuditFilter { target: Some(id.clone()), ..AuditFilter::default() };
    let place = (Start::Offset(0), Order::OldestFirst, Limit::of(10));
    let events = services::audit::list(&server.app, &Caller::command_line(), filter, place).await.expect("events").rows;
    let [made] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(sentence(made, |at| at.to_string()).to_string(), "ada set Keyrack up, as its first administrator");
    assert_eq!((&made.actor.id, made.ip.as_str(), made.request_id.as_str()), (&id, "127.0.0.1", "req_test"));
}
