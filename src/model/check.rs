//! Something looked at for whoever runs the server: what was found, why it matters, and how to mend it.

use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub state: CheckState,
    pub found: String,
    /// Why it matters; empty when there is nothing to mend.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub why: &'static str,
    /// The exact line to run or to write.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    Ok,
    Warning,
    Failed,
}

impl CheckState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

impl Check {
    pub fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: CheckState::Ok, found: found.into(), why: "", fix: String::new() }
    }

    pub fn warning(name: &'static str, found: impl Into<String>, why: &'static str, fix: impl Into<String>) -> Self {
        Self { name, state: CheckState::Warning, found: found.into(), why, fix: fix.into() }
    }

    pub fn failed(name: &'static str, found: impl Into<String>, why: &'static str, fix: impl Into<String>) -> Self {
        Self { state: CheckState::Failed, ..Self::warning(name, found, why, fix) }
    }
}
