//! What commands print: for people a table or a few lines, with `--json` one JSON value.

use std::io::{IsTerminal, Write};

use anyhow::Result;
use serde::Serialize;

use super::Common;

pub struct Output {
    pub json: bool,
    pub yes: bool,
    /// Someone is there to answer.
    pub interactive: bool,
    pub quiet: bool,
    pub color: bool,
}

impl Output {
    pub fn new(common: &Common, environment: &[(String, String)]) -> Self {
        let set = |wanted: &str| environment.iter().find(|(name, _)| name == wanted).is_some_and(|(_, value)| !value.is_empty());
        let dumb = environment.iter().any(|(name, value)| name == "TERM" && value == "dumb");
        Self {
            json: common.json,
            yes: common.yes,
            interactive: !common.no_input && std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
            quiet: common.quiet,
            color: !common.no_color && !set("NO_COLOR") && !dumb,
        }
    }

    /// The result: JSON when asked for, else what `people` prints.
    pub fn result(&self, value: &impl Serialize, people: impl FnOnce() -> String) -> Result<()> {
        let mut text = if self.json { serde_json::to_string_pretty(value)? } else { people() };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        self.raw(text.as_bytes())
    }

    pub fn raw(&self, bytes: &[u8]) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes)?;
        Ok(stdout.flush()?)
    }

    /// Talk, for a person who follows along.
    pub fn talk(&self, words: impl AsRef<str>) {
        if !self.quiet {
            // What was done stays done, whether or not anyone listens.
            let _ = writeln!(std::io::stderr(), "{}", words.as_ref());
        }
    }

    /// What a warning or the most important line looks like on a terminal.
    pub fn bold(&self, text: &str) -> String {
        if self.color && std::io::stderr().is_terminal() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Columns as wide as their widest cell, two blanks apart.
    pub fn table<const N: usize>(&self, head: [&str; N], rows: &[[String; N]]) -> String {
        let mut widths = head.map(|cell| cell.chars().count());
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |cells: [&str; N]| {
            let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let head = line(head);
        let head =
            if self.color && std::io::stdout().is_terminal() { format!("\x1b[1m{}\x1b[0m\n", head.trim_end()) } else { head };
        rows.iter().fold(head, |text, row| text + &line(row.each_ref().map(String::as_str)))
    }
}

/// Names and values one under the other.
pub fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    fields.iter().fold(String::new(), |text, (name, value)| text + format!("{name:width$}  {value}").trim_end() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let out = Output { json: false, yes: false, interactive: false, quiet: false, color: false };
        let table = out.table(["NAME", "TIER"], &[["Ärzte".into(), "Free".into()], ["a".into(), String::new()]]);
        assert_eq!(table, "NAME   TIER\nÄrzte  Free\na\n");
        assert_eq!(fields(&[("id", "1".into()), ("name", "Ada".into())]), "id    1\nname  Ada\n");
    }
}
