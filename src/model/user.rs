//! A user: a person in the directory, who may own keys and sign in.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::clock::Timestamp;
use super::email::Email;
use super::error::Problem;
use super::ids::{AccountId, UserId};
use super::look::Look;
use super::name::Name;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub account_id: AccountId,
    pub name: String,
    pub email: String,
    pub role: Role,
    pub status: UserStatus,
    /// An IANA name: the zone in which the dashboard shows times.
    pub time_zone: String,
    pub look: Look,
    /// Without one they cannot sign in yet.
    pub has_password: bool,
    /// Whether signing in takes more than the password.
    pub has_second_factor: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows with every change; what ETags are made of.
    pub revision: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Admin,
    Member,
}

impl Role {
    pub fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "admin" => Ok(Self::Admin),
            "member" => Ok(Self::Member),
            _ => Err(Problem::new("invalid_choice", "`role` must be `admin` or `member`.")),
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStatus {
    Active,
    Disabled,
}

impl UserStatus {
    pub fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "active" => Ok(Self::Active),
            "disabled" => Ok(Self::Disabled),
            _ => Err(Problem::new("invalid_choice", "`status` must be `active` or `disabled`.")),
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// What users are sorted by, besides the time of their creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserText {
    Name,
    Email,
}

/// What is needed to create a user.
#[derive(Clone, Debug)]
pub struct NewUser {
    pub name: Name,
    pub email: Email,
    /// None: this user cannot sign in until a password is set.
    pub password: Option<Password>,
    /// None: the caller's own account.
    pub account_id: Option<AccountId>,
    pub role: Role,
    pub time_zone: Option<String>,
}

/// The fields to change; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct UserChanges {
    pub name: Option<Name>,
    pub email: Option<Email>,
    pub password: Option<Password>,
    pub role: Option<Role>,
    pub status: Option<UserStatus>,
    pub time_zone: Option<String>,
}

/// A time zone by its IANA name, for example `Europe/Berlin`.
pub fn parse_time_zone(text: &str) -> Result<String, Problem> {
    let known = jiff::tz::TimeZone::get(text.trim());
    known
        .ok()
        .and_then(|zone| zone.iana_name().map(str::to_owned))
        .ok_or_else(|| Problem::new("unknown_time_zone", "Enter a time zone by its name, for example Europe/Berlin or UTC."))
}

/// A password as a person typed it, in NFC, within its bounds and not a common one. Never printed; wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    pub const MIN_CHARS: usize = 8;
    pub const MAX_CHARS: usize = 256;

    /// A password for a new or changed user. `is_common` knows the passwords that are guessed first.
    pub fn parse(typed: &str, is_common: impl Fn(&str) -> bool) -> Result<Self, Problem> {
        let password = Self::typed(typed);
        let chars = password.0.chars().count();
        if chars == 0 {
            return Err(Problem::new("required", "Enter a password."));
        }
        if chars < Self::MIN_CHARS {
            return Err(Problem::new("too_short", format!("Password must be at least {} characters long.", Self::MIN_CHARS)));
        }
        if chars > Self::MAX_CHARS {
            return Err(Problem::new("too_long", format!("Password must be at most {} characters long.", Self::MAX_CHARS)));
        }
        if is_common(&password.0) {
            return Err(Problem::new("common_password", "This password is one of the first that are guessed. Choose another."));
        }
        Ok(password)
    }

    /// A password to be checked, whatever it is: what is too long to be one becomes empty, so that it costs nothing.
    pub fn typed(typed: &str) -> Self {
        // Four bytes a character, and what NFC may shorten.
        if typed.len() > Self::MAX_CHARS * 12 {
            return Self(Zeroizing::default());
        }
        Self(Zeroizing::new(typed.nfc().collect()))
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_counted_in_characters_after_nfc() {
        let parse = |text: &str| Password::parse(text, |common| common == "password1");
        assert!(parse("securepassword123").is_ok());
        assert_eq!(parse("short").expect_err("short").message, "Password must be at least 8 characters long.");
        assert_eq!(parse(&"e\u{301}".repeat(7)).expect_err("7 characters").code, "too_short");
        assert!(parse(&"e\u{301}".repeat(8)).is_ok());
        assert!(parse(&"é".repeat(256)).is_ok());
        assert_eq!(parse(&"é".repeat(257)).expect_err("257 characters").code, "too_long");
        assert_eq!(parse("password1").expect_err("common").code, "common_password");
    }
}
