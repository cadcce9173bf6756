//! What a client puts behind a scheme: a bearer's secret (RFC 6750 §2.1), or a client's id and secret (RFC 6749 §2.3.1).

use data_encoding::BASE64;

use super::params::decoded;

/// The secret behind `Bearer`.
pub fn bearer(header: &str) -> Option<&str> {
    of_scheme(header.trim_start(), "bearer").filter(|secret| !secret.is_empty())
}

/// The secret in a header of its own, which some clients put behind `Bearer` there too.
pub fn bare(header: &str) -> Option<&str> {
    let text = header.trim();
    Some(of_scheme(text, "bearer").unwrap_or(text)).filter(|secret| !secret.is_empty())
}

/// Id and secret behind `Basic`, each encoded like a form's field before they were joined.
pub fn basic(header: &str) -> Option<(String, String)> {
    let pair = BASE64.decode(of_scheme(header, "basic")?.as_bytes()).ok()?;
    let at = pair.iter().position(|&byte| byte == b':')?;
    let text = |bytes: &[u8]| String::from_utf8(decoded(bytes)).ok();
    Some((text(&pair[..at])?, text(&pair[at + 1..])?))
}

fn of_scheme<'h>(header: &'h str, wanted: &str) -> Option<&'h str> {
    let (scheme, rest) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case(wanted).then(|| rest.trim())
}
