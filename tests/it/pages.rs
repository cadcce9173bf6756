//! Who may see and send what on the pages: generated from the router itself, so that no page is forgotten. How they look
//! and work for people is in `tests/browser`.

use std::net::IpAddr;

use keyrack::model::api_key::Overlap;
use keyrack::model::caller::Caller;
use keyrack::model::ids::{ApiKeyId, UserId};
use keyrack::model::page::{Limit, Order, Start};
use keyrack::model::revision::IfMatch;
use keyrack::model::user::{Password, Role, User};
use keyrack::services;
use keyrack::services::idempotency::Keep;
use keyrack::services::sessions::NewSession;
use reqwest::Method;

use crate::access::{every_route, is_of_the_api};
use crate::support::{Client, Reply, TestServer};

/// What anyone may see. This list may only shrink.
const OPEN: &[&str] = &["/", "/docs", "/docs/errors/{code}", "/setup", "/setup/{code}", "/sign-in", "/static/{path:.*}"];

/// What sends back only what the page itself sent, and changes nothing.
const ECHOES: &[&str] = &["/env", "/test"];

const PASSWORD: &str = "a well kept cabinet of keys";

/// Somebody in a browser, signed in.
struct Browser {
    client: Client,
    user: User,
    key_id: String,
}

impl Browser {
    async fn sign_in(server: &TestServer, role: Role) -> Self {
        let account = server.account("Team").await;
        let user = server.user_with(account, role, |new| new.password = Some(Password::typed(PASSWORD))).await;
        let key = server.key_of(&user, &[]).await;
        // Half-way through a rotation, so that every page of a key has something to show.
        let (id, operator) = (ApiKeyId::parse(key.key_id()).expect("an id"), Caller::command_line());
        let rotated = services::api_keys::rotate(&server.app, &operator, id, Overlap::default(), IfMatch::ANY, Keep::nothing());
        rotated.await.expect("rotates");
        let device = NewSession { ip: IpAddr::from([127, 0, 0, 1]), user_agent: "test".into() };
        let signed_in = services::sessions::sign_in(&server.app, &user.email, Password::typed(PASSWORD), device).await;
        let (_, signed_in) = signed_in.expect("signs in");
        let client = page_of(server).header("Cookie", &format!("sid={}", signed_in.token.expose()));
        Self { client, user, key_id: key.key_id().to_owned() }
    }

    /// A path as the router has it, about this user or their key.
    fn path(&self, pattern: &str) -> String {
        let id = if pattern.starts_with("/admin/users") { self.user.id.to_string() } else { self.key_id.clone() };
        pattern.replace("{id}", &id)
    }

    async fn get(&self, path: &str) -> Reply {
        self.client.get(path).await
    }

    async fn post(&self, path: &str, form: &str) -> Reply {
        self.client.send(Method::POST, path, Some(form.to_owned())).await
    }

    /// A token that the forms of this session take.
    async fn token(&self) -> String {
        let page = self.get("/settings").await.expect(200).text;
        let rest = page.split_once("name=\"csrf\" value=\"").expect("a form").1;
        rest.split_once('"').expect("a value").0.to_owned()
    }
}

fn page_of(server: &TestServer) -> Client {
    let client = server.anonymous().header("Accept", "text/html").header("Sec-Fetch-Site", "same-origin");
    client.header("Content-Type", "application/x-www-form-urlencoded")
}

async fn pages(server: &TestServer, method: &str) -> Vec<String> {
    let routes = every_route(&server.app).await;
    let pages = routes.into_iter().filter(|(verb, path)| verb == method && !is_of_the_api(path) && path != "/routes");
    let pages: Vec<String> = pages.map(|(_, path)| path).filter(|path| !OPEN.contains(&path.as_str())).collect();
    assert!(pages.len() > 10, "{method}: {pages:?}");
    pages
}

#[tokio::test]
async fn without_a_session_every_page_leads_to_the_sign_in() {
    let server = TestServer::start().await;
    let stranger = page_of(&server);
    for path in pages(&server, "GET").await {
        let reply = stranger.get(&path.replace("{id}", "x")).await;
        assert_eq!(reply.status, 303, "{path}");
        assert!(reply.header("location").starts_with("/sign-in?next=%2F"), "{path}: {}", reply.header("location"));
    }
    for path in pages(&server, "POST").await {
        let reply = stranger.send(Method::POST, &path.replace("{id}", "x"), Some("csrf=x".into())).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/sign-in"), "{path}");
    }
}

#[tokio::test]
async fn what_is_under_admin_is_for_administrators() {
    let server = TestServer::start().await;
    let (admin, member) = (Browser::sign_in(&server, Role::Admin).await, Browser::sign_in(&server, Role::Member).await);
    let token = format!("csrf={}", member.token().await);
    for path in pages(&server, "GET").await {
        let is_for_admins = path == "/admin" || path.starts_with("/admin/");
        admin.get(&admin.path(&path)).await.must_be(&[200, 303], &path);
        member.get(&member.path(&path)).await.must_be(if is_for_admins { &[403] } else { &[200, 303] }, &path);
    }
    for path in pages(&server, "POST").await.iter().filter(|path| path.starts_with("/admin/")) {
        member.post(&member.path(path), &token).await.must_be(&[403], path);
    }
}

#[tokio::test]
async fn nobody_sees_the_key_of_another_among_their_own() {
    let server = TestServer::start().await;
    let (admin, member) = (Browser::sign_in(&server, Role::Admin).await, Browser::sign_in(&server, Role::Member).await);
    for path in pages(&server, "GET").await.iter().filter(|path| path.starts_with("/settings/api-keys/{id}")) {
        for (one, other) in [(&member, &admin), (&admin, &member)] {
            one.get(&other.path(path)).await.must_be(&[404], path);
        }
    }
    let list = admin.get("/settings/api-keys").await.expect(200).text;
    assert!(list.contains(&admin.key_id) && !list.contains(&member.key_id));
    assert!(admin.get("/admin/keys").await.expect(200).text.contains(&member.key_id));
}

#[tokio::test]
async fn a_form_without_its_token_or_from_another_site_is_refused() {
    let server = TestServer::start().await;
    let admin = Browser::sign_in(&server, Role::Admin).await;
    let token = format!("csrf={}", admin.token().await);
    for path in pages(&server, "POST").await {
        let here = admin.path(&path);
        admin.post(&here, "confirm=x").await.must_be(&[403], &path);
        for (name, value) in
            [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site"), ("Origin", "https://evil.example")]
        {
            let elsewhere = server.anonymous().header("Cookie", admin.cookie()).header(name, value);
            let elsewhere = elsewhere.header("Content-Type", "application/x-www-form-urlencoded");
            elsewhere.send(Method::POST, &here, Some(token.clone())).await.must_be(&[403], &path);
        }
        let json = server.anonymous().header("Cookie", admin.cookie()).header("Sec-Fetch-Site", "same-origin");
        json.send(Method::POST, &here, Some("{}".into())).await.must_be(&[415], &path);
    }
    admin.get("/settings").await.expect(200);
}

#[tokio::test]
async fn a_stale_form_changes_nothing_and_comes_again() {
    let server = TestServer::start().await;
    let admin = Browser::sign_in(&server, Role::Admin).await;
    let other = Browser::sign_in(&server, Role::Admin).await;
    let before = state(&server, &admin).await;
    let forms = pages(&server, "POST").await.into_iter().filter(|path| !ECHOES.iter().any(|echo| path.ends_with(echo)));
    for path in forms {
        let form = format!(
            "csrf={}&nonce={path}&name=Changed&email=changed%40example.com&password=another+sentence+of+words&role=member\
             &preset=write&expires=never&overlap=0s&confirm={}&theme=dark&time_zone=Asia/Tokyo",
            other.token().await,
            admin.user.email
        );
        let reply = admin.post(&admin.path(&path), &form).await;
        let location = reply.header("location").to_owned();
        let again = match reply.status {
            303 if location == "/" => continue,
            303 => admin.get(&location).await.expect(200),
            _ => reply.expect(200),
        };
        assert!(again.text.contains("Your session was renewed"), "{path}");
        assert!(!again.header("set-cookie").contains("look="), "{path}");
    }
    assert_eq!(state(&server, &admin).await, before);
}

/// What forms could have changed.
async fn state(server: &TestServer, who: &Browser) -> String {
    let caller = Caller::command_line();
    let place = (Start::<UserId>::Offset(0), Order::OldestFirst, Limit::of(100));
    let users = services::users::list(&server.app, &caller, Default::default(), place).await.expect("users").rows;
    let place = (Start::Offset(0), Order::OldestFirst, Limit::of(100));
    let keys = services::api_keys::list(&server.app, &caller, Default::default(), place).await.expect("keys").rows;
    who.get("/settings").await.expect(200);
    format!("{users:?} {keys:?}")
}

impl Browser {
    fn cookie(&self) -> &str {
        self.client.header_value("Cookie")
    }
}

impl Reply {
    #[track_caller]
    fn must_be(self, statuses: &[u16], path: &str) {
        assert!(statuses.contains(&self.status), "{path}: {} {}", self.status, self.text);
    }
}
