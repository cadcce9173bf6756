//! Which state of a thing a change was meant for.

use super::error::{AppError, Result};

/// The revisions that a change accepts: what `If-Match` named (RFC 9110 §13.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IfMatch(Option<Vec<i64>>);

impl IfMatch {
    /// Whatever the state is.
    pub const ANY: Self = Self(None);

    pub fn one_of(revisions: Vec<i64>) -> Self {
        Self(Some(revisions))
    }

    pub fn check(&self, revision: i64) -> Result<()> {
        match &self.0 {
            Some(accepted) if !accepted.contains(&revision) => Err(AppError::PreconditionFailed),
            _ => Ok(()),
        }
    }
}
