//! Importing users from a file: chosen or pasted, looked at with what would come of it, and then imported.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::Path;
use askama::Template;

use super::BASE;
use crate::http::csrf::{Fields, Posted, Uploaded};
use crate::http::faults::status;
use crate::http::page::{Banner, FormErrors, Frame, PageError, Place};
use crate::http::pages::view::grouped;
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{count, filters, msg, t, t_refusal};
use crate::model::AppError;
use crate::model::imported_key::LineError;
use crate::model::imported_user::{Field, MAX_BYTES, MAX_ROWS, Table};
use crate::model::sheet::cell;
use crate::services;
use crate::services::import_users::{Imported, Known, Options};

/// What a column may be read as.
const FIELDS: [(&str, &str); 5] = [
    ("email", msg!("Email")),
    ("name", msg!("Name")),
    ("role", msg!("Role")),
    ("status", msg!("Status")),
    ("account", msg!("Account")),
];
/// The rows and the mistakes that a preview shows.
const SHOWN: usize = 20;

#[derive(Template)]
#[template(path = "admin/users/import.html")]
pub struct ImportPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub text: String,
    pub max_rows: String,
    pub max_mib: usize,
}

#[derive(Template)]
#[template(path = "admin/users/import_preview.html")]
pub struct PreviewPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub code: String,
    pub columns: Vec<ColumnChoice>,
    pub rows: Vec<PreviewRow>,
    pub rows_words: String,
    pub is_update: bool,
    pub makes_accounts: bool,
    /// What would come of it, a line each.
    pub outcome: Vec<String>,
    pub mistakes: Vec<LineError>,
    pub mistakes_words: String,
    /// The query that says all that was chosen.
    pub query: String,
    /// The same for a form.
    pub fields: Vec<(String, String)>,
    /// The label of the button; empty: nothing would be imported.
    pub act: String,
}

pub struct ColumnChoice {
    pub name: String,
    pub head: String,
    pub field: &'static str,
}

pub struct PreviewRow {
    pub line: usize,
    pub cells: Vec<String>,
    pub mistake: String,
}

pub async fn form(who: SignedIn, fields: Fields) -> Result<HttpResponse, PageError> {
    let banner = match fields.text("done") {
        "renewed" => Some(Banner::renewed()),
        "gone" => {
            Some(Banner::warn(t("This file is not here any more"), t("It was imported, or it waited for more than an hour.")))
        }
        _ => None,
    };
    let page = form_page(&who, String::new(), FormErrors::default());
    Ok(who.ok(&ImportPage { frame: page.frame.with_banner(banner), ..page }))
}

pub async fn upload(who: SignedIn, form: Uploaded) -> Result<HttpResponse, PageError> {
    let pasted = form.text("text");
    let text = if form.text("file").trim().is_empty() { pasted } else { form.text("file") };
    if form.is_stale {
        let mut page = form_page(&who, pasted.to_owned(), FormErrors::default());
        page.frame.banner = Some(Banner::renewed());
        return Ok(who.ok(&page));
    }
    let read = if text.trim().is_empty() {
        Err(AppError::invalid("file", "required", "Choose a file, or paste its text."))
    } else {
        Table::read(text).map(drop).map_err(|problem| problem.of("file"))
    };
    match read {
        Ok(()) => {
            let code = services::import_users::keep(&who.app, &who.caller, text.to_owned()).await?;
            Ok(to(format!("{BASE}/import/{code}")))
        }
        Err(err) => {
            let code = status(&err);
            Ok(who.page(code, &form_page(&who, pasted.to_owned(), FormErrors::of_refusal(err)?)))
        }
    }
}

fn form_page(who: &SignedIn, text: String, errors: FormErrors) -> ImportPage {
    ImportPage {
        frame: who.frame(t("Import users"), Place::Users).faulty(&errors),
        errors,
        text,
        max_rows: grouped(MAX_ROWS as u64),
        max_mib: MAX_BYTES >> 20,
    }
}

/// What somebody chose for a file.
struct Choice {
    columns: Vec<Option<Field>>,
    options: Options,
}

impl Choice {
    fn of(fields: &Fields, table: &Table) -> Self {
        // Until somebody chooses, the heads tell.
        let columns = match fields.has("c0") {
            true => (0..table.head.len()).map(|n| Field::parse(fields.text(&format!("c{n}")))).collect(),
            false => table.guess(),
        };
        let known = if fields.text("known") == "update" { Known::Update } else { Known::Skip };
        let makes_accounts = fields.text("accounts") == "make";
        Self { columns, options: Options { known, makes_accounts, account: None, leaves_out: true } }
    }

    fn fields(&self) -> Vec<(String, String)> {
        let mut fields: Vec<_> = (self.columns.iter().enumerate())
            .map(|(n, field)| (format!("c{n}"), field.map_or("", Field::name).to_owned()))
            .collect();
        fields.push(("known".into(), if self.options.known == Known::Update { "update" } else { "skip" }.into()));
        if self.options.makes_accounts {
            fields.push(("accounts".into(), "make".into()));
        }
        fields
    }
}

async fn table(who: &SignedIn, code: &str) -> Result<Table, AppError> {
    let text = services::import_users::kept(&who.app, &who.caller, code).await?;
    Table::read(&text).map_err(|problem| problem.of("file"))
}

pub async fn preview(who: SignedIn, code: Path<String>, fields: Fields) -> Result<HttpResponse, PageError> {
    let table = match table(&who, &code).await {
        Ok(table) => table,
        Err(AppError::NotFound(_)) => return Ok(to(format!("{BASE}/import?done=gone"))),
        Err(err) => return Err(err.into()),
    };
    let choice = Choice::of(&fields, &table);
    let records = table.records(&choice.columns);
    let imported = services::import_users::check(&who.app, &who.caller, records, choice.options.clone()).await?;
    let mut page = preview_page(&who, &code, &table, &choice, &imported, FormErrors::default());
    if fields.text("done") == "renewed" {
        page.frame.banner = Some(Banner::renewed());
    }
    Ok(who.ok(&page))
}

pub async fn import(who: SignedIn, code: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let table = match table(&who, &code).await {
        Ok(table) => table,
        Err(AppError::NotFound(_)) => {
            return Ok(to(format!("{BASE}/import?done={}", if form.is_stale { "renewed" } else { "gone" })));
        }
        Err(err) => return Err(err.into()),
    };
    let choice = Choice::of(&form, &table);
    if form.is_stale {
        return Ok(to(format!("{BASE}/import/{code}?{}&done=renewed", query_of(&choice))));
    }
    // A file may make administrators.
    who.must_be_elevated(&form).await?;
    let records = table.records(&choice.columns);
    let imported = services::import_users::import_kept(&who.app, &who.caller, &code, records, choice.options.clone()).await;
    match imported {
        Ok(imported) => Ok(to(format!("{BASE}?done=imported&n={}", imported.created + imported.updated))),
        Err(AppError::NotFound(_)) => Ok(to(format!("{BASE}/import?done=gone"))),
        Err(err) => {
            let failed = status(&err);
            let errors = FormErrors::of_refusal(err)?;
            let records = table.records(&choice.columns);
            let imported = services::import_users::check(&who.app, &who.caller, records, choice.options.clone()).await?;
            Ok(who.page(failed, &preview_page(&who, &code, &table, &choice, &imported, errors)))
        }
    }
}

/// The rows that are left out, each with why, to be mended and imported later.
pub async fn rejected(who: SignedIn, code: Path<String>, fields: Fields) -> Result<HttpResponse, PageError> {
    let table = table(&who, &code).await?;
    let choice = Choice::of(&fields, &table);
    let records = table.records(&choice.columns);
    let imported = services::import_users::check(&who.app, &who.caller, records, choice.options).await?;
    let why = by_line(&imported);
    let mut rows = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    let head = ["line", "problem"].into_iter().map(str::to_owned).chain(table.head.iter().map(|head| cell(head).into_owned()));
    rows.write_record(head).map_err(AppError::internal)?;
    for (line, cells) in &table.rows {
        if let Some(why) = why.get(line) {
            let row =
                [line.to_string(), cell(why).into_owned()].into_iter().chain(cells.iter().map(|text| cell(text).into_owned()));
            rows.write_record(row).map_err(AppError::internal)?;
        }
    }
    let rows = rows.into_inner().map_err(|err| AppError::internal(err.to_string()))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8; header=present"))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"rejected-rows.csv\""))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(rows))
}

fn by_line(imported: &Imported) -> HashMap<usize, String> {
    let mut why: HashMap<usize, String> = HashMap::new();
    for error in &imported.errors {
        let words = why.entry(error.line).or_default();
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(&t_refusal(&error.message));
    }
    why
}

fn query_of(choice: &Choice) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(choice.fields()).finish()
}

fn preview_page(
    who: &SignedIn,
    code: &str,
    table: &Table,
    choice: &Choice,
    imported: &Imported,
    errors: FormErrors,
) -> PreviewPage {
    let why = by_line(imported);
    let outcome = [
        Some(count(
            imported.created as u64,
            "{n} user would be added, without a password: invite them afterwards.",
            "{n} users would be added, without a password: invite them afterwards.",
        )),
        (imported.updated > 0).then(|| {
            count(
                imported.updated as u64,
                "{n} user would get the name, role and status of the file.",
                "{n} users would get the name, role and status of the file.",
            )
        }),
        (imported.skipped > 0).then(|| {
            count(
                imported.skipped as u64,
                "{n} user of the file would stay as they are here.",
                "{n} users of the file would stay as they are here.",
            )
        }),
        (imported.accounts_created > 0).then(|| {
            count(imported.accounts_created as u64, "{n} new account would be made.", "{n} new accounts would be made.")
        }),
        (!why.is_empty()).then(|| {
            count(
                why.len() as u64,
                "{n} row has mistakes, and would be left out.",
                "{n} rows have mistakes, and would be left out.",
            )
        }),
    ];
    let changes = imported.created + imported.updated;
    PreviewPage {
        frame: who.frame(t("Look before it is imported"), Place::Users).faulty(&errors),
        errors,
        code: code.into(),
        columns: table
            .head
            .iter()
            .enumerate()
            .map(|(n, head)| ColumnChoice {
                name: format!("c{n}"),
                head: head.clone(),
                field: choice.columns.get(n).copied().flatten().map_or("", Field::name),
            })
            .collect(),
        rows: table
            .rows
            .iter()
            .take(SHOWN)
            .map(|(line, cells)| PreviewRow {
                line: *line,
                // A row may be shorter than the head.
                cells: (0..table.head.len()).map(|n| cells.get(n).cloned().unwrap_or_default()).collect(),
                mistake: why.get(line).cloned().unwrap_or_default(),
            })
            .collect(),
        rows_words: match table.rows.len() {
            n @ ..=SHOWN => count(n as u64, "{n} row", "{n} rows"),
            n => t("The first {shown} of {n} rows").with("shown", SHOWN).with("n", grouped(n as u64)),
        }
        .into(),
        is_update: choice.options.known == Known::Update,
        makes_accounts: choice.options.makes_accounts,
        outcome: outcome.into_iter().flatten().map(String::from).collect(),
        mistakes: imported
            .errors
            .iter()
            .take(SHOWN)
            .map(|error| LineError { message: t_refusal(&error.message), ..error.clone() })
            .collect(),
        mistakes_words: match imported.errors.len() {
            n @ ..=SHOWN => count(n as u64, "{n} mistake", "{n} mistakes"),
            n => t("The first {shown} of {n} mistakes").with("shown", SHOWN).with("n", grouped(n as u64)),
        }
        .into(),
        query: query_of(choice),
        fields: choice.fields(),
        act: match changes {
            0 => String::new(),
            n => count(n as u64, "Import {n} user", "Import {n} users").into(),
        },
    }
}
