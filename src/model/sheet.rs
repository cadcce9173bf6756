//! Cells of a file that people open in a spreadsheet. A text that begins like a formula would be run there, with what
//! somebody typed into their name; behind a quote it is a text.

use std::borrow::Cow;

const STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The cell, behind a quote where it would be taken for a formula.
pub fn cell(text: &str) -> Cow<'_, str> {
    if text.starts_with(STARTS) { format!("'{text}").into() } else { text.into() }
}

/// What stood in the cell before it was quoted.
pub fn uncell(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| rest.starts_with(STARTS)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_become_texts_and_come_back() {
        for text in ["=1+1", "+49 30", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(cell(text), format!("'{text}"));
            assert_eq!(uncell(&cell(text)), text);
        }
        for text in ["Ada", "", "a=b", "'quoted'"] {
            assert_eq!((cell(text).as_ref(), uncell(text)), (text, text));
        }
    }
}
