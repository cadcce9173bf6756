//! One's own settings: who one is, and how the pages look.

use askama::Template;

use crate::http::page::{Frame, Look};

#[derive(Template)]
#[template(path = "settings/index.html")]
pub struct SettingsPage {
    pub frame: Frame,
    pub account: AccountFacts,
    pub themes: [(&'static str, &'static str); 3],
}

pub struct AccountFacts {
    pub name: String,
    pub email: String,
    pub role: &'static str,
    pub account: String,
    pub keys: String,
}

pub const THEMES: [(&str, &str); 3] = Look::THEMES;
