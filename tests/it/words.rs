//! The pages in other languages: that nothing is left untranslated, and who is answered in which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use keyrack::http::words::{Entry, entries};
use keyrack::model::scope::Scope;
use keyrack::model::user::Role;

use crate::support::{Client, TestServer, routes};

const GERMAN: &str = include_str!("../../src/http/words/de.po");
const REFUSAL: &str = "refusal";

/// What says nothing to the reader of a page: the API, the metrics, the command line and the log say it.
const NOT_FOR_PAGES: &[&str] = &[
    "src/model/audit_event.rs",
    "src/model/dialect.rs",
    "src/model/imported_key.rs",
    "src/model/json_records.rs",
    "src/model/language.rs",
    "src/model/oauth_error.rs",
    "src/model/page.rs",
    "src/model/service.rs",
    "src/services/certificates/acme.rs",
    "src/services/import.rs",
    "src/services/metrics.rs",
    "src/services/oauth/",
    "src/services/webhooks/",
];

/// Sentences beside those that only a program is told.
const FOR_PROGRAMS: &[&str] = &[
    "No API key provided in the Authorization header.",
    "The API key provided is invalid.",
    "The API key has expired.",
    "The access token has expired.",
    "This key may not be used from {0}. Add the address to the key's allow-list, or call from one that is on it.",
    "This key lacks the scope `{0}`.",
    "This API key is restricted and may not manage API keys. Use one with full access.",
    "This needs a user, and the token was given to a client on its own behalf.",
    "This Idempotency-Key was used before with another request. Use a new key for a new request.",
    "A request with this Idempotency-Key is still being worked on. Try again in a moment.",
    "Send a User-Agent header, for example `User-Agent: my-app/1.0` (error code: 1010).",
    "The body is not valid JSON: {problem} at line {line}, column {column}.",
    "Send the body as `Content-Type: {expected}`.",
    "There is no such client, or its secret is another.",
    // Made of pieces: each whole one is in the catalogue.
    "No {0} with this id.",
    "There is no scope `{shown}`.{} The scopes are: {all}.",
    "There is no event `{shown}`.{} The events are: {all}.",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &str, ending: &str) -> Vec<(String, String)> {
    fn walk(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, ending, found);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(dir), ending, &mut found);
    found.sort();
    let name = |path: &Path| path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
    found.into_iter().map(|path| (name(&path), std::fs::read_to_string(&path).expect("a text"))).collect()
}

/// The part of a file that is in the program, without comments; each line stays where it is.
fn shipped(text: &str) -> String {
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
    lines.map(|line| if line.trim_start().starts_with("//") { "" } else { line }).collect::<Vec<_>>().join("\n")
}

/// The string that a text begins with, and what follows it.
fn literal(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let (mut said, mut chars) = (String::new(), inner.char_indices().peekable());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((said, &inner[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => said.push('\n'),
                '\n' => while chars.next_if(|(_, c)| c.is_whitespace()).is_some() {},
                other => said.push(other),
            },
            _ => said.push(c),
        }
    }
    None
}

/// The strings that a call has as arguments, whose text follows its opening parenthesis.
fn arguments(text: &str) -> Vec<String> {
    let (mut rest, mut depth, mut found) = (text, 1, Vec::new());
    while let Some(c) = rest.chars().next() {
        if let Some((said, after)) = literal(rest) {
            found.push(said);
            rest = after;
            continue;
        }
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        rest = &rest[c.len_utf8()..];
    }
    found
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// A message that is said somewhere: its English, its plural, and where.
type Said = BTreeMap<(String, String), String>;

fn said_in(path: &str, text: &str, said: &mut Said) {
    let mut note = |one: String, many: String, at: usize| {
        said.entry((one, many)).or_insert_with(|| format!("{path}:{}", line_of(text, at)));
    };
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let begins = |at: usize| !text[..at].chars().next_back().is_some_and(is_word);
    if path.ends_with(".html") {
        for (at, _) in text.match_indices('"') {
            let Some((one, after)) = literal(&text[at..]) else { continue };
            let after = after.strip_prefix("|t");
            if after.is_some_and(|after| !after.starts_with(is_word)) {
                note(one, String::new(), at);
            }
        }
        for (at, call) in text.match_indices("|count(") {
            let [one, many] = arguments(&text[at + call.len()..]).try_into().expect("two strings");
            note(one, many, at);
        }
        return;
    }
    for call in ["t(", "msg!("] {
        for (at, _) in text.match_indices(call).filter(|(at, _)| begins(*at)) {
            if let Some((one, _)) = literal(text[at + call.len()..].trim_start()) {
                note(one, String::new(), at);
            }
        }
    }
    for (at, call) in text.match_indices("count(").filter(|(at, _)| begins(*at)) {
        let strings = arguments(&text[at + call.len()..]);
        if let [.., one, many] = strings.as_slice()
            && one.contains("{n}")
        {
            note(one.clone(), many.clone(), at);
        }
    }
}

fn said() -> Said {
    let mut said = Said::new();
    for dir in ["src/http", "src/model", "src/services"] {
        for (path, text) in files(dir, ".rs") {
            said_in(&path, &shipped(&text), &mut said);
        }
    }
    for (path, text) in files("templates", ".html") {
        said_in(&path, &text, &mut said);
    }
    for (path, text) in files("static/js", ".js") {
        said_in(&path, &text, &mut said);
    }
    assert!(said.len() > 300, "messages are found where they are said: {}", said.len());
    said
}

fn german() -> Vec<Entry> {
    entries(GERMAN).expect("a catalogue")
}

#[test]
fn every_message_is_in_the_catalogue_and_every_one_in_it_is_said() {
    let (said, german) = (said(), german());
    let plain = |entry: &&Entry| entry.context != REFUSAL;
    let known: BTreeMap<_, _> =
        german.iter().filter(plain).map(|entry| ((entry.id.clone(), entry.plural.clone()), entry)).collect();
    let missing: Vec<_> = said.iter().filter(|(message, _)| !known.contains_key(message)).collect();
    assert!(missing.is_empty(), "not in de.po: {missing:#?}");
    let unsaid: Vec<_> =
        known.iter().filter(|(message, _)| !said.contains_key(message)).map(|(id, entry)| (entry.line, id)).collect();
    assert!(unsaid.is_empty(), "in de.po, and said nowhere: {unsaid:#?}");
}

#[test]
fn every_entry_is_translated_once_and_in_each_of_its_forms() {
    let mut seen = BTreeSet::new();
    for entry in german() {
        let forms = if entry.plural.is_empty() { 1 } else { 2 };
        assert_eq!(entry.translations.len(), forms, "de.po:{}: {}", entry.line, entry.id);
        assert!(entry.translations.iter().all(|text| !text.trim().is_empty()), "de.po:{}: {}", entry.line, entry.id);
        assert!(seen.insert((entry.context.clone(), entry.id.clone())), "de.po:{} is there twice: {}", entry.line, entry.id);
    }
}

/// What a translation has to have as well: places for values, code, links, and words that stand out.
fn marks(text: &str) -> Vec<String> {
    let mut marks = Vec::new();
    for (open, close) in [('{', '}'), ('`', '`')] {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once(open) {
            let (inner, after) = after.split_once(close).unwrap_or((after, ""));
            marks.push(format!("{open}{inner}{close}"));
            rest = after;
        }
    }
    marks.extend(text.matches(['[', ']', '*']).map(str::to_owned));
    marks.sort();
    marks
}

#[test]
fn translations_have_the_values_the_code_and_the_links_of_their_english() {
    let mut wrong = Vec::new();
    for entry in german() {
        let english = [&entry.id, if entry.plural.is_empty() { &entry.id } else { &entry.plural }];
        for (text, english) in entry.translations.iter().zip(english) {
            if marks(text) != marks(english) {
                wrong.push(format!("de.po:{}: {english:?} and {text:?}", entry.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The text with every place for a value alike, however it is named.
fn shape(text: &str) -> String {
    let (mut shape, mut rest) = (String::new(), text);
    while let Some((before, (_, after))) = rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?))) {
        shape += before;
        shape.push('\u{1}');
        rest = after;
    }
    shape + rest
}

/// Whether a text of the source is a sentence that somebody is told.
fn is_sentence(text: &str) -> bool {
    text.ends_with('.') && text.contains(' ') && text.starts_with(|c: char| c.is_uppercase() || "{`".contains(c))
}

#[test]
fn every_refusal_that_a_page_may_show_is_in_the_catalogue() {
    let german = german();
    let known: BTreeSet<String> = german.iter().map(|entry| shape(&entry.id)).collect();
    let mut missing = Vec::new();
    for (path, text) in files("src/model", ".rs").into_iter().chain(files("src/services", ".rs")) {
        if NOT_FOR_PAGES.iter().any(|place| path.starts_with(place)) {
            continue;
        }
        let text = shipped(&text);
        let mut rest = text.as_str();
        while let Some(at) = rest.find('"') {
            let Some((sentence, after)) = literal(&rest[at..]) else { break };
            let place = line_of(&text, text.len() - rest.len() + at);
            rest = after;
            let is_for_programs = FOR_PROGRAMS.contains(&sentence.as_str()) || sentence.starts_with('`');
            if is_sentence(&sentence) && !is_for_programs && !known.contains(&shape(&sentence)) {
                missing.push(format!("{path}:{place}: {sentence}"));
            }
        }
    }
    assert!(missing.is_empty(), "not in de.po as msgctxt \"refusal\": {missing:#?}");
}

#[test]
fn scripts_are_given_every_word_that_they_say() {
    let given = include_str!("../../src/http/words/script.rs");
    let mut said = Said::new();
    for (path, text) in files("static/js", ".js") {
        said_in(&path, &text, &mut said);
    }
    let missing: Vec<_> = said.iter().filter(|((one, _), _)| !given.contains(&format!("msg!({one:?})"))).collect();
    assert!(missing.is_empty(), "not in src/http/words/script.rs: {missing:#?}");
    assert_eq!(given.matches("msg!(\"").count(), said.len(), "script.rs has words that no script says");
}

/// Pages with something in each list, by their address.
async fn pages(server: &TestServer, admin: &Client) -> Vec<String> {
    let member = server.member().await;
    let key = server.key_of(&member, &[Scope::UsersRead]).await;
    let own = server.key_of(admin.user(), &[Scope::UsersRead]).await;
    let (webhook, delivery) = server.webhook_of(&member).await;
    let app = server.oauth_app().await;
    server.tokens(&app, admin.user(), "users:read").await;
    let grant = server.grant_of(admin.user()).await;
    key.get("/v1/users").await.expect(200);
    server.flush().await;
    let browser = server.browser(admin.user()).await;
    browser.submit("/admin/settings/backup", "/admin/settings/backup", &[]).await.expect(303);
    let linked = async |list: &str, start: &str| -> String {
        let page = browser.get(list).await.expect(200).text;
        let rest = page.split(&format!("href=\"{start}")).nth(1).unwrap_or_else(|| panic!("{list} links to no {start}"));
        rest.split(['"', '?', '/']).next().expect("an id").to_owned()
    };
    let (event, request) =
        (linked("/admin/audit", "/admin/audit/evt_").await, linked("/admin/requests", "/admin/requests/req_").await);
    let id_for = |path: &str| match path {
        path if path.contains("/deliveries/") => delivery.to_string(),
        path if path.contains("webhooks") => webhook.to_string(),
        path if path.contains("clients") => app.id.clone(),
        path if path.contains("grants") || path.contains("connected-apps") => grant.clone(),
        path if path.contains("accounts") => member.account_id.to_string(),
        path if path.contains("users") => member.id.to_string(),
        path if path.contains("audit") => format!("evt_{event}"),
        path if path.contains("requests") => format!("req_{request}"),
        path if path.starts_with("/settings") => own.key_id().to_owned(),
        _ => key.key_id().to_owned(),
    };
    let is_no_page = |path: &str| {
        ["/static", "/.well-known", "/docs", "/llms.txt", "/openapi.json", "/oauth", "/admin/requests/live", "/setup"]
            .iter()
            .any(|no| path.starts_with(no))
            || ["/export", "/rejected"].iter().any(|end| path.ends_with(end))
    };
    let all = routes(&server.app).await;
    let shown = all.iter().filter(|(verb, path)| verb == "GET" && !crate::access::is_of_the_api(path) && !is_no_page(path));
    shown
        .map(|(_, path)| {
            let path = path.replace("{id}", &id_for(path)).replace("{dialect}", "stripe").replace("{name}", "free");
            path.replace("{code}", "7Q4K-M2XD-9FWP")
        })
        .collect()
}

/// Elements whose text is no words of ours.
const DATA: &[&str] = &["code", "pre", "kbd", "script", "style"];

/// Names of things, that are the same in every language.
const NAMES: &str = "Keyrack UTC GET POST HTTP HTTPS English Deutsch MB kB GB ms xx ACME curl \
    Ada Lovelace Makers Team Operators Reporting Tool test Free Pro Business Enterprise Unlimited \
    admin member confidential users read email name native plain resend mitwirken usertour";

/// The words of a page that are in English all the same.
fn english_in(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut note = |text: &str| {
        let text = text
            .replace("&#38;", "&")
            .replace("&#34;", "\"")
            .replace("&#39;", "'")
            .replace("&#60;", "<")
            .replace("&#62;", ">")
            .replace("&#10;", "\n");
        // A word with a digit or a sign in it is an id, an address, a name of a setting.
        let words = text.split(|c: char| c.is_whitespace() || "()[],;!?“”\"'·–—⟦⟧".contains(c));
        let words = words.map(|word| word.trim_end_matches(['.', ':', '…']));
        let is_plain = |word: &&str| word.len() > 1 && word.chars().all(|c| c.is_ascii_alphabetic());
        found.extend(
            words
                .filter(is_plain)
                .filter(|word| NAMES.split_whitespace().all(|name| name != *word))
                .map(|_| text.trim().to_owned()),
        );
    };
    let mut inside: Vec<&str> = Vec::new();
    let (head, body) = page.split_once("<body").expect("a body");
    note(head.split_once("<title>").and_then(|(_, rest)| rest.split('<').next()).unwrap_or_default());
    for piece in body.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or((piece, ""));
        let name = tag.split([' ', '/']).find(|name| !name.is_empty()).unwrap_or_default();
        if tag.starts_with('/') {
            if let Some(at) = inside.iter().rposition(|open| *open == name) {
                inside.truncate(at);
            }
        } else if !["input", "br", "link", "meta", "path", "rect", "circle", "img"].contains(&name) && !tag.ends_with('/') {
            inside.push(name);
        }
        for attribute in ["aria-label", "title", "placeholder", "data-label", "alt"] {
            if let Some((_, rest)) = tag.split_once(&format!(" {attribute}=\"")) {
                note(rest.split('"').next().unwrap_or_default());
            }
        }
        if !inside.iter().any(|name| DATA.contains(name)) {
            note(text);
        }
    }
    found
}

#[tokio::test]
async fn in_the_language_for_tests_no_english_is_left_on_any_page() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let pages = pages(&server, &admin).await;
    assert!(pages.len() > 50, "{pages:?}");
    let reader = server.browser(admin.user()).await.header("Accept-Language", "en-XA");
    let stranger = server.anonymous().header("Accept", "text/html").header("Accept-Language", "en-XA");
    let mut left: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (who, path) in
        pages.iter().map(|path| (&reader, path)).chain([(&stranger, &"/sign-in".to_owned()), (&stranger, &"/nothing".to_owned())])
    {
        let page = who.get(path).await;
        if page.status == 303 {
            continue;
        }
        assert!([200, 404].contains(&page.status), "{path}: {} {}", page.status, page.text);
        assert!(page.text.contains("lang=\"en-XA\"") && page.text.contains('⟦'), "{path}");
        for words in english_in(&page.text) {
            left.entry(words).or_default().push(path.clone());
        }
    }
    let left: Vec<String> = left.into_iter().map(|(words, paths)| format!("{words:?} on {}", paths[0])).collect();
    assert!(left.is_empty(), "{} pieces of English: {left:#?}", left.len());
}

async fn in_german(server: &TestServer, admin: &Client) -> Client {
    server.browser(admin.user()).await.header("Accept-Language", "de-DE, de;q=0.9, en;q=0.5")
}

#[tokio::test]
async fn a_browser_that_asks_for_german_gets_it_with_its_plurals_and_its_numbers() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = in_german(&server, &admin).await;
    let settings = browser.get("/settings").await.expect(200);
    assert!(settings.text.contains("<html lang=\"de\"") && settings.text.contains(">Einstellungen</h1>"), "{}", settings.text);
    assert!(settings.text.contains(">1 Schlüssel</a>") && settings.text.contains("Zeitzone speichern"), "{}", settings.text);
    assert!(settings.headers.get_all("vary").iter().any(|value| value == "accept-language"));
    let keys = browser.get("/admin/keys").await.expect(200).text;
    assert!(keys.contains("API-Schlüssel") && keys.contains("Aktiv") && !keys.contains(">Active<"), "{keys}");
    server.set_windows(&admin, &[(12_000, 3_600)]).await;
    let usage = browser.get("/settings/usage").await.expect(200).text;
    assert!(usage.contains("12.000/Stunde"), "{usage}");
}

#[tokio::test]
async fn a_choice_wins_over_the_browser_and_goes_with_the_user() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = in_german(&server, &admin).await;
    let fields = [("theme", "dark"), ("shortcuts", "on"), ("language", "en")];
    let saved = browser.submit("/settings", "/settings/look", &fields).await.expect(303);
    assert!(saved.header("set-cookie").starts_with("look=dark.keys.en;"), "{}", saved.header("set-cookie"));
    assert!(browser.get("/settings").await.expect(200).text.contains("<html lang=\"en\""));
    let elsewhere = in_german(&server, &admin).await;
    assert!(elsewhere.get("/admin").await.expect(200).text.contains("<html lang=\"en\""));
    let back = [("theme", "dark"), ("shortcuts", "on"), ("language", "")];
    browser.submit("/settings", "/settings/look", &back).await.expect(303);
    assert!(elsewhere.get("/admin").await.expect(200).text.contains("<html lang=\"de\""));
}

#[tokio::test]
async fn what_was_refused_is_told_in_german_at_its_field_and_by_the_api_in_english() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = in_german(&server, &admin).await;
    let zone = browser.submit("/settings", "/settings/time-zone", &[("time_zone", "Nowhere")]).await.expect(400).text;
    assert!(zone.contains("Es gibt ein Problem") && zone.contains("Eine Zeitzone mit ihrem Namen eingeben"), "{zone}");
    let short = [("current_password", "x"), ("new_password", "short")];
    let refused = browser.submit("/settings/security", "/settings/security/password", &short).await.expect(400).text;
    assert!(refused.contains("Das Passwort muss mindestens 8 Zeichen lang sein."), "{refused}");
    let api = admin.header("Accept-Language", "de").get("/v1/users?limit=x").await.expect(400);
    assert!(api.message().contains("must be a whole number"), "{}", api.message());
    let gone = browser.get("/admin/users/usr_01h455vb4pex5vsknk084sn02q").await.expect(404).text;
    assert!(gone.contains("Kein Nutzer mit dieser ID.") && gone.contains("Nichts mit dieser ID"), "{gone}");
}

#[tokio::test]
async fn strangers_are_spoken_to_as_their_browser_or_their_cookie_says_and_the_documentation_is_english() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let _ = server.user_in(admin.user().account_id, Role::Member).await;
    let browser = server.anonymous().header("Accept", "text/html").header("Accept-Language", "de");
    assert!(browser.get("/status").await.expect(200).text.contains("Alles funktioniert."));
    assert!(browser.get("/nothing").await.expect(404).text.contains("Seite nicht gefunden"));
    let docs = browser.get("/docs").await.expect(200).text;
    assert!(docs.contains("<html lang=\"en\"") && !docs.contains("Suchen"), "{docs}");
    let chosen = browser.header("Cookie", "look=dark.keys.en");
    assert!(chosen.get("/nothing").await.expect(404).text.contains("Page not found"));
}
