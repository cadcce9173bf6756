//! Filtered pages, put together from fixed fragments; what a client sent is only ever a bound value.

use rusqlite::{Connection, Row, ToSql};

use crate::model::Result;
use crate::model::page::{Limit, Order, Page, Start};

/// What a page is cut from: conditions that all must hold.
#[derive(Default)]
pub struct Conditions {
    sql: Vec<String>,
    values: Vec<Box<dyn ToSql>>,
}

impl Conditions {
    /// Adds a condition, with `{}` where its value goes.
    pub fn add(&mut self, fragment: &'static str, value: impl ToSql + 'static) {
        self.values.push(Box::new(value));
        self.sql.push(fragment.replace("{}", &format!("${}", self.values.len())));
    }

    /// Adds a condition on the beginning of a folded text.
    pub fn begins(&mut self, fragment: &'static str, start: &str) {
        let (low, high) = (self.values.len() + 1, self.values.len() + 2);
        self.values.push(Box::new(start.to_owned()));
        // No text that begins so sorts after this one.
        self.values.push(Box::new(format!("{start}\u{10ffff}")));
        self.sql.push(fragment.replace("{low}", &format!("${low}")).replace("{high}", &format!("${high}")));
    }
}

/// One page of the rows that meet the conditions, ordered by id, which is by time of creation.
pub fn page<T, Id: ToSql + 'static>(
    conn: &Connection,
    select: &str,
    id: &'static str,
    mut conditions: Conditions,
    (start, order, limit): (Start<Id>, Order, Limit),
    from_row: impl Fn(&Row) -> rusqlite::Result<T>,
) -> Result<Page<T>> {
    let newest_first = order == Order::NewestFirst;
    // `before` is read backwards from its row, then turned round.
    let backwards = matches!(start, Start::Before(_));
    let descending = newest_first != backwards;
    let mut skip = 0;
    let mut has_cursor = false;
    match start {
        Start::Offset(offset) => skip = offset,
        Start::After(row) | Start::Before(row) => {
            has_cursor = true;
            conditions.values.push(Box::new(row));
            let sign = if descending { '<' } else { '>' };
            conditions.sql.push(format!("{id} {sign} ${}", conditions.values.len()));
        }
    }
    let filter = if conditions.sql.is_empty() { String::new() } else { format!("WHERE {}", conditions.sql.join(" AND ")) };
    let direction = if descending { "DESC" } else { "ASC" };
    // One row more than asked for tells whether there is a next page.
    let (limit, n) = (limit.get() as usize, conditions.values.len());
    let sql = format!("{select} {filter} ORDER BY {id} {direction} LIMIT ${} OFFSET ${}", n + 1, n + 2);
    conditions.values.push(Box::new(limit as i64 + 1));
    conditions.values.push(Box::new(i64::try_from(skip).unwrap_or(i64::MAX)));

    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(rusqlite::params_from_iter(conditions.values.iter()), from_row)?;
    let mut rows: Vec<T> = rows.collect::<Result<_, _>>()?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    if backwards {
        rows.reverse();
    }
    let (has_prev, has_next) = match (has_cursor, backwards) {
        (true, true) => (more, true),
        (true, false) => (true, more),
        (false, _) => (skip > 0, more),
    };
    Ok(Page { rows, has_prev, has_next, total: None })
}

/// How many rows a list has, for one account or for all, without counting them.
pub fn total(conn: &Connection, noun: &str, account: Option<crate::model::ids::AccountId>) -> Result<u64> {
    let mut one = conn.prepare_cached("SELECT coalesce(sum(count), 0) FROM row_counts WHERE noun = $1 AND account_id = $2")?;
    let account = account.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
    let count: i64 = one.query_row(rusqlite::params![noun, account], |row| row.get(0))?;
    Ok(count.max(0) as u64)
}
