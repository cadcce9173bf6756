//! Commands that a message tells the person to run: with the program and the data directory as they named them,
//! quoted for a shell.

use super::data::Place;
use super::output::Output;

impl Place<'_> {
    /// `keyrack --data DIR user enable user_…`
    pub fn command<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        // A path is repeated as it was typed, since a newcomer's `./keyrack` is not found without it.
        let mut command = if self.program.contains('/') { quoted(self.program) } else { "keyrack".into() };
        // What comes from the environment is there for the next command, too.
        let in_environment = self.environment.iter().any(|(name, _)| name == "KEYRACK_DATA");
        if let Some(dir) = self.common.data.as_ref().filter(|_| !in_environment) {
            command += &format!(" --data {}", quoted(&dir.display().to_string()));
        }
        for word in words {
            command += &format!(" {}", quoted(word));
        }
        command
    }

    /// Tells how to take back what was just done.
    pub fn undo(&self, out: &Output, words: &[&str]) {
        out.talk(format!("Undo: {}", self.command(words.iter().copied())));
    }
}

/// The same command on another data directory.
pub fn with_data<'a>(place: &Place, dir: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    let program = if place.program.contains('/') { quoted(place.program) } else { "keyrack".into() };
    words.into_iter().fold(format!("{program} --data {dir}"), |command, word| command + " " + word)
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,+=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(quoted("key_01h455"), "key_01h455");
        assert_eq!(quoted("Ada Lovelace"), "'Ada Lovelace'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
