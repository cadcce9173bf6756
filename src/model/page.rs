//! Pages of a list: by offset, or by keyset (after or before an id), which costs the same at any depth.

use super::error::{FieldErrors, Problem};

/// How many rows a page may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    pub const MAX: u32 = 100;
    pub const DEFAULT: Self = Self(20);
    /// For lists that come without paging: more rows than this are no answer to one request.
    pub const WHOLE: Self = Self(10_000);
    /// For going through a whole list, batch after batch.
    pub const BATCH: Self = Self(500);

    /// Out of range is refused, never clamped.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        text.parse()
            .ok()
            .filter(|n| (1..=Self::MAX).contains(n))
            .map(Self)
            .ok_or_else(|| Problem::new("out_of_range", format!("`limit` must be a whole number from 1 to {}.", Self::MAX)))
    }

    pub const fn get(self) -> u32 {
        self.0
    }

    /// For a page of our own, whose size is known to be in range.
    pub const fn of(rows: u32) -> Self {
        assert!(rows >= 1 && rows <= Self::MAX);
        Self(rows)
    }
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<Id> {
    Offset(u64),
    /// The rows that follow this one in the list's order.
    After(Id),
    /// The rows that lead up to this one in the list's order.
    Before(Id),
}

impl<Id> Start<Id> {
    /// The deepest offset: past it, use `after`.
    pub const MAX_OFFSET: u64 = 1_000_000;

    /// Reads `offset`, `after` and `before`, of which one at most may be given. An id that cannot exist begins
    /// nowhere and is refused.
    pub fn parse(
        offset: Option<&str>,
        after: Option<&str>,
        before: Option<&str>,
        id: impl Fn(&str) -> Option<Id>,
        errors: &mut FieldErrors,
    ) -> Self {
        if [offset, after, before].iter().flatten().count() > 1 {
            errors.add("offset", "conflict", "Send one of `offset`, `after` and `before`.");
            return Self::Offset(0);
        }
        if let Some(text) = offset {
            let offset = text.parse().ok().filter(|&n| n <= Self::MAX_OFFSET);
            let wrong = || format!("`offset` must be a whole number from 0 to {}. Use `after` to go deeper.", Self::MAX_OFFSET);
            let offset = errors.note("offset", offset.ok_or_else(|| Problem::new("out_of_range", wrong())));
            return Self::Offset(offset.unwrap_or(0));
        }
        let (field, text) = match (after, before) {
            (Some(text), _) => ("after", text),
            (_, Some(text)) => ("before", text),
            _ => return Self::Offset(0),
        };
        let Some(id) = id(text) else {
            errors.add(field, "invalid_cursor", format!("`{field}` must be the id of a row of this list."));
            return Self::Offset(0);
        };
        if after.is_some() { Self::After(id) } else { Self::Before(id) }
    }
}

/// One page, in the list's order.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub rows: Vec<T>,
    pub has_prev: bool,
    pub has_next: bool,
    /// How many rows the whole list has; only where no filter was given.
    pub total: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    OldestFirst,
    NewestFirst,
}

impl Order {
    pub fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "created_at" => Ok(Self::OldestFirst),
            "-created_at" => Ok(Self::NewestFirst),
            _ => Err(Problem::new("invalid_choice", "`sort` must be `created_at` or `-created_at`.")),
        }
    }

    pub const fn reversed(self) -> Self {
        match self {
            Self::OldestFirst => Self::NewestFirst,
            Self::NewestFirst => Self::OldestFirst,
        }
    }
}
