//! Signing in and out.

use askama::Template;

use crate::http::page::{FormErrors, Frame};

#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub email: String,
    /// The page to go to afterwards: a path of ours.
    pub next: String,
}
