//! The first administrator: the one-time link, its form, and what is shown when the link is gone.

use askama::Template;

use crate::http::page::{FormErrors, Frame};

#[derive(Template)]
#[template(path = "setup/form.html")]
pub struct SetupPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub typed: TypedSetup,
    pub until: String,
    pub asks_zone: bool,
    pub asks_url: bool,
}

#[derive(Clone, Default)]
pub struct TypedSetup {
    pub email: String,
    pub time_zone: String,
    pub public_url: String,
}

#[derive(Template)]
#[template(path = "setup/code.html")]
pub struct CodePage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub code: String,
}

#[derive(Template)]
#[template(path = "setup/gone.html")]
pub struct GonePage {
    pub frame: Frame,
    pub what: String,
    pub set_up: bool,
}
