//! Filtered pages, put together from fixed fragments; what a client sent is only ever a bound value.

use std::ops::Range;

use rusqlite::{Connection, Row, ToSql, params_from_iter};

use crate::model::Result;
use crate::model::page::{Limit, Order, Page, Start};

/// A set of this many rows is gone through and sorted; a larger one is met often enough on the way through the list.
const FEW: i64 = 2_000;

/// What a page is cut from: conditions that all must hold. Values are bound in the order of the conditions.
#[derive(Default)]
pub struct Conditions {
    all: Vec<Condition>,
    values: Vec<Box<dyn ToSql>>,
}

struct Condition {
    sql: String,
    values: Range<usize>,
    /// The table of which an index answers it, where its rows may be few.
    table: Option<&'static str>,
}

impl Conditions {
    /// Adds a condition, with `{}` where its value goes.
    pub fn add(&mut self, fragment: &'static str, value: impl ToSql + 'static) {
        self.bind(None, fragment, value);
    }

    /// Adds a condition on the beginning of a folded text.
    pub fn begins(&mut self, fragment: &'static str, start: &str) {
        self.bind_start(None, fragment, start);
    }

    /// Adds a condition that an index of `table` answers. Where few rows meet it, the page is cut from those; else from
    /// the list in its order, without that index, since sorting many rows takes longer than meeting some of them.
    pub fn among(&mut self, table: &'static str, fragment: &'static str, value: impl ToSql + 'static) {
        self.bind(Some(table), fragment, value);
    }

    /// The same for a condition without a value.
    pub fn among_those(&mut self, table: &'static str, fragment: &'static str) {
        let end = self.values.len();
        self.all.push(Condition { sql: fragment.into(), values: end..end, table: Some(table) });
    }

    /// The same for the beginning of a folded text.
    pub fn among_beginning(&mut self, table: &'static str, fragment: &'static str, start: &str) {
        self.bind_start(Some(table), fragment, start);
    }

    fn bind(&mut self, table: Option<&'static str>, fragment: &str, value: impl ToSql + 'static) {
        self.values.push(Box::new(value));
        let n = self.values.len();
        self.all.push(Condition { sql: fragment.replace("{}", &format!("${n}")), values: n - 1..n, table });
    }

    fn bind_start(&mut self, table: Option<&'static str>, fragment: &str, start: &str) {
        let (low, high) = (self.values.len() + 1, self.values.len() + 2);
        self.values.push(Box::new(start.to_owned()));
        // No text that begins so sorts after this one.
        self.values.push(Box::new(format!("{start}\u{10ffff}")));
        let sql = fragment.replace("{low}", &format!("${low}")).replace("{high}", &format!("${high}"));
        self.all.push(Condition { sql, values: low - 1..high, table });
    }

    /// The conditions as they are asked: the one with the fewest rows, where those are few, is looked through first.
    fn chosen(&self, conn: &Connection, id: &str) -> Result<Vec<String>> {
        let mut fewest = None;
        for (n, condition) in self.all.iter().enumerate() {
            let Some(table) = condition.table else { continue };
            let count = self.count(conn, table, condition)?;
            if count <= FEW && fewest.is_none_or(|(_, least)| count < least) {
                fewest = Some((n, count));
            }
        }
        let asked = self.all.iter().enumerate().map(|(n, Condition { sql, table, .. })| match (table, fewest) {
            (None, _) => sql.clone(),
            (Some(table), Some((first, _))) if first == n => format!("{id} IN (SELECT id FROM {table} WHERE {sql})"),
            // No index answers the truth of a condition.
            (Some(_), _) => format!("({sql}) IS TRUE"),
        });
        Ok(asked.collect())
    }

    /// How many rows meet a condition, up to one more than a few.
    fn count(&self, conn: &Connection, table: &str, Condition { sql, values, .. }: &Condition) -> Result<i64> {
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {sql} LIMIT {})", FEW + 1);
        Ok(conn.prepare_cached(&sql)?.query_row(params_from_iter(&self.values[values.clone()]), |row| row.get(0))?)
    }
}

/// One page of the rows that meet the conditions, ordered by id, which is by time of creation.
pub fn page<T, Id: ToSql + 'static>(
    conn: &Connection,
    select: &str,
    id: &'static str,
    conditions: Conditions,
    (start, order, limit): (Start<Id>, Order, Limit),
    from_row: impl Fn(&Row) -> rusqlite::Result<T>,
) -> Result<Page<T>> {
    let start = start.map(|id| vec![Box::new(id) as Box<dyn ToSql>]);
    cut(conn, select, &[id], conditions, (start, order == Order::NewestFirst, limit), from_row)
}

/// The same, ordered by a text, and by id where two are the same. A place in the list is the text and the id of a row.
pub fn page_by<T, Id: ToSql + 'static>(
    conn: &Connection,
    select: &str,
    (text, id): (&'static str, &'static str),
    conditions: Conditions,
    (start, descending, limit): (Start<(String, Id)>, bool, Limit),
    from_row: impl Fn(&Row) -> rusqlite::Result<T>,
) -> Result<Page<T>> {
    let start = start.map(|(text, id)| vec![Box::new(text) as Box<dyn ToSql>, Box::new(id)]);
    cut(conn, select, &[text, id], conditions, (start, descending, limit), from_row)
}

fn cut<T>(
    conn: &Connection,
    select: &str,
    keys: &[&str],
    mut conditions: Conditions,
    (start, list_descends, limit): (Start<Vec<Box<dyn ToSql>>>, bool, Limit),
    from_row: impl Fn(&Row) -> rusqlite::Result<T>,
) -> Result<Page<T>> {
    let mut asked = conditions.chosen(conn, keys.last().copied().unwrap_or("id"))?;
    // `before` is read backwards from its row, then turned round.
    let backwards = matches!(start, Start::Before(_));
    let descending = list_descends != backwards;
    let mut skip = 0;
    let mut has_cursor = false;
    match start {
        Start::Offset(offset) => skip = offset,
        Start::After(row) | Start::Before(row) => {
            has_cursor = true;
            let first = conditions.values.len() + 1;
            let places: Vec<String> = (first..first + row.len()).map(|n| format!("${n}")).collect();
            conditions.values.extend(row);
            let sign = if descending { '<' } else { '>' };
            asked.push(match keys {
                [key] => format!("{key} {sign} {}", places[0]),
                keys => format!("({}) {sign} ({})", keys.join(", "), places.join(", ")),
            });
        }
    }
    let filter = if asked.is_empty() { String::new() } else { format!("WHERE {}", asked.join(" AND ")) };
    let direction = if descending { "DESC" } else { "ASC" };
    let order: Vec<String> = keys.iter().map(|key| format!("{key} {direction}")).collect();
    // One row more than asked for tells whether there is a next page.
    let (limit, n) = (limit.get() as usize, conditions.values.len());
    let sql = format!("{select} {filter} ORDER BY {} LIMIT ${} OFFSET ${}", order.join(", "), n + 1, n + 2);
    conditions.values.push(Box::new(limit as i64 + 1));
    conditions.values.push(Box::new(i64::try_from(skip).unwrap_or(i64::MAX)));

    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(conditions.values.iter()), from_row)?;
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
