//! Filtered pages, put together from fixed fragments; what a client sent is only ever a bound value.

use rusqlite::{Connection, Row, ToSql, params_from_iter};

use crate::model::Result;
use crate::model::ids::AccountId;
use crate::model::page::{Limit, Order, Page, Start};

/// A set of this many rows is gone through and sorted; a larger one is met often enough on the way through the list. At a
/// million rows both take the same time here.
const FEW: i64 = 5_000;

/// What a page is cut from: conditions that all must hold.
#[derive(Default)]
pub struct Conditions(Vec<Condition>);

/// A fragment, and the values of its places.
struct Condition {
    sql: String,
    values: Vec<(&'static str, Box<dyn ToSql>)>,
    /// Where an index finds its rows, which may be few.
    found: Option<Found>,
}

/// The column that has the ids, and what follows the `FROM`.
struct Found {
    id: &'static str,
    from: String,
    /// They are found in the order of their ids, by an index that is certain to be taken.
    in_order: bool,
}

impl Conditions {
    /// Adds a condition, with `{}` where its value goes.
    pub fn add(&mut self, fragment: &'static str, value: impl ToSql + 'static) {
        self.0.push(Condition { sql: fragment.into(), values: vec![("{}", Box::new(value))], found: None });
    }

    /// Adds a condition without a value.
    pub fn fixed(&mut self, fragment: &'static str) {
        self.0.push(Condition { sql: fragment.into(), values: Vec::new(), found: None });
    }

    /// Adds a condition on the beginning of a folded text.
    pub fn begins(&mut self, fragment: &'static str, start: &str) {
        self.0.push(Condition { sql: fragment.into(), values: between(start), found: None });
    }

    /// Adds a condition that an index of `table` answers. Where few rows meet it, the page is cut from those; else from
    /// the list in its order, without that index, since sorting many rows takes longer than meeting some of them.
    pub fn among(&mut self, table: &'static str, fragment: &'static str, value: impl ToSql + 'static) {
        self.found(found(table, fragment), fragment, vec![("{}", Box::new(value))]);
    }

    /// The same for a condition without a value.
    pub fn among_those(&mut self, table: &'static str, fragment: &'static str) {
        self.found(found(table, fragment), fragment, Vec::new());
    }

    /// The same for the beginning of a folded text.
    pub fn among_beginning(&mut self, table: &'static str, fragment: &'static str, start: &str) {
        self.found(found(table, fragment), fragment, between(start));
    }

    /// The same where the column `id` of another table finds them, by an index in its order.
    pub fn among_ids(&mut self, (id, from): (&'static str, &'static str), fragment: &'static str) {
        self.found(Found { id, from: from.into(), in_order: true }, fragment, Vec::new());
    }

    /// The same with the index that finds them in the order of their ids, which SQLite would not choose.
    pub fn among_by(&mut self, (table, index): (&str, &str), fragment: &'static str, value: impl ToSql + 'static) {
        let found = Found { in_order: true, ..found(&format!("{table} INDEXED BY {index}"), fragment) };
        self.found(found, fragment, vec![("{}", Box::new(value))]);
    }

    fn found(&mut self, found: Found, fragment: &'static str, values: Vec<(&'static str, Box<dyn ToSql>)>) {
        self.0.push(Condition { sql: fragment.into(), values, found: Some(found) });
    }

    /// Turns the conditions that an index answers into plain ones, but the one with the fewest rows, where those are few:
    /// that is taken out, to be looked through first.
    fn take_fewest(&mut self, conn: &Connection) -> Result<Option<Condition>> {
        let mut fewest = None;
        for (n, condition) in self.0.iter().enumerate() {
            let Some(count) = condition.count(conn)? else { continue };
            if count <= FEW && fewest.is_none_or(|(_, least)| count < least) {
                fewest = Some((n, count));
            }
        }
        let taken = fewest.map(|(n, _)| self.0.remove(n));
        for condition in self.0.iter_mut().filter(|condition| condition.found.is_some()) {
            // No index answers the truth of a condition.
            condition.sql = format!("({}) IS TRUE", condition.sql);
        }
        Ok(taken)
    }

    /// The `FROM` and the `WHERE`, and their values in the order of their numbers. A condition without words has the
    /// values of the `FROM`.
    fn into_sql(self, mut from: String) -> (String, String, Vec<Box<dyn ToSql>>) {
        let mut all = Vec::new();
        let mut parts = Vec::new();
        for Condition { mut sql, values, .. } in self.0 {
            let is_of_from = sql.is_empty();
            for (place, value) in values {
                all.push(value);
                let text = if is_of_from { &mut from } else { &mut sql };
                *text = text.replace(place, &format!("${}", all.len()));
            }
            if !is_of_from {
                parts.push(sql);
            }
        }
        let filter = if parts.is_empty() { String::new() } else { format!("WHERE {}", parts.join(" AND ")) };
        (from, filter, all)
    }
}

impl Condition {
    /// How many rows meet it, up to one more than a few; none where no index finds them.
    fn count(&self, conn: &Connection) -> Result<Option<i64>> {
        let Some(Found { from, .. }) = &self.found else { return Ok(None) };
        let places = self.values.iter().enumerate();
        let from = places.fold(from.clone(), |sql, (n, (place, _))| sql.replace(place, &format!("${}", n + 1)));
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {from} LIMIT {})", FEW + 1);
        let values = params_from_iter(self.values.iter().map(|(_, value)| value));
        Ok(Some(conn.prepare_cached(&sql)?.query_row(values, |row| row.get(0))?))
    }
}

fn found(table: &str, fragment: &str) -> Found {
    Found { id: "id", from: format!("{table} WHERE {fragment}"), in_order: false }
}

/// The bounds of the texts that begin like this.
fn between(start: &str) -> Vec<(&'static str, Box<dyn ToSql>)> {
    vec![("{low}", Box::new(start.to_owned())), ("{high}", Box::new(end_of(start)))]
}

/// No text that begins so sorts after this one.
pub fn end_of(start: &str) -> String {
    format!("{start}\u{10ffff}")
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
    let few = conditions.take_fewest(conn)?;
    // Where the few come in the order of their ids, none but the page's own rows are looked at.
    let come_in_order = few.as_ref().and_then(|few| few.found.as_ref()).is_some_and(|found| found.in_order);
    let place = if come_in_order && value.is_empty() { "few" } else { id };
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
                "" => format!("{place} {sign} {{}}"),
                // The first of the two lets the index begin there, whatever other bounds follow.
                _ => format!("{value} {sign}= ({of_row}) AND ({value}, {id}) {sign} (({of_row}), {{}})"),
            };
            conditions.0.insert(0, Condition { sql, values: vec![("{}", Box::new(row))], found: None });
        }
    }
    let mut from = select.to_owned();
    if let Some(Condition { found: Some(found), values, .. }) = few {
        // The order of a cross join is that of its loops, whatever the planner thinks of the numbers of rows.
        let set = format!("FROM (SELECT {} AS few FROM {}) CROSS JOIN", found.id, found.from);
        from = select.rsplit_once("FROM").map_or_else(|| from, |(columns, rest)| format!("{columns}{set}{rest}"));
        conditions.0.insert(0, Condition { sql: format!("{id} = few"), values: Vec::new(), found: None });
        conditions.0.insert(0, Condition { sql: String::new(), values, found: None });
    }
    let (from, filter, mut values) = conditions.into_sql(from);
    let direction = if descending { "DESC" } else { "ASC" };
    // One row more than asked for tells whether there is a next page.
    let (limit, n) = (limit.get() as usize, values.len());
    let first = if value.is_empty() { String::new() } else { format!("{value} {direction}, ") };
    let sql = format!("{from} {filter} ORDER BY {first}{place} {direction} LIMIT ${} OFFSET ${}", n + 1, n + 2);
    values.push(Box::new(limit as i64 + 1));
    values.push(Box::new(i64::try_from(skip).unwrap_or(i64::MAX)));

    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values.iter()), from_row)?;
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

/// One page of a list that is put together from two, each in an order of its own. `is_of_first` tells in which one a row is.
pub fn in_two_parts<T, Id: Copy>(
    (start, order, limit): (Start<Id>, Order, Limit),
    is_of_first: impl Fn(Id) -> Result<bool>,
    first: impl Fn((Start<Id>, Order, Limit)) -> Result<Page<T>>,
    second: impl Fn((Start<Id>, Order, Limit)) -> Result<Page<T>>,
) -> Result<Page<T>> {
    let in_first = match start {
        Start::Offset(_) => true,
        Start::After(row) | Start::Before(row) => is_of_first(row)?,
    };
    let mut page = if in_first { first((start, order, limit))? } else { second((start, order, limit))? };
    // Where a page is full, one row of the other part tells whether there is more.
    let missing = limit.get() - page.rows.len() as u32;
    let rest = Limit::of(missing.max(1));
    match (start, in_first) {
        (Start::Before(_), false) if !page.has_prev => {
            let more = first((Start::Offset(0), order.reversed(), rest))?;
            page.has_prev = more.has_next || (missing == 0 && !more.rows.is_empty());
            if missing > 0 {
                page.rows.splice(0..0, more.rows.into_iter().rev());
            }
        }
        (Start::Offset(_) | Start::After(_), true) if !page.has_next => {
            let more = second((Start::Offset(0), order, rest))?;
            page.has_next = more.has_next || (missing == 0 && !more.rows.is_empty());
            if missing > 0 {
                page.rows.extend(more.rows);
            }
        }
        _ => {}
    }
    Ok(page)
}

/// How many rows a list has, for one account or for all, without counting them.
pub fn total(conn: &Connection, noun: &str, account: Option<AccountId>) -> Result<u64> {
    let mut one = conn.prepare_cached("SELECT coalesce(sum(count), 0) FROM row_counts WHERE noun = $1 AND account_id = $2")?;
    let account = account.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
    let count: i64 = one.query_row(rusqlite::params![noun, account], |row| row.get(0))?;
    Ok(count.max(0) as u64)
}
