//! Users from a file: looked at first, then all in one transaction, on the pages and on the command line.

use std::sync::Arc;

use keyrack::model::caller::Caller;
use keyrack::model::email::Email;
use keyrack::model::imported_user::Table;
use keyrack::model::user::{Role, User, UserStatus};
use keyrack::services;
use keyrack::services::import_users::{Imported, Known, Options, check, import};
use reqwest::Method;

use crate::support::{Client, DAY, Reply, TestServer};

fn records(text: &str) -> keyrack::model::imported_user::Records {
    let table = Table::read(text).expect("a table");
    table.records(&table.guess())
}

async fn bring(server: &TestServer, text: &str, options: Options) -> keyrack::model::Result<Imported> {
    import(&server.app, &Caller::command_line(), records(text), options, Arc::new(|_, _| true)).await
}

async fn find(server: &TestServer, email: &str) -> Option<User> {
    let email = Email::parse(email).expect("an address");
    services::users::find_by_email(&server.app, &Caller::command_line(), email).await.ok()
}

/// An administrator in a browser, and the token of their forms.
async fn admin(server: &TestServer) -> (Client, String) {
    let user = server.admin().await.user().clone();
    let browser = server.browser(&user).await.header("Sec-Fetch-Site", "same-origin");
    let page = browser.get("/settings").await.expect(200).text;
    let token = page.split_once("name=\"csrf\" value=\"").expect("a form").1.split_once('"').expect("a value").0.to_owned();
    (browser, token)
}

async fn post(browser: &Client, path: &str, form: &[(&str, &str)]) -> Reply {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    browser.header("Content-Type", "application/x-www-form-urlencoded").send(Method::POST, path, Some(body)).await
}

#[actix_web::test]
async fn users_come_with_role_status_and_account_and_without_a_password() {
    let server = TestServer::start().await;
    let text = "email,name,role,status,account\nada@example.com,Ada,admin,,Acme\nbob@example.com,,,disabled,acme\n";
    let options = Options { makes_accounts: true, ..Default::default() };
    let imported = bring(&server, text, options).await.expect("imports");
    assert_eq!((imported.created, imported.accounts_created, imported.errors.len()), (2, 1, 0));
    let (ada, bob) = (find(&server, "ada@example.com").await.expect("Ada"), find(&server, "bob@example.com").await.expect("Bob"));
    assert_eq!(
        (ada.role, ada.status, bob.status, bob.name.as_str()),
        (Role::Admin, UserStatus::Active, UserStatus::Disabled, "bob")
    );
    assert_eq!(ada.account_id, bob.account_id);
    let standing = services::password_links::standing(&server.app, &Caller::command_line(), ada.id).await.expect("Ada");
    assert!(!standing.has_password);
}

#[actix_web::test]
async fn one_mistake_holds_back_the_file_unless_such_rows_are_left_out() {
    let server = TestServer::start().await;
    let text = "email,account\nada@example.com,\nbob@example.com,Nowhere\nno address,\n";
    let imported = bring(&server, text, Options::default()).await.expect("answers");
    let lines: Vec<(usize, &str)> = imported.errors.iter().map(|error| (error.line, error.field.as_str())).collect();
    assert_eq!(lines, [(3, "account"), (4, "email")]);
    assert!(find(&server, "ada@example.com").await.is_none());
    let options = Options { leaves_out: true, ..Default::default() };
    assert_eq!(bring(&server, text, options).await.expect("imports").created, 1);
    assert!(find(&server, "ada@example.com").await.is_some());
}

#[actix_web::test]
async fn known_addresses_are_skipped_or_updated() {
    let server = TestServer::start().await;
    bring(&server, "email,name\nada@example.com,Ada\n", Options::default()).await.expect("imports");
    let text = "email,name,role\nADA@example.com,Ada Lovelace,admin\n";
    let skipped = bring(&server, text, Options::default()).await.expect("imports");
    assert_eq!((skipped.skipped, skipped.updated), (1, 0));
    assert_eq!(find(&server, "ada@example.com").await.expect("Ada").name, "Ada");
    let options = Options { known: Known::Update, ..Default::default() };
    assert_eq!(bring(&server, text, options.clone()).await.expect("imports").updated, 1);
    let ada = find(&server, "ada@example.com").await.expect("Ada");
    assert_eq!((ada.name.as_str(), ada.role), ("Ada Lovelace", Role::Admin));
    assert_eq!(bring(&server, text, options).await.expect("imports").skipped, 1, "there is nothing left to change");
}

#[actix_web::test]
async fn a_file_that_would_demote_the_last_admin_changes_nothing() {
    let server = TestServer::start().await;
    bring(&server, "email,role\nada@example.com,admin\n", Options::default()).await.expect("imports");
    let options = Options { known: Known::Update, ..Default::default() };
    let refused = bring(&server, "email,role\nnew@example.com,\nada@example.com,member\n", options).await.expect_err("the last");
    assert!(refused.to_string().starts_with("Line 3: This is the last administrator."), "{refused}");
    assert!(find(&server, "new@example.com").await.is_none());
}

#[actix_web::test]
async fn a_look_tells_the_same_and_changes_nothing() {
    let server = TestServer::start().await;
    let text = "email,account\nada@example.com,\nbob@example.com,Nowhere\n";
    let looked = check(&server.app, &Caller::command_line(), records(text), Options::default()).await.expect("looks");
    assert_eq!((looked.created, looked.errors.len()), (1, 1));
    assert!(find(&server, "ada@example.com").await.is_none());
}

#[actix_web::test]
async fn a_pasted_text_is_previewed_and_imported_once() {
    let server = TestServer::start().await;
    let (browser, token) = admin(&server).await;
    let text = "Login,Person\nada@example.com,Ada\nnobody,X\n";
    let sent = post(&browser, "/admin/users/import", &[("csrf", &token), ("text", text)]).await.expect(303);
    let at = sent.header("location").to_owned();
    let guessed = browser.get(&at).await.expect(200).text;
    assert!(guessed.contains("No column is the email address"), "{guessed}");
    let chosen = format!("{at}?c0=email&c1=name&known=skip");
    let page = browser.get(&chosen).await.expect(200).text;
    assert!(page.contains("Import 1 user") && page.contains("1 row has mistakes"), "{page}");
    let rejected = browser.get(&chosen.replacen('?', "/rejected?", 1)).await.expect(200).text;
    assert_eq!(
        rejected.lines().collect::<Vec<_>>(),
        ["line,problem,Login,Person", "3,\"Enter an email address, for example ada@example.com.\",nobody,X"]
    );
    let form = [("csrf", token.as_str()), ("c0", "email"), ("c1", "name")];
    assert_eq!(post(&browser, &at, &form).await.expect(303).header("location"), "/admin/users?done=imported&n=1");
    assert_eq!(post(&browser, &at, &form).await.expect(303).header("location"), "/admin/users/import?done=gone");
    assert_eq!(find(&server, "ada@example.com").await.expect("Ada").name, "Ada");
}

#[actix_web::test]
async fn a_chosen_file_comes_with_the_form() {
    let server = TestServer::start().await;
    let (browser, token) = admin(&server).await;
    let part = |name: &str, more: &str, text: &str| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{text}\r\n")
    };
    let file = part("file", "; filename=\"people.csv\"\r\nContent-Type: text/csv", "email\nada@example.com\n");
    let body = format!("{}{}{file}--x--\r\n", part("csrf", "", &token), part("text", "", ""));
    let browser = browser.header("Content-Type", "multipart/form-data; boundary=x");
    let sent = browser.send(Method::POST, "/admin/users/import", Some(body)).await.expect(303);
    assert!(browser.get(sent.header("location")).await.expect(200).text.contains("ada@example.com"));
}

#[actix_web::test]
async fn a_file_that_is_no_table_comes_back_with_why() {
    let server = TestServer::start().await;
    let (browser, token) = admin(&server).await;
    for (text, why) in [("", "Choose a file, or paste its text."), ("email\n", "There is no row below the head.")] {
        let page = post(&browser, "/admin/users/import", &[("csrf", &token), ("text", text)]).await.expect(400).text;
        assert!(page.contains(why), "{page}");
    }
}

#[actix_web::test]
async fn a_file_waits_for_an_hour() {
    let server = TestServer::start().await;
    let (browser, token) = admin(&server).await;
    let sent = post(&browser, "/admin/users/import", &[("csrf", &token), ("text", "email\na@example.com\n")]).await.expect(303);
    let at = sent.header("location").to_owned();
    server.advance(DAY / 23);
    let user = server.admin().await.user().clone();
    let later = server.browser(&user).await;
    assert_eq!(later.get(&at).await.expect(303).header("location"), "/admin/users/import?done=gone");
}

#[actix_web::test]
async fn what_was_exported_is_imported_as_it_was() {
    let server = TestServer::start().await;
    bring(&server, "email,name\nada@example.com,\"'=1+1\"\n", Options::default()).await.expect("imports");
    let (browser, _) = admin(&server).await;
    let file = browser.get("/admin/users/export?format=csv&q=ada@").await.expect(200).text;
    let other = TestServer::start().await;
    let options = Options { makes_accounts: true, ..Default::default() };
    assert_eq!(bring(&other, &file, options).await.expect("imports").created, 1);
    assert_eq!(find(&other, "ada@example.com").await.expect("Ada").name, "=1+1");
}
