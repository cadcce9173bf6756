//! OAuth 2.0, as its standards have it: each test of a requirement is named after its section.

mod authorize;
mod flow;
mod metadata;
mod misuse;
mod pages;
mod rfc6749;
mod tokens;
