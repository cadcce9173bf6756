//! OAuth 2.0, as its standards have it: each test of a requirement is named after its section.

mod authorize;
mod flow;
mod misuse;
mod rfc6749;
mod tokens;
