//! The passwords that are guessed first. The list is Royce Williams' (public domain, as Django carries it), less those
//! that are too short to be a password here.

const LIST: &str = include_str!("common_passwords.txt");

/// Whether the password, in whatever case, is on the list.
pub fn is_common(password: &str) -> bool {
    let folded = password.to_lowercase();
    LIST.lines().any(|common| common == folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_knows_the_usual_ones_in_any_case() {
        assert!(is_common("password1") && is_common("PassWord1") && is_common("qwertyuiop"));
        assert!(!is_common("securepassword123"), "the API's own example must pass");
    }
}
