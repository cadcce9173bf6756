//! `keyrack client`: OAuth clients.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::ask;
use super::data::{Opened, Place};
use super::failure::Failure;
use super::output::{Output, fields};
use super::values;
use crate::crypto::Secret;
use crate::model::AppError;
use crate::model::api_key::Overlap;
use crate::model::caller::Caller;
use crate::model::ids::ClientId;
use crate::model::name::Name;
use crate::model::oauth_client::{ClientKind, NewClient, OauthClient, parse_redirect_uris};
use crate::model::page::{Limit, Order, Start};
use crate::model::scope::{ScopeSet, ScopesAsked};
use crate::services::{oauth_clients, users};

#[derive(Subcommand)]
pub enum ClientCommand {
    /// All clients, oldest first
    List,
    /// Register a client and print its secret, once
    Create(CreateArgs),
    /// Give a client a new secret and print it, once
    RotateSecret {
        /// The client's id
        id: String,
        /// How long the old secret works on, for example 24h; 0s: not at all
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = values::overlap)]
        overlap: Overlap,
    },
    /// Delete a client; its tokens stop at once
    Delete {
        /// The client's id
        id: String,
    },
}

#[derive(Args)]
pub struct CreateArgs {
    /// What users know it by
    #[arg(value_parser = values::name)]
    name: Name,
    /// Where users are sent back to; may be repeated
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// It runs where everyone can look into it, and has no secret
    #[arg(long)]
    public: bool,
    #[arg(long = "scope", value_name = "SCOPE", value_parser = values::scope, value_delimiter = ',')]
    #[arg(help = values::scope_help("What it may ask for", "read and write"))]
    scopes: Vec<String>,
}

pub fn run(place: &Place, command: ClientCommand, out: &Output) -> Result<()> {
    let open = place.open(out)?;
    let caller = Caller::command_line();
    match command {
        ClientCommand::List => list(&open, out),
        ClientCommand::Create(args) => create(place, &open, args, out),
        ClientCommand::RotateSecret { id, overlap } => {
            let client = find(&open, &id)?;
            let (client, secret) = open.run(oauth_clients::rotate(&open.app, &caller, client.id, overlap))?;
            print(&client, Some(&secret), out)?;
            match &client.old_secret {
                Some((hint, end)) => out.talk(format!("The old secret ({hint}) works until {end}.")),
                None => out.talk("The old secret no longer works."),
            }
            Ok(())
        }
        ClientCommand::Delete { id } => {
            let client = find(&open, &id)?;
            let words =
                format!("Delete the client {} with everything that users allowed it? This cannot be undone.", client.name);
            ask::confirm(out, &words)?;
            let client = open.run(oauth_clients::delete(&open.app, &caller, client.id))?;
            out.result(&body(&client), || {
                format!("Deleted the client {}. Running servers refuse its tokens within two seconds.", client.name)
            })
        }
    }
}

fn list(open: &Opened, out: &Output) -> Result<()> {
    let (caller, mut start, mut all) = (Caller::command_line(), Start::Offset(0), Vec::new());
    loop {
        let place = (start, Order::OldestFirst, Limit::of(Limit::MAX));
        let page = open.run(oauth_clients::list(&open.app, &caller, None, place))?;
        all.extend(page.rows);
        match all.last() {
            Some(last) if page.has_next => start = Start::After(last.id),
            _ => break,
        }
    }
    out.result(&all.iter().map(body).collect::<Vec<_>>(), || {
        let rows = all.iter().map(|client| {
            [
                client.id.to_string(),
                client.name.clone(),
                client.kind.name().into(),
                client.hint.clone(),
                client.scopes.to_string(),
            ]
        });
        out.table(["CLIENT ID", "NAME", "KIND", "SECRET", "SCOPES"], &rows.collect::<Vec<_>>())
    })
}

fn create(place: &Place, open: &Opened, args: CreateArgs, out: &Output) -> Result<()> {
    let kind = if args.public { ClientKind::Public } else { ClientKind::Confidential };
    let redirect_uris = parse_redirect_uris(args.redirect_uris.iter().map(String::as_str), kind)?;
    let scopes = if args.scopes.is_empty() {
        ScopesAsked::read_and_write().within(ScopeSet::for_members()).into()
    } else {
        ScopesAsked::parse(args.scopes.iter().map(String::as_str)).map_err(|problem| problem.of("scope"))?
    };
    let owner = open.run(users::first_admin(&open.app))?.ok_or_else(|| {
        Failure::failed(format!(
            "There is no administrator yet to own the client.\nMake one: {}",
            place.command(["admin", "create", "--email", "NAME@EXAMPLE.COM"])
        ))
    })?;
    let new = NewClient { name: args.name, kind, redirect_uris, scopes, user_id: Some(owner.id) };
    let (client, secret) = open.run(oauth_clients::create(&open.app, &Caller::command_line(), new))?;
    print(&client, secret.as_ref(), out)?;
    place.undo(out, &["client", "delete", &client.id.to_string()]);
    Ok(())
}

fn find(open: &Opened, id: &str) -> Result<OauthClient> {
    let unknown = || Failure::not_found(format!("There is no client {id}.\nAll of them: keyrack client list"));
    let client = ClientId::parse(id).ok_or_else(unknown)?;
    open.run(oauth_clients::find(&open.app, &Caller::command_line(), client)).map_err(|err| match err.downcast_ref() {
        Some(AppError::NotFound(_)) => unknown(),
        _ => err,
    })
}

fn print(client: &OauthClient, secret: Option<&Secret>, out: &Output) -> Result<()> {
    let mut shown = body(client);
    shown["client_secret"] = json!(secret.map(Secret::expose));
    out.result(&shown, || {
        let uris: Vec<&str> = client.redirect_uris.iter().map(|uri| uri.as_str()).collect();
        let mut rows = vec![
            ("client_id", client.id.to_string()),
            ("name", client.name.clone()),
            ("kind", client.kind.name().into()),
            ("redirect_uris", uris.join(" ")),
            ("scopes", client.scopes.to_string()),
        ];
        rows.extend(secret.map(|secret| ("client_secret", secret.expose().to_owned())));
        fields(&rows)
    })?;
    if secret.is_some() {
        out.talk("Keep the secret now: it is not shown again.");
    }
    Ok(())
}

fn body(client: &OauthClient) -> Value {
    json!({
        "client_id": client.id,
        "name": client.name,
        "kind": client.kind.name(),
        "redirect_uris": client.redirect_uris.iter().map(|uri| uri.as_str()).collect::<Vec<_>>(),
        "scopes": client.scopes,
        "hint": client.hint,
        "created_at": client.created_at,
        "updated_at": client.updated_at,
    })
}
