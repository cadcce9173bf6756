//! "Try the flow": an administrator goes through it as a user would, with a page of the dashboard in the client's place.
//! What the client would hold meanwhile waits in a cookie, and the tokens end as soon as they were shown to work.

use actix_web::cookie::{Cookie, SameSite};
use actix_web::web::{Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::{BASE, find};
use crate::crypto::secret::random_token;
use crate::http::csrf::Posted;
use crate::http::page::{Done, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{filters, msg, t};
use crate::model::AppError;
use crate::model::oauth_client::OauthClient;
use crate::model::oauth_error::OauthError;
use crate::model::pkce::Challenge;
use crate::model::scope::ScopeSet;
use crate::services::credentials;
use crate::services::oauth::{self, TokenRequest};

const COOKIE: &str = "trying";

#[derive(Template)]
#[template(path = "admin/clients/try.html")]
struct TryPage {
    frame: Frame,
    id: String,
    name: String,
    link: String,
    scopes: String,
}

#[derive(Template)]
#[template(path = "admin/clients/tried.html")]
struct TriedPage {
    frame: Frame,
    id: String,
    name: String,
    works: bool,
    steps: Vec<Step>,
}

struct Step {
    words: &'static str,
    /// What was sent or answered, without the secrets.
    facts: Vec<(&'static str, String)>,
}

#[derive(Default, Deserialize)]
pub struct Answer {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    iss: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

fn tried_uri(who: &SignedIn, client: &OauthClient) -> String {
    format!("{}{BASE}/{}/tried", who.facts.base_url(), client.id)
}

pub async fn show_try(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let client = find(&who, &id).await?;
    let shown = client.redirect_uris.first().map_or_else(|| tried_uri(&who, &client), ToString::to_string);
    let page = TryPage {
        frame: who.frame(t("Try the flow of {name}").with("name", &client.name), Place::Clients).with_banner(done.banner()),
        link: link(&who, &client, &shown, "STATE", "CHALLENGE"),
        scopes: asked(&client).to_string(),
        id: client.id.to_string(),
        name: client.name,
    };
    Ok(who.ok(&page))
}

pub async fn start_try(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let client = find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{BASE}/{}/try?done=renewed", client.id)));
    }
    let (state, verifier) = (random_token(), random_token());
    let challenge = Challenge::of(&verifier);
    let mut response = to(link(&who, &client, &tried_uri(&who, &client), &state, challenge.as_str()));
    let value = format!("{}.{}", *state, *verifier);
    put(&mut response, cookie(&who, &client, value))?;
    Ok(response)
}

pub async fn tried(who: SignedIn, req: HttpRequest, id: Path<String>, answer: Query<Answer>) -> Result<HttpResponse, PageError> {
    let client = find(&who, &id).await?;
    let kept = req.cookie(COOKIE).map(|cookie| cookie.value().to_owned()).unwrap_or_default();
    let Some((state, verifier)) = kept.split_once('.') else { return Ok(to(format!("{BASE}/{}/try", client.id))) };
    let (mut steps, works) = if answer.state == state {
        let mut steps = vec![Step { words: msg!("The user was asked, and sent back"), facts: told(&answer) }];
        let works = answer.error.is_empty() && redeem(&who, &client, &answer.code, verifier, &mut steps).await?;
        (steps, works)
    } else {
        (Vec::new(), false)
    };
    if steps.is_empty() {
        let facts = vec![("state", t("not the one that this try began with").into())];
        steps.push(Step { words: msg!("The answer is not of this try"), facts });
    }
    let title = if works { t("The flow works") } else { t("The flow ended early") };
    let page =
        TriedPage { frame: who.frame(title, Place::Clients), id: client.id.to_string(), name: client.name.clone(), works, steps };
    let mut response = who.ok(&page);
    let mut ended = cookie(&who, &client, String::new());
    ended.make_removal();
    put(&mut response, ended)?;
    Ok(response)
}

/// The code for tokens, a look at who the token is, and the tokens' end.
async fn redeem(
    who: &SignedIn,
    client: &OauthClient,
    code: &str,
    verifier: &str,
    steps: &mut Vec<Step>,
) -> Result<bool, PageError> {
    let caller = oauth::caller(client.id, &who.caller);
    let request =
        TokenRequest::Code { code: code.into(), redirect_uri: Some(tried_uri(who, client)), verifier: Some(verifier.into()) };
    let issued = match oauth::token(&who.app, &caller, client, request).await {
        Ok(issued) => issued,
        Err(OauthError::App(err)) => return Err(err.into()),
        Err(OauthError::Refused { code, description }) => {
            let facts = vec![("error", code.name().into()), ("error_description", description)];
            steps.push(Step { words: msg!("The code was not redeemed"), facts });
            return Ok(false);
        }
    };
    steps.push(Step {
        words: msg!("The code was exchanged for tokens"),
        facts: vec![
            ("access_token", issued.access.hint()),
            ("expires_in", issued.expires_in.as_secs().to_string()),
            ("refresh_token", issued.refresh.as_ref().map(|refresh| refresh.hint()).unwrap_or_default()),
            ("scope", issued.granted.words.clone()),
        ],
    });
    let found = credentials::authenticate(&who.app, issued.access.expose(), who.app.clock.both())?;
    let user = found.acts_for().map(|user| user.email.clone()).unwrap_or_default();
    steps
        .push(Step { words: msg!("The access token works"), facts: vec![("acts for", user), ("may", found.scopes.to_string())] });
    let whole = issued.refresh.as_ref().unwrap_or(&issued.access);
    oauth::revoke(&who.app, &caller, client.id, whole.expose()).await?;
    steps.push(Step { words: msg!("The tokens of this try were revoked"), facts: Vec::new() });
    Ok(true)
}

fn told(answer: &Answer) -> Vec<(&'static str, String)> {
    let short = |text: &str| text.chars().take(200).collect::<String>();
    // Used up in a moment, and still no page's business.
    let code = if answer.code.is_empty() { String::new() } else { answer.code.chars().take(4).chain(['…']).collect() };
    let facts = [
        ("code", code),
        ("error", short(&answer.error)),
        ("error_description", short(&answer.error_description)),
        ("iss", short(&answer.iss)),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// What a try asks for: reading alone, as far as the client may.
fn asked(client: &OauthClient) -> ScopeSet {
    let usual = client.scopes.both(ScopeSet::default_for_keys());
    if usual.is_empty() { client.scopes } else { usual }
}

fn link(who: &SignedIn, client: &OauthClient, redirect_uri: &str, state: &str, challenge: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &client.id.to_string())
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("response_type", "code")
        .append_pair("scope", &asked(client).to_string())
        .append_pair("state", state)
        .append_pair("code_challenge", challenge)
        .append_pair("code_challenge_method", "S256")
        .finish();
    format!("{}/oauth/authorize?{query}", who.facts.base_url())
}

/// Goes to the pages of this client alone.
fn cookie(who: &SignedIn, client: &OauthClient, value: String) -> Cookie<'static> {
    let path = format!("{BASE}/{}", client.id);
    Cookie::build(COOKIE, value).path(path).http_only(true).same_site(SameSite::Lax).secure(who.facts.https).finish()
}

fn put(response: &mut HttpResponse, cookie: Cookie<'_>) -> Result<(), AppError> {
    response.add_cookie(&cookie).map_err(|err| AppError::internal(err.to_string()))
}
