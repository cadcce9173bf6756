//! What OAuth refuses, in the codes of its standards.

use std::time::Duration;

use super::error::AppError;

#[derive(Debug, thiserror::Error)]
pub enum OauthError {
    #[error("{description}")]
    Refused { code: OauthCode, description: String },
    #[error(transparent)]
    App(#[from] AppError),
}

/// RFC 6749 §4.1.2.1 and §5.2
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OauthCode {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedResponseType,
    InvalidScope,
    AccessDenied,
}

impl OauthCode {
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::AccessDenied => "access_denied",
        }
    }

    /// A refusal with words for whoever writes the client.
    pub fn because(self, description: impl Into<String>) -> OauthError {
        OauthError::Refused { code: self, description: description.into() }
    }
}

impl OauthError {
    pub fn code(&self) -> Option<OauthCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::App(_) => None,
        }
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::App(err) => err.retry_after(),
            Self::Refused { .. } => None,
        }
    }
}
