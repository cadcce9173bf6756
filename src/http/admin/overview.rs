//! The first page of an administrator: what is here, and what is left to do.

use askama::Template;

use super::view::KeyRow;
use crate::http::page::Frame;

#[derive(Template)]
#[template(path = "admin/overview.html")]
pub struct OverviewPage {
    pub frame: Frame,
    pub summary: String,
    pub steps: Vec<Step>,
    pub done_count: usize,
    pub figures: Vec<Figure>,
    /// No request came with a key yet.
    pub waiting: bool,
    pub base_url: String,
    pub recent: Vec<KeyRow>,
}

pub struct Step {
    pub done: bool,
    pub words: &'static str,
    pub hint: String,
    pub href: &'static str,
}

pub struct Figure {
    pub label: &'static str,
    pub value: String,
    pub href: &'static str,
}
