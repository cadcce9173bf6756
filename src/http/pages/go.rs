//! The page that leads anywhere: to a page, to what begins so, to an id. Scripts show it as a palette over any page.

use actix_web::HttpResponse;
use actix_web::web::Query;
use askama::Template;
use serde::Deserialize;

use crate::http::page::{Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{filters, msg, t};
use crate::model::api_key::ApiKey;
use crate::model::look::Look;
use crate::services;
use crate::services::go::{Found, Named};

#[derive(Template)]
#[template(path = "go.html")]
pub struct GoPage {
    pub frame: Frame,
    pub q: String,
    pub is_admin: bool,
    pub groups: Vec<Group>,
    /// What is done here and now, by a form.
    pub themes: Vec<(&'static str, &'static str)>,
    pub shortcuts: bool,
    pub signs_out: bool,
    pub is_nothing: bool,
}

pub struct Group {
    pub words: &'static str,
    pub entries: Vec<Entry>,
}

pub struct Entry {
    pub href: String,
    pub words: String,
    pub detail: String,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    q: String,
}

/// Where one may go: words, path, other words for it, and whether it is for administrators.
const PAGES: &[(&str, &str, &str, bool)] = &[
    (msg!("Overview"), "/admin", "dashboard start home", true),
    (msg!("Requests"), "/admin/requests", "log live tail", true),
    (msg!("Audit log"), "/admin/audit", "history changes who", true),
    (msg!("API keys"), "/admin/keys", "all keys", true),
    (msg!("Keys unused for 30 days"), "/admin/keys?status=unused", "idle", true),
    (msg!("Keys that expire soon"), "/admin/keys?status=expiring", "end", true),
    (msg!("Users"), "/admin/users", "people members", true),
    (msg!("Accounts"), "/admin/accounts", "teams customers suspended", true),
    (msg!("OAuth clients"), "/admin/clients", "apps programs", true),
    (msg!("Webhooks"), "/admin/webhooks", "events deliveries endpoints", true),
    (msg!("Tiers and limits"), "/admin/tiers", "rate quota windows", true),
    (msg!("API conventions"), "/admin/settings/api-conventions", "dialect", true),
    (msg!("Network"), "/admin/settings/network", "proxy tls https certificate address clock", true),
    (msg!("Backup"), "/admin/settings/backup", "restore download verify", true),
    (msg!("Administrators"), "/admin/settings/security", "security second factor required two-factor mfa", true),
    (msg!("Status"), "/status", "health up", false),
    (msg!("My API keys"), "/settings/api-keys", "own", false),
    (msg!("Connected apps"), "/settings/connected-apps", "oauth grants", false),
    (msg!("Usage"), "/settings/usage", "limits left quota", false),
    (msg!("Security"), "/settings/security", "password sessions devices", false),
    (msg!("Settings"), "/settings", "profile time zone theme look shortcuts", false),
    (msg!("API reference"), "/docs", "documentation endpoints errors", false),
];
const CREATE: &[(&str, &str, &str, bool)] = &[
    (msg!("Generate New Key"), "/settings/api-keys/new", "create api", false),
    (msg!("Register an OAuth client"), "/admin/clients/new", "create app", true),
    (msg!("Generate a key for someone else"), "/admin/keys/new", "create api", true),
    (msg!("Add user"), "/admin/users/new", "create person invite", true),
    (msg!("Import users"), "/admin/users/import", "csv create many", true),
    (msg!("Add account"), "/admin/accounts/new", "create team customer", true),
    (msg!("Add webhook"), "/admin/webhooks/new", "create endpoint events", true),
    (msg!("Add tier"), "/admin/tiers/new", "create limits", true),
];

pub async fn go(who: SignedIn, asked: Query<Asked>) -> Result<HttpResponse, PageError> {
    let q = asked.q.trim();
    if let Some(path) = path_of(&who, q)? {
        return Ok(to(path));
    }
    let found = services::go::search(&who.app, &who.caller, q).await?;
    let mut groups = vec![listed(&who, msg!("Go to"), PAGES, q), listed(&who, msg!("Create"), CREATE, q)];
    groups.extend(found_groups(&who, found));
    groups.retain(|group| !group.entries.is_empty());
    let themes: Vec<_> = Look::THEMES
        .into_iter()
        .filter(|theme| matches(q, &["theme", theme.1, &t("Theme: {name}").with("name", t(theme.1)).to_string()]))
        .collect();
    let signs_out = matches(q, &["sign out log out", &t("Sign out").to_string()]);
    let page = GoPage {
        frame: who.frame(t("Go to"), Place::Elsewhere),
        is_nothing: groups.is_empty() && themes.is_empty() && !signs_out,
        q: q.into(),
        is_admin: who.caller.only_user().is_none(),
        groups,
        shortcuts: who.user.look.shortcuts,
        themes,
        signs_out,
    };
    Ok(who.ok(&page))
}

/// Where a search leads that names one thing whole: an id, a request's id, a secret.
pub fn path_of(who: &SignedIn, q: &str) -> Result<Option<String>, PageError> {
    if q.is_empty() {
        return Ok(None);
    }
    let keys = if who.caller.only_user().is_some() { "/settings/api-keys" } else { "/admin/keys" };
    Ok(services::go::named(&who.app, &who.caller, q)?.map(|named| match named {
        Named::Key(id) => format!("{keys}/{id}"),
        Named::User(id) => format!("/admin/users/{id}"),
        Named::Account(id) => format!("/admin/accounts/{id}"),
        Named::Client(id) => format!("/admin/clients/{id}"),
        Named::Webhook(id) => format!("/admin/webhooks/{id}"),
        Named::Delivery(id) => format!("/admin/webhooks/deliveries/{id}"),
        Named::Event(id) => format!("/admin/audit/{id}"),
        Named::Request(id) => format!("/admin/requests/{id}"),
        Named::Hint(hint) => {
            let hint: String = url::form_urlencoded::byte_serialize(hint.as_bytes()).collect();
            format!("{keys}?q={hint}")
        }
    }))
}

fn listed(who: &SignedIn, words: &'static str, all: &[(&str, &str, &str, bool)], q: &str) -> Group {
    let is_admin = who.caller.only_user().is_none();
    let shown = all
        .iter()
        .filter(|(words, _, more, for_admins)| (is_admin || !for_admins) && matches(q, &[words, more, &t(words).to_string()]));
    let entries = shown.map(|(words, href, ..)| Entry { href: (*href).into(), words: t(words).into(), detail: String::new() });
    Group { words, entries: entries.collect() }
}

/// Whether each word that was typed begins a word that is meant.
fn matches(q: &str, meant: &[&str]) -> bool {
    let meant = meant.join(" ").to_lowercase();
    q.to_lowercase().split_whitespace().all(|typed| meant.split(' ').any(|word| word.starts_with(typed)))
}

fn found_groups(who: &SignedIn, found: Found) -> Vec<Group> {
    let keys = if who.caller.only_user().is_some() { "/settings/api-keys" } else { "/admin/keys" };
    let key = |key: ApiKey| Entry { href: format!("{keys}/{}", key.id), words: key.name, detail: key.hint };
    let user = |(id, name, email)| Entry { href: format!("/admin/users/{id}"), words: name, detail: email };
    let account = |(id, name)| Entry { href: format!("/admin/accounts/{id}"), words: name, detail: String::new() };
    let client = |(id, name)| Entry { href: format!("/admin/clients/{id}"), words: name, detail: String::new() };
    let webhook = |(id, url)| Entry { href: format!("/admin/webhooks/{id}"), words: url, detail: String::new() };
    vec![
        Group { words: msg!("API keys"), entries: found.keys.into_iter().map(key).collect() },
        Group { words: msg!("Users"), entries: found.users.into_iter().map(user).collect() },
        Group { words: msg!("Accounts"), entries: found.accounts.into_iter().map(account).collect() },
        Group { words: msg!("OAuth clients"), entries: found.clients.into_iter().map(client).collect() },
        Group { words: msg!("Webhooks"), entries: found.webhooks.into_iter().map(webhook).collect() },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_typed_word_begins_a_word() {
        assert!(
            matches("gen ke", &["Generate New Key", ""]) && matches("", &["x"]) && matches("quota", &["Tiers", "rate quota"])
        );
        assert!(!matches("gen user", &["Generate New Key", ""]));
    }
}
