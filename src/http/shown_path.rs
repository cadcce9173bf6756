//! A path as logs show it: without what opens something, or may be a secret that somebody put there by mistake.

/// No part of a path of ours is this long, and every secret is longer.
const LONGEST_PART: usize = 40;
/// Pages behind a code.
const LINKS: [&str; 2] = ["/invite/", "/setup/"];

pub fn shown_path(path: &str) -> String {
    if let Some(link) = LINKS.into_iter().find(|link| path.starts_with(link)) {
        return format!("{link}…");
    }
    if path.split('/').all(|part| part.len() <= LONGEST_PART) {
        return path.to_owned();
    }
    let blotted = path.split('/').map(|part| if part.len() > LONGEST_PART { "[hidden]" } else { part });
    blotted.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_a_path_is_not_shown() {
        assert_eq!(shown_path("/v1/users/user_01h455vb4pex5vsknk084sn02q"), "/v1/users/user_01h455vb4pex5vsknk084sn02q");
        assert_eq!(shown_path(&format!("/v1/keys/kr_{}/usage", "x".repeat(49))), "/v1/keys/[hidden]/usage");
        assert_eq!(shown_path("/setup/7Q4K-M2XD-9FWP"), "/setup/…");
    }
}
