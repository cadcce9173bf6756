//! What a credential may do. Said once here; the API, the dashboard and the documents read this list.

use std::fmt;

use super::error::{AppError, Problem, Result};
use super::language::msg;

macro_rules! scopes {
    ($($variant:ident $name:literal $words:expr,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Scope { $($variant,)* }

        impl Scope {
            pub const ALL: &[Scope] = &[$(Scope::$variant,)*];

            pub const fn name(self) -> &'static str {
                match self { $(Scope::$variant => $name,)* }
            }

            /// The scope in words for people.
            pub const fn words(self) -> &'static str {
                match self { $(Scope::$variant => $words,)* }
            }
        }
    };
}

scopes! {
    UsersRead "users:read" msg!("read users"),
    UsersWrite "users:write" msg!("create, change and delete users"),
    KeysRead "keys:read" msg!("read API keys, never their secrets"),
    KeysWrite "keys:write" msg!("create, rotate and revoke API keys"),
    KeysVerify "keys:verify" msg!("check other keys for a service"),
    WebhooksRead "webhooks:read" msg!("read webhooks and their deliveries"),
    WebhooksWrite "webhooks:write" msg!("create, change and delete webhooks"),
    AuditRead "audit:read" msg!("read the audit log"),
    Admin "admin" msg!("do everything, in every account"),
}

impl Scope {
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.name() == name)
    }

    /// Scopes that only an administrator's credential may hold.
    pub const fn is_for_admins(self) -> bool {
        matches!(self, Self::Admin | Self::AuditRead)
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of scopes. `admin` implies all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(u16);

impl ScopeSet {
    pub const EMPTY: Self = Self(0);

    pub fn of(scopes: &[Scope]) -> Self {
        scopes.iter().fold(Self::EMPTY, |set, &scope| set.with(scope))
    }

    /// What a new key may do when nothing was said: `users:read`.
    pub fn default_for_keys() -> Self {
        Self::of(&[Scope::UsersRead])
    }

    /// All that a member of an account may hold.
    pub fn for_members() -> Self {
        Scope::ALL.iter().filter(|scope| !scope.is_for_admins()).fold(Self::EMPTY, |set, &scope| set.with(scope))
    }

    fn ending_in(endings: &[&str]) -> Self {
        let named = |scope: &&Scope| endings.iter().any(|end| scope.name().ends_with(end));
        Scope::ALL.iter().filter(named).fold(Self::EMPTY, |set, &scope| set.with(scope))
    }

    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both sets allow: `admin` on one side leaves the other as it is.
    pub fn both(self, other: Self) -> Self {
        let common = Scope::ALL.iter().filter(|&&scope| self.allows(scope) && other.allows(scope));
        common.fold(Self::EMPTY, |set, &scope| set.with(scope))
    }

    /// Whether this set allows what needs `scope`.
    pub const fn allows(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    /// What of `wanted` this set does not allow.
    pub fn lacks(self, wanted: Self) -> Self {
        wanted.iter().filter(|&scope| !self.allows(scope)).fold(Self::EMPTY, Self::with)
    }

    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.0 & scope.bit() != 0)
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Fails with the scopes that are missing.
    pub fn must_cover(self, wanted: Self) -> Result<()> {
        let lacking = self.lacks(wanted);
        if lacking.is_empty() { Ok(()) } else { Err(AppError::ScopeBeyondCaller(lacking)) }
    }
}

/// Scopes as someone asked for them: by name, or by the short words `read` (all `*:read`) and `write` (all `*:read` and
/// `*:write`), which stand for as much as the one who asks may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopesAsked {
    named: ScopeSet,
    short: ScopeSet,
}

impl ScopesAsked {
    /// What `write` asks for: all that reads and writes, as far as one may have it.
    pub fn read_and_write() -> Self {
        Self { named: ScopeSet::EMPTY, short: ScopeSet::ending_in(&[":read", ":write"]) }
    }

    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Problem> {
        let mut asked = Self::default();
        for name in names {
            match name {
                "read" => asked.short = asked.short.union(ScopeSet::ending_in(&[":read"])),
                "write" => asked.short = asked.short.union(Self::read_and_write().short),
                _ => asked.named = asked.named.with(Scope::parse(name).ok_or_else(|| unknown(name))?),
            }
        }
        Ok(asked)
    }

    /// The scopes meant by one who may have `allowed`. Those asked for by name stay in, allowed or not, so that asking
    /// too much is an error and never a silent loss.
    pub fn within(self, allowed: ScopeSet) -> ScopeSet {
        self.short.iter().filter(|&scope| allowed.allows(scope)).fold(self.named, ScopeSet::with)
    }
}

impl From<ScopeSet> for ScopesAsked {
    fn from(named: ScopeSet) -> Self {
        Self { named, short: ScopeSet::EMPTY }
    }
}

fn unknown(name: &str) -> Problem {
    let names = Scope::ALL.iter().map(|scope| scope.name());
    let near = names.clone().max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
    let hint = near.filter(|near| strsim::jaro(near, name) > 0.8).map(|near| format!(" Did you mean `{near}`?"));
    let all = names.collect::<Vec<_>>().join(", ");
    let shown: String = name.chars().take(60).collect();
    Problem::new("unknown_scope", format!("There is no scope `{shown}`.{} The scopes are: {all}.", hint.unwrap_or_default()))
}

/// The names, separated by spaces (RFC 6749 §3.3).
impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, scope) in self.iter().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.name())?;
        }
        Ok(())
    }
}

impl serde::Serialize for ScopeSet {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.iter().map(Scope::name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_and_write_are_short_for_what_one_may_have() {
        let asked = |name| ScopesAsked::parse([name]).expect("scopes");
        let member = ScopeSet::for_members();
        assert_eq!(asked("read").within(member).to_string(), "users:read keys:read webhooks:read");
        let admin = ScopeSet::of(&[Scope::Admin]);
        assert_eq!(asked("read").within(admin).to_string(), "users:read keys:read webhooks:read audit:read");
        assert_eq!(
            asked("write").within(member).to_string(),
            "users:read users:write keys:read keys:write webhooks:read webhooks:write"
        );
        assert!(asked("audit:read").within(member).has(Scope::AuditRead), "named: kept, to be refused");
    }

    #[test]
    fn admin_allows_everything() {
        let admin = ScopeSet::of(&[Scope::Admin]);
        assert!(Scope::ALL.iter().all(|&scope| admin.allows(scope)));
        assert!(admin.must_cover(ScopeSet::for_members()).is_ok());
    }

    #[test]
    fn an_unknown_scope_gets_a_suggestion() {
        let problem = ScopesAsked::parse(["user:read"]).expect_err("unknown");
        assert!(problem.message.contains("Did you mean `users:read`?"), "{}", problem.message);
    }
}
