//! Forms of a page from before the session was renewed: nothing is done, and the form comes again.

use std::net::IpAddr;

use keyrack::model::api_key::Overlap;
use keyrack::model::caller::Caller;
use keyrack::model::ids::{ApiKeyId, ClientId, DeliveryId, UserId, WebhookId};
use keyrack::model::page::{Limit, Order, Start};
use keyrack::model::revision::IfMatch;
use keyrack::model::user::{Password, Role, User};
use keyrack::services;
use keyrack::services::idempotency::Keep;
use keyrack::services::sessions::{Entered, NewSession};
use reqwest::Method;

use crate::access::is_of_the_api;
use crate::support::{Client, Reply, TestServer};

/// What anyone may see. This list may only shrink.
const OPEN: &[&str] = &[
    "/",
    "/docs",
    "/docs/search",
    "/docs/{path:.+}",
    "/invite/{code}",
    "/llms.txt",
    "/openapi.json",
    "/setup",
    "/setup/{code}",
    "/sign-in",
    "/sign-in/code",
    "/static/{path:.*}",
];

/// What sends back only what the page itself sent, and changes nothing.
// A stale consent is looked at in oauth/authorize.rs: it needs a client.
const ECHOES: &[&str] = &["/env", "api-keys/test", "keys/test", "/recovery-codes/download", "/oauth/authorize"];

const PASSWORD: &str = "a well kept cabinet of keys";

/// Somebody in a browser, signed in.
struct Browser {
    client: Client,
    user: User,
    key_id: String,
    client_id: String,
    grant_id: String,
    webhook: (WebhookId, DeliveryId),
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
        let app = server.oauth_app().await;
        let client = ClientId::parse(&app.id).expect("an id");
        services::oauth_clients::rotate(&server.app, &operator, client, Overlap::default()).await.expect("rotates");
        let device = NewSession {
            ip: IpAddr::from([127, 0, 0, 1]),
            user_agent: "test".into(),
            note: String::new(),
            request_id: "req_test".into(),
        };
        let signed_in = services::sessions::sign_in(&server.app, &user.email, Password::typed(PASSWORD), device).await;
        let Entered::In(signed_in) = signed_in.expect("signs in") else { panic!("there is no second factor") };
        let client = page_of(server).header("Cookie", &format!("sid={}", signed_in.token.expose()));
        let grant_id = server.grant_of(&user).await;
        let webhook = server.webhook_of(&user).await;
        Self { client, user, key_id: key.key_id().to_owned(), client_id: app.id, grant_id, webhook }
    }

    /// A path as the router has it, about this user or their key.
    fn path(&self, pattern: &str) -> String {
        let id = match pattern {
            _ if pattern.starts_with("/admin/users") => self.user.id.to_string(),
            _ if pattern.starts_with("/admin/accounts") => self.user.account_id.to_string(),
            _ if pattern.starts_with("/admin/clients") => self.client_id.clone(),
            _ if pattern.starts_with("/admin/grants") || pattern.contains("connected-apps") => self.grant_id.clone(),
            _ if pattern.starts_with("/admin/webhooks/deliveries") => self.webhook.1.to_string(),
            _ if pattern.starts_with("/admin/webhooks") => self.webhook.0.to_string(),
            _ => self.key_id.clone(),
        };
        pattern.replace("{id}", &id).replace("{dialect}", "plain").replace("{name}", "Free")
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
    let routes = crate::support::routes(&server.app).await;
    let pages = routes.into_iter().filter(|(verb, path)| verb == method && !is_of_the_api(path));
    let pages: Vec<String> = pages.map(|(_, path)| path).filter(|path| !OPEN.contains(&path.as_str())).collect();
    assert!(pages.len() > 10, "{method}: {pages:?}");
    pages
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
             &preset=write&act=disable&id={}&windows=1/1h&reason=none&expires=never&overlap=0s&confirm={}&theme=dark&time_zone=Asia/Tokyo",
            other.token().await,
            admin.user.id,
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
    let place = (Start::Offset(0), Order::OldestFirst, Limit::of(100));
    let accounts = services::accounts::list(&server.app, &caller, Default::default(), place).await.expect("accounts").rows;
    let mut links = Vec::new();
    for user in &users {
        links.push(services::password_links::standing(&server.app, &caller, user.id).await.expect("a user").pending);
    }
    let (webhook, place) = (who.webhook.0, (Start::Offset(0), Order::OldestFirst, Limit::of(100)));
    let sent = services::webhooks::deliveries::list(&server.app, &caller, webhook, None, place).await.expect("deliveries").rows;
    let webhook = services::webhooks::find(&server.app, &caller, webhook).await.expect("a webhook");
    who.get("/settings").await.expect(200);
    format!("{webhook:?} {sent:?} {users:?} {keys:?} {accounts:?} {links:?}")
}
