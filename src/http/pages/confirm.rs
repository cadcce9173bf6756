//! The page that asks before something is done: what it does to whom, the way back, and one button that names the act.

use askama::Template;

use crate::http::page::{FormErrors, Frame, Link};
use crate::http::words::filters;

#[derive(Template)]
#[template(path = "parts/confirm.html")]
pub struct ConfirmPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub back: String,
    pub back_words: String,
    pub action: String,
    /// What will happen, a paragraph each.
    pub lines: Vec<String>,
    pub facts: Vec<(&'static str, String)>,
    /// A milder act, offered first.
    pub instead: Option<Link>,
    /// The label of the field in which a name has to be typed; empty: nothing has to be.
    pub typed_label: &'static str,
    pub typed_name: String,
    pub typed: String,
    pub act: &'static str,
    /// It cannot be undone.
    pub final_act: bool,
}
