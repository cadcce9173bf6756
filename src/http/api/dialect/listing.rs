//! How a list looks on the wire.

use serde::Serialize;

/// What a list is wrapped in.
#[derive(Clone, Copy, Debug)]
pub enum ListShape {
    BareArray,
}

impl ListShape {
    pub fn wrap(self, rows: &[impl Serialize]) -> String {
        match self {
            Self::BareArray => serde_json::to_string(rows).expect("rows are plain text and numbers"),
        }
    }
}
