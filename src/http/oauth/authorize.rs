//! The page on which a user allows a client, or does not; and the way back to the client. Nobody is sent anywhere before
//! client and address are known to belong together, and the user is signed in (RFC 9700 §4.11.2).

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::app::App;
use crate::crypto::Secret;
use crate::http::csrf::Posted;
use crate::http::moment::{Moment, span_in_words};
use crate::http::oauth_refusal::plain;
use crate::http::page::{Banner, Frame, PageError, Place};
use crate::http::params::Params;
use crate::http::shell::allow_form_to;
use crate::http::signed_in::{SignedIn, Visit};
use crate::http::words::{filters, msg, t, t_refusal};
use crate::model::AppError;
use crate::model::ids::ClientId;
use crate::model::oauth_client::OauthClient;
use crate::model::oauth_error::{OauthCode, OauthError};
use crate::model::pkce::Challenge;
use crate::model::redirect_uri::{Destination, nearest};
use crate::model::scope::Scope;
use crate::model::user::Role;
use crate::services::oauth::{self, Request, Wanted};

/// How much of an address is shown.
const SHOWN: usize = 300;

#[derive(Template)]
#[template(path = "oauth/consent.html")]
struct ConsentPage {
    frame: Frame,
    /// The request, to be sent back with the answer.
    request: String,
    here: String,
    email: String,
    client: String,
    made_by: String,
    registered: Moment,
    can: Vec<Ability>,
    /// What it asked for besides, and this user does not have.
    left_out: String,
    is_wider: bool,
    idle: String,
    place: String,
}

struct Ability {
    words: String,
    changes: bool,
    is_new: bool,
}

#[derive(Template)]
#[template(path = "oauth/refused.html")]
struct RefusedPage {
    frame: Frame,
    what: String,
    /// What whoever makes the program has to mend.
    next: &'static str,
    sent: String,
    nearest: String,
    request_id: String,
}

#[derive(Template)]
#[template(path = "oauth/leave.html")]
struct LeavePage {
    frame: Frame,
    href: String,
    place: String,
}

const ITS_ID: &str =
    msg!("If you came from a program, tell whoever makes it: it has to send the client_id that it was registered with here.");
const ITS_URI: &str =
    msg!("If you came from a program, tell whoever makes it: a redirect URI has to be the registered one, letter for letter.");

/// Where an answer goes.
struct Sender {
    destination: Destination,
    state: Option<Vec<u8>>,
}

/// Why a person is not sent anywhere.
struct Untrusted {
    what: String,
    next: &'static str,
    sent: String,
    nearest: String,
}

pub async fn ask(req: HttpRequest, visit: Visit) -> Result<HttpResponse, PageError> {
    let query = req.query_string().to_owned();
    let (sender, request) = match read(&visit, &query).await? {
        Ok(read) => read,
        Err(untrusted) => return Ok(refused(&visit, untrusted)),
    };
    let who = SignedIn::of(&req).await?;
    // A form of ours led here, such as sign-in's: a browser would not follow a redirect from it to another place.
    let by_form = req.headers().get("sec-fetch-site").is_some_and(|site| site == "same-origin");
    let way = if by_form { Way::Page } else { Way::Found };
    let code = match with_wanted(&who, request).await {
        Ok((request, wanted)) if wanted.is_remembered => oauth::allow(&who.app, &who.caller, &request, wanted.granted).await,
        Ok((request, wanted)) => return Ok(consent(&who, query, &request, &wanted, None)),
        Err(err) => Err(err),
    };
    send(&who, &sender, code, way)
}

pub async fn decide(req: HttpRequest, visit: Visit, form: Posted) -> Result<HttpResponse, PageError> {
    let query = form.text("request").to_owned();
    if visit.who.is_none() {
        return Err(PageError::SignIn { next: format!("/oauth/authorize?{query}") });
    }
    let who = SignedIn::of(&req).await?;
    let (sender, request) = match read(&visit, &query).await? {
        Ok(read) => read,
        Err(untrusted) => return Ok(refused(&visit, untrusted)),
    };
    let way = if sender.destination.csp_source().is_some() { Way::SeeOther } else { Way::Page };
    let code = match with_wanted(&who, request).await {
        Ok((request, wanted)) if form.is_stale => {
            return Ok(consent(&who, query, &request, &wanted, Some(Banner::renewed())));
        }
        Ok((request, wanted)) if form.text("decision") == "allow" => {
            oauth::allow(&who.app, &who.caller, &request, wanted.granted).await
        }
        Ok(_) => Err(OauthCode::AccessDenied.because("The user did not allow it.")),
        Err(err) => Err(err),
    };
    send(&who, &sender, code, way)
}

async fn with_wanted(who: &SignedIn, request: Result<Request, OauthError>) -> Result<(Request, Wanted), OauthError> {
    let request = request?;
    let wanted = oauth::wanted(&who.app, who.user.id, &request).await?;
    Ok((request, wanted))
}

type Read = (Sender, Result<Request, OauthError>);

/// Who asks, where to, and for what. The outer error is a fault, the next one is for the person, and the innermost is for
/// the client.
async fn read(visit: &Visit, query: &str) -> Result<Result<Read, Untrusted>, PageError> {
    let params = Params::of_form(query.as_bytes());
    let client = match client_of(&visit.app, &params).await? {
        Ok(client) => client,
        Err(what) => return Ok(Err(Untrusted { what, next: ITS_ID, sent: String::new(), nearest: String::new() })),
    };
    let (destination, redirect_sent) = match destination_of(visit, &client, &params) {
        Ok(found) => found,
        Err(untrusted) => return Ok(Err(untrusted)),
    };
    let state = params.bytes("state").ok().flatten().map(<[u8]>::to_vec);
    let sender = Sender { destination: destination.clone(), state };
    Ok(Ok((sender, request_of(&params, client, destination, redirect_sent))))
}

async fn client_of(app: &App, params: &Params) -> Result<Result<OauthClient, String>, AppError> {
    let id = match params.text("client_id") {
        Ok(id) => id.unwrap_or_default(),
        Err(err) => return Ok(Err(t_refusal(&err.to_string()))),
    };
    if id.is_empty() {
        return Ok(Err(t("The address names no program: client_id is missing.").into()));
    }
    let found = match ClientId::parse(id) {
        Some(id) => oauth::find_client(app, id).await?,
        None => None,
    };
    Ok(found.ok_or_else(|| t("The program that sent you here is not registered, or was deleted.").into()))
}

fn destination_of(visit: &Visit, client: &OauthClient, params: &Params) -> Result<(Destination, bool), Untrusted> {
    let uris = &client.redirect_uris;
    let sent = params.text("redirect_uri").map_err(|err| Untrusted {
        what: t_refusal(&err.to_string()),
        next: ITS_URI,
        sent: String::new(),
        nearest: String::new(),
    })?;
    if let Some(sent) = sent {
        let is_admin = visit.who.as_ref().is_some_and(|(user, _)| user.role == Role::Admin);
        if is_admin && sent == tried_uri(visit.facts.base_url(), client.id) {
            return Ok((Destination::own(sent.to_owned()), true));
        }
        return Destination::of(uris, sent).map(|to| (to, true)).ok_or_else(|| Untrusted {
            what: t("{client} asked to send you to an address that it has not registered.").with("client", &client.name).into(),
            next: ITS_URI,
            sent: sent.chars().take(SHOWN).collect(),
            nearest: nearest(uris, sent).map(|uri| uri.as_str().chars().take(SHOWN).collect()).unwrap_or_default(),
        });
    }
    match uris.as_slice() {
        // RFC 6749 §3.1.2.3
        [only] => Ok((Destination::own(only.as_str().to_owned()), false)),
        _ => Err(Untrusted {
            what: t("{client} does not say where to send you afterwards: redirect_uri is missing.")
                .with("client", &client.name)
                .into(),
            next: ITS_URI,
            sent: String::new(),
            nearest: String::new(),
        }),
    }
}

/// The page of the dashboard on which an administrator tries a client.
fn tried_uri(base_url: &str, client: ClientId) -> String {
    format!("{base_url}/admin/clients/{client}/tried")
}

fn request_of(
    params: &Params,
    client: OauthClient,
    destination: Destination,
    redirect_sent: bool,
) -> Result<Request, OauthError> {
    params.check()?;
    if params.required("response_type")? != "code" {
        return Err(OauthCode::UnsupportedResponseType.because("response_type is always code."));
    }
    let wrong = |words: &str| OauthCode::InvalidRequest.because(words);
    let challenge = match (params.text("code_challenge")?, params.text("code_challenge_method")?) {
        (Some(text), Some("S256")) => {
            Some(Challenge::parse(text).ok_or_else(|| wrong("code_challenge is no SHA-256 in base64url."))?)
        }
        (Some(_), _) => return Err(wrong("code_challenge_method is always S256.")),
        (None, Some(_)) => return Err(wrong("code_challenge is missing.")),
        (None, None) if client.is_public() => return Err(wrong("code_challenge is missing; a public client needs PKCE.")),
        (None, None) => None,
    };
    let scope = params.text("scope")?.map(str::to_owned);
    Ok(Request { client, destination, redirect_sent, challenge, scope })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Found,
    /// After a form (RFC 9700 §4.12).
    SeeOther,
    Page,
}

/// Back to the client, with a code or with the reason why there is none.
fn send(who: &SignedIn, sender: &Sender, code: Result<Secret, OauthError>, way: Way) -> Result<HttpResponse, PageError> {
    let issuer = who.facts.base_url();
    let told = match code {
        Ok(code) => vec![("code", code.expose().to_owned())],
        Err(OauthError::Refused { code, description }) => {
            vec![("error", code.name().to_owned()), ("error_description", plain(&description))]
        }
        Err(OauthError::App(err)) => return Err(err.into()),
    };
    let mut told: Vec<(&str, &[u8])> = told.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    if let Some(state) = &sender.state {
        told.push(("state", state));
    }
    told.push(("iss", issuer.as_bytes()));
    let href = sender.destination.with(told);
    let status = match way {
        Way::Found => StatusCode::FOUND,
        Way::SeeOther => StatusCode::SEE_OTHER,
        Way::Page => {
            let frame = Frame { bare: true, reading: true, ..who.frame(t("Back to the program"), Place::Elsewhere) };
            let page = LeavePage { frame, href, place: sender.destination.place() };
            return Ok(who.ok(&page));
        }
    };
    Ok(HttpResponse::build(status).insert_header((LOCATION, href)).finish())
}

fn refused(visit: &Visit, untrusted: Untrusted) -> HttpResponse {
    let frame = Frame { bare: true, reading: true, ..visit.frame(t("This link does not lead on"), Place::Elsewhere) };
    let Untrusted { what, next, sent, nearest } = untrusted;
    let page = RefusedPage { frame, what, next, sent, nearest, request_id: visit.facts.request_id.to_string() };
    visit.page(StatusCode::BAD_REQUEST, &page)
}

fn consent(who: &SignedIn, query: String, request: &Request, wanted: &Wanted, banner: Option<Banner>) -> HttpResponse {
    let before = wanted.before.as_ref().map(|grant| grant.scopes);
    let ability = |scope: Scope| Ability {
        words: t(scope.words()).into(),
        changes: !scope.name().ends_with(":read") && scope != Scope::KeysVerify,
        is_new: before.is_some_and(|before| !before.allows(scope)),
    };
    let title = t("{client} wants access to your account").with("client", &request.client.name);
    let given: Vec<&str> = wanted.granted.words.split(' ').collect();
    let asked = request.scope.as_deref().unwrap_or_default().split(' ');
    let left_out: Vec<&str> = asked.filter(|word| !word.is_empty() && !given.contains(word)).collect();
    let page = ConsentPage {
        frame: Frame { bare: true, reading: true, banner, ..who.frame(title, Place::Elsewhere) },
        here: format!("/oauth/authorize?{query}"),
        request: query,
        email: who.user.email.clone(),
        client: request.client.name.clone(),
        made_by: wanted.made_by.clone().unwrap_or_default(),
        registered: who.now().moment(request.client.created_at),
        can: wanted.granted.scopes.iter().map(ability).collect(),
        left_out: left_out.join(", "),
        is_wider: before.is_some(),
        idle: span_in_words(who.app.config.oauth.refresh_token_ttl),
        place: request.destination.place(),
    };
    let mut response = who.ok(&page);
    if let Some(place) = request.destination.csp_source() {
        allow_form_to(&mut response, &place);
    }
    response
}
