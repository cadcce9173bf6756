//! Users as a file lists them: a table with a head (CSV), or an object on each line (NDJSON). Here is told what is wrong
//! with a row by itself; whether it fits what is there already, the service tells.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::email::Email;
use super::error::Problem;
use super::imported_key::LineError;
use super::name::Name;
use super::sheet::uncell;
use super::user::{Role, UserStatus};

/// The largest file.
pub const MAX_BYTES: usize = 8 << 20;
/// The most rows of a file: they are written in one transaction, and other changes wait for it.
pub const MAX_ROWS: usize = 20_000;
const MAX_COLUMNS: usize = 50;

/// What a column of a file is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    Email,
    Name,
    Role,
    Status,
    Account,
}

impl Field {
    pub const ALL: [Self; 5] = [Self::Email, Self::Name, Self::Role, Self::Status, Self::Account];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == text)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Name => "name",
            Self::Role => "role",
            Self::Status => "status",
            Self::Account => "account",
        }
    }

    /// What other programs call it in the head of a column; blanks, signs and case do not matter.
    pub const fn heads(self) -> &'static [&'static str] {
        match self {
            Self::Email => &["email", "emailaddress", "mail", "username"],
            Self::Name => &["name", "fullname", "displayname"],
            Self::Role => &["role"],
            Self::Status => &["status"],
            Self::Account => &["account", "accountname", "team", "customer", "company", "organisation", "organization"],
        }
    }

    fn guess(head: &str) -> Option<Self> {
        let head: String = head.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        Self::ALL.into_iter().find(|field| field.heads().contains(&head.as_str()))
    }
}

/// A file, cut into rows and cells.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub head: Vec<String>,
    /// Each with the line it begins on, from 1.
    pub rows: Vec<(usize, Vec<String>)>,
    errors: Vec<LineError>,
}

impl Table {
    /// Reads a text; what is no table at all is one problem.
    pub fn read(text: &str) -> Result<Self, Problem> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.len() > MAX_BYTES {
            return Err(Problem::new("too_long", format!("A file has at most {} MiB. Split it.", MAX_BYTES >> 20)));
        }
        if text.contains('\u{fffd}') {
            return Err(Problem::new(
                "invalid_encoding",
                "This file is not in UTF-8. Save it as “CSV UTF-8”, and choose it again.",
            ));
        }
        let table = if text.trim_start().starts_with('{') { Self::of_objects(text) } else { Self::of_cells(text)? };
        if table.rows.is_empty() && table.errors.is_empty() {
            return Err(Problem::new("required", "There is no row below the head. The first line names the columns: email,name"));
        }
        if table.rows.len() > MAX_ROWS {
            return Err(Problem::new("too_long", format!("A file has at most {MAX_ROWS} rows. Split it.")));
        }
        Ok(table)
    }

    fn of_cells(text: &str) -> Result<Self, Problem> {
        let mut reader = csv::ReaderBuilder::new();
        reader.delimiter(delimiter(text)).flexible(true).has_headers(false);
        let mut table = Self::default();
        let (mut line, mut counted) = (1, 0);
        for record in reader.from_reader(text.as_bytes()).records() {
            let record = record.map_err(|err| Problem::new("invalid_csv", format!("This is no CSV: {err}.")))?;
            // A record begins behind the last one's `\r`, and its `\n` may be still to come: the reader counts that line late.
            let begins = record.position().map_or(counted, |position| position.byte() as usize + 1).min(text.len());
            line += text.as_bytes()[counted..begins].iter().filter(|&&byte| byte == b'\n').count();
            counted = begins;
            let cells: Vec<String> = record.iter().map(|cell| uncell(cell.trim_matches(' ')).to_owned()).collect();
            if table.head.is_empty() {
                if cells.len() > MAX_COLUMNS {
                    return Err(Problem::new("too_long", format!("A file has at most {MAX_COLUMNS} columns.")));
                }
                table.head = cells;
            } else if cells.len() > table.head.len() {
                let words = format!("There are {} cells, and {} in the head.", cells.len(), table.head.len());
                table.errors.push(LineError::new(line, "", words));
            } else if cells.iter().any(|cell| !cell.is_empty()) {
                table.rows.push((line, cells));
            }
        }
        Ok(table)
    }

    fn of_objects(text: &str) -> Self {
        let mut table = Self { head: Field::ALL.iter().map(|field| field.name().to_owned()).collect(), ..Self::default() };
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match serde_json::from_str::<Map<String, Value>>(line) {
                Ok(object) => table.note(n + 1, &object),
                Err(_) => table.errors.push(LineError::new(n + 1, "", "This line is not a JSON object.")),
            }
        }
        table
    }

    fn note(&mut self, line: usize, object: &Map<String, Value>) {
        let mut cells = Vec::with_capacity(Field::ALL.len());
        for field in Field::ALL {
            cells.push(match object.get(field.name()) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(_) => {
                    return self.errors.push(LineError::new(line, field.name(), format!("`{}` must be a string.", field.name())));
                }
            });
        }
        self.rows.push((line, cells));
    }

    /// What each column is about, as far as its head tells; no two are about the same.
    pub fn guess(&self) -> Vec<Option<Field>> {
        let mut taken = Vec::new();
        let guess = |head: &String| {
            let field = Field::guess(head).filter(|field| !taken.contains(field));
            taken.extend(field);
            field
        };
        self.head.iter().map(guess).collect()
    }

    /// The users of the rows, by what each column is about.
    pub fn records(&self, columns: &[Option<Field>]) -> Records {
        let mut records = Records { users: Vec::with_capacity(self.rows.len()), errors: self.errors.clone() };
        if !columns.contains(&Some(Field::Email)) {
            records.errors.push(LineError::new(1, "email", "No column is the email address. Choose which one is."));
            return records;
        }
        let mut lines = HashMap::with_capacity(self.rows.len());
        for (line, cells) in &self.rows {
            match parse(*line, cells, columns) {
                Ok(user) => match lines.insert(user.email.canonical().to_owned(), *line) {
                    None => records.users.push(user),
                    Some(first) => {
                        records.errors.push(LineError::new(*line, "email", format!("Line {first} has the same email address.")));
                    }
                },
                Err(errors) => records.errors.extend(errors),
            }
        }
        records
    }
}

/// A spreadsheet writes what its country is used to.
fn delimiter(text: &str) -> u8 {
    let head = text.lines().next().unwrap_or_default();
    let count = |c: char| head.matches(c).count();
    [b';', b'\t'].into_iter().find(|&c| count(c as char) > count(',')).unwrap_or(b',')
}

/// The users of a file, and what is wrong in it.
#[derive(Clone, Debug, Default)]
pub struct Records {
    pub users: Vec<ImportedUser>,
    pub errors: Vec<LineError>,
}

#[derive(Clone, Debug)]
pub struct ImportedUser {
    pub line: usize,
    pub email: Email,
    /// None: what is before the @ of the address, or the name that a known user has.
    pub name: Option<Name>,
    pub role: Option<Role>,
    pub status: Option<UserStatus>,
    /// The id or name of an account.
    pub account: Option<String>,
}

fn parse(line: usize, cells: &[String], columns: &[Option<Field>]) -> Result<ImportedUser, Vec<LineError>> {
    let cell = |field: Field| {
        let column = columns.iter().position(|column| *column == Some(field))?;
        cells.get(column).map(String::as_str).filter(|text| !text.is_empty())
    };
    let mut errors = Vec::new();
    let mut wrong = |field: Field, problem: Problem| errors.push(LineError::new(line, field.name(), problem.message));
    let email = Email::parse(cell(Field::Email).unwrap_or_default()).map_err(|problem| wrong(Field::Email, problem)).ok();
    let name = cell(Field::Name).map(Name::parse).transpose().map_err(|problem| wrong(Field::Name, problem)).ok();
    let role = cell(Field::Role).map(|text| Role::parse(&text.to_lowercase())).transpose();
    let role = role.map_err(|problem| wrong(Field::Role, problem)).ok();
    let status = cell(Field::Status).map(|text| UserStatus::parse(&text.to_lowercase())).transpose();
    let status = status.map_err(|problem| wrong(Field::Status, problem)).ok();
    match (email, name, role, status) {
        (Some(email), Some(name), Some(role), Some(status)) => {
            Ok(ImportedUser { line, email, name, role, status, account: cell(Field::Account).map(str::to_owned) })
        }
        _ => Err(errors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Records {
        let table = Table::read(text).expect("a table");
        table.records(&table.guess())
    }

    #[test]
    fn a_table_is_read_by_its_head_whatever_separates_its_cells() {
        for text in [
            "E-Mail,Full Name,Role\nada@example.com,\"Lovelace, Ada\",Admin\n",
            "\u{feff}E-Mail;Full Name;Role\r\nada@example.com;Lovelace, Ada;admin\r\n",
            "E-Mail\tFull Name\tRole\nada@example.com\tLovelace, Ada\tadmin",
        ] {
            let records = read(text);
            assert!(records.errors.is_empty(), "{:?}", records.errors);
            let ada = &records.users[0];
            assert_eq!(ada.name.as_ref().map(Name::as_str), Some("Lovelace, Ada"));
            assert_eq!((ada.line, ada.email.as_str(), ada.role), (2, "ada@example.com", Some(Role::Admin)));
        }
    }

    #[test]
    fn objects_on_lines_are_read_alike() {
        let records = read("{\"email\":\"ada@example.com\",\"id\":\"ignored\"}\n\n{\"email\":7}\n{");
        assert_eq!(records.users[0].name, None);
        assert_eq!(records.errors.iter().map(|error| error.line).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line() {
        let records = read(
            "email,name,role,status\nada,Ada,,\nb@example.com,B,boss,\nc@example.com,C,,gone\nD@example.com,,,\nd@EXAMPLE.com,,,\na,b,c,d,e\n",
        );
        let told: Vec<(usize, &str)> = records.errors.iter().map(|error| (error.line, error.field.as_str())).collect();
        assert_eq!(told, [(7, ""), (2, "email"), (3, "role"), (4, "status"), (6, "email")]);
        assert_eq!(records.users.len(), 1);
    }

    #[test]
    fn a_line_is_where_it_is_though_cells_break_lines() {
        let records = read("name,email\n\"Ada\nLovelace\",nobody\nB,x\n");
        assert_eq!(records.errors.iter().map(|error| error.line).collect::<Vec<_>>(), [2, 2, 4]);
    }

    #[test]
    fn what_is_no_table_is_refused_as_a_whole() {
        for text in ["", "email,name\n", "email\n\u{fffd}@x\n"] {
            assert!(Table::read(text).is_err(), "{text:?}");
        }
        assert!(Table::read(&format!("email\n{}", "a@example.com\n".repeat(MAX_ROWS + 1))).is_err());
        assert_eq!(read("name\nAda\n").errors[0].message, "No column is the email address. Choose which one is.");
    }

    #[test]
    fn a_text_that_was_quoted_against_formulas_is_itself_again() {
        assert_eq!(read("email,name\na@example.com,'=1+1\n").users[0].name.as_ref().map(Name::as_str), Some("=1+1"));
    }
}
