//! The users of this server, for administrators: list, add, show, edit, disable, delete.

use askama::Template;

use super::view::{KeyRow, Pages, UserRow};
use crate::http::page::{FormErrors, Frame};

#[derive(Template)]
#[template(path = "admin/users/list.html")]
pub struct UsersPage {
    pub frame: Frame,
    pub summary: String,
    pub q: String,
    pub sort: String,
    pub sort_is_set: bool,
    pub order_words: &'static str,
    pub columns: Vec<Column>,
    pub users: Vec<UserRow>,
    pub pages: Pages,
}

pub struct Column {
    pub words: &'static str,
    /// Empty: this column is not sorted by.
    pub href: String,
    /// `ascending`, `descending`, or empty.
    pub sorted: &'static str,
}

#[derive(Template)]
#[template(path = "admin/users/show.html")]
pub struct UserPage {
    pub frame: Frame,
    pub user: UserRow,
    pub keys: Vec<KeyRow>,
}

#[derive(Template)]
#[template(path = "admin/users/edit.html")]
pub struct EditUserPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub typed: TypedUser,
    pub action: String,
    pub back: String,
    pub back_words: String,
    pub is_new: bool,
    /// The id of the user who has the address already.
    pub taken_by: Option<String>,
}

#[derive(Clone, Default)]
pub struct TypedUser {
    pub name: String,
    pub email: String,
    pub role: String,
}
