//! The pages: sign-in, first set-up, one's own settings, and the dashboard of administrators.

pub mod api_keys;
pub mod confirm;
pub mod overview;
#[cfg(test)]
mod gallery;
pub mod settings;
pub mod setup;
pub mod sign_in;
pub mod users;
pub mod view;
