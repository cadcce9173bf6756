//! JSON records out of a file that comes piece by piece: one on each line, or in one array where the first character
//! opens one. Holds no more than one record.

/// The longest record.
pub const MAX_RECORD: usize = 64 << 10;

#[derive(Debug)]
pub struct Splitter {
    at: At,
    /// The line of the next byte, from 1.
    line: usize,
    /// The line on which the record begins.
    began: usize,
    record: Vec<u8>,
    is_too_long: bool,
    /// Within a record of an array: how many brackets are open, and whether it is in a text.
    depth: usize,
    text: Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    Line,
    /// In an array, before a record; whether a comma promised one.
    Before(bool),
    Within,
    /// Behind the array.
    End,
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    Escaped,
}

/// What comes of a piece: a record with the line on which it begins, or what is wrong on a line.
pub type Split<'a> = (usize, Result<&'a [u8], &'static str>);

impl Default for Splitter {
    fn default() -> Self {
        let (at, text) = (At::Start, Text::Outside);
        Self { at, line: 1, began: 1, record: Vec::new(), is_too_long: false, depth: 0, text }
    }
}

impl Splitter {
    pub fn push(&mut self, piece: &[u8], mut each: impl FnMut(Split)) {
        for &byte in piece {
            self.step(byte, &mut each);
            self.line += usize::from(byte == b'\n');
        }
    }

    /// The file is over.
    pub fn finish(mut self, mut each: impl FnMut(Split)) {
        match self.at {
            At::Line => self.emit(&mut each),
            At::Before(_) | At::Within => each((self.line, Err(UNCLOSED))),
            At::Start | At::End | At::Broken => {}
        }
    }

    fn step(&mut self, byte: u8, each: &mut impl FnMut(Split)) {
        let is_space = byte.is_ascii_whitespace();
        match self.at {
            // A byte order mark, which some editors write.
            At::Start if is_space || matches!(byte, 0xef | 0xbb | 0xbf) => {}
            At::Start if byte == b'[' => self.at = At::Before(false),
            At::Start => self.begin(At::Line, byte),
            At::Line if byte == b'\n' => self.emit(each),
            At::Line => {
                if self.record.is_empty() {
                    self.began = self.line;
                }
                self.keep(byte);
            }
            At::Before(_) if is_space => {}
            At::Before(false) if byte == b']' => self.at = At::End,
            At::Before(_) if matches!(byte, b']' | b',') => self.give_up(MISSING, each),
            At::Before(_) => {
                self.begin(At::Within, byte);
                self.follow(byte);
            }
            At::Within if self.text == Text::Outside && self.depth == 0 && matches!(byte, b',' | b']') => {
                self.emit(each);
                self.at = if byte == b',' { At::Before(true) } else { At::End };
            }
            At::Within => {
                self.keep(byte);
                self.follow(byte);
            }
            At::End if !is_space => self.give_up(FOLLOWS, each),
            At::End | At::Broken => {}
        }
    }

    fn begin(&mut self, at: At, byte: u8) {
        (self.at, self.began) = (at, self.line);
        self.keep(byte);
    }

    fn keep(&mut self, byte: u8) {
        if self.record.len() < MAX_RECORD {
            self.record.push(byte);
        } else {
            self.is_too_long = true;
        }
    }

    /// Knows where a record of an array ends.
    fn follow(&mut self, byte: u8) {
        self.text = match (self.text, byte) {
            (Text::Escaped, _) => Text::Inside,
            (Text::Inside, b'\\') => Text::Escaped,
            (Text::Inside, b'"') => Text::Outside,
            (Text::Outside, b'"') => Text::Inside,
            (text, _) => text,
        };
        if self.text == Text::Outside {
            match byte {
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn emit(&mut self, each: &mut impl FnMut(Split)) {
        let record = self.record.trim_ascii();
        if self.is_too_long {
            each((self.began, Err("A record has at most 64 KiB.")));
        } else if !record.is_empty() {
            each((self.began, Ok(record)));
        }
        self.record.clear();
        self.is_too_long = false;
    }

    fn give_up(&mut self, problem: &'static str, each: &mut impl FnMut(Split)) {
        self.at = At::Broken;
        each((self.line, Err(problem)));
    }
}

const UNCLOSED: &str = "This is not valid JSON: the array is not closed.";
const MISSING: &str = "This is not valid JSON: a record is missing here.";
const FOLLOWS: &str = "This is not valid JSON: something follows the array.";

#[cfg(test)]
mod tests {
    use super::*;

    /// The records and problems of a file that comes in pieces of this size.
    fn split(file: &str, size: usize) -> Vec<(usize, Result<String, &'static str>)> {
        let mut found = Vec::new();
        let mut splitter = Splitter::default();
        let mut note = |(line, record): Split| {
            found.push((line, record.map(|bytes| String::from_utf8_lossy(bytes).into_owned())));
        };
        for piece in file.as_bytes().chunks(size) {
            splitter.push(piece, &mut note);
        }
        splitter.finish(&mut note);
        found
    }

    #[test]
    fn records_are_the_same_whatever_the_pieces() {
        let lines = "\u{feff}\n{\"a\":1}\r\n\n  {\"b\":[2,\n{\"c\":3}";
        let array = " [ {\"a\":\"],\\\"}\"} ,\n\n[1,[2]], 7\n]\n";
        for (file, expected) in [
            (lines, vec![(2, "{\"a\":1}"), (4, "{\"b\":[2,"), (5, "{\"c\":3}")]),
            (array, vec![(1, "{\"a\":\"],\\\"}\"}"), (3, "[1,[2]]"), (3, "7")]),
            ("[]", vec![]),
            ("", vec![]),
        ] {
            for size in [1, 2, 7, 1000] {
                let found: Vec<_> =
                    split(file, size).into_iter().map(|(line, record)| (line, record.expect("a record"))).collect();
                assert_eq!(found, expected.iter().map(|&(line, text)| (line, text.to_owned())).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn an_array_that_is_none_is_told_with_its_line() {
        for (file, line) in [("[1,\n2", 2), ("[1,\n]", 2), ("[1]\n\nx", 3), ("[,1]", 1), ("[\"", 1)] {
            let found = split(file, 3);
            let problems: Vec<_> = found.iter().filter(|(_, record)| record.is_err()).collect();
            assert_eq!((problems.len(), problems[0].0), (1, line), "{file}: {found:?}");
        }
    }

    #[test]
    fn a_record_is_bounded() {
        let file = format!("{{\"a\":\"{}\"}}\n{{}}", "x".repeat(2 * MAX_RECORD));
        let found = split(&file, 4096);
        assert_eq!((found[0].0, found[0].1.is_err()), (1, true));
        assert_eq!(found[1], (2, Ok("{}".to_owned())));
    }
}
