//! The OAuth clients of this server, for administrators: list, register, show, change, delete. Secrets are in `secret`,
//! trying the flow is in `trying`.

mod secret;
mod trying;

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

pub use secret::{end_old, rotate, show_end_old, show_rotate};
pub use trying::{show_try, start_try, tried};

use super::confirm::ConfirmPage;
use super::connected_apps::{GrantRow, ListQuery};
use super::view::Pages;
use crate::crypto::secret::random_token;
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::moment::{Moment, Now};
use crate::http::page::{Banner, Done, FormErrors, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{Message, filters, msg, t};
use crate::model::AppError;
use crate::model::error::FieldErrors;
use crate::model::ids::{ClientId, UserId};
use crate::model::name::Name;
use crate::model::oauth_client::{ClientChanges, ClientKind, NewClient, OauthClient, parse_redirect_uris};
use crate::model::page::{Limit, Order, Start};
use crate::model::scope::{Scope, ScopeSet};
use crate::model::user::User;
use crate::services;
use crate::services::forms::Formed;
use secret::{again, nonce_of, show_once};

const BASE: &str = "/admin/clients";
/// The users that the page of a client shows.
const GRANTS_SHOWN: u32 = 50;

#[derive(Template)]
#[template(path = "admin/clients/list.html")]
struct ClientsPage {
    frame: Frame,
    q: String,
    clients: Vec<ClientRow>,
    pages: Pages,
}

#[derive(Template)]
#[template(path = "admin/clients/show.html")]
struct ClientPage {
    frame: Frame,
    client: ClientRow,
    summary: String,
    grants: Vec<GrantRow>,
    has_more: bool,
}

#[derive(Template)]
#[template(path = "admin/clients/edit.html")]
struct EditClientPage {
    frame: Frame,
    errors: FormErrors,
    typed: TypedClient,
    scopes: Vec<ScopeChoice>,
    is_new: bool,
    nonce: String,
    action: String,
    back: String,
    back_words: String,
}

struct ScopeChoice {
    name: &'static str,
    words: &'static str,
    checked: bool,
}

#[derive(Clone, Default)]
struct TypedClient {
    name: String,
    kind: String,
    redirect_uris: String,
    scopes: ScopeSet,
}

/// A client, in a list or on its own page.
struct ClientRow {
    id: String,
    name: String,
    is_public: bool,
    hint: String,
    redirect_uris: Vec<String>,
    scopes: String,
    created: Moment,
    old: Option<(String, Moment)>,
}

impl ClientRow {
    fn new(client: &OauthClient, now: &Now) -> Self {
        Self {
            id: client.id.to_string(),
            name: client.name.clone(),
            is_public: client.is_public(),
            hint: client.hint.clone(),
            redirect_uris: client.redirect_uris.iter().map(ToString::to_string).collect(),
            scopes: client.scopes.to_string().replace(' ', ", "),
            created: now.moment(client.created_at),
            old: client.old_secret_at(now.at).map(|(hint, end)| (hint.clone(), now.moment(*end))),
        }
    }
}

#[derive(Deserialize)]
pub struct Sought {
    #[serde(default)]
    q: String,
}

pub async fn list(
    who: SignedIn,
    query: Query<ListQuery>,
    sought: Query<Sought>,
    done: Query<Done>,
) -> Result<HttpResponse, PageError> {
    let q = sought.q.trim();
    let (listed, start) = query.into_inner().place(BASE, ClientId::parse);
    let listed = listed.keeping("q", q);
    let place = (start, Order::NewestFirst, Limit::of(listed.size()));
    let found = services::oauth_clients::list(&who.app, &who.caller, (!q.is_empty()).then(|| q.to_owned()), place).await?;
    let now = who.now();
    let page = ClientsPage {
        frame: who.frame(t("OAuth clients"), Place::Clients).with_banner(done.banner()),
        q: q.into(),
        clients: found.rows.iter().map(|client| ClientRow::new(client, &now)).collect(),
        pages: listed.pages(&found, |client| client.id.to_string()),
    };
    Ok(who.ok(&page))
}

pub async fn show(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let client = find(&who, &id).await?;
    let filter = services::grants::Filter { client: Some(client.id), ..Default::default() };
    let newest = (Start::Offset(0), Order::NewestFirst, Limit::of(GRANTS_SHOWN));
    let grants = services::grants::list(&who.app, &who.caller, filter, newest).await?;
    let ids = grants.rows.iter().filter_map(|grant| grant.user_id).chain(client.user_id).collect();
    let users: HashMap<UserId, User> = services::users::find_all(&who.app, &who.caller, ids).await?;
    let email = |id: Option<UserId>| id.and_then(|id| users.get(&id)).map_or("", |user| user.email.as_str());
    let now = who.now();
    let page = ClientPage {
        frame: who.frame(&client.name, Place::Clients).with_banner(done.banner()),
        summary: summary(client.is_public(), email(client.user_id)).into(),
        grants: grants.rows.iter().map(|grant| GrantRow::new(grant, email(grant.user_id), &now)).collect(),
        has_more: grants.has_next,
        client: ClientRow::new(&client, &now),
    };
    Ok(who.ok(&page))
}

fn summary(is_public: bool, owner: &str) -> Message {
    match (is_public, owner) {
        (true, "") => t("Public client, without a secret"),
        (true, owner) => t("Public client, without a secret, owned by {owner}").with("owner", owner),
        (false, "") => t("Confidential client"),
        (false, owner) => t("Confidential client, owned by {owner}").with("owner", owner),
    }
}

pub async fn new(who: SignedIn) -> Result<HttpResponse, PageError> {
    let typed = TypedClient { kind: "confidential".into(), scopes: ScopeSet::default_for_keys(), ..TypedClient::default() };
    Ok(who.ok(&edit_page(&who, None, typed, random_token().to_string(), FormErrors::default())))
}

pub async fn create(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    let (nonce, typed) = (nonce_of(&form)?, TypedClient::of(&form));
    if form.is_stale {
        let mut page = edit_page(&who, None, typed, nonce, FormErrors::default());
        page.frame.banner = Some(Banner::renewed());
        return Ok(who.ok(&page));
    }
    who.must_be_elevated(&form).await?;
    let made = match typed.to_new() {
        Ok(new) => services::oauth_clients::create_by_form(&who.app, &who.caller, new, &nonce).await,
        Err(err) => Err(err),
    };
    match made {
        Ok(Formed::Made(client, Some(secret))) => {
            let told = t("{name} may ask users for access from now on. Copy its secret before you leave this page.");
            let told = told.with("name", &client.name);
            Ok(show_once(&who, &client, (t("Client registered"), told), &secret))
        }
        Ok(Formed::Made(client, None)) => Ok(to(format!("{BASE}/{}", client.id))),
        Ok(Formed::Before(id)) => {
            again(&who, id, t("Already registered"), t("It registered one client, and no second one now.")).await
        }
        Err(err) => {
            let code = status(&err);
            let page = edit_page(&who, None, typed, nonce, FormErrors::of_refusal(err)?);
            Ok(who.page(code, &page))
        }
    }
}

pub async fn edit(who: SignedIn, id: Path<String>) -> Result<HttpResponse, PageError> {
    let client = find(&who, &id).await?;
    let uris: Vec<&str> = client.redirect_uris.iter().map(|uri| uri.as_str()).collect();
    let typed = TypedClient {
        name: client.name.clone(),
        kind: client.kind.name().into(),
        redirect_uris: uris.join("\n"),
        scopes: client.scopes,
    };
    Ok(who.ok(&edit_page(&who, Some(&client), typed, String::new(), FormErrors::default())))
}

pub async fn update(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let client = find(&who, &id).await?;
    let typed = TypedClient { kind: client.kind.name().into(), ..TypedClient::of(&form) };
    if form.is_stale {
        let mut page = edit_page(&who, Some(&client), typed, String::new(), FormErrors::default());
        page.frame.banner = Some(Banner::renewed());
        return Ok(who.ok(&page));
    }
    who.must_be_elevated(&form).await?;
    let saved = match typed.to_changes(client.kind) {
        Ok(changes) => services::oauth_clients::update(&who.app, &who.caller, client.id, changes).await,
        Err(err) => Err(err),
    };
    match saved {
        Ok(client) => Ok(to(format!("{BASE}/{}", client.id))),
        Err(err) => {
            let code = status(&err);
            let page = edit_page(&who, Some(&client), typed, String::new(), FormErrors::of_refusal(err)?);
            Ok(who.page(code, &page))
        }
    }
}

pub async fn show_delete(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let client = find(&who, &id).await?;
    let mut page = delete_page(&who, &client, "", FormErrors::default());
    page.frame.banner = done.banner();
    Ok(who.ok(&page))
}

pub async fn delete(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let client = find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{BASE}/{}/delete?done=renewed", client.id)));
    }
    let typed = form.text("confirm").trim();
    if typed != client.name {
        let err = AppError::invalid("confirm", "different", format!("Type {} to delete the client.", client.name));
        let code = status(&err);
        return Ok(who.page(code, &delete_page(&who, &client, typed, FormErrors::of_refusal(err)?)));
    }
    services::oauth_clients::delete(&who.app, &who.caller, client.id).await?;
    Ok(to(format!("{BASE}?done=client-deleted")))
}

fn delete_page(who: &SignedIn, client: &OauthClient, typed: &str, errors: FormErrors) -> ConfirmPage {
    ConfirmPage {
        frame: who.frame(t("Delete {name}").with("name", &client.name), Place::Clients).faulty(&errors),
        errors,
        back: format!("{BASE}/{}", client.id),
        back_words: client.name.clone(),
        action: format!("{BASE}/{}/delete", client.id),
        lines: vec![
            t("Its tokens stop at once, and what users allowed it is forgotten. Whoever follows its links is told that it is gone.")
                .into(),
        ],
        facts: vec![(msg!("Client id"), client.id.to_string())],
        instead: None,
        typed_label: msg!("Type the name of the client"),
        typed_name: client.name.clone(),
        typed: typed.into(),
        act: msg!("Delete client"),
        final_act: true,
    }
}

async fn find(who: &SignedIn, id: &str) -> Result<OauthClient, AppError> {
    let id = ClientId::parse(id).ok_or(AppError::NotFound("client"))?;
    services::oauth_clients::find(&who.app, &who.caller, id).await
}

fn edit_page(
    who: &SignedIn,
    client: Option<&OauthClient>,
    typed: TypedClient,
    nonce: String,
    errors: FormErrors,
) -> EditClientPage {
    let title = client.map_or_else(|| t("Register a client"), |client| t("Edit {name}").with("name", &client.name));
    let (back, back_words) = match client {
        Some(client) => (format!("{BASE}/{}", client.id), client.name.clone()),
        None => (BASE.into(), t("OAuth clients").into()),
    };
    let choice = |&scope: &Scope| ScopeChoice { name: scope.name(), words: scope.words(), checked: typed.scopes.has(scope) };
    EditClientPage {
        frame: who.frame(title, Place::Clients).faulty(&errors),
        errors,
        scopes: Scope::ALL.iter().map(choice).collect(),
        is_new: client.is_none(),
        nonce,
        action: client.map_or_else(|| BASE.to_owned(), |client| format!("{BASE}/{}/edit", client.id)),
        back,
        back_words,
        typed,
    }
}

impl TypedClient {
    fn of(form: &Posted) -> Self {
        Self {
            name: form.text("name").into(),
            kind: form.text("kind").into(),
            redirect_uris: form.text("redirect_uris").into(),
            scopes: form.all("scope").filter_map(Scope::parse).fold(ScopeSet::EMPTY, ScopeSet::with),
        }
    }

    fn to_new(&self) -> Result<NewClient, AppError> {
        let mut errors = FieldErrors::default();
        let kind = errors.note("kind", ClientKind::parse(&self.kind));
        let ClientChanges { name, redirect_uris, scopes } = self.checked(kind.unwrap_or_default(), errors)?;
        let missing = || AppError::internal("a checked form lacks a field");
        Ok(NewClient {
            name: name.ok_or_else(missing)?,
            kind: kind.ok_or_else(missing)?,
            redirect_uris: redirect_uris.ok_or_else(missing)?,
            scopes: scopes.ok_or_else(missing)?,
            user_id: None,
        })
    }

    fn to_changes(&self, kind: ClientKind) -> Result<ClientChanges, AppError> {
        self.checked(kind, FieldErrors::default())
    }

    /// All of the fields, or everything that is wrong with them.
    fn checked(&self, kind: ClientKind, mut errors: FieldErrors) -> Result<ClientChanges, AppError> {
        let name = errors.note("name", Name::parse(&self.name));
        let redirect_uris = match parse_redirect_uris(self.redirect_uris.lines(), kind) {
            Ok(uris) => Some(uris),
            Err(AppError::Invalid(wrong)) => {
                wrong.as_slice().iter().for_each(|error| errors.add(&error.field, error.code, &error.message));
                None
            }
            Err(err) => return Err(err),
        };
        if self.scopes.is_empty() {
            errors.add("scopes", "required", "Choose at least one scope: without any it could ask for nothing.");
        }
        if !errors.as_slice().is_empty() {
            return Err(AppError::Invalid(errors));
        }
        Ok(ClientChanges { name, redirect_uris, scopes: Some(self.scopes.into()) })
    }
}
