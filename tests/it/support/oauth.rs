//! A program that is an OAuth client, and the person in whose browser it is allowed.

use keyrack::model::caller::Caller;
use keyrack::model::name::Name;
use keyrack::model::oauth_client::{ClientKind, NewClient};
use keyrack::model::page::{Limit, Order, Start};
use keyrack::model::pkce::Challenge;
use keyrack::model::redirect_uri::RedirectUri;
use keyrack::model::scope::{ScopeSet, ScopesAsked};
use keyrack::model::user::{Role, User};
use keyrack::services;
use serde_json::{Value, json};

use super::{Client, Reply, TestServer};

/// A registered client, and how it calls.
pub struct OauthApp {
    pub id: String,
    /// None for a public client.
    pub secret: Option<String>,
    pub redirect_uri: String,
    pub http: Client,
}

pub const REDIRECT: &str = "https://app.example.com/callback";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Names and values of a query or a form.
pub type Query = Vec<(String, String)>;

pub fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

pub fn challenge_of(verifier: &str) -> String {
    Challenge::of(verifier).as_str().to_owned()
}

/// What an answer's `Location` carries.
#[track_caller]
pub fn query_of(reply: &Reply) -> Query {
    let location = reply.header("location");
    let (_, query) = location.split_once('?').unwrap_or_else(|| panic!("{}: {location:?} {}", reply.status, reply.text));
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn hidden(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let value = page.rsplit_once(&start).and_then(|(_, rest)| rest.split('"').next()).unwrap_or_else(|| panic!("{name}: {page}"));
    value.replace("&#38;", "&").replace("&amp;", "&").replace("&#34;", "\"").replace("&#39;", "'")
}

impl TestServer {
    /// A client with a secret, that may ask for all that members have.
    pub async fn oauth_app(&self) -> OauthApp {
        self.oauth_app_with(|_| {}).await
    }

    pub async fn public_app(&self) -> OauthApp {
        self.oauth_app_with(|new| new.kind = ClientKind::Public).await
    }

    pub async fn oauth_app_with(&self, more: impl FnOnce(&mut NewClient)) -> OauthApp {
        let owner = self.user_in(self.account("Makers").await, Role::Admin).await;
        let mut new = NewClient {
            name: Name::parse("Reporting Tool").expect("a name"),
            kind: ClientKind::Confidential,
            redirect_uris: vec![RedirectUri::parse(REDIRECT).expect("an address")],
            scopes: ScopesAsked::from(ScopeSet::for_members()),
            user_id: Some(owner.id),
        };
        more(&mut new);
        let redirect_uri = new.redirect_uris.first().map(ToString::to_string).unwrap_or_default();
        let made = services::oauth_clients::create(&self.app, &Caller::command_line(), new).await;
        let (client, secret) = made.expect("a client");
        let secret = secret.map(|secret| secret.expose().to_owned());
        OauthApp { id: client.id.to_string(), secret, redirect_uri, http: self.anonymous() }
    }

    /// What this user gets when they follow a link of the client.
    pub async fn authorize(&self, user: &User, fields: &[(&str, &str)]) -> Reply {
        self.browser(user).await.get(&format!("/oauth/authorize?{}", form(fields))).await
    }

    /// The user sees the consent and answers it.
    pub async fn answer(&self, user: &User, fields: &[(&str, &str)], decision: &str) -> Reply {
        let browser = self.browser(user).await;
        let page = browser.get(&format!("/oauth/authorize?{}", form(fields))).await.expect(200);
        browser
            .header("Sec-Fetch-Site", "same-origin")
            .post_form(
                "/oauth/authorize",
                &consent_form(&page.text, decision).iter().map(|(n, v)| (*n, v.as_str())).collect::<Vec<_>>(),
            )
            .await
    }

    /// A code that the user allowed.
    pub async fn code(&self, app: &OauthApp, user: &User, more: &[(&str, &str)]) -> String {
        let asked = app.request(more);
        let fields: Vec<(&str, &str)> = asked.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let first = self.authorize(user, &fields).await;
        let reply = if first.status == 200 { self.answer(user, &fields, "allow").await } else { first };
        let query = query_of(&reply);
        query.iter().find(|(name, _)| name == "code").unwrap_or_else(|| panic!("{query:?}")).1.clone()
    }

    /// Tokens that the user allowed, with PKCE.
    pub async fn tokens(&self, app: &OauthApp, user: &User, scope: &str) -> Value {
        let challenge = challenge_of(VERIFIER);
        let more = [("scope", scope), ("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")];
        let code = self.code(app, user, &more).await;
        app.redeem(&code, &[("code_verifier", VERIFIER)]).await.expect(200).json()
    }

    /// The id of something that this user allowed.
    pub async fn grant_of(&self, user: &User) -> String {
        let app = self.oauth_app().await;
        self.tokens(&app, user, "users:read").await;
        let filter = services::grants::Filter { user: Some(user.id), ..Default::default() };
        let place = (Start::Offset(0), Order::NewestFirst, Limit::of(1));
        let found = services::grants::list(&self.app, &Caller::command_line(), filter, place).await.expect("grants");
        found.rows[0].id.to_string()
    }

    /// What calls the API with an access token.
    pub fn bearing(&self, tokens: &Value) -> Client {
        self.with_secret(tokens["access_token"].as_str().expect("an access token"))
    }
}

/// The form that the consent page sends.
pub fn consent_form(page: &str, decision: &str) -> Vec<(&'static str, String)> {
    vec![("csrf", hidden(page, "csrf")), ("request", hidden(page, "request")), ("decision", decision.to_owned())]
}

impl OauthApp {
    /// The parameters of its link, with others in place of them or besides.
    pub fn request(&self, more: &[(&str, &str)]) -> Query {
        let usual = [
            ("client_id", self.id.as_str()),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("response_type", "code"),
            ("scope", "users:read"),
            ("state", "af0ifjsldkj"),
        ];
        let given = |name: &str| more.iter().any(|(other, _)| *other == name);
        let usual = usual.into_iter().filter(|(name, _)| !given(name));
        usual.chain(more.iter().copied()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Calls an endpoint with its id and secret in the body.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let mut all = vec![("client_id", self.id.as_str())];
        all.extend(self.secret.as_deref().map(|secret| ("client_secret", secret)));
        all.extend(fields);
        self.http.post_form(path, &all).await
    }

    pub async fn redeem(&self, code: &str, more: &[(&str, &str)]) -> Reply {
        let mut fields = vec![("grant_type", "authorization_code"), ("code", code)];
        if !more.iter().any(|(name, _)| *name == "redirect_uri") {
            fields.push(("redirect_uri", &self.redirect_uri));
        }
        fields.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        self.post("/oauth/token", &fields).await
    }

    pub async fn refresh(&self, tokens: &Value) -> Reply {
        let token = tokens["refresh_token"].as_str().expect("a refresh token");
        self.post("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    pub async fn introspect(&self, token: &Value) -> Value {
        self.post("/oauth/introspect", &[("token", token.as_str().expect("a token"))]).await.expect(200).json()
    }

    /// As S4 shows it.
    pub fn json(&self, code: &str) -> Value {
        json!({
            "client_id": self.id,
            "client_secret": self.secret,
            "code": code,
            "grant_type": "authorization_code",
            "redirect_uri": self.redirect_uri,
        })
    }
}
