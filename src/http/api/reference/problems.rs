//! What an operation may refuse, and how that is told: as the dialect has it, or below `/oauth/` as RFC 6749 has it.

use super::{Group, Reference};
use crate::http::api::dialect::{Dialect, examples};
use crate::http::oauth_refusal::examples as oauth;
use crate::model::dialect::DialectName;

pub struct Problem {
    /// The native code, under which it is explained.
    pub native: &'static str,
    /// The code that clients get.
    pub code: &'static str,
    pub status: u16,
    /// The body, indented.
    pub body: String,
}

/// In the order of their statuses.
pub fn of(reference: &Reference, dialect: DialectName, base_url: &str) -> Vec<Problem> {
    let mut problems = if reference.group == Group::Oauth { of_oauth(reference) } else { of_api(reference, dialect, base_url) };
    problems.sort_by_key(|problem| problem.status);
    problems
}

fn of_api(reference: &Reference, dialect: DialectName, base_url: &str) -> Vec<Problem> {
    let codes = reference.all_errors().into_iter();
    let told = codes.filter(|code| *code != "1010" || Dialect::of(dialect).user_agent_required).filter_map(|native| {
        let error = examples::under(DialectName::Native, native).into_iter().next()?;
        let (status, body) = examples::answer(dialect, &error, base_url);
        Some(Problem { native, code: examples::code(dialect, &error), status, body })
    });
    told.collect()
}

fn of_oauth(reference: &Reference) -> Vec<Problem> {
    let told = oauth::each().into_iter().filter(|example| example.at.contains(&reference.operation.id));
    told.map(|example| {
        let (status, body) = example.answer();
        let code = example.code();
        Problem { native: code, code, status, body }
    })
    .collect()
}
