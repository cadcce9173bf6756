//! Filtered pages, put together from fixed fragments; what a client sent is only ever a bound value.

use rusqlite::{Connection, Row, ToSql};

use crate::model::Result;
use crate::model::page::{Limit, Order, Page, Start};

/// What a page is cut from: conditions that all must hold.
#[derive(Default)]
pub struct Conditions(Vec<Condition>);

/// A fragment, and the values of its places.
struct Condition {
    sql: String,
    values: Vec<(&'static str, Box<dyn ToSql>)>,
}

impl Conditions {
    /// Adds a condition, with `{}` where its value goes.
    pub fn add(&mut self, fragment: &'static str, value: impl ToSql + 'static) {
        self.0.push(Condition { sql: fragment.into(), values: vec![("{}", Box::new(value))] });
    }

    /// Adds a condition without a value.
    pub fn fixed(&mut self, fragment: &'static str) {
        self.0.push(Condition { sql: fragment.into(), values: Vec::new() });
    }

    /// Adds a condition on the beginning of a folded text.
    pub fn begins(&mut self, fragment: &'static str, start: &str) {
        // No text that begins so sorts after this one.
        let high = format!("{start}\u{10ffff}");
        let values: [(_, Box<dyn ToSql>); 2] = [("{low}", Box::new(start.to_owned())), ("{high}", Box::new(high))];
        self.0.push(Condition { sql: fragment.into(), values: values.into() });
    }

    /// The `WHERE`, and its values in the order of their numbers.
    fn into_sql(self) -> (String, Vec<Box<dyn ToSql>>) {
        let mut all = Vec::new();
        let mut parts = Vec::new();
        for Condition { mut sql, values } in self.0 {
            for (place, value) in values {
                all.push(value);
                sql = sql.replace(place, &format!("${}", all.len()));
            }
            parts.push(sql);
        }
        let filter = if parts.is_empty() { String::new() } else { format!("WHERE {}", parts.join(" AND ")) };
        (filter, all)
    }
}

/// What a list is ordered by: a value, then the id; or by the id alone, where the value is empty.
#[derive(Clone, Copy)]
pub struct By {
    pub value: &'static str,
    /// The value of the row with the id `{}`.
    pub of_row: &'static str,
    pub id: &'static str,
}

/// One page of the rows that meet the conditions, ordered by id, which is by time of creation.
pub fn page<T, Id: ToSql + 'static>(
    conn: &Connection,
    select: &str,
    id: &'static str,
    conditions: Conditions,
    place: (Start<Id>, Order, Limit),
    from_row: impl Fn(&Row) -> rusqlite::Result<T>,
) -> Result<Page<T>> {
    page_by(conn, select, By { value: "", of_row: "", id }, conditions, place, from_row)
}

/// The same in another order. A cursor is the id of a row, whose place is where its value puts it now.
pub fn page_by<T, Id: ToSql + 'static>(
    conn: &Connection,
    select: &str,
    by: By,
    mut conditions: Conditions,
    (start, order, limit): (Start<Id>, Order, Limit),
    from_row: impl Fn(&Row) -> rusqlite::Result<T>,
) -> Result<Page<T>> {
    let By { value, of_row, id } = by;
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
            let sign = if descending { '<' } else { '>' };
            let sql = match value {
                "" => format!("{id} {sign} {{}}"),
                // The first of the two lets the index begin there, whatever other bounds follow.
                _ => format!("{value} {sign}= ({of_row}) AND ({value}, {id}) {sign} (({of_row}), {{}})"),
            };
            conditions.0.insert(0, Condition { sql, values: vec![("{}", Box::new(row))] });
        }
    }
    let (filter, mut values) = conditions.into_sql();
    let direction = if descending { "DESC" } else { "ASC" };
    // One row more than asked for tells whether there is a next page.
    let (limit, n) = (limit.get() as usize, values.len());
    let first = if value.is_empty() { String::new() } else { format!("{value} {direction}, ") };
    let sql = format!("{select} {filter} ORDER BY {first}{id} {direction} LIMIT ${} OFFSET ${}", n + 1, n + 2);
    values.push(Box::new(limit as i64 + 1));
    values.push(Box::new(i64::try_from(skip).unwrap_or(i64::MAX)));

    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(rusqlite::params_from_iter(values.iter()), from_row)?;
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
